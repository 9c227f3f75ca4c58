//! What people and models wrote, taken out of a library and merged into another one. It refers to pictures by their
//! hashes and paths, so that it outlives the library, and needs nothing that can be computed again.

use super::chats::{LONGEST_ANSWER, LONGEST_QUESTION};
use super::{clusters, given_names, labels};
use crate::catalogue::change_log::{About, log};
use crate::catalogue::library::Library;
use crate::catalogue::rows::{Chat, ContentHash};
use crate::catalogue::seal;
use crate::catalogue::stored::{LONGEST_CAPTION, check_length, text_of};
use crate::catalogue::writer::{Writer, forget_below, put_forgotten};
use crate::catalogue::{identity, paths};
use crate::error::{Error, Result};
use crate::kept::labels::LabelSet;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
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
        /// The text.
        text: String,
        /// Fingerprint of the model that wrote it; `None` if it was written by hand.
        captioner: Option<String>,
        /// When, in seconds since 1970.
        written: i64,
        /// As [`crate::Caption::carried`].
        carried: Option<PathBuf>,
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
    /// Chats.
    pub chats: Merged,
    /// Names of clusters.
    pub names: Merged,
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

impl Library {
    /// Calls `take` with everything that people and models wrote, in an order that depends on nothing else. All of it
    /// is read at one moment.
    ///
    /// # Errors
    /// The catalogue cannot be read, or `take` fails.
    pub fn written<E: From<crate::Error>>(
        &self,
        mut take: impl FnMut(Written) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let all = self.at_one_moment(|db| {
            let mut all = captions(db)?;
            all.extend(chats(db)?);
            all.extend(names(db)?);
            all.extend(labels::with_times(db)?.into_iter().map(|(set, written)| Written::LabelSet { set, written }));
            all.extend(forgotten(db)?);
            Ok(all)
        })?;
        all.into_iter().try_for_each(&mut take)
    }
}

fn captions(db: &Connection) -> rusqlite::Result<Vec<Written>> {
    let mut statement = db.prepare(
        "SELECT p.picture, c.text, c.captioner, c.written, c.carried, p.id FROM caption c JOIN photo p ON p.id = c.photo
         ORDER BY p.picture",
    )?;
    let mut files = db.prepare(
        "SELECT path FROM file WHERE photo = ?1 UNION SELECT path FROM last_seen WHERE photo = ?1 ORDER BY path",
    )?;
    let mut rows = statement.query([])?;
    let mut captions = Vec::new();
    while let Some(row) = rows.next()? {
        let paths =
            files.query_map([row.get::<_, i64>(5)?], |row| Ok(paths::from_bytes(row.get_ref(0)?.as_blob()?)))?;
        captions.push(Written::Caption {
            picture: row.get(0)?,
            paths: paths.collect::<rusqlite::Result<_>>()?,
            text: text_of(row, 1)?,
            captioner: row.get(2)?,
            written: row.get(3)?,
            carried: row.get_ref(4)?.as_blob_or_null()?.map(paths::from_bytes),
        });
    }
    Ok(captions)
}

fn chats(db: &Connection) -> rusqlite::Result<Vec<Written>> {
    let chats = super::chats::read(db, "ORDER BY picture, started, path, model, id", [])?;
    Ok(chats.into_iter().map(Written::Chat).collect())
}

fn names(db: &Connection) -> rusqlite::Result<Vec<Written>> {
    let mut statement = db.prepare("SELECT id, name, written FROM given_name ORDER BY folded")?;
    let mut pictures = db.prepare("SELECT picture FROM named_picture WHERE name = ?1 ORDER BY picture")?;
    let mut rows = statement.query([])?;
    let mut names = Vec::new();
    while let Some(row) = rows.next()? {
        let pictures = pictures.query_map([row.get::<_, i64>(0)?], |row| row.get(0))?;
        let pictures = pictures.collect::<rusqlite::Result<_>>()?;
        names.push(Written::Name { name: text_of(row, 1)?, written: row.get(2)?, pictures });
    }
    Ok(names)
}

fn forgotten(db: &Connection) -> rusqlite::Result<Vec<Written>> {
    let mut statement = db.prepare("SELECT path, forgotten FROM forgotten ORDER BY path")?;
    let rows = statement.query_map([], |row| {
        Ok(Written::Forgotten { path: paths::from_bytes(row.get_ref(0)?.as_blob()?), forgotten: row.get(1)? })
    })?;
    rows.collect()
}

