//! Makes foreign text (names, captions, error texts) harmless for a terminal. Unsafe characters are escaped, never
//! deleted, so that nothing in a name stays hidden.

use std::fmt::Write;
use std::path::Path;

/// Whether a character can drive a terminal, reorder the text around it, or hide, wherever it stands. Those that can
/// hide are `Default_Ignorable_Code_Point` of Unicode 17 (DerivedCoreProperties.txt), among them the fillers, and the
/// characters of interlinear annotations. Only the two selectors of emoji depend on what stands before them.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'          // C0, DEL, C1
        | '\u{ad}' | '\u{34f}' | '\u{61c}'          // soft hyphen, grapheme joiner, Arabic letter mark
        | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers
        | '\u{17b4}' | '\u{17b5}'                   // Khmer inherent vowels
        | '\u{180b}'..='\u{180f}'                   // Mongolian variation selectors and vowel separator
        | '\u{200b}'..='\u{200f}'                   // zero width, left-to-right and right-to-left marks
        | '\u{2028}'..='\u{202e}'                   // line and paragraph separators, bidi embeddings
        | '\u{2060}'..='\u{206f}'                   // word joiner, invisible operators, bidi isolates
        | '\u{fe00}'..='\u{fe0d}'                   // variation selectors
        | '\u{feff}' | '\u{fff0}'..='\u{fffb}'      // zero width no-break space; reserved, interlinear annotations
        | '\u{1bca0}'..='\u{1bca3}'                 // shorthand format controls
        | '\u{1d173}'..='\u{1d17a}'                 // musical format controls
        | '\u{e0000}'..='\u{e0fff}') // tags, more variation selectors, reserved
}

/// The selectors that show a character as text or as an emoji: safe after such a character, where they belong, and
/// hidden anywhere else.
const SELECTORS: [char; 2] = ['\u{fe0e}', '\u{fe0f}'];

/// Joins emojis to one, as in families: safe between two of them, and hidden anywhere else.
const JOINER: char = '\u{200d}';
/// The first and the last part of the flag of a region, as of Scotland; between them stand tags.
const BLACK_FLAG: char = '\u{1f3f4}';
const LAST_TAG: char = '\u{e007f}';
/// The most tags of such a flag: a country, and up to three characters.
const MOST_TAGS: usize = 5;

/// Whether a character is an emoji, or changes the one before it: what joiners stand between.
fn is_emoji(c: char) -> bool {
    takes_a_selector(c) || matches!(c, '\u{fe0f}' | '\u{2600}'..='\u{27bf}')
}

/// How many characters of the tags of a flag follow; 0 if they are not those of one.
fn tags_of_a_flag(rest: &str) -> usize {
    let tags = rest.chars().take_while(|c| matches!(c, '\u{e0030}'..='\u{e0039}' | '\u{e0061}'..='\u{e007a}')).count();
    let ends = rest.chars().nth(tags) == Some(LAST_TAG);
    if ends && (3..=MOST_TAGS).contains(&tags) { tags + 1 } else { 0 }
}

/// Whether a selector may follow this character: the blocks of the bases in Unicode's emoji-variation-sequences.txt.
fn takes_a_selector(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{24c2}'
        | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}' | '\u{25a0}'..='\u{27bf}' | '\u{2900}'..='\u{297f}'
        | '\u{2b00}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

/// The characters of a text, and whether each is unsafe where it stands.
pub fn judged(text: &str) -> impl Iterator<Item = (char, bool)> + '_ {
    let mut before = None;
    let mut rest = text.chars();
    let mut tags = 0_usize;
    std::iter::from_fn(move || {
        let c = rest.next()?;
        if c == BLACK_FLAG {
            tags = tags_of_a_flag(rest.as_str()) + 1;
        }
        let is_tag = tags > 0;
        tags = tags.saturating_sub(1);
        let is_unsafe = if is_tag {
            false
        } else if c == JOINER {
            !before.is_some_and(is_emoji) || !rest.as_str().chars().next().is_some_and(takes_a_selector)
        } else if SELECTORS.contains(&c) {
            // A digit with a selector is a key only together with the key's frame.
            let is_key = || rest.as_str().starts_with('\u{20e3}');
            !before.is_some_and(|base| takes_a_selector(base) || matches!(base, '0'..='9' | '#' | '*') && is_key())
        } else {
            is_unsafe(c)
        };
        before = Some(c);
        Some((c, is_unsafe))
    })
}

