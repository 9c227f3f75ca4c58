//! One photo, large, with its facts.

use super::text::{bar, clean, fit, highlighted, words_of, wrap};
use crate::search::row::{place, taken};
use crate::terminal::text::{display_path, pad, shorten, size};
use crate::tui::layout;
use crate::tui::state::State;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use unicode_width::UnicodeWidthStr;

/// Lines of the text in a photo that are shown.
const TEXT_LINES: usize = 8;

pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let areas = layout::areas(state);
    let Some(id) = state.photo() else { return };
    let shown = layout::look(state);
    for (photo, area) in &shown {
        super::picture(frame, state, *photo, *area);
    }
    if shown.len() > 1 {
        for (at, (photo, area)) in shown.iter().enumerate() {
            let says = Rect { y: area.bottom(), height: 1, ..*area };
            let style = if at == 0 { state.theme.accent } else { state.theme.text };
            super::put(frame.buffer_mut(), says, 1, &fit(&beside(state, *photo), says.width.into()), style);
        }
    }
    if areas.side.width > 0 {
        let words = words_of(state.search.visits.current().text());
        side(frame, state, id, areas.side, false, &words);
    }
}

/// A photo in a line below its picture: name, size, stars.
fn beside(state: &State, id: i64) -> String {
    let Some(photo) = state.photos.get(&id) else { return String::new() };
    let name = photo.paths.first().and_then(|path| path.file_name());
    let name = name.map(|name| crate::terminal::sanitize::path(name.as_ref())).unwrap_or_default();
    let stars = photo.own_rating.or(photo.facts.metadata.rating).filter(|stars| *stars > 0);
    let stars = stars.map_or(String::new(), |stars| format!("  {}", "★".repeat(usize::from(stars.unsigned_abs()))));
    let mark = if state.marks.has(id) { "● " } else { "" };
    format!("{mark}{name}  {} × {}, {}{stars}", photo.facts.width, photo.facts.height, size(photo.size))
}

/// Draws a photo's facts, below its picture if `with_picture`.
pub(super) fn side(frame: &mut Frame<'_>, state: &State, id: i64, area: Rect, with_picture: bool, words: &[String]) {
    let theme = &state.theme;
    let (pictured, below) = layout::in_side(area);
    if with_picture {
        super::picture(frame, state, id, pictured);
    }
    let inner = if with_picture {
        below
    } else {
        Rect { x: area.x + area.width.min(2), width: area.width.saturating_sub(3), ..area }
    };
    let lines = facts(state, id, inner.width.into(), words);
    frame.render_widget(Paragraph::new(lines).style(theme.text), inner);
}

/// The facts of a photo, as lines of at most `width` columns.
pub(super) fn facts(state: &State, id: i64, width: usize, words: &[String]) -> Vec<Line<'static>> {
    let theme = &state.theme;
    let Some(photo) = state.photos.get(&id) else { return Vec::new() };
    let mut lines = Vec::new();
    let path = photo.paths.first().map(std::path::PathBuf::as_path).unwrap_or(std::path::Path::new(""));
    let name = path.file_name().map(|name| crate::terminal::sanitize::path(name.as_ref())).unwrap_or_default();
    let mark = if state.marks.has(id) { "● " } else { "" };
    lines.push(Line::from(vec![
        Span::styled(mark, theme.mark),
        Span::styled(fit(&name, width.saturating_sub(mark.width())), theme.accent),
    ]));
    if let Some(caption) = &photo.caption {
        for line in wrap(&clean(caption), width, 6) {
            lines.push(Line::from(highlighted(&line, words, theme.text, theme.found)));
        }
    }
    if let Some(remark) = &photo.facts.remark {
        for line in wrap(&clean(remark), width, 2) {
            lines.push(Line::from(Span::styled(line, theme.wrong)));
        }
    }
    if let Some(text) = &photo.text {
        lines.push(Line::from(Span::styled("text", theme.dim)));
        let all = text.lines().count();
        for line in text.lines().take(TEXT_LINES) {
            lines.push(Line::from(highlighted(&fit(&clean(line), width), words, theme.text, theme.found)));
        }
        if all > TEXT_LINES {
            let more = format!("and {} more: Y copies all", all - TEXT_LINES);
            lines.push(Line::from(Span::styled(fit(&more, width), theme.dim)));
        }
    }
    let mut row = |name: &str, value: String| {
        let value = fit(&value, width.saturating_sub(8));
        lines.push(Line::from(vec![Span::styled(format!("{name:<8}"), theme.dim), Span::raw(value)]));
    };
    let facts = &photo.facts;
    let said = &facts.metadata;
    for (name, text) in [("title", &said.title), ("about", &said.description)] {
        text.iter().for_each(|text| row(name, clean(text)));
    }
    if let Some(taken) = taken(photo).shown() {
        row("taken", taken);
    }
    // Own tags have a row of their own.
    let keywords = said.keywords.iter().filter(|keyword| !photo.own_tags.contains(keyword)).cloned().collect();
    for (name, list) in [("people", &said.people), ("keyword", &keywords)] {
        if !list.is_empty() {
            row(name, clean(&list.join(", ")));
        }
    }
    if let Some(stars) = photo.own_rating.or(said.rating) {
        let shown = match stars {
            1..=5 => "★".repeat(usize::from(stars.unsigned_abs())),
            other => crate::output::facts::stars(other),
        };
        row("rating", if photo.own_rating.is_some() { format!("{shown}  yours") } else { shown });
    }
    if !photo.own_tags.is_empty() {
        row("tags", clean(&photo.own_tags.join(", ")));
    }
    for (name, text) in [("camera", &said.camera), ("lens", &said.lens)] {
        text.iter().for_each(|text| row(name, clean(text)));
    }
    row("size", format!("{} × {}, {}, {}", facts.width, facts.height, clean(&facts.format), size(photo.size)));
    if let (Some(latitude), Some(longitude)) = (facts.metadata.latitude, facts.metadata.longitude) {
        let side = |degrees: f64, plus: &str, minus: &str| {
            format!("{:.4}° {}", degrees.abs(), if degrees < 0.0 { minus } else { plus })
        };
        row("place", format!("{}, {}", side(latitude, "N", "S"), side(longitude, "E", "W")));
    }
    if let Some(place) = place(photo) {
        row("where", clean(&place));
    }
    if let Some(folder) = path.parent() {
        row("folder", shorten(&display_path(folder), width.saturating_sub(8)));
    }
    if !photo.stack.is_empty() {
        let names: Vec<String> =
            photo.stack.iter().filter_map(|path| path.file_name()).map(|name| clean(&name.to_string_lossy())).collect();
        row("stack", names.join(", "));
    }
    if photo.paths.len() > 1 {
        row("copies", format!("{} files with this content", photo.paths.len()));
    }
    if !photo.tags.is_empty() {
        lines.push(Line::default());
    }
    let widest = photo.tags.iter().map(|tag| clean(&tag.label).width()).max().unwrap_or(0).min(width / 2);
    for tag in &photo.tags {
        let label = pad(&fit(&clean(&tag.label), widest), widest);
        let room = width.saturating_sub(widest + 7);
        let score = if tag.score.is_finite() { tag.score } else { 0.0 };
        lines.push(Line::from(vec![
            Span::raw(format!("{label} ")),
            Span::styled(format!("{score:.2} "), theme.dim),
            Span::styled(bar(score, room), theme.gauge),
        ]));
    }
    lines
}
