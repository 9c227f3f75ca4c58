//! Arguments of `cluster`.

use super::value::at_least_one;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Arguments of `cluster`.
#[derive(Args, Debug, Default)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ClusterArgs {
    /// What to do to one cluster
    #[command(subcommand)]
    pub action: Option<ClusterAction>,
    /// Make so many clusters, if as many can be told apart
    #[arg(short = 'k', value_name = "N", value_parser = at_least_one, conflicts_with = "auto")]
    pub count: Option<usize>,
    /// Make clusters anew, as many as fit the photos best
    #[arg(long)]
    pub auto: bool,
    /// Words to name clusters with, besides the shipped ones and the library's own: one a line, # for comments
    #[arg(long, value_name = "FILE")]
    pub keywords: Option<PathBuf>,
    /// Photos in a cluster at least [default: 5, below 500 photos 3]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub min_size: Option<usize>,
    /// Write a self-contained page with the photos of each cluster
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write the table as CSV
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// What can be done to one cluster.
#[derive(Subcommand, Debug)]
pub enum ClusterAction {
    /// Give a cluster a name of your own, which it keeps when clusters are made anew
    Rename {
        /// Its name now
        name: String,
        /// Its new name
        new: String,
    },
    /// Put the groups in its place that are in a cluster, or two halves if none stands out; all others stay
    Split {
        /// Its name
        name: String,
    },
}

pub(super) const CLUSTER_HELP: &str = "The first run finds groups of photos that look alike and names them. Later runs show \
them, and let photos join that were indexed since; -k, --auto, --min-size and --keywords make them anew. Names given by hand \
go on to the group that holds most of the same photos. In queries: cluster:NAME, and cluster:none for photos in no group.";
