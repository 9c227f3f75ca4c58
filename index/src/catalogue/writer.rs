//! The one writer of a library.

use super::change_log::{About, log, log_vectors};
use super::identity::{end_last, is_held, let_go, recognise, remember_last};
use super::library::{self, Library, Model, current_model, model_of, models_of};
use super::lock::Lock;
use super::paths;
use super::rows::{
    Change, ContentHash, FailedFile, FileIdentity, FileStamp, FileState, Metadata, ModelRecord, ModelRole, PhotoFacts,
    Tag,
};
use super::seal;
use super::stored::{row_checksum, size_of, stored_size};
use super::told::{self, retell};
use crate::engine::{Database, SqlTransaction, values_of};
use crate::error::{Error, Result, validate};
use crate::escape;
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, ToSql, params};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const LOCK: &str = "lock";

/// The right to write to a library, from [`Library::lock`].
#[derive(Debug)]
pub struct Writer<'a> {
    pub(crate) library: &'a Library,
    /// Dropping it releases the lock. A helper has none.
    _lock: Option<Lock<'a>>,
    /// The only model that may be the current one when something is written.
    expected: Option<ModelRecord>,
}

impl Library {
    /// Takes the library's write lock. The system releases it when the process ends, however it ends.
    ///
    /// # Errors
    /// [`Error::Locked`] at once if another process or handle holds it; or the folder is read-only.
    pub fn lock(&self) -> Result<Writer<'_>> {
        let held = |pid| Error::Locked { path: self.place(), pid };
        Ok(Writer { library: self, _lock: Some(self.take_lock(LOCK, held)?), expected: None })
    }

    /// Lets this process write what files hold that [`crate::Offers`] hands to it, beside the one that indexes. Of
    /// `current` it has the embeddings: once another model is the current one, [`Writer::apply`] refuses them.
    #[must_use]
    pub fn helper(&self, current: &ModelRecord) -> Writer<'_> {
        Writer { library: self, _lock: None, expected: Some(current.clone()) }
    }
}

