//! Matrices of weights, multiplied in place in a mapped file, in the format that they have there.
//!
//! Few activation rows (one token of each chat) are multiplied with one weight row after another: reading the weights
//! is the whole cost, and quantized weights are multiplied as integers. For many rows (a picture's patches, a prompt),
//! the weights are unpacked part by part, to f32 or to integers, and multiplied in registers, as a GEMM does
//! (Goto and van de Geijn 2008). A matrix is never widened as a whole.

mod gemm;
mod heads;
mod inputs;
mod integers;
mod kernels;
mod panels;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::level::{has_byte_products, integers_are_fast};
use super::ops::{self, Activation, Norm};
use bytemuck::Zeroable;
use inputs::{Coding, Strips};
use integers::{ByBytes, ByPairs, IntegerProduct, Put};
use kernels::QuantizedRow;
use panels::{PanelBlock, Scaling};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

pub(in crate::model) use gemm::{columns_of, multiply_slices, multiply_slices_alike, multiply_slices_to};
pub(in crate::model) use heads::{Heads, attend};

/// A weight format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Dtype {
    F64,
    F32,
    F16,
    Bf16,
    /// Blocks of 32: an f16 scale and 32 signed bytes.
    Q8_0,
    /// Blocks of 32, with 5 bits for each weight.
    Q4_1,
    /// Blocks of 256, with 4.5 bits for each weight.
    Q4K,
}

impl Dtype {
    pub(in crate::model) fn of_safetensors(dtype: safetensors::Dtype) -> Option<Self> {
        match dtype {
            safetensors::Dtype::F64 => Some(Self::F64),
            safetensors::Dtype::F32 => Some(Self::F32),
            safetensors::Dtype::F16 => Some(Self::F16),
            safetensors::Dtype::BF16 => Some(Self::Bf16),
            _ => None,
        }
    }

    /// How many weights a block has, and how many bytes.
    pub(in crate::model) const fn block(self) -> (usize, usize) {
        match self {
            Self::F64 => (1, 8),
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Q8_0 => (kernels::SMALL_BLOCK, kernels::Q8_0_BYTES),
            Self::Q4_1 => (kernels::SMALL_BLOCK, kernels::Q4_1_BYTES),
            Self::Q4K => (kernels::LARGE_BLOCK, kernels::Q4_K_BYTES),
        }
    }

    /// How many bytes `count` weights take; `None` if they do not fill whole blocks or the number overflows.
    pub(in crate::model) fn bytes(self, count: usize) -> Option<usize> {
        let (weights, bytes) = self.block();
        count.is_multiple_of(weights).then_some(())?;
        (count / weights).checked_mul(bytes)
    }

    /// Whether its weights are whole numbers with scales.
    pub(in crate::model) fn is_quantized(self) -> bool {
        matches!(self, Self::Q8_0 | Self::Q4_1 | Self::Q4K)
    }

    /// Converts whole blocks to f32.
    pub(in crate::model) fn widen(self, bytes: &[u8], out: &mut [f32]) {
        match self {
            Self::F64 => kernels::narrow_f64(bytes, out),
            Self::F32 => kernels::widen_f32(bytes, out),
            Self::F16 => kernels::widen_f16(bytes, out),
            Self::Bf16 => kernels::widen_bf16(bytes, out),
            Self::Q8_0 => kernels::widen_q8_0(bytes, out),
            Self::Q4_1 => kernels::widen_q4_1(bytes, out),
            Self::Q4K => kernels::widen_q4_k(bytes, out),
        }
    }
}

/// A matrix of weights, stored row by row in mapped bytes.
#[derive(Clone)]
pub(in crate::model) struct Matrix {
    file: Arc<dyn AsRef<[u8]> + Send + Sync>,
    bytes: Range<usize>,
    dtype: Dtype,
    rows: usize,
    columns: usize,
    row_bytes: usize,
}

impl Matrix {
    /// The matrix of `rows` times `columns` weights in `bytes` of `file`.
    ///
    /// # Errors
    /// The matrix is empty, does not fill `bytes` exactly, or ends outside `file`.
    pub(in crate::model) fn new(
        file: Arc<impl AsRef<[u8]> + Send + Sync + 'static>,
        bytes: Range<usize>,
        dtype: Dtype,
        rows: usize,
        columns: usize,
    ) -> anyhow::Result<Self> {
        let row_bytes = dtype.bytes(columns).filter(|_| rows > 0 && columns > 0);
        let fits = |row: usize| row.checked_mul(rows) == Some(bytes.len()) && bytes.end <= (*file).as_ref().len();
        match row_bytes.filter(|row| fits(*row)) {
            Some(row_bytes) => Ok(Self { file, bytes, dtype, rows, columns, row_bytes }),
            None => anyhow::bail!("{} bytes are not {rows} x {columns} weights of type {dtype:?}", bytes.len()),
        }
    }

