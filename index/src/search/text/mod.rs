//! Search by words: BM25 over captions, tags, names of files and folders, the camera, and what owners wrote.
//!
//! The index is a cache of segments, each of which tantivy builds in memory. Photos that changed since are indexed in
//! memory at the first search of a snapshot (the overlay). All are scored with joint statistics.

mod matches;
mod segments;

use super::cache::CacheFault;
use super::segments::{Lag, Limits, Segment, SegmentKind, Segments};
use super::umlauts::Umlauts;
use crate::catalogue::change_log::Part;
use crate::catalogue::library::Library;
use crate::catalogue::paths;
use crate::engine::Database;
use crate::error::Result;
use crate::escape;
use std::path::{Path, PathBuf};
use tantivy::query::{
    Bm25StatisticsProvider, BoostQuery, DisjunctionMaxQuery, EnableScoring, PhraseQuery, Query, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer,
    TokenStream,
};
use tantivy::{DocId, DocSet, Index, ReloadPolicy, Searcher, TantivyError, Term};

pub(crate) use matches::{Match, WordMatches, ranked};
pub(crate) use segments::refresh;

/// Raised whenever the fields or the splitting into words change; older caches are then rebuilt.
const BASIS: u64 = 9;
const TOKENIZER: &str = "snapseek";
/// The most bytes of a word; longer words are ignored.
const LONGEST: usize = 64;
/// Endings of picture files. A name may be asked for with its ending, although names are indexed without.
const ENDINGS: [&str; 24] = [
    "jpg", "jpeg", "jpe", "png", "webp", "gif", "bmp", "tif", "tiff", "heic", "heif", "hif", "avif", "jxl", "jp2",
    "dng", "cr2", "cr3", "nef", "arw", "raf", "orf", "rw2", "mpo",
];
/// The most words of the index that are compared with a word that is in none.
const MOST_COMPARED: usize = 2_000_000;

/// The fields, and the weight of a match in each. A caption describes this one photo, whereas every photo gets several
/// tags, whether they fit or not; but what a person wrote on it (keywords, people, titles, places) is no guess at all,
/// and neither is the place of its coordinates.
const FIELDS: [(&str, f32); 7] =
    [("tags", 2.0), ("names", 1.0), ("camera", 0.5), ("caption", 2.5), ("text", 1.5), ("place", 4.0), ("written", 4.0)];
/// The position of the field that holds what owners wrote, the last one.
const WRITTEN: usize = FIELDS.len() - 1;

/// Numbers that BM25 must know of a part of the photos: of each field, how many have anything in it, and how many
/// words.
const LENGTHS: usize = 2 * FIELDS.len();

/// The words of some photos.
struct TextPart {
    searcher: Searcher,
    source: TextSource,
    /// The photos whose words here are out of date, ascending. They count for nothing.
    masked: Vec<DocId>,
    /// Of the other photos.
    lengths: [u64; LENGTHS],
}

/// Where the documents of a part come from, each of one photo, in the order of their ids.
enum TextSource {
    Cache(Box<Segment>),
    Catalogue(Vec<i64>),
}

impl TextPart {
    /// What is in a segment; `None` if it is not an index.
    fn of(segment: Segment) -> Option<Self> {
        let searcher = open(&segments::unpack(&segment.cache).ok()?).ok()?;
        let [reader] = searcher.segment_readers() else {
            return segment.ids().is_empty().then(|| Self::new(searcher, TextSource::Cache(Box::new(segment)), [0; _]));
        };
        let mut lengths: [u64; LENGTHS] = *segments::lengths_in(&segment.cache)?;
        let mut masked: Vec<DocId> = segment.masked.iter().map(|row| *row as DocId).collect();
        masked.sort_unstable();
        let (_, fields) = schema();
        for (at, field) in fields.iter().enumerate().filter(|_| !masked.is_empty()) {
            let norms = reader.get_fieldnorms_reader(*field).ok()?;
            for words in masked.iter().map(|photo| norms.fieldnorm(*photo)).filter(|words| *words > 0) {
                lengths[at] = lengths[at].saturating_sub(1);
                lengths[FIELDS.len() + at] = lengths[FIELDS.len() + at].saturating_sub(u64::from(words));
            }
        }
        let fits = reader.max_doc() as usize == segment.ids().len();
        fits.then(|| Self { masked, ..Self::new(searcher, TextSource::Cache(Box::new(segment)), lengths) })
    }

