//! One indexing run: folders are walked, photos decoded and embedded, and the library brought up to date.

pub mod failure;
pub mod fill;
pub mod models;
mod quarantine;
pub mod run;
mod sharing;
pub(crate) mod walk;
pub mod watch;
mod workers;
