//! Texts as they are kept: without space around them, not longer than useful, lists without what stands twice.

use std::borrow::Cow;
use std::collections::HashSet;

/// Most characters of a name: of a camera, a keyword, a person, a place.
pub(super) const NAME: usize = 200;
/// Most characters of a title.
pub(super) const TITLE: usize = 1_000;
/// Most characters of a description.
pub(super) const DESCRIPTION: usize = 10_000;
/// Most keywords, and most people.
const MOST: usize = 1_000;

/// A text without space and zeros around it and cut to so many characters; `None` if nothing is left.
pub(super) fn kept(text: &str, most: usize) -> Option<String> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0' || c == '\u{feff}');
    (!text.is_empty()).then(|| text.chars().take(most).collect())
}

/// The text that these bytes are: UTF-8, or Latin-1 if they are none.
pub(super) fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// UTF-16 in little-endian order, as Windows writes it; what cannot be read is replaced.
pub(super) fn utf16(bytes: &[u8]) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit));
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// The names in a list, without what is too many.
pub(super) fn names<'a>(list: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    list.into_iter().filter_map(|name| kept(name, NAME)).take(MOST).collect()
}

/// A keyword whose levels another program separates by this character, as `A/B/C`.
pub(super) fn levels(keyword: &str, separator: char) -> String {
    let levels = keyword.split(separator).map(str::trim).filter(|level| !level.is_empty());
    levels.collect::<Vec<_>>().join("/")
}

/// Each once, whatever its case, in order.
pub(super) fn distinct(list: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    list.into_iter().filter(|text| seen.insert(text.to_lowercase())).take(MOST).collect()
}

/// Keywords without those that are only a level of another one, as programs write them beside it.
pub(super) fn without_levels(keywords: Vec<String>) -> Vec<String> {
    let keywords = distinct(keywords);
    let mut levels = HashSet::new();
    for keyword in keywords.iter().filter(|keyword| keyword.contains('/')) {
        let keyword = keyword.to_lowercase();
        levels.extend(keyword.split('/').map(str::to_owned));
        // `A/B` beside `A/B/C`.
        levels.extend(keyword.match_indices('/').map(|(at, _)| keyword[..at].to_owned()));
    }
    keywords.into_iter().filter(|keyword| !levels.contains(&keyword.to_lowercase())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_of_a_hierarchy_count_once() {
        let list = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let keywords = ["Zandvoort", "Places/Netherlands/Zandvoort", "places", "beach", "Beach", "Places/Netherlands"];
        assert_eq!(without_levels(list(&keywords)), ["Places/Netherlands/Zandvoort", "beach"]);
        assert_eq!(levels("Places| Netherlands |Zandvoort|", '|'), "Places/Netherlands/Zandvoort");
        assert_eq!(distinct(list(&["Ä", "ä", "B"])), ["Ä", "B"]);
    }

    #[test]
    fn texts_are_trimmed_cut_and_decoded() {
        assert_eq!(kept(" \0 a b\n\0", 9).as_deref(), Some("a b"));
        assert_eq!(kept("äöü", 2).as_deref(), Some("äö"));
        assert_eq!(kept(" \u{feff} ", 9), None);
        assert_eq!(decoded("Köln".as_bytes()), "Köln");
        assert_eq!(decoded(b"K\xF6ln"), "Köln");
        assert_eq!(utf16(b"a\0\xE4\0\0\xD8!"), "aä\u{fffd}");
        assert_eq!(names(["a", " ", "b"]), ["a", "b"]);
        assert_eq!(names(vec!["x"; 5_000]).len(), MOST);
    }
}