impl Writer<'_> {
    /// Merges records into the library, all or none: what a person wrote wins over what a model wrote, otherwise the
    /// newer one wins. Captions of pictures that the library does not hold wait for them.
    ///
    /// # Errors
    /// [`crate::Error::Refused`] for a record that the library could not have written itself, or the catalogue cannot
    /// be written.
    pub fn import(&mut self, records: &[Written]) -> Result<Imported> {
        records.iter().try_for_each(check)?;
        let roots = self.library.roots()?;
        self.write(|db| {
            let mut done = Imported::default();
            for record in records {
                match record {
                    Written::Caption { .. } => done.captions.count(put_caption(db, record)?),
                    Written::Chat(chat) => done.chats.count(put_chat(db, chat)?),
                    Written::Name { name, written, pictures } => {
                        done.names.count(put_name(db, name, *written, pictures)?);
                    }
                    Written::LabelSet { set, written } => done.label_sets.count(put_label_set(db, set, *written)?),
                    Written::Forgotten { path, forgotten } => {
                        let mut known = db.prepare_cached("SELECT 1 FROM forgotten WHERE path = ?1")?;
                        // What is a folder of this library is not dropped by what another one forgot.
                        let covers = *forgotten && roots.iter().any(|root| root.starts_with(path));
                        let known = covers || known.exists([paths::bytes(path)])?;
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
            // At once, so that a kill leaves nothing halfway.
            identity::carry_captions(db)?;
            db.execute(&format!("DELETE {}", identity::ORPHANS), [])?;
            Ok(done)
        })
    }
}

/// Refuses what could not have been written otherwise.
fn check(record: &Written) -> Result<()> {
    match record {
        Written::Caption { text, .. } => check_length("a caption", text, LONGEST_CAPTION),
        Written::Chat(chat) => chat.turns.iter().try_for_each(|turn| {
            check_length("a question", &turn.question, LONGEST_QUESTION)?;
            check_length("an answer", &turn.answer, LONGEST_ANSWER)
        }),
        Written::Name { name, .. } => clusters::check_name(name),
        Written::LabelSet { set, .. } => set.check_all(),
        // Everything is below an empty path.
        Written::Forgotten { path, .. } if !path.is_absolute() => {
            Err(Error::Refused { what: "a forgotten path".into(), reason: "it is not absolute".into() })
        }
        Written::Forgotten { .. } => Ok(()),
    }
}

fn put_caption(db: &Connection, record: &Written) -> rusqlite::Result<Fate> {
    let Written::Caption { picture, paths: files, text, captioner, written, carried } = record else {
        return Ok(Fate::Unchanged);
    };
    let photo = match identity::with_hash(db, picture)? {
        Some(photo) => photo,
        None => {
            // Nothing is known of the picture until a file shows it.
            let photo = db
                .prepare_cached(
                    "INSERT INTO photo (picture, width, height, format) VALUES (?1, 0, 0, '') RETURNING id",
                )?
                .query_row([picture.as_slice()], |row| row.get(0))?;
            seal::PHOTO.seal(db, "id = ?1", [photo])?;
            photo
        }
    };
    let known: Option<(bool, i64)> = db
        .prepare_cached("SELECT captioner IS NULL, written FROM caption WHERE photo = ?1")?
        .query_row([photo], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if known.is_some_and(|known| known >= (captioner.is_none(), *written)) {
        return Ok(Fate::Unchanged);
    }
    db.prepare_cached(
        "INSERT OR REPLACE INTO caption (photo, text, folded, captioner, written, carried)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        photo,
        text,
        paths::padded_words(text),
        captioner,
        written,
        carried.as_deref().map(paths::bytes)
    ])?;
    seal::CAPTION.seal(db, "photo = ?1", [photo])?;
    log(db, photo, About::Words)?;
    if !db.prepare_cached("SELECT 1 FROM file WHERE photo = ?1")?.exists([photo])? {
        files.iter().try_for_each(|path| identity::remember_last(db, path, photo))?;
    }
    Ok(if known.is_some() { Fate::Updated } else { Fate::Added })
}

fn put_chat(db: &Connection, chat: &Chat) -> rusqlite::Result<Fate> {
    let Chat { path, picture, file, model, started, updated, turns, .. } = chat;
    let picture = identity::picture_of(db, picture)?.unwrap_or(*picture);
    let known: Option<(i64, i64)> = db
        .prepare_cached(
            "SELECT id, updated FROM conversation WHERE (picture = ?1 OR file = ?2) AND path = ?3 AND model = ?4
             AND started = ?5",
        )?
        .query_row(params![picture.as_slice(), file.as_slice(), paths::bytes(path), model, started], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let (id, fate) = match known {
        Some((_, time)) if time >= *updated => return Ok(Fate::Unchanged),
        Some((id, _)) => {
            db.execute("DELETE FROM turn WHERE conversation = ?1", [id])?;
            db.execute("UPDATE conversation SET updated = ?2 WHERE id = ?1", [id, *updated])?;
            (id, Fate::Updated)
        }
        None => {
            let id = db
                .prepare_cached(
                    "INSERT INTO conversation (picture, file, path, model, started, updated)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id",
                )?
                .query_row(
                    params![picture.as_slice(), file.as_slice(), paths::bytes(path), model, started, updated],
                    |row| row.get(0),
                )?;
            (id, Fate::Added)
        }
    };
    for (position, turn) in turns.iter().enumerate() {
        db.prepare_cached("INSERT INTO turn (conversation, position, question, answer) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![id, position + 1, turn.question, turn.answer])?;
    }
    seal::CONVERSATION.seal(db, "id = ?1", [id])?;
    seal::TURN.seal(db, "conversation = ?1", [id])?;
    Ok(fate)
}

fn put_name(db: &Connection, name: &str, written: i64, pictures: &[ContentHash]) -> rusqlite::Result<Fate> {
    let fate = fate_of(db, "given_name", name, written)?;
    if fate == Fate::Unchanged {
        return Ok(fate);
    }
    let resolve = |picture: &ContentHash| Ok(identity::picture_of(db, picture)?.unwrap_or(*picture));
    let pictures: Vec<ContentHash> = pictures.iter().map(resolve).collect::<rusqlite::Result<_>>()?;
    given_names::put(db, name, Some(written), &pictures)?;
    Ok(fate)
}

fn put_label_set(db: &Connection, set: &LabelSet, written: i64) -> rusqlite::Result<Fate> {
    let fate = fate_of(db, "label_set", &set.name, written)?;
    if fate != Fate::Unchanged {
        labels::put(db, set, Some(written))?;
    }
    Ok(fate)
}

/// What becomes of a record that a table keeps under its name: the newer one stays.
fn fate_of(db: &Connection, table: &str, name: &str, written: i64) -> rusqlite::Result<Fate> {
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
