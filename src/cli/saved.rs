//! Arguments of `saved`.

use clap::Subcommand;

/// What `saved` can do.
#[derive(Subcommand, Debug)]
pub enum SavedAction {
    /// List the saved searches
    List,
    /// Save a query under a name, in the place of another one of this name
    Add {
        /// The name
        name: String,
        /// The query
        #[arg(required = true)]
        query: Vec<String>,
    },
    /// Delete a saved search
    Delete {
        /// Its name
        name: String,
    },
}
