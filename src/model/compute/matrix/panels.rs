//! Quantized weights as they are multiplied: sixteen rows side by side, so that one register has four columns of each.

use super::Dtype;
use super::kernels::{LANES, Q4_K_BYTES, Q8_0_BYTES, SMALL_BLOCK, half_to_f32, nibble_words, q4_k_scales, words};
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

/// What is added to the bytes of a format.
pub(super) fn offset(dtype: Dtype) -> i32 {
    if dtype == Dtype::Q8_0 { 128 } else { 0 }
}

/// Writes part of a quantized weight row into its lane.
pub(super) fn put_row(dtype: Dtype, bytes: &[u8], lane: usize, out: &mut [PanelBlock]) {
    match dtype {
        Dtype::Q4K => put_q4_k(bytes, lane, out),
        _ => put_q8_0(bytes, lane, out),
    }
}

by_level! {
    fn put_q8_0(bytes: &[u8], lane: usize, out: &mut [PanelBlock]) {
        for (block, out) in bytes.as_chunks::<Q8_0_BYTES>().0.iter().zip(out) {
            let [low, high, quants @ ..] = block;
            for (word, out) in words(quants).into_iter().zip(&mut out.bytes) {
                out[lane] = word ^ 0x8080_8080;
            }
            out.scales[lane] = half_to_f32(u16::from_le_bytes([*low, *high]));
        }
    }
}

macro_rules! put_q4_k {
    ($bytes:ident, $lane:ident, $out:ident, $scales:expr) => {{
        for (block, out) in $bytes.as_chunks::<Q4_K_BYTES>().0.iter().zip($out.as_chunks_mut::<8>().0) {
            let (scales, minima) = $scales(block);
            for (pair, nibbles) in block[16..].as_chunks::<SMALL_BLOCK>().0.iter().enumerate() {
                for (half, words) in nibble_words(nibbles).into_iter().enumerate() {
                    let (n, out) = (2 * pair + half, &mut out[2 * pair + half]);
                    for (word, out) in words.into_iter().zip(&mut out.bytes) {
                        out[$lane] = word;
                    }
                    (out.scales[$lane], out.minima[$lane]) = (scales[n], minima[n]);
                }
            }
        }
    }};
}

by_level! {
    fn put_q4_k(bytes: &[u8], lane: usize, out: &mut [PanelBlock]) {
        avx2 => put_q4_k!(bytes, lane, out, avx2::q4_k_scales),
        portable => put_q4_k!(bytes, lane, out, q4_k_scales),
    }
}
