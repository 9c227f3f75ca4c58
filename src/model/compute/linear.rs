//! Linear layers and products of tensors: on the processor by the kernels of [`super::matrix`], elsewhere by candle.
//!
//! Our kernels add in the same order at every processor level with FMA; candle's do not.

use super::matrix::{
    Heads, PackedMatrix, add_attention, add_mlp, heads_fill_strips, multiply_slices, multiply_slices_to,
};
use super::ops::{Activation, Norm, TensorNorm, bias_activate, contiguous, contiguous_mut};
use candle_core::{CpuStorage, CustomOp2, DType, InplaceOp1, Layout, Result, Shape, Storage, Tensor, bail};
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
        let shape = weight.dims2()?;
        let out = room_for(room, x, shape.0)?;
        with_numbers([&x.contiguous()?, &weight, &self.bias], |[x, w, bias]| {
            in_place(&out, |out| {
                check(out, x, bias, shape)?;
                multiply_slices_to(out, x, w, shape.1, Some(bias), activation);
                Ok(())
            })
        })?;
        Ok(out)
    }
}

/// A linear layer in 8 bits. The bits of a row do not depend on how many others there are.
pub(in crate::model) struct PackedLinear {
    /// (outputs, inputs)
    pub(in crate::model) weight: PackedMatrix,
    /// (outputs)
    pub(in crate::model) bias: Tensor,
}

impl PackedLinear {
    /// (outputs, inputs)
    fn shape(&self) -> (usize, usize) {
        (self.weight.rows(), self.weight.columns())
    }

    /// Like [`TensorLinear::apply_in`], on the processor.
    pub(in crate::model) fn apply_in(
        &self,
        room: Option<&Tensor>,
        x: &Tensor,
        activation: Activation,
    ) -> Result<Tensor> {
        let out = room_for(room, x, self.weight.rows())?;
        with_numbers([&x.contiguous()?, &self.bias], |[x, bias]| {
            in_place(&out, |out| {
                check(out, x, bias, self.shape())?;
                self.weight.multiply_to(out, x, None, bias, activation);
                Ok(())
            })
        })?;
        Ok(out)
    }

    /// The same of what a norm makes of `x`, without an activation.
    pub(in crate::model) fn apply_normed(
        &self,
        room: Option<&Tensor>,
        x: &Tensor,
        norm: &TensorNorm,
    ) -> Result<Tensor> {
        let out = room_for(room, x, self.weight.rows())?;
        let eps = norm.eps;
        with_numbers([&x.contiguous()?, &self.bias, &norm.weight, &norm.bias], |[x, bias, weight, norm_bias]| {
            in_place(&out, |out| {
                check(out, x, bias, self.shape())?;
                check_norm(weight, norm_bias, self.weight.columns())?;
                let norm = Norm { weight, bias: norm_bias, eps };
                self.weight.multiply_to(out, x, Some(norm), bias, Activation::None);
                Ok(())
            })
        })?;
        Ok(out)
    }

    /// Adds its results to `out`, in place, and returns it.
    pub(in crate::model) fn add_to(&self, out: Tensor, x: &Tensor) -> Result<Tensor> {
        with_numbers([&x.contiguous()?, &self.bias], |[x, bias]| {
            in_place(&out, |out| {
                check(out, x, bias, self.shape())?;
                self.weight.multiply_onto(out, x, bias);
                Ok(())
            })
        })?;
        Ok(out)
    }
}

/// [`add_mlp`] of tensors, in place.
pub(in crate::model) fn add_packed_mlp(
    x: Tensor,
    norm: &TensorNorm,
    [fc1, fc2]: [&PackedLinear; 2],
    activation: Activation,
) -> Result<Tensor> {
    let eps = norm.eps;
    let parts = [&norm.weight, &norm.bias, &fc1.bias, &fc2.bias];
    with_numbers(parts, |[weight, bias, bias1, bias2]| {
        in_place(&x, |x| {
            let ((inner, hidden), columns) = (fc1.shape(), weight.len());
            check_norm(weight, bias, hidden)?;
            if fc2.shape() != (hidden, inner) || x.len() % columns != 0 || bias1.len() != inner || bias2.len() != hidden
            {
                bail!("an MLP of {hidden} and {inner} numbers, then of {:?}, gets {}", fc2.shape(), x.len());
            }
            let layers = [(&fc1.weight, bias1), (&fc2.weight, bias2)];
            add_mlp(x, Norm { weight, bias, eps }, layers, activation);
            Ok(())
        })
    })?;
    Ok(x)
}

