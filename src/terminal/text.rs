//! Text for display: counted, padded, shortened; paths and times in a readable form.

use super::sanitize;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// `1 photo`, `2 photos`.
#[must_use]
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// A path for display: relative to the working directory if it is below it.
#[must_use]
pub fn display_path(path: &Path) -> String {
    static HERE: OnceLock<PathBuf> = OnceLock::new();
    let here = HERE.get_or_init(|| std::env::current_dir().and_then(|d| d.canonicalize()).unwrap_or_default());
    sanitize::path(path.strip_prefix(here).ok().filter(|p| !p.as_os_str().is_empty()).unwrap_or(path))
}

/// Seconds since 1970 as the local date and time.
#[must_use]
pub fn time(seconds: i64) -> String {
    let local = jiff::Timestamp::from_second(seconds).map(|time| time.to_zoned(jiff::tz::TimeZone::system()));
    local.map_or_else(|_| "-".into(), |time| time.strftime("%Y-%m-%d %H:%M").to_string())
}

/// `text`, padded with spaces at the end to `width` columns.
#[must_use]
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// Shortens a text to at most `width` columns. Keeps the end, which contains the file's name.
#[must_use]
pub fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = Vec::new();
    let mut used = 1;
    for piece in text.graphemes(true).rev() {
        used += piece.width();
        if used > width {
            break;
        }
        kept.push(piece);
    }
    kept.push("…");
    kept.into_iter().rev().collect()
}

/// Shortens a text to at most `width` columns. Keeps the beginning.
#[must_use]
pub fn shorten_end(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let mut kept: String = text
        .graphemes(true)
        .take_while(|piece| {
            used += piece.width();
            used <= width
        })
        .collect();
    kept.push('…');
    kept
}

/// Bytes as a person reads them: `999 B`, `25 KB`, `3.1 MB`, `2.5 GB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.0} KB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
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

    #[test]
    fn an_emoji_of_several_characters_is_kept_whole_or_not_at_all() {
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        assert_eq!(shorten_end(&format!("ab{family}cdef"), 6), format!("ab{family}c…"));
        assert_eq!(shorten_end(&format!("ab{family}cdef"), 4), "ab…");
        assert_eq!(shorten(&format!("abcd{family}e"), 4), format!("…{family}e"));
        assert_eq!(shorten(&format!("abcd{family}e"), 3), "…e");
    }

    #[test]
    fn a_time_that_is_none_is_no_reason_to_fail() {
        assert_eq!(time(i64::MAX), "-");
        assert_eq!(time(0).len(), 16);
    }
}
