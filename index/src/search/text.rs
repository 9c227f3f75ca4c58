//! Search by words: BM25 over captions, tags, names of files and folders, the camera, and what owners wrote.
//!
//! The index is one segment that tantivy builds in memory and that is stored as one cache file. Photos that changed
//! since are indexed in memory at the first search of a snapshot (the overlay). Both are scored with joint statistics.

use super::cache::{self, Cache, CacheFault, Head};
use super::umlauts::Umlauts;
use crate::catalogue::change_log::{Part, Stamp};
use crate::catalogue::library::Library;
use crate::catalogue::paths;
use crate::catalogue::stored::text_of;
use crate::catalogue::told;
use crate::error::Result;
use crate::escape;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use tantivy::collector::TopDocs;
use tantivy::directory::{Directory, RamDirectory};
use tantivy::query::{
    Bm25StatisticsProvider, BooleanQuery, BoostQuery, DisjunctionMaxQuery, PhraseQuery, Query, TermQuery,
};
use tantivy::schema::{FAST, Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer,
    TokenStream,
};
use tantivy::{DocAddress, DocId, DocSet, Index, ReloadPolicy, Searcher, TantivyDocument, TantivyError, Term};

/// Raised whenever the fields or the splitting into words change; older caches are then rebuilt.
const BASIS: u64 = 7;
const TOKENIZER: &str = "snapseek";
/// The most bytes of a word; longer words are ignored.
const LONGEST: usize = 64;
const META: &str = "meta.json";
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
const FIELDS: [(&str, f32); 6] =
    [("tags", 2.0), ("names", 1.0), ("camera", 0.5), ("caption", 2.5), ("place", 4.0), ("written", 4.0)];
/// The position of the field that holds what owners wrote, the last one.
const WRITTEN: usize = FIELDS.len() - 1;

/// A photo that has words of a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Match {
    pub(crate) id: i64,
    /// Its BM25 score.
    pub(crate) bm25: f32,
    /// The share of the words that its owner wrote on it, of those that any photo has.
    pub(crate) written: f32,
}

impl Match {
    /// Best first, ties by id.
    pub(crate) fn order(&self, other: &Self) -> std::cmp::Ordering {
        other.bm25.total_cmp(&self.bm25).then(self.id.cmp(&other.id))
    }
}

/// The words of some photos.
struct TextPart {
    searcher: Searcher,
    /// The photos of each segment whose words here are out of date, ascending. They count for nothing.
    masked: Vec<Vec<DocId>>,
    /// Number of the other photos.
    count: u64,
    /// How many of them have anything in each field.
    filled: [u64; FIELDS.len()],
    /// How many words they have in each field, as precisely as BM25 knows the length of a field.
    words: [u64; FIELDS.len()],
}

impl TextPart {
    fn new(searcher: Searcher, changed: &HashSet<i64>, fields: &[Field]) -> tantivy::Result<Self> {
        let mut part = Self { searcher, masked: Vec::new(), count: 0, filled: [0; _], words: [0; _] };
        for segment in part.searcher.segment_readers() {
            let ids = segment.fast_fields().i64("id")?;
            let is_masked = |photo: &DocId| ids.first(*photo).is_none_or(|id| changed.contains(&id));
            let masked: Vec<DocId> =
                if changed.is_empty() { Vec::new() } else { (0..segment.max_doc()).filter(is_masked).collect() };
            part.count += u64::from(segment.max_doc()) - masked.len() as u64;
            for (at, field) in fields.iter().enumerate() {
                let lengths = segment.get_fieldnorms_reader(*field)?;
                let sound = (0..segment.max_doc()).filter(|photo| masked.binary_search(photo).is_err());
                for length in sound.map(|photo| lengths.fieldnorm(photo)).filter(|length| *length > 0) {
                    part.filled[at] += 1;
                    part.words[at] += u64::from(length);
                }
            }
            part.masked.push(masked);
        }
        Ok(part)
    }

    fn is_masked(&self, address: DocAddress) -> bool {
        let masked = self.masked.get(address.segment_ord as usize);
        masked.is_some_and(|masked| masked.binary_search(&address.doc_id).is_ok())
    }

