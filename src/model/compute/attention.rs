//! Attention (Vaswani et al. 2017) on rows of f32.

pub(in crate::model) use super::matrix::Heads;
use super::matrix::{attend, columns_of};
use super::ops;
use rayon::prelude::*;

/// Some columns of rows: in each row of `width` numbers, the queries, keys or values begin at `first`.
#[derive(Clone, Copy)]
pub(in crate::model) struct Columns<'a> {
    pub(in crate::model) rows: &'a [f32],
    pub(in crate::model) width: usize,
    pub(in crate::model) first: usize,
}

impl<'a> Columns<'a> {
    fn head(self, head: usize, size: usize) -> Vec<&'a [f32]> {
        let first = self.first + head * size;
        self.rows.chunks_exact(self.width).map(|row| &row[first..first + size]).collect()
    }
}

/// Attention of every query to every key: (queries, heads * size).
pub(in crate::model) fn attention(queries: Columns, keys: Columns, values: Columns, heads: Heads) -> Vec<f32> {
    let mut out = vec![0.0; queries.rows.len() / queries.width * heads.count * heads.size];
    attention_to(&mut out, queries, keys, values, heads);
    out
}

/// The same to `out`.
pub(in crate::model) fn attention_to(
    out: &mut [f32],
    queries: Columns,
    keys: Columns,
    values: Columns,
    Heads { count, size, scale }: Heads,
) {
    let rows = out.len() / (count * size);
    columns_of(out, rows, count * size, size).into_par_iter().enumerate().for_each(|(head, mut out)| {
        let [queries, keys, values] = [queries, keys, values].map(|columns| columns.head(head, size));
        attend(&queries, &keys, &values, scale, &mut out);
    });
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
