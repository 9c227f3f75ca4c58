//! Search by meaning: cosines of unit vectors, from a mapped cache plus what changed since it was written.

mod graph;
mod kernel;
mod segments;

use super::cache::{self, Cache, CacheFault, Unusable};
use crate::catalogue::change_log::Part;
use crate::catalogue::library::{Library, Model, models_of};
use crate::catalogue::rows::ScoreStats;
use crate::catalogue::stored::read_row;
use crate::error::Result;
use graph::View;
use kernel::dot;
use rayon::prelude::*;
use rusqlite::Connection;
use segments::VectorSegment;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

pub(crate) use segments::{Limits, VectorSegments, refresh};

/// Libraries of at least this many photos get a graph; below that, comparing with every photo is as fast, and exact.
pub(crate) const GRAPH_FROM: usize = 50_000;
/// Rows compared by one task.
const CHUNK: usize = 2_048;
/// The fewest rows from which the distribution of a query's cosines over a large library is estimated.
const SAMPLE: usize = 4_096;

/// A photo and its cosine with the query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scored {
    pub(crate) id: i64,
    pub(crate) cosine: f32,
}

/// The embeddings of all photos of a library by one of its models. A photo has one row or, if it is a video, several
/// that follow each other: its cosine is that of the best one.
pub(crate) struct Vectors {
    dim: usize,
    segments: Vec<VectorSegment>,
    /// Photos that are in no segment, or changed since: ids ascending, and their rows.
    ids: Vec<i64>,
    rows: Vec<f32>,
    /// Rows that are not the first of their photo.
    further: usize,
}

/// The folder of the caches of all models.
pub(crate) fn folders(library: &Library) -> PathBuf {
    library.dir().join("vectors")
}

/// The folder of a model's cache.
pub(crate) fn folder(library: &Library, model: &Model) -> PathBuf {
    folders(library).join(format!("{:016x}", basis(model)))
}

/// The newest cache of a model. Older releases kept one model's cache right in the folder of all.
fn open(model: &Model, folder: &Path) -> Result<Cache, Unusable> {
    match (Cache::open(folder), folder.parent()) {
        (Err(Unusable::Missing), Some(parent)) => {
            let cache = Cache::open(parent)?;
            if cache.head.basis == basis(model) { Ok(cache) } else { Err(Unusable::Missing) }
        }
        (opened, _) => opened,
    }
}

/// Removes the caches of models that are no longer the library's, and those of older releases once there are newer
/// ones.
pub(crate) fn tidy(library: &Library) -> Result<()> {
    let models = library.sql(models_of)?;
    let known: Vec<PathBuf> = models.iter().map(|(model, _)| folder(library, model)).collect();
    let is_made = models.first().is_none_or(|(model, _)| Cache::is_in(&folder(library, model)));
    let Ok(entries) = std::fs::read_dir(folders(library)) else { return Ok(()) };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && !known.contains(&path) {
            cache::clear(&path)?;
        } else if !is_folder && is_made {
            // A reader on Windows may still have it open; the next run tries again.
            let _ = std::fs::remove_file(path);
        }
    }
    Ok(())
}

fn basis(model: &Model) -> u64 {
    xxh3_64(format!("{}\0{}", model.record.dim, model.record.fingerprint).as_bytes())
}

/// What is wrong with the caches, for `check`.
pub(crate) fn findings(library: &Library) -> Result<Vec<CacheFault>> {
    let rebuild = |what: &str| Some(CacheFault::Damaged(what.into()));
    let mut found = Vec::new();
    for (model, _) in library.sql(models_of)? {
        found.extend(match open(&model, &folder(library, &model)) {
            Err(unusable) => unusable.fault("vector"),
            Ok(cache) if cache.head.basis != basis(&model) => None,
            Ok(cache) if !Layout::is_sound(&cache, model.record.dim) => {
                rebuild("the vector cache is damaged: the lengths of its sections are wrong")
            }
            Ok(cache) if library.sql(|db| cache.head.stamp.changed_since(db, Part::Vectors(model.id)))?.is_none() => {
                rebuild("the vector cache does not match the catalogue")
            }
            Ok(cache) => {
                let folder = folder(library, &model);
                segments::damaged(&cache, &folder, model.record.dim).into_iter().find_map(|fault| match fault {
                    Unusable::Missing => rebuild("a segment of the vector cache is missing"),
                    fault => fault.fault("vector"),
                })
            }
        });
    }
    Ok(found)
}

