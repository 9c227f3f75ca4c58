//! MobileCLIP's vision tower (Vasu et al. 2024, arXiv 2311.17049; Faghri et al. 2025 for MobileCLIP2): FastViT as in
//! timm's fastvit_mci0 to fastvit_mci4. Its branches, batch norms and scales are merged into single convolutions and
//! products when it is loaded. Which parts there are, and their sizes, is told by the weights. States are (pixels,
//! channels), so that a pointwise convolution is one product.

use super::attention_mask::AttentionMask;
use super::tower::EncodePictures;
use crate::model::compute::linear::TensorLinear;
use crate::model::compute::ops::{Activation, Depthwise, Padding, TensorNorm, add, bias_activate};
use crate::model::compute::weights::Weights;
use anyhow::Context;
use candle_core::{Device, Tensor};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Before the names of its tensors.
const TRUNK: &str = "visual.trunk";
/// Numbers of an attention head.
const HEAD: usize = 32;
/// The epsilon of all norms.
const EPS: f32 = 1e-5;
/// The most blocks of a stage, and the most stages: no model has as many.
const MOST: usize = 64;

pub(super) struct FastVit {
    stem: Stem,
    stages: Vec<Stage>,
    last: DepthwiseLayer,
    head: TensorLinear,
}

/// From colours to states of a quarter of the edge.
struct Stem {
    first: TensorLinear,
    second: DepthwiseLayer,
    third: TensorLinear,
}

struct Stage {
    /// Halves the edge.
    downsample: Option<(DepthwiseLayer, TensorLinear)>,
    positions: Option<DepthwiseLayer>,
    blocks: Vec<MixerBlock>,
}

struct MixerBlock {
    mixer: Mixer,
    /// The convolution before the MLP.
    near: DepthwiseLayer,
    fc1: TensorLinear,
    fc2: TensorLinear,
}

enum Mixer {
    /// A convolution, with the path around it merged in.
    Convolution(DepthwiseLayer),
    Attention(TokenAttention),
}

struct TokenAttention {
    /// Before the product, unless it is merged into it.
    norm: Option<TensorNorm>,
    qkv: TensorLinear,
    out: TensorLinear,
}

/// A convolution of each channel by itself.
struct DepthwiseLayer {
    /// (kernel, kernel, channels)
    weight: Tensor,
    bias: Tensor,
    stride: usize,
    /// How many output channels there are for one of the input.
    fold: usize,
    squeeze: Option<[TensorLinear; 2]>,
    activation: Activation,
}

/// A kernel of (outputs, inputs of a group, edge, edge) and a bias, while branches are merged into it.
struct Kernel {
    weight: Vec<f32>,
    bias: Vec<f32>,
    inputs: usize,
    edge: usize,
}

impl FastVit {
    /// Loads the tower of a model whose embeddings have `dim` numbers.
    ///
    /// # Errors
    /// A weight is missing or of another shape, or the file holds one that no FastViT has.
    pub(super) fn load(weights: &Weights, dim: usize) -> anyhow::Result<Self> {
        let reader = Reader { weights, used: RefCell::default() };
        let first = reader.mobile_one("stem.0")?;
        anyhow::ensure!(first.inputs == 3 && first.edge == 3, "{} is no FastViT", weights.name());
        let mut channels = first.bias.len();
        let second = reader.mobile_one("stem.1")?.convolution(2, channels, None, Activation::Gelu)?;
        let stem = Stem { first: first.linear()?, second, third: reader.mobile_one("stem.2")?.linear()? };
        let mut stages = Vec::new();
        while stages.len() < MOST && reader.has(&format!("stages.{}.blocks.0.mlp.fc1.weight", stages.len())) {
            let name = format!("stages.{}", stages.len());
            let stage;
            (stage, channels) = reader.stage(&name, channels)?;
            stages.push(stage);
        }
        let last = reader.mobile_one("final_conv")?;
        let (features, squeeze) = (last.bias.len(), reader.squeeze("final_conv.se")?);
        let last = last.convolution(1, channels, squeeze, Activation::Gelu)?;
        let head = reader.linear("head.fc", &[dim, features], None)?;
        reader.check_all_used()?;
        Ok(Self { stem, stages, last, head })
    }

