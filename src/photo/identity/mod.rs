//! The identity of a picture: a hash of what a file shows, without what it says about it.
//!
//! It covers the coded pixels, everything that decoding them depends on, and how to turn them upright, but no other
//! metadata. A photo that was given a rating, a keyword or a place stays the same picture; one that was edited, cropped
//! or turned does not. Two files of equal identity decode to the same pixels.

mod boxes;
mod gif;
pub(super) mod parts;
mod tiff;

use super::containers::jpeg::{Header, Segment};
use super::containers::video::VideoExtract;
use super::containers::{icc, png, raw, riff};
use super::decoders::color;
use super::format::{self, Format};
use super::metadata::{self, Readout, Statement};
use crate::panics::contained;
use parts::Parts;

/// Raised whenever the hash of the same file would be another one.
pub const VERSION: u32 = 1;

/// What can be told from a file without decoding it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outline {
    /// BLAKE3 of what it shows; `None` if that cannot be told from the rest, so that all its bytes count.
    pub picture: Option<[u8; 32]>,
    /// What it says about that.
    pub statements: Vec<Statement>,
}

/// Reads what can be told from a file's bytes without decoding them. Never fails: of a damaged file nothing is known.
#[must_use]
pub fn outline(bytes: &[u8]) -> Outline {
    let Ok(format) = format::sniff(bytes) else { return Outline::default() };
    let Readout { orientation, statements } = metadata::read(format, bytes);
    let picture = contained(|| picture(format, bytes, orientation.unwrap_or(1))).ok().flatten();
    Outline { picture, statements }
}

/// What distinguishes a file from others: BLAKE3 of its bytes, of a video that of pieces of them.
#[must_use]
pub fn of_file(bytes: &[u8]) -> [u8; 32] {
    VideoExtract::parse(bytes).map_or_else(|| *blake3::hash(bytes).as_bytes(), |video| video.fingerprint)
}

/// Whether a file's bytes show the picture with this hash, or, for a picture that cannot be told from its file, are the
/// file with this hash ([`of_file`]).
#[must_use]
pub fn shows(bytes: &[u8], picture: &[u8; 32]) -> bool {
    outline(bytes).picture.as_ref() == Some(picture) || &of_file(bytes) == picture
}

fn picture(format: Format, bytes: &[u8], orientation: u8) -> Option<[u8; 32]> {
    let mut parts = Parts::default();
    parts.add(format.name().as_bytes());
    parts.add(&[orientation]);
    match format {
        Format::Jpeg => jpeg(bytes, &mut parts)?,
        Format::Video => parts.add(&VideoExtract::parse(bytes)?.fingerprint),
        Format::Raw => jpeg(raw::Extract::parse(bytes)?.jpeg, &mut parts)?,
        Format::Png => png(bytes, &mut parts)?,
        Format::WebP => webp(bytes, &mut parts)?,
        Format::Gif => gif::shown(bytes, &mut parts)?,
        Format::Tiff => tiff::shown(bytes, &mut parts)?,
        Format::Heic | Format::Avif => boxes::heif(bytes, &mut parts)?,
        Format::JpegXl => boxes::of_kinds(bytes, &[b"jxlc", b"jxlp"], &mut parts)?,
        Format::Jpeg2000 => boxes::of_kinds(bytes, &[b"jp2h", b"jp2c"], &mut parts)?,
        // They have no metadata, or are seldom written into.
        _ => return None,
    }
    // Most profiles are sRGB's, and most programs that write metadata keep them.
    if let Some(icc) = icc::find(format, bytes).filter(|icc| color::matters(icc)) {
        parts.add(b"icc");
        parts.add(&icc);
    }
    Some(parts.hash())
}

/// Adds what decides the pixels of a JPEG: every segment but those of applications and comments, and the meaning of the
/// components, which applications' segments can change. `None` if the file is damaged.
fn jpeg(bytes: &[u8], parts: &mut Parts) -> Option<()> {
    let header = Header::parse_with(bytes, |segment| {
        if !matches!(segment.marker, Segment::APP0..=Segment::APP15 | Segment::COM | Segment::EOI) {
            parts.add(&[segment.marker]);
            parts.add(segment.body);
            parts.add(segment.data);
        }
    });
    let header = header.ok().filter(|header| header.ended)?;
    parts.add(format!("{:?}", header.color_transform()).as_bytes());
    Some(())
}

/// A PNG's header, palette, transparency and compressed pixels, however these are cut into chunks.
fn png(bytes: &[u8], parts: &mut Parts) -> Option<()> {
    let mut pixels = 0_u64;
    for png::Chunk { kind, data } in png::chunks(bytes) {
        match &kind {
            b"IDAT" => {
                pixels += data.len() as u64;
                parts.add_piece(data);
            }
            b"IEND" => {
                parts.add_numbers(&[pixels]);
                return Some(());
            }
            b"IHDR" | b"PLTE" | b"tRNS" | b"acTL" | b"fcTL" | b"fdAT" => {
                parts.add(&kind);
                parts.add(data);
            }
            _ => {}
        }
    }
    None
}

/// A WebP's frames. The extended header comes and goes with metadata: only what it says about the pixels counts.
fn webp(bytes: &[u8], parts: &mut Parts) -> Option<()> {
    let whole = riff::whole(bytes)?;
    let (mut extended, mut alpha, mut end) = (false, false, riff::HEAD);
    for chunk @ riff::Chunk { kind, data } in riff::chunks(whole) {
        end += chunk.length();
        match &kind {
            b"VP8X" => {
                let flags = *data.first()?;
                (extended, alpha) = (true, flags & 0x10 != 0);
                // The canvas of an animation.
                if flags & 0x02 != 0 {
                    parts.add(data.get(4..10)?);
                }
            }
            b"VP8 " | b"VP8L" | b"ALPH" | b"ANMF" => {
                // Without an extended header, the pixels themselves say whether some are transparent.
                if &kind == b"VP8L" && !extended {
                    alpha = data.get(4)? & 0x10 != 0;
                }
                parts.add(&kind);
                parts.add(data);
            }
            b"ANIM" => parts.add(data.get(..4)?),
            _ => {}
        }
    }
    parts.add(&[u8::from(alpha)]);
    // All of it was chunks.
    (end >= whole.len()).then_some(())
}

#[cfg(test)]
mod tests;
