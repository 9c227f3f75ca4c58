//! Captions: found by words, never lost, never in each other's way.

use crate::support::*;
use snapseek_index::{By, Captioned, Change, Error, Library, PendingPhoto, SearchRequest};
use std::path::Path;

fn many(count: u64) -> Vec<Change> {
    (1..=count).map(|n| photo(&format!("{n}.jpg"), n, DIM, &[])).collect()
}

fn id(library: &Library, name: &str) -> i64 {
    library.photo_at(&Path::new("/photos").join(name)).unwrap().unwrap()
}

fn found(library: &Library, query: &str) -> Vec<String> {
    let mut names = names(&find(library, query));
    names.sort();
    names
}

fn done(photo: i64, text: &str) -> Captioned {
    Captioned { photo, text: text.into(), encoding: None }
}

fn file_names(photos: &[PendingPhoto]) -> Vec<String> {
    photos.iter().map(|p| p.paths[0].file_name().unwrap().to_string_lossy().into_owned()).collect()
}

fn sql(folder: &tempfile::TempDir, statement: &str) {
    rusqlite::Connection::open(folder.path().join("catalogue.sqlite")).unwrap().execute_batch(statement).unwrap();
}

#[test]
fn captions_are_found_by_words_as_soon_as_they_are_written() {
    let changes = [
        photo("a.jpg", 1, DIM, &["cat"]),
        photo("b.jpg", 2, DIM, &["dog"]),
        photo("pyramid/c.jpg", 3, DIM, &["sand"]),
        photo("d.jpg", 4, DIM, &[]),
    ];
    for cached in [false, true] {
        let (_folder, library) = library_of(&changes, cached);
        let counts = || library.caption_counts().unwrap();
        assert_eq!((counts().photos, counts().captioned, counts().by_hand), (4, 0, 0));
        assert!(found(&library, "has:caption").is_empty());
        library.set_caption_by_hand(id(&library, "a.jpg"), "Our Caf\u{e9} with a red pyramid").unwrap();
        let text = "two small dogs on the pyramid of red sand";
        assert!(library.save_caption(id(&library, "d.jpg"), text, "print").unwrap());
        for (query, expected) in [
            ("cafe", vec!["a.jpg"]),
            ("dog", vec!["b.jpg", "d.jpg"]),
            ("pyramids", vec!["a.jpg", "c.jpg", "d.jpg"]),
            ("\"red pyramid\"", vec!["a.jpg"]),
            ("\"pyramids of red\"", vec!["d.jpg"]),
            ("pyramid -\"red pyramid\"", vec!["c.jpg", "d.jpg"]),
            ("caption:CAFE", vec!["a.jpg"]),
            ("caption:red", vec!["a.jpg", "d.jpg"]),
            ("caption:\"red pyramid\"", vec!["a.jpg"]),
            ("caption:pyra", vec![]),
            ("caption:sand", vec!["d.jpg"]),
            ("caption:cat", vec![]),
            ("-caption:red", vec!["b.jpg", "c.jpg"]),
            ("has:caption", vec!["a.jpg", "d.jpg"]),
            ("-has:caption", vec!["b.jpg", "c.jpg"]),
            ("-has:caption dog", vec!["b.jpg"]),
        ] {
            assert_eq!(found(&library, query), expected, "{query} (cached: {cached})");
        }
        let hits = find(&library, "pyramid");
        // A word in a caption counts for more than one in the name of a folder, whether or not the cache has captions.
        assert_eq!(names(&hits)[2], "c.jpg", "cached: {cached}");
        assert!(hits.iter().all(|h| h.bm25.is_some_and(|s| s > 0.0) && h.all_words), "{hits:?}");
        assert_eq!(find(&library, "cafe")[0].caption.as_deref(), Some("Our Caf\u{e9} with a red pyramid"));
        assert_eq!(find(&library, "sand pyramid").iter().filter(|h| h.all_words).count(), 2);
        assert_eq!((counts().photos, counts().captioned, counts().by_hand), (4, 2, 1));
        // Old words stop matching at once, also those in the cache.
        if cached {
            let mut writer = library.lock().unwrap();
            drop(std::fs::remove_dir_all(library.dir().join("text")));
            refresh(&mut writer);
        }
        library.set_caption_by_hand(id(&library, "a.jpg"), "a walrus").unwrap();
        assert!(library.clear_caption(id(&library, "d.jpg")).unwrap());
        assert!(!library.clear_caption(id(&library, "d.jpg")).unwrap());
        assert_eq!((found(&library, "cafe").len(), found(&library, "red").len()), (0, 0));
        assert_eq!(found(&library, "walrus"), ["a.jpg"]);
        assert_eq!(found(&library, "dog"), ["b.jpg"]);
        assert_eq!(library.status().unwrap().captions, counts());
        assert!(library.check(true).unwrap().findings.is_empty());
    }
}

