//! Walks the photo folders.

use crate::photo::sidecars::SidecarFolder;
use crate::search::photo_file;
use crossbeam_channel::Sender;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use snapseek_index::{FileStamp, OfferedFile};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use walkdir::{DirEntry, WalkDir};

/// The name of the files whose patterns leave out files beside and below them.
const IGNORE: &str = ".snapseekignore";

/// What the walk finds.
#[derive(Debug)]
pub(super) enum WalkEvent {
    /// A regular file with the name of a picture, or of a video, whose ending is told, and the files beside it that say
    /// something about it; `excluded` if it is in an excluded folder.
    File {
        path: PathBuf,
        root: PathBuf,
        stamp: FileStamp,
        excluded: bool,
        video: Option<&'static str>,
        beside: Vec<PathBuf>,
    },
    /// A folder or file that could not be read; files below it are not known to be gone.
    Problem { path: PathBuf, root: PathBuf, message: String },
    /// What has a picture's name, but is none: a pipe, a socket, a device, or a link whose target is gone.
    Skipped { path: PathBuf, root: PathBuf },
    /// A file with the ending of a picture or video of a kind that is not decoded.
    Unread { root: PathBuf, ending: &'static str },
    /// A root that does not exist.
    MissingRoot { root: PathBuf },
}

/// What to walk over.
#[derive(Clone, Copy, Debug)]
pub(super) struct WalkOptions<'a> {
    pub(super) hidden: bool,
    /// Patterns of folders and files to leave out, as in `.gitignore`.
    pub(super) excludes: &'a [String],
    /// Excluded folders are walked over too.
    pub(super) keep_excluded: bool,
}

/// Walks `roots` and sends what it finds until the receiver is dropped or `cancel` is set. Links to folders are not
/// followed (so there are no loops); `.snapseekignore` files work as `.gitignore` does.
pub(super) fn walk(roots: &[PathBuf], options: WalkOptions<'_>, cancel: &AtomicBool, out: &Sender<WalkEvent>) {
    for root in roots {
        let found = |event| out.send(event).is_ok() && !cancel.load(Ordering::Relaxed);
        if !walk_one(root, options, &found) {
            return;
        }
    }
}

/// Walks one root; `false` once `found` has returned that.
fn walk_one(root: &Path, options: WalkOptions<'_>, found: &dyn Fn(WalkEvent) -> bool) -> bool {
    if !root.exists() {
        return found(WalkEvent::MissingRoot { root: root.to_path_buf() });
    }
    let problem = |path: &Path, message: String| {
        found(WalkEvent::Problem { path: path.to_path_buf(), root: root.to_path_buf(), message })
    };
    let excludes = patterns(root, options.excludes);
    // The ignore files of the folder in work and of those above it, from the outermost on.
    let mut ignores: Vec<(PathBuf, Gitignore)> = Vec::new();
    for folder in root.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev() {
        // What cannot be read above the root does not concern the user.
        ignores.extend(ignores_in(folder).0.map(|ignores| (folder.to_path_buf(), ignores)));
    }
    // Of the folder in work and of those above it.
    let mut sidecars: Vec<(PathBuf, SidecarFolder)> = Vec::new();
    let mut entries = WalkDir::new(root).into_iter();
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let message = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
                if !problem(error.path().unwrap_or(root), message) {
                    return false;
                }
                continue;
            }
        };
        let (path, is_dir) = (entry.path(), entry.file_type().is_dir());
        while ignores.last().is_some_and(|(folder, _)| !path.starts_with(folder)) {
            ignores.pop();
        }
        let excluded = excludes.matched_path_or_any_parents(path, is_dir).is_ignore();
        if entry.depth() > 0 && is_left_out(&entry, &ignores, excluded && !options.keep_excluded, options.hidden) {
            if is_dir {
                entries.skip_current_dir();
            }
            continue;
        }
        if is_dir {
            let (known, error) = ignores_in(path);
            ignores.extend(known.map(|ignores| (path.to_path_buf(), ignores)));
            // A folder whose ignore file cannot be read or parsed.
            if error.is_some_and(|error| !problem(path, error)) {
                return false;
            }
            continue;
        }
        let Some(mut event) = look(&entry, root, excluded) else { continue };
        if let (WalkEvent::File { beside, .. }, Some(folder)) = (&mut event, path.parent()) {
            while sidecars.last().is_some_and(|(known, _)| !path.starts_with(known)) {
                sidecars.pop();
            }
            if sidecars.last().is_none_or(|(known, _)| known != folder) {
                sidecars.push((folder.to_path_buf(), SidecarFolder::of(folder)));
            }
            *beside = sidecars.last().map(|(_, files)| files.beside(path)).unwrap_or_default();
        }
        if !found(event) {
            return false;
        }
    }
    true
}

