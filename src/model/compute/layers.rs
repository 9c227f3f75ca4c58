//! What transformers have in common: linear layers and norms, on rows of f32.

use crate::model::compute::matrix::{Matrix, multiply_each};
use crate::model::compute::ops::{self, Activation};
use crate::model::compute::weights::Weights;
use rayon::prelude::*;

/// Rows of one task where each row costs little.
const FEW_ROWS: usize = 16;

/// `x W^T + b`
pub(in crate::model) struct Linear {
    weight: Matrix,
    bias: Option<Vec<f32>>,
}

impl Linear {
    /// The layer `name`, from `inputs` to `outputs` numbers.
    pub(in crate::model) fn load(
        weights: &Weights,
        name: &str,
        inputs: usize,
        outputs: usize,
        bias: bool,
    ) -> anyhow::Result<Self> {
        let weight = weights.matrix(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = bias.then(|| weights.vector(&format!("{name}.bias"), &[outputs])).transpose()?;
        Ok(Self { weight, bias })
    }

    /// A layer of a matrix and a bias that have other names in the file.
    pub(in crate::model) fn new(weight: Matrix, bias: Option<Vec<f32>>) -> Self {
        Self { weight, bias }
    }

    /// (n, inputs) to (n, outputs), with an activation.
    pub(in crate::model) fn forward(&self, x: &[f32], activation: Activation) -> Vec<f32> {
        self.weight.multiply(x, self.bias.as_deref(), activation)
    }

    /// What each of some layers makes of the same rows.
    pub(in crate::model) fn forward_each<const N: usize>(layers: [&Self; N], x: &[f32]) -> [Vec<f32>; N] {
        multiply_each(x, layers.map(|layer| (&layer.weight, layer.bias.as_deref())))
    }

    /// Adds the layer's outputs to the residual stream, (n, outputs).
    pub(in crate::model) fn add_to(&self, residual: &mut [f32], x: &[f32]) {
        ops::add_rows(residual, &self.forward(x, Activation::None));
    }
}

/// A layer norm.
pub(in crate::model) struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    eps: f32,
}

impl Norm {
    pub(in crate::model) fn load(weights: &Weights, name: &str, size: usize, eps: f32) -> anyhow::Result<Self> {
        let part = |part: &str| weights.vector(&format!("{name}.{part}"), &[size]);
        Ok(Self { weight: part("weight")?, bias: part("bias")?, eps })
    }

    /// A norm without learned weights.
    pub(in crate::model) fn plain(size: usize, eps: f32) -> Self {
        Self { weight: vec![1.0; size], bias: vec![0.0; size], eps }
    }

    /// Numbers in a row.
    pub(in crate::model) fn size(&self) -> usize {
        self.weight.len()
    }

    /// Normalises rows in place.
    pub(in crate::model) fn apply(&self, x: &mut [f32]) {
        x.par_chunks_mut(FEW_ROWS * self.weight.len())
            .for_each(|rows| ops::layer_norm(rows, &self.weight, &self.bias, self.eps));
    }

    /// Normalises a copy of rows.
    pub(in crate::model) fn forward(&self, x: &[f32]) -> Vec<f32> {
        let mut x = x.to_vec();
        self.apply(&mut x);
        x
    }
}

/// A norm by the root mean square, without a bias.
pub(in crate::model) struct RmsNorm {
    weight: Vec<f32>,
    eps: f32,
}

impl RmsNorm {
    /// The norm `name`, of rows of `size` numbers.
    pub(in crate::model) fn load(weights: &Weights, name: &str, size: usize, eps: f32) -> anyhow::Result<Self> {
        Ok(Self { weight: weights.vector(&format!("{name}.weight"), &[size])?, eps })
    }

    /// Normalises rows in place.
    pub(in crate::model) fn apply(&self, x: &mut [f32]) {
        x.par_chunks_mut(FEW_ROWS * self.weight.len()).for_each(|rows| ops::rms_norm(rows, &self.weight, self.eps));
    }

    /// Normalises a copy of rows.
    pub(in crate::model) fn forward(&self, x: &[f32]) -> Vec<f32> {
        let mut x = x.to_vec();
        self.apply(&mut x);
        x
    }
}

/// A feed-forward layer with a gate (SwiGLU), without biases.
pub(in crate::model) struct GatedMlp {
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl GatedMlp {
    /// The layer `name`, from `inputs` by `inner` to `outputs` numbers.
    pub(in crate::model) fn load(
        weights: &Weights,
        name: &str,
        (inputs, inner, outputs): (usize, usize, usize),
    ) -> anyhow::Result<Self> {
        let part =
            |part: &str, inputs, outputs| Linear::load(weights, &format!("{name}.{part}"), inputs, outputs, false);
        Ok(Self {
            gate: part("gate_proj", inputs, inner)?,
            up: part("up_proj", inputs, inner)?,
            down: part("down_proj", inner, outputs)?,
        })
    }

    /// (n, inputs) to (n, outputs).
    pub(in crate::model) fn forward(&self, x: &[f32]) -> Vec<f32> {
        let [mut gated, up] = Linear::forward_each([&self.gate, &self.up], x);
        let task = FEW_ROWS << 10;
        gated.par_chunks_mut(task).zip(up.par_chunks(task)).for_each(|(gate, up)| ops::silu_times(gate, up));
        self.down.forward(&gated, Activation::None)
    }
}

/// The rows of a table, (tokens, hidden), that belong to tokens.
///
/// # Errors
/// A token is not in the vocabulary.
pub(in crate::model) fn lookup(table: &Matrix, tokens: &[u32]) -> anyhow::Result<Vec<f32>> {
    let size = table.columns();
    let mut out = vec![0.0; tokens.len() * size];
    for (token, out) in tokens.iter().zip(out.chunks_exact_mut(size)) {
        anyhow::ensure!(
            (*token as usize) < table.rows(),
            "the tokenizer produces token {token}, but the language model has only {} tokens: the files do not belong \
             together",
            table.rows()
        );
        table.widen_row(*token as usize, out);
    }
    Ok(out)
}
