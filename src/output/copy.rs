//! Copies the photos of a result into a folder.

use super::unwritten;
use crate::search::row::Row;
use anyhow::Context;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Copies every photo into `folder` and returns how many. Nothing is overwritten; a photo that cannot be read is passed
/// to `skipped` with the reason and left out.
pub fn copy_to(rows: &[Row], folder: &Path, skipped: &mut dyn FnMut(&Path, io::Error)) -> anyhow::Result<usize> {
    fs::create_dir_all(folder)
        .with_context(|| format!("the folder {} cannot be created", crate::terminal::sanitize::path(folder)))?;
    let mut copied = 0;
    for row in rows {
        let source = row.path();
        let name = source.file_name().context("the photo has no file name")?;
        // The source is opened first, so that a missing photo leaves no empty copy.
        let mut from = match File::open(source) {
            Ok(from) => from,
            Err(error) => {
                skipped(source, error);
                continue;
            }
        };
        let (mut target, path) = fresh(folder, Path::new(name)).map_err(|error| unwritten(folder, error))?;
        if let Err(error) = io::copy(&mut from, &mut target) {
            let _ = fs::remove_file(&path);
            return Err(unwritten(&path, error));
        }
        copied += 1;
    }
    Ok(copied)
}

/// Creates a file with this name, or with a number added to it if the name is taken.
fn fresh(folder: &Path, name: &Path) -> io::Result<(File, PathBuf)> {
    let stem = name.file_stem().unwrap_or_default();
    for n in 1..10_000 {
        let mut candidate: PathBuf = folder.join(name);
        if n > 1 {
            let mut numbered = stem.to_owned();
            numbered.push(format!("-{n}"));
            candidate = folder.join(numbered);
            if let Some(extension) = name.extension() {
                candidate.as_mut_os_string().push(".");
                candidate.as_mut_os_string().push(extension);
            }
        }
        match File::create_new(&candidate) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            outcome => return outcome.map(|file| (file, candidate)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