    fn new(searcher: Searcher, source: TextSource, lengths: [u64; LENGTHS]) -> Self {
        Self { searcher, source, masked: Vec::new(), lengths }
    }

    /// The photos of the documents.
    fn ids(&self) -> &[i64] {
        match &self.source {
            TextSource::Cache(segment) => segment.ids(),
            TextSource::Catalogue(ids) => ids,
        }
    }

    fn is_masked(&self, document: DocId) -> bool {
        self.masked.binary_search(&document).is_ok()
    }

    /// Number of photos with this word whose words are not out of date.
    fn frequency(&self, term: &Term) -> tantivy::Result<u64> {
        let mut frequency = self.searcher.doc_freq(term)?;
        for segment in self.searcher.segment_readers().iter().filter(|_| !self.masked.is_empty()) {
            let words = segment.inverted_index(term.field())?;
            let Some(mut photos) = words.read_postings(term, IndexRecordOption::Basic)? else { continue };
            for photo in &self.masked {
                // A posting list cannot be asked for a photo that it has passed.
                if photos.doc() < *photo {
                    photos.seek(*photo);
                }
                frequency = frequency.saturating_sub(u64::from(photos.doc() == *photo));
            }
        }
        Ok(frequency)
    }
}

/// The words of all photos.
pub(crate) struct TextSearch {
    /// The segments of the cache and the overlay, where they exist.
    parts: Vec<TextPart>,
    fields: [Field; FIELDS.len()],
    plain: TextAnalyzer,
    without_stop_words: TextAnalyzer,
}

pub(crate) fn folder(library: &Library) -> PathBuf {
    folder_in(library.dir())
}

/// The same of a library in this folder.
pub(crate) fn folder_in(dir: &Path) -> PathBuf {
    dir.join("text")
}

/// The cache in this folder.
pub(crate) fn kind(folder: &Path) -> SegmentKind<'_> {
    SegmentKind {
        name: "full-text",
        folder,
        former: None,
        basis: BASIS,
        part: Part::Words,
        photos: "SELECT DISTINCT photo FROM file",
        is_sound: &|cache| segments::lengths_in(cache).is_some(),
    }
}

/// When the cache of words follows changes.
pub(crate) fn limits(large_from: usize) -> Limits {
    Limits { large_from, slack: 50 }
}

/// What is wrong with the cache, for `check`; with `full`, tantivy verifies its own checksums too.
pub(crate) fn finding(library: &Library, full: bool) -> Result<Option<CacheFault>> {
    let folder = folder(library);
    let kind = kind(&folder);
    if let Some(fault) = library.sql(|db| kind.finding(db))? {
        return Ok(Some(fault));
    }
    let opened = library.sql(|db| kind.open(db))?;
    let damaged = |what: &dyn std::fmt::Display| {
        Some(CacheFault::Damaged(format!("the full-text cache is damaged: {}", escape::text(&what.to_string()))))
    };
    for segment in opened.iter().flat_map(|segments| &segments.all) {
        let index = match segments::unpack(&segment.cache) {
            Ok(index) => index,
            Err(error) => return Ok(damaged(&error)),
        };
        match full.then(|| index.validate_checksum()) {
            Some(Err(error)) => return Ok(damaged(&error)),
            Some(Ok(files)) if !files.is_empty() => return Ok(damaged(&format!("{files:?}"))),
            _ => {}
        }
    }
    Ok(None)
}

/// How far the cache is behind, if nothing is wrong with it.
pub(crate) fn lag(library: &Library, large_from: usize) -> Result<Option<Lag>> {
    let folder = folder(library);
    library.sql(|db| kind(&folder).lag(db, limits(large_from)))
}

