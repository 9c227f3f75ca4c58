//! Numeric kernels that candle lacks, or that it runs on a pool shared by all threads where ours must stay on one
//! thread.
//!
//! They work in place on the processor; on a GPU the same functions fall back to candle's own operations.

use super::level::by_level;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, InplaceOp2, Layout, Result, Shape, Tensor, bail};

/// The function that is applied to the result of a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Activation {
    /// The identity.
    None,
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `x * sigmoid(1.702 x)`, as in the first CLIP models.
    QuickGelu,
    /// `x * Phi(x)`, with the error function.
    Gelu,
    /// The same, with Phi by a hyperbolic tangent (Hendrycks and Gimpel 2016).
    GeluTanh,
}

impl Activation {
    /// The activation with this name in config.json.
    pub(in crate::model) fn named(name: &str) -> anyhow::Result<Self> {
        match name {
            "quick_gelu" => Ok(Self::QuickGelu),
            "gelu" => Ok(Self::Gelu),
            "gelu_pytorch_tanh" | "gelu_new" | "gelu_fast" => Ok(Self::GeluTanh),
            "relu" => Ok(Self::Relu),
            other => anyhow::bail!(
                "activation {other:?} is not supported (quick_gelu, gelu, gelu_pytorch_tanh and relu are)"
            ),
        }
    }
}

/// `activation(x + bias)`, with the bias along the last dimension. On the processor it works in place and returns `x`
/// itself.
pub(in crate::model) fn bias_activate(x: Tensor, bias: &Tensor, activation: Activation) -> Result<Tensor> {
    if x.device().is_cpu() {
        x.inplace_op2(bias, &BiasActivate(activation))?;
        return Ok(x);
    }
    let x = x.broadcast_add(bias)?;
    match activation {
        Activation::None => Ok(x),
        Activation::Relu => x.relu(),
        Activation::Relu6 => x.clamp(0f32, 6f32),
        Activation::QuickGelu => &x * candle_nn::ops::sigmoid(&(&x * 1.702)?)?,
        Activation::Gelu => x.gelu_erf(),
        Activation::GeluTanh => x.gelu(),
    }
}

/// `x + y`. On the processor it works in place and returns `x` itself.
pub(in crate::model) fn add(x: Tensor, y: &Tensor) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return x + y;
    }
    x.inplace_op2(y, &Add)?;
    Ok(x)
}

struct BiasActivate(Activation);

impl InplaceOp2 for BiasActivate {
    fn name(&self) -> &'static str {
        "bias-activate"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, layout: &Layout, bias: &CpuStorage, bias_layout: &Layout) -> Result<()> {
        let (x, bias) = (contiguous_mut(x, layout)?, contiguous(bias, bias_layout)?);
        if bias.is_empty() || x.len() % bias.len() != 0 {
            bail!("a bias of {} numbers for {} numbers", bias.len(), x.len());
        }
        add_and_activate(x, bias, self.0);
        Ok(())
    }
}

/// `activation(x + bias)` for rows of `length` numbers, in place.
pub(in crate::model) fn activate_rows(x: &mut [f32], bias: Option<&[f32]>, length: usize, activation: Activation) {
    match bias {
        Some(bias) => add_and_activate(x, bias, activation),
        None if activation == Activation::None => {}
        None => add_and_activate(x, &vec![0.0; length], activation),
    }
}

fn add_and_activate(x: &mut [f32], bias: &[f32], activation: Activation) {
    match activation {
        Activation::None => add_rows(x, bias),
        Activation::Relu => add_rows_relu(x, bias),
        Activation::Relu6 => add_rows_relu6(x, bias),
        Activation::QuickGelu => add_rows_quick_gelu(x, bias),
        Activation::Gelu => add_rows_gelu(x, bias),
        Activation::GeluTanh => add_rows_gelu_tanh(x, bias),
    }
}

/// A norm of tensors along the last dimension.
pub(in crate::model) struct TensorNorm {
    pub(in crate::model) weight: Tensor,
    pub(in crate::model) bias: Tensor,
    pub(in crate::model) eps: f32,
}

