//! Products of many activation rows with quantized weights, as integers: activations are rounded to 8 bits, with one scale
//! for each 32.
//!
//! Weights stand in panels of sixteen rows. The results of two panels with a few activation rows are summed in registers,
//! 256 columns at a time: so many of two panels stay in the first-level cache while all activation rows pass. No sum of
//! integers overflows, and floats are added in one order, so the results are the same to the bit wherever there is FMA.

use super::kernels::{FUSED, LANES, SMALL_BLOCK, multiply_add, quantize_block};
use super::panels::PanelBlock;
#[cfg(target_arch = "x86_64")]
use super::x86::{avx_vnni, avx2, avx512};
use super::{Activation, gemm};
use crate::model::compute::level::by_level;
use crate::model::compute::ops;
use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;
use std::cell::Cell;
use std::ops::Range;
use std::thread::LocalKey;

/// Panels that are multiplied at a time.
pub(super) const PANELS: usize = 2;
/// Panels of a task.
const TASK_PANELS: usize = 2 * PANELS;
/// How many blocks of columns are unpacked at a time: a multiple of every format's block.
const STRETCH: usize = 32;
/// How many are multiplied at a time.
const PART: usize = 8;

/// Sums of an activation row with two panels.
#[derive(Clone, Copy, Debug, Default, Zeroable, Pod)]
#[repr(C, align(64))]
pub(super) struct RowSums(pub(super) [[f32; LANES]; PANELS]);

/// 32 columns of an activation row, for products of bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InputBytes {
    /// Four columns in each word.
    pub(super) words: [i32; SMALL_BLOCK / 4],
    pub(super) scale: f32,
    /// The scale times the sum of the columns.
    pub(super) sum: f32,
    /// The sum of the columns times what was added to the weights, to be taken off.
    pub(super) start: i32,
}

/// The same for products of 16 bits, on processors without VNNI.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InputPairs {
    /// Of each four columns the first and the third in one word, as a register has them whose bytes are widened in place.
    pub(super) odd: [i32; SMALL_BLOCK / 4],
    /// The second and the last.
    pub(super) even: [i32; SMALL_BLOCK / 4],
    pub(super) scale: f32,
    pub(super) sum: f32,
    pub(super) start: i32,
}

/// Some columns of activation rows.
pub(super) struct InputRows<'a, I> {
    inputs: &'a [I],
    /// Blocks of a whole row.
    blocks: usize,
    part: Range<usize>,
}

impl<I> InputRows<'_, I> {
    #[inline]
    pub(super) fn row(&self, n: usize) -> &[I] {
        &self.inputs[n * self.blocks..][self.part.clone()]
    }
}

/// Weights in panels.
pub(super) trait Panels: Sync {
    /// How many weight rows there are, and how many columns each has: whole blocks.
    fn shape(&self) -> (usize, usize);
    /// What is added to their bytes.
    fn offset(&self) -> i32;
    /// Whether blocks have minima.
    fn have_minima(&self) -> bool;
    /// A panel, if it stands as it is multiplied.
    fn as_is(&self, _panel: usize) -> Option<&[PanelBlock]> {
        None
    }
    /// Unpacks part of a panel, from a multiple of [`STRETCH`] to another one or to the end.
    fn unpack(&self, panel: usize, blocks: Range<usize>, out: &mut [PanelBlock]);
}

/// How activations are prepared and multiplied.
pub(super) trait IntegerProduct {
    type Input: Clone + Default + Send + Sync + 'static;
    /// The memory of this thread, so that megabytes need not be allocated again for each product.
    fn memory() -> &'static LocalKey<Cell<Vec<Self::Input>>>;
    /// Quantizes an activation row for weights to which `offset` was added.
    fn quantize(row: &[f32], offset: i32, out: &mut [Self::Input]);
    /// Adds the products of all rows with up to two panels, all of the same length.
    fn multiply(inputs: &InputRows<Self::Input>, panels: &[&[PanelBlock]], sums: &mut [RowSums], minima: bool);
}

/// By instructions that multiply bytes and add the products.
pub(super) struct ByBytes;

/// Of bytes widened to 16 bits.
pub(super) struct ByPairs;

