//! Which values photos have of a field, and how many photos have each: what a person can filter by.

use super::filters::{Filter, Filters, Phrase};
use super::searcher::{SearchRequest, Searcher};
use crate::catalogue::library::Library;
use crate::catalogue::paths;
use crate::catalogue::told::RATING;
use crate::engine::Database;
use crate::error::Result;
use crate::kept::stacks;
use rusqlite::types::ValueRef;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// The most values of a field.
const MOST: usize = 1_000;
/// The most words, or folders, that a value can have and be found within another one.
const MOST_PARTS: usize = 64;

/// A field of photos that has few values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FacetField {
    /// The year in which they were taken, as `2019`.
    Year,
    /// The month, as `2019-06`.
    Month,
    /// The camera.
    Camera,
    /// The lens.
    Lens,
    /// The town where they were taken.
    Town,
    /// Who is on them.
    Person,
    /// Their owner's keywords.
    Keyword,
    /// What the model that answers sees in them.
    Tag,
    /// The folder of their files, with its path.
    Folder,
    /// The format of their files.
    Format,
    /// Stars.
    Rating,
}

impl FacetField {
    /// All of them, with their names for people, and the filters of the query language that ask for their values.
    pub const ALL: [(Self, &str, &str); 11] = [
        (Self::Year, "year", "taken"),
        (Self::Month, "month", "taken"),
        (Self::Camera, "camera", "camera"),
        (Self::Lens, "lens", "lens"),
        (Self::Town, "place", "place"),
        (Self::Person, "people", "person"),
        (Self::Keyword, "keywords", "keyword"),
        (Self::Tag, "tags", "tag"),
        (Self::Folder, "folder", "path"),
        (Self::Format, "format", "format"),
        (Self::Rating, "rating", "rating"),
    ];
}

/// A value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet {
    /// The value; foreign text.
    pub value: String,
    /// How many photos have it.
    pub photos: u64,
}

/// The values of a field, among the photos that filters allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FacetCounts {
    /// The values.
    pub values: Vec<Facet>,
    /// The positions of those clauses of the filters that were left out, because they ask for a value of this field: a
    /// photo has only one, so that none of the others would be left.
    pub left_out: Vec<usize>,
}

/// Counts photos by the values of fields.
pub struct FacetCounter<'a> {
    searcher: &'a Searcher,
    filters: &'a Filters,
    phrases: &'a [Phrase],
    /// The photos that pass, ascending, by the clauses that were left out.
    passing: HashMap<Vec<usize>, Rc<Vec<i64>>>,
}

impl Library {
    /// The values of a field in the whole library, as [`FacetCounter::count`] counts them.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn facets(&self, field: FacetField) -> Result<Vec<Facet>> {
        let searcher = self.searcher()?;
        Ok(searcher.facet_counter(&Filters::default(), &[])?.count(field)?.values)
    }

    /// The folders that files lie in, with how many files lie in each, those with the most first.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn folder_counts(&self) -> Result<Vec<Facet>> {
        let counts = self.sql(|db| {
            let mut statement = db.prepare_cached("SELECT path FROM file")?;
            let mut rows = statement.query([])?;
            let mut counts: HashMap<Vec<u8>, u64> = HashMap::new();
            while let Some(row) = rows.next()? {
                let path = row.get_ref(0)?.as_blob()?;
                let end = path.iter().rposition(|byte| *byte == b'/' || cfg!(windows) && *byte == b'\\').unwrap_or(0);
                match counts.get_mut(&path[..end]) {
                    Some(count) => *count += 1,
                    None => drop(counts.insert(path[..end].to_vec(), 1)),
                }
            }
            Ok(counts)
        })?;
        // What is not UTF-8 cannot be asked for.
        let shown = |(path, photos): (Vec<u8>, u64)| {
            Some(Facet { value: self.mounts().here(&path).to_str()?.to_owned(), photos })
        };
        let mut folders: Vec<Facet> = counts.into_iter().filter_map(shown).collect();
        folders.sort_by(|a, b| b.photos.cmp(&a.photos).then(a.value.cmp(&b.value)));
        Ok(folders)
    }
}

impl Searcher {
    /// Counts among the photos that these filters and phrases allow.
    ///
    /// # Errors
    /// The filters name a cluster or an album that does not exist; or the catalogue cannot be read.
    pub fn facet_counter<'a>(&'a self, filters: &'a Filters, phrases: &'a [Phrase]) -> Result<FacetCounter<'a>> {
        self.check_names(filters)?;
        Ok(FacetCounter { searcher: self, filters, phrases, passing: HashMap::new() })
    }
}

