//! Zero-shot tags: the names of ImageNet's classes.

use super::DualEncoder;
use crate::model::compute::ops::dot;
use crate::model::{kept, labels, zero_shot};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// The seven prompts that, as the authors of CLIP found, do almost as well as all eighty.
pub(super) const PROMPTS: [&str; 7] = [
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
];

/// The logit of each name for an embedding; `classifier` is (names, dim).
pub(super) fn logits(embedding: &[f32], classifier: &[f32], scale: f32) -> Vec<f32> {
    classifier.chunks_exact(embedding.len()).map(|label| scale * dot(embedding, label)).collect()
}

/// The classifier that was computed for this model before.
pub(super) fn kept(model: &DualEncoder, cache: &Path) -> Option<Vec<f32>> {
    read(&place(model, cache), labels::names().len() * model.identity.dim)
}

/// Computes the classifier, and keeps it in `cache` for all libraries.
pub(super) fn make(
    model: &DualEncoder,
    cache: &Path,
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> anyhow::Result<Vec<f32>> {
    let names: Vec<String> = labels::names().map(str::to_owned).collect();
    let classifier = zero_shot::classifier(model, &names, &PROMPTS, progress)?;
    let classifier = classifier.context("interrupted while preparing the tags")?;
    // A cache that cannot be written costs time, not results.
    let _ = write(&place(model, cache), &classifier);
    Ok(classifier)
}

fn place(model: &DualEncoder, cache: &Path) -> PathBuf {
    cache.join("labels").join(format!("{}.f32", &model.identity.fingerprint[..32]))
}

/// The numbers; `None` if the file does not exist or was changed after it was written.
fn read(file: &Path, count: usize) -> Option<Vec<f32>> {
    let numbers = kept::read(file)?;
    (numbers.len() == 4 * count).then(|| numbers.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
}

fn write(file: &Path, numbers: &[f32]) -> std::io::Result<()> {
    kept::write(file, &numbers.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_cache_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.f32");
        write(&file, &[1.0, -2.5]).unwrap();
        assert_eq!(read(&file, 2), Some(vec![1.0, -2.5]));
        assert_eq!(read(&file, 3), None);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[35] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(read(&file, 2), None);
    }
}
