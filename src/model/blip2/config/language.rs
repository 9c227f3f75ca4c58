//! What config.json says of the language model.

use super::T5_CONTEXT;
use crate::model::compute::ops::Activation;
use candle_transformers::models::t5::ActivationWithOptionalGating;
use serde::Deserialize;

#[derive(Deserialize, Clone, Debug)]
#[serde(default)]
pub(in crate::model::blip2) struct OptConfig {
    pub(in crate::model::blip2) vocab_size: usize,
    pub(in crate::model::blip2) hidden_size: usize,
    pub(in crate::model::blip2) num_hidden_layers: usize,
    pub(in crate::model::blip2) ffn_dim: usize,
    pub(in crate::model::blip2) max_position_embeddings: usize,
    pub(in crate::model::blip2) do_layer_norm_before: bool,
    #[serde(rename = "_remove_final_layer_norm")]
    pub(in crate::model::blip2) remove_final_layer_norm: bool,
    /// The hidden size if the file does not name it.
    pub(in crate::model::blip2) word_embed_proj_dim: Option<usize>,
    pub(in crate::model::blip2) num_attention_heads: usize,
    pub(in crate::model::blip2) activation_function: String,
    pub(in crate::model::blip2) bos_token_id: u32,
    pub(in crate::model::blip2) eos_token_id: SpecialTokens,
    pub(in crate::model::blip2) enable_bias: bool,
    pub(in crate::model::blip2) layer_norm_elementwise_affine: bool,
    pub(in crate::model::blip2) tie_word_embeddings: bool,
}

#[derive(Deserialize, Clone, Debug)]
#[serde(default)]
pub(in crate::model::blip2) struct T5Config {
    pub(in crate::model::blip2) vocab_size: usize,
    pub(in crate::model::blip2) d_model: usize,
    pub(in crate::model::blip2) d_kv: usize,
    pub(in crate::model::blip2) d_ff: usize,
    pub(in crate::model::blip2) num_layers: usize,
    /// As many as the encoder has if the file does not name it.
    pub(in crate::model::blip2) num_decoder_layers: Option<usize>,
    pub(in crate::model::blip2) num_heads: usize,
    pub(in crate::model::blip2) relative_attention_num_buckets: usize,
    pub(in crate::model::blip2) relative_attention_max_distance: usize,
    pub(in crate::model::blip2) layer_norm_epsilon: f64,
    feed_forward_proj: String,
    /// These two, which files may lack, overrule what the last one says.
    dense_act_fn: Option<String>,
    is_gated_act: Option<bool>,
    tie_word_embeddings: bool,
    scale_decoder_outputs: Option<bool>,
    bos_token_id: Option<u32>,
    pub(in crate::model::blip2) eos_token_id: SpecialTokens,
    pad_token_id: Option<u32>,
    decoder_start_token_id: Option<u32>,
}

impl OptConfig {
    /// Refuses what the model cannot do, with so many queries before a text.
    pub(in crate::model::blip2) fn check(&self, queries: usize) -> anyhow::Result<()> {
        // `transformers` cannot use such a model either: its projection has the hidden size.
        anyhow::ensure!(
            self.word_embed_proj_dim.is_none_or(|size| size == self.hidden_size),
            "token embeddings of another size than the hidden size are not supported"
        );
        anyhow::ensure!(self.max_position_embeddings > queries + 1, "the context has no room for a text");
        Activation::named(&self.activation_function).map(drop)
    }
}

impl T5Config {
    /// As [`OptConfig::check`].
    pub(in crate::model::blip2) fn check(&self, queries: usize) -> anyhow::Result<()> {
        let (buckets, furthest) = (self.relative_attention_num_buckets, self.relative_attention_max_distance);
        // The encoder halves the buckets for what is before and behind, and each half again for near and far.
        anyhow::ensure!(
            buckets.is_multiple_of(4) && furthest > buckets / 2,
            "{buckets} buckets for distances up to {furthest} are not supported"
        );
        anyhow::ensure!(queries + 1 < T5_CONTEXT, "the context has no room for a text");
        self.feed_forward().map(drop)
    }

