//! One captioning run.

use super::captions::{check_encoding, exists, put_caption, put_encoding};
use super::stacks::IS_COVERED;
use crate::catalogue::library::Library;
use crate::catalogue::paths;
use crate::catalogue::private_file::take_lock;
use crate::catalogue::rows::{Captioned, PendingPhoto};
use crate::catalogue::stored::{LONGEST_CAPTION, check_length};
use crate::error::{Error, Result};
use crate::search::vectors::GRAPH_FROM;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::path::PathBuf;

/// Ids looked up at once. Each lookup goes through the whole library, which is cheap compared with this many captions.
const AHEAD: usize = 1_000;

const CAPTIONS_LOCK: &str = "captions.lock";

/// Photos that have a file and no caption, or (if ?1) a caption by another model than ?2. Of photos that were taken as
/// one, the one that stands for them is captioned for all.
fn pending() -> String {
    format!(
        "FROM photo p LEFT JOIN caption c ON c.photo = p.id WHERE (c.photo IS NULL OR (?1 AND c.captioner <> ?2))
         AND EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id) AND NOT {IS_COVERED}"
    )
}

/// The right to caption a library's photos, from [`Library::captioner`].
#[derive(Debug)]
pub struct Captioner<'a> {
    library: &'a Library,
    fingerprint: String,
    recaption: bool,
    /// Which photos it is about, as a condition that follows [`pending`].
    within: String,
    /// Ids of the next photos.
    queue: VecDeque<i64>,
    /// Ids that were handed out and not saved: in progress, or failed.
    out: HashSet<i64>,
    /// Dropping it releases the lock.
    _lock: File,
}

impl Library {
    /// Takes the lock for captioning the library's photos with the model of this fingerprint. With `recaption`, photos
    /// whose caption another model wrote are pending too. The system releases the lock when the process ends, however
    /// it ends. The lock excludes neither a [`crate::Writer`] nor captions that are set one by one.
    ///
    /// # Errors
    /// [`Error::Captioning`] at once if another process or handle holds it; or the folder is read-only.
    pub fn captioner(&self, fingerprint: &str, recaption: bool) -> Result<Captioner<'_>> {
        let held = |pid| Error::Captioning { path: self.dir().to_path_buf(), pid };
        let lock = take_lock(&self.dir().join(CAPTIONS_LOCK), held)?;
        let (queue, out) = (VecDeque::new(), HashSet::new());
        let (fingerprint, within) = (fingerprint.to_owned(), String::new());
        Ok(Captioner { library: self, fingerprint, recaption, within, queue, out, _lock: lock })
    }
}

