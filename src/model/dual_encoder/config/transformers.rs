//! config.json of `transformers`: CLIPModel, ChineseCLIPModel and SiglipModel. What a file omits gets the defaults of
//! their classes (CLIPTextConfig, SiglipVisionConfig, ...), which published files rely on.

use super::{
    BertNaming, EncoderConfig, Family, SUPPORTED, TextConfig, TextLayers, TextPooling, TowerSizes, VisionConfig,
    VisionLayers, VisionPooling, VitConfig,
};
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
const CHINESE_CLIP_TEXT: Defaults = Defaults { hidden: 768, heads: 12, activation: "gelu", eps: 1e-12 };
/// The most tokens of a text that Chinese-CLIP was trained on; its table of positions is longer.
const CHINESE_CLIP_TOKENS: usize = 52;
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
        "chinese_clip" => Family::ChineseClip,
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
                    layers: TextLayers::Clip { causal: false },
                    pooling: TextPooling::Last,
                    padded: true,
                    fill: None,
                },
                vision: VisionConfig {
                    image_size: vision.image_size.unwrap_or(224),
                    layers: VisionLayers::Vit(VitConfig {
                        sizes: vision_sizes,
                        patch_size: vision.patch_size.unwrap_or(16),
                        pooling: VisionPooling::Attention,
                    }),
                },
                dim,
                preprocessing: None,
            }
        }
        _ => EncoderConfig {
            family,
            text: if family == Family::ChineseClip {
                TextConfig {
                    sizes: text.tower.sizes(name, &CHINESE_CLIP_TEXT)?,
                    vocab_size: text.vocab_size.unwrap_or(30_522),
                    context: text.max_position_embeddings.unwrap_or(512).min(CHINESE_CLIP_TOKENS),
                    layers: TextLayers::Bert(BertNaming::TextModel),
                    pooling: TextPooling::First,
                    padded: false,
                    fill: None,
                }
            } else {
                TextConfig {
                    sizes: text.tower.sizes(name, &CLIP_TEXT)?,
                    vocab_size: text.vocab_size.unwrap_or(49_408),
                    context: text.max_position_embeddings.unwrap_or(77),
                    layers: TextLayers::Clip { causal: true },
                    pooling: match text.eos_token_id {
                        // The first files say 2, which is no end token: then, and if a file says none, the highest id
                        // is it.
                        Some(EndTokens::One(2)) => TextPooling::Highest,
                        Some(EndTokens::One(id)) => TextPooling::End(vec![id]),
                        Some(EndTokens::Several(ids)) if !ids.is_empty() => TextPooling::End(ids),
                        _ => TextPooling::Highest,
                    },
                    padded: false,
                    fill: None,
                }
            },
            vision: VisionConfig {
                image_size: vision.image_size.unwrap_or(224),
                layers: VisionLayers::Vit(VitConfig {
                    sizes: vision.tower.sizes(name, &CLIP_VISION)?,
                    patch_size: vision.patch_size.unwrap_or(32),
                    pooling: VisionPooling::Class,
                }),
            },
            dim: file.projection_dim.unwrap_or(512),
            preprocessing: None,
        },
    })
}

/// The settings of DistilBertModel; the defaults are those of DistilBertConfig.
#[derive(Deserialize)]
struct DistilBertFile {
    #[serde(default)]
    model_type: String,
    dim: Option<usize>,
    hidden_dim: Option<usize>,
    n_layers: Option<usize>,
    n_heads: Option<usize>,
    vocab_size: Option<usize>,
    max_position_embeddings: Option<usize>,
    activation: Option<String>,
}

pub(super) fn read_distilbert(file: Value, length: Option<usize>, name: &str) -> anyhow::Result<TextConfig> {
    let file: DistilBertFile =
        serde_json::from_value(file).with_context(|| format!("{name} does not have the expected content"))?;
    anyhow::ensure!(
        file.model_type == "distilbert",
        "{name} describes a text model of the type {:?}, which is not supported; supported is DistilBERT, as in \
         sentence-transformers/clip-ViT-B-32-multilingual-v1",
        file.model_type
    );
    let activation =
        Activation::named(file.activation.as_deref().unwrap_or("gelu")).with_context(|| name.to_owned())?;
    let sizes = TowerSizes {
        hidden: file.dim.unwrap_or(768),
        intermediate: file.hidden_dim.unwrap_or(3072),
        layers: file.n_layers.unwrap_or(6),
        heads: file.n_heads.unwrap_or(12),
        activation,
        // No setting of the class.
        eps: 1e-12,
    };
    let positions = file.max_position_embeddings.unwrap_or(512);
    Ok(TextConfig {
        sizes: sizes.check(name)?,
        vocab_size: file.vocab_size.unwrap_or(30_522),
        context: length.unwrap_or(positions).min(positions),
        layers: TextLayers::Bert(BertNaming::DistilBert),
        pooling: TextPooling::Mean,
        padded: false,
        fill: None,
    })
}
