//! Arguments of `check`, `forget` and `library`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Arguments of `check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Rebuild what is damaged, from the catalogue
    #[arg(long)]
    pub repair: bool,
    /// Also verify every row and embedding
    #[arg(long)]
    pub full: bool,
}

/// Arguments of `forget`.
#[derive(Args, Debug)]
pub struct ForgetArgs {
    /// Files or folders
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Do not ask before dropping everything, or several indexed folders at once
    #[arg(long)]
    pub yes: bool,
}

/// What `library` can do.
#[derive(Subcommand, Debug)]
pub enum LibraryAction {
    /// Give the space of what was dropped back to the disk
    Compact {
        /// Also throw away captions and names that wait for their picture; they cannot be brought back
        #[arg(long)]
        discard_orphans: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}
