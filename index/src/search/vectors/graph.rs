//! The HNSW graph (Malkov and Yashunin, 2018): built by `hnsw_rs`, stored flat, walked by our own search.
//!
//! We do not use the files of `hnsw_rs`: they have no checksum, and its loader ends the process on damage. Instead we
//! write a list of neighbours per level and row, which can be walked directly in the mapped file.

use super::kernel::dot;
use hnsw_rs::prelude::{Distance, Hnsw};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The most neighbours of a row on the upper levels; twice that on the lowest.
const LINKS: usize = 16;
/// Candidates considered for each row while building.
const BREADTH: usize = 128;
const MAX_LEVELS: usize = 16;
/// Rows inserted between two reports of progress.
const BATCH: usize = 2_000;

/// One minus the cosine, never negative: a rounding error could make it so, and `hnsw_rs`'s own distance would panic.
struct Cosine;

impl Distance<f32> for Cosine {
    fn eval(&self, a: &[f32], b: &[f32]) -> f32 {
        (1.0 - dot(a, b)).max(0.0)
    }
}

/// Neighbours of every row: `links[offsets[i]..offsets[i + 1]]` with `i = level * (rows + 1) + row`.
#[derive(Default)]
pub(super) struct Graph {
    pub(super) entry: usize,
    pub(super) levels: usize,
    pub(super) offsets: Vec<u32>,
    pub(super) links: Vec<u32>,
}

/// Builds the graph of unit vectors; `None` if `progress` (rows done) stopped it.
pub(super) fn build(rows: &[f32], dim: usize, progress: &mut dyn FnMut(usize) -> bool) -> Option<Graph> {
    let all: Vec<(&[f32], usize)> = rows.chunks_exact(dim).enumerate().map(|(n, row)| (row, n)).collect();
    let hnsw = Hnsw::<f32, Cosine>::new(LINKS, all.len(), MAX_LEVELS, BREADTH, Cosine);
    for (n, batch) in all.chunks(BATCH).enumerate() {
        if !progress(n * BATCH) {
            return None;
        }
        hnsw.parallel_insert_slice(&batch.to_vec());
    }
    // neighbours[level][row]
    let mut neighbours: Vec<Vec<Vec<u32>>> = Vec::new();
    let (mut entry, mut highest) = (0, 0);
    for point in hnsw.get_point_indexation() {
        let row = point.get_origin_id();
        let level = usize::from(point.get_point_id().0);
        if level >= highest {
            (entry, highest) = (row, level);
        }
        for (level, linked) in point.get_neighborhood_id().iter().enumerate().take(level + 1) {
            while neighbours.len() <= level {
                neighbours.push(vec![Vec::new(); all.len()]);
            }
            neighbours[level][row] = linked.iter().map(|n| n.d_id as u32).filter(|n| *n as usize != row).collect();
        }
    }
    drop(hnsw);
    neighbours.truncate(highest + 1);
    if let Some(lowest) = neighbours.first_mut() {
        make_mutual(lowest);
    }
    let mut graph = flatten(&neighbours, entry);
    let added = connect(&graph, rows, dim);
    if !added.is_empty() {
        for (a, b) in added {
            neighbours[0][a].push(b as u32);
            neighbours[0][b].push(a as u32);
        }
        graph = flatten(&neighbours, entry);
    }
    Some(graph)
}

/// Makes every link go both ways: `hnsw_rs` prunes links on one side only, so that nothing links to some rows.
fn make_mutual(lists: &mut [Vec<u32>]) {
    let mut missing = Vec::new();
    for (row, linked) in lists.iter().enumerate() {
        for other in linked {
            if lists.get(*other as usize).is_some_and(|back| !back.contains(&(row as u32))) {
                missing.push((*other as usize, row as u32));
            }
        }
    }
    for (row, back) in missing {
        lists[row].push(back);
    }
}

