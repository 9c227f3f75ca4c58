//! What a reference computed for the model in a folder.

use safetensors::SafeTensors;
use serde_json::Value;
use std::path::Path;

/// The numbers of `expected.safetensors`, and what `expected.json` says.
pub(crate) struct Expected {
    tensors: Vec<u8>,
    pub(crate) json: Value,
}

impl Expected {
    pub(crate) fn read(folder: &Path) -> Self {
        let json = std::fs::read(folder.join("expected.json")).unwrap();
        let tensors = std::fs::read(folder.join("expected.safetensors")).unwrap();
        Self { tensors, json: serde_json::from_slice(&json).unwrap() }
    }

    /// The numbers with this name.
    pub(crate) fn tensor(&self, name: &str) -> Vec<f32> {
        self.find(name).unwrap()
    }

    /// The same, if there are any.
    pub(crate) fn find(&self, name: &str) -> Option<Vec<f32>> {
        let file = SafeTensors::deserialize(&self.tensors).unwrap();
        let bytes = file.tensor(name).ok()?.data().to_vec();
        Some(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }

    /// The shape of the numbers with this name.
    pub(crate) fn shape(&self, name: &str) -> Vec<usize> {
        SafeTensors::deserialize(&self.tensors).unwrap().tensor(name).unwrap().shape().to_vec()
    }
}