    /// Number of photos with this word whose words are not out of date.
    fn frequency(&self, term: &Term) -> tantivy::Result<u64> {
        let mut frequency = self.searcher.doc_freq(term)?;
        for (segment, masked) in self.searcher.segment_readers().iter().zip(&self.masked) {
            let words = segment.inverted_index(term.field())?;
            let Some(mut photos) = words.read_postings(term, IndexRecordOption::Basic)?.filter(|_| !masked.is_empty())
            else {
                continue;
            };
            for photo in masked {
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
    /// The cache and the overlay, where they exist.
    parts: Vec<TextPart>,
    fields: [Field; FIELDS.len()],
    plain: TextAnalyzer,
    without_stop_words: TextAnalyzer,
}

pub(crate) fn folder(library: &Library) -> PathBuf {
    library.dir().join("text")
}

/// The newest cache, if it is sound and belongs to this log, and the photos changed since.
pub(crate) fn usable(db: &Connection, folder: &Path) -> rusqlite::Result<Option<(Cache, Vec<i64>)>> {
    match Cache::open(folder) {
        Ok(cache) if cache.head.basis == BASIS => {
            Ok(cache.head.stamp.changed_since(db, Part::Words)?.map(|changed| (cache, changed)))
        }
        _ => Ok(None),
    }
}

/// Number of photos in a cache.
pub(crate) fn count(cache: &Cache) -> u64 {
    cache.head.numbers[0]
}

/// What is wrong with the cache, for `check`; with `full`, tantivy verifies its own checksums too.
pub(crate) fn finding(library: &Library, full: bool) -> Result<Option<CacheFault>> {
    let cache = match Cache::open(&folder(library)) {
        Err(unusable) => return Ok(unusable.fault("full-text")),
        Ok(cache) if cache.head.basis != BASIS => return Ok(None),
        Ok(cache) => cache,
    };
    if library.sql(|db| cache.head.stamp.changed_since(db, Part::Words))?.is_none() {
        return Ok(Some(CacheFault::Damaged("the full-text cache does not match the catalogue".into())));
    }
    let damaged = |what: &dyn std::fmt::Display| {
        Some(CacheFault::Damaged(format!("the full-text cache is damaged: {}", escape::text(&what.to_string()))))
    };
    let index = match unpack(&cache) {
        Ok(index) => index,
        Err(error) => return Ok(damaged(&error)),
    };
    Ok(match full.then(|| index.validate_checksum()) {
        Some(Err(error)) => damaged(&error),
        Some(Ok(files)) if !files.is_empty() => damaged(&format!("{files:?}")),
        _ => None,
    })
}

impl TextSearch {
    /// The words of all photos. A cache that is missing, damaged or out of date makes this slower, never wrong.
    pub(crate) fn load(db: &Connection, folder: &Path) -> Result<Self, Failed> {
        let opened =
            usable(db, folder)?.and_then(|(cache, changed)| Some((open(&unpack(&cache).ok()?).ok()?, changed)));
        let changed = opened.as_ref().map(|(_, changed)| changed.as_slice());
        let delta = match changed {
            Some([]) => None,
            _ => Some(open(&index(db, changed, &mut |_| true)?.0)?),
        };
        let (_, fields) = schema();
        let base = opened.map(|(searcher, changed)| (searcher, changed.into_iter().collect()));
        let parts = base.into_iter().chain(delta.map(|searcher| (searcher, HashSet::new())));
        let parts = parts.map(|(searcher, changed)| TextPart::new(searcher, &changed, &fields));
        let parts = parts.collect::<tantivy::Result<_>>()?;
        Ok(Self { parts, fields, plain: analyzer(false), without_stop_words: analyzer(true) })
    }

    /// The photos that have any of these words, best first, ties by id.
    pub(crate) fn any(&self, words: &str) -> Result<Vec<Match>> {
        let terms = self.spelled(words, true);
        if terms.is_empty() {
            return Ok(Vec::new());
        }
        // Added up word by word: tantivy adds in an order that depends on the segment, and so do the last bits.
        let mut scores: HashMap<i64, (f32, u32)> = HashMap::new();
        let mut known = 0;
        for (_, spellings) in &terms {
            let found = self.run(self.word(spellings).as_ref())?;
            known += u32::from(!found.is_empty());
            for found in found {
                scores.entry(found.id).or_default().0 += found.bm25;
            }
            for found in self.run(self.word_from(WRITTEN, spellings).as_ref())? {
                scores.entry(found.id).or_default().1 += 1;
            }
        }
        let share = |written: u32| written as f32 / known as f32;
        let found = scores.into_iter().map(|(id, (bm25, written))| Match { id, bm25, written: share(written) });
        let mut found: Vec<Match> = found.collect();
        found.sort_unstable_by(Match::order);
        Ok(found)
    }

    /// The photos that have each of these words in some field; none if only stop words are asked for.
    pub(crate) fn every(&self, words: &str) -> Result<HashSet<i64>> {
        let terms = self.spelled(words, true);
        if terms.is_empty() {
            return Ok(HashSet::new());
        }
        let query = BooleanQuery::intersection(terms.iter().map(|(_, spellings)| self.word(spellings)).collect());
        Ok(self.run(&query)?.into_iter().map(|m| m.id).collect())
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
            if word.chars().count() < 4 || !self.run(self.word(spellings).as_ref())?.is_empty() {
                continue;
            }
            let Some(nearest) = spellings.first().map(|stem| self.nearest(stem)).transpose()?.flatten() else {
                continue;
            };
            let one = std::slice::from_ref(&nearest);
            let Some(photo) = self.run(self.word(one).as_ref())?.first().map(|found| found.id) else { continue };
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

    fn run(&self, query: &dyn Query) -> Result<Vec<Match>> {
        let mut found = Vec::new();
        for part in &self.parts {
            let searcher = &part.searcher;
            let limit = usize::try_from(searcher.num_docs()).unwrap_or(usize::MAX);
            if limit == 0 {
                continue;
            }
            let top = TopDocs::with_limit(limit).order_by_score();
            let hits = searcher.search_with_statistics_provider(query, &top, self)?;
            let ids = searcher.segment_readers().iter().map(|s| s.fast_fields().i64("id"));
            let ids = ids.collect::<tantivy::Result<Vec<_>>>()?;
            for (bm25, address) in hits {
                let id = ids.get(address.segment_ord as usize).and_then(|column| column.first(address.doc_id));
                found.extend(id.filter(|_| !part.is_masked(address)).map(|id| Match { id, bm25, written: 0.0 }));
            }
        }
        found.sort_unstable_by(Match::order);
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
        let sum = |numbers: fn(&TextPart) -> &[u64; FIELDS.len()]| -> u64 {
            self.parts.iter().filter_map(|part| numbers(part).get(at)).sum()
        };
        let (words, filled) = (sum(|part| &part.words), sum(|part| &part.filled));
        // tantivy divides this by the number of all photos to get the average.
        Ok(words.saturating_mul(self.total_num_docs()?) / filled.max(1))
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.parts.iter().map(|part| part.count).sum())
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
    builder.add_i64_field("id", FAST);
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

/// Indexes all photos that have a file, or only `some` of them, and returns how many it indexed.
fn index(
    db: &Connection,
    some: Option<&[i64]>,
    progress: &mut dyn FnMut(u64) -> bool,
) -> Result<(Index, RamDirectory, u64), Failed> {
    let (schema, [tags, names, camera, caption, place, written]) = schema();
    let id_field = schema.get_field("id")?;
    let builder = Index::builder().schema(schema);
    let directory = RamDirectory::create();
    let manager = tantivy::tokenizer::TokenizerManager::default();
    manager.register(TOKENIZER, analyzer(false));
    let mut writer = builder.tokenizers(manager).single_segment_index_writer(directory.clone(), 50_000_000)?;
    let mut put = |row: &Row<'_>, words: &HashMap<i64, Vec<String>>| -> Result<(), Failed> {
        let id: i64 = row.get(0)?;
        let mut document = TantivyDocument::new();
        document.add_i64(id_field, id);
        for (column, field) in [caption, camera, camera, place].into_iter().chain([written; 7]).enumerate() {
            if row.get_ref(column + 1)? != ValueRef::Null {
                document.add_text(field, split(&text_of(row, column + 1)?));
            }
        }
        let (keywords, people) = told::names_of(db, id, false)?;
        keywords.iter().chain(&people).for_each(|name| document.add_text(written, split(name)));
        for label in words.get(&id).into_iter().flatten() {
            document.add_text(tags, split(label));
        }
        let mut files = db.prepare_cached("SELECT path, root FROM file WHERE photo = ?1 ORDER BY path")?;
        let mut files = files.query([id])?;
        let mut known = HashSet::new();
        while let Some(file) = files.next()? {
            let path = paths::from_bytes(file.get_ref(0)?.as_blob()?);
            let root = paths::from_bytes(file.get_ref(1)?.as_blob()?);
            for name in names_of(&path, &root) {
                if known.insert(name.clone()) {
                    document.add_text(names, split(&name));
                }
            }
        }
        Ok(writer.add_document(document)?)
    };
    let sql = |condition| {
        format!(
            "SELECT p.id, c.text, p.camera, p.lens, p.place, p.title, p.description, p.creator, p.location, p.city,
             p.region, p.country FROM photo p LEFT JOIN caption c ON c.photo = p.id
             WHERE {condition} AND EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id) ORDER BY p.id"
        )
    };
    let labels = |condition: &str, id: i64| -> rusqlite::Result<HashMap<i64, Vec<String>>> {
        let sql = format!("SELECT photo, label FROM tag WHERE {condition} ORDER BY photo, position");
        let mut statement = db.prepare_cached(&sql)?;
        let mut rows = statement.query([id])?;
        let mut labels: HashMap<i64, Vec<String>> = HashMap::new();
        while let Some(row) = rows.next()? {
            labels.entry(row.get(0)?).or_default().push(text_of(row, 1)?);
        }
        Ok(labels)
    };
    let mut count = 0;
    if let Some(some) = some {
        let mut statement = db.prepare_cached(&sql("p.id = ?1"))?;
        for id in some {
            let mut rows = statement.query([*id])?;
            if let Some(row) = rows.next()? {
                put(row, &labels("photo = ?1", *id)?)?;
                count += 1;
            }
        }
    } else {
        let labels = labels("photo > ?1", 0)?;
        let mut statement = db.prepare(&sql("true"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            put(row, &labels)?;
            count += 1;
            if count % 1_000 == 0 && !progress(count) {
                break;
            }
        }
    }
    Ok((writer.finalize()?, directory, count))
}

/// The names that a photo can be found by: its file's without the extension, and its folders', from the root down.
fn names_of(path: &Path, root: &Path) -> Vec<String> {
    let below = root.parent().and_then(|above| path.strip_prefix(above).ok()).unwrap_or(path);
    let folders = below.parent().into_iter().flat_map(Path::components).map(|c| c.as_os_str());
    let mut names: Vec<String> = folders.map(|name| name.to_string_lossy().into_owned()).collect();
    names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    names
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

/// Writes a new cache from the catalogue; `false` if `progress` (photos done, total) stopped it.
pub(crate) fn rebuild(
    db: &Connection,
    folder: &Path,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Result<bool>, Failed> {
    let total: u64 = db.query_row("SELECT count(DISTINCT photo) FROM file", [], |row| row.get(0))?;
    let stamp = Stamp::newest(db)?;
    let mut go_on = progress(0, total);
    let (index, directory, count) = index(db, None, &mut |done| {
        go_on = go_on && progress(done, total);
        go_on
    })?;
    if !go_on {
        return Ok(Ok(false));
    }
    let (list, bytes) = pack(&index, &directory)?;
    let head = Head { stamp, basis: BASIS, numbers: [count, 0, 0, 0] };
    Ok(cache::write(folder, &head, &[list.as_bytes(), &bytes, &[], &[], &[]], &[]).map(|()| true))
}

/// The files of an index: a list with one line `name length` for each, and their bytes one after the other.
fn pack(index: &Index, directory: &RamDirectory) -> tantivy::Result<(String, Vec<u8>)> {
    let mut names: Vec<PathBuf> = index.directory().list_managed_files().into_iter().collect();
    names.push(PathBuf::from(META));
    names.sort();
    names.dedup();
    let (mut list, mut all) = (String::new(), Vec::new());
    for name in names {
        // A managed file may not have been written.
        if !directory.exists(&name)? {
            continue;
        }
        let bytes = directory.open_read(&name)?.read_bytes().map_err(TantivyError::from)?;
        list.push_str(&format!("{} {}\n", name.display(), bytes.len()));
        all.extend_from_slice(&bytes);
    }
    Ok((list, all))
}

fn unpack(cache: &Cache) -> tantivy::Result<Index> {
    let wrong = || TantivyError::InternalError("its list of files is wrong".into());
    let list = cache.section::<u8>(0).and_then(|list| std::str::from_utf8(list).ok()).ok_or_else(wrong)?;
    let mut rest = cache.section::<u8>(1).ok_or_else(wrong)?;
    let directory = RamDirectory::create();
    for line in list.lines() {
        let (name, length) = line.rsplit_once(' ').ok_or_else(wrong)?;
        let length: usize = length.parse().map_err(|_| wrong())?;
        let (bytes, after) = rest.split_at_checked(length).ok_or_else(wrong)?;
        rest = after;
        directory.atomic_write(Path::new(name), bytes)?;
    }
    Index::open(directory)
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
        let names = names_of(Path::new("/home/me/Pictures/Holiday 2019/IMG_1.tar.jpg"), Path::new("/home/me/Pictures"));
        assert_eq!(names, ["Pictures", "Holiday 2019", "IMG_1.tar"]);
    }
}
