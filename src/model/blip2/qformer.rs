//! The Q-Former: learned queries in BERT's layers, with cross-attention to the vision tower's states in every n-th one
//! (Li et al. 2023, arXiv 2301.12597; `Blip2QFormerModel`). In models for retrieval it reads texts too, alone or beside
//! the queries.

use super::config::{Blip2Config, Blip2Purpose, QFormerConfig};
use crate::model::compute::attention::{Columns, Heads, attention};
use crate::model::compute::layers::{Linear, Norm, lookup};
use crate::model::compute::matrix::Matrix;
use crate::model::compute::ops::{self, Activation};
use crate::model::compute::weights::Weights;
use anyhow::Context;

pub(super) struct QFormer {
    config: QFormerConfig,
    activation: Activation,
    /// The learned queries after their norm, (queries, hidden).
    queries: Vec<f32>,
    norm: Norm,
    texts: Option<TextTables>,
    layers: Vec<QFormerLayer>,
}

/// What tokens of a text begin as.
struct TextTables {
    /// (vocabulary, hidden)
    words: Matrix,
    /// (positions, hidden)
    positions: Vec<f32>,
}

struct QFormerLayer {
    attention: Attention,
    cross: Option<Attention>,
    queries: FeedForward,
    texts: Option<FeedForward>,
}

struct FeedForward {
    intermediate: Linear,
    output: Linear,
    norm: Norm,
}

impl FeedForward {
    fn load(weights: &Weights, [inner, outer]: [&str; 2], config: &QFormerConfig) -> anyhow::Result<Self> {
        let (hidden, wide, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        Ok(Self {
            intermediate: Linear::load(weights, &format!("{inner}.dense"), hidden, wide, true)?,
            output: Linear::load(weights, &format!("{outer}.dense"), wide, hidden, true)?,
            norm: Norm::load(weights, &format!("{outer}.LayerNorm"), hidden, eps)?,
        })
    }

    fn forward(&self, x: &mut [f32], activation: Activation) {
        let inner = self.intermediate.forward(x, activation);
        self.output.add_to(x, &inner);
        self.norm.apply(x);
    }
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

    /// Updates `x`, (rows, hidden), by attention to `source`, or to itself if there is no source.
    fn forward(&self, x: &mut [f32], source: Option<&[f32]>, heads: usize) {
        let queries = self.query.forward(x, Activation::None);
        let source = source.unwrap_or(x);
        let (keys, values) = (self.key.forward(source, Activation::None), self.value.forward(source, Activation::None));
        let width = self.norm.size();
        let columns = |rows| Columns { rows, width, first: 0 };
        let found = attention(columns(&queries), columns(&keys), columns(&values), Heads::new(heads, width / heads));
        self.output.add_to(x, &found);
        self.norm.apply(x);
    }
}

impl QFormer {
    pub(super) fn load(weights: &Weights, config: &Blip2Config) -> anyhow::Result<Self> {
        let reads_texts = matches!(config.purpose, Blip2Purpose::Retrieval(_));
        let (queries, config) = (config.num_query_tokens, &config.qformer);
        let (hidden, eps) = (config.hidden_size, config.layer_norm_eps);
        let layer = |n: usize| {
            let name = |part: &str| format!("qformer.encoder.layer.{n}.{part}");
            let feed_forward = |parts: [&str; 2]| {
                let [inner, outer] = parts.map(name);
                FeedForward::load(weights, [&inner, &outer], config)
            };
            let cross = n
                .is_multiple_of(config.cross_attention_frequency)
                .then(|| Attention::load(weights, &name("crossattention"), hidden, config.encoder_hidden_size, eps));
            anyhow::Ok(QFormerLayer {
                attention: Attention::load(weights, &name("attention"), hidden, hidden, eps)?,
                cross: cross.transpose()?,
                queries: feed_forward(["intermediate_query", "output_query"])?,
                texts: reads_texts.then(|| feed_forward(["intermediate", "output"])).transpose()?,
            })
        };
        let tables = || {
            let table = |name: &str| format!("embeddings.{name}_embeddings.weight");
            anyhow::Ok(TextTables {
                words: weights.matrix(&table("word"), &[config.vocab_size, hidden])?,
                positions: weights.vector(&table("position"), &[config.max_position_embeddings, hidden])?,
            })
        };
        let mut queries = weights.vector("query_tokens", &[1, queries, hidden])?;
        let norm = Norm::load(weights, "qformer.layernorm", hidden, eps)?;
        norm.apply(&mut queries);
        Ok(Self {
            activation: Activation::named(&config.hidden_act)?,
            queries,
            norm,
            texts: reads_texts.then(tables).transpose()?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<anyhow::Result<_>>()?,
            config: config.clone(),
        })
    }

    /// The vision tower's states (patches, encoder hidden) to (queries, hidden).
    pub(super) fn forward(&self, states: &[f32]) -> Vec<f32> {
        self.run(self.queries.clone(), self.queries.len(), states)
    }

    /// The states of a text's tokens, (tokens, hidden).
    ///
    /// # Errors
    /// As [`QFormer::begin`].
    pub(super) fn read(&self, tokens: &[u32]) -> anyhow::Result<Vec<f32>> {
        Ok(self.run(self.begin(tokens)?, 0, &[]))
    }

    /// The queries' states, (queries, hidden), of a picture and a text that are seen together.
    ///
    /// # Errors
    /// As [`QFormer::begin`].
    pub(super) fn compare(&self, states: &[f32], tokens: &[u32]) -> anyhow::Result<Vec<f32>> {
        let both = [self.queries.clone(), self.begin(tokens)?].concat();
        let mut found = self.run(both, self.queries.len(), states);
        found.truncate(self.queries.len());
        Ok(found)
    }

    /// What tokens begin as, (tokens, hidden).
    ///
    /// # Errors
    /// The model reads no texts, or a token is not in its vocabulary, or the text is too long.
    fn begin(&self, tokens: &[u32]) -> anyhow::Result<Vec<f32>> {
        let tables = self.texts.as_ref().context("this model reads no texts")?;
        let mut x = lookup(&tables.words, tokens)?;
        let positions = tables.positions.get(..x.len());
        ops::add_rows(&mut x, positions.with_context(|| format!("a text of {} tokens is too long", tokens.len()))?);
        self.norm.apply(&mut x);
        Ok(x)
    }

    /// Runs the layers on rows, of which those of the queries come first: so many numbers are theirs.
    fn run(&self, mut x: Vec<f32>, of_queries: usize, states: &[f32]) -> Vec<f32> {
        let heads = self.config.num_attention_heads;
        for layer in &self.layers {
            layer.attention.forward(&mut x, None, heads);
            let (queries, text) = x.split_at_mut(of_queries);
            if !queries.is_empty() {
                if let Some(cross) = &layer.cross {
                    cross.forward(queries, Some(states), heads);
                }
                layer.queries.forward(queries, self.activation);
            }
            if let Some(texts) = layer.texts.as_ref().filter(|_| !text.is_empty()) {
                texts.forward(text, self.activation);
            }
        }
        x
    }
}
