//! Captions and answers: prompts in, texts out, many at once.

use super::language::{KeyValueCache, Sequence, gather};
use super::search::TokenSearch;
use super::{Blip2, Encoding};
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

/// A text to generate.
#[derive(Clone, Copy, Debug)]
pub struct GenerateRequest<'a> {
    /// The picture's encoding.
    pub encoding: &'a Encoding,
    /// What the model continues; empty for a caption.
    pub prompt: &'a str,
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
type OnText<'a> = &'a mut dyn FnMut(usize, &str);

/// A text that is being generated.
struct Draft {
    search: TokenSearch,
    /// The sequence of each open hypothesis; empty once the text is finished.
    open: Vec<Sequence>,
    /// The sequence of the text, once it is finished.
    done: Sequence,
    most: usize,
    /// Bytes of the text that were already shown.
    shown: usize,
}

impl Draft {
    /// Shows what is new. A beam search may still replace its text until it ends; a character may still lack bytes.
    fn show(&mut self, model: &Blip2, ended: bool, on_text: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
        if !ended && matches!(self.search, TokenSearch::Beam(_)) {
            return Ok(());
        }
        let text = model.text(self.search.tokens())?;
        let text = text.trim_start();
        if let Some(new) =
            text.get(self.shown..).filter(|new| !new.is_empty() && (ended || !text.ends_with('\u{fffd}')))
        {
            on_text(new);
            self.shown = text.len();
        }
        Ok(())
    }
}

impl Blip2 {
    /// Generates a text for each request, all of them together: the weights are read once for all.
    ///
    /// # Errors
    /// The model's files are damaged, or a prompt leaves no room for an answer.
    pub fn generate(
        &self,
        requests: &[GenerateRequest],
        options: &GenerateOptions,
        cancel: &AtomicBool,
        on_text: OnText,
    ) -> anyhow::Result<Vec<Generated>> {
        let mut cache = KeyValueCache::new(&self.speaking()?.1);
        let mut prompts = Vec::with_capacity(requests.len());
        for request in requests {
            let mut inputs = self.project(request.encoding)?;
            inputs.extend(self.embed(&self.tokens(request.prompt)?)?);
            prompts.push((Sequence::default(), inputs));
        }
        Ok(self.complete(&mut cache, prompts, options, cancel, on_text)?.into_iter().map(|(made, _)| made).collect())
    }

    /// The next-token scores after a prompt, (vocabulary).
    ///
    /// # Errors
    /// As [`Blip2::generate`].
    pub fn next_scores(&self, request: GenerateRequest) -> anyhow::Result<Vec<f32>> {
        let opt = &self.speaking()?.1;
        let mut inputs = self.project(request.encoding)?;
        inputs.extend(self.embed(&self.tokens(request.prompt)?)?);
        let (mut cache, mut sequence) = (KeyValueCache::new(opt), Sequence::default());
        let rows = inputs.len() / opt.hidden_size();
        let states = opt.forward(&mut cache, &mut [&mut sequence], &vec![0; rows], inputs, &|| true)?;
        Ok(opt.logits(&gather(&states.unwrap_or_default(), opt.hidden_size(), [rows - 1])?))
    }

