//! What can go wrong. Errors state facts; the front end says what a user can do about them.

use crate::catalogue::rows::ModelRecord;
use crate::engine::postgres::server_error::ServerError;
use crate::engine::sqlite::second_look::{SecondLook, second_look};
use crate::escape;
use std::path::{Path, PathBuf};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no library in this folder.
    #[error("there is no library in {}", escape::path(path))]
    NoLibrary {
        /// The folder.
        path: PathBuf,
    },
    /// The library's embeddings come from another model than the one asked for.
    #[error(
        "the library was made with the model {} ({}), not with {} ({}): embeddings of two models cannot be compared",
        library.name, short(&library.fingerprint), asked.name, short(&asked.fingerprint)
    )]
    OtherModel {
        /// The library's model.
        library: ModelRecord,
        /// The model asked for.
        asked: ModelRecord,
    },
    /// The library's photos are being embedded by another model already.
    #[error(
        "the library's photos are being embedded by the model {}: that must end before they are by {}",
        escape::text(filling),
        escape::text(asked)
    )]
    Filling {
        /// The name of that model.
        filling: String,
        /// The name of the model asked for.
        asked: String,
    },
    /// The model asked for has not embedded enough photos yet to answer.
    #[error("the model {} has embedded {embedded} of {photos} photos of the library so far", escape::text(name))]
    Incomplete {
        /// Its name.
        name: String,
        /// How many photos it has embedded.
        embedded: u64,
        /// How many photos there are.
        photos: u64,
    },
    /// The model that is to answer is no longer one of the library's.
    #[error("the library no longer has the model {}", escape::text(name))]
    Dropped {
        /// Its name.
        name: String,
    },
    /// An operation needs the library's model, and none has been set yet.
    #[error("the library has no model yet")]
    NoModel,
    /// Another process is writing.
    #[error(
        "the library {} is being written to by another snapseek ({})",
        escape::path(path), pid.map_or("process unknown".into(), |p| format!("process {p}"))
    )]
    Locked {
        /// The library's folder.
        path: PathBuf,
        /// Id of the process that holds the lock, if it can be read.
        pid: Option<u32>,
    },
    /// A newer snapseek made this library.
    #[error("{} has format {found}, made by a newer version; this one knows formats up to {known}", escape::path(path))]
    NewerSchema {
        /// The catalogue file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this version knows.
        known: u32,
    },
    /// An older snapseek made this library, which must be upgraded but cannot be written.
    #[error(
        "{} has format {found} and must be upgraded to format {wanted} once, but it is read-only here",
        escape::path(path)
    )]
    OlderSchema {
        /// The catalogue file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The format that is needed.
        wanted: u32,
    },
    /// Another process is captioning.
    #[error(
        "the photos of the library {} are being captioned by another snapseek ({})",
        escape::path(path), pid.map_or("process unknown".into(), |p| format!("process {p}"))
    )]
    Captioning {
        /// The library's folder.
        path: PathBuf,
        /// Id of the process that holds the lock, if it can be read.
        pid: Option<u32>,
    },
    /// Another process is reading the text in photos.
    #[error(
        "the text in the photos of the library {} is being read by another snapseek ({})",
        escape::path(path), pid.map_or("process unknown".into(), |p| format!("process {p}"))
    )]
    Reading {
        /// The library's folder.
        path: PathBuf,
        /// Id of the process that holds the lock, if it can be read.
        pid: Option<u32>,
    },
    /// A text or numbers that cannot be stored.
    #[error("{what} is refused: {reason}")]
    Refused {
        /// What is refused: "the caption", "the answer".
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder to be added has the path of a root that is elsewhere on this machine, or of something in or above it.
    #[error(
        "{} is where the library has its folder {}, which is {} on this machine",
        escape::path(path),
        escape::path(stored),
        escape::path(here)
    )]
    Elsewhere {
        /// The folder.
        path: PathBuf,
        /// The root in the catalogue.
        stored: PathBuf,
        /// Where it is.
        here: PathBuf,
    },
    /// A folder to be added holds a root that has another path in the catalogue.
    #[error("{} is above {}, a folder of the library from another machine", escape::path(path), escape::path(root))]
    AboveMount {
        /// The folder.
        path: PathBuf,
        /// Where the root is on this machine.
        root: PathBuf,
    },
    /// A folder to be added holds the files of a root that another machine has indexed.
    #[error(
        "{} holds the files of {}, a folder of the library that is not found on this machine",
        escape::path(path),
        escape::path(stored)
    )]
    SameFolder {
        /// The folder.
        path: PathBuf,
        /// The root's name.
        name: String,
        /// The root in the catalogue.
        stored: PathBuf,
    },
    /// This photo is not, or no longer, in the library.
    #[error("photo {photo} is no longer in the library")]
    NoPhoto {
        /// Its id.
        photo: i64,
    },
    /// What the catalogue holds about a photo makes no sense.
    #[error(
        "what the library holds about photo {photo}{} is damaged: {}",
        path.as_ref().map(|path| format!(" ({})", escape::path(path))).unwrap_or_default(), escape::text(reason)
    )]
    DamagedPhoto {
        /// Its id.
        photo: i64,
        /// A file that shows it.
        path: Option<PathBuf>,
        /// What is wrong.
        reason: String,
    },
    /// There is no chat with this id, or it has been deleted.
    #[error("there is no chat {id}")]
    NoChat {
        /// The id.
        id: i64,
    },
    /// There is no label set of this name.
    #[error("there is no label set {:?}; {}", escape::text(name), known_names(known))]
    NoLabelSet {
        /// The name.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// The label set's row in the catalogue makes no sense.
    #[error("the label set {:?} is damaged", escape::text(name))]
    DamagedLabelSet {
        /// Its name.
        name: String,
    },
    /// The label set has no label of this name.
    #[error("the label set {:?} has no label {:?}; {}", escape::text(set), escape::text(name), known_names(known))]
    NoLabel {
        /// The label.
        name: String,
        /// The set.
        set: String,
        /// The labels of the set.
        known: Vec<String>,
    },
    /// A label set has no classifier for the library's model ([`crate::Library::save_classifier`]).
    #[error("the label set {:?} is not ready for the library's model, which has just changed", escape::text(name))]
    NoClassifier {
        /// Its name.
        name: String,
    },
    /// There is no album of this name.
    #[error("there is no album {:?}; {}", escape::text(name), known_names(known))]
    NoAlbum {
        /// The name.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// There is no cluster of this name.
    #[error("there is no cluster {:?}; {}", escape::text(name), known_names(known))]
    NoCluster {
        /// The name.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// The file in the catalogue's place is none, and not a damaged one either.
    #[error("{} is not the catalogue of a snapseek library: {reason}", escape::path(path))]
    NotALibrary {
        /// The file.
        path: PathBuf,
        /// What it is.
        reason: String,
    },
    /// The last changes of the catalogue are in its WAL, which cannot be read where nothing can be written.
    #[error("the last changes of {} are in its WAL, which cannot be read in a read-only folder", escape::path(path))]
    UnreadWal {
        /// The catalogue file.
        path: PathBuf,
    },
    /// The disk is full, or what the user may have of it.
    #[error("{} cannot be written: no space is left{}", escape::path(path), free_there(*free))]
    Full {
        /// The file or folder.
        path: PathBuf,
        /// How many bytes are free on its disk, if the system reports it.
        free: Option<u64>,
    },
    /// The catalogue cannot be read or written.
    #[error("the catalogue {} cannot be used: {}", escape::path(path), escape::text(&cause.to_string()))]
    Catalogue {
        /// The catalogue file.
        path: PathBuf,
        /// What SQLite says.
        cause: rusqlite::Error,
    },
    /// A file of the library cannot be read or written.
    #[error("{}: {cause}", escape::path(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// A vector that cannot be an embedding of the library's model.
    #[error("the embedding of {what} is refused: {reason}")]
    Vector {
        /// What the vector belongs to: a path, or "the query".
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server of the library, or the way to it, fails.
    #[error("{}", escape::text(&.0.to_string()))]
    Server(Box<ServerError>),
    /// The full-text engine failed.
    // No source, or its text would be told twice.
    #[error("full-text search failed: {}", escape::text(&.0.to_string()))]
    Text(tantivy::TantivyError),
}

impl From<tantivy::TantivyError> for Error {
    fn from(error: tantivy::TantivyError) -> Self {
        Self::Text(error)
    }
}

impl Error {
    /// Whether the catalogue is damaged, so that SQLite cannot read it.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        matches!(self.code(), Some(DatabaseCorrupt | NotADatabase))
    }

    /// Whether another program kept the catalogue locked for too long.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
        matches!(self.code(), Some(DatabaseBusy | DatabaseLocked))
    }

    /// Whether the catalogue had to be written and cannot be.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.code() == Some(rusqlite::ErrorCode::ReadOnly)
    }

    /// Whether the system failed to read or write the library, which says nothing about damage.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        use rusqlite::ErrorCode::{CannotOpen, OutOfMemory, SystemIoFailure};
        if let Self::Io { cause, .. } = self {
            // Input/output error, too many open files.
            let passes = cfg!(unix) && matches!(cause.raw_os_error(), Some(5 | 23 | 24));
            return passes || matches!(cause.kind(), std::io::ErrorKind::PermissionDenied);
        }
        matches!(self.code(), Some(CannotOpen | OutOfMemory | SystemIoFailure))
    }

    fn code(&self) -> Option<rusqlite::ErrorCode> {
        let Self::Catalogue { cause, .. } = self else { return None };
        cause.sqlite_error_code()
    }

    /// An error of the system with a file or folder; of a full disk it makes [`Error::Full`].
    pub fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        move |cause| match cause.kind() {
            StorageFull | QuotaExceeded => Self::Full { path: path.to_path_buf(), free: free_bytes(path) },
            _ => Self::Io { path: path.to_path_buf(), cause },
        }
    }

    /// An error of SQLite with this catalogue.
    pub(crate) fn catalogue(path: &Path) -> impl Fn(rusqlite::Error) -> Self + '_ {
        use rusqlite::ffi;
        /// What SQLite may still want to write where it fails.
        const NEEDED: u64 = 1 << 16;
        move |cause| {
            let free = free_bytes(path);
            let is_full = match cause.sqlite_error().map(|error| error.extended_code) {
                Some(ffi::SQLITE_FULL) => true,
                // SQLite has another name for a full disk where it lengthens or syncs a file.
                // So has this program: on a full disk the catalogue can only be opened for reading.
                Some(
                    ffi::SQLITE_READONLY
                    | ffi::SQLITE_IOERR_WRITE
                    | ffi::SQLITE_IOERR_FSYNC
                    | ffi::SQLITE_IOERR_DIR_FSYNC
                    | ffi::SQLITE_IOERR_TRUNCATE
                    | ffi::SQLITE_IOERR_SHMSIZE
                    | ffi::SQLITE_IOERR_SHMMAP
                    | ffi::SQLITE_IOERR_SHMOPEN,
                ) => free.is_some_and(|free| free < NEEDED),
                _ => false,
            };
            if is_full {
                return Self::Full { path: path.to_path_buf(), free };
            }
            let is_malformed = cause.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_CORRUPT);
            let cause = match is_malformed.then(|| second_look(path)) {
                None | Some(SecondLook::Damage) => cause,
                Some(SecondLook::Unread(path, cause)) => return Self::Io { path, cause },
                Some(SecondLook::Sound) => rusqlite::Error::SqliteFailure(
                    ffi::Error::new(ffi::SQLITE_IOERR_READ),
                    Some("it could not be read for a moment".into()),
                ),
            };
            Self::Catalogue { path: path.to_path_buf(), cause }
        }
    }
}

