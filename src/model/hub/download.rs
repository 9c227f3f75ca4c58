//! Downloads a model from Hugging Face: once, completely, and only after the user has seen how large it is.

use super::store::{StoreOptions, hub, is_checksum, is_hex, matches, repo_folder, repository};
use crate::model::blip2::{self, GENERATION};
use crate::model::model_folder::{CONFIG, INDEX, TOKENIZER, WEIGHTS, shards};
use crate::model::preprocess;
use crate::model::{ModelSpec, dual_encoder, vision_language};
use anyhow::Context;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, Metadata};
use hf_hub::{Cache, Repo, RepoType};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Attempts to download one file before giving up.
const TRIES: u32 = 4;
/// How long a server may send nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// How often it is asked meanwhile whether to go on.
const POLL: Duration = Duration::from_millis(200);
/// The most bytes of a file that is downloaded to know which others are needed, before the user is asked.
const MOST_SMALL: usize = 16 << 20;
/// Bytes that a disk should have left after a download.
const SPARE: u64 = 200 << 20;

/// Downloads a model and returns its folder. First, `agree` receives the number of missing bytes; if it returns false,
/// nothing is downloaded and the result is `None`. `progress` receives each file's name, its bytes so far and in all, and
/// stops the download by returning false; then, too, the result is `None`.
/// An interrupted download is kept and continued; every file is compared with its checksum.
///
/// # Errors
/// `--offline` is set, there is no network, the server falls silent, the model does not exist, the disk has no room, or
/// a file does not match its checksum (it is deleted).
pub fn pull(
    spec: &ModelSpec,
    store: &StoreOptions,
    agree: &mut dyn FnMut(u64) -> bool,
    progress: &mut dyn FnMut(&str, u64, u64) -> bool,
) -> anyhow::Result<Option<PathBuf>> {
    let (name, revision) = repository(spec).context("this model needs no download")?;
    let (name, revision) = (name.to_owned(), revision.to_owned());
    anyhow::ensure!(!store.offline, "offline: {name} cannot be downloaded");
    let (events_in, events) = channel::<DownloadEvent>();
    let (go_in, go) = channel::<()>();
    // On a thread of its own, because hf-hub has no timeout: a thread that waits forever is abandoned.
    let work = std::thread::spawn(move || download(&name, revision, &go, &events_in));
    let (mut heard, mut last) = (Instant::now(), (String::new(), 0, 0));
    loop {
        let event = events.recv_timeout(POLL);
        if event.is_ok() {
            heard = Instant::now();
        }
        match event {
            Ok(DownloadEvent::Missing(bytes)) if agree(bytes) => {
                heard = Instant::now();
                go_in.send(())?;
            }
            Ok(DownloadEvent::Missing(_)) => return Ok(None),
            // The thread ends when it tries to report something to nobody.
            Ok(DownloadEvent::Arrived { file, done, total }) => {
                last = (file, done, total);
                if !progress(&last.0, done, total) {
                    return Ok(None);
                }
            }
            Err(RecvTimeoutError::Timeout) if heard.elapsed() < SILENCE => {
                if !progress(&last.0, last.1, last.2) {
                    return Ok(None);
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                anyhow::bail!(
                    "the server has sent nothing for {} s; run the same command again to continue",
                    SILENCE.as_secs()
                )
            }
            Err(RecvTimeoutError::Disconnected) => {
                return work.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the download thread panicked"))).map(Some);
            }
        }
    }
}

enum DownloadEvent {
    /// This many bytes are to be downloaded; the download waits for permission.
    Missing(u64),
    Arrived {
        file: String,
        done: u64,
        total: u64,
    },
}

/// One repository at one commit.
struct Remote<'a> {
    api: Api,
    cache: Cache,
    repo: Repo,
    events: &'a Sender<DownloadEvent>,
}

