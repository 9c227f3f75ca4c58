//! The query line, and searches of the library.

use super::edit;
use crate::tui::complete;
use crate::tui::event::{Effect, FoundPhoto};
use crate::tui::overlay::{Choice, Overlay, Picker};
use crate::tui::place::Place;
use crate::tui::source::{Like, Seek, Source};
use crate::tui::state::{LIMIT, State};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use snapseek_index::Order;
use std::time::Duration;
use tui_input::Input;

/// How long the query must stay unchanged before it is searched for.
const DEBOUNCE: Duration = Duration::from_millis(40);

pub(super) fn on_key(state: &mut State, event: KeyEvent, effects: &mut Vec<Effect>) {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    let completes = state.search.completion.is_some();
    match event.code {
        KeyCode::Esc if completes => state.search.completion = None,
        KeyCode::Esc => state.settle(),
        KeyCode::Enter => {
            state.settle();
            state.remember(effects);
            state.search.gallery.select(0);
        }
        KeyCode::Tab if completes => {
            state.complete();
            state.query_changed(effects);
        }
        // The focus stays here: what is typed next must not run as commands.
        KeyCode::Tab | KeyCode::BackTab => state.offer_completion(effects),
        KeyCode::Char('r') if control => state.overlay = Some(Overlay::Choose(Choice::History, Picker::default())),
        KeyCode::Down if completes => state.next_completion(true),
        KeyCode::Up if completes => state.next_completion(false),
        KeyCode::Char('n') if control && completes => state.next_completion(true),
        KeyCode::Up => state.recall(true, effects),
        KeyCode::Down if state.search.recalled.is_some() => state.recall(false, effects),
        KeyCode::Down => state.settle(),
        KeyCode::Backspace if state.search.input.value().is_empty() => {
            let mut seek = state.search.visits.current().seek();
            if seek.likes.pop().is_some() {
                state.search.visits.settle();
                state.go(Source::Query(seek), effects);
                state.search.typing = true;
            } else if matches!(state.search.visits.current(), Source::Chosen { .. }) {
                state.go(Source::default(), effects);
                state.search.typing = true;
            }
        }
        _ => {
            let before = state.search.input.value().to_owned();
            if edit(&mut state.search.input, event) && state.search.input.value() != before {
                state.search.recalled = None;
                state.query_changed(effects);
            } else {
                state.offer_completion(effects);
            }
        }
    }
}

impl State {
    /// The text of the query line has changed.
    pub(in crate::tui) fn query_changed(&mut self, effects: &mut Vec<Effect>) {
        let likes = self.search.visits.current().seek().likes;
        let seek = Seek { text: self.search.input.value().to_owned(), likes };
        let selected = self.search.gallery.selected();
        self.search.visits.go(Source::Query(seek), selected);
        // What is asked for anew is listed by how well it matches.
        (self.search.listing.order, self.search.listing.reverse) = (Order::Best, false);
        self.search.keep = None;
        self.offer_completion(effects);
        self.seek(Some(DEBOUNCE), effects);
    }

    /// The query is final: keys now go to its results.
    pub(in crate::tui) fn settle(&mut self) {
        self.search.typing = false;
        self.search.completion = None;
        self.search.recalled = None;
        self.search.visits.settle();
        self.search.ripen();
    }

    /// The query was meant: it goes into the history.
    pub(in crate::tui) fn remember(&mut self, effects: &mut Vec<Effect>) {
        let text = self.search.input.value().trim().to_owned();
        if !text.is_empty() && self.search.history.last() != Some(&text) {
            self.search.history.retain(|other| *other != text);
            self.search.history.push(text.clone());
            self.browse.rows = None;
            effects.push(Effect::Remember(text));
        }
    }

    /// Goes to another source as a new visit.
    pub(in crate::tui) fn go(&mut self, source: Source, effects: &mut Vec<Effect>) {
        let selected = self.search.gallery.selected();
        self.search.visits.settle();
        self.search.visits.go(source, selected);
        self.search.visits.settle();
        self.arrive(None, effects);
    }

    /// Goes to the previous or the next search.
    pub(in crate::tui) fn step_visits(&mut self, forward: bool, effects: &mut Vec<Effect>) {
        let selected = self.search.gallery.selected();
        match self.search.visits.step(forward, selected) {
            Some(visit) => self.arrive(visit.selected, effects),
            None => self.tell(if forward { "there is no later search" } else { "there is no earlier search" }),
        }
    }

    fn arrive(&mut self, select: Option<i64>, effects: &mut Vec<Effect>) {
        self.search.input = Input::new(self.search.visits.current().text().to_owned());
        self.search.typing = false;
        self.search.completion = None;
        self.search.keep = select;
        match self.place {
            Place::Search | Place::Look => self.trail.clear(),
            place => self.trail.push(place),
        }
        self.place = Place::Search;
        self.seek(None, effects);
    }

    /// Searches the current source, at once or after `wait`.
    pub(in crate::tui) fn seek(&mut self, wait: Option<Duration>, effects: &mut Vec<Effect>) {
        self.search.listing.limit = LIMIT;
        self.search.again = false;
        self.ask(wait, effects);
    }

