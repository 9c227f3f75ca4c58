//! What a dual encoder is made of, whichever file says so: `transformers`' config.json, or open_clip_config.json.

mod open_clip;
mod transformers;

use crate::model::compute::ops::Activation;
use crate::model::preprocess::{Preprocessing, read_json};
use anyhow::Context;
use serde_json::Value;
use std::path::Path;

/// The limit for every size: no real model exceeds it, and a hostile file must not exhaust the memory.
const MOST: usize = 1 << 16;
/// The most tokens of a text, and the most patches of a picture: attention needs the square of their number.
const MOST_TOKENS: usize = 4096;
/// Edge in pixels of what is a place to FastViT's first attention.
const FASTVIT_PATCH: usize = 32;

/// The families that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// CLIP (Radford et al. 2021), also the checkpoints of OpenCLIP that `transformers` reads.
    Clip,
    /// OpenCLIP's own files (Cherti et al. 2023).
    OpenClip,
    /// MobileCLIP and MobileCLIP2 (Vasu et al. 2024, Faghri et al. 2025), in OpenCLIP's files.
    MobileClip,
    /// SigLIP and SigLIP 2 of fixed resolution (Zhai et al. 2023, Tschannen et al. 2025).
    Siglip,
    /// Chinese-CLIP (Yang et al. 2022), whose texts go through BERT.
    ChineseClip,
}

/// What is told to those whose model is none of these.
pub(super) const SUPPORTED: &str = "supported are CLIP, Chinese-CLIP, SigLIP and SigLIP 2 (config.json), OpenCLIP's ViTs \
                                    and MobileCLIP (open_clip_config.json)";

/// A dual encoder's two towers, checked.
#[derive(Clone, Debug)]
pub(super) struct EncoderConfig {
    pub(super) family: Family,
    pub(super) text: TextConfig,
    pub(super) vision: VisionConfig,
    /// How many numbers an embedding has.
    pub(super) dim: usize,
    /// How open_clip_config.json wants pictures; `transformers` keeps that in a file of its own.
    pub(super) preprocessing: Option<Preprocessing>,
}

/// The sizes of a tower.
#[derive(Clone, Debug)]
pub(super) struct TowerSizes {
    pub(super) hidden: usize,
    pub(super) intermediate: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) activation: Activation,
    pub(super) eps: f32,
}

#[derive(Clone, Debug)]
pub(super) struct TextConfig {
    pub(super) sizes: TowerSizes,
    pub(super) vocab_size: usize,
    /// The most tokens of a text.
    pub(super) context: usize,
    pub(super) layers: TextLayers,
    pub(super) pooling: TextPooling,
    /// Whether the tokenizer makes every text as long as the context, so that what fills it counts.
    pub(super) padded: bool,
    /// What fills the context otherwise, where no mask hides it.
    pub(super) fill: Option<u32>,
}

/// The layers that a text goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextLayers {
    /// CLIP's; with `causal`, no token sees those after it.
    Clip { causal: bool },
    /// BERT's, under the names that a checkpoint has for them.
    Bert(BertNaming),
}

/// What the tensors of BERT's layers are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BertNaming {
    /// As in Chinese-CLIP.
    TextModel,
    /// As in DistilBERT (Sanh et al. 2019).
    DistilBert,
}

/// Which state is the embedding of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TextPooling {
    /// That of the first of these end tokens.
    End(Vec<u32>),
    /// That of the first token with the highest id.
    Highest,
    /// That of the last token.
    Last,
    /// That of the first.
    First,
    /// The mean of all.
    Mean,
}

#[derive(Clone, Debug)]
pub(super) struct VisionConfig {
    /// Edge of the square that it sees, in pixels.
    pub(super) image_size: usize,
    pub(super) layers: VisionLayers,
}

/// The layers that a picture goes through.
#[derive(Clone, Debug)]
pub(super) enum VisionLayers {
    Vit(VitConfig),
    /// MobileCLIP's, whose sizes only the weights tell.
    FastVit,
}

/// A vision transformer.
#[derive(Clone, Debug)]
pub(super) struct VitConfig {
    pub(super) sizes: TowerSizes,
    pub(super) patch_size: usize,
    pub(super) pooling: VisionPooling,
}

/// What becomes the embedding of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VisionPooling {
    /// The state of a class token that stands before the patches, projected.
    Class,
    /// What a learned query finds by attention to all patches, and an MLP.
    Attention,
}

