//! End to end: these tests drive the real program, as a user's shell would. Each file is one promise or a few of a kind.
//!
//! They need Linux with `strace`, `setpriv`, `script` (util-linux) and `tmux`, for killing the program at a chosen
//! moment, for running it without rights and for giving it a terminal. Where one is missing the test fails and says so.
#![allow(clippy::unwrap_used)]

mod captions;
mod chat;
mod classify;
mod clusters;
mod contracts;
mod crash;
mod damage;
mod duplicates;
mod exif;
mod files;
mod hostile_names;
mod hub;
mod indexing;
mod pictures;
mod pull;
mod quantize;
mod queries;
mod score;
mod shapes;
mod shell;
mod support;
mod terminal;
mod tmux;
mod tui;
mod tui_terminal;