fn download(
    name: &str,
    revision: String,
    go: &Receiver<()>,
    events: &Sender<DownloadEvent>,
) -> anyhow::Result<PathBuf> {
    let hub = hub()?;
    let api = ApiBuilder::from_env().with_cache_dir(hub.clone()).with_progress(false).build()?;
    let at = |revision: String| Repo::with_revision(name.to_owned(), RepoType::Model, revision);
    // One commit for all files, even if something is pushed in the meantime.
    let repo = api.repo(at(revision.clone()));
    let mut answers = dual_encoder::DESCRIPTIONS.iter().map(|file| api.metadata(&repo.url(file)));
    let first = answers.find(|answer| !answer.as_ref().is_err_and(is_absent)).with_context(|| {
        format!("{name} has no revision {revision}, or none of {} in it", dual_encoder::DESCRIPTIONS.join(", "))
    })?;
    let commit = first.with_context(|| format!("{name} cannot be reached"))?.commit_hash().to_owned();
    anyhow::ensure!(is_hex(&commit), "{name}: the server names no commit");
    let remote = Remote { api, cache: Cache::new(hub.clone()), repo: at(commit), events };
    let mut wanted = Vec::new();
    for file in remote.files().with_context(|| name.to_owned())? {
        let metadata = remote.metadata(&file).with_context(|| format!("{name}: {file}"))?;
        wanted.push((file, metadata));
    }
    let size = wanted.iter().filter(|(file, _)| !remote.has(file)).map(|(_, meta)| meta.size() as u64).sum();
    check_room(&hub, size)?;
    events.send(DownloadEvent::Missing(size))?;
    go.recv()?;
    for (file, metadata) in &wanted {
        remote.fetch(file, metadata).with_context(|| format!("{name}: {file}"))?;
    }
    remember(&hub, name, &revision, remote.repo.revision())?;
    let first = wanted.first().and_then(|(file, _)| Some((remote.path(file)?, Path::new(file).components().count())));
    let folder = first.and_then(|(path, depth)| path.ancestors().nth(depth).map(Path::to_path_buf));
    folder.with_context(|| format!("{name} is not where it was downloaded to"))
}

/// Writes down which commit a branch or tag is, as the Python library does: by that it is found again.
fn remember(hub: &Path, name: &str, revision: &str, commit: &str) -> anyhow::Result<()> {
    if revision == commit {
        return Ok(());
    }
    let file = repo_folder(hub, name).join("refs").join(revision);
    let folder = file.parent().context("a file without a folder")?;
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&file, commit));
    written.with_context(|| format!("{} cannot be written", file.display()))
}

impl Remote<'_> {
    /// The names of the model's files. What says which kind it is comes first: nothing large is fetched, nor even
    /// offered, of a model that is not supported.
    fn files(&self) -> anyhow::Result<Vec<String>> {
        let has_config = self.exists(CONFIG)?;
        let config = has_config.then(|| self.small(CONFIG)).transpose()?;
        if let Some(folder) =
            config.as_deref().and_then(Path::parent).filter(|folder| vision_language::is_vision_language(folder))
        {
            let mut files = vision_language::wanted(folder, &|name| self.exists(name))?;
            files.extend(self.weights()?);
            return Ok(files);
        }
        let Some(folder) = config.as_deref().and_then(Path::parent).filter(|folder| blip2::is_blip2(folder)) else {
            let (has, small) = (|name: &str| self.exists(name), |name: &str| self.small(name));
            let of_texts = dual_encoder::wanted_of_texts(&has, &small)?;
            return of_texts.map_or_else(|| dual_encoder::wanted(&has, &small), Ok);
        };
        blip2::use_of(folder)?;
        let preprocessor = preprocess::wanted(&|name| self.exists(name), &|name| self.small(name))?;
        let mut files = [CONFIG, preprocessor, TOKENIZER].map(str::to_owned).to_vec();
        files.extend(self.exists(GENERATION)?.then(|| GENERATION.to_owned()));
        files.extend(self.weights()?);
        Ok(files)
    }

    /// The names of the files of the model's weights.
    fn weights(&self) -> anyhow::Result<Vec<String>> {
        if !self.exists(INDEX)? {
            return Ok(vec![WEIGHTS.to_owned()]);
        }
        Ok(std::iter::once(INDEX.to_owned()).chain(shards(&self.small(INDEX)?)?).collect())
    }

    /// Downloads a file that is needed to know which others are needed.
    fn small(&self, file: &str) -> anyhow::Result<PathBuf> {
        let metadata = self.metadata(file).with_context(|| file.to_owned())?;
        anyhow::ensure!(
            metadata.size() <= MOST_SMALL,
            "{file} has {} bytes, far more than such a file has",
            metadata.size()
        );
        self.fetch(file, &metadata).with_context(|| file.to_owned())?;
        self.path(file).with_context(|| format!("{file} is not where it was downloaded to"))
    }

    fn metadata(&self, file: &str) -> Result<Metadata, ApiError> {
        self.api.metadata(&self.api.repo(self.repo.clone()).url(file))
    }

    fn exists(&self, file: &str) -> anyhow::Result<bool> {
        match self.metadata(file) {
            Ok(_) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(error).with_context(|| file.to_owned()),
        }
    }

    /// The path of a file, if it was downloaded.
    fn path(&self, file: &str) -> Option<PathBuf> {
        self.cache.repo(self.repo.clone()).get(file)
    }

    fn has(&self, file: &str) -> bool {
        self.path(file).is_some()
    }

    /// Reports that a file is being compared with its checksum, which may take longer than a server may be silent.
    fn verifying(&self, file: &str, metadata: &Metadata) {
        let size = metadata.size() as u64;
        // Nobody listens any more once the download was given up.
        let _ = self.events.send(DownloadEvent::Arrived { file: file.to_owned(), done: size, total: size });
    }

    fn fetch(&self, file: &str, metadata: &Metadata) -> anyhow::Result<()> {
        let checksum = metadata.etag().trim_start_matches("W/").to_ascii_lowercase();
        anyhow::ensure!(is_checksum(&checksum), "the server sends no checksum");
        let blob = self.cache.repo(self.repo.clone()).blob_path(metadata.etag());
        let mut cached = self.path(file);
        for attempt in 1..=TRIES {
            let got = match cached.take() {
                Some(path) => Ok(path),
                None => {
                    let hook = Hook { events: self.events, file: file.to_owned(), done: 0, total: 0 };
                    self.api.repo(self.repo.clone()).download_with_progress(file, hook)
                }
            };
            let error = match got {
                Ok(path) => {
                    let size = path.metadata().map(|m| m.len()).with_context(|| path.display().to_string())?;
                    if size == metadata.size() as u64
                        && matches(&path, &checksum, &mut || {
                            self.verifying(file, metadata);
                            true
                        })?
                    {
                        return Ok(());
                    }
                    let _ = fs::remove_file(&path);
                    let _ = fs::remove_file(&blob);
                    anyhow::anyhow!("the downloaded file does not match its checksum; it was deleted")
                }
                Err(ApiError::InvalidResume) => {
                    let _ = fs::remove_file(blob.with_extension("part"));
                    anyhow::anyhow!("an earlier partial download was longer than the file; it was deleted")
                }
                Err(error) => error.into(),
            };
            if attempt == TRIES {
                return Err(error.context("run the same command again: what was already downloaded is kept"));
            }
            std::thread::sleep(Duration::from_millis(300 << attempt));
        }
        Ok(())
    }
}

