//! `chats`: conversations that were kept.

use crate::cli::{ChatFormat, ChatsAction};
use crate::config::Settings;
use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::photo::{self, DecodeLimits};
use crate::{output, sanitize};
use serde_json::{Value, json};
use snapseek_index::{Conversation, Error, Library};
use std::fmt::Write;
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
            let asked = output::count(turns.len(), "question");
            console.line(&format!(
                "{id:>4}  {}  {asked:<12}  {}  {}",
                console.style("2", &time(*updated)),
                console.style("1", &output::display_path(path)),
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
    let head = format!("{id}  {}  {}  {}", time(*started), output::display_path(path), sanitize::text(model));
    console.line(&console.style("2", &head))?;
    for turn in turns {
        console.line(&console.style("1", &format!("> {}", sanitize::text(&turn.question))))?;
        console.line(&sanitize::text(&turn.answer))?;
    }
    Ok(())
}

/// A conversation as JSON.
pub(super) fn record(conversation: &Conversation) -> Value {
    let Conversation { id, path, model, started, updated, turns, hash } = conversation;
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut record = json!({"schema": 1, "id": id, "model": model, "started": started, "updated": updated,
        "blake3": hash, "turns": turns});
    output::put_path(&mut record, path);
    record
}

/// A conversation as Markdown, in which nothing that was said is markup.
pub(super) fn markdown(conversation: &Conversation) -> String {
    let Conversation { path, model, started, turns, .. } = conversation;
    let name = path.file_name().map_or(String::new(), |name| sanitize::path(Path::new(name)));
    let mut text = format!("# {}\n\n", plain(&name));
    let _ = writeln!(text, "{}, {}, {}", plain(&sanitize::path(path)), time(*started), plain(model));
    for turn in turns {
        let _ = write!(text, "\n**{}**\n\n{}\n", plain(&turn.question), plain(&turn.answer));
    }
    text
}

/// Writes a conversation into a new file: JSON if its name ends so, else Markdown.
pub(super) fn save(conversation: &Conversation, file: &Path) -> anyhow::Result<()> {
    let text = match file.extension() {
        Some(extension) if extension == "json" => sanitize::json(&record(conversation))? + "\n",
        _ => markdown(conversation),
    };
    let shown = sanitize::path(file);
    let written =
        std::fs::File::create_new(file).and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::usage(format!("{shown} is there already; nothing is overwritten"))
        }
        _ => anyhow::Error::from(error).context(format!("{shown} cannot be written")),
    })
}

/// Text with every sign escaped that Markdown could take for markup, and every one that could drive a terminal.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let text = sanitize::text(text);
    // What begins a list or a rule, where it begins a line.
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    for (at, c) in text.char_indices() {
        if (at == digits && ".)".contains(c)) || (at == 0 && "-+=".contains(c)) {
            out.push('\\');
        }
        if "\\`*_[]<>#&~|!".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Seconds since 1970 as the local date and time.
fn time(seconds: i64) -> String {
    let local = jiff::Timestamp::from_second(seconds).map(|time| time.to_zoned(jiff::tz::TimeZone::system()));
    local.map_or_else(|_| "-".into(), |time| time.strftime("%Y-%m-%d %H:%M").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_answers_stays_text() {
        assert_eq!(plain("<b> [x](y) `z` #1\x1b[31m\n- a"), "\\<b\\> \\[x\\](y) \\`z\\` \\#1\\\\x1b\\[31m\\\\n- a");
        assert_eq!(["- a", "+", "12. x", "3) y", "1.5"].map(plain), ["\\- a", "\\+", "12\\. x", "3\\) y", "1\\.5"]);
    }

    #[test]
    fn a_time_that_is_none_is_no_reason_to_fail() {
        assert_eq!(time(i64::MAX), "-");
        assert_eq!(time(0).len(), 16);
    }
}
