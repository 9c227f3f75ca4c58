//! Progress of an indexing run: a bar on a terminal, plain lines elsewhere, or reports to a listener.

use crate::terminal::console::Console;
use crate::terminal::listener::{Photos, Reports};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::time::{Duration, Instant};

const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows how far the run is.
pub struct Progress {
    bar: Option<ProgressBar>,
    reports: Reports<Photos>,
    lines: bool,
    started: Instant,
    last_line: Instant,
    found: u64,
    done: u64,
    walking: bool,
}

impl Progress {
    /// A bar, lines, reports or nothing, as the console wants.
    #[must_use]
    pub fn new(console: &Console) -> Self {
        let bar = console.wants_bar().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(8));
            if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len} photos  {rate}  {eta} left  {msg}") {
                let rate = |state: &ProgressState, out: &mut dyn Write| {
                    let _ = write!(out, "{:.1} a second", state.per_sec());
                };
                bar.set_style(style.progress_chars("━╸ ").with_key("rate", rate));
            }
            bar
        });
        let now = Instant::now();
        let lines = bar.is_none() && console.wants_lines();
        let reports = console.photos();
        Self { bar, reports, lines, started: now, last_line: now, found: 0, done: 0, walking: true }
    }

    /// So many photos need work, and all of them are known.
    pub fn expect(&mut self, photos: u64) {
        (self.found, self.walking) = (photos, false);
        self.report();
        if let Some(bar) = &self.bar {
            bar.set_length(photos);
            bar.set_message("captioned");
        }
    }

    /// One more photo that needs work was found.
    pub(super) fn found(&mut self) {
        self.found += 1;
        self.report();
        if let Some(bar) = &self.bar {
            bar.set_length(self.found);
            if self.walking {
                bar.set_message("(still looking)");
            }
        }
    }

    /// The folders have been walked.
    pub(super) fn walked(&mut self) {
        self.walking = false;
        self.report();
        if let Some(bar) = &self.bar {
            bar.set_message("");
        }
    }

    /// One photo is done, well or badly.
    pub fn done(&mut self) {
        self.done += 1;
        self.report();
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
        } else if self.lines && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let rate = self.done as f64 / self.started.elapsed().as_secs_f64();
            let left = (self.found.saturating_sub(self.done)) as f64 / rate.max(1e-9);
            // A closed stderr is nobody's business.
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("{}/{} photos, {rate:.1} a second, {left:.0} s left\n", self.done, self.found),
            );
        }
    }

    fn report(&mut self) {
        self.reports.report(Photos { found: self.found, done: self.done, walking: self.walking });
    }

    /// Lets `message` write to the terminal without the bar in its way.
    pub fn aside<T>(&self, message: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(message),
            None => message(),
        }
    }

    /// Takes the bar away, and tells a listener how far it came.
    pub fn finish(&mut self) {
        self.reports.flush();
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