/// The sections of a segment.
#[derive(Default)]
struct Layout<'a> {
    ids: &'a [i64],
    rows: &'a [f32],
    graph: Option<View<'a>>,
}

impl<'a> Layout<'a> {
    /// Whether the sections fit each other and the model; checked once, before the cache is used.
    fn is_sound(cache: &'a Cache, dim: usize) -> bool {
        Self::of(cache).is_some_and(|layout| {
            let ascending = layout.ids.is_sorted();
            let entry = layout.graph.as_ref().map_or(0, |graph| graph.entry);
            cache.head.numbers[0] == dim as u64 && ascending && (entry == 0 || entry < layout.ids.len())
        })
    }

    fn of(cache: &'a Cache) -> Option<Self> {
        let [dim, entry, levels, _] = cache.head.numbers.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let ids: &[i64] = cache.section(0)?;
        let rows: &[f32] = cache.section(1)?;
        let offsets: &[u32] = cache.section(2)?;
        let links: &[u32] = cache.section(3)?;
        let graph_fits = levels.checked_mul(ids.len().checked_add(1)?)? == offsets.len();
        if dim == 0 || rows.len() != ids.len().checked_mul(dim)? || !graph_fits {
            return None;
        }
        let graph = (levels > 0).then_some(View { rows, dim, entry, levels, offsets, links });
        Some(Self { ids, rows, graph })
    }
}

impl Vectors {
    /// The vectors of a model. A cache that is missing, damaged, foreign or out of date makes this slower, never wrong.
    pub(crate) fn load(db: &Connection, model: &Model, folder: &Path) -> rusqlite::Result<Self> {
        let dim = model.record.dim;
        let opened = VectorSegments::open(db, model, folder)?;
        let changed = opened.as_ref().map(|segments| segments.changed.as_slice());
        let (ids, rows) = read_rows(db, model, changed, &mut |_| true)?;
        let segments = opened.map(|segments| segments.all).unwrap_or_default();
        let mut further = further(&ids);
        for segment in &segments {
            let ids = segment.layout().ids;
            further += if segment.masked.is_empty() {
                self::further(ids)
            } else {
                let kept = ids.iter().enumerate().filter(|(row, _)| !segment.masked.contains(row));
                self::further(&kept.map(|(_, id)| *id).collect::<Vec<_>>())
            };
        }
        Ok(Self { dim, segments, ids, rows, further })
    }

    /// Numbers in a vector.
    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    /// Number of photos that have a vector.
    pub(crate) fn len(&self) -> usize {
        self.segments.iter().map(VectorSegment::live).sum::<usize>() + self.ids.len() - self.further
    }

    /// Whether there is a graph.
    pub(crate) fn has_graph(&self) -> bool {
        self.segments.iter().any(|segment| segment.layout().graph.is_some())
    }

    /// The vector of a photo, of a video that of its first frame.
    pub(crate) fn row(&self, id: i64) -> Option<&[f32]> {
        self.rows_of(id)?.get(..self.dim)
    }

    /// The cosine of a photo with `query`.
    pub(crate) fn cosine(&self, query: &[f32], id: i64) -> Option<f32> {
        let rows = self.rows_of(id)?.chunks_exact(self.dim);
        rows.map(|row| dot(query, row)).max_by(f32::total_cmp)
    }

