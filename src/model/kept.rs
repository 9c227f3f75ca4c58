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
    private_folder(folder)?;
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    draft.write_all(content)?;
    draft.persist(file)?;
    Ok(())
}

/// Creates a folder that only its owner may look into, as are those above it that do not exist yet.
///
/// # Errors
/// It cannot be created.
pub fn private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Takes the rights of others on a folder or file of this user away, as earlier releases left them there. What does not
/// exist, belongs to somebody else or is a link stays as it is.
pub fn make_private(place: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let Ok(facts) = std::fs::symlink_metadata(place) else { return };
        let ours = !facts.is_symlink() && facts.uid() == rustix::process::geteuid().as_raw();
        if ours && facts.mode() & 0o077 != 0 {
            // On a read-only disk it stays as it is.
            let _ = std::fs::set_permissions(place, std::fs::Permissions::from_mode(facts.mode() & 0o700));
        }
    }
    #[cfg(not(unix))]
    let _ = place;
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn nobody_else_may_read_what_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mode = |place: &Path| fs::metadata(place).unwrap().permissions().mode() & 0o777;
        let file = dir.path().join("cache/words/file");
        write(&file, b"content").unwrap();
        assert_eq!(read(&file).unwrap(), b"content");
        assert_eq!(mode(&file), 0o600);
        for folder in ["cache/words", "cache"] {
            assert_eq!(mode(&dir.path().join(folder)), 0o700, "{folder}");
        }
        let old = dir.path().join("cache");
        for (before, after) in [(0o755, 0o700), (0o750, 0o700), (0o500, 0o500), (0o700, 0o700)] {
            fs::set_permissions(&old, Permissions::from_mode(before)).unwrap();
            make_private(&old);
            assert_eq!(mode(&old), after);
        }
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        make_private(&link);
        assert_eq!(mode(&file), 0o644);
        make_private(&file);
        assert_eq!(mode(&file), 0o600);
        make_private(&dir.path().join("none"));
    }
}
