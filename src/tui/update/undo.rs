//! What can be undone and done again, and how.

use crate::tui::event::{AlbumChange, ChatWork, Effect, OwnChange, Way};
use crate::tui::models::CaptionerRule;
use crate::tui::state::{Marks, State};
use snapseek_index::{ContentHash, LabelSet, PhotoText, Turn};
use std::collections::HashMap;
use std::path::PathBuf;

/// Most steps that can be undone.
const MOST: usize = 100;

/// How a step is taken back.
#[derive(Clone, Debug)]
pub enum Undo {
    /// These were the marks.
    Marks(Marks),
    /// A cluster has this name, and had that one.
    Rename(String, String),
    /// The clusters are kept in the library under this number.
    Clusters(i64),
    /// The chat about a photo had these turns.
    Chat {
        /// The photo.
        photo: i64,
        /// The turns.
        turns: Vec<Turn>,
    },
    /// A photo had this caption, by hand or by the model with this fingerprint.
    Caption(i64, Option<(String, Option<String>)>),
    /// An album had these pictures; `None`: there was none of this name.
    Album(String, Option<Vec<ContentHash>>),
    /// The label set of this name was this one.
    Set(LabelSet),
    /// What the user had written on photos.
    Own(OwnChange),
    /// These paths were in the library.
    Forgotten(Vec<PathBuf>),
    /// The query that was saved under a name; `None`: there was none.
    Search(String, Option<String>),
    /// This text was read in a photo; `None`: none was.
    Text(i64, Option<Box<PhotoText>>),
    /// This decided which model writes captions and answers.
    Captioner(CaptionerRule),
    /// These were the decisions about copies.
    Copies(HashMap<PathBuf, bool>),
}

impl State {
    /// Notes how the step that is about to be taken, or was just taken, is undone.
    pub(in crate::tui) fn can_undo(&mut self, step: Undo) {
        self.took(Way::Do, step);
    }

    /// Notes how a step is taken back that was taken for this reason.
    pub(in crate::tui) fn took(&mut self, way: Way, back: Undo) {
        if let Some(at) = self.taking.iter().position(|(taking, _)| *taking == way) {
            self.taking.remove(at);
        }
        let steps = match way {
            Way::Undo => &mut self.redo,
            Way::Redo => &mut self.undo,
            Way::Do => {
                // What was undone cannot be done again after something else.
                self.redo.clear();
                &mut self.undo
            }
        };
        steps.push(back);
        let surplus = steps.len().saturating_sub(MOST);
        steps.drain(..surplus);
    }

    /// The step that was being taken for this reason was refused: it can be tried again.
    pub(in crate::tui) fn not_taken(&mut self, way: Way) {
        if let Some(at) = self.taking.iter().position(|(taking, _)| *taking == way) {
            let (_, step) = self.taking.remove(at);
            if way == Way::Redo { &mut self.redo } else { &mut self.undo }.push(step);
        }
    }

    /// Says what was done, and how it is taken back; `what` says how it is if that is undone.
    pub(in crate::tui) fn tell_done(&mut self, way: Way, done: &str, what: &str) {
        let keys = &self.options.keymap;
        let (undo, redo) = (keys.keys_of("undo"), keys.keys_of("redo"));
        self.tell(match way {
            Way::Do => format!("{done}; {undo} undoes it"),
            Way::Undo => format!("undone: {what}; {redo} does it again"),
            Way::Redo => format!("done again: {done}"),
        });
    }

    /// Undoes the last step.
    pub(in crate::tui) fn undo(&mut self, effects: &mut Vec<Effect>) {
        match self.undo.pop() {
            Some(step) => self.take_back(step, Way::Undo, effects),
            None => self.tell("there is nothing to undo"),
        }
    }

    /// Does again what was undone last.
    pub(in crate::tui) fn redo(&mut self, effects: &mut Vec<Effect>) {
        match self.redo.pop() {
            Some(step) => self.take_back(step, Way::Redo, effects),
            None => self.tell("nothing was undone that could be done again"),
        }
    }

    fn take_back(&mut self, step: Undo, way: Way, effects: &mut Vec<Effect>) {
        // Others may hold the library: the step is remembered until it is taken.
        if is_asked_for(&step) {
            self.taking.push((way, step.clone()));
        }
        match step {
            Undo::Marks(marks) => {
                self.took(way, Undo::Marks(self.marks.clone()));
                self.marks.replace(marks);
                let undone = if way == Way::Redo { "done again" } else { "undone" };
                self.tell(format!("{undone}: {} marked", self.marks.len()));
            }
            Undo::Copies(choices) => {
                let before = std::mem::replace(&mut self.copies.choices, choices);
                self.took(way, Undo::Copies(before));
                self.copies.settle();
                let undone = if way == Way::Redo { "done again" } else { "undone" };
                self.tell(format!("{undone}: {}", self.copies_say()));
            }
            Undo::Text(photo, text) => effects.push(Effect::SetText(photo, text.map(|text| *text), way)),
            Undo::Rename(now, before) => effects.push(Effect::Rename { old: now, new: before, way }),
            Undo::Clusters(id) => effects.push(Effect::RestoreClusters(id, way)),
            Undo::Chat { photo, turns } if self.chat.photo == Some(photo) && !self.chat.model.is_empty() => {
                self.took(way, Undo::Chat { photo, turns: self.chat.turns.clone() });
                self.tell_done(way, "the chat is deleted", "the chat is as it was");
                let work = if turns.is_empty() { ChatWork::Clear } else { ChatWork::Restore(turns) };
                effects.push(Effect::Chat(self.chat.generation, work));
            }
            step @ Undo::Chat { .. } => {
                if way == Way::Redo { &mut self.redo } else { &mut self.undo }.push(step);
                self.tell("open the chat about that photo again: then it can be brought back");
            }
            Undo::Caption(photo, text) => effects.push(Effect::SetCaption { photo, text, way }),
            Undo::Album(name, pictures) => effects.push(Effect::Album(AlbumChange::Set(name, pictures), way)),
            Undo::Search(name, query) => effects.push(Effect::SaveSearch(name, query, way)),
            Undo::Forgotten(_) if self.index.run.is_some() => {
                self.not_taken(way);
                self.tell("photos are being indexed: undo it when that is done");
            }
            // What is named is no longer left out; it has to be read again.
            Undo::Forgotten(paths) => {
                self.begin_run();
                effects.push(Effect::BringBack(paths));
            }
            Undo::Captioner(rule) => effects.push(Effect::UseCaptioner(rule, way)),
            Undo::Own(change) => effects.push(Effect::Own(change, way)),
            Undo::Set(set) => {
                if let Some(now) = self.classify.sets.iter().find(|now| now.name == set.name).cloned() {
                    self.took(way, Undo::Set(now));
                }
                self.tell_done(way, "the label set is saved", "the label set is as it was");
                effects.extend([Effect::SaveSet(set), Effect::LabelSets]);
            }
        }
    }
}

/// Whether a worker takes a step back, which may be refused.
fn is_asked_for(step: &Undo) -> bool {
    matches!(
        step,
        Undo::Rename(..)
            | Undo::Clusters(_)
            | Undo::Caption(..)
            | Undo::Album(..)
            | Undo::Search(..)
            | Undo::Own(_)
            | Undo::Text(..)
            | Undo::Captioner(_)
            | Undo::Forgotten(_)
    )
}
