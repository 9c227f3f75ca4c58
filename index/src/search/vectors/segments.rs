//! The files of a model's vectors. Each generation of the cache is a segment: rows that never change, with a graph where
//! there are many. The newest one lists the older ones that count with it, and which of their rows are out of date, so
//! what is new costs as much as it is, not as much as all that is there. Segments of about the same size are merged, as
//! those of search engines are (the logarithmic merging of Lester, Moffat and Zobel 2005).

use super::codes::{self, StoredRows};
use super::graph::{self, Graph};
use super::{CODED, Layout, PARTIAL, TRAITS, basis, open, places, read_rows};
use crate::catalogue::change_log::{Part, Stamp};
use crate::catalogue::library::Model;
use crate::error::Result;
use crate::search::cache::{self, Cache, Head, Unusable};
use rusqlite::Connection;
use std::collections::HashSet;
use std::path::Path;

/// From how many photos on there are graphs, and segments; every figure that depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) graph_from: usize,
}

impl Limits {
    /// The most rows of a segment: its rows and its graph are in memory while it is made.
    fn most(self) -> usize {
        self.graph_from.saturating_mul(5)
    }

    /// Segments with fewer rows are compared as a whole, faster than a graph is built.
    fn least_with_graph(self) -> usize {
        self.graph_from / 10
    }

    /// How many photos may have changed before that is written. Until then every search reads them one by one, which costs
    /// it less than a millisecond per hundred.
    fn slack(self, embedded: usize) -> usize {
        200 + embedded.min(self.graph_from) / 20
    }
}

/// A segment, and which of its rows count no more.
pub(super) struct VectorSegment {
    pub(super) cache: Cache,
    /// Those that were out of date when the newest generation was written, ascending.
    dead: Vec<usize>,
    /// The same, and those that changed since.
    pub(super) masked: HashSet<usize>,
}

impl VectorSegment {
    pub(super) fn layout(&self) -> Option<Layout<'_>> {
        Layout::of(&self.cache)
    }

    /// The photos of its rows, ascending.
    pub(super) fn ids(&self) -> &[i64] {
        self.layout().map_or(&[], |layout| layout.ids)
    }

    /// Rows that still count.
    pub(super) fn live(&self) -> usize {
        self.ids().len().saturating_sub(self.masked.len())
    }
}

/// The cache of a model: its segments, the newest last, and what is in none of them.
pub(crate) struct VectorSegments {
    pub(super) all: Vec<VectorSegment>,
    pub(crate) stamp: Stamp,
    /// Photos to be read from the catalogue, ascending.
    pub(crate) changed: Vec<i64>,
    /// Whether a segment is missing or damaged.
    lost: bool,
    /// The same, or not all were made yet.
    is_partial: bool,
}

/// What the newest generation says of an older one.
struct Listed {
    number: u64,
    sum: u64,
    dead: Vec<usize>,
}

/// How often it is tried to open all that the newest generation lists, while a writer changes it.
const TRIES: usize = 4;

fn listed(cache: &Cache) -> Option<Vec<Listed>> {
    let mut words: &[u64] = cache.section(4)?;
    let mut list = Vec::new();
    while let [number, sum, dead, rest @ ..] = words {
        let (dead, rest) = rest.split_at_checked(usize::try_from(*dead).ok()?)?;
        list.push(Listed { number: *number, sum: *sum, dead: dead.iter().map(|row| *row as usize).collect() });
        words = rest;
    }
    words.is_empty().then_some(list)
}

/// What is wrong with the older segments that a sound generation lists.
pub(super) fn damaged(newest: &Cache, folder: &Path, dim: usize) -> Vec<Unusable> {
    let opened =
        listed(newest).unwrap_or_default().into_iter().map(|listed| older(&listed, folder, newest.head.basis, dim));
    opened.filter_map(Result::err).collect()
}

