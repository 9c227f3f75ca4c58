//! Background workers: they take [`Effect`]s, and answer with [`Message`]s. None of them touches the state or the terminal.

mod chat;
mod desktop;
mod finder;
mod history;
mod indexer;
mod latest;
mod library_work;
mod painter;
mod reader;
mod watcher;

pub use painter::Painter;

use super::event::{Effect, Event, Message, Task, WantedPicture};
use crate::config::Settings;
use crate::model_choice::{self, Chosen, Offer};
use crate::terminal::console::Console;
use crate::terminal::listener::Listener;
use crossbeam_channel::Sender;
use latest::Latest;
use ratatui_image::picker::Picker;
use snapseek_index::Library;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What all workers share.
pub(super) struct Context {
    pub(super) settings: Settings,
    pub(super) cache: PathBuf,
    pub(super) out: Sender<Event>,
    /// The library's model, once one of them has needed it.
    model: Mutex<Option<Arc<Chosen>>>,
}

impl Context {
    /// Answers. That nobody listens any more means that the program ends.
    pub(super) fn send(&self, message: Message) {
        let _ = self.out.send(Event::Message(message));
    }

    /// Tells what a console says, if it is a warning; notes are for the command line.
    pub(super) fn warn(&self, warning: bool, text: &str) {
        if warning {
            self.send(Message::Note(true, text.to_owned()));
        }
    }

    /// The library's model, which stays open.
    pub(super) fn model(&self, library: &Library, console: &Console) -> anyhow::Result<Arc<Chosen>> {
        let mut kept = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = library.model()?.map(|record| record.fingerprint);
        if let Some(chosen) = kept.as_ref()
            && wanted.as_ref().is_none_or(|wanted| *wanted == chosen.record.fingerprint)
        {
            return Ok(chosen.clone());
        }
        let chosen = Arc::new(model_choice::choose(Some(library), &self.settings, console, Offer::None)?);
        *kept = Some(chosen.clone());
        Ok(chosen)
    }

    /// A console whose warnings become notes; everything else is told to nobody.
    pub(super) fn quiet_console(self: &Arc<Self>) -> Console {
        Console::to(Arc::new(Warnings(self.clone())))
    }
}

/// Tells the user of warnings, and of nothing else.
struct Warnings(Arc<Context>);

impl Listener for Warnings {
    fn message(&self, warning: bool, text: &str) {
        self.0.warn(warning, text);
    }
}

/// All of them.
pub struct Workers {
    context: Arc<Context>,
    finder: Latest<finder::FindRequest>,
    /// The finder's snapshot must be made anew.
    renew: Arc<AtomicBool>,
    library_work: Latest<library_work::LibraryRequest>,
    reader: Sender<reader::ReadRequest>,
    chat: chat::ChatWorker,
    indexer: indexer::Indexer,
    watcher: watcher::Watcher,
    timers: Sender<(Instant, u64)>,
    history: history::History,
    /// Makes pictures.
    painter: Painter,
}

impl Workers {
    /// Starts them; they answer to `out`. `picker` says what pictures the terminal can show.
    ///
    /// # Errors
    /// No home directory is known, or the system gives no threads.
    pub fn start(settings: &Settings, picker: Option<Picker>, out: Sender<Event>) -> anyhow::Result<Self> {
        let cache = Settings::cache_dir()?;
        let context = Arc::new(Context { settings: settings.clone(), cache, out, model: Mutex::new(None) });
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
            painter: Painter::start(&context, picker)?,
            context,
        })
    }

    /// Begins what the update function asks for. Never blocks. What concerns the terminal is not for workers.
    pub fn run(&mut self, effect: Effect) {
        match effect {
            Effect::Search(generation, source, limit) => self.finder.put((generation, source, limit)),
            Effect::Work(generation, work) => self.library_work.put((generation, work)),
            Effect::Renew => self.renew.store(true, Ordering::Relaxed),
            Effect::Paths(purpose, ids) => self.read(reader::ReadRequest::Paths(purpose, ids)),
            Effect::Photos(ids) => self.read(reader::ReadRequest::Photos(ids)),
            Effect::Groups => self.read(reader::ReadRequest::Groups),
            Effect::Rename(old, new) => self.read(reader::ReadRequest::Rename(old, new)),
            Effect::LabelSets => self.read(reader::ReadRequest::LabelSets),
            Effect::SaveSet(set) => self.read(reader::ReadRequest::SaveSet(set)),
            Effect::Standing => self.read(reader::ReadRequest::Standing),
            Effect::Timer(generation, wait) => drop(self.timers.send((Instant::now() + wait, generation))),
            Effect::Chat(generation, work) => self.chat.put(generation, work),
            Effect::Cancel(Task::Library) => self.library_work.cancel(),
            Effect::Cancel(Task::Chat) => self.chat.cancel(),
            Effect::Cancel(Task::Index) => self.indexer.cancel(),
            Effect::Index(folders) => self.indexer.begin(&self.context, folders),
            Effect::Watch(watch) => self.watcher.watch(&self.context, watch),
            Effect::View(path) => desktop::view(&self.context, path),
            Effect::Reveal(path) => desktop::reveal(&self.context, path),
            Effect::Export(kind, ids, to) => desktop::export(&self.context, kind, ids, to),
            Effect::Remember(text) => self.history.remember(text),
            Effect::Copy(_) | Effect::Suspend | Effect::Quit(_) => {}
        }
    }

    fn read(&self, request: reader::ReadRequest) {
        let _ = self.reader.send(request);
    }

    /// The pictures that are wanted on the screen, most wanted first; what was wanted before is not any more.
    pub fn paint(&self, wanted: Vec<WantedPicture>) {
        self.painter.want(wanted);
    }

    /// Ends everything that can be ended, and waits a moment for what writes to the library.
    pub fn stop(&mut self) {
        self.finder.cancel();
        self.library_work.cancel();
        self.chat.cancel();
        self.indexer.stop(Duration::from_secs(5));
    }
}

/// A thread with a name.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name(format!("snapseek {name}")).spawn(work)
}

/// An error, with its reasons, for the user's eyes.
pub(super) fn told(error: &anyhow::Error) -> String {
    crate::exit::describe(error)
}

/// Runs work whose panic must not end its worker.
pub(super) fn guarded<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    crate::panics::contained(work)
        .unwrap_or_else(|panic| Err(anyhow::anyhow!("a fault in snapseek (please report it): {panic}")))
}

/// A thread that answers when time is up.
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
