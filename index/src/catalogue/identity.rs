//! Which photo a file shows, and what becomes of a photo's captions when its files change or vanish.

use super::change_log::{About, log};
use super::paths;
use super::rows::{ContentHash, FileIdentity};
use super::seal::{self, Sealed};
use super::stored::{LONGEST_CAPTION, text_of};
use super::told::retell;
use crate::engine::Database;
use rusqlite::{OptionalExtension, ToSql, params};
use std::path::{Path, PathBuf};

/// Photos that no file shows and of which nothing is kept: neither by hand, nor by an import before a file showed them.
pub(crate) const ORPHANS: &str = "FROM photo WHERE NOT EXISTS (SELECT 1 FROM file f WHERE f.photo = photo.id)
    AND NOT EXISTS (SELECT 1 FROM caption c WHERE c.photo = photo.id AND (c.captioner IS NULL OR photo.format = ''))
    AND NOT EXISTS (SELECT 1 FROM reading r WHERE r.photo = photo.id AND photo.format = '')
    AND NOT EXISTS (SELECT 1 FROM album_picture a WHERE a.picture = photo.picture)
    AND NOT EXISTS (SELECT 1 FROM own_tag o WHERE o.picture = photo.picture)
    AND NOT EXISTS (SELECT 1 FROM own_rating o WHERE o.picture = photo.picture)";

/// The photo with this picture, if the catalogue has it. A photo that is known only by an older kind of hash is known
/// by the new one from now on, and so is what refers to the picture by that.
pub(crate) fn recognise(db: &Database, identity: &FileIdentity) -> rusqlite::Result<Option<i64>> {
    if identity.file != identity.picture {
        rename(db, &identity.file, &identity.picture)?;
    }
    let mut known = find(db, &identity.picture)?;
    while let Some((older, picture)) = outdated(db, identity, known)? {
        rename(db, &picture, &identity.picture)?;
        match known {
            None => {
                db.prepare_cached("UPDATE photo SET picture = ?2 WHERE id = ?1")?
                    .execute(params![older, identity.picture.as_slice()])?;
                known = Some(older);
            }
            Some(known) => merge(db, older, known)?,
        }
    }
    if let Some(photo) = known {
        let outdated = db
            .prepare_cached("UPDATE photo SET identified = ?2 WHERE id = ?1 AND identified <> ?2")?
            .execute(params![photo, identity.version])?;
        if outdated > 0 {
            seal::PHOTO.seal(db, "id = ?1", [photo])?;
        }
    }
    Ok(known)
}

/// As [`recognise`], but changes nothing.
pub(crate) fn look_up(db: &Database, identity: &FileIdentity) -> rusqlite::Result<Option<i64>> {
    match find(db, &identity.picture)? {
        None => Ok(outdated(db, identity, None)?.map(|(photo, _)| photo)),
        known => Ok(known),
    }
}

fn find(db: &Database, picture: &ContentHash) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT id FROM photo WHERE picture = ?1")?
        .query_row([picture.as_slice()], |row| row.get(0))
        .optional()
}

/// The photo whose picture or one of whose files has this hash.
pub(crate) fn with_hash(db: &Database, hash: &ContentHash) -> rusqlite::Result<Option<i64>> {
    match find(db, hash)? {
        None => db
            .prepare_cached("SELECT photo FROM file WHERE hash = ?1")?
            .query_row([hash.as_slice()], |row| row.get(0))
            .optional(),
        known => Ok(known),
    }
}

/// The picture of the photo that [`with_hash`] finds.
pub(crate) fn picture_of(db: &Database, hash: &ContentHash) -> rusqlite::Result<Option<ContentHash>> {
    with_hash(db, hash)?
        .map(|photo| db.query_row("SELECT picture FROM photo WHERE id = ?1", [photo], |row| row.get(0)))
        .transpose()
}

/// A photo other than `known` that was held by a file with just these bytes, and whose picture was hashed another way.
fn outdated(
    db: &Database,
    identity: &FileIdentity,
    known: Option<i64>,
) -> rusqlite::Result<Option<(i64, ContentHash)>> {
    db.prepare_cached(
        "SELECT id, picture FROM photo WHERE identified < ?1 AND id IS DISTINCT FROM ?2
         AND (id IN (SELECT photo FROM file WHERE hash = ?3) OR (identified = 0 AND picture = ?3)) LIMIT 1",
    )?
    .query_row(params![identity.version, known, identity.file.as_slice()], |row| Ok((row.get(0)?, row.get(1)?)))
    .optional()
}

/// Drops a photo if no file shows it and nothing of it is kept, or what is large of it if it is kept.
pub(crate) fn let_go(db: &Database, photo: i64) -> rusqlite::Result<()> {
    if !is_held(db, photo)? {
        db.prepare_cached(&format!("DELETE {ORPHANS} AND id = ?1"))?.execute([photo])?;
        for table in ["encoding", "reading"] {
            db.prepare_cached(&format!("DELETE FROM {table} WHERE photo = ?1"))?.execute([photo])?;
        }
    }
    Ok(())
}

