//! The looks of photos, and the files that hold the same photo.
//!
//! An indexing run writes those of the pictures that it decodes. The others are written later, like captions, without a
//! [`crate::Writer`], in short transactions.

use crate::catalogue::library::Library;
use crate::catalogue::rows::{ContentHash, FileStamp, PhotoFile, PhotoFiles};
use crate::catalogue::stored::{hash_of, row_checksum, size_of};
use crate::catalogue::writer::{put_look, validate_look};
use crate::engine::{Database, SqlRow};
use crate::error::Result;
use rusqlite::{OptionalExtension, params};

impl Library {
    /// The stored looks of this version, by photo: the bytes that [`Library::save_looks`] was given. Damaged looks are
    /// left out: they can be computed again.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn looks(&self, version: u32) -> Result<Vec<(i64, Vec<u8>)>> {
        self.sql(|db| {
            let mut statement = db.prepare(
                "SELECT photo, checksum, data FROM look l
                 WHERE version = ?1 AND EXISTS (SELECT 1 FROM file f WHERE f.photo = l.photo) ORDER BY photo",
            )?;
            let mut rows = statement.query([version])?;
            let mut looks = Vec::new();
            while let Some(row) = rows.next()? {
                if is_sound(&row, 1)? {
                    looks.push((row.get(0)?, row.get(2)?));
                }
            }
            Ok(looks)
        })
    }

    /// Whether a look of this version is stored for this picture, sound or not.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn has_look(&self, picture: &ContentHash, version: u32) -> Result<bool> {
        let sql = "SELECT 1 FROM look l JOIN photo p ON p.id = l.photo WHERE p.picture = ?1 AND l.version = ?2";
        self.sql(|db| db.prepare_cached(sql)?.exists(params![picture.as_slice(), version]))
    }

    /// Stores looks of photos, all or none, in the place of older ones. Photos that are no longer in the library are
    /// skipped.
    ///
    /// # Errors
    /// [`crate::Error::Refused`] for a look of 0 bytes or of more than 65,536; or the catalogue cannot be written.
    pub fn save_looks(&self, version: u32, looks: &[(i64, Vec<u8>)]) -> Result<()> {
        for (photo, look) in looks {
            validate_look(look, || format!("the look of photo {photo}"))?;
        }
        self.write(|db| {
            for (photo, look) in looks {
                put_look(db, "id = ?1", *photo, version, look)?;
            }
            Ok(())
        })
    }

    /// The files that hold a photo; `None` if no file does.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn files_of(&self, photo: i64) -> Result<Option<PhotoFiles>> {
        self.sql(|db| files_of(db, photo))
    }

    /// The photos that are held by more than one file, by id.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn copies(&self) -> Result<Vec<PhotoFiles>> {
        self.sql(|db| {
            let mut statement =
                db.prepare("SELECT photo FROM file GROUP BY photo HAVING count(*) > 1 ORDER BY photo")?;
            let ids: Vec<i64> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            ids.into_iter().filter_map(|id| files_of(db, id).transpose()).collect()
        })
    }
}

fn files_of(db: &Database, id: i64) -> rusqlite::Result<Option<PhotoFiles>> {
    let picture = db.prepare_cached("SELECT picture FROM photo WHERE id = ?1")?.query_row([id], |row| row.get(0));
    let Some(picture) = picture.optional()? else { return Ok(None) };
    let mut statement = db.prepare_cached(
        "SELECT path, size, mtime_ns, hash, CAST(taken IS NOT NULL AS INTEGER) + CAST(camera IS NOT NULL AS INTEGER)
         + CAST(latitude IS NOT NULL AS INTEGER) + CAST(rating IS NOT NULL AS INTEGER)
         FROM file WHERE photo = ?1 ORDER BY path",
    )?;
    let rows = statement.query_map([id], |row| {
        Ok(PhotoFile {
            path: row.path(0)?,
            stamp: FileStamp { size: size_of(row.get(1)?), mtime_ns: row.get(2)? },
            hash: hash_of(row, 3)?,
            facts: row.get(4)?,
        })
    })?;
    let files: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
    Ok((!files.is_empty()).then_some(PhotoFiles { id, picture, files }))
}

/// Whether the look in columns `at` (checksum) and `at + 1` (bytes) is what was written.
fn is_sound(row: &SqlRow<'_>, at: usize) -> rusqlite::Result<bool> {
    let checksum: i64 = row.get(at)?;
    Ok(row_checksum(row.get_ref(at + 1)?.as_blob()?) == checksum)
}

/// Photos whose look has other bytes than were written to the catalogue.
pub(crate) fn damaged(db: &Database) -> rusqlite::Result<Vec<i64>> {
    let mut statement = db.prepare("SELECT photo, checksum, data FROM look ORDER BY photo")?;
    let mut rows = statement.query([])?;
    let mut damaged = Vec::new();
    while let Some(row) = rows.next()? {
        if !is_sound(&row, 1)? {
            damaged.push(row.get(0)?);
        }
    }
    Ok(damaged)
}
