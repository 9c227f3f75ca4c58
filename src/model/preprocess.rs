//! From an upright picture to a vision tower's input, as preprocessor_config.json or open_clip_config.json describes
//! it.

use super::Pixels;
use super::model_folder::{self, MissingFile};
use crate::photo::picture::{Region, RgbPicture};
use crate::photo::resample::{self, ResampleFilter};
use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Files that say how a picture becomes a model's input; `transformers` 5 writes the second alone.
pub(super) const PREPROCESSOR: &str = "preprocessor_config.json";
pub(super) const PROCESSOR: &str = "processor_config.json";

/// How a picture becomes the model's input.
#[derive(Clone, Debug)]
pub(super) struct Preprocessing {
    pub(super) resizing: Resizing,
    /// Edge of the square that the model sees.
    pub(super) crop: u32,
    pub(super) filter: ResampleFilter,
    pub(super) rescale: f32,
    pub(super) mean: [f32; 3],
    pub(super) std: [f32; 3],
}

/// How a picture becomes a square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resizing {
    /// Its shortest edge gets this length, in pixels, and the middle is cut out.
    ShortestEdge { edge: u32, rounding: CropRounding },
    /// It is squashed to a square with this edge, and the middle is cut out.
    Squash { edge: u32 },
    /// Its longest edge gets the square's length, and the rest is filled with black.
    Pad,
}

/// Where a middle begins that is not at a whole pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CropRounding {
    /// As in `transformers`.
    Down,
    /// As in torchvision's CenterCrop, which `open_clip` uses.
    HalfToEven,
}

#[derive(Deserialize)]
struct PreprocessorFile {
    size: Option<Size>,
    crop_size: Option<Size>,
    resample: Option<u32>,
    rescale_factor: Option<f64>,
    image_mean: Option<[f32; 3]>,
    image_std: Option<[f32; 3]>,
}

/// Older files hold a number, newer ones a map.
#[derive(Deserialize)]
#[serde(untagged)]
enum Size {
    Edge(u32),
    Map { shortest_edge: Option<u32>, longest_edge: Option<u32>, height: Option<u32>, width: Option<u32> },
}

/// What a file may order; all other orders are refused by name.
const ORDERS: [&str; 5] = ["do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"];

/// The processors to which a number is the edge of a square, and which do not crop unless they are told to.
const SQUASHING: [&str; 3] = ["Siglip", "Blip", "ChineseCLIP"];

/// A square by its edge, or a length of the shortest edge.
enum Target {
    Exact(u32),
    Shortest(u32),
}

impl Preprocessing {
    /// Reads a preprocessor_config.json, or a processor_config.json, for a model that sees a square with an edge of
    /// `image_size` pixels.
    ///
    /// # Errors
    /// It is damaged, or orders something that is not supported.
    pub(super) fn read(path: &Path, image_size: usize) -> anyhow::Result<Self> {
        let name = &path.display().to_string();
        let file: Value = read_json(path)?;
        let file = match path.file_name() {
            Some(file_name) if file_name == PROCESSOR => file.get("image_processor").cloned().unwrap_or_default(),
            _ => file,
        };
        Self::of_json(file, image_size, name)
    }

