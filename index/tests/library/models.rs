//! Two models in one library.

use crate::support::*;
use snapseek_index::{By, Change, Error, FileStamp, Library, ModelRole, SearchRequest, Writer};
use std::collections::BTreeSet;
use std::path::Path;

/// A model of the same size, whose vectors only its fingerprint tells apart.
const OTHER: &str = "b";

/// Cosines by the model that answers, by file name.
fn cosines(library: &Library, of: u64) -> Vec<(String, Option<f32>)> {
    let dim = library.model().unwrap().unwrap().dim;
    let request = SearchRequest { vector: Some(vector(of, dim)), ..request(By::Meaning) };
    let hits = library.searcher().unwrap().search(&request).unwrap().hits;
    hits.iter().map(|hit| (names(std::slice::from_ref(hit)).remove(0), hit.cosine)).collect()
}

fn best(library: &Library, of: u64) -> String {
    cosines(library, of).remove(0).0
}

fn roles(library: &Library) -> Vec<(String, ModelRole, u64, u64)> {
    let models = library.models().unwrap().into_iter();
    models.map(|known| (known.record.name, known.role, known.embedded, known.awaiting)).collect()
}

/// What the model beside the current one makes of a photo: the vector of another content.
fn odd(content: u64) -> Change {
    let Change::Beside { identity, model, tags, .. } = beside(content, &model(OTHER, DIM), "odd") else { panic!() };
    Change::Beside { identity, model, embedding: vector(content + 1, DIM), tags }
}

#[test]
fn one_model_is_filled_beside_the_other_which_answers_until_then() {
    let (folder, library) = library_of(&[photo("a.jpg", 1, DIM, &["cat"]), photo("b.jpg", 2, DIM, &["cat"])], true);
    let (first, other) = (model("a", DIM), model(OTHER, DIM));
    let mut writer = library.lock().unwrap();
    assert!(writer.switch_model().unwrap().is_none(), "there is nothing to switch to");
    writer.begin_model(&other).unwrap();
    writer.begin_model(&other).unwrap();
    for asked in [model("c", DIM), first.clone()] {
        let error = writer.begin_model(&asked).unwrap_err();
        assert!(matches!(&error, Error::Filling { filling, .. } if filling == OTHER), "{error}");
    }
    assert!(matches!(writer.set_model(&model("c", DIM)), Err(Error::OtherModel { .. })));
    writer.set_model(&other).unwrap();
    assert!(matches!(writer.apply(&[beside(1, &model("c", 4), "x")]), Err(Error::NoModel)));
    let Change::Beside { identity: who, model: by, tags, .. } = odd(1) else { panic!() };
    let short = Change::Beside { identity: who, model: by, tags, embedding: vector(1, DIM - 1) };
    assert!(matches!(writer.apply(&[short]), Err(Error::Vector { .. })));

    writer.apply(&[odd(1)]).unwrap();
    refresh(&mut writer);
    assert_eq!(
        roles(&library),
        [("a".into(), ModelRole::Current, 2, 0), (OTHER.into(), ModelRole::Filling, 1, 1)],
        "what was embedded before stays through settling"
    );
    assert_eq!(library.lacking(&identity(1), &[&first, &other]).unwrap(), Vec::<usize>::new());
    assert_eq!(library.lacking(&identity(2), &[&first, &other]).unwrap(), [1]);
    assert_eq!(library.lacking(&identity(9), &[&first, &other]).unwrap(), [0, 1]);
    assert_eq!((best(&library, 1), best(&library, 2)), ("a.jpg".into(), "b.jpg".into()));
    assert_eq!((names(&find(&library, "cat")).len(), names(&find(&library, "odd")).len()), (2, 0));

    // A photo that is new meanwhile gets both.
    writer.apply(&[photo("c.jpg", 3, DIM, &["cat"]), odd(3), odd(2)]).unwrap();
    refresh(&mut writer);
    let before = library.searcher().unwrap();
    assert!(writer.refresh_next(&mut |_, _, _| true).unwrap());
    assert_eq!(writer.switch_model().unwrap().unwrap().name, "a");
    assert_eq!(roles(&library), [(OTHER.into(), ModelRole::Current, 3, 0), ("a".into(), ModelRole::Kept, 3, 0)]);
    assert_eq!((best(&library, 2), best(&library, 3)), ("a.jpg".into(), "b.jpg".into()), "its vectors are others");
    assert_eq!((names(&find(&library, "cat")).len(), names(&find(&library, "odd")).len()), (0, 3), "so are its tags");
    refresh(&mut writer);
    assert_eq!((names(&find(&library, "cat")).len(), names(&find(&library, "odd")).len()), (0, 3));
    // An older snapshot answers with the model that it was made with.
    let request = SearchRequest { vector: Some(vector(2, DIM)), ..request(By::Meaning) };
    assert_eq!(before.model().unwrap().unwrap(), first);
    assert_eq!(names(&before.search(&request).unwrap().hits)[0], "b.jpg");
    drop(before);

    // The former one can be asked for, by this handle and those made from it.
    library.answer_with(Some(&first));
    assert_eq!(library.reopen().unwrap().model().unwrap().unwrap(), first);
    assert_eq!((best(&library, 1), library.embedding(1).unwrap()), ("a.jpg".into(), Some(vector(1, DIM))));
    library.answer_with(None);
    assert_eq!(library.embedding(1).unwrap(), Some(vector(2, DIM)));
    assert!(library.check(true).unwrap().findings.is_empty());

    // Back again: its tags are there too.
    switch(&mut writer, &first);
    assert_eq!((names(&find(&library, "cat")).len(), names(&find(&library, "odd")).len()), (3, 0));
    assert!(library.check(true).unwrap().findings.is_empty());
    let error = writer.drop_model(&first).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    let folders = || std::fs::read_dir(library.dir().join("vectors")).unwrap().count();
    refresh(&mut writer);
    assert_eq!(folders(), 2);
    library.answer_with(Some(&other));
    writer.drop_model(&other).unwrap();
    // Never another one in its place.
    assert!(matches!(library.model(), Err(Error::Dropped { .. })));
    assert!(matches!(library.searcher().unwrap().search(&request), Err(Error::Dropped { .. })));
    library.answer_with(None);
    assert!(matches!(writer.drop_model(&other), Err(Error::Dropped { .. })));
    assert_eq!((roles(&library).len(), folders()), (1, 1));
    assert_eq!(best(&library, 1), "a.jpg");
    let rows = |table: &str| count(folder.path(), table);
    assert_eq!((rows("embedding"), rows("other_tag"), rows("model")), (3, 0, 1));
    assert!(library.check(true).unwrap().findings.is_empty());
}

