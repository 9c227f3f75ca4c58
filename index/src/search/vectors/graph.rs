//! The HNSW graph (Malkov and Yashunin, 2018), stored flat: a list of neighbours per level and row, which is walked
//! where it is mapped.
//!
//! Rows are inserted in batches, as ParlayANN does (Manohar and others, 2024): those of a batch look for neighbours at
//! the same time in what there is before it, and are linked afterwards. So nothing is locked, and the graph is the same
//! whatever the number of threads.

use super::codes::{self, CodedQuery, StoredRows};
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The most neighbours of a row on the upper levels, and those of a new row; twice that on the lowest.
const LINKS: usize = 16;
/// Candidates considered for each row while building.
const BREADTH: usize = 128;
const MAX_LEVELS: usize = 16;
/// The most rows of a batch, and which share of the rows before it a batch may have.
const BATCH: usize = 1_024;
const SHARE: usize = 32;

/// Neighbours of every row: `links[offsets[i]..offsets[i + 1]]` with `i = level * (rows + 1) + row`.
#[derive(Default)]
pub(super) struct Graph {
    pub(super) entry: usize,
    pub(super) levels: usize,
    pub(super) offsets: Vec<u32>,
    pub(super) links: Vec<u32>,
}

/// Builds the graph of coded rows; `None` if `progress` (rows done) stopped it.
pub(super) fn build(rows: StoredRows<'_>, progress: &mut dyn FnMut(usize) -> bool) -> Option<Graph> {
    let count = rows.len();
    // Photos that are alike often follow each other, and those of one batch do not see each other.
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_cached_key(|row| mixed(*row as u64));
    let mut made = Unfinished { rows, entry: order.first().copied().unwrap_or_default(), neighbours: Vec::new() };
    for _ in 0..=order.first().map_or(0, |first| level(*first)) {
        made.neighbours.push(vec![Vec::new(); count]);
    }
    let mut done = 1;
    while done < count {
        if !progress(done) {
            return None;
        }
        let batch = order.get(done..(done + (done / SHARE).clamp(1, BATCH)).min(count)).unwrap_or_default();
        made.insert(batch);
        done += batch.len();
    }
    let Unfinished { entry, mut neighbours, .. } = made;
    let mut graph = flatten(&neighbours, entry);
    let added = connect(&graph, rows);
    if !added.is_empty() {
        for (a, b) in added {
            neighbours[0][a].push(b as u32);
            neighbours[0][b].push(a as u32);
        }
        graph = flatten(&neighbours, entry);
    }
    Some(graph)
}

/// A number that looks random (splitmix64).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The highest level of a row: each has one in `LINKS` of the rows of the level below.
fn level(row: usize) -> usize {
    let uniform = ((mixed(!(row as u64)) >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
    ((-uniform.ln() / (LINKS as f64).ln()) as usize).min(MAX_LEVELS - 1)
}

/// A graph in the making: the neighbours of each row on each level.
struct Unfinished<'a> {
    rows: StoredRows<'a>,
    entry: usize,
    neighbours: Vec<Vec<Vec<u32>>>,
}

impl Unfinished<'_> {
    fn cosine(&self, a: usize, b: usize) -> f32 {
        let both = self.rows.coded(a).zip(self.rows.coded(b));
        both.map_or(0.0, |(a, b)| codes::cosine(a, b, self.rows.dim()))
    }

    /// Inserts rows, each of which has no links yet.
    fn insert(&mut self, batch: &[usize]) {
        let found: Vec<Vec<Vec<u32>>> = batch.par_iter().map(|row| self.neighbours_of(*row)).collect();
        let mut back: Vec<(usize, u32, u32)> = Vec::new();
        for (row, levels) in batch.iter().zip(found) {
            for (level, links) in levels.into_iter().enumerate() {
                back.extend(links.iter().map(|to| (level, *to, *row as u32)));
                self.neighbours[level][*row] = links;
            }
            // The first row of a new level is where searches begin.
            while self.neighbours.len() <= level(*row) {
                self.neighbours.push(vec![Vec::new(); self.rows.len()]);
                self.entry = *row;
            }
        }
        back.sort_unstable();
        let of_row: Vec<&[(usize, u32, u32)]> = back.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).collect();
        let linked: Vec<(usize, usize, Vec<u32>)> =
            of_row.par_iter().filter_map(|back| self.with_links_back(back)).collect();
        for (level, row, links) in linked {
            self.neighbours[level][row] = links;
        }
    }

    /// The neighbours of a new row on each of its levels that there is.
    fn neighbours_of(&self, row: usize) -> Vec<Vec<u32>> {
        let near = |other: usize| Some(Near(self.cosine(row, other), other));
        let top = self.neighbours.len() - 1;
        let own = level(row).min(top);
        let mut best = Near(self.cosine(row, self.entry), self.entry);
        for level in (own + 1..=top).rev() {
            best = descend(best, |row| self.links(level, row), near);
        }
        let mut levels = vec![Vec::new(); own + 1];
        for level in (0..=own).rev() {
            let found = walk(best, BREADTH, self.rows, |row| self.links(level, row), near);
            best = found.first().copied().unwrap_or(best);
            levels[level] = self.select(&found, LINKS);
        }
        levels
    }

    fn links(&self, level: usize, row: usize) -> &[u32] {
        &self.neighbours[level][row]
    }

    /// What a row is linked with when others are linked with it.
    fn with_links_back(&self, back: &[(usize, u32, u32)]) -> Option<(usize, usize, Vec<u32>)> {
        let (level, row) = back.first().map(|(level, row, _)| (*level, *row as usize))?;
        let most = if level == 0 { 2 * LINKS } else { LINKS };
        let mut links = self.links(level, row).to_vec();
        links.extend(back.iter().map(|(_, _, from)| *from));
        if links.len() > most {
            let near = |other: &u32| Near(self.cosine(row, *other as usize), *other as usize);
            let mut all: Vec<Near> = links.iter().map(near).collect();
            all.sort_unstable_by(|a, b| b.cmp(a));
            links = self.select(&all, most);
        }
        Some((level, row, links))
    }

    /// The paper's heuristic: of these candidates, best first, those that are nearer to the row than to any that was
    /// chosen before, so that links lead in all directions; then the best of the others.
    fn select(&self, candidates: &[Near], most: usize) -> Vec<u32> {
        let (mut chosen, mut others): (Vec<usize>, Vec<usize>) = (Vec::with_capacity(most), Vec::new());
        for Near(cosine, row) in candidates {
            if chosen.len() >= most {
                break;
            }
            if chosen.iter().all(|other| self.cosine(*row, *other) < *cosine) {
                chosen.push(*row);
            } else {
                others.push(*row);
            }
        }
        let missing = most - chosen.len();
        chosen.extend(others.into_iter().take(missing));
        chosen.into_iter().map(|row| row as u32).collect()
    }
}

