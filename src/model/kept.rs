//! Files in the cache folder whose content can be recomputed: written atomically, verified when they are read.

use std::io::Write;
use std::path::Path;

/// What was written; `None` if the file is missing or damaged.
#[must_use]
pub fn read(file: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(file).ok()?;
    let (hash, content) = bytes.split_at_checked(blake3::OUT_LEN)?;
    (blake3::hash(content).as_bytes() == hash).then(|| content.to_vec())
}

/// Writes a file that [`read`] reads.
///
/// # Errors
/// As [`replace`].
pub fn write(file: &Path, content: &[u8]) -> std::io::Result<()> {
    replace(file, &[blake3::hash(content).as_bytes().as_slice(), content].concat())
}

/// Writes a file atomically in the place of any earlier one, and creates its folder if necessary.
///
/// # Errors
/// The folder cannot be created, or the file cannot be written.
pub fn replace(file: &Path, content: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    draft.write_all(content)?;
    draft.persist(file)?;
    Ok(())
}
