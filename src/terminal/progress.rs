//! Progress of work: a bar on a terminal, lines elsewhere, or reports to a listener.

use super::console::Console;
use super::listener::{EVERY, PhotoCount, Reports, Step};
use super::sanitize;
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Called with how many pieces are done and how many there are; returns whether to continue.
pub type StepFn<'a> = dyn FnMut(usize, usize) -> bool + 'a;

/// A bar is shown only after this time: for shorter work it would only flicker.
const BAR_AFTER: Duration = Duration::from_millis(300);
/// Time between two lines where there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// Before this time no guess is made how long the rest takes.
const GUESS_AFTER: Duration = Duration::from_secs(2);

/// What a [`Bar`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Pieces of work; the message says of what kind.
    Pieces,
    /// Photos, with the rate per second.
    Photos,
    /// Bytes of a download.
    Bytes,
    /// A share of one long computation.
    Percent,
}

/// What is said about the time that the rest takes: nothing at first, when it would be a guess, and at the end.
fn time_left(elapsed: Duration, eta: Duration) -> String {
    if elapsed < GUESS_AFTER || eta < Duration::from_secs(1) {
        return String::new();
    }
    format!("{:#} left  ", HumanDuration(eta))
}

/// The progress bar on stderr, where the console wants one.
#[derive(Debug)]
pub struct Bar(Option<ProgressBar>);

impl Bar {
    /// A bar that is drawn when [`Bar::show`] is first called.
    #[must_use]
    pub fn new(console: &Console, unit: Unit) -> Self {
        Self(console.wants_bar().then(|| {
            let template = match unit {
                Unit::Pieces => "{bar:32} {pos}/{len}  {left}{msg}",
                Unit::Photos => "{bar:32} {pos}/{len} photos  {rate}  {left}{msg}",
                Unit::Bytes => "{bar:32} {bytes}/{total_bytes}  {bytes_per_sec}  {left}{msg}",
                Unit::Percent => "{bar:32} {percent} %  {elapsed} elapsed  {left}{msg}",
            };
            let rate = |state: &ProgressState, out: &mut dyn Write| {
                let _ = write!(out, "{:.1} a second", state.per_sec());
            };
            let left = |state: &ProgressState, out: &mut dyn Write| {
                let _ = write!(out, "{}", time_left(state.elapsed(), state.eta()));
            };
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(8));
            match ProgressStyle::with_template(template) {
                Ok(style) => bar.with_style(style.progress_chars("━╸ ").with_key("rate", rate).with_key("left", left)),
                Err(_) => bar,
            }
        }))
    }

    /// Whether there is a bar.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.0.is_some()
    }

    /// `done` of `total`, with a message that is safe for a terminal; a new message begins a new step.
    pub fn show(&self, done: u64, total: u64, message: &str) {
        let Some(bar) = &self.0 else { return };
        // Before the message, so that no step shows the numbers of another.
        bar.set_length(total);
        bar.set_position(done);
        if bar.message() != message {
            bar.reset_eta();
            bar.set_message(message.to_owned());
        }
    }

    /// Hides the bar while `message` writes to the terminal.
    pub fn aside<T>(&self, message: impl FnOnce() -> T) -> T {
        match &self.0 {
            Some(bar) => bar.suspend(message),
            None => message(),
        }
    }

    /// Removes the bar.
    pub fn clear(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Shows how far one long piece of work is, as a bar or to a listener, and holds the flag that cancels it.
pub struct Gauge<'a> {
    bar: Bar,
    console: &'a Console,
    cancel: &'a AtomicBool,
    told: Option<(String, Instant)>,
}

impl<'a> Gauge<'a> {
    /// A gauge that counts in this unit; `cancel` stops the work.
    #[must_use]
    pub fn new(console: &'a Console, unit: Unit, cancel: &'a AtomicBool) -> Self {
        Self { bar: Bar::new(console, unit), console, cancel, told: None }
    }

    /// Reports that `done` of `total` of what is worked on are done; returns whether to continue. `what` is foreign text.
    pub fn show(&mut self, what: &str, done: u64, total: u64) -> bool {
        self.bar.show(done, total, &sanitize::text(what));
        if let Some(listener) = self.console.listener() {
            let is_due = |(told, when): &(String, Instant)| told != what || when.elapsed() >= EVERY || done >= total;
            if self.told.as_ref().is_none_or(is_due) {
                self.told = Some((what.to_owned(), Instant::now()));
                listener.gauge(what, done, total);
            }
        }
        !self.cancel.load(Ordering::Relaxed)
    }

    /// Whether there is a bar.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        self.bar.is_shown()
    }

    /// Whether the work was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Removes the bar.
    pub fn clear(&mut self) {
        self.bar.clear();
    }
}

/// Shows the progress of work on a whole library, step by step, and holds the flag that cancels it.
pub struct Progress<'a> {
    console: &'a Console,
    bar: Option<Bar>,
    reports: Reports<Step>,
    started: Instant,
    last_line: Instant,
    cancel: &'a AtomicBool,
}

