//! Running one query: meaning and words, filters, fusion, folding.

use super::details::{self, Hit, RankedPhoto};
use super::filters::{Filter, Filters, NO_CLUSTER, Phrase};
use super::order::{Order, SortKeys};
use super::text::{self, Match, TextSearch, WordMatches};
use super::vectors::{self, GRAPH_FROM, Scored, Vectors, stats};
use crate::catalogue::library::Library;
use crate::catalogue::paths;
use crate::catalogue::rows::{ModelRecord, ScoreStats};
use crate::catalogue::stored::{LISTED, first_path, is_conversion, list_of};
use crate::engine::Database;
use crate::error::{Error, Result, validate};
use crate::kept::labels::LabelFilter;
use crate::kept::stacks;
use crate::kept::{albums, clusters};
use serde::Serialize;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009).
const RRF: f32 = 60.0;

/// What the hits are ranked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Default)]
pub enum By {
    /// Cosine of the embeddings.
    Meaning,
    /// BM25.
    Words,
    /// Both, fused by reciprocal rank.
    #[default]
    Both,
}

/// Of how many photos the catalogue is asked at once.
const TOLD_AT_ONCE: usize = 500;
/// Less than one photo in so many is few: the catalogue is asked about them alone.
const FEW: usize = 4;
/// So many photos that pass a filter, or one in so many, are listed, and each compared, before a graph has found
/// enough.
const MOST_LISTED: usize = 30_000;
const FEW_LISTED: usize = 20;
/// The most photos found by words that a filter is asked about one by one.
const MOST_ASKED: usize = 10_000;

/// The probability of each photo's label.
type Probabilities = HashMap<i64, f32>;

/// What to look for.
#[derive(Clone, Debug, Default)]
pub struct SearchRequest {
    /// Unit vector of the model that answers ([`Library::answer_with`]).
    pub vector: Option<Vec<f32>>,
    /// Words that photos should have.
    pub words: Option<String>,
    /// Phrases that photos must have, or must not have.
    pub phrases: Vec<Phrase>,
    /// Conditions that photos must satisfy.
    pub filters: Filters,
    /// What the hits are ranked by.
    pub by: By,
    /// In which order a search without a vector returns its hits.
    pub order: Order,
    /// Whether that order is reversed.
    pub reverse: bool,
    /// The most hits to return; by default none.
    pub limit: usize,
    /// Photos with a lower cosine are left out; those that have none stay.
    pub min_score: Option<f32>,
    /// Photos whose cosine with a better hit reaches this are folded into it.
    pub unique: Option<f32>,
    /// Of photos that were taken as one, only the one that stands for them is a hit.
    pub stacked: bool,
    /// Photos to leave out, such as the example itself.
    pub exclude: Vec<i64>,
}

/// The answer to a search that asks for no details.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedPhotos {
    /// The photos, best first.
    pub photos: Vec<RankedPhoto>,
    /// As [`Response::total`].
    pub total: usize,
    /// As [`Response::stats`].
    pub stats: Option<ScoreStats>,
    /// As [`Response::exact`].
    pub exact: bool,
}

/// The answer to a search.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Response {
    /// The hits, best first.
    pub hits: Vec<Hit>,
    /// Number of photos that a search without a vector found, whatever the limit.
    pub total: usize,
    /// Distribution of the photos' cosines with the query's vector.
    pub stats: Option<ScoreStats>,
    /// Whether no photo was skipped: `false` if the graph chose which photos to compare.
    pub exact: bool,
}

/// A snapshot of a library: later writes do not show in it. It holds a read transaction while it lives.
pub struct Searcher {
    library: Library,
    len: usize,
    vectors: OnceCell<Option<Vectors>>,
    text: OnceCell<TextSearch>,
    stacks: OnceCell<Stacks>,
}

/// The photo that stands for each photo of a stack.
type Stacks = HashMap<i64, i64>;

impl Library {
    /// Takes a snapshot of the library to search in; later changes show only in a new one. Any number of snapshots may
    /// exist at once.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn searcher(&self) -> Result<Searcher> {
        let library = self.reopen_to_search()?;
        library.keep_up()?;
        Searcher::new(library)
    }
}

