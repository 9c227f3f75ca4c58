//! A library on a plane: photos that look alike are close together.
//!
//! t-SNE (van der Maaten and Hinton 2008) starts from the two principal components, so that the same photos give the
//! same map on every processor. A large library is first summarised, as for its clusters; its photos are placed around
//! the point that represents them.

use super::linkage::summarize;
use super::tsne;
use crate::model::products;
use crate::terminal::progress::StepFn;
use rayon::prelude::*;
use snapseek_index::{KeptMap, Library};
use std::collections::HashMap;

/// The most points that t-SNE places.
const POINTS: usize = 1_500;
/// How many neighbours attract a point.
const PERPLEXITY: f32 = 30.0;
/// Rounds of power iteration; the components need not be exact.
const ROUNDS: usize = 50;
/// The angle in radians between a photo and the next around their point: the golden angle, which spreads them evenly.
const TURN: f32 = 2.399_963;

/// A new photo lies between this many photos that it is most like, of this many that are looked at.
const NEIGHBOURS: usize = 3;
const LOOKED_AT: usize = 4_096;

/// Positions of a library's photos, as [`layout`] gives them. The map that was kept is extended by photos that are new,
/// as long as they are no more than a quarter of it; so is what is left when photos are gone.
///
/// # Errors
/// The catalogue cannot be read.
pub fn of_library(
    library: &Library,
    embeddings: &[(i64, &[f32])],
    report: &mut StepFn<'_>,
) -> anyhow::Result<Option<Vec<(f32, f32)>>> {
    let kept = library.kept_map()?.unwrap_or_default();
    let known: HashMap<i64, (f32, f32)> = kept.spots.into_iter().collect();
    let there = embeddings.iter().filter(|(id, _)| known.contains_key(id)).count();
    let is_fit = there * 4 >= embeddings.len().max(kept.laid_out) * 3 && embeddings.len() * 4 <= kept.laid_out * 5;
    let (spots, laid_out) = if is_fit {
        (extended(embeddings, &known), kept.laid_out)
    } else {
        let vectors: Vec<&[f32]> = embeddings.iter().map(|(_, vector)| *vector).collect();
        let Some(spots) = layout(&vectors, report) else { return Ok(None) };
        (spots, embeddings.len())
    };
    if there < embeddings.len() || known.len() > there {
        let map =
            KeptMap { spots: embeddings.iter().map(|(id, _)| *id).zip(spots.iter().copied()).collect(), laid_out };
        // A library that cannot be written is not an error: the map is laid out again the next time.
        let _ = library.keep_map(&map);
    }
    Ok(Some(spots))
}

/// The known spots, and for new photos those in the middle of the photos that they are most like.
fn extended(embeddings: &[(i64, &[f32])], known: &HashMap<i64, (f32, f32)>) -> Vec<(f32, f32)> {
    let old: Vec<(&[f32], (f32, f32))> =
        embeddings.iter().filter_map(|(id, vector)| Some((*vector, *known.get(id)?))).collect();
    let sample: Vec<&(&[f32], (f32, f32))> = old.iter().step_by(old.len().div_ceil(LOOKED_AT).max(1)).collect();
    let new = |vector: &[f32]| {
        let cosine = |other: &[f32]| vector.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
        let mut near: Vec<(f32, (f32, f32))> = sample.iter().map(|(other, spot)| (cosine(other), *spot)).collect();
        near.sort_unstable_by(|a, b| {
            b.0.total_cmp(&a.0).then(a.1.partial_cmp(&b.1).unwrap_or(std::cmp::Ordering::Equal))
        });
        near.truncate(NEIGHBOURS);
        let count = near.len().max(1) as f32;
        let sum = near.iter().fold((0.0, 0.0), |(x, y), (_, spot)| (x + spot.0, y + spot.1));
        (sum.0 / count, sum.1 / count)
    };
    embeddings.par_iter().map(|(id, vector)| known.get(id).copied().unwrap_or_else(|| new(vector))).collect()
}

/// Positions of unit vectors of the same length, in their order, each from 0 to 1 across and down; `None` if `report`
/// cancelled it.
#[must_use]
pub fn layout(vectors: &[&[f32]], report: &mut StepFn<'_>) -> Option<Vec<(f32, f32)>> {
    if vectors.len() < 4 {
        return Some((0..vectors.len()).map(|n| ((n as f32 + 0.5) / vectors.len() as f32, 0.5)).collect());
    }
    let mut order: Vec<usize> = (0..vectors.len()).collect();
    order.sort_by(|a, b| crate::clusters::linkage::by_content(vectors[*a], vectors[*b]));
    let sorted: Vec<&[f32]> = order.iter().map(|n| vectors[*n]).collect();
    let (points, places) = summarize(&sorted, POINTS, report)?;
    let spots = place(&points, report)?;
    let spots = if points.len() == vectors.len() {
        spots
    } else {
        around(&spots, &places.iter().map(|(point, _)| *point).collect::<Vec<_>>())
    };
    let mut in_order = vec![(0.0, 0.0); vectors.len()];
    for (spot, at) in fit(&spots).into_iter().zip(order) {
        in_order[at] = spot;
    }
    Some(in_order)
}

