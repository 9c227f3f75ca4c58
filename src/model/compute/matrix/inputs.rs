//! Activation rows in 8 bits, as integer products want them: blocks of 32 columns have a scale each, or two share one.
//!
//! They stand in strips: the first four blocks of all rows, then the next four of all, and so on. So a task of the layer
//! before, which computes these columns of all rows, writes them side by side, and a product reads them in order.

use super::integers::RowSums;
use super::kernels::{SMALL_BLOCK, byte_scales, largest_bits, rounded};
use super::panels::Scaling;
use crate::model::compute::level::by_level;
use crate::model::compute::ops::{Norm, layer_norm};
use rayon::prelude::*;
use std::cell::Cell;
use std::ops::Range;
use std::thread::LocalKey;

/// Blocks of a strip.
pub(super) const STRIP: usize = 4;
/// Columns of a strip.
pub(super) const STRIP_COLUMNS: usize = STRIP * SMALL_BLOCK;

/// 32 columns of an activation row, for products of bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InputBytes {
    /// Four columns in each word.
    pub(super) words: [i32; SMALL_BLOCK / 4],
    pub(super) scale: f32,
    /// The scale times the sum of the columns.
    pub(super) sum: f32,
    /// What was added to the weights times the sum of all columns that share the scale, to be taken off; with the first
    /// of these blocks.
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

/// 32 columns of an activation row.
pub(super) trait InputBlock: Clone + Default + Send + Sync + 'static {
    /// Columns with their scale and what their sum begins with.
    fn new(columns: [i8; SMALL_BLOCK], scale: f32, sum: f32, start: i32) -> Self;
    /// Memory of this thread, so that megabytes need not be allocated again for each product.
    fn memory() -> &'static LocalKey<Cell<Vec<Vec<Self>>>>;
    /// Rounds the columns of a strip: `x` begins with the first of them, its rows are `length` numbers apart.
    fn of_rows(x: &[f32], length: usize, width: usize, coding: Coding, out: &mut [Self]);
    /// The same of sums with pairs of panels, each of all rows.
    fn of_sums(sums: &[RowSums], rows: usize, coding: Coding, out: &mut [Self]);
}

/// How activations are rounded for some weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coding {
    pub(super) scaling: Scaling,
    /// What is added to the weights.
    pub(super) offset: i32,
}

thread_local! {
    static INPUT_BYTES: Cell<Vec<Vec<InputBytes>>> = const { Cell::new(Vec::new()) };
    static INPUT_PAIRS: Cell<Vec<Vec<InputPairs>>> = const { Cell::new(Vec::new()) };
    static NORMED: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

impl InputBlock for InputBytes {
    #[inline(always)]
    fn new(columns: [i8; SMALL_BLOCK], scale: f32, sum: f32, start: i32) -> Self {
        Self { words: bytemuck::cast(columns), scale, sum, start }
    }

    fn memory() -> &'static LocalKey<Cell<Vec<Vec<Self>>>> {
        &INPUT_BYTES
    }

    fn of_rows(x: &[f32], length: usize, width: usize, coding: Coding, out: &mut [Self]) {
        rows_as_bytes(x, length, width, coding, out);
    }

    fn of_sums(sums: &[RowSums], rows: usize, coding: Coding, out: &mut [Self]) {
        sums_as_bytes(sums, rows, coding, out);
    }
}

impl InputBlock for InputPairs {
    #[inline(always)]
    fn new(columns: [i8; SMALL_BLOCK], scale: f32, sum: f32, start: i32) -> Self {
        let mut new = Self { scale, sum, start, ..Self::default() };
        for (([a, b, c, d], odd), even) in columns.as_chunks().0.iter().zip(&mut new.odd).zip(&mut new.even) {
            *odd = bytemuck::cast([i16::from(*a), i16::from(*c)]);
            *even = bytemuck::cast([i16::from(*b), i16::from(*d)]);
        }
        new
    }

    fn memory() -> &'static LocalKey<Cell<Vec<Vec<Self>>>> {
        &INPUT_PAIRS
    }

    fn of_rows(x: &[f32], length: usize, width: usize, coding: Coding, out: &mut [Self]) {
        rows_as_pairs(x, length, width, coding, out);
    }

    fn of_sums(sums: &[RowSums], rows: usize, coding: Coding, out: &mut [Self]) {
        sums_as_pairs(sums, rows, coding, out);
    }
}

by_level! {
    fn rows_as_bytes(x: &[f32], length: usize, width: usize, coding: Coding, out: &mut [InputBytes]) {
        round_rows(x, length, width, coding, out);
    }
}

by_level! {
    fn rows_as_pairs(x: &[f32], length: usize, width: usize, coding: Coding, out: &mut [InputPairs]) {
        round_rows(x, length, width, coding, out);
    }
}

by_level! {
    fn sums_as_bytes(sums: &[RowSums], rows: usize, coding: Coding, out: &mut [InputBytes]) {
        round_sums(sums, rows, coding, out);
    }
}

by_level! {
    fn sums_as_pairs(sums: &[RowSums], rows: usize, coding: Coding, out: &mut [InputPairs]) {
        round_sums(sums, rows, coding, out);
    }
}

#[inline(always)]
fn round_rows<I: InputBlock>(x: &[f32], length: usize, width: usize, coding: Coding, out: &mut [I]) {
    for (out, row) in out.chunks_exact_mut(width).zip(x.chunks(length)) {
        let blocks = &row.as_chunks().0[..width];
        round_row(|n| &blocks[n], coding, out);
    }
}

