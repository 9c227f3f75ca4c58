//! What the update function requests.

use super::Listing;
use crate::tui::browse::BrowseKind;
use crate::tui::copies::Removal;
use crate::tui::models::{CaptionerRule, ModelWork};
use crate::tui::place::Place;
use crate::tui::source::Source;
use snapseek_index::{ContentHash, FacetField, LabelSet, OwnRatings, OwnTags, PhotoText, Turn};
use std::path::PathBuf;
use std::time::Duration;

/// Why something is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The user wants it.
    Do,
    /// The last step is undone.
    Undo,
    /// What was undone is done again.
    Redo,
}

/// A change of what the user wrote on photos.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnChange {
    /// Add tags to photos, and remove others.
    Tags {
        /// The photos.
        photos: Vec<i64>,
        /// The tags to add.
        add: Vec<String>,
        /// The tags to remove.
        remove: Vec<String>,
    },
    /// Rate photos; `None`: as their files say.
    Rate(Vec<i64>, Option<i8>),
    /// Give pictures exactly these tags.
    SetTags(OwnTags),
    /// Give pictures exactly these ratings.
    SetRatings(OwnRatings),
}

/// What is left out of the library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// These photos.
    Photos(Vec<i64>),
    /// A folder, with everything below it.
    Folder(PathBuf),
}

/// What can be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Work on the whole library: clusters, map, labels.
    Library,
    /// The chat's answer.
    Chat,
    /// The indexing run.
    Index,
    /// Work on a model.
    Models,
}

/// Work on the whole library.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Make this many clusters; `None`: as many as fit the photos best.
    Cluster(Option<usize>),
    /// Split the cluster with this id.
    Split(i64),
    /// Lay out the map.
    Chart,
    /// Sort all photos by these labels.
    Sort(LabelSet),
    /// Read the text in these photos.
    ReadTexts(Vec<i64>),
    /// Look for copies.
    Copies,
    /// Write a script that moves copies to the trash.
    TrashScript(Vec<Removal>, PathBuf),
}

/// A change of an album.
#[derive(Clone, Debug, PartialEq)]
pub enum AlbumChange {
    /// Add photos to its end.
    Add(String, Vec<i64>),
    /// Take photos out of it.
    Remove(String, Vec<i64>),
    /// Give it exactly these pictures, or delete it with `None`: what it was before a change that is undone.
    Set(String, Option<Vec<ContentHash>>),
}

/// What the chat is asked to do.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatWork {
    /// Start or continue the chat about this photo.
    Open(PathBuf),
    /// Answer this question.
    Ask(String),
    /// Remove the last turn, then answer this question.
    AskAgain(String),
    /// Write the captions of these photos, by id and file.
    Caption(Vec<(i64, PathBuf)>),
    /// Delete all turns.
    Clear,
    /// Add turns that were deleted.
    Restore(Vec<Turn>),
    /// Write the chat to a new file.
    Save(PathBuf),
}

/// The form in which photos are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// A contact sheet as an HTML page.
    Html,
    /// JSON lines in the format of `search --json`.
    Json,
    /// The photos themselves, copied into a folder.
    Files,
}

/// What requested paths are used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To copy them to the clipboard.
    Copy,
    /// To print them and end the program.
    Pick,
    /// To write captions.
    Caption,
}

