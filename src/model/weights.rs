//! Weights of a safetensors file, mapped into memory and checked against the shapes that the configuration promises.

use anyhow::Context;
use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;
use std::path::Path;

/// A mapped file of weights.
pub(super) struct Weights {
    file: MmapedSafetensors,
    device: Device,
}

impl Weights {
    /// Maps `path`. The header is validated: offsets that overlap, or do not cover the file exactly, are refused.
    #[allow(unsafe_code)]
    pub(super) fn map(path: &Path, device: &Device) -> anyhow::Result<Self> {
        // SAFETY: a mapping is sound as long as nobody truncates the file under us. Model files lie in a cache that
        // only ever replaces them by renaming, which leaves the mapped file as it is.
        let file = unsafe { MmapedSafetensors::new(path) }.with_context(|| {
            format!("{} is not a whole safetensors file; delete it and fetch the model again", path.display())
        })?;
        Ok(Self { file, device: device.clone() })
    }

    /// The tensor `name` as f32 on the device.
    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> anyhow::Result<Tensor> {
        self.check(name, shape)?;
        let tensor = self.file.load(name, &self.device).with_context(|| format!("weight {name}"))?;
        Ok(tensor.to_dtype(DType::F32)?)
    }

    /// Some rows of the matrix `name`, without reading the others: an embedding look-up.
    pub(super) fn rows(&self, name: &str, shape: [usize; 2], rows: &[u32]) -> anyhow::Result<Tensor> {
        let view = self.check(name, &shape)?;
        let dtype = match view.dtype() {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            other => anyhow::bail!("weight {name} is of type {other:?}, which this program does not read"),
        };
        let row_bytes = shape[1] * dtype.size_in_bytes();
        let mut bytes = Vec::with_capacity(rows.len() * row_bytes);
        for &row in rows {
            let start = row as usize * row_bytes;
            let row = view.data().get(start..start + row_bytes);
            bytes.extend_from_slice(row.with_context(|| format!("weight {name} has no row for a token of this text"))?);
        }
        Ok(Tensor::from_raw_buffer(&bytes, dtype, &[rows.len(), shape[1]], &self.device)?.to_dtype(DType::F32)?)
    }

    /// Whether the file holds a tensor of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.file.get(name).is_ok()
    }

    fn check(&self, name: &str, shape: &[usize]) -> anyhow::Result<safetensors::tensor::TensorView<'_>> {
        let view = self.file.get(name).map_err(|_| anyhow::anyhow!("the weight {name} is missing"))?;
        anyhow::ensure!(
            view.shape() == shape,
            "the weight {name} has the shape {:?}, but the configuration says {shape:?}",
            view.shape()
        );
        Ok(view)
    }
}