    fn rows_of(&self, id: i64) -> Option<&[f32]> {
        let changed = places(&self.ids, id);
        if !changed.is_empty() {
            return self.rows.get(changed.start * self.dim..changed.end * self.dim);
        }
        self.segments.iter().find_map(|segment| {
            let layout = segment.layout();
            let known = places(layout.ids, id);
            if known.is_empty() || segment.masked.contains(&known.start) {
                return None;
            }
            layout.rows.get(known.start * self.dim..known.end * self.dim)
        })
    }

    /// The ids, ascending, and vectors of all photos, of videos those of their first frames.
    pub(crate) fn rows(&self) -> Vec<(i64, &[f32])> {
        let dim = self.dim.max(1);
        let mut rows: Vec<(i64, &[f32])> = Vec::with_capacity(self.len());
        for segment in &self.segments {
            let layout = segment.layout();
            let all = layout.ids.iter().copied().zip(layout.rows.chunks_exact(dim)).enumerate();
            rows.extend(all.filter(|(row, _)| !segment.masked.contains(row)).map(|(_, row)| row));
        }
        rows.extend(self.ids.iter().copied().zip(self.rows.chunks_exact(dim)));
        rows.sort_by_key(|(id, _)| *id);
        rows.dedup_by_key(|(id, _)| *id);
        rows
    }

    /// The cosines of all photos with `query` (a unit vector of `dim` numbers), best first, ties by id.
    pub(crate) fn all(&self, query: &[f32]) -> Vec<Scored> {
        let mut scored: Vec<Scored> = self.segments.iter().flat_map(|segment| of_segment(segment, query)).collect();
        scored.extend(scan(&self.ids, &self.rows, query));
        self.sort(&mut scored);
        scored
    }

    /// The cosines of these photos, best first; those without a vector are left out.
    pub(crate) fn of(&self, query: &[f32], ids: &[i64]) -> Vec<Scored> {
        let score = |id: &i64| Some(Scored { id: *id, cosine: self.cosine(query, *id)? });
        let mut scored: Vec<Scored> = ids.par_chunks(CHUNK).flat_map_iter(|ids| ids.iter().filter_map(score)).collect();
        self.sort(&mut scored);
        scored
    }

    /// Roughly the best `k`, found by the graph where there is one, with exact cosines.
    pub(crate) fn near(&self, query: &[f32], k: usize) -> Vec<Scored> {
        if !self.has_graph() {
            return self.all(query);
        }
        // Several rows of one video may be among them.
        let breadth = (if self.further > 0 { 8 * k } else { 4 * k }).max(200);
        let of_segment = |segment: &VectorSegment| {
            let layout = segment.layout();
            let Some(graph) = &layout.graph else { return of_segment(segment, query) };
            let found = graph.search(query, breadth.saturating_add(segment.masked.len().min(k))).into_iter();
            let kept = found.filter(|(row, _)| !segment.masked.contains(row));
            kept.filter_map(|(row, cosine)| Some(Scored { id: *layout.ids.get(row)?, cosine })).collect()
        };
        let mut scored: Vec<Scored> = self.segments.par_iter().flat_map_iter(of_segment).collect();
        scored.extend(scan(&self.ids, &self.rows, query));
        self.sort(&mut scored);
        scored.truncate(k);
        scored
    }

    /// Best first, ties by id; of each photo, only its best row.
    fn sort(&self, scored: &mut Vec<Scored>) {
        scored.par_sort_unstable_by(|a, b| b.cosine.total_cmp(&a.cosine).then(a.id.cmp(&b.id)));
        if self.further > 0 {
            let mut seen = HashSet::with_capacity(scored.len());
            scored.retain(|scored| seen.insert(scored.id));
        }
    }

    /// Distribution of the photos' cosines with a query, from evenly spaced rows.
    pub(crate) fn sample(&self, query: &[f32]) -> Option<ScoreStats> {
        let all = self.segments.iter().map(VectorSegment::layout).map(|layout| layout.ids.len()).sum::<usize>();
        let step = ((all + self.ids.len()) / SAMPLE).max(1);
        let of_segments = self.segments.iter().flat_map(|segment| {
            let rows = segment.layout().rows.chunks_exact(self.dim.max(1)).enumerate().step_by(step);
            rows.filter(|(row, _)| !segment.masked.contains(row)).map(|(_, row)| row)
        });
        let others = self.rows.chunks_exact(self.dim.max(1)).step_by(step);
        stats(of_segments.chain(others).map(|row| dot(query, row)))
    }
}