impl Writer<'_> {
    /// Adds a folder that the library covers (a root). Roots below it are removed, and a folder below an existing root
    /// is not added.
    ///
    /// # Errors
    /// [`Error::Elsewhere`] or [`Error::AboveMount`] for a folder that is in the way of roots that are elsewhere on
    /// this machine, [`Error::SameFolder`] for one that another machine has indexed at another path; or the catalogue
    /// cannot be written.
    pub fn add_root(&mut self, root: &Path) -> Result<()> {
        if self.library.roots()?.iter().any(|known| root.starts_with(known)) {
            return Ok(());
        }
        self.library.mounts().allow(root)?;
        self.library.refuse_twice(root)?;
        self.write(|db| {
            delete_below(db, "root", root)?;
            let path = db.stored(root);
            db.execute("INSERT INTO root (path) VALUES (?1)", [&path])?;
            seal::ROOT.seal(db, "path = ?1", [&path])
        })
    }

    /// Records how many files of each ending below a folder of the library are of kinds that are not read. For folders
    /// inside one, nothing is recorded: they count there.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn set_unread(&mut self, root: &Path, endings: &BTreeMap<String, u64>) -> Result<()> {
        let (known, is_root) = self.library.sql(|db| {
            let mut statement = db.prepare_cached("SELECT ending, files FROM unread WHERE path = ?1")?;
            let path = db.stored(root);
            let rows = statement.query_map([&path], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let is_root = db.prepare_cached("SELECT 1 FROM root WHERE path = ?1")?.exists([&path])?;
            Ok((rows.collect::<rusqlite::Result<BTreeMap<String, u64>>>()?, is_root))
        })?;
        if !is_root || known == *endings {
            return Ok(());
        }
        self.write(|db| {
            delete_below(db, "unread", root)?;
            let path = db.stored(root);
            for (ending, files) in endings {
                db.prepare_cached("INSERT INTO unread (path, ending, files) VALUES (?1, ?2, ?3)")?
                    .execute(params![path, ending, files])?;
            }
            seal::UNREAD.seal(db, "path = ?1", [path])
        })
    }

    /// Declares the model that makes the embeddings of this run: the current one, or another of the library's.
    ///
    /// # Errors
    /// [`Error::OtherModel`] if it is none of them; or the catalogue cannot be written.
    pub fn set_model(&mut self, asked: &ModelRecord) -> Result<()> {
        let models = self.library.sql(models_of)?;
        let Some((current, _)) = models.first() else { return self.write(|db| put_model(db, asked, true, 0)) };
        if models.iter().any(|(known, _)| known.is(asked)) {
            return Ok(());
        }
        Err(Error::OtherModel { library: current.record.clone(), asked: asked.clone() })
    }

    /// Begins to embed the library's photos by another model, which will be the current one ([`Writer::switch_model`]).
    /// In a library without a model, and for its current one, this is [`Writer::set_model`].
    ///
    /// # Errors
    /// [`Error::Filling`] if that was begun with a third one; or the catalogue cannot be written.
    pub fn begin_model(&mut self, asked: &ModelRecord) -> Result<()> {
        let models = self.library.sql(models_of)?;
        if let Some((filling, _)) = models.iter().find(|(_, role)| *role == ModelRole::Filling)
            && !filling.is(asked)
        {
            return Err(Error::Filling { filling: filling.record.name.clone(), asked: asked.name.clone() });
        }
        match models.first() {
            Some((current, _)) if !current.is(asked) => self.write(|db| {
                // What is left of it in a library of an older release has no tags.
                let former = "SELECT id FROM model WHERE fingerprint = ?1 AND dim = ?2 AND beside = 0";
                db.execute(
                    &format!("DELETE FROM embedding WHERE model IN ({former})"),
                    params![asked.fingerprint, asked.dim],
                )?;
                put_model(db, asked, false, 2)
            }),
            _ => self.set_model(asked),
        }
    }

    /// Makes all of these changes, in order, or none.
    ///
    /// # Errors
    /// [`Error::Vector`] for an embedding that is not one of its model, [`Error::NoModel`] for one of a model that is
    /// not the library's, [`Error::OtherModel`] if a helper's model is not the current one any more, [`Error::Refused`]
    /// for a look of another size than is allowed, or the catalogue cannot be written.
    pub fn apply(&mut self, changes: &[Change]) -> Result<()> {
        if changes.is_empty() { Ok(()) } else { self.apply_and(changes, &|_| Ok(())) }
    }

    /// As [`Writer::apply`], with what else belongs into the transaction.
    pub(crate) fn apply_and(
        &mut self,
        changes: &[Change],
        also: &dyn Fn(&Database) -> rusqlite::Result<()>,
    ) -> Result<()> {
        let expected = self.expected.as_ref();
        let is_other = |current: Option<&Model>| expected.zip(current).is_some_and(|(asked, now)| !now.is(asked));
        let refused = |now: Option<Model>| match expected.zip(now) {
            Some((asked, now)) => Err(Error::OtherModel { library: now.record, asked: asked.clone() }),
            None => Ok(()),
        };
        let current = self.library.sql(current_model)?;
        if is_other(current.as_ref()) {
            return refused(current);
        }
        for change in changes {
            let (dim, embedding) = match change {
                Change::Photo { embedding, .. } => (current.as_ref().ok_or(Error::NoModel)?.record.dim, embedding),
                Change::Beside { model, embedding, .. } => {
                    self.library.sql(|db| model_of(db, model))?.ok_or(Error::NoModel)?;
                    (model.dim, embedding)
                }
                Change::Look { look, .. } => {
                    validate_look(look, || "the look of a picture".to_owned())?;
                    continue;
                }
                _ => continue,
            };
            let whose = || match change {
                Change::Photo { path, .. } => escape::path(path),
                _ => "a picture".to_owned(),
            };
            // Even of nothing, there is one vector to refuse.
            for vector in embedding.chunks(dim.max(1)).chain(embedding.is_empty().then_some([].as_slice())) {
                validate(vector, dim, whose)?;
            }
        }
        let other = self.library.write(|db| {
            let now = if expected.is_some() { current_model(db)? } else { None };
            if is_other(now.as_ref()) {
                return Ok(now);
            }
            changes.iter().try_for_each(|change| apply_one(db, change, current.as_ref()))?;
            also(db).map(|()| None)
        })?;
        refused(other)
    }

    /// What the catalogue knows about the file at this path.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn file(&self, path: &Path) -> Result<Option<FileState>> {
        self.library.sql(|db| {
            let mut statement = db.prepare_cached(
                "SELECT f.id, f.size, f.mtime_ns, f.hash, EXISTS (SELECT 1 FROM embedding e JOIN model m
                 ON m.id = e.model WHERE e.photo = p.id AND m.current), p.picture, p.identified, f.reader, f.beside,
                 p.colors IS NOT NULL
                 FROM file f JOIN photo p ON p.id = f.photo WHERE f.path = ?1",
            )?;
            let state = |row: &crate::engine::SqlRow<'_>| {
                let stamp = FileStamp { size: size_of(row.get(1)?), mtime_ns: row.get(2)? };
                Ok(FileState {
                    id: row.get(0)?,
                    stamp,
                    hash: row.get(3)?,
                    embedded: row.get(4)?,
                    picture: row.get(5)?,
                    identified: row.get(6)?,
                    reader: row.get(7)?,
                    beside: row.get(8)?,
                    has_colors: row.get(9)?,
                })
            };
            statement.query_row([db.stored(path)], state).optional()
        })
    }

    /// Why this path could not be indexed; `None` if no failure is recorded.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn failure(&self, path: &Path) -> Result<Option<FailedFile>> {
        self.library.sql(|db| {
            db.prepare_cached("SELECT path, size, mtime_ns, kind, message, reader FROM failure WHERE path = ?1")?
                .query_row([db.stored(path)], library::failure_of)
                .optional()
        })
    }

    /// The files at or below `root` whose ids are not in `seen`, by path: id, path, hash of the picture.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn unseen(&self, root: &Path, seen: &HashSet<i64>) -> Result<Vec<(i64, PathBuf, ContentHash)>> {
        self.library.sql(|db| {
            let (from, to) = db.below(root);
            let mut statement = db.prepare_cached(
                "SELECT f.id, f.path, p.picture FROM file f JOIN photo p ON p.id = f.photo
                 WHERE f.path = ?1 OR (f.path >= ?2 AND f.path < ?3) ORDER BY f.path",
            )?;
            let mut rows = statement.query(params![db.stored(root), from, to])?;
            let mut unseen = Vec::new();
            while let Some(row) = rows.next()? {
                let id = row.get(0)?;
                if !seen.contains(&id) {
                    unseen.push((id, row.path(1)?, row.get(2)?));
                }
            }
            Ok(unseen)
        })
    }

    /// The ids of the files that show this picture.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn files_with(&self, picture: &ContentHash) -> Result<Vec<i64>> {
        self.library.sql(|db| {
            let mut statement =
                db.prepare_cached("SELECT f.id FROM file f JOIN photo p ON p.id = f.photo WHERE p.picture = ?1")?;
            statement.query_map([picture.as_slice()], |row| row.get(0))?.collect()
        })
    }

    /// How many files the catalogue has at or below `root`.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn file_count(&self, root: &Path) -> Result<u64> {
        self.library.sql(|db| count_below(db, "file", root))
    }

    /// Drops a file, or a folder with everything below it, and returns the number of files dropped. Roots among them
    /// are removed; a path below a remaining root is remembered as forgotten ([`Writer::is_forgotten`]).
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn forget(&mut self, path: &Path) -> Result<u64> {
        let kept_root = |root: &PathBuf| path.starts_with(root) && root != path;
        let remembered = self.library.roots()?.iter().any(kept_root);
        self.write(|db| {
            let files = count_below(db, "file", path)?;
            let known = files + count_below(db, "failure", path)? > 0 || is_forgotten(db, path)?;
            forget_below(db, path)?;
            if remembered && known {
                put_forgotten(db, path, true)?;
            }
            Ok(files)
        })
    }

    /// Whether the user has forgotten this path. The nearest recorded decision counts: for the path itself, or else for
    /// the nearest folder above it that has one.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn is_forgotten(&self, path: &Path) -> Result<bool> {
        self.library.sql(|db| is_forgotten(db, path))
    }

    /// Undoes [`Writer::forget`] for this path, so that the next run indexes it again, but for what was forgotten
    /// inside it.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn remember(&mut self, path: &Path) -> Result<()> {
        self.write(|db| {
            db.execute("DELETE FROM forgotten WHERE path = ?1", [db.stored(path)])?;
            if is_forgotten(db, path)? {
                // A folder above it is forgotten, and stays so.
                put_forgotten(db, path, false)?;
            }
            Ok(())
        })
    }

    /// Runs `work` in one transaction.
    pub(crate) fn write<T>(&mut self, work: impl FnMut(&SqlTransaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        self.library.write(work)
    }
}

