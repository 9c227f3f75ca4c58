//! Arguments of `describe`.

use clap::Args;
use std::path::PathBuf;

/// Arguments of `describe`.
#[derive(Args, Debug)]
pub struct DescribeArgs {
    /// An indexed folder [default: the whole library]
    pub folder: Option<PathBuf>,
    /// Write comma-separated values, one number per line
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}
