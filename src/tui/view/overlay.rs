//! Overlays.

use super::search::input_line;
use super::text::{bar, clean, fit, wrap};
use super::{clear, put};
use crate::terminal::text::shorten;
use crate::tui::action::{ACTIONS, Action, Sorting};
use crate::tui::choices::narrowed;
use crate::tui::command::{self, PaletteRow};
use crate::tui::layout;
use crate::tui::overlay::{Asked, Overlay, Picker, Prompt};
use crate::tui::place::Place;
use crate::tui::state::State;
use ratatui::Frame;
use ratatui::layout::{Margin, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph, Wrap};
use snapseek_index::{FacetField, query};

/// Columns of the line in a prompt.
const PROMPT_WIDTH: u16 = 60;

pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    match &state.overlay {
        None => {}
        Some(Overlay::Help(top)) => help(frame, state, *top),
        Some(Overlay::Palette(picker)) => {
            let keys = &state.options.keymap;
            let rows = command::rows(state.place, picker.input.value());
            let line = |row: PaletteRow| match row {
                PaletteRow::Command(_) => (format!("run: {}", clean(picker.input.value().trim())), "enter".to_owned()),
                PaletteRow::Use(known) => (format!("{} {}", known.name, known.arguments), known.says.to_owned()),
                PaletteRow::Action(entry) => match entry.places.first().filter(|_| !entry.counts_in(state.place)) {
                    Some(place) => {
                        (entry.says.to_owned(), format!("{}  in {}", keys.keys_of(entry.name), place.name()))
                    }
                    None => (entry.says.to_owned(), keys.keys_of(entry.name)),
                },
            };
            list(frame, state, "All actions and commands", picker, rows.into_iter().map(line).collect());
        }
        Some(Overlay::Choose(choice, picker)) => {
            let all = state.choices(*choice);
            let found = narrowed(&all, picker.input.value()).into_iter().filter_map(|at| all.get(at));
            let lines = found.map(|(name, beside)| (clean(name), fit(&clean(beside), 30))).collect();
            list(frame, state, choice.title(), picker, lines);
        }
        Some(Overlay::Menu(menu, at)) => {
            let actions = menu.actions();
            let height = 2 + u16::try_from(actions.len()).unwrap_or(0);
            let area = window(frame, state, menu.title(), 44, height);
            for (row, (n, (key, action))) in area.rows().zip(actions.iter().enumerate()) {
                let style = if n == *at { state.theme.selected } else { state.theme.text };
                let says = ACTIONS.iter().find(|entry| entry.action == *action).map_or("", |entry| entry.says);
                // Below the title, it need not be said again.
                let begins = [format!("{} ", menu.title()), format!("{}: ", menu.title())];
                let short = begins.iter().find_map(|begin| says.strip_prefix(begin.to_lowercase().as_str()));
                frame.buffer_mut().set_style(row, style);
                let current = is_so(state, *action);
                put(frame.buffer_mut(), row, row.width.saturating_sub(2), if current { "✓" } else { "" }, style);
                put(frame.buffer_mut(), row, 0, &key.to_string(), state.theme.accent);
                put(frame.buffer_mut(), row, 3, short.unwrap_or(says), style);
            }
        }
        Some(Overlay::Filters(field, at)) => filters(frame, state, *field, *at),
        Some(Overlay::Text(title, lines, top)) => text(frame, state, title, lines, *top),
        Some(Overlay::Prompt(Asked { prompt, input, refused, choices })) => {
            let why = refused.as_deref().map(|why| wrap(&clean(why), PROMPT_WIDTH.into(), 4)).unwrap_or_default();
            let has = match prompt {
                Prompt::Tags(photos) => tags_of(state, photos),
                Prompt::Pull(name, what) => format!("{name}: {what}"),
                Prompt::UseModel(name) => {
                    format!("{name}: the present one answers until all photos are embedded, and is kept then")
                }
                Prompt::DropModel(name) => format!("{name}: only reindexing by it brings that back"),
                _ => String::new(),
            };
            let beside = [has, choices.join(" · ")];
            let choices: Vec<String> =
                beside.iter().flat_map(|text| wrap(&clean(text), PROMPT_WIDTH.into(), 4)).collect();
            let height = 3 + u16::try_from(why.len() + choices.len()).unwrap_or(0);
            let area = window(frame, state, prompt.asks(), PROMPT_WIDTH + 4, height);
            input_line(frame, state, input, Rect { height: 1, ..area }, true, "");
            let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
            let line = |style| move |line| Line::from(Span::styled(line, style));
            let why = why.into_iter().map(line(state.theme.wrong));
            let lines: Vec<Line<'_>> = why.chain(choices.into_iter().map(line(state.theme.dim))).collect();
            frame.render_widget(Paragraph::new(lines), below);
        }
    }
}

