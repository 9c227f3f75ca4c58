//! Handles keys while an overlay is open.

use super::edit;
use super::undo::Undo;
use crate::tui::choices::{completed, narrowed};
use crate::tui::command;
use crate::tui::event::{AlbumChange, ChatWork, Effect, Export, Forgotten, OwnChange, Way};
use crate::tui::models::ModelWork;
use crate::tui::overlay::{Asked, Choice, Overlay, Picker, Prompt};
use crate::tui::source::{Seek, Source};
use crate::tui::state::State;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use snapseek_index::query::quoted;
use snapseek_index::{FacetCounts, FacetField, LabelSet};
use std::path::PathBuf;
use tui_input::Input;

/// Texts that are kept of prompts that were left.
const MOST_DRAFTS: usize = 16;

pub(super) fn on_key(state: &mut State, event: KeyEvent, effects: &mut Vec<Effect>) {
    let Some(overlay) = state.overlay.take() else { return };
    if event.code == KeyCode::Esc {
        if let Overlay::Prompt(asked) = overlay {
            state.put_aside(asked);
        }
        return;
    }
    match overlay {
        Overlay::Help(top) => {
            state.overlay = match event.code {
                KeyCode::Down | KeyCode::Char('j') => Some(Overlay::Help(top.saturating_add(1))),
                KeyCode::Up | KeyCode::Char('k') => Some(Overlay::Help(top.saturating_sub(1))),
                KeyCode::PageDown | KeyCode::Char(' ' | 'd') => Some(Overlay::Help(top.saturating_add(10))),
                KeyCode::PageUp | KeyCode::Char('u') => Some(Overlay::Help(top.saturating_sub(10))),
                KeyCode::Home | KeyCode::Char('g') => Some(Overlay::Help(0)),
                // As in other lists, a key is looked for by what it does.
                KeyCode::Char('/' | ':') => Some(Overlay::Palette(Picker::default())),
                KeyCode::End | KeyCode::Char('G') => Some(Overlay::Help(usize::MAX / 2)),
                _ => None,
            };
        }
        Overlay::Text(title, lines, top) => {
            let last = lines.len().saturating_sub(1);
            let to = match event.code {
                KeyCode::Down | KeyCode::Char('j') => top + 1,
                KeyCode::Up | KeyCode::Char('k') => top.saturating_sub(1),
                KeyCode::PageDown | KeyCode::Char(' ') => top + 10,
                KeyCode::PageUp => top.saturating_sub(10),
                _ => return,
            };
            state.overlay = Some(Overlay::Text(title, lines, to.min(last)));
        }
        Overlay::Filters(field, at) => {
            let fields = FacetField::ALL.len();
            let (known, _, filter) = FacetField::ALL[field.min(fields - 1)];
            let FacetCounts { values, left_out } = state.filters.counted(known).cloned().unwrap_or_default();
            let last = values.len().saturating_sub(1);
            let (field, at) = match event.code {
                KeyCode::Right | KeyCode::Tab | KeyCode::Char('l') => ((field + 1) % fields, 0),
                KeyCode::Left | KeyCode::BackTab | KeyCode::Char('h') => ((field + fields - 1) % fields, 0),
                KeyCode::Down | KeyCode::Char('j') => (field, (at + 1).min(last)),
                KeyCode::Up | KeyCode::Char('k') => (field, at.saturating_sub(1)),
                KeyCode::PageDown => (field, (at + 10).min(last)),
                KeyCode::PageUp => (field, at.saturating_sub(10)),
                KeyCode::Home | KeyCode::Char('g') => (field, 0),
                KeyCode::End | KeyCode::Char('G') => (field, last),
                KeyCode::Enter | KeyCode::Char('-') if values.is_empty() => (field, at),
                KeyCode::Enter | KeyCode::Char('-') => {
                    let Some(facet) = values.get(at) else { return };
                    let wanted = format!("{filter}:{}", quoted(&facet.value));
                    return match event.code {
                        KeyCode::Enter => state.add_filter(&wanted, &left_out, effects),
                        _ => state.add_filter(&format!("-{wanted}"), &[], effects),
                    };
                }
                _ => return,
            };
            (state.filters.last_field, state.filters.is_untouched) = (field, false);
            state.overlay = Some(Overlay::Filters(field, at));
        }
        Overlay::Menu(menu, at) => {
            let actions = menu.actions();
            let last = actions.len().saturating_sub(1);
            let chosen = match event.code {
                KeyCode::Down | KeyCode::Char('j') => {
                    return state.overlay = Some(Overlay::Menu(menu, (at + 1).min(last)));
                }
                KeyCode::Up | KeyCode::Char('k') => {
                    return state.overlay = Some(Overlay::Menu(menu, at.saturating_sub(1)));
                }
                KeyCode::Enter => actions.get(at),
                KeyCode::Char(key) => actions.iter().find(|(known, _)| *known == key),
                _ => None,
            };
            if let Some((_, action)) = chosen {
                state.act(*action, effects);
            }
        }
        Overlay::Palette(mut picker) => {
            let mut rows = command::rows(state.place, picker.input.value());
            if event.code == KeyCode::Enter {
                if picker.at < rows.len() {
                    state.choose_row(rows.swap_remove(picker.at), effects);
                } else if let Some(Err(why)) = command::read(picker.input.value()) {
                    state.overlay = Some(Overlay::Palette(picker));
                    state.warn(why);
                }
                return;
            }
            pick(&mut picker, event, rows.len());
            state.overlay = Some(Overlay::Palette(picker));
        }
        Overlay::Choose(choice, mut picker) => {
            let found = narrowed(&state.choices(choice), picker.input.value());
            if event.code == KeyCode::Enter {
                if let Some(at) = found.get(picker.at) {
                    state.choose(choice, *at, effects);
                }
                return;
            }
            pick(&mut picker, event, found.len());
            state.overlay = Some(Overlay::Choose(choice, picker));
        }
        Overlay::Prompt(mut asked) => {
            if event.code == KeyCode::Enter {
                let text = asked.input.value().trim().to_owned();
                if let (true, Prompt::Caption(photo)) = (text.is_empty(), &asked.prompt) {
                    effects.push(Effect::SetCaption { photo: *photo, text: None, way: Way::Do });
                } else if text.is_empty() {
                    asked.refused = Some("nothing is typed: esc closes this".into());
                    state.overlay = Some(Overlay::Prompt(asked));
                } else {
                    state.answered(asked.prompt, text, effects);
                }
                return;
            }
            if let (KeyCode::Tab, Some(folders)) = (event.code, asked.prompt.asks_for_a_path()) {
                effects.push(Effect::CompletePath(asked.input.value().to_owned(), folders));
            } else if event.code == KeyCode::Tab {
                if let Some(first) = asked.choices.first() {
                    asked.input = Input::new(completed(&asked.prompt, asked.input.value(), first));
                    asked.choices = state.offered(&asked.prompt, asked.input.value());
                }
            } else if edit(&mut asked.input, event) {
                asked.refused = None;
                asked.choices = state.offered(&asked.prompt, asked.input.value());
            }
            state.overlay = Some(Overlay::Prompt(asked));
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
    /// What is at this position of a list was chosen.
    fn choose(&mut self, choice: Choice, at: usize, effects: &mut Vec<Effect>) {
        let Some((name, _)) = self.choices(choice).into_iter().nth(at) else { return };
        match choice {
            Choice::History => {
                self.search.input = Input::new(name);
                self.query_changed(effects);
                self.search.completion = None;
            }
            Choice::Set => {
                if let Some(set) = self.classify.sets.get(at).cloned() {
                    self.sort_by(set, effects);
                }
            }
            Choice::Album => self.go(Source::Query(Seek::text(format!("album:{} ", quoted(&name)))), effects),
        }
    }

    /// Asks for a line of text: what was typed there and put aside, or else `proposed`.
    pub(in crate::tui) fn prompt(&mut self, prompt: Prompt, proposed: &str) {
        let kept = self.drafts.iter().position(|(other, _)| *other == prompt).map(|at| self.drafts.remove(at).1);
        let input = Input::new(kept.unwrap_or_else(|| proposed.to_owned()));
        let choices = self.offered(&prompt, input.value());
        self.overlay = Some(Overlay::Prompt(Asked { prompt, input, refused: None, choices }));
    }

    /// Keeps what was typed for when the user is asked again.
    fn put_aside(&mut self, asked: Asked) {
        let text = asked.input.value();
        self.drafts.retain(|(other, _)| *other != asked.prompt);
        if !text.trim().is_empty() {
            self.drafts.push((asked.prompt.clone(), text.to_owned()));
            let surplus = self.drafts.len().saturating_sub(MOST_DRAFTS);
            self.drafts.drain(..surplus);
        }
    }

    /// Asks again, because an answer was refused; what was typed is still there.
    pub(in crate::tui) fn refuse(&mut self, prompt: Prompt, text: String, why: String) {
        if prompt == Prompt::Folder {
            self.index.run = None;
        }
        if self.overlay.is_some() {
            // The user has gone on to something else.
            self.put_aside(Asked { prompt, input: Input::new(text), refused: None, choices: Vec::new() });
            return self.warn(why);
        }
        self.overlay =
            Some(Overlay::Prompt(Asked { prompt, input: Input::new(text), refused: Some(why), choices: Vec::new() }));
    }

    pub(in crate::tui) fn answered(&mut self, prompt: Prompt, text: String, effects: &mut Vec<Effect>) {
        match prompt {
            Prompt::Rename(old) => effects.push(Effect::Rename { old, new: text, way: Way::Do }),
            Prompt::Folder if self.index.run.is_some() => {
                self.refuse(prompt, text, "photos are being indexed already: wait, or cancel with x".into());
            }
            Prompt::Folder => self.index_folders(vec![PathBuf::from(text)], effects),
            Prompt::SetName => {
                let Some(sorted) = &self.classify.sorted else { return };
                let set = LabelSet { name: text.clone(), ..sorted.set.clone() };
                if let Err(error) = set.check() {
                    return self.refuse(prompt, text, error.to_string());
                }
                if let Some(before) = self.classify.sets.iter().find(|before| before.name == set.name) {
                    let before = before.clone();
                    self.can_undo(Undo::Set(before));
                }
                effects.extend([Effect::SaveSet(set), Effect::LabelSets]);
            }
            Prompt::ForgetFolder(folder) if text.eq_ignore_ascii_case("yes") => {
                effects.push(Effect::Forget(Forgotten::Folder(folder)));
            }
            Prompt::ForgetFolder(_) => self.tell("the folder stays"),
            Prompt::ForgetPhotos(photos) if text.eq_ignore_ascii_case("yes") => {
                effects.push(Effect::Forget(Forgotten::Photos(photos)));
            }
            Prompt::ForgetPhotos(_) => self.tell("the photos stay"),
            Prompt::Pull(name, _) if text.eq_ignore_ascii_case("yes") => {
                self.work_on_model(ModelWork::Pull(name), effects);
            }
            Prompt::UseModel(name) if text.eq_ignore_ascii_case("yes") => self.use_model(name, effects),
            Prompt::DropModel(name) if text.eq_ignore_ascii_case("yes") => effects.push(Effect::DropModel(name)),
            Prompt::Pull(..) | Prompt::UseModel(_) | Prompt::DropModel(_) => self.tell("nothing is done"),
            Prompt::TrashScript => self.write_script(text, effects),
            Prompt::SearchName(query) => effects.push(Effect::SaveSearch(text, Some(query), Way::Do)),
            Prompt::Tags(photos) => {
                let (add, remove) = command::tags(&text);
                effects.push(Effect::Own(OwnChange::Tags { photos, add, remove }, Way::Do));
            }
            Prompt::AddToAlbum => {
                self.last_album.clone_from(&text);
                let photos = self.chosen();
                effects.push(Effect::Album(AlbumChange::Add(text, photos), Way::Do));
            }
            Prompt::RemoveFromAlbum => {
                let photos = self.chosen();
                effects.push(Effect::Album(AlbumChange::Remove(text, photos), Way::Do));
            }
            Prompt::Caption(photo) => {
                effects.push(Effect::SetCaption { photo, text: Some((text, None)), way: Way::Do });
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
