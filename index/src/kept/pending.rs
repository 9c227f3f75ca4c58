//! The photos that wait for work that takes long: each is handed out once, the newest first.

use crate::catalogue::library::Library;
use crate::catalogue::paths;
use crate::catalogue::rows::PendingPhoto;
use crate::error::{Error, Result};
use crate::search::vectors::GRAPH_FROM;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;

/// Ids looked up at once. Each lookup goes through the whole library, which is cheap compared with so much work.
const AHEAD: usize = 1_000;

/// Photos that have a file and wait for work.
#[derive(Debug)]
pub(super) struct PendingQueue {
    /// Which photos wait, as a condition on `photo p`; its values are ?1, ?2, ...
    condition: String,
    values: Vec<Value>,
    /// Ids of the next photos.
    next: VecDeque<i64>,
    /// Ids that were handed out and are not done: in progress, or failed.
    out: HashSet<i64>,
}

impl PendingQueue {
    pub(super) fn new(condition: String, values: Vec<Value>) -> Self {
        Self { condition, values, next: VecDeque::new(), out: HashSet::new() }
    }

    /// Leaves out all photos but those that have a file at or below one of these paths.
    pub(super) fn keep_within(&mut self, folders: &[PathBuf]) {
        let blob = |bytes: &[u8]| format!("x'{}'", bytes.iter().map(|b| format!("{b:02x}")).collect::<String>());
        let below = |folder: &PathBuf| {
            let (from, to) = paths::below(folder);
            format!("f.path = {} OR f.path >= {} AND f.path < {}", blob(paths::bytes(folder)), blob(&from), blob(&to))
        };
        let any = folders.iter().map(below).collect::<Vec<_>>().join(" OR ");
        self.condition += &format!(" AND EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id AND ({any}))");
    }

    /// At most `n` photos, newest first: by the time they were taken or, where that is unknown, by the oldest
    /// modification time of their files. What is indexed meanwhile follows after at most 1,000 others.
    pub(super) fn take(&mut self, library: &Library, n: usize) -> Result<Vec<PendingPhoto>> {
        let mut photos = Vec::new();
        while photos.len() < n {
            if self.next.is_empty() {
                let limit = AHEAD + self.out.len();
                let ids: Vec<i64> = library.sql(|db| self.ids(db, limit))?;
                self.next.extend(ids.into_iter().filter(|id| !self.out.contains(id)));
            }
            let Some(id) = self.next.pop_front() else { break };
            self.out.insert(id);
            // It may have been done or removed since it was queued.
            photos.extend(library.sql(|db| self.photo(db, id))?);
        }
        Ok(photos)
    }

    /// How many photos wait, including those handed out and not done.
    pub(super) fn count(&self, library: &Library) -> Result<u64> {
        library.sql(|db| db.query_row(&self.select("count(*)", ""), params_from_iter(&self.values), |row| row.get(0)))
    }

    /// Work on a photo is done and written.
    pub(super) fn done(&mut self, photo: i64) {
        self.out.remove(&photo);
    }

    fn select(&self, what: &str, rest: &str) -> String {
        format!(
            "SELECT {what} FROM photo p WHERE {} AND EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id) {rest}",
            self.condition
        )
    }

    fn ids(&self, db: &Connection, limit: usize) -> rusqlite::Result<Vec<i64>> {
        let age = "SELECT min(f.mtime_ns) FROM file f WHERE f.photo = p.id";
        let order = format!(
            "ORDER BY coalesce(p.taken, strftime('%Y-%m-%dT%H:%M:%S', ({age}) / 1000000000, 'unixepoch')) DESC,
             ({age}) DESC, p.id DESC LIMIT {limit}"
        );
        let mut statement = db.prepare(&self.select("p.id", &order))?;
        statement.query_map(params_from_iter(&self.values), |row| row.get(0))?.collect()
    }

    /// This photo, if it still waits.
    fn photo(&self, db: &Connection, id: i64) -> rusqlite::Result<Option<PendingPhoto>> {
        let picture = db
            .prepare_cached(&self.select("p.picture", &format!("AND p.id = ?{}", self.values.len() + 1)))?
            .query_row(params_from_iter(self.values.iter().chain([&Value::from(id)])), |row| row.get(0))
            .optional()?;
        let Some(picture) = picture else { return Ok(None) };
        let mut files = db.prepare_cached("SELECT path FROM file WHERE photo = ?1 ORDER BY path")?;
        let paths = files.query_map([id], |row| Ok(paths::from_bytes(row.get_ref(0)?.as_blob()?)))?;
        Ok(Some(PendingPhoto { id, paths: paths.collect::<rusqlite::Result<_>>()?, picture }))
    }
}

impl Library {
    /// Rebuilds the full-text cache if so many words were written that searches become slow and no other process is
    /// writing. Otherwise this costs little. Returns `false` if another process is writing: its run will do it.
    pub(super) fn refresh_words(&self, progress: &mut dyn FnMut(&'static str, u64, u64) -> bool) -> Result<bool> {
        // Checked before taking the lock, because indexing is refused while it is held.
        if !self.words_are_due()? {
            return Ok(true);
        }
        match self.lock() {
            Ok(mut writer) => writer.refresh_words(GRAPH_FROM, progress).map(|()| true),
            Err(Error::Locked { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
