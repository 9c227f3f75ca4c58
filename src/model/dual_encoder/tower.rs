//! The transformers of CLIP (Radford et al. 2021, arXiv 2103.00020), OpenCLIP and SigLIP (Zhai et al. 2023, arXiv
//! 2303.15343): the same layers with other names, activations and ends.

use super::attention_mask::AttentionMask;
use super::config::{Family, TextConfig, TextLayers, TextPooling, TowerSizes, VisionPooling, VitConfig};
use super::eight_bits::{self, EightBits, TowerBits};
use super::prefix_tree::PrefixTree;
use super::tensors::{AttentionNames, ProjectionName, TextNames, TowerNames, VisionNames};
use crate::model::compute::linear::{PackedAttention, PackedLinear, TensorLinear, add_packed_mlp, product};
use crate::model::compute::ops::{Activation, TensorNorm, add};
use crate::model::compute::weights::Weights;
use candle_core::{D, Device, Tensor};
use candle_nn::ops::softmax_last_dim;
use rayon::prelude::*;
use std::sync::Arc;

/// A text tower.
pub(super) trait EncodeTexts: Send + Sync {
    /// Maps texts, each with its special tokens, to (texts, dim), not normalised.
    ///
    /// # Errors
    /// A text is empty or too long, or a token has no embedding.
    fn forward(&self, texts: &[&[u32]]) -> anyhow::Result<Tensor>;
}

/// A vision tower.
pub(super) trait EncodePictures: Send + Sync {
    /// Maps pixels, (batch, 3, size, size), to (batch, dim), not normalised.
    ///
    /// # Errors
    /// Memory runs out on the device.
    fn forward(&self, pixels: &Tensor) -> candle_core::Result<Tensor>;
}

/// A linear layer of a tower.
pub(super) enum TowerLinear {
    /// As in the model's files, in f32.
    Exact(TensorLinear),
    /// In 8 bits.
    Small(PackedLinear),
}

pub(super) struct EncoderLayer {
    norm1: TensorNorm,
    /// Query, key and value side by side: one product instead of three.
    qkv: TowerLinear,
    out: TowerLinear,
    norm2: TensorNorm,
    mlp: Mlp,
    heads: usize,
}

struct Mlp {
    fc1: TowerLinear,
    fc2: TowerLinear,
    activation: Activation,
}

/// The files that a tower's layers are loaded from.
#[derive(Clone, Copy)]
pub(super) struct LayerSource<'a> {
    pub(super) weights: &'a Weights,
    /// What there is of them in 8 bits, and is used then.
    pub(super) small: Option<&'a EightBits>,
}

impl LayerSource<'_> {
    /// The layer `name` of the files, which has the name `key` in 8 bits.
    fn linear(self, key: &str, name: &str, inputs: usize, outputs: usize) -> anyhow::Result<TowerLinear> {
        let bias = || self.weights.tensor(&format!("{name}.bias"), &[outputs]);
        match self.small.map(|small| small.linear(key, [outputs, inputs], bias)).transpose()?.flatten() {
            Some(small) => Ok(small),
            None => Ok(TowerLinear::Exact(linear(self.weights, name, inputs, outputs)?)),
        }
    }
}

impl TowerLinear {
    fn apply_in(&self, room: Option<&Tensor>, x: &Tensor, activation: Activation) -> candle_core::Result<Tensor> {
        match self {
            Self::Exact(linear) => linear.apply_in(room, x, activation),
            Self::Small(linear) => linear.apply_in(room, x, activation),
        }
    }

    /// The results for what a norm makes of `x`.
    fn apply_normed(&self, room: Option<&Tensor>, x: &Tensor, norm: &TensorNorm) -> candle_core::Result<Tensor> {
        match self {
            Self::Exact(linear) => linear.apply_in(room, &norm.apply(x)?, Activation::None),
            Self::Small(linear) => linear.apply_normed(room, x, norm),
        }
    }

