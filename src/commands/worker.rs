//! `worker`: embeds and captions photos and reads the text in them, beside other machines, until it is stopped.

use super::index;
use crate::cli::WorkerArgs;
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::indexing::models;
use crate::indexing::run::{self, IndexOptions};
use crate::model_choice::{Chosen, Offer};
use crate::terminal::console::Console;
use crate::terminal::{signals, text};
use snapseek_index::{Error, Library, ModelRecord, Offers};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often it looks whether there is something new, where nobody tells.
const PAUSE: Duration = Duration::from_secs(5);
/// How often it looks whether it is to stop.
const STEP: Duration = Duration::from_millis(100);
/// How long it keeps the models while no files are handed out.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn worker(args: &WorkerArgs, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let offers = library.offers()?;
    if offers.is_none() && !args.captions && !args.text {
        return Err(Failure::usage(
            "a library in a folder is indexed by one process, `snapseek index`: say --captions or --text",
        ));
    }
    if args.retry {
        library.pardon_left_out()?;
    }
    let cancel = signals::cancel()?;
    let mut helper =
        offers.as_ref().map(|offers| Helper { library: &library, offers, models: Vec::new(), known: Vec::new() });
    let mut seen = None;
    loop {
        if let Some(helper) = &mut helper {
            helper.embed(args, settings, cancel, console)?;
        }
        if seen != Some(library.data_version()?) {
            if work(args, &library, settings, console)? {
                return Ok(Exit::Interrupted);
            }
            seen = Some(library.data_version()?);
        }
        if args.once || !wait(offers.as_ref(), cancel)? {
            return Ok(Exit::Success);
        }
    }
}

/// What helps another machine to index.
struct Helper<'l> {
    library: &'l Library,
    offers: &'l Offers,
    /// Opened when they are needed first.
    models: Vec<Chosen>,
    /// The models of the library when that was done.
    known: Vec<ModelRecord>,
}

impl Helper<'_> {
    /// Reads and embeds what is handed out.
    fn embed(
        &mut self,
        args: &WorkerArgs,
        settings: &Settings,
        cancel: &AtomicBool,
        console: &Console,
    ) -> anyhow::Result<()> {
        self.offers.volunteer()?;
        if !self.offers.is_any_left()? {
            return Ok(());
        }
        let known: Vec<ModelRecord> = self.library.models()?.into_iter().map(|model| model.record).collect();
        if self.models.is_empty() || known != self.known {
            let Some(current) = known.first() else { return Ok(()) };
            let mut writer = self.library.helper(current);
            self.models = models::of_library(&mut writer, self.library, settings, console, Offer::None)?;
            self.known = known;
        }
        // A photo that some embed and others do not would count as done. What cannot be opened was told.
        if self.models.len() < self.known.len() {
            return Ok(());
        }
        let offers = self.offers.reopen()?;
        let threads = args.jobs.map_or(settings.threads, usize::from);
        let options = IndexOptions { hidden: true, retry: true, ..IndexOptions::new(threads) };
        let patience = if args.once { Duration::ZERO } else { PATIENCE };
        let started = Instant::now();
        let done = match run::help(self.library, &self.models, offers, patience, &options, cancel, console) {
            // Another model has become the current one. What was not written goes to others, and is soon offered again.
            Err(error) if matches!(error.downcast_ref(), Some(Error::OtherModel { .. })) => return Ok(()),
            done => done?,
        };
        if done.read > 0 && !settings.json {
            let photos = text::count(usize::try_from(done.embedded)?, "photo");
            console.line(&format!("{photos} embedded in {:.1} s", started.elapsed().as_secs_f64()))?;
        }
        Ok(())
    }
}

/// Does what else there is to do. Returns whether it was interrupted.
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

/// Waits until there may be something new. Returns `false` once it is to stop.
fn wait(offers: Option<&Offers>, cancel: &AtomicBool) -> anyhow::Result<bool> {
    let started = Instant::now();
    while started.elapsed() < PAUSE {
        if cancel.load(Ordering::Relaxed) {
            return Ok(false);
        }
        match offers {
            Some(offers) if offers.wait(STEP)? => break,
            Some(_) => {}
            None => std::thread::sleep(STEP),
        }
    }
    Ok(true)
}
