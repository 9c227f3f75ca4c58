//! Where EXIF blocks and XMP packets are in each format.

use super::iptc::in_photoshop;
use super::xmp::LONGEST;
use crate::photo::containers::tiff::Tiff;
use crate::photo::containers::{heif, jpeg, png, raw, riff};
use crate::photo::format::Format;
use brotli_decompressor::Decompressor;
use flate2::read::ZlibDecoder;
use heifer_isobmff::BoxIter;
use std::borrow::Cow;
use std::io::Read;

const APP1: u8 = jpeg::Segment::APP1;
const APP13: u8 = jpeg::Segment::APP13;
/// Most blocks of a kind that are read.
const MOST: usize = 16;
/// Bytes that are unpacked at once.
const PIECE: usize = 4 << 10;
/// Tags of the XMP packet, the IPTC block and Photoshop's resources in a TIFF.
const TIFF_XMP: u16 = 700;
const TIFF_IPTC: u16 = 33_723;
const TIFF_PHOTOSHOP: u16 = 34_377;

/// The blocks of metadata in a file, those that count most first.
#[derive(Default)]
pub(super) struct MetadataBlocks<'a> {
    pub(super) exif: Vec<Cow<'a, [u8]>>,
    pub(super) xmp: Vec<Cow<'a, [u8]>>,
    pub(super) iptc: Vec<Cow<'a, [u8]>>,
    /// Texts of a PNG, each after its keyword.
    pub(super) texts: Vec<(&'a [u8], Cow<'a, [u8]>)>,
}

/// The blocks of metadata in a file of this format.
pub(super) fn find(format: Format, file: &[u8]) -> MetadataBlocks<'_> {
    let mut blocks = all(format, file);
    for list in [&mut blocks.exif, &mut blocks.xmp, &mut blocks.iptc] {
        list.retain(|block| !block.is_empty());
        list.truncate(MOST);
    }
    blocks
}

fn all(format: Format, file: &[u8]) -> MetadataBlocks<'_> {
    match format {
        Format::Jpeg => of_jpeg(file),
        Format::Raw => {
            let extract = raw::Extract::parse(file).unwrap_or_default();
            // What the raw file says itself counts more.
            let mut blocks = of_jpeg(extract.jpeg);
            blocks.exif.insert(0, Cow::Borrowed(extract.exif));
            blocks.xmp.insert(0, Cow::Borrowed(extract.xmp));
            blocks
        }
        Format::Png => of_png(file),
        Format::WebP => {
            let chunks = |wanted: &'static [u8; 4]| riff::chunks(file).filter(move |chunk| &chunk.kind == wanted);
            MetadataBlocks {
                exif: chunks(b"EXIF").map(|chunk| Cow::Borrowed(chunk.data)).collect(),
                xmp: chunks(b"XMP ").map(|chunk| Cow::Borrowed(chunk.data)).collect(),
                ..MetadataBlocks::default()
            }
        }
        // A TIFF is its own EXIF block.
        Format::Tiff => {
            let photoshop = of_tiff(file, TIFF_PHOTOSHOP).and_then(in_photoshop);
            MetadataBlocks {
                exif: vec![Cow::Borrowed(file)],
                xmp: of_tiff(file, TIFF_XMP).map(Cow::Borrowed).into_iter().collect(),
                iptc: of_tiff(file, TIFF_IPTC).or(photoshop).map(Cow::Borrowed).into_iter().collect(),
                ..MetadataBlocks::default()
            }
        }
        Format::Heic | Format::Avif => of_heif(file),
        Format::JpegXl => of_jpeg_xl(file),
        Format::Jpeg2000 => of_jpeg2000(file),
        _ => MetadataBlocks::default(),
    }
}