/// The tags that a photo has, or each of several.
fn tags_of(state: &State, photos: &[i64]) -> String {
    let mut all =
        photos.iter().map(|id| state.photos.get(id).map(|photo| photo.own_tags.as_slice()).unwrap_or_default());
    let mut shared: Vec<&String> = all.next().unwrap_or_default().iter().collect();
    all.for_each(|tags| shared.retain(|tag| tags.contains(tag)));
    let shared = shared.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    match (photos.len(), shared.is_empty()) {
        (1, true) => "it has none of yours yet".into(),
        (1, false) => format!("it has: {shared}"),
        (n, true) => format!("{n} photos; none that all have"),
        (n, false) => format!("{n} photos; all have: {shared}"),
    }
}

/// Whether what an action of a menu does is so already.
fn is_so(state: &State, action: Action) -> bool {
    let own = || state.photo().and_then(|id| state.photos.get(&id)).map(|photo| photo.own_rating);
    match action {
        Action::SortBy(Sorting::By(order)) => state.search.listing.order == order,
        Action::SortBy(Sorting::Reversed) => state.search.listing.reverse,
        Action::Rate(stars) => own() == Some(stars),
        _ => false,
    }
}

/// Draws the fields, and the values of one of them with how many photos have each.
fn filters(frame: &mut Frame<'_>, state: &State, field: usize, at: usize) {
    let theme = &state.theme;
    let height = state.screen.height.saturating_sub(4).clamp(8, 26);
    let is_narrowed = !query::filters_of(&state.filters.text).is_empty();
    let counted = if is_narrowed { "within the query's filters" } else { "in the whole library" };
    let area = window(frame, state, &format!("Filter by (counted {counted})"), 76, height);
    let mut names = Vec::new();
    for (n, (known, name, _)) in FacetField::ALL.iter().enumerate() {
        let has_values = state.filters.counted(*known).is_none_or(|counts| !counts.values.is_empty());
        let style = if has_values { theme.text } else { theme.dim.add_modifier(Modifier::CROSSED_OUT) };
        names.push(Span::styled(*name, if n == field { theme.accent.add_modifier(Modifier::REVERSED) } else { style }));
        names.push(Span::raw("  "));
    }
    let names = Paragraph::new(Line::from(names)).wrap(Wrap { trim: true });
    let lines = if area.width < 70 { 3 } else { 2 };
    frame.render_widget(names, Rect { height: lines.min(area.height), ..area });
    let mut rows = Rect { y: area.y + lines, height: area.height.saturating_sub(lines), ..area };
    let Some((known, ..)) = FacetField::ALL.get(field) else { return };
    let values = match state.filters.fields.get(known) {
        None => return put(frame.buffer_mut(), rows, 0, "counting", theme.dim),
        Some(Err(why)) => {
            let why = wrap(&clean(why), rows.width.into(), rows.height.into());
            let why: Vec<Line<'_>> = why.into_iter().map(Line::from).collect();
            return frame.render_widget(Paragraph::new(why).style(theme.wrong), rows);
        }
        Some(Ok(counts)) => &counts.values,
    };
    let replaced = state.filters.replaced(*known);
    if !replaced.is_empty() {
        let says = format!("in place of {}", clean(&replaced.join(" ")));
        put(frame.buffer_mut(), rows, 0, &shorten(&says, rows.width.into()), theme.dim);
        rows = Rect { y: rows.y + 1, height: rows.height.saturating_sub(1), ..rows };
    }
    if values.is_empty() {
        let none =
            if is_narrowed { "none of these photos says this of itself" } else { "no photo says this of itself" };
        put(frame.buffer_mut(), rows, 0, none, theme.dim);
    }
    let most = values.iter().map(|facet| facet.photos).max().unwrap_or(1).max(1);
    let first = (at + 1).saturating_sub(usize::from(rows.height).max(1));
    let room = usize::from(rows.width / 2);
    for (row, (n, facet)) in rows.rows().zip(values.iter().enumerate().skip(first)) {
        let is_selected = n == at;
        let style = if is_selected { theme.selected } else { theme.text };
        frame.buffer_mut().set_style(row, style);
        put(frame.buffer_mut(), row, 0, &shorten(&clean(&facet.value), room), style);
        let count = format!("{:>8}", facet.photos);
        put(frame.buffer_mut(), row, rows.width / 2 + 1, &count, if is_selected { style } else { theme.dim });
        let bar = bar(facet.photos as f32 / most as f32, usize::from(rows.width - rows.width / 2).saturating_sub(12));
        put(frame.buffer_mut(), row, rows.width / 2 + 11, &bar, theme.gauge);
    }
}

