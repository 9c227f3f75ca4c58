//! Small pictures of photos, for thumbnails, pages and the terminal.

use super::resample::{self, ResampleFilter};
use super::{DecodeLimits, decode, read};
use anyhow::Context;
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
    let everything = (0.0, 0.0, photo.picture.full.0.into(), photo.picture.full.1.into());
    let (width, height) = (side(width), side(height));
    let data = resample::rgb(&photo.picture, everything, width, height, ResampleFilter::Bicubic)?;
    RgbImage::from_raw(width, height, data).context(MISFIT)
}
