//! Classify: labels with their numbers of photos, the photos of one label, and the probabilities of the selected photo.

use super::search::input_line;
use super::text::{bar, clean, fit};
use super::{gallery, message, put};
use crate::terminal::text::pad;
use crate::tui::layout;
use crate::tui::state::State;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let areas = layout::areas(state);
    let (theme, classify) = (&state.theme, &state.classify);
    let sign = if classify.typing { theme.accent } else { theme.dim };
    put(frame.buffer_mut(), areas.input, 1, "labels ›", sign);
    let line = Rect { x: areas.input.x + 10, width: areas.input.width.saturating_sub(10), height: 1, ..areas.input };
    input_line(frame, state, &classify.input, line, classify.typing && state.overlay.is_none(), "dog, cat, car");
    if let Some(error) = &classify.error {
        let says =
            Rect { x: areas.input.x + 1, y: areas.input.y + 1, width: areas.input.width.saturating_sub(1), height: 1 };
        put(frame.buffer_mut(), says, 0, &fit(&clean(error), says.width.into()), theme.wrong);
    }
    let Some(sorted) = &classify.sorted else {
        let saved = if classify.sets.is_empty() { "" } else { " `esc`, then `S` chooses a saved set." };
        let says = format!("Type labels, separated by commas: every photo gets the one that fits it best.{saved}");
        let inside = Rect { x: areas.body.x + areas.body.width / 8, width: areas.body.width * 3 / 4, ..areas.body };
        return message(frame, inside, &says, theme.dim);
    };
    if classify.gallery.shown().is_empty() {
        message(frame, areas.body, "no photo has this label", theme.dim);
    } else {
        gallery::draw(frame, state, &classify.gallery, areas.body, &[]);
    }
    let labels = &sorted.set.labels;
    let (top, bottom) = parts(state);
    distribution(frame, state, top, labels);
    let Some(judged) = state
        .photo()
        .and_then(|id| sorted.photos.get(sorted.photos.binary_search_by_key(&id, |judged| judged.id).ok()?))
    else {
        return;
    };
    let mut lines = vec![Line::from(Span::styled("this photo", theme.dim))];
    let name = |at: usize| {
        let background = at.checked_sub(labels.len()).and_then(|at| sorted.set.background.get(at));
        labels.get(at).or(background).map_or(String::new(), |label| clean(label))
    };
    for (at, probability) in &judged.verdict.ranked {
        lines.push(share(
            state,
            &name(*at),
            format!("{:>4.0} %", probability * 100.0),
            *probability,
            bottom.width.into(),
            judged.verdict.label == Some(*at),
        ));
    }
    frame.render_widget(Paragraph::new(lines), bottom);
}

/// The areas of the list of labels and of the selected photo's probabilities.
fn parts(state: &State) -> (Rect, Rect) {
    let side = layout::areas(state).side;
    let inner = Rect { x: side.x + 1, width: side.width.saturating_sub(2), ..side };
    let rows = u16::try_from(state.classify.counts.len() + 2).unwrap_or(u16::MAX).min(inner.height * 3 / 5);
    let [top, bottom] = Layout::vertical([Constraint::Length(rows), Constraint::Fill(1)]).areas(inner);
    (top, bottom)
}

/// The visible labels: position and row of each.
fn rows(state: &State) -> Vec<(usize, Rect)> {
    let (area, _) = parts(state);
    let count = state.classify.counts.len();
    let fit_rows = usize::from(area.height.saturating_sub(2)).max(1);
    let first = state.classify.label.saturating_sub(fit_rows / 2).min(count.saturating_sub(fit_rows));
    let row = |n: u16| Rect { y: area.y + 1 + n, height: 1, ..area }.intersection(area);
    (first..count.min(first + fit_rows)).zip((0..).map(row)).collect()
}

/// The position of the label at a cell of the screen.
#[must_use]
pub(super) fn label_at(state: &State, x: u16, y: u16) -> Option<usize> {
    rows(state).into_iter().find(|(_, row)| row.contains((x, y).into())).map(|(at, _)| at)
}

/// A label, a number, and a bar.
fn share(state: &State, name: &str, number: String, share: f32, width: usize, bold: bool) -> Line<'static> {
    let theme = &state.theme;
    let label = pad(&fit(name, width * 2 / 5), width * 2 / 5);
    let room = width.saturating_sub(width * 2 / 5 + number.len() + 2);
    Line::from(vec![
        Span::styled(format!("{label} "), if bold { theme.accent } else { theme.text }),
        Span::styled(format!("{number} "), theme.dim),
        Span::styled(bar(share, room), theme.gauge),
    ])
}

fn distribution(frame: &mut Frame<'_>, state: &State, area: Rect, labels: &[String]) {
    let theme = &state.theme;
    let counts = &state.classify.counts;
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    put(frame.buffer_mut(), area, 0, "the library", theme.dim);
    for (at, row) in rows(state) {
        let Some(count) = counts.get(at) else { continue };
        let name = labels.get(at).map_or("none of these".to_owned(), |label| clean(label));
        let selected = at == state.classify.label;
        let line = share(state, &name, format!("{count:>6}"), *count as f32 / most as f32, area.width.into(), selected);
        if selected {
            frame.buffer_mut().set_style(row, theme.selected);
        }
        frame.render_widget(Paragraph::new(line), row);
    }
}
