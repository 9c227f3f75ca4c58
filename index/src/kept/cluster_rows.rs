//! Clusters as they are written.

use super::given_names;
use crate::catalogue::paths;
use crate::catalogue::seal;
use crate::catalogue::stored::row_checksum;
use crate::engine::Database;
use rusqlite::params;

/// A cluster to store.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCluster {
    /// As [`crate::Cluster::name`].
    pub name: String,
    /// As [`crate::Cluster::by_hand`].
    pub by_hand: bool,
    /// As [`crate::Cluster::keywords`].
    pub keywords: Vec<String>,
    /// As [`crate::Cluster::coherence`].
    pub coherence: f32,
    /// Unit vector of the library's model.
    pub centroid: Vec<f32>,
    /// As [`crate::Cluster::reach`].
    pub reach: f32,
}

/// Which cluster a photo belongs to. `C` names the cluster: by its id, or by its position in a list of new clusters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusterMember<C> {
    /// The photo.
    pub photo: i64,
    /// Its cluster; `None` if it fits none.
    pub cluster: Option<C>,
    /// Its cosine with the centroid of the nearest cluster.
    pub cosine: f32,
}

/// Adds clusters in the space of the model with this fingerprint, and assigns photos to them; `members` name clusters by
/// their position.
pub(crate) fn put_clusters(
    db: &Database,
    clusters: &[NewCluster],
    members: &[ClusterMember<usize>],
    fingerprint: &str,
) -> rusqlite::Result<()> {
    let mut ids = Vec::with_capacity(clusters.len());
    for cluster in clusters {
        let bytes: Vec<u8> = cluster.centroid.iter().flat_map(|v| v.to_le_bytes()).collect();
        let keywords = serde_json::to_string(&cluster.keywords).unwrap_or_default();
        let values = params![
            cluster.name,
            paths::fold(&cluster.name),
            cluster.by_hand,
            keywords,
            finite(cluster.coherence),
            finite(cluster.reach),
            fingerprint,
            row_checksum(&bytes),
            bytes
        ];
        let id: i64 = db
            .prepare_cached(
                "INSERT INTO cluster (name, folded, by_hand, keywords, coherence, reach, fingerprint, checksum, centroid)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) RETURNING id",
            )?
            .query_row(values, |row| row.get(0))?;
        seal::CLUSTER.seal(db, "id = ?1", [id])?;
        ids.push(id);
    }
    for member in members {
        let cluster = member.cluster.and_then(|at| ids.get(at)).copied();
        put_member(db, &ClusterMember { photo: member.photo, cluster, cosine: member.cosine })?;
    }
    let named = clusters.iter().zip(ids).filter(|(cluster, _)| cluster.by_hand);
    named.map(|(_, id)| id).try_for_each(|id| given_names::keep(db, id))
}

/// Assigns a photo to a cluster; a photo that is gone in the meantime is skipped.
pub(crate) fn put_member(db: &Database, member: &ClusterMember<i64>) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO member (photo, cluster, cosine) SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM photo WHERE id = ?1)
         ON CONFLICT (photo) DO UPDATE SET cluster = ?2, cosine = ?3",
    )?
    .execute(params![member.photo, member.cluster, finite(member.cosine)])?;
    seal::MEMBER.seal(db, "photo = ?1", [member.photo])
}

/// The number, or 0 for NaN and infinity: SQLite would store NaN as NULL.
pub(crate) fn finite(number: f32) -> f32 {
    if number.is_finite() { number } else { 0.0 }
}
