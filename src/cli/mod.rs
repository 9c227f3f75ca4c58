//! The command line: every flag and subcommand, and nothing else.

mod duplicates;
mod talk;
mod tui;
mod understand;
mod zero_shot;

pub use duplicates::DuplicatesArgs;
pub use talk::{AskArgs, CaptionAction, CaptionArgs, ChatArgs, ChatFormat, ChatsAction, GenerateArgs};
pub use tui::TuiArgs;
pub use understand::{ClusterAction, ClusterArgs, DescribeArgs, MapArgs};
pub use zero_shot::{ClassifyArgs, LabelsAction, ScoreArgs};

use crate::config::GlobalArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use duplicates::DUPLICATES_HELP;
use std::path::PathBuf;
use talk::{ASK_HELP, CAPTION_HELP, CHAT_HELP};
use tui::TUI_HELP;
use understand::CLUSTER_HELP;
use zero_shot::{CLASSIFY_HELP, SCORE_HELP};

/// Find your own photos by meaning, on your own machine.
#[derive(Parser, Debug)]
#[command(name = "snapseek", version, about, max_term_width = 100)]
#[command(
    after_help = "EXIT CODES\n  0 found or done   1 nothing found   2 wrong usage   3 the library or a model is missing\n  \
    4 finished, but some files could not be read   5 failed for another reason   130 interrupted\n\n\
    CONFIG\n  $XDG_CONFIG_HOME/snapseek/config.toml with the keys library, model, device, threads, offline, color,\n  \
    limit, blip2, precision, theme, pictures, watch, [keys]. A flag wins over an environment variable, which wins over the file."
)]
pub struct Cli {
    /// What to do [default: open the terminal UI]
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags that every command takes
    #[command(flatten)]
    pub global: GlobalArgs,
}

/// Every subcommand.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Open the terminal UI: search, look, browse and talk in one place (so does `snapseek` alone)
    #[command(after_help = TUI_HELP)]
    Tui(TuiArgs),
    /// Index photo folders; run it again at any time, only what changed costs time
    Index(IndexArgs),
    /// Find photos by words, by example and by both
    #[command(after_help = SEARCH_HELP)]
    Search(SearchArgs),
    /// Find photos that look like one, in the library or outside it
    Similar(SimilarArgs),
    /// Group photos that look alike, and name the groups
    #[command(after_help = CLUSTER_HELP)]
    Cluster(ClusterArgs),
    /// Draw the library as a map on which photos that look alike lie close together
    Map(MapArgs),
    /// Say what a folder holds: dates, cameras, tags, clusters
    Describe(DescribeArgs),
    /// Find copies of one picture, exact and changed, and say which to keep; nothing is deleted
    #[command(after_help = DUPLICATES_HELP)]
    Duplicates(DuplicatesArgs),
    /// Say in a sentence what photos show; keep it, correct it
    #[command(after_help = CAPTION_HELP, subcommand_negates_reqs = true)]
    Caption(CaptionArgs),
    /// Ask one question about a photo
    #[command(after_help = ASK_HELP)]
    Ask(AskArgs),
    /// Talk about a photo, question by question
    #[command(after_help = CHAT_HELP)]
    Chat(ChatArgs),
    /// Conversations that were kept
    Chats {
        /// What to do with them
        #[command(subcommand)]
        action: ChatsAction,
    },
    /// Sort photos by labels that you choose
    #[command(after_help = CLASSIFY_HELP)]
    Classify(ClassifyArgs),
    /// Say how near photos are to texts, each to each
    #[command(after_help = SCORE_HELP)]
    Score(ScoreArgs),
    /// Label sets that were saved
    Labels {
        /// What to do with them
        #[command(subcommand)]
        action: LabelsAction,
    },
    /// See, fetch, locate and shrink models
    Models {
        /// What to do with them
        #[command(subcommand)]
        action: ModelsAction,
    },
    /// What the library holds, and what could not be read
    Status,
    /// Verify the library's files
    Check {
        /// Rebuild what is damaged, from the catalogue
        #[arg(long)]
        repair: bool,
        /// Also read every embedding
        #[arg(long)]
        full: bool,
    },
    /// Embed every photo of the library again, with another model
    Reindex {
        /// Do not ask before downloading a model
        #[arg(long)]
        yes: bool,
    },
    /// Drop a photo or a whole folder from the library (photos themselves are never touched)
    Forget {
        /// Files or folders
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Print unit vectors of texts and pictures, in the order given
    Embed(EmbedArgs),
    /// Show what the text model reads
    Tokens {
        /// The text
        text: String,
    },
    /// Index the project's own sample photos and search them
    Demo {
        /// Folder of photos to show
        #[arg(default_value = "fixtures/photos")]
        folder: PathBuf,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff) of the program or of one command
    Man {
        /// The command
        command: Option<String>,
    },
}

