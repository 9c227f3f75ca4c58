//! Photos belong to the user: nothing that happens to their files and folders removes a record by accident, and the
//! program never writes into their folders.

use crate::support::{PROGRAM, Sandbox, finish, fixture};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const FIVE: [&str; 5] = ["cat", "dog", "panda", "igloo", "hammer-5"];
const TEN: [&str; 10] = ["cat", "dog", "panda", "igloo", "hammer-5", "pencil", "owl", "petra", "bulb", "windmill"];

/// The counts of an `index --json` summary that are not zero.
fn counts(summary: &Value) -> BTreeMap<String, u64> {
    let all = summary.as_object().unwrap().iter().filter(|(key, _)| *key != "schema" && *key != "seconds");
    all.filter_map(|(key, value)| Some((key.clone(), value.as_u64().filter(|n| *n > 0)?))).collect()
}

fn expect(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(key, n)| ((*key).to_owned(), *n)).collect()
}

fn moved_away(sandbox: &Sandbox, names: &[&str]) -> Vec<(PathBuf, PathBuf)> {
    fs::create_dir_all(sandbox.path("away")).unwrap();
    let pairs = names.iter().map(|name| format!("{name}.jpg"));
    let pairs: Vec<_> = pairs.map(|name| (sandbox.photo(&name), sandbox.path("away").join(&name))).collect();
    pairs.iter().for_each(|(here, away)| fs::rename(here, away).unwrap());
    pairs
}

fn moved_back(pairs: Vec<(PathBuf, PathBuf)>) {
    pairs.into_iter().for_each(|(here, away)| fs::rename(away, here).unwrap());
}