/// Places the points by t-SNE.
fn place(points: &[Vec<f32>], report: &mut StepFn<'_>) -> Option<Vec<(f32, f32)>> {
    let rows: Vec<&[f32]> = points.iter().map(Vec::as_slice).collect();
    let perplexity = PERPLEXITY.min((points.len() - 1) as f32 / 3.0);
    let flat = points.concat();
    // The squared distances of unit vectors.
    let mut distances = products(&flat, &flat, flat.len() / points.len());
    distances.iter_mut().for_each(|cosine| *cosine = (2.0 - 2.0 * *cosine).max(0.0));
    tsne::embed(&distances, perplexity, &components(&rows), report)
}

/// The two principal components of each point, scaled to the small numbers that t-SNE should start from.
fn components(rows: &[&[f32]]) -> Vec<(f32, f32)> {
    let dim = rows[0].len();
    let mut mean = vec![0.0_f32; dim];
    rows.iter().for_each(|row| mean.iter_mut().zip(*row).for_each(|(m, v)| *m += v / rows.len() as f32));
    let centred: Vec<Vec<f32>> = rows.iter().map(|row| row.iter().zip(&mean).map(|(v, m)| v - m).collect()).collect();
    let flat = centred.concat();
    let mut axes: Vec<Vec<f32>> = Vec::new();
    for n in 0..2 {
        let mut axis: Vec<f32> = (0..dim).map(|i| if i % 2 == n { 1.0 } else { 0.5 }).collect();
        for _ in 0..ROUNDS {
            let along = products(&flat, &axis, dim);
            let mut next = vec![0.0_f32; dim];
            for (row, weight) in centred.iter().zip(along) {
                next.iter_mut().zip(row).for_each(|(n, v)| *n += weight * v);
            }
            for other in &axes {
                let shared: f32 = next.iter().zip(other).map(|(a, b)| a * b).sum();
                next.iter_mut().zip(other).for_each(|(n, o)| *n -= shared * o);
            }
            crate::model::normalize(&mut next);
            axis = next;
        }
        axes.push(axis);
    }
    let values = products(&flat, &axes.concat(), dim);
    let largest = values.iter().fold(1e-9_f32, |most, v| most.max(v.abs()));
    values.as_chunks::<2>().0.iter().map(|[x, y]| (x / largest * 1e-4, y / largest * 1e-4)).collect()
}

/// Photos around the spots that represent them, in spirals as wide as the median distance to the next spot.
fn around(spots: &[(f32, f32)], places: &[usize]) -> Vec<(f32, f32)> {
    let mut counts = vec![0_usize; spots.len()];
    places.iter().for_each(|place| counts[*place] += 1);
    let apart = |at: usize| {
        let (x, y) = spots[at];
        let others = spots.iter().enumerate().filter(|(other, _)| *other != at);
        others.map(|(_, (a, b))| libm::hypotf(x - a, y - b)).fold(f32::INFINITY, f32::min)
    };
    let mut gaps: Vec<f32> = (0..spots.len()).map(apart).collect();
    gaps.sort_by(f32::total_cmp);
    let radius = gaps[gaps.len() / 2];
    let mut ranks = vec![0_usize; spots.len()];
    let spiral = |place: &usize| {
        let (x, y) = spots[*place];
        let rank = ranks[*place] as f32;
        ranks[*place] += 1;
        let away = radius * (rank / counts[*place] as f32).sqrt();
        (x + away * libm::cosf(rank * TURN), y + away * libm::sinf(rank * TURN))
    };
    places.iter().map(spiral).collect()
}

