//! Arguments of `embed` and `tokens`.

use super::value::template;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `embed`.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("input").required(true).multiple(true).args(["text", "image"]))]
pub struct EmbedArgs {
    /// A text (may be repeated)
    #[arg(long)]
    pub text: Vec<String>,
    /// A picture file (may be repeated)
    #[arg(long)]
    pub image: Vec<PathBuf>,
    /// Prompt template for the texts, with {} for the words
    #[arg(long, value_name = "TEMPLATE", value_parser = template)]
    pub template: Option<String>,
}

/// Arguments of `tokens`.
#[derive(Args, Debug)]
pub struct TokensArgs {
    /// The text
    pub text: String,
}