#[test]
fn a_photo_that_the_new_model_has_not_embedded_keeps_what_the_old_one_made() {
    let (_folder, library) = library_of(&[photo("a.jpg", 1, DIM, &["cat"]), photo("b.jpg", 2, DIM, &["cat"])], true);
    let mut writer = library.lock().unwrap();
    writer.begin_model(&model(OTHER, DIM)).unwrap();
    writer.apply(&[odd(1)]).unwrap();
    writer.switch_model().unwrap();
    refresh(&mut writer);
    assert_eq!((library.awaiting().unwrap(), names(&find(&library, "cat"))), (1, vec!["b.jpg".to_owned()]));
    assert_eq!(cosines(&library, 2).len(), 1);
    library.answer_with(Some(&model("a", DIM)));
    assert_eq!((library.awaiting().unwrap(), cosines(&library, 2).len()), (0, 2));
    library.answer_with(None);
    // It comes later, and is then the current one's alone.
    writer.apply(&[photo("b.jpg", 2, DIM, &["odd"])]).unwrap();
    assert_eq!((library.awaiting().unwrap(), names(&find(&library, "odd")).len()), (0, 2));
    switch(&mut writer, &model("a", DIM));
    assert_eq!((names(&find(&library, "cat")).len(), names(&find(&library, "odd")).len()), (2, 0));
    assert!(library.check(true).unwrap().findings.is_empty());
}

