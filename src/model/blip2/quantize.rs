//! Making a model smaller: its matrices as Q8_0 or Q4_K blocks in a GGUF file, beside copies of its small files, so that the
//! result is a model folder like any other.
//!
//! Q4_K has blocks of 256 weights: a matrix whose rows are no multiple of that (1408 in ViT-g) becomes Q8_0, and one whose
//! rows are no multiple of 32 stays as it is. The table of tokens is Q8_0 at least, as it is the last layer too.

use super::files::{self, GENERATION, SMALL_FILES};
use crate::model::compute::gguf::GgufWriter;
use crate::model::compute::matrix::{Dtype, Matrix};
use crate::model::preprocess::read_json;
use anyhow::Context;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

/// The file of the weights.
pub(super) const GGUF: &str = "model.gguf";
/// What the folder says of itself.
const MANIFEST: &str = "manifest.json";
/// Changes with everything that changes the file.
const VERSION: u32 = 1;

/// Bits of a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bits {
    /// Q4_K: 4.5 bits a weight.
    Four,
    /// Q8_0: 8.5 bits a weight.
    Eight,
}

/// Where a quantized model comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of what this program writes.
    pub version: u32,
    /// The model's name or folder.
    pub source: String,
    /// Commit of its repository, if it is from one.
    pub revision: Option<String>,
    /// Fingerprint of the model it was made of.
    pub source_fingerprint: String,
    /// Bits of a weight.
    pub bits: Bits,
    /// BLAKE3 of the GGUF file.
    pub blake3: String,
}

impl Manifest {
    /// Reads a folder's manifest; `None` if it has none.
    ///
    /// # Errors
    /// It is damaged, or of another version.
    pub fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = folder.join(MANIFEST);
        if !path.is_file() {
            return Ok(None);
        }
        let manifest: Self = read_json(&path)?;
        anyhow::ensure!(
            manifest.version == VERSION,
            "{} was written by another version of snapseek: run `snapseek models quantize` again",
            path.display()
        );
        Ok(Some(manifest))
    }
}