impl TensorNorm {
    pub(in crate::model) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (&self.weight, &self.bias);
        if !x.device().is_cpu() {
            return candle_nn::ops::layer_norm(x, weight, bias, self.eps);
        }
        x.contiguous()?.apply_op3_no_bwd(weight, bias, &LayerNorm(self.eps))
    }
}

/// The same of rows of numbers.
#[derive(Clone, Copy)]
pub(in crate::model) struct Norm<'a> {
    pub(in crate::model) weight: &'a [f32],
    pub(in crate::model) bias: &'a [f32],
    pub(in crate::model) eps: f32,
}

struct LayerNorm(f32);

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (weight, bias) = (contiguous(weight, weight_layout)?, contiguous(bias, bias_layout)?);
        let mut x = contiguous(x, layout)?.to_vec();
        if weight.is_empty() || weight.len() != bias.len() || layout.dims().last() != Some(&weight.len()) {
            bail!("a norm of {} numbers for {:?}", weight.len(), layout.dims());
        }
        layer_norm(&mut x, weight, bias, self.0);
        Ok((CpuStorage::F32(x), layout.shape().clone()))
    }
}

struct Add;

impl InplaceOp2 for Add {
    fn name(&self) -> &'static str {
        "add-in-place"
    }

    fn cpu_fwd(&self, x: &mut CpuStorage, layout: &Layout, y: &CpuStorage, y_layout: &Layout) -> Result<()> {
        let (x, y) = (contiguous_mut(x, layout)?, contiguous(y, y_layout)?);
        if x.len() != y.len() {
            bail!("{} numbers added to {}", y.len(), x.len());
        }
        add_rows(x, y);
        Ok(())
    }
}

/// A depthwise convolution, followed by an activation.
///
/// Shapes: input (height, width, channels), weights (kernel, kernel, channels), bias (channels).
pub(in crate::model) struct Depthwise {
    pub(in crate::model) stride: usize,
    pub(in crate::model) padding: Padding,
    pub(in crate::model) activation: Activation,
}

/// How many zeros stand before the first pixel; after the last there are as many as it takes.
#[derive(Clone, Copy)]
pub(in crate::model) enum Padding {
    /// TensorFlow's 'same'.
    Same,
    /// Half the kernel, as PyTorch's models have it.
    Half,
}

impl CustomOp3 for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (height, width, channels) = x_layout.shape().dims3()?;
        let (kernel, kernel_width, weight_channels) = weight_layout.shape().dims3()?;
        if kernel != kernel_width || weight_channels != channels || bias_layout.shape().dims1()? != channels {
            bail!("the shapes of a depthwise convolution do not match");
        }
        let before = |size| match self.padding {
            Padding::Same => same_padding(size, kernel, self.stride),
            Padding::Half => kernel / 2,
        };
        let padding = (before(height), before(width));
        // ReLU6 costs nothing on the way; the others are applied afterwards.
        let (limits, after) = match self.activation {
            Activation::Relu6 => ((0.0, 6.0), Activation::None),
            other => ((f32::NEG_INFINITY, f32::INFINITY), other),
        };
        let shape = Convolution { height, width, channels, kernel, stride: self.stride, padding, limits };
        let (out_height, out_width) = (shape.height.div_ceil(self.stride), shape.width.div_ceil(self.stride));
        let mut out = vec![0.0_f32; out_height * out_width * channels];
        depthwise(
            contiguous(x, x_layout)?,
            contiguous(weight, weight_layout)?,
            contiguous(bias, bias_layout)?,
            shape,
            &mut out,
        );
        activate_rows(&mut out, None, channels, after);
        Ok((CpuStorage::F32(out), Shape::from((out_height, out_width, channels))))
    }
}

#[derive(Clone, Copy)]
struct Convolution {
    height: usize,
    width: usize,
    channels: usize,
    kernel: usize,
    stride: usize,
    /// Zeros above the first row and left of the first column.
    padding: (usize, usize),
    /// Between which results are clamped.
    limits: (f32, f32),
}

/// How many pixels 'same' padding adds before the first.
pub(in crate::model) fn same_padding(size: usize, kernel: usize, stride: usize) -> usize {
    ((size.div_ceil(stride) - 1) * stride + kernel).saturating_sub(size) / 2
}

