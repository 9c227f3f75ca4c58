//! Seals: a checksum in every row over the row's other columns, so that no flipped bit is taken for what was written.
//!
//! Large values (vectors, looks) have a checksum of their own, which the seal covers. Embeddings, encodings and
//! classifiers of a library that comes from an older release have no seal until they are written again: they can be
//! gigabytes, and all their other columns stand a second time in an index, with which SQLite's integrity check compares
//! them.

use crate::engine::{Database, SqlValues};
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use xxhash_rust::xxh3::Xxh3;

/// The columns of `file` and `photo` that hold what files say (see [`super::told`]), as a literal.
macro_rules! told_columns {
    () => {
        "taken, taken_from, taken_offset, camera, lens, aperture, exposure, iso, focal_length, latitude, longitude, \
         place, rating, color_label, title, description, creator, copyright, location, city, region, country, motion"
    };
}
pub(crate) use told_columns;

/// A table whose rows are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sealed {
    pub(crate) table: &'static str,
    /// The column, or an expression, that names a row to a person: the id of a photo, a path, a name.
    pub(crate) key: &'static str,
    /// Every column but the seal and large values.
    columns: &'static str,
    /// Whether rows of an older release have no seal.
    late: bool,
}

const fn sealed(table: &'static str, key: &'static str, columns: &'static str) -> Sealed {
    Sealed { table, key, columns, late: false }
}

const fn sealed_late(table: &'static str, key: &'static str, columns: &'static str) -> Sealed {
    Sealed { table, key, columns, late: true }
}

pub(crate) const EMBEDDING: Sealed = sealed_late("embedding", "photo", "photo, model, checksum");
pub(crate) const ENCODING: Sealed = sealed_late("encoding", "photo", "photo, captioner, checksum");
pub(crate) const CLASSIFIER: Sealed = sealed_late("classifier", "label_set", "label_set, fingerprint, checksum");

pub(crate) const MODEL: Sealed = sealed(
    "model",
    "name",
    "id, name, fingerprint, dim, current, beside, neutral_count, neutral_mean, neutral_std, \
        texts_name, texts_fingerprint, awaits_tags",
);
pub(crate) const ROOT: Sealed = sealed("root", "path", "path");
pub(crate) const PHOTO: Sealed = sealed(
    "photo",
    "id",
    concat!(
        "id, picture, identified, width, height, format, remark, colors, camera_folded, place_folded, ",
        told_columns!()
    ),
);
pub(crate) const FILE: Sealed = sealed(
    "file",
    "path",
    concat!("id, path, folded, root, size, mtime_ns, photo, hash, reader, beside, ", told_columns!()),
);
pub(crate) const TAG: Sealed = sealed("tag", "photo", "photo, position, label, folded, score");
pub(crate) const OTHER_TAG: Sealed = sealed("other_tag", "photo", "photo, model, position, label, folded, score");
pub(crate) const FAILURE: Sealed = sealed("failure", "path", "path, size, mtime_ns, kind, message, reader");
pub(crate) const FORGOTTEN: Sealed = sealed("forgotten", "path", "path, forgotten");
pub(crate) const CHANGE: Sealed = sealed("change", "seq", "seq, photo, token, about, model");
pub(crate) const CAPTION: Sealed = sealed("caption", "photo", "photo, text, folded, captioner, written, carried");
pub(crate) const CONVERSATION: Sealed =
    sealed("conversation", "id", "id, picture, file, path, model, started, updated");
pub(crate) const TURN: Sealed = sealed("turn", "conversation", "conversation, position, question, answer");
pub(crate) const CLUSTER: Sealed =
    sealed("cluster", "id", "id, name, folded, by_hand, keywords, coherence, reach, fingerprint, checksum");
pub(crate) const MEMBER: Sealed = sealed("member", "photo", "photo, cluster, cosine");
pub(crate) const LABEL_SET: Sealed =
    sealed("label_set", "name", "id, name, folded, labels, background, templates, threshold, written");
