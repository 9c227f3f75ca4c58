//! The configuration of a vision-language model in the Hugging Face layout: config.json and generation_config.json.
//! Published files leave out what equals the defaults of `transformers`, which differ from one kind of model to
//! another.

use crate::model::compute::ops::Activation;
use crate::model::model_folder::CONFIG;
use crate::model::preprocess::read_json;
use anyhow::Context;
use serde_json::{Map, Value};
use std::path::Path;

/// No part of a real model is larger; a hostile file must not make the program allocate all memory.
const MOST: usize = 1 << 17;
/// Maximum number of tokens in a vocabulary.
const MOST_TOKENS: usize = 1 << 20;
/// Maximum number of patches of a picture: attention needs the square of it.
const MOST_PATCHES: usize = 1 << 14;
/// Longer texts are not read on a processor; models of today promise up to millions of tokens.
const LONGEST_CONTEXT: usize = 1 << 15;

/// A vision-language model.
#[derive(Clone, Debug)]
pub(super) struct VisionLanguageConfig {
    pub(super) family: ModelFamily,
    pub(super) vision: TowerConfig,
    pub(super) text: DecoderConfig,
    /// The token in whose places the picture stands.
    pub(super) image_token: u32,
}

/// What stands between the vision tower and the language model.
#[derive(Clone, Debug)]
pub(super) enum ModelFamily {
    /// Two layers. The tower's states are those after the layer with this number, counted from 1.
    Llava { layer: usize, activation: Activation },
    /// A gated layer and a perceiver.
    Idefics2(PerceiverConfig),
    /// Blocks of `scale` x `scale` states become one: Idefics 3, SmolVLM and SmolVLM2.
    Smol { scale: usize },
    /// Qwen3-VL: what the tower's layers with these numbers saw is added after the decoder's first layers.
    Qwen { deepstack: Vec<usize>, merge: usize, frames: usize },
}

/// A vision transformer.
#[derive(Clone, Debug)]
pub(super) struct TowerConfig {
    pub(super) hidden: usize,
    pub(super) intermediate: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    /// Edge of the square that it sees, in pixels; of the largest, if it sees pictures of several sizes.
    pub(super) image: usize,
    pub(super) patch: usize,
    pub(super) activation: Activation,
    pub(super) eps: f32,
    /// Edge of the table of positions.
    pub(super) side: usize,
}

/// Idefics 2's perceiver.
#[derive(Clone, Copy, Debug)]
pub(super) struct PerceiverConfig {
    pub(super) latents: usize,
    pub(super) depth: usize,
    pub(super) heads: usize,
    pub(super) head: usize,
    pub(super) key_value_heads: usize,
    pub(super) eps: f32,
}

/// A decoder of the LLaMA family.
#[derive(Clone, Debug)]
pub(super) struct DecoderConfig {
    pub(super) hidden: usize,
    pub(super) intermediate: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    pub(super) key_value_heads: usize,
    /// Numbers in a head.
    pub(super) head: usize,
    pub(super) vocabulary: usize,
    /// Maximum number of tokens in a text.
    pub(super) context: usize,
    pub(super) eps: f32,
    pub(super) rope: Rope,
    /// How many tokens a token sees, itself included.
    pub(super) window: Option<usize>,
    /// Whether queries, keys and values have biases, and what comes of attention.
    pub(super) attention_bias: bool,
    /// Whether the heads of queries and keys are normalised (Qwen3).
    pub(super) head_norms: bool,
    /// Whether the table of tokens is the last layer too.
    pub(super) tied: bool,
}

/// Rotary position embeddings.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rope {
    pub(super) theta: f64,
    pub(super) scaling: RopeScaling,
    /// How many of a head's angles tell the time, the row and the column; the rest tell the time.
    pub(super) sections: Option<[usize; 3]>,
}

