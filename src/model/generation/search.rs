//! From next-token scores to a text: greedy search, sampling (temperature, top-p), and beam search as in `transformers`
//! 5, so that the same model produces the same text.

use super::GenerateOptions;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Stands for the worst finished score as long as fewer hypotheses than beams are finished.
const NEVER: f32 = -1e9;

/// The search for one text. In each round it receives the next-token scores of each of its open hypotheses, and returns
/// the hypotheses of the next round.
pub(in crate::model) enum TokenSearch {
    /// One hypothesis.
    Single(Single),
    /// Several hypotheses, of which the best wins.
    Beam(Beam),
}

/// A hypothesis of the next round: the index of the one it continues, and the token added.
pub(in crate::model) type Continuation = (usize, u32);

impl TokenSearch {
    /// A search that ends at one of the tokens `ends`, or after `most` tokens, and never takes a `banned` one.
    pub(in crate::model) fn new(options: &GenerateOptions, ends: &[u32], banned: &[u32], most: usize) -> Self {
        let rules =
            Rules { ends: ends.to_vec(), banned: banned.to_vec(), least: options.min_new_tokens.min(most), most };
        if options.num_beams > 1 {
            Self::Beam(Beam {
                rules,
                beams: options.num_beams,
                running: vec![Hypothesis { tokens: Vec::new(), score: 0.0 }],
                finished: Vec::new(),
                improvable: true,
            })
        } else {
            let sampling = (options.temperature > 0.0).then(|| (options.clone(), StdRng::seed_from_u64(options.seed)));
            Self::Single(Single { rules, sampling: sampling.map(Box::new), tokens: Vec::new() })
        }
    }

    /// Runs one round. An empty result means that the search has ended.
    pub(in crate::model) fn advance(&mut self, scores: &mut [&mut [f32]]) -> Vec<Continuation> {
        match self {
            Self::Single(single) => single.advance(scores),
            Self::Beam(beam) => beam.advance(scores),
        }
    }

    /// The best tokens so far, without the end token. A beam search may still replace them until it ends.
    pub(in crate::model) fn tokens(&self) -> &[u32] {
        match self {
            Self::Single(single) => &single.tokens,
            Self::Beam(beam) => beam.best(),
        }
    }
}

struct Rules {
    ends: Vec<u32>,
    banned: Vec<u32>,
    least: usize,
    most: usize,
}

impl Rules {
    /// Rules out the banned tokens and, as long as the text is too short, the end tokens.
    fn restrict(&self, scores: &mut [f32], length: usize) {
        let ends = if length < self.least { self.ends.as_slice() } else { &[] };
        for token in self.banned.iter().chain(ends) {
            if let Some(score) = scores.get_mut(*token as usize) {
                *score = f32::NEG_INFINITY;
            }
        }
    }

    fn is_end(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }
}

/// Greedy search or sampling.
pub(in crate::model) struct Single {
    rules: Rules,
    sampling: Option<Box<(GenerateOptions, StdRng)>>,
    tokens: Vec<u32>,
}

impl Single {
    fn advance(&mut self, scores: &mut [&mut [f32]]) -> Vec<Continuation> {
        let Some(scores) = scores.first_mut() else { return Vec::new() };
        self.rules.restrict(scores, self.tokens.len());
        let token = match &mut self.sampling {
            None => best(scores),
            Some(sampling) => sample(scores, &sampling.0, &mut sampling.1),
        };
        if self.rules.is_end(token) || self.tokens.len() >= self.rules.most {
            return Vec::new();
        }
        self.tokens.push(token);
        if self.tokens.len() == self.rules.most { Vec::new() } else { vec![(0, token)] }
    }
}

/// The token with the largest score; of equal ones, the first.
fn best(scores: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, score) in scores.iter().enumerate() {
        if *score > best.1 {
            best = (token, *score);
        }
    }
    best.0 as u32
}

