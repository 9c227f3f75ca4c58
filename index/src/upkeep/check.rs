//! Checking for damage, and repairing what can be repaired.

use crate::catalogue::change_log::{About, log};
use crate::catalogue::identity::remember_last;
use crate::catalogue::library::{Library, models_of};
use crate::catalogue::rows::ModelRole;
use crate::catalogue::seal::{self, Sealed};
use crate::catalogue::stored::{first_path, is_sound};
use crate::engine::Database;
use crate::engine::sqlite::schema;
use crate::engine::sqlite::second_look::{SecondLook, second_look};
use crate::error::{Error, Result};
use crate::escape;
use crate::kept::{captions, cluster_history, clusters, labels, looks};
use crate::search::cache::{self, CacheFault};
use crate::search::segments::Lag;
use crate::search::vectors::GRAPH_FROM;
use crate::search::{text, vectors};
use rusqlite::params;
use rusqlite::types::ValueRef;

/// What a check found; empty if everything is in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Everything that is wrong.
    pub findings: Vec<Finding>,
    /// Sound caches that should be written, by [`crate::Writer::refresh_caches`] or [`Library::repair`]. Until then
    /// searches read the catalogue instead, which is slower and finds the same.
    pub late: Vec<LateCache>,
}

/// A cache that is missing or far behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateCache {
    /// Which one, in words that follow "the"; safe to print on a terminal.
    pub name: String,
    /// There is none, or only one of another release.
    pub is_missing: bool,
    /// How many photos it lacks, or has in an older state.
    pub photos: usize,
}

/// Something that is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is damaged and where; safe to print on a terminal.
    pub what: String,
    /// What can be done about it.
    pub remedy: Remedy,
}

/// What can be done about damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// [`Library::repair`] rebuilds it.
    Rebuild,
    /// [`Library::repair`] drops it, and the next indexing run computes it again.
    DropAndIndex,
    /// [`Library::repair`] drops it, and it is computed again when it is needed.
    DropUntilNeeded,
    /// It must be written again by hand, or restored from a backup.
    WriteAgain,
    /// It must be restored from a backup; what is left of it can be read.
    Restore,
    /// It must be deleted and saved again.
    SaveAgain,
    /// [`Library::repair`] takes the library as it is; what is missing must be indexed or written again, or restored
    /// from a backup.
    Accept,
    /// The library's photos must be embedded again.
    Reindex,
    /// The library must be made again, or restored from a backup.
    NewLibrary,
    /// It could not be read this time; that says nothing about damage.
    TryAgain,
}

impl Finding {
    /// What an error of the catalogue says about it.
    fn unread(error: &Error) -> Self {
        let remedy = if error.is_damage() { Remedy::NewLibrary } else { Remedy::TryAgain };
        Self::new(error.to_string(), remedy)
    }

    pub(crate) fn new(what: String, remedy: Remedy) -> Self {
        Self { what, remedy }
    }
}

impl LateCache {
    fn new(name: String, lag: &Lag) -> Self {
        Self { name, is_missing: lag.is_missing, photos: lag.photos }
    }
}

