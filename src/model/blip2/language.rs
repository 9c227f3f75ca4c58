//! The language models that BLIP-2 writes with.

use super::config::{Blip2Config, Blip2Purpose};
use super::opt::Opt;
use super::t5::T5;
use crate::model::compute::weights::Weights;
use crate::model::generation::decoder::Decoder;

/// What makes texts of the rows that a language model reads.
pub(super) trait Begin: Decoder {
    /// A text that begins with inputs, (rows, hidden): the picture and the prompt.
    fn begin(&self, inputs: Vec<f32>) -> Self::Hypothesis;
}

/// One of them.
pub(super) enum LanguageModel {
    Opt(Box<Opt>),
    T5(Box<T5>),
}

impl LanguageModel {
    /// Loads the one that a model has.
    ///
    /// # Errors
    /// The weights do not fit the configuration, or the model has none.
    pub(super) fn load(weights: &Weights, config: &Blip2Config) -> anyhow::Result<Self> {
        match &config.purpose {
            Blip2Purpose::Opt(config) => Ok(Self::Opt(Box::new(Opt::load(weights, config)?))),
            Blip2Purpose::T5(config) => Ok(Self::T5(Box::new(T5::load(weights, config)?))),
            Blip2Purpose::Retrieval(_) => anyhow::bail!("{} has no language model", weights.name()),
        }
    }

    /// The embeddings of tokens, (tokens, hidden).
    ///
    /// # Errors
    /// A token is not in the vocabulary.
    pub(super) fn embed(&self, tokens: &[u32]) -> anyhow::Result<Vec<f32>> {
        match self {
            Self::Opt(opt) => opt.embed(tokens),
            Self::T5(t5) => t5.embed(tokens),
        }
    }

    /// Numbers in a token's embedding.
    pub(super) fn hidden_size(&self) -> usize {
        match self {
            Self::Opt(opt) => opt.hidden_size(),
            Self::T5(t5) => t5.hidden_size(),
        }
    }
}
