//! Watches the library's folders for the application.

use super::{Context, explained, guarded, spawn};
use crate::indexing::watch;
use crate::tui::event::Message;
use snapseek_index::Library;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    let roots = Library::open(&context.settings.library)?.roots()?;
    watch::follow(&roots, &[&context.settings.library, &context.cache], false, stop, &mut |_| {
        context.send(Message::FilesChanged);
        Ok(())
    })
}
