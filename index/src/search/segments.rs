//! Caches that are several files. Each generation is a segment: rows that never change, by the photos' ids. The newest
//! one lists the older ones that count with it, and which of their rows are out of date, so what is new costs as much
//! as it is, not as much as all that is there. Segments of about the same size are merged, as those of search engines
//! are (the logarithmic merging of Lester, Moffat and Zobel 2005).

use super::cache::{Cache, CacheFault, CacheFile, Unusable};
use crate::catalogue::change_log::{Part, Stamp};
use crate::engine::{Database, values_of};
use crate::error::Result;
use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

/// The sections of a file that every kind of cache has: the ids of its rows' photos, ascending, and the older segments.
pub(crate) const IDS: usize = 0;
const OLDER: usize = 4;
/// Which of the numbers of [`Head`](super::cache::Head) says more about a segment, in bits; the others are the kind's
/// own.
pub(crate) const TRAITS: usize = 3;
/// There are photos in no segment.
const PARTIAL: u64 = 1;
/// The first bit that is the kind's own.
pub(crate) const OWN_TRAIT: u64 = 2;
/// How often it is tried to open all that the newest generation lists, while a writer changes it.
const TRIES: usize = 4;

/// What kind of cache the segments are.
#[derive(Clone, Copy)]
pub(crate) struct SegmentKind<'a> {
    /// How it is called in messages.
    pub(crate) name: &'a str,
    pub(crate) folder: &'a Path,
    /// Where older releases kept it.
    pub(crate) former: Option<&'a Path>,
    pub(crate) basis: u64,
    pub(crate) part: Part,
    /// Selects the photos that should be in it, by the model's id if it has one.
    pub(crate) photos: &'a str,
    /// Whether a file's own sections fit each other.
    pub(crate) is_sound: &'a dyn Fn(&Cache) -> bool,
}

/// From how many photos on a library is large; every figure that depends on it. A small library has one segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) large_from: usize,
    /// One in so many photos of a small library may change before that is written. Until then they are read from the
    /// catalogue at each search.
    pub(crate) slack: usize,
}

impl Limits {
    /// The most rows of a segment: they are in memory while it is made.
    fn most(self) -> usize {
        self.large_from.saturating_mul(10)
    }

    fn slack(self, photos: usize) -> usize {
        200 + photos.min(self.large_from) / self.slack
    }
}

/// A segment, and which of its rows count no more.
pub(crate) struct Segment {
    pub(crate) cache: Cache,
    /// Those that were out of date when the newest generation was written, ascending.
    dead: Vec<usize>,
    /// The same, and those that changed since.
    pub(crate) masked: HashSet<usize>,
}

impl Segment {
    /// The photos of its rows, ascending.
    pub(crate) fn ids(&self) -> &[i64] {
        self.cache.section(IDS).unwrap_or_default()
    }

    /// Rows that still count.
    pub(crate) fn live(&self) -> usize {
        self.ids().len().saturating_sub(self.masked.len())
    }

    /// Whether so many rows are out of date that it should be written again.
    pub(crate) fn is_worn(&self) -> bool {
        self.dead.len() * 3 > self.ids().len()
    }
}

/// A cache: its segments, the newest last, and what is in none of them.
pub(crate) struct Segments {
    pub(crate) all: Vec<Segment>,
    pub(crate) stamp: Stamp,
    /// Photos to be read from the catalogue, ascending.
    pub(crate) changed: Vec<i64>,
    /// Whether a segment is missing or damaged.
    lost: bool,
    /// The same, or not all were made yet.
    is_partial: bool,
}

/// How far a cache is behind the catalogue.
pub(crate) struct Lag {
    pub(crate) is_missing: bool,
    pub(crate) photos: usize,
}

/// What the newest generation says of an older one.
struct Listed {
    number: u64,
    sum: u64,
    dead: Vec<usize>,
}

fn listed(cache: &Cache) -> Option<Vec<Listed>> {
    let mut words: &[u64] = cache.section(OLDER)?;
    let mut list = Vec::new();
    while let [number, sum, dead, rest @ ..] = words {
        let (dead, rest) = rest.split_at_checked(usize::try_from(*dead).ok()?)?;
        list.push(Listed { number: *number, sum: *sum, dead: dead.iter().map(|row| *row as usize).collect() });
        words = rest;
    }
    words.is_empty().then_some(list)
}

