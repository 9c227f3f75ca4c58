//! Finds out how the terminal can show pictures: asks it, and waits a moment for the answer.
//!
//! If a terminal does not answer (tmux without an outer terminal, for example), ratatui-image's own query leaves a
//! thread behind that reads from stdin and swallows the first keys. So the query is made here, with its parser.

use image::imageops::FilterType;
use image::{DynamicImage, RgbImage};
use ratatui::buffer::{Buffer, CellDiffOption};
use ratatui::layout::{Position, Rect, Size};
use ratatui::style::Color;
use ratatui::widgets::Widget;
use ratatui_image::picker::cap_parser::{Parser, QueryStdioOptions, Response};
use ratatui_image::picker::{Picker, ProtocolType};
use ratatui_image::protocol::Protocol;
use ratatui_image::{FontSize, Image, Resize};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Longest wait for the terminal's answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// Most bytes that are read of an answer.
const LONGEST: usize = 4_096;

/// How the terminal shows pictures: by `forced`, else by the best protocol that it supports, at worst as half blocks.
/// The terminal must be in raw mode, and nothing else may read from it.
pub fn picker(forced: Option<ProtocolType>) -> Picker {
    // The query goes to stdout, and the answer comes from stdin.
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Picker::halfblocks();
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
        return Picker::halfblocks();
    };
    // `from_fontsize` detects iTerm2's protocol from the environment. It is deprecated as half blocks need no size.
    #[allow(deprecated)]
    let mut picker = Picker::from_fontsize(size);
    if let Some(protocol) = forced.or(best) {
        picker.set_protocol_type(protocol);
    }
    picker
}

/// [`picker`] for a program that does not have the terminal for itself: its modes are changed only while it is asked,
/// and restored if a signal ends the program meanwhile.
#[must_use]
pub fn picker_of_a_line_terminal() -> Picker {
    #[cfg(unix)]
    {
        let Some(_waiting) = super::signals::Waiting::for_answers() else { return Picker::halfblocks() };
        picker(None)
    }
    #[cfg(not(unix))]
    picker(None)
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

/// The bytes that draw an encoded picture below the cursor, and leave the cursor below the picture. Where the terminal
/// has no true colours, the nearest of its 256 are used.
#[must_use]
pub fn drawn(protocol: &Protocol, true_colors: bool) -> String {
    let area = Rect::from((Position::ORIGIN, protocol.size()));
    let mut buffer = Buffer::empty(area);
    Image::new(protocol).render(area, &mut buffer);
    // Kitty's protocol hides the picture's id in the colour.
    let exact = true_colors || !matches!(protocol, Protocol::Halfblocks(_));
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
                if let Color::Rgb(r, g, b) = color {
                    match exact {
                        true => out.push_str(&format!("\x1b[{code};2;{r};{g};{b}m")),
                        false => out.push_str(&format!("\x1b[{code};5;{}m", nearest_of_256([r, g, b]))),
                    }
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

/// The nearest colour of the 6 x 6 x 6 cube or of the greys of a terminal with 256 colours.
fn nearest_of_256(rgb: [u8; 3]) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let distance =
        |other: [u8; 3]| -> u32 { rgb.iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum() };
    let level = |value: u8| (0..6_u8).min_by_key(|n| LEVELS[usize::from(*n)].abs_diff(value)).unwrap_or(0);
    let [r, g, b] = rgb.map(level);
    let cube = [r, g, b].map(|n| LEVELS[usize::from(n)]);
    let mean = (rgb.iter().map(|v| u32::from(*v)).sum::<u32>() / 3) as u8;
    let grey = (mean.saturating_sub(3) / 10).min(23);
    if distance([8 + 10 * grey; 3]) < distance(cube) { 232 + grey } else { 16 + 36 * r + 6 * g + b }
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
        match poll(&mut waiting, Some(&left)) {
            Ok(1..) => {}
            // A signal: the thread that handles it ends the program, or the answers are still to come.
            Err(rustix::io::Errno::INTR) => continue,
            // The deadline has passed, or the terminal is closed: no more answers.
            _ => break,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_the_nearest_of_256() {
        assert_eq!(nearest_of_256([255, 0, 0]), 196);
        assert_eq!(nearest_of_256([0, 0, 0]), 16);
        assert_eq!(nearest_of_256([128, 128, 128]), 244);
        assert_eq!(nearest_of_256([255, 255, 255]), 231);
    }

    #[test]
    fn a_picture_is_drawn_below_the_cursor() {
        let picture = RgbImage::from_fn(40, 20, |x, _| image::Rgb([x as u8, 200, 0]));
        let protocol = encode(picture, &Picker::halfblocks(), Size::new(20, 6)).unwrap();
        let drawn = drawn(&protocol, true);
        let rows = usize::from(protocol.size().height);
        assert!(rows > 2 && drawn.starts_with(&"\r\n".repeat(rows)) && drawn.ends_with('\r'), "{drawn:?}");
        assert_eq!(drawn.matches("\x1b7").count(), rows);
        assert!(drawn.contains("38;2;") && !super::drawn(&protocol, false).contains("38;2;"));
    }
}
