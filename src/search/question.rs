//! One query: from its text to photos, and which of them match.

use super::matches::{self, Rule, Sigmoid};
use super::query_vector;
use super::row::{Row, rows};
use super::whereabouts;
use crate::exit::Failure;
use crate::labels::classify;
use crate::model_choice::Chosen;
use crate::terminal::console::Console;
use crate::terminal::progress::Progress;
use snapseek_index::query::{self, PartKind};
use snapseek_index::{By, Library, Order, RankedPhoto, RankedPhotos, ScoreStats, SearchRequest, Searcher};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Minimum number of hits that are checked for matches.
const CONSIDERED: usize = 200;

/// What a query needs besides its text.
pub struct Means<'a> {
    /// The library to search.
    pub library: &'a Library,
    /// Returns the library's model; called only if the query needs it.
    pub model: &'a dyn Fn() -> anyhow::Result<Arc<Chosen>>,
    /// Set to stop the work.
    pub cancel: &'a AtomicBool,
    /// Where progress is shown.
    pub console: &'a Console,
}

/// What a query has found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The best hits.
    pub rows: Vec<Row>,
    /// How many photos match.
    pub matches: usize,
    /// Whether more than that may match.
    pub at_least: bool,
    /// Whether no photo was skipped.
    pub exact: bool,
}

/// What a query has found, by ids.
#[derive(Clone, Debug)]
pub struct Ranked {
    /// The best photos, each with whether it is a match.
    pub photos: Vec<(RankedPhoto, bool)>,
    /// As [`Found::matches`].
    pub matches: usize,
    /// As [`Found::at_least`].
    pub at_least: bool,
    /// As [`Found::exact`].
    pub exact: bool,
}

/// Parses a query.
///
/// # Errors
/// The query has a syntax error (exit code 2).
pub fn parse(text: &str) -> anyhow::Result<query::Query> {
    query::parse(text).map_err(|e| Failure::usage(e.to_string()))
}

/// A query that is ready to run.
#[derive(Clone, Debug)]
pub struct Question {
    /// What to search for; the caller sets the limit.
    pub request: SearchRequest,
    neutral: Option<ScoreStats>,
    sigmoid: Option<Sigmoid>,
    /// No cosine decides which photos match: every photo that is found does.
    words_only: bool,
    /// The words are the name of a file: photos with exactly this name come first.
    file_name: Option<String>,
}

impl Question {
    /// Prepares a query: does everything for which it needs the model.
    ///
    /// # Errors
    /// A label set does not exist, a picture cannot be read, the user interrupted it (exit code 130), or the model or
    /// the catalogue fails.
    pub fn new(mut query: query::Query, by: By, template: Option<&str>, means: &Means<'_>) -> anyhow::Result<Self> {
        let Means { library, model, cancel, console } = *means;
        whereabouts::resolve(&mut query.filters, library)?;
        classify::prepare(&query.filters, library, model, &mut Progress::new(console, cancel))?;
        let words = plain_words(&query);
        let words_only = by == By::Words || query.parts.is_empty();
        let with_picture = query.parts.iter().any(|part| matches!(part.kind, PartKind::Image(_)));
        let is_one_text = matches!(&query.parts[..], [part] if part.weight > 0.0) && !with_picture;
        let (vector, neutral, sigmoid) = if words_only {
            (None, None, None)
        } else {
            let chosen = model()?;
            if cancel.load(Ordering::Relaxed) {
                return Err(Failure::interrupted());
            }
            let neutral = match library.neutral_scores()? {
                _ if with_picture => None,
                None => {
                    let scores = matches::neutral_scores(library, chosen.model.as_ref())?;
                    // Where it cannot be kept, it is computed again the next time.
                    let _ = scores.map(|scores| library.set_neutral_scores(&chosen.record, &scores));
                    scores
                }
                known => known,
            };
            let sigmoid = if is_one_text { Sigmoid::of(chosen.model.as_ref())? } else { None };
            (query_vector::vector(&query.parts, chosen.model.as_ref(), library, template)?, neutral, sigmoid)
        };
        let file_name = (by != By::Meaning && query.parts.len() == 1 && is_file_name(&words)).then(|| words.clone());
        let request = SearchRequest {
            vector,
            words: (by != By::Meaning && !words.is_empty()).then_some(words),
            phrases: query.phrases,
            filters: query.filters,
            by,
            ..SearchRequest::default()
        };
        Ok(Self { request, neutral, sigmoid, words_only, file_name })
    }

