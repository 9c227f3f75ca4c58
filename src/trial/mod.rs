//! Models tried on a sample of a library's photos: what each of them finds for the same queries, how much of it fits,
//! and how long it takes.

pub mod judged;

use crate::model::{Embed, is_unit, products};
use crate::model_choice::Chosen;
use crate::photo::{self, DecodeLimits};
use crate::search::photo_file;
use crate::terminal::progress::Progress;
use crate::terminal::sanitize;
use anyhow::Context;
use judged::JudgedQuery;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use snapseek_index::Library;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Photos that are decoded between two progress reports.
const CHUNK: usize = 32;
/// How many of the first results count for recall.
pub const DEPTHS: [usize; 3] = [1, 5, 10];

/// Photos of a library.
pub struct Sample {
    /// Their ids and files.
    pub photos: Vec<(i64, PathBuf)>,
    /// For each query, the ids of those that fit.
    pub fitting: Vec<HashSet<i64>>,
    /// How many photos the library has.
    pub library: usize,
}

impl Sample {
    /// At most `size` photos, the same ones as long as the library does not change, and besides all that fit a query.
    ///
    /// # Errors
    /// A query names a file that is not in the library (exit code 2), or the catalogue cannot be read.
    pub fn of(library: &Library, size: usize, queries: &[JudgedQuery]) -> anyhow::Result<Self> {
        let searcher = library.searcher()?;
        let mut ids = searcher.newest()?;
        let count = ids.len();
        ids.sort_unstable();
        ids.shuffle(&mut StdRng::seed_from_u64(0));
        ids.truncate(size);
        let id = |path: &PathBuf| {
            let known = photo_file::find(path, library)?.map(|known| known.id());
            known.ok_or_else(|| judged::stranger(path))
        };
        let fitting = |query: &JudgedQuery| query.fitting.iter().map(id).collect::<anyhow::Result<HashSet<i64>>>();
        let fitting = queries.iter().map(fitting).collect::<anyhow::Result<Vec<_>>>()?;
        let mut named: Vec<i64> = fitting.iter().flatten().copied().collect();
        named.sort_unstable();
        let mut seen = HashSet::new();
        ids.extend(named);
        ids.retain(|id| seen.insert(*id));
        let paths = searcher.paths(&ids)?;
        let photos = ids.into_iter().zip(paths).filter_map(|(id, path)| Some((id, path?))).collect();
        Ok(Self { photos, fitting, library: count })
    }
}

/// What a model found in a sample.
pub struct TriedModel {
    /// Its name.
    pub name: String,
    /// Numbers in an embedding.
    pub dim: usize,
    /// Seconds that it took to embed the sample's photos, without decoding them.
    pub seconds: f64,
    /// For each query, the positions of the photos that were read, best first, with their cosines.
    pub results: Vec<Vec<(usize, f32)>>,
}

impl TriedModel {
    /// How many of the photos that fit a query are among the first `depth`, as a share; `None` if none is known to fit.
    #[must_use]
    pub fn recall(&self, query: usize, depth: usize, trial: &Trial) -> Option<f64> {
        let fitting = trial.fitting.get(query).filter(|fitting| !fitting.is_empty())?;
        let first = self.results.get(query)?.iter().take(depth);
        let found = first.filter(|(photo, _)| trial.photos.get(*photo).is_some_and(|(id, _)| fitting.contains(id)));
        Some(found.count() as f64 / fitting.len().min(depth) as f64)
    }

    /// The mean of [`TriedModel::recall`] over the queries for which photos are known to fit.
    #[must_use]
    pub fn mean_recall(&self, depth: usize, trial: &Trial) -> Option<f64> {
        let known: Vec<f64> = (0..self.results.len()).filter_map(|query| self.recall(query, depth, trial)).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    }
}

/// What came of a trial.
pub struct Trial {
    /// The photos that could be read.
    pub photos: Vec<(i64, PathBuf)>,
    /// For each query, the ids of the photos that fit and could be read.
    pub fitting: Vec<HashSet<i64>>,
    /// Why the others could not; already escaped for a terminal.
    pub problems: Vec<String>,
    /// Seconds that decoding took.
    pub decoding: f64,
    /// The models, in the order in which they were named.
    pub models: Vec<TriedModel>,
}

impl Trial {
    /// Seconds for a library of so many photos by a model, as the sample took.
    #[must_use]
    pub fn seconds_for(&self, model: &TriedModel, photos: usize) -> f64 {
        (self.decoding + model.seconds) * photos as f64 / self.photos.len().max(1) as f64
    }
}

