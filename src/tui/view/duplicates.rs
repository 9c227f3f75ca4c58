//! Copies of one picture side by side: which are kept, why, and how the others differ.

use super::text::{clean, fit, wrap};
use super::{message, picture, put};
use crate::terminal::text::{count, display_path, shorten, size};
use crate::tui::copies::CopyFile;
use crate::tui::layout;
use crate::tui::state::State;
use ratatui::Frame;
use ratatui::layout::Rect;

pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let areas = layout::areas(state);
    let (theme, copies) = (&state.theme, &state.copies);
    if copies.sets().is_empty() {
        let key = state.options.keymap.keys_of("find-duplicates");
        let key = key.split(' ').next().unwrap_or_default();
        let says = match (&copies.error, &copies.found) {
            _ if state.is_empty() => super::NO_PHOTOS.to_owned(),
            _ if state.work.is_some() => {
                "Looking for copies: each photo is looked at once, and what was seen is kept.".to_owned()
            }
            (Some(why), _) => format!("{why}; {key} looks again and goes on from there"),
            (None, Some(_)) => format!("No two files show the same picture. {key} looks again."),
            (None, None) => format!("{key} looks for copies of the same picture."),
        };
        return message(frame, areas.body, &says, if copies.error.is_some() { theme.wrong } else { theme.dim });
    }
    let line = areas.input;
    put(frame.buffer_mut(), line, 1, &fit(&state.copies_say(), usize::from(line.width.saturating_sub(2))), theme.text);
    for (at, area) in layout::copy_sets(state) {
        let Some(set) = copies.sets().get(at) else { continue };
        let is_selected = at == copies.at;
        let tiles = layout::copy_tiles(state, at, area);
        let hidden = set.files.len() - tiles.len();
        let more = if hidden > 0 { format!(", {hidden} more at the side") } else { String::new() };
        let going: u64 = (0..set.files.len())
            .filter(|n| !copies.keeps(set, *n))
            .filter_map(|n| Some(set.files.get(n)?.stamp.size))
            .sum();
        let head = format!("{}. {}{more}; {} could be freed", at + 1, count(set.files.len(), "file"), size(going));
        put(frame.buffer_mut(), area, 1, &head, if is_selected { theme.accent } else { theme.dim });
        for (n, tile) in tiles {
            let Some(file) = set.files.get(n) else { continue };
            let (pictured, words) = layout::in_copy(tile);
            picture(frame, state, file.photo, pictured);
            write(frame, state, file, (copies.keeps(set, n), n == 0), is_selected && n == copies.file, words);
        }
    }
}

/// Writes what is known of a file below its picture.
fn write(
    frame: &mut Frame<'_>,
    state: &State,
    file: &CopyFile,
    (is_kept, is_proposed): (bool, bool),
    is_selected: bool,
    area: Rect,
) {
    let theme = &state.theme;
    let width = usize::from(area.width);
    let by_hand = if is_kept == is_proposed { "" } else { ", by hand" };
    let (what, style) = if is_kept { ("✓ keep", theme.good) } else { ("✗ to the trash", theme.wrong) };
    let alike = match file.likeness {
        Some(likeness) => format!(" (looks {:.0} % alike)", f64::from(likeness.clamp(0.0, 1.0)) * 100.0),
        None => String::new(),
    };
    let why = if is_proposed { format!("proposed: {}", clean(&file.says)) } else { clean(&file.says) };
    let mut lines = vec![
        (format!("{what}{by_hand}"), style),
        (shorten(&display_path(&file.path), width), theme.text),
        (format!("{} × {}, {}", file.size.0, file.size.1, size(file.stamp.size)), theme.dim),
    ];
    // Without room, how large it is matters least.
    if area.height < 4 {
        lines.remove(2);
    }
    let left = usize::from(area.height).saturating_sub(lines.len());
    lines.extend(wrap(&format!("{why}{alike}"), width, left).into_iter().map(|line| (line, theme.dim)));
    for (row, (says, style)) in area.rows().zip(lines) {
        let style = if is_selected { theme.selected } else { style };
        frame.buffer_mut().set_style(row, style);
        put(frame.buffer_mut(), row, 0, &fit(&says, width), style);
    }
}
