//! What stands in photos: read once, found, and gone with its photo.

use crate::support::*;
use snapseek_index::{Change, Error, Library, PlacedLine, Written};
use std::path::Path;

const LINE: [[f32; 2]; 4] = [[1.0, 2.0], [30.5, 2.0], [30.5, 9.0], [1.0, 9.0]];

fn lines(text: &str) -> Vec<PlacedLine> {
    text.lines().map(|line| PlacedLine { text: line.into(), score: 0.9, quad: LINE }).collect()
}

fn id(library: &Library, name: &str) -> i64 {
    library.photo_at(&Path::new("/photos").join(name)).unwrap().unwrap()
}

fn read(library: &Library, texts: &[(&str, &str)]) {
    let mut keeper = library.text_keeper("reader 1", false).unwrap();
    let done: Vec<_> = texts.iter().map(|(name, text)| (id(library, name), lines(text), (*text).to_owned())).collect();
    keeper.save(&done).unwrap();
}

fn found(library: &Library, query: &str) -> Vec<String> {
    let mut names = names(&find(library, query));
    names.sort();
    names
}

fn three() -> (tempfile::TempDir, Library) {
    let changes = [photo("a.jpg", 1, DIM, &["cat"]), photo("b.jpg", 2, DIM, &["gate"]), photo("c.jpg", 3, DIM, &[])];
    library_of(&changes, true)
}

#[test]
fn text_is_found_by_its_words_below_what_people_wrote() {
    let (_folder, library) = three();
    assert!(found(&library, "has:text").is_empty());
    read(&library, &[("a.jpg", "Boarding Pass\nGate B22 to Caf\u{e9}"), ("b.jpg", ""), ("c.jpg", "Milk 0.89")]);
    for (query, expected) in [
        ("text:\"boarding pass\"", vec!["a.jpg"]),
        ("text:cafe", vec!["a.jpg"]),
        ("text:board", vec![]),
        ("boarding", vec!["a.jpg"]),
        ("\"gate b22\"", vec!["a.jpg"]),
        ("has:text", vec!["a.jpg", "c.jpg"]),
        ("-has:text", vec!["b.jpg"]),
        ("text:milk -text:boarding", vec!["c.jpg"]),
    ] {
        assert_eq!(found(&library, query), expected, "{query}");
    }
    // A tag says more about a photo than a word in it, and a caption by hand more than both.
    assert_eq!(names(&find(&library, "gate")), ["b.jpg", "a.jpg"]);
    library.set_caption_by_hand(id(&library, "c.jpg"), "our gate").unwrap();
    assert_eq!(names(&find(&library, "gate"))[0], "c.jpg");
    let counts = library.text_counts().unwrap();
    assert_eq!((counts.read, counts.with_text), (3, 2));
    let text = library.photo_text(id(&library, "a.jpg")).unwrap().unwrap();
    assert_eq!((text.reader.as_str(), text.lines.len(), text.lines[0].quad), ("reader 1", 2, LINE));
    assert_eq!(find(&library, "text:milk")[0].text.as_deref(), Some("Milk 0.89"));
}

#[test]
fn every_photo_is_handed_out_once_and_one_process_reads() {
    let (_folder, library) = three();
    let mut keeper = library.text_keeper("reader 1", false).unwrap();
    if !is_on_server() {
        assert!(matches!(library.text_keeper("reader 1", false), Err(Error::Reading { .. })));
    }
    library.captioner("captioner", false).unwrap();
    assert_eq!(keeper.pending_count().unwrap(), 3);
    let first = keeper.pending(2).unwrap();
    let rest = keeper.pending(9).unwrap();
    assert_eq!((first.len(), rest.len(), keeper.pending(9).unwrap().len()), (2, 1, 0));
    keeper.save(&[(first[0].id, Vec::new(), String::new()), (999, lines("gone"), "gone".into())]).unwrap();
    let long = "x".repeat(100_001);
    for (lines, text) in [(lines(&long), ""), (Vec::new(), long.as_str()), (vec![lines("a").remove(0); 2_001], "")] {
        let refused = keeper.save(&[(rest[0].id, lines, text.to_owned())]);
        assert!(matches!(refused, Err(Error::Refused { .. })));
    }
    drop(keeper);
    assert_eq!(library.text_keeper("reader 1", false).unwrap().pending_count().unwrap(), 2);
    // Another reader reads again only if it is asked to.
    assert_eq!(library.text_keeper("reader 2", false).unwrap().pending_count().unwrap(), 2);
    assert_eq!(library.text_keeper("reader 2", true).unwrap().pending_count().unwrap(), 3);
    let within = library.text_keeper("reader 1", false).unwrap().within(&["/elsewhere".into()]);
    assert_eq!(within.pending_count().unwrap(), 0);
}

