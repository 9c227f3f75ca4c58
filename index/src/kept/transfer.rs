//! What people and models wrote, taken out of a library and merged into another one. It refers to pictures by their
//! hashes and paths, so that it outlives the library, and needs nothing that can be computed again.

use super::chats::{LONGEST_ANSWER, LONGEST_QUESTION};
use super::labels::{self, LabelSet};
use super::searches::SavedSearch;
use super::{clusters, given_names, own, readings};
use crate::catalogue::change_log::{About, log};
use crate::catalogue::identity::{self, CaptionSource, CaptionText};
use crate::catalogue::library::Library;
use crate::catalogue::paths;
use crate::catalogue::rows::{Chat, ContentHash, PhotoText};
use crate::catalogue::seal::{self, Sealed};
use crate::catalogue::stored::{LONGEST_CAPTION, check_length, is_conversion, text_of};
use crate::catalogue::writer::{Writer, forget_below, put_forgotten};
use crate::engine::{Database, SqlRow, SqlRows};
use crate::error::{Error, Result};
use rusqlite::{OptionalExtension, params};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// Something that a person or a model wrote.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// A caption.
    Caption {
        /// Hash of the picture.
        picture: ContentHash,
        /// The files that show it or, if none does, where it was last.
        paths: Vec<PathBuf>,
        /// A run has not found it at these paths, so what comes there later has nothing to do with it.
        gone: bool,
        /// The text.
        text: String,
        /// Fingerprint of the model that wrote it; `None` if it was written by hand.
        captioner: Option<String>,
        /// When, in seconds since 1970.
        written: i64,
        /// As [`crate::Caption::carried`].
        carried: Option<PathBuf>,
    },
    /// What stands in a picture, as a model read it.
    Text {
        /// Hash of the picture.
        picture: ContentHash,
        /// What was read.
        text: PhotoText,
    },
    /// A chat. Its id means nothing in another library.
    Chat(Chat),
    /// A name that a person gave to a cluster.
    Name {
        /// The name.
        name: String,
        /// When, in seconds since 1970; 0 if that is not known.
        written: i64,
        /// Hashes of the pictures in the cluster, ascending.
        pictures: Vec<ContentHash>,
    },
    /// An album.
    Album {
        /// Its name.
        name: String,
        /// When it was changed, in seconds since 1970.
        written: i64,
        /// Hashes of its pictures, in its order.
        pictures: Vec<ContentHash>,
    },
    /// The tags that a person gave a picture.
    Tags {
        /// Hash of the picture.
        picture: ContentHash,
        /// The tags.
        tags: Vec<String>,
        /// When the newest of them was given, in seconds since 1970.
        written: i64,
    },
    /// The rating that a person gave a picture.
    Rating {
        /// Hash of the picture.
        picture: ContentHash,
        /// As [`Library::rate`] takes them.
        stars: i8,
        /// When, in seconds since 1970.
        written: i64,
    },
    /// A saved search.
    Search(SavedSearch),
    /// A label set.
    LabelSet {
        /// The set.
        set: LabelSet,
        /// When it was saved, in seconds since 1970; 0 if that is not known.
        written: i64,
    },
    /// Whether a path is forgotten ([`Writer::is_forgotten`]).
    Forgotten {
        /// The path.
        path: PathBuf,
        /// `false` for a path that is remembered although a folder above it is forgotten.
        forgotten: bool,
    },
}

/// What became of the imported records of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// Those that the library did not have.
    pub added: u64,
    /// Those that took the place of an older one.
    pub updated: u64,
    /// Those that the library had already, or had newer ones of.
    pub unchanged: u64,
}

/// What an import has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Captions.
    pub captions: Merged,
    /// What stands in pictures.
    pub texts: Merged,
    /// Chats.
    pub chats: Merged,
    /// Names of clusters.
    pub names: Merged,
    /// Albums.
    pub albums: Merged,
    /// Pictures with own tags.
    pub tags: Merged,
    /// Own ratings.
    pub ratings: Merged,
    /// Saved searches.
    pub searches: Merged,
    /// Label sets.
    pub label_sets: Merged,
    /// Forgotten paths.
    pub forgotten: Merged,
}

/// What became of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Added,
    Updated,
    Unchanged,
}

impl Merged {
    fn count(&mut self, fate: Fate) {
        match fate {
            Fate::Added => self.added += 1,
            Fate::Updated => self.updated += 1,
            Fate::Unchanged => self.unchanged += 1,
        }
    }
}