/// Whether the server says that there is no such file.
fn is_absent(error: &ApiError) -> bool {
    matches!(error, ApiError::RequestError(error) if error.to_string().contains("404"))
}

struct Hook<'a> {
    events: &'a Sender<DownloadEvent>,
    file: String,
    done: u64,
    total: u64,
}

impl hf_hub::api::Progress for Hook<'_> {
    fn init(&mut self, size: usize, _name: &str) {
        (self.done, self.total) = (0, size as u64);
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        let event = DownloadEvent::Arrived { file: self.file.clone(), done: self.done, total: self.total };
        if self.events.send(event).is_err() {
            // Nobody listens any more once the download was given up, and hf-hub cannot be told so. What has come is kept.
            std::panic::resume_unwind(Box::new("the download was given up"));
        }
    }

    fn finish(&mut self) {}
}

/// Checks that the disk has enough room.
///
/// # Errors
/// The disk that holds `folder` (or will hold it) has less than `bytes` and a reserve left.
pub(in crate::model) fn check_room(folder: &Path, bytes: u64) -> anyhow::Result<()> {
    let Some(free) = free_bytes(folder) else { return Ok(()) };
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    anyhow::ensure!(
        bytes + SPARE <= free,
        "{:.1} GB are needed in {}, but only {:.1} GB are free there",
        gigabytes(bytes + SPARE),
        folder.display(),
        gigabytes(free)
    );
    Ok(())
}

/// Free bytes on a folder's disk; `None` if the system does not report them.
fn free_bytes(folder: &Path) -> Option<u64> {
    #[cfg(unix)]
    {
        let there = folder.ancestors().find(|above| above.is_dir())?;
        let disk = rustix::fs::statvfs(there).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_room_is_told_with_the_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let below = dir.path().join("not/yet");
        assert!(check_room(&below, 0).is_ok());
        let error = check_room(&below, 1 << 60).unwrap_err().to_string();
        assert!(error.contains("1152921504.8 GB are needed"), "{error}");
    }
}
