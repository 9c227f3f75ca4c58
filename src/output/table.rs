//! Results as a table on a terminal, as tab-separated lines in a pipe.

use crate::search::row::Row;
use crate::terminal::console::{self, Console};
use crate::terminal::sanitize;
use crate::terminal::text::{display_path, shorten, shorten_end};
use snapseek_index::{By, Hit};
use unicode_width::UnicodeWidthStr;

/// Prints every row and calls `after` after each.
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
            // The caption is an additional last column, so that the other columns keep their positions.
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

fn number(score: Option<f32>) -> String {
    score.map_or("-".into(), |s| format!("{s:.3}"))
}

fn tags(hit: &Hit) -> String {
    hit.tags.iter().map(|t| sanitize::text(&t.label)).collect::<Vec<_>>().join(", ")
}
