//! BLIP-2 (Li et al. 2023, arXiv 2301.12597): captions of pictures, answers to questions about them, and how well texts
//! match them.
//!
//! [`Blip2`] opens any `Blip2ForConditionalGeneration` with OPT or T5 in the Hugging Face layout, sharded or not, or
//! what [`super::quantize()`] made from it. A picture goes through the vision tower and the Q-Former once
//! ([`Blip2::encode`]); every caption and answer after that needs only the language model. [`Matcher`] opens a
//! `Blip2ForImageTextRetrieval`.

mod config;
mod files;
mod generate;
mod language;
mod matcher;
mod opt;
mod prompt;
mod qformer;
mod t5;
mod vision;

pub use super::generation::{Finish, GenerateOptions, Generated};
pub use files::{Blip2Use, use_of};
pub use generate::{GenerateRequest, Session};
pub use matcher::{MatchScore, Matcher, MatcherSight, ReadText};
pub use prompt::{PromptTurn, question_prompt};

pub(super) use files::{GENERATION, files_of, is_blip2};

use super::Pixels;
use super::compute::layers::Linear;
use super::compute::ops::Activation;
use super::compute::weights::Weights;
use super::generation::Writer;
use super::model_folder::{CONFIG, TOKENIZER};
use super::once::Once;
use super::preprocess::{self, Preprocessing};
use super::tokenizer::{Cutting, Tokenizer};
use super::weight_files;
use crate::photo::picture::RgbPicture;
use anyhow::Context;
use config::{Blip2Config, Blip2Purpose};
use language::LanguageModel;
use qformer::QFormer;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use t5::T5;
use vision::VisionTransformer;

/// Must change whenever the computed numbers change although the files do not.
pub(super) const VERSION: &str = "blip2 1";

/// The Q-Former's output for a picture: (query tokens, hidden), row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding(pub Vec<f32>);

/// Whether numbers that a model has computed are finite and not all zero.
fn tells_something(numbers: &[f32]) -> bool {
    numbers.iter().all(|number| number.is_finite()) && numbers.iter().any(|number| *number != 0.0)
}

/// A BLIP-2 that writes. Its weights are mapped; each part is loaded when it is first used.
pub struct Blip2 {
    fingerprint: String,
    config: Blip2Config,
    preprocessing: Preprocessing,
    tokenizer: Tokenizer,
    ends: Vec<u32>,
    weights: Weights,
    vision: Once<(VisionTransformer, QFormer)>,
    language: Once<(Linear, LanguageModel)>,
}

impl Blip2 {
    /// Opens the model in `folder`. The hash of its weights is cached below `cache`, if given.
    ///
    /// # Errors
    /// A file is missing, damaged or of another model, or the weights do not fit into memory.
    pub fn open(folder: &Path, cache: Option<&Path>) -> anyhow::Result<Self> {
        let config = Blip2Config::read(&folder.join(CONFIG))?;
        let preprocessing = Preprocessing::read(&preprocess::file_of(folder)?, config.vision.image_size)?;
        let names = files_of(folder)?;
        let weights = weight_files::map(folder, &names)?;
        let (needed, can_be_quantized) = match config.purpose {
            Blip2Purpose::Opt(_) => (weights.len(), true),
            Blip2Purpose::T5(_) => {
                let (copies, mapped) = T5::copied(&weights);
                (weights.len().saturating_sub(mapped) + copies, false)
            }
            Blip2Purpose::Retrieval(_) => anyhow::bail!(
                "{} describes a BLIP-2 that compares pictures with texts (Blip2ForImageTextRetrieval) and writes none; \
                 Salesforce/blip2-opt-2.7b writes",
                folder.join(CONFIG).display()
            ),
        };
        weight_files::check_memory(folder, weight_files::memory_needed(needed), can_be_quantized)?;
        Ok(Self {
            fingerprint: weight_files::fingerprint(folder, &names, VERSION, cache)?,
            ends: config.end_tokens(folder)?,
            tokenizer: Tokenizer::read(&folder.join(TOKENIZER), Cutting { max_length: None, special_as_text: true })?,
            config,
            preprocessing,
            weights,
            vision: Once::default(),
            language: Once::default(),
        })
    }

    /// Identifies the model: two models with equal fingerprints produce the same texts.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Edge in pixels of the square that the model sees.
    #[must_use]
    pub fn image_size(&self) -> u32 {
        self.preprocessing.crop
    }

