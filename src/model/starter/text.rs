//! all-MiniLM-L6-v2 (Reimers and Gurevych 2019, arXiv 1908.10084; MiniLM: Wang et al. 2020): a six-layer BERT whose
//! token states are averaged. The weights stay packed, as f16 matrices and int8 word embeddings, and are widened row by
//! row when they are used, so that a query starts at once.

use super::{DIM, Packed};
use crate::model::compute::ops::{dot, gelu};
use crate::model::labels::softmax;
use crate::model::{Tokens, normalize};
use anyhow::Context;
use half::f16;
use half::slice::HalfFloatSliceExt;
use rayon::prelude::*;
use tokenizers::Tokenizer;

const LAYERS: usize = 6;
const HEADS: usize = 12;
const INTERMEDIATE: usize = 4 * DIM;
const EPS: f32 = 1e-12;
/// How many tokens of a text are used; the rest is cut off.
const MAX_TOKENS: usize = 256;
/// How many rows of a matrix one task multiplies.
const ROWS: usize = 32;

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

/// `weight` is (outputs, inputs).
struct PackedLinear {
    weight: &'static [f16],
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
            let weight = packed.f16(&format!("text.{name}.weight"))?;
            let bias = packed.f32(&format!("text.{name}.bias"))?;
            anyhow::ensure!(weight.len() == outputs * inputs && bias.len() == outputs, "the built-in weight {name}");
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

    /// The sentence embedding: a unit vector of 384 numbers.
    pub(super) fn sentence(&self, text: &str) -> anyhow::Result<Vec<f32>> {
        let mut x = self.embeddings(&self.tokens(text)?.ids)?;
        for layer in &self.layers {
            layer.apply(&mut x);
        }
        let mut mean = vec![0.0; DIM];
        for state in x.chunks_exact(DIM) {
            mean.iter_mut().zip(state).for_each(|(m, s)| *m += s);
        }
        normalize(&mut mean);
        Ok(mean)
    }

    fn embeddings(&self, ids: &[u32]) -> anyhow::Result<Vec<f32>> {
        let mut x = Vec::with_capacity(ids.len() * DIM);
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
        self.norm.apply(&mut x);
        Ok(x)
    }
}

impl MiniLmLayer {
    fn apply(&self, x: &mut [f32]) {
        let mut attended = self.output.apply(&self.attention(x));
        attended.iter_mut().zip(&*x).for_each(|(a, x)| *a += x);
        self.attention_norm.apply(&mut attended);
        let mut wide = self.intermediate.apply(&attended);
        wide.iter_mut().for_each(|v| *v = gelu(*v));
        x.copy_from_slice(&self.narrow.apply(&wide));
        x.iter_mut().zip(&attended).for_each(|(x, a)| *x += a);
        self.norm.apply(x);
    }

    fn attention(&self, x: &[f32]) -> Vec<f32> {
        const HEAD: usize = DIM / HEADS;
        let (queries, keys, values) = (self.query.apply(x), self.key.apply(x), self.value.apply(x));
        let mut out = vec![0.0; x.len()];
        for (token, out) in out.chunks_exact_mut(DIM).enumerate() {
            for (head, out) in out.chunks_exact_mut(HEAD).enumerate() {
                let part = |token: usize| token * DIM + head * HEAD..token * DIM + (head + 1) * HEAD;
                let query = &queries[part(token)];
                let scores: Vec<f32> =
                    (0..x.len() / DIM).map(|other| dot(query, &keys[part(other)]) / (HEAD as f32).sqrt()).collect();
                for (other, weight) in softmax(&scores).into_iter().enumerate() {
                    let value = &values[part(other)];
                    out.iter_mut().zip(value).for_each(|(o, v)| *o += weight * v);
                }
            }
        }
        out
    }
}

impl PackedLinear {
    /// Maps (tokens, inputs) to (tokens, outputs).
    fn apply(&self, x: &[f32]) -> Vec<f32> {
        let (outputs, inputs) = (self.bias.len(), self.weight.len() / self.bias.len());
        let tokens = x.len() / inputs;
        let mut columns = vec![0.0; outputs * tokens];
        let tasks = columns
            .par_chunks_mut(ROWS * tokens)
            .zip(self.weight.par_chunks(ROWS * inputs))
            .zip(self.bias.par_chunks(ROWS));
        tasks.for_each(|((columns, weight), bias)| {
            let mut row = vec![0.0; inputs];
            for ((column, packed), bias) in columns.chunks_exact_mut(tokens).zip(weight.chunks_exact(inputs)).zip(bias)
            {
                packed.convert_to_f32_slice(&mut row);
                for (out, state) in column.iter_mut().zip(x.chunks_exact(inputs)) {
                    *out = dot(&row, state) + bias;
                }
            }
        });
        (0..tokens).flat_map(|token| (0..outputs).map(move |o| o * tokens + token)).map(|at| columns[at]).collect()
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
