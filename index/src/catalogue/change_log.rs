//! The change log: which photos changed, in order. Each cache records the position up to which it covers the log.

use super::seal;
use crate::engine::{Database, values_of};
use rusqlite::{OptionalExtension, params};

/// What changed about a photo: the log's column `about`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// Anything.
    Photo = 0,
    /// Only its words (caption, camera), which the vectors do not depend on.
    Words = 1,
    /// Only its embedding by the model that the entry names.
    Vectors = 2,
}

/// What a cache repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The photos' words.
    Words,
    /// Their embeddings by the model with this id.
    Vectors(i64),
}

/// A position in the change log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) seq: i64,
    pub(crate) token: i64,
}

impl Stamp {
    /// The newest position.
    pub(crate) fn newest(db: &Database) -> rusqlite::Result<Self> {
        db.prepare_cached("SELECT seq, token FROM change ORDER BY seq DESC LIMIT 1")?
            .query_row([], |row| Ok(Self { seq: row.get(0)?, token: row.get(1)? }))
    }

    /// The photos of which this part changed since this position, ascending. `None` if this is not a position of this
    /// catalogue's log: it is ahead of the log, belongs to another library, or is older than what the log still
    /// contains.
    pub(crate) fn changed_since(self, db: &Database, part: Part) -> rusqlite::Result<Option<Vec<i64>>> {
        let token: Option<i64> = db
            .prepare_cached("SELECT token FROM change WHERE seq = ?1")?
            .query_row([self.seq], |row| row.get(0))
            .optional()?;
        if token != Some(self.token) {
            return Ok(None);
        }
        let (sql, of_model) = match part {
            Part::Words => (WORDS_SINCE, None),
            Part::Vectors(model) => (VECTORS_SINCE, Some(model)),
        };
        let mut statement = db.prepare_cached(sql)?;
        let values = [Some(self.seq), of_model];
        let rows = statement.query_map(values_of(values.iter().flatten()), |row| row.get(0))?;
        rows.collect::<rusqlite::Result<_>>().map(Some)
    }
}

const WORDS_SINCE: &str =
    "SELECT DISTINCT photo FROM change WHERE seq > ?1 AND about < 2 AND photo IS NOT NULL ORDER BY photo";

/// Exactly the conditions of the indexes `change_of_photos` and `change_of_vectors`, so that SQLite uses them and skips
/// changes of words and of other models.
pub(crate) const VECTORS_SINCE: &str = "SELECT photo FROM change WHERE about = 0 AND seq > ?1 AND photo IS NOT NULL
    UNION SELECT photo FROM change WHERE about = 2 AND model = ?2 AND seq > ?1 AND photo IS NOT NULL ORDER BY 1";

/// Records in the change log that a photo changed, so that caches read it again.
pub(crate) fn log(db: &Database, photo: i64, about: About) -> rusqlite::Result<()> {
    insert(db, photo, about, None)
}

/// Records that only the photo's embedding by this model changed.
pub(crate) fn log_vectors(db: &Database, photo: i64, model: i64) -> rusqlite::Result<()> {
    insert(db, photo, About::Vectors, Some(model))
}

fn insert(db: &Database, photo: i64, about: About, model: Option<i64>) -> rusqlite::Result<()> {
    let seq: i64 = db
        .prepare_cached("INSERT INTO change (photo, about, model) VALUES (?1, ?2, ?3) RETURNING seq")?
        .query_row(params![photo, about as i64, model], |row| row.get(0))?;
    seal::CHANGE.seal(db, "seq = ?1", [seq])
}
