//! Search: the query line, and what was found.

use super::text::{clean, fit, words_of, wrap};
use super::{clear, gallery, look, message, put};
use crate::terminal::text::count;
use crate::tui::layout;
use crate::tui::source::Source;
use crate::tui::state::State;
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use snapseek_index::Order;
use tui_input::Input;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let areas = layout::areas(state);
    let (theme, search) = (&state.theme, &state.search);
    query(frame, state, areas.input);
    let words = words_of(search.visits.current().text());
    if search.gallery.shown().is_empty() {
        nothing(frame, state, areas.body);
    } else {
        gallery::draw(frame, state, &search.gallery, areas.body, &words);
    }
    if areas.side.width > 0
        && let Some(photo) = state.photo()
    {
        look::side(frame, state, photo, areas.side, true, &words);
    }
    if let (Some(completion), Some(area)) = (&search.completion, layout::completions(state)) {
        clear(frame, state, area);
        for (row, (at, item)) in area.rows().zip(completion.items.iter().enumerate()) {
            let style = if at == completion.at { theme.selected } else { theme.bar };
            frame.buffer_mut().set_style(row, style);
            put(frame.buffer_mut(), row, 1, item, style);
            if let Some(count) = completion.counts.get(at).copied().flatten().map(|count| count.to_string()) {
                let x = row.width.saturating_sub(u16::try_from(count.len()).unwrap_or(0) + 1);
                put(
                    frame.buffer_mut(),
                    row,
                    x,
                    &count,
                    if at == completion.at { style } else { theme.bar.patch(theme.dim) },
                );
            }
        }
    }
}

/// Draws the query with the photos that it contains, and below it a summary of the results or an error.
fn query(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let (theme, search) = (&state.theme, &state.search);
    let mut x = 1;
    let sign = if search.typing { theme.accent } else { theme.dim };
    put(frame.buffer_mut(), area, x, "›", sign);
    x += 2;
    let chips: Vec<(String, Style)> = match search.visits.current() {
        Source::Query(seek) => {
            let chip = |like: &crate::tui::source::Like| {
                let name = like
                    .path
                    .file_name()
                    .map(|name| crate::terminal::sanitize::path(name.as_ref()))
                    .unwrap_or_default();
                let sign = if like.weight > 0.0 { '+' } else { '−' };
                (format!(" {sign} {} ", fit(&name, 24)), if like.weight > 0.0 { theme.good } else { theme.wrong })
            };
            seek.likes.iter().map(chip).collect()
        }
        Source::Chosen { title, .. } => vec![(format!(" {} ", fit(&clean(title), 60)), theme.good)],
    };
    for (chip, style) in chips {
        // Leave room for the text that is typed.
        if usize::from(x) + chip.width() + 24 > usize::from(area.width) {
            put(frame.buffer_mut(), area, x, "…", theme.dim);
            x += 2;
            break;
        }
        put(frame.buffer_mut(), area, x, &format!("[{chip}]"), style);
        x += u16::try_from(chip.width() + 3).unwrap_or(u16::MAX / 2);
    }
    let line = Rect { x: area.x + x.min(area.width), width: area.width.saturating_sub(x), height: 1, ..area };
    let hint = "what are you looking for?  a dog in the snow   taken:2019   @photo.jpg + at night";
    input_line(frame, state, &search.input, line, search.typing && state.overlay.is_none(), hint);
    let says = Rect {
        x: area.x + 3,
        y: area.y + 1,
        width: area.width.saturating_sub(3),
        height: area.height.saturating_sub(1),
    };
    let lines: Vec<Line<'_>> = match &search.error {
        Some(error) => {
            let lines = wrap(&clean(error), says.width.into(), says.height.into()).into_iter();
            lines.map(|line| Line::from(Span::styled(line, theme.wrong))).collect()
        }
        None => vec![Line::from(Span::styled(fit(&summary(state), says.width.into()), theme.dim))],
    };
    frame.render_widget(Paragraph::new(lines), says);
}

