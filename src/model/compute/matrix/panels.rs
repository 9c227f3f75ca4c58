//! Quantized weights as they are multiplied: sixteen rows side by side, so that one register has four columns of each.

use super::Dtype;
use super::kernels::{
    LANES, LARGE_BLOCK, Q4_1_BYTES, Q4_K_BYTES, Q8_0_BYTES, SMALL_BLOCK, byte_scales, eight_f16, largest_bits,
    q4_1_halves, q4_1_numbers, q4_k_scales, rounded,
};
#[cfg(target_arch = "x86_64")]
use super::x86::avx2;
use crate::model::compute::level::by_level;
use bytemuck::{Pod, Zeroable};

/// 32 columns of sixteen weight rows: `scale * q - minimum`, in whole cache lines.
#[derive(Clone, Copy, Debug, Zeroable, Pod)]
#[repr(C, align(64))]
pub(super) struct PanelBlock {
    /// For each group of four columns, the four bytes of every row; those of a signed format with 128 added.
    pub(super) bytes: [[u32; LANES]; SMALL_BLOCK / 4],
    pub(super) scales: [f32; LANES],
    /// Zero in formats without.
    pub(super) minima: [f32; LANES],
}

/// What scales the blocks of weights have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scaling {
    /// One each.
    Each,
    /// One each, and a minimum.
    WithMinima,
    /// One for each two.
    Shared,
}

/// What is added to the bytes of signed formats.
pub(super) const SIGNED_OFFSET: i32 = 128;

/// Rounds up to sixteen rows to 8 bits. Each two blocks share a scale: the products of both are summed before they are
/// scaled.
pub(super) fn pack(rows: &[&[f32]], out: &mut [PanelBlock]) {
    for (pair, out) in out.chunks_mut(2).enumerate() {
        for (lane, row) in rows.iter().enumerate() {
            let blocks = &row.as_chunks().0[2 * pair..][..out.len()];
            let (inverse, scale) = byte_scales(blocks.iter().map(largest_bits).fold(0, u32::max));
            for (out, block) in out.iter_mut().zip(blocks) {
                let words: [u32; SMALL_BLOCK / 4] = bytemuck::cast(rounded(block, inverse).0);
                for (out, word) in out.bytes.iter_mut().zip(words) {
                    // Adds the offset to each byte.
                    out[lane] = word ^ 0x8080_8080;
                }
                out.scales[lane] = scale;
            }
        }
    }
}

/// Unpacks parts of quantized weight rows.
pub(super) fn unpack(dtype: Dtype, rows: [&[u8]; LANES], out: &mut [PanelBlock]) {
    match dtype {
        Dtype::Q4K => unpack_q4_k(rows, out),
        Dtype::Q4_1 => unpack_q4_1(rows, out),
        _ => unpack_q8_0(rows, out),
    }
}

/// Rows of a panel that are turned at a time.
const HALF: usize = LANES / 2;

macro_rules! unpack_q8_0 {
    ($rows:ident, $out:ident, $turned:expr, $widen:expr) => {{
        for (half, rows) in $rows.as_chunks::<HALF>().0.iter().enumerate() {
            let rows = rows.map(|row| &row.as_chunks::<Q8_0_BYTES>().0[..$out.len()]);
            let first = half * HALF;
            for (n, out) in $out.iter_mut().enumerate() {
                let quants = rows.map(|row| row[n].last_chunk().unwrap_or(&[0; SMALL_BLOCK]));
                for (words, out) in $turned(quants).iter().zip(&mut out.bytes) {
                    out[first..first + HALF].copy_from_slice(&words.map(|word| word ^ 0x8080_8080));
                }
                let halves: [[u8; 2]; HALF] = rows.map(|row| [row[n][0], row[n][1]]);
                out.scales[first..first + HALF].copy_from_slice(&$widen(bytemuck::cast_ref(&halves)));
            }
        }
    }};
}

by_level! {
    fn unpack_q8_0(rows: [&[u8]; LANES], out: &mut [PanelBlock]) {
        avx2 => unpack_q8_0!(rows, out, avx2::turned, avx2::widen_f16),
        portable => unpack_q8_0!(rows, out, turned, eight_f16),
    }
}

