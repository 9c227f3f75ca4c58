//! Words that distinguish groups of photos, from the space that photos and texts share.
//!
//! Candidates are the shipped vocabulary, the library's own tags, captions and folder names, and the user's words. A
//! word suits a group if it is nearer to this group than to the others, near most of its photos, and attached to more
//! of them.

use crate::model::{Embed, kept, products};
use crate::terminal::progress::StepFn;
use anyhow::Context;
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// The prompt template for words.
const TEMPLATE: &str = "a photo of {}";
/// Words embedded by one task.
const BATCH: usize = 16;
/// Maximum length of a word, in bytes.
const LONGEST: usize = 60;
/// Maximum number of cached words; beyond it, those that are not used now are dropped.
const KEPT: usize = 20_000;
/// Maximum number of keywords of a group.
const KEYWORDS: usize = 5;
/// Penalty for each further word in a phrase, in standard deviations of the words' cosines with the groups.
const PHRASE: f32 = 0.15;
/// In the same unit, the bonus for a word that is attached to every photo of a group and to none of the others.
const OWN: f32 = 1.5;
/// Share of a word's mean cosine with all groups that is subtracted from its score.
const OTHERS: f32 = 0.5;
/// Weight of a word's cosine with the photos that it suits least.
const REMOTE: f32 = 0.25;

/// The words of the vocabulary that ships with the program (`vocabulary.txt` names its licence).
pub fn shipped() -> impl Iterator<Item = &'static str> {
    include_str!("vocabulary.txt").lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty())
}

/// Words and their embeddings.
#[derive(Debug, Default)]
pub struct Words {
    words: Vec<String>,
    /// (words, dim)
    rows: Vec<f32>,
}

/// A group to name.
#[derive(Debug)]
pub struct Album<'a> {
    /// Its centroid, a unit vector.
    pub centroid: &'a [f32],
    /// Embeddings of some or all of its photos.
    pub photos: Vec<&'a [f32]>,
    /// For each word, the share of its photos that have it as a tag, in the caption or in the folder's name.
    pub shares: HashMap<String, f32>,
}

impl Words {
    /// Embeds the shipped words and `more`, each once; what was embedded before is read from `cache`. `None` if
    /// `report` stopped it.
    ///
    /// # Errors
    /// The model's files are damaged.
    pub fn load(
        model: &dyn Embed,
        more: &[String],
        cache: &Path,
        report: &mut StepFn<'_>,
    ) -> anyhow::Result<Option<Self>> {
        let mut seen = HashSet::new();
        let all = shipped().map(str::to_owned).chain(more.iter().cloned());
        let words: Vec<String> =
            all.filter(|word| word.len() <= LONGEST && !word.trim().is_empty() && seen.insert(word.clone())).collect();
        let dim = model.identity().dim;
        let file = cache.join("keywords").join(format!("{:.32}.bin", model.text_fingerprint()));
        let mut known = read(&file, dim).unwrap_or_default();
        let missing: Vec<String> = words.iter().filter(|word| !known.contains_key(*word)).cloned().collect();
        let tasks = rayon::current_num_threads().max(1);
        for (n, some) in missing.chunks(BATCH * tasks).enumerate() {
            if !report(n * BATCH * tasks, missing.len()) {
                return Ok(None);
            }
            let rows: Vec<Vec<f32>> = some
                .par_chunks(BATCH)
                .map(|words| model.embed_texts(words, Some(TEMPLATE)))
                .collect::<anyhow::Result<Vec<_>>>()?
                .concat();
            anyhow::ensure!(rows.iter().flatten().all(|v| v.is_finite()), "the text model produces NaN or infinity");
            known.extend(some.iter().cloned().zip(rows));
        }
        if !missing.is_empty() {
            if known.len() > KEPT {
                known.retain(|word, _| seen.contains(word));
            }
            // A cache that cannot be written costs time, not results.
            let _ = write(&file, &known);
        }
        let mut rows = Vec::with_capacity(words.len() * dim);
        for word in &words {
            rows.extend_from_slice(known.get(word).context("a word that was not embedded")?);
        }
        Ok(Some(Self { words, rows }))
    }

