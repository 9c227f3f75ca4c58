//! The inner loops of matrix products, on slices, with a version for each processor level.
//!
//! The block formats are those of ggml: Q8_0 stores 32 weights as an f16 scale and 32 signed bytes; Q4_1 stores 32 as an
//! f16 scale, an f16 minimum and 16 bytes of nibbles; Q4_K stores 256 as two f16 units, eight pairs of 6-bit scale and
//! minimum, and 128 bytes of nibbles.

#[cfg(target_arch = "x86_64")]
use super::x86::{avx2, avx512, sse};
use crate::model::compute::level::by_level;

/// Weight rows of a tile.
pub(super) const TILE_ROWS: usize = 6;
/// Activation rows of a panel.
pub(super) const LANES: usize = 16;
/// Panels of a tile.
pub(super) const TILE_PANELS: usize = 4;

/// A column of a panel, in a cache line of its own: what straddles two is read half as fast.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub(super) struct Lanes(pub(super) [f32; LANES]);

/// Sums of a weight row with up to four panels.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub(super) struct Sums(pub(super) [[f32; LANES]; TILE_PANELS]);

/// Sums of six weight rows, in registers while they are added to.
pub(super) type Tile = [Sums; TILE_ROWS];

/// Weights in a Q8_0 or Q4_1 block, and activations that share a scale.
pub(super) const SMALL_BLOCK: usize = 32;
/// Bytes of a Q8_0 block.
pub(super) const Q8_0_BYTES: usize = 34;
/// Bytes of a Q4_1 block.
pub(super) const Q4_1_BYTES: usize = 20;
/// Weights in a Q4_K block.
pub(super) const LARGE_BLOCK: usize = 256;
/// Bytes of a Q4_K block.
pub(super) const Q4_K_BYTES: usize = 144;

/// The scales and minima of a Q4_K block's eight groups of 32.
#[inline(always)]
pub(super) fn q4_k_scales(block: &[u8; Q4_K_BYTES]) -> ([f32; 8], [f32; 8]) {
    let (units, scales, minima) = q4_k_multiples(block);
    let [scale, minimum] = units.map(half_to_f32);
    (scales.map(|n| scale * f32::from(n)), minima.map(|n| minimum * f32::from(n)))
}

/// Whether `mul_add` is one instruction in code compiled for the baseline.
pub(super) const FUSED: bool = cfg!(any(target_feature = "fma", not(target_arch = "x86_64")));

/// `a * b + c`, rounded once; or twice, where rounding once would need a library call.
#[inline(always)]
pub(super) fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

#[inline(always)]
fn add_to_tile<const FUSED: bool>(rows: [&[f32]; TILE_ROWS], panels: &[&[Lanes]], tile: &mut Tile) {
    for (n, panel) in panels.iter().enumerate() {
        // A copy, so that the compiler keeps it in registers.
        let mut sums = [[0.0; LANES]; TILE_ROWS];
        for (sums, row) in sums.iter_mut().zip(&*tile) {
            *sums = row.0[n];
        }
        // Zipped, so that no bounds are checked.
        let [a, b, c, d, e, f] = rows;
        for ((((((x, a), b), c), d), e), f) in panel.iter().zip(a).zip(b).zip(c).zip(d).zip(e).zip(f) {
            for (sum, w) in sums.iter_mut().zip([a, b, c, d, e, f]) {
                for (s, x) in sum.iter_mut().zip(&x.0) {
                    *s = multiply_add::<FUSED>(*w, *x, *s);
                }
            }
        }
        for (sums, row) in sums.into_iter().zip(&mut *tile) {
            row.0[n] = sums;
        }
    }
}

by_level! {
    /// Adds to a tile the products of six weight rows with up to four panels of activation rows, all of the same length.
    /// With FMA, the bits are the same on every processor.
    pub(super) fn multiply_tile(rows: [&[f32]; TILE_ROWS], panels: &[&[Lanes]], tile: &mut Tile) {
        avx512 => avx512::multiply_tile(rows, panels, tile),
        avx2 => add_to_tile::<true>(rows, panels, tile),
        portable => add_to_tile::<FUSED>(rows, panels, tile),
    }
}

by_level! {
    /// Like [`multiply_tile`], but each product is rounded before it is added: half as fast, with the same bits at
    /// every level.
    pub(super) fn multiply_tile_alike(rows: [&[f32]; TILE_ROWS], panels: &[&[Lanes]], tile: &mut Tile) {
        avx512 => add_to_tile::<false>(rows, panels, tile),
        avx2 => add_to_tile::<false>(rows, panels, tile),
        portable => add_to_tile::<false>(rows, panels, tile),
    }
}

