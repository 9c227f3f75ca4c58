//! Arguments of `root`.

use clap::Subcommand;
use std::path::PathBuf;

pub(super) const ROOT_HELP: &str = "A file has one path in the library, that on the machine which indexed its folder \
    first. Where the folder is elsewhere on this machine (another mount point, a disk that is plugged in), `root map` \
    says so, and every command reads and shows its files there. Each machine remembers that for itself, in \
    $XDG_CONFIG_HOME/snapseek/mounts.json.";

/// What `root` can do.
#[derive(Subcommand, Debug)]
pub enum RootAction {
    /// List the folders of the library, and where they are on this machine
    List,
    /// Say where a folder of the library is on this machine
    Map {
        /// Its name, as `root list` shows it, or its path in the library
        name: String,
        /// Where it is on this machine
        folder: PathBuf,
    },
    /// Say that a folder is where the library has it
    Unmap {
        /// Its name, or its path in the library
        name: String,
    },
}