impl Library {
    /// Verifies the catalogue's structure and history and every cache; with `full`, also every row and every embedding,
    /// encoding, look and classifier, and tantivy's own checksums. A cache that is merely missing or out of date is not
    /// a finding: searches and the next run take care of it.
    ///
    /// # Errors
    /// The catalogue is too damaged to compare the caches with it.
    pub fn check(&self, full: bool) -> Result<CheckReport> {
        let file = match self.server() {
            Some(_) => escape::path(&self.place()),
            None => escape::path(&self.dir().join("catalogue.sqlite")),
        };
        let in_file = |finding: Finding| Finding { what: format!("{file}: {}", finding.what), ..finding };
        // Looked at twice, or a read error that passes would be called damage.
        let twice = || match self.sql(|db| structure(db, full)) {
            Ok(problems) if !problems.is_empty() => match second_look(&self.dir().join("catalogue.sqlite")) {
                SecondLook::Unread(path, cause) => Err(Error::io(&path)(cause)),
                SecondLook::Damage | SecondLook::Sound => self.sql(|db| structure(db, full)),
            },
            seen => seen,
        };
        let mut findings: Vec<Finding> = match twice() {
            Ok(problems) => problems.into_iter().map(|what| in_file(Finding::new(what, Remedy::NewLibrary))).collect(),
            // Everything else to check needs the catalogue.
            Err(error) => {
                return Ok(CheckReport { findings: vec![Finding::unread(&error)], late: Vec::new() });
            }
        };
        if self.sql(|db| db.sqlite().map_or(Ok(false), schema::lacks_wal))? {
            let what = "its header does not say any more that it has a WAL";
            findings.push(in_file(Finding::new(what.into(), Remedy::NewLibrary)));
        }
        let lost = self.lost_commits()?;
        if lost > 0 {
            let what = format!(
                "the last {lost} of its commits are missing: its WAL was damaged, or an older copy was put in its place"
            );
            findings.push(in_file(Finding::new(what, Remedy::Accept)));
        }
        if full {
            let rows = seal::ALL.into_iter().map(|sealed| self.sql(|db| broken_rows(db, sealed)));
            for damaged in rows.chain([self.sql(broken_counts), self.sql(damaged_vectors), self.sql(damaged_values)]) {
                match damaged {
                    Ok(damaged) => findings.extend(damaged.into_iter().map(in_file)),
                    Err(error) => findings.push(Finding::unread(&error)),
                }
            }
        }
        let fault = |fault| match fault {
            CacheFault::Damaged(what) => Finding::new(what, Remedy::Rebuild),
            CacheFault::Unread(what) => Finding::new(what, Remedy::TryAgain),
        };
        let mut late = Vec::new();
        let models = self.sql(models_of)?;
        let are_several = models.iter().filter(|(_, role)| *role != ModelRole::Filling).count() > 1;
        for (model, role) in models {
            let of_model =
                if are_several { format!(" of {}", escape::text(&model.record.name)) } else { String::new() };
            let name = format!("vector cache{of_model}");
            match vectors::finding(self, &model)? {
                Some(found) => findings.push(fault(found)),
                // It gets one when it takes the place of the current one.
                None if role == ModelRole::Filling => {}
                None => late.extend(vectors::lag(self, &model, GRAPH_FROM)?.map(|lag| LateCache::new(name, &lag))),
            }
        }
        match text::finding(self, full)? {
            Some(found) => findings.push(fault(found)),
            None => late.extend(text::lag(self, GRAPH_FROM)?.map(|lag| LateCache::new("full-text cache".into(), &lag))),
        }
        Ok(CheckReport { findings, late })
    }

    /// Drops everything damaged that can be computed again, and rebuilds the caches. What a person wrote stays: what is
    /// left of it may be worth reading.
    ///
    /// # Errors
    /// Another process is writing, or the catalogue or the disk fails.
    pub fn repair(&self) -> Result<()> {
        let mut writer = self.lock()?;
        let damaged = self.sql(damaged_embeddings)?;
        let encodings = self.sql(captions::damaged_encodings)?;
        let classifiers = self.sql(labels::damaged_classifiers)?;
        let looks = self.sql(looks::damaged)?;
        writer.write(|db| {
            for (photo, model) in &damaged {
                db.execute("DELETE FROM embedding WHERE photo = ?1 AND model = ?2", [photo, model])?;
                log(db, *photo, About::Photo)?;
            }
            for (photo, captioner) in &encodings {
                db.execute("DELETE FROM encoding WHERE photo = ?1 AND captioner = ?2", params![photo, captioner])?;
            }
            for (set, fingerprint) in &classifiers {
                db.execute(
                    "DELETE FROM classifier WHERE label_set = ?1 AND fingerprint = ?2",
                    params![set, fingerprint],
                )?;
            }
            for id in cluster_history::damaged(db)? {
                db.execute("DELETE FROM past_clusters WHERE id = ?1", [id])?;
            }
            for photo in &looks {
                db.execute("DELETE FROM look WHERE photo = ?1", [photo])?;
            }
            repair_rows(db)
        })?;
        writer.refresh_stacks()?;
        self.accept_position()?;
        cache::clear(&vectors::folders(self))?;
        cache::clear(&text::folder(self))?;
        writer.refresh_caches(&mut |_, _, _| true)
    }
}

