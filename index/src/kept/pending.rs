//! The photos that wait for work that takes long: each is handed out once, the newest first. On a server they are leased,
//! because other machines work on them too.

use crate::catalogue::library::Library;
use crate::catalogue::paths;
use crate::catalogue::rows::PendingPhoto;
use crate::engine::postgres::leases::{self, Leases};
use crate::engine::{Database, values_of};
use crate::error::{Error, Result};
use crate::search::vectors::GRAPH_FROM;
use rusqlite::OptionalExtension;
use rusqlite::types::Value;
use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;

/// Ids looked up at once. Each lookup goes through the whole library, which is cheap compared with so much work.
const AHEAD: usize = 1_000;

const NEWEST_FIRST: &str = "ORDER BY coalesce(p.taken, strftime('%Y-%m-%dT%H:%M:%S',
    (SELECT min(f.mtime_ns) FROM file f WHERE f.photo = p.id) / 1000000000, 'unixepoch')) DESC,
    (SELECT min(f.mtime_ns) FROM file f WHERE f.photo = p.id) DESC, p.id DESC";

/// Photos that have a file and wait for work.
#[derive(Debug)]
pub(super) struct PendingQueue<'l> {
    library: &'l Library,
    /// On a server.
    leases: Option<Leases>,
    /// Which photos wait, as a condition on `photo p`; its values are ?1, ?2, ...
    condition: String,
    values: Vec<Value>,
    /// Ids of the next photos.
    next: VecDeque<i64>,
    /// Ids that were handed out and are not done: in progress, or failed.
    out: HashSet<i64>,
}

impl Library {
    /// The photos of a library on a server that are left out of some work, because two processes ended while they worked
    /// on them: the name of the work, and the photo's first path.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub fn left_out(&self) -> Result<Vec<(String, PathBuf)>> {
        let photos = self.sql(|db| db.server().map_or(Ok(Vec::new()), leases::left_out))?;
        Ok(photos.into_iter().map(|(work, path)| (work, self.mounts().here(&path))).collect())
    }

    /// Lets work be done on them again.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub fn pardon_left_out(&self) -> Result<()> {
        self.sql(|db| db.server().map_or(Ok(()), leases::pardon))
    }
}

impl<'l> PendingQueue<'l> {
    /// `work` is the name of what is done with the photos.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub(super) fn new(library: &'l Library, work: &'static str, condition: String, values: Vec<Value>) -> Result<Self> {
        let leases = library.sql(|db| db.server().map(|server| Leases::new(server, work)).transpose())?;
        Ok(Self { library, leases, condition, values, next: VecDeque::new(), out: HashSet::new() })
    }

    /// Leaves out all photos but those that have a file at or below one of these paths.
    pub(super) fn keep_within(&mut self, folders: &[PathBuf]) {
        let mounts = self.library.mounts();
        let below = |folder: &PathBuf| {
            let folder = mounts.stored(folder).into_owned();
            let (from, to) = paths::below(&folder);
            let at = self.values.len();
            self.values.extend([folder, from, to].map(Value::Blob));
            format!("f.path = ?{} OR f.path >= ?{} AND f.path < ?{}", at + 1, at + 2, at + 3)
        };
        let any = folders.iter().map(below).collect::<Vec<_>>().join(" OR ");
        self.condition += &format!(" AND EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id AND ({any}))");
    }

    /// At most `n` photos, newest first: by the time they were taken or, where that is unknown, by the oldest
    /// modification time of their files. What is indexed meanwhile follows after at most 1,000 others.
    pub(super) fn take(&mut self, n: usize) -> Result<Vec<PendingPhoto>> {
        let library = self.library;
        let mut photos = Vec::new();
        while photos.len() < n {
            if self.next.is_empty() {
                let ids: Vec<i64> = library.sql(|db| match (db.server(), &self.leases) {
                    (Some(server), Some(leases)) => {
                        leases.take(server, &self.condition, &self.values, NEWEST_FIRST, n - photos.len())
                    }
                    _ => self.ids(db, AHEAD + self.out.len()),
                })?;
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
    pub(super) fn count(&self) -> Result<u64> {
        self.library.sql(|db| db.query_row(&self.select("count(*)", ""), values_of(&self.values), |row| row.get(0)))
    }

    /// Work on a photo is done and written.
    pub(super) fn done(&mut self, photo: i64) {
        self.out.remove(&photo);
    }

    /// Ends the lease of a photo, in the transaction that writes what was done with it.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(super) fn close(&self, db: &Database, photo: i64) -> rusqlite::Result<()> {
        match (db.server(), &self.leases) {
            (Some(server), Some(leases)) => leases.close(server, photo),
            _ => Ok(()),
        }
    }

    fn select(&self, what: &str, rest: &str) -> String {
        format!(
            "SELECT {what} FROM photo p WHERE {} AND EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id) {rest}",
            self.condition
        )
    }

    fn ids(&self, db: &Database, limit: usize) -> rusqlite::Result<Vec<i64>> {
        let mut statement = db.prepare(&self.select("p.id", &format!("{NEWEST_FIRST} LIMIT {limit}")))?;
        statement.query_map(values_of(&self.values), |row| row.get(0))?.collect()
    }

    /// This photo, if it still waits.
    fn photo(&self, db: &Database, id: i64) -> rusqlite::Result<Option<PendingPhoto>> {
        let picture = db
            .prepare_cached(&self.select("p.picture", &format!("AND p.id = ?{}", self.values.len() + 1)))?
            .query_row(values_of(self.values.iter().chain([&Value::from(id)])), |row| row.get(0))
            .optional()?;
        let Some(picture) = picture else { return Ok(None) };
        let mut files = db.prepare_cached("SELECT path FROM file WHERE photo = ?1 ORDER BY path")?;
        let paths = files.query_map([id], |row| row.path(0))?;
        Ok(Some(PendingPhoto { id, paths: paths.collect::<rusqlite::Result<_>>()?, picture }))
    }
}

impl Drop for PendingQueue<'_> {
    fn drop(&mut self) {
        if let (Some(server), Some(leases)) = (self.library.server(), &self.leases) {
            leases.release(server);
        }
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
