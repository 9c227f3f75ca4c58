//! Which values photos have, and how many have each: what is listed is found by the filter of its field.

use crate::support::*;
use snapseek_index::query::{self, quoted};
use snapseek_index::{Change, FacetField, Filters, Library, Metadata, SearchRequest, Searcher};
use std::collections::BTreeSet;

#[test]
fn every_value_that_is_listed_is_found_as_often_by_its_filter() {
    let facts = |n: u64, metadata: Metadata| {
        let mut change =
            photo(&format!("{}/{n}.jpg", if n < 3 { "old stuff" } else { "new" }), n, DIM, &["cat", "sofa"]);
        let Change::Photo { facts, .. } = &mut change else { panic!() };
        facts.metadata = Metadata { reader: 1, ..metadata };
        change
    };
    let some = |text: &str| Some(text.to_owned());
    let photos = [
        facts(
            1,
            Metadata {
                taken: some("2019-06-01T12:00:00"),
                camera: some("Canon \"Pro\""),
                rating: Some(5),
                ..Metadata::default()
            },
        ),
        facts(
            2,
            Metadata {
                taken: some("2019-07-01"),
                camera: some("Nikon"),
                keywords: vec!["Sea side".into()],
                ..Metadata::default()
            },
        ),
        facts(
            3,
            Metadata {
                taken: some("2021-07-01T08:00:00"),
                camera: some("Nikon"),
                lens: some("50 mm f/1.8"),
                city: some("S\u{e3}o Paulo"),
                people: vec!["Anna B.".into(), "Ben".into()],
                keywords: vec!["sea side".into()],
                rating: Some(3),
                ..Metadata::default()
            },
        ),
    ];
    let (_folder, library) = library_of(&photos, true);
    let listed = |field| -> Vec<(String, u64)> {
        library.facets(field).unwrap().into_iter().map(|facet| (facet.value, facet.photos)).collect()
    };
    let pairs = |pairs: &[(&str, u64)]| -> Vec<(String, u64)> {
        pairs.iter().map(|(value, photos)| ((*value).to_owned(), *photos)).collect()
    };
    assert_eq!(listed(FacetField::Year), pairs(&[("2021", 1), ("2019", 2)]));
    assert_eq!(listed(FacetField::Month), pairs(&[("2021-07", 1), ("2019-07", 1), ("2019-06", 1)]));
    assert_eq!(listed(FacetField::Camera), pairs(&[("Nikon", 2), ("Canon \"Pro\"", 1)]));
    assert_eq!(listed(FacetField::Tag), pairs(&[("cat", 3), ("sofa", 3)]));
    assert_eq!(listed(FacetField::Rating), pairs(&[("5", 1), ("3", 1)]));
    assert_eq!(listed(FacetField::Keyword)[0].1, 2, "case is ignored");
    assert_eq!(listed(FacetField::Folder), pairs(&[("/photos/old stuff/", 2), ("/photos/new/", 1)]));
    for (field, name, filter) in FacetField::ALL {
        let facets = library.facets(field).unwrap();
        assert!(!facets.is_empty(), "{name}");
        for facet in facets {
            let query = format!("{filter}:{}", quoted(&facet.value));
            assert_eq!(find(&library, &query).len() as u64, facet.photos, "{query}");
        }
    }
}

/// How many results a query has.
fn results(searcher: &Searcher, text: &str) -> u64 {
    let parsed = query::parse(text).unwrap();
    let request = SearchRequest {
        phrases: parsed.phrases,
        filters: parsed.filters,
        stacked: true,
        limit: 1_000,
        ..SearchRequest::default()
    };
    searcher.rank(&request).unwrap().photos.len() as u64
}

