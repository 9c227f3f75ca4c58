//! Arguments of `watch`.

use clap::Args;
use std::path::PathBuf;

/// Arguments of `watch`.
#[derive(Args, Debug)]
pub struct WatchArgs {
    /// Folders [default: the library's own folders]
    pub folders: Vec<PathBuf>,
}

pub(super) const WATCH_HELP: &str = "Runs until it is stopped, prints a line for each batch, and holds the library \
only while it indexes. docs/indexing.md has a unit for systemd.";
