//! Tags that come after embeddings: the first run with a model embeds photos before its labels are ready.

use crate::catalogue::change_log::{About, log};
use crate::catalogue::library::{Library, model_of};
use crate::catalogue::rows::{ModelRecord, Tag};
use crate::catalogue::stored::read_row;
use crate::catalogue::writer::{Writer, put_other_tags, put_tags};
use crate::catalogue::{library::current_model, seal};
use crate::error::{Error, Result};
use rusqlite::params;

impl Library {
    /// Whether photos that this model has embedded may lack tags, because its labels were not ready.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn awaits_tags(&self, model: &ModelRecord) -> Result<bool> {
        self.sql(|db| {
            db.query_row(
                "SELECT EXISTS (SELECT 1 FROM model WHERE fingerprint = ?1 AND dim = ?2 AND awaits_tags)",
                params![model.fingerprint, model.dim],
                |row| row.get(0),
            )
        })
    }

    /// At most `most` photos without tags that this model has embedded, in the order of their ids and after that of
    /// `after`, with their embeddings (unit vectors, of a video that of its first frame).
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn untagged(&self, model: &ModelRecord, after: i64, most: usize) -> Result<Vec<(i64, Vec<f32>)>> {
        self.sql(|db| {
            let Some(own) = model_of(db, model)? else { return Ok(Vec::new()) };
            let is_current = current_model(db)?.is_some_and(|current| current.id == own.id);
            let tags = if is_current { "tag t WHERE" } else { "other_tag t WHERE t.model = ?1 AND" };
            let mut statement = db.prepare_cached(&format!(
                "SELECT e.photo, e.checksum, e.vector FROM embedding e WHERE e.model = ?1 AND e.photo > ?2
                 AND NOT EXISTS (SELECT 1 FROM {tags} t.photo = e.photo) ORDER BY e.photo LIMIT ?3"
            ))?;
            let mut rows = statement.query(params![own.id, after, most])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let mut vector = Vec::new();
                if read_row(&row, 1, model.dim, &mut vector)? > 0 {
                    vector.truncate(model.dim);
                    found.push((row.get(0)?, vector));
                }
            }
            Ok(found)
        })
    }
}

impl Writer<'_> {
    /// Remembers whether photos of this model may lack tags ([`Library::awaits_tags`]).
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn await_tags(&mut self, model: &ModelRecord, awaits: bool) -> Result<()> {
        self.write(|db| {
            let of_model = params![model.fingerprint, model.dim, awaits];
            db.execute("UPDATE model SET awaits_tags = ?3 WHERE fingerprint = ?1 AND dim = ?2", of_model)?;
            seal::MODEL.seal(db, "fingerprint = ?1 AND dim = ?2", params![model.fingerprint, model.dim])
        })
    }

    /// Gives photos that this model has embedded their tags, all or none.
    ///
    /// # Errors
    /// [`Error::NoModel`] if it is none of the library's, or the catalogue cannot be written.
    pub fn tag(&mut self, model: &ModelRecord, tags: &[(i64, Vec<Tag>)]) -> Result<()> {
        let own = self.library.sql(|db| model_of(db, model))?.ok_or(Error::NoModel)?;
        let is_current = self.library.sql(current_model)?.is_some_and(|current| current.id == own.id);
        self.write(|db| {
            for (photo, tags) in tags {
                if is_current {
                    put_tags(db, *photo, tags)?;
                    log(db, *photo, About::Words)?;
                } else {
                    put_other_tags(db, *photo, own.id, tags)?;
                }
            }
            Ok(())
        })
    }
}