/// How angles are changed for texts that are longer than those of the first training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum RopeScaling {
    None,
    /// All are divided by this.
    Linear(f64),
    /// Slow ones are divided by `factor`, fast ones are not (Llama 3.1).
    Llama3 {
        factor: f64,
        low: f64,
        high: f64,
        original: f64,
    },
}

/// Keys of a JSON object; one that is null counts as missing.
struct ConfigFields<'a> {
    map: &'a Map<String, Value>,
    name: &'a str,
}

impl<'a> ConfigFields<'a> {
    fn of(value: Option<&'a Value>, name: &'a str) -> Option<Self> {
        value.and_then(Value::as_object).map(|map| Self { map, name })
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn size(&self, key: &str, default: usize) -> anyhow::Result<usize> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let size = value.as_u64().and_then(|n| usize::try_from(n).ok());
        size.filter(|n| *n <= 1 << 40).with_context(|| format!("{}: {key} is not a size", self.name))
    }

    /// A size of a part of the model.
    fn part(&self, key: &str, default: usize) -> anyhow::Result<usize> {
        let size = self.size(key, default)?;
        anyhow::ensure!((1..=MOST).contains(&size), "{}: {key} = {size} is not a size that a model has", self.name);
        Ok(size)
    }

    fn number(&self, key: &str, default: f64) -> anyhow::Result<f64> {
        let Some(value) = self.get(key) else { return Ok(default) };
        let number = value.as_f64().filter(|n| n.is_finite() && *n > 0.0);
        number.with_context(|| format!("{}: {key} is not a positive number", self.name))
    }

    fn is(&self, key: &str, default: bool) -> bool {
        self.get(key).and_then(Value::as_bool).unwrap_or(default)
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.get(key).and_then(Value::as_str)
    }
}

/// Whether a model of this type is a vision-language model that is read here.
pub(super) fn is_vision_language(model_type: &str) -> bool {
    matches!(model_type, "llava" | "idefics2" | "idefics3" | "smolvlm" | "qwen3_vl")
}

