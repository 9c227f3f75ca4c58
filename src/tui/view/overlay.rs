//! Overlays.

use super::search::input_line;
use super::text::{clean, fit};
use super::{clear, put};
use crate::tui::action::ACTIONS;
use crate::tui::layout;
use crate::tui::overlay::{Overlay, Picker, narrow, palette};
use crate::tui::place::Place;
use crate::tui::state::State;
use ratatui::Frame;
use ratatui::layout::{Margin, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph};

pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    match &state.overlay {
        None => {}
        Some(Overlay::Help(top)) => help(frame, state, *top),
        Some(Overlay::Palette(picker)) => {
            let keys = &state.options.keymap;
            let lines = palette(state.place, picker.input.value());
            let lines = lines.into_iter().map(|entry| (entry.says.to_owned(), keys.keys_of(entry.name))).collect();
            list(frame, state, "All actions", picker, lines);
        }
        Some(Overlay::History(picker)) => {
            let newest: Vec<String> = state.search.history.iter().rev().cloned().collect();
            let found = narrow(&newest, picker.input.value());
            let lines = found.into_iter().filter_map(|at| Some((clean(newest.get(at)?), String::new()))).collect();
            list(frame, state, "Earlier queries", picker, lines);
        }
        Some(Overlay::Sets(picker)) => {
            let sets = &state.classify.sets;
            let names: Vec<String> = sets.iter().map(|set| set.name.clone()).collect();
            let found = narrow(&names, picker.input.value());
            let line = |at: usize| sets.get(at).map(|set| (clean(&set.name), fit(&clean(&set.labels.join(", ")), 30)));
            list(frame, state, "Saved label sets", picker, found.into_iter().filter_map(line).collect());
        }
        Some(Overlay::Prompt(prompt, input)) => {
            let area = window(frame, state, prompt.asks(), 64, 3);
            input_line(frame, state, input, area, true, "");
        }
    }
}

/// Draws an empty window with a title; returns the area inside.
fn window(frame: &mut Frame<'_>, state: &State, title: &str, width: u16, height: u16) -> Rect {
    let area = layout::middle(state, width, height);
    let block =
        Block::bordered().border_type(BorderType::Rounded).border_style(state.theme.accent).title(format!(" {title} "));
    clear(frame, state, area);
    frame.render_widget(block, area);
    area.inner(Margin::new(2, 1))
}

fn list(frame: &mut Frame<'_>, state: &State, title: &str, picker: &Picker, lines: Vec<(String, String)>) {
    let theme = &state.theme;
    let area = window(frame, state, title, 70, 22);
    input_line(frame, state, &picker.input, Rect { height: 1, ..area }, true, "type to narrow");
    let rows = Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area };
    let fit_rows = usize::from(rows.height).max(1);
    let first = (picker.at + 1).saturating_sub(fit_rows);
    for (row, (at, (says, keys))) in rows.rows().zip(lines.into_iter().enumerate().skip(first)) {
        let style = if at == picker.at { theme.selected } else { theme.text };
        frame.buffer_mut().set_style(row, style);
        let width = u16::try_from(unicode_width::UnicodeWidthStr::width(keys.as_str())).unwrap_or(0);
        put(frame.buffer_mut(), row, 0, &fit(&says, usize::from(row.width.saturating_sub(width + 1))), style);
        put(
            frame.buffer_mut(),
            row,
            row.width.saturating_sub(width),
            &keys,
            if at == picker.at { style } else { theme.dim },
        );
    }
}

fn help(frame: &mut Frame<'_>, state: &State, top: usize) {
    let lines = help_lines(state);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let more = if height > state.screen.height.saturating_sub(2) { ", j k scroll" } else { "" };
    let height = height.min(state.screen.height.saturating_sub(2));
    let area = window(frame, state, &format!("{}: keys{more}", state.place.name()), 74, height);
    let first = top.min(lines.len().saturating_sub(area.height.into()));
    frame.render_widget(Paragraph::new(lines.into_iter().skip(first).collect::<Vec<_>>()), area);
}

/// The keys of the place, and those that work everywhere.
pub(super) fn help_lines(state: &State) -> Vec<Line<'static>> {
    let theme = &state.theme;
    let keys = &state.options.keymap;
    let line = |entry: &crate::tui::action::Entry| {
        Line::from(vec![
            Span::styled(format!("{:<20}", keys.keys_of(entry.name)), theme.accent),
            Span::styled(entry.says, theme.text),
        ])
    };
    let mut lines: Vec<Line<'static>> =
        ACTIONS.iter().filter(|entry| entry.places.contains(&state.place)).map(line).collect();
    if state.place == Place::Search {
        lines.push(Line::default());
        lines.push(Line::from(Span::styled("A query", theme.dim)));
        for (form, says) in [
            ("a dog in the snow", "what it shows, or words in caption, tags, name"),
            ("\"red car\" -night", "a required phrase; less of one word"),
            ("@photo.jpg + in winter", "like this picture, with something added"),
            ("taken:2019-06 tag:dog", "filters; tab completes their names"),
            ("text:\"boarding pass\"", "words that stand in the picture"),
        ] {
            lines.push(Line::from(vec![
                Span::styled(format!("{form:<24}"), theme.accent),
                Span::styled(says, theme.text),
            ]));
        }
    }
    lines.push(Line::default());
    lines.push(Line::from(Span::styled("Everywhere", theme.dim)));
    lines.extend(ACTIONS.iter().filter(|entry| entry.places.is_empty()).map(line));
    lines
}
