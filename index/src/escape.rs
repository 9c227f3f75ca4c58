//! Makes foreign text (names, captions, error texts) harmless for a terminal. Unsafe characters are escaped, never
//! deleted, so that nothing in a name stays hidden.

use std::fmt::Write;
use std::path::Path;

/// Whether a character can drive a terminal, reorder the text around it, or hide.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'          // C0, DEL, C1
        | '\u{ad}' | '\u{61c}' | '\u{180e}'        // soft hyphen, Arabic letter mark, Mongolian vowel separator
        | '\u{200b}'..='\u{200f}'                  // zero width, left-to-right and right-to-left marks
        | '\u{2028}'..='\u{202e}'                  // line and paragraph separators, bidi embeddings
        | '\u{2060}'..='\u{206f}'                  // word joiner, bidi isolates
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// `text` with every unsafe character escaped as `\n`, `\x1b` or `\u{202e}`.
#[must_use]
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_unsafe(c) && (c as u32) < 0x100 => drop(write!(out, "\\x{:02x}", c as u32)),
            c if is_unsafe(c) => drop(write!(out, "\\u{{{:x}}}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

/// A path for display: escaped, with bytes that are not UTF-8 as `\xNN`.
#[must_use]
pub fn path(path: &Path) -> String {
    let mut out = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        out.push_str(&text(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_drives_a_terminal() {
        assert_eq!(text("a\x1b]52;c;AAAA\x07b"), "a\\x1b]52;c;AAAA\\x07b");
        assert_eq!(text("x\u{9b}31m\u{202e}gpj.exe"), "x\\x9b31m\\u{202e}gpj.exe");
        assert_eq!(text("one\r\ntwo\tthree"), "one\\r\\ntwo\\tthree");
        assert_eq!(text("日本 café 🐶"), "日本 café 🐶");
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_utf8_keep_their_bytes_visible() {
        use std::os::unix::ffi::OsStrExt;
        assert_eq!(path(Path::new(std::ffi::OsStr::from_bytes(b"a\xff\x1b.jpg"))), "a\\xff\\x1b.jpg");
    }

    #[test]
    fn no_unsafe_character_survives() {
        let mut state = 1_u32;
        for _ in 0..100_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if let Some(c) = char::from_u32(state >> 11) {
                assert!(!text(&format!("x{c}y")).chars().any(is_unsafe));
            }
        }
    }
}
