//! The map: photos as dots, coloured by cluster, and the photo nearest to the cursor.

use super::text::{clean, fit};
use super::{look, message};
use crate::terminal::text::count;
use crate::tui::layout;
use crate::tui::state::State;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::canvas::{Canvas, Points, Rectangle};
use ratatui::widgets::{Block, BorderType, Paragraph};
use std::collections::BTreeMap;

/// Most lines of the legend.
const LEGEND: usize = 12;

pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let areas = layout::areas(state);
    let (theme, map) = (&state.theme, &state.map);
    let frame_style = Block::bordered().border_type(BorderType::Rounded).border_style(theme.dim);
    frame.render_widget(frame_style, areas.body);
    let inside = layout::map(state);
    if state.is_empty() {
        return message(frame, inside, super::NO_PHOTOS, theme.text);
    }
    let Some(chart) = &map.chart else {
        let says = map.error.as_deref().unwrap_or("The map is being laid out.");
        return message(frame, inside, says, if map.error.is_some() { theme.wrong } else { theme.dim });
    };
    let (left, top, width, height) = layout::window(state);
    let (left, top, width, height) = (f64::from(left), f64::from(top), f64::from(width), f64::from(height));
    // The canvas's y axis points upwards.
    let mut groups: BTreeMap<Option<u16>, Vec<(f64, f64)>> = BTreeMap::new();
    for spot in &chart.spots {
        let (x, y) = (f64::from(spot.x), f64::from(spot.y));
        if (left..=left + width).contains(&x) && (top..=top + height).contains(&y) {
            groups.entry(spot.cluster).or_default().push((x, -y));
        }
    }
    let color = |group: Option<u16>| theme.group(group.map(usize::from)).fg.unwrap_or(Color::Reset);
    let cursor = (f64::from(map.cursor.0), -f64::from(map.cursor.1));
    let marker = theme.accent.fg.unwrap_or(Color::Reset);
    let canvas = Canvas::default()
        .marker(Marker::Braille)
        .x_bounds([left, left + width])
        .y_bounds([-(top + height), -top])
        .paint(|context| {
            for (group, coords) in &groups {
                context.draw(&Points { coords, color: color(*group) });
            }
            if let Some(corner) = map.corner {
                let (x, y) = (f64::from(corner.0), -f64::from(corner.1));
                context.layer();
                context.draw(&Rectangle {
                    x: x.min(cursor.0),
                    y: y.min(cursor.1),
                    width: (x - cursor.0).abs(),
                    height: (y - cursor.1).abs(),
                    color: marker,
                });
            }
        });
    frame.render_widget(canvas, inside);
    // The cursor takes a whole cell, so that it can be seen among the dots.
    let across = ((cursor.0 - left) / width * f64::from(inside.width)).floor();
    let down = ((-cursor.1 - top) / height * f64::from(inside.height)).floor();
    let cell = (
        inside.x + (across.max(0.0) as u16).min(inside.width.saturating_sub(1)),
        inside.y + (down.max(0.0) as u16).min(inside.height.saturating_sub(1)),
    );
    if inside.contains(cell.into()) {
        frame.buffer_mut().set_string(cell.0, cell.1, "╋", theme.accent);
    }
    if areas.side.width > 0 {
        side(frame, state, areas.side);
    }
}

fn side(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let theme = &state.theme;
    let Some(chart) = &state.map.chart else { return };
    if let Some(photo) = state.photo() {
        look::side(frame, state, photo, area, true, &[]);
    }
    let nearest = state.map.nearest.and_then(|at| chart.spots.get(at));
    let mut lines = Vec::new();
    if state.map.corner.is_some() {
        lines.push(Line::from(Span::styled(
            format!("{} in the box: s shows them", count(state.boxed().len(), "photo")),
            theme.accent,
        )));
    }
    let width = usize::from(area.width.saturating_sub(5));
    for (at, name) in chart.names.iter().enumerate().take(LEGEND) {
        let here = nearest.and_then(|spot| spot.cluster).is_some_and(|cluster| usize::from(cluster) == at);
        let style = if here { theme.accent } else { theme.dim };
        lines.push(Line::from(vec![
            Span::styled("■ ", theme.group(Some(at))),
            Span::styled(fit(&clean(name), width), style),
        ]));
    }
    let (_, facts) = layout::in_side(area);
    let rows = u16::try_from(lines.len()).unwrap_or(0).min(facts.height.saturating_sub(4));
    let legend = Rect { y: facts.bottom().saturating_sub(rows), height: rows, ..facts };
    super::clear(frame, state, legend);
    frame.render_widget(Paragraph::new(lines), legend);
}