#[test]
fn no_model_overwrites_what_was_written_by_hand() {
    let (_folder, library) = library_of(&many(2), false);
    let mut captioner = library.captioner("one", false).unwrap();
    let under_way = captioner.pending(2).unwrap();
    let (first, second) = (under_way[0].id, under_way[1].id);
    library.set_caption_by_hand(first, "mine").unwrap();
    assert!(!library.save_caption(first, "a dog", "two").unwrap());
    let batch = [
        Captioned { photo: first, text: "a cat".into(), encoding: Some(vec![0.5; 6]) },
        done(second, "a horse"),
        done(99, "a ghost"),
    ];
    assert_eq!(captioner.save(&batch).unwrap(), 1);
    let mine = library.caption(first).unwrap().unwrap();
    assert_eq!((mine.text.as_str(), mine.captioner), ("mine", None));
    assert!(mine.written > 1_700_000_000);
    assert_eq!(library.encoding(first, "one").unwrap(), Some(vec![0.5; 6]), "it was not seen in vain");
    let machine = library.caption(second).unwrap().unwrap();
    assert_eq!((machine.text.as_str(), machine.captioner.as_deref()), ("a horse", Some("one")));
    // A model's caption is replaced by another model's, and either by one written by hand.
    assert!(library.save_caption(second, "a mule", "two").unwrap());
    drop(captioner);
    let mut anew = library.captioner("three", true).unwrap();
    assert_eq!(anew.pending_count().unwrap(), 1);
    assert_eq!(anew.pending(9).unwrap().iter().map(|p| p.id).collect::<Vec<_>>(), [second]);
    assert_eq!(anew.save(&[done(second, "a donkey"), done(first, "a donkey")]).unwrap(), 1);
    assert_eq!((anew.pending_count().unwrap(), anew.pending(9).unwrap().len()), (0, 0));
    library.set_caption_by_hand(second, "mine too").unwrap();
    library.set_caption_by_hand(first, "still mine").unwrap();
    assert!(!library.save_caption(second, "a donkey", "three").unwrap());
    assert_eq!(library.caption(first).unwrap().unwrap().text, "still mine");
    // Once it is cleared, the photo waits for a caption again.
    assert!(library.clear_caption(first).unwrap());
    assert_eq!(library.caption(first).unwrap(), None);
    assert_eq!(anew.pending_count().unwrap(), 1);
}

