//! Saved searches: queries that a person gave names.

use crate::catalogue::library::Library;
use crate::catalogue::paths;
use crate::catalogue::seal;
use crate::catalogue::stored::{check_length, text_of};
use crate::engine::Database;
use crate::error::{Error, Result};
use rusqlite::{OptionalExtension, params};

/// The most characters of a name, and of a query.
const LONGEST_NAME: usize = 200;
const LONGEST_QUERY: usize = 10_000;

/// A query with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSearch {
    /// Its name; no two differ only by case or accents. Foreign text.
    pub name: String,
    /// The query. Foreign text.
    pub query: String,
    /// When it was saved, in seconds since 1970.
    pub written: i64,
}

impl Library {
    /// The saved searches, by name.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn saved_searches(&self) -> Result<Vec<SavedSearch>> {
        self.sql(|db| {
            let mut statement = db.prepare_cached("SELECT name, query, written FROM saved_search ORDER BY folded")?;
            let search = |row: &crate::engine::SqlRow<'_>| {
                Ok(SavedSearch { name: text_of(row, 0)?, query: text_of(row, 1)?, written: row.get(2)? })
            };
            statement.query_map([], search)?.collect()
        })
    }

    /// The query that is saved under a name; case and accents are ignored.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn saved_search(&self, name: &str) -> Result<Option<String>> {
        self.sql(|db| {
            db.prepare_cached("SELECT query FROM saved_search WHERE folded = ?1")?
                .query_row([paths::fold(name)], |row| text_of(row, 0))
                .optional()
        })
    }

    /// Saves a query under a name in the place of another one, or deletes that with `None`. Returns the query that was
    /// saved under it before.
    ///
    /// # Errors
    /// [`Error::Refused`] for a name or a query that is empty or too long, or the catalogue cannot be written.
    pub fn save_search(&self, name: &str, query: Option<&str>) -> Result<Option<String>> {
        query.map_or(Ok(()), |query| check(name, query))?;
        let before = self.saved_search(name)?;
        self.write(|db| match query {
            Some(query) => put(db, name, query, None),
            None => db.execute("DELETE FROM saved_search WHERE folded = ?1", [paths::fold(name)]).map(drop),
        })?;
        Ok(before)
    }
}

/// Refuses a name that cannot be asked for, and a query that asks for nothing.
pub(crate) fn check(name: &str, query: &str) -> Result<()> {
    check_length("the name of a search", name, LONGEST_NAME)?;
    check_length("a query", query, LONGEST_QUERY)?;
    let empty = |what: &str| Err(Error::Refused { what: what.into(), reason: "it is empty".into() });
    if paths::fold(name).trim().is_empty() {
        return empty("the name of a search");
    }
    if query.trim().is_empty() { empty("the query of a saved search") } else { Ok(()) }
}

/// Saves a query, at this time if not now.
pub(crate) fn put(db: &Database, name: &str, query: &str, written: Option<i64>) -> rusqlite::Result<()> {
    let folded = paths::fold(name);
    db.execute(
        "INSERT OR REPLACE INTO saved_search (folded, name, query, written) VALUES (?1, ?2, ?3, coalesce(?4, unixepoch()))",
        params![folded, name, query, written],
    )?;
    seal::SAVED_SEARCH.seal(db, "folded = ?1", [folded])
}