pub(in crate::model) fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("a tensor is not contiguous"),
    }
}

pub(in crate::model) fn contiguous_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (layout.contiguous_offsets(), storage) {
        (Some((start, end)), CpuStorage::F32(all)) => Ok(&mut all[start..end]),
        (_, other) => bail!("a {:?} tensor is not contiguous or not f32", other.dtype()),
    }
}

by_level! {
    pub(in crate::model) fn add_rows(x: &mut [f32], bias: &[f32]) {
        for row in x.chunks_exact_mut(bias.len()) {
            for (x, b) in row.iter_mut().zip(bias) {
                *x += b;
            }
        }
    }
}

by_level! {
    fn add_rows_relu(x: &mut [f32], bias: &[f32]) {
        for row in x.chunks_exact_mut(bias.len()) {
            for (x, b) in row.iter_mut().zip(bias) {
                *x = (*x + b).max(0.0);
            }
        }
    }
}

by_level! {
    fn add_rows_relu6(x: &mut [f32], bias: &[f32]) {
        for row in x.chunks_exact_mut(bias.len()) {
            for (x, b) in row.iter_mut().zip(bias) {
                *x = (*x + b).clamp(0.0, 6.0);
            }
        }
    }
}

by_level! {
    fn add_rows_quick_gelu(x: &mut [f32], bias: &[f32]) {
        for row in x.chunks_exact_mut(bias.len()) {
            for (x, b) in row.iter_mut().zip(bias) {
                let v = *x + b;
                *x = v / (1.0 + exp(-1.702 * v));
            }
        }
    }
}

by_level! {
    fn add_rows_gelu(x: &mut [f32], bias: &[f32]) {
        for row in x.chunks_exact_mut(bias.len()) {
            for (x, b) in row.iter_mut().zip(bias) {
                *x = gelu(*x + b);
            }
        }
    }
}

by_level! {
    fn add_rows_gelu_tanh(x: &mut [f32], bias: &[f32]) {
        for row in x.chunks_exact_mut(bias.len()) {
            for (x, b) in row.iter_mut().zip(bias) {
                *x = gelu_tanh(*x + b);
            }
        }
    }
}

by_level! {
    fn depthwise(x: &[f32], weight: &[f32], bias: &[f32], shape: Convolution, out: &mut [f32]) {
        /// How many channels are summed at once, in registers.
        const LANES: usize = 32;
        let Convolution { height, width, channels, kernel, stride, padding: (top, left), limits } = shape;
        let out_width = width.div_ceil(stride);
        for (y, row) in out.chunks_exact_mut(out_width * channels).enumerate() {
            // The part of the kernel that is inside the picture.
            let rows = top.saturating_sub(y * stride)..kernel.min(height + top - y * stride);
            for (column, pixel) in row.chunks_exact_mut(channels).enumerate() {
                let columns = left.saturating_sub(column * stride)..kernel.min(width + left - column * stride);
                for first in (0..channels).step_by(LANES) {
                    let lanes = LANES.min(channels - first);
                    let mut sum = [0.0_f32; LANES];
                    sum[..lanes].copy_from_slice(&bias[first..first + lanes]);
                    for ky in rows.clone() {
                        for kx in columns.clone() {
                            let at = ((y * stride + ky - top) * width + column * stride + kx - left) * channels + first;
                            let tap = (ky * kernel + kx) * channels + first;
                            if lanes == LANES {
                                // A fixed length, so that the sums stay in registers.
                                for ((s, x), w) in
                                    sum.iter_mut().zip(&x[at..at + LANES]).zip(&weight[tap..tap + LANES])
                                {
                                    *s += x * w;
                                }
                            } else {
                                for ((s, x), w) in
                                    sum.iter_mut().zip(&x[at..at + lanes]).zip(&weight[tap..tap + lanes])
                                {
                                    *s += x * w;
                                }
                            }
                        }
                    }
                    for (o, s) in pixel[first..first + lanes].iter_mut().zip(sum) {
                        *o = s.clamp(limits.0, limits.1);
                    }
                }
            }
        }
    }
}

