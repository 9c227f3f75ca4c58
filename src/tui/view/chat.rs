//! Chat: the picture, and beside it the questions and answers.

use super::search::input_line;
use super::text::{clean, wrap};
use super::{look, message, put};
use crate::tui::layout;
use crate::tui::state::State;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

pub(super) fn draw(frame: &mut Frame<'_>, state: &State) {
    let areas = layout::areas(state);
    let (theme, chat) = (&state.theme, &state.chat);
    let Some(photo) = chat.photo else {
        let says = "Choose a photo in Search (1), then press c to ask about it.";
        return message(frame, areas.body, says, theme.dim);
    };
    if areas.side.width > 0 {
        look::side(frame, state, photo, areas.side, true, &[]);
    }
    let (inner, input) = parts(state);
    if let Some(missing) = &chat.missing {
        let key = state.options.keymap.keys_of("go-models");
        let says = format!("no model for captions is installed: Models ({key}) downloads one");
        let says = wrap(&says, inner.width.into(), 3).into_iter();
        let lines: Vec<Line<'_>> = says
            .map(|line| Line::from(Span::styled(line, theme.accent)))
            .chain([Line::default()])
            .chain(missing.lines().flat_map(|line| wrap(&clean(line), inner.width.into(), 20)).map(Line::from))
            .collect();
        frame.render_widget(Paragraph::new(lines).style(theme.text), inner);
        return;
    }
    let lines = lines(state, inner.width.into());
    let height = usize::from(inner.height);
    let first = lines.len().saturating_sub(height).saturating_sub(chat.back);
    let seen: Vec<Line<'_>> = lines.into_iter().skip(first).take(height).collect();
    frame.render_widget(Paragraph::new(seen), inner);
    let sign = if chat.typing { theme.accent } else { theme.dim };
    let prompt = if chat.again { "instead ›" } else { "›" };
    put(frame.buffer_mut(), input, 1, prompt, sign);
    let x = if chat.again { 11 } else { 3 };
    let line = Rect { x: input.x + x, width: input.width.saturating_sub(x + 1), height: 1, ..input };
    input_line(frame, state, &chat.input, line, chat.typing && state.overlay.is_none(), "what is in this photo?");
}

/// The areas of the chat's turns and of the question line.
fn parts(state: &State) -> (Rect, Rect) {
    let body = layout::areas(state).body;
    let [talk, input] = Layout::vertical([Constraint::Fill(1), Constraint::Length(2)]).areas(body);
    let top = u16::from(talk.height > 8);
    let talk = Rect { x: talk.x + 1, width: talk.width.saturating_sub(2), y: talk.y + top, height: talk.height - top };
    (talk, input)
}

/// How many lines do not fit on the screen.
pub(super) fn overhang(state: &State) -> usize {
    let (inner, _) = parts(state);
    lines(state, inner.width.into()).len().saturating_sub(inner.height.into())
}

/// The whole chat as lines of at most `width` columns.
fn lines(state: &State, width: usize) -> Vec<Line<'static>> {
    let (theme, chat) = (&state.theme, &state.chat);
    let mut lines = Vec::new();
    let said = |text: &str, first: &str, style| -> Vec<Line<'static>> {
        let wrapped = wrap(&clean(text), width.saturating_sub(2), 1_000).into_iter().enumerate();
        let sign = |n| if n == 0 { first.to_owned() } else { "  ".to_owned() };
        let line = |(n, line)| Line::from(vec![Span::styled(sign(n), theme.dim), Span::styled(line, style)]);
        wrapped.map(line).collect()
    };
    for turn in &chat.turns {
        lines.extend(said(&turn.question, "› ", theme.accent));
        lines.extend(said(&turn.answer, "  ", theme.text));
        lines.push(Line::default());
    }
    let mut say = |text: &str, first: &str, style| lines.extend(said(text, first, style));
    if let Some((question, answer)) = &chat.answering {
        say(question, "› ", theme.accent);
        let turn = super::TURNING[state.turn % super::TURNING.len()];
        say(&format!("{answer} {turn}"), "  ", theme.text);
    }
    if let Some(error) = &chat.error {
        say(error, "! ", theme.wrong);
    }
    if chat.opening {
        let turn = super::TURNING[state.turn % super::TURNING.len()];
        say(&format!("{turn} the model is looking at the picture"), "  ", theme.dim);
    } else if chat.turns.is_empty() && chat.answering.is_none() && chat.error.is_none() {
        say(&format!("Ask {} about this photo. The chat is kept with it.", chat.model), "  ", theme.dim);
    }
    lines
}
