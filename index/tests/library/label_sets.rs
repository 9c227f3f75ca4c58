//! Label sets: stored, used in queries, damaged.

use crate::support::*;
use snapseek_index::{Change, Classifier, Error, LabelSet, Library, SearchRequest, query};

fn at(name: &str, content: u64, vector: [f32; 2]) -> Change {
    let mut change = photo(name, content, 2, &[]);
    if let Change::Photo { embedding, .. } = &mut change {
        *embedding = vector.to_vec();
    }
    change
}

/// Photos to the east, to the north, in between, and to the west.
fn library() -> (tempfile::TempDir, Library) {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&place(folder.path())).unwrap();
    let mut writer = library.lock().unwrap();
    writer.set_model(&model("a", 2)).unwrap();
    let photos = [("e.jpg", [1.0, 0.0]), ("n.jpg", [0.0, 1.0]), ("ne.jpg", [0.6, 0.8]), ("w.jpg", [-1.0, 0.0])];
    let photos: Vec<Change> = (1..).zip(photos).map(|(n, (name, vector))| at(name, n, vector)).collect();
    writer.apply(&photos).unwrap();
    drop(writer);
    (folder, library)
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

/// Two labels, a background label, and a threshold that the photo in between does not reach.
fn winds() -> LabelSet {
    LabelSet {
        name: "Wínds".into(),
        labels: strings(&["east wind", "north"]),
        background: strings(&["west"]),
        templates: Vec::new(),
        threshold: 0.9,
    }
}

fn classifier() -> Classifier {
    Classifier { scale: 10.0, rows: vec![1.0, 0.0, 0.0, 1.0, -1.0, 0.0] }
}

fn print() -> String {
    model("a", 2).fingerprint
}

fn found(library: &Library, text: &str) -> snapseek_index::Result<Vec<String>> {
    let filters = query::parse(text).unwrap().filters;
    let request = SearchRequest { filters, limit: 99, ..SearchRequest::default() };
    Ok(names(&library.searcher()?.search(&request)?.hits))
}

#[test]
fn photos_are_found_by_the_labels_of_a_saved_set_new_ones_included() {
    let (_folder, library) = library();
    assert_eq!(library.save_label_set(&winds()).unwrap(), None);
    assert!(matches!(found(&library, "label:winds"), Err(Error::NoClassifier { .. })));
    library.save_classifier(&winds(), &print(), &classifier()).unwrap();
    assert_eq!(library.classifier(&winds(), &print(), 2).unwrap(), Some(classifier()));
    for (text, expected) in [
        ("label:WINDS", vec!["e.jpg", "n.jpg"]),
        ("-label:winds", vec!["ne.jpg", "w.jpg"]),
        ("label:winds=\"East Wind\"", vec!["e.jpg"]),
        ("-label:winds=north", vec!["e.jpg", "ne.jpg", "w.jpg"]),
        ("label:winds -label:winds=north", vec!["e.jpg"]),
        ("label:winds=north label:winds=\"east wind\"", vec![]),
        ("label:winds path:/n.", vec!["n.jpg"]),
    ] {
        assert_eq!(found(&library, text).unwrap(), expected, "{text}");
    }
    library.lock().unwrap().apply(&[at("new.jpg", 5, [0.0, 1.0])]).unwrap();
    assert_eq!(found(&library, "label:winds=north").unwrap(), ["n.jpg", "new.jpg"]);
    // The same with the caches up to date.
    refresh(&mut library.lock().unwrap());
    assert_eq!(found(&library, "label:winds=north").unwrap(), ["n.jpg", "new.jpg"]);

    let error = found(&library, "label:wind").unwrap_err();
    assert!(
        matches!(&error, Error::NoLabelSet { .. }) && error.to_string().contains("there are: \"Wínds\""),
        "{error}"
    );
    let error = found(&library, "label:winds=west").unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::NoLabel { .. }) && text.contains("there are: \"east wind\", \"north\""), "{text}");
}