#[test]
fn text_goes_with_its_photo_and_damage_is_found() {
    let (folder, library) = three();
    read(&library, &[("a.jpg", "secret"), ("b.jpg", "harmless")]);
    let photo = id(&library, "a.jpg");
    library.set_caption_by_hand(photo, "stays").unwrap();
    let mut writer = library.lock().unwrap();
    writer.forget(Path::new("/photos/a.jpg")).unwrap();
    drop(writer);
    assert!(library.photo_text(photo).unwrap().is_none(), "the caption by hand waits, the text does not");
    if is_on_server() {
        return;
    }
    let db = rusqlite::Connection::open(folder.path().join("catalogue.sqlite")).unwrap();
    db.execute("UPDATE reading SET text = 'harmful'", []).unwrap();
    drop(db);
    let findings = library.check(true).unwrap().findings;
    assert!(findings.len() == 1 && findings[0].what.contains("the text in photo"), "{findings:?}");
    library.repair().unwrap();
    assert!(library.check(true).unwrap().findings.is_empty());
    assert!(found(&library, "harmful").is_empty());
    assert_eq!(library.text_keeper("reader 1", false).unwrap().pending_count().unwrap(), 2, "it is read again");
}

#[test]
fn imported_text_waits_for_its_picture() {
    let (_folder, library) = three();
    read(&library, &[("a.jpg", "Boarding Pass"), ("b.jpg", "")]);
    let mut records = Vec::new();
    library
        .written(|record| -> snapseek_index::Result<()> {
            records.push(record);
            Ok(())
        })
        .unwrap();
    assert_eq!(records.iter().filter(|record| matches!(record, Written::Text { .. })).count(), 2);
    let folder = tempfile::tempdir().unwrap();
    let other = Library::create(&place(folder.path())).unwrap();
    let mut writer = other.lock().unwrap();
    writer.set_model(&model("a", DIM)).unwrap();
    assert_eq!(writer.import(&records).unwrap().texts.added, 2);
    assert_eq!(writer.import(&records).unwrap().texts.unchanged, 2);
    let changes: Vec<Change> = vec![photo("moved.jpg", 1, DIM, &[]), photo("c.jpg", 3, DIM, &[])];
    writer.apply(&changes).unwrap();
    drop(writer);
    assert_eq!(found(&other, "text:boarding"), ["moved.jpg"]);
    assert_eq!(other.text_keeper("reader 1", false).unwrap().pending_count().unwrap(), 1);
}

#[test]
fn choices_are_remembered() {
    let (_folder, library) = three();
    assert_eq!(library.setting("text").unwrap(), None);
    library.set_setting("text", "yes").unwrap();
    library.set_setting("text", "no").unwrap();
    library.set_setting("other", "x").unwrap();
    library.clear_setting("other").unwrap();
    assert_eq!(library.setting("other").unwrap(), None);
    assert_eq!(library.setting("text").unwrap().as_deref(), Some("no"));
}

#[test]
fn what_was_read_can_be_deleted_and_given_back() {
    let (_folder, library) = three();
    read(&library, &[("a.jpg", "Gate B22"), ("b.jpg", "")]);
    let (a, b) = (id(&library, "a.jpg"), id(&library, "b.jpg"));
    let before = library.clear_text(a).unwrap().unwrap();
    assert_eq!((before.text.as_str(), found(&library, "text:gate")), ("Gate B22", vec![]));
    assert_eq!(library.clear_text(a).unwrap(), None);
    assert_eq!(library.text_keeper("reader 1", false).unwrap().pending_count().unwrap(), 2, "it is read again");
    library.restore_text(a, &before).unwrap();
    assert_eq!(
        (library.photo_text(a).unwrap(), found(&library, "text:gate")),
        (Some(before.clone()), vec!["a.jpg".to_owned()])
    );
    assert!(library.clear_text(b).unwrap().is_some_and(|text| text.text.is_empty()));
    library.restore_text(999, &before).unwrap();
    assert!(library.check(true).unwrap().findings.is_empty());
}
