//! One result of a query.

use snapseek_index::Hit;
use std::path::Path;

/// A photo that was found.
pub struct Row {
    /// What is known about it.
    pub hit: Hit,
    /// Whether it is a match, and not merely near the query.
    pub is_match: bool,
}

impl Row {
    /// The file that is shown for the photo.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.hit.paths.first().map_or(Path::new(""), |p| p.as_path())
    }
}
