//! A panic in a library that reads foreign files becomes an error of the file that caused it.

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

/// Called before a panic is reported.
static BEFORE: OnceLock<fn()> = OnceLock::new();
/// Whether a panic has been reported.
static REPORTED: AtomicBool = AtomicBool::new(false);

/// A panic that was contained, with its message.
#[derive(thiserror::Error, Debug, PartialEq, Eq)]
#[error("{0}")]
pub struct Panicked(pub String);

/// Installs a panic hook that is silent about panics that are [`contained`]: they are reported as errors, so they need
/// neither be printed nor end a full-screen terminal UI. All other panics go to the previous hook. A second call does
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

/// Sets a function that runs before a panic that is not contained is reported, for example to leave a full-screen
/// terminal mode. Only the first call has an effect.
pub fn before_reports(before: fn()) {
    let _ = BEFORE.set(before);
}

/// Whether a panic that was not contained has been reported, in any thread.
#[must_use]
pub fn has_reported() -> bool {
    REPORTED.load(Ordering::SeqCst)
}

/// Runs `work` and turns a panic into an error.
///
/// # Errors
/// `work` panicked.
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let outer = CONTAINED.replace(true);
    // Callers only lend `work` a file's bytes and settings, which a panic cannot leave half changed.
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
            // After an inner panic the outer work is still contained.
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
