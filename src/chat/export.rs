//! Exports chats: as JSON, as Markdown, to files.

use crate::output;
use crate::terminal::sanitize;
use crate::terminal::text::time;
use serde_json::{Value, json};
use snapseek_index::Chat;
use std::fmt::Write;
use std::path::Path;

/// A chat as JSON.
#[must_use]
pub fn record(chat: &Chat) -> Value {
    let Chat { id, path, model, started, updated, turns, picture, file } = chat;
    let hex = |hash: &[u8; 32]| blake3::Hash::from_bytes(*hash).to_hex().to_string();
    let mut record = json!({"schema": 1, "id": id, "model": model, "started": started, "updated": updated,
        "blake3": hex(file), "picture": hex(picture), "turns": turns});
    output::put_path(&mut record, path);
    record
}

/// A chat as Markdown, with all markup in its turns escaped.
#[must_use]
pub fn markdown(chat: &Chat) -> String {
    let Chat { path, model, started, turns, .. } = chat;
    let name = path.file_name().map_or(String::new(), |name| sanitize::path(Path::new(name)));
    let mut text = format!("# {}\n\n", plain(&name));
    let _ = writeln!(text, "{}, {}, {}", plain(&sanitize::path(path)), time(*started), plain(model));
    for turn in turns {
        let _ = write!(text, "\n**{}**\n\n{}\n", plain(&turn.question), plain(&turn.answer));
    }
    text
}

/// Writes a chat to a new file: JSON if its name ends in `.json`, otherwise Markdown.
///
/// # Errors
/// The file already exists (exit code 2), or cannot be written.
pub fn save(chat: &Chat, file: &Path) -> anyhow::Result<()> {
    let text = match file.extension() {
        Some(extension) if extension == "json" => sanitize::json(&record(chat))? + "\n",
        _ => markdown(chat),
    };
    output::write_new(file, &text)
}

/// Text with every character escaped that Markdown could read as markup or that could control a terminal.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let text = sanitize::text(text);
    // These characters begin a list or a rule where they begin a line.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_answers_stays_text() {
        assert_eq!(plain("<b> [x](y) `z` #1\x1b[31m\n- a"), "\\<b\\> \\[x\\](y) \\`z\\` \\#1\\\\x1b\\[31m\\\\n- a");
        assert_eq!(["- a", "+", "12. x", "3) y", "1.5"].map(plain), ["\\- a", "\\+", "12\\. x", "3\\) y", "1\\.5"]);
    }
}
