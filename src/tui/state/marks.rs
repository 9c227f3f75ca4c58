//! Marked photos.

use std::collections::HashSet;

/// Marked photos, in the order of marking.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    order: Vec<i64>,
    all: HashSet<i64>,
    /// How often they were changed.
    changes: u64,
}

impl Marks {
    /// These photos.
    #[must_use]
    pub fn of(ids: Vec<i64>) -> Self {
        let mut marks = Self::default();
        ids.into_iter().for_each(|id| marks.add(id));
        marks
    }

    /// A number that is another one after each change.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether a photo is marked.
    #[must_use]
    pub fn has(&self, id: i64) -> bool {
        self.all.contains(&id)
    }

    /// Marks a photo.
    pub fn add(&mut self, id: i64) {
        if self.all.insert(id) {
            self.order.push(id);
            self.changes += 1;
        }
    }

    /// Marks a photo, or removes its mark.
    pub fn toggle(&mut self, id: i64) {
        if self.all.remove(&id) {
            self.order.retain(|other| *other != id);
            self.changes += 1;
        } else {
            self.add(id);
        }
    }

    /// Removes the marks of some photos.
    pub fn forget(&mut self, gone: &HashSet<i64>) {
        if gone.iter().any(|id| self.all.contains(id)) {
            self.order.retain(|id| !gone.contains(id));
            self.all.retain(|id| !gone.contains(id));
            self.changes += 1;
        }
    }

    /// Removes all marks.
    pub fn clear(&mut self) {
        self.order.clear();
        self.all.clear();
        self.changes += 1;
    }

    /// Marks these photos instead.
    pub fn replace(&mut self, other: Self) {
        *self = Self { changes: self.changes + 1, ..other };
    }
}

impl std::ops::Deref for Marks {
    type Target = [i64];

    fn deref(&self) -> &[i64] {
        &self.order
    }
}
