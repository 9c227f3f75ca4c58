//! Which pairs of photos are worth comparing closely, among all pairs of a library.
//!
//! They are found by matrix products over tiles of photos: of the embeddings, and of prints ([`Print`]), whose product
//! is their correlation. Every photo's print is compared with those of the other one as a whole, turned, cropped in
//! several ways, and without its frame. This finds the copies that embeddings miss: a photo turned by 90 degrees may
//! have a cosine of 0 with the original.

use super::alike::{Print, Turns};
use super::look_file::LookFile;
use super::looks::Look;
use crate::terminal::progress::StepFn;
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use snapseek_index::NearVectors;
use std::collections::BTreeMap;

/// Photos of one tile.
const TILE: usize = 1_024;
/// Correlation of rough prints from which the exact ones are compared, and of exact prints from which a pair is a
/// candidate. Copies without a frame, as in tests/quality/duplicates.rs, have at least 0.88; of 4,851 pairs of
/// different photos, none has more than 0.56.
const CORRELATED: (f32, f32) = (0.7, 0.62);
/// A whole picture.
const WHOLE: [f32; 4] = [0.0, 0.0, 1.0, 1.0];
/// What cropping may leave of a picture: left, top, width and height in fractions of its edges.
const PARTS: [[f32; 4]; 10] = [
    [0.05, 0.05, 0.9, 0.9],
    [0.1, 0.1, 0.8, 0.8],
    [0.0, 0.0, 0.9, 0.9],
    [0.1, 0.0, 0.9, 0.9],
    [0.0, 0.1, 0.9, 0.9],
    [0.1, 0.1, 0.9, 0.9],
    [0.1, 0.0, 0.9, 1.0],
    [0.0, 0.0, 0.9, 1.0],
    [0.0, 0.1, 1.0, 0.9],
    [0.0, 0.0, 1.0, 0.9],
];

/// Two photos that may be copies, by their positions, and the turns that may make them alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Position of the first photo.
    pub first: usize,
    /// Position of the second photo.
    pub second: usize,
    /// Turns of the first that may bring it into the position of the second.
    pub turns: Turns,
    /// Whether nothing but their embeddings speaks for it.
    pub by_meaning: bool,
}

/// Receives candidates; an error ends the work.
pub type TakeFn<'a> = dyn FnMut(&[Candidate]) -> anyhow::Result<()> + 'a;

/// As [`each`], but by graphs of prints, and of embeddings for which `near_pairs` has the pairs, by position: a few
/// pairs may be missing, and of one photo with a thousand others most. The result is `false` if `report` said to stop.
///
/// # Errors
/// A look cannot be read, or those of `take`.
pub fn each_by_graph(
    looks: &LookFile,
    near_pairs: &[(usize, usize)],
    report: &mut StepFn<'_>,
    take: &mut TakeFn<'_>,
) -> anyhow::Result<bool> {
    let total = 2 * looks.len();
    let mut unread = None;
    let tiles = (0..looks.len()).step_by(TILE).map_while(|first| {
        let tile = looks.read(first..first + TILE).map_err(|error| unread = Some(error)).ok()?;
        Some(tile.par_iter().map(|look| Print::of(look, WHOLE).rough).collect::<Vec<_>>())
    });
    let Some(graph) = NearVectors::new(tiles.flatten(), Print::ROUGH, &mut |done| report(done, total)) else {
        return Ok(false);
    };
    if let Some(error) = unread {
        return Err(error);
    }
    for first in (0..looks.len()).step_by(TILE) {
        if !report(looks.len() + first, total) {
            return Ok(false);
        }
        let of_look = |(at, look): (usize, &Look)| -> anyhow::Result<Vec<Candidate>> {
            let second = first + at;
            let mut found = BTreeMap::<usize, Turns>::new();
            let mut note = |print: &Print, turns: Turns| -> anyhow::Result<()> {
                for other in graph.reaching(&print.rough, CORRELATED.0).into_iter().filter(|other| *other != second) {
                    let exact = Print::of(&looks.get(other)?, WHOLE).exact;
                    if exact.iter().zip(&print.exact).map(|(a, b)| a * b).sum::<f32>() >= CORRELATED.1 {
                        let known = found.entry(other).or_insert(Turns::NONE);
                        *known = known.and(turns);
                    }
                }
                Ok(())
            };
            note(&Print::of(look, WHOLE), Turns::only(0))?;
            PARTS.iter().try_for_each(|part| note(&Print::of(look, *part), Turns::only(0)))?;
            note(&Print::unframed(look), Turns::only(0))?;
            (1..4).try_for_each(|turns| note(&Print::turned(look, 4 - turns), Turns::only(turns)))?;
            Ok(found.into_iter().map(|(first, turns)| Candidate { first, second, turns, by_meaning: false }).collect())
        };
        let tile = looks.read(first..first + TILE)?;
        let found: Vec<Vec<Candidate>> = tile.par_iter().enumerate().map(of_look).collect::<anyhow::Result<_>>()?;
        take(&found.concat())?;
    }
    let of_pair = |(first, second): &(usize, usize)| Candidate {
        first: *first,
        second: *second,
        turns: Turns::ALL,
        by_meaning: true,
    };
    for pairs in near_pairs.chunks(TILE) {
        take(&pairs.iter().map(of_pair).collect::<Vec<_>>())?;
    }
    Ok(true)
}