by_level! {
    /// Copies little-endian f32.
    pub(super) fn widen_f32(bytes: &[u8], out: &mut [f32]) {
        for (out, b) in out.iter_mut().zip(bytes.as_chunks().0) {
            *out = f32::from_le_bytes(*b);
        }
    }
}

/// Rounds little-endian f64.
pub(super) fn narrow_f64(bytes: &[u8], out: &mut [f32]) {
    for (out, b) in out.iter_mut().zip(bytes.as_chunks().0) {
        *out = f64::from_le_bytes(*b) as f32;
    }
}

macro_rules! widen_f16 {
    ($bytes:ident, $out:ident, $eight:expr) => {{
        let (bytes, rest) = $bytes.as_chunks::<16>();
        let (out, out_rest) = $out.as_chunks_mut::<8>();
        for (out, eight) in out.iter_mut().zip(bytes) {
            *out = $eight(eight);
        }
        for (out, b) in out_rest.iter_mut().zip(rest.as_chunks().0) {
            *out = half_to_f32(u16::from_le_bytes(*b));
        }
    }};
}

/// Widens eight little-endian f16.
#[inline(always)]
pub(super) fn eight_f16(eight: &[u8; 16]) -> [f32; 8] {
    bytemuck::cast::<_, [[u8; 2]; 8]>(*eight).map(|b| half_to_f32(u16::from_le_bytes(b)))
}

by_level! {
    /// Widens little-endian f16.
    pub(super) fn widen_f16(bytes: &[u8], out: &mut [f32]) {
        avx2 => widen_f16!(bytes, out, avx2::widen_f16),
        portable => widen_f16!(bytes, out, eight_f16),
    }
}

/// Widens a bf16.
#[inline(always)]
fn bf16_to_f32(number: u16) -> f32 {
    f32::from_bits(u32::from(number) << 16)
}

/// Widens eight little-endian bf16.
#[inline(always)]
fn eight_bf16(eight: &[u8; 16]) -> [f32; 8] {
    bytemuck::cast::<_, [[u8; 2]; 8]>(*eight).map(|b| bf16_to_f32(u16::from_le_bytes(b)))
}

by_level! {
    /// Widens little-endian bf16.
    pub(super) fn widen_bf16(bytes: &[u8], out: &mut [f32]) {
        for (out, b) in out.iter_mut().zip(bytes.as_chunks().0) {
            *out = bf16_to_f32(u16::from_le_bytes(*b));
        }
    }
}

by_level! {
    /// Widens Q8_0 blocks.
    pub(super) fn widen_q8_0(bytes: &[u8], out: &mut [f32]) {
        for (block, out) in bytes.as_chunks::<Q8_0_BYTES>().0.iter().zip(out.as_chunks_mut::<SMALL_BLOCK>().0) {
            let scale = half_to_f32(u16::from_le_bytes([block[0], block[1]]));
            for (out, q) in out.iter_mut().zip(&block[2..]) {
                *out = scale * f32::from(q.cast_signed());
            }
        }
    }
}

/// The numbers of a Q4_1 block, 0 to 15: first the low nibbles, then the high ones.
#[inline(always)]
pub(super) fn q4_1_numbers(block: &[u8; Q4_1_BYTES]) -> [u8; SMALL_BLOCK] {
    let mut numbers = [0; SMALL_BLOCK];
    for (n, q) in block[4..].iter().enumerate() {
        numbers[n] = q & 15;
        numbers[SMALL_BLOCK / 2 + n] = q >> 4;
    }
    numbers
}

/// The scales and minima of up to eight Q4_1 blocks, as f16.
#[inline(always)]
pub(super) fn q4_1_halves(blocks: &[[u8; Q4_1_BYTES]]) -> [[[u8; 2]; 8]; 2] {
    let mut halves = [[[0; 2]; 8]; 2];
    for (n, block) in blocks.iter().enumerate().take(8) {
        halves[0][n] = [block[0], block[1]];
        halves[1][n] = [block[2], block[3]];
    }
    halves
}

