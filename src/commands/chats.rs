//! `chats`: lists, shows, exports and deletes saved chats.

use crate::chat::export::{markdown, record};
use crate::cli::{ChatFormat, ChatsAction};
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::photo::{self, DecodeLimits};
use crate::search::photo_file;
use crate::terminal::console::Console;
use crate::terminal::sanitize;
use crate::terminal::text::{self, time};
use serde_json::json;
use snapseek_index::{Chat, Error, Library};
use std::ffi::OsStr;
use std::path::Path;

pub(super) fn run(action: &ChatsAction, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let library = Library::open(&settings.library)?;
    match action {
        ChatsAction::List { photo } => list(&library, photo.as_deref(), settings, console),
        ChatsAction::Show { chat } => {
            for chat in named(&library, chat)? {
                if settings.json {
                    console.json(&record(&chat))?;
                } else {
                    show(&chat, console)?;
                }
            }
            Ok(Exit::Success)
        }
        ChatsAction::Export { chats, format } => {
            let chats = chats.iter().map(|chat| named(&library, chat)).collect::<anyhow::Result<Vec<_>>>()?;
            for (n, chat) in chats.iter().flatten().enumerate() {
                if settings.json || *format == ChatFormat::Json {
                    console.json(&record(chat))?;
                } else {
                    let gap = if n > 0 { "\n" } else { "" };
                    console.bytes(format!("{gap}{}", markdown(chat)).as_bytes())?;
                }
            }
            Ok(Exit::Success)
        }
        ChatsAction::Delete { id } => {
            if !library.delete_chat(*id)? {
                return Err(Error::NoChat { id: *id }.into());
            }
            if settings.json {
                console.json(&json!({"schema": 1, "deleted": id}))?;
            }
            Ok(Exit::Success)
        }
    }
}

fn list(library: &Library, photo: Option<&Path>, settings: &Settings, console: &Console) -> anyhow::Result<Exit> {
    let chats = match photo {
        None => library.chats()?,
        Some(photo) => about(library, photo)?,
    };
    for chat in &chats {
        let Chat { id, path, model, started, updated, turns, .. } = chat;
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
    if chats.is_empty() {
        console.note("there are no saved chats; `snapseek chat PHOTO` begins one");
    }
    Ok(if chats.is_empty() { Exit::NothingFound } else { Exit::Success })
}

/// The chat with this number, or the chats about this photo, oldest first.
fn named(library: &Library, name: &OsStr) -> anyhow::Result<Vec<Chat>> {
    let path = Path::new(name);
    if let Some(id) = name.to_str().and_then(|name| name.parse().ok()).filter(|_| !path.exists()) {
        return Ok(vec![library.chat(id)?.ok_or(Error::NoChat { id })?]);
    }
    let mut chats = about(library, path)?;
    chats.reverse();
    match (chats.is_empty(), path.exists()) {
        (false, _) => Ok(chats),
        (true, true) => Err(Failure::nothing(format!("there are no chats about {}", sanitize::path(path)))),
        (true, false) => Err(Failure::usage(format!(
            "{} is neither the number of a chat nor a photo; `snapseek chats list` lists the chats",
            sanitize::path(path)
        ))),
    }
}

/// The chats about a picture; if its file cannot be read, the chats that were begun with this path.
fn about(library: &Library, photo: &Path) -> anyhow::Result<Vec<Chat>> {
    if let Ok(bytes) = photo::read(photo, &DecodeLimits::default()) {
        return Ok(library.chats_about(&photo_file::identify(&bytes).0)?);
    }
    let absolute = std::path::absolute(photo)?;
    Ok(library.chats()?.into_iter().filter(|c| c.path == absolute).collect())
}

/// Prints a chat in a readable form.
pub(super) fn show(chat: &Chat, console: &Console) -> anyhow::Result<()> {
    let Chat { id, path, model, started, turns, .. } = chat;
    let head = format!("{id}  {}  {}  {}", time(*started), text::display_path(path), sanitize::text(model));
    console.line(&console.style("2", &head))?;
    for turn in turns {
        console.line(&console.style("1", &format!("> {}", sanitize::text(&turn.question))))?;
        console.line(&sanitize::text(&turn.answer))?;
    }
    Ok(())
}