#[inline(always)]
fn round_sums<I: InputBlock>(sums: &[RowSums], rows: usize, coding: Coding, out: &mut [I]) {
    for (row, out) in out.chunks_exact_mut(sums.len() / rows).enumerate() {
        round_row(|n| bytemuck::cast_ref(&sums[n * rows + row]), coding, out);
    }
}

/// Rounds the blocks of a row in a strip.
#[inline(always)]
fn round_row<'a, I: InputBlock>(block: impl Fn(usize) -> &'a [f32; SMALL_BLOCK], coding: Coding, out: &mut [I]) {
    let in_pairs = if coding.scaling == Scaling::Shared { out.len() / 2 * 2 } else { 0 };
    let (pairs, rest) = out.split_at_mut(in_pairs);
    for (n, pair) in pairs.as_chunks_mut().0.iter_mut().enumerate() {
        round([block(2 * n), block(2 * n + 1)], coding.offset, pair);
    }
    for (n, out) in rest.iter_mut().enumerate() {
        round([block(in_pairs + n)], coding.offset, std::array::from_mut(out));
    }
}

/// Rounds blocks that share a scale.
#[inline(always)]
fn round<I: InputBlock, const N: usize>(blocks: [&[f32; SMALL_BLOCK]; N], offset: i32, out: &mut [I; N]) {
    let mut largest = 0;
    for block in blocks {
        largest = largest.max(largest_bits(block));
    }
    let (inverse, scale) = byte_scales(largest);
    let (mut columns, mut totals) = ([[0; SMALL_BLOCK]; N], [0; N]);
    for n in 0..N {
        (columns[n], totals[n]) = rounded(blocks[n], inverse);
    }
    let mut start = -offset * totals.iter().sum::<i32>();
    for n in 0..N {
        out[n] = I::new(columns[n], scale, scale * totals[n] as f32, start);
        start = 0;
    }
}

/// Activation rows in strips.
pub(super) struct Strips<I: InputBlock> {
    /// As many as it takes, or more.
    memory: Vec<I>,
    rows: usize,
    /// Blocks of a row.
    length: usize,
}

impl<I: InputBlock> Strips<I> {
    /// Room for rows of so many blocks.
    pub(super) fn take(rows: usize, length: usize) -> Self {
        let mut all = I::memory().take();
        let mut memory = all.pop().unwrap_or_default();
        I::memory().set(all);
        if memory.len() < rows * length {
            memory.resize(rows * length, I::default());
        }
        Self { memory, rows, length }
    }

    /// The same, filled with `x`, (rows, columns), or with what a norm makes of its rows.
    pub(super) fn of(x: &[f32], columns: usize, norm: Option<Norm>, coding: Coding) -> Self {
        /// Rows of a task, which stay in the second-level cache once they are normalised.
        const ROWS: usize = 16;
        let mut new = Self::take(x.len() / columns, columns / SMALL_BLOCK);
        let mut tasks: Vec<Vec<&mut [I]>> = Vec::new();
        tasks.resize_with(new.rows.div_ceil(ROWS), Vec::new);
        let rows = new.rows;
        for strip in new.strips_mut() {
            let width = strip.len() / rows;
            tasks.iter_mut().zip(strip.chunks_mut(ROWS * width)).for_each(|(task, part)| task.push(part));
        }
        tasks.into_par_iter().zip(x.par_chunks(ROWS * columns)).for_each(|(strips, x)| {
            let mut normed = NORMED.take();
            let x = norm.map_or(x, |norm| {
                normed.clear();
                normed.extend_from_slice(x);
                layer_norm(&mut normed, norm.weight, norm.bias, norm.eps);
                &normed
            });
            for (n, out) in strips.into_iter().enumerate() {
                let width = out.len() / (x.len() / columns);
                I::of_rows(&x[n * STRIP_COLUMNS..], columns, width, coding, out);
            }
            NORMED.set(normed);
        });
        new
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Each strip, of all rows.
    pub(super) fn strips_mut(&mut self) -> impl Iterator<Item = &mut [I]> {
        self.memory[..self.rows * self.length].chunks_mut((STRIP * self.rows).max(1))
    }

    /// The blocks of a row in a strip.
    #[inline]
    fn row(&self, strip: usize, row: usize) -> &[I] {
        let first = strip * STRIP;
        let width = STRIP.min(self.length - first);
        &self.memory[first * self.rows + row * width..][..width]
    }
}

/// Gives the memory back.
impl<I: InputBlock> Drop for Strips<I> {
    fn drop(&mut self) {
        let mut all = I::memory().take();
        all.push(std::mem::take(&mut self.memory));
        I::memory().set(all);
    }
}

/// Some strips of activation rows.
pub(super) struct InputRows<'a, I: InputBlock> {
    pub(super) inputs: &'a Strips<I>,
    pub(super) strips: Range<usize>,
}

impl<I: InputBlock> InputRows<'_, I> {
    #[inline]
    pub(super) fn row(&self, strip: usize, row: usize) -> &[I] {
        self.inputs.row(strip, row)
    }

    /// The first so many blocks of some rows in a strip, cut so that no bounds are checked in a loop over them.
    #[inline(always)]
    pub(super) fn group<const ROWS: usize>(&self, strip: usize, first: usize, blocks: usize) -> [&[I]; ROWS] {
        let mut rows: [&[I]; ROWS] = [&[]; ROWS];
        for (n, row) in rows.iter_mut().enumerate() {
            *row = &self.inputs.row(strip, first + n)[..blocks];
        }
        rows
    }
}
