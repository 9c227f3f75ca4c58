//! What a person wrote outlives the files that it was written about.

use crate::support::*;
use snapseek_index::{
    CarriedCaption, Change, Chat, ClusterMember, FileIdentity, LabelSet, Library, Metadata, NewCluster, Turn,
    WaitingCounts, Writer, Written,
};
use std::path::{Path, PathBuf};

fn path(name: &str) -> PathBuf {
    Path::new("/photos").join(name)
}

/// A file with these bytes that shows this picture.
fn shows(name: &str, bytes: u64, picture: u64) -> Change {
    let Change::Photo { path, root, stamp, facts, embedding, tags, .. } = photo(name, picture, DIM, &[]) else {
        panic!()
    };
    let identity = FileIdentity { file: hash(bytes), ..identity(picture) };
    Change::Photo { path, root, stamp, identity, facts, embedding, tags }
}

/// The same, of a picture that the library has embedded.
fn known(name: &str, bytes: u64, picture: u64, taken: Option<&str>) -> Change {
    let identity = FileIdentity { file: hash(bytes), ..identity(picture) };
    let metadata = Metadata { taken: taken.map(Into::into), ..Metadata::default() };
    Change::Known { path: path(name), root: "/photos".into(), stamp: stamp(bytes), identity, metadata }
}

fn gone(name: &str) -> Change {
    Change::Remove { path: path(name) }
}

fn failed(name: &str) -> Change {
    let (kind, message) = ("damaged".into(), "it ends early".into());
    Change::Failed { path: path(name), root: "/photos".into(), stamp: stamp(1), kind, message, reader: 1 }
}

/// Makes these changes, and ends a run that saw everything.
fn run(library: &Library, changes: &[Change]) {
    let mut writer = library.lock().unwrap();
    writer.apply(changes).unwrap();
    writer.settle(&|at| changes.iter().any(|c| matches!(c, Change::Remove { path } if path == at))).unwrap();
    refresh(&mut writer);
    assert!(library.check(true).unwrap().findings.is_empty(), "{:?}", library.check(true));
}

fn write(library: &Library, name: &str, text: &str) {
    library.set_caption_by_hand(library.photo_at(&path(name)).unwrap().unwrap(), text).unwrap();
}

fn text(library: &Library, name: &str) -> Option<String> {
    let photo = library.photo_at(&path(name)).unwrap()?;
    library.caption(photo).unwrap().map(|caption| caption.text)
}

fn captions_waiting(library: &Library) -> u64 {
    library.waiting().unwrap().captions
}

fn with(changes: &[Change]) -> (tempfile::TempDir, Library) {
    library_of(changes, true)
}

#[test]
fn other_metadata_is_the_same_photo() {
    let (_folder, library) = with(&[shows("owl.jpg", 1, 1)]);
    let photo = library.photo_at(&path("owl.jpg")).unwrap().unwrap();
    write(&library, "owl.jpg", "Eule im Garten");
    library.save_encoding(photo, "print", &[1.0]).unwrap();
    library.save_looks(1, &[(photo, vec![7])]).unwrap();
    run(&library, &[known("owl.jpg", 2, 1, Some("2019-06-01T12:00:00"))]);
    assert_eq!(library.photo_at(&path("owl.jpg")).unwrap(), Some(photo));
    assert_eq!(text(&library, "owl.jpg").as_deref(), Some("Eule im Garten"));
    assert!(library.embedding(photo).unwrap().is_some() && library.encoding(photo, "print").unwrap().is_some());
    assert_eq!(library.looks(1, &[photo]).unwrap().len(), 1);
    let facts = &find(&library, "taken:2019")[0].facts;
    assert_eq!((facts.metadata.taken.as_deref(), facts.width), (Some("2019-06-01T12:00:00"), 640));
    // Of two files that show it, the first by path that knows a fact tells it.
    run(&library, &[known("a.jpg", 3, 1, None), known("z.jpg", 4, 1, Some("1999-01-01T00:00:00"))]);
    assert!(find(&library, "taken:1999").is_empty() && find(&library, "taken:2019").len() == 1);
    run(&library, &[gone("owl.jpg")]);
    assert_eq!(find(&library, "taken:1999").len(), 1);
    assert_eq!(library.status().unwrap().photos, 1);
}

