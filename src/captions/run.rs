//! The batch engine: photos in, captions out, for the files of a command or a whole library.
//!
//! ```text
//! next ──▶ looking thread (read, decode, vision tower) ──▶ this thread (language model, a batch at a time)
//! ```
//! The vision tower looks at the next photos while the language model writes: the first is bound by arithmetic, the
//! second by memory bandwidth. Both queues are bounded.

use super::look::{Loaded, SeenPicture};
use super::open::NamedChatModel;
use super::wish::CaptionWish;
use crate::model::chat_model::{ChatPrompt, MOST_AT_ONCE, WriteRequest};
use crate::model::generation::{Finish, GenerateOptions, Generated};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Photos captioned at once: the language model's weights are read once for all of them.
const BATCH: usize = MOST_AT_ONCE;
/// How long a picture may wait for its batch to fill.
const FILL: Duration = Duration::from_secs(30);

/// Where the photos come from and where their captions go.
pub trait CaptionWork {
    /// A photo to caption.
    type Job: Send;

    /// Up to `most` more photos; an empty list if there are no more.
    ///
    /// # Errors
    /// An error ends the run.
    fn next(&mut self, most: usize) -> anyhow::Result<Vec<Self::Job>>;

    /// Called for a photo that cannot be captioned, with the reason.
    ///
    /// # Errors
    /// An error ends the run.
    fn failed(&mut self, why: &str) -> anyhow::Result<()>;

    /// A photo was encoded, and its caption will be written. What the encoding cost may be worth saving now.
    fn seen(&mut self, _job: &Self::Job, _picture: &SeenPicture) {}

    /// What the library knows of a photo, as sentences for the model; empty for nothing.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    fn facts(&self, _job: &Self::Job, _picture: &SeenPicture) -> anyhow::Result<String> {
        Ok(String::new())
    }

    /// Called with finished captions, in the order of the photos.
    ///
    /// # Errors
    /// An error ends the run.
    fn captioned(&mut self, batch: Vec<(Self::Job, SeenPicture, Generated)>) -> anyhow::Result<()>;
}

/// How captions are written.
pub struct CaptionWriter<'a> {
    /// The model.
    pub chat_model: &'a NamedChatModel,
    /// Its options.
    pub options: &'a GenerateOptions,
    /// What is asked of it.
    pub wish: &'a CaptionWish,
    /// Set to end the run.
    pub cancel: &'a AtomicBool,
}

/// The result for a photo in the looking thread.
enum LookOutcome<J> {
    Seen(J, Box<SeenPicture>),
    /// With the reason.
    Failed(String),
    Fatal(anyhow::Error),
}

