//! One run of captioning over the library, newest photos first.
//!
//! Each batch is written in one transaction, so even after a crash no photo is captioned twice and no caption that was
//! reported is lost.

use super::look::SeenPicture;
use super::open::NamedBlip2;
use super::run::{CaptionWork, CaptionWriter};
use crate::model::blip2::{GenerateOptions, Generated};
use crate::photo::DecodeLimits;
use crate::search::photo_file::first_showing;
use crate::terminal::console::Console;
use crate::terminal::progress::PhotoProgress;
use crate::terminal::sanitize;
use snapseek_index::{Captioned, Captioner, Library, PendingPhoto};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// Captions after which the full-text cache is refreshed.
const REFRESH: usize = 200;

/// What a run did.
#[derive(Clone, Copy, Debug, Default)]
pub struct CaptionSummary {
    /// Captions that were written.
    pub captioned: u64,
    /// Photos that could not be read.
    pub failed: u64,
    /// The run was interrupted.
    pub interrupted: bool,
}

/// Captions the photos that have no caption or, with `recaption`, one by another model; if `folders` are given, only
/// those with a file in one of them.
///
/// # Errors
/// Another process is captioning, the catalogue cannot be written, or the model fails. What was written is kept.
pub fn run(
    library: &Library,
    blip2: &NamedBlip2,
    options: &GenerateOptions,
    recaption: bool,
    folders: &[PathBuf],
    cancel: &AtomicBool,
    console: &Console,
) -> anyhow::Result<CaptionSummary> {
    let captioner = library.captioner(blip2.model.fingerprint(), recaption)?;
    let captioner = if folders.is_empty() { captioner } else { captioner.within(folders) };
    let mut progress = PhotoProgress::new(console);
    progress.expect(captioner.pending_count()?, "captioned");
    let reader = library.reopen()?;
    let done = CaptionSummary::default();
    let mut run = CaptionRun { captioner, cancel, console, progress, done, since_refresh: 0 };
    let load = move |photo: &PendingPhoto| {
        let paths = photo.paths.iter().map(PathBuf::as_path);
        let limits = DecodeLimits::default();
        first_showing((photo.id, &photo.picture), paths, &limits, |path, bytes| {
            blip2.load_bytes(path, bytes, Some(&reader))
        })
        .map_err(anyhow::Error::msg)
    };
    let outcome = CaptionWriter { blip2, options, prompt: "", cancel }.run(&mut run, load);
    run.progress.finish();
    outcome?;
    run.refresh()?;
    run.done.interrupted = cancel.load(Ordering::Relaxed);
    Ok(run.done)
}

struct CaptionRun<'a> {
    captioner: Captioner<'a>,
    cancel: &'a AtomicBool,
    console: &'a Console,
    progress: PhotoProgress,
    done: CaptionSummary,
    since_refresh: usize,
}

impl CaptionWork for CaptionRun<'_> {
    type Job = PendingPhoto;

    fn next(&mut self, most: usize) -> anyhow::Result<Vec<PendingPhoto>> {
        Ok(self.captioner.pending(most)?)
    }

    fn failed(&mut self, why: &str) -> anyhow::Result<()> {
        self.done.failed += 1;
        self.progress.failed(self.console, self.done.failed, why);
        Ok(())
    }

    fn captioned(&mut self, batch: Vec<(PendingPhoto, SeenPicture, Generated)>) -> anyhow::Result<()> {
        let mut done = Vec::with_capacity(batch.len());
        for (photo, picture, caption) in batch {
            let (path, text) = (sanitize::path(&picture.path), sanitize::text(&caption.text));
            self.progress.aside(|| self.console.detail(format_args!("{path}: {text}")));
            self.progress.done();
            let encoding = picture.took.map(|_| picture.encoding.0);
            done.push(Captioned { photo: photo.id, text: caption.text, encoding });
        }
        self.done.captioned += self.captioner.save(&done)? as u64;
        self.since_refresh += done.len();
        if self.since_refresh >= REFRESH { self.refresh() } else { Ok(()) }
    }
}

impl CaptionRun<'_> {
    /// Keeps searches fast while captions come in. If another process is writing, that process will do it.
    fn refresh(&mut self) -> anyhow::Result<()> {
        self.since_refresh = 0;
        let cancel = self.cancel;
        self.captioner.refresh_words(&mut |_, _, _| !cancel.load(Ordering::Relaxed))?;
        Ok(())
    }
}
