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

/// The families that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// CLIP (Radford et al. 2021), also the checkpoints of OpenCLIP that `transformers` reads.
    Clip,
    /// OpenCLIP's own files (Cherti et al. 2023).
    OpenClip,
    /// SigLIP and SigLIP 2 of fixed resolution (Zhai et al. 2023, Tschannen et al. 2025).
    Siglip,
}

/// What is told to those whose model is none of these.
pub(super) const SUPPORTED: &str = "supported are CLIP, SigLIP and SigLIP 2 (config.json) and OpenCLIP's ViTs \
                                    (open_clip_config.json)";

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
    /// Whether no token sees those after it.
    pub(super) causal: bool,
    pub(super) pooling: TextPooling,
    /// Whether every text is as long as the context, so that what fills it counts.
    pub(super) padded: bool,
}

/// Which token's state is the embedding of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TextPooling {
    /// The first of these end tokens.
    End(Vec<u32>),
    /// The first one with the highest id.
    Highest,
    /// The last one.
    Last,
}

#[derive(Clone, Debug)]
pub(super) struct VisionConfig {
    pub(super) sizes: TowerSizes,
    pub(super) image_size: usize,
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

fn check_size(name: &str, size: usize) -> anyhow::Result<usize> {
    anyhow::ensure!((1..=MOST).contains(&size), "{name} holds a size that no model has");
    Ok(size)
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
        check_size(name, vision.patch_size)?;
        anyhow::ensure!((1..1 << 24).contains(&text.vocab_size), "{name} holds a vocabulary size that no model has");
        anyhow::ensure!(vision.patch_size <= vision.image_size, "{name}: the patches are larger than the picture");
        anyhow::ensure!(
            (3..=MOST_TOKENS).contains(&text.context),
            "{name}: a text of {} tokens is too short or too long",
            text.context
        );
        let patches = (vision.image_size / vision.patch_size).pow(2);
        anyhow::ensure!(patches <= MOST_TOKENS, "{name}: {patches} patches are more than are supported");
        Ok(self)
    }
}

/// Refuses what a section of a file sets but nothing obeys, by name; `known` is obeyed, or has no effect, and `defaults`
/// are what is done anyway.
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
