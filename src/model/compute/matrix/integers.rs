//! Products of many activation rows with quantized weights, as integers: activations are rounded to 8 bits (`inputs`).
//!
//! Weights stand in panels of sixteen rows. The results of two panels with a few activation rows are summed in registers,
//! 256 columns at a time: so many of two panels stay in the first-level cache while all activation rows pass. What becomes
//! of sums is done by the task that computed them, while they are in the second-level cache. No sum of integers overflows,
//! and floats are added in one order, so the results are the same to the bit wherever there is FMA.

use super::heads::Heads;
use super::inputs::{Coding, InputBlock, InputBytes, InputPairs, InputRows, STRIP, STRIP_COLUMNS, Strips};
use super::kernels::{FUSED, LANES, SMALL_BLOCK, multiply_add};
use super::panels::{PanelBlock, Scaling};
#[cfg(target_arch = "x86_64")]
use super::x86::{avx_vnni, avx2, avx512};
use super::{Activation, gemm};
use crate::model::compute::level::by_level;
use crate::model::compute::ops;
use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;
use std::cell::Cell;
use std::ops::Range;

/// Panels that are multiplied at a time.
pub(super) const PANELS: usize = 2;
/// How many blocks of columns are unpacked at a time: whole strips, and a multiple of every format's block.
const STRETCH: usize = 8 * STRIP;
/// How many strips are multiplied at a time.
const PART: usize = 2;

/// Sums of an activation row with two panels.
#[derive(Clone, Copy, Debug, Default, Zeroable, Pod)]
#[repr(C, align(64))]
pub(super) struct RowSums(pub(super) [[f32; LANES]; PANELS]);

/// Weights in panels.
pub(super) trait Panels: Sync {
    /// How many weight rows there are, and how many columns each has: whole blocks.
    fn shape(&self) -> (usize, usize);
    /// How they are scaled, and what is added to their bytes.
    fn coding(&self) -> Coding;
    /// A panel, if it stands as it is multiplied.
    fn as_is(&self, _panel: usize) -> Option<&[PanelBlock]> {
        None
    }
    /// Unpacks part of a panel, from a multiple of [`STRETCH`] to another one or to the end.
    fn unpack(&self, panel: usize, blocks: Range<usize>, out: &mut [PanelBlock]);
}

/// How activations are multiplied.
pub(super) trait IntegerProduct {
    type Input: InputBlock;
    /// Adds the products of all rows with up to two panels, all of the same length.
    fn multiply(inputs: &InputRows<Self::Input>, panels: &[&[PanelBlock]], sums: &mut [RowSums], scaling: Scaling);
}

/// By instructions that multiply bytes and add the products.
pub(super) struct ByBytes;

/// Of bytes widened to 16 bits.
pub(super) struct ByPairs;

