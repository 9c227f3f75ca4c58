//! The memory that all threads together may hold: one budget for the bytes of files, one for decoding and pixels.
//!
//! A thread takes a share before it allocates, and waits until it fits. It must not wait for more while others may wait
//! for what it holds, so a share never grows, and a file is read before its pixels are asked for, never the other way
//! round.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of all files that are in memory at once.
pub(super) static FILES: Budget = Budget::new(1 << 30);
/// Bytes of all pictures, and of what decoding them needs: enough for 100 megapixels of 16-bit RGB or of an 8-bit TIFF.
pub(super) static PIXELS: Budget = Budget::new(576 << 20);

/// A number of bytes that threads share.
#[derive(Debug)]
pub(super) struct Budget {
    state: Mutex<BudgetState>,
    changed: Condvar,
}

#[derive(Debug)]
struct BudgetState {
    total: u64,
    free: u64,
    /// Threads are served in the order in which they came, so that a large picture is not overtaken for ever.
    next: u64,
    served: u64,
}

impl Budget {
    const fn new(total: u64) -> Self {
        let state = BudgetState { total, free: total, next: 0, served: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The whole budget in bytes.
    pub(super) fn total(&self) -> u64 {
        self.lock().total
    }

    /// Makes it at least this large.
    pub(super) fn raise(&self, total: u64) {
        let mut state = self.lock();
        let more = total.saturating_sub(state.total);
        state.total += more;
        state.free += more;
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for `bytes` of the budget; `None` if that is more than all of it.
    pub(super) fn take(&'static self, bytes: u64) -> Option<Share> {
        let mut state = self.lock();
        if bytes > state.total {
            return None;
        }
        let turn = state.next;
        state.next += 1;
        while state.served != turn || state.free < bytes {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.served += 1;
        state.free -= bytes;
        drop(state);
        self.changed.notify_all();
        Some(Share { budget: self, bytes })
    }

    fn lock(&self) -> MutexGuard<'_, BudgetState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Part of a budget, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: &'static Budget,
    bytes: u64,
}

impl Share {
    /// Gives back all but `bytes`.
    pub(super) fn shrink_to(&mut self, bytes: u64) {
        let spare = self.bytes.saturating_sub(bytes);
        self.bytes -= spare;
        self.budget.lock().free += spare;
        self.budget.changed.notify_all();
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    #[test]
    fn threads_wait_until_their_share_fits_and_a_large_one_is_not_overtaken() {
        static BUDGET: Budget = Budget::new(100);
        static HELD: AtomicU64 = AtomicU64::new(0);
        assert!(BUDGET.take(101).is_none());
        std::thread::scope(|scope| {
            for n in 0..8_u64 {
                scope.spawn(move || {
                    for bytes in [100, 10 + n, 60, 1] {
                        let mut share = BUDGET.take(bytes).unwrap();
                        assert!(HELD.fetch_add(bytes, Ordering::SeqCst) + bytes <= 100);
                        std::thread::sleep(Duration::from_millis(1));
                        HELD.fetch_sub(bytes - bytes / 2, Ordering::SeqCst);
                        share.shrink_to(bytes / 2);
                        HELD.fetch_sub(bytes / 2, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(BUDGET.lock().free, 100);
        BUDGET.raise(90);
        assert_eq!(BUDGET.total(), 100);
        BUDGET.raise(150);
        let share = BUDGET.take(140).unwrap();
        assert_eq!((BUDGET.total(), BUDGET.lock().free), (150, 10));
        drop(share);
    }
}
