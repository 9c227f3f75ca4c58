//! Small square grids of brightness, parts of them, and their fine structure.

use crate::duplicates::looks::{EDGE, Look};

/// Edge of the grids on which alignment starts.
pub(super) const COARSE: usize = 16;
/// Edge of the grids whose fine structure is compared.
const FINE: usize = 32;
/// Cells along the edges of a fine grid that are not compared: a frame around the picture would leak into them.
const MARGIN: usize = 1;
/// Regions along an edge.
pub(super) const REGIONS: usize = 5;
/// Minimum standard deviation of the fine structure, in grey levels (0 to 255): below it there is nothing to compare.
pub(super) const FAINT: f32 = 0.7;
/// Grey levels by which a plain colour may vary.
const PLAIN: f32 = 5.0;

/// A part of a picture, in fractions of its edges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) left: f32,
    pub(super) top: f32,
    pub(super) width: f32,
    pub(super) height: f32,
}

impl Window {
    /// The whole picture.
    pub(super) const WHOLE: Self = Self { left: 0.0, top: 0.0, width: 1.0, height: 1.0 };
}

/// A square grid of brightness values, row by row.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    edge: usize,
    pub(super) values: Vec<f32>,
}

/// The fine structure of a picture, row by row.
pub(super) struct Structure {
    values: Vec<f32>,
    norm: f32,
}

impl Grid {
    pub(super) fn of(look: &Look) -> Self {
        Self { edge: EDGE, values: look.grey.iter().map(|v| f32::from(*v)).collect() }
    }

    fn at(&self, x: usize, y: usize) -> f32 {
        self.values.get(y * self.edge + x).copied().unwrap_or_default()
    }

    fn row(&self, y: usize) -> &[f32] {
        self.values.get(y * self.edge..(y + 1) * self.edge).unwrap_or_default()
    }

    /// Turned clockwise by this number of quarter turns.
    pub(super) fn turned(self, quarters: u8) -> Self {
        (0..quarters).fold(self, |grid, _| {
            let edge = grid.edge;
            let values = (0..edge * edge).map(|at| grid.at(at / edge, edge - 1 - at % edge)).collect();
            Self { edge, values }
        })
    }

    /// Shrunk to `edge` cells, each the mean of a square of cells; `edge` must divide this grid's edge.
    pub(super) fn shrunk(&self, edge: usize) -> Self {
        let by = self.edge / edge;
        let mut values = vec![0.0; edge * edge];
        for (y, row) in self.values.chunks_exact(self.edge).enumerate() {
            let sums = values.iter_mut().skip(y / by * edge);
            for (sum, pixels) in sums.zip(row.chunks_exact(by)) {
                *sum += pixels.iter().sum::<f32>();
            }
        }
        values.iter_mut().for_each(|sum| *sum /= (by * by) as f32);
        Self { edge, values }
    }

    /// A part of the grid, resampled to the same edge.
    pub(super) fn sample(&self, window: Window) -> Self {
        let edge = self.edge;
        if window == Window::WHOLE {
            return self.clone();
        }
        let (columns, rows) = (self.along(window.left, window.width), self.along(window.top, window.height));
        let mut values = Vec::with_capacity(edge * edge);
        for (y0, y1, down) in rows {
            let (upper, lower) = (self.row(y0), self.row(y1));
            values.extend(columns.iter().map(|(x0, x1, right)| {
                let mix = |row: &[f32]| row[*x0] + (row[*x1] - row[*x0]) * right;
                let above = mix(upper);
                above + (mix(lower) - above) * down
            }));
        }
        Self { edge, values }
    }

    /// Each row of a coarse grid where a part has samples in it.
    pub(super) fn columns(&self, left: f32, width: f32) -> Square {
        let places = self.along(left, width);
        let mut columns = [[0.0; COARSE]; COARSE];
        for (out, row) in columns.iter_mut().zip(self.values.as_chunks::<COARSE>().0) {
            for (out, (first, second, beyond)) in out.iter_mut().zip(&places) {
                *out = row[*first] + (row[*second] - row[*first]) * beyond;
            }
        }
        columns
    }

