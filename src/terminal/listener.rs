//! Reports messages and progress to a front end that owns the terminal, not more often than a person can see.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Minimum time between two reports of one step.
pub(super) const EVERY: Duration = Duration::from_millis(50);

/// Where messages and progress go instead of stderr.
pub trait Listener: Send + Sync {
    /// Something the user should know; `warning` if something went wrong. `text` is not escaped.
    fn message(&self, warning: bool, text: &str);

    /// `done` of `total` pieces of a step of some work on the library are done.
    fn step(&self, _what: &'static str, _done: usize, _total: usize) {}

    /// `done` of `total` bytes, or thousandths, of one long piece of work such as a download are done; `what` is not escaped.
    fn gauge(&self, _what: &str, _done: u64, _total: u64) {}

    /// An indexing run has found and finished this many photos; `walking` while it still searches folders.
    fn photos(&self, _found: u64, _done: u64, _walking: bool) {}

    /// A file could not be read. `path` and `message` are not escaped.
    fn failure(&self, _path: &Path, _kind: &str, _message: &str) {}
}

impl std::fmt::Debug for dyn Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Listener")
    }
}

/// Progress of some work that can be passed to a listener.
pub trait ProgressEvent: Copy + fmt::Debug {
    /// Passes it to the listener.
    fn tell(self, listener: &dyn Listener);

    /// Whether it differs from `before` in more than its numbers and so must be reported at once.
    fn is_news(&self, before: &Self) -> bool;
}

/// [`Listener::step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The name of the step.
    pub what: &'static str,
    /// Pieces that are done.
    pub done: usize,
    /// All pieces.
    pub total: usize,
}

/// [`Listener::photos`].
#[derive(Clone, Copy, Debug)]
pub struct PhotoCount {
    /// Photos that need work.
    pub found: u64,
    /// Photos of these that are finished.
    pub done: u64,
    /// Whether more may be found.
    pub walking: bool,
}

impl ProgressEvent for Step {
    fn tell(self, listener: &dyn Listener) {
        listener.step(self.what, self.done, self.total);
    }

    fn is_news(&self, before: &Self) -> bool {
        self.what != before.what
    }
}

impl ProgressEvent for PhotoCount {
    fn tell(self, listener: &dyn Listener) {
        listener.photos(self.found, self.done, self.walking);
    }

    fn is_news(&self, before: &Self) -> bool {
        self.walking != before.walking
    }
}

/// Reports progress to a listener, if there is one. A report that is held back is passed on when this is dropped, at
/// the latest.
#[derive(Debug)]
pub struct Reports<T: ProgressEvent> {
    listener: Option<Arc<dyn Listener>>,
    reported: Option<(T, Instant)>,
    waiting: Option<T>,
}

impl<T: ProgressEvent> Reports<T> {
    pub(crate) fn new(listener: Option<Arc<dyn Listener>>) -> Self {
        Self { listener, reported: None, waiting: None }
    }

    /// Passes a report on now, or holds it back if another one was passed on just before.
    pub fn report(&mut self, report: T) {
        let Some(listener) = &self.listener else { return };
        match &self.reported {
            Some((before, when)) if when.elapsed() < EVERY && !report.is_news(before) => self.waiting = Some(report),
            _ => {
                // The end of a step is reported before the next step begins.
                if let Some(last) = self.waiting.take().filter(|last| report.is_news(last)) {
                    last.tell(listener.as_ref());
                }
                self.reported = Some((report, Instant::now()));
                report.tell(listener.as_ref());
            }
        }
    }

    /// Passes on the report that is held back, if any.
    pub fn flush(&mut self) {
        if let (Some(listener), Some(report)) = (&self.listener, self.waiting.take()) {
            report.tell(listener.as_ref());
        }
    }
}

impl<T: ProgressEvent> Drop for Reports<T> {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::terminal::console::Console;
    use std::path::Path;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Heard(Mutex<Vec<(&'static str, usize)>>);

    impl Listener for Heard {
        fn message(&self, _: bool, _: &str) {}
        fn step(&self, what: &'static str, done: usize, _: usize) {
            self.0.lock().unwrap().push((what, done));
        }
        fn photos(&self, _: u64, _: u64, _: bool) {}
        fn failure(&self, _: &Path, _: &str, _: &str) {}
    }

    #[test]
    fn of_many_reports_few_are_told_but_the_first_and_the_last_of_each_step() {
        let heard = Arc::new(Heard::default());
        let mut reports = Console::to(Arc::clone(&heard) as Arc<dyn Listener>).steps();
        for what in ["reading", "writing"] {
            (0..=10_000).for_each(|done| reports.report(Step { what, done, total: 10_000 }));
        }
        drop(reports);
        let heard = heard.0.lock().unwrap();
        assert!(heard.len() < 10_000, "{}", heard.len());
        for reported in [("reading", 0), ("reading", 10_000), ("writing", 0), ("writing", 10_000)] {
            assert_eq!(heard.iter().filter(|heard| **heard == reported).count(), 1, "{reported:?}");
        }
        assert!(heard.is_sorted());
    }
}