impl Searcher {
    pub(crate) fn new(library: Library) -> Result<Self> {
        let len = library.sql(|db| {
            db.begin_snapshot()?;
            db.query_row("SELECT count(DISTINCT photo) FROM file", [], |row| row.get(0))
        })?;
        Ok(Self { library, len, vectors: OnceCell::new(), text: OnceCell::new(), stacks: OnceCell::new() })
    }

    /// Number of photos in the snapshot.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the snapshot has no photos.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The model that answers in this snapshot ([`Library::answer_with`]).
    ///
    /// # Errors
    /// [`Error::Dropped`], or the catalogue cannot be read.
    pub fn model(&self) -> Result<Option<ModelRecord>> {
        self.library.model()
    }

    /// Number of photos that the model that answers has not embedded, or whose embedding is damaged: no search by
    /// meaning finds them.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn awaiting(&self) -> Result<usize> {
        Ok(self.len.saturating_sub(self.vectors()?.map_or(0, Vectors::len)))
    }

    /// Finds photos. With neither a vector nor words nor phrases, it lists those that pass the filters, by id.
    ///
    /// # Errors
    /// The vector does not fit the library's model; the filters name a cluster, label set or label that does not exist,
    /// or a label set without a classifier; or the catalogue cannot be read.
    pub fn search(&self, request: &SearchRequest) -> Result<Response> {
        let RankedPhotos { photos, total, stats, exact } = self.rank(request)?;
        Ok(Response { hits: self.details(&request.filters, &photos)?, total, stats, exact })
    }

    /// Finds photos as [`Searcher::search`] does, without what the catalogue knows about them: for lists that are as
    /// long as the library.
    ///
    /// # Errors
    /// As [`Searcher::search`].
    pub fn rank(&self, request: &SearchRequest) -> Result<RankedPhotos> {
        let vectors = match &request.vector {
            Some(_) => self.vectors()?,
            None => None,
        };
        let query = match (&request.vector, vectors) {
            (Some(query), Some(vectors)) => {
                validate(query, vectors.dim(), || "the query".into())?;
                Some((query.as_slice(), vectors))
            }
            _ => None,
        };
        self.check_names(&request.filters)?;
        let mut words = request.words.as_ref().map(|words| self.text()?.any(words)).transpose()?;
        let labels = LabelFilter::of(&self.library, &request.filters.clauses)?;
        // A filter is asked about those photos that the graph finds, as long as that is enough.
        let mut is_walked = request.by != By::Words
            && request.phrases.is_empty()
            && !request.filters.is_empty()
            && query.is_some_and(|(_, v)| v.has_graph())
            && words.as_ref().is_none_or(|words| words.len() <= MOST_ASKED)
            && !self.library.sql(|db| request.filters.pass_at_most(db, MOST_LISTED.min(self.len / FEW_LISTED)))?;
        let (mut phrases, mut allowed, mut sure) = (Vec::new(), None, Probabilities::new());
        if is_walked && let Some(words) = &mut words {
            words.retain(&self.passing_of(request, &labels, &words.ids(), &mut sure)?);
        }
        if !is_walked {
            (phrases, allowed, sure) = self.allowed(request, &labels)?;
        }
        if let (Some(words), Some(allowed)) = (&mut words, &allowed) {
            words.retain(allowed);
        }

        // Of what is found by words alone, no more is needed than is asked for, unless more decides about it.
        let is_short = (query.is_none() || request.by == By::Words)
            && request.min_score.is_none()
            && request.unique.is_none()
            && (request.order, request.reverse) == (Order::Best, false)
            && sure.is_empty()
            && (!request.stacked || self.stacks()?.is_empty());
        // With ever more candidates until there are enough hits.
        let graph_fits = |k: usize| query.is_some_and(|(_, v)| v.has_graph() && k.saturating_mul(10) < v.len());
        let mut k = first_breadth(request);
        loop {
            let passed = match query {
                Some((query, v)) if is_walked && graph_fits(k) => {
                    self.near_passing(request, &labels, (query, v), words.as_ref(), k, &mut sure)?
                }
                _ => None,
            };
            if is_walked && passed.is_none() {
                is_walked = false;
                (_, allowed, sure) = self.allowed(request, &labels)?;
            }
            let exact = request.by == By::Words || passed.is_none() && (allowed.is_some() || !graph_fits(k));
            let mut is_all = true;
            let (passed, leaders) = passed.map_or((None, None), |(passed, leaders)| (Some(passed), Some(leaders)));
            let some = allowed.as_deref().or(leaders.as_deref());
            let is_allowed = |id: &i64| some.is_none_or(|ids| ids.binary_search(id).is_ok());
            let (meaning, stats) = match query {
                None => (Vec::new(), None),
                Some((query, v)) if request.by == By::Words => (Vec::new(), v.sample(query)),
                Some((query, v)) if !exact || v.len() > GRAPH_FROM || !v.is_exact() => {
                    let found = match passed {
                        Some(passed) => passed,
                        None if exact => self.library.sql(|db| v.best(db, query, k, some))?,
                        None => self.library.sql(|db| v.near(db, query, k))?,
                    };
                    is_all = exact && found.len() < k;
                    (found, v.sample(query))
                }
                Some((query, v)) => {
                    let all = self.library.sql(|db| v.best(db, query, usize::MAX, None))?;
                    let stats = stats(all.iter().map(|s| s.cosine));
                    (all.into_iter().filter(|s| is_allowed(&s.id)).collect(), stats)
                }
            };
            let lowest = meaning.last().map(|s| s.cosine);
            let by_words = match &words {
                None => phrases.clone(),
                // Those that are found only by words, and what the words add to the others.
                Some(words) if query.is_some() && request.by != By::Words && !is_all => {
                    let mut found = words.of_photos(meaning.iter().map(|scored| scored.id));
                    let known: HashSet<i64> = found.iter().map(|found| found.id).collect();
                    found.extend(words.best(k).into_iter().filter(|found| !known.contains(&found.id)));
                    found
                }
                Some(words) if is_short => words.best(request.limit.saturating_add(request.exclude.len())),
                Some(words) => words.best(usize::MAX),
            };
            let mut candidates = rank(request, &meaning, &by_words, some, query.is_some());
            candidates.iter_mut().for_each(|candidate| candidate.probability = sure.get(&candidate.id).copied());
            if request.stacked {
                let likely = if is_walked { &sure } else { &Probabilities::new() };
                let may_lead = |id| is_allowed(&id) && !request.exclude.contains(&id);
                stack(&mut candidates, self.stacks()?, likely, &may_lead);
            }
            if query.is_none() {
                self.order(request, &mut candidates)?;
            }
            let total = words.as_ref().filter(|_| is_short).map_or(candidates.len(), WordMatches::len);
            let mut photos = self.choose(request, candidates, query)?;
            let below = request.min_score.is_some_and(|min| lowest.is_some_and(|lowest| lowest < min));
            if is_all || photos.len() >= request.limit || below {
                if let Some(words) = &words {
                    self.tell_all_words(request, &mut photos, words)?;
                }
                return Ok(RankedPhotos { photos, total, stats, exact });
            }
            k = k.saturating_mul(4);
        }
    }

    /// The ids of the photos that pass the filters and the phrases, ascending.
    pub(crate) fn passing(&self, request: &SearchRequest) -> Result<Vec<i64>> {
        let labels = LabelFilter::of(&self.library, &request.filters.clauses)?;
        match self.allowed(request, &labels)? {
            (_, Some(allowed), _) => Ok(allowed),
            _ => self.library.sql(|db| request.filters.allowed(db)),
        }
    }

    /// The photo that stands for each photo of a stack.
    pub(crate) fn leaders(&self) -> Result<&HashMap<i64, i64>> {
        self.stacks()
    }

    pub(crate) fn sql<T>(&self, read: impl FnOnce(&Database) -> rusqlite::Result<T>) -> Result<T> {
        self.library.sql(read)
    }

    /// Refuses clusters and albums that do not exist.
    pub(crate) fn check_names(&self, filters: &Filters) -> Result<()> {
        for clause in &filters.clauses {
            if let Filter::Album(name) = &clause.filter
                && self.library.sql(|db| albums::id_of(db, name))?.is_none()
            {
                return Err(self.library.no_album(name)?);
            }
            if let Filter::Cluster(name) = &clause.filter
                && paths::fold(name) != NO_CLUSTER
                && self.library.sql(|db| clusters::id_of(db, name))?.is_none()
            {
                return Err(self.library.no_cluster(name)?);
            }
        }
        Ok(())
    }

    /// Roughly the best `k` of the photos that pass the filters, and the ids, ascending, of the photos that pass as far
    /// as stacks need to know. `None` if the graph does not find enough.
    fn near_passing(
        &self,
        request: &SearchRequest,
        labels: &[LabelFilter],
        (query, vectors): (&[f32], &Vectors),
        words: Option<&WordMatches<'_>>,
        k: usize,
        sure: &mut Probabilities,
    ) -> Result<Option<(Vec<Scored>, Vec<i64>)>> {
        let stacks = if request.stacked { Some(self.stacks()?) } else { None };
        self.library.sql(|db| {
            let mut passing = |ids: &[i64]| passing(db, request, labels, Some(vectors), ids, sure);
            let Some(passed) = vectors.near_passing(db, query, k, &mut passing)? else { return Ok(None) };
            let mut known = words.map(WordMatches::ids).unwrap_or_default();
            known.extend(passed.iter().map(|scored| scored.id));
            let leaders: Vec<i64> = known.iter().filter_map(|id| stacks?.get(id).copied()).collect();
            known.extend(passing(&leaders)?);
            if !labels.is_empty() && !leaders.is_empty() {
                // The likeliest photo of a stack says how likely its label is, wherever it is.
                let mut statement = db.prepare_cached(&format!("SELECT photo FROM stack WHERE leader {LISTED}"))?;
                let members = statement.query_map([list_of(&leaders)], |row| row.get(0))?;
                passing(&members.collect::<rusqlite::Result<Vec<i64>>>()?)?;
            }
            known.sort_unstable();
            known.dedup();
            Ok(Some((passed, known)))
        })
    }

    /// Those of these photos that pass the filters, ascending; their probabilities go into `sure`.
    fn passing_of(
        &self,
        request: &SearchRequest,
        labels: &[LabelFilter],
        ids: &[i64],
        sure: &mut Probabilities,
    ) -> Result<Vec<i64>> {
        let vectors = self.vectors()?;
        self.library.sql(|db| passing(db, request, labels, vectors, ids, sure))
    }

    /// The matches of the phrases that photos must have (their scores added up); the ids of the photos allowed by
    /// phrases and filters, ascending (`None` if all are allowed); and the probability of the label that is asked for.
    fn allowed(
        &self,
        request: &SearchRequest,
        labels: &[LabelFilter],
    ) -> Result<(Vec<Match>, Option<Vec<i64>>, Probabilities)> {
        let filtered = !request.filters.is_empty() || !request.phrases.is_empty();
        if !filtered {
            return Ok((Vec::new(), None, Probabilities::new()));
        }
        let mut allowed = self.library.sql(|db| request.filters.allowed(db))?;
        let mut scores: HashMap<i64, f32> = HashMap::new();
        for phrase in &request.phrases {
            let found: HashMap<i64, f32> =
                self.text()?.phrase(&phrase.text)?.into_iter().map(|m| (m.id, m.bm25)).collect();
            allowed.retain(|id| found.contains_key(id) != phrase.exclude);
            if !phrase.exclude {
                found.into_iter().for_each(|(id, score)| *scores.entry(id).or_default() += score);
            }
        }
        let mut sure = Probabilities::new();
        if !labels.is_empty() {
            let vectors = self.vectors()?;
            self.library.sql(|db| retain_labelled(db, labels, vectors, &mut allowed, &mut sure))?;
        }
        scores.retain(|id, _| allowed.binary_search(id).is_ok());
        let mut matches: Vec<Match> =
            scores.into_iter().map(|(id, bm25)| Match { id, bm25, ..Match::default() }).collect();
        text::ranked(&mut matches);
        Ok((matches, Some(allowed), sure))
    }

    /// Sorts what a search without a vector found.
    fn order(&self, request: &SearchRequest, candidates: &mut [RankedPhoto]) -> Result<()> {
        let scored = |c: &RankedPhoto| c.bm25.is_some() || c.probability.is_some();
        match request.order {
            Order::Best if candidates.iter().any(scored) => {
                let key = |c: &RankedPhoto| (c.fused, c.probability.unwrap_or(0.0));
                candidates.sort_by(|a, b| {
                    let ((a_fused, a_sure), (b_fused, b_sure)) = (key(a), key(b));
                    b_fused.total_cmp(&a_fused).then(b_sure.total_cmp(&a_sure)).then(a.id.cmp(&b.id))
                });
            }
            order => self.sort(order, candidates, |candidate| candidate.id)?,
        }
        if request.reverse {
            candidates.reverse();
        }
        Ok(())
    }

    /// Sorts photos, whose ids `id` tells; [`Order::Best`] sorts as [`Order::Date`].
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn sort<T>(&self, order: Order, photos: &mut [T], id: impl Fn(&T) -> i64) -> Result<()> {
        let some = photos.len() < self.len / FEW;
        let some: Option<Vec<i64>> = some.then(|| photos.iter().map(&id).collect());
        let mut keys = self.library.sql(|db| SortKeys::read(db, order, some.as_deref()))?;
        photos.sort_by_cached_key(|photo| (keys.take(id(photo)), id(photo)));
        Ok(())
    }

    /// The best candidates up to the limit, with how many were folded into each. Those found only by words get their
    /// cosines here.
    fn choose(
        &self,
        request: &SearchRequest,
        candidates: Vec<RankedPhoto>,
        query: Option<(&[f32], &Vectors)>,
    ) -> Result<Vec<RankedPhoto>> {
        let excluded: HashSet<i64> = request.exclude.iter().copied().collect();
        let mut chosen: Vec<RankedPhoto> = Vec::new();
        let mut rows: Vec<Option<Cow<'_, [f32]>>> = Vec::new();
        let mut cosines = HashMap::new();
        let at_once = request.limit.clamp(16, TOLD_AT_ONCE);
        for at in 0..candidates.len() {
            if let (Some((query, vectors)), 0) = (query, at % at_once) {
                let some = candidates.iter().skip(at).take(at_once).filter(|candidate| candidate.cosine.is_none());
                let some: Vec<i64> = some.map(|candidate| candidate.id).collect();
                cosines = self.library.sql(|db| vectors.cosines(db, query, &some))?;
            }
            let mut candidate = candidates[at];
            candidate.cosine = candidate.cosine.or_else(|| cosines.get(&candidate.id).copied());
            let too_low = request.min_score.zip(candidate.cosine).is_some_and(|(min, cosine)| cosine < min);
            if too_low || excluded.contains(&candidate.id) {
                continue;
            }
            // After the last hit, more candidates may fold into the hits, up to the first that would be another hit.
            let row = match request.unique.and(query) {
                Some((_, vectors)) => self.library.sql(|db| vectors.row(db, candidate.id))?,
                None => None,
            };
            let twin = request.unique.zip(row.as_deref()).and_then(|(threshold, row)| {
                let is_twin = |other: &Option<Cow<'_, [f32]>>| {
                    other.as_deref().is_some_and(|other| vectors::cosine(row, other) >= threshold)
                };
                rows.iter().position(is_twin)
            });
            if let Some(better) = twin.and_then(|at| chosen.get_mut(at)) {
                better.folded += 1;
            } else if chosen.len() < request.limit {
                chosen.push(candidate);
                rows.push(row);
            } else {
                break;
            }
        }
        Ok(chosen)
    }

    /// Tells which of these photos have all words; of photos that were taken as one, it is enough that one has.
    fn tell_all_words(
        &self,
        request: &SearchRequest,
        photos: &mut [RankedPhoto],
        words: &WordMatches<'_>,
    ) -> Result<()> {
        let mut leaders = HashSet::new();
        if request.stacked {
            let stacks = self.stacks()?;
            leaders.extend(stacks.iter().filter(|(id, _)| words.has_all(**id)).map(|(_, leader)| *leader));
        }
        for photo in photos {
            photo.all_words = leaders.contains(&photo.id) || words.has_all(photo.id);
        }
        Ok(())
    }

    /// What the catalogue knows about these photos, in the order given; those that have no file are left out. The
    /// filters say which of a photo's files come first.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn details(&self, filters: &Filters, photos: &[RankedPhoto]) -> Result<Vec<Hit>> {
        let mut hits = Vec::with_capacity(photos.len());
        for some in photos.chunks(TOLD_AT_ONCE) {
            hits.extend(self.library.sql(|db| match details::hits(db, filters, some) {
                Err(error) if is_conversion(&error) => damaged_photo(db, filters, some, error).map(Err),
                read => read.map(Ok),
            })??);
        }
        Ok(hits)
    }

    /// The ids, ascending, and embeddings (unit vectors) of all photos that have one; none if the library has no model.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn embeddings(&self) -> Result<Vec<(i64, &[f32])>> {
        let Some(vectors) = self.vectors()? else { return Ok(Vec::new()) };
        self.library.sql(|db| vectors.rows(db))
    }

    /// The ids, ascending, of all photos that have an embedding.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn embedded(&self) -> Result<Vec<i64>> {
        Ok(self.vectors()?.map_or_else(Vec::new, Vectors::photos))
    }

    /// The cosines of pairs of photos; `None` where one has no embedding, or a damaged one. The embeddings of all of
    /// them are in memory at once.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn cosines(&self, pairs: &[(i64, i64)]) -> Result<Vec<Option<f32>>> {
        let Some(vectors) = self.vectors()? else { return Ok(vec![None; pairs.len()]) };
        self.library.sql(|db| vectors.cosines_between(db, pairs))
    }

    /// Whether the library is so large that it has graphs.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn has_graph(&self) -> Result<bool> {
        Ok(self.vectors()?.is_some_and(Vectors::has_graph))
    }

    /// Pairs of photos, the lower id first, whose cosines may reach `least`, found by graphs where there are any; a few
    /// may be missing. `None` if `progress` (photos done, total) stopped it.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn near_pairs(
        &self,
        least: f32,
        progress: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Option<Vec<(i64, i64)>>> {
        Ok(self.vectors()?.map_or(Some(Vec::new()), |vectors| vectors.pairs(least, progress)))
    }

    /// What the catalogue knows about these photos, in the order given; those that have no file are left out.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn photos(&self, ids: &[i64]) -> Result<Vec<Hit>> {
        let photos: Vec<RankedPhoto> = ids.iter().map(|id| RankedPhoto { id: *id, ..RankedPhoto::default() }).collect();
        self.details(&Filters::default(), &photos)
    }

    /// The words of a text that are in no caption, tag, name or camera, each with the word that is spelled most like it
    /// among those that are.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn misspelled(&self, words: &str) -> Result<Vec<(String, String)>> {
        self.text()?.misspelled(words, |photo| {
            let Some(hit) = self.photos(&[photo])?.pop() else { return Ok(Vec::new()) };
            let names = hit.paths.iter().map(|path| path.to_string_lossy().into_owned());
            let tags = hit.tags.into_iter().map(|tag| tag.label);
            let said = hit.facts.metadata.texts();
            Ok(hit.caption.into_iter().chain(hit.text).chain(tags).chain(names).chain(said).collect())
        })
    }

    /// Every photo that has a file, by the date it was taken, newest first; those without a date come last, by path. Of
    /// photos that were taken as one, the one that stands for them.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn newest(&self) -> Result<Vec<i64>> {
        let stacks = self.stacks()?;
        let (mut photos, mut keys) = self.library.sql(|db| {
            let mut statement = db.prepare_cached("SELECT photo FROM file ORDER BY path")?;
            let photos = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
            Ok((photos, SortKeys::read(db, Order::Date, None)?))
        })?;
        let mut seen = HashSet::with_capacity(photos.len());
        photos.retain(|id| stacks.get(id).is_none_or(|leader| leader == id) && seen.insert(*id));
        photos.sort_by_cached_key(|id| keys.take(*id));
        Ok(photos)
    }

    /// The photos that were taken on a day of any year, which is written `06-15`, before a day that is written
    /// `2026-06-15`; the newest first. Of photos that were taken as one, the one that stands for them.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn on_day(&self, day: &str, before: &str) -> Result<Vec<i64>> {
        let stacks = self.stacks()?;
        let mut photos = self.library.sql(|db| {
            let mut statement = db.prepare_cached(
                "SELECT p.id FROM photo p WHERE substr(p.taken, 6, 5) = ?1 AND p.taken < ?2
                 AND EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id) ORDER BY p.taken DESC, p.id",
            )?;
            statement.query_map([day, before], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()
        })?;
        photos.retain(|id| stacks.get(id).is_none_or(|leader| leader == id));
        Ok(photos)
    }

    /// A path of each of these photos, the first in order; `None` for those that have no file.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn paths(&self, ids: &[i64]) -> Result<Vec<Option<PathBuf>>> {
        self.library.sql(|db| ids.iter().map(|id| first_path(db, *id)).collect())
    }

    fn vectors(&self) -> Result<Option<&Vectors>> {
        if self.vectors.get().is_none() {
            let loaded = match self.library.answering()? {
                Some(model) => {
                    Some(self.library.sql(|db| Vectors::load(db, &model, &vectors::folder(&self.library, &model)))?)
                }
                None => None,
            };
            let _ = self.vectors.set(loaded);
        }
        Ok(self.vectors.get().and_then(Option::as_ref))
    }

    fn stacks(&self) -> Result<&Stacks> {
        if let Some(stacks) = self.stacks.get() {
            return Ok(stacks);
        }
        let all = self.library.sql(stacks::standing)?;
        Ok(self.stacks.get_or_init(|| all.into_iter().collect()))
    }

    fn text(&self) -> Result<&TextSearch> {
        if let Some(text) = self.text.get() {
            return Ok(text);
        }
        let loaded = self.library.text(|db| TextSearch::load(db, &text::folder(&self.library)))?;
        Ok(self.text.get_or_init(|| loaded))
    }
}