    fn ask(&mut self, wait: Option<Duration>, effects: &mut Vec<Effect>) {
        let generation = self.next_generation();
        self.search.generation = generation;
        (self.search.error, self.search.unripe) = (None, None);
        let source = self.search.visits.current().clone();
        if let Source::Chosen { ids, .. } = &source
            && self.search.listing.is_as_ranked()
        {
            let found = ids.iter().map(|id| FoundPhoto { id: *id, score: None, is_match: true });
            let keep = self.search.keep.take().or_else(|| self.search.gallery.selected());
            self.search.gallery.fill(found.collect(), keep);
            self.search.waiting = false;
            self.search.answer = crate::tui::event::Answer { total: ids.len(), ..Default::default() };
            return;
        }
        self.search.waiting = true;
        effects.push(match wait {
            Some(wait) => Effect::Timer(generation, wait),
            None => Effect::Search(generation, source, self.search.listing),
        });
    }

    /// Sorts photos in another way.
    pub(in crate::tui) fn sort(&mut self, order: Order, reverse: bool, effects: &mut Vec<Effect>) {
        self.visit(Place::Search, effects);
        (self.search.listing.order, self.search.listing.reverse) = (order, reverse);
        self.search.keep = None;
        self.seek(None, effects);
    }

    /// Repeats the search, because the library may have changed.
    pub(in crate::tui) fn seek_again(&mut self, effects: &mut Vec<Effect>) {
        self.search.again = true;
        self.ask(None, effects);
    }

    /// Requests more photos if the selection is near the end.
    pub(in crate::tui) fn want_more(&mut self, effects: &mut Vec<Effect>) {
        let search = &self.search;
        if search.answer.more && !search.waiting && search.gallery.nears_end() {
            self.search.listing.limit = self.search.listing.limit.saturating_mul(8);
            self.seek_again(effects);
        }
    }

    /// Searches for more (weight above zero) or fewer photos like this one. "More" starts a new query, unless the
    /// current one contains photos with negative weight; "less" is added to the current query.
    pub(in crate::tui) fn like(&mut self, id: i64, weight: f32, effects: &mut Vec<Effect>) {
        let Some(path) = self.path_of(id) else { return };
        let mut seek = self.search.visits.current().seek();
        seek.likes.retain(|like| like.id != id);
        if weight > 0.0 && seek.likes.iter().all(|like| like.weight > 0.0) {
            // A new query: one key on any photo finds what looks like it, whatever the current query is.
            seek = Seek::default();
        }
        seek.likes.push(Like { id, path, weight });
        if seek.text.is_empty() && seek.likes.iter().all(|like| like.weight < 0.0) {
            self.tell("less like this: add what you are looking for with / or `more like this`");
        }
        self.go(Source::Query(seek), effects);
    }

    /// Puts the previous or next query of the history into the query line.
    fn recall(&mut self, back: bool, effects: &mut Vec<Effect>) {
        let history = &self.search.history;
        let (at, draft) = match self.search.recalled.take() {
            None => (history.len(), self.search.input.value().to_owned()),
            Some(recalled) => recalled,
        };
        let to = if back { at.saturating_sub(1) } else { at + 1 };
        let text = match history.get(to) {
            Some(text) => {
                let text = text.clone();
                self.search.recalled = Some((to, draft));
                text
            }
            None => draft,
        };
        self.search.input = Input::new(text);
        self.query_changed(effects);
        self.search.completion = None;
    }

    pub(in crate::tui) fn offer_completion(&mut self, effects: &mut Vec<Effect>) {
        if let Some((_, begun)) = complete::file_before(self.search.input.value(), self.search.input.cursor()) {
            // What was offered for less of the name may be wrong now.
            self.search.completion = None;
            return effects.push(Effect::Files(begun));
        }
        let word = complete::word_before(self.search.input.value(), self.search.input.cursor());
        for field in word.iter().flat_map(|word| complete::fields_of(word)) {
            self.facets_of(field, effects);
        }
        let clusters = self.clusters.groups.iter().flat_map(|groups| &groups.groups).map(|group| group.name.as_str());
        let albums = self.albums.iter().map(|album| album.name.as_str());
        let sets = self.classify.sets.iter();
        self.search.completion = complete::complete(
            self.search.input.value(),
            self.search.input.cursor(),
            clusters,
            albums,
            sets,
            &self.facets,
        );
    }

    /// Files whose names begin so are known.
    pub(in crate::tui) fn offer_files(&mut self, begun: &str, names: &[String]) {
        let (text, cursor) = (self.search.input.value(), self.search.input.cursor());
        let now = complete::file_before(text, cursor).filter(|(_, now)| now == begun);
        // Of a name that is typed whole, nothing is to be completed.
        if let Some((start, now)) = now.filter(|_| self.search.typing && self.overlay.is_none())
            && names != [now]
        {
            self.search.completion = complete::files(start, names);
        }
    }

    fn next_completion(&mut self, forward: bool) {
        if let Some(completion) = &mut self.search.completion {
            let count = completion.items.len().max(1);
            completion.at = if forward { completion.at + 1 } else { completion.at + count - 1 } % count;
        }
    }

    /// Puts the selected completion into the query line.
    fn complete(&mut self) {
        let Some(completion) = self.search.completion.take() else { return };
        let Some(item) = completion.items.get(completion.at) else { return };
        let (text, cursor) = (self.search.input.value(), self.search.input.cursor());
        let before: String = text.chars().take(completion.start).collect();
        let after: String = text.chars().skip(cursor).collect();
        let at = before.chars().count() + item.chars().count();
        self.search.input = Input::new(format!("{before}{item}{after}")).with_cursor(at);
    }
}
