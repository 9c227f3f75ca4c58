//! All that the terminal UI knows. Only `update` changes it, and views only read it.

use super::event::{
    Answer, Beginning, Classified, Effect, EncodedPicture, Groups, MapChart, Outcome, PictureKey, Standing,
};
use super::gallery::Gallery;
use super::keymap::Keymap;
use super::overlay::Overlay;
use super::place::Place;
use super::source::{Seek, Source, Visits};
use super::theme::Theme;
use crate::config::ThemeName;
use crate::terminal::listener::Step;
use ratatui::layout::Rect;
use snapseek_index::{Hit, LabelSet, Turn};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use tui_input::Input;

/// Photos that are looked for at once.
pub const LIMIT: usize = 200;
/// Cells of encoded pictures that are kept; by kitty's protocol one takes about 800 bytes.
const MOST_CELLS: usize = 200_000;
/// Photos of which details are kept.
const MOST_PHOTOS: usize = 20_000;
/// Failures that are listed.
const MOST_FAILURES: usize = 2_000;

/// How the program was started.
#[derive(Clone, Debug, Default)]
pub struct TuiOptions {
    /// Picked paths are printed in the end.
    pub pick: bool,
    /// Pictures are drawn.
    pub pictures: bool,
    /// Pictures must not lie below other things: the terminal draws them over cells.
    pub pictures_float: bool,
    /// The terminal has true colours.
    pub true_colors: bool,
    /// Which colours.
    pub theme: ThemeName,
    /// Watch the folders from the beginning.
    pub watch: bool,
    /// The keys.
    pub keymap: Keymap,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct State {
    /// The screen.
    pub screen: Rect,
    /// Where the user is.
    pub place: Place,
    /// Where the user came from.
    pub trail: Vec<Place>,
    /// What lies over it.
    pub overlay: Option<Overlay>,
    /// Query and results.
    pub search: SearchState,
    /// One photo.
    pub look: LookState,
    /// Labels.
    pub classify: Classify,
    /// Clusters.
    pub clusters: Clusters,
    /// The map.
    pub map: Map,
    /// The chat.
    pub chat: ChatState,
    /// Folders and indexing.
    pub index: IndexState,
    /// Heavy work that is going on, with its generation.
    pub work: Option<(u64, Option<Step>)>,
    /// What is known of photos.
    pub photos: HashMap<i64, Arc<Hit>>,
    /// Photos of which details were asked for.
    pub asked: HashSet<i64>,
    /// Encoded pictures, or why there is none.
    pub pictures: HashMap<PictureKey, Outcome<Arc<EncodedPicture>>>,
    /// Marked photos.
    pub marks: Marks,
    /// The last message, and whether it tells of something wrong.
    pub note: Option<(bool, String)>,
    /// The last request.
    pub generation: u64,
    /// Turns while something is going on.
    pub turn: usize,
    /// Colours.
    pub theme: Theme,
    /// How the program was started.
    pub options: TuiOptions,
}

/// Query and results.
#[derive(Clone, Debug)]
pub struct SearchState {
    /// Sources before and after this one.
    pub visits: Visits,
    /// The query line.
    pub input: Input,
    /// Keys go into the query line.
    pub typing: bool,
    /// The results.
    pub gallery: Gallery,
    /// The request whose answer is wanted.
    pub generation: u64,
    /// How many photos were asked for.
    pub limit: usize,
    /// The answer is not here yet.
    pub waiting: bool,
    /// What is wrong with the query.
    pub error: Option<String>,
    /// The last answer without its photos.
    pub answer: Answer,
    /// The photo that is to be selected when the answer comes.
    pub keep: Option<i64>,
    /// The same is asked for again: whatever is selected stays so.
    pub again: bool,
    /// Queries of earlier days and of today, oldest first.
    pub history: Vec<String>,
    /// Which of them stands in the query line, and what stood there before.
    pub recalled: Option<(usize, String)>,
    /// What a half-written word may become.
    pub completion: Option<Completion>,
    /// The selected photo is shown at the side.
    pub preview: bool,
}

/// Ways to go on with a half-written word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Where the word begins, in characters.
    pub start: usize,
    /// What it may become.
    pub items: Vec<String>,
    /// Which of them is chosen.
    pub at: usize,
}

/// One photo, large.
#[derive(Clone, Debug, Default)]
pub struct LookState {
    /// A single photo; `None`: the selected one of a gallery.
    pub only: Option<i64>,
    /// Whose gallery.
    pub of: Place,
    /// Nothing but the photo.
    pub full: bool,
}

/// Photos by labels.
#[derive(Clone, Debug)]
pub struct Classify {
    /// The labels as they are typed.
    pub input: Input,
    /// Keys go there.
    pub typing: bool,
    /// The photos under the set that was asked for.
    pub sorted: Option<Arc<Classified>>,
    /// Photos of each label, and last of none.
    pub counts: Vec<usize>,
    /// The label whose photos are shown; the one after the last is none.
    pub label: usize,
    /// Its photos.
    pub gallery: Gallery,
    /// The sets that are saved.
    pub sets: Vec<LabelSet>,
    /// Why there is nothing.
    pub error: Option<String>,
}