#[test]
fn what_is_no_caption_is_refused_and_nothing_of_it_is_written() {
    let (_folder, library) = library_of(&many(2), false);
    let mut captioner = library.captioner("one", false).unwrap();
    let (long, longer) = ("\u{e9}".repeat(10_000), "\u{e9}".repeat(10_001));
    for text in ["", " \n", &longer] {
        assert!(matches!(library.set_caption_by_hand(1, text), Err(Error::Refused { .. })), "{text:.5}");
    }
    assert!(matches!(library.save_caption(1, &longer, "one"), Err(Error::Refused { .. })));
    let error = captioner.save(&[done(1, "fine"), done(2, &longer)]).unwrap_err().to_string();
    assert!(error.contains("photo 2") && error.contains("10001") && error.contains("10000"), "{error}");
    for bad in [vec![], vec![f32::NAN], vec![1.0, f32::INFINITY], vec![0.0; (16 << 20) + 1]] {
        assert!(matches!(library.save_encoding(1, "one", &bad), Err(Error::Refused { .. })));
        let batch = [done(1, "fine"), Captioned { photo: 2, text: "fine".into(), encoding: Some(bad) }];
        assert!(matches!(captioner.save(&batch), Err(Error::Refused { .. })));
    }
    assert_eq!(library.caption_counts().unwrap().captioned, 0);
    library.set_caption_by_hand(1, &long).unwrap();
    assert_eq!(library.caption(1).unwrap().unwrap().text, long);
    // A model may produce an empty caption; it would do so again, so the photo no longer waits.
    assert_eq!(captioner.save(&[done(2, "")]).unwrap(), 1);
    assert_eq!(captioner.pending_count().unwrap(), 0);
    assert_eq!(found(&library, "has:caption"), ["1.jpg"]);
    for error in [library.set_caption_by_hand(9, "x").unwrap_err(), library.save_caption(9, "x", "one").unwrap_err()] {
        assert!(matches!(error, Error::NoPhoto { photo: 9 }), "{error}");
    }
    library.save_encoding(9, "one", &[1.0]).unwrap();
    assert_eq!(library.encoding(9, "one").unwrap(), None);
    assert_eq!(library.caption(9).unwrap(), None);
}

#[test]
fn one_captioner_at_a_time_and_nobody_waits_for_it() {
    let (_folder, library) = library_of(&many(3), true);
    let other = library.reopen().unwrap();
    let captioner = library.captioner("one", false).unwrap();
    if !is_on_server() {
        let error = other.captioner("two", true).unwrap_err();
        assert!(matches!(error, Error::Captioning { pid: Some(pid), .. } if pid == std::process::id()));
        let message = error.to_string();
        assert!(message.contains(&library.place().display().to_string()), "{message}");
    }
    let mut writer = other.lock().unwrap();
    writer.apply(&[photo("4.jpg", 4, DIM, &[])]).unwrap();
    drop(writer);
    drop(captioner);
    // The other way round: everything can be written while another handle has the writer.
    let mut writer = other.lock().unwrap();
    let mut captioner = library.captioner("one", false).unwrap();
    let waiting = captioner.pending(2).unwrap();
    assert_eq!(captioner.save(&[done(waiting[0].id, "a giraffe")]).unwrap(), 1);
    library.set_caption_by_hand(waiting[1].id, "a zebra").unwrap();
    library.save_encoding(waiting[1].id, "one", &[1.0, 2.0]).unwrap();
    writer.apply(&[photo("5.jpg", 5, DIM, &[])]).unwrap();
    assert_eq!((found(&library, "giraffe").len(), found(&other, "zebra").len()), (1, 1));
    assert_eq!(captioner.pending_count().unwrap(), 3);
    assert_eq!(captioner.pending(9).unwrap().len(), 3, "what came meanwhile waits too");
}

#[test]
fn many_may_write_at_once() {
    let (folder, library) = library_of(&many(200), true);
    let start = std::sync::Barrier::new(4);
    let task = |work: &(dyn Fn(&Library) + Sync)| {
        let own = Library::open(&place(folder.path())).unwrap();
        start.wait();
        work(&own);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            task(&|own| {
                let mut writer = own.lock().unwrap();
                for n in 1_000..1_040 {
                    writer.apply(&[photo(&format!("{n}.jpg"), n, DIM, &[])]).unwrap();
                }
                refresh(&mut writer);
            });
        });
        scope.spawn(|| {
            task(&|own| {
                let mut captioner = own.captioner("one", false).unwrap();
                for _ in 0..40 {
                    let photos = captioner.pending(4).unwrap();
                    captioner.save(&photos.iter().map(|p| done(p.id, "a walrus")).collect::<Vec<_>>()).unwrap();
                    captioner.refresh_words(&mut |_, _, _| true).unwrap();
                }
            });
        });
        scope.spawn(|| task(&|own| (1..=40).for_each(|id| own.set_caption_by_hand(id, "by hand").unwrap())));
        scope.spawn(|| task(&|own| (0..40).for_each(|_| drop(find(own, "walrus")))));
    });
    assert_eq!(library.caption_counts().unwrap().by_hand, 40);
    assert_eq!(found(&library, "\"by hand\"").len(), 40);
    let walruses = library.caption_counts().unwrap().captioned as usize - 40;
    assert_eq!(found(&library, "walrus").len(), walruses);
    assert!((120..=160).contains(&walruses), "{walruses}");
    assert_eq!(library.status().unwrap().photos, 240);
    assert!(library.check(true).unwrap().findings.is_empty());
}