/// Scales positions so that they fill the unit square; the few that are far outside lie at its edge. The directions of
/// t-SNE mean nothing, so each has its own scale.
fn fit(spots: &[(f32, f32)]) -> Vec<(f32, f32)> {
    let bounds = |of: fn(&(f32, f32)) -> f32| {
        let mut values: Vec<f32> = spots.iter().map(of).collect();
        values.sort_by(f32::total_cmp);
        let strays = values.len() / 100;
        let at = |n: usize| values.get(n).copied().unwrap_or(0.0);
        (at(strays), at(values.len().saturating_sub(strays + 1)))
    };
    let scaled = |v: f32, (low, high): (f32, f32)| {
        if high - low < 1e-9 { 0.5 } else { ((v - low) / (high - low)).clamp(0.0, 1.0) }
    };
    let (across, down) = (bounds(|spot| spot.0), bounds(|spot| spot.1));
    spots.iter().map(|(x, y)| (scaled(*x, across), scaled(*y, down))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_kept_extended_and_laid_out_again_when_much_is_new() {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::create(folder.path()).unwrap();
        let model = snapseek_index::ModelRecord { name: "m".into(), fingerprint: "m".into(), dim: 24 };
        library.lock().unwrap().set_model(&model).unwrap();
        let vectors = groups(40);
        let some = |ids: &[i64]| -> Vec<(i64, &[f32])> {
            ids.iter().map(|id| (*id, vectors[*id as usize].as_slice())).collect()
        };
        let first: Vec<i64> = (0..120).filter(|id| id % 6 != 5).collect();
        let all: Vec<i64> = (0..120).collect();
        let mut laid_out = 0;
        let mut map = |ids: &[i64]| {
            let mut steps = 0;
            let spots = of_library(&library, &some(ids), &mut |_, _| {
                steps += 1;
                true
            });
            laid_out += usize::from(steps > 0);
            (spots.unwrap().unwrap(), laid_out)
        };
        let (before, _) = map(&first);
        assert_eq!(map(&first), (before.clone(), 1));
        let (after, times) = map(&all);
        assert_eq!(times, 1, "a fifth more are added");
        let spot = |id: i64| after[id as usize];
        for (id, spot) in first.iter().zip(&before) {
            assert_eq!(after[*id as usize], *spot, "old photos stay where they were");
        }
        for id in all.iter().filter(|id| *id % 6 == 5) {
            let away = |other: &i64| {
                let ((a, b), (x, y)) = (spot(*id), spot(*other));
                (a - x).abs() + (b - y).abs()
            };
            let nearest = first.iter().min_by(|a, b| away(a).total_cmp(&away(b))).unwrap();
            assert_eq!(nearest / 40, id / 40, "a new photo lies in its group");
        }
        assert_eq!(map(&all[..70]).1, 2, "a third is gone");
        assert_eq!(map(&all).1, 3, "two thirds more");
        // A damaged one is as good as none.
        let file = std::fs::read_dir(folder.path().join("map")).unwrap().next().unwrap().unwrap().path();
        std::fs::write(file, b"no map").unwrap();
        assert_eq!(map(&all).1, 4);
    }

    fn groups(each: usize) -> Vec<Vec<f32>> {
        let mut vectors = Vec::new();
        for group in 0..3 {
            for n in 0..each {
                let mut v: Vec<f32> = (0..24).map(|i| ((i * 31 + n * 17 + group * 7) % 13) as f32 / 40.0).collect();
                v[group] += 2.0;
                crate::model::normalize(&mut v);
                vectors.push(v);
            }
        }
        vectors
    }

    /// The share of photos whose nearest neighbour is in their own group.
    fn share_with_their_own(spots: &[(f32, f32)], each: usize) -> f32 {
        let nearest = |at: usize| {
            let gap = |other: usize| (spots[at].0 - spots[other].0).hypot(spots[at].1 - spots[other].1);
            (0..spots.len()).filter(|other| *other != at).min_by(|a, b| gap(*a).total_cmp(&gap(*b))).unwrap()
        };
        (0..spots.len()).filter(|at| nearest(*at) / each == at / each).count() as f32 / spots.len() as f32
    }

    #[test]
    fn groups_lie_apart_every_time_the_same() {
        for each in [20, 600] {
            let vectors = groups(each);
            let rows: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
            let spots = layout(&rows, &mut |_, _| true).unwrap();
            assert!(spots.iter().all(|(x, y)| (0.0..=1.0).contains(x) && (0.0..=1.0).contains(y)));
            assert!(share_with_their_own(&spots, each) > 0.95);
            assert_eq!(spots, layout(&rows, &mut |_, _| true).unwrap());
        }
        let vectors = groups(20);
        let rows: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
        assert_eq!(layout(&rows, &mut |_, _| false), None);
    }

    #[test]
    fn few_photos_and_equal_ones_have_places_too() {
        let equal = vec![vec![1.0_f32, 0.0]; 9];
        for count in [0, 1, 3, 9] {
            let rows: Vec<&[f32]> = equal[..count].iter().map(Vec::as_slice).collect();
            let spots = layout(&rows, &mut |_, _| true).unwrap();
            assert_eq!(spots.len(), count);
            assert!(spots.iter().all(|(x, y)| x.is_finite() && y.is_finite()));
        }
    }
}
