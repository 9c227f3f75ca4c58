//! Plain data that goes into the library and comes out of it.

use serde::Serialize;
use std::path::PathBuf;

/// BLAKE3 (or any other 256-bit hash) of a file's bytes: the identity of a photo.
pub type ContentHash = [u8; 32];

/// What tells cheaply whether a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FileStamp {
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970, negative before.
    pub mtime_ns: i64,
}

/// What the library knows about the file at one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileState {
    /// Id of the file record, never reused.
    pub id: i64,
    /// As it was when it was read.
    pub stamp: FileStamp,
    /// The library's current model has seen its content.
    pub embedded: bool,
    /// Its content.
    pub hash: ContentHash,
}

/// What a photo file says about itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PhotoFacts {
    /// Pixels across, upright.
    pub width: u32,
    /// Pixels down, upright.
    pub height: u32,
    /// Format name, such as `jpeg`.
    pub format: String,
    /// When it was taken, local time of the camera: `2019-06-01T12:00:00`.
    pub taken: Option<String>,
    /// Maker and model of the camera.
    pub camera: Option<String>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
}

/// A label that the model gave a photo.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tag {
    /// The label.
    pub label: String,
    /// How sure the model is; its scale is the model's.
    pub score: f32,
}

/// The model that made a library's embeddings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelRecord {
    /// As the user names it.
    pub name: String,
    /// Changes whenever the embeddings would.
    pub fingerprint: String,
    /// Numbers in an embedding.
    pub dim: usize,
}

/// A file that could not be indexed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The file.
    pub path: PathBuf,
    /// Kind of failure, a short word.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// The file as it was.
    pub stamp: FileStamp,
}

/// How large a library is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Photos, each content counted once.
    pub photos: u64,
    /// Files that hold them.
    pub files: u64,
    /// The model that made the embeddings.
    pub model: Option<ModelRecord>,
    /// Bytes on disk, caches included.
    pub bytes: u64,
    /// Folders that the library covers.
    pub roots: Vec<PathBuf>,
}

/// One change of the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// This path holds this photo, whose embedding was computed now.
    Photo {
        /// The file.
        path: PathBuf,
        /// The root under which it was found.
        root: PathBuf,
        /// As it was when it was read.
        stamp: FileStamp,
        /// Its content.
        hash: ContentHash,
        /// What it says about itself.
        facts: PhotoFacts,
        /// Unit vector of the current model.
        embedding: Vec<f32>,
        /// The model's labels, best first.
        tags: Vec<Tag>,
    },
    /// This path holds content that the library knows. If it does not any more, the path is dropped, so that the next
    /// run looks at it again.
    Known {
        /// The file.
        path: PathBuf,
        /// The root under which it was found.
        root: PathBuf,
        /// As it was when it was read.
        stamp: FileStamp,
        /// Its content.
        hash: ContentHash,
    },
    /// This path holds something that could not be read. What the library held under it is dropped.
    Failed {
        /// The file.
        path: PathBuf,
        /// The root under which it was found.
        root: PathBuf,
        /// As it was when it was read.
        stamp: FileStamp,
        /// Kind of failure, a short word.
        kind: String,
        /// What happened.
        message: String,
    },
    /// This path is gone: its file and failure records are dropped.
    Remove {
        /// The file.
        path: PathBuf,
    },
}