thread_local! {
    static INPUT_BYTES: Cell<Vec<InputBytes>> = const { Cell::new(Vec::new()) };
    static INPUT_PAIRS: Cell<Vec<InputPairs>> = const { Cell::new(Vec::new()) };
    static UNPACKED: Cell<Vec<PanelBlock>> = const { Cell::new(Vec::new()) };
    static SUMS: Cell<Vec<RowSums>> = const { Cell::new(Vec::new()) };
}

impl IntegerProduct for ByBytes {
    type Input = InputBytes;

    fn memory() -> &'static LocalKey<Cell<Vec<InputBytes>>> {
        &INPUT_BYTES
    }

    fn quantize(row: &[f32], offset: i32, out: &mut [InputBytes]) {
        quantize_bytes(row, offset, out);
    }

    fn multiply(inputs: &InputRows<InputBytes>, panels: &[&[PanelBlock]], sums: &mut [RowSums], minima: bool) {
        multiply_bytes(inputs, panels, sums, minima);
    }
}

impl IntegerProduct for ByPairs {
    type Input = InputPairs;

    fn memory() -> &'static LocalKey<Cell<Vec<InputPairs>>> {
        &INPUT_PAIRS
    }

    fn quantize(row: &[f32], offset: i32, out: &mut [InputPairs]) {
        quantize_pairs(row, offset, out);
    }

    fn multiply(inputs: &InputRows<InputPairs>, panels: &[&[PanelBlock]], sums: &mut [RowSums], minima: bool) {
        multiply_pairs(inputs, panels, sums, minima);
    }
}

by_level! {
    fn quantize_bytes(row: &[f32], offset: i32, out: &mut [InputBytes]) {
        for (block, out) in row.as_chunks::<SMALL_BLOCK>().0.iter().zip(out) {
            let (bytes, scale, total) = quantize_block(block);
            let words = bytemuck::cast(bytes);
            *out = InputBytes { words, scale, sum: scale * total as f32, start: -offset * total };
        }
    }
}

by_level! {
    fn quantize_pairs(row: &[f32], offset: i32, out: &mut [InputPairs]) {
        for (block, out) in row.as_chunks::<SMALL_BLOCK>().0.iter().zip(out) {
            let (bytes, scale, total) = quantize_block(block);
            for (([a, b, c, d], odd), even) in bytes.as_chunks().0.iter().zip(&mut out.odd).zip(&mut out.even) {
                *odd = bytemuck::cast([i16::from(*a), i16::from(*c)]);
                *even = bytemuck::cast([i16::from(*b), i16::from(*d)]);
            }
            (out.scale, out.sum, out.start) = (scale, scale * total as f32, -offset * total);
        }
    }
}

by_level! {
    fn multiply_bytes(inputs: &InputRows<InputBytes>, panels: &[&[PanelBlock]], sums: &mut [RowSums], minima: bool) {
        vnni => avx512::multiply_bytes(inputs, panels, sums, minima),
        avxvnni => avx_vnni::multiply_bytes(inputs, panels, sums, minima),
        portable => {
            let column = |x: &InputBytes, n: usize| i32::from(bytemuck::cast::<_, [i8; SMALL_BLOCK]>(x.words)[n]);
            multiply_plainly(inputs, panels, sums, minima, column, |x| (x.scale, x.sum, x.start));
        },
    }
}

by_level! {
    fn multiply_pairs(inputs: &InputRows<InputPairs>, panels: &[&[PanelBlock]], sums: &mut [RowSums], minima: bool) {
        avx2 => avx2::multiply_pairs(inputs, panels, sums, minima),
        portable => {
            let column = |x: &InputPairs, n: usize| {
                let pairs = if n.is_multiple_of(2) { x.odd } else { x.even };
                i32::from(bytemuck::cast::<_, [i16; 2]>(pairs[n / 4])[n % 4 / 2])
            };
            multiply_plainly(inputs, panels, sums, minima, column, |x| (x.scale, x.sum, x.start));
        },
    }
}