#[test]
fn the_newest_photos_come_first_and_each_comes_once() {
    let mut changes = many(6);
    let mut set = |n: usize, date: Option<&str>, seconds: i64| {
        if let Change::Photo { facts, stamp, .. } = &mut changes[n - 1] {
            facts.metadata.taken = date.map(Into::into);
            stamp.mtime_ns = seconds * 1_000_000_000;
        }
    };
    set(1, Some("2019-06-01T12:00:00"), 2_000_000_000);
    set(2, None, 1_546_300_800); // 2019-01-01
    set(3, Some("2021-01-01T00:00:00"), 0);
    set(4, None, 1_577_836_800); // 2020-01-01
    set(5, Some("2019-06-01T12:00:00"), 2_000_000_001);
    set(6, Some("2021-01-01T00:00:00"), 0);
    // A copy made later does not make the photo any newer.
    let mut copy = photo("copy of 2.jpg", 2, DIM, &[]);
    if let Change::Photo { stamp, .. } = &mut copy {
        stamp.mtime_ns = 1_900_000_000 * 1_000_000_000;
    }
    changes.push(copy);
    let (_folder, library) = library_of(&changes, false);
    let mut captioner = library.captioner("one", false).unwrap();
    assert_eq!(captioner.pending_count().unwrap(), 6);
    let first = captioner.pending(4).unwrap();
    assert_eq!(file_names(&first), ["6.jpg", "3.jpg", "4.jpg", "5.jpg"]);
    assert_eq!(first[0].picture, hash(6));
    // One photo is removed after it was queued, and one is added.
    let mut writer = library.lock().unwrap();
    writer.apply(&[Change::Remove { path: "/photos/1.jpg".into() }, photo("new.jpg", 7, DIM, &[])]).unwrap();
    drop(writer);
    let rest = captioner.pending(9).unwrap();
    assert_eq!(file_names(&rest), ["2.jpg", "new.jpg"]);
    assert_eq!(rest[0].paths, [Path::new("/photos/2.jpg"), Path::new("/photos/copy of 2.jpg")]);
    // Photos that failed are not handed out again in this run, but in the next one.
    assert!(captioner.pending(9).unwrap().is_empty());
    let batch: Vec<_> = first.iter().skip(1).chain(&rest).map(|p| done(p.id, "something")).collect();
    assert_eq!(captioner.save(&batch).unwrap(), 5);
    assert!(captioner.pending(9).unwrap().is_empty());
    assert_eq!(captioner.pending_count().unwrap(), 1);
    drop(captioner);
    let mut next = library.captioner("one", false).unwrap();
    assert_eq!(file_names(&next.pending(9).unwrap()), ["6.jpg"]);
}

#[test]
fn a_long_run_meets_every_photo_once() {
    // More photos than are queued at a time; every third one fails.
    let (_folder, library) = library_of(&many(2_300), false);
    let mut captioner = library.captioner("one", false).unwrap();
    let mut met = Vec::new();
    loop {
        let photos = captioner.pending(64).unwrap();
        if photos.is_empty() {
            break;
        }
        let batch: Vec<_> = photos.iter().filter(|p| p.id % 3 != 0).map(|p| done(p.id, "a thing")).collect();
        assert_eq!(captioner.save(&batch).unwrap(), batch.len());
        met.extend(photos.into_iter().map(|p| p.id));
    }
    assert_eq!(met, (1..=2_300).rev().collect::<Vec<i64>>());
    assert_eq!(captioner.pending_count().unwrap(), 2_300 / 3);
    assert_eq!(library.caption_counts().unwrap().captioned, 2_300 - 2_300 / 3);
}

