//! What a person wrote is never lost: not to other programs that write into files, not with files that are gone for a
//! while, not with the library itself.

use crate::support::{Output, Sandbox, finish, fixture, random_blip2};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// One picture of each format that holds metadata which another program can write.
const FORMATS: [&str; 9] = [
    "a-landscape.jpg",
    "f-alpha.png",
    "j-panorama.webp",
    "k-animated.gif",
    "m-lzw.tiff",
    "owl-10bit.heic",
    "owl-422.avif",
    "owl.jp2",
    "owl.jxl",
];

fn formats() -> Sandbox {
    let sandbox = Sandbox::new();
    for name in FORMATS {
        let folder = if name.starts_with("owl") { "formats" } else { "reference/pictures" };
        fs::copy(fixture(folder).join(name), sandbox.photo(name)).unwrap();
    }
    sandbox.index().exits(0);
    sandbox
}

fn set(sandbox: &Sandbox, name: &str, text: &str) {
    sandbox.run([Path::new("caption"), Path::new("set"), &sandbox.photo(name), Path::new(text)]).exits(0);
}

fn caption(sandbox: &Sandbox, name: &str) -> String {
    let shown = sandbox.run([Path::new("caption"), Path::new("show"), &sandbox.photo(name), Path::new("--json")]);
    shown.line()["caption"].as_str().unwrap_or_default().to_owned()
}

fn exiftool(args: &[&str], file: &Path) {
    let status = Command::new("exiftool").args(["-q", "-overwrite_original"]).args(args).arg(file).status();
    assert!(status.unwrap().success(), "{args:?} {file:?}");
}

/// `index --json`, and the numbers of the summary that are not 0.
fn index(sandbox: &Sandbox, more: &[&str]) -> Value {
    let photos = sandbox.photos();
    let args = ["index", photos.to_str().unwrap(), "--json"];
    let mut summary = sandbox.run(args.iter().chain(more)).exits(0).line();
    let object = summary.as_object_mut().unwrap();
    object.retain(|key, value| !["seconds", "schema"].contains(&key.as_str()) && value.as_u64().is_some_and(|n| n > 0));
    summary
}

#[test]
fn metadata_of_another_program_costs_nothing() {
    needs!("exiftool");
    let sandbox = formats();
    for name in FORMATS {
        set(&sandbox, name, &format!("Bild {name}"));
    }
    for name in FORMATS {
        let what: &[&str] = match name {
            // It writes nothing else into a GIF.
            "k-animated.gif" => &["-XMP:Rating=3", "-Comment=seen"],
            _ => &["-Rating=3", "-XMP:Subject=Eule", "-EXIF:DateTimeOriginal=2019:06:01 12:00:00"],
        };
        exiftool(what, &sandbox.photo(name));
    }
    assert_eq!(index(&sandbox, &[]), json!({"refreshed": 9}));
    for name in FORMATS {
        assert_eq!(caption(&sandbox, name), format!("Bild {name}"));
    }
    // What the files say now is known, without a model.
    let dated = sandbox.run(["search", "taken:2019", "--json"]).exits(0).names();
    assert_eq!(dated.len(), 8, "{dated:?}");
    assert_eq!(index(&sandbox, &[]), json!({"unchanged": 9}));
    // Moved and written to at once, twice, once back to nothing.
    fs::create_dir(sandbox.photo("sorted")).unwrap();
    for (at, name) in FORMATS.iter().enumerate() {
        let new = sandbox.photo("sorted").join(format!("{at}-{name}"));
        fs::rename(sandbox.photo(name), &new).unwrap();
        exiftool(if at % 2 == 0 { &["-all="] } else { &["-XMP:Title=Am See"] }, &new);
    }
    assert_eq!(index(&sandbox, &["--prune"]), json!({"moved": 9}));
    for (at, name) in FORMATS.iter().enumerate() {
        assert_eq!(caption(&sandbox, &format!("sorted/{at}-{name}")), format!("Bild {name}"));
    }
    sandbox.run(["check", "--full"]).exits(0);
}

