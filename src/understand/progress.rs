//! Progress of work on a whole library: a bar on a terminal, lines elsewhere.

use crate::console::Console;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Told how much of how much is done; says whether to go on.
pub type Report<'a> = dyn FnMut(usize, usize) -> bool + 'a;

/// Work that takes less is not worth a line.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows how far the work is, step by step.
pub struct Progress<'a> {
    bar: Option<ProgressBar>,
    lines: bool,
    last_line: Instant,
    cancel: &'a AtomicBool,
}

impl<'a> Progress<'a> {
    /// A bar, lines or nothing, as the console wants; `cancel` ends the work.
    #[must_use]
    pub fn new(console: &Console, cancel: &'a AtomicBool) -> Self {
        let bar = console.wants_bar().then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(8));
            if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len}  {eta} left  {msg}") {
                bar.set_style(style.progress_chars("━╸ "));
            }
            bar
        });
        Self { lines: bar.is_none() && console.wants_lines(), bar, last_line: Instant::now(), cancel }
    }

    /// So much of a step is done; says whether to go on.
    pub fn step(&mut self, what: &'static str, done: usize, total: usize) -> bool {
        if let Some(bar) = &self.bar {
            if bar.message() != what {
                bar.reset_eta();
                bar.set_message(what);
            }
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        } else if self.lines && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            // A closed stderr is nobody's business.
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{what}: {done} of {total}\n"));
        }
        !self.cancel.load(Ordering::Relaxed)
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
