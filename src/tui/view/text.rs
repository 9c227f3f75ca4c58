//! Text for cells: escapes it, cuts it to a width, wraps it.

use crate::terminal::sanitize;
use crate::terminal::text::shorten_end;
use ratatui::style::Style;
use ratatui::text::Span;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Foreign text without anything that could drive a terminal.
pub(super) fn clean(text: &str) -> String {
    sanitize::text(text)
}

/// Clean text, cut to at most `width` columns.
pub(super) fn fit(text: &str, width: usize) -> String {
    if width == 0 { String::new() } else { shorten_end(text, width) }
}

/// Clean text in at most `height` lines of at most `width` columns, broken at spaces where possible.
pub(super) fn wrap(text: &str, width: usize, height: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    if width == 0 || height == 0 {
        return lines;
    }
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut word = word.to_owned();
        loop {
            let gap = usize::from(!line.is_empty());
            if line.width() + gap + word.width() <= width {
                if gap == 1 {
                    line.push(' ');
                }
                line.push_str(&word);
                break;
            }
            if line.is_empty() {
                // A word that is wider than the line is cut.
                let (head, tail) = cut(&word, width);
                lines.push(head);
                word = tail;
                if word.is_empty() {
                    break;
                }
            } else {
                lines.push(std::mem::take(&mut line));
            }
            if lines.len() >= height {
                break;
            }
        }
        if lines.len() >= height {
            break;
        }
    }
    if !line.is_empty() && lines.len() < height {
        lines.push(line);
    } else if lines.len() >= height
        && let Some(last) = lines.get_mut(height - 1)
    {
        *last = fit(&format!("{last} …"), width);
    }
    lines.truncate(height);
    lines
}

/// Splits a word after at most `width` columns, but at least one character.
fn cut(word: &str, width: usize) -> (String, String) {
    let mut used = 0;
    let end = word.grapheme_indices(true).find_map(|(at, piece)| {
        used += piece.width();
        (used > width && at > 0).then_some(at)
    });
    let (head, rest) = word.split_at(end.unwrap_or(word.len()));
    (head.to_owned(), rest.to_owned())
}

/// Clean text with `words` highlighted.
pub(super) fn highlighted(text: &str, words: &[String], plain: Style, found: Style) -> Vec<Span<'static>> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut push = |part: &str, style: Style| {
        if !part.is_empty() {
            spans.push(Span::styled(part.to_owned(), style));
        }
    };
    let mut rest = text;
    while !rest.is_empty() {
        let gap = rest.find(char::is_alphanumeric).unwrap_or(rest.len());
        push(&rest[..gap], plain);
        rest = &rest[gap..];
        let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        let word = rest[..end].to_lowercase();
        // "dog" and "dogs" count as the same word, roughly as in the full-text index.
        let same = |asked: &String| {
            let stem = |word: &str| word.strip_suffix("es").or(word.strip_suffix('s')).unwrap_or(word).to_owned();
            *asked == word || (asked.len() > 2 && stem(asked) == stem(&word))
        };
        push(&rest[..end], if words.iter().any(same) { found } else { plain });
        rest = &rest[end..];
    }
    spans
}

/// The words of a query that a caption may contain.
pub(super) fn words_of(query: &str) -> Vec<String> {
    const SMALL: [&str; 12] = ["a", "an", "the", "of", "on", "in", "at", "and", "with", "to", "is", "by"];
    let plain = query.split_whitespace().filter(|word| {
        !word.starts_with(['-', '@'])
            && (!word.contains(':') || word.starts_with("caption:") || word.starts_with("text:"))
    });
    let words = plain.flat_map(|word| {
        let word = word.strip_prefix("caption:").or(word.strip_prefix("text:")).unwrap_or(word);
        word.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).collect::<Vec<_>>()
    });
    words.filter(|word| !word.is_empty() && !SMALL.contains(&word.as_str())).collect()
}

/// A horizontal bar for a share from 0 to 1 of `width` columns, with a precision of an eighth of a cell.
pub(super) fn bar(share: f32, width: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * width as f32 * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_within_their_width() {
        assert_eq!(wrap("a red car on a road", 8, 9), ["a red", "car on a", "road"]);
        assert!(wrap("日本語の写真 abcdefghijk", 5, 9).iter().all(|line| line.width() <= 5));
        assert_eq!(wrap("one two three four", 5, 2), ["one", "two …"]);
        assert!(wrap("x", 0, 3).is_empty() && wrap("", 3, 3).is_empty());
    }

    #[test]
    fn found_words_stand_out() {
        let (plain, found) = (Style::new(), Style::new().bold());
        let spans = highlighted("Two dogs on a dogma", &words_of("a dog -cat tag:dogma"), plain, found);
        let bold: Vec<&str> =
            spans.iter().filter(|span| span.style == found).map(|span| span.content.as_ref()).collect();
        assert_eq!(bold, ["dogs"]);
    }

    #[test]
    fn bars_are_as_long_as_their_share() {
        assert_eq!(
            (bar(1.0, 3), bar(0.5, 3), bar(0.0, 3), bar(f32::NAN, 3)),
            ("███".into(), "█▌".into(), String::new(), String::new())
        );
    }
}