impl<'a> Progress<'a> {
    /// A bar, lines, reports or nothing, as the console wants; `cancel` stops the work.
    #[must_use]
    pub fn new(console: &'a Console, cancel: &'a AtomicBool) -> Self {
        let now = Instant::now();
        Self { console, bar: None, reports: console.steps(), started: now, last_line: now, cancel }
    }

    /// Reports that `done` of `total` pieces of a step are done; returns whether to continue.
    pub fn step(&mut self, what: &'static str, done: usize, total: usize) -> bool {
        self.reports.report(Step { what, done, total });
        if self.console.wants_bar() && self.started.elapsed() >= BAR_AFTER {
            let bar = self.bar.get_or_insert_with(|| Bar::new(self.console, Unit::Pieces));
            bar.show(done as u64, total as u64, what);
        } else if !self.console.wants_bar() && self.console.wants_lines() && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            line(format_args!("{what}: {done} of {total}"));
        }
        !self.cancel.load(Ordering::Relaxed)
    }
}

/// Shows the progress of a run over photos.
pub struct PhotoProgress {
    bar: Bar,
    reports: Reports<PhotoCount>,
    lines: bool,
    started: Instant,
    last_line: Instant,
    found: u64,
    done: u64,
    walking: bool,
    /// The text after the bar once all photos are known.
    message: &'static str,
}

impl PhotoProgress {
    /// A bar, lines, reports or nothing, as the console wants.
    #[must_use]
    pub fn new(console: &Console) -> Self {
        let bar = Bar::new(console, Unit::Photos);
        let lines = !bar.is_shown() && console.wants_lines();
        let (reports, now) = (console.photos(), Instant::now());
        Self { bar, reports, lines, started: now, last_line: now, found: 0, done: 0, walking: true, message: "" }
    }

    /// Sets the number of photos, to which `what` is done; no more will be found.
    pub fn expect(&mut self, photos: u64, what: &'static str) {
        (self.found, self.walking, self.message) = (photos, false, what);
        self.show();
    }

    /// Counts one more photo that needs work.
    pub fn found(&mut self) {
        self.found += 1;
        self.show();
    }

    /// All folders have been searched.
    pub fn walked(&mut self) {
        self.walking = false;
        self.show();
    }

    /// Counts one photo as finished, whether it succeeded or failed.
    pub fn done(&mut self) {
        self.done += 1;
        self.show();
        if self.lines && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            line(format_args!("{}", self.line(self.started.elapsed())));
        }
    }

    /// Counts one photo as finished that could not be read, the `failed`th, and says why: of the first ones or, with
    /// `-v`, of all.
    pub fn failed(&mut self, console: &Console, failed: u64, why: &str) {
        /// Failures that are reported without `-v`.
        const SHOWN: u64 = 20;
        self.done();
        self.aside(|| {
            if console.is_verbose() || failed <= SHOWN {
                console.warn(why);
            } else if failed == SHOWN + 1 {
                console.warn("more photos cannot be read (-v lists them)");
            }
        });
    }

    /// Done, total, rate and, once all photos are known, the time left.
    fn line(&self, elapsed: Duration) -> String {
        let rate = self.done as f64 / elapsed.as_secs_f64().max(1e-9);
        let so_far = if self.walking { " so far" } else { "" };
        let left = Duration::from_secs_f64(self.found.saturating_sub(self.done) as f64 / rate.max(1e-3));
        let left = if self.walking { String::new() } else { time_left(elapsed, left) };
        let left = if left.is_empty() { left } else { format!(", {}", left.trim_end()) };
        format!("{} of {} photos{so_far}, {rate:.1} a second{left}", self.done, self.found)
    }

    fn show(&mut self) {
        self.reports.report(PhotoCount { found: self.found, done: self.done, walking: self.walking });
        if self.found > 0 {
            self.bar.show(self.done, self.found, if self.walking { "(still looking)" } else { self.message });
        }
    }

    /// Hides the bar while `message` writes to the terminal.
    pub fn aside<T>(&self, message: impl FnOnce() -> T) -> T {
        self.bar.aside(message)
    }

    /// Removes the bar and passes the last progress on to a listener.
    pub fn finish(&mut self) {
        self.reports.flush();
        self.bar.clear();
    }
}

impl Drop for PhotoProgress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn line(text: std::fmt::Arguments<'_>) {
    // If stderr is closed, there is nobody to tell.
    let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{text}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::console::Color;

    #[test]
    fn no_time_is_guessed_before_it_can_be_known() {
        let mut progress = PhotoProgress::new(&Console::new(Color::Never, 0, false));
        (progress.found, progress.done) = (4_000, 300);
        assert_eq!(progress.line(Duration::from_secs(30)), "300 of 4000 photos so far, 10.0 a second");
        progress.walked();
        assert_eq!(progress.line(Duration::from_secs(30)), "300 of 4000 photos, 10.0 a second, 6m left");
        assert_eq!(progress.line(Duration::from_secs(1)), "300 of 4000 photos, 300.0 a second");
        assert_eq!(time_left(Duration::from_secs(9), Duration::from_millis(400)), "");
    }
}
