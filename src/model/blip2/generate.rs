//! Captions and answers: prompts in, texts out, many at once.

use super::decoder::Decoder;
use super::language::LanguageModel;
use super::opt::{OptDecoder, OptHypothesis};
use super::search::TokenSearch;
use super::t5::T5Decoder;
use super::{Blip2, Encoding};
use anyhow::Context;
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
        let inputs = requests.iter().map(|request| self.inputs(request)).collect::<anyhow::Result<Vec<_>>>()?;
        match &self.speaking()?.1 {
            LanguageModel::Opt(opt) => self.write(&mut OptDecoder::new(opt), inputs, options, cancel, on_text),
            LanguageModel::T5(t5) => self.write(&mut T5Decoder(t5), inputs, options, cancel, on_text),
        }
    }

    /// The next-token scores after a prompt, (vocabulary).
    ///
    /// # Errors
    /// As [`Blip2::generate`].
    pub fn next_scores(&self, request: GenerateRequest) -> anyhow::Result<Vec<f32>> {
        fn scores<D: Decoder>(mut decoder: D, inputs: Vec<f32>) -> anyhow::Result<Vec<f32>> {
            let mut text = decoder.begin(inputs);
            Ok(decoder.next_scores(&mut [&mut text], &|| true)?.unwrap_or_default())
        }
        let inputs = self.inputs(&request)?;
        match &self.speaking()?.1 {
            LanguageModel::Opt(opt) => scores(OptDecoder::new(opt), inputs),
            LanguageModel::T5(t5) => scores(T5Decoder(t5), inputs),
        }
    }

    /// What the language model reads of a request: the picture and the prompt, (rows, hidden).
    fn inputs(&self, request: &GenerateRequest) -> anyhow::Result<Vec<f32>> {
        let mut inputs = self.project(request.encoding)?;
        inputs.extend(self.embed(&self.tokens(request.prompt)?)?);
        Ok(inputs)
    }

    fn write<D: Decoder>(
        &self,
        decoder: &mut D,
        inputs: Vec<Vec<f32>>,
        options: &GenerateOptions,
        cancel: &AtomicBool,
        on_text: OnText,
    ) -> anyhow::Result<Vec<Generated>> {
        let texts = inputs.into_iter().map(|inputs| decoder.begin(inputs)).collect();
        Ok(self.complete(decoder, texts, options, cancel, on_text)?.into_iter().map(|(made, _)| made).collect())
    }

    /// Continues texts, which are prompts so far. Also returns what the decoder has read of each in the end.
    fn complete<D: Decoder>(
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
            let search = TokenSearch::new(options, &self.ends, most);
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

/// A chat about one picture.
pub struct Session<'m> {
    model: &'m Blip2,
    picture: Vec<f32>,
    memory: Memory<'m>,
}

/// What a language model remembers of a chat.
enum Memory<'m> {
    /// Every token that it has read, so that the next question costs only what is new.
    Opt(OptMemory<'m>),
    /// Nothing: its encoder reads a prompt as a whole.
    T5(T5Decoder<'m>),
}

struct OptMemory<'m> {
    decoder: OptDecoder<'m>,
    text: OptHypothesis,
    /// The tokens of the text that are in the cache, after the picture's.
    read: Vec<u32>,
}

impl<'m> Session<'m> {
    /// A chat about the picture of an encoding.
    ///
    /// # Errors
    /// The model's files are damaged, or the encoding is of another model.
    pub fn new(model: &'m Blip2, encoding: &Encoding) -> anyhow::Result<Self> {
        let memory = match &model.speaking()?.1 {
            LanguageModel::Opt(opt) => Memory::Opt(OptMemory {
                decoder: OptDecoder::new(opt),
                text: OptHypothesis::default(),
                read: Vec::new(),
            }),
            LanguageModel::T5(t5) => Memory::T5(T5Decoder(t5)),
        };
        Ok(Self { model, picture: model.project(encoding)?, memory })
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
        let (model, tokens) = (self.model, self.model.tokens(prompt)?);
        let mut on_text = |_: usize, text: &str| on_text(text);
        let made = match &mut self.memory {
            Memory::Opt(memory) => memory.answer(model, &self.picture, tokens, options, cancel, &mut on_text)?,
            Memory::T5(decoder) => {
                let inputs = [self.picture.clone(), model.embed(&tokens)?].concat();
                model.write(decoder, vec![inputs], options, cancel, &mut on_text)?.pop()
            }
        };
        made.context("no text was generated")
    }
}

impl OptMemory<'_> {
    fn answer(
        &mut self,
        model: &Blip2,
        picture: &[f32],
        tokens: Vec<u32>,
        options: &GenerateOptions,
        cancel: &AtomicBool,
        on_text: OnText,
    ) -> anyhow::Result<Option<Generated>> {
        let rows = picture.len() / self.decoder.opt.hidden_size();
        // At least one token must run, to get its scores.
        let known = self.read.iter().zip(&tokens[..tokens.len() - 1]).take_while(|(a, b)| a == b).count();
        let mut text = std::mem::take(&mut self.text);
        text.unread = if text.read.len() < rows {
            text.read.truncate(0);
            [picture.to_vec(), model.embed(&tokens)?].concat()
        } else {
            text.read.truncate(rows + known);
            model.embed(&tokens[known..])?
        };
        self.decoder.keep([&text]);
        let mut made = model.complete(&mut self.decoder, vec![text], options, cancel, on_text)?;
        let Some((made, text)) = made.pop() else { return Ok(None) };
        self.text = text.unwrap_or_default();
        self.read = tokens;
        if options.num_beams == 1 {
            self.read.extend(&made.tokens);
        } else {
            // After a beam search, only the prompt is known to be in the cache.
            self.text.read.truncate(rows + self.read.len());
        }
        self.read.truncate(self.text.read.len().saturating_sub(rows));
        Ok(Some(made))
    }
}
