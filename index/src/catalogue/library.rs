//! A library on disk: creating, opening and reading it.

use super::mounts::{Mounts, user_folder};
use super::private_file::{private, private_folder};
use super::rows::{
    CarriedCaption, DamagedFile, FailedFile, FileIdentity, FileStamp, ModelRecord, ModelRole, ScoreStats, Status,
    TextModelRecord, WaitingCounts,
};
use super::stored::{read_row, size_of, text_of};
use super::{identity, seal};
use crate::engine::postgres::address::{Address, is_address};
use crate::engine::postgres::roles;
use crate::engine::postgres::server::Server;
use crate::engine::postgres::server_error::ServerError;
use crate::engine::sqlite::position::{self, Position};
use crate::engine::sqlite::schema;
use crate::engine::{Database, SqlRow, SqlTransaction};
use crate::error::{Error, Result};
use rusqlite::{OptionalExtension, params};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_64;

const CATALOGUE: &str = "catalogue.sqlite";
const POSITION: &str = "position";
/// The variable with the address of the replica that searches ask.
const REPLICA: &str = "SNAPSEEK_LIBRARY_READ";
/// How long a search waits for a replica to have what was written before.
const REPLICA_WAIT: Duration = Duration::from_secs(1);

/// Captions of photos without a file, by hand or imported before a file showed them.
pub(crate) const WAITING_CAPTIONS: &str = "caption c WHERE NOT EXISTS (SELECT 1 FROM file f WHERE f.photo = c.photo)
    AND (c.captioner IS NULL OR EXISTS (SELECT 1 FROM photo p WHERE p.id = c.photo AND p.format = ''))";
/// Names given by hand that no cluster has.
pub(crate) const WAITING_NAMES: &str = "given_name g WHERE NOT EXISTS
    (SELECT 1 FROM cluster c WHERE c.by_hand AND c.folded = g.folded)";

/// An open library. Any number of processes may read it while one has a [`crate::Writer`]. Captions, chats, clusters,
/// looks and label sets need no [`crate::Writer`]: any process may write them at any time.
#[derive(Debug)]
pub struct Library {
    /// Of a library on a server, the folder of this machine's caches.
    dir: PathBuf,
    db: Database,
    /// The model that answers; the current one if none was chosen.
    answers: RefCell<Option<ModelRecord>>,
    /// The server that searches ask, if not that of the catalogue: a replica of it.
    replica: Option<Address>,
}

/// A model of the library and its id in the tables.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) id: i64,
    pub(crate) record: ModelRecord,
}

impl Model {
    /// Whether this is the model of that record.
    pub(crate) fn is(&self, record: &ModelRecord) -> bool {
        self.record.fingerprint == record.fingerprint && self.record.dim == record.dim
    }
}

impl Library {
    /// Opens the library in `dir`, or creates an empty one there that only its owner may read.
    ///
    /// # Errors
    /// The folder cannot be created or written, its library is damaged or of a newer version, or the file in the
    /// catalogue's place is something else.
    pub fn create(dir: &Path) -> Result<Self> {
        if is_address(dir) {
            return Self::on_server(dir, true);
        }
        private_folder(dir)?;
        let file = dir.join(CATALOGUE);
        length(&file)?;
        // SQLite gives its side files the permissions of the main file.
        private().create(true).append(true).open(&file).map_err(Error::io(&file))?;
        Self::of(dir.to_path_buf(), Database::of_file(schema::connect(&file, true)?)).mounted()
    }

    /// Opens the library in `dir`; a read-only folder is enough for searching.
    ///
    /// # Errors
    /// [`Error::NoLibrary`] if there is none, or only an empty file; or the library cannot be read, is damaged, of a
    /// newer version, or of an older version and read-only; or the file in the catalogue's place is something else.
    pub fn open(dir: &Path) -> Result<Self> {
        if is_address(dir) {
            return Self::on_server(dir, false);
        }
        Self::of_folder(dir)?.mounted()
    }

