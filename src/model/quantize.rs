//! Makes a model smaller: writes its matrices as Q8_0 or Q4_K blocks to a GGUF file, next to copies of its small files,
//! so that the result is a model folder like any other.
//!
//! Q4_K has blocks of 256 weights: a matrix whose row length is not a multiple of that (1408 in ViT-g) becomes Q8_0,
//! and one whose row length is not a multiple of 32 stays unchanged. The token table becomes at least Q8_0, because it
//! is also the last layer.

use super::compute::gguf::GgufWriter;
use super::compute::matrix::{Dtype, Matrix};
use super::compute::weights::TensorPlace;
use super::preprocess::read_json;
use super::{blip2, vision_language, weight_files};
use anyhow::Context;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

/// The file that holds the weights.
pub(super) const GGUF: &str = "model.gguf";
/// The file that says what the folder was made from.
pub(super) const MANIFEST: &str = "manifest.json";
/// Must change whenever the written file changes.
const VERSION: u32 = 1;

/// Bits per weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Bits {
    /// Q4_K: 4.5 bits per weight.
    Four,
    /// Q8_0: 8.5 bits per weight.
    Eight,
}

/// What a quantized model was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format that this program writes.
    pub version: u32,
    /// The model's name or folder.
    pub source: String,
    /// Commit of its repository, if it comes from one.
    pub revision: Option<String>,
    /// Fingerprint of the model that it was made from.
    pub source_fingerprint: String,
    /// Bits per weight.
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