#[test]
fn captions_by_a_model_and_chats_stay_with_the_picture() {
    needs!("exiftool");
    let sandbox = Sandbox::indexed(&["owl", "cat"]);
    let blip2 = |args: &[&str]| {
        let mut command = sandbox.command(args);
        command.env("SNAPSEEK_BLIP2", random_blip2());
        finish(command).exits(0)
    };
    blip2(&["index", "--captions"]);
    blip2(&["ask", "owl.jpg", "What is it?", "--max-new-tokens", "4"]);
    let mut chat = sandbox.command(["chat", "owl.jpg", "--max-new-tokens", "4"]);
    chat.env("SNAPSEEK_BLIP2", random_blip2()).stdin(std::process::Stdio::piped());
    let mut child = crate::support::start(&mut chat);
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"Who?\n").unwrap();
    Output::of(child).exits(0);
    let written = caption(&sandbox, "owl.jpg");
    exiftool(&["-Rating=5"], &sandbox.photo("owl.jpg"));
    let again = blip2(&["index", "--captions", "--json"]).line();
    assert_eq!((&again["embedded"], &again["captioned"], &again["refreshed"]), (&json!(0), &json!(0), &json!(1)));
    assert_eq!(caption(&sandbox, "owl.jpg"), written);
    assert_eq!(sandbox.run(["chats", "list", "owl.jpg", "--json"]).exits(0).lines().len(), 1);
    let seen = blip2(&["ask", "owl.jpg", "What is it?", "--max-new-tokens", "4", "-v"]);
    assert!(!seen.stderr.contains("looked at"), "its encoding is kept: {}", seen.stderr);
}

#[test]
fn a_caption_waits_for_its_picture_and_follows_an_edit() {
    let sandbox = Sandbox::indexed(&["owl", "cat", "dog"]);
    set(&sandbox, "owl.jpg", "Eule im Garten");
    let aside = sandbox.path("aside.jpg");
    fs::rename(sandbox.photo("owl.jpg"), &aside).unwrap();
    assert_eq!(index(&sandbox, &["--prune"]), json!({"unchanged": 2, "removed": 1}));
    assert_eq!(sandbox.status()["waiting"], json!({"captions": 1, "names": 0}));
    let shown = sandbox.run(["status"]).exits(0).text();
    assert!(shown.contains("1 caption for a picture that is gone"), "{shown}");
    fs::rename(&aside, sandbox.photo("eule.jpg")).unwrap();
    assert_eq!(index(&sandbox, &[])["embedded"], Value::Null);
    assert_eq!(caption(&sandbox, "eule.jpg"), "Eule im Garten");
    // Forgotten and indexed again.
    let photos = sandbox.photos();
    sandbox.run([Path::new("forget"), Path::new("--yes"), &photos]);
    sandbox.index().exits(0);
    assert_eq!(caption(&sandbox, "eule.jpg"), "Eule im Garten");
    // Edited: another picture at the same path.
    fs::copy(fixture("photos/africa.jpg"), sandbox.photo("eule.jpg")).unwrap();
    sandbox.index().exits(0);
    assert_eq!(caption(&sandbox, "eule.jpg"), "Eule im Garten");
    let status = sandbox.status();
    assert_eq!(status["carried"][0]["caption"], "Eule im Garten");
    let shown = sandbox.run(["status"]).exits(0).text();
    assert!(shown.contains("1 caption over to edited pictures") && shown.contains("eule.jpg"), "{shown}");
    // Only this throws anything away, and not without a yes.
    sandbox.run(["library", "compact"]).exits(0);
    sandbox.run(["library", "compact", "--discard-orphans"]).exits(2);
    assert_eq!(sandbox.status()["waiting"]["captions"], 1);
    let done = sandbox.run(["library", "compact", "--discard-orphans", "--yes", "--json"]).exits(0).line();
    assert_eq!(done["discarded"], json!({"captions": 1, "names": 0}));
    assert_eq!(sandbox.status()["waiting"]["captions"], 0);
    assert_eq!(caption(&sandbox, "eule.jpg"), "Eule im Garten");
}