    /// `to` with the results added to it.
    fn add_to(&self, to: Tensor, x: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Exact(linear) => add(to, &linear.apply(x, Activation::None)?),
            Self::Small(linear) => linear.add_to(to, x),
        }
    }
}

/// Memory for the largest results of a layer, which the next one uses again.
#[derive(Default)]
pub(super) struct LayerRoom {
    qkv: Option<Tensor>,
    inner: Option<Tensor>,
}

/// Maps a state to an embedding.
pub(super) struct Projection {
    /// (numbers of an embedding, hidden)
    weight: Tensor,
    bias: Option<Tensor>,
}

/// Loads the layer `name`.
fn linear(weights: &Weights, name: &str, inputs: usize, outputs: usize) -> anyhow::Result<TensorLinear> {
    Ok(TensorLinear {
        weight: weights.tensor(&format!("{name}.weight"), &[outputs, inputs])?,
        bias: weights.tensor(&format!("{name}.bias"), &[outputs])?,
    })
}

impl TensorNorm {
    pub(super) fn load(weights: &Weights, name: &str, size: usize, eps: f32) -> anyhow::Result<Self> {
        let part = |part: &str| weights.tensor(&format!("{name}.{part}"), &[size]);
        Ok(Self { weight: part("weight")?, bias: part("bias")?, eps })
    }
}

impl Mlp {
    /// Loads the layers of these names, which have the `keys` in 8 bits.
    fn load(source: LayerSource, keys: [&str; 2], [fc1, fc2]: [&str; 2], sizes: &TowerSizes) -> anyhow::Result<Self> {
        Ok(Self {
            fc1: source.linear(keys[0], fc1, sizes.hidden, sizes.intermediate)?,
            fc2: source.linear(keys[1], fc2, sizes.intermediate, sizes.hidden)?,
            activation: sizes.activation,
        })
    }

    /// `x` with what the layers make of the normalised `x` added to it.
    fn add_to(&self, x: Tensor, norm: &TensorNorm, room: &mut Option<Tensor>) -> candle_core::Result<Tensor> {
        if let (TowerLinear::Small(fc1), TowerLinear::Small(fc2)) = (&self.fc1, &self.fc2) {
            return add_packed_mlp(x, norm, [fc1, fc2], self.activation);
        }
        let inner = self.fc1.apply_in(room.as_ref(), &norm.apply(&x)?, self.activation)?;
        self.fc2.add_to(x, room.insert(inner))
    }
}

impl Projection {
    /// (numbers of an embedding, hidden), without a bias.
    pub(super) fn new(weight: Tensor) -> Self {
        Self { weight, bias: None }
    }

    pub(super) fn load(
        weights: &Weights,
        name: &ProjectionName,
        hidden: usize,
        dim: usize,
    ) -> anyhow::Result<Option<Self>> {
        Ok(Some(match name {
            ProjectionName::None => return Ok(None),
            ProjectionName::Rows(name) => Self::new(weights.tensor(name, &[dim, hidden])?),
            ProjectionName::Columns(name) => Self::new(weights.tensor(name, &[hidden, dim])?.t()?.contiguous()?),
            ProjectionName::Linear(name) => {
                let TensorLinear { weight, bias } = linear(weights, name, hidden, dim)?;
                Self { weight, bias: Some(bias) }
            }
        }))
    }

    pub(super) fn apply(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let x = product(x, &self.weight)?;
        self.bias.as_ref().map_or(Ok(x.clone()), |bias| x.broadcast_add(bias))
    }
}

/// One of the two tensors of a layer.
#[derive(Clone, Copy)]
enum LinearPart {
    Weight,
    Bias,
}