/// Quantizes the model in `source` into the new folder `target`, reading and writing one matrix at a time. `progress` is
/// told how many of how many weights are done, and ends the work by returning false. Nothing is left of a target that was
/// not finished.
///
/// # Errors
/// The model's files are damaged, the target cannot be written, or the work was ended.
pub fn quantize(
    source: &Path,
    name: &str,
    bits: Bits,
    target: &Path,
    cache: Option<&Path>,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> anyhow::Result<Manifest> {
    anyhow::ensure!(
        Manifest::read(source)?.is_none(),
        "{} is quantized already: quantize the model that it was made of",
        source.display()
    );
    let parent = target.parent().context("a target without a folder above it")?;
    fs::create_dir_all(parent).with_context(|| format!("{} cannot be made", parent.display()))?;
    let draft = tempfile::Builder::new()
        .prefix(".quantizing-")
        .tempdir_in(parent)
        .with_context(|| format!("{} cannot be written", parent.display()))?;
    for name in SMALL_FILES.iter().chain([&GENERATION]) {
        let from = source.join(name);
        if from.is_file() {
            fs::copy(&from, draft.path().join(name)).with_context(|| format!("{} cannot be copied", from.display()))?;
        }
    }
    let gguf = draft.path().join(GGUF);
    write(source, name, bits, &gguf, progress)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_mmap_rayon(&gguf)?;
    let revision = source.parent().filter(|above| above.ends_with("snapshots")).and(source.file_name());
    let manifest = Manifest {
        version: VERSION,
        source: name.to_owned(),
        revision: revision.map(|commit| commit.to_string_lossy().into_owned()),
        source_fingerprint: files::fingerprint(source, super::VERSION, cache)?,
        bits,
        blake3: hasher.finalize().to_hex().to_string(),
    };
    fs::write(draft.path().join(MANIFEST), serde_json::to_vec_pretty(&manifest)?)?;
    if target.exists() {
        fs::remove_dir_all(target).with_context(|| format!("{} cannot be replaced", target.display()))?;
    }
    fs::rename(draft.path(), target).with_context(|| format!("{} cannot be written", target.display()))?;
    Ok(manifest)
}

/// What a tensor becomes.
fn format(name: &str, dtype: Dtype, shape: &[usize], bits: Bits) -> Dtype {
    let [_, columns] = shape else { return dtype };
    // Tables of positions are looked up, never multiplied; they are small.
    if !name.ends_with(".weight") || name.ends_with("embed_positions.weight") {
        return dtype;
    }
    let is_head = name.ends_with("embed_tokens.weight") || name.ends_with("lm_head.weight");
    if bits == Bits::Four && !is_head && columns.is_multiple_of(Dtype::Q4K.block().0) {
        Dtype::Q4K
    } else if columns.is_multiple_of(Dtype::Q8_0.block().0) {
        Dtype::Q8_0
    } else {
        dtype
    }
}

fn write(
    source: &Path,
    name: &str,
    bits: Bits,
    path: &Path,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> anyhow::Result<()> {
    let weights = files::map(source)?;
    let tensors: Vec<(String, Dtype, Vec<usize>, Dtype)> = weights
        .names()
        .into_iter()
        .filter_map(|name| {
            let place = weights.place(name)?;
            Some((name.to_owned(), format(name, place.dtype, &place.shape, bits), place.shape.clone(), place.dtype))
        })
        .collect();
    let count = |shape: &[usize]| shape.iter().product::<usize>() as u64;
    let total: u64 = tensors.iter().map(|(_, _, shape, _)| count(shape)).sum();
    let facts = [
        ("general.architecture", "blip2".to_owned()),
        ("general.name", name.to_owned()),
        ("snapseek.version", VERSION.to_string()),
    ];
    let announced: Vec<_> = tensors.iter().map(|(name, new, shape, _)| (name.clone(), *new, shape.clone())).collect();
    let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
    let mut writer = GgufWriter::new(BufWriter::with_capacity(1 << 20, file), &facts, &announced)?;
    let mut done = 0;
    anyhow::ensure!(progress(done, total), "cancelled");
    for (name, new, shape, old) in &tensors {
        let bytes = if new == old {
            weights.bytes(name)?.to_vec()
        } else {
            blocks(&weights.matrix(name, shape)?, *new).with_context(|| format!("weight {name}"))?
        };
        writer.add(&bytes).with_context(|| format!("{} cannot be written", path.display()))?;
        done += count(shape);
        anyhow::ensure!(progress(done, total), "cancelled");
    }
    let file = writer.finish()?.into_inner()?;
    Ok(file.sync_all()?)
}

/// A matrix in blocks, some rows at a time.
fn blocks(matrix: &Matrix, dtype: Dtype) -> anyhow::Result<Vec<u8>> {
    const ROWS: usize = 32;
    let format = match dtype {
        Dtype::Q4K => GgmlDType::Q4K,
        Dtype::Q8_0 => GgmlDType::Q8_0,
        Dtype::F32 | Dtype::F16 | Dtype::Bf16 => anyhow::bail!("{dtype:?} has no blocks"),
    };
    let columns = matrix.columns();
    let parts: Vec<Vec<u8>> = (0..matrix.rows().div_ceil(ROWS))
        .into_par_iter()
        .map(|part| {
            let rows = part * ROWS..matrix.rows().min((part + 1) * ROWS);
            let mut wide = vec![0.0; rows.len() * columns];
            for (row, wide) in rows.clone().zip(wide.chunks_exact_mut(columns)) {
                matrix.widen_row(row, wide);
            }
            let finite = wide.iter().all(|w| w.is_finite());
            anyhow::ensure!(finite, "it holds numbers that are none");
            let tensor = Tensor::from_vec(wide, (rows.len(), columns), &Device::Cpu)?;
            Ok(QTensor::quantize(&tensor, format)?.data()?.to_vec())
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(parts.concat())
}
