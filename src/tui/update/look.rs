//! One photo, large: closer, to the next one, through its stack, as a slideshow.

use crate::tui::event::Effect;
use crate::tui::layout;
use crate::tui::place::Place;
use crate::tui::state::State;
use crate::tui::zoom::ZoomedPhoto;
use std::path::PathBuf;
use std::time::Duration;

/// How long a photo of a slideshow is shown.
const SLIDE: Duration = Duration::from_secs(4);

impl State {
    /// Turns to another photo, `by` positions on.
    pub(in crate::tui) fn turn_page(&mut self, by: isize) {
        self.look.in_stack = None;
        if self.look.of == Place::Duplicates {
            self.step_copy(by);
            return self.look_at_copy();
        }
        if self.look.only.is_some() {
            return;
        }
        let of = self.look.of;
        if let Some(gallery) = self.gallery_mut(of) {
            gallery.select(gallery.at().saturating_add_signed(by));
        }
    }

    /// Shows the next or the previous photo that was taken as one with this; after the last one the first.
    pub(super) fn step_in_stack(&mut self, forward: bool, effects: &mut Vec<Effect>) {
        let Some(photo) = self.photo().and_then(|id| self.photos.get(&id)) else { return };
        let Some(own) = photo.paths.first().filter(|_| !photo.stack.is_empty()) else {
            return self.tell("this photo is in no stack");
        };
        let mut all: Vec<&PathBuf> = photo.stack.iter().chain([own]).collect();
        all.sort();
        let at = all.iter().position(|path| *path == own).unwrap_or(0);
        let to = if forward { at + 1 } else { at + all.len() - 1 } % all.len();
        effects.extend(all.get(to).map(|path| Effect::StackPhoto((*path).clone())));
    }

    /// Begins to show one photo after the other, or ends that.
    pub(super) fn toggle_slideshow(&mut self, effects: &mut Vec<Effect>) {
        if self.look.slideshow.take().is_some() {
            return self.tell("the slideshow has ended");
        }
        if self.look.only.is_some() {
            return self.tell("only this photo is shown: a slideshow begins from a list");
        }
        self.look.full = true;
        self.look.zoom = None;
        let key = self.options.keymap.keys_of("slideshow");
        self.tell(format!("a slideshow: {key} ends it"));
        self.time_slide(effects);
    }

    fn time_slide(&mut self, effects: &mut Vec<Effect>) {
        let generation = self.next_generation();
        self.look.slideshow = Some(generation);
        effects.push(Effect::Timer(generation, SLIDE));
    }

    /// Shows the next photo of a slideshow; after the last one the first.
    pub(in crate::tui) fn next_slide(&mut self, effects: &mut Vec<Effect>) {
        if self.place != Place::Look {
            self.look.slideshow = None;
            return;
        }
        // While something is read over the photo, it stays.
        if self.overlay.is_none() {
            self.look.in_stack = None;
            let of = self.look.of;
            if let Some(gallery) = self.gallery_mut(of) {
                let next = gallery.at() + 1;
                gallery.select(if next < gallery.shown().len() { next } else { 0 });
            }
        }
        self.time_slide(effects);
    }

    /// Shows the selected photo large.
    pub(in crate::tui) fn look(&mut self) {
        let Some(id) = self.photo() else { return };
        (self.look.in_stack, self.look.zoom, self.look.held) = (None, None, None);
        (self.look.only, self.look.with) = ((self.place == Place::Map).then_some(id), None);
        self.look.of = match self.place {
            Place::Classify | Place::Duplicates => self.place,
            _ => Place::Search,
        };
        if self.place == Place::Duplicates {
            self.look_at_copy();
        }
        self.trail.push(self.place);
        self.place = Place::Look;
    }

    /// The photo that is looked at in its area, if its size is known.
    fn looked_at(&self) -> Option<ZoomedPhoto> {
        let (id, area) = layout::look(self).into_iter().next()?;
        layout::zoomed(self, id, area)
    }

    /// The same for the photo at a cell of the screen.
    fn looked_at_below(&self, at: (u16, u16)) -> Option<ZoomedPhoto> {
        let (id, area) = layout::look(self).into_iter().find(|(_, area)| area.contains(at.into()))?;
        layout::zoomed(self, id, area)
    }

    /// Shows the photo larger or smaller; what is at `at` on the screen, or else in the middle, stays there.
    pub(super) fn look_closer(&mut self, closer: bool, at: Option<(u16, u16)>) {
        let zoom = self.look.zoom;
        let found = match at {
            Some(at) => self.looked_at_below(at).map(|shown| (shown, shown.point(zoom, at.0, at.1))),
            None => self.looked_at().map(|shown| (shown, zoom.map_or((0.5, 0.5), |zoom| zoom.middle))),
        };
        if !self.options.pictures {
            return self.tell("no pictures are drawn here: --pictures");
        }
        let Some((shown, point)) = found else { return };
        self.look.zoom = shown.step(zoom, closer, point);
    }

    /// Shows the photo pixel by pixel, or whole again.
    pub(super) fn look_exactly(&mut self) {
        let Some(shown) = self.looked_at() else { return };
        let is_exact = self.look.zoom.is_some_and(|zoom| (shown.scale(zoom) - 1.0).abs() < 0.01);
        let middle = self.look.zoom.map_or((0.5, 0.5), |zoom| zoom.middle);
        self.look.zoom = if is_exact { None } else { shown.exact(self.look.zoom, middle) };
        if self.look.zoom.is_none() && !is_exact {
            self.tell("the whole photo is shown larger than pixel by pixel already");
        }
    }

    /// Shows another part of the photo, by these shares of what is seen.
    pub(super) fn pan(&mut self, across: f64, down: f64) {
        let (Some(zoom), Some(shown)) = (self.look.zoom, self.looked_at()) else { return };
        self.look.zoom = Some(shown.pan(shown.settled(zoom), across, down));
    }

    /// Moves the photo as the mouse that holds it.
    pub(super) fn drag(&mut self, to: (u16, u16)) {
        let (Some(from), Some((_, area))) = (self.look.held.replace(to), layout::look(self).into_iter().next()) else {
            return;
        };
        let share = |from: u16, to: u16, all: u16| (f64::from(from) - f64::from(to)) / f64::from(all.max(1));
        self.pan(share(from.0, to.0, area.width), share(from.1, to.1, area.height));
    }

    /// How large the photo is shown, if not whole.
    #[must_use]
    pub(in crate::tui) fn zoom_says(&self) -> Option<String> {
        Some(self.looked_at()?.says(self.look.zoom?))
    }
}
