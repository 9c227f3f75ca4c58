//! One run of captioning, newest photos first.
//!
//! ```text
//! pending ──▶ looking thread (read, decode, vision tower) ──▶ this thread (language model, a batch at a time; writes)
//! ```
//! The vision tower looks at the next photos while the language model writes: the one computes, the other reads memory.
//! Both queues are bounded. Each batch is written in one transaction, so whatever ends the program, no photo is
//! captioned twice and no caption that was told is lost.

use super::look::{Describer, Picture};
use crate::indexing::progress::Progress;
use crate::model::blip2::{Finish, Options, Request};
use crate::terminal::console::Console;
use crate::terminal::sanitize;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use snapseek_index::{Captioned, Captioner, Library, PendingPhoto};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Photos captioned at once: the language model's weights are read once for all of them.
const BATCH: usize = 8;
/// How long a picture may wait for its batch to fill.
const FILL: Duration = Duration::from_secs(30);
/// Captions after which the full-text cache is looked at.
const REFRESH: usize = 200;
/// Failures that are told without `-v`.
const SHOWN: u64 = 20;

/// What a run did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Captions {
    /// Captions that were written.
    pub captioned: u64,
    /// Photos that could not be read.
    pub failed: u64,
    /// The run was interrupted.
    pub interrupted: bool,
}

/// What came of a photo.
enum Outcome {
    Seen(i64, Box<Picture>),
    /// With what is to be said of it.
    Failed(String),
    Fatal(anyhow::Error),
}

/// Captions the photos that have no caption, or (`anew`) one of another model.
///
/// # Errors
/// Another process is captioning, the catalogue cannot be written, or the model fails. What was written stays.
pub fn run(
    library: &Library,
    describer: &Describer,
    options: &Options,
    anew: bool,
    cancel: &AtomicBool,
    console: &Console,
) -> anyhow::Result<Captions> {
    let captioner = library.captioner(describer.model.fingerprint(), anew)?;
    let mut progress = Progress::new(console);
    progress.expect(captioner.pending_count()?);
    let reader = library.reopen()?;
    let mut run =
        Run { captioner, describer, options, cancel, console, progress, done: Captions::default(), since_refresh: 0 };
    let outcome = std::thread::scope(|scope| {
        // Room for all that are under way, so that neither side ever waits to hand over.
        let (photos_in, photos) = bounded::<PendingPhoto>(2 * BATCH);
        let (outcomes_in, outcomes) = bounded::<Outcome>(2 * BATCH);
        scope.spawn(move || look_at_all(describer, &reader, &photos, &outcomes_in, cancel));
        run.all(photos_in, &outcomes)
    });
    run.progress.finish();
    outcome?;
    run.done.interrupted = cancel.load(Ordering::Relaxed);
    Ok(run.done)
}

struct Run<'a> {
    captioner: Captioner<'a>,
    describer: &'a Describer,
    options: &'a Options,
    cancel: &'a AtomicBool,
    console: &'a Console,
    progress: Progress,
    done: Captions,
    since_refresh: usize,
}