fn is_forgotten(db: &Database, path: &Path) -> rusqlite::Result<bool> {
    let mut statement = db.prepare_cached("SELECT forgotten FROM forgotten WHERE path = ?1")?;
    for ancestor in path.ancestors() {
        if let Some(forgotten) = statement.query_row([db.stored(ancestor)], |row| row.get(0)).optional()? {
            return Ok(forgotten);
        }
    }
    Ok(false)
}

/// Drops everything at or below a path: files, failures, roots, and exceptions from what is forgotten. What was
/// forgotten there stays so.
pub(crate) fn forget_below(db: &Database, path: &Path) -> rusqlite::Result<()> {
    let (from, to) = db.below(path);
    let mut statement = db.prepare("SELECT path, photo FROM file WHERE path = ?1 OR (path >= ?2 AND path < ?3)")?;
    let files =
        statement.query_map(params![db.stored(path), from, to], |row| Ok((row.path(0)?, row.get::<_, i64>(1)?)))?;
    let files: Vec<(PathBuf, i64)> = files.collect::<rusqlite::Result<_>>()?;
    for table in ["file", "failure", "root", "unread"] {
        delete_below(db, table, path)?;
    }
    db.prepare_cached("DELETE FROM forgotten WHERE NOT forgotten AND (path = ?1 OR (path >= ?2 AND path < ?3))")?
        .execute(params![db.stored(path), from, to])?;
    for (path, photo) in &files {
        if !is_held(db, *photo)? {
            remember_last(db, path, *photo)?;
        }
    }
    let photos: HashSet<i64> = files.into_iter().map(|(_, photo)| photo).collect();
    for photo in photos {
        log(db, photo, About::Photo)?;
        retell(db, photo)?;
        let_go(db, photo)?;
    }
    Ok(())
}

