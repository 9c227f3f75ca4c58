//! Chats about pictures.
//!
//! Chats are kept until they are deleted. They refer to their picture by its content, so a picture that is moved,
//! forgotten or was never in the library keeps its chats. Like captions, they are written without a [`crate::Writer`].

use super::captions::LONGEST_CAPTION;
use crate::catalogue::library::Library;
use crate::catalogue::paths;
use crate::catalogue::rows::{Chat, ContentHash, Turn};
use crate::catalogue::stored::{check_length, is_text, text_of};
use crate::error::{Error, Result};
use rusqlite::{Connection, Params, Row, Transaction, TransactionBehavior, params};
use std::path::Path;

/// The most characters that a question may have.
const LONGEST_QUESTION: usize = LONGEST_CAPTION;
/// The most characters that an answer may have.
const LONGEST_ANSWER: usize = 100_000;

const COLUMNS: &str = "id, path, hash, model, started, updated";

impl Library {
    /// Begins a chat about a picture, which need not be in the library, with the model `model` (by the name that the
    /// user knows), and returns the chat's id.
    ///
    /// # Errors
    /// The catalogue cannot be written.
    pub fn begin_chat(&self, hash: &ContentHash, path: &Path, model: &str) -> Result<i64> {
        self.write(|db| {
            db.prepare_cached(
                "INSERT INTO conversation (hash, path, model, started, updated)
                 VALUES (?1, ?2, ?3, unixepoch(), unixepoch()) RETURNING id",
            )?
            .query_row(params![hash.as_slice(), paths::bytes(path), model], |row| row.get(0))
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
                 SELECT ?1, ifnull(max(position), 0) + 1, ?2, ?3 FROM turn WHERE conversation = ?1",
            )?
            .execute(params![chat, question, answer])?;
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
        Ok(self.sql(|db| read(db, "WHERE id = ?1", [id]))?.pop())
    }

    /// All chats, the most recently changed first.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn chats(&self) -> Result<Vec<Chat>> {
        self.sql(|db| read(db, "ORDER BY updated DESC, id DESC", []))
    }

    /// The chats about a picture with this content, the most recently changed first.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn chats_about(&self, hash: &ContentHash) -> Result<Vec<Chat>> {
        self.sql(|db| read(db, "WHERE hash = ?1 ORDER BY updated DESC, id DESC", [hash.as_slice()]))
    }

    fn drop_turns(&self, chat: i64, sql: &str) -> Result<bool> {
        self.write(|db| {
            let any = db.prepare_cached(sql)?.execute([chat])? > 0;
            Ok(any && touch(db, chat)?)
        })
    }
}

/// Records that a chat changed just now; `false` if it does not exist.
fn touch(db: &Connection, id: i64) -> rusqlite::Result<bool> {
    Ok(db.prepare_cached("UPDATE conversation SET updated = unixepoch() WHERE id = ?1")?.execute([id])? > 0)
}

/// Chats with their turns, all read in one transaction.
fn read(db: &Connection, which: &str, values: impl Params) -> rusqlite::Result<Vec<Chat>> {
    let moment = Transaction::new_unchecked(db, TransactionBehavior::Deferred)?;
    let mut statement = moment.prepare_cached(&format!("SELECT {COLUMNS} FROM conversation {which}"))?;
    let mut turns =
        moment.prepare_cached("SELECT question, answer FROM turn WHERE conversation = ?1 ORDER BY position")?;
    let mut chats: Vec<Chat> = statement.query_map(values, chat_of)?.collect::<rusqlite::Result<_>>()?;
    for chat in &mut chats {
        let rows =
            turns.query_map([chat.id], |row| Ok(Turn { question: text_of(row, 0)?, answer: text_of(row, 1)? }))?;
        chat.turns = rows.collect::<rusqlite::Result<_>>()?;
    }
    Ok(chats)
}

fn chat_of(row: &Row<'_>) -> rusqlite::Result<Chat> {
    Ok(Chat {
        id: row.get(0)?,
        path: paths::from_bytes(row.get_ref(1)?.as_blob()?),
        hash: row.get(2)?,
        model: text_of(row, 3)?,
        started: row.get(4)?,
        updated: row.get(5)?,
        turns: Vec::new(),
    })
}

/// Chats in which some text is damaged.
pub(crate) fn damaged(db: &Connection) -> rusqlite::Result<Vec<i64>> {
    let mut statement = db.prepare(
        "SELECT c.id, c.model, ifnull(t.question, ''), ifnull(t.answer, '') FROM conversation c
         LEFT JOIN turn t ON t.conversation = c.id ORDER BY c.id, t.position",
    )?;
    let mut rows = statement.query([])?;
    let mut damaged = Vec::new();
    while let Some(row) = rows.next()? {
        if !is_text(row, 1)? || !is_text(row, 2)? || !is_text(row, 3)? {
            damaged.push(row.get(0)?);
        }
    }
    damaged.dedup();
    Ok(damaged)
}