#[test]
fn a_picture_that_returns_has_its_caption_under_any_name() {
    let (_folder, library) = with(&[shows("owl.jpg", 1, 1), shows("cat.jpg", 2, 2)]);
    write(&library, "owl.jpg", "Eule im Garten");
    run(&library, &[gone("owl.jpg")]);
    assert_eq!((captions_waiting(&library), library.status().unwrap().photos), (1, 1));
    assert!(find(&library, "eule").is_empty());
    // It is embedded still, so that its return costs no model.
    assert!(knows(&library, &identity(1)));
    run(&library, &[known("x/other.jpg", 5, 1, None)]);
    assert_eq!(text(&library, "x/other.jpg").as_deref(), Some("Eule im Garten"));
    assert_eq!((captions_waiting(&library), find(&library, "eule").len()), (0, 1));
    assert!(library.carried_captions().unwrap().is_empty());
}

#[test]
fn forgetting_and_indexing_again_keeps_captions() {
    let (_folder, library) = with(&[shows("a/owl.jpg", 1, 1), shows("cat.jpg", 2, 2)]);
    write(&library, "a/owl.jpg", "Eule im Garten");
    library.save_caption(library.photo_at(&path("cat.jpg")).unwrap().unwrap(), "a cat", "print").unwrap();
    let mut writer = library.lock().unwrap();
    writer.forget(Path::new("/photos")).unwrap();
    refresh(&mut writer);
    drop(writer);
    assert_eq!((captions_waiting(&library), library.status().unwrap().photos), (1, 0));
    run(&library, &[shows("a/owl.jpg", 1, 1), shows("cat.jpg", 2, 2)]);
    assert_eq!(text(&library, "a/owl.jpg").as_deref(), Some("Eule im Garten"));
    assert_eq!(text(&library, "cat.jpg"), None, "a model writes it again");
}

#[test]
fn a_caption_follows_an_edited_picture_and_says_so() {
    let (_folder, library) = with(&[shows("owl.jpg", 1, 1), shows("cat.jpg", 2, 2)]);
    write(&library, "owl.jpg", "Eule im Garten");
    run(&library, &[shows("owl.jpg", 3, 3)]);
    assert_eq!(text(&library, "owl.jpg").as_deref(), Some("Eule im Garten"));
    let carried = CarriedCaption { path: path("owl.jpg"), text: "Eule im Garten".into() };
    assert_eq!(library.carried_captions().unwrap(), [carried]);
    assert_eq!(find(&library, "eule").len(), 1);
    // The picture before the edit has it too, should it return.
    run(&library, &[known("before.jpg", 1, 1, None)]);
    assert_eq!(text(&library, "before.jpg").as_deref(), Some("Eule im Garten"));
    // What is written anew is no longer merely carried.
    write(&library, "owl.jpg", "Eule, beschnitten");
    assert!(library.carried_captions().unwrap().is_empty());
    // An edit that could not be read for a run.
    run(&library, &[failed("owl.jpg")]);
    run(&library, &[shows("owl.jpg", 4, 4)]);
    assert_eq!(text(&library, "owl.jpg").as_deref(), Some("Eule, beschnitten"));
}

#[test]
fn only_a_run_that_saw_everything_carries_captions_and_drops_photos() {
    let (_folder, library) = with(&[shows("owl.jpg", 1, 1), shows("cat.jpg", 2, 2)]);
    write(&library, "owl.jpg", "Eule im Garten");
    library.save_caption(2, "a cat", "print").unwrap();
    // Both are moved, and a new photo takes a name; the run is interrupted before it finds them.
    let partly = |changes: &[Change]| {
        let mut writer = library.lock().unwrap();
        writer.apply(changes).unwrap();
        writer.refresh_caches(&mut |_, _, _| true).unwrap();
        writer.compact().unwrap();
    };
    partly(&[shows("owl.jpg", 3, 3), gone("cat.jpg")]);
    assert_eq!((text(&library, "owl.jpg"), captions_waiting(&library)), (None, 1));
    partly(&[known("sorted/cat.jpg", 2, 2, None)]);
    assert_eq!(text(&library, "sorted/cat.jpg").as_deref(), Some("a cat"));
    run(&library, &[known("sorted/owl.jpg", 1, 1, None)]);
    assert_eq!((text(&library, "owl.jpg"), captions_waiting(&library)), (None, 0));
    assert_eq!(text(&library, "sorted/owl.jpg").as_deref(), Some("Eule im Garten"));
}

