//! Undo and redo in the line that is typed in, whichever it is.

use crate::tui::event::Effect;
use crate::tui::overlay::Overlay;
use crate::tui::place::Place;
use crate::tui::state::State;
use tui_input::Input;

/// Most steps that are kept.
const MOST: usize = 200;

/// The steps in which a line was changed.
#[derive(Clone, Debug, Default)]
pub struct LineSteps {
    /// The line that they belong to.
    of: String,
    undo: Vec<Input>,
    redo: Vec<Input>,
    /// The last step was the typing of a letter: more letters of this word belong to it.
    is_word: bool,
}

impl State {
    /// The line that keys go into, and what distinguishes it from others.
    pub(super) fn line(&self) -> Option<(String, Input)> {
        if !self.is_typing() {
            return None;
        }
        let name = match &self.overlay {
            Some(Overlay::Prompt(asked)) => format!("{:?}", asked.prompt),
            Some(Overlay::Choose(choice, _)) => format!("{choice:?}"),
            Some(_) => "palette".to_owned(),
            None => self.place.name().to_owned(),
        };
        let input = match (&self.overlay, self.place) {
            (Some(overlay), _) => overlay.input()?,
            (None, Place::Search) => &self.search.input,
            (None, Place::Classify) => &self.classify.input,
            (None, _) => &self.chat.input,
        };
        Some((name, input.clone()))
    }

    /// Notes a step, if the line was changed since it was `before`.
    pub(super) fn note_line(&mut self, before: Option<(String, Input)>) {
        let (Some((name, before)), Some((now_name, now))) = (before, self.line()) else { return };
        let steps = &mut self.line_steps;
        if name != now_name || name != steps.of {
            *steps = LineSteps { of: now_name.clone(), ..LineSteps::default() };
        }
        if name != now_name || before.value() == now.value() {
            return;
        }
        let letter = now.value().chars().nth(before.cursor());
        let is_letter = now.value().chars().count() == before.value().chars().count() + 1
            && now.cursor() == before.cursor() + 1
            && letter.is_some_and(char::is_alphanumeric);
        if !(is_letter && steps.is_word) {
            steps.undo.push(before);
            let surplus = steps.undo.len().saturating_sub(MOST);
            steps.undo.drain(..surplus);
        }
        steps.is_word = is_letter;
        steps.redo.clear();
    }

    /// Undoes the last step in the line, or does again what was undone.
    pub(super) fn step_line(&mut self, back: bool, effects: &mut Vec<Effect>) {
        let Some((name, now)) = self.line() else { return };
        let steps = &mut self.line_steps;
        if name != steps.of {
            return;
        }
        let (from, to) = if back { (&mut steps.undo, &mut steps.redo) } else { (&mut steps.redo, &mut steps.undo) };
        let Some(input) = from.pop() else { return };
        to.push(now);
        steps.is_word = false;
        match (&mut self.overlay, self.place) {
            (Some(Overlay::Palette(picker) | Overlay::Choose(_, picker)), _) => (picker.input, picker.at) = (input, 0),
            (Some(Overlay::Prompt(asked)), _) => asked.input = input,
            (Some(_), _) => {}
            (None, Place::Search) => {
                self.search.input = input;
                self.query_changed(effects);
            }
            (None, Place::Classify) => self.classify.input = input,
            (None, _) => self.chat.input = input,
        }
    }
}
