//! `watch`: indexes folders whenever something in them has changed, until it is stopped.

use super::index;
use crate::cli::WatchArgs;
use crate::config::Settings;
use crate::exit::{Exit, Failure, explain};
use crate::indexing::fill;
use crate::indexing::models;
use crate::indexing::run::IndexOptions;
use crate::indexing::watch;
use crate::model_choice::Offer;
use crate::reading;
use crate::terminal::console::Console;
use crate::terminal::{signals, text};
use snapseek_index::{Error, Library};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long another process may hold the library before it is asked for again.
const AGAIN: Duration = Duration::from_secs(5);

pub(super) fn watch(args: &WatchArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let folders = fill::roots(&args.folders)?;
    let library =
        if folders.is_empty() { Library::open(&settings.library)? } else { Library::create(&settings.library)? };
    let folders = if folders.is_empty() { library.roots()? } else { folders };
    if folders.is_empty() {
        return Err(Failure::usage("the library has no folder yet: name one, as in `snapseek watch ~/Pictures`"));
    }
    let cancel = signals::cancel()?;
    let cache = Settings::cache_dir()?;
    let own = [settings.library.as_path(), cache.as_path()];
    let mut is_first = true;
    // At once, because something may have changed while nobody watched.
    watch::follow(&folders, &own, true, cancel, &mut |changed| {
        let done = batch(&library, changed, cancel, settings, console);
        if std::mem::take(&mut is_first) {
            console.note(format_args!("watching {}", text::count(folders.len(), "folder")));
            return done;
        }
        if let Err(error) = done {
            // The next change is another chance.
            console.warn(explain(&error));
        }
        Ok(())
    })?;
    Ok(Exit::Success)
}

/// Indexes folders and prints a line about it; waits for another process that is writing.
fn batch(
    library: &Library,
    folders: &[PathBuf],
    cancel: &AtomicBool,
    settings: &Settings,
    console: &Console,
) -> anyhow::Result<()> {
    let mut writer = loop {
        match library.lock() {
            Err(Error::Locked { .. }) if !cancel.load(Ordering::Relaxed) => std::thread::sleep(AGAIN),
            lock => break lock?,
        }
    };
    let open = models::of_library(&mut writer, library, settings, console, Offer::None)?;
    let options = IndexOptions {
        keep: true,
        excludes: settings.excludes(),
        videos: settings.video,
        ..IndexOptions::new(settings.threads)
    };
    let mut done = fill::fill(library, &mut writer, &open, folders, &options, cancel, console)?;
    drop((writer, open));
    if !done.summary.interrupted && reading::is_wanted(library, settings)? == Some(true) {
        done.texts = Some(reading::read(library, false, folders, settings, cancel, console)?);
    }
    index::report(&done, library, settings, console)
}
