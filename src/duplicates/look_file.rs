//! The looks of a library's photos, in a file without a name: those of a million take 4 GB, which few have to spare as
//! memory.

use super::looks::{self, LIMITS, Look};
use crate::search::photo_file::first_showing;
use crate::terminal::progress::StepFn;
use anyhow::Context;
use rayon::prelude::*;
use snapseek_index::{Library, PhotoFiles};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Photos whose stored looks are read at once.
const READ_AT_ONCE: usize = 1_024;
/// Photos whose looks are computed, and then stored in one transaction.
const BATCH: usize = 64;

/// Looks by position. The file is gone when this is dropped, or when the process ends in any other way.
#[derive(Debug)]
pub struct LookFile {
    file: Mutex<File>,
    len: usize,
}

impl LookFile {
    /// One without looks, in this folder, or among the system's temporary files if the folder cannot be written.
    ///
    /// # Errors
    /// No file can be made.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let file = tempfile::tempfile_in(folder).or_else(|_| tempfile::tempfile());
        Ok(Self { file: Mutex::new(file.context("a temporary file for looks cannot be made")?), len: 0 })
    }

    /// The number of looks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds looks behind the others.
    ///
    /// # Errors
    /// They cannot be written: the disk may be full.
    pub fn add<'a>(&mut self, looks: impl IntoIterator<Item = &'a Look>) -> anyhow::Result<()> {
        let bytes: Vec<u8> = looks.into_iter().flat_map(Look::to_bytes).collect();
        let file = self.file.get_mut().unwrap_or_else(PoisonError::into_inner);
        let end = (self.len * looks::BYTES) as u64;
        let written = file.seek(SeekFrom::Start(end)).and_then(|_| file.write_all(&bytes));
        written.context("looks cannot be written to a temporary file in the library's folder")?;
        self.len += bytes.len() / looks::BYTES;
        Ok(())
    }

    /// The looks at these positions; those beyond the end are left out.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn read(&self, positions: Range<usize>) -> anyhow::Result<Vec<Look>> {
        let positions = positions.start..positions.end.min(self.len);
        let mut bytes = vec![0; positions.len() * looks::BYTES];
        {
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            let start = (positions.start * looks::BYTES) as u64;
            let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut bytes));
            read.context("the temporary file for looks cannot be read")?;
        }
        let looks = bytes.chunks_exact(looks::BYTES).map(Look::from_bytes);
        looks.collect::<Option<_>>().context("the temporary file for looks was changed by another program")
    }

    /// The look at a position.
    ///
    /// # Errors
    /// It cannot be read, or there is none.
    pub fn get(&self, position: usize) -> anyhow::Result<Look> {
        self.read(position..position.saturating_add(1))?.pop().context("there is no such look")
    }
}

/// The looks of these photos: the stored ones, and the others computed from the photos' files and then stored too. They
/// come with the photo at each position, in the order given. Files that cannot be read are reported in `problems`, and
/// their photos are left out. `None` if `report` says to stop; what was computed until then is stored.
///
/// # Errors
/// The catalogue cannot be read, or the looks cannot be written.
pub fn of_library(
    library: &Library,
    photos: &[i64],
    problems: &mut Vec<String>,
    report: &mut StepFn<'_>,
) -> anyhow::Result<Option<(Vec<i64>, LookFile)>> {
    let (mut ids, mut file) = (Vec::with_capacity(photos.len()), LookFile::new(library.dir())?);
    let mut saved = Ok(());
    for (n, batch) in photos.chunks(READ_AT_ONCE).enumerate() {
        let stored = library.looks(looks::VERSION, batch)?.into_iter();
        let mut known: HashMap<i64, Look> =
            stored.filter_map(|(id, bytes)| Some((id, Look::from_bytes(&bytes)?))).collect();
        let missing: Vec<i64> = batch.iter().copied().filter(|id| !known.contains_key(id)).collect();
        let mut done = n * READ_AT_ONCE + known.len();
        for missing in missing.chunks(BATCH) {
            if !report(done, photos.len()) {
                return Ok(None);
            }
            done += missing.len();
            let files = library.files_of(missing)?;
            let taken: Vec<_> = files.par_iter().map(take).collect();
            let mut new = Vec::new();
            for (photo, taken) in files.iter().zip(taken) {
                match taken {
                    Ok(look) => {
                        new.push((photo.id, look.to_bytes()));
                        known.insert(photo.id, look);
                    }
                    Err(problem) => problems.push(problem),
                }
            }
            if saved.is_ok() {
                saved = library.save_looks(looks::VERSION, &new);
            }
        }
        if !report(done, photos.len()) {
            return Ok(None);
        }
        let with_look = batch.iter().filter_map(|id| Some((*id, known.get(id)?)));
        let (with_look, looks): (Vec<i64>, Vec<&Look>) = with_look.unzip();
        ids.extend(with_look);
        file.add(looks)?;
    }
    // A library that cannot be written is not an error; the next run does the same work again.
    problems.extend(saved.err().map(|error| format!("the looks of photos could not be saved: {error}")));
    Ok(Some((ids, file)))
}

/// The look of a photo, from the first of its files that still shows it; otherwise what is wrong with the last.
fn take(photo: &PhotoFiles) -> Result<Look, String> {
    let paths = photo.files.iter().map(|file| file.path.as_path());
    first_showing((photo.id, &photo.picture), paths, &LIMITS, |_, bytes| Look::of_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_come_back_from_the_file_by_position() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = LookFile::new(folder.path()).unwrap();
        assert!(file.is_empty() && file.get(0).is_err() && file.read(0..5).unwrap().is_empty());
        let looks: Vec<Look> = (0..5_u8).map(Look::plain).collect();
        file.add(&looks[..3]).unwrap();
        assert_eq!(file.get(1).unwrap(), looks[1]);
        file.add(&looks[3..]).unwrap();
        assert_eq!((file.len(), file.read(2..9).unwrap()), (5, looks[2..].to_vec()));
        assert!(file.get(5).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it has no name");
        LookFile::new(Path::new("/nowhere")).unwrap().add(&looks).unwrap();
    }
}
