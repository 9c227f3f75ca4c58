//! Arguments of `cluster`.

use super::value::at_least_one;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Arguments of `cluster`.
#[derive(Args, Debug, Default)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ClusterArgs {
    /// Rename or split one cluster, or bring earlier ones back
    #[command(subcommand)]
    pub action: Option<ClusterAction>,
    /// Rebuild the clusters: N of them, or as many as can be told apart; those that you named stay, and count
    #[arg(short = 'k', value_name = "N", value_parser = at_least_one, conflicts_with = "auto")]
    pub count: Option<usize>,
    /// Rebuild the clusters: as many as fit the photos best
    #[arg(long)]
    pub auto: bool,
    /// Rebuild the clusters that you named, too: their names pass to the clusters that have most of the same photos
    #[arg(long)]
    pub rebuild_named: bool,
    /// File of words to name clusters with, in addition to the built-in ones and the library's own: one per line, #
    /// begins a comment
    #[arg(long, value_name = "FILE")]
    pub keywords: Option<PathBuf>,
    /// Minimum number of photos in a cluster [default: 5, or 3 below 500 photos]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub min_size: Option<usize>,
    /// Write a self-contained page with the photos of each cluster
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write the table as CSV
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// What `cluster` can do to one cluster.
#[derive(Subcommand, Debug)]
pub enum ClusterAction {
    /// Give a cluster your own name, which is kept when the clusters are rebuilt
    Rename {
        /// Its current name
        name: String,
        /// Its new name
        new: String,
    },
    /// List the clusters before the present ones: the last five states
    History,
    /// Bring earlier clusters back; the present ones become earlier ones
    Restore {
        /// Their number, as `cluster history` lists it
        number: i64,
    },
    /// Replace a cluster by the groups inside it, or by two halves if no group stands out; other clusters stay the same
    Split {
        /// Its name
        name: String,
    },
}

pub(super) const CLUSTER_HELP: &str = "The first run finds groups of photos that look alike and names them. Later runs \
show them and add photos that were indexed since; -k, --auto, --min-size and --keywords rebuild them. A cluster that you \
named keeps its photos, and new photos join it. `cluster history` and `cluster restore N` bring earlier clusters back. \
In queries: cluster:NAME, and cluster:none for photos in no cluster.";
