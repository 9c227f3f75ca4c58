//! Background workers: they receive [`Effect`]s and answer with [`Message`]s. None of them touches the state or the
//! terminal.

mod browser;
mod chat;
mod copies;
mod desktop;
mod filters;
mod finder;
mod forget;
mod full_size;
mod history;
mod indexer;
mod latest;
mod library_work;
mod marks;
mod models;
mod painter;
mod reader;
mod shell;
mod watcher;

pub use painter::Painter;

use super::browse::BrowseKind;
use super::event::{Effect, Event, Message, Task, WantedPicture};
use super::models::ModelWork;
use crate::config::Settings;
use crate::model_choice::{self, Chosen, Offer};
use crate::terminal::console::Console;
use crate::terminal::listener::Listener;
use crossbeam_channel::Sender;
use indexer::IndexerRun;
use latest::Latest;
use ratatui_image::picker::Picker;
use snapseek_index::{Error, FacetField, Library};
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What all workers share.
pub(super) struct Context {
    pub(super) settings: Settings,
    pub(super) cache: PathBuf,
    pub(super) out: Sender<Event>,
    /// The captioner that the library remembers counts more than the settings: it was chosen later.
    chosen_later: AtomicBool,
    /// The library's model, once a worker has needed it.
    model: Mutex<Option<Arc<Chosen>>>,
}

impl Context {
    /// Sends an answer. An error means that the program is ending, and is ignored.
    pub(super) fn send(&self, message: Message) {
        let _ = self.out.send(Event::Message(message));
    }

    /// Shows a console's message to the user if it is a warning; other messages are meant for the command line.
    pub(super) fn warn(&self, warning: bool, text: &str) {
        if warning {
            self.send(Message::Note(true, text.to_owned()));
        }
    }

    /// The library's model; it is opened once and then shared.
    pub(super) fn model(&self, library: &Library, console: &Console) -> anyhow::Result<Arc<Chosen>> {
        let mut kept = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = library.model()?.map(|record| record.fingerprint);
        if let Some(chosen) = kept.as_ref()
            && wanted.as_ref().is_none_or(|wanted| *wanted == chosen.record.fingerprint)
        {
            if wanted.is_some() {
                // Another one may become current while this one is in use.
                library.answer_with(Some(&chosen.record));
            }
            return Ok(chosen.clone());
        }
        let chosen = Arc::new(model_choice::choose(Some(library), &self.settings, console, Offer::None)?);
        *kept = Some(chosen.clone());
        Ok(chosen)
    }

    /// The settings by which the captioner is opened.
    pub(super) fn captioner_settings(&self) -> Cow<'_, Settings> {
        if self.chosen_later.load(Ordering::Relaxed) {
            return Cow::Owned(Settings { captioner: None, ..self.settings.clone() });
        }
        Cow::Borrowed(&self.settings)
    }

    /// A console whose warnings are shown to the user, and whose other messages are dropped.
    pub(super) fn quiet_console(self: &Arc<Self>) -> Console {
        Console::to(Arc::new(Warnings(self.clone())))
    }
}

/// Shows warnings to the user, and nothing else.
struct Warnings(Arc<Context>);

impl Listener for Warnings {
    fn message(&self, warning: bool, text: &str) {
        self.0.warn(warning, text);
    }
}

/// All workers.
pub struct Workers {
    context: Arc<Context>,
    finder: Latest<finder::FindRequest>,
    /// The finder must make a new snapshot.
    renew: Arc<AtomicBool>,
    library_work: Latest<library_work::LibraryRequest>,
    reader: Sender<reader::ReadRequest>,
    chat: chat::ChatWorker,
    indexer: indexer::Indexer,
    watcher: watcher::Watcher,
    timers: Sender<(Instant, u64)>,
    history: history::History,
    marks: marks::MarkKeeper,
    /// Completes names of files: only the last one that was typed counts.
    files: Latest<String>,
    browser: Latest<BrowseKind>,
    covers: Latest<(u64, String)>,
    /// Counts photos: in a library of a million, that takes a moment.
    counter: Sender<FacetField>,
    filters: Latest<filters::FilterRequest>,
    /// Works on models.
    models: Latest<(u64, ModelWork)>,
    /// Encodes pictures for the terminal.
    painter: Painter,
}