impl TextSearch {
    /// The words of all photos. A cache that is missing, damaged or out of date makes this slower, never wrong.
    pub(crate) fn load(db: &Database, folder: &Path) -> Result<Self, Failed> {
        let Segments { all, mut changed, .. } = kind(folder).open_or_begin(db)?;
        let mut parts = Vec::new();
        for segment in all {
            let live: Vec<i64> = if segment.masked.is_empty() {
                segment.ids().to_vec()
            } else {
                let rows = segment.ids().iter().enumerate();
                rows.filter(|(row, _)| !segment.masked.contains(row)).map(|(_, id)| *id).collect()
            };
            match TextPart::of(segment) {
                Some(part) => parts.push(part),
                None => changed.extend(live),
            }
        }
        changed.sort_unstable();
        if !changed.is_empty() {
            let indexed = segments::index(db, &changed, &mut |_| true)?;
            let lengths = segments::lengths(&indexed.index)?;
            parts.push(TextPart::new(open(&indexed.index)?, TextSource::Catalogue(indexed.ids), lengths));
        }
        let (_, fields) = schema();
        Ok(Self { parts, fields, plain: analyzer(false), without_stop_words: analyzer(true) })
    }

    /// The photos that have any of these words.
    pub(crate) fn any(&self, words: &str) -> Result<WordMatches<'_>> {
        WordMatches::of(self, &self.spelled(words, true))
    }

    /// The photos that have these words side by side in one field; none for a phrase without words.
    pub(crate) fn phrase(&self, words: &str) -> Result<Vec<Match>> {
        let tokens = self.spelled(words, false);
        type Spelling = fn(&Vec<String>) -> Option<&String>;
        let in_field = |spelling: Spelling, (field, (_, boost)): (&Field, &(&str, f32))| -> Box<dyn Query> {
            let word = |(at, spellings): &(usize, Vec<String>)| {
                Some((*at, Term::from_field_text(*field, spelling(spellings)?)))
            };
            let mut terms: Vec<_> = tokens.iter().filter_map(word).collect();
            let query: Box<dyn Query> = match (terms.len(), terms.pop()) {
                (1, Some((_, term))) => Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)),
                (_, last) => {
                    terms.extend(last);
                    Box::new(PhraseQuery::new_with_offset(terms))
                }
            };
            Box::new(BoostQuery::new(query, *boost))
        };
        if tokens.is_empty() {
            return Ok(Vec::new());
        }
        let spellings: [Spelling; 2] = [|words| words.first(), |words| words.last()];
        let fields = || self.fields.iter().zip(&FIELDS);
        let phrases = spellings.into_iter().flat_map(|spelling| fields().map(move |field| (spelling, field)));
        self.run(&DisjunctionMaxQuery::new(phrases.map(|(spelling, field)| in_field(spelling, field)).collect()))
    }

    /// The words of a text by their position, each with its spellings.
    fn spelled(&self, words: &str, drop_stop_words: bool) -> Vec<(usize, Vec<String>)> {
        let mut analyzer = if drop_stop_words { self.without_stop_words.clone() } else { self.plain.clone() };
        let words = split(&without_endings(words));
        let mut stream = analyzer.token_stream(&words);
        let mut tokens: Vec<(usize, Vec<String>)> = Vec::new();
        while stream.advance() {
            let (at, word) = (stream.token().position, stream.token().text.clone());
            match tokens.last_mut() {
                Some((last, spellings)) if *last == at => spellings.push(word),
                _ => tokens.push((at, vec![word])),
            }
        }
        tokens
    }

    /// A query for one word, scored in the field where it counts most.
    fn word(&self, spellings: &[String]) -> Box<dyn Query> {
        self.word_from(0, spellings)
    }

    /// The same in the fields from the `first` on.
    fn word_from(&self, first: usize, spellings: &[String]) -> Box<dyn Query> {
        let in_field = |(word, (field, (_, boost))): (&String, (&Field, &(&str, f32)))| -> Box<dyn Query> {
            let term = Term::from_field_text(*field, word);
            Box::new(BoostQuery::new(Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)), *boost))
        };
        let fields = || self.fields.iter().zip(&FIELDS).skip(first);
        let everywhere = spellings.iter().flat_map(|word| fields().map(move |field| (word, field)));
        Box::new(DisjunctionMaxQuery::new(everywhere.map(in_field).collect()))
    }

    /// The words of a text that are in no photo's words, each with the word of a photo that is spelled most like it.
    /// `texts` gives the words of a photo as they are written.
    pub(crate) fn misspelled(
        &self,
        words: &str,
        texts: impl Fn(i64) -> Result<Vec<String>>,
    ) -> Result<Vec<(String, String)>> {
        let mut found = Vec::new();
        for word in split(&without_endings(words)).split_whitespace() {
            let [(_, spellings)] = &self.spelled(word, true)[..] else { continue };
            if word.chars().count() < 4 || self.is_known(spellings)? {
                continue;
            }
            let Some(nearest) = spellings.first().map(|stem| self.nearest(stem)).transpose()?.flatten() else {
                continue;
            };
            let one = std::slice::from_ref(&nearest);
            let Some(photo) = self.run(self.word(one).as_ref())?.iter().map(|found| found.id).min() else { continue };
            let is_it = |written: &&str| self.spelled(written, false).iter().any(|(_, s)| s.contains(&nearest));
            let texts = texts(photo)?.join(" ");
            let split = split(&texts);
            found.extend(split.split_whitespace().find(is_it).map(|written| (word.to_owned(), written.to_lowercase())));
        }
        Ok(found)
    }

    /// The stem in the index that is spelled most like this one, if it is like it at all; the most frequent of several.
    fn nearest(&self, stem: &str) -> tantivy::Result<Option<String>> {
        let most = if stem.chars().count() < 7 { 1 } else { 2 };
        let mut best: Option<(usize, std::cmp::Reverse<u32>, String)> = None;
        let mut compared = 0;
        let segments = self.parts.iter().flat_map(|part| part.searcher.segment_readers());
        for (segment, field) in segments.flat_map(|segment| self.fields.iter().map(move |field| (segment, field))) {
            let words = segment.inverted_index(*field)?;
            let mut stream = words.terms().stream()?;
            while let Some((term, info)) = stream.next() {
                compared += 1;
                if compared > MOST_COMPARED {
                    return Ok(best.map(|(_, _, word)| word));
                }
                let Ok(word) = std::str::from_utf8(term) else { continue };
                if word.len().abs_diff(stem.len()) > most || !word.chars().all(char::is_alphabetic) {
                    continue;
                }
                let distance = strsim::osa_distance(stem, word);
                let candidate = (distance, std::cmp::Reverse(info.doc_freq), word.to_owned());
                if distance <= most && best.as_ref().is_none_or(|best| candidate < *best) {
                    best = Some(candidate);
                }
            }
        }
        Ok(best.map(|(_, _, word)| word))
    }

    /// Whether any photo has this word.
    fn is_known(&self, spellings: &[String]) -> Result<bool> {
        for field in self.fields {
            for word in spellings {
                if self.doc_freq(&Term::from_field_text(field, word))? > 0 {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Calls `take` with the document and the score of each match in a part.
    fn each(&self, part: &TextPart, query: &dyn Query, take: &mut dyn FnMut(DocId, f32)) -> tantivy::Result<()> {
        let weight = query.weight(EnableScoring::enabled_from_statistics_provider(self, &part.searcher))?;
        for segment in part.searcher.segment_readers() {
            weight.for_each(segment, &mut |document, score| {
                if !part.is_masked(document) {
                    take(document, score);
                }
            })?;
        }
        Ok(())
    }

    /// The photos that match, by id.
    fn run(&self, query: &dyn Query) -> Result<Vec<Match>> {
        let mut found = Vec::new();
        for part in &self.parts {
            let ids = part.ids();
            self.each(part, query, &mut |document, bm25| {
                found.extend(ids.get(document as usize).map(|id| Match { id: *id, bm25, ..Match::default() }));
            })?;
        }
        found.sort_unstable_by_key(|found| found.id);
        Ok(found)
    }
}

/// Statistics of cache and overlay together, as a cache made now would have them: with the cache's alone, the first
/// photos to have a caption, or any other field, would score nothing.
///
/// BM25 compares a field's length with the average. The average here is over the photos that have the field: over all
/// photos, every caption would seem very long as long as few photos have one.
impl Bm25StatisticsProvider for TextSearch {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        let Some(at) = self.fields.iter().position(|other| *other == field) else { return Ok(0) };
        let sum = |at: usize| self.parts.iter().filter_map(|part| part.lengths.get(at)).sum::<u64>();
        let (filled, words) = (sum(at), sum(FIELDS.len() + at));
        // tantivy divides this by the number of all photos to get the average.
        Ok(words.saturating_mul(self.total_num_docs()?) / filled.max(1))
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.parts.iter().map(|part| (part.ids().len() - part.masked.len()) as u64).sum())
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        self.parts.iter().map(|part| part.frequency(term)).sum()
    }
}

/// A failure of either engine.
#[derive(Debug)]
pub(crate) enum Failed {
    Sql(rusqlite::Error),
    Text(TantivyError),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<rusqlite::types::FromSqlError> for Failed {
    fn from(error: rusqlite::types::FromSqlError) -> Self {
        Self::Sql(error.into())
    }
}

impl From<TantivyError> for Failed {
    fn from(error: TantivyError) -> Self {
        Self::Text(error)
    }
}

fn schema() -> (Schema, [Field; FIELDS.len()]) {
    let mut builder = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let options = TextOptions::default().set_indexing_options(indexing);
    let fields = FIELDS.map(|(name, _)| builder.add_text_field(name, options.clone()));
    (builder.build(), fields)
}

fn analyzer(drop_stop_words: bool) -> TextAnalyzer {
    let stop = if drop_stop_words { StopWordFilter::new(Language::English) } else { None };
    TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(LONGEST))
        .filter(LowerCaser)
        .filter(Umlauts)
        .filter(AsciiFoldingFilter)
        .filter(stop.unwrap_or_else(|| StopWordFilter::remove([])))
        .filter(Stemmer::new(Language::English))
        .build()
}

fn open(index: &Index) -> tantivy::Result<Searcher> {
    index.tokenizers().register(TOKENIZER, analyzer(false));
    Ok(index.reader_builder().reload_policy(ReloadPolicy::Manual).num_warming_threads(0).try_into()?.searcher())
}

/// Puts spaces where words meet without one: `IMG_2019-giraffeBaby` becomes `IMG 2019 giraffe Baby`.
fn split(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut last = ' ';
    for c in paths::plain_but_umlauts(text).chars() {
        let meets = (last.is_lowercase() && c.is_uppercase())
            || (last.is_alphabetic() && c.is_numeric())
            || (last.is_numeric() && c.is_alphabetic());
        if meets {
            out.push(' ');
        }
        out.push(if c.is_alphanumeric() { c } else { ' ' });
        last = c;
    }
    out
}

/// A text without the endings of picture files.
fn without_endings(text: &str) -> String {
    let bare = |word: &str| match word.rsplit_once('.') {
        Some((name, ending)) if !name.is_empty() && ENDINGS.contains(&ending.to_ascii_lowercase().as_str()) => {
            name.to_owned()
        }
        _ => word.to_owned(),
    };
    text.split_whitespace().map(bare).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_where_words_meet() {
        assert_eq!(split("IMG_2019-giraffeBaby3"), "IMG 2019 giraffe Baby 3");
        assert_eq!(split("cafe\u{301} Stra\u{df}e"), "cafe Stra\u{df}e");
        // Syllables stay whole: in letters, this word would be too long and ignored.
        assert_eq!(split("\u{ac01}".repeat(15).as_str()), "\u{ac01}".repeat(15));
        assert_eq!(split("\u{1100}\u{1161}\u{11a8}-\u{30ab}\u{3099}"), "\u{ac01} \u{30ab}");
        let names = segments::names_of(
            Path::new("/home/me/Pictures/Holiday 2019/IMG_1.tar.jpg"),
            Path::new("/home/me/Pictures"),
        );
        assert_eq!(names, ["Pictures", "Holiday 2019", "IMG_1.tar"]);
    }
}
