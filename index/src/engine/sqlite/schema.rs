//! The catalogue's tables, and their migration from older versions.

use crate::catalogue::{seal, told};
use crate::error::{Error, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

/// One step per schema version; a step that was released is never changed.
const MIGRATIONS: &[&str] = &[
    V1,
    V2,
    CLUSTERS,
    LABEL_SETS,
    LOOKS,
    PICTURES,
    ENDED,
    PAST_CLUSTERS,
    READERS,
    UNREAD,
    FRAMES,
    TOLD,
    BESIDE,
    AWAITED_TAGS,
    READINGS,
    ALBUMS,
    OWN,
    SAVED_SEARCHES,
    FILTER_INDEXES,
];

/// `photo` is one content, `file` one path. `change` is the log that caches replay: its random `token` distinguishes a
/// position in this library's history from the same number in another history (a restored backup, a copied cache).
const V1: &str = "
PRAGMA application_id = 0x536e6170;
CREATE TABLE model (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, fingerprint TEXT NOT NULL, dim INTEGER NOT NULL,
    current INTEGER NOT NULL, neutral_count INTEGER, neutral_mean REAL, neutral_std REAL, UNIQUE (fingerprint, dim)
);
CREATE TABLE root (path BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE photo (
    id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, format TEXT NOT NULL,
    taken TEXT, camera TEXT, camera_folded TEXT, latitude REAL, longitude REAL
);
CREATE TABLE file (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path BLOB NOT NULL UNIQUE, folded TEXT NOT NULL, root BLOB NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, photo INTEGER NOT NULL REFERENCES photo (id)
);
CREATE INDEX file_photo ON file (photo);
CREATE TABLE embedding (
    photo INTEGER NOT NULL REFERENCES photo (id) ON DELETE CASCADE, model INTEGER NOT NULL REFERENCES model (id),
    checksum INTEGER NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (photo, model)
);
CREATE TABLE tag (
    photo INTEGER NOT NULL REFERENCES photo (id) ON DELETE CASCADE, position INTEGER NOT NULL,
    label TEXT NOT NULL, folded TEXT NOT NULL, score REAL NOT NULL, PRIMARY KEY (photo, position)
) WITHOUT ROWID;
CREATE TABLE failure (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, kind TEXT NOT NULL, message TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE forgotten (path BLOB PRIMARY KEY, forgotten INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE change (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, photo INTEGER, token INTEGER NOT NULL DEFAULT (random())
);
INSERT INTO change (photo) VALUES (NULL);
";

/// Captions, encodings and chats. `encoding` is a separate table, so that its large rows slow no other query down. A
/// chat refers to its picture by content and belongs to no photo: the picture may be moved, forgotten, or never have
/// been in the library.
///
/// `change.about` is [`crate::catalogue::change_log::About`].
const V2: &str = "
ALTER TABLE change ADD COLUMN about INTEGER NOT NULL DEFAULT 0;
CREATE INDEX change_of_photos ON change (seq, photo) WHERE about = 0;
CREATE TABLE caption (
    photo INTEGER PRIMARY KEY REFERENCES photo (id) ON DELETE CASCADE,
    text TEXT NOT NULL, folded TEXT NOT NULL, captioner TEXT, written INTEGER NOT NULL
);
CREATE TABLE encoding (
    photo INTEGER NOT NULL REFERENCES photo (id) ON DELETE CASCADE, captioner TEXT NOT NULL,
    checksum INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (photo, captioner)
);
CREATE TABLE conversation (
    id INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL CHECK (length(hash) = 32), path BLOB NOT NULL,
    model TEXT NOT NULL, started INTEGER NOT NULL, updated INTEGER NOT NULL
);
CREATE INDEX conversation_hash ON conversation (hash);
CREATE TABLE turn (
    conversation INTEGER NOT NULL REFERENCES conversation (id) ON DELETE CASCADE, position INTEGER NOT NULL,
    question TEXT NOT NULL, answer TEXT NOT NULL, PRIMARY KEY (conversation, position)
);
";

/// Groups of photos that look alike. A member without a cluster is a photo that was compared and fits none; a photo
/// that is not a member was added later.
const CLUSTERS: &str = "
CREATE TABLE cluster (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE, by_hand INTEGER NOT NULL,
    keywords TEXT NOT NULL, coherence REAL NOT NULL, reach REAL NOT NULL, fingerprint TEXT NOT NULL,
    checksum INTEGER NOT NULL, centroid BLOB NOT NULL
);
CREATE TABLE member (
    photo INTEGER PRIMARY KEY REFERENCES photo (id) ON DELETE CASCADE,
    cluster INTEGER REFERENCES cluster (id) ON DELETE CASCADE, cosine REAL NOT NULL
);
CREATE INDEX member_cluster ON member (cluster);
";

/// Label sets (their lists as JSON), and one classifier for each model that a set was used with: a scale and one row
/// per label, background labels last.
const LABEL_SETS: &str = "
CREATE TABLE label_set (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE,
    labels TEXT NOT NULL, background TEXT NOT NULL, templates TEXT NOT NULL, threshold REAL NOT NULL
);
CREATE TABLE classifier (
    label_set INTEGER NOT NULL REFERENCES label_set (id) ON DELETE CASCADE, fingerprint TEXT NOT NULL,
    checksum INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (label_set, fingerprint)
);
";

/// Looks, by which copies of a picture are recognised. `version` says how a look was made.
const LOOKS: &str = "
CREATE TABLE look (
    photo INTEGER PRIMARY KEY REFERENCES photo (id) ON DELETE CASCADE, version INTEGER NOT NULL,
    checksum INTEGER NOT NULL, data BLOB NOT NULL
);
";

/// Photos are known by what they show (`picture`; until version `identified` of that hash was made, the hash of a whole
/// file), and files by the hash of all their bytes; what a file says about itself belongs to the file, and the photo
/// has what its files say together. `last_seen` is the photo that was last at a path, for as long as something that a
/// person wrote about it may have to follow. `carried` is the path at which a caption was carried over to an edited
/// picture. `given_name` and `named_picture` are names of clusters that a person gave, and the pictures that were
/// meant. `commits` counts what was written. `seal` is [`crate::catalogue::seal`].
const PICTURES: &str = "
ALTER TABLE photo RENAME COLUMN hash TO picture;
ALTER TABLE photo DROP COLUMN size;
ALTER TABLE photo ADD COLUMN identified INTEGER NOT NULL DEFAULT 0;
ALTER TABLE file ADD COLUMN hash BLOB NOT NULL DEFAULT x'';
ALTER TABLE file ADD COLUMN taken TEXT;
ALTER TABLE file ADD COLUMN camera TEXT;
ALTER TABLE file ADD COLUMN latitude REAL;
ALTER TABLE file ADD COLUMN longitude REAL;
UPDATE file SET (hash, taken, camera, latitude, longitude) =
    (SELECT picture, taken, camera, latitude, longitude FROM photo p WHERE p.id = file.photo);
CREATE INDEX file_hash ON file (hash);
ALTER TABLE conversation RENAME COLUMN hash TO picture;
ALTER TABLE conversation ADD COLUMN file BLOB NOT NULL DEFAULT x'';
UPDATE conversation SET file = picture;
CREATE INDEX conversation_file ON conversation (file);
ALTER TABLE caption ADD COLUMN carried BLOB;
ALTER TABLE label_set ADD COLUMN written INTEGER NOT NULL DEFAULT 0;
CREATE TABLE last_seen (
    path BLOB PRIMARY KEY, photo INTEGER NOT NULL REFERENCES photo (id) ON DELETE CASCADE, seal INTEGER
) WITHOUT ROWID;
CREATE INDEX last_seen_photo ON last_seen (photo);
CREATE TABLE given_name (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE, written INTEGER NOT NULL,
    seal INTEGER
);
CREATE TABLE named_picture (
    name INTEGER NOT NULL REFERENCES given_name (id) ON DELETE CASCADE, picture BLOB NOT NULL, seal INTEGER,
    PRIMARY KEY (name, picture)
) WITHOUT ROWID;
CREATE INDEX named_picture_picture ON named_picture (picture);
INSERT INTO given_name (name, folded, written) SELECT name, folded, 0 FROM cluster WHERE by_hand;
INSERT INTO named_picture (name, picture) SELECT g.id, p.picture FROM given_name g
    JOIN cluster c ON c.folded = g.folded JOIN member m ON m.cluster = c.id JOIN photo p ON p.id = m.photo;
CREATE TABLE commits (
    id INTEGER PRIMARY KEY CHECK (id = 0), count INTEGER NOT NULL, token INTEGER NOT NULL DEFAULT (random()),
    seal INTEGER
);
INSERT INTO commits (id, count) VALUES (0, 0);
ALTER TABLE model ADD COLUMN seal INTEGER;
ALTER TABLE root ADD COLUMN seal INTEGER;
ALTER TABLE photo ADD COLUMN seal INTEGER;
ALTER TABLE file ADD COLUMN seal INTEGER;
ALTER TABLE tag ADD COLUMN seal INTEGER;
ALTER TABLE failure ADD COLUMN seal INTEGER;
ALTER TABLE forgotten ADD COLUMN seal INTEGER;
ALTER TABLE change ADD COLUMN seal INTEGER;
ALTER TABLE caption ADD COLUMN seal INTEGER;
ALTER TABLE conversation ADD COLUMN seal INTEGER;
ALTER TABLE turn ADD COLUMN seal INTEGER;
ALTER TABLE cluster ADD COLUMN seal INTEGER;
ALTER TABLE member ADD COLUMN seal INTEGER;
ALTER TABLE label_set ADD COLUMN seal INTEGER;
ALTER TABLE look ADD COLUMN seal INTEGER;
ALTER TABLE embedding ADD COLUMN seal INTEGER;
ALTER TABLE encoding ADD COLUMN seal INTEGER;
ALTER TABLE classifier ADD COLUMN seal INTEGER;
";

/// `ended`: what is at the path now, or comes there, has nothing to do with that photo.
const ENDED: &str = "
ALTER TABLE last_seen ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;
";

/// Clusters before they were made anew: names and what else is small as JSON, members and centroids as they are.
/// `proposed` holds the files that the user was offered to delete, whose loss is no surprise.
const PAST_CLUSTERS: &str = "
CREATE TABLE proposed (path BLOB PRIMARY KEY, seal INTEGER) WITHOUT ROWID;
CREATE TABLE past_clusters (
    id INTEGER PRIMARY KEY AUTOINCREMENT, until INTEGER NOT NULL, clusters TEXT NOT NULL, members BLOB NOT NULL,
    centroids BLOB NOT NULL, checksum INTEGER NOT NULL, seal INTEGER
);
";

/// What is doubtful about a picture, ratings, and which version of the readers has read or refused a file.
const READERS: &str = "
ALTER TABLE photo ADD COLUMN remark TEXT;
ALTER TABLE photo ADD COLUMN rating INTEGER;
ALTER TABLE file ADD COLUMN rating INTEGER;
ALTER TABLE file ADD COLUMN reader INTEGER NOT NULL DEFAULT 0;
ALTER TABLE failure ADD COLUMN reader INTEGER NOT NULL DEFAULT 0;
";

/// How many files of each ending, in the folders of the library, are of kinds that are not read.
const UNREAD: &str = "
CREATE TABLE unread (
    path BLOB NOT NULL, ending TEXT NOT NULL, files INTEGER NOT NULL, seal INTEGER, PRIMARY KEY (path, ending)
) WITHOUT ROWID;
";

/// `embedding.vector` may hold several vectors from here on, those of the frames of a video: older versions must not
/// take them for damage.
const FRAMES: &str = "";

/// What owners wrote on photos, in them and beside them, and with what they were taken. `beside` changes with the files
/// beside a photo; `named` holds the lists: keywords and people. `stack` holds the photos that were taken as one.
const TOLD: &str = "
ALTER TABLE photo ADD COLUMN taken_from TEXT;
ALTER TABLE photo ADD COLUMN taken_offset TEXT;
ALTER TABLE photo ADD COLUMN lens TEXT;
ALTER TABLE photo ADD COLUMN aperture REAL;
ALTER TABLE photo ADD COLUMN exposure REAL;
ALTER TABLE photo ADD COLUMN iso INTEGER;
ALTER TABLE photo ADD COLUMN focal_length REAL;
ALTER TABLE photo ADD COLUMN place TEXT;
ALTER TABLE photo ADD COLUMN color_label TEXT;
ALTER TABLE photo ADD COLUMN title TEXT;
ALTER TABLE photo ADD COLUMN description TEXT;
ALTER TABLE photo ADD COLUMN creator TEXT;
ALTER TABLE photo ADD COLUMN copyright TEXT;
ALTER TABLE photo ADD COLUMN location TEXT;
ALTER TABLE photo ADD COLUMN city TEXT;
ALTER TABLE photo ADD COLUMN region TEXT;
ALTER TABLE photo ADD COLUMN country TEXT;
ALTER TABLE photo ADD COLUMN motion INTEGER;
ALTER TABLE file ADD COLUMN taken_from TEXT;
ALTER TABLE file ADD COLUMN taken_offset TEXT;
ALTER TABLE file ADD COLUMN lens TEXT;
ALTER TABLE file ADD COLUMN aperture REAL;
ALTER TABLE file ADD COLUMN exposure REAL;
ALTER TABLE file ADD COLUMN iso INTEGER;
ALTER TABLE file ADD COLUMN focal_length REAL;
ALTER TABLE file ADD COLUMN place TEXT;
ALTER TABLE file ADD COLUMN color_label TEXT;
ALTER TABLE file ADD COLUMN title TEXT;
ALTER TABLE file ADD COLUMN description TEXT;
ALTER TABLE file ADD COLUMN creator TEXT;
ALTER TABLE file ADD COLUMN copyright TEXT;
ALTER TABLE file ADD COLUMN location TEXT;
ALTER TABLE file ADD COLUMN city TEXT;
ALTER TABLE file ADD COLUMN region TEXT;
ALTER TABLE file ADD COLUMN country TEXT;
ALTER TABLE file ADD COLUMN motion INTEGER;
ALTER TABLE photo ADD COLUMN colors TEXT;
ALTER TABLE photo ADD COLUMN place_folded TEXT;
ALTER TABLE file ADD COLUMN beside INTEGER NOT NULL DEFAULT 0;
CREATE TABLE named (
    file INTEGER NOT NULL REFERENCES file (id) ON DELETE CASCADE, kind TEXT NOT NULL, position INTEGER NOT NULL,
    text TEXT NOT NULL, folded TEXT NOT NULL, seal INTEGER, PRIMARY KEY (file, kind, position)
) WITHOUT ROWID;
CREATE TABLE stack (
    photo INTEGER PRIMARY KEY REFERENCES photo (id) ON DELETE CASCADE,
    leader INTEGER NOT NULL REFERENCES photo (id) ON DELETE CASCADE, seal INTEGER
);
CREATE INDEX stack_leader ON stack (leader);
UPDATE file SET taken_from = 'exif' WHERE taken IS NOT NULL;
UPDATE photo SET taken_from = 'exif' WHERE taken IS NOT NULL;
";

/// Models beside the current one. `model.beside` is 1 for one that photos are embedded by as well, 2 for the one that
/// will be the current one, 0 for all others. `change.model` is the model of which the vectors changed, where nothing
/// else did. `other_tag` holds the tags of models beside the current one. `model.texts_name` is the model that reads
/// queries in its place.
const BESIDE: &str = "
ALTER TABLE model ADD COLUMN beside INTEGER NOT NULL DEFAULT 0;
ALTER TABLE model ADD COLUMN texts_name TEXT;
ALTER TABLE model ADD COLUMN texts_fingerprint TEXT;
ALTER TABLE change ADD COLUMN model INTEGER;
CREATE INDEX change_of_vectors ON change (model, seq, photo) WHERE about = 2;
CREATE TABLE other_tag (
    photo INTEGER NOT NULL REFERENCES photo (id) ON DELETE CASCADE, model INTEGER NOT NULL REFERENCES model (id),
    position INTEGER NOT NULL, label TEXT NOT NULL, folded TEXT NOT NULL, score REAL NOT NULL, seal INTEGER,
    PRIMARY KEY (photo, model, position)
) WITHOUT ROWID;
";

/// `model.awaits_tags` is 1 while photos that the model has embedded may lack tags, because its labels were not ready.
const AWAITED_TAGS: &str = "ALTER TABLE model ADD COLUMN awaits_tags INTEGER NOT NULL DEFAULT 0;";

/// What stands in pictures: its lines as JSON, and what of it is searched. `setting` is what a person chose for this
/// library.
const READINGS: &str = "
CREATE TABLE reading (
    photo INTEGER PRIMARY KEY REFERENCES photo (id) ON DELETE CASCADE, reader TEXT NOT NULL, lines TEXT NOT NULL,
    text TEXT NOT NULL, folded TEXT NOT NULL, read INTEGER NOT NULL, seal INTEGER
);
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL, seal INTEGER) WITHOUT ROWID;
";

/// Named, ordered sets of pictures.
const ALBUMS: &str = "
CREATE TABLE album (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, folded TEXT NOT NULL UNIQUE, written INTEGER NOT NULL,
    seal INTEGER
);
CREATE TABLE album_picture (
    album INTEGER NOT NULL REFERENCES album (id) ON DELETE CASCADE, position INTEGER NOT NULL, picture BLOB NOT NULL,
    seal INTEGER, PRIMARY KEY (album, position)
);
CREATE UNIQUE INDEX album_picture_picture ON album_picture (picture, album);
";

/// Tags and stars that a person gave pictures.
const OWN: &str = "
CREATE TABLE own_tag (
    picture BLOB NOT NULL, folded TEXT NOT NULL, name TEXT NOT NULL, written INTEGER NOT NULL, seal INTEGER,
    PRIMARY KEY (picture, folded)
) WITHOUT ROWID;
CREATE INDEX own_tag_folded ON own_tag (folded);
CREATE TABLE own_rating (
    picture BLOB PRIMARY KEY, stars INTEGER NOT NULL, written INTEGER NOT NULL, seal INTEGER
) WITHOUT ROWID;
";

/// Queries with names.
const SAVED_SEARCHES: &str = "
CREATE TABLE saved_search (
    folded TEXT PRIMARY KEY, name TEXT NOT NULL, query TEXT NOT NULL, written INTEGER NOT NULL, seal INTEGER
) WITHOUT ROWID;
";

/// What filters look for that has few values.
const FILTER_INDEXES: &str = "
CREATE INDEX tag_folded ON tag (folded);
CREATE INDEX photo_camera ON photo (camera_folded);
CREATE INDEX photo_place ON photo (place_folded);
CREATE INDEX named_folded ON named (folded);
";

/// The schema version from which on rows have seals.
const SEALS: usize = 6;

/// The newest schema version.
pub(crate) const VERSION: u32 = MIGRATIONS.len() as u32;

/// The longest wait for another process that uses the catalogue: importing a million captions takes half of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What distinguishes our databases from those of other programs, as V1 sets it.
const APPLICATION: u32 = 0x536e_6170;
/// The size of SQLite's smallest database: one page of the smallest size.
const SMALLEST: usize = 512;

/// Opens a catalogue, for writing where the file system allows it, and brings its schema up to date. An empty one is
/// refused unless `may_create`.
pub(crate) fn connect(file: &Path, may_create: bool) -> Result<Connection> {
    // Read from the bytes, so that SQLite does not touch a newer catalogue, or another program's database, at all.
    if let Some((version, application)) = header(file)? {
        // While it is being created, its first page has neither number yet.
        if (version, application) != (0, 0) {
            refuse_foreign(file, application)?;
        }
        refuse_newer(file, version)?;
    }
    prepare(open_any(file)?, file, may_create)
}

/// Sets up a connection to a catalogue and brings the schema up to date.
fn prepare(mut db: Connection, file: &Path, may_create: bool) -> Result<Connection> {
    let failed = Error::catalogue(file);
    let found = version(&db).map_err(&failed)?;
    refuse_newer(file, found)?;
    if found == 0 {
        let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(&failed)?;
        if tables > 0 {
            refuse_foreign(file, 0)?;
        }
        if !may_create {
            return Err(Error::NoLibrary { path: file.parent().unwrap_or(file).to_path_buf() });
        }
    } else {
        let application = db.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(&failed)?;
        refuse_foreign(file, application)?;
    }
    if found < VERSION && db.is_readonly("main").map_err(&failed)? {
        return Err(Error::OlderSchema { path: file.to_path_buf(), found, wanted: VERSION });
    }
    db.busy_timeout(PATIENCE).map_err(&failed)?;
    if found == 0 {
        // Of two embeddings of 512 numbers, only one fits into a page of the usual 4,096 bytes, and half of it is
        // wasted.
        db.execute_batch("PRAGMA page_size = 16384;").map_err(&failed)?;
    }
    db.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -32768;")
        .map_err(&failed)?;
    db.set_prepared_statement_cache_capacity(128);
    // Plans must not depend on bound values: SQLite would plan many a cached statement anew each time it is used.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(&failed)?;
    seal::register(&db).and_then(|()| told::register(&db)).map_err(&failed)?;
    migrate(&mut db, MIGRATIONS).map_err(&failed)?;
    // The disk may have failed while the catalogue was made. What a WAL holds must be read first, and is not touched.
    if lacks_wal(&db).map_err(&failed)? && !has_wal(file) {
        switch_to_wal(&db).map_err(&failed)?;
    }
    Ok(db)
}

fn has_wal(file: &Path) -> bool {
    let mut wal = file.as_os_str().to_owned();
    wal.push("-wal");
    std::fs::metadata(wal).is_ok_and(|meta| meta.len() > 0)
}

fn refuse_newer(file: &Path, found: u32) -> Result<()> {
    if found > VERSION {
        return Err(Error::NewerSchema { path: file.to_path_buf(), found, known: VERSION });
    }
    Ok(())
}

fn refuse_foreign(file: &Path, application: u32) -> Result<()> {
    if application != APPLICATION {
        return Err(Error::NotALibrary {
            path: file.to_path_buf(),
            reason: format!("it is a database of another program (its application id is {application:#x})"),
        });
    }
    Ok(())
}

/// `user_version` and `application_id` from the header of a database file; `None` for an empty file, which SQLite takes
/// for a new database. It would do the same with a file of a few bytes, but that is the rest of something.
fn header(file: &Path) -> Result<Option<(u32, u32)>> {
    let mut start = Vec::new();
    let reader = std::fs::File::open(file).map_err(Error::io(file))?;
    reader.take(SMALLEST as u64).read_to_end(&mut start).map_err(Error::io(file))?;
    if start.is_empty() {
        return Ok(None);
    }
    let number = |at: usize| Some(u32::from_be_bytes(start.get(at..at + 4)?.try_into().ok()?));
    match (number(60), number(68)) {
        (Some(version), Some(application)) if start.starts_with(b"SQLite format 3\0") && start.len() == SMALLEST => {
            Ok(Some((version, application)))
        }
        _ => {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB);
            Err(Error::catalogue(file)(rusqlite::Error::SqliteFailure(code, Some("file is not a database".into()))))
        }
    }
}

fn version(db: &Connection) -> rusqlite::Result<u32> {
    // Reading the schema too shows whether the file can be read at all.
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Opens a catalogue, for reading only where it cannot be written. On a read-only disk SQLite cannot create the files
/// that a WAL needs; if there is no WAL to read, the file is opened as immutable, which needs none.
fn open_any(file: &Path) -> Result<Connection> {
    let failed = Error::catalogue(file);
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let attempt = |db: Connection| version(&db).map(|_| db);
    let first = Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(attempt);
    let error = match first.map_err(&failed) {
        Ok(db) => return Ok(db),
        // Damage is the same, however the file is opened.
        Err(error) if error.is_damage() => return Err(error),
        Err(error) => error,
    };
    let read_only = flags | OpenFlags::SQLITE_OPEN_READ_ONLY;
    if let Ok(db) = Connection::open_with_flags(file, read_only).and_then(attempt) {
        return Ok(db);
    }
    if has_changes_beside(file)? {
        // Without the WAL the answers would be those of an earlier day.
        let of_the_folder = matches!(&error, Error::Catalogue { cause, .. }
            if matches!(cause.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)));
        return Err(if of_the_folder { Error::UnreadWal { path: file.to_path_buf() } } else { error });
    }
    let mut uri = String::from("file:");
    for byte in crate::catalogue::paths::bytes(file) {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    Connection::open_with_flags(uri, read_only | OpenFlags::SQLITE_OPEN_URI).and_then(attempt).map_err(|_| error)
}

/// Whether a WAL or a journal beside the catalogue may hold something: a WAL without a whole frame holds nothing.
fn has_changes_beside(file: &Path) -> Result<bool> {
    const FRAME: u64 = 32 + 24 + SMALLEST as u64;
    for (suffix, least) in [("-wal", FRAME), ("-journal", SMALLEST as u64)] {
        let mut beside = file.as_os_str().to_owned();
        beside.push(suffix);
        let beside = Path::new(&beside);
        // Opened too: an error that passes, such as too many open files, is no reason to leave it out.
        match std::fs::File::open(beside).and_then(|file| file.metadata()) {
            Ok(meta) if meta.len() >= least => return Ok(true),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io(beside)(error)),
        }
    }
    Ok(false)
}

/// If several processes create the catalogue at once, SQLite refuses the switch at once instead of waiting, as two that
/// wait for each other would wait for ever. So it is tried again.
fn switch_to_wal(db: &Connection) -> rusqlite::Result<()> {
    let started = Instant::now();
    loop {
        match db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())) {
            Err(error)
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
                    && started.elapsed() < PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
}

/// Whether a catalogue has lost the mark of a WAL, without which SQLite would not read one. A file opened as immutable
/// has none.
pub(crate) fn lacks_wal(db: &Connection) -> rusqlite::Result<bool> {
    let mode: String = db.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    Ok(mode != "wal" && !db.is_readonly("main")?)
}

/// Whether the tables are what the migrations make.
pub(crate) fn is_as_made(db: &Connection) -> rusqlite::Result<bool> {
    type Object = (String, String, String, Option<String>);
    let tables = |db: &Connection| -> rusqlite::Result<Vec<Object>> {
        let mut statement = db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        let mut tables = rows.collect::<rusqlite::Result<Vec<Object>>>()?;
        // SQLite's own statistics may be there or not.
        tables.retain(|(_, name, _, _)| !name.starts_with("sqlite_stat"));
        Ok(tables)
    };
    let mut sample = Connection::open_in_memory()?;
    seal::register(&sample)?;
    migrate(&mut sample, MIGRATIONS)?;
    Ok(tables(&sample)? == tables(db)?)
}

fn migrate(db: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    if version(db)? as usize >= steps.len() {
        return Ok(());
    }
    if version(db)? == 0 {
        switch_to_wal(db)?;
    }
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again: another process may have migrated it first.
    let done = version(&transaction)? as usize;
    steps.iter().skip(done).try_for_each(|step| transaction.execute_batch(step))?;
    if done < SEALS && steps.len() >= SEALS {
        seal::ALL.iter().try_for_each(|sealed| sealed.seal_all(&transaction))?;
        seal::seal_commits(&transaction)?;
    } else {
        // Tables that have got columns since.
        let widened = [
            (7, &[seal::LAST_SEEN][..]),
            (9, &[seal::PHOTO, seal::FILE, seal::FAILURE]),
            (12, &[seal::PHOTO, seal::FILE]),
            (13, &[seal::MODEL, seal::CHANGE]),
            (14, &[seal::MODEL]),
        ];
        for (version, tables) in widened {
            if done < version && steps.len() >= version {
                tables.iter().try_for_each(|sealed| sealed.seal_all(&transaction))?;
            }
        }
    }
    transaction.execute_batch(&format!("PRAGMA user_version = {}", done.max(steps.len())))?;
    transaction.commit()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::catalogue::change_log::Part;
    use crate::engine::Database;
    use crate::{By, FileIdentity, Library, SearchRequest};
    use std::path::PathBuf;

    #[test]
    fn each_step_runs_once_and_a_failing_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut db = Connection::open(folder.path().join("x")).unwrap();
        migrate(&mut db, &[V1]).unwrap();
        let steps = [V1, "ALTER TABLE photo ADD COLUMN caption TEXT; INSERT INTO change (photo) VALUES (7);"];
        migrate(&mut db, &steps).unwrap();
        migrate(&mut db, &steps).unwrap();
        let count = |db: &Connection| db.query_row("SELECT count(*) FROM change", [], |r| r.get::<_, i64>(0)).unwrap();
        assert_eq!((version(&db).unwrap(), count(&db)), (2, 2));
        let failing = [V1, steps[1], "INSERT INTO change (photo) VALUES (8); SELECT * FROM nowhere;"];
        assert!(migrate(&mut db, &failing).is_err());
        assert_eq!((version(&db).unwrap(), count(&db)), (2, 2));
    }

    #[test]
    fn many_can_create_it_at_once() {
        for _ in 0..5 {
            let folder = tempfile::tempdir().unwrap();
            std::thread::scope(|scope| {
                let all: Vec<_> = (0..16).map(|_| scope.spawn(|| Library::create(folder.path()).map(drop))).collect();
                all.into_iter().for_each(|one| one.join().unwrap().unwrap());
            });
        }
    }

    /// A library as the first release left it.
    fn first_release(folder: &Path) -> PathBuf {
        let file = folder.join("catalogue.sqlite");
        let mut db = Connection::open(&file).unwrap();
        migrate(&mut db, &[V1]).unwrap();
        let vector: Vec<u8> = [0.6_f32, 0.8].iter().flat_map(|v| v.to_le_bytes()).collect();
        let checksum = crate::catalogue::stored::row_checksum(&vector);
        db.execute_batch(
            "INSERT INTO model (name, fingerprint, dim, current) VALUES ('m', 'print', 2, 1);
             INSERT INTO root VALUES (CAST('/p' AS BLOB));
             INSERT INTO photo (hash, size, width, height, format, taken, camera, camera_folded)
             VALUES (zeroblob(32), 5, 640, 480, 'jpeg', '2019-06-01T12:00:00', 'Canon', 'canon');
             INSERT INTO file (path, folded, root, size, mtime_ns, photo)
             VALUES (CAST('/p/a.jpg' AS BLOB), '/p/a.jpg', CAST('/p' AS BLOB), 5, 7, 1);
             INSERT INTO tag VALUES (1, 0, 'red pyramid', ' red pyramid ', 0.5);
             INSERT INTO failure VALUES (CAST('/p/b.jpg' AS BLOB), 3, 4, 'damaged', 'cut short');
             INSERT INTO forgotten VALUES (CAST('/p/c.jpg' AS BLOB), 1);
             INSERT INTO change (photo) VALUES (1);",
        )
        .unwrap();
        db.execute("INSERT INTO embedding VALUES (1, 1, ?1, ?2)", rusqlite::params![checksum, vector]).unwrap();
        file
    }

    #[test]
    fn a_library_of_the_first_release_keeps_everything_and_takes_captions() {
        let folder = tempfile::tempdir().unwrap();
        let file = first_release(folder.path());
        let db = Database::of_file(Connection::open(&file).unwrap());
        let stamp = crate::catalogue::change_log::Stamp::newest(&db).unwrap();
        let library = Library::open(folder.path()).unwrap();
        let status = library.status().unwrap();
        assert_eq!((status.photos, status.files, status.roots), (1, 1, vec![PathBuf::from("/p")]));
        assert_eq!(status.model.map(|m| m.fingerprint), Some("print".into()));
        assert_eq!(library.photo_at(Path::new("/p/a.jpg")).unwrap(), Some(1));
        assert_eq!(
            library.photo_showing(&FileIdentity { file: [0; 32], picture: [1; 32], version: 1 }).unwrap(),
            Some(1)
        );
        assert_eq!(library.embedding(1).unwrap(), Some(vec![0.6, 0.8]));
        let failure = library.failures().unwrap().remove(0);
        assert_eq!((failure.path.as_path(), failure.message.as_str()), (Path::new("/p/b.jpg"), "cut short"));
        // Caches from that time are still used.
        assert_eq!(library.sql(|db| stamp.changed_since(db, Part::Words)).unwrap(), Some(vec![]));
        library.set_caption_by_hand(1, "a fence").unwrap();
        assert_eq!(library.sql(|db| stamp.changed_since(db, Part::Words)).unwrap(), Some(vec![1]));
        assert_eq!(library.sql(|db| stamp.changed_since(db, Part::Vectors(1))).unwrap(), Some(vec![]));
        for words in ["pyramid", "fence"] {
            let request = SearchRequest { words: Some(words.into()), by: By::Words, limit: 9, ..Default::default() };
            let hits = library.searcher().unwrap().search(&request).unwrap().hits;
            assert_eq!(hits.len(), 1, "{words}");
            assert_eq!(hits[0].facts.metadata.taken.as_deref(), Some("2019-06-01T12:00:00"));
        }
        assert!(library.check(true).unwrap().findings.is_empty());
        assert!(library.lock().unwrap().is_forgotten(Path::new("/p/c.jpg")).unwrap());
        drop(library);
        assert_eq!(version(&Connection::open(&file).unwrap()).unwrap(), VERSION);
    }

    #[test]
    fn an_older_catalogue_that_cannot_be_written_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let file = first_release(folder.path());
        let read_only = || Connection::open_with_flags(&file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let error = prepare(read_only(), &file, false).unwrap_err();
        assert!(matches!(error, Error::OlderSchema { found: 1, wanted: VERSION, .. }));
        assert!(error.to_string().contains("read-only"), "{error}");
        drop(connect(&file, false).unwrap());
        prepare(read_only(), &file, false).unwrap();
    }

    #[test]
    fn newer_catalogues_are_refused_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        let db = Connection::open(&file).unwrap();
        db.execute_batch("CREATE TABLE t (a); PRAGMA user_version = 99; PRAGMA application_id = 0x536e6170;").unwrap();
        drop(db);
        let before = std::fs::read(&file).unwrap();
        assert!(matches!(connect(&file, true), Err(Error::NewerSchema { found: 99, known: VERSION, .. })));
        assert_eq!(std::fs::read(&file).unwrap(), before);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn reading_makes_no_library_of_anything_and_creating_replaces_nothing() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("library");
        std::fs::create_dir(&folder).unwrap();
        let file = folder.join("catalogue.sqlite");
        let database = |sql: &str| {
            let other = outer.path().join("other");
            let _ = std::fs::remove_file(&other);
            Connection::open(&other).unwrap().execute_batch(sql).unwrap();
            std::fs::read(&other).unwrap()
        };
        let foreign = "CREATE TABLE t (a);";
        let cases = [
            ("one byte", b"x".to_vec(), true),
            ("less than a page", database(foreign)[..300].to_vec(), true),
            ("a text", b"no database\n".repeat(900), true),
            ("zeros", vec![0; 8_192], true),
            (
                "another program's",
                database(&format!("{foreign} PRAGMA application_id = 7; PRAGMA user_version = 900;")),
                false,
            ),
            ("a nameless program's", database(foreign), false),
            ("a nameless program's with a version", database(&format!("{foreign} PRAGMA user_version = 3;")), false),
        ];
        for (what, bytes, is_damage) in &cases {
            std::fs::write(&file, bytes).unwrap();
            for error in [Library::open(&folder).unwrap_err(), Library::create(&folder).unwrap_err()] {
                let is_foreign = matches!(error, Error::NotALibrary { .. });
                assert_eq!((error.is_damage(), is_foreign), (*is_damage, !*is_damage), "{what}: {error}");
                assert!(error.to_string().contains(file.to_str().unwrap()), "{what}: {error}");
            }
            assert_eq!(&std::fs::read(&file).unwrap(), bytes, "{what}");
            assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "{what}");
        }
        // What a library that is being created looks like.
        for bytes in [Vec::new(), database("VACUUM")] {
            std::fs::write(&file, &bytes).unwrap();
            assert!(matches!(Library::open(&folder), Err(Error::NoLibrary { .. })));
            assert_eq!(std::fs::read(&file).unwrap(), bytes);
            drop(Library::create(&folder).unwrap());
            Library::open(&folder).unwrap();
        }
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(matches!(Library::open(&folder), Err(Error::NoLibrary { .. })) && !folder.exists());
        std::fs::create_dir_all(&file).unwrap();
        for error in [Library::open(&folder).unwrap_err(), Library::create(&folder).unwrap_err()] {
            assert!(matches!(&error, Error::NotALibrary { .. }), "{error}");
        }
    }
}
