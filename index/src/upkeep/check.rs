//! Checking for damage, and repairing what can be repaired.

use crate::catalogue::change_log::{About, log};
use crate::catalogue::library::{Library, current_model};
use crate::catalogue::stored::is_sound;
use crate::error::{Error, Result};
use crate::escape;
use crate::kept::{captions, chats, labels, looks};
use crate::search::{cache, text, vectors};
use rusqlite::{Connection, params};

/// What a check found; empty if everything is in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Everything that is wrong.
    pub findings: Vec<Finding>,
}

/// Something that is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is damaged and where; safe to print on a terminal.
    pub what: String,
    /// What can be done about it.
    pub remedy: Remedy,
}

/// What can be done about damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// [`Library::repair`] rebuilds it.
    Rebuild,
    /// [`Library::repair`] drops it, and the next indexing run computes it again.
    DropAndIndex,
    /// [`Library::repair`] drops it, and it is computed again when it is needed.
    DropUntilNeeded,
    /// It must be written again by hand, or restored from a backup.
    WriteAgain,
    /// It must be restored from a backup; what is left of it can be read.
    Restore,
    /// It must be deleted and saved again.
    SaveAgain,
    /// The library must be made again, or restored from a backup.
    NewLibrary,
    /// It could not be read this time; that says nothing about damage.
    TryAgain,
}

impl Finding {
    /// What an error of the catalogue says about it.
    fn unread(error: &Error) -> Self {
        let remedy = if error.is_damage() { Remedy::NewLibrary } else { Remedy::TryAgain };
        Self::new(error.to_string(), remedy)
    }

    pub(crate) fn new(what: String, remedy: Remedy) -> Self {
        Self { what, remedy }
    }
}

impl Library {
    /// Verifies the catalogue's structure and every cache; with `full`, also every embedding, encoding and look, the
    /// texts of captions and chats, label sets and classifiers, and tantivy's own checksums. A cache that is merely out
    /// of date is not a finding: searches and the next run take care of it.
    ///
    /// # Errors
    /// The catalogue is too damaged to compare the caches with it.
    pub fn check(&self, full: bool) -> Result<CheckReport> {
        let file = escape::path(&self.dir().join("catalogue.sqlite"));
        let in_file = |finding: Finding| Finding { what: format!("{file}: {}", finding.what), ..finding };
        let mut findings: Vec<Finding> = match self.sql(|db| structure(db, full)) {
            Ok(problems) => problems.into_iter().map(|what| in_file(Finding::new(what, Remedy::NewLibrary))).collect(),
            // Everything else to check needs the catalogue.
            Err(error) => {
                return Ok(CheckReport { findings: vec![Finding::unread(&error)] });
            }
        };
        if full {
            for damaged in [self.sql(damaged_vectors), self.sql(damaged_texts)] {
                match damaged {
                    Ok(damaged) => findings.extend(damaged.into_iter().map(in_file)),
                    Err(error) => findings.push(Finding::unread(&error)),
                }
            }
        }
        let caches = [vectors::finding(self)?, text::finding(self, full)?];
        findings.extend(caches.into_iter().flatten().map(|what| Finding::new(what, Remedy::Rebuild)));
        Ok(CheckReport { findings })
    }

    /// Drops damaged embeddings, encodings, looks and classifiers, so that they are computed again, and rebuilds the
    /// caches. Damaged captions, chats and label sets stay: what is left of them may be worth reading.
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
        problems.push(format!("a row of {table} refers to a missing row of {parent}"));
    }
    Ok(problems)
}

fn damaged_vectors(db: &Connection) -> rusqlite::Result<Vec<Finding>> {
    let what = |(photo, model)| format!("the embedding of photo {photo} by model {model} is damaged");
    let damaged = damaged_embeddings(db)?.into_iter();
    Ok(damaged.map(|place| Finding::new(what(place), Remedy::DropAndIndex)).collect())
}

/// Damaged encodings, looks, captions, chats, label sets and classifiers.
fn damaged_texts(db: &Connection) -> rusqlite::Result<Vec<Finding>> {
    let mut damaged = Vec::new();
    for (photo, captioner) in captions::damaged_encodings(db)? {
        let what = format!("the encoding of photo {photo} by captioner {} is damaged", escape::text(&captioner));
        damaged.push(Finding::new(what, Remedy::DropUntilNeeded));
    }
    for photo in looks::damaged(db)? {
        damaged.push(Finding::new(format!("the look of photo {photo} is damaged"), Remedy::DropUntilNeeded));
    }
    for photo in captions::damaged_captions(db)? {
        damaged.push(Finding::new(format!("the caption of photo {photo} is damaged"), Remedy::WriteAgain));
    }
    for id in chats::damaged(db)? {
        damaged.push(Finding::new(format!("chat {id} is damaged"), Remedy::Restore));
    }
    for name in labels::damaged(db)? {
        damaged.push(Finding::new(format!("the label set {:?} is damaged", escape::text(&name)), Remedy::SaveAgain));
    }
    for (set, _) in labels::damaged_classifiers(db)? {
        let what = format!("a classifier of label set {set} is damaged");
        damaged.push(Finding::new(what, Remedy::DropUntilNeeded));
    }
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