pub(crate) const LOOK: Sealed = sealed("look", "photo", "photo, version, checksum");
pub(crate) const LAST_SEEN: Sealed = sealed("last_seen", "path", "path, photo, ended");
pub(crate) const GIVEN_NAME: Sealed = sealed("given_name", "name", "id, name, folded, written");
pub(crate) const NAMED_PICTURE: Sealed = sealed("named_picture", "name", "name, picture");

pub(crate) const PAST_CLUSTERS: Sealed = sealed("past_clusters", "id", "id, until, clusters, checksum");

pub(crate) const PROPOSED: Sealed = sealed("proposed", "path", "path");
pub(crate) const UNREAD: Sealed = sealed("unread", "path", "path, ending, files");
pub(crate) const STACK: Sealed = sealed("stack", "photo", "photo, leader");
pub(crate) const NAMED: Sealed = sealed("named", "file", "file, kind, position, text, folded");
pub(crate) const READING: Sealed = sealed("reading", "photo", "photo, reader, lines, text, folded, read");
pub(crate) const SETTING: Sealed = sealed("setting", "name", "name, value");
pub(crate) const ALBUM: Sealed = sealed("album", "name", "id, name, folded, written");
pub(crate) const ALBUM_PICTURE: Sealed = sealed("album_picture", "album", "album, position, picture");
pub(crate) const OWN_TAG: Sealed = sealed("own_tag", "name", "picture, folded, name, written");
pub(crate) const OWN_RATING: Sealed =
    sealed("own_rating", "(SELECT p.id FROM photo p WHERE p.picture = own_rating.picture)", "picture, stars, written");
pub(crate) const SAVED_SEARCH: Sealed = sealed("saved_search", "name", "folded, name, query, written");

/// All of them.
pub(crate) const ALL: [Sealed; 34] = [
    EMBEDDING,
    ENCODING,
    CLASSIFIER,
    MODEL,
    ROOT,
    PHOTO,
    FILE,
    TAG,
    OTHER_TAG,
    FAILURE,
    FORGOTTEN,
    CHANGE,
    CAPTION,
    CONVERSATION,
    TURN,
    CLUSTER,
    MEMBER,
    LABEL_SET,
    LOOK,
    LAST_SEEN,
    GIVEN_NAME,
    NAMED_PICTURE,
    PAST_CLUSTERS,
    PROPOSED,
    UNREAD,
    NAMED,
    STACK,
    READING,
    SETTING,
    ALBUM,
    ALBUM_PICTURE,
    OWN_TAG,
    OWN_RATING,
    SAVED_SEARCH,
];

/// Columns with large values, which have a checksum in another column, which the seal covers.
const LARGE: [(&str, &str); 7] = [
    ("cluster", "centroid"),
    ("look", "data"),
    ("embedding", "vector"),
    ("encoding", "data"),
    ("classifier", "data"),
    ("past_clusters", "members"),
    ("past_clusters", "centroids"),
];

impl Sealed {
    /// The columns of the table but the seal.
    pub(crate) fn all_columns(self) -> Vec<&'static str> {
        self.columns.split(", ").chain(self.large()).collect()
    }

    fn large(self) -> impl Iterator<Item = &'static str> {
        LARGE.iter().filter(move |(table, _)| *table == self.table).map(|(_, column)| *column)
    }

    /// Seals the rows that satisfy `which`, after they were written.
    pub(crate) fn seal(self, db: &Database, which: &str, values: impl SqlValues) -> rusqlite::Result<()> {
        // A server has checksums of its own, of every page.
        if db.sqlite().is_some() {
            db.prepare_cached(&self.statement(which))?.execute(values)?;
        }
        Ok(())
    }

    fn statement(self, which: &str) -> String {
        let Self { table, columns, .. } = self;
        format!("UPDATE {table} SET seal = seal({columns}) WHERE {which}")
    }

    /// The condition that a row is not what was written.
    pub(crate) fn is_broken(self) -> String {
        let Self { columns, late, .. } = self;
        if late { format!("seal <> seal({columns})") } else { format!("seal IS NOT seal({columns})") }
    }

    /// Seals all rows of a library that comes from an older release.
    pub(crate) fn seal_all(self, db: &Connection) -> rusqlite::Result<()> {
        if self.late { Ok(()) } else { db.execute(&self.statement("true"), []).map(drop) }
    }
}

