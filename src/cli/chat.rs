//! Arguments of `chat`.

use super::generate::GenerateArgs;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `chat`.
#[derive(Args, Debug)]
pub struct ChatArgs {
    /// A picture file, in the library or not
    #[arg(required_unless_present = "conversation")]
    pub photo: Option<PathBuf>,
    /// Continue the most recent chat about this photo
    #[arg(long = "continue", conflicts_with = "conversation")]
    pub go_on: bool,
    /// Continue the chat with this number (`snapseek chats list` shows them)
    #[arg(long, value_name = "ID")]
    pub conversation: Option<i64>,
    /// How answers are written
    #[command(flatten)]
    pub generate: GenerateArgs,
}

pub(super) const CHAT_HELP: &str = r#"IN A CHAT
  /undo          take back the last question and its answer
  /clear         forget everything said in this chat
  /save FILE     write the chat to a new file (Markdown, or JSON if its name ends in .json)
  /image NEXT    begin a chat about another picture
  /help /quit    Ctrl-C stops an answer, Ctrl-D ends the chat
The chat is saved in the library, if there is one. Without a terminal, questions are read from stdin, one per line.

EXAMPLES
  snapseek chat photo.jpg
  snapseek chat photo.jpg --continue
  printf 'What is it?\nWhat colour is it?\n' | snapseek chat photo.jpg --json"#;
