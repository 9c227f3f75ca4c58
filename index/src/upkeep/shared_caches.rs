//! Caches that the machines of a library on a server share. Who indexes puts the files of its caches there, and a
//! machine whose own are missing, or far behind, takes them from there instead of making them from the catalogue: that
//! takes seconds where a graph takes minutes. They are verified like all cache files, and as little trusted.

use crate::catalogue::library::{Library, models_of};
use crate::catalogue::private_file::{create, private_folder};
use crate::engine::{Database, values_of};
use crate::error::{Error, Result};
use crate::search::cache::{self, CacheFile};
use crate::search::segments::SegmentKind;
use crate::search::{text, vectors};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, params};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// How many changes behind this machine's caches of a library on a server may be before a search brings them up to
/// date.
pub(super) const FAR: i64 = 1_000;
/// Bytes of a file in one row.
const PIECE: usize = 4 << 20;

/// The name of a cache on the server: those of different models, and of releases that split words differently, are
/// different ones.
fn name(kind: &SegmentKind<'_>) -> String {
    format!("{} {:016x}", kind.name, kind.basis)
}

/// Takes a cache from the server if this machine's own is far behind it.
///
/// # Errors
/// The server cannot be asked, or the files cannot be written.
pub(super) fn fetch(library: &Library, kind: &SegmentKind<'_>) -> Result<()> {
    if library.server().is_none() {
        return Ok(());
    }
    let (name, incoming) = (name(kind), library.dir().join("incoming"));
    let is_there = library.at_one_moment(|db| {
        let Some((seq, files)) = offered(db, &name)? else { return Ok(Ok(false)) };
        let own = kind.open(db)?.map_or(0, |segments| segments.stamp.seq);
        if seq - own < FAR { Ok(Ok(false)) } else { receive(db, &name, &files, kind.folder, &incoming) }
    })??;
    if !is_there {
        return Ok(());
    }
    // Who has the former files open keeps them.
    cache::clear(kind.folder)?;
    if let Some(parent) = kind.folder.parent() {
        private_folder(parent)?;
    }
    std::fs::rename(&incoming, kind.folder).map_err(Error::io(kind.folder))
}

impl Library {
    /// Lets the machines of this library, on a server, take the caches of another one, of which it is a copy, in the
    /// place of making them.
    ///
    /// # Errors
    /// The server cannot be written, or the files cannot be read.
    pub fn share_caches_of(&self, copied: &Self) -> Result<()> {
        offer_all(self, copied.dir()).map(drop)
    }
}

/// Puts the files of a cache on the server, as far as they are not there. Returns whether some were not.
fn offer(library: &Library, kind: &SegmentKind<'_>) -> Result<bool> {
    let Some((seq, files)) =
        library.sql(|db| Ok(kind.open(db)?.and_then(|segments| Some((segments.stamp.seq, segments.files()?)))))?
    else {
        return Ok(false);
    };
    let name = name(kind);
    let (known_seq, known) = library.sql(|db| offered(db, &name))?.unwrap_or_default();
    if known == files && known_seq == seq {
        return Ok(false);
    }
    for file in files.iter().filter(|file| !known.contains(file)) {
        send(library, &name, *file, kind.folder)?;
    }
    let list: Vec<String> = files.iter().map(|file| format!("{}:{}", file.number, file.sum)).collect();
    library.sql(|db| {
        let transaction = db.begin_writing()?;
        transaction.execute("DELETE FROM shared_cache WHERE name = ?1", [&name])?;
        transaction.execute(
            "INSERT INTO shared_cache (name, seq, files) VALUES (?1, ?2, ?3)",
            params![name, seq, list.join(",")],
        )?;
        for file in known.iter().filter(|file| !files.contains(file)) {
            transaction
                .execute(&format!("DELETE FROM shared_file WHERE {OF_FILE}"), values_of(file_key(&name, *file)))?;
        }
        transaction.commit()
    })?;
    Ok(true)
}