/// The weights or biases of queries, keys and values, (hidden, hidden) or (hidden) each.
fn parts(
    weights: &Weights,
    attention: AttentionNames,
    name: &dyn Fn(&str) -> String,
    part: LinearPart,
    hidden: usize,
) -> anyhow::Result<[Tensor; 3]> {
    let shape = |outputs: usize| match part {
        LinearPart::Weight => vec![outputs, hidden],
        LinearPart::Bias => vec![outputs],
    };
    let ending = match part {
        LinearPart::Weight => "weight",
        LinearPart::Bias => "bias",
    };
    match attention {
        AttentionNames::Separate(names) => {
            let load = |layer: &str| weights.tensor(&format!("{}.{ending}", name(layer)), &shape(hidden));
            Ok([load(names[0])?, load(names[1])?, load(names[2])?])
        }
        AttentionNames::Joined([weight, bias]) => {
            let joined = match part {
                LinearPart::Weight => weight,
                LinearPart::Bias => bias,
            };
            let all = weights.tensor(&name(joined), &shape(3 * hidden))?;
            let third = |n: usize| all.narrow(0, n * hidden, hidden);
            Ok([third(0)?, third(1)?, third(2)?])
        }
    }
}

/// Queries, keys and values as one layer, of which the queries are scaled as attention wants them.
fn joined([query, key, value]: [Tensor; 3], head: usize) -> candle_core::Result<Tensor> {
    let scale = (head as f64).powf(-0.5);
    Tensor::cat(&[(query * scale)?, key, value], 0)
}

impl EncoderLayer {
    fn load(source: LayerSource, names: &TowerNames, n: usize, sizes: &TowerSizes) -> anyhow::Result<Self> {
        let (weights, hidden, layer) = (source.weights, sizes.hidden, &names.layer);
        let name = |part: &str| format!("{}.{n}.{part}", names.layers);
        let key = |part: &str| eight_bits::name_of(n, part);
        let all = |part: LinearPart| -> anyhow::Result<Tensor> {
            let parts = parts(weights, layer.attention, &name, part, hidden)?;
            Ok(joined(parts, hidden / sizes.heads)?)
        };
        let bias = all(LinearPart::Bias)?;
        let small = source.small.map(|small| small.linear(&key("qkv"), [3 * hidden, hidden], || Ok(bias.clone())));
        let qkv = match small.transpose()?.flatten() {
            Some(small) => small,
            None => TowerLinear::Exact(TensorLinear { weight: all(LinearPart::Weight)?, bias }),
        };
        let mlp_keys = [&*key("fc1"), &*key("fc2")];
        Ok(Self {
            norm1: TensorNorm::load(weights, &name(layer.norm1), hidden, sizes.eps)?,
            qkv,
            out: source.linear(&key("out"), &name(layer.out), hidden, hidden)?,
            norm2: TensorNorm::load(weights, &name(layer.norm2), hidden, sizes.eps)?,
            mlp: Mlp::load(source, mlp_keys, [&name(layer.fc1), &name(layer.fc2)], sizes)?,
            heads: sizes.heads,
        })
    }