    fn of_json(file: Value, image_size: usize, name: &str) -> anyhow::Result<Self> {
        let damaged = || format!("{name} does not have the expected content");
        let fields = file.as_object().with_context(damaged)?;
        let unknown = |(order, value): &(&String, &Value)| {
            order.starts_with("do_") && !ORDERS.contains(&order.as_str()) && **value == Value::Bool(true)
        };
        if let Some((order, _)) = fields.iter().find(unknown) {
            anyhow::bail!("{name}: {order} is not supported");
        }
        anyhow::ensure!(
            fields.get("use_square_size") != Some(&Value::Bool(true)),
            "{name}: use_square_size is not supported"
        );
        // An order is given if nothing is said, but not by a null.
        let orders = |order: &str| fields.get(order).is_none_or(|value| *value == Value::Bool(true));
        let kinds = ["image_processor_type", "feature_extractor_type"].map(|kind| fields.get(kind));
        let kind = kinds.into_iter().flatten().find_map(Value::as_str).unwrap_or_default();
        anyhow::ensure!(
            kind.is_empty() || kind.starts_with("CLIP") || SQUASHING.iter().any(|known| kind.starts_with(known)),
            "{name}: pictures for a {kind} are not supported"
        );
        let is_square = SQUASHING.iter().any(|known| kind.starts_with(known));
        let crops = orders("do_center_crop") && (!is_square || fields.contains_key("do_center_crop"));
        anyhow::ensure!(orders("do_resize"), "{name}: do_resize = false is not supported");
        let (rescales, normalizes) = (orders("do_rescale"), orders("do_normalize"));
        let file: PreprocessorFile = serde_json::from_value(file).with_context(damaged)?;
        let image_size = u32::try_from(image_size)?;
        let target = match file.size {
            None if is_square || !crops => Target::Exact(image_size),
            None => Target::Shortest(image_size),
            Some(Size::Edge(edge)) if is_square => Target::Exact(edge),
            Some(Size::Edge(edge)) => Target::Shortest(edge),
            Some(Size::Map { longest_edge: Some(_), .. }) => {
                anyhow::bail!("{name}: a size by its longest_edge is not supported")
            }
            Some(Size::Map { shortest_edge: Some(edge), height: None, width: None, .. }) => Target::Shortest(edge),
            Some(Size::Map { shortest_edge: None, height: Some(height), width: Some(width), .. }) => {
                anyhow::ensure!(height == width, "{name}: {height} x {width} pixels are no square");
                Target::Exact(height)
            }
            Some(Size::Map { .. }) => anyhow::bail!("{name}: its size is not supported"),
        };
        let crop = match file.crop_size {
            _ if !crops => image_size,
            None => image_size,
            Some(Size::Edge(edge)) => edge,
            Some(Size::Map { height: Some(height), width: Some(width), .. }) if height == width => height,
            Some(Size::Map { .. }) => anyhow::bail!("{name}: the crop is not a square"),
        };
        anyhow::ensure!(crop == image_size, "{name} crops to {crop} pixels, but the model sees {image_size}");
        let resizing = match target {
            Target::Exact(edge) => {
                anyhow::ensure!(
                    crops || edge == crop,
                    "{name} resizes to {edge} pixels, but the model sees {image_size}"
                );
                Resizing::Squash { edge }
            }
            Target::Shortest(edge) => {
                anyhow::ensure!(
                    crops,
                    "{name} sets a shortest_edge and does not crop, so pictures would be no squares"
                );
                Resizing::ShortestEdge { edge, rounding: CropRounding::Down }
            }
        };
        let filter = match file.resample {
            None | Some(3) => ResampleFilter::Bicubic,
            Some(1) => ResampleFilter::Lanczos,
            Some(2) => ResampleFilter::Bilinear,
            Some(4) => ResampleFilter::Box,
            Some(5) => ResampleFilter::Hamming,
            Some(other) => anyhow::bail!("{name}: the filter {other} is not supported (1 to 5 are)"),
        };
        let rescale = if rescales { file.rescale_factor.unwrap_or(1.0 / 255.0) as f32 } else { 1.0 };
        let missing = || format!("{name} lacks image_mean or image_std");
        let (mean, std) = if normalizes {
            (file.image_mean.with_context(missing)?, file.image_std.with_context(missing)?)
        } else {
            ([0.0; 3], [1.0; 3])
        };
        Self { resizing, crop, filter, rescale, mean, std }.check(name)
    }

    /// Refuses numbers that no model has.
    pub(super) fn check(self, name: &str) -> anyhow::Result<Self> {
        const LARGEST: u32 = 2048;
        anyhow::ensure!(self.crop <= LARGEST, "{name}: pictures of {} pixels are larger than a model sees", self.crop);
        if let Resizing::ShortestEdge { edge, .. } | Resizing::Squash { edge } = self.resizing {
            anyhow::ensure!(
                (self.crop..=8192).contains(&edge),
                "{name} resizes to {edge} pixels, which is less than the crop of {} or far too large",
                self.crop
            );
        }
        let (mean, std) = (self.mean, self.std);
        anyhow::ensure!(std.iter().all(|s| s.is_finite() && *s > 0.0), "{name}: a standard deviation is not positive");
        anyhow::ensure!(
            self.rescale.is_normal() && mean.iter().all(|m| m.is_finite()),
            "{name}: the factor or a mean of the colours is not a number that a model has"
        );
        Ok(self)
    }

    /// The length that a picture's shortest edge should have at least, in pixels, to lose nothing.
    pub(super) fn shortest_edge(&self) -> u32 {
        match self.resizing {
            Resizing::ShortestEdge { edge, .. } | Resizing::Squash { edge } => edge,
            Resizing::Pad => self.crop,
        }
    }

