//! Small pictures of photos, for thumbnails, pages and the terminal.

use super::picture::RgbPicture;
use super::{DecodeLimits, decode, read};
use anyhow::Context;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;
use std::path::Path;

/// The picture in a file, upright, with its longest edge at most `edge` pixels.
///
/// # Errors
/// The file cannot be read or decoded.
pub fn file(path: &Path, edge: u32) -> anyhow::Result<RgbImage> {
    bytes(&read(path, &DecodeLimits::default())?, edge)
}

/// As [`file()`], from the bytes of a file.
///
/// # Errors
/// The bytes cannot be decoded.
pub fn bytes(bytes: &[u8], edge: u32) -> anyhow::Result<RgbImage> {
    const MISFIT: &str = "the picture's size and data do not match";
    let photo = decode(bytes, Some(edge), &DecodeLimits::default())?;
    let (width, height) = (photo.picture.width, photo.picture.height);
    let scale = f64::from(edge) / f64::from(width.max(height));
    if scale >= 1.0 {
        return RgbImage::from_raw(width, height, photo.picture.data).context(MISFIT);
    }
    let side = |n: u32| ((f64::from(n) * scale).round() as u32).max(1);
    let picture = photo.picture.resizable((0.0, 0.0, photo.picture.full.0.into(), photo.picture.full.1.into()));
    let RgbPicture { width: columns, height: rows, data, extent, .. } = picture.as_ref();
    let source = ImageRef::new(*columns, *rows, data, PixelType::U8x3).context(MISFIT)?;
    let mut target = Image::new(side(width), side(height), PixelType::U8x3);
    let (left, top, covered_width, covered_height) = *extent;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom)).crop(
        left,
        top,
        covered_width,
        covered_height,
    );
    Resizer::new().resize(&source, &mut target, &options).context("the picture cannot be resized")?;
    RgbImage::from_raw(target.width(), target.height(), target.into_vec()).context(MISFIT)
}