impl VisionLanguageConfig {
    /// Reads a folder's config.json.
    ///
    /// # Errors
    /// It is damaged, or orders something that is not supported.
    pub(super) fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(CONFIG);
        Self::of(&read_json(&path)?, &path.display().to_string())
    }

    fn of(file: &Value, name: &str) -> anyhow::Result<Self> {
        let all =
            ConfigFields::of(Some(file), name).with_context(|| format!("{name} does not have the expected content"))?;
        let kind = all.text("model_type").unwrap_or_default();
        anyhow::ensure!(is_vision_language(kind), "{name} describes a {kind:?} model, which is not supported");
        let empty = Map::new();
        let part = |key| ConfigFields { map: all.get(key).and_then(Value::as_object).unwrap_or(&empty), name };
        let text = DecoderConfig::of(&all, &part("text_config"), kind)?;
        let vision = TowerConfig::of(&part("vision_config"), kind)?;
        let family = match kind {
            "llava" => {
                let projector = all.text("projector_hidden_act").unwrap_or("gelu");
                let strategy = all.text("vision_feature_select_strategy").unwrap_or("default");
                anyhow::ensure!(
                    strategy == "default" && all.is("multimodal_projector_bias", true),
                    "{name}: only the default choice of features and a projector with biases are supported"
                );
                let wanted = all.get("vision_feature_layer").map_or(Some(-2), Value::as_i64);
                let layers = i64::try_from(vision.layers)?;
                // Hidden states are counted from the input of the first layer on.
                let layer = wanted.map(|layer| if layer < 0 { layers + 1 + layer } else { layer });
                let layer = layer.filter(|layer| (0..=layers).contains(layer)).and_then(|n| usize::try_from(n).ok());
                ModelFamily::Llava {
                    layer: layer
                        .with_context(|| format!("{name}: the vision tower has no such vision_feature_layer"))?,
                    activation: Activation::named(projector)?,
                }
            }
            "idefics2" => {
                let perceiver = part("perceiver_config");
                let act = perceiver.text("hidden_act").unwrap_or("silu");
                anyhow::ensure!(act == "silu", "{name}: the activation {act:?} of the perceiver is not supported");
                // transformers 5 gives the perceiver the text's width and eps unless the width is its own default.
                let eps = if text.hidden == 4096 { 1e-6 } else { f64::from(text.eps) };
                ModelFamily::Idefics2(PerceiverConfig {
                    latents: perceiver.part("resampler_n_latents", 64)?,
                    depth: perceiver.part("resampler_depth", 3)?,
                    heads: perceiver.part("resampler_n_heads", 16)?,
                    head: perceiver.part("resampler_head_dim", 96)?,
                    key_value_heads: perceiver.part("num_key_value_heads", 4)?,
                    eps: perceiver.number("rms_norm_eps", eps)? as f32,
                })
                .checked(name)?
            }
            "qwen3_vl" => {
                let vision = part("vision_config");
                let indexes = vision.get("deepstack_visual_indexes").and_then(Value::as_array);
                let deepstack = match indexes {
                    None => vec![8, 16, 24],
                    Some(list) => list.iter().filter_map(|n| n.as_u64()).map(|n| n as usize).collect(),
                };
                ModelFamily::Qwen {
                    deepstack,
                    merge: vision.part("spatial_merge_size", 2)?,
                    frames: vision.part("temporal_patch_size", 2)?,
                }
            }
            _ => ModelFamily::Smol { scale: all.part("scale_factor", 2)? },
        };
        let side = vision.image / vision.patch;
        match &family {
            ModelFamily::Smol { scale } => anyhow::ensure!(
                side > 0 && side.is_multiple_of(*scale),
                "{name}: {side} patches cannot be joined {scale} by {scale}"
            ),
            ModelFamily::Qwen { deepstack, merge, .. } => anyhow::ensure!(
                *merge <= 8 && deepstack.len() <= text.layers && deepstack.iter().all(|layer| *layer < vision.layers),
                "{name}: deepstack_visual_indexes or spatial_merge_size do not fit the layers"
            ),
            ModelFamily::Llava { .. } | ModelFamily::Idefics2(_) => {}
        }
        let token = ["image_token_id", "image_token_index"].into_iter().find_map(|key| all.get(key));
        let token = match (token, kind) {
            (Some(token), _) => token.as_u64(),
            (None, "llava") => Some(32000),
            (None, "idefics2") => Some(32001),
            (None, "qwen3_vl") => Some(151_655),
            (None, _) => Some(128_257),
        };
        let image_token = token.and_then(|token| u32::try_from(token).ok());
        let image_token = image_token.with_context(|| format!("{name}: the image token is no token"))?;
        Ok(Self { family, vision, text, image_token })
    }

    /// The tokens that end a text.
    ///
    /// # Errors
    /// generation_config.json is damaged, or nothing says which tokens they are.
    pub(super) fn end_tokens(&self, folder: &Path, generation: Option<&Value>) -> anyhow::Result<Vec<u32>> {
        let file: Value = read_json(&folder.join(CONFIG))?;
        let places = [generation.unwrap_or(&Value::Null), &file["text_config"], &file];
        let list = |value: &Value| -> Vec<u32> {
            let many = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            many.iter().filter_map(Value::as_u64).filter_map(|id| u32::try_from(id).ok()).collect()
        };
        let found = places.into_iter().map(|place| list(&place["eos_token_id"])).find(|ends| !ends.is_empty());
        // The default of LLaMA and Mistral.
        Ok(found.unwrap_or_else(|| vec![2]))
    }
}

impl ModelFamily {
    fn checked(self, name: &str) -> anyhow::Result<Self> {
        if let Self::Idefics2(perceiver) = &self {
            anyhow::ensure!(
                perceiver.heads.is_multiple_of(perceiver.key_value_heads) && perceiver.latents <= MOST_PATCHES,
                "{name}: the perceiver's heads or latents do not fit"
            );
        }
        Ok(self)
    }
}

