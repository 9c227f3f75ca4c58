//! Which of many vectors are near each other, without comparing every pair: by graphs.

use super::codes::{self, CodedQuery, StoredRows};
use super::graph::{self, Graph, View};
use super::{Layout, Segment, Vectors};
use rayon::prelude::*;

/// How many rows a walk keeps at first, and at most: as many may be found for one vector.
const BREADTH: usize = 32;
const MOST: usize = 1_024;
/// Vectors looked at between two reports of progress.
const BATCH: usize = 4_096;

/// Unit vectors in memory, of which those near another one are found by a graph.
pub struct NearVectors {
    dim: usize,
    /// The position that each row was given at; vectors of zeros have none.
    positions: Vec<usize>,
    rows: Vec<i8>,
    graph: Graph,
}

impl NearVectors {
    /// The neighbours among `vectors` of `dim` numbers each, some of which may be all zeros; `None` if `progress`
    /// (vectors done) stopped it.
    pub fn new(
        vectors: impl Iterator<Item = impl AsRef<[f32]>>,
        dim: usize,
        progress: &mut dyn FnMut(usize) -> bool,
    ) -> Option<Self> {
        let (mut positions, mut rows) = (Vec::new(), Vec::new());
        for (position, vector) in vectors.enumerate() {
            let vector = vector.as_ref();
            if vector.len() == dim && vector.iter().any(|number| *number != 0.0) {
                positions.push(position);
                codes::push(&mut rows, vector);
            }
        }
        let graph = graph::build(StoredRows::Coded { rows: &rows, dim }, progress)?;
        Some(Self { dim, positions, rows, graph })
    }

    /// The positions of about all vectors whose product with `query`, a unit vector, reaches `least`, but for those
    /// that would be the thousandth or later.
    #[must_use]
    pub fn reaching(&self, query: &[f32], least: f32) -> Vec<usize> {
        let view = self.graph.view(StoredRows::Coded { rows: &self.rows, dim: self.dim });
        let rows = reaching(&view, &CodedQuery::new(query), least);
        rows.into_iter().filter_map(|row| self.positions.get(row).copied()).collect()
    }
}

impl std::fmt::Debug for NearVectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NearVectors").field("dim", &self.dim).field("vectors", &self.positions.len()).finish()
    }
}

/// Whether the product of a row with a query may reach `least`.
fn reaches(rows: StoredRows<'_>, query: &CodedQuery<'_>, least: f32, row: usize) -> bool {
    rows.estimate(query, row).is_some_and(|(cosine, error)| cosine + error >= least)
}

/// The rows of which a graph finds that they may.
fn reaching(view: &View<'_>, query: &CodedQuery<'_>, least: f32) -> Vec<usize> {
    let mut breadth = BREADTH;
    loop {
        let mut found = view.search(query, breadth);
        let ends = found.last().is_some_and(|last| !reaches(view.rows, query, least, *last));
        if found.len() < breadth || ends || breadth >= MOST {
            found.retain(|row| reaches(view.rows, query, least, *row));
            return found;
        }
        breadth *= 4;
    }
}

impl Vectors {
    /// Pairs of photos, the lower id first, whose cosines may reach `least`, about all of them; `None` if `progress`
    /// (vectors done, total) stopped it.
    pub(crate) fn pairs(&self, least: f32, progress: &mut dyn FnMut(usize, usize) -> bool) -> Option<Vec<(i64, i64)>> {
        let layouts: Vec<(&Segment, Layout<'_>)> =
            self.segments.iter().filter_map(|segment| Some((segment, Layout::of(&segment.cache)?))).collect();
        let near = |id: i64, vector: &[f32]| -> Vec<(i64, i64)> {
            let query = CodedQuery::new(vector);
            let mut found: Vec<i64> = Vec::new();
            for (segment, layout) in &layouts {
                let rows = match &layout.graph {
                    Some(graph) => reaching(graph, &query, least),
                    None => (0..layout.ids.len()).filter(|row| reaches(layout.rows, &query, least, *row)).collect(),
                };
                let rows = rows.into_iter().filter(|row| !segment.masked.contains(row));
                found.extend(rows.filter_map(|row| layout.ids.get(row)));
            }
            let changed = self.ids.iter().zip(self.rows.chunks_exact(self.dim.max(1)));
            found.extend(changed.filter(|(_, row)| super::cosine(vector, row) >= least).map(|(id, _)| *id));
            found.into_iter().filter(|other| *other != id).map(|other| (id.min(other), id.max(other))).collect()
        };
        let total = layouts.iter().map(|(_, layout)| layout.ids.len()).sum::<usize>() + self.ids.len();
        let (mut pairs, mut done) = (Vec::new(), 0);
        for (segment, layout) in &layouts {
            for first in (0..layout.ids.len()).step_by(BATCH) {
                if !progress(done, total) {
                    return None;
                }
                let rows = first..(first + BATCH).min(layout.ids.len());
                done += rows.len();
                let rows = rows.into_par_iter().filter(|row| !segment.masked.contains(row));
                pairs.par_extend(rows.flat_map_iter(|row| match layout.ids.get(row).zip(layout.rows.decoded(row)) {
                    Some((id, vector)) => near(*id, &vector),
                    None => Vec::new(),
                }));
            }
        }
        for (id, vector) in self.ids.iter().zip(self.rows.chunks_exact(self.dim.max(1))) {
            pairs.extend(near(*id, vector));
        }
        pairs.par_sort_unstable();
        pairs.dedup();
        Some(pairs)
    }
}
