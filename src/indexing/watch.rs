//! Watches folders, and reports when files in them have changed and then stayed unchanged for a while.

use anyhow::Context;
use notify::{Event, EventKind, RecursiveMode, Watcher as _};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long nothing may change before a change is reported, so that files are not indexed while they are being copied.
const REST: Duration = Duration::from_secs(2);

/// Watches `roots` until `stop` is set, and calls `changed` with those in which something has changed; with `at_once`,
/// first with all of them, after the watch has begun. Changes below `own`, where the program itself writes, do not
/// count.
///
/// # Errors
/// The folders cannot be watched, or `changed` fails.
pub fn follow(
    roots: &[PathBuf],
    own: &[&Path],
    at_once: bool,
    stop: &AtomicBool,
    changed: &mut dyn FnMut(&[PathBuf]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (out, events) = crossbeam_channel::unbounded();
    let mut watcher = notify::recommended_watcher(move |event| drop(out.send(event)))?;
    for root in roots.iter().filter(|root| root.exists()) {
        let failed = || format!("{} cannot be watched", crate::terminal::sanitize::path(root));
        watcher.watch(root, RecursiveMode::Recursive).with_context(failed)?;
    }
    if at_once {
        changed(roots)?;
    }
    let mut waiting: BTreeSet<&PathBuf> = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        match events.recv_timeout(if waiting.is_empty() { REST / 8 } else { REST }) {
            Ok(Ok(Event {
                kind: EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_), paths, ..
            })) => {
                for path in paths.iter().filter(|path| !own.iter().any(|folder| path.starts_with(folder))) {
                    waiting.extend(roots.iter().filter(|root| path.starts_with(root)));
                }
            }
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error.into()),
            Err(_) if waiting.is_empty() => {}
            Err(_) => {
                let roots: Vec<PathBuf> = std::mem::take(&mut waiting).into_iter().cloned().collect();
                changed(&roots)?;
            }
        }
    }
    Ok(())
}
