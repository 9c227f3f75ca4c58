//! Arguments of `text`.

use clap::Args;
use std::path::PathBuf;

/// Shown after the help of `text`.
pub(super) const TEXT_HELP: &str = "EXAMPLES\n  snapseek text receipt.jpg                 # its lines, in reading order\n  \
    snapseek text --json *.jpg                # where each line stands, and how sure the model is\n  \
    snapseek text --boxes marked sign.jpg     # a copy with a frame around each line\n  \
    snapseek index ~/Pictures --text          # the whole library, to search it: text:\"boarding pass\"\n\n\
    Chinese and English; accents of other languages come out plain.";

/// Arguments of `text`.
#[derive(Args, Debug)]
pub struct TextArgs {
    /// Picture files
    #[arg(required = true)]
    pub pictures: Vec<PathBuf>,
    /// Also write copies with a frame around each line into this folder; nothing is overwritten
    #[arg(long, value_name = "FOLDER")]
    pub boxes: Option<PathBuf>,
    /// Look for lines at this length of the longer edge, in pixels: more finds smaller text, and takes longer
    #[arg(long, value_name = "PIXELS", default_value_t = 960, value_parser = clap::value_parser!(u32).range(320..=4096))]
    pub edge: u32,
}
