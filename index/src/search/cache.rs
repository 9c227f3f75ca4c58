//! Cache files, which only repeat what the catalogue says: written whole, renamed into place, verified before use.
//!
//! A file has a header of 128 bytes (16 words), then sections, each padded to 64 bytes. Words, ids and numbers are in
//! the machine's own byte order; the magic number reveals another order, and such a file is rebuilt.
//!
//! A folder may contain several generations; the newest (the highest number) counts, and may refer to older ones.

use crate::catalogue::change_log::Stamp;
use crate::catalogue::private_file::{create, private_folder};
use crate::error::{Error, Result};
use crate::escape;
use memmap2::Mmap;
use rayon::prelude::*;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: u64 = u64::from_be_bytes(*b"snapseek");
const FORMAT: u64 = 1;
const WORDS: usize = 16;
const HEADER: usize = WORDS * 8;
/// Sections of a file.
const SECTIONS: usize = 5;
const ALIGN: usize = 64;
/// The body is hashed in pieces of this size, in parallel.
const PIECE: usize = 1 << 20;
/// Generations tried before a search continues without a cache.
const TRIES: usize = 4;

/// What the header of a cache file says about its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) stamp: Stamp,
    /// Identifies what the content depends on besides the log: the model, or the way text is split into words.
    pub(crate) basis: u64,
    /// Numbers for the content's own use.
    pub(crate) numbers: [u64; 4],
}

/// Which file of a cache it is: its generation, and the checksum of its header, which has that of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CacheFile {
    pub(crate) number: u64,
    pub(crate) sum: u64,
}

impl CacheFile {
    /// The one of this generation in a folder, if it is sound.
    pub(crate) fn in_folder(folder: &Path, number: u64) -> Option<Self> {
        Cache::open_generation(folder, number).ok().map(|cache| cache.file())
    }
}

/// A verified cache file.
pub(crate) struct Cache {
    pub(crate) head: Head,
    /// The number of its generation.
    pub(crate) number: u64,
    /// The checksum of its header, which has that of its body.
    pub(crate) sum: u64,
    map: Mmap,
    sections: [Range<usize>; SECTIONS],
}

/// Why a cache file is not used.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// There is no cache file.
    Missing,
    /// It is not what was written: its path and the reason.
    Damaged(PathBuf, String),
    /// It cannot be read this time, which says nothing about damage: its path and the reason.
    Unread(PathBuf, String),
}

impl Unusable {
    fn path(&self) -> Option<&Path> {
        match self {
            Self::Missing => None,
            Self::Damaged(path, _) | Self::Unread(path, _) => Some(path),
        }
    }

    /// What is wrong with the cache `name`; nothing about one that does not exist.
    pub(crate) fn fault(self, name: &str) -> Option<CacheFault> {
        match self {
            Self::Missing => None,
            Self::Damaged(path, reason) => {
                Some(CacheFault::Damaged(format!("{}: the {name} cache is damaged: {reason}", escape::path(&path))))
            }
            Self::Unread(path, reason) => {
                Some(CacheFault::Unread(format!("{}: the {name} cache cannot be read: {reason}", escape::path(&path))))
            }
        }
    }
}

/// What is wrong with a cache, as text that is safe to print.
pub(crate) enum CacheFault {
    /// It must be rebuilt.
    Damaged(String),
    /// It could not be read this time.
    Unread(String),
}

impl Cache {
    /// Whether there is a cache in `folder`, sound or not.
    pub(crate) fn is_in(folder: &Path) -> bool {
        !generations(folder).is_empty()
    }

    /// The number of the newest generation in `folder`.
    pub(crate) fn newest(folder: &Path) -> Option<u64> {
        generations(folder).pop().map(|(number, _)| number)
    }

    /// Opens and verifies the newest generation in `folder`.
    pub(crate) fn open(folder: &Path) -> Result<Self, Unusable> {
        let mut failed = Unusable::Missing;
        for _ in 0..TRIES {
            let (number, path) = generations(folder).pop().ok_or(Unusable::Missing)?;
            if failed.path() == Some(&path) {
                break;
            }
            match Self::map(number, path) {
                Ok(cache) => return Ok(cache),
                // A writer may just have put a newer one in its place.
                Err(reason) => failed = reason,
            }
        }
        Err(failed)
    }

    /// Opens and verifies one generation.
    pub(crate) fn open_generation(folder: &Path, number: u64) -> Result<Self, Unusable> {
        let path = path_of(folder, number);
        if std::fs::symlink_metadata(&path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Err(Unusable::Missing);
        }
        Self::map(number, path)
    }