/// A disk that is plugged in elsewhere.
#[test]
fn a_folder_that_is_elsewhere_on_this_machine_is_the_same_folder() {
    let sandbox = Sandbox::indexed(&["cat", "dog", "owl"]);
    let moved = sandbox.path("media");
    let run = |args: &[&str]| {
        let mut command = sandbox.command(args.iter().copied());
        command.current_dir(sandbox.path(""));
        finish(command)
    };
    std::fs::rename(sandbox.photos(), &moved).unwrap();
    let (moved, before) = (moved.to_str().unwrap(), sandbox.photos());
    let (before, cat) = (before.to_str().unwrap(), format!("{moved}/cat.jpg"));
    run(&["root", "map", "photos", "/nowhere"]).exits(2);
    let unknown = run(&["root", "map", "pictures", moved]).exits(2);
    assert!(unknown.stderr.contains("it has photos"), "{unknown}");
    run(&["root", "map", "photos", moved]).exits(0);
    run(&["caption", "set", &cat, "a sleeping cat"]).exits(0);
    let done = run(&["index", "--json"]).exits(0).line();
    assert_eq!((&done["unchanged"], &done["removed"]), (&3.into(), &0.into()), "{done}");
    let found = |query: &str| {
        run(&["search", query, "--json"]).lines().iter().map(|hit| hit["path"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(found("caption:sleeping"), [cat.as_str()]);
    assert_eq!(found(&format!("path:{moved}/c")), [cat.as_str()]);
    assert!(found("path:photos/cat").len() == 1 && found("path:media/cat").is_empty());
    let status = run(&["status"]).exits(0).text();
    assert!(status.contains(&format!("{moved} (in the library {before})")), "{status}");

    // What lies where the library has the folder is something else now.
    fs::create_dir(before).unwrap();
    sandbox.add("crab");
    let refused = run(&["index", before]).exits(2);
    assert!(refused.stderr.contains("is where the library has its folder"), "{refused}");
    run(&["show", sandbox.photo("crab.jpg").to_str().unwrap()]).exits(0);
    // New files, and what is forgotten, go by one path, too.
    std::fs::rename(sandbox.photo("crab.jpg"), format!("{moved}/crab.jpg")).unwrap();
    run(&["index"]).exits(0);
    run(&["forget", &cat]).exits(0);
    std::fs::remove_dir(before).unwrap();
    std::fs::rename(moved, before).unwrap();
    run(&["root", "unmap", "photos"]).exits(0);
    let done = run(&["index", "--json"]).exits(0).line();
    assert_eq!((&done["unchanged"], &done["embedded"]), (&3.into(), &0.into()), "{done}");
    assert_eq!(found("path:crab"), [sandbox.photo("crab.jpg").to_str().unwrap()]);
    run(&["check", "--full"]).exits(0);
}

#[test]
fn a_folder_that_is_gone_keeps_its_records() {
    let sandbox = Sandbox::indexed(&FIVE);
    let before = sandbox.ranking("a dog");
    let (here, away) = (sandbox.photos(), sandbox.path("away"));
    fs::rename(&here, &away).unwrap();
    let run = |args: &[&str]| {
        let mut command = sandbox.command(args);
        command.current_dir(sandbox.path("home"));
        finish(command)
    };

    let named = run(&["index", here.to_str().unwrap()]).exits(2);
    assert!(named.stderr.contains(here.to_str().unwrap()), "{named}");

    let unnamed = run(&["index", "--json"]).exits(4);
    assert_eq!(counts(&unnamed.line()), expect(&[("failed", 1)]));
    assert!(unnamed.stderr.contains(here.to_str().unwrap()), "says which folder is missing: {unnamed}");
    let pruned = run(&["index", "--prune", "--json"]).exits(0);
    assert_eq!(
        counts(&pruned.line()),
        expect(&[("failed", 1), ("failed_before", 1)]),
        "a disk that is not mounted is not pruned either"
    );
    let status = run(&["status", "--json"]).exits(0).line();
    assert_eq!((&status["photos"], &status["failed"]), (&5.into(), &1.into()));
    assert_eq!(status["failures"][0]["kind"], "missing-folder");
    assert_eq!(run(&["search", "a dog", "--all", "--json"]).lines().len(), 5, "they can still be found");

    fs::rename(&away, &here).unwrap();
    assert_eq!(counts(&sandbox.index().exits(0).line()), expect(&[("unchanged", 5)]));
    assert_eq!(sandbox.status()["failed"], 0);
    assert_eq!(sandbox.ranking("a dog"), before);
}

#[test]
fn an_emptied_folder_loses_nothing_until_prune() {
    let sandbox = Sandbox::indexed(&FIVE);
    let away = moved_away(&sandbox, &FIVE);
    let held = sandbox.index().exits(0);
    assert_eq!(counts(&held.line()), expect(&[("held_back", 5)]));
    assert!(held.stderr.contains("5 of 5 files") && held.stderr.contains("--prune"), "{held}");
    assert_eq!(sandbox.ranking("a dog").len(), 5);

    moved_back(away);
    assert_eq!(counts(&sandbox.index().exits(0).line()), expect(&[("unchanged", 5)]));

    moved_away(&sandbox, &FIVE);
    let pruned = sandbox.run(["index", "--prune", "--json"]).exits(0);
    assert_eq!(counts(&pruned.line()), expect(&[("removed", 5)]));
    assert_eq!(sandbox.status()["photos"], 0);
    assert!(sandbox.ranking("a dog").is_empty());
}

#[test]
fn losing_most_of_a_folder_is_taken_for_a_fault_and_losing_some_is_not() {
    let sandbox = Sandbox::indexed(&TEN);
    let away = moved_away(&sandbox, &TEN[..6]);
    let held = sandbox.index().exits(0);
    assert_eq!(counts(&held.line()), expect(&[("unchanged", 4), ("held_back", 6)]));
    assert!(held.stderr.contains("6 of 10 files"), "{held}");
    assert_eq!(sandbox.status()["files"], 10);
    moved_back(away);
    assert_eq!(counts(&sandbox.index().exits(0).line()), expect(&[("unchanged", 10)]));

    moved_away(&sandbox, &TEN[..4]);
    assert_eq!(counts(&sandbox.index().exits(0).line()), expect(&[("unchanged", 6), ("removed", 4)]));
    moved_away(&sandbox, &TEN[4..9]);
    let pruned = sandbox.run(["index", "--prune", "--json"]).exits(0);
    assert_eq!(counts(&pruned.line()), expect(&[("unchanged", 1), ("removed", 5)]));
    assert_eq!(sandbox.ranking("anything")[0].0, "windmill.jpg");
}

#[test]
fn moving_all_photos_into_a_folder_is_no_loss() {
    let sandbox = Sandbox::indexed(&FIVE);
    fs::create_dir(sandbox.photo("2024")).unwrap();
    for name in FIVE.map(|name| format!("{name}.jpg")) {
        fs::rename(sandbox.photo(&name), sandbox.photo("2024").join(&name)).unwrap();
    }
    assert_eq!(counts(&sandbox.index().exits(0).line()), expect(&[("moved", 5)]));
}

/// Every file and folder below `root` with its mode, its modification time and its bytes.
fn listing(root: &Path) -> Vec<(PathBuf, u32, i64, i64, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(path) = folders.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            folders.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let bytes = if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        found.push((path, meta.mode(), meta.mtime(), meta.mtime_nsec(), bytes));
    }
    found.sort();
    found
}

#[test]
fn photos_are_never_written_to() {
    needs!("strace");
    let sandbox = Sandbox::with_photos(&FIVE);
    fs::write(sandbox.photo("broken.jpg"), "not a picture").unwrap();
    let before = listing(&sandbox.photos());
    let photos = sandbox.photos();
    let trace = sandbox.path("trace");
    let sheet = sandbox.path("sheet.html");
    let copies = sandbox.path("copies");
    let photos_text = photos.to_str().unwrap();
    let session: &[(&[&str], i32)] = &[
        (&["index", photos_text, "-v"], 4),
        (&["search", "a dog", "--html", sheet.to_str().unwrap(), "--copy-to", copies.to_str().unwrap()], 0),
        (&["search", "@cat.jpg - dog", "--preview"], 0),
        (&["similar", "dog.jpg"], 0),
        (&["status"], 0),
        (&["check", "--full", "--repair"], 0),
        (&["embed", "--image", "owl.jpg"], 2),
        (&["embed", "--image", "cat.jpg"], 0),
        (&["forget", "dog.jpg"], 0),
        (&["index"], 0),
        (&["reindex"], 0),
    ];
    let mut opened = String::new();
    for (args, code) in session {
        let mut command = sandbox.command_of("strace");
        // Every call that takes a path.
        command.args(["-f", "-q", "-s", "4096", "-e", "trace=%file", "-o"]);
        command.arg(&trace).arg("--").arg(PROGRAM).args(*args);
        finish(command).exits(*code);
        opened.push_str(&fs::read_to_string(&trace).unwrap());
    }
    assert_eq!(listing(&photos), before);
    // The current folder is the photo folder, so a relative path is in it too.
    let below = |line: &str| {
        line.contains(&format!("\"{photos_text}")) || line.contains("AT_FDCWD, \"") && !line.contains("AT_FDCWD, \"/")
    };
    let mut reads = 0;
    // If another thread splits the line of a call in two, the first half, which names the file, is checked.
    for line in opened.lines().filter(|line| below(line) && !line.contains(" resumed>")) {
        let call = line.split_whitespace().nth(1).unwrap().split('(').next().unwrap();
        match call {
            "open" | "openat" => {
                assert!(line.contains("O_RDONLY") && !line.contains("O_CREAT"), "{line}");
                reads += 1;
            }
            "execve" | "chdir" | "getcwd" | "access" | "faccessat2" | "readlink" | "statx" | "newfstatat" | "stat"
            | "lstat" | "statfs" => {}
            _ => panic!("{line}"),
        }
    }
    assert!(reads >= 12, "the trace shows the photos being read: {reads}");
}

#[test]
fn a_folder_without_write_permission_can_be_indexed() {
    needs!("setpriv");
    let sandbox = Sandbox::with_photos(&FIVE);
    let nobody = Nobody::new(&sandbox);
    fs::set_permissions(sandbox.photos(), fs::Permissions::from_mode(0o555)).unwrap();
    let probe = finish(nobody.command("touch", &["photos/x"]));
    assert_ne!(probe.code(), 0, "nobody must not be able to write: {probe}");
    let indexed = finish(nobody.command(nobody.program.to_str().unwrap(), &["index", "photos", "--json"])).exits(0);
    assert_eq!(counts(&indexed.line()), expect(&[("embedded", 5)]));
}

/// A user without rights who runs the program: for this user file permissions apply, for root they do not.
pub(crate) struct Nobody<'a> {
    sandbox: &'a Sandbox,
    /// A copy of the program that this user can reach.
    pub(crate) program: PathBuf,
}

impl<'a> Nobody<'a> {
    /// Makes the sandbox accessible to the user.
    pub(crate) fn new(sandbox: &'a Sandbox) -> Self {
        let program = sandbox.path("snapseek");
        fs::copy(PROGRAM, &program).unwrap();
        let nobody = Self { sandbox, program };
        fs::create_dir_all(sandbox.library()).unwrap();
        for (path, mode) in [("", 0o755), ("photos", 0o755), ("home", 0o777), ("library", 0o777), ("snapseek", 0o755)] {
            fs::set_permissions(sandbox.path(path), fs::Permissions::from_mode(mode)).unwrap();
        }
        nobody
    }

    /// A program run by this user in the sandbox.
    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = self.sandbox.command_of("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--", program]).args(args);
        command.current_dir(self.sandbox.path(""));
        command
    }
}

