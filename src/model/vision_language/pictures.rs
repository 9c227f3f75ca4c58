//! From a picture to what the vision tower sees: resized, cut into tiles, and normalised, as the image processors of
//! `transformers` do it with Pillow.

use super::config::{ModelFamily, VisionLanguageConfig};
use crate::model::preprocess::{self, Preprocessing, read_json};
use crate::photo::picture::RgbPicture;
use crate::photo::resample::{self, ResampleFilter};
use anyhow::Context;
use serde_json::Value;
use std::borrow::Cow;
use std::path::Path;

/// The longest edge that a picture is resized to, in pixels.
const LONGEST: u32 = 4096;
/// The most tiles of a picture.
const MOST_TILES: u32 = 256;
/// The most pixels that Qwen3-VL gets here: its own limit of 16 million takes hours on a processor.
const MOST_QWEN_PIXELS: f64 = 1_048_576.0;

/// How pictures become a model's input.
#[derive(Clone, Debug)]
pub(super) enum PicturePlan {
    /// A square from the middle: LLaVA.
    Square(Preprocessing),
    /// The picture in its own shape, between two lengths; perhaps its quarters too: Idefics 2.
    Native { longest: u32, shortest: u32, splits: bool, colours: Colours },
    /// Square tiles, and the whole squashed to one: SmolVLM.
    Tiles { longest: u32, tile: u32, splits: bool, colours: Colours },
    /// The picture in its own shape, in sides that are multiples of `unit`: Qwen3-VL.
    Grid { unit: u32, fewest: f64, most: f64, colours: Colours },
}

/// How bytes become numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Colours {
    filter: ResampleFilter,
    rescale: f32,
    mean: [f32; 3],
    std: [f32; 3],
}

/// How a picture was cut: rows and columns of tiles, of quarters, or of tokens; 0 for a picture that was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureLayout {
    /// How many rows there are.
    pub rows: u32,
    /// How many columns there are.
    pub columns: u32,
}

impl PictureLayout {
    /// A picture that was not cut.
    pub(super) const WHOLE: Self = Self { rows: 0, columns: 0 };
}

/// A picture as the input of a vision-language model; made by [`super::VisionLanguage::prepare`] of the same model.
#[derive(Clone, Debug, PartialEq)]
pub struct PreparedPicture {
    /// Tiles or quarters row by row, and the whole picture last.
    pub parts: Vec<PicturePart>,
    /// How it was cut.
    pub layout: PictureLayout,
}

/// A picture or a part of one, normalised.
#[derive(Clone, Debug, PartialEq)]
pub struct PicturePart {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// (3, height, width)
    pub pixels: Vec<f32>,
}

