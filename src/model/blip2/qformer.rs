//! The Q-Former: learned queries in BERT's layers, with cross-attention to the vision tower's states in every n-th one
//! (Li et al. 2023, arXiv 2301.12597; `Blip2QFormerModel` without its text input).

use super::config::{Blip2Config, QFormerConfig};
use super::layers::{Columns, Linear, Norm, attention};
use crate::model::compute::ops::Activation;
use crate::model::compute::weights::Weights;

pub(super) struct QFormer {
    config: QFormerConfig,
    activation: Activation,
    /// The learned queries after their norm, (queries, hidden).
    queries: Vec<f32>,
    layers: Vec<QFormerLayer>,
}

struct QFormerLayer {
    attention: Attention,
    cross: Option<Attention>,
    intermediate: Linear,
    output: Linear,
    norm: Norm,
}

struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    norm: Norm,
}

impl Attention {
    fn load(weights: &Weights, name: &str, hidden: usize, source: usize, eps: f32) -> anyhow::Result<Self> {
        let linear = |part: &str, inputs: usize| Linear::load(weights, &format!("{name}.{part}"), inputs, hidden, true);
        Ok(Self {
            query: linear("attention.query", hidden)?,
            key: linear("attention.key", source)?,
            value: linear("attention.value", source)?,
            output: linear("output.dense", hidden)?,
            norm: Norm::load(weights, &format!("{name}.output.LayerNorm"), hidden, eps)?,
        })
    }

    /// Updates `x`, (queries, hidden), by attention to `source`, or to itself if there is no source.
    fn forward(&self, x: &mut [f32], source: Option<&[f32]>, heads: usize) {
        let queries = self.query.forward(x, Activation::None);
        let source = source.unwrap_or(x);
        let (keys, values) = (self.key.forward(source, Activation::None), self.value.forward(source, Activation::None));
        let width = self.norm.size();
        let columns = |rows| Columns { rows, width, first: 0 };
        let found = attention(columns(&queries), columns(&keys), columns(&values), heads, width / heads);
        self.output.add_to(x, &found);
        self.norm.apply(x);
    }
}

impl QFormer {
    pub(super) fn load(weights: &Weights, config: &Blip2Config) -> anyhow::Result<Self> {
        let (queries, config) = (config.num_query_tokens, &config.qformer_config);
        let (hidden, inner, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let layer = |n: usize| {
            let name = |part: &str| format!("qformer.encoder.layer.{n}.{part}");
            let cross = n
                .is_multiple_of(config.cross_attention_frequency)
                .then(|| Attention::load(weights, &name("crossattention"), hidden, config.encoder_hidden_size, eps));
            anyhow::Ok(QFormerLayer {
                attention: Attention::load(weights, &name("attention"), hidden, hidden, eps)?,
                cross: cross.transpose()?,
                intermediate: Linear::load(weights, &name("intermediate_query.dense"), hidden, inner, true)?,
                output: Linear::load(weights, &name("output_query.dense"), inner, hidden, true)?,
                norm: Norm::load(weights, &name("output_query.LayerNorm"), hidden, eps)?,
            })
        };
        let mut queries = weights.vector("query_tokens", &[1, queries, hidden])?;
        Norm::load(weights, "qformer.layernorm", hidden, eps)?.apply(&mut queries);
        Ok(Self {
            activation: Activation::named(&config.hidden_act)?,
            queries,
            layers: (0..config.num_hidden_layers).map(layer).collect::<anyhow::Result<_>>()?,
            config: config.clone(),
        })
    }

    /// The vision tower's states (patches, encoder hidden) to (queries, hidden).
    pub(super) fn forward(&self, states: &[f32]) -> Vec<f32> {
        let heads = self.config.num_attention_heads;
        let mut x = self.queries.clone();
        for layer in &self.layers {
            layer.attention.forward(&mut x, None, heads);
            if let Some(cross) = &layer.cross {
                cross.forward(&mut x, Some(states), heads);
            }
            let inner = layer.intermediate.forward(&x, self.activation);
            layer.output.add_to(&mut x, &inner);
            layer.norm.apply(&mut x);
        }
        x
    }
}
