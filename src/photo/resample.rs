//! Resampling with antialiasing, as Pillow does it (`Image.resize`): the filter widened by the scale, horizontal pass
//! first, 8-bit between the passes. Bicubic is the one with a = -0.5.

use super::picture::{Region, RgbPicture};
use anyhow::Context;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

/// The filters behind Pillow's `resample` numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResampleFilter {
    /// 1
    Lanczos,
    /// 2
    Bilinear,
    /// 3
    Bicubic,
    /// 4
    Box,
    /// 5
    Hamming,
}

/// `region` of a picture, in pixels of its full size, as `width` x `height` x RGB bytes.
///
/// # Errors
/// The region is not inside the picture, or the picture's size and data do not match.
pub fn rgb(
    picture: &RgbPicture,
    region: Region,
    width: u32,
    height: u32,
    filter: ResampleFilter,
) -> anyhow::Result<Vec<u8>> {
    let picture = picture.resizable(region);
    let region = picture.locate(region);
    pixels::<U8x3>(&picture.data, (picture.width, picture.height), region, (width, height), filter)
}

/// All of a picture, whose grey values are `grey`, as `width` x `height` bytes.
///
/// # Errors
/// The picture's size and data do not match.
pub fn grey(
    picture: &RgbPicture,
    grey: &[u8],
    width: u32,
    height: u32,
    filter: ResampleFilter,
) -> anyhow::Result<Vec<u8>> {
    pixels::<U8>(grey, (picture.width, picture.height), picture.extent, (width, height), filter)
}

/// The type of pixels is known while compiling: code for all that there are would be a quarter of the program's.
fn pixels<P: PixelTrait>(
    data: &[u8],
    size: (u32, u32),
    (left, top, w, h): Region,
    to: (u32, u32),
    filter: ResampleFilter,
) -> anyhow::Result<Vec<u8>> {
    let source =
        TypedImageRef::<P>::from_buffer(size.0, size.1, data).context("the picture's size and data do not match")?;
    let mut out = vec![0; to.0 as usize * to.1 as usize * P::size()];
    let mut target = TypedImage::<P>::from_buffer(to.0, to.1, &mut out).context("the picture cannot have this size")?;
    let filter = match filter {
        ResampleFilter::Lanczos => FilterType::Lanczos3,
        ResampleFilter::Bilinear => FilterType::Bilinear,
        ResampleFilter::Bicubic => FilterType::CatmullRom,
        ResampleFilter::Box => FilterType::Box,
        ResampleFilter::Hamming => FilterType::Hamming,
    };
    // Rounding may put an edge a hair outside, which the resizer refuses.
    let (w, h) = (w.min(f64::from(size.0) - left), h.min(f64::from(size.1) - top));
    let options =
        ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false).crop(left, top, w, h);
    Resizer::new().resize_typed(&source, &mut target, &options).context("the picture cannot be resized")?;
    Ok(out)
}