/// The products as they are defined.
#[inline(always)]
fn multiply_plainly<I>(
    inputs: &InputRows<I>,
    panels: &[&[PanelBlock]],
    sums: &mut [RowSums],
    minima: bool,
    column: impl Fn(&I, usize) -> i32,
    numbers: impl Fn(&I) -> (f32, f32, i32),
) {
    for (n, sums) in sums.iter_mut().enumerate() {
        for (panel, sums) in panels.iter().zip(&mut sums.0) {
            for (x, w) in inputs.row(n).iter().zip(*panel) {
                let (scale, x_sum, start) = numbers(x);
                let mut totals = [start; LANES];
                for (four, words) in w.bytes.iter().enumerate() {
                    for (total, word) in totals.iter_mut().zip(words) {
                        for (n, q) in word.to_ne_bytes().into_iter().enumerate() {
                            *total += i32::from(q) * column(x, 4 * four + n);
                        }
                    }
                }
                for (lane, sum) in sums.iter_mut().enumerate() {
                    *sum = multiply_add::<FUSED>(totals[lane] as f32, scale * w.scales[lane], *sum);
                    if minima {
                        *sum = multiply_add::<FUSED>(-w.minima[lane], x_sum, *sum);
                    }
                }
            }
        }
    }
}

/// Writes `activation(x w^T + bias)`, (n, rows), to `out`.
pub(super) fn multiply_to<P: IntegerProduct>(
    out: &mut [f32],
    w: &impl Panels,
    x: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
) {
    let (count, length) = w.shape();
    let (n, blocks) = (x.len() / length, length / SMALL_BLOCK);
    let mut inputs = P::memory().take();
    inputs.resize(n * blocks, P::Input::default());
    let rows = inputs.par_chunks_exact_mut(blocks).zip(x.par_chunks_exact(length));
    rows.for_each(|(out, row)| P::quantize(row, w.offset(), out));
    let tasks = gemm::tasks(out, n, count, TASK_PANELS * LANES);
    tasks.into_par_iter().enumerate().for_each(|(task, mut out)| {
        let panels = task * TASK_PANELS..count.div_ceil(LANES).min((task + 1) * TASK_PANELS);
        let mut sums = SUMS.take();
        add_products::<P>(w, panels, &inputs, n, &mut sums);
        for (pair, sums) in sums.chunks_exact_mut(n).enumerate() {
            let first = (task * TASK_PANELS + pair * PANELS) * LANES;
            let mut of_pair = [0.0; PANELS * LANES];
            let bias = bias.map(|bias| {
                of_pair.iter_mut().zip(&bias[first..]).for_each(|(to, from)| *to = *from);
                &of_pair[..]
            });
            ops::activate_rows(bytemuck::cast_slice_mut(sums), bias, PANELS * LANES, activation);
        }
        for (row, out) in out.iter_mut().enumerate() {
            for (sums, out) in sums[row..].iter().step_by(n).zip(out.chunks_mut(PANELS * LANES)) {
                out.copy_from_slice(&sums.0.as_flattened()[..out.len()]);
            }
        }
        SUMS.set(sums);
    });
    P::memory().set(inputs);
}

/// Fills `sums` with the products of some panels with all rows, in pairs of panels.
fn add_products<P: IntegerProduct>(
    w: &impl Panels,
    panels: Range<usize>,
    inputs: &[P::Input],
    n: usize,
    sums: &mut Vec<RowSums>,
) {
    let blocks = w.shape().1 / SMALL_BLOCK;
    sums.clear();
    sums.resize(n * panels.len().div_ceil(PANELS), RowSums::default());
    let mut unpacked = UNPACKED.take();
    for start in (0..blocks).step_by(STRETCH) {
        let stretch = start..blocks.min(start + STRETCH);
        let as_is: Vec<&[PanelBlock]> =
            panels.clone().filter_map(|panel| Some(&w.as_is(panel)?[stretch.clone()])).collect();
        let of_panels: Vec<&[PanelBlock]> = if as_is.len() == panels.len() {
            as_is
        } else {
            unpacked.resize(panels.len() * stretch.len(), PanelBlock::zeroed());
            let parts = unpacked.chunks_exact_mut(stretch.len());
            panels.clone().zip(parts).for_each(|(panel, out)| w.unpack(panel, stretch.clone(), out));
            unpacked.chunks_exact(stretch.len()).collect()
        };
        for at in (0..stretch.len()).step_by(PART) {
            let part = at..stretch.len().min(at + PART);
            let rows = InputRows { inputs, blocks, part: start + part.start..start + part.end };
            for (of_pair, sums) in of_panels.chunks(PANELS).zip(sums.chunks_exact_mut(n)) {
                let of_pair: Vec<&[PanelBlock]> = of_pair.iter().map(|panel| &panel[part.clone()]).collect();
                P::multiply(&rows, &of_pair, sums, w.have_minima());
            }
        }
    }
    UNPACKED.set(unpacked);
}
