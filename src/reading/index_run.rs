//! One run that reads the text in a library's photos, newest first.
//!
//! ```text
//! pending ──▶ threads (read, decode, glance, find, read) ──▶ this thread (writes what was read, some at a time)
//! ```
//! What was read is written every second or every 64 photos, each time in one transaction: a run that is killed has
//! read at most that in vain.

use super::picture::{self, ReadPicture};
use crate::model::ocr::{TextLine, TextReader};
use crate::panics;
use crate::photo::DecodeLimits;
use crate::search::photo_file::first_showing;
use crate::terminal::console::Console;
use crate::terminal::progress::PhotoProgress;
use crate::terminal::sanitize;
use crossbeam_channel::{RecvTimeoutError, bounded};
use snapseek_index::{Library, PendingPhoto, PlacedLine, TextKeeper};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Photos after which the full-text cache is looked after.
const REFRESH: usize = 500;
/// Photos that are written at once, and how long the first of them waits at most.
const BATCH: usize = 64;
const WAIT: Duration = Duration::from_secs(1);

/// What a run did.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextSummary {
    /// Photos that were read.
    pub read: u64,
    /// Those in which something stands.
    pub with_text: u64,
    /// Photos that could not be read.
    pub failed: u64,
    /// The run was interrupted.
    pub interrupted: bool,
}

/// How photos are read.
#[derive(Clone, Copy, Debug)]
pub struct TextOptions<'a> {
    /// What reads.
    pub reader: &'a TextReader,
    /// The longest edge in pixels at which lines are looked for.
    pub edge: u32,
    /// Photos that another reader has read are read again.
    pub again: bool,
    /// How many threads read.
    pub threads: usize,
}

/// Reads the photos that have not been read; if `folders` are given, only those with a file in one of them.
///
/// # Errors
/// Another process is reading, the catalogue cannot be written, or the model is damaged. What was written is kept.
pub fn run(
    library: &Library,
    options: TextOptions<'_>,
    folders: &[PathBuf],
    cancel: &AtomicBool,
    console: &Console,
) -> anyhow::Result<TextSummary> {
    let keeper = library.text_keeper(options.reader.fingerprint(), options.again)?;
    let keeper = if folders.is_empty() { keeper } else { keeper.within(folders) };
    let mut progress = PhotoProgress::new(console);
    progress.expect(keeper.pending_count()?, "read");
    let done = TextSummary::default();
    let mut run = TextRun { keeper, cancel, console, progress, done, batch: Vec::new(), since_refresh: 0 };
    let outcome = run.all(options);
    // What was read before an error counts.
    let saved = run.save();
    run.progress.finish();
    outcome.and(saved)?;
    run.refresh()?;
    run.done.interrupted = cancel.load(Ordering::Relaxed);
    Ok(run.done)
}

/// Reads these photos, whether they were read before or not, one after the other.
///
/// # Errors
/// As for [`run`]. What was written is kept.
pub fn these(
    library: &Library,
    options: TextOptions<'_>,
    photos: &[PendingPhoto],
    cancel: &AtomicBool,
    progress: &mut dyn FnMut(usize, usize) -> bool,
) -> anyhow::Result<(TextSummary, Vec<String>)> {
    let mut keeper = library.text_keeper(options.reader.fingerprint(), true)?;
    let (mut done, mut problems) = (TextSummary::default(), Vec::new());
    for (n, photo) in photos.iter().enumerate() {
        if !progress(n, photos.len()) {
            done.interrupted = true;
            break;
        }
        match read(photo, options, cancel) {
            Ok(Some((_, picture))) => {
                let text = picture::searched(&picture.lines);
                done.read += 1;
                done.with_text += u64::from(!text.is_empty());
                keeper.save(&[(photo.id, picture.lines.into_iter().map(placed).collect(), text)])?;
            }
            Ok(None) => {}
            Err(why) => {
                done.failed += 1;
                problems.push(why);
            }
        }
    }
    keeper.refresh_words(&mut |_, _, _| !cancel.load(Ordering::Relaxed))?;
    Ok((done, problems))
}

/// A line as the library keeps it.
fn placed(line: TextLine) -> PlacedLine {
    PlacedLine {
        text: line.text,
        score: line.score,
        quad: line.quad.map(|corner| corner.map(|at| (at * 10.0).round() / 10.0)),
    }
}

