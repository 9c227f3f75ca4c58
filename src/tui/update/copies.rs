//! Copies: which files are kept, and the script that moves the others to the trash.

use super::undo::Undo;
use crate::terminal::text::count;
use crate::tui::copies::FoundCopies;
use crate::tui::event::{Effect, Outcome, Work};
use crate::tui::overlay::Prompt;
use crate::tui::place::Place;
use crate::tui::state::State;
use std::path::PathBuf;
use std::sync::Arc;

/// The name that is proposed for the script.
const SCRIPT: &str = "duplicates.sh";

impl State {
    /// Looks for copies, unless it is known which there are.
    pub(super) fn want_copies(&mut self, effects: &mut Vec<Effect>) {
        if (self.copies.found.is_none() || self.copies.is_stale) && self.copies.error.is_none() {
            self.find_copies(effects);
        }
    }

    /// Looks for copies.
    pub(super) fn find_copies(&mut self, effects: &mut Vec<Effect>) {
        if self.is_empty() {
            return self.tell("there are no photos yet");
        }
        if self.work.is_some() {
            let key = self.options.keymap.keys_of("cancel");
            return self.tell(format!("something else is running: {key} cancels it"));
        }
        self.copies.error = None;
        self.work_on(Work::Copies, effects);
    }

    pub(super) fn found_copies(&mut self, outcome: Outcome<FoundCopies>) {
        match outcome {
            Ok(found) => {
                let path = self.copies.selected().map(|file| file.path.clone());
                if let Some(problem) = found.problems.first() {
                    let more = found.problems.len() - 1;
                    let more = if more > 0 { format!(" (and {more} more files)") } else { String::new() };
                    self.warn(format!("{problem}{more}"));
                }
                let copies = &mut self.copies;
                copies.found = Some(Arc::new(found));
                (copies.error, copies.is_stale) = (None, false);
                let same =
                    |path: &PathBuf| copies.sets().iter().position(|set| set.files.iter().any(|f| f.path == *path));
                (copies.at, copies.file) = (path.as_ref().and_then(same).unwrap_or(0), 0);
                copies.settle();
            }
            // Groups that are known stay.
            Err(why) if self.copies.found.is_some() => self.warn(why),
            Err(why) => self.copies.error = Some(why),
        }
    }

    pub(super) fn step_copy_set(&mut self, by: isize) {
        self.copies.at = self.copies.at.saturating_add_signed(by).min(self.copies.sets().len().saturating_sub(1));
        self.copies.file = 0;
    }

    pub(super) fn step_copy(&mut self, by: isize) {
        let last = self.copies.set().map_or(0, |set| set.files.len().saturating_sub(1));
        self.copies.file = self.copies.file.saturating_add_signed(by).min(last);
    }

    /// Shows the selected file large, beside the one that is kept, or beside another one if it is that.
    pub(super) fn look_at_copy(&mut self) {
        let copies = &self.copies;
        let (Some(file), Some(set)) = (copies.selected(), copies.set()) else { return };
        let others = set.files.iter().enumerate().filter(|(_, other)| other.photo != file.photo);
        let kept = others.clone().find(|(at, _)| copies.keeps(set, *at));
        let with = kept.or_else(|| others.clone().next()).map(|(_, other)| other.photo);
        (self.look.only, self.look.with, self.look.beside) = (Some(file.photo), with, 1);
    }

    /// Keeps the selected file, or does not.
    pub(super) fn toggle_copy(&mut self) {
        let copies = &self.copies;
        let (Some(set), Some(file)) = (copies.set(), copies.selected()) else { return };
        let is_kept = copies.keeps(set, copies.file);
        if is_kept && copies.kept(set) == 1 {
            let key = self.options.keymap.keys_of("keep-only");
            return self.tell(format!("one of them stays: {key} on another one keeps that instead"));
        }
        let change = vec![(file.path.clone(), !is_kept)];
        self.choose_copies(change);
    }

    /// Keeps only the selected file of its group.
    pub(super) fn keep_only(&mut self) {
        let Some(set) = self.copies.set() else { return };
        let change = set.files.iter().enumerate().map(|(at, file)| (file.path.clone(), at == self.copies.file));
        let change = change.collect();
        self.choose_copies(change);
    }

    /// Keeps every file of the group.
    pub(super) fn keep_all_copies(&mut self) {
        let Some(set) = self.copies.set() else { return };
        let change = set.files.iter().map(|file| (file.path.clone(), true)).collect();
        self.choose_copies(change);
    }

    /// Keeps what is proposed, in every group.
    pub(super) fn keep_as_proposed(&mut self) {
        if self.copies.choices.is_empty() {
            return self.tell("everything is as it was proposed");
        }
        self.can_undo(Undo::Copies(self.copies.choices.clone()));
        self.copies.choices.clear();
        self.copies.settle();
        let undo = self.options.keymap.keys_of("undo");
        self.tell(format!("all groups are as they were proposed; {undo} undoes it"));
    }

    fn choose_copies(&mut self, change: Vec<(PathBuf, bool)>) {
        self.can_undo(Undo::Copies(self.copies.choices.clone()));
        self.copies.choices.extend(change);
        self.copies.settle();
    }

    /// Asks where the script is written to.
    pub(super) fn ask_for_script(&mut self) {
        if self.copies.totals.dropped == 0 {
            return self.tell("no file is to be moved to the trash");
        }
        self.prompt(Prompt::TrashScript, SCRIPT);
    }

    pub(super) fn write_script(&mut self, file: String, effects: &mut Vec<Effect>) {
        if self.work.is_some() {
            return self.refuse(Prompt::TrashScript, file, "something else is running: wait, or cancel with x".into());
        }
        self.work_on(Work::TrashScript(self.copies.removals(), file.into()), effects);
    }

    pub(super) fn script_is_written(&mut self, file: String, outcome: Outcome<String>) {
        match outcome {
            Ok(done) => self.tell(done),
            Err(why) => self.refuse(Prompt::TrashScript, file, why),
        }
    }

    /// What stands above the groups.
    #[must_use]
    pub(in crate::tui) fn copies_say(&self) -> String {
        let totals = self.copies.totals;
        let key = self.options.keymap.key_of(Place::Duplicates, crate::tui::action::Action::WriteScript);
        let script = key.map_or(String::new(), |key| format!(": {key} writes a script that moves them to the trash"));
        let outdated = if self.copies.is_stale { " (the library has changed since: r looks again)" } else { "" };
        let sets = count(self.copies.sets().len(), "group");
        let bytes = crate::terminal::text::size(totals.bytes);
        match totals.dropped {
            0 => format!("{sets}{outdated}; nothing goes"),
            dropped => format!("{sets}{outdated}; {dropped} of {} go, {bytes}{script}", count(totals.files, "file")),
        }
    }
}