/// Puts the caches in the folder of a library on the server, that of this machine or of one with the same change log,
/// and removes from there what is no cache of the library any more. Returns whether there was anything to put there.
///
/// # Errors
/// The server cannot be written, or the files cannot be read.
pub(super) fn offer_all(library: &Library, dir: &Path) -> Result<bool> {
    if library.server().is_none() {
        return Ok(false);
    }
    let (mut names, mut is_new) = (Vec::new(), false);
    for (model, _) in library.sql(models_of)? {
        let folder = vectors::folder_in(dir, &model);
        vectors::with_kind(&model, &folder, |kind| {
            names.push(name(kind));
            is_new |= offer(library, kind)?;
            Ok::<(), Error>(())
        })?;
    }
    let folder = text::folder_in(dir);
    let kind = text::kind(&folder);
    names.push(name(&kind));
    is_new |= offer(library, &kind)?;
    let marks = vec!["?"; names.len()].join(", ");
    library.sql(|db| {
        for table in ["shared_cache", "shared_file"] {
            db.execute(&format!("DELETE FROM {table} WHERE name NOT IN ({marks})"), values_of(&names))?;
        }
        Ok(())
    })?;
    Ok(is_new)
}

/// What is offered of a cache: how far it goes in the change log, and its files.
fn offered(db: &Database, name: &str) -> rusqlite::Result<Option<(i64, Vec<CacheFile>)>> {
    let row: Option<(i64, String)> = db
        .prepare_cached("SELECT seq, files FROM shared_cache WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let file = |text: &str| {
        let (number, sum) = text.split_once(':')?;
        Some(CacheFile { number: number.parse().ok()?, sum: sum.parse().ok()? })
    };
    // What a newer release may have written is as good as nothing.
    Ok(row.and_then(|(seq, files)| Some((seq, files.split(',').map(file).collect::<Option<Vec<_>>>()?))))
}

/// Whether a row is one of the file of [`file_key`].
const OF_FILE: &str = "name = ?1 AND number = ?2 AND sum = ?3";

fn file_key(name: &str, file: CacheFile) -> [Value; 3] {
    [Value::Text(name.to_owned()), Value::Integer(file.number as i64), Value::Integer(file.sum as i64)]
}

fn send(library: &Library, name: &str, file: CacheFile, folder: &Path) -> Result<()> {
    let path = cache::path_of(folder, file.number);
    let bytes = File::open(&path).map_err(Error::io(&path))?;
    // A part of it may have come before.
    library
        .sql(|db| db.execute(&format!("DELETE FROM shared_file WHERE {OF_FILE}"), values_of(file_key(name, file))))?;
    for place in 0_i64.. {
        let mut piece = Vec::new();
        (&bytes).take(PIECE as u64).read_to_end(&mut piece).map_err(Error::io(&path))?;
        if piece.is_empty() {
            break;
        }
        let row = file_key(name, file).into_iter().chain([Value::Integer(place), Value::Blob(piece)]);
        library.sql(|db| {
            let sql = "INSERT INTO shared_file (name, number, sum, piece, bytes) VALUES (?1, ?2, ?3, ?4, ?5)";
            db.prepare_cached(sql)?.execute(values_of(row))
        })?;
    }
    Ok(())
}

/// Writes these files into a folder: those that are at hand are linked, the others come from the server.
fn receive(
    db: &Database,
    name: &str,
    files: &[CacheFile],
    at_hand: &Path,
    incoming: &Path,
) -> rusqlite::Result<Result<bool>> {
    let begun = cache::clear(incoming).and_then(|()| private_folder(incoming));
    if let Err(error) = begun {
        return Ok(Err(error));
    }
    let mut pieces = db.prepare(&format!("SELECT bytes FROM shared_file WHERE {OF_FILE} AND piece = ?4"))?;
    for file in files {
        let path = cache::path_of(incoming, file.number);
        let is_linked = CacheFile::in_folder(at_hand, file.number) == Some(*file)
            && std::fs::hard_link(cache::path_of(at_hand, file.number), &path).is_ok();
        if is_linked {
            continue;
        }
        let mut out = match create(&path) {
            Ok(out) => out,
            Err(error) => return Ok(Err(Error::io(&path)(error))),
        };
        for place in 0_i64.. {
            let key = file_key(name, *file).into_iter().chain([Value::Integer(place)]);
            let piece: Option<Vec<u8>> = pieces.query_row(values_of(key), |row| row.get(0)).optional()?;
            let Some(piece) = piece else { break };
            if let Err(error) = out.write_all(&piece) {
                return Ok(Err(Error::io(&path)(error)));
            }
        }
        if let Err(error) = out.sync_all() {
            return Ok(Err(Error::io(&path)(error)));
        }
        // Damaged, or half of it: this machine makes its own.
        if CacheFile::in_folder(incoming, file.number) != Some(*file) {
            return Ok(cache::clear(incoming).map(|()| false));
        }
    }
    Ok(Ok(!files.is_empty()))
}
