//! Our mapped weights as candle-transformers reads weights.

use super::weights::Weights;
use candle_core::{DType, Device, Error, Result, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};

/// Weights as candle-transformers reads them, as f32 on their device. `renamed` gives the name that a tensor has in the
/// files for the one that is asked for.
pub(in crate::model) fn builder(
    weights: &Weights,
    renamed: impl Fn(&str) -> String + Send + Sync + 'static,
) -> VarBuilder<'static> {
    let device = weights.device().clone();
    let backend = MappedBackend { weights: weights.clone() };
    VarBuilder::from_backend(Box::new(backend), DType::F32, device).rename_f(renamed)
}

struct MappedBackend {
    weights: Weights,
}

impl SimpleBackend for MappedBackend {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let tensor = self.weights.tensor(name, shape.dims()).map_err(|error| Error::msg(format!("{error:#}")))?;
        tensor.to_dtype(dtype)?.to_device(device)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        let shape = self.weights.place(name).map(|place| place.shape.clone()).unwrap_or_default();
        self.get(shape.into(), name, Init::default(), dtype, device)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.weights.has(name)
    }
}
