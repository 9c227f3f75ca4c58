//! Arguments of `demo`.

use clap::Args;
use std::path::PathBuf;

/// Arguments of `demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Folder of photos to show
    #[arg(default_value = "fixtures/photos")]
    pub folder: PathBuf,
}