/// Whether an entry is left out by its name or by an ignore file, of which the innermost counts.
fn is_left_out(entry: &DirEntry, ignores: &[(PathBuf, Gitignore)], excluded: bool, hidden: bool) -> bool {
    if !hidden && entry.file_name().as_encoded_bytes().starts_with(b".") {
        return true;
    }
    let is_dir = entry.file_type().is_dir();
    let decision =
        ignores.iter().rev().map(|(_, ignores)| ignores.matched(entry.path(), is_dir)).find(|m| !m.is_none());
    match decision {
        Some(Match::Ignore(_)) => true,
        Some(Match::Whitelist(_)) => false,
        _ => excluded,
    }
}

/// These patterns, for paths below a folder. Those that are none are left out: the config refuses them.
fn patterns(root: &Path, lines: &[String]) -> Gitignore {
    let mut builder = GitignoreBuilder::new(root);
    for line in lines {
        let _ = builder.add_line(None, line);
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}

/// The ignore file in a folder, if there is one, and what of it cannot be read.
fn ignores_in(folder: &Path) -> (Option<Gitignore>, Option<String>) {
    let file = folder.join(IGNORE);
    // Where it cannot be seen, neither can the folder's photos, and the walk says so.
    if file.symlink_metadata().is_err() {
        return (None, None);
    }
    let mut builder = GitignoreBuilder::new(folder);
    let partly = builder.add(&file);
    match builder.build() {
        Ok(ignores) => (Some(ignores), partly.as_ref().map(reason)),
        Err(error) => (None, Some(reason(&error))),
    }
}

fn look(entry: &DirEntry, root: &Path, excluded: bool) -> Option<WalkEvent> {
    let (path, kind) = (entry.path(), entry.file_type());
    let video = crate::photo::video_ending(path);
    if !(entry.depth() == 0 || video.is_some() || crate::photo::looks_like_picture(path)) {
        let ending = crate::photo::unread_ending(path).filter(|_| kind.is_file() && !excluded)?;
        return Some(WalkEvent::Unread { root: root.to_path_buf(), ending });
    }
    let (path, root) = (path.to_path_buf(), root.to_path_buf());
    // A link to a photo counts as that photo.
    match std::fs::metadata(&path) {
        Ok(meta) if meta.is_file() => {
            let stamp = photo_file::stamp(&meta);
            Some(WalkEvent::File { path, root, stamp, excluded, video, beside: Vec::new() })
        }
        Ok(meta) if meta.is_dir() => None,
        Ok(_) => Some(WalkEvent::Skipped { path, root }),
        Err(error) if kind.is_symlink() && leads_nowhere(&error) => Some(WalkEvent::Skipped { path, root }),
        Err(error) => Some(WalkEvent::Problem { path, root, message: error.to_string() }),
    }
}

/// What the walk would find of a file that another machine has found; `None` if there is no such file here.
pub(super) fn offered(file: &OfferedFile) -> Option<WalkEvent> {
    let OfferedFile { path, root, stamp } = file.clone();
    let is_it = std::fs::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() == stamp.size);
    if !is_it {
        return None;
    }
    let beside = path.parent().map(|folder| SidecarFolder::of(folder).beside(&path)).unwrap_or_default();
    Some(WalkEvent::File { path, root, stamp, excluded: false, video: None, beside })
}

/// Whether there is a file at `path`, as far as can be known. A link whose target is gone is none.
pub(super) fn is_there(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(_) => true,
        Err(error) => !leads_nowhere(&error) && path.symlink_metadata().is_ok(),
    }
}

/// Whether a path or the link at it leads to nothing, or in a circle.
fn leads_nowhere(error: &io::Error) -> bool {
    let circle = cfg!(unix) && error.raw_os_error() == Some(libc::ELOOP);
    circle || matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn reason(error: &ignore::Error) -> String {
    let Some(io) = error.io_error() else { return error.to_string() };
    // It wraps the system's error only to name the path once more.
    io.get_ref().and_then(std::error::Error::source).map_or_else(|| io.to_string(), ToString::to_string)
}