#[test]
fn a_caption_follows_nothing_before_every_folder_was_seen() {
    let sandbox = Sandbox::with_photos(&["owl", "cat"]);
    let other = sandbox.path("other");
    fs::create_dir(&other).unwrap();
    fs::copy(fixture("photos/dog.jpg"), other.join("dog.jpg")).unwrap();
    let photos = sandbox.photos();
    sandbox.run([Path::new("index"), &photos, &other]).exits(0);
    set(&sandbox, "owl.jpg", "Eule im Garten");
    // The photo is moved into the other folder, and another one gets its name.
    fs::rename(sandbox.photo("owl.jpg"), other.join("eule.jpg")).unwrap();
    fs::copy(fixture("photos/africa.jpg"), sandbox.photo("owl.jpg")).unwrap();
    sandbox.run([Path::new("index"), &photos]).exits(0);
    assert_eq!(sandbox.status()["waiting"]["captions"], 1);
    sandbox.run(["caption", "show", "owl.jpg"]).exits(1);
    sandbox.run(["index"]).exits(0);
    sandbox.run(["caption", "show", "owl.jpg"]).exits(1);
    assert_eq!(caption(&sandbox, "../other/eule.jpg"), "Eule im Garten");
    assert_eq!((&sandbox.status()["waiting"]["captions"], &sandbox.status()["carried"]), (&json!(0), &json!([])));
    // A name that was free for a while is used again.
    fs::remove_file(other.join("eule.jpg")).unwrap();
    sandbox.run(["index", "--prune"]).exits(0);
    fs::copy(fixture("photos/igloo.jpg"), other.join("eule.jpg")).unwrap();
    sandbox.run(["index"]).exits(0);
    sandbox.run(["caption", "show", "../other/eule.jpg"]).exits(1);
    let file = sandbox.path("a.jsonl");
    assert_eq!(export(&sandbox, "a.jsonl")[1]["gone"], true);
    fs::remove_dir_all(sandbox.library()).unwrap();
    sandbox.run([Path::new("index"), &photos, &other]).exits(0);
    let imported = sandbox.run([Path::new("import"), &file]).exits(0);
    assert!(imported.stderr.contains("1 caption waits for a picture"), "{imported}");
    sandbox.run(["index"]).exits(0);
    sandbox.run(["caption", "show", "../other/eule.jpg"]).exits(1);
    export(&sandbox, "b.jsonl");
    assert_eq!(fs::read(file).unwrap(), fs::read(sandbox.path("b.jsonl")).unwrap());
}

#[test]
fn what_cannot_be_read_yet_may_be_what_is_missing() {
    let sandbox = Sandbox::indexed(&["owl", "cat", "dog"]);
    set(&sandbox, "owl.jpg", "Eule im Garten");
    // The photo is being copied, and another one has its name.
    let owl = fs::read(sandbox.photo("owl.jpg")).unwrap();
    fs::write(sandbox.photo("copy.jpg"), &owl[..owl.len() / 2]).unwrap();
    fs::copy(fixture("photos/africa.jpg"), sandbox.photo("owl.jpg")).unwrap();
    sandbox.index().exits(0);
    assert_eq!(sandbox.status()["waiting"]["captions"], 1);
    fs::write(sandbox.photo("copy.jpg"), &owl).unwrap();
    sandbox.index().exits(0);
    assert_eq!(caption(&sandbox, "copy.jpg"), "Eule im Garten");
    sandbox.run(["caption", "show", "owl.jpg"]).exits(1);

    // A folder whose only photo was moved earlier hides nothing.
    let other = sandbox.path("other");
    fs::create_dir(&other).unwrap();
    fs::copy(fixture("photos/igloo.jpg"), other.join("igloo.jpg")).unwrap();
    let photos = sandbox.photos();
    sandbox.run([Path::new("index"), &other]).exits(0);
    fs::rename(other.join("igloo.jpg"), sandbox.photo("igloo.jpg")).unwrap();
    sandbox.run([Path::new("index"), &photos]).exits(0);
    fs::copy(fixture("photos/koala.jpg"), sandbox.photo("copy.jpg")).unwrap();
    assert_eq!(sandbox.run(["index", "--json"]).exits(0).line()["held_back"], 0);
    assert_eq!(caption(&sandbox, "copy.jpg"), "Eule im Garten");

    // What a run has not looked at is not empty: a forgotten folder.
    fs::create_dir(sandbox.photo("trip")).unwrap();
    fs::copy(fixture("photos/panda.jpg"), sandbox.photo("trip/panda.jpg")).unwrap();
    sandbox.run(["index"]).exits(0);
    set(&sandbox, "trip/panda.jpg", "Pandabaer");
    sandbox.run(["forget", "trip"]).exits(0);
    sandbox.run(["index"]).exits(0);
    fs::copy(fixture("photos/bison.jpg"), sandbox.photo("trip/panda.jpg")).unwrap();
    sandbox.run(["index", "trip"]).exits(0);
    sandbox.run(["index"]).exits(0);
    assert_eq!(caption(&sandbox, "trip/panda.jpg"), "Pandabaer");
}

