//! Where a list of photos comes from, and the history of visited sources.

use std::path::PathBuf;
use std::sync::Arc;

/// Where a list of photos comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A query; an empty one lists the library, newest first.
    Query(Seek),
    /// Photos that were chosen elsewhere.
    Chosen {
        /// A description of the photos.
        title: String,
        /// Their ids.
        ids: Arc<[i64]>,
    },
}

impl Default for Source {
    fn default() -> Self {
        Self::Query(Seek::default())
    }
}

impl Source {
    /// The query's text; empty for chosen photos.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Query(seek) => &seek.text,
            Self::Chosen { .. } => "",
        }
    }

    /// The query; empty for chosen photos.
    #[must_use]
    pub fn seek(&self) -> Seek {
        match self {
            Self::Query(seek) => seek.clone(),
            Self::Chosen { .. } => Seek::default(),
        }
    }
}

/// A query: text in the query language, and photos that the results should or should not look like.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seek {
    /// Text in the query language.
    pub text: String,
    /// Photos that the results should or should not look like.
    pub likes: Vec<Like>,
}

impl Seek {
    /// A query of text alone.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), likes: Vec::new() }
    }

    /// Whether it has neither text nor photos.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty() && self.likes.is_empty()
    }
}

/// A photo that the results should look like (weight above zero) or should not look like.
#[derive(Clone, Debug, PartialEq)]
pub struct Like {
    /// Its id.
    pub id: i64,
    /// Its file.
    pub path: PathBuf,
    /// 1 or -1.
    pub weight: f32,
}

/// The history of visited sources, as in a browser.
#[derive(Clone, Debug)]
pub struct Visits {
    visits: Vec<Visit>,
    at: usize,
    /// The current source is final: the next change is a new visit.
    settled: bool,
}

/// A source and the photo that was selected there.
#[derive(Clone, Debug, Default)]
pub struct Visit {
    /// The source.
    pub source: Source,
    /// The selected photo.
    pub selected: Option<i64>,
}

/// Most visits that are kept.
const MOST: usize = 200;

impl Visits {
    /// A history with one source.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self { visits: vec![Visit { source, selected: None }], at: 0, settled: true }
    }

    /// The current source.
    #[must_use]
    pub fn current(&self) -> &Source {
        static NONE: Source = Source::Query(Seek { text: String::new(), likes: Vec::new() });
        self.visits.get(self.at).map_or(&NONE, |visit| &visit.source)
    }

    /// Goes to another source; `selected` is the photo selected in the current one. If the current source is not
    /// settled, the user only passed it while typing, and it is replaced.
    pub fn go(&mut self, source: Source, selected: Option<i64>) {
        if source == *self.current() {
            return;
        }
        if self.settled {
            if let Some(visit) = self.visits.get_mut(self.at) {
                visit.selected = selected;
            }
            self.visits.truncate(self.at + 1);
            self.visits.push(Visit { source, selected: None });
            if self.visits.len() > MOST {
                self.visits.remove(0);
            }
            self.at = self.visits.len() - 1;
            self.settled = false;
        } else if let Some(visit) = self.visits.get_mut(self.at) {
            visit.source = source;
        }
    }

    /// Makes the current source final.
    pub fn settle(&mut self) {
        self.settled = true;
    }

    /// Steps back or forward and returns the visit there; `None` at either end.
    pub fn step(&mut self, forward: bool, selected: Option<i64>) -> Option<Visit> {
        let to = if forward { self.at.checked_add(1)? } else { self.at.checked_sub(1)? };
        let visit = self.visits.get(to)?.clone();
        if let Some(here) = self.visits.get_mut(self.at) {
            here.selected = selected;
        }
        self.at = to;
        self.settled = true;
        Some(visit)
    }

    /// Whether it is possible to go back, and to go forward.
    #[must_use]
    pub fn ways(&self) -> (bool, bool) {
        (self.at > 0, self.at + 1 < self.visits.len())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn query(text: &str) -> Source {
        Source::Query(Seek::text(text))
    }

    #[test]
    fn what_is_typed_on_the_way_is_no_visit() {
        let mut visits = Visits::new(query(""));
        for text in ["d", "do", "dog"] {
            visits.go(query(text), Some(1));
        }
        visits.settle();
        visits.go(query("dog cat"), Some(7));
        assert_eq!(visits.ways(), (true, false));
        let back = visits.step(false, None).unwrap();
        assert_eq!((back.source.text(), back.selected), ("dog", Some(7)));
        assert_eq!(visits.step(false, None).unwrap().source.text(), "");
        assert!(visits.step(false, None).is_none());
        assert_eq!(visits.step(true, None).unwrap().source.text(), "dog");
        visits.go(query("hen"), None);
        assert_eq!(visits.ways(), (true, false), "another way was taken");
    }

    #[test]
    fn visits_are_bounded() {
        let mut visits = Visits::new(query(""));
        for n in 0..1_000 {
            visits.go(query(&n.to_string()), None);
            visits.settle();
        }
        assert_eq!(visits.visits.len(), MOST);
        assert_eq!(visits.current().text(), "999");
    }
}
