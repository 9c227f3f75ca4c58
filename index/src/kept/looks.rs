//! The looks of photos, and the files that hold the same photo.
//!
//! An indexing run writes those of the pictures that it decodes. The others are written later, like captions, without a
//! [`crate::Writer`], in short transactions.

use crate::catalogue::library::Library;
use crate::catalogue::rows::{ContentHash, FileStamp, PhotoFile, PhotoFiles};
use crate::catalogue::stored::{LISTED, hash_of, list_of, row_checksum, size_of};
use crate::catalogue::writer::{put_look, validate_look};
use crate::engine::{Database, SqlRow};
use crate::error::Result;
use rusqlite::{ToSql, params};

impl Library {
    /// The stored looks of this version that those of these photos have that have a file, by photo: the bytes that
    /// [`Library::save_looks`] was given. Damaged looks are left out: they can be computed again.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn looks(&self, version: u32, photos: &[i64]) -> Result<Vec<(i64, Vec<u8>)>> {
        let sql = format!(
            "SELECT photo, checksum, data FROM look l WHERE photo {LISTED} AND version = ?2
             AND EXISTS (SELECT 1 FROM file f WHERE f.photo = l.photo) ORDER BY photo"
        );
        self.sql(|db| {
            let mut looks = Vec::new();
            db.prepare_cached(&sql)?.for_each(params![list_of(photos), version], |row| {
                if is_sound(row, 1)? {
                    looks.push((row.get(0)?, row.get(2)?));
                }
                Ok(true)
            })?;
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

    /// The files that hold these photos, by id; those that no file holds are left out.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn files_of(&self, photos: &[i64]) -> Result<Vec<PhotoFiles>> {
        self.sql(|db| files_where(db, LISTED, list_of(photos)))
    }

    /// The photos that are held by more than one file, by id.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn copies(&self) -> Result<Vec<PhotoFiles>> {
        self.sql(|db| files_where(db, "IN (SELECT photo FROM file GROUP BY photo HAVING count(*) > ?1)", 1))
    }
}

/// The photos of which this is true, by id, with their files by path.
fn files_where(db: &Database, condition: &str, value: impl ToSql) -> rusqlite::Result<Vec<PhotoFiles>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT f.photo, p.picture, f.path, f.size, f.mtime_ns, f.hash, CAST(f.taken IS NOT NULL AS INTEGER)
         + CAST(f.camera IS NOT NULL AS INTEGER) + CAST(f.latitude IS NOT NULL AS INTEGER)
         + CAST(f.rating IS NOT NULL AS INTEGER)
         FROM file f JOIN photo p ON p.id = f.photo WHERE f.photo {condition} ORDER BY f.photo, f.path"
    ))?;
    let mut photos: Vec<PhotoFiles> = Vec::new();
    statement.for_each([value], |row| {
        let id = row.get(0)?;
        let file = PhotoFile {
            path: row.path(2)?,
            stamp: FileStamp { size: size_of(row.get(3)?), mtime_ns: row.get(4)? },
            hash: hash_of(row, 5)?,
            facts: row.get(6)?,
        };
        match photos.last_mut().filter(|last| last.id == id) {
            Some(last) => last.files.push(file),
            None => photos.push(PhotoFiles { id, picture: row.get(1)?, files: vec![file] }),
        }
        Ok(true)
    })?;
    Ok(photos)
}

/// Whether the look in columns `at` (checksum) and `at + 1` (bytes) is what was written.
fn is_sound(row: &SqlRow<'_>, at: usize) -> rusqlite::Result<bool> {
    let checksum: i64 = row.get(at)?;
    Ok(row_checksum(row.get_ref(at + 1)?.as_blob()?) == checksum)
}

/// Photos whose look has other bytes than were written to the catalogue.
pub(crate) fn damaged(db: &Database) -> rusqlite::Result<Vec<i64>> {
    let mut damaged = Vec::new();
    db.prepare("SELECT photo, checksum, data FROM look ORDER BY photo")?.for_each([], |row| {
        if !is_sound(row, 1)? {
            damaged.push(row.get(0)?);
        }
        Ok(true)
    })?;
    Ok(damaged)
}
