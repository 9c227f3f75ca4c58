//! Where models are: the user's Hugging Face cache, filled by a download once if the user wants it.

use super::ModelSpec;
use super::clip;
use anyhow::Context;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use sha1::Digest;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// The revision of openai/clip-vit-base-patch32 that we pin: its weights as safetensors (on the main branch they are
/// a pickle, which can run code).
pub const PINNED_CLIP: &str = "c237dc49a33fc61debc9276459120b7eac67e7ef";
const CLIP: &str = "openai/clip-vit-base-patch32";
/// Tries of one file before a download is given up.
const TRIES: u32 = 4;
/// How long a server may send nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// How to look for models.
#[derive(Clone, Copy, Debug, Default)]
pub struct StoreOptions {
    /// Never download.
    pub offline: bool,
}

/// A model that is ready for use.
#[derive(Clone, Debug)]
pub struct Installed {
    /// What `--model` calls it.
    pub name: String,
    /// Its folder; `None` for the one built into the program.
    pub dir: Option<PathBuf>,
    /// Size of its files.
    pub bytes: u64,
    /// Licence of the weights, as far as known.
    pub licence: String,
    /// Commit of its repository.
    pub revision: Option<String>,
    /// Numbers in an embedding.
    pub dim: usize,
}

/// The folder of a model, if it is installed.
///
/// # Errors
/// No home directory is known.
pub fn locate(spec: &ModelSpec) -> anyhow::Result<Option<PathBuf>> {
    match spec {
        ModelSpec::Auto | ModelSpec::Starter => Ok(None),
        ModelSpec::Clip => Ok(snapshot(&hub()?, CLIP, Some(PINNED_CLIP))),
        ModelSpec::Repo(repo) => Ok(snapshot(&hub()?, repo, None)),
        ModelSpec::Dir(folder) => Ok(Some(folder.clone())),
    }
}

/// Every model that is ready for use, the built-in one first.
#[must_use]
pub fn installed() -> Vec<Installed> {
    let starter = Installed {
        name: "starter".into(),
        dir: None,
        bytes: super::starter::packed_bytes(),
        licence: "Apache-2.0".into(),
        revision: None,
        dim: super::starter::DIM,
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
        let pinned = (repo == CLIP).then_some(PINNED_CLIP);
        let dir = snapshot(&hub().ok()?, &repo, pinned)?;
        let dim = clip::dim(&dir).ok()?;
        let bytes = clip::FILES.iter().filter_map(|name| fs::metadata(dir.join(name)).ok()).map(|m| m.len()).sum();
        Some(Installed {
            licence: if repo.starts_with("openai/clip") { "MIT" } else { "see its model card" }.into(),
            name: if repo == CLIP { "clip".into() } else { repo },
            bytes,
            revision: dir.file_name().and_then(|n| n.to_str()).map(str::to_owned),
            dim,
            dir: Some(dir),
        })
    });
    std::iter::once(starter).chain(found).collect()
}