#[test]
fn a_caption_follows_no_photo_that_is_not_an_edit() {
    let photos = [shows("owl.jpg", 1, 1), shows("cat.jpg", 2, 2), shows("dog.jpg", 3, 3)];
    let (_folder, library) = with(&photos);
    write(&library, "owl.jpg", "Eule im Garten");
    write(&library, "cat.jpg", "Minka");
    // A photo of the library moves to the name of one that was deleted.
    run(&library, &[known("owl.jpg", 3, 3, None), gone("dog.jpg")]);
    assert_eq!(text(&library, "owl.jpg"), None);
    // A new photo gets a name that was free.
    run(&library, &[gone("cat.jpg")]);
    run(&library, &[shows("cat.jpg", 4, 4)]);
    assert_eq!((text(&library, "cat.jpg"), captions_waiting(&library)), (None, 2));
    // All of that is known in the next library too, in which the photos of these names are new.
    let records = exported(&library);
    let (_other, new) = with(&[shows("owl.jpg", 3, 3), shows("cat.jpg", 4, 4)]);
    new.lock().unwrap().import(&records).unwrap();
    run(&new, &[]);
    assert_eq!(text(&new, "cat.jpg"), None);
    assert_eq!((exported(&new), captions_waiting(&new)), (records, 2));
    // Both return.
    run(&library, &[known("x.jpg", 1, 1, None), known("y.jpg", 2, 2, None)]);
    assert_eq!(text(&library, "x.jpg").as_deref(), Some("Eule im Garten"));
    assert_eq!(text(&library, "y.jpg").as_deref(), Some("Minka"));
}

#[test]
fn a_caption_stays_with_a_picture_that_only_moved() {
    let (_folder, library) = with(&[shows("1.jpg", 1, 1), shows("2.jpg", 2, 2), shows("3.jpg", 3, 3)]);
    write(&library, "1.jpg", "one");
    write(&library, "3.jpg", "three");
    // Two files swap their names; a third one moves, and a new photo takes its name.
    run(&library, &[known("1.jpg", 2, 2, None), known("2.jpg", 1, 1, None)]);
    assert_eq!((text(&library, "1.jpg"), text(&library, "2.jpg").as_deref()), (None, Some("one")));
    run(&library, &[known("moved.jpg", 3, 3, None), shows("3.jpg", 4, 4)]);
    assert_eq!((text(&library, "3.jpg"), text(&library, "moved.jpg").as_deref()), (None, Some("three")));
    // A caption of its own is not overwritten.
    write(&library, "1.jpg", "two");
    run(&library, &[known("2.jpg", 2, 2, None)]);
    assert_eq!((text(&library, "2.jpg").as_deref(), captions_waiting(&library)), (Some("two"), 1));
}

#[test]
fn only_discarding_throws_away_what_waits() {
    let (_folder, library) = with(&[shows("owl.jpg", 1, 1)]);
    write(&library, "owl.jpg", "Eule im Garten");
    run(&library, &[gone("owl.jpg")]);
    let mut writer = library.lock().unwrap();
    writer.compact().unwrap();
    assert_eq!(captions_waiting(&library), 1);
    assert_eq!(writer.discard_waiting().unwrap(), WaitingCounts { captions: 1, names: 0 });
    assert_eq!(captions_waiting(&library), 0);
    drop(writer);
    run(&library, &[shows("owl.jpg", 1, 1)]);
    assert_eq!(text(&library, "owl.jpg"), None);
}

fn cluster(name: &str, by_hand: bool) -> NewCluster {
    let keywords = vec![name.into()];
    NewCluster { name: name.into(), by_hand, keywords, coherence: 0.9, centroid: vector(1, DIM), reach: 0.5 }
}

