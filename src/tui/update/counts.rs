//! Counts before keys, as in `5j`, and keys that count only together with the next one, as in `zz`.

use crate::tui::action::Action;
use crate::tui::event::Effect;
use crate::tui::keymap::{Key, Meaning};
use crate::tui::place::Place;
use crate::tui::state::State;
use crossterm::event::KeyCode;
use std::time::Duration;

/// How long a digit waits for what follows, before it goes to a place.
const PATIENCE: Duration = Duration::from_millis(250);
/// The highest count.
const MOST: usize = 9_999;

/// Keys that may be the beginning of something.
#[derive(Clone, Debug, Default)]
pub struct Begun {
    /// The first key of a sequence.
    pub first: Option<Key>,
    /// Digits.
    pub count: Option<BegunCount>,
}

/// Digits: a count, if a key to move follows; otherwise the last of them goes to its place.
#[derive(Clone, Copy, Debug)]
pub struct BegunCount {
    number: usize,
    place: Option<Action>,
    pub(in crate::tui) generation: u64,
}

impl Begun {
    /// The place that the digit goes to which waits.
    #[must_use]
    pub fn place(&self) -> Option<Action> {
        self.count?.place
    }
}

impl State {
    /// What a key means here, also together with those before it.
    pub(super) fn on_command_key(&mut self, key: Key, effects: &mut Vec<Effect>) {
        let first = self.begun.first.take();
        let meaning = self.options.keymap.meaning(self.place, first, key);
        match (meaning, first) {
            (Meaning::Action(action), _) => self.act_counted(Some(action), key, effects),
            (Meaning::Begins, _) => self.begun.first = Some(key),
            // The two mean nothing together: each by itself.
            (Meaning::Nothing, Some(first)) => {
                if let Some(action) = self.options.keymap.action(self.place, first) {
                    self.act_counted(Some(action), first, effects);
                }
                self.on_command_key(key, effects);
            }
            (Meaning::Nothing, None) => self.act_counted(None, key, effects),
        }
    }

    /// Does what a key means, as often as the digits before it say.
    fn act_counted(&mut self, action: Option<Action>, key: Key, effects: &mut Vec<Effect>) {
        let begun = self.begun.count.take();
        let may_count = action.is_none_or(|action| matches!(action, Action::Go(_) | Action::Browse(_)));
        // In Look, digits are ratings.
        if let (Some(digit), true) = (key.digit(), may_count && self.place != Place::Look) {
            let number = begun.map_or(0, |begun| begun.number).saturating_mul(10).saturating_add(digit).min(MOST);
            if let (0, Some(action)) = (number, action) {
                return self.act(action, effects);
            }
            if let (Some(action), None, false) = (action, begun, self.can_move()) {
                return self.act(action, effects);
            }
            let generation = self.next_generation();
            self.begun.count = Some(BegunCount { number, place: action, generation });
            return effects.push(Effect::Timer(generation, PATIENCE));
        }
        match (begun, action) {
            (Some(begun), Some(Action::First | Action::Last)) => self.jump_to(begun.number),
            (Some(begun), Some(action)) if moves(action) => (0..begun.number).for_each(|_| self.act(action, effects)),
            (Some(BegunCount { place: Some(place), .. }), _) => {
                self.act(place, effects);
                // What the key means there.
                self.on_key_there(key, effects);
            }
            (_, Some(action)) => self.act(action, effects),
            (None, None) if matches!(key.event().code, KeyCode::Char(_)) => {
                let keys = &self.options.keymap;
                let first = |name| keys.keys_of(name).split(' ').next().unwrap_or_default().to_owned();
                let (help, all) = (first("help"), first("palette"));
                self.tell(format!("{key} does nothing here: {help} shows the keys, {all} finds what you want to do"));
            }
            (_, None) => {}
        }
    }

    /// Whether there is anything here that a count could be meant for.
    fn can_move(&self) -> bool {
        let rows = match self.place {
            Place::Search | Place::Classify | Place::Look => {
                self.gallery_of(self.place).map_or(0, |gallery| gallery.shown().len())
            }
            Place::Clusters => self.clusters.groups.as_ref().map_or(0, |groups| groups.groups.len()),
            Place::Map => return self.map.chart.is_some(),
            Place::Chat => return !self.chat.turns.is_empty(),
            Place::Index => self.index.failures.len(),
            Place::Duplicates => return !self.copies.sets().is_empty(),
            Place::Browse => self.browse_rows().len(),
            Place::Models => self.models.rows().len(),
        };
        rows > 1
    }

    fn on_key_there(&mut self, key: Key, effects: &mut Vec<Effect>) {
        if self.is_typing() {
            return super::on_key(self, key.event(), effects);
        }
        self.on_command_key(key, effects);
    }

    /// Nothing has followed: a digit goes to its place.
    pub(super) fn count_expired(&mut self, generation: u64, effects: &mut Vec<Effect>) {
        let begun = self.begun.count.take_if(|begun| begun.generation == generation);
        if let Some(place) = begun.and_then(|begun| begun.place) {
            self.act(place, effects);
        }
    }
}

/// Whether a count says how often an action is done, or where it goes.
fn moves(action: Action) -> bool {
    use Action::*;
    matches!(
        action,
        Left | Right
            | Up
            | Down
            | PageUp
            | PageDown
            | First
            | Last
            | Mark
            | NextLabel
            | PreviousLabel
            | Larger
            | Smaller
    )
}