fn older(listed: &Listed, folder: &Path, basis: u64, dim: usize) -> Result<VectorSegment, Unusable> {
    let cache = Cache::open_generation(folder, listed.number)?;
    let rows = Layout::of(&cache).filter(|_| Layout::is_sound(&cache, dim)).map(|layout| layout.ids.len());
    let fits = rows.is_some_and(|rows| listed.dead.is_sorted() && listed.dead.last().is_none_or(|last| *last < rows));
    if !fits || cache.sum != listed.sum || cache.head.basis != basis {
        return Err(Unusable::Damaged(folder.to_path_buf(), "a segment is not the one that was written".into()));
    }
    let masked = listed.dead.iter().copied().collect();
    Ok(VectorSegment { cache, dead: listed.dead.clone(), masked })
}

impl VectorSegments {
    /// The newest generation and what it lists; `None` if it is damaged, or of another model or log.
    pub(crate) fn open(db: &Connection, model: &Model, folder: &Path) -> rusqlite::Result<Option<Self>> {
        for _ in 1..TRIES {
            let opened = Self::try_open(db, model, folder)?;
            let number = opened.as_ref().and_then(|segments| segments.all.last()).map(|newest| newest.cache.number);
            // A writer may just have merged what the newest generation lists, and put a newer one in its place.
            if opened.as_ref().is_none_or(|segments| !segments.lost) || number == Cache::newest(folder) {
                return Ok(opened);
            }
        }
        Self::try_open(db, model, folder)
    }

    fn try_open(db: &Connection, model: &Model, folder: &Path) -> rusqlite::Result<Option<Self>> {
        let dim = model.record.dim;
        let Ok(newest) = open(model, folder) else { return Ok(None) };
        if newest.head.basis != basis(model) || !Layout::is_sound(&newest, dim) {
            return Ok(None);
        }
        let stamp = newest.head.stamp;
        let Some(changed) = stamp.changed_since(db, Part::Vectors(model.id))? else { return Ok(None) };
        let Some(listed) = listed(&newest) else { return Ok(None) };
        let older: Vec<_> = listed.iter().filter_map(|l| older(l, folder, newest.head.basis, dim).ok()).collect();
        let lost = older.len() < listed.len();
        let is_partial = lost || newest.head.numbers[TRAITS] & PARTIAL != 0;
        let mut all = older;
        all.push(VectorSegment { cache: newest, dead: Vec::new(), masked: HashSet::new() });
        let mut segments = Self { all, stamp, changed, lost, is_partial };
        for segment in &mut segments.all {
            let ids = Layout::of(&segment.cache).map_or(&[][..], |layout| layout.ids);
            segment.masked.extend(segments.changed.iter().flat_map(|id| places(ids, *id)));
        }
        if is_partial {
            segments.seek(db, model)?;
        }
        Ok(Some(segments))
    }

    /// Adds to the changed photos those that are in no segment.
    fn seek(&mut self, db: &Connection, model: &Model) -> rusqlite::Result<()> {
        let mut covered = HashSet::new();
        for segment in &self.all {
            let rows = segment.ids().iter().enumerate();
            covered.extend(rows.filter(|(row, _)| !segment.masked.contains(row)).map(|(_, id)| *id));
        }
        let mut all = db.prepare_cached(
            "SELECT photo FROM embedding e WHERE model = ?1 AND EXISTS (SELECT 1 FROM file f WHERE f.photo = e.photo)",
        )?;
        for id in all.query_map([model.id], |row| row.get::<_, i64>(0))? {
            let id = id?;
            if !covered.contains(&id) {
                self.changed.push(id);
            }
        }
        self.changed.sort_unstable();
        self.changed.dedup();
        Ok(())
    }

    /// Whether so much changed that it should be written.
    fn is_due(&self, limits: Limits, embedded: usize) -> bool {
        self.is_partial || self.changed.len() > limits.slack(embedded)
    }
}

/// What the next generation is made of.
struct Plan {
    /// Photos to read from the catalogue.
    read: Vec<i64>,
    /// Segments whose rows become part of it, by their place.
    merged: Vec<usize>,
    stamp: Stamp,
    /// Whether it only merges: what changed since the last generation stays as it is.
    is_merge: bool,
    /// Whether there are more photos in no segment.
    is_partial: bool,
    /// Whether its rows are codes.
    is_coded: bool,
    has_graph: bool,
}