#[test]
fn a_name_waits_for_a_cluster_of_its_photos() {
    let (_folder, library) = with(&[shows("1.jpg", 1, 1), shows("2.jpg", 2, 2), shows("3.jpg", 3, 3)]);
    let member = |photo, at| ClusterMember { photo, cluster: Some(at), cosine: 0.8 };
    library
        .save_clusters(&[cluster("a", false), cluster("b", false)], &[member(1, 0), member(2, 0), member(3, 1)], false)
        .unwrap();
    library.rename_cluster("a", "Oma").unwrap();
    library.save_clusters(&[cluster("c", false)], &[member(1, 0), member(2, 0)], false).unwrap();
    assert_eq!(library.waiting().unwrap(), WaitingCounts { captions: 0, names: 1 });
    let names = library.given_names(true).unwrap();
    assert_eq!((names[0].name.as_str(), names[0].photos.as_slice()), ("Oma", [1, 2].as_slice()));
    run(&library, &[gone("1.jpg"), known("x.jpg", 9, 2, None)]);
    let names = library.given_names(true).unwrap();
    assert_eq!((names[0].photos.as_slice(), names[0].pictures), ([2].as_slice(), 2));
    // A name that its owner replaced is gone; one that a cluster has waits no more. Pictures that are away keep theirs.
    library.rename_cluster("c", "Oma").unwrap();
    library.rename_cluster("Oma", "Opa").unwrap();
    library.save_clusters(&[cluster("Opa", true)], &[member(2, 0), member(3, 0)], false).unwrap();
    let names = library.given_names(false).unwrap();
    // A cluster that got the name because of its pictures changes nothing about which these are.
    assert_eq!((names.len(), names[0].name.as_str(), names[0].pictures), (1, "Opa", 2));
    assert_eq!(library.waiting().unwrap().names, 0);
    run(&library, &[shows("1.jpg", 1, 1)]);
    let back = library.photo_at(&path("1.jpg")).unwrap().unwrap();
    assert!(library.given_names(false).unwrap()[0].photos.contains(&back));
}

#[test]
fn a_name_that_waits_and_is_given_again_keeps_its_pictures() {
    let (_folder, library) = with(&[shows("1.jpg", 1, 1), shows("2.jpg", 2, 2), shows("3.jpg", 3, 3)]);
    let member = |photo, at| ClusterMember { photo, cluster: Some(at), cosine: 0.8 };
    library.save_clusters(&[cluster("a", false)], &[member(1, 0), member(2, 0)], false).unwrap();
    library.rename_cluster("a", "Oma").unwrap();
    library.save_clusters(&[cluster("b", false)], &[member(3, 0)], false).unwrap();
    assert_eq!(library.waiting().unwrap().names, 1);
    library.rename_cluster("b", "oma").unwrap();
    let names = library.given_names(false).unwrap();
    assert_eq!((names.len(), names[0].pictures, names[0].photos.as_slice()), (1, 3, [1, 2, 3].as_slice()));
    // A name that returns to a cluster by itself stays with the pictures it was given to.
    library.save_clusters(&[cluster("c", false)], &[member(1, 0), member(2, 0), member(3, 0)], false).unwrap();
    let id = library.clusters().unwrap()[0].id;
    assert!(library.restore_name(id, "Oma").unwrap());
    assert_eq!((library.waiting().unwrap().names, library.clusters().unwrap()[0].by_hand), (0, true));
}

#[test]
fn an_import_gives_no_caption_to_the_wrong_photo() {
    let caption = |picture: u64, name: &str, text: &str, gone: bool, carried: bool, written: i64| Written::Caption {
        picture: hash(picture),
        paths: vec![path(name)],
        gone,
        text: text.into(),
        captioner: None,
        written,
        carried: carried.then(|| path(name)),
    };
    let (_folder, library) = with(&[shows("owl.jpg", 1, 1), shows("cat.jpg", 2, 2)]);
    let import = |records: &[Written]| library.lock().unwrap().import(records).unwrap();
    // Only a run can tell that the picture was not merely moved.
    import(&[caption(9, "owl.jpg", "Uhu", false, false, 5)]);
    assert_eq!(text(&library, "owl.jpg"), None);
    run(&library, &[shows("x.jpg", 9, 9)]);
    assert_eq!((text(&library, "owl.jpg"), text(&library, "x.jpg").as_deref()), (None, Some("Uhu")));
    // What this library knows of a path counts: nothing follows at one that was empty, and what may follow does.
    write(&library, "cat.jpg", "Minka");
    run(&library, &[gone("cat.jpg")]);
    run(&library, &[shows("cat.jpg", 7, 7)]);
    import(&[caption(8, "cat.jpg", "Tom", false, false, 5)]);
    run(&library, &[]);
    assert_eq!(text(&library, "cat.jpg"), None);
    write(&library, "x.jpg", "Schuhu");
    library.lock().unwrap().apply(&[shows("x.jpg", 10, 10)]).unwrap();
    import(&[caption(11, "x.jpg", "Tom", true, false, 5)]);
    run(&library, &[]);
    assert_eq!(text(&library, "x.jpg").as_deref(), Some("Schuhu"));
    // A caption for this very picture wins over one that was carried over to it, in either direction.
    import(&[caption(10, "x.jpg", "a new owl", false, false, 1)]);
    assert_eq!(text(&library, "x.jpg").as_deref(), Some("a new owl"));
    import(&[caption(10, "x.jpg", "carried", false, true, i64::MAX)]);
    assert_eq!(text(&library, "x.jpg").as_deref(), Some("a new owl"));
    // A picture that a file shows is nowhere else.
    assert!(exported(&library).iter().all(|record| match record {
        Written::Caption { picture, paths, .. } => *picture != hash(10) || *paths == [path("x.jpg")],
        _ => true,
    }));
}

