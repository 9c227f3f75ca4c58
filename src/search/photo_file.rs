//! From a file's path to a photo of the library: the one answer that all commands use.

use crate::photo::identity::{self, Outline};
use crate::photo::{self, DecodeLimits, FileMetadata, READER_VERSION};
use crate::terminal::sanitize;
use snapseek_index::{ContentHash, FileIdentity, FileStamp, Library, Metadata};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// What a file is and shows, and what it says about that, from its bytes.
#[must_use]
pub fn identify(bytes: &[u8]) -> (FileIdentity, Metadata) {
    let file = identity::of_file(bytes);
    let Outline { picture, metadata } = identity::outline(bytes);
    (FileIdentity { file, picture: picture.unwrap_or(file), version: identity::VERSION }, kept(metadata))
}

/// What a file says, as the catalogue keeps it.
#[must_use]
pub fn kept(said: FileMetadata) -> Metadata {
    let FileMetadata { taken, camera, latitude, longitude, rating } = said;
    Metadata { taken, camera, latitude, longitude, rating, reader: READER_VERSION }
}

/// A photo of the library, found by a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownPhoto {
    /// The photo that was indexed under this path.
    Indexed(i64),
    /// A file of the library shows the same picture.
    SamePicture(i64),
}

impl KnownPhoto {
    /// The photo's id.
    #[must_use]
    pub fn id(self) -> i64 {
        let (Self::Indexed(id) | Self::SamePicture(id)) = self;
        id
    }
}

/// The library's photo for a path: the one that was indexed under this path if the file is unchanged or gone, otherwise
/// one that shows the same picture.
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
    Ok(library.photo_showing(&identify(&bytes).0)?.map(KnownPhoto::SamePicture))
}

/// Calls `take` with each of a photo's files that still shows its picture, and with its bytes, until it succeeds.
/// Returns that result, or otherwise what is wrong with the last file.
///
/// # Errors
/// No file shows the picture any more, or `take` failed on each one that does.
pub fn first_showing<'p, T>(
    photo: (i64, &ContentHash),
    paths: impl Iterator<Item = &'p Path>,
    limits: &DecodeLimits,
    mut take: impl FnMut(&'p Path, &[u8]) -> anyhow::Result<T>,
) -> Result<T, String> {
    let (id, picture) = photo;
    let mut problem = format!("the library has no file of photo {id}");
    for path in paths {
        let taken = photo::read(path, limits).map_err(anyhow::Error::from).and_then(|bytes| {
            anyhow::ensure!(
                identity::shows(&bytes, picture),
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
