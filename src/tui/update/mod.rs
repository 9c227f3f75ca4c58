//! The update function: it receives an event, changes the state and returns effects. It never blocks.

mod actions;
mod browse;
mod chat;
mod classify;
mod clusters;
mod commands;
mod copies;
pub mod counts;
pub mod line_steps;
mod look;
mod map;
mod messages;
mod models;
mod mouse;
mod overlays;
mod search;
pub mod undo;

use super::action::Action;
use super::burst::character;
use super::event::{Effect, Ending, Event};
use super::keymap::Key;
use super::overlay::{Overlay, Picker};
use super::place::Place;
use super::state::State;
use super::{layout, view};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::Rect;
use tui_input::{Input, InputRequest};

/// Most characters of a line of text.
const LONGEST_LINE: usize = 4_000;
/// Changes the state according to an event; returns the effects to execute.
pub fn update(state: &mut State, event: Event) -> Vec<Effect> {
    let mut effects = Vec::new();
    let is_typed = matches!(event, Event::Key(_) | Event::Keys { .. } | Event::Paste(_));
    let line = if is_typed { state.line() } else { None };
    match event {
        Event::Key(key) if is_line_step(key) && line.is_some() => {
            state.step_line(!key.modifiers.contains(KeyModifiers::ALT), &mut effects);
            after(state, &mut effects);
            return effects;
        }
        Event::Key(key) if key.kind != KeyEventKind::Release => on_key(state, key, &mut effects),
        Event::Key(_) => {}
        Event::Keys { keys, is_pasted } => on_keys(state, &keys, is_pasted, &mut effects),
        Event::LineEnd if state.is_typing() => {
            on_key(state, KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE), &mut effects);
        }
        Event::LineEnd => {}
        Event::Suspend => effects.push(Effect::Suspend),
        Event::Mouse(mouse) => mouse::on_mouse(state, mouse, &mut effects),
        Event::Paste(text) => on_paste(state, &text, &mut effects),
        Event::Resize(width, height) => state.screen = Rect::new(0, 0, width, height),
        Event::Tick => {
            state.turn = state.turn.wrapping_add(1);
            if let Some(run) = &mut state.index.run {
                run.ticks += 1;
            }
        }
        Event::Message(message) => {
            if messages::changes_rows(&message) {
                state.browse.rows = None;
            }
            messages::on_message(state, message, &mut effects);
        }
        Event::Terminate => effects.push(Effect::Quit(Ending::Terminated)),
    }
    state.note_line(line);
    after(state, &mut effects);
    effects
}

/// Whether a key undoes a step in a line (Ctrl and the underscore or the slash, which terminals send as 7), or does one
/// again (Alt and R).
fn is_line_step(event: KeyEvent) -> bool {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    let alt = event.modifiers.contains(KeyModifiers::ALT);
    event.kind != KeyEventKind::Release
        && match event.code {
            KeyCode::Char('_' | '7' | '/') => control && !alt,
            KeyCode::Char('r') => alt && !control,
            _ => false,
        }
}

