//! The two transformers of CLIP (Radford et al. 2021, arXiv 2103.00020), in the layout of `transformers`.

use super::config::{ClipTextConfig, ClipVisionConfig, TowerSizes};
use crate::model::compute::linear::{TensorLinear, product};
use crate::model::compute::ops::{Activation, add};
use crate::model::compute::weights::Weights;
use candle_core::{D, Tensor};
use candle_nn::ops::{layer_norm, softmax_last_dim};
use rayon::prelude::*;
use std::sync::Arc;

struct TensorNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f32,
}

struct ClipLayer {
    norm1: TensorNorm,
    /// Query, key and value side by side: one product instead of three.
    qkv: TensorLinear,
    out: TensorLinear,
    norm2: TensorNorm,
    fc1: TensorLinear,
    fc2: TensorLinear,
    heads: usize,
    activation: Activation,
}

/// Loads the layer `name`.
fn linear(weights: &Weights, name: &str, inputs: usize, outputs: usize) -> anyhow::Result<TensorLinear> {
    Ok(TensorLinear {
        weight: weights.tensor(&format!("{name}.weight"), &[outputs, inputs])?,
        bias: weights.tensor(&format!("{name}.bias"), &[outputs])?,
    })
}

impl TensorNorm {
    fn load(weights: &Weights, name: &str, size: usize, eps: f32) -> anyhow::Result<Self> {
        let part = |part: &str| weights.tensor(&format!("{name}.{part}"), &[size]);
        Ok(Self { weight: part("weight")?, bias: part("bias")?, eps })
    }

    fn apply(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        layer_norm(x, &self.weight, &self.bias, self.eps)
    }
}

impl ClipLayer {
    fn load(weights: &Weights, name: &str, sizes: &TowerSizes) -> anyhow::Result<Self> {
        let hidden = sizes.hidden;
        let part = |part: &str| linear(weights, &format!("{name}.self_attn.{part}"), hidden, hidden);
        let (mut query, key, value) = (part("q_proj")?, part("k_proj")?, part("v_proj")?);
        let scale = ((hidden / sizes.heads) as f64).powf(-0.5);
        query = TensorLinear { weight: (query.weight * scale)?, bias: (query.bias * scale)? };
        let qkv = TensorLinear {
            weight: Tensor::cat(&[query.weight, key.weight, value.weight], 0)?,
            bias: Tensor::cat(&[query.bias, key.bias, value.bias], 0)?,
        };
        Ok(Self {
            norm1: TensorNorm::load(weights, &format!("{name}.layer_norm1"), hidden, sizes.eps)?,
            qkv,
            out: part("out_proj")?,
            norm2: TensorNorm::load(weights, &format!("{name}.layer_norm2"), hidden, sizes.eps)?,
            fc1: linear(weights, &format!("{name}.mlp.fc1"), hidden, sizes.intermediate)?,
            fc2: linear(weights, &format!("{name}.mlp.fc2"), sizes.intermediate, hidden)?,
            heads: sizes.heads,
            activation: sizes.activation,
        })
    }

    /// `x` is (batch * tokens, hidden).
    fn apply(&self, x: Tensor, batch: usize, mask: Option<&Tensor>) -> candle_core::Result<Tensor> {
        let (rows, hidden) = x.dims2()?;
        let (tokens, head) = (rows / batch, hidden / self.heads);
        let qkv = self.qkv.apply(&self.norm1.apply(&x)?, Activation::None)?;
        let qkv = qkv.reshape((batch, tokens, 3, self.heads, head))?.permute((2, 0, 3, 1, 4))?.contiguous()?;
        let (query, key, value) = (qkv.get(0)?, qkv.get(1)?, qkv.get(2)?);
        let mut scores = product(&query, &key)?;
        if let Some(mask) = mask {
            scores = scores.broadcast_add(mask)?;
        }
        let attended = product(&softmax_last_dim(&scores)?, &value.transpose(2, 3)?)?;
        let attended = attended.transpose(1, 2)?.reshape((rows, hidden))?;
        let x = add(x, &self.out.apply(&attended, Activation::None)?)?;
        let wide = self.fc1.apply(&self.norm2.apply(&x)?, self.activation)?;
        add(x, &self.fc2.apply(&wide, Activation::None)?)
    }
}

fn layers(weights: &Weights, name: &str, sizes: &TowerSizes) -> anyhow::Result<Vec<ClipLayer>> {
    // In parallel: a query spends most of its time here.
    let load = |n| ClipLayer::load(weights, &format!("{name}.encoder.layers.{n}"), sizes);
    (0..sizes.layers).into_par_iter().map(load).collect()
}

/// The text tower.
pub(super) struct TextTower {
    weights: Arc<Weights>,
    config: ClipTextConfig,
    positions: Tensor,
    layers: Vec<ClipLayer>,
    norm: TensorNorm,
    projection: Tensor,
}

impl TextTower {
    pub(super) fn load(weights: Arc<Weights>, config: &ClipTextConfig, dim: usize) -> anyhow::Result<Self> {
        let sizes = &config.sizes;
        Ok(Self {
            positions: weights.tensor(
                "text_model.embeddings.position_embedding.weight",
                &[config.max_position_embeddings, sizes.hidden],
            )?,
            layers: layers(&weights, "text_model", sizes)?,
            norm: TensorNorm::load(&weights, "text_model.final_layer_norm", sizes.hidden, sizes.eps)?,
            projection: weights.tensor("text_projection.weight", &[dim, sizes.hidden])?,
            config: config.clone(),
            weights,
        })
    }

