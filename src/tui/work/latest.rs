//! A worker for which only the last request counts: a newer request cancels the current one and replaces a waiting
//! one.

use super::spawn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Passes requests to such a worker.
pub(super) struct Latest<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    slot: Mutex<Slot<T>>,
    filled: Condvar,
}

struct Slot<T> {
    next: Option<(T, Arc<AtomicBool>)>,
    current: Option<Arc<AtomicBool>>,
    ended: bool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Slot<T>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Latest<T> {
    /// Starts the worker; it receives each request with a flag that is set when the request is cancelled.
    pub(super) fn start(
        name: &str,
        mut work: impl FnMut(T, &Arc<AtomicBool>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let slot = Mutex::new(Slot { next: None, current: None, ended: false });
        let shared = Arc::new(Shared { slot, filled: Condvar::new() });
        let mine = shared.clone();
        spawn(name, move || {
            loop {
                let mut slot = mine.lock();
                slot.current = None;
                let (request, cancel) = loop {
                    if slot.ended {
                        return;
                    }
                    match slot.next.take() {
                        Some(next) => break next,
                        None => slot = mine.filled.wait(slot).unwrap_or_else(PoisonError::into_inner),
                    }
                };
                slot.current = Some(cancel.clone());
                drop(slot);
                work(request, &cancel);
            }
        })?;
        Ok(Self { shared })
    }

    /// Passes a request to the worker.
    pub(super) fn put(&self, request: T) {
        let mut slot = self.shared.lock();
        if let Some(current) = &slot.current {
            current.store(true, Ordering::Relaxed);
        }
        slot.next = Some((request, Arc::default()));
        self.shared.filled.notify_one();
    }

    /// Cancels the current and the waiting request. The waiting one still reaches the worker, so that it is answered.
    pub(super) fn cancel(&self) {
        let slot = self.shared.lock();
        for flag in slot.current.iter().chain(slot.next.as_ref().map(|(_, flag)| flag)) {
            flag.store(true, Ordering::Relaxed);
        }
    }
}

impl<T> Drop for Latest<T> {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.filled.notify_one();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn of_many_requests_the_first_and_the_last_are_worked_on() {
        let (begun, begins) = crossbeam_channel::unbounded();
        let (go, goes) = crossbeam_channel::bounded::<()>(0);
        let latest = Latest::start("test", move |n: u32, cancel| {
            begun.send((n, cancel.load(Ordering::Relaxed))).unwrap();
            goes.recv().unwrap();
            begun.send((n, cancel.load(Ordering::Relaxed))).unwrap();
        })
        .unwrap();
        latest.put(1);
        assert_eq!(begins.recv().unwrap(), (1, false));
        (2..=9).for_each(|n| latest.put(n));
        go.send(()).unwrap();
        assert_eq!(begins.recv().unwrap(), (1, true), "it is told that it is not wanted any more");
        assert_eq!(begins.recv().unwrap(), (9, false));
        latest.cancel();
        go.send(()).unwrap();
        assert_eq!(begins.recv().unwrap(), (9, true));
    }
}
