//! The threads that decode and embed.

use super::failure::FailureKind;
use super::models;
use super::quarantine::{JournalSlot, Quarantine};
use crate::duplicates;
use crate::duplicates::looks::{self, Look};
use crate::model::{Pixels, is_unit};
use crate::model_choice::Chosen;
use crate::photo::{self, DecodeLimits, ErrorKind, Limit};
use crate::search::photo_file;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use snapseek_index::{
    Change, ContentHash, FileIdentity, FileStamp, FileState, Library, LibraryModel, Metadata, ModelRecord, PhotoFacts,
    Tag,
};
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

/// The models of a run.
pub(super) struct RunModels<'a> {
    pub(super) all: &'a [Chosen],
    /// The position of the library's current one; `None` if it cannot be opened.
    pub(super) current: Option<usize>,
    /// Which of them have failed; without the first one, the run cannot continue.
    broken: Vec<AtomicBool>,
}

impl<'a> RunModels<'a> {
    pub(super) fn new(all: &'a [Chosen], library: &Library) -> anyhow::Result<Self> {
        let current = library.model()?;
        let is_current = |chosen: &Chosen| {
            current.as_ref().is_some_and(|current| {
                current.fingerprint == chosen.record.fingerprint && current.dim == chosen.record.dim
            })
        };
        let broken = all.iter().map(|_| AtomicBool::new(false)).collect();
        Ok(Self { all, current: all.iter().position(is_current), broken })
    }

    /// Whether they are all that the library has.
    pub(super) fn has_all_of(&self, library: &Library) -> snapseek_index::Result<bool> {
        let is_open = |known: &LibraryModel| self.all.iter().any(|open| models::is(known, &open.record));
        Ok(self.current.is_some() && library.models()?.iter().all(is_open))
    }

    pub(super) fn records(&self) -> Vec<&ModelRecord> {
        self.all.iter().map(|chosen| &chosen.record).collect()
    }

    /// The positions of the models that have not embedded a picture, without those that cannot.
    pub(super) fn lacking(&self, identity: &FileIdentity, library: &Library) -> snapseek_index::Result<Vec<usize>> {
        let mut lacking = library.lacking(identity, &self.records())?;
        lacking.retain(|at| self.broken.get(*at).is_some_and(|broken| !broken.load(Ordering::Relaxed)));
        Ok(lacking)
    }
}

/// The models that have embedded a photo, and what the catalogue gets from each beside what it gets of the file.
type ModelChanges = Vec<(usize, Option<Change>)>;

/// The result of a job.
pub(super) enum FileOutcome {
    Photo {
        change: Box<Change>,
        /// As [`KnownFile::look`].
        look: Option<Vec<u8>>,
        made: ModelChanges,
    },
    /// The catalogue already has the picture; other models than the current one may have embedded it just now, or why
    /// they could not.
    Known { known: Box<KnownFile>, made: ModelChanges, problem: Option<(FailureKind, String)> },
    /// A model fails, and the run goes on without it.
    Without { model: usize, error: anyhow::Error },
    /// Another job of this run has the same picture.
    Twin { known: Box<KnownFile> },
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
    /// Its look, if the library lacks it and the picture was decoded for a model.
    pub(super) look: Option<Vec<u8>>,
}

struct Prepared {
    /// With the size that was read, in case the file has grown since the walk.
    job: Job,
    identity: FileIdentity,
    facts: PhotoFacts,
    /// As [`KnownFile::look`].
    look: Option<Vec<u8>>,
    /// For each model that lacks the picture: of the picture, or of each frame of a video.
    pixels: Vec<(usize, Vec<Pixels>)>,
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
        models: &'scope RunModels<'scope>,
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
                            let sent = match self.prepare(job, &mut slot, models, shared) {
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
                    scope.spawn(move || self.embed_all(models, &prepared, &outcomes));
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
        models: &RunModels<'_>,
        shared: &WorkerShared,
    ) -> Result<Prepared, Box<FileOutcome>> {
        let (path, stamp) = (job.path.clone(), job.stamp);
        slot.guard(&path, stamp, || self.decode(job, models, shared)).unwrap_or_else(|io| Err(fatal(io)))
    }

