//! What stands in photos, as a model for reading text read it.
//!
//! As with captions, these writes need no [`crate::Writer`].

use super::captions::exists;
use super::pending::PendingQueue;
use crate::catalogue::change_log::{About, log};
use crate::catalogue::library::Library;
use crate::catalogue::lock::Lock;
use crate::catalogue::paths;
use crate::catalogue::rows::{PendingPhoto, PhotoText, PlacedLine, TextCounts};
use crate::catalogue::seal;
use crate::catalogue::stored::{check_length, text_of};
use crate::engine::{Database, SqlRow};
use crate::error::{Error, Result};
use rusqlite::types::{Type, Value};
use rusqlite::{OptionalExtension, params};
use std::path::PathBuf;

/// The most lines of a photo, and characters of all its lines.
const MOST_LINES: usize = 2_000;
const LONGEST: usize = 100_000;

const LOCK: &str = "texts.lock";

/// The right to read the text in a library's photos, from [`Library::text_keeper`].
#[derive(Debug)]
pub struct TextKeeper<'a> {
    library: &'a Library,
    reader: String,
    queue: PendingQueue<'a>,
    /// Dropping it releases the lock. On a server there is none: each photo is leased.
    _lock: Option<Lock<'a>>,
}

impl Library {
    /// Takes the lock for reading the text in the library's photos by the model of this fingerprint. With `again`,
    /// photos that another model read are pending too.
    ///
    /// # Errors
    /// [`Error::Reading`] at once if another process or handle holds it (on a server, many may read); or the folder is
    /// read-only.
    pub fn text_keeper(&self, reader: &str, again: bool) -> Result<TextKeeper<'_>> {
        let held = |pid| Error::Reading { path: self.place(), pid };
        let lock = self.take_unless_shared(LOCK, held)?;
        let condition = "NOT EXISTS (SELECT 1 FROM reading r WHERE r.photo = p.id AND (NOT ?1 OR r.reader = ?2))";
        let values = vec![Value::from(again), Value::from(reader.to_owned())];
        let queue = PendingQueue::new(self, "text", condition.to_owned(), values)?;
        Ok(TextKeeper { library: self, reader: reader.to_owned(), queue, _lock: lock })
    }

    /// What stands in a photo; `None` if it has not been read.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn photo_text(&self, photo: i64) -> Result<Option<PhotoText>> {
        self.sql(|db| {
            db.prepare_cached(&format!("SELECT {COLUMNS} FROM reading WHERE photo = ?1"))?
                .query_row([photo], read)
                .optional()
        })
    }

    /// Deletes what was read in a photo, and returns it; a later run reads the photo again.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn clear_text(&self, photo: i64) -> Result<Option<PhotoText>> {
        self.write(|db| {
            let before = db
                .prepare_cached(&format!("SELECT {COLUMNS} FROM reading WHERE photo = ?1"))?
                .query_row([photo], read)
                .optional()?;
            if let Some(before) = &before {
                db.prepare_cached("DELETE FROM reading WHERE photo = ?1")?.execute([photo])?;
                if !before.text.is_empty() {
                    log(db, photo, About::Words)?;
                }
            }
            Ok(before)
        })
    }

    /// Gives a photo back what was read in it, as [`Library::clear_text`] returned it.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is too long, or the catalogue cannot be written.
    pub fn restore_text(&self, photo: i64, text: &PhotoText) -> Result<()> {
        check(&format!("the text in photo {photo}"), &text.lines, &text.text)?;
        self.write(|db| {
            if exists(db, photo)? {
                put(db, photo, &text.reader, &text.lines, &text.text, Some(text.read))?;
            }
            Ok(())
        })
    }

    /// How many of the library's photos were read, and in how many something stands.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn text_counts(&self) -> Result<TextCounts> {
        self.sql(|db| {
            db.query_row(
                "SELECT count(*), count(*) FILTER (WHERE text <> '') FROM reading r
                 WHERE EXISTS (SELECT 1 FROM file f WHERE f.photo = r.photo)",
                [],
                |row| Ok(TextCounts { read: row.get(0)?, with_text: row.get(1)? }),
            )
        })
    }

    /// What a person chose for this library under a name.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn setting(&self, name: &str) -> Result<Option<String>> {
        self.sql(|db| {
            db.prepare_cached("SELECT value FROM setting WHERE name = ?1")?
                .query_row([name], |row| text_of(row, 0))
                .optional()
        })
    }

    /// Remembers what a person chose for this library under a name.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn set_setting(&self, name: &str, value: &str) -> Result<()> {
        self.write(|db| {
            db.prepare_cached("INSERT OR REPLACE INTO setting (name, value) VALUES (?1, ?2)")?
                .execute([name, value])?;
            seal::SETTING.seal(db, "name = ?1", [name])
        })
    }

    /// Forgets what was chosen under a name.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn clear_setting(&self, name: &str) -> Result<()> {
        self.write(|db| db.execute("DELETE FROM setting WHERE name = ?1", [name]).map(|_| ()))
    }
}

