//! Unit vectors in 8 bits, as segments of large libraries store them: a quarter of the bytes of f32. Of each row it is
//! known how far it can be from the vector that it stands for, so that what is read from the catalogue to be exact is
//! no more than it takes.

use super::kernel::{dot, dot_of_codes, dot_of_levels};

/// The largest code.
const MOST: f32 = 127.0;
/// The largest level of a query of at most 512 numbers: sums of products with codes stay within 32 bits.
const LEVELS: f32 = 32_767.0;

/// Rows of vectors that never change.
#[derive(Clone, Copy)]
pub(super) enum StoredRows<'a> {
    /// The vectors themselves.
    Exact { rows: &'a [f32], dim: usize },
    /// A row is `dim` codes, padding, the factor that makes numbers of them, and the length of what is missing then.
    Coded { rows: &'a [i8], dim: usize },
}

/// A unit vector to compare rows with.
pub(super) struct CodedQuery<'a> {
    exact: &'a [f32],
    levels: Vec<i16>,
    /// What a level is worth.
    step: f32,
    /// The length of what the levels miss.
    error: f32,
}

/// Bytes of a coded row.
pub(super) const fn stride(dim: usize) -> usize {
    dim.next_multiple_of(4) + 8
}

/// Appends a vector as codes.
pub(super) fn push(out: &mut Vec<i8>, vector: &[f32]) {
    let largest = vector.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
    let scale = largest / MOST;
    let code = |v: f32| if scale > 0.0 { (v / scale).round() } else { 0.0 };
    let error = vector.iter().map(|v| (f64::from(*v) - f64::from(code(*v) * scale)).powi(2)).sum::<f64>().sqrt();
    let end = out.len() + stride(vector.len());
    out.extend(vector.iter().map(|v| code(*v) as i8));
    out.resize(end - 8, 0);
    // A little more than it is, for the sums that are made of it.
    for number in [scale, error as f32 * 1.001 + 1e-6] {
        out.extend(number.to_ne_bytes().map(|byte| byte as i8));
    }
}

/// The codes of a row, the factor and the length of what is missing.
fn parts(row: &[i8], dim: usize) -> Option<(&[i8], f32, f32)> {
    let (rest, error) = row.split_last_chunk::<4>()?;
    let (rest, scale) = rest.split_last_chunk::<4>()?;
    let number = |bytes: &[i8; 4]| f32::from_ne_bytes(bytes.map(|byte| byte as u8));
    Some((rest.get(..dim)?, number(scale), number(error)))
}

/// The cosine of two coded rows of `dim` numbers.
pub(super) fn cosine(a: &[i8], b: &[i8], dim: usize) -> f32 {
    let (Some((a, x, _)), Some((b, y, _))) = (parts(a, dim), parts(b, dim)) else { return 0.0 };
    dot_of_codes(a, b) as f32 * x * y
}

impl<'a> CodedQuery<'a> {
    pub(super) fn new(exact: &'a [f32]) -> Self {
        let largest = exact.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
        let levels = (LEVELS * 512.0 / exact.len().max(512) as f32).floor();
        let step = if largest > 0.0 { largest / levels } else { 1.0 };
        let error: f32 = exact.iter().map(|v| (v - (v / step).round() * step).powi(2)).sum();
        let levels = exact.iter().map(|v| (v / step).round() as i16).collect();
        Self { exact, levels, step, error: error.sqrt() * 1.01 + 1e-6 }
    }
}

impl<'a> StoredRows<'a> {
    pub(super) fn dim(self) -> usize {
        match self {
            Self::Exact { dim, .. } | Self::Coded { dim, .. } => dim,
        }
    }

    pub(super) fn len(self) -> usize {
        match self {
            Self::Exact { rows, dim } => rows.len() / dim.max(1),
            Self::Coded { rows, dim } => rows.len() / stride(dim),
        }
    }

    pub(super) fn is_exact(self) -> bool {
        matches!(self, Self::Exact { .. })
    }

