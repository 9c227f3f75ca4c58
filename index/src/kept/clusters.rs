//! Clusters as the application found them, with the names that the user gave, kept until it finds others.

use super::cluster_rows::{ClusterMember, NewCluster, finite, put_clusters, put_member};
use super::{cluster_history, given_names};
use crate::catalogue::library::Library;
use crate::catalogue::paths;
use crate::catalogue::rows::ModelRecord;
use crate::catalogue::seal;
use crate::catalogue::stored::{check_length, is_sound, row_checksum, text_of};
use crate::engine::Database;
use crate::error::{Error, Result, validate};
use crate::escape;
use crate::search::filters::NO_CLUSTER;
use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use std::collections::HashSet;

/// The most characters that a name may have.
const LONGEST_NAME: usize = 400;

/// A group of photos that look alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cluster {
    /// Its id, never reused.
    pub id: i64,
    /// Its name; no two clusters have names that differ only by case or accents. Foreign text.
    pub name: String,
    /// Whether the user chose the name.
    pub by_hand: bool,
    /// Words that distinguish it from the others, best first; foreign text.
    pub keywords: Vec<String>,
    /// Mean cosine of its photos with the centroid, when it was made.
    pub coherence: f32,
    /// Number of photos in it.
    pub photos: u64,
    /// Unit vector at its centre; `None` if it is damaged.
    #[serde(skip)]
    pub centroid: Option<Vec<f32>>,
    /// A photo joins if its cosine with the centroid is at least this.
    pub reach: f32,
    /// Fingerprint of the model that made the centroid.
    #[serde(skip)]
    pub fingerprint: String,
}

