//! Texts as a tree of their tokens. Where no token sees those after it (the causal mask of CLIP's texts), a token's state
//! depends on what stands before it alone, so what texts begin with in common is computed once: the thousands of prompts
//! for tags differ in a word and what follows it.

use crate::model::compute::attention::{Heads, attend_to_some};
use rayon::prelude::*;
use std::collections::HashMap;

/// The tokens of some texts, each after the one that it follows.
#[derive(Debug, Default)]
pub(super) struct PrefixTree {
    /// The id of each token.
    pub(super) ids: Vec<u32>,
    /// How many tokens stand before each.
    pub(super) positions: Vec<u32>,
    /// Which token each follows; a first one follows itself.
    follows: Vec<u32>,
}

impl PrefixTree {
    /// The tree of these texts, and which token of it is the last of each.
    pub(super) fn of<'t>(texts: impl Iterator<Item = &'t [u32]>) -> (Self, Vec<u32>) {
        let mut tree = Self::default();
        let mut next = HashMap::<(Option<u32>, u32), u32>::new();
        let mut last_of = |text: &[u32]| {
            let mut last = None;
            for (position, id) in text.iter().enumerate() {
                last = Some(*next.entry((last, *id)).or_insert_with(|| tree.add(*id, position as u32, last)));
            }
            last.unwrap_or_default()
        };
        let lasts = texts.map(&mut last_of).collect();
        (tree, lasts)
    }

    fn add(&mut self, id: u32, position: u32, follows: Option<u32>) -> u32 {
        let new = self.ids.len() as u32;
        self.ids.push(id);
        self.positions.push(position);
        self.follows.push(follows.unwrap_or(new));
        new
    }

    /// A token and those before it, the nearest first.
    fn seen_by(&self, token: u32) -> impl Iterator<Item = u32> + Clone {
        std::iter::successors(Some(token), |token| {
            let before = self.follows[*token as usize];
            (before != *token).then_some(before)
        })
    }

    /// Attention of each token to itself and to those before it: queries, keys and values of the heads side by side,
    /// (tokens, 3 * numbers of the heads), give (tokens, numbers of the heads).
    pub(super) fn attend(&self, qkv: &[f32], Heads { count, size, scale }: Heads, out: &mut [f32]) {
        let all = count * size;
        out.par_chunks_exact_mut(all).enumerate().for_each_init(Vec::new, |scores, (token, out)| {
            let part = |token: usize, first: usize| &qkv[token * 3 * all + first..][..size];
            let seen: Vec<u32> = self.seen_by(token as u32).collect();
            for (head, out) in out.chunks_exact_mut(size).enumerate() {
                let (query, key, value) = (head * size, all + head * size, 2 * all + head * size);
                let seen = seen.iter().map(|seen| (part(*seen as usize, key), part(*seen as usize, value)));
                attend_to_some(part(token, query), seen, scale, scores, out);
            }
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_texts_begin_with_in_common_stands_once() {
        let texts: [&[u32]; 5] = [&[7, 1, 2, 9], &[7, 1, 3, 9], &[7, 1], &[1, 2], &[7, 1, 2, 9]];
        let (tree, lasts) = PrefixTree::of(texts.into_iter());
        assert_eq!(tree.ids, [7, 1, 2, 9, 3, 9, 1, 2]);
        assert_eq!(tree.positions, [0, 1, 2, 3, 2, 3, 0, 1]);
        assert_eq!(lasts, [3, 5, 1, 7, 3]);
        for (text, last) in texts.into_iter().zip(lasts) {
            let mut read: Vec<u32> = tree.seen_by(last).map(|token| tree.ids[token as usize]).collect();
            read.reverse();
            assert_eq!(read, text);
        }
    }

    /// Two texts that share their first token, against the formula.
    #[test]
    fn a_token_sees_itself_and_what_stands_before_it() {
        let (tree, lasts) = PrefixTree::of([&[5, 6, 8][..], &[5, 7]].into_iter());
        let (heads, size) = (2, 3);
        let (hidden, width) = (heads * size, 3 * heads * size);
        let numbers: Vec<f32> = (0..4 * width).map(|n| ((n * 7919 + 13) % 31) as f32 / 15.0 - 1.0).collect();
        let mut found = vec![0.0; 4 * hidden];
        tree.attend(&numbers, Heads { count: heads, size, scale: 1.0 }, &mut found);
        let found: Vec<&[f32]> = found.chunks_exact(hidden).collect();
        for (path, last) in [(vec![0, 1, 2], lasts[0]), (vec![0, 3], lasts[1])] {
            assert_eq!(path.last(), Some(&(last as usize)));
            for (at, found) in found[last as usize].iter().enumerate() {
                let first = at / size * size;
                let number = |row: usize, column: usize| f64::from(numbers[row * width + column]);
                let weights: Vec<f64> = path
                    .iter()
                    .map(|seen| (0..size).map(|n| number(last as usize, first + n) * number(*seen, hidden + first + n)))
                    .map(|products| products.sum::<f64>().exp())
                    .collect();
                let sum: f64 = path.iter().zip(&weights).map(|(seen, w)| w * number(*seen, 2 * hidden + at)).sum();
                let expected = sum / weights.iter().sum::<f64>();
                assert!((f64::from(*found) - expected).abs() < 1e-5);
            }
        }
    }
}
