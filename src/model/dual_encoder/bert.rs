//! Text towers that are BERTs (Devlin et al. 2019, arXiv 1810.04805): Chinese-CLIP's and DistilBERT. The layers are
//! candle-transformers'; the tables, which are large, are read where they are mapped.

use super::config::{BertNaming, TextConfig, TextPooling, TowerSizes};
use super::tower::{EncodeTexts, Projection, by_length};
use crate::model::compute::candle_weights::CandleWeights;
use crate::model::compute::ops::{Activation, TensorNorm};
use crate::model::compute::weights::Weights;
use candle_core::Tensor;
use candle_transformers::models::bert;
use std::sync::Arc;

/// The names of the parts of DistilBERT's layers, after BERT's.
const DISTILBERT_PARTS: [(&str, &str); 8] = [
    ("attention.self.query", "attention.q_lin"),
    ("attention.self.key", "attention.k_lin"),
    ("attention.self.value", "attention.v_lin"),
    ("attention.output.dense", "attention.out_lin"),
    ("attention.output.LayerNorm", "sa_layer_norm"),
    ("intermediate.dense", "ffn.lin1"),
    ("output.dense", "ffn.lin2"),
    ("output.LayerNorm", "output_layer_norm"),
];

/// A BERT, and what makes an embedding of its states.
pub(super) struct BertTower {
    weights: Arc<Weights>,
    config: TextConfig,
    /// Before the names of the tables.
    tables: &'static str,
    norm: TensorNorm,
    layers: bert::BertEncoder,
    projection: Option<Projection>,
}

impl BertTower {
    pub(super) fn load(
        weights: Arc<Weights>,
        naming: BertNaming,
        config: &TextConfig,
        projection: Option<Projection>,
    ) -> anyhow::Result<Self> {
        let tables = match naming {
            BertNaming::TextModel => "text_model.embeddings",
            BertNaming::DistilBert => "embeddings",
        };
        let renamed = CandleWeights::new(&weights, move |name| in_file(naming, name));
        let layers = bert::BertEncoder::load(renamed.builder(weights.device()), &layer_config(&config.sizes)?)?;
        let sizes = &config.sizes;
        let norm = TensorNorm::load(&weights, &format!("{tables}.LayerNorm"), sizes.hidden, sizes.eps)?;
        Ok(Self { norm, layers, config: config.clone(), tables, projection, weights })
    }

    /// Rows of a table, (rows, hidden).
    fn rows(&self, table: &str, rows: &[u32]) -> anyhow::Result<Tensor> {
        let name = format!("{}.{table}.weight", self.tables);
        let length = self.weights.place(&name).and_then(|place| place.shape.first().copied()).unwrap_or_default();
        self.weights.rows(&name, [length, self.config.sizes.hidden], rows)
    }

    /// An error about what the tower computes.
    pub(super) fn damaged(&self, what: &str) -> anyhow::Error {
        self.weights.damaged(what)
    }

    /// Texts of one length.
    fn forward_batch(&self, texts: &[&[u32]]) -> anyhow::Result<Tensor> {
        let tokens = texts.first().map_or(0, |text| text.len());
        let hidden = self.config.sizes.hidden;
        let words = self.rows("word_embeddings", &texts.concat())?.reshape((texts.len(), tokens, hidden))?;
        let mut x = words.broadcast_add(&self.rows("position_embeddings", &(0..tokens as u32).collect::<Vec<_>>())?)?;
        if self.weights.has(&format!("{}.token_type_embeddings.weight", self.tables)) {
            x = x.broadcast_add(&self.rows("token_type_embeddings", &[0])?)?;
        }
        // All texts have one length: nothing is hidden from anything.
        let mask = Tensor::zeros((1, 1, 1, 1), x.dtype(), x.device())?;
        let states = self.layers.forward(&self.norm.apply(&x)?, &mask)?;
        let pooled = match self.config.pooling {
            TextPooling::Mean => states.mean(1)?,
            _ => states.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?,
        };
        Ok(self.projection.as_ref().map_or(Ok(pooled.clone()), |projection| projection.apply(&pooled))?)
    }
}

impl EncodeTexts for BertTower {
    fn forward(&self, texts: &[&[u32]]) -> anyhow::Result<Tensor> {
        self.config.check_lengths(texts)?;
        by_length(texts, |texts| self.forward_batch(texts))
    }
}

/// The name in the file of what candle-transformers calls `name`, such as layer.0.attention.self.query.weight.
fn in_file(naming: BertNaming, name: &str) -> String {
    if naming == BertNaming::TextModel {
        return format!("text_model.encoder.{name}");
    }
    let part = DISTILBERT_PARTS.iter().find(|(part, _)| name.contains(part));
    let name = part.map_or(name.to_owned(), |(part, own)| name.replacen(part, own, 1));
    format!("transformer.{name}")
}

fn layer_config(sizes: &TowerSizes) -> anyhow::Result<bert::Config> {
    Ok(bert::Config {
        hidden_size: sizes.hidden,
        num_hidden_layers: sizes.layers,
        num_attention_heads: sizes.heads,
        intermediate_size: sizes.intermediate,
        hidden_act: match sizes.activation {
            Activation::Gelu => bert::HiddenAct::Gelu,
            Activation::GeluTanh => bert::HiddenAct::GeluApproximate,
            Activation::Relu => bert::HiddenAct::Relu,
            other => anyhow::bail!("a BERT with the activation {other:?} is not supported"),
        },
        layer_norm_eps: sizes.eps.into(),
        ..bert::Config::default()
    })
}