impl SegmentKind<'_> {
    fn newest(&self) -> Result<Cache, Unusable> {
        match (Cache::open(self.folder), self.former) {
            (Err(Unusable::Missing), Some(former)) => {
                let cache = Cache::open(former)?;
                if cache.head.basis == self.basis { Ok(cache) } else { Err(Unusable::Missing) }
            }
            (opened, _) => opened,
        }
    }

    fn fits(&self, cache: &Cache) -> bool {
        let are_ascending = cache.section::<i64>(IDS).is_some_and(<[i64]>::is_sorted);
        cache.head.basis == self.basis && are_ascending && (self.is_sound)(cache)
    }

    fn older(&self, listed: &Listed) -> Result<Segment, Unusable> {
        let cache = Cache::open_generation(self.folder, listed.number)?;
        let rows = cache.section::<i64>(IDS).map_or(0, <[i64]>::len);
        let dead_fit = listed.dead.is_sorted() && listed.dead.last().is_none_or(|last| *last < rows);
        if !dead_fit || cache.sum != listed.sum || !self.fits(&cache) {
            let reason = "a segment is not the one that was written".into();
            return Err(Unusable::Damaged(self.folder.to_path_buf(), reason));
        }
        let masked = listed.dead.iter().copied().collect();
        Ok(Segment { cache, dead: listed.dead.clone(), masked })
    }

    /// What is wrong with the cache, for `check`.
    pub(crate) fn finding(&self, db: &Database) -> rusqlite::Result<Option<CacheFault>> {
        let name = self.name;
        let damaged = |what: &str| Some(CacheFault::Damaged(format!("the {name} cache {what}")));
        let newest = match self.newest() {
            Err(unusable) => return Ok(unusable.fault(name)),
            Ok(cache) if cache.head.basis != self.basis => return Ok(None),
            Ok(cache) if !self.fits(&cache) => return Ok(damaged("is damaged: the lengths of its sections are wrong")),
            Ok(cache) => cache,
        };
        if newest.head.stamp.changed_since(db, self.part)?.is_none() {
            return Ok(damaged("does not match the catalogue"));
        }
        let faults = listed(&newest).unwrap_or_default().into_iter().filter_map(|listed| self.older(&listed).err());
        Ok(faults.into_iter().find_map(|fault| match fault {
            Unusable::Missing => damaged("lacks a segment"),
            fault => fault.fault(name),
        }))
    }

    /// How many photos are to be read from the catalogue because the cache lacks them, where those are so many that it
    /// should be written, and whether there is no cache at all. `None` of a cache in which [`SegmentKind::finding`]
    /// finds nothing wrong: it is as it should be.
    pub(crate) fn lag(&self, db: &Database, limits: Limits) -> rusqlite::Result<Option<Lag>> {
        let opened = self.open(db)?;
        let is_missing = opened.is_none();
        let segments = opened.map_or_else(|| self.open_or_begin(db), Ok)?;
        Ok(segments.is_due(limits).then_some(Lag { is_missing, photos: segments.changed.len() }))
    }

    /// The newest generation and what it lists; `None` if it is damaged, or of another basis or log.
    pub(crate) fn open(&self, db: &Database) -> rusqlite::Result<Option<Segments>> {
        for _ in 1..TRIES {
            let opened = self.try_open(db)?;
            let number = opened.as_ref().and_then(|segments| segments.all.last()).map(|newest| newest.cache.number);
            // A writer may just have merged what the newest generation lists, and put a newer one in its place.
            if opened.as_ref().is_none_or(|segments| !segments.lost) || number == Cache::newest(self.folder) {
                return Ok(opened);
            }
        }
        self.try_open(db)
    }

    fn try_open(&self, db: &Database) -> rusqlite::Result<Option<Segments>> {
        let Some(newest) = self.newest().ok().filter(|cache| self.fits(cache)) else { return Ok(None) };
        let stamp = newest.head.stamp;
        let Some(changed) = stamp.changed_since(db, self.part)? else { return Ok(None) };
        let Some(listed) = listed(&newest) else { return Ok(None) };
        let mut all: Vec<Segment> = listed.iter().filter_map(|listed| self.older(listed).ok()).collect();
        let lost = all.len() < listed.len();
        let is_partial = lost || newest.head.numbers[TRAITS] & PARTIAL != 0;
        all.push(Segment { cache: newest, dead: Vec::new(), masked: HashSet::new() });
        let mut segments = Segments { all, stamp, changed, lost, is_partial };
        for segment in &mut segments.all {
            let ids = segment.cache.section(IDS).unwrap_or_default();
            segment.masked.extend(segments.changed.iter().flat_map(|id| places(ids, *id)));
        }
        if is_partial {
            self.seek(db, &mut segments)?;
        }
        Ok(Some(segments))
    }

    /// Adds to the changed photos those that are in no segment.
    fn seek(&self, db: &Database, segments: &mut Segments) -> rusqlite::Result<()> {
        let mut covered = HashSet::new();
        for segment in &segments.all {
            let rows = segment.ids().iter().enumerate();
            covered.extend(rows.filter(|(row, _)| !segment.masked.contains(row)).map(|(_, id)| *id));
        }
        let model = match self.part {
            Part::Vectors(model) => Some(model),
            Part::Words => None,
        };
        for id in db.prepare_cached(self.photos)?.query_map(values_of(model), |row| row.get::<_, i64>(0))? {
            let id = id?;
            if !covered.contains(&id) {
                segments.changed.push(id);
            }
        }
        segments.changed.sort_unstable();
        segments.changed.dedup();
        Ok(())
    }

    /// The segments, or none with all photos still to be read.
    pub(crate) fn open_or_begin(&self, db: &Database) -> rusqlite::Result<Segments> {
        if let Some(segments) = self.open(db)? {
            return Ok(segments);
        }
        let stamp = Stamp::newest(db)?;
        let mut none = Segments { all: Vec::new(), stamp, changed: Vec::new(), lost: false, is_partial: true };
        self.seek(db, &mut none)?;
        Ok(none)
    }
}

