//! Clusters as they were before they were made anew, so that they can be brought back.

use super::cluster_rows::{ClusterMember, NewCluster, put_clusters};
use crate::catalogue::library::Library;
use crate::catalogue::seal;
use crate::catalogue::stored::{row_checksum, text_of};
use crate::engine::Database;
use crate::error::{Error, Result};
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

/// How many earlier states are kept.
const KEPT: u32 = 5;

/// Clusters as they were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PastClusters {
    /// Their number, never reused.
    pub id: i64,
    /// When others took their place, in seconds since 1970.
    pub until: i64,
    /// Their names; foreign text.
    pub names: Vec<String>,
    /// How many photos were in them.
    pub photos: u64,
}

/// A cluster, but for its centroid.
#[derive(Serialize, Deserialize)]
struct PastCluster {
    name: String,
    by_hand: bool,
    keywords: Vec<String>,
    coherence: f32,
    reach: f32,
    fingerprint: String,
}

impl Library {
    /// The clusters before the present ones, newest first: the last five states. Damaged ones are left out.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn past_clusters(&self) -> Result<Vec<PastClusters>> {
        self.sql(|db| {
            let mut statement = db.prepare(
                "SELECT id, until, clusters, members, centroids, checksum FROM past_clusters ORDER BY id DESC",
            )?;
            let mut rows = statement.query([])?;
            let mut past = Vec::new();
            while let Some(row) = rows.next()? {
                let (members, centroids) = (row.get_ref(3)?.as_blob()?, row.get_ref(4)?.as_blob()?);
                let clusters: Result<Vec<PastCluster>, _> = serde_json::from_str(&text_of(&row, 2)?);
                let is_sound = checksum(members, centroids) == row.get::<_, i64>(5)?;
                let Some(clusters) = clusters.ok().filter(|_| is_sound) else { continue };
                let inside = read_members(members).filter(|member| member.cluster.is_some()).count();
                past.push(PastClusters {
                    id: row.get(0)?,
                    until: row.get(1)?,
                    names: clusters.into_iter().map(|cluster| cluster.name).collect(),
                    photos: inside as u64,
                });
            }
            Ok(past)
        })
    }

    /// Brings earlier clusters back, in the place of all present ones, which become earlier ones. They get new ids.
    /// Photos that are gone are left out, and photos that came since fit no cluster yet.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is no such state or it is damaged; or the catalogue cannot be written.
    pub fn restore_clusters(&self, id: i64) -> Result<()> {
        let refused =
            |reason: &str| Error::Refused { what: format!("state {id} of the clusters"), reason: reason.into() };
        let found = self.write(|db| {
            let row = "SELECT clusters, members, centroids, checksum FROM past_clusters WHERE id = ?1";
            let state = db
                .prepare(row)?
                .query_row([id], |row| {
                    let (members, centroids): (Vec<u8>, Vec<u8>) = (row.get(1)?, row.get(2)?);
                    Ok((text_of(row, 0)?, members, centroids, row.get::<_, i64>(3)?))
                })
                .optional()?;
            let Some((clusters, members, centroids, kept)) = state else { return Ok(Some("there is none")) };
            let clusters: Vec<PastCluster> = match serde_json::from_str(&clusters) {
                Ok(clusters) if checksum(&members, &centroids) == kept => clusters,
                _ => return Ok(Some("it is damaged")),
            };
            remember(db)?;
            db.execute_batch("DELETE FROM member; DELETE FROM cluster;")?;
            let numbers: Vec<f32> = centroids.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            let dim = numbers.len() / clusters.len().max(1);
            for (at, cluster) in clusters.into_iter().enumerate() {
                let PastCluster { name, by_hand, keywords, coherence, reach, fingerprint } = cluster;
                let centroid = numbers.get(at * dim..(at + 1) * dim).unwrap_or_default().to_vec();
                let cluster = NewCluster { name, by_hand, keywords, coherence, centroid, reach };
                let inside: Vec<ClusterMember<usize>> = read_members(&members)
                    .filter(|member| member.cluster == Some(at))
                    .map(|member| ClusterMember { cluster: Some(0), ..member })
                    .collect();
                put_clusters(db, &[cluster], &inside, &fingerprint)?;
            }
            let outside: Vec<ClusterMember<usize>> =
                read_members(&members).filter(|member| member.cluster.is_none()).collect();
            put_clusters(db, &[], &outside, "")?;
            Ok(None)
        })?;
        found.map_or(Ok(()), |reason| Err(refused(reason)))
    }
}

