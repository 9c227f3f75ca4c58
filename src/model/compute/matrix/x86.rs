//! Inner loops in x86-64 instructions that the compiler does not generate by itself.
//!
//! Each function is safe where its target features are enabled: `kernels`, `integers` and `panels` call it from functions
//! that are compiled for these features, and have a portable version of it.

/// Defines `$name`, a version of a product of `integers`, by `$add`, which is compiled for each number of activation rows
/// that are multiplied at a time, for two panels and for one, and for blocks with a scale each, with a minimum, and in
/// pairs.
macro_rules! in_groups {
    ($(#[$meta:meta])* $features:literal, $name:ident, $add:ident, $input:ty, $most:literal, [$($count:literal)*]) => {
        $(#[$meta])*
        #[inline]
        #[target_feature(enable = $features)]
        pub(in crate::model::compute::matrix) fn $name(
            inputs: &InputRows<$input>,
            panels: &[&[PanelBlock]],
            sums: &mut [RowSums],
            scaling: Scaling,
        ) {
            for (group, sums) in sums.chunks_mut($most).enumerate() {
                let first = $most * group;
                match (sums.len(), panels, scaling) {
                    $(
                        ($count, [a, b], Scaling::Each) => $add::<$count, 2, 1, false>(inputs, first, [*a, *b], sums),
                        ($count, [a, b], Scaling::WithMinima) => $add::<$count, 2, 1, true>(inputs, first, [*a, *b], sums),
                        ($count, [a, b], Scaling::Shared) => $add::<$count, 2, 2, false>(inputs, first, [*a, *b], sums),
                        ($count, [a], Scaling::Each) => $add::<$count, 1, 1, false>(inputs, first, [*a], sums),
                        ($count, [a], Scaling::WithMinima) => $add::<$count, 1, 1, true>(inputs, first, [*a], sums),
                        ($count, [a], Scaling::Shared) => $add::<$count, 1, 2, false>(inputs, first, [*a], sums),
                    )*
                    _ => {}
                }
            }
        }
    };
}

/// What every x86-64 processor has.
pub(super) mod sse {
    use bytemuck::cast;
    use std::arch::x86_64::{__m128, _mm_movehl_ps, _mm_movelh_ps, _mm_unpackhi_ps, _mm_unpacklo_ps};

    #[inline]
    #[target_feature(enable = "sse")]
    pub(in crate::model::compute::matrix) fn transpose(rows: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
        let [a, b, c, d]: [__m128; 4] = cast(rows);
        let (ab, cd) = (_mm_unpacklo_ps(a, b), _mm_unpacklo_ps(c, d));
        let (ab_high, cd_high) = (_mm_unpackhi_ps(a, b), _mm_unpackhi_ps(c, d));
        let low = [_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab)];
        cast([low[0], low[1], _mm_movelh_ps(ab_high, cd_high), _mm_movehl_ps(cd_high, ab_high)])
    }
}

pub(super) mod avx2 {
    use crate::model::compute::matrix::inputs::{InputPairs, InputRows, STRIP};
    use crate::model::compute::matrix::integers::RowSums;
    use crate::model::compute::matrix::kernels::{LANES, Q4_K_BYTES, SMALL_BLOCK, q4_k_multiples};
    use crate::model::compute::matrix::panels::{PanelBlock, Scaling};
    use bytemuck::{cast, pod_read_unaligned};
    use std::arch::x86_64::{
        __m256, __m256i, _mm_cvtph_ps, _mm_cvtsi32_si128, _mm_cvtsi64_si128, _mm256_abs_epi8, _mm256_add_epi32,
        _mm256_and_si256, _mm256_castps128_ps256, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32, _mm256_cvtph_ps,
        _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_mul_ps,
        _mm256_permute2x128_si256, _mm256_permutevar8x32_ps, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32,
        _mm256_set1_ps, _mm256_setzero_si256, _mm256_sign_epi8, _mm256_srli_epi16, _mm256_unpackhi_epi32,
        _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
    };

    /// Registers of a panel's lanes.
    pub(super) const HALVES: usize = LANES / 8;

    in_groups! {
        /// `multiply_pairs` of `integers`: a panel at a time, as the registers hold nothing but the totals of a block.
        "avx2,fma", multiply_pairs, add_pairs, InputPairs, 4, [1 2 3 4]
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn add_pairs<const ROWS: usize, const COUNT: usize, const SHARED: usize, const MINIMA: bool>(
        inputs: &InputRows<InputPairs>,
        first: usize,
        panels: [&[PanelBlock]; COUNT],
        sums: &mut [RowSums],
    ) {
        let low = _mm256_set1_epi16(255);
        for (at, panel) in panels.into_iter().enumerate() {
            for (strip, panel) in inputs.strips.clone().zip(panel.chunks(STRIP)) {
                let rows = inputs.group::<ROWS>(strip, first, panel.len());
                for n in (0..panel.len()).step_by(SHARED) {
                    let mut totals = [[_mm256_setzero_si256(); HALVES]; ROWS];
                    for row in 0..ROWS {
                        totals[row] = [_mm256_set1_epi32(rows[row][n].start); HALVES];
                    }
                    for block in n..panel.len().min(n + SHARED) {
                        for four in 0..SMALL_BLOCK / 4 {
                            let bytes: [__m256i; HALVES] = cast(panel[block].bytes[four]);
                            // The first and the third of four columns, and the second and the last.
                            let mut columns = [[_mm256_setzero_si256(); HALVES]; 2];
                            for half in 0..HALVES {
                                columns[0][half] = _mm256_and_si256(bytes[half], low);
                                columns[1][half] = _mm256_srli_epi16::<8>(bytes[half]);
                            }
                            for row in 0..ROWS {
                                let first = _mm256_set1_epi32(rows[row][block].odd[four]);
                                let second = _mm256_set1_epi32(rows[row][block].even[four]);
                                for half in 0..HALVES {
                                    let products = _mm256_madd_epi16(columns[0][half], first);
                                    totals[row][half] = _mm256_add_epi32(totals[row][half], products);
                                    let products = _mm256_madd_epi16(columns[1][half], second);
                                    totals[row][half] = _mm256_add_epi32(totals[row][half], products);
                                }
                            }
                        }
                    }
                    for row in 0..ROWS {
                        let x = &rows[row][n];
                        add_totals::<MINIMA>(totals[row], &panel[n], x.scale, x.sum, &mut sums[row].0[at]);
                    }
                }
            }
        }
    }

    /// Adds the products of a weight block with 32 columns of an activation row, which have this scale and sum.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn add_totals<const MINIMA: bool>(
        totals: [__m256i; HALVES],
        w: &PanelBlock,
        scale: f32,
        sum: f32,
        sums: &mut [f32; LANES],
    ) {
        let (scales, minima): ([__m256; HALVES], [__m256; HALVES]) = (cast(w.scales), cast(w.minima));
        let mut added: [__m256; HALVES] = cast(*sums);
        for half in 0..HALVES {
            let scale = _mm256_mul_ps(scales[half], _mm256_set1_ps(scale));
            added[half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(totals[half]), scale, added[half]);
            if MINIMA {
                added[half] = _mm256_fnmadd_ps(minima[half], _mm256_set1_ps(sum), added[half]);
            }
        }
        *sums = cast(added);
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(in crate::model::compute::matrix) fn signed_products(q: &[u8], x: &[i8; SMALL_BLOCK]) -> [i32; 8] {
        let (q, x): (__m256i, __m256i) = (pod_read_unaligned(q), cast(*x));
        // The instruction needs one unsigned side. Bytes of x are never -128, so neither side overflows.
        let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(x, q));
        cast(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }

    /// `turned` of `panels`.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(in crate::model::compute::matrix) fn turned(rows: [&[u8; SMALL_BLOCK]; 8]) -> [[u32; 8]; 8] {
        let rows: [__m256i; 8] = rows.map(|row| cast(*row));
        let zero = _mm256_setzero_si256();
        // Of each four rows, by words, by pairs of words, and at last by halves of registers.
        let (mut words, mut pairs, mut columns) = ([zero; 8], [zero; 8], [zero; 8]);
        for n in 0..4 {
            words[2 * n] = _mm256_unpacklo_epi32(rows[2 * n], rows[2 * n + 1]);
            words[2 * n + 1] = _mm256_unpackhi_epi32(rows[2 * n], rows[2 * n + 1]);
        }
        for four in 0..2 {
            for half in 0..2 {
                let (a, b) = (words[4 * four + half], words[4 * four + 2 + half]);
                pairs[4 * four + 2 * half] = _mm256_unpacklo_epi64(a, b);
                pairs[4 * four + 2 * half + 1] = _mm256_unpackhi_epi64(a, b);
            }
        }
        for n in 0..4 {
            columns[n] = _mm256_permute2x128_si256::<0x20>(pairs[n], pairs[4 + n]);
            columns[4 + n] = _mm256_permute2x128_si256::<0x31>(pairs[n], pairs[4 + n]);
        }
        cast(columns)
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c")]
    pub(in crate::model::compute::matrix) fn widen_f16(eight: &[u8; 16]) -> [f32; 8] {
        cast(_mm256_cvtph_ps(cast(*eight)))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(in crate::model::compute::matrix) fn scales(
        units: [u16; 2],
        scales: [u8; 8],
        minima: [u8; 8],
    ) -> (__m256, __m256) {
        let units = _mm_cvtph_ps(_mm_cvtsi32_si128(cast(units)));
        let unit = |n: i32| _mm256_permutevar8x32_ps(_mm256_castps128_ps256(units), _mm256_set1_epi32(n));
        let times = |multiples: [u8; 8], unit| {
            let multiples = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(i64::from_le_bytes(multiples)));
            _mm256_mul_ps(_mm256_cvtepi32_ps(multiples), unit)
        };
        (times(scales, unit(0)), times(minima, unit(1)))
    }

    /// The same as in `kernels`, where the compiler would generate scalar multiplications.
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(in crate::model::compute::matrix) fn q4_k_scales(block: &[u8; Q4_K_BYTES]) -> ([f32; 8], [f32; 8]) {
        let (units, multiples, minima) = q4_k_multiples(block);
        let (scales, minima) = scales(units, multiples, minima);
        (cast(scales), cast(minima))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(in crate::model::compute::matrix) fn nibble_products(
        q: &[u8; SMALL_BLOCK],
        x: &[i8; SMALL_BLOCK],
        y: &[i8; SMALL_BLOCK],
    ) -> ([i32; 8], [i32; 8]) {
        let (q, x, y): (__m256i, __m256i, __m256i) = (cast(*q), cast(*x), cast(*y));
        let mask = _mm256_set1_epi8(15);
        let ones = _mm256_set1_epi16(1);
        let low = _mm256_maddubs_epi16(_mm256_and_si256(q, mask), x);
        let high = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16::<4>(q), mask), y);
        (cast(_mm256_madd_epi16(low, ones)), cast(_mm256_madd_epi16(high, ones)))
    }
}

pub(super) mod avx_vnni {
    use super::avx2::{self, HALVES};
    use crate::model::compute::matrix::inputs::{InputBytes, InputRows, STRIP};
    use crate::model::compute::matrix::integers::RowSums;
    use crate::model::compute::matrix::kernels::SMALL_BLOCK;
    use crate::model::compute::matrix::panels::{PanelBlock, Scaling};
    use bytemuck::cast;
    use std::arch::x86_64::{__m256i, _mm256_dpbusd_avx_epi32, _mm256_set1_epi32};

    in_groups! {
        /// `multiply_bytes` of `integers`: a panel at a time, as the registers hold nothing but the totals of a block.
        "avxvnni,avx2,fma,f16c", multiply_bytes, add_bytes, InputBytes, 6, [1 2 3 4 5 6]
    }

    #[inline]
    #[target_feature(enable = "avxvnni,avx2,fma,f16c")]
    fn add_bytes<const ROWS: usize, const COUNT: usize, const SHARED: usize, const MINIMA: bool>(
        inputs: &InputRows<InputBytes>,
        first: usize,
        panels: [&[PanelBlock]; COUNT],
        sums: &mut [RowSums],
    ) {
        for (at, panel) in panels.into_iter().enumerate() {
            for (strip, panel) in inputs.strips.clone().zip(panel.chunks(STRIP)) {
                let rows = inputs.group::<ROWS>(strip, first, panel.len());
                for n in (0..panel.len()).step_by(SHARED) {
                    let mut totals = [[_mm256_set1_epi32(0); HALVES]; ROWS];
                    for row in 0..ROWS {
                        totals[row] = [_mm256_set1_epi32(rows[row][n].start); HALVES];
                    }
                    for block in n..panel.len().min(n + SHARED) {
                        for four in 0..SMALL_BLOCK / 4 {
                            let bytes: [__m256i; HALVES] = cast(panel[block].bytes[four]);
                            for row in 0..ROWS {
                                let x = _mm256_set1_epi32(rows[row][block].words[four]);
                                for half in 0..HALVES {
                                    totals[row][half] = _mm256_dpbusd_avx_epi32(totals[row][half], bytes[half], x);
                                }
                            }
                        }
                    }
                    for row in 0..ROWS {
                        let x = &rows[row][n];
                        avx2::add_totals::<MINIMA>(totals[row], &panel[n], x.scale, x.sum, &mut sums[row].0[at]);
                    }
                }
            }
        }
    }
}

pub(super) mod avx512 {
    use super::avx2;
    use crate::model::compute::matrix::inputs::{InputBytes, InputRows, STRIP};
    use crate::model::compute::matrix::integers::RowSums;
    use crate::model::compute::matrix::kernels::{
        Lanes, Q4_1_BYTES, Q4_K_BYTES, Q8_0_BYTES, QuantizedRow, SMALL_BLOCK, TILE_ROWS, Tile, q4_k_multiples,
    };
    use crate::model::compute::matrix::panels::{PanelBlock, Scaling};
    use bytemuck::{cast, pod_read_unaligned};
    use std::arch::x86_64::{
        __m128i, __m256i, __m512, __m512i, _MM_HINT_T0, _mm_prefetch, _mm256_broadcastsi128_si256, _mm256_cvtph_ps,
        _mm256_fmadd_ps, _mm256_mul_ps, _mm256_setzero_ps, _mm512_abs_epi8, _mm512_add_ps, _mm512_and_si512,
        _mm512_castps256_ps512, _mm512_castps512_ps256, _mm512_castsi256_si512, _mm512_cvtepi32_ps, _mm512_cvtph_ps,
        _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_inserti64x4, _mm512_mask_sub_epi8,
        _mm512_movepi8_mask, _mm512_mul_ps, _mm512_permutexvar_ps, _mm512_reduce_add_ps, _mm512_set1_epi8,
        _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_srli_epi16,
        _mm512_srlv_epi16, _mm512_sub_ps, _mm512_zextps256_ps512,
    };
    use std::array;

    /// Asks for the weights that are read 4 KB later: by itself, the processor does not look that far beyond a page.
    #[inline]
    #[target_feature(enable = "sse")]
    fn fetch_ahead(weights: &[u8]) {
        for line in (0..weights.len()).step_by(64) {
            let later = weights.as_ptr().wrapping_add(4096 + line);
            // SAFETY: a hint, which reads nothing, wherever it points to; newer compilers know that.
            #[allow(unsafe_code, unused_unsafe)]
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(later.cast());
            }
        }
    }

    /// Eight blocks of so many bytes.
    type Eight<const BYTES: usize> = [[u8; BYTES]; 8];

    /// Blocks in eights, and those that are left with zeros behind them, which add nothing to a product.
    #[inline(always)]
    fn in_eights<const BYTES: usize>(blocks: &[[u8; BYTES]]) -> (&[Eight<BYTES>], Option<Eight<BYTES>>) {
        let (eights, rest) = blocks.as_chunks::<8>();
        let mut last = [[0; BYTES]; 8];
        last[..rest.len()].copy_from_slice(rest);
        (eights, (!rest.is_empty()).then_some(last))
    }

    /// `dot_q4_k` of `kernels`, with two groups of 32 low nibbles and two of high ones at a time.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    pub(in crate::model::compute::matrix) fn dot_q4_k<const M: usize>(
        blocks: &[[u8; Q4_K_BYTES]],
        rows: &[QuantizedRow; M],
        out: &mut [f32; M],
    ) {
        let mask = _mm512_set1_epi8(15);
        // Each scale eight times, for the groups that are multiplied together.
        let order = |a: i32, b: i32| -> __m512i { cast([[a; 8], [b; 8]]) };
        let orders = [[order(0, 2), order(1, 3)], [order(4, 6), order(5, 7)]];
        let mut sums = [[_mm512_setzero_ps(); 2]; M];
        let mut below = [_mm256_setzero_ps(); M];
        for (n, block) in blocks.iter().enumerate() {
            fetch_ahead(block);
            let (units, scales, minima) = q4_k_multiples(block);
            let (scales, minima) = avx2::scales(units, scales, minima);
            let nibbles: [__m512i; 2] = {
                let halves = block[16..].as_chunks::<64>().0;
                [cast(halves[0]), cast(halves[1])]
            };
            for ((sums, below), row) in sums.iter_mut().zip(&mut below).zip(rows) {
                let (x, x_scales, x_sums) = row.large_block(n);
                *below = _mm256_fmadd_ps(minima, cast(*x_sums), *below);
                let scales = _mm512_castps256_ps512(_mm256_mul_ps(scales, cast(*x_scales)));
                let pair = |a: usize, b: usize| _mm512_inserti64x4::<1>(_mm512_castsi256_si512(cast(x[a])), cast(x[b]));
                for (half, q) in nibbles.into_iter().enumerate() {
                    let (low, high) = (_mm512_and_si512(q, mask), _mm512_and_si512(_mm512_srli_epi16::<4>(q), mask));
                    let at = 4 * half;
                    let low = _mm512_dpbusd_epi32(_mm512_setzero_si512(), low, pair(at, at + 2));
                    let high = _mm512_dpbusd_epi32(_mm512_setzero_si512(), high, pair(at + 1, at + 3));
                    let scale = |part: usize| _mm512_permutexvar_ps(orders[half][part], scales);
                    sums[0] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(low), scale(0), sums[0]);
                    sums[1] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(high), scale(1), sums[1]);
                }
            }
        }
        for ((out, sums), below) in out.iter_mut().zip(sums).zip(below) {
            let below = _mm512_zextps256_ps512(below);
            *out = _mm512_reduce_add_ps(_mm512_sub_ps(_mm512_add_ps(sums[0], sums[1]), below));
        }
    }

    /// `dot_q8_0` of `kernels`, two blocks at a time.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    pub(in crate::model::compute::matrix) fn dot_q8_0<const M: usize>(
        blocks: &[[u8; Q8_0_BYTES]],
        rows: &[QuantizedRow; M],
        out: &mut [f32; M],
    ) {
        // Each scale eight times, for the blocks that are multiplied together.
        let order = |pair: i32| -> __m512i { cast([[2 * pair; 8], [2 * pair + 1; 8]]) };
        let mut sums = [[_mm512_setzero_ps(); 2]; M];
        let (eights, last) = in_eights(blocks);
        for (n, eight) in eights.iter().chain(&last).enumerate() {
            fetch_ahead(eight.as_flattened());
            let halves = eight.each_ref().map(|block| [block[0], block[1]]);
            let scales = _mm256_cvtph_ps(cast(halves));
            for pair in 0..4 {
                let two = |at: usize, block: &Eight<Q8_0_BYTES>| -> __m256i { pod_read_unaligned(&block[at][2..]) };
                let (a, b) = (two(2 * pair, eight), two(2 * pair + 1, eight));
                let q = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(a), b);
                // The instruction needs one unsigned side. Bytes of x are never -128.
                let (size, negative) = (_mm512_abs_epi8(q), _mm512_movepi8_mask(q));
                for (sums, row) in sums.iter_mut().zip(rows) {
                    let (x, x_scales, _) = row.large_block(n);
                    let x: __m512i = cast([x[2 * pair], x[2 * pair + 1]]);
                    let x = _mm512_mask_sub_epi8(x, negative, _mm512_setzero_si512(), x);
                    let scales = _mm512_castps256_ps512(_mm256_mul_ps(scales, cast(*x_scales)));
                    let scale = _mm512_permutexvar_ps(order(pair as i32), scales);
                    let products = _mm512_cvtepi32_ps(_mm512_dpbusd_epi32(_mm512_setzero_si512(), size, x));
                    sums[pair % 2] = _mm512_fmadd_ps(products, scale, sums[pair % 2]);
                }
            }
        }
        for (out, sums) in out.iter_mut().zip(sums) {
            *out = _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]));
        }
    }

    /// `dot_q4_1` of `kernels`, two blocks at a time.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    pub(in crate::model::compute::matrix) fn dot_q4_1<const M: usize>(
        blocks: &[[u8; Q4_1_BYTES]],
        rows: &[QuantizedRow; M],
        out: &mut [f32; M],
    ) {
        // Each scale eight times, for the blocks that are multiplied together.
        let order = |pair: i32| -> __m512i { cast([[2 * pair; 8], [2 * pair + 1; 8]]) };
        let mask = _mm512_set1_epi8(15);
        // Of each block's numbers, the scale and the minimum.
        let parts: [__m512i; 2] =
            [0, 1].map(|first| cast(array::from_fn::<i32, 16, _>(|n| (first + 2 * n as i32) % 16)));
        // Of each block's nibbles, the low ones, then the high ones.
        let shifts: __m512i = cast([[0_u16; 8], [4; 8], [0; 8], [4; 8]]);
        let mut sums = [[_mm512_setzero_ps(); 2]; M];
        let mut above = [_mm256_setzero_ps(); M];
        let (eights, last) = in_eights(blocks);
        for (n, eight) in eights.iter().chain(&last).enumerate() {
            fetch_ahead(eight.as_flattened());
            let heads = eight.map(|block| [block[0], block[1], block[2], block[3]]);
            let heads = _mm512_cvtph_ps(cast(heads));
            let [scales, minima] = parts.map(|part| _mm512_castps512_ps256(_mm512_permutexvar_ps(part, heads)));
            for (above, row) in above.iter_mut().zip(rows) {
                let (_, _, x_sums) = row.large_block(n);
                *above = _mm256_fmadd_ps(minima, cast(*x_sums), *above);
            }
            for pair in 0..4 {
                let twice = |at: usize| -> __m256i {
                    let nibbles: __m128i = pod_read_unaligned(&eight[at][4..]);
                    _mm256_broadcastsi128_si256(nibbles)
                };
                let q = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(twice(2 * pair)), twice(2 * pair + 1));
                let q = _mm512_and_si512(_mm512_srlv_epi16(q, shifts), mask);
                for (sums, row) in sums.iter_mut().zip(rows) {
                    let (x, x_scales, _) = row.large_block(n);
                    let x: __m512i = cast([x[2 * pair], x[2 * pair + 1]]);
                    let scales = _mm512_castps256_ps512(_mm256_mul_ps(scales, cast(*x_scales)));
                    let scale = _mm512_permutexvar_ps(order(pair as i32), scales);
                    let products = _mm512_cvtepi32_ps(_mm512_dpbusd_epi32(_mm512_setzero_si512(), q, x));
                    sums[pair % 2] = _mm512_fmadd_ps(products, scale, sums[pair % 2]);
                }
            }
        }
        for ((out, sums), above) in out.iter_mut().zip(sums).zip(above) {
            let above = _mm512_zextps256_ps512(above);
            *out = _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), above));
        }
    }

    /// `multiply_tile` of `kernels`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma,f16c")]
    pub(in crate::model::compute::matrix) fn multiply_tile(
        rows: [&[f32]; TILE_ROWS],
        panels: &[&[Lanes]],
        tile: &mut Tile,
    ) {
        match panels {
            [a] => add(rows, [a], tile),
            [a, b] => add(rows, [a, b], tile),
            [a, b, c] => add(rows, [a, b, c], tile),
            [a, b, c, d, ..] => add(rows, [a, b, c, d], tile),
            [] => {}
        }
    }

    /// Loops over numbers instead of iterators, which are not always inlined into functions with target features.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma,f16c")]
    fn add<const PANELS: usize>(rows: [&[f32]; TILE_ROWS], panels: [&[Lanes]; PANELS], tile: &mut Tile) {
        let columns = panels[0].len();
        // Cut once, so that no bounds are checked.
        let (mut w, mut x) = (rows, panels);
        for row in &mut w {
            *row = &row[..columns];
        }
        for panel in &mut x {
            *panel = &panel[..columns];
        }
        let mut sums = [[_mm512_setzero_ps(); PANELS]; TILE_ROWS];
        for (sums, row) in sums.iter_mut().zip(&*tile) {
            for (sum, lanes) in sums.iter_mut().zip(&row.0) {
                *sum = cast(*lanes);
            }
        }
        for column in 0..columns {
            let mut lanes = [_mm512_setzero_ps(); PANELS];
            for panel in 0..PANELS {
                lanes[panel] = cast(x[panel][column].0);
            }
            for row in 0..TILE_ROWS {
                let weight = _mm512_set1_ps(w[row][column]);
                for panel in 0..PANELS {
                    sums[row][panel] = _mm512_fmadd_ps(weight, lanes[panel], sums[row][panel]);
                }
            }
        }
        for (sums, row) in sums.into_iter().zip(tile) {
            for (sum, lanes) in sums.into_iter().zip(&mut row.0) {
                *lanes = cast(sum);
            }
        }
    }

    in_groups! {
        /// `multiply_bytes` of `integers`.
        "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c", multiply_bytes, add_bytes, InputBytes, 6, [1 2 3 4 5 6]
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    fn add_bytes<const ROWS: usize, const COUNT: usize, const SHARED: usize, const MINIMA: bool>(
        inputs: &InputRows<InputBytes>,
        first: usize,
        panels: [&[PanelBlock]; COUNT],
        sums: &mut [RowSums],
    ) {
        let mut added = [[_mm512_setzero_ps(); COUNT]; ROWS];
        for (added, sums) in added.iter_mut().zip(&*sums) {
            for (added, sum) in added.iter_mut().zip(&sums.0) {
                *added = cast(*sum);
            }
        }
        for (strip, at) in inputs.strips.clone().zip((0..).step_by(STRIP)) {
            let blocks = STRIP.min(panels[0].len() - at);
            let rows = inputs.group::<ROWS>(strip, first, blocks);
            let mut panels = panels;
            for panel in &mut panels {
                *panel = &panel[at..at + blocks];
            }
            for n in (0..blocks).step_by(SHARED) {
                let mut totals = [[_mm512_setzero_si512(); COUNT]; ROWS];
                for row in 0..ROWS {
                    totals[row] = [_mm512_set1_epi32(rows[row][n].start); COUNT];
                }
                for block in n..blocks.min(n + SHARED) {
                    for four in 0..SMALL_BLOCK / 4 {
                        let mut w = [_mm512_setzero_si512(); COUNT];
                        for panel in 0..COUNT {
                            w[panel] = cast(panels[panel][block].bytes[four]);
                        }
                        // In this order the sums do not wait for each other.
                        for row in 0..ROWS {
                            let x = _mm512_set1_epi32(rows[row][block].words[four]);
                            for panel in 0..COUNT {
                                totals[row][panel] = _mm512_dpbusd_epi32(totals[row][panel], w[panel], x);
                            }
                        }
                    }
                }
                for panel in 0..COUNT {
                    let w = &panels[panel][n];
                    let (scales, minima): (__m512, __m512) = (cast(w.scales), cast(w.minima));
                    for row in 0..ROWS {
                        let x = &rows[row][n];
                        let scale = _mm512_mul_ps(scales, _mm512_set1_ps(x.scale));
                        added[row][panel] =
                            _mm512_fmadd_ps(_mm512_cvtepi32_ps(totals[row][panel]), scale, added[row][panel]);
                        if MINIMA {
                            added[row][panel] = _mm512_fnmadd_ps(minima, _mm512_set1_ps(x.sum), added[row][panel]);
                        }
                    }
                }
            }
        }
        for (added, sums) in added.into_iter().zip(sums) {
            for (added, sum) in added.into_iter().zip(&mut sums.0) {
                *sum = cast(added);
            }
        }
    }
}
