//! The language model: a decoder of the LLaMA family (Touvron et al. 2023, arXiv 2302.13971; `LlamaForCausalLM`,
//! `MistralForCausalLM`, the text model of `Qwen3VLForConditionalGeneration`) with a cache of keys and values.
//!
//! As in BLIP-2's OPT, tokens of any number of sequences go through it together, one row each, without padding.
//! candle's decoders copy their cache at every token, and know neither Q8_0 in mapped files nor positions of pictures.

use super::config::DecoderConfig;
use crate::model::compute::awake::awake;
use crate::model::compute::layers::{GatedMlp, Linear, RmsNorm, lookup};
use crate::model::compute::matrix::{Matrix, multiply_slices};
use crate::model::compute::ops::{self, Activation};
use crate::model::compute::weights::Weights;
use crate::model::generation::decoder::{Decoder, GoOn};
use crate::model::generation::key_values::{HeadQueries, KeyValueCache, Sequence};
use anyhow::Context;
use rayon::prelude::*;
use std::ops::Range;

/// Rows that go through the layers at once: a long prompt needs no more memory than this.
const ROWS_AT_ONCE: usize = 1024;
/// New rows of a sequence from which on attention is computed by products of matrices.
const MANY_ROWS: usize = 8;
/// Rows whose scores a task holds at once.
const SCORED_ROWS: usize = 64;

/// Where a token is: in time and, in a picture, its row and column. The three are equal for tokens of a text.
pub(super) type TokenPlace = [u32; 3];

pub(super) struct Llama {
    config: DecoderConfig,
    /// The angle of each pair of a head's numbers.
    angles: Vec<f32>,
    tokens: Matrix,
    layers: Vec<LlamaLayer>,
    norm: RmsNorm,
    head: Matrix,
}

struct LlamaLayer {
    attention_norm: RmsNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    /// Of the heads of queries and of keys.
    head_norms: Option<(RmsNorm, RmsNorm)>,
    norm: RmsNorm,
    mlp: GatedMlp,
}

/// What goes through the layers: rows of numbers, their places, and what is added to them after the first layers.
#[derive(Clone, Debug, Default)]
pub(super) struct LlamaRows {
    /// (rows, hidden)
    pub(super) states: Vec<f32>,
    pub(super) places: Vec<TokenPlace>,
    /// For each of the first layers, (rows, hidden); empty for texts.
    pub(super) deep: Vec<Vec<f32>>,
}

/// A text so far: its tokens in the cache, and what comes after them.
#[derive(Clone, Debug, Default)]
pub(super) struct LlamaText {
    pub(super) read: Sequence,
    pub(super) unread: LlamaRows,
    /// The place of the next token.
    pub(super) next: u32,
}

/// Texts that are being written.
pub(super) struct LlamaDecoder<'m> {
    pub(super) llama: &'m Llama,
    cache: KeyValueCache,
}

impl Llama {
    /// Loads the decoder whose tensors' names begin with `prefix`, and its last layer `head`.
    pub(super) fn load(weights: &Weights, config: &DecoderConfig, prefix: &str, head: &str) -> anyhow::Result<Self> {
        let DecoderConfig { hidden, intermediate, head: size, eps, attention_bias: bias, .. } = *config;
        let (queries, keys) = (config.heads * size, config.key_value_heads * size);
        let name = |part: &str| format!("{prefix}{part}");
        let layer = |n: usize| {
            let name = |part: &str| name(&format!("layers.{n}.{part}"));
            let norm = |part: &str, size| RmsNorm::load(weights, &name(part), size, eps);
            anyhow::Ok(LlamaLayer {
                attention_norm: norm("input_layernorm", hidden)?,
                query: Linear::load(weights, &name("self_attn.q_proj"), hidden, queries, bias)?,
                key: Linear::load(weights, &name("self_attn.k_proj"), hidden, keys, bias)?,
                value: Linear::load(weights, &name("self_attn.v_proj"), hidden, keys, bias)?,
                output: Linear::load(weights, &name("self_attn.o_proj"), queries, hidden, bias)?,
                head_norms: match config.head_norms {
                    true => Some((norm("self_attn.q_norm", size)?, norm("self_attn.k_norm", size)?)),
                    false => None,
                },
                norm: norm("post_attention_layernorm", hidden)?,
                mlp: GatedMlp::load(weights, &name("mlp"), (hidden, intermediate, hidden))?,
            })
        };
        let vocabulary = [config.vocabulary, hidden];
        let tokens = weights.matrix(&name("embed_tokens.weight"), &vocabulary)?;
        let head = if config.tied { tokens.clone() } else { weights.matrix(head, &vocabulary)? };
        Ok(Self {
            angles: config.rope.angles(size),
            tokens,
            layers: (0..config.layers).map(layer).collect::<anyhow::Result<_>>()?,
            norm: RmsNorm::load(weights, &name("norm"), hidden, eps)?,
            head,
            config: config.clone(),
        })
    }

