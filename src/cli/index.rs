//! Arguments of `index` and `reindex`.

use clap::Args;
use std::path::PathBuf;

/// Arguments of `index`.
#[derive(Args, Debug, Default)]
pub struct IndexArgs {
    /// Folders or single files [default: the library's own folders]
    pub folders: Vec<PathBuf>,
    /// Drop records even when most of a folder has vanished
    #[arg(long)]
    pub prune: bool,
    /// Index hidden files and folders too
    #[arg(long)]
    pub hidden: bool,
    /// Try files again that failed before
    #[arg(long)]
    pub retry: bool,
    /// Refuse pictures with more megapixels than this
    #[arg(long, value_name = "N", default_value_t = 400)]
    pub max_megapixels: u64,
    /// Do not ask before downloading a model
    #[arg(long)]
    pub yes: bool,
    /// Then caption the photos that have no caption, newest first; may be interrupted and goes on the next time
    #[arg(long)]
    pub captions: bool,
    /// Caption those again too that another model has captioned (those written by hand stay)
    #[arg(long, requires = "captions")]
    pub recaption: bool,
}

/// Arguments of `reindex`.
#[derive(Args, Debug)]
pub struct ReindexArgs {
    /// Do not ask before downloading a model
    #[arg(long)]
    pub yes: bool,
}