/// Whether a file shows this photo.
pub(crate) fn is_held(db: &Database, photo: i64) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM file WHERE photo = ?1")?.exists([photo])
}

/// Lets everything that refers to a picture by its hash refer to it by its new one.
fn rename(db: &Database, old: &ContentHash, new: &ContentHash) -> rusqlite::Result<()> {
    let both = [old.as_slice(), new.as_slice()];
    if db.prepare_cached("UPDATE conversation SET picture = ?2 WHERE picture = ?1")?.execute(both)? > 0 {
        seal::CONVERSATION.seal(db, "picture = ?1", [new.as_slice()])?;
    }
    for (sealed, beside) in [(seal::NAMED_PICTURE, "name"), (seal::ALBUM_PICTURE, "album")] {
        let table = sealed.table;
        db.prepare_cached(&format!(
            "DELETE FROM {table} WHERE picture = ?2
             AND EXISTS (SELECT 1 FROM {table} o WHERE o.picture = ?1 AND o.{beside} = {table}.{beside})"
        ))?
        .execute(both)?;
        if take_over(db, sealed, "picture", Some(beside), both)? > 0 {
            sealed.seal(db, "picture = ?1", [new.as_slice()])?;
        }
    }
    rename_own(db, old, new)
}

/// Gives the rows of a table that have the first value in a column the second one, but for those that would then be a
/// second row of the same key: that is the column, and the one `beside` it. Returns how many rows it were.
fn take_over<T: ToSql>(
    db: &Database,
    sealed: Sealed,
    column: &str,
    beside: Option<&str>,
    both: [T; 2],
) -> rusqlite::Result<usize> {
    let table = sealed.table;
    let same = beside.map(|beside| format!("AND o.{beside} = {table}.{beside}")).unwrap_or_default();
    db.prepare_cached(&format!(
        "UPDATE {table} SET {column} = ?2 WHERE {column} = ?1
         AND NOT EXISTS (SELECT 1 FROM {table} o WHERE o.{column} = ?2 {same})"
    ))?
    .execute(both)
}

/// Lets the tags and the rating of a picture be those of its new hash; of two ratings, the newer one stays.
fn rename_own(db: &Database, old: &ContentHash, new: &ContentHash) -> rusqlite::Result<()> {
    let (old, new) = (old.as_slice(), new.as_slice());
    db.execute(
        "DELETE FROM own_rating WHERE picture = ?2
         AND written < (SELECT written FROM own_rating WHERE picture = ?1)",
        [old, new],
    )?;
    for (sealed, beside) in [(seal::OWN_TAG, Some("folded")), (seal::OWN_RATING, None)] {
        let moved = take_over(db, sealed, "picture", beside, [old, new])?;
        db.execute(&format!("DELETE FROM {} WHERE picture = ?1", sealed.table), [old])?;
        if moved > 0 {
            sealed.seal(db, "picture = ?1", [new])?;
        }
    }
    Ok(())
}

/// Lets an edited picture have the tags and the rating of the one before, where it has none of its own. Returns whether
/// it has got tags.
fn follow_own(db: &Database, former: &ContentHash, picture: &ContentHash) -> rusqlite::Result<bool> {
    let both = [former.as_slice(), picture.as_slice()];
    let tags = db.execute(
        "INSERT OR IGNORE INTO own_tag (picture, folded, name, written)
         SELECT ?2, folded, name, written FROM own_tag WHERE picture = ?1",
        both,
    )?;
    let rated = db.execute(
        "INSERT OR IGNORE INTO own_rating (picture, stars, written)
         SELECT ?2, stars, written FROM own_rating WHERE picture = ?1",
        both,
    )?;
    for (sealed, got) in [(seal::OWN_TAG, tags), (seal::OWN_RATING, rated)] {
        if got > 0 {
            sealed.seal(db, "picture = ?1", [picture.as_slice()])?;
        }
    }
    Ok(tags > 0)
}

