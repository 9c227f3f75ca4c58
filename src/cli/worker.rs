//! Arguments of `worker`.

use super::wish::StyleChoice;
use crate::captions::wish::CaptionWish;
use clap::Args;

/// Arguments of `worker`.
#[derive(Args, Debug)]
pub struct WorkerArgs {
    /// Write captions for photos that have none
    #[arg(long)]
    pub captions: bool,
    /// Read the text in photos that were not read
    #[arg(long)]
    pub text: bool,
    /// How many threads read and embed photos [default: as many as --threads]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// How captions are written, by a model that follows instructions [default: sentence]
    #[arg(long, value_enum, value_name = "STYLE", requires = "captions")]
    pub caption_style: Option<StyleChoice>,
    /// Try photos again that ended two processes (`snapseek library info` lists them)
    #[arg(long)]
    pub retry: bool,
    /// End when nothing is left to do, instead of waiting for more
    #[arg(long)]
    pub once: bool,
}

pub(super) const WORKER_HELP: &str = "Any number of machines may work on a library on a server. While `snapseek index` \
runs on one of them, the others read and embed photos for it, if they see them at the same path. With --captions and \
--text they caption photos and read the text in them, too: each photo is leased to one of them, and what a machine that is \
stopped or dies has not done goes to the others. Photos that ended two processes are left out. On a library in a folder \
one process works at a time. docs/shared-library.md tells more.";

impl WorkerArgs {
    /// What is asked of the model that writes captions.
    #[must_use]
    pub fn wish(&self) -> CaptionWish {
        CaptionWish { style: self.caption_style.map(StyleChoice::style), ..CaptionWish::default() }
    }
}
