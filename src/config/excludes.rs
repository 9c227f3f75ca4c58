//! Folders and files that are not indexed, as patterns of `.gitignore`.

use ignore::gitignore::GitignoreBuilder;

/// Folders in which programs and disks keep what is no photo of their owner. A pattern that begins with # would be a
/// comment.
pub const DEFAULT_EXCLUDES: [&str; 6] =
    ["\\#recycle/", "@eaDir/", "lost+found/", "*.lrdata/", ".Trash-*/", "node_modules/"];

/// Refuses what is no pattern.
///
/// # Errors
/// Says what is wrong.
pub(super) fn check(pattern: &str) -> Result<(), String> {
    GitignoreBuilder::new("/").add_line(None, pattern).map(|_| ()).map_err(|error| error.to_string())
}
