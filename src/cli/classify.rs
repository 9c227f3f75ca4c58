//! Arguments of `classify`.

use super::value::template;
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// Arguments of `classify`.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("list").required(true).args(["labels", "labels_file", "set"]))]
pub struct ClassifyArgs {
    /// Files and folders, in the library or not, or a query as for `search` [default: the whole library]
    #[arg(value_name = "QUERY|PATHS")]
    pub photos: Vec<OsString>,
    /// The labels: nouns separated by commas
    #[arg(long, value_name = "LABELS")]
    pub labels: Option<String>,
    /// A file with one label per line (# begins a comment)
    #[arg(long, value_name = "FILE")]
    pub labels_file: Option<PathBuf>,
    /// A saved label set
    #[arg(long, value_name = "NAME", conflicts_with_all = ["background", "template", "save_as"])]
    pub set: Option<String>,
    /// More labels, separated by commas: a photo that fits one of them best gets no label
    #[arg(long, value_name = "LABELS")]
    pub background: Option<String>,
    /// A photo gets no label if its likeliest label has a lower probability [default: 0, or the one saved with the set]
    #[arg(long, value_name = "P", value_parser = probability)]
    pub threshold: Option<f32>,
    /// Prompt template with {} for a label; may be repeated, the embeddings are averaged [default: the model's own
    /// templates]
    #[arg(long, value_name = "TEMPLATE", value_parser = template)]
    pub template: Vec<String>,
    /// How many of the likeliest labels to show for each photo
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub top: u16,
    /// Save the labels under this name, for `--set NAME` and for label:NAME=LABEL in queries
    #[arg(long, value_name = "NAME")]
    pub save_as: Option<String>,
    /// Write comma-separated values
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Print the paths of photos that got a label, each followed by a NUL byte (for xargs -0)
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    pub paths0: bool,
    /// Also write a self-contained contact sheet with thumbnails grouped by label
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

fn probability(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|p| (0.0..=1.0).contains(p)).ok_or_else(|| "must be a number from 0 to 1".into())
}

pub(super) const CLASSIFY_HELP: &str = r#"WHAT IS CLASSIFIED
  An argument that is the name of a file or folder is a path. All other arguments together are a query, and the photos
  that match it are classified. Without arguments, the whole library is classified.

EXAMPLES
  snapseek classify --labels "dog,cat,car"
  snapseek classify --labels "dog,cat" --background "building,landscape,food" --threshold 0.6 --save-as pets
  snapseek search label:pets=dog                 # later, new photos included; label:pets for any label of the set
  snapseek classify --set pets taken:2019 --html pets.html
  snapseek classify --labels-file rooms.txt ~/Pictures/house --csv > rooms.csv

A label is inserted into the model's prompt templates ("a photo of a dog"), so write it as a plain noun. The probabilities of a photo sum to 1 over the given labels: a photo that fits none of them still gets the likeliest one, unless --threshold or --background rules it out. The built-in starter model knows fewer things than CLIP and is less certain about them."#;