macro_rules! unpack_q4_1 {
    ($rows:ident, $out:ident, $turned:expr, $widen:expr) => {{
        for (half, rows) in $rows.as_chunks::<HALF>().0.iter().enumerate() {
            let rows = rows.map(|row| &row.as_chunks::<Q4_1_BYTES>().0[..$out.len()]);
            let lanes = half * HALF..(half + 1) * HALF;
            for (n, out) in $out.iter_mut().enumerate() {
                let blocks = rows.map(|row| row[n]);
                let numbers = blocks.each_ref().map(q4_1_numbers);
                for (words, out) in $turned(numbers.each_ref()).iter().zip(&mut out.bytes) {
                    out[lanes.clone()].copy_from_slice(words);
                }
                let [scales, minima] = q4_1_halves(&blocks).map(|halves| $widen(bytemuck::cast_ref(&halves)));
                out.scales[lanes.clone()].copy_from_slice(&scales);
                // Here they are added, there taken away.
                out.minima[lanes.clone()].copy_from_slice(&minima.map(|minimum| -minimum));
            }
        }
    }};
}

by_level! {
    fn unpack_q4_1(rows: [&[u8]; LANES], out: &mut [PanelBlock]) {
        avx2 => unpack_q4_1!(rows, out, avx2::turned, avx2::widen_f16),
        portable => unpack_q4_1!(rows, out, turned, eight_f16),
    }
}

macro_rules! unpack_q4_k {
    ($rows:ident, $out:ident, $turned:expr, $scales:expr) => {{
        for (half, rows) in $rows.as_chunks::<HALF>().0.iter().enumerate() {
            let out = $out.as_chunks_mut::<{ LARGE_BLOCK / SMALL_BLOCK }>().0;
            let rows = rows.map(|row| &row.as_chunks::<Q4_K_BYTES>().0[..out.len()]);
            let lanes = half * HALF..(half + 1) * HALF;
            for (n, out) in out.iter_mut().enumerate() {
                let (mut scales, mut minima) = ([[0; SMALL_BLOCK]; HALF], [[0; SMALL_BLOCK]; HALF]);
                for ((scales, minima), row) in scales.iter_mut().zip(&mut minima).zip(rows) {
                    let numbers: ([f32; 8], [f32; 8]) = $scales(&row[n]);
                    (*scales, *minima) = (bytemuck::cast(numbers.0), bytemuck::cast(numbers.1));
                }
                let numbers = $turned(scales.each_ref()).into_iter().zip($turned(minima.each_ref()));
                for (out, (scales, minima)) in out.iter_mut().zip(numbers) {
                    out.scales[lanes.clone()].copy_from_slice(bytemuck::cast_ref::<_, [f32; HALF]>(&scales));
                    out.minima[lanes.clone()].copy_from_slice(bytemuck::cast_ref::<_, [f32; HALF]>(&minima));
                }
                for (pair, out) in out.as_chunks_mut::<2>().0.iter_mut().enumerate() {
                    let nibbles = rows.map(|row| &row[n][16..].as_chunks().0[pair]);
                    for (four, words) in $turned(nibbles).iter().enumerate() {
                        out[0].bytes[four][lanes.clone()].copy_from_slice(&words.map(|word| word & 0x0f0f_0f0f));
                        out[1].bytes[four][lanes.clone()].copy_from_slice(&words.map(|word| (word >> 4) & 0x0f0f_0f0f));
                    }
                }
            }
        }
    }};
}

by_level! {
    fn unpack_q4_k(rows: [&[u8]; LANES], out: &mut [PanelBlock]) {
        avx2 => unpack_q4_k!(rows, out, avx2::turned, avx2::q4_k_scales),
        portable => unpack_q4_k!(rows, out, turned, q4_k_scales),
    }
}

/// Eight rows of eight words, as columns.
#[inline(always)]
fn turned(rows: [&[u8; SMALL_BLOCK]; HALF]) -> [[u32; HALF]; SMALL_BLOCK / 4] {
    let words = rows.map(|row| bytemuck::cast::<_, [u32; SMALL_BLOCK / 4]>(*row));
    std::array::from_fn(|column| words.map(|row| row[column]))
}