impl PicturePlan {
    /// Reads how a folder's model gets pictures.
    ///
    /// # Errors
    /// The file is missing or damaged, or orders something that is not supported.
    pub(super) fn read(folder: &Path, config: &VisionLanguageConfig) -> anyhow::Result<Self> {
        let path = preprocess::file_of(folder)?;
        let vision = &config.vision;
        if let ModelFamily::Llava { .. } = config.family {
            return Ok(Self::Square(Preprocessing::read(&path, vision.image)?));
        }
        let file: Value = read_json(&path)?;
        let file = if path.ends_with(preprocess::PROCESSOR) { &file["image_processor"] } else { &file };
        let name = &path.display().to_string();
        let colours = Colours::of(file, name, &config.family)?;
        let edge = |of: &Value, key: &str, default: u32| {
            let edge = if of[key].is_null() { Some(u64::from(default)) } else { of[key].as_u64() };
            let edge = edge.filter(|edge| (1..=u64::from(LONGEST)).contains(edge)).map(|edge| edge as u32);
            edge.with_context(|| format!("{name}: {key} is not an edge of a picture"))
        };
        let splits = file["do_image_splitting"].as_bool().unwrap_or(true);
        match &config.family {
            ModelFamily::Idefics2(_) => {
                let longest = edge(&file["size"], "longest_edge", 980)?;
                let shortest = edge(&file["size"], "shortest_edge", 378)?;
                anyhow::ensure!(
                    shortest <= longest && (longest as usize) < (vision.side + 1) * vision.patch,
                    "{name}: pictures of {longest} pixels are larger than the model sees"
                );
                anyhow::ensure!(
                    shortest as usize >= vision.patch,
                    "{name}: pictures of {shortest} pixels have no whole patch"
                );
                Ok(Self::Native { longest, shortest, splits, colours })
            }
            ModelFamily::Qwen { merge, .. } => {
                let pixels = |key: &str, older: &str, default: f64| {
                    let found = [&file["size"][key], &file[older]].into_iter().find_map(Value::as_f64);
                    found.unwrap_or(default)
                };
                let unit = (vision.patch * merge) as u32;
                let (fewest, most) = (
                    pixels("shortest_edge", "min_pixels", 65_536.0),
                    pixels("longest_edge", "max_pixels", 16_777_216.0),
                );
                let most = most.min(MOST_QWEN_PIXELS.max(fewest));
                let of_unit = f64::from(unit) * f64::from(unit);
                anyhow::ensure!(
                    unit <= 512 && (1.0..=MOST_QWEN_PIXELS).contains(&fewest) && most >= of_unit && most >= fewest,
                    "{name}: its numbers of pixels are not supported"
                );
                Ok(Self::Grid { unit, fewest, most, colours })
            }
            _ => {
                let tile = edge(&file["max_image_size"], "longest_edge", vision.image as u32)?;
                let longest = edge(&file["size"], "longest_edge", 4 * tile)?;
                anyhow::ensure!(
                    tile as usize == vision.image,
                    "{name} cuts tiles of {tile} pixels, but the model sees {}",
                    vision.image
                );
                anyhow::ensure!(
                    longest.div_ceil(tile).pow(2) <= MOST_TILES,
                    "{name}: pictures of {longest} pixels have too many tiles of {tile}"
                );
                Ok(Self::Tiles { longest, tile, splits, colours })
            }
        }
    }

    /// The length that a picture's shortest edge should have at least, in pixels, to lose nothing.
    pub(super) fn shortest_edge(&self) -> u32 {
        match self {
            Self::Square(how) => how.shortest_edge(),
            Self::Native { longest, .. } | Self::Tiles { longest, .. } => *longest,
            Self::Grid { most, .. } => most.sqrt() as u32,
        }
    }

    /// Whether pictures are cut into parts by default.
    pub(super) fn splits(&self) -> bool {
        match self {
            Self::Native { splits, .. } | Self::Tiles { splits, .. } => *splits,
            Self::Square(_) | Self::Grid { .. } => false,
        }
    }

