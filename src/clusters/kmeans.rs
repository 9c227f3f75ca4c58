//! Spherical k-means (Dhillon and Modha 2001): centroids of unit vectors that are unit vectors themselves.

use crate::model::{normalize, products};
use crate::terminal::progress::StepFn;
use rayon::prelude::*;

/// How many vectors are multiplied at a time.
const CHUNK: usize = 4_096;
/// The greatest average number of vectors that a centroid is trained on.
const TRAINING: usize = 64;
/// Rounds of training; centroids that only summarise need not converge.
const ROUNDS: usize = 6;

/// For each vector, the nearest centroid (a row of `centroids`) and the cosine with it; `None` if cancelled.
pub(super) fn nearest(vectors: &[&[f32]], centroids: &[f32], report: &mut StepFn<'_>) -> Option<Vec<(usize, f32)>> {
    let Some(dim) = vectors.first().map(|vector| vector.len()) else { return Some(Vec::new()) };
    let count = centroids.len() / dim;
    let mut found = Vec::with_capacity(vectors.len());
    for chunk in vectors.chunks(CHUNK) {
        report(found.len(), vectors.len()).then_some(())?;
        let cosines = products(&chunk.concat(), centroids, dim);
        found.par_extend(cosines.par_chunks_exact(count).map(|cosines| {
            let better = |best: (usize, f32), (n, cosine): (usize, &f32)| {
                if *cosine > best.1 { (n, *cosine) } else { best }
            };
            cosines.iter().enumerate().fold((0, f32::NEG_INFINITY), better)
        }));
    }
    Some(found)
}

/// At most `k` centroids, row by row; `None` if cancelled. The same vectors in the same order give the same centroids.
pub(super) fn fit(vectors: &[&[f32]], k: usize, report: &mut StepFn<'_>) -> Option<Vec<f32>> {
    let step = vectors.len().div_ceil(TRAINING * k).max(1);
    let training: Vec<&[f32]> = vectors.iter().step_by(step).copied().collect();
    let k = k.min(training.len());
    let mut centroids: Vec<f32> = (0..k).flat_map(|n| training[n * training.len() / k]).copied().collect();
    for round in 0..ROUNDS {
        let total = ROUNDS * training.len();
        let found = nearest(&training, &centroids, &mut |done, _| report(round * training.len() + done, total))?;
        centroids = means(&training, found.iter().map(|(n, _)| Some(*n)), centroids.len() / training[0].len());
    }
    Some(centroids)
}

/// The centroid, a unit vector, of each of `count` groups; groups without members are left out.
pub(super) fn means(vectors: &[&[f32]], groups: impl Iterator<Item = Option<usize>>, count: usize) -> Vec<f32> {
    let Some(dim) = vectors.first().map(|vector| vector.len()) else { return Vec::new() };
    let mut sums = vec![0.0_f32; count * dim];
    for (vector, group) in vectors.iter().zip(groups) {
        if let Some(group) = group {
            sums[group * dim..(group + 1) * dim].iter_mut().zip(*vector).for_each(|(sum, v)| *sum += v);
        }
    }
    let mut kept = Vec::with_capacity(sums.len());
    for sum in sums.chunks_exact_mut(dim).filter(|sum| sum.iter().any(|v| *v != 0.0)) {
        normalize(sum);
        kept.extend_from_slice(sum);
    }
    kept
}