    /// For each sample of a part, the two rows or columns that it is between, and how far it is towards the second.
    pub(super) fn along(&self, start: f32, length: f32) -> Vec<(usize, usize, f32)> {
        let (edge, last) = (self.edge as f32, self.edge as f32 - 1.0);
        let place = |n: usize| {
            let at = (start * edge + (n as f32 + 0.5) * length - 0.5).clamp(0.0, last);
            (at as usize, (at as usize + 1).min(self.edge - 1), at.fract())
        };
        (0..self.edge).map(place).collect()
    }

    /// Brightness minus the mean of the 5x5 cells around it, as if the `margin` cells along the edges did not exist.
    pub(super) fn fine(&self, margin: usize) -> Vec<f32> {
        let around = |at: usize| at.saturating_sub(2).max(margin)..(at + 3).min(self.edge - margin);
        // Sums of all cells above and to the left, so that the sum of any rectangle takes four of them.
        let wide = self.edge + 1;
        let mut sums = vec![0.0; wide * wide];
        for (y, row) in self.values.chunks_exact(self.edge).enumerate() {
            let mut sum = 0.0;
            for (x, value) in row.iter().enumerate() {
                sum += value;
                sums[(y + 1) * wide + x + 1] = sums[y * wide + x + 1] + sum;
            }
        }
        let inner = margin..self.edge - margin;
        let mut fine = Vec::with_capacity(inner.len() * inner.len());
        for y in inner.clone() {
            let rows = around(y);
            for x in inner.clone() {
                let columns = around(x);
                let sum = sums[rows.end * wide + columns.end]
                    - sums[rows.start * wide + columns.end]
                    - sums[rows.end * wide + columns.start]
                    + sums[rows.start * wide + columns.start];
                fine.push(self.at(x, y) - sum / (rows.len() * columns.len()) as f32);
            }
        }
        fine
    }

    /// The fine structure of a part of a look's grid; `None` if it is too faint to compare.
    pub(super) fn structure(&self, window: Window) -> Option<Structure> {
        let values = fine_of(&self.part(window));
        let norm = norm(&values);
        (norm >= FAINT * (FINE - 2 * MARGIN) as f32).then_some(Structure { values, norm })
    }

    /// What [`Grid::sample`] and [`Grid::shrunk`] make of a part of a look's grid, at once: each cell is a mean of samples,
    /// and they are mixed from cells of the grid. Thousands of windows are tried for a pair of looks.
    fn part(&self, window: Window) -> [[f32; FINE]; FINE] {
        const BY: usize = EDGE / FINE;
        // For each cell along an edge, what it is mixed from.
        let mixed = |start: f32, length: f32| -> [[(usize, f32); 2 * BY]; FINE] {
            let places = self.along(start, length);
            std::array::from_fn(|n| {
                let mut cells = [(0, 0.0); 2 * BY];
                for (cells, (first, second, beyond)) in cells.as_chunks_mut::<2>().0.iter_mut().zip(&places[n * BY..]) {
                    *cells = [(*first, (1.0 - beyond) / BY as f32), (*second, beyond / BY as f32)];
                }
                cells
            })
        };
        let (columns, rows) = (mixed(window.left, window.width), mixed(window.top, window.height));
        let cells = self.values.as_chunks::<EDGE>().0;
        let mut out = [[0.0; FINE]; FINE];
        for (out, from) in out.iter_mut().zip(rows) {
            let mut row = [0.0; EDGE];
            for (y, weight) in from {
                row.iter_mut().zip(&cells[y]).for_each(|(sum, value)| *sum += weight * value);
            }
            for (out, from) in out.iter_mut().zip(&columns) {
                *out = from.iter().map(|(x, weight)| weight * row[*x]).sum();
            }
        }
        out
    }

    /// The part without the rows and columns along the edges that have the colour of a corner.
    pub(super) fn without_frame(&self) -> Window {
        let last = self.edge - 1;
        let [top, bottom] = [(0, true), (last, false)].map(|(corner, forward)| {
            let plain = |n: &usize| {
                let y = if forward { *n } else { last - n };
                self.row(y).iter().all(|v| (v - self.at(corner, corner)).abs() <= PLAIN)
            };
            (0..self.edge / 4).take_while(plain).count()
        });
        let [left, right] = [(0, true), (last, false)].map(|(corner, forward)| {
            let plain = |n: &usize| {
                let x = if forward { *n } else { last - n };
                (0..self.edge).all(|y| (self.at(x, y) - self.at(corner, corner)).abs() <= PLAIN)
            };
            (0..self.edge / 4).take_while(plain).count()
        });
        // The cell in which the frame ends is neither frame nor picture.
        let share = |cells: usize| if cells > 0 { (cells + 1) as f32 / self.edge as f32 } else { 0.0 };
        let (left, right, top, bottom) = (share(left), share(right), share(top), share(bottom));
        Window { left, top, width: 1.0 - left - right, height: 1.0 - top - bottom }
    }

