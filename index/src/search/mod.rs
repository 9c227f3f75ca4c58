//! How photos are found: the query language, filters, search by meaning and by words, and the caches that make it fast.

pub(crate) mod cache;
pub(crate) mod details;
pub(crate) mod facets;
pub(crate) mod filter_sql;
pub(crate) mod filters;
pub(crate) mod map_cache;
pub(crate) mod order;
pub mod query;
pub(crate) mod searcher;
pub(crate) mod segments;
pub(crate) mod text;
pub(crate) mod umlauts;
pub(crate) mod vectors;
