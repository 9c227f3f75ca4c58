//! A value that is made when it is first needed.

use anyhow::Context;
use std::sync::{Mutex, OnceLock};

/// A value made by one thread when it is first needed. A failure is not remembered: the next caller tries again.
pub(super) struct Once<T> {
    value: OnceLock<T>,
    making: Mutex<()>,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self { value: OnceLock::new(), making: Mutex::default() }
    }
}

impl<T> Once<T> {
    pub(super) fn get(&self, make: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<&T> {
        if self.value.get().is_none() {
            let _making = self.making.lock();
            if self.value.get().is_none() {
                let _ = self.value.set(make()?);
            }
        }
        self.value.get().context("the value was not made")
    }
}