/// What the next generation is made of.
pub(crate) struct Plan {
    /// Photos to read from the catalogue.
    pub(crate) read: Vec<i64>,
    /// Segments whose rows become part of it, by their place.
    merged: Vec<usize>,
    pub(crate) stamp: Stamp,
    /// Whether it only merges: what changed since the last generation stays as it is.
    is_merge: bool,
    /// Whether there are more photos in no segment.
    is_partial: bool,
    /// Whether the library is large.
    pub(crate) is_large: bool,
    /// About how many rows it has.
    pub(crate) size: usize,
}

impl Segments {
    /// Their files, the newest last; `None` if not all are there.
    pub(crate) fn files(&self) -> Option<Vec<CacheFile>> {
        (!self.lost).then(|| self.all.iter().map(|segment| segment.cache.file()).collect())
    }

    /// Whether so much changed that it should be written.
    pub(crate) fn is_due(&self, limits: Limits) -> bool {
        let photos = self.all.iter().map(Segment::live).sum::<usize>() + self.changed.len();
        photos > 0 && (self.is_partial || self.changed.len() > limits.slack(photos))
    }

    /// What to write next; `None` if there is nothing to do. `is_unfit` says of a segment, in a large library, whether
    /// it must be written again.
    pub(crate) fn plan(&self, limits: Limits, newest: Stamp, is_unfit: &dyn Fn(&Segment) -> bool) -> Option<Plan> {
        let live: Vec<usize> = self.all.iter().map(Segment::live).collect();
        let total = live.iter().sum::<usize>() + self.changed.len();
        let is_large = total >= limits.large_from;
        if self.is_due(limits) {
            let mut read = self.changed.clone();
            read.truncate(limits.most());
            let is_partial = read.len() < self.changed.len();
            // In a large library, what is no larger than what is new becomes part of it.
            let mut size = read.len();
            let mut merged = Vec::new();
            for (n, live) in live.iter().enumerate().rev() {
                if is_large && (*live > read.len() || size + live > limits.most()) {
                    break;
                }
                size += live;
                merged.push(n);
            }
            return Some(Plan { read, merged, stamp: newest, is_merge: false, is_partial, is_large, size });
        }
        let plan = |merged: Vec<usize>| {
            let size = merged.iter().filter_map(|n| live.get(*n)).sum::<usize>();
            let (read, stamp) = (Vec::new(), self.stamp);
            Some(Plan { read, merged, stamp, is_merge: true, is_partial: false, is_large, size })
        };
        if !is_large {
            return if self.all.len() > 1 { plan((0..live.len()).collect()) } else { None };
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
        let worn = self.all.iter().position(|segment| segment.is_worn() || is_unfit(segment));
        worn.and_then(|n| plan(vec![n]))
    }

    /// The segments that become part of the next generation, each with its rows that still count.
    pub(crate) fn merged<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = (&'a Segment, Vec<usize>)> {
        plan.merged.iter().filter_map(|n| self.all.get(*n)).map(|segment| {
            let gone = |row: &usize| {
                if plan.is_merge { segment.dead.binary_search(row).is_ok() } else { segment.masked.contains(row) }
            };
            (segment, (0..segment.ids().len()).filter(|row| !gone(row)).collect())
        })
    }

    /// The section about the segments that stay beside the next generation, their numbers, and the traits of that.
    pub(crate) fn beside(&self, plan: &Plan) -> (Vec<u64>, Vec<u64>, u64) {
        let (mut list, mut keep) = (Vec::new(), Vec::new());
        let others = self.all.iter().enumerate().filter(|(n, _)| !plan.merged.contains(n));
        for (_, segment) in others {
            let mut dead: Vec<usize> =
                if plan.is_merge { segment.dead.clone() } else { segment.masked.iter().copied().collect() };
            dead.sort_unstable();
            list.extend([segment.cache.number, segment.cache.sum, dead.len() as u64]);
            list.extend(dead.into_iter().map(|row| row as u64));
            keep.push(segment.cache.number);
        }
        (list, keep, if plan.is_partial { PARTIAL } else { 0 })
    }
}

/// Where a photo's rows are.
pub(crate) fn places(ids: &[i64], id: i64) -> Range<usize> {
    let start = ids.partition_point(|other| *other < id);
    let rows = ids.get(start..).unwrap_or_default().iter().take_while(|other| **other == id).count();
    start..start + rows
}
