//! One query: from its text to photos, and which of them match.

pub mod matches;
pub mod photo_file;
pub mod query_vector;
pub mod question;
pub mod rerank;
pub mod row;
mod whereabouts;