/// What to write next; `None` if there is nothing to do.
fn plan(segments: &VectorSegments, limits: Limits, embedded: usize, newest: Stamp) -> Option<Plan> {
    let live: Vec<usize> = segments.all.iter().map(VectorSegment::live).collect();
    let total = live.iter().sum::<usize>() + segments.changed.len();
    let is_large = total >= limits.graph_from;
    if segments.is_due(limits, embedded) {
        let mut read = segments.changed.clone();
        read.truncate(limits.most());
        let is_partial = read.len() < segments.changed.len();
        // A small library is one segment. In a large one, what is no larger than what is new becomes part of it.
        let mut size = read.len();
        let mut merged = Vec::new();
        for (n, live) in live.iter().enumerate().rev() {
            if is_large && (*live > read.len() || size + live > limits.most()) {
                break;
            }
            size += live;
            merged.push(n);
        }
        let has_graph = is_large && size >= limits.least_with_graph();
        return Some(Plan { read, merged, stamp: newest, is_merge: false, is_partial, is_coded: is_large, has_graph });
    }
    let plan = |merged: Vec<usize>| {
        let size = merged.iter().filter_map(|n| live.get(*n)).sum::<usize>();
        let has_graph = is_large && size >= limits.least_with_graph();
        let (read, stamp) = (Vec::new(), segments.stamp);
        Some(Plan { read, merged, stamp, is_merge: true, is_partial: false, is_coded: is_large, has_graph })
    };
    if !is_large {
        return if segments.all.len() > 1 { plan((0..live.len()).collect()) } else { None };
    }
    // The longest row of last segments of which none is more than twice as large as those after it.
    let (mut sum, mut from) = (live.last().copied().unwrap_or(0), live.len().saturating_sub(1));
    for (n, live) in live.iter().enumerate().rev().skip(1) {
        if *live > 2 * sum || sum + live > limits.most() {
            break;
        }
        (sum, from) = (sum + live, n);
    }
    if from + 1 < live.len() {
        return plan((from..live.len()).collect());
    }
    let is_worn = |segment: &VectorSegment| segment.dead.len() * 3 > segment.ids().len();
    let lacks_graph = |segment: &VectorSegment| {
        segment.layout().is_some_and(|layout| layout.graph.is_none())
            && segment.live() >= limits.least_with_graph().max(1)
    };
    let worn = segments.all.iter().position(|segment| is_worn(segment) || lacks_graph(segment));
    worn.and_then(|n| plan(vec![n]))
}