    /// How many numbers a result row has.
    pub(in crate::model) fn rows(&self) -> usize {
        self.rows
    }

    /// How many numbers an activation row has.
    pub(in crate::model) fn columns(&self) -> usize {
        self.columns
    }

    /// Converts one row to f32: an embedding lookup.
    pub(in crate::model) fn widen_row(&self, row: usize, out: &mut [f32]) {
        self.dtype.widen(self.row(row), out);
    }

    fn row(&self, row: usize) -> &[u8] {
        let bytes = &(*self.file).as_ref()[self.bytes.clone()];
        &bytes[row * self.row_bytes..][..self.row_bytes]
    }

    /// Part of a row. It must begin and end at the boundaries of blocks.
    fn part(&self, row: usize, columns: Range<usize>) -> &[u8] {
        let (weights, bytes) = self.dtype.block();
        &self.row(row)[columns.start / weights * bytes..columns.end / weights * bytes]
    }

    /// `x W^T` in f32, (n, rows), with the same bits at every processor level.
    pub(in crate::model) fn multiply_alike(&self, x: &[f32]) -> Vec<f32> {
        gemm::multiply(&self, kernels::multiply_tile_alike, x, None, Activation::None)
    }

    /// `activation(x W^T + bias)`, (n, rows), for the activation rows `x`, (n, columns).
    pub(in crate::model) fn multiply(&self, x: &[f32], bias: Option<&[f32]>, activation: Activation) -> Vec<f32> {
        let n = x.len() / self.columns;
        debug_assert_eq!(x.len(), n * self.columns);
        if n > self.few() {
            if self.dtype.is_quantized() && integers_are_fast() {
                let mut out = vec![0.0; n * self.rows];
                multiply_integers((Put::Over, &mut out), &self, x, None, bias, activation);
                return out;
            }
            return gemm::multiply(&self, kernels::multiply_tile, x, bias, activation);
        }
        let mut out = multiply_few(x, &[self]).pop().unwrap_or_default();
        ops::activate_rows(&mut out, bias, self.rows, activation);
        out
    }

    /// Up to how many activation rows are multiplied one by one: the number at which that costs as much as unpacking the
    /// weights (measured).
    fn few(&self) -> usize {
        match (self.dtype, has_byte_products()) {
            (Dtype::F16 | Dtype::Bf16, _) => 6,
            (Dtype::F64 | Dtype::F32, _) => 4,
            (Dtype::Q4_1 | Dtype::Q4K, _) => 4,
            (Dtype::Q8_0, true) => 2,
            (Dtype::Q8_0, false) => 3,
        }
    }

    /// Results of some of its rows, `n` numbers each, and these rows: pieces that are worth separate tasks.
    fn pieces<'m>(&'m self, n: usize, out: &'m mut [f32]) -> impl Iterator<Item = (&'m mut [f32], &'m [u8])> {
        /// How many bytes of weights are worth a separate task.
        const TASK: usize = 128 << 10;
        let rows = (TASK / self.row_bytes).max(1);
        let bytes = &(*self.file).as_ref()[self.bytes.clone()];
        out.chunks_mut(rows * n).zip(bytes.chunks(rows * self.row_bytes))
    }

    /// The products of a row of weights with some activation rows, of which `quantized` are the same if the weights are
    /// quantized. `wide` is memory for it.
    fn products(&self, row: &[u8], x: &[&[f32]], quantized: &[QuantizedRow], wide: &mut Vec<f32>, out: &mut [f32]) {
        match self.dtype {
            Dtype::Q8_0 | Dtype::Q4_1 | Dtype::Q4K => self.integer_products(row, quantized, out),
            Dtype::F16 => kernels::dot_f16(row, x, out),
            Dtype::Bf16 => kernels::dot_bf16(row, x, out),
            Dtype::F32 => kernels::dot_f32(row, x, out),
            Dtype::F64 => {
                wide.resize(self.columns, 0.0);
                self.dtype.widen(row, wide);
                kernels::dot_f32(bytemuck::cast_slice(wide), x, out);
            }
        }
    }

    fn integer_products(&self, row: &[u8], x: &[QuantizedRow], out: &mut [f32]) {
        match self.dtype {
            Dtype::Q4K => {
                in_groups::<4>(
                    x,
                    out,
                    |x, out| kernels::dot_q4_k(row, x, out),
                    |x, out| kernels::dot_q4_k(row, x, out),
                );
            }
            Dtype::Q4_1 => {
                in_groups::<4>(
                    x,
                    out,
                    |x, out| kernels::dot_q4_1(row, x, out),
                    |x, out| kernels::dot_q4_1(row, x, out),
                );
            }
            _ => {
                in_groups::<2>(
                    x,
                    out,
                    |x, out| kernels::dot_q8_0(row, x, out),
                    |x, out| kernels::dot_q8_0(row, x, out),
                );
            }
        }
    }
}