/// A library whose photos have values of few, of which some are within others, and whose stacks differ in them.
fn varied(seed: u64) -> (tempfile::TempDir, Library) {
    let mut random = Random(seed);
    let mut pick = |list: &[&str]| list[random.below(list.len())].to_owned();
    let mut photos = Vec::new();
    for n in 0..24_u64 {
        let folder = pick(&["2019", "2019/sea", "2019-b", "old/2019"]);
        for (k, name) in [format!("{n}.jpg"), format!("{n}.nef"), format!("{n}-edited.jpg")].iter().enumerate() {
            // Some are in a stack of two or three.
            if k > 0 && pick(&["yes", "no"]) == "no" {
                continue;
            }
            let tags = [pick(&["castle", "castle wall", "cat"]), pick(&["sofa", "wall"])];
            let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
            let mut change = photo(&format!("{folder}/{name}"), n * 3 + k as u64 + 1, DIM, &tags);
            let Change::Photo { facts, .. } = &mut change else { panic!() };
            facts.format = if name.ends_with("nef") { "raw".into() } else { pick(&["jpeg", "png"]) };
            let some = |text: String| (!text.is_empty()).then_some(text);
            let list = |text: String| text.split(';').filter(|item| !item.is_empty()).map(str::to_owned).collect();
            facts.metadata = Metadata {
                reader: 1,
                taken: some(pick(&["", "2019", "2019-06", "2019-06-01T12:00:00", "2020-01-02", "2020-06-02"])),
                camera: some(pick(&["", "iPhone 12", "iPhone 12 Pro", "Nikon"])),
                lens: some(pick(&["", "50mm", "50mm f/1.8"])),
                city: some(pick(&["", "Lisbon", "S\u{e3}o Paulo", "Paulo"])),
                region: some(pick(&["", "Lisbon district"])),
                people: list(pick(&["", "Anna", "Anna B.;Ben", "anna"])),
                keywords: list(pick(&["", "Places/Lisbon;sea", "Lisbon", "SEA side", "Sea"])),
                rating: [None, Some(5), Some(3), Some(-1)][pick(&["", "a", "bb", "ccc"]).len()],
                ..Metadata::default()
            };
            photos.push(change);
        }
    }
    let (folder, library) = library_of(&photos, true);
    library.lock().unwrap().refresh_stacks().unwrap();
    (folder, library)
}

#[test]
fn counts_are_those_of_the_results_that_each_value_would_have() {
    for seed in [1, 2] {
        let (_folder, library) = varied(seed);
        assert!(
            results(&library.searcher().unwrap(), "is:landscape") < library.status().unwrap().photos,
            "there are stacks"
        );
        library.change_own_tags(&[1, 2, 7], &["Sea side".into(), "mine".into()], &[]).unwrap();
        library.rate(&[3, 4], Some(5)).unwrap();
        let queries = [
            "",
            "tag:wall",
            "tag:castle taken:2019",
            "camera:\"iPhone 12\" -tag:cat",
            "camera:iphone",
            "keyword:lisbon place:lisbon",
            "taken:2019-06 -camera:nikon rating:5",
            "path:/photos/2019 format:jpeg",
            "\"castle wall\" person:anna",
            "taken:1999",
        ];
        for text in queries {
            let asked = if text.is_empty() { query::Query::default() } else { query::parse(text).unwrap() };
            let searcher = library.searcher().unwrap();
            let none = Filters::default();
            let mut all = searcher.facet_counter(&none, &[]).unwrap();
            let mut counter = searcher.facet_counter(&asked.filters, &asked.phrases).unwrap();
            for (field, name, filter) in FacetField::ALL {
                let counts = counter.count(field).unwrap();
                let listed: BTreeSet<&str> = counts.values.iter().map(|facet| facet.value.as_str()).collect();
                assert_eq!(listed.len(), counts.values.len(), "{name} of {text}: twice");
                let others = query::without(text, &counts.left_out);
                let narrowed = |value: &str| format!("{others} {filter}:{}", quoted(value));
                for facet in &counts.values {
                    let narrowed = narrowed(&facet.value);
                    assert!(facet.photos > 0);
                    assert_eq!(results(&searcher, &narrowed), facet.photos, "{narrowed} ({name} of {text})");
                }
                for facet in all.count(field).unwrap().values {
                    let is_missing = !listed.contains(facet.value.as_str());
                    assert!(!is_missing || results(&searcher, &narrowed(&facet.value)) == 0, "{name}: {}", facet.value);
                }
            }
        }
    }
}

#[test]
fn a_value_that_was_chosen_leaves_the_others_of_its_field_to_be_seen() {
    let (_folder, library) = varied(3);
    let asked = query::parse("tag:castle camera:Nikon taken:2020 -camera:iphone place:portugal").unwrap();
    let searcher = library.searcher().unwrap();
    let mut counter = searcher.facet_counter(&asked.filters, &[]).unwrap();
    let mut left_out = |field| counter.count(field).unwrap().left_out;
    assert_eq!(left_out(FacetField::Camera), [1], "what is excluded stays so");
    assert_eq!(left_out(FacetField::Year), [2]);
    assert!(left_out(FacetField::Month).is_empty(), "the months of a year are seen");
    assert!(left_out(FacetField::Tag).is_empty(), "a photo has several");
    assert!(left_out(FacetField::Town).is_empty(), "towns are seen within a country");
    let unknown = query::parse("album:nowhere").unwrap();
    assert!(searcher.facet_counter(&unknown.filters, &[]).is_err());
}