    /// Continues prompts: each consists of the part that is already in the cache and of the inputs that are still to
    /// run. Also returns the part of each text that is in the cache at the end.
    fn complete(
        &self,
        cache: &mut KeyValueCache,
        prompts: Vec<(Sequence, Vec<f32>)>,
        options: &GenerateOptions,
        cancel: &AtomicBool,
        on_text: OnText,
    ) -> anyhow::Result<Vec<(Generated, Sequence)>> {
        let opt = &self.speaking()?.1;
        let size = opt.hidden_size();
        let go_on = || !cancel.load(Ordering::Relaxed);
        let (mut drafts, mut inputs, mut of): (Vec<Draft>, Vec<f32>, Vec<usize>) = Default::default();
        for (n, (sequence, rows)) in prompts.into_iter().enumerate() {
            let length = sequence.len() + rows.len() / size;
            anyhow::ensure!(
                length < opt.context(),
                "the prompt has {length} tokens with the picture's, but the model's context has only {}: shorten it",
                opt.context()
            );
            // The last token need not run through the model.
            let most = options.max_new_tokens.min(opt.context() - length + 1);
            of.extend(std::iter::repeat_n(n, rows.len() / size));
            inputs.extend(rows);
            let search = TokenSearch::new(options, &self.ends, most);
            drafts.push(Draft { search, open: vec![sequence], done: Sequence::default(), most, shown: 0 });
        }
        let mut cancelled = false;
        while !of.is_empty() {
            let mut sequences: Vec<&mut Sequence> = drafts.iter_mut().flat_map(|draft| &mut draft.open).collect();
            let before: Vec<usize> = sequences.iter().map(|sequence| sequence.len()).collect();
            let Some(states) = opt.forward(cache, &mut sequences, &of, std::mem::take(&mut inputs), &go_on)? else {
                sequences.iter_mut().zip(before).for_each(|(sequence, len)| sequence.truncate(len));
                cancelled = true;
                break;
            };
            // The last row of each sequence.
            let mut last = vec![0; sequences.len()];
            of.iter().enumerate().for_each(|(row, sequence)| last[*sequence] = row);
            let mut scores = opt.logits(&gather(&states, size, last)?);
            scores.chunks_exact(opt.vocabulary()).try_for_each(|row| self.check_scores(row))?;
            let mut rows = scores.chunks_exact_mut(opt.vocabulary());
            let mut tokens = Vec::new();
            for (n, draft) in drafts.iter_mut().enumerate().filter(|(_, draft)| !draft.open.is_empty()) {
                let mut own: Vec<&mut [f32]> = rows.by_ref().take(draft.open.len()).collect();
                let steps = draft.search.advance(&mut own);
                draft.show(self, steps.is_empty(), &mut |text| on_text(n, text))?;
                let open = std::mem::take(&mut draft.open);
                draft.open = steps.iter().map(|(parent, _)| open[*parent].clone()).collect();
                if steps.is_empty() {
                    draft.done = open.into_iter().next().unwrap_or_default();
                }
                tokens.extend(steps.iter().map(|(_, token)| *token));
            }
            of = (0..tokens.len()).collect();
            inputs = self.embed(&tokens)?;
            cache.keep(drafts.iter().flat_map(|draft| draft.open.iter().chain([&draft.done])));
        }
        let texts = drafts.into_iter().map(|draft| {
            let tokens = draft.search.tokens().to_vec();
            let finish = match draft.open.first() {
                Some(_) if cancelled => Finish::Cancelled,
                _ if tokens.len() >= draft.most => Finish::Length,
                _ => Finish::End,
            };
            let text = self.text(&tokens)?.trim().to_owned();
            Ok((Generated { tokens, text, finish }, draft.open.into_iter().next().unwrap_or(draft.done)))
        });
        texts.collect()
    }
}

/// A chat about one picture. What the language model has read stays in its cache, so that the next question costs only
/// what is new.
pub struct Session<'m> {
    model: &'m Blip2,
    picture: Vec<f32>,
    cache: KeyValueCache,
    sequence: Sequence,
    /// The tokens of the text that are in the cache, after the picture's.
    read: Vec<u32>,
}

impl<'m> Session<'m> {
    /// A chat about the picture of an encoding.
    ///
    /// # Errors
    /// The model's files are damaged, or the encoding is of another model.
    pub fn new(model: &'m Blip2, encoding: &Encoding) -> anyhow::Result<Self> {
        let cache = KeyValueCache::new(&model.speaking()?.1);
        Ok(Self { model, picture: model.project(encoding)?, cache, sequence: Sequence::default(), read: Vec::new() })
    }

    /// Answers a prompt, which usually begins as the last one did.
    ///
    /// # Errors
    /// As [`Blip2::generate`].
    pub fn answer(
        &mut self,
        prompt: &str,
        options: &GenerateOptions,
        cancel: &AtomicBool,
        on_text: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Generated> {
        let opt = &self.model.speaking()?.1;
        let tokens = self.model.tokens(prompt)?;
        let picture = self.picture.len() / opt.hidden_size();
        // At least one token must run, to get its scores.
        let known = self.read.iter().zip(&tokens[..tokens.len() - 1]).take_while(|(a, b)| a == b).count();
        let mut sequence = std::mem::take(&mut self.sequence);
        let inputs = if sequence.len() < picture {
            sequence.truncate(0);
            [self.picture.clone(), self.model.embed(&tokens)?].concat()
        } else {
            sequence.truncate(picture + known);
            self.model.embed(&tokens[known..])?
        };
        self.cache.keep([&sequence]);
        let prompts = vec![(sequence, inputs)];
        let mut made = self.model.complete(&mut self.cache, prompts, options, cancel, &mut |_, text| on_text(text))?;
        let Some((made, sequence)) = made.pop() else { anyhow::bail!("no text was generated") };
        self.sequence = sequence;
        self.read = tokens;
        if options.num_beams == 1 {
            self.read.extend(&made.tokens);
        } else {
            // After a beam search, only the prompt is known to be in the cache.
            self.sequence.truncate(picture + self.read.len());
        }
        self.read.truncate(self.sequence.len().saturating_sub(picture));
        Ok(made)
    }
}
