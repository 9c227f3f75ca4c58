//! What is found by words: scores of all photos, of which few are looked at.

use super::{TextPart, TextSearch, WRITTEN};
use crate::error::Result;
use rayon::prelude::*;

/// A photo that has words of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Match {
    pub(crate) id: i64,
    /// Its BM25 score.
    pub(crate) bm25: f32,
    /// The share of the words that its owner wrote on it, of those that any photo has.
    pub(crate) written: f32,
    /// How many photos have a higher score.
    pub(crate) rank: usize,
}

impl Match {
    /// Best first, ties by id.
    pub(crate) fn order(&self, other: &Self) -> std::cmp::Ordering {
        other.bm25.total_cmp(&self.bm25).then(self.id.cmp(&other.id))
    }
}

/// Sorts matches, best first, and ranks them. Many photos have the same words: equal scores share a rank.
pub(crate) fn ranked(matches: &mut [Match]) {
    matches.sort_unstable_by(Match::order);
    let (mut rank, mut last) = (0, f32::NAN);
    for (at, found) in matches.iter_mut().enumerate() {
        if found.bm25 != last {
            (rank, last) = (at, found.bm25);
        }
        found.rank = rank;
    }
}

/// The photos that have any of some words.
pub(crate) struct WordMatches<'a> {
    parts: Vec<PartScores<'a>>,
    /// Words that are asked for, and how many of them any photo has.
    asked: usize,
    known: usize,
}

/// By document.
struct PartScores<'a> {
    ids: &'a [i64],
    bm25: Vec<f32>,
    /// How many of the words a photo has, and how many of them its owner wrote; both end at 255.
    words: Vec<u8>,
    written: Vec<u8>,
}

impl PartScores<'_> {
    fn matched(&self) -> impl Iterator<Item = (usize, f32)> {
        self.bm25
            .iter()
            .enumerate()
            .filter(|(at, _)| self.words.get(*at).is_some_and(|words| *words > 0))
            .map(|(at, bm25)| (at, *bm25))
    }
}

impl<'a> WordMatches<'a> {
    pub(super) fn of(search: &'a TextSearch, terms: &[(usize, Vec<String>)]) -> Result<Self> {
        let of_part = |part: &'a TextPart| -> Result<(PartScores<'a>, Vec<bool>)> {
            let ids = part.ids();
            let count = if terms.is_empty() { 0 } else { ids.len() };
            let (mut bm25, mut words, mut written) = (vec![0.0; count], vec![0_u8; count], vec![0_u8; count]);
            let mut known = vec![false; terms.len()];
            // Added up word by word: tantivy adds in an order that depends on the segment, and so do the last bits.
            for ((_, spellings), known) in terms.iter().zip(&mut known) {
                search.each(part, search.word(spellings).as_ref(), &mut |document, score| {
                    let document = document as usize;
                    if let Some((bm25, words)) = bm25.get_mut(document).zip(words.get_mut(document)) {
                        *bm25 += score;
                        *words = words.saturating_add(1);
                        *known = true;
                    }
                })?;
                search.each(part, search.word_from(WRITTEN, spellings).as_ref(), &mut |document, _| {
                    if let Some(written) = written.get_mut(document as usize) {
                        *written = written.saturating_add(1);
                    }
                })?;
            }
            Ok((PartScores { ids, bm25, words, written }, known))
        };
        let found: Vec<(PartScores<'a>, Vec<bool>)> = search.parts.par_iter().map(of_part).collect::<Result<_>>()?;
        let is_known = |at: usize| found.iter().any(|(_, known)| known.get(at) == Some(&true));
        let known = (0..terms.len()).filter(|at| is_known(*at)).count();
        Ok(Self { parts: found.into_iter().map(|(part, _)| part).collect(), asked: terms.len(), known })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.matched().count()).sum()
    }

    /// Their ids.
    pub(crate) fn ids(&self) -> Vec<i64> {
        let of_part = |part: &PartScores<'a>| -> Vec<i64> {
            part.matched().filter_map(|(at, _)| part.ids.get(at).copied()).collect()
        };
        self.parts.iter().flat_map(of_part).collect()
    }

    /// Leaves only these photos (ids, ascending).
    pub(crate) fn retain(&mut self, allowed: &[i64]) {
        for part in &mut self.parts {
            let mut allowed = allowed.iter().peekable();
            for (id, words) in part.ids.iter().zip(&mut part.words) {
                while allowed.next_if(|other| *other < id).is_some() {}
                if allowed.peek() != Some(&id) {
                    *words = 0;
                }
            }
        }
    }

    /// The best `k` of them, best first.
    pub(crate) fn best(&self, k: usize) -> Vec<Match> {
        let mut found: Vec<Match> = Vec::new();
        for (n, part) in self.parts.iter().enumerate() {
            let mut scores: Vec<(f32, usize)> = part.matched().map(|(at, bm25)| (bm25, at)).collect();
            if k > 0 && scores.len() > k {
                scores.select_nth_unstable_by(k - 1, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                scores.truncate(k);
            }
            found.extend(scores.into_iter().filter_map(|(_, at)| self.found(n, at)));
        }
        ranked(&mut found);
        found.truncate(k);
        found
    }

    /// Those of these photos that match, with their ranks among all.
    pub(crate) fn of_photos(&self, ids: impl Iterator<Item = i64>) -> Vec<Match> {
        let mut found: Vec<Match> = ids.filter_map(|id| self.find(id)).collect();
        let mut scores: Vec<f32> = found.iter().map(|found| found.bm25).collect();
        scores.sort_unstable_by(f32::total_cmp);
        scores.dedup();
        // How many photos score higher than each of these, but not higher than the next.
        let mut higher = vec![0_usize; scores.len() + 1];
        for part in &self.parts {
            for (_, bm25) in part.matched() {
                higher[scores.partition_point(|score| *score < bm25)] += 1;
            }
        }
        for found in &mut found {
            let at = scores.partition_point(|score| *score <= found.bm25);
            found.rank = higher.get(at..).unwrap_or_default().iter().sum();
        }
        found
    }

    /// Whether a photo has each of the words; none has if only stop words are asked for.
    pub(crate) fn has_all(&self, id: i64) -> bool {
        let most = self.asked.min(usize::from(u8::MAX));
        let is_it =
            |part: &PartScores<'_>, at: usize| part.words.get(at).is_some_and(|words| usize::from(*words) == most);
        most > 0 && self.places(id).any(|(n, at)| self.parts.get(n).is_some_and(|part| is_it(part, at)))
    }

    fn find(&self, id: i64) -> Option<Match> {
        self.places(id).find_map(|(n, at)| self.found(n, at))
    }

    /// Where a photo may be: its part and its document. One that is out of date matches nothing.
    fn places(&self, id: i64) -> impl Iterator<Item = (usize, usize)> {
        self.parts.iter().enumerate().filter_map(move |(n, part)| Some((n, part.ids.binary_search(&id).ok()?)))
    }

    fn found(&self, part: usize, at: usize) -> Option<Match> {
        let part = self.parts.get(part)?;
        part.words.get(at).filter(|words| **words > 0)?;
        let written = f32::from(*part.written.get(at)?) / self.known as f32;
        Some(Match { id: *part.ids.get(at)?, bm25: *part.bm25.get(at)?, written, rank: 0 })
    }
}
