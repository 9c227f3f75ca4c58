//! Mapped weights as the models of candle-transformers read them.

use super::weights::Weights;
use candle_core::{DType, Device, Error, Result, Shape, Tensor};
use candle_nn::var_builder::{SimpleBackend, VarBuilder};
use std::collections::HashMap;

/// The weights of a model, as f32, under the names that its implementation in candle-transformers uses.
pub(in crate::model) struct CandleWeights {
    weights: Weights,
    rename: Box<dyn Fn(&str) -> String + Send + Sync>,
    given: HashMap<String, Tensor>,
}

impl CandleWeights {
    /// Tensors of mapped files; `rename` makes candle's names those of the files.
    pub(in crate::model) fn new(weights: &Weights, rename: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self { weights: weights.clone(), rename: Box::new(rename), given: HashMap::new() }
    }

    /// Gives this tensor under one of candle's names, whatever the files hold.
    pub(in crate::model) fn with(mut self, name: &str, tensor: Tensor) -> Self {
        self.given.insert(name.to_owned(), tensor);
        self
    }

    /// What candle's models are loaded with. Their errors name the file and the tensor.
    pub(in crate::model) fn builder(self, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self), DType::F32, device.clone())
    }

    /// The tensor with this one of candle's names, and this shape if it is known.
    fn tensor(&self, name: &str, shape: Option<&[usize]>) -> anyhow::Result<Tensor> {
        if let Some(given) = self.given.get(name) {
            let is_right = shape.is_none_or(|shape| shape == given.dims());
            anyhow::ensure!(is_right, "{name} has the shape {:?}, not {shape:?}", given.dims());
            return Ok(given.clone());
        }
        let name = (self.rename)(name);
        let known = self.weights.place(&name).map(|place| place.shape.clone()).unwrap_or_default();
        self.weights.tensor(&name, shape.unwrap_or(&known))
    }
}

impl SimpleBackend for CandleWeights {
    fn get(&self, shape: Shape, name: &str, _: candle_nn::Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let tensor = self.tensor(name, Some(shape.dims())).map_err(|error| Error::Msg(format!("{error:#}")))?;
        tensor.to_dtype(dtype)?.to_device(device)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor> {
        let tensor = self.tensor(name, None).map_err(|error| Error::Msg(format!("{error:#}")))?;
        tensor.to_dtype(dtype)?.to_device(device)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.given.contains_key(name) || self.weights.has(&(self.rename)(name))
    }
}