    #[allow(unsafe_code)]
    fn map(number: u64, path: PathBuf) -> Result<Self, Unusable> {
        let unread = |error: std::io::Error| Unusable::Unread(path.clone(), error.to_string());
        // A writer creates nothing but regular files, and opening a pipe would wait forever.
        if !std::fs::symlink_metadata(&path).map_err(unread)?.is_file() {
            return Err(Unusable::Damaged(path, "it is not a regular file".into()));
        }
        let file = File::open(&path).map_err(unread)?;
        if file.metadata().map_err(unread)?.len() == 0 {
            return Err(Unusable::Damaged(path, "it is empty".into()));
        }
        // SAFETY: these files are written under another name and never changed once they are renamed; only damage from
        // outside while the map is open could change the bytes, as with every mapped file.
        let map = unsafe { Mmap::map(&file) }.map_err(unread)?;
        match verify(&map) {
            Some((head, sum, sections)) => Ok(Self { head, number, sum, map, sections }),
            None => Err(Unusable::Damaged(path, "its checksum or length is wrong".into())),
        }
    }

    pub(crate) fn file(&self) -> CacheFile {
        CacheFile { number: self.number, sum: self.sum }
    }

    /// A section as numbers of type `T`; `None` if its length does not fit them.
    pub(crate) fn section<T: bytemuck::AnyBitPattern>(&self, n: usize) -> Option<&[T]> {
        bytemuck::try_cast_slice(self.map.get(self.sections.get(n)?.clone())?).ok()
    }
}

fn verify(bytes: &[u8]) -> Option<(Head, u64, [Range<usize>; SECTIONS])> {
    let words: [u64; WORDS] = bytemuck::pod_read_unaligned(bytes.get(..HEADER)?);
    let [magic, format, seq, token, basis, a, b, c, d, lengths @ .., body_sum, header_sum] = words;
    if magic != MAGIC || format != FORMAT || header_sum != xxh3_64(bytes.get(..HEADER - 8)?) {
        return None;
    }
    let mut end = HEADER;
    let mut sections = [const { 0..0 }; SECTIONS];
    for (section, length) in sections.iter_mut().zip(lengths) {
        let length = usize::try_from(length).ok()?;
        *section = end..end.checked_add(length)?;
        end = section.end.checked_next_multiple_of(ALIGN)?;
    }
    let body = bytes.get(HEADER..)?;
    if bytes.len() != end || checksum(body) != body_sum {
        return None;
    }
    let stamp = Stamp { seq: seq as i64, token: token as i64 };
    Some((Head { stamp, basis, numbers: [a, b, c, d] }, header_sum, sections))
}

/// The hash of the hashes of all pieces.
fn checksum(body: &[u8]) -> u64 {
    let pieces: Vec<u64> = body.par_chunks(PIECE).map(xxh3_64).collect();
    xxh3_64(bytemuck::cast_slice(&pieces))
}

/// Writes a new generation, durably, and then removes the older ones but for those to `keep`.
pub(crate) fn write(folder: &Path, head: &Head, sections: &[&[u8]; SECTIONS], keep: &[u64]) -> Result<()> {
    private_folder(folder)?;
    let old = generations(folder);
    let number = old.last().map_or(1, |(number, _)| number + 1);
    let (draft, path) = (folder.join("draft"), path_of(folder, number));

    // One pass over the sections for the checksum, one to write.
    let padding = |length: usize| length.next_multiple_of(ALIGN) - length;
    let zeros = [0_u8; ALIGN];
    let mut pieces = Vec::new();
    let mut pending: Vec<u8> = Vec::new();
    for part in sections.iter().flat_map(|s| [*s, zeros.get(..padding(s.len())).unwrap_or_default()]) {
        let mut rest = part;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(PIECE - pending.len()));
            pending.extend_from_slice(now);
            rest = later;
            if pending.len() == PIECE {
                pieces.push(xxh3_64(&pending));
                pending.clear();
            }
        }
    }
    if !pending.is_empty() {
        pieces.push(xxh3_64(&pending));
    }
    let mut words = [0_u64; WORDS];
    let [a, b, c, d] = head.numbers;
    let start = [MAGIC, FORMAT, head.stamp.seq as u64, head.stamp.token as u64, head.basis, a, b, c, d];
    let lengths = sections.iter().map(|s| s.len() as u64);
    for (word, value) in words.iter_mut().zip(start.into_iter().chain(lengths)) {
        *word = value;
    }
    words[WORDS - 2] = xxh3_64(bytemuck::cast_slice(&pieces));
    words[WORDS - 1] = xxh3_64(bytemuck::cast_slice(&words[..WORDS - 1]));

    let write = || -> std::io::Result<()> {
        let mut file = create(&draft)?;
        file.write_all(bytemuck::cast_slice(&words))?;
        for section in sections {
            file.write_all(section)?;
            file.write_all(zeros.get(..padding(section.len())).unwrap_or_default())?;
        }
        file.sync_all()?;
        std::fs::rename(&draft, &path)?;
        #[cfg(unix)]
        File::open(folder)?.sync_all()?;
        Ok(())
    };
    if let Err(error) = write() {
        // On a full disk, half a file only makes matters worse.
        let _ = std::fs::remove_file(&draft);
        return Err(Error::io(&path)(error));
    }
    for (_, path) in old.into_iter().filter(|(number, _)| !keep.contains(number)) {
        // A reader on Windows may still have it open; the next run tries again.
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

/// Removes every generation.
pub(crate) fn clear(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(folder)(e)),
        _ => Ok(()),
    }
}