/// Makes one photo of two that show the same picture. Both captions stay if both were written by hand.
fn merge(db: &Database, from: i64, into: i64) -> rusqlite::Result<()> {
    log(db, from, About::Photo)?;
    log(db, into, About::Photo)?;
    merge_captions(db, from, into)?;
    let both = [from, into];
    db.execute("UPDATE file SET photo = ?2 WHERE photo = ?1", both)?;
    seal::FILE.seal(db, "photo = ?1", [into])?;
    // What a model made of the one serves for the other too, if it has not seen that.
    let of_current = "SELECT 1 FROM embedding WHERE photo = ?1 AND model IN (SELECT id FROM model WHERE current)";
    if !db.prepare_cached(of_current)?.exists([into])? {
        db.execute("DELETE FROM tag WHERE photo = ?1", [into])?;
        db.execute("UPDATE tag SET photo = ?2 WHERE photo = ?1", both)?;
    }
    for table in ["other_tag", "embedding"] {
        db.execute(
            &format!(
                "UPDATE {table} SET photo = ?2 WHERE photo = ?1
                 AND model NOT IN (SELECT model FROM embedding WHERE photo = ?2)"
            ),
            both,
        )?;
    }
    for sealed in [seal::TAG, seal::OTHER_TAG, seal::EMBEDDING] {
        sealed.seal(db, "photo = ?1", [into])?;
    }
    db.execute("UPDATE last_seen SET photo = ?2 WHERE photo = ?1", both)?;
    take_over(db, seal::ENCODING, "photo", Some("captioner"), both)?;
    for sealed in [seal::MEMBER, seal::LOOK, seal::READING] {
        take_over(db, sealed, "photo", None, both)?;
    }
    for sealed in [seal::ENCODING, seal::MEMBER, seal::LOOK, seal::LAST_SEEN, seal::READING] {
        sealed.seal(db, "photo = ?1", [into])?;
    }
    db.execute("DELETE FROM photo WHERE id = ?1", [from])?;
    retell(db, into).map(drop)
}

/// A caption, and what decides which of two stays.
pub(crate) struct CaptionText {
    pub(crate) text: String,
    pub(crate) source: CaptionSource,
    pub(crate) written: i64,
}

/// Where a caption comes from; the later one counts more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CaptionSource {
    Model,
    /// By hand, for the picture before an edit.
    Carried,
    Hand,
}

impl CaptionSource {
    pub(crate) fn of(by_hand: bool, carried: bool) -> Self {
        match (by_hand, carried) {
            (false, _) => Self::Model,
            (true, true) => Self::Carried,
            (true, false) => Self::Hand,
        }
    }
}

impl CaptionText {
    pub(crate) fn replaces(&self, other: &Self) -> bool {
        (self.source, self.written) > (other.source, other.written)
    }
}

/// The caption of a photo.
pub(crate) fn caption_text(db: &Database, photo: i64) -> rusqlite::Result<Option<CaptionText>> {
    db.prepare_cached("SELECT text, captioner IS NULL, carried IS NOT NULL, written FROM caption WHERE photo = ?1")?
        .query_row([photo], |row| {
            let source = CaptionSource::of(row.get(1)?, row.get(2)?);
            Ok(CaptionText { text: text_of(row, 0)?, source, written: row.get(3)? })
        })
        .optional()
}

/// The texts of two captions by hand, the newer one first; `None` if they are not both by hand, if one holds the words
/// of the other, or if both are too long for one.
pub(crate) fn both_texts(a: &CaptionText, b: &CaptionText) -> Option<String> {
    if a.source != CaptionSource::Hand || b.source != CaptionSource::Hand {
        return None;
    }
    let (newer, older) = if b.written > a.written { (b, a) } else { (a, b) };
    let both = format!("{}; {}", newer.text, older.text);
    let holds = paths::padded_words(&newer.text).contains(&paths::padded_words(&older.text));
    (!holds && both.chars().count() <= LONGEST_CAPTION).then_some(both)
}

fn merge_captions(db: &Database, from: i64, into: i64) -> rusqlite::Result<()> {
    let (Some(moved), kept) = (caption_text(db, from)?, caption_text(db, into)?) else { return Ok(()) };
    if let Some(kept) = &kept
        && let Some(both) = both_texts(kept, &moved)
    {
        db.execute(
            "UPDATE caption SET text = ?2, folded = ?3, written = ?4 WHERE photo = ?1",
            params![into, both, paths::padded_words(&both), moved.written.max(kept.written)],
        )?;
        return seal::CAPTION.seal(db, "photo = ?1", [into]);
    }
    if kept.is_none_or(|kept| moved.replaces(&kept)) {
        db.execute("DELETE FROM caption WHERE photo = ?1", [into])?;
        db.execute("UPDATE caption SET photo = ?2 WHERE photo = ?1", [from, into])?;
        seal::CAPTION.seal(db, "photo = ?1", [into])?;
    }
    Ok(())
}

/// Remembers which photo was at a path that now loses it, if a person wrote something on it or put it into an album.
pub(crate) fn remember_last(db: &Database, path: &Path, photo: i64) -> rusqlite::Result<()> {
    put_last(db, "INSERT OR REPLACE", path, photo, false)
}

/// As [`remember_last`], for what another library remembered; what this one knows of the path stays. With `ended`, no
/// caption may follow.
pub(crate) fn import_last(db: &Database, path: &Path, photo: i64, ended: bool) -> rusqlite::Result<()> {
    put_last(db, "INSERT OR IGNORE", path, photo, ended)
}

