//! Indexing from within the UI: one run at a time, in its own thread.

use super::{Context, explained, guarded, spawn};
use crate::config::{Settings, expand};
use crate::exit::Failure;
use crate::indexing::fill;
use crate::indexing::models;
use crate::indexing::run::IndexOptions;
use crate::model_choice::Offer;
use crate::reading;
use crate::terminal::console::Console;
use crate::terminal::listener::{Listener, Step};
use crate::terminal::text;
use crate::tui::event::{IndexNews, Message};
use crate::tui::overlay::Prompt;
use snapseek_index::{Library, ModelRole};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The current indexing run, if there is one.
#[derive(Default)]
pub(super) struct Indexer {
    run: Option<(JoinHandle<()>, Arc<AtomicBool>)>,
}

/// What a run does.
pub(super) enum IndexerRun {
    /// Indexes these folders; if the list is empty, those of the library.
    Folders(Vec<PathBuf>),
    /// Indexes these files and folders, which were left out; those that are gone stay so.
    BringBack(Vec<PathBuf>),
    /// Indexes those of the library, and tries again what could not be read.
    Retry,
    /// Embeds all photos by this model, so that it answers.
    Reindex(String),
    /// Reads the text in all photos that were not read yet; also, if the flag is set, by another model.
    Texts {
        /// Also those that another model has read.
        again: bool,
    },
}

struct News(Arc<Context>);

impl Listener for News {
    fn message(&self, warning: bool, text: &str) {
        self.0.warn(warning, text);
    }
    fn step(&self, what: &'static str, done: usize, total: usize) {
        self.0.send(Message::Index(IndexNews::Step(Step { what, done, total })));
    }
    fn photos(&self, found: u64, done: u64, walking: bool) {
        self.0.send(Message::Index(IndexNews::Photos { found, done, walking }));
    }
    fn failure(&self, path: &Path, kind: &str, message: &str) {
        let news = IndexNews::Failure { path: path.to_owned(), kind: kind.to_owned(), message: message.to_owned() };
        self.0.send(Message::Index(news));
    }
}

impl Indexer {
    /// Starts a run.
    pub(super) fn begin(&mut self, context: &Arc<Context>, run: IndexerRun) {
        let cancel = Arc::<AtomicBool>::default();
        let (mine, flag) = (context.clone(), cancel.clone());
        let spawned = spawn("indexer", move || {
            let console = Console::to(Arc::new(News(mine.clone())));
            if let IndexerRun::Folders(folders) = &run
                && let [folder] = folders.as_slice()
                && let Err(error) = usable(folder)
            {
                let text = folder.to_string_lossy().into_owned();
                return mine.send(Message::Refused(Prompt::Folder, text, explained(&error)));
            }
            let done = guarded(|| match &run {
                IndexerRun::Folders(folders) => index(&mine, &console, folders, false, &flag),
                IndexerRun::BringBack(paths) => {
                    let there: Vec<PathBuf> = paths.iter().filter(|path| path.exists()).cloned().collect();
                    anyhow::ensure!(!there.is_empty(), "what was left out is no longer there");
                    index(&mine, &console, &there, false, &flag)
                }
                IndexerRun::Retry => index(&mine, &console, &[], true, &flag),
                IndexerRun::Reindex(model) => reindex(&mine, &console, model, &flag),
                IndexerRun::Texts { again } => texts(&mine, &console, *again, &flag),
            });
            let outcome = done.map_err(|error| explained(&error));
            mine.send(Message::Index(IndexNews::Ended(outcome, flag.load(Ordering::Relaxed))));
        });
        match spawned {
            Ok(run) => self.run = Some((run, cancel)),
            Err(error) => context.send(Message::Index(IndexNews::Ended(Err(error.to_string()), false))),
        }
    }

    pub(super) fn cancel(&self) {
        if let Some((_, cancel)) = &self.run {
            cancel.store(true, Ordering::Relaxed);
        }
    }

