//! Which pairs of photos are worth comparing closely, among all pairs of a library.
//!
//! By matrix products over tiles of photos: of the embeddings, and of prints. A print is the fine structure of a look on
//! a grid of 16, as a unit vector, so the product of two is their correlation. Every photo's print is held against those
//! of the other one turned, of parts of it as cropping leaves them, and of what is left without a frame; this finds the copies that embeddings do not: a
//! photo turned by 90 degrees may have a cosine of 0 with itself.

use super::alike::{self, Turns};
use super::looks::Look;
use super::progress::Report;
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Photos of one tile.
const TILE: usize = 1_024;
/// Correlation of two prints from which a pair is a candidate. Of the copies in tests/duplicates.rs the worst have 0.67;
/// of 4,851 pairs of different photos none reaches it.
const CORRELATED: f32 = 0.6;
/// What cropping may leave of a picture: left, top, width and height in shares of its edges.
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

/// A photo to be compared.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its embedding, a unit vector.
    pub vector: &'a [f32],
    /// Its look.
    pub look: &'a Look,
}

/// Two photos that may be copies, by their positions, and by which turns of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The one.
    pub first: usize,
    /// The other.
    pub second: usize,
    /// Turns of the first that may bring it into the position of the second.
    pub turns: Turns,
}

/// Goes through all pairs and gives those to `take` that may be copies: by prints, or because their cosine reaches
/// `near`. A pair may come twice. `report` is told of tiles; `false` if it said to stop.
///
/// # Errors
/// Embeddings of different lengths, or no memory for a tile.
pub fn each(
    subjects: &[Subject<'_>],
    near: f32,
    report: &mut Report<'_>,
    take: &mut dyn FnMut(&[Candidate]),
) -> anyhow::Result<bool> {
    let tiles: Vec<Tile> = subjects.chunks(TILE).map(Tile::new).collect::<anyhow::Result<_>>()?;
    for (n, (column, columns)) in subjects.chunks(TILE).zip(&tiles).enumerate() {
        let prints = |print: &(dyn Fn(&Look) -> Vec<f32> + Sync)| matrix(column.par_iter().map(|s| print(s.look)));
        let mut parts =
            PARTS.iter().map(|part| prints(&|look| alike::print(look, *part))).collect::<Result<Vec<_>, _>>()?;
        parts.push(prints(&alike::unframed_print)?);
        // Turned the other way round, because it is the rows' photos that are to be turned.
        let turned = (1..4_u8).map(|turns| prints(&|look| alike::turned_print(look, 4 - turns)));
        let turned = turned.collect::<Result<Vec<_>, _>>()?;
        for (m, rows) in tiles.iter().enumerate() {
            if !report(n * tiles.len() + m, tiles.len() * tiles.len()) {
                return Ok(false);
            }
            let mut found = BTreeMap::<(usize, usize), Turns>::new();
            let mut note = |hits: Vec<(usize, usize)>, turns: Turns| {
                for (row, at) in hits {
                    let (first, second) = (m * TILE + row, n * TILE + at);
                    // A tile with itself holds every pair in both orders.
                    let (first, second, turns) = match (m == n, first.cmp(&second)) {
                        (true, std::cmp::Ordering::Equal) => continue,
                        (true, std::cmp::Ordering::Greater) => (second, first, turns.back()),
                        _ => (first, second, turns),
                    };
                    let known = found.entry((first, second)).or_insert(Turns::NONE);
                    *known = known.and(turns);
                }
            };
            // Only these depend on which is the part of which.
            for part in &parts {
                note(rows.reaching(&rows.prints, part, CORRELATED)?, Turns::only(0));
            }
            if m <= n {
                note(rows.reaching(&rows.prints, &columns.prints, CORRELATED)?, Turns::only(0));
                for (turns, prints) in (1..).zip(&turned) {
                    note(rows.reaching(&rows.prints, prints, CORRELATED)?, Turns::only(turns));
                }
                note(rows.reaching(&rows.vectors, &columns.vectors, near)?, Turns::ALL);
            }
            let candidates: Vec<Candidate> =
                found.into_iter().map(|((first, second), turns)| Candidate { first, second, turns }).collect();
            take(&candidates);
        }
    }
    Ok(true)
}

/// Embeddings and prints of some photos, a row each.
struct Tile {
    vectors: Tensor,
    prints: Tensor,
}

impl Tile {
    fn new(subjects: &[Subject<'_>]) -> anyhow::Result<Self> {
        let whole = [0.0, 0.0, 1.0, 1.0];
        let prints = matrix(subjects.par_iter().map(|s| alike::print(s.look, whole)))?;
        Ok(Self { vectors: matrix(subjects.par_iter().map(|s| s.vector.to_vec()))?, prints })
    }

    /// Rows of `rows` and of `columns` whose product reaches `least`.
    fn reaching(&self, rows: &Tensor, columns: &Tensor, least: f32) -> anyhow::Result<Vec<(usize, usize)>> {
        let products: Vec<f32> = rows.matmul(&columns.t()?)?.flatten_all()?.to_vec1()?;
        let width = columns.dim(0)?;
        let hits = products.par_chunks(width.max(1)).enumerate().flat_map_iter(|(row, products)| {
            products.iter().enumerate().filter(move |(_, product)| **product >= least).map(move |(at, _)| (row, at))
        });
        Ok(hits.collect())
    }
}

fn matrix(rows: impl IndexedParallelIterator<Item = Vec<f32>>) -> anyhow::Result<Tensor> {
    let count = rows.len();
    let values: Vec<f32> = rows.collect::<Vec<_>>().concat();
    let width = values.len() / count.max(1);
    Ok(Tensor::from_vec(values, (count, width), &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of its own for every seed.
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
        Look { aspect: 1.0, sharpness: 1.0, grey }
    }

    fn pairs(subjects: &[Subject<'_>]) -> Vec<(usize, usize, Turns)> {
        let mut found = Vec::new();
        let mut take = |candidates: &[Candidate]| {
            found.extend(candidates.iter().map(|c| (c.first, c.second, c.turns)));
        };
        assert!(each(subjects, 0.96, &mut |_, _| true, &mut take).unwrap());
        found
    }

    #[test]
    fn pairs_are_found_within_and_across_tiles() {
        let looks: Vec<Look> = (0..TILE as u32 + 40).map(look).collect();
        let (one, other) = ([1.0, 0.0], [0.0, 1.0]);
        let mut subjects: Vec<Subject> = looks.iter().map(|look| Subject { vector: &one, look }).collect();
        // Only these two are near by their embeddings.
        subjects.iter_mut().for_each(|subject| subject.vector = &[0.0, 0.0]);
        (subjects[3].vector, subjects[TILE + 7].vector) = (&one, &one);
        subjects[9].vector = &other;
        let again = looks[5].clone();
        subjects[20].look = &again;
        subjects[TILE + 1].look = &again;
        let found = pairs(&subjects);
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
        let look = look(1);
        let subjects = [Subject { vector: &[1.0], look: &look }; 3];
        let mut taken = 0;
        assert!(!each(&subjects, 0.5, &mut |_, _| false, &mut |found| taken += found.len()).unwrap());
        assert_eq!(taken, 0);
        assert!(each(&[], 0.5, &mut |_, _| false, &mut |_| {}).unwrap());
    }
}
