//! The command line: every flag and subcommand, and nothing else. Its files have the same names as those of `commands`.

mod album;
mod ask;
mod caption;
mod chat;
mod chats;
mod classify;
mod cluster;
mod demo;
mod describe;
mod duplicates;
mod embed;
mod generate;
mod index;
mod labels;
mod library;
mod map;
mod models;
mod root;
mod saved;
mod score;
mod search;
mod shell;
mod show;
mod tags;
mod text;
mod transfer;
mod tui;
mod value;
mod watch;
mod wish;
mod worker;

pub use album::AlbumAction;
pub use ask::AskArgs;
pub use caption::{CaptionAction, CaptionArgs};
pub use chat::ChatArgs;
pub use chats::{ChatFormat, ChatsAction};
pub use classify::ClassifyArgs;
pub use cluster::{ClusterAction, ClusterArgs};
pub use demo::DemoArgs;
pub use describe::DescribeArgs;
pub use duplicates::DuplicatesArgs;
pub use embed::{EmbedArgs, TokensArgs};
pub use generate::GenerateArgs;
pub use index::{IndexArgs, ReindexArgs};
pub use labels::LabelsAction;
pub use library::{CheckArgs, ForgetArgs, LibraryAction};
pub use map::MapArgs;
pub use models::{ModelsAction, TryArgs, VerifyArgs};
pub use root::RootAction;
pub use saved::SavedAction;
pub use score::{ScoreArgs, ScoreBy};
pub use search::{Column, Ranking, SearchArgs, ShowArgs, SimilarArgs, Sort};
pub use shell::{CompleteArgs, CompletionsArgs, ManArgs};
pub use show::ShowPhotoArgs;
pub use tags::{RateArgs, TagAction};
pub use text::TextArgs;
pub use transfer::{ExportArgs, ImportArgs};
pub use tui::TuiArgs;
pub use watch::WatchArgs;
pub use worker::WorkerArgs;

use crate::config::GlobalArgs;
use clap::{Parser, Subcommand};

/// Find your own photos by meaning, on your own machine.
#[derive(Parser, Debug)]
#[command(name = "snapseek", version, about, max_term_width = 100)]
#[command(
    after_help = "EXIT CODES\n  0 found or done   1 nothing found   2 wrong usage   3 the library or a model is missing\n  \
    4 finished, but some files could not be read   5 failed for another reason   130 interrupted\n\n\
    CONFIG\n  $XDG_CONFIG_HOME/snapseek/config.toml with the keys library, model, text_model, device, threads, offline, color, \
    limit, exclude, video, text, blip2, ocr, precision, theme, pictures, watch, [keys], [colors]. A flag wins over an environment variable, which wins over the file."
)]
pub struct Cli {
    /// What to do [default: open the terminal UI]
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags that every command accepts
    #[command(flatten)]
    pub global: GlobalArgs,
}

/// The first word of a query in these arguments that begins with a minus and is no option, such as `-night` or
/// `-tag:cat`.
#[must_use]
pub fn subtracted_word(arguments: &[String]) -> Option<&str> {
    let takes_query = ["search", "classify", "caption"];
    let at = arguments.iter().position(|argument| takes_query.contains(&argument.as_str()))?;
    let words = arguments.get(at + 1..)?.iter().take_while(|argument| *argument != "--");
    let is_word = |argument: &&String| {
        let letters = argument.strip_prefix('-').unwrap_or_default();
        let (word, _) = letters.split_once(':').unwrap_or((letters, ""));
        word.chars().count() > 1 && word.chars().all(|c| c.is_alphabetic() || c == ' ')
    };
    words.filter(is_word).map(String::as_str).next()
}