/// The tables that hold what is exported.
const WRITTEN: [Sealed; 13] = [
    seal::CAPTION,
    seal::READING,
    seal::CONVERSATION,
    seal::TURN,
    seal::GIVEN_NAME,
    seal::NAMED_PICTURE,
    seal::ALBUM,
    seal::ALBUM_PICTURE,
    seal::OWN_TAG,
    seal::OWN_RATING,
    seal::SAVED_SEARCH,
    seal::LABEL_SET,
    seal::FORGOTTEN,
];

impl Library {
    /// Calls `take` with everything that people and models wrote, in an order that depends on nothing else, and returns
    /// how much of it is damaged: what cannot be read, or not be imported again, is left out. All of it is read at one
    /// moment.
    ///
    /// # Errors
    /// The catalogue cannot be read, or `take` fails.
    pub fn written<E: From<crate::Error>>(
        &self,
        mut take: impl FnMut(Written) -> std::result::Result<(), E>,
    ) -> std::result::Result<u64, E> {
        let (all, broken) = self.at_one_moment(|db| {
            let mut all = Vec::new();
            for read in [captions, texts, chats, names, albums, tags, ratings, searches, label_sets, forgotten] {
                all.extend(read(db)?);
            }
            let mut broken: u64 = 0;
            for sealed in WRITTEN.into_iter().filter(|_| db.sqlite().is_some()) {
                let sql = format!("SELECT count(*) FROM {} WHERE {}", sealed.table, sealed.is_broken());
                broken += db.query_row(&sql, [], |row| row.get::<_, u64>(0))?;
            }
            Ok((all, broken))
        })?;
        let mut left_out = 0;
        for record in all {
            match record.check() {
                Ok(()) => take(record)?,
                Err(_) => left_out += 1,
            }
        }
        Ok(broken.max(left_out))
    }
}

