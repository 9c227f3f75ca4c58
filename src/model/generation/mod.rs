//! From a language model's scores to texts: the search for tokens, many texts at once, shown as they come.

pub(in crate::model) mod decoder;
pub(in crate::model) mod key_values;
mod search;

use super::compute::weights::Weights;
use super::tokenizer::Tokenizer;
use decoder::Decoder;
use search::TokenSearch;
use std::sync::atomic::{AtomicBool, Ordering};

/// How a text is generated.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateOptions {
    /// Hypotheses kept at a time; 1 means greedy search or sampling.
    pub num_beams: usize,
    /// Maximum number of new tokens.
    pub max_new_tokens: usize,
    /// Minimum number of new tokens.
    pub min_new_tokens: usize,
    /// 0 always takes the likeliest token; higher values are more random.
    pub temperature: f32,
    /// When sampling, only the likeliest tokens whose probabilities add up to this are drawn.
    pub top_p: f32,
    /// Seed of the random numbers: the same seed gives the same text.
    pub seed: u64,
}

impl GenerateOptions {
    /// Greedy search with at most this many tokens.
    #[must_use]
    pub fn greedy(max_new_tokens: usize) -> Self {
        Self { num_beams: 1, max_new_tokens, min_new_tokens: 0, temperature: 0.0, top_p: 1.0, seed: 0 }
    }
}

/// A generated text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The new tokens, without the end token.
    pub tokens: Vec<u32>,
    /// Their text, without white space around it.
    pub text: String,
    /// Why it ends there.
    pub finish: Finish,
}

/// Why a text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model ended it.
    End,
    /// It reached the maximum number of tokens, or filled the context.
    Length,
    /// It was cancelled.
    Cancelled,
}

/// Receives the position of a request and what was added to its text; for a beam search, only at the end.
pub(in crate::model) type OnText<'a> = &'a mut dyn FnMut(usize, &str);

/// A text that is being generated.
struct Draft<H> {
    search: TokenSearch,
    /// The open hypotheses; empty once the text is finished.
    open: Vec<H>,
    /// What the model has read of the text, once it is finished.
    done: Option<H>,
    most: usize,
    /// Bytes of the text that were already shown.
    shown: usize,
}

impl<H> Draft<H> {
    /// Shows what is new. A beam search may still replace its text until it ends; a character may still lack bytes.
    fn show(&mut self, writer: &Writer, ended: bool, on_text: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
        if !ended && matches!(self.search, TokenSearch::Beam(_)) {
            return Ok(());
        }
        let text = writer.text(self.search.tokens())?;
        let text = text.trim_start();
        // Bytes that turn out to be no characters change what they stand after.
        let shown = (self.shown..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        if let Some(new) = text.get(shown..).filter(|new| !new.is_empty() && (ended || !text.ends_with('\u{fffd}'))) {
            on_text(new);
            self.shown = text.len();
        }
        Ok(())
    }
}

/// Writes texts with a language model.
pub(in crate::model) struct Writer<'m> {
    /// Where the model's weights are, for messages.
    pub(in crate::model) weights: &'m Weights,
    pub(in crate::model) tokenizer: &'m Tokenizer,
    /// The tokens that end a text.
    pub(in crate::model) ends: &'m [u32],
    /// Tokens that are never written.
    pub(in crate::model) banned: &'m [u32],
}

impl Writer<'_> {
    /// The text of tokens, without control tokens.
    fn text(&self, tokens: &[u32]) -> anyhow::Result<String> {
        self.tokenizer.decode(tokens)
    }

    /// Refuses weights that give every token the same score, or none.
    fn check_scores(&self, scores: &[f32]) -> anyhow::Result<()> {
        let first = scores.first();
        if scores.iter().all(|score| score.is_finite()) && scores.iter().any(|score| Some(score) != first) {
            return Ok(());
        }
        Err(self.weights.damaged("the language model gives every token the same score, or none"))
    }

    /// Continues texts, which are prompts so far. Also returns what the decoder has read of each in the end.
    pub(in crate::model) fn complete<D: Decoder>(
        &self,
        decoder: &mut D,
        texts: Vec<D::Hypothesis>,
        options: &GenerateOptions,
        cancel: &AtomicBool,
        on_text: OnText,
    ) -> anyhow::Result<Vec<(Generated, Option<D::Hypothesis>)>> {
        let go_on = || !cancel.load(Ordering::Relaxed);
        let mut drafts = Vec::with_capacity(texts.len());
        for text in texts {
            let most = options.max_new_tokens.min(decoder.room(&text)?);
            let search = TokenSearch::new(options, self.ends, self.banned, most);
            drafts.push(Draft { search, open: vec![text], done: None, most, shown: 0 });
        }
        let mut cancelled = false;
        loop {
            let mut open: Vec<&mut D::Hypothesis> = drafts.iter_mut().flat_map(|draft| &mut draft.open).collect();
            if open.is_empty() {
                break;
            }
            let Some(mut scores) = decoder.next_scores(&mut open, &go_on)? else {
                cancelled = true;
                break;
            };
            scores.chunks_exact(decoder.vocabulary()).try_for_each(|row| self.check_scores(row))?;
            let mut rows = scores.chunks_exact_mut(decoder.vocabulary());
            for (n, draft) in drafts.iter_mut().enumerate().filter(|(_, draft)| !draft.open.is_empty()) {
                let mut own: Vec<&mut [f32]> = rows.by_ref().take(draft.open.len()).collect();
                let steps = draft.search.advance(&mut own);
                draft.show(self, steps.is_empty(), &mut |text| on_text(n, text))?;
                let before = std::mem::take(&mut draft.open);
                for (parent, token) in &steps {
                    let mut text = before[*parent].clone();
                    decoder.push(&mut text, *token)?;
                    draft.open.push(text);
                }
                if steps.is_empty() {
                    draft.done = before.into_iter().next();
                }
            }
            decoder.keep(drafts.iter().flat_map(|draft| draft.open.iter().chain(&draft.done)));
        }
        let texts = drafts.into_iter().map(|draft| {
            let tokens = draft.search.tokens().to_vec();
            let finish = match draft.open.first() {
                Some(_) if cancelled => Finish::Cancelled,
                _ if tokens.len() >= draft.most => Finish::Length,
                _ => Finish::End,
            };
            let text = self.text(&tokens)?.trim().to_owned();
            Ok((Generated { tokens, text, finish }, draft.open.into_iter().next().or(draft.done)))
        });
        texts.collect()
    }
}
