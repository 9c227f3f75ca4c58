//! Arguments of `album`.

use clap::Subcommand;
use std::ffi::OsString;
use std::path::PathBuf;

/// What `album` can do.
#[derive(Subcommand, Debug)]
pub enum AlbumAction {
    /// List the albums, or the photos of one in its order
    List {
        /// The album
        name: Option<String>,
        /// Print paths only, each followed by a NUL byte (for xargs -0)
        #[arg(long, requires = "name", conflicts_with = "json")]
        paths0: bool,
    },
    /// Add photos to the end of an album; a new name makes a new album
    Add {
        /// The album
        name: String,
        /// Files, folders, or a query whose matches are meant
        #[arg(required = true, value_name = "PHOTO|FOLDER|QUERY")]
        photos: Vec<OsString>,
    },
    /// Take photos out of an album; the files stay
    Remove {
        /// The album
        name: String,
        /// Files, folders, or a query whose matches are meant
        #[arg(required = true, value_name = "PHOTO|FOLDER|QUERY")]
        photos: Vec<OsString>,
    },
    /// Rename an album
    Rename {
        /// The album
        name: String,
        /// Its new name
        new: String,
    },
    /// Delete an album; its photos stay
    Delete {
        /// The album
        name: String,
    },
    /// Copy an album's photos into a folder (no file is overwritten), or write a contact sheet
    #[command(group = clap::ArgGroup::new("to").required(true).multiple(true).args(["copy_to", "html"]))]
    Export {
        /// The album
        name: String,
        /// Copy the photos into this folder; their names begin with their places in the album
        #[arg(long, value_name = "DIR")]
        copy_to: Option<PathBuf>,
        /// Write a self-contained contact sheet with thumbnails
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
}