/// Those of these photos that pass the filters, ascending.
fn passing(
    db: &Database,
    request: &SearchRequest,
    labels: &[LabelFilter],
    vectors: Option<&Vectors>,
    ids: &[i64],
    sure: &mut Probabilities,
) -> rusqlite::Result<Vec<i64>> {
    let mut passing = request.filters.passing(db, ids)?;
    retain_labelled(db, labels, vectors, &mut passing, sure)?;
    Ok(passing)
}

/// Keeps the photos that have the labels that are asked for, and adds the probabilities of these to `sure`.
fn retain_labelled(
    db: &Database,
    labels: &[LabelFilter],
    vectors: Option<&Vectors>,
    ids: &mut Vec<i64>,
    sure: &mut Probabilities,
) -> rusqlite::Result<()> {
    let mut found = Probabilities::new();
    for filter in labels {
        for (id, probability) in filter.retain(ids, db, vectors)? {
            found.entry(id).and_modify(|known| *known = known.min(probability)).or_insert(probability);
        }
    }
    if labels.len() > 1 {
        found.retain(|id, _| ids.binary_search(id).is_ok());
    }
    sure.extend(found);
    Ok(())
}

/// Which of these photos could not be read.
fn damaged_photo(
    db: &Database,
    filters: &Filters,
    some: &[RankedPhoto],
    error: rusqlite::Error,
) -> rusqlite::Result<Error> {
    for photo in some {
        if let Err(error) = details::hits(db, filters, std::slice::from_ref(photo)) {
            return if is_conversion(&error) {
                let path = first_path(db, photo.id)?;
                Ok(Error::DamagedPhoto { photo: photo.id, path, reason: error.to_string() })
            } else {
                Err(error)
            };
        }
    }
    Err(error)
}