    /// Cancels the run, and waits up to `patience` for it to write what it has finished.
    pub(super) fn stop(&mut self, patience: Duration) {
        self.cancel();
        let started = Instant::now();
        if let Some((run, _)) = self.run.take() {
            while !run.is_finished() && started.elapsed() < patience {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// Whether photos can be looked for in a folder that the user named.
fn usable(folder: &Path) -> anyhow::Result<()> {
    let folder = expand(folder)?;
    let shown = crate::terminal::sanitize::path(&folder);
    let meta = folder.metadata().map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
    anyhow::ensure!(meta.is_dir(), Failure::usage(format!("{shown} is not a folder")));
    folder.read_dir().map_err(|error| Failure::usage(format!("{shown}: {error}")))?;
    Ok(())
}

fn index(
    context: &Context,
    console: &Console,
    folders: &[PathBuf],
    retry: bool,
    cancel: &AtomicBool,
) -> anyhow::Result<String> {
    let settings = &context.settings;
    let named = folders.iter().map(|folder| expand(folder)).collect::<anyhow::Result<Vec<_>>>()?;
    let folders = fill::roots(&named)?;
    let library =
        if folders.is_empty() { Library::open(&settings.library)? } else { Library::create(&settings.library)? };
    let mut writer = library.lock()?;
    let folders = if folders.is_empty() { library.roots()? } else { folders };
    let open = models::of_library(&mut writer, &library, settings, console, Offer::None)?;
    let options = IndexOptions {
        keep: true,
        retry,
        excludes: settings.excludes(),
        videos: settings.video,
        ..IndexOptions::new(settings.threads)
    };
    let done = fill::fill(&library, &mut writer, &open, &folders, &options, cancel, console)?;
    drop((writer, open));
    let mut parts = told(&done)?;
    let summary = &done.summary;
    if !summary.interrupted && reading::is_wanted(&library, settings)? == Some(true) {
        let texts = reading::read(&library, false, &named, settings, cancel, console)?;
        if texts.read > 0 {
            parts.push(format!("{} read for text", texts.read));
        }
    }
    if done.replaced.is_some()
        && let Some(model) = library.model()?
    {
        parts.push(format!("{} answers now", model.name));
    }
    Ok(format!("{} in {:.1} s", parts.join(", "), done.seconds))
}

/// What a run did, in parts.
fn told(done: &fill::Done) -> anyhow::Result<Vec<String>> {
    let summary = &done.summary;
    let mut parts = vec![format!("{} indexed", text::count(usize::try_from(summary.embedded)?, "photo"))];
    let counts = [
        (summary.unchanged, "unchanged"),
        (summary.moved, "moved"),
        (summary.copied, "copied"),
        (summary.removed, "removed"),
        (summary.failed, "failed"),
    ];
    parts.extend(counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")));
    Ok(parts)
}

/// Embeds all photos by a model, so that it answers.
fn reindex(context: &Context, console: &Console, model: &str, cancel: &AtomicBool) -> anyhow::Result<String> {
    let settings = Settings { model: model.to_owned(), ..context.settings.clone() };
    let library = Library::open(&settings.library)?;
    let mut writer = library.lock()?;
    let open = models::next(&mut writer, &library, &settings, console, Offer::None)?;
    let folders = library.roots()?;
    let options = IndexOptions::for_another_model(&settings);
    let done = fill::fill(&library, &mut writer, &open, &folders, &options, cancel, console)?;
    let mut parts = told(&done)?;
    drop((writer, open));
    if done.replaced.is_some()
        && let Some(model) = library.model()?
    {
        parts.push(format!("{} answers now", model.name));
    } else if let Some(next) = library.models()?.iter().find(|known| known.role == ModelRole::Filling) {
        parts.push(format!("{} has {} to go", next.record.name, next.awaiting));
    }
    Ok(format!("{} in {:.1} s", parts.join(", "), done.seconds))
}

/// Reads the text in all photos that were not read yet, and has later runs do so too.
fn texts(context: &Context, console: &Console, again: bool, cancel: &AtomicBool) -> anyhow::Result<String> {
    let library = Library::open(&context.settings.library)?;
    reading::want(&library, true)?;
    let done = reading::read(&library, again, &[], &context.settings, cancel, console)?;
    let failed = if done.failed > 0 { format!(", {} failed", done.failed) } else { String::new() };
    Ok(format!(
        "{} read for text, which {} hold{failed}",
        text::count(usize::try_from(done.read)?, "photo"),
        done.with_text
    ))
}
