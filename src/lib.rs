//! snapseek: find your own photos by meaning, on your own machine.
//!
//! The map of the source, from the outside in:
//!
//! - [`cli`], [`config`], [`failure`], [`signals`]: flags, settings, exit codes, Ctrl-C
//! - [`commands`]: one file per group of subcommands
//! - [`output`], [`console`], [`sanitize`]: how results reach a person, and the one door for foreign text
//! - [`indexing`], [`pipeline`]: one indexing run; [`finding`], [`compose`] and [`matching`]: one query
//! - [`understand`]: what a whole library holds: labels, clusters and their names, a map
//! - [`models`], [`describe`], [`talk`]: which model a command works with; what BLIP-2 sees in a picture and says about it
//! - [`model`]: CLIP, the built-in starter and BLIP-2; knows nothing of files of photos or of storage
//! - [`photo`]: from a file to upright pixels and EXIF facts; [`pixels`], [`contain`]: what the two share
//! - [`thumbnails`]: small pictures of photos, kept in the cache folder
//! - the crate `snapseek_index`: catalogue, vector search, full-text search, query language

pub mod cli;
pub mod commands;
pub mod compose;
pub mod config;
pub mod console;
pub mod contain;
pub mod describe;
pub mod failure;
pub mod finding;
pub mod indexing;
pub mod matching;
pub mod model;
pub mod models;
pub mod output;
pub mod photo;
pub mod pipeline;
pub mod pixels;
pub mod sanitize;
pub mod signals;
pub mod talk;
pub mod thumbnails;
pub mod tui;
pub mod understand;