#[test]
fn what_is_forgotten_inside_a_folder_stays_so() {
    let sandbox = Sandbox::indexed(&["owl", "cat", "dog"]);
    fs::copy(sandbox.photo("cat.jpg"), sandbox.photo("kitten.jpg")).unwrap();
    index(&sandbox, &[]);
    set(&sandbox, "cat.jpg", "Minka");
    sandbox.run(["forget", "dog.jpg", "kitten.jpg"]).exits(0);
    let photos = sandbox.photos();
    sandbox.run([Path::new("forget"), Path::new("--yes"), &photos]).exits(0);
    assert_eq!(index(&sandbox, &[]), json!({"embedded": 1, "copied": 1}));
    let shown = sandbox.run(["status", "-v"]).exits(0).text();
    assert!(shown.contains("2 paths left out") && shown.contains("/dog.jpg"), "{shown}");
    assert_eq!(sandbox.status()["forgotten"].as_array().unwrap().len(), 2);
    let before = export(&sandbox, "a.jsonl");
    assert_eq!(before[1]["paths"].as_array().unwrap().len(), 1, "{before:#?}");
    fs::remove_dir_all(sandbox.library()).unwrap();
    sandbox.index().exits(0);
    sandbox.run([Path::new("import"), &sandbox.path("a.jsonl")]).exits(0);
    assert_eq!(export(&sandbox, "b.jsonl"), before);
    // It comes back when it is named.
    sandbox.run(["index", "dog.jpg"]).exits(0);
    assert_eq!(sandbox.status()["forgotten"].as_array().unwrap().len(), 1);
}

