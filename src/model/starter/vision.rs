//! EfficientNet-Lite0 (Tan and Le 2019, arXiv 1905.11946; the Lite variant has no squeeze-and-excite and uses ReLU6),
//! with batch norm folded into the convolutions. Activations are (pixels, channels), so that a pointwise convolution
//! is one matrix product.

use super::{EDGE, Packed};
use crate::model::compute::linear::TensorLinear;
use crate::model::compute::ops::{Activation, Depthwise, Padding, add, same_padding};
use candle_core::{Device, Tensor};
use half::slice::HalfFloatSliceExt;

/// For each stage, the number of blocks and the stride of the first.
const STAGES: [(usize, usize); 7] = [(1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1)];
const STEM_KERNEL: usize = 3;
const STEM_STRIDE: usize = 2;
const RGB: usize = 3;

pub(super) struct EfficientNet {
    stem: TensorLinear,
    blocks: Vec<Block>,
    head: TensorLinear,
    classifier: TensorLinear,
}

/// An inverted residual block: widen, convolve each channel by itself, narrow.
struct Block {
    expand: Option<TensorLinear>,
    depthwise: TensorLinear,
    stride: usize,
    project: TensorLinear,
    residual: bool,
}

impl EfficientNet {
    pub(super) fn load(packed: &Packed) -> anyhow::Result<Self> {
        let linear = |name: &str| -> anyhow::Result<TensorLinear> {
            let (weight, bias) = (format!("vision.{name}.weight"), format!("vision.{name}.bias"));
            let values = packed.f16(&weight)?.to_f32_vec();
            let bias = Tensor::new(packed.f32(&bias)?, &Device::Cpu)?;
            Ok(TensorLinear { weight: Tensor::from_vec(values, packed.shape(&weight)?, &Device::Cpu)?, bias })
        };
        // These are packed as (inputs, outputs).
        let pointwise = |name: &str| -> anyhow::Result<TensorLinear> {
            let TensorLinear { weight, bias } = linear(name)?;
            let inputs = weight.elem_count() / bias.elem_count();
            Ok(TensorLinear { weight: weight.reshape((inputs, ()))?.t()?.contiguous()?, bias })
        };
        let mut blocks = Vec::new();
        for (repeats, stride) in STAGES {
            for repeat in 0..repeats {
                let name = |part: &str| format!("block.{}.{part}", blocks.len());
                let expand = if blocks.is_empty() { None } else { Some(pointwise(&name("expand"))?) };
                let stride = if repeat == 0 { stride } else { 1 };
                let (depthwise, project) = (linear(&name("depthwise"))?, pointwise(&name("project"))?);
                blocks.push(Block { expand, depthwise, stride, project, residual: repeat > 0 });
            }
        }
        Ok(Self { stem: pointwise("stem")?, blocks, head: pointwise("head")?, classifier: pointwise("classifier")? })
    }

    /// The logit of each class: the mean over the views, each (224, 224, 3).
    pub(super) fn logits(&self, views: &[f32]) -> anyhow::Result<Vec<f32>> {
        let size = (EDGE * EDGE) as usize * RGB;
        anyhow::ensure!(!views.is_empty() && views.len().is_multiple_of(size), "pixels prepared for another model");
        let mut total: Option<Tensor> = None;
        for view in views.chunks_exact(size) {
            let features = self.features(view)?;
            total = Some(match total {
                Some(total) => add(total, &features)?,
                None => features,
            });
        }
        // The classifier is linear: the mean of the features gives the mean of the logits.
        let mean = (total.unwrap_or_else(|| self.classifier.bias.clone()) / (views.len() / size) as f64)?;
        let logits = self.classifier.apply(&mean.unsqueeze(0)?, Activation::None)?;
        Ok(logits.squeeze(0)?.to_vec1()?)
    }

    fn features(&self, view: &[f32]) -> candle_core::Result<Tensor> {
        let edge = EDGE as usize;
        let mut size = edge.div_ceil(STEM_STRIDE);
        let patches =
            Tensor::from_vec(patches(view, edge), (size * size, STEM_KERNEL * STEM_KERNEL * RGB), &Device::Cpu)?;
        let mut x = self.stem.apply(&patches, Activation::Relu6)?;
        for block in &self.blocks {
            (x, size) = block.apply(x, size)?;
        }
        self.head.apply(&x, Activation::Relu6)?.mean(0)
    }
}

impl Block {
    fn apply(&self, input: Tensor, size: usize) -> candle_core::Result<(Tensor, usize)> {
        let wide = match &self.expand {
            Some(expand) => expand.apply(&input, Activation::Relu6)?,
            None => input.clone(),
        };
        let wide = wide.reshape((size, size, ()))?;
        let convolution = Depthwise { stride: self.stride, padding: Padding::Same, activation: Activation::Relu6 };
        let wide = wide.apply_op3_no_bwd(&self.depthwise.weight, &self.depthwise.bias, &convolution)?;
        let narrow = self.project.apply(&wide.flatten(0, 1)?, Activation::None)?;
        Ok((if self.residual { add(narrow, &input)? } else { narrow }, size.div_ceil(self.stride)))
    }
}

/// The 3 x 3 neighbourhoods that the stem's convolution sees, one in each row.
fn patches(view: &[f32], edge: usize) -> Vec<f32> {
    let padding = same_padding(edge, STEM_KERNEL, STEM_STRIDE);
    let out = edge.div_ceil(STEM_STRIDE);
    let mut patches = vec![0.0; out * out * STEM_KERNEL * STEM_KERNEL * RGB];
    for (n, taps) in patches.chunks_exact_mut(RGB).enumerate() {
        let (pixel, tap) = (n / (STEM_KERNEL * STEM_KERNEL), n % (STEM_KERNEL * STEM_KERNEL));
        let y = (pixel / out * STEM_STRIDE + tap / STEM_KERNEL).wrapping_sub(padding);
        let x = (pixel % out * STEM_STRIDE + tap % STEM_KERNEL).wrapping_sub(padding);
        if y < edge && x < edge {
            taps.copy_from_slice(&view[(y * edge + x) * RGB..][..RGB]);
        }
    }
    patches
}