#[test]
fn what_an_older_release_knew_by_its_bytes_becomes_known_by_its_picture() {
    let provisional = |name: &str, bytes: u64| {
        let Change::Photo { path, root, stamp, facts, embedding, tags, .. } = photo(name, bytes, DIM, &[]) else {
            panic!()
        };
        let identity = FileIdentity { version: 0, ..identity(bytes) };
        Change::Photo { path, root, stamp, identity, facts, embedding, tags }
    };
    let (_folder, library) = with(&[provisional("a.jpg", 1), provisional("b.jpg", 2), provisional("c.jpg", 3)]);
    write(&library, "a.jpg", "Eule");
    write(&library, "b.jpg", "im Garten");
    let chat = library.begin_chat(&identity(2), &path("b.jpg"), "blip2").unwrap();
    // a.jpg and b.jpg turn out to show the same picture.
    let file = |name, bytes| known(name, bytes, 100, None);
    assert!(knows(&library, &FileIdentity { file: hash(1), ..identity(100) }));
    run(&library, &[file("a.jpg", 1), file("b.jpg", 2), known("c.jpg", 3, 300, None)]);
    assert_eq!(library.status().unwrap().photos, 2);
    let both = text(&library, "a.jpg").unwrap();
    assert!(both.contains("Eule") && both.contains("im Garten"), "{both}");
    assert_eq!(text(&library, "b.jpg"), Some(both));
    let about = library.chats_about(&FileIdentity { file: hash(77), ..identity(100) }).unwrap();
    assert_eq!(about.iter().map(|chat| chat.id).collect::<Vec<_>>(), [chat]);
    // An export of that release, imported where the files are known by their pictures already, loses nothing either.
    let text_of = |bytes: u64, text: &str| Written::Caption {
        picture: hash(bytes),
        paths: Vec::new(),
        gone: false,
        text: text.into(),
        captioner: None,
        written: bytes as i64,
        carried: None,
    };
    let older = [text_of(1, "Eule"), text_of(2, "im Garten"), name_of(&[1, 2])];
    let (_other, new) = with(&[shows("a.jpg", 1, 100)]);
    run(&new, &[known("b.jpg", 2, 100, None)]);
    for _ in 0..2 {
        new.lock().unwrap().import(&older).unwrap();
        assert_eq!(text(&new, "a.jpg").as_deref(), Some("im Garten; Eule"));
        assert_eq!(new.given_names(true).unwrap()[0].photos.len(), 1);
    }
    write(&new, "a.jpg", "corrected");
    new.lock().unwrap().import(&older).unwrap();
    assert_eq!(text(&new, "a.jpg").as_deref(), Some("corrected"));
    // And imported before the files are met.
    let (_third, empty) = with(&[]);
    empty.lock().unwrap().import(&older).unwrap();
    run(&empty, &[shows("a.jpg", 1, 100), known("b.jpg", 2, 100, None)]);
    assert_eq!(text(&empty, "b.jpg").as_deref(), Some("im Garten; Eule"));
    assert_eq!(empty.given_names(true).unwrap()[0].photos.len(), 1);
    // An overwritten file is another picture all the same.
    run(&library, &[shows("c.jpg", 4, 400)]);
    assert_eq!(library.photo_showing(&identity(300)).unwrap(), None);
}

