//! Browsing: the start page, folders, the timeline.

use super::undo::Undo;
use crate::tui::browse::{BrowseKind, BrowseRow};
use crate::tui::event::{Effect, Way};
use crate::tui::overlay::Prompt;
use crate::tui::place::Place;
use crate::tui::source::Source;
use crate::tui::state::State;
use snapseek_index::query::quoted;

impl State {
    /// Goes to a list.
    pub(in crate::tui) fn browse(&mut self, kind: BrowseKind, effects: &mut Vec<Effect>) {
        self.visit(Place::Browse, effects);
        self.browse.rows = None;
        if self.browse.kind != kind {
            self.browse.kind = kind;
            self.browse.at = 0;
        }
        effects.push(Effect::Browse(kind));
        if kind == BrowseKind::Start {
            effects.extend([Effect::Searches, Effect::Albums, Effect::Groups]);
        }
        self.settle_row(true);
    }

    /// The selected row.
    #[must_use]
    pub(in crate::tui) fn row(&self) -> Option<BrowseRow> {
        self.browse_rows().get(self.browse.at).cloned()
    }

    /// Keeps the selection within the rows, and off headings: to the next row, or the one before.
    pub(in crate::tui) fn settle_row(&mut self, forward: bool) {
        let rows = self.browse_rows();
        let last = rows.len().saturating_sub(1);
        let is_row = |at: &usize| rows.get(*at).is_some_and(|row| row.target.is_some());
        let at = self.browse.at.min(last);
        let (after, before) = ((at..=last).find(is_row), (0..=at).rev().find(is_row));
        let found = if forward { after.or(before) } else { before.or(after) };
        self.browse.at = found.unwrap_or(0);
    }

    /// Selects the row with this key, if there is one.
    pub(in crate::tui) fn select_row(&mut self, key: Option<&str>) {
        let found = self.browse_rows().iter().position(|row| Some(row.key.as_str()) == key);
        self.browse.at = found.unwrap_or(self.browse.at);
        self.settle_row(true);
    }

    pub(in crate::tui) fn step_row(&mut self, by: isize) {
        self.browse.at = self.browse.at.saturating_add_signed(by);
        self.settle_row(by > 0);
    }

    /// Shows the photos of the selected row.
    pub(in crate::tui) fn open_row(&mut self, effects: &mut Vec<Effect>) {
        let Some(source) = self.row().and_then(|row| row.target) else { return };
        self.go(source, effects);
        self.remember(effects);
    }

    /// Lists the parts of the selected row, or no more; `None`: the other of both.
    pub(in crate::tui) fn unfold(&mut self, wanted: Option<bool>) {
        let Some(row) = self.row() else { return };
        let rows = self.browse_rows();
        let is_open = rows.get(self.browse.at + 1).is_some_and(|next| next.level > row.level);
        if !row.has_parts || wanted == Some(false) && !is_open {
            // Out of it: to what it is a part of.
            if wanted == Some(false) && row.level > 0 {
                let outer = (0..self.browse.at).rev().find(|at| rows.get(*at).is_some_and(|r| r.level < row.level));
                self.browse.at = outer.unwrap_or(0);
                self.settle_row(true);
            }
            return;
        }
        let closed = format!("closed {}", row.key);
        self.browse.rows = None;
        if wanted.unwrap_or(!is_open) {
            self.browse.open.remove(&closed);
            self.browse.open.insert(row.key);
        } else {
            self.browse.open.remove(&row.key);
            self.browse.open.insert(closed);
        }
    }

    /// Asks for the covers of the selected row, if they are not known.
    pub(in crate::tui) fn want_covers(&mut self, effects: &mut Vec<Effect>) {
        let Some(row) = self.row() else { return };
        if self.browse.covers.0 == row.key {
            return;
        }
        let mut covers = Vec::new();
        match &row.target {
            Some(Source::Chosen { ids, .. }) => covers = ids.to_vec(),
            Some(source) => {
                let known = self.clusters.groups.iter().flat_map(|groups| &groups.groups);
                match known.into_iter().find(|group| row.key == format!("cluster {}", group.name)) {
                    Some(group) => covers.clone_from(&group.covers),
                    None => {
                        let generation = self.next_generation();
                        self.browse.generation = generation;
                        effects.push(Effect::Covers(generation, source.text().to_owned()));
                    }
                }
            }
            None => {}
        }
        self.browse.covers = (row.key, covers);
    }

    /// The current search as a query.
    ///
    /// # Errors
    /// There is none, or it cannot be written: why.
    pub(in crate::tui) fn query_to_save(&self) -> Result<String, String> {
        let seek = self.search.visits.current().seek();
        let mut query = seek.text.trim().to_owned();
        for like in &seek.likes {
            let Some(path) = like.path.to_str() else {
                return Err("a search for photos like one whose name is not UTF-8 cannot be saved".into());
            };
            let sign = if like.weight < 0.0 {
                "- "
            } else if query.is_empty() {
                ""
            } else {
                "+ "
            };
            query = format!("{query} {sign}@{}", quoted(path)).trim().to_owned();
        }
        if query.is_empty() { Err("there is no search to save: type one first".into()) } else { Ok(query) }
    }

    /// Asks under which name the current search is saved.
    pub(in crate::tui) fn save_search(&mut self) {
        match self.query_to_save() {
            Ok(query) => {
                let known = self.searches.iter().find(|search| search.query == query).map(|search| search.name.clone());
                self.prompt(Prompt::SearchName(query), &known.unwrap_or_default());
            }
            Err(why) => self.tell(why),
        }
    }

    /// Deletes the saved search that is selected.
    pub(in crate::tui) fn delete_search(&mut self, effects: &mut Vec<Effect>) {
        let row = self.row();
        match row.as_ref().and_then(|row| row.key.strip_prefix("saved ")) {
            Some(name) => effects.push(Effect::SaveSearch(name.to_owned(), None, Way::Do)),
            None => self.tell("only saved searches can be deleted here"),
        }
    }

    /// A search was saved or deleted.
    pub(in crate::tui) fn on_saved(&mut self, name: String, before: Option<String>, is_there: bool, way: Way) {
        let done = if is_there { format!("saved: the start page lists {name}") } else { format!("{name} is deleted") };
        self.tell_done(way, &done, &format!("the saved search {name} is as it was"));
        self.took(way, Undo::Search(name, before));
        self.settle_row(true);
    }
}
