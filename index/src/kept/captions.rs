//! Captions, and the encodings of photos.
//!
//! These writes need no [`crate::Writer`]: each is one short transaction, so that captioning for hours blocks neither
//! an indexing run nor a caption written by hand, and is blocked by neither.

use crate::catalogue::change_log::{About, log};
use crate::catalogue::library::Library;
use crate::catalogue::paths;
use crate::catalogue::rows::{Caption, CaptionCounts, EncodingCounts};
use crate::catalogue::seal;
use crate::catalogue::stored::{LONGEST_CAPTION, check_length, row_checksum, text_of};
use crate::engine::{Database, SqlRow};
use crate::error::{Error, Result};
use rusqlite::{OptionalExtension, params};

/// The most numbers that an encoding may have: 64 MiB. That of BLIP-2 has 32 queries of 768 numbers; those of models
/// that see a photo in tiles have some millions.
const LARGEST_ENCODING: usize = 16 << 20;
/// The most bytes of encodings that a library keeps: they can be computed again.
pub const ENCODINGS_AT_MOST: u64 = 2 << 30;

impl Library {
    /// The caption of a photo.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn caption(&self, photo: i64) -> Result<Option<Caption>> {
        self.sql(|db| {
            db.prepare_cached("SELECT text, captioner, written, carried FROM caption WHERE photo = ?1")?
                .query_row([photo], |row| {
                    Ok(Caption {
                        text: text_of(row, 0)?,
                        captioner: row.get(1)?,
                        written: row.get(2)?,
                        carried: row.path_or_null(3)?,
                    })
                })
                .optional()
        })
    }

    /// Gives a photo a caption written by hand, which no model overwrites. Searches that start afterwards find it.
    ///
    /// # Errors
    /// [`Error::Refused`] for an empty text or one of more than 10,000 characters; [`Error::NoPhoto`]; or the catalogue
    /// cannot be written.
    pub fn set_caption_by_hand(&self, photo: i64, text: &str) -> Result<()> {
        if text.trim().is_empty() {
            return Err(Error::Refused { what: "the caption".into(), reason: "it is empty".into() });
        }
        check_length("the caption", text, LONGEST_CAPTION)?;
        self.write(|db| exists(db, photo)?.then(|| put_caption(db, photo, text, None)).transpose())?
            .map(drop)
            .ok_or(Error::NoPhoto { photo })
    }

    /// Deletes the caption of a photo, whoever wrote it, and returns whether there was one. The next captioning run
    /// writes a new one.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn clear_caption(&self, photo: i64) -> Result<bool> {
        self.write(|db| {
            let had = db.prepare_cached("DELETE FROM caption WHERE photo = ?1")?.execute([photo])? > 0;
            if had {
                log(db, photo, About::Words)?;
            }
            Ok(had)
        })
    }

    /// Gives a photo a caption that the model `captioner` (its fingerprint) wrote, in the place of any model's caption.
    /// Returns `false` and changes nothing if the photo has a caption written by hand.
    ///
    /// # Errors
    /// [`Error::Refused`] for a text of more than 10,000 characters; [`Error::NoPhoto`]; or the catalogue cannot be
    /// written.
    pub fn save_caption(&self, photo: i64, text: &str, captioner: &str) -> Result<bool> {
        check_length("the caption", text, LONGEST_CAPTION)?;
        self.write(|db| exists(db, photo)?.then(|| put_caption(db, photo, text, Some(captioner))).transpose())?
            .ok_or(Error::NoPhoto { photo })
    }

    /// The encoding of a photo by the model `captioner` (BLIP-2: the Q-Former's output, row by row); `None` if it is
    /// not stored or is damaged: it can be computed again.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn encoding(&self, photo: i64, captioner: &str) -> Result<Option<Vec<f32>>> {
        self.sql(|db| {
            let mut statement =
                db.prepare_cached("SELECT checksum, data FROM encoding WHERE photo = ?1 AND captioner = ?2")?;
            let mut rows = statement.query(params![photo, captioner])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let bytes = row.get_ref(1)?.as_blob()?;
            let numbers = || bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            Ok(is_sound(bytes, row.get(0)?).then(numbers))
        })
    }

    /// Stores the encoding of a photo by the model `captioner`, in the place of an older one. Does nothing for a photo
    /// that is no longer in the library. If there are more than [`ENCODINGS_AT_MOST`] bytes of them, the oldest are
    /// dropped.
    ///
    /// # Errors
    /// [`Error::Refused`] for no numbers, more than 16,777,216, or NaN or infinity among them; or the catalogue cannot
    /// be written.
    pub fn save_encoding(&self, photo: i64, captioner: &str, encoding: &[f32]) -> Result<()> {
        check_encoding(photo, encoding)?;
        self.write(|db| put_encoding(db, photo, captioner, encoding))
    }

    /// How many encodings are stored, of how many bytes.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn encoding_counts(&self) -> Result<EncodingCounts> {
        self.sql(|db| {
            db.query_row("SELECT count(*), coalesce(sum(length(data)), 0) FROM encoding", [], |row| {
                Ok(EncodingCounts { stored: row.get(0)?, bytes: row.get(1)? })
            })
        })
    }

    /// How many of the library's photos have a caption; those for which another one is captioned do not count.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn caption_counts(&self) -> Result<CaptionCounts> {
        self.sql(|db| {
            db.query_row(
                "SELECT (SELECT count(DISTINCT photo) FROM file WHERE photo NOT IN
                 (SELECT photo FROM stack WHERE leader <> photo AND photo NOT IN (SELECT photo FROM caption))),
                 count(*), count(*) - count(captioner) FROM caption c
                 WHERE EXISTS (SELECT 1 FROM file f WHERE f.photo = c.photo)",
                [],
                |row| Ok(CaptionCounts { photos: row.get(0)?, captioned: row.get(1)?, by_hand: row.get(2)? }),
            )
        })
    }
}

