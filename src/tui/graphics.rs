//! Finds out how the terminal can show pictures: asks it, and waits a moment for the answer.
//!
//! If a terminal does not answer (tmux without an outer terminal, for example), ratatui-image's own query leaves a
//! thread behind that reads from stdin and swallows the first keys. So the query is made here, with its parser.

use crate::config::{Pictures, ThemeName};
use ratatui_image::FontSize;
use ratatui_image::picker::cap_parser::{Parser, QueryStdioOptions, Response};
use ratatui_image::picker::{Picker, ProtocolType};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Longest wait for the terminal's answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// Most bytes that are read of an answer.
const LONGEST: usize = 4_096;

/// The kind of pictures that the terminal can show; `None`: none. The terminal must be in raw mode, and nothing else
/// may read from it.
pub(super) fn picker(pictures: Pictures, theme: ThemeName) -> Option<Picker> {
    let forced = match pictures {
        Pictures::None => return None,
        // Half blocks show nothing without colours.
        Pictures::Auto if theme == ThemeName::None => return None,
        Pictures::Auto => None,
        Pictures::Halfblocks => return Some(Picker::halfblocks()),
        Pictures::Kitty => Some(ProtocolType::Kitty),
        Pictures::Iterm2 => Some(ProtocolType::Iterm2),
        Pictures::Sixel => Some(ProtocolType::Sixel),
    };
    // The query goes to stdout, and the answer comes from stdin.
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Some(Picker::halfblocks());
    }
    // WezTerm and Konsole do not draw kitty's placeholders correctly, and Konsole's sixel is faulty.
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let shy = set("WEZTERM_EXECUTABLE") || set("KONSOLE_VERSION");
    let tmux = Picker::halfblocks().tmux_detected();
    let answers = ask(tmux);
    let mut size = window_size();
    let mut best = None;
    for answer in &answers {
        match answer {
            Response::Kitty if !shy => best = Some(ProtocolType::Kitty),
            Response::Sixel if !shy => best = best.or(Some(ProtocolType::Sixel)),
            Response::CellSize(Some((width, height))) if *width > 0 && *height > 0 => {
                size = Some(FontSize::new(*width, *height));
            }
            _ => {}
        }
    }
    let Some(size) = size else {
        // Without the size of a cell, only half blocks have the right proportions.
        return Some(Picker::halfblocks());
    };
    // `from_fontsize` detects iTerm2's protocol from the environment. It is deprecated as half blocks need no size.
    #[allow(deprecated)]
    let mut picker = Picker::from_fontsize(size);
    if let Some(protocol) = forced.or(best) {
        picker.set_protocol_type(protocol);
    }
    Some(picker)
}

/// The size of a cell in pixels, as the kernel reports it.
fn window_size() -> Option<FontSize> {
    let window = crossterm::terminal::window_size().ok()?;
    let (width, height) = (window.width.checked_div(window.columns)?, window.height.checked_div(window.rows)?);
    (width > 0 && height > 0).then(|| FontSize::new(width, height))
}

/// Queries the terminal and reads its answers until the last one has come or time is up.
#[cfg(unix)]
fn ask(tmux: bool) -> Vec<Response> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut answers = Vec::new();
    let query = Parser::query(tmux, QueryStdioOptions::default());
    let mut stdout = std::io::stdout();
    if stdout.write_all(query.as_bytes()).and_then(|()| stdout.flush()).is_err() {
        return answers;
    }
    let stdin = std::io::stdin();
    let (started, mut parser, mut bytes) = (Instant::now(), Parser::new(), [0_u8; 256]);
    let mut read = 0;
    while read < LONGEST && !answers.contains(&Response::Status) {
        let left = PATIENCE.saturating_sub(started.elapsed());
        let Ok(left) = Timespec::try_from(left) else { break };
        let mut waiting = [PollFd::new(&stdin, PollFlags::IN)];
        // The deadline has passed, the call was interrupted, or the terminal is closed: no more answers.
        if !matches!(poll(&mut waiting, Some(&left)), Ok(1..)) {
            break;
        }
        let Ok(count @ 1..) = rustix::io::read(&stdin, &mut bytes) else { break };
        read += count;
        for byte in bytes.iter().take(count) {
            answers.extend(parser.push(char::from(*byte)));
        }
    }
    answers
}

#[cfg(not(unix))]
fn ask(_: bool) -> Vec<Response> {
    Vec::new()
}
