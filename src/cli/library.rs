//! Arguments of `check`, `forget` and `library`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Arguments of `check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Rebuild what is damaged, and make caches that are missing, from the catalogue
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
    /// Make an empty library, in a folder or on a server (postgres://USER@HOST/DATABASE)
    Create,
    /// Bring a library of an older release up to date, without doing anything else
    Upgrade,
    /// Where the library is, on which engine, and how large it is
    Info,
    /// Copy a whole library into an empty one: from a folder to a server, back, or to another folder
    ///
    /// Everything goes with it: embeddings, captions, texts, chats, albums, names. Every table is read again and
    /// compared. A copy that was stopped is gone on with by the same command.
    Copy {
        /// Folder or address of the library
        from: PathBuf,
        /// Folder or address of the empty library
        to: PathBuf,
    },
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
