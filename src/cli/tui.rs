//! Arguments of `tui`.

use crate::config::{Pictures, ThemeName};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `tui`.
#[derive(Args, Debug, Default)]
pub struct TuiArgs {
    /// A folder of photos, which is indexed and shown, or a library folder [default: the library]
    #[arg(value_name = "FOLDER|LIBRARY")]
    pub place: Option<PathBuf>,
    /// The first query
    #[arg(long, short = 's', value_name = "QUERY", default_value = "")]
    pub query: String,
    /// Print the paths of the photos that you pick with Enter, for use in a pipeline
    #[arg(long)]
    pub pick: bool,
    /// Print a NUL byte after each path instead of a line end (for xargs -0)
    #[arg(long, requires = "pick")]
    pub paths0: bool,
    /// How pictures are drawn [default: auto]
    #[arg(long, value_enum, value_name = "HOW")]
    pub pictures: Option<Pictures>,
    /// The colour theme [default: auto]
    #[arg(long, value_enum, value_name = "COLOURS")]
    pub theme: Option<ThemeName>,
    /// Index new and changed photos automatically while the UI is open
    #[arg(long)]
    pub watch: bool,
}

pub(super) const TUI_HELP: &str = "\
Type to search; Enter goes to the photos, `?` shows the keys that work where you are, `:` lists every action.

CONFIG
  theme, pictures and watch can also be set in the config file; its [keys] table assigns other keys to actions:
      [keys]
      more-like-this = [\"m\", \"ctrl-s\"]

IN A PIPELINE
  snapseek tui --pick | xargs -d '\\n' cp -t /tmp
  Exit code 1: nothing was picked.";