/// Downloads a model, tells `progress` about each file, its bytes so far and in all, and returns the model's folder.
/// What was downloaded before an interruption is kept and continued; every file is compared with its checksum.
///
/// # Errors
/// `--offline`, no network, a server that falls silent, no such model, or a file that is not what its checksum says (it
/// is deleted).
pub fn pull(
    spec: &ModelSpec,
    store: &StoreOptions,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> anyhow::Result<PathBuf> {
    let (name, revision) = match spec {
        ModelSpec::Clip => (CLIP.to_owned(), PINNED_CLIP.to_owned()),
        ModelSpec::Repo(repo) => (repo.clone(), "main".to_owned()),
        ModelSpec::Auto | ModelSpec::Starter | ModelSpec::Dir(_) => anyhow::bail!("this model needs no download"),
    };
    anyhow::ensure!(!store.offline, "offline: {name} cannot be downloaded");
    let (events_in, events) = channel::<Event>();
    // On a thread of its own, because hf-hub knows no time limit: one that waits for ever is left behind.
    let work = std::thread::spawn(move || download(&name, revision, &events_in));
    loop {
        match events.recv_timeout(SILENCE) {
            Ok((file, done, total)) => progress(file, done, total),
            Err(RecvTimeoutError::Timeout) => {
                anyhow::bail!(
                    "the server has sent nothing for {} s; run the same command again to go on",
                    SILENCE.as_secs()
                )
            }
            Err(RecvTimeoutError::Disconnected) => {
                return work.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the download broke down")));
            }
        }
    }
}

/// A file, its bytes so far, and in all.
type Event = (&'static str, u64, u64);

fn download(name: &str, revision: String, events: &Sender<Event>) -> anyhow::Result<PathBuf> {
    let hub = hub()?;
    let api = ApiBuilder::from_env().with_cache_dir(hub.clone()).with_progress(false).build()?;
    let at = |revision: String| Repo::with_revision(name.to_owned(), RepoType::Model, revision);
    // One commit for all files, whatever is pushed meanwhile.
    let first = api.repo(at(revision)).url(clip::FILES[0]);
    let commit = api.metadata(&first).with_context(|| format!("{name} cannot be reached"))?.commit_hash().to_owned();
    anyhow::ensure!(is_hex(&commit), "{name}: the server names no commit");
    let cache = Cache::new(hub);
    for file in clip::FILES {
        fetch(&api, &cache, &at(commit.clone()), file, events).with_context(|| format!("{name}: {file}"))?;
    }
    let folder = cache.repo(at(commit)).get(clip::FILES[0]).and_then(|path| path.parent().map(Path::to_path_buf));
    folder.with_context(|| format!("{name} is not where it was downloaded to"))
}

fn fetch(api: &Api, cache: &Cache, repo: &Repo, file: &'static str, events: &Sender<Event>) -> anyhow::Result<()> {
    let remote: ApiRepo = api.repo(repo.clone());
    let metadata = api.metadata(&remote.url(file))?;
    let checksum = metadata.etag().trim_start_matches("W/").to_ascii_lowercase();
    anyhow::ensure!(is_checksum(&checksum), "the server gives no checksum");
    let blob = cache.repo(repo.clone()).blob_path(metadata.etag());
    let mut cached = cache.repo(repo.clone()).get(file);
    for attempt in 1..=TRIES {
        let got = match cached.take() {
            Some(path) => Ok(path),
            None => remote.download_with_progress(file, Hook { events, file, done: 0, total: 0 }),
        };
        let error = match got {
            Ok(path) => {
                let size = path.metadata().map(|m| m.len()).with_context(|| path.display().to_string())?;
                if size == metadata.size() as u64 && matches(&path, &checksum)? {
                    return Ok(());
                }
                let _ = fs::remove_file(&path);
                let _ = fs::remove_file(&blob);
                anyhow::anyhow!("what was downloaded is not what its checksum says; it is deleted")
            }
            Err(ApiError::InvalidResume) => {
                let _ = fs::remove_file(blob.with_extension("part"));
                anyhow::anyhow!("an earlier part was longer than the file; it is deleted")
            }
            Err(error) => error.into(),
        };
        if attempt == TRIES {
            return Err(error.context("run the same command again: what is there already is kept"));
        }
        std::thread::sleep(Duration::from_millis(300 << attempt));
    }
    Ok(())
}

/// Compares an installed model's files with their checksums, which the hub cache has in the names of its blobs, and
/// deletes those that are damaged. Returns their names.
///
/// # Errors
/// A file cannot be read.
pub fn verify(folder: &Path) -> anyhow::Result<Vec<&'static str>> {
    let mut damaged = Vec::new();
    for file in clip::FILES {
        let path = folder.join(file);
        let Ok(blob) = fs::canonicalize(&path) else { continue };
        let checksum = blob.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_ascii_lowercase();
        if is_checksum(&checksum) && !matches(&blob, &checksum)? {
            fs::remove_file(&path)?;
            fs::remove_file(&blob)?;
            damaged.push(file);
        }
    }
    Ok(damaged)
}

/// Whether a file has this SHA-256, or this git blob SHA-1 (what the hub knows of small files).
fn matches(path: &Path, checksum: &str) -> anyhow::Result<bool> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let size = file.metadata()?.len();
    let (mut sha1, mut sha256) = (sha1::Sha1::new(), sha2::Sha256::new());
    sha1.update(format!("blob {size}\0"));
    let mut block = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            break;
        }
        if checksum.len() == 40 { sha1.update(&block[..read]) } else { sha256.update(&block[..read]) }
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    Ok(checksum == if checksum.len() == 40 { hex(&sha1.finalize()) } else { hex(&sha256.finalize()) })
}

struct Hook<'a> {
    events: &'a Sender<Event>,
    file: &'static str,
    done: u64,
    total: u64,
}

impl hf_hub::api::Progress for Hook<'_> {
    fn init(&mut self, size: usize, _name: &str) {
        (self.done, self.total) = (0, size as u64);
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        // Nobody listens any more once the server was given up.
        let _ = self.events.send((self.file, self.done, self.total));
    }

    fn finish(&mut self) {}
}

/// The hub cache, where the Python library has it: HF_HUB_CACHE, HF_HOME/hub, or below the user's cache folder.
fn hub() -> anyhow::Result<PathBuf> {
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

/// The folder of a repository's snapshot that holds every file: the pinned one, else that of main, else any.
fn snapshot(hub: &Path, repo: &str, pinned: Option<&str>) -> Option<PathBuf> {
    let repo = hub.join(format!("models--{}", repo.replace('/', "--")));
    let snapshots = repo.join("snapshots");
    let main =
        fs::read_to_string(repo.join("refs/main")).ok().map(|commit| commit.trim().to_owned()).filter(|c| is_hex(c));
    let mut others: Vec<PathBuf> =
        fs::read_dir(&snapshots).into_iter().flatten().filter_map(|e| Some(e.ok()?.path())).collect();
    others.sort();
    let named = pinned.map(str::to_owned).into_iter().chain(main).map(|commit| snapshots.join(commit));
    named.chain(others).find(|folder| clip::FILES.iter().all(|name| folder.join(name).is_file()))
}

/// The form of a SHA-1 or a SHA-256.
fn is_checksum(text: &str) -> bool {
    is_hex(text) && matches!(text.len(), 40 | 64)
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit())
}
