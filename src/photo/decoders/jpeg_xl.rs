//! JPEG XL by `jxl-oxide`, which turns the picture upright and converts its colours.

use super::{Request, color, raster};
use crate::photo::budget::Share;
use crate::photo::picture::RgbPicture;
use crate::photo::{ErrorKind, PhotoError};
use jxl_oxide::{AllocTracker, EnumColourEncoding, JxlImage, JxlThreadPool, Moxcms, RenderingIntent};

/// Bytes that decoding a pixel takes: three channels of 32 bits, and as many again while filters run.
const SCRATCH: u64 = 32;

/// The first frame, upright, and the memory that it was given.
pub(super) fn decode(bytes: &[u8], request: &Request<'_>) -> Result<(RgbPicture, Share), PhotoError> {
    let most = usize::try_from(request.limits.max_alloc).unwrap_or(usize::MAX);
    let mut image = JxlImage::builder()
        .pool(JxlThreadPool::none())
        .alloc_tracker(AllocTracker::with_limit(most))
        .read(bytes)
        .map_err(failed)?;
    let (width, height) = (image.width(), image.height());
    request.limits.check_size(width, height)?;
    let area = u64::from(width) * u64::from(height);
    let memory = request.reserve((width, height), (width, height), area.saturating_mul(SCRATCH))?;
    // What has the reference's colours is to keep its pixels.
    let foreign = image.original_icc().is_none_or(|icc| !color::is_srgb(icc));
    if foreign || image.pixel_format().has_black() {
        image.set_cms(Moxcms);
        image.request_color_encoding(EnumColourEncoding::srgb(RenderingIntent::Perceptual));
    }
    if image.num_loaded_keyframes() == 0 {
        return Err(PhotoError::truncated());
    }
    let frame = image.render_frame(0).map_err(failed)?;
    let mut stream = frame.stream();
    let channels = stream.channels() as usize;
    let mut data = vec![0_u8; stream.width() as usize * stream.height() as usize * channels];
    stream.write_to_buffer(&mut data);
    let data = match channels {
        1 => raster::repack(data, |[v]| [v; 3]),
        2 => raster::repack(data, |[v, a]| [raster::over_white(v, a); 3]),
        3 => data,
        4 => raster::opaque(data),
        more => {
            let message = format!("JPEG XL pictures with {more} channels cannot be decoded");
            return Err(PhotoError::new(ErrorKind::Unsupported, message));
        }
    };
    Ok((RgbPicture::whole(stream.width(), stream.height(), data), memory))
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> PhotoError {
    let text = error.to_string();
    if text.contains("out of memory") || text.contains("allocat") {
        return PhotoError::new(ErrorKind::TooLarge, format!("decoding needs more memory than is allowed: {text}"));
    }
    if text.contains("unexpected end") || text.contains("ended before") || text.contains("EOF") {
        return PhotoError::truncated();
    }
    PhotoError::new(ErrorKind::Damaged, text)
}
