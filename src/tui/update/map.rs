//! The map: its cursor, its box, and its visible part.

use crate::terminal::text;
use crate::tui::event::{Effect, MapChart, Work};
use crate::tui::layout;
use crate::tui::source::Source;
use crate::tui::state::State;

/// The smallest visible part of the map.
const CLOSEST: f32 = 0.01;

impl State {
    pub(in crate::tui) fn want_chart(&mut self, effects: &mut Vec<Effect>) {
        if self.map.chart.is_none() && self.work.is_none() && !self.is_empty() {
            self.map.error = None;
            self.work_on(Work::Chart, effects);
        }
    }

    pub(in crate::tui) fn chart(&mut self, chart: MapChart) {
        self.map.chart = Some(chart.into());
        self.map.corner = None;
        self.map.pointed = None;
    }

    /// Finds the photo nearest to the cursor.
    pub(in crate::tui) fn point(&mut self) {
        let Some(chart) = &self.map.chart else {
            self.map.nearest = None;
            return;
        };
        let (x, y) = self.map.cursor;
        let away =
            |at: usize| chart.spots.get(at).map_or(f32::INFINITY, |spot| (spot.x - x).powi(2) + (spot.y - y).powi(2));
        // The photo stays the same as long as the cursor does not move.
        if self.map.pointed == Some(self.map.cursor) {
            return;
        }
        self.map.pointed = Some(self.map.cursor);
        self.map.nearest = (0..chart.spots.len()).min_by(|a, b| away(*a).total_cmp(&away(*b)));
    }

    pub(in crate::tui) fn move_cursor(&mut self, across: isize, down: isize) {
        let area = layout::map(self);
        let (_, _, width, height) = layout::window(self);
        let cell = (width / f32::from(area.width.max(1)), height / f32::from(area.height.max(1)));
        // Two cells across are as far as one cell down.
        let (x, y) = self.map.cursor;
        self.set_cursor((x + across as f32 * 2.0 * cell.0, y + down as f32 * cell.1));
    }

    pub(in crate::tui) fn set_cursor(&mut self, cursor: (f32, f32)) {
        self.map.cursor = (cursor.0.clamp(0.0, 1.0), cursor.1.clamp(0.0, 1.0));
        // The visible part follows the cursor.
        let (left, top, width, height) = layout::window(self);
        let follow = |middle: f32, at: f32, from: f32, size: f32| middle + (at - at.clamp(from, from + size));
        self.map.middle = (
            follow(self.map.middle.0, self.map.cursor.0, left, width),
            follow(self.map.middle.1, self.map.cursor.1, top, height),
        );
    }

    pub(in crate::tui) fn zoom(&mut self, closer: bool) {
        let factor = if closer { 1.0 / 1.5 } else { 1.5 };
        let span = (self.map.span * factor).clamp(CLOSEST, 1.0);
        // The cursor stays in the same place on the screen.
        let by = span / self.map.span;
        let keep = |middle: f32, at: f32| at + (middle - at) * by;
        self.map.middle = (keep(self.map.middle.0, self.map.cursor.0), keep(self.map.middle.1, self.map.cursor.1));
        self.map.span = span;
        if span >= 1.0 {
            self.map.middle = (0.5, 0.5);
        }
    }

    pub(in crate::tui) fn whole_map(&mut self) {
        (self.map.span, self.map.middle) = (1.0, (0.5, 0.5));
    }

    pub(in crate::tui) fn toggle_box(&mut self) {
        self.map.corner = match self.map.corner {
            None => Some(self.map.cursor),
            Some(_) => None,
        };
    }

    /// The photos in the box.
    #[must_use]
    pub fn boxed(&self) -> Vec<i64> {
        let (Some(chart), Some(corner)) = (&self.map.chart, self.map.corner) else { return Vec::new() };
        let cursor = self.map.cursor;
        let within = |v: f32, a: f32, b: f32| a.min(b) <= v && v <= a.max(b);
        let inside =
            chart.spots.iter().filter(|spot| within(spot.x, corner.0, cursor.0) && within(spot.y, corner.1, cursor.1));
        inside.map(|spot| spot.id).collect()
    }

    pub(in crate::tui) fn open_box(&mut self, effects: &mut Vec<Effect>) {
        let ids = self.boxed();
        if ids.is_empty() {
            return self.tell("no photo is in a box: `b` begins one at the cursor");
        }
        self.map.corner = None;
        let title = format!("{} from the map", text::count(ids.len(), "photo"));
        self.go(Source::Chosen { title, ids: ids.into() }, effects);
    }
}
