//! One indexing run: walk, read and hash, decode and resize, embed, write.
//!
//! ```text
//! walk ──found──▶ coordinator ──jobs──▶ decode pool ──prepared──▶ embedding workers
//!                     ▲  (the one writer)     │ known, failed           │ photos
//!                     └──────────────────outcomes◀─────────────────────┘
//! ```
//! Every queue is bounded. Only the coordinator writes to the catalogue; it never blocks on sending work while outcomes
//! wait, so the pipeline cannot deadlock. On a server, other machines may take part of the files (`sharing.rs`).

use super::failure::FailureKind;
use super::quarantine::{Quarantine, Suspicion};
use super::sharing::{self, HandedOut, Offering, Sharing};
use super::walk::{self, WalkEvent, WalkOptions};
use super::workers::{FileOutcome, IndexWorkers, Job, KnownFile, RunModels};
use crate::config::{DEFAULT_EXCLUDES, Settings};
use crate::duplicates::looks;
use crate::model_choice::Chosen;
use crate::photo::{DecodeLimits, ErrorKind, READER_VERSION, ffmpeg, identity};
use crate::search::photo_file;
use crate::terminal::console::Console;
use crate::terminal::progress::PhotoProgress;
use crossbeam_channel::{Receiver, Sender, bounded, never, select};
use snapseek_index::{Change, ContentHash, FileStamp, FileState, Library, OfferOutcome, Offers, Writer};
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Maximum number of changes in one transaction.
const BATCH: usize = 256;
/// The most files that may wait for a worker while the walk goes on.
const AHEAD: usize = 250_000;
/// How long a finished photo may wait to be written.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// A loss of at least this many files looks like a fault if a folder loses all its files, or a root more than half.
const SUSPICIOUS_LOSS: usize = 5;

/// Options of an indexing run.
#[derive(Clone, Debug)]
pub struct IndexOptions {
    /// Threads for decoding, and as many for embedding.
    pub threads: usize,
    /// Drop records even if most files of a folder are gone.
    pub prune: bool,
    /// Index hidden files too.
    pub hidden: bool,
    /// Patterns of folders and files to leave out, as in `.gitignore`.
    pub excludes: Vec<String>,
    /// Keep hidden and excluded files that are already in the catalogue.
    pub keep: bool,
    /// Try known failures again.
    pub retry: bool,
    /// Index videos too, by frames that the program ffmpeg makes of them.
    pub videos: bool,
    /// Limits on the size of a picture and on the memory for decoding it.
    pub limits: DecodeLimits,
}

impl IndexOptions {
    /// Suits most runs: cautious about dropping records, no hidden files, every picture within the default limits.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self {
            threads,
            prune: false,
            hidden: false,
            excludes: DEFAULT_EXCLUDES.map(str::to_owned).to_vec(),
            keep: false,
            retry: false,
            videos: false,
            limits: DecodeLimits::default(),
        }
    }

    /// Suits a run after which another model answers: hidden and excluded files and large pictures that were indexed
    /// before stay in the library.
    #[must_use]
    pub fn for_another_model(settings: &Settings) -> Self {
        Self {
            keep: true,
            excludes: settings.excludes(),
            videos: settings.video,
            limits: DecodeLimits { max_pixels: u64::MAX, ..DecodeLimits::default() },
            ..Self::new(settings.threads)
        }
    }
}

/// What a run did.
#[derive(Debug, Default, serde::Serialize)]
pub struct IndexSummary {
    /// Photos that were embedded, by one model or several.
    pub embedded: u64,
    /// How many of them other machines have embedded.
    #[serde(skip_serializing_if = "is_zero")]
    pub helped: u64,
    /// How many each model has embedded, by its name, if there are several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub embedded_by: BTreeMap<String, u64>,
    /// Photos that one of the models has embedded and another one could not.
    pub incomplete: u64,
    /// Files that have not changed.
    pub unchanged: u64,
    /// Files that show the same picture as before and say something else about it, such as another date.
    pub refreshed: u64,
    /// Files found under another path than before.
    pub moved: u64,
    /// New files whose picture is also at a known path that still exists.
    pub copied: u64,
    /// Records dropped because their file is gone.
    pub removed: u64,
    /// Pipes, sockets, devices and links to nothing with a picture's name.
    pub skipped: u64,
    /// Files and folders that could not be read.
    pub failed: u64,
    /// The same by kind.
    pub failures: BTreeMap<FailureKind, u64>,
    /// Those of them that could not be read in the last run either.
    pub failed_before: u64,
    /// Files of kinds that are not read, by ending.
    pub unread: BTreeMap<String, u64>,
    /// Records kept although their files cannot be found.
    pub held_back: u64,
    /// The run was interrupted.
    pub interrupted: bool,
    /// Files that were read, whatever came of it.
    #[serde(skip)]
    pub read: u64,
    /// How many photos each of the run's models has embedded, in their order.
    #[serde(skip)]
    pub made: Vec<u64>,
    /// Positions of the models that failed and were left out from then on.
    #[serde(skip)]
    pub broken: Vec<usize>,
    /// Whether the run has looked for every file of the library, and none is missing with its folder.
    #[serde(skip)]
    pub saw_all: bool,
}