/// `text` with every unsafe character escaped as `\n`, `\x1b` or `\u{202e}`.
#[must_use]
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (c, is_unsafe) in judged(text) {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_unsafe && (c as u32) < 0x100 => drop(write!(out, "\\x{:02x}", c as u32)),
            c if is_unsafe => drop(write!(out, "\\u{{{:x}}}", c as u32)),
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
    fn what_hides_is_escaped_and_what_belongs_stays() {
        for c in
            ['\u{34f}', '\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}', '\u{17b4}', '\u{17b5}', '\u{180b}', '\u{180f}']
        {
            assert_eq!(text(&format!("a{c}b")), format!("a\\u{{{:x}}}b", c as u32));
        }
        for c in [
            '\u{2062}',
            '\u{fe00}',
            '\u{fe0f}',
            '\u{fff9}',
            '\u{1bca0}',
            '\u{1d173}',
            '\u{e0041}',
            '\u{e01ef}',
            '\u{e0fff}',
        ] {
            assert_eq!(text(&format!("a{c}b")), format!("a\\u{{{:x}}}b", c as u32));
        }
        for shown in [
            "\u{2764}\u{fe0f}",
            "\u{a9}\u{fe0e}",
            "1\u{fe0f}\u{20e3}",
            "\u{1f3d4}\u{fe0f}!",
            "\u{1f1e9}\u{1f1ea}",
            "\u{1f44b}\u{1f3fd}",
            // A family, a judge, a heart on fire, the flags of rainbow, of pirates and of Scotland.
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}!",
            "\u{1f469}\u{1f3fe}\u{200d}\u{2696}\u{fe0f}",
            "\u{2764}\u{fe0f}\u{200d}\u{1f525}",
            "\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}",
            "\u{1f3f4}\u{200d}\u{2620}\u{fe0f}",
            "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
        ] {
            assert_eq!(text(shown), shown);
        }
        // One selector belongs, more of them carry something; and none belongs to a mere digit, or to nothing.
        assert_eq!(text("\u{2764}\u{fe0f}\u{fe0f}"), "\u{2764}\u{fe0f}\\u{fe0f}");
        assert_eq!(text("\u{fe0f}1\u{fe0f}"), "\\u{fe0f}1\\u{fe0f}");
        // A joiner joins nothing to letters, twice, or at an end; and tags are those of a flag.
        assert_eq!(text("a\u{200d}b"), "a\\u{200d}b");
        assert_eq!(text("\u{1f468}\u{200d}"), "\u{1f468}\\u{200d}");
        assert_eq!(text("\u{1f468}\u{200d}\u{200d}\u{1f469}"), "\u{1f468}\\u{200d}\\u{200d}\u{1f469}");
        assert_eq!(text("\u{1f3f4}\u{e0067}"), "\u{1f3f4}\\u{e0067}");
        assert_eq!(text("\u{1f3f4}\u{e0041}\u{e0062}\u{e0073}\u{e007f}").matches("\\u{e0").count(), 4);
        // Letters and marks that are drawn, in any script.
        for shown in [
            "\u{d55c}\u{ae00} \u{1112}\u{1161}\u{11ab}",
            "\u{915}\u{94d}\u{937}",
            "\u{6a9}\u{62a}\u{627}\u{628}",
            "\u{1820}\u{1828}",
            "\u{1780}\u{17b6}",
        ] {
            assert_eq!(text(shown), shown);
        }
    }

    #[test]
    fn no_unsafe_character_survives() {
        let mut state = 1_u32;
        for _ in 0..100_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if let Some(c) = char::from_u32(state >> 11) {
                assert!(!judged(&text(&format!("x{c}y"))).any(|(_, is_unsafe)| is_unsafe));
            }
        }
    }
}
