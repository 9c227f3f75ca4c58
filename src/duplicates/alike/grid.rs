//! Small square grids of brightness, parts of them, and their fine structure.

use crate::duplicates::looks::{EDGE, Look};

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
        if window == (Window { left: 0.0, top: 0.0, width: 1.0, height: 1.0 }) {
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

    /// For each sample of a part, the two rows or columns that it is between, and how far it is towards the second.
    fn along(&self, start: f32, length: f32) -> Vec<(usize, usize, f32)> {
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

    /// The fine structure; `None` if it is too faint to compare.
    pub(super) fn structure(&self) -> Option<Structure> {
        let values = self.shrunk(FINE).fine(MARGIN);
        let norm = norm(&values);
        (norm >= FAINT * (FINE - 2 * MARGIN) as f32).then_some(Structure { values, norm })
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

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn norm(values: &[f32]) -> f32 {
    dot(values, values).sqrt()
}

/// The normalised cross-correlation, 0 where one side is constant.
pub(super) fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let count = a.len().min(b.len()).max(1) as f32;
    let (mean_a, mean_b) = (a.iter().sum::<f32>() / count, b.iter().sum::<f32>() / count);
    let (mut both, mut own_a, mut own_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        both += a * b;
        own_a += a * a;
        own_b += b * b;
    }
    let norm = (own_a * own_b).sqrt();
    if norm > 1e-6 { both / norm } else { 0.0 }
}