#[test]
fn encodings_are_verified_when_they_are_read() {
    if is_on_server() {
        return; // About the files of a folder.
    }
    let (folder, library) = library_of(&many(3), false);
    let numbers: Vec<f32> = (0..32 * 768).map(|n| n as f32 * -0.37 + 1e-20).collect();
    library.save_encoding(1, "one", &[1.0]).unwrap();
    library.save_encoding(1, "one", &numbers).unwrap();
    library.save_encoding(1, "two", &[2.0]).unwrap();
    library.save_encoding(2, "one", &[3.0]).unwrap();
    let library = library.reopen().unwrap();
    assert_eq!(library.encoding(1, "one").unwrap(), Some(numbers));
    assert_eq!(library.encoding(1, "two").unwrap(), Some(vec![2.0]));
    assert_eq!(library.encoding(3, "one").unwrap(), None);
    assert!(library.check(true).unwrap().findings.is_empty());
    sql(&folder, "UPDATE encoding SET data = zeroblob(98304) WHERE photo = 1 AND captioner = 'one'");
    sql(&folder, "UPDATE encoding SET data = substr(data, 1, 3) WHERE captioner = 'two'");
    assert_eq!((library.encoding(1, "one").unwrap(), library.encoding(1, "two").unwrap()), (None, None));
    let findings = library.check(true).unwrap().findings;
    assert!(findings.len() == 2 && findings.iter().all(|f| f.what.contains("photo 1")), "{findings:?}");
    assert!(library.check(false).unwrap().findings.is_empty());
    library.repair().unwrap();
    assert!(library.check(true).unwrap().findings.is_empty());
    assert_eq!(library.encoding(2, "one").unwrap(), Some(vec![3.0]));
}

#[test]
fn a_damaged_caption_is_reported_and_spoils_no_search() {
    if is_on_server() {
        return; // About the files of a folder.
    }
    let (folder, library) = library_of(&many(2), false);
    library.set_caption_by_hand(1, "a red dog").unwrap();
    library.set_caption_by_hand(2, "a cat").unwrap();
    sql(&folder, "UPDATE caption SET text = CAST(x'6120ff20646f67' AS TEXT) WHERE photo = 1");
    assert_eq!(names(&find(&library, "dog")), ["1.jpg"]);
    assert_eq!(find(&library, "dog")[0].caption.as_deref(), Some("a \u{fffd} dog"));
    assert_eq!(found(&library, "cat"), ["2.jpg"]);
    let findings = library.check(true).unwrap().findings;
    assert!(findings.len() == 1 && findings[0].what.contains("the caption of photo 1"), "{findings:?}");
    library.set_caption_by_hand(1, "a dog").unwrap();
    assert!(library.check(true).unwrap().findings.is_empty());
}

#[test]
fn captions_go_with_the_photo_and_stay_while_it_has_a_file() {
    let (folder, library) = library_of(&many(2), true);
    for id in [1, 2] {
        library.set_caption_by_hand(id, "a walrus").unwrap();
        library.save_encoding(id, "one", &[1.0]).unwrap();
    }
    let mut writer = library.lock().unwrap();
    // Photo 1 is moved and embedded by another model; photo 2 is forgotten.
    switch(&mut writer, &model("b", 8));
    writer.apply(&[photo("moved.jpg", 1, 8, &[]), Change::Remove { path: "/photos/1.jpg".into() }]).unwrap();
    writer.forget(Path::new("/photos/2.jpg")).unwrap();
    assert_eq!(found(&library, "walrus"), ["moved.jpg"]);
    assert_eq!(library.photo_showing(&identity(2)).unwrap(), None);
    assert_eq!(library.captioner("one", true).unwrap().pending_count().unwrap(), 0);
    let counts = library.caption_counts().unwrap();
    assert_eq!((counts.photos, counts.captioned), (1, 1));
    refresh(&mut writer);
    // What was written by hand waits for its picture; what can be computed again does not.
    assert_eq!(library.caption(2).unwrap().unwrap().text, "a walrus");
    assert_eq!(library.encoding(2, "one").unwrap(), None);
    assert_eq!(library.caption(1).unwrap().unwrap().text, "a walrus");
    assert_eq!(library.encoding(1, "one").unwrap(), Some(vec![1.0]));
    let rows = |table| count(folder.path(), table);
    assert_eq!((rows("caption"), rows("encoding")), (2, 1));
}