fn structure(db: &Database, full: bool) -> rusqlite::Result<Vec<String>> {
    // What a server keeps sound is its own matter.
    let Some(db) = db.sqlite() else { return Ok(Vec::new()) };
    let check = if full { "PRAGMA integrity_check(20)" } else { "PRAGMA quick_check(20)" };
    let mut problems: Vec<String> = db.prepare(check)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    problems.retain(|problem| problem != "ok");
    let mut statement = db.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        problems.push(format!("a row of {table} refers to a missing row of {parent}"));
    }
    if !schema::is_as_made(db)? {
        problems.push("its tables are not those of this version".into());
    }
    Ok(problems)
}

/// The rows of a table that are not what was written.
fn broken_rows(db: &Database, sealed: Sealed) -> rusqlite::Result<Vec<Finding>> {
    if db.sqlite().is_none() {
        return Ok(Vec::new());
    }
    let Sealed { table, key, .. } = sealed;
    let by_hand = if sealed == seal::CAPTION { "captioner IS NULL" } else { "NULL" };
    let mut statement = db.prepare(&format!(
        "SELECT DISTINCT {key}, {by_hand} FROM {table} WHERE {} ORDER BY {key}",
        sealed.is_broken()
    ))?;
    let mut rows = statement.query([])?;
    let mut findings = Vec::new();
    while let Some(row) = rows.next()? {
        let named = match row.get_ref(0)? {
            ValueRef::Blob(path) => escape::path(&db.mounts().here(path)),
            ValueRef::Text(name) => format!("{:?}", escape::text(&String::from_utf8_lossy(name))),
            ValueRef::Integer(number) => number.to_string(),
            other => format!("{other:?}"),
        };
        let of_photo = || format!("photo {named}{}", path_of(db, &row).unwrap_or_default());
        let by_hand = row.get::<_, Option<bool>>(1)?.unwrap_or(false);
        let (what, remedy) = match table {
            "photo" => (of_photo(), Remedy::DropAndIndex),
            "embedding" => (format!("the embedding of {}", of_photo()), Remedy::DropAndIndex),
            "encoding" => (format!("the encoding of {}", of_photo()), Remedy::DropUntilNeeded),
            "classifier" => (format!("a classifier of label set {named}"), Remedy::DropUntilNeeded),
            "tag" | "other_tag" => (format!("the tags of {}", of_photo()), Remedy::DropAndIndex),
            "caption" if by_hand => (format!("the caption of {}", of_photo()), Remedy::WriteAgain),
            "caption" => (format!("the caption of {}", of_photo()), Remedy::DropUntilNeeded),
            "member" => (format!("the cluster of {}", of_photo()), Remedy::DropAndIndex),
            "reading" => (format!("the text in {}", of_photo()), Remedy::DropUntilNeeded),
            "setting" => (format!("the choice {named}"), Remedy::DropUntilNeeded),
            "look" => (format!("the look of {}", of_photo()), Remedy::DropUntilNeeded),
            "file" | "root" | "failure" => (format!("the record of {named}"), Remedy::DropAndIndex),
            "stack" => (format!("the stack of {}", of_photo()), Remedy::Rebuild),
            "named" => (format!("a keyword or person of file {named}"), Remedy::DropAndIndex),
            "forgotten" => (format!("the record that {named} is forgotten"), Remedy::WriteAgain),
            "proposed" => (format!("the record that {named} may be deleted"), Remedy::Rebuild),
            "unread" => (format!("the count of the files in {named} that are not read"), Remedy::Rebuild),
            "last_seen" => (format!("the record of what was last at {named}"), Remedy::Rebuild),
            "change" => (format!("entry {named} of the change log"), Remedy::Rebuild),
            "conversation" | "turn" => (format!("chat {named}"), Remedy::Restore),
            "cluster" => (format!("cluster {named}"), Remedy::DropUntilNeeded),
            "past_clusters" => (format!("state {named} of the clusters"), Remedy::Rebuild),
            "label_set" => (format!("the label set {named}"), Remedy::SaveAgain),
            "album" => (format!("the album {named}"), Remedy::WriteAgain),
            "saved_search" => (format!("the saved search {named}"), Remedy::SaveAgain),
            "own_tag" => (format!("the tag {named} of a photo"), Remedy::WriteAgain),
            "own_rating" => (format!("the rating of {}", of_photo()), Remedy::WriteAgain),
            "album_picture" => (format!("a photo of album {named}"), Remedy::WriteAgain),
            "given_name" => (format!("the name {named} of a cluster"), Remedy::WriteAgain),
            "named_picture" => (format!("a picture of the name {named} of a cluster"), Remedy::Rebuild),
            _ => (format!("the model {named}"), Remedy::Reindex),
        };
        let verb = if matches!(table, "tag" | "other_tag") { "are" } else { "is" };
        findings.push(Finding::new(format!("{what} {verb} damaged"), remedy));
    }
    findings.dedup();
    Ok(findings)
}

