//! all-MiniLM-L6-v2 (Reimers and Gurevych 2019, arXiv 1908.10084; MiniLM: Wang et al. 2020): a six-layer BERT whose
//! token states are averaged. The weights stay packed, as f16 matrices and int8 word embeddings, and are widened piece by
//! piece when they are used, so that a query starts at once. All results have the same bits on every processor.

use super::{DIM, Packed};
use crate::model::compute::attention::attend_to_some;
use crate::model::compute::matrix::{Dtype, Matrix};
use crate::model::compute::ops::{self, Activation};
use crate::model::{Tokens, normalize};
use anyhow::Context;
use half::f16;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;
use tokenizers::Tokenizer;

const LAYERS: usize = 6;
const HEADS: usize = 12;
const INTERMEDIATE: usize = 4 * DIM;
const EPS: f32 = 1e-12;
/// How many tokens of a text are used; the rest is cut off.
const MAX_TOKENS: usize = 256;
/// Texts that go through the layers together, so that the weights are widened once for them.
const BATCH: usize = 32;

pub(super) struct MiniLm {
    tokenizer: Tokenizer,
    words: &'static [i8],
    word_scales: &'static [f32],
    positions: &'static [f16],
    kind: &'static [f16],
    norm: PackedNorm,
    layers: Vec<MiniLmLayer>,
}

struct MiniLmLayer {
    query: PackedLinear,
    key: PackedLinear,
    value: PackedLinear,
    output: PackedLinear,
    attention_norm: PackedNorm,
    intermediate: PackedLinear,
    narrow: PackedLinear,
    norm: PackedNorm,
}

struct PackedLinear {
    /// (outputs, inputs)
    weight: Matrix,
    bias: &'static [f32],
}

struct PackedNorm {
    weight: &'static [f32],
    bias: &'static [f32],
}

impl MiniLm {
    pub(super) fn load(packed: &Packed, tokenizer: &[u8]) -> anyhow::Result<Self> {
        let mut tokenizer = Tokenizer::from_bytes(tokenizer).map_err(|e| anyhow::anyhow!("built-in tokenizer: {e}"))?;
        let truncation = tokenizers::TruncationParams { max_length: MAX_TOKENS, ..Default::default() };
        tokenizer.with_padding(None).with_truncation(Some(truncation)).map_err(|e| anyhow::anyhow!("{e}"))?;
        let linear = |name: &str, outputs: usize, inputs: usize| -> anyhow::Result<PackedLinear> {
            let bytes = packed.bytes(&format!("text.{name}.weight"))?;
            let weight = Matrix::new(Arc::new(bytes), 0..bytes.len(), Dtype::F16, outputs, inputs)?;
            let bias = packed.f32(&format!("text.{name}.bias"))?;
            anyhow::ensure!(bias.len() == outputs, "the built-in bias {name}");
            Ok(PackedLinear { weight, bias })
        };
        let norm = |name: &str| -> anyhow::Result<PackedNorm> {
            let (weight, bias) =
                (packed.f32(&format!("text.{name}.weight"))?, packed.f32(&format!("text.{name}.bias"))?);
            Ok(PackedNorm { weight, bias })
        };
        let layer = |n: usize| -> anyhow::Result<MiniLmLayer> {
            let name = |part: &str| format!("encoder.layer.{n}.{part}");
            Ok(MiniLmLayer {
                query: linear(&name("attention.self.query"), DIM, DIM)?,
                key: linear(&name("attention.self.key"), DIM, DIM)?,
                value: linear(&name("attention.self.value"), DIM, DIM)?,
                output: linear(&name("attention.output.dense"), DIM, DIM)?,
                attention_norm: norm(&name("attention.output.LayerNorm"))?,
                intermediate: linear(&name("intermediate.dense"), INTERMEDIATE, DIM)?,
                narrow: linear(&name("output.dense"), DIM, INTERMEDIATE)?,
                norm: norm(&name("output.LayerNorm"))?,
            })
        };
        Ok(Self {
            tokenizer,
            words: packed.i8("text.embeddings.word_embeddings.weight")?,
            word_scales: packed.f32("text.embeddings.word_embeddings.scale")?,
            positions: packed.f16("text.embeddings.position_embeddings.weight")?,
            kind: packed.f16("text.embeddings.token_type_embeddings.weight")?,
            norm: norm("embeddings.LayerNorm")?,
            layers: (0..LAYERS).map(layer).collect::<anyhow::Result<_>>()?,
        })
    }

