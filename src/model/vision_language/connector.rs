//! What makes rows for the language model of the vision tower's states: LLaVA's projector, SmolVLM's pixel shuffle, and
//! Idefics 2's perceiver.

use super::config::PerceiverConfig;
use crate::model::compute::attention::{Columns, Heads, attention};
use crate::model::compute::layers::{GatedMlp, Linear, RmsNorm};
use crate::model::compute::ops::{self, Activation};
use crate::model::compute::weights::Weights;

pub(super) enum Connector {
    Projector { first: Linear, activation: Activation, second: Linear },
    Shuffle { projection: Linear, scale: usize, hidden: usize },
    Perceiver(Box<Perceiver>),
}

/// Learned rows that look at a picture's states, however many these are (Jaegle et al. 2021; `Idefics2Connector`).
pub(super) struct Perceiver {
    config: PerceiverConfig,
    projection: GatedMlp,
    /// (latents, width)
    latents: Vec<f32>,
    layers: Vec<PerceiverLayer>,
    norm: RmsNorm,
    width: usize,
}

struct PerceiverLayer {
    latents_norm: RmsNorm,
    context_norm: RmsNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    norm: RmsNorm,
    mlp: GatedMlp,
}

impl Connector {
    /// LLaVA's, from the tower's states of `hidden` to rows of `width` numbers.
    pub(super) fn projector(
        weights: &Weights,
        prefix: &str,
        (hidden, width): (usize, usize),
        activation: Activation,
    ) -> anyhow::Result<Self> {
        let linear = |part: &str, inputs| Linear::load(weights, &format!("{prefix}{part}"), inputs, width, true);
        Ok(Self::Projector { first: linear("linear_1", hidden)?, activation, second: linear("linear_2", width)? })
    }

    /// SmolVLM's, which joins blocks of `scale` x `scale` states.
    pub(super) fn shuffle(
        weights: &Weights,
        name: &str,
        (hidden, width): (usize, usize),
        scale: usize,
    ) -> anyhow::Result<Self> {
        Ok(Self::Shuffle {
            projection: Linear::load(weights, name, hidden * scale * scale, width, false)?,
            scale,
            hidden,
        })
    }

    /// Idefics 2's, whose first layer is `intermediate` numbers wide inside.
    pub(super) fn perceiver(
        weights: &Weights,
        prefix: &str,
        (hidden, intermediate, width): (usize, usize, usize),
        config: PerceiverConfig,
    ) -> anyhow::Result<Self> {
        let PerceiverConfig { latents, depth, heads, head, key_value_heads, eps } = config;
        let (queries, keys) = (heads * head, key_value_heads * head);
        let resampler = |part: &str| format!("{prefix}perceiver_resampler.{part}");
        let layer = |n: usize| {
            let name = |part: &str| resampler(&format!("layers.{n}.{part}"));
            let norm = |part: &str| RmsNorm::load(weights, &name(part), width, eps);
            let linear = |part: &str, inputs, outputs| Linear::load(weights, &name(part), inputs, outputs, false);
            anyhow::Ok(PerceiverLayer {
                latents_norm: norm("input_latents_norm")?,
                context_norm: norm("input_context_norm")?,
                query: linear("self_attn.q_proj", width, queries)?,
                key: linear("self_attn.k_proj", width, keys)?,
                value: linear("self_attn.v_proj", width, keys)?,
                output: linear("self_attn.o_proj", queries, width)?,
                norm: norm("post_attention_layernorm")?,
                mlp: GatedMlp::load(weights, &name("mlp"), (width, 4 * width, width))?,
            })
        };
        Ok(Self::Perceiver(Box::new(Perceiver {
            config,
            projection: GatedMlp::load(
                weights,
                &format!("{prefix}modality_projection"),
                (hidden, intermediate, width),
            )?,
            latents: weights.vector(&resampler("latents"), &[latents, width])?,
            layers: (0..depth).map(layer).collect::<anyhow::Result<_>>()?,
            norm: RmsNorm::load(weights, &resampler("norm"), width, eps)?,
            width,
        })))
    }

    /// A picture's states, of `columns` patches in a row, to rows for the language model.
    pub(super) fn forward(&self, states: Vec<f32>, columns: usize) -> Vec<f32> {
        match self {
            Self::Projector { first, activation, second } => {
                second.forward(&first.forward(&states, *activation), Activation::None)
            }
            Self::Shuffle { projection, scale, hidden } => {
                projection.forward(&shuffled(&states, columns, *scale, *hidden), Activation::None)
            }
            Self::Perceiver(perceiver) => perceiver.forward(&states),
        }
    }
}

/// Joins blocks of `scale` x `scale` states, row by row: (patches, hidden) to (blocks, scale * scale * hidden).
fn shuffled(states: &[f32], columns: usize, scale: usize, hidden: usize) -> Vec<f32> {
    let rows = states.len() / hidden / columns;
    let mut out = Vec::with_capacity(states.len());
    for (top, left) in (0..rows / scale).flat_map(|y| (0..columns / scale).map(move |x| (y * scale, x * scale))) {
        for row in top..top + scale {
            out.extend_from_slice(&states[(row * columns + left) * hidden..][..scale * hidden]);
        }
    }
    out
}

impl Perceiver {
    fn forward(&self, states: &[f32]) -> Vec<f32> {
        let context = self.projection.forward(states);
        let mut latents = self.latents.clone();
        for layer in &self.layers {
            let normed = layer.latents_norm.forward(&latents);
            let queries = layer.query.forward(&normed, Activation::None);
            let mut seen = layer.context_norm.forward(&context);
            seen.extend_from_slice(&normed);
            let keys = layer.key.forward(&seen, Activation::None);
            let values = layer.value.forward(&seen, Activation::None);
            layer.output.add_to(&mut latents, &self.attend(&queries, &keys, &values));
            let inner = layer.mlp.forward(&layer.norm.forward(&latents));
            ops::add_rows(&mut latents, &inner);
        }
        debug_assert_eq!(latents.len(), self.config.latents * self.width);
        self.norm.apply(&mut latents);
        latents
    }

    /// Grouped-query attention of all latents to all rows.
    fn attend(&self, queries: &[f32], keys: &[f32], values: &[f32]) -> Vec<f32> {
        let PerceiverConfig { heads, head, key_value_heads, .. } = self.config;
        let (width, keys_width, group) = (heads * head, key_value_heads * head, heads / key_value_heads);
        let mut out = vec![0.0; queries.len()];
        for n in 0..heads {
            let one = |rows, width, first| Columns { rows, width, first };
            let shared = n / group * head;
            let seen = attention(
                one(queries, width, n * head),
                one(keys, keys_width, shared),
                one(values, keys_width, shared),
                Heads::new(1, head),
            );
            for (out, seen) in out.chunks_exact_mut(width).zip(seen.chunks_exact(head)) {
                out[n * head..][..head].copy_from_slice(seen);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_joined_row_by_row() {
        // 4 x 2 patches of two numbers.
        let states: Vec<f32> = (0..16).map(|n| n as f32).collect();
        let joined = shuffled(&states, 4, 2, 2);
        assert_eq!(joined[..8], [0.0, 1.0, 2.0, 3.0, 8.0, 9.0, 10.0, 11.0]);
        assert_eq!(joined[8..], [4.0, 5.0, 6.0, 7.0, 12.0, 13.0, 14.0, 15.0]);
    }
}
