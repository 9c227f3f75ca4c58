//! Copies of pictures with frames drawn into them.

use super::copy::{create, fresh};
use super::unwritten;
use crate::photo::{self, DecodeLimits};
use crate::terminal::sanitize;
use anyhow::Context;
use image::{Rgb, RgbImage};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

const COLOUR: Rgb<u8> = Rgb([255, 32, 96]);
/// How well the copy is kept as a JPEG.
const QUALITY: u8 = 92;

/// Writes a copy of a picture into `folder`, as a JPEG, with frames around areas whose corners are in upright pixels.
/// Nothing is overwritten.
///
/// # Errors
/// The picture cannot be read, or the copy cannot be written.
pub fn draw(path: &Path, frames: &[[[f32; 2]; 4]], folder: &Path) -> anyhow::Result<PathBuf> {
    create(folder)?;
    let name = || format!("{} cannot be read", sanitize::path(path));
    let bytes = photo::read(path, &DecodeLimits::default()).with_context(name)?;
    let photo = photo::decode(&bytes, None, &DecodeLimits::default()).with_context(name)?;
    let (width, height) = (photo.picture.width, photo.picture.height);
    let mut copy = RgbImage::from_raw(width, height, photo.picture.data.clone()).with_context(name)?;
    let (full_width, full_height) = photo.picture.full;
    let scale = [width as f32 / full_width as f32, height as f32 / full_height as f32];
    let thick = 1 + width.max(height) / 800;
    for frame in frames {
        let corners = frame.map(|[x, y]| [x * scale[0], y * scale[1]]);
        for (from, to) in corners.iter().zip(corners.iter().cycle().skip(1)) {
            stroke(&mut copy, *from, *to, thick);
        }
    }
    let mut copied = path.file_stem().unwrap_or_default().to_owned();
    copied.push("-text.jpg");
    let (file, path) =
        fresh(folder, Path::new(&copied), |path| File::create_new(path)).map_err(|error| unwritten(folder, error))?;
    let mut writer = BufWriter::new(file);
    let written = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut writer, QUALITY).encode_image(&copy);
    written.with_context(|| format!("{} cannot be written", sanitize::path(&path)))?;
    writer.into_inner().map_err(|error| unwritten(&path, error.into_error()))?;
    Ok(path)
}

/// A line of squares of `thick` pixels.
fn stroke(picture: &mut RgbImage, from: [f32; 2], to: [f32; 2], thick: u32) {
    let (across, down) = (to[0] - from[0], to[1] - from[1]);
    // Corners may lie outside, but not far.
    let steps = across.abs().max(down.abs()).ceil().clamp(1.0, 1e6) as u32;
    for step in 0..=steps {
        let share = step as f32 / steps as f32;
        let (x, y) = (from[0] + share * across, from[1] + share * down);
        for square in 0..thick * thick {
            let at = |from: f32, n: u32| (from as i64 + i64::from(n)) - i64::from(thick / 2);
            let (x, y) = (at(x, square % thick), at(y, square / thick));
            if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y))
                && let Some(pixel) = picture.get_pixel_mut_checked(x, y)
            {
                *pixel = COLOUR;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_end_at_the_edge() {
        let mut picture = RgbImage::new(20, 10);
        stroke(&mut picture, [-5.0, 4.0], [30.0, 4.0], 1);
        assert!((0..20).all(|x| *picture.get_pixel(x, 4) == COLOUR && *picture.get_pixel(x, 6) != COLOUR));
    }
}
