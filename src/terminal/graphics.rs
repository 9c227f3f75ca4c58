//! Pictures on the terminal. To find out how it can show them, it is asked, and a moment is waited for the answer.
//!
//! If a terminal does not answer (tmux without an outer terminal, for example), ratatui-image's own query leaves a
//! thread behind that reads from stdin and swallows the first keys. So the query is made here, with its parser.

use super::abilities::{Abilities, Answers, ColorDepth, Surroundings, question};
use image::imageops::FilterType;
use image::{DynamicImage, RgbImage};
use ratatui::buffer::{Buffer, CellDiffOption};
use ratatui::layout::{Position, Rect, Size};
use ratatui::style::Color;
use ratatui::widgets::Widget;
use ratatui_image::picker::{Picker, ProtocolType};
use ratatui_image::protocol::Protocol;
use ratatui_image::{FontSize, Image, Resize};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Longest wait for the terminal's answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// Most bytes that are read of an answer.
const LONGEST: usize = 4_096;

/// What the terminal can do. It must be in raw mode, and nothing else may read from it.
#[must_use]
pub fn ask() -> Abilities {
    let around = Surroundings::of_this_process();
    let mut answers = Answers::default();
    // The question goes to stdout, and the answer comes from stdin.
    if std::io::stdout().is_terminal() && std::io::stdin().is_terminal() && around.may_be_asked() {
        let in_tmux = around.is_in_tmux();
        if in_tmux {
            // ratatui-image lets tmux pass on what it does not know.
            let _ = Picker::halfblocks().tmux_detected();
        }
        read(&question(in_tmux), &mut answers);
    }
    answers.abilities(&around)
}

/// How pictures are shown: by `forced`, else by the best protocol that the terminal supports, at worst as half blocks.
#[must_use]
pub fn picker(abilities: &Abilities, forced: Option<ProtocolType>) -> Picker {
    let cell = abilities.cell.map(|(width, height)| FontSize::new(width, height));
    let (Some(size), Some(protocol)) = (cell.or_else(window_size), forced.or(abilities.pictures)) else {
        // Without the size of a cell, only half blocks have the right proportions.
        return Picker::halfblocks();
    };
    // It is deprecated as half blocks need no size.
    #[allow(deprecated)]
    let mut picker = Picker::from_fontsize(size);
    picker.set_protocol_type(protocol);
    picker
}

/// Pixels of a cell, across and down, as pictures are drawn. Half blocks have one and two with any font.
#[must_use]
pub fn cell_pixels(picker: &Picker) -> (u16, u16) {
    let font = picker.font_size();
    match picker.protocol_type() {
        ProtocolType::Halfblocks => (1, 2),
        _ => (font.width.max(1), font.height.max(1)),
    }
}

/// [`ask`] for a program that does not have the terminal for itself: its modes are changed only while it is asked, and
/// restored if a signal ends the program meanwhile.
#[must_use]
pub fn ask_a_line_terminal() -> Abilities {
    #[cfg(unix)]
    let _waiting = match super::signals::Waiting::for_answers() {
        Some(waiting) => waiting,
        None => {
            return Abilities { colors: super::abilities::colors_by_environment(), ..Abilities::default() };
        }
    };
    ask()
}

/// Encodes a picture for at most `room` cells, keeping its proportions.
///
/// # Errors
/// The protocol cannot encode it.
pub fn encode(picture: RgbImage, picker: &Picker, room: Size) -> anyhow::Result<Protocol> {
    let font = picker.font_size();
    // Fill whole cells: the rest of a partly covered cell would be black.
    let (wide, high) = (f64::from(picture.width().max(1)), f64::from(picture.height().max(1)));
    let cell = (f64::from(font.width.max(1)), f64::from(font.height.max(1)));
    let scale = (f64::from(room.width) * cell.0 / wide).min(f64::from(room.height) * cell.1 / high);
    let cells = |edge: f64, cell: f64, most: u16| ((edge * scale / cell).round() as u16).clamp(1, most.max(1));
    let (width, height) = (cells(wide, cell.0, room.width), cells(high, cell.1, room.height));
    let pixels = (u32::from(width) * u32::from(font.width), u32::from(height) * u32::from(font.height));
    let picture = DynamicImage::ImageRgb8(picture).resize_exact(pixels.0, pixels.1, FilterType::Triangle);
    Ok(picker.new_protocol(picture, Size::new(width, height), Resize::Fit(None))?)
}

