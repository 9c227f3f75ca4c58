//! Where questions come from: a line editor on a terminal, lines of stdin elsewhere.

use crate::terminal::console::Console;
use crate::terminal::sanitize;
use crate::terminal::signals::Waiting;
use anyhow::Context;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use std::io::{BufRead, IsTerminal, Read};

/// Bytes that a line may have.
const LONGEST: u64 = 1 << 20;

/// What was typed.
pub(super) enum InputLine {
    /// A line, without its end and blanks around it.
    Text(String),
    /// Ctrl-C: never mind that line.
    Dropped,
    /// Ctrl-D, or the end of stdin.
    End,
}

/// Reads lines.
pub(super) enum LineInput {
    /// With history.
    Editor(Box<DefaultEditor>),
    /// Without a terminal, or with one only for input.
    Stdin,
}

impl LineInput {
    /// An editor if both ends are a terminal.
    pub(super) fn new(console: &Console) -> anyhow::Result<Self> {
        if console.terminal && std::io::stdin().is_terminal() {
            let editor = DefaultEditor::new().context("the terminal cannot be used")?;
            return Ok(Self::Editor(Box::new(editor)));
        }
        Ok(Self::Stdin)
    }

    /// Whether a person sits there.
    pub(super) fn is_editor(&self) -> bool {
        matches!(self, Self::Editor(_))
    }

    /// Offers a line as one that was typed before.
    pub(super) fn remember(&mut self, line: &str) {
        if let Self::Editor(editor) = self
            && !line.chars().any(sanitize::is_unsafe)
        {
            let _ = editor.add_history_entry(line);
        }
    }

    /// The next line.
    pub(super) fn next(&mut self) -> anyhow::Result<InputLine> {
        let _waiting = Waiting::new();
        let text = match self {
            Self::Editor(editor) => match editor.readline("> ") {
                Ok(text) => text,
                Err(ReadlineError::Eof) => return Ok(InputLine::End),
                Err(ReadlineError::Interrupted) => return Ok(InputLine::Dropped),
                Err(error) => return Err(error).context("the terminal cannot be read"),
            },
            Self::Stdin => {
                let mut bytes = Vec::new();
                let read = std::io::stdin().lock().take(LONGEST).read_until(b'\n', &mut bytes);
                if read.context("stdin cannot be read")? == 0 {
                    return Ok(InputLine::End);
                }
                String::from_utf8(bytes).context("stdin is not UTF-8")?
            }
        };
        // What was pasted may have line ends; the model was taught on one line.
        Ok(InputLine::Text(text.trim().replace(['\n', '\r'], " ")))
    }
}
