//! BLIP-2 with OPT (Li et al. 2023, arXiv 2301.12597): captions of pictures, and answers to questions about them.
//!
//! Any `Blip2ForConditionalGeneration` in the Hugging Face layout, sharded or not, or one that [`quantize()`] made of it.
//! A picture goes through the vision tower and the Q-Former once ([`Blip2::encode`]); every caption and answer after that
//! costs the language model only.

mod config;
mod files;
mod generate;
mod language;
mod layers;
mod prompt;
mod qformer;
mod quantize;
mod search;
mod vision;

pub use generate::{Finish, GenerateOptions, GenerateRequest, Generated, Session};
pub use prompt::{PromptTurn, question_prompt};
pub use quantize::{Bits, Manifest, quantize};

pub(super) use files::{GENERATION, INDEX, SMALL_FILES, WHOLE, files_of, is_blip2, shards};

use super::Pixels;
use super::compute::ops::Activation;
use super::compute::weights::Weights;
use super::once::Once;
use super::preprocess::{self, Preprocessing};
use super::tokenizer::{Cutting, Tokenizer};
use crate::photo::picture::RgbPicture;
use config::Blip2Config;
use language::Opt;
use layers::Linear;
use qformer::QFormer;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use vision::VisionTransformer;

/// Changes with everything that changes the numbers but not the files.
const VERSION: &str = "blip2 1";

/// What the Q-Former sees in a picture: (query tokens, hidden), row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoding(pub Vec<f32>);

/// A BLIP-2 model. Its weights are mapped; each part is looked up when it is first used.
pub struct Blip2 {
    fingerprint: String,
    config: Blip2Config,
    preprocessing: Preprocessing,
    tokenizer: Tokenizer,
    ends: Vec<u32>,
    weights: Weights,
    vision: Once<(VisionTransformer, QFormer)>,
    language: Once<(Linear, Opt)>,
}

impl Blip2 {
    /// Opens the model in `folder`. The hash of its weights is kept below `cache`, if there is one.
    ///
    /// # Errors
    /// A file is missing, damaged or of another model, or the weights do not fit into memory.
    pub fn open(folder: &Path, cache: Option<&Path>) -> anyhow::Result<Self> {
        let config = Blip2Config::read(&folder.join("config.json"))?;
        let preprocessing =
            Preprocessing::read(&folder.join("preprocessor_config.json"), config.vision_config.image_size)?;
        let weights = files::map(folder)?;
        files::check_memory(folder, files::memory_needed(weights.len()))?;
        Ok(Self {
            fingerprint: files::fingerprint(folder, VERSION, cache)?,
            ends: config.end_tokens(folder)?,
            tokenizer: Tokenizer::read(
                &folder.join("tokenizer.json"),
                Cutting { max_length: None, special_as_text: true },
            )?,
            config,
            preprocessing,
            weights,
            vision: Once::default(),
            language: Once::default(),
        })
    }

    /// Two models with equal fingerprints say the same.
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
        self.config.num_query_tokens * self.config.qformer_config.hidden_size
    }

    /// Tokens that a prompt and what follows it may have together.
    #[must_use]
    pub fn context(&self) -> usize {
        self.config.text_config.max_position_embeddings - self.config.num_query_tokens
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
        let size = self.config.vision_config.image_size;
        anyhow::ensure!(pixels.0.len() == 3 * size * size, "{} numbers are no picture of {size}", pixels.0.len());
        Ok(self.seeing()?.0.forward(&pixels.0, &|| !cancel.load(Ordering::Relaxed)))
    }

    /// What the Q-Former makes of the vision tower's states.
    ///
    /// # Errors
    /// The model's files are damaged.
    pub fn query(&self, states: &[f32]) -> anyhow::Result<Encoding> {
        Ok(Encoding(self.seeing()?.1.forward(states)))
    }

    /// Both in one; `None` if cancelled.
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
        anyhow::ensure!(encoding.0.len() == self.encoding_size(), "an encoding of another model");
        Ok(self.speaking()?.0.forward(&encoding.0, Activation::None))
    }

    /// The tokens of a prompt, the start token first. Nothing in the text is taken for a control token.
    ///
    /// # Errors
    /// The tokenizer cannot read it.
    pub fn tokens(&self, prompt: &str) -> anyhow::Result<Vec<u32>> {
        let start = self.config.text_config.bos_token_id;
        let (mut tokens, _) = self.tokenizer.encode(prompt)?;
        if tokens.first() != Some(&start) {
            tokens.insert(0, start);
        }
        Ok(tokens)
    }

    /// The text of tokens, without control tokens.
    fn text(&self, tokens: &[u32]) -> anyhow::Result<String> {
        self.tokenizer.decode(tokens)
    }

    fn seeing(&self) -> anyhow::Result<&(VisionTransformer, QFormer)> {
        self.vision.get(|| {
            Ok((
                VisionTransformer::load(&self.weights, &self.config.vision_config)?,
                QFormer::load(&self.weights, &self.config)?,
            ))
        })
    }

    fn speaking(&self) -> anyhow::Result<&(Linear, Opt)> {
        self.language.get(|| {
            let opt = Opt::load(&self.weights, &self.config.text_config)?;
            let seen = self.config.qformer_config.hidden_size;
            Ok((Linear::load(&self.weights, "language_projection", seen, opt.hidden_size(), true)?, opt))
        })
    }
}