impl TowerConfig {
    fn of(fields: &ConfigFields, kind: &str) -> anyhow::Result<Self> {
        let name = fields.name;
        if kind == "llava" {
            let of = fields.text("model_type").unwrap_or("clip_vision_model");
            anyhow::ensure!(of == "clip_vision_model", "{name}: the vision tower {of:?} is not supported");
        }
        // LLaVA without a vision_config has CLIP's large one.
        let is_large = kind == "llava" && fields.map.is_empty();
        let (hidden, intermediate, layers, heads, image, patch) = match kind {
            "llava" if is_large => (1024, 4096, 24, 16, 336, 14),
            "llava" | "idefics2" => (768, 3072, 12, 12, 224, 32),
            "qwen3_vl" => (1152, 4304, 27, 16, 0, 16),
            _ => (1152, 3072, 12, 16, 224, 32),
        };
        let (act, eps) = if kind == "llava" { ("quick_gelu", 1e-5) } else { ("gelu_pytorch_tanh", 1e-6) };
        let positions = fields.size("num_position_embeddings", 2304)?;
        let image = if kind == "qwen3_vl" { image } else { fields.part("image_size", image)? };
        let patch = fields.part("patch_size", patch)?;
        let head_key = if kind == "qwen3_vl" { "num_heads" } else { "num_attention_heads" };
        let layer_key = if kind == "qwen3_vl" { "depth" } else { "num_hidden_layers" };
        let config = Self {
            hidden: fields.part("hidden_size", hidden)?,
            intermediate: fields.part("intermediate_size", intermediate)?,
            layers: fields.part(layer_key, layers)?,
            heads: fields.part(head_key, heads)?,
            image,
            patch,
            activation: Activation::named(fields.text("hidden_act").unwrap_or(act))?,
            eps: fields.number("layer_norm_eps", eps)? as f32,
            side: if kind == "qwen3_vl" { positions.isqrt() } else { image / patch },
        };
        anyhow::ensure!(
            config.hidden.is_multiple_of(config.heads)
                && config.side > 0
                && config.side * config.side <= MOST_PATCHES
                && (kind != "qwen3_vl" || (config.hidden / config.heads).is_multiple_of(4))
                && patch <= 256,
            "{name}: the sizes of the vision tower do not fit each other"
        );
        Ok(config)
    }
}

impl DecoderConfig {
    fn of(all: &ConfigFields, text: &ConfigFields, kind: &str) -> anyhow::Result<Self> {
        let name = text.name;
        let default = if kind == "idefics2" { "mistral" } else { "llama" };
        let model = text.text("model_type").unwrap_or(if kind == "qwen3_vl" { "qwen3_vl_text" } else { default });
        let act = text.text("hidden_act").unwrap_or("silu");
        anyhow::ensure!(
            matches!(model, "llama" | "mistral" | "qwen3_vl_text") && act == "silu" && !text.is("mlp_bias", false),
            "{name}: a language model of the kind {model:?} with the activation {act:?} is not supported"
        );
        anyhow::ensure!(
            !text.is("qk_layer_norms", false) && !text.is("rope_interleaved", false),
            "{name}: qk_layer_norms and rope_interleaved are not supported"
        );
        let (intermediate, key_value_heads, vocabulary, context, window) = match model {
            "mistral" => (14336, Some(8), 32000, 4096 * 32, Some(4096)),
            "llama" => (11008, None, 32000, 2048, None),
            _ => (22016, Some(32), 151_936, 128_000, None),
        };
        let hidden = text.part("hidden_size", 4096)?;
        let heads = text.part("num_attention_heads", 32)?;
        let head = text.part("head_dim", if model == "qwen3_vl_text" { 128 } else { hidden / heads })?;
        let config = Self {
            hidden,
            intermediate: text.part("intermediate_size", intermediate)?,
            layers: text.part("num_hidden_layers", 32)?,
            heads,
            key_value_heads: text.part("num_key_value_heads", key_value_heads.unwrap_or(heads))?,
            head,
            vocabulary: text.size("vocab_size", vocabulary)?,
            context: text.size("max_position_embeddings", context)?.min(LONGEST_CONTEXT),
            eps: text.number("rms_norm_eps", 1e-6)? as f32,
            rope: Rope::of(text, if model == "qwen3_vl_text" { 5e6 } else { 10000.0 })?,
            // A null means that there is none.
            window: match (model, text.map.get("sliding_window")) {
                ("mistral", Some(Value::Null)) => None,
                ("mistral", _) => Some(text.part("sliding_window", window.unwrap_or(MOST))?),
                _ => None,
            },
            attention_bias: text.is("attention_bias", false),
            head_norms: model == "qwen3_vl_text",
            tied: all.is("tie_word_embeddings", text.is("tie_word_embeddings", false)),
        };
        let fits = config.heads.is_multiple_of(config.key_value_heads)
            && config.head.is_multiple_of(2)
            && (1..=MOST_TOKENS).contains(&config.vocabulary)
            && config.context > 0
            && config.rope.sections.is_none_or(|sections| {
                sections.iter().try_fold(0_usize, |sum, n| sum.checked_add(*n)) == Some(config.head / 2)
            });
        anyhow::ensure!(fits, "{name}: the sizes of the language model do not fit each other");
        Ok(config)
    }
}