fn name_of(pictures: &[u64]) -> Written {
    Written::Name { name: "Eulen".into(), written: 1, pictures: pictures.iter().map(|n| hash(*n)).collect() }
}

/// Everything that was written, as it is exported.
fn exported(library: &Library) -> Vec<Written> {
    let mut all = Vec::new();
    library
        .written(|written| {
            all.push(written);
            Ok::<(), snapseek_index::Error>(())
        })
        .unwrap();
    all
}

#[test]
fn what_is_imported_into_a_new_library_is_exported_again() {
    let photos = [shows("owl.jpg", 1, 1), shows("cat.jpg", 2, 2), shows("dog.jpg", 3, 3), shows("gone.jpg", 4, 4)];
    let (_folder, library) = with(&photos);
    write(&library, "owl.jpg", "Eule im Garten");
    write(&library, "gone.jpg", "waits");
    library.save_caption(2, "a cat", "print").unwrap();
    let chat = library.begin_chat(&identity(1), &path("owl.jpg"), "blip2").unwrap();
    library.add_turn(chat, "What?", "An owl").unwrap();
    library
        .save_clusters(&[cluster("a", false)], &[ClusterMember { photo: 2, cluster: Some(0), cosine: 0.8 }], false)
        .unwrap();
    library.rename_cluster("a", "Minka").unwrap();
    let set = LabelSet { name: "pets".into(), labels: vec!["cat".into(), "dog".into()], ..LabelSet::default() };
    library.save_label_set(&set).unwrap();
    run(&library, &[gone("gone.jpg")]);
    // A root above the forgotten file, so that the decision is remembered.
    let mut writer = library.lock().unwrap();
    writer.add_root(Path::new("/photos")).unwrap();
    writer.forget(&path("dog.jpg")).unwrap();
    drop(writer);
    let before = exported(&library);
    assert_eq!(before.len(), 7, "{before:#?}");
    let (_other, new) = with(&photos[..3]);
    let import = |records: &[Written]| new.lock().unwrap().import(records).unwrap();
    let done = import(&before);
    assert_eq!((done.captions.added, done.chats.added, done.names.added, done.label_sets.added), (3, 1, 1, 1));
    refresh(&mut new.lock().unwrap());
    assert_eq!(exported(&new), before);
    assert_eq!((captions_waiting(&new), new.status().unwrap().photos), (1, 2));
    let again = import(&before);
    assert_eq!((again.captions.unchanged, again.captions.added, again.chats.unchanged), (3, 0, 1));
    assert_eq!(exported(&new), before);
    assert!(new.check(true).unwrap().findings.is_empty());
}

