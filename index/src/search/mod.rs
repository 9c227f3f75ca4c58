//! How photos are found again: the query language, filters, meaning, words, and the caches that answer quickly.

pub(crate) mod cache;
pub(crate) mod filters;
pub mod query;
pub(crate) mod searcher;
pub(crate) mod text;
pub(crate) mod vectors;
