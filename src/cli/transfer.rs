//! Arguments of `export` and `import`.

use clap::Args;
use std::path::PathBuf;

/// Arguments of `export`.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// The file to write, or - for stdout
    #[arg(required_unless_present = "xmp")]
    pub file: Option<PathBuf>,
    /// Write your tags, ratings and captions for other programs: an XMP file for each photo into this folder, whose folders
    /// are those of the photos
    #[arg(long, value_name = "DIR")]
    pub xmp: Option<PathBuf>,
    /// Replace files that exist
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `import`.
#[derive(Args, Debug)]
pub struct ImportArgs {
    /// A file that `export` wrote, or - for stdin
    pub file: PathBuf,
}

pub(super) const EXPORT_HELP: &str = "\
EXAMPLES
  snapseek export ~/backup/photos.jsonl
  snapseek export - | grep Ticino
  snapseek export --xmp ~/sidecars
The file holds captions, chats, albums, tags, ratings, saved searches, names of clusters, label sets and forgotten paths, one JSON object a line; everything else can be computed again from the photos.";

pub(super) const IMPORT_HELP: &str = "\
EXAMPLES
  snapseek import ~/backup/photos.jsonl
  ssh nas snapseek export - | snapseek import -
What was written by hand wins over what a model wrote, and otherwise the newer one. Captions of pictures that the library does not hold wait for them.";
