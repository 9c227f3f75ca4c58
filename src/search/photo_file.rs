//! From a file's path to a photo of the library: the one answer that all commands use.

use crate::exit::Failure;
use crate::photo::identity::{self, Outline};
use crate::photo::{self, DecodeLimits, FileMetadata, READER_VERSION, Statement, sidecars};
use crate::places::{self, NamedPlace};
use crate::terminal::sanitize;
use snapseek_index::{ContentHash, FileIdentity, FileStamp, Hit, Library, Metadata};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// What a file is and shows, and what it says about that, from its bytes.
#[must_use]
pub fn identify(bytes: &[u8]) -> (FileIdentity, Vec<Statement>) {
    let file = identity::of_file(bytes);
    let Outline { picture, statements } = identity::outline(bytes);
    (FileIdentity { file, picture: picture.unwrap_or(file), version: identity::VERSION }, statements)
}

/// What is said about a photo, as the catalogue keeps it: in it, in the files beside it, and by its name and those of
/// its folders from `root` on.
#[must_use]
pub fn told(path: &Path, root: Option<&Path>, inside: Vec<Statement>, beside: &[PathBuf]) -> Metadata {
    let stamp = stamp_beside(beside);
    let statements: Vec<Statement> =
        said(path, root, inside, beside).into_iter().map(|(_, statement)| statement).collect();
    let said = FileMetadata::of(&statements);
    let place = said.latitude.zip(said.longitude).and_then(|(latitude, longitude)| places::at(latitude, longitude));
    let place = place.map(|NamedPlace { city, region, country, .. }| {
        // Cities that are regions of their own are named once.
        let region = region.filter(|region| *region != city);
        [Some(city), region, Some(country)].into_iter().flatten().collect::<Vec<_>>().join(", ")
    });
    Metadata {
        taken: said.taken,
        taken_from: said.taken_from.map(|source| source.as_str().to_owned()),
        taken_offset: said.offset,
        camera: said.camera,
        lens: said.lens,
        aperture: said.aperture,
        exposure: said.exposure,
        iso: said.iso,
        focal_length: said.focal_length,
        latitude: said.latitude,
        longitude: said.longitude,
        place,
        rating: said.rating,
        color_label: said.label,
        title: said.title,
        description: said.description,
        creator: said.creator,
        copyright: said.copyright,
        location: said.location,
        city: said.city,
        region: said.region,
        country: said.country,
        keywords: said.keywords,
        people: said.people,
        motion: said.motion,
        reader: READER_VERSION,
        beside: stamp,
    }
}

/// Everything that is said about a photo, each with the file that says it: the photo itself, or one beside it.
#[must_use]
pub fn said(path: &Path, root: Option<&Path>, inside: Vec<Statement>, beside: &[PathBuf]) -> Vec<(PathBuf, Statement)> {
    let own = inside.into_iter().chain(sidecars::of_name(path, root)).map(|statement| (path.to_path_buf(), statement));
    let others = beside.iter().filter_map(|file| Some((file.clone(), sidecars::read(file, path)?)));
    others.chain(own).collect()
}

/// What changes whenever the files beside a photo do, or others take their place; 0 if there are none.
#[must_use]
pub fn stamp_beside(files: &[PathBuf]) -> i64 {
    if files.is_empty() {
        return 0;
    }
    let mut hasher = blake3::Hasher::new();
    for file in files {
        hasher.update(file.as_os_str().as_encoded_bytes());
        // What cannot be looked at is as good as gone, until it can.
        if let Ok(FileStamp { size, mtime_ns }) = stamp_of(file) {
            hasher.update(&size.to_le_bytes());
            hasher.update(&mtime_ns.to_le_bytes());
        }
        hasher.update(b"\0");
    }
    hasher.finalize().as_bytes().first_chunk().map_or(1, |first| i64::from_le_bytes(*first) | 1)
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

/// What the library knows about the photo that [`find`] finds.
///
/// # Errors
/// The catalogue cannot be read.
pub fn known(path: &Path, library: &Library) -> anyhow::Result<Option<Hit>> {
    let Some(known) = find(path, library)? else { return Ok(None) };
    Ok(library.searcher()?.photos(&[known.id()])?.pop())
}

/// Refuses a file that a person named and that is not there.
///
/// # Errors
/// It does not exist (exit code 2).
pub fn must_exist(path: &Path) -> anyhow::Result<()> {
    let is_gone = path.canonicalize().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    if is_gone { Err(Failure::usage(format!("{} does not exist", sanitize::path(path)))) } else { Ok(()) }
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
