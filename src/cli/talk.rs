//! The part of the command line that is about captions, questions and conversations.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// How a text is made.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "How it is written")]
pub struct GenerateArgs {
    /// Weigh so many texts against each other (5 is usual for captions); 1 takes the likeliest word each time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub num_beams: u16,
    /// Tokens (words, roughly) at most [default: 20 for captions, 100 for answers]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub max_new_tokens: Option<u32>,
    /// Tokens at least
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=4096))]
    pub min_new_tokens: u32,
    /// Leave words to chance: 1 as the model weighs them, less is more careful [default: 0, or 1 with --top-p]
    #[arg(long, value_name = "T", value_parser = temperature)]
    pub temperature: Option<f32>,
    /// Draw only among the likeliest words that have this probability together
    #[arg(long, value_name = "P", value_parser = probability)]
    pub top_p: Option<f32>,
    /// Start of the random numbers: the same seed, the same text
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

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

/// Arguments of `ask`.
#[derive(Args, Debug)]
pub struct AskArgs {
    /// A picture file, in the library or not
    pub photo: PathBuf,
    /// The question
    pub question: String,
    /// How the answer is written
    #[command(flatten)]
    pub generate: GenerateArgs,
}

/// Arguments of `chat`.
#[derive(Args, Debug)]
pub struct ChatArgs {
    /// A picture file, in the library or not
    #[arg(required_unless_present = "conversation")]
    pub photo: Option<PathBuf>,
    /// Go on with the last conversation about this photo
    #[arg(long = "continue", conflicts_with = "conversation")]
    pub go_on: bool,
    /// Go on with this conversation (`snapseek chats list`)
    #[arg(long, value_name = "ID")]
    pub conversation: Option<i64>,
    /// How answers are written
    #[command(flatten)]
    pub generate: GenerateArgs,
}

/// What `chats` can do.
#[derive(Subcommand, Debug)]
pub enum ChatsAction {
    /// List conversations, the last one first
    List {
        /// Only those about this photo
        photo: Option<PathBuf>,
    },
    /// Print a conversation
    Show {
        /// Its number
        id: i64,
    },
    /// Write conversations to stdout
    Export {
        /// Their numbers
        #[arg(required = true)]
        ids: Vec<i64>,
        /// As what
        #[arg(long, value_enum, default_value = "md")]
        format: ChatFormat,
    },
    /// Delete a conversation
    Delete {
        /// Its number
        id: i64,
    },
}

/// How a conversation is written.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatFormat {
    /// Markdown
    Md,
    /// JSON, one object a line
    Json,
}

fn temperature(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|t| (0.0..=10.0).contains(t)).ok_or_else(|| "a number from 0 to 10 is needed".into())
}

fn probability(text: &str) -> Result<f32, String> {
    text.parse().ok().filter(|p| *p > 0.0 && *p <= 1.0).ok_or_else(|| "a number above 0, up to 1, is needed".into())
}

pub(super) const CAPTION_HELP: &str = r#"EXAMPLES
  snapseek caption holiday.jpg
  snapseek caption *.jpg --json --num-beams 5
  snapseek caption set holiday.jpg "Grandma's house in Ticino"
  snapseek caption show holiday.jpg
The caption of a photo of the library is kept, and found by `snapseek search` at once. A file called set, clear or show
needs ./ before its name."#;

pub(super) const ASK_HELP: &str = r#"EXAMPLES
  snapseek ask photo.jpg "What is the dog holding?"
  snapseek ask photo.jpg "How many people are there?" --json"#;

pub(super) const CHAT_HELP: &str = r#"IN A CONVERSATION
  /undo          take the last question and its answer back
  /clear         forget all that was said in this conversation
  /save FILE     write the conversation to a new file (Markdown, or JSON if its name ends in .json)
  /image NEXT    go on with another picture
  /help /quit    Ctrl-C stops an answer, Ctrl-D ends
It is kept in the library, if there is one. Without a terminal, questions are read from stdin, one a line.

EXAMPLES
  snapseek chat photo.jpg
  snapseek chat photo.jpg --continue
  printf 'What is it?\nWhat colour is it?\n' | snapseek chat photo.jpg --json"#;
