//! What keeps a library sound: caches brought up to date, and the check of everything.

pub(crate) mod check;
pub(crate) mod refresh;