    /// Numbers in an [`Encoding`].
    #[must_use]
    pub fn encoding_size(&self) -> usize {
        self.config.num_query_tokens * self.config.qformer.hidden_size
    }

    /// Maximum number of tokens in a prompt and what follows it together.
    #[must_use]
    pub fn context(&self) -> usize {
        self.config.context()
    }

    /// Resizes and normalises a picture.
    ///
    /// # Errors
    /// A picture without pixels.
    pub fn prepare(&self, picture: &RgbPicture) -> anyhow::Result<Pixels> {
        preprocess::prepare(picture, &self.preprocessing)
    }

    /// The vision tower's states of prepared pixels, (1 + patches, hidden); `None` if cancelled.
    ///
    /// # Errors
    /// The model's files are damaged.
    pub fn vision_states(&self, pixels: &Pixels, cancel: &AtomicBool) -> anyhow::Result<Option<Vec<f32>>> {
        let size = self.config.vision.image_size;
        anyhow::ensure!(pixels.0.len() == 3 * size * size, "{} numbers are not a picture of {size}", pixels.0.len());
        Ok(self.seeing()?.0.forward(&pixels.0, &|| !cancel.load(Ordering::Relaxed)))
    }

    /// Runs the Q-Former on the vision tower's states.
    ///
    /// # Errors
    /// The model's files are damaged.
    pub fn query(&self, states: &[f32]) -> anyhow::Result<Encoding> {
        let encoding = self.seeing()?.1.forward(states);
        if !tells_something(&encoding) {
            return Err(self.weights.damaged("the model sees NaN, infinity or nothing but zeros in a picture"));
        }
        Ok(Encoding(encoding))
    }

    /// Runs the vision tower and the Q-Former; `None` if cancelled.
    ///
    /// # Errors
    /// The model's files are damaged.
    pub fn encode(&self, pixels: &Pixels, cancel: &AtomicBool) -> anyhow::Result<Option<Encoding>> {
        self.vision_states(pixels, cancel)?.map(|states| self.query(&states)).transpose()
    }

    /// An encoding as the language model reads it, (query tokens, hidden).
    ///
    /// # Errors
    /// The model's files are damaged, or the encoding is of another model.
    pub fn project(&self, encoding: &Encoding) -> anyhow::Result<Vec<f32>> {
        anyhow::ensure!(encoding.0.len() == self.encoding_size(), "the encoding is from another model");
        let projected = self.speaking()?.0.forward(&encoding.0, Activation::None);
        if !tells_something(&projected) {
            return Err(self.weights.damaged("the projection produces NaN, infinity or nothing but zeros"));
        }
        Ok(projected)
    }

    /// The embeddings of tokens, (tokens, hidden).
    fn embed(&self, tokens: &[u32]) -> anyhow::Result<Vec<f32>> {
        let embedded = self.speaking()?.1.embed(tokens);
        embedded.with_context(|| format!("{} and {}", self.tokenizer.name(), self.weights.name()))
    }

    /// The tokens of a prompt, with the start or end token that the language model expects. Nothing in the text is
    /// treated as a control token.
    ///
    /// # Errors
    /// The tokenizer cannot read it.
    pub fn tokens(&self, prompt: &str) -> anyhow::Result<Vec<u32>> {
        let (tokens, _) = self.tokenizer.encode(prompt, true)?;
        Ok(self.config.prompt(tokens, prompt.is_empty()))
    }

    /// The token that a text begins with, if it is read alone.
    pub(super) fn first_token(&self, text: &str) -> anyhow::Result<Option<u32>> {
        Ok(self.tokenizer.encode(text, false)?.0.first().copied())
    }

    /// What writes with this model.
    fn writer(&self) -> Writer<'_> {
        Writer { weights: &self.weights, tokenizer: &self.tokenizer, ends: &self.ends, banned: &[] }
    }

    fn seeing(&self) -> anyhow::Result<&(VisionTransformer, QFormer)> {
        self.vision.get(|| {
            Ok((
                VisionTransformer::load(&self.weights, &self.config.vision)?,
                QFormer::load(&self.weights, &self.config)?,
            ))
        })
    }

    fn speaking(&self) -> anyhow::Result<&(Linear, LanguageModel)> {
        self.language.get(|| {
            let language = LanguageModel::load(&self.weights, &self.config)?;
            let (seen, hidden) = (self.config.qformer.hidden_size, language.hidden_size());
            Ok((Linear::load(&self.weights, "language_projection", seen, hidden, true)?, language))
        })
    }
}