    /// Whether the strip around the window is broad enough and of one colour.
    pub(super) fn is_plain_around(&self, window: Window) -> bool {
        let outside = |at: usize, start: f32, length: f32| {
            let middle = (at as f32 + 0.5) / self.edge as f32;
            let air = 1.0 / self.edge as f32;
            middle < start - air || middle > start + length + air
        };
        let cells = (0..self.edge * self.edge).map(|at| (at % self.edge, at / self.edge));
        let strip = cells
            .filter(|(x, y)| outside(*x, window.left, window.width) || outside(*y, window.top, window.height))
            .map(|(x, y)| self.at(x, y));
        let (mut count, mut low, mut high) = (0, f32::MAX, f32::MIN);
        for value in strip {
            (count, low, high) = (count + 1, low.min(value), high.max(value));
        }
        count >= self.edge && high - low <= PLAIN
    }
}

/// [`Grid::fine`] of a grid of [`FINE`] cells, without the [`MARGIN`].
fn fine_of(cells: &[[f32; FINE]; FINE]) -> Vec<f32> {
    const INNER: usize = FINE - 2 * MARGIN;
    const AROUND: usize = 2;
    let cells: [[f32; INNER]; INNER] = std::array::from_fn(|y| {
        let mut inner = [0.0; INNER];
        inner.copy_from_slice(&cells[y + MARGIN][MARGIN..][..INNER]);
        inner
    });
    // How many cells there are around each, itself with them.
    let around = |at: usize| at.saturating_sub(AROUND)..(at + AROUND + 1).min(INNER);
    let shares: [f32; INNER] = std::array::from_fn(|at| 1.0 / around(at).len() as f32);
    let mut fine = Vec::with_capacity(INNER * INNER);
    for (y, row) in cells.iter().enumerate() {
        // Zeros stand where there are no cells.
        let mut sums = [0.0; INNER + 2 * AROUND];
        for other in &cells[around(y)] {
            sums[AROUND..].iter_mut().zip(other).for_each(|(sum, value)| *sum += value);
        }
        let mut means = [0.0; INNER];
        for from in 0..=2 * AROUND {
            means.iter_mut().zip(&sums[from..]).for_each(|(mean, sum)| *mean += sum);
        }
        for ((value, mean), share) in row.iter().zip(means).zip(shares) {
            fine.push(value - mean * share * shares[y]);
        }
    }
    fine
}

/// The brightness of a picture on a coarse grid, which is looked for in the windows of another one.
pub(super) struct Wanted {
    /// Without their mean.
    values: Square,
    norm: f32,
}

/// A coarse grid.
type Square = [[f32; COARSE]; COARSE];

impl Wanted {
    /// Of a grid of [`COARSE`] cells.
    pub(super) fn new(grid: &Grid) -> Self {
        let mut values = [[0.0; COARSE]; COARSE];
        values.as_flattened_mut().copy_from_slice(&grid.values);
        let mean = mean(&values);
        values.as_flattened_mut().iter_mut().for_each(|value| *value -= mean);
        Self { norm: norm(values.as_flattened()), values }
    }

    /// The normalised cross-correlation with some rows of a grid's [`columns`](Grid::columns), 0 where one side is constant.
    pub(super) fn correlation(&self, columns: &Square, rows: &[(usize, usize, f32)]) -> f32 {
        let mut found = [[0.0; COARSE]; COARSE];
        for (found, (first, second, beyond)) in found.iter_mut().zip(rows) {
            for ((value, above), below) in found.iter_mut().zip(&columns[*first]).zip(&columns[*second]) {
                *value = above + (below - above) * beyond;
            }
        }
        let mean = mean(&found);
        let (mut both, mut own) = ([0.0; COARSE], [0.0; COARSE]);
        for (wanted, found) in self.values.iter().zip(&found) {
            for lane in 0..COARSE {
                let value = found[lane] - mean;
                both[lane] += wanted[lane] * value;
                own[lane] += value * value;
            }
        }
        let norm = self.norm * own.iter().sum::<f32>().sqrt();
        if norm > 1e-6 { both.iter().sum::<f32>() / norm } else { 0.0 }
    }
}

