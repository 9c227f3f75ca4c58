//! Takes the terminal over, gives it back, and suspends to the shell. Whatever happens, the terminal is given back.

use anyhow::Context;
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use ratatui::backend::CrosstermBackend;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// The terminal is taken over and must be given back.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Where the screen is drawn: on stdout, or on the terminal device if stdout is redirected.
pub(super) type Screen = ratatui::Terminal<CrosstermBackend<BufWriter<File>>>;

/// Opens the file that the screen is drawn on.
fn output() -> io::Result<File> {
    #[cfg(unix)]
    if io::stdout().is_terminal() {
        use std::os::fd::AsFd;
        return Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?));
    }
    OpenOptions::new().read(true).write(true).open(if cfg!(windows) { "CONOUT$" } else { "/dev/tty" })
}

/// Takes the terminal over. It is given back when the guard is dropped, on a panic, and when the program is suspended.
///
/// # Errors
/// There is no terminal.
pub(super) fn take() -> anyhow::Result<(Screen, Guard)> {
    drop(output().context("the terminal UI needs a terminal")?);
    let guard = Guard(());
    crate::panics::before_reports(give_back);
    enter()?;
    Ok((screen()?, guard))
}

/// An empty screen.
fn screen() -> io::Result<Screen> {
    ratatui::Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(1 << 16, output()?)))
}

/// Gives the terminal back when it is dropped.
#[derive(Debug)]
pub(super) struct Guard(());

impl Drop for Guard {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> anyhow::Result<()> {
    enable_raw_mode().context("the terminal cannot be used")?;
    TAKEN.store(true, Ordering::SeqCst);
    let mut output = output()?;
    execute!(output, EnterAlternateScreen, EnableMouseCapture, EnableBracketedPaste, cursor::Hide)?;
    Ok(())
}

/// Gives the terminal back if it is taken over.
pub(super) fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // Each step is tried even if another one fails.
    if let Ok(mut output) = output() {
        let _ = execute!(output, DisableBracketedPaste, DisableMouseCapture, LeaveAlternateScreen, cursor::Show);
        let _ = output.flush();
    }
    let _ = disable_raw_mode();
}

/// Gives the terminal to the shell until the program is resumed.
///
/// # Errors
/// The terminal cannot be taken over again.
pub(super) fn suspend(current: &mut Screen) -> anyhow::Result<()> {
    give_back();
    #[cfg(unix)]
    signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP)?;
    enter()?;
    // Not `clear`: it asks the terminal for the cursor position, and the thread that reads keys would get the answer.
    *current = screen()?;
    Ok(())
}