fn of_jpeg(file: &[u8]) -> MetadataBlocks<'_> {
    // Photoshop's resources may go on in the next segment.
    let resources: Vec<u8> =
        jpeg::applications(file, APP13, b"Photoshop 3.0\0").flatten().copied().take(LONGEST).collect();
    let packets = jpeg::applications(file, APP1, b"http://ns.adobe.com/xap/1.0/\0").map(Cow::Borrowed);
    MetadataBlocks {
        exif: jpeg::applications(file, APP1, b"Exif\0\0").take(MOST).map(Cow::Borrowed).collect(),
        xmp: packets.take(MOST).chain(extended_xmp(file).map(Cow::Owned)).collect(),
        iptc: in_photoshop(&resources).map(|block| Cow::Owned(block.to_vec())).into_iter().collect(),
        ..MetadataBlocks::default()
    }
}

/// The packet of what did not fit into the first one, from all the segments over which it is spread: each has the name
/// of the packet, its length, and where in it the rest belongs.
fn extended_xmp(file: &[u8]) -> Option<Vec<u8>> {
    let mut parts: Vec<(usize, &[u8])> = jpeg::applications(file, APP1, b"http://ns.adobe.com/xmp/extension/\0")
        .filter_map(|part| Some((u32::from_be_bytes(*part.get(36..)?.first_chunk()?) as usize, part.get(40..)?)))
        .collect();
    parts.sort_by_key(|(at, _)| *at);
    let mut packet = Vec::new();
    for (at, part) in parts {
        if at != packet.len() || packet.len() + part.len() > LONGEST {
            return None;
        }
        packet.extend(part);
    }
    (!packet.is_empty()).then_some(packet)
}

/// The items that describe the primary one.
fn of_heif(file: &[u8]) -> MetadataBlocks<'_> {
    let Ok(file) = heif::parse(file) else { return MetadataBlocks::default() };
    let owned = |found: Result<Option<Vec<u8>>, _>| found.ok().flatten().map(Cow::Owned).into_iter().collect();
    MetadataBlocks {
        exif: owned(file.exif(file.primary_id)),
        xmp: owned(file.xmp(file.primary_id)),
        ..MetadataBlocks::default()
    }
}

/// Boxes beside the picture, as they are or packed by Brotli.
fn of_jpeg_xl(file: &[u8]) -> MetadataBlocks<'_> {
    let mut blocks = MetadataBlocks::default();
    // What all boxes together may be unpacked to.
    let mut left = LONGEST;
    for found in BoxIter::new(file).map_while(Result::ok) {
        let (kind, content) = match (&found.header.box_type.0, found.content.split_first_chunk()) {
            (b"brob", Some((kind, packed))) if matches!(kind, b"Exif" | b"xml ") => {
                let mut content = Vec::new();
                let unpacked = Decompressor::new(packed, PIECE).take(left as u64).read_to_end(&mut content);
                left = left.saturating_sub(content.len().max(1 << 10));
                if unpacked.is_err() {
                    continue;
                }
                (kind, Cow::Owned(content))
            }
            (kind, _) => (kind, Cow::Borrowed(found.content)),
        };
        match kind {
            // Where in the rest EXIF begins comes first, but some writers leave that out.
            b"Exif" => {
                let at = match content.first_chunk() {
                    None | Some(b"II*\0" | b"MM\0*") => 0,
                    Some(at) => (u32::from_be_bytes(*at) as usize).saturating_add(4),
                };
                blocks.exif.extend(match content {
                    Cow::Borrowed(content) => content.get(at..).map(Cow::Borrowed),
                    Cow::Owned(content) => content.get(at..).map(|block| Cow::Owned(block.to_vec())),
                });
            }
            b"xml " => blocks.xmp.push(content),
            _ => {}
        }
    }
    blocks
}

/// The boxes in which exiftool and Adobe's programs write.
fn of_jpeg2000(file: &[u8]) -> MetadataBlocks<'_> {
    let mut blocks = MetadataBlocks::default();
    for found in BoxIter::new(file).map_while(Result::ok) {
        match found.header.user_type.as_ref().map(|kind| &kind[..]) {
            Some(b"JpgTiffExif->JP2") => {
                let block = found.content.strip_prefix(b"Exif\0\0").unwrap_or(found.content);
                blocks.exif.push(Cow::Borrowed(block));
            }
            Some(b"\xBE\x7A\xCF\xCB\x97\xA9\x42\xE8\x9C\x71\x99\x94\x91\xE3\xAF\xAC") => {
                blocks.xmp.push(Cow::Borrowed(found.content));
            }
            _ => {}
        }
    }
    blocks
}