    /// Numbers in a token's state, and in its embedding.
    pub(super) fn hidden_size(&self) -> usize {
        self.config.hidden
    }

    /// The embeddings of tokens, (tokens, hidden).
    ///
    /// # Errors
    /// A token is not in the vocabulary.
    pub(super) fn embed(&self, tokens: &[u32]) -> anyhow::Result<Vec<f32>> {
        lookup(&self.tokens, tokens)
    }

    /// Appends rows to sequences: row i to `sequences[of[i]]`, those of a sequence one after another. Returns the last
    /// layer's states, (rows, hidden); `None` if `go_on` stopped it between two layers, after which the caller must
    /// drop the appended tokens.
    ///
    /// # Errors
    /// A sequence outgrows the context.
    fn forward(
        &self,
        cache: &mut KeyValueCache,
        sequences: &mut [&mut Sequence],
        of: &[usize],
        rows: LlamaRows,
        go_on: GoOn,
    ) -> anyhow::Result<Option<Vec<f32>>> {
        // For each row, how many tokens of its sequence it sees, itself included.
        let mut seen = Vec::with_capacity(of.len());
        for sequence in of {
            seen.push(cache.append(sequences[*sequence], self.config.context)?);
        }
        let window = self.config.window.unwrap_or(usize::MAX);
        let context =
            |(sequence, seen): (&usize, &usize)| &sequences[*sequence].slots()[..*seen][seen.saturating_sub(window)..];
        let contexts: Vec<&[u32]> = of.iter().zip(&seen).map(context).collect();
        Ok(awake(|| self.run(cache, &contexts, of, rows, go_on)))
    }

    fn run(
        &self,
        cache: &mut KeyValueCache,
        contexts: &[&[u32]],
        of: &[usize],
        rows: LlamaRows,
        go_on: GoOn,
    ) -> Option<Vec<f32>> {
        let width = self.config.key_value_heads * self.config.head;
        let turns = self.turns(&rows.places);
        let mut x = rows.states;
        for (n, layer) in self.layers.iter().enumerate() {
            if !go_on() {
                return None;
            }
            let normed = layer.attention_norm.forward(&x);
            let [mut queries, mut keys, values] =
                Linear::forward_each([&layer.query, &layer.key, &layer.value], &normed);
            if let Some((of_queries, of_keys)) = &layer.head_norms {
                of_queries.apply(&mut queries);
                of_keys.apply(&mut keys);
            }
            self.turn(&mut queries, &turns);
            self.turn(&mut keys, &turns);
            for ((context, keys), values) in
                contexts.iter().zip(keys.chunks_exact(width)).zip(values.chunks_exact(width))
            {
                cache.store(n, context[context.len() - 1], keys, values);
            }
            layer.output.add_to(&mut x, &self.attend(cache, n, &queries, contexts, of));
            let inner = layer.mlp.forward(&layer.norm.forward(&x));
            ops::add_rows(&mut x, &inner);
            if let Some(deep) = rows.deep.get(n) {
                ops::add_rows(&mut x, deep);
            }
        }
        self.norm.apply(&mut x);
        Some(x)
    }

    /// The cosines and sines of each place's angles, (places, 2, head / 2).
    fn turns(&self, places: &[TokenPlace]) -> Vec<f32> {
        let mut turns = Vec::with_capacity(places.len() * self.config.head);
        // Which of a place's three numbers a pair's angle depends on: they are interleaved.
        let axis = |pair: usize| match self.config.rope.sections {
            Some([_, rows, _]) if pair % 3 == 1 && pair < 3 * rows => 1,
            Some([_, _, columns]) if pair % 3 == 2 && pair < 3 * columns => 2,
            _ => 0,
        };
        for place in places {
            let angle = |(pair, angle): (usize, &f32)| place[axis(pair)] as f32 * angle;
            turns.extend(self.angles.iter().enumerate().map(|pair| angle(pair).cos()));
            turns.extend(self.angles.iter().enumerate().map(|pair| angle(pair).sin()));
        }
        turns
    }

    /// Turns the heads of rows in place.
    fn turn(&self, x: &mut [f32], turns: &[f32]) {
        let head = self.config.head;
        let rows = turns.len() / head;
        if rows == 0 {
            return;
        }
        let width = x.len() / rows;
        x.par_chunks_mut(width).zip(turns.par_chunks(head)).with_min_len(16).for_each(|(row, turns)| {
            let (cosines, sines) = turns.split_at(head / 2);
            ops::rotate_halves(row, cosines, sines);
        });
    }

