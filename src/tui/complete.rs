//! Completion of the query language: names of fields, and values that the library knows.

use super::state::Completion;
use snapseek_index::query::{COLORS, FILTERS, quoted};
use snapseek_index::{Facet, FacetField, Fact, LabelSet, Shape};
use std::collections::HashMap;

/// Most completions that are offered.
const MOST: usize = 8;

/// Where the word before the cursor begins, in characters, and the word without a sign; `None` if there is none.
fn word_at(text: &str, cursor: usize) -> Option<(usize, String)> {
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
    (!word.is_empty()).then_some((start, word))
}

/// The word before the cursor (a position in characters).
#[must_use]
pub fn word_before(text: &str, cursor: usize) -> Option<String> {
    word_at(text, cursor).map(|(_, word)| word)
}

/// The beginning of a file's name that is typed after `@` before the cursor, and where the word begins, in characters.
#[must_use]
pub fn file_before(text: &str, cursor: usize) -> Option<(usize, String)> {
    let (start, word) = word_at(text, cursor)?;
    let name = word.strip_prefix('@')?;
    let name = name.strip_prefix('"').unwrap_or(name);
    // A quote at the end has closed it.
    (!name.is_empty() && !name.contains('"')).then(|| (start, name.to_owned()))
}

/// Completions of such a name: these files, and folders, which end in a slash and go on.
#[must_use]
pub fn files(start: usize, names: &[String]) -> Option<Completion> {
    let clean = |name: &&String| !crate::terminal::sanitize::judged(name).any(|(_, is_unsafe)| is_unsafe);
    let item = |name: &String| match quoted(name) {
        // What follows is inside the quotes, too.
        whole if name.ends_with('/') => format!("@{}", whole.strip_suffix('"').unwrap_or(&whole)),
        whole => format!("@{whole}"),
    };
    let items: Vec<String> = names.iter().filter(clean).take(MOST).map(item).collect();
    let counts = vec![None; items.len()];
    (!items.is_empty()).then_some(Completion { start, items, counts, at: 0 })
}

/// The fields whose values complete this word.
pub fn fields_of(word: &str) -> impl Iterator<Item = FacetField> {
    let filter = word.split_once(':').map(|(filter, _)| filter.to_lowercase());
    FacetField::ALL.into_iter().filter(move |(_, _, known)| filter.as_deref() == Some(*known)).map(|(field, ..)| field)
}

/// Completions of the word before the cursor (a position in characters); `None` if there are none.
#[must_use]
pub fn complete<'a>(
    text: &str,
    cursor: usize,
    clusters: impl Iterator<Item = &'a str>,
    albums: impl Iterator<Item = &'a str>,
    sets: impl Iterator<Item = &'a LabelSet>,
    facets: &HashMap<FacetField, Option<Vec<Facet>>>,
) -> Option<Completion> {
    let (start, word) = word_at(text, cursor)?;
    let folded = word.to_lowercase();
    let fits = |item: &String| {
        let (item, typed) = (item.to_lowercase().replace('"', ""), folded.replace('"', ""));
        item.starts_with(&typed) && item != typed
    };
    let clean = |value: &str| !crate::terminal::sanitize::judged(value).any(|(_, is_unsafe)| is_unsafe);
    let candidates: Vec<String> = if folded.starts_with("cluster:") {
        clusters.chain(["none"]).filter(|name| clean(name)).map(|name| format!("cluster:{}", quoted(name))).collect()
    } else if folded.starts_with("album:") {
        albums.filter(|name| clean(name)).map(|name| format!("album:{}", quoted(name))).collect()
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
    } else if fields_of(&folded).next().is_some() {
        let values = fields_of(&folded).filter_map(|field| Some((field, facets.get(&field)?.as_deref()?)));
        let values = values.flat_map(|(field, values)| values.iter().map(move |facet| (field, facet)));
        let filter =
            |field| FacetField::ALL.iter().find(|(known, ..)| *known == field).map_or("", |(_, _, name)| *name);
        let values = values.filter(|(_, facet)| clean(&facet.value));
        values.map(|(field, facet)| format!("{}:{}", filter(field), quoted(&facet.value))).collect()
    } else {
        FILTERS.iter().map(|(name, _)| format!("{name}:")).collect()
    };
    let items: Vec<String> = candidates.into_iter().filter(fits).take(MOST).collect();
    let counts = items.iter().map(|item| photos_of(item, facets)).collect();
    (!items.is_empty()).then_some(Completion { start, items, counts, at: 0 })
}

/// How many photos have the value that a completed word asks for, if it is known.
fn photos_of(item: &str, facets: &HashMap<FacetField, Option<Vec<Facet>>>) -> Option<u64> {
    let (_, value) = item.split_once(':')?;
    let values = fields_of(item).filter_map(|field| facets.get(&field)?.as_deref()).flatten();
    values.into_iter().find(|facet| quoted(&facet.value) == value).map(|facet| facet.photos)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn items(text: &str) -> Vec<String> {
        let sets =
            [LabelSet { name: "pets".into(), labels: vec!["dog".into(), "guinea pig".into()], ..LabelSet::default() }];
        let facet = |value: &str, photos| Facet { value: value.into(), photos };
        let cameras = vec![facet("Canon EOS 80D", 40), facet("Casio", 2), facet("x\u{1b}", 1)];
        let facets = HashMap::from([(FacetField::Camera, Some(cameras)), (FacetField::Tag, None)]);
        let found = complete(
            text,
            text.chars().count(),
            ["bird, hen", "x\u{1b}", "our \"house\""].into_iter(),
            ["Lisbon"].into_iter(),
            sets.iter(),
            &facets,
        );
        found.map(|found| found.items).unwrap_or_default()
    }

    #[test]
    fn files_are_completed_after_an_at_sign() {
        let before = |text: &str| file_before(text, text.chars().count());
        assert_eq!(before("a dog - @ho"), Some((8, "ho".into())));
        assert_eq!(before("@\"my holi"), Some((0, "my holi".into())));
        assert!(before("@").is_none() && before("dog").is_none() && before("@\"a b\"").is_none());
        let names = ["my dog.jpg", "my folder/", "photos/", "x\u{1b}.jpg"].map(str::to_owned);
        assert_eq!(files(3, &names).unwrap().items, ["@\"my dog.jpg\"", "@\"my folder/", "@photos/"]);
        assert!(files(0, &names[3..]).is_none());
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
        assert_eq!(items("camera:c"), ["camera:\"Canon EOS 80D\"", "camera:Casio"], "the most frequent first");
        assert_eq!(items("camera:\"canon e"), ["camera:\"Canon EOS 80D\""]);
        assert!(items("camera:x").is_empty() && items("tag:c").is_empty(), "no escape sequences; not counted yet");
        assert_eq!(fields_of("-taken:20").count() + fields_of("taken:20").count(), 2);
        assert_eq!(items("album:l"), ["album:Lisbon"]);
        assert_eq!(items("label:pets=g"), ["label:pets=\"guinea pig\""]);
        assert!(items("cluster:x").is_empty(), "no escape sequences");
        assert!(items("").is_empty() && items("dog ").is_empty() && items("tag:").is_empty());
    }
}
