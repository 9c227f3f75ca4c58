//! Everything that the terminal UI knows. Only `update` changes it; views only read it.

mod marks;
mod places;

pub use marks::Marks;
pub use places::{ChatState, Classify, Clusters, Completion, IndexState, LookState, Map, RunState, SearchState};

use super::browse::Browse;
use super::copies::CopyState;
use super::event::{Answer, Beginning, Effect, EncodedPicture, Listing, Outcome, PictureKey, Way};
use super::filters::FilterPanel;
use super::gallery::Gallery;
use super::keymap::Keymap;
use super::models::ModelState;
use super::overlay::{Overlay, Prompt};
use super::place::Place;
use super::source::{Seek, Source, Visits};
use super::theme::{Theme, UserColors};
use super::update::counts::Begun;
use super::update::line_steps::LineSteps;
use super::update::undo::Undo;
use crate::config::ThemeName;
use crate::terminal::abilities::ColorDepth;
use crate::terminal::listener::Step;
use ratatui::layout::Rect;
use snapseek_index::{Facet, FacetField, Hit, PhotoAlbum, SavedSearch};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use tui_input::Input;

/// Photos that a search asks for at first.
pub const LIMIT: usize = 200;
/// Cells of encoded pictures that are kept; in kitty's protocol a cell takes about 800 bytes.
const MOST_CELLS: usize = 200_000;
/// Photos of which the part that was painted last is remembered: two are seen at once.
const MOST_PAINTED: usize = 2;
/// Photos whose details are kept.
const MOST_PHOTOS: usize = 20_000;
/// Failures that are listed.
const MOST_FAILURES: usize = 2_000;

/// How the program was started.
#[derive(Clone, Debug)]
pub struct TuiOptions {
    /// Picked paths are printed when the program ends.
    pub pick: bool,
    /// Pictures are drawn.
    pub pictures: bool,
    /// The terminal draws pictures over its cells, so that a picture would cover an overlay.
    pub pictures_float: bool,
    /// Pixels of a cell, across and down, as pictures are drawn: of half blocks, one and two.
    pub cell: (u16, u16),
    /// How many colours the terminal shows.
    pub colors: ColorDepth,
    /// The colour of its background, if it is known.
    pub background: Option<[u8; 3]>,
    /// The colour theme.
    pub theme: ThemeName,
    /// The folders are watched from the start.
    pub watch: bool,
    /// Colours of the user's own.
    pub own_colors: UserColors,
    /// The keys.
    pub keymap: Keymap,
    /// Which model a first run uses, and what a better one would cost.
    pub models: [String; 2],
}

impl Default for TuiOptions {
    fn default() -> Self {
        Self {
            pick: false,
            pictures: false,
            pictures_float: false,
            cell: (1, 2),
            colors: ColorDepth::default(),
            background: None,
            theme: ThemeName::default(),
            watch: false,
            own_colors: UserColors::default(),
            keymap: Keymap::default(),
            models: Default::default(),
        }
    }
}