    fn decode(
        &self,
        mut job: Job,
        models: &RunModels<'_>,
        shared: &WorkerShared,
    ) -> Result<Prepared, Box<FileOutcome>> {
        let said = |error: photo::PhotoError| {
            let raised = error.limit.map_or("", |limit| match limit {
                Limit::Pixels => " (`index --retry --max-megapixels N` allows more)",
                Limit::Memory => " (`index --retry --max-memory MIB` allows more)",
            });
            (FailureKind::Photo(error.kind), error.message + raised)
        };
        let bytes = match photo::read(&job.path, &self.limits) {
            Ok(bytes) => bytes,
            Err(error) => {
                let (kind, message) = said(error);
                return Err(Box::new(FileOutcome::Failed { job: Box::new(job), picture: None, kind, message }));
            }
        };
        job.stamp.size = bytes.file_size();
        let (identity, statements) = photo_file::identify(&bytes);
        let metadata = photo_file::told(&job.path, Some(&job.root), statements, &job.beside);
        let died = || fatal(anyhow::anyhow!("a decoding thread has panicked"));
        let (lacking, has_look) = {
            let catalogue = shared.catalogue.lock().map_err(|_| died())?;
            let lacking = models.lacking(&identity, &catalogue).map_err(fatal)?;
            let has_look =
                lacking.is_empty() || catalogue.has_look(&identity.picture, looks::VERSION).map_err(fatal)?;
            (lacking, has_look)
        };
        if lacking.is_empty() {
            let lacking = job.was.as_ref().is_some_and(|was| !was.has_colors);
            let small = || photo::decode(&bytes, Some(COLOR_EDGE), &self.limits).ok();
            let colors = lacking.then(small).flatten().map(|photo| colors_of(&photo));
            return Err(known(KnownFile { job, identity, metadata, colors, look: None }, Vec::new(), None));
        }
        // If so, a failure to decode it now makes it no failure: the current model knows it.
        let is_known = models.current.is_some_and(|current| !lacking.contains(&current));
        if !shared.in_work.lock().map_err(|_| died())?.insert(identity.picture) {
            let known = Box::new(KnownFile { job, identity, metadata, colors: None, look: None });
            return Err(Box::new(FileOutcome::Twin { known }));
        }
        let failed = |job: Job, metadata: Metadata, (kind, message): (FailureKind, String)| {
            if is_known {
                let file = KnownFile { job, identity, metadata, colors: None, look: None };
                return known(file, Vec::new(), Some((kind, message)));
            }
            Box::new(FileOutcome::Failed {
                job: Box::new(job),
                picture: Some(Box::new(identity.picture)),
                kind,
                message,
            })
        };
        let wanted: Vec<(usize, &Chosen)> = lacking.iter().filter_map(|at| Some((*at, models.all.get(*at)?))).collect();
        let edge = wanted.iter().map(|(_, chosen)| 2 * chosen.model.image_size()).max();
        // Each file is decoded once, for all models. No decoded photo is held while the next one is decoded.
        let prepared = |bytes: &[u8]| {
            photo::decode(bytes, edge, &self.limits).map(|photo| {
                let pixels = wanted.iter().map(|(_, chosen)| chosen.model.prepare(&photo.picture));
                (pixels.collect::<anyhow::Result<Vec<Pixels>>>(), photo)
            })
        };
        let (first, photo) = match prepared(&bytes) {
            Ok(first) => first,
            Err(error) => return Err(failed(job, metadata, said(error))),
        };
        // A frame of a video is no copy of anything.
        let wants_look = !has_look && photo.facts.format != duplicates::VIDEO;
        let is_enough = edge.is_some_and(|edge| edge >= looks::DECODED);
        let look = (wants_look && is_enough).then(|| Look::of(&photo.picture).ok());
        let (colors, facts) = (colors_of(&photo), photo.facts.clone());
        drop(photo);
        let look = look.or_else(|| wants_look.then(|| Look::of_bytes(&bytes).ok()));
        let look = look.flatten().map(|look| look.to_bytes());
        let further = photo::further_frames(&bytes).into_iter().filter_map(|frame| prepared(frame).ok());
        let further = further.map(|(pixels, _)| pixels);
        let frames: Vec<Vec<Pixels>> = match std::iter::once(first).chain(further).collect() {
            Ok(frames) => frames,
            Err(error) => {
                let kind = FailureKind::Photo(ErrorKind::Damaged);
                return Err(failed(job, metadata, (kind, format!("{error:#}"))));
            }
        };
        let mut pixels: Vec<(usize, Vec<Pixels>)> = wanted.iter().map(|(at, _)| (*at, Vec::new())).collect();
        for frame in frames {
            pixels.iter_mut().zip(frame).for_each(|((_, of_model), frame)| of_model.push(frame));
        }
        Ok(Prepared { job, identity, facts: facts_of(facts, colors, metadata), look, pixels })
    }

