//! The language model T5 (Raffel et al. 2020, arXiv 1910.10683; `T5ForConditionalGeneration`, of which flan-t5 is one),
//! as candle-transformers has it: an encoder reads picture and prompt, a decoder writes.
//!
//! candle's differs from the reference in four places, all of which are settled by what it is given here:
//! - its encoder reads tokens only. It gets the inputs as its table of tokens, and the numbers of their rows as tokens;
//! - its decoder puts distances into buckets as the encoder does. Each distance gets a bucket of its own ([`distances`]);
//! - it makes tanh GELU of "gated-gelu", whatever else the configuration says ([`T5Config::feed_forward`]);
//! - where the last layer is the table of tokens, it multiplies by what `transformers` divides by.

use super::config::{T5_CONTEXT, T5Config};
use super::language::Begin;
use crate::model::compute::candle_weights::CandleWeights;
use crate::model::compute::layers::lookup;
use crate::model::compute::matrix::Matrix;
use crate::model::compute::weights::Weights;
use crate::model::generation::decoder::{Decoder, GoOn};
use candle_core::{Device, Tensor};
use candle_transformers::models::t5;
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// How the names of the language model's tensors begin.
const PREFIX: &str = "language_model.";
/// The table of the tokens' embeddings, under the names that it has in files.
const TABLES: [&str; 3] = ["shared.weight", "decoder.embed_tokens.weight", "encoder.embed_tokens.weight"];

pub(super) struct T5 {
    encoder: Mutex<Encoder>,
    /// A decoder that has read nothing.
    decoder: t5::T5ForConditionalGeneration,
    tokens: Matrix,
    /// Factor of the scores.
    scale: f32,
    start: u32,
}

struct Encoder {
    model: t5::T5EncoderModel,
    /// The inputs, (`T5_CONTEXT`, hidden), in the rows that the model takes for its table of tokens.
    inputs: Tensor,
}