/// Links that make every row reachable on the lowest level: each cut-off part is linked to the nearest row found.
fn connect(graph: &Graph, rows: StoredRows<'_>) -> Vec<(usize, usize)> {
    let view = graph.view(rows);
    let count = rows.len();
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
            let vector = rows.decoded(row).unwrap_or_default();
            let found = view.search(&CodedQuery::new(&vector), 64);
            let nearest = found.first().map_or(graph.entry, |near| *near);
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
    pub(super) fn view<'a>(&'a self, rows: StoredRows<'a>) -> View<'a> {
        View { rows, entry: self.entry, levels: self.levels, offsets: &self.offsets, links: &self.links }
    }
}

/// A graph and its vectors, in memory or in a mapped file.
pub(super) struct View<'a> {
    pub(super) rows: StoredRows<'a>,
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
        let at = level * (self.rows.len() + 1) + row;
        let bounds = self.offsets.get(at).zip(self.offsets.get(at + 1));
        bounds.and_then(|(from, to)| self.links.get(*from as usize..*to as usize)).unwrap_or_default()
    }

    fn near(&self, query: &CodedQuery<'_>, row: usize) -> Option<Near> {
        Some(Near(self.rows.cosine(query, row)?, row))
    }

    /// Up to `breadth` rows close to `query`, best first.
    pub(super) fn search(&self, query: &CodedQuery<'_>, breadth: usize) -> Vec<usize> {
        let near = |row: usize| self.near(query, row);
        let Some(mut best) = near(self.entry) else { return Vec::new() };
        for level in (1..self.levels).rev() {
            best = descend(best, |row| self.links(level, row), near);
        }
        let found = walk(best, breadth, self.rows, |row| self.links(0, row), near);
        found.into_iter().map(|near| near.1).collect()
    }
}

/// Goes from a row to its nearest neighbour as long as that is nearer.
fn descend<'a>(from: Near, links: impl Fn(usize) -> &'a [u32], near: impl Fn(usize) -> Option<Near>) -> Near {
    let mut best = from;
    while let Some(better) =
        links(best.1).iter().filter_map(|row| near(*row as usize)).max().filter(|next| *next > best)
    {
        best = better;
    }
    best
}

/// Keeps the best `breadth` of the rows seen, visits the best one not yet visited, and returns them, best first.
fn walk<'a>(
    from: Near,
    breadth: usize,
    rows: StoredRows<'_>,
    links: impl Fn(usize) -> &'a [u32],
    near: impl Fn(usize) -> Option<Near>,
) -> Vec<Near> {
    let mut seen = vec![0_u64; rows.len().div_ceil(64)];
    let mut new: Vec<usize> = Vec::new();
    let mut is_new = |row: usize| {
        let Some(word) = seen.get_mut(row / 64) else { return false };
        let bit = 1 << (row % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    };
    is_new(from.1);
    let mut waiting = BinaryHeap::from([from]);
    let mut kept = BinaryHeap::from([Reverse(from)]);
    while let Some(next) = waiting.pop() {
        if kept.len() >= breadth && kept.peek().is_some_and(|worst| next < worst.0) {
            break;
        }
        new.clear();
        new.extend(links(next.1).iter().map(|row| *row as usize).filter(|row| is_new(*row)));
        // Rows lie anywhere in a large file: they are waited for at the same time.
        new.iter().for_each(|row| rows.touch(*row));
        for row in new.iter().copied() {
            let Some(near) = near(row) else { continue };
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
    found
}
