//! The change log: which photos changed, in order. Each cache records the position up to which it covers the log.

use super::seal;
use rusqlite::{Connection, OptionalExtension};

/// What changed about a photo: the log's column `about`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Anything.
    Photo = 0,
    /// Only its words (caption, camera), which the vectors do not depend on.
    Words = 1,
}

/// A position in the change log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) seq: i64,
    pub(crate) token: i64,
}

impl Stamp {
    /// The newest position.
    pub(crate) fn newest(db: &Connection) -> rusqlite::Result<Self> {
        db.prepare_cached("SELECT seq, token FROM change ORDER BY seq DESC LIMIT 1")?
            .query_row([], |row| Ok(Self { seq: row.get(0)?, token: row.get(1)? }))
    }

    /// The photos that changed since this position, ascending, with or without those of which only the words changed.
    /// `None` if this is not a position of this catalogue's log: it is ahead of the log, belongs to another library, or
    /// is older than what the log still contains.
    pub(crate) fn changed_since(self, db: &Connection, words: bool) -> rusqlite::Result<Option<Vec<i64>>> {
        let token: Option<i64> = db
            .prepare_cached("SELECT token FROM change WHERE seq = ?1")?
            .query_row([self.seq], |row| row.get(0))
            .optional()?;
        if token != Some(self.token) {
            return Ok(None);
        }
        // Exactly the condition of the index change_of_photos, so that SQLite uses it and skips changes of words.
        let about = if words { "" } else { "about = 0 AND" };
        let mut statement = db.prepare_cached(&format!(
            "SELECT DISTINCT photo FROM change WHERE {about} seq > ?1 AND photo IS NOT NULL ORDER BY photo"
        ))?;
        let rows = statement.query_map([self.seq], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<_>>().map(Some)
    }
}

/// Records in the change log that a photo changed, so that caches read it again.
pub(crate) fn log(db: &Connection, photo: i64, about: About) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO change (photo, about) VALUES (?1, ?2)")?.execute([photo, about as i64])?;
    seal::CHANGE.seal(db, "seq = ?1", [db.last_insert_rowid()])
}
