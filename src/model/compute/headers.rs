//! What the headers of model files say, without reading their weights.

use super::gguf;
use safetensors::SafeTensors;

/// A tensor's name, and its shape as PyTorch writes it (the last dimension is the contiguous one).
pub type NamedShape = (String, Vec<usize>);

/// The tensors of a GGUF file.
///
/// # Errors
/// The file is damaged, or contains formats that are not supported.
pub fn of_gguf(file: &[u8]) -> anyhow::Result<Vec<NamedShape>> {
    Ok(gguf::read(file)?.into_iter().map(|tensor| (tensor.name, tensor.shape)).collect())
}

/// The tensors of a safetensors file.
///
/// # Errors
/// The header is damaged, or the tensors overlap or do not cover the file.
pub fn of_safetensors(file: &[u8]) -> anyhow::Result<Vec<NamedShape>> {
    let tensors = SafeTensors::deserialize(file)?;
    Ok(tensors.iter().map(|(name, tensor)| (name.to_owned(), tensor.shape().to_vec())).collect())
}
