//! Finds models in the user's Hugging Face cache. `download.rs` downloads what is missing there, if the user wants it.

use crate::model::{ModelSpec, blip2, clip};
use anyhow::Context;
use sha1::Digest;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The pinned revision of openai/clip-vit-base-patch32: its weights are safetensors (on the main branch they are a
/// pickle, which can run code).
pub const PINNED_CLIP: &str = "c237dc49a33fc61debc9276459120b7eac67e7ef";
/// The pinned revision of Salesforce/blip2-opt-2.7b: two shards of safetensors, 14,979,207,136 bytes.
const PINNED_BLIP2: &str = "59a1ef6c1e5117b3f65523d1c6066825bcf315e3";
const CLIP: &str = "openai/clip-vit-base-patch32";
const BLIP2: &str = "Salesforce/blip2-opt-2.7b";

/// How to look for models.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreOptions {
    /// Never download.
    pub offline: bool,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Embeds texts and pictures; built into the program.
    Starter,
    /// Embeds texts and pictures.
    Clip,
    /// Captions pictures and answers questions about them.
    Blip2,
}

/// A model that is ready for use.
#[derive(Clone, Debug)]
pub struct Installed {
    /// Its name on the command line.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// Its folder; `None` for the one built into the program.
    pub dir: Option<PathBuf>,
    /// Size of its files.
    pub bytes: u64,
    /// Licence of the weights, as far as known.
    pub licence: String,
    /// Commit of its repository.
    pub revision: Option<String>,
    /// Numbers in an embedding; `None` for a model that does not embed.
    pub dim: Option<usize>,
}

/// The Hugging Face repository of a model, if it has one, and the revision to download.
#[must_use]
pub fn repository(spec: &ModelSpec) -> Option<(&str, &str)> {
    match spec {
        ModelSpec::Clip => Some((CLIP, PINNED_CLIP)),
        ModelSpec::Blip2 => Some((BLIP2, PINNED_BLIP2)),
        ModelSpec::Repo(repo) => Some((repo, pinned(repo).unwrap_or("main"))),
        ModelSpec::Auto | ModelSpec::Starter | ModelSpec::Dir(_) => None,
    }
}

/// Licence of a repository's weights, according to its model card.
#[must_use]
pub fn licence(repo: &str) -> &'static str {
    let mit = repo.starts_with("openai/clip") || repo.starts_with("Salesforce/blip2-opt");
    if mit { "MIT" } else { "see its model card" }
}

/// The folder of a model, if it is installed.
///
/// # Errors
/// No home directory is known.
pub fn locate(spec: &ModelSpec) -> anyhow::Result<Option<PathBuf>> {
    match spec {
        ModelSpec::Dir(folder) => Ok(Some(folder.clone())),
        _ => match repository(spec) {
            Some((repo, _)) => Ok(snapshot(&hub()?, repo)),
            None => Ok(None),
        },
    }
}

/// Whether the model in a folder is a BLIP-2, according to its config.json.
#[must_use]
pub fn is_blip2(folder: &Path) -> bool {
    blip2::is_blip2(folder)
}

/// Total size in bytes of the files that a model's folder must hold; `None` if one is missing.
#[must_use]
pub fn bytes_of(folder: &Path) -> Option<u64> {
    Some(files(folder)?.iter().filter_map(|name| fs::metadata(folder.join(name)).ok()).map(|meta| meta.len()).sum())
}

/// Every model that is ready for use, the built-in one first.
#[must_use]
pub fn installed() -> Vec<Installed> {
    let starter = Installed {
        name: "starter".into(),
        kind: Kind::Starter,
        dir: None,
        bytes: crate::model::starter::packed_bytes(),
        licence: "Apache-2.0".into(),
        revision: None,
        dim: Some(crate::model::starter::DIM),
    };
    let mut repos: Vec<String> = hub()
        .and_then(|hub| Ok(fs::read_dir(hub)?))
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            entry.ok()?.file_name().to_str()?.strip_prefix("models--").map(|n| n.replacen("--", "/", 1))
        })
        .collect();
    repos.sort();
    let found = repos.into_iter().filter_map(|repo| {
        let dir = snapshot(&hub().ok()?, &repo)?;
        let (kind, dim) = if is_blip2(&dir) { (Kind::Blip2, None) } else { (Kind::Clip, Some(clip::dim(&dir).ok()?)) };
        Some(Installed {
            licence: licence(&repo).into(),
            bytes: bytes_of(&dir)?,
            revision: dir.file_name().and_then(|n| n.to_str()).map(str::to_owned),
            name: short_name(&repo).to_owned(),
            kind,
            dim,
            dir: Some(dir),
        })
    });
    std::iter::once(starter).chain(found).collect()
}

