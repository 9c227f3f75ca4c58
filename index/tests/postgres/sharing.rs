//! Machines that share a library: what each does is there once, whatever becomes of the others.

use crate::support::*;
use snapseek_index::{Captioned, Error, FileStamp, Library, OfferOutcome, OfferedFile};
use std::collections::HashSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs a statement in the schema of the library in this folder.
pub(crate) fn sql(folder: &Path, statement: &str) {
    client().batch_execute(&format!("SET search_path = {}, pg_catalog; {statement}", schema(folder))).unwrap();
}

fn done(photo: i64) -> Captioned {
    Captioned { photo, text: format!("photo {photo}"), encoding: None }
}

pub(crate) fn many(photos: u64) -> Vec<snapseek_index::Change> {
    (1..=photos).map(|n| photo(&format!("{n}.jpg"), n, DIM, &["thing"])).collect()
}

#[test]
fn machines_get_different_photos_until_all_are_done() {
    let (folder, library) = library_of(&many(40), false);
    let other = Library::open(&place(folder.path())).unwrap();
    let mut first = library.captioner("one", false).unwrap();
    let mut second = other.captioner("one", false).unwrap();
    let mut seen = HashSet::new();
    for _ in 0..4 {
        for captioner in [&mut first, &mut second] {
            let photos = captioner.pending(5).unwrap();
            assert_eq!(photos.len(), 5);
            assert!(photos.iter().all(|photo| seen.insert(photo.id)), "handed out twice");
            captioner.save(&photos.iter().map(|photo| done(photo.id)).collect::<Vec<_>>()).unwrap();
        }
    }
    assert_eq!((first.pending(1).unwrap().len(), second.pending(1).unwrap().len()), (0, 0));
    assert_eq!((count(folder.path(), "caption"), count(folder.path(), "lease")), (40, 0));
}

#[test]
fn what_is_not_done_is_given_back_and_what_ends_processes_is_not() {
    let (folder, library) = library_of(&many(2), false);
    let mut captioner = library.captioner("one", false).unwrap();
    assert_eq!(captioner.pending(9).unwrap().len(), 2);
    drop(captioner);
    // Given back at the end; nobody struck.
    let mut captioner = library.captioner("one", false).unwrap();
    let photos = captioner.pending(9).unwrap();
    assert_eq!(photos.len(), 2);
    captioner.save(&[done(photos[0].id)]).unwrap();
    let run_out = || sql(folder.path(), "UPDATE lease SET until = 0");
    for left in [1, 0, 0] {
        // As if the holder had been killed.
        run_out();
        let mut next = library.captioner("one", false).unwrap();
        assert_eq!(next.pending(9).unwrap().len(), left);
        std::mem::forget(next);
    }
    let path = library.searcher().unwrap().paths(&[photos[1].id]).unwrap().remove(0).unwrap();
    assert_eq!(library.left_out().unwrap(), [("caption".to_owned(), path)]);
    library.pardon_left_out().unwrap();
    let mut again = library.captioner("one", false).unwrap();
    assert_eq!((again.pending(9).unwrap().len(), library.left_out().unwrap().len()), (1, 0));
    drop(again);
    // The first one comes late, and nothing is lost.
    captioner.save(&[done(photos[1].id)]).unwrap();
    assert_eq!(count(folder.path(), "caption"), 2);
}

/// A process that runs a test of this file.
pub(crate) fn process(test: &str, variable: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(variable, folder).stdout(Stdio::null());
    command
}

fn spawn(test: &str, variable: &str, folder: &Path) -> Child {
    process(test, variable, folder).spawn().unwrap()
}

/// Lets the server end all connections of these processes.
fn drop_connections(folder: &Path, processes: &[&Child]) {
    let names: Vec<String> = processes.iter().map(|process| format!("'snapseek {}'", process.id())).collect();
    let drop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name IN";
    sql(folder, &format!("{drop} ({})", names.join(", ")));
}

