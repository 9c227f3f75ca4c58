//! Products of many activation rows.
//!
//! Activations are interleaved once, in panels of sixteen rows, and four panels form a group. Weights are unpacked in
//! blocks of 48 rows and up to 1024 columns, which stay in the second-level cache. The results of six weight rows with a
//! group are summed in registers, 128 columns at a time: so many of a group stay in the first-level cache.

use super::Activation;
use super::kernels::{
    self, InputBlock, LANES, Lanes, QuantizedRow, SMALL_BLOCK, Sums, TILE_PANELS, TILE_ROWS, Tile, WeightBlock,
};
use super::pairs::{self, InputPairs, WeightPairs};
use crate::model::compute::ops;
use rayon::prelude::*;
use std::cell::Cell;
use std::ops::Range;
use std::thread::LocalKey;

/// How many weight rows a task has; a multiple of [`TILE_ROWS`].
const TASK_ROWS: usize = 8 * TILE_ROWS;
/// How many columns of weights are unpacked at a time: a multiple of every format's block.
const STRETCH: usize = 1024;

/// Memory of a thread for unpacked weights and for interleaved activations.
type ScratchMemory<W, I> = (&'static LocalKey<Cell<Vec<W>>>, &'static LocalKey<Cell<Vec<I>>>);

/// How weights and activations are prepared and multiplied.
pub(super) trait Product: Sync {
    /// `COLUMNS` columns of a weight row.
    type Weights: Clone + Default + Send + Sync + 'static;
    /// The same columns of a panel: of sixteen activation rows.
    type Inputs: Clone + Default + Send + Sync + 'static;
    /// How many columns are prepared together.
    const COLUMNS: usize;
    /// How many columns are multiplied at a time, so that a group of panels stays in the first-level cache.
    const PART: usize;
    /// How many weight rows there are, and how many columns each has: a multiple of `COLUMNS`.
    fn shape(&self) -> (usize, usize);
    /// The memory of this thread, so that megabytes need not be allocated again for each product.
    fn memory() -> ScratchMemory<Self::Weights, Self::Inputs>;
    /// Unpacks part of a weight row, from a multiple of [`STRETCH`] to another one or to the row's end.
    fn unpack(&self, row: usize, columns: Range<usize>, out: &mut [Self::Weights]);
    /// Part of a weight row, if it need not be unpacked.
    fn as_is(&self, _row: usize, _columns: Range<usize>) -> Option<&[Self::Weights]> {
        None
    }
    /// Interleaves up to sixteen activation rows.
    fn interleave(&self, rows: &[f32], out: &mut [Self::Inputs]);
    /// Adds to a tile the products of six rows with up to four panels.
    fn multiply(&self, rows: [&[Self::Weights]; TILE_ROWS], panels: &[&[Self::Inputs]], tile: &mut Tile);
}

/// Products in f32, for weights of any format; with `ALIKE`, the same bits at every processor level.
pub(super) struct Floats<W, const ALIKE: bool = false>(pub(super) W);

/// Rows of weights that can be widened to f32.
pub(super) trait Rows: Sync {
    /// How many rows there are, and how many numbers each has.
    fn shape(&self) -> (usize, usize);
    /// Like [`Product::unpack`].
    fn widen(&self, row: usize, columns: Range<usize>, out: &mut [f32]);
    /// Like [`Product::as_is`].
    fn as_is(&self, row: usize, columns: Range<usize>) -> Option<&[f32]>;
}

thread_local! {
    static WIDE: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
    static LANES_OF_ROWS: Cell<Vec<Lanes>> = const { Cell::new(Vec::new()) };
    static BLOCKS: Cell<Vec<WeightBlock>> = const { Cell::new(Vec::new()) };
    static BLOCKS_OF_ROWS: Cell<Vec<InputBlock>> = const { Cell::new(Vec::new()) };
    static PAIRS: Cell<Vec<WeightPairs>> = const { Cell::new(Vec::new()) };
    static PAIRS_OF_ROWS: Cell<Vec<InputPairs>> = const { Cell::new(Vec::new()) };
    static SUMS: Cell<Vec<Sums>> = const { Cell::new(Vec::new()) };
}

impl<W: Rows, const ALIKE: bool> Product for Floats<W, ALIKE> {
    type Weights = f32;
    type Inputs = Lanes;
    const COLUMNS: usize = 1;
    const PART: usize = 128;

    fn shape(&self) -> (usize, usize) {
        self.0.shape()
    }

    fn memory() -> ScratchMemory<f32, Lanes> {
        (&WIDE, &LANES_OF_ROWS)
    }

    fn unpack(&self, row: usize, columns: Range<usize>, out: &mut [f32]) {
        self.0.widen(row, columns, out);
    }

