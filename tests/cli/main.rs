//! End to end: these tests drive the real program, as a user's shell would. Each file is one promise or a few of a kind.
//!
//! They run on Linux. Some need `strace`, `setpriv`, `script` (util-linux) or `tmux`, for killing the program at a chosen
//! moment, for running it without rights and for giving it a terminal; where one is missing, the test is skipped with a line.
#![allow(clippy::unwrap_used)]

#[macro_use]
mod support;

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
mod levels;
mod pictures;
mod pull;
mod quantize;
mod queries;
mod score;
mod shapes;
mod shell;

mod terminal;
mod tmux;
mod tui;
mod tui_terminal;
