//! A library in PostgreSQL, as a user meets it.

use crate::crash::signal;
use crate::support::{Output, Sandbox, blank, dot, finish, fixture, start};
use serde_json::Value;
use std::process::Command;

/// The address of a library of its own on the test server, with a password that the server does not ask for. `None`
/// without a server.
fn address(sandbox: &Sandbox) -> Option<String> {
    let Ok(server) = std::env::var("SNAPSEEK_TEST_POSTGRES") else {
        eprintln!("skipped: no PostgreSQL server (scripts/postgres.sh starts one)");
        return None;
    };
    let folder = sandbox.path("").to_string_lossy().to_lowercase();
    let name: String = folder.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    Some(format!("{}?library=c{name}", server.replacen("snapseek@", "snapseek:sEcret@", 1)))
}

fn on_server<'a>(sandbox: &Sandbox, address: &str, args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = sandbox.command(args);
    command.env("SNAPSEEK_LIBRARY", address);
    command
}

/// Runs a command, whose output must not hold the password.
fn run<'a>(sandbox: &Sandbox, address: &str, args: impl IntoIterator<Item = &'a str>) -> Output {
    let output = finish(on_server(sandbox, address, args));
    assert!(!format!("{output:?}").contains("sEcret"), "{output:?}");
    output
}

fn photos(sandbox: &Sandbox) -> String {
    sandbox.photos().to_str().unwrap().to_owned()
}

#[test]
fn every_command_works_on_a_server_as_in_a_folder() {
    let sandbox = Sandbox::with_photos(&["cat", "dog", "owl", "crab"]);
    let Some(address) = address(&sandbox) else { return };
    let run = |args: &[&str]| run(&sandbox, &address, args.iter().copied());
    run(&["status"]).exits(3);
    // The same ids, so that what has the same score has the same order.
    sandbox.index().exits(0);
    let plain = address.replacen("snapseek:sEcret@", "snapseek@", 1);
    sandbox.run(["library", "copy", sandbox.library().to_str().unwrap(), &plain]).exits(0);
    run(&["index"]).exits(0);
    let same = |args: &[&str]| {
        let (there, here) = (run(args), sandbox.run(args.iter().copied()));
        assert_eq!((there.code(), there.text()), (here.code(), here.text()), "{args:?}");
    };
    same(&["search", "a dog", "--json"]);
    same(&["search", "path:photos is:landscape", "--json"]);
    same(&["search", "ext:jpg -tag:cat has:date", "--json"]);
    same(&["similar", sandbox.photo("cat.jpg").to_str().unwrap(), "--json"]);
    for write in [
        &["caption", "set", sandbox.photo("cat.jpg").to_str().unwrap(), "a sleeping cat"][..],
        &["album", "add", "Pets", sandbox.photo("cat.jpg").to_str().unwrap()],
        &["tag", "add", "beloved", sandbox.photo("dog.jpg").to_str().unwrap()],
        &["rate", "5", sandbox.photo("owl.jpg").to_str().unwrap()],
        &["cluster", "-k", "2", "--min-size", "1"],
    ] {
        let (there, here) = (run(write), sandbox.run(write.iter().copied()));
        assert_eq!((there.code(), here.code()), (0, 0), "{write:?}: {there:?}");
    }
    same(&["duplicates"]);
    same(&["search", "caption:sleeping", "--json"]);
    same(&["search", "album:Pets", "--json"]);
    same(&["search", "keyword:beloved", "--json"]);
    same(&["search", "rating:5", "--json"]);
    run(&["check", "--full"]).exits(0);
    run(&["check", "--repair"]).exits(0);
    run(&["library", "compact"]).exits(0);
    let info = run(&["library", "info", "--json"]).exits(0).line();
    assert!(info["engine"].as_str().unwrap().starts_with("PostgreSQL "), "{info}");
    assert_eq!((&info["photos"], run(&["status", "--json"]).line()["photos"].clone()), (&Value::from(4), 4.into()));
    run(&["forget", sandbox.photo("crab.jpg").to_str().unwrap(), "--yes"]).exits(0);
    assert_eq!(run(&["status", "--json"]).line()["photos"], 3);
}

