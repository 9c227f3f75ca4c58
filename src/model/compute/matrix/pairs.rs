//! Integer products without VNNI: of bytes widened to 16 bits, two columns at once. No sum overflows, so where there is FMA,
//! the results are to the bit those with VNNI.

use super::kernels::{
    FUSED, LANES, Q8_0_BYTES, QuantizedRow, SMALL_BLOCK, TILE_ROWS, Tile, WeightBlock, half_to_f32, multiply_add,
};
#[cfg(target_arch = "x86_64")]
use super::x86::avx2;
use crate::model::compute::level::by_level;

/// Pairs of columns in a block.
pub(super) const PAIRS: usize = SMALL_BLOCK / 2;

/// 32 columns of a quantized weight row: `scale * q - minimum`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WeightPairs {
    pub(super) pairs: [[i16; 2]; PAIRS],
    pub(super) scale: f32,
    pub(super) minimum: f32,
}

/// The same 32 columns of sixteen activation rows.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub(super) struct InputPairs {
    /// Each pair of columns, of every row.
    pub(super) pairs: [[[i16; 2]; LANES]; PAIRS],
    pub(super) scales: [f32; LANES],
    /// Each scale times the sum of its row's columns.
    pub(super) sums: [f32; LANES],
}

macro_rules! unpack_q8_0 {
    ($bytes:ident, $out:ident, $widen:expr) => {{
        for (block, out) in $bytes.as_chunks::<Q8_0_BYTES>().0.iter().zip($out) {
            let mut quants = [0; SMALL_BLOCK];
            quants.copy_from_slice(&block[2..]);
            out.pairs = $widen(&quants);
            (out.scale, out.minimum) = (half_to_f32(u16::from_le_bytes([block[0], block[1]])), 0.0);
        }
    }};
}

by_level! {
    /// Unpacks Q8_0 blocks.
    pub(super) fn unpack_q8_0(bytes: &[u8], out: &mut [WeightPairs]) {
        avx2 => unpack_q8_0!(bytes, out, avx2::signed_pairs),
        portable => unpack_q8_0!(bytes, out, signed_pairs),
    }
}

/// 32 signed bytes as pairs.
#[inline(always)]
fn signed_pairs(bytes: &[u8; SMALL_BLOCK]) -> [[i16; 2]; PAIRS] {
    bytemuck::cast(bytes.map(|q| i16::from(q.cast_signed())))
}

macro_rules! widen {
    ($blocks:ident, $out:ident, $widen:expr) => {{
        for (block, out) in $blocks.iter().zip($out) {
            out.pairs = $widen(bytemuck::cast_ref(&block.words));
            (out.scale, out.minimum) = (block.scale, block.minimum);
        }
    }};
}

by_level! {
    /// Widens blocks that are unpacked to bytes.
    pub(super) fn widen(blocks: &[WeightBlock], out: &mut [WeightPairs]) {
        avx2 => widen!(blocks, out, avx2::signed_pairs),
        portable => widen!(blocks, out, signed_pairs),
    }
}

by_level! {
    /// Writes a quantized activation row into its lane.
    pub(super) fn put_lane(row: &QuantizedRow, lane: usize, out: &mut [InputPairs]) {
        for (((bytes, scale), sum), out) in row.bytes.iter().zip(&row.scales).zip(&row.sums).zip(out) {
            for (pair, out) in bytes.as_chunks::<2>().0.iter().zip(&mut out.pairs) {
                out[lane] = pair.map(i16::from);
            }
            (out.scales[lane], out.sums[lane]) = (*scale, *sum);
        }
    }
}

by_level! {
    /// Adds to a tile the products of six weight rows with up to four panels of activation rows, all of the same length.
    /// Without `minima` those of the blocks are zero.
    pub(super) fn multiply_tile(
        rows: [&[WeightPairs]; TILE_ROWS],
        panels: &[&[InputPairs]],
        tile: &mut Tile,
        minima: bool,
    ) {
        avx2 => avx2::multiply_pairs(rows, panels, tile, minima),
        portable => add_to_tile(rows, panels, tile, minima),
    }
}

#[inline(always)]
fn add_to_tile(rows: [&[WeightPairs]; TILE_ROWS], panels: &[&[InputPairs]], tile: &mut Tile, minima: bool) {
    for (sums, row) in tile.iter_mut().zip(rows) {
        for (sums, panel) in sums.0.iter_mut().zip(panels) {
            for (w, x) in row.iter().zip(*panel) {
                let mut totals = [0_i32; LANES];
                for (w, x) in w.pairs.iter().zip(&x.pairs) {
                    for (total, x) in totals.iter_mut().zip(x) {
                        *total += i32::from(w[0]) * i32::from(x[0]) + i32::from(w[1]) * i32::from(x[1]);
                    }
                }
                for (lane, sum) in sums.iter_mut().enumerate() {
                    *sum = multiply_add::<FUSED>(totals[lane] as f32, w.scale * x.scales[lane], *sum);
                    if minima {
                        *sum = multiply_add::<FUSED>(-w.minimum, x.sums[lane], *sum);
                    }
                }
            }
        }
    }
}