    /// Its linear layers, and what 8-bit forms call them.
    pub(super) fn linears(&self) -> [(&'static str, &TowerLinear); 4] {
        [("qkv", &self.qkv), ("out", &self.out), ("fc1", &self.mlp.fc1), ("fc2", &self.mlp.fc2)]
    }

    /// A layer of this size whose weights mean nothing.
    pub(super) fn made_up(sizes: &TowerSizes, bits: TowerBits) -> anyhow::Result<Self> {
        let (hidden, device) = (sizes.hidden, &Device::Cpu);
        let linear = |inputs: usize, outputs: usize| -> anyhow::Result<TowerLinear> {
            let linear = TensorLinear {
                weight: Tensor::full(0.01_f32, (outputs, inputs), device)?,
                bias: Tensor::full(0.01_f32, outputs, device)?,
            };
            if bits.are_eight(hidden) { eight_bits::quantized(linear) } else { Ok(TowerLinear::Exact(linear)) }
        };
        let norm = || -> candle_core::Result<TensorNorm> {
            let ones = Tensor::full(1.0_f32, hidden, device)?;
            Ok(TensorNorm { weight: ones.clone(), bias: ones, eps: sizes.eps })
        };
        Ok(Self {
            norm1: norm()?,
            qkv: linear(hidden, 3 * hidden)?,
            out: linear(hidden, hidden)?,
            norm2: norm()?,
            mlp: Mlp {
                fc1: linear(hidden, sizes.intermediate)?,
                fc2: linear(sizes.intermediate, hidden)?,
                activation: sizes.activation,
            },
            heads: sizes.heads,
        })
    }

    /// Maps states, (rows, hidden), to those of the rows in `wanted`, or of all.
    pub(super) fn apply(
        &self,
        x: Tensor,
        mask: &AttentionMask,
        wanted: Option<&Tensor>,
        room: &mut LayerRoom,
    ) -> candle_core::Result<Tensor> {
        let x = self.add_attended(x, mask, wanted, room)?;
        self.mlp.add_to(x, &self.norm2, &mut room.inner)
    }

    /// The first half of the layer.
    fn add_attended(
        &self,
        x: Tensor,
        mask: &AttentionMask,
        wanted: Option<&Tensor>,
        room: &mut LayerRoom,
    ) -> candle_core::Result<Tensor> {
        if let (TowerLinear::Small(qkv), TowerLinear::Small(out), None) = (&self.qkv, &self.out, wanted)
            && let Some(attend) = mask.of_rows()
            && let Some(attention) = PackedAttention::new([qkv, out], self.heads)
        {
            return attention.add_to(x, &self.norm1, &attend);
        }
        let qkv = self.qkv.apply_normed(room.qkv.as_ref(), &x, &self.norm1)?;
        let mut attended = mask.attend(room.qkv.insert(qkv), self.heads)?;
        let mut x = x;
        if let Some(wanted) = wanted {
            (x, attended) = (x.index_select(wanted, 0)?, attended.index_select(wanted, 0)?);
        }
        self.out.add_to(x, &attended)
    }
}

/// The states of `wanted` rows after all layers, of which the last one need not compute the others.
fn states_of(
    wanted: &Tensor,
    layers: &[EncoderLayer],
    mut x: Tensor,
    mask: &AttentionMask,
) -> candle_core::Result<Tensor> {
    let Some((last, layers)) = layers.split_last() else { return x.index_select(wanted, 0) };
    let room = &mut LayerRoom::default();
    for layer in layers {
        x = layer.apply(x, mask, None, room)?;
    }
    last.apply(x, mask, Some(wanted), room)
}

fn layers(source: LayerSource, names: &TowerNames, sizes: &TowerSizes) -> anyhow::Result<Vec<EncoderLayer>> {
    // In parallel: a query spends most of its time here.
    (0..sizes.layers).into_par_iter().map(|n| EncoderLayer::load(source, names, n, sizes)).collect()
}

/// The text tower of CLIP and its like.
pub(super) struct TextTower {
    weights: Arc<Weights>,
    config: TextConfig,
    tokens: String,
    positions: Tensor,
    layers: Vec<EncoderLayer>,
    norm: TensorNorm,
    projection: Option<Projection>,
}

impl TextTower {
    pub(super) fn load(
        weights: Arc<Weights>,
        small: Option<&EightBits>,
        family: Family,
        config: &TextConfig,
        dim: usize,
    ) -> anyhow::Result<Self> {
        let sizes = &config.sizes;
        let TextNames { tokens, tower: names } = TextNames::of(family, &weights);
        Ok(Self {
            positions: weights.tensor(&names.positions, &[config.context, sizes.hidden])?,
            layers: layers(LayerSource { weights: &weights, small }, &names, sizes)?,
            norm: TensorNorm::load(&weights, &names.norm, sizes.hidden, sizes.eps)?,
            projection: Projection::load(&weights, &names.projection, sizes.hidden, dim)?,
            config: config.clone(),
            tokens,
            weights,
        })
    }

    pub(super) fn layers(&self) -> &[EncoderLayer] {
        &self.layers
    }

