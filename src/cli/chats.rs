//! Arguments of `chats`.

use clap::{Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

/// What `chats` can do.
#[derive(Subcommand, Debug)]
pub enum ChatsAction {
    /// List chats, the most recent first
    List {
        /// Only chats about this photo
        photo: Option<PathBuf>,
    },
    /// Print a chat, or all chats about a photo
    Show {
        /// The chat's number, or the photo
        #[arg(value_name = "ID|PHOTO")]
        chat: OsString,
    },
    /// Write chats to stdout
    Export {
        /// The chats' numbers, or photos
        #[arg(required = true, value_name = "ID|PHOTO")]
        chats: Vec<OsString>,
        /// The output format
        #[arg(long, value_enum, default_value = "md")]
        format: ChatFormat,
    },
    /// Delete a chat
    Delete {
        /// The chat's number
        #[arg(value_parser = number)]
        id: i64,
    },
}

fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "must be the number of a chat; `snapseek chats list` lists them".to_owned())
}

/// The format of an exported chat.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatFormat {
    /// Markdown
    Md,
    /// JSON, one object per line
    Json,
}
