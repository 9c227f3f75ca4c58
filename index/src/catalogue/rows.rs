//! Plain data that is written to the library and read from it.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The source of a date that is only a guess.
const FILE_NAME: &str = "file-name";

/// BLAKE3, or any other 256-bit hash.
pub type ContentHash = [u8; 32];

/// What a file is, and what it shows. Two files that differ only by what they say about the picture (dates, ratings)
/// have the same picture: the library keeps one photo for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileIdentity {
    /// Hash of all bytes of the file.
    pub file: ContentHash,
    /// Hash of what the file shows.
    pub picture: ContentHash,
    /// Which way the hash of the picture was made, from 1; raised whenever it would be another one.
    pub version: u32,
}

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
    /// Whether the library's current model has embedded its picture.
    pub embedded: bool,
    /// Hash of all its bytes.
    pub hash: ContentHash,
    /// Hash of its picture, or of all its bytes if `identified` is 0.
    pub picture: ContentHash,
    /// [`FileIdentity::version`] of `picture`; 0 in a library that comes from an older release.
    pub identified: u32,
    /// [`Metadata::reader`] of what it says; 0 in a library that comes from an older release.
    pub reader: u32,
    /// [`Metadata::beside`] of what it says.
    pub beside: i64,
    /// Whether the colours of its picture are known.
    pub has_colors: bool,
}

impl FileState {
    /// What it is known by.
    #[must_use]
    pub fn identity(&self) -> FileIdentity {
        FileIdentity { file: self.hash, picture: self.picture, version: self.identified }
    }
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
    /// What is missing or doubtful about the picture, for a person; `None` if it is whole.
    pub remark: Option<String>,
    /// Names of the colours that dominate it, those that cover most of it first; `None` if nobody has looked.
    pub colors: Option<Vec<String>>,
    /// What its files say about it.
    #[serde(flatten)]
    pub metadata: Metadata,
}

/// What a file says about its picture, of which a change costs no model.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Metadata {
    /// When it was taken, local time of the camera: `2019-06-01T12:00:00`, or only the day, the month or the year.
    pub taken: Option<String>,
    /// Who says so: `exif`, `xmp`, ...; `file-name` is a guess.
    pub taken_from: Option<String>,
    /// How far that time was ahead of the whole world's: `+02:00`.
    pub taken_offset: Option<String>,
    /// Maker and model of the camera.
    pub camera: Option<String>,
    /// The lens.
    pub lens: Option<String>,
    /// The f-number of the aperture.
    pub aperture: Option<f64>,
    /// How long the sensor was exposed, in seconds.
    pub exposure: Option<f64>,
    /// The sensitivity of the sensor.
    pub iso: Option<u32>,
    /// Focal length in millimetres.
    pub focal_length: Option<f64>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// City, region and country at these coordinates.
    pub place: Option<String>,
    /// Stars that a person gave it, 1 to 5; -1 for one that is rejected.
    pub rating: Option<i8>,
    /// The colour that a person marked it with, in lower case.
    pub color_label: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// What it shows, in its owner's words.
    pub description: Option<String>,
    /// Who made it.
    pub creator: Option<String>,
    /// Who owns the rights.
    pub copyright: Option<String>,
    /// The place within the city, as its owner named it.
    pub location: Option<String>,
    /// The city, as its owner named it.
    pub city: Option<String>,
    /// The state or province, as its owner named it.
    pub region: Option<String>,
    /// The country, as its owner named it.
    pub country: Option<String>,
    /// Keywords; one of a hierarchy as `Places/Netherlands/Zandvoort`.
    pub keywords: Vec<String>,
    /// Names of the people who are on it.
    pub people: Vec<String>,
    /// Whether a short film is in the same file.
    pub motion: bool,
    /// Which version of the program's readers has read this, from 1; raised whenever they read more.
    #[serde(skip)]
    pub reader: u32,
    /// Changes whenever the files beside it that were read too do; 0 if there were none.
    #[serde(skip)]
    pub beside: i64,
}

