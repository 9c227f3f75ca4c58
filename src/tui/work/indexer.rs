//! Indexing from within the UI: one run at a time, in its own thread.

use super::{Context, explained, guarded, spawn};
use crate::config::expand;
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
use snapseek_index::Library;
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
    /// Starts a run over these folders; if the list is empty, over those of the library. With `retry`, files are tried
    /// again that could not be read.
    pub(super) fn begin(&mut self, context: &Arc<Context>, folders: Vec<PathBuf>, retry: bool) {
        let cancel = Arc::<AtomicBool>::default();
        let (mine, flag) = (context.clone(), cancel.clone());
        let run = spawn("indexer", move || {
            let console = Console::to(Arc::new(News(mine.clone())));
            if let [folder] = folders.as_slice()
                && let Err(error) = usable(folder)
            {
                let text = folder.to_string_lossy().into_owned();
                return mine.send(Message::Refused(Prompt::Folder, text, explained(&error)));
            }
            let done = guarded(|| index(&mine, &console, &folders, retry, &flag));
            let outcome = done.map_err(|error| explained(&error));
            mine.send(Message::Index(IndexNews::Ended(outcome, flag.load(Ordering::Relaxed))));
        });
        match run {
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
    if let Some(file) = folders.iter().find(|folder| !folder.is_dir()) {
        return Err(Failure::usage(format!("{} is not a folder", crate::terminal::sanitize::path(file))));
    }
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
