//! Finds models in the user's Hugging Face cache. `download.rs` downloads what is missing there, if the user wants it.

use super::presets::{HELPERS, PRESETS, chat_preset, preset};
use crate::model::ModelSpec;
use crate::model::blip2::{self, Blip2Use};
use crate::model::dual_encoder::{self, EncoderFiles, Family, TextFiles};
use crate::model::model_folder::MissingFile;
use crate::model::vision_language;
use anyhow::Context;
use sha1::Digest;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes that are read at once to compute a checksum.
const BLOCK: usize = 1 << 20;
/// The short name of BLIP-2.
const BLIP2: &str = "blip2";
/// Repositories whose main branch has no safetensors, and a revision that has.
const CONVERTED: [(&str, &str); 1] = [("openai/clip-vit-base-patch16", "5ef227a78de3f75873f373246dac80def63b0003")];

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
    /// Captions pictures and answers questions about them, in few words.
    Blip2,
    /// Describes pictures and converses about them, as it is told.
    #[serde(rename = "vision-language")]
    VisionLanguage,
    /// Compares pictures with texts.
    Matcher,
    /// Embeds texts for the pictures of another model.
    Texts,
    /// Embeds texts and pictures.
    #[serde(untagged)]
    Encoder(Family),
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
        ModelSpec::Clip => Some((PRESETS[0].repo, PRESETS[0].revision)),
        ModelSpec::Blip2 => chat_preset(BLIP2).map(|preset| (preset.repo, preset.revision)),
        ModelSpec::Repo(name) => Some(match name.split_once('@') {
            Some((repo, revision)) => (repo, revision),
            None => (name, pinned(name).unwrap_or("main")),
        }),
        ModelSpec::Auto | ModelSpec::Starter | ModelSpec::Dir(_) => None,
    }
}

/// Licence of a repository's weights, according to its model card.
#[must_use]
pub fn licence(repo: &str) -> &'static str {
    let mit = repo.starts_with("openai/clip") || repo.starts_with("Salesforce/blip2-");
    match (preset(repo), chat_preset(repo)) {
        (Some(preset), _) => preset.licence,
        (None, Some(preset)) => preset.licence,
        (None, None) if mit => "MIT",
        (None, None) => "see its model card",
    }
}

/// The folder of a model, if it is installed.
///
/// # Errors
/// No home directory is known.
pub fn locate(spec: &ModelSpec) -> anyhow::Result<Option<PathBuf>> {
    match spec {
        ModelSpec::Dir(folder) => Ok(Some(folder.clone())),
        _ => match repository(spec) {
            Some((repo, _)) => Ok(snapshots(&hub()?, repo, asked(spec)).into_iter().find(|dir| files(dir).is_some())),
            None => Ok(None),
        },
    }
}

/// Why what the cache holds of a model cannot be used, and whether a download would mend it; `None` if it holds nothing
/// of it, or all.
///
/// # Errors
/// No home directory is known.
pub fn defect(spec: &ModelSpec) -> anyhow::Result<Option<(anyhow::Error, bool)>> {
    let Some((repo, _)) = repository(spec) else { return Ok(None) };
    let snapshots = snapshots(&hub()?, repo, asked(spec));
    // The one with most of the model's bytes tells best what is missing.
    let size = |dir: &PathBuf| -> u64 {
        let files = fs::read_dir(dir).into_iter().flatten().filter_map(|entry| fs::metadata(entry.ok()?.path()).ok());
        files.map(|meta| meta.len()).sum()
    };
    let best = snapshots.into_iter().filter(|dir| dir.is_dir()).max_by_key(size);
    let Some(dir) = best else { return Ok(None) };
    let defect = ModelFolder::read(&dir).err();
    // What a download that was interrupted leaves: ours, and that of the Python library.
    let is_part = |name: &Path| name.extension().is_some_and(|ending| ending == "part" || ending == "incomplete");
    let blobs = fs::read_dir(repo_folder(&hub()?, repo).join("blobs")).into_iter().flatten();
    let is_cut = blobs.filter_map(Result::ok).any(|blob| is_part(Path::new(&blob.file_name())));
    let is_other = asked(spec).is_none() && pinned(repo).is_some_and(|revision| !dir.ends_with(revision));
    Ok(defect.map(|defect| {
        let is_missing = defect.is::<MissingFile>();
        let defect = if is_cut && is_missing { defect.context("a download of it was interrupted") } else { defect };
        (defect, is_missing || is_other)
    }))
}

pub(super) fn repo_folder(hub: &Path, repo: &str) -> PathBuf {
    hub.join(format!("models--{}", repo.replace('/', "--")))
}

/// Whether the model in a folder is a BLIP-2, according to its config.json.
#[must_use]
pub fn is_blip2(folder: &Path) -> bool {
    blip2::is_blip2(folder)
}

/// Whether the model in a folder embeds texts for the pictures of another one, according to its modules.json.
#[must_use]
pub fn is_text_model(folder: &Path) -> bool {
    dual_encoder::is_text_model(folder)
}

