//! Own tags and ratings: found like those of files, before which they come, and never lost.

use crate::support::*;
use snapseek_index::{Change, Error, FacetField, Library, Order, SearchRequest, Written};
use std::path::Path;

fn id(library: &Library, name: &str) -> i64 {
    library.photo_at(&Path::new("/photos").join(name)).unwrap().unwrap()
}

/// Three photos; the file of the first says that it has two stars and is of a beach.
fn three() -> (tempfile::TempDir, Library) {
    let mut changes =
        [photo("a.jpg", 1, DIM, &["cat"]), photo("b.jpg", 2, DIM, &["gate"]), photo("c.jpg", 3, DIM, &[])];
    let Change::Photo { facts, .. } = &mut changes[0] else { panic!() };
    (facts.metadata.rating, facts.metadata.keywords) = (Some(2), vec!["Beach".into()]);
    library_of(&changes, true)
}

fn found(library: &Library, query: &str) -> Vec<String> {
    let mut found = names(&find(library, query));
    found.sort();
    found
}

fn tags(tags: &[&str]) -> Vec<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}

#[test]
fn tags_are_added_found_listed_renamed_and_removed() {
    let (_folder, library) = three();
    let [a, b, c] = ["a.jpg", "b.jpg", "c.jpg"].map(|name| id(&library, name));
    let change = library.change_own_tags(&[b, c, b], &tags(&["Pl\u{e1}ge", "sea"]), &[]).unwrap();
    assert_eq!((change.added, change.removed, change.before.len()), (2, 0, 2));
    assert_eq!(
        library.change_own_tags(&[a, b], &tags(&["plage"]), &[]).unwrap().added,
        1,
        "case and accents are ignored"
    );
    assert_eq!(library.own_tags_of(a).unwrap(), ["Pl\u{e1}ge"], "as it was written first");
    assert_eq!(found(&library, "keyword:plage -keyword:sea"), ["a.jpg"]);
    assert_eq!(found(&library, "keyword:beach"), ["a.jpg"], "what files say still counts");
    assert_eq!(found(&library, "has:keyword").len(), 3);
    let words = SearchRequest { words: Some("sea".into()), limit: 9, ..SearchRequest::default() };
    assert_eq!(library.searcher().unwrap().search(&words).unwrap().hits.len(), 2, "words find them, too");
    let hit = library.searcher().unwrap().photos(&[a]).unwrap().remove(0);
    assert_eq!((hit.facts.metadata.keywords, hit.own_tags), (tags(&["Pl\u{e1}ge", "Beach"]), tags(&["Pl\u{e1}ge"])));
    let counted: Vec<(String, u64)> =
        library.facets(FacetField::Keyword).unwrap().into_iter().map(|facet| (facet.value, facet.photos)).collect();
    assert_eq!(counted, [("Pl\u{e1}ge".into(), 3), ("sea".into(), 2), ("Beach".into(), 1)]);
    assert!(library.names("keyword").unwrap().contains(&"sea".to_owned()));

    let change = library.change_own_tags(&[a, b, c], &[], &tags(&["SEA", "beach"])).unwrap();
    assert_eq!((change.removed, found(&library, "keyword:sea").len()), (2, 0));
    assert_eq!(found(&library, "keyword:beach"), ["a.jpg"], "a keyword of a file stays");
    library.set_own_tags(&change.before).unwrap();
    assert_eq!(found(&library, "keyword:sea"), ["b.jpg", "c.jpg"], "it is undone");
    assert_eq!(library.rename_own_tag("Sea", "plage").unwrap(), 2);
    assert_eq!((library.own_tags_of(b).unwrap(), library.own_tags().unwrap().len()), (tags(&["plage"]), 1));
    assert_eq!(
        (library.own_tags_of(a).unwrap(), library.rename_own_tag("nothing", "x").unwrap()),
        (tags(&["plage"]), 0)
    );
    for wrong in ["", " ,", "\u{2605}", "a, b", "line\nbreak", &"x".repeat(201)] {
        assert!(matches!(library.change_own_tags(&[a], &tags(&[wrong]), &[]), Err(Error::Refused { .. })), "{wrong:?}");
    }
    assert!(library.check(true).unwrap().findings.is_empty());
}

