//! Progress of work on a whole library: a bar on a terminal, lines elsewhere, or reports to a listener.

use super::console::Console;
use super::listener::{Reports, Step};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Told how much of how much is done; says whether to go on.
pub type Report<'a> = dyn FnMut(usize, usize) -> bool + 'a;

/// Work that takes less is not worth a line.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// A bar for work that takes less would only flicker.
const BAR_AFTER: Duration = Duration::from_millis(300);

/// Shows how far the work is, step by step.
pub struct Progress<'a> {
    bar: Option<ProgressBar>,
    reports: Reports<Step>,
    wants_bar: bool,
    wants_lines: bool,
    started: Instant,
    last_line: Instant,
    cancel: &'a AtomicBool,
}

impl<'a> Progress<'a> {
    /// A bar, lines, reports or nothing, as the console wants; `cancel` ends the work.
    #[must_use]
    pub fn new(console: &Console, cancel: &'a AtomicBool) -> Self {
        let (wants_bar, wants_lines) = (console.wants_bar(), console.wants_lines());
        let now = Instant::now();
        Self { bar: None, reports: console.steps(), wants_bar, wants_lines, started: now, last_line: now, cancel }
    }

    /// So much of a step is done; says whether to go on.
    pub fn step(&mut self, what: &'static str, done: usize, total: usize) -> bool {
        self.reports.report(Step { what, done, total });
        if self.wants_bar && self.started.elapsed() >= BAR_AFTER {
            let bar = self.bar.get_or_insert_with(bar);
            // Before the message, so that no step shows the numbers of another.
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            if bar.message() != what {
                bar.reset_eta();
                bar.set_message(what);
            }
        } else if !self.wants_bar && self.wants_lines && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            // A closed stderr is nobody's business.
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{what}: {done} of {total}\n"));
        }
        !self.cancel.load(Ordering::Relaxed)
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(8));
    match ProgressStyle::with_template("{bar:32} {pos}/{len}  {eta} left  {msg}") {
        Ok(style) => bar.with_style(style.progress_chars("━╸ ")),
        Err(_) => bar,
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