impl Metadata {
    /// Takes what is missing from what another file of the same picture says; a date that is no guess counts more.
    pub(crate) fn or(self, more: Self) -> Self {
        let is_guess = |said: &Self| said.taken_from.as_deref() == Some(FILE_NAME);
        let is_dated = self.taken.is_some() && !(is_guess(&self) && more.taken.is_some() && !is_guess(&more));
        let is_placed = self.latitude.is_some() && self.longitude.is_some();
        let (dated, placed) = (if is_dated { &self } else { &more }, if is_placed { &self } else { &more });
        Self {
            taken: dated.taken.clone(),
            taken_from: dated.taken_from.clone(),
            taken_offset: dated.taken_offset.clone(),
            latitude: placed.latitude,
            longitude: placed.longitude,
            place: placed.place.clone(),
            camera: self.camera.or(more.camera),
            lens: self.lens.or(more.lens),
            aperture: self.aperture.or(more.aperture),
            exposure: self.exposure.or(more.exposure),
            iso: self.iso.or(more.iso),
            focal_length: self.focal_length.or(more.focal_length),
            rating: self.rating.or(more.rating),
            color_label: self.color_label.or(more.color_label),
            title: self.title.or(more.title),
            description: self.description.or(more.description),
            creator: self.creator.or(more.creator),
            copyright: self.copyright.or(more.copyright),
            location: self.location.or(more.location),
            city: self.city.or(more.city),
            region: self.region.or(more.region),
            country: self.country.or(more.country),
            motion: self.motion || more.motion,
            ..Self::default()
        }
    }

    /// Every text in which words are found.
    pub(crate) fn texts(self) -> impl Iterator<Item = String> {
        let alone = [self.camera, self.lens, self.title, self.description, self.creator, self.location, self.city];
        let alone = alone.into_iter().chain([self.region, self.country, self.place]).flatten();
        alone.chain(self.keywords).chain(self.people)
    }
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

/// The model that reads texts in place of the one that made a library's embeddings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TextModelRecord {
    /// The name that the user knows it by.
    pub name: String,
    /// Changes whenever the model's embeddings would.
    pub fingerprint: String,
}

/// What a model is to a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelRole {
    /// It answers, unless another one is asked for.
    Current,
    /// It will be the current one once it has embedded the photos.
    Filling,
    /// It was the current one: photos are embedded by it as well, so that it can be asked for.
    Kept,
}

/// A model by which a library's photos are embedded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LibraryModel {
    /// The model.
    #[serde(flatten)]
    pub record: ModelRecord,
    /// What it is to the library.
    pub role: ModelRole,
    /// Photos that it has embedded.
    pub embedded: u64,
    /// Photos that it has not embedded.
    pub awaiting: u64,
    /// Bytes on disk of its embeddings and their cache; those of the further frames of videos do not count.
    pub bytes: u64,
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
    /// As [`Metadata::reader`].
    pub reader: u32,
}

/// What a library contains, and how large it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Number of photos: each picture counts once.
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
    /// What captioners saw in photos.
    pub encodings: EncodingCounts,
    /// How many photos were read for text.
    pub texts: TextCounts,
    /// Number of chats.
    pub chats: u64,
    /// Photos that the library's model has not embedded yet: no search by meaning finds them.
    pub awaiting: u64,
    /// What a person wrote and waits for its picture.
    pub waiting: WaitingCounts,
    /// Paths that are forgotten, ascending.
    pub forgotten: Vec<PathBuf>,
    /// Commits that are missing from the catalogue although they were made: its WAL was damaged, or it was replaced by
    /// an older copy.
    pub lost_commits: u64,
}

/// What captioners saw in photos, kept so that they need not look again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EncodingCounts {
    /// How many are stored.
    pub stored: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a person wrote about pictures that the library does not hold at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WaitingCounts {
    /// Captions.
    pub captions: u64,
    /// Names of clusters.
    pub names: u64,
}

/// A file whose picture is there only in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedFile {
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong with it.
    pub remark: String,
}

/// A caption by hand that was carried over to the picture that took the place of the one it was written for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedCaption {
    /// Where that happened.
    pub path: PathBuf,
    /// The text: foreign, so escape it for a terminal.
    pub text: String,
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
    /// The path at which it was carried over from an earlier picture ([`CarriedCaption`]).
    pub carried: Option<PathBuf>,
}

/// A photo that waits for a caption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingPhoto {
    /// Its id.
    pub id: i64,
    /// The files that hold it, by path: at least one. All show the same picture, so any readable one will do.
    pub paths: Vec<PathBuf>,
    /// Hash of its picture.
    pub picture: ContentHash,
}

