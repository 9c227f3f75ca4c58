//! Lists to browse: the start page, folders, the timeline.

use super::text::{bar, clean, fit};
use super::{message, picture, put};
use crate::terminal::text::shorten;
use crate::tui::browse::{self, BrowseKind};
use crate::tui::layout;
use crate::tui::state::State;
use ratatui::Frame;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

/// The names of the lists, with first column and width of each.
pub(super) fn names() -> impl Iterator<Item = (BrowseKind, &'static str, u16, u16)> {
    let mut x = 1;
    BrowseKind::ALL.into_iter().map(move |(kind, name)| {
        let width = u16::try_from(name.width() + 2).unwrap_or(2);
        x += width + 1;
        (kind, name, x - width - 1, width)
    })
}

pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let areas = layout::areas(state);
    let theme = &state.theme;
    for (kind, name, x, _) in names() {
        let style = if kind == state.browse.kind { theme.tab } else { theme.dim };
        put(frame.buffer_mut(), areas.input, x, &format!(" {name} "), style);
    }
    let rows = state.browse_rows();
    if rows.is_empty() {
        return message(frame, areas.body, &state.browse_emptiness(), theme.dim);
    }
    let most = |level: usize| rows.iter().filter(|row| row.level == level).filter_map(|row| row.photos).max();
    for (at, area) in layout::browse_rows(state) {
        let Some(row) = rows.get(at) else { continue };
        let is_selected = at == state.browse.at;
        let inside = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
        if row.target.is_none() {
            put(frame.buffer_mut(), inside, 0, &row.name, theme.accent);
            continue;
        }
        let style = if is_selected { theme.selected } else { theme.text };
        frame.buffer_mut().set_style(area, style);
        let is_open = rows.get(at + 1).is_some_and(|next| next.level > row.level);
        let sign = match (row.has_parts, is_open) {
            (false, _) => "  ",
            (true, true) => "▾ ",
            (true, false) => "▸ ",
        };
        let photos = browse::photos(row);
        let width = usize::from(inside.width);
        let start = row.level * 2;
        let room = width.saturating_sub(start + 2 + photos.width() + 1);
        let name = if row.level == 0 { shorten(&clean(&row.name), room) } else { fit(&clean(&row.name), room) };
        put(frame.buffer_mut(), inside, u16::try_from(start).unwrap_or(0), &format!("{sign}{name}"), style);
        let dim = if is_selected { style } else { theme.dim };
        let used = start + 2 + name.width() + 2;
        let right = width.saturating_sub(photos.width());
        put(frame.buffer_mut(), inside, u16::try_from(right).unwrap_or(0), &photos, dim);
        let left = right.saturating_sub(used + 1);
        if !row.beside.is_empty() && left > 4 {
            put(frame.buffer_mut(), inside, u16::try_from(used).unwrap_or(0), &fit(&clean(&row.beside), left), dim);
        } else if state.browse.kind == BrowseKind::Time && left > 4 {
            // A histogram: how many, compared with the other rows.
            let share = row.photos.unwrap_or(0) as f32 / most(row.level).unwrap_or(1).max(1) as f32;
            let style = if is_selected { style } else { theme.gauge };
            put(frame.buffer_mut(), inside, 16, &bar(share, width.saturating_sub(16 + 14)), style);
        }
    }
    for (id, area) in layout::browse_covers(state) {
        picture(frame, state, id, area);
    }
}