/// `x W^T + bias`, (n, rows), for each of some matrices with the same number of columns.
pub(in crate::model) fn multiply_each<const N: usize>(
    x: &[f32],
    matrices: [(&Matrix, Option<&[f32]>); N],
) -> [Vec<f32>; N] {
    let few = |(matrix, _): &(&Matrix, _)| x.len() <= matrix.few() * matrix.columns;
    let mut products = if matrices.iter().all(few) {
        multiply_few(x, &matrices.map(|(matrix, _)| matrix))
    } else {
        matrices.par_iter().map(|(matrix, _)| matrix.multiply(x, None, Activation::None)).collect()
    };
    for (products, (matrix, bias)) in products.iter_mut().zip(matrices) {
        ops::activate_rows(products, bias, matrix.rows, Activation::None);
    }
    let mut products = products.into_iter();
    std::array::from_fn(|_| products.next().unwrap_or_default())
}

/// The products of a few activation rows with each of some matrices, (n, rows), by one weight row after another.
fn multiply_few(x: &[f32], matrices: &[&Matrix]) -> Vec<Vec<f32>> {
    let columns = matrices.first().map_or(1, |matrix| matrix.columns);
    let x: Vec<&[f32]> = x.chunks_exact(columns).collect();
    let n = x.len();
    let is_quantized = matrices.iter().any(|matrix| matrix.dtype.is_quantized());
    let quantized: Vec<QuantizedRow> = x.iter().filter(|_| is_quantized).map(|row| QuantizedRow::new(row)).collect();
    let mut turned: Vec<Vec<f32>> = matrices.iter().map(|matrix| vec![0.0; n * matrix.rows]).collect();
    let pieces: Vec<_> = matrices
        .iter()
        .zip(&mut turned)
        .flat_map(|(matrix, out)| matrix.pieces(n, out).map(move |(out, bytes)| (matrix, out, bytes)))
        .collect();
    pieces.into_par_iter().for_each_init(Vec::new, |wide, (matrix, out, bytes)| {
        for (out, row) in out.chunks_exact_mut(n).zip(bytes.chunks_exact(matrix.row_bytes)) {
            matrix.products(row, &x, &quantized, wide, out);
        }
    });
    if n > 1 {
        turned.iter_mut().for_each(|out| *out = transposed(&out.chunks_exact(n).collect::<Vec<_>>()));
    }
    turned
}

/// Calls a product for as many activation rows at once as its registers hold, and one for each that is left.
fn in_groups<const M: usize>(
    x: &[QuantizedRow],
    out: &mut [f32],
    of_group: impl Fn(&[QuantizedRow; M], &mut [f32; M]),
    of_one: impl Fn(&[QuantizedRow; 1], &mut [f32; 1]),
) {
    let (x_groups, x_rest) = x.as_chunks::<M>();
    let (out_groups, out_rest) = out.as_chunks_mut::<M>();
    x_groups.iter().zip(out_groups).for_each(|(x, out)| of_group(x, out));
    x_rest.as_chunks().0.iter().zip(out_rest.as_chunks_mut().0).for_each(|(x, out)| of_one(x, out));
}

impl gemm::Rows for &Matrix {
    fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    fn widen(&self, row: usize, columns: Range<usize>, out: &mut [f32]) {
        self.dtype.widen(self.part(row, columns), out);
    }

    fn as_is(&self, row: usize, columns: Range<usize>) -> Option<&[f32]> {
        (self.dtype == Dtype::F32).then(|| bytemuck::try_cast_slice(self.part(row, columns)).ok()).flatten()
    }
}

impl integers::Panels for &Matrix {
    fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    fn coding(&self) -> Coding {
        match self.dtype {
            Dtype::Q4_1 | Dtype::Q4K => Coding { scaling: Scaling::WithMinima, offset: 0 },
            _ => Coding { scaling: Scaling::Each, offset: panels::SIGNED_OFFSET },
        }
    }