    pub(super) fn tokens(&self, text: &str) -> anyhow::Result<Tokens> {
        let encoding =
            self.tokenizer.encode(text, true).map_err(|e| anyhow::anyhow!("this text cannot be tokenized: {e}"))?;
        Ok(Tokens { ids: encoding.get_ids().to_vec(), tokens: encoding.get_tokens().to_vec() })
    }

    /// The sentence embeddings: unit vectors of 384 numbers.
    pub(super) fn sentences(&self, texts: &[String]) -> anyhow::Result<Vec<Vec<f32>>> {
        let of_batches = texts.par_chunks(BATCH).map(|texts| self.batch(texts)).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(of_batches.concat())
    }

    fn batch(&self, texts: &[String]) -> anyhow::Result<Vec<Vec<f32>>> {
        let (mut x, mut tokens) = (Vec::new(), Vec::new());
        for text in texts {
            let first = x.len() / DIM;
            self.add_embeddings(&self.tokens(text)?.ids, &mut x)?;
            tokens.push(first..x.len() / DIM);
        }
        self.norm.apply(&mut x);
        for layer in &self.layers {
            layer.apply(&mut x, &tokens);
        }
        let mean = |tokens: Range<usize>| {
            let mut mean = vec![0.0; DIM];
            for state in x[tokens.start * DIM..tokens.end * DIM].chunks_exact(DIM) {
                mean.iter_mut().zip(state).for_each(|(m, s)| *m += s);
            }
            normalize(&mut mean);
            mean
        };
        Ok(tokens.into_iter().map(mean).collect())
    }

    /// Adds what the layers get for these tokens, before it is normalised.
    fn add_embeddings(&self, ids: &[u32], x: &mut Vec<f32>) -> anyhow::Result<()> {
        for (place, &id) in ids.iter().enumerate() {
            let id = id as usize;
            let word = self.words.get(id * DIM..(id + 1) * DIM).context("a token without an embedding")?;
            let scale = self.word_scales.get(id).context("a token without an embedding")?;
            let position = self.positions.get(place * DIM..(place + 1) * DIM).context("a text that is too long")?;
            x.extend(
                word.iter()
                    .zip(position)
                    .zip(self.kind)
                    .map(|((w, p), k)| f32::from(*w) * scale + p.to_f32() + k.to_f32()),
            );
        }
        Ok(())
    }
}

impl MiniLmLayer {
    /// `x` is (tokens, 384), of texts of which each has a range of them.
    fn apply(&self, x: &mut [f32], texts: &[Range<usize>]) {
        let mut attended = self.output.apply(&self.attention(x, texts), Activation::None);
        ops::add_rows(&mut attended, x);
        self.attention_norm.apply(&mut attended);
        let wide = self.intermediate.apply(&attended, Activation::Gelu);
        x.copy_from_slice(&self.narrow.apply(&wide, Activation::None));
        ops::add_rows(x, &attended);
        self.norm.apply(x);
    }

    /// Each token sees all of its text.
    fn attention(&self, x: &[f32], texts: &[Range<usize>]) -> Vec<f32> {
        const HEAD: usize = DIM / HEADS;
        let project = |linear: &PackedLinear| linear.apply(x, Activation::None);
        let (queries, keys, values) = (project(&self.query), project(&self.key), project(&self.value));
        let mut out = vec![0.0; x.len()];
        let mut scores = Vec::new();
        for text in texts {
            for (token, head) in text.clone().flat_map(|token| (0..HEADS).map(move |head| (token, head))) {
                let part = |token: usize| token * DIM + head * HEAD..token * DIM + (head + 1) * HEAD;
                let seen = text.clone().map(|other| (&keys[part(other)], &values[part(other)]));
                let scale = 1.0 / (HEAD as f32).sqrt();
                attend_to_some(&queries[part(token)], seen, scale, &mut scores, &mut out[part(token)]);
            }
        }
        out
    }
}

impl PackedLinear {
    /// Maps (tokens, inputs) to (tokens, outputs).
    fn apply(&self, x: &[f32], activation: Activation) -> Vec<f32> {
        let mut out = self.weight.multiply_alike(x);
        ops::activate_rows(&mut out, Some(self.bias), self.bias.len(), activation);
        out
    }
}

impl PackedNorm {
    fn apply(&self, x: &mut [f32]) {
        for state in x.chunks_exact_mut(DIM) {
            let mean = state.iter().sum::<f32>() / DIM as f32;
            let variance = state.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / DIM as f32;
            let scale = 1.0 / (variance + EPS).sqrt();
            for ((v, w), b) in state.iter_mut().zip(self.weight).zip(self.bias) {
                *v = (*v - mean) * scale * w + b;
            }
        }
    }
}
