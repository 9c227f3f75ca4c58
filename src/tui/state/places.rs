//! What each place knows.

use crate::terminal::listener::Step;
use crate::tui::event::{Answer, Classified, Groups, Listing, MapChart, Outcome, PictureKey, Standing};
use crate::tui::gallery::Gallery;
use crate::tui::place::Place;
use crate::tui::source::Visits;
use crate::tui::zoom::Zoom;
use snapseek_index::{LabelSet, Turn};
use std::path::PathBuf;
use std::sync::Arc;
use tui_input::Input;

/// Query and results.
#[derive(Clone, Debug)]
pub struct SearchState {
    /// The current source and those visited before and after it.
    pub visits: Visits,
    /// The query line.
    pub input: Input,
    /// Keys go into the query line.
    pub typing: bool,
    /// The results.
    pub gallery: Gallery,
    /// Generation of the request whose answer is wanted.
    pub generation: u64,
    /// What is asked for of the photos.
    pub listing: Listing,
    /// The answer has not arrived yet.
    pub waiting: bool,
    /// What is wrong with the query.
    pub error: Option<String>,
    /// What is wrong with the query if it stays as it is.
    pub unripe: Option<String>,
    /// The last answer without its photos.
    pub answer: Answer,
    /// How many photos the library had when it was last searched.
    pub library: Option<usize>,
    /// The photo to select when the answer arrives.
    pub keep: Option<i64>,
    /// The same source was requested again: the selected photo stays selected.
    pub again: bool,
    /// Queries of earlier sessions and of this one, oldest first.
    pub history: Vec<String>,
    /// Which of them is in the query line, and the text that it replaced.
    pub recalled: Option<(usize, String)>,
    /// Completions of the word before the cursor.
    pub completion: Option<Completion>,
    /// The selected photo is shown at the side.
    pub preview: bool,
}

impl SearchState {
    /// What was wrong with a half-written query is now a mistake.
    pub fn ripen(&mut self) {
        self.error = self.unripe.take().or_else(|| self.error.take());
    }
}

/// Completions of a half-written word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Where the word begins, in characters from the beginning of the line.
    pub start: usize,
    /// The completed words to choose from.
    pub items: Vec<String>,
    /// How many photos each of them finds, where that is known.
    pub counts: Vec<Option<u64>>,
    /// Which of them is chosen.
    pub at: usize,
}

/// One photo, large.
#[derive(Clone, Debug, Default)]
pub struct LookState {
    /// This photo alone; `None`: the selected photo of the gallery of `of`.
    pub only: Option<i64>,
    /// The photo that is shown beside this one alone.
    pub with: Option<i64>,
    /// The place whose gallery is used.
    pub of: Place,
    /// Only the photo is shown, on the full screen.
    pub full: bool,
    /// The photo of the stack that is shown in the place of the one that stands for it.
    pub in_stack: Option<i64>,
    /// How many positions behind the photo the one is that is shown beside it; 0: none is.
    pub beside: usize,
    /// Generation of the timer of the slideshow, while there is one.
    pub slideshow: Option<u64>,
    /// How closely it is looked at; `None`: whole.
    pub zoom: Option<Zoom>,
    /// The parts of photos that were painted last: they are shown until the next ones are.
    pub painted: Vec<PictureKey>,
    /// The cell at which the mouse took hold of the photo.
    pub held: Option<(u16, u16)>,
}

/// Photos sorted by labels.
#[derive(Clone, Debug)]
pub struct Classify {
    /// The line in which labels are typed.
    pub input: Input,
    /// Keys go into that line.
    pub typing: bool,
    /// The photos with their verdicts under the requested set.
    pub sorted: Option<Arc<Classified>>,
    /// How many photos have each label, and last how many have none.
    pub counts: Vec<usize>,
    /// The position of the label whose photos are shown; the position after the last label means none of them.
    pub label: usize,
    /// The photos of that label.
    pub gallery: Gallery,
    /// The saved label sets.
    pub sets: Vec<LabelSet>,
    /// Why the labels cannot be used.
    pub error: Option<String>,
}

/// Clusters.
#[derive(Clone, Debug, Default)]
pub struct Clusters {
    /// The clusters; `None` before they are loaded.
    pub groups: Option<Groups>,
    /// The position of the selected cluster.
    pub at: usize,
    /// Why there are no clusters.
    pub error: Option<String>,
    /// Clusters have been made since the library last changed.
    pub tried: bool,
}

/// The map.
#[derive(Clone, Debug)]
pub struct Map {
    /// The photos on it; `None` before it is laid out.
    pub chart: Option<Arc<MapChart>>,
    /// The cursor, in the map's coordinates.
    pub cursor: (f32, f32),
    /// The centre of the visible part.
    pub middle: (f32, f32),
    /// How much is visible: 1 is the whole map.
    pub span: f32,
    /// The corner where a box was started.
    pub corner: Option<(f32, f32)>,
    /// The photo nearest to the cursor, as a position on the chart.
    pub nearest: Option<usize>,
    /// Where the cursor was when `nearest` was found.
    pub pointed: Option<(f32, f32)>,
    /// Why there is no map.
    pub error: Option<String>,
}

/// The chat.
#[derive(Clone, Debug, Default)]
pub struct ChatState {
    /// The photo that it is about.
    pub photo: Option<i64>,
    /// Its turns so far.
    pub turns: Vec<Turn>,
    /// The line in which the question is typed.
    pub input: Input,
    /// Keys go into that line.
    pub typing: bool,
    /// The question that is being answered, and its answer so far.
    pub answering: Option<(String, String)>,
    /// The model is being opened, or is encoding the picture.
    pub opening: bool,
    /// There is no model: what is needed to get it.
    pub missing: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// The name of the model that answers.
    pub model: String,
    /// Generation of the request whose answers are wanted.
    pub generation: u64,
    /// The question replaces the last one.
    pub again: bool,
    /// How many lines the view is scrolled back from the end.
    pub back: usize,
}

/// Folders and indexing.
#[derive(Clone, Debug, Default)]
pub struct IndexState {
    /// The library's status; `None` before it is known, or if there is no library.
    pub standing: Option<Box<Standing>>,
    /// The status is known; there may still be no library.
    pub known: bool,
    /// The current indexing run.
    pub run: Option<RunState>,
    /// Files that could not be read: path, kind and reason.
    pub failures: Vec<(PathBuf, String, String)>,
    /// What the last run did, or why it failed.
    pub last: Option<Outcome<String>>,
    /// The last run was cancelled.
    pub was_cancelled: bool,
    /// The folders are watched.
    pub watch: bool,
    /// Files changed during the run: another run must follow.
    pub again: bool,
    /// Position of the selected failure.
    pub at: usize,
    /// The next run tries again what could not be read.
    pub retry: bool,
}

impl IndexState {
    /// How many photos the library has, by its status.
    #[must_use]
    pub fn photo_count(&self) -> Option<usize> {
        self.standing.as_ref().map(|standing| usize::try_from(standing.status.photos).unwrap_or(usize::MAX))
    }
}

/// An indexing run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunState {
    /// Photos that need work.
    pub found: u64,
    /// Photos that are done.
    pub done: u64,
    /// Folders are still being searched.
    pub walking: bool,
    /// The current step other than embedding photos.
    pub step: Option<Step>,
    /// Ticks of a tenth of a second since it started.
    pub ticks: u64,
    /// It was cancelled.
    pub cancelled: bool,
}
