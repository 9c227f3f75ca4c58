//! A small file that remembers how many commits were made, because SQLite drops the damaged end of a WAL without a
//! word.

use crate::catalogue::private_file::private;
use crate::catalogue::seal;
use crate::engine::{Database, SqlRow};
use std::io::{Read, Write};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: u64 = u64::from_be_bytes(*b"position");

/// How far the history of a catalogue has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Commits.
    pub(crate) count: i64,
    /// Changes with every commit, so that two histories of the same length differ.
    pub(crate) token: i64,
    /// Commits that were found to be missing and of which the user has not been told to the end.
    pub(crate) lost: i64,
}

/// Counts one more commit, in the transaction that it ends, and returns the position after it.
pub(crate) fn advance(db: &Database) -> rusqlite::Result<Position> {
    let now = db
        .prepare_cached("UPDATE commits SET count = count + 1, token = random() RETURNING count, token")?
        .query_row([], position_of)?;
    if let Some(db) = db.sqlite() {
        seal::seal_commits(db)?;
    }
    Ok(now)
}

/// The catalogue's own position.
pub(crate) fn of_catalogue(db: &Database) -> rusqlite::Result<Position> {
    db.prepare_cached("SELECT count, token FROM commits")?.query_row([], position_of)
}

fn position_of(row: &SqlRow<'_>) -> rusqlite::Result<Position> {
    Ok(Position { count: row.get(0)?, token: row.get(1)?, lost: 0 })
}

/// How many commits the catalogue lacks that `remembered` knows of.
pub(crate) fn missing(remembered: Position, catalogue: Position) -> i64 {
    let ahead = remembered.count.saturating_sub(catalogue.count);
    let forked = ahead == 0 && remembered.count > 0 && remembered.token != catalogue.token;
    remembered.lost.max(0).saturating_add(ahead.max(i64::from(forked)).max(0))
}

/// What is remembered; nothing if the file is missing or damaged, because it is written without waiting for the disk.
pub(crate) fn read(file: &Path) -> Option<Position> {
    let mut bytes = Vec::new();
    std::fs::File::open(file).ok()?.take(64).read_to_end(&mut bytes).ok()?;
    let (body, sum) = bytes.split_last_chunk::<8>()?;
    let words: Vec<i64> = body.as_chunks::<8>().0.iter().map(|word| i64::from_le_bytes(*word)).collect();
    match words.as_slice() {
        [magic, count, token, lost] if *magic == MAGIC as i64 && xxh3_64(body) == u64::from_le_bytes(*sum) => {
            Some(Position { count: *count, token: *token, lost: *lost })
        }
        _ => None,
    }
}

/// Remembers a position. It must never be ahead of the catalogue, so it is written after the commit; a failure only
/// means that less is noticed.
pub(crate) fn remember(file: &Path, position: Position) {
    let words = [MAGIC as i64, position.count, position.token, position.lost];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend(xxh3_64(&bytes).to_le_bytes());
    // In place and in one piece: half a file is one that is not believed.
    let write = || private().create(true).truncate(false).write(true).open(file)?.write_all(&bytes);
    let _ = write();
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_read_and_damage_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("position");
        assert_eq!(read(&file), None);
        let position = Position { count: 7, token: -3, lost: 0 };
        remember(&file, position);
        assert_eq!(read(&file), Some(position));
        let sound = std::fs::read(&file).unwrap();
        for bit in 0..sound.len() * 8 {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&file, bytes).unwrap();
            assert_eq!(read(&file), None, "bit {bit}");
        }
    }

    #[test]
    fn only_what_the_catalogue_lacks_is_missing() {
        let at = |count, token| Position { count, token, lost: 0 };
        assert_eq!(missing(at(7, 1), at(7, 1)), 0);
        assert_eq!(missing(at(7, 1), at(9, 2)), 0);
        assert_eq!(missing(at(9, 2), at(7, 1)), 2);
        assert_eq!(missing(at(7, 1), at(7, 2)), 1);
        assert_eq!(missing(Position { lost: 3, ..at(7, 1) }, at(8, 2)), 3);
        assert_eq!(missing(Position::default(), at(0, 5)), 0);
    }
}