/// A value as it is stored, and where its filter looks.
struct StoredValue {
    /// `None` if it cannot be asked for.
    shown: Option<String>,
    /// Values that have the same are one.
    key: String,
    /// The text in which the filter finds the keys of values.
    within: String,
}

/// Which photo has which value, by its position; a photo may have one twice.
type PhotoValues = Vec<(usize, i64)>;

/// What a filter finds beside the photos that have exactly its value.
enum Finds {
    /// Nothing.
    Exact,
    /// Those whose value has this one within it, in whole parts, which this character ends.
    Parts(char),
    /// Those whose value has this one within it.
    Within,
}

impl FacetField {
    /// Photo, value, and where its filter looks if that is another text.
    fn sql(self) -> String {
        let of_photo = |value: &str, within: &str| {
            format!("SELECT p.id, {value}, {within} FROM photo p WHERE {value} IS NOT NULL")
        };
        match self {
            Self::Year => of_photo("substr(p.taken, 1, 4)", "NULL"),
            Self::Month => of_photo("CASE WHEN length(p.taken) >= 7 THEN substr(p.taken, 1, 7) END", "NULL"),
            Self::Camera => of_photo("p.camera", "p.camera_folded"),
            Self::Lens => of_photo("p.lens", "NULL"),
            Self::Town => {
                "SELECT p.id, coalesce(p.city, substr(p.place, 1, instr(p.place || ',', ',') - 1)), p.place_folded
                 FROM photo p WHERE p.place_folded IS NOT NULL"
                    .into()
            }
            Self::Format => of_photo("nullif(p.format, '')", "NULL"),
            Self::Rating => of_photo(RATING, "NULL"),
            Self::Person => "SELECT f.photo, n.text, n.folded FROM named n JOIN file f ON f.id = n.file
                 WHERE n.kind = 'person'"
                .into(),
            Self::Keyword => "SELECT f.photo, n.text, n.folded FROM named n JOIN file f ON f.id = n.file
                 WHERE n.kind = 'keyword' UNION ALL SELECT p.id, o.name, o.folded FROM own_tag o
                 JOIN photo p ON p.picture = o.picture"
                .into(),
            Self::Tag => "SELECT photo, label, folded FROM tag".into(),
            Self::Folder => "SELECT photo, path, NULL FROM file".into(),
        }
    }

    fn finds(self) -> Finds {
        match self {
            Self::Year | Self::Month | Self::Format | Self::Rating => Finds::Exact,
            Self::Camera | Self::Lens => Finds::Within,
            Self::Town | Self::Person | Self::Keyword | Self::Tag => Finds::Parts(' '),
            Self::Folder => Finds::Parts('/'),
        }
    }

    /// Reads a value.
    fn stored(self, value: &[u8], within: Option<&[u8]>) -> StoredValue {
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let text = lossy(value);
        let key = match self {
            Self::Year | Self::Month | Self::Format | Self::Rating => text.clone(),
            Self::Camera | Self::Lens | Self::Folder => paths::fold(&text),
            Self::Town | Self::Person | Self::Keyword | Self::Tag => paths::padded_words(&text),
        };
        let within = within.map_or_else(|| key.clone(), lossy);
        // What is not UTF-8, or has no word, cannot be asked for.
        let shown = (std::str::from_utf8(value).is_ok() && !key.trim().is_empty()).then_some(text);
        StoredValue { shown, key, within }
    }

    /// The key of the value that a filter asks for, if photos have one value of this field and it is asked for as such.
    fn asked_by(self, filter: &Filter) -> Option<String> {
        match (self, filter) {
            (Self::Year | Self::Month, Filter::Taken { from: Some(from), to: Some(to), guess: false }) => {
                let length = if self == Self::Year { 4 } else { 7 };
                (from == to && from.len() == length).then(|| from.clone())
            }
            (Self::Camera, Filter::Camera(text)) | (Self::Lens, Filter::Lens(text)) => Some(paths::fold(text)),
            (Self::Town, Filter::Place(names)) => names.first().map(|name| paths::padded_words(name)),
            (Self::Folder, Filter::Path(text)) if text.starts_with('/') => {
                let end = if text.ends_with('/') { "" } else { "/" };
                Some(paths::fold(&format!("{text}{end}")))
            }
            (Self::Format, Filter::Format(names)) => names.first().filter(|_| names.len() == 1).cloned(),
            (Self::Rating, Filter::Rating { min, max }) => (min == max).then(|| min.to_string()),
            _ => None,
        }
    }

