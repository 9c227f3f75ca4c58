//! The weights of a model that writes, as published or quantized: which files hold them, their mapping, the model's
//! fingerprint, and whether it fits into memory.

use super::compute::weights::Weights;
use super::hub::fingerprint;
use super::model_folder::{INDEX, weight_names};
use super::quantize::{GGUF, MANIFEST, Manifest};
use anyhow::Context;
use candle_core::Device;
use std::path::{Path, PathBuf};

/// Memory that the program needs besides the weights: the cache of keys and values, activations, a picture.
const BESIDE: u64 = 1 << 30;

/// Whether a file of a model holds weights, or says which files do.
pub(super) fn is_of_weights(name: &str) -> bool {
    name == INDEX || Path::new(name).extension().is_some_and(|ending| ending == "safetensors" || ending == "gguf")
}

/// Paths of those files of a model that hold its weights.
fn weight_files(folder: &Path, files: &[String]) -> Vec<PathBuf> {
    let weights = |name: &&String| is_of_weights(name) && *name != INDEX;
    files.iter().filter(weights).map(|name| folder.join(name)).collect()
}

/// The names of the files of a folder's weights, in the form that they have there.
///
/// # Errors
/// The list of shards is damaged.
pub(super) fn weights_of(folder: &Path) -> anyhow::Result<Vec<String>> {
    if folder.join(GGUF).is_file() || folder.join(MANIFEST).is_file() {
        return Ok(vec![GGUF.to_owned()]);
    }
    weight_names(folder)
}

/// Maps the weights into memory. A quantized file without the checksum beside it is refused.
pub(super) fn map(folder: &Path, files: &[String]) -> anyhow::Result<Weights> {
    let files = weight_files(folder, files);
    match files.as_slice() {
        [gguf] if gguf.ends_with(GGUF) => {
            anyhow::ensure!(
                Manifest::read(folder)?.is_some(),
                "{} cannot be verified, because the manifest.json beside it is missing: make it again with `snapseek \
                 models quantize`",
                gguf.display()
            );
            Weights::map_gguf(gguf)
        }
        shards => Weights::map_shards(shards, &Device::Cpu),
    }
}

/// A hash over all files of a model. A large file in the Hugging Face cache is identified by its name there, which is
/// its checksum and was verified by the download: so ten gigabytes need not be read just to identify the model.
pub(super) fn fingerprint(
    folder: &Path,
    files: &[String],
    version: &str,
    cache: Option<&Path>,
) -> anyhow::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(version.as_bytes());
    for name in files {
        let path = folder.join(name);
        let blob = path.canonicalize().with_context(|| format!("{} cannot be read", path.display()))?;
        let checksum = blob.file_name().and_then(|n| n.to_str()).filter(|n| n.len() == 64);
        match checksum.filter(|n| n.bytes().all(|b| b.is_ascii_hexdigit())) {
            Some(checksum) => hasher.update(checksum.as_bytes()),
            None => {
                let hash = fingerprint::of_file(&path, cache)?;
                if name == GGUF
                    && let Some(manifest) = Manifest::read(folder)?
                {
                    anyhow::ensure!(
                        hash.to_hex().as_str() == manifest.blake3,
                        "{} is damaged: run `snapseek models quantize` again",
                        path.display()
                    );
                }
                hasher.update(hash.as_bytes())
            }
        };
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Bytes of memory that a model with this many bytes of weights needs: mapped weights that do not fit would be read
/// from the disk again for every token.
pub(super) fn memory_needed(weights: u64) -> u64 {
    weights + BESIDE.min(weights)
}

/// Refuses a model that does not fit into memory.
pub(super) fn check_memory(folder: &Path, needed: u64, can_be_quantized: bool) -> anyhow::Result<()> {
    let Some(available) = available_memory() else { return Ok(()) };
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    let smaller = if can_be_quantized {
        format!(", or make the model smaller with `snapseek models quantize {} --bits 4`", folder.display())
    } else {
        String::new()
    };
    anyhow::ensure!(
        needed <= available,
        "the model in {} needs {:.1} GB of memory, but only {:.1} GB are free: close other programs{smaller}",
        folder.display(),
        gigabytes(needed),
        gigabytes(available)
    );
    Ok(())
}

/// Memory that is free or can be freed, within the limits of a container; `None` if the system does not report it.
fn available_memory() -> Option<u64> {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    // The container's own figure of free memory counts the mapped model, once it was read, as used.
    let limit = system.cgroup_limits().map(|limits| limits.total_memory.saturating_sub(limits.rss));
    Some(system.available_memory().min(limit.unwrap_or(u64::MAX))).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_does_not_fit_is_refused_with_the_numbers() {
        let error = check_memory(Path::new("/m"), memory_needed(1 << 50), true).unwrap_err().to_string();
        assert!(error.contains("1125901.0 GB") && error.contains("quantize"), "{error}");
        assert!(check_memory(Path::new("/m"), memory_needed(1 << 20), true).is_ok());
        let error = check_memory(Path::new("/m"), 1 << 50, false).unwrap_err().to_string();
        assert!(error.contains("1125899.9 GB") && !error.contains("quantize"), "{error}");
    }
}
