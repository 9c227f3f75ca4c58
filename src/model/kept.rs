//! Files in the cache folder that hold what can be made again: written whole, verified when they are read.

use std::path::Path;

/// What was written, or nothing if the file is not there, or is something else.
#[must_use]
pub fn read(file: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(file).ok()?;
    let (hash, content) = bytes.split_at_checked(blake3::OUT_LEN)?;
    (blake3::hash(content).as_bytes() == hash).then(|| content.to_vec())
}

/// Writes a file, with its folder, in one step.
///
/// # Errors
/// The folder cannot be made or written.
pub fn write(file: &Path, content: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let new = file.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&new, [blake3::hash(content).as_bytes().as_slice(), content].concat())?;
    std::fs::rename(new, file)
}
