//! Zero-shot labels, the names of ImageNet's classes.

use super::Clip;
use crate::model::ops::dot;
use crate::model::{labels, zero_shot};
use anyhow::Context;
use std::path::Path;

/// The seven prompts that the authors of CLIP found to do almost as well as all eighty.
pub(super) const PROMPTS: [&str; 7] = [
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
];

/// One logit a label for an embedding; `classifier` is (labels, dim).
pub(super) fn logits(embedding: &[f32], classifier: &[f32], scale: f32) -> Vec<f32> {
    classifier.chunks_exact(embedding.len()).map(|label| scale * dot(embedding, label)).collect()
}

/// The classifier, from `cache` if it was made before for this model.
pub(super) fn load(
    clip: &Clip,
    cache: &Path,
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> anyhow::Result<Vec<f32>> {
    let folder = cache.join("labels");
    let file = folder.join(format!("{}.f32", &clip.identity.fingerprint[..32]));
    let dim = clip.identity.dim;
    if let Some(classifier) = read(&file, labels::names().len() * dim) {
        return Ok(classifier);
    }
    let names: Vec<String> = labels::names().map(str::to_owned).collect();
    let classifier = zero_shot::classifier(clip, &names, &PROMPTS, progress)?;
    let classifier = classifier.context("interrupted while preparing the labels")?;
    // A cache that cannot be written costs time, not results.
    let _ = std::fs::create_dir_all(&folder).and_then(|()| write(&file, &classifier));
    Ok(classifier)
}

/// The numbers, or nothing if the file is not there, or not what was written.
fn read(file: &Path, count: usize) -> Option<Vec<f32>> {
    let bytes = std::fs::read(file).ok()?;
    let (hash, numbers) = bytes.split_at_checked(blake3::OUT_LEN)?;
    if numbers.len() != 4 * count || blake3::hash(numbers).as_bytes() != hash {
        return None;
    }
    Some(numbers.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

fn write(file: &Path, numbers: &[f32]) -> std::io::Result<()> {
    let numbers: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
    let mut bytes = blake3::hash(&numbers).as_bytes().to_vec();
    bytes.extend(numbers);
    let new = file.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&new, bytes)?;
    std::fs::rename(new, file)
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