/// Whether a model with this short name was trained on photos: what other folders hold may be anything.
#[must_use]
pub fn is_trained(name: &str) -> bool {
    name == "starter" || PRESETS.iter().any(|preset| preset.name == name)
}

/// Total size in bytes of the files that a model's folder must hold; `None` if one is missing.
#[must_use]
pub fn bytes_of(folder: &Path) -> Option<u64> {
    Some(ModelFolder::read(folder).ok()?.bytes())
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
        let mut snapshots = snapshots(&hub().ok()?, &repo, None).into_iter();
        let (dir, found) = snapshots.find_map(|dir| ModelFolder::read(&dir).ok().map(|found| (dir, found)))?;
        Some(Installed {
            licence: licence(&repo).into(),
            bytes: found.bytes(),
            revision: dir.file_name().and_then(|n| n.to_str()).map(str::to_owned),
            name: short_name(&repo).to_owned(),
            kind: found.kind,
            dim: found.dim,
            dir: Some(dir),
        })
    });
    std::iter::once(starter).chain(found).collect()
}

/// The name of a repository's model on the command line.
#[must_use]
pub fn short_name(repo: &str) -> &str {
    match (preset(repo), chat_preset(repo)) {
        (Some(preset), _) => preset.name,
        (None, Some(preset)) => preset.name,
        (None, None) => HELPERS.iter().find(|(_, of)| *of == repo).map_or(repo, |(short, _)| *short),
    }
}

/// What the checksum of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChecksumVerdict {
    /// It is the file that others have published the checksum of.
    Published,
    /// It is the file that was downloaded.
    Downloaded,
    /// It is neither.
    Differs,
    /// Nothing is known to compare it with.
    Unknown,
}

/// A file of a model, compared with its checksums.
#[derive(Clone, Debug)]
pub struct FileVerdict {
    /// Its name.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// What its checksum says.
    pub verdict: ChecksumVerdict,
}

/// Compares the files of the model `name` with the checksums that are known of them: published ones, and those that are
/// the names of their blobs in the hub cache. `progress` receives a file's name, its bytes so far and in all, and stops
/// the work by returning false; then the result is `None`.
///
/// # Errors
/// The model is not complete, or a file cannot be read.
pub fn check(
    folder: &Path,
    name: &str,
    progress: &mut dyn FnMut(&str, u64, u64) -> bool,
) -> anyhow::Result<Option<Vec<FileVerdict>>> {
    // Of other revisions, other files are known to nobody.
    let published = match (preset(name), chat_preset(name)) {
        (Some(preset), _) if folder.ends_with(preset.revision) => preset.checksums,
        (None, Some(preset)) if folder.ends_with(preset.revision) => preset.checksums,
        _ => &[],
    };
    let mut verdicts = Vec::new();
    for path in files(folder).with_context(|| format!("the model in {} is not complete", folder.display()))? {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = fs::metadata(&path).with_context(|| path.display().to_string())?.len();
        let blob = blob_of(&path);
        let known = published.iter().find(|(name, _)| *name == file && path.starts_with(folder));
        let known = known.map(|(_, checksum)| *checksum);
        let (checksum, verdict) = match (known, &blob) {
            (Some(checksum), _) => (checksum, ChecksumVerdict::Published),
            (None, Some((_, checksum))) => (checksum.as_str(), ChecksumVerdict::Downloaded),
            (None, None) => ("", ChecksumVerdict::Unknown),
        };
        let (mut done, mut go_on) = (0, true);
        let is_it = verdict == ChecksumVerdict::Unknown
            || matches(&path, checksum, &mut || {
                done += BLOCK as u64;
                go_on = go_on && progress(&file, done.min(bytes), bytes);
                go_on
            })?;
        if !go_on {
            return Ok(None);
        }
        verdicts.push(FileVerdict { file, bytes, verdict: if is_it { verdict } else { ChecksumVerdict::Differs } });
    }
    Ok(Some(verdicts))
}

