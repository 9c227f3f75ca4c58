//! Ctrl-C, SIGTERM and SIGHUP.

use crate::exit::Exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

static CANCEL: AtomicBool = AtomicBool::new(false);
static WAITING: Mutex<Option<Modes>> = Mutex::new(None);

/// A flag that signals set; a second one ends the program at once, and one while it only waits for input.
///
/// # Errors
/// The system takes no handler.
pub fn cancel() -> anyhow::Result<&'static AtomicBool> {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    if INSTALLED.set(()).is_ok() {
        ctrlc::set_handler(|| {
            let waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner).take();
            let waits = waiting.is_some();
            waiting.iter().for_each(Modes::restore);
            if waits || CANCEL.swap(true, Ordering::Relaxed) {
                std::process::exit(Exit::Interrupted as i32);
            }
        })?;
    }
    Ok(&CANCEL)
}

/// As long as it lives, the program waits for input: a signal ends it, and leaves the terminal as it was.
#[derive(Debug)]
pub struct Waiting(());

impl Waiting {
    /// Begins to wait. To be called before a line editor changes the terminal's modes.
    #[must_use]
    pub fn new() -> Self {
        *WAITING.lock().unwrap_or_else(PoisonError::into_inner) = Some(Modes::now());
        Self(())
    }
}

impl Default for Waiting {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        *WAITING.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// How a terminal treats what is typed; nothing where stdin is none.
struct Modes {
    #[cfg(unix)]
    modes: Option<rustix::termios::Termios>,
}

impl Modes {
    fn now() -> Self {
        Self {
            #[cfg(unix)]
            modes: rustix::termios::tcgetattr(std::io::stdin()).ok(),
        }
    }

    fn restore(&self) {
        #[cfg(unix)]
        if let Some(modes) = &self.modes {
            let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, modes);
            // The line editor had asked for pasted text to be marked.
            let _ = crate::terminal::console::to_stdout(b"\x1b[?2004l\r\n");
        }
    }
}