/// The records of these rows, but for those that are damaged.
fn readable(
    rows: &mut SqlRows<'_>,
    mut record: impl FnMut(&SqlRow<'_>) -> rusqlite::Result<Written>,
) -> rusqlite::Result<Vec<Written>> {
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        match record(&row) {
            Ok(record) => records.push(record),
            Err(error) if is_conversion(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

fn captions(db: &Database) -> rusqlite::Result<Vec<Written>> {
    let mut statement = db.prepare(
        "SELECT p.picture, c.text, c.captioner, c.written, c.carried, p.id FROM caption c JOIN photo p ON p.id = c.photo
         ORDER BY p.picture",
    )?;
    let mut files = db.prepare(
        "SELECT path, ended FROM (SELECT path, false AS ended FROM file WHERE photo = ?1
         UNION SELECT path, ended FROM last_seen WHERE photo = ?1
         AND NOT EXISTS (SELECT 1 FROM file WHERE photo = ?1)) AS p ORDER BY path",
    )?;
    readable(&mut statement.query([])?, |row| {
        let mut rows = files.query([row.get::<_, i64>(5)?])?;
        let mut paths = Vec::new();
        while let Some(row) = rows.next()? {
            if let (Ok(path), Ok(ended)) = (row.path(0), row.get::<_, bool>(1)) {
                paths.push((path, ended));
            }
        }
        // Where it was last counts only if no file shows it.
        let gone = paths.iter().all(|(_, ended)| *ended) && !paths.is_empty();
        Ok(Written::Caption {
            picture: row.get(0)?,
            paths: paths.into_iter().filter(|(_, ended)| *ended == gone).map(|(path, _)| path).collect(),
            gone,
            text: text_of(row, 1)?,
            captioner: row.get(2)?,
            written: row.get(3)?,
            carried: row.path_or_null(4)?,
        })
    })
}

fn texts(db: &Database) -> rusqlite::Result<Vec<Written>> {
    let mut statement = db.prepare(&format!(
        "SELECT {}, p.picture FROM reading r JOIN photo p ON p.id = r.photo ORDER BY p.picture",
        readings::COLUMNS
    ))?;
    readable(&mut statement.query([])?, |row| {
        Ok(Written::Text { picture: row.get(readings::WIDTH)?, text: readings::read(row)? })
    })
}

fn chats(db: &Database) -> rusqlite::Result<Vec<Written>> {
    let mut statement = db.prepare("SELECT id FROM conversation ORDER BY picture, started, path, model, id")?;
    readable(&mut statement.query([])?, |row| {
        let chat = super::chats::read(db, "WHERE id = ?1", [row.get::<_, i64>(0)?])?.pop();
        chat.map(Written::Chat).ok_or(rusqlite::Error::QueryReturnedNoRows)
    })
}

fn names(db: &Database) -> rusqlite::Result<Vec<Written>> {
    let mut statement = db.prepare("SELECT id, name, written FROM given_name ORDER BY folded")?;
    let mut pictures = db.prepare("SELECT picture FROM named_picture WHERE name = ?1 ORDER BY picture")?;
    readable(&mut statement.query([])?, |row| {
        let mut rows = pictures.query([row.get::<_, i64>(0)?])?;
        let mut pictures = Vec::new();
        while let Some(row) = rows.next()? {
            pictures.extend(row.get::<_, ContentHash>(0).ok());
        }
        Ok(Written::Name { name: text_of(row, 1)?, written: row.get(2)?, pictures })
    })
}

fn albums(db: &Database) -> rusqlite::Result<Vec<Written>> {
    let mut statement = db.prepare("SELECT id, name, written FROM album ORDER BY folded")?;
    readable(&mut statement.query([])?, |row| {
        let pictures = super::albums::pictures_of(db, row.get(0)?)?;
        Ok(Written::Album { name: text_of(row, 1)?, written: row.get(2)?, pictures })
    })
}

fn tags(db: &Database) -> rusqlite::Result<Vec<Written>> {
    let mut statement = db.prepare("SELECT picture, max(written) FROM own_tag GROUP BY picture ORDER BY picture")?;
    readable(&mut statement.query([])?, |row| {
        let picture = row.get(0)?;
        Ok(Written::Tags { picture, tags: own::tags_of(db, &picture)?, written: row.get(1)? })
    })
}

fn ratings(db: &Database) -> rusqlite::Result<Vec<Written>> {
    let mut statement = db.prepare("SELECT picture, stars, written FROM own_rating ORDER BY picture")?;
    readable(&mut statement.query([])?, |row| {
        Ok(Written::Rating { picture: row.get(0)?, stars: row.get(1)?, written: row.get(2)? })
    })
}

fn searches(db: &Database) -> rusqlite::Result<Vec<Written>> {
    let mut statement = db.prepare("SELECT name, query, written FROM saved_search ORDER BY folded")?;
    readable(&mut statement.query([])?, |row| {
        Ok(Written::Search(SavedSearch { name: text_of(row, 0)?, query: text_of(row, 1)?, written: row.get(2)? }))
    })
}

fn label_sets(db: &Database) -> rusqlite::Result<Vec<Written>> {
    let mut statement = db.prepare(&format!("SELECT {}, written FROM label_set ORDER BY folded", labels::COLUMNS))?;
    readable(&mut statement.query([])?, |row| {
        Ok(Written::LabelSet { set: labels::set_of(row)?.1, written: row.get(labels::WIDTH)? })
    })
}

fn forgotten(db: &Database) -> rusqlite::Result<Vec<Written>> {
    let mut statement = db.prepare("SELECT path, forgotten FROM forgotten ORDER BY path")?;
    readable(&mut statement.query([])?, |row| Ok(Written::Forgotten { path: row.path(0)?, forgotten: row.get(1)? }))
}

impl Written {
    /// Refuses what a library could not have written itself.
    ///
    /// # Errors
    /// [`crate::Error::Refused`], which says what is wrong.
    pub fn check(&self) -> Result<()> {
        let refused = |what: &str, reason: &str| Err(Error::Refused { what: what.into(), reason: reason.into() });
        match self {
            Self::Caption { text, captioner: None, .. } if text.trim().is_empty() => {
                refused("a caption by hand", "it is empty")
            }
            Self::Caption { text, .. } => check_length("a caption", text, LONGEST_CAPTION),
            Self::Text { text, .. } => readings::check("the text in a picture", &text.lines, &text.text),
            Self::Chat(chat) => chat.turns.iter().try_for_each(|turn| {
                check_length("a question", &turn.question, LONGEST_QUESTION)?;
                check_length("an answer", &turn.answer, LONGEST_ANSWER)
            }),
            Self::Name { name, .. } => clusters::check_name(name),
            Self::Album { name, .. } => super::albums::check_name(name),
            Self::Tags { tags, .. } if tags.is_empty() => refused("the tags of a picture", "there are none"),
            Self::Tags { tags, .. } => tags.iter().try_for_each(|tag| own::check_tag(tag)),
            Self::Rating { stars, .. } => own::check_stars(*stars),
            Self::Search(SavedSearch { name, query, .. }) => super::searches::check(name, query),
            Self::LabelSet { set, .. } => set.check_all(),
            // Everything is below an empty path.
            Self::Forgotten { path, .. } if !path.is_absolute() => refused("a forgotten path", "it is not absolute"),
            Self::Forgotten { .. } => Ok(()),
        }
    }
}

impl Writer<'_> {
    /// Merges records into the library, all or none: what a person wrote wins over what a model wrote, otherwise the
    /// newer one wins, and no turn of a chat is lost. Captions of pictures that the library does not hold wait for
    /// them.
    ///
    /// # Errors
    /// [`crate::Error::Refused`] for a record that fails [`Written::check`], or the catalogue cannot be written.
    pub fn import(&mut self, records: &[Written]) -> Result<Imported> {
        records.iter().try_for_each(Written::check)?;
        let roots = self.library.roots()?;
        self.write(|db| {
            let mut done = Imported::default();
            let (mut captions, mut chats) = (CaptionImport::default(), Vec::new());
            // Where two photos were last at one path, that which may be followed is remembered.
            let is_gone = |record: &&Written| matches!(record, Written::Caption { gone: true, .. });
            for record in records.iter().filter(|r| !is_gone(r)).chain(records.iter().filter(is_gone)) {
                match record {
                    Written::Caption { .. } => done.captions.count(captions.put(db, record)?),
                    Written::Text { picture, text } => done.texts.count(put_text(db, picture, text)?),
                    Written::Chat(chat) => chats.push(chat),
                    Written::Name { name, written, pictures } => {
                        done.names.count(put_name(db, name, *written, pictures)?);
                    }
                    Written::Album { name, written, pictures } => {
                        done.albums.count(put_album(db, name, *written, pictures)?);
                    }
                    Written::Tags { picture, tags, written } => {
                        done.tags.count(put_tags(db, picture, tags, *written)?);
                    }
                    Written::Rating { picture, stars, written } => {
                        done.ratings.count(put_rating(db, picture, *stars, *written)?);
                    }
                    Written::Search(search) => done.searches.count(put_search(db, search)?),
                    Written::LabelSet { set, written } => done.label_sets.count(put_label_set(db, set, *written)?),
                    Written::Forgotten { path, forgotten } => {
                        let mut known = db.prepare_cached("SELECT 1 FROM forgotten WHERE path = ?1")?;
                        // What is a folder of this library is not dropped by what another one forgot.
                        let covers = *forgotten && roots.iter().any(|root| root.starts_with(path));
                        let known = covers || known.exists([db.stored(path)])?;
                        if !known {
                            if *forgotten {
                                forget_below(db, path)?;
                            }
                            put_forgotten(db, path, *forgotten)?;
                        }
                        done.forgotten.count(if known { Fate::Unchanged } else { Fate::Added });
                    }
                }
            }
            done.chats = put_chats(db, &chats)?;
            Ok(done)
        })
    }
}

/// The photo with this picture. If the library does not have it, nothing is known of it until a file shows it.
fn photo_of(db: &Database, picture: &ContentHash) -> rusqlite::Result<i64> {
    if let Some(photo) = identity::with_hash(db, picture)? {
        return Ok(photo);
    }
    let photo = db
        .prepare_cached("INSERT INTO photo (picture, width, height, format) VALUES (?1, 0, 0, '') RETURNING id")?
        .query_row([picture.as_slice()], |row| row.get(0))?;
    seal::PHOTO.seal(db, "id = ?1", [photo])?;
    Ok(photo)
}

/// What was read later stays.
fn put_text(db: &Database, picture: &ContentHash, text: &PhotoText) -> rusqlite::Result<Fate> {
    let photo = photo_of(db, picture)?;
    let known: Option<i64> = db
        .prepare_cached("SELECT read FROM reading WHERE photo = ?1")?
        .query_row([photo], |row| row.get(0))
        .optional()?;
    if known.is_some_and(|known| known >= text.read) {
        return Ok(Fate::Unchanged);
    }
    readings::put(db, photo, &text.reader, &text.lines, &text.text, Some(text.read))?;
    Ok(if known.is_some() { Fate::Updated } else { Fate::Added })
}

/// The captions of one import.
#[derive(Default)]
struct CaptionImport {
    /// Under which picture the caption of each photo stands in the file from which it is.
    pictures: HashMap<i64, ContentHash>,
}

impl CaptionImport {
    fn put(&mut self, db: &Database, record: &Written) -> rusqlite::Result<Fate> {
        let Written::Caption { picture, paths: files, gone, text, captioner, written, carried } = record else {
            return Ok(Fate::Unchanged);
        };
        let photo = photo_of(db, picture)?;
        let known = identity::caption_text(db, photo)?;
        // An older release knew two files of one picture as two pictures.
        let twin = self.pictures.get(&photo).is_some_and(|other| other != picture);
        let source = CaptionSource::of(captioner.is_none(), carried.is_some());
        let own = CaptionText { text: text.clone(), source, written: *written };
        let both = known.as_ref().filter(|_| twin);
        let both = both.and_then(|known| Some((identity::both_texts(known, &own)?, known.written.max(own.written))));
        let is_newer = known.as_ref().is_none_or(|known| own.replaces(known));
        let Some((text, written)) = both.or(is_newer.then_some((own.text, own.written))) else {
            if known.is_some_and(|known| known.text == *text) {
                self.pictures.insert(photo, *picture);
            }
            return Ok(Fate::Unchanged);
        };
        self.pictures.insert(photo, *picture);
        db.prepare_cached(
            "INSERT OR REPLACE INTO caption (photo, text, folded, captioner, written, carried)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            photo,
            text,
            paths::padded_words(&text),
            captioner,
            written,
            carried.as_deref().map(|path| db.stored(path))
        ])?;
        seal::CAPTION.seal(db, "photo = ?1", [photo])?;
        log(db, photo, About::Words)?;
        if !identity::is_held(db, photo)? {
            files.iter().try_for_each(|path| identity::import_last(db, path, photo, *gone))?;
        }
        Ok(if known.is_some() { Fate::Updated } else { Fate::Added })
    }
}

/// Merges chats. A chat with the same picture, path, model and second as one of the library is the same one if one of
/// them goes on where the other ends; otherwise it was continued in two libraries, and both stay.
fn put_chats(db: &Database, chats: &[&Chat]) -> rusqlite::Result<Merged> {
    let (mut done, mut taken, mut rest) = (Merged::default(), HashSet::new(), Vec::new());
    // Those that are the same first, so that none of them is taken for the beginning of another.
    for chat in chats {
        match like(db, chat)?.iter().find(|known| known.turns == chat.turns && !taken.contains(&known.id)) {
            Some(known) => {
                taken.insert(known.id);
                done.count(Fate::Unchanged);
            }
            None => rest.push(*chat),
        }
    }
    for chat in rest {
        let picture = identity::picture_of(db, &chat.picture)?.unwrap_or(chat.picture);
        let continues =
            |known: &Chat| known.turns.starts_with(&chat.turns) || chat.turns.starts_with(known.turns.as_slice());
        let known = like(db, chat)?.into_iter().find(|known| !taken.contains(&known.id) && continues(known));
        let (id, fate) = match known {
            Some(known) if known.turns.len() >= chat.turns.len() => (known.id, Fate::Unchanged),
            Some(known) => {
                db.execute(
                    "UPDATE conversation SET updated = ?2 WHERE id = ?1",
                    [known.id, known.updated.max(chat.updated)],
                )?;
                (known.id, Fate::Updated)
            }
            None => (super::chats::insert(db, &Chat { picture, ..(*chat).clone() })?, Fate::Added),
        };
        if fate != Fate::Unchanged {
            super::chats::put_turns(db, id, &chat.turns)?;
        }
        taken.insert(id);
        done.count(fate);
    }
    // What an older release knew by the bytes of its file is known by its picture now.
    for Chat { picture, file, .. } in chats.iter().filter(|chat| chat.picture != chat.file) {
        db.prepare_cached("UPDATE conversation SET picture = ?1 WHERE file = ?2 AND picture = file")?
            .execute([picture.as_slice(), file.as_slice()])?;
        seal::CONVERSATION.seal(db, "file = ?1", [file.as_slice()])?;
    }
    Ok(done)
}

/// The library's chats with the same picture, path, model and second.
fn like(db: &Database, chat: &Chat) -> rusqlite::Result<Vec<Chat>> {
    let picture = identity::picture_of(db, &chat.picture)?.unwrap_or(chat.picture);
    super::chats::read(
        db,
        "WHERE (picture = ?1 OR file = ?2) AND path = ?3 AND model = ?4 AND started = ?5 ORDER BY id",
        params![picture.as_slice(), chat.file.as_slice(), db.stored(&chat.path), chat.model, chat.started],
    )
}

fn put_name(db: &Database, name: &str, written: i64, pictures: &[ContentHash]) -> rusqlite::Result<Fate> {
    let fate = fate_of(db, "given_name", name, written)?;
    if fate == Fate::Unchanged {
        return Ok(fate);
    }
    let resolve = |picture: &ContentHash| Ok(identity::picture_of(db, picture)?.unwrap_or(*picture));
    let pictures: Vec<ContentHash> = pictures.iter().map(resolve).collect::<rusqlite::Result<_>>()?;
    given_names::put(db, name, Some(written), &pictures)?;
    Ok(fate)
}

/// The newer order comes first; no photo of either is lost.
fn put_album(db: &Database, name: &str, written: i64, pictures: &[ContentHash]) -> rusqlite::Result<Fate> {
    let fate = fate_of(db, "album", name, written)?;
    let known =
        super::albums::id_of(db, name)?.map_or(Ok(Vec::new()), |album| super::albums::pictures_of(db, album))?;
    let resolve = |picture: &ContentHash| Ok(identity::picture_of(db, picture)?.unwrap_or(*picture));
    let pictures: Vec<ContentHash> = pictures.iter().map(resolve).collect::<rusqlite::Result<_>>()?;
    if fate == Fate::Unchanged && pictures.iter().all(|picture| known.contains(picture)) {
        return Ok(fate);
    }
    let (first, second) = if fate == Fate::Unchanged { (known, pictures) } else { (pictures, known) };
    let is_new = fate != Fate::Unchanged;
    super::albums::put(db, name, is_new.then_some(written), &[first, second].concat())?;
    Ok(if is_new { fate } else { Fate::Updated })
}

/// No tag of either is lost.
fn put_tags(db: &Database, picture: &ContentHash, tags: &[String], written: i64) -> rusqlite::Result<Fate> {
    let picture = identity::picture_of(db, picture)?.unwrap_or(*picture);
    let known = own::tags_of(db, &picture)?;
    own::put_tags(db, &picture, &[known.as_slice(), tags].concat(), Some(written))?;
    Ok(match (known.len(), own::tags_of(db, &picture)?.len()) {
        (0, _) => Fate::Added,
        (before, now) if now > before => Fate::Updated,
        _ => Fate::Unchanged,
    })
}

fn put_rating(db: &Database, picture: &ContentHash, stars: i8, written: i64) -> rusqlite::Result<Fate> {
    let picture = identity::picture_of(db, picture)?.unwrap_or(*picture);
    let known: Option<i64> = db
        .prepare_cached("SELECT written FROM own_rating WHERE picture = ?1")?
        .query_row([picture.as_slice()], |row| row.get(0))
        .optional()?;
    if known.is_some_and(|known| known >= written) {
        return Ok(Fate::Unchanged);
    }
    own::put_rating(db, &picture, Some(stars), Some(written))?;
    Ok(if known.is_some() { Fate::Updated } else { Fate::Added })
}

fn put_search(db: &Database, search: &SavedSearch) -> rusqlite::Result<Fate> {
    let fate = fate_of(db, "saved_search", &search.name, search.written)?;
    if fate != Fate::Unchanged {
        super::searches::put(db, &search.name, &search.query, Some(search.written))?;
    }
    Ok(fate)
}

fn put_label_set(db: &Database, set: &LabelSet, written: i64) -> rusqlite::Result<Fate> {
    let fate = fate_of(db, "label_set", &set.name, written)?;
    if fate != Fate::Unchanged {
        labels::put(db, set, Some(written))?;
    }
    Ok(fate)
}

/// What becomes of a record that a table keeps under its name: the newer one stays.
fn fate_of(db: &Database, table: &str, name: &str, written: i64) -> rusqlite::Result<Fate> {
    let known: Option<i64> = db
        .prepare_cached(&format!("SELECT written FROM {table} WHERE folded = ?1"))?
        .query_row([paths::fold(name)], |row| row.get(0))
        .optional()?;
    Ok(match known {
        None => Fate::Added,
        Some(time) if time < written => Fate::Updated,
        Some(_) => Fate::Unchanged,
    })
}
