//! From a file's path to a photo of the library: the one answer that all commands use.

use crate::photo::{self, DecodeLimits};
use crate::terminal::sanitize;
use snapseek_index::{ContentHash, FileStamp, Library};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// The BLAKE3 hash of a file's bytes, which identifies a photo.
#[must_use]
pub fn content_hash(bytes: &[u8]) -> ContentHash {
    *blake3::hash(bytes).as_bytes()
}

/// A photo of the library, found by a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownPhoto {
    /// The photo that was indexed under this path.
    Indexed(i64),
    /// Another file of the library has the same content.
    SameContent(i64),
}

impl KnownPhoto {
    /// The photo's id.
    #[must_use]
    pub fn id(self) -> i64 {
        let (Self::Indexed(id) | Self::SameContent(id)) = self;
        id
    }
}

/// The library's photo for a path: the one that was indexed under this path if the file is unchanged or gone, otherwise
/// one with the same content.
///
/// # Errors
/// The catalogue cannot be read.
pub fn find(path: &Path, library: &Library) -> anyhow::Result<Option<KnownPhoto>> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    for candidate in path.canonicalize().iter().chain([&absolute]) {
        let now = stamp_of(candidate).ok();
        if let Some(id) = library.photo_at(candidate)?
            && (now.is_none() || library.stamp_at(candidate)? == now)
        {
            return Ok(Some(KnownPhoto::Indexed(id)));
        }
    }
    let Ok(bytes) = photo::read(path, &DecodeLimits::default()) else { return Ok(None) };
    Ok(library.photo_by_hash(&content_hash(&bytes))?.map(KnownPhoto::SameContent))
}

/// Calls `take` with each of a photo's files that still has the photo's content, and with its bytes, until it succeeds.
/// Returns that result, or otherwise what is wrong with the last file.
///
/// # Errors
/// No file has the content any more, or `take` failed on each one that has it.
pub fn first_with_content<'p, T>(
    photo: (i64, &ContentHash),
    paths: impl Iterator<Item = &'p Path>,
    limits: &DecodeLimits,
    mut take: impl FnMut(&'p Path, &[u8]) -> anyhow::Result<T>,
) -> Result<T, String> {
    let (id, hash) = photo;
    let mut problem = format!("the library has no file of photo {id}");
    for path in paths {
        let taken = photo::read(path, limits).map_err(anyhow::Error::from).and_then(|bytes| {
            anyhow::ensure!(
                content_hash(&bytes) == *hash,
                "the file has changed; `snapseek index` brings the library up to date"
            );
            take(path, &bytes)
        });
        match taken {
            Ok(taken) => return Ok(taken),
            Err(error) => problem = format!("{} is skipped: {error:#}", sanitize::path(path)),
        }
    }
    Err(problem)
}

/// Size and modification time of a file, as the catalogue keeps them.
///
/// # Errors
/// The file's metadata cannot be read.
pub fn stamp_of(path: &Path) -> std::io::Result<FileStamp> {
    std::fs::metadata(path).map(|metadata| stamp(&metadata))
}

/// Size and modification time, as the catalogue keeps them.
#[must_use]
pub fn stamp(metadata: &std::fs::Metadata) -> FileStamp {
    let mtime = metadata.modified().unwrap_or(UNIX_EPOCH);
    let nanos = match mtime.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
    };
    FileStamp { size: metadata.len(), mtime_ns: nanos }
}