    /// The keywords of each group, best first, at most five. The first two name the group: no two groups have the same
    /// first one, and the second is chosen to say what the first does not.
    #[must_use]
    pub fn name(&self, albums: &[Album<'_>]) -> Vec<Vec<String>> {
        let Some(dim) = albums.first().map(|album| album.centroid.len()) else { return Vec::new() };
        let count = self.words.len();
        let centroids: Vec<f32> = albums.iter().flat_map(|album| album.centroid).copied().collect();
        let near = products(&centroids, &self.rows, dim);
        let spread = deviation(&near).max(1e-6);
        // What each word costs, whichever group it is used for.
        let mut cost = vec![0.0_f32; count];
        for row in near.chunks_exact(count) {
            cost.iter_mut().zip(row).for_each(|(cost, cosine)| *cost += OTHERS * cosine / albums.len() as f32);
        }
        for (cost, word) in cost.iter_mut().zip(&self.words) {
            *cost += PHRASE * spread * word.split_whitespace().skip(1).count() as f32;
        }
        let mut taken = HashSet::new();
        let mut names = Vec::with_capacity(albums.len());
        for (at, (album, near)) in albums.iter().zip(near.chunks_exact(count)).enumerate() {
            let photos = products(&album.photos.concat(), &self.rows, dim);
            let photos: Vec<&[f32]> = photos.chunks_exact(count).collect();
            let mut scores: Vec<f32> = (0..count)
                .into_par_iter()
                .map(|word| near[word] - cost[word] + REMOTE * lower_quartile(photos.iter().map(|photo| photo[word])))
                .collect();
            for (word, share) in self.own(album) {
                let others = albums.iter().enumerate().filter(|(other, _)| *other != at);
                let elsewhere =
                    others.filter_map(|(_, album)| album.shares.get(&self.words[word])).fold(0.0_f32, |a, b| a.max(*b));
                scores[word] += OWN * spread * (share - elsewhere);
            }
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
            let first = order.iter().copied().find(|word| !taken.contains(word));
            let Some(first) = first else {
                names.push(Vec::new());
                continue;
            };
            taken.insert(first);
            let mut keywords = vec![first];
            keywords.extend(self.complement(first, &order, &scores, &photos));
            keywords.extend(order.into_iter().take(2 * KEYWORDS).filter(|word| !self.repeats(*word, first)));
            let mut seen = HashSet::new();
            keywords.retain(|word| seen.insert(*word));
            names.push(keywords.into_iter().take(KEYWORDS).map(|word| self.words[word].clone()).collect());
        }
        names
    }

    /// The positions of an album's own words, and the share of its photos that have each.
    fn own<'a>(&'a self, album: &'a Album<'_>) -> impl Iterator<Item = (usize, f32)> + 'a {
        let words = self.words.iter().enumerate();
        words.filter_map(|(at, word)| Some((at, *album.shares.get(word)?)))
    }

    /// Of the good words, the one that best suits the photos that the first suits least.
    fn complement(&self, first: usize, order: &[usize], scores: &[f32], photos: &[&[f32]]) -> Option<usize> {
        const GOOD: usize = 40;
        let gain = |word: usize| {
            let more: f32 = photos.iter().map(|photo| (photo[word] - photo[first]).max(0.0)).sum();
            scores[word] + more / photos.len().max(1) as f32
        };
        let good = order.iter().copied().take(GOOD).filter(|word| *word != first && !self.repeats(*word, first));
        good.map(|word| (gain(word), word)).max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))).map(|(_, word)| word)
    }

    /// Whether a word says no more than another one: one of them contains the other.
    fn repeats(&self, word: usize, other: usize) -> bool {
        word != other
            && (self.words[word].contains(&self.words[other]) || self.words[other].contains(&self.words[word]))
    }
}

fn deviation(numbers: &[f32]) -> f32 {
    let count = numbers.len().max(1) as f64;
    let mean = numbers.iter().copied().map(f64::from).sum::<f64>() / count;
    (numbers.iter().map(|n| (f64::from(*n) - mean).powi(2)).sum::<f64>() / count).sqrt() as f32
}

fn lower_quartile(numbers: impl Iterator<Item = f32>) -> f32 {
    let mut numbers: Vec<f32> = numbers.collect();
    let at = numbers.len() / 4;
    if numbers.is_empty() { 0.0 } else { *numbers.select_nth_unstable_by(at, f32::total_cmp).1 }
}

/// Words embedded before; `None` if the file is missing or damaged.
fn read(file: &Path, dim: usize) -> Option<HashMap<String, Vec<f32>>> {
    let content = kept::read(file)?;
    let (length, rest) = content.split_first_chunk::<8>()?;
    let (words, numbers) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let words: Vec<String> = serde_json::from_slice(words).ok()?;
    if Some(numbers.len()) != words.len().checked_mul(4 * dim) {
        return None;
    }
    let rows = numbers.chunks_exact(4 * dim);
    let row = |bytes: &[u8]| bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    Some(words.into_iter().zip(rows.map(row)).collect())
}

fn write(file: &Path, known: &HashMap<String, Vec<f32>>) -> anyhow::Result<()> {
    let words = serde_json::to_vec(&known.keys().collect::<Vec<_>>())?;
    let mut content = (words.len() as u64).to_le_bytes().to_vec();
    content.extend(words);
    content.extend(known.values().flatten().flat_map(|v| v.to_le_bytes()));
    Ok(kept::write(file, &content)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_vocabulary_holds_each_word_once() {
        let words: Vec<&str> = shipped().collect();
        assert!(words.len() > 2_000);
        assert_eq!(words.iter().collect::<HashSet<_>>().len(), words.len());
        assert!(words.iter().all(|word| word.len() <= LONGEST && word.trim() == *word));
    }

    #[test]
    fn what_was_embedded_is_read_again_and_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/b.bin");
        let known = HashMap::from([("dog".to_owned(), vec![1.0, -2.5]), ("piñata".to_owned(), vec![0.0, 3.0])]);
        write(&file, &known).unwrap();
        assert_eq!(read(&file, 2), Some(known));
        assert_eq!(read(&file, 3), None);
        let mut bytes = std::fs::read(&file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        assert_eq!(read(&file, 2), None);
        std::fs::write(&file, &bytes[..20]).unwrap();
        assert_eq!(read(&file, 2), None);
    }

    #[test]
    fn names_tell_groups_apart_and_own_words_count() {
        let words = ["thing", "fish", "bird", "red fish"].map(str::to_owned).to_vec();
        let rows = [[0.6, 0.6, 0.53], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.99, 0.0, 0.14]].concat();
        let words = Words { words, rows };
        let (fish, bird) = ([0.95, 0.1, 0.3], [0.1, 0.95, 0.3]);
        let album = |centroid| Album { centroid, photos: vec![centroid], shares: HashMap::new() };
        let names = words.name(&[album(&fish), album(&bird), album(&fish)]);
        assert_eq!(names.iter().map(|name| name[0].as_str()).collect::<Vec<_>>(), ["fish", "bird", "red fish"]);
        assert!(names.iter().all(|name| name.len() > 1 && name[0] != name[1]));
        let mut tagged = album(&fish);
        tagged.shares.insert("thing".into(), 1.0);
        assert_eq!(words.name(&[tagged, album(&bird)])[0][0], "thing");
    }
}
