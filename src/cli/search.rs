//! Arguments of `search` and `similar`, and how their results are shown.

use super::value::{cosine, finite, how_many, template};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Arguments of `search`.
#[derive(Args, Debug)]
pub struct SearchArgs {
    /// Words, "phrases", +more -less, @picture.jpg, and filters (path: taken: keyword: person: place: near: and more,
    /// see below); - reads a picture, or queries line by line, from standard input
    #[arg(required_unless_present = "saved")]
    pub query: Vec<String>,
    /// Begin with the query that is saved under this name
    #[arg(long, value_name = "NAME")]
    pub saved: Option<String>,
    /// What ranks the results
    #[arg(long, value_enum, default_value = "both")]
    pub by: Ranking,
    /// Also list the photos that do not match, after the matches
    #[arg(long)]
    pub all: bool,
    /// Prompt template for the text model, with {} for the words
    #[arg(long, value_name = "TEMPLATE", value_parser = template)]
    pub template: Option<String>,
    /// Rank the first 50 results again, by how likely the words and each photo belong together as a BLIP-2 made for
    /// this sees it (slow): blip2, which stands for blip2-itm, a Hugging Face name or a folder
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["sort", "reverse"])]
    pub rerank: Option<String>,
    /// After the answer, ask the model for captions (--captioner) of the first N results whether they show it, and list
    /// them again by its answers (slow); no photo is hidden
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000), conflicts_with_all = ["sort", "reverse", "rerank"])]
    pub verify: Option<u16>,
    /// How results are shown
    #[command(flatten)]
    pub show: ShowArgs,
}

/// Arguments of `similar`.
#[derive(Args, Debug)]
pub struct SimilarArgs {
    /// A photo in the library, or any picture file; - reads a picture, or paths line by line, from standard input
    pub picture: PathBuf,
    /// How results are shown
    #[command(flatten)]
    pub show: ShowArgs,
}

/// How results are shown.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// Maximum number of results, or all [default: 10]
    #[arg(short = 'n', long, value_name = "N", value_parser = how_many)]
    pub limit: Option<usize>,
    /// Sort the matches by something else than how well they match
    #[arg(long, value_enum, value_name = "BY", default_value = "score")]
    pub sort: Sort,
    /// Reverse the order
    #[arg(short, long)]
    pub reverse: bool,
    /// Show more about each photo, separated by commas
    #[arg(long, value_enum, value_name = "COLUMNS", value_delimiter = ',', conflicts_with_all = ["json", "paths0"])]
    pub columns: Vec<Column>,
    /// Print each path whole, on a line of its own
    #[arg(long, conflicts_with_all = ["json", "paths0"])]
    pub long: bool,
    /// Leave out results with a lower cosine
    #[arg(long, value_name = "COSINE", allow_hyphen_values = true, value_parser = finite)]
    pub min_score: Option<f32>,
    /// Fold near-identical shots into the best one
    #[arg(long, value_name = "COSINE", num_args = 0..=1, default_missing_value = "0.97", require_equals = true, value_parser = cosine)]
    pub unique: Option<f32>,
    /// Show each photo that was taken as one with others (raw and JPEG, Live Photos, edited copies, bursts) by itself
    #[arg(long)]
    pub no_stacks: bool,
    /// Print paths only, each followed by a NUL byte (for xargs -0)
    #[arg(long, conflicts_with = "json")]
    pub paths0: bool,
    /// Show the pictures in the terminal (the plain list in a pipe)
    #[arg(long, conflicts_with_all = ["json", "paths0"])]
    pub preview: bool,
    /// Open the best hit in the system's viewer
    #[arg(long)]
    pub open: bool,
    /// Copy the results into this folder (no file is overwritten)
    #[arg(long, value_name = "DIR")]
    pub copy_to: Option<PathBuf>,
    /// Make symbolic links to the results in this folder, numbered as copies are
    #[arg(long, value_name = "DIR")]
    pub link_to: Option<PathBuf>,
    /// Write a self-contained contact sheet with thumbnails
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// What results are sorted by.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// How well they match; the newest first if the query has filters only
    Score,
    /// When they were taken, newest first
    Date,
    /// Name of the file
    Name,
    /// Size of the file, largest first
    Size,
    /// Path
    Path,
    /// Stars, most first
    Rating,
}

/// What a table can show about a photo.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// When it was taken
    Date,
    /// The camera
    Camera,
    /// Size of the file
    Size,
    /// Width and height
    Pixels,
    /// Stars
    Rating,
    /// Title, or else description, as its owner wrote it
    Title,
    /// Where it was taken
    Place,
    /// Who is on it
    People,
    /// Its owner's keywords
    Keywords,
}

/// What ranks the results.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranking {
    /// Cosine of the embeddings
    Meaning,
    /// BM25 over captions, tags and names
    Words,
    /// Both, fused by reciprocal rank
    Both,
}

pub(super) const SEARCH_HELP: &str = r#"QUERY LANGUAGE (quote the query; write -- before one that begins with a minus)
  a dog on the grass            words: photos that match their meaning, or have them written on them
  "red pyramid"                 these words must be in captions, tags or names; -"..." excludes them
  castle -night                 less of one word; `castle - night sky`: less of all words that follow
  @holiday.jpg + in winter      a picture and words added to it; - subtracts
  2*sunset 0.5*@beach.jpg       weights
  path:2019 tag:dog caption:"red car" cluster:"bird, hen" album:lisbon ext:jpg,png camera:canon
  text:"boarding pass"          words that stand in the picture, where `index --text` has read it
  label:pets=dog label:pets     photos with this label, or any label, of a set saved by `classify --save-as`
  taken:2019-06..2019-09 taken:>2020 around:@photo.jpg,2h
  taken:~2019                   the time of the file counts where nothing else is known
  keyword:beach person:anna title:wedding description:family creator:anna
  place:lisbon near:lisbon,20km near:38.72,-9.14,500m near:@photo.jpg
  rating:>=4 lens:50mm iso:>800 wider:2000 taller:1000 size:>2M format:heic,raw color:red
  is:portrait is:landscape is:square is:panorama is:screenshot is:damaged is:raw is:video is:live
  has:caption has:date has:camera has:place has:keyword has:person has:text has:description has:rating has:tags
  has:cluster has:chat has:album
                                a minus before any of these excludes
  \-word \@word                 a plain word that begins with - or @

COLUMNS
  cosine   how near the photo is to the meaning of the query, from -1 to 1; what is near depends on the model
  itm      with --rerank: how likely the photo and the words belong together, in percent
  shows it with --verify: what the model answered, and how sure it is
  words    how well its caption, tags, names, camera and its owner's words have those of the query (BM25); - if none"#;

#[cfg(test)]
mod tests {
    use super::SEARCH_HELP;
    use snapseek_index::query::FILTERS;
    use snapseek_index::{Fact, Shape};

    #[test]
    fn the_help_names_every_filter() {
        let facts = Fact::ALL.iter().map(|(name, _)| format!("has:{name}"));
        let shapes = Shape::ALL.iter().map(|(name, _)| format!("is:{name}"));
        for wanted in FILTERS.iter().map(|(name, _)| format!("{name}:")).chain(facts).chain(shapes) {
            assert!(SEARCH_HELP.contains(&wanted), "{wanted}");
        }
    }
}
