//! Looking for damage, and mending what can be mended.

use crate::catalogue::library::{Library, current_model};
use crate::catalogue::paths::{printable, shown};
use crate::catalogue::writer::log;
use crate::error::Result;
use crate::kept::{captions, chats, labels, looks};
use crate::search::cache::{self, About};
use crate::search::text;
use crate::search::vectors::{self, is_sound};
use rusqlite::{Connection, params};
use serde::Serialize;

/// What a check found; empty if everything is in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// One finding each, with file and remedy.
    pub findings: Vec<String>,
}

const REBUILD: &str = "`snapseek check --repair` makes it anew";

impl Library {
    /// Verifies the catalogue's structure and every cache; with `full`, also every embedding, encoding and look, the texts of
    /// captions and chats, and tantivy's own checksums. A cache that is merely behind is no finding: searches and the next run take care of it.
    ///
    /// # Errors
    /// The caches cannot be compared with the catalogue, which is damaged.
    pub fn check(&self, full: bool) -> Result<CheckReport> {
        let file = self.dir().join("catalogue.sqlite");
        let remedy = "move the library away and index again, or restore it from a backup";
        let beyond = |problem: String| format!("{}: {problem}; {remedy}", shown(&file));
        let mut findings: Vec<String> = match self.sql(|db| structure(db, full)) {
            Ok(problems) => problems.into_iter().map(beyond).collect(),
            // Whatever else there is to be said stands in the catalogue.
            Err(error) => return Ok(CheckReport { findings: vec![error.to_string()] }),
        };
        if full {
            match self.sql(damaged_embeddings) {
                Ok(damaged) => findings.extend(damaged.into_iter().map(|(photo, model)| {
                    format!(
                        "{}: the embedding of photo {photo} by model {model} is damaged; `snapseek check --repair` \
                         drops it, and the next `snapseek index` computes it again",
                        shown(&file)
                    )
                })),
                Err(error) => findings.push(error.to_string()),
            }
            match self.sql(damaged_texts) {
                Ok(damaged) => findings.extend(damaged.into_iter().map(|what| format!("{}: {what}", shown(&file)))),
                Err(error) => findings.push(error.to_string()),
            }
        }
        let caches = [vectors::finding(self)?, text::finding(self, full)?];
        findings.extend(caches.into_iter().flatten().map(|finding| format!("{finding}; {REBUILD}")));
        Ok(CheckReport { findings })
    }

    /// Drops damaged embeddings, encodings and looks, so that they are computed again, and makes the caches anew. Damaged
    /// captions and chats stay: what is left of them may be worth reading.
    ///
    /// # Errors
    /// Another process is writing, or the catalogue or the disk fails.
    pub fn repair(&self) -> Result<()> {
        let mut writer = self.lock()?;
        let damaged = self.sql(damaged_embeddings)?;
        let encodings = self.sql(captions::damaged_encodings)?;
        let classifiers = self.sql(labels::damaged_classifiers)?;
        let looks = self.sql(looks::damaged)?;
        writer.write(|db| {
            for (photo, model) in &damaged {
                db.execute("DELETE FROM embedding WHERE photo = ?1 AND model = ?2", [photo, model])?;
                log(db, *photo, About::Photo)?;
            }
            for (photo, captioner) in &encodings {
                db.execute("DELETE FROM encoding WHERE photo = ?1 AND captioner = ?2", params![photo, captioner])?;
            }
            for (set, fingerprint) in &classifiers {
                db.execute(
                    "DELETE FROM classifier WHERE label_set = ?1 AND fingerprint = ?2",
                    params![set, fingerprint],
                )?;
            }
            for photo in &looks {
                db.execute("DELETE FROM look WHERE photo = ?1", [photo])?;
            }
            Ok(())
        })?;
        cache::clear(&vectors::folder(self))?;
        cache::clear(&text::folder(self))?;
        writer.refresh_caches(&mut |_, _, _| true)
    }
}

fn structure(db: &Connection, full: bool) -> rusqlite::Result<Vec<String>> {
    let check = if full { "PRAGMA integrity_check(20)" } else { "PRAGMA quick_check(20)" };
    let mut problems: Vec<String> = db.prepare(check)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    problems.retain(|problem| problem != "ok");
    let mut statement = db.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        problems.push(format!("a row of {table} belongs to no {parent}"));
    }
    Ok(problems)
}

/// What is wrong with encodings, looks, captions and chats, and what helps.
fn damaged_texts(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut damaged: Vec<String> = captions::damaged_encodings(db)?
        .into_iter()
        .map(|(photo, captioner)| {
            format!(
                "what the captioner {} saw of photo {photo} is damaged; `snapseek check --repair` drops it, and it is \
                 computed again when it is needed",
                printable(&captioner)
            )
        })
        .collect();
    damaged.extend(looks::damaged(db)?.into_iter().map(|photo| {
        format!(
            "the look of photo {photo} is damaged; `snapseek check --repair` drops it, and the next \
             `snapseek duplicates` makes it again"
        )
    }));
    damaged.extend(captions::damaged_captions(db)?.into_iter().map(|photo| {
        format!("the caption of photo {photo} is damaged; write it anew, or restore the catalogue from a backup")
    }));
    damaged.extend(
        chats::damaged(db)?
            .into_iter()
            .map(|id| format!("chat {id} is damaged; read what is left of it, or restore the catalogue from a backup")),
    );
    damaged.extend(labels::damaged(db)?);
    Ok(damaged)
}

/// Photo and model of the embeddings whose checksum or length is wrong.
fn damaged_embeddings(db: &Connection) -> rusqlite::Result<Vec<(i64, i64)>> {
    if current_model(db)?.is_none() {
        return Ok(Vec::new());
    }
    let mut statement = db.prepare(
        "SELECT photo, model, checksum, vector, dim FROM embedding JOIN model ON model.id = model ORDER BY photo, model",
    )?;
    let mut rows = statement.query([])?;
    let mut damaged = Vec::new();
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(3)?.as_blob()?;
        let (checksum, dim): (i64, usize) = (row.get(2)?, row.get(4)?);
        if !is_sound(bytes, dim, checksum) {
            damaged.push((row.get(0)?, row.get(1)?));
        }
    }
    Ok(damaged)
}
