//! Keeps the marked photos in the library, so that they survive the end of the program.

use super::{Context, explained, spawn};
use crate::tui::event::Message;
use crossbeam_channel::{Receiver, Sender};
use snapseek_index::{Error, Library};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Under this name the library remembers them: their ids, separated by commas.
const SETTING: &str = "marks";

enum MarkRequest {
    Load,
    Keep(Vec<i64>),
}

/// Loads and keeps marks, in its own thread: the library may be busy.
pub(super) struct MarkKeeper {
    requests: Option<Sender<MarkRequest>>,
    thread: Option<JoinHandle<()>>,
}

impl MarkKeeper {
    pub(super) fn start(context: Arc<Context>) -> std::io::Result<Self> {
        let (requests, work) = crossbeam_channel::unbounded();
        let thread = spawn("marks", move || run(&context, &work))?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    pub(super) fn load(&self) {
        self.put(MarkRequest::Load);
    }

    pub(super) fn keep(&self, ids: Vec<i64>) {
        self.put(MarkRequest::Keep(ids));
    }

    fn put(&self, request: MarkRequest) {
        if let Some(requests) = &self.requests {
            let _ = requests.send(request);
        }
    }

    /// Waits up to `patience` until the last marks are kept.
    pub(super) fn stop(&mut self, patience: Duration) {
        drop(self.requests.take());
        let started = Instant::now();
        if let Some(thread) = self.thread.take() {
            while !thread.is_finished() && started.elapsed() < patience {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

fn run(context: &Context, work: &Receiver<MarkRequest>) {
    let mut has_failed = false;
    while let Ok(mut request) = work.recv() {
        // Only the last marks count.
        while let Ok(newer) = work.try_recv() {
            request = newer;
        }
        let done = match request {
            MarkRequest::Load => load(context),
            MarkRequest::Keep(ids) => keep(context, &ids),
        };
        if let Err(error) = done
            && !std::mem::replace(&mut has_failed, true)
        {
            context.send(Message::Note(true, format!("the marks are not kept: {}", explained(&error))));
        }
    }
}

fn library(context: &Context) -> anyhow::Result<Option<Library>> {
    match Library::open(&context.settings.library) {
        Ok(library) => Ok(Some(library)),
        Err(Error::NoLibrary { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn load(context: &Context) -> anyhow::Result<()> {
    let Some(library) = library(context)? else { return Ok(()) };
    let kept = library.setting(SETTING)?.unwrap_or_default();
    let ids: Vec<i64> = kept.split(',').filter_map(|id| id.parse().ok()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    // Some may be gone.
    let searcher = library.searcher()?;
    let there = searcher.paths(&ids)?;
    let ids = ids.into_iter().zip(there).filter_map(|(id, path)| path.map(|_| id)).collect();
    context.send(Message::Marks(ids));
    Ok(())
}

fn keep(context: &Context, ids: &[i64]) -> anyhow::Result<()> {
    let Some(library) = library(context)? else { return Ok(()) };
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    library.set_setting(SETTING, &ids.join(","))?;
    Ok(())
}