    /// At least the first `limit` photos, each with whether it is a match, and nothing else about them. More than
    /// `limit` may be checked, because a match may rank below photos that do not match.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn rank(&self, searcher: &Searcher, limit: usize) -> anyhow::Result<Ranked> {
        let request = SearchRequest { limit: limit.max(CONSIDERED), ..self.request.clone() };
        let RankedPhotos { photos, total, stats, exact } = searcher.rank(&request)?;
        let rule = Rule { neutral: self.neutral, library: stats, sigmoid: self.sigmoid };
        let mut photos = rule.matches(&photos);
        photos.iter_mut().for_each(|(_, is_match)| *is_match |= self.words_only);
        self.named_first(searcher, &mut photos)?;
        let among = photos.iter().filter(|(_, is_match)| *is_match).count();
        let (matches, at_least) =
            if self.words_only { (total, false) } else { (among, among > 0 && is_cut(&photos, request.limit)) };
        Ok(Ranked { photos, matches, at_least, exact })
    }

    /// Puts photos before all others whose file has exactly the name that was asked for: words alone do not tell
    /// `fish-10.jpg` from `10-fish.jpg`, and what looks like a fish ranks beside both.
    fn named_first(&self, searcher: &Searcher, photos: &mut Vec<(RankedPhoto, bool)>) -> anyhow::Result<()> {
        let (Some(name), Order::Best, false) = (&self.file_name, self.request.order, self.request.reverse) else {
            return Ok(());
        };
        let by_words = SearchRequest { vector: None, by: By::Words, limit: CONSIDERED, ..self.request.clone() };
        let found = searcher.rank(&by_words)?.photos;
        let ids: Vec<i64> = found.iter().map(|photo| photo.id).collect();
        let has_name = |path: &PathBuf| path.file_name().is_some_and(|file| file.eq_ignore_ascii_case(name));
        let named =
            found.into_iter().zip(searcher.paths(&ids)?).filter(|(_, path)| path.as_ref().is_some_and(has_name));
        for (at, (named, _)) in named.enumerate() {
            let known = photos.iter().position(|(photo, _)| photo.id == named.id).map(|known| photos.remove(known).0);
            photos.insert(at, (known.unwrap_or(named), true));
        }
        Ok(())
    }

    /// As [`Question::rank`], with what the library knows about the photos.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn ask(&self, searcher: &Searcher, limit: usize) -> anyhow::Result<Found> {
        let Ranked { photos, matches, at_least, exact } = self.rank(searcher, limit)?;
        Ok(Found { rows: rows(searcher, &self.request.filters, &photos)?, matches, at_least, exact })
    }

    /// As [`Question::ask`], in another order than that of the ranking, if the request says so: matches first, in this
    /// order.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn ask_in_order(&self, searcher: &Searcher, limit: usize) -> anyhow::Result<Found> {
        let Ranked { photos, matches, at_least, exact } = self.rank_in_order(searcher, limit)?;
        Ok(Found { rows: rows(searcher, &self.request.filters, &photos)?, matches, at_least, exact })
    }

    /// As [`Question::rank`], in the order that the request says: matches first, in this order.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn rank_in_order(&self, searcher: &Searcher, limit: usize) -> anyhow::Result<Ranked> {
        let SearchRequest { order, reverse, .. } = self.request;
        let mut ranked = self.rank(searcher, limit)?;
        let as_ranked = order == Order::Best && !reverse;
        if self.words_only || as_ranked && (limit <= CONSIDERED || !ranked.at_least) {
            return Ok(ranked);
        }
        let mut photos = self.matches(searcher)?;
        if order != Order::Best {
            searcher.sort(order, &mut photos, |(photo, _)| photo.id)?;
        }
        if reverse {
            photos.reverse();
        }
        (ranked.matches, ranked.at_least) = (photos.len(), false);
        photos.extend(ranked.photos.into_iter().filter(|(_, is_match)| !is_match));
        Ok(Ranked { photos, ..ranked })
    }

    /// All photos that match.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn matches(&self, searcher: &Searcher) -> anyhow::Result<Vec<(RankedPhoto, bool)>> {
        let mut limit = CONSIDERED;
        loop {
            let mut photos = self.rank(searcher, limit)?.photos;
            if !is_cut(&photos, limit) {
                photos.retain(|(_, is_match)| *is_match);
                return Ok(photos);
            }
            limit = limit.saturating_mul(8);
        }
    }
}

/// Whether a query may be the name of a file: it ends as one of a picture does.
fn is_file_name(words: &str) -> bool {
    let Some((stem, ending)) = words.rsplit_once('.') else { return false };
    !stem.trim().is_empty() && (2..=5).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Whether there may be more matches after these results of a search for `limit`: a photo that ranks below many that do
/// not match is not a match either.
fn is_cut(photos: &[(RankedPhoto, bool)], limit: usize) -> bool {
    let behind = photos.iter().rev().take_while(|(_, is_match)| !is_match).count();
    photos.len() >= limit && behind <= photos.len() / 2
}

/// The text of a query that a photo can be compared with: its words or, without any, its phrases; `None` if it has
/// neither.
#[must_use]
pub fn text_of(query: &query::Query) -> Option<String> {
    let phrases = query.phrases.iter().filter(|phrase| !phrase.exclude).map(|phrase| phrase.text.as_str());
    let texts = [plain_words(query), phrases.collect::<Vec<_>>().join(" ")];
    texts.into_iter().find(|text| !text.trim().is_empty())
}

/// The words for the full-text search: those of the added texts, not of the subtracted ones.
fn plain_words(query: &query::Query) -> String {
    let texts = query.parts.iter().filter(|part| part.weight > 0.0).filter_map(|part| match &part.kind {
        PartKind::Text(text) => Some(text.as_str()),
        PartKind::Image(_) => None,
    });
    texts.collect::<Vec<_>>().join(" ")
}
