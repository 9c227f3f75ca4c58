//! From a file to upright, opaque sRGB pixels and EXIF facts.
//!
//! [`read`] reads the bytes of a regular file, [`decode`] decodes them. The content decides what a file is, never its
//! name. Nothing here knows about models or the catalogue, and only [`thumbnails`] writes anything.
//!
//! The pixels are those that Pillow produces after `ImageOps.exif_transpose`, alpha composited over white and
//! `convert("RGB")`: lossless formats exactly, JPEG within the rounding of another inverse DCT. Unlike in that
//! reference, colours that are declared not to be sRGB are converted to it.
//!
//! The bytes are not trusted: sizes are checked before memory is allocated, all threads together keep within one budget
//! of memory (so hold no decoded photo while another is read or decoded), and a panic of a decoder becomes an error
//! of that one picture ([`ErrorKind::Crashed`]), so the program must be built with `panic = "unwind"`.

mod budget;
pub mod colors;
mod containers;
mod decoders;
mod error;
pub mod ffmpeg;
mod file;
mod format;
pub mod identity;
mod metadata;
pub mod picture;
pub mod resample;
pub mod shrink;
pub mod sidecars;
#[cfg(test)]
mod tests;
pub mod thumbnails;

use crate::panics::contained;
use budget::{PIXELS, Share};
use decoders::Request;
use picture::RgbPicture;

pub use decoders::jpeg::dct_scale;
pub use error::{ErrorKind, Limit, PhotoError};
pub use file::{FileBytes, extracted, read};
pub use format::{FORMATS, FormatInfo, looks_like_picture, unread_ending, video_ending};
pub use metadata::{FileMetadata, MetadataSource, Statement};

/// Raised whenever more is read from the same file: files that were refused are tried again, and what the others say is
/// read anew, without a model.
pub const READER_VERSION: u32 = 5;

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
    /// together hold at most 576 MiB, whatever this says, unless [`allow_memory`] raises that.
    pub max_alloc: u64,
}

/// Lets all threads together hold this many bytes of files, and of pictures, where that is more than they may now (1
/// GiB and 576 MiB).
pub fn allow_memory(bytes: u64) {
    [&budget::FILES, &PIXELS].into_iter().for_each(|budget| budget.raise(bytes));
}

impl Default for DecodeLimits {
    /// 400 million pixels, 1 GiB of file, 576 MiB of memory: enough for 100 megapixels of 16-bit RGB or of an 8-bit
    /// TIFF, and for nearly every JPEG that may be reduced.
    fn default() -> Self {
        Self { max_pixels: 400_000_000, max_bytes: budget::FILES.total(), max_alloc: PIXELS.total() }
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
            return Err(PhotoError::over(Limit::Pixels, message));
        }
        if width.max(height) > MAX_EDGE {
            let message = format!("{width}x{height} pixels: an edge is longer than the limit of {MAX_EDGE} pixels");
            return Err(PhotoError::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }
}

/// What is known about a picture besides its pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Width in pixels of the whole picture, upright, whatever size it was decoded at.
    pub width: u32,
    /// Height in pixels of the whole picture, upright.
    pub height: u32,
    /// The name of one of [`FORMATS`].
    pub format: &'static str,
    /// What is wrong with it, if the file is damaged.
    pub remark: Option<String>,
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
/// every pixel. Of an animation, the first frame is the picture. Of a damaged JPEG, PNG, TIFF, GIF, BMP or PNM, what
/// there is is the picture, with a remark. Camera raw files and videos are decoded as [`read`] and [`extracted`] return
/// them.
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

/// The frames of a video, as [`read`] returns it, that [`decode`] does not take: pictures to decode one by one. There
/// are none of anything else.
#[must_use]
pub fn further_frames(bytes: &[u8]) -> Vec<&[u8]> {
    let frames = containers::video::VideoExtract::parse(bytes).map(|extract| extract.frames).unwrap_or_default();
    frames.into_iter().skip(1).collect()
}

fn decode_any(bytes: &[u8], target: Option<u32>, limits: &DecodeLimits) -> Result<DecodedPhoto, PhotoError> {
    let format = format::sniff(bytes)?;
    let orientation = metadata::orientation(format, bytes).unwrap_or(1);
    let turned = orientation >= 5;
    let icc = containers::icc::find(format, bytes);
    let request = Request { limits, target, turned, icc: icc.as_deref(), loose: false };
    let (picture, mut memory, remark) = decoders::decode(format, bytes, &request)?;
    let (width, height) = if turned { (picture.full.1, picture.full.0) } else { picture.full };
    let facts = Facts { width, height, format: format.name(), remark };
    let picture = decoders::upright(picture, orientation)?;
    memory.shrink_to(picture.data.capacity() as u64 + request.resizing((picture.width, picture.height)));
    Ok(DecodedPhoto { picture, facts, _memory: memory })
}
