//! Products of many activation rows.
//!
//! Activations are interleaved once, in groups of sixteen rows. Weights are unpacked in blocks of 48 rows and 256
//! columns, which stay in the second-level cache. 6 x 16 results at a time are summed in registers.

use super::Activation;
use super::kernels::{self, InputBlock, LARGE_BLOCK, SMALL_BLOCK, TILE_COLUMNS, TILE_ROWS, Tile, WeightBlock};
use crate::model::compute::ops;
use rayon::prelude::*;
use std::cell::Cell;
use std::ops::Range;

/// How many weight rows a task has; a multiple of [`TILE_ROWS`].
const TASK_ROWS: usize = 8 * TILE_ROWS;
/// How many columns are multiplied at a time; a multiple of every format's block.
const STRETCH: usize = LARGE_BLOCK;

/// How weights and activations are prepared and multiplied into a register tile.
pub(super) trait Product: Sync {
    /// `COLUMNS` columns of a weight row.
    type Weights: Clone + Default + Send + Sync;
    /// The same columns of sixteen activation rows.
    type Inputs: Clone + Default + Send + Sync;
    /// How many columns are prepared together.
    const COLUMNS: usize;
    /// How many weight rows there are, and how many columns each has: a multiple of `COLUMNS`.
    fn shape(&self) -> (usize, usize);
    /// Unpacks part of a weight row, from a multiple of [`STRETCH`] to another one or to the row's end.
    fn unpack(&self, row: usize, columns: Range<usize>, out: &mut [Self::Weights]);
    /// Interleaves up to sixteen activation rows.
    fn interleave(&self, rows: &[f32], out: &mut [Self::Inputs]);
    /// Adds the products to a tile.
    fn multiply(&self, rows: [&[Self::Weights]; TILE_ROWS], panel: &[Self::Inputs], tile: &mut Tile);
}

/// Products in f32, for weights of any format; with `ALIKE`, the same bits at every processor level.
pub(super) struct Floats<W, const ALIKE: bool = false>(pub(super) W);

/// Rows of weights that can be widened to f32.
pub(super) trait Rows: Sync {
    /// How many rows there are, and how many numbers each has.
    fn shape(&self) -> (usize, usize);
    /// Like [`Product::unpack`].
    fn widen(&self, row: usize, columns: Range<usize>, out: &mut [f32]);
}

impl<W: Rows, const ALIKE: bool> Product for Floats<W, ALIKE> {
    type Weights = f32;
    type Inputs = [f32; TILE_COLUMNS];
    const COLUMNS: usize = 1;

    fn shape(&self) -> (usize, usize) {
        self.0.shape()
    }

    fn unpack(&self, row: usize, columns: Range<usize>, out: &mut [f32]) {
        self.0.widen(row, columns, out);
    }

    fn interleave(&self, rows: &[f32], out: &mut [Self::Inputs]) {
        for (lane, row) in rows.chunks_exact(out.len()).enumerate() {
            for (to, from) in out.iter_mut().zip(row) {
                to[lane] = *from;
            }
        }
    }

    fn multiply(&self, rows: [&[f32]; TILE_ROWS], panel: &[Self::Inputs], tile: &mut Tile) {
        if ALIKE {
            kernels::multiply_tile_alike(rows, panel, tile);
        } else {
            kernels::multiply_tile(rows, panel, tile);
        }
    }
}

/// Products in integers: quantized weights, and activations rounded to 8 bits with one scale for each 32.
pub(super) struct Integers<W>(pub(super) W);

/// Rows of quantized weights, in blocks.
pub(super) trait Blocks: Sync {
    /// How many rows there are, and how many numbers each has.
    fn shape(&self) -> (usize, usize);
    /// Like [`Product::unpack`].
    fn blocks(&self, row: usize, columns: Range<usize>, out: &mut [WeightBlock]);
}

impl<W: Blocks> Product for Integers<W> {
    type Weights = WeightBlock;
    type Inputs = InputBlock;
    const COLUMNS: usize = SMALL_BLOCK;

    fn shape(&self) -> (usize, usize) {
        self.0.shape()
    }

    fn unpack(&self, row: usize, columns: Range<usize>, out: &mut [WeightBlock]) {
        self.0.blocks(row, columns, out);
    }

