//! Products of many activation rows in f32.
//!
//! Activations are interleaved once, in panels of sixteen rows, and four panels form a group. Weights are widened in
//! blocks of 48 rows and up to 1024 columns, which stay in the second-level cache. The results of six weight rows with a
//! group are summed in registers, 128 columns at a time: so many of a group stay in the first-level cache.

use super::Activation;
use super::kernels::{self, LANES, Lanes, Sums, TILE_PANELS, TILE_ROWS, Tile};
use crate::model::compute::ops;
use rayon::prelude::*;
use std::cell::Cell;
use std::ops::Range;

/// How many weight rows a task has; a multiple of [`TILE_ROWS`].
const TASK_ROWS: usize = 8 * TILE_ROWS;
/// How many columns of weights are widened at a time: a multiple of every format's block.
const STRETCH: usize = 1024;
/// How many columns are multiplied at a time, so that a group of panels stays in the first-level cache.
pub(super) const PART: usize = 128;

/// How a tile is multiplied: [`kernels::multiply_tile`] or [`kernels::multiply_tile_alike`].
type MultiplyTile = fn([&[f32]; TILE_ROWS], &[&[Lanes]], &mut Tile);

/// Rows of weights that can be widened to f32.
pub(super) trait Rows: Sync {
    /// How many rows there are, and how many numbers each has.
    fn shape(&self) -> (usize, usize);
    /// Widens part of a row, from a multiple of [`STRETCH`] to another one or to the row's end.
    fn widen(&self, row: usize, columns: Range<usize>, out: &mut [f32]);
    /// Part of a row, if it need not be widened.
    fn as_is(&self, row: usize, columns: Range<usize>) -> Option<&[f32]>;
}

thread_local! {
    // So that megabytes need not be allocated again for each product.
    static WIDE: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
    static LANES_OF_ROWS: Cell<Vec<Lanes>> = const { Cell::new(Vec::new()) };
    static SUMS: Cell<Vec<Sums>> = const { Cell::new(Vec::new()) };
}

/// Interleaves up to sixteen activation rows.
pub(super) fn interleave<'r>(rows: impl Iterator<Item = &'r [f32]> + Clone, out: &mut [Lanes]) {
    /// So many that their cache lines are written sixteen times before they are given up.
    const COLUMNS: usize = 128;
    for (part, out) in out.chunks_mut(COLUMNS).enumerate() {
        for (lane, row) in rows.clone().enumerate() {
            for (to, from) in out.iter_mut().zip(&row[part * COLUMNS..]) {
                to.0[lane] = *from;
            }
        }
    }
}

struct Slice<'a>(&'a [f32], usize);

impl Rows for Slice<'_> {
    fn shape(&self) -> (usize, usize) {
        (self.0.len() / self.1, self.1)
    }

    fn widen(&self, row: usize, columns: Range<usize>, out: &mut [f32]) {
        out.copy_from_slice(&self.0[row * self.1..][columns]);
    }

    fn as_is(&self, row: usize, columns: Range<usize>) -> Option<&[f32]> {
        Some(&self.0[row * self.1..][columns])
    }
}

/// [`multiply_slices`] to `out`, which has as many numbers.
pub(in crate::model) fn multiply_slices_to(
    out: &mut [f32],
    x: &[f32],
    w: &[f32],
    length: usize,
    bias: Option<&[f32]>,
    activation: Activation,
) {
    multiply_to(out, &Slice(w, length), kernels::multiply_tile, x, bias, activation);
}

/// `activation(x w^T + bias)` of two matrices whose rows have `length` numbers.
pub(in crate::model) fn multiply_slices(
    x: &[f32],
    w: &[f32],
    length: usize,
    bias: Option<&[f32]>,
    activation: Activation,
) -> Vec<f32> {
    multiply(&Slice(w, length), kernels::multiply_tile, x, bias, activation)
}

/// The products alone, like [`multiply_slices`], but with the same bits at every processor level: for results that
/// decisions depend on.
pub(in crate::model) fn multiply_slices_alike(x: &[f32], w: &[f32], length: usize) -> Vec<f32> {
    multiply(&Slice(w, length), kernels::multiply_tile_alike, x, None, Activation::None)
}

/// `activation(x w^T + bias)`, in f32, for weights of any format.
pub(super) fn multiply(
    w: &impl Rows,
    multiply_tile: MultiplyTile,
    x: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
) -> Vec<f32> {
    let (count, length) = w.shape();
    let mut out = vec![0.0; x.len() / length * count];
    multiply_to(&mut out, w, multiply_tile, x, bias, activation);
    out
}

fn multiply_to(
    out: &mut [f32],
    w: &impl Rows,
    multiply_tile: MultiplyTile,
    x: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
) {
    let (count, length) = w.shape();
    let n = x.len() / length;
    let mut interleaved = LANES_OF_ROWS.take();
    interleaved.resize(n.div_ceil(LANES) * length, Lanes::default());
    let panels = interleaved.par_chunks_exact_mut(length).zip(x.par_chunks(length * LANES));
    panels.for_each(|(panel, rows)| interleave(rows.chunks_exact(length), panel));
    let tasks = columns_of(out, n, count, TASK_ROWS);
    tasks.into_par_iter().enumerate().for_each(|(task, mut out)| {
        let first = task * TASK_ROWS;
        let rows = TASK_ROWS.min(count - first);
        let (mut wide, mut sums) = (WIDE.take(), SUMS.take());
        add_products(w, multiply_tile, first..first + rows, &interleaved, &mut wide, &mut sums);
        let bias = bias.map(|bias| &bias[first..first + rows]);
        let groups = sums.chunks_exact(rows.next_multiple_of(TILE_ROWS));
        for (out, sums) in out.chunks_mut(TILE_PANELS * LANES).zip(groups) {
            for (panel, out) in out.chunks_mut(LANES).enumerate() {
                turn(&sums[..rows], panel, out);
                out.iter_mut().for_each(|out| ops::activate_rows(out, bias, rows, activation));
            }
        }
        WIDE.set(wide);
        SUMS.set(sums);
    });
    LANES_OF_ROWS.set(interleaved);
}

