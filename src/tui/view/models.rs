//! Models: a list, what is known about the selected one, and how far the work on one is.

use super::text::{bar, clean, fit, wrap};
use super::{message, put};
use crate::model_choice::rounded;
use crate::terminal::text::shorten;
use crate::tui::layout;
use crate::tui::models::{ModelRow, recall};
use crate::tui::state::State;
use ratatui::Frame;
use ratatui::layout::Rect;
use snapseek_index::ModelRole;

pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let theme = &state.theme;
    let (list, below) = layout::models(state);
    let models = &state.models;
    if models.stock.is_none() {
        return message(frame, list, "looking which models there are", theme.dim);
    }
    let rows = models.rows();
    for (at, area) in layout::model_rows(state) {
        let Some(row) = rows.get(at) else { continue };
        let inside = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
        let (name, size, purpose, beside) = match row {
            ModelRow::Heading(name) => {
                put(frame.buffer_mut(), inside, 0, name, theme.accent);
                continue;
            }
            ModelRow::Installed(item) => {
                let form = item.precision.filter(|form| *form != "full").map(|form| format!(" ({form})"));
                let role = match models.used(&item.name).map(|used| used.role) {
                    Some(ModelRole::Current) => "answers here",
                    Some(ModelRole::Filling) => "is being prepared",
                    Some(ModelRole::Kept) => "kept beside",
                    None if models.writes(item).is_some() => "writes here",
                    None => "",
                };
                // Of a folder, the end tells most.
                let name = if item.name.starts_with('/') { shorten(&item.name, 26) } else { item.name.clone() };
                let name = format!("{name}{}", form.unwrap_or_default());
                (name, rounded(item.bytes), item.kind.purpose(), role.to_owned())
            }
            ModelRow::Offered(model) => {
                let size = model.bytes.map(rounded).unwrap_or_default();
                (model.name.to_owned(), size, model.purpose, model.about.to_owned())
            }
        };
        let is_selected = at == models.at;
        let style = if is_selected { theme.selected } else { theme.text };
        let dim = if is_selected { style } else { theme.dim };
        frame.buffer_mut().set_style(area, style);
        let found = recall(&name).map(|recall| format!("finds {recall:.0} of 100"));
        let beside = if beside.is_empty() { found.unwrap_or_default() } else { beside };
        let width = usize::from(inside.width);
        // The name gives way first.
        let named = (width.saturating_sub(11)).clamp(8, 26);
        put(frame.buffer_mut(), inside, 0, &fit(&clean(&name), named), style);
        put(frame.buffer_mut(), inside, column(named + 1), &format!("{size:>8}"), dim);
        put(frame.buffer_mut(), inside, column(named + 11), &fit(purpose, width.saturating_sub(named + 11)), dim);
        let left = width.saturating_sub(named + 11 + 26);
        if left > 4 {
            put(frame.buffer_mut(), inside, column(named + 11 + 26), &fit(&clean(&beside), left), dim);
        }
    }
    details(frame, state, below);
}

fn column(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}

/// What is known about the selected model; while one is worked on, how far that is.
fn details(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let theme = &state.theme;
    let inside = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let width = usize::from(inside.width);
    let mut lines: Vec<(String, ratatui::style::Style)> = vec![("─".repeat(width), theme.dim)];
    if let Some(job) = &state.models.job {
        let stops = if job.is_cancelled { "stopping" } else { "x cancels; what has come is kept" };
        lines.push((format!("{}   {stops}", clean(&job.work.says())), theme.accent));
        if let Some((what, done, total)) = &job.at {
            let share = if *total > 0 { *done as f32 / *total as f32 } else { 0.0 };
            let of = match what.as_str() {
                "quantizing" => format!("{:.0} %", share * 100.0),
                _ => format!("{} of {}  {}", rounded(*done), rounded(*total), clean(what)),
            };
            let room = width.min(40);
            let filled = bar(share, room);
            let rest = "·".repeat(room.saturating_sub(filled.chars().count()));
            lines.push((format!("{filled}{rest}  {of}"), theme.gauge));
        }
    }
    for (is_problem, said) in state.models.log.iter().rev().take(3).rev() {
        let style = if *is_problem { theme.wrong } else { theme.good };
        lines.extend(wrap(&clean(said), width, 3).into_iter().map(|line| (line, style)));
    }
    for (n, says) in state.model_says().into_iter().enumerate() {
        let style = if n == 0 { theme.text } else { theme.dim };
        lines.extend(wrap(&clean(&says), width, 2).into_iter().map(|line| (line, style)));
    }
    for (row, (says, style)) in inside.rows().zip(lines) {
        put(frame.buffer_mut(), row, 0, &fit(&says, width), style);
    }
}