/// The whole state of the terminal UI.
#[derive(Clone, Debug)]
pub struct State {
    /// The screen.
    pub screen: Rect,
    /// Where the user is.
    pub place: Place,
    /// The places where the user came from, oldest first.
    pub trail: Vec<Place>,
    /// What is shown over the place.
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
    /// Generation and progress of the heavy work that is running.
    pub work: Option<(u64, Option<Step>)>,
    /// How many captions of how many are written, while they are.
    pub captioning: Option<(usize, usize)>,
    /// Details of photos by id.
    pub photos: HashMap<i64, Arc<Hit>>,
    /// Photos whose details have been requested.
    pub asked: HashSet<i64>,
    /// Encoded pictures, or why one could not be made.
    pub pictures: HashMap<PictureKey, Outcome<Arc<EncodedPicture>>>,
    /// Marked photos.
    pub marks: Marks,
    /// The values of the fields that were asked for; `None` while they are counted.
    pub facets: HashMap<FacetField, Option<Vec<Facet>>>,
    /// What can be filtered by.
    pub filters: FilterPanel,
    /// The start page, folders, the timeline.
    pub browse: Browse,
    /// Copies, and which are kept.
    pub copies: CopyState,
    /// Models, and the work on them.
    pub models: ModelState,
    /// The saved searches.
    pub searches: Vec<SavedSearch>,
    /// The albums.
    pub albums: Vec<PhotoAlbum>,
    /// The album that was added to last.
    pub last_album: String,
    /// How the last steps are undone, the last one at the end.
    pub undo: Vec<Undo>,
    /// How the steps that were undone last are done again, the last one at the end.
    pub redo: Vec<Undo>,
    /// Steps that are being taken back, or done again, the first one at the beginning.
    pub taking: Vec<(Way, Undo)>,
    /// The state of the marks that was handed over to be kept.
    pub kept_marks: u64,
    /// What was typed in prompts that were left.
    pub drafts: Vec<(Prompt, String)>,
    /// Keys that may be the beginning of something.
    pub begun: Begun,
    /// The steps in which the line that is typed in was changed.
    pub line_steps: LineSteps,
    /// The last message, and whether it reports a problem.
    pub note: Option<(bool, String)>,
    /// The generation of the last request.
    pub generation: u64,
    /// Ticks counted while something is running; turns the spinner.
    pub turn: usize,
    /// Colours.
    pub theme: Theme,
    /// How the program was started.
    pub options: TuiOptions,
}

