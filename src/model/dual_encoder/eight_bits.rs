//! Towers in 8 bits: the matrices of a transformer's layers as blocks of 64 weights with a scale, multiplied as integers
//! where the processor is fast at that. The blocks are made once, kept in the cache folder, and mapped from there.
//!
//! A block of inputs has a scale of its own, so a few channels that are larger than all others, as they are common in
//! transformers, cost the others of their block precision, not those of the whole row. What is not in the layers (patches,
//! positions, norms, projections) stays as it is.

use super::tower::{EncoderLayer, TowerLinear};
use crate::model::compute::gguf::GgufWriter;
use crate::model::compute::level::integers_are_fast;
use crate::model::compute::linear::{PackedLinear, TensorLinear};
use crate::model::compute::matrix::{Dtype, PackedMatrix};
use crate::model::compute::weights::{Weights, seal};
use crate::model::kept;
use candle_core::Tensor;
use memmap2::MmapMut;
use rayon::prelude::*;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Must change whenever the same tower gives other blocks, or is kept in another way.
const VERSION: u32 = 3;

/// States with fewer numbers are multiplied as fast in f32.
const LEAST_HIDDEN: usize = 256;

/// How the matrices of a tower's layers are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TowerBits {
    /// In 8 bits where that is faster: on processors with AVX2 or VNNI, for towers of the usual sizes; else as they are.
    Fastest,
    /// As they are in the model's files, in f32.
    Full,
    /// In 8 bits.
    Eight,
}

impl TowerBits {
    /// Whether a tower whose states have `hidden` numbers is multiplied in 8 bits.
    pub(super) fn are_eight(self, hidden: usize) -> bool {
        match self {
            Self::Fastest => integers_are_fast() && hidden >= LEAST_HIDDEN,
            Self::Full => false,
            Self::Eight => true,
        }
    }
}

/// The matrix of a layer in 8 bits, packed; `None` if its inputs do not fill whole blocks, or if it holds NaN or infinity,
/// which blocks would hide: in f32 they show, and the model is refused.
fn packed(weight: &Tensor) -> anyhow::Result<Option<Vec<u8>>> {
    let (numbers, inputs) = (weight.flatten_all()?.to_vec1::<f32>()?, weight.dims2()?.1);
    let finite = numbers.iter().all(|n| n.is_finite());
    Ok(if finite { PackedMatrix::pack(&numbers, inputs) } else { None })
}

/// What a tower in 8 bits is loaded from beside the model's own files.
pub(super) struct EightBits(Weights);

impl EightBits {
    /// The layer with this name, if it has 8 bits.
    pub(super) fn linear(
        &self,
        name: &str,
        [outputs, inputs]: [usize; 2],
        bias: impl FnOnce() -> anyhow::Result<Tensor>,
    ) -> anyhow::Result<Option<TowerLinear>> {
        if !self.0.has(name) {
            return Ok(None);
        }
        Ok(Some(TowerLinear::Small(PackedLinear { weight: self.0.panels(name, outputs, inputs)?, bias: bias()? })))
    }

    /// Reads what [`EightBits::make`] has made; `None` if it is not there, or not as it was written.
    pub(super) fn kept(file: &Path) -> Option<Self> {
        Weights::map_sealed_gguf(file).ok().map(Self)
    }

    /// Makes the blocks of a tower, and keeps them in `file`. Where they cannot be kept, they are held in memory.
    pub(super) fn make(layers: &[EncoderLayer], file: Option<&Path>) -> anyhow::Result<Self> {
        let all = layers
            .iter()
            .enumerate()
            .flat_map(|(n, layer)| layer.linears().into_iter().map(move |(part, linear)| (name_of(n, part), linear)));
        let exact: Vec<(String, &TensorLinear)> = all
            .filter_map(|(name, linear)| match linear {
                TowerLinear::Exact(linear) => Some((name, linear)),
                TowerLinear::Small(_) => None,
            })
            .collect();
        let made: Vec<Option<Vec<u8>>> =
            exact.par_iter().map(|(_, linear)| packed(&linear.weight)).collect::<anyhow::Result<_>>()?;
        let mut tensors = Vec::new();
        for ((name, _), panels) in exact.into_iter().zip(made) {
            if let Some(panels) = panels {
                // GGUF has no type for panels.
                tensors.push(((name, Dtype::F32, vec![panels.len() / size_of::<f32>()]), panels));
            }
        }
        let announced: Vec<_> = tensors.iter().map(|(announced, _)| announced.clone()).collect();
        let mut writer = GgufWriter::new(Cursor::new(Vec::new()), &[], &announced)?;
        for (_, panels) in tensors {
            writer.add(&panels)?;
        }
        let mut bytes = writer.finish()?.into_inner();
        seal(&mut bytes);
        if let Some(file) = file
            && kept::replace(file, &bytes).is_ok()
            && let Some(kept) = Self::kept(file)
        {
            remove_older(file);
            return Ok(kept);
        }
        Ok(Self(Weights::of_sealed_gguf(&bytes)?))
    }
}

/// The name of a part of a layer.
pub(super) fn name_of(layer: usize, part: &str) -> String {
    format!("{layer}.{part}")
}

/// Where a tower of the model with this fingerprint is kept.
pub(super) fn place(cache: &Path, fingerprint: &str, tower: &str) -> PathBuf {
    cache.join("towers").join(format!("{}-{tower}-{VERSION}.gguf", fingerprint.get(..32).unwrap_or(fingerprint)))
}

/// Removes what earlier releases kept of the same tower, which takes as much room as the new file. A later release's
/// stays.
fn remove_older(file: &Path) {
    let named = |path: &Path| -> Option<(String, u32)> {
        let (tower, version) = path.file_stem()?.to_str()?.rsplit_once('-')?;
        Some((tower.to_owned(), version.parse().ok()?))
    };
    let (Some((tower, _)), Some(Ok(beside))) = (named(file), file.parent().map(std::fs::read_dir)) else { return };
    for other in beside.flatten().map(|entry| entry.path()) {
        if named(&other).is_some_and(|(name, version)| name == tower && version < VERSION) {
            // What cannot be removed costs nothing but room.
            let _ = std::fs::remove_file(other);
        }
    }
}

/// A layer in 8 bits that is kept nowhere; as it is if its inputs do not fill whole blocks.
pub(super) fn quantized(linear: TensorLinear) -> anyhow::Result<TowerLinear> {
    let (outputs, inputs) = linear.weight.dims2()?;
    let Some(panels) = packed(&linear.weight)? else { return Ok(TowerLinear::Exact(linear)) };
    let mut memory = MmapMut::map_anon(panels.len())?;
    memory.copy_from_slice(&panels);
    let weight = PackedMatrix::new(Arc::new(memory.make_read_only()?), 0..panels.len(), outputs, inputs)?;
    Ok(TowerLinear::Small(PackedLinear { weight, bias: linear.bias }))
}
