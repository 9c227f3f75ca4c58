//! Tags and ratings that a person gives photos in the library, without writing to files. They refer to pictures by their
//! hashes, so that they outlive files and libraries. A tag counts as a keyword of the photo, and a rating in the place
//! of the one that its files say.

use crate::catalogue::change_log::{About, log};
use crate::catalogue::identity;
use crate::catalogue::library::Library;
use crate::catalogue::paths;
use crate::catalogue::rows::ContentHash;
use crate::catalogue::seal;
use crate::catalogue::stored::{check_length, text_of};
use crate::engine::{Database, SqlRow};
use crate::error::{Error, Result};
use rusqlite::{OptionalExtension, params};
use std::collections::HashSet;

/// The most characters of a tag.
const LONGEST_TAG: usize = 200;

/// The lowest own rating, which rejects a photo, and the highest.
pub(crate) const STARS: std::ops::RangeInclusive<i8> = -1..=5;

/// A tag that a person gave photos.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnTag {
    /// The tag, as it was written first. Foreign text.
    pub name: String,
    /// How many photos that a file shows have it.
    pub photos: u64,
}

/// The own tags of pictures.
pub type OwnTags = Vec<(ContentHash, Vec<String>)>;

/// The own ratings of pictures; `None`: it has none.
pub type OwnRatings = Vec<(ContentHash, Option<i8>)>;

/// What a change of own tags did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagChange {
    /// How many photos have got a tag that they did not have.
    pub added: usize,
    /// How many photos have lost a tag.
    pub removed: usize,
    /// The tags of before, of the pictures that were changed.
    pub before: OwnTags,
}

