//! snapseek: find your own photos by meaning, on your own machine.
//!
//! The modules, from the outside in; each imports only modules that are listed below it:
//!
//! - [`cli`], [`commands`], [`tui`]: the two front ends; each subcommand has one file in `cli` and one in `commands`
//! - [`output`]: how results are shown: tables, JSON, CSV, pages, maps, copies
//! - [`indexing`]: one indexing run; [`search`]: one query; [`captions`], [`chat`]: what BLIP-2 writes
//! - [`clusters`], [`labels`], [`duplicates`]: operations on a whole library; [`transfer`]: export and import; [`trial`]:
//!   models side by side
//! - [`model_choice`]: which model a command uses
//! - [`terminal`]: stdout, stderr and progress, and the only way for foreign text to reach them; [`config`]: settings;
//!   [`exit`]: exit codes
//! - [`model`]: CLIP, the built-in starter and BLIP-2; independent of photo files and of storage
//! - [`photo`]: from a file to upright pixels and EXIF facts; [`panics`]: turns a decoder's panic into an error
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
pub mod places;
pub mod reading;
pub mod search;
pub mod stock;
pub mod terminal;
pub mod transfer;
pub mod trial;
pub mod tui;
