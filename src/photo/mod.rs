//! From a file to upright, opaque sRGB pixels and EXIF facts.
//!
//! [`read`] reads the bytes of a regular file, [`decode`] decodes them. The content decides what a file is, never its
//! name. Nothing here knows about models or the catalogue, and only [`thumbnails`] writes anything.
//!
//! The pixels are those that Pillow produces after `ImageOps.exif_transpose`, alpha composited over white and
//! `convert("RGB")`: lossless formats exactly, JPEG within the rounding of another inverse DCT. As in that reference,
//! embedded ICC profiles are not applied.
//!
//! The bytes are not trusted: sizes are checked before memory is allocated, all threads together keep within one budget
//! of memory (so hold no decoded photo while another is read or decoded), and a panic of a decoder becomes an error
//! of that one picture ([`ErrorKind::Crashed`]), so the program must be built with `panic = "unwind"`.

mod budget;
mod error;
mod exif;
mod file;
mod format;
pub mod identity;
mod jpeg;
pub mod picture;
mod raster;
pub mod shrink;
#[cfg(test)]
mod tests;
pub mod thumbnails;

use crate::panics::contained;
use budget::{PIXELS, Share};
use format::Format;
use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder, tiff::TiffDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, Limits, RgbImage};
use picture::{RESIZED_AT_ONCE, RgbPicture};
use std::io::Cursor;

pub use error::{ErrorKind, PhotoError};
pub use file::{FileBytes, read};
pub use format::looks_like_picture;
pub use jpeg::dct_scale;

/// Maximum number of bytes for the rows, the unpacked text and the colour profile of a PNG.
const PNG_CHUNKS: u64 = 64 << 20;

/// Longest edge in pixels that a picture may have. Formats for photos end at 65,535; a longer edge takes decoders
/// minutes for a file of a few bytes.
const MAX_EDGE: u32 = 1_000_000;

/// How large a picture may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Maximum number of pixels (width times height) that the header of a picture may claim.
    pub max_pixels: u64,
    /// Maximum size of a file in bytes.
    pub max_bytes: u64,
    /// Maximum number of bytes of all buffers of one decode together, estimated before they are allocated. All threads
    /// together hold at most 576 MiB, whatever this says.
    pub max_alloc: u64,
}

impl Default for DecodeLimits {
    /// 400 million pixels, 1 GiB of file, 576 MiB of memory: enough for 100 megapixels of 16-bit RGB or of an 8-bit
    /// TIFF, and for nearly every JPEG that may be reduced.
    fn default() -> Self {
        Self { max_pixels: 400_000_000, max_bytes: 1 << 30, max_alloc: PIXELS.total() }
    }
}

impl DecodeLimits {
    /// Refuses a picture that is empty, has too many pixels or is too long.
    fn check_size(&self, width: u32, height: u32) -> Result<(), PhotoError> {
        if width == 0 || height == 0 {
            return Err(PhotoError::new(ErrorKind::Damaged, format!("the picture claims a size of {width}x{height}")));
        }
        if u64::from(width) * u64::from(height) > self.max_pixels {
            let most = self.max_pixels / 1_000_000;
            let message = format!("{width}x{height} pixels are more than the limit of {most} million");
            return Err(PhotoError::new(ErrorKind::TooLarge, message));
        }
        if width.max(height) > MAX_EDGE {
            let message = format!("{width}x{height} pixels: an edge is longer than the limit of {MAX_EDGE} pixels");
            return Err(PhotoError::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }
}

/// What is asked of a decoder.
struct Request<'a> {
    limits: &'a DecodeLimits,
    /// As for [`decode`].
    target: Option<u32>,
    /// Rows will become columns in a second buffer.
    turned: bool,
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
            PhotoError::new(ErrorKind::TooLarge, message)
        })
    }

    /// Bytes at most that the caller will need to resize a picture of this size to one with an edge of `target`.
    fn resizing(&self, (width, height): (u32, u32)) -> u64 {
        let columns = width.max(if self.turned { height } else { 0 }).min(RESIZED_AT_ONCE);
        u64::from(columns) * u64::from(self.target.unwrap_or(0)) * 3
    }
}

/// What is known about a picture besides its pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Width in pixels of the whole picture, upright, whatever size it was decoded at.
    pub width: u32,
    /// Height in pixels of the whole picture, upright.
    pub height: u32,
    /// `jpeg`, `png`, `webp`, `gif`, `bmp` or `tiff`.
    pub format: &'static str,
    /// When the photo was taken, in the camera's own time: `YYYY-MM-DDTHH:MM:SS`.
    pub taken: Option<String>,
    /// Make and model of the camera, at most 200 characters. Foreign text: escape it before showing it.
    pub camera: Option<String>,
    /// Degrees north, -90 to 90; present if and only if `longitude` is.
    pub latitude: Option<f64>,
    /// Degrees east, -180 to 180.
    pub longitude: Option<f64>,
}

