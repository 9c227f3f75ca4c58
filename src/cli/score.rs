//! Arguments of `score`.

use super::value::template;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `score`.
#[derive(Args, Debug)]
pub struct ScoreArgs {
    /// A text (may be given many times)
    #[arg(long, required = true)]
    pub text: Vec<String>,
    /// Picture files or folders, in the library or not
    #[arg(required = true)]
    pub photos: Vec<PathBuf>,
    /// Prompt template with {} for the texts; may be given many times, their embeddings are averaged
    #[arg(long, value_name = "TEMPLATE", value_parser = template)]
    pub template: Vec<String>,
    /// Write comma-separated values
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

pub(super) const SCORE_HELP: &str = r#"EXAMPLES
  snapseek score --text "a puppy in the snow" --text "a supercar at sunset" a.jpg b.jpg
  snapseek score --text "a puppy" --text "a kitten" --template "a photo of {}" ~/Pictures/pets --csv

COSINE AND PROBABILITY
  The cosine says how near a photo and a text are. What is high depends on the model: with CLIP unrelated pairs lie around
  0.2 and 0.33 is a very good match; with the starter unrelated pairs lie around 0 and good ones above 0.4. The probability
  shares 1 out among the texts given: softmax of the model's logit scale (CLIP: 100, starter: 16) times the cosine. With one
  text it is always 1. CLIP reads the texts as they are, the starter as "a photo of ..."."#;