#[test]
fn the_likeliest_label_wins_unless_it_is_unlikely_or_a_background() {
    let set = winds();
    let label = |vector: [f32; 2]| set.choose(&classifier().probabilities(&vector));
    assert_eq!([[1.0, 0.0], [0.0, 1.0]].map(label), [Some(0), Some(1)]);
    assert_eq!([[-1.0, 0.0], [0.6, 0.8]].map(label), [None, None]);
    assert_eq!(LabelSet { threshold: 0.8, ..winds() }.choose(&classifier().probabilities(&[0.6, 0.8])), Some(1));
    // The softmax of 6, 8 and -6.
    let probabilities = classifier().probabilities(&[0.6, 0.8]);
    assert!((probabilities[1] - 0.880_796).abs() < 1e-5 && (probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    assert_eq!(set.choose(&[]), None);
    assert_eq!(set.choose(&[f32::NAN; 3]), None);
}

#[test]
fn a_set_that_is_saved_again_is_another_one() {
    let (_folder, library) = library();
    library.save_label_set(&winds()).unwrap();
    library.save_classifier(&winds(), &print(), &classifier()).unwrap();
    let other = LabelSet { name: "WINDS".into(), labels: strings(&["north", "east"]), ..winds() };
    assert_eq!(library.save_label_set(&other).unwrap(), Some(winds()));
    assert_eq!(library.label_sets().unwrap(), std::slice::from_ref(&other));
    assert_eq!(library.label_set("winds").unwrap(), other);
    // The classifier of the set before is neither used nor stored any more.
    assert_eq!(library.classifier(&other, &print(), 2).unwrap(), None);
    library.save_classifier(&winds(), &print(), &classifier()).unwrap();
    assert_eq!(library.classifier(&other, &print(), 2).unwrap(), None);

    library.delete_label_set("wìnds").unwrap();
    assert!(matches!(library.delete_label_set("winds"), Err(Error::NoLabelSet { known, .. }) if known.is_empty()));
    assert!(library.check(true).unwrap().findings.is_empty());
}

#[test]
fn another_model_needs_another_classifier() {
    let (_folder, library) = library();
    library.save_label_set(&winds()).unwrap();
    library.save_classifier(&winds(), &print(), &classifier()).unwrap();
    switch(&mut library.lock().unwrap(), &model("b", 3));
    assert!(matches!(found(&library, "label:winds"), Err(Error::NoClassifier { .. })));
    let wide = Classifier { scale: 1.0, rows: vec![0.5; 9] };
    library.save_classifier(&winds(), &model("b", 3).fingerprint, &wide).unwrap();
    assert_eq!(found(&library, "label:winds").unwrap(), Vec::<String>::new(), "no photo was embedded by it yet");
    assert_eq!(found(&library, "-label:winds").unwrap().len(), 4);
    assert_eq!(library.classifier(&winds(), &print(), 2).unwrap(), Some(classifier()), "the first one is kept");
}

#[test]
fn lists_that_cannot_be_used_are_refused() {
    let (_folder, library) = library();
    let many = |n: usize| (0..n).map(|n| n.to_string()).collect::<Vec<_>>();
    for (set, reason) in [
        (LabelSet { labels: vec![], ..winds() }, "empty"),
        (LabelSet { labels: strings(&["a", " "]), ..winds() }, "number 2 of its labels is empty"),
        (LabelSet { labels: strings(&["café", "b", "CAFE"]), ..winds() }, "\"CAFE\" is in it twice"),
        (LabelSet { labels: strings(&["a", "West"]), ..winds() }, "twice"),
        (LabelSet { labels: strings(&["a"]), background: vec![], ..winds() }, "every photo gets it"),
        (LabelSet { labels: many(1_001), ..winds() }, "1001 labels; 1000 are allowed"),
        (LabelSet { background: many(1_001), ..winds() }, "1001 background labels"),
        (LabelSet { labels: vec!["x".repeat(201), "b".into()], ..winds() }, "201 characters"),
        (LabelSet { templates: strings(&["a photo"]), ..winds() }, "\"a photo\" must contain {}"),
        (LabelSet { threshold: f32::NAN, ..winds() }, "threshold"),
        (LabelSet { name: "a=b".into(), ..winds() }, "holds ="),
        (LabelSet { name: " ".into(), ..winds() }, "empty"),
        (LabelSet { name: "a\nb".into(), ..winds() }, "control character"),
    ] {
        let error = library.save_label_set(&set).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }) && error.to_string().contains(reason), "{reason}: {error}");
    }
    assert!(LabelSet { labels: many(1_000), background: vec![], ..winds() }.check().is_ok());
    library.save_label_set(&winds()).unwrap();
    for bad in [
        Classifier { scale: 0.0, ..classifier() },
        Classifier { scale: f32::NAN, ..classifier() },
        Classifier { rows: vec![f32::INFINITY; 6], ..classifier() },
        Classifier { rows: vec![0.5; 5], ..classifier() },
    ] {
        assert!(matches!(library.save_classifier(&winds(), &print(), &bad), Err(Error::Refused { .. })));
    }
}

#[test]
fn damage_is_found_and_never_used() {
    if is_on_server() {
        return; // About the files of a folder.
    }
    let (folder, library) = library();
    library.save_label_set(&winds()).unwrap();
    library.save_classifier(&winds(), &print(), &classifier()).unwrap();
    let db = rusqlite::Connection::open(folder.path().join("catalogue.sqlite")).unwrap();
    for data in ["zeroblob(28)", "zeroblob(3)", "zeroblob(0)"] {
        db.execute(&format!("UPDATE classifier SET data = {data}"), []).unwrap();
        assert_eq!(library.classifier(&winds(), &print(), 2).unwrap(), None);
        let findings = library.check(true).unwrap().findings;
        assert!(findings.len() == 1 && findings[0].what.contains("classifier of label set 1"), "{findings:?}");
    }
    library.repair().unwrap();
    assert!(library.check(true).unwrap().findings.is_empty());
    for labels in ["", "[1]", "{\"a\": 2}", "[\"a\""] {
        db.execute("UPDATE label_set SET labels = ?1", [labels]).unwrap();
        let error = library.label_set("winds").unwrap_err();
        assert!(matches!(&error, Error::DamagedLabelSet { .. }) && error.to_string().contains("damaged"), "{error}");
        assert!(found(&library, "label:winds").is_err());
        assert_eq!(library.check(true).unwrap().findings.len(), 1);
    }
    assert_eq!(library.label_sets().unwrap().len(), 1, "it can still be seen and deleted");
    library.save_label_set(&winds()).unwrap();
    assert_eq!(library.label_set("winds").unwrap(), winds());
}
