//! Arguments of `duplicates`.

use super::value::cosine;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `duplicates`.
#[derive(Args, Debug)]
pub struct DuplicatesArgs {
    /// Only files with exactly the same content
    #[arg(long, conflicts_with = "near")]
    pub exact: bool,
    /// Only changed copies. At this cosine or above, a good likeness is enough; below it, a very good one is required
    /// [default: both kinds, 0.96]
    #[arg(long, value_name = "COSINE", num_args = 0..=1, default_missing_value = "0.96", value_parser = cosine)]
    pub near: Option<f32>,
    /// Write a self-contained page that shows the groups side by side
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write a shell script that moves all files except those to keep to the trash, each only if it is still the same
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// Print the paths of all files except those to keep, each followed by a NUL byte (for xargs -0)
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    pub paths0: bool,
    /// Write comma-separated values, one file per line
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// Help shown after the flags of `duplicates`.
pub(super) const DUPLICATES_HELP: &str = "EXAMPLES
  snapseek duplicates                                groups, and which file of each to keep
  snapseek duplicates --html duplicates.html         the same as a page with pictures
  snapseek duplicates --script tidy.sh               read it, then run it: sh tidy.sh; snapseek index
  snapseek duplicates --exact --paths0 | xargs -0 -r trash

Nothing is ever deleted. A changed copy is the picture resized, recompressed, converted, brightened, turned, framed or slightly cropped. Look at the groups before you delete files: frames of one burst are hard to tell from copies.";
