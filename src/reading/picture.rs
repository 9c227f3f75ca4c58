//! What stands in one picture.

use crate::model::ocr::{TextLine, TextReader, is_wide};
use crate::photo::{self, DecodeLimits};
use std::sync::atomic::AtomicBool;

/// The least score of a line that is searched.
const SEARCHED: f32 = 0.6;

/// What stands in a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadPicture {
    /// Its lines, in reading order.
    pub lines: Vec<TextLine>,
    /// Width and height in upright pixels.
    pub size: (u32, u32),
}

/// What stands in the picture in these bytes of a file; `None` if cancelled. With `glance`, a first look decides
/// whether it is read at all, which misses text that is small beside the picture.
///
/// # Errors
/// The bytes cannot be decoded, or a model is damaged.
pub fn read(
    reader: &TextReader,
    bytes: &[u8],
    edge: u32,
    glance: bool,
    cancel: &AtomicBool,
) -> anyhow::Result<Option<ReadPicture>> {
    let limits = DecodeLimits::default();
    let target = Some(2 * edge);
    if glance {
        let small = photo::decode(bytes, Some(TextReader::glance_edge()), &limits)?;
        let size = (small.facts.width, small.facts.height);
        if !reader.may_hold_text(&small.picture)? {
            return Ok(Some(ReadPicture { lines: Vec::new(), size }));
        }
        // What is not reduced need not be decoded again.
        if size == (small.picture.width, small.picture.height) {
            let lines = reader.read(&small.picture, edge, cancel)?;
            return Ok(lines.map(|lines| ReadPicture { lines, size }));
        }
    }
    let whole = photo::decode(bytes, target, &limits)?;
    let size = (whole.facts.width, whole.facts.height);
    Ok(reader.read(&whole.picture, edge, cancel)?.map(|lines| ReadPicture { lines, size }))
}

/// What of these lines is searched, line by line: noise is left out, which is short, doubtful, or has no letters.
#[must_use]
pub fn searched(lines: &[TextLine]) -> String {
    let is_worth = |line: &&TextLine| {
        let letters = line.text.chars().filter(|c| c.is_alphanumeric());
        let weight: usize = letters.map(|c| if is_wide(c) { 2 } else { 1 }).sum();
        line.score >= SEARCHED
            && weight >= 3
            && line.text.chars().any(|c| c.is_alphabetic() || weight >= 4 && c.is_numeric())
    };
    lines.iter().filter(is_worth).map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_not_searched() {
        let line = |text: &str, score| TextLine { text: text.to_owned(), score, quad: [[0.0; 2]; 4] };
        let lines = [
            line("Boarding pass", 0.99),
            line("O", 0.95),
            line("--- . ---", 0.9),
            line("doubtful", 0.55),
            line("12", 0.99),
            line("B22", 0.99),
            line("00412", 0.97),
            line("\u{6771}\u{4eac}", 0.99),
        ];
        assert_eq!(searched(&lines), "Boarding pass\nB22\n00412\n\u{6771}\u{4eac}");
    }
}