    /// Puts values into the order in which they are listed.
    fn sort(self, values: &mut [Facet]) {
        match self {
            Self::Year | Self::Month => values.sort_by(|a, b| b.value.cmp(&a.value)),
            Self::Rating => values.sort_by_key(|facet| std::cmp::Reverse(facet.value.parse::<i64>().unwrap_or(0))),
            _ => values.sort_by(|a, b| b.photos.cmp(&a.photos).then(a.value.cmp(&b.value))),
        }
    }
}

impl FacetCounter<'_> {
    /// The values of a field that photos have which pass, each with how many results its filter would have beside the
    /// others: of photos that were taken as one, the one that stands for them counts. Years and months the newest first,
    /// stars the most first, all others the most frequent first; at most 1,000.
    ///
    /// # Errors
    /// The filters name a label set or label that does not exist, or a label set without a classifier; or the catalogue
    /// cannot be read.
    pub fn count(&mut self, field: FacetField) -> Result<FacetCounts> {
        let searcher = self.searcher;
        let (stored, rows) = searcher.sql(|db| rows(db, field))?;
        // Values that are one have the name that comes first.
        let mut names: HashMap<&str, &str> = HashMap::new();
        for StoredValue { shown, key, .. } in &stored {
            let Some(shown) = shown else { continue };
            names.entry(key).and_modify(|known| *known = (*known).min(shown)).or_insert(shown);
        }
        let left_out = self.left_out(field, &names);
        let passing = self.passing(&left_out)?;

        let keys: Vec<&str> = names.keys().copied().collect();
        let positions: HashMap<&str, usize> = keys.iter().enumerate().map(|(at, key)| (*key, at)).collect();
        let longest = |end: char| keys.iter().map(|key| key.matches(end).count()).max().unwrap_or(0).min(MOST_PARTS);
        let found: Vec<Vec<usize>> = match field.finds() {
            Finds::Exact => {
                stored.iter().map(|value| positions.get(value.key.as_str()).copied().into_iter().collect()).collect()
            }
            Finds::Parts(end) => {
                let longest = longest(end);
                stored.iter().map(|value| parts(value, end, longest, &positions)).collect()
            }
            Finds::Within => {
                let frequent = frequent(&stored, &rows, &positions);
                let one = |value: &StoredValue| -> Vec<usize> {
                    let within = frequent
                        .iter()
                        .filter(|at| keys.get(**at).is_some_and(|key| value.within.contains(key)))
                        .copied();
                    positions.get(value.key.as_str()).copied().into_iter().chain(within).collect()
                };
                stored.iter().map(one).collect()
            }
        };

        // What one of a stack says here, all of it do.
        let is_shared = matches!(field, FacetField::Person | FacetField::Keyword);
        let companions = if is_shared { searcher.sql(companions)? } else { HashMap::new() };
        let mut pairs = PhotoValues::with_capacity(rows.len());
        for (value, photo) in rows {
            let own = [photo];
            for photo in companions.get(&photo).map_or(&own[..], |photos| photos.as_slice()) {
                if passing.binary_search(photo).is_ok() {
                    pairs.extend(found.get(value).into_iter().flatten().map(|at| (*at, *photo)));
                }
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        let leaders = searcher.leaders()?;
        let mut counts = vec![0_u64; keys.len()];
        for (at, photo) in &pairs {
            let leader = leaders.get(photo).filter(|leader| *leader != photo);
            let is_covered = leader.is_some_and(|leader| pairs.binary_search(&(*at, *leader)).is_ok());
            if let Some(count) = counts.get_mut(*at).filter(|_| !is_covered) {
                *count += 1;
            }
        }
        let counted = keys.iter().zip(counts).filter(|(_, photos)| *photos > 0);
        let facet = |(key, photos): (&&str, u64)| Some(Facet { value: (*names.get(key)?).to_owned(), photos });
        let mut values: Vec<Facet> = counted.filter_map(facet).collect();
        field.sort(&mut values);
        values.truncate(MOST);
        Ok(FacetCounts { values, left_out })
    }

    /// The positions of the clauses that ask for one of these values.
    fn left_out(&self, field: FacetField, names: &HashMap<&str, &str>) -> Vec<usize> {
        let is_own = |filter: &Filter| {
            let key = field.asked_by(filter);
            key.is_some_and(|key| names.contains_key(key.as_str()) || matches!(field.finds(), Finds::Exact))
        };
        let clauses = self.filters.clauses.iter().enumerate();
        clauses.filter(|(_, clause)| !clause.exclude && is_own(&clause.filter)).map(|(at, _)| at).collect()
    }

    fn passing(&mut self, left_out: &[usize]) -> Result<Rc<Vec<i64>>> {
        if let Some(known) = self.passing.get(left_out) {
            return Ok(known.clone());
        }
        let clauses = self.filters.clauses.iter().enumerate();
        let clauses = clauses.filter(|(at, _)| !left_out.contains(at)).map(|(_, clause)| clause.clone()).collect();
        let request =
            SearchRequest { filters: Filters { clauses }, phrases: self.phrases.to_vec(), ..SearchRequest::default() };
        let passing = Rc::new(self.searcher.passing(&request)?);
        self.passing.insert(left_out.to_vec(), passing.clone());
        Ok(passing)
    }
}

impl std::fmt::Debug for FacetCounter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FacetCounter").field("filters", self.filters).field("phrases", &self.phrases).finish()
    }
}