    /// A tower of this size whose weights mean nothing; `channels` and `blocks` as in
    /// [`crate::model::hub::presets::VisionSizes::FastVit`].
    pub(super) fn made_up(channels: usize, blocks: [usize; 4], dim: usize) -> anyhow::Result<Self> {
        let linear = |inputs, outputs| Kernel::zeros(outputs, inputs, 1).linear();
        let alone = |channels, fold: usize, edge, stride| {
            Kernel::zeros(fold * channels, 1, edge).convolution(stride, channels, None, Activation::Gelu)
        };
        let mut stages = Vec::new();
        for (n, count) in blocks.into_iter().enumerate() {
            let width = channels << n;
            let block = || {
                let mixer = if n + 1 == blocks.len() {
                    let (qkv, out) = (linear(width, 3 * width)?, linear(width, width)?);
                    Mixer::Attention(TokenAttention { norm: None, qkv, out })
                } else {
                    Mixer::Convolution(alone(width, 1, 3, 1)?)
                };
                let (fc1, fc2) = (linear(width, 3 * width)?, linear(3 * width, width)?);
                anyhow::Ok(MixerBlock { mixer, near: alone(width, 1, 7, 1)?, fc1, fc2 })
            };
            let downsample = if n == 0 { None } else { Some((alone(width / 2, 2, 7, 2)?, linear(width, width)?)) };
            let blocks = (0..count).map(|_| block()).collect::<anyhow::Result<Vec<_>>>()?;
            stages.push(Stage { downsample, positions: None, blocks });
        }
        let width = channels << (blocks.len() - 1);
        Ok(Self {
            stem: Stem {
                first: linear(27, channels)?,
                second: alone(channels, 1, 3, 2)?,
                third: linear(channels, channels)?,
            },
            stages,
            last: alone(width, 2, 3, 1)?,
            head: linear(2 * width, dim)?,
        })
    }

    /// Maps the pixels of one picture, (3, size, size), to (1, dim).
    fn embed(&self, pixels: &[f32], size: usize) -> candle_core::Result<Tensor> {
        let (patches, mut size) = patches(pixels, size)?;
        let mut x = self.stem.first.apply(&patches, Activation::Gelu)?;
        (x, size) = self.stem.second.apply(&x, size)?;
        x = self.stem.third.apply(&x, Activation::Gelu)?;
        for stage in &self.stages {
            if let Some((halve, mix)) = &stage.downsample {
                (x, size) = halve.apply(&x, size)?;
                x = mix.apply(&x, Activation::Gelu)?;
            }
            if let Some(positions) = &stage.positions {
                (x, size) = positions.apply(&x, size)?;
            }
            for block in &stage.blocks {
                x = block.apply(x, size)?;
            }
        }
        let (x, _) = self.last.apply(&x, size)?;
        self.head.apply(&x.mean_keepdim(0)?, Activation::None)
    }
}

impl EncodePictures for FastVit {
    fn forward(&self, pixels: &Tensor) -> candle_core::Result<Tensor> {
        let (batch, _, size, _) = pixels.dims4()?;
        let of_one = |n: usize| self.embed(&pixels.get(n)?.flatten_all()?.to_vec1::<f32>()?, size);
        Tensor::cat(&(0..batch).map(of_one).collect::<candle_core::Result<Vec<_>>>()?, 0)
    }
}

impl MixerBlock {
    fn apply(&self, x: Tensor, size: usize) -> candle_core::Result<Tensor> {
        let x = match &self.mixer {
            Mixer::Convolution(convolution) => convolution.apply(&x, size)?.0,
            Mixer::Attention(TokenAttention { norm, qkv, out }) => {
                let seen = norm.as_ref().map_or(Ok(x.clone()), |norm| norm.apply(&x))?;
                let heads = x.dim(1)? / HEAD;
                let found = AttentionMask::All(1).attend(&qkv.apply(&seen, Activation::None)?, heads)?;
                add(out.apply(&found, Activation::None)?, &x)?
            }
        };
        let (inner, _) = self.near.apply(&x, size)?;
        let inner = self.fc2.apply(&self.fc1.apply(&inner, Activation::Gelu)?, Activation::None)?;
        add(inner, &x)
    }
}