    fn of_folder(dir: &Path) -> Result<Self> {
        let file = dir.join(CATALOGUE);
        if length(&file)?.is_none_or(|length| length == 0) {
            return Err(Error::NoLibrary { path: dir.to_path_buf() });
        }
        Ok(Self::of(dir.to_path_buf(), Database::of_file(schema::connect(&file, false)?)))
    }

    fn of(dir: PathBuf, db: Database) -> Self {
        Self { dir, db, answers: RefCell::default(), replica: None }
    }

    /// With its folders where they are on this machine.
    fn mounted(self) -> Result<Self> {
        let mounts = Mounts::of(&self.home()?)?;
        Ok(self.with_mounts(mounts))
    }

    fn with_mounts(self, mounts: Mounts) -> Self {
        Self { db: self.db.with_mounts(mounts), ..self }
    }

    fn on_server(place: &Path, may_create: bool) -> Result<Self> {
        let read = |text: &str| Address::read(text).map_err(|error| Error::Server(Box::new(error)));
        let address = read(&place.to_string_lossy())?;
        let replica = std::env::var(REPLICA).ok().filter(|replica| !replica.is_empty());
        let replica = replica.map(|replica| read(&replica)).transpose()?;
        let dir = caches_of(&address)?;
        private_folder(&dir)?;
        Ok(Self { replica, ..Self::of_server(&address, dir, may_create)?.mounted()? })
    }

    fn of_server(address: &Address, dir: PathBuf, may_create: bool) -> Result<Self> {
        let server = Server::open(address, may_create).map_err(|error| match error {
            ServerError::NoLibrary { address } => Error::NoLibrary { path: address.into() },
            error => Error::Server(Box::new(error)),
        })?;
        Ok(Self::of(dir, Database::of_server(server)))
    }

    /// Opens the same library again, for another thread; the same model answers.
    ///
    /// # Errors
    /// As [`Library::open`].
    pub fn reopen(&self) -> Result<Self> {
        let again = match self.server() {
            Some(server) => Self::of_server(server.address(), self.dir.clone(), false)?,
            None => Self::of_folder(&self.dir)?,
        };
        let again = again.with_mounts(self.mounts().clone());
        Ok(Self { answers: self.answers.clone(), replica: self.replica.clone(), ..again })
    }

    /// As [`Library::reopen`], to search: in the replica, if there is one, once it has what this connection sees, or is
    /// too far behind to wait for.
    pub(crate) fn reopen_to_search(&self) -> Result<Self> {
        let Some(replica) = &self.replica else { return self.reopen() };
        let library = Self::of_server(replica, self.dir.clone(), false)?;
        let (wanted, started) = (self.sql(position::of_catalogue)?.count, Instant::now());
        while library.sql(position::of_catalogue)?.count < wanted && started.elapsed() < REPLICA_WAIT {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { answers: self.answers.clone(), ..library.with_mounts(self.mounts().clone()) })
    }