/// The counts that the next change continues.
fn broken_counts(db: &Database) -> rusqlite::Result<Vec<Finding>> {
    let what = "the count of its commits, or of the ids that it gave, is damaged";
    let sound = db.sqlite().map_or(Ok(true), seal::commits_are_sound)?;
    Ok((!sound).then(|| Finding::new(what.into(), Remedy::Accept)).into_iter().collect())
}

/// A path of the photo whose id is in the first column, in brackets; nothing if it has no file.
fn path_of(db: &Database, row: &crate::engine::SqlRow<'_>) -> rusqlite::Result<String> {
    let path = first_path(db, row.get(0)?)?;
    Ok(path.map(|path| format!(" ({})", escape::path(&path))).unwrap_or_default())
}

/// Drops the broken rows that can be computed again, and lets the next indexing run do so.
fn repair_rows(db: &Database) -> rusqlite::Result<()> {
    if db.sqlite().is_none() {
        return Ok(());
    }
    let broken = |sealed: Sealed| sealed.is_broken();
    // What the current model says of a photo and what the photo is are computed together: without its embedding they
    // are again.
    for sealed in [seal::PHOTO, seal::TAG] {
        let (table, key) = (sealed.table, sealed.key);
        let photos = format!("SELECT {key} FROM {table} WHERE {}", broken(sealed));
        db.execute(&format!("INSERT INTO change (photo) {photos}"), [])?;
        db.execute(
            &format!(
                "DELETE FROM embedding WHERE photo IN ({photos}) AND model IN (SELECT id FROM model WHERE current)"
            ),
            [],
        )?;
    }
    // So it is with what another model says.
    let others = format!("FROM other_tag WHERE {}", broken(seal::OTHER_TAG));
    db.execute(&format!("INSERT INTO change (photo, about, model) SELECT DISTINCT photo, 2, model {others}"), [])?;
    db.execute(&format!("DELETE FROM embedding WHERE (photo, model) IN (SELECT photo, model {others})"), [])?;
    db.execute(&format!("DELETE {others}"), [])?;
    db.execute(&format!("DELETE FROM tag WHERE photo IN (SELECT photo FROM tag WHERE {})", broken(seal::TAG)), [])?;
    db.execute(&format!("UPDATE photo SET identified = 0 WHERE {}", broken(seal::PHOTO)), [])?;
    seal::PHOTO.seal(db, "identified = 0", [])?;
    // The folders are also written beside each of their files.
    let lost = db.execute(&format!("DELETE FROM root WHERE {}", broken(seal::ROOT)), [])?;
    let files = format!("FROM file WHERE {}", broken(seal::FILE));
    let mut lost_files = db.prepare(&format!("SELECT path, photo {files} AND photo IN (SELECT id FROM photo)"))?;
    let mut rows = lost_files.query([])?;
    while let Some(row) = rows.next()? {
        if let (Ok(path), Ok(photo)) = (row.path(0), row.get(1)) {
            remember_last(db, &path, photo)?;
        }
    }
    db.execute(&format!("INSERT INTO change (photo) SELECT photo {files}"), [])?;
    db.execute(&format!("DELETE {files}"), [])?;
    // Who and what is named on a file is read again.
    let named = format!("id IN (SELECT file FROM named WHERE {})", broken(seal::NAMED));
    db.execute(&format!("UPDATE file SET reader = 0 WHERE {named}"), [])?;
    seal::FILE.seal(db, &named, [])?;
    if lost > 0 {
        db.execute("INSERT OR IGNORE INTO root (path) SELECT DISTINCT root FROM file", [])?;
        seal::ROOT.seal(db, "true", [])?;
    }
    let embeddings = format!("FROM embedding WHERE {}", broken(seal::EMBEDDING));
    db.execute(&format!("INSERT INTO change (photo) SELECT photo {embeddings}"), [])?;
    let readings = format!("FROM reading WHERE {}", broken(seal::READING));
    db.execute(&format!("INSERT INTO change (photo, about) SELECT photo, 1 {readings}"), [])?;
    for sealed in [
        seal::EMBEDDING,
        seal::ENCODING,
        seal::CLASSIFIER,
        seal::FAILURE,
        seal::LAST_SEEN,
        seal::MEMBER,
        seal::LOOK,
        seal::CLUSTER,
        seal::NAMED_PICTURE,
        seal::PAST_CLUSTERS,
        seal::PROPOSED,
        seal::UNREAD,
        seal::NAMED,
        seal::STACK,
        seal::READING,
        seal::SETTING,
    ] {
        db.execute(&format!("DELETE FROM {} WHERE {}", sealed.table, broken(sealed)), [])?;
    }
    db.execute(&format!("DELETE FROM caption WHERE captioner IS NOT NULL AND {}", broken(seal::CAPTION)), [])?;
    seal::CHANGE.seal(db, &broken(seal::CHANGE), [])
}

