//! The change log: which photos changed, in order. Caches say up to which position they count.

use rusqlite::{Connection, OptionalExtension};

/// What a change of a photo is about: the column `about` of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Anything of it.
    Photo = 0,
    /// Nothing but its caption, which the vectors need not know of.
    Caption = 1,
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

    /// The photos that changed since, ascending; with or without those of which only the caption did. `None` if this is no position of this catalogue's log: ahead of it,
    /// of another library, or so far behind that the log no longer reaches back.
    pub(crate) fn changed_since(self, db: &Connection, captions: bool) -> rusqlite::Result<Option<Vec<i64>>> {
        let token: Option<i64> = db
            .prepare_cached("SELECT token FROM change WHERE seq = ?1")?
            .query_row([self.seq], |row| row.get(0))
            .optional()?;
        if token != Some(self.token) {
            return Ok(None);
        }
        // The condition of the index change_of_photos, in its own words: captions cost the vectors not even reading.
        let about = if captions { "" } else { "about = 0 AND" };
        let mut statement = db.prepare_cached(&format!(
            "SELECT DISTINCT photo FROM change WHERE {about} seq > ?1 AND photo IS NOT NULL ORDER BY photo"
        ))?;
        let rows = statement.query_map([self.seq], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<_>>().map(Some)
    }
}

/// Says in the change log that a photo changed, so that caches look at it again.
pub(crate) fn log(db: &Connection, photo: i64, about: About) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO change (photo, about) VALUES (?1, ?2)")?.execute([photo, about as i64])?;
    Ok(())
}