    /// Resizes, cuts and normalises a picture; into parts only if `splits` asks for it.
    ///
    /// # Errors
    /// A picture without pixels, or one whose shape the model refuses.
    pub(super) fn prepare(&self, picture: &RgbPicture, splits: bool) -> anyhow::Result<PreparedPicture> {
        let (full_width, full_height) = picture.full;
        anyhow::ensure!(full_width > 0 && full_height > 0, "a picture without pixels");
        let whole = |part| PreparedPicture { parts: vec![part], layout: PictureLayout::WHOLE };
        match self {
            Self::Square(how) => {
                let (pixels, edge) = (preprocess::prepare(picture, how)?.0, how.crop as usize);
                Ok(whole(PicturePart { width: edge, height: edge, pixels }))
            }
            Self::Native { longest, shortest, splits: _, colours } => {
                let size = |width, height| native_size((width, height), *longest, *shortest);
                let mut parts = Vec::new();
                let mut layout = PictureLayout::WHOLE;
                if splits && picture.width > 1 && picture.height > 1 && full_width > 1 && full_height > 1 {
                    for quarter in quarters(picture) {
                        parts.push(colours.resized(&quarter, size(quarter.full.0, quarter.full.1))?);
                    }
                    layout = PictureLayout { rows: 2, columns: 2 };
                }
                parts.push(colours.resized(picture, size(full_width, full_height))?);
                Ok(PreparedPicture { parts, layout })
            }
            Self::Tiles { longest, tile, splits: _, colours } => {
                let size = tiled_size((full_width, full_height), *longest);
                let first = colours.scaled(picture, size)?;
                if !splits {
                    return Ok(whole(colours.resized(&first, (*tile, *tile))?));
                }
                let size = padded_size(size, *tile);
                anyhow::ensure!(
                    u64::from(size.0 / tile) * u64::from(size.1 / tile) <= u64::from(MOST_TILES),
                    "a picture with more than {MOST_TILES} tiles"
                );
                let second = colours.scaled(&first, size)?;
                if size == (*tile, *tile) {
                    return Ok(whole(colours.normalised(&second.data, size)));
                }
                let (rows, columns) = (size.1 / tile, size.0 / tile);
                let mut parts = Vec::with_capacity((rows * columns + 1) as usize);
                for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                    let bytes = cropped(&second, (column * tile, row * tile), (*tile, *tile));
                    parts.push(colours.normalised(&bytes, (*tile, *tile)));
                }
                parts.push(colours.resized(&second, (*tile, *tile))?);
                Ok(PreparedPicture { parts, layout: PictureLayout { rows, columns } })
            }
            Self::Grid { unit, fewest, most, colours } => {
                let size = grid_size((full_width, full_height), *unit, *fewest, *most)?;
                let layout = PictureLayout { rows: size.1 / unit, columns: size.0 / unit };
                Ok(PreparedPicture { parts: vec![colours.resized(picture, size)?], layout })
            }
        }
    }
}

impl Colours {
    fn of(file: &Value, name: &str, family: &ModelFamily) -> anyhow::Result<Self> {
        for order in ["do_resize", "do_rescale", "do_normalize"] {
            anyhow::ensure!(file[order].as_bool() != Some(false), "{name}: {order} = false is not supported");
        }
        let filter = match (file["resample"].as_u64(), family) {
            (Some(1), _) | (None, ModelFamily::Smol { .. }) => ResampleFilter::Lanczos,
            (Some(2), _) | (None, ModelFamily::Idefics2(_)) => ResampleFilter::Bilinear,
            (Some(3) | None, _) => ResampleFilter::Bicubic,
            (Some(other), _) => anyhow::bail!("{name}: the filter {other} is not supported (1 to 3 are)"),
        };
        let three = |key: &str| -> anyhow::Result<[f32; 3]> {
            if file[key].is_null() {
                return Ok([0.5; 3]);
            }
            let list: Vec<f32> =
                file[key].as_array().into_iter().flatten().filter_map(Value::as_f64).map(|n| n as f32).collect();
            let three = <[f32; 3]>::try_from(list).ok().filter(|three| three.iter().all(|n| n.is_finite()));
            three.with_context(|| format!("{name}: {key} does not have three numbers"))
        };
        let (mean, std) = (three("image_mean")?, three("image_std")?);
        let rescale = file["rescale_factor"].as_f64().unwrap_or(1.0 / 255.0) as f32;
        anyhow::ensure!(
            std.iter().all(|s| *s > 0.0) && rescale.is_normal(),
            "{name}: its factor or standard deviations are not those of a model"
        );
        Ok(Self { filter, rescale, mean, std })
    }

