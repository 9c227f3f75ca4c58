//! The configuration of a BLIP-2 in the Hugging Face layout: config.json and generation_config.json. Older files lack
//! some keys; missing ones have the defaults of `transformers`.

mod language;

pub(super) use language::{OptConfig, T5Config};

use crate::model::compute::ops::Activation;
use crate::model::preprocess::read_json;
use anyhow::Context;
use language::SpecialTokens;
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;

/// No part of a real model is larger; a hostile file must not make the program allocate all memory.
const MOST: usize = 1 << 16;
/// Maximum number of patches and of queries: attention needs the square of it.
const MOST_POSITIONS: usize = 4096;
/// Tokens that T5 reads and writes at most. It has no limit of its own; it was trained with 512.
pub(super) const T5_CONTEXT: usize = 1024;

/// A BLIP-2: what all of them have, and what it is for.
#[derive(Clone, Debug)]
pub(super) struct Blip2Config {
    pub(super) vision: Blip2VisionConfig,
    pub(super) qformer: QFormerConfig,
    pub(super) num_query_tokens: usize,
    pub(super) purpose: Blip2Purpose,
}

/// What a BLIP-2 has behind its Q-Former.
#[derive(Clone, Debug)]
pub(super) enum Blip2Purpose {
    /// A language model with a decoder alone, which writes texts.
    Opt(OptConfig),
    /// A language model with an encoder and a decoder.
    T5(T5Config),
    /// Heads that compare a picture with a text, of which the contrastive one has vectors of this size.
    Retrieval(usize),
}

/// config.json, whose text_config has other keys for every language model.
#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default)]
    model_type: String,
    architectures: Option<Vec<String>>,
    vision_config: Blip2VisionConfig,
    qformer_config: QFormerConfig,
    text_config: Value,
    /// 32 if the file does not name it, as in the published models.
    #[serde(default = "default_queries")]
    num_query_tokens: usize,
    #[serde(default = "default_projection")]
    image_text_hidden_size: usize,
}

fn default_queries() -> usize {
    32
}

fn default_projection() -> usize {
    256
}

#[derive(Deserialize, Clone, Debug)]
#[serde(default)]
pub(super) struct Blip2VisionConfig {
    pub(super) hidden_size: usize,
    pub(super) intermediate_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) image_size: usize,
    pub(super) patch_size: usize,
    pub(super) hidden_act: String,
    pub(super) layer_norm_eps: f32,
    pub(super) qkv_bias: bool,
}

#[derive(Deserialize, Clone, Debug)]
#[serde(default)]
pub(super) struct QFormerConfig {
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    pub(super) hidden_act: String,
    pub(super) layer_norm_eps: f32,
    pub(super) cross_attention_frequency: usize,
    pub(super) encoder_hidden_size: usize,
    /// Of the texts that a model for retrieval reads.
    pub(super) vocab_size: usize,
    pub(super) max_position_embeddings: usize,
}

impl Default for Blip2VisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 1408,
            intermediate_size: 6144,
            num_hidden_layers: 39,
            num_attention_heads: 16,
            image_size: 224,
            patch_size: 14,
            hidden_act: "gelu".into(),
            layer_norm_eps: 1e-6,
            qkv_bias: true,
        }
    }
}

impl Default for QFormerConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: "gelu".into(),
            layer_norm_eps: 1e-12,
            cross_attention_frequency: 2,
            encoder_hidden_size: 1408,
            vocab_size: 30522,
            max_position_embeddings: 512,
        }
    }
}

/// Whether a model of this type is a BLIP-2.
pub(super) fn is_blip2(model_type: &str) -> bool {
    matches!(model_type, "blip-2" | "blip_2")
}

