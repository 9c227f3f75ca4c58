//! `worker`: captions photos and reads the text in them, beside other machines, until it is stopped.

use super::index;
use crate::cli::WorkerArgs;
use crate::config::Settings;
use crate::exit::Exit;
use crate::terminal::console::Console;
use crate::terminal::signals;
use snapseek_index::Library;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often it looks whether there is something new.
const PAUSE: Duration = Duration::from_secs(5);

pub(super) fn worker(args: &WorkerArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let cancel = signals::cancel()?;
    let mut seen = None;
    loop {
        if seen != Some(library.data_version()?) {
            if work(args, &library, settings, console)? {
                return Ok(Exit::Interrupted);
            }
            seen = Some(library.data_version()?);
        }
        if args.once {
            return Ok(Exit::Success);
        }
        if !wait(cancel) {
            return Ok(Exit::Success);
        }
    }
}

/// Does what there is to do. Returns whether it was interrupted.
fn work(args: &WorkerArgs, library: &Library, settings: &Settings, console: &Console) -> anyhow::Result<bool> {
    let status = library.status()?;
    if args.text
        && status.texts.read < status.photos
        && index::texts(library, false, &[], settings, console)?.interrupted
    {
        return Ok(true);
    }
    Ok(args.captions
        && status.captions.captioned < status.captions.photos
        && index::captions(library, &args.wish(), false, &[], settings, console)?.interrupted)
}

/// Returns `false` once it is to stop.
fn wait(cancel: &AtomicBool) -> bool {
    const STEP: Duration = Duration::from_millis(100);
    let mut waited = Duration::ZERO;
    while waited < PAUSE {
        if cancel.load(Ordering::Relaxed) {
            return false;
        }
        std::thread::sleep(STEP);
        waited += STEP;
    }
    true
}