    /// The position of the token whose state is the text's embedding.
    fn end(&self, ids: &[u32]) -> usize {
        let end = match &self.config.pooling {
            TextPooling::End(ends) => ids.iter().position(|id| ends.contains(id)),
            TextPooling::Highest => ids.iter().max().and_then(|max| ids.iter().position(|id| id == max)),
            TextPooling::Last => ids.len().checked_sub(1),
            TextPooling::First | TextPooling::Mean => None,
        };
        end.unwrap_or(0)
    }
}

impl TextTower {
    /// What the layers get for these tokens at these positions: (tokens, hidden).
    fn inputs(&self, ids: &[u32], positions: &[u32]) -> anyhow::Result<Tensor> {
        let words = self.weights.rows(&self.tokens, [self.config.vocab_size, self.config.sizes.hidden], ids)?;
        let positions = Tensor::new(positions, words.device())?;
        Ok(add(words, &self.positions.index_select(&positions, 0)?)?)
    }

    /// The embeddings of texts from the states of their end tokens.
    fn project(&self, ends: &Tensor) -> candle_core::Result<Tensor> {
        let states = self.norm.apply(ends)?;
        self.projection.as_ref().map_or(Ok(states.clone()), |projection| projection.apply(&states))
    }

    /// Texts of one length.
    fn forward_batch(&self, texts: &[&[u32]], is_causal: bool) -> anyhow::Result<Tensor> {
        let tokens = texts.first().map_or(0, |text| text.len());
        let positions: Vec<u32> = texts.iter().flat_map(|_| 0..tokens as u32).collect();
        let x = self.inputs(&texts.concat(), &positions)?;
        let ends: Vec<u32> = texts.iter().enumerate().map(|(n, ids)| (n * tokens + self.end(ids)) as u32).collect();
        let ends = Tensor::new(ends, x.device())?;
        let mask = match is_causal {
            true => AttentionMask::causal(texts.len(), tokens, x.device())?,
            false => AttentionMask::All(texts.len()),
        };
        Ok(self.project(&states_of(&ends, &self.layers, x, &mask)?)?)
    }

    /// Texts of which no token sees those after it, on the processor: what follows the end is not even read.
    fn forward_tree(&self, texts: &[&[u32]]) -> anyhow::Result<Tensor> {
        let (tree, ends) = PrefixTree::of(texts.iter().map(|ids| &ids[..=self.end(ids)]));
        let x = self.inputs(&tree.ids, &tree.positions)?;
        let ends = Tensor::new(ends, x.device())?;
        Ok(self.project(&states_of(&ends, &self.layers, x, &AttentionMask::Tree(&tree))?)?)
    }
}

impl EncodeTexts for TextTower {
    fn forward(&self, texts: &[&[u32]]) -> anyhow::Result<Tensor> {
        /// So many that their states stay in the cache.
        const TREE: usize = 64;
        self.config.check_lengths(texts)?;
        let is_causal = self.config.layers == TextLayers::Clip { causal: true };
        if !is_causal || !self.weights.device().is_cpu() {
            return by_length(texts, |texts| self.forward_batch(texts, is_causal));
        }
        let of_trees = texts.chunks(TREE).map(|texts| self.forward_tree(texts)).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Tensor::cat(&of_trees, 0)?)
    }
}

/// A vision transformer.
pub(super) struct VisionTower {
    config: VitConfig,
    /// (hidden, 3 * patch * patch)
    patch: Tensor,
    positions: Tensor,
    start: VisionStart,
    layers: Vec<EncoderLayer>,
    post_norm: TensorNorm,
    end: VisionEnd,
}

/// What stands before the layers besides patches and positions.
enum VisionStart {
    /// A class token and a norm.
    Class { class: Tensor, norm: TensorNorm },
    /// The bias of the patches.
    Bias(Tensor),
}

/// What makes an embedding of the states.
enum VisionEnd {
    /// The class token's, projected.
    Class(Option<Projection>),
    Attention(AttentionPooling),
}

/// A learned query that attends to all states, and an MLP.
struct AttentionPooling {
    /// The query, scaled as attention wants it: (1, heads, 1, numbers of a head).
    query: Tensor,
    /// Keys and values side by side.
    kv: TensorLinear,
    out: TensorLinear,
    norm: TensorNorm,
    mlp: Mlp,
}

