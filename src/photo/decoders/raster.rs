//! What the `image` crate decodes, and the conversion of their many kinds of pixels to opaque RGB.

use super::{Request, color};
use crate::photo::budget::Share;
use crate::photo::picture::RgbPicture;
use crate::photo::{ErrorKind, PhotoError};
use image::{ColorType, ImageDecoder, Limits};

/// Position of the high byte of a 16-bit sample. Decoders return samples in the machine's byte order.
const HIGH: usize = if cfg!(target_endian = "big") { 0 } else { 1 };

/// Reads the picture, not yet upright, from a decoder that needs `scratch` bytes per pixel besides those it returns,
/// and the memory that it was given.
pub(super) fn pixels(
    mut decoder: impl ImageDecoder,
    scratch: u64,
    request: &Request<'_>,
) -> Result<(RgbPicture, Share), PhotoError> {
    let limits = request.limits;
    let (width, height) = decoder.dimensions();
    limits.check_size(width, height)?;
    let kind = decoder.color_type();
    let bytes = decoder.total_bytes();
    // Pixels of fewer than three bytes need a second buffer, in which they are widened to RGB.
    let spread = if kind.bytes_per_pixel() < 3 { 3 } else { 0 };
    let area = u64::from(width) * u64::from(height);
    let decoding = bytes.saturating_add(area.saturating_mul(scratch + spread));
    let memory = request.reserve((width, height), (width, height), decoding)?;
    let mut rest = Limits::no_limits();
    rest.max_alloc = Some(limits.max_alloc - bytes);
    decoder.set_limits(rest)?;

    let mut data = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
    // JPEG 2000 keeps it in the coded picture.
    let own = if request.icc.is_none() { decoder.icc_profile().ok().flatten() } else { None };
    if let Err(error) = decoder.read_image(&mut data)
        && !request.loose
    {
        return Err(error.into());
    }
    let mut data = match kind {
        ColorType::Rgb8 => data,
        ColorType::L8 => repack(data, |[v]| [v; 3]),
        ColorType::La8 => repack(data, |[v, a]| [over_white(v, a); 3]),
        ColorType::Rgba8 => opaque(data),
        ColorType::L16 => repack(data, |v: [u8; 2]| [v[HIGH]; 3]),
        ColorType::La16 => repack(data, |v: [u8; 4]| [over_white(v[HIGH], v[2 + HIGH]); 3]),
        ColorType::Rgb16 => repack(data, |v: [u8; 6]| [v[HIGH], v[2 + HIGH], v[4 + HIGH]]),
        ColorType::Rgba16 => {
            repack(data, |v: [u8; 8]| [v[HIGH], v[2 + HIGH], v[4 + HIGH]].map(|sample| over_white(sample, v[6 + HIGH])))
        }
        ColorType::Rgb32F => linear::<3>(&data),
        ColorType::Rgba32F => linear::<4>(&data),
        other => {
            let message = format!("pictures with pixels of the type {other:?} cannot be decoded");
            return Err(PhotoError::new(ErrorKind::Unsupported, message));
        }
    };
    if let Some(icc) = request.icc.or(own.as_deref()) {
        color::apply_icc(&mut data, icc);
    }
    Ok((RgbPicture::whole(width, height, data), memory))
}

/// Pixels of linear light as floats, in the machine's byte order, with alpha as a fourth: laid over white, and exposed
/// so that at most one in a hundred is brighter than white.
fn linear<const N: usize>(data: &[u8]) -> Vec<u8> {
    let floats = |pixel: &[[u8; 4]; N]| {
        pixel.map(|bytes| Some(f32::from_ne_bytes(bytes)).filter(|v| v.is_finite()).unwrap_or(0.0))
    };
    let pixels = || data.as_chunks::<4>().0.as_chunks::<N>().0.iter().map(floats);
    // Every so many pixels are enough to find out how bright it is.
    let apart = (data.len() / (4 * N) / 65_536).max(1);
    let mut brightest: Vec<f32> = pixels().step_by(apart).map(|p| p[0].max(p[1]).max(p[2])).collect();
    let at = brightest.len().saturating_sub(1) * 99 / 100;
    let white =
        if brightest.is_empty() { 1.0 } else { brightest.select_nth_unstable_by(at, f32::total_cmp).1.max(1.0) };
    pixels()
        .flat_map(|pixel| {
            let alpha = if N == 4 { pixel[3].clamp(0.0, 1.0) } else { 1.0 };
            [0, 1, 2].map(|n| color::encode((pixel[n] / white).clamp(0.0, 1.0) + (1.0 - alpha)))
        })
        .collect()
}

/// Converts pixels of `N` bytes to pixels of three, in place unless they grow.
pub(super) fn repack<const N: usize>(mut data: Vec<u8>, to_rgb: impl Fn([u8; N]) -> [u8; 3]) -> Vec<u8> {
    if N < 3 {
        return data.as_chunks::<N>().0.iter().flat_map(|pixel| to_rgb(*pixel)).collect();
    }
    let count = data.len() / N;
    for n in 0..count {
        if let Some(pixel) = data[n * N..].first_chunk::<N>() {
            let rgb = to_rgb(*pixel);
            data[n * 3..n * 3 + 3].copy_from_slice(&rgb);
        }
    }
    data.truncate(count * 3);
    data.shrink_to_fit();
    data
}

/// Pixels of red, green, blue and alpha, over white.
pub(super) fn opaque(rgba: Vec<u8>) -> Vec<u8> {
    repack(rgba, |[r, g, b, a]| [r, g, b].map(|v| over_white(v, a)))
}

/// A sample of the given alpha (not premultiplied) over white, rounded as Pillow's `alpha_composite` does.
pub(super) fn over_white(sample: u8, alpha: u8) -> u8 {
    let (sample, alpha) = (u32::from(sample), u32::from(alpha));
    // Pillow divides by 255 with 7 bits after the point.
    let sum = 128 * (sample * alpha + 255 * (255 - alpha)) + 128 * 128;
    ((((sum >> 8) + sum) >> 8) >> 7) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_over_white_is_the_rounded_mean() {
        for (sample, alpha, expected) in
            [(0, 0, 255), (7, 255, 7), (0, 255, 0), (255, 3, 255), (0, 128, 127), (100, 51, 224)]
        {
            assert_eq!(over_white(sample, alpha), expected, "{sample} with alpha {alpha}");
        }
    }

    #[test]
    fn pixels_shrink_in_place_and_grow() {
        assert_eq!(repack(vec![1, 2, 3, 0, 4, 5, 6, 0], |[r, g, b, _]| [r, g, b]), [1, 2, 3, 4, 5, 6]);
        assert_eq!(repack(vec![9, 8], |[v]| [v; 3]), [9, 9, 9, 8, 8, 8]);
    }
}