    /// One embedding worker. Its rayon pool of one thread keeps the matrix products of a batch on one core.
    fn embed_all(&self, models: &RunModels<'_>, prepared: &Receiver<Prepared>, outcomes: &Sender<FileOutcome>) {
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
            let mut made: Vec<Vec<(usize, PhotoEmbedding)>> = batch.iter().map(|_| Vec::new()).collect();
            for (at, chosen) in models.all.iter().enumerate() {
                match self.embed(at, chosen, models, &mut batch, &mut made, &pool) {
                    Ok(()) => {}
                    Err(error) if at == 0 => return drop(outcomes.send(FileOutcome::Fatal(error))),
                    Err(error) => {
                        let was_broken =
                            models.broken.get(at).is_none_or(|broken| broken.swap(true, Ordering::Relaxed));
                        if !was_broken && outcomes.send(FileOutcome::Without { model: at, error }).is_err() {
                            return;
                        }
                    }
                }
            }
            for (photo, made) in batch.into_iter().zip(made) {
                if outcomes.send(outcome(photo, made, models)).is_err() {
                    return;
                }
            }
        }
    }

    /// Embeds what a batch holds for one model.
    fn embed(
        self,
        at: usize,
        chosen: &Chosen,
        models: &RunModels<'_>,
        batch: &mut [Prepared],
        made: &mut [Vec<(usize, PhotoEmbedding)>],
        pool: &rayon::ThreadPool,
    ) -> anyhow::Result<()> {
        if models.broken.get(at).is_none_or(|broken| broken.load(Ordering::Relaxed)) {
            return Ok(());
        }
        let of_model = |photo: &mut Prepared| {
            let frames = photo.pixels.iter_mut().find(|(model, _)| *model == at);
            frames.map(|(_, frames)| std::mem::take(frames)).unwrap_or_default()
        };
        let frames: Vec<Vec<Pixels>> = batch.iter_mut().map(of_model).collect();
        let counts: Vec<usize> = frames.iter().map(Vec::len).collect();
        let pixels: Vec<Pixels> = frames.into_iter().flatten().collect();
        if pixels.is_empty() {
            return Ok(());
        }
        let mut embedded = pool.install(|| chosen.model.embed_pixels(&pixels))?.into_iter();
        for (made, frames) in made.iter_mut().zip(counts).filter(|(_, frames)| *frames > 0) {
            let Some(first) = embedded.next() else { break };
            let further = embedded.by_ref().take(frames - 1).map(|frame| frame.vector).filter(|v| is_unit(v));
            let further: Vec<f32> = further.flatten().collect();
            // The index would refuse it, and with it everything in the same transaction.
            let vectors = is_unit(&first.vector).then(|| [first.vector, further].concat());
            let tags = first.tags.into_iter().map(|t| Tag { label: t.label, score: t.score }).collect();
            made.push((at, PhotoEmbedding { vectors, tags }));
        }
        Ok(())
    }
}

/// What a model has made of a photo.
struct PhotoEmbedding {
    /// A unit vector of each frame, one after the other; `None` if the model gives none for the first.
    vectors: Option<Vec<f32>>,
    tags: Vec<Tag>,
}

/// The result of a photo that the models have seen.
fn outcome(photo: Prepared, made: Vec<(usize, PhotoEmbedding)>, models: &RunModels<'_>) -> FileOutcome {
    let Prepared { job, identity, facts, look, pixels } = photo;
    let is_known = models.current.is_some_and(|current| pixels.iter().all(|(at, _)| *at != current));
    let (mut of_current, mut others, mut problem) = (None, Vec::new(), None);
    for (at, PhotoEmbedding { vectors, tags }) in made {
        let Some(embedding) = vectors else {
            let name = models.all.get(at).map_or("", |chosen| chosen.record.name.as_str());
            let message = format!("the model {name} produces NaN, infinity or a zero vector for this picture");
            problem = Some((at, FailureKind::Photo(ErrorKind::Damaged), message));
            continue;
        };
        if models.current == Some(at) {
            of_current = Some((at, embedding, tags));
        } else if let Some(chosen) = models.all.get(at) {
            let model = chosen.record.clone();
            others.push((at, Some(Change::Beside { identity, model, embedding, tags })));
        }
    }
    if is_known {
        let has_colors = job.was.as_ref().is_none_or(|was| was.has_colors);
        let colors = facts.colors.filter(|_| !has_colors);
        let file = KnownFile { job, identity, metadata: facts.metadata, colors, look };
        return *known(file, others, problem.map(|(_, kind, message)| (kind, message)));
    }
    let Job { path, root, stamp, .. } = job.clone();
    match (of_current, models.current) {
        (Some((at, embedding, tags)), _) => {
            others.insert(0, (at, None));
            let change = Change::Photo { path, root, stamp, identity, facts, embedding, tags };
            FileOutcome::Photo { change: Box::new(change), look, made: others }
        }
        // Where the current model cannot be opened, or fails, the others do without it.
        (None, _) if !others.is_empty() && problem.as_ref().is_none_or(|(at, ..)| Some(*at) != models.current) => {
            let change = Change::Unembedded { path, root, stamp, identity, facts };
            FileOutcome::Photo { change: Box::new(change), look, made: others }
        }
        (None, _) => {
            let (_, kind, message) = problem.unwrap_or_else(|| {
                (0, FailureKind::Photo(ErrorKind::Unreadable), "the model that fails cannot embed it".to_owned())
            });
            FileOutcome::Failed { job: Box::new(job), picture: Some(Box::new(identity.picture)), kind, message }
        }
    }
}

fn known(file: KnownFile, made: ModelChanges, problem: Option<(FailureKind, String)>) -> Box<FileOutcome> {
    Box::new(FileOutcome::Known { known: Box::new(file), made, problem })
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