by_level! {
    /// Widens Q4_1 blocks.
    pub(super) fn widen_q4_1(bytes: &[u8], out: &mut [f32]) {
        for (block, out) in bytes.as_chunks::<Q4_1_BYTES>().0.iter().zip(out.as_chunks_mut::<SMALL_BLOCK>().0) {
            let [scale, minimum] = [0, 2].map(|at| half_to_f32(u16::from_le_bytes([block[at], block[at + 1]])));
            for (out, q) in out.iter_mut().zip(q4_1_numbers(block)) {
                *out = scale * f32::from(q) + minimum;
            }
        }
    }
}

macro_rules! widen_q4_k {
    ($bytes:ident, $out:ident, $scales:expr) => {{
        for (block, out) in $bytes.as_chunks::<Q4_K_BYTES>().0.iter().zip($out.as_chunks_mut::<LARGE_BLOCK>().0) {
            let (scales, minima) = $scales(block);
            let nibbles = block[16..].as_chunks::<SMALL_BLOCK>().0;
            for (pair, (out, nibbles)) in
                out.as_chunks_mut::<{ 2 * SMALL_BLOCK }>().0.iter_mut().zip(nibbles).enumerate()
            {
                let (low, high) = out.split_at_mut(SMALL_BLOCK);
                let (low, high) = (low.as_chunks_mut::<8>().0, high.as_chunks_mut::<8>().0);
                // Eight at a time, so that the compiler vectorises the loop.
                for ((low, high), q) in low.iter_mut().zip(high).zip(nibbles.as_chunks::<8>().0) {
                    for lane in 0..8 {
                        low[lane] = scales[2 * pair] * f32::from(q[lane] & 15) - minima[2 * pair];
                        high[lane] = scales[2 * pair + 1] * f32::from(q[lane] >> 4) - minima[2 * pair + 1];
                    }
                }
            }
        }
    }};
}

by_level! {
    /// Widens Q4_K blocks.
    pub(super) fn widen_q4_k(bytes: &[u8], out: &mut [f32]) {
        avx2 => widen_q4_k!(bytes, out, avx2::q4_k_scales),
        portable => widen_q4_k!(bytes, out, q4_k_scales),
    }
}

/// The f16 units of a Q4_K block's scales and minima, and the multiples of them for its eight groups of 32.
#[inline(always)]
pub(super) fn q4_k_multiples(block: &[u8; Q4_K_BYTES]) -> ([u16; 2], [u8; 8], [u8; 8]) {
    let word = |at: usize| u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]);
    // Each word has four numbers of 6 bits; those of the last four groups are split into 4 and 2 bits.
    let (low, middle, high) = (word(4), word(8), word(12));
    let join = |four: u32, two: u32| (four & 0x0f0f_0f0f) | ((two >> 2) & 0x3030_3030);
    let bytes = |first: u32, last: u32| (u64::from(first) | (u64::from(last) << 32)).to_le_bytes();
    let six = 0x3f3f_3f3f;
    let units = [u16::from_le_bytes([block[0], block[1]]), u16::from_le_bytes([block[2], block[3]])];
    (units, bytes(low & six, join(high, low)), bytes(middle & six, join(high >> 4, middle)))
}

/// Converts a finite f16 without a branch, so that it vectorises; infinities become 65536.
#[inline(always)]
pub(super) fn half_to_f32(half: u16) -> f32 {
    let half = u32::from(half);
    // The exponents differ by 112; multiplying by 2^112 is correct for subnormal numbers too.
    let magnitude = f32::from_bits((half & 0x7fff) << 13) * f32::from_bits((127 + 112) << 23);
    f32::from_bits(magnitude.to_bits() | ((half & 0x8000) << 16))
}

/// An activation row as signed bytes, with one scale for each 32.
#[derive(Clone, Debug, Default)]
pub(super) struct QuantizedRow {
    pub(super) bytes: Vec<[i8; SMALL_BLOCK]>,
    pub(super) scales: Vec<f32>,
    /// Each scale times the sum of its bytes.
    pub(super) sums: Vec<f32>,
}

impl QuantizedRow {
    /// Quantizes a row whose length is a multiple of 32; zeros fill the last large block.
    pub(super) fn new(row: &[f32]) -> Self {
        let blocks = row.as_chunks::<SMALL_BLOCK>().0;
        let count = blocks.len().next_multiple_of(LARGE_BLOCK / SMALL_BLOCK);
        let mut new = Self { bytes: vec![[0; SMALL_BLOCK]; count], scales: vec![0.0; count], sums: vec![0.0; count] };
        quantize(blocks, &mut new.bytes, &mut new.scales, &mut new.sums);
        new
    }
}