    /// All of a picture in another size.
    fn scaled<'a>(&self, picture: &'a RgbPicture, (width, height): (u32, u32)) -> anyhow::Result<Cow<'a, RgbPicture>> {
        let is_same = (picture.width, picture.height) == (width, height) && picture.full == (width, height);
        if is_same {
            return Ok(Cow::Borrowed(picture));
        }
        let bytes = resample::rgb_to_the_bit(picture, width, height, self.filter)?;
        Ok(Cow::Owned(RgbPicture::whole(width, height, bytes)))
    }

    fn resized(&self, picture: &RgbPicture, size: (u32, u32)) -> anyhow::Result<PicturePart> {
        Ok(self.normalised(&self.scaled(picture, size)?.data, size))
    }

    fn normalised(&self, bytes: &[u8], (width, height): (u32, u32)) -> PicturePart {
        let (width, height) = (width as usize, height as usize);
        let mut pixels = Vec::with_capacity(3 * width * height);
        for channel in 0..3 {
            let value = |byte: u8| (f32::from(byte) * self.rescale - self.mean[channel]) / self.std[channel];
            pixels.extend(bytes.chunks_exact(3).map(|rgb| value(rgb[channel])));
        }
        PicturePart { width, height, pixels }
    }
}

/// Python's `int(a / b)`-like results are whole numbers that may be 0.
fn whole(length: f64) -> u32 {
    length.clamp(0.0, f64::from(u32::MAX)) as u32
}

/// Idefics 2's size: longer edges shrink to `longest`, then each grows to `shortest`.
fn native_size((width, height): (u32, u32), longest: u32, shortest: u32) -> (u32, u32) {
    let (mut w, mut h) = (width, height);
    let ratio = f64::from(width) / f64::from(height);
    if width >= height && width > longest {
        (w, h) = (longest, whole(f64::from(longest) / ratio));
    } else if height > width && height > longest {
        (w, h) = (whole(f64::from(longest) * ratio), longest);
    }
    (w.max(shortest), h.max(shortest))
}

/// SmolVLM's first size: the longer edge gets the length `longest`, the other an even one.
fn tiled_size((width, height): (u32, u32), longest: u32) -> (u32, u32) {
    let ratio = f64::from(width) / f64::from(height);
    let even = |length: f64| (whole(length) + whole(length) % 2).clamp(1, LONGEST);
    if width >= height {
        (longest, even(f64::from(longest) / ratio))
    } else {
        (even(f64::from(longest) * ratio), longest)
    }
}

/// SmolVLM's second size: both edges become multiples of a tile.
fn padded_size((width, height): (u32, u32), tile: u32) -> (u32, u32) {
    let ratio = f64::from(width) / f64::from(height);
    let multiple = |length: u32| length.max(1).div_ceil(tile) * tile;
    if width >= height {
        let width = multiple(width);
        (width, multiple(whole(f64::from(width) / ratio)))
    } else {
        let height = multiple(height);
        (multiple(whole(f64::from(height) * ratio)), height)
    }
}

/// Qwen's size: multiples of `unit`, with a number of pixels between `fewest` and `most` where that is possible.
fn grid_size((width, height): (u32, u32), unit: u32, fewest: f64, most: f64) -> anyhow::Result<(u32, u32)> {
    let (w, h, unit) = (f64::from(width), f64::from(height), f64::from(unit));
    anyhow::ensure!(
        w.max(h) / w.min(h) <= 200.0,
        "a picture of {width} x {height} pixels is too narrow for this model: one side must not be 200 times the other"
    );
    let rounded = |length: f64| (length / unit).round_ties_even() * unit;
    let (mut to_w, mut to_h) = (rounded(w), rounded(h));
    if to_w * to_h > most {
        let shrink = (w * h / most).sqrt();
        let down = |length: f64| ((length / shrink / unit).floor() * unit).max(unit);
        (to_w, to_h) = (down(w), down(h));
    } else if to_w * to_h < fewest {
        let grow = (fewest / (w * h)).sqrt();
        let up = |length: f64| (length * grow / unit).ceil() * unit;
        (to_w, to_h) = (up(w), up(h));
    }
    Ok((whole(to_w), whole(to_h)))
}