/// Draws a text to read, scrolled down to line `top` as far as there is more below.
fn text(frame: &mut Frame<'_>, state: &State, title: &str, lines: &[String], top: usize) {
    let width = state.screen.width.saturating_sub(4).clamp(20, 100);
    let wrapped: Vec<String> = lines.iter().flat_map(|line| wrapped(line, usize::from(width - 4))).collect();
    let height = u16::try_from(wrapped.len()).unwrap_or(u16::MAX).saturating_add(2);
    let is_long = height > state.screen.height.saturating_sub(2);
    let title = if is_long { format!("{title}: j k scroll") } else { title.to_owned() };
    let area = window(frame, state, &title, width, height.min(state.screen.height.saturating_sub(2)));
    let first = top.min(wrapped.len().saturating_sub(area.height.into()));
    let seen: Vec<Line<'_>> = wrapped.into_iter().skip(first).take(area.height.into()).map(Line::from).collect();
    frame.render_widget(Paragraph::new(seen).style(state.theme.text), area);
}

/// A clean line, which may begin with spaces, in as many lines as it needs, those after the first further to the right.
fn wrapped(line: &str, width: usize) -> Vec<String> {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let mut parts = wrap(line, width.saturating_sub(indent + 2).max(8), 200).into_iter();
    let mut lines = vec![format!("{}{}", " ".repeat(indent), parts.next().unwrap_or_default())];
    lines.extend(parts.map(|part| format!("{}{part}", " ".repeat(indent + 2))));
    lines
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
    if lines.is_empty() {
        put(frame.buffer_mut(), rows, 0, "nothing is called so", theme.dim);
    }
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
    let has_key = |entry: &&crate::tui::action::Entry| !keys.keys_of(entry.name).is_empty();
    let here = ACTIONS.iter().filter(|entry| entry.places.contains(&state.place));
    let mut lines: Vec<Line<'static>> = here.clone().filter(has_key).map(line).collect();
    // What has no key is typed.
    lines.extend(here.filter(|entry| !has_key(entry)).map(|entry| {
        Line::from(vec![
            Span::styled(format!("{:<20}", format!(":{}", entry.name)), theme.accent),
            Span::styled(entry.says, theme.text),
        ])
    }));
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
