//! The one door through which foreign text (file names, EXIF, captions, error texts) reaches a terminal.
//!
//! Text is escaped, never deleted, so that two different names never look the same.

pub use snapseek_index::escape::{is_unsafe, judged, path, text};

use std::fmt::Write;

/// Escapes a message of several lines: line breaks are kept.
#[must_use]
pub fn lines(message: &str) -> String {
    message.split('\n').map(text).collect::<Vec<_>>().join("\n")
}

/// One line of JSON, in which unsafe characters are written as `\uXXXX`: the same data, harmless on a terminal.
///
/// # Errors
/// The value cannot be written as JSON.
pub fn json(value: &impl serde::Serialize) -> serde_json::Result<String> {
    let plain = serde_json::to_string(value)?;
    if !judged(&plain).any(|(_, is_unsafe)| is_unsafe) {
        return Ok(plain);
    }
    // serde_json has already escaped C0 control characters, so the remaining ones can only be inside a string.
    let mut out = String::with_capacity(plain.len() + 16);
    for (c, is_unsafe) in judged(&plain) {
        if is_unsafe {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_the_same_data() {
        let hostile = "a\u{9b}b\u{e0001}c\u{202e}\x1b\"\\d\u{fe0f}\u{3164}\u{2764}\u{fe0f}";
        let line = json(&hostile).unwrap();
        assert!(!judged(&line).any(|(_, is_unsafe)| is_unsafe));
        assert!(line.contains("\u{2764}\u{fe0f}"), "an emoji stays: {line}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), hostile);
    }
}
