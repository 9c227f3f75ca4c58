//! Ctrl-C, SIGTERM, SIGHUP and SIGQUIT.

use crate::exit::Exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

static CANCEL: AtomicBool = AtomicBool::new(false);
/// Whether the work looks at the flag, so that the first signal may leave the end to it.
static IS_WATCHED: AtomicBool = AtomicBool::new(false);
static WAITING: Mutex<Option<Modes>> = Mutex::new(None);

/// The flag that the first signal sets. A second signal ends the program at once, and so does the first while the
/// program waits for input ([`Waiting`]).
///
/// # Errors
/// The signal handler cannot be installed.
pub fn cancel() -> anyhow::Result<&'static AtomicBool> {
    install()?;
    IS_WATCHED.store(true, Ordering::Relaxed);
    Ok(&CANCEL)
}

fn install() -> anyhow::Result<()> {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    if INSTALLED.set(()).is_err() {
        return Ok(());
    }
    ctrlc::set_handler(|| {
        // Locked to the end, so that no other thread changes the modes again.
        let mut waiting = waiting();
        let modes = waiting.take();
        modes.iter().for_each(Modes::restore);
        if modes.is_some() || !IS_WATCHED.load(Ordering::Relaxed) || CANCEL.swap(true, Ordering::Relaxed) {
            std::process::exit(Exit::Interrupted as i32);
        }
    })?;
    // SIGQUIT ends the program as it always does, but not before the terminal is restored.
    #[cfg(unix)]
    {
        use signal_hook::{consts::SIGQUIT, iterator::Signals, low_level::emulate_default_handler};
        let mut signals = Signals::new([SIGQUIT])?;
        std::thread::Builder::new().name("quit".into()).spawn(move || {
            for signal in signals.forever() {
                let mut waiting = waiting();
                waiting.take().iter().for_each(Modes::restore);
                let _ = emulate_default_handler(signal);
            }
        })?;
    }
    Ok(())
}

fn waiting() -> MutexGuard<'static, Option<Modes>> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While it is alive, the program waits for input: a signal ends the program and restores the terminal.
#[derive(Debug)]
pub struct Waiting(());

impl Waiting {
    /// Begins to wait for a line editor. Call it before the editor changes the terminal's modes, which are saved here;
    /// the editor itself restores them.
    #[must_use]
    pub fn for_an_editor() -> Self {
        *waiting() = Some(Modes { is_of_an_editor: true, ..Modes::now() });
        Self(())
    }

    /// Begins to wait for answers of the terminal: until the end they arrive unechoed and without a line end. `None` if
    /// stdin is no terminal, or this program runs in the background, where it would be stopped for changing the modes.
    #[cfg(unix)]
    pub(super) fn for_answers() -> Option<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetpgrp, tcsetattr};
        let stdin = std::io::stdin();
        if tcgetpgrp(&stdin).ok()? != rustix::process::getpgrp() {
            return None;
        }
        install().ok()?;
        let mut waiting = waiting();
        let before = Modes::now();
        let mut modes = before.modes.clone()?;
        // The keys that send signals keep working.
        modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
        modes.special_codes[rustix::termios::SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[rustix::termios::SpecialCodeIndex::VTIME] = 0;
        *waiting = Some(before);
        let _ = tcsetattr(&stdin, OptionalActions::Now, &modes);
        Some(Self(()))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // An editor has restored the modes.
        waiting().take().iter().filter(|modes| !modes.is_of_an_editor).for_each(Modes::restore);
    }
}

/// The input modes of the terminal; nothing if stdin is not a terminal.
struct Modes {
    is_of_an_editor: bool,
    #[cfg(unix)]
    modes: Option<rustix::termios::Termios>,
}

impl Modes {
    fn now() -> Self {
        Self {
            is_of_an_editor: false,
            #[cfg(unix)]
            modes: rustix::termios::tcgetattr(std::io::stdin()).ok(),
        }
    }

    fn restore(&self) {
        #[cfg(unix)]
        if let Some(modes) = &self.modes {
            let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, modes);
            if self.is_of_an_editor {
                // The line editor has turned on bracketed paste; turn it off.
                let _ = crate::terminal::console::to_stdout(b"\x1b[?2004l\r\n");
            }
        }
    }
}
