//! The application as another front end uses it: in this process, through the crate's public functions.
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

mod application;
mod formats;
mod fuzz;
mod metadata;
mod structure;