impl QuantizedRow {
    /// The eight small blocks in the large block `n`: bytes, scales and sums.
    #[inline(always)]
    pub(super) fn large_block(&self, n: usize) -> (&[[i8; SMALL_BLOCK]; 8], &[f32; 8], &[f32; 8]) {
        (&self.bytes.as_chunks().0[n], &self.scales.as_chunks().0[n], &self.sums.as_chunks().0[n])
    }
}

/// The largest magnitude among 32 activations, or NaN if that is one of them. Its bits, which are ordered alike, because a
/// maximum of floats is not vectorised, and passes over NaN.
#[inline(always)]
pub(super) fn largest_bits(block: &[f32; SMALL_BLOCK]) -> u32 {
    block.iter().fold(0, |largest, x| largest.max(x.to_bits() & 0x7fff_ffff))
}

/// What numbers of which this is the largest magnitude are multiplied with to become signed bytes, and the bytes to become
/// them again.
#[inline(always)]
pub(super) fn byte_scales(largest: u32) -> (f32, f32) {
    let largest = f32::from_bits(largest);
    (if largest > 0.0 { 127.0 / largest } else { 0.0 }, largest / 127.0)
}

/// 32 numbers times `inverse` as signed bytes, and the sum of the bytes.
#[inline(always)]
pub(super) fn rounded(block: &[f32; SMALL_BLOCK], inverse: f32) -> ([i8; SMALL_BLOCK], i32) {
    const ROUND: f32 = 12_582_912.0;
    let (mut bytes, mut total) = ([0; SMALL_BLOCK], 0);
    for (q, x) in bytes.iter_mut().zip(block) {
        // Rounds to the nearest integer, of which the lowest byte remains: a cast that saturates is slow.
        *q = (x * inverse + ROUND).to_bits() as i8;
        total += i32::from(*q);
    }
    (bytes, total)
}

by_level! {
    fn quantize(blocks: &[[f32; SMALL_BLOCK]], bytes: &mut [[i8; SMALL_BLOCK]], scales: &mut [f32], sums: &mut [f32]) {
        for (((block, bytes), scale), sum) in blocks.iter().zip(bytes).zip(scales).zip(sums) {
            let (inverse, total);
            (inverse, *scale) = byte_scales(largest_bits(block));
            (*bytes, total) = rounded(block, inverse);
            *sum = *scale * total as f32;
        }
    }
}

/// Four rows of four numbers, as columns.
#[inline]
pub(super) fn transpose(rows: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 processor has SSE.
    #[allow(unsafe_code)]
    return unsafe { sse::transpose(rows) };
    #[cfg(not(target_arch = "x86_64"))]
    std::array::from_fn(|column| rows.map(|row| row[column]))
}

by_level! {
    /// Writes the dot products of one f32 row with each activation row to `out`.
    pub(super) fn dot_f32(weights: &[u8], rows: &[&[f32]], out: &mut [f32]) {
        avx2 => dot_with::<true>(weights, rows, out),
        portable => dot_with::<FUSED>(weights, rows, out),
    }
}

#[inline(always)]
fn dot_with<const FUSED: bool>(weights: &[u8], rows: &[&[f32]], out: &mut [f32]) {
    const LANES: usize = 32;
    let (chunks, rest) = weights.as_chunks::<{ 4 * LANES }>();
    for (out, row) in out.iter_mut().zip(rows) {
        let (row_chunks, row_rest) = row.as_chunks::<LANES>();
        let mut sums = [0.0_f32; LANES];
        for (w, x) in chunks.iter().zip(row_chunks) {
            for ((s, w), x) in sums.iter_mut().zip(w.as_chunks().0).zip(x) {
                *s = multiply_add::<FUSED>(f32::from_le_bytes(*w), *x, *s);
            }
        }
        let tail: f32 = rest.as_chunks().0.iter().zip(row_rest).map(|(w, x)| f32::from_le_bytes(*w) * x).sum();
        *out = sums.iter().sum::<f32>() + tail;
    }
}