/// Quantizes the model in `source` into the new folder `target`, reading and writing one matrix at a time. `progress`
/// receives the number of weights done and in all, and stops the work by returning false. Nothing is left of an
/// unfinished target.
///
/// # Errors
/// The model's files are damaged, the target cannot be written, or the work was stopped.
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
        "{} is already quantized: quantize the model that it was made from",
        source.display()
    );
    let parent = target.parent().context("the target has no parent folder")?;
    fs::create_dir_all(parent).with_context(|| format!("{} cannot be created", parent.display()))?;
    let draft = tempfile::Builder::new()
        .prefix(".quantizing-")
        .tempdir_in(parent)
        .with_context(|| format!("{} cannot be written", parent.display()))?;
    let kind = QuantizedKind::of(source)?;
    for name in kind.files.iter().filter(|name| !weight_files::is_of_weights(name)) {
        let from = source.join(name);
        fs::copy(&from, draft.path().join(name)).with_context(|| format!("{} cannot be copied", from.display()))?;
    }
    let gguf = draft.path().join(GGUF);
    kind.write(source, name, bits, &gguf, progress)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_mmap_rayon(&gguf)?;
    let revision = source.parent().filter(|above| above.ends_with("snapshots")).and(source.file_name());
    let manifest = Manifest {
        version: VERSION,
        source: name.to_owned(),
        revision: revision.map(|commit| commit.to_string_lossy().into_owned()),
        source_fingerprint: weight_files::fingerprint(source, &kind.files, kind.version, cache)?,
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

/// The format that a tensor is written in.
fn format(name: &str, dtype: Dtype, shape: &[usize], bits: Bits) -> Dtype {
    let [_, columns] = shape else { return dtype };
    // Tables of positions are looked up, never multiplied; they are small.
    let is_of_positions = ["embed_positions.weight", "position_embedding.weight", "pos_embed.weight"]
        .iter()
        .any(|end| name.ends_with(end));
    if !name.ends_with(".weight") || is_of_positions {
        return dtype;
    }
    let is_head = name.ends_with("embed_tokens.weight") || name.ends_with("lm_head.weight");
    // Pictures are many rows: their towers are as fast in 8 bits.
    let is_of_texts = name.contains("language_model.") || name.contains("text_model.");
    if bits == Bits::Four && !is_head && columns.is_multiple_of(Dtype::Q4K.block().0) {
        Dtype::Q4K
    } else if bits == Bits::Four && !is_head && is_of_texts && columns.is_multiple_of(Dtype::Q4_1.block().0) {
        Dtype::Q4_1
    } else if columns.is_multiple_of(Dtype::Q8_0.block().0) {
        Dtype::Q8_0
    } else {
        dtype
    }
}

/// The names of the files of a model that can be quantized.
///
/// # Errors
/// One is missing, or the list of shards is damaged.
pub(super) fn files_of(folder: &Path) -> anyhow::Result<Vec<String>> {
    Ok(QuantizedKind::of(folder)?.files)
}

/// A model that can be quantized.
struct QuantizedKind {
    /// What its file says that it is.
    architecture: &'static str,
    /// The version of its numbers.
    version: &'static str,
    /// The names of its files.
    files: Vec<String>,
    /// Whether its vision tower may be wider inside than its configuration says ([`filled`]).
    fills_towers: bool,
}

impl QuantizedKind {
    fn of(folder: &Path) -> anyhow::Result<Self> {
        Ok(if vision_language::is_vision_language(folder) {
            let files = vision_language::files_of(folder)?;
            Self { architecture: "vision-language", version: vision_language::VERSION, files, fills_towers: true }
        } else {
            let files = blip2::files_of(folder)?;
            Self { architecture: "blip2", version: blip2::VERSION, files, fills_towers: false }
        })
    }

    fn write(
        &self,
        source: &Path,
        name: &str,
        bits: Bits,
        path: &Path,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> anyhow::Result<()> {
        let weights = weight_files::map(source, &self.files)?;
        let tensors: Vec<(String, Dtype, Vec<usize>, &TensorPlace)> = weights
            .names()
            .into_iter()
            .filter_map(|name| {
                let place = weights.place(name)?;
                let shape = if self.fills_towers { filled(name, &place.shape) } else { place.shape.clone() };
                Some((name.to_owned(), format(name, place.dtype, &shape, bits), shape, place))
            })
            .collect();
        let count = |shape: &[usize]| shape.iter().product::<usize>() as u64;
        let total: u64 = tensors.iter().map(|(_, _, shape, _)| count(shape)).sum();
        let facts = [
            ("general.architecture", self.architecture.to_owned()),
            ("general.name", name.to_owned()),
            ("snapseek.version", VERSION.to_string()),
        ];
        let announced: Vec<_> =
            tensors.iter().map(|(name, new, shape, _)| (name.clone(), *new, shape.clone())).collect();
        let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        let mut writer = GgufWriter::new(BufWriter::with_capacity(1 << 20, file), &facts, &announced)?;
        let mut done = 0;
        anyhow::ensure!(progress(done, total), "cancelled");
        for (name, new, shape, old) in &tensors {
            let mut bytes = if *new == old.dtype {
                weights.bytes(name)?.to_vec()
            } else {
                let columns = shape.last().copied().unwrap_or_default();
                blocks(&weights.matrix(name, &old.shape)?, *new, columns)
                    .with_context(|| format!("{}: the weight {name}", weights.name()))?
            };
            // Zeros are zero in every format.
            let rows = |shape: &[usize]| shape.first().copied().unwrap_or(1).max(1);
            bytes.resize(bytes.len() / rows(&old.shape) * rows(shape), 0);
            writer.add(&bytes).with_context(|| format!("{} cannot be written", path.display()))?;
            done += count(shape);
            anyhow::ensure!(progress(done, total), "cancelled");
        }
        let file = writer.finish()?.into_inner()?;
        Ok(file.sync_all()?)
    }
}

/// The shape that a tensor is written in. The layers of a vision tower whose inner width is no multiple of a block get
/// zeros there, which their activations leave zero: 4,320 instead of SigLIP's 4,304.
fn filled(name: &str, shape: &[usize]) -> Vec<usize> {
    let mut filled = shape.to_vec();
    let inner = if name.ends_with(".mlp.fc1.weight") || name.ends_with(".mlp.fc1.bias") {
        filled.first_mut()
    } else if name.ends_with(".mlp.fc2.weight") {
        filled.last_mut()
    } else {
        None
    };
    if let Some(inner) = inner {
        *inner = inner.next_multiple_of(Dtype::Q8_0.block().0);
    }
    filled
}

/// Quantizes a matrix to blocks, some rows at a time; what is missing in their columns is zero.
fn blocks(matrix: &Matrix, dtype: Dtype, columns: usize) -> anyhow::Result<Vec<u8>> {
    const ROWS: usize = 32;
    let format = match dtype {
        Dtype::Q4K => GgmlDType::Q4K,
        Dtype::Q4_1 => GgmlDType::Q4_1,
        Dtype::Q8_0 => GgmlDType::Q8_0,
        Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::Bf16 => anyhow::bail!("{dtype:?} has no blocks"),
    };
    let parts: Vec<Vec<u8>> = (0..matrix.rows().div_ceil(ROWS))
        .into_par_iter()
        .map(|part| {
            let rows = part * ROWS..matrix.rows().min((part + 1) * ROWS);
            let mut wide = vec![0.0; rows.len() * columns];
            for (row, wide) in rows.clone().zip(wide.chunks_exact_mut(columns)) {
                matrix.widen_row(row, &mut wide[..matrix.columns()]);
            }
            let finite = wide.iter().all(|w| w.is_finite());
            anyhow::ensure!(finite, "it contains NaN or infinity");
            let tensor = Tensor::from_vec(wide, (rows.len(), columns), &Device::Cpu)?;
            Ok(QTensor::quantize(&tensor, format)?.data()?.to_vec())
        })
        .collect::<anyhow::Result<_>>()?;
    Ok(parts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_bits_are_those_that_fit_and_pictures_keep_eight() {
        let of = |name: &str, columns: usize| format(name, Dtype::F16, &[10, columns], Bits::Four);
        let layer = |part: &str| format!("model.text_model.layers.0.{part}.weight");
        assert_eq!(of(&layer("mlp.down_proj"), 2560), Dtype::Q4K);
        assert_eq!(of(&layer("self_attn.q_proj"), 960), Dtype::Q4_1);
        assert_eq!(of("language_model.model.decoder.layers.0.fc1.weight", 32), Dtype::Q4_1);
        assert_eq!(of(&layer("self_attn.q_proj"), 40), Dtype::F16);
        assert_eq!(of("vision_model.encoder.layers.0.mlp.fc1.weight", 1408), Dtype::Q8_0);
        assert_eq!(of("model.text_model.embed_tokens.weight", 960), Dtype::Q8_0);
        assert_eq!(of("lm_head.weight", 2560), Dtype::Q8_0);
        assert_eq!(format(&layer("self_attn.q_proj"), Dtype::F16, &[10, 960], Bits::Eight), Dtype::Q8_0);
        assert_eq!(format(&layer("input_layernorm"), Dtype::F16, &[960], Bits::Four), Dtype::F16);
    }

    #[test]
    fn towers_are_filled_inside_and_nothing_else_is() {
        let layer = |part: &str| format!("model.vision_model.encoder.layers.3.{part}");
        assert_eq!(filled(&layer("mlp.fc1.weight"), &[4304, 1152]), [4320, 1152]);
        assert_eq!(filled(&layer("mlp.fc1.bias"), &[4304]), [4320]);
        assert_eq!(filled(&layer("mlp.fc2.weight"), &[1152, 4304]), [1152, 4320]);
        assert_eq!(filled(&layer("mlp.fc2.weight"), &[768, 3072]), [768, 3072]);
        for other in ["mlp.fc2.bias", "self_attn.q_proj.weight", "layer_norm1.weight"] {
            assert_eq!(filled(&layer(other), &[1150]), [1150], "{other}");
        }
    }
}
