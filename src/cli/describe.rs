//! Arguments of `describe`.

use clap::Args;
use std::path::PathBuf;

/// Arguments of `describe`.
#[derive(Args, Debug)]
pub struct DescribeArgs {
    /// A folder that the library covers [default: the whole library]
    pub folder: Option<PathBuf>,
}