/// Every subcommand.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Open the terminal UI: search, view, browse and chat (the default without a command)
    #[command(after_help = tui::TUI_HELP)]
    Tui(TuiArgs),
    /// Index photo folders; later runs only process what has changed
    Index(IndexArgs),
    /// Index folders, and again whenever something in them has changed
    #[command(after_help = watch::WATCH_HELP)]
    Watch(WatchArgs),
    /// Caption photos and read the text in them, beside other machines, until it is stopped
    #[command(after_help = worker::WORKER_HELP)]
    Worker(WorkerArgs),
    /// Find photos by words, by example, or by both
    #[command(after_help = search::SEARCH_HELP)]
    Search(SearchArgs),
    /// Save searches under names: `search --saved NAME` finds their photos
    Saved {
        /// What to do
        #[command(subcommand)]
        action: SavedAction,
    },
    /// Find photos that look like a given picture, which need not be in the library
    Similar(SimilarArgs),
    /// Show everything that is known about a photo, and who says it: its file, files beside it, models
    Show(ShowPhotoArgs),
    /// Group photos that look alike, and name the groups
    #[command(after_help = cluster::CLUSTER_HELP)]
    Cluster(ClusterArgs),
    /// Draw the library as a map on which photos that look alike are close together
    Map(MapArgs),
    /// Show what a folder contains: dates, cameras, tags, clusters
    Describe(DescribeArgs),
    /// Find exact and changed copies of a picture and suggest which to keep; nothing is deleted
    #[command(after_help = duplicates::DUPLICATES_HELP)]
    Duplicates(DuplicatesArgs),
    /// Write a sentence about what each photo shows, or correct it by hand
    #[command(after_help = caption::CAPTION_HELP, subcommand_negates_reqs = true)]
    Caption(CaptionArgs),
    /// Read the text in pictures: receipts, signs, screenshots
    #[command(after_help = text::TEXT_HELP)]
    Text(TextArgs),
    /// Ask one question about a photo
    #[command(after_help = ask::ASK_HELP)]
    Ask(AskArgs),
    /// Chat about a photo: one question after another
    #[command(after_help = chat::CHAT_HELP)]
    Chat(ChatArgs),
    /// List, show, export and delete saved chats
    Chats {
        /// What to do
        #[command(subcommand)]
        action: ChatsAction,
    },
    /// Make albums: named, ordered sets of photos
    Album {
        /// What to do
        #[command(subcommand)]
        action: AlbumAction,
    },
    /// Give photos tags of your own, kept in the library
    #[command(after_help = tags::TAG_HELP)]
    Tag {
        /// What to do
        #[command(subcommand)]
        action: TagAction,
    },
    /// Give photos stars of your own, kept in the library
    #[command(after_help = tags::RATE_HELP)]
    Rate(RateArgs),
    /// Sort photos by labels that you choose
    #[command(after_help = classify::CLASSIFY_HELP)]
    Classify(ClassifyArgs),
    /// Show how well each photo matches each text
    #[command(after_help = score::SCORE_HELP)]
    Score(ScoreArgs),
    /// List, show and delete saved label sets
    Labels {
        /// What to do
        #[command(subcommand)]
        action: LabelsAction,
    },
    /// List, download, locate and quantize models; drop one from the library
    Models {
        /// What to do
        #[command(subcommand)]
        action: ModelsAction,
    },
    /// Show what the library contains and which files could not be read
    Status,
    /// Verify the library's files
    Check(CheckArgs),
    /// Say where the folders of the library are on this machine
    #[command(after_help = root::ROOT_HELP)]
    Root {
        /// What to do
        #[command(subcommand)]
        action: RootAction,
    },
    /// Embed every photo of the library by another model beside the one that answers, and then let it answer
    Reindex(ReindexArgs),
    /// Remove photos or whole folders from the library (the files themselves are never touched)
    Forget(ForgetArgs),
    /// Write everything that people and models wrote to a file: a backup that a person can read
    #[command(after_help = transfer::EXPORT_HELP)]
    Export(ExportArgs),
    /// Merge what `export` wrote into the library
    #[command(after_help = transfer::IMPORT_HELP)]
    Import(ImportArgs),
    /// Look after the library's files
    Library {
        /// What to do
        #[command(subcommand)]
        action: LibraryAction,
    },
    /// Print the embeddings (unit vectors) of texts and pictures, in the order given
    Embed(EmbedArgs),
    /// Show the tokens that the text model reads
    Tokens(TokensArgs),
    /// Index the project's own sample photos and search them
    Demo(DemoArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print what a word that is being typed may become: the completion scripts ask for names
    #[command(hide = true)]
    Complete(CompleteArgs),
    /// Print the manual page (roff) of the program or of one command
    Man(ManArgs),
}