impl Workers {
    /// Starts them; they answer to `out`. `picker` determines what pictures the terminal can show.
    ///
    /// # Errors
    /// The home directory is unknown, or a thread cannot be started.
    pub fn start(settings: &Settings, picker: Option<Picker>, out: Sender<Event>) -> anyhow::Result<Self> {
        let cache = Settings::cache_dir()?;
        let context = Arc::new(Context {
            settings: settings.clone(),
            cache,
            out,
            chosen_later: AtomicBool::new(false),
            model: Mutex::new(None),
        });
        let renew = Arc::<AtomicBool>::default();
        Ok(Self {
            finder: finder::start(context.clone(), renew.clone())?,
            renew,
            library_work: library_work::start(context.clone())?,
            reader: reader::start(context.clone())?,
            chat: chat::ChatWorker::start(context.clone())?,
            indexer: indexer::Indexer::default(),
            watcher: watcher::Watcher::default(),
            timers: timers(context.clone())?,
            history: history::History::open(&context),
            marks: marks::MarkKeeper::start(context.clone())?,
            files: desktop::files(context.clone())?,
            browser: browser::start(context.clone())?,
            covers: browser::covers(context.clone())?,
            counter: counter(context.clone())?,
            filters: filters::start(context.clone())?,
            models: models::start(context.clone())?,
            painter: Painter::start(&context, picker)?,
            context,
        })
    }

    /// Starts an effect. Never blocks. Effects on the terminal are ignored: they are not for workers.
    pub fn run(&mut self, effect: Effect) {
        match effect {
            Effect::Search(generation, source, limit) => self.finder.put((generation, source, limit)),
            Effect::Work(generation, work) => self.library_work.put((generation, work)),
            Effect::Renew => self.renew.store(true, Ordering::Relaxed),
            Effect::Paths(purpose, ids) => self.read(reader::ReadRequest::Paths(purpose, ids)),
            Effect::Photos(ids) => self.read(reader::ReadRequest::Photos(ids)),
            Effect::Groups => self.read(reader::ReadRequest::Groups),
            Effect::Rename { old, new, way } => self.read(reader::ReadRequest::Rename(old, new, way)),
            Effect::RestoreClusters(id, way) => self.read(reader::ReadRequest::RestoreClusters(id, way)),
            Effect::Marks => self.marks.load(),
            Effect::KeepMarks(ids) => self.marks.keep(ids),
            Effect::Facets(field) => drop(self.counter.send(field)),
            Effect::Filters(generation, text, first) => self.filters.put((generation, text, first)),
            Effect::Browse(kind) => self.browser.put(kind),
            Effect::Covers(generation, text) => self.covers.put((generation, text)),
            Effect::Searches => self.read(reader::ReadRequest::Searches),
            Effect::SaveSearch(name, query, way) => self.read(reader::ReadRequest::SaveSearch(name, query, way)),
            Effect::Albums => self.read(reader::ReadRequest::Albums),
            Effect::Album(change, way) => self.read(reader::ReadRequest::Album(change, way)),
            Effect::Own(change, way) => self.read(reader::ReadRequest::Own(change, way)),
            Effect::LabelSets => self.read(reader::ReadRequest::LabelSets),
            Effect::SaveSet(set) => self.read(reader::ReadRequest::SaveSet(set)),
            Effect::Standing => self.read(reader::ReadRequest::Standing),
            Effect::Timer(generation, wait) => drop(self.timers.send((Instant::now() + wait, generation))),
            Effect::Chat(generation, work) => self.chat.put(generation, work),
            Effect::Cancel(Task::Library) => self.library_work.cancel(),
            Effect::Cancel(Task::Chat) => self.chat.cancel(),
            Effect::Cancel(Task::Index) => self.indexer.cancel(),
            Effect::Cancel(Task::Models) => self.models.cancel(),
            Effect::Models => models::look(&self.context),
            Effect::UseCaptioner(rule, way) => models::use_captioner(&self.context, rule, way),
            Effect::Model(generation, work) => self.models.put((generation, work)),
            Effect::DropModel(name) => {
                let mine = self.context.clone();
                desktop::aside(&self.context, desktop::warning, move |context| {
                    let done = models::drop_from_library(context, &name);
                    models::look(&mine);
                    done
                });
            }
            Effect::Index(folders) => self.indexer.begin(&self.context, IndexerRun::Folders(folders)),
            Effect::BringBack(paths) => self.indexer.begin(&self.context, IndexerRun::BringBack(paths)),
            Effect::Retry => self.indexer.begin(&self.context, IndexerRun::Retry),
            Effect::Reindex(model) => self.indexer.begin(&self.context, IndexerRun::Reindex(model)),
            Effect::ReadTexts { again } => self.indexer.begin(&self.context, IndexerRun::Texts { again }),
            Effect::StackPhoto(path) => self.read(reader::ReadRequest::StackPhoto(path)),
            Effect::Facts(path) => self.read(reader::ReadRequest::Facts(path)),
            Effect::SetCaption { photo, text, way } => {
                self.read(reader::ReadRequest::SetCaption { photo, text, way });
            }
            Effect::SetText(photo, text, way) => self.read(reader::ReadRequest::SetText(photo, text, way)),
            Effect::Sidecars(folder) => desktop::sidecars(&self.context, folder),
            Effect::Watch(watch) => self.watcher.watch(&self.context, watch),
            Effect::CompletePath(typed, folders) => desktop::complete(&self.context, typed, folders),
            Effect::Files(typed) => self.files.put(typed),
            Effect::View(path) => desktop::view(&self.context, path),
            Effect::Reveal(path) => desktop::reveal(&self.context, path),
            Effect::Forget(what) => forget::run(&self.context, what),
            Effect::Shell(command, ids) => shell::run(&self.context, command, ids),
            Effect::Export(kind, ids, to) => desktop::export(&self.context, kind, ids, to),
            Effect::Remember(text) => self.history.remember(text),
            Effect::Copy(_) | Effect::Suspend | Effect::Quit(_) => {}
        }
    }

