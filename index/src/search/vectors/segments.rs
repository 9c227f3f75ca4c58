//! The files of a model's vectors: how the next one is made.

use super::codes::{self, StoredRows};
use super::graph::{self, Graph};
use super::{CODED, Layout, read_rows};
use crate::catalogue::change_log::Stamp;
use crate::catalogue::library::Model;
use crate::engine::Database;
use crate::error::Result;
use crate::search::cache::{self, Head};
use crate::search::segments::{Limits, Plan, Segment, SegmentKind, Segments};

/// Segments with fewer rows are compared as a whole, faster than a graph is built.
fn least_with_graph(limits: Limits) -> usize {
    (limits.large_from / 10).max(1)
}

/// Brings the cache up to date where that is worth it, one generation after the other: each is durable before the next
/// is begun. Returns `false` if `progress` (vectors done, total) stopped it.
pub(crate) fn refresh(
    db: &Database,
    model: &Model,
    kind: &SegmentKind<'_>,
    limits: Limits,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> rusqlite::Result<Result<bool>> {
    let lacks_graph = |segment: &Segment| {
        Layout::of(&segment.cache).is_some_and(|layout| layout.graph.is_none())
            && segment.live() >= least_with_graph(limits)
    };
    loop {
        let newest = Stamp::newest(db)?;
        let segments = kind.open_or_begin(db)?;
        let Some(plan) = segments.plan(limits, newest, &lacks_graph) else { return Ok(Ok(true)) };
        match write(db, model, kind, limits, &segments, &plan, progress)? {
            Ok(true) => {}
            other => return Ok(other),
        }
    }
}

fn write(
    db: &Database,
    model: &Model,
    kind: &SegmentKind<'_>,
    limits: Limits,
    segments: &Segments,
    plan: &Plan,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> rusqlite::Result<Result<bool>> {
    let dim = model.record.dim;
    let total = plan.size as u64;
    let mut go_on = progress(0, total);
    let mut rows = if plan.is_large { NewRows::Coded(Vec::new()) } else { NewRows::Exact(Vec::new()) };
    let mut ids = Vec::new();
    read_rows(db, model, Some(&plan.read), &mut |id, row| {
        ids.push(id);
        rows.push(row);
        go_on = go_on && (ids.len() % 1_000 != 0 || progress(ids.len() as u64, total));
        go_on
    })?;
    for (segment, live) in segments.merged(plan) {
        let Some(layout) = Layout::of(&segment.cache) else { continue };
        let mut read = Vec::new();
        for row in live {
            let Some(id) = layout.ids.get(row).copied() else { continue };
            if let (NewRows::Coded(rows), Some(codes)) = (&mut rows, layout.rows.coded(row)) {
                ids.push(id);
                rows.extend_from_slice(codes);
            } else if let Some(exact) = layout.rows.exact(row..row + 1) {
                ids.push(id);
                rows.push(exact);
            } else if read.last() != Some(&id) {
                // A library that has become small again.
                read.push(id);
            }
        }
        read_rows(db, model, Some(&read), &mut |id, row| {
            ids.push(id);
            rows.push(row);
            true
        })?;
    }
    let (ids, rows) = rows.sorted(ids, dim);
    let has_graph = ids.len() >= least_with_graph(limits) && dim > 0;
    let graph = match (go_on, &rows) {
        (false, _) => None,
        (true, NewRows::Coded(rows)) if has_graph => {
            let rows = StoredRows::Coded { rows, dim };
            graph::build(rows, &mut |done| progress(done as u64, total))
        }
        (true, _) => Some(Graph::default()),
    };
    let Some(graph) = graph else { return Ok(Ok(false)) };
    let (list, keep, traits) = segments.beside(plan);
    let traits = traits | if plan.is_large { CODED } else { 0 };
    let numbers = [dim as u64, graph.entry as u64, graph.levels as u64, traits];
    let head = Head { stamp: plan.stamp, basis: kind.basis, numbers };
    let sections = [
        bytemuck::cast_slice(&ids),
        rows.bytes(),
        bytemuck::cast_slice(&graph.offsets),
        bytemuck::cast_slice(&graph.links),
        bytemuck::cast_slice(&list),
    ];
    Ok(cache::write(kind.folder, &head, &sections, &keep).map(|()| true))
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
