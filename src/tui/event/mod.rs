//! What the update function receives ([`Event`], [`Message`]) and what it requests ([`Effect`]).

mod effect;

pub use effect::{
    AlbumChange, Beginning, ChatWork, Effect, Ending, Export, Forgotten, OwnChange, Purpose, Task, Way, Work,
};

use super::copies::FoundCopies;
use super::models::{CaptionerRule, ModelStock};
use super::overlay::Prompt;
use super::zoom::Crop;
use crate::labels::classify::Verdict;
use crate::terminal::listener::Step;
use crossterm::event::{KeyEvent, MouseEvent};
use ratatui_image::protocol::Protocol;
use snapseek_index::{
    ContentHash, Facet, FacetCounts, FacetField, Hit, LabelSet, Order, PhotoAlbum, PhotoText, SavedSearch, Status, Turn,
};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// Several keys have come together.
    Keys {
        /// The keys.
        keys: Vec<KeyEvent>,
        /// They are a text, or a piece of one, that was pasted.
        is_pasted: bool,
    },
    /// A pasted text has ended with a line end: Enter, if a line is open.
    LineEnd,
    /// The mouse was moved, clicked or scrolled.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal was resized to this many columns and rows.
    Resize(u16, u16),
    /// A moment has passed while the screen shows a spinner.
    Tick,
    /// A worker answered.
    Message(Message),
    /// A signal, or the loss of the terminal, asks the program to end.
    Terminate,
    /// A signal asks the program to suspend to the shell.
    Suspend,
}

/// A worker's answer: what was requested, or an error message for the user.
pub type Outcome<T> = Result<T, String>;

/// One photo of a list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoundPhoto {
    /// Its id.
    pub id: i64,
    /// Cosine with the query, from -1 to 1; or the probability of a label, from 0 to 1.
    pub score: Option<f32>,
    /// It is a match; otherwise it is among the nearest of the rest.
    pub is_match: bool,
}

/// What is listed of what a search finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Most photos.
    pub limit: usize,
    /// What they are sorted by.
    pub order: Order,
    /// The last ones first.
    pub reverse: bool,
}

impl Listing {
    /// Whether photos are listed as they come: the best or the newest first.
    #[must_use]
    pub fn is_as_ranked(self) -> bool {
        self.order == Order::Best && !self.reverse
    }
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The photos found, best first; matches come before the rest.
    pub found: Vec<FoundPhoto>,
    /// Details of some of these photos.
    pub photos: Vec<Hit>,
    /// There may be more results.
    pub more: bool,
    /// Photos in the library.
    pub total: usize,
    /// How long the search took.
    pub took: Duration,
}

/// A cluster as the UI shows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterItem {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its keywords.
    pub keywords: Vec<String>,
    /// How many photos it has.
    pub photos: u64,
    /// Mean cosine of its photos with its centroid.
    pub coherence: f32,
    /// The photos nearest to its centroid.
    pub covers: Vec<i64>,
}

/// All clusters, and how many photos are in none of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups {
    /// The clusters, largest first.
    pub groups: Vec<ClusterItem>,
    /// How many photos are in no cluster.
    pub outside: u64,
}

/// A photo on the map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot {
    /// Its id.
    pub id: i64,
    /// From 0 (left) to 1 (right).
    pub x: f32,
    /// From 0 (top) to 1 (bottom).
    pub y: f32,
    /// The position of its cluster's name in [`MapChart::names`]; `None`: in no cluster.
    pub cluster: Option<u16>,
}

/// The library on a plane.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MapChart {
    /// All photos.
    pub spots: Vec<Spot>,
    /// Names of the clusters.
    pub names: Vec<String>,
}

/// The verdicts of a library's photos under a label set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Classified {
    /// The set.
    pub set: LabelSet,
    /// The photos with their verdicts, by ascending id.
    pub photos: Vec<Judged>,
}

