//! One run of captioning over the library, newest photos first.
//!
//! Each batch is written in one transaction, so even after a crash no photo is captioned twice and no caption that was
//! reported is lost.

use super::facts;
use super::look::SeenPicture;
use super::open::NamedChatModel;
use super::run::{CaptionWork, CaptionWriter};
use super::wish::CaptionWish;
use crate::model::generation::Generated;
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
    writer: &CaptionWriter,
    recaption: bool,
    folders: &[PathBuf],
    console: &Console,
) -> anyhow::Result<CaptionSummary> {
    let CaptionWriter { chat_model, wish, cancel, .. } = *writer;
    let captioner = library.captioner(&wish.captioner(chat_model.model.fingerprint()), recaption)?;
    let captioner = if folders.is_empty() { captioner } else { captioner.within(folders) };
    let mut progress = PhotoProgress::new(console);
    progress.expect(captioner.pending_count()?, "captioned");
    let reader = library.reopen()?;
    let done = CaptionSummary::default();
    let mut run =
        CaptionRun { library, chat_model, wish, captioner, cancel, console, progress, done, since_refresh: 0 };
    let load = move |photo: &PendingPhoto| {
        let paths = photo.paths.iter().map(PathBuf::as_path);
        let limits = DecodeLimits::default();
        first_showing((photo.id, &photo.picture), paths, &limits, |path, bytes| {
            chat_model.load_bytes(path, bytes, Some(&reader))
        })
        .map_err(anyhow::Error::msg)
    };
    let outcome = writer.run(&mut run, load);
    run.progress.finish();
    outcome?;
    run.refresh()?;
    run.done.interrupted = cancel.load(Ordering::Relaxed);
    Ok(run.done)
}

struct CaptionRun<'a> {
    library: &'a Library,
    chat_model: &'a NamedChatModel,
    wish: &'a CaptionWish,
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

    fn facts(&self, job: &PendingPhoto, _: &SeenPicture) -> anyhow::Result<String> {
        if self.wish.context { facts::of(job.id, self.library) } else { Ok(String::new()) }
    }

    fn captioned(&mut self, batch: Vec<(PendingPhoto, SeenPicture, Generated)>) -> anyhow::Result<()> {
        let mut done = Vec::with_capacity(batch.len());
        for (photo, picture, caption) in batch {
            let (path, text) = (sanitize::path(&picture.path), sanitize::text(&caption.text));
            self.progress.aside(|| self.console.detail(format_args!("{path}: {text}")));
            self.progress.done();
            let fingerprint = self.chat_model.model.fingerprint();
            // Saved together with the caption, unless the caption is under another name than the model's.
            let encoding = picture.took.map(|_| picture.encoding.0);
            let encoding = match encoding {
                Some(numbers) if self.captioner.fingerprint() != fingerprint => {
                    self.library.save_encoding(photo.id, fingerprint, &numbers)?;
                    None
                }
                encoding => encoding,
            };
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