#[test]
fn an_own_rating_counts_more_than_that_of_the_file() {
    let (_folder, library) = three();
    let [a, b, c] = ["a.jpg", "b.jpg", "c.jpg"].map(|name| id(&library, name));
    let before = library.rate(&[a, b], Some(5)).unwrap();
    assert_eq!(before.iter().map(|(_, stars)| *stars).collect::<Vec<_>>(), [None, None]);
    library.rate(&[c], Some(-1)).unwrap();
    assert_eq!((found(&library, "rating:5"), found(&library, "rating:2")), (tags(&["a.jpg", "b.jpg"]), vec![]));
    assert_eq!(found(&library, "rating:-1"), ["c.jpg"]);
    library.rate(&[b], Some(3)).unwrap();
    let searcher = library.searcher().unwrap();
    let mut order = [c, b, a];
    searcher.sort(Order::Rating, &mut order, |id| *id).unwrap();
    assert_eq!(order, [a, b, c]);
    let hit = searcher.photos(&[a]).unwrap().remove(0);
    assert_eq!((hit.facts.metadata.rating, hit.own_rating), (Some(5), Some(5)));
    let counted: Vec<String> =
        library.facets(FacetField::Rating).unwrap().into_iter().map(|facet| facet.value).collect();
    assert_eq!(counted, ["5", "3", "-1"]);
    // Without stars, whatever the file says; then what the file says; then as at first.
    library.rate(&[a], Some(0)).unwrap();
    assert_eq!((found(&library, "rating:2"), found(&library, "-has:rating")), (vec![], tags(&["a.jpg"])));
    assert!(library.rate(&[a], Some(0)).unwrap().is_empty(), "nothing has changed");
    library.rate(&[a], None).unwrap();
    assert_eq!((found(&library, "rating:2"), library.own_rating_of(a).unwrap()), (tags(&["a.jpg"]), None));
    library.set_own_ratings(&before).unwrap();
    assert_eq!(found(&library, "has:rating"), ["a.jpg", "c.jpg"]);
    assert!(matches!(library.rate(&[a], Some(6)), Err(Error::Refused { .. })));
    assert!(library.check(true).unwrap().findings.is_empty());
}

#[test]
fn they_come_back_with_their_picture_and_follow_an_edit() {
    let (_folder, library) = three();
    let [a, b] = ["a.jpg", "b.jpg"].map(|name| id(&library, name));
    library.change_own_tags(&[a, b], &tags(&["Lisbon"]), &[]).unwrap();
    library.rate(&[a, b], Some(4)).unwrap();
    let mut writer = library.lock().unwrap();
    writer.forget(Path::new("/photos/a.jpg")).unwrap();
    refresh(&mut writer);
    writer.compact().unwrap();
    assert_eq!(found(&library, "keyword:lisbon"), ["b.jpg"]);
    writer.apply(&[photo("elsewhere.jpg", 1, DIM, &[]), photo("b.jpg", 9, DIM, &[])]).unwrap();
    refresh(&mut writer);
    drop(writer);
    assert_eq!(found(&library, "keyword:lisbon rating:4"), ["b.jpg", "elsewhere.jpg"]);
    let words = SearchRequest { words: Some("lisbon".into()), limit: 9, ..SearchRequest::default() };
    assert_eq!(library.searcher().unwrap().search(&words).unwrap().hits.len(), 2);
    // The picture of before has them still, in case it returns.
    library.lock().unwrap().apply(&[photo("again.jpg", 2, DIM, &[])]).unwrap();
    assert_eq!(found(&library, "keyword:lisbon rating:4").len(), 3);
    assert!(library.check(true).unwrap().findings.is_empty());
}

#[test]
fn they_go_into_another_library_where_no_tag_is_lost_and_the_newer_rating_stays() {
    let (_folder, library) = three();
    let [a, b] = ["a.jpg", "b.jpg"].map(|name| id(&library, name));
    library.change_own_tags(&[a, b], &tags(&["Lisbon"]), &[]).unwrap();
    library.rate(&[a], Some(4)).unwrap();
    let mut records = Vec::new();
    let take = |record| {
        records.push(record);
        Ok::<(), Error>(())
    };
    library.written(take).unwrap();
    assert_eq!(records.len(), 3);
    let (_empty_folder, empty) = library_of(&[], true);
    let done = empty.lock().unwrap().import(&records).unwrap();
    assert_eq!((done.tags.added, done.ratings.added), (2, 1));
    let mut writer = empty.lock().unwrap();
    writer.apply(&[photo("a.jpg", 1, DIM, &[])]).unwrap();
    refresh(&mut writer);
    drop(writer);
    assert_eq!(found(&empty, "keyword:lisbon rating:4"), ["a.jpg"], "they were waited for");
    let other = id(&empty, "a.jpg");
    empty.change_own_tags(&[other], &tags(&["sea"]), &tags(&["lisbon"])).unwrap();
    for record in &mut records {
        if let Written::Rating { stars, written, .. } = record {
            (*stars, *written) = (1, *written - 100);
        }
    }
    let done = empty.lock().unwrap().import(&records).unwrap();
    assert_eq!((done.tags.updated, done.tags.unchanged, done.ratings.unchanged), (1, 1, 1));
    assert_eq!(
        (empty.own_tags_of(other).unwrap(), empty.own_rating_of(other).unwrap()),
        (tags(&["Lisbon", "sea"]), Some(4))
    );
    let damaged = Written::Rating { picture: [1; 32], stars: 9, written: 0 };
    assert!(empty.lock().unwrap().import(&[damaged]).is_err());
}
