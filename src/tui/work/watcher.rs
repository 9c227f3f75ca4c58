//! Watches the library's folders, and reports when files in them have changed and then stayed unchanged for a while.

use super::{Context, explained, guarded, spawn};
use crate::tui::event::Message;
use notify::{Event, EventKind, RecursiveMode, Watcher as _};
use snapseek_index::Library;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long nothing may change before a change is reported, so that files are not indexed while they are being copied.
const REST: Duration = Duration::from_secs(2);

/// The flag that stops the watching thread.
#[derive(Default)]
pub(super) struct Watcher {
    stop: Arc<AtomicBool>,
}

impl Watcher {
    /// Starts or stops watching.
    pub(super) fn watch(&mut self, context: &Arc<Context>, watch: bool) {
        self.stop.store(true, Ordering::Relaxed);
        self.stop = Arc::default();
        if !watch {
            return;
        }
        let (context, stop) = (context.clone(), self.stop.clone());
        let _ = spawn("watcher", move || {
            if let Err(error) = guarded(|| follow(&context, &stop)) {
                context.send(Message::Unwatched(format!("the folders cannot be watched: {}", explained(&error))));
            }
        });
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn follow(context: &Context, stop: &AtomicBool) -> anyhow::Result<()> {
    let (out, events) = crossbeam_channel::unbounded();
    let mut watcher = notify::recommended_watcher(move |event| drop(out.send(event)))?;
    for root in Library::open(&context.settings.library)?.roots()? {
        watcher.watch(&root, RecursiveMode::Recursive)?;
    }
    let mut changed = false;
    while !stop.load(Ordering::Relaxed) {
        match events.recv_timeout(REST) {
            Ok(Ok(Event {
                kind: EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_), paths, ..
            })) => {
                // Changes by the program itself do not count.
                let own = [&context.settings.library, &context.cache];
                changed |= paths.iter().any(|path| !own.iter().any(|folder| path.starts_with(folder)));
            }
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error.into()),
            Err(_) if changed => {
                changed = false;
                context.send(Message::FilesChanged);
            }
            Err(_) => {}
        }
    }
    Ok(())
}