/// The bytes that draw an encoded picture below the cursor, and leave the cursor below the picture, with the nearest
/// colours that the terminal has.
#[must_use]
pub fn drawn(protocol: &Protocol, colors: ColorDepth) -> String {
    let area = Rect::from((Position::ORIGIN, protocol.size()));
    let mut buffer = Buffer::empty(area);
    Image::new(protocol).render(area, &mut buffer);
    // Kitty's protocol hides the picture's id in the colour.
    let colors = if matches!(protocol, Protocol::Halfblocks(_)) { colors } else { ColorDepth::True };
    // Room first: a picture at the bottom of the screen must not scroll while it is drawn.
    let mut out = "\r\n".repeat(area.height.into());
    out.push_str(&format!("\x1b[{}A", area.height));
    for y in area.rows() {
        out.push_str("\x1b7");
        for position in y.positions() {
            let cell = &buffer[position];
            if matches!(cell.diff_option, CellDiffOption::Skip) {
                continue;
            }
            for (color, code) in [(cell.fg, 38), (cell.bg, 48)] {
                match colors.nearest(color) {
                    Color::Rgb(r, g, b) => out.push_str(&format!("\x1b[{code};2;{r};{g};{b}m")),
                    Color::Indexed(n) => out.push_str(&format!("\x1b[{code};5;{n}m")),
                    _ => {}
                }
            }
            out.push_str(cell.symbol());
        }
        // Whatever a protocol did to the cursor, the next row begins below this one.
        out.push_str("\x1b[0m\x1b8\x1b[1B");
    }
    out.push('\r');
    out
}

/// The size of a cell in pixels, as the kernel reports it.
fn window_size() -> Option<FontSize> {
    let window = crossterm::terminal::window_size().ok()?;
    let (width, height) = (window.width.checked_div(window.columns)?, window.height.checked_div(window.rows)?);
    (width > 0 && height > 0).then(|| FontSize::new(width, height))
}

/// Asks the terminal, and reads its answers until the last one has come or time is up.
#[cfg(unix)]
fn read(question: &str, answers: &mut Answers) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut stdout = std::io::stdout();
    if stdout.write_all(question.as_bytes()).and_then(|()| stdout.flush()).is_err() {
        return;
    }
    let stdin = std::io::stdin();
    let (started, mut bytes) = (Instant::now(), [0_u8; 256]);
    while answers.len() < LONGEST && !answers.are_complete() {
        let left = PATIENCE.saturating_sub(started.elapsed());
        let Ok(left) = Timespec::try_from(left) else { break };
        let mut waiting = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut waiting, Some(&left)) {
            Ok(1..) => {}
            // A signal: the thread that handles it ends the program, or the answers are still to come.
            Err(rustix::io::Errno::INTR) => continue,
            // The deadline has passed, or the terminal is closed: no more answers.
            _ => break,
        }
        let Ok(count @ 1..) = rustix::io::read(&stdin, &mut bytes) else { break };
        answers.push(bytes.get(..count).unwrap_or_default());
    }
}

#[cfg(not(unix))]
fn read(_: &str, _: &mut Answers) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_drawn_below_the_cursor() {
        let picture = RgbImage::from_fn(40, 20, |x, _| image::Rgb([x as u8, 200, 0]));
        let protocol = encode(picture, &Picker::halfblocks(), Size::new(20, 6)).unwrap();
        let drawn = drawn(&protocol, ColorDepth::True);
        let rows = usize::from(protocol.size().height);
        assert!(rows > 2 && drawn.starts_with(&"\r\n".repeat(rows)) && drawn.ends_with('\r'), "{drawn:?}");
        assert_eq!(drawn.matches("\x1b7").count(), rows);
        assert!(drawn.contains("38;2;") && !super::drawn(&protocol, ColorDepth::Indexed).contains("38;2;"));
    }
}