impl T5 {
    pub(super) fn load(weights: &Weights, config: &T5Config) -> anyhow::Result<Self> {
        let named = |name: &str| format!("{PREFIX}{name}");
        let table = TABLES.into_iter().find(|name| weights.has(&named(name))).unwrap_or(TABLES[0]);
        let head = if weights.has(&named("lm_head.weight")) { "lm_head.weight" } else { table };
        let given = |stack: &str, is_decoder: bool| {
            let name = format!("{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
            anyhow::Ok((distances(weights, &named(&name), config, is_decoder)?, name))
        };
        let (behind_and_before, of_encoder) = given("encoder", false)?;
        let (behind, of_decoder) = given("decoder", true)?;
        let inputs = Tensor::zeros((T5_CONTEXT, config.d_model), candle_core::DType::F32, &Device::Cpu)?;
        let sizes = sizes(config)?;
        let encoder = CandleWeights::new(weights, named)
            .with(&of_encoder, behind_and_before)
            .with(TABLES[0], inputs.clone())
            .builder(&Device::Cpu);
        let rename = move |name: &str| match name {
            _ if name == TABLES[0] || name == TABLES[1] => format!("{PREFIX}{table}"),
            "lm_head.weight" => format!("{PREFIX}{head}"),
            name => format!("{PREFIX}{name}"),
        };
        let decoder = CandleWeights::new(weights, rename).with(&of_decoder, behind).builder(&Device::Cpu);
        // Only the other's encoder is used.
        let decoder_sizes =
            t5::Config { num_layers: 0, num_decoder_layers: Some(config.num_decoder_layers()), ..sizes.clone() };
        let encoder_sizes = t5::Config { vocab_size: T5_CONTEXT, ..sizes };
        Ok(Self {
            encoder: Mutex::new(Encoder { model: t5::T5EncoderModel::load(encoder, &encoder_sizes)?, inputs }),
            decoder: t5::T5ForConditionalGeneration::load(decoder, &decoder_sizes)?,
            tokens: weights.matrix(&named(table), &[config.vocab_size, config.d_model])?,
            scale: if config.scales_states() { 1.0 / (config.d_model as f32).sqrt() } else { 1.0 },
            start: config.decoder_start(),
        })
    }

    /// Bytes of memory that the language model needs besides the mapped files, and those of its weights in them: candle
    /// has copies of its own, in f32.
    pub(super) fn copied(weights: &Weights) -> (u64, u64) {
        let places = weights.names().into_iter().filter(|name| name.starts_with(PREFIX));
        places.filter_map(|name| weights.place(name)).fold((0, 0), |(copies, mapped), place| {
            let numbers = place.shape.iter().product::<usize>() as u64;
            (copies + 4 * numbers, mapped + place.size())
        })
    }

    /// The embeddings of tokens, (tokens, hidden).
    ///
    /// # Errors
    /// A token is not in the vocabulary.
    pub(super) fn embed(&self, tokens: &[u32]) -> anyhow::Result<Vec<f32>> {
        lookup(&self.tokens, tokens)
    }

    /// Numbers in a token's embedding.
    pub(super) fn hidden_size(&self) -> usize {
        self.tokens.columns()
    }

    /// The encoder's states of inputs, (1, rows, hidden), which have the inputs' shape.
    fn encode(&self, inputs: &[f32]) -> anyhow::Result<Tensor> {
        let rows = inputs.len() / self.hidden_size();
        let inputs = Tensor::from_slice(inputs, (rows, self.hidden_size()), &Device::Cpu)?;
        let mut encoder = self.encoder.lock().unwrap_or_else(PoisonError::into_inner);
        encoder.inputs.slice_set(&inputs, 0, 0)?;
        let numbers: Vec<u32> = (0..).take(rows).collect();
        Ok(encoder.model.forward(&Tensor::from_vec(numbers, (1, rows), &Device::Cpu)?)?)
    }
}

/// The sizes of a model as candle names them.
fn sizes(config: &T5Config) -> anyhow::Result<t5::Config> {
    Ok(t5::Config {
        vocab_size: config.vocab_size,
        d_model: config.d_model,
        d_kv: config.d_kv,
        d_ff: config.d_ff,
        num_layers: config.num_layers,
        num_heads: config.num_heads,
        relative_attention_num_buckets: 4 * T5_CONTEXT,
        layer_norm_epsilon: config.layer_norm_epsilon,
        feed_forward_proj: config.feed_forward()?,
        // The last layer is given to it in either case, and the scores are scaled here.
        tie_word_embeddings: false,
        use_cache: true,
        ..t5::Config::default()
    })
}

/// The attention biases of every distance, (4 * `T5_CONTEXT`, heads), from those of the model's buckets, (buckets,
/// heads): in this many buckets candle has one of its own for each distance, those behind a token first, then from the
/// middle on those before it.
fn distances(weights: &Weights, name: &str, config: &T5Config, is_decoder: bool) -> anyhow::Result<Tensor> {
    let (buckets, heads) = (config.relative_attention_num_buckets, config.num_heads);
    let biases = weights.vector(name, &[buckets, heads])?;
    let mut table = vec![0.0; 4 * T5_CONTEXT * heads];
    let rows = table.chunks_exact_mut(heads).zip((0..2 * T5_CONTEXT).chain(0..2 * T5_CONTEXT));
    for (n, (row, distance)) in rows.enumerate() {
        let bucket = match (is_decoder, n < 2 * T5_CONTEXT) {
            // Nothing is before the token that is written.
            (true, true) => bucket(distance, buckets, config.relative_attention_max_distance),
            (true, false) => continue,
            (false, true) => bucket(distance, buckets / 2, config.relative_attention_max_distance),
            (false, false) => buckets / 2 + bucket(distance, buckets / 2, config.relative_attention_max_distance),
        };
        row.copy_from_slice(&biases[bucket * heads..][..heads]);
    }
    Ok(Tensor::from_vec(table, (4 * T5_CONTEXT, heads), &Device::Cpu)?)
}

/// The bucket of a distance in one direction: half of the buckets for the nearest, the others ever wider
/// (`T5Attention._relative_position_bucket`).
fn bucket(distance: usize, buckets: usize, furthest: usize) -> usize {
    let exact = buckets / 2;
    if distance < exact {
        return distance;
    }
    let share = (distance as f32 / exact as f32).ln() / (furthest as f64 / exact as f64).ln() as f32;
    (exact + (share * (buckets - exact) as f32) as usize).min(buckets - 1)
}

/// Texts that are being written with T5.
pub(super) struct T5Decoder<'m>(pub(super) &'m T5);

