//! What the catalogue knows about photos that were found. Each table is asked once about many of them: a server is a
//! network away.

use super::filters::Filters;
use crate::catalogue::rows::{ContentHash, PhotoFacts, Tag};
use crate::catalogue::stored::{LISTED, list_of, size_of, text_of};
use crate::catalogue::told;
use crate::engine::{Database, SqlRow};
use crate::kept::own;
use rusqlite::Result;
use serde::Serialize;
use std::collections::HashMap;
use std::path::PathBuf;

/// The most files of a stack that a hit lists.
const STACK_SHOWN: usize = 100;

/// A photo that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hit {
    /// Its id.
    pub id: i64,
    /// Hash of its picture.
    pub picture: ContentHash,
    /// Its cosine with the query's vector.
    pub cosine: Option<f32>,
    /// Its BM25 score for the query's words and phrases.
    pub bm25: Option<f32>,
    /// Sum of the reciprocal ranks; what orders the hits of [`crate::By::Both`].
    pub fused: f32,
    /// Probability of the label that the query asks for.
    pub probability: Option<f32>,
    /// Whether every word of the query (except stop words like "the") is in its caption, tags, names or camera.
    pub all_words: bool,
    /// The files that hold it, at least one: first those that satisfy the path and extension filters.
    pub paths: Vec<PathBuf>,
    /// Its tags, best first.
    pub tags: Vec<Tag>,
    /// Its caption, if it has one; foreign text.
    pub caption: Option<String>,
    /// What stands in it, as far as that is searched, line by line; foreign text.
    pub text: Option<String>,
    /// What it says about itself.
    pub facts: PhotoFacts,
    /// Size in bytes of the first of these files.
    pub size: u64,
    /// When the first of its files in time was changed last, in nanoseconds since 1970.
    pub changed_ns: i64,
    /// Number of photos folded into this one.
    pub folded: u32,
    /// A file of each of the photos that were taken as one with it, by path.
    pub stack: Vec<PathBuf>,
    /// The tags that a person gave it in the library; they are among its keywords too. Foreign text.
    pub own_tags: Vec<String>,
    /// The rating that a person gave it in the library ([`crate::Library::rate`]); it is its rating too.
    pub own_rating: Option<i8>,
}

/// A photo that was found: its id and scores alone. What [`Hit`] says of the same names holds here.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct RankedPhoto {
    pub id: i64,
    pub cosine: Option<f32>,
    pub bm25: Option<f32>,
    pub fused: f32,
    pub probability: Option<f32>,
    pub all_words: bool,
    pub folded: u32,
}

