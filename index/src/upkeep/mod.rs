//! Upkeep of a library: bringing the caches up to date, checking for damage and repairing it.

pub(crate) mod check;
mod models;
pub(crate) mod refresh;
pub(crate) mod shared_caches;
mod tags;
