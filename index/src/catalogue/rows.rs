//! Plain data that is written to the library and read from it.

use serde::Serialize;
use std::path::PathBuf;

/// BLAKE3 (or any other 256-bit hash) of a file's bytes: the identity of a photo.
pub type ContentHash = [u8; 32];

/// A cheap way to notice that a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FileStamp {
    /// Size in bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970; negative before that.
    pub mtime_ns: i64,
}

/// What the library knows about the file at one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileState {
    /// Id of the file record, never reused.
    pub id: i64,
    /// Its stamp when it was read.
    pub stamp: FileStamp,
    /// Whether the library's current model has embedded its content.
    pub embedded: bool,
    /// Hash of its content.
    pub hash: ContentHash,
}

/// What a photo file says about itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PhotoFacts {
    /// Width in pixels, upright.
    pub width: u32,
    /// Height in pixels, upright.
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

/// A noun that the model gave a photo by itself when it was indexed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tag {
    /// The noun.
    pub label: String,
    /// How sure the model is; the scale depends on the model.
    pub score: f32,
}

/// The model that made a library's embeddings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelRecord {
    /// The name that the user knows it by.
    pub name: String,
    /// Changes whenever the model's embeddings would.
    pub fingerprint: String,
    /// Numbers in an embedding.
    pub dim: usize,
}

/// A file that could not be indexed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedFile {
    /// The file.
    pub path: PathBuf,
    /// Kind of failure, a short word.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// Its stamp when it was read.
    pub stamp: FileStamp,
}

/// What a library contains, and how large it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Number of photos: each content counts once.
    pub photos: u64,
    /// Number of files that hold them.
    pub files: u64,
    /// The model that made the embeddings.
    pub model: Option<ModelRecord>,
    /// Bytes on disk, caches included.
    pub bytes: u64,
    /// Folders that the library covers.
    pub roots: Vec<PathBuf>,
    /// How many photos have a caption.
    pub captions: CaptionCounts,
    /// Number of chats.
    pub chats: u64,
}

/// How many of a library's photos have a caption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CaptionCounts {
    /// Photos that have a file.
    pub photos: u64,
    /// Those of them that have a caption.
    pub captioned: u64,
    /// Those of them whose caption was written by hand.
    pub by_hand: u64,
}

/// What a photo shows, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Caption {
    /// The text as it was written: foreign, so escape it for a terminal. Empty if the model produced no words.
    pub text: String,
    /// Fingerprint of the model that wrote it; `None` if it was written by hand.
    pub captioner: Option<String>,
    /// When it was written, in seconds since 1970.
    pub written: i64,
}

/// A photo that waits for a caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingPhoto {
    /// Its id.
    pub id: i64,
    /// The files that hold it, by path: at least one. All have the same content, so any readable one will do.
    pub paths: Vec<PathBuf>,
    /// Hash of its content.
    pub hash: ContentHash,
}

/// A photo and the files that hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhotoFiles {
    /// Its id.
    pub id: i64,
    /// Hash of its content.
    pub hash: ContentHash,
    /// The files that hold it, by path, each with its stamp when it was read: at least one.
    pub files: Vec<(PathBuf, FileStamp)>,
}

/// What a captioner produced for a photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Captioned {
    /// The photo.
    pub photo: i64,
    /// Its caption.
    pub text: String,
    /// The photo's encoding ([`crate::Library::encoding`]), if it is to be stored.
    pub encoding: Option<Vec<f32>>,
}

/// A conversation about a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chat {
    /// Its id, never reused.
    pub id: i64,
    /// The picture's path, as given when the chat began.
    pub path: PathBuf,
    /// Hash of the picture's content.
    pub hash: ContentHash,
    /// The model that answers, by the name that the user knows.
    pub model: String,
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// When it last changed, in seconds since 1970.
    pub updated: i64,
    /// Its turns, in order.
    pub turns: Vec<Turn>,
}

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// The question.
    pub question: String,
    /// The answer: foreign text, so escape it for a terminal.
    pub answer: String,
}

/// One change to the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// This path holds this photo, whose embedding was just computed.
    Photo {
        /// The file.
        path: PathBuf,
        /// The root under which it was found.
        root: PathBuf,
        /// Its stamp when it was read.
        stamp: FileStamp,
        /// Hash of its content.
        hash: ContentHash,
        /// What it says about itself.
        facts: PhotoFacts,
        /// Unit vector of the current model.
        embedding: Vec<f32>,
        /// The model's tags, best first.
        tags: Vec<Tag>,
    },
    /// This path holds content that the library already knows. If the library no longer knows it, the path is dropped,
    /// so that the next run reads the file again.
    Known {
        /// The file.
        path: PathBuf,
        /// The root under which it was found.
        root: PathBuf,
        /// Its stamp when it was read.
        stamp: FileStamp,
        /// Hash of its content.
        hash: ContentHash,
    },
    /// This path holds something that could not be read. The library's record of the path is dropped.
    Failed {
        /// The file.
        path: PathBuf,
        /// The root under which it was found.
        root: PathBuf,
        /// Its stamp when it was read.
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

/// Distribution of the cosines of a library's photos with a query.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ScoreStats {
    /// Number of photos compared: all, or an evenly spaced sample of a large library.
    pub count: usize,
    /// Mean.
    pub mean: f32,
    /// Standard deviation.
    pub std: f32,
}
