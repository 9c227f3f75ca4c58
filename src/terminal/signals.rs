//! Ctrl-C, SIGTERM and SIGHUP.

use crate::exit::Exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

static CANCEL: AtomicBool = AtomicBool::new(false);
static WAITING: Mutex<Option<Modes>> = Mutex::new(None);

/// The flag that the first signal sets. A second signal ends the program at once, and so does the first while the
/// program waits for input ([`Waiting`]).
///
/// # Errors
/// The signal handler cannot be installed.
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

/// While it is alive, the program waits for input: a signal ends the program and restores the terminal.
#[derive(Debug)]
pub struct Waiting(());

impl Waiting {
    /// Begins to wait. Call it before a line editor changes the terminal's modes, which are saved here.
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

/// The input modes of the terminal; nothing if stdin is not a terminal.
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
            // The line editor has turned on bracketed paste; turn it off.
            let _ = crate::terminal::console::to_stdout(b"\x1b[?2004l\r\n");
        }
    }
}