/// Records whether a path is forgotten.
pub(crate) fn put_forgotten(db: &Database, path: &Path, forgotten: bool) -> rusqlite::Result<()> {
    let path = db.stored(path);
    db.execute("INSERT OR REPLACE INTO forgotten (path, forgotten) VALUES (?1, ?2)", params![path, forgotten])?;
    seal::FORGOTTEN.seal(db, "path = ?1", [path])
}

/// The number of rows of a table with a path at or below `path`.
fn count_below(db: &Database, table: &str, path: &Path) -> rusqlite::Result<u64> {
    let (from, to) = db.below(path);
    let sql = format!("SELECT count(*) FROM {table} WHERE path = ?1 OR (path >= ?2 AND path < ?3)");
    db.prepare_cached(&sql)?.query_row(params![db.stored(path), from, to], |row| row.get(0))
}

fn delete_below(db: &Database, table: &str, path: &Path) -> rusqlite::Result<()> {
    let (from, to) = db.below(path);
    let sql = format!("DELETE FROM {table} WHERE path = ?1 OR (path >= ?2 AND path < ?3)");
    db.prepare_cached(&sql)?.execute(params![db.stored(path), from, to])?;
    Ok(())
}

/// Writes what a model is to the library, and its name.
fn put_model(db: &Database, model: &ModelRecord, current: bool, beside: i64) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO model (name, fingerprint, dim, current, beside) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (fingerprint, dim) DO UPDATE SET name = ?1, current = ?4, beside = ?5",
        params![model.name, model.fingerprint, model.dim, current, beside],
    )?;
    seal::MODEL.seal(db, "fingerprint = ?1 AND dim = ?2", params![model.fingerprint, model.dim])
}