/// Free bytes on the disk of a file or folder that exists or will; `None` if the system does not report them.
fn free_bytes(path: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let disk = path.ancestors().find_map(|there| rustix::fs::statvfs(there).ok())?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

fn free_there(free: Option<u64>) -> String {
    free.map_or(String::new(), |free| format!(" ({free} bytes are free on its disk)"))
}

fn short(fingerprint: &str) -> String {
    fingerprint.chars().take(12).collect()
}

/// Names to choose from; a long list is cut short.
fn known_names(known: &[String]) -> String {
    const SHOWN: usize = 20;
    if known.is_empty() {
        return "there are none yet".into();
    }
    let names: Vec<String> = known.iter().take(SHOWN).map(|name| format!("{:?}", escape::text(name))).collect();
    let more = if known.len() > SHOWN { ", ..." } else { "" };
    format!("there are: {}{more}", names.join(", "))
}

/// Checks that a vector is a unit vector of `dim` numbers (length within 1e-3 of one).
pub(crate) fn validate(vector: &[f32], dim: usize, what: impl FnOnce() -> String) -> Result<()> {
    let norm = vector.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
    let reason = if vector.len() != dim {
        format!("it has {} numbers, but the library's model makes {dim}", vector.len())
    } else if !norm.is_finite() {
        "it contains NaN or infinity".into()
    } else if (norm - 1.0).abs() > 1e-3 {
        format!("its length is {norm:.4}, not 1")
    } else {
        return Ok(());
    };
    Err(Error::Vector { what: what(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_reaches_a_terminal_raw() {
        let path = || PathBuf::from("/a\nb\x1b[2J/catalogue.sqlite");
        let sqlite = |code| rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), Some("c\nd".into()));
        let catalogue = |code| Error::Catalogue { path: path(), cause: sqlite(code) };
        for error in [
            Error::NoLibrary { path: path() },
            Error::Locked { path: path(), pid: Some(1) },
            Error::Captioning { path: path(), pid: None },
            Error::Reading { path: path(), pid: None },
            Error::NewerSchema { path: path(), found: 2, known: 1 },
            Error::OlderSchema { path: path(), found: 1, wanted: 2 },
            Error::NotALibrary { path: path(), reason: "x".into() },
            Error::UnreadWal { path: path() },
            Error::io(&path())(std::io::ErrorKind::NotFound.into()),
            Error::io(&path())(std::io::ErrorKind::StorageFull.into()),
            catalogue(rusqlite::ffi::SQLITE_IOERR),
            catalogue(rusqlite::ffi::SQLITE_CORRUPT),
        ] {
            let text = error.to_string();
            assert!(text.contains("/a\\nb\\x1b[2J") && !text.contains(char::is_control), "{text}");
        }
        for error in [
            Error::io(&path())(std::io::ErrorKind::QuotaExceeded.into()),
            Error::catalogue(&path())(sqlite(rusqlite::ffi::SQLITE_FULL)),
        ] {
            assert!(matches!(error, Error::Full { .. }) && error.to_string().contains("bytes are free"), "{error}");
        }
        for (code, damaged) in [
            (rusqlite::ffi::SQLITE_CORRUPT, true),
            (rusqlite::ffi::SQLITE_NOTADB, true),
            (rusqlite::ffi::SQLITE_BUSY, false),
            (rusqlite::ffi::SQLITE_IOERR_READ, false),
            (rusqlite::ffi::SQLITE_CANTOPEN, false),
        ] {
            assert_eq!(catalogue(code).is_damage(), damaged);
        }
    }
}
