//! Identifies models by the content of their files.

use crate::model::kept::replace;
use anyhow::Context;
use std::fs;
use std::path::{Path, PathBuf};

/// Files up to this size are hashed every time; it takes milliseconds.
const SMALL: u64 = 16 << 20;

/// The hash of a file's whole content. That of a large file is computed once and cached below `cache` for as long as
/// the file keeps its path, size, times and inode.
pub(in crate::model) fn of_file(path: &Path, cache: Option<&Path>) -> anyhow::Result<blake3::Hash> {
    let kept = cache.map(|cache| place(path, &cache.join("fingerprints"))).transpose()?.flatten();
    if let Some(kept) = &kept
        && let Ok(text) = fs::read_to_string(kept)
        && let Ok(hash) = blake3::Hash::from_hex(text.trim())
    {
        return Ok(hash);
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_mmap_rayon(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let hash = hasher.finalize();
    if let Some(kept) = kept {
        // If this fails, only the next start is slower.
        let _ = replace(&kept, hash.to_hex().as_bytes());
    }
    Ok(hash)
}

/// The fingerprint of a model that consists of these files: equal ones make the same embeddings, as far as a program
/// goes that calls itself `version`.
pub(in crate::model) fn of_files(version: &str, paths: &[&Path], cache: Option<&Path>) -> anyhow::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(version.as_bytes());
    for path in paths {
        hasher.update(of_file(path, cache)?.as_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Where the hash of this very file is cached; `None` if the file is small.
fn place(path: &Path, folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    let problem = || format!("{} cannot be read", path.display());
    let path = path.canonicalize().with_context(problem)?;
    let meta = path.metadata().with_context(problem)?;
    if meta.len() <= SMALL {
        return Ok(None);
    }
    let mut key = blake3::Hasher::new();
    key.update(path.as_os_str().as_encoded_bytes()).update(&meta.len().to_le_bytes());
    for time in [meta.modified(), meta.created()] {
        let since = time.ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
        key.update(&since.as_nanos().to_le_bytes());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        key.update(&meta.ino().to_le_bytes())
            .update(&meta.ctime_nsec().to_le_bytes())
            .update(&meta.ctime().to_le_bytes());
    }
    Ok(Some(folder.join(&key.finalize().to_hex()[..32])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_files_hash_is_kept_until_the_file_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (file, cache) = (dir.path().join("model.safetensors"), dir.path().join("cache"));
        let mut bytes = vec![7; usize::try_from(SMALL).unwrap() + 1];
        fs::write(&file, &bytes).unwrap();
        let first = of_file(&file, Some(&cache)).unwrap();
        assert_eq!(first, blake3::hash(&bytes));
        let kept: Vec<_> = fs::read_dir(cache.join("fingerprints")).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(kept.len(), 1);
        // What is kept is what is used ...
        let other = blake3::hash(b"other");
        fs::write(&kept[0], other.to_hex().as_str()).unwrap();
        assert_eq!(of_file(&file, Some(&cache)).unwrap(), other);
        // ... unless it is damaged, or the file has changed.
        fs::write(&kept[0], "x").unwrap();
        assert_eq!(of_file(&file, Some(&cache)).unwrap(), first);
        bytes[9] = 8;
        fs::write(&file, &bytes).unwrap();
        assert_eq!(of_file(&file, Some(&cache)).unwrap(), blake3::hash(&bytes));
        assert_eq!(of_file(&file, None).unwrap(), blake3::hash(&bytes));
    }
}
