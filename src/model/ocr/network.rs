//! A network in ONNX form, run by tract for one shape of input at a time.

use crate::model::once::Once;
use anyhow::Context;
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

/// The most bytes of a model: PP-OCR's largest have 110 MB.
pub(super) const LARGEST: u64 = 256 << 20;
/// The most shapes that are kept ready: each holds the weights in the form that its kernels want.
const MOST_PLANS: usize = 12;

type NetworkPlan = Arc<TypedSimplePlan>;
type InputShape = [usize; 3];

/// A network of pictures: batches of one, in the order channel, row, column.
pub(super) struct Network {
    bytes: Cow<'static, [u8]>,
    parsed: Once<InferenceModel>,
    /// By shape of input, the one that was used last at the end.
    plans: Mutex<Vec<(InputShape, Arc<Once<NetworkPlan>>)>>,
}

/// What a network says: the numbers of its only output, and its shape.
pub(super) struct NetworkOutput {
    pub numbers: Vec<f32>,
    pub shape: Vec<usize>,
}

impl Network {
    pub(super) fn new(bytes: Cow<'static, [u8]>) -> Self {
        Self { bytes, parsed: Once::default(), plans: Mutex::default() }
    }

    /// An entry of the file's metadata.
    pub(super) fn metadata(&self, key: &str) -> anyhow::Result<Option<String>> {
        let model = proto(&self.bytes)?;
        Ok(model.metadata_props.into_iter().find(|entry| entry.key == key).map(|entry| entry.value))
    }

    pub(super) fn run(&self, shape: InputShape, input: &[f32]) -> anyhow::Result<NetworkOutput> {
        let plan = self.plan(shape)?;
        let [channels, height, width] = shape;
        let input = Tensor::from_shape(&[1, channels, height, width], input).map_err(damaged)?;
        let output = plan.run(tvec!(input.into())).map_err(damaged)?;
        let output = output.first().context("the model has no output")?;
        let numbers = output.to_plain_array_view::<f32>().map_err(damaged)?;
        let shape = output.shape().to_vec();
        let numbers: Vec<f32> = numbers.iter().copied().collect();
        anyhow::ensure!(numbers.iter().all(|number| number.is_finite()), "the model says NaN or infinity");
        Ok(NetworkOutput { numbers, shape })
    }

    /// The network made ready for a shape, which takes a quarter of a second.
    fn plan(&self, shape: InputShape) -> anyhow::Result<NetworkPlan> {
        let slot = {
            let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
            let known = plans.iter().position(|(known, _)| *known == shape);
            let plan = known.map_or_else(|| (shape, Arc::default()), |at| plans.remove(at));
            let slot = plan.1.clone();
            plans.push(plan);
            if plans.len() > MOST_PLANS {
                plans.remove(0);
            }
            slot
        };
        let make = || {
            let mut model = self.parsed.get(|| parse(&self.bytes))?.clone();
            let [channels, height, width] = shape;
            model.set_input_fact(0, f32::fact([1, channels, height, width]).into()).map_err(damaged)?;
            model.into_optimized().and_then(TypedModel::into_runnable).map_err(damaged)
        };
        slot.get(make).cloned()
    }
}

fn damaged(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow::anyhow!("a model for reading text does not work: {error:#}")
}

fn proto(bytes: &[u8]) -> anyhow::Result<ModelProto> {
    onnx().proto_model_for_read(&mut &*bytes).map_err(damaged)
}

fn parse(bytes: &[u8]) -> anyhow::Result<InferenceModel> {
    onnx().model_for_read(&mut &*bytes).map_err(damaged)
}