impl Rope {
    /// Older files have rope_theta and rope_scaling, those of transformers 5 rope_parameters.
    fn of(text: &ConfigFields, theta: f64) -> anyhow::Result<Self> {
        let name = text.name;
        let parameters = ConfigFields::of(text.get("rope_parameters"), name);
        let scaling = parameters.as_ref().map(|fields| ConfigFields { ..*fields });
        let scaling = scaling.or_else(|| ConfigFields::of(text.get("rope_scaling"), name));
        let theta = match &parameters {
            Some(fields) if fields.get("rope_theta").is_some() => fields.number("rope_theta", theta)?,
            _ => text.number("rope_theta", theta)?,
        };
        let kind = scaling.as_ref().and_then(|s| s.text("rope_type").or_else(|| s.text("type"))).unwrap_or("default");
        let missing = || format!("{name}: rope_scaling lacks a number");
        let number = |key: &str| {
            let fields = scaling.as_ref().filter(|fields| fields.get(key).is_some()).with_context(missing)?;
            fields.number(key, 1.0)
        };
        let sections = scaling.as_ref().and_then(|fields| fields.get("mrope_section")).and_then(Value::as_array);
        let sections = sections.map(|list| list.iter().map(|n| n.as_u64().unwrap_or(0) as usize).collect::<Vec<_>>());
        Ok(Self {
            theta,
            scaling: match kind {
                "default" | "mrope" => RopeScaling::None,
                "linear" => RopeScaling::Linear(number("factor")?),
                "llama3" => RopeScaling::Llama3 {
                    factor: number("factor")?,
                    low: number("low_freq_factor")?,
                    high: number("high_freq_factor")?,
                    original: number("original_max_position_embeddings")?,
                },
                other => anyhow::bail!("{name}: rope_scaling of the type {other:?} is not supported"),
            },
            sections: match sections {
                None => None,
                Some(list) => {
                    let three = <[usize; 3]>::try_from(list).ok();
                    Some(three.with_context(|| format!("{name}: mrope_section does not have three numbers"))?)
                }
            },
        })
    }

