//! Arguments of `labels`.

use clap::Subcommand;

/// What `labels` can do.
#[derive(Subcommand, Debug)]
pub enum LabelsAction {
    /// List the label sets that were saved
    List,
    /// Print the labels of a set
    Show {
        /// Its name
        name: String,
    },
    /// Delete a set
    Delete {
        /// Its name
        name: String,
    },
}
