//! The folders that a library covers, its roots: their names, and where they are on this machine.

use super::library::Library;
use super::mounts;
use super::paths;
use crate::error::{Error, Result};
use crate::escape;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// How many of a root's files are looked for where it is said to be.
const SAMPLE: usize = 50;

/// A root of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// What it is called: the end of its path, as much of it as no other root has.
    pub name: String,
    /// Its path in the catalogue, which is the same for every machine.
    pub stored: PathBuf,
    /// Where it is on this machine.
    pub here: PathBuf,
}

impl Library {
    /// The folders that the library covers, where they are on this machine.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn roots(&self) -> Result<Vec<PathBuf>> {
        Ok(self.named_roots()?.into_iter().map(|root| root.here).collect())
    }

    /// The folders that the library covers, by their paths in the catalogue.
    ///
    /// # Errors
    /// The catalogue cannot be read.
    pub fn named_roots(&self) -> Result<Vec<Root>> {
        let rows: Vec<(PathBuf, PathBuf)> = self.sql(|db| {
            let mut statement = db.prepare_cached("SELECT path FROM root ORDER BY path")?;
            statement.query_map([], |row| Ok((row.stored_path(0)?, row.path(0)?)))?.collect()
        })?;
        let names = names_of(&rows.iter().map(|(stored, _)| stored.as_path()).collect::<Vec<_>>());
        Ok(rows.into_iter().zip(names).map(|((stored, here), name)| Root { name, stored, here }).collect())
    }

    /// Remembers for this machine where a root is, so that its files have one path in the catalogue on all machines;
    /// with `None` it is where the catalogue has it. Libraries that are open go on as before.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is in the way of another root, or holds none of the root's files; or it cannot be
    /// remembered.
    pub fn map_root(&self, root: &Root, here: Option<&Path>) -> Result<()> {
        if let Some(here) = here {
            self.refuse_overlap(root, here)?;
            self.refuse_others_files(root, here)?;
        }
        let is_moved = here.is_some_and(|here| here != root.stored);
        mounts::remember(&self.home()?, &root.stored, here.filter(|_| is_moved))
    }

    fn refuse_overlap(&self, root: &Root, here: &Path) -> Result<()> {
        let others = self.named_roots()?.into_iter().filter(|other| other.stored != root.stored);
        for other in others {
            if here.starts_with(&other.here) || other.here.starts_with(here) {
                let reason = format!(
                    "the library has it, or what is in it, as a folder of its own: {}",
                    escape::path(&other.here)
                );
                return Err(Error::Refused { what: escape::path(here), reason });
            }
        }
        Ok(())
    }

    /// Refuses to add a folder of this machine to a library on a server if it is a root that another machine has
    /// indexed: its files would be in the library twice, under two paths.
    pub(crate) fn refuse_twice(&self, folder: &Path) -> Result<()> {
        if self.server().is_none() {
            return Ok(());
        }
        for Root { name, stored, here } in self.named_roots()? {
            let (files, there) = self.sample(&stored, folder)?;
            if files > 0 && 2 * there > files && !here.exists() {
                return Err(Error::SameFolder { path: folder.to_path_buf(), name, stored });
            }
        }
        Ok(())
    }

    /// A wrong place would make the next run take all photos for deleted.
    fn refuse_others_files(&self, root: &Root, here: &Path) -> Result<()> {
        let (files, there) = self.sample(&root.stored, here)?;
        if files == 0 || there > 0 {
            return Ok(());
        }
        let reason = match files {
            1 => format!("the file that the library has of {} is not there", escape::text(&root.name)),
            n => format!("none of {n} files that the library has of {} is there", escape::text(&root.name)),
        };
        Err(Error::Refused { what: escape::path(here), reason })
    }

    /// Looks for some files of a root in a folder of this machine: how many, and how many are there.
    fn sample(&self, stored: &Path, folder: &Path) -> Result<(usize, usize)> {
        let (from, to) = paths::below(paths::bytes(stored));
        let files: Vec<PathBuf> = self.sql(|db| {
            let sql = format!("SELECT path FROM file WHERE path >= ?1 AND path < ?2 ORDER BY random() LIMIT {SAMPLE}");
            let mut statement = db.prepare(&sql)?;
            statement.query_map([&from, &to], |row| row.stored_path(0))?.collect()
        })?;
        let is_there = |file: &&PathBuf| file.strip_prefix(stored).is_ok_and(|rest| folder.join(rest).exists());
        Ok((files.len(), files.iter().filter(is_there).count()))
    }
}

/// For each path its last component, with as many before it as it takes to tell it from the others.
fn names_of(paths: &[&Path]) -> Vec<String> {
    let name = |path: &Path, length: usize| {
        let parts: Vec<_> = path.iter().collect();
        let end: PathBuf = parts.iter().skip(parts.len().saturating_sub(length)).collect();
        end.to_string_lossy().into_owned()
    };
    let mut lengths = vec![1; paths.len()];
    loop {
        let names: Vec<String> = paths.iter().zip(&lengths).map(|(path, length)| name(path, *length)).collect();
        let mut count: HashMap<&str, usize> = HashMap::new();
        names.iter().for_each(|name| *count.entry(name).or_default() += 1);
        let mut is_longer = false;
        for ((path, length), name) in paths.iter().zip(&mut lengths).zip(&names) {
            if count.get(name.as_str()).is_some_and(|n| *n > 1) && *length < path.iter().count() {
                *length += 1;
                is_longer = true;
            }
        }
        if !is_longer {
            return names;
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_long_as_it_takes() {
        let paths = ["/mnt/a/photos", "/mnt/b/photos", "/home/anna/Pictures", "/"].map(Path::new);
        assert_eq!(names_of(&paths), ["a/photos", "b/photos", "Pictures", "/"]);
        assert_eq!(names_of(&["/photos", "/mnt/photos"].map(Path::new)), ["/photos", "mnt/photos"]);
    }
}