#[test]
fn a_library_goes_to_a_server_and_back_by_one_command() {
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    let Some(address) = address(&sandbox) else { return };
    let plain = address.replacen("snapseek:sEcret@", "snapseek@", 1);
    let (library, back) = (sandbox.library(), sandbox.path("back"));
    let (library, back) = (library.to_str().unwrap(), back.to_str().unwrap());
    let copied = sandbox.run(["library", "copy", library, &plain, "--json"]).exits(0).line();
    assert!(copied["rows"].as_u64().unwrap() > 5, "{copied}");
    let again = sandbox.run(["library", "copy", library, &plain, "--json"]).exits(0).line();
    assert_eq!((&again["rows"], &again["there"]), (&Value::from(0), &copied["rows"]));
    sandbox.run(["library", "copy", &plain, back]).exits(0);
    let export = |place: &str| {
        let mut command = sandbox.command(["export", "-"]);
        command.env("SNAPSEEK_LIBRARY", place);
        finish(command).exits(0).text()
    };
    assert_eq!((export(&plain), export(back)), (export(library), export(library)));

    // Passwords are no arguments, and wrong addresses are told without them.
    for args in [
        vec!["--library", &address, "status"],
        vec!["library", "copy", library, &address],
        vec!["library", "copy", &address, back],
    ] {
        let refused = sandbox.run(args);
        assert!(refused.code() == 2 && !format!("{refused:?}").contains("sEcret"), "{refused:?}");
    }
    for (wrong, code) in [
        ("postgres://snapseek:sEcret@127.0.0.1:9/photos".to_owned(), 5),
        ("postgres://snapseek:sEcret@127.0.0.1:9/photos?nonsense=1".to_owned(), 5),
        (address.replace("?library=", "?library=not"), 3),
    ] {
        let output = run(&sandbox, &wrong, ["status"]);
        assert_eq!(output.code(), code, "{output:?}");
    }
}

#[test]
fn workers_caption_side_by_side() {
    let sandbox = Sandbox::new();
    let Some(address) = address(&sandbox) else { return };
    for n in 0..12 {
        let name = format!("{n:02}.png");
        let scenes: Vec<_> = std::fs::read_dir(fixture("shapes/heldout")).unwrap().map(|e| e.unwrap().path()).collect();
        let mut scenes: Vec<_> = scenes.into_iter().filter(|p| p.extension().is_some_and(|e| e == "png")).collect();
        scenes.sort();
        std::fs::copy(&scenes[n], sandbox.photo(&name)).unwrap();
    }
    run(&sandbox, &address, ["index", &photos(&sandbox), "--no-text"]).exits(0);
    // Nobody hands out photos to embed.
    run(&sandbox, &address, ["worker", "--once"]).exits(0);
    let model = fixture("models/blip2-shapes");
    let mut workers: Vec<_> = (0..3)
        .map(|_| {
            let mut command = on_server(&sandbox, &address, ["worker", "--captions", "--once"]);
            start(command.env("SNAPSEEK_BLIP2", &model))
        })
        .collect();
    // One dies; what it had goes to others once its lease has run out, and is not lost.
    workers[0].kill().unwrap();
    for worker in workers.drain(..).skip(1) {
        Output::of(worker).exits(0);
    }
    let captioned = || run(&sandbox, &address, ["status", "--json"]).exits(0).line()["captioned"].as_u64().unwrap();
    assert!((1..=12).contains(&captioned()));
    let found = run(&sandbox, &address, ["search", "has:caption", "-n", "20", "--json"]).exits(0).lines();
    assert_eq!(found.len() as u64, captioned());
}

/// So many small pictures, every tenth of which shows the same as the one before.
fn many(sandbox: &Sandbox, count: u32) {
    for n in 0..count {
        std::fs::write(sandbox.photo(format!("{n:04}.png")), dot((n - u32::from(n % 10 == 9)) * 40_001)).unwrap();
    }
}

