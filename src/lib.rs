//! snapseek: find your own photos by meaning, on your own machine.
//!
//! The map of the source, from the outside in; a module imports only what stands below it:
//!
//! - [`cli`], [`commands`], [`tui`]: the two front ends; a file of `cli` and one of `commands` for each subcommand
//! - [`output`]: how results are shown: tables, JSON, CSV, pages, maps, copies
//! - [`indexing`]: one indexing run; [`search`]: one query; [`captions`], [`chat`]: what BLIP-2 writes and answers
//! - [`clusters`], [`labels`], [`duplicates`]: a library as a whole
//! - [`model_choice`]: which model a command works with
//! - [`terminal`]: stdout, stderr and progress, and the one door for foreign text; [`config`]: settings; [`exit`]: exit codes
//! - [`model`]: CLIP, the built-in starter and BLIP-2; knows nothing of photo files or of storage
//! - [`photo`]: from a file to upright pixels and EXIF facts; [`panics`]: panics of decoders stay with their file
//! - the crate `snapseek_index`: catalogue, vector search, full-text search, query language

pub mod captions;
pub mod chat;
pub mod cli;
pub mod clusters;
pub mod commands;
pub mod config;
pub mod duplicates;
pub mod exit;
pub mod indexing;
pub mod labels;
pub mod model;
pub mod model_choice;
pub mod output;
pub mod panics;
pub mod photo;
pub mod search;
pub mod terminal;
pub mod tui;
