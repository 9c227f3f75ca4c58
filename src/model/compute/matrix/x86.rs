//! Inner loops in x86-64 instructions that the compiler does not generate by itself.
//!
//! Each function is safe where its target features are enabled: `kernels` calls it from functions that are compiled
//! for these features, and has a portable version of it.

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
    use crate::model::compute::matrix::kernels::{LANES, Q4_K_BYTES, SMALL_BLOCK, TILE_ROWS, Tile, q4_k_multiples};
    use crate::model::compute::matrix::pairs::{InputPairs, PAIRS, WeightPairs};
    use bytemuck::{cast, pod_read_unaligned};
    use std::arch::x86_64::{
        __m256, __m256i, _mm_cvtph_ps, _mm_cvtsi32_si128, _mm_cvtsi64_si128, _mm256_abs_epi8, _mm256_add_epi32,
        _mm256_and_si256, _mm256_castps128_ps256, _mm256_cvtepi8_epi16, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32,
        _mm256_cvtph_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_mul_ps,
        _mm256_permutevar8x32_ps, _mm256_sad_epu8, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32,
        _mm256_set1_ps, _mm256_setzero_si256, _mm256_sign_epi8, _mm256_srli_epi16, _mm256_xor_si256,
    };

    /// Registers of a panel's lanes.
    pub(super) const HALVES: usize = LANES / 8;

    /// `multiply_tile` of `pairs`: a panel at a time, as the registers hold nothing but the totals of a block.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(in crate::model::compute::matrix) fn multiply_pairs(
        rows: [&[WeightPairs]; TILE_ROWS],
        panels: &[&[InputPairs]],
        tile: &mut Tile,
        minima: bool,
    ) {
        for (at, panel) in panels.iter().enumerate() {
            if minima {
                add_pairs::<true>(rows, panel, at, tile);
            } else {
                add_pairs::<false>(rows, panel, at, tile);
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn add_pairs<const MINIMA: bool>(
        mut rows: [&[WeightPairs]; TILE_ROWS],
        panel: &[InputPairs],
        at: usize,
        tile: &mut Tile,
    ) {
        for row in &mut rows {
            *row = &row[..panel.len()];
        }
        for (block, x) in panel.iter().enumerate() {
            let mut totals = [[_mm256_setzero_si256(); HALVES]; TILE_ROWS];
            for pair in 0..PAIRS {
                let lanes: [__m256i; HALVES] = cast(x.pairs[pair]);
                for row in 0..TILE_ROWS {
                    let w = _mm256_set1_epi32(cast(rows[row][block].pairs[pair]));
                    for half in 0..HALVES {
                        let products = _mm256_madd_epi16(lanes[half], w);
                        totals[row][half] = _mm256_add_epi32(totals[row][half], products);
                    }
                }
            }
            for row in 0..TILE_ROWS {
                let w = &rows[row][block];
                let scales = [w.scale, w.minimum];
                add_totals::<MINIMA>(totals[row], scales, (&x.scales, &x.sums), &mut tile[row].0[at]);
            }
        }
    }

    /// Adds the products of a weight block, whose scale and minimum these are, with sixteen activation rows, which have these
    /// scales and sums.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn add_totals<const MINIMA: bool>(
        totals: [__m256i; HALVES],
        [scale, minimum]: [f32; 2],
        (x_scales, x_sums): (&[f32; LANES], &[f32; LANES]),
        sums: &mut [f32; LANES],
    ) {
        let (x_scales, x_sums): ([__m256; HALVES], [__m256; HALVES]) = (cast(*x_scales), cast(*x_sums));
        let mut added: [__m256; HALVES] = cast(*sums);
        for half in 0..HALVES {
            let scale = _mm256_mul_ps(x_scales[half], _mm256_set1_ps(scale));
            added[half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(totals[half]), scale, added[half]);
            if MINIMA {
                added[half] = _mm256_fnmadd_ps(x_sums[half], _mm256_set1_ps(minimum), added[half]);
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

    #[inline]
    #[target_feature(enable = "avx2")]
    pub(in crate::model::compute::matrix) fn signed_pairs(bytes: &[u8; SMALL_BLOCK]) -> [[i16; 2]; PAIRS] {
        let [low, high] = cast(*bytes);
        cast([_mm256_cvtepi8_epi16(low), _mm256_cvtepi8_epi16(high)])
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    pub(in crate::model::compute::matrix) fn signed_sum(bytes: &[u8; SMALL_BLOCK]) -> i32 {
        let flipped = _mm256_xor_si256(cast(*bytes), _mm256_set1_epi8(-128));
        let [a, b, c, d]: [i64; 4] = cast(_mm256_sad_epu8(flipped, _mm256_setzero_si256()));
        (a + b + c + d) as i32 - 128 * SMALL_BLOCK as i32
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
    use crate::model::compute::matrix::kernels::{InputBlock, SMALL_BLOCK, TILE_ROWS, Tile, WeightBlock};
    use bytemuck::cast;
    use std::arch::x86_64::{__m256i, _mm256_dpbusd_avx_epi32, _mm256_set1_epi32};

    /// `multiply_integer_tile` of `kernels`: a panel at a time, as the registers hold nothing but the totals of a block.
    #[inline]
    #[target_feature(enable = "avxvnni,avx2,fma,f16c")]
    pub(in crate::model::compute::matrix) fn multiply_integer_tile(
        rows: [&[WeightBlock]; TILE_ROWS],
        panels: &[&[InputBlock]],
        tile: &mut Tile,
        minima: bool,
    ) {
        for (at, panel) in panels.iter().enumerate() {
            if minima {
                add_integers::<true>(rows, panel, at, tile);
            } else {
                add_integers::<false>(rows, panel, at, tile);
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avxvnni,avx2,fma,f16c")]
    fn add_integers<const MINIMA: bool>(
        mut rows: [&[WeightBlock]; TILE_ROWS],
        panel: &[InputBlock],
        at: usize,
        tile: &mut Tile,
    ) {
        for row in &mut rows {
            *row = &row[..panel.len()];
        }
        for (block, x) in panel.iter().enumerate() {
            let mut totals = [[_mm256_set1_epi32(0); HALVES]; TILE_ROWS];
            for row in 0..TILE_ROWS {
                totals[row] = [_mm256_set1_epi32(rows[row][block].start); HALVES];
            }
            for four in 0..SMALL_BLOCK / 4 {
                let bytes: [__m256i; HALVES] = cast(x.bytes[four]);
                for row in 0..TILE_ROWS {
                    let w = _mm256_set1_epi32(rows[row][block].words[four]);
                    for half in 0..HALVES {
                        totals[row][half] = _mm256_dpbusd_avx_epi32(totals[row][half], bytes[half], w);
                    }
                }
            }
            for row in 0..TILE_ROWS {
                let w = &rows[row][block];
                let scales = [w.scale, w.minimum];
                avx2::add_totals::<MINIMA>(totals[row], scales, (&x.scales, &x.sums), &mut tile[row].0[at]);
            }
        }
    }
}

pub(super) mod avx512 {
    use super::avx2;
    use crate::model::compute::matrix::kernels::{
        InputBlock, Lanes, Q4_K_BYTES, QuantizedRow, SMALL_BLOCK, TILE_ROWS, Tile, WeightBlock, q4_k_multiples,
    };
    use bytemuck::cast;
    use std::arch::x86_64::{
        __m512, __m512i, _mm256_fmadd_ps, _mm256_mul_ps, _mm256_setzero_ps, _mm512_add_ps, _mm512_and_si512,
        _mm512_castps256_ps512, _mm512_castsi256_si512, _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps,
        _mm512_fnmadd_ps, _mm512_inserti64x4, _mm512_mul_ps, _mm512_permutexvar_ps, _mm512_reduce_add_ps,
        _mm512_set1_epi8, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512,
        _mm512_srli_epi16, _mm512_sub_ps, _mm512_zextps256_ps512,
    };

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

    /// `multiply_integer_tile` of `kernels`: two panels at a time, as the registers hold the totals of a block beside the
    /// sums.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    pub(in crate::model::compute::matrix) fn multiply_integer_tile(
        rows: [&[WeightBlock]; TILE_ROWS],
        panels: &[&[InputBlock]],
        tile: &mut Tile,
        minima: bool,
    ) {
        for (at, panels) in panels.chunks(2).enumerate() {
            match (panels, minima) {
                ([a, b], false) => add_integers::<2, false>(rows, [a, b], 2 * at, tile),
                ([a, b], true) => add_integers::<2, true>(rows, [a, b], 2 * at, tile),
                ([a], false) => add_integers::<1, false>(rows, [a], 2 * at, tile),
                ([a], true) => add_integers::<1, true>(rows, [a], 2 * at, tile),
                _ => {}
            }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma,f16c")]
    fn add_integers<const PANELS: usize, const MINIMA: bool>(
        mut rows: [&[WeightBlock]; TILE_ROWS],
        mut panels: [&[InputBlock]; PANELS],
        first: usize,
        tile: &mut Tile,
    ) {
        let blocks = panels[0].len();
        for row in &mut rows {
            *row = &row[..blocks];
        }
        for panel in &mut panels {
            *panel = &panel[..blocks];
        }
        let mut sums = [[_mm512_setzero_ps(); PANELS]; TILE_ROWS];
        for (sums, row) in sums.iter_mut().zip(&*tile) {
            for (sum, lanes) in sums.iter_mut().zip(&row.0[first..]) {
                *sum = cast(*lanes);
            }
        }
        for block in 0..blocks {
            let mut totals = [[_mm512_setzero_si512(); PANELS]; TILE_ROWS];
            for row in 0..TILE_ROWS {
                totals[row] = [_mm512_set1_epi32(rows[row][block].start); PANELS];
            }
            for four in 0..SMALL_BLOCK / 4 {
                let mut x = [_mm512_setzero_si512(); PANELS];
                for panel in 0..PANELS {
                    x[panel] = cast(panels[panel][block].bytes[four]);
                }
                // In this order the sums do not wait for each other.
                for row in 0..TILE_ROWS {
                    let w = _mm512_set1_epi32(rows[row][block].words[four]);
                    for panel in 0..PANELS {
                        totals[row][panel] = _mm512_dpbusd_epi32(totals[row][panel], x[panel], w);
                    }
                }
            }
            for panel in 0..PANELS {
                let x = &panels[panel][block];
                let (scales, x_sums): (__m512, __m512) = (cast(x.scales), cast(x.sums));
                for row in 0..TILE_ROWS {
                    let w = &rows[row][block];
                    let (total, scale) =
                        (_mm512_cvtepi32_ps(totals[row][panel]), _mm512_mul_ps(scales, _mm512_set1_ps(w.scale)));
                    sums[row][panel] = _mm512_fmadd_ps(total, scale, sums[row][panel]);
                    if MINIMA {
                        sums[row][panel] = _mm512_fnmadd_ps(x_sums, _mm512_set1_ps(w.minimum), sums[row][panel]);
                    }
                }
            }
        }
        for (sums, row) in sums.into_iter().zip(tile) {
            for (sum, lanes) in sums.into_iter().zip(&mut row.0[first..]) {
                *lanes = cast(sum);
            }
        }
    }
}
