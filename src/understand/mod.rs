//! What a whole library holds: groups of photos and their names, a map.
//!
//! Everything here reads embeddings from the catalogue and embeds no photo again.

pub mod cluster;
pub mod clusters;
pub mod keywords;
mod kmeans;
pub mod map;
pub mod progress;
