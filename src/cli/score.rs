//! Arguments of `score`.

use super::value::template;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `score`.
#[derive(Args, Debug)]
pub struct ScoreArgs {
    /// A text (may be repeated)
    #[arg(long, required = true)]
    pub text: Vec<String>,
    /// Picture files or folders, in the library or not
    #[arg(required = true)]
    pub photos: Vec<PathBuf>,
    /// Prompt template with {} for the texts; may be repeated, the embeddings are averaged
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
  The cosine measures how well a photo and a text match. Which values are high depends on the model: with CLIP,
  unrelated pairs have about 0.2, and 0.33 is a very good match; with the starter, unrelated pairs have about 0 and good
  ones more than 0.4. The probabilities of a photo sum to 1 over the given texts: softmax of the model's logit scale
  (CLIP: 100, starter: 16) times the cosine. With a single text the probability is then always 1. SigLIP was trained to
  judge each pair by itself: its probabilities are the sigmoid of scale times cosine plus its bias, and sum to nothing.
  CLIP and SigLIP read the texts unchanged, the starter as "a photo of ..."."#;