fn put_last(db: &Database, insert: &str, path: &Path, photo: i64, ended: bool) -> rusqlite::Result<()> {
    let by_hand = "SELECT 1 FROM caption WHERE photo = ?1 AND captioner IS NULL
         UNION ALL SELECT 1 FROM album_picture a JOIN photo p ON p.picture = a.picture WHERE p.id = ?1
         UNION ALL SELECT 1 FROM own_tag o JOIN photo p ON p.picture = o.picture WHERE p.id = ?1
         UNION ALL SELECT 1 FROM own_rating o JOIN photo p ON p.picture = o.picture WHERE p.id = ?1";
    if db.prepare_cached(by_hand)?.exists([photo])? {
        let path = db.stored(path);
        db.prepare_cached(&format!("{insert} INTO last_seen (path, photo, ended) VALUES (?1, ?2, ?3)"))?
            .execute(params![path, photo, ended])?;
        seal::LAST_SEEN.seal(db, "path = ?1", [path])?;
    }
    Ok(())
}

/// Lets nothing follow the photo that was last at this path.
pub(crate) fn end_last(db: &Database, path: &Path) -> rusqlite::Result<()> {
    let path = db.stored(path);
    if db.prepare_cached("UPDATE last_seen SET ended = true WHERE path = ?1")?.execute([&path])? > 0 {
        seal::LAST_SEEN.seal(db, "path = ?1", [path])?;
    }
    Ok(())
}

/// The paths whose last photo may have to be followed.
pub(crate) fn open_paths(db: &Database) -> rusqlite::Result<Vec<PathBuf>> {
    let mut statement = db.prepare("SELECT path FROM last_seen WHERE NOT ended ORDER BY path")?;
    let paths = statement.query_map([], |row| row.path(0))?;
    paths.collect()
}

/// Lets what people wrote follow to edited pictures ([`carry`]), at the end of a run that saw everything, when it is
/// known what was merely moved. Nothing follows any more at the paths that are `gone`.
pub(crate) fn carry_on(db: &Database, open: &[PathBuf], gone: &[&PathBuf]) -> rusqlite::Result<()> {
    db.execute("DELETE FROM last_seen WHERE photo IN (SELECT photo FROM file)", [])?;
    open.iter().try_for_each(|path| carry(db, &db.stored(path)))?;
    gone.iter().try_for_each(|path| end_last(db, path))
}

/// Carries the caption by hand, the own tags and the own rating of the photo that was last at a path over to the photo
/// that took its place there, and lets it take its place in albums, if no file shows the former and only this one the
/// latter. What was written stays with its own picture too, in case that returns.
fn carry(db: &Database, path: &[u8]) -> rusqlite::Result<()> {
    let follower: Option<(i64, i64)> = db
        .prepare_cached(
            "SELECT l.photo, f.photo FROM last_seen l JOIN file f ON f.path = l.path WHERE l.path = ?1 AND NOT l.ended
             AND NOT EXISTS (SELECT 1 FROM file g WHERE g.photo = l.photo)
             AND NOT EXISTS (SELECT 1 FROM file g WHERE g.photo = f.photo AND g.path <> l.path)",
        )?
        .query_row([path], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((former, photo)) = follower else { return Ok(()) };
    let carried = db
        .prepare_cached(
            "INSERT INTO caption (photo, text, folded, captioner, written, carried)
             SELECT ?1, text, folded, NULL, written, ?3 FROM caption WHERE photo = ?2 AND captioner IS NULL
             ON CONFLICT (photo) DO UPDATE SET text = excluded.text, folded = excluded.folded, captioner = NULL,
             written = excluded.written, carried = excluded.carried WHERE caption.captioner IS NOT NULL",
        )?
        .execute(params![photo, former, path])?;
    if carried > 0 {
        seal::CAPTION.seal(db, "photo = ?1", [photo])?;
        log(db, photo, About::Words)?;
    }
    let mut picture = db.prepare_cached("SELECT picture FROM photo WHERE id = ?1")?;
    let mut picture_of = |photo: i64| picture.query_row([photo], |row| row.get::<_, ContentHash>(0));
    let (former, picture) = (picture_of(former)?, picture_of(photo)?);
    let both = [former.as_slice(), picture.as_slice()];
    if take_over(db, seal::ALBUM_PICTURE, "picture", Some("album"), both)? > 0 {
        seal::ALBUM_PICTURE.seal(db, "picture = ?1", [picture.as_slice()])?;
    }
    if follow_own(db, &former, &picture)? {
        log(db, photo, About::Words)?;
    }
    db.prepare_cached("DELETE FROM last_seen WHERE path = ?1")?.execute([path])?;
    Ok(())
}
