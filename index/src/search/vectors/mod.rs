//! Search by meaning: cosines of unit vectors, from a mapped cache plus what changed since it was written.

mod codes;
mod graph;
mod kernel;
mod near_vectors;
mod segments;

use super::cache::{self, Cache, CacheFault};
use super::segments::{Lag, Limits, OWN_TRAIT, Segment, SegmentKind, TRAITS, places};
use crate::catalogue::change_log::Part;
use crate::catalogue::library::{Library, Model, models_of};
use crate::catalogue::rows::ScoreStats;
use crate::catalogue::stored::{LISTED, list_of, read_row};
use crate::engine::{Database, SqlRow};
use crate::error::Result;
use codes::{CodedQuery, StoredRows};
use graph::View;
use kernel::dot;
use rayon::prelude::*;
use rusqlite::params;
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use xxhash_rust::xxh3::xxh3_64;

pub use near_vectors::NearVectors;
pub(crate) use segments::refresh;

/// Libraries of at least this many photos get a graph; below that, comparing with every photo is as fast, and exact.
pub(crate) const GRAPH_FROM: usize = 50_000;
/// The most rows that it keeps to find some that pass a filter.
const MOST_BREADTH: usize = 8_192;
/// Of so many rows it is believed how many pass.
const ENOUGH_TO_JUDGE: usize = 512;
/// Rows compared by one task.
const CHUNK: usize = 2_048;
/// Of how many photos the catalogue is asked at once.
const READ_AT_ONCE: usize = 1_000;
/// The fewest rows from which the distribution of a query's cosines over a large library is estimated.
const SAMPLE: usize = 4_096;

/// A photo and its cosine with the query. The greater has the higher cosine or, of two equal ones, the lower id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scored {
    pub(crate) id: i64,
    pub(crate) cosine: f32,
}

impl Eq for Scored {}
impl Ord for Scored {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.cosine.total_cmp(&other.cosine).then(other.id.cmp(&self.id))
    }
}
impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// A photo, its cosine as far as its codes tell, and how much the true one may differ.
#[derive(Clone, Copy)]
struct Estimate {
    id: i64,
    cosine: f32,
    error: f32,
}

impl Estimate {
    fn highest(&self) -> f32 {
        self.cosine + self.error
    }

    fn lowest(&self) -> f32 {
        self.cosine - self.error
    }
}

/// The embeddings of all photos of a library by one of its models. A photo has one row or, if it is a video, several
/// that follow each other: its cosine is that of the best one.
///
/// Segments of large libraries have codes in place of vectors, which are read from the catalogue where they must be
/// exact.
pub(crate) struct Vectors {
    model: Model,
    dim: usize,
    segments: Vec<Segment>,
    /// Photos that are in no segment, or changed since: ids ascending, and their rows.
    ids: Vec<i64>,
    rows: Vec<f32>,
    /// Rows that are not the first of their photo.
    further: usize,
    sampled: OnceLock<SampledRows>,
    /// All ids and rows, once something needs them that are not mapped.
    all: OnceLock<(Vec<i64>, Vec<f32>)>,
}

/// About [`SAMPLE`] rows, evenly spaced, one after the other: of coded ones their codes, a quarter of the bytes.
#[derive(Default)]
struct SampledRows {
    exact: Vec<f32>,
    coded: Vec<i8>,
}

const FOLDER: &str = "vectors";

/// The folder of the caches of all models.
pub(crate) fn folders(library: &Library) -> PathBuf {
    library.dir().join(FOLDER)
}

/// The folder of a model's cache.
pub(crate) fn folder(library: &Library, model: &Model) -> PathBuf {
    folder_in(library.dir(), model)
}

/// The same of a library in this folder.
pub(crate) fn folder_in(dir: &Path, model: &Model) -> PathBuf {
    dir.join(FOLDER).join(format!("{:016x}", basis(model)))
}

/// Photos of a model that belong into its cache.
const PHOTOS: &str =
    "SELECT photo FROM embedding e WHERE model = ?1 AND EXISTS (SELECT 1 FROM file f WHERE f.photo = e.photo)";