/// The cosine of two unit vectors.
pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    dot(a, b)
}

/// Mean and standard deviation; `None` if there are no cosines.
pub(crate) fn stats(cosines: impl Iterator<Item = f32>) -> Option<ScoreStats> {
    let (mut count, mut sum, mut squares) = (0_usize, 0.0_f64, 0.0_f64);
    for cosine in cosines.map(f64::from) {
        count += 1;
        sum += cosine;
        squares += cosine * cosine;
    }
    let mean = sum / count as f64;
    let std = (squares / count as f64 - mean * mean).max(0.0).sqrt();
    (count > 0).then_some(ScoreStats { count, mean: mean as f32, std: std as f32 })
}

/// The cosines of a segment's rows that count.
fn of_segment(segment: &VectorSegment, query: &[f32]) -> Vec<Scored> {
    let layout = segment.layout();
    let mut scored = scan(layout.ids, layout.rows, query);
    if !segment.masked.is_empty() {
        let mut row = 0;
        scored.retain(|_| {
            row += 1;
            !segment.masked.contains(&(row - 1))
        });
    }
    scored
}

fn scan(ids: &[i64], rows: &[f32], query: &[f32]) -> Vec<Scored> {
    if ids.is_empty() {
        return Vec::new();
    }
    let dim = rows.len() / ids.len();
    ids.par_chunks(CHUNK)
        .zip(rows.par_chunks(CHUNK * dim))
        .flat_map_iter(|(ids, rows)| {
            ids.iter().zip(rows.chunks_exact(dim)).map(|(id, row)| Scored { id: *id, cosine: dot(query, row) })
        })
        .collect()
}

/// Where a photo's rows are.
fn places(ids: &[i64], id: i64) -> std::ops::Range<usize> {
    let start = ids.partition_point(|other| *other < id);
    let rows = ids.get(start..).unwrap_or_default().iter().take_while(|other| **other == id).count();
    start..start + rows
}

/// How many of these ids, which are sorted, are those of the row before.
fn further(ids: &[i64]) -> usize {
    ids.par_windows(2).filter(|pair| pair[0] == pair[1]).count()
}

/// Ids (ascending, of a video once for each frame) and rows of the photos that have a file and a sound embedding: of
/// all, or only of `some`.
fn read_rows(
    db: &Connection,
    model: &Model,
    some: Option<&[i64]>,
    progress: &mut dyn FnMut(u64) -> bool,
) -> rusqlite::Result<(Vec<i64>, Vec<f32>)> {
    let sql = |condition| {
        format!(
            "SELECT photo, checksum, vector FROM embedding e
             WHERE {condition} AND EXISTS (SELECT 1 FROM file f WHERE f.photo = e.photo) ORDER BY photo"
        )
    };
    let (mut ids, mut matrix) = (Vec::new(), Vec::new());
    let mut take = |rows: &mut rusqlite::Rows<'_>| -> rusqlite::Result<()> {
        while let Some(row) = rows.next()? {
            let vectors = read_row(row, 1, model.record.dim, &mut matrix)?;
            ids.extend(std::iter::repeat_n(row.get::<_, i64>(0)?, vectors));
            if ids.len() % 1_000 == 0 && !progress(ids.len() as u64) {
                break;
            }
        }
        Ok(())
    };
    if let Some(some) = some {
        let mut statement = db.prepare_cached(&sql("model = ?1 AND photo = ?2"))?;
        for id in some {
            take(&mut statement.query([model.id, *id])?)?;
        }
    } else {
        take(&mut db.prepare(&sql("model = ?1"))?.query([model.id])?)?;
    }
    Ok((ids, matrix))
}