impl Run<'_> {
    fn all(&mut self, photos: Sender<PendingPhoto>, outcomes: &Receiver<Outcome>) -> anyhow::Result<()> {
        let mut under_way = 0;
        while !self.cancel.load(Ordering::Relaxed) {
            if under_way < BATCH {
                for photo in self.captioner.pending(2 * BATCH - under_way)? {
                    photos.send(photo)?;
                    under_way += 1;
                }
            }
            if under_way == 0 {
                break;
            }
            let batch = self.collect(&mut under_way, outcomes)?;
            self.write(&batch)?;
        }
        // Dropping the sender ends the other thread.
        drop(photos);
        self.refresh()
    }

    /// Waits for pictures: a whole batch of them, all there are, or as many as come in time.
    fn collect(&mut self, under_way: &mut usize, outcomes: &Receiver<Outcome>) -> anyhow::Result<Vec<(i64, Picture)>> {
        let mut batch: Vec<(i64, Picture)> = Vec::new();
        let mut since = Instant::now();
        while batch.len() < BATCH && *under_way > 0 && !self.cancel.load(Ordering::Relaxed) {
            let outcome = match outcomes.recv_timeout(Duration::from_millis(100)) {
                Ok(outcome) => outcome,
                Err(RecvTimeoutError::Timeout) if batch.is_empty() || since.elapsed() < FILL => continue,
                Err(RecvTimeoutError::Timeout) => break,
                // It ends early only if it is cancelled.
                Err(RecvTimeoutError::Disconnected) if self.cancel.load(Ordering::Relaxed) => break,
                Err(RecvTimeoutError::Disconnected) => anyhow::bail!("the thread that looks at photos has died"),
            };
            *under_way -= 1;
            match outcome {
                Outcome::Seen(photo, picture) => {
                    if batch.is_empty() {
                        since = Instant::now();
                    }
                    batch.push((photo, *picture));
                }
                Outcome::Failed(message) => self.failed(&message),
                Outcome::Fatal(error) => return Err(error),
            }
        }
        Ok(batch)
    }

    /// Has the batch's captions written, by the model and then into the catalogue. Of a batch that is cancelled, those
    /// that were finished are kept.
    fn write(&mut self, batch: &[(i64, Picture)]) -> anyhow::Result<()> {
        let requests: Vec<Request> =
            batch.iter().map(|(_, picture)| Request { encoding: &picture.encoding, prompt: "" }).collect();
        let captions = self.describer.model.generate(&requests, self.options, self.cancel, &mut |_, _| {})?;
        let finished = batch.iter().zip(captions).filter(|(_, caption)| caption.finish != Finish::Cancelled);
        let done: Vec<Captioned> = finished
            .map(|((photo, picture), caption)| {
                let path = sanitize::path(&picture.path);
                let text = sanitize::text(&caption.text);
                self.progress.aside(|| self.console.detail(format_args!("{path}: {text}")));
                self.progress.done();
                let encoding = picture.took.map(|_| picture.encoding.0.clone());
                Captioned { photo: *photo, text: caption.text, encoding }
            })
            .collect();
        self.done.captioned += self.captioner.save(&done)? as u64;
        self.since_refresh += done.len();
        if self.since_refresh >= REFRESH { self.refresh() } else { Ok(()) }
    }

    /// Keeps searches fast while captions come in; if another process is writing, its run will.
    fn refresh(&mut self) -> anyhow::Result<()> {
        self.since_refresh = 0;
        let cancel = self.cancel;
        self.captioner.refresh_words(&mut |_, _, _| !cancel.load(Ordering::Relaxed))?;
        Ok(())
    }

    fn failed(&mut self, message: &str) {
        self.done.failed += 1;
        self.progress.done();
        let shown = self.console.is_verbose() || self.done.failed <= SHOWN;
        self.progress.aside(|| {
            if shown {
                self.console.warn(message);
            } else if self.done.failed == SHOWN + 1 {
                self.console.warn("more photos cannot be read (-v lists them)");
            }
        });
    }
}

/// Looks at photos as they come, until no more do.
fn look_at_all(
    describer: &Describer,
    library: &Library,
    photos: &Receiver<PendingPhoto>,
    outcomes: &Sender<Outcome>,
    cancel: &AtomicBool,
) {
    for photo in photos {
        let outcome = match look(describer, library, &photo, cancel) {
            Ok(Some(outcome)) => outcome,
            Ok(None) => return,
            Err(error) => Outcome::Fatal(error),
        };
        if outcomes.send(outcome).is_err() {
            return;
        }
    }
}

/// What the model sees in the first of a photo's files that still holds it; `None` if cancelled.
fn look(
    describer: &Describer,
    library: &Library,
    photo: &PendingPhoto,
    cancel: &AtomicBool,
) -> anyhow::Result<Option<Outcome>> {
    let mut problem = format!("the library knows no file of photo {}", photo.id);
    for path in &photo.paths {
        if cancel.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match describer.load(path, Some(library)) {
            Ok(loaded) if *loaded.hash() == photo.hash => {
                let picture = describer.look(loaded, cancel)?;
                return Ok(picture.map(|picture| match picture.check() {
                    Ok(()) => Outcome::Seen(photo.id, Box::new(picture)),
                    Err(error) => Outcome::Failed(format!("{error:#}")),
                }));
            }
            Ok(_) => {
                let path = sanitize::path(path);
                problem = format!("{path} has changed and is not captioned; `snapseek index` takes it in as it is now");
            }
            Err(error) => problem = format!("{error:#}"),
        }
    }
    Ok(Some(Outcome::Failed(problem)))
}
