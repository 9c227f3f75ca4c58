//! From an upright picture to a vision tower's input, as preprocessor_config.json describes it.

use super::Pixels;

use crate::photo::picture::RgbPicture;
use crate::photo::resample::{self, ResampleFilter};
use anyhow::Context;
use serde::Deserialize;
use std::path::Path;

/// How a picture becomes the model's input.
#[derive(Clone, Debug)]
pub(super) struct Preprocessing {
    /// Length of the shortest edge after resizing, in pixels; `None` squashes the picture to the crop's size.
    pub(super) shortest_edge: Option<u32>,
    /// Edge of the square that is cut out of the middle.
    pub(super) crop: u32,
    pub(super) filter: ResampleFilter,
    pub(super) rescale: f32,
    pub(super) mean: [f32; 3],
    pub(super) std: [f32; 3],
}

#[derive(Deserialize)]
struct PreprocessorFile {
    size: Option<Size>,
    crop_size: Option<Size>,
    #[serde(default = "yes")]
    do_center_crop: bool,
    resample: Option<u32>,
    rescale_factor: Option<f64>,
    image_mean: [f32; 3],
    image_std: [f32; 3],
}

fn yes() -> bool {
    true
}

/// Older files hold a number, newer ones a map.
#[derive(Deserialize)]
#[serde(untagged)]
enum Size {
    Edge(u32),
    Map { shortest_edge: Option<u32>, height: Option<u32>, width: Option<u32> },
}

impl Preprocessing {
    /// Reads preprocessor_config.json for a model that sees a square with an edge of `image_size` pixels.
    pub(super) fn read(path: &Path, image_size: usize) -> anyhow::Result<Self> {
        let file: PreprocessorFile = read_json(path)?;
        let name = path.display();
        let image_size = u32::try_from(image_size)?;
        let crop = match (file.do_center_crop, file.crop_size) {
            (true, Some(Size::Edge(edge))) => edge,
            (true, Some(Size::Map { height: Some(height), width: Some(width), .. })) if height == width => height,
            (true, Some(Size::Map { .. })) => anyhow::bail!("{name}: the crop is not a square"),
            _ => image_size,
        };
        anyhow::ensure!(crop == image_size, "{name} crops to {crop} pixels, but the model sees {image_size}");
        let shortest_edge = match file.size {
            None => Some(image_size),
            Some(Size::Edge(edge) | Size::Map { shortest_edge: Some(edge), .. }) => Some(edge),
            Some(Size::Map { .. }) => None,
        };
        anyhow::ensure!(
            shortest_edge.is_none_or(|edge| (crop..=8192).contains(&edge)),
            "{name} resizes to {shortest_edge:?} pixels, which is less than the crop of {crop} or far too large"
        );
        let filter = match file.resample {
            None | Some(3) => ResampleFilter::Bicubic,
            Some(2) => ResampleFilter::Bilinear,
            Some(1) => ResampleFilter::Lanczos,
            Some(other) => anyhow::bail!("{name}: unknown filter {other} (1, 2 and 3 are supported)"),
        };
        let (mean, std) = (file.image_mean, file.image_std);
        anyhow::ensure!(std.iter().all(|s| s.is_finite() && *s > 0.0), "{name}: a standard deviation is not positive");
        let rescale = file.rescale_factor.unwrap_or(1.0 / 255.0) as f32;
        anyhow::ensure!(
            rescale.is_normal() && mean.iter().all(|m| m.is_finite()),
            "{name}: the factor or a mean of the colours is not a number that a model has"
        );
        Ok(Self { shortest_edge, crop, filter, rescale, mean, std })
    }
}

/// Reads one of a model's JSON files.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} does not have the expected content", path.display()))
}

/// The model's input, (3, crop, crop), normalised: the picture is resized so that the shortest edge fits, and the
/// middle is cut out. Only the pixels that the crop keeps are computed, so that a long panorama costs no more than a
/// square.
pub(super) fn prepare(picture: &RgbPicture, how: &Preprocessing) -> anyhow::Result<Pixels> {
    let (width, height, crop) = (u64::from(picture.full.0), u64::from(picture.full.1), u64::from(how.crop));
    anyhow::ensure!(width > 0 && height > 0, "a picture without pixels");
    let everything = (0.0, 0.0, width as f64, height as f64);
    let region = how.shortest_edge.map_or(everything, |edge| {
        let (edge, short) = (u64::from(edge), width.min(height));
        // As in the reference: the long edge is rounded down to a whole number, and the crop starts at a whole pixel.
        let resized = |length: u64| edge * length / short;
        let cut = |length: u64| {
            let scale = length as f64 / resized(length) as f64;
            (((resized(length) - crop) / 2) as f64 * scale, crop as f64 * scale)
        };
        let ((left, w), (top, h)) = (cut(width), cut(height));
        (left, top, w, h)
    });
    let bytes = resample::rgb(picture, region, how.crop, how.crop, how.filter)?;
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

    fn preprocessing(json: &str, image_size: usize) -> anyhow::Result<Preprocessing> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("preprocessor_config.json");
        std::fs::write(&path, json).unwrap();
        Preprocessing::read(&path, image_size)
    }

    #[test]
    fn old_and_new_preprocessor_files_are_read() {
        let rest = r#""image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5]"#;
        let old =
            preprocessing(&format!(r#"{{"size":224,"crop_size":224,"do_center_crop":true,"resample":3,{rest}}}"#), 224);
        assert_eq!(old.unwrap().shortest_edge, Some(224));
        let squash = format!(r#"{{"size":{{"height":256,"width":256}},"do_center_crop":false,"resample":2,{rest}}}"#);
        let squash = preprocessing(&squash, 256).unwrap();
        assert_eq!((squash.shortest_edge, squash.crop, squash.filter), (None, 256, ResampleFilter::Bilinear));
        assert!(preprocessing(&format!(r#"{{"size":224,"crop_size":224,{rest}}}"#), 336).is_err());
        assert!(preprocessing(r#"{"size":224,"image_mean":[0,0,0],"image_std":[1,0,1]}"#, 224).is_err());
    }

    /// In floating point the crop may end a hair outside the picture.
    #[test]
    fn every_size_of_picture_can_be_cropped() {
        for crop in [224, 336] {
            let (mean, std) = ([0.5; 3], [0.5; 3]);
            let shortest_edge = Some(crop);
            let how =
                Preprocessing { shortest_edge, crop, filter: ResampleFilter::Bicubic, rescale: 1.0 / 255.0, mean, std };
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