/// The name of a repository's model on the command line.
#[must_use]
pub fn short_name(repo: &str) -> &str {
    match repo {
        CLIP => "clip",
        BLIP2 => "blip2",
        other => other,
    }
}

/// Compares an installed model's files with their checksums, which are the names of their blobs in the hub cache, and
/// deletes those that are damaged. Returns their names.
///
/// # Errors
/// A file cannot be read.
pub fn verify(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut damaged = Vec::new();
    for file in files(folder).unwrap_or_default() {
        let path = folder.join(&file);
        let Ok(blob) = fs::canonicalize(&path) else { continue };
        let checksum = blob.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_ascii_lowercase();
        if is_checksum(&checksum) && !matches(&blob, &checksum, &mut || {})? {
            fs::remove_file(&path)?;
            fs::remove_file(&blob)?;
            damaged.push(file);
        }
    }
    Ok(damaged)
}

/// Whether a file has this SHA-256, or this git blob SHA-1 (which the hub uses for small files).
pub(in crate::model) fn matches(path: &Path, checksum: &str, at_each_block: &mut dyn FnMut()) -> anyhow::Result<bool> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let size = file.metadata()?.len();
    let (mut sha1, mut sha256) = (sha1::Sha1::new(), sha2::Sha256::new());
    sha1.update(format!("blob {size}\0"));
    let mut block = vec![0; 1 << 20];
    loop {
        at_each_block();
        let read = file.read(&mut block)?;
        if read == 0 {
            break;
        }
        if checksum.len() == 40 { sha1.update(&block[..read]) } else { sha256.update(&block[..read]) }
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    Ok(checksum == if checksum.len() == 40 { hex(&sha1.finalize()) } else { hex(&sha256.finalize()) })
}

/// The hub cache, in the same place as for the Python library: HF_HUB_CACHE, HF_HOME/hub, or below the user's cache
/// folder.
pub(in crate::model) fn hub() -> anyhow::Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(hub) = variable("HF_HUB_CACHE") {
        return Ok(hub);
    }
    let home = match (variable("HF_HOME"), variable("XDG_CACHE_HOME")) {
        (Some(home), _) => home,
        (None, Some(cache)) => cache.join("huggingface"),
        (None, None) => {
            etcetera::home_dir().context("no home directory is known: set HF_HOME")?.join(".cache/huggingface")
        }
    };
    Ok(home.join("hub"))
}

/// The names of the files of a complete model folder; `None` if one is missing.
fn files(folder: &Path) -> Option<Vec<String>> {
    if is_blip2(folder) {
        return blip2::files_of(folder).ok();
    }
    let there = clip::FILES.iter().all(|name| folder.join(name).is_file());
    there.then(|| clip::FILES.map(str::to_owned).to_vec())
}

fn pinned(repo: &str) -> Option<&'static str> {
    match repo {
        CLIP => Some(PINNED_CLIP),
        BLIP2 => Some(PINNED_BLIP2),
        _ => None,
    }
}

/// The folder of a repository's snapshot that holds every file: the pinned one, otherwise that of main, otherwise any.
fn snapshot(hub: &Path, repo: &str) -> Option<PathBuf> {
    let folder = hub.join(format!("models--{}", repo.replace('/', "--")));
    let snapshots = folder.join("snapshots");
    let main =
        fs::read_to_string(folder.join("refs/main")).ok().map(|commit| commit.trim().to_owned()).filter(|c| is_hex(c));
    let mut others: Vec<PathBuf> =
        fs::read_dir(&snapshots).into_iter().flatten().filter_map(|e| Some(e.ok()?.path())).collect();
    others.sort();
    let named = pinned(repo).map(str::to_owned).into_iter().chain(main).map(|commit| snapshots.join(commit));
    named.chain(others).find(|folder| files(folder).is_some())
}

/// Whether a text has the form of a SHA-1 or a SHA-256.
pub(in crate::model) fn is_checksum(text: &str) -> bool {
    is_hex(text) && matches!(text.len(), 40 | 64)
}

pub(in crate::model) fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit())
}
