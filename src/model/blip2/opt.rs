//! The language model OPT (Zhang et al. 2022, arXiv 2205.01068; `OPTForCausalLM`) with a cache of keys and values.
//!
//! Tokens of any number of sequences go through it together, one row each, without padding.

use super::config::OptConfig;
use super::language::Begin;
use crate::model::compute::awake::awake;
use crate::model::compute::layers::{Linear, Norm, lookup};
use crate::model::compute::matrix::Matrix;
use crate::model::compute::ops::{self, Activation};
use crate::model::compute::weights::Weights;
use crate::model::generation::decoder::{Decoder, GoOn};
use crate::model::generation::key_values::{HeadQueries, KeyValueCache, Sequence};
use anyhow::Context;
use rayon::prelude::*;

/// PyTorch's default, which OPT uses.
const EPS: f32 = 1e-5;
/// Rows of OPT's position table before that of the first token.
const POSITION_OFFSET: usize = 2;

pub(super) struct Opt {
    config: OptConfig,
    activation: Activation,
    tokens: Matrix,
    positions: Matrix,
    layers: Vec<OptLayer>,
    norm: Option<Norm>,
    head: Matrix,
}

struct OptLayer {
    attention_norm: Norm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    norm: Norm,
    fc1: Linear,
    fc2: Linear,
}

impl Opt {
    pub(super) fn load(weights: &Weights, config: &OptConfig) -> anyhow::Result<Self> {
        let hidden = config.hidden_size;
        let name = |part: &str| format!("language_model.model.decoder.{part}");
        let norm = |name: String| {
            if config.layer_norm_elementwise_affine {
                Norm::load(weights, &name, hidden, EPS)
            } else {
                Ok(Norm::plain(hidden, EPS))
            }
        };
        let layer = |n: usize| {
            let name = |part: &str| name(&format!("layers.{n}.{part}"));
            let square = |part: &str| Linear::load(weights, &name(part), hidden, hidden, config.enable_bias);
            anyhow::Ok(OptLayer {
                attention_norm: norm(name("self_attn_layer_norm"))?,
                query: square("self_attn.q_proj")?,
                key: square("self_attn.k_proj")?,
                value: square("self_attn.v_proj")?,
                output: square("self_attn.out_proj")?,
                norm: norm(name("final_layer_norm"))?,
                fc1: Linear::load(weights, &name("fc1"), hidden, config.ffn_dim, config.enable_bias)?,
                fc2: Linear::load(weights, &name("fc2"), config.ffn_dim, hidden, config.enable_bias)?,
            })
        };
        let vocabulary = [config.vocab_size, hidden];
        let tokens = weights.matrix(&name("embed_tokens.weight"), &vocabulary)?;
        let head = if config.tie_word_embeddings {
            tokens.clone()
        } else {
            weights.matrix("language_model.lm_head.weight", &vocabulary)?
        };
        Ok(Self {
            activation: Activation::named(&config.activation_function)?,
            tokens,
            positions: weights
                .matrix(&name("embed_positions.weight"), &[config.max_position_embeddings + POSITION_OFFSET, hidden])?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<anyhow::Result<_>>()?,
            norm: (config.do_layer_norm_before && !config.remove_final_layer_norm)
                .then(|| norm(name("final_layer_norm")))
                .transpose()?,
            head,
            config: config.clone(),
        })
    }

    /// The embeddings of tokens, (tokens, hidden).
    ///
    /// # Errors
    /// A token is not in the vocabulary.
    pub(super) fn embed(&self, tokens: &[u32]) -> anyhow::Result<Vec<f32>> {
        lookup(&self.tokens, tokens)
    }

    /// Appends inputs, (rows, hidden), to sequences: row i to `sequences[of[i]]`. Returns the last layer's states,
    /// (rows, hidden); `None` if `go_on` stopped it between two layers, after which the caller must drop the appended
    /// tokens.
    ///
    /// # Errors
    /// A sequence outgrows the context.
    fn forward(
        &self,
        cache: &mut KeyValueCache,
        sequences: &mut [&mut Sequence],
        of: &[usize],
        inputs: Vec<f32>,
        go_on: GoOn,
    ) -> anyhow::Result<Option<Vec<f32>>> {
        awake(|| self.run(cache, sequences, of, inputs, go_on))
    }

    fn run(
        &self,
        cache: &mut KeyValueCache,
        sequences: &mut [&mut Sequence],
        of: &[usize],
        mut x: Vec<f32>,
        go_on: GoOn,
    ) -> anyhow::Result<Option<Vec<f32>>> {
        let hidden = self.config.hidden_size;
        let mut position = vec![0.0; hidden];
        // For each row, how many tokens of its sequence it sees, itself included.
        let mut seen = Vec::with_capacity(of.len());
        for (row, sequence) in x.chunks_exact_mut(hidden).zip(of) {
            let tokens = cache.append(sequences[*sequence], self.config.max_position_embeddings)?;
            self.positions.widen_row(tokens - 1 + POSITION_OFFSET, &mut position);
            ops::add_rows(row, &position);
            seen.push(tokens);
        }
        let contexts: Vec<&[u32]> =
            of.iter().zip(&seen).map(|(sequence, seen)| &sequences[*sequence].slots()[..*seen]).collect();
        let before = self.config.do_layer_norm_before;
        for (n, layer) in self.layers.iter().enumerate() {
            if !go_on() {
                return Ok(None);
            }
            let normed = if before { layer.attention_norm.forward(&x) } else { x.clone() };
            let [queries, keys, values] = Linear::forward_each([&layer.query, &layer.key, &layer.value], &normed);
            for ((context, keys), values) in
                contexts.iter().zip(keys.chunks_exact(hidden)).zip(values.chunks_exact(hidden))
            {
                cache.store(n, context[context.len() - 1], keys, values);
            }
            layer.output.add_to(&mut x, &self.attend(cache, n, &queries, &contexts));
            if !before {
                layer.attention_norm.apply(&mut x);
            }
            let normed = if before { layer.norm.forward(&x) } else { x.clone() };
            layer.fc2.add_to(&mut x, &layer.fc1.forward(&normed, self.activation));
            if !before {
                layer.norm.apply(&mut x);
            }
        }
        if let Some(norm) = &self.norm {
            norm.apply(&mut x);
        }
        Ok(Some(x))
    }