impl TextKeeper<'_> {
    /// Leaves out all photos but those that have a file at or below one of these paths.
    #[must_use]
    pub fn within(mut self, folders: &[PathBuf]) -> Self {
        self.queue.keep_within(folders);
        self
    }

    /// At most `n` photos that wait to be read, as [`crate::Captioner::pending`].
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn pending(&mut self, n: usize) -> Result<Vec<PendingPhoto>> {
        self.queue.take(n)
    }

    /// How many photos wait to be read, including those handed out and not saved.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn pending_count(&self) -> Result<u64> {
        self.queue.count()
    }

    /// Saves what stands in photos (their ids, the lines, and what of them is searched), all or none. A photo that is
    /// gone is skipped. After an error, the same call can be repeated.
    ///
    /// # Errors
    /// [`Error::Refused`] for more than 2,000 lines or 100,000 characters of a photo; or the catalogue cannot be
    /// written.
    pub fn save(&mut self, done: &[(i64, Vec<PlacedLine>, String)]) -> Result<()> {
        done.iter().try_for_each(|(photo, lines, text)| check(&format!("the text in photo {photo}"), lines, text))?;
        self.library.write(|db| {
            for (photo, lines, text) in done {
                self.queue.close(db, *photo)?;
                if exists(db, *photo)? {
                    put(db, *photo, &self.reader, lines, text, None)?;
                }
            }
            Ok(())
        })?;
        done.iter().for_each(|(photo, ..)| self.queue.done(*photo));
        Ok(())
    }

    /// As [`crate::Captioner::refresh_words`].
    ///
    /// # Errors
    /// The catalogue cannot be read, or the cache cannot be written.
    pub fn refresh_words(&self, progress: &mut dyn FnMut(&'static str, u64, u64) -> bool) -> Result<bool> {
        self.library.refresh_words(progress)
    }
}

/// Of a reading: what [`read`] needs.
pub(crate) const COLUMNS: &str = "reader, lines, text, read";
/// How many they are.
pub(crate) const WIDTH: usize = 4;

/// The reading whose [`COLUMNS`] come first in a row.
pub(crate) fn read(row: &SqlRow<'_>) -> rusqlite::Result<PhotoText> {
    let lines = text_of(row, 1)?;
    let lines = serde_json::from_str(&lines)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, Box::new(error)))?;
    Ok(PhotoText { reader: text_of(row, 0)?, lines, text: text_of(row, 2)?, read: row.get(3)? })
}

/// Refuses what is too long.
pub(crate) fn check(what: &str, lines: &[PlacedLine], text: &str) -> Result<()> {
    if lines.len() > MOST_LINES {
        let reason = format!("it has {} lines; {MOST_LINES} are allowed", lines.len());
        return Err(Error::Refused { what: what.into(), reason });
    }
    if !lines.iter().all(|line| line.score.is_finite() && line.quad.as_flattened().iter().all(|at| at.is_finite())) {
        return Err(Error::Refused { what: what.into(), reason: "it contains NaN or infinity".into() });
    }
    check_length(what, text, LONGEST)?;
    lines.iter().map(|line| line.text.chars().count()).sum::<usize>().le(&LONGEST).then_some(()).ok_or_else(|| {
        Error::Refused { what: what.into(), reason: format!("its lines have more than {LONGEST} characters") }
    })
}

/// Writes what stands in a photo; without a time, now.
pub(crate) fn put(
    db: &Database,
    photo: i64,
    reader: &str,
    lines: &[PlacedLine],
    text: &str,
    read: Option<i64>,
) -> rusqlite::Result<()> {
    let lines = serde_json::to_string(lines).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let before: Option<String> = db
        .prepare_cached("SELECT text FROM reading WHERE photo = ?1")?
        .query_row([photo], |row| text_of(row, 0))
        .optional()?;
    db.prepare_cached(
        "INSERT OR REPLACE INTO reading (photo, reader, lines, text, folded, read)
         VALUES (?1, ?2, ?3, ?4, ?5, coalesce(?6, unixepoch()))",
    )?
    .execute(params![photo, reader, lines, text, paths::padded_words(text), read])?;
    seal::READING.seal(db, "photo = ?1", [photo])?;
    // Most photos hold no text: the caches need not follow.
    if before.unwrap_or_default() == text { Ok(()) } else { log(db, photo, About::Words) }
}
