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
    if let Some(row) = gallery.divider(area) {
        let heading = Rect { y: row, height: 1, ..area };
        super::put(frame.buffer_mut(), heading, 1, "nearest of the rest", state.theme.dim);
    }
    for (at, found, tile) in gallery.tiles(area) {
        if gallery.list {
            line(frame, state, gallery, at, found, tile, words);
        } else {
            thumbnail(frame, state, gallery, at, found, tile);
        }
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

fn thumbnail(frame: &mut Frame<'_>, state: &State, gallery: &Gallery, at: usize, found: FoundPhoto, tile: Rect) {
    let theme = &state.theme;
    let (selected, marked) = (at == gallery.at(), state.marks.has(found.id));
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
    let mark = if marked { "●" } else { "" };
    let room = usize::from(label.width).saturating_sub(score.width() + 1 + 2 * mark.width());
    let style = match (selected, found.is_match) {
        (true, _) => theme.accent,
        (false, true) => theme.text,
        (false, false) => theme.dim,
    };
    let mut spans = Vec::new();
    if marked {
        spans.push(Span::styled("● ", theme.mark));
    }
    let name = fit(&name_of(state, found.id), room);
    let gap = room.saturating_sub(name.width()) + 1;
    spans.push(Span::styled(name, style));
    spans.push(Span::styled(format!("{}{score}", " ".repeat(gap)), theme.dim));
    frame.render_widget(Paragraph::new(Line::from(spans)), label);
}

fn line(
    frame: &mut Frame<'_>,
    state: &State,
    gallery: &Gallery,
    at: usize,
    found: FoundPhoto,
    area: Rect,
    words: &[String],
) {
    let theme = &state.theme;
    let selected = at == gallery.at();
    if selected {
        frame.buffer_mut().set_style(area, theme.selected);
    }
    let style = if found.is_match { theme.text } else { theme.dim };
    let (style, dim) = if selected { (theme.selected, theme.selected) } else { (style, theme.dim) };
    let mark = if state.marks.has(found.id) { Span::styled("● ", theme.mark) } else { Span::raw("  ") };
    let width = usize::from(area.width).saturating_sub(10);
    let name = fit(&name_of(state, found.id), width * 2 / 5);
    let name = pad(&name, width * 2 / 5);
    let mut spans =
        vec![mark, Span::styled(format!("{:>5}  ", score(found)), dim), Span::styled(name, style), Span::raw("  ")];
    if let Some(photo) = state.photos.get(&found.id) {
        let room = width.saturating_sub(width * 2 / 5 + 2);
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