#[test]
fn hidden_and_ignored_files_are_left_out() {
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    let copy = |name: &str, to: &str| {
        let to = sandbox.photo(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(fixture(&format!("photos/{name}.jpg")), to).unwrap();
    };
    copy("panda", ".hidden.jpg");
    copy("igloo", ".thumbnails/igloo.jpg");
    copy("owl", "raw/owl.jpg");
    copy("petra", "raw/keep/petra.jpg");
    copy("pencil", "trips/draft-pencil.jpg");
    copy("bulb", "trips/bulb.jpg");
    fs::write(sandbox.photo(".snapseekignore"), "# comment\nraw/*\n!raw/keep\n").unwrap();
    fs::write(sandbox.photo("trips/.snapseekignore"), "draft-*\n").unwrap();
    fs::write(sandbox.photo(".gitignore"), "*.jpg\n").unwrap();
    let found = |ranking: Vec<(String, f64)>| {
        let mut names: Vec<String> = ranking.into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    };

    assert_eq!(sandbox.index().exits(0).line()["embedded"], 4);
    assert_eq!(found(sandbox.ranking("a photo")), ["bulb.jpg", "cat.jpg", "dog.jpg", "petra.jpg"]);
    // Newly ignored files are removed from the library, like deleted ones.
    fs::write(sandbox.photo("trips/.snapseekignore"), "draft-*\nbulb.*\n").unwrap();
    assert_eq!(counts(&sandbox.index().exits(0).line()), expect(&[("unchanged", 3), ("removed", 1)]));
    let hidden = sandbox.run(["index", "--hidden", "--json"]).exits(0);
    assert_eq!(counts(&hidden.line()), expect(&[("unchanged", 3), ("embedded", 2)]));
}

#[test]
fn links_end_and_count_once() {
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    let outside = sandbox.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::copy(fixture("photos/panda.jpg"), outside.join("panda.jpg")).unwrap();
    fs::create_dir(sandbox.photo("a")).unwrap();
    symlink("..", sandbox.photo("a/up")).unwrap();
    symlink(sandbox.photos(), sandbox.photo("a/self")).unwrap();
    symlink("/", sandbox.photo("everything")).unwrap();
    symlink(&outside, sandbox.photo("outside")).unwrap();
    symlink("../cat.jpg", sandbox.photo("a/favourite.jpg")).unwrap();
    fs::hard_link(sandbox.photo("dog.jpg"), sandbox.photo("a/dog-again.jpg")).unwrap();

    let summary = sandbox.index().exits(0).line();
    assert_eq!(counts(&summary), expect(&[("embedded", 2), ("copied", 2)]));
    assert_eq!((&sandbox.status()["photos"], &sandbox.status()["files"]), (&2.into(), &4.into()));
    let hits = sandbox.run(["search", "a dog", "--all", "--json"]).lines();
    assert_eq!(hits.len(), 2, "each photo is listed once, with its other names: {hits:?}");
    assert!(hits.iter().all(|hit| hit["also"].as_array().unwrap().len() == 1), "{hits:?}");
    assert_eq!(counts(&sandbox.index().exits(0).line()), expect(&[("unchanged", 4)]));
}

#[test]
fn a_link_whose_target_is_gone_is_like_a_file_that_is_gone() {
    let sandbox = Sandbox::with_photos(&["cat", "dog", "owl"]);
    let outside = sandbox.path("outside");
    fs::create_dir(&outside).unwrap();
    let six = ["panda", "pig", "crab", "duck", "chair", "lemur"];
    fs::create_dir(sandbox.photo("links")).unwrap();
    for name in six {
        let target = outside.join(name).with_extension("jpg");
        fs::copy(fixture(&format!("photos/{name}.jpg")), &target).unwrap();
        symlink(&target, sandbox.photo("links").join(format!("{name}.jpg"))).unwrap();
    }
    assert_eq!(counts(&sandbox.index().exits(0).line()), expect(&[("embedded", 9)]));
    // All links of a folder lead nowhere: their disk may not be mounted.
    let away = sandbox.path("away");
    fs::rename(&outside, &away).unwrap();
    for _ in 0..2 {
        let held = sandbox.index().exits(0);
        assert_eq!(counts(&held.line()), expect(&[("unchanged", 3), ("held_back", 6)]));
        assert!(held.stderr.contains("6 of ") && held.stderr.contains("--prune"), "{held}");
    }
    assert_eq!(sandbox.status()["files"], 9);
    fs::rename(&away, &outside).unwrap();
    assert_eq!(counts(&sandbox.index().exits(0).line()), expect(&[("unchanged", 9)]));
    // One is really gone; from then on it is only a link to nothing.
    fs::remove_file(outside.join("panda.jpg")).unwrap();
    assert_eq!(counts(&sandbox.index().exits(0).line()), expect(&[("unchanged", 8), ("removed", 1)]));
    assert_eq!(counts(&sandbox.index().exits(0).line()), expect(&[("unchanged", 8), ("skipped", 1)]));
    assert_eq!(sandbox.status()["failed"], 0);
    fs::rename(&outside, &away).unwrap();
    let pruned = sandbox.run(["index", ".", "--prune", "--json"]).exits(0).line();
    assert_eq!(counts(&pruned), expect(&[("unchanged", 3), ("removed", 5), ("skipped", 1)]));
    assert_eq!(counts(&sandbox.index().exits(0).line()), expect(&[("unchanged", 3), ("skipped", 6)]));
    // With its target, a link is a photo again.
    fs::rename(&away, &outside).unwrap();
    assert_eq!(counts(&sandbox.index().exits(0).line()), expect(&[("embedded", 5), ("unchanged", 3), ("skipped", 1)]));
}

#[test]
fn what_only_has_the_name_of_a_photo_does_not_hold_up_the_run() {
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    assert!(Command::new("mkfifo").arg(sandbox.photo("pipe.jpg")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(sandbox.photo("socket.jpg")).unwrap();
    fs::create_dir(sandbox.photo("folder.jpg")).unwrap();
    symlink("/dev/zero", sandbox.photo("zero.jpg")).unwrap();
    symlink("nowhere.jpg", sandbox.photo("broken-link.jpg")).unwrap();
    symlink("circle.jpg", sandbox.photo("circle.jpg")).unwrap();
    symlink("nowhere.txt", sandbox.photo("no-photo-anyway.txt")).unwrap();
    // Of what does not even begin as a picture does, nothing more is read.
    fs::write(sandbox.photo("huge.jpg"), [0xFF, 0xD8, 0xFF]).unwrap();
    File::options().write(true).open(sandbox.photo("huge.jpg")).unwrap().set_len(1 << 40).unwrap();

    for named in [sandbox.photo("pipe.jpg"), sandbox.photo("socket.jpg"), "/dev/null".into()] {
        let refused = sandbox.run(["index", named.to_str().unwrap()]).exits(2);
        assert!(refused.stderr.contains("is neither a folder nor a file"), "{refused}");
    }
    for (seen, code) in [("embedded", 4), ("unchanged", 0)] {
        let summary = sandbox.index().exits(code).line();
        let mut expected = vec![(seen, 2), ("skipped", 5), ("failed", 1)];
        expected.extend((code == 0).then_some(("failed_before", 1)));
        assert_eq!(counts(&summary), expect(&expected));
    }
    let text = sandbox.run(["index", "."]).exits(0).text();
    assert!(text.contains("5 skipped (pipes, sockets, devices or links to nothing), 1 failed"), "{text}");
    let failures = sandbox.status()["failures"].as_array().unwrap().clone();
    let named = |name: &str| failures.iter().find(|f| f["path"].as_str().unwrap().ends_with(name)).unwrap();
    assert_eq!(named("huge.jpg")["kind"], "too-large");
    assert!(named("huge.jpg")["message"].as_str().unwrap().contains("--max-memory"));
    assert_eq!(failures.len(), 1);
    // Other commands pass over them in a folder too, and refuse one that is named.
    fs::remove_file(sandbox.photo("huge.jpg")).unwrap();
    assert_eq!(sandbox.run(["score", ".", "--text", "a dog", "--json"]).exits(0).lines().len(), 2);
    let named = sandbox.run(["score", "pipe.jpg", "--text", "a dog"]);
    assert!(named.code() > 1 && named.stderr.contains("pipe.jpg"), "{named}");

    // A pipe given by name is refused too; the program does not wait for it.
    sandbox.run(["similar", "pipe.jpg"]).exits(5);
}

#[test]
fn what_is_forgotten_stays_forgotten_until_it_is_named() {
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    let trip = sandbox.photo("trip");
    fs::create_dir(&trip).unwrap();
    for name in ["panda", "owl"] {
        fs::rename(sandbox.add(name), trip.join(format!("{name}.jpg"))).unwrap();
    }
    sandbox.index().exits(0);
    let before = listing(&sandbox.photos());

    let forgotten = sandbox.run(["forget", "dog.jpg", "trip", "--json"]).exits(0).line();
    assert_eq!(forgotten["forgotten"], 3);
    assert_eq!(listing(&sandbox.photos()), before, "the photos are where they were");
    assert_eq!(sandbox.ranking("a dog").len(), 1);
    sandbox.run(["forget", "dog.jpg"]).exits(1);

    // Neither a new file in a forgotten folder nor the next run brings anything back.
    fs::copy(fixture("photos/igloo.jpg"), trip.join("igloo.jpg")).unwrap();
    assert_eq!(counts(&sandbox.index().exits(0).line()), expect(&[("unchanged", 1)]));
    assert_eq!(counts(&sandbox.run(["index", "--json"]).exits(0).line()), expect(&[("unchanged", 1)]));

    // Naming a forgotten file or folder adds it again.
    let named = sandbox.run(["index", "dog.jpg", "--json"]).exits(0).line();
    assert_eq!(counts(&named), expect(&[("embedded", 1)]));
    assert_eq!(sandbox.ranking("a dog")[0].0, "dog.jpg");
    let folder = sandbox.run(["index", "trip", "--json"]).exits(0).line();
    assert_eq!(counts(&folder), expect(&[("embedded", 3)]));
    assert_eq!(sandbox.ranking("a dog").len(), 5);
    assert_eq!(counts(&sandbox.index().exits(0).line()), expect(&[("unchanged", 5)]));
}

#[test]
fn a_forgotten_root_is_covered_no_more() {
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    assert_eq!(sandbox.run(["forget", ".", "--yes", "--json"]).exits(0).line()["forgotten"], 2);
    let status = sandbox.status();
    assert_eq!((&status["photos"], status["folders"].as_array().unwrap().len()), (&0.into(), 0));
    sandbox.run(["index"]).exits(2);
}

#[test]
fn everything_is_forgotten_only_on_purpose() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    for (folder, name) in [("trip", "dog"), ("home", "owl")] {
        fs::create_dir_all(sandbox.path("disk").join(folder)).unwrap();
        let to = sandbox.path("disk").join(folder).join(format!("{name}.jpg"));
        fs::copy(fixture(&format!("photos/{name}.jpg")), to).unwrap();
    }
    sandbox.run(["index", ".", "../disk/trip", "../disk/home"]).exits(0);
    for paths in [&["/"][..], &["../disk"], &[".", "../disk/trip", "../disk/home"]] {
        let refused = sandbox.run(["forget"].iter().chain(paths)).exits(2);
        assert!(refused.stderr.contains("--yes"), "{refused}");
        assert_eq!(sandbox.status()["photos"], 3);
    }
    assert!(sandbox.run(["forget", "/"]).stderr.contains("everything, 3 files in 3 folders,"));
    // On a terminal, a person is asked.
    if !crate::support::lacks("script") {
        let mut person = crate::terminal::Person::start(&sandbox, &["forget", "/"]);
        person.sees("everything, 3 files in 3 folders, from the library?");
        person.types("n\n");
        person.leaves(1);
        assert_eq!(sandbox.status()["photos"], 3);
        let mut person = crate::terminal::Person::start(&sandbox, &["forget", "../disk"]);
        person.sees("2 indexed folders from the library?");
        person.types("y\n");
        person.leaves(0);
        assert_eq!(sandbox.status()["photos"], 1);
    }
    // One folder of several, and a file, are meant as they are said.
    sandbox.run(["index", "../disk/trip", "../disk/home"]).exits(0);
    sandbox.run(["forget", "../disk/trip"]).exits(0);
    sandbox.run(["forget", "../disk/home/owl.jpg"]).exits(0);
    assert_eq!(sandbox.run(["forget", "/", "--yes", "--json"]).exits(0).line()["folders"], 2);
}

#[test]
fn nobody_else_can_look_into_the_cache() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    let cache = sandbox.path("home/cache/snapseek");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    // As earlier releases left it.
    fs::create_dir_all(&cache).unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.index().exits(0);
    assert_eq!(mode(&cache), 0o700);
    fs::remove_dir_all(sandbox.path("home/cache")).unwrap();
    sandbox.run(["demo", sandbox.photos().to_str().unwrap()]);
    for path in [sandbox.library(), cache] {
        assert_eq!(mode(&path), 0o700, "{path:?}");
    }
}

#[test]
fn what_is_forgotten_is_no_trouble_any_more() {
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    let trip = sandbox.photo("trip");
    fs::create_dir(&trip).unwrap();
    fs::copy(fixture("photos/owl.jpg"), trip.join("owl.jpg")).unwrap();
    symlink("nowhere", trip.join("dangling.jpg")).unwrap();
    let summary = sandbox.index().exits(0).line();
    assert_eq!((&summary["embedded"], &summary["skipped"]), (&3.into(), &1.into()));
    sandbox.run(["forget", "trip"]).exits(0);
    assert_eq!(counts(&sandbox.index().exits(0).line()), expect(&[("unchanged", 2)]));
    // A file that never was a photo, named and thereby a root of its own.
    let notes = sandbox.path("notes.txt");
    fs::write(&notes, "no photo").unwrap();
    sandbox.run([OsStr::new("index"), notes.as_os_str()]).exits(4);
    fs::remove_file(&notes).unwrap();
    sandbox.run(["index"]).exits(0);
    let forgotten = sandbox.run([OsStr::new("forget"), notes.as_os_str()]).exits(0);
    assert!(forgotten.text().contains("removed 0 files") && !forgotten.stderr.contains("none"), "{forgotten}");
    sandbox.run(["index"]).exits(0);
}

#[test]
fn a_disk_that_is_unmounted_below_a_folder_keeps_its_records() {
    let sandbox = Sandbox::with_photos(&FIVE);
    let usb = sandbox.photo("usb");
    fs::create_dir(&usb).unwrap();
    for name in ["owl", "pig", "crab", "duck", "chair"] {
        fs::copy(fixture(&format!("photos/{name}.jpg")), usb.join(name).with_extension("jpg")).unwrap();
    }
    assert_eq!(sandbox.index().exits(0).line()["embedded"], 10);
    // An empty mount point stays behind.
    let away = sandbox.path("away");
    fs::rename(&usb, &away).unwrap();
    fs::create_dir(&usb).unwrap();
    let gone = sandbox.run(["index", ".", "--json"]);
    assert_eq!((&gone.line()["removed"], &gone.line()["held_back"]), (&0.into(), &5.into()), "{gone}");
    assert!(gone.stderr.contains("usb") && gone.stderr.contains("--prune"), "{gone}");
    fs::remove_dir(&usb).unwrap();
    fs::rename(&away, &usb).unwrap();
    assert_eq!(sandbox.index().exits(0).line()["unchanged"], 10);
    // A deleted folder is not a mount point.
    fs::remove_dir_all(&usb).unwrap();
    assert_eq!(sandbox.run(["index", ".", "--json"]).exits(0).line()["removed"], 5);
}
