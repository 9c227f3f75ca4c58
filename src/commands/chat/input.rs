//! Where questions come from: a line editor on a terminal, lines of stdin elsewhere.

use crate::terminal::console::Console;
use crate::terminal::sanitize;
use crate::terminal::signals::Waiting;
use anyhow::Context;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use std::io::{BufRead, IsTerminal, Read};

/// Maximum length of a line in bytes.
const LONGEST: u64 = 1 << 20;

/// What the user entered.
pub(super) enum InputLine {
    /// A line, without its line end and surrounding spaces.
    Text(String),
    /// Ctrl-C: the line is discarded.
    Dropped,
    /// Ctrl-D, or the end of stdin.
    End,
}

/// A source of lines.
pub(super) enum LineInput {
    /// A line editor with history.
    Editor(Box<DefaultEditor>),
    /// Plain stdin: there is no terminal, or only one for input.
    Stdin,
}

impl LineInput {
    /// An editor if stdin and stdout are a terminal.
    pub(super) fn new(console: &Console) -> anyhow::Result<Self> {
        if console.terminal && std::io::stdin().is_terminal() {
            let editor = DefaultEditor::new().context("the terminal cannot be used for line editing")?;
            return Ok(Self::Editor(Box::new(editor)));
        }
        Ok(Self::Stdin)
    }

    /// Whether a person types the lines.
    pub(super) fn is_editor(&self) -> bool {
        matches!(self, Self::Editor(_))
    }

    /// Adds a line to the history.
    pub(super) fn remember(&mut self, line: &str) {
        if let Self::Editor(editor) = self
            && !sanitize::judged(line).any(|(_, is_unsafe)| is_unsafe)
        {
            let _ = editor.add_history_entry(line);
        }
    }

    /// Reads the next line.
    pub(super) fn next(&mut self) -> anyhow::Result<InputLine> {
        let _waiting = Waiting::for_an_editor();
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
        // Pasted text may contain line ends, but the model was trained on questions of one line.
        Ok(InputLine::Text(text.trim().replace(['\n', '\r'], " ")))
    }
}
