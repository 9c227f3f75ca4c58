//! Bicubic resizing with antialiasing, as Pillow does it (`Image.resize(size, Image.BICUBIC)`): a = -0.5, the filter
//! widened by the scale, horizontal pass first, 8-bit between the passes.

use crate::photo::picture::{Region, RgbPicture};
use anyhow::Context;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// The filters behind Pillow's `resample` numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResizeFilter {
    Bicubic,
    Bilinear,
    Lanczos,
}

/// `region` of a picture, in pixels of its full size, as `width` x `height` x RGB bytes.
pub(super) fn resize(
    picture: &RgbPicture,
    region: Region,
    width: u32,
    height: u32,
    filter: ResizeFilter,
) -> anyhow::Result<Vec<u8>> {
    let picture = picture.resizable(region);
    let source = ImageRef::new(picture.width, picture.height, &picture.data, PixelType::U8x3)
        .context("the picture's size and data do not match")?;
    let mut target = Image::new(width, height, PixelType::U8x3);
    let filter = match filter {
        ResizeFilter::Bicubic => FilterType::CatmullRom,
        ResizeFilter::Bilinear => FilterType::Bilinear,
        ResizeFilter::Lanczos => FilterType::Lanczos3,
    };
    let (left, top, w, h) = picture.locate(region);
    // Rounding may put an edge a hair outside, which the resizer refuses.
    let (w, h) = (w.min(f64::from(picture.width) - left), h.min(f64::from(picture.height) - top));
    let options =
        ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false).crop(left, top, w, h);
    Resizer::new().resize(&source, &mut target, &options).context("the picture cannot be resized")?;
    Ok(target.into_vec())
}
