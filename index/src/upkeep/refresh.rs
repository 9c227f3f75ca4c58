//! Bringing the caches up to date, and tidying up, at the end of an indexing run.

use super::shared_caches::{self, FAR};
use crate::catalogue::change_log::Stamp;
use crate::catalogue::identity::{ORPHANS, carry_on, open_paths};
use crate::catalogue::library::{Library, WAITING_CAPTIONS, WAITING_NAMES, models_of};
use crate::catalogue::private_file::{LockFile, take_lock};
use crate::catalogue::rows::{ModelRole, WaitingCounts};
use crate::catalogue::writer::Writer;
use crate::error::{Error, Result};
use crate::search::text::{self, Failed};
use crate::search::vectors::{self, GRAPH_FROM};
use std::path::{Path, PathBuf};

/// How many of the newest changes a server keeps for the caches of machines that are seldom there.
const KEPT: i64 = 1_000_000;

impl Library {
    /// Takes the lock of the caches. `None` if another process of this machine has it, which writes them. The caches of
    /// a library in a folder belong to its writer.
    fn lock_caches(&self) -> Result<Option<Option<LockFile>>> {
        if self.server().is_none() {
            return Ok(Some(None));
        }
        let held = |pid| Error::Locked { path: self.dir().to_path_buf(), pid };
        match take_lock(&self.dir().join("caches.lock"), held) {
            Ok(lock) => Ok(Some(Some(lock))),
            Err(Error::Locked { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Brings this machine's caches of a library on a server up to date if they are far behind: it may be that only
    /// other machines index.
    ///
    /// # Errors
    /// The catalogue cannot be read, or a cache cannot be written.
    pub(crate) fn keep_up(&self) -> Result<()> {
        if self.server().is_none() {
            return Ok(());
        }
        let folder = text::folder(self);
        let kind = text::kind(&folder);
        let (newest, cached) = self.sql(|db| Ok((Stamp::newest(db)?, kind.open(db)?)))?;
        if newest.seq - cached.map_or(0, |segments| segments.stamp.seq) < FAR {
            return Ok(());
        }
        let Some(_lock) = self.lock_caches()? else { return Ok(()) };
        self.refresh_vectors(GRAPH_FROM, false, &mut |_, _, _| true)?;
        self.refresh_text(GRAPH_FROM, &mut |_, _, _| true).map(drop)
    }

    /// Returns whether all of it was done.
    fn refresh_vectors(
        &self,
        graph_from: usize,
        next: bool,
        progress: &mut dyn FnMut(&'static str, u64, u64) -> bool,
    ) -> Result<bool> {
        for (model, role) in self.sql(models_of)? {
            // While it is being filled, its cache would be made again and again.
            if role == ModelRole::Filling && !next {
                continue;
            }
            let folder = vectors::folder(self, &model);
            let mut report = |done, total| progress("vectors", done, total);
            let limits = vectors::limits(graph_from);
            vectors::with_kind(&model, &folder, |kind| shared_caches::fetch(self, kind))?;
            let refresh = |db: &crate::engine::Database| {
                vectors::with_kind(&model, &folder, |kind| vectors::refresh(db, &model, kind, limits, &mut report))
            };
            if !self.sql(refresh)?? {
                return Ok(false);
            }
        }
        vectors::tidy(self)?;
        Ok(true)
    }

    /// Returns whether all of it was done.
    fn refresh_text(
        &self,
        large_from: usize,
        progress: &mut dyn FnMut(&'static str, u64, u64) -> bool,
    ) -> Result<bool> {
        let mut report = |done, total| progress("full-text index", done, total);
        let folder = text::folder(self);
        let (kind, limits) = (text::kind(&folder), text::limits(large_from));
        shared_caches::fetch(self, &kind)?;
        self.text(|db| text::refresh(db, &kind, limits, &mut report))?
    }
}

impl Writer<'_> {
    /// Brings the caches up to date where that is worth it. `progress` gets the name of a cache, the photos done and
    /// their total; once it returns `false`, the rest is left for the next time.
    ///
    /// # Errors
    /// The catalogue cannot be read, or a cache cannot be written.
    pub fn refresh_caches(&mut self, progress: &mut dyn FnMut(&'static str, u64, u64) -> bool) -> Result<()> {
        self.refresh_with_graph_from(GRAPH_FROM, progress)
    }

    /// As [`Writer::refresh_caches`], but with a graph from `graph_from` photos on.
    ///
    /// # Errors
    /// As for [`Writer::refresh_caches`].
    #[doc(hidden)]
    pub fn refresh_with_graph_from(
        &mut self,
        graph_from: usize,
        progress: &mut dyn FnMut(&'static str, u64, u64) -> bool,
    ) -> Result<()> {
        let Some(lock) = self.library.lock_caches()? else { return Ok(()) };
        let is_done = self.library.refresh_vectors(graph_from, false, progress)?;
        drop(lock);
        if is_done { self.refresh_words(graph_from, progress) } else { Ok(()) }
    }

    /// The part of [`Writer::refresh_caches`] for the model that is about to become the current one: until then, it
    /// has no cache. Returns whether it was done.
    ///
    /// # Errors
    /// As for [`Writer::refresh_caches`].
    pub fn refresh_next(&mut self, progress: &mut dyn FnMut(&'static str, u64, u64) -> bool) -> Result<bool> {
        let Some(_lock) = self.library.lock_caches()? else { return Ok(false) };
        self.library.refresh_vectors(GRAPH_FROM, true, progress)
    }

    /// The part of [`Writer::refresh_caches`] for the full-text cache, of a library that is large from so many photos
    /// on.
    ///
    /// # Errors
    /// As for [`Writer::refresh_caches`].
    pub(crate) fn refresh_words(
        &mut self,
        large_from: usize,
        progress: &mut dyn FnMut(&'static str, u64, u64) -> bool,
    ) -> Result<()> {
        let Some(_lock) = self.library.lock_caches()? else { return Ok(()) };
        if !self.library.refresh_text(large_from, progress)? {
            return Ok(());
        }
        if shared_caches::offer_all(self.library, self.library.dir())? {
            // Much has changed.
            self.library.analyze()?;
        }
        self.prune_log()
    }

    /// Draws the conclusions of an indexing run that has seen every folder of the library: what no file shows any more
    /// is gone, and was not merely moved. Captions by hand follow edited pictures, and what is no longer needed is
    /// dropped: photos without a file, and embeddings of former models once every photo has one of the current model. A
    /// photo with a caption by hand stays, in case its picture returns, with everything but its large encodings; so
    /// does an imported one that no file has shown yet. `is_gone` says whether the run has found nothing at a path.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn settle(&mut self, is_gone: &dyn Fn(&Path) -> bool) -> Result<()> {
        let open = self.library.sql(open_paths)?;
        let gone: Vec<&PathBuf> = open.iter().filter(|path| is_gone(path)).collect();
        let due = "SELECT EXISTS (SELECT 1 FROM last_seen l WHERE EXISTS (SELECT 1 FROM file f WHERE f.photo = l.photo)
            OR NOT ended AND EXISTS (SELECT 1 FROM file f WHERE f.path = l.path AND NOT EXISTS
            (SELECT 1 FROM file g WHERE g.photo = f.photo AND g.path <> f.path)))";
        if !gone.is_empty() || self.library.sql(|db| db.query_row(due, [], |row| row.get(0)))? {
            self.write(|db| carry_on(db, &open, &gone))?;
        }
        self.drop_unneeded()
    }

    fn drop_unneeded(&mut self) -> Result<()> {
        let library = self.library;
        let encodings = "FROM encoding WHERE NOT EXISTS (SELECT 1 FROM file f WHERE f.photo = encoding.photo)";
        let others =
            "FROM embedding WHERE model IN (SELECT id FROM model WHERE NOT current AND beside = 0) AND NOT EXISTS (
            SELECT 1 FROM file f WHERE NOT EXISTS (SELECT 1 FROM embedding e JOIN model m ON m.id = e.model
            WHERE m.current AND e.photo = f.photo))";
        for what in [ORPHANS, encodings, others] {
            // Checked first, so that a run that changed nothing writes nothing.
            if library.sql(|db| db.query_row(&format!("SELECT EXISTS (SELECT 1 {what})"), [], |row| row.get(0)))? {
                self.write(|db| db.execute(&format!("DELETE {what}"), []))?;
            }
        }
        Ok(())
    }

    /// Drops for good what a person wrote and waits for its picture, and returns what that was.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn discard_waiting(&mut self) -> Result<WaitingCounts> {
        let waiting = self.library.waiting()?;
        self.write(|db| {
            db.execute(&format!("DELETE FROM caption WHERE photo IN (SELECT photo FROM {WAITING_CAPTIONS})"), [])?;
            db.execute(&format!("DELETE FROM given_name WHERE id IN (SELECT id FROM {WAITING_NAMES})"), [])?;
            Ok(())
        })?;
        self.drop_unneeded()?;
        Ok(waiting)
    }

    /// Gives the space of what was dropped back to the file system.
    ///
    /// # Errors
    /// The catalogue cannot be written, or the disk has no room for a second copy of it.
    pub fn compact(&mut self) -> Result<()> {
        match self.library.server() {
            // A server gives it back by itself, little by little.
            Some(_) => self.library.analyze(),
            None => self.library.sql(|db| db.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")),
        }
    }

    /// Drops the entries of the log that all caches cover, but not those at the caches' own positions. Changes of
    /// captions that only the full-text cache covers stay, so that the log after any position left in it is complete.
    fn prune_log(&mut self) -> Result<()> {
        let library = self.library;
        let folder = text::folder(library);
        let Some(words) = library.sql(|db| text::kind(&folder).open(db))? else { return Ok(()) };
        let (mut seen, mut is_current) = (words.stamp.seq, false);
        for (model, role) in library.sql(models_of)? {
            let folder = vectors::folder(library, &model);
            if let Some(segments) = library.sql(|db| vectors::with_kind(&model, &folder, |kind| kind.open(db)))? {
                seen = seen.min(segments.stamp.seq);
                is_current |= role == ModelRole::Current;
            }
        }
        if library.server().is_some() {
            seen = seen.min(library.sql(Stamp::newest)?.seq - KEPT);
        }
        if is_current {
            let any = library.sql(|db| {
                db.query_row("SELECT EXISTS (SELECT 1 FROM change WHERE seq < ?1)", [seen], |row| row.get(0))
            })?;
            if any {
                self.write(|db| db.execute("DELETE FROM change WHERE seq < ?1", [seen]))?;
            }
        }
        Ok(())
    }
}

impl crate::Library {
    /// Whether so much changed that the full-text cache should be rebuilt.
    pub(crate) fn words_are_due(&self) -> Result<bool> {
        let folder = text::folder(self);
        let segments = self.sql(|db| text::kind(&folder).open_or_begin(db))?;
        Ok(segments.is_due(text::limits(GRAPH_FROM)))
    }

    /// [`crate::Library::sql`] for work that needs the full-text engine too.
    pub(crate) fn text<T>(
        &self,
        work: impl FnOnce(&crate::engine::Database) -> std::result::Result<T, Failed>,
    ) -> Result<T> {
        let outcome = self.sql(|db| match work(db) {
            Ok(value) => Ok(Ok(value)),
            Err(Failed::Sql(error)) => Err(error),
            Err(Failed::Text(error)) => Ok(Err(error)),
        })?;
        outcome.map_err(Error::Text)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::catalogue::change_log::VECTORS_SINCE;
    use crate::catalogue::library::current_model;
    use crate::catalogue::rows::{Change, FileStamp, ModelRecord, PhotoFacts};
    use crate::search::cache::{self, Cache};
    use crate::{Captioned, Library};
    use std::path::Path;

    fn library(folder: &Path, photos: u8) -> Library {
        let library = Library::create(folder).unwrap();
        let mut writer = library.lock().unwrap();
        writer.set_model(&ModelRecord { name: "m".into(), fingerprint: "m".into(), dim: 2 }).unwrap();
        let photo = |n: u8| Change::Photo {
            path: format!("/p/{n}.jpg").into(),
            root: "/p".into(),
            stamp: FileStamp { size: 1, mtime_ns: 1 },
            identity: crate::FileIdentity { file: [n; 32], picture: [n; 32], version: 1 },
            facts: PhotoFacts::default(),
            embedding: vec![0.6, 0.8],
            tags: Vec::new(),
        };
        writer.apply(&(0..photos).map(photo).collect::<Vec<_>>()).unwrap();
        writer.refresh_caches(&mut |_, _, _| true).unwrap();
        drop(writer);
        library
    }

    #[test]
    fn captions_cost_the_vectors_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let library = library(folder.path(), 250);
        let model = library.sql(current_model).unwrap().unwrap();
        let folder_of = (vectors::folder(&library, &model), text::folder(&library));
        let vectors = || {
            library.sql(|db| vectors::with_kind(&model, &folder_of.0, |kind| kind.open(db))).unwrap().map(|v| v.changed)
        };
        let text = || library.sql(|db| text::kind(&folder_of.1).open(db)).unwrap().map(|text| text.changed.len());
        let mut captioner = library.captioner("print", false).unwrap();
        for round in 0..3 {
            let done: Vec<Captioned> = (1..=250)
                .map(|photo| Captioned { photo, text: format!("a cat, {round} times"), encoding: None })
                .collect();
            assert_eq!(captioner.save(&done).unwrap(), 250);
            assert_eq!((vectors(), text()), (Some(vec![]), Some(250)));
            assert!(captioner.refresh_words(&mut |_, _, _| true).unwrap());
            assert_eq!((vectors(), text()), (Some(vec![]), Some(0)));
        }
        library.lock().unwrap().refresh_caches(&mut |_, _, _| true).unwrap();
        assert!(vectors::folder(&library, &model).join("00000001").exists());
        assert!(folder.path().join("text/00000004").exists());
        // The changes that concern the vectors are found by indexes, without a scan.
        let plan = format!("EXPLAIN QUERY PLAN {VECTORS_SINCE}");
        let plan: Vec<String> =
            library.sql(|db| db.prepare(&plan)?.query_map([1, 1], |row| row.get(3))?.collect()).unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains("change_of_photos") && plan.contains("change_of_vectors"), "{plan}");
    }

    #[test]
    fn a_text_cache_of_an_older_release_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let library = library(folder.path(), 3);
        let text = text::folder(&library);
        let cache = Cache::open(&text).unwrap();
        let mut head = cache.head;
        head.basis -= 1;
        let sections = [0, 1, 2, 3, 4].map(|n| cache.section::<u8>(n).unwrap());
        cache::write(&text, &head, &sections, &[]).unwrap();
        library.set_caption_by_hand(1, "a walrus").unwrap();
        assert!(library.sql(|db| text::kind(&text).open(db)).unwrap().is_none());
        assert!(library.check(true).unwrap().findings.is_empty());
        let found = |word: &str| {
            let request = crate::SearchRequest { words: Some(word.into()), limit: 9, ..Default::default() };
            library.searcher().unwrap().search(&request).unwrap().hits.len()
        };
        assert_eq!((found("walrus"), found("jpg"), found("2")), (1, 0, 1));
        library.lock().unwrap().refresh_caches(&mut |_, _, _| true).unwrap();
        assert!(library.sql(|db| text::kind(&text).open(db)).unwrap().is_some());
        assert_eq!((found("walrus"), found("2")), (1, 1));
    }
}