fn mean(values: &Square) -> f32 {
    let mut sums = [0.0; COARSE];
    for row in values {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    sums.iter().sum::<f32>() / (COARSE * COARSE) as f32
}

impl Structure {
    /// Correlation with another one.
    pub(super) fn likeness(&self, other: &Self) -> f32 {
        dot(&self.values, &other.values) / (self.norm * other.norm)
    }

    /// The lowest correlation of a region in which one of the two has a standard deviation of at least `visible` (after
    /// scaling to the same contrast); 1 if there is no such region.
    pub(super) fn weakest(&self, other: &Self, visible: f32) -> f32 {
        let edge = FINE - 2 * MARGIN;
        let size = edge / REGIONS;
        let gain = self.norm / other.norm;
        let mut weakest = 1.0_f32;
        for (top, left) in (0..REGIONS * REGIONS).map(|at| (at / REGIONS * size, at % REGIONS * size)) {
            let cut = |values: &[f32]| -> Vec<f32> {
                values
                    .chunks_exact(edge)
                    .skip(top)
                    .take(size)
                    .flat_map(|row| row.iter().skip(left).take(size))
                    .copied()
                    .collect()
            };
            let (mine, theirs) = (cut(&self.values), cut(&other.values));
            let (own, foreign) = (norm(&mine), norm(&theirs));
            if own.max(gain * foreign) >= visible * size as f32 {
                weakest = weakest.min(dot(&mine, &theirs) / (own * foreign).max(f32::MIN_POSITIVE));
            }
        }
        weakest
    }
}

/// In lanes, so that it vectorises.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

pub(super) fn norm(values: &[f32]) -> f32 {
    dot(values, values).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is done at once for a window, by its steps.
    #[test]
    fn structures_and_correlations_of_windows_are_those_of_samples() {
        let grid = |seed: usize| {
            let value = |at: usize| (at * 7919 + seed) % 97 + (at % EDGE * seed) % 61 + at / EDGE;
            Grid { edge: EDGE, values: (0..EDGE * EDGE).map(|at| value(at) as f32).collect() }
        };
        let (first, second) = (grid(13), grid(5));
        let wanted = first.shrunk(COARSE);
        for (left, top, width, height) in [(0.0, 0.0, 1.0, 1.0), (0.1, 0.0, 0.9, 0.8), (0.21, 0.27, 0.7, 0.73)] {
            let window = Window { left, top, width, height };
            let structure = second.structure(window).unwrap();
            let expected = second.sample(window).shrunk(FINE).fine(MARGIN);
            assert_eq!(structure.values.len(), expected.len());
            for (found, expected) in structure.values.iter().zip(&expected) {
                assert!((found - expected).abs() < 0.01, "{found} {expected}");
            }
            let coarse = second.shrunk(COARSE);
            let rows = coarse.along(top, height);
            let found = Wanted::new(&wanted).correlation(&coarse.columns(left, width), &rows);
            let sample = coarse.sample(window).values;
            let [a, b] = [&wanted.values, &sample].map(|values| {
                let mean = values.iter().sum::<f32>() / values.len() as f32;
                values.iter().map(|value| f64::from(value - mean)).collect::<Vec<_>>()
            });
            let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let expected = sum(&a, &b) / (sum(&a, &a) * sum(&b, &b)).sqrt();
            assert!((f64::from(found) - expected).abs() < 1e-4, "{found} {expected}");
        }
        let flat = Grid { edge: EDGE, values: vec![7.0; EDGE * EDGE] };
        assert!(flat.structure(Window::WHOLE).is_none());
        let coarse = flat.shrunk(COARSE);
        let correlation = Wanted::new(&wanted).correlation(&coarse.columns(0.0, 1.0), &coarse.along(0.0, 1.0));
        assert!(correlation == 0.0);
    }
}
