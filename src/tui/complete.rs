//! Completion of the query language: names of fields, and values that the library knows.

use super::state::Completion;
use snapseek_index::query::{COLORS, FILTERS, quoted};
use snapseek_index::{Fact, LabelSet, Shape};

/// Most completions that are offered.
const MOST: usize = 8;

/// Completions of the word before the cursor (a position in characters); `None` if there are none.
#[must_use]
pub fn complete<'a>(
    text: &str,
    cursor: usize,
    clusters: impl Iterator<Item = &'a str>,
    sets: impl Iterator<Item = &'a LabelSet>,
) -> Option<Completion> {
    let before: Vec<char> = text.chars().take(cursor).collect();
    // Within quotes, spaces belong to the word.
    let (mut start, mut is_quoted) = (0, false);
    for (at, c) in before.iter().enumerate() {
        match c {
            '"' => is_quoted = !is_quoted,
            ' ' if !is_quoted => start = at + 1,
            _ => {}
        }
    }
    if before.get(start) == Some(&'-') {
        start += 1;
    }
    let word: String = before.get(start..)?.iter().collect();
    if word.is_empty() {
        return None;
    }
    let folded = word.to_lowercase();
    let fits = |item: &String| {
        let (item, typed) = (item.to_lowercase().replace('"', ""), folded.replace('"', ""));
        item.starts_with(&typed) && item != typed
    };
    let clean = |value: &str| !crate::terminal::sanitize::judged(value).any(|(_, is_unsafe)| is_unsafe);
    let candidates: Vec<String> = if folded.starts_with("cluster:") {
        clusters.chain(["none"]).filter(|name| clean(name)).map(|name| format!("cluster:{}", quoted(name))).collect()
    } else if folded.starts_with("label:") {
        sets.filter(|set| clean(&set.name))
            .flat_map(|set| {
                let name = quoted(&set.name);
                let labels = set.labels.iter().filter(|label| clean(label));
                std::iter::once(format!("label:{name}"))
                    .chain(labels.map(|label| format!("label:{name}={}", quoted(label))).collect::<Vec<_>>())
            })
            .collect()
    } else if folded.starts_with("has:") {
        Fact::ALL.iter().map(|(name, _)| format!("has:{name}")).collect()
    } else if folded.starts_with("is:") {
        Shape::ALL.iter().map(|(name, _)| format!("is:{name}")).collect()
    } else if folded.starts_with("color:") {
        COLORS.iter().map(|name| format!("color:{name}")).collect()
    } else {
        FILTERS.iter().map(|(name, _)| format!("{name}:")).collect()
    };
    let items: Vec<String> = candidates.into_iter().filter(fits).take(MOST).collect();
    (!items.is_empty()).then_some(Completion { start, items, at: 0 })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn items(text: &str) -> Vec<String> {
        let sets =
            [LabelSet { name: "pets".into(), labels: vec!["dog".into(), "guinea pig".into()], ..LabelSet::default() }];
        let found =
            complete(text, text.chars().count(), ["bird, hen", "x\u{1b}", "our \"house\""].into_iter(), sets.iter());
        found.map(|found| found.items).unwrap_or_default()
    }

    #[test]
    fn fields_and_their_values_are_offered() {
        assert_eq!(items("a dog ta"), ["taken:", "taller:", "tag:"]);
        assert_eq!(items("is:p"), ["is:portrait", "is:panorama"]);
        assert_eq!(items("has:pl"), ["has:place"]);
        assert_eq!(items("dog -ca"), ["camera:", "caption:"]);
        assert_eq!(items("cluster:b"), ["cluster:\"bird, hen\""]);
        assert_eq!(items("cluster:\"bird, h"), ["cluster:\"bird, hen\""]);
        assert_eq!(items("cluster:our"), ["cluster:\"our \"\"house\"\"\""]);
        assert_eq!(items("label:pets=g"), ["label:pets=\"guinea pig\""]);
        assert!(items("cluster:x").is_empty(), "no escape sequences");
        assert!(items("").is_empty() && items("dog ").is_empty() && items("tag:").is_empty());
    }
}
