//! Copies of the photos found, for people who would rather look.

use super::Row;
use anyhow::Context;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Copies every photo into `folder`, numbered in order, and returns how many. Nothing is overwritten.
pub(super) fn copy_to(rows: &[Row], folder: &Path) -> anyhow::Result<usize> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    for row in rows {
        let source = row.path();
        let name = source.file_name().context("a photo without a name")?;
        let mut target =
            fresh(folder, Path::new(name)).with_context(|| format!("{} is full or not writable", folder.display()))?;
        let mut from = File::open(source).with_context(|| format!("{} cannot be read", source.display()))?;
        io::copy(&mut from, &mut target).with_context(|| format!("copying {}", source.display()))?;
    }
    Ok(rows.len())
}

/// A new file of this name, or of this name with a number.
fn fresh(folder: &Path, name: &Path) -> io::Result<File> {
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
        match File::create_new(candidate) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            outcome => return outcome,
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
