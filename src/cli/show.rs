//! Arguments of `show`.

use clap::Args;
use std::path::PathBuf;

/// Arguments of `show`.
#[derive(Args, Debug)]
pub struct ShowPhotoArgs {
    /// Photos, in the library or not
    #[arg(required = true)]
    pub photos: Vec<PathBuf>,
}