/// Does something with the cache of a model, which `folder` has.
pub(crate) fn with_kind<T>(model: &Model, folder: &Path, work: impl FnOnce(&SegmentKind<'_>) -> T) -> T {
    work(&SegmentKind {
        name: "vector",
        folder,
        // Older releases kept one model's cache right in the folder of all.
        former: folder.parent(),
        basis: basis(model),
        part: Part::Vectors(model.id),
        photos: PHOTOS,
        is_sound: &|cache| Layout::is_sound(cache, model.record.dim),
    })
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

/// Says by which model something was made.
pub(crate) fn basis(model: &Model) -> u64 {
    xxh3_64(format!("{}\0{}", model.record.dim, model.record.fingerprint).as_bytes())
}

/// When a library is large, and how much of a cache may be out of date.
pub(crate) fn limits(large_from: usize) -> Limits {
    Limits { large_from, slack: 20 }
}

/// What is wrong with the cache of a model, for `check`.
pub(crate) fn finding(library: &Library, model: &Model) -> Result<Option<CacheFault>> {
    let folder = folder(library, model);
    library.sql(|db| with_kind(model, &folder, |kind| kind.finding(db)))
}

/// How far it is behind, if nothing is wrong with it.
pub(crate) fn lag(library: &Library, model: &Model, large_from: usize) -> Result<Option<Lag>> {
    let folder = folder(library, model);
    library.sql(|db| with_kind(model, &folder, |kind| kind.lag(db, limits(large_from))))
}

/// The sections of a segment.
struct Layout<'a> {
    ids: &'a [i64],
    rows: StoredRows<'a>,
    graph: Option<View<'a>>,
}

/// Rows are codes: a trait of a segment. The other numbers of its head are the length of a vector, and the entry and
/// the levels of the graph.
const CODED: u64 = OWN_TRAIT;

impl<'a> Layout<'a> {
    /// Whether the sections fit each other and the model; checked once, before the cache is used.
    fn is_sound(cache: &'a Cache, dim: usize) -> bool {
        Self::of(cache).is_some_and(|layout| {
            let entry = layout.graph.as_ref().map_or(0, |graph| graph.entry);
            cache.head.numbers[0] == dim as u64 && (entry == 0 || entry < layout.ids.len())
        })
    }

    fn of(cache: &'a Cache) -> Option<Self> {
        let [dim, entry, levels, _] = cache.head.numbers.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let ids: &[i64] = cache.section(0)?;
        let (rows, fits) = if cache.head.numbers[TRAITS] & CODED == 0 {
            let rows: &[f32] = cache.section(1)?;
            (StoredRows::Exact { rows, dim }, rows.len() == ids.len().checked_mul(dim)?)
        } else {
            let rows: &[i8] = cache.section(1)?;
            // Of a length that no vector has, so that what is made of it does not overflow.
            let stride = if dim < usize::MAX / 2 { codes::stride(dim) } else { return None };
            (StoredRows::Coded { rows, dim }, rows.len() == ids.len().checked_mul(stride)?)
        };
        let offsets: &[u32] = cache.section(2)?;
        let links: &[u32] = cache.section(3)?;
        let graph_fits = levels.checked_mul(ids.len().checked_add(1)?)? == offsets.len();
        if dim == 0 || !fits || !graph_fits {
            return None;
        }
        let graph = (levels > 0).then_some(View { rows, entry, levels, offsets, links });
        Some(Self { ids, rows, graph })
    }
}

impl Vectors {
    /// The vectors of a model. A cache that is missing, damaged, foreign or out of date makes this slower, never wrong.
    pub(crate) fn load(db: &Database, model: &Model, folder: &Path) -> rusqlite::Result<Self> {
        let dim = model.record.dim;
        let opened = with_kind(model, folder, |kind| kind.open(db))?;
        let changed = opened.as_ref().map(|segments| segments.changed.as_slice());
        let (mut ids, mut rows) = (Vec::new(), Vec::new());
        read_rows(db, model, changed, &mut |id, row| {
            ids.push(id);
            rows.extend_from_slice(row);
            true
        })?;
        let segments = opened.map(|segments| segments.all).unwrap_or_default();
        let mut further = further(&ids);
        for segment in &segments {
            let ids = segment.ids();
            further += if segment.masked.is_empty() {
                self::further(ids)
            } else {
                let kept = ids.iter().enumerate().filter(|(row, _)| !segment.masked.contains(row));
                self::further(&kept.map(|(_, id)| *id).collect::<Vec<_>>())
            };
        }
        Ok(Self {
            model: model.clone(),
            dim,
            segments,
            ids,
            rows,
            further,
            sampled: OnceLock::new(),
            all: OnceLock::new(),
        })
    }

    /// Numbers in a vector.
    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    /// Number of photos that have a vector.
    pub(crate) fn len(&self) -> usize {
        self.segments.iter().map(Segment::live).sum::<usize>() + self.ids.len() - self.further
    }

    /// The ids, ascending, of all photos that have a vector.
    pub(crate) fn photos(&self) -> Vec<i64> {
        let mut photos = self.ids.clone();
        for segment in &self.segments {
            let kept = segment.ids().iter().enumerate().filter(|(row, _)| !segment.masked.contains(row));
            photos.extend(kept.map(|(_, id)| *id));
        }
        photos.sort_unstable();
        photos.dedup();
        photos
    }

    /// Whether there is a graph.
    pub(crate) fn has_graph(&self) -> bool {
        self.segments.iter().any(|segment| Layout::of(&segment.cache).is_some_and(|layout| layout.graph.is_some()))
    }

    /// Whether all vectors are at hand, so that comparing with each of them is fast.
    pub(crate) fn is_exact(&self) -> bool {
        self.segments.iter().all(|segment| Layout::of(&segment.cache).is_none_or(|layout| layout.rows.is_exact()))
    }

    /// The vector of a photo, of a video that of its first frame.
    pub(crate) fn row(&self, db: &Database, id: i64) -> rusqlite::Result<Option<Cow<'_, [f32]>>> {
        Ok(self.rows_of(db, id)?.map(|rows| match rows {
            Cow::Borrowed(rows) => Cow::Borrowed(rows.get(..self.dim).unwrap_or_default()),
            Cow::Owned(mut rows) => {
                rows.truncate(self.dim);
                Cow::Owned(rows)
            }
        }))
    }

    /// The cosines of these photos with `query`, those of damaged ones left out. The catalogue is asked at once about
    /// all of which it alone has the vectors.
    pub(crate) fn cosines(&self, db: &Database, query: &[f32], ids: &[i64]) -> rusqlite::Result<HashMap<i64, f32>> {
        let best = |rows: &[f32]| rows.chunks_exact(self.dim).map(|row| dot(query, row)).max_by(f32::total_cmp);
        let (mut cosines, mut others) = (HashMap::with_capacity(ids.len()), Vec::new());
        for id in ids {
            match self.place_of(*id) {
                PhotoRows::None => {}
                PhotoRows::Here(rows) => cosines.extend(best(rows).map(|cosine| (*id, cosine))),
                PhotoRows::InCatalogue => others.push(*id),
            }
        }
        others.sort_unstable();
        read_rows(db, &self.model, Some(&others), &mut |id, row| {
            let cosine = dot(query, row);
            cosines.entry(id).and_modify(|best| *best = cosine.max(*best)).or_insert(cosine);
            true
        })?;
        Ok(cosines)
    }

    /// The cosines of pairs of photos, of videos those of their first frames; `None` where a vector is missing or
    /// damaged. The vectors of all of them are in memory at once.
    pub(crate) fn cosines_between(&self, db: &Database, pairs: &[(i64, i64)]) -> rusqlite::Result<Vec<Option<f32>>> {
        let mut ids: Vec<i64> = pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut first: HashMap<i64, Cow<'_, [f32]>> = HashMap::with_capacity(ids.len());
        ids.retain(|id| match self.place_of(*id) {
            PhotoRows::None => false,
            PhotoRows::Here(rows) => {
                first.extend(rows.get(..self.dim).map(|row| (*id, Cow::Borrowed(row))));
                false
            }
            PhotoRows::InCatalogue => true,
        });
        read_rows(db, &self.model, Some(&ids), &mut |id, row| {
            first.entry(id).or_insert_with(|| Cow::Owned(row.to_vec()));
            true
        })?;
        Ok(pairs.iter().map(|(a, b)| Some(dot(first.get(a)?, first.get(b)?))).collect())
    }

    fn rows_of(&self, db: &Database, id: i64) -> rusqlite::Result<Option<Cow<'_, [f32]>>> {
        Ok(match self.place_of(id) {
            PhotoRows::None => None,
            PhotoRows::Here(rows) => Some(Cow::Borrowed(rows)),
            PhotoRows::InCatalogue => read_vectors(db, &self.model, id)?.map(Cow::Owned),
        })
    }

    fn place_of(&self, id: i64) -> PhotoRows<'_> {
        let changed = places(&self.ids, id);
        if !changed.is_empty() {
            let rows = self.rows.get(changed.start * self.dim..changed.end * self.dim);
            return rows.map_or(PhotoRows::None, PhotoRows::Here);
        }
        let known = self.segments.iter().find_map(|segment| {
            let layout = Layout::of(&segment.cache)?;
            let known = places(layout.ids, id);
            (!known.is_empty() && !segment.masked.contains(&known.start)).then_some((layout.rows, known))
        });
        match known.map(|(rows, known)| rows.exact(known)) {
            None => PhotoRows::None,
            Some(Some(rows)) => PhotoRows::Here(rows),
            Some(None) => PhotoRows::InCatalogue,
        }
    }

    /// The ids, ascending, and vectors of all photos, of videos those of their first frames. They are read into memory
    /// if they are not mapped.
    pub(crate) fn rows(&self, db: &Database) -> rusqlite::Result<Vec<(i64, &[f32])>> {
        let dim = self.dim.max(1);
        let mut rows: Vec<(i64, &[f32])> = Vec::with_capacity(self.len());
        if self.is_exact() {
            for segment in &self.segments {
                let Some(layout) = Layout::of(&segment.cache) else { continue };
                let all = layout.ids.iter().enumerate().filter(|(row, _)| !segment.masked.contains(row));
                rows.extend(all.filter_map(|(row, id)| Some((*id, layout.rows.exact(row..row + 1)?))));
            }
            rows.extend(self.ids.iter().copied().zip(self.rows.chunks_exact(dim)));
        } else {
            let (ids, all) = match self.all.get() {
                Some(all) => all,
                None => {
                    let (mut ids, mut all) = (Vec::with_capacity(self.len()), Vec::with_capacity(self.len() * dim));
                    read_rows(db, &self.model, None, &mut |id, row| {
                        ids.push(id);
                        all.extend_from_slice(row);
                        true
                    })?;
                    self.all.get_or_init(|| (ids, all))
                }
            };
            rows.extend(ids.iter().copied().zip(all.chunks_exact(dim)));
        }
        rows.sort_by_key(|(id, _)| *id);
        rows.dedup_by_key(|(id, _)| *id);
        Ok(rows)
    }

    /// The `k` photos with the highest cosines with `query` (a unit vector of `dim` numbers), of all or of `some` (ids,
    /// ascending); best first, ties by id.
    pub(crate) fn best(
        &self,
        db: &Database,
        query: &[f32],
        k: usize,
        some: Option<&[i64]>,
    ) -> rusqlite::Result<Vec<Scored>> {
        let coded = CodedQuery::new(query);
        let mut found = Vec::new();
        for segment in &self.segments {
            let Some(layout) = Layout::of(&segment.cache) else { continue };
            found.extend(scan(&layout, &segment.masked, some, &coded, k));
        }
        let rows = StoredRows::Exact { rows: &self.rows, dim: self.dim };
        found.extend(scan(&Layout { ids: &self.ids, rows, graph: None }, &HashSet::new(), some, &coded, k));
        self.refine(db, query, found, k)
    }

    /// Roughly the best `k`, found by the graphs, with exact cosines.
    pub(crate) fn near(&self, db: &Database, query: &[f32], k: usize) -> rusqlite::Result<Vec<Scored>> {
        self.refine(db, query, self.walk(query, k), k)
    }

    /// Roughly the best `k` of the photos that pass, of which `passing` gives the ids, ascending. `None` if those are
    /// so few, or so unlike the query, that comparing with each is better.
    pub(crate) fn near_passing(
        &self,
        db: &Database,
        query: &[f32],
        k: usize,
        passing: &mut dyn FnMut(&[i64]) -> rusqlite::Result<Vec<i64>>,
    ) -> rusqlite::Result<Option<Vec<Scored>>> {
        let mut breadth = 4 * k;
        let mut passed: HashSet<i64> = HashSet::new();
        let mut known: HashSet<i64> = HashSet::new();
        while breadth <= MOST_BREADTH {
            let mut found = self.walk(query, breadth);
            found.sort_unstable_by(|a, b| b.cosine.total_cmp(&a.cosine));
            found.truncate(breadth);
            let new: Vec<i64> = found.iter().map(|estimate| estimate.id).filter(|id| known.insert(*id)).collect();
            passed.extend(passing(&new)?);
            found.retain(|estimate| passed.contains(&estimate.id));
            if passed.len() >= k {
                return self.refine(db, query, found, k).map(Some);
            }
            // A quarter more than should be enough, going by those seen so far.
            let enough = known.len().saturating_mul(k * 5) / (4 * passed.len().max(1));
            breadth = enough.clamp(2 * breadth, 8 * breadth);
            if known.len() >= ENOUGH_TO_JUDGE && enough > 2 * MOST_BREADTH {
                break;
            }
        }
        Ok(None)
    }

    /// What is near a query by the graphs, at least the best `k`.
    fn walk(&self, query: &[f32], k: usize) -> Vec<Estimate> {
        // Several rows of one video may be among them.
        let most = if self.further > 0 { 2 * k } else { k + k / 4 };
        let rows: usize = self.segments.iter().map(|segment| segment.ids().len()).sum();
        let coded = CodedQuery::new(query);
        // What the codes miss has any direction: six standard deviations of the product with a unit vector.
        let likely = (6.0 / (self.dim as f32).sqrt()).min(1.0);
        let of_segment = |segment: &Segment, breadth: usize| -> Vec<Estimate> {
            let Some(layout) = Layout::of(&segment.cache) else { return Vec::new() };
            let Some(graph) = &layout.graph else { return scan(&layout, &segment.masked, None, &coded, k) };
            let found = graph.search(&coded, breadth.saturating_add(segment.masked.len().min(k))).into_iter();
            let kept = found.filter(|row| !segment.masked.contains(row));
            kept.filter_map(|row| estimate(&layout, &coded, row, likely)).collect()
        };
        // A segment has its share of them, or more: what it has is known then.
        let share = |segment: &Segment| {
            let count = segment.ids().len();
            (most * count * 3 / (2 * rows.max(1))).min(most).max(least_breadth(count))
        };
        let mut found: Vec<Vec<Estimate>> =
            self.segments.par_iter().map(|segment| of_segment(segment, share(segment))).collect();
        let mut all: Vec<f32> = found.iter().flatten().map(|estimate| estimate.cosine).collect();
        if all.len() > most {
            let (_, least, _) = all.select_nth_unstable_by(most - 1, |a, b| b.total_cmp(a));
            let least = *least;
            found.par_iter_mut().zip(&self.segments).for_each(|(found, segment)| {
                let worst = found.iter().map(|estimate| estimate.cosine).fold(f32::INFINITY, f32::min);
                if share(segment) < most && worst >= least {
                    *found = of_segment(segment, most);
                }
            });
        }
        let mut found: Vec<Estimate> = found.into_iter().flatten().collect();
        let rows = StoredRows::Exact { rows: &self.rows, dim: self.dim };
        found.extend(scan(&Layout { ids: &self.ids, rows, graph: None }, &HashSet::new(), None, &coded, k));
        found
    }

    /// The best `k` of these by their true cosines, as far as the errors of the estimates hold.
    fn refine(
        &self,
        db: &Database,
        query: &[f32],
        mut found: Vec<Estimate>,
        k: usize,
    ) -> rusqlite::Result<Vec<Scored>> {
        // Of a photo with several rows, only the best.
        if self.further > 0 {
            found.sort_unstable_by(|a, b| b.highest().total_cmp(&a.highest()).then(a.id.cmp(&b.id)));
            let mut seen = HashSet::with_capacity(found.len());
            found.retain(|estimate| seen.insert(estimate.id));
        }
        prune(&mut found, k);
        if found.iter().all(|estimate| estimate.error == 0.0) {
            found.par_sort_unstable_by(|a, b| b.cosine.total_cmp(&a.cosine).then(a.id.cmp(&b.id)));
            found.truncate(k);
            return Ok(found.into_iter().map(|Estimate { id, cosine, .. }| Scored { id, cosine }).collect());
        }
        found.sort_unstable_by(|a, b| b.highest().total_cmp(&a.highest()).then(a.id.cmp(&b.id)));
        let mut best: BinaryHeap<Reverse<Scored>> = BinaryHeap::new();
        'found: for some in found.chunks(k.clamp(16, 1000)) {
            let mut cosines = None;
            for estimate in some {
                let is_full = best.len() >= k;
                if is_full && best.peek().is_none_or(|worst| estimate.highest() < worst.0.cosine) {
                    break 'found;
                }
                let cosine = if estimate.error == 0.0 {
                    Some(estimate.cosine)
                } else {
                    if cosines.is_none() {
                        let unsure = some.iter().filter(|estimate| estimate.error != 0.0);
                        cosines =
                            Some(self.cosines(db, query, &unsure.map(|estimate| estimate.id).collect::<Vec<_>>())?);
                    }
                    cosines.as_ref().and_then(|cosines| cosines.get(&estimate.id)).copied()
                };
                // What is damaged in the catalogue has no cosine.
                let Some(cosine) = cosine else { continue };
                best.push(Reverse(Scored { id: estimate.id, cosine }));
                if is_full {
                    best.pop();
                }
            }
        }
        // In ascending order of the reverse: best first.
        Ok(best.into_sorted_vec().into_iter().map(|best| best.0).collect())
    }

    /// Distribution of the photos' cosines with a query, from evenly spaced rows.
    pub(crate) fn sample(&self, query: &[f32]) -> Option<ScoreStats> {
        let dim = self.dim.max(1);
        let rows = self.sampled.get_or_init(|| {
            let layouts = || self.segments.iter().filter_map(|segment| Some((segment, Layout::of(&segment.cache)?)));
            let all = layouts().map(|(_, layout)| layout.ids.len()).sum::<usize>();
            let step = ((all + self.ids.len()) / SAMPLE).max(1);
            let mut sampled = SampledRows::default();
            for (segment, layout) in layouts() {
                for row in (0..layout.ids.len()).step_by(step).filter(|row| !segment.masked.contains(row)) {
                    sampled.exact.extend_from_slice(layout.rows.exact(row..row + 1).unwrap_or_default());
                    sampled.coded.extend_from_slice(layout.rows.coded(row).unwrap_or_default());
                }
            }
            sampled.exact.extend(self.rows.chunks_exact(dim).step_by(step).flatten());
            sampled
        });
        let coded = StoredRows::Coded { rows: &rows.coded, dim: self.dim };
        let coded_query = CodedQuery::new(query);
        let coded = (0..coded.len()).filter_map(|row| coded.cosine(&coded_query, row));
        stats(coded.chain(rows.exact.chunks_exact(dim).map(|row| dot(query, row))))
    }
}