/// Attention in 8 bits: from the states to what is added to them.
pub(in crate::model) struct PackedAttention<'a> {
    qkv: &'a PackedLinear,
    out: &'a PackedLinear,
    heads: Heads,
}

impl<'a> PackedAttention<'a> {
    /// Attention of so many heads, whose queries come out of `qkv` scaled; `None` if heads of this size do not fill strips
    /// of columns.
    pub(in crate::model) fn new([qkv, out]: [&'a PackedLinear; 2], heads: usize) -> Option<Self> {
        let (hidden, inputs) = out.shape();
        let size = hidden.checked_div(heads)?;
        let fits = size * heads == hidden && inputs == hidden && qkv.shape() == (3 * hidden, hidden);
        (fits && heads_fill_strips(size)).then_some(Self { qkv, out, heads: Heads { count: heads, size, scale: 1.0 } })
    }

    /// Adds to `x`, in place, what attention makes of the normalised `x`. `attend` is given queries, keys and values of
    /// some heads side by side.
    pub(in crate::model) fn add_to(
        &self,
        x: Tensor,
        norm: &TensorNorm,
        attend: impl Fn(&[f32], Heads, &mut [f32]) + Sync,
    ) -> Result<Tensor> {
        let eps = norm.eps;
        let parts = [&norm.weight, &norm.bias, &self.qkv.bias, &self.out.bias];
        with_numbers(parts, |[weight, bias, qkv_bias, out_bias]| {
            in_place(&x, |x| {
                let hidden = self.out.weight.rows();
                check_norm(weight, bias, hidden)?;
                if x.is_empty() || x.len() % hidden != 0 || qkv_bias.len() != 3 * hidden || out_bias.len() != hidden {
                    bail!("attention of {hidden} numbers gets {}", x.len());
                }
                let layers = [(&self.qkv.weight, qkv_bias), (&self.out.weight, out_bias)];
                add_attention(x, Norm { weight, bias, eps }, layers, self.heads, &attend);
                Ok(())
            })
        })?;
        Ok(x)
    }
}

/// Memory for (rows of `x`, outputs) on the processor: `room`, if it has that shape.
fn room_for(room: Option<&Tensor>, x: &Tensor, outputs: usize) -> Result<Tensor> {
    let shape = (x.dims2()?.0, outputs);
    match room.filter(|room| room.dims2().is_ok_and(|room| room == shape)) {
        Some(room) => Ok(room.clone()),
        None => Tensor::zeros(shape, DType::F32, x.device()),
    }
}

/// Refuses what is not a layer of (outputs, inputs).
fn check(out: &[f32], x: &[f32], bias: &[f32], (outputs, inputs): (usize, usize)) -> Result<()> {
    let rows = x.len() / inputs.max(1);
    if rows * inputs == x.len() && bias.len() == outputs && out.len() == rows * outputs && !out.is_empty() {
        return Ok(());
    }
    bail!("a layer from {inputs} to {outputs} numbers gets {}, and a bias of {}", x.len(), bias.len())
}

fn check_norm(weight: &[f32], bias: &[f32], length: usize) -> Result<()> {
    if weight.len() == length && bias.len() == length && length > 0 {
        return Ok(());
    }
    bail!("a norm of {} and {} numbers for {length}", weight.len(), bias.len())
}

/// Calls `f` with the numbers of contiguous tensors on the processor.
fn with_numbers<const N: usize>(tensors: [&Tensor; N], f: impl FnOnce([&[f32]; N]) -> Result<()>) -> Result<()> {
    let stored = tensors.map(Tensor::storage_and_layout);
    let mut numbers = [&[][..]; N];
    for (numbers, (storage, layout)) in numbers.iter_mut().zip(&stored) {
        let Storage::Cpu(storage) = &**storage else { bail!("the numbers of a layer are not on the processor") };
        *numbers = contiguous(storage, layout)?;
    }
    f(numbers)
}

/// Lets `f` change the numbers of a contiguous tensor on the processor.
fn in_place(tensor: &Tensor, f: impl Fn(&mut [f32]) -> Result<()>) -> Result<()> {
    tensor.inplace_op1(&InPlace(f))
}

struct InPlace<F>(F);

impl<F: Fn(&mut [f32]) -> Result<()>> InplaceOp1 for InPlace<F> {
    fn name(&self) -> &'static str {
        "in-place"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        self.0(contiguous_mut(storage, layout)?)
    }
}

/// `x w^T`: (.., n, k) and (.., m, k) with the same leading dimensions give (.., n, m).
pub(in crate::model) fn product(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return x.matmul(&w.t()?);
    }
    x.contiguous()?.apply_op2_no_bwd(&w.contiguous()?, &RowProduct)
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
