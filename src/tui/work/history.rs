//! Queries of earlier sessions, one per line, in the user's state folder.

use super::{Context, spawn};
use crate::model::kept;
use crate::tui::event::Message;
use crossbeam_channel::Sender;
use etcetera::BaseStrategy;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most queries that are kept.
const MOST: usize = 1_000;
/// Most bytes of the file that are read.
const LARGEST: u64 = 1 << 20;

/// Saves queries.
pub(super) struct History {
    out: Option<Sender<String>>,
}

impl History {
    /// Reads the saved queries in the background and sends them to the UI.
    pub(super) fn open(context: &Arc<Context>) -> Self {
        let Some(file) = place() else { return Self { out: None } };
        let (out, queries) = crossbeam_channel::unbounded::<String>();
        let context = context.clone();
        let spawned = spawn("history", move || {
            for place in file.parent().into_iter().chain([file.as_path()]) {
                kept::make_private(place);
            }
            let known = read(&file);
            if !known.is_empty() {
                context.send(Message::History(known));
            }
            for query in queries {
                // Searching works even if the history cannot be saved.
                let _ = append(&file, &query);
            }
        });
        Self { out: spawned.is_ok().then_some(out) }
    }

    pub(super) fn remember(&self, query: String) {
        if let Some(out) = &self.out {
            let _ = out.send(query);
        }
    }
}

fn place() -> Option<PathBuf> {
    let dirs = etcetera::choose_base_strategy().ok()?;
    Some(dirs.state_dir().unwrap_or_else(|| dirs.data_dir()).join("snapseek/history"))
}

/// The queries, oldest first, each once.
fn read(file: &Path) -> Vec<String> {
    use std::io::{Read, Seek, SeekFrom};
    let mut bytes = Vec::new();
    // Of a file that is too large, the newest queries count.
    let read = std::fs::File::open(file).and_then(|mut file| {
        let skipped = file.metadata()?.len().saturating_sub(LARGEST);
        file.seek(SeekFrom::Start(skipped))?;
        file.take(LARGEST).read_to_end(&mut bytes)
    });
    if read.is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let mut known: Vec<String> = Vec::new();
    for line in text.lines().rev() {
        if known.len() < MOST && !line.trim().is_empty() && !known.iter().any(|other| other == line) {
            known.push(line.to_owned());
        }
    }
    known.reverse();
    if bytes.len() as u64 > LARGEST / 2 {
        // Atomically: a full disk must not cost what was asked before.
        let _ = kept::replace(file, (known.join("\n") + "\n").as_bytes());
    }
    known
}

fn append(file: &Path, query: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        kept::private_folder(folder)?;
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(format!("{}\n", query.replace(['\n', '\r'], " ")).as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_kept_once_and_the_last_counts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("state/history");
        for query in ["dog", "cat", "dog", "line\nbreak"] {
            append(&file, query).unwrap();
        }
        assert_eq!(read(&file), ["cat", "dog", "line break"]);
        #[cfg(unix)]
        for (place, mode) in [(file.as_path(), 0o600), (file.parent().unwrap(), 0o700)] {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(place).unwrap().permissions().mode() & 0o777, mode);
        }
        std::fs::write(&file, b"\xff\xfe\n\n").unwrap();
        assert_eq!(read(&file).len(), 1);
        assert!(read(&dir.path().join("none")).is_empty());
        let many: String = (0..200_000).map(|n| format!("query {n}\n")).collect();
        std::fs::write(&file, many).unwrap();
        let known = read(&file);
        assert_eq!((known.len(), known.last().map(String::as_str)), (MOST, Some("query 199999")));
        assert_eq!(read(&file), known, "it was shortened");
        assert!(std::fs::metadata(&file).unwrap().len() < 20_000);
    }
}