    /// Makes roles on the server of a library that its users may be given: `snapseek_read` and `snapseek_write`. Returns
    /// whether there are such roles now: a library in a folder has none, and not every user may make them.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub fn make_roles(&self) -> Result<bool> {
        self.sql(|db| db.server().map_or(Ok(false), roles::make))
    }

    /// Lets one of the library's models answer through this handle and those made from it: in searches, label sets,
    /// clusters, and as the source of embeddings. With `None` it is the one that is current at the time. What a
    /// [`crate::Writer`] does never depends on it.
    pub fn answer_with(&self, model: Option<&ModelRecord>) {
        self.answers.replace(model.cloned());
    }

    /// The model that answers ([`Library::answer_with`]).
    pub(crate) fn answering(&self) -> Result<Option<Model>> {
        let chosen = self.answers.borrow();
        let Some(record) = chosen.as_ref() else { return self.sql(current_model) };
        // Never another one in its place: embeddings of two models cannot be compared.
        let known = self.sql(|db| model_of(db, record))?;
        known.map(Some).ok_or_else(|| Error::Dropped { name: record.name.clone() })
    }

    /// The folder of the library's caches and locks: the library's own, or one of this machine's if the library is on a
    /// server.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the library is, to be shown: its folder, or its address without a password.
    #[must_use]
    pub fn place(&self) -> PathBuf {
        self.server().map_or_else(|| self.dir.clone(), |server| server.address().to_string().into())
    }

    /// By what this machine knows the library: its address without a password, or its folder.
    pub(crate) fn home(&self) -> Result<PathBuf> {
        if self.server().is_some() {
            return Ok(self.place());
        }
        self.dir.canonicalize().map_err(Error::io(&self.dir))
    }

    /// Where its roots are on this machine.
    pub(crate) fn mounts(&self) -> &Mounts {
        self.db.mounts()
    }

    /// The model that answers ([`Library::answer_with`]); `None` before one was set.
    ///
    /// # Errors
    /// [`Error::Dropped`], or the catalogue cannot be read.
    pub fn model(&self) -> Result<Option<ModelRecord>> {
        Ok(self.answering()?.map(|model| model.record))
    }

    /// How the library's photos score with neutral prompts, which describe no photo in particular: a cosine of the
    /// model that answers must stand out from these scores. `None` until [`Library::set_neutral_scores`].
    ///
    /// # Errors
    /// [`Error::Dropped`], or the catalogue cannot be read.
    pub fn neutral_scores(&self) -> Result<Option<ScoreStats>> {
        let Some(model) = self.answering()? else { return Ok(None) };
        let query = "SELECT neutral_count, neutral_mean, neutral_std FROM model WHERE id = ?1 AND neutral_count > 0";
        let stats = |row: &SqlRow<'_>| Ok(ScoreStats { count: row.get(0)?, mean: row.get(1)?, std: row.get(2)? });
        self.sql(|db| db.query_row(query, [model.id], stats).optional())
    }

    /// The model that reads texts in place of one that has embedded photos, if it was set.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn text_model(&self, model: &ModelRecord) -> Result<Option<TextModelRecord>> {
        let query = "SELECT texts_name, texts_fingerprint FROM model
                     WHERE fingerprint = ?1 AND dim = ?2 AND texts_name IS NOT NULL";
        let read = |row: &SqlRow<'_>| Ok(TextModelRecord { name: row.get(0)?, fingerprint: row.get(1)? });
        self.sql(|db| db.query_row(query, params![model.fingerprint, model.dim], read).optional())
    }

    /// Lets another model read texts in place of one that has embedded photos, or that one again. How photos score with
    /// neutral prompts is forgotten.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn set_text_model(&self, model: &ModelRecord, texts: Option<&TextModelRecord>) -> Result<()> {
        let (name, fingerprint) = texts.map(|texts| (&texts.name, &texts.fingerprint)).unzip();
        self.write(|db| {
            db.execute(
                "UPDATE model SET texts_name = ?1, texts_fingerprint = ?2, neutral_count = NULL, neutral_mean = NULL,
                 neutral_std = NULL WHERE fingerprint = ?3 AND dim = ?4",
                params![name, fingerprint, model.fingerprint, model.dim],
            )?;
            seal::MODEL.seal(db, "fingerprint = ?1 AND dim = ?2", params![model.fingerprint, model.dim])
        })
    }

    /// Stores how the library's photos score with neutral prompts of a model ([`Library::neutral_scores`]).
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn set_neutral_scores(&self, model: &ModelRecord, scores: &ScoreStats) -> Result<()> {
        self.write(|db| {
            db.execute(
                "UPDATE model SET neutral_count = ?1, neutral_mean = ?2, neutral_std = ?3
                 WHERE fingerprint = ?4 AND dim = ?5",
                params![scores.count, scores.mean, scores.std, model.fingerprint, model.dim],
            )?;
            seal::MODEL.seal(db, "fingerprint = ?1 AND dim = ?2", params![model.fingerprint, model.dim])
        })
    }

    /// What the library contains, and how large it is.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn status(&self) -> Result<Status> {
        // One snapshot, so that the numbers belong together.
        let _snapshot = self.db.begin_reading().map_err(|cause| self.failed(cause))?;
        let (photos, files) = self.sql(|db| {
            db.query_row("SELECT count(DISTINCT photo), count(*) FROM file", [], |row| Ok((row.get(0)?, row.get(1)?)))
        })?;
        let chats = self.sql(|db| db.query_row("SELECT count(*) FROM conversation", [], |row| row.get(0)))?;
        Ok(Status {
            photos,
            files,
            model: self.model()?,
            bytes: self.bytes()?,
            roots: self.roots()?,
            captions: self.caption_counts()?,
            encodings: self.encoding_counts()?,
            texts: self.text_counts()?,
            chats,
            awaiting: self.awaiting()?,
            waiting: self.waiting()?,
            forgotten: self.forgotten()?,
            lost_commits: self.lost_commits()?,
        })
    }

    /// Lets a server count its tables ([`Server::analyze`]).
    pub(crate) fn analyze(&self) -> Result<()> {
        self.sql(|db| db.server().map_or(Ok(()), Server::analyze))
    }

    /// What the library is kept by, with its version: `SQLite 3.50.1`, `PostgreSQL 16.4`.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn engine(&self) -> Result<String> {
        let sql = if self.server().is_some() {
            "SELECT 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1)"
        } else {
            "SELECT 'SQLite ' || sqlite_version()"
        };
        self.sql(|db| db.query_row(sql, [], |row| row.get(0)))
    }

    /// How much space the library takes: its folder, or its tables on the server.
    fn bytes(&self) -> Result<u64> {
        let tables = "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n
            ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND c.relkind = 'r'";
        match self.server() {
            None => Ok(bytes_below(&self.dir)),
            Some(_) => self.sql(|db| db.query_row(tables, [], |row| row.get(0))),
        }
    }

    /// How many photos the model that answers has not embedded, because their files could not be read when the others
    /// were embedded, or because their embedding was damaged.
    ///
    /// # Errors
    /// [`Error::Dropped`], or the catalogue cannot be read.
    pub fn awaiting(&self) -> Result<u64> {
        let model = self.answering()?.map(|model| model.id);
        self.sql(|db| {
            db.query_row(
                "SELECT count(DISTINCT photo) FROM file f
                 WHERE NOT EXISTS (SELECT 1 FROM embedding e WHERE e.model = ?1 AND e.photo = f.photo)",
                [model],
                |row| row.get(0),
            )
        })
    }

    /// What a person wrote and waits for its picture.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn waiting(&self) -> Result<WaitingCounts> {
        self.sql(|db| {
            let count = |what| db.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0));
            Ok(WaitingCounts { captions: count(WAITING_CAPTIONS)?, names: count(WAITING_NAMES)? })
        })
    }

    /// The paths that are forgotten ([`crate::Writer::is_forgotten`]), ascending.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn forgotten(&self) -> Result<Vec<PathBuf>> {
        self.sql(|db| {
            let mut statement = db.prepare_cached("SELECT path FROM forgotten WHERE forgotten ORDER BY path")?;
            let rows = statement.query_map([], |row| row.path(0))?;
            rows.collect()
        })
    }

    /// Remembers that the user was offered to delete these files: if they are gone, it was meant. What was proposed
    /// before and is indexed no more is forgotten.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn propose_removal(&self, paths: &[&Path]) -> Result<()> {
        self.write(|db| {
            db.execute("DELETE FROM proposed WHERE path NOT IN (SELECT path FROM file)", [])?;
            for path in paths {
                db.prepare_cached("INSERT OR IGNORE INTO proposed (path) VALUES (?1)")?.execute([db.stored(path)])?;
            }
            seal::PROPOSED.seal(db, "seal IS NULL", [])
        })
    }

    /// Whether the user was offered to delete this file.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn is_proposed(&self, path: &Path) -> Result<bool> {
        self.sql(|db| db.prepare_cached("SELECT 1 FROM proposed WHERE path = ?1")?.exists([db.stored(path)]))
    }

    /// The captions by hand that were carried over to an edited picture and not written anew since, by path.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn carried_captions(&self) -> Result<Vec<CarriedCaption>> {
        self.sql(|db| {
            let mut statement = db.prepare(
                "SELECT carried, text FROM caption c WHERE carried IS NOT NULL
                 AND EXISTS (SELECT 1 FROM file f WHERE f.photo = c.photo) ORDER BY carried",
            )?;
            let rows =
                statement.query_map([], |row| Ok(CarriedCaption { path: row.path(0)?, text: text_of(row, 1)? }))?;
            rows.collect()
        })
    }

    /// The files whose pictures are damaged, and what is wrong with them, by path.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn damaged_files(&self) -> Result<Vec<DamagedFile>> {
        self.sql(|db| {
            let mut statement = db.prepare(
                "SELECT f.path, p.remark FROM file f JOIN photo p ON p.id = f.photo
                 WHERE p.remark IS NOT NULL ORDER BY f.path",
            )?;
            let rows =
                statement.query_map([], |row| Ok(DamagedFile { path: row.path(0)?, remark: text_of(row, 1)? }))?;
            rows.collect()
        })
    }

    /// How many files of each ending are of kinds that are not read, as of when their folders were last indexed.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn unread(&self) -> Result<BTreeMap<String, u64>> {
        self.sql(|db| {
            let mut statement = db.prepare("SELECT ending, sum(files) FROM unread GROUP BY ending")?;
            let rows = statement.query_map([], |row| Ok((text_of(row, 0)?, row.get(1)?)))?;
            rows.collect()
        })
    }

    /// How many commits the catalogue lacks that were made ([`Status::lost_commits`]).
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn lost_commits(&self) -> Result<u64> {
        if self.server().is_some() {
            return Ok(0);
        }
        // In this order: another process may be writing.
        let remembered = position::read(&self.position_file());
        let catalogue = self.sql(position::of_catalogue)?;
        let missing = remembered.map_or(0, |remembered| position::missing(remembered, catalogue));
        Ok(u64::try_from(missing).unwrap_or(0))
    }

    /// Takes the catalogue as it is for complete.
    pub(crate) fn accept_position(&self) -> Result<()> {
        if self.server().is_none() {
            position::remember(&self.position_file(), self.sql(position::of_catalogue)?);
        }
        Ok(())
    }

    fn position_file(&self) -> PathBuf {
        self.dir.join(POSITION)
    }

    /// The files that could not be indexed, by path.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn failures(&self) -> Result<Vec<FailedFile>> {
        self.sql(|db| {
            let mut statement =
                db.prepare("SELECT path, size, mtime_ns, kind, message, reader FROM failure ORDER BY path")?;
            let rows = statement.query_map([], failure_of)?;
            rows.collect()
        })
    }

    /// The names of this kind (`keyword`, `person`) that any photo has, the most frequent first.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn names(&self, kind: &str) -> Result<Vec<String>> {
        self.sql(|db| {
            let mut statement = db.prepare_cached(
                "SELECT text FROM (SELECT text FROM named WHERE kind = ?1
                 UNION ALL SELECT name FROM own_tag WHERE ?1 = 'keyword') AS n
                 GROUP BY text ORDER BY count(*) DESC, text LIMIT 10000",
            )?;
            statement.query_map([kind], |row| text_of(row, 0))?.collect()
        })
    }

    /// The ids of the photos of this format, ascending.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn photos_of_format(&self, format: &str) -> Result<Vec<i64>> {
        self.sql(|db| {
            let mut statement = db.prepare_cached("SELECT id FROM photo WHERE format = ?1 ORDER BY id")?;
            statement.query_map([format], |row| row.get(0))?.collect()
        })
    }

    /// The id of the photo that the catalogue holds under exactly this path.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn photo_at(&self, path: &Path) -> Result<Option<i64>> {
        self.sql(|db| {
            db.prepare_cached("SELECT photo FROM file WHERE path = ?1")?
                .query_row([db.stored(path)], |row| row.get(0))
                .optional()
        })
    }

    /// The id of the photo that shows the same picture as a file, if a file of the library shows it.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn photo_showing(&self, identity: &FileIdentity) -> Result<Option<i64>> {
        self.sql(|db| {
            let Some(photo) = identity::look_up(db, identity)? else { return Ok(None) };
            Ok(identity::is_held(db, photo)?.then_some(photo))
        })
    }

    /// The stamp that the file at exactly this path had when it was indexed.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn stamp_at(&self, path: &Path) -> Result<Option<FileStamp>> {
        self.sql(|db| {
            db.prepare_cached("SELECT size, mtime_ns FROM file WHERE path = ?1")?
                .query_row([db.stored(path)], |row| Ok(FileStamp { size: size_of(row.get(0)?), mtime_ns: row.get(1)? }))
                .optional()
        })
    }

    /// The embedding of a photo by the model that answers (a unit vector, of a video that of its first frame); `None`
    /// if there is none or it is damaged.
    ///
    /// # Errors
    /// [`Error::Dropped`], or the catalogue cannot be read.
    pub fn embedding(&self, id: i64) -> Result<Option<Vec<f32>>> {
        let Some(model) = self.answering()? else { return Ok(None) };
        self.sql(|db| {
            let mut statement =
                db.prepare_cached("SELECT checksum, vector FROM embedding WHERE photo = ?1 AND model = ?2")?;
            let mut rows = statement.query([id, model.id])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let mut vector = Vec::new();
            let vectors = read_row(&row, 0, model.record.dim, &mut vector)?;
            vector.truncate(model.record.dim);
            Ok((vectors > 0).then_some(vector))
        })
    }

    /// Which of these models have not embedded what a file shows, as positions in the list: none of them, and nothing
    /// has to be computed. A picture stays known until [`crate::Writer::settle`] after its last file has disappeared,
    /// so that files that swap names are not embedded again.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn lacking(&self, identity: &FileIdentity, models: &[&ModelRecord]) -> Result<Vec<usize>> {
        self.sql(|db| {
            let photo = identity::look_up(db, identity)?;
            let mut statement = db.prepare_cached(
                "SELECT 1 FROM embedding e JOIN model m ON m.id = e.model
                 WHERE e.photo = ?1 AND m.fingerprint = ?2 AND m.dim = ?3",
            )?;
            let mut lacking = Vec::new();
            for (at, model) in models.iter().enumerate() {
                if photo.is_none() || !statement.exists(params![photo, model.fingerprint, model.dim])? {
                    lacking.push(at);
                }
            }
            Ok(lacking)
        })
    }

    /// A number that changes whenever another connection (another open [`Library`] or its [`crate::Writer`], in this
    /// process or in another) has committed something to the catalogue. Commits of this connection do not change it.
    /// The numbers of two [`Library`] values cannot be compared.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn data_version(&self) -> Result<i64> {
        self.sql(|db| match db.server() {
            None => db.query_row("PRAGMA data_version", [], |row| row.get(0)),
            Some(server) => Ok(position::of_catalogue(db)?.count - server.own_commits.get()),
        })
    }

    /// Runs reads or writes; an error names the catalogue that failed.
    pub(crate) fn sql<T>(&self, work: impl FnOnce(&Database) -> rusqlite::Result<T>) -> Result<T> {
        work(&self.db).map_err(|cause| self.failed(cause))
    }

    fn failed(&self, cause: rusqlite::Error) -> Error {
        match cause {
            rusqlite::Error::UserFunctionError(cause) if cause.is::<ServerError>() => match cause.downcast() {
                Ok(cause) => Error::Server(cause),
                Err(cause) => Error::Catalogue { path: self.place(), cause: rusqlite::Error::UserFunctionError(cause) },
            },
            cause if self.server().is_some() => Error::Catalogue { path: self.place(), cause },
            cause => Error::catalogue(&self.dir.join(CATALOGUE))(cause),
        }
    }

    /// The server that holds the catalogue, if one does.
    pub(crate) fn server(&self) -> Option<&Server> {
        self.db.server()
    }

    /// Runs reads that all see the same moment.
    pub(crate) fn at_one_moment<T>(&self, work: impl FnOnce(&Database) -> rusqlite::Result<T>) -> Result<T> {
        self.sql(|db| work(&*db.begin_reading()?))
    }

    /// Runs `work` in one transaction. Without a [`crate::Writer`], use it only for short writes that do not interfere
    /// with an indexing run: one connection writes at a time, and the others wait. Where a server is lost in the middle,
    /// `work` is run again.
    pub(crate) fn write<T>(&self, mut work: impl FnMut(&SqlTransaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        match self.server() {
            None => self.sql(|db| self.write_to_file(db, &mut work)),
            Some(server) => self.sql(|db| server.retry(|| write_to_server(db, server, &mut work))),
        }
    }

    fn write_to_file<T>(
        &self,
        db: &Database,
        work: &mut dyn FnMut(&SqlTransaction<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let file = self.position_file();
        let transaction = db.begin_writing()?;
        let before = position::of_catalogue(&transaction)?;
        let lost = position::read(&file).map_or(0, |remembered| position::missing(remembered, before));
        let value = work(&transaction)?;
        let now = Position { lost, ..position::advance(&transaction)? };
        transaction.commit()?;
        position::remember(&file, now);
        Ok(value)
    }
}

fn write_to_server<T>(
    db: &Database,
    server: &Server,
    work: &mut dyn FnMut(&SqlTransaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = db.begin_writing()?;
    let value = work(&transaction)?;
    position::advance(&transaction)?;
    server.tell_of_commit()?;
    let id = server.transaction_id()?;
    if let Err(error) = transaction.commit()
        && !server.has_committed(id)?
    {
        return Err(error);
    }
    server.own_commits.update(|count| count + 1);
    Ok(value)
}

/// The folder in which this machine keeps its caches of a library on a server.
fn caches_of(address: &Address) -> Result<PathBuf> {
    let base = user_folder("XDG_CACHE_HOME", ".cache").ok_or_else(|| Error::Refused {
        what: "a library on a server".into(),
        reason: "no folder is known for its caches: set HOME or XDG_CACHE_HOME".into(),
    })?;
    Ok(base.join("snapseek/servers").join(format!("{:016x}", xxh3_64(address.to_string().as_bytes()))))
}

/// The length of a catalogue in bytes; `None` if there is none.
fn length(file: &Path) -> Result<Option<u64>> {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    match std::fs::metadata(file) {
        Ok(meta) if meta.is_file() => Ok(Some(meta.len())),
        Ok(_) => Err(Error::NotALibrary { path: file.to_path_buf(), reason: "it is not a regular file".into() }),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(None),
        // That it cannot be seen does not mean that it does not exist.
        Err(error) => Err(Error::io(file)(error)),
    }
}

/// The current model.
pub(crate) fn current_model(db: &Database) -> rusqlite::Result<Option<Model>> {
    let mut statement = db.prepare_cached("SELECT id, name, fingerprint, dim FROM model WHERE current")?;
    statement.query_row([], read_model).optional()
}

/// The model with this fingerprint and dimensions, whatever it is to the library.
pub(crate) fn model_of(db: &Database, record: &ModelRecord) -> rusqlite::Result<Option<Model>> {
    db.prepare_cached("SELECT id, name, fingerprint, dim FROM model WHERE fingerprint = ?1 AND dim = ?2")?
        .query_row(params![record.fingerprint, record.dim], read_model)
        .optional()
}

/// The models by which photos are embedded, the current one first.
pub(crate) fn models_of(db: &Database) -> rusqlite::Result<Vec<(Model, ModelRole)>> {
    let mut statement = db.prepare_cached(
        "SELECT id, name, fingerprint, dim, current, beside FROM model WHERE current OR beside > 0
         ORDER BY current DESC, beside DESC, id",
    )?;
    let rows = statement.query_map([], |row| {
        let role = match (row.get(4)?, row.get(5)?) {
            (true, _) => ModelRole::Current,
            (false, 2_i64) => ModelRole::Filling,
            (false, _) => ModelRole::Kept,
        };
        Ok((read_model(row)?, role))
    })?;
    rows.collect()
}

/// Reads a model from the columns id, name, fingerprint and dim.
fn read_model(row: &SqlRow<'_>) -> rusqlite::Result<Model> {
    let record = ModelRecord { name: row.get(1)?, fingerprint: row.get(2)?, dim: row.get(3)? };
    Ok(Model { id: row.get(0)?, record })
}

/// Reads a failed file from the columns path, size, mtime, kind, message and reader.
pub(crate) fn failure_of(row: &SqlRow<'_>) -> rusqlite::Result<FailedFile> {
    Ok(FailedFile {
        path: row.path(0)?,
        stamp: FileStamp { size: size_of(row.get(1)?), mtime_ns: row.get(2)? },
        kind: text_of(row, 3)?,
        message: text_of(row, 4)?,
        reader: row.get(5)?,
    })
}

/// Total size in bytes of all files below a folder. Links are not followed, and what cannot be read counts as 0.
pub(crate) fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => bytes_below(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rusqlite::OpenFlags;

    #[test]
    fn what_cannot_be_written_can_be_read_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let nobody = FileIdentity { file: [0; 32], picture: [0; 32], version: 1 };
        let library = Library::create(folder.path()).unwrap();
        let photo = "INSERT INTO photo (picture, width, height, format) VALUES (zeroblob(32), 1, 1, 'png')";
        library.sql(|db| db.execute(photo, [])).unwrap();
        library.set_caption_by_hand(1, "a dog").unwrap();
        library.save_encoding(1, "print", &[1.0]).unwrap();
        let id = library.begin_chat(&nobody, Path::new("/p/a.jpg"), "blip2").unwrap();
        let file = folder.path().join(CATALOGUE);
        let db = rusqlite::Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let db = Database::of_file(db);
        let read_only = Library { dir: folder.path().to_path_buf(), db, answers: RefCell::default(), replica: None };
        assert_eq!(read_only.caption(1).unwrap().unwrap().text, "a dog");
        assert_eq!(read_only.encoding(1, "print").unwrap(), Some(vec![1.0]));
        assert_eq!(read_only.chats().unwrap().len(), 1);
        for error in [
            read_only.set_caption_by_hand(1, "a cat").unwrap_err(),
            read_only.save_caption(1, "a cat", "print").unwrap_err(),
            read_only.clear_caption(1).unwrap_err(),
            read_only.save_encoding(1, "print", &[2.0]).unwrap_err(),
            read_only.begin_chat(&nobody, Path::new("/p/a.jpg"), "blip2").unwrap_err(),
            read_only.add_turn(id, "what?", "a cat").unwrap_err(),
            read_only.delete_chat(id).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Catalogue { .. }) && error.to_string().contains("readonly"), "{error}");
        }
    }
}
