//! Arguments of `map`.

use clap::{ArgGroup, Args};
use std::path::PathBuf;

/// Arguments of `map`.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("output").required(true).multiple(true).args(["svg", "html"]))]
pub struct MapArgs {
    /// Write the map as a picture
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Write the map as a page, with the list of clusters
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}