impl Library {
    /// The clusters, largest first. Photos without a file do not count.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn clusters(&self) -> Result<Vec<Cluster>> {
        self.sql(|db| {
            let mut statement = db.prepare_cached(
                "SELECT id, name, by_hand, keywords, coherence, reach, fingerprint, checksum, centroid,
                 (SELECT count(*) FROM member m WHERE m.cluster = c.id
                  AND EXISTS (SELECT 1 FROM file f WHERE f.photo = m.photo)) AS photos
                 FROM cluster c ORDER BY photos DESC, id",
            )?;
            let rows = statement.query_map([], |row| {
                let bytes = row.get_ref(8)?.as_blob()?;
                let numbers = || bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
                Ok(Cluster {
                    id: row.get(0)?,
                    name: text_of(row, 1)?,
                    by_hand: row.get(2)?,
                    keywords: serde_json::from_str(&text_of(row, 3)?).unwrap_or_default(),
                    coherence: row.get(4)?,
                    reach: row.get(5)?,
                    fingerprint: text_of(row, 6)?,
                    centroid: is_sound(bytes, bytes.len() / 4, row.get(7)?).then(numbers),
                    photos: row.get(9)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Which cluster each photo belongs to, by photo id. Photos added since the clusters were made are missing.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn members(&self) -> Result<Vec<ClusterMember<i64>>> {
        self.sql(|db| {
            let mut statement = db.prepare_cached(
                "SELECT photo, cluster, cosine FROM member m
                 WHERE EXISTS (SELECT 1 FROM file f WHERE f.photo = m.photo) ORDER BY photo",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(ClusterMember { photo: row.get(0)?, cluster: row.get(1)?, cosine: row.get(2)? })
            })?;
            rows.collect()
        })
    }

    /// The name of the cluster that a photo is in.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn cluster_of(&self, photo: i64) -> Result<Option<String>> {
        self.sql(|db| {
            db.prepare_cached("SELECT c.name FROM member m JOIN cluster c ON c.id = m.cluster WHERE m.photo = ?1")?
                .query_row([photo], |row| text_of(row, 0))
                .optional()
        })
    }

    /// The photos of a cluster, those nearest to its centroid first; none if the cluster does not exist.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn cluster_members(&self, cluster: i64) -> Result<Vec<i64>> {
        self.sql(|db| {
            let mut statement = db.prepare_cached(
                "SELECT photo FROM member m WHERE cluster = ?1 AND EXISTS (SELECT 1 FROM file f WHERE f.photo = m.photo)
                 ORDER BY cosine DESC, photo",
            )?;
            let rows = statement.query_map([cluster], |row| row.get(0))?;
            rows.collect()
        })
    }

    /// Replaces all clusters by these, in one transaction; with `keep_named`, those with a name by hand stay, with
    /// their photos. `members` name clusters by their position in `clusters`. What is replaced can be brought back
    /// ([`Library::restore_clusters`]).
    ///
    /// # Errors
    /// [`Error::Refused`] for a name that is empty, too long, `none` or used twice; [`Error::Vector`],
    /// [`Error::NoModel`]; or the catalogue cannot be written.
    pub fn save_clusters(
        &self,
        clusters: &[NewCluster],
        members: &[ClusterMember<usize>],
        keep_named: bool,
    ) -> Result<()> {
        let model = self.check_clusters(clusters)?;
        self.write(|db| {
            for cluster in clusters.iter().filter(|_| keep_named) {
                let named = "SELECT 1 FROM cluster WHERE by_hand AND folded = ?1";
                if db.prepare_cached(named)?.exists([paths::fold(&cluster.name)])? {
                    return Ok(Err(taken(&cluster.name)));
                }
            }
            cluster_history::remember(db)?;
            db.execute(
                "DELETE FROM member WHERE cluster IS NULL OR NOT ?1
                 OR cluster NOT IN (SELECT id FROM cluster WHERE by_hand)",
                [keep_named],
            )?;
            db.execute("DELETE FROM cluster WHERE NOT (?1 AND by_hand)", [keep_named])?;
            put_clusters(db, clusters, members, &model.fingerprint).map(Ok)
        })?
    }

    /// Replaces one cluster by these (its parts), in one transaction, and returns whether that cluster still existed:
    /// if not, nothing changes. The parts get new ids. `members` name parts by their position. Photos of the cluster
    /// that are not among `members` become like photos added later. All other clusters and their photos stay.
    ///
    /// # Errors
    /// As [`Library::save_clusters`]; a part may not have the name of any cluster that stays.
    pub fn replace_cluster(
        &self,
        cluster: i64,
        parts: &[NewCluster],
        members: &[ClusterMember<usize>],
    ) -> Result<bool> {
        let model = self.check_clusters(parts)?;
        self.write(|db| {
            for part in parts {
                if id_of(db, &part.name)?.is_some_and(|other| other != cluster) {
                    return Ok(Err(taken(&part.name)));
                }
            }
            if !db.prepare_cached("SELECT 1 FROM cluster WHERE id = ?1")?.exists([cluster])? {
                return Ok(Ok(false));
            }
            cluster_history::remember(db)?;
            db.execute("DELETE FROM cluster WHERE id = ?1", [cluster])?;
            put_clusters(db, parts, members, &model.fingerprint).map(|()| Ok(true))
        })?
    }

    /// The library's model, if these clusters may be stored.
    fn check_clusters(&self, clusters: &[NewCluster]) -> Result<ModelRecord> {
        let model = self.model()?.ok_or(Error::NoModel)?;
        let mut names = HashSet::new();
        for cluster in clusters {
            check_name(&cluster.name)?;
            if !names.insert(paths::fold(&cluster.name)) {
                return Err(taken(&cluster.name));
            }
            validate(&cluster.centroid, model.dim, || format!("the centroid of {:?}", cluster.name))?;
        }
        Ok(model)
    }

    /// Assigns photos that were added after the clusters were made.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn add_members(&self, members: &[ClusterMember<i64>]) -> Result<()> {
        self.write(|db| members.iter().try_for_each(|member| put_member(db, member)))
    }

    /// Replaces the centroids of clusters by those in the space of the model that answers. Each entry has the id
    /// of a cluster, its centroid (a unit vector) and its reach.
    ///
    /// # Errors
    /// [`Error::Vector`], [`Error::NoModel`], or the catalogue cannot be written.
    pub fn move_centroids(&self, centroids: &[(i64, Vec<f32>, f32)]) -> Result<()> {
        let model = self.model()?.ok_or(Error::NoModel)?;
        for (_, centroid, _) in centroids {
            validate(centroid, model.dim, || "the centroid of a cluster".into())?;
        }
        self.write(|db| {
            for (id, centroid, reach) in centroids {
                let bytes: Vec<u8> = centroid.iter().flat_map(|v| v.to_le_bytes()).collect();
                db.prepare_cached(
                    "UPDATE cluster SET centroid = ?2, checksum = ?3, reach = ?4, fingerprint = ?5 WHERE id = ?1",
                )?
                .execute(params![
                    id,
                    bytes,
                    row_checksum(&bytes),
                    finite(*reach),
                    model.fingerprint
                ])?;
                seal::CLUSTER.seal(db, "id = ?1", [id])?;
            }
            Ok(())
        })
    }

    /// Renames a cluster by hand. The name survives when clusters are recomputed.
    ///
    /// # Errors
    /// [`Error::NoCluster`]; [`Error::Refused`] for a name that is empty, too long, `none` or another cluster's; or the
    /// catalogue cannot be written.
    pub fn rename_cluster(&self, name: &str, new: &str) -> Result<()> {
        check_name(new)?;
        let done = self.write(|db| {
            let Some(id) = id_of(db, name)? else { return Ok(None) };
            if id_of(db, new)?.is_some_and(|other| other != id) {
                return Ok(Some(false));
            }
            let by_hand: bool = db.query_row("SELECT by_hand FROM cluster WHERE id = ?1", [id], |row| row.get(0))?;
            db.execute(
                "UPDATE cluster SET name = ?2, folded = ?3, by_hand = true WHERE id = ?1",
                params![id, new, paths::fold(new)],
            )?;
            seal::CLUSTER.seal(db, "id = ?1", [id])?;
            given_names::give(db, id, by_hand.then_some(name))?;
            Ok(Some(true))
        })?;
        match done {
            Some(true) => Ok(()),
            Some(false) => Err(taken(new)),
            None => Err(self.no_cluster(name)?),
        }
    }

    /// Gives a cluster a name by hand that waits, because the cluster has most of its pictures. Returns `false` and
    /// changes nothing if another cluster has it.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn restore_name(&self, cluster: i64, name: &str) -> Result<bool> {
        self.write(|db| {
            if id_of(db, name)?.is_some_and(|other| other != cluster) {
                return Ok(false);
            }
            let values = params![cluster, name, paths::fold(name)];
            db.execute("UPDATE cluster SET name = ?2, folded = ?3, by_hand = true WHERE id = ?1", values)?;
            seal::CLUSTER.seal(db, "id = ?1", [cluster])?;
            Ok(true)
        })
    }

    /// The error for a cluster that does not exist, with the names of those that do.
    pub(crate) fn no_cluster(&self, name: &str) -> Result<Error> {
        let known = self.clusters()?.into_iter().map(|cluster| cluster.name).collect();
        Ok(Error::NoCluster { name: name.to_owned(), known })
    }
}

/// A name without case and accents: it is equal for two names that differ only by these.
#[must_use]
pub fn folded_name(name: &str) -> String {
    paths::fold(name)
}

/// The id of the cluster of this name; case and accents are ignored.
pub(crate) fn id_of(db: &Database, name: &str) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT id FROM cluster WHERE folded = ?1")?
        .query_row([paths::fold(name)], |row| row.get(0))
        .optional()
}