/// Links that make every row reachable on the lowest level: each cut-off part is linked to the nearest row found.
fn connect(graph: &Graph, rows: &[f32], dim: usize) -> Vec<(usize, usize)> {
    let view = graph.view(rows, dim);
    let count = rows.len() / dim;
    let mut reached = vec![false; count];
    let mut added = Vec::new();
    let flood = |from: usize, reached: &mut Vec<bool>| {
        let mut waiting = vec![from];
        while let Some(row) = waiting.pop() {
            if !std::mem::replace(&mut reached[row], true) {
                waiting.extend(view.links(0, row).iter().map(|n| *n as usize).filter(|n| !reached[*n]));
            }
        }
    };
    flood(graph.entry, &mut reached);
    for row in 0..count {
        if !reached[row] {
            let nearest = view.search(&rows[row * dim..(row + 1) * dim], 64).first().map_or(graph.entry, |n| n.0);
            added.push((row, nearest));
            flood(row, &mut reached);
        }
    }
    added
}

fn flatten(neighbours: &[Vec<Vec<u32>>], entry: usize) -> Graph {
    let mut graph = Graph { entry, levels: neighbours.len(), ..Graph::default() };
    for level in neighbours {
        for linked in level {
            graph.offsets.push(graph.links.len() as u32);
            graph.links.extend_from_slice(linked);
        }
        graph.offsets.push(graph.links.len() as u32);
    }
    graph
}

impl Graph {
    fn view<'a>(&'a self, rows: &'a [f32], dim: usize) -> View<'a> {
        View { rows, dim, entry: self.entry, levels: self.levels, offsets: &self.offsets, links: &self.links }
    }
}

/// A graph and its vectors, in memory or in a mapped file.
pub(super) struct View<'a> {
    pub(super) rows: &'a [f32],
    pub(super) dim: usize,
    pub(super) entry: usize,
    pub(super) levels: usize,
    pub(super) offsets: &'a [u32],
    pub(super) links: &'a [u32],
}

/// A cosine and its row, ordered by the cosine; of two equal cosines, that of the lower row is the greater.
#[derive(Clone, Copy, PartialEq)]
struct Near(f32, usize);

impl Eq for Near {}
impl Ord for Near {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0).then(other.1.cmp(&self.1))
    }
}
impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl View<'_> {
    fn links(&self, level: usize, row: usize) -> &[u32] {
        let at = level * (self.rows.len() / self.dim + 1) + row;
        let bounds = self.offsets.get(at).zip(self.offsets.get(at + 1));
        bounds.and_then(|(from, to)| self.links.get(*from as usize..*to as usize)).unwrap_or_default()
    }

    fn near(&self, query: &[f32], row: usize) -> Option<Near> {
        Some(Near(dot(query, self.rows.get(row * self.dim..(row + 1) * self.dim)?), row))
    }

    /// Up to `breadth` rows close to `query` with their cosines, best first.
    pub(super) fn search(&self, query: &[f32], breadth: usize) -> Vec<(usize, f32)> {
        let Some(mut best) = self.near(query, self.entry) else { return Vec::new() };
        // Go down the upper levels, always to the nearest neighbour.
        for level in (1..self.levels).rev() {
            while let Some(better) = self
                .links(level, best.1)
                .iter()
                .filter_map(|row| self.near(query, *row as usize))
                .max()
                .filter(|next| *next > best)
            {
                best = better;
            }
        }
        // On the lowest level, keep the best `breadth` rows seen, and next visit the best one not yet visited.
        let mut seen = vec![0_u64; (self.rows.len() / self.dim).div_ceil(64)];
        let mut is_new = |row: usize| {
            let Some(word) = seen.get_mut(row / 64) else { return false };
            let bit = 1 << (row % 64);
            let new = *word & bit == 0;
            *word |= bit;
            new
        };
        is_new(best.1);
        let mut waiting = BinaryHeap::from([best]);
        let mut kept = BinaryHeap::from([Reverse(best)]);
        while let Some(next) = waiting.pop() {
            if kept.len() >= breadth && kept.peek().is_some_and(|worst| next < worst.0) {
                break;
            }
            for row in self.links(0, next.1) {
                let row = *row as usize;
                if !is_new(row) {
                    continue;
                }
                let Some(near) = self.near(query, row) else { continue };
                if kept.len() < breadth {
                    kept.push(Reverse(near));
                } else if kept.peek().is_some_and(|worst| near > worst.0) {
                    kept.pop();
                    kept.push(Reverse(near));
                } else {
                    continue;
                }
                waiting.push(near);
            }
        }
        let mut found: Vec<Near> = kept.into_iter().map(|near| near.0).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.into_iter().map(|near| (near.1, near.0)).collect()
    }
}