/// Whether this photo is in the catalogue.
pub(crate) fn exists(db: &Database, photo: i64) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM photo WHERE id = ?1")?.exists([photo])
}

/// Writes a caption, as one by hand if there is no captioner; `false` if a captioner would replace one written by hand.
pub(crate) fn put_caption(db: &Database, photo: i64, text: &str, captioner: Option<&str>) -> rusqlite::Result<bool> {
    let written = db
        .prepare_cached(
            "INSERT INTO caption (photo, text, folded, captioner, written) VALUES (?1, ?2, ?3, ?4, unixepoch())
             ON CONFLICT (photo) DO UPDATE SET text = ?2, folded = ?3, captioner = ?4, written = unixepoch(),
             carried = NULL WHERE ?4 IS NULL OR caption.captioner IS NOT NULL",
        )?
        .execute(params![photo, text, paths::padded_words(text), captioner])?
        > 0;
    if written {
        seal::CAPTION.seal(db, "photo = ?1", [photo])?;
        log(db, photo, About::Words)?;
    }
    Ok(written)
}

/// Writes the encoding of a photo, if the photo is in the catalogue.
pub(crate) fn put_encoding(db: &Database, photo: i64, captioner: &str, encoding: &[f32]) -> rusqlite::Result<()> {
    let bytes: Vec<u8> = encoding.iter().flat_map(|v| v.to_le_bytes()).collect();
    db.prepare_cached(
        "INSERT INTO encoding (photo, captioner, checksum, data)
         SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM photo WHERE id = ?1)
         ON CONFLICT (photo, captioner) DO UPDATE SET checksum = ?3, data = ?4",
    )?
    .execute(params![photo, captioner, row_checksum(&bytes), bytes])?;
    seal::ENCODING.seal(db, "photo = ?1 AND captioner = ?2", params![photo, captioner])?;
    drop_oldest(db, ENCODINGS_AT_MOST)
}

/// Drops the encodings that were stored first until the others have at most so many bytes. SQLite reads the length of a
/// value without the value.
fn drop_oldest(db: &Database, most: u64) -> rusqlite::Result<()> {
    let total = |row: &SqlRow<'_>| row.get::<_, u64>(0);
    let mut left = db.prepare_cached("SELECT coalesce(sum(length(data)), 0) FROM encoding")?.query_row([], total)?;
    if left <= most {
        return Ok(());
    }
    let mut statement = db.prepare_cached("SELECT rowid, length(data) FROM encoding ORDER BY rowid")?;
    let mut rows = statement.query([])?;
    let mut last: Option<i64> = None;
    while left > most
        && let Some(row) = rows.next()?
    {
        last = Some(row.get(0)?);
        left -= row.get::<_, u64>(1)?;
    }
    db.prepare_cached("DELETE FROM encoding WHERE rowid <= ?1")?.execute([last])?;
    Ok(())
}

/// Refuses numbers that cannot be an encoding.
pub(crate) fn check_encoding(photo: i64, encoding: &[f32]) -> Result<()> {
    let reason = if encoding.is_empty() {
        "it is empty".into()
    } else if encoding.len() > LARGEST_ENCODING {
        format!("it has {} numbers; {LARGEST_ENCODING} are allowed", encoding.len())
    } else if !encoding.iter().all(|v| v.is_finite()) {
        "it contains NaN or infinity".into()
    } else {
        return Ok(());
    };
    Err(Error::Refused { what: format!("the encoding of photo {photo}"), reason })
}

fn is_sound(bytes: &[u8], checksum: i64) -> bool {
    !bytes.is_empty() && bytes.len().is_multiple_of(4) && row_checksum(bytes) == checksum
}

/// Photo and captioner of the encodings whose checksum or length is wrong.
pub(crate) fn damaged_encodings(db: &Database) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut damaged = Vec::new();
    db.prepare("SELECT photo, captioner, checksum, data FROM encoding ORDER BY photo, captioner")?.for_each(
        [],
        |row| {
            if !is_sound(row.get_ref(3)?.as_blob()?, row.get(2)?) {
                damaged.push((row.get(0)?, text_of(row, 1)?));
            }
            Ok(true)
        },
    )?;
    Ok(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_encodings_go_first() {
        let db = Database::of_file(rusqlite::Connection::open_in_memory().unwrap());
        db.execute_batch(
            "CREATE TABLE encoding (photo INTEGER, captioner TEXT, data BLOB, PRIMARY KEY (photo, captioner))",
        )
        .unwrap();
        for photo in [5, 1, 3] {
            db.execute("INSERT INTO encoding VALUES (?1, 'a', zeroblob(100))", [photo]).unwrap();
        }
        let left = |most: u64| -> Vec<i64> {
            drop_oldest(&db, most).unwrap();
            let mut statement = db.prepare("SELECT photo FROM encoding ORDER BY rowid").unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(|id| id.unwrap()).collect()
        };
        assert_eq!(left(300), [5, 1, 3]);
        assert_eq!(left(250), [1, 3]);
        assert_eq!(left(100), [3]);
        assert!(left(99).is_empty());
    }
}
