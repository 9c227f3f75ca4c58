//! What the update function is told ([`Event`], [`Message`]) and what it asks for ([`Effect`]).

use super::place::Place;
use super::source::Source;
use crate::labels::classify::Verdict;
use crate::terminal::listener::Step;
use crossterm::event::{KeyEvent, MouseEvent};
use ratatui_image::protocol::Protocol;
use snapseek_index::{ContentHash, Hit, LabelSet, Status, Turn};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse did something.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has so many columns and rows now.
    Resize(u16, u16),
    /// Time passes while something turns on the screen.
    Tick,
    /// A worker answers.
    Message(Message),
    /// The program is asked from outside to end.
    Terminate,
    /// The program is asked from outside to let the shell have the terminal.
    Suspend,
}

/// An answer as workers give it: what was asked for, or why not, for the user's eyes.
pub type Outcome<T> = Result<T, String>;

/// One photo of a list.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoundPhoto {
    /// Its id.
    pub id: i64,
    /// How near it is to what was asked, from -1 to 1; or the probability of a label, from 0 to 1.
    pub score: Option<f32>,
    /// It counts as a match, and is not merely near.
    pub is_match: bool,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The photos, best first; matches come before the rest.
    pub found: Vec<FoundPhoto>,
    /// What is known of them already.
    pub photos: Vec<Hit>,
    /// There may be more.
    pub more: bool,
    /// Photos in the library.
    pub total: usize,
    /// How long it took.
    pub took: Duration,
}

/// A cluster as it is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterItem {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What it is named by.
    pub keywords: Vec<String>,
    /// How many photos it holds.
    pub photos: u64,
    /// Mean cosine with its middle.
    pub coherence: f32,
    /// The photos nearest to its middle.
    pub covers: Vec<i64>,
}

/// The clusters, and how many photos are in none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Groups {
    /// Largest first.
    pub groups: Vec<ClusterItem>,
    /// Photos outside all of them.
    pub outside: u64,
}

/// A photo on the map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot {
    /// Its id.
    pub id: i64,
    /// From 0 (left) to 1.
    pub x: f32,
    /// From 0 (top) to 1.
    pub y: f32,
    /// The position of its cluster's name.
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

/// What became of the photos of a library under a label set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Classified {
    /// The set.
    pub set: LabelSet,
    /// For each photo, by id ascending, its label (`None`: none of these) and the likeliest with their probabilities.
    pub photos: Vec<Judged>,
}

/// One photo under a label set.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Its id.
    pub id: i64,
    /// What became of it.
    pub verdict: Verdict,
}

/// Identifies an encoded picture: whose, and for how many cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PictureKey {
    /// The photo's id.
    pub id: i64,
    /// Columns that it may take.
    pub width: u16,
    /// Rows that it may take.
    pub height: u16,
}

/// A picture that is wanted on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedPicture {
    /// Which.
    pub key: PictureKey,
    /// Where the photo is.
    pub path: PathBuf,
    /// BLAKE3 of its content.
    pub hash: ContentHash,
}

/// What an indexing run tells.
#[derive(Clone, Debug)]
pub enum IndexNews {
    /// It has found and finished so many photos; `walking` as long as folders are still looked through.
    Photos {
        /// Photos that need work.
        found: u64,
        /// Photos that are done.
        done: u64,
        /// Folders are still looked through.
        walking: bool,
    },
    /// A step after or before the photos.
    Step(Step),
    /// A file could not be read.
    Failure {
        /// Which.
        path: PathBuf,
        /// Why, in a word.
        kind: String,
        /// Why.
        message: String,
    },
    /// It is over: what it did in a sentence, or why it failed. The flag says that it was cancelled.
    Ended(Outcome<String>, bool),
}

/// What the chat tells.
#[derive(Clone, Debug)]
pub enum ChatNews {
    /// It is open: with these turns, under this number if it is kept already.
    Opened {
        /// What was said before.
        turns: Vec<Turn>,
        /// What answers.
        model: String,
    },
    /// There is no BLIP-2: what it would take.
    Missing(String),
    /// A piece of the answer.
    Piece(String),
    /// The answer is complete, and the chat is this now.
    Answered(Vec<Turn>),
    /// The answer was stopped.
    Stopped,
    /// The answer failed; the chat goes on.
    Failed(String),
    /// There is no chat, or not any more.
    Ended(String),
}

