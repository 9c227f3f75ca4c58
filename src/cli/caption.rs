//! Arguments of `caption`.

use super::generate::GenerateArgs;
use super::wish::StyleChoice;
use crate::captions::wish::CaptionWish;
use clap::{Args, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// Arguments of `caption`.
#[derive(Args, Debug)]
pub struct CaptionArgs {
    /// Set, clear or show captions
    #[command(subcommand)]
    pub action: Option<CaptionAction>,
    /// Picture files and folders, in the library or not
    #[arg(required = true)]
    pub photos: Vec<PathBuf>,
    /// How the caption is written, by a model that follows instructions [default: sentence]
    #[arg(long, value_enum, value_name = "STYLE")]
    pub caption_style: Option<StyleChoice>,
    /// An instruction of your own (BLIP-2: continue from these words); the caption is shown but not saved
    #[arg(long, value_name = "WORDS")]
    pub prompt: Option<String>,
    /// Tell the model what the library knows: place, date and names of people. The caption remembers that
    #[arg(long)]
    pub context: bool,
    /// How the caption is written
    #[command(flatten)]
    pub generate: GenerateArgs,
}

impl CaptionArgs {
    /// What is asked of the model.
    #[must_use]
    pub fn wish(&self) -> CaptionWish {
        let style = self.caption_style.map(StyleChoice::style);
        CaptionWish { style, prompt: self.prompt.clone(), context: self.context }
    }
}

/// What `caption` can do besides writing captions with the model.
#[derive(Subcommand, Debug)]
pub enum CaptionAction {
    /// Set the caption of a photo in the library by hand; no model overwrites it
    Set {
        /// The photo
        photo: PathBuf,
        /// Its caption; several words need no quotes
        #[arg(required = true)]
        text: Vec<String>,
    },
    /// Remove the captions of photos, whether a model or a person wrote them
    Clear {
        /// Photos, folders, or a query
        #[arg(required = true)]
        photos: Vec<OsString>,
        /// Do not ask before captions written by hand are removed from several photos
        #[arg(long)]
        yes: bool,
    },
    /// Print the captions of photos
    Show {
        /// The photos
        #[arg(required = true)]
        photos: Vec<PathBuf>,
    },
}

pub(super) const CAPTION_HELP: &str = r#"EXAMPLES
  snapseek caption holiday.jpg
  snapseek caption *.jpg --json --num-beams 5
  snapseek caption ~/Pictures/2019
  snapseek caption set holiday.jpg Grandma at home in Ticino
  snapseek caption clear "taken:2019 has:caption"
  snapseek caption show holiday.jpg
The caption of a photo in the library is saved, and `snapseek search` finds it at once. A file called set, clear or show needs ./ before its name."#;
