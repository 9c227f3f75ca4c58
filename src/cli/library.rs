//! Arguments of `check` and `forget`.

use clap::Args;
use std::path::PathBuf;

/// Arguments of `check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Rebuild what is damaged, from the catalogue
    #[arg(long)]
    pub repair: bool,
    /// Also read every embedding
    #[arg(long)]
    pub full: bool,
}

/// Arguments of `forget`.
#[derive(Args, Debug)]
pub struct ForgetArgs {
    /// Files or folders
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
}