/// A decoded picture. It holds its part of the memory for pictures until it is dropped.
#[derive(Debug)]
pub struct DecodedPhoto {
    /// The pixels, possibly fewer than the file holds (see [`decode`]).
    pub picture: RgbPicture,
    /// What else is known about it.
    pub facts: Facts,
    _memory: Share,
}

/// Whether these bytes begin as a picture of a known format does.
#[must_use]
pub fn is_picture(bytes: &[u8]) -> bool {
    format::sniff(bytes).is_ok()
}

/// Decodes a picture from the bytes of a file.
///
/// `target` is the length in pixels of the shortest edge that the caller still needs: a larger JPEG may then be decoded
/// at 1/2, 1/4 or 1/8 of its size, which is much faster, but never with a shortest edge under `target`. `None` decodes
/// every pixel. Of an animation, the first frame is the picture.
///
/// If other threads hold much memory for pictures, it waits until there is enough for this one.
///
/// # Errors
/// Any [`ErrorKind`] except `Changed`. `Empty`: there are no bytes at all. `Unreadable`: a thread cannot be started.
pub fn decode(bytes: &[u8], target: Option<u32>, limits: &DecodeLimits) -> Result<DecodedPhoto, PhotoError> {
    contained(|| decode_any(bytes, target, limits)).unwrap_or_else(|panic| {
        let message = format!("the decoder gave up on this file: {panic}");
        Err(PhotoError::new(ErrorKind::Crashed, message))
    })
}

fn decode_any(bytes: &[u8], target: Option<u32>, limits: &DecodeLimits) -> Result<DecodedPhoto, PhotoError> {
    let format = format::sniff(bytes)?;
    // Facts that cannot be read are no reason to lose the picture.
    let exif = contained(|| exif::read(format, bytes)).unwrap_or_default();
    let turned = exif.orientation >= 5;
    let request = Request { limits, target, turned };
    let input = Cursor::new(bytes);
    let (picture, mut memory) = match format {
        Format::Jpeg => jpeg::decode(bytes, &request)?,
        Format::Png => {
            // The decoder would only say that a row needs too much memory.
            if let Some((width, height)) = format::png_size(bytes) {
                limits.check_size(width, height)?;
            }
            let mut allowed = Limits::no_limits();
            allowed.max_alloc = Some(limits.max_alloc.min(PNG_CHUNKS));
            raster::pixels(PngDecoder::with_limits(input, allowed)?, 0, &request)?
        }
        Format::WebP => WebPDecoder::new(input)
            .map_err(PhotoError::from)
            .and_then(|decoder| {
                // A frame of RGBA; for an animation, also the canvas and the planes of the frame.
                let scratch = if decoder.has_animation() { 10 } else { 4 };
                raster::pixels(decoder, scratch, &request)
            })
            .map_err(|error| match error.kind {
                ErrorKind::Damaged if format::riff_is_cut(bytes) => PhotoError::truncated(),
                _ => error,
            })?,
        Format::Gif => raster::pixels(GifDecoder::new(input)?, 0, &request)?,
        Format::Bmp => raster::pixels(BmpDecoder::new(input)?, 0, &request)?,
        Format::Tiff => {
            let decoder = TiffDecoder::new(input)?;
            // This decoder fills a buffer of its own first.
            let scratch = decoder.color_type().bytes_per_pixel().into();
            raster::pixels(decoder, scratch, &request)?
        }
    };
    let orientation = Orientation::from_exif(exif.orientation).unwrap_or(Orientation::NoTransforms);
    let (width, height) = if turned { (picture.full.1, picture.full.0) } else { picture.full };
    let facts = Facts {
        width,
        height,
        format: format.name(),
        taken: exif.taken,
        camera: exif.camera,
        latitude: exif.position.map(|p| p.0),
        longitude: exif.position.map(|p| p.1),
    };
    let picture = upright(picture, orientation)?;
    memory.shrink_to(picture.data.capacity() as u64 + request.resizing((picture.width, picture.height)));
    Ok(DecodedPhoto { picture, facts, _memory: memory })
}

fn upright(picture: RgbPicture, orientation: Orientation) -> Result<RgbPicture, PhotoError> {
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