impl AttentionPooling {
    fn load(weights: &Weights, sizes: &TowerSizes) -> anyhow::Result<Self> {
        let (hidden, heads) = (sizes.hidden, sizes.heads);
        let name = |part: &str| format!("vision_model.head.{part}");
        let attention = AttentionNames::Joined(["attention.in_proj_weight", "attention.in_proj_bias"]);
        let [query, key, value] = parts(weights, attention, &name, LinearPart::Weight, hidden)?;
        let [query_bias, key_bias, value_bias] = parts(weights, attention, &name, LinearPart::Bias, hidden)?;
        let query = TensorLinear { weight: query, bias: query_bias };
        let probe = weights.tensor(&name("probe"), &[1, 1, hidden])?.flatten(0, 1)?;
        let query = (query.apply(&probe, Activation::None)? * ((hidden / heads) as f64).powf(-0.5))?;
        let mlp = LayerSource { weights, small: None };
        Ok(Self {
            query: query.reshape((1, heads, 1, hidden / heads))?,
            kv: TensorLinear { weight: Tensor::cat(&[key, value], 0)?, bias: Tensor::cat(&[key_bias, value_bias], 0)? },
            out: linear(weights, &name("attention.out_proj"), hidden, hidden)?,
            norm: TensorNorm::load(weights, &name("layernorm"), hidden, sizes.eps)?,
            mlp: Mlp::load(mlp, ["", ""], [&name("mlp.fc1"), &name("mlp.fc2")], sizes)?,
        })
    }

    /// Maps (batch * places, hidden) to (batch, hidden).
    fn apply(&self, x: &Tensor, batch: usize) -> candle_core::Result<Tensor> {
        let (rows, hidden) = x.dims2()?;
        let (_, heads, _, head) = self.query.dims4()?;
        let kv = self.kv.apply(x, Activation::None)?;
        let kv = kv.reshape((batch, rows / batch, 2, heads, head))?.permute((2, 0, 3, 1, 4))?.contiguous()?;
        let (key, value) = (kv.get(0)?, kv.get(1)?);
        let query = self.query.broadcast_as((batch, heads, 1, head))?;
        let scores = softmax_last_dim(&product(&query, &key)?)?;
        let found = product(&scores, &value.transpose(2, 3)?)?.reshape((batch, hidden))?;
        let x = self.out.apply(&found, Activation::None)?;
        self.mlp.add_to(x, &self.norm, &mut None)
    }
}

impl VisionTower {
    /// Loads the tower of a model that sees a square with an edge of `image_size` pixels.
    ///
    /// # Errors
    /// A weight is missing or of another shape.
    pub(super) fn load(
        weights: &Weights,
        small: Option<&EightBits>,
        family: Family,
        config: &VitConfig,
        image_size: usize,
        dim: usize,
    ) -> anyhow::Result<Self> {
        let sizes = &config.sizes;
        let (hidden, patch) = (sizes.hidden, config.patch_size);
        let VisionNames { patch: patches, class, pre_norm, tower: names } = VisionNames::of(family);
        let grid = (image_size / patch).pow(2);
        let kernel = weights.tensor(&format!("{patches}.weight"), &[hidden, 3, patch, patch])?;
        let (places, start, end) = match config.pooling {
            VisionPooling::Class => (
                grid + 1,
                VisionStart::Class {
                    class: weights.tensor(class, &[hidden])?,
                    norm: TensorNorm::load(weights, pre_norm, hidden, sizes.eps)?,
                },
                VisionEnd::Class(Projection::load(weights, &names.projection, hidden, dim)?),
            ),
            VisionPooling::Attention => (
                grid,
                VisionStart::Bias(weights.tensor(&format!("{patches}.bias"), &[hidden])?),
                VisionEnd::Attention(AttentionPooling::load(weights, sizes)?),
            ),
        };
        Ok(Self {
            patch: kernel.flatten_from(1)?,
            positions: weights.tensor(&names.positions, &[places, hidden])?,
            start,
            layers: layers(LayerSource { weights, small }, &names, sizes)?,
            post_norm: TensorNorm::load(weights, &names.norm, hidden, sizes.eps)?,
            end,
            config: config.clone(),
        })
    }