#[test]
fn machines_index_side_by_side_and_one_that_dies_costs_nothing() {
    const PHOTOS: u32 = 300;
    let sandbox = Sandbox::new();
    let Some(address) = address(&sandbox) else { return };
    many(&sandbox, 2);
    run(&sandbox, &address, ["index", &photos(&sandbox), "--no-text"]).exits(0);
    many(&sandbox, PHOTOS);
    let damaged = sandbox.photo("damaged.jpg");
    std::fs::write(&damaged, b"\xff\xd8\xff no picture").unwrap();
    let mut workers: Vec<_> =
        (0..3).map(|_| start(&mut on_server(&sandbox, &address, ["worker", "--jobs", "1"]))).collect();
    let index = start(&mut on_server(&sandbox, &address, ["index", "--threads", "1", "--json"]));
    // One dies in the middle, one is stopped, and one waits for more.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    workers[0].kill().unwrap();
    signal(workers[1].id(), "TERM");
    let done = Output::of(index).exits(4).line();
    workers[2].kill().unwrap();
    let told: Vec<String> = workers.into_iter().map(|worker| format!("{:?}", Output::of(worker))).collect();
    assert_eq!((&done["failed"], &done["interrupted"]), (&Value::from(1), &Value::from(false)), "{done}");
    assert!(done["helped"].as_u64().is_some_and(|helped| helped > 0), "{done} {told:?}");
    run(&sandbox, &address, ["check", "--full"]).exits(0);

    // It is as one machine would have made it.
    sandbox.run(["index", photos(&sandbox).as_str(), "--no-text"]).exits(4);
    // Nothing matches; all are listed.
    let found = |output: Output| {
        let mut found: Vec<String> =
            output.exits(1).lines().iter().map(|hit| format!("{} {}", hit["path"], hit["cosine"])).collect();
        found.sort();
        found
    };
    let search = ["search", "something blue", "--all", "-n", "2000", "--no-stacks", "--json"];
    let (there, here) = (found(run(&sandbox, &address, search)), found(sandbox.run(search)));
    assert_eq!(there.len(), here.len());
    assert_eq!(there, here);
    let again = run(&sandbox, &address, ["index", "--json"]).exits(0).line();
    assert_eq!((&again["embedded"], &again["unchanged"]), (&Value::from(0), &Value::from(PHOTOS)), "{again}");

    // Whoever decoded a photo took its look, so copies are found without the pixels.
    std::fs::remove_file(damaged).unwrap();
    let files: Vec<_> = std::fs::read_dir(sandbox.photos()).unwrap().map(|entry| entry.unwrap().path()).collect();
    blank(&files);
    let (there, here) = (run(&sandbox, &address, ["duplicates", "--json"]), sandbox.run(["duplicates", "--json"]));
    // Of each file that cannot be read there would be a line.
    assert_eq!((there.code(), there.stderr.lines().count()), (0, 1), "{}", there.stderr);
    assert_eq!(there.stderr, here.stderr);
    let files_of = |output: &Output| {
        let named = |group: &Value| group["files"].as_array().unwrap().iter().map(|f| f["path"].to_string()).collect();
        output.lines().iter().map(named).collect::<std::collections::BTreeSet<std::collections::BTreeSet<_>>>()
    };
    assert_eq!(files_of(&there), files_of(&here));
}

/// A copy of the photos with their times, as another machine sees them that mounts their disk elsewhere.
fn elsewhere(sandbox: &Sandbox) -> std::path::PathBuf {
    let folder = sandbox.path("elsewhere");
    std::fs::create_dir_all(&folder).unwrap();
    for entry in std::fs::read_dir(sandbox.photos()).unwrap() {
        let from = entry.unwrap().path();
        let to = folder.join(from.file_name().unwrap());
        std::fs::copy(&from, &to).unwrap();
        let modified = std::fs::metadata(&from).unwrap().modified().unwrap();
        std::fs::File::options().write(true).open(&to).unwrap().set_modified(modified).unwrap();
    }
    folder
}

#[test]
fn a_file_has_one_identity_wherever_machines_see_it() {
    const PHOTOS: u32 = 150;
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    let Some(address) = address(&sandbox) else { return };
    run(&sandbox, &address, ["index", &photos(&sandbox), "--no-text"]).exits(0);
    let elsewhere = elsewhere(&sandbox);
    let (there, cat) = (elsewhere.to_str().unwrap(), elsewhere.join("cat.jpg"));
    let config = sandbox.path("laptop");
    let laptop = |args: &[&str]| {
        let mut command = on_server(&sandbox, &address, args.iter().copied());
        command.env("XDG_CONFIG_HOME", &config).current_dir(&elsewhere);
        command
    };
    let on_laptop = |args: &[&str]| finish(laptop(args));

    // What the laptop cannot see under the path of the library is not indexed a second time under its own.
    let hidden = sandbox.path("hidden");
    std::fs::rename(sandbox.photos(), &hidden).unwrap();
    let refused = on_laptop(&["index", there]).exits(2);
    assert!(refused.stderr.contains("root map photos"), "{refused}");
    on_laptop(&["root", "map", "photos", config.parent().unwrap().to_str().unwrap()]).exits(2);
    on_laptop(&["root", "map", "photos", there]).exits(0);
    let done = on_laptop(&["index", there, "--json", "--no-text"]).exits(0).line();
    assert_eq!((&done["unchanged"], &done["embedded"]), (&Value::from(2), &Value::from(0)), "{done}");
    std::fs::rename(&hidden, sandbox.photos()).unwrap();

    // Each machine shows where the files are for it, and what one writes the other finds.
    let first = |output: Output| output.exits(0).lines()[0]["path"].as_str().unwrap().to_owned();
    on_laptop(&["tag", "add", "beloved", cat.to_str().unwrap()]).exits(0);
    assert_eq!(
        first(run(&sandbox, &address, ["search", "keyword:beloved", "--json"])),
        sandbox.photo("cat.jpg").to_str().unwrap()
    );
    assert_eq!(first(on_laptop(&["search", "keyword:beloved", "--json"])), cat.to_str().unwrap());
    for path in [there, sandbox.photos().to_str().unwrap()] {
        assert_eq!(on_laptop(&["search", &format!("path:{path}"), "--json"]).exits(0).lines().len(), 2, "{path}");
    }
    let listed = on_laptop(&["root", "list", "--json"]).exits(0).line();
    assert_eq!((&listed["name"], &listed["path"]), (&Value::from("photos"), &Value::from(there)), "{listed}");

    // The laptop helps the machine that indexes.
    many(&sandbox, PHOTOS);
    self::elsewhere(&sandbox);
    let mut worker = start(&mut laptop(&["worker", "--jobs", "1"]));
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let done = run(&sandbox, &address, ["index", "--threads", "1", "--json", "--no-text"]).exits(0).line();
    worker.kill().unwrap();
    let told = Output::of(worker);
    assert!(done["helped"].as_u64().is_some_and(|helped| helped > 0), "{done} {told:?}");
    let again = on_laptop(&["index", "--json", "--no-text"]).exits(0).line();
    assert_eq!((&again["unchanged"], &again["embedded"]), (&Value::from(PHOTOS + 2), &Value::from(0)), "{again}");
    run(&sandbox, &address, ["check", "--full"]).exits(0);
}

