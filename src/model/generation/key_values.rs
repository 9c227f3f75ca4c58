//! Keys and values of tokens that went through a language model.
//!
//! A token's keys and values are stored in a slot of the [`KeyValueCache`]; a [`Sequence`] is the list of its tokens'
//! slots. So sequences share what they have in common (the beams of a search share the prompt), and nothing is ever
//! copied.

use crate::model::compute::matrix::transposed;
use crate::model::compute::ops::{self, BLOCK};

/// The slots of a sequence's tokens.
#[derive(Clone, Debug, Default)]
pub(in crate::model) struct Sequence(Vec<u32>);

impl Sequence {
    /// Number of tokens.
    pub(in crate::model) fn len(&self) -> usize {
        self.0.len()
    }

    /// The slots of its tokens.
    pub(in crate::model) fn slots(&self) -> &[u32] {
        &self.0
    }

    /// Drops all but the first `len` tokens.
    pub(in crate::model) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
}

/// Keys and values of every token that went through the model.
pub(in crate::model) struct KeyValueCache {
    /// Numbers in a token's keys, and in its values.
    width: usize,
    /// For each layer, blocks of slots, which are added as they are needed and never move: the keys turned, (width,
    /// BLOCK), so that a query's products with all of them are sums of rows; then the values, (BLOCK, width).
    layers: Vec<Vec<Box<[f32]>>>,
    free: Vec<u32>,
    slots: u32,
}

/// Queries of a row that share a head of keys and values.
#[derive(Clone, Copy)]
pub(in crate::model) struct HeadQueries<'a> {
    /// (queries, size)
    pub(in crate::model) numbers: &'a [f32],
    /// Numbers in a head.
    pub(in crate::model) size: usize,
    /// The first of the head's numbers in a token's keys.
    pub(in crate::model) first: usize,
    /// The factor of the scores.
    pub(in crate::model) scale: f32,
}

impl KeyValueCache {
    pub(in crate::model) fn new(layers: usize, width: usize) -> Self {
        Self { width, layers: vec![Vec::new(); layers], free: Vec::new(), slots: 0 }
    }

    /// Frees the slots that none of these sequences uses.
    pub(in crate::model) fn keep<'a>(&mut self, sequences: impl IntoIterator<Item = &'a Sequence>) {
        let mut used = vec![false; self.slots as usize];
        for slot in sequences.into_iter().flat_map(|sequence| &sequence.0) {
            used[*slot as usize] = true;
        }
        self.free = (0..self.slots).filter(|slot| !used[*slot as usize]).rev().collect();
    }

    /// Gives a sequence a slot for one more token, and returns how many tokens it has then.
    ///
    /// # Errors
    /// It has `context` tokens already.
    pub(in crate::model) fn append(&mut self, sequence: &mut Sequence, context: usize) -> anyhow::Result<usize> {
        anyhow::ensure!(sequence.len() < context, "the text outgrows the model's context of {context} tokens");
        sequence.0.push(self.allocate());
        Ok(sequence.len())
    }

    fn allocate(&mut self) -> u32 {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        if (self.slots as usize).is_multiple_of(BLOCK) {
            for blocks in &mut self.layers {
                blocks.push(vec![0.0; BLOCK * 2 * self.width].into_boxed_slice());
            }
        }
        self.slots += 1;
        self.slots - 1
    }

    pub(in crate::model) fn store(&mut self, layer: usize, slot: u32, keys: &[f32], values: &[f32]) {
        let (block, place) = (slot as usize / BLOCK, slot as usize % BLOCK);
        let (turned, rows) = self.layers[layer][block].split_at_mut(self.width * BLOCK);
        for (column, key) in turned.as_chunks_mut::<BLOCK>().0.iter_mut().zip(keys) {
            column[place] = *key;
        }
        rows[place * self.width..][..self.width].copy_from_slice(values);
    }

    /// The turned keys, (size, BLOCK), and the values, (BLOCK, width) from the head's first number on, of the block of a
    /// slot.
    fn block(&self, layer: usize, slot: u32, first: usize, size: usize) -> (&[f32], &[f32]) {
        let (turned, rows) = self.layers[layer][slot as usize / BLOCK].split_at(self.width * BLOCK);
        (&turned[first * BLOCK..][..size * BLOCK], &rows[first..])
    }

    /// Attention of queries of one row to some slots, added to `out`, (queries, size). `scores` is memory for it.
    pub(in crate::model) fn attend(
        &self,
        layer: usize,
        slots: &[u32],
        queries: HeadQueries<'_>,
        scores: &mut Vec<f32>,
        out: &mut [f32],
    ) {
        let HeadQueries { numbers, size, first, scale } = queries;
        let count = slots.len();
        scores.clear();
        scores.resize(numbers.len() / size * count, 0.0);
        let mut products = vec![[0.0; BLOCK]; numbers.len() / size];
        let mut done = 0;
        for run in runs(slots) {
            let (keys, _) = self.block(layer, run[0], first, size);
            ops::block_products(numbers, keys, &mut products);
            for (scores, products) in scores.chunks_exact_mut(count).zip(&products) {
                for (score, slot) in scores[done..].iter_mut().zip(run) {
                    *score = products[*slot as usize % BLOCK];
                }
            }
            done += run.len();
        }
        ops::softmax(scores, count, scale);
        done = 0;
        for run in runs(slots) {
            let (_, values) = self.block(layer, run[0], first, size);
            for (weights, out) in scores.chunks_exact(count).zip(out.chunks_exact_mut(size)) {
                ops::add_weighted(out, &weights[done..][..run.len()], run, values, self.width);
            }
            done += run.len();
        }
    }

    /// The keys of a head for some slots, (slots, size), and its values, (size, slots).
    pub(in crate::model) fn of_head(
        &self,
        layer: usize,
        slots: &[u32],
        first: usize,
        size: usize,
    ) -> (Vec<f32>, Vec<f32>) {
        let (mut keys, mut values) = (Vec::with_capacity(slots.len() * size), Vec::with_capacity(slots.len()));
        for run in runs(slots) {
            let (turned, rows) = self.block(layer, run[0], first, size);
            let own = transposed(&turned.chunks_exact(BLOCK).collect::<Vec<_>>());
            for slot in run {
                let place = *slot as usize % BLOCK;
                keys.extend_from_slice(&own[place * size..][..size]);
                values.push(&rows[place * self.width..][..size]);
            }
        }
        (keys, transposed(&values))
    }
}