impl DepthwiseLayer {
    /// Maps the states (pixels, channels) of a square with an edge of `size` to those of the result, and its edge.
    fn apply(&self, x: &Tensor, size: usize) -> candle_core::Result<(Tensor, usize)> {
        let (pixels, channels) = x.dims2()?;
        let wide = match self.fold {
            1 => x.clone(),
            fold => x.unsqueeze(2)?.broadcast_as((pixels, channels, fold))?.contiguous()?,
        };
        let wide = wide.reshape((size, size, channels * self.fold))?;
        let activation = if self.squeeze.is_some() { Activation::None } else { self.activation };
        let op = Depthwise { stride: self.stride, padding: Padding::Half, activation };
        let mut out = wide.apply_op3_no_bwd(&self.weight, &self.bias, &op)?.flatten(0, 1)?;
        if let Some([narrow, widen]) = &self.squeeze {
            let mean = narrow.apply(&out.mean_keepdim(0)?, Activation::Relu)?;
            let factors = candle_nn::ops::sigmoid(&widen.apply(&mean, Activation::None)?)?;
            out = bias_activate(out.broadcast_mul(&factors)?, &self.bias.zeros_like()?, self.activation)?;
        }
        Ok((out, size.div_ceil(self.stride)))
    }
}

/// The 3 x 3 neighbourhoods that the stem's first convolution sees in planes of colour, one in each row, and the edge
/// of the square that they form.
fn patches(pixels: &[f32], size: usize) -> candle_core::Result<(Tensor, usize)> {
    let out = size.div_ceil(2);
    let mut patches = Vec::with_capacity(out * out * 27);
    for (top, left) in (0..out).flat_map(|y| (0..out).map(move |x| (2 * y, 2 * x))) {
        for plane in pixels.chunks_exact(size * size) {
            for tap in 0..9 {
                // One pixel before the first is outside.
                let (y, x) = ((top + tap / 3).wrapping_sub(1), (left + tap % 3).wrapping_sub(1));
                patches.push(if y < size && x < size { plane[y * size + x] } else { 0.0 });
            }
        }
    }
    Ok((Tensor::from_vec(patches, (out * out, 27), &Device::Cpu)?, out))
}

impl Kernel {
    fn zeros(outputs: usize, inputs: usize, edge: usize) -> Self {
        Self { weight: vec![0.0; outputs * inputs * edge * edge], bias: vec![0.0; outputs], inputs, edge }
    }

    /// Adds a branch: a kernel with an edge of at most ours, and what a norm does after it.
    fn add(&mut self, weight: &[f32], edge: usize, norm: &ScaleShift) {
        let (own, margin) = (self.edge * self.edge, (self.edge - edge) / 2);
        let size = edge * edge;
        for (n, taps) in weight.chunks_exact(size).enumerate() {
            let scale = norm.scale[n / self.inputs];
            for (tap, value) in taps.iter().enumerate() {
                let at = (tap / edge + margin) * self.edge + tap % edge + margin;
                self.weight[n * own + at] += value * scale;
            }
        }
        self.bias.iter_mut().zip(&norm.shift).for_each(|(bias, shift)| *bias += shift);
    }

    /// Adds a branch that passes each channel on, and what a norm does after it.
    fn add_identity(&mut self, norm: &ScaleShift) {
        let (own, centre) = (self.edge * self.edge, self.edge * self.edge / 2);
        for (n, (scale, shift)) in norm.scale.iter().zip(&norm.shift).enumerate() {
            let input = if self.inputs == 1 { 0 } else { n };
            self.weight[(n * self.inputs + input) * own + centre] += scale;
            self.bias[n] += shift;
        }
    }

    /// Multiplies each output channel.
    fn scale(&mut self, factors: &[f32]) {
        let length = self.inputs * self.edge * self.edge;
        for ((row, bias), factor) in self.weight.chunks_exact_mut(length).zip(&mut self.bias).zip(factors) {
            row.iter_mut().for_each(|value| *value *= factor);
            *bias *= factor;
        }
    }

    /// As a product.
    fn linear(self) -> anyhow::Result<TensorLinear> {
        let (outputs, length) = (self.bias.len(), self.inputs * self.edge * self.edge);
        Ok(TensorLinear {
            weight: Tensor::from_vec(self.weight, (outputs, length), &Device::Cpu)?,
            bias: Tensor::from_vec(self.bias, outputs, &Device::Cpu)?,
        })
    }