#[test]
fn workers_help_to_embed_by_another_model() {
    const PHOTOS: u32 = 300;
    let sandbox = Sandbox::new();
    let Some(address) = address(&sandbox) else { return };
    many(&sandbox, PHOTOS);
    run(&sandbox, &address, ["index", &photos(&sandbox), "--no-text"]).exits(0);
    let model = fixture("reference/families/openclip");
    let mut worker = start(&mut on_server(&sandbox, &address, ["worker", "--jobs", "1"]));
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let reindex = ["reindex", "--model", model.to_str().unwrap(), "--threads", "1", "--json"];
    let done = run(&sandbox, &address, reindex).exits(0).line();
    // New photos are embedded by both.
    for n in PHOTOS..2 * PHOTOS {
        std::fs::write(sandbox.photo(format!("{n:04}.png")), dot(n * 40_001)).unwrap();
    }
    let more = run(&sandbox, &address, ["index", "--threads", "1", "--json", "--no-text"]).exits(0).line();
    worker.kill().unwrap();
    let told = Output::of(worker);
    for done in [&done, &more] {
        assert!(done["helped"].as_u64().is_some_and(|helped| helped > 0), "{done} {told:?}");
    }
    // Of pictures that two files show, both may have been handed out.
    let made = done["embedded_by"][model.to_str().unwrap()].as_u64().unwrap();
    assert!((PHOTOS - PHOTOS / 10..=PHOTOS).contains(&u32::try_from(made).unwrap()), "{done}");
    let status = run(&sandbox, &address, ["status", "--json"]).exits(0).line();
    let models = status["models"].as_array().unwrap();
    assert!(models.len() == 2 && models.iter().all(|model| model["awaiting"] == 0), "{status}");
    let again = run(&sandbox, &address, ["index", "--json", "--no-text"]).exits(0).line();
    assert_eq!((&again["embedded"], &again["unchanged"]), (&Value::from(0), &Value::from(2 * PHOTOS)), "{again}");
    run(&sandbox, &address, ["check", "--full"]).exits(0);
}

#[test]
fn searches_ask_a_replica_where_there_is_one() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    let Some(address) = address(&sandbox) else { return };
    run(&sandbox, &address, ["index", &photos(&sandbox), "--no-text"]).exits(0);
    // Another library stands in for a replica, so that it can be told who answers.
    let replica = format!("{address}b");
    std::fs::remove_file(sandbox.photo("cat.jpg")).unwrap();
    sandbox.add("dog");
    run(&sandbox, &replica, ["index", &photos(&sandbox), "--no-text"]).exits(0);
    let search = |read: &str| {
        let mut command = on_server(&sandbox, &address, ["search", "--all", "an animal", "--json"]);
        command.env("SNAPSEEK_LIBRARY_READ", read);
        finish(command)
    };
    assert_eq!(search("").names(), ["cat.jpg"]);
    assert_eq!(search(&replica).names(), ["dog.jpg"]);
    let away = search("postgres://snapseek:sEcret@127.0.0.1:9/photos").exits(5);
    assert!(away.stderr.contains("127.0.0.1:9") && !format!("{away:?}").contains("sEcret"), "{away}");
}