/// What the update function requests. No effect blocks.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Search: generation, source, and what to list of it. It replaces an older search.
    Search(u64, Source, Listing),
    /// Load the details of these photos.
    Photos(Vec<i64>),
    /// Look up the files of these photos.
    Paths(Purpose, Vec<i64>),
    /// The library has changed: the next search must see it.
    Renew,
    /// Send [`super::Message::Timer`] with this generation after this time.
    Timer(u64, Duration),
    /// Load the clusters.
    Groups,
    /// Rename a cluster.
    Rename {
        /// Its old name.
        old: String,
        /// Its new name.
        new: String,
        /// Why.
        way: Way,
    },
    /// Bring clusters back that the library keeps under this number.
    RestoreClusters(i64, Way),
    /// Load the photos that were marked when the program ended last.
    Marks,
    /// Remember the marked photos for the next start.
    KeepMarks(Vec<i64>),
    /// Let another model write captions and answers.
    UseCaptioner(CaptionerRule, Way),
    /// Start heavy work; it replaces older heavy work.
    Work(u64, Work),
    /// Count the photos by the values of a field.
    Facets(FacetField),
    /// Count the photos that pass the filters of this query by the values of all fields, that at this position first.
    Filters(u64, String, usize),
    /// Load the albums.
    Albums,
    /// Load the saved searches.
    Searches,
    /// Save a query under this name, or delete that of this name.
    SaveSearch(String, Option<String>, Way),
    /// Load what a list to browse shows.
    Browse(BrowseKind),
    /// Load the first photos that a query finds.
    Covers(u64, String),
    /// Change an album.
    Album(AlbumChange, Way),
    /// Change what the user wrote on photos.
    Own(OwnChange, Way),
    /// Load the saved label sets.
    LabelSets,
    /// Save a label set.
    SaveSet(LabelSet),
    /// Work for the chat.
    Chat(u64, ChatWork),
    /// Cancel some work.
    Cancel(Task),
    /// Index these folders; if the list is empty, those of the library.
    Index(Vec<PathBuf>),
    /// Index these files and folders, which are no longer left out of the library.
    BringBack(Vec<PathBuf>),
    /// Index the library's folders, and try again what could not be read.
    Retry,
    /// Embed all photos by this model, so that it answers.
    Reindex(String),
    /// Read the text in all photos that were not read yet.
    ReadTexts {
        /// Also in those that another model has read.
        again: bool,
    },
    /// Look which models there are.
    Models,
    /// Work on a model.
    Model(u64, ModelWork),
    /// Drop what this model made of the library.
    DropModel(String),
    /// Find the photo in this file, which is in the stack of the one that is shown.
    StackPhoto(PathBuf),
    /// Load everything that is known about the photo in this file.
    Facts(PathBuf),
    /// Write a caption (with the fingerprint of the model that wrote it, if not by hand), or delete it.
    SetCaption {
        /// The photo.
        photo: i64,
        /// The caption.
        text: Option<(String, Option<String>)>,
        /// Why.
        way: Way,
    },
    /// Give a photo back the text that was read in it, or delete that.
    SetText(i64, Option<PhotoText>, Way),
    /// Write what the user wrote on photos as XMP files into a folder.
    Sidecars(PathBuf),
    /// Start or stop watching the library's folders.
    Watch(bool),
    /// Load the library's status.
    Standing,
    /// Complete a path that is typed; only folders if the flag is set.
    CompletePath(String, bool),
    /// Find the pictures and folders whose names begin so.
    Files(String),
    /// Open a photo in the system's viewer.
    View(PathBuf),
    /// Show a photo in the file manager.
    Reveal(PathBuf),
    /// Copy text to the clipboard.
    Copy(String),
    /// Leave something out of the library.
    Forget(Forgotten),
    /// Run a shell command on the files of these photos.
    Shell(String, Vec<i64>),
    /// Write photos to a file or folder.
    Export(Export, Vec<i64>, PathBuf),
    /// Add a query to the history on disk.
    Remember(String),
    /// Suspend to the shell.
    Suspend,
    /// End the program.
    Quit(Ending),
}

/// How the program ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The user quit.
    Left,
    /// The user picked these files.
    Picked(Vec<PathBuf>),
    /// A signal, or the loss of the terminal, ended it.
    Terminated,
}

/// How the program starts.
#[derive(Clone, Debug, Default)]
pub struct Beginning {
    /// Folders to index immediately.
    pub index: Vec<PathBuf>,
    /// The first query.
    pub query: String,
    /// The first place.
    pub place: Place,
}
