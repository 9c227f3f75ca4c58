//! The configuration of a CLIPModel in the Hugging Face layout: config.json.

use crate::model::compute::ops::Activation;
use crate::model::preprocess::read_json;
use anyhow::Context;
use serde::Deserialize;
use std::path::Path;

/// The limit for every size: no real model exceeds it, and a hostile file must not exhaust the memory.
const MOST: usize = 1 << 16;

/// The contents of config.json, checked.
#[derive(Clone, Debug)]
pub(super) struct ClipConfig {
    pub(super) text: ClipTextConfig,
    pub(super) vision: ClipVisionConfig,
    /// How many numbers an embedding has.
    pub(super) projection_dim: usize,
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
pub(super) struct ClipTextConfig {
    pub(super) sizes: TowerSizes,
    pub(super) vocab_size: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) eos_token_id: u32,
}

#[derive(Clone, Debug)]
pub(super) struct ClipVisionConfig {
    pub(super) sizes: TowerSizes,
    pub(super) image_size: usize,
    pub(super) patch_size: usize,
}

#[derive(Deserialize)]
struct ClipFile {
    #[serde(default)]
    model_type: String,
    text_config: TextFile,
    vision_config: VisionFile,
    #[serde(default = "default_projection")]
    projection_dim: usize,
}

/// The settings that both towers have; the file may omit each of them.
#[derive(Deserialize)]
struct TowerFile {
    hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    hidden_act: Option<String>,
    layer_norm_eps: Option<f32>,
}

#[derive(Deserialize)]
struct TextFile {
    #[serde(flatten)]
    tower: TowerFile,
    vocab_size: Option<usize>,
    max_position_embeddings: Option<usize>,
    eos_token_id: Option<u32>,
}

#[derive(Deserialize)]
struct VisionFile {
    #[serde(flatten)]
    tower: TowerFile,
    num_channels: Option<usize>,
    image_size: Option<usize>,
    patch_size: Option<usize>,
}

fn default_projection() -> usize {
    512
}

impl TowerFile {
    /// The sizes, each checked. `hidden` and `heads` are the defaults of `transformers` for what the file omits.
    fn sizes(&self, name: &str, hidden: usize, heads: usize) -> anyhow::Result<TowerSizes> {
        let sizes = TowerSizes {
            hidden: self.hidden_size.unwrap_or(hidden),
            intermediate: self.intermediate_size.unwrap_or(4 * hidden),
            layers: self.num_hidden_layers.unwrap_or(12),
            heads: self.num_attention_heads.unwrap_or(heads),
            activation: Activation::named(self.hidden_act.as_deref().unwrap_or("quick_gelu"))
                .with_context(|| name.to_owned())?,
            eps: self.layer_norm_eps.unwrap_or(1e-5),
        };
        for size in [sizes.hidden, sizes.intermediate, sizes.layers, sizes.heads] {
            check_size(name, size)?;
        }
        anyhow::ensure!(
            sizes.hidden.is_multiple_of(sizes.heads),
            "{name}: the attention heads do not divide the hidden size"
        );
        Ok(sizes)
    }
}

fn check_size(name: &str, size: usize) -> anyhow::Result<usize> {
    anyhow::ensure!((1..=MOST).contains(&size), "{name} holds a size that no model has");
    Ok(size)
}

impl ClipConfig {
    /// Reads and checks config.json. What the file omits gets the defaults of `transformers` (CLIPTextConfig,
    /// CLIPVisionConfig).
    ///
    /// # Errors
    /// The file cannot be read, describes another kind of model, or contains sizes that no model has.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let file: ClipFile = read_json(path)?;
        let name = &path.display().to_string();
        anyhow::ensure!(file.model_type == "clip", "{name} describes a {:?} model, not a CLIP model", file.model_type);
        let text = ClipTextConfig {
            sizes: file.text_config.tower.sizes(name, 512, 8)?,
            vocab_size: file.text_config.vocab_size.unwrap_or(49408),
            max_position_embeddings: check_size(name, file.text_config.max_position_embeddings.unwrap_or(77))?,
            eos_token_id: file.text_config.eos_token_id.unwrap_or(49407),
        };
        let vision = ClipVisionConfig {
            sizes: file.vision_config.tower.sizes(name, 768, 12)?,
            image_size: check_size(name, file.vision_config.image_size.unwrap_or(224))?,
            patch_size: check_size(name, file.vision_config.patch_size.unwrap_or(32))?,
        };
        let channels = file.vision_config.num_channels.unwrap_or(3);
        anyhow::ensure!((1..1 << 24).contains(&text.vocab_size), "{name} holds a vocabulary size that no model has");
        anyhow::ensure!(channels == 3, "{name}: {channels} colour channels instead of 3");
        anyhow::ensure!(vision.patch_size <= vision.image_size, "{name}: the patches are larger than the picture");
        anyhow::ensure!(text.max_position_embeddings > 2, "{name}: max_position_embeddings leaves no room for a text");
        Ok(Self { text, vision, projection_dim: check_size(name, file.projection_dim)? })
    }
}
