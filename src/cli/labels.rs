//! Arguments of `labels`.

use clap::Subcommand;

/// What `labels` can do.
#[derive(Subcommand, Debug)]
pub enum LabelsAction {
    /// List the saved label sets
    List,
    /// Print the labels of a label set
    Show {
        /// The set's name
        name: String,
    },
    /// Delete a label set
    Delete {
        /// The set's name
        name: String,
    },
}