/// All candidates, best first.
fn rank(
    request: &SearchRequest,
    meaning: &[Scored],
    words: &[Match],
    allowed: Option<&[i64]>,
    with_vector: bool,
) -> Vec<RankedPhoto> {
    if !with_vector && request.words.is_none() && request.phrases.iter().all(|phrase| phrase.exclude) {
        // Only filters: every photo that passes.
        let listed = allowed.unwrap_or_default().iter();
        return listed.map(|id| RankedPhoto { id: *id, ..RankedPhoto::default() }).collect();
    }
    if !with_vector || request.by == By::Words {
        // Best first already.
        let fused = |rank: usize| 1.0 / (RRF + rank as f32 + 1.0);
        let one =
            |m: &Match| RankedPhoto { id: m.id, bm25: Some(m.bm25), fused: fused(m.rank), ..RankedPhoto::default() };
        return words.iter().map(one).collect();
    }
    let mut candidates: HashMap<i64, RankedPhoto> = HashMap::with_capacity(meaning.len());
    for (rank, scored) in meaning.iter().enumerate() {
        let candidate = candidates.entry(scored.id).or_insert(RankedPhoto { id: scored.id, ..RankedPhoto::default() });
        candidate.cosine = Some(scored.cosine);
        candidate.fused += 1.0 / (RRF + rank as f32 + 1.0);
    }
    let by_words = request.by != By::Meaning || !with_vector;
    for Match { id, bm25, written, rank } in words {
        if !by_words && !candidates.contains_key(id) {
            continue;
        }
        let candidate = candidates.entry(*id).or_insert(RankedPhoto { id: *id, ..RankedPhoto::default() });
        candidate.bm25 = Some(*bm25);
        if by_words {
            candidate.fused += 1.0 / (RRF + *rank as f32 + 1.0);
        }
        // What its owner wrote is no guess: a photo that has all words that way comes before those that have none, and
        // meaning and BM25 decide between those that have them.
        if request.by == By::Both && with_vector {
            candidate.fused += written / (RRF + 1.0);
        }
    }
    let mut candidates: Vec<RankedPhoto> = candidates.into_values().collect();
    let key = |c: &RankedPhoto| match request.by {
        By::Meaning if with_vector => c.cosine.unwrap_or(f32::MIN),
        _ => c.fused,
    };
    candidates.sort_unstable_by(|a, b| key(b).total_cmp(&key(a)).then(a.id.cmp(&b.id)));
    candidates
}

