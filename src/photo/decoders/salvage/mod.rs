//! What can still be seen of a damaged file, as libjpeg and Pillow show it.

mod restarts;

use super::{Request, color, raster, whole};
use crate::photo::ErrorKind;
use crate::photo::budget::Share;
use crate::photo::containers::jpeg::Header;
use crate::photo::format::Format;
use crate::photo::picture::RgbPicture;
use std::io::Cursor;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// What is said of a picture that is there, but not as it was.
const PARTS: &str = "parts of it are damaged";

/// The percentage of rows from which on so little is there that it tells nothing of the photo.
const NOTHING: u64 = 90;

/// The picture as far as it is there, its memory, and what is wrong with what is seen. `None` if nothing is there.
/// `why` is what the strict decoder said.
pub(super) fn decode(
    format: Format,
    bytes: &[u8],
    request: &Request<'_>,
    why: ErrorKind,
) -> Option<(RgbPicture, Share, String)> {
    let (mut picture, memory, missing) = match format {
        Format::Jpeg => jpeg(bytes, request)?,
        Format::Png => png(bytes, request)?,
        Format::Gif | Format::Bmp | Format::Pnm => {
            let (picture, memory, _) = whole(format, bytes, &Request { loose: true, ..*request }).ok()?;
            let missing = missing_rows(&picture);
            (picture, memory, missing)
        }
        _ => return None,
    };
    let remark = remark(&picture, missing, why)?;
    if let Some(icc) = request.icc {
        color::apply_icc(&mut picture.data, icc);
    }
    Some((picture, memory, remark))
}

/// What is to be said of a picture that lacks so many rows at its bottom. `None` if nothing is there.
pub(super) fn remark(picture: &RgbPicture, missing: u32, why: ErrorKind) -> Option<String> {
    let percent = 100 * u64::from(missing) / u64::from(picture.height);
    let first = picture.data.first_chunk::<3>()?;
    if percent >= NOTHING || picture.data.as_chunks::<3>().0.iter().all(|pixel| pixel == first) {
        return None;
    }
    Some(match why {
        ErrorKind::Truncated if percent == 0 => "the end of the file is missing".to_owned(),
        ErrorKind::Truncated => format!("the lower {percent} % are missing"),
        _ => PARTS.to_owned(),
    })
}

/// Decodes what there is of a JPEG, and counts the rows at its bottom that are not.
fn jpeg(bytes: &[u8], request: &Request<'_>) -> Option<(RgbPicture, Share, u32)> {
    let header = Header::parse(bytes).ok()?;
    // Photos have many times the least number of bits, so this is far less than such a part of what is seen.
    header.check_part(16).ok()?;
    let (width, height) = (header.frame.width, header.frame.height);
    let size = (u32::from(width), u32::from(height));
    request.limits.check_size(size.0, size.1).ok()?;
    let memory = request.reserve(size, size, 2 * header.frame.memory(1)).ok()?;
    let picture = restarts::decode(bytes).or_else(|| {
        let grey = header.frame.components.len() == 1;
        let data = decode_loosely(bytes, grey, (width.into(), height.into()))?;
        Some(RgbPicture::whole(size.0, size.1, data))
    })?;
    let missing = missing_rows(&picture);
    Some((picture, memory, missing))
}

/// The rows at the bottom that were never decoded: they have one colour.
fn missing_rows(picture: &RgbPicture) -> u32 {
    let last = picture.data.last_chunk::<3>().copied().unwrap_or_default();
    let rows = picture.data.chunks_exact(3 * picture.width as usize).rev();
    let missing = rows.take_while(|row| row.as_chunks::<3>().0.iter().all(|pixel| *pixel == last)).count();
    // Less than a row of blocks can be a plain edge.
    if missing < 16 { 0 } else { missing as u32 }
}

/// The RGB pixels of a JPEG of this size, as far as they can be decoded.
fn decode_loosely(bytes: &[u8], grey: bool, (width, height): (usize, usize)) -> Option<Vec<u8>> {
    let options = DecoderOptions::default()
        .set_strict_mode(false)
        .set_max_width(width)
        .set_max_height(height)
        .jpeg_set_out_colorspace(if grey { ColorSpace::Luma } else { ColorSpace::RGB });
    let data = JpegDecoder::new_with_options(ZCursor::new(bytes), options).decode().ok()?;
    let data = if grey { raster::repack(data, |[v]| [v; 3]) } else { data };
    (data.len() == 3 * width * height).then_some(data)
}

/// Decodes the rows that there are of a PNG, whatever its checksums say, and counts those that are not.
fn png(bytes: &[u8], request: &Request<'_>) -> Option<(RgbPicture, Share, u32)> {
    let mut options = png::DecodeOptions::default();
    options.set_ignore_checksums(true);
    options.set_ignore_text_chunk(true);
    let mut decoder = png::Decoder::new_with_options(Cursor::new(bytes), options);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().ok()?;
    let (width, height) = (reader.info().width, reader.info().height);
    request.limits.check_size(width, height).ok()?;
    let (kind, _) = reader.output_color_type();
    let row_bytes = reader.output_line_size(width)?;
    let bytes = row_bytes as u64 * u64::from(height);
    let memory =
        request.reserve((width, height), (width, height), bytes + 3 * u64::from(width) * u64::from(height)).ok()?;
    let mut data = vec![0; usize::try_from(bytes).ok()?];
    let mut there = 0;
    if reader.info().interlaced {
        // Passes fill the whole picture, more finely each time.
        reader.next_frame(&mut data).ok();
        there = height;
    } else {
        for space in data.chunks_exact_mut(row_bytes) {
            let Ok(Some(row)) = reader.next_row() else { break };
            space.copy_from_slice(row.data().get(..row_bytes)?);
            there += 1;
        }
    }
    let data = match kind {
        png::ColorType::Grayscale => raster::repack(data, |[v]| [v; 3]),
        png::ColorType::GrayscaleAlpha => raster::repack(data, |[v, a]| [raster::over_white(v, a); 3]),
        png::ColorType::Rgba => raster::opaque(data),
        _ => data,
    };
    Some((RgbPicture::whole(width, height, data), memory, height - there))
}
