//! Arguments of `index` and `reindex`.

use super::wish::StyleChoice;
use crate::captions::wish::CaptionWish;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `index`.
#[derive(Args, Debug, Default)]
pub struct IndexArgs {
    /// Folders or single files [default: the library's own folders]
    pub folders: Vec<PathBuf>,
    /// Remove the records of missing files even if most of a folder is missing
    #[arg(long)]
    pub prune: bool,
    /// Index hidden files and folders too
    #[arg(long)]
    pub hidden: bool,
    /// Index the folders too that are left out by default: #recycle, @eaDir, lost+found, *.lrdata, .Trash-*,
    /// node_modules
    #[arg(long)]
    pub no_default_excludes: bool,
    /// Retry files that failed before
    #[arg(long)]
    pub retry: bool,
    /// Index videos too: one to five frames of each, made by the program ffmpeg, which must be installed
    #[arg(long)]
    pub video: bool,
    /// Refuse pictures with more megapixels than this
    #[arg(long, value_name = "N", default_value_t = 400)]
    pub max_megapixels: u64,
    /// Refuse pictures that need more memory than this to decode, in MiB; and files that are larger than this and
    /// 1 GiB
    #[arg(long, value_name = "MIB", default_value_t = 576)]
    pub max_memory: u64,
    /// Do not ask before downloading a model
    #[arg(long)]
    pub yes: bool,
    /// Then caption the photos in these folders that have no caption, newest first; an interrupted run continues the
    /// next time
    #[arg(long)]
    pub captions: bool,
    /// Also replace captions that another model wrote (captions written by hand stay)
    #[arg(long, requires = "captions")]
    pub recaption: bool,
    /// How captions are written, by a model that follows instructions [default: sentence]
    #[arg(long, value_enum, value_name = "STYLE", requires = "captions")]
    pub caption_style: Option<StyleChoice>,
    /// An instruction of your own in place of a style's; how every caption begins, for a BLIP-2
    #[arg(long, value_name = "WORDS", requires = "captions", conflicts_with = "caption_style")]
    pub prompt: Option<String>,
    /// Tell the model what the library knows: place, date and names of people. The captions remember that
    #[arg(long, requires = "captions")]
    pub context: bool,
    /// Then read the text in these photos, newest first, to find them by it (text:"boarding pass"); later runs go on
    /// with it
    #[arg(long, conflicts_with = "no_text")]
    pub text: bool,
    /// Do not read text any more; what was read stays
    #[arg(long)]
    pub no_text: bool,
    /// Also read photos again that another version of the models has read
    #[arg(long, requires = "text")]
    pub reread: bool,
}

impl IndexArgs {
    /// What is asked of the model that writes captions.
    #[must_use]
    pub fn wish(&self) -> CaptionWish {
        let style = self.caption_style.map(StyleChoice::style);
        CaptionWish { style, prompt: self.prompt.clone(), context: self.context }
    }
}

/// Arguments of `reindex`.
#[derive(Args, Debug)]
pub struct ReindexArgs {
    /// Do not ask before downloading a model
    #[arg(long)]
    pub yes: bool,
}
