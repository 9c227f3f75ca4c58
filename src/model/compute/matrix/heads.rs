//! Attention of a head (Vaswani et al. 2017): its two products, and the softmax between them.
//!
//! Up to 64 queries are attended to at a time. Their scores stay as they were multiplied, sixteen queries side by side,
//! until they have been the weights of the values: nothing is turned or copied in between.

use super::gemm::{PART, interleave, turn};
use super::kernels::{LANES, Lanes, Sums, TILE_PANELS, TILE_ROWS, multiply_tile};
use super::transposed;
use crate::model::compute::level::by_level;
use crate::model::compute::ops::exp;

/// The heads of an attention.
#[derive(Clone, Copy)]
pub(in crate::model) struct Heads {
    pub(in crate::model) count: usize,
    /// Numbers in a head.
    pub(in crate::model) size: usize,
    /// The factor of the scores.
    pub(in crate::model) scale: f32,
}

impl Heads {
    /// Heads that see everything, with the usual factor.
    pub(in crate::model) fn new(count: usize, size: usize) -> Self {
        Self { count, size, scale: 1.0 / (size as f32).sqrt() }
    }
}

/// Writes to `out` what each query finds: the values, weighted by `softmax(scale * keys query)`. All rows have one length.
pub(in crate::model) fn attend(
    queries: &[&[f32]],
    keys: &[&[f32]],
    values: &[&[f32]],
    scale: f32,
    out: &mut [&mut [f32]],
) {
    let size = queries.first().map_or(0, |query| query.len());
    let columns = transposed(values);
    let columns: Vec<&[f32]> = columns.chunks_exact(keys.len().max(1)).collect();
    let mut panels = vec![Lanes::default(); TILE_PANELS * size.max(keys.len())];
    let mut sums = Vec::new();
    let groups = queries.chunks(TILE_PANELS * LANES).zip(out.chunks_mut(TILE_PANELS * LANES));
    for (queries, out) in groups {
        for (panel, queries) in panels.chunks_exact_mut(size).zip(queries.chunks(LANES)) {
            interleave(queries.iter().copied(), panel);
        }
        let count = queries.len().div_ceil(LANES);
        products(keys, &panels[..count * size], &mut sums);
        let inverse = &mut [[0.0; LANES]; TILE_PANELS];
        softmax_columns(&sums[..keys.len()], scale, &mut panels[..count * keys.len()], inverse);
        products(&columns, &panels[..count * keys.len()], &mut sums);
        for (panel, out) in out.chunks_mut(LANES).enumerate() {
            turn(&sums[..size], panel, out);
            multiply_rows(out, &inverse[panel]);
        }
    }
}

/// Fills `sums` with the products of rows with some panels of one length, and of what fills the last tile.
fn products(rows: &[&[f32]], panels: &[Lanes], sums: &mut Vec<Sums>) {
    let length = rows.first().map_or(1, |row| row.len());
    let all: Vec<&[Lanes]> = panels.chunks_exact(length).collect();
    sums.clear();
    sums.resize(rows.len().next_multiple_of(TILE_ROWS), Sums::default());
    for at in (0..length).step_by(PART) {
        let part = at..length.min(at + PART);
        let mut panels: [&[Lanes]; TILE_PANELS] = [&[]; TILE_PANELS];
        panels.iter_mut().zip(&all).for_each(|(to, panel)| *to = &panel[part.clone()]);
        for (tile, rows) in sums.as_chunks_mut().0.iter_mut().zip(rows.chunks(TILE_ROWS)) {
            let row = |n: usize| &rows[n.min(rows.len() - 1)][part.clone()];
            multiply_tile(std::array::from_fn(row), &panels[..all.len()], tile);
        }
    }
}

by_level! {
    /// Writes `exp(scale * (score - largest))` of each query's scores to panels, and the inverses of their sums.
    fn softmax_columns(
        scores: &[Sums],
        scale: f32,
        weights: &mut [Lanes],
        inverse: &mut [[f32; LANES]; TILE_PANELS],
    ) {
        let larger = |a: f32, b: f32| if b > a { b } else { a };
        for (panel, (weights, inverse)) in weights.chunks_exact_mut(scores.len()).zip(inverse).enumerate() {
            let mut largest = [f32::NEG_INFINITY; LANES];
            for score in scores {
                for (largest, score) in largest.iter_mut().zip(&score.0[panel]) {
                    *largest = larger(*largest, *score);
                }
            }
            let mut sums = [0.0; LANES];
            for (weight, score) in weights.iter_mut().zip(scores) {
                for lane in 0..LANES {
                    let weight = &mut weight.0[lane];
                    *weight = exp(scale * (score.0[panel][lane] - largest[lane]));
                    sums[lane] += *weight;
                }
            }
            for (inverse, sum) in inverse.iter_mut().zip(sums) {
                *inverse = 1.0 / sum;
            }
        }
    }
}

by_level! {
    fn multiply_rows(rows: &mut [&mut [f32]], factors: &[f32]) {
        for (row, factor) in rows.iter_mut().zip(factors) {
            row.iter_mut().for_each(|number| *number *= factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of queries, keys and columns that fill tiles and that do not, against the formula.
    #[test]
    fn attention_of_a_head_follows_its_definition() {
        for (queries, keys, size) in [(1, 1, 1), (3, 7, 5), (65, 65, 64), (16, 130, 80), (130, 12, 33)] {
            let numbers = |rows: usize, seed: usize| -> Vec<f32> {
                (0..rows * size).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
            };
            let (q, k, v) = (numbers(queries, 1), numbers(keys, 2), numbers(keys, 3));
            let [q, k, v] = [&q, &k, &v].map(|numbers| numbers.chunks_exact(size).collect::<Vec<_>>());
            let mut found = vec![0.0; queries * size];
            attend(&q, &k, &v, 0.7, &mut found.chunks_exact_mut(size).collect::<Vec<_>>());
            for (query, found) in q.iter().zip(found.chunks_exact(size)) {
                let score =
                    |key: &[f32]| key.iter().zip(*query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
                let weights: Vec<f64> = k.iter().map(|key| (0.7 * score(key)).exp()).collect();
                let sum: f64 = weights.iter().sum();
                for (column, found) in found.iter().enumerate() {
                    let expected: f64 =
                        v.iter().zip(&weights).map(|(v, w)| w * f64::from(v[column])).sum::<f64>() / sum;
                    assert!((f64::from(*found) - expected).abs() < 1e-5, "{queries} {keys} {size}");
                }
            }
        }
    }
}
