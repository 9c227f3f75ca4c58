//! Panics of the decoders stay with the picture that caused them.

use super::{ErrorKind, PhotoError};
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// How `jpeg_decoder` names the threads that it starts.
const JPEG_THREAD: &str = "worker thread for component";

/// Keeps the panics of decoders, which [`super::decode`] reports as errors, from being printed as well, and from
/// tearing down a terminal screen. Panics of any other code go to the hook that was there before. A second call does
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
            previous(info);
        }
    }));
}

/// Runs `work`; its panic becomes an error of kind `Crashed`.
pub(super) fn contained<T>(work: impl FnOnce() -> Result<T, PhotoError>) -> Result<T, PhotoError> {
    let outer = CONTAINED.replace(true);
    // What `work` had borrowed is only the bytes of the file and the limits, which it cannot leave half changed.
    let result = catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(outer);
    result.unwrap_or_else(|panic| {
        let message = format!("the decoder gave up on this file: {}", text_of(panic.as_ref()));
        Err(PhotoError::new(ErrorKind::Crashed, message))
    })
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
            assert_eq!(error.kind, ErrorKind::Crashed);
            assert!(error.message.ends_with("row 4 of 3"), "{}", error.message);
            // A panic of an inner part leaves the outer one contained.
            let error = contained::<()>(|| {
                contained::<()>(|| panic!("inner")).unwrap_err();
                panic!("outer")
            });
            assert!(error.unwrap_err().message.ends_with("outer"));
        })
        .unwrap();
        assert_eq!(SEEN.load(Ordering::Relaxed), 0);
        outsider(|| panic!("not in a decoder")).unwrap_err();
        assert_eq!(SEEN.load(Ordering::Relaxed), 1);
    }
}