    fn unpack(&self, panel: usize, blocks: Range<usize>, out: &mut [PanelBlock]) {
        let columns = blocks.start * kernels::SMALL_BLOCK..blocks.end * kernels::SMALL_BLOCK;
        // What is left of the last panel is multiplied, and not used.
        let row = |lane: usize| self.part((panel * kernels::LANES + lane).min(self.rows - 1), columns.clone());
        panels::unpack(self.dtype, std::array::from_fn(row), out);
    }
}

/// Puts `activation(x w^T + bias)`, or the same of what a norm makes of `x`.
fn multiply_integers(
    out: (Put, &mut [f32]),
    w: &impl integers::Panels,
    x: &[f32],
    norm: Option<Norm>,
    bias: Option<&[f32]>,
    activation: Activation,
) {
    fn multiply<P: IntegerProduct>(
        out: (Put, &mut [f32]),
        w: &impl integers::Panels,
        x: &[f32],
        norm: Option<Norm>,
        bias: Option<&[f32]>,
        activation: Activation,
    ) {
        let x = Strips::of(x, w.shape().1, norm, w.coding());
        integers::multiply_to::<P>(out, w, &x, bias, activation);
    }
    if has_byte_products() {
        multiply::<ByBytes>(out, w, x, norm, bias, activation);
    } else {
        multiply::<ByPairs>(out, w, x, norm, bias, activation);
    }
}

/// Weights in 8 bits, each 64 of a row with a scale, in the order in which they are multiplied: nothing is unpacked.
#[derive(Clone)]
pub(in crate::model) struct PackedMatrix {
    file: Arc<dyn AsRef<[u8]> + Send + Sync>,
    bytes: Range<usize>,
    rows: usize,
    columns: usize,
}

/// A layer of [`PackedMatrix`]: its weights and its bias.
pub(in crate::model) type PackedLayer<'a> = (&'a PackedMatrix, &'a [f32]);

impl PackedMatrix {
    /// Rounds weights, rows of so many columns, to 8 bits; `None` if the columns do not fill whole blocks of 32.
    pub(in crate::model) fn pack(weights: &[f32], columns: usize) -> Option<Vec<u8>> {
        if columns == 0 || !columns.is_multiple_of(kernels::SMALL_BLOCK) {
            return None;
        }
        let length = columns / kernels::SMALL_BLOCK;
        let rows: Vec<&[f32]> = weights.chunks_exact(columns).collect();
        let mut out = vec![PanelBlock::zeroed(); rows.len().div_ceil(kernels::LANES) * length];
        let panels = rows.par_chunks(kernels::LANES).zip(out.par_chunks_exact_mut(length));
        panels.for_each(|(rows, out)| panels::pack(rows, out));
        Some(bytemuck::cast_slice(&out).to_vec())
    }

    /// What [`PackedMatrix::pack`] made of `rows` times `columns` weights.
    ///
    /// # Errors
    /// `bytes` of `file` are not that many, or do not begin at a cache line.
    pub(in crate::model) fn new(
        file: Arc<impl AsRef<[u8]> + Send + Sync + 'static>,
        bytes: Range<usize>,
        rows: usize,
        columns: usize,
    ) -> anyhow::Result<Self> {
        let expected = rows.div_ceil(kernels::LANES).checked_mul(columns / kernels::SMALL_BLOCK);
        let whole = rows > 0 && columns > 0 && columns.is_multiple_of(kernels::SMALL_BLOCK);
        let found = (*file).as_ref().get(bytes.clone()).and_then(|bytes| bytemuck::try_cast_slice(bytes).ok());
        match found.filter(|blocks: &&[PanelBlock]| whole && Some(blocks.len()) == expected) {
            Some(_) => Ok(Self { file, bytes, rows, columns }),
            None => anyhow::bail!("{} bytes are not {rows} x {columns} weights in panels", bytes.len()),
        }
    }

    /// How many numbers a result row has.
    pub(in crate::model) fn rows(&self) -> usize {
        self.rows
    }

    /// How many numbers an activation row has.
    pub(in crate::model) fn columns(&self) -> usize {
        self.columns
    }

    /// Writes `activation(x W^T + bias)`, (n, rows), to `out`, for the activation rows `x`, (n, columns), or for what a norm
    /// makes of them. The bits of a row's results do not depend on how many others there are.
    pub(in crate::model) fn multiply_to(
        &self,
        out: &mut [f32],
        x: &[f32],
        norm: Option<Norm>,
        bias: &[f32],
        activation: Activation,
    ) {
        multiply_integers((Put::Over, out), &self, x, norm, Some(bias), activation);
    }