    /// The next-token scores, (rows, vocabulary).
    fn logits(&self, states: &[f32]) -> Vec<f32> {
        self.head.multiply(states, None, Activation::None)
    }

    /// Attention of each row to its context: (rows, heads * head).
    fn attend(
        &self,
        cache: &KeyValueCache,
        layer: usize,
        queries: &[f32],
        contexts: &[&[u32]],
        of: &[usize],
    ) -> Vec<f32> {
        let width = self.config.heads * self.config.head;
        let mut out = vec![0.0; queries.len()];
        let mut rest = out.as_mut_slice();
        let mut first = 0;
        for run in of.chunk_by(|a, b| a == b) {
            let rows = first..first + run.len();
            let (own, others) = std::mem::take(&mut rest).split_at_mut(run.len() * width);
            rest = others;
            first = rows.end;
            let queries = &queries[rows.start * width..rows.end * width];
            if run.len() >= MANY_ROWS && self.config.window.is_none_or(|window| window >= SCORED_ROWS) {
                self.attend_together(cache, layer, queries, &contexts[rows], own);
            } else {
                self.attend_each(cache, layer, queries, &contexts[rows], own);
            }
        }
        out
    }

    /// Attention of few rows, one head of keys of one row after another.
    fn attend_each(&self, cache: &KeyValueCache, layer: usize, queries: &[f32], contexts: &[&[u32]], out: &mut [f32]) {
        let (heads, size) = (self.config.key_value_heads, self.config.head);
        let shared = self.config.heads / heads * size;
        let scale = 1.0 / (size as f32).sqrt();
        // Enough heads per task to be worth it: a query costs some nanoseconds for each token.
        let longest = contexts.iter().map(|context| context.len()).max().unwrap_or(1);
        let heads_of_task = (3_000 * size / (longest * shared)).clamp(1, heads);
        let tasks = out.par_chunks_mut(shared).zip(queries.par_chunks(shared)).enumerate().with_min_len(heads_of_task);
        tasks.for_each_init(Vec::new, |scores, (n, (out, numbers))| {
            let queries = HeadQueries { numbers, size, first: n % heads * size, scale };
            cache.attend(layer, contexts[n / heads], queries, scores, out);
        });
    }

    /// Attention of many rows of one sequence, by products of matrices for each head of keys.
    fn attend_together(
        &self,
        cache: &KeyValueCache,
        layer: usize,
        queries: &[f32],
        contexts: &[&[u32]],
        out: &mut [f32],
    ) {
        let (heads, size) = (self.config.heads, self.config.head);
        let group = heads / self.config.key_value_heads;
        let parts: Vec<Range<usize>> = (0..contexts.len())
            .step_by(SCORED_ROWS)
            .map(|first| first..(first + SCORED_ROWS).min(contexts.len()))
            .collect();
        let tasks: Vec<(usize, Range<usize>)> = (0..self.config.key_value_heads)
            .flat_map(|head| parts.iter().map(move |rows| (head, rows.clone())))
            .collect();
        let made: Vec<Vec<f32>> = tasks
            .par_iter()
            .map(|(head, rows)| self.attend_part(cache, layer, queries, contexts, *head, rows.clone()))
            .collect();
        for ((head, rows), part) in tasks.iter().zip(made) {
            let places = rows.clone().flat_map(|row| (0..group).map(move |n| row * heads + head * group + n));
            for (place, numbers) in places.zip(part.chunks_exact(size)) {
                out[place * size..][..size].copy_from_slice(numbers);
            }
        }
    }

    /// The same for the queries of some rows that share a head of keys: (rows, queries of the head, size).
    fn attend_part(
        &self,
        cache: &KeyValueCache,
        layer: usize,
        queries: &[f32],
        contexts: &[&[u32]],
        head: usize,
        rows: Range<usize>,
    ) -> Vec<f32> {
        let (heads, size) = (self.config.heads, self.config.head);
        let group = heads / self.config.key_value_heads;
        // The last row sees all that the others see, but for what its window leaves behind.
        let (first, last) = (contexts[rows.start], contexts[rows.end - 1]);
        let ahead = rows.len() - 1;
        let left = (first.len() + ahead) - last.len();
        let seen: Vec<u32> = first[..left].iter().chain(last).copied().collect();
        let (keys, values) = cache.of_head(layer, &seen, head * size, size);
        let mut own = Vec::with_capacity(rows.len() * group * size);
        for row in rows.clone() {
            own.extend_from_slice(&queries[(row * heads + head * group) * size..][..group * size]);
        }
        let mut scores = multiply_slices(&own, &keys, size, None, Activation::None);
        let scale = 1.0 / (size as f32).sqrt();
        for (n, scores) in scores.chunks_exact_mut(seen.len()).enumerate() {
            let row = n / group;
            let end = first.len() + row;
            let start = end - contexts[rows.start + row].len();
            ops::softmax(&mut scores[start..end], end - start, scale);
            scores[..start].fill(0.0);
            scores[end..].fill(0.0);
        }
        multiply_slices(&scores, &values, seen.len(), None, Activation::None)
    }
}