/// Slots that follow each other in one block.
fn runs(slots: &[u32]) -> impl Iterator<Item = &[u32]> {
    slots.chunk_by(|a, b| *a as usize / BLOCK == *b as usize / BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attention_is_that_of_the_definition_whichever_slots_a_sequence_has() {
        let (size, heads, group, layer) = (20, 2, 3, 1);
        let width = heads * size;
        let mut cache = KeyValueCache::new(2, width);
        let number = |n: usize, of: usize| ((n * 7919 + of * 104_729) % 1000) as f32 / 500.0 - 1.0;
        let rows = |of: usize| -> Vec<f32> { (0..width).map(|n| number(n, of)).collect() };
        let mut sequences = [Sequence::default(), Sequence::default()];
        for n in 0..2 * BLOCK + 5 {
            // Of one block, some slots belong to one sequence and some to the other.
            let sequence = &mut sequences[usize::from(n % 5 == 1)];
            cache.append(sequence, 100).unwrap();
            cache.store(layer, sequence.slots()[sequence.len() - 1], &rows(2 * n), &rows(2 * n + 1));
        }
        let queries: Vec<f32> = (0..group * size).map(|n| number(n, 77)).collect();
        for (slots, head) in sequences.iter().flat_map(|s| [s.slots(), &s.slots()[3..]]).zip([0, 1, 1, 0]) {
            let first = head * size;
            let mut found = vec![0.0; group * size];
            let asked = HeadQueries { numbers: &queries, size, first, scale: 0.3 };
            cache.attend(layer, slots, asked, &mut Vec::new(), &mut found);
            let (keys, values) = cache.of_head(layer, slots, first, size);
            for (query, found) in queries.chunks_exact(size).zip(found.chunks_exact(size)) {
                let of = |slot: &u32, n| f64::from(number(n, 2 * *slot as usize));
                let dot = |slot: &u32| (0..size).map(|n| f64::from(query[n]) * of(slot, first + n)).sum::<f64>();
                let weights: Vec<f64> = slots.iter().map(|slot| (0.3 * dot(slot)).exp()).collect();
                let total: f64 = weights.iter().sum();
                for (n, found) in found.iter().enumerate() {
                    let value = |slot: &u32| f64::from(number(first + n, 2 * *slot as usize + 1));
                    let right: f64 = slots.iter().zip(&weights).map(|(slot, weight)| value(slot) * weight).sum();
                    assert!((f64::from(*found) - right / total).abs() < 1e-5, "{found} {}", right / total);
                }
            }
            for (at, slot) in slots.iter().enumerate() {
                let of = 2 * *slot as usize;
                assert_eq!(keys[at * size..][..size], rows(of)[first..][..size]);
                assert_eq!(values[at], rows(of + 1)[first]);
                assert_eq!(values[(size - 1) * slots.len() + at], rows(of + 1)[first + size - 1]);
            }
        }
    }
}
