//! Chats about pictures.
//!
//! Chats are kept until they are deleted. They refer to their picture by what it shows, so a picture that is moved,
//! given other metadata, forgotten or was never in the library keeps its chats. Like captions, they are written without
//! a [`crate::Writer`].

use crate::catalogue::library::Library;
use crate::catalogue::rows::{Chat, FileIdentity, Turn};
use crate::catalogue::seal;
use crate::catalogue::stored::{LONGEST_CAPTION, check_length, hash_of, text_of};
use crate::engine::{Database, SqlRow, SqlValues};
use crate::error::{Error, Result};
use rusqlite::params;
use std::path::Path;

/// The most characters that a question may have.
pub(crate) const LONGEST_QUESTION: usize = LONGEST_CAPTION;
/// The most characters that an answer may have.
pub(crate) const LONGEST_ANSWER: usize = 100_000;

const COLUMNS: &str = "id, path, picture, file, model, started, updated";

impl Library {
    /// Begins a chat about a picture, which need not be in the library, with the model `model` (by the name that the
    /// user knows), and returns the chat's id.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn begin_chat(&self, identity: &FileIdentity, path: &Path, model: &str) -> Result<i64> {
        self.write(|db| {
            let now = db.query_row("SELECT unixepoch()", [], |row| row.get(0))?;
            let chat = Chat {
                id: 0,
                path: path.to_path_buf(),
                picture: identity.picture,
                file: identity.file,
                model: model.to_owned(),
                started: now,
                updated: now,
                turns: Vec::new(),
            };
            insert(db, &chat)
        })
    }

    /// Adds a question and its answer to the end of a chat.
    ///
    /// # Errors
    /// [`Error::Refused`] for a question of more than 10,000 characters or an answer of more than 100,000;
    /// [`Error::NoChat`]; or the catalogue cannot be written.
    pub fn add_turn(&self, chat: i64, question: &str, answer: &str) -> Result<()> {
        check_length("the question", question, LONGEST_QUESTION)?;
        check_length("the answer", answer, LONGEST_ANSWER)?;
        let known = self.write(|db| {
            if !touch(db, chat)? {
                return Ok(false);
            }
            db.prepare_cached(
                "INSERT INTO turn (conversation, position, question, answer)
                 SELECT ?1, coalesce(max(position), 0) + 1, ?2, ?3 FROM turn WHERE conversation = ?1",
            )?
            .execute(params![chat, question, answer])?;
            let last = "conversation = ?1 AND position = (SELECT max(position) FROM turn WHERE conversation = ?1)";
            seal::TURN.seal(db, last, [chat])?;
            Ok(true)
        })?;
        if known { Ok(()) } else { Err(Error::NoChat { id: chat }) }
    }

    /// Deletes the last turn of a chat, and returns whether there was one.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn drop_last_turn(&self, chat: i64) -> Result<bool> {
        self.drop_turns(
            chat,
            "DELETE FROM turn WHERE conversation = ?1
             AND position = (SELECT max(position) FROM turn WHERE conversation = ?1)",
        )
    }

    /// Deletes all turns of a chat, and returns whether there were any. The chat itself stays, empty.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn clear_chat(&self, id: i64) -> Result<bool> {
        self.drop_turns(id, "DELETE FROM turn WHERE conversation = ?1")
    }

    /// Deletes a chat, and returns whether it existed.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn delete_chat(&self, id: i64) -> Result<bool> {
        self.write(|db| Ok(db.execute("DELETE FROM conversation WHERE id = ?1", [id])? > 0))
    }

    /// The chat with this id.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn chat(&self, id: i64) -> Result<Option<Chat>> {
        Ok(self.at_one_moment(|db| read(db, "WHERE id = ?1", [id]))?.pop())
    }

    /// All chats, the most recently changed first.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn chats(&self) -> Result<Vec<Chat>> {
        self.at_one_moment(|db| read(db, "ORDER BY updated DESC, id DESC", []))
    }

    /// The chats about a picture, the most recently changed first.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn chats_about(&self, identity: &FileIdentity) -> Result<Vec<Chat>> {
        // Older releases knew a picture by all bytes of its file.
        let which = "WHERE picture = ?1 OR file = ?2 ORDER BY updated DESC, id DESC";
        self.at_one_moment(|db| read(db, which, params![identity.picture.as_slice(), identity.file.as_slice()]))
    }

    fn drop_turns(&self, chat: i64, sql: &str) -> Result<bool> {
        self.write(|db| {
            let any = db.prepare_cached(sql)?.execute([chat])? > 0;
            Ok(any && touch(db, chat)?)
        })
    }
}

/// Records that a chat changed just now; `false` if it does not exist.
fn touch(db: &Database, id: i64) -> rusqlite::Result<bool> {
    let exists = db.prepare_cached("UPDATE conversation SET updated = unixepoch() WHERE id = ?1")?.execute([id])? > 0;
    seal::CONVERSATION.seal(db, "id = ?1", [id])?;
    Ok(exists)
}

/// Adds a chat without its turns, and returns its id.
pub(crate) fn insert(db: &Database, chat: &Chat) -> rusqlite::Result<i64> {
    let Chat { path, picture, file, model, started, updated, .. } = chat;
    let id = db
        .prepare_cached(
            "INSERT INTO conversation (picture, file, path, model, started, updated)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id",
        )?
        .query_row(params![picture.as_slice(), file.as_slice(), db.stored(path), model, started, updated], |row| {
            row.get(0)
        })?;
    seal::CONVERSATION.seal(db, "id = ?1", [id])?;
    Ok(id)
}

/// Replaces the turns of a chat.
pub(crate) fn put_turns(db: &Database, chat: i64, turns: &[Turn]) -> rusqlite::Result<()> {
    db.execute("DELETE FROM turn WHERE conversation = ?1", [chat])?;
    for (position, Turn { question, answer }) in (1..).zip(turns) {
        db.prepare_cached("INSERT INTO turn (conversation, position, question, answer) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![chat, position, question, answer])?;
    }
    seal::TURN.seal(db, "conversation = ?1", [chat])?;
    seal::CONVERSATION.seal(db, "id = ?1", [chat])
}

/// Chats with their turns. They belong together only if all are read in one transaction.
pub(crate) fn read(db: &Database, which: &str, values: impl SqlValues) -> rusqlite::Result<Vec<Chat>> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM conversation {which}"))?;
    let mut turns = db.prepare_cached("SELECT question, answer FROM turn WHERE conversation = ?1 ORDER BY position")?;
    let mut chats: Vec<Chat> = statement.query_map(values, chat_of)?.collect::<rusqlite::Result<_>>()?;
    for chat in &mut chats {
        let rows =
            turns.query_map([chat.id], |row| Ok(Turn { question: text_of(row, 0)?, answer: text_of(row, 1)? }))?;
        chat.turns = rows.collect::<rusqlite::Result<_>>()?;
    }
    Ok(chats)
}

fn chat_of(row: &SqlRow<'_>) -> rusqlite::Result<Chat> {
    Ok(Chat {
        id: row.get(0)?,
        path: row.path(1)?,
        picture: hash_of(row, 2)?,
        file: hash_of(row, 3)?,
        model: text_of(row, 4)?,
        started: row.get(5)?,
        updated: row.get(6)?,
        turns: Vec::new(),
    })
}
