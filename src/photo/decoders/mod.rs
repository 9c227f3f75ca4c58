//! From the bytes of a file to pixels.

mod av1;
pub(super) mod color;
mod heif;
pub(super) mod jpeg;
mod jpeg2000;
mod jpeg_xl;
mod raster;
mod salvage;
mod tiff;

use super::budget::{PIXELS, Share};
use super::containers::video::VideoExtract;
use super::containers::{png, raw, riff};
use super::format::Format;
use super::picture::{RESIZED_AT_ONCE, RgbPicture};
use super::{DecodeLimits, ErrorKind, Limit, PhotoError};
use image::codecs::{bmp, gif, hdr, ico, openexr, png as png_codec, pnm, qoi, tga, webp};
use image::metadata::Orientation;
use image::{DynamicImage, Limits, RgbImage};
use std::io::{BufReader, Cursor};

/// Maximum number of bytes for the rows, the unpacked text and the colour profile of a PNG.
const PNG_CHUNKS: u64 = 64 << 20;

/// What is asked of a decoder.
pub(super) struct Request<'a> {
    pub(super) limits: &'a DecodeLimits,
    /// As for [`decode`].
    pub(super) target: Option<u32>,
    /// Rows will become columns in a second buffer.
    pub(super) turned: bool,
    /// The file's colour profile, if it has one outside the coded picture.
    pub(super) icc: Option<&'a [u8]>,
    /// Of a damaged file, what was decoded before the damage is enough.
    pub(super) loose: bool,
}

impl Request<'_> {
    /// Waits for the memory that a picture needs, and refuses one that needs more than the limit. `decoding` is the
    /// number of bytes for the decoder and the pixels it returns, `kept` the size that `full` is decoded at.
    fn reserve(&self, full: (u32, u32), kept: (u32, u32), decoding: u64) -> Result<Share, PhotoError> {
        let most = self.limits.max_alloc.min(PIXELS.total());
        let pixels = u64::from(kept.0) * u64::from(kept.1) * 3;
        let need = if self.turned { decoding.max(2 * pixels) } else { decoding };
        let all = need.max((pixels + self.resizing(kept)).min(most));
        Some(all).filter(|bytes| *bytes <= most).and_then(|bytes| PIXELS.take(bytes)).ok_or_else(|| {
            let ((width, height), need, most) = (full, need.div_ceil(1 << 20), most >> 20);
            let message = format!(
                "decoding {width}x{height} pixels needs {need} MiB of memory, more than the limit of {most} MiB"
            );
            PhotoError::over(Limit::Memory, message)
        })
    }

    /// Bytes at most that the caller will need to resize a picture of this size to one with an edge of `target`.
    pub(super) fn resizing(&self, (width, height): (u32, u32)) -> u64 {
        let columns = width.max(if self.turned { height } else { 0 }).min(RESIZED_AT_ONCE);
        u64::from(columns) * u64::from(self.target.unwrap_or(0)) * 3
    }
}

/// The picture, not yet upright, the memory that it was given, and what is wrong with it, if the file is damaged.
pub(super) fn decode(
    format: Format,
    bytes: &[u8],
    request: &Request<'_>,
) -> Result<(RgbPicture, Share, Option<String>), PhotoError> {
    match whole(format, bytes, request) {
        Err(error) if matches!(error.kind, ErrorKind::Truncated | ErrorKind::Damaged) => {
            let (picture, memory, remark) = salvage::decode(format, bytes, request, error.kind).ok_or(error)?;
            Ok((picture, memory, Some(remark)))
        }
        outcome => outcome,
    }
}

