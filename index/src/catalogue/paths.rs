//! Paths as the catalogue stores them: exact bytes, and a folded text to search in.

use std::path::{MAIN_SEPARATOR, Path, PathBuf};
use tantivy::tokenizer::{AsciiFoldingFilter, LowerCaser, RawTokenizer, TextAnalyzer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};

/// The exact bytes of a path (on Windows: the WTF-8 of `OsStr`).
pub(crate) fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// The path whose bytes [`bytes()`] returned.
pub(crate) fn from_bytes(bytes: &[u8]) -> PathBuf {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
    }
    #[cfg(not(unix))]
    {
        PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
    }
}

/// The half-open range of bytes that contains the paths below a folder.
pub(crate) fn below(folder: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let separator = MAIN_SEPARATOR as u8;
    let mut from = folder.to_vec();
    if from.last() != Some(&separator) {
        from.push(separator);
    }
    let mut to = from.clone();
    if let Some(last) = to.last_mut() {
        *last = separator + 1;
    }
    (from, to)
}

/// A text in lower case and without accents, whether they were composed or decomposed.
pub(crate) fn fold(text: &str) -> String {
    let text: String = plain(text).collect();
    let mut analyzer =
        TextAnalyzer::builder(RawTokenizer::default()).filter(LowerCaser).filter(AsciiFoldingFilter).build();
    let mut folded = String::with_capacity(text.len());
    analyzer.token_stream(&text).process(&mut |token| folded.push_str(&token.text));
    folded
}

const UMLAUTS: [char; 6] = ['ä', 'ö', 'ü', 'Ä', 'Ö', 'Ü'];

/// The characters of a text without accents and in one form: most systems write names composed, macOS decomposed.
///
/// Marks of combining class 0, such as the vowels of Hindi or Thai, are not accents: words can differ by them alone.
/// The rest is composed again (NFC), so that a Korean syllable stays one character.
pub(crate) fn plain(text: &str) -> impl Iterator<Item = char> {
    text.nfkd().filter(|c| !is_combining_mark(*c) || canonical_combining_class(*c) == 0).nfc()
}

/// As [`plain`], but with the umlauts of German, which have another spelling ([`crate::search::umlauts`]).
pub(crate) fn plain_but_umlauts(text: &str) -> String {
    let composed: String = text.nfc().collect();
    let parts = composed.split_inclusive(UMLAUTS).map(|part| match part.chars().next_back() {
        Some(last) if UMLAUTS.contains(&last) => (part.trim_end_matches(last), Some(last)),
        _ => (part, None),
    });
    parts.flat_map(|(part, umlaut)| plain(part).chain(umlaut)).collect()
}

/// The words of a text, folded, with one space around each, so that a search for `' word '` finds whole words.
pub(crate) fn padded_words(label: &str) -> String {
    let folded = fold(label);
    let words: Vec<&str> = folded.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    format!(" {} ", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_knows_both_ways_to_write_an_accent() {
        assert_eq!(fold("Caf\u{e9} CAFE\u{301} Stra\u{df}e"), "cafe cafe strasse");
        assert_eq!(
            fold("\u{422}\u{440}\u{43e}\u{439}\u{43a}\u{430}"),
            fold("\u{422}\u{440}\u{43e}\u{438}\u{306}\u{43a}\u{430}")
        );
        assert_eq!(fold("\u{30ac}"), fold("\u{30ab}\u{3099}"), "a Japanese syllable");
        assert_eq!(fold("\u{ac01}"), fold("\u{1100}\u{1161}\u{11a8}"), "a Korean one");
        assert_ne!(fold("\u{915}\u{93e}"), fold("\u{915}\u{940}"), "two Hindi syllables");
        assert_ne!(fold("\u{e01}\u{e34}"), fold("\u{e01}\u{e35}"), "two Thai ones");
        assert_eq!(padded_words("Fox terrier, wire-haired"), " fox terrier wire haired ");
    }

    #[cfg(unix)]
    #[test]
    fn ranges_hold_what_is_below_and_nothing_beside() {
        let (from, to) = below(b"/a/b");
        let within = |p: &str| bytes(Path::new(p)) >= from.as_slice() && bytes(Path::new(p)) < to.as_slice();
        assert!(within("/a/b/c") && !within("/a/b") && !within("/a/bc") && !within("/a/b-c") && !within("/a/c"));
        let (from, _) = below(b"/");
        assert_eq!(from, b"/");
        assert_eq!(bytes(&from_bytes(b"/\xff\xfe\n")), b"/\xff\xfe\n");
    }
}
