//! Why a file could not be indexed, by kinds that are counted.

use crate::photo::ErrorKind;
use serde::{Serialize, Serializer};
use std::fmt;

/// Why a file could not be indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Its picture cannot be read.
    Photo(ErrorKind),
    /// The folder does not exist.
    MissingFolder,
    /// Decoding it ended the program twice.
    Quarantined,
    /// What another version of the program recorded.
    Unknown,
}

impl FailureKind {
    /// The kind as it is stored and counted, in lower case with hyphens.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Photo(kind) => kind.as_str(),
            Self::MissingFolder => "missing-folder",
            Self::Quarantined => "quarantined",
            Self::Unknown => "unknown",
        }
    }

    /// The kind that was stored under this name.
    #[must_use]
    pub fn stored(name: &str) -> Self {
        let photos = ErrorKind::ALL.into_iter().map(Self::Photo);
        let mut all = photos.chain([Self::MissingFolder, Self::Quarantined]);
        all.find(|kind| kind.as_str() == name).unwrap_or(Self::Unknown)
    }

    /// Whether it may be gone at the next run although the file has not changed: errors of a disk or of permissions
    /// may, errors in the bytes may not.
    #[must_use]
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Photo(ErrorKind::Unreadable | ErrorKind::Changed))
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for FailureKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Ord for FailureKind {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for FailureKind {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_as_they_were_stored() {
        let photos = ErrorKind::ALL.into_iter().map(FailureKind::Photo);
        for kind in photos.chain([FailureKind::MissingFolder, FailureKind::Quarantined, FailureKind::Unknown]) {
            assert_eq!(FailureKind::stored(kind.as_str()), kind);
        }
        assert_eq!(FailureKind::stored("of the year 2031"), FailureKind::Unknown);
    }
}