/// The picture of a file that keeps to the rules of its format; of a TIFF, as far as it is there.
fn whole(
    format: Format,
    bytes: &[u8],
    request: &Request<'_>,
) -> Result<(RgbPicture, Share, Option<String>), PhotoError> {
    let limits = request.limits;
    let input = Cursor::new(bytes);
    let (picture, memory) = match format {
        Format::Jpeg => jpeg::decode(bytes, request)?,
        Format::Png => {
            // The decoder would only say that a row needs too much memory.
            if let Some((width, height)) = png::size(bytes) {
                limits.check_size(width, height)?;
            }
            let mut allowed = Limits::no_limits();
            allowed.max_alloc = Some(limits.max_alloc.min(PNG_CHUNKS));
            raster::pixels(png_codec::PngDecoder::with_limits(input, allowed)?, 0, request)?
        }
        Format::WebP => webp::WebPDecoder::new(input)
            .map_err(PhotoError::from)
            .and_then(|decoder| {
                // A frame of RGBA; for an animation, also the canvas and the planes of the frame.
                let scratch = if decoder.has_animation() { 10 } else { 4 };
                raster::pixels(decoder, scratch, request)
            })
            .map_err(|error| match error.kind {
                ErrorKind::Damaged if riff::whole(bytes).is_none() => PhotoError::truncated(),
                _ => error,
            })?,
        Format::Gif => raster::pixels(gif::GifDecoder::new(input)?, 0, request)?,
        Format::Bmp => raster::pixels(bmp::BmpDecoder::new(input)?, 0, request)?,
        Format::Tiff => return tiff::decode(bytes, request),
        Format::Raw => {
            let extract = raw::Extract::parse(bytes).ok_or_else(PhotoError::truncated)?;
            return decode(Format::Jpeg, extract.jpeg, request);
        }
        Format::Video => {
            let extract = VideoExtract::parse(bytes).ok_or_else(PhotoError::truncated)?;
            return decode(Format::Jpeg, extract.frames.first().ok_or_else(PhotoError::truncated)?, request);
        }
        Format::Heic | Format::Avif => heif::decode(bytes, request)?,
        Format::JpegXl => jpeg_xl::decode(bytes, request)?,
        Format::Jpeg2000 => jpeg2000::decode(bytes, request)?,
        // The decoder reads all pixels at once, and a cursor that has too few gives none.
        Format::Pnm => raster::pixels(pnm::PnmDecoder::new(BufReader::new(input))?, 0, request)?,
        Format::Tga => raster::pixels(tga::TgaDecoder::new(input)?, 0, request)?,
        Format::Qoi => raster::pixels(qoi::QoiDecoder::new(input)?, 4, request)?,
        // Of a PNG inside an icon, the decoder takes RGBA alone.
        Format::Ico => match largest_in_icon(bytes) {
            Some(inside) if inside.starts_with(png::SIGNATURE) => return whole(Format::Png, inside, request),
            _ => raster::pixels(ico::IcoDecoder::new(input)?, 4, request)?,
        },
        Format::Hdr => raster::pixels(hdr::HdrDecoder::new(input)?, 4, request)?,
        Format::Exr => raster::pixels(openexr::OpenExrDecoder::new(input)?, 16, request)?,
    };
    Ok((picture, memory, None))
}

/// The file of the largest picture in an icon: the directory has 16 bytes for each.
fn largest_in_icon(bytes: &[u8]) -> Option<&[u8]> {
    let count = usize::from(u16::from_le_bytes(*bytes.get(4..)?.first_chunk()?));
    let entries = bytes.get(6..)?.as_chunks::<16>().0.iter().take(count);
    // An edge of 256 is written as 0.
    let area = |entry: &&[u8; 16]| {
        [entry[0], entry[1]].map(|edge| u32::from(edge.wrapping_sub(1)) + 1).iter().product::<u32>()
    };
    let [.., a, b, c, d] = entries.max_by_key(area)?;
    bytes.get(u32::from_le_bytes([*a, *b, *c, *d]) as usize..)
}

/// Turns a picture upright, by its orientation in EXIF's numbers.
pub(super) fn upright(picture: RgbPicture, orientation: u8) -> Result<RgbPicture, PhotoError> {
    let orientation = Orientation::from_exif(orientation).unwrap_or(Orientation::NoTransforms);
    if orientation == Orientation::NoTransforms {
        return Ok(picture);
    }
    let RgbPicture { width, height, data, full, extent } = picture;
    let image = RgbImage::from_raw(width, height, data)
        .ok_or_else(|| PhotoError::new(ErrorKind::Damaged, "the decoder returned fewer pixels than the picture has"))?;
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(orientation);
    // A reduced picture may cover only a part of its last column and row: track where these end up.
    let (across, down) = (f64::from(width) - extent.2, f64::from(height) - extent.3);
    let (left, top, turned) = match orientation {
        Orientation::NoTransforms => (0.0, 0.0, false),
        Orientation::FlipHorizontal => (across, 0.0, false),
        Orientation::Rotate180 => (across, down, false),
        Orientation::FlipVertical => (0.0, down, false),
        Orientation::Rotate90FlipH => (0.0, 0.0, true),
        Orientation::Rotate90 => (down, 0.0, true),
        Orientation::Rotate270FlipH => (down, across, true),
        Orientation::Rotate270 => (0.0, across, true),
    };
    let swap = |(a, b)| if turned { (b, a) } else { (a, b) };
    let (covered_width, covered_height) = if turned { (extent.3, extent.2) } else { (extent.2, extent.3) };
    Ok(RgbPicture {
        width: image.width(),
        height: image.height(),
        data: image.into_rgb8().into_raw(),
        full: swap(full),
        extent: (left, top, covered_width, covered_height),
    })
}
