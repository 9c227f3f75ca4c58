//! One result of a query.

use crate::photo::MetadataSource;
use crate::terminal::sanitize;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use snapseek_index::{Filters, Hit, NO_CLOCK_NS, RankedPhoto, Searcher};
use std::collections::HashMap;
use std::path::Path;

/// A photo that was found.
#[derive(Clone, Debug)]
pub struct Row {
    /// What is known about it.
    pub hit: Hit,
    /// Whether it is a match, and not merely near the query.
    pub is_match: bool,
    /// How likely its text and it belong together, from 0 to 1, if the results were ranked again by that.
    pub itm: Option<f32>,
    /// How likely it shows what was asked for, from 0 to 1, if a model looked at it again.
    pub yes: Option<f32>,
    /// Whether none of its files exists any more ([`Row::look`]).
    pub is_missing: bool,
}

impl Row {
    /// A result whose files are taken to be there.
    #[must_use]
    pub fn new(hit: Hit, is_match: bool) -> Self {
        Self { hit, is_match, itm: None, yes: None, is_missing: false }
    }

    /// The file that is shown for the photo.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.hit.paths.first().map_or(Path::new(""), |p| p.as_path())
    }

    /// Looks whether its files exist, and shows the first one that does.
    pub fn look(&mut self) {
        match self.hit.paths.iter().position(|path| is_there(path)) {
            Some(at) => self.hit.paths[..=at].rotate_right(1),
            None => self.is_missing = true,
        }
    }
}

/// What the library knows about photos that were found, each with whether it is a match.
///
/// # Errors
/// The catalogue cannot be read.
pub fn rows(searcher: &Searcher, filters: &Filters, found: &[(RankedPhoto, bool)]) -> anyhow::Result<Vec<Row>> {
    let (photos, matches): (Vec<RankedPhoto>, HashMap<i64, bool>) =
        found.iter().map(|(photo, is_match)| (*photo, (photo.id, *is_match))).unzip();
    let hits = searcher.details(filters, &photos)?.into_iter();
    Ok(hits.map(|hit| (matches.get(&hit.id) == Some(&true), hit)).map(|(yes, hit)| Row::new(hit, yes)).collect())
}

/// When a photo was taken, and who says so: if nobody does, when its file was changed last.
#[must_use]
pub fn taken(hit: &Hit) -> Taken {
    let said = &hit.facts.metadata;
    match (&said.taken, &said.taken_from) {
        (Some(moment), from) => {
            let from = from.clone().unwrap_or_else(|| MetadataSource::Exif.as_str().to_owned());
            Taken {
                is_guess: from == MetadataSource::FileName.as_str(),
                moment: Some(moment.clone()),
                from: Some(from),
            }
        }
        (None, _) => {
            // Archives without times give 1970 or 1980.
            let changed = Some(hit.changed_ns).filter(|changed| *changed > NO_CLOCK_NS);
            let changed = changed.and_then(|changed| Timestamp::from_nanosecond(changed.into()).ok());
            let local =
                changed.map(|moment| moment.to_zoned(TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S").to_string());
            Taken { is_guess: true, from: local.is_some().then(|| MODIFIED.to_owned()), moment: local }
        }
    }
}

/// Where a photo was taken: as its owner named it, or else by its coordinates.
#[must_use]
pub fn place(hit: &Hit) -> Option<String> {
    let said = &hit.facts.metadata;
    let named = [&said.location, &said.city, &said.region, &said.country].into_iter().filter_map(Option::as_deref);
    let named: Vec<&str> = named.collect();
    if named.is_empty() { said.place.clone() } else { Some(named.join(", ")) }
}

/// The source of a date that is the time of a file's last change.
const MODIFIED: &str = "modified";

/// When a photo was taken, as far as that is known or can be guessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// `2019-06-30T23:59:59`, or only the day, the month or the year.
    pub moment: Option<String>,
    /// Who says so: `exif`, `xmp`, `iptc`, ..., `file-name`, `modified`.
    pub from: Option<String>,
    /// Whether it is a guess.
    pub is_guess: bool,
}

impl Taken {
    /// For a person: guesses have a mark.
    #[must_use]
    pub fn shown(&self) -> Option<String> {
        let moment = sanitize::text(&self.moment.as_ref()?.replace('T', " "));
        Some(if self.is_guess { format!("~{moment}") } else { moment })
    }
}

/// Up to `limit` of these results; of those whose files are gone, only as many as there is room for, at the end. No
/// more files are looked at than necessary.
#[must_use]
pub fn present_first(rows: Vec<Row>, limit: usize) -> Vec<Row> {
    let (mut present, mut missing) = (Vec::new(), Vec::new());
    for mut row in rows {
        if present.len() == limit {
            break;
        }
        row.look();
        if row.is_missing { &mut missing } else { &mut present }.push(row);
    }
    missing.truncate(limit - present.len());
    present.append(&mut missing);
    present
}

/// Whether there is a file, as far as can be known.
fn is_there(path: &Path) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    !std::fs::metadata(path).is_err_and(|error| matches!(error.kind(), NotFound | NotADirectory))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gone_comes_last_and_another_copy_stands_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["b.jpg", "c.jpg", "d.jpg"] {
            std::fs::write(path(name), "").unwrap();
        }
        let row = |names: &[&str]| {
            let hit = Hit {
                id: 1,
                picture: [0; 32],
                cosine: None,
                bm25: None,
                fused: 0.0,
                probability: None,
                all_words: false,
                paths: names.iter().map(|name| path(name)).collect(),
                tags: Vec::new(),
                caption: None,
                text: None,
                facts: snapseek_index::PhotoFacts::default(),
                size: 0,
                changed_ns: 0,
                folded: 0,
                stack: Vec::new(),
                own_tags: Vec::new(),
                own_rating: None,
            };
            Row::new(hit, true)
        };
        let rows = vec![row(&["a.jpg"]), row(&["x.jpg", "b.jpg"]), row(&["c.jpg"]), row(&["d.jpg"])];
        let shown = |limit| {
            let rows = present_first(rows.clone(), limit);
            rows.iter().map(|row| row.path().file_name().unwrap().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(shown(2), ["b.jpg", "c.jpg"]);
        assert_eq!(shown(9), ["b.jpg", "c.jpg", "d.jpg", "a.jpg"]);
        assert!(present_first(rows, 9)[3].is_missing);
    }
}