/// Indexes `roots` into the library of `writer`, by these models of the library.
///
/// # Errors
/// The catalogue cannot be written, or the first model fails. What was written until then is kept.
pub fn run(
    library: &Library,
    writer: &mut Writer<'_>,
    models: &[Chosen],
    roots: &[PathBuf],
    options: &IndexOptions,
    cancel: &AtomicBool,
    console: &Console,
) -> anyhow::Result<IndexSummary> {
    for root in roots {
        // Naming a folder again undoes `forget` for it; what was forgotten inside it stays forgotten.
        if writer.is_forgotten(root)? {
            writer.remember(root)?;
        }
        writer.add_root(root)?;
    }
    let models = RunModels::new(models, library)?;
    let mut run = IndexRun::new(library, writer, &models, options, cancel, console);
    run.quarantine = Quarantine::open(library.dir())?;
    // Others embed by all models of the library.
    let has_all = models.has_all_of(library)?;
    if let Some(offers) = library.offers()?.filter(|_| has_all) {
        run.sharing = Sharing::Offering(Box::new(Offering::new(offers)?));
    }
    if options.videos && !run.has_ffmpeg() {
        console.note("the program ffmpeg is not installed: videos are counted, but not read");
    }
    let IndexOptions { hidden, excludes, keep, .. } = options;
    let walked = WalkOptions { hidden: *hidden || *keep, excludes, keep_excluded: *keep };
    run.keep(|run| {
        run.all(AHEAD, |found| {
            walk::walk(roots, walked, cancel, found);
            Ok(())
        })
    })?;
    for (ending, files) in run.seen.unread.values().flatten() {
        *run.summary.unread.entry(ending.clone()).or_default() += files;
    }
    if models.all.len() > 1 {
        for (chosen, made) in models.all.iter().zip(&run.summary.made) {
            *run.summary.embedded_by.entry(chosen.record.name.clone()).or_default() += made;
        }
    }
    run.summary.interrupted = cancel.load(Ordering::Relaxed);
    if !run.summary.interrupted {
        run.drop_vanished(roots)?;
        for root in roots.iter().filter(|root| !run.seen.missing.contains(*root)) {
            run.writer.set_unread(root, &run.seen.unread.remove(root).unwrap_or_default())?;
        }
        let covered = |root: &PathBuf| roots.iter().any(|walked| root.starts_with(walked));
        let is_all = library.roots()?.iter().all(covered);
        run.summary.saw_all = is_all && run.summary.held_back == 0 && run.seen.missing.is_empty();
        let unseen = run.seen.is_disturbed || run.summary.held_back > 0;
        if !unseen && is_all {
            // Draws the conclusions of a run that has seen every folder of the library.
            run.writer.settle(&|path| run.seen.looked_at(path, roots) && !walk::is_there(path))?;
        }
    }
    Ok(run.summary)
}

