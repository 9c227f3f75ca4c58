//! The update function: it receives an event, changes the state and returns effects. It never blocks.

mod actions;
mod chat;
mod classify;
mod clusters;
mod map;
mod messages;
mod mouse;
mod overlays;
mod search;

use super::action::Action;
use super::event::{Effect, Ending, Event};
use super::keymap::Key;
use super::overlay::{Overlay, Picker};
use super::place::Place;
use super::state::State;
use super::{layout, view};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::Rect;
use tui_input::{Input, InputRequest};

/// Most characters that are taken of a pasted text.
const LONGEST_PASTE: usize = 4_000;

/// Changes the state according to an event; returns the effects to execute.
pub fn update(state: &mut State, event: Event) -> Vec<Effect> {
    let mut effects = Vec::new();
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => on_key(state, key, &mut effects),
        Event::Key(_) => {}
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
        Event::Message(message) => messages::on_message(state, message, &mut effects),
        Event::Terminate => effects.push(Effect::Quit(Ending::Terminated)),
    }
    after(state, &mut effects);
    effects
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
    if state.place == Place::Chat {
        state.chat.back = state.chat.back.min(view::chat_overhang(state));
    }
    if let Some(Overlay::Help(top)) = &state.overlay {
        state.overlay = Some(Overlay::Help((*top).min(view::help_overhang(state))));
    }
    state.point();
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
        // In a list, Ctrl-P moves the selection.
        let listed = state.overlay.is_some();
        let action = state.options.keymap.action(state.place, key);
        let action = action.filter(|action| !listed || !matches!(action, Action::Palette | Action::Help));
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
    if let Some(action) = state.options.keymap.action(state.place, key) {
        state.act(action, effects);
    }
}

fn on_paste(state: &mut State, text: &str, effects: &mut Vec<Effect>) {
    // A pasted line break must not act as Enter.
    let text: String = text.chars().take(LONGEST_PASTE).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if !state.is_typing() {
        return;
    }
    let insert = |input: &mut Input| {
        for c in text.chars() {
            input.handle(InputRequest::InsertChar(c));
        }
    };
    match (&mut state.overlay, state.place) {
        (
            Some(
                Overlay::Palette(Picker { input, at })
                | Overlay::History(Picker { input, at })
                | Overlay::Sets(Picker { input, at }),
            ),
            _,
        ) => {
            insert(input);
            *at = 0;
        }
        (Some(Overlay::Prompt(_, input)), _) => insert(input),
        (Some(Overlay::Help(_)), _) => {}
        (None, Place::Search) => {
            insert(&mut state.search.input);
            state.query_changed(effects);
        }
        (None, Place::Classify) => insert(&mut state.classify.input),
        (None, _) => insert(&mut state.chat.input),
    }
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