    pub(super) fn layers(&self) -> &[EncoderLayer] {
        &self.layers
    }
}

impl EncodePictures for VisionTower {
    fn forward(&self, pixels: &Tensor) -> candle_core::Result<Tensor> {
        let (batch, channels, size, _) = pixels.dims4()?;
        let (patch, hidden) = (self.config.patch_size, self.config.sizes.hidden);
        let grid = size / patch;
        // A convolution whose stride equals its kernel size is a matrix product over the patches.
        let patches = pixels
            .narrow(2, 0, grid * patch)?
            .narrow(3, 0, grid * patch)?
            .reshape((batch, channels, grid, patch, grid, patch))?
            .permute((0, 2, 4, 1, 3, 5))?
            .reshape((batch * grid * grid, channels * patch * patch))?;
        let patches = product(&patches, &self.patch)?.reshape((batch, grid * grid, hidden))?;
        let mut x = match &self.start {
            VisionStart::Class { class, norm } => {
                let class = class.broadcast_as((batch, 1, hidden))?;
                let x = Tensor::cat(&[&class, &patches], 1)?.broadcast_add(&self.positions)?;
                norm.apply(&x.flatten(0, 1)?)?
            }
            VisionStart::Bias(bias) => patches.broadcast_add(bias)?.broadcast_add(&self.positions)?.flatten(0, 1)?,
        };
        let mask = AttentionMask::All(batch);
        match &self.end {
            VisionEnd::Class(projection) => {
                let places = (grid * grid + 1) as u32;
                let classes: Vec<u32> = (0..batch as u32).map(|n| n * places).collect();
                let classes = Tensor::new(classes, x.device())?;
                let class = self.post_norm.apply(&states_of(&classes, &self.layers, x, &mask)?)?;
                projection.as_ref().map_or(Ok(class.clone()), |projection| projection.apply(&class))
            }
            VisionEnd::Attention(pooling) => {
                let room = &mut LayerRoom::default();
                for layer in &self.layers {
                    x = layer.apply(x, &mask, None, room)?;
                }
                pooling.apply(&self.post_norm.apply(&x)?, batch)
            }
        }
    }
}

/// What `forward` maps texts to, (texts, dim), by batches of texts of one length, which need no padding.
pub(super) fn by_length(
    texts: &[&[u32]],
    forward: impl Fn(&[&[u32]]) -> anyhow::Result<Tensor>,
) -> anyhow::Result<Tensor> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    order.sort_by_key(|n| texts[*n].len());
    let batches = order.chunk_by(|a, b| texts[*a].len() == texts[*b].len());
    let of_batch = |batch: &[usize]| forward(&batch.iter().map(|n| texts[*n]).collect::<Vec<_>>());
    let rows = Tensor::cat(&batches.map(of_batch).collect::<anyhow::Result<Vec<_>>>()?, 0)?;
    let mut places = vec![0_u32; texts.len()];
    order.iter().zip(0..).for_each(|(n, place)| places[*n] = place);
    Ok(rows.index_select(&Tensor::new(places, rows.device())?, 0)?)
}

/// The embeddings of texts by their tokens, in order, as unit vectors.
pub(super) fn embed_texts(tower: &dyn EncodeTexts, texts: &[Vec<u32>]) -> anyhow::Result<Vec<Vec<f32>>> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    Ok(unit_rows(&tower.forward(&texts)?)?)
}

/// Every row of a (rows, dim) tensor, scaled to unit length.
pub(super) fn unit_rows(x: &Tensor) -> candle_core::Result<Vec<Vec<f32>>> {
    let mut rows = x.to_device(&Device::Cpu)?.to_vec2::<f32>()?;
    debug_assert_eq!(rows.first().map(Vec::len), x.dim(D::Minus1).ok());
    rows.iter_mut().for_each(|row| crate::model::normalize(row));
    Ok(rows)
}