impl State {
    /// The initial state and the first effects.
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
                listing: Listing { limit: LIMIT, ..Listing::default() },
                waiting: false,
                error: None,
                unripe: None,
                answer: Answer::default(),
                library: None,
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
            captioning: None,
            photos: HashMap::new(),
            asked: HashSet::new(),
            pictures: HashMap::new(),
            marks: Marks::default(),
            facets: HashMap::new(),
            filters: FilterPanel::default(),
            browse: Browse::default(),
            copies: CopyState::default(),
            models: ModelState::default(),
            searches: Vec::new(),
            albums: Vec::new(),
            last_album: String::new(),
            undo: Vec::new(),
            redo: Vec::new(),
            taking: Vec::new(),
            kept_marks: 0,
            drafts: Vec::new(),
            begun: Begun::default(),
            line_steps: LineSteps::default(),
            note: None,
            generation: 0,
            turn: 0,
            theme: Theme::new(options.theme, options.colors, options.background).with(&options.own_colors),
            options,
        };
        let mut effects = vec![Effect::Standing, Effect::LabelSets, Effect::Albums, Effect::Searches];
        if !state.options.pick {
            effects.push(Effect::Marks);
        }
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

    /// How many photos the library has. Index shows the library's status, which may be newer than the last search; each
    /// place counts by what it shows, so that no screen has two numbers.
    #[must_use]
    pub fn photo_count(&self) -> Option<usize> {
        let known = self.index.photo_count();
        let searched = self.search.library.filter(|count| *count > 0 || known.is_some());
        if self.place == Place::Index { known } else { searched.or(known) }
    }

    /// Whether the library is known to have no photos.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.known && self.index.photo_count().unwrap_or(0) == 0
    }

    /// The values of a field, if they are known; otherwise they are asked for.
    pub fn facets_of(&mut self, field: FacetField, effects: &mut Vec<Effect>) {
        self.facets.entry(field).or_insert_with(|| {
            effects.push(Effect::Facets(field));
            None
        });
    }

    /// A new generation number.
    pub fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    /// The photo that keys act on in the current place.
    #[must_use]
    pub fn photo(&self) -> Option<i64> {
        match self.place {
            Place::Search => self.search.gallery.selected(),
            Place::Classify => self.classify.gallery.selected(),
            Place::Look => self.look.in_stack.or(self.look.only).or_else(|| self.gallery_of(self.look.of)?.selected()),
            Place::Map => {
                let chart = self.map.chart.as_ref()?;
                chart.spots.get(self.map.nearest?).map(|spot| spot.id)
            }
            Place::Clusters => {
                let group = self.clusters.groups.as_ref()?.groups.get(self.clusters.at)?;
                group.covers.first().copied()
            }
            Place::Chat => self.chat.photo,
            Place::Duplicates => self.copies.selected().map(|file| file.photo),
            Place::Index | Place::Browse | Place::Models => None,
        }
    }

    /// The photo that is shown beside the one in Look.
    #[must_use]
    pub fn photo_beside(&self) -> Option<i64> {
        if self.place != Place::Look || self.look.beside == 0 {
            return None;
        }
        if self.look.only.is_some() {
            return self.look.with;
        }
        let gallery = self.gallery_of(self.look.of)?;
        gallery.shown().get(gallery.at() + self.look.beside).map(|found| found.id)
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

    /// The gallery of a place, mutable.
    pub fn gallery_mut(&mut self, place: Place) -> Option<&mut Gallery> {
        match place {
            Place::Search => Some(&mut self.search.gallery),
            Place::Classify => Some(&mut self.classify.gallery),
            _ => None,
        }
    }

    /// The file of a photo, if its details are known.
    #[must_use]
    pub fn path_of(&self, photo: i64) -> Option<PathBuf> {
        self.photos.get(&photo)?.paths.first().cloned()
    }

    /// The marked photos; if there are none, the one that keys act on.
    #[must_use]
    pub fn chosen(&self) -> Vec<i64> {
        // A range that was begun is what is meant, as in an editor.
        if let Some(gallery) = self.gallery_of(self.place)
            && let Some(range) = gallery.range()
        {
            return gallery.shown().get(range).unwrap_or_default().iter().map(|found| found.id).collect();
        }
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

    /// Whether something is running for which the screen shows a spinner.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.search.waiting
            || self.work.is_some()
            || self.captioning.is_some()
            || self.models.job.is_some()
            || self.index.run.is_some()
            || self.chat.opening
            || self.chat.answering.is_some()
    }

    /// Keeps the details of a photo.
    pub fn learn(&mut self, photo: Hit) {
        if self.photos.len() >= MOST_PHOTOS {
            self.photos.clear();
            self.asked.clear();
        }
        self.photos.insert(photo.id, Arc::new(photo));
    }

    /// Keeps an encoded picture; removes those that are not visible if there are too many.
    pub fn keep_picture(&mut self, key: PictureKey, picture: Outcome<Arc<EncodedPicture>>) {
        let cells = |key: &PictureKey| usize::from(key.width) * usize::from(key.height);
        if self.pictures.keys().map(cells).sum::<usize>() + cells(&key) > MOST_CELLS {
            let wanted: HashSet<PictureKey> = super::layout::pictures(self).into_iter().map(|(key, _)| key).collect();
            self.pictures.retain(|key, _| wanted.contains(key));
        }
        if key.crop.is_some() && picture.is_ok() {
            self.look.painted.retain(|other| other.id != key.id);
            self.look.painted.push(key);
            let surplus = self.look.painted.len().saturating_sub(MOST_PAINTED);
            self.look.painted.drain(..surplus);
        }
        self.pictures.insert(key, picture);
    }

    /// Records that a file could not be read.
    pub fn fail(&mut self, path: PathBuf, kind: String, message: String) {
        if self.index.failures.len() < MOST_FAILURES {
            self.index.failures.retain(|(other, _, _)| *other != path);
            self.index.failures.push((path, kind, message));
        }
    }

    /// Shows a message to the user.
    pub fn tell(&mut self, text: impl Into<String>) {
        self.note = Some((false, text.into()));
    }

    /// Shows a message about a problem to the user.
    pub fn warn(&mut self, text: impl Into<String>) {
        self.note = Some((true, text.into()));
    }
}