#[test]
fn imports_merge_and_the_newest_by_hand_wins() {
    let (_folder, library) = with(&[shows("owl.jpg", 1, 1)]);
    let caption = |text: &str, by_hand: bool, written: i64| Written::Caption {
        picture: hash(1),
        paths: vec![path("owl.jpg")],
        text: text.into(),
        captioner: (!by_hand).then(|| "print".into()),
        written,
        carried: None,
        gone: false,
    };
    let import = |record: Written| {
        let done = library.lock().unwrap().import(&[record]).unwrap().captions;
        (text(&library, "owl.jpg").unwrap(), done.added, done.updated)
    };
    assert_eq!(import(caption("model 1", false, 10)), ("model 1".into(), 1, 0));
    assert_eq!(import(caption("model 0", false, 9)), ("model 1".into(), 0, 0));
    assert_eq!(import(caption("hand 5", true, 5)), ("hand 5".into(), 0, 1));
    assert_eq!(import(caption("model 99", false, 99)), ("hand 5".into(), 0, 0));
    assert_eq!(import(caption("hand 4", true, 4)), ("hand 5".into(), 0, 0));
    assert_eq!(import(caption("hand 6", true, 6)), ("hand 6".into(), 0, 1));
    // All or nothing.
    let long = "x".repeat(10_001);
    let bad = [caption("hand 7", true, 7), caption(&long, true, 8)];
    assert!(library.lock().unwrap().import(&bad).is_err());
    assert_eq!(text(&library, "owl.jpg").as_deref(), Some("hand 6"));
    let turns = |n: usize| vec![Turn { question: "what?".into(), answer: "an owl".into() }; n];
    let chat = |updated, n| {
        Written::Chat(Chat {
            id: 0,
            path: path("owl.jpg"),
            picture: hash(1),
            file: hash(1),
            model: "blip2".into(),
            started: 1,
            updated,
            turns: turns(n),
        })
    };
    for (record, turns) in [(chat(5, 1), 1), (chat(7, 3), 3), (chat(6, 2), 3)] {
        library.lock().unwrap().import(&[record]).unwrap();
        let kept = library.chats().unwrap();
        assert_eq!((kept.len(), kept[0].turns.len()), (1, turns));
    }
    // Continued on two machines, or two chats of one second: both stay, and none comes twice.
    let other = |mut record| {
        let Written::Chat(chat) = &mut record else { panic!() };
        chat.turns.last_mut().unwrap().answer = "a cat".into();
        record
    };
    let records = [chat(8, 1), chat(8, 3), other(chat(6, 2)), chat(8, 4)];
    for expected in [(3, 0), (0, 0)] {
        let done = library.lock().unwrap().import(&records).unwrap().chats;
        assert_eq!((done.added, done.updated), expected);
        let mut turns: Vec<usize> = library.chats().unwrap().iter().map(|chat| chat.turns.len()).collect();
        turns.sort_unstable();
        assert_eq!(turns, [1, 2, 3, 4]);
    }
    // What cannot be written otherwise is not imported either.
    for text in ["", " "] {
        let refused = library.lock().unwrap().import(&[caption(text, true, 9)]).unwrap_err().to_string();
        assert!(refused.contains("empty"), "{refused}");
    }
    assert!(library.check(true).unwrap().findings.is_empty());
}

#[test]
fn imported_captions_wait_for_pictures_and_fall_back_on_paths() {
    let (_folder, library) = with(&[shows("owl.jpg", 1, 1)]);
    let caption = |picture: u64, name: &str, by_hand: bool| Written::Caption {
        picture: hash(picture),
        paths: vec![path(name)],
        text: format!("caption {picture}"),
        captioner: (!by_hand).then(|| "print".into()),
        written: 5,
        carried: None,
        gone: false,
    };
    let records = [caption(8, "later.jpg", false), caption(9, "owl.jpg", true)];
    library.lock().unwrap().import(&records).unwrap();
    run(&library, &[]);
    // The file at this path has another picture here: edited, or saved anew.
    assert_eq!(text(&library, "owl.jpg").as_deref(), Some("caption 9"));
    assert_eq!(library.carried_captions().unwrap().len(), 1);
    run(&library, &[shows("elsewhere.jpg", 8, 8)]);
    assert_eq!(text(&library, "elsewhere.jpg").as_deref(), Some("caption 8"));
    assert_eq!(find(&library, "wider:600").len(), 2);
}

#[test]
fn captions_carried_in_a_run_that_was_killed_are_carried_by_the_next() {
    let (folder, library) = with(&[shows("owl.jpg", 1, 1)]);
    write(&library, "owl.jpg", "Eule im Garten");
    let apply = |writer: &mut Writer<'_>| writer.apply(&[shows("owl.jpg", 3, 3)]).unwrap();
    apply(&mut library.lock().unwrap());
    drop(library);
    let library = Library::open(&place(folder.path())).unwrap();
    run(&library, &[]);
    assert_eq!(text(&library, "owl.jpg").as_deref(), Some("Eule im Garten"));
}

#[test]
fn what_waits_for_an_embedding_is_counted() {
    let (_folder, library) = with(&[shows("owl.jpg", 1, 1), shows("cat.jpg", 2, 2)]);
    assert_eq!(library.awaiting().unwrap(), 0);
    switch(&mut library.lock().unwrap(), &model("b", DIM));
    assert_eq!((library.awaiting().unwrap(), library.searcher().unwrap().awaiting().unwrap()), (2, 2));
    run(&library, &[shows("owl.jpg", 1, 1)]);
    assert_eq!((library.awaiting().unwrap(), library.status().unwrap().awaiting), (1, 1));
    assert_eq!(library.searcher().unwrap().awaiting().unwrap(), 1);
}