/// Embeds a sample by each model, and ranks it for each query; `None` if `progress` stopped it.
///
/// # Errors
/// A model fails.
pub fn run(
    models: &[Chosen],
    sample: Sample,
    queries: &[JudgedQuery],
    progress: &mut Progress<'_>,
) -> anyhow::Result<Option<Trial>> {
    let texts: Vec<String> = queries.iter().map(|query| query.text.clone()).collect();
    let edge = models.iter().map(|chosen| chosen.model.image_size()).max().unwrap_or_default();
    let mut vectors = vec![Vec::new(); models.len()];
    let mut seconds = vec![0.0; models.len()];
    let mut trial =
        Trial { photos: Vec::new(), fitting: sample.fitting, problems: Vec::new(), decoding: 0.0, models: Vec::new() };
    for chunk in sample.photos.chunks(CHUNK) {
        if !progress.step("photos", trial.photos.len() + trial.problems.len(), sample.photos.len()) {
            return Ok(None);
        }
        let start = Instant::now();
        let decoded: Vec<_> = chunk.par_iter().map(|(_, path)| decode(path, 2 * edge)).collect();
        trial.decoding += start.elapsed().as_secs_f64();
        let mut pictures = Vec::new();
        for (photo, decoded) in chunk.iter().zip(decoded) {
            match decoded {
                Ok(picture) => {
                    trial.photos.push(photo.clone());
                    pictures.push(picture);
                }
                Err(error) => trial.problems.push(format!("{error:#}")),
            }
        }
        for ((chosen, vectors), seconds) in models.iter().zip(&mut vectors).zip(&mut seconds) {
            let start = Instant::now();
            let made: Vec<Vec<f32>> = pictures
                .par_iter()
                .map(|picture| embed(picture, chosen.model.as_ref()))
                .collect::<anyhow::Result<_>>()?;
            *seconds += start.elapsed().as_secs_f64();
            vectors.extend(made.concat());
        }
    }
    let read: HashSet<i64> = trial.photos.iter().map(|(id, _)| *id).collect();
    trial.fitting.iter_mut().for_each(|fitting| fitting.retain(|id| read.contains(id)));
    for ((chosen, vectors), seconds) in models.iter().zip(vectors).zip(seconds) {
        let dim = chosen.record.dim;
        let asked = chosen.model.embed_texts(&texts, None)?;
        let results = asked.iter().map(|text| ranked(text, &vectors)).collect();
        trial.models.push(TriedModel { name: chosen.record.name.clone(), dim, seconds, results });
    }
    Ok(Some(trial))
}

fn decode(path: &Path, edge: u32) -> anyhow::Result<photo::picture::RgbPicture> {
    let limits = DecodeLimits::default();
    let name = || format!("{} cannot be used", sanitize::path(path));
    let bytes = photo::read(path, &limits).with_context(name)?;
    Ok(photo::decode(&bytes, Some(edge), &limits).with_context(name)?.picture)
}

/// A picture's embedding; one for which the model gives no unit vector comes last in all rankings.
fn embed(picture: &photo::picture::RgbPicture, model: &dyn Embed) -> anyhow::Result<Vec<f32>> {
    let made = model.embed_pixels(&[model.prepare(picture)?])?.pop().map(|embedding| embedding.vector);
    let none = || vec![0.0; model.identity().dim];
    Ok(made.filter(|vector| is_unit(vector)).unwrap_or_else(none))
}

/// Positions of photos by their cosine with a text, best first.
fn ranked(text: &[f32], vectors: &[f32]) -> Vec<(usize, f32)> {
    let mut ranking: Vec<(usize, f32)> = products(vectors, text, text.len()).into_iter().enumerate().collect();
    ranking.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranking
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_is_the_share_of_what_fits() {
        let model = TriedModel {
            name: "m".into(),
            dim: 2,
            seconds: 1.0,
            results: vec![vec![(2, 0.9), (0, 0.5), (1, 0.1)], vec![(0, 0.5), (1, 0.2), (2, 0.1)]],
        };
        let photos = (0..3).map(|id| (10 + id, PathBuf::new())).collect();
        let fitting = vec![HashSet::from([10, 12]), HashSet::new()];
        let trial = Trial { photos, fitting, problems: Vec::new(), decoding: 0.5, models: Vec::new() };
        assert_eq!(model.recall(0, 1, &trial), Some(1.0), "one place, and it fits");
        assert_eq!(model.recall(0, 2, &trial), Some(1.0));
        assert_eq!(model.recall(1, 1, &trial), None, "nothing is known to fit");
        assert_eq!(model.mean_recall(1, &trial), Some(1.0));
        assert!((trial.seconds_for(&model, 300) - 150.0).abs() < 1e-9);
        assert_eq!(ranked(&[1.0, 0.0], &[0.0, 1.0, 1.0, 0.0]).iter().map(|hit| hit.0).collect::<Vec<_>>(), [1, 0]);
    }
}
