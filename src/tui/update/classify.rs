//! Classify: sorts photos by labels.

use super::edit;
use crate::labels::classify;
use crate::tui::event::{Classified, Effect, FoundPhoto, Work};
use crate::tui::overlay::{Choice, Overlay, Picker, Prompt};
use crate::tui::source::Source;
use crate::tui::state::State;
use crossterm::event::{KeyCode, KeyEvent};
use snapseek_index::LabelSet;
use tui_input::Input;

pub(super) fn on_key(state: &mut State, event: KeyEvent, effects: &mut Vec<Effect>) {
    match event.code {
        KeyCode::Esc | KeyCode::Down => state.classify.typing = false,
        KeyCode::Enter => state.sort_by_typed(effects),
        _ => drop(edit(&mut state.classify.input, event)),
    }
}

impl State {
    /// Sorts the photos by the typed labels.
    fn sort_by_typed(&mut self, effects: &mut Vec<Effect>) {
        let labels: Vec<String> = self
            .classify
            .input
            .value()
            .split(',')
            .map(|label| label.trim().to_owned())
            .filter(|label| !label.is_empty())
            .collect();
        // A saved set with exactly these labels also has thresholds and backgrounds.
        let saved = self.classify.sets.iter().find(|set| set.labels == labels).cloned();
        let set = saved.unwrap_or(LabelSet { labels, ..LabelSet::default() });
        self.sort_by(set, effects);
    }

    pub(in crate::tui) fn sort_by(&mut self, set: LabelSet, effects: &mut Vec<Effect>) {
        match set.check() {
            Ok(()) => {
                self.classify.error = None;
                self.classify.typing = false;
                self.classify.input = Input::new(set.labels.join(", "));
                self.work_on(Work::Sort(set), effects);
            }
            Err(error) => self.classify.error = Some(error.to_string()),
        }
    }

    pub(in crate::tui) fn show_sorted(&mut self, sorted: Classified) {
        let labels = sorted.set.labels.len();
        let counts = classify::distribution(sorted.photos.iter().map(|judged| &judged.verdict), labels);
        // Start with the label that has the most photos.
        let most = counts.iter().take(labels).enumerate().max_by_key(|(at, count)| (**count, usize::MAX - at));
        self.classify.label = most.map_or(0, |(at, _)| at);
        self.classify.counts = counts;
        self.classify.sorted = Some(sorted.into());
        self.narrow();
    }

    /// Shows the photos of the selected label, likeliest first.
    fn narrow(&mut self) {
        let Some(sorted) = &self.classify.sorted else { return };
        let labels = sorted.set.labels.len();
        let wanted = (self.classify.label < labels).then_some(self.classify.label);
        let mut found: Vec<FoundPhoto> = sorted
            .photos
            .iter()
            .filter(|judged| judged.verdict.label == wanted)
            .map(|judged| {
                let score = match wanted {
                    Some(label) => judged.verdict.ranked.iter().find(|(at, _)| *at == label).map(|(_, p)| *p),
                    None => judged.verdict.ranked.first().map(|(_, p)| *p),
                };
                FoundPhoto { id: judged.id, score, is_match: true }
            })
            .collect();
        found.sort_by(|a, b| b.score.unwrap_or(0.0).total_cmp(&a.score.unwrap_or(0.0)).then(a.id.cmp(&b.id)));
        let keep = self.classify.gallery.selected();
        self.classify.gallery.fill(found, keep);
    }

    pub(in crate::tui) fn next_label(&mut self, by: isize) {
        let count = self.classify.counts.len();
        if count > 0 {
            self.classify.label = (self.classify.label + count).saturating_add_signed(by) % count;
            self.narrow();
        }
    }

    /// Shows one label's photos.
    pub(in crate::tui) fn choose_label(&mut self, label: usize) {
        if label < self.classify.counts.len() {
            self.classify.label = label;
            self.narrow();
        }
    }

    pub(in crate::tui) fn show_label(&mut self, effects: &mut Vec<Effect>) {
        let Some(sorted) = &self.classify.sorted else { return };
        let name = sorted.set.labels.get(self.classify.label).map_or("none of these", String::as_str);
        let title = format!("label {name}");
        let ids = self.classify.gallery.shown().iter().map(|found| found.id).collect();
        self.go(Source::Chosen { title, ids }, effects);
    }

    pub(in crate::tui) fn choose_set(&mut self) {
        if self.classify.sets.is_empty() {
            self.tell("no label set is saved yet: `w` saves the one that is shown");
        } else {
            self.overlay = Some(Overlay::Choose(Choice::Set, Picker::default()));
        }
    }

    pub(in crate::tui) fn save_set(&mut self) {
        match &self.classify.sorted {
            Some(sorted) => {
                let name = sorted.set.name.clone();
                self.prompt(Prompt::SetName, &name);
            }
            None => self.tell("type labels first: there is nothing to save"),
        }
    }
}