    /// As a convolution of each of `channels` channels by itself.
    fn convolution(
        self,
        stride: usize,
        channels: usize,
        squeeze: Option<[TensorLinear; 2]>,
        activation: Activation,
    ) -> anyhow::Result<DepthwiseLayer> {
        let (outputs, edge) = (self.bias.len(), self.edge);
        anyhow::ensure!(
            self.inputs == 1 && outputs.is_multiple_of(channels),
            "a convolution of {outputs} channels does not fit {channels}"
        );
        let weight = Tensor::from_vec(self.weight, (outputs, edge, edge), &Device::Cpu)?;
        Ok(DepthwiseLayer {
            weight: weight.permute((1, 2, 0))?.contiguous()?,
            bias: Tensor::from_vec(self.bias, outputs, &Device::Cpu)?,
            stride,
            fold: outputs / channels,
            squeeze,
            activation,
        })
    }
}

/// What a batch norm does to each channel, once trained.
struct ScaleShift {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

/// The weights, and which of them were read.
struct Reader<'a> {
    weights: &'a Weights,
    used: RefCell<BTreeSet<String>>,
}

impl Reader<'_> {
    fn has(&self, name: &str) -> bool {
        self.weights.has(&format!("{TRUNK}.{name}"))
    }

    /// The shape of a tensor, if there is one of this name.
    fn shape(&self, name: &str) -> anyhow::Result<&[usize]> {
        let name = format!("{TRUNK}.{name}");
        let place = self.weights.place(&name);
        Ok(&place.with_context(|| format!("{}: the weight {name} is missing", self.weights.name()))?.shape)
    }

    fn vector(&self, name: &str, shape: &[usize]) -> anyhow::Result<Vec<f32>> {
        let name = format!("{TRUNK}.{name}");
        let vector = self.weights.vector(&name, shape)?;
        self.used.borrow_mut().insert(name);
        Ok(vector)
    }

    /// Refuses a file with weights that were not read: it is another model.
    fn check_all_used(&self) -> anyhow::Result<()> {
        let used = self.used.borrow();
        let is_unused = |name: &&str| name.starts_with(TRUNK) && !used.contains(*name);
        match self.weights.names().into_iter().find(is_unused) {
            Some(name) => anyhow::bail!("{}: no FastViT that is supported has the weight {name}", self.weights.name()),
            None => Ok(()),
        }
    }

    fn batch_norm(&self, name: &str, channels: usize) -> anyhow::Result<ScaleShift> {
        let part = |part: &str| self.vector(&format!("{name}.{part}"), &[channels]);
        let (weight, bias) = (part("weight")?, part("bias")?);
        let (mean, variance) = (part("running_mean")?, part("running_var")?);
        let scale: Vec<f32> = weight.iter().zip(&variance).map(|(w, v)| w / (v + EPS).sqrt()).collect();
        let shift = bias.iter().zip(&mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        Ok(ScaleShift { scale, shift })
    }

    /// The kernel of a convolution without a bias, and the norm after it.
    fn normed(&self, name: &str) -> anyhow::Result<Kernel> {
        let weight = format!("{name}.conv.weight");
        let &[outputs, inputs, edge, width] = self.shape(&weight)? else {
            anyhow::bail!("{}: the weight {TRUNK}.{weight} is no convolution", self.weights.name());
        };
        anyhow::ensure!(
            edge == width && edge % 2 == 1,
            "{}: the weight {TRUNK}.{weight} is no odd square",
            self.weights.name()
        );
        let taps = self.vector(&weight, &[outputs, inputs, edge, edge])?;
        let mut kernel = Kernel::zeros(outputs, inputs, edge);
        kernel.add(&taps, edge, &self.batch_norm(&format!("{name}.bn"), outputs)?);
        Ok(kernel)
    }

    /// A block of MobileOne (Vasu et al. 2023, arXiv 2206.04040), its branches merged.
    fn mobile_one(&self, name: &str) -> anyhow::Result<Kernel> {
        let mut kernel = self.normed(&format!("{name}.conv_kxk.0"))?;
        let others = (1..MOST).map(|n| format!("{name}.conv_kxk.{n}"));
        let others = others.chain([format!("{name}.conv_scale")]);
        for branch in others.filter(|branch| self.has(&format!("{branch}.conv.weight"))) {
            self.merge(&mut kernel, &self.normed(&branch)?, &branch)?;
        }
        if self.has(&format!("{name}.identity.weight")) {
            kernel.add_identity(&self.batch_norm(&format!("{name}.identity"), kernel.bias.len())?);
        }
        Ok(kernel)
    }

    /// Adds a branch that has its norm merged already.
    fn merge(&self, kernel: &mut Kernel, branch: &Kernel, name: &str) -> anyhow::Result<()> {
        anyhow::ensure!(
            branch.bias.len() == kernel.bias.len() && branch.inputs == kernel.inputs && branch.edge <= kernel.edge,
            "{}: the weights {TRUNK}.{name} do not fit those beside them",
            self.weights.name()
        );
        let scale = vec![1.0; branch.bias.len()];
        kernel.add(&branch.weight, branch.edge, &ScaleShift { scale, shift: branch.bias.clone() });
        Ok(())
    }

    fn squeeze(&self, name: &str) -> anyhow::Result<Option<[TensorLinear; 2]>> {
        let narrow = format!("{name}.fc1.weight");
        if !self.has(&narrow) {
            return Ok(None);
        }
        let &[narrow, wide, ..] = self.shape(&narrow)? else {
            anyhow::bail!("{}: the weight {TRUNK}.{narrow} is no convolution", self.weights.name());
        };
        let part = |part: &str, shape| self.linear(&format!("{name}.{part}"), shape, None);
        Ok(Some([part("fc1", &[narrow, wide, 1, 1])?, part("fc2", &[wide, narrow, 1, 1])?]))
    }

    /// A product with a bias, or a convolution with an edge of 1; its outputs are multiplied by `scale`.
    fn linear(&self, name: &str, shape: &[usize], scale: Option<&[f32]>) -> anyhow::Result<TensorLinear> {
        let (outputs, inputs) = (shape[0], shape[1]);
        let weight = self.vector(&format!("{name}.weight"), shape)?;
        let bias = self.vector(&format!("{name}.bias"), &[outputs])?;
        let mut kernel = Kernel { weight, bias, inputs, edge: 1 };
        if let Some(scale) = scale {
            kernel.scale(scale);
        }
        kernel.linear()
    }

    /// The factors of a path around which another leads, if it has them.
    fn layer_scale(&self, name: &str, channels: usize) -> anyhow::Result<Option<Vec<f32>>> {
        let name = format!("{name}.gamma");
        self.has(&name).then(|| self.vector(&name, &[channels, 1, 1])).transpose()
    }

    /// A stage that gets states of `channels` numbers, and how many numbers it gives.
    fn stage(&self, name: &str, mut channels: usize) -> anyhow::Result<(Stage, usize)> {
        let mut downsample = None;
        let down = format!("{name}.downsample.proj");
        if self.has(&format!("{down}.0.large_conv.conv.weight")) {
            let mut kernel = self.normed(&format!("{down}.0.large_conv"))?;
            let small = format!("{down}.0.small_conv");
            self.merge(&mut kernel, &self.normed(&small)?, &small)?;
            let squeeze = self.squeeze(&format!("{down}.0.se"))?;
            let halve = kernel.convolution(2, channels, squeeze, Activation::Gelu)?;
            let mix = self.mobile_one(&format!("{down}.1"))?;
            channels = mix.bias.len();
            downsample = Some((halve, mix.linear()?));
        }
        let mut positions = None;
        let encoding = format!("{name}.pos_emb.pos_enc");
        if self.has(&format!("{encoding}.weight")) {
            let edge = self.shape(&format!("{encoding}.weight"))?.last().copied().unwrap_or_default();
            let taps = self.vector(&format!("{encoding}.weight"), &[channels, 1, edge, edge])?;
            let bias = self.vector(&format!("{encoding}.bias"), &[channels])?;
            let mut kernel = Kernel { weight: taps, bias, inputs: 1, edge };
            kernel.add_identity(&unchanged(channels));
            positions = Some(kernel.convolution(1, channels, None, Activation::None)?);
        }
        let mut blocks = Vec::new();
        while blocks.len() < MOST && self.has(&format!("{name}.blocks.{}.mlp.fc1.weight", blocks.len())) {
            blocks.push(self.block(&format!("{name}.blocks.{}", blocks.len()), channels)?);
        }
        Ok((Stage { downsample, positions, blocks }, channels))
    }

    fn block(&self, name: &str, channels: usize) -> anyhow::Result<MixerBlock> {
        let is_attention = self.has(&format!("{name}.token_mixer.qkv.weight"));
        let (mixer, scale) = if is_attention {
            (Mixer::Attention(self.attention(name, channels)?), "layer_scale_2")
        } else {
            (Mixer::Convolution(self.mixer(&format!("{name}.token_mixer"), channels)?), "layer_scale")
        };
        let scale = self.layer_scale(&format!("{name}.{scale}"), channels)?;
        let inner = self.shape(&format!("{name}.mlp.fc1.weight"))?.first().copied().unwrap_or_default();
        Ok(MixerBlock {
            mixer,
            near: self.normed(&format!("{name}.mlp.conv"))?.convolution(1, channels, None, Activation::None)?,
            fc1: self.linear(&format!("{name}.mlp.fc1"), &[inner, channels, 1, 1], None)?,
            fc2: self.linear(&format!("{name}.mlp.fc2"), &[channels, inner, 1, 1], scale.as_deref())?,
        })
    }

    /// RepMixer: `x + scale * (mixer(x) - norm(x))` is one convolution.
    fn mixer(&self, name: &str, channels: usize) -> anyhow::Result<DepthwiseLayer> {
        let mut kernel = self.mobile_one(&format!("{name}.mixer"))?;
        let mut norm = self.batch_norm(&format!("{name}.norm.identity"), channels)?;
        norm.scale.iter_mut().chain(&mut norm.shift).for_each(|value| *value = -*value);
        anyhow::ensure!(
            kernel.bias.len() == channels && kernel.inputs == 1,
            "{}: the weights {TRUNK}.{name} do not fit those beside them",
            self.weights.name()
        );
        kernel.add_identity(&norm);
        if let Some(scale) = self.layer_scale(&format!("{name}.layer_scale"), channels)? {
            kernel.scale(&scale);
        }
        kernel.add_identity(&unchanged(channels));
        kernel.convolution(1, channels, None, Activation::None)
    }

    fn attention(&self, name: &str, channels: usize) -> anyhow::Result<TokenAttention> {
        anyhow::ensure!(channels.is_multiple_of(HEAD), "{}: heads of {HEAD} numbers do not fit", self.weights.name());
        let mixer = format!("{name}.token_mixer");
        let mut qkv = self.vector(&format!("{mixer}.qkv.weight"), &[3 * channels, channels])?;
        let mut bias = vec![0.0; 3 * channels];
        let norm = format!("{name}.norm");
        let norm = if self.has(&format!("{norm}.running_mean")) {
            // It is merged into the product after it.
            let ScaleShift { scale, shift } = self.batch_norm(&norm, channels)?;
            for (row, bias) in qkv.chunks_exact_mut(channels).zip(&mut bias) {
                *bias = row.iter().zip(&shift).map(|(w, s)| w * s).sum();
                row.iter_mut().zip(&scale).for_each(|(w, s)| *w *= s);
            }
            None
        } else {
            let part = |part: &str| {
                anyhow::Ok(Tensor::from_vec(
                    self.vector(&format!("{norm}.{part}"), &[channels])?,
                    channels,
                    &Device::Cpu,
                )?)
            };
            Some(TensorNorm { weight: part("weight")?, bias: part("bias")?, eps: EPS })
        };
        // Queries are scaled here, as attention wants them.
        let factor = (HEAD as f32).powf(-0.5);
        qkv[..channels * channels].iter_mut().chain(&mut bias[..channels]).for_each(|value| *value *= factor);
        let scale = self.layer_scale(&format!("{name}.layer_scale_1"), channels)?;
        Ok(TokenAttention {
            norm,
            qkv: Kernel { weight: qkv, bias, inputs: channels, edge: 1 }.linear()?,
            out: self.linear(&format!("{mixer}.proj"), &[channels, channels], scale.as_deref())?,
        })
    }
}

/// A norm that changes nothing.
fn unchanged(channels: usize) -> ScaleShift {
    ScaleShift { scale: vec![1.0; channels], shift: vec![0.0; channels] }
}
