//! The models by which a library's photos are embedded: which there are, and how one takes the place of another.

use crate::catalogue::library::{Library, Model, bytes_below, models_of};
use crate::catalogue::rows::{LibraryModel, ModelRecord, ModelRole};
use crate::catalogue::seal;
use crate::catalogue::writer::Writer;
use crate::error::{Error, Result};
use crate::search::{cache, vectors};
use rusqlite::params;

impl Library {
    /// The models by which the library's photos are embedded, the current one first.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn models(&self) -> Result<Vec<LibraryModel>> {
        let (photos, models) = self.at_one_moment(|db| {
            let photos: u64 = db.query_row("SELECT count(DISTINCT photo) FROM file", [], |row| row.get(0))?;
            let mut count = db.prepare(
                "SELECT count(*) FROM embedding e WHERE e.model = ?1
                 AND EXISTS (SELECT 1 FROM file f WHERE f.photo = e.photo)",
            )?;
            let models = models_of(db)?.into_iter();
            let counted = models.map(|(model, role)| {
                let embedded: u64 = count.query_row([model.id], |row| row.get(0))?;
                Ok((model, role, embedded))
            });
            Ok((photos, counted.collect::<rusqlite::Result<Vec<_>>>()?))
        })?;
        let counted = |(model, role, embedded): (Model, ModelRole, u64)| {
            let vectors = embedded.saturating_mul(4).saturating_mul(model.record.dim as u64);
            let bytes = vectors.saturating_add(bytes_below(&vectors::folder(self, &model)));
            LibraryModel { record: model.record, role, embedded, awaiting: photos.saturating_sub(embedded), bytes }
        };
        Ok(models.into_iter().map(counted).collect())
    }
}

impl Writer<'_> {
    /// Makes the model of [`Writer::begin_model`] the current one, and returns the one that was; `None` if there is
    /// none to take its place. The former one is kept beside it, with its tags. A photo that the new one has not
    /// embedded keeps its tags, and awaits embedding.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn switch_model(&mut self) -> Result<Option<ModelRecord>> {
        let models = self.library.sql(models_of)?;
        let with = |wanted| models.iter().find(|(_, role)| *role == wanted).map(|(model, _)| model);
        let (Some(old), Some(new)) = (with(ModelRole::Current), with(ModelRole::Filling)) else { return Ok(None) };
        self.write(|db| {
            let embedded = "(SELECT photo FROM embedding WHERE model = ?1)";
            db.execute(
                &format!(
                    "INSERT INTO change (photo, about) SELECT photo, 1 FROM (SELECT photo FROM tag UNION
                     SELECT photo FROM other_tag WHERE model = ?1) AS t WHERE photo IN {embedded} ORDER BY photo"
                ),
                [new.id],
            )?;
            seal::CHANGE.seal(db, "seal IS NULL", [])?;
            db.execute(
                &format!(
                    "INSERT OR REPLACE INTO other_tag (photo, model, position, label, folded, score)
                     SELECT photo, ?1, position, label, folded, score FROM tag WHERE photo IN {embedded}"
                ),
                [old.id],
            )?;
            db.execute(&format!("DELETE FROM tag WHERE photo IN {embedded}"), [new.id])?;
            db.execute(
                &format!(
                    "INSERT INTO tag (photo, position, label, folded, score)
                     SELECT photo, position, label, folded, score FROM other_tag WHERE model = ?1 AND photo IN {embedded}"
                ),
                [new.id],
            )?;
            db.execute("DELETE FROM other_tag WHERE model = ?1", [new.id])?;
            seal::TAG.seal(db, "seal IS NULL", [])?;
            seal::OTHER_TAG.seal(db, "seal IS NULL", [])?;
            db.execute("UPDATE model SET current = false, beside = 1 WHERE current", [])?;
            db.execute("UPDATE model SET current = true, beside = 0 WHERE id = ?1", [new.id])?;
            seal::MODEL.seal(db, "id IN (?1, ?2)", [old.id, new.id])
        })?;
        Ok(Some(old.record.clone()))
    }

    /// Drops one of the library's models with all that it made: embeddings, tags, classifiers of label sets, caches.
    ///
    /// # Errors
    /// [`Error::Dropped`] if the library does not have it, [`Error::Refused`] if it is the current one, or the
    /// catalogue cannot be written.
    pub fn drop_model(&mut self, asked: &ModelRecord) -> Result<()> {
        let models = self.library.sql(models_of)?;
        let Some((model, role)) = models.iter().find(|(model, _)| model.is(asked)) else {
            return Err(Error::Dropped { name: asked.name.clone() });
        };
        if *role == ModelRole::Current {
            let what = format!("dropping the model {}", crate::escape::text(&asked.name));
            return Err(Error::Refused { what, reason: "it is the one that answers".into() });
        }
        self.write(|db| {
            // The log keeps its entries: caches stand at positions in it.
            for table in ["other_tag", "embedding"] {
                db.execute(&format!("DELETE FROM {table} WHERE model = ?1"), [model.id])?;
            }
            db.execute("DELETE FROM classifier WHERE fingerprint = ?1", params![model.record.fingerprint])?;
            db.execute("DELETE FROM model WHERE id = ?1", [model.id])
        })?;
        cache::clear(&vectors::folder(self.library, model))
    }
}