    /// The next-token scores, (rows, vocabulary).
    fn logits(&self, states: &[f32]) -> Vec<f32> {
        self.head.multiply(states, None, Activation::None)
    }

    /// Attention of each row to its context: (rows, hidden).
    fn attend(&self, cache: &KeyValueCache, layer: usize, queries: &[f32], contexts: &[&[u32]]) -> Vec<f32> {
        let heads = self.config.num_attention_heads;
        let size = self.config.hidden_size / heads;
        let scale = 1.0 / (size as f32).sqrt();
        let mut out = vec![0.0; queries.len()];
        // Enough heads per task to be worth it: a head costs some nanoseconds for each token.
        let longest = contexts.iter().map(|context| context.len()).max().unwrap_or(1);
        let heads_of_task = (3_000 / longest).clamp(1, heads);
        let tasks = out.par_chunks_mut(size).zip(queries.par_chunks(size)).enumerate().with_min_len(heads_of_task);
        tasks.for_each_init(Vec::new, |scores, (n, (out, numbers))| {
            let query = HeadQueries { numbers, size, first: n % heads * size, scale };
            cache.attend(layer, contexts[n / heads], query, scores, out);
        });
        out
    }

    /// Numbers in a token's state, and in its embedding.
    pub(super) fn hidden_size(&self) -> usize {
        self.config.hidden_size
    }

    /// Maximum number of tokens in a sequence.
    pub(super) fn context(&self) -> usize {
        self.config.max_position_embeddings
    }
}

/// Texts that are being written with OPT.
pub(super) struct OptDecoder<'m> {
    pub(super) opt: &'m Opt,
    cache: KeyValueCache,
}

/// A text so far: its tokens in the cache, and the inputs, (rows, hidden), that come after them.
#[derive(Clone, Debug, Default)]
pub(super) struct OptHypothesis {
    pub(super) read: Sequence,
    pub(super) unread: Vec<f32>,
}

impl<'m> OptDecoder<'m> {
    pub(super) fn new(opt: &'m Opt) -> Self {
        Self { opt, cache: KeyValueCache::new(opt.layers.len(), opt.config.hidden_size) }
    }
}

impl Begin for OptDecoder<'_> {
    fn begin(&self, inputs: Vec<f32>) -> OptHypothesis {
        OptHypothesis { read: Sequence::default(), unread: inputs }
    }
}

impl Decoder for OptDecoder<'_> {
    type Hypothesis = OptHypothesis;

    fn room(&self, text: &OptHypothesis) -> anyhow::Result<usize> {
        let (length, context) = (text.read.len() + text.unread.len() / self.opt.hidden_size(), self.opt.context());
        anyhow::ensure!(
            length < context,
            "the prompt has {length} tokens with the picture's, but the model's context has only {context}: shorten it"
        );
        // The last token need not run through the model.
        Ok(context - length + 1)
    }

    /// All texts go through the model together, so that the weights are read once.
    fn next_scores(&mut self, texts: &mut [&mut OptHypothesis], go_on: GoOn) -> anyhow::Result<Option<Vec<f32>>> {
        let size = self.opt.hidden_size();
        let (mut inputs, mut of, mut last) = (Vec::new(), Vec::new(), Vec::new());
        for (n, text) in texts.iter().enumerate() {
            inputs.extend_from_slice(&text.unread);
            of.resize(inputs.len() / size, n);
            last.push(of.len().saturating_sub(1));
        }
        let before: Vec<usize> = texts.iter().map(|text| text.read.len()).collect();
        let mut sequences: Vec<&mut Sequence> = texts.iter_mut().map(|text| &mut text.read).collect();
        let Some(states) = self.opt.forward(&mut self.cache, &mut sequences, &of, inputs, go_on)? else {
            sequences.into_iter().zip(before).for_each(|(sequence, len)| sequence.truncate(len));
            return Ok(None);
        };
        texts.iter_mut().for_each(|text| text.unread.clear());
        Ok(Some(self.opt.logits(&gather(&states, size, last)?)))
    }

    fn push(&self, text: &mut OptHypothesis, token: u32) -> anyhow::Result<()> {
        text.unread.extend(self.opt.embed(&[token])?);
        Ok(())
    }

    fn keep<'a>(&mut self, texts: impl IntoIterator<Item = &'a OptHypothesis>) {
        self.cache.keep(texts.into_iter().map(|text| &text.read));
    }

    fn vocabulary(&self) -> usize {
        self.opt.head.rows()
    }
}

/// Copies the states of single rows.
fn gather(states: &[f32], size: usize, rows: impl IntoIterator<Item = usize>) -> anyhow::Result<Vec<f32>> {
    let mut out = Vec::new();
    for row in rows {
        out.extend_from_slice(states.get(row * size..(row + 1) * size).context("a row that does not exist")?);
    }
    Ok(out)
}