    fn read(&self, request: reader::ReadRequest) {
        let _ = self.reader.send(request);
    }

    /// Sets the pictures that are needed on the screen, the most important first; replaces the previous ones. Photos are
    /// kept at full size only while they are looked at closely.
    pub fn paint(&self, wanted: Vec<WantedPicture>, closely: bool) {
        self.painter.want(wanted, closely);
    }

    /// Cancels everything that can be cancelled, and waits a moment for the indexer, which writes to the library.
    pub fn stop(&mut self) {
        self.finder.cancel();
        self.filters.cancel();
        self.library_work.cancel();
        self.chat.cancel();
        self.models.cancel();
        self.indexer.stop(Duration::from_secs(5));
        self.marks.stop(Duration::from_secs(2));
    }
}

/// Starts a thread with a name.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name(format!("snapseek {name}")).spawn(work)
}

/// An error with its causes, as text for the user in one line. Of a query that is wrong, the column tells where: the
/// caret below it has no room.
pub(super) fn explained(error: &anyhow::Error) -> String {
    let told = crate::exit::explain(error);
    if told.lines().last().is_some_and(|line| line.trim() == "^") {
        return told.lines().next().unwrap_or_default().to_owned();
    }
    told.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// Runs work, and turns a panic into an error so that the worker survives.
pub(super) fn guarded<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    crate::panics::contained(work)
        .unwrap_or_else(|panic| Err(anyhow::anyhow!("a fault in snapseek (please report it): {panic}")))
}

/// Starts the thread that counts photos by the values of fields.
fn counter(context: Arc<Context>) -> anyhow::Result<Sender<FacetField>> {
    let (out, fields) = crossbeam_channel::unbounded();
    spawn("counter", move || {
        for field in fields {
            let counted = guarded(|| match Library::open(&context.settings.library) {
                Ok(library) => Ok(library.facets(field)?),
                Err(Error::NoLibrary { .. }) => Ok(Vec::new()),
                Err(error) => Err(error.into()),
            });
            context.send(match counted {
                Ok(facets) => Message::Facets(field, facets),
                Err(error) => Message::Note(true, explained(&error)),
            });
        }
    })?;
    Ok(out)
}

/// Starts the thread that answers when timers expire.
fn timers(context: Arc<Context>) -> anyhow::Result<Sender<(Instant, u64)>> {
    let (out, waits) = crossbeam_channel::unbounded::<(Instant, u64)>();
    spawn("timers", move || {
        let mut waiting: Vec<(Instant, u64)> = Vec::new();
        loop {
            let next = waiting.iter().map(|(when, _)| *when).min();
            let more = match next {
                None => waits.recv().map_err(|_| crossbeam_channel::RecvTimeoutError::Disconnected),
                Some(when) => waits.recv_deadline(when),
            };
            match more {
                Ok(wait) => waiting.push(wait),
                Err(crossbeam_channel::RecvTimeoutError::Timeout) => {}
                Err(crossbeam_channel::RecvTimeoutError::Disconnected) => return,
            }
            let now = Instant::now();
            waiting.retain(|(when, generation)| {
                let waits = *when > now;
                if !waits {
                    context.send(Message::Timer(*generation));
                }
                waits
            });
        }
    })?;
    Ok(out)
}
