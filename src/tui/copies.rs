//! Copies of one picture side by side, and which of them are kept.

use snapseek_index::FileStamp;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A file that shows the same picture as others.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyFile {
    /// The photo that it shows.
    pub photo: i64,
    /// Its path.
    pub path: PathBuf,
    /// What its size and time were when it was compared.
    pub stamp: FileStamp,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Of the one that is proposed: why. Of the others: how they differ from it.
    pub says: String,
    /// How much it looks like the one that is proposed, from 0 to 1, if it is no exact copy.
    pub likeness: Option<f32>,
}

/// Files that show one picture, the one that is proposed to be kept first.
#[derive(Clone, Debug, PartialEq)]
pub struct CopySet {
    /// The files, two at least.
    pub files: Vec<CopyFile>,
}

/// What a search for copies found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundCopies {
    /// The groups, those that waste most bytes first.
    pub sets: Vec<CopySet>,
    /// Files that were left out, with the reason; safe to show.
    pub problems: Vec<String>,
}

/// Files of a group that are moved to the trash, and the one that is kept in their place.
#[derive(Clone, Debug, PartialEq)]
pub struct Removal {
    /// The first file that is kept.
    pub kept: CopyFile,
    /// It is the one that was proposed.
    pub is_proposed: bool,
    /// The files that are not kept.
    pub dropped: Vec<CopyFile>,
}

/// How many files there are, how many are not kept, and how many bytes these have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyTotals {
    /// All files.
    pub files: usize,
    /// Those that are not kept.
    pub dropped: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Copies, and what is kept.
#[derive(Clone, Debug, Default)]
pub struct CopyState {
    /// The groups; `None` before anybody has looked for them.
    pub found: Option<Arc<FoundCopies>>,
    /// Why there are none.
    pub error: Option<String>,
    /// The library has changed since.
    pub is_stale: bool,
    /// The position of the selected group.
    pub at: usize,
    /// The position of the selected file in it.
    pub file: usize,
    /// Files that are kept or not by the user's own decision.
    pub choices: HashMap<PathBuf, bool>,
    /// What they come to.
    pub totals: CopyTotals,
}

impl CopyState {
    /// The groups.
    #[must_use]
    pub fn sets(&self) -> &[CopySet] {
        self.found.as_ref().map(|found| found.sets.as_slice()).unwrap_or_default()
    }

    /// The selected group.
    #[must_use]
    pub fn set(&self) -> Option<&CopySet> {
        self.sets().get(self.at)
    }

    /// The selected file.
    #[must_use]
    pub fn selected(&self) -> Option<&CopyFile> {
        self.set()?.files.get(self.file)
    }

    /// Whether a file of a group is kept.
    #[must_use]
    pub fn keeps(&self, set: &CopySet, at: usize) -> bool {
        set.files.get(at).is_some_and(|file| self.choices.get(&file.path).copied().unwrap_or(at == 0))
    }

    /// How many files of a group are kept.
    #[must_use]
    pub fn kept(&self, set: &CopySet) -> usize {
        (0..set.files.len()).filter(|at| self.keeps(set, *at)).count()
    }

    /// Keeps the selection within the groups, and counts again.
    pub fn settle(&mut self) {
        self.at = self.at.min(self.sets().len().saturating_sub(1));
        self.file = self.file.min(self.set().map_or(0, |set| set.files.len().saturating_sub(1)));
        let mut totals = CopyTotals::default();
        for set in self.sets() {
            for (at, file) in set.files.iter().enumerate() {
                let is_dropped = !self.keeps(set, at);
                totals.files += 1;
                totals.dropped += usize::from(is_dropped);
                totals.bytes += if is_dropped { file.stamp.size } else { 0 };
            }
        }
        self.totals = totals;
    }

    /// What is moved to the trash, by group.
    #[must_use]
    pub fn removals(&self) -> Vec<Removal> {
        let removal = |set: &CopySet| {
            let kept = (0..set.files.len()).find(|at| self.keeps(set, *at))?;
            let dropped: Vec<CopyFile> = (0..set.files.len())
                .filter(|at| !self.keeps(set, *at))
                .filter_map(|at| set.files.get(at).cloned())
                .collect();
            let kept_file = set.files.get(kept)?.clone();
            (!dropped.is_empty()).then_some(Removal { kept: kept_file, is_proposed: kept == 0, dropped })
        };
        self.sets().iter().filter_map(removal).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn file(name: &str, size: u64) -> CopyFile {
        let stamp = FileStamp { size, mtime_ns: 0 };
        CopyFile { photo: 1, path: name.into(), stamp, size: (4, 3), says: "same content".into(), likeness: None }
    }

    #[test]
    fn the_first_is_kept_unless_somebody_decides_otherwise() {
        let sets = vec![
            CopySet { files: vec![file("a", 9), file("b", 5), file("c", 2)] },
            CopySet { files: vec![file("d", 1), file("e", 1)] },
        ];
        let mut copies =
            CopyState { found: Some(Arc::new(FoundCopies { sets, problems: Vec::new() })), ..CopyState::default() };
        (copies.at, copies.file) = (7, 7);
        copies.settle();
        assert_eq!((copies.at, copies.file, copies.totals), (1, 1, CopyTotals { files: 5, dropped: 3, bytes: 8 }));
        copies.choices.extend([("a".into(), false), ("c".into(), true), ("e".into(), true)]);
        copies.settle();
        assert_eq!(copies.totals, CopyTotals { files: 5, dropped: 2, bytes: 14 });
        let removals = copies.removals();
        assert_eq!(removals.len(), 1, "nothing of the second group goes");
        assert_eq!((removals[0].kept.path.to_str(), removals[0].is_proposed), (Some("c"), false));
        let dropped: Vec<_> = removals[0].dropped.iter().map(|file| file.path.to_str().unwrap()).collect();
        assert_eq!(dropped, ["a", "b"]);
    }
}
