//! Clusters: name, keywords, count and the photos nearest to the centroid.

use super::message;
use super::text::{clean, fit};
use crate::terminal::text::{count, pad};
use crate::tui::layout;
use crate::tui::state::State;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Borders, Paragraph};

pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let areas = layout::areas(state);
    let theme = &state.theme;
    if let Some(error) = &state.clusters.error {
        return message(frame, areas.body, error, theme.wrong);
    }
    if state.is_empty() {
        return message(frame, areas.body, super::NO_PHOTOS, theme.text);
    }
    let Some(groups) = &state.clusters.groups else { return };
    if groups.groups.is_empty() {
        let says = if state.work.is_some() {
            "Looking for groups of photos that are alike."
        } else {
            "No group of photos stands out. `C` looks again."
        };
        return message(frame, areas.body, says, theme.dim);
    }
    for (at, area) in layout::clusters(state) {
        let Some(group) = groups.groups.get(at) else { continue };
        let selected = at == state.clusters.at;
        for (id, cover) in group.covers.iter().zip(layout::covers(area, group.covers.len())) {
            super::picture(frame, state, *id, cover);
        }
        let text = Rect { width: (area.width / 2).min(44), ..area };
        if selected {
            let block = Block::new().borders(Borders::LEFT).border_type(BorderType::Thick).border_style(theme.accent);
            frame.render_widget(block, Rect { height: text.height.saturating_sub(1), ..text });
        }
        let inner = Rect { x: text.x + 2, width: text.width.saturating_sub(3), ..text };
        let width = usize::from(inner.width);
        let lines = vec![
            Line::from(vec![
                Span::styled("■ ", theme.group(Some(at))),
                Span::styled(
                    fit(&clean(&group.name), width.saturating_sub(2)),
                    if selected { theme.accent } else { theme.text },
                ),
            ]),
            Line::from(Span::styled(
                format!(
                    "{}, coherence {:.2}",
                    count(usize::try_from(group.photos).unwrap_or(0), "photo"),
                    group.coherence
                ),
                theme.dim,
            )),
            Line::from(Span::styled(fit(&clean(&group.keywords.join(", ")), width), theme.dim)),
        ];
        frame.render_widget(Paragraph::new(lines), inner);
    }
    if state.note.is_none() && state.work.is_none() {
        let says = format!(
            "{} clusters; {} fit none (cluster:none finds them)",
            groups.groups.len(),
            count(usize::try_from(groups.outside).unwrap_or(0), "photo")
        );
        super::put(frame.buffer_mut(), areas.status, 1, &pad(&says, areas.status.width.into()), theme.dim);
    }
}