by_level! {
    /// The dot product of two vectors of the same length.
    pub(in crate::model) fn dot(a: &[f32], b: &[f32]) -> f32 {
        const LANES: usize = 32;
        let mut sums = [0.0_f32; LANES];
        let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
        let tail: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
        for (a, b) in a_chunks.zip(b_chunks) {
            for ((s, a), b) in sums.iter_mut().zip(a).zip(b) {
                *s += a * b;
            }
        }
        sums.iter().sum::<f32>() + tail
    }
}

/// Tokens whose keys stand side by side: see [`block_products`].
pub(in crate::model) const BLOCK: usize = 16;

#[inline(always)]
fn add_scaled_block(sums: &mut [f32; BLOCK], factor: f32, numbers: &[f32; BLOCK]) {
    for (sum, number) in sums.iter_mut().zip(numbers) {
        *sum += factor * number;
    }
}

by_level! {
    /// The products of each query with the keys of a block, which are turned: (size, [`BLOCK`]). A query is as long as a
    /// key.
    pub(in crate::model) fn block_products(queries: &[f32], keys: &[f32], out: &mut [[f32; BLOCK]]) {
        let keys = keys.as_chunks::<BLOCK>().0;
        let (fours, rest) = keys.as_chunks::<4>();
        for (query, out) in queries.chunks_exact(keys.len()).zip(out) {
            let (query_fours, query_rest) = query.as_chunks::<4>();
            // Several sums, so that none waits for the one before it.
            let [mut a, mut b, mut c, mut d] = [[0.0_f32; BLOCK]; 4];
            for (query, keys) in query_fours.iter().zip(fours) {
                add_scaled_block(&mut a, query[0], &keys[0]);
                add_scaled_block(&mut b, query[1], &keys[1]);
                add_scaled_block(&mut c, query[2], &keys[2]);
                add_scaled_block(&mut d, query[3], &keys[3]);
            }
            for (query, keys) in query_rest.iter().zip(rest) {
                add_scaled_block(&mut a, *query, keys);
            }
            for (n, out) in out.iter_mut().enumerate() {
                *out = (a[n] + b[n]) + (c[n] + d[n]);
            }
        }
    }
}

by_level! {
    /// Adds rows of a block's values to `out`, each times a weight: row `slot % BLOCK` for each of the slots. `width` is
    /// the distance of rows.
    pub(in crate::model) fn add_weighted(
        out: &mut [f32],
        weights: &[f32],
        slots: &[u32],
        values: &[f32],
        width: usize,
    ) {
        const LANES: usize = 16;
        let rows = || weights.iter().zip(slots.iter().map(|slot| *slot as usize % BLOCK * width));
        let (pieces, rest) = out.as_chunks_mut::<LANES>();
        let whole = pieces.len() * LANES;
        for (n, piece) in pieces.iter_mut().enumerate() {
            // A fixed length, so that the sums stay in registers.
            let mut sums = *piece;
            for (weight, at) in rows() {
                for (sum, value) in sums.iter_mut().zip(&values[at + n * LANES..][..LANES]) {
                    *sum += weight * value;
                }
            }
            *piece = sums;
        }
        if !rest.is_empty() {
            for (weight, at) in rows() {
                for (sum, value) in rest.iter_mut().zip(&values[at + whole..]) {
                    *sum += weight * value;
                }
            }
        }
    }
}

by_level! {
    /// Turns each row of `x` into `(row - mean) / sqrt(variance + eps) * weight + bias` (Ba et al. 2016).
    pub(in crate::model) fn layer_norm(x: &mut [f32], weight: &[f32], bias: &[f32], eps: f32) {
        for row in x.chunks_exact_mut(weight.len()) {
            let mean = sum(row, |x| x) / row.len() as f32;
            let variance = sum(row, |x| (x - mean) * (x - mean)) / row.len() as f32;
            let scale = 1.0 / (variance + eps).sqrt();
            for ((x, w), b) in row.iter_mut().zip(weight).zip(bias) {
                *x = (*x - mean) * scale * w + b;
            }
        }
    }
}