/// A text so far.
#[derive(Clone)]
pub(super) struct T5Hypothesis {
    /// The picture and the prompt, (rows, hidden), until the encoder has read them.
    inputs: Vec<f32>,
    states: Option<Tensor>,
    /// With what it has read in its cache. Copies share that until they read more.
    decoder: t5::T5ForConditionalGeneration,
    next: u32,
}

impl Begin for T5Decoder<'_> {
    fn begin(&self, inputs: Vec<f32>) -> T5Hypothesis {
        T5Hypothesis { inputs, states: None, decoder: self.0.decoder.clone(), next: self.0.start }
    }
}

impl Decoder for T5Decoder<'_> {
    type Hypothesis = T5Hypothesis;

    fn room(&self, text: &T5Hypothesis) -> anyhow::Result<usize> {
        let length = text.inputs.len() / self.0.hidden_size();
        anyhow::ensure!(
            length <= T5_CONTEXT,
            "the prompt has {length} tokens with the picture's, but the model reads only {T5_CONTEXT}: shorten it"
        );
        Ok(T5_CONTEXT)
    }

    fn next_scores(&mut self, texts: &mut [&mut T5Hypothesis], go_on: GoOn) -> anyhow::Result<Option<Vec<f32>>> {
        // One after the other, because there is one encoder.
        for text in texts.iter_mut().filter(|text| text.states.is_none()) {
            if !go_on() {
                return Ok(None);
            }
            text.states = Some(self.0.encode(&text.inputs)?);
            text.inputs = Vec::new();
        }
        let decode = |text: &&mut T5Hypothesis| {
            let Some(states) = text.states.as_ref().filter(|_| go_on()) else { return Ok(None) };
            let mut decoder = text.decoder.clone();
            let next = Tensor::from_slice(&[text.next], (1, 1), &Device::Cpu)?;
            let scores = decoder.decode(&next, states)?.flatten_all()?.to_vec1::<f32>()?;
            anyhow::Ok(Some((scores, decoder)))
        };
        let read: Option<Vec<_>> = texts.par_iter().map(decode).collect::<anyhow::Result<_>>()?;
        let Some(read) = read else { return Ok(None) };
        let mut all = Vec::with_capacity(texts.len() * self.0.tokens.rows());
        for (text, (scores, decoder)) in texts.iter_mut().zip(read) {
            all.extend(scores.into_iter().map(|score| score * self.0.scale));
            text.decoder = decoder;
        }
        Ok(Some(all))
    }

    fn push(&self, text: &mut T5Hypothesis, token: u32) -> anyhow::Result<()> {
        anyhow::ensure!((token as usize) < self.0.tokens.rows(), "the model has no token {token}");
        text.next = token;
        Ok(())
    }

    fn vocabulary(&self) -> usize {
        self.0.tokens.rows()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `T5Attention._relative_position_bucket` of transformers 5.24.
    #[test]
    fn distances_have_the_buckets_of_the_reference() {
        let of = |buckets, distances: [usize; 13]| distances.map(|distance| bucket(distance, buckets, 128));
        let decoder = of(32, [0, 1, 15, 16, 17, 19, 20, 32, 64, 113, 127, 128, 1023]);
        assert_eq!(decoder, [0, 1, 15, 16, 16, 17, 17, 21, 26, 31, 31, 31, 31]);
        let encoder = of(16, [0, 1, 7, 8, 11, 12, 16, 32, 64, 91, 127, 128, 1023]);
        assert_eq!(encoder, [0, 1, 7, 8, 8, 9, 10, 12, 14, 15, 15, 15, 15]);
    }
}