/// Helps another machine to index: reads and embeds the files that it hands out, until there have been none for
/// `patience`.
///
/// # Errors
/// As for [`run`].
pub fn help(
    library: &Library,
    models: &[Chosen],
    offers: Offers,
    patience: Duration,
    options: &IndexOptions,
    cancel: &AtomicBool,
    console: &Console,
) -> anyhow::Result<IndexSummary> {
    let models = RunModels::new(models, library)?;
    let Some(current) = models.current.and_then(|at| models.all.get(at)) else { return Ok(IndexSummary::default()) };
    let mut writer = library.helper(&current.record);
    let mut run = IndexRun::new(library, &mut writer, &models, options, cancel, console);
    run.sharing = Sharing::Helping(Vec::new());
    // No more than is soon done, so that others have something to do, too.
    let ahead = 2 * options.threads;
    let threads = options.threads;
    run.keep(|run| run.all(ahead, move |found| sharing::feed(&offers, threads, patience, cancel, found)))?;
    run.summary.interrupted = cancel.load(Ordering::Relaxed);
    Ok(run.summary)
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// What the walk has found, to work out in the end what is gone.
#[derive(Default)]
struct Seen {
    /// Ids of the files that were already in the catalogue.
    files: HashSet<i64>,
    /// Paths new to the catalogue.
    added: HashSet<PathBuf>,
    /// Paths that failed.
    failed: HashSet<PathBuf>,
    /// How many new paths each known picture was found at.
    known: HashMap<ContentHash, u64>,
    /// Folders and files that could not be read.
    blind: Vec<PathBuf>,
    /// Roots that do not exist.
    missing: HashSet<PathBuf>,
    /// How many files of each ending are of kinds that are not read, by root.
    unread: HashMap<PathBuf, BTreeMap<String, u64>>,
    /// Something could not be read that could be in the last run: it may be what is missing elsewhere. What stays
    /// unreadable disturbs no longer; otherwise nothing would be settled ever.
    is_disturbed: bool,
}

impl Seen {
    /// Whether this path is below something that could not be read.
    fn blind_to(&self, path: &Path) -> bool {
        self.blind.iter().any(|folder| path.starts_with(folder))
    }

    /// Whether the walk over these roots would have met a file at this path.
    fn looked_at(&self, path: &Path, roots: &[PathBuf]) -> bool {
        let below = |root: &PathBuf| path.starts_with(root) && !self.missing.contains(root);
        roots.iter().any(below) && !self.blind_to(path)
    }
}

struct IndexRun<'a, 'w> {
    models: &'a RunModels<'a>,
    library: &'a Library,
    writer: &'a mut Writer<'w>,
    console: &'a Console,
    options: &'a IndexOptions,
    cancel: &'a AtomicBool,
    sharing: Sharing,
    quarantine: Quarantine,
    progress: PhotoProgress,
    summary: IndexSummary,
    pending: Vec<Change>,
    last_write: Instant,
    seen: Seen,
    /// Files with the same picture as one that is still being processed.
    twins: Vec<KnownFile>,
    /// Why pictures of this run could not be read, for other files with the same picture.
    unreadable: HashMap<ContentHash, (FailureKind, String)>,
    suspects: Vec<Job>,
    /// Whether the program that reads videos is there.
    has_ffmpeg: OnceCell<bool>,
}

impl<'a, 'w> IndexRun<'a, 'w> {
    /// A run of one process that remembers no suspects.
    fn new(
        library: &'a Library,
        writer: &'a mut Writer<'w>,
        models: &'a RunModels<'a>,
        options: &'a IndexOptions,
        cancel: &'a AtomicBool,
        console: &'a Console,
    ) -> Self {
        Self {
            models,
            library,
            writer,
            console,
            options,
            cancel,
            sharing: Sharing::Alone,
            quarantine: Quarantine::none(),
            progress: PhotoProgress::new(console),
            summary: IndexSummary { made: vec![0; models.all.len()], ..IndexSummary::default() },
            pending: Vec::new(),
            last_write: Instant::now(),
            seen: Seen::default(),
            twins: Vec::new(),
            unreadable: HashMap::new(),
            suspects: Vec::new(),
            has_ffmpeg: OnceCell::new(),
        }
    }

    /// Keeps what `work` has done, even after an error.
    fn keep(&mut self, work: impl FnOnce(&mut Self) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let outcome = work(self);
        self.progress.finish();
        self.write()?;
        if let Sharing::Offering(offering) = &self.sharing {
            offering.end()?;
        }
        outcome
    }

    /// Does what `find` sends, of which at most `ahead` files wait for a thread.
    fn all(
        &mut self,
        ahead: usize,
        find: impl FnOnce(&Sender<WalkEvent>) -> anyhow::Result<()> + Send,
    ) -> anyhow::Result<()> {
        let (models, cancel) = (self.models, self.cancel);
        let known = self.library.reopen()?;
        std::thread::scope(|scope| {
            // Created inside the scope, so that an error drops the receiver, which ends the walk.
            let (found_out, found) = bounded(ahead.min(1024));
            let finding = scope.spawn(move || find(&found_out));
            let workers = IndexWorkers { threads: self.options.threads, limits: self.options.limits, cancel };
            let (jobs, outcomes) = workers.start(scope, models, known, &self.quarantine)?;
            self.coordinate(ahead, &found, jobs, &outcomes)?;
            drop(found);
            finding.join().map_err(|_| anyhow::anyhow!("the thread that looks for files has panicked"))?
        })?;
        // Suspects run only now, with nothing else in flight, so that a crash is blamed on the right file.
        for job in std::mem::take(&mut self.suspects) {
            if cancel.load(Ordering::Relaxed) {
                break;
            }
            let known = self.library.reopen()?;
            std::thread::scope(|scope| {
                let workers = IndexWorkers { threads: 1, limits: self.options.limits, cancel };
                let (jobs, outcomes) = workers.start(scope, models, known, &self.quarantine)?;
                jobs.send(job.clone())?;
                drop(jobs);
                outcomes.iter().try_for_each(|outcome| self.settle(outcome))
            })?;
            if !cancel.load(Ordering::Relaxed) {
                self.quarantine.acquit(&job.path, job.stamp)?;
            }
        }
        self.write()?;
        for twin in std::mem::take(&mut self.twins) {
            if self.library.lacking(&twin.identity, &models.records())?.len() < models.all.len() {
                self.settle(FileOutcome::Known { known: Box::new(twin), made: Vec::new(), problem: None })?;
            } else if !cancel.load(Ordering::Relaxed) {
                let other = || {
                    let message = "it shows the same picture as another file, which could not be read".to_owned();
                    (FailureKind::Photo(ErrorKind::Damaged), message)
                };
                let (kind, message) = self.unreadable.get(&twin.identity.picture).cloned().unwrap_or_else(other);
                self.settle(FileOutcome::Failed { job: Box::new(twin.job), picture: None, kind, message })?;
            }
        }
        Ok(())
    }

    /// Plans, feeds the workers and writes, until the walk and the workers are done.
    fn coordinate(
        &mut self,
        ahead: usize,
        found: &Receiver<WalkEvent>,
        jobs: Sender<Job>,
        outcomes: &Receiver<FileOutcome>,
    ) -> anyhow::Result<()> {
        // The walk runs ahead, so that the number of photos is soon known.
        let (mut jobs, mut next, mut walking) = (Some(jobs), VecDeque::<Job>::new(), true);
        let (no_job, _keep) = bounded::<Job>(0);
        loop {
            self.share(&mut next)?;
            let is_all = match &self.sharing {
                Sharing::Offering(offering) => offering.is_done(),
                _ => true,
            };
            // Dropping the sender makes the workers end once their queue is empty.
            if (!walking && next.is_empty() && is_all) || self.cancel.load(Ordering::Relaxed) {
                jobs = None;
                next.clear();
            }
            let waiting = if walking && next.len() < ahead { found } else { &never() };
            let sender = match &jobs {
                Some(jobs) if !next.is_empty() => jobs,
                _ => &no_job,
            };
            select! {
                recv(outcomes) -> outcome => match outcome {
                    Ok(outcome) => self.settle(outcome)?,
                    Err(_) => return Ok(()), // every worker has ended
                },
                recv(waiting) -> entry => match entry {
                    Ok(entry) => next.extend(self.plan(entry)?),
                    Err(_) => {
                        walking = false;
                        self.progress.walked();
                    }
                },
                send(sender, next.front().cloned().unwrap_or_default()) -> sent => {
                    if sent.is_ok() {
                        next.pop_front();
                    }
                },
                default(Duration::from_millis(100)) => {}
            }
            if self.last_write.elapsed() >= WRITE_EVERY || self.pending.len() >= BATCH {
                self.write()?;
            }
        }
    }

    /// Hands files out to other machines, and records what they have done.
    fn share(&mut self, next: &mut VecDeque<Job>) -> anyhow::Result<()> {
        let Sharing::Offering(offering) = &mut self.sharing else { return Ok(()) };
        let (models, library) = (self.models, self.library);
        let lacking = |job: &Job| match &job.was {
            Some(was) => Ok(models.lacking(&was.identity(), library)?),
            None => Ok((0..models.all.len()).collect()),
        };
        for (HandedOut { job, lacking }, outcome) in offering.look(next, self.options.threads, &lacking)? {
            let now = self.writer.file(&job.path)?;
            // The helper may not have known yet that there is another model.
            if let Some(now) = &now
                && !self.is_embedded(now)?
            {
                next.push_front(job);
                continue;
            }
            self.summary.read += 1;
            match (outcome, now) {
                (OfferOutcome::Known, Some(now)) => match &job.was {
                    Some(was) if was.hash == now.hash && lacking.is_empty() => self.summary.unchanged += 1,
                    Some(was) if was.hash == now.hash => {
                        self.summary.helped += 1;
                        self.embedded(lacking.into_iter().map(|model| (model, None)).collect());
                    }
                    Some(was) if was.picture == now.picture => self.summary.refreshed += 1,
                    _ => *self.seen.known.entry(now.picture).or_default() += 1,
                },
                (OfferOutcome::Known, None) => {}
                (outcome, _) => {
                    self.seen.is_disturbed |= outcome == OfferOutcome::Doubtful;
                    self.summary.helped += 1;
                    self.embedded((0..self.models.all.len()).map(|model| (model, None)).collect());
                }
            }
            self.progress.done();
        }
        Ok(())
    }

    /// Records what has become of a file that another machine has handed out.
    fn brings(&mut self, path: &Path, outcome: OfferOutcome) {
        if let Sharing::Helping(done) = &mut self.sharing {
            done.push((path.to_path_buf(), outcome));
        }
    }

    /// Decides whether a file on disk needs work, and returns the job if it does.
    fn plan(&mut self, found: WalkEvent) -> anyhow::Result<Option<Job>> {
        let (path, root, stamp, excluded, video, beside) = match found {
            WalkEvent::File { path, root, stamp, excluded, video, beside } => {
                (path, root, stamp, excluded, video, beside)
            }
            WalkEvent::Problem { path, root, message } => {
                if !self.writer.is_forgotten(&path)? {
                    self.unseen(FailureKind::Photo(ErrorKind::Unreadable), path.clone(), root, message)?;
                }
                self.seen.blind.push(path);
                return Ok(None);
            }
            WalkEvent::Skipped { path, root } => {
                let hidden = is_hidden(&path, &root) && !self.options.hidden;
                if !hidden && self.writer.file(&path)?.is_none() && !self.writer.is_forgotten(&path)? {
                    self.summary.skipped += 1;
                }
                return Ok(None);
            }
            WalkEvent::Unread { root, ending } => {
                self.count_unread(root, ending);
                return Ok(None);
            }
            WalkEvent::MissingRoot { root } => {
                let message =
                    "the folder does not exist; its records are kept (`snapseek root map` says where it is now, \
                    `snapseek forget` drops them)"
                        .to_owned();
                let folder = crate::terminal::sanitize::path(&root);
                self.progress.aside(|| self.console.warn(format_args!("{folder}: {message}")));
                self.unseen(FailureKind::MissingFolder, root.clone(), root.clone(), message)?;
                self.seen.missing.insert(root);
                return Ok(None);
            }
        };
        let state = self.writer.file(&path)?;
        let left_out = excluded || is_hidden(&path, &root) && !self.options.hidden;
        if left_out && state.is_none() {
            return Ok(None);
        }
        if let Some(state) = &state {
            self.seen.files.insert(state.id);
            let is_read = state.identified == identity::VERSION
                && state.reader == READER_VERSION
                && state.beside == photo_file::stamp_beside(&beside);
            if state.stamp == stamp && is_read && self.is_embedded(state)? {
                self.summary.unchanged += 1;
                self.brings(&path, OfferOutcome::Known);
                return Ok(None);
            }
            // What is known of a video stays, and follows its changes where that can be done.
            if video.is_some() && !self.has_ffmpeg() {
                self.summary.unchanged += 1;
                return Ok(None);
            }
        } else if self.writer.is_forgotten(&path)? {
            return Ok(None);
        } else if let Some(ending) = video.filter(|_| !(self.options.videos && self.has_ffmpeg())) {
            self.count_unread(root, ending);
            return Ok(None);
        } else {
            self.seen.added.insert(path.clone());
        }
        if let Some(failure) = self.writer.failure(&path)? {
            let kind = FailureKind::stored(&failure.kind);
            let can_be_read = kind.is_passing() || self.options.retry || failure.reader != READER_VERSION;
            if failure.stamp == stamp && !can_be_read {
                self.count_failure(kind, &path, &failure.message, true);
                self.seen.failed.insert(path);
                return Ok(None);
            }
        }
        let job = Job { path, root, stamp, was: state, beside };
        self.progress.found();
        match self.quarantine.verdict(&job.path, stamp) {
            Suspicion::Clear => return Ok(Some(job)),
            Suspicion::Suspect => self.suspects.push(job),
            // A newer decoder may handle it; if not, it is quarantined again.
            Suspicion::Quarantined if self.options.retry => self.suspects.push(job),
            Suspicion::Quarantined => {
                let message = "decoding this file ended the program twice; it is skipped until it changes".to_owned();
                self.settle(FileOutcome::Failed {
                    job: Box::new(job),
                    picture: None,
                    kind: FailureKind::Quarantined,
                    message,
                })?;
            }
        }
        Ok(None)
    }

    /// Whether every model of the run has embedded the picture of this file.
    fn is_embedded(&self, state: &FileState) -> anyhow::Result<bool> {
        if self.models.all.len() == 1 && self.models.current == Some(0) {
            return Ok(state.embedded);
        }
        Ok(self.models.lacking(&state.identity(), self.library)?.is_empty())
    }

    fn has_ffmpeg(&self) -> bool {
        *self.has_ffmpeg.get_or_init(ffmpeg::is_installed)
    }

    fn count_unread(&mut self, root: PathBuf, ending: &str) {
        *self.seen.unread.entry(root).or_default().entry(ending.to_owned()).or_default() += 1;
    }

    /// Records the result of a job.
    fn settle(&mut self, outcome: FileOutcome) -> anyhow::Result<()> {
        self.summary.read += 1;
        match outcome {
            FileOutcome::Twin { known } => {
                self.twins.push(*known);
                return Ok(());
            }
            FileOutcome::Photo { change, look, made } => {
                let mut seen = None;
                if let Change::Photo { path, facts, identity, .. } | Change::Unembedded { path, facts, identity, .. } =
                    &*change
                {
                    // It may be copied at this moment.
                    self.seen.is_disturbed |= facts.remark.is_some();
                    let outcome = if facts.remark.is_some() { OfferOutcome::Doubtful } else { OfferOutcome::Embedded };
                    self.brings(path, outcome);
                    seen = look.map(|look| look_of(identity.picture, look));
                }
                self.pending.push(*change);
                self.pending.extend(seen);
                self.embedded(made);
            }
            FileOutcome::Without { model, error } => {
                self.summary.broken.push(model);
                let name = self.models.all.get(model).map_or("", |chosen| chosen.record.name.as_str());
                let name = crate::terminal::sanitize::text(name);
                let error = crate::exit::explain(&error);
                self.progress.aside(|| {
                    self.console.warn(format_args!(
                        "the model {name} fails: {error}; the run goes on without it, and `snapseek models drop {name}` drops \
                         what it made"
                    ));
                });
                return Ok(());
            }
            FileOutcome::Known { known, made, problem } => {
                let KnownFile { job: Job { path, root, stamp, was, .. }, identity, metadata, colors, look } = *known;
                self.brings(&path, if problem.is_some() { OfferOutcome::Declined } else { OfferOutcome::Known });
                if let Some((kind, message)) = problem {
                    self.stays_incomplete(&path, kind, &message);
                }
                let colors = colors.map(|colors| Change::Colors { picture: identity.picture, colors });
                match was {
                    // Only its time has changed, or its picture had no hash yet.
                    Some(was) if was.hash == identity.file && was.beside == metadata.beside => {
                        self.summary.unchanged += u64::from(made.is_empty());
                    }
                    Some(was) if was.picture == identity.picture => self.summary.refreshed += 1,
                    _ => *self.seen.known.entry(identity.picture).or_default() += 1,
                }
                self.pending.push(Change::Known { path, root, stamp, identity, metadata });
                self.pending.extend(colors);
                self.pending.extend(look.map(|look| look_of(identity.picture, look)));
                if !made.is_empty() {
                    self.embedded(made);
                }
            }
            FileOutcome::Failed { job, .. } if matches!(self.sharing, Sharing::Helping(_)) => {
                self.brings(&job.path, OfferOutcome::Declined);
            }
            // A file that cannot be read now may well be unchanged.
            FileOutcome::Failed { job, kind, message, .. } if kind.is_passing() => {
                self.seen.failed.insert(job.path.clone());
                self.unseen(kind, job.path, job.root, message)?;
            }
            FileOutcome::Failed { job, kind, message, .. } if self.keeps(&job) => {
                self.summary.unchanged += 1;
                self.stays_incomplete(&job.path, kind, &message);
            }
            FileOutcome::Failed { job, picture, kind, message } => {
                let is_known = self.writer.failure(&job.path)?.is_some_and(|known| known.stamp == job.stamp);
                self.count_failure(kind, &job.path, &message, is_known);
                self.seen.failed.insert(job.path.clone());
                // It may be copied at this moment.
                self.seen.is_disturbed |= !is_known;
                if let Some(picture) = picture {
                    self.unreadable.insert(*picture, (kind, message.clone()));
                }
                let Job { path, root, stamp, .. } = *job;
                self.pending.push(Change::Failed {
                    path,
                    root,
                    stamp,
                    kind: kind.to_string(),
                    message,
                    reader: READER_VERSION,
                });
            }
            FileOutcome::Fatal(error) => return Err(error),
        }
        self.progress.done();
        Ok(())
    }

    /// Whether this file was read only because a model beside the current one lacks it: then what the current one knows
    /// of it stays, whatever came of that.
    fn keeps(&self, job: &Job) -> bool {
        let is_known = |was: &FileState| was.embedded && was.stamp == job.stamp && was.identified == identity::VERSION;
        self.models.all.len() > 1 && job.was.as_ref().is_some_and(is_known)
    }

    /// Records that a model could not embed what another one has embedded.
    fn stays_incomplete(&mut self, path: &Path, kind: FailureKind, message: &str) {
        self.summary.incomplete += 1;
        self.progress.aside(|| self.console.failure(path, kind.as_str(), message));
    }

    /// Records that a photo was embedded, and by which models; `made` follows what the file is.
    fn embedded(&mut self, made: Vec<(usize, Option<Change>)>) {
        self.summary.embedded += 1;
        for (model, change) in made {
            if let Some(made) = self.summary.made.get_mut(model) {
                *made += 1;
            }
            self.pending.extend(change);
        }
    }

    /// Records what could not be read. Unlike a failed file, it may well be unchanged, so an existing record stays.
    fn unseen(&mut self, kind: FailureKind, path: PathBuf, root: PathBuf, message: String) -> anyhow::Result<()> {
        let known = self.writer.file(&path)?.is_some();
        let is_new = known || self.writer.failure(&path)?.is_none();
        self.count_failure(kind, &path, &message, !is_new);
        self.seen.is_disturbed |= is_new;
        if !known {
            let stamp = FileStamp { size: 0, mtime_ns: 0 };
            self.pending.push(Change::Failed {
                path,
                root,
                stamp,
                kind: kind.to_string(),
                message,
                reader: READER_VERSION,
            });
        }
        Ok(())
    }

    fn count_failure(&mut self, kind: FailureKind, path: &Path, message: &str, is_known: bool) {
        self.summary.failed += 1;
        self.summary.failed_before += u64::from(is_known);
        *self.summary.failures.entry(kind).or_default() += 1;
        self.progress.aside(|| self.console.failure(path, kind.as_str(), message));
    }

    fn write(&mut self) -> anyhow::Result<()> {
        match &mut self.sharing {
            Sharing::Helping(done) if !done.is_empty() => {
                self.writer.bring(&self.pending, done)?;
                done.clear();
            }
            _ => self.writer.apply(&self.pending)?,
        }
        self.pending.clear();
        self.last_write = Instant::now();
        Ok(())
    }

    /// Drops the records of files that are gone, unless the loss looks like an unmounted disk.
    fn drop_vanished(&mut self, roots: &[PathBuf]) -> anyhow::Result<()> {
        let mut gone = Vec::new();
        for root in roots.iter().filter(|r| !self.seen.missing.contains(*r)) {
            let unseen: Vec<_> = self
                .writer
                .unseen(root, &self.seen.files)?
                .into_iter()
                .filter(|(_, path, _)| !self.seen.added.contains(path) && !self.seen.blind_to(path))
                .collect();
            // A file that still exists was left out on purpose (ignore file, hidden folder) and does not count as lost.
            let (left_out, unseen): (Vec<_>, Vec<_>) =
                unseen.into_iter().partition(|(_, path, _)| walk::is_there(path));
            gone.extend(left_out);
            if self.options.prune {
                gone.extend(unseen);
                continue;
            }
            let suspicious = self.suspicious(root, &unseen)?;
            let (held_back, unseen): (Vec<_>, Vec<_>) =
                unseen.into_iter().partition(|(_, path, _)| suspicious.iter().any(|folder| path.starts_with(folder)));
            self.summary.held_back += held_back.len() as u64;
            for folder in &suspicious {
                let lost = held_back.iter().filter(|(_, path, _)| path.starts_with(folder)).count();
                self.console.warn(format_args!(
                    "{lost} of {} files in {} cannot be found. If its disk is not mounted, mount it and run again; if \
                     they are really gone, run again with --prune. Nothing was dropped.",
                    self.writer.file_count(folder)?,
                    crate::terminal::sanitize::path(folder)
                ));
            }
            gone.extend(unseen);
        }
        for (_, path, hash) in gone {
            match self.seen.known.get_mut(&hash) {
                Some(n) if *n > 0 => {
                    *n -= 1;
                    self.summary.moved += 1;
                }
                _ => self.summary.removed += 1,
            }
            self.pending.push(Change::Remove { path });
        }
        self.summary.copied = self.seen.known.values().sum();
        for failure in self.library.failures()? {
            let below = roots.iter().any(|r| failure.path.starts_with(r) && !self.seen.missing.contains(r));
            if below && !self.seen.failed.contains(&failure.path) && !self.seen.blind_to(&failure.path) {
                self.pending.push(Change::Remove { path: failure.path });
            }
        }
        self.write()
    }

    /// Folders whose loss looks like an unmounted disk: the root if all or most of its files are gone, otherwise
    /// folders inside it that still exist but have lost all their files. None of them is inside another one.
    fn suspicious(&self, root: &Path, unseen: &[(i64, PathBuf, ContentHash)]) -> anyhow::Result<Vec<PathBuf>> {
        /// Files lost in a folder and below it, and how many of them were found elsewhere.
        #[derive(Default)]
        struct Loss {
            lost: usize,
            moved: usize,
        }
        let mut elsewhere = HashSet::new();
        for (id, path, hash) in unseen {
            let held = || -> anyhow::Result<bool> {
                Ok(self.writer.files_with(hash)?.iter().any(|file| self.seen.files.contains(file)))
            };
            // What the user was offered to delete is no surprise either.
            if self.seen.known.contains_key(hash) || held()? || self.library.is_proposed(path)? {
                elsewhere.insert(*id);
            }
        }
        let mut losses = BTreeMap::<&Path, Loss>::new();
        for (id, path, _) in unseen {
            for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(root)) {
                let loss = losses.entry(folder).or_default();
                loss.lost += 1;
                loss.moved += usize::from(elsewhere.contains(id));
            }
        }
        let mut suspicious: Vec<PathBuf> = Vec::new();
        // In this order a folder comes before the folders inside it.
        for (folder, Loss { lost, moved }) in losses {
            if moved * 2 >= lost || suspicious.iter().any(|outer| folder.starts_with(outer)) {
                continue;
            }
            let total = usize::try_from(self.writer.file_count(folder)?)?;
            let of_root = folder == root && (lost == total || lost * 2 > total && lost >= SUSPICIOUS_LOSS);
            if of_root || lost == total && lost >= SUSPICIOUS_LOSS && folder.is_dir() {
                suspicious.push(folder.to_path_buf());
            }
        }
        Ok(suspicious)
    }
}