impl Library {
    /// The own tags of all photos, the most frequent first.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn own_tags(&self) -> Result<Vec<OwnTag>> {
        self.sql(|db| {
            let mut statement = db.prepare_cached(
                "SELECT min(t.name), (SELECT count(*) FROM own_tag a WHERE a.folded = t.folded AND EXISTS
                 (SELECT 1 FROM photo p JOIN file f ON f.photo = p.id WHERE p.picture = a.picture)) AS photos
                 FROM own_tag t GROUP BY t.folded ORDER BY photos DESC, 1",
            )?;
            statement.query_map([], |row| Ok(OwnTag { name: text_of(row, 0)?, photos: row.get(1)? }))?.collect()
        })
    }

    /// The own tags of a photo.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn own_tags_of(&self, photo: i64) -> Result<Vec<String>> {
        self.sql(|db| picture_of(db, photo)?.map_or(Ok(Vec::new()), |picture| tags_of(db, &picture)))
    }

    /// The own rating of a photo: stars from 1 to 5, 0 for none whatever its files say, -1 for a rejected one.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn own_rating_of(&self, photo: i64) -> Result<Option<i8>> {
        self.sql(|db| picture_of(db, photo)?.map_or(Ok(None), |picture| rating_of(db, &picture)))
    }

    /// The photos that a file shows and that a person gave a tag, a rating or a caption, ascending.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn written_on(&self) -> Result<Vec<i64>> {
        self.sql(|db| {
            let mut statement = db.prepare_cached(
                "SELECT p.id FROM photo p WHERE EXISTS (SELECT 1 FROM file f WHERE f.photo = p.id)
                 AND (EXISTS (SELECT 1 FROM own_tag o WHERE o.picture = p.picture)
                 OR EXISTS (SELECT 1 FROM own_rating o WHERE o.picture = p.picture)
                 OR EXISTS (SELECT 1 FROM caption c WHERE c.photo = p.id AND c.captioner IS NULL)) ORDER BY p.id",
            )?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// Adds tags to photos and removes others from them. Case and accents are ignored; a tag that the library knows is
    /// written as it was first. Keywords of files stay.
    ///
    /// # Errors
    /// [`Error::Refused`] for a tag to add that is too long, has a comma, or has neither letter nor digit; or the
    /// catalogue cannot be written.
    pub fn change_own_tags(&self, photos: &[i64], add: &[String], remove: &[String]) -> Result<TagChange> {
        add.iter().try_for_each(|tag| check_tag(tag))?;
        let removed: HashSet<String> = remove.iter().map(|tag| paths::padded_words(tag)).collect();
        self.write(|db| {
            let add = add.iter().map(|tag| as_known(db, tag)).collect::<rusqlite::Result<Vec<String>>>()?;
            let mut change = TagChange::default();
            for picture in pictures_of(db, photos)? {
                let before = tags_of(db, &picture)?;
                let mut now = before.clone();
                now.retain(|tag| !removed.contains(&paths::padded_words(tag)));
                change.removed += usize::from(now.len() < before.len());
                let kept = now.len();
                for tag in &add {
                    let folded = paths::padded_words(tag);
                    if !now.iter().any(|known| paths::padded_words(known) == folded) {
                        now.push(tag.clone());
                    }
                }
                change.added += usize::from(now.len() > kept);
                if now != before {
                    put_tags(db, &picture, &now, None)?;
                    change.before.push((picture, before));
                }
            }
            Ok(change)
        })
    }

    /// Gives pictures exactly these tags; returns those of before.
    ///
    /// # Errors
    /// [`Error::Refused`] as for [`Library::change_own_tags`], or the catalogue cannot be written.
    pub fn set_own_tags(&self, tags: &[(ContentHash, Vec<String>)]) -> Result<OwnTags> {
        tags.iter().flat_map(|(_, tags)| tags).try_for_each(|tag| check_tag(tag))?;
        self.write(|db| {
            let mut before = Vec::new();
            for (picture, tags) in tags {
                before.push((*picture, tags_of(db, picture)?));
                put_tags(db, picture, tags, None)?;
            }
            Ok(before)
        })
    }

    /// Gives a tag another name, on all photos; returns how many pictures had it. If some have the new one already, the
    /// two become one.
    ///
    /// # Errors
    /// [`Error::Refused`] as for [`Library::change_own_tags`], or the catalogue cannot be written.
    pub fn rename_own_tag(&self, name: &str, new: &str) -> Result<usize> {
        check_tag(new)?;
        let (old, folded) = (paths::padded_words(name), paths::padded_words(new));
        self.write(|db| {
            let mut having = db.prepare_cached("SELECT picture FROM own_tag WHERE folded = ?1")?;
            let pictures =
                having.query_map([&old], |row| row.get(0))?.collect::<rusqlite::Result<Vec<ContentHash>>>()?;
            // All that are called so are spelled alike afterwards.
            db.execute("UPDATE own_tag SET name = ?2 WHERE folded = ?1", [&folded, new])?;
            seal::OWN_TAG.seal(db, "folded = ?1", [&folded])?;
            for picture in &pictures {
                let mut tags = tags_of(db, picture)?;
                tags.retain(|tag| ![&old, &folded].contains(&&paths::padded_words(tag)));
                tags.push(new.to_owned());
                put_tags(db, picture, &tags, None)?;
            }
            Ok(pictures.len())
        })
    }

    /// Rates photos: stars from 1 to 5, 0 for none whatever their files say, -1 to reject them, `None` for what their
    /// files say. Returns the ratings of before, of the pictures whose rating is another one now.
    ///
    /// # Errors
    /// [`Error::Refused`] for another number, or the catalogue cannot be written.
    pub fn rate(&self, photos: &[i64], stars: Option<i8>) -> Result<OwnRatings> {
        stars.map_or(Ok(()), check_stars)?;
        self.write(|db| {
            let ratings: OwnRatings = pictures_of(db, photos)?.into_iter().map(|picture| (picture, stars)).collect();
            put_ratings(db, &ratings)
        })
    }

    /// Gives pictures exactly these ratings; returns those of before, of the pictures whose rating is another one now.
    ///
    /// # Errors
    /// [`Error::Refused`] as for [`Library::rate`], or the catalogue cannot be written.
    pub fn set_own_ratings(&self, ratings: &[(ContentHash, Option<i8>)]) -> Result<OwnRatings> {
        ratings.iter().filter_map(|(_, stars)| *stars).try_for_each(check_stars)?;
        self.write(|db| put_ratings(db, ratings))
    }
}

/// Refuses a tag that cannot be asked for, or that a list cannot hold.
pub(crate) fn check_tag(tag: &str) -> Result<()> {
    check_length("a tag", tag, LONGEST_TAG)?;
    let reason = if paths::padded_words(tag).trim().is_empty() {
        "it has neither a letter nor a digit"
    } else if tag.contains(',') {
        "commas separate tags"
    } else if tag.chars().any(char::is_control) {
        "it has a character that cannot be written"
    } else {
        return Ok(());
    };
    Err(Error::Refused { what: format!("the tag {:?}", crate::escape::text(tag)), reason: reason.into() })
}

/// Refuses what is no rating.
pub(crate) fn check_stars(stars: i8) -> Result<()> {
    if STARS.contains(&stars) {
        return Ok(());
    }
    Err(Error::Refused {
        what: format!("the rating {stars}"),
        reason: "stars are 0 to 5, and -1 rejects a photo".into(),
    })
}

/// A tag as the library writes it already, if it does.
fn as_known(db: &Database, tag: &str) -> rusqlite::Result<String> {
    let tag = tag.trim();
    let known = db
        .prepare_cached("SELECT name FROM own_tag WHERE folded = ?1 LIMIT 1")?
        .query_row([paths::padded_words(tag)], |row| text_of(row, 0))
        .optional()?;
    Ok(known.unwrap_or_else(|| tag.to_owned()))
}

fn picture_of(db: &Database, photo: i64) -> rusqlite::Result<Option<ContentHash>> {
    db.prepare_cached("SELECT picture FROM photo WHERE id = ?1")?.query_row([photo], |row| row.get(0)).optional()
}

/// The pictures of photos, each once.
fn pictures_of(db: &Database, photos: &[i64]) -> rusqlite::Result<Vec<ContentHash>> {
    let mut seen = HashSet::new();
    let mut pictures = Vec::new();
    for photo in photos {
        pictures.extend(picture_of(db, *photo)?.filter(|picture| seen.insert(*picture)));
    }
    Ok(pictures)
}

/// The own tags of a picture; damaged ones are left out.
pub(crate) fn tags_of(db: &Database, picture: &ContentHash) -> rusqlite::Result<Vec<String>> {
    let mut statement = db.prepare_cached("SELECT name FROM own_tag WHERE picture = ?1 ORDER BY folded")?;
    statement.query_map([picture.as_slice()], |row| text_of(row, 0))?.collect()
}

/// The own rating of a picture; `None` also for a damaged one.
pub(crate) fn rating_of(db: &Database, picture: &ContentHash) -> rusqlite::Result<Option<i8>> {
    let stars = db
        .prepare_cached("SELECT stars FROM own_rating WHERE picture = ?1")?
        .query_row([picture.as_slice()], |row| Ok(stars_in(row, 0)))
        .optional()?;
    Ok(stars.flatten())
}

/// The stars in a column; `None` if they are damaged.
pub(crate) fn stars_in(row: &SqlRow<'_>, at: usize) -> Option<i8> {
    row.get::<_, i8>(at).ok().filter(|stars| STARS.contains(stars))
}

/// The words of the photo with this picture have changed, if the catalogue has it.
fn log_words(db: &Database, picture: &ContentHash) -> rusqlite::Result<()> {
    identity::with_hash(db, picture)?.map_or(Ok(()), |photo| log(db, photo, About::Words))
}

/// Gives a picture exactly these tags. `written` is when, in seconds since 1970, if not now; a tag that it has keeps
/// its time.
pub(crate) fn put_tags(
    db: &Database,
    picture: &ContentHash,
    tags: &[String],
    written: Option<i64>,
) -> rusqlite::Result<()> {
    let kept: HashSet<String> = tags.iter().map(|tag| paths::padded_words(tag)).collect();
    let mut known = db.prepare_cached("SELECT folded FROM own_tag WHERE picture = ?1")?;
    let known = known.query_map([picture.as_slice()], |row| text_of(row, 0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut delete = db.prepare_cached("DELETE FROM own_tag WHERE picture = ?1 AND folded = ?2")?;
    for folded in known.iter().filter(|folded| !kept.contains(*folded)) {
        delete.execute(params![picture.as_slice(), folded])?;
    }
    let mut insert = db.prepare_cached(
        "INSERT OR IGNORE INTO own_tag (picture, folded, name, written) VALUES (?1, ?2, ?3, coalesce(?4, unixepoch()))",
    )?;
    for tag in tags {
        insert.execute(params![picture.as_slice(), paths::padded_words(tag), tag, written])?;
    }
    seal::OWN_TAG.seal(db, "picture = ?1", [picture.as_slice()])?;
    log_words(db, picture)
}

/// Writes ratings; returns those of before that were others.
fn put_ratings(db: &Database, ratings: &[(ContentHash, Option<i8>)]) -> rusqlite::Result<OwnRatings> {
    let mut before = Vec::new();
    for (picture, stars) in ratings {
        let known = rating_of(db, picture)?;
        if known != *stars {
            put_rating(db, picture, *stars, None)?;
            before.push((*picture, known));
        }
    }
    Ok(before)
}

/// Rates a picture, at this time if not now; with `None` it has no own rating any more.
pub(crate) fn put_rating(
    db: &Database,
    picture: &ContentHash,
    stars: Option<i8>,
    written: Option<i64>,
) -> rusqlite::Result<()> {
    let Some(stars) = stars else {
        return db.execute("DELETE FROM own_rating WHERE picture = ?1", [picture.as_slice()]).map(drop);
    };
    db.prepare_cached(
        "INSERT OR REPLACE INTO own_rating (picture, stars, written) VALUES (?1, ?2, coalesce(?3, unixepoch()))",
    )?
    .execute(params![picture.as_slice(), stars, written])?;
    seal::OWN_RATING.seal(db, "picture = ?1", [picture.as_slice()])
}