fn apply_one(db: &Database, change: &Change, current: Option<&Model>) -> rusqlite::Result<()> {
    match change {
        Change::Photo { path, root, stamp, identity, facts, embedding, tags } => {
            let (photo, is_new) = put_photo(db, identity, facts)?;
            if let Some(model) = current {
                put_embedding(db, photo, model.id, embedding)?;
            }
            put_tags(db, photo, tags)?;
            log(db, photo, About::Photo)?;
            let file = FileRow { path, root, stamp: *stamp, hash: &identity.file, metadata: &facts.metadata };
            put_file(db, &file, photo, is_new)
        }
        Change::Unembedded { path, root, stamp, identity, facts } => {
            let (photo, is_new) = put_photo(db, identity, facts)?;
            log(db, photo, About::Photo)?;
            let file = FileRow { path, root, stamp: *stamp, hash: &identity.file, metadata: &facts.metadata };
            put_file(db, &file, photo, is_new)
        }
        Change::Beside { identity, model, embedding, tags } => {
            let (Some(photo), Some(model)) = (recognise(db, identity)?, model_of(db, model)?) else { return Ok(()) };
            put_embedding(db, photo, model.id, embedding)?;
            put_other_tags(db, photo, model.id, tags)?;
            log_vectors(db, photo, model.id)
        }
        Change::Known { path, root, stamp, identity, metadata } => match recognise(db, identity)? {
            Some(photo) => {
                let file = FileRow { path, root, stamp: *stamp, hash: &identity.file, metadata };
                put_file(db, &file, photo, false)
            }
            None => drop_path(db, path),
        },
        Change::Colors { picture, colors } => {
            db.prepare_cached("UPDATE photo SET colors = ?2 WHERE picture = ?1")?
                .execute(params![picture.as_slice(), told::joined(colors)])?;
            seal::PHOTO.seal(db, "picture = ?1", [picture.as_slice()])
        }
        Change::Look { picture, version, look } => put_look(db, "picture = ?1", picture.as_slice(), *version, look),
        Change::Failed { path, root: _, stamp, kind, message, reader } => {
            drop_path(db, path)?;
            let path = db.stored(path);
            db.prepare_cached(
                "INSERT INTO failure (path, size, mtime_ns, kind, message, reader) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![path, stored_size(stamp.size), stamp.mtime_ns, kind, message, reader])?;
            seal::FAILURE.seal(db, "path = ?1", [path])
        }
        Change::Remove { path } => drop_path(db, path),
    }
}

/// Writes what a picture is, and returns the photo and whether it is new. What its files say about it follows with
/// [`put_file`].
fn put_photo(db: &Database, identity: &FileIdentity, facts: &PhotoFacts) -> rusqlite::Result<(i64, bool)> {
    let PhotoFacts { width, height, format, remark, colors, .. } = facts;
    let colors = colors.as_deref().map(told::joined);
    let known = recognise(db, identity)?;
    let photo = match known {
        Some(photo) => {
            db.prepare_cached(
                "UPDATE photo SET width = ?2, height = ?3, format = ?4, remark = ?5, colors = ?6 WHERE id = ?1",
            )?
            .execute(params![photo, width, height, format, remark, colors])?;
            photo
        }
        None => db
            .prepare_cached(
                "INSERT INTO photo (picture, identified, width, height, format, remark, colors)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id",
            )?
            .query_row(
                params![identity.picture.as_slice(), identity.version, width, height, format, remark, colors],
                |row| row.get(0),
            )?,
    };
    seal::PHOTO.seal(db, "id = ?1", [photo])?;
    Ok((photo, known.is_none()))
}

fn put_embedding(db: &Database, photo: i64, model: i64, embedding: &[f32]) -> rusqlite::Result<()> {
    let bytes: Vec<u8> = embedding.iter().flat_map(|v| v.to_le_bytes()).collect();
    // What a former model made of it is not needed any more.
    db.prepare_cached(
        "DELETE FROM embedding WHERE photo = ?1 AND (model = ?2 OR model IN
         (SELECT id FROM model WHERE NOT current AND beside = 0))",
    )?
    .execute([photo, model])?;
    db.prepare_cached("INSERT INTO embedding (photo, model, checksum, vector) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![photo, model, row_checksum(&bytes), bytes])?;
    seal::EMBEDDING.seal(db, "photo = ?1 AND model = ?2", [photo, model])
}

/// The most bytes that a look may have.
const LARGEST_LOOK: usize = 1 << 16;

/// Refuses a look that cannot be one; `what` names it.
pub(crate) fn validate_look(look: &[u8], what: impl FnOnce() -> String) -> Result<()> {
    if (1..=LARGEST_LOOK).contains(&look.len()) {
        return Ok(());
    }
    let reason = format!("it has {} bytes; 1 to {LARGEST_LOOK} are allowed", look.len());
    Err(Error::Refused { what: what(), reason })
}

/// Writes the look of the photo of which a condition holds, with `key` as ?1; nothing if there is none.
pub(crate) fn put_look<T: ToSql + Copy>(
    db: &Database,
    photo: &str,
    key: T,
    version: u32,
    look: &[u8],
) -> rusqlite::Result<()> {
    db.prepare_cached(&format!(
        "INSERT INTO look (photo, version, checksum, data) SELECT id, ?2, ?3, ?4 FROM photo WHERE {photo}
         ON CONFLICT (photo) DO UPDATE SET version = excluded.version, checksum = excluded.checksum, data = excluded.data"
    ))?
    .execute(params![key, version, row_checksum(look), look])?;
    seal::LOOK.seal(db, &format!("photo = (SELECT id FROM photo WHERE {photo})"), [key])
}

pub(crate) fn put_tags(db: &Database, photo: i64, tags: &[Tag]) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM tag WHERE photo = ?1")?.execute([photo])?;
    let mut insert =
        db.prepare_cached("INSERT INTO tag (photo, position, label, folded, score) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (position, tag) in tags.iter().enumerate() {
        insert.execute(params![photo, position, tag.label, paths::padded_words(&tag.label), finite(tag.score)])?;
    }
    seal::TAG.seal(db, "photo = ?1", [photo])
}