/// How many rows a walk keeps at least, in a graph of so many: enough for a recall@10 of 0.99 with vectors that have a
/// thousand others about as near (`benches/recall.rs`).
fn least_breadth(rows: usize) -> usize {
    let times = rows as f32 / 100_000.0;
    (144.0 * if times > 1.0 { times } else { times.sqrt() }).max(96.0) as usize
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

/// The estimate of a row, whose error is `of_error` of the largest that is possible.
fn estimate(layout: &Layout<'_>, query: &CodedQuery<'_>, row: usize, of_error: f32) -> Option<Estimate> {
    let (cosine, error) = layout.rows.estimate(query, row)?;
    Some(Estimate { id: *layout.ids.get(row)?, cosine, error: error * of_error })
}

/// The rows that may be among the best `k` of `some`, or of all that are not masked.
fn scan(
    layout: &Layout<'_>,
    masked: &HashSet<usize>,
    some: Option<&[i64]>,
    query: &CodedQuery<'_>,
    k: usize,
) -> Vec<Estimate> {
    let of_chunk = |(chunk, ids): (usize, &[i64])| {
        let first = chunk * CHUNK;
        let rows = first..first + ids.len();
        let mut found: Vec<Estimate> = match some {
            None => {
                rows.filter(|row| !masked.contains(row)).filter_map(|row| estimate(layout, query, row, 1.0)).collect()
            }
            Some(some) => {
                // Both ascend.
                let from = ids.first().map_or(0, |first| some.partition_point(|id| id < first));
                let mut wanted = some.get(from..).unwrap_or_default().iter().peekable();
                let is_wanted = |(_, id): &(usize, &i64)| {
                    while wanted.next_if(|other| other < id).is_some() {}
                    wanted.peek() == Some(id)
                };
                let wanted = rows.zip(ids).filter(is_wanted).filter(|(row, _)| !masked.contains(row));
                wanted.filter_map(|(row, _)| estimate(layout, query, row, 1.0)).collect()
            }
        };
        // The rows of a video are one photo; how many are, is not known here.
        let are_several = ids.windows(2).any(|pair| pair[0] == pair[1]);
        if !are_several {
            prune(&mut found, k);
        }
        found
    };
    layout.ids.par_chunks(CHUNK).enumerate().flat_map_iter(of_chunk).collect()
}

/// Drops what cannot be among the best `k`; each is of another photo.
fn prune(found: &mut Vec<Estimate>, k: usize) {
    if k == 0 || found.len() <= k {
        return;
    }
    let mut lowest: Vec<f32> = found.iter().map(Estimate::lowest).collect();
    let (_, least, _) = lowest.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    let least = *least;
    found.retain(|estimate| estimate.highest() >= least);
}

/// How many of these ids, which are sorted, are those of the row before.
fn further(ids: &[i64]) -> usize {
    ids.par_windows(2).filter(|pair| pair[0] == pair[1]).count()
}

/// Gives `take` the ids (ascending, of a video once for each frame) and vectors of the photos that have a file and a
/// sound embedding, of all or only of `some`, until it returns `false`.
fn read_rows(
    db: &Database,
    model: &Model,
    some: Option<&[i64]>,
    take: &mut dyn FnMut(i64, &[f32]) -> bool,
) -> rusqlite::Result<()> {
    let sql = |condition: &str| {
        format!(
            "SELECT photo, checksum, vector FROM embedding e
             WHERE {condition} AND EXISTS (SELECT 1 FROM file f WHERE f.photo = e.photo) ORDER BY photo"
        )
    };
    let dim = model.record.dim;
    let mut vectors = Vec::new();
    let mut read = |row: &SqlRow<'_>| -> rusqlite::Result<bool> {
        vectors.clear();
        read_row(row, 1, dim, &mut vectors)?;
        let id = row.get(0)?;
        Ok(vectors.chunks_exact(dim.max(1)).all(|vector| take(id, vector)))
    };
    if let Some(some) = some {
        let mut statement = db.prepare_cached(&sql(&format!("photo {LISTED} AND model = ?2")))?;
        let mut is_open = true;
        for some in some.chunks(READ_AT_ONCE) {
            if is_open {
                statement.for_each(params![list_of(some), model.id], |row| {
                    is_open = read(row)?;
                    Ok(is_open)
                })?;
            }
        }
        return Ok(());
    }
    db.prepare(&sql("model = ?1"))?.for_each([model.id], read)
}

/// Where the vectors of a photo are.
enum PhotoRows<'v> {
    None,
    /// In memory, one after the other.
    Here(&'v [f32]),
    /// Here they are only roughly known.
    InCatalogue,
}

/// The vectors of a photo, one after the other; `None` if it has no sound embedding.
fn read_vectors(db: &Database, model: &Model, photo: i64) -> rusqlite::Result<Option<Vec<f32>>> {
    let mut statement = db.prepare_cached("SELECT checksum, vector FROM embedding WHERE photo = ?1 AND model = ?2")?;
    let mut rows = statement.query([photo, model.id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let mut vectors = Vec::new();
    Ok((read_row(&row, 0, model.record.dim, &mut vectors)? > 0).then_some(vectors))
}
