//! The configuration of a CLIPModel in the Hugging Face layout: config.json.

use crate::model::preprocess::read_json;
use serde::Deserialize;
use std::path::Path;

/// No tower of a real model is larger; a hostile file must not make us reserve the whole memory.
const MOST: usize = 1 << 16;

#[derive(Deserialize, Clone, Debug)]
pub(super) struct ClipConfig {
    #[serde(default)]
    pub(super) model_type: String,
    pub(super) text_config: ClipTextConfig,
    pub(super) vision_config: ClipVisionConfig,
    #[serde(default = "default_projection")]
    pub(super) projection_dim: usize,
}

#[derive(Deserialize, Clone, Debug)]
#[serde(default)]
pub(super) struct ClipTextConfig {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) intermediate_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) hidden_act: String,
    pub(super) layer_norm_eps: f32,
    pub(super) eos_token_id: u32,
}

#[derive(Deserialize, Clone, Debug)]
#[serde(default)]
pub(super) struct ClipVisionConfig {
    pub(super) hidden_size: usize,
    pub(super) intermediate_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) num_channels: usize,
    pub(super) image_size: usize,
    pub(super) patch_size: usize,
    pub(super) hidden_act: String,
    pub(super) layer_norm_eps: f32,
}

fn default_projection() -> usize {
    512
}

// What `transformers` assumes where a file is silent (CLIPTextConfig, CLIPVisionConfig).
impl Default for ClipTextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 49408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: "quick_gelu".into(),
            layer_norm_eps: 1e-5,
            eos_token_id: 49407,
        }
    }
}

impl Default for ClipVisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            patch_size: 32,
            hidden_act: "quick_gelu".into(),
            layer_norm_eps: 1e-5,
        }
    }
}

impl ClipConfig {
    /// Reads and checks config.json.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let config: Self = read_json(path)?;
        let (text, vision) = (&config.text_config, &config.vision_config);
        let name = path.display();
        anyhow::ensure!(
            config.model_type == "clip",
            "{name} describes a {:?} model, not a clip one",
            config.model_type
        );
        let sizes = [
            config.projection_dim,
            text.hidden_size,
            text.intermediate_size,
            text.num_hidden_layers,
            text.num_attention_heads,
            text.max_position_embeddings,
            vision.hidden_size,
            vision.intermediate_size,
            vision.num_hidden_layers,
            vision.num_attention_heads,
            vision.image_size,
            vision.patch_size,
        ];
        anyhow::ensure!(sizes.iter().all(|n| (1..=MOST).contains(n)), "{name} holds a size that no model has");
        anyhow::ensure!((1..1 << 24).contains(&text.vocab_size), "{name} holds a vocabulary size that no model has");
        anyhow::ensure!(
            text.hidden_size % text.num_attention_heads == 0 && vision.hidden_size % vision.num_attention_heads == 0,
            "{name}: the attention heads do not divide the hidden size"
        );
        anyhow::ensure!(vision.num_channels == 3, "{name}: {} colour channels instead of 3", vision.num_channels);
        anyhow::ensure!(vision.patch_size <= vision.image_size, "{name}: patches larger than the picture");
        anyhow::ensure!(text.max_position_embeddings > 2, "{name}: no room for a text");
        Ok(config)
    }
}
