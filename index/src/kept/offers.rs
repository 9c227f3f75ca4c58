//! Files that the machine that indexes hands out to others to read and embed.
//!
//! A file is offered, held by one helper, and done; then the machine that indexes takes it off the list. It does itself
//! what nobody has taken and, in the end, what helpers have not brought: what is computed twice is written once, so a
//! helper that dies costs nothing but its work.

use crate::catalogue::library::{Library, models_of};
use crate::catalogue::rows::{Change, FileStamp, ModelRecord};
use crate::catalogue::stored::{size_of, stored_size};
use crate::catalogue::writer::Writer;
use crate::engine::postgres::server::Server;
use crate::engine::{Database, values_of};
use crate::error::Result;
use rusqlite::params;
use rusqlite::types::Value;
use std::path::PathBuf;
use std::time::Duration;

/// The name of the lock that all helpers share.
const HELPERS: &str = "helpers";

/// A file that is handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedFile {
    /// The file.
    pub path: PathBuf,
    /// The root under which it was found.
    pub root: PathBuf,
    /// Its stamp, as the machine that indexes sees it.
    pub stamp: FileStamp,
}

/// What became of a file that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferOutcome {
    /// It was embedded.
    Embedded,
    /// It was embedded, but not all of it could be read.
    Doubtful,
    /// The library knew its picture.
    Known,
    /// The helper cannot read it, or sees no such file: that is for the machine that indexes to judge.
    Declined,
}

impl OfferOutcome {
    const ALL: [Self; 4] = [Self::Embedded, Self::Doubtful, Self::Known, Self::Declined];

    fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Doubtful => "doubtful",
            Self::Known => "known",
            Self::Declined => "declined",
        }
    }
}

/// The list of a library on a server, as one process uses it.
#[derive(Debug)]
pub struct Offers {
    library: Library,
    holder: String,
}

impl Library {
    /// The files that are handed out, over a connection of its own; `None` of a library in a folder, which one process
    /// indexes.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub fn offers(&self) -> Result<Option<Offers>> {
        if self.server().is_none() {
            return Ok(None);
        }
        Offers::over(self.reopen()?).map(Some)
    }
}

impl Offers {
    fn over(library: Library) -> Result<Self> {
        let holder = library.sql(|db| db.query_row("SELECT gen_random_uuid()::text", [], |row| row.get(0)))?;
        Ok(Self { library, holder })
    }

    /// Opens the list again, for another thread.
    ///
    /// # Errors
    /// As for [`Library::reopen`].
    pub fn reopen(&self) -> Result<Self> {
        Self::over(self.library.reopen()?)
    }

    /// Takes everything off the list: it is that of a run that has ended or begins.
    ///
    /// # Errors
    /// The server cannot be asked, here and below.
    pub fn clear(&self) -> Result<()> {
        self.library.sql(|db| db.execute("DELETE FROM offer", []).map(drop))
    }

    /// The library's models now, the current one first.
    ///
    /// # Errors
    /// As above.
    pub fn models(&self) -> Result<Vec<ModelRecord>> {
        Ok(self.library.sql(models_of)?.into_iter().map(|(model, _)| model.record).collect())
    }

    /// Whether another process waits for files.
    ///
    /// # Errors
    /// As above.
    pub fn has_helpers(&self) -> Result<bool> {
        self.server(|server| server.is_shared(HELPERS))
    }

    /// Hands out files, and wakes those who wait for them.
    ///
    /// # Errors
    /// As above.
    pub fn put(&self, files: &[OfferedFile]) -> Result<()> {
        const AT_ONCE: usize = 200;
        self.library.write(|db| {
            for some in files.chunks(AT_ONCE) {
                let row = |n: usize| format!("(?{}, ?{}, ?{}, ?{})", 4 * n + 1, 4 * n + 2, 4 * n + 3, 4 * n + 4);
                let rows = (0..some.len()).map(row).collect::<Vec<_>>().join(", ");
                let blob = |path| Value::Blob(db.stored(path).into_owned());
                let values = some.iter().flat_map(|OfferedFile { path, root, stamp }| {
                    [blob(path), blob(root), stored_size(stamp.size).into(), stamp.mtime_ns.into()]
                });
                let sql = format!("INSERT OR IGNORE INTO offer (path, root, size, mtime_ns) VALUES {rows}");
                db.execute(&sql, values_of(values))?;
            }
            Ok(())
        })
    }

    /// Whether there is a file that nobody has taken.
    ///
    /// # Errors
    /// As above.
    pub fn is_any_left(&self) -> Result<bool> {
        let sql = "SELECT 1 FROM offer WHERE holder IS NULL AND outcome IS NULL LIMIT 1";
        self.library.sql(|db| db.prepare_cached(sql)?.exists([]))
    }

    /// Says that this process waits for files, as long as the value lives.
    ///
    /// # Errors
    /// As above.
    pub fn volunteer(&self) -> Result<()> {
        self.server(|server| server.share(HELPERS))
    }