/// Clusters.
#[derive(Clone, Debug, Default)]
pub struct Clusters {
    /// The clusters; `None` before they are known.
    pub groups: Option<Groups>,
    /// The selected one.
    pub at: usize,
    /// Why there are none.
    pub error: Option<String>,
    /// They were looked for since the library has changed.
    pub tried: bool,
}

/// The map.
#[derive(Clone, Debug)]
pub struct Map {
    /// The photos; `None` before it is known.
    pub chart: Option<Arc<MapChart>>,
    /// The cursor, in the map's own numbers.
    pub cursor: (f32, f32),
    /// The middle of what is seen.
    pub middle: (f32, f32),
    /// How much is seen: 1 is all.
    pub span: f32,
    /// The corner at which a box began.
    pub corner: Option<(f32, f32)>,
    /// The photo nearest to the cursor, as a position on the chart.
    pub nearest: Option<usize>,
    /// Where the cursor was then.
    pub pointed: Option<(f32, f32)>,
    /// Why there is none.
    pub error: Option<String>,
}

/// The chat.
#[derive(Clone, Debug, Default)]
pub struct ChatState {
    /// What it is about.
    pub photo: Option<i64>,
    /// What was said.
    pub turns: Vec<Turn>,
    /// The question as it is typed.
    pub input: Input,
    /// Keys go there.
    pub typing: bool,
    /// The question that is being answered, and the answer so far.
    pub answering: Option<(String, String)>,
    /// The model is being opened, or looks at the picture.
    pub opening: bool,
    /// There is no model: what it would take.
    pub missing: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// What answers.
    pub model: String,
    /// The request whose answers are wanted.
    pub generation: u64,
    /// The question replaces the last one.
    pub again: bool,
    /// Lines scrolled back from the end.
    pub back: usize,
}

/// Folders and indexing.
#[derive(Clone, Debug, Default)]
pub struct IndexState {
    /// How the library stands; `None` before it is known.
    pub standing: Option<Box<Standing>>,
    /// It is known, though there may be no library.
    pub known: bool,
    /// The run that is going on.
    pub run: Option<RunState>,
    /// What could not be read.
    pub failures: Vec<(PathBuf, String, String)>,
    /// What the last run did, or why it failed.
    pub last: Option<Outcome<String>>,
    /// The folders are watched.
    pub watch: bool,
    /// Files have changed during the run: another is to follow.
    pub again: bool,
    /// The first failure on the screen.
    pub top: usize,
}

/// An indexing run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunState {
    /// Photos that need work.
    pub found: u64,
    /// Photos that are done.
    pub done: u64,
    /// Folders are still looked through.
    pub walking: bool,
    /// What goes on beside the photos.
    pub step: Option<Step>,
    /// Ticks of a tenth of a second since it began.
    pub ticks: u64,
    /// It was cancelled.
    pub cancelled: bool,
}

/// Marked photos, in the order of marking.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    order: Vec<i64>,
    all: HashSet<i64>,
}

impl Marks {
    /// Whether a photo is marked.
    #[must_use]
    pub fn has(&self, id: i64) -> bool {
        self.all.contains(&id)
    }

    /// Marks a photo.
    pub fn add(&mut self, id: i64) {
        if self.all.insert(id) {
            self.order.push(id);
        }
    }

    /// Marks a photo, or takes the mark away.
    pub fn toggle(&mut self, id: i64) {
        if self.all.remove(&id) {
            self.order.retain(|other| *other != id);
        } else {
            self.add(id);
        }
    }

    /// Takes the marks of some photos away.
    pub fn forget(&mut self, gone: &HashSet<i64>) {
        self.order.retain(|id| !gone.contains(id));
        self.all.retain(|id| !gone.contains(id));
    }

    /// Takes all marks away.
    pub fn clear(&mut self) {
        self.order.clear();
        self.all.clear();
    }
}

impl std::ops::Deref for Marks {
    type Target = [i64];

    fn deref(&self) -> &[i64] {
        &self.order
    }
}

