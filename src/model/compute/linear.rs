//! Linear layers and products of tensors: on the processor by the kernels of [`super::matrix`], elsewhere by candle.
//!
//! Our kernels add in the same order at every processor level with FMA; candle's do not.

use super::matrix::{PackedMatrix, multiply_slices, multiply_slices_to};
use super::ops::{Activation, bias_activate, contiguous, contiguous_mut};
use candle_core::{CpuStorage, CustomOp2, DType, InplaceOp3, Layout, Result, Shape, Storage, Tensor, bail};
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
        self.apply_in(None, x, activation)
    }

    /// The same in the place of `room`, if that has the shape of the result: new memory of some megabytes costs a tenth of
    /// the product.
    pub(in crate::model) fn apply_in(
        &self,
        room: Option<&Tensor>,
        x: &Tensor,
        activation: Activation,
    ) -> Result<Tensor> {
        if !x.device().is_cpu() {
            return bias_activate(product(x, &self.weight)?, &self.bias, activation);
        }
        let weight = self.weight.contiguous()?;
        in_room(room, x, &self.bias, &TensorProduct { weight: &weight, activation })
    }
}

/// The same in 8 bits.
pub(in crate::model) struct PackedLinear {
    /// (outputs, inputs)
    pub(in crate::model) weight: PackedMatrix,
    /// (outputs)
    pub(in crate::model) bias: Tensor,
}

impl PackedLinear {
    /// Like [`TensorLinear::apply_in`], on the processor. The bits of a row do not depend on how many others there are.
    pub(in crate::model) fn apply_in(
        &self,
        room: Option<&Tensor>,
        x: &Tensor,
        activation: Activation,
    ) -> Result<Tensor> {
        in_room(room, x, &self.bias, &PackedProduct { weight: &self.weight, activation })
    }
}

/// The result of a layer on the processor, in `room` if it fits there.
fn in_room(room: Option<&Tensor>, x: &Tensor, bias: &Tensor, product: &impl InplaceOp3) -> Result<Tensor> {
    let shape = (x.dims2()?.0, bias.dims1()?);
    let room = match room.filter(|room| room.dims2().is_ok_and(|room| room == shape)) {
        Some(room) => room.clone(),
        None => Tensor::zeros(shape, DType::F32, x.device())?,
    };
    room.inplace_op3(&x.contiguous()?, bias, product)?;
    Ok(room)
}

/// `x w^T`: (.., n, k) and (.., m, k) with the same leading dimensions give (.., n, m).
pub(in crate::model) fn product(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return x.matmul(&w.t()?);
    }
    x.contiguous()?.apply_op2_no_bwd(&w.contiguous()?, &RowProduct)
}

/// Fills `out` with what a layer of (outputs, inputs) makes of (rows, inputs), by a product of `x` that adds `bias`.
fn layer(
    (out, out_layout): (&mut CpuStorage, &Layout),
    (x, x_layout): (&CpuStorage, &Layout),
    (bias, bias_layout): (&CpuStorage, &Layout),
    (outputs, inputs): (usize, usize),
    multiply: impl FnOnce(&mut [f32], &[f32], &[f32]),
) -> Result<()> {
    let (x, bias) = (contiguous(x, x_layout)?, contiguous(bias, bias_layout)?);
    let out = contiguous_mut(out, out_layout)?;
    match x_layout.dims() {
        [rows, columns]
            if *columns == inputs
                && bias.len() == outputs
                && out.len() == rows * outputs
                && rows * columns * outputs > 0 =>
        {
            multiply(out, x, bias);
            Ok(())
        }
        shape => bail!("a layer from {inputs} to {outputs} numbers gets {shape:?} and a bias of {}", bias.len()),
    }
}

struct TensorProduct<'a> {
    /// (outputs, inputs), contiguous
    weight: &'a Tensor,
    activation: Activation,
}

impl InplaceOp3 for TensorProduct<'_> {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        out: &mut CpuStorage,
        out_layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<()> {
        let (storage, w_layout) = self.weight.storage_and_layout();
        let Storage::Cpu(w) = &*storage else { bail!("the weights of a layer are not on the processor") };
        let (w, shape) = (contiguous(w, w_layout)?, w_layout.shape().dims2()?);
        layer((out, out_layout), (x, x_layout), (bias, bias_layout), shape, |out, x, bias| {
            multiply_slices_to(out, x, w, shape.1, Some(bias), self.activation);
        })
    }
}

struct PackedProduct<'a> {
    weight: &'a PackedMatrix,
    activation: Activation,
}

impl InplaceOp3 for PackedProduct<'_> {
    fn name(&self) -> &'static str {
        "packed-linear"
    }

    fn cpu_fwd(
        &self,
        out: &mut CpuStorage,
        out_layout: &Layout,
        x: &CpuStorage,
        x_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<()> {
        let shape = (self.weight.rows(), self.weight.columns());
        layer((out, out_layout), (x, x_layout), (bias, bias_layout), shape, |out, x, bias| {
            self.weight.multiply_to(out, x, Some(bias), self.activation);
        })
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
