//! End to end: these tests run the real program as a user's shell would. Each file tests one promise or a few related
//! ones.
//!
//! They run on Linux. Some need `strace`, `setpriv`, `script` (util-linux), `tmux`, `exiftool` or `ffmpeg`, to kill the
//! program at a chosen moment, to run it without rights, to give it a terminal, to write metadata, or to make videos;
//! if a tool is missing, a message says that the test is skipped.
#![allow(clippy::unwrap_used)]

#[macro_use]
mod support;
mod tags;

mod albums;
mod bombs;
mod campaign;
mod captions;
mod chat;
mod classify;
mod clusters;
mod contracts;
mod crash;
mod damage;
mod documents;
mod duplicates;
mod exif;
mod files;
mod hostile_names;
mod hub;
mod indexing;
mod layouts;
mod levels;
mod metadata;
mod model_files;
mod pictures;
mod pull;
mod quantize;
mod queries;
mod rerank;
mod score;
mod shapes;
mod shared_library;
mod shell;
mod shown;
mod stacks;
mod t5;

mod terminal;
mod text;
mod text_model;
mod tmux;
mod trials;
mod tui;
mod tui_terminal;
mod tui_upkeep;
mod two_models;
mod videos;
mod vision_language;
mod written;
