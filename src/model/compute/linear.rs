//! Linear layers and products of tensors: on the processor by the kernels of [`super::matrix`], elsewhere by candle.
//!
//! Our kernels add in the same order at every processor level with FMA; candle's do not.

use super::matrix::{Matrix, multiply_slices};
use super::ops::{Activation, bias_activate, contiguous};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// `x W^T + b`
pub(in crate::model) struct TensorLinear {
    /// (outputs, inputs)
    pub(in crate::model) weight: Tensor,
    /// (outputs)
    pub(in crate::model) bias: Tensor,
}

impl TensorLinear {
    /// Maps (rows, inputs) to (rows, outputs) and applies an activation.
    pub(in crate::model) fn apply(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        if !x.device().is_cpu() {
            return bias_activate(product(x, &self.weight)?, &self.bias, activation);
        }
        x.contiguous()?.apply_op3_no_bwd(&self.weight.contiguous()?, &self.bias, &TensorProduct(activation))
    }
}

/// The same with a matrix that stays in the format of its file.
pub(in crate::model) struct MatrixLinear {
    /// (outputs, inputs)
    pub(in crate::model) weight: Matrix,
    /// (outputs)
    pub(in crate::model) bias: Tensor,
}

impl MatrixLinear {
    /// Maps (rows, inputs) to (rows, outputs) on the processor, and applies an activation. The bits of a row do not depend on
    /// how many others there are.
    pub(in crate::model) fn apply(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        x.contiguous()?.apply_op2_no_bwd(&self.bias, &MatrixProduct { weight: &self.weight, activation })
    }
}

/// `x w^T`: (.., n, k) and (.., m, k) with the same leading dimensions give (.., n, m).
pub(in crate::model) fn product(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return x.matmul(&w.t()?);
    }
    x.contiguous()?.apply_op2_no_bwd(&w.contiguous()?, &RowProduct)
}

/// What a layer of (outputs, inputs) makes of (rows, inputs), by a product of `x` that adds `bias`.
fn layer(
    (x, x_layout): (&CpuStorage, &Layout),
    (bias, bias_layout): (&CpuStorage, &Layout),
    (outputs, inputs): (usize, usize),
    multiply: impl FnOnce(&[f32], &[f32]) -> Vec<f32>,
) -> Result<(CpuStorage, Shape)> {
    let (x, bias) = (contiguous(x, x_layout)?, contiguous(bias, bias_layout)?);
    match x_layout.dims() {
        [rows, columns] if *columns == inputs && bias.len() == outputs && rows * columns * outputs > 0 => {
            Ok((CpuStorage::F32(multiply(x, bias)), Shape::from((*rows, outputs))))
        }
        shape => bail!("a layer from {inputs} to {outputs} numbers gets {shape:?} and a bias of {}", bias.len()),
    }
}

struct TensorProduct(Activation);

impl CustomOp3 for TensorProduct {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (outputs, inputs) = w_layout.shape().dims2()?;
        let w = contiguous(w, w_layout)?;
        let multiply = |x: &[f32], bias: &[f32]| multiply_slices(x, w, inputs, Some(bias), self.0);
        layer((x, x_layout), (bias, bias_layout), (outputs, inputs), multiply)
    }
}

struct MatrixProduct<'a> {
    weight: &'a Matrix,
    activation: Activation,
}

impl CustomOp2 for MatrixProduct<'_> {
    fn name(&self) -> &'static str {
        "matrix-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let multiply = |x: &[f32], bias: &[f32]| self.weight.multiply_by_tiles(x, Some(bias), self.activation);
        let shape = (self.weight.rows(), self.weight.columns());
        layer((x, x_layout), (bias, bias_layout), shape, multiply)
    }
}

struct RowProduct;

impl CustomOp2 for RowProduct {
    fn name(&self) -> &'static str {
        "product"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x_shape, w_shape) = (x_layout.dims(), w_layout.dims());
        let ([x_batch @ .., n, length], [w_batch @ .., m, w_length]) = (x_shape, w_shape) else {
            bail!("a product of tensors that are not matrices")
        };
        if x_batch != w_batch || length != w_length || *length == 0 || *n == 0 || *m == 0 {
            bail!("a product of {x_shape:?} and {w_shape:?}");
        }
        let (x, w) = (contiguous(x, x_layout)?, contiguous(w, w_layout)?);
        let shape: Vec<usize> = x_batch.iter().copied().chain([*n, *m]).collect();
        let multiply = |x: &[f32], w: &[f32]| multiply_slices(x, w, *length, None, Activation::None);
        let out = if x_batch.iter().product::<usize>() == 1 {
            multiply(x, w)
        } else {
            let pairs = x.par_chunks_exact(n * length).zip(w.par_chunks_exact(m * length));
            pairs.map(|(x, w)| multiply(x, w)).collect::<Vec<_>>().concat()
        };
        Ok((CpuStorage::F32(out), Shape::from(shape)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn products_are_those_of_candle() {
        let tensor = |shape: &[usize], seed: usize| {
            let count = shape.iter().product::<usize>();
            let numbers: Vec<f32> = (0..count).map(|i| ((i * 7919 + seed) % 97) as f32 / 97.0 - 0.5).collect();
            Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
        };
        for (x, w) in [(vec![5, 32], vec![7, 32]), (vec![2, 3, 4, 8], vec![2, 3, 5, 8]), (vec![1, 1, 3], vec![1, 9, 3])]
        {
            let (x, w) = (tensor(&x, 1), tensor(&w, 2));
            let expected = x.matmul(&w.t().unwrap().contiguous().unwrap()).unwrap();
            let found = product(&x, &w).unwrap();
            assert_eq!(found.dims(), expected.dims());
            let distance = (found - expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(distance < 1e-5, "{distance}");
        }
        assert!(product(&tensor(&[5, 32], 1), &tensor(&[7, 31], 1)).is_err());
    }
}