    /// The vectors themselves, if these are they.
    pub(super) fn exact(self, rows: std::ops::Range<usize>) -> Option<&'a [f32]> {
        match self {
            Self::Exact { rows: all, dim } => all.get(rows.start * dim..rows.end * dim),
            Self::Coded { .. } => None,
        }
    }

    /// A coded row.
    pub(super) fn coded(self, row: usize) -> Option<&'a [i8]> {
        match self {
            Self::Exact { .. } => None,
            Self::Coded { rows, dim } => rows.get(row * stride(dim)..(row + 1) * stride(dim)),
        }
    }

    /// Has the processor fetch a coded row.
    pub(super) fn touch(self, row: usize) {
        /// Bytes that it fetches at once.
        const LINE: usize = 64;
        let first = self.coded(row).unwrap_or_default().iter().step_by(LINE);
        std::hint::black_box(first.fold(0, |all, byte| all ^ *byte));
    }

    /// The cosine of a row with a query.
    pub(super) fn cosine(self, query: &CodedQuery<'_>, row: usize) -> Option<f32> {
        self.estimate(query, row).map(|(cosine, _)| cosine)
    }

    /// The cosine of a row with a query, and how much the true one may differ from it.
    pub(super) fn estimate(self, query: &CodedQuery<'_>, row: usize) -> Option<(f32, f32)> {
        if let Some(exact) = self.exact(row..row + 1) {
            return Some((dot(query.exact, exact), 0.0));
        }
        let (codes, scale, error) = parts(self.coded(row)?, self.dim())?;
        let cosine = dot_of_levels(&query.levels, codes) as f32 * query.step * scale;
        Some((cosine, error + query.error * (1.0 + error)))
    }

    /// About the vector of a row.
    pub(super) fn decoded(self, row: usize) -> Option<Vec<f32>> {
        if let Some(exact) = self.exact(row..row + 1) {
            return Some(exact.to_vec());
        }
        let (codes, scale, _) = parts(self.coded(row)?, self.dim())?;
        Some(codes.iter().map(|code| f32::from(*code) * scale).collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A unit vector.
    fn vector(seed: usize, dim: usize) -> Vec<f32> {
        let mut vector: Vec<f32> = (0..dim).map(|i| ((seed * 7_919 + i * i * 31 + i) as f32).sin()).collect();
        // One number far larger than the others is the worst that can happen to a common factor.
        vector[seed % dim] *= if seed.is_multiple_of(3) { 30.0 } else { 1.0 };
        let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|v| *v /= norm);
        vector
    }

    #[test]
    fn the_true_cosine_is_within_the_bounds() {
        for dim in [1, 2, 3, 30, 384, 512, 515, 1_152, 4_096] {
            let mut codes = Vec::new();
            let rows: Vec<Vec<f32>> = (1..61).map(|seed| vector(seed, dim)).collect();
            rows.iter().for_each(|row| push(&mut codes, row));
            let stored = StoredRows::Coded { rows: &codes, dim };
            assert_eq!(stored.len(), 60);
            for query in rows.iter().chain(&[vector(100, dim), vec![1.0 / (dim as f32).sqrt(); dim]]) {
                let coded = CodedQuery::new(query);
                for (at, row) in rows.iter().enumerate() {
                    let (cosine, error) = stored.estimate(&coded, at).unwrap();
                    let truth: f64 = query.iter().zip(row).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                    assert!((f64::from(cosine) - truth).abs() <= f64::from(error), "{dim}: {cosine} {truth} {error}");

                    let between = super::cosine(stored.coded(0).unwrap(), stored.coded(at).unwrap(), dim);
                    let truth = dot(&rows[0], row);
                    let lost = |at: usize| super::parts(stored.coded(at).unwrap(), dim).unwrap().2;
                    let most = lost(0) + lost(at) + lost(0) * lost(at) + 1e-5;
                    assert!((between - truth).abs() <= most, "{dim}: {between} {truth} {most}");
                }
            }
        }
    }

    #[test]
    fn a_row_of_zeros_or_half_a_row_is_like_nothing() {
        let mut codes = Vec::new();
        push(&mut codes, &[0.0; 5]);
        let query = CodedQuery::new(&[1.0, 0.0, 0.0, 0.0, 0.0]);
        let stored = StoredRows::Coded { rows: &codes, dim: 5 };
        assert_eq!(stored.cosine(&query, 0), Some(0.0));
        assert_eq!(stored.cosine(&query, 1), None);
        assert_eq!(StoredRows::Coded { rows: &codes[..9], dim: 5 }.cosine(&query, 0), None);
    }
}
