//! Values as they are stored: checked when written and again when read, because a disk may change them.

use super::rows::ContentHash;
use crate::engine::{Database, SqlRow};
use crate::error::{Error, Result};
use rusqlite::OptionalExtension;
use std::path::PathBuf;
use xxhash_rust::xxh3::xxh3_64;

/// The most characters that a caption may have, and also a question.
pub(crate) const LONGEST_CAPTION: usize = 10_000;

/// The checksum kept beside an embedding's bytes.
pub(crate) fn row_checksum(bytes: &[u8]) -> i64 {
    xxh3_64(bytes) as i64
}

/// Whether the bytes of an embedding, of one vector or more, are those that were written.
pub(crate) fn is_sound(bytes: &[u8], dim: usize, checksum: i64) -> bool {
    !bytes.is_empty() && bytes.len().is_multiple_of(4 * dim) && row_checksum(bytes) == checksum
}

/// Appends the embedding in columns `at` (checksum) and `at + 1` (bytes) to `out` if it is sound; returns how many
/// vectors of `dim` numbers it has, and 0 if it is damaged.
pub(crate) fn read_row(row: &SqlRow<'_>, at: usize, dim: usize, out: &mut Vec<f32>) -> rusqlite::Result<usize> {
    let checksum: i64 = row.get(at)?;
    let bytes = row.get_ref(at + 1)?.as_blob()?;
    if !is_sound(bytes, dim, checksum) {
        return Ok(0);
    }
    out.extend(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)));
    Ok(bytes.len() / (4 * dim))
}

/// Refuses a text with too many characters; `what` names the text in the error.
pub(crate) fn check_length(what: &str, text: &str, longest: usize) -> Result<()> {
    let length = text.chars().count();
    if length > longest {
        return Err(Error::Refused {
            what: what.to_owned(),
            reason: format!("it has {length} characters; {longest} are allowed"),
        });
    }
    Ok(())
}

/// What follows a column in a condition that its value is in the list ?1 (JSON).
pub(crate) const LISTED: &str = "IN (SELECT value FROM json_each(?1))";

/// Ids as [`LISTED`] takes them.
pub(crate) fn list_of(ids: &[i64]) -> String {
    // Numbers can always be written.
    serde_json::to_string(ids).unwrap_or_default()
}

/// The text of a column, with invalid UTF-8 replaced: a damaged caption must not make every search that meets it fail.
pub(crate) fn text_of(row: &SqlRow<'_>, at: usize) -> rusqlite::Result<String> {
    Ok(String::from_utf8_lossy(row.get_ref(at)?.as_bytes()?).into_owned())
}

/// The hash in a column; zeros if it is damaged: the rest of the row is worth reading.
pub(crate) fn hash_of(row: &SqlRow<'_>, at: usize) -> rusqlite::Result<ContentHash> {
    Ok(row.get_ref(at)?.as_bytes().ok().and_then(|bytes| bytes.try_into().ok()).unwrap_or_default())
}

/// The first path of a photo; `None` if it has no file.
pub(crate) fn first_path(db: &Database, photo: i64) -> rusqlite::Result<Option<PathBuf>> {
    db.prepare_cached("SELECT path FROM file WHERE photo = ?1 ORDER BY path LIMIT 1")?
        .query_row([photo], |row| row.path(0))
        .optional()
}

/// Whether a value could not be read as what it must be, which only damage explains.
pub(crate) fn is_conversion(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(error, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..))
}

/// A size as SQLite stores it: its integers are signed, and no file is larger than they can express.
pub(crate) fn size_of(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

/// The inverse of [`size_of`].
pub(crate) fn stored_size(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