impl CaptionWriter<'_> {
    /// Captions all photos of `work`. `load` reads and decodes one of them, in the looking thread.
    ///
    /// # Errors
    /// Those of `work`, or the model fails.
    pub fn run<W: CaptionWork>(
        &self,
        work: &mut W,
        load: impl FnMut(&W::Job) -> anyhow::Result<Loaded> + Send,
    ) -> anyhow::Result<()> {
        // For the looking thread: the end of this one, for whatever reason.
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Room for all jobs that are under way, so that neither side ever waits to hand over.
            let (jobs_in, jobs) = bounded::<W::Job>(2 * BATCH);
            let (outcomes_in, outcomes) = bounded::<LookOutcome<W::Job>>(2 * BATCH);
            let stop = &stop;
            scope.spawn(move || self.look_at_all(jobs, &outcomes_in, load, stop));
            let outcome = self.write_all(work, &jobs_in, &outcomes);
            stop.store(true, Ordering::Relaxed);
            outcome
        })
    }

    /// Looks at photos as they come, until the sender is dropped.
    fn look_at_all<J>(
        &self,
        jobs: Receiver<J>,
        outcomes: &Sender<LookOutcome<J>>,
        mut load: impl FnMut(&J) -> anyhow::Result<Loaded>,
        stop: &AtomicBool,
    ) {
        for job in jobs {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let outcome = match load(&job) {
                Err(error) => LookOutcome::Failed(format!("{error:#}")),
                Ok(loaded) => match self.chat_model.look(loaded, stop) {
                    Err(error) => LookOutcome::Fatal(error),
                    Ok(None) => return,
                    Ok(Some(picture)) => match picture.check() {
                        Ok(()) => LookOutcome::Seen(job, Box::new(picture)),
                        Err(error) => LookOutcome::Failed(format!("{error:#}")),
                    },
                },
            };
            if outcomes.send(outcome).is_err() {
                return;
            }
        }
    }

    fn write_all<W: CaptionWork>(
        &self,
        work: &mut W,
        jobs: &Sender<W::Job>,
        outcomes: &Receiver<LookOutcome<W::Job>>,
    ) -> anyhow::Result<()> {
        let mut under_way = 0;
        while !self.cancel.load(Ordering::Relaxed) {
            if under_way < BATCH {
                for job in work.next(2 * BATCH - under_way)? {
                    anyhow::ensure!(jobs.send(job).is_ok(), "the thread that looks at photos has panicked");
                    under_way += 1;
                }
            }
            if under_way == 0 {
                break;
            }
            let batch = self.collect(work, &mut under_way, outcomes)?;
            self.write(work, batch)?;
        }
        Ok(())
    }

    /// Waits for pictures: a full batch, all that are left, or as many as arrive within `FILL`.
    fn collect<W: CaptionWork>(
        &self,
        work: &mut W,
        under_way: &mut usize,
        outcomes: &Receiver<LookOutcome<W::Job>>,
    ) -> anyhow::Result<Vec<(W::Job, SeenPicture)>> {
        let mut batch: Vec<(W::Job, SeenPicture)> = Vec::new();
        let mut since = Instant::now();
        while batch.len() < BATCH && *under_way > 0 && !self.cancel.load(Ordering::Relaxed) {
            let outcome = match outcomes.recv_timeout(Duration::from_millis(100)) {
                Ok(outcome) => outcome,
                Err(RecvTimeoutError::Timeout) if batch.is_empty() || since.elapsed() < FILL => continue,
                Err(RecvTimeoutError::Timeout) => break,
                // The thread ends early only if it is cancelled.
                Err(RecvTimeoutError::Disconnected) if self.cancel.load(Ordering::Relaxed) => break,
                Err(RecvTimeoutError::Disconnected) => anyhow::bail!("the thread that looks at photos has panicked"),
            };
            *under_way -= 1;
            match outcome {
                LookOutcome::Seen(job, picture) => {
                    if batch.is_empty() {
                        since = Instant::now();
                    }
                    work.seen(&job, &picture);
                    batch.push((job, *picture));
                }
                LookOutcome::Failed(why) => work.failed(&why)?,
                LookOutcome::Fatal(error) => return Err(error),
            }
        }
        Ok(batch)
    }

    /// Writes the captions of a batch. If it is cancelled, the captions that were finished count.
    fn write<W: CaptionWork>(&self, work: &mut W, batch: Vec<(W::Job, SeenPicture)>) -> anyhow::Result<()> {
        let facts = batch.iter().map(|(job, picture)| work.facts(job, picture)).collect::<anyhow::Result<Vec<_>>>()?;
        let model = &self.chat_model.model;
        let encodings: Vec<_> = batch.iter().map(|(_, picture)| &picture.encoding).collect();
        let at_once = model.at_once(&encodings, self.options.max_new_tokens);
        let mut captions = Vec::with_capacity(batch.len());
        for (some, facts) in encodings.chunks(at_once).zip(facts.chunks(at_once)) {
            let prompt =
                |facts| ChatPrompt::Caption { style: self.wish.style(), prompt: self.wish.prompt.as_deref(), facts };
            let requests: Vec<WriteRequest> = some
                .iter()
                .zip(facts)
                .map(|(encoding, facts)| WriteRequest { encoding, prompt: prompt(facts) })
                .collect();
            captions.extend(model.write(&requests, self.options, self.cancel, &mut |_, _| {})?);
        }
        let finished = batch.into_iter().zip(captions).filter(|(_, caption)| caption.finish != Finish::Cancelled);
        work.captioned(finished.map(|((job, picture), caption)| (job, picture, caption)).collect())
    }
}
