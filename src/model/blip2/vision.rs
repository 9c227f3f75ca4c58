//! The vision tower: ViT-g/14 of EVA-CLIP as in `Blip2VisionModel` (pre-norm, fused queries, keys and values).

use super::config::Blip2VisionConfig;
use crate::model::compute::attention::{Columns, Heads, attention};
use crate::model::compute::awake::awake;
use crate::model::compute::layers::{Linear, Norm};
use crate::model::compute::ops::{self, Activation};
use crate::model::compute::weights::Weights;

pub(super) struct VisionTransformer {
    config: Blip2VisionConfig,
    activation: Activation,
    patch: Linear,
    class: Vec<f32>,
    /// (1 + patches, hidden)
    positions: Vec<f32>,
    layers: Vec<VisionLayer>,
    norm: Norm,
}

struct VisionLayer {
    norm1: Norm,
    qkv: Linear,
    projection: Linear,
    norm2: Norm,
    fc1: Linear,
    fc2: Linear,
}

impl VisionTransformer {
    pub(super) fn load(weights: &Weights, config: &Blip2VisionConfig) -> anyhow::Result<Self> {
        let (hidden, inner, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let embeddings = |name: &str| format!("vision_model.embeddings.{name}");
        let side = config.image_size / config.patch_size;
        let kernel = [hidden, 3, config.patch_size, config.patch_size];
        let patch = Linear::new(
            weights.matrix(&embeddings("patch_embedding.weight"), &kernel)?,
            Some(weights.vector(&embeddings("patch_embedding.bias"), &[hidden])?),
        );
        let layer = |n: usize| {
            let name = |part: &str| format!("vision_model.encoder.layers.{n}.{part}");
            anyhow::Ok(VisionLayer {
                norm1: Norm::load(weights, &name("layer_norm1"), hidden, eps)?,
                qkv: Linear::load(weights, &name("self_attn.qkv"), hidden, 3 * hidden, config.qkv_bias)?,
                projection: Linear::load(weights, &name("self_attn.projection"), hidden, hidden, true)?,
                norm2: Norm::load(weights, &name("layer_norm2"), hidden, eps)?,
                fc1: Linear::load(weights, &name("mlp.fc1"), hidden, inner, true)?,
                fc2: Linear::load(weights, &name("mlp.fc2"), inner, hidden, true)?,
            })
        };
        Ok(Self {
            activation: Activation::named(&config.hidden_act)?,
            patch,
            class: weights.vector(&embeddings("class_embedding"), &[1, 1, hidden])?,
            positions: weights.vector(&embeddings("position_embedding"), &[1, 1 + side * side, hidden])?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<anyhow::Result<_>>()?,
            norm: Norm::load(weights, "vision_model.post_layernorm", hidden, eps)?,
            config: config.clone(),
        })
    }

    /// Pixels (3, size, size) to states (1 + patches, hidden); `None` if `go_on` stopped it between two layers.
    pub(super) fn forward(&self, pixels: &[f32], go_on: &(dyn Fn() -> bool + Sync)) -> Option<Vec<f32>> {
        awake(|| self.run(pixels, go_on))
    }

    fn run(&self, pixels: &[f32], go_on: &(dyn Fn() -> bool + Sync)) -> Option<Vec<f32>> {
        let hidden = self.config.hidden_size;
        let heads = self.config.num_attention_heads;
        let mut x = self.class.clone();
        x.extend(self.patch.forward(&self.patches(pixels), Activation::None));
        ops::add_rows(&mut x, &self.positions);
        for layer in &self.layers {
            if !go_on() {
                return None;
            }
            let qkv = layer.qkv.forward(&layer.norm1.forward(&x), Activation::None);
            let part = |n: usize| Columns { rows: &qkv, width: 3 * hidden, first: n * hidden };
            layer.projection.add_to(&mut x, &attention(part(0), part(1), part(2), Heads::new(heads, hidden / heads)));
            let inner = layer.fc1.forward(&layer.norm2.forward(&x), self.activation);
            layer.fc2.add_to(&mut x, &inner);
        }
        self.norm.apply(&mut x);
        Some(x)
    }

    /// The pixels of each patch in a row: (patches, 3 * patch * patch).
    fn patches(&self, pixels: &[f32]) -> Vec<f32> {
        let (size, patch) = (self.config.image_size, self.config.patch_size);
        let side = size / patch;
        let mut out = Vec::with_capacity(side * side * 3 * patch * patch);
        for (top, left) in (0..side).flat_map(|y| (0..side).map(move |x| (y * patch, x * patch))) {
            for plane in pixels.chunks_exact(size * size) {
                for row in plane.chunks_exact(size).skip(top).take(patch) {
                    out.extend_from_slice(&row[left..left + patch]);
                }
            }
        }
        out
    }
}