struct TextRun<'a> {
    keeper: TextKeeper<'a>,
    cancel: &'a AtomicBool,
    console: &'a Console,
    progress: PhotoProgress,
    done: TextSummary,
    batch: Vec<(i64, Vec<PlacedLine>, String)>,
    since_refresh: usize,
}

/// What became of a photo: its text, why it could not be read, or nothing if the run was cancelled.
type TextOutcome = (PendingPhoto, Result<Option<(PathBuf, ReadPicture)>, String>);

impl TextRun<'_> {
    fn all(&mut self, options: TextOptions<'_>) -> anyhow::Result<()> {
        let stop = AtomicBool::new(false);
        let threads = options.threads.max(1);
        std::thread::scope(|scope| {
            let (jobs_in, jobs) = bounded::<PendingPhoto>(2 * threads);
            let (outcomes_in, outcomes) = bounded::<TextOutcome>(2 * threads);
            for _ in 0..threads {
                let (jobs, outcomes, stop, cancel) = (jobs.clone(), outcomes_in.clone(), &stop, self.cancel);
                // Nobody else's work may begin while a thread holds a decoded picture.
                let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
                scope.spawn(move || {
                    for photo in jobs {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        let outcome = pool.install(|| read(&photo, options, cancel));
                        if outcomes.send((photo, outcome)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop((jobs, outcomes_in));
            let outcome = (|| {
                let mut under_way = 0;
                let mut since = Instant::now();
                while !self.cancel.load(Ordering::Relaxed) {
                    for photo in self.keeper.pending(2 * threads - under_way)? {
                        anyhow::ensure!(jobs_in.send(photo).is_ok(), "the threads that read text have panicked");
                        under_way += 1;
                    }
                    if under_way == 0 {
                        break;
                    }
                    match outcomes.recv_timeout(Duration::from_millis(100)) {
                        Ok(outcome) => {
                            under_way -= 1;
                            if self.batch.is_empty() {
                                since = Instant::now();
                            }
                            self.take(outcome);
                        }
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => {
                            anyhow::bail!("the threads that read text have panicked")
                        }
                    }
                    if self.batch.len() >= BATCH || !self.batch.is_empty() && since.elapsed() >= WAIT {
                        self.save()?;
                    }
                }
                // Those that are nearly done count, too.
                stop.store(true, Ordering::Relaxed);
                drop(jobs_in);
                outcomes.iter().for_each(|outcome| self.take(outcome));
                Ok(())
            })();
            stop.store(true, Ordering::Relaxed);
            outcome
        })
    }

    fn take(&mut self, (photo, outcome): TextOutcome) {
        match outcome {
            Ok(None) => {}
            Ok(Some((path, ReadPicture { lines, .. }))) => {
                let text = picture::searched(&lines);
                self.done.read += 1;
                self.done.with_text += u64::from(!text.is_empty());
                self.progress.aside(|| {
                    if !text.is_empty() {
                        let shown = sanitize::text(&text.replace('\n', " / "));
                        self.console.detail(format_args!("{}: {shown}", sanitize::path(&path)));
                    }
                });
                self.batch.push((photo.id, lines.into_iter().map(placed).collect(), text));
                self.progress.done();
            }
            Err(why) => {
                self.done.failed += 1;
                self.progress.failed(self.console, self.done.failed, &why);
            }
        }
    }

    fn save(&mut self) -> anyhow::Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.keeper.save(&self.batch)?;
        self.since_refresh += self.batch.len();
        self.batch.clear();
        if self.since_refresh >= REFRESH { self.refresh() } else { Ok(()) }
    }

    /// Keeps searches fast while texts come in. If another process is writing, that process will do it.
    fn refresh(&mut self) -> anyhow::Result<()> {
        self.since_refresh = 0;
        let cancel = self.cancel;
        self.keeper.refresh_words(&mut |_, _, _| !cancel.load(Ordering::Relaxed))?;
        Ok(())
    }
}

fn read(
    photo: &PendingPhoto,
    options: TextOptions<'_>,
    cancel: &AtomicBool,
) -> Result<Option<(PathBuf, ReadPicture)>, String> {
    let paths = photo.paths.iter().map(PathBuf::as_path);
    let read = |path: &Path, bytes: &[u8]| {
        let read = panics::contained(|| picture::read(options.reader, bytes, options.edge, true, cancel))??;
        Ok(read.map(|read| (path.to_path_buf(), read)))
    };
    first_showing((photo.id, &photo.picture), paths, &DecodeLimits::default(), read)
}