#[test]
fn an_export_says_what_is_damaged() {
    let sandbox = Sandbox::indexed(&["owl", "cat"]);
    set(&sandbox, "owl.jpg", "Eule");
    set(&sandbox, "cat.jpg", "Minka");
    let db = rusqlite::Connection::open(sandbox.library().join("catalogue.sqlite")).unwrap();
    db.execute("UPDATE caption SET written = 'soon' WHERE text = 'Minka'", []).unwrap();
    let file = sandbox.path("a.jsonl");
    let said = sandbox.run([Path::new("export"), &file, Path::new("--json")]).exits(4);
    assert_eq!(said.line(), json!({"schema": 1, "records": 1, "damaged": 1}));
    assert!(said.stderr.contains("damaged records: 1"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 2);
    assert_eq!(sandbox.run(["export", "-"]).exits(4).stdout, fs::read(&file).unwrap());
}

#[test]
fn a_library_of_schema_5_loses_nothing() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.library()).unwrap();
    fs::copy(fixture("library-v5/catalogue.sqlite"), sandbox.library().join("catalogue.sqlite")).unwrap();
    for name in ["owl", "cat", "dog", "baseball"] {
        sandbox.add(name);
    }
    let status = sandbox.status();
    assert_eq!(
        (&status["photos"], &status["captioned"], &status["captioned_by_hand"]),
        (&json!(4), &json!(4), &json!(2))
    );
    // Its files are known by all their bytes: nothing is embedded again.
    assert_eq!(index(&sandbox, &[]), json!({"copied": 4}));
    assert_eq!(caption(&sandbox, "owl.jpg"), "Eule im Garten");
    assert_eq!(caption(&sandbox, "cat.jpg"), "Minka auf dem Sofa");
    assert!(!caption(&sandbox, "dog.jpg").is_empty());
    let status = sandbox.status();
    assert_eq!((&status["photos"], &status["captioned"], &status["conversations"]), (&json!(4), &json!(4), &json!(1)));
    assert_eq!(sandbox.run(["chats", "list", "owl.jpg", "--json"]).exits(0).lines().len(), 1);
    let found = sandbox.run(["search", "cluster:\"Minka und Freunde\"", "--json"]).exits(0).lines();
    assert_eq!(found.len(), 3);
    sandbox.run(["labels", "show", "pets"]).exits(0);
    let lines = export(&sandbox, "a.jsonl");
    let forgotten = json!({"kind": "forgotten", "path": "/tmp/s5/photos/africa.jpg", "forgotten": true});
    assert!(lines.contains(&forgotten), "{lines:#?}");
    assert!(
        lines.iter().any(|line| line["name"] == "Minka und Freunde" && line["pictures"].as_array().unwrap().len() == 3)
    );
    sandbox.run(["check", "--full"]).exits(0);
    // Now metadata may change.
    let owl = sandbox.photo("owl.jpg");
    let bytes = fs::read(&owl).unwrap();
    fs::write(&owl, [&bytes[..2], b"\xFF\xFE\x00\x07hello", &bytes[2..]].concat()).unwrap();
    assert_eq!(index(&sandbox, &[]), json!({"refreshed": 1, "unchanged": 3}));
    assert_eq!(caption(&sandbox, "owl.jpg"), "Eule im Garten");
}

