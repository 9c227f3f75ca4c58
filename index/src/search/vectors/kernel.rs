//! The products on which every search by meaning depends.

use multiversion::multiversion;
use std::sync::OnceLock;

/// Partial sums, so that the compiler can use whole vector registers.
const LANES: usize = 32;

/// The dot product of two vectors of the same length: the same bits on every processor, because additions and
/// multiplications are never fused and always in one order.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    if is_held_down() { sum_of_products(a, b) } else { wide(a, b) }
}

/// The same for the levels of a query and the codes of a row; the caller sees to it that it fits.
pub(super) fn dot_of_levels(levels: &[i16], codes: &[i8]) -> i32 {
    if is_held_down() { sum_with_levels(levels, codes) } else { wide_with_levels(levels, codes) }
}

/// The same for the codes of two rows.
pub(super) fn dot_of_codes(a: &[i8], b: &[i8]) -> i32 {
    if is_held_down() { sum_of_codes(a, b) } else { wide_of_codes(a, b) }
}

/// Whether a person wants no more than the baseline instructions, for tests and for reports of bugs.
fn is_held_down() -> bool {
    static HELD_DOWN: OnceLock<bool> = OnceLock::new();
    *HELD_DOWN.get_or_init(|| std::env::var_os("SNAPSEEK_CPU").is_some_and(|level| level == "baseline"))
}

/// Wider registers than AVX2's gain nothing: memory is the limit.
#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn wide(a: &[f32], b: &[f32]) -> f32 {
    sum_of_products(a, b)
}

#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn wide_with_levels(levels: &[i16], codes: &[i8]) -> i32 {
    sum_with_levels(levels, codes)
}

#[multiversion(targets("x86_64+avx2", "aarch64+neon"))]
fn wide_of_codes(a: &[i8], b: &[i8]) -> i32 {
    sum_of_codes(a, b)
}

#[inline(always)]
fn sum_of_products(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

#[inline(always)]
fn sum_with_levels(levels: &[i16], codes: &[i8]) -> i32 {
    levels.iter().zip(codes).map(|(x, y)| i32::from(*x) * i32::from(i16::from(*y))).sum()
}

#[inline(always)]
fn sum_of_codes(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(x, y)| i32::from(i16::from(*x)) * i32::from(i16::from(*y))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_plain_sum() {
        for length in [0, 1, 31, 32, 33, 384, 512, 515] {
            let a: Vec<f32> = (0..length).map(|i| (i as f32).sin()).collect();
            let b: Vec<f32> = (0..length).map(|i| (i as f32 * 0.7).cos()).collect();
            let plain: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            assert!((f64::from(dot(&a, &b)) - plain).abs() < 1e-4, "{length}");
            assert_eq!(wide(&a, &b).to_bits(), sum_of_products(&a, &b).to_bits());
            let levels: Vec<i16> = a.iter().map(|v| (v * 32_767.0) as i16).collect();
            let codes: Vec<i8> = b.iter().map(|v| (v * 127.0) as i8).collect();
            let plain: i64 = levels.iter().zip(&codes).map(|(x, y)| i64::from(*x) * i64::from(*y)).sum();
            assert_eq!(i64::from(dot_of_levels(&levels, &codes)), plain);
            let plain: i64 = codes.iter().map(|x| i64::from(*x) * i64::from(*x)).sum();
            assert_eq!(i64::from(dot_of_codes(&codes, &codes)), plain);
        }
    }
}
