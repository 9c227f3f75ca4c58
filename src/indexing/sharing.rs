//! A run that machines share: the one that indexes hands out files, and others help it.

use super::walk::{self, WalkEvent};
use super::workers::Job;
use crossbeam_channel::Sender;
use snapseek_index::{OfferOutcome, OfferedFile, Offers};
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the list is looked at.
const EVERY: Duration = Duration::from_millis(250);
/// Files for each thread that this machine keeps for itself, enough for as long as it does not look at the list.
const KEPT: usize = 32;
/// The most files that are on the list at once.
const LISTED: usize = 4_096;
/// Files for each thread that a helper takes at once.
const TAKEN: usize = 8;

/// What a run does for others, or they for it.
pub(super) enum Sharing {
    /// This process does everything.
    Alone,
    /// It hands out what it cannot do at once.
    Offering(Box<Offering>),
    /// It helps another: what it has done is told with the next write.
    Helping(Vec<(PathBuf, OfferOutcome)>),
}

/// The files that were handed out.
pub(super) struct Offering {
    offers: Offers,
    out: HashMap<PathBuf, HandedOut>,
    looked: Instant,
}

/// A file that was handed out.
pub(super) struct HandedOut {
    pub(super) job: Job,
    /// The positions of the models that had not embedded what it showed before.
    pub(super) lacking: Vec<usize>,
}

impl Offering {
    /// Begins with an empty list.
    pub(super) fn new(offers: Offers) -> anyhow::Result<Self> {
        offers.clear()?;
        Ok(Self { offers, out: HashMap::new(), looked: Instant::now() })
    }

    /// Whether nothing is handed out.
    pub(super) fn is_done(&self) -> bool {
        self.out.is_empty()
    }

    /// Hands out of `next` what `threads` threads cannot do soon, or takes back what they need. `lacking` tells which
    /// models have not embedded what a file shows. Returns what helpers have done.
    pub(super) fn look(
        &mut self,
        next: &mut VecDeque<Job>,
        threads: usize,
        lacking: &dyn Fn(&Job) -> anyhow::Result<Vec<usize>>,
    ) -> anyhow::Result<Vec<(HandedOut, OfferOutcome)>> {
        if self.looked.elapsed() < EVERY {
            return Ok(Vec::new());
        }
        self.looked = Instant::now();
        let mut done = Vec::new();
        if !self.out.is_empty() {
            for (path, outcome) in self.offers.collect()? {
                match self.out.remove(&path) {
                    Some(file) if outcome == OfferOutcome::Declined => next.push_front(file.job),
                    Some(file) => done.push((file, outcome)),
                    None => {}
                }
            }
        }
        let kept = KEPT * threads;
        if next.len() < kept / 2 && !self.out.is_empty() {
            let mut taken = self.offers.take_back(kept - next.len(), false)?;
            if taken.is_empty() && next.is_empty() {
                // What others work on is done here too, rather than waited for.
                taken = self.offers.take_back(2 * threads, true)?;
            }
            next.extend(taken.iter().filter_map(|path| self.out.remove(path)).map(|file| file.job));
        } else if next.len() > 2 * kept && self.out.len() < LISTED && self.offers.has_helpers()? {
            let surplus = (next.len() - kept).min(LISTED - self.out.len());
            let jobs: Vec<Job> = next.drain(kept..kept + surplus).collect();
            let (videos, jobs): (Vec<Job>, Vec<Job>) =
                jobs.into_iter().partition(|job| crate::photo::video_ending(&job.path).is_some());
            next.extend(videos);
            let file = |job: &Job| OfferedFile { path: job.path.clone(), root: job.root.clone(), stamp: job.stamp };
            let files: Vec<OfferedFile> = jobs.iter().map(file).collect();
            for job in jobs {
                let lacking = lacking(&job)?;
                self.out.insert(job.path.clone(), HandedOut { job, lacking });
            }
            self.offers.put(&files)?;
        }
        Ok(done)
    }

    /// Empties the list.
    pub(super) fn end(&self) -> anyhow::Result<()> {
        Ok(self.offers.clear()?)
    }
}

/// Sends the files that are handed out to this machine until there have been none for `patience`, `cancel` is set or
/// the receiver is dropped.
pub(super) fn feed(
    offers: &Offers,
    threads: usize,
    patience: Duration,
    cancel: &AtomicBool,
    out: &Sender<WalkEvent>,
) -> anyhow::Result<()> {
    let (mut idle, mut unseen) = (Instant::now(), Vec::<PathBuf>::new());
    let (mut is_open, models) = (true, offers.models()?);
    // Of another model this process may have nothing.
    while is_open && !cancel.load(Ordering::Relaxed) && offers.models()? == models {
        offers.volunteer()?;
        let files = offers.take(TAKEN * threads, &unseen)?;
        if files.is_empty() {
            let left = patience.saturating_sub(idle.elapsed());
            if left.is_zero() {
                break;
            }
            offers.wait(left.min(EVERY))?;
            continue;
        }
        let mut declined = Vec::new();
        for file in files {
            if let Some(event) = walk::offered(&file) {
                is_open = is_open && out.send(event).is_ok();
                continue;
            }
            // The machine that indexes sees this folder, and this one may not.
            if !unseen.contains(&file.root) && !file.root.is_dir() {
                unseen.push(file.root);
            }
            declined.push(file.path);
        }
        if !declined.is_empty() {
            offers.decline(declined)?;
        }
        idle = Instant::now();
    }
    Ok(offers.give_back()?)
}
