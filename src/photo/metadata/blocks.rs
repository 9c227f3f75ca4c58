//! Where EXIF blocks and XMP packets are in each format.

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
/// Bytes that are unpacked at once.
const PIECE: usize = 4 << 10;
/// Tag of the XMP packet in a TIFF.
const TIFF_XMP: u16 = 700;

/// The blocks of metadata in a file, those that count most first.
#[derive(Default)]
pub(super) struct MetadataBlocks<'a> {
    pub(super) exif: Vec<Cow<'a, [u8]>>,
    pub(super) xmp: Vec<Cow<'a, [u8]>>,
}

/// The blocks of metadata in a file of this format.
pub(super) fn find(format: Format, file: &[u8]) -> MetadataBlocks<'_> {
    match format {
        Format::Jpeg => of_jpeg(file),
        Format::Raw => {
            let extract = raw::Extract::parse(file).unwrap_or_default();
            // What the raw file says itself counts more.
            let mut blocks =
                MetadataBlocks { exif: vec![Cow::Borrowed(extract.exif)], xmp: vec![Cow::Borrowed(extract.xmp)] };
            let preview = of_jpeg(extract.jpeg);
            blocks.exif.extend(preview.exif);
            blocks.xmp.extend(preview.xmp);
            blocks
        }
        Format::Png => of_png(file),
        Format::WebP => {
            let chunks = |wanted: &'static [u8; 4]| riff::chunks(file).filter(move |chunk| &chunk.kind == wanted);
            MetadataBlocks {
                exif: chunks(b"EXIF").map(|chunk| Cow::Borrowed(chunk.data)).collect(),
                xmp: chunks(b"XMP ").map(|chunk| Cow::Borrowed(chunk.data)).collect(),
            }
        }
        // A TIFF is its own EXIF block.
        Format::Tiff => {
            MetadataBlocks { exif: vec![Cow::Borrowed(file)], xmp: xmp_of_tiff(file).into_iter().collect() }
        }
        Format::Heic | Format::Avif => of_heif(file),
        Format::JpegXl => of_jpeg_xl(file),
        Format::Jpeg2000 => of_jpeg2000(file),
        _ => MetadataBlocks::default(),
    }
}

fn of_jpeg(file: &[u8]) -> MetadataBlocks<'_> {
    MetadataBlocks {
        exif: jpeg::applications(file, APP1, b"Exif\0\0").map(Cow::Borrowed).collect(),
        xmp: jpeg::applications(file, APP1, b"http://ns.adobe.com/xap/1.0/\0").map(Cow::Borrowed).collect(),
    }
}

/// The items that describe the primary one.
fn of_heif(file: &[u8]) -> MetadataBlocks<'_> {
    let Ok(file) = heif::parse(file) else { return MetadataBlocks::default() };
    let owned = |found: Result<Option<Vec<u8>>, _>| found.ok().flatten().map(Cow::Owned).into_iter().collect();
    MetadataBlocks { exif: owned(file.exif(file.primary_id)), xmp: owned(file.xmp(file.primary_id)) }
}

/// Boxes beside the picture, as they are or packed by Brotli.
fn of_jpeg_xl(file: &[u8]) -> MetadataBlocks<'_> {
    let mut blocks = MetadataBlocks::default();
    for found in BoxIter::new(file).map_while(Result::ok) {
        let (kind, content) = match (&found.header.box_type.0, found.content.split_first_chunk()) {
            (b"brob", Some((kind, packed))) if matches!(kind, b"Exif" | b"xml ") => {
                let mut content = Vec::new();
                let unpacked = Decompressor::new(packed, PIECE).take(LONGEST as u64).read_to_end(&mut content);
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

fn xmp_of_tiff(file: &[u8]) -> Option<Cow<'_, [u8]>> {
    let tiff = Tiff::new(file)?;
    let directory = tiff.directory(tiff.first()?)?;
    tiff.bytes(directory.entries.iter().find(|entry| entry.tag == TIFF_XMP)?).map(Cow::Borrowed)
}

/// Chunks of their own, and what ImageMagick writes into texts.
fn of_png(file: &[u8]) -> MetadataBlocks<'_> {
    let (mut exif, mut raw, mut xmp) = (Vec::new(), Vec::new(), Vec::new());
    for chunk in png::chunks(file) {
        match &chunk.kind {
            b"eXIf" => exif.push(Cow::Borrowed(chunk.data)),
            b"tEXt" | b"zTXt" | b"iTXt" => {
                let Some((keyword, text)) = png_text(&chunk) else { continue };
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
                    _ => {}
                }
            }
            _ => {}
        }
    }
    exif.extend(raw);
    MetadataBlocks { exif, xmp }
}

/// Keyword and text of a chunk of text, unpacked.
fn png_text<'a>(chunk: &png::Chunk<'a>) -> Option<(&'a [u8], Cow<'a, [u8]>)> {
    let at = chunk.data.iter().position(|byte| *byte == 0)?;
    let (keyword, rest) = (&chunk.data[..at], &chunk.data[at + 1..]);
    let text = match &chunk.kind {
        b"zTXt" => unpacked(rest.strip_prefix(&[0])?)?,
        b"iTXt" => {
            let (flags, rest) = rest.split_first_chunk::<2>()?;
            // The language and the translated keyword.
            let mut parts = rest.splitn(3, |byte| *byte == 0);
            let text = parts.nth(2)?;
            if flags[0] == 0 { Cow::Borrowed(text) } else { unpacked(text)? }
        }
        _ => Cow::Borrowed(rest),
    };
    Some((keyword, text))
}

fn unpacked(packed: &[u8]) -> Option<Cow<'static, [u8]>> {
    let mut text = Vec::new();
    ZlibDecoder::new(packed).take(LONGEST as u64).read_to_end(&mut text).ok()?;
    Some(Cow::Owned(text))
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