/// What must follow every change: the selection is visible, and everything visible is requested.
fn after(state: &mut State, effects: &mut Vec<Effect>) {
    let area = layout::areas(state).body;
    let place = state.place;
    if let Some(gallery) = state.gallery_mut(place) {
        gallery.reveal(area);
    }
    state.want_more(effects);
    let has_photos = state.index.standing.as_ref().is_some_and(|standing| standing.status.photos > 0);
    if has_photos && state.work.is_none() {
        let none = state.clusters.groups.as_ref().is_some_and(|groups| groups.groups.is_empty());
        match state.place {
            Place::Map if state.map.error.is_none() => state.want_chart(effects),
            // A library without clusters gets them when the user first looks.
            Place::Clusters if none && !state.clusters.tried => state.make_clusters(effects),
            _ => {}
        }
    }
    if state.place == Place::Browse {
        state.keep_rows();
        state.settle_row(true);
        state.want_covers(effects);
    }
    if state.place == Place::Chat {
        state.chat.back = state.chat.back.min(view::chat_overhang(state));
    }
    if let Some(Overlay::Help(top)) = &state.overlay {
        state.overlay = Some(Overlay::Help((*top).min(view::help_overhang(state))));
    }
    state.point();
    if state.kept_marks != state.marks.changes() && !state.options.pick {
        state.kept_marks = state.marks.changes();
        effects.push(Effect::KeepMarks(state.marks.to_vec()));
    }
    let mut unknown: Vec<i64> = layout::photos(state);
    unknown.retain(|id| !state.photos.contains_key(id) && !state.asked.contains(id));
    unknown.sort_unstable();
    unknown.dedup();
    if !unknown.is_empty() {
        state.asked.extend(&unknown);
        effects.push(Effect::Photos(unknown));
    }
}

fn on_key(state: &mut State, event: KeyEvent, effects: &mut Vec<Effect>) {
    let key = Key::of(event);
    // Esc and a key that follows at once arrive as one with Alt; if that means nothing, they are two.
    if event.modifiers.contains(KeyModifiers::ALT)
        && !event.modifiers.contains(KeyModifiers::CONTROL)
        && matches!(event.code, KeyCode::Char(c) if !(state.is_typing() && "bf".contains(c)))
        && state.options.keymap.action(state.place, key).is_none()
    {
        on_key(state, KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE), effects);
        return on_key(state, KeyEvent::new(event.code, event.modifiers - KeyModifiers::ALT), effects);
    }
    state.note = None;
    if layout::is_too_small(state) {
        if let Some(action @ (Action::Quit | Action::Suspend)) = state.options.keymap.action(state.place, key) {
            state.act(action, effects);
        }
        return;
    }
    // These actions work even while text is typed, if their key does not type a character.
    let is_text = matches!(event.code, KeyCode::Char(_))
        && !event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
    if state.is_typing() && !is_text {
        // In a list, Ctrl-P moves the selection; in a prompt over a photo, Enter is its own.
        let listed = state.overlay.is_some();
        let action = state.options.keymap.action(state.place, key);
        let action =
            action.filter(|action| !listed || !matches!(action, Action::Palette | Action::Help | Action::Pick));
        if let Some(action @ (Action::Quit | Action::Suspend | Action::Palette | Action::Help | Action::Pick)) = action
        {
            return state.act(action, effects);
        }
    }
    if state.overlay.is_some() {
        return overlays::on_key(state, event, effects);
    }
    if state.is_typing() {
        return match state.place {
            Place::Search => search::on_key(state, event, effects),
            Place::Classify => classify::on_key(state, event, effects),
            _ => chat::on_key(state, event, effects),
        };
    }
    state.on_command_key(key, effects);
}

/// Keys that came together. In a line, characters are added at once. A text that was pasted as keys never acts as
/// commands.
fn on_keys(state: &mut State, keys: &[KeyEvent], is_pasted: bool, effects: &mut Vec<Effect>) {
    let mut rest = keys;
    while let Some((first, after)) = rest.split_first() {
        if effects.iter().any(|effect| matches!(effect, Effect::Quit(_))) {
            return;
        }
        if state.is_typing() {
            let run = rest.iter().take_while(|key| is_pasted || character(key).is_some()).count();
            if run > 1 || is_pasted {
                let text: String = rest[..run].iter().map(|key| character(key).unwrap_or(' ')).collect();
                state.note = None;
                insert(state, &text, effects);
                rest = &rest[run..];
                continue;
            }
        } else if is_pasted {
            // What a terminal is told to send may begin with the key that opens a line; a text begins with letters.
            let action = state.options.keymap.action(state.place, Key::of(*first));
            let is_letter = character(first).is_some_and(char::is_alphanumeric);
            if is_letter || !action.is_some_and(Action::opens_a_line) {
                let key = state.options.keymap.keys_of("search");
                return state.warn(format!("a pasted text was not used: no line is open ({key} opens one)"));
            }
        }
        on_key(state, *first, effects);
        rest = after;
    }
}

