//! Finds lines of text: a network says of each pixel how likely it belongs to the core of a line, and boxes are put
//! around what hangs together.

use super::geometry::{LineBox, parts};
use super::network::{Network, NetworkOutput};
use crate::photo::picture::RgbPicture;
use crate::photo::resample::{self, ResampleFilter};
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

/// The network's input is a multiple of 32 in both directions. Fewer shapes need to be made ready if it is a multiple of
/// more: what is missing is filled up.
const STEP: u32 = 96;
const FINE_STEP: u32 = 32;
/// The longest edge that is looked at at once, a multiple of [`STEP`]; more is looked at in tiles.
const TILE: u32 = 960;
/// How much of a tile is left to its neighbours.
const MARGIN: u32 = 64;
/// Pictures are enlarged so much at most.
const LARGER: f32 = 2.0;
/// From this probability on, a pixel belongs to a line.
const PIXEL: f32 = 0.3;
/// The least mean probability in a box.
const BOX: f32 = 0.5;
/// Boxes are larger than the cores that the network finds: by their area times this, divided by their circumference.
const UNCLIP: f32 = 1.6;
/// The most boxes of a picture.
const MOST: usize = 1000;
/// Lines of at most so many pixels in height are small: it pays to look again, at twice the size.
const SMALL: f32 = 16.0;
/// Lines of so many pixels in height are large: they are not looked for at twice the size.
const LARGE: f32 = 18.0;
/// Mean and deviation of the colours (blue, green, red: in this order the model was trained) by which they are scaled.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// Finds lines.
pub(super) struct LineFinder {
    network: Network,
}

/// How likely each pixel of a picture belongs to the core of a line.
struct TextMap {
    width: usize,
    likely: Vec<f32>,
}

impl LineFinder {
    pub(super) fn new(bytes: Cow<'static, [u8]>) -> Self {
        Self { network: Network::new(bytes) }
    }

    /// The boxes of what looks like lines at a longest edge of `edge`, and whether some are too small to be read there.
    pub(super) fn glance(&self, picture: &RgbPicture, edge: u32) -> anyhow::Result<(Vec<LineBox>, bool)> {
        let Some(map) = self.map(picture, edge, FINE_STEP, &AtomicBool::new(false))? else {
            return Ok((Vec::new(), false));
        };
        let found = map.boxes();
        let is_small = found.iter().any(|line| line.height <= SMALL);
        let mut lines = Vec::new();
        add(&mut lines, &map, found.into_iter(), picture);
        Ok((lines, is_small))
    }

    /// The boxes of lines, in pixels of the full size; `None` if cancelled.
    pub(super) fn find(
        &self,
        picture: &RgbPicture,
        edge: u32,
        cancel: &AtomicBool,
    ) -> anyhow::Result<Option<Vec<LineBox>>> {
        let look = |edge: u32| self.map(picture, edge, STEP, cancel);
        let (coarse, usual) = rayon::join(|| look(edge / 2), || look(edge));
        let (Some(coarse), Some(usual)) = (coarse?, usual?) else { return Ok(None) };
        let found = usual.boxes();
        let small = found.iter().filter(|line| line.height <= SMALL).count();
        let is_larger = picture.width.max(picture.height) as f32 >= 1.5 * edge as f32;
        let pays = small * 3 >= found.len() && !found.is_empty() && is_larger && edge < 2 * TILE;
        let fine = if pays { look(2 * edge)? } else { None };
        if cancel.load(Ordering::Relaxed) {
            return Ok(None);
        }
        // Lines whose letters are large are found best where they are smaller, others where they are larger.
        let large = |line: &LineBox| line.height >= LARGE;
        let mut lines = Vec::new();
        add(&mut lines, &coarse, coarse.boxes().into_iter().filter(large), picture);
        add(&mut lines, &usual, found.into_iter().filter(|line| fine.is_none() || large(line)), picture);
        if let Some(fine) = &fine {
            add(&mut lines, fine, fine.boxes().into_iter(), picture);
        }
        lines.truncate(MOST);
        Ok(Some(lines))
    }

    fn map(&self, picture: &RgbPicture, edge: u32, step: u32, cancel: &AtomicBool) -> anyhow::Result<Option<TextMap>> {
        let (full_width, full_height) = picture.full;
        let scale = (edge as f32 / full_width.max(full_height) as f32).min(LARGER);
        let side = |n: u32| ((n as f32 * scale).round() as u32).max(1);
        let (width, height) = (side(full_width), side(full_height));
        let (across, down) = (tiles(width.next_multiple_of(step)), tiles(height.next_multiple_of(step)));
        let mut map = TextMap { width: width as usize, likely: vec![0.0; width as usize * height as usize] };
        let (x, y) = (f64::from(full_width) / f64::from(width), f64::from(full_height) / f64::from(height));
        for (top, tile_height) in &down {
            for (left, tile_width) in &across {
                if cancel.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                let (columns, rows) = ((*tile_width).min(width - left), (*tile_height).min(height - top));
                let [l, t, w, h] =
                    [(*left, x), (*top, y), (columns, x), (rows, y)].map(|(n, scale)| f64::from(n) * scale);
                // A rounding may reach out of the picture.
                let region = (l, t, w.min(f64::from(full_width) - l), h.min(f64::from(full_height) - t));
                let pixels = resample::rgb(picture, region, columns, rows, ResampleFilter::Bilinear)?;
                let size = (columns as usize, rows as usize);
                let likely = self.run(&pixels, size, (*tile_width as usize, *tile_height as usize))?;
                map.put(&likely, *tile_width as usize, (*left as usize, *top as usize), size);
            }
        }
        Ok(Some(map))
    }