    /// Maps texts of the same length, each with its start and end tokens, to (texts, dim), not normalised.
    ///
    /// The end token does not see what follows it (the mask is causal), so texts need no padding.
    pub(super) fn forward(&self, texts: &[&[u32]]) -> anyhow::Result<Tensor> {
        let tokens = texts.first().map_or(0, |t| t.len());
        anyhow::ensure!(
            tokens > 0 && texts.iter().all(|t| t.len() == tokens),
            "texts of different lengths in one batch"
        );
        let ids: Vec<u32> = texts.concat();
        let shape = [self.config.vocab_size, self.config.sizes.hidden];
        let words = self.weights.rows("text_model.embeddings.token_embedding.weight", shape, &ids)?;
        let positions = self.positions.narrow(0, 0, tokens)?;
        let words = words.reshape((texts.len(), tokens, self.config.sizes.hidden))?.broadcast_add(&positions)?;
        let mut x = words.flatten(0, 1)?;
        let device = x.device().clone();
        let hidden: Vec<f32> =
            (0..tokens * tokens).map(|at| if at % tokens > at / tokens { f32::NEG_INFINITY } else { 0.0 }).collect();
        let mask = Tensor::from_vec(hidden, (tokens, tokens), &device)?;
        for layer in &self.layers {
            x = layer.apply(x, texts.len(), Some(&mask))?;
        }
        let ends: Vec<u32> = texts.iter().enumerate().map(|(n, ids)| (n * tokens + self.end(ids)) as u32).collect();
        let ends = x.index_select(&Tensor::new(ends, &device)?, 0)?;
        Ok(product(&self.norm.apply(&ends)?, &self.projection)?)
    }

    /// The position of the token whose state is the text's embedding: the first end token. If the configuration says
    /// that the end token is 2, as the first ones did, it is the highest id.
    fn end(&self, ids: &[u32]) -> usize {
        let end = if self.config.eos_token_id == 2 {
            ids.iter().max().and_then(|max| ids.iter().position(|id| id == max))
        } else {
            ids.iter().position(|id| *id == self.config.eos_token_id)
        };
        end.unwrap_or(0)
    }
}

/// The vision tower.
pub(super) struct VisionTower {
    config: ClipVisionConfig,
    /// (hidden, 3 * patch * patch)
    patch: Tensor,
    class: Tensor,
    positions: Tensor,
    pre_norm: TensorNorm,
    layers: Vec<ClipLayer>,
    post_norm: TensorNorm,
    projection: Tensor,
}

impl VisionTower {
    pub(super) fn load(weights: &Weights, config: &ClipVisionConfig, dim: usize) -> anyhow::Result<Self> {
        let sizes = &config.sizes;
        let (hidden, patch) = (sizes.hidden, config.patch_size);
        let places = (config.image_size / patch).pow(2) + 1;
        let name = |part: &str| format!("vision_model.embeddings.{part}");
        Ok(Self {
            patch: weights.tensor(&name("patch_embedding.weight"), &[hidden, 3, patch, patch])?.flatten_from(1)?,
            class: weights.tensor(&name("class_embedding"), &[hidden])?,
            positions: weights.tensor(&name("position_embedding.weight"), &[places, hidden])?,
            // The name is misspelt in the original, and so in every file.
            pre_norm: TensorNorm::load(weights, "vision_model.pre_layrnorm", hidden, sizes.eps)?,
            layers: layers(weights, "vision_model", sizes)?,
            post_norm: TensorNorm::load(weights, "vision_model.post_layernorm", hidden, sizes.eps)?,
            projection: weights.tensor("visual_projection.weight", &[dim, hidden])?,
            config: config.clone(),
        })
    }

    /// Maps (batch, 3, size, size) to (batch, dim), not normalised.
    pub(super) fn forward(&self, pixels: &Tensor) -> candle_core::Result<Tensor> {
        let (batch, channels, size, _) = pixels.dims4()?;
        let (patch, hidden) = (self.config.patch_size, self.config.sizes.hidden);
        let grid = size / patch;
        // A convolution whose stride equals its kernel size is a matrix product over the patches.
        let patches = pixels
            .narrow(2, 0, grid * patch)?
            .narrow(3, 0, grid * patch)?
            .reshape((batch, channels, grid, patch, grid, patch))?
            .permute((0, 2, 4, 1, 3, 5))?
            .reshape((batch * grid * grid, channels * patch * patch))?;
        let patches = product(&patches, &self.patch)?.reshape((batch, grid * grid, hidden))?;
        let class = self.class.broadcast_as((batch, 1, hidden))?;
        let x = Tensor::cat(&[&class, &patches], 1)?.broadcast_add(&self.positions)?;
        let mut x = self.pre_norm.apply(&x.flatten(0, 1)?)?;
        for layer in &self.layers {
            x = layer.apply(x, batch, None)?;
        }
        let class = x.reshape((batch, grid * grid + 1, hidden))?.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?;
        product(&self.post_norm.apply(&class)?, &self.projection)
    }
}

/// Every row of a (rows, dim) tensor, scaled to unit length.
pub(super) fn unit_rows(x: &Tensor) -> candle_core::Result<Vec<Vec<f32>>> {
    let mut rows = x.to_device(&candle_core::Device::Cpu)?.to_vec2::<f32>()?;
    debug_assert_eq!(rows.first().map(Vec::len), x.dim(D::Minus1).ok());
    rows.iter_mut().for_each(|row| crate::model::normalize(row));
    Ok(rows)
}
