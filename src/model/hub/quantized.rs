//! The quantized forms of models that were made on this machine, each in its own folder below the cache folder.
//!
//! A form's folder is named after the state of the model it was made from, so that it is never used for another state.

use super::download::check_room;
use super::store::{bytes_of, is_hex};
use crate::model::kept::private_folder;
use crate::model::quantize::files_of;
use crate::model::{self, Bits, Manifest};
use anyhow::Context;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// A quantized form.
#[derive(Clone, Debug)]
pub struct Form {
    /// Its folder, which is a model folder like any other.
    pub dir: PathBuf,
    /// What it was made from.
    pub manifest: Manifest,
    /// Size of its files.
    pub bytes: u64,
}

/// `q4` or `q8`.
#[must_use]
pub fn label(bits: Bits) -> &'static str {
    match bits {
        Bits::Four => "q4",
        Bits::Eight => "q8",
    }
}

/// All forms, sorted by folder, without drafts and forms that this version cannot read.
#[must_use]
pub fn forms(cache: &Path) -> Vec<Form> {
    let mut dirs: Vec<PathBuf> =
        fs::read_dir(root(cache)).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    dirs.sort();
    dirs.into_iter().filter_map(form_in).collect()
}

/// The form of the model `name` that was made from the present state of `source`; any form of it if `source` is `None`.
///
/// # Errors
/// The source cannot be read.
pub fn find(cache: &Path, name: &str, source: Option<&Path>, bits: Bits) -> anyhow::Result<Option<Form>> {
    Ok(match source {
        Some(source) => form_in(place(cache, source, bits)?),
        None => forms(cache).into_iter().find(|form| form.manifest.source == name && form.manifest.bits == bits),
    })
}

/// Makes a form of the model `name` in `source`, and removes those that were made from earlier states of it. `progress`
/// works as in [`model::quantize()`].
///
/// # Errors
/// Another process is quantizing, the disk has no room, or as [`model::quantize()`].
pub fn make(
    cache: &Path,
    name: &str,
    source: &Path,
    bits: Bits,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> anyhow::Result<Form> {
    let (root, target) = (root(cache), place(cache, source, bits)?);
    private_folder(&root).with_context(|| format!("{} cannot be created", root.display()))?;
    let lock = root.join("lock");
    let file = File::create(&lock).with_context(|| format!("{} cannot be written", lock.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => anyhow::bail!("another snapseek is quantizing a model; wait for it to end"),
        Err(TryLockError::Error(error)) => return Err(error).with_context(|| lock.display().to_string()),
    }
    let made = make_alone(cache, name, source, bits, &target, progress);
    // Closing the file is not enough: a program that another thread starts at this moment has it open until it runs.
    let _ = file.unlock();
    made
}

/// As [`make()`], in `target`, by the only process that does.
fn make_alone(
    cache: &Path,
    name: &str,
    source: &Path,
    bits: Bits,
    target: &Path,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> anyhow::Result<Form> {
    let root = root(cache);
    // Remove what a killed run left behind.
    for entry in fs::read_dir(&root)?.flatten().filter(|e| e.file_name().to_string_lossy().starts_with('.')) {
        let _ = fs::remove_dir_all(entry.path());
    }
    // 8.5 bits are 0.53 of an f16 weight, and ViT-g's weights take that much even in the 4-bit form. Of f32 it is half.
    let estimate = bytes_of(source).unwrap_or(0) / 10 * if bits == Bits::Four { 4 } else { 6 };
    check_room(&root, estimate)?;
    model::quantize(source, name, bits, target, Some(cache), progress)?;
    let form = form_in(target.to_path_buf()).with_context(|| format!("{} cannot be read back", target.display()))?;
    for old in forms(cache) {
        if old.dir != target && old.manifest.source == name && old.manifest.bits == bits {
            fs::remove_dir_all(&old.dir).with_context(|| format!("{} cannot be removed", old.dir.display()))?;
        }
    }
    Ok(form)
}

fn root(cache: &Path) -> PathBuf {
    cache.join("quantized")
}

fn form_in(dir: PathBuf) -> Option<Form> {
    if dir.file_name()?.to_string_lossy().starts_with('.') {
        return None;
    }
    let manifest = Manifest::read(&dir).ok()??;
    Some(Form { bytes: bytes_of(&dir)?, manifest, dir })
}

/// The folder for the form of a model folder: named after the model's commit if it is in the Hugging Face cache,
/// otherwise after a hash of its path and of the names, sizes and times of its files.
fn place(cache: &Path, source: &Path, bits: Bits) -> anyhow::Result<PathBuf> {
    let unreadable = || format!("{} cannot be read", source.display());
    let source = source.canonicalize().with_context(unreadable)?;
    let name = source.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let snapshot = source.parent().filter(|above| above.ends_with("snapshots")).and_then(Path::parent);
    let (name, state) = match snapshot.and_then(Path::file_name) {
        Some(repo) if is_hex(&name) => (repo.to_string_lossy().into_owned(), name),
        _ => {
            let mut hasher = blake3::Hasher::new();
            hasher.update(source.as_os_str().as_encoded_bytes());
            for file in files_of(&source)? {
                let meta = fs::metadata(source.join(&file)).with_context(unreadable)?;
                let time = meta.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
                hasher.update(file.as_bytes()).update(&meta.len().to_le_bytes());
                hasher.update(&time.unwrap_or_default().as_nanos().to_le_bytes());
            }
            (name, hasher.finalize().to_hex().to_string())
        }
    };
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    let name: String = name.trim_start_matches("models--").chars().map(safe).take(60).collect();
    Ok(root(cache).join(format!("{name}-{}-{}", state.get(..12).unwrap_or(&state), label(bits))))
}