    fn as_is(&self, row: usize, columns: Range<usize>) -> Option<&[f32]> {
        self.0.as_is(row, columns)
    }

    fn interleave(&self, rows: &[f32], out: &mut [Lanes]) {
        /// So many that their cache lines are written sixteen times before they are given up.
        const COLUMNS: usize = 128;
        let length = out.len();
        for (part, out) in out.chunks_mut(COLUMNS).enumerate() {
            for (lane, row) in rows.chunks_exact(length).enumerate() {
                for (to, from) in out.iter_mut().zip(&row[part * COLUMNS..]) {
                    to.0[lane] = *from;
                }
            }
        }
    }

    fn multiply(&self, rows: [&[f32]; TILE_ROWS], panels: &[&[Lanes]], tile: &mut Tile) {
        if ALIKE {
            kernels::multiply_tile_alike(rows, panels, tile);
        } else {
            kernels::multiply_tile(rows, panels, tile);
        }
    }
}

/// Products of bytes: quantized weights, and activations rounded to 8 bits with one scale for each 32.
pub(super) struct Bytes<W>(pub(super) W);

/// The same products, of bytes widened to 16 bits, for processors without VNNI.
pub(super) struct Pairs<W>(pub(super) W);

/// Rows of quantized weights, in blocks.
pub(super) trait Blocks: Sync {
    /// How many rows there are, and how many numbers each has.
    fn shape(&self) -> (usize, usize);
    /// Whether blocks have a minimum.
    fn have_minima(&self) -> bool;
    /// Like [`Product::unpack`].
    fn blocks(&self, row: usize, columns: Range<usize>, out: &mut [WeightBlock]);
    /// The same with 16 bits.
    fn pairs(&self, row: usize, columns: Range<usize>, out: &mut [WeightPairs]);
}

impl<W: Blocks> Product for Bytes<W> {
    type Weights = WeightBlock;
    type Inputs = InputBlock;
    const COLUMNS: usize = SMALL_BLOCK;
    const PART: usize = 512;

    fn shape(&self) -> (usize, usize) {
        self.0.shape()
    }

    fn memory() -> ScratchMemory<WeightBlock, InputBlock> {
        (&BLOCKS, &BLOCKS_OF_ROWS)
    }

    fn unpack(&self, row: usize, columns: Range<usize>, out: &mut [WeightBlock]) {
        self.0.blocks(row, columns, out);
    }

    fn interleave(&self, rows: &[f32], out: &mut [InputBlock]) {
        for (lane, row) in rows.chunks_exact(out.len() * SMALL_BLOCK).enumerate() {
            kernels::put_lane(&QuantizedRow::new(row), lane, out);
        }
    }

    fn multiply(&self, rows: [&[WeightBlock]; TILE_ROWS], panels: &[&[InputBlock]], tile: &mut Tile) {
        kernels::multiply_integer_tile(rows, panels, tile, self.0.have_minima());
    }
}

impl<W: Blocks> Product for Pairs<W> {
    type Weights = WeightPairs;
    type Inputs = InputPairs;
    const COLUMNS: usize = SMALL_BLOCK;
    const PART: usize = 128;

    fn shape(&self) -> (usize, usize) {
        self.0.shape()
    }

    fn memory() -> ScratchMemory<WeightPairs, InputPairs> {
        (&PAIRS, &PAIRS_OF_ROWS)
    }

    fn unpack(&self, row: usize, columns: Range<usize>, out: &mut [WeightPairs]) {
        self.0.pairs(row, columns, out);
    }

    fn interleave(&self, rows: &[f32], out: &mut [InputPairs]) {
        for (lane, row) in rows.chunks_exact(out.len() * SMALL_BLOCK).enumerate() {
            pairs::put_lane(&QuantizedRow::new(row), lane, out);
        }
    }