    /// Takes at most `n` files to work on that nobody has, but none of these roots.
    ///
    /// # Errors
    /// As above.
    pub fn take(&self, n: usize, but: &[PathBuf]) -> Result<Vec<OfferedFile>> {
        let marks = (0..but.len()).map(|at| format!(" AND root <> ?{}", at + 2)).collect::<String>();
        let sql = format!(
            "UPDATE offer SET holder = ?1 WHERE id IN (SELECT id FROM offer WHERE holder IS NULL AND outcome IS NULL
             {marks} ORDER BY id LIMIT {n} FOR UPDATE SKIP LOCKED) RETURNING path, root, size, mtime_ns"
        );
        self.library.sql(|db| {
            let but = but.iter().map(|root| Value::Blob(db.stored(root).into_owned()));
            let values: Vec<Value> = std::iter::once(Value::Text(self.holder.clone())).chain(but).collect();
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query_map(values_of(&values), |row| {
                let stamp = FileStamp { size: size_of(row.get(2)?), mtime_ns: row.get(3)? };
                Ok(OfferedFile { path: row.path(0)?, root: row.path(1)?, stamp })
            })?;
            let mut files: Vec<OfferedFile> = rows.collect::<rusqlite::Result<_>>()?;
            files.sort_by(|a, b| a.path.cmp(&b.path));
            Ok(files)
        })
    }

    /// Says that these files are for the machine that indexes.
    ///
    /// # Errors
    /// As above.
    pub fn decline(&self, paths: Vec<PathBuf>) -> Result<()> {
        let done: Vec<_> = paths.into_iter().map(|path| (path, OfferOutcome::Declined)).collect();
        self.library.sql(|db| close(db, &done))
    }

    /// Gives back what this process has taken and not done.
    ///
    /// # Errors
    /// As above.
    pub fn give_back(&self) -> Result<()> {
        let sql = "UPDATE offer SET holder = NULL WHERE holder = ?1 AND outcome IS NULL";
        self.library.sql(|db| db.execute(sql, [&self.holder]).map(drop))
    }

    /// Takes what is done off the list.
    ///
    /// # Errors
    /// As above.
    pub fn collect(&self) -> Result<Vec<(PathBuf, OfferOutcome)>> {
        let sql = "DELETE FROM offer WHERE outcome IS NOT NULL RETURNING path, outcome";
        let rows: Vec<(PathBuf, String)> = self
            .library
            .sql(|db| db.prepare_cached(sql)?.query_map([], |row| Ok((row.path(0)?, row.get(1)?)))?.collect())?;
        let outcome = |text: String| OfferOutcome::ALL.into_iter().find(|known| known.as_str() == text);
        // What a newer release may say is not known here.
        Ok(rows.into_iter().map(|(path, text)| (path, outcome(text).unwrap_or(OfferOutcome::Declined))).collect())
    }

    /// Takes at most `n` files off the list that are not done: those that nobody has, or (`held`) that others work on.
    ///
    /// # Errors
    /// As above.
    pub fn take_back(&self, n: usize, held: bool) -> Result<Vec<PathBuf>> {
        let which = if held { "IS NOT NULL" } else { "IS NULL" };
        let sql = format!(
            "DELETE FROM offer WHERE id IN (SELECT id FROM offer WHERE outcome IS NULL AND holder {which} ORDER BY id
             LIMIT {n} FOR UPDATE SKIP LOCKED) RETURNING path"
        );
        self.library.sql(|db| db.prepare_cached(&sql)?.query_map([], |row| row.path(0))?.collect())
    }

    /// Waits until somebody has written to the library, at most so long. Returns whether somebody has.
    ///
    /// # Errors
    /// As above.
    pub fn wait(&self, at_most: Duration) -> Result<bool> {
        self.server(|server| server.wait_for_commit(at_most))
    }

    fn server<T>(&self, work: impl FnOnce(&Server) -> rusqlite::Result<T>) -> Result<T> {
        self.library.sql(|db| db.server().map_or(Err(rusqlite::Error::QueryReturnedNoRows), work))
    }
}

impl Writer<'_> {
    /// Makes these changes, and records what became of the files that were handed out to this process, all at once.
    ///
    /// # Errors
    /// As for [`Writer::apply`].
    pub fn bring(&mut self, changes: &[Change], done: &[(PathBuf, OfferOutcome)]) -> Result<()> {
        self.apply_and(changes, &|db| close(db, done))
    }
}

fn close(db: &Database, done: &[(PathBuf, OfferOutcome)]) -> rusqlite::Result<()> {
    for (path, outcome) in done {
        db.prepare_cached("UPDATE offer SET outcome = ?2 WHERE path = ?1")?
            .execute(params![db.stored(path), outcome.as_str()])?;
    }
    Ok(())
}
