//! Arguments of `caption`.

use super::generate::GenerateArgs;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Arguments of `caption`.
#[derive(Args, Debug)]
pub struct CaptionArgs {
    /// Captions by hand
    #[command(subcommand)]
    pub action: Option<CaptionAction>,
    /// Picture files, in the library or not
    #[arg(required = true)]
    pub photos: Vec<PathBuf>,
    /// Go on from these words; the caption is then shown but not kept
    #[arg(long, value_name = "WORDS")]
    pub prompt: Option<String>,
    /// How it is written
    #[command(flatten)]
    pub generate: GenerateArgs,
}

/// What can be done to captions by hand.
#[derive(Subcommand, Debug)]
pub enum CaptionAction {
    /// Write the caption of a photo of the library; no model overwrites it
    Set {
        /// The photo
        photo: PathBuf,
        /// Its caption
        text: String,
    },
    /// Take the captions of photos away, whoever wrote them
    Clear {
        /// The photos
        #[arg(required = true)]
        photos: Vec<PathBuf>,
    },
    /// Print the captions that photos have
    Show {
        /// The photos
        #[arg(required = true)]
        photos: Vec<PathBuf>,
    },
}

pub(super) const CAPTION_HELP: &str = r#"EXAMPLES
  snapseek caption holiday.jpg
  snapseek caption *.jpg --json --num-beams 5
  snapseek caption set holiday.jpg "Grandma's house in Ticino"
  snapseek caption show holiday.jpg
The caption of a photo of the library is kept, and found by `snapseek search` at once. A file called set, clear or show
needs ./ before its name."#;
