//! open_clip_config.json: the ViTs of OpenCLIP, and MobileCLIP. What a file omits gets the defaults of `open_clip`
//! (CLIPVisionCfg, CLIPTextCfg, PreprocessCfg); what is set and not supported is refused by name.

use super::{
    EncoderConfig, Family, SUPPORTED, TextConfig, TextLayers, TextPooling, TowerSizes, VisionConfig, VisionLayers,
    VisionPooling, VitConfig, refuse_others,
};
use crate::model::compute::ops::Activation;
use crate::model::preprocess::{CropRounding, Preprocessing, Resizing};
use crate::photo::resample::ResampleFilter;
use anyhow::Context;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct OpenClipFile {
    model_cfg: ModelCfg,
    #[serde(default)]
    preprocess_cfg: Value,
}

#[derive(Deserialize)]
struct ModelCfg {
    embed_dim: usize,
    vision_cfg: Value,
    text_cfg: Value,
    #[serde(default)]
    quick_gelu: bool,
}

#[derive(Deserialize)]
#[serde(default)]
struct VisionCfg {
    layers: usize,
    width: usize,
    head_width: usize,
    mlp_ratio: f64,
    patch_size: usize,
    image_size: Edge,
}

impl Default for VisionCfg {
    fn default() -> Self {
        Self { layers: 12, width: 768, head_width: 64, mlp_ratio: 4.0, patch_size: 16, image_size: Edge::Square(224) }
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct TextCfg {
    context_length: usize,
    vocab_size: usize,
    width: usize,
    heads: usize,
    layers: usize,
    mlp_ratio: f64,
    no_causal_mask: bool,
}

impl Default for TextCfg {
    fn default() -> Self {
        Self {
            context_length: 77,
            vocab_size: 49_408,
            width: 512,
            heads: 8,
            layers: 12,
            mlp_ratio: 4.0,
            no_causal_mask: false,
        }
    }
}

#[derive(Default, Deserialize)]
struct PreprocessCfg {
    size: Option<Edge>,
    mean: Option<[f32; 3]>,
    std: Option<[f32; 3]>,
    interpolation: Option<String>,
    resize_mode: Option<String>,
    #[serde(default)]
    fill_color: Value,
}

/// The edge of a square, written as one number or two.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Edge {
    Square(usize),
    Sides([usize; 2]),
}

impl Edge {
    fn of_square(self, name: &str) -> anyhow::Result<usize> {
        match self {
            Self::Square(edge) => Ok(edge),
            Self::Sides([height, width]) if height == width => Ok(height),
            Self::Sides(sides) => anyhow::bail!("{name}: pictures of {sides:?} pixels are no squares"),
        }
    }
}

/// OpenAI's, the default of `open_clip`.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

pub(super) fn read(file: Value, name: &str) -> anyhow::Result<EncoderConfig> {
    let problem = || format!("{name} does not have the expected content");
    let model = file.get("model_cfg").with_context(problem)?;
    let vision = model.get("vision_cfg").with_context(problem)?;
    let timm = vision.get("timm_model_name").and_then(Value::as_str).map(str::to_owned);
    let is_mobile = timm.as_ref().is_some_and(|timm| timm.starts_with("fastvit_mci"));
    if let Some(timm) = timm.filter(|_| !is_mobile) {
        anyhow::bail!("{name} describes a vision tower of the type {timm:?}, which is not supported; {SUPPORTED}");
    }
    if let Some(text) = model.get("text_cfg").and_then(|text| text.get("hf_model_name")).and_then(Value::as_str) {
        anyhow::bail!("{name} describes a text tower of the type {text:?}, which is not supported; {SUPPORTED}");
    }
    let known = ["embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "init_logit_scale", "custom_text"];
    refuse_others(model, &known, &[], name)?;
    if vision.get("layers").is_some_and(Value::is_array) {
        anyhow::bail!("{name} describes a ResNet, which is not supported; {SUPPORTED}");
    }
    if is_mobile {
        let without_effect = ["timm_model_name", "timm_model_pretrained", "timm_drop", "timm_drop_path", "image_size"];
        refuse_others(vision, &without_effect, &[("timm_pool", "avg")], name)?;
    } else {
        let parts = ["layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size", "patch_dropout"];
        refuse_others(vision, &parts, &[("pool_type", "tok"), ("pos_embed_type", "learnable")], name)?;
    }
    let OpenClipFile { model_cfg: model, preprocess_cfg } = serde_json::from_value(file).with_context(problem)?;
    let parts = ["context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "no_causal_mask"];
    let defaults = [("pool_type", "argmax"), ("proj_type", "linear"), ("pad_id", "0")];
    refuse_others(&model.text_cfg, &parts, &defaults, name)?;
    let vision: VisionCfg = serde_json::from_value(model.vision_cfg).with_context(problem)?;
    let text: TextCfg = serde_json::from_value(model.text_cfg).with_context(problem)?;
    let activation = if model.quick_gelu { Activation::QuickGelu } else { Activation::Gelu };
    anyhow::ensure!(
        vision.head_width > 0 && (0.0..=64.0).contains(&vision.mlp_ratio) && (0.0..=64.0).contains(&text.mlp_ratio),
        "{name} holds a size that no model has"
    );
    let sizes = |hidden: usize, layers, heads, ratio: f64| {
        // As `open_clip` rounds it.
        let intermediate = (hidden as f64 * ratio) as usize;
        TowerSizes { hidden, intermediate, layers, heads, activation, eps: 1e-5 }.check(name)
    };
    let image_size = vision.image_size.of_square(name)?;
    Ok(EncoderConfig {
        family: if is_mobile { Family::MobileClip } else { Family::OpenClip },
        text: TextConfig {
            sizes: sizes(text.width, text.layers, text.heads, text.mlp_ratio)?,
            vocab_size: text.vocab_size,
            context: text.context_length,
            layers: TextLayers::Clip { causal: !text.no_causal_mask },
            pooling: TextPooling::Highest,
            padded: false,
            // As `open_clip` fills texts; what a mask hides need not be there.
            fill: text.no_causal_mask.then_some(0),
        },
        vision: VisionConfig {
            image_size,
            layers: if is_mobile {
                VisionLayers::FastVit
            } else {
                VisionLayers::Vit(VitConfig {
                    sizes: sizes(vision.width, vision.layers, vision.width / vision.head_width, vision.mlp_ratio)?,
                    patch_size: vision.patch_size,
                    pooling: VisionPooling::Class,
                })
            },
        },
        dim: model.embed_dim,
        preprocessing: Some(preprocessing(preprocess_cfg, image_size, name)?),
    })
}

fn preprocessing(section: Value, image_size: usize, name: &str) -> anyhow::Result<Preprocessing> {
    let file = if section.is_null() {
        PreprocessCfg::default()
    } else {
        let known = ["size", "mean", "std", "interpolation", "resize_mode", "fill_color"];
        refuse_others(&section, &known, &[("mode", "RGB")], name)?;
        serde_json::from_value(section).with_context(|| format!("{name} does not have the expected content"))?
    };
    let crop = u32::try_from(image_size)?;
    if let Some(size) = file.size {
        let size = size.of_square(name)?;
        anyhow::ensure!(size == image_size, "{name}: pictures of {size} pixels, but the model sees {image_size}");
    }
    let resizing = match file.resize_mode.as_deref() {
        None | Some("shortest") => Resizing::ShortestEdge { edge: crop, rounding: CropRounding::HalfToEven },
        Some("squash") => Resizing::Squash { edge: crop },
        Some("longest") => {
            let is_black = match &file.fill_color {
                Value::Null => true,
                Value::Array(parts) => parts.iter().all(|part| part.as_f64() == Some(0.0)),
                fill => fill.as_f64() == Some(0.0),
            };
            anyhow::ensure!(is_black, "{name}: fill_color = {} is not supported", file.fill_color);
            Resizing::Pad
        }
        Some(other) => anyhow::bail!("{name}: resize_mode = {other:?} is not supported"),
    };
    let filter = match file.interpolation.as_deref() {
        // At random while a model is trained, and bicubic then.
        None | Some("bicubic" | "random") => ResampleFilter::Bicubic,
        Some("bilinear") => ResampleFilter::Bilinear,
        Some(other) => anyhow::bail!("{name}: interpolation = {other:?} is not supported"),
    };
    let (mean, std) = (file.mean.unwrap_or(MEAN), file.std.unwrap_or(STD));
    Preprocessing { resizing, crop, filter, rescale: 1.0 / 255.0, mean, std }.check(name)
}