#[test]
fn the_text_cache_is_refreshed_beside_searches_and_not_beside_a_writer() {
    if is_on_server() {
        return; // About the files of a folder.
    }
    let (folder, library) = library_of(&many(300), true);
    let mut captioner = library.captioner("one", false).unwrap();
    let other = library.reopen().unwrap();
    let old = std::fs::read(folder.path().join("text/00000001")).unwrap();
    let before = other.searcher().unwrap();
    let count = |searcher: &snapseek_index::Searcher| {
        let request = SearchRequest { words: Some("walrus".into()), ..request(By::Words) };
        searcher.search(&request).unwrap().hits.len()
    };
    assert_eq!(count(&before), 0);
    let batch: Vec<_> = (1..=300).map(|id| done(id, "a walrus")).collect();
    captioner.save(&batch[..150]).unwrap();
    let cache = |n: u32| folder.path().join(format!("text/{n:08}")).exists();
    let between = other.searcher().unwrap();
    // So few changes are not worth a rebuild.
    assert!(captioner.refresh_words(&mut |_, _, _| true).unwrap() && cache(1));
    captioner.save(&batch[150..]).unwrap();
    let writer = other.lock().unwrap();
    assert!(!captioner.refresh_words(&mut |_, _, _| true).unwrap() && cache(1));
    drop(writer);
    assert!(captioner.refresh_words(&mut |_, _, _| true).unwrap() && cache(2) && !cache(1));
    assert_eq!((count(&before), count(&between), count(&other.searcher().unwrap())), (0, 150, 300));
    // A cache from before the captions comes back: the log still contains what it lacks.
    std::fs::write(folder.path().join("text/00000002"), old).unwrap();
    assert_eq!(count(&other.searcher().unwrap()), 300);
}

#[test]
fn a_killed_captioner_leaves_whole_captions_and_no_lock() {
    const DIR: &str = "SNAPSEEK_TEST_CAPTIONER";
    if let Some(dir) = std::env::var_os(DIR) {
        // The other process: captions until it is killed.
        let library = Library::open(&place(Path::new(&dir))).unwrap();
        let mut captioner = library.captioner("one", false).unwrap();
        loop {
            let photos = captioner.pending(2).unwrap();
            let batch = photos.iter().map(|p| Captioned {
                photo: p.id,
                text: format!("number {}", p.id),
                encoding: Some(vec![p.id as f32; 5_000]),
            });
            captioner.save(&batch.collect::<Vec<_>>()).unwrap();
        }
    }
    let (folder, library) = library_of(&many(2_000), false);
    for round in 1..=3 {
        let mut other = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "captions::a_killed_captioner_leaves_whole_captions_and_no_lock"])
            .env(DIR, folder.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while library.caption_counts().unwrap().captioned < round * 20 {
            assert!(other.try_wait().unwrap().is_none(), "it ended early");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        other.kill().unwrap();
        other.wait().unwrap();
        let library = library.reopen().unwrap();
        let captioned = library.caption_counts().unwrap().captioned;
        assert_eq!(captioned % 2, 0, "half a batch");
        assert_eq!(library.captioner("one", false).unwrap().pending_count().unwrap(), 2_000 - captioned);
        for id in 2_001 - captioned as i64..=2_000 {
            assert_eq!(library.caption(id).unwrap().unwrap().text, format!("number {id}"));
            assert_eq!(library.encoding(id, "one").unwrap(), Some(vec![id as f32; 5_000]));
        }
        assert!(library.check(true).unwrap().findings.is_empty());
    }
}