    /// The region of a picture, in its pixels, that the model sees, and the size it gets, in pixels.
    fn region(&self, width: u64, height: u64) -> (Region, (u32, u32)) {
        let crop = u64::from(self.crop);
        let (resized, rounding) = match self.resizing {
            Resizing::Pad => {
                let ratio = width.max(height) as f64 / crop as f64;
                let side = |length: u64| ((length as f64 / ratio).round_ties_even() as u32).clamp(1, self.crop);
                return ((0.0, 0.0, width as f64, height as f64), (side(width), side(height)));
            }
            Resizing::Squash { edge } if edge == self.crop => {
                return ((0.0, 0.0, width as f64, height as f64), (edge, edge));
            }
            Resizing::Squash { edge } => ((edge.into(), edge.into()), CropRounding::Down),
            // As in the references: the long edge is rounded down to a whole number.
            Resizing::ShortestEdge { edge, rounding } => {
                let (edge, short) = (u64::from(edge), width.min(height));
                ((edge * width / short, edge * height / short), rounding)
            }
        };
        let cut = |length: u64, resized: u64| {
            let scale = length as f64 / resized as f64;
            let offset = match rounding {
                CropRounding::Down => (resized - crop) / 2,
                CropRounding::HalfToEven => ((resized - crop) as f64 / 2.0).round_ties_even() as u64,
            };
            (offset as f64 * scale, crop as f64 * scale)
        };
        let ((left, w), (top, h)) = (cut(width, resized.0), cut(height, resized.1));
        ((left, top, w, h), (self.crop, self.crop))
    }
}

/// The file that says how a picture becomes the input of the model in a folder: one of its own, if it has one.
///
/// # Errors
/// There is none.
pub(super) fn file_of(folder: &Path) -> anyhow::Result<PathBuf> {
    let own = [PREPROCESSOR, PROCESSOR].map(|name| folder.join(name)).into_iter().filter(|path| path.is_file());
    let others = [PREPROCESSOR, PROCESSOR].into_iter().filter_map(|name| model_folder::find(folder, name));
    let found = own.chain(others).find(|path| !path.ends_with(PROCESSOR) || has_image_processor(path));
    found.ok_or_else(|| MissingFile::new(folder, PREPROCESSOR).into())
}

/// The name of that file in a repository, of which `has` tells what there is and `small` fetches one.
///
/// # Errors
/// There is none, or the server cannot be asked.
pub(super) fn wanted(
    has: &dyn Fn(&str) -> anyhow::Result<bool>,
    small: &dyn Fn(&str) -> anyhow::Result<PathBuf>,
) -> anyhow::Result<&'static str> {
    if has(PREPROCESSOR)? {
        return Ok(PREPROCESSOR);
    }
    anyhow::ensure!(
        has(PROCESSOR)? && has_image_processor(&small(PROCESSOR)?),
        "the repository holds no {PREPROCESSOR}"
    );
    Ok(PROCESSOR)
}

fn has_image_processor(path: &Path) -> bool {
    read_json::<Value>(path).is_ok_and(|file| file.get("image_processor").is_some())
}

/// Reads one of a model's JSON files.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} does not have the expected content", path.display()))
}

