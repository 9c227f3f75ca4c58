//! From an upright picture to the vision tower's input.

use super::config::Preprocessing;
use crate::model::Pixels;
use crate::model::resize::resize;
use crate::pixels::RgbPicture;

/// (3, crop, crop), normalised: resize so that the shortest edge fits, cut out the middle. Only the pixels that the crop
/// keeps are computed, so that a long panorama costs no more than a square.
pub(super) fn prepare(picture: &RgbPicture, how: &Preprocessing) -> anyhow::Result<Pixels> {
    let (width, height, crop) = (u64::from(picture.full.0), u64::from(picture.full.1), u64::from(how.crop));
    anyhow::ensure!(width > 0 && height > 0, "a picture without pixels");
    let everything = (0.0, 0.0, width as f64, height as f64);
    let region = how.shortest_edge.map_or(everything, |edge| {
        let (edge, short) = (u64::from(edge), width.min(height));
        // As the reference computes it: the long edge is cut down to a whole number, the crop starts at one.
        let resized = |length: u64| edge * length / short;
        let cut = |length: u64| {
            let scale = length as f64 / resized(length) as f64;
            (((resized(length) - crop) / 2) as f64 * scale, crop as f64 * scale)
        };
        let ((left, w), (top, h)) = (cut(width), cut(height));
        (left, top, w, h)
    });
    let bytes = resize(picture, region, how.crop, how.crop, how.filter)?;
    let mut pixels = vec![0.0; bytes.len()];
    for (channel, plane) in pixels.chunks_exact_mut(bytes.len() / 3).enumerate() {
        for (out, rgb) in plane.iter_mut().zip(bytes.chunks_exact(3)) {
            *out = (f32::from(rgb[channel]) * how.rescale - how.mean[channel]) / how.std[channel];
        }
    }
    Ok(Pixels(pixels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::resize::Filter;

    /// In floating point the crop may end a hair outside the picture.
    #[test]
    fn every_size_of_picture_can_be_cropped() {
        for crop in [224, 336] {
            let (mean, std) = ([0.5; 3], [0.5; 3]);
            let shortest_edge = Some(crop);
            let how = Preprocessing { shortest_edge, crop, filter: Filter::Bicubic, rescale: 1.0 / 255.0, mean, std };
            for short in [1, 2, 225, 232, 450, 457, 675, 900, 907, 1005] {
                for (width, height) in [(short, short), (short, short + 300), (short + 1, short)] {
                    let grey = vec![128; width as usize * height as usize * 3];
                    let pixels = prepare(&RgbPicture::whole(width, height, grey), &how).unwrap();
                    assert!(pixels.0.iter().all(|v| v.abs() < 0.01), "{width}x{height}");
                }
            }
        }
    }
}
