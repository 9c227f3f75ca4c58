//! config.json of `transformers`: CLIPModel and SiglipModel. What a file omits gets the defaults of their classes
//! (CLIPTextConfig, CLIPVisionConfig, SiglipTextConfig, SiglipVisionConfig), which published files rely on.

use super::{EncoderConfig, Family, SUPPORTED, TextConfig, TextPooling, TowerSizes, VisionConfig, VisionPooling};
use crate::model::compute::ops::Activation;
use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct TransformersFile {
    #[serde(default)]
    text_config: Option<TextFile>,
    #[serde(default)]
    vision_config: Option<VisionFile>,
    projection_dim: Option<usize>,
}

/// The settings that both towers have; the file may omit each of them.
#[derive(Default, Deserialize)]
struct TowerFile {
    hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    hidden_act: Option<String>,
    layer_norm_eps: Option<f32>,
}

#[derive(Default, Deserialize)]
struct TextFile {
    #[serde(flatten)]
    tower: TowerFile,
    vocab_size: Option<usize>,
    max_position_embeddings: Option<usize>,
    eos_token_id: Option<EndTokens>,
    projection_size: Option<usize>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum EndTokens {
    One(u32),
    Several(Vec<u32>),
}

#[derive(Default, Deserialize)]
struct VisionFile {
    #[serde(flatten)]
    tower: TowerFile,
    num_channels: Option<usize>,
    image_size: Option<usize>,
    patch_size: Option<usize>,
    vision_use_head: Option<bool>,
}

/// The defaults of a class.
struct Defaults {
    hidden: usize,
    heads: usize,
    activation: &'static str,
    eps: f32,
}

const CLIP_TEXT: Defaults = Defaults { hidden: 512, heads: 8, activation: "quick_gelu", eps: 1e-5 };
const CLIP_VISION: Defaults = Defaults { hidden: 768, heads: 12, ..CLIP_TEXT };
const SIGLIP: Defaults = Defaults { hidden: 768, heads: 12, activation: "gelu_pytorch_tanh", eps: 1e-6 };

impl TowerFile {
    fn sizes(&self, name: &str, defaults: &Defaults) -> anyhow::Result<TowerSizes> {
        let sizes = TowerSizes {
            hidden: self.hidden_size.unwrap_or(defaults.hidden),
            intermediate: self.intermediate_size.unwrap_or(4 * defaults.hidden),
            layers: self.num_hidden_layers.unwrap_or(12),
            heads: self.num_attention_heads.unwrap_or(defaults.heads),
            activation: Activation::named(self.hidden_act.as_deref().unwrap_or(defaults.activation))
                .with_context(|| name.to_owned())?,
            eps: self.layer_norm_eps.unwrap_or(defaults.eps),
        };
        sizes.check(name)
    }
}

/// The sections of a file as `transformers` takes them: `text_config_dict`, where it is set, in place of `text_config`.
fn with_dicts(mut file: Value) -> Value {
    for section in ["text_config", "vision_config"] {
        if let Some(dict) = file.get(format!("{section}_dict")).filter(|dict| dict.is_object()).cloned() {
            file[section] = dict;
        }
    }
    file
}

pub(super) fn read(file: Value, name: &str) -> anyhow::Result<EncoderConfig> {
    let kind = file.get("model_type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let family = match kind.as_str() {
        "clip" => Family::Clip,
        "siglip" => Family::Siglip,
        "siglip2" => anyhow::bail!(
            "{name} describes a SigLIP 2 of variable resolution (NaFlex), which is not supported: take one with a \
             resolution in its name, such as google/siglip2-base-patch16-256; {SUPPORTED}"
        ),
        other => anyhow::bail!("{name} describes a model of the type {other:?}, which is not supported; {SUPPORTED}"),
    };
    let file = with_dicts(file);
    let file: TransformersFile =
        serde_json::from_value(file).with_context(|| format!("{name} does not have the expected content"))?;
    let (text, vision) = (file.text_config.unwrap_or_default(), file.vision_config.unwrap_or_default());
    let channels = vision.num_channels.unwrap_or(3);
    anyhow::ensure!(channels == 3, "{name}: {channels} colour channels instead of 3");
    anyhow::ensure!(vision.vision_use_head != Some(false), "{name}: vision_use_head = false is not supported");
    Ok(match family {
        Family::Siglip => {
            let sizes = text.tower.sizes(name, &SIGLIP)?;
            let vision_sizes = vision.tower.sizes(name, &SIGLIP)?;
            let dim = vision_sizes.hidden;
            let of_text = text.projection_size.unwrap_or(sizes.hidden);
            anyhow::ensure!(of_text == dim, "{name}: texts have {of_text} numbers, and pictures {dim}");
            EncoderConfig {
                family,
                text: TextConfig {
                    sizes,
                    vocab_size: text.vocab_size.unwrap_or(32_000),
                    context: text.max_position_embeddings.unwrap_or(64),
                    causal: false,
                    pooling: TextPooling::Last,
                    padded: true,
                },
                vision: VisionConfig {
                    sizes: vision_sizes,
                    image_size: vision.image_size.unwrap_or(224),
                    patch_size: vision.patch_size.unwrap_or(16),
                    pooling: VisionPooling::Attention,
                },
                dim,
                preprocessing: None,
            }
        }
        _ => EncoderConfig {
            family,
            text: TextConfig {
                sizes: text.tower.sizes(name, &CLIP_TEXT)?,
                vocab_size: text.vocab_size.unwrap_or(49_408),
                context: text.max_position_embeddings.unwrap_or(77),
                causal: true,
                pooling: match text.eos_token_id {
                    // The first files say 2, which is no end token: then, and if a file says none, the highest id is it.
                    Some(EndTokens::One(2)) => TextPooling::Highest,
                    Some(EndTokens::One(id)) => TextPooling::End(vec![id]),
                    Some(EndTokens::Several(ids)) if !ids.is_empty() => TextPooling::End(ids),
                    _ => TextPooling::Highest,
                },
                padded: false,
            },
            vision: VisionConfig {
                sizes: vision.tower.sizes(name, &CLIP_VISION)?,
                image_size: vision.image_size.unwrap_or(224),
                patch_size: vision.patch_size.unwrap_or(32),
                pooling: VisionPooling::Class,
            },
            dim: file.projection_dim.unwrap_or(512),
            preprocessing: None,
        },
    })
}