pub(crate) fn put_other_tags(db: &Database, photo: i64, model: i64, tags: &[Tag]) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM other_tag WHERE photo = ?1 AND model = ?2")?.execute([photo, model])?;
    let mut insert = db.prepare_cached(
        "INSERT INTO other_tag (photo, model, position, label, folded, score) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for (position, tag) in tags.iter().enumerate() {
        let folded = paths::padded_words(&tag.label);
        insert.execute(params![photo, model, position, tag.label, folded, finite(tag.score)])?;
    }
    seal::OTHER_TAG.seal(db, "photo = ?1 AND model = ?2", [photo, model])
}

/// SQLite would store NaN as NULL.
fn finite(score: f32) -> f32 {
    if score.is_finite() { score } else { 0.0 }
}

/// A file as the catalogue keeps it.
struct FileRow<'a> {
    path: &'a Path,
    root: &'a Path,
    stamp: FileStamp,
    hash: &'a ContentHash,
    metadata: &'a Metadata,
}

/// Writes the columns of a file that [`put_file`] gives, and returns its id.
static PUT_FILE: LazyLock<String> = LazyLock::new(|| {
    let columns = format!("path, folded, root, size, mtime_ns, photo, hash, reader, beside, {}", told::COLUMNS);
    let names: Vec<&str> = columns.split(", ").collect();
    let set: Vec<String> = names.iter().skip(1).map(|column| format!("{column} = excluded.{column}")).collect();
    let marks = vec!["?"; names.len()].join(", ");
    let set = set.join(", ");
    format!("INSERT INTO file ({columns}) VALUES ({marks}) ON CONFLICT (path) DO UPDATE SET {set} RETURNING id")
});

/// Writes that a file shows a photo. `is_new`: this file has brought the photo into the library.
fn put_file(db: &Database, file: &FileRow<'_>, photo: i64, is_new: bool) -> rusqlite::Result<()> {
    let FileRow { path, root, stamp, hash, metadata } = file;
    let name = db.stored(path);
    db.prepare_cached("DELETE FROM failure WHERE path = ?1")?.execute([&name])?;
    let before = photo_of(db, path)?;
    let mut values: Vec<Value> = vec![
        Value::Blob(name.to_vec()),
        paths::fold(&String::from_utf8_lossy(&name)).into(),
        Value::Blob(db.stored(root).into_owned()),
        stored_size(stamp.size).into(),
        stamp.mtime_ns.into(),
        photo.into(),
        Value::Blob(hash.to_vec()),
        metadata.reader.into(),
        metadata.beside.into(),
    ];
    values.extend(told::values(metadata));
    let id = db.prepare_cached(&PUT_FILE)?.query_row(values_of(values), |row| row.get(0))?;
    seal::FILE.seal(db, "path = ?1", [&name])?;
    let renamed = told::put_names(db, id, metadata)?;
    if told::retell(db, photo)? || renamed {
        log(db, photo, About::Words)?;
    }
    // A file that was merely touched changes nothing that the caches contain.
    if before != Some(photo) {
        log(db, photo, About::Photo)?;
        if let Some(before) = before {
            leave(db, path, before)?;
        }
        if !is_new {
            // It is no edit of what was here before.
            end_last(db, path)?;
        }
    }
    Ok(())
}

/// Settles what follows from a path's no longer showing this photo.
fn leave(db: &Database, path: &Path, photo: i64) -> rusqlite::Result<()> {
    log(db, photo, About::Photo)?;
    remember_last(db, path, photo)?;
    retell(db, photo).map(drop)
}

fn drop_path(db: &Database, path: &Path) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM failure WHERE path = ?1")?.execute([db.stored(path)])?;
    if let Some(photo) = photo_of(db, path)? {
        db.prepare_cached("DELETE FROM file WHERE path = ?1")?.execute([db.stored(path)])?;
        leave(db, path, photo)?;
    }
    Ok(())
}

fn photo_of(db: &Database, path: &Path) -> rusqlite::Result<Option<i64>> {
    let mut statement = db.prepare_cached("SELECT photo FROM file WHERE path = ?1")?;
    statement.query_row([db.stored(path)], |row| row.get(0)).optional()
}