macro_rules! dot_narrow {
    ($weights:ident, $rows:ident, $out:ident, $eight:expr, $one:expr, $fused:expr) => {{
        let (chunks, rest) = $weights.as_chunks::<64>();
        for (out, row) in $out.iter_mut().zip($rows) {
            let (row, row_rest) = row.as_chunks::<32>();
            // In the order of `dot_f32`.
            let mut sums = [[0.0_f32; 8]; 4];
            for (chunk, x) in chunks.iter().zip(row) {
                for ((sums, eight), x) in sums.iter_mut().zip(chunk.as_chunks().0).zip(x.as_chunks::<8>().0) {
                    let w: [f32; 8] = $eight(eight);
                    for ((sum, w), x) in sums.iter_mut().zip(w).zip(x) {
                        *sum = multiply_add::<$fused>(w, *x, *sum);
                    }
                }
            }
            let rest = rest.as_chunks().0.iter().zip(row_rest);
            let tail: f32 = rest.map(|(w, x)| $one(u16::from_le_bytes(*w)) * x).sum();
            *out = sums.as_flattened().iter().sum::<f32>() + tail;
        }
    }};
}

by_level! {
    /// Writes the dot products of one f16 row with each activation row to `out`.
    pub(super) fn dot_f16(weights: &[u8], rows: &[&[f32]], out: &mut [f32]) {
        avx2 => dot_narrow!(weights, rows, out, avx2::widen_f16, half_to_f32, true),
        portable => dot_narrow!(weights, rows, out, eight_f16, half_to_f32, FUSED),
    }
}

by_level! {
    /// Writes the dot products of one bf16 row with each activation row to `out`.
    pub(super) fn dot_bf16(weights: &[u8], rows: &[&[f32]], out: &mut [f32]) {
        avx2 => dot_narrow!(weights, rows, out, eight_bf16, bf16_to_f32, true),
        portable => dot_narrow!(weights, rows, out, eight_bf16, bf16_to_f32, FUSED),
    }
}

macro_rules! dot_q8_0 {
    ($weights:ident, $rows:ident, $out:ident, $widen:expr, $products:expr, $fused:expr) => {{
        let mut sums = [[0.0_f32; 8]; M];
        let blocks = $weights.as_chunks::<Q8_0_BYTES>().0;
        // Eight scales are widened together.
        for (group, blocks) in blocks.chunks(8).enumerate() {
            let mut halves = [[0; 2]; 8];
            for (half, block) in halves.iter_mut().zip(blocks) {
                *half = [block[0], block[1]];
            }
            let scales = $widen(bytemuck::cast_ref(&halves));
            let part = 8 * group..8 * group + blocks.len();
            let rows = $rows.each_ref().map(|row| (&row.bytes[part.clone()], &row.scales[part.clone()]));
            for (n, block) in blocks.iter().enumerate() {
                for (sums, (bytes, x_scales)) in sums.iter_mut().zip(rows) {
                    let products = $products(&block[2..], &bytes[n]);
                    let scale = scales[n] * x_scales[n];
                    for (sum, product) in sums.iter_mut().zip(products) {
                        *sum = multiply_add::<$fused>(scale, product as f32, *sum);
                    }
                }
            }
        }
        *$out = sums.map(|sums| sums.iter().sum());
    }};
}

by_level! {
    /// Writes the dot products of one Q8_0 row with each activation row to `out`.
    pub(super) fn dot_q8_0<const M: usize>(weights: &[u8], rows: &[QuantizedRow; M], out: &mut [f32; M]) {
        vnni => avx512::dot_q8_0(weights.as_chunks::<Q8_0_BYTES>().0, rows, out),
        avx2 => dot_q8_0!(weights, rows, out, avx2::widen_f16, avx2::signed_products, true),
        portable => dot_q8_0!(weights, rows, out, eight_f16, signed_products, FUSED),
    }
}

macro_rules! dot_q4_1 {
    ($weights:ident, $rows:ident, $out:ident, $widen:expr, $products:expr, $fused:expr) => {{
        let (mut sums, mut above) = ([[0.0_f32; 8]; M], [[0.0_f32; 8]; M]);
        for (group, blocks) in $weights.as_chunks::<Q4_1_BYTES>().0.chunks(8).enumerate() {
            let [scales, minima] = q4_1_halves(blocks).map(|halves| $widen(bytemuck::cast_ref(&halves)));
            let part = 8 * group..8 * group + blocks.len();
            for ((sums, above), row) in sums.iter_mut().zip(&mut above).zip($rows) {
                for ((above, minimum), x_sum) in above.iter_mut().zip(minima).zip(&row.sums[part.clone()]) {
                    *above = multiply_add::<$fused>(minimum, *x_sum, *above);
                }
                let row = row.bytes[part.clone()].iter().zip(&row.scales[part.clone()]);
                for ((block, scale), (bytes, x_scale)) in blocks.iter().zip(scales).zip(row) {
                    let scale = scale * x_scale;
                    for (sum, product) in sums.iter_mut().zip($products(&q4_1_numbers(block), bytes)) {
                        *sum = multiply_add::<$fused>(scale, product as f32, *sum);
                    }
                }
            }
        }
        for ((out, sums), above) in $out.iter_mut().zip(sums).zip(above) {
            *out = sums.iter().sum::<f32>() + above.iter().sum::<f32>();
        }
    }};
}