/// Leaves one candidate of each stack, at the place of the best: the photo that stands for the stack, with the best
/// scores of them all, and of those that are no candidates the probabilities in `likely`. If that is not allowed, each
/// one stays.
fn stack(candidates: &mut Vec<RankedPhoto>, stacks: &Stacks, likely: &Probabilities, is_allowed: &dyn Fn(i64) -> bool) {
    let mut best: HashMap<i64, RankedPhoto> = HashMap::new();
    let higher = |a: Option<f32>, b: Option<f32>| if b > a { b } else { a };
    for candidate in candidates.iter() {
        let Some(leader) = stacks.get(&candidate.id) else { continue };
        let known = best.entry(*leader).or_insert(RankedPhoto { id: *leader, ..*candidate });
        known.cosine = higher(known.cosine, candidate.cosine);
        known.bm25 = higher(known.bm25, candidate.bm25);
        known.probability = higher(known.probability, candidate.probability);
        known.fused = known.fused.max(candidate.fused);
    }
    for (id, probability) in likely {
        if let Some(known) = stacks.get(id).and_then(|leader| best.get_mut(leader)) {
            known.probability = higher(known.probability, Some(*probability));
        }
    }
    let mut seen = HashSet::new();
    candidates.retain_mut(|candidate| {
        let Some(leader) = stacks.get(&candidate.id).filter(|leader| is_allowed(**leader)) else { return true };
        if let Some(best) = best.get(leader) {
            *candidate = *best;
        }
        seen.insert(*leader)
    });
}

/// How many photos are looked for by their meaning at first.
fn first_breadth(request: &SearchRequest) -> usize {
    let least = if request.words.is_none() { 10 } else { 100 };
    request.limit.saturating_mul(2).saturating_add(request.exclude.len()).max(least)
}

impl std::fmt::Debug for Searcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Searcher").field("library", &self.library.dir()).field("len", &self.len).finish()
    }
}