/// Clusters whose centroid is not what was written.
pub(crate) fn damaged_centroids(db: &Database) -> rusqlite::Result<Vec<i64>> {
    let mut statement = db.prepare("SELECT id, checksum, centroid FROM cluster ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut damaged = Vec::new();
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(2)?.as_blob()?;
        if !is_sound(bytes, bytes.len() / 4, row.get(1)?) {
            damaged.push(row.get(0)?);
        }
    }
    Ok(damaged)
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    let refused = |reason: &str| Error::Refused { what: "the name of a cluster".into(), reason: reason.into() };
    check_length("the name of a cluster", name, LONGEST_NAME)?;
    match paths::fold(name).trim() {
        "" => Err(refused("it is empty")),
        NO_CLUSTER => Err(refused("`none` means photos in no cluster")),
        _ => Ok(()),
    }
}

fn taken(name: &str) -> Error {
    Error::Refused { what: format!("the name {:?}", escape::text(name)), reason: "another cluster has it".into() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{Change, FileStamp, Filter, Filters, ModelRecord, PhotoFacts, SearchRequest};
    use std::path::{Path, PathBuf};

    fn photo(n: u8, vector: [f32; 2]) -> Change {
        Change::Photo {
            path: PathBuf::from(format!("/p/{n}.jpg")),
            root: PathBuf::from("/p"),
            stamp: FileStamp { size: 1, mtime_ns: 1 },
            identity: crate::FileIdentity { file: [n; 32], picture: [n; 32], version: 1 },
            facts: PhotoFacts::default(),
            embedding: vector.to_vec(),
            tags: Vec::new(),
        }
    }

    fn cluster(name: &str, centroid: [f32; 2]) -> NewCluster {
        NewCluster {
            name: name.into(),
            by_hand: false,
            keywords: vec![name.into(), "thing".into()],
            coherence: 0.9,
            centroid: centroid.to_vec(),
            reach: 0.5,
        }
    }

    fn library(folder: &Path) -> Library {
        let library = Library::create(folder).unwrap();
        let mut writer = library.lock().unwrap();
        writer.set_model(&ModelRecord { name: "m".into(), fingerprint: "print".into(), dim: 2 }).unwrap();
        let photos: Vec<Change> = (1..=4).map(|n| photo(n, if n < 3 { [1.0, 0.0] } else { [0.0, 1.0] })).collect();
        writer.apply(&photos).unwrap();
        drop(writer);
        library
    }

    fn member<C>(photo: i64, cluster: Option<C>) -> ClusterMember<C> {
        ClusterMember { photo, cluster, cosine: 0.8 }
    }

    fn found(library: &Library, name: &str, exclude: bool) -> Result<Vec<i64>> {
        let clause = crate::Clause { filter: Filter::Cluster(name.into()), exclude };
        let request = SearchRequest { filters: Filters { clauses: vec![clause] }, limit: 9, ..Default::default() };
        Ok(library.searcher()?.search(&request)?.hits.iter().map(|hit| hit.id).collect())
    }

    #[test]
    fn clusters_are_kept_found_renamed_and_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let library = library(folder.path());
        let members = [member(1, Some(0)), member(2, Some(0)), member(3, Some(1)), member(99, Some(1))];
        library.save_clusters(&[cluster("Café", [1.0, 0.0]), cluster("sea", [0.0, 1.0])], &members, false).unwrap();
        let kept = library.clusters().unwrap();
        assert_eq!(kept.iter().map(|c| (c.name.as_str(), c.photos)).collect::<Vec<_>>(), [("Café", 2), ("sea", 1)]);
        assert_eq!((kept[0].centroid.as_deref(), kept[0].keywords.len()), (Some([1.0, 0.0].as_slice()), 2));
        assert_eq!(found(&library, "CAFE", false).unwrap(), [1, 2]);
        assert_eq!(found(&library, "cafe", true).unwrap(), [3, 4]);
        // Photo 4 was added later.
        assert_eq!(found(&library, "none", false).unwrap(), [4]);
        library.add_members(&[member(4, Some(kept[1].id))]).unwrap();
        assert_eq!(found(&library, "sea", false).unwrap(), [3, 4]);
        let error = found(&library, "see", false).unwrap_err().to_string();
        assert!(error.contains("see") && error.contains("Café"), "{error}");

        library.rename_cluster("SEA", "Holiday at sea").unwrap();
        assert!(library.clusters().unwrap().iter().any(|c| c.name == "Holiday at sea" && c.by_hand));
        for (name, new) in [("cafe", "holiday at SEA"), ("cafe", " "), ("cafe", "None"), ("nothing", "x")] {
            assert!(library.rename_cluster(name, new).is_err(), "{name} {new}");
        }
        library.rename_cluster("cafe", "CAFE").unwrap();

        // What is refused changes nothing.
        let twins = [cluster("a", [1.0, 0.0]), cluster("A", [0.0, 1.0])];
        assert!(library.save_clusters(&twins, &[], false).is_err());
        assert!(library.save_clusters(&[cluster("a", [0.0, 0.0])], &[], false).is_err());
        assert_eq!(library.members().unwrap().len(), 4);
        library.save_clusters(&[cluster("a", [1.0, 0.0])], &[member(1, None)], false).unwrap();
        assert_eq!((library.clusters().unwrap().len(), library.members().unwrap()), (1, vec![member(1, None)]));
    }

    #[test]
    fn earlier_clusters_come_back_and_named_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let library = library(folder.path());
        let members = [member(1, Some(0)), member(2, Some(0)), member(3, Some(1)), member(4, None)];
        library.save_clusters(&[cluster("cats", [1.0, 0.0]), cluster("sea", [0.0, 1.0])], &members, false).unwrap();
        assert!(library.past_clusters().unwrap().is_empty(), "there was nothing before");
        library.rename_cluster("cats", "Minka").unwrap();
        let first = library.clusters().unwrap();
        let twin = [cluster("minka", [0.0, 1.0])];
        assert!(library.save_clusters(&twin, &[member(3, Some(0))], true).is_err());
        assert_eq!(library.clusters().unwrap(), first, "what is refused changes nothing");
        library
            .save_clusters(&[cluster("waves", [0.0, 1.0])], &[member(3, Some(0)), member(4, Some(0))], true)
            .unwrap();
        let names = || library.clusters().unwrap().into_iter().map(|c| (c.name, c.photos)).collect::<Vec<_>>();
        let named = |name: &str, photos| (name.to_owned(), photos);
        assert_eq!(names(), [named("Minka", 2), named("waves", 2)]);
        let past = library.past_clusters().unwrap();
        assert_eq!(
            (past.len(), past[0].names.as_slice(), past[0].photos),
            (1, ["Minka", "sea"].map(String::from).as_slice(), 3)
        );
        library.restore_clusters(past[0].id).unwrap();
        let again = library.clusters().unwrap();
        assert_eq!((again[0].centroid.clone(), again[0].by_hand), (first[0].centroid.clone(), true));
        assert_eq!(names(), [named("Minka", 2), named("sea", 1)]);
        assert_eq!(library.members().unwrap().len(), 4);
        // The state that was replaced is a past one now; no more than five are kept.
        assert_eq!(library.past_clusters().unwrap()[0].names, ["Minka", "waves"]);
        for _ in 0..9 {
            library.save_clusters(&[cluster("a", [1.0, 0.0])], &[], false).unwrap();
        }
        assert_eq!(library.past_clusters().unwrap().len(), 5);
        assert!(library.restore_clusters(1).is_err());
        assert!(library.check(true).unwrap().findings.is_empty());
    }
}