    pub(in crate::model::blip2) fn num_decoder_layers(&self) -> usize {
        self.num_decoder_layers.unwrap_or(self.num_layers)
    }

    /// The activation of the feed-forward layers. Without a gate, candle has no other than ReLU.
    pub(in crate::model::blip2) fn feed_forward(&self) -> anyhow::Result<ActivationWithOptionalGating> {
        let (gated, named) = match self.feed_forward_proj.strip_prefix("gated-") {
            Some("gelu") => (true, "gelu_new"),
            Some(named) => (true, named),
            None => (false, self.feed_forward_proj.as_str()),
        };
        let (gated, named) = (self.is_gated_act.unwrap_or(gated), self.dense_act_fn.as_deref().unwrap_or(named));
        let activation = match (gated, Activation::named(named)?) {
            (true, Activation::Gelu) => candle_nn::Activation::Gelu,
            (true, Activation::GeluTanh) => candle_nn::Activation::NewGelu,
            (_, Activation::Relu) => candle_nn::Activation::Relu,
            _ => anyhow::bail!(
                "T5 with the activation {named:?} {} is not supported",
                if gated { "and a gate" } else { "without a gate" }
            ),
        };
        Ok(ActivationWithOptionalGating { gated, activation })
    }

    /// Whether the decoder's states are scaled before the last layer, as T5 did where that layer is the token table.
    pub(in crate::model::blip2) fn scales_states(&self) -> bool {
        self.scale_decoder_outputs.unwrap_or(self.tie_word_embeddings)
    }

    /// The token before the first one of every text.
    pub(in crate::model::blip2) fn decoder_start(&self) -> u32 {
        self.decoder_start_token_id.or(self.pad_token_id).unwrap_or(0)
    }

    /// What the encoder reads in place of a prompt if there is none.
    pub(in crate::model::blip2) fn no_prompt(&self) -> u32 {
        self.bos_token_id.unwrap_or(1)
    }
}

/// One token or several.
#[derive(Deserialize, Clone, Debug)]
#[serde(untagged)]
pub(in crate::model::blip2) enum SpecialTokens {
    One(u32),
    Many(Vec<u32>),
}

impl SpecialTokens {
    pub(in crate::model::blip2) fn first(&self) -> Option<u32> {
        self.clone().list().first().copied()
    }

    pub(in crate::model::blip2) fn contains(&self, token: Option<&u32>) -> bool {
        token.is_some_and(|token| self.clone().list().contains(token))
    }

    pub(in crate::model::blip2) fn list(self) -> Vec<u32> {
        match self {
            Self::One(token) => vec![token],
            Self::Many(tokens) => tokens,
        }
    }
}

impl Default for OptConfig {
    fn default() -> Self {
        Self {
            vocab_size: 50272,
            hidden_size: 768,
            num_hidden_layers: 12,
            ffn_dim: 3072,
            max_position_embeddings: 2048,
            do_layer_norm_before: true,
            remove_final_layer_norm: false,
            word_embed_proj_dim: None,
            num_attention_heads: 12,
            activation_function: "relu".into(),
            bos_token_id: 2,
            eos_token_id: SpecialTokens::One(2),
            enable_bias: true,
            layer_norm_elementwise_affine: true,
            tie_word_embeddings: true,
        }
    }
}

impl Default for T5Config {
    fn default() -> Self {
        Self {
            vocab_size: 32128,
            d_model: 512,
            d_kv: 64,
            d_ff: 2048,
            num_layers: 6,
            num_decoder_layers: None,
            num_heads: 8,
            relative_attention_num_buckets: 32,
            relative_attention_max_distance: 128,
            layer_norm_epsilon: 1e-6,
            feed_forward_proj: "relu".into(),
            dense_act_fn: None,
            is_gated_act: None,
            tie_word_embeddings: true,
            scale_decoder_outputs: None,
            bos_token_id: None,
            eos_token_id: SpecialTokens::One(1),
            pad_token_id: None,
            decoder_start_token_id: None,
        }
    }
}
