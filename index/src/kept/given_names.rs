//! Names of clusters that a person gave. Clusters come and go; a name stays, with the pictures that it was given to,
//! and passes to the cluster that has most of them.

use crate::catalogue::library::{Library, WAITING_NAMES};
use crate::catalogue::paths;
use crate::catalogue::rows::ContentHash;
use crate::catalogue::seal;
use crate::catalogue::stored::text_of;
use crate::engine::Database;
use crate::error::Result;
use rusqlite::params;

/// A name that a person gave to a group of photos.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenName {
    /// The name: foreign text.
    pub name: String,
    /// Ids of the photos that it was given to, or that joined its cluster since, and that a file shows.
    pub photos: Vec<i64>,
    /// Number of pictures that it was given to.
    pub pictures: u64,
}

impl Library {
    /// The names that were given by hand, by id; with `waiting`, only those that no cluster has.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn given_names(&self, waiting: bool) -> Result<Vec<GivenName>> {
        self.sql(|db| {
            let from = if waiting { WAITING_NAMES } else { "given_name g" };
            let mut statement = db.prepare(&format!(
                "SELECT id, name, (SELECT count(*) FROM named_picture p WHERE p.name = g.id) FROM {from} ORDER BY id"
            ))?;
            let mut photos = db.prepare(
                "SELECT id FROM (SELECT p.id FROM named_picture n JOIN photo p ON p.picture = n.picture WHERE n.name = ?1
                 UNION SELECT m.photo FROM member m JOIN cluster c ON c.id = m.cluster JOIN given_name g
                 ON g.folded = c.folded AND c.by_hand WHERE g.id = ?1) AS p
                 WHERE EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id) ORDER BY id",
            )?;
            let mut rows = statement.query([])?;
            let mut names = Vec::new();
            while let Some(row) = rows.next()? {
                let photos = photos.query_map([row.get::<_, i64>(0)?], |row| row.get(0))?;
                let photos = photos.collect::<rusqlite::Result<_>>()?;
                names.push(GivenName { name: text_of(&row, 1)?, photos, pictures: row.get(2)? });
            }
            Ok(names)
        })
    }
}

/// Keeps the name that a person gave to a cluster, and to which pictures: those that the cluster has, those that had the
/// name while no cluster had it, and of the cluster's former name by hand, which goes, those that no file shows now.
pub(crate) fn give(db: &Database, cluster: i64, former: Option<&str>) -> rusqlite::Result<()> {
    let name: String = db.query_row("SELECT name FROM cluster WHERE id = ?1", [cluster], |row| text_of(row, 0))?;
    let mut pictures = db.prepare_cached(
        "SELECT p.picture FROM member m JOIN photo p ON p.id = m.photo WHERE m.cluster = ?1
         UNION SELECT n.picture FROM named_picture n JOIN given_name g ON g.id = n.name
         WHERE g.folded = ?2 AND ?2 IS DISTINCT FROM ?3 OR g.folded = ?3
         AND NOT EXISTS (SELECT 1 FROM photo p JOIN file f ON f.photo = p.id WHERE p.picture = n.picture)",
    )?;
    let names = params![cluster, paths::fold(&name), former.map(paths::fold)];
    let pictures: Vec<ContentHash> = pictures.query_map(names, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    if let Some(former) = former {
        db.execute("DELETE FROM given_name WHERE folded = ?1", [paths::fold(former)])?;
    }
    put(db, &name, None, &pictures)
}

/// Keeps the name of a cluster that got it because it has most of the name's pictures. These stay what they are:
/// otherwise a name could wander, cluster by cluster, to pictures that it was never given to.
pub(crate) fn keep(db: &Database, cluster: i64) -> rusqlite::Result<()> {
    let folded: String = db.query_row("SELECT folded FROM cluster WHERE id = ?1", [cluster], |row| text_of(row, 0))?;
    let known = db.prepare_cached("SELECT 1 FROM given_name WHERE folded = ?1")?.exists([folded])?;
    if known { Ok(()) } else { give(db, cluster, None) }
}

/// Writes a name and its pictures, in the place of what the name was given to before; `written` is when, in seconds
/// since 1970, if not now or when the same was written before.
pub(crate) fn put(db: &Database, name: &str, written: Option<i64>, pictures: &[ContentHash]) -> rusqlite::Result<()> {
    let id: i64 = db
        .prepare_cached(
            "INSERT INTO given_name (name, folded, written) VALUES (?1, ?2, coalesce(?3, unixepoch()))
             ON CONFLICT (folded) DO UPDATE SET name = ?1,
             written = coalesce(?3, CASE given_name.name WHEN ?1 THEN given_name.written ELSE unixepoch() END) RETURNING id",
        )?
        .query_row(params![name, paths::fold(name), written], |row| row.get(0))?;
    seal::GIVEN_NAME.seal(db, "id = ?1", [id])?;
    db.execute("DELETE FROM named_picture WHERE name = ?1", [id])?;
    for picture in pictures {
        db.prepare_cached("INSERT OR IGNORE INTO named_picture (name, picture) VALUES (?1, ?2)")?
            .execute(params![id, picture.as_slice()])?;
    }
    seal::NAMED_PICTURE.seal(db, "name = ?1", [id])
}