    /// The angle that each pair of a head's numbers turns by from one position to the next.
    pub(super) fn angles(&self, head: usize) -> Vec<f32> {
        let angle = |pair: usize| {
            let angle = 1.0 / self.theta.powf((2 * pair) as f64 / head as f64);
            match self.scaling {
                RopeScaling::None => angle,
                RopeScaling::Linear(factor) => angle / factor,
                RopeScaling::Llama3 { factor, low, high, original } => {
                    let wave = 2.0 * std::f64::consts::PI / angle;
                    let share = ((original / wave - low) / (high - low)).clamp(0.0, 1.0);
                    (1.0 - share) * angle / factor + share * angle
                }
            }
        };
        (0..head / 2).map(|pair| angle(pair) as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(file: &Value) -> anyhow::Result<VisionLanguageConfig> {
        VisionLanguageConfig::of(file, "file")
    }

    #[test]
    fn published_files_leave_out_what_equals_the_defaults() {
        let llava = read(&json!({"model_type": "llava", "text_config": {"max_position_embeddings": 4096,
            "rms_norm_eps": 1e-5, "vocab_size": 32064}, "vision_config": {"hidden_size": 1024, "image_size": 336,
            "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14}}))
        .unwrap();
        let text = &llava.text;
        assert_eq!(
            (text.hidden, text.intermediate, text.layers, text.key_value_heads, text.head),
            (4096, 11008, 32, 32, 128)
        );
        assert_eq!((llava.image_token, text.window, text.tied), (32000, None, false));
        assert!(matches!(llava.family, ModelFamily::Llava { layer: 23, .. }));
        let idefics = read(&json!({"model_type": "idefics2", "text_config": {"model_type": "mistral",
            "rms_norm_eps": 1e-5, "vocab_size": 32003}, "vision_config": {"hidden_size": 1152, "image_size": 980,
            "intermediate_size": 4304, "num_attention_heads": 16, "num_hidden_layers": 27, "patch_size": 14}}))
        .unwrap();
        assert_eq!((idefics.text.key_value_heads, idefics.text.window), (8, Some(4096)));
        let ModelFamily::Idefics2(perceiver) = idefics.family else { panic!() };
        assert_eq!((perceiver.latents, perceiver.heads, perceiver.head, perceiver.eps), (64, 16, 96, 1e-6));
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        for (file, word) in [
            (json!({"model_type": "fuyu"}), "fuyu"),
            (json!({"model_type": "llava", "text_config": {"model_type": "qwen2"}}), "qwen2"),
            (json!({"model_type": "llava", "vision_config": {"model_type": "siglip_vision_model"}}), "siglip"),
            (json!({"model_type": "llava", "vision_feature_layer": -40}), "vision_feature_layer"),
            (json!({"model_type": "smolvlm", "text_config": {"rope_scaling": {"rope_type": "yarn"}}}), "yarn"),
            (json!({"model_type": "smolvlm", "text_config": {"hidden_size": 1_u64 << 40}}), "hidden_size"),
            (json!({"model_type": "smolvlm", "text_config": {"num_key_value_heads": 5}}), "fit"),
            (json!({"model_type": "smolvlm", "scale_factor": 3}), "joined"),
            (json!({"model_type": "smolvlm", "vision_config": {"patch_size": 0}}), "patch_size"),
            (json!({"model_type": "qwen3_vl", "vision_config": {"deepstack_visual_indexes": [99]}}), "deepstack"),
            (json!([]), "content"),
        ] {
            let error = read(&file).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("file"), "{file}: {error}");
        }
    }

    /// Numbers of `transformers`' ROPE_INIT_FUNCTIONS.
    #[test]
    fn angles_are_scaled() {
        let rope = |scaling| Rope { theta: 500_000.0, scaling, sections: None };
        let plain = rope(RopeScaling::None).angles(128);
        let halved = rope(RopeScaling::Linear(2.0)).angles(128);
        assert!(plain.iter().zip(&halved).all(|(a, b)| (a / 2.0 - b).abs() < 1e-9));
        let scaled = rope(RopeScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 }).angles(128);
        // Fast ones stay, the slowest are divided.
        assert_eq!(scaled[0], plain[0]);
        assert!((scaled[63] - plain[63] / 8.0).abs() < 1e-12);
        assert!(scaled[30] < plain[30] && scaled[30] > plain[30] / 8.0 || scaled[35] < plain[35]);
    }
}
