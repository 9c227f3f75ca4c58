//! The catalogue in SQLite, the one source of truth.

pub(crate) mod library;
pub(crate) mod paths;
pub(crate) mod rows;
pub(crate) mod schema;
pub(crate) mod writer;