by_level! {
    /// Writes the dot products of one Q4_1 row with each activation row to `out`.
    pub(super) fn dot_q4_1<const M: usize>(weights: &[u8], rows: &[QuantizedRow; M], out: &mut [f32; M]) {
        vnni => avx512::dot_q4_1(weights.as_chunks::<Q4_1_BYTES>().0, rows, out),
        avx2 => dot_q4_1!(weights, rows, out, avx2::widen_f16, avx2::signed_products, true),
        portable => dot_q4_1!(weights, rows, out, eight_f16, signed_products, FUSED),
    }
}

macro_rules! dot_q4_k {
    ($weights:ident, $rows:ident, $out:ident, $scales:expr, $products:expr, $fused:expr) => {{
        // Separate sums for each pair of groups, so that an addition need not wait for the previous one.
        let (mut sums, mut below) = ([[[0.0_f32; 8]; 4]; M], [[0.0_f32; 8]; M]);
        for (n, block) in $weights.as_chunks::<Q4_K_BYTES>().0.iter().enumerate() {
            let (scales, minima) = $scales(block);
            let nibbles = block[16..].as_chunks::<SMALL_BLOCK>().0;
            for ((sums, below), row) in sums.iter_mut().zip(&mut below).zip($rows) {
                let (bytes, x_scales, x_sums) = row.large_block(n);
                let mut scales = scales;
                for lane in 0..8 {
                    below[lane] = multiply_add::<$fused>(minima[lane], x_sums[lane], below[lane]);
                    scales[lane] *= x_scales[lane];
                }
                for ((pair, nibbles), sums) in nibbles.iter().enumerate().zip(sums) {
                    let (x, y) = (&bytes[2 * pair], &bytes[2 * pair + 1]);
                    let (low, high) = $products(nibbles, x, y);
                    let (low_scale, high_scale) = (scales[2 * pair], scales[2 * pair + 1]);
                    for ((sum, low), high) in sums.iter_mut().zip(low).zip(high) {
                        *sum = multiply_add::<$fused>(
                            low_scale,
                            low as f32,
                            multiply_add::<$fused>(high_scale, high as f32, *sum),
                        );
                    }
                }
            }
        }
        for ((out, sums), below) in $out.iter_mut().zip(sums).zip(below) {
            *out = sums.as_flattened().iter().sum::<f32>() - below.iter().sum::<f32>();
        }
    }};
}

by_level! {
    /// Writes the dot products of one Q4_K row with each activation row to `out`.
    pub(super) fn dot_q4_k<const M: usize>(weights: &[u8], rows: &[QuantizedRow; M], out: &mut [f32; M]) {
        vnni => avx512::dot_q4_k(weights.as_chunks::<Q4_K_BYTES>().0, rows, out),
        avx2 => dot_q4_k!(weights, rows, out, avx2::q4_k_scales, avx2::nibble_products, true),
        portable => dot_q4_k!(weights, rows, out, q4_k_scales, nibble_products, FUSED),
    }
}

/// The products of 32 signed bytes with 32 signed bytes, summed in eight lanes.
fn signed_products(q: &[u8], x: &[i8; SMALL_BLOCK]) -> [i32; 8] {
    let mut sums = [0; 8];
    for (q, x) in q.as_chunks::<8>().0.iter().zip(x.as_chunks::<8>().0) {
        for lane in 0..8 {
            sums[lane] += i32::from(q[lane].cast_signed()) * i32::from(x[lane]);
        }
    }
    sums
}

/// The products of the low nibbles of 32 bytes with `x` and of the high ones with `y`, each summed in eight lanes.
fn nibble_products(q: &[u8; SMALL_BLOCK], x: &[i8; SMALL_BLOCK], y: &[i8; SMALL_BLOCK]) -> ([i32; 8], [i32; 8]) {
    (signed_products(&q.map(|q| q & 15), x), signed_products(&q.map(|q| q >> 4), y))
}
