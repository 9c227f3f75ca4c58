//! Arguments of `models`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// What `models` can do.
#[derive(Subcommand, Debug)]
pub enum ModelsAction {
    /// List installed models with their folders, sizes and licences
    List {
        /// List the models that can be downloaded by a short name instead, with what they need and how much they find
        #[arg(long)]
        available: bool,
    },
    /// Compare the files of installed models with known checksums, and what they compute with published numbers
    Verify(VerifyArgs),
    /// Try installed models on a sample of the library's photos: the same queries side by side, and what each costs
    Try(TryArgs),
    /// Download a model from Hugging Face, or from ModelScope one that reads text
    Pull {
        /// clip, blip2, ocr-latin, or org/name
        name: String,
        /// Do not ask before downloading
        #[arg(long)]
        yes: bool,
    },
    /// Drop what a model made of the library's photos, and free the space: one that answers no more, or not yet
    Drop {
        /// Its name as `snapseek status` prints it
        name: String,
        /// Do not ask before dropping it
        #[arg(long)]
        yes: bool,
    },
    /// Print the folder of an installed model
    Path {
        /// clip, blip2, or org/name
        name: String,
    },
    /// Make a smaller and faster form of a BLIP-2 model; `--precision` chooses among the forms
    Quantize {
        /// blip2, org/name, or a model folder
        name: String,
        /// Bits per weight
        #[arg(long, value_name = "4|8", default_value = "4", value_parser = ["4", "8"])]
        bits: String,
    },
}

/// Arguments of `models verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// starter, clip, blip2, another short name, or org/name [default: all that are installed]
    pub name: Option<String>,
    /// A picture of which numbers are published, by its name there: CLIP.png, 000000039769.jpg, two_dogs_in_snow.jpg,
    /// demo.jpg
    #[arg(long, value_name = "FILE")]
    pub picture: Vec<PathBuf>,
    /// Compare files alone, without loading the models
    #[arg(long)]
    pub files_only: bool,
}

/// Arguments of `models try`.
#[derive(Args, Debug)]
pub struct TryArgs {
    /// starter, clip, another short name, org/name, or a model folder
    #[arg(required = true)]
    pub models: Vec<String>,
    /// How many photos to try them on
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub sample: usize,
    /// Queries, one a line, and after each, separated by tabs, the files of photos that fit
    #[arg(long, value_name = "FILE")]
    pub queries: Option<PathBuf>,
    /// Ask which of the results fit, and keep the answers in the file of --queries
    #[arg(long, requires = "queries")]
    pub mark: bool,
    /// Write a page with thumbnails to FILE
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}