/// The values of a field, and which photo has which.
fn rows(db: &Database, field: FacetField) -> rusqlite::Result<(Vec<StoredValue>, PhotoValues)> {
    let mounts = db.mounts();
    let mut statement = db.prepare_cached(&field.sql())?;
    let mut rows = statement.query([])?;
    let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
    let (mut stored, mut pairs) = (Vec::new(), Vec::new());
    let mut text = Vec::new();
    while let Some(row) = rows.next()? {
        text.clear();
        match row.get_ref(1)? {
            // Its country alone may be known.
            ValueRef::Null if row.get_ref(2)? != ValueRef::Null => {}
            ValueRef::Null | ValueRef::Real(_) => continue,
            ValueRef::Integer(number) => text.extend_from_slice(number.to_string().as_bytes()),
            ValueRef::Text(bytes) => text.extend_from_slice(bytes),
            ValueRef::Blob(path) => match mounts.moved(path) {
                Some(path) => text.extend_from_slice(paths::bytes(&path)),
                None => text.extend_from_slice(path),
            },
        }
        if field == FacetField::Folder {
            let end = text.iter().rposition(|byte| *byte == b'/' || cfg!(windows) && *byte == b'\\');
            text.truncate(end.map_or(0, |end| end + 1));
        }
        let length = text.len();
        let within = row.get_ref(2)?.as_bytes_or_null()?;
        text.extend_from_slice(within.unwrap_or_default());
        let at = match known.get(&text) {
            Some(at) => *at,
            None => {
                stored.push(field.stored(text.get(..length).unwrap_or_default(), within));
                known.insert(text.clone(), stored.len() - 1);
                stored.len() - 1
            }
        };
        pairs.push((at, row.get(0)?));
    }
    Ok((stored, pairs))
}

/// The positions of those values whose keys stand in the text of this one, in whole parts.
fn parts(value: &StoredValue, end: char, longest: usize, positions: &HashMap<&str, usize>) -> Vec<usize> {
    let ends: Vec<usize> = value.within.match_indices(end).map(|(at, _)| at).collect();
    let mut found: HashSet<usize> = positions.get(value.key.as_str()).copied().into_iter().collect();
    for (n, from) in ends.iter().enumerate() {
        for to in ends.iter().skip(n + 1).take(longest) {
            found.extend(value.within.get(*from..to + end.len_utf8()).and_then(|part| positions.get(part)));
        }
    }
    found.into_iter().collect()
}

/// The positions of the values that most photos have: there may be too many to look for each within each.
fn frequent(stored: &[StoredValue], rows: &PhotoValues, positions: &HashMap<&str, usize>) -> Vec<usize> {
    let mut counts: Vec<(usize, usize)> = (0..positions.len()).map(|at| (0, at)).collect();
    for (value, _) in rows {
        let at = stored.get(*value).and_then(|value| positions.get(value.key.as_str()));
        if let Some((count, _)) = at.and_then(|at| counts.get_mut(*at)) {
            *count += 1;
        }
    }
    counts.sort_unstable_by(|a, b| b.cmp(a));
    counts.into_iter().take(MOST).map(|(_, at)| at).collect()
}

/// The photos of the stack of each photo that is in one.
fn companions(db: &Database) -> rusqlite::Result<HashMap<i64, Rc<Vec<i64>>>> {
    let mut of_leader: HashMap<i64, Vec<i64>> = HashMap::new();
    for (photo, leader) in stacks::all(db)? {
        of_leader.entry(leader).or_default().push(photo);
    }
    let together = of_leader.into_values().map(Rc::new);
    Ok(together
        .flat_map(|photos| photos.clone().iter().map(|photo| (*photo, photos.clone())).collect::<Vec<_>>())
        .collect())
}