/// Goes through all pairs and passes those to `take` that may be copies: because of their prints, or because their
/// cosine reaches `near`. `vectors` are the embeddings, unit vectors, of the photos that the looks are of. A pair may
/// come twice. `report` receives the number of pairs of tiles done and in all; the result is `false` if it said to stop.
///
/// # Errors
/// A look cannot be read, the embeddings have different lengths, there is no memory for a tile, or those of `take`.
pub fn each(
    vectors: &[&[f32]],
    looks: &LookFile,
    near: f32,
    report: &mut StepFn<'_>,
    take: &mut TakeFn<'_>,
) -> anyhow::Result<bool> {
    let photo_tile = |(n, vectors)| PhotoTile::new(vectors, &looks.read(n * TILE..(n + 1) * TILE)?);
    let tiles: Vec<PhotoTile> = vectors.chunks(TILE).enumerate().map(photo_tile).collect::<anyhow::Result<_>>()?;
    for (n, columns) in tiles.iter().enumerate() {
        let column = looks.read(n * TILE..(n + 1) * TILE)?;
        let prints = |print: &(dyn Fn(&Look) -> Print + Sync)| Prints::new(column.par_iter().map(print));
        let parts = PARTS.iter().map(|part| prints(&|look| Print::of(look, *part)));
        let parts: Vec<Prints> = parts.chain([prints(&Print::unframed)]).collect::<Result<_, _>>()?;
        // Turned the other way round, because the turns apply to the photos of the rows.
        let turned = (1..4_u8).map(|turns| prints(&|look| Print::turned(look, 4 - turns)));
        let turned: Vec<Prints> = turned.collect::<Result<_, _>>()?;
        for (m, rows) in tiles.iter().enumerate() {
            if !report(n * tiles.len() + m, tiles.len() * tiles.len()) {
                return Ok(false);
            }
            let mut found = BTreeMap::<(usize, usize), (Turns, bool)>::new();
            let mut note = |hits: Vec<(usize, usize)>, turns: Turns, by_meaning: bool| {
                for (row, at) in hits {
                    let (first, second) = (m * TILE + row, n * TILE + at);
                    // A tile compared with itself has every pair in both orders.
                    let (first, second, turns) = match (m == n, first.cmp(&second)) {
                        (true, std::cmp::Ordering::Equal) => continue,
                        (true, std::cmp::Ordering::Greater) => (second, first, turns.back()),
                        _ => (first, second, turns),
                    };
                    let known = found.entry((first, second)).or_insert((Turns::NONE, true));
                    *known = (known.0.and(turns), known.1 && by_meaning);
                }
            };
            // Only these depend on which photo is part of which, so they are compared in both directions.
            for part in &parts {
                note(rows.prints.correlated(part)?, Turns::only(0), false);
            }
            if m <= n {
                note(rows.prints.correlated(&columns.prints)?, Turns::only(0), false);
                for (turns, prints) in (1..).zip(&turned) {
                    note(rows.prints.correlated(prints)?, Turns::only(turns), false);
                }
                note(reaching(&rows.vectors, &columns.vectors, near)?, Turns::ALL, true);
            }
            let candidate = |((first, second), (turns, by_meaning))| Candidate { first, second, turns, by_meaning };
            let candidates: Vec<Candidate> = found.into_iter().map(candidate).collect();
            take(&candidates)?;
        }
    }
    Ok(true)
}

/// The photos of a tile.
struct PhotoTile {
    vectors: Tensor,
    prints: Prints,
}

impl PhotoTile {
    fn new(vectors: &[&[f32]], looks: &[Look]) -> anyhow::Result<Self> {
        let prints = Prints::new(looks.par_iter().map(|look| Print::of(look, WHOLE)))?;
        Ok(Self { vectors: matrix(vectors.iter().copied())?, prints })
    }
}

/// Prints of the photos of a tile, a row each.
struct Prints {
    rough: Tensor,
    exact: Vec<Vec<f32>>,
}

impl Prints {
    fn new(prints: impl IndexedParallelIterator<Item = Print>) -> anyhow::Result<Self> {
        let (rough, exact): (Vec<_>, Vec<_>) = prints.map(|print| (print.rough, print.exact)).unzip();
        Ok(Self { rough: matrix(rough.iter().map(Vec::as_slice))?, exact })
    }