thread_local! {
    static UNPACKED: Cell<Vec<PanelBlock>> = const { Cell::new(Vec::new()) };
    static SUMS: Cell<Vec<RowSums>> = const { Cell::new(Vec::new()) };
    static QKV: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
    static FOUND: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

impl IntegerProduct for ByBytes {
    type Input = InputBytes;

    fn multiply(inputs: &InputRows<InputBytes>, panels: &[&[PanelBlock]], sums: &mut [RowSums], scaling: Scaling) {
        multiply_bytes(inputs, panels, sums, scaling);
    }
}

impl IntegerProduct for ByPairs {
    type Input = InputPairs;

    fn multiply(inputs: &InputRows<InputPairs>, panels: &[&[PanelBlock]], sums: &mut [RowSums], scaling: Scaling) {
        multiply_pairs(inputs, panels, sums, scaling);
    }
}

by_level! {
    fn multiply_bytes(inputs: &InputRows<InputBytes>, panels: &[&[PanelBlock]], sums: &mut [RowSums], scaling: Scaling) {
        vnni => avx512::multiply_bytes(inputs, panels, sums, scaling),
        avxvnni => avx_vnni::multiply_bytes(inputs, panels, sums, scaling),
        portable => {
            let column = |x: &InputBytes, n: usize| i32::from(bytemuck::cast::<_, [i8; SMALL_BLOCK]>(x.words)[n]);
            multiply_plainly(inputs, panels, sums, scaling, column, |x| (x.scale, x.sum, x.start));
        },
    }
}

by_level! {
    fn multiply_pairs(inputs: &InputRows<InputPairs>, panels: &[&[PanelBlock]], sums: &mut [RowSums], scaling: Scaling) {
        avx2 => avx2::multiply_pairs(inputs, panels, sums, scaling),
        portable => {
            let column = |x: &InputPairs, n: usize| {
                let pairs = if n.is_multiple_of(2) { x.odd } else { x.even };
                i32::from(bytemuck::cast::<_, [i16; 2]>(pairs[n / 4])[n % 4 / 2])
            };
            multiply_plainly(inputs, panels, sums, scaling, column, |x| (x.scale, x.sum, x.start));
        },
    }
}

/// The products as they are defined.
#[inline(always)]
fn multiply_plainly<I: InputBlock>(
    inputs: &InputRows<I>,
    panels: &[&[PanelBlock]],
    sums: &mut [RowSums],
    scaling: Scaling,
    column: impl Fn(&I, usize) -> i32,
    numbers: impl Fn(&I) -> (f32, f32, i32),
) {
    let shared = if scaling == Scaling::Shared { 2 } else { 1 };
    for (n, sums) in sums.iter_mut().enumerate() {
        for (panel, sums) in panels.iter().zip(&mut sums.0) {
            for (strip, panel) in inputs.strips.clone().zip(panel.chunks(STRIP)) {
                for (x, w) in inputs.row(strip, n).chunks(shared).zip(panel.chunks(shared)) {
                    let (scale, x_sum, start) = numbers(&x[0]);
                    let mut totals = [start; LANES];
                    for (x, w) in x.iter().zip(w) {
                        for (four, words) in w.bytes.iter().enumerate() {
                            for (total, word) in totals.iter_mut().zip(words) {
                                for (n, q) in word.to_ne_bytes().into_iter().enumerate() {
                                    *total += i32::from(q) * column(x, 4 * four + n);
                                }
                            }
                        }
                    }
                    for (lane, sum) in sums.iter_mut().enumerate() {
                        *sum = multiply_add::<FUSED>(totals[lane] as f32, scale * w[0].scales[lane], *sum);
                        if scaling == Scaling::WithMinima {
                            *sum = multiply_add::<FUSED>(-w[0].minima[lane], x_sum, *sum);
                        }
                    }
                }
            }
        }
    }
}

by_level! {
    /// Copies sums to the parts of rows where they belong.
    fn copy_to_rows(sums: &[RowSums], rows: &mut [&mut [f32]]) {
        to_rows(sums, rows, |to, from| *to = from);
    }
}

by_level! {
    /// Adds them there.
    fn add_to_rows(sums: &[RowSums], rows: &mut [&mut [f32]]) {
        to_rows(sums, rows, |to, from| *to += from);
    }
}

#[inline(always)]
fn to_rows(sums: &[RowSums], rows: &mut [&mut [f32]], put: impl Fn(&mut f32, f32)) {
    let count = rows.len();
    for (n, row) in rows.iter_mut().enumerate() {
        let (whole, rest) = row.as_chunks_mut::<{ PANELS * LANES }>();
        let mut sums = sums[n..].iter().step_by(count);
        for (out, sums) in whole.iter_mut().zip(&mut sums) {
            let sums: &[f32; PANELS * LANES] = bytemuck::cast_ref(sums);
            out.iter_mut().zip(sums).for_each(|(to, from)| put(to, *from));
        }
        if let Some(sums) = sums.next() {
            rest.iter_mut().zip(sums.0.as_flattened()).for_each(|(to, from)| put(to, *from));
        }
    }
}

/// What becomes of the results of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// They take the place of what was there.
    Over,
    /// They are added to it.
    Onto,
}

/// Puts `activation(x w^T + bias)`, (n, rows), to `out`.
pub(super) fn multiply_to<P: IntegerProduct>(
    (put, out): (Put, &mut [f32]),
    w: &impl Panels,
    x: &Strips<P::Input>,
    bias: Option<&[f32]>,
    activation: Activation,
) {
    /// Panels of a task, if each thread has a few then.
    const MOST: usize = STRIP_COLUMNS / LANES;
    let count = w.shape().0;
    let share = count.div_ceil(LANES) / (2 * rayon::current_num_threads());
    let panels = share.next_multiple_of(PANELS).clamp(PANELS, MOST);
    let tasks = gemm::columns_of(out, x.rows(), count, panels * LANES);
    multiply::<P, _>(w, x, bias, panels, tasks, |sums, mut out| {
        activate(sums, activation);
        match put {
            Put::Over => copy_to_rows(sums, &mut out),
            Put::Onto => add_to_rows(sums, &mut out),
        }
    });
}

