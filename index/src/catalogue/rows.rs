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
pub struct FailedFile {
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
    /// How far captioning has come.
    pub captions: CaptionCounts,
    /// Chats kept.
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
    /// As it was written; foreign text, for a terminal to be sanitised. Empty if that is all a model had to say.
    pub text: String,
    /// Fingerprint of the model that wrote it; `None` if it was written by hand.
    pub captioner: Option<String>,
    /// When, in seconds since 1970.
    pub written: i64,
}

/// A photo that waits for a caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingPhoto {
    /// Its id.
    pub id: i64,
    /// Where it lies: at least one, by path. All hold the same content, so any that can be read will do.
    pub paths: Vec<PathBuf>,
    /// Its content.
    pub hash: ContentHash,
}

/// A photo and the files that hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhotoFiles {
    /// Its id.
    pub id: i64,
    /// Its content.
    pub hash: ContentHash,
    /// Where it lies, by path, and what each file looked like when it was read: at least one.
    pub files: Vec<(PathBuf, FileStamp)>,
}

/// What a captioner has made of a photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Captioned {
    /// The photo.
    pub photo: i64,
    /// Its caption.
    pub text: String,
    /// What the captioner saw ([`crate::Library::encoding`]), if it is to be kept.
    pub encoding: Option<Vec<f32>>,
}

/// A conversation about a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chat {
    /// Its id, never reused.
    pub id: i64,
    /// The picture's file, as it was named.
    pub path: PathBuf,
    /// The picture's content.
    pub hash: ContentHash,
    /// The model that answered, as the user names it.
    pub model: String,
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// When it last changed, in seconds since 1970.
    pub updated: i64,
    /// What was said, in order.
    pub turns: Vec<Turn>,
}

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Turn {
    /// The question.
    pub question: String,
    /// The answer; foreign text, for a terminal to be sanitised.
    pub answer: String,
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

/// How the cosines with a query are spread over the library.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ScoreStats {
    /// Photos they were taken from: all, or an evenly spaced sample of a large library.
    pub count: usize,
    /// Mean.
    pub mean: f32,
    /// Standard deviation.
    pub std: f32,
}
