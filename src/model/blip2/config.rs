//! The configuration of a Blip2ForConditionalGeneration in the Hugging Face layout: config.json and
//! generation_config.json. Older files lack some keys; missing ones have the defaults of `transformers`.

use crate::model::compute::ops::Activation;
use crate::model::preprocess::read_json;
use anyhow::Context;
use serde::Deserialize;
use std::path::Path;

/// No part of a real model is larger; a hostile file must not make the program allocate all memory.
const MOST: usize = 1 << 16;
/// Maximum number of patches and of queries: attention needs the square of it.
const MOST_POSITIONS: usize = 4096;

#[derive(Deserialize, Clone, Debug)]
pub(super) struct Blip2Config {
    #[serde(default)]
    pub(super) model_type: String,
    #[serde(default)]
    architectures: Option<Vec<String>>,
    pub(super) vision_config: Blip2VisionConfig,
    pub(super) qformer_config: QFormerConfig,
    pub(super) text_config: OptConfig,
    /// 32 if the file does not name it, as in the published models.
    #[serde(default = "default_queries")]
    pub(super) num_query_tokens: usize,
}

fn default_queries() -> usize {
    32
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
}

#[derive(Deserialize, Clone, Debug)]
#[serde(default)]
pub(super) struct OptConfig {
    pub(super) model_type: String,
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) ffn_dim: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) do_layer_norm_before: bool,
    #[serde(rename = "_remove_final_layer_norm")]
    pub(super) remove_final_layer_norm: bool,
    /// The hidden size if the file does not name it.
    pub(super) word_embed_proj_dim: Option<usize>,
    pub(super) num_attention_heads: usize,
    pub(super) activation_function: String,
    pub(super) bos_token_id: u32,
    pub(super) eos_token_id: SpecialTokens,
    pub(super) enable_bias: bool,
    pub(super) layer_norm_elementwise_affine: bool,
    pub(super) tie_word_embeddings: bool,
}

/// One token or several.
#[derive(Deserialize, Clone, Debug)]
#[serde(untagged)]
pub(super) enum SpecialTokens {
    One(u32),
    Many(Vec<u32>),
}

impl SpecialTokens {
    fn list(self) -> Vec<u32> {
        match self {
            Self::One(token) => vec![token],
            Self::Many(tokens) => tokens,
        }
    }
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
        }
    }
}

impl Default for OptConfig {
    fn default() -> Self {
        Self {
            model_type: "opt".into(),
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

/// Whether a model of this type is a BLIP-2.
pub(super) fn is_blip2(model_type: &str) -> bool {
    matches!(model_type, "blip-2" | "blip_2")
}

impl Blip2Config {
    /// Reads and checks config.json.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let config: Self = read_json(path)?;
        let name = path.display();
        anyhow::ensure!(
            is_blip2(&config.model_type),
            "{name} describes a {:?} model, not a blip-2 one",
            config.model_type
        );
        let is_for_retrieval = |name: &String| name == "Blip2ForImageTextRetrieval";
        anyhow::ensure!(
            !config.architectures.iter().flatten().any(is_for_retrieval),
            "{name} describes a BLIP-2 that compares pictures with texts (Blip2ForImageTextRetrieval) and writes none, \
             which is not supported; Salesforce/blip2-opt-2.7b is"
        );
        let (vision, qformer, text) = (&config.vision_config, &config.qformer_config, &config.text_config);
        anyhow::ensure!(
            text.model_type == "opt",
            "{name}: its language model is {:?}; only BLIP-2 models with OPT are supported, such as \
             Salesforce/blip2-opt-2.7b",
            text.model_type
        );
        let sizes = [
            config.num_query_tokens,
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
            text.hidden_size,
            text.num_hidden_layers,
            text.ffn_dim,
            text.max_position_embeddings,
            text.num_attention_heads,
        ];
        anyhow::ensure!(sizes.iter().all(|n| (1..=MOST).contains(n)), "{name} holds a size that no model has");
        anyhow::ensure!((1..1 << 24).contains(&text.vocab_size), "{name} holds a vocabulary size that no model has");
        anyhow::ensure!(
            vision.hidden_size % vision.num_attention_heads == 0
                && qformer.hidden_size % qformer.num_attention_heads == 0
                && text.hidden_size % text.num_attention_heads == 0,
            "{name}: the attention heads do not divide the hidden size"
        );
        anyhow::ensure!(
            vision.patch_size <= vision.image_size
                && (vision.image_size / vision.patch_size).pow(2) <= MOST_POSITIONS
                && vision.image_size <= 4096
                && config.num_query_tokens <= MOST_POSITIONS,
            "{name}: patches of {} pixels in a picture of {}, with {} queries, are not supported",
            vision.patch_size,
            vision.image_size,
            config.num_query_tokens
        );
        anyhow::ensure!(
            qformer.encoder_hidden_size == vision.hidden_size,
            "{name}: the Q-Former expects {} numbers from the vision tower, which has {}",
            qformer.encoder_hidden_size,
            vision.hidden_size
        );
        // `transformers` cannot use such a model either: its projection has the hidden size.
        anyhow::ensure!(
            text.word_embed_proj_dim.is_none_or(|size| size == text.hidden_size),
            "{name}: token embeddings of another size than the hidden size are not supported"
        );
        anyhow::ensure!(
            text.max_position_embeddings > config.num_query_tokens + 1,
            "{name}: the context has no room for a text"
        );
        for act in [&vision.hidden_act, &qformer.hidden_act, &text.activation_function] {
            Activation::named(act).with_context(|| name.to_string())?;
        }
        Ok(config)
    }

    /// The tokens that end an answer: those of generation_config.json, or those of config.json if it names none.
    pub(super) fn end_tokens(&self, folder: &Path) -> anyhow::Result<Vec<u32>> {
        #[derive(Deserialize)]
        struct Generation {
            eos_token_id: Option<SpecialTokens>,
        }
        let path = folder.join("generation_config.json");
        let own = self.text_config.eos_token_id.clone();
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
        assert_eq!((config.num_query_tokens, config.text_config.ffn_dim), (32, 3072));
        assert_eq!((config.vision_config.num_hidden_layers, config.qformer_config.layer_norm_eps), (39, 1e-12));
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
            (r#"{"model_type":"t5"}"#, "blip2-opt-2.7b"),
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