    /// Adds `x W^T + bias` to `out`.
    pub(in crate::model) fn multiply_onto(&self, out: &mut [f32], x: &[f32], bias: &[f32]) {
        multiply_integers((Put::Onto, out), &self, x, None, Some(bias), Activation::None);
    }
}

/// Adds to each row of `x` what two layers, with an activation between them, make of the normalised row: the second half
/// of a transformer's layer. What stands between the layers is never written as f32. The first one has as many rows as
/// the second one has columns.
pub(in crate::model) fn add_mlp(x: &mut [f32], norm: Norm, layers: [PackedLayer; 2], activation: Activation) {
    fn add<P: IntegerProduct>(
        x: &mut [f32],
        norm: Norm,
        [(fc1, bias1), (fc2, bias2)]: [PackedLayer; 2],
        activation: Activation,
    ) {
        use integers::Panels;
        let inputs = Strips::of(x, fc1.columns, Some(norm), fc1.coding());
        let inner = integers::multiply_to_inputs::<P>(fc2.coding(), &fc1, &inputs, bias1, activation);
        integers::multiply_to::<P>((Put::Onto, x), &fc2, &inner, Some(bias2), Activation::None);
    }
    if has_byte_products() {
        add::<ByBytes>(x, norm, layers, activation);
    } else {
        add::<ByPairs>(x, norm, layers, activation);
    }
}

/// Whether [`add_attention`] is for heads of so many numbers.
pub(in crate::model) fn heads_fill_strips(size: usize) -> bool {
    size > 0 && inputs::STRIP_COLUMNS.is_multiple_of(size)
}

/// Adds to each row of `x` what attention finds in the normalised rows: the first half of a transformer's layer, by the
/// layers from states to queries, keys and values, and from what was found to states. The heads of a strip are computed at
/// a time, so that queries, keys and values stay in the cache.
pub(in crate::model) fn add_attention(
    x: &mut [f32],
    norm: Norm,
    layers: [PackedLayer; 2],
    heads: Heads,
    attend: &(impl Fn(&[f32], Heads, &mut [f32]) + Sync),
) {
    fn add<P: IntegerProduct>(
        x: &mut [f32],
        norm: Norm,
        [(qkv, qkv_bias), (out, out_bias)]: [PackedLayer; 2],
        heads: Heads,
        attend: &(impl Fn(&[f32], Heads, &mut [f32]) + Sync),
    ) {
        use integers::Panels;
        let inputs = Strips::of(x, qkv.columns, Some(norm), qkv.coding());
        let found = integers::attend_to_inputs::<P>(out.coding(), &qkv, &inputs, qkv_bias, heads, attend);
        integers::multiply_to::<P>((Put::Onto, x), &out, &found, Some(out_bias), Activation::None);
    }
    if has_byte_products() {
        add::<ByBytes>(x, norm, layers, heads, attend);
    } else {
        add::<ByPairs>(x, norm, layers, heads, attend);
    }
}

impl integers::Panels for &PackedMatrix {
    fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    fn coding(&self) -> Coding {
        Coding { scaling: Scaling::Shared, offset: panels::SIGNED_OFFSET }
    }

    fn as_is(&self, panel: usize) -> Option<&[PanelBlock]> {
        let blocks = bytemuck::try_cast_slice(&(*self.file).as_ref()[self.bytes.clone()]).ok()?;
        let length = self.columns / kernels::SMALL_BLOCK;
        blocks.get(panel * length..(panel + 1) * length)
    }

    fn unpack(&self, panel: usize, blocks: Range<usize>, out: &mut [PanelBlock]) {
        out.copy_from_slice(&self.as_is(panel).unwrap_or_default()[blocks]);
    }
}