/// A photo and the files that hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhotoFiles {
    /// Its id.
    pub id: i64,
    /// Hash of its picture.
    pub picture: ContentHash,
    /// The files that hold it, by path: at least one.
    pub files: Vec<PhotoFile>,
}

/// One file of a photo, as it was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhotoFile {
    /// Its path.
    pub path: PathBuf,
    /// Its stamp.
    pub stamp: FileStamp,
    /// Hash of all its bytes. Files of one photo may differ in what they say about it.
    pub hash: ContentHash,
    /// How many of date, camera and place it tells.
    pub facts: u8,
}

/// A line of text in a photo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlacedLine {
    /// What stands there; foreign text.
    pub text: String,
    /// How sure the model is, from 0 to 1.
    pub score: f32,
    /// Its corners from the top left one of what stands there on, clockwise: across and down, in upright pixels.
    #[serde(rename = "box")]
    pub quad: [[f32; 2]; 4],
}

/// What stands in a photo.
#[derive(Clone, Debug, PartialEq)]
pub struct PhotoText {
    /// Fingerprint of the model that read it.
    pub reader: String,
    /// Its lines, in reading order.
    pub lines: Vec<PlacedLine>,
    /// What of them is searched.
    pub text: String,
    /// When it was read, in seconds since 1970.
    pub read: i64,
}

/// How many photos were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TextCounts {
    /// Photos that were read.
    pub read: u64,
    /// Those in which something stands.
    pub with_text: u64,
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
    /// Hash of the picture.
    pub picture: ContentHash,
    /// Hash of the file's bytes when the chat began.
    pub file: ContentHash,
    /// The model that answers, by the name that the user knows.
    pub model: String,
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// When it last changed, in seconds since 1970.
    pub updated: i64,
    /// Its turns, in order.
    pub turns: Vec<Turn>,
}

impl Chat {
    /// Whether it is about what this file shows. Older releases knew a picture by all bytes of its file.
    #[must_use]
    pub fn is_about(&self, identity: &FileIdentity) -> bool {
        self.picture == identity.picture || self.file == identity.file
    }
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
        /// What it is.
        identity: FileIdentity,
        /// What it says about itself.
        facts: PhotoFacts,
        /// Unit vectors of the current model, one after the other: a video has one for each of its frames, anything
        /// else one. The best of them decides how well the photo fits a query.
        embedding: Vec<f32>,
        /// The model's tags, best first.
        tags: Vec<Tag>,
    },
    /// This path holds this photo, which the current model has not embedded because it cannot be opened.
    Unembedded {
        /// The file.
        path: PathBuf,
        /// The root under which it was found.
        root: PathBuf,
        /// Its stamp when it was read.
        stamp: FileStamp,
        /// What it is.
        identity: FileIdentity,
        /// What it says about itself.
        facts: PhotoFacts,
    },
    /// Another of the library's models than the current one has embedded this picture. Nothing happens if the library
    /// no longer knows the picture.
    Beside {
        /// What was embedded.
        identity: FileIdentity,
        /// The model.
        model: ModelRecord,
        /// As in [`Change::Photo`].
        embedding: Vec<f32>,
        /// The model's tags, best first.
        tags: Vec<Tag>,
    },
    /// This path holds a picture that the library already knows. If the library no longer knows it, the path is
    /// dropped, so that the next run reads the file again.
    Known {
        /// The file.
        path: PathBuf,
        /// The root under which it was found.
        root: PathBuf,
        /// Its stamp when it was read.
        stamp: FileStamp,
        /// What it is.
        identity: FileIdentity,
        /// What it says about its picture.
        metadata: Metadata,
    },
    /// This picture has these dominant colours.
    Colors {
        /// Hash of the picture.
        picture: ContentHash,
        /// As [`PhotoFacts::colors`].
        colors: Vec<String>,
    },
    /// What a picture looks like, in place of what was kept of that. Nothing happens if the library does not know the
    /// picture.
    Look {
        /// Hash of the picture.
        picture: ContentHash,
        /// How the look was made.
        version: u32,
        /// 1 to 65,536 bytes.
        look: Vec<u8>,
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
        /// As [`Metadata::reader`].
        reader: u32,
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