/// Brings the cache up to date where that is worth it, one generation after the other: each is durable before the next is
/// begun. Returns `false` if `progress` (vectors done, total) stopped it.
pub(crate) fn refresh(
    db: &Connection,
    model: &Model,
    folder: &Path,
    limits: Limits,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> rusqlite::Result<Result<bool>> {
    let embedded: u64 =
        db.query_row("SELECT count(*) FROM embedding WHERE model = ?1", [model.id], |row| row.get(0))?;
    loop {
        let newest = Stamp::newest(db)?;
        let segments = match VectorSegments::open(db, model, folder)? {
            Some(segments) => segments,
            None if embedded == 0 => return Ok(Ok(true)),
            None => {
                let mut none = VectorSegments {
                    all: Vec::new(),
                    stamp: newest,
                    changed: Vec::new(),
                    lost: false,
                    is_partial: true,
                };
                none.seek(db, model)?;
                none
            }
        };
        let Some(plan) = plan(&segments, limits, embedded as usize, newest) else { return Ok(Ok(true)) };
        match write(db, model, folder, &segments, &plan, embedded, progress)? {
            Ok(true) => {}
            other => return Ok(other),
        }
    }
}

fn write(
    db: &Connection,
    model: &Model,
    folder: &Path,
    segments: &VectorSegments,
    plan: &Plan,
    embedded: u64,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> rusqlite::Result<Result<bool>> {
    let dim = model.record.dim;
    let mut go_on = progress(0, embedded);
    let mut rows = if plan.is_coded { NewRows::Coded(Vec::new()) } else { NewRows::Exact(Vec::new()) };
    let mut ids = Vec::new();
    read_rows(db, model, Some(&plan.read), &mut |id, row| {
        ids.push(id);
        rows.push(row);
        go_on = go_on && (ids.len() % 1_000 != 0 || progress(ids.len() as u64, embedded));
        go_on
    })?;
    for segment in plan.merged.iter().filter_map(|n| segments.all.get(*n)) {
        let Some(layout) = segment.layout() else { continue };
        let gone = |row: &usize| {
            if plan.is_merge { segment.dead.binary_search(row).is_ok() } else { segment.masked.contains(row) }
        };
        let mut read = Vec::new();
        for (row, id) in layout.ids.iter().enumerate().filter(|(row, _)| !gone(row)) {
            if let (NewRows::Coded(rows), Some(codes)) = (&mut rows, layout.rows.coded(row)) {
                ids.push(*id);
                rows.extend_from_slice(codes);
            } else if let Some(exact) = layout.rows.exact(row..row + 1) {
                ids.push(*id);
                rows.push(exact);
            } else if read.last() != Some(id) {
                // A library that has become small again.
                read.push(*id);
            }
        }
        read_rows(db, model, Some(&read), &mut |id, row| {
            ids.push(id);
            rows.push(row);
            true
        })?;
    }
    let (ids, rows) = rows.sorted(ids, dim);
    let others = segments.all.iter().enumerate().filter(|(n, _)| !plan.merged.contains(n)).map(|(_, segment)| segment);
    let others: Vec<&VectorSegment> = others.collect();
    let graph = match (go_on, &rows) {
        (false, _) => None,
        (true, NewRows::Coded(rows)) if plan.has_graph && !ids.is_empty() && dim > 0 => {
            let rows = StoredRows::Coded { rows, dim };
            graph::build(rows, &mut |done| progress(done.max(1) as u64, embedded))
        }
        (true, _) => Some(Graph::default()),
    };
    let Some(graph) = graph else { return Ok(Ok(false)) };
    let mut list: Vec<u64> = Vec::new();
    for segment in &others {
        let mut dead: Vec<usize> =
            if plan.is_merge { segment.dead.clone() } else { segment.masked.iter().copied().collect() };
        dead.sort_unstable();
        list.extend([segment.cache.number, segment.cache.sum, dead.len() as u64]);
        list.extend(dead.into_iter().map(|row| row as u64));
    }
    let traits = if plan.is_partial { PARTIAL } else { 0 } | if plan.is_coded { CODED } else { 0 };
    let numbers = [dim as u64, graph.entry as u64, graph.levels as u64, traits];
    let head = Head { stamp: plan.stamp, basis: basis(model), numbers };
    let sections = [
        bytemuck::cast_slice(&ids),
        rows.bytes(),
        bytemuck::cast_slice(&graph.offsets),
        bytemuck::cast_slice(&graph.links),
        bytemuck::cast_slice(&list),
    ];
    let keep: Vec<u64> = others.iter().map(|segment| segment.cache.number).collect();
    Ok(cache::write(folder, &head, &sections, &keep).map(|()| true))
}

/// The rows of a segment in the making.
enum NewRows {
    Exact(Vec<f32>),
    Coded(Vec<i8>),
}

impl NewRows {
    fn push(&mut self, vector: &[f32]) {
        match self {
            Self::Exact(rows) => rows.extend_from_slice(vector),
            Self::Coded(rows) => codes::push(rows, vector),
        }
    }

    /// By their photos' ids, those of a photo in the order that they have.
    fn sorted(self, ids: Vec<i64>, dim: usize) -> (Vec<i64>, Self) {
        if ids.is_sorted() {
            return (ids, self);
        }
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|n| ids[*n]);
        let rows = match self {
            Self::Exact(rows) => Self::Exact(moved(&rows, dim, &order)),
            Self::Coded(rows) => Self::Coded(moved(&rows, codes::stride(dim), &order)),
        };
        (order.iter().map(|n| ids[*n]).collect(), rows)
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Exact(rows) => bytemuck::cast_slice(rows),
            Self::Coded(rows) => bytemuck::cast_slice(rows),
        }
    }
}

/// Rows of this length in this order.
fn moved<T: Copy>(rows: &[T], length: usize, order: &[usize]) -> Vec<T> {
    let mut moved = Vec::with_capacity(rows.len());
    order.iter().for_each(|n| moved.extend_from_slice(&rows[n * length..(n + 1) * length]));
    moved
}
