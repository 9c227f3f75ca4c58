//! Copying a whole library to another engine: every row of every table, with its ids.

use crate::catalogue::library::Library;
use crate::catalogue::seal::{self, Sealed};
use crate::engine::{Database, SqlRow, values_of};
use crate::error::{Error, Result};
use rusqlite::types::{Value, ValueRef};
use serde::Serialize;
use xxhash_rust::xxh3::Xxh3;

/// The tables, those first that others refer to. Of `commits` each library has its own.
const TABLES: [Sealed; 34] = [
    seal::MODEL,
    seal::ROOT,
    seal::PHOTO,
    seal::FILE,
    seal::EMBEDDING,
    seal::TAG,
    seal::OTHER_TAG,
    seal::FAILURE,
    seal::FORGOTTEN,
    seal::CHANGE,
    seal::CAPTION,
    seal::ENCODING,
    seal::CONVERSATION,
    seal::TURN,
    seal::CLUSTER,
    seal::MEMBER,
    seal::LABEL_SET,
    seal::CLASSIFIER,
    seal::LOOK,
    seal::LAST_SEEN,
    seal::GIVEN_NAME,
    seal::NAMED_PICTURE,
    seal::PROPOSED,
    seal::PAST_CLUSTERS,
    seal::UNREAD,
    seal::NAMED,
    seal::STACK,
    seal::READING,
    seal::SETTING,
    seal::ALBUM,
    seal::ALBUM_PICTURE,
    seal::OWN_TAG,
    seal::OWN_RATING,
    seal::SAVED_SEARCH,
];

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Copied {
    /// Rows that were written.
    pub rows: u64,
    /// Rows that an earlier copy had brought there.
    pub there: u64,
}

/// What a table holds: how many rows, and a sum over all of them that does not depend on their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Content {
    rows: u64,
    sum: u64,
}

impl Library {
    /// Copies everything in this library to another one, which must be empty or hold what an earlier copy has brought
    /// there that was stopped. Each table is one transaction, read again and compared. `progress` gets the rows done
    /// and their total; once it returns `false`, the rest is left for the next time. `None` if it stopped the copy.
    ///
    /// # Errors
    /// [`Error::Refused`] if the other library holds something else; it is being written to, or a catalogue cannot be
    /// read or written.
    pub fn copy_to(&self, other: &Self, progress: &mut dyn FnMut(u64, u64) -> bool) -> Result<Option<Copied>> {
        let _writer = other.lock()?;
        // One moment of the library, however long it takes.
        let source = self.reopen()?;
        source.sql(Database::begin_snapshot)?;
        let mut total = 0;
        for sealed in TABLES {
            let count = format!("SELECT count(*) FROM {}", sealed.table);
            total += source.sql(|db| db.query_row(&count, [], |row| row.get::<_, u64>(0)))?;
        }
        let (mut copied, mut done) = (Copied::default(), 0);
        for sealed in TABLES {
            if !progress(done, total) {
                return Ok(None);
            }
            let wanted = source.sql(|db| content(db, sealed))?;
            if other.sql(|db| content(db, sealed))? == wanted {
                copied.there += wanted.rows;
            } else {
                copy_table(&source, other, sealed, wanted)?;
                copied.rows += wanted.rows;
            }
            done += wanted.rows;
        }
        other.analyze()?;
        Ok(Some(copied))
    }
}

fn copy_table(source: &Library, other: &Library, sealed: Sealed, wanted: Content) -> Result<()> {
    let table = sealed.table;
    let columns = sealed.all_columns();
    let (names, marks) = (columns.join(", "), vec!["?"; columns.len()].join(", "));
    // The log begins with an entry of its own.
    let own = if sealed == seal::CHANGE { "WHERE photo IS NOT NULL" } else { "" };
    if other.sql(|db| db.prepare(&format!("SELECT 1 FROM {table} {own} LIMIT 1"))?.exists([]))? {
        return Err(Error::Refused {
            what: format!("copying to {}", crate::escape::path(&other.place())),
            reason: format!("its table {table} holds something else: copy to an empty library"),
        });
    }
    other.write(|db| {
        db.execute(&format!("DELETE FROM {table}"), [])?;
        let insert = format!("INSERT INTO {table} ({names}) VALUES ({marks})");
        let copied = source.sql(|from| {
            from.prepare(&select(sealed))?.for_each([], |row| {
                db.prepare_cached(&insert)?.execute(values_of(values(row, columns.len())?))?;
                Ok(true)
            })
        });
        copied.map_err(|error| rusqlite::Error::UserFunctionError(Box::new(error)))?;
        sealed.seal(db, "true", [])?;
        if let (Some(server), Some(id)) = (db.server(), columns.iter().find(|column| matches!(**column, "id" | "seq")))
        {
            server.continue_after(table, id)?;
        }
        if content(db, sealed)? != wanted {
            let what = format!("what arrived in the table {table} is not what was sent");
            return Err(rusqlite::Error::UserFunctionError(what.into()));
        }
        Ok(())
    })
}

/// All rows of a table. Those of which the oldest go first come in the order in which they were written.
fn select(sealed: Sealed) -> String {
    let order = if sealed == seal::ENCODING { "ORDER BY rowid" } else { "" };
    format!("SELECT {} FROM {} {order}", sealed.all_columns().join(", "), sealed.table)
}

fn values(row: &SqlRow<'_>, columns: usize) -> rusqlite::Result<Vec<Value>> {
    (0..columns).map(|at| row.get(at)).collect()
}

fn content(db: &Database, sealed: Sealed) -> rusqlite::Result<Content> {
    let columns = sealed.all_columns().len();
    let mut content = Content::default();
    db.prepare(&select(sealed))?.for_each([], |row| {
        let mut hasher = Xxh3::new();
        for at in 0..columns {
            let mut put = |kind: u8, bytes: &[u8]| {
                hasher.update(&[kind]);
                hasher.update(&(bytes.len() as u64).to_le_bytes());
                hasher.update(bytes);
            };
            match row.get_ref(at)? {
                ValueRef::Null => put(0, &[]),
                ValueRef::Integer(number) => put(1, &number.to_le_bytes()),
                ValueRef::Real(number) => put(2, &number.to_le_bytes()),
                ValueRef::Text(text) => put(3, text),
                ValueRef::Blob(bytes) => put(4, bytes),
            }
        }
        content.rows += 1;
        content.sum = content.sum.wrapping_add(hasher.digest());
        Ok(true)
    })?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_copied() {
        let mut known: Vec<&str> = seal::ALL.iter().map(|sealed| sealed.table).collect();
        let mut copied: Vec<&str> = TABLES.iter().map(|sealed| sealed.table).collect();
        known.sort_unstable();
        copied.sort_unstable();
        assert_eq!(copied, known);
    }
}
