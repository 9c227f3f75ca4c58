//! The program's two outputs: results go to stdout; everything else goes to stderr or, in an application that owns the
//! terminal, to a listener.

use super::listener::{Listener, PhotoCount, Reports, Step};

use super::sanitize;
use crate::exit::{ClosedPipe, without_error_numbers};
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

/// When to write ANSI colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// If stdout is a terminal that supports more than plain text.
    OnTerminal,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How results and messages reach the user.
#[derive(Clone, Debug)]
pub struct Console {
    /// Whether stdout is a terminal.
    pub terminal: bool,
    /// Whether stderr is a terminal.
    pub stderr_terminal: bool,
    color: bool,
    verbose: u8,
    quiet: bool,
    listener: Option<Arc<dyn Listener>>,
}

impl Console {
    /// A console for this process; `verbose` counts `-v`, `quiet` is `-q`.
    #[must_use]
    pub fn new(color: Color, verbose: u8, quiet: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        Self {
            terminal,
            stderr_terminal: io::stderr().is_terminal(),
            color: match color {
                Color::Always => true,
                Color::Never => false,
                Color::OnTerminal => terminal && !is_dumb(),
            },
            verbose,
            quiet,
            listener: None,
        }
    }

    /// A console for an application that owns the terminal: messages and progress go to `listener`, the user is asked
    /// nothing, and nothing is written to stdout or stderr.
    #[must_use]
    pub fn to(listener: Arc<dyn Listener>) -> Self {
        Self {
            terminal: false,
            stderr_terminal: false,
            color: false,
            verbose: 0,
            quiet: false,
            listener: Some(listener),
        }
    }

    /// Writes one line of JSON to stdout.
    ///
    /// # Errors
    /// stdout is closed or full.
    pub fn json(&self, value: &impl serde::Serialize) -> anyhow::Result<()> {
        Ok(self.line(&sanitize::json(value)?)?)
    }

    /// Writes a line to stdout; the text must already be escaped.
    ///
    /// # Errors
    /// stdout is closed or full.
    pub fn line(&self, safe: &str) -> io::Result<()> {
        self.bytes(format!("{safe}\n").as_bytes())
    }

    /// Writes a part of a line to stdout and flushes it; the text must already be escaped.
    ///
    /// # Errors
    /// stdout is closed or full.
    pub fn piece(&self, safe: &str) -> io::Result<()> {
        self.bytes(safe.as_bytes())?;
        io::stdout().lock().flush()
    }

    /// Writes raw bytes to stdout.
    ///
    /// # Errors
    /// stdout is closed or full.
    pub fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        // With a listener the screen is not ours; it gets results as values.
        if self.listener.is_some() { Ok(()) } else { to_stdout(bytes) }
    }

    /// A path for stdout: escaped on a terminal, exact bytes in a pipe.
    #[must_use]
    pub fn path_bytes(&self, path: &Path) -> Vec<u8> {
        if self.terminal { sanitize::path(path).into_bytes() } else { path.as_os_str().as_encoded_bytes().to_vec() }
    }

    /// Prints something that the user should know; silent with `-q`.
    pub fn note(&self, message: impl Display) {
        if !self.quiet {
            self.say(false, &message);
        }
    }

    /// Prints something only with `-v`.
    pub fn detail(&self, message: impl Display) {
        if self.verbose > 0 {
            self.say(false, &message);
        }
    }

    /// Prints a warning: something went wrong.
    pub fn warn(&self, message: impl Display) {
        self.say(true, &message);
    }

    fn say(&self, warning: bool, message: &dyn Display) {
        let message = without_error_numbers(&message.to_string());
        if let Some(listener) = &self.listener {
            return listener.message(warning, &message);
        }
        let prefix = if warning { "warning: " } else { "" };
        // If stderr is closed, there is nobody to tell.
        let _ = writeln!(io::stderr().lock(), "{prefix}{}", sanitize::lines(&message));
    }

    /// Reports a file that could not be read, to the listener or with `-v`.
    pub fn failure(&self, path: &Path, kind: &str, message: &str) {
        match &self.listener {
            Some(listener) => listener.failure(path, kind, message),
            None => self.detail(format_args!("{}: {kind}: {}", sanitize::path(path), sanitize::text(message))),
        }
    }

    /// Reports the steps of some work to the listener, if there is one.
    #[must_use]
    pub fn steps(&self) -> Reports<Step> {
        Reports::new(self.listener.clone())
    }

    /// Reports the progress of an indexing run to the listener, if there is one.
    #[must_use]
    pub fn photos(&self) -> Reports<PhotoCount> {
        Reports::new(self.listener.clone())
    }

    /// The listener, if there is one.
    #[must_use]
    pub(super) fn listener(&self) -> Option<&Arc<dyn Listener>> {
        self.listener.as_ref()
    }

    /// Whether `-v` was given.
    #[must_use]
    pub fn is_verbose(&self) -> bool {
        self.verbose > 0
    }

    /// Whether to draw a progress bar: stderr is a terminal, and `-q` was not given.
    #[must_use]
    pub fn wants_bar(&self) -> bool {
        self.stderr_terminal && !self.quiet
    }

    /// Whether to print plain progress lines.
    #[must_use]
    pub fn wants_lines(&self) -> bool {
        !self.quiet && self.listener.is_none()
    }

    /// `text` in an ANSI style such as `"1"` (bold) or `"2"` (dim), if colours are on.
    #[must_use]
    pub fn style(&self, style: &str, text: &str) -> String {
        if self.color { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Asks a yes/no question; without a terminal the answer is no.
    #[must_use]
    pub fn confirm(&self, question: &str) -> bool {
        matches!(self.ask(&format!("{question} [y/N] ")).as_deref(), Some("y" | "yes"))
    }

    /// The user's answer to a question, in lower case and without space around it; `None` without a terminal, and at
    /// its end.
    #[must_use]
    pub fn ask(&self, question: &str) -> Option<String> {
        if !self.stderr_terminal || !io::stdin().is_terminal() {
            return None;
        }
        let _ = write!(io::stderr().lock(), "{question}");
        let mut answer = String::new();
        let length = io::stdin().read_line(&mut answer).ok()?;
        (length > 0).then(|| answer.trim().to_lowercase())
    }
}

/// Writes to stdout. If stdout is closed, the error contains a [`ClosedPipe`], which distinguishes it from other broken
/// pipes.
///
/// # Errors
/// stdout is closed or full.
pub fn to_stdout(bytes: &[u8]) -> io::Result<()> {
    io::stdout().lock().write_all(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => io::Error::new(io::ErrorKind::BrokenPipe, ClosedPipe),
        kind @ (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            io::Error::new(kind, "stdout cannot be written: no space is left on its disk")
        }
        _ => error,
    })
}

/// Whether the terminal understands no escape sequences, according to `TERM`.
#[must_use]
pub fn is_dumb() -> bool {
    std::env::var("TERM").is_ok_and(|term| term == "dumb")
}

/// The width of the terminal in columns, from 40 to 400; 100 if it is unknown.
#[must_use]
pub fn width() -> usize {
    crossterm::terminal::size().map_or(100, |(width, _)| width).clamp(40, 400).into()
}