/// The model's input, (3, crop, crop), normalised. Only the pixels that the crop keeps are computed, so that a long
/// panorama costs no more than a square.
pub(super) fn prepare(picture: &RgbPicture, how: &Preprocessing) -> anyhow::Result<Pixels> {
    let (width, height, crop) = (u64::from(picture.full.0), u64::from(picture.full.1), how.crop as usize);
    anyhow::ensure!(width > 0 && height > 0, "a picture without pixels");
    let (region, (columns, rows)) = how.region(width, height);
    let bytes = resample::rgb(picture, region, columns, rows, how.filter)?;
    let (columns, rows) = (columns as usize, rows as usize);
    let (left, top) = ((crop - columns) / 2, (crop - rows) / 2);
    let mut pixels = Vec::with_capacity(3 * crop * crop);
    for channel in 0..3 {
        let value = |byte: u8| (f32::from(byte) * how.rescale - how.mean[channel]) / how.std[channel];
        let start = pixels.len();
        pixels.resize(start + crop * crop, value(0));
        for (row, line) in bytes.chunks_exact(3 * columns).enumerate() {
            let at = start + (top + row) * crop + left;
            for (out, rgb) in pixels[at..at + columns].iter_mut().zip(line.chunks_exact(3)) {
                *out = value(rgb[channel]);
            }
        }
    }
    Ok(Pixels(pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preprocessing(settings: &str, image_size: usize) -> anyhow::Result<Preprocessing> {
        let json = format!(r#"{{"image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5],{settings}}}"#);
        Preprocessing::of_json(serde_json::from_str(&json).unwrap(), image_size, "file")
    }

    const SHORTEST: Resizing = Resizing::ShortestEdge { edge: 224, rounding: CropRounding::Down };

    #[test]
    fn old_and_new_files_are_read() {
        for (settings, size, resizing) in [
            (r#""size":224,"crop_size":224,"do_center_crop":true"#, 224, SHORTEST),
            (r#""size":{"shortest_edge":224},"crop_size":{"height":224,"width":224}"#, 224, SHORTEST),
            (r#""resample":3"#, 224, SHORTEST),
            (r#""size":{"height":256,"width":256},"do_center_crop":false"#, 256, Resizing::Squash { edge: 256 }),
            (
                r#""size":{"height":64,"width":64},"do_center_crop":null,"crop_size":null"#,
                64,
                Resizing::Squash { edge: 64 },
            ),
            (r#""size":{"height":256,"width":256},"crop_size":224"#, 224, Resizing::Squash { edge: 256 }),
            (
                r#""size":{"height":384,"width":384},"image_processor_type":"SiglipImageProcessor""#,
                384,
                Resizing::Squash { edge: 384 },
            ),
            (r#""size":224,"image_processor_type":"BlipImageProcessor""#, 224, Resizing::Squash { edge: 224 }),
        ] {
            assert_eq!(preprocessing(settings, size).unwrap().resizing, resizing, "{settings}");
        }
        let plain = preprocessing(r#""do_rescale":false,"do_normalize":null,"resample":2"#, 224).unwrap();
        assert_eq!((plain.rescale, plain.mean, plain.std), (1.0, [0.0; 3], [1.0; 3]));
        assert_eq!(plain.filter, ResampleFilter::Bilinear);
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        for (settings, word) in [
            (r#""do_resize":false"#, "do_resize"),
            (r#""do_resize":null"#, "do_resize"),
            (r#""use_square_size":true"#, "use_square_size"),
            (r#""image_processor_type":"ViTImageProcessor""#, "ViTImageProcessor"),
            (r#""do_pad":true"#, "do_pad"),
            (r#""size":{"longest_edge":224}"#, "longest_edge"),
            (r#""size":{"shortest_edge":224},"do_center_crop":false"#, "shortest_edge"),
            (r#""size":{"height":224,"width":336}"#, "square"),
            (r#""size":{"height":256,"width":256},"do_center_crop":null"#, "256"),
            (r#""crop_size":336"#, "336"),
            (r#""size":200"#, "200"),
            (r#""resample":0"#, "filter 0"),
            (r#""rescale_factor":0"#, "factor"),
        ] {
            let error = preprocessing(settings, 224).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("file"), "{settings}: {error}");
        }
        let none = Preprocessing::of_json(serde_json::json!({}), 224, "file").unwrap_err().to_string();
        assert!(none.contains("image_mean"), "{none}");
    }

    #[test]
    fn a_picture_is_cut_or_filled_as_the_references_do() {
        let how = |resizing| Preprocessing {
            resizing,
            crop: 64,
            filter: ResampleFilter::Bicubic,
            rescale: 1.0 / 255.0,
            mean: [0.5; 3],
            std: [0.5; 3],
        };
        let of = |rounding| how(Resizing::ShortestEdge { edge: 64, rounding });
        // 67 pixels of which 64 are kept: the first is at 1.5.
        assert_eq!(of(CropRounding::Down).region(67, 64), ((1.0, 0.0, 64.0, 64.0), (64, 64)));
        assert_eq!(of(CropRounding::HalfToEven).region(67, 64), ((2.0, 0.0, 64.0, 64.0), (64, 64)));
        assert_eq!(how(Resizing::Pad).region(640, 200), ((0.0, 0.0, 640.0, 200.0), (64, 20)));
        let white = prepare(&RgbPicture::whole(640, 200, vec![255; 640 * 200 * 3]), &how(Resizing::Pad)).unwrap();
        let rows: Vec<f32> = white.0.iter().step_by(64).take(64).copied().collect();
        assert_eq!(rows.iter().position(|v| *v > 0.9), Some(22));
        assert_eq!((rows.iter().filter(|v| **v > 0.9).count(), rows[0]), (20, -1.0));
    }

    /// In floating point the crop may end a hair outside the picture.
    #[test]
    fn every_size_of_picture_can_be_cropped() {
        for crop in [224, 336] {
            let (mean, std) = ([0.5; 3], [0.5; 3]);
            let resizing = Resizing::ShortestEdge { edge: crop, rounding: CropRounding::Down };
            let how =
                Preprocessing { resizing, crop, filter: ResampleFilter::Bicubic, rescale: 1.0 / 255.0, mean, std };
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
