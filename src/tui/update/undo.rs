//! What can be undone, and how.

use crate::tui::event::{AlbumChange, ChatWork, Effect};
use crate::tui::state::{Marks, State};
use snapseek_index::{ContentHash, LabelSet, Turn};

/// Most steps that can be undone.
const MOST: usize = 100;

/// How a step is undone.
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
}

impl State {
    /// Notes how the step that is about to be taken, or was just taken, is undone.
    pub(in crate::tui) fn can_undo(&mut self, step: Undo) {
        self.undo.push(step);
        let surplus = self.undo.len().saturating_sub(MOST);
        self.undo.drain(..surplus);
    }

    /// Undoes the last step.
    pub(in crate::tui) fn undo(&mut self, effects: &mut Vec<Effect>) {
        let Some(step) = self.undo.pop() else { return self.tell("there is nothing to undo") };
        match step {
            Undo::Marks(marks) => {
                self.marks.replace(marks);
                self.tell(format!("undone: {} marked", self.marks.len()));
            }
            Undo::Rename(now, before) => {
                self.tell("undone: the cluster has its old name");
                effects.push(Effect::Rename { old: now, new: before, is_undo: true });
            }
            Undo::Clusters(id) => {
                self.map.chart = None;
                effects.push(Effect::RestoreClusters(id));
            }
            Undo::Chat { photo, turns } if self.chat.photo == Some(photo) && !self.chat.model.is_empty() => {
                self.tell("undone: the chat is back");
                effects.push(Effect::Chat(self.chat.generation, ChatWork::Restore(turns)));
            }
            step @ Undo::Chat { .. } => {
                self.undo.push(step);
                self.tell("open the chat about that photo again: then it can be brought back");
            }
            Undo::Caption(photo, text) => {
                self.tell("undone: the caption is as it was");
                effects.push(Effect::SetCaption { photo, text, is_undo: true });
            }
            Undo::Album(name, pictures) => effects.push(Effect::Album(AlbumChange::Set(name, pictures))),
            Undo::Set(set) => {
                self.tell("undone: the label set is as it was");
                effects.extend([Effect::SaveSet(set), Effect::LabelSets]);
            }
        }
    }
}
