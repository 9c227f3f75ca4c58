//! The chat about a photo.

use super::edit;
use super::undo::Undo;
use crate::tui::event::{ChatNews, ChatWork, Effect, Task};
use crate::tui::overlay::Prompt;
use crate::tui::place::Place;
use crate::tui::state::{ChatState, State};
use crossterm::event::{KeyCode, KeyEvent};
use tui_input::Input;

pub(super) fn on_key(state: &mut State, event: KeyEvent, effects: &mut Vec<Effect>) {
    match event.code {
        KeyCode::Esc if state.chat.answering.is_some() || state.chat.opening => {
            effects.push(Effect::Cancel(Task::Chat))
        }
        KeyCode::Esc => {
            state.chat.typing = false;
            state.chat.again &= !state.chat.input.value().trim().is_empty();
        }
        KeyCode::Enter => state.ask_question(effects),
        KeyCode::Up if state.chat.input.value().is_empty() => state.ask_again(),
        KeyCode::PageUp => state.chat.back = state.chat.back.saturating_add(10),
        KeyCode::PageDown => state.chat.back = state.chat.back.saturating_sub(10),
        _ => drop(edit(&mut state.chat.input, event)),
    }
}

impl State {
    /// Opens the chat about the selected photo.
    pub(in crate::tui) fn ask_about_photo(&mut self, effects: &mut Vec<Effect>) {
        let Some(id) = self.photo() else { return };
        let Some(path) = self.path_of(id) else { return self.tell("this photo is not loaded yet") };
        if self.place != Place::Chat {
            self.trail.push(self.place);
            self.place = Place::Chat;
        }
        if self.chat.photo == Some(id) && (self.chat.opening || !self.chat.model.is_empty()) {
            self.chat.typing = true;
            return;
        }
        let generation = self.next_generation();
        self.chat = ChatState { photo: Some(id), opening: true, typing: true, generation, ..ChatState::default() };
        effects.push(Effect::Chat(generation, ChatWork::Open(path)));
    }

    fn ask_question(&mut self, effects: &mut Vec<Effect>) {
        let question = self.chat.input.value().trim().to_owned();
        let chat = &mut self.chat;
        if question.is_empty()
            || chat.opening
            || chat.answering.is_some()
            || chat.missing.is_some()
            || chat.model.is_empty()
            || chat.photo.is_none()
        {
            return;
        }
        chat.input = Input::default();
        chat.back = 0;
        chat.error = None;
        chat.answering = Some((question.clone(), String::new()));
        let work = if std::mem::take(&mut chat.again) { ChatWork::AskAgain(question) } else { ChatWork::Ask(question) };
        effects.push(Effect::Chat(chat.generation, work));
    }

    /// Puts the last question into the line; the edited question will replace it.
    pub(in crate::tui) fn ask_again(&mut self) {
        let may_ask = self.chat.answering.is_none() && self.chat.missing.is_none();
        let Some(last) = self.chat.turns.last().filter(|_| may_ask) else { return };
        self.chat.input = Input::new(last.question.clone());
        self.chat.again = true;
        self.chat.typing = true;
    }

    pub(in crate::tui) fn save_chat(&mut self) {
        if self.chat.turns.is_empty() {
            return self.tell("there is no chat to save yet");
        }
        self.prompt(Prompt::ChatFile, "chat.md");
    }

    pub(in crate::tui) fn clear_chat(&mut self, effects: &mut Vec<Effect>) {
        if let (Some(photo), None, false) = (self.chat.photo, &self.chat.answering, self.chat.turns.is_empty()) {
            self.can_undo(Undo::Chat { photo, turns: self.chat.turns.clone() });
            self.tell(format!("the chat is deleted; {} brings it back", self.options.keymap.keys_of("undo")));
            effects.push(Effect::Chat(self.chat.generation, ChatWork::Clear));
        }
    }

    pub(in crate::tui) fn on_chat(&mut self, generation: u64, news: ChatNews) {
        // News of another photo's chat.
        if generation != self.chat.generation {
            return;
        }
        let chat = &mut self.chat;
        match news {
            ChatNews::Opened { turns, model } => {
                (chat.opening, chat.turns, chat.model) = (false, turns, model);
            }
            ChatNews::Missing(takes) => {
                (chat.opening, chat.typing, chat.answering) = (false, false, None);
                chat.missing = Some(takes);
            }
            ChatNews::Piece(piece) => {
                if let Some((_, answer)) = &mut chat.answering {
                    answer.push_str(&piece);
                }
            }
            ChatNews::Answered(turns) => (chat.answering, chat.turns) = (None, turns),
            ChatNews::Stopped => {
                let was_opening = std::mem::take(&mut chat.opening);
                // The question goes back into the line, where it can be changed or asked again.
                if let Some((question, _)) = chat.answering.take() {
                    chat.input = Input::new(question);
                } else if was_opening {
                    chat.typing = false;
                    chat.error = Some("stopped before the picture was read; `c` on the photo starts again".into());
                }
                self.tell("stopped");
            }
            ChatNews::Ended(why) => {
                (chat.opening, chat.typing, chat.answering) = (false, false, None);
                chat.model.clear();
                chat.error = Some(why);
            }
            ChatNews::Failed(why) => {
                chat.opening = false;
                if let Some((question, _)) = chat.answering.take() {
                    chat.input = Input::new(question);
                }
                chat.error = Some(why);
            }
        }
    }
}