pub(crate) fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}"))
}

/// Generations in a folder, oldest first.
fn generations(folder: &Path) -> Vec<(u64, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    // The last number has no successor, so no writer uses it: such a file is not ours.
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u64>().ok().filter(|n| *n < u64::MAX);
    let mut found: Vec<_> =
        entries.flatten().map(|e| e.path()).filter_map(|path| Some((number(&path)?, path))).collect();
    found.sort();
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_any_flipped_bit_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let head = Head { stamp: Stamp { seq: 7, token: -1 }, basis: 3, numbers: [1, 2, 3, 4] };
        let long = vec![9_u8; 3 * PIECE / 2];
        write(folder.path(), &head, &[b"abc", &long, b"", &[1; 64], b"x"], &[]).unwrap();
        let cache = Cache::open(folder.path()).ok().unwrap();
        assert_eq!(cache.head, head);
        assert_eq!(cache.section::<u8>(0), Some(b"abc".as_slice()));
        assert_eq!(cache.section::<u8>(1), Some(long.as_slice()));
        assert_eq!(cache.section::<u8>(4), Some(b"x".as_slice()));
        assert_eq!((cache.section::<u32>(0), cache.section::<u8>(5)), (None, None));
        let path = folder.path().join("00000001");
        let sound = std::fs::read(&path).unwrap();
        for at in (0..HEADER).chain((HEADER..sound.len()).step_by(4_099)).chain(sound.len() - 70..sound.len()) {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << (at % 8);
            assert!(verify(&bytes).is_none(), "byte {at}");
        }
        for length in (0..200).chain([sound.len() - 1]) {
            assert!(verify(&sound[..length]).is_none(), "length {length}");
        }
        write(folder.path(), &head, &[b"new", b"", b"", b"", b""], &[]).unwrap();
        assert_eq!(generations(folder.path()).len(), 1);
        assert_eq!(Cache::open(folder.path()).ok().unwrap().section::<u8>(0), Some(b"new".as_slice()));
    }

    #[cfg(unix)]
    #[test]
    fn only_plain_files_count_and_anything_else_is_replaced() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let head = Head { stamp: Stamp { seq: 7, token: -1 }, basis: 3, numbers: [1, 2, 3, 4] };
        write(elsewhere.path(), &head, &[b"abc", b"", b"", b"", b""], &[]).unwrap();
        for target in [Path::new("/nowhere/at/all"), &elsewhere.path().join("00000001")] {
            let link = folder.path().join("00000040");
            std::os::unix::fs::symlink(target, &link).unwrap();
            match Cache::open(folder.path()) {
                Err(Unusable::Damaged(path, _)) => assert_eq!(path, link),
                other => panic!("{target:?}: {:?}", other.map(|cache| cache.head)),
            }
            write(folder.path(), &head, &[b"new", b"", b"", b"", b""], &[]).unwrap();
            assert_eq!(Cache::open(folder.path()).ok().unwrap().section::<u8>(0), Some(b"new".as_slice()));
            assert!(std::fs::symlink_metadata(&link).is_err());
            clear(folder.path()).unwrap();
            std::fs::create_dir(folder.path()).unwrap();
        }
        std::os::unix::fs::symlink("/nowhere/at/all", folder.path().join(u64::MAX.to_string())).unwrap();
        assert!(matches!(Cache::open(folder.path()), Err(Unusable::Missing)));
        write(folder.path(), &head, &[b"new", b"", b"", b"", b""], &[]).unwrap();
        assert!(Cache::open(folder.path()).is_ok());
    }
}