/// Rows of one length as columns: (length, rows).
pub(in crate::model) fn transposed(rows: &[&[f32]]) -> Vec<f32> {
    let (count, length) = (rows.len(), rows.first().map_or(0, |row| row.len()));
    let mut out = vec![0.0; count * length];
    let (fours, rest) = rows.as_chunks::<4>();
    for (four, rows) in fours.iter().enumerate() {
        let whole = rows.map(|row| row.as_chunks::<4>().0);
        for at in 0..length / 4 {
            let columns = kernels::transpose(whole.map(|row| row[at]));
            for (column, numbers) in columns.into_iter().enumerate() {
                out[(4 * at + column) * count + 4 * four..][..4].copy_from_slice(&numbers);
            }
        }
        for column in length / 4 * 4..length {
            rows.iter().enumerate().for_each(|(n, row)| out[column * count + 4 * four + n] = row[column]);
        }
    }
    for (n, row) in rows.iter().enumerate().skip(count - rest.len()) {
        row.iter().enumerate().for_each(|(column, number)| out[column * count + n] = *number);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::compute::level::{Level, level};
    use candle_core::quantized::{GgmlDType, QTensor};
    use candle_core::{Device, Tensor};

    fn numbers(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
    }

    /// Little-endian bytes of a matrix in each format, and the numbers that they encode.
    fn formats(w: &[f32], rows: usize, columns: usize) -> Vec<(Dtype, Vec<u8>, Vec<f32>)> {
        let f16: Vec<half::f16> = w.iter().map(|v| half::f16::from_f32(*v)).collect();
        let bf16: Vec<half::bf16> = w.iter().map(|v| half::bf16::from_f32(*v)).collect();
        let mut all = vec![
            (Dtype::F32, bytemuck::cast_slice(w).to_vec(), w.to_vec()),
            (Dtype::F16, bytemuck::cast_slice(&f16).to_vec(), f16.iter().map(|v| v.to_f32()).collect()),
            (Dtype::Bf16, bytemuck::cast_slice(&bf16).to_vec(), bf16.iter().map(|v| v.to_f32()).collect()),
        ];
        let tensor = Tensor::from_slice(w, (rows, columns), &Device::Cpu).unwrap();
        for (ours, candles) in
            [(Dtype::Q8_0, GgmlDType::Q8_0), (Dtype::Q4_1, GgmlDType::Q4_1), (Dtype::Q4K, GgmlDType::Q4K)]
        {
            if columns.is_multiple_of(ours.block().0) {
                let quantized = QTensor::quantize(&tensor, candles).unwrap();
                let wide = quantized.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap();
                all.push((ours, quantized.data().unwrap().to_vec(), wide));
            }
        }
        all
    }

    /// Covers every format, few and many activation rows, and sizes that do not fill a tile.
    #[test]
    fn products_equal_the_plain_sums() {
        for (rows, columns) in [(50, 512), (1, 32), (13, 96), (49, 768), (7, 5), (100, 300)] {
            let w = numbers(rows * columns, 1);
            for (dtype, bytes, wide) in formats(&w, rows, columns) {
                let length = bytes.len();
                let matrix = Matrix::new(Arc::new(bytes), 0..length, dtype, rows, columns).unwrap();
                let mut row = vec![0.0; columns];
                matrix.widen_row(rows - 1, &mut row);
                assert_eq!(row, wide[(rows - 1) * columns..], "{dtype:?}");
                for n in [1, 2, 4, 5, 12, 13, 16, 17, 40] {
                    let (x, bias) = (numbers(n * columns, 2), numbers(rows, 3));
                    let got = matrix.multiply(&x, Some(&bias), Activation::None);
                    assert_eq!(got.len(), n * rows);
                    // With quantized weights, activations are rounded to 8 bits.
                    let integers = dtype.is_quantized();
                    let tolerance = if integers { 1e-2 } else { 5e-6 };
                    for (i, x) in x.chunks_exact(columns).enumerate() {
                        for (r, w) in wide.chunks_exact(columns).enumerate() {
                            let products = x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w));
                            let exact = products.clone().sum::<f64>() as f32 + bias[r];
                            let got = got[i * rows + r];
                            let allowed = tolerance * (1.0 + products.map(f64::abs).sum::<f64>() as f32);
                            assert!((got - exact).abs() < allowed, "{dtype:?} {n}x{columns}x{rows}: {got} {exact}");
                        }
                    }
                }
            }
        }
    }

    /// Integer products as they are defined, block after block, or pair after pair of blocks that share a scale.
    fn integer_sums(w: &impl integers::Panels, x: &[f32], fused: bool) -> Vec<f32> {
        let ((rows, columns), Coding { scaling, offset }) = (w.shape(), w.coding());
        let shared = if scaling == Scaling::Shared { 2 } else { 1 };
        let length = columns / kernels::SMALL_BLOCK;
        let mut panel = vec![PanelBlock::zeroed(); length];
        let n = x.len() / columns;
        let mut out = vec![0.0; n * rows];
        for row in 0..rows {
            let (number, lane) = (row / kernels::LANES, row % kernels::LANES);
            w.unpack(number, 0..length, &mut panel);
            for (i, x) in x.chunks_exact(columns).enumerate() {
                let mut sum = 0.0_f32;
                for (w, x) in panel.chunks(shared).zip(x.chunks(shared * kernels::SMALL_BLOCK)) {
                    let largest = x.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
                    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
                    let x: Vec<i32> = x.iter().map(|x| (x * inverse).round_ties_even() as i32).collect();
                    let bytes = w.iter().flat_map(|w| w.bytes.iter().flat_map(|words| words[lane].to_ne_bytes()));
                    let total: i32 = bytes.zip(&x).map(|(q, x)| (i32::from(q) - offset) * x).sum();
                    let add = |a: f32, b: f32, sum: f32| if fused { a.mul_add(b, sum) } else { a * b + sum };
                    let scale = largest / 127.0;
                    sum = add(total as f32, scale * w[0].scales[lane], sum);
                    if scaling == Scaling::WithMinima {
                        sum = add(-w[0].minima[lane], scale * x.iter().sum::<i32>() as f32, sum);
                    }
                }
                out[i * rows + row] = sum;
            }
        }
        out
    }

    fn packed(weights: &[f32], columns: usize) -> PackedMatrix {
        let packed = PackedMatrix::pack(weights, columns).unwrap();
        let mut memory = memmap2::MmapMut::map_anon(packed.len()).unwrap();
        memory.copy_from_slice(&packed);
        PackedMatrix::new(Arc::new(memory), 0..packed.len(), weights.len() / columns, columns).unwrap()
    }

    fn bits(numbers: &[f32]) -> Vec<u32> {
        numbers.iter().map(|n| n.to_bits()).collect()
    }

    /// With bytes and with 16 bits, unpacked and packed, with all values that a byte may have, and with numbers of rows that
    /// fill no group and of columns that fill no strip.
    #[test]
    fn integer_products_have_the_same_bits_on_every_processor_with_fma() {
        fn check(w: &impl integers::Panels, x: &[f32], what: &str) {
            let (rows, columns) = w.shape();
            let fused = level() > Level::Baseline || cfg!(not(target_arch = "x86_64"));
            let expected = bits(&integer_sums(w, x, fused));
            let mut out = vec![0.0; x.len() / columns * rows];
            let pairs = Strips::of(x, columns, None, w.coding());
            integers::multiply_to::<ByPairs>((Put::Over, &mut out), w, &pairs, None, Activation::None);
            assert!(bits(&out) == expected, "{what} {rows}");
            if has_byte_products() {
                let bytes = Strips::of(x, columns, None, w.coding());
                integers::multiply_to::<ByBytes>((Put::Over, &mut out), w, &bytes, None, Activation::None);
                assert!(bits(&out) == expected, "{what} {rows}");
            }
        }
        for (rows, columns, n) in [(50, 768, 37), (150, 1280, 4), (16, 256, 6), (3, 512, 1), (40, 96, 9), (33, 32, 7)] {
            let (w, x) = (numbers(rows * columns, 1), numbers(n * columns, 2));
            for (dtype, mut bytes, _) in formats(&w, rows, columns) {
                if !dtype.is_quantized() {
                    continue;
                }
                if dtype == Dtype::Q8_0 {
                    let first: Vec<u8> = (0..=u8::MAX).cycle().take(columns).collect();
                    let blocks = bytes.as_chunks_mut::<{ kernels::Q8_0_BYTES }>().0;
                    for (block, q) in blocks.iter_mut().zip(first.chunks(32)) {
                        block[2..].copy_from_slice(q);
                    }
                }
                let length = bytes.len();
                let matrix = Matrix::new(Arc::new(bytes), 0..length, dtype, rows, columns).unwrap();
                check(&&matrix, &x, &format!("{dtype:?}"));
            }
            check(&&packed(&w, columns), &x, "packed");
        }
    }

    /// Rounding hides none: of activations, of what a norm makes of them, and of what stands between two layers.
    #[test]
    fn numbers_that_are_none_stay_so() {
        let (hidden, inner) = (96, 160);
        let (fc1, fc2) = (packed(&numbers(inner * hidden, 1), hidden), packed(&numbers(hidden * inner, 2), inner));
        let ones = vec![1.0; inner];
        let norm = Norm { weight: &ones[..hidden], bias: &ones[..hidden], eps: 1e-5 };
        for number in [f32::NAN, f32::INFINITY] {
            for at in [0, 40, 95] {
                let mut x = numbers(2 * hidden, 3);
                x[at] = number;
                let mut out = vec![0.0; 2 * inner];
                fc1.multiply_to(&mut out, &x, None, &ones, Activation::None);
                assert!(out[..inner].iter().all(|n| n.is_nan()) && out[inner..].iter().all(|n| n.is_finite()));
                add_mlp(&mut x, norm, [(&fc1, &ones), (&fc2, &ones[..hidden])], Activation::Gelu);
                assert!(x[..hidden].iter().all(|n| n.is_nan()) && x[hidden..].iter().all(|n| n.is_finite()));
            }
        }
    }

    #[test]
    fn packed_weights_are_rounded_by_less_than_a_step() {
        let (rows, columns) = (21, 160);
        let w = numbers(rows * columns, 5);
        let packed = packed(&w, columns);
        let units: Vec<f32> = (0..columns * columns).map(|n| f32::from(n / columns == n % columns)).collect();
        let mut found = vec![0.0; columns * rows];
        packed.multiply_to(&mut found, &units, None, &vec![0.0; rows], Activation::None);
        for (n, w) in w.iter().enumerate() {
            let found = found[n % columns * rows + n / columns];
            assert!((found - w).abs() <= 0.51 / 127.0, "{n}: {found} {w}");
        }
        assert!(PackedMatrix::pack(&w, 33).is_none() && PackedMatrix::pack(&w, 0).is_none());
    }

    /// What is done at once, by its parts: the same bits.
    #[test]
    fn a_packed_mlp_is_a_norm_and_two_layers() {
        for (hidden, inner, n) in [(96, 416, 13), (256, 1024, 40), (32, 64, 1)] {
            let (x, weight, norm_bias) = (numbers(n * hidden, 1), numbers(hidden, 2), numbers(hidden, 3));
            let fc1 = packed(&numbers(inner * hidden, 4), hidden);
            let fc2 = packed(&numbers(hidden * inner, 5), inner);
            let (bias1, bias2) = (numbers(inner, 6), numbers(hidden, 7));
            let norm = Norm { weight: &weight, bias: &norm_bias, eps: 1e-5 };
            let mut found = x.clone();
            add_mlp(&mut found, norm, [(&fc1, &bias1), (&fc2, &bias2)], Activation::Gelu);

            let mut normed = x.clone();
            ops::layer_norm(&mut normed, &weight, &norm_bias, 1e-5);
            let mut between = vec![0.0; n * inner];
            fc1.multiply_to(&mut between, &normed, None, &bias1, Activation::Gelu);
            let mut added = x.clone();
            fc2.multiply_onto(&mut added, &between, &bias2);
            assert!(bits(&found) == bits(&added), "{hidden} {inner} {n}");
            let mut results = vec![0.0; n * hidden];
            fc2.multiply_to(&mut results, &between, None, &bias2, Activation::None);
            let expected: Vec<f32> = x.iter().zip(&results).map(|(x, y)| x + y).collect();
            assert!(bits(&found) == bits(&expected));
            let mut of_norm = vec![0.0; n * inner];
            fc1.multiply_to(&mut of_norm, &x, Some(norm), &bias1, Activation::Gelu);
            assert!(bits(&of_norm) == bits(&between));
        }
    }

    #[test]
    fn panels_of_another_size_or_place_are_refused() {
        let memory = Arc::new(memmap2::MmapMut::map_anon(4096).unwrap());
        let bytes = size_of::<PanelBlock>();
        let make = |range, rows, columns| PackedMatrix::new(Arc::clone(&memory), range, rows, columns).is_ok();
        assert!(make(0..2 * bytes, 16, 64) && make(64..64 + 2 * bytes, 17, 32));
        assert!(!make(0..2 * bytes, 16, 65) && !make(0..2 * bytes, 33, 32) && !make(32..32 + 2 * bytes, 16, 64));
        assert!(!make(4096..4096 + bytes, 16, 32) && !make(0..0, 0, 32) && !make(0..0, usize::MAX, 32));
    }

    #[test]
    fn rows_become_columns() {
        for (count, length) in [(1, 1), (4, 4), (5, 9), (50, 64), (3, 17), (8, 2)] {
            let x = numbers(count * length, 1);
            let turned = transposed(&x.chunks_exact(length).collect::<Vec<_>>());
            assert_eq!(turned.len(), x.len());
            for (at, number) in turned.into_iter().enumerate() {
                assert_eq!(number, x[at % count * length + at / count], "{count} x {length}");
            }
        }
    }

    #[test]
    fn bytes_that_are_no_such_matrix_are_refused() {
        let bytes = Arc::new(vec![0_u8; 68]);
        let make = |range, dtype, rows, columns| Matrix::new(Arc::clone(&bytes), range, dtype, rows, columns).is_ok();
        assert!(make(0..68, Dtype::Q8_0, 2, 32));
        assert!(!make(0..68, Dtype::Q8_0, 2, 33));
        assert!(!make(0..68, Dtype::F32, 2, 32));
        assert!(!make(4..72, Dtype::Q8_0, 2, 32));
        assert!(!make(0..0, Dtype::F32, 0, 4));
        assert!(!make(0..68, Dtype::F32, usize::MAX, 2));
    }
}