impl Captioner<'_> {
    /// Leaves out all photos but those that have a file at or below one of these paths.
    #[must_use]
    pub fn within(mut self, folders: &[PathBuf]) -> Self {
        let blob = |bytes: &[u8]| format!("x'{}'", bytes.iter().map(|b| format!("{b:02x}")).collect::<String>());
        let below = |folder: &PathBuf| {
            let (from, to) = paths::below(folder);
            format!("f.path = {} OR f.path >= {} AND f.path < {}", blob(paths::bytes(folder)), blob(&from), blob(&to))
        };
        let any = folders.iter().map(below).collect::<Vec<_>>().join(" OR ");
        self.within = format!("AND EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id AND ({any}))");
        self
    }

    /// At most `n` photos that wait for a caption, newest first: by the time they were taken or, where that is unknown,
    /// by the oldest modification time of their files. This captioner hands out each photo once, so one that cannot be
    /// captioned is simply left out of [`Captioner::save`]. Photos that are indexed meanwhile follow after at most
    /// 1,000 others. The list is empty if no photo is left.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn pending(&mut self, n: usize) -> Result<Vec<PendingPhoto>> {
        let mut photos = Vec::new();
        while photos.len() < n {
            let Some(id) = self.next()? else { break };
            self.out.insert(id);
            // It may have been captioned or removed since it was queued.
            photos.extend(self.library.sql(|db| pending_photo(db, id, self.recaption, &self.fingerprint))?);
        }
        Ok(photos)
    }

    /// How many photos wait for a caption, including those handed out and not saved.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn pending_count(&self) -> Result<u64> {
        self.library.sql(|db| {
            let sql = format!("SELECT count(*) {} {}", pending(), self.within);
            db.query_row(&sql, params![self.recaption, self.fingerprint], |row| row.get(0))
        })
    }

    /// Saves captions and encodings, all or none, and returns how many captions were written. A caption written by hand
    /// meanwhile stays (the encoding is stored all the same), and a photo that is gone is skipped. After an error, the
    /// same call can be repeated.
    ///
    /// # Errors
    /// [`Error::Refused`] as for [`Library::save_caption`] and [`Library::save_encoding`], or the catalogue cannot be
    /// written.
    pub fn save(&mut self, done: &[Captioned]) -> Result<usize> {
        for Captioned { photo, text, encoding } in done {
            check_length(&format!("the caption of photo {photo}"), text, LONGEST_CAPTION)?;
            encoding.as_ref().map_or(Ok(()), |encoding| check_encoding(*photo, encoding))?;
        }
        let written = self.library.write(|db| {
            let mut written = 0;
            for Captioned { photo, text, encoding } in done {
                if !exists(db, *photo)? {
                    continue;
                }
                written += usize::from(put_caption(db, *photo, text, Some(&self.fingerprint))?);
                if let Some(encoding) = encoding {
                    put_encoding(db, *photo, &self.fingerprint, encoding)?;
                }
            }
            Ok(written)
        })?;
        for Captioned { photo, .. } in done {
            self.out.remove(photo);
        }
        Ok(written)
    }

    /// Rebuilds the full-text cache if so many captions were written that searches become slow and no other process is
    /// writing. Otherwise this costs little, so call it after every hundred captions or so. Returns `false` if another
    /// process is writing: its run will refresh the cache. `progress` is as for [`crate::Writer::refresh_caches`].
    ///
    /// # Errors
    /// The catalogue cannot be read, or the cache cannot be written.
    pub fn refresh_words(&self, progress: &mut dyn FnMut(&'static str, u64, u64) -> bool) -> Result<bool> {
        // Checked before taking the lock, because indexing is refused while it is held.
        if !self.library.words_are_due()? {
            return Ok(true);
        }
        match self.library.lock() {
            Ok(mut writer) => writer.refresh_words(GRAPH_FROM, progress).map(|()| true),
            Err(Error::Locked { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn next(&mut self) -> Result<Option<i64>> {
        if self.queue.is_empty() {
            let limit = AHEAD + self.out.len();
            let ids: Vec<i64> = self.library.sql(|db| self.pending_ids(db, limit))?;
            self.queue.extend(ids.into_iter().filter(|id| !self.out.contains(id)));
        }
        Ok(self.queue.pop_front())
    }

    /// The newest photos that wait for a caption, newest first.
    fn pending_ids(&self, db: &Connection, limit: usize) -> rusqlite::Result<Vec<i64>> {
        let (age, within) = ("SELECT min(f.mtime_ns) FROM file f WHERE f.photo = p.id", &self.within);
        let pending = pending();
        let sql = format!(
            "SELECT p.id {pending} {within}
             ORDER BY coalesce(p.taken, strftime('%Y-%m-%dT%H:%M:%S', ({age}) / 1000000000, 'unixepoch')) DESC,
             ({age}) DESC, p.id DESC LIMIT ?3"
        );
        let mut statement = db.prepare_cached(&sql)?;
        let rows = statement.query_map(params![self.recaption, self.fingerprint, limit], |row| row.get(0))?;
        rows.collect()
    }
}

/// This photo, if it still waits for a caption.
fn pending_photo(
    db: &Connection,
    id: i64,
    recaption: bool,
    fingerprint: &str,
) -> rusqlite::Result<Option<PendingPhoto>> {
    let picture = db
        .prepare_cached(&format!("SELECT p.picture {} AND p.id = ?3", pending()))?
        .query_row(params![recaption, fingerprint, id], |row| row.get(0))
        .optional()?;
    let Some(picture) = picture else { return Ok(None) };
    let mut files = db.prepare_cached("SELECT path FROM file WHERE photo = ?1 ORDER BY path")?;
    let paths = files.query_map([id], |row| Ok(paths::from_bytes(row.get_ref(0)?.as_blob()?)))?;
    Ok(Some(PendingPhoto { id, paths: paths.collect::<rusqlite::Result<_>>()?, picture }))
}