/// One photo's verdict under a label set.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Its id.
    pub id: i64,
    /// Its label (`None`: none of these), and the likeliest labels with their probabilities.
    pub verdict: Verdict,
}

/// Identifies an encoded picture by its photo, its size in cells, and the part of the photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PictureKey {
    /// The photo's id.
    pub id: i64,
    /// Most columns that it may take.
    pub width: u16,
    /// Most rows that it may take.
    pub height: u16,
    /// The part of the photo; `None`: the whole.
    pub crop: Option<Crop>,
}

/// A picture that is needed on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedPicture {
    /// Photo and size.
    pub key: PictureKey,
    /// The photo's file.
    pub path: PathBuf,
    /// Hash of what it shows.
    pub picture: ContentHash,
    /// Width and height of the photo in pixels.
    pub size: (u32, u32),
}

/// What an indexing run reports.
#[derive(Clone, Debug)]
pub enum IndexNews {
    /// How many photos it has found and finished.
    Photos {
        /// Photos that need work.
        found: u64,
        /// Photos that are done.
        done: u64,
        /// Folders are still being searched.
        walking: bool,
    },
    /// Progress of a step before or after the photos.
    Step(Step),
    /// A file could not be read.
    Failure {
        /// Its path.
        path: PathBuf,
        /// The kind of failure, in a word.
        kind: String,
        /// The reason.
        message: String,
    },
    /// It has ended: a summary of what it did, or why it failed. The flag is set if it was cancelled.
    Ended(Outcome<String>, bool),
}

/// What is reported of models and of the work on them.
#[derive(Clone, Debug)]
pub enum ModelNews {
    /// Which there are.
    Stock(Box<ModelStock>),
    /// Something that the user should know; the flag is set for a problem.
    Says(u64, bool, String),
    /// What is worked on, and how much of how much is done.
    At(u64, String, u64, u64),
    /// It has ended: what was done, or why it failed.
    Ended(u64, Outcome<String>),
}

/// What the chat reports.
#[derive(Clone, Debug)]
pub enum ChatNews {
    /// The chat is open.
    Opened {
        /// Its earlier turns.
        turns: Vec<Turn>,
        /// The name of the model that answers.
        model: String,
    },
    /// No model for captions and answers is installed: what is needed to get one.
    Missing(String),
    /// A piece of the answer.
    Piece(String),
    /// The answer is complete; these are the chat's turns now.
    Answered(Vec<Turn>),
    /// The answer was stopped.
    Stopped,
    /// The answer failed; the chat continues.
    Failed(String),
    /// The chat could not be opened, or has ended: why.
    Ended(String),
}

