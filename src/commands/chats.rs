//! `chats`: conversations that were kept.

use crate::chat::conversation::{markdown, record};
use crate::cli::{ChatFormat, ChatsAction};
use crate::config::Settings;
use crate::exit::Exit;
use crate::output;
use crate::photo::{self, DecodeLimits};
use crate::terminal::console::Console;
use crate::terminal::sanitize;
use crate::terminal::text::{self, time};
use serde_json::json;
use snapseek_index::{Conversation, Error, Library};
use std::path::Path;

pub(super) fn run(action: &ChatsAction, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    let one = |id| library.conversation(id)?.ok_or(Error::NoConversation { id });
    match action {
        ChatsAction::List { photo } => list(&library, photo.as_deref(), settings, console),
        ChatsAction::Show { id } => {
            let conversation = one(*id)?;
            if settings.json {
                console.json(&record(&conversation))?;
            } else {
                show(&conversation, console)?;
            }
            Ok(Exit::Success)
        }
        ChatsAction::Export { ids, format } => {
            let conversations = ids.iter().map(|id| one(*id)).collect::<Result<Vec<_>, _>>()?;
            for (n, conversation) in conversations.iter().enumerate() {
                if settings.json || *format == ChatFormat::Json {
                    console.json(&record(conversation))?;
                } else {
                    let gap = if n > 0 { "\n" } else { "" };
                    console.bytes(format!("{gap}{}", markdown(conversation)).as_bytes())?;
                }
            }
            Ok(Exit::Success)
        }
        ChatsAction::Delete { id } => {
            if !library.delete_conversation(*id)? {
                return Err(Error::NoConversation { id: *id }.into());
            }
            if settings.json {
                console.json(&json!({"schema": 1, "deleted": id}))?;
            }
            Ok(Exit::Success)
        }
    }
}

fn list(library: &Library, photo: Option<&Path>, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let conversations = match photo {
        None => library.conversations()?,
        Some(photo) => about(library, photo)?,
    };
    for conversation in &conversations {
        let Conversation { id, path, model, started, updated, turns, .. } = conversation;
        let first = turns.first().map_or("", |turn| turn.question.as_str());
        if settings.json {
            let mut record = json!({"schema": 1, "id": id, "model": model, "started": started, "updated": updated,
                "questions": turns.len(), "first": first});
            output::put_path(&mut record, path);
            console.json(&record)?;
        } else if console.terminal {
            let asked = text::count(turns.len(), "question");
            console.line(&format!(
                "{id:>4}  {}  {asked:<12}  {}  {}",
                console.style("2", &time(*updated)),
                console.style("1", &text::display_path(path)),
                sanitize::text(first)
            ))?;
        } else {
            let mut line = format!("{id}\t{}\t{}\t", time(*updated), turns.len()).into_bytes();
            line.extend(console.path_bytes(path));
            line.extend(format!("\t{}\n", sanitize::text(first)).into_bytes());
            console.bytes(&line)?;
        }
    }
    if conversations.is_empty() {
        console.note("no conversation is kept; `snapseek chat PHOTO` begins one");
    }
    Ok(if conversations.is_empty() { Exit::NothingFound } else { Exit::Success })
}

/// The conversations about a picture, or if its file cannot be read, those in which it was so named.
fn about(library: &Library, photo: &Path) -> anyhow::Result<Vec<Conversation>> {
    if let Ok(bytes) = photo::read(photo, &DecodeLimits::default()) {
        return Ok(library.conversations_about(blake3::hash(&bytes).as_bytes())?);
    }
    let absolute = std::path::absolute(photo)?;
    Ok(library.conversations()?.into_iter().filter(|c| c.path == absolute).collect())
}

/// Prints a conversation for the eye.
pub(super) fn show(conversation: &Conversation, console: &Console) -> anyhow::Result<()> {
    let Conversation { id, path, model, started, turns, .. } = conversation;
    let head = format!("{id}  {}  {}  {}", time(*started), text::display_path(path), sanitize::text(model));
    console.line(&console.style("2", &head))?;
    for turn in turns {
        console.line(&console.style("1", &format!("> {}", sanitize::text(&turn.question))))?;
        console.line(&sanitize::text(&turn.answer))?;
    }
    Ok(())
}