/// Arguments of `index`.
#[derive(Args, Debug, Default)]
pub struct IndexArgs {
    /// Folders or single files [default: the library's own folders]
    pub folders: Vec<PathBuf>,
    /// Drop records even when most of a folder has vanished
    #[arg(long)]
    pub prune: bool,
    /// Index hidden files and folders too
    #[arg(long)]
    pub hidden: bool,
    /// Try files again that failed before
    #[arg(long)]
    pub retry: bool,
    /// Refuse pictures with more megapixels than this
    #[arg(long, value_name = "N", default_value_t = 400)]
    pub max_megapixels: u64,
    /// Do not ask before downloading a model
    #[arg(long)]
    pub yes: bool,
    /// Then caption the photos that have no caption, newest first; may be interrupted and goes on the next time
    #[arg(long)]
    pub captions: bool,
    /// Caption those again too that another model has captioned (those written by hand stay)
    #[arg(long, requires = "captions")]
    pub recaption: bool,
}

/// What makes the ranking.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranking {
    /// Cosine of the embeddings
    Meaning,
    /// BM25 over captions, tags and names
    Words,
    /// Both, fused by reciprocal rank
    Both,
}

/// Arguments of `search`.
#[derive(Args, Debug)]
pub struct SearchArgs {
    /// Words, "phrases", +more -less, @picture.jpg, path: taken: camera: ext: wider: taller: size: tag: label: cluster: caption:
    #[arg(required = true)]
    pub query: Vec<String>,
    /// What makes the ranking
    #[arg(long, value_enum, default_value = "both")]
    pub by: Ranking,
    /// List the rest too, behind the matches
    #[arg(long)]
    pub all: bool,
    /// Prompt template for the text model, with {} for the words
    #[arg(long, value_name = "TEMPLATE", value_parser = template)]
    pub template: Option<String>,
    /// How results are shown
    #[command(flatten)]
    pub show: ShowArgs,
}

/// Arguments of `similar`.
#[derive(Args, Debug)]
pub struct SimilarArgs {
    /// A photo in the library, or any picture file
    pub picture: PathBuf,
    /// How results are shown
    #[command(flatten)]
    pub show: ShowArgs,
}

/// How results are shown.
#[derive(Args, Debug)]
pub struct ShowArgs {
    /// How many results at most [default: 10]
    #[arg(short = 'n', long, value_name = "N", value_parser = at_least_one)]
    pub limit: Option<usize>,
    /// Leave out results whose cosine is lower
    #[arg(long, value_name = "COSINE", allow_hyphen_values = true)]
    pub min_score: Option<f32>,
    /// Fold near-identical shots into the best of them
    #[arg(long, value_name = "COSINE", num_args = 0..=1, default_missing_value = "0.97", require_equals = true, value_parser = cosine)]
    pub unique: Option<f32>,
    /// Print paths only, each ended by a NUL byte (for xargs -0)
    #[arg(long, conflicts_with = "json")]
    pub paths0: bool,
    /// Show the pictures in the terminal (in a pipe: the plain list)
    #[arg(long, conflicts_with_all = ["json", "paths0"])]
    pub preview: bool,
    /// Open the best hit in the system's viewer
    #[arg(long)]
    pub open: bool,
    /// Copy the photos found into this folder (nothing there is overwritten)
    #[arg(long, value_name = "DIR")]
    pub copy_to: Option<PathBuf>,
    /// Write a self-contained contact sheet with thumbnails
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// Arguments of `embed`.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("input").required(true).multiple(true).args(["text", "image"]))]
pub struct EmbedArgs {
    /// A text (may be given many times)
    #[arg(long)]
    pub text: Vec<String>,
    /// A picture file (may be given many times)
    #[arg(long)]
    pub image: Vec<PathBuf>,
    /// Prompt template for the texts, with {} for the words
    #[arg(long, value_name = "TEMPLATE", value_parser = template)]
    pub template: Option<String>,
}

/// What `models` can do.
#[derive(Subcommand, Debug)]
pub enum ModelsAction {
    /// What is installed, where, how large, under which licence
    List,
    /// Download a model from Hugging Face, once
    Pull {
        /// clip, blip2, or org/name
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Print the folder of an installed model
    Path {
        /// clip, blip2, or org/name
        name: String,
    },
    /// Make a smaller and faster form of a BLIP-2, once; `--precision` chooses among the forms
    Quantize {
        /// blip2, org/name, or a model folder
        name: String,
        /// Bits of a weight
        #[arg(long, value_name = "4|8", default_value = "4", value_parser = ["4", "8"])]
        bits: String,
    },
}

fn template(text: &str) -> Result<String, String> {
    if text.contains("{}") { Ok(text.to_owned()) } else { Err("it does not say with {} where the words go".into()) }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "a whole number from 1 on is needed".into())
}

fn cosine(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|c| (-1.0..=1.0).contains(c)).ok_or_else(|| "a number from -1 to 1 is needed".into())
}

const SEARCH_HELP: &str = r#"QUERY LANGUAGE (put the query in quotes; write -- before one that begins with a minus)
  a dog on the grass            words: their meaning, and photos whose tags or names hold them
  "red pyramid"                 these words must stand in tags or names; -"..." must not
  castle -night                 less of one word; `castle - night sky` less of all that follows
  @holiday.jpg + in winter      a picture, and words added to it; - subtracts
  2*sunset 0.5*@beach.jpg       weights
  path:2019 tag:dog caption:"red car" cluster:"bird, hen" ext:jpg,png camera:canon
  label:pets=dog label:pets     photos with this label, or any, of a set saved by `classify --save-as`
  taken:2019-06..2019-09 wider:2000 taller:1000 size:>2M       any of them after a minus excludes
  \-word \@word                 a plain word that begins with a sign"#;