/// Draws one of the likeliest tokens whose probabilities add up to top-p (Holtzman et al. 2020), by its probability.
fn sample(scores: &[f32], options: &GenerateOptions, random: &mut StdRng) -> u32 {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |score: f32| (f64::from(score - largest) / f64::from(options.temperature)).exp();
    let mut likely: Vec<(u32, f64)> = scores.iter().enumerate().map(|(t, s)| (t as u32, weight(*s))).collect();
    likely.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let total: f64 = likely.iter().map(|(_, w)| w).sum();
    let mut kept = 0.0;
    let count = likely
        .iter()
        .position(|(_, w)| {
            kept += w;
            kept >= f64::from(options.top_p) * total
        })
        .map_or(likely.len(), |last| last + 1);
    likely.truncate(count);
    let mut left = random.random::<f64>() * likely.iter().map(|(_, w)| w).sum::<f64>();
    for (token, weight) in &likely {
        left -= weight;
        if left < 0.0 {
            return *token;
        }
    }
    likely.last().map_or(0, |(token, _)| *token)
}

#[derive(Clone)]
struct Hypothesis {
    /// Including the end token, if it has one.
    tokens: Vec<u32>,
    score: f32,
}

/// Beam search with length penalty 1 and `early_stopping = False`.
pub(in crate::model) struct Beam {
    rules: Rules,
    beams: usize,
    /// Best first; their scores are sums of log probabilities.
    running: Vec<Hypothesis>,
    /// Best first; their scores are means of log probabilities.
    finished: Vec<Hypothesis>,
    /// Whether a running hypothesis may still beat the worst finished one.
    improvable: bool,
}

impl Beam {
    fn advance(&mut self, scores: &mut [&mut [f32]]) -> Vec<Continuation> {
        let length = self.running.first().map_or(0, |h| h.tokens.len());
        // Enough candidates that one per beam continues even if all the others end.
        let kept = (1 + self.rules.ends.len()).max(2) * self.beams;
        let mut candidates: Vec<(usize, u32, f32)> = Vec::new();
        for (parent, (scores, hypothesis)) in scores.iter_mut().zip(&self.running).enumerate() {
            log_softmax(scores);
            self.rules.restrict(scores, length);
            let best = largest(scores, kept);
            candidates.extend(best.into_iter().map(|(token, score)| (parent, token, score + hypothesis.score)));
        }
        candidates.sort_by(|a, b| b.2.total_cmp(&a.2));
        candidates.truncate(kept);
        let last = length + 1 >= self.rules.most;
        let ends = |token: u32| last || self.rules.is_end(token);
        let of = |(parent, token, score): &(usize, u32, f32)| {
            let mut tokens = self.running[*parent].tokens.clone();
            tokens.push(*token);
            Hypothesis { tokens, score: *score }
        };
        // Only the best candidates may end: the others are there to continue in their place.
        if self.improvable {
            let ended = candidates.iter().take(self.beams).filter(|(_, token, _)| ends(*token)).map(of);
            let ended: Vec<Hypothesis> =
                ended.map(|h| Hypothesis { score: h.score / (length + 1) as f32, ..h }).collect();
            self.finished.extend(ended);
            self.finished.sort_by(|a, b| b.score.total_cmp(&a.score));
            self.finished.truncate(self.beams);
        }
        let going: Vec<_> = candidates.iter().filter(|(_, token, _)| !ends(*token)).take(self.beams).copied().collect();
        let running = going.iter().map(of).collect();
        self.running = running;
        let Some(leader) = self.running.first() else { return Vec::new() };
        let worst = if self.finished.len() < self.beams { NEVER } else { self.finished[self.beams - 1].score };
        self.improvable &= leader.score / (length + 1) as f32 > worst;
        if self.improvable { going.iter().map(|(parent, token, _)| (*parent, *token)).collect() } else { Vec::new() }
    }

    fn best(&self) -> &[u32] {
        let tokens = self.finished.first().or(self.running.first()).map_or(&[][..], |h| &h.tokens);
        match tokens.split_last() {
            Some((last, rest)) if self.rules.is_end(*last) => rest,
            _ => tokens,
        }
    }
}

fn log_softmax(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = scores.iter().map(|s| f64::from(s - largest).exp()).sum();
    let log = sum.ln() as f32;
    scores.iter_mut().for_each(|s| *s = *s - largest - log);
}

/// The `n` largest scores with their positions, best first; of equal ones, the first position comes first.
fn largest(scores: &[f32], n: usize) -> Vec<(u32, f32)> {
    let mut places: Vec<u32> = (0..scores.len() as u32).collect();
    let by_score = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then_with(|| a.cmp(b));
    if n < places.len() {
        places.select_nth_unstable_by(n, by_score);
        places.truncate(n);
    }
    places.sort_unstable_by(by_score);
    places.into_iter().map(|place| (place, scores[place as usize])).collect()
}
