//! The files of a model's folder, which may be a snapshot in a Hugging Face cache.

use super::preprocess::read_json;
use anyhow::Context;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The names that `transformers` gives the files of every model.
pub(in crate::model) const CONFIG: &str = "config.json";
pub(in crate::model) const TOKENIZER: &str = "tokenizer.json";
pub(in crate::model) const WEIGHTS: &str = "model.safetensors";
/// Names the shards that stand in place of the weights.
pub(in crate::model) const INDEX: &str = "model.safetensors.index.json";
/// How a file begins that Git LFS has left in the place of the real one.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// A file that a model's folder should hold.
#[derive(Debug, thiserror::Error)]
#[error("the model folder {} holds no {name}", folder.display())]
pub(in crate::model) struct MissingFile {
    folder: PathBuf,
    name: String,
}

impl MissingFile {
    pub(in crate::model) fn new(folder: &Path, name: &str) -> Self {
        Self { folder: folder.to_path_buf(), name: name.to_owned() }
    }
}

/// A file of a folder. What a snapshot of a repository lacks is taken from its other snapshots, that of main first, but
/// for weights, which say which revision it is: `transformers` may load them from another one than all else.
pub(in crate::model) fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let own = folder.join(name);
    if own.is_file() {
        return Some(own);
    }
    if name.contains(".safetensors") {
        return None;
    }
    // A part of the folder, such as 0_CLIPModel, has the same place in each snapshot.
    let snapshot = folder.ancestors().find(|above| above.parent().is_some_and(|p| p.ends_with("snapshots")))?;
    let within = folder.strip_prefix(snapshot).ok()?;
    let snapshots = snapshot.parent()?;
    let main = fs::read_to_string(snapshots.parent()?.join("refs/main")).unwrap_or_default();
    let mut others: Vec<PathBuf> = fs::read_dir(snapshots).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    others.sort_by_key(|path| (!path.ends_with(main.trim()), path.clone()));
    let mut files = others.into_iter().map(|other| other.join(within).join(name));
    files.find(|file| file.is_file())
}

/// A file of a folder that must be there, and be the file itself.
///
/// # Errors
/// It is missing, or is only a pointer of Git LFS.
pub(in crate::model) fn require(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = find(folder, name).ok_or_else(|| MissingFile::new(folder, name))?;
    check_is_no_pointer(&path)?;
    Ok(path)
}

/// Refuses what Git LFS has left in a file's place.
///
/// # Errors
/// It is that, or cannot be read.
pub(in crate::model) fn check_is_no_pointer(path: &Path) -> anyhow::Result<()> {
    let mut start = [0; LFS_POINTER.len()];
    let mut file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    anyhow::ensure!(
        file.read_exact(&mut start).is_err() || start != LFS_POINTER,
        "{} is not the file itself but a pointer to it, which Git LFS left there: `git lfs pull` in its repository \
         fetches it",
        path.display()
    );
    Ok(())
}

/// The names of the files of a folder's weights: one, or an index and the shards that it names. One that should be
/// there may be missing.
///
/// # Errors
/// As [`shards`].
pub(in crate::model) fn weight_names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let index = folder.join(INDEX);
    if folder.join(WEIGHTS).is_file() || !index.is_file() {
        return Ok(vec![WEIGHTS.to_owned()]);
    }
    Ok(std::iter::once(INDEX.to_owned()).chain(shards(&index)?).collect())
}

/// The shards that an index names.
///
/// # Errors
/// The index is damaged, or names files elsewhere.
pub(in crate::model) fn shards(index: &Path) -> anyhow::Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct ShardIndex {
        weight_map: BTreeMap<String, String>,
    }
    let shards: BTreeSet<String> = read_json::<ShardIndex>(index)?.weight_map.into_values().collect();
    // The names become parts of paths and URLs.
    let plain = |name: &String| {
        name.ends_with(".safetensors")
            && !name.starts_with('.')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    anyhow::ensure!(
        !shards.is_empty() && shards.len() <= 1000 && shards.iter().all(plain),
        "{} has invalid names of shards",
        index.display()
    );
    Ok(shards)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_those_of_the_index_and_stay_in_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let index = dir.path().join("model.safetensors.index.json");
        let write = |json: &str| fs::write(&index, json).unwrap();
        write(r#"{"weight_map":{"a":"model-2.safetensors","b":"model-1.safetensors","c":"model-2.safetensors"}}"#);
        assert_eq!(
            shards(&index).unwrap().into_iter().collect::<Vec<_>>(),
            ["model-1.safetensors", "model-2.safetensors"]
        );
        for bad in ["../x.safetensors", "/etc/x.safetensors", "x.bin", ".safetensors", "a/b.safetensors"] {
            write(&format!(r#"{{"weight_map":{{"a":"{bad}"}}}}"#));
            assert!(shards(&index).is_err(), "{bad}");
        }
        write(r#"{"weight_map":{}}"#);
        assert!(shards(&index).is_err());
    }

    #[test]
    fn small_files_are_found_in_other_snapshots() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = dir.path().join("models--a--b/snapshots");
        let put = |file: &str, content: &str| {
            let path = snapshots.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        put("c1/model.safetensors", "weights");
        put("c2/config.json", "of another");
        put("c3/config.json", "of main");
        put("c3/0_CLIPModel/vocab.json", "{}");
        put("c1/0_CLIPModel/x", "");
        fs::create_dir_all(dir.path().join("models--a--b/refs")).unwrap();
        fs::write(dir.path().join("models--a--b/refs/main"), "c3\n").unwrap();
        let folder = snapshots.join("c1");
        assert_eq!(find(&folder, "config.json"), Some(snapshots.join("c3/config.json")));
        assert_eq!(find(&folder, "model.safetensors"), Some(folder.join("model.safetensors")));
        assert_eq!(find(&snapshots.join("c2"), "model.safetensors"), None);
        assert_eq!(find(&folder.join("0_CLIPModel"), "vocab.json"), Some(snapshots.join("c3/0_CLIPModel/vocab.json")));
        assert_eq!(find(&folder, "tokenizer.json"), None);
        assert_eq!(find(dir.path(), "config.json"), None);
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:99\nsize 605157884\n";
        put("c1/tokenizer.json", pointer);
        assert!(require(&folder, "tokenizer.json").unwrap_err().to_string().contains("git lfs pull"));
        assert!(require(&folder, "vocab.json").unwrap_err().to_string().contains("holds no vocab.json"));
    }
}
