//! Captions and answers: prompts in, texts out, many at once.

use super::language::{Begin, LanguageModel};
use super::opt::{OptDecoder, OptHypothesis};
use super::t5::T5Decoder;
use super::{Blip2, Encoding};
use crate::model::generation::decoder::Decoder;
use crate::model::generation::{GenerateOptions, Generated, OnText};
use anyhow::Context;
use std::sync::atomic::AtomicBool;

/// A text to generate.
#[derive(Clone, Copy, Debug)]
pub struct GenerateRequest<'a> {
    /// The picture's encoding.
    pub encoding: &'a Encoding,
    /// What the model continues; empty for a caption.
    pub prompt: &'a str,
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
        fn scores<D: Begin>(mut decoder: D, inputs: Vec<f32>) -> anyhow::Result<Vec<f32>> {
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

    fn write<D: Begin>(
        &self,
        decoder: &mut D,
        inputs: Vec<Vec<f32>>,
        options: &GenerateOptions,
        cancel: &AtomicBool,
        on_text: OnText,
    ) -> anyhow::Result<Vec<Generated>> {
        let texts = inputs.into_iter().map(|inputs| decoder.begin(inputs)).collect();
        Ok(self
            .writer()
            .complete(decoder, texts, options, cancel, on_text)?
            .into_iter()
            .map(|(made, _)| made)
            .collect())
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
        let mut made = model.writer().complete(&mut self.decoder, vec![text], options, cancel, on_text)?;
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
