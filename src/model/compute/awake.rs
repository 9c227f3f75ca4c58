//! Keeping rayon's threads awake through hundreds of small parallel steps.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

thread_local! {
    /// Whether this thread of the pool is running the work of an [`awake`] and must not be held up.
    static AT_WORK: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on one thread of the pool, and keeps the other threads looking for parts of it until it is done.
///
/// Generating a token takes a few hundred parallel steps of a fraction of a millisecond each. If threads fall asleep in
/// between, waking up takes a third of the time.
pub(in crate::model) fn awake<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let done = AtomicBool::new(false);
    rayon::scope(|scope| {
        for _ in 1..rayon::current_num_threads() {
            scope.spawn(|_| {
                // A thread that runs `work` itself only got here while it waited for a part: it must return to it.
                while !AT_WORK.get() && !done.load(Ordering::Relaxed) {
                    if rayon::yield_now() != Some(rayon::Yield::Executed) {
                        std::hint::spin_loop();
                    }
                }
            });
        }
        let was = AT_WORK.replace(true);
        // Dropped even if the work panics; otherwise the scope would wait forever.
        let _end = End(&done, was);
        work()
    })
}

struct End<'a>(&'a AtomicBool, bool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        AT_WORK.set(self.1);
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    #[test]
    fn work_within_work_and_beside_work_ends() {
        let sum = |n: u64| (0..n).into_par_iter().map(|i| i % 7).sum::<u64>();
        let nested = || awake(|| sum(1000) + awake(|| sum(100)));
        let expected = nested();
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| (0..200).map(|_| nested()).collect::<Vec<_>>())).collect();
            for thread in threads {
                assert!(thread.join().unwrap().iter().all(|n| *n == expected));
            }
        });
        let panicked = std::panic::catch_unwind(|| awake(|| panic!("on purpose")));
        assert!(panicked.is_err());
        assert_eq!(nested(), expected);
    }
}