/// The parts of (n, count) results that tasks fill: `columns` of all rows each.
pub(in crate::model) fn columns_of(out: &mut [f32], n: usize, count: usize, columns: usize) -> Vec<Vec<&mut [f32]>> {
    let mut tasks: Vec<Vec<&mut [f32]>> = Vec::new();
    tasks.resize_with(count.div_ceil(columns), || Vec::with_capacity(n));
    for row in out.chunks_exact_mut(count) {
        tasks.iter_mut().zip(row.chunks_mut(columns)).for_each(|(task, part)| task.push(part));
    }
    tasks
}

/// Copies the sums of some weight rows with a panel to the rows of the result.
pub(super) fn turn(sums: &[Sums], panel: usize, out: &mut [&mut [f32]]) {
    let (of_rows, rest) = sums.as_chunks::<4>();
    for (four, lanes) in out.chunks_mut(4).enumerate() {
        if let [a, b, c, d] = lanes {
            let of_lanes = a.as_chunks_mut().0.iter_mut().zip(b.as_chunks_mut().0);
            let of_lanes = of_lanes.zip(c.as_chunks_mut().0.iter_mut().zip(d.as_chunks_mut().0));
            for (((a, b), (c, d)), rows) in of_lanes.zip(of_rows) {
                let mut numbers = [[0.0; 4]; 4];
                for (numbers, row) in numbers.iter_mut().zip(rows) {
                    *numbers = row.0[panel].as_chunks().0[four];
                }
                [*a, *b, *c, *d] = kernels::transpose(numbers);
            }
        }
        // What does not fill four rows and four lanes.
        let done = if lanes.len() == 4 { sums.len() - rest.len() } else { 0 };
        for (lane, out) in lanes.iter_mut().enumerate() {
            for (out, row) in out.iter_mut().zip(sums).skip(done) {
                *out = row.0[panel][4 * four + lane];
            }
        }
    }
}

/// Fills `sums` with the products of some weight rows with all panels: by group of panels, within a group by row, of which
/// there are as many as fill tiles.
fn add_products(
    w: &impl Rows,
    multiply_tile: MultiplyTile,
    rows: Range<usize>,
    interleaved: &[Lanes],
    wide: &mut Vec<f32>,
    sums: &mut Vec<Sums>,
) {
    let length = w.shape().1;
    let filled = rows.len().next_multiple_of(TILE_ROWS);
    sums.clear();
    sums.resize(filled * interleaved.len().div_ceil(TILE_PANELS * length), Sums::default());
    // Rows that stand as they are multiplied are read where they are, unless they are used often and all begin at the
    // same place of the first-level cache.
    if (sums.len() == filled || !length.is_multiple_of(STRETCH)) && w.as_is(rows.start, 0..length).is_some() {
        let last = rows.end - 1;
        for (sums, group) in sums.chunks_exact_mut(filled).zip(interleaved.chunks(TILE_PANELS * length)) {
            for at in (0..length).step_by(PART) {
                let columns = at..length.min(at + PART);
                let (panels, count) = part_of(group, length, columns.clone());
                for (tile, first) in sums.as_chunks_mut().0.iter_mut().zip(rows.clone().step_by(TILE_ROWS)) {
                    let row = |row| w.as_is(last.min(first + row), columns.clone()).unwrap_or_default();
                    multiply_tile(std::array::from_fn(row), &panels[..count], tile);
                }
            }
        }
        return;
    }
    for start in (0..length).step_by(STRETCH) {
        let width = STRETCH.min(length - start);
        // What is left in the rows that fill the last tile is multiplied, and not used.
        wide.resize(filled * width, 0.0);
        for (row, wide) in rows.clone().zip(wide.chunks_exact_mut(width)) {
            w.widen(row, start..start + width, wide);
        }
        for (sums, group) in sums.chunks_exact_mut(filled).zip(interleaved.chunks(TILE_PANELS * length)) {
            for at in (0..width).step_by(PART) {
                let columns = at..width.min(at + PART);
                let (panels, count) = part_of(group, length, start + at..start + columns.end);
                for (tile, rows) in sums.as_chunks_mut().0.iter_mut().zip(wide.chunks_exact(TILE_ROWS * width)) {
                    multiply_tile(
                        std::array::from_fn(|row| &rows[row * width..][columns.clone()]),
                        &panels[..count],
                        tile,
                    );
                }
            }
        }
    }
}

/// Part of each panel of a group, and how many panels it has.
fn part_of(group: &[Lanes], length: usize, part: Range<usize>) -> ([&[Lanes]; TILE_PANELS], usize) {
    let mut parts: [&[Lanes]; TILE_PANELS] = [&[]; TILE_PANELS];
    for (to, panel) in parts.iter_mut().zip(group.chunks_exact(length)) {
        *to = &panel[part.clone()];
    }
    (parts, group.len() / length)
}