/// `activation(x w^T + bias)` as the activations of the next layer. `w` has whole blocks of rows.
pub(super) fn multiply_to_inputs<P: IntegerProduct>(
    next: Coding,
    w: &impl Panels,
    x: &Strips<P::Input>,
    bias: &[f32],
    activation: Activation,
) -> Strips<P::Input> {
    let mut out = Strips::take(x.rows(), w.shape().0 / SMALL_BLOCK);
    let strips = out.strips_mut().collect();
    multiply::<P, _>(w, x, Some(bias), STRIP_COLUMNS / LANES, strips, |sums, out: &mut [P::Input]| {
        activate(sums, activation);
        P::Input::of_sums(sums, x.rows(), next, out);
    });
    out
}

/// What attention finds by queries, keys and values, the rows of `w`, as the activations of the next layer. Each task has
/// the heads of a strip.
pub(super) fn attend_to_inputs<P: IntegerProduct>(
    next: Coding,
    w: &impl Panels,
    x: &Strips<P::Input>,
    bias: &[f32],
    heads: Heads,
    attend: &(impl Fn(&[f32], Heads, &mut [f32]) + Sync),
) -> Strips<P::Input> {
    let (n, hidden) = (x.rows(), w.shape().0 / 3);
    let mut out = Strips::take(n, hidden / SMALL_BLOCK);
    let strips: Vec<_> = out.strips_mut().collect();
    strips.into_par_iter().enumerate().for_each(|(strip, place)| {
        let first = strip * STRIP_COLUMNS;
        let width = STRIP_COLUMNS.min(hidden - first);
        let (mut sums, mut qkv, mut found) = (SUMS.take(), QKV.take(), FOUND.take());
        qkv.resize(n * 3 * width, 0.0);
        found.resize(n * width, 0.0);
        for part in 0..3 {
            let first = part * hidden + first;
            add_products::<P>(w, first / LANES..(first + width) / LANES, x, Some(bias), &mut sums);
            let mut rows: Vec<&mut [f32]> =
                qkv.chunks_exact_mut(3 * width).map(|row| &mut row[part * width..][..width]).collect();
            copy_to_rows(&sums, &mut rows);
        }
        found.fill(0.0);
        attend(&qkv, Heads { count: width / heads.size, ..heads }, &mut found);
        P::Input::of_rows(&found, width, width / SMALL_BLOCK, next, place);
        SUMS.set(sums);
        QKV.set(qkv);
        FOUND.set(found);
    });
    out
}

/// Multiplies all rows with so many panels for each of the places, and lets `finish` write the sums there.
fn multiply<P: IntegerProduct, T: Send>(
    w: &impl Panels,
    inputs: &Strips<P::Input>,
    bias: Option<&[f32]>,
    panels: usize,
    places: Vec<T>,
    finish: impl Fn(&mut [RowSums], T) + Sync,
) {
    let all = w.shape().0.div_ceil(LANES);
    places.into_par_iter().enumerate().for_each(|(task, place)| {
        let panels = task * panels..all.min((task + 1) * panels);
        let mut sums = SUMS.take();
        add_products::<P>(w, panels, inputs, bias, &mut sums);
        finish(&mut sums, place);
        SUMS.set(sums);
    });
}

fn activate(sums: &mut [RowSums], activation: Activation) {
    ops::activate_rows(bytemuck::cast_slice_mut(sums), None, PANELS * LANES, activation);
}

/// Fills `sums` with the products of some panels with all rows, in pairs of panels, each added to its row's bias.
fn add_products<P: IntegerProduct>(
    w: &impl Panels,
    panels: Range<usize>,
    inputs: &Strips<P::Input>,
    bias: Option<&[f32]>,
    sums: &mut Vec<RowSums>,
) {
    let (blocks, n) = (w.shape().1 / SMALL_BLOCK, inputs.rows());
    sums.clear();
    for pair in panels.clone().step_by(PANELS) {
        let mut start = RowSums::default();
        if let Some(bias) = bias {
            start.0.as_flattened_mut().iter_mut().zip(&bias[pair * LANES..]).for_each(|(to, from)| *to = *from);
        }
        sums.resize(sums.len() + n, start);
    }
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
        for at in (0..stretch.len()).step_by(PART * STRIP) {
            let part = at..stretch.len().min(at + PART * STRIP);
            let strips = (start + part.start) / STRIP..(start + part.end).div_ceil(STRIP);
            let rows = InputRows { inputs, strips };
            for (of_pair, sums) in of_panels.chunks(PANELS).zip(sums.chunks_exact_mut(n)) {
                let of_pair: Vec<&[PanelBlock]> = of_pair.iter().map(|panel| &panel[part.clone()]).collect();
                P::multiply(&rows, &of_pair, sums, w.coding().scaling);
            }
        }
    }
    UNPACKED.set(unpacked);
}