/// The seal of the row of `commits`: over how many commits there are, and the last id that each table gave.
const COMMITS: &str = "seal(count, token, (SELECT group_concat(hex(name) || ' ' || seq) FROM
    (SELECT name, seq FROM sqlite_sequence ORDER BY name)))";

/// Seals the count of commits, as the last change of a transaction.
pub(crate) fn seal_commits(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached(&format!("UPDATE commits SET seal = {COMMITS}"))?.execute([])?;
    Ok(())
}

/// Whether the count of commits and the last ids are what was written.
pub(crate) fn commits_are_sound(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row(&format!("SELECT count(*) = 1 AND min(seal IS {COMMITS}) FROM commits"), [], |row| {
        Ok(row.get::<_, Option<bool>>(0)?.unwrap_or(false))
    })
}

/// Gives a connection the SQL function `seal`.
pub(crate) fn register(db: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    db.create_scalar_function("seal", -1, flags, |values| Ok(checksum(values)))
}

/// XXH3 of the values, each with its type and length, so that no two rows look alike.
fn checksum(values: &Context<'_>) -> i64 {
    let mut hasher = Xxh3::new();
    for at in 0..values.len() {
        match values.get_raw(at) {
            ValueRef::Null => hasher.update(&[0]),
            ValueRef::Integer(number) => {
                hasher.update(&[1]);
                hasher.update(&number.to_le_bytes());
            }
            ValueRef::Real(number) => {
                hasher.update(&[2]);
                hasher.update(&number.to_le_bytes());
            }
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                hasher.update(&[if matches!(values.get_raw(at), ValueRef::Text(_)) { 3 } else { 4 }]);
                hasher.update(&(bytes.len() as u64).to_le_bytes());
                hasher.update(bytes);
            }
        }
    }
    hasher.digest() as i64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A new column must not be left out of the seal.
    #[test]
    fn seals_cover_every_column() {
        let folder = tempfile::tempdir().unwrap();
        let library = crate::Library::create(folder.path()).unwrap();
        let tables: Vec<String> = library
            .sql(|db| {
                let mut statement = db.prepare(
                    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name",
                )?;
                statement.query_map([], |row| row.get(0))?.collect()
            })
            .unwrap();
        for table in tables {
            let mut columns: Vec<String> = library
                .sql(|db| {
                    let mut statement = db.prepare("SELECT name FROM pragma_table_info(?1)")?;
                    statement.query_map([&table], |row| row.get(0))?.collect()
                })
                .unwrap();
            let Some(sealed) = ALL.iter().find(|sealed| sealed.table == table) else {
                assert_eq!(table, "commits");
                continue;
            };
            let mut covered: Vec<&str> = sealed.columns.split(", ").chain(["seal"]).collect();
            covered.extend(sealed.large());
            covered.sort_unstable();
            columns.sort();
            assert_eq!(columns, covered, "{table}");
        }
    }

    #[test]
    fn values_that_differ_in_type_or_place_differ_in_seal() {
        let db = Connection::open_in_memory().unwrap();
        register(&db).unwrap();
        let rows =
            ["1, 'ab', 'c'", "1, 'a', 'bc'", "1.0, 'ab', 'c'", "1, x'6162', 'c'", "1, 'ab', NULL", "'1', 'ab', 'c'"];
        let seals: std::collections::HashSet<i64> = rows
            .iter()
            .map(|row| db.query_row(&format!("SELECT seal({row})"), [], |row| row.get(0)).unwrap())
            .collect();
        assert_eq!(seals.len(), rows.len());
    }
}