    fn multiply(&self, rows: [&[WeightPairs]; TILE_ROWS], panels: &[&[InputPairs]], tile: &mut Tile) {
        pairs::multiply_tile(rows, panels, tile, self.0.have_minima());
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

/// `activation(x w^T + bias)` of two matrices whose rows have `length` numbers.
pub(in crate::model) fn multiply_slices(
    x: &[f32],
    w: &[f32],
    length: usize,
    bias: Option<&[f32]>,
    activation: Activation,
) -> Vec<f32> {
    multiply(&Floats::<_>(Slice(w, length)), x, x.len() / length, bias, activation)
}

/// The products alone, like [`multiply_slices`], but with the same bits at every processor level: for results that
/// decisions depend on.
pub(in crate::model) fn multiply_slices_alike(x: &[f32], w: &[f32], length: usize) -> Vec<f32> {
    multiply(&Floats::<_, true>(Slice(w, length)), x, x.len() / length, None, Activation::None)
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
    let (panels, units) = (n.div_ceil(LANES), length / P::COLUMNS);
    let (of_weights, of_inputs) = P::memory();
    let mut interleaved = of_inputs.take();
    interleaved.resize(panels * units, P::Inputs::default());
    interleaved
        .par_chunks_mut(units)
        .zip(x.par_chunks(length * LANES))
        .for_each(|(panel, rows)| w.interleave(rows, panel));
    let mut out = vec![0.0; n * count];
    // Each task fills some columns of all rows.
    let mut tasks: Vec<Vec<&mut [f32]>> = Vec::new();
    tasks.resize_with(count.div_ceil(TASK_ROWS), || Vec::with_capacity(n));
    for row in out.chunks_exact_mut(count) {
        tasks.iter_mut().zip(row.chunks_mut(TASK_ROWS)).for_each(|(task, part)| task.push(part));
    }
    tasks.into_par_iter().enumerate().for_each(|(task, mut out)| {
        let first = task * TASK_ROWS;
        let rows = TASK_ROWS.min(count - first);
        let (mut unpacked, mut sums) = (of_weights.take(), SUMS.take());
        add_products(w, first..first + rows, &interleaved, &mut unpacked, &mut sums);
        let bias = bias.map(|bias| &bias[first..first + rows]);
        let groups = sums.chunks_exact(rows.next_multiple_of(TILE_ROWS));
        for (out, sums) in out.chunks_mut(TILE_PANELS * LANES).zip(groups) {
            for (panel, out) in out.chunks_mut(LANES).enumerate() {
                turn(&sums[..rows], panel, out);
                out.iter_mut().for_each(|out| ops::activate_rows(out, bias, rows, activation));
            }
        }
        of_weights.set(unpacked);
        SUMS.set(sums);
    });
    of_inputs.set(interleaved);
    out
}

/// Copies the sums of some weight rows with a panel to the rows of the result.
fn turn(sums: &[Sums], panel: usize, out: &mut [&mut [f32]]) {
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
fn add_products<P: Product>(
    w: &P,
    rows: Range<usize>,
    interleaved: &[P::Inputs],
    unpacked: &mut Vec<P::Weights>,
    sums: &mut Vec<Sums>,
) {
    let units = w.shape().1 / P::COLUMNS;
    let (stretch, part) = (STRETCH / P::COLUMNS, P::PART / P::COLUMNS);
    let filled = rows.len().next_multiple_of(TILE_ROWS);
    sums.clear();
    sums.resize(filled * interleaved.len().div_ceil(TILE_PANELS * units), Sums::default());
    // Rows that stand as they are multiplied are read where they are, unless they are used often and all begin at the
    // same place of the first-level cache.
    if (sums.len() == filled || !w.shape().1.is_multiple_of(STRETCH)) && w.as_is(rows.start, 0..units).is_some() {
        let last = rows.end - 1;
        for (sums, group) in sums.chunks_exact_mut(filled).zip(interleaved.chunks(TILE_PANELS * units)) {
            for at in (0..units).step_by(part) {
                let columns = at..units.min(at + part);
                let (panels, count) = part_of(group, units, columns.clone());
                for (tile, first) in sums.as_chunks_mut().0.iter_mut().zip(rows.clone().step_by(TILE_ROWS)) {
                    let row = |row| w.as_is(last.min(first + row), columns.clone()).unwrap_or_default();
                    w.multiply(std::array::from_fn(row), &panels[..count], tile);
                }
            }
        }
        return;
    }
    for start in (0..units).step_by(stretch) {
        let width = stretch.min(units - start);
        // What is left in the rows that fill the last tile is multiplied, and not used.
        unpacked.resize(filled * width, P::Weights::default());
        for (row, unpacked) in rows.clone().zip(unpacked.chunks_exact_mut(width)) {
            w.unpack(row, start * P::COLUMNS..(start + width) * P::COLUMNS, unpacked);
        }
        for (sums, group) in sums.chunks_exact_mut(filled).zip(interleaved.chunks(TILE_PANELS * units)) {
            for at in (0..width).step_by(part) {
                let columns = at..width.min(at + part);
                let (panels, count) = part_of(group, units, start + at..start + columns.end);
                for (tile, rows) in sums.as_chunks_mut().0.iter_mut().zip(unpacked.chunks_exact(TILE_ROWS * width)) {
                    w.multiply(
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
fn part_of<I>(group: &[I], units: usize, part: Range<usize>) -> ([&[I]; TILE_PANELS], usize) {
    let mut parts: [&[I]; TILE_PANELS] = [&[]; TILE_PANELS];
    for (to, panel) in parts.iter_mut().zip(group.chunks_exact(units)) {
        *to = &panel[part.clone()];
    }
    (parts, group.len() / units)
}
