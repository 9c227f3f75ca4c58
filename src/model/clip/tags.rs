//! Zero-shot labels: one classifier row a label, the mean of its prompts' embeddings (Radford et al. 2021, section 3.1).

use super::Clip;
use crate::model::ops::dot;
use crate::model::{Embed, labels, normalize};
use std::path::Path;

/// The seven prompts that the authors of CLIP found to do almost as well as all eighty.
const PROMPTS: [&str; 7] = [
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
];
/// Labels whose prompts go through the text tower together.
const BATCH: usize = 16;

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
    let classifier = make(clip, progress)?;
    // A cache that cannot be written costs time, not results.
    let _ = std::fs::create_dir_all(&folder).and_then(|()| write(&file, &classifier));
    Ok(classifier)
}

fn make(clip: &Clip, progress: &mut dyn FnMut(usize, usize) -> bool) -> anyhow::Result<Vec<f32>> {
    let names: Vec<&str> = labels::names().collect();
    let mut classifier = Vec::with_capacity(names.len() * clip.identity.dim);
    let total = names.len() * PROMPTS.len();
    for (n, batch) in names.chunks(BATCH).enumerate() {
        anyhow::ensure!(progress(n * BATCH * PROMPTS.len(), total), "interrupted while preparing the labels");
        let prompts: Vec<String> =
            batch.iter().flat_map(|name| PROMPTS.iter().map(|prompt| prompt.replace("{}", name))).collect();
        for label in clip.embed_texts(&prompts, None)?.chunks_exact(PROMPTS.len()) {
            let mut mean = vec![0.0; clip.identity.dim];
            for prompt in label {
                mean.iter_mut().zip(prompt).for_each(|(m, p)| *m += p);
            }
            normalize(&mut mean);
            classifier.extend(mean);
        }
    }
    anyhow::ensure!(classifier.iter().all(|v| v.is_finite()), "the text tower gives numbers that are none");
    progress(total, total);
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