fn on_paste(state: &mut State, text: &str, effects: &mut Vec<Effect>) {
    if state.is_typing() {
        insert(state, text, effects);
    }
}

/// Adds a text to the line that keys go into, at the cursor.
fn insert(state: &mut State, text: &str, effects: &mut Vec<Effect>) {
    match (&mut state.overlay, state.place) {
        (Some(Overlay::Palette(Picker { input, at }) | Overlay::Choose(_, Picker { input, at })), _) => {
            add(input, text);
            *at = 0;
        }
        (Some(Overlay::Prompt(asked)), _) => add(&mut asked.input, text),
        (Some(Overlay::Help(_) | Overlay::Menu(..) | Overlay::Filters(..) | Overlay::Text(..)), _) => {}
        (None, Place::Search) => {
            add(&mut state.search.input, text);
            state.search.recalled = None;
            state.query_changed(effects);
        }
        (None, Place::Classify) => add(&mut state.classify.input, text),
        (None, _) => add(&mut state.chat.input, text),
    }
}

/// Adds as much of a text to a line as it may hold; a line end must not act as Enter.
fn add(input: &mut Input, text: &str) {
    let (value, cursor) = (input.value(), input.cursor());
    let room = LONGEST_LINE.saturating_sub(value.chars().count());
    let text: String = text.chars().take(room).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut chars = value.chars();
    let before: String = chars.by_ref().take(cursor).collect();
    let to = cursor + text.chars().count();
    *input = Input::new(format!("{before}{text}{}", chars.as_str())).with_cursor(to);
}

/// Applies a key to a line of text; false if the key has no meaning there.
fn edit(input: &mut Input, event: KeyEvent) -> bool {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    let alt = event.modifiers.contains(KeyModifiers::ALT);
    let request = match event.code {
        KeyCode::Char('a') if control => InputRequest::GoToStart,
        KeyCode::Char('e') if control => InputRequest::GoToEnd,
        KeyCode::Char('b') if control => InputRequest::GoToPrevChar,
        KeyCode::Char('f') if control => InputRequest::GoToNextChar,
        KeyCode::Char('h') if control => InputRequest::DeletePrevChar,
        KeyCode::Char('d') if control => InputRequest::DeleteNextChar,
        KeyCode::Char('w') if control => InputRequest::DeletePrevWord,
        KeyCode::Char('u') if control => InputRequest::DeleteFromStart,
        KeyCode::Char('k') if control => InputRequest::DeleteTillEnd,
        KeyCode::Char('y') if control => InputRequest::Yank,
        KeyCode::Char('b') if alt => InputRequest::GoToPrevWord,
        KeyCode::Char('f') if alt => InputRequest::GoToNextWord,
        KeyCode::Char(_) if !control && !alt && input.value().chars().count() >= LONGEST_LINE => return true,
        KeyCode::Char(c) if !control && !alt => InputRequest::InsertChar(c),
        KeyCode::Backspace if control || alt => InputRequest::DeletePrevWord,
        KeyCode::Backspace => InputRequest::DeletePrevChar,
        KeyCode::Delete if control => InputRequest::DeleteNextWord,
        KeyCode::Delete => InputRequest::DeleteNextChar,
        KeyCode::Left if control || alt => InputRequest::GoToPrevWord,
        KeyCode::Right if control || alt => InputRequest::GoToNextWord,
        KeyCode::Left => InputRequest::GoToPrevChar,
        KeyCode::Right => InputRequest::GoToNextChar,
        KeyCode::Home => InputRequest::GoToStart,
        KeyCode::End => InputRequest::GoToEnd,
        _ => return false,
    };
    input.handle(request);
    true
}
