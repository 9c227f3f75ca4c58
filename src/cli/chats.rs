//! Arguments of `chats`.

use clap::{Subcommand, ValueEnum};
use std::path::PathBuf;

/// What `chats` can do.
#[derive(Subcommand, Debug)]
pub enum ChatsAction {
    /// List chats, the last one first
    List {
        /// Only those about this photo
        photo: Option<PathBuf>,
    },
    /// Print a chat
    Show {
        /// Its number
        id: i64,
    },
    /// Write chats to stdout
    Export {
        /// Their numbers
        #[arg(required = true)]
        ids: Vec<i64>,
        /// As what
        #[arg(long, value_enum, default_value = "md")]
        format: ChatFormat,
    },
    /// Delete a chat
    Delete {
        /// Its number
        id: i64,
    },
}

/// How a chat is written.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatFormat {
    /// Markdown
    Md,
    /// JSON, one object a line
    Json,
}
