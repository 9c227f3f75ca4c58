//! What a whole library holds: labels, groups of photos and their names, a map.
//!
//! Everything here reads embeddings from the catalogue and embeds no photo of the library again.

pub mod classify;
pub mod cluster;
pub mod clusters;
pub mod keywords;
mod kmeans;
pub mod map;
pub mod progress;
pub mod selection;