/// The quarters of a picture, row by row; the halves at the left and above are the smaller ones.
fn quarters(picture: &RgbPicture) -> [RgbPicture; 4] {
    let (across, down) = (picture.width / 2, picture.height / 2);
    let (full_across, full_down) = (picture.full.0 / 2, picture.full.1 / 2);
    let spans = |half: u32, all: u32| [(0, half), (half, all - half)];
    let cut = |row: usize, column: usize| {
        let (left, width) = spans(across, picture.width)[column];
        let (top, height) = spans(down, picture.height)[row];
        let data = cropped(picture, (left, top), (width, height));
        let mut quarter = RgbPicture::whole(width, height, data);
        // Decoded at a reduced size, it still stands for so many pixels.
        quarter.full = (spans(full_across, picture.full.0)[column].1, spans(full_down, picture.full.1)[row].1);
        quarter
    };
    [cut(0, 0), cut(0, 1), cut(1, 0), cut(1, 1)]
}

/// The bytes of a rectangle of a picture.
fn cropped(picture: &RgbPicture, (left, top): (u32, u32), (width, height): (u32, u32)) -> Vec<u8> {
    let row = picture.width as usize * 3;
    let mut bytes = Vec::with_capacity(width as usize * height as usize * 3);
    for line in picture.data.chunks_exact(row).skip(top as usize).take(height as usize) {
        bytes.extend_from_slice(&line[left as usize * 3..(left + width) as usize * 3]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `transformers`' functions, computed by hand from their source.
    #[test]
    fn sizes_are_those_of_the_processors() {
        assert_eq!(tiled_size((640, 480), 2048), (2048, 1536));
        assert_eq!(tiled_size((100, 33), 2048), (2048, 676));
        assert_eq!(tiled_size((1, 1), 2048), (2048, 2048));
        assert_eq!(tiled_size((10_000, 1), 2048), (2048, 1));
        assert_eq!(padded_size((2048, 676), 512), (2048, 1024));
        assert_eq!(padded_size((676, 2048), 512), (1024, 2048));
        assert_eq!(padded_size((2048, 1), 512), (2048, 512));
        assert_eq!(native_size((4000, 3000), 980, 378), (980, 735));
        assert_eq!(native_size((4000, 100), 980, 378), (980, 378));
        assert_eq!(native_size((10, 900), 980, 378), (378, 900));
        assert_eq!(grid_size((1000, 700), 32, 65_536.0, 16e6).unwrap(), (992, 704));
        assert_eq!(grid_size((10, 10), 32, 65_536.0, 16e6).unwrap(), (256, 256));
        assert_eq!(grid_size((4000, 3000), 32, 65_536.0, 1e6).unwrap(), (1152, 864));
        assert!(grid_size((3000, 10), 32, 65_536.0, 1e6).is_err());
    }

    #[test]
    fn every_shape_of_picture_is_cut() {
        let colours = Colours { filter: ResampleFilter::Lanczos, rescale: 1.0 / 255.0, mean: [0.5; 3], std: [0.5; 3] };
        let plans = [
            PicturePlan::Tiles { longest: 256, tile: 64, splits: true, colours },
            PicturePlan::Native { longest: 98, shortest: 42, splits: true, colours },
            PicturePlan::Grid { unit: 16, fewest: 1024.0, most: 16384.0, colours },
        ];
        for (width, height) in [(1, 1), (1, 2), (1, 180), (199, 1), (3, 1000), (64, 64), (65, 64), (333, 777)] {
            let picture = RgbPicture::whole(width, height, vec![128; (width * height * 3) as usize]);
            for plan in &plans {
                let aspect = f64::from(width.max(height)) / f64::from(width.min(height));
                if aspect > 200.0 && matches!(plan, PicturePlan::Grid { .. }) {
                    assert!(plan.prepare(&picture, true).is_err());
                    continue;
                }
                for splits in [true, false] {
                    let made = plan.prepare(&picture, splits).unwrap();
                    for part in made.parts {
                        assert_eq!(part.pixels.len(), 3 * part.width * part.height);
                        assert!(part.pixels.iter().all(|v| v.abs() < 0.01), "{width}x{height}");
                    }
                }
            }
        }
    }
}
