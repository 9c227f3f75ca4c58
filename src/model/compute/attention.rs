//! Attention (Vaswani et al. 2017) on rows of f32.

use super::matrix::{multiply_slices_to, transposed};
use super::ops::{self, Activation};
use rayon::prelude::*;

/// Some columns of rows: in each row of `width` numbers, the queries, keys or values begin at `first`.
#[derive(Clone, Copy)]
pub(in crate::model) struct Columns<'a> {
    pub(in crate::model) rows: &'a [f32],
    pub(in crate::model) width: usize,
    pub(in crate::model) first: usize,
}

impl Columns<'_> {
    fn count(&self) -> usize {
        self.rows.len() / self.width
    }

    fn head(&self, head: usize, size: usize) -> impl Iterator<Item = &[f32]> {
        let first = self.first + head * size;
        self.rows.chunks_exact(self.width).map(move |row| &row[first..first + size])
    }
}

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

/// How many queries are attended to at a time: their scores stay in the cache, and a picture of thousands of patches
/// takes megabytes, not hundreds of them.
const QUERIES: usize = 128;

/// Attention of every query to every key: (queries, heads * size).
pub(in crate::model) fn attention(queries: Columns, keys: Columns, values: Columns, heads: Heads) -> Vec<f32> {
    let Heads { count: heads, size, scale } = heads;
    let of_heads: Vec<Vec<f32>> = (0..heads)
        .into_par_iter()
        .map(|head| {
            let gather = |columns: Columns| {
                let mut rows = Vec::with_capacity(columns.count() * size);
                columns.head(head, size).for_each(|row| rows.extend_from_slice(row));
                rows
            };
            let (count, queries, keys) = (keys.count(), gather(queries), gather(keys));
            let values = transposed(&values.head(head, size).collect::<Vec<_>>());
            let mut out = vec![0.0; queries.len()];
            let mut scores = vec![0.0; (queries.len() / size).min(QUERIES) * count];
            for (queries, out) in queries.chunks(QUERIES * size).zip(out.chunks_mut(QUERIES * size)) {
                let scores = &mut scores[..queries.len() / size * count];
                multiply_slices_to(scores, queries, &keys, size, None, Activation::None);
                ops::softmax(scores, count, scale);
                multiply_slices_to(out, scores, &values, count, None, Activation::None);
            }
            out
        })
        .collect();
    let mut out = vec![0.0; queries.count() * heads * size];
    for (i, row) in out.chunks_exact_mut(heads * size).enumerate() {
        for (to, head) in row.chunks_exact_mut(size).zip(&of_heads) {
            to.copy_from_slice(&head[i * size..][..size]);
        }
    }
    out
}

/// Attention of one head's query to some keys, of which each has a value, added to `out`. `scores` is memory for it.
pub(in crate::model) fn attend_to_some<'a>(
    query: &[f32],
    keys_and_values: impl Iterator<Item = (&'a [f32], &'a [f32])> + Clone,
    scale: f32,
    scores: &mut Vec<f32>,
    out: &mut [f32],
) {
    scores.clear();
    scores.extend(keys_and_values.clone().map(|(key, _)| ops::dot(query, key)));
    let count = scores.len();
    ops::softmax(scores, count, scale);
    for ((_, value), weight) in keys_and_values.zip(&*scores) {
        ops::add_scaled(out, *weight, value);
    }
}
