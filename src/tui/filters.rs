//! What a query can be filtered by: the values of fields, with how many photos have each.

use super::event::{Effect, Outcome};
use super::overlay::Overlay;
use super::source::Source;
use super::state::State;
use snapseek_index::{FacetCounts, FacetField, query};
use std::collections::HashMap;

/// The values of fields, counted among the photos that pass the filters of a query.
#[derive(Clone, Debug, Default)]
pub struct FilterPanel {
    /// The query.
    pub text: String,
    /// Generation of the request whose answers are wanted; 0 before there was one.
    pub generation: u64,
    /// What was counted; fields are missing while they are counted.
    pub fields: HashMap<FacetField, Outcome<FacetCounts>>,
    /// The library has changed since.
    pub is_stale: bool,
    /// The position of the field whose values were listed last.
    pub last_field: usize,
    /// No field was chosen since the list was opened: the first one that has values is shown.
    pub is_untouched: bool,
}

impl FilterPanel {
    /// What was counted of a field, unless that failed.
    #[must_use]
    pub fn counted(&self, field: FacetField) -> Option<&FacetCounts> {
        self.fields.get(&field)?.as_ref().ok()
    }

    /// The filters of the query that a value of this field takes the place of, as they are written.
    #[must_use]
    pub fn replaced(&self, field: FacetField) -> Vec<String> {
        let left_out = self.counted(field).map(|counts| counts.left_out.as_slice()).unwrap_or_default();
        if left_out.is_empty() {
            return Vec::new();
        }
        let filters = query::filters_of(&self.text);
        left_out.iter().filter_map(|at| filters.get(*at).cloned()).collect()
    }
}

impl State {
    /// Opens the list of filters.
    pub(super) fn open_filters(&mut self, effects: &mut Vec<Effect>) {
        self.overlay = Some(Overlay::Filters(self.filters.last_field, 0));
        self.filters.is_untouched = true;
        let text = self.search.visits.current().text().to_owned();
        if self.filters.generation == 0 || self.filters.is_stale || self.filters.text != text {
            self.count_filters(text, effects);
        }
        self.show_values();
    }

    /// Goes on to the first field that has values, as far as they are known, unless the user has chosen one.
    fn show_values(&mut self) {
        let Some(Overlay::Filters(shown, 0)) = self.overlay else { return };
        let fields = FacetField::ALL.iter().enumerate().cycle().skip(shown).take(FacetField::ALL.len());
        let known = fields.map_while(|(at, (field, ..))| Some((at, self.filters.counted(*field)?)));
        let first = known.filter(|(_, counts)| !counts.values.is_empty()).map(|(at, _)| at).next();
        if let Some(at) = first.filter(|_| self.filters.is_untouched) {
            self.overlay = Some(Overlay::Filters(at, 0));
        }
    }

    fn count_filters(&mut self, text: String, effects: &mut Vec<Effect>) {
        // Of the same query, the numbers stand until there are new ones.
        if self.filters.text != text {
            self.filters.fields.clear();
        }
        self.filters.generation = self.next_generation();
        (self.filters.text, self.filters.is_stale) = (text, false);
        effects.push(Effect::Filters(self.filters.generation, self.filters.text.clone(), self.filters.last_field));
    }

    /// The library has changed: what is on the screen is counted again.
    pub(super) fn filters_changed(&mut self, effects: &mut Vec<Effect>) {
        self.filters.is_stale = true;
        if matches!(self.overlay, Some(Overlay::Filters(..))) {
            self.count_filters(self.filters.text.clone(), effects);
        }
    }

    /// A field was counted.
    pub(super) fn filters_counted(&mut self, generation: u64, field: FacetField, counts: Outcome<FacetCounts>) {
        if generation != self.filters.generation {
            return;
        }
        let last = counts.as_ref().map_or(0, |counts| counts.values.len().saturating_sub(1));
        self.filters.fields.insert(field, counts);
        if let Some(Overlay::Filters(shown, at)) = &mut self.overlay
            && FacetField::ALL.get(*shown).is_some_and(|(shown, ..)| *shown == field)
        {
            *at = (*at).min(last);
        }
        self.show_values();
    }

    /// Adds a filter to the query, as a new visit; in the place of those at these positions.
    pub(super) fn add_filter(&mut self, wanted: &str, in_place_of: &[usize], effects: &mut Vec<Effect>) {
        let mut seek = self.search.visits.current().seek();
        if query::filters_of(&seek.text).iter().any(|known| known == wanted) {
            return self.tell("the query has this filter already");
        }
        let others = query::without(seek.text.trim(), in_place_of);
        seek.text = if others.is_empty() { format!("{wanted} ") } else { format!("{others} {wanted} ") };
        self.go(Source::Query(seek), effects);
    }
}