impl Blip2Config {
    /// Reads and checks config.json.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let file: ConfigFile = read_json(path)?;
        let name = path.display();
        anyhow::ensure!(is_blip2(&file.model_type), "{name} describes a {:?} model, not a blip-2 one", file.model_type);
        let is_for_retrieval = |name: &String| name == "Blip2ForImageTextRetrieval";
        let purpose = if file.architectures.iter().flatten().any(is_for_retrieval) {
            Blip2Purpose::Retrieval(file.image_text_hidden_size)
        } else {
            let kind = file.text_config.get("model_type").cloned().unwrap_or_else(|| "opt".into());
            let damaged = || format!("{name} is damaged: text_config");
            match kind.as_str() {
                Some("opt") => Blip2Purpose::Opt(serde_json::from_value(file.text_config).with_context(damaged)?),
                Some("t5") => Blip2Purpose::T5(serde_json::from_value(file.text_config).with_context(damaged)?),
                _ => anyhow::bail!(
                    "{name}: its language model is {kind}; only BLIP-2 models with OPT and T5 are supported, such as \
                     Salesforce/blip2-opt-2.7b and Salesforce/blip2-flan-t5-xl"
                ),
            }
        };
        let config = Self {
            vision: file.vision_config,
            qformer: file.qformer_config,
            num_query_tokens: file.num_query_tokens,
            purpose,
        };
        config.check().with_context(|| name.to_string())?;
        Ok(config)
    }

    /// Refuses sizes that no model has, and what the towers cannot do.
    fn check(&self) -> anyhow::Result<()> {
        let (vision, qformer) = (&self.vision, &self.qformer);
        let mut sizes = vec![
            self.num_query_tokens,
            vision.hidden_size,
            vision.intermediate_size,
            vision.num_hidden_layers,
            vision.num_attention_heads,
            vision.image_size,
            vision.patch_size,
            qformer.hidden_size,
            qformer.num_hidden_layers,
            qformer.num_attention_heads,
            qformer.intermediate_size,
            qformer.cross_attention_frequency,
        ];
        sizes.extend(match &self.purpose {
            Blip2Purpose::Opt(text) => vec![
                text.hidden_size,
                text.num_hidden_layers,
                text.ffn_dim,
                text.max_position_embeddings,
                text.num_attention_heads,
            ],
            Blip2Purpose::T5(text) => vec![
                text.d_model,
                text.d_kv,
                text.d_ff,
                text.num_layers,
                text.num_decoder_layers(),
                text.num_heads,
                text.num_heads.saturating_mul(text.d_kv),
                text.relative_attention_num_buckets,
                text.relative_attention_max_distance,
            ],
            Blip2Purpose::Retrieval(projection) => vec![*projection, qformer.max_position_embeddings],
        });
        anyhow::ensure!(sizes.iter().all(|n| (1..=MOST).contains(n)), "it holds a size that no model has");
        let vocabulary = match &self.purpose {
            Blip2Purpose::Opt(text) => text.vocab_size,
            Blip2Purpose::T5(text) => text.vocab_size,
            Blip2Purpose::Retrieval(_) => qformer.vocab_size,
        };
        anyhow::ensure!((1..1 << 24).contains(&vocabulary), "it holds a vocabulary size that no model has");
        let mut heads =
            vec![(vision.hidden_size, vision.num_attention_heads), (qformer.hidden_size, qformer.num_attention_heads)];
        if let Blip2Purpose::Opt(text) = &self.purpose {
            heads.push((text.hidden_size, text.num_attention_heads));
        }
        anyhow::ensure!(
            heads.iter().all(|(hidden, heads)| hidden % heads == 0),
            "the attention heads do not divide the hidden size"
        );
        anyhow::ensure!(
            vision.patch_size <= vision.image_size
                && (vision.image_size / vision.patch_size).pow(2) <= MOST_POSITIONS
                && vision.image_size <= 4096
                && self.num_query_tokens <= MOST_POSITIONS,
            "patches of {} pixels in a picture of {}, with {} queries, are not supported",
            vision.patch_size,
            vision.image_size,
            self.num_query_tokens
        );
        anyhow::ensure!(
            qformer.encoder_hidden_size == vision.hidden_size,
            "the Q-Former expects {} numbers from the vision tower, which has {}",
            qformer.encoder_hidden_size,
            vision.hidden_size
        );
        for act in [&vision.hidden_act, &qformer.hidden_act] {
            Activation::named(act)?;
        }
        match &self.purpose {
            Blip2Purpose::Opt(text) => text.check(self.num_query_tokens),
            Blip2Purpose::T5(text) => text.check(self.num_query_tokens),
            Blip2Purpose::Retrieval(_) => Ok(()),
        }
    }

    /// Maximum number of tokens in a prompt and, unless an encoder reads it, in what follows it.
    pub(super) fn context(&self) -> usize {
        let all = match &self.purpose {
            Blip2Purpose::Opt(text) => text.max_position_embeddings,
            Blip2Purpose::T5(_) => T5_CONTEXT,
            Blip2Purpose::Retrieval(_) => 0,
        };
        all.saturating_sub(self.num_query_tokens)
    }

    /// The tokens of a prompt for the language model, from those that the tokenizer makes of it with its special
    /// tokens.
    pub(super) fn prompt(&self, mut tokens: Vec<u32>, is_empty: bool) -> Vec<u32> {
        match &self.purpose {
            // The start token first.
            Blip2Purpose::Opt(text) if tokens.first() != Some(&text.bos_token_id) => {
                tokens.insert(0, text.bos_token_id)
            }
            Blip2Purpose::T5(text) if is_empty => tokens = vec![text.no_prompt()],
            Blip2Purpose::T5(text) if !text.eos_token_id.contains(tokens.last()) => {
                tokens.extend(text.eos_token_id.first())
            }
            _ => {}
        }
        tokens
    }

    /// The tokens that end an answer: those of generation_config.json, or those of config.json if it names none.
    pub(super) fn end_tokens(&self, folder: &Path) -> anyhow::Result<Vec<u32>> {
        #[derive(Deserialize)]
        struct Generation {
            eos_token_id: Option<SpecialTokens>,
        }
        let path = folder.join("generation_config.json");
        let own = match &self.purpose {
            Blip2Purpose::Opt(text) => text.eos_token_id.clone(),
            Blip2Purpose::T5(text) => text.eos_token_id.clone(),
            Blip2Purpose::Retrieval(_) => SpecialTokens::Many(Vec::new()),
        };
        let tokens = if path.is_file() { read_json::<Generation>(&path)?.eos_token_id.unwrap_or(own) } else { own };
        let tokens = tokens.list();
        anyhow::ensure!(
            !tokens.is_empty() && tokens.len() <= 16,
            "{} end tokens in {}, not 1 to 16",
            tokens.len(),
            path.display()
        );
        Ok(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_older_files_lack_is_what_the_reference_assumes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        let old = r#"{"model_type":"blip-2","vision_config":{},"qformer_config":{},
            "text_config":{"model_type":"opt","hidden_size":2560,"num_attention_heads":32,"eos_token_id":50118}}"#;
        std::fs::write(&path, old).unwrap();
        let config = Blip2Config::read(&path).unwrap();
        let Blip2Purpose::Opt(text) = &config.purpose else { panic!("{config:?}") };
        assert_eq!((config.num_query_tokens, text.ffn_dim), (32, 3072));
        assert_eq!((config.vision.num_hidden_layers, config.qformer.layer_norm_eps), (39, 1e-12));
        assert_eq!(config.end_tokens(dir.path()).unwrap(), [50118]);
        std::fs::write(dir.path().join("generation_config.json"), r#"{"eos_token_id":[7,9]}"#).unwrap();
        assert_eq!(config.end_tokens(dir.path()).unwrap(), [7, 9]);
    }

    #[test]
    fn models_that_are_none_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        let write = |json: &str| std::fs::write(&path, json).unwrap();
        for (vision, queries) in
            [(r#"{"image_size":512,"patch_size":1}"#, 32), ("{}", 60_000), (r#"{"patch_size":225}"#, 32)]
        {
            write(&format!(
                r#"{{"model_type":"blip-2","num_query_tokens":{queries},"vision_config":{vision},"qformer_config":{{}},"text_config":{{"max_position_embeddings":65000}}}}"#
            ));
            let error = format!("{:#}", Blip2Config::read(&path).unwrap_err());
            assert!(error.contains("queries, are not supported"), "{error}");
        }
        for (text, what) in [
            (r#"{"model_type":"llama"}"#, "blip2-opt-2.7b"),
            (r#"{"model_type":7}"#, "blip2-opt-2.7b"),
            (r#"{"model_type":"t5","d_model":"x"}"#, "text_config"),
            (r#"{"model_type":"t5","d_kv":60000,"num_heads":60000}"#, "no model has"),
            (r#"{"model_type":"t5","relative_attention_num_buckets":2}"#, "2 buckets"),
            (r#"{"model_type":"t5","relative_attention_max_distance":16}"#, "distances up to 16"),
            (r#"{"model_type":"t5","feed_forward_proj":"gelu"}"#, "without a gate"),
            (r#"{"model_type":"t5","feed_forward_proj":"gated-swish"}"#, "activation"),
            (r#"{"hidden_size":0}"#, "no model has"),
            (r#"{"hidden_size":100000000000}"#, "no model has"),
            (r#"{"num_attention_heads":7}"#, "heads"),
            (r#"{"vocab_size":4000000000}"#, "vocabulary"),
            (r#"{"word_embed_proj_dim":512}"#, "embeddings of another size"),
            (r#"{"max_position_embeddings":33}"#, "no room"),
        ] {
            let all = r#"{"model_type":"blip-2","vision_config":{},"qformer_config":{},"text_config":"#;
            write(&format!("{all}{text}}}"));
            let error = format!("{:#}", Blip2Config::read(&path).unwrap_err());
            assert!(error.contains(what), "{error}");
        }
    }
}