by_level! {
    /// Turns each row of `x` into `row / sqrt(mean of squares + eps) * weight` (Zhang and Sennrich 2019).
    pub(in crate::model) fn rms_norm(x: &mut [f32], weight: &[f32], eps: f32) {
        for row in x.chunks_exact_mut(weight.len()) {
            let scale = 1.0 / (sum(row, |x| x * x) / row.len() as f32 + eps).sqrt();
            for (x, w) in row.iter_mut().zip(weight) {
                *x = *x * scale * w;
            }
        }
    }
}

by_level! {
    /// `x * sigmoid(x) * y`, in place in `x` (SwiGLU; Shazeer 2020).
    pub(in crate::model) fn silu_times(x: &mut [f32], y: &[f32]) {
        for (x, y) in x.iter_mut().zip(y) {
            *x = *x / (1.0 + exp(-*x)) * y;
        }
    }
}

by_level! {
    /// Turns pairs of numbers by angles (Su et al. 2021): in each head of `x`, number i of the first half and of the
    /// second form a pair, for whose angle there are a cosine and a sine.
    pub(in crate::model) fn rotate_halves(x: &mut [f32], cosines: &[f32], sines: &[f32]) {
        let half = cosines.len();
        for head in x.chunks_exact_mut(2 * half) {
            let (a, b) = head.split_at_mut(half);
            for (((a, b), cos), sin) in a.iter_mut().zip(b).zip(cosines).zip(sines) {
                let (x, y) = (*a, *b);
                *a = x * cos - y * sin;
                *b = y * cos + x * sin;
            }
        }
    }
}

by_level! {
    /// Turns each row of `length` numbers into `softmax(scale * row)`.
    pub(in crate::model) fn softmax(x: &mut [f32], length: usize, scale: f32) {
        for row in x.chunks_exact_mut(length) {
            let largest = largest(row);
            for x in row.iter_mut() {
                *x = exp(scale * (*x - largest));
            }
            let inverse = 1.0 / sum(row, |x| x);
            row.iter_mut().for_each(|x| *x *= inverse);
        }
    }
}

by_level! {
    /// Adds `scale` times `y` to `x`.
    pub(in crate::model) fn add_scaled(x: &mut [f32], scale: f32, y: &[f32]) {
        for (x, y) in x.iter_mut().zip(y) {
            *x += scale * y;
        }
    }
}

/// The largest number of a row, in lanes; NaN is passed over.
#[inline(always)]
fn largest(row: &[f32]) -> f32 {
    const LANES: usize = 16;
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, *x);
        }
    }
    lanes.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, larger)
}

/// The sum of `f` over a row, in lanes, so that it vectorises and loses little precision.
#[inline(always)]
fn sum(row: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (s, x) in sums.iter_mut().zip(chunk) {
            *s += f(*x);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|x| f(*x)).sum::<f32>()
}

/// `x * Phi(x)` with the error function of Abramowitz and Stegun 7.1.26 (absolute error 1.5e-7).
#[inline(always)]
pub(in crate::model) fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly = t * (0.254_829_6 + t * (-0.284_496_74 + t * (1.421_413_8 + t * (-1.453_152 + t * 1.061_405_4))));
    let half = 0.5 * poly * exp(-z * z); // half of 1 - erf(z), without the cancellation
    if x < 0.0 { x * half } else { x - x * half }
}

/// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`, by the sigmoid of twice the argument.
#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    const DOUBLE: f32 = 1.595_769;
    x / (1.0 + exp(-DOUBLE * (x + 0.044_715 * x * x * x)))
}