/// Files whose current model cannot be opened are still known, and embedded by the other one.
#[test]
fn a_photo_can_be_known_to_the_new_model_alone() {
    let (_folder, library) = library_of(&[photo("a.jpg", 1, DIM, &["cat"])], true);
    let mut writer = library.lock().unwrap();
    writer.begin_model(&model(OTHER, DIM)).unwrap();
    let Change::Photo { path, root, stamp, identity: new, facts, .. } = photo("n.jpg", 5, DIM, &[]) else { panic!() };
    writer.apply(&[Change::Unembedded { path, root, stamp, identity: new, facts }, odd(5), odd(1), odd(77)]).unwrap();
    assert_eq!((library.awaiting().unwrap(), library.status().unwrap().photos), (1, 2));
    writer.switch_model().unwrap();
    assert_eq!((library.awaiting().unwrap(), best(&library, 6)), (0, "n.jpg".into()));
    assert!(library.check(true).unwrap().findings.is_empty());
}

/// An interrupted reindex of an older release: the current model lacks photos that a former one has embedded.
#[test]
fn what_an_older_release_left_is_finished_as_before() {
    if is_on_server() {
        return; // About the files of a folder.
    }
    let (folder, library) = library_of(&[photo("a.jpg", 1, DIM, &["cat"]), photo("b.jpg", 2, DIM, &["cat"])], true);
    drop(library);
    let db = rusqlite::Connection::open(folder.path().join("catalogue.sqlite")).unwrap();
    db.execute_batch(
        "UPDATE model SET current = 0, seal = NULL;
         INSERT INTO model (name, fingerprint, dim, current) VALUES ('b', 'fingerprint of b', 16, 1);
         DROP INDEX tag_folded; DROP INDEX photo_camera; DROP INDEX photo_place; DROP INDEX named_folded; DROP TABLE saved_search; DROP TABLE own_tag; DROP TABLE own_rating; DROP TABLE album_picture; DROP TABLE album; DROP TABLE reading; DROP TABLE setting; DROP TABLE other_tag; DROP INDEX change_of_vectors; ALTER TABLE change DROP COLUMN model;
         PRAGMA user_version = 12;",
    )
    .unwrap();
    let known = ["id", "name", "fingerprint", "dim", "current", "neutral_count", "neutral_mean", "neutral_std", "seal"];
    let columns = "SELECT group_concat(name, ' ') FROM pragma_table_info('model')";
    let columns: String = db.query_row(columns, [], |row| row.get(0)).unwrap();
    for newer in columns.split(' ').filter(|column| !known.contains(column)) {
        db.execute_batch(&format!("ALTER TABLE model DROP COLUMN {newer}")).unwrap();
    }
    drop(db);
    let library = Library::open(&place(folder.path())).unwrap();
    assert_eq!(roles(&library), [(OTHER.into(), ModelRole::Current, 0, 2)]);
    let mut writer = library.lock().unwrap();
    let current = |n: u64| photo(&format!("{n}.jpg"), n, DIM, &["dog"]);
    writer.apply(&[current(1)]).unwrap();
    refresh(&mut writer);
    let rows = || count(folder.path(), "embedding");
    // What the former model made stays until the current one has embedded everything.
    assert_eq!(rows(), 2);
    writer.apply(&[current(2)]).unwrap();
    refresh(&mut writer);
    assert_eq!((rows(), library.awaiting().unwrap()), (2, 0));
    // If it is, it begins anew, because its tags are lost.
    writer.begin_model(&model("a", DIM)).unwrap();
    assert_eq!(library.lacking(&identity(2), &[&model("a", DIM)]).unwrap(), [0]);
    writer.drop_model(&model("a", DIM)).unwrap();
    assert!(library.check(true).unwrap().findings.is_empty());
}