impl TextConfig {
    fn check(&self, name: &str) -> anyhow::Result<()> {
        anyhow::ensure!((1..1 << 24).contains(&self.vocab_size), "{name} holds a vocabulary size that no model has");
        anyhow::ensure!(
            (3..=MOST_TOKENS).contains(&self.context),
            "{name}: a text of {} tokens is too short or too long",
            self.context
        );
        Ok(())
    }

    /// Refuses texts that are empty or longer than the context.
    pub(super) fn check_lengths(&self, texts: &[&[u32]]) -> anyhow::Result<()> {
        let unfit = texts.iter().map(|text| text.len()).find(|length| !(1..=self.context).contains(length));
        anyhow::ensure!(
            unfit.is_none(),
            "a text of {} tokens for a model that reads {}",
            unfit.unwrap_or(0),
            self.context
        );
        Ok(())
    }
}

impl TowerSizes {
    fn check(self, name: &str) -> anyhow::Result<Self> {
        for size in [self.hidden, self.intermediate, self.layers, self.heads] {
            check_size(name, size)?;
        }
        anyhow::ensure!(
            self.hidden.is_multiple_of(self.heads),
            "{name}: the attention heads do not divide the hidden size"
        );
        anyhow::ensure!(self.eps.is_finite() && self.eps > 0.0, "{name}: the epsilon of a norm is not positive");
        Ok(self)
    }
}

/// Refuses sizes that no model has.
pub(super) fn check_size(name: &str, size: usize) -> anyhow::Result<usize> {
    anyhow::ensure!((1..=MOST).contains(&size), "{name} holds a size that no model has");
    Ok(size)
}

/// Reads and checks the config.json of a DistilBERT that embeds texts of at most `length` tokens.
///
/// # Errors
/// As [`EncoderConfig::read`].
pub(super) fn read_distilbert(path: &Path, length: Option<usize>) -> anyhow::Result<TextConfig> {
    let name = &path.display().to_string();
    let config = transformers::read_distilbert(read_json(path)?, length, name)?;
    config.check(name)?;
    Ok(config)
}

impl EncoderConfig {
    /// Reads and checks config.json or open_clip_config.json.
    ///
    /// # Errors
    /// The file cannot be read, describes another kind of model or something that is not supported, or contains sizes
    /// that no model has.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = &path.display().to_string();
        let file: Value = read_json(path)?;
        let config = if path.ends_with(super::layout::OPEN_CLIP_CONFIG) {
            open_clip::read(file, name)?
        } else {
            transformers::read(file, name)?
        };
        config.check(name)
    }

    fn check(self, name: &str) -> anyhow::Result<Self> {
        let Self { text, vision, dim, .. } = &self;
        check_size(name, *dim)?;
        check_size(name, vision.image_size)?;
        text.check(name)?;
        let patch_size = match &vision.layers {
            VisionLayers::Vit(vit) => check_size(name, vit.patch_size)?,
            VisionLayers::FastVit => FASTVIT_PATCH,
        };
        anyhow::ensure!(patch_size <= vision.image_size, "{name}: the patches are larger than the picture");
        let patches = (vision.image_size / patch_size).pow(2);
        anyhow::ensure!(patches <= MOST_TOKENS, "{name}: {patches} patches are more than are supported");
        Ok(self)
    }
}

/// Refuses what a section of a file sets but nothing obeys, by name; `known` is obeyed, or has no effect, and
/// `defaults` are what is done anyway.
fn refuse_others(section: &Value, known: &[&str], defaults: &[(&str, &str)], name: &str) -> anyhow::Result<()> {
    let fields = section.as_object().with_context(|| format!("{name} does not have the expected content"))?;
    let off = |value: &Value| {
        matches!(value, Value::Null | Value::Bool(false)) || value.as_object().is_some_and(serde_json::Map::is_empty)
    };
    let is_default = |key: &String, value: &Value| {
        let is =
            |default: &str| value.as_str() == Some(default) || value.as_u64().is_some_and(|n| default.parse() == Ok(n));
        defaults.iter().any(|(known, default)| known == key && is(default))
    };
    let is_other =
        |(key, value): &(&String, &Value)| !known.contains(&key.as_str()) && !off(value) && !is_default(key, value);
    match fields.iter().find(is_other) {
        Some((key, value)) => anyhow::bail!("{name}: {key} = {value} is not supported"),
        None => Ok(()),
    }
}