/// What the catalogue knows about these photos, in their order; those that have no file are left out.
pub(super) fn hits(db: &Database, filters: &Filters, photos: &[RankedPhoto]) -> Result<Vec<Hit>> {
    let ids: Vec<i64> = photos.iter().map(|photo| photo.id).collect();
    let some = ListedPhotos::of(db, &ids);
    let companions: HashMap<i64, Vec<i64>> = some.each(
        &format!(
            "SELECT o.photo, s.photo FROM stack o JOIN stack s ON s.leader = o.leader
             WHERE o.photo {LISTED} AND s.photo <> o.photo ORDER BY s.photo"
        ),
        |row| row.get(1),
    )?;
    // What one of a stack shows, they all do.
    let family: Vec<i64> = ids.iter().chain(companions.values().flatten()).copied().collect();
    let family = ListedPhotos::of(db, &family);
    let mut facts = some.one(
        &format!(
            "SELECT id, picture, width, height, format, remark, colors, {} FROM photo WHERE id {LISTED}",
            told::COLUMNS
        ),
        |row| Ok((row.get::<_, ContentHash>(1)?, facts_in(row)?)),
    )?;
    let mut tags = some
        .each(&format!("SELECT photo, label, score FROM tag WHERE photo {LISTED} ORDER BY position"), |row| {
            Ok(Tag { label: row.get(1)?, score: row.get(2)? })
        })?;
    let mut files = some
        .each(&format!("SELECT photo, path, size, mtime_ns FROM file WHERE photo {LISTED} ORDER BY path"), |row| {
            Ok((path_in(row)?, size_of(row.get(2)?), row.get::<_, i64>(3)?))
        })?;
    let first_paths =
        family.one(&format!("SELECT photo, min(path) FROM file WHERE photo {LISTED} GROUP BY photo"), path_in)?;
    let captions = family
        .one(&format!("SELECT photo, captioner IS NOT NULL, text FROM caption WHERE photo {LISTED}"), |row| {
            Ok((row.get::<_, bool>(1)?, text_of(row, 2)?))
        })?;
    let texts = family
        .one(&format!("SELECT photo, text FROM reading WHERE text <> '' AND photo {LISTED}"), |row| text_of(row, 1))?;
    let names = told::names_of_all(db, &family.list)?;
    let mut own_tags = some.each(
        &format!(
            "SELECT p.id, o.name FROM own_tag o JOIN photo p ON p.picture = o.picture WHERE p.id {LISTED}
             ORDER BY o.folded"
        ),
        |row| text_of(row, 1),
    )?;
    let own_ratings = some.one(
        &format!("SELECT p.id, o.stars FROM own_rating o JOIN photo p ON p.picture = o.picture WHERE p.id {LISTED}"),
        |row| Ok(own::stars_in(row, 1)),
    )?;

    let mut hits = Vec::with_capacity(photos.len());
    for RankedPhoto { id, cosine, bm25, fused, probability, all_words, folded } in photos.iter().copied() {
        let Some((picture, mut facts)) = facts.remove(&id) else { continue };
        let mut files = files.remove(&id).unwrap_or_default();
        files.sort_by_cached_key(|(path, ..)| !filters.prefers(db.mounts(), path));
        let Some(&(_, size, first)) = files.first() else { continue };
        let changed_ns = files.iter().map(|(.., changed)| *changed).min().unwrap_or(first);
        let others = companions.get(&id).into_iter().flatten().filter(|other| first_paths.contains_key(other));
        let family: Vec<&i64> = std::iter::once(&id).chain(others).collect();
        let mut stack: Vec<PathBuf> = family[1..].iter().filter_map(|other| first_paths.get(other).cloned()).collect();
        stack.sort_unstable();
        stack.truncate(STACK_SHOWN);
        // What a person wrote counts most, and then its own.
        let caption = family.iter().filter_map(|one| captions.get(one)).min_by_key(|(is_by_model, _)| *is_by_model);
        let text = family.iter().find_map(|one| texts.get(one)).cloned();
        (facts.metadata.keywords, facts.metadata.people) =
            told::together(family.iter().filter_map(|one| names.get(one)).cloned());
        let own_rating = own_ratings.get(&id).copied().flatten();
        if let Some(stars) = own_rating {
            facts.metadata.rating = Some(stars).filter(|stars| *stars != 0);
        }
        hits.push(Hit {
            id,
            picture,
            cosine,
            bm25,
            fused,
            probability,
            all_words,
            paths: files.into_iter().map(|(path, ..)| path).collect(),
            tags: tags.remove(&id).unwrap_or_default(),
            caption: caption.map(|(_, text)| text.clone()),
            text,
            facts,
            size,
            changed_ns,
            folded,
            stack,
            own_tags: own_tags.remove(&id).unwrap_or_default(),
            own_rating,
        });
    }
    Ok(hits)
}

/// Photos by whose ids, a JSON list, tables are read.
struct ListedPhotos<'d> {
    db: &'d Database,
    list: String,
}

impl<'d> ListedPhotos<'d> {
    fn of(db: &'d Database, ids: &[i64]) -> Self {
        Self { db, list: list_of(ids) }
    }

    /// What is read from each row, by the photo in its first column.
    fn each<T>(&self, sql: &str, read: impl Fn(&SqlRow<'_>) -> Result<T>) -> Result<HashMap<i64, Vec<T>>> {
        let mut all: HashMap<i64, Vec<T>> = HashMap::new();
        self.db.prepare_cached(sql)?.for_each([&self.list], |row| {
            all.entry(row.get(0)?).or_default().push(read(row)?);
            Ok(true)
        })?;
        Ok(all)
    }

    /// As [`ListedPhotos::each`], of tables that have one row a photo.
    fn one<T>(&self, sql: &str, read: impl Fn(&SqlRow<'_>) -> Result<T>) -> Result<HashMap<i64, T>> {
        self.db.prepare_cached(sql)?.query_map([&self.list], |row| Ok((row.get(0)?, read(row)?)))?.collect()
    }
}

fn facts_in(row: &SqlRow<'_>) -> Result<PhotoFacts> {
    let colors = row.get::<_, Option<String>>(6)?;
    Ok(PhotoFacts {
        width: row.get(2)?,
        height: row.get(3)?,
        format: row.get(4)?,
        remark: row.get(5)?,
        colors: colors.map(|colors| colors.split_whitespace().map(str::to_owned).collect()),
        metadata: told::read(row, 7)?,
    })
}

fn path_in(row: &SqlRow<'_>) -> Result<PathBuf> {
    row.path(1)
}