/// The lines that `export` writes to this file.
fn export(sandbox: &Sandbox, file: &str) -> Vec<Value> {
    let file = sandbox.path(file);
    sandbox.run([Path::new("export"), &file]).exits(0);
    fs::read_to_string(&file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_new_library_exports_what_it_imported() {
    let sandbox = Sandbox::indexed(&["owl", "cat", "dog", "africa"]).knowing_words();
    set(&sandbox, "owl.jpg", "Eule im \u{1b}[31mGarten");
    set(&sandbox, "africa.jpg", "gone soon");
    sandbox.run(["classify", "--labels", "cat,dog", "--save-as", "pets"]).exits(0);
    sandbox.run(["cluster", "-k", "2", "--min-size", "1"]).exits(0);
    let name = sandbox.run(["cluster", "--json"]).exits(0).lines()[0]["cluster"].as_str().unwrap().to_owned();
    sandbox.run(["cluster", "rename", &name, "Tiere"]).exits(0);
    sandbox.run(["forget", "dog.jpg"]).exits(0);
    fs::remove_file(sandbox.photo("africa.jpg")).unwrap();
    index(&sandbox, &["--prune"]);
    let before = export(&sandbox, "a.jsonl");
    assert_eq!(before[0], json!({"kind": "snapseek", "format": 1}));
    assert_eq!(before.len(), 6, "{before:#?}");
    let text = fs::read_to_string(sandbox.path("a.jsonl")).unwrap();
    assert!(!text.contains('\u{1b}'), "{text}");
    let owl = before.iter().find(|line| line["text"].as_str().is_some_and(|text| text.contains("Garten"))).unwrap();
    assert_eq!((&owl["by_hand"], owl["picture"].as_str().unwrap().len()), (&json!(true), 64));
    // Nothing is overwritten unasked.
    sandbox.run([Path::new("export"), &sandbox.path("a.jsonl")]).exits(2);
    sandbox.run([Path::new("export"), &sandbox.path("a.jsonl"), Path::new("--force")]).exits(0);
    assert_eq!(sandbox.run(["export", "-"]).exits(0).stdout, text.as_bytes());

    fs::remove_dir_all(sandbox.library()).unwrap();
    sandbox.index().exits(0);
    let file = sandbox.path("a.jsonl");
    let done = sandbox.run([Path::new("import"), &file, Path::new("--json")]).exits(0).line();
    assert_eq!(done["captions"], json!({"added": 2, "updated": 0, "unchanged": 0}), "{done}");
    assert_eq!(
        (&done["forgotten"]["added"], &done["label_sets"]["added"], &done["names"]["added"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(export(&sandbox, "b.jsonl"), before);
    assert_eq!(fs::read(sandbox.path("b.jsonl")).unwrap(), text.as_bytes());
    let again = sandbox.run([Path::new("import"), &file]).exits(0).text();
    assert!(again.contains("2 captions: 0 added, 0 replaced by newer ones, 2 as they were"), "{again}");
    assert_eq!(sandbox.run(["search", "label:pets", "--json"]).exits(0).names().len(), 2);
    sandbox.run(["check", "--full"]).exits(0);
}

#[test]
fn what_is_no_export_is_refused_with_its_line_and_changes_nothing() {
    let sandbox = Sandbox::indexed(&["owl"]);
    set(&sandbox, "owl.jpg", "Eule");
    let head = r#"{"kind":"snapseek","format":1}"#;
    let file = sandbox.path("x.jsonl");
    for (text, what) in [
        ("", "empty"),
        ("hello", "line 1"),
        ("{\"kind\":\"caption\"}", "line 1"),
        ("{\"kind\":\"snapseek\",\"format\":99}", "newer version"),
        (&format!("{head}\n{{\"kind\":\"poem\"}}"), "line 2"),
        (&format!("{head}\n\n{{\"kind\":\"forgotten\",\"path\":7,\"forgotten\":true}}"), "line 3"),
        (
            &format!(
                "{head}\n{}",
                json!({"kind": "caption", "picture": "00".repeat(32), "paths": [], "text": "x".repeat(10_001),
                    "by_hand": true, "written": "2026-01-01T00:00:00Z"})
            ),
            "line 2: a caption is refused: it has 10001 characters; 10000 are allowed",
        ),
        (
            &format!(
                "{head}\n{}",
                json!({"kind": "caption", "picture": "zz", "paths": [], "text": "x", "by_hand": true,
                    "written": "2026-01-01T00:00:00Z"})
            ),
            "line 2",
        ),
    ] {
        fs::write(&file, text).unwrap();
        let refused = sandbox.run([Path::new("import"), &file]).exits(5);
        assert!(refused.stderr.contains(what) && refused.stderr.contains("x.jsonl"), "{text}: {}", refused.stderr);
    }
    assert_eq!(caption(&sandbox, "owl.jpg"), "Eule");
    assert_eq!(export(&sandbox, "a.jsonl").len(), 2);
}

#[test]
fn what_awaits_embedding_is_told_everywhere() {
    let sandbox = Sandbox::indexed(&["owl", "cat", "dog"]);
    let db = rusqlite::Connection::open(sandbox.library().join("catalogue.sqlite")).unwrap();
    db.execute("UPDATE embedding SET vector = zeroblob(1536) WHERE photo = 1", []).unwrap();
    drop(db);
    sandbox.run(["check", "--full", "--repair"]).exits(0);
    let status = sandbox.status();
    assert_eq!(status["awaiting_embedding"], 1, "{status}");
    let says = |output: Output| format!("{}{}", output.text(), output.stderr);
    for args in [vec!["status"], vec!["check"], vec!["check", "--full"]] {
        let said = says(sandbox.run(&args));
        assert!(said.contains("1 photo awaits embedding") && !said.contains("in order"), "{args:?}: {said}");
    }
    for args in [vec!["search", "a dog"], vec!["classify", "--labels", "cat,dog"]] {
        let said = says(sandbox.run(&args));
        assert!(said.contains("1 photo awaits embedding"), "{args:?}: {said}");
    }
}