fn damaged_vectors(db: &Database) -> rusqlite::Result<Vec<Finding>> {
    let what = |(photo, model)| format!("the embedding of photo {photo} by model {model} is damaged");
    let damaged = damaged_embeddings(db)?.into_iter();
    Ok(damaged.map(|place| Finding::new(what(place), Remedy::DropAndIndex)).collect())
}

/// Damaged encodings, looks, centroids and classifiers.
fn damaged_values(db: &Database) -> rusqlite::Result<Vec<Finding>> {
    let mut damaged = Vec::new();
    for (photo, captioner) in captions::damaged_encodings(db)? {
        let what = format!("the encoding of photo {photo} by captioner {} is damaged", escape::text(&captioner));
        damaged.push(Finding::new(what, Remedy::DropUntilNeeded));
    }
    for photo in looks::damaged(db)? {
        damaged.push(Finding::new(format!("the look of photo {photo} is damaged"), Remedy::DropUntilNeeded));
    }
    for id in clusters::damaged_centroids(db)? {
        damaged.push(Finding::new(format!("the centroid of cluster {id} is damaged"), Remedy::DropAndIndex));
    }
    for id in cluster_history::damaged(db)? {
        damaged.push(Finding::new(format!("state {id} of the clusters is damaged"), Remedy::Rebuild));
    }
    for (set, _) in labels::damaged_classifiers(db)? {
        let what = format!("a classifier of label set {set} is damaged");
        damaged.push(Finding::new(what, Remedy::DropUntilNeeded));
    }
    Ok(damaged)
}

/// Photo and model of the embeddings whose checksum or length is wrong.
fn damaged_embeddings(db: &Database) -> rusqlite::Result<Vec<(i64, i64)>> {
    let sql = "SELECT photo, model, checksum, vector, dim FROM embedding JOIN model ON model.id = model ORDER BY photo, model";
    let mut damaged = Vec::new();
    db.prepare(sql)?.for_each([], |row| {
        if !is_sound(row.get_ref(3)?.as_blob()?, row.get(4)?, row.get(2)?) {
            damaged.push((row.get(0)?, row.get(1)?));
        }
        Ok(true)
    })?;
    Ok(damaged)
}