    fn interleave(&self, rows: &[f32], out: &mut [InputBlock]) {
        for (lane, row) in rows.chunks_exact(out.len() * SMALL_BLOCK).enumerate() {
            kernels::quantize_lane(row, lane, out);
        }
    }

    fn multiply(&self, rows: [&[WeightBlock]; TILE_ROWS], panel: &[InputBlock], tile: &mut Tile) {
        kernels::multiply_integer_tile(rows, panel, tile);
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
}

/// `x w^T` of two matrices whose rows have `length` numbers.
pub(in crate::model) fn multiply_slices(x: &[f32], w: &[f32], length: usize) -> Vec<f32> {
    multiply(&Floats::<_>(Slice(w, length)), x, x.len() / length, None, Activation::None)
}

/// Like [`multiply_slices`], but with the same bits at every processor level: for results that decisions depend on.
pub(in crate::model) fn multiply_slices_alike(x: &[f32], w: &[f32], length: usize) -> Vec<f32> {
    multiply(&Floats::<_, true>(Slice(w, length)), x, x.len() / length, None, Activation::None)
}

thread_local! {
    /// The tiles of the last product, so that their megabytes need not be allocated again.
    static TILES: Cell<Vec<Tile>> = const { Cell::new(Vec::new()) };
}

/// `activation(x w^T + bias)` for n activation rows.
pub(super) fn multiply<P: Product>(
    w: &P,
    x: &[f32],
    n: usize,
    bias: Option<&[f32]>,
    activation: Activation,
) -> Vec<f32> {
    let (count, length) = w.shape();
    let (panels, units) = (n.div_ceil(TILE_COLUMNS), length / P::COLUMNS);
    let mut interleaved = vec![P::Inputs::default(); panels * units];
    interleaved
        .par_chunks_mut(units)
        .zip(x.par_chunks(length * TILE_COLUMNS))
        .for_each(|(panel, rows)| w.interleave(rows, panel));
    // Tiles are ordered by task, within a task by panel, and within a panel by row.
    let groups = |rows: usize| rows.div_ceil(TILE_ROWS);
    let mut tiles = TILES.take();
    tiles.clear();
    tiles.resize(groups(count) * panels, [[0.0; TILE_COLUMNS]; TILE_ROWS]);
    let task_tiles = groups(TASK_ROWS) * panels;
    let stretch_units = STRETCH / P::COLUMNS;
    tiles.par_chunks_mut(task_tiles).enumerate().for_each_init(
        || vec![P::Weights::default(); TASK_ROWS * stretch_units],
        |unpacked, (task, tiles)| {
            let first = task * TASK_ROWS;
            let rows = TASK_ROWS.min(count - first);
            for start in (0..units).step_by(stretch_units) {
                let stretch = start..units.min(start + stretch_units);
                let columns = stretch.start * P::COLUMNS..stretch.end * P::COLUMNS;
                for (row, unpacked) in unpacked.chunks_exact_mut(stretch_units).take(rows).enumerate() {
                    w.unpack(first + row, columns.clone(), &mut unpacked[..stretch.len()]);
                }
                for (panel, tiles) in tiles.chunks_exact_mut(groups(rows)).enumerate() {
                    let panel = &interleaved[panel * units..][stretch.clone()];
                    for (tile, unpacked) in tiles.iter_mut().zip(unpacked.chunks_exact(TILE_ROWS * stretch_units)) {
                        let rows = std::array::from_fn(|r| &unpacked[r * stretch_units..][..stretch.len()]);
                        w.multiply(rows, panel, tile);
                    }
                }
            }
        },
    );
    let mut out = vec![0.0; n * count];
    out.par_chunks_mut(TILE_COLUMNS * count).enumerate().for_each(|(panel, out)| {
        for (task, tiles) in tiles.chunks(task_tiles).enumerate() {
            let rows = TASK_ROWS.min(count - task * TASK_ROWS);
            let tiles = tiles[panel * groups(rows)..][..groups(rows)].as_flattened();
            for (lane, out) in out.chunks_exact_mut(count).enumerate() {
                for (out, sums) in out[task * TASK_ROWS..].iter_mut().zip(&tiles[..rows]) {
                    *out = sums[lane];
                }
            }
        }
        ops::activate_rows(out, bias, count, activation);
    });
    TILES.set(tiles);
    out
}