fn of_tiff(file: &[u8], tag: u16) -> Option<&[u8]> {
    let tiff = Tiff::new(file)?;
    let directory = tiff.directory(tiff.first()?)?;
    tiff.bytes(directory.entries.iter().find(|entry| entry.tag == tag)?)
}

/// Chunks of their own, and what ImageMagick writes into texts.
fn of_png(file: &[u8]) -> MetadataBlocks<'_> {
    let (mut exif, mut raw, mut xmp, mut iptc, mut texts) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // What all texts together may be unpacked to.
    let mut left = LONGEST;
    for chunk in png::chunks(file) {
        match &chunk.kind {
            b"eXIf" => exif.push(Cow::Borrowed(chunk.data)),
            b"tEXt" | b"zTXt" | b"iTXt" => {
                let Some((keyword, text)) = png_text(&chunk, &mut left) else { continue };
                match keyword {
                    b"XML:com.adobe.xmp" => xmp.push(text),
                    b"Raw profile type exif" | b"Raw profile type APP1" => match profile(&text) {
                        Some(bytes) if bytes.starts_with(b"http://ns.adobe.com/xap/1.0/\0") => {
                            xmp.push(Cow::Owned(bytes[29..].to_vec()));
                        }
                        Some(bytes) => raw.push(Cow::Owned(bytes)),
                        None => {}
                    },
                    b"Raw profile type xmp" => xmp.extend(profile(&text).map(Cow::Owned)),
                    b"Raw profile type iptc" | b"Raw profile type 8bim" => {
                        let resources = profile(&text).unwrap_or_default();
                        iptc.extend(in_photoshop(&resources).map(|block| Cow::Owned(block.to_vec())));
                    }
                    _ if texts.len() < 4 * MOST => texts.push((keyword, text)),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    exif.extend(raw);
    MetadataBlocks { exif, xmp, iptc, texts }
}

/// Keyword and text of a chunk of text, unpacked to at most so many bytes, of which less are left then.
fn png_text<'a>(chunk: &png::Chunk<'a>, left: &mut usize) -> Option<(&'a [u8], Cow<'a, [u8]>)> {
    let at = chunk.data.iter().position(|byte| *byte == 0)?;
    let (keyword, rest) = (&chunk.data[..at], &chunk.data[at + 1..]);
    let text = match &chunk.kind {
        b"zTXt" => unpacked(rest.strip_prefix(&[0])?, left)?,
        b"iTXt" => {
            let (flags, rest) = rest.split_first_chunk::<2>()?;
            // The language and the translated keyword.
            let mut parts = rest.splitn(3, |byte| *byte == 0);
            let text = parts.nth(2)?;
            if flags[0] == 0 { Cow::Borrowed(text) } else { unpacked(text, left)? }
        }
        _ => Cow::Borrowed(rest),
    };
    Some((keyword, text))
}

fn unpacked(packed: &[u8], left: &mut usize) -> Option<Cow<'static, [u8]>> {
    let mut text = Vec::new();
    let done = ZlibDecoder::new(packed).take(*left as u64).read_to_end(&mut text);
    *left = left.saturating_sub(text.len().max(1 << 10));
    done.ok().map(|_| Cow::Owned(text))
}

/// The bytes of a profile in hexadecimal, after its name and its length.
fn profile(text: &[u8]) -> Option<Vec<u8>> {
    let mut lines = text.trim_ascii().splitn(3, |byte| *byte == b'\n');
    let (_, length, digits) = (lines.next()?, lines.next()?, lines.next()?);
    let length: usize = std::str::from_utf8(length.trim_ascii()).ok()?.parse().ok()?;
    let digits: Vec<u8> = digits.iter().filter_map(|byte| char::from(*byte).to_digit(16)).map(|n| n as u8).collect();
    let bytes: Vec<u8> = digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect();
    (bytes.len() >= length).then(|| bytes[..length].to_vec())
}
