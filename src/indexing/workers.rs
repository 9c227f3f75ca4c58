//! The threads that decode and embed.

use super::failure::FailureKind;
use super::quarantine::{JournalSlot, Quarantine};
use crate::model::{Embed, Pixels, is_unit};
use crate::photo::{self, DecodeLimits, ErrorKind, Limit};
use crate::search::photo_file;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use snapseek_index::{Change, ContentHash, FileIdentity, FileStamp, FileState, Library, Metadata, PhotoFacts, Tag};
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;
use std::time::Duration;

/// Photos embedded at once by one worker.
const BATCH: usize = 8;
/// Length of the shortest edge at which the colours of a picture are looked at.
const COLOR_EDGE: u32 = 64;
/// How long a worker waits for its batch to fill.
const FILL: Duration = Duration::from_millis(60);

/// A file to process.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) path: PathBuf,
    pub(super) root: PathBuf,
    pub(super) stamp: FileStamp,
    /// What the catalogue has for this path.
    pub(super) was: Option<FileState>,
    /// The files beside it that say something about it.
    pub(super) beside: Vec<PathBuf>,
}

impl Default for Job {
    fn default() -> Self {
        let stamp = FileStamp { size: 0, mtime_ns: 0 };
        Self { path: PathBuf::new(), root: PathBuf::new(), stamp, was: None, beside: Vec::new() }
    }
}

/// The result of a job.
pub(super) enum FileOutcome {
    Photo {
        change: Box<Change>,
    },
    /// The catalogue already has the picture.
    Known {
        known: Box<KnownFile>,
    },
    /// Another job of this run has the same picture.
    Twin {
        known: Box<KnownFile>,
    },
    Failed {
        job: Box<Job>,
        /// What it shows, as far as that is known.
        picture: Option<Box<ContentHash>>,
        kind: FailureKind,
        message: String,
    },
    /// The run cannot continue.
    Fatal(anyhow::Error),
}

/// A file that shows a picture which need not be embedded again.
pub(super) struct KnownFile {
    pub(super) job: Job,
    pub(super) identity: FileIdentity,
    pub(super) metadata: Metadata,
    /// The colours of the picture, if the library lacks them.
    pub(super) colors: Option<Vec<String>>,
}

struct Prepared {
    /// With the size that was read, in case the file has grown since the walk.
    job: Job,
    identity: FileIdentity,
    facts: PhotoFacts,
    /// Of the picture, or of each frame of a video.
    pixels: Vec<Pixels>,
}

/// How many threads to run, and the limits and cancel flag that they obey.
#[derive(Clone, Copy)]
pub(super) struct IndexWorkers<'a> {
    pub(super) threads: usize,
    pub(super) limits: DecodeLimits,
    pub(super) cancel: &'a AtomicBool,
}

/// What the decoding threads share.
struct WorkerShared {
    catalogue: Mutex<Library>,
    in_work: Mutex<HashSet<ContentHash>>,
}