/// Run by the test below in processes of their own: captions until there is nothing left.
#[test]
fn caption_in_another_process() {
    let Some(folder) = std::env::var_os("SNAPSEEK_TEST_SHARED") else { return };
    let started = Instant::now();
    let library = loop {
        match Library::open(&place(Path::new(&folder))) {
            Ok(library) => break library,
            // Only a server that has answered once is waited for, and this one may have been killed.
            Err(error) => assert!(started.elapsed() < Duration::from_secs(60), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let mut captioner = library.captioner("one", false).unwrap();
    loop {
        let photos = captioner.pending(3).unwrap();
        if photos.is_empty() {
            return;
        }
        for photo in photos {
            std::thread::sleep(Duration::from_millis(2));
            captioner.save(&[done(photo.id)]).unwrap();
        }
    }
}

#[test]
fn killed_processes_and_lost_connections_lose_and_double_nothing() {
    const PHOTOS: u64 = 300;
    let (folder, library) = library_of(&many(PHOTOS), false);
    let spawn = || spawn("sharing::caption_in_another_process", "SNAPSEEK_TEST_SHARED", folder.path());
    let mut random = Random(7);
    let mut workers: Vec<_> = (0..4).map(|_| spawn()).collect();
    for round in 0..50 {
        std::thread::sleep(Duration::from_millis(20 + random.next() % 60));
        if round % 2 == 0 {
            let at = random.below(workers.len());
            workers[at].kill().unwrap();
            workers[at].wait().unwrap();
            workers[at] = spawn();
        } else {
            // The server drops everybody, in the middle of whatever they do.
            drop_connections(folder.path(), &workers.iter().collect::<Vec<_>>());
        }
        // Their leases run out, and what they had is nobody's fault here.
        sql(folder.path(), "UPDATE lease SET strikes = 0");
        if round % 5 == 0 {
            sql(folder.path(), "UPDATE lease SET until = 0");
        }
    }
    for worker in &mut workers {
        worker.wait().unwrap();
    }
    sql(folder.path(), "UPDATE lease SET until = 0");
    assert!(spawn().wait().unwrap().success());
    assert_eq!(count(folder.path(), "caption"), PHOTOS as i64);
    assert!(library.check(true).unwrap().findings.is_empty());
    for id in 1..=PHOTOS as i64 {
        assert_eq!(library.caption(id).unwrap().unwrap().text, format!("photo {id}"));
    }
    assert_eq!(find(&library, "caption:photo").len(), PHOTOS as usize);
}

/// Run by the test below in a process of its own: indexes photos.
#[test]
fn write_in_another_process() {
    let Some(folder) = std::env::var_os("SNAPSEEK_TEST_WRITTEN") else { return };
    let library = Library::open(&place(Path::new(&folder))).unwrap();
    let mut writer = library.lock().unwrap();
    for n in 2..=400 {
        writer.apply(&[photo(&format!("{n}.jpg"), n, DIM, &[])]).unwrap();
    }
    // Nobody ends the connections any more: the lock is taken again with the next statement.
    std::fs::write(Path::new(&folder).join("written"), "").unwrap();
    while !Path::new(&folder).join("quiet").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    library.status().unwrap();
    assert!(library.reopen().unwrap().lock().is_err());
    drop(writer);
    library.reopen().unwrap().lock().unwrap();
}

#[test]
fn a_writer_goes_on_when_its_connection_is_lost() {
    let (folder, library) = library_of(&many(1), false);
    let mut writer = spawn("sharing::write_in_another_process", "SNAPSEEK_TEST_WRITTEN", folder.path());
    let mut dropped = 0;
    while !folder.path().join("written").exists() && writer.try_wait().unwrap().is_none() {
        dropped += 1;
        drop_connections(folder.path(), &[&writer]);
        std::thread::sleep(Duration::from_millis(60));
    }
    drop_connections(folder.path(), &[&writer]);
    std::fs::write(folder.path().join("quiet"), "").unwrap();
    let status = writer.wait().unwrap();
    assert!(status.success() && dropped > 3, "{status}, {dropped}");
    assert_eq!((count(folder.path(), "file"), count(folder.path(), "embedding")), (400, 400));
    assert!(library.check(true).unwrap().findings.is_empty());
}

#[test]
fn files_that_are_handed_out_are_done_once_or_taken_back() {
    let (folder, library) = library_of(&many(1), false);
    let [indexing, one, two] = [(); 3].map(|()| library.offers().unwrap().unwrap());
    assert!(!indexing.has_helpers().unwrap());
    one.volunteer().unwrap();
    assert!(indexing.has_helpers().unwrap());
    let file = |n: u64| OfferedFile {
        path: format!("/photos/{n}.jpg").into(),
        root: "/photos".into(),
        stamp: FileStamp { size: n, mtime_ns: -1 },
    };
    indexing.put(&(1..=6).map(file).collect::<Vec<_>>()).unwrap();
    assert_eq!(one.take(2, &[]).unwrap(), [file(1), file(2)]);
    assert_eq!(two.take(9, &["/photos".into()]).unwrap(), []);
    assert_eq!(two.take(3, &["/other".into()]).unwrap(), [file(3), file(4), file(5)]);
    assert!(one.is_any_left().unwrap());

    // What is done is written and told at once.
    let bring = |n: u64| {
        let change = photo(&format!("/photos/{n}.jpg"), n, DIM, &["thing"]);
        library.helper(&model("a", DIM)).bring(&[change], &[(file(n).path, OfferOutcome::Embedded)]).unwrap();
    };
    assert_eq!(indexing.collect().unwrap(), []);
    bring(1);
    two.decline(vec![file(3).path]).unwrap();
    let done = [(file(1).path, OfferOutcome::Embedded), (file(3).path, OfferOutcome::Declined)];
    assert_eq!(indexing.collect().unwrap(), done);
    assert_eq!(indexing.collect().unwrap(), []);

    // The rest is taken back, what nobody has first.
    one.give_back().unwrap();
    let mut free = indexing.take_back(9, false).unwrap();
    free.sort();
    assert_eq!(free, [file(2).path, file(6).path]);
    assert!(!one.is_any_left().unwrap());
    assert_eq!(indexing.take_back(1, true).unwrap(), [file(4).path]);
    // It comes late, and is there once.
    bring(4);
    bring(4);
    assert_eq!(indexing.collect().unwrap(), []);
    assert_eq!((count(folder.path(), "file"), count(folder.path(), "photo")), (2, 2));
    indexing.clear().unwrap();
    assert_eq!(count(folder.path(), "offer"), 0);
    drop(one);
    // The server notices soon.
    while indexing.has_helpers().unwrap() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_helper_writes_nothing_of_a_model_that_is_not_the_current_one_any_more() {
    let (folder, library) = library_of(&many(3), false);
    let mut helper = library.helper(&model("a", DIM));
    helper.apply(&[photo("4.jpg", 4, DIM, &["thing"])]).unwrap();
    // Its vectors have the same length.
    switch(&mut library.lock().unwrap(), &model("b", DIM));
    let refused = helper.apply(&[photo("5.jpg", 5, DIM, &["thing"])]).unwrap_err();
    assert!(matches!(refused, Error::OtherModel { .. }), "{refused}");
    assert_eq!(count(folder.path(), "file"), 4);
}

#[test]
fn commits_wake_those_who_wait() {
    let (_folder, library) = library_of(&many(1), false);
    let offers = library.offers().unwrap().unwrap();
    let short = Duration::from_millis(20);
    // Before it listens, something may have happened.
    assert!(offers.wait(short).unwrap());
    assert!(!offers.wait(short).unwrap());
    library.set_caption_by_hand(1, "a walrus").unwrap();
    assert!(offers.wait(Duration::from_secs(60)).unwrap());
    assert!(!offers.wait(short).unwrap());
}

#[test]
fn those_who_may_read_search_and_those_who_may_write_write() {
    let (folder, library) = library_of(&many(20), false);
    assert!(library.make_roles().unwrap());
    assert!(library.make_roles().unwrap(), "they may be there already");
    let name = schema(folder.path());
    let user = |role: &str| {
        let user = format!("{role}_{}", &name[name.len() - 8..]);
        client().batch_execute(&format!("CREATE ROLE {user} LOGIN IN ROLE snapseek_{role}")).unwrap();
        let address = place(folder.path()).to_string_lossy().replacen("snapseek@", &format!("{user}@"), 1);
        Library::open(Path::new(&address)).unwrap()
    };
    let (reader, writer) = (user("read"), user("write"));
    assert!(!reader.make_roles().unwrap() && !writer.make_roles().unwrap());
    for library in [&reader, &writer] {
        assert_eq!(find(library, "tag:thing").len(), 20);
    }
    let denied = |outcome: snapseek_index::Result<()>| {
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains("does not allow it: permission denied"), "{error}");
    };
    denied(reader.set_caption_by_hand(1, "a walrus").map(drop));
    denied(reader.helper(&model("a", DIM)).apply(&many(1)));
    writer.set_caption_by_hand(1, "a walrus").unwrap();
    let mut indexing = writer.lock().unwrap();
    indexing.apply(&[photo("21.jpg", 21, DIM, &["thing"])]).unwrap();
    refresh(&mut indexing);
    assert_eq!(find(&reader, "caption:walrus").len(), 1);
    assert_eq!(find(&reader, "tag:thing").len(), 21);
    assert!(writer.check(true).unwrap().findings.is_empty());
}
