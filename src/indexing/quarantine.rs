//! Keeps a file that kills the process from being tried forever.
//!
//! Before a decoding thread opens a file, it writes the file's key into its slot of a small journal; it clears the slot
//! once the file is decoded. After a crash, the slots that are still filled name the suspects. These are tried again
//! last and one at a time, so that a second crash identifies the right file, which is then skipped until it changes.

use crate::model::kept::replace;
use snapseek_index::FileStamp;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Crashes after which a file is skipped.
const STRIKES: u32 = 2;
/// Hex characters of a key.
const KEY: usize = 32;
const MAX_SLOTS: u64 = 4096;

/// What is known about a file before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// No crash is known.
    Clear,
    /// It was being decoded when the process died: try it alone.
    Suspect,
    /// That happened twice: skip it.
    Quarantined,
}

/// The journal and the strikes counted from it.
#[derive(Debug)]
pub(super) struct Quarantine {
    journal: PathBuf,
    strikes_file: PathBuf,
    strikes: BTreeMap<String, u32>,
}

impl Quarantine {
    /// Reads what the last run left in `dir` (the library's lock must be held) and counts strikes.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let (journal, strikes_file) = (dir.join("in-flight"), dir.join("suspects.json"));
        // A damaged list of suspects counts as an empty one.
        let mut strikes: BTreeMap<String, u32> =
            std::fs::read(&strikes_file).ok().and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default();
        let mut slots = Vec::new();
        if let Ok(file) = File::open(&journal) {
            file.take(MAX_SLOTS * KEY as u64).read_to_end(&mut slots).map_err(named(&journal))?;
        }
        let left = slots.chunks_exact(KEY).filter(|s| s.iter().all(u8::is_ascii_hexdigit));
        for key in left {
            *strikes.entry(String::from_utf8_lossy(key).into_owned()).or_default() += 1;
        }
        let quarantine = Self { journal, strikes_file, strikes };
        quarantine.save()?;
        private().create(true).truncate(true).open(&quarantine.journal).map_err(named(&quarantine.journal))?;
        Ok(quarantine)
    }

    /// Suspects nothing and remembers nothing: for a process that helps another, which does again what it does not
    /// bring.
    pub(super) fn none() -> Self {
        Self { journal: PathBuf::new(), strikes_file: PathBuf::new(), strikes: BTreeMap::new() }
    }

    pub(super) fn verdict(&self, path: &Path, stamp: FileStamp) -> Suspicion {
        match self.strikes.get(&key(path, stamp)) {
            None | Some(0) => Suspicion::Clear,
            Some(&n) if n < STRIKES => Suspicion::Suspect,
            Some(_) => Suspicion::Quarantined,
        }
    }

    /// Clears a file that was decoded without a crash.
    pub(super) fn acquit(&mut self, path: &Path, stamp: FileStamp) -> io::Result<()> {
        if self.strikes.remove(&key(path, stamp)).is_some() { self.save() } else { Ok(()) }
    }

    /// The journal's slot for one decoding thread.
    pub(super) fn slot(&self, number: u64) -> io::Result<JournalSlot> {
        let is_kept = !self.journal.as_os_str().is_empty();
        let file = is_kept.then(|| private().open(&self.journal).map_err(named(&self.journal))).transpose()?;
        Ok(JournalSlot { file, journal: self.journal.clone(), offset: number * KEY as u64 })
    }

    fn save(&self) -> io::Result<()> {
        if self.strikes.is_empty() && !self.strikes_file.exists() {
            return Ok(());
        }
        replace(&self.strikes_file, &serde_json::to_vec(&self.strikes)?).map_err(named(&self.strikes_file))
    }
}

/// One decoding thread's place in the journal.
#[derive(Debug)]
pub(super) struct JournalSlot {
    /// `None` if nothing is remembered.
    file: Option<File>,
    journal: PathBuf,
    offset: u64,
}

impl JournalSlot {
    /// Runs `work` on a file while the file's key is in the journal. The write is not synced: it must survive a crash
    /// of the process, not of the machine.
    pub(super) fn guard<T>(&mut self, path: &Path, stamp: FileStamp, work: impl FnOnce() -> T) -> io::Result<T> {
        self.write(key(path, stamp).as_bytes())?;
        let result = work();
        self.write(&[b' '; KEY])?;
        Ok(result)
    }

    fn write(&mut self, key: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let written = file.seek(SeekFrom::Start(self.offset)).and_then(|_| file.write_all(key));
        written.map_err(named(&self.journal))
    }
}

/// Says which file an error is about.
fn named(file: &Path) -> impl Fn(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", crate::terminal::sanitize::path(file)))
}

/// Options to write a file that only its owner may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn key(path: &Path, stamp: FileStamp) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&stamp.size.to_le_bytes()).update(&stamp.mtime_ns.to_le_bytes());
    hasher.update(path.as_os_str().as_encoded_bytes());
    hasher.finalize().to_hex()[..KEY].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_deaths_convict_and_a_change_acquits() {
        let dir = tempfile::tempdir().unwrap();
        let (path, stamp) = (Path::new("/p/a.jpg"), FileStamp { size: 5, mtime_ns: 7 });
        for expected in [Suspicion::Clear, Suspicion::Suspect, Suspicion::Quarantined] {
            let quarantine = Quarantine::open(dir.path()).unwrap();
            assert_eq!(quarantine.verdict(path, stamp), expected);
            assert_eq!(quarantine.verdict(path, FileStamp { size: 6, mtime_ns: 7 }), Suspicion::Clear);
            // The process dies between the two writes.
            quarantine.slot(1).unwrap().write(key(path, stamp).as_bytes()).unwrap();
            quarantine.slot(0).unwrap().guard(Path::new("/p/b.jpg"), stamp, || ()).unwrap();
        }
        let clean = Quarantine::open(dir.path()).unwrap();
        assert_eq!(clean.verdict(Path::new("/p/b.jpg"), stamp), Suspicion::Clear);
    }
}
