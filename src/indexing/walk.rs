//! Walks the photo folders.

use crate::search::photo_file;
use crossbeam_channel::Sender;
use ignore::WalkBuilder;
use snapseek_index::FileStamp;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// What the walk finds.
#[derive(Debug)]
pub(super) enum WalkEvent {
    /// A regular file with a picture's name.
    File { path: PathBuf, root: PathBuf, stamp: FileStamp },
    /// A folder or file that could not be read; files below it are not known to be gone.
    Problem { path: PathBuf, root: PathBuf, message: String },
    /// What has a picture's name, but is none: a pipe, a socket, a device, or a link whose target is gone.
    Skipped { path: PathBuf, root: PathBuf },
    /// A root that does not exist.
    MissingRoot { root: PathBuf },
}

/// What to walk over.
#[derive(Clone, Copy, Debug)]
pub(super) struct WalkOptions {
    pub(super) hidden: bool,
}

/// Walks `roots` and sends what it finds until the receiver is dropped or `cancel` is set. Links to folders are not
/// followed (so there are no loops); `.snapseekignore` files work as `.gitignore` does.
pub(super) fn walk(roots: &[PathBuf], options: WalkOptions, cancel: &AtomicBool, out: &Sender<WalkEvent>) {
    for root in roots {
        if !root.exists() {
            if out.send(WalkEvent::MissingRoot { root: root.clone() }).is_err() {
                return;
            }
            continue;
        }
        let walk = WalkBuilder::new(root)
            .standard_filters(false)
            .hidden(!options.hidden)
            .parents(true)
            .add_custom_ignore_filename(".snapseekignore")
            .follow_links(false)
            .build();
        for entry in walk {
            if cancel.load(Ordering::Relaxed) {
                return;
            }
            // A folder whose ignore file cannot be read or parsed.
            let half_read = entry.as_ref().ok().and_then(|e| Some((e.path().to_path_buf(), reason(e.error()?))));
            let problem = half_read.map(|(path, message)| WalkEvent::Problem { path, root: root.clone(), message });
            for found in problem.into_iter().chain(look(entry, root)) {
                if out.send(found).is_err() {
                    return;
                }
            }
        }
    }
}

fn look(entry: Result<ignore::DirEntry, ignore::Error>, root: &Path) -> Option<WalkEvent> {
    let entry = match entry {
        Ok(entry) => entry,
        Err(error) => {
            let path = path_of(&error).unwrap_or(root).to_path_buf();
            return Some(WalkEvent::Problem { path, root: root.to_path_buf(), message: reason(&error) });
        }
    };
    let path = entry.path();
    let kind = entry.file_type()?;
    if kind.is_dir() || !(entry.depth() == 0 || crate::photo::looks_like_picture(path)) {
        return None;
    }
    let (path, root) = (path.to_path_buf(), root.to_path_buf());
    // A link to a photo counts as that photo.
    match std::fs::metadata(&path) {
        Ok(meta) if meta.is_file() => Some(WalkEvent::File { path, root, stamp: photo_file::stamp(&meta) }),
        Ok(meta) if meta.is_dir() => None,
        Ok(_) => Some(WalkEvent::Skipped { path, root }),
        Err(error) if kind.is_symlink() && leads_nowhere(&error) => Some(WalkEvent::Skipped { path, root }),
        Err(error) => Some(WalkEvent::Problem { path, root, message: error.to_string() }),
    }
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

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        ignore::Error::Loop { child, .. } => Some(child),
        ignore::Error::Partial(errors) => errors.first().and_then(path_of),
        _ => None,
    }
}

fn reason(error: &ignore::Error) -> String {
    let Some(io) = error.io_error() else { return error.to_string() };
    // The walk wraps the system's error only to name the path once more.
    io.get_ref().and_then(Error::source).map_or_else(|| io.to_string(), ToString::to_string)
}
