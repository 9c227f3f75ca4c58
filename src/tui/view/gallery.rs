//! Photos as thumbnails, or as lines.

use super::text::{clean, fit, highlighted};
use crate::terminal::text::pad;
use crate::tui::event::FoundPhoto;
use crate::tui::gallery::Gallery;
use crate::tui::layout;
use crate::tui::state::State;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph};
use unicode_width::UnicodeWidthStr;

/// Draws a gallery; highlights `words` in captions.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, gallery: &Gallery, area: Rect, words: &[String]) {
    let names = gallery.tiles(area).map(|(_, found, _)| name_of(state, found.id).width()).max().unwrap_or(0);
    let columns = ListColumns {
        score: gallery.tiles(area).any(|(_, found, _)| found.score.is_some()),
        name: names.clamp(8, (usize::from(area.width) / 2).max(8)),
    };
    for (at, found, tile) in gallery.tiles(area) {
        if gallery.list {
            line(frame, state, gallery, (at, found), tile, columns, words);
        } else {
            thumbnail(frame, state, gallery, at, found, tile);
        }
    }
    if let Some(row) = gallery.divider(area) {
        const HEADING: &str = "nearest of the rest";
        let mut heading = Rect { x: area.x + 1, y: row, width: HEADING.len() as u16, height: 1 };
        if !gallery.list && row > area.y {
            // One row higher, where the frames end: so there is a row between it and the pictures below.
            heading.y = row - 1;
            let frame_of = |(at, _, tile): (usize, FoundPhoto, Rect)| (at == gallery.at()).then_some(tile);
            if let Some(frame) = gallery.tiles(area).find_map(frame_of).filter(|frame| frame.intersects(heading)) {
                heading.x = frame.right() + 1;
            }
            if heading.right() > area.right() {
                (heading.x, heading.y) = (area.x + 1, row);
            }
        }
        super::put(frame.buffer_mut(), heading.intersection(area), 0, HEADING, state.theme.dim);
    }
}

/// The name of a photo's file.
fn name_of(state: &State, id: i64) -> String {
    let path = state.path_of(id);
    path.as_deref()
        .and_then(|path| path.file_name())
        .map(|name| crate::terminal::sanitize::path(name.as_ref()))
        .unwrap_or_default()
}

fn score(found: FoundPhoto) -> String {
    found.score.map_or(String::new(), |score| format!("{score:.2}"))
}

/// The sign of a photo that is marked, or that the range that was begun would mark.
fn mark_of(state: &State, gallery: &Gallery, at: usize, id: i64) -> Option<&'static str> {
    let in_range = gallery.range().is_some_and(|range| range.contains(&at));
    if state.marks.has(id) { Some("●") } else { in_range.then_some("○") }
}

fn thumbnail(frame: &mut Frame<'_>, state: &State, gallery: &Gallery, at: usize, found: FoundPhoto, tile: Rect) {
    let theme = &state.theme;
    let (selected, mark) = (at == gallery.at(), mark_of(state, gallery, at, found.id));
    super::picture(frame, state, found.id, layout::in_tile(tile));
    if selected {
        let block = Block::bordered().border_type(BorderType::Rounded).border_style(theme.accent);
        frame.render_widget(block, tile);
    }
    if tile.height < 3 || tile.width < 4 {
        return;
    }
    let label = Rect { x: tile.x + 1, y: tile.bottom() - 2, width: tile.width - 2, height: 1 };
    let score = score(found);
    let room = usize::from(label.width).saturating_sub(score.width() + 1 + 2 * usize::from(mark.is_some()));
    let style = match (selected, found.is_match) {
        (true, _) => theme.accent,
        (false, true) => theme.text,
        (false, false) => theme.dim,
    };
    let mut spans = Vec::new();
    if let Some(mark) = mark {
        spans.push(Span::styled(format!("{mark} "), theme.mark));
    }
    let name = fit(&name_of(state, found.id), room);
    let gap = room.saturating_sub(name.width()) + 1;
    spans.push(Span::styled(name, style));
    spans.push(Span::styled(format!("{}{score}", " ".repeat(gap)), theme.dim));
    frame.render_widget(Paragraph::new(Line::from(spans)), label);
}

/// The columns of a list.
#[derive(Clone, Copy)]
struct ListColumns {
    /// There are scores.
    score: bool,
    /// Columns of the names of files.
    name: usize,
}

fn line(
    frame: &mut Frame<'_>,
    state: &State,
    gallery: &Gallery,
    (at, found): (usize, FoundPhoto),
    area: Rect,
    columns: ListColumns,
    words: &[String],
) {
    let theme = &state.theme;
    let selected = at == gallery.at();
    if selected {
        frame.buffer_mut().set_style(area, theme.selected);
    }
    let style = if found.is_match { theme.text } else { theme.dim };
    let (style, dim) = if selected { (theme.selected, theme.selected) } else { (style, theme.dim) };
    let mark = Span::styled(format!("{} ", mark_of(state, gallery, at, found.id).unwrap_or(" ")), theme.mark);
    let score = if columns.score { format!("{:>5}  ", score(found)) } else { String::new() };
    let room = usize::from(area.width).saturating_sub(2 + score.width() + columns.name + 2);
    let name = pad(&fit(&name_of(state, found.id), columns.name), columns.name);
    let mut spans = vec![mark, Span::styled(score, dim), Span::styled(name, style), Span::raw("  ")];
    if let Some(photo) = state.photos.get(&found.id) {
        match &photo.caption {
            Some(caption) => spans.extend(highlighted(&fit(&clean(caption), room), words, dim, theme.found)),
            None => {
                let tags = photo.tags.iter().map(|tag| clean(&tag.label)).collect::<Vec<_>>().join(", ");
                spans.push(Span::styled(fit(&tags, room), dim));
            }
        }
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}
