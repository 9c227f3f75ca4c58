//! Arguments of `tui`.

use crate::config::{Pictures, ThemeName};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `tui`.
#[derive(Args, Debug, Default)]
pub struct TuiArgs {
    /// A folder of photos, which is indexed and shown, or a library [default: the library]
    #[arg(value_name = "FOLDER|LIBRARY")]
    pub place: Option<PathBuf>,
    /// The first query
    #[arg(long, short = 's', value_name = "QUERY", default_value = "")]
    pub query: String,
    /// Print the paths of the photos that were picked with Enter, for use in a pipeline
    #[arg(long)]
    pub pick: bool,
    /// End each printed path by a NUL byte (for xargs -0)
    #[arg(long, requires = "pick")]
    pub paths0: bool,
    /// How pictures are drawn [default: auto]
    #[arg(long, value_enum, value_name = "HOW")]
    pub pictures: Option<Pictures>,
    /// Which colours [default: auto]
    #[arg(long, value_enum, value_name = "COLOURS")]
    pub theme: Option<ThemeName>,
    /// Index new and changed photos by themselves as long as it is open
    #[arg(long)]
    pub watch: bool,
}

pub(super) const TUI_HELP: &str = "\
Type to search; Enter goes to the photos, `?` shows the keys of the place you are in, `:` lists every action.

CONFIG
  theme, pictures and watch are keys of the config file, too; its [keys] table gives actions other keys:
      [keys]
      more-like-this = [\"m\", \"ctrl-s\"]

IN A PIPELINE
  snapseek tui --pick | xargs -d '\\n' cp -t /tmp
  Exit code 1: nothing was picked.";