/// The exponential, without a branch or a call so that it vectorises; relative error under 2e-7 for |x| < 87.
#[inline(always)]
#[allow(clippy::excessive_precision)] // the two parts of ln 2, exact as written (Cephes)
pub(super) fn exp(x: f32) -> f32 {
    /// Adding this and subtracting it again rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_375 + n * 2.121_944_4e-4;
    let p = 1.987_569_15e-4;
    let p = p * r + 1.398_199_95e-3;
    let p = p * r + 8.333_451_9e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_55e-1;
    let p = p * r + 5.000_000_1e-1;
    let value = p * r * r + r + 1.0;
    // The lowest bits are n, within -126..=127, which are the exponents of normal numbers. A cast would saturate, slowly.
    value * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn exp_and_gelu_are_accurate() {
        for i in -8600..8700 {
            let x = i as f32 / 100.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 3e-7, "exp({x}) = {}", exp(x));
        }
        // Expected: x * cdf(x), computed with scipy.stats.norm.
        for (x, y) in
            [(0.0, 0.0), (1.0, 0.841_344_8), (-1.0, -0.158_655_25), (3.0, 2.995_950_3), (-2.5, -0.015_524_165)]
        {
            assert!((gelu(x) - y).abs() < 1e-6, "gelu({x}) = {}", gelu(x));
        }
        assert!(gelu(-40.0).abs() < 1e-6 && (gelu(40.0) - 40.0).abs() < 1e-6);
        for i in -800..800 {
            let x = f64::from(i) / 100.0;
            let exact = x / 2.0 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh());
            assert!((f64::from(gelu_tanh(x as f32)) - exact).abs() < 1e-6, "gelu_tanh({x})");
        }
    }

    #[test]
    fn depthwise_equals_the_plain_sum() {
        let cases = [(7, 5, 3, 3, 1), (8, 9, 40, 5, 2), (4, 4, 33, 3, 2), (1, 1, 2, 5, 1)];
        let ways = [(Padding::Same, Activation::Relu6), (Padding::Half, Activation::None)];
        for ((height, width, channels, kernel, stride), (padding, activation)) in
            cases.into_iter().flat_map(|case| ways.map(|way| (case, way)))
        {
            let value = |i: usize| ((i * 7919 + 13) % 101) as f32 / 100.0 - 0.5;
            let x: Vec<f32> = (0..height * width * channels).map(value).collect();
            let w: Vec<f32> = (0..kernel * kernel * channels).map(|i| value(i + 5)).collect();
            let b: Vec<f32> = (0..channels).map(value).collect();
            let device = Device::Cpu;
            let out = Tensor::from_slice(&x, (height, width, channels), &device)
                .unwrap()
                .apply_op3_no_bwd(
                    &Tensor::from_slice(&w, (kernel, kernel, channels), &device).unwrap(),
                    &Tensor::from_slice(&b, channels, &device).unwrap(),
                    &Depthwise { stride, padding, activation },
                )
                .unwrap();
            let (oh, ow, _) = out.dims3().unwrap();
            assert_eq!((oh, ow), (height.div_ceil(stride), width.div_ceil(stride)));
            let out = out.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let (top, left) = match padding {
                Padding::Same => (same_padding(height, kernel, stride), same_padding(width, kernel, stride)),
                Padding::Half => (kernel / 2, kernel / 2),
            };
            for y in 0..oh {
                for z in 0..ow {
                    for c in 0..channels {
                        let mut sum = b[c];
                        for ky in 0..kernel {
                            for kx in 0..kernel {
                                let (iy, ix) =
                                    ((y * stride + ky).wrapping_sub(top), (z * stride + kx).wrapping_sub(left));
                                if iy < height && ix < width {
                                    sum += x[(iy * width + ix) * channels + c] * w[(ky * kernel + kx) * channels + c];
                                }
                            }
                        }
                        let got = out[(y * ow + z) * channels + c];
                        let sum = if activation == Activation::Relu6 { sum.clamp(0.0, 6.0) } else { sum };
                        assert!((got - sum).abs() < 1e-5, "{got} {sum}");
                    }
                }
            }
        }
    }

    #[test]
    fn activations_follow_their_definitions() {
        let x = Tensor::new(&[[-3f32, 0.5], [2.0, 9.0]], &Device::Cpu).unwrap();
        let bias = Tensor::new(&[1f32, -0.5], &Device::Cpu).unwrap();
        let run = |a| bias_activate(x.copy().unwrap(), &bias, a).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(run(Activation::None), [[-2.0, 0.0], [3.0, 8.5]]);
        assert_eq!(run(Activation::Relu6), [[0.0, 0.0], [3.0, 6.0]]);
        let quick = run(Activation::QuickGelu)[1][0];
        assert!((quick - 3.0 / (1.0 + (-5.106_f32).exp())).abs() < 1e-6);
        assert!((run(Activation::Gelu)[1][0] - 2.995_950_3).abs() < 1e-6);
        assert_eq!(dot(&[1.0; 35], &[2.0; 35]), 70.0);
    }
}