impl State {
    /// The state at the beginning, and what is to be done first.
    #[must_use]
    pub fn new(options: TuiOptions, beginning: Beginning, screen: Rect) -> (Self, Vec<Effect>) {
        let source = Source::Query(Seek::text(beginning.query.clone()));
        let mut state = Self {
            screen,
            place: beginning.place,
            trail: Vec::new(),
            overlay: None,
            search: SearchState {
                visits: Visits::new(source),
                input: Input::new(beginning.query),
                typing: beginning.place == Place::Search,
                gallery: Gallery::new(),
                generation: 0,
                limit: LIMIT,
                waiting: false,
                error: None,
                answer: Answer::default(),
                keep: None,
                again: false,
                history: Vec::new(),
                recalled: None,
                completion: None,
                preview: true,
            },
            look: LookState::default(),
            classify: Classify {
                input: Input::default(),
                typing: false,
                sorted: None,
                counts: Vec::new(),
                label: 0,
                gallery: Gallery::new(),
                sets: Vec::new(),
                error: None,
            },
            clusters: Clusters::default(),
            map: Map {
                chart: None,
                cursor: (0.5, 0.5),
                middle: (0.5, 0.5),
                span: 1.0,
                corner: None,
                nearest: None,
                pointed: None,
                error: None,
            },
            chat: ChatState::default(),
            index: IndexState { watch: options.watch, ..IndexState::default() },
            work: None,
            photos: HashMap::new(),
            asked: HashSet::new(),
            pictures: HashMap::new(),
            marks: Marks::default(),
            note: None,
            generation: 0,
            turn: 0,
            theme: Theme::new(options.theme, options.true_colors),
            options,
        };
        let mut effects = vec![Effect::Standing, Effect::LabelSets];
        state.seek(None, &mut effects);
        if state.options.watch {
            effects.push(Effect::Watch(true));
        }
        if !beginning.index.is_empty() {
            state.index.run = Some(RunState { walking: true, ..RunState::default() });
            effects.push(Effect::Index(beginning.index));
        }
        (state, effects)
    }

    /// A number that no request had before.
    pub fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    /// The photo that keys speak of in this place.
    #[must_use]
    pub fn photo(&self) -> Option<i64> {
        match self.place {
            Place::Search => self.search.gallery.selected(),
            Place::Classify => self.classify.gallery.selected(),
            Place::Look => self.look.only.or_else(|| self.gallery_of(self.look.of)?.selected()),
            Place::Map => {
                let chart = self.map.chart.as_ref()?;
                chart.spots.get(self.map.nearest?).map(|spot| spot.id)
            }
            Place::Clusters => {
                let group = self.clusters.groups.as_ref()?.groups.get(self.clusters.at)?;
                group.covers.first().copied()
            }
            Place::Chat => self.chat.photo,
            Place::Index => None,
        }
    }

    /// The gallery of a place.
    #[must_use]
    pub fn gallery_of(&self, place: Place) -> Option<&Gallery> {
        match place {
            Place::Search => Some(&self.search.gallery),
            Place::Classify => Some(&self.classify.gallery),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub fn gallery_mut(&mut self, place: Place) -> Option<&mut Gallery> {
        match place {
            Place::Search => Some(&mut self.search.gallery),
            Place::Classify => Some(&mut self.classify.gallery),
            _ => None,
        }
    }

    /// The file of a photo, as far as it is known.
    #[must_use]
    pub fn path_of(&self, photo: i64) -> Option<PathBuf> {
        self.photos.get(&photo)?.paths.first().cloned()
    }

    /// The marked photos, else the one that keys speak of.
    #[must_use]
    pub fn chosen(&self) -> Vec<i64> {
        if self.marks.is_empty() { self.photo().into_iter().collect() } else { self.marks.to_vec() }
    }

    /// Whether keys go into a line of text.
    #[must_use]
    pub fn is_typing(&self) -> bool {
        match (&self.overlay, self.place) {
            (Some(overlay), _) => overlay.input().is_some(),
            (None, Place::Search) => self.search.typing,
            (None, Place::Classify) => self.classify.typing,
            (None, Place::Chat) => self.chat.typing,
            (None, _) => false,
        }
    }

    /// Whether something goes on that the screen should show to be alive.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.search.waiting
            || self.work.is_some()
            || self.index.run.is_some()
            || self.chat.opening
            || self.chat.answering.is_some()
    }

    /// Remembers what is known of a photo.
    pub fn learn(&mut self, photo: Hit) {
        if self.photos.len() >= MOST_PHOTOS {
            self.photos.clear();
            self.asked.clear();
        }
        self.photos.insert(photo.id, Arc::new(photo));
    }

    /// Remembers a picture.
    pub fn keep_picture(&mut self, key: PictureKey, picture: Outcome<Arc<EncodedPicture>>) {
        let cells = |key: &PictureKey| usize::from(key.width) * usize::from(key.height);
        if self.pictures.keys().map(cells).sum::<usize>() + cells(&key) > MOST_CELLS {
            let wanted: HashSet<PictureKey> = super::layout::pictures(self).into_iter().map(|(key, _)| key).collect();
            self.pictures.retain(|key, _| wanted.contains(key));
        }
        self.pictures.insert(key, picture);
    }

    /// Remembers that a file could not be read.
    pub fn fail(&mut self, path: PathBuf, kind: String, message: String) {
        if self.index.failures.len() < MOST_FAILURES {
            self.index.failures.retain(|(other, _, _)| *other != path);
            self.index.failures.push((path, kind, message));
        }
    }

    /// Tells the user something.
    pub fn tell(&mut self, text: impl Into<String>) {
        self.note = Some((false, text.into()));
    }

    /// Tells the user of something wrong.
    pub fn warn(&mut self, text: impl Into<String>) {
        self.note = Some((true, text.into()));
    }
}