/// What workers answer.
#[derive(Clone, Debug)]
pub enum Message {
    /// A search has ended.
    Found(u64, Outcome<Answer>),
    /// What is known of photos; those of the second list are not in the library any more.
    Photos(Vec<Hit>, Vec<i64>),
    /// Time is up.
    Timer(u64),
    /// The clusters.
    Groups(Outcome<Groups>),
    /// Work on clusters has ended: what was done.
    Grouped(u64, Outcome<String>),
    /// The map.
    Charted(u64, Outcome<MapChart>),
    /// Photos sorted by labels.
    Sorted(u64, Outcome<Classified>),
    /// The label sets that are saved.
    LabelSets(Vec<LabelSet>),
    /// How heavy work stands.
    Step(u64, Step),
    /// A picture.
    Picture(PictureKey, Outcome<Arc<EncodedPicture>>),
    /// Of the chat.
    Chat(u64, ChatNews),
    /// Of an indexing run.
    Index(IndexNews),
    /// How the library stands; `None` if there is none.
    Library(Outcome<Option<Box<Standing>>>),
    /// Files below the library's folders have changed.
    FilesChanged,
    /// Queries of earlier days, oldest first.
    History(Vec<String>),
    /// The files of photos, for what they were asked for.
    Paths(Purpose, Vec<PathBuf>),
    /// The folders are not watched: why.
    Unwatched(String),
    /// Something the user should know; the flag says that something went wrong.
    Note(bool, String),
}

/// How the library stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// As `snapseek status` has it.
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

/// What can be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Work on the whole library: clusters, map, labels.
    Library,
    /// The answer.
    Chat,
    /// The indexing run.
    Index,
}

/// Work on the whole library.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Clusters anew; `None` finds out how many.
    Cluster(Option<usize>),
    /// One cluster into those that are in it.
    Split(i64),
    /// The map.
    Chart,
    /// All photos by these labels.
    Sort(LabelSet),
}

/// What the chat is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatWork {
    /// Begin, or go on, about this photo.
    Open(PathBuf),
    /// Answer.
    Ask(String),
    /// Take the last question back, then answer.
    AskAgain(String),
    /// Forget all that was said.
    Clear,
    /// Write it to a new file.
    Save(PathBuf),
}

/// How marked photos leave the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// A contact sheet.
    Html,
    /// JSON lines, as `search --json` writes them.
    Json,
    /// The photos themselves, copied into a folder.
    Files,
}

/// What paths are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To put them on the clipboard.
    Copy,
    /// To print them, and end.
    Pick,
}

/// What the update function asks for. Nothing of it blocks.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A search; an older one is not wanted any more.
    Search(u64, Source, usize),
    /// What is known of these photos.
    Photos(Vec<i64>),
    /// The files of these photos.
    Paths(Purpose, Vec<i64>),
    /// The library has changed: the next search must see it.
    Renew,
    /// A message after some time.
    Timer(u64, Duration),
    /// The clusters that there are.
    Groups,
    /// A new name for a cluster.
    Rename(String, String),
    /// Heavy work; older such work is ended.
    Work(u64, Work),
    /// The saved label sets.
    LabelSets,
    /// Save a label set.
    SaveSet(LabelSet),
    /// The chat.
    Chat(u64, ChatWork),
    /// End some work.
    Cancel(Task),
    /// Index folders; none: those of the library.
    Index(Vec<PathBuf>),
    /// Watch the library's folders, or do not any more.
    Watch(bool),
    /// How the library stands.
    Standing,
    /// Open a photo in the system's viewer.
    View(PathBuf),
    /// Show a photo in the file manager.
    Reveal(PathBuf),
    /// Put text on the clipboard.
    Copy(String),
    /// Write photos to a file or folder.
    Export(Export, Vec<i64>, PathBuf),
    /// Keep a query for the next days.
    Remember(String),
    /// Let the shell have the terminal for a while.
    Suspend,
    /// End; these photos were picked.
    Quit(Ending),
}

/// How the program ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The user left.
    Left,
    /// The user picked these files.
    Picked(Vec<PathBuf>),
    /// Somebody ended it from outside.
    Terminated,
}

/// Where the program begins.
#[derive(Clone, Debug, Default)]
pub struct Beginning {
    /// Folders to index at once.
    pub index: Vec<PathBuf>,
    /// The first query.
    pub query: String,
    /// The first place.
    pub place: Place,
}