    /// How likely each pixel of a tile, of which these pixels are the top left part, belongs to a line.
    fn run(
        &self,
        pixels: &[u8],
        (columns, rows): (usize, usize),
        (width, height): (usize, usize),
    ) -> anyhow::Result<Vec<f32>> {
        let mut input = vec![0.0; 3 * width * height];
        for (channel, plane) in input.chunks_exact_mut(width * height).enumerate() {
            let (mean, deviation) = (MEAN[channel], DEVIATION[channel]);
            let pixels = pixels.as_chunks::<3>().0.chunks_exact(columns).take(rows);
            for (row, pixels) in plane.chunks_exact_mut(width).zip(pixels) {
                for (number, pixel) in row.iter_mut().zip(pixels) {
                    *number = (f32::from(pixel[2 - channel]) / 255.0 - mean) / deviation;
                }
            }
        }
        let NetworkOutput { numbers, shape } = self.network.run([3, height, width], &input)?;
        anyhow::ensure!(shape[..] == [1, 1, height, width], "the model that finds text says {shape:?}");
        Ok(numbers)
    }
}

/// Adds those boxes of a map that are new, in pixels of the full size.
fn add(lines: &mut Vec<LineBox>, map: &TextMap, found: impl Iterator<Item = LineBox>, picture: &RgbPicture) {
    let (width, height) = picture.full;
    let (x, y) = (width as f32 / map.width as f32, height as f32 / map.height() as f32);
    let is_known = |line: &LineBox, other: &LineBox| other.contains(line.centre) || line.contains(other.centre);
    let found = found.map(|line| line.scaled(x, y));
    let new: Vec<LineBox> = found.filter(|line| !lines.iter().any(|other| is_known(line, other))).collect();
    lines.extend(new);
}

/// Where the tiles of a length begin, and how long they are: all the same.
fn tiles(length: u32) -> Vec<(u32, u32)> {
    if length <= TILE {
        return vec![(0, length)];
    }
    let count = (length - 2 * MARGIN).div_ceil(TILE - 2 * MARGIN);
    (0..count).map(|n| (n * (length - TILE) / (count - 1), TILE)).collect()
}

impl TextMap {
    fn height(&self) -> usize {
        self.likely.len() / self.width
    }

    /// Puts what was found in a tile of `width` columns, of which the picture covers `columns` x `rows`, into its place,
    /// but for the margin that its neighbours know better.
    fn put(&mut self, likely: &[f32], width: usize, (left, top): (usize, usize), (columns, rows): (usize, usize)) {
        let skipped = |start: usize| if start == 0 { 0 } else { MARGIN as usize / 2 };
        for row in skipped(top)..rows {
            let to = (top + row) * self.width + left;
            for column in skipped(left)..columns {
                self.likely[to + column] = likely[row * width + column];
            }
        }
    }

    /// What hangs together, with what is one pixel further to the right and down.
    fn parts(&self) -> Vec<Vec<usize>> {
        let is_set = |at: Option<usize>| at.is_some_and(|at| self.likely[at] > PIXEL);
        let dilated = (0..self.likely.len()).map(|at| {
            let (left, up) = ((at % self.width > 0).then(|| at - 1), at.checked_sub(self.width));
            is_set(Some(at)) || is_set(left) || is_set(up) || is_set(up.and(left).map(|left| left - self.width))
        });
        parts(&dilated.collect::<Vec<bool>>(), self.width)
    }

    fn boxes(&self) -> Vec<LineBox> {
        let mut boxes: Vec<LineBox> = self.parts().into_iter().filter_map(|part| self.line(&part)).collect();
        // The largest, if there are too many.
        boxes.sort_by(|a, b| (b.length * b.height).total_cmp(&(a.length * a.height)));
        boxes.truncate(MOST);
        boxes
    }

    /// The box around a part; `None` if it is too small, or not likely enough.
    fn line(&self, part: &[usize]) -> Option<LineBox> {
        let points = part.iter().map(|at| [(at % self.width) as f32, (at / self.width) as f32]);
        let core = LineBox::around(points.collect())?.lying();
        let short = core.length.min(core.height);
        if short < 3.0 || self.mean(&core) < BOX {
            return None;
        }
        let margin = UNCLIP * core.length * core.height / (2.0 * (core.length + core.height));
        Some(core.grown(margin)).filter(|_| short + 2.0 * margin >= 5.0)
    }

    /// The mean in a box.
    fn mean(&self, line: &LineBox) -> f32 {
        let corners = line.corners();
        let range = |axis: usize, end: usize| {
            let (low, high) = corners
                .iter()
                .map(|corner| corner[axis])
                .fold((f32::MAX, f32::MIN), |(low, high), at| (low.min(at), high.max(at)));
            low.max(0.0) as usize..=(high.max(0.0) as usize).min(end.saturating_sub(1))
        };
        let (mut sum, mut count) = (0.0, 0);
        for y in range(1, self.height()) {
            for x in range(0, self.width).filter(|x| line.contains([*x as f32, y as f32])) {
                sum += self.likely[y * self.width + x];
                count += 1;
            }
        }
        sum / count.max(1) as f32
    }
}
