//! Results as a table on a terminal, as tab-separated lines in a pipe.

use super::Row;
use crate::terminal::console::{self, Console};
use crate::terminal::sanitize;
use snapseek_index::{By, Hit};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Prints every row and calls `after` behind each.
pub(super) fn print(
    rows: &[Row],
    by: By,
    console: &Console,
    after: &mut dyn FnMut(&Row) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if !console.terminal {
        return rows.iter().try_for_each(|row| {
            let mut line = format!("{}\t", number(super::score(&row.hit, by).0)).into_bytes();
            line.extend(console.path_bytes(row.path()));
            line.extend(format!("\t{}", tags(&row.hit)).into_bytes());
            // A column more for those that have one, so that the others stay what they are.
            if let Some(caption) = &row.hit.caption {
                line.extend(format!("\t{}", sanitize::text(caption)).into_bytes());
            }
            line.push(b'\n');
            Ok(console.bytes(&line)?)
        });
    }
    let room = console::width().saturating_sub(22);
    let names: Vec<String> = rows.iter().map(|row| display_path(row.path())).collect();
    let widest = names.iter().map(|n| n.width()).max().unwrap_or(0).min(room * 2 / 3);
    if !rows.is_empty() {
        let last = if rows.iter().any(|row| row.hit.caption.is_some()) { "caption or tags" } else { "tags" };
        let head = format!(" #  cosine  words  {:<widest$}  {last}", "photo");
        console.line(&console.style("2", head.trim_end()))?;
    }
    let mut matching = true;
    for (n, (row, name)) in rows.iter().zip(&names).enumerate() {
        if matching && !row.is_match {
            matching = false;
            console.line(&console.style("2", "    nearest of the rest:"))?;
        }
        let name = shorten(name, widest);
        let pad = " ".repeat(widest.saturating_sub(name.width()));
        let says = row.hit.caption.as_deref().map_or_else(|| tags(&row.hit), sanitize::text);
        let says = shorten_end(&says, room.saturating_sub(widest));
        let more = row.hit.paths.len() - 1 + row.hit.folded as usize;
        let more = if more > 0 { format!(" (+{more})") } else { String::new() };
        let style = if row.is_match { "1" } else { "0" };
        console.line(&format!(
            "{:>2}  {:>6}  {:>5}  {}{pad}{more}  {}",
            n + 1,
            number(row.hit.cosine),
            row.hit.bm25.map_or("-".into(), |b| format!("{b:.1}")),
            console.style(style, &name),
            console.style("2", &says)
        ))?;
        after(row)?;
    }
    Ok(())
}

/// A path for the eye: relative to the working directory where it lies below it.
#[must_use]
pub fn display_path(path: &Path) -> String {
    static HERE: OnceLock<PathBuf> = OnceLock::new();
    let here = HERE.get_or_init(|| std::env::current_dir().and_then(|d| d.canonicalize()).unwrap_or_default());
    sanitize::path(path.strip_prefix(here).ok().filter(|p| !p.as_os_str().is_empty()).unwrap_or(path))
}

fn number(score: Option<f32>) -> String {
    score.map_or("-".into(), |s| format!("{s:.3}"))
}

fn tags(hit: &Hit) -> String {
    hit.tags.iter().map(|t| sanitize::text(&t.label)).collect::<Vec<_>>().join(", ")
}

/// `text` with blanks behind it up to so many columns.
#[must_use]
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// At most so many columns of a text. Keeps the end, which holds the file's name.
#[must_use]
pub fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = Vec::new();
    let mut used = 1;
    for c in text.chars().rev() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept.iter().rev().collect()
}

/// At most so many columns of a text. Keeps the beginning.
#[must_use]
pub fn shorten_end(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let mut kept: String = text
        .chars()
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= width
        })
        .collect();
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_their_end_and_wide_characters_count_double() {
        assert_eq!(shorten("/a/very/long/path/cat.jpg", 10), "…h/cat.jpg");
        assert_eq!(shorten("日本語の写真", 7), "…の写真");
        assert_eq!(shorten_end("tabby, tiger cat", 8), "tabby, …");
        assert_eq!(shorten("short", 10), "short");
    }
}
