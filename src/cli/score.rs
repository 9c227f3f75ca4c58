//! Arguments of `score`.

use super::value::template;
use clap::{Args, ValueEnum};
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
    /// What compares photos and texts
    #[arg(long, value_enum, default_value = "model")]
    pub by: ScoreBy,
    /// For --by itm and itc: blip2-itm, a Hugging Face name (org/name) or a folder [default: blip2-itm]
    #[arg(long, value_name = "MODEL")]
    pub matcher: Option<String>,
    /// Write comma-separated values
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// What compares photos and texts.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreBy {
    /// The embeddings of --model: cosine, and probability among the texts
    Model,
    /// BLIP-2 looking at photo and text together: probability that they belong together
    Itm,
    /// BLIP-2 comparing photo and text by their vectors: cosine
    Itc,
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
  CLIP and SigLIP read the texts unchanged, the starter as "a photo of ...".

BY BLIP-2
  --by itm and --by itc ask Salesforce/blip2-itm-vit-g (blip2-itm), or another BLIP-2 for image-text retrieval. ITM looks at
  a photo and a text together: a probability for each pair alone, and a logit (that they belong together, less that they
  do not). ITC is a cosine, the best of those of the photo's vectors with the text's. Both read the texts unchanged."#;