/// A summary of the results, in one line.
fn summary(state: &State) -> String {
    let search = &state.search;
    let (matches, shown) = (search.gallery.matches(), search.gallery.shown().len());
    let more = if search.answer.more { "+" } else { "" };
    let took = search.answer.took.as_millis();
    let (back, forward) = search.visits.ways();
    let ways = match (back, forward) {
        (true, true) => "   [ back  ] forward",
        (true, false) => "   [ back",
        (false, true) => "   ] forward",
        (false, false) => "",
    };
    let (order, reverse) = (search.listing.order, search.listing.reverse);
    let sorted = match order {
        Order::Best => "",
        Order::Date => ", by date",
        Order::Name => ", by name",
        Order::Size => ", by size",
        Order::Path => ", by path",
        Order::Rating => ", by rating",
    };
    let ways = format!("{sorted}{}{ways}", if reverse { ", reversed" } else { "" });
    match search.visits.current() {
        Source::Chosen { .. } => format!("{}{ways}", count(shown, "photo")),
        Source::Query(seek) if seek.is_empty() && order == Order::Best && !reverse => {
            format!("all photos, newest first{ways}")
        }
        Source::Query(seek) if seek.is_empty() => format!("all photos{ways}"),
        Source::Query(_) if shown == 0 => format!("nothing found{ways}"),
        Source::Query(_) if matches == 0 => format!("no match; these are the nearest{ways}"),
        Source::Query(_) => {
            let word = if matches == 1 { "match" } else { "matches" };
            let more = if shown > matches { "" } else { more };
            format!("{matches}{more} {word} of {} in {took} ms{ways}", count(search.answer.total, "photo"))
        }
    }
}

/// Draws a line of text, or `hint` if it is empty; with the cursor if keys go into it.
pub(super) fn input_line(frame: &mut Frame<'_>, state: &State, input: &Input, area: Rect, has_keys: bool, hint: &str) {
    let theme = &state.theme;
    if area.width == 0 || area.height == 0 {
        return;
    }
    if input.value().is_empty() {
        put(
            frame.buffer_mut(),
            area,
            u16::from(has_keys),
            &fit(hint, usize::from(area.width).saturating_sub(1)),
            theme.dim,
        );
        if has_keys {
            frame.set_cursor_position(Position::new(area.x, area.y));
        }
        return;
    }
    // Characters that could drive the terminal are escaped, so the cursor is where the escaped text before it ends.
    let before: String = input.value().chars().take(input.cursor()).collect();
    let (before, text) = (clean(&before), clean(input.value()));
    let room = usize::from(area.width).saturating_sub(1);
    let skip = before.width().saturating_sub(room);
    let mut left = 0;
    let seen: String = text
        .graphemes(true)
        .skip_while(|piece| {
            let skips = left < skip;
            left += piece.width();
            skips
        })
        .collect();
    put(frame.buffer_mut(), area, 0, &seen, theme.text);
    if has_keys {
        let hidden = text.width().saturating_sub(seen.width());
        let x = u16::try_from(before.width().saturating_sub(hidden)).unwrap_or(0).min(area.width - 1);
        frame.set_cursor_position(Position::new(area.x + x, area.y));
    }
}

fn nothing(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let theme = &state.theme;
    let has_photos = state.index.standing.as_ref().is_some_and(|standing| standing.status.photos > 0);
    if state.search.waiting && (has_photos || !state.index.known) {
        return;
    }
    if !has_photos && state.index.known {
        let says = if state.index.run.is_some() {
            "Photos appear here while they are indexed."
        } else {
            "There are no photos yet. Press 6, then a, and name a folder: its photos are read and never changed, and nothing leaves this machine."
        };
        let inside = Rect { x: area.x + area.width / 8, width: area.width * 3 / 4, ..area };
        message(frame, inside, says, theme.text);
        return;
    }
    let text = state.search.visits.current().text();
    let dates = if text.contains("taken:") && !text.contains("taken:~") {
        " Dates that only the files have are asked for with a tilde: taken:~2019."
    } else {
        ""
    };
    let says = format!("No photos found. `[` goes back, `/` changes the query.{dates}");
    let inside = Rect { x: area.x + area.width / 8, width: area.width * 3 / 4, ..area };
    message(frame, inside, &says, theme.dim);
}