/// What workers answer.
#[derive(Clone, Debug)]
pub enum Message {
    /// The result of a search.
    Found(u64, Outcome<Answer>),
    /// Details of photos, and ids of requested photos that are not in the library any more.
    Photos(Vec<Hit>, Vec<i64>),
    /// A timer has expired.
    Timer(u64),
    /// The clusters.
    Groups(Outcome<Groups>),
    /// Work on clusters has ended: a summary of what was done, and the number under which the library keeps the
    /// clusters that were replaced.
    Grouped(u64, Outcome<(String, Option<i64>)>),
    /// A cluster was renamed.
    Renamed {
        /// Its old name.
        old: String,
        /// Its new name.
        new: String,
        /// Why.
        way: Way,
    },
    /// A caption was written or deleted.
    Captioned {
        /// The photo.
        photo: i64,
        /// The caption of before, with the fingerprint of the model that wrote it.
        before: Option<(String, Option<String>)>,
        /// It has one now.
        now: bool,
        /// Why.
        way: Way,
    },
    /// The text in photos was read: what was done.
    TextsRead(u64, Outcome<String>),
    /// The text that was read in a photo was deleted, or is back: what was there before.
    TextSet {
        /// The photo.
        photo: i64,
        /// What was read in it before.
        before: Option<PhotoText>,
        /// There is one now.
        now: bool,
        /// Why.
        way: Way,
    },
    /// Another model writes captions and answers from now on: what was done, and what it was before.
    CaptionerSet(String, CaptionerRule, Way),
    /// A step could not be taken back, or be done again.
    NotTaken(Way, String),
    /// What the user wrote on photos was changed: what was done, and what it was before.
    OwnChanged(String, OwnChange, Way),
    /// Clusters of before are back: how many, and the number under which the library keeps those that they replaced.
    Restored(usize, Option<i64>, Way),
    /// How many captions of how many are written; `None`: no more are.
    Captioning(Option<(usize, usize)>),
    /// A path that was typed, how far it can be completed, and the names with which it can go on.
    PathCompleted(String, String, Vec<String>),
    /// The beginning of a file's name, and the files and folders that begin so.
    Files(String, Vec<String>),
    /// The photo whose file was asked for.
    StackPhoto(i64),
    /// A text to read: its title, and its lines.
    Text(String, Vec<String>),
    /// What the user answered to a prompt is refused: the prompt, the answer, why.
    Refused(Prompt, String, String),
    /// The photos that were marked when the program ended last.
    Marks(Vec<i64>),
    /// The map.
    Charted(u64, Outcome<MapChart>),
    /// Photos sorted by labels.
    Sorted(u64, Outcome<Classified>),
    /// Copies.
    Copies(u64, Outcome<FoundCopies>),
    /// The script for copies, by the name that the user gave it, is written: what it does.
    Scripted(u64, String, Outcome<String>),
    /// The values of a field, and how many photos have each.
    Facets(FacetField, Vec<Facet>),
    /// The values of a field, among the photos that pass the filters of the query.
    Filters(u64, FacetField, Outcome<FacetCounts>),
    /// The albums.
    Albums(Vec<PhotoAlbum>),
    /// These paths are left out of the library now: what was done.
    Forgotten(String, Vec<PathBuf>),
    /// The saved searches.
    Searches(Vec<SavedSearch>),
    /// A search was saved or deleted: its name, the query of before, whether it is there now.
    SearchSaved(String, Option<String>, bool, Way),
    /// The photos that were taken on this day of other years.
    Today(Vec<i64>),
    /// The folders that files lie in, with how many.
    Folders(Vec<(String, u64)>),
    /// The months, the newest first, with how many photos were taken in each.
    Months(Vec<(String, u64)>),
    /// The first photos of what is browsed.
    Covers(u64, Vec<i64>),
    /// An album was changed: its name, what was done, and the pictures that it had before; `None` if there was none.
    AlbumChanged(String, String, Option<Vec<ContentHash>>, Way),
    /// The saved label sets.
    LabelSets(Vec<LabelSet>),
    /// Progress of heavy work.
    Step(u64, Step),
    /// An encoded picture.
    Picture(PictureKey, Outcome<Arc<EncodedPicture>>),
    /// News of the chat.
    Chat(u64, ChatNews),
    /// News of an indexing run.
    Index(IndexNews),
    /// News of models.
    Models(ModelNews),
    /// The library's status; `None` if there is no library.
    Library(Outcome<Option<Box<Standing>>>),
    /// Files in the library's folders have changed.
    FilesChanged,
    /// Queries of earlier sessions, oldest first.
    History(Vec<String>),
    /// Photos that have files, and these, with the purpose of the request.
    Paths(Purpose, Vec<i64>, Vec<PathBuf>),
    /// The folders are not being watched: why.
    Unwatched(String),
    /// A message for the user; the flag is set if it reports a problem.
    Note(bool, String),
}

/// The library's status.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The same as `snapseek status` shows.
    pub status: Status,
    /// Files that could not be read: path, kind and reason.
    pub failures: Vec<(PathBuf, String, String)>,
}

/// A picture encoded for the terminal.
pub struct EncodedPicture(pub Protocol);

impl std::fmt::Debug for EncodedPicture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Picture").field(&self.0.size()).finish()
    }
}
