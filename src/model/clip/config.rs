//! The configuration files of a CLIPModel in the Hugging Face layout: config.json and preprocessor_config.json.

use crate::model::ops::Activation;
use crate::model::resize::Filter;
use anyhow::Context;
use serde::Deserialize;
use std::path::Path;

/// No tower of a real model is larger; a hostile file must not make us reserve the whole memory.
const MOST: usize = 1 << 16;

#[derive(Deserialize, Clone, Debug)]
pub(super) struct Config {
    #[serde(default)]
    pub(super) model_type: String,
    pub(super) text_config: TextConfig,
    pub(super) vision_config: VisionConfig,
    #[serde(default = "default_projection")]
    pub(super) projection_dim: usize,
}

#[derive(Deserialize, Clone, Debug)]
#[serde(default)]
pub(super) struct TextConfig {
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
pub(super) struct VisionConfig {
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
impl Default for TextConfig {
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

impl Default for VisionConfig {
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

impl Config {
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

/// The activation of a name in config.json.
pub(super) fn activation(name: &str) -> anyhow::Result<Activation> {
    match name {
        "quick_gelu" => Ok(Activation::QuickGelu),
        "gelu" => Ok(Activation::Gelu),
        other => anyhow::bail!("the activation {other:?} is not known (quick_gelu and gelu are)"),
    }
}

/// How a picture becomes the model's input.
#[derive(Clone, Debug)]
pub(super) struct Preprocessing {
    /// Length of the shortest edge after resizing, in pixels; `None` squashes the picture to the crop's size.
    pub(super) shortest_edge: Option<u32>,
    /// Edge of the square that is cut out of the middle.
    pub(super) crop: u32,
    pub(super) filter: Filter,
    pub(super) rescale: f32,
    pub(super) mean: [f32; 3],
    pub(super) std: [f32; 3],
}

#[derive(Deserialize)]
struct PreprocessorFile {
    size: Option<Size>,
    crop_size: Option<Size>,
    #[serde(default = "yes")]
    do_center_crop: bool,
    resample: Option<u32>,
    rescale_factor: Option<f64>,
    image_mean: [f32; 3],
    image_std: [f32; 3],
}

fn yes() -> bool {
    true
}

/// Older files hold a number, newer ones a map.
#[derive(Deserialize)]
#[serde(untagged)]
enum Size {
    Edge(u32),
    Map { shortest_edge: Option<u32>, height: Option<u32>, width: Option<u32> },
}

impl Preprocessing {
    /// Reads preprocessor_config.json for a model that sees `image_size` pixels.
    pub(super) fn read(path: &Path, image_size: usize) -> anyhow::Result<Self> {
        let file: PreprocessorFile = read_json(path)?;
        let name = path.display();
        let image_size = u32::try_from(image_size)?;
        let crop = match (file.do_center_crop, file.crop_size) {
            (true, Some(Size::Edge(edge))) => edge,
            (true, Some(Size::Map { height: Some(height), width: Some(width), .. })) if height == width => height,
            (true, Some(Size::Map { .. })) => anyhow::bail!("{name}: the crop is not a square"),
            _ => image_size,
        };
        anyhow::ensure!(crop == image_size, "{name} crops to {crop} pixels, but the model sees {image_size}");
        let shortest_edge = match file.size {
            None => Some(image_size),
            Some(Size::Edge(edge) | Size::Map { shortest_edge: Some(edge), .. }) => Some(edge),
            Some(Size::Map { .. }) => None,
        };
        anyhow::ensure!(
            shortest_edge.is_none_or(|edge| (crop..=8192).contains(&edge)),
            "{name} resizes to {shortest_edge:?} pixels, which is less than the crop's {crop} or absurd"
        );
        let filter = match file.resample {
            None | Some(3) => Filter::Bicubic,
            Some(2) => Filter::Bilinear,
            Some(1) => Filter::Lanczos,
            Some(other) => anyhow::bail!("{name}: the filter {other} is not known (1, 2 and 3 are)"),
        };
        let (mean, std) = (file.image_mean, file.image_std);
        anyhow::ensure!(std.iter().all(|s| s.is_finite() && *s > 0.0), "{name}: a standard deviation that is none");
        Ok(Self { shortest_edge, crop, filter, rescale: file.rescale_factor.unwrap_or(1.0 / 255.0) as f32, mean, std })
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not what a CLIP model has there", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preprocessing(json: &str, image_size: usize) -> anyhow::Result<Preprocessing> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("preprocessor_config.json");
        std::fs::write(&path, json).unwrap();
        Preprocessing::read(&path, image_size)
    }

    #[test]
    fn old_and_new_preprocessor_files_are_read() {
        let rest = r#""image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5]"#;
        let old =
            preprocessing(&format!(r#"{{"size":224,"crop_size":224,"do_center_crop":true,"resample":3,{rest}}}"#), 224);
        assert_eq!(old.unwrap().shortest_edge, Some(224));
        let squash = format!(r#"{{"size":{{"height":256,"width":256}},"do_center_crop":false,"resample":2,{rest}}}"#);
        let squash = preprocessing(&squash, 256).unwrap();
        assert_eq!((squash.shortest_edge, squash.crop, squash.filter), (None, 256, Filter::Bilinear));
        assert!(preprocessing(&format!(r#"{{"size":224,"crop_size":224,{rest}}}"#), 336).is_err());
        assert!(preprocessing(r#"{"size":224,"image_mean":[0,0,0],"image_std":[1,0,1]}"#, 224).is_err());
    }
}