/// Remembers the present clusters, before they are replaced, and forgets those that are too old.
pub(crate) fn remember(db: &Database) -> rusqlite::Result<()> {
    let mut statement = db.prepare(
        "SELECT id, name, by_hand, keywords, coherence, reach, fingerprint, centroid FROM cluster ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let (mut ids, mut clusters, mut centroids) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        ids.push(row.get::<_, i64>(0)?);
        clusters.push(PastCluster {
            name: text_of(&row, 1)?,
            by_hand: row.get(2)?,
            keywords: serde_json::from_str(&text_of(&row, 3)?).unwrap_or_default(),
            coherence: row.get(4)?,
            reach: row.get(5)?,
            fingerprint: text_of(&row, 6)?,
        });
        centroids.extend_from_slice(row.get_ref(7)?.as_blob()?);
    }
    if clusters.is_empty() {
        return Ok(());
    }
    let mut statement = db.prepare("SELECT photo, cluster, cosine FROM member ORDER BY photo")?;
    let mut rows = statement.query([])?;
    let mut members = Vec::new();
    while let Some(row) = rows.next()? {
        let cluster = row.get::<_, Option<i64>>(1)?.and_then(|id| ids.iter().position(|known| *known == id));
        members.extend(row.get::<_, i64>(0)?.to_le_bytes());
        members.extend(cluster.and_then(|at| u32::try_from(at).ok()).unwrap_or(u32::MAX).to_le_bytes());
        members.extend(row.get::<_, f32>(2)?.to_le_bytes());
    }
    let clusters = serde_json::to_string(&clusters).unwrap_or_default();
    let id: i64 = db.query_row(
        "INSERT INTO past_clusters (until, clusters, members, centroids, checksum)
         VALUES (unixepoch(), ?1, ?2, ?3, ?4) RETURNING id",
        params![clusters, members, centroids, checksum(&members, &centroids)],
        |row| row.get(0),
    )?;
    seal::PAST_CLUSTERS.seal(db, "id = ?1", [id])?;
    db.execute(
        "DELETE FROM past_clusters WHERE id NOT IN (SELECT id FROM past_clusters ORDER BY id DESC LIMIT ?1)",
        [KEPT],
    )?;
    Ok(())
}

fn checksum(members: &[u8], centroids: &[u8]) -> i64 {
    row_checksum(members).rotate_left(1) ^ row_checksum(centroids)
}

/// Photo, position of its cluster, and cosine, 16 bytes each.
fn read_members(bytes: &[u8]) -> impl Iterator<Item = ClusterMember<usize>> {
    bytes.as_chunks::<16>().0.iter().map(|[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]| ClusterMember {
        photo: i64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]),
        cluster: usize::try_from(u32::from_le_bytes([*i, *j, *k, *l])).ok().filter(|at| *at != u32::MAX as usize),
        cosine: f32::from_le_bytes([*m, *n, *o, *p]),
    })
}

/// The states whose clusters are not what was written.
pub(crate) fn damaged(db: &Database) -> rusqlite::Result<Vec<i64>> {
    let mut statement = db.prepare("SELECT id, members, centroids, checksum FROM past_clusters ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut damaged = Vec::new();
    while let Some(row) = rows.next()? {
        if checksum(row.get_ref(1)?.as_blob()?, row.get_ref(2)?.as_blob()?) != row.get::<_, i64>(3)? {
            damaged.push(row.get(0)?);
        }
    }
    Ok(damaged)
}