/// Filling one model makes the cache of the other no older.
#[test]
fn each_model_has_a_cache_that_the_other_leaves_alone() {
    let many: Vec<Change> = (1..=500).map(|n| photo(&format!("{n}.jpg"), n, DIM, &["cat"])).collect();
    let (_folder, library) = library_of(&many, true);
    let caches = || -> BTreeSet<_> {
        let models = std::fs::read_dir(library.dir().join("vectors")).unwrap();
        models.flat_map(|e| std::fs::read_dir(e.unwrap().path()).unwrap().map(|e| e.unwrap().path())).collect()
    };
    let first = caches();
    let mut writer = library.lock().unwrap();
    writer.begin_model(&model(OTHER, DIM)).unwrap();
    writer.apply(&(1..=500).map(odd).collect::<Vec<_>>()).unwrap();
    refresh(&mut writer);
    assert_eq!(caches(), first, "neither made anew, nor made before it is needed");
    writer.refresh_next(&mut |_, _, _| true).unwrap();
    writer.switch_model().unwrap();
    assert_eq!(caches().len(), 2);
    let with_caches = cosines(&library, 8);
    // What changes is overlaid on both.
    let change = |writer: &mut Writer<'_>, n: u64| {
        let Change::Photo { path, root, identity, facts, embedding, tags, .. } = photo("new.jpg", n, DIM, &[]) else {
            panic!()
        };
        let stamp = FileStamp { size: n, mtime_ns: 2 };
        writer.apply(&[Change::Photo { path, root, stamp, identity, facts, embedding, tags }]).unwrap();
        let Change::Beside { identity, tags, .. } = odd(n) else { panic!() };
        let made = Change::Beside { identity, tags, model: model("a", DIM), embedding: vector(n, DIM) };
        writer.apply(&[made, Change::Remove { path: format!("/photos/{}.jpg", n - 1_000).into() }]).unwrap();
    };
    change(&mut writer, 1_001);
    change(&mut writer, 1_002);
    for answers in [model("a", DIM), model(OTHER, DIM)] {
        library.answer_with(Some(&answers));
        let overlaid = cosines(&library, 8);
        assert_ne!(overlaid, with_caches);
        let moved = library.dir().join("moved");
        std::fs::rename(library.dir().join("vectors"), &moved).unwrap();
        assert_eq!(cosines(&library, 8), overlaid, "{answers:?}");
        std::fs::rename(&moved, library.dir().join("vectors")).unwrap();
    }
    // A cache of one model in the place of the other's is not believed.
    let [one, two] = caches().into_iter().collect::<Vec<_>>().try_into().unwrap();
    let expected = cosines(&library, 8);
    std::fs::copy(&one, &two).unwrap();
    assert_eq!(cosines(&library, 8), expected);
    library.answer_with(Some(&model("a", DIM)));
    let expected = cosines(&library, 8);
    assert_eq!(best(&library, 8), "8.jpg");
    assert!(Path::new(&one).exists());
    std::fs::remove_dir_all(library.dir().join("vectors")).unwrap();
    assert_eq!(cosines(&library, 8), expected);
    library.answer_with(None);
    refresh(&mut writer);
    assert_eq!(caches().len(), 2);
    assert!(library.check(true).unwrap().findings.is_empty());
}

/// A cache of a release that knew one model is used until there is a newer one.
#[test]
fn the_cache_of_an_older_release_is_still_used() {
    let many: Vec<Change> = (1..=300).map(|n| photo(&format!("{n}.jpg"), n, DIM, &["cat"])).collect();
    let (folder, library) = library_of(&many, true);
    let vectors = library.dir().join("vectors");
    let own = std::fs::read_dir(&vectors).unwrap().next().unwrap().unwrap().path();
    std::fs::rename(own.join("00000001"), vectors.join("00000001")).unwrap();
    std::fs::remove_dir(&own).unwrap();
    let mut writer = library.lock().unwrap();
    refresh(&mut writer);
    assert!(vectors.join("00000001").exists() && !own.exists(), "there is no need for another one");
    if is_on_server() {
        return;
    }
    // Only the old cache still says so.
    let db = rusqlite::Connection::open(folder.path().join("catalogue.sqlite")).unwrap();
    db.execute("UPDATE embedding SET vector = zeroblob(64)", []).unwrap();
    assert_eq!(best(&library, 7), "7.jpg");
    writer.apply(&(1..=300).map(|n| photo(&format!("{n}.jpg"), n + 1_000, DIM, &[])).collect::<Vec<_>>()).unwrap();
    refresh(&mut writer);
    assert!(!vectors.join("00000001").exists() && own.exists());
    assert_eq!(best(&library, 1_007), "7.jpg");
}
