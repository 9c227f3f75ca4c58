//! Files in the cache folder whose content can be recomputed: written atomically, verified when they are read.

use std::path::Path;

/// What was written; `None` if the file is missing or damaged.
#[must_use]
pub fn read(file: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(file).ok()?;
    let (hash, content) = bytes.split_at_checked(blake3::OUT_LEN)?;
    (blake3::hash(content).as_bytes() == hash).then(|| content.to_vec())
}

/// Writes a file atomically, and creates its folder if necessary.
///
/// # Errors
/// The folder cannot be created, or the file cannot be written.
pub fn write(file: &Path, content: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let new = file.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&new, [blake3::hash(content).as_bytes().as_slice(), content].concat())?;
    std::fs::rename(new, file)
}