impl<'a> IndexWorkers<'a> {
    /// Starts `threads` decoding threads and as many embedding workers (one would do for a GPU, but single-threaded
    /// workers with a batch each use a CPU best). They end when the sender of jobs is dropped.
    pub(super) fn start<'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        model: &'scope dyn Embed,
        catalogue: Library,
        quarantine: &Quarantine,
    ) -> anyhow::Result<(Sender<Job>, Receiver<FileOutcome>)>
    where
        'a: 'scope,
    {
        let (jobs_in, jobs) = bounded::<Job>(2 * self.threads);
        let (prepared_in, prepared) = bounded::<Prepared>(2 * BATCH * self.threads);
        let (outcomes_in, outcomes) = bounded(64);
        let slots = (0..self.threads as u64).map(|n| quarantine.slot(n)).collect::<Result<Vec<_>, _>>()?;
        let shared = WorkerShared { catalogue: Mutex::new(catalogue), in_work: Mutex::default() };
        let decoders =
            rayon::ThreadPoolBuilder::new().num_threads(self.threads).thread_name(|n| format!("decode-{n}")).build()?;
        scope.spawn(move || {
            decoders.in_place_scope(|pool| {
                for mut slot in slots {
                    let (jobs, prepared, outcomes) = (jobs.clone(), prepared_in.clone(), outcomes_in.clone());
                    let shared = &shared;
                    pool.spawn(move |_| {
                        for job in &jobs {
                            if self.cancel.load(Ordering::Relaxed) {
                                continue;
                            }
                            let sent = match self.prepare(job, &mut slot, model, shared) {
                                Ok(ready) => prepared.send(ready).map_err(drop),
                                Err(outcome) => outcomes.send(*outcome).map_err(drop),
                            };
                            if sent.is_err() {
                                return;
                            }
                        }
                    });
                }
                drop((jobs, prepared_in));
                for _ in 0..self.threads {
                    let (prepared, outcomes) = (prepared.clone(), outcomes_in.clone());
                    scope.spawn(move || self.embed_all(model, &prepared, &outcomes));
                }
                drop((prepared, outcomes_in));
            });
        });
        Ok((jobs_in, outcomes))
    }

    /// Reads, hashes and decodes one file, while its key is in the journal of files in flight.
    fn prepare(
        &self,
        job: Job,
        slot: &mut JournalSlot,
        model: &dyn Embed,
        shared: &WorkerShared,
    ) -> Result<Prepared, Box<FileOutcome>> {
        let (path, stamp) = (job.path.clone(), job.stamp);
        slot.guard(&path, stamp, || self.decode(job, model, shared)).unwrap_or_else(|io| Err(fatal(io)))
    }

    fn decode(&self, mut job: Job, model: &dyn Embed, shared: &WorkerShared) -> Result<Prepared, Box<FileOutcome>> {
        let failed = |job: Job, picture: Option<Box<ContentHash>>, error: photo::PhotoError| {
            let kind = FailureKind::Photo(error.kind);
            let raised = error.limit.map_or("", |limit| match limit {
                Limit::Pixels => " (`index --retry --max-megapixels N` allows more)",
                Limit::Memory => " (`index --retry --max-memory MIB` allows more)",
            });
            Box::new(FileOutcome::Failed { job: Box::new(job), picture, kind, message: error.message + raised })
        };
        let bytes = match photo::read(&job.path, &self.limits) {
            Ok(bytes) => bytes,
            Err(error) => return Err(failed(job, None, error)),
        };
        job.stamp.size = bytes.file_size();
        let (identity, statements) = photo_file::identify(&bytes);
        let metadata = photo_file::told(&job.path, Some(&job.root), statements, &job.beside);
        let died = || fatal(anyhow::anyhow!("a decoding thread has panicked"));
        match shared.catalogue.lock().map_err(|_| died())?.knows(&identity) {
            Ok(true) => {
                let lacking = job.was.as_ref().is_some_and(|was| !was.has_colors);
                let small = || photo::decode(&bytes, Some(COLOR_EDGE), &self.limits).ok();
                let colors = lacking.then(small).flatten().map(|photo| colors_of(&photo));
                let known = Box::new(KnownFile { job, identity, metadata, colors });
                return Err(Box::new(FileOutcome::Known { known }));
            }
            Ok(false) => {}
            Err(error) => return Err(fatal(error)),
        }
        if !shared.in_work.lock().map_err(|_| died())?.insert(identity.picture) {
            let known = Box::new(KnownFile { job, identity, metadata, colors: None });
            return Err(Box::new(FileOutcome::Twin { known }));
        }
        // No decoded photo is held while the next one is decoded.
        let prepared = |bytes: &[u8]| {
            photo::decode(bytes, Some(2 * model.image_size()), &self.limits)
                .map(|photo| (colors_of(&photo), model.prepare(&photo.picture), photo.facts))
        };
        let (colors, first, facts) = match prepared(&bytes) {
            Ok(first) => first,
            Err(error) => return Err(failed(job, Some(Box::new(identity.picture)), error)),
        };
        let further = photo::further_frames(&bytes).into_iter().filter_map(|frame| prepared(frame).ok());
        let further = further.map(|(_, pixels, _)| pixels);
        match std::iter::once(first).chain(further).collect() {
            Ok(pixels) => Ok(Prepared { job, identity, facts: facts_of(facts, colors, metadata), pixels }),
            Err(error) => {
                let (picture, kind) = (Some(Box::new(identity.picture)), FailureKind::Photo(ErrorKind::Damaged));
                Err(Box::new(FileOutcome::Failed { job: Box::new(job), picture, kind, message: format!("{error:#}") }))
            }
        }
    }

    /// One embedding worker. Its rayon pool of one thread keeps the matrix products of a batch on one core.
    fn embed_all(&self, model: &dyn Embed, prepared: &Receiver<Prepared>, outcomes: &Sender<FileOutcome>) {
        let pool = match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
            Ok(pool) => pool,
            Err(error) => return drop(outcomes.send(FileOutcome::Fatal(error.into()))),
        };
        while let Ok(first) = prepared.recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH {
                match prepared.recv_timeout(FILL) {
                    Ok(next) => batch.push(next),
                    Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
                }
            }
            if self.cancel.load(Ordering::Relaxed) {
                continue;
            }
            let (pixels, meta): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|p| (p.pixels, (p.job, p.identity, p.facts))).unzip();
            let frames: Vec<usize> = pixels.iter().map(Vec::len).collect();
            let pixels: Vec<Pixels> = pixels.into_iter().flatten().collect();
            let embedded = match pool.install(|| model.embed_pixels(&pixels)) {
                Ok(embedded) => embedded,
                Err(error) => return drop(outcomes.send(FileOutcome::Fatal(error))),
            };
            let mut embedded = embedded.into_iter();
            for (frames, (job, identity, facts)) in frames.into_iter().zip(meta) {
                let Some(mut embedding) = embedded.next() else { break };
                let further = embedded.by_ref().take(frames - 1).map(|frame| frame.vector).filter(|v| is_unit(v));
                let further: Vec<f32> = further.flatten().collect();
                // The index would refuse it, and with it everything in the same transaction.
                if !is_unit(&embedding.vector) {
                    let message = "the model produces NaN, infinity or a zero vector for this picture".to_owned();
                    let (picture, kind) = (Some(Box::new(identity.picture)), FailureKind::Photo(ErrorKind::Damaged));
                    if outcomes.send(FileOutcome::Failed { job: Box::new(job), picture, kind, message }).is_err() {
                        return;
                    }
                    continue;
                }
                embedding.vector.extend(further);
                let Job { path, root, stamp, .. } = job;
                let tags = embedding.tags.into_iter().map(|t| Tag { label: t.label, score: t.score }).collect();
                let change = Change::Photo { path, root, stamp, identity, facts, embedding: embedding.vector, tags };
                if outcomes.send(FileOutcome::Photo { change: Box::new(change) }).is_err() {
                    return;
                }
            }
        }
    }
}

/// The run cannot continue.
fn fatal(error: impl Into<anyhow::Error>) -> Box<FileOutcome> {
    Box::new(FileOutcome::Fatal(error.into()))
}

/// The dominant colours, as the library keeps them.
fn colors_of(photo: &photo::DecodedPhoto) -> Vec<String> {
    photo::colors::of(&photo.picture).into_iter().map(str::to_owned).collect()
}

fn facts_of(facts: photo::Facts, colors: Vec<String>, metadata: Metadata) -> PhotoFacts {
    let photo::Facts { width, height, format, remark, .. } = facts;
    PhotoFacts { width, height, format: format.to_owned(), remark, colors: Some(colors), metadata }
}
