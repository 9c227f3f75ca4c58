//! What a whole library holds: labels, groups of photos and their names, a map, duplicates.
//!
//! Everything here reads embeddings from the catalogue and embeds no photo of the library again.

pub mod alike;
pub mod candidates;
pub mod classify;
pub mod cluster;
pub mod clusters;
pub mod duplicates;
pub mod keep;
pub mod keywords;
mod kmeans;
pub mod looks;
pub mod map;
pub mod progress;
pub mod selection;