fn look_of(picture: ContentHash, look: Vec<u8>) -> Change {
    Change::Look { picture, version: looks::VERSION, look }
}

/// Whether a path is hidden below its root.
fn is_hidden(path: &Path, root: &Path) -> bool {
    let below_root = path.strip_prefix(root).unwrap_or(path);
    below_root.iter().any(|part| part.as_encoded_bytes().starts_with(b"."))
}

/// The picture files at or below `path`, sorted, as [`run`] would find them (if `path` is a file, its name does not
/// matter); or what could not be read, and why.
#[must_use]
pub fn pictures(path: &Path) -> Vec<Result<PathBuf, String>> {
    let (out, found) = crossbeam_channel::unbounded();
    let excludes = DEFAULT_EXCLUDES.map(str::to_owned);
    let options = WalkOptions { hidden: false, excludes: &excludes, keep_excluded: false };
    walk::walk(&[path.to_path_buf()], options, &AtomicBool::new(false), &out);
    drop(out);
    let mut pictures: Vec<_> = found
        .iter()
        .filter_map(|found| match found {
            WalkEvent::File { path: found, video, .. } => (video.is_none() || found == path).then_some(Ok(found)),
            WalkEvent::Problem { path, message, .. } => {
                Some(Err(format!("{}: {message}", crate::terminal::sanitize::path(&path))))
            }
            WalkEvent::Unread { .. } => None,
            // In a folder it is no picture; but it may have been named.
            WalkEvent::Skipped { path: skipped, .. } => (skipped == path)
                .then(|| Err(format!("{} is a pipe, socket or device", crate::terminal::sanitize::path(path)))),
            WalkEvent::MissingRoot { root } => {
                Some(Err(format!("{} does not exist", crate::terminal::sanitize::path(&root))))
            }
        })
        .collect();
    pictures.sort();
    pictures
}
