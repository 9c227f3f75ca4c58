//! Arguments of `ask`.

use super::generate::GenerateArgs;
use super::value::not_blank;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `ask`.
#[derive(Args, Debug)]
pub struct AskArgs {
    /// A picture file, in the library or not
    pub photo: PathBuf,
    /// The question
    #[arg(value_parser = not_blank)]
    pub question: String,
    /// How the answer is written
    #[command(flatten)]
    pub generate: GenerateArgs,
}

pub(super) const ASK_HELP: &str = r#"EXAMPLES
  snapseek ask photo.jpg "What is the dog holding?"
  snapseek ask photo.jpg "How many people are there?" --json"#;
