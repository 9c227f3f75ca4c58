//! Copies the photos of a result into a folder, or links to them there.

use super::unwritten;
use crate::search::row::Row;
use anyhow::Context;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Copies every photo into `folder` and returns how many are there. Nothing is overwritten; a photo that cannot be read is passed
/// to `skipped` with the reason and left out.
pub fn copy_to<'a>(
    rows: impl Iterator<Item = &'a Row>,
    folder: &Path,
    skipped: &mut dyn FnMut(&Path, io::Error),
) -> anyhow::Result<usize> {
    copy(rows, folder, &|_, name| name.to_owned(), skipped)
}

/// As [`copy_to`]; the names of the copies begin with the places of the photos, so that they are sorted as these are.
pub fn copy_numbered<'a>(
    rows: impl Iterator<Item = &'a Row>,
    folder: &Path,
    skipped: &mut dyn FnMut(&Path, io::Error),
) -> anyhow::Result<usize> {
    let numbered = |place: usize, name: &OsStr| {
        let mut numbered = OsString::from(format!("{place:04}-"));
        numbered.push(name);
        numbered
    };
    copy(rows, folder, &numbered, skipped)
}

fn copy<'a>(
    rows: impl Iterator<Item = &'a Row>,
    folder: &Path,
    name_of: &dyn Fn(usize, &OsStr) -> OsString,
    skipped: &mut dyn FnMut(&Path, io::Error),
) -> anyhow::Result<usize> {
    create(folder)?;
    let mut copied = 0;
    for (row, place) in rows.zip(1..) {
        let source = row.path();
        let name = name_of(place, source.file_name().context("the photo has no file name")?);
        // The source is opened first, so that a missing photo leaves no empty copy.
        let mut from = match File::open(source) {
            Ok(from) => from,
            Err(error) => {
                skipped(source, error);
                continue;
            }
        };
        // The same command may be run again.
        if is_there(folder, Path::new(&name), |copy| is_copied(source, copy)) {
            copied += 1;
            continue;
        }
        let (mut target, path) =
            fresh(folder, Path::new(&name), |path| File::create_new(path)).map_err(|error| unwritten(folder, error))?;
        if let Err(error) = io::copy(&mut from, &mut target) {
            let _ = fs::remove_file(&path);
            return Err(unwritten(&path, error));
        }
        copied += 1;
    }
    Ok(copied)
}

/// Whether two files have the same bytes. They are compared only where their sizes are equal.
fn is_copied(source: &Path, target: &Path) -> bool {
    let same_size = || Some(fs::metadata(source).ok()?.len() == fs::symlink_metadata(target).ok()?.len());
    let hash = |path: &Path| blake3::Hasher::new().update_mmap(path).map(|hasher| hasher.finalize()).ok();
    same_size() == Some(true) && hash(source).is_some_and(|source| Some(source) == hash(target))
}

/// Makes a symbolic link to every photo in `folder` and returns how many. Nothing is overwritten.
///
/// # Errors
/// The folder or a link cannot be made, or the system has no symbolic links.
pub(super) fn link_to<'a>(rows: impl Iterator<Item = &'a Row>, folder: &Path) -> anyhow::Result<usize> {
    create(folder)?;
    let mut linked = 0;
    for row in rows {
        let name = row.path().file_name().context("the photo has no file name")?;
        // A folder of links can be brought up to date by the same command.
        let leads_to_it = |link: &Path| fs::read_link(link).is_ok_and(|target| target == row.path());
        if !is_there(folder, Path::new(name), leads_to_it) {
            fresh(folder, Path::new(name), |link| symlink(row.path(), link))
                .map_err(|error| unwritten(folder, error))?;
        }
        linked += 1;
    }
    Ok(linked)
}

#[cfg(unix)]
use std::os::unix::fs::symlink;
#[cfg(windows)]
use std::os::windows::fs::symlink_file as symlink;

pub(super) fn create(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("the folder {} cannot be created", crate::terminal::sanitize::path(folder)))
}

/// This name in the folder, and those with a number added to it.
fn names(folder: &Path, name: &Path) -> impl Iterator<Item = PathBuf> {
    let numbered = move |n: usize| {
        let mut numbered = name.file_stem().unwrap_or_default().to_owned();
        numbered.push(format!("-{n}"));
        if let Some(extension) = name.extension() {
            numbered.push(".");
            numbered.push(extension);
        }
        folder.join(numbered)
    };
    std::iter::once(folder.join(name)).chain((2..10_000).map(numbered))
}

/// Whether what an earlier run made under this name, or with a number because another photo had it, is the one that is
/// meant.
fn is_there(folder: &Path, name: &Path, is_it: impl Fn(&Path) -> bool) -> bool {
    names(folder, name).take_while(|path| path.symlink_metadata().is_ok()).any(|path| is_it(&path))
}

/// Creates a file with this name, or with a number added to it if the name is taken.
pub(super) fn fresh<T>(folder: &Path, name: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(T, PathBuf)> {
    for candidate in names(folder, name) {
        match make(&candidate) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            outcome => return outcome.map(|file| (file, candidate)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
