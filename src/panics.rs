//! Panics of libraries that read foreign files stay with the file that caused them.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// How `jpeg_decoder` names the threads that it starts.
const JPEG_THREAD: &str = "worker thread for component";

/// What is done before a panic is told.
static BEFORE: OnceLock<fn()> = OnceLock::new();
/// A panic was told.
static REPORTED: AtomicBool = AtomicBool::new(false);

/// A panic that was contained, with its message.
#[derive(thiserror::Error, Debug, PartialEq, Eq)]
#[error("{0}")]
pub struct Panicked(pub String);

/// Keeps panics that are [`contained`], and so reported as errors, from being printed as well, and from tearing down a
/// terminal screen. Panics of any other code go to the hook that was there before. A second call does
/// nothing.
pub fn contain_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(install_hook);
}

fn install_hook() {
    let previous = take_hook();
    set_hook(Box::new(move |info| {
        let jpeg = std::thread::current().name().is_some_and(|name| name.starts_with(JPEG_THREAD));
        if !jpeg && !CONTAINED.get() {
            if let Some(before) = BEFORE.get() {
                before();
            }
            REPORTED.store(true, Ordering::SeqCst);
            previous(info);
        }
    }));
}

/// Lets `before` run before a panic that is not contained is told, so that the terminal shows it. The first call counts.
pub fn before_reports(before: fn()) {
    let _ = BEFORE.set(before);
}

/// Whether a panic that was not contained was told, in whatever thread.
#[must_use]
pub fn has_reported() -> bool {
    REPORTED.load(Ordering::SeqCst)
}

/// Runs `work`; its panic becomes an error.
///
/// # Errors
/// It panicked.
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let outer = CONTAINED.replace(true);
    // What `work` had borrowed is a file's bytes and settings, which it cannot leave half changed.
    let result = catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(outer);
    result.map_err(|panic| Panicked(text_of(panic.as_ref()).to_owned()))
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "no reason given",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn only_panics_outside_the_decoder_reach_the_previous_hook() {
        static SEEN: AtomicUsize = AtomicUsize::new(0);
        let default = take_hook();
        set_hook(Box::new(move |info| {
            if std::thread::current().name().is_some_and(|name| name == "outsider") {
                SEEN.fetch_add(1, Ordering::Relaxed);
            } else {
                default(info);
            }
        }));
        install_hook();
        let outsider = |work: fn()| std::thread::Builder::new().name("outsider".into()).spawn(work).unwrap().join();
        outsider(|| {
            let error = contained::<()>(|| panic!("row {} of 3", 4)).unwrap_err();
            assert_eq!(error, Panicked("row 4 of 3".into()));
            // A panic of an inner part leaves the outer one contained.
            let error = contained::<()>(|| {
                contained::<()>(|| panic!("inner")).unwrap_err();
                panic!("outer")
            });
            assert_eq!(error, Err(Panicked("outer".into())));
        })
        .unwrap();
        assert_eq!(SEEN.load(Ordering::Relaxed), 0);
        outsider(|| panic!("not in a decoder")).unwrap_err();
        assert_eq!(SEEN.load(Ordering::Relaxed), 1);
    }
}