/// Deletes the files of an installed model that are not what was downloaded: those whose checksums are not the names of
/// their blobs in the hub cache. Returns their names.
///
/// # Errors
/// A file cannot be read or deleted.
pub fn delete_damaged(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut damaged = Vec::new();
    for path in files(folder).unwrap_or_default() {
        let Some((blob, checksum)) = blob_of(&path) else { continue };
        if !matches(&blob, &checksum, &mut || true)? {
            fs::remove_file(&path)?;
            fs::remove_file(&blob)?;
            damaged.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    Ok(damaged)
}

/// The blob of a file in the hub cache, and the checksum that is its name; `None` for a file that is none of a cache.
fn blob_of(path: &Path) -> Option<(PathBuf, String)> {
    let blob = fs::canonicalize(path).ok()?;
    let checksum = blob.file_name()?.to_str()?.to_ascii_lowercase();
    is_checksum(&checksum).then_some((blob, checksum))
}

/// Whether a file has this SHA-256, or this git blob SHA-1 (which the hub uses for small files).
/// `at_each_block` stops the work by returning false.
pub(in crate::model) fn matches(
    path: &Path,
    checksum: &str,
    at_each_block: &mut dyn FnMut() -> bool,
) -> anyhow::Result<bool> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let size = file.metadata()?.len();
    let (mut sha1, mut sha256) = (sha1::Sha1::new(), sha2::Sha256::new());
    sha1.update(format!("blob {size}\0"));
    let mut block = vec![0; BLOCK];
    while at_each_block() {
        let read = file.read(&mut block)?;
        if read == 0 {
            break;
        }
        if checksum.len() == 40 { sha1.update(&block[..read]) } else { sha256.update(&block[..read]) }
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    Ok(checksum == if checksum.len() == 40 { hex(&sha1.finalize()) } else { hex(&sha256.finalize()) })
}

/// The hub cache, in the same place as for the Python library: HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub, or
/// below the user's cache folder.
pub(in crate::model) fn hub() -> anyhow::Result<PathBuf> {
    let variable = |name: &str| {
        let value = std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from)?;
        // As the Python library does, because shells do not in every place.
        match value.strip_prefix("~") {
            Ok(below) => Some(etcetera::home_dir().ok()?.join(below)),
            Err(_) => Some(value),
        }
    };
    if let Some(hub) = variable("HF_HUB_CACHE").or_else(|| variable("HUGGINGFACE_HUB_CACHE")) {
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

/// What a complete model folder holds.
struct ModelFolder {
    kind: Kind,
    /// Numbers in an embedding.
    dim: Option<usize>,
    files: Vec<PathBuf>,
}

impl ModelFolder {
    /// # Errors
    /// A file is missing or damaged, or the model is not supported.
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let owned = |paths: Vec<&Path>| paths.into_iter().map(Path::to_path_buf).collect();
        if is_blip2(folder) {
            let files = blip2::files_of(folder)?.iter().map(|name| folder.join(name)).collect();
            let matches = matches!(blip2::use_of(folder), Ok(Blip2Use::Matches));
            return Ok(Self { kind: if matches { Kind::Matcher } else { Kind::Blip2 }, dim: None, files });
        }
        if vision_language::is_vision_language(folder) {
            let files = vision_language::files_of(folder)?.iter().map(|name| folder.join(name)).collect();
            return Ok(Self { kind: Kind::VisionLanguage, dim: None, files });
        }
        if is_text_model(folder) {
            let files = TextFiles::of(folder)?;
            return Ok(Self { kind: Kind::Texts, dim: Some(files.dim()), files: owned(files.paths()) });
        }
        let files = EncoderFiles::of(folder)?;
        let (dim, family) = files.describe();
        Ok(Self { kind: Kind::Encoder(family), dim: Some(dim), files: owned(files.paths()) })
    }

    /// Size of its files, in bytes.
    fn bytes(&self) -> u64 {
        self.files.iter().filter_map(|path| fs::metadata(path).ok()).map(|meta| meta.len()).sum()
    }
}

/// The files of a complete model folder; `None` if one is missing.
fn files(folder: &Path) -> Option<Vec<PathBuf>> {
    Some(ModelFolder::read(folder).ok()?.files)
}

fn pinned(repo: &str) -> Option<&'static str> {
    match (preset(repo), chat_preset(repo)) {
        (Some(preset), _) => Some(preset.revision),
        (None, Some(preset)) => Some(preset.revision),
        (None, None) => CONVERTED.iter().find(|(converted, _)| *converted == repo).map(|(_, revision)| *revision),
    }
}

/// The revision that the user asked for.
fn asked(spec: &ModelSpec) -> Option<&str> {
    match spec {
        ModelSpec::Repo(name) => name.split_once('@').map(|(_, revision)| revision),
        _ => None,
    }
}

/// The folders of a repository's snapshots, the best first: the pinned one, that of main, then the others; or only that
/// of the revision that is asked for.
fn snapshots(hub: &Path, repo: &str, asked: Option<&str>) -> Vec<PathBuf> {
    let folder = repo_folder(hub, repo);
    let snapshots = folder.join("snapshots");
    let named = |reference: &str| {
        let commit = fs::read_to_string(folder.join("refs").join(reference)).ok()?;
        Some(commit.trim().to_owned()).filter(|commit| is_hex(commit))
    };
    if let Some(revision) = asked {
        return vec![snapshots.join(named(revision).unwrap_or_else(|| revision.to_owned()))];
    }
    let mut others: Vec<PathBuf> =
        fs::read_dir(&snapshots).into_iter().flatten().filter_map(|e| Some(e.ok()?.path())).collect();
    others.sort();
    let first = pinned(repo).map(str::to_owned).into_iter().chain(named("main"));
    first.map(|commit| snapshots.join(commit)).chain(others).collect()
}

/// Whether a text has the form of a SHA-1 or a SHA-256.
pub(in crate::model) fn is_checksum(text: &str) -> bool {
    is_hex(text) && matches!(text.len(), 40 | 64)
}

pub(in crate::model) fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit())
}
