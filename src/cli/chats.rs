//! Arguments of `chats`.

use clap::{Subcommand, ValueEnum};
use std::path::PathBuf;

/// What `chats` can do.
#[derive(Subcommand, Debug)]
pub enum ChatsAction {
    /// List chats, the most recent first
    List {
        /// Only chats about this photo
        photo: Option<PathBuf>,
    },
    /// Print a chat
    Show {
        /// The chat's number
        id: i64,
    },
    /// Write chats to stdout
    Export {
        /// The chats' numbers
        #[arg(required = true)]
        ids: Vec<i64>,
        /// The output format
        #[arg(long, value_enum, default_value = "md")]
        format: ChatFormat,
    },
    /// Delete a chat
    Delete {
        /// The chat's number
        id: i64,
    },
}

/// The format of an exported chat.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatFormat {
    /// Markdown
    Md,
    /// JSON, one object per line
    Json,
}
