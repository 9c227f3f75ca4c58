//! Handles keys while an overlay is open.

use super::edit;
use crate::tui::event::{ChatWork, Effect, Export};
use crate::tui::overlay::{Overlay, Picker, Prompt, narrow, palette};
use crate::tui::state::State;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use snapseek_index::LabelSet;
use std::path::PathBuf;
use tui_input::Input;

pub(super) fn on_key(state: &mut State, event: KeyEvent, effects: &mut Vec<Effect>) {
    let Some(overlay) = state.overlay.take() else { return };
    if event.code == KeyCode::Esc {
        return;
    }
    match overlay {
        Overlay::Help(top) => {
            state.overlay = match event.code {
                KeyCode::Down | KeyCode::Char('j') => Some(Overlay::Help(top.saturating_add(1))),
                KeyCode::Up | KeyCode::Char('k') => Some(Overlay::Help(top.saturating_sub(1))),
                KeyCode::PageDown | KeyCode::Char(' ') => Some(Overlay::Help(top.saturating_add(10))),
                KeyCode::PageUp => Some(Overlay::Help(top.saturating_sub(10))),
                _ => None,
            };
        }
        Overlay::Palette(mut picker) => {
            let found = palette(state.place, picker.input.value());
            if event.code == KeyCode::Enter {
                if let Some(entry) = found.get(picker.at) {
                    state.act(entry.action, effects);
                }
                return;
            }
            pick(&mut picker, event, found.len());
            state.overlay = Some(Overlay::Palette(picker));
        }
        Overlay::History(mut picker) => {
            let newest: Vec<String> = state.search.history.iter().rev().cloned().collect();
            let found = narrow(&newest, picker.input.value());
            if event.code == KeyCode::Enter {
                if let Some(text) = found.get(picker.at).and_then(|at| newest.get(*at)) {
                    state.search.input = Input::new(text.clone());
                    state.query_changed(effects);
                    state.search.completion = None;
                }
                return;
            }
            pick(&mut picker, event, found.len());
            state.overlay = Some(Overlay::History(picker));
        }
        Overlay::Sets(mut picker) => {
            let names: Vec<String> = state.classify.sets.iter().map(|set| set.name.clone()).collect();
            let found = narrow(&names, picker.input.value());
            if event.code == KeyCode::Enter {
                if let Some(set) = found.get(picker.at).and_then(|at| state.classify.sets.get(*at)).cloned() {
                    state.sort_by(set, effects);
                }
                return;
            }
            pick(&mut picker, event, found.len());
            state.overlay = Some(Overlay::Sets(picker));
        }
        Overlay::Prompt(prompt, mut input) => {
            if event.code == KeyCode::Enter {
                let text = input.value().trim().to_owned();
                if text.is_empty() {
                    state.overlay = Some(Overlay::Prompt(prompt, input));
                } else {
                    state.answered(prompt, text, effects);
                }
                return;
            }
            edit(&mut input, event);
            state.overlay = Some(Overlay::Prompt(prompt, input));
        }
    }
}

fn pick(picker: &mut Picker, event: KeyEvent, count: usize) {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    match event.code {
        KeyCode::Down | KeyCode::Tab => picker.at += 1,
        KeyCode::Char('n' | 'j') if control => picker.at += 1,
        KeyCode::Up | KeyCode::BackTab => picker.at = picker.at.saturating_sub(1),
        KeyCode::Char('p' | 'k') if control => picker.at = picker.at.saturating_sub(1),
        _ => {
            edit(&mut picker.input, event);
            picker.at = 0;
        }
    }
    picker.at = picker.at.min(count.saturating_sub(1));
}

impl State {
    fn answered(&mut self, prompt: Prompt, text: String, effects: &mut Vec<Effect>) {
        match prompt {
            Prompt::Rename(old) => effects.push(Effect::Rename(old, text)),
            Prompt::Folder => self.index_folders(vec![PathBuf::from(text)], effects),
            Prompt::SetName => {
                let Some(sorted) = &self.classify.sorted else { return };
                let set = LabelSet { name: text, ..sorted.set.clone() };
                match set.check() {
                    Ok(()) => effects.extend([Effect::SaveSet(set), Effect::LabelSets]),
                    Err(error) => self.warn(error.to_string()),
                }
            }
            Prompt::ChatFile => effects.push(Effect::Chat(self.chat.generation, ChatWork::Save(text.into()))),
            Prompt::Export => {
                let path = PathBuf::from(text);
                let kind = match path.extension().and_then(|extension| extension.to_str()) {
                    Some("html" | "htm") => Export::Html,
                    Some("json" | "jsonl") => Export::Json,
                    _ => Export::Files,
                };
                effects.push(Effect::Export(kind, self.chosen(), path));
            }
        }
    }
}
