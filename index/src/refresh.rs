//! Bringing the caches up to date, and tidying up, at the end of a run.

use crate::error::{Error, Result};
use crate::library::current_model;
use crate::text::{self, Failed};
use crate::vectors::{self, GRAPH_FROM};
use crate::writer::Writer;

/// Photos that may have changed before a cache is written anew. Until then every search looks at them one by one, which
/// costs it less than a millisecond per hundred.
const SLACK: u64 = 200;

impl Writer<'_> {
    /// Brings the caches up to date where that pays, and drops what nothing needs any more. `progress` gets the name of
    /// a cache, the photos done and their total; as soon as it answers `false` the rest is left for the next time.
    ///
    /// # Errors
    /// The catalogue cannot be read, or a cache cannot be written.
    pub fn refresh_caches(&mut self, progress: &mut dyn FnMut(&str, u64, u64) -> bool) -> Result<()> {
        self.refresh_with_graph_from(GRAPH_FROM, progress)
    }

    /// [`Writer::refresh_caches`] with a graph from so many photos on.
    ///
    /// # Errors
    /// As there.
    #[doc(hidden)]
    pub fn refresh_with_graph_from(
        &mut self,
        graph_from: usize,
        progress: &mut dyn FnMut(&str, u64, u64) -> bool,
    ) -> Result<()> {
        self.tidy()?;
        let library = self.library;
        if let Some(model) = library.sql(current_model)? {
            let folder = vectors::folder(library);
            let embedded: u64 = library.sql(|db| {
                db.query_row("SELECT count(*) FROM embedding WHERE model = ?1", [model.id], |row| row.get(0))
            })?;
            let due = match library.sql(|db| vectors::usable(db, &model, &folder))? {
                Some((_, changed)) => changed.len() as u64 > SLACK + embedded / 20,
                None => embedded > 0,
            };
            let mut report = |done, total| progress("vectors", done, total);
            if due && !library.sql(|db| vectors::rebuild(db, &model, &folder, graph_from, &mut report))?? {
                return Ok(());
            }
        }
        let folder = text::folder(library);
        let photos = library.status()?.photos;
        let due = match library.sql(|db| text::usable(db, &folder))? {
            Some((cache, changed)) => changed.len() as u64 > SLACK + text::count(&cache) / 50,
            None => photos > 0,
        };
        let mut report = |done, total| progress("full-text index", done, total);
        if due && !library.text(|db| text::rebuild(db, &folder, &mut report))?? {
            return Ok(());
        }
        self.prune_log()
    }

    /// Drops photos without a file, and embeddings of other models once every photo has one of this.
    fn tidy(&mut self) -> Result<()> {
        let library = self.library;
        let orphans = "FROM photo WHERE NOT EXISTS (SELECT 1 FROM file f WHERE f.photo = photo.id)";
        let others = "FROM embedding WHERE model <> (SELECT id FROM model WHERE current) AND NOT EXISTS (
            SELECT 1 FROM photo p WHERE NOT EXISTS (SELECT 1 FROM embedding e JOIN model m ON m.id = e.model
            WHERE m.current AND e.photo = p.id))";
        for what in [orphans, others] {
            // Looked for first, so that a run that changed nothing writes nothing.
            if library.sql(|db| db.query_row(&format!("SELECT EXISTS (SELECT 1 {what})"), [], |row| row.get(0)))? {
                self.write(|db| db.execute(&format!("DELETE {what}"), []))?;
            }
        }
        Ok(())
    }

    /// Drops what both caches have seen from the log, but not the positions they stand at.
    fn prune_log(&mut self) -> Result<()> {
        let library = self.library;
        let Some(model) = library.sql(current_model)? else { return Ok(()) };
        let vectors = library.sql(|db| vectors::usable(db, &model, &vectors::folder(library)))?;
        let text = library.sql(|db| text::usable(db, &text::folder(library)))?;
        if let (Some((vectors, _)), Some((text, _))) = (vectors, text) {
            let seen = vectors.head.stamp.seq.min(text.head.stamp.seq);
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
    /// [`crate::Library::sql`] for work that needs the full-text engine too.
    pub(crate) fn text<T>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> std::result::Result<T, Failed>,
    ) -> Result<T> {
        let outcome = self.sql(|db| match work(db) {
            Ok(value) => Ok(Ok(value)),
            Err(Failed::Sql(error)) => Err(error),
            Err(Failed::Text(error)) => Ok(Err(error)),
        })?;
        outcome.map_err(Error::Text)
    }
}