    /// Pairs of a row of these and a row of the others that are correlated.
    fn correlated(&self, others: &Self) -> anyhow::Result<Vec<(usize, usize)>> {
        let mut pairs = reaching(&self.rough, &others.rough, CORRELATED.0)?;
        pairs.retain(|(row, at)| {
            let exact = self.exact.get(*row).into_iter().flatten().zip(others.exact.get(*at).into_iter().flatten());
            exact.map(|(a, b)| a * b).sum::<f32>() >= CORRELATED.1
        });
        Ok(pairs)
    }
}

/// Pairs of a row of each whose product reaches `least`.
fn reaching(rows: &Tensor, columns: &Tensor, least: f32) -> anyhow::Result<Vec<(usize, usize)>> {
    let products: Vec<f32> = rows.matmul(&columns.t()?)?.flatten_all()?.to_vec1()?;
    let width = columns.dim(0)?;
    let hits = products.par_chunks(width.max(1)).enumerate().flat_map_iter(|(row, products)| {
        products.iter().enumerate().filter(move |(_, product)| **product >= least).map(move |(at, _)| (row, at))
    });
    Ok(hits.collect())
}

fn matrix<'a>(rows: impl Iterator<Item = &'a [f32]>) -> anyhow::Result<Tensor> {
    let rows: Vec<&[f32]> = rows.collect();
    let width = rows.first().map_or(0, |row| row.len());
    Ok(Tensor::from_vec(rows.concat(), (rows.len(), width), &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A different look for every seed.
    fn look(seed: u32) -> Look {
        let mut state = seed.wrapping_mul(2_654_435_761) | 1;
        let cells: Vec<u8> = (0..256)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state as u8
            })
            .collect();
        let grey = (0..64 * 64).map(|at| cells[at / 64 / 4 * 16 + at % 64 / 4]).collect();
        Look { aspect: 1.0, sharpness: 1.0, tones: Default::default(), grey }
    }

    fn file(looks: &[Look]) -> LookFile {
        let mut file = LookFile::new(&std::env::temp_dir()).unwrap();
        file.add(looks).unwrap();
        file
    }

    #[test]
    fn pairs_are_found_within_and_across_tiles() {
        let mut looks: Vec<Look> = (0..TILE as u32 + 40).map(look).collect();
        // Only two are near by their embeddings.
        let mut vectors: Vec<&[f32]> = vec![&[0.0, 0.0]; looks.len()];
        (vectors[3], vectors[TILE + 7], vectors[9]) = (&[1.0, 0.0], &[1.0, 0.0], &[0.0, 1.0]);
        (looks[20], looks[TILE + 1]) = (looks[5].clone(), looks[5].clone());
        let mut found = Vec::new();
        let mut take = |candidates: &[Candidate]| {
            found.extend(candidates.iter().map(|c| (c.first, c.second, c.turns)));
            Ok(())
        };
        assert!(each(&vectors, &file(&looks), 0.96, &mut |_, _| true, &mut take).unwrap());
        let near = found.iter().filter(|(_, _, turns)| *turns == Turns::ALL).map(|(a, b, _)| (*a, *b));
        assert_eq!(near.collect::<Vec<_>>(), [(3, TILE + 7)]);
        let mut alike: Vec<_> = found
            .iter()
            .filter(|(_, _, turns)| turns.has(0) && *turns != Turns::ALL)
            .map(|(a, b, _)| (*a.min(b), *a.max(b)))
            .collect();
        alike.sort_unstable();
        alike.dedup();
        assert_eq!(alike, [(5, 20), (5, TILE + 1), (20, TILE + 1)]);
    }

    #[test]
    fn it_stops_when_it_is_told_to() {
        let looks = file(&[look(1), look(1), look(1)]);
        let mut taken = 0;
        let mut take = |found: &[Candidate]| {
            taken += found.len();
            Ok(())
        };
        assert!(!each(&[&[1.0], &[1.0], &[1.0]], &looks, 0.5, &mut |_, _| false, &mut take).unwrap());
        assert!(!each_by_graph(&looks, &[], &mut |_, _| false, &mut take).unwrap());
        assert!(each(&[], &file(&[]), 0.5, &mut |_, _| false, &mut take).unwrap());
        assert_eq!(taken, 0);
    }

    #[test]
    fn an_error_of_the_taker_ends_the_work() {
        let looks = file(&[look(1), look(1)]);
        let mut full = |_: &[Candidate]| anyhow::bail!("full");
        assert!(each(&[&[1.0], &[1.0]], &looks, 0.5, &mut |_, _| true, &mut full).is_err());
        assert!(each_by_graph(&looks, &[], &mut |_, _| true, &mut full).is_err());
    }
}