impl LlamaRows {
    fn len(&self) -> usize {
        self.places.len()
    }

    /// Adds some rows of others; what is to be added after layers is zero where there is nothing.
    fn extend(&mut self, others: &Self, rows: Range<usize>, hidden: usize) {
        let numbers = rows.start * hidden..rows.end * hidden;
        let before = self.states.len();
        self.states.extend_from_slice(&others.states[numbers.clone()]);
        self.places.extend_from_slice(&others.places[rows]);
        while self.deep.len() < others.deep.len() {
            self.deep.push(vec![0.0; before]);
        }
        for (n, deep) in self.deep.iter_mut().enumerate() {
            match others.deep.get(n) {
                Some(new) => deep.extend_from_slice(&new[numbers.clone()]),
                None => deep.resize(self.states.len(), 0.0),
            }
        }
    }
}

impl<'m> LlamaDecoder<'m> {
    pub(super) fn new(llama: &'m Llama) -> Self {
        let width = llama.config.key_value_heads * llama.config.head;
        Self { llama, cache: KeyValueCache::new(llama.layers.len(), width) }
    }

    /// Reads what is new in each text, some rows at a time, and returns the states of the last row of each.
    fn read(&mut self, texts: &mut [&mut LlamaText], go_on: GoOn) -> anyhow::Result<Option<Vec<f32>>> {
        let hidden = self.llama.hidden_size();
        let counts: Vec<usize> = texts.iter().map(|text| text.unread.len()).collect();
        anyhow::ensure!(counts.iter().all(|count| *count > 0), "a text without anything new");
        let mut last = vec![0.0; texts.len() * hidden];
        // (text, its rows) in order, cut into pieces of a bounded number of rows.
        let (mut text, mut done) = (0, 0);
        while text < texts.len() {
            let (mut rows, mut of, mut ends) = (LlamaRows::default(), Vec::new(), Vec::new());
            while text < texts.len() && of.len() < ROWS_AT_ONCE {
                let more = (counts[text] - done).min(ROWS_AT_ONCE - of.len());
                rows.extend(&texts[text].unread, done..done + more, hidden);
                of.resize(of.len() + more, text);
                done += more;
                if done == counts[text] {
                    ends.push((text, of.len() - 1));
                    (text, done) = (text + 1, 0);
                }
            }
            let mut sequences: Vec<&mut Sequence> = texts.iter_mut().map(|text| &mut text.read).collect();
            let Some(states) = self.llama.forward(&mut self.cache, &mut sequences, &of, rows, go_on)? else {
                return Ok(None);
            };
            for (text, row) in ends {
                let state = states.get(row * hidden..(row + 1) * hidden).context("a row that does not exist")?;
                last[text * hidden..][..hidden].copy_from_slice(state);
            }
        }
        Ok(Some(last))
    }
}

impl Decoder for LlamaDecoder<'_> {
    type Hypothesis = LlamaText;

    fn room(&self, text: &LlamaText) -> anyhow::Result<usize> {
        let (length, context) = (text.read.len() + text.unread.len(), self.llama.config.context);
        anyhow::ensure!(
            length < context,
            "the prompt has {length} tokens with the picture's, but the model's context has only {context}: shorten it"
        );
        // The last token need not run through the model.
        Ok(context - length + 1)
    }

    /// All texts go through the model together, so that the weights are read once.
    fn next_scores(&mut self, texts: &mut [&mut LlamaText], go_on: GoOn) -> anyhow::Result<Option<Vec<f32>>> {
        let before: Vec<usize> = texts.iter().map(|text| text.read.len()).collect();
        let Some(states) = self.read(texts, go_on)? else {
            texts.iter_mut().zip(before).for_each(|(text, len)| text.read.truncate(len));
            return Ok(None);
        };
        texts.iter_mut().for_each(|text| text.unread = LlamaRows::default());
        Ok(Some(self.llama.logits(&states)))
    }

    fn push(&self, text: &mut LlamaText, token: u32) -> anyhow::Result<()> {
        text.unread.states.extend(self.llama.embed(&[token])?);
        text.unread.places.push([text.next; 3]);
        text.next += 1;
        Ok(())
    }

    fn keep<'a>(&mut self, texts: impl IntoIterator<Item = &'a LlamaText>) {
        self.cache.keep(texts.into_iter().map(|text| &text.read));
    }

    fn vocabulary(&self) -> usize {
        self.llama.head.rows()
    }
}
