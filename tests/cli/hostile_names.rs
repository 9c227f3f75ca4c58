//! File names, camera names and typed text are foreign: none is lost, none is changed, none controls a terminal.

use crate::exif::with_exif;
use crate::files::Nobody;
use crate::support::{Sandbox, finish, fixture, random_clip};
use crate::terminal::{PAYLOAD, foreign, is_control, on_a_terminal};
use base64::Engine;
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Sixteen names that file systems allow, and a photo for each.
fn odd_names() -> Vec<(Vec<u8>, &'static str)> {
    let longest = [vec![b'x'; 251], b".jpg".to_vec()].concat();
    vec![
        (b"latin-1 caf\xe9.jpg".to_vec(), "cat"),
        (b"\xff\xfe\xc3.jpg".to_vec(), "dog"),
        (b"two\nlines.jpg".to_vec(), "panda"),
        (b"tab\tand\rreturn.jpg".to_vec(), "igloo"),
        (b"\x1b]0;owned\x07\x1b[31mred.jpg".to_vec(), "owl"),
        ("c1 \u{9b}31m \u{202e}gpj.exe.jpg".into(), "petra"),
        ("party 🎉👩‍👩‍👧 日本.jpg".into(), "bulb"),
        ("caf\u{e9}.jpg".into(), "pencil"),
        ("cafe\u{301}.jpg".into(), "windmill"),
        (b"--library.jpg".to_vec(), "koala"),
        (b"-n.JPG".to_vec(), "chair"),
        (b"'quotes\" and \\backslash\\.jpg".to_vec(), "pan"),
        (b"$(touch owned) `id` ; *?[!]{}&.jpg".to_vec(), "crab"),
        (b" leading and trailing . .jpg".to_vec(), "duck"),
        (b"%s%n%00<script>.jpg".to_vec(), "pig"),
        (longest, "fish-1"),
    ]
}

fn sandbox_of_odd_names() -> (Sandbox, BTreeSet<Vec<u8>>) {
    let sandbox = Sandbox::new();
    for (name, photo) in odd_names() {
        fs::copy(fixture(&format!("photos/{photo}.jpg")), sandbox.photo(OsStr::from_bytes(&name))).unwrap();
    }
    let paths =
        odd_names().into_iter().map(|(name, _)| [sandbox.photos().as_os_str().as_bytes(), b"/", &name].concat());
    let paths = paths.collect();
    (sandbox, paths)
}

/// The exact path in a JSON hit or failure.
fn exact(value: &Value) -> Vec<u8> {
    match value["path_base64"].as_str() {
        Some(base64) => base64::engine::general_purpose::STANDARD.decode(base64).unwrap(),
        None => value["path"].as_str().unwrap().as_bytes().to_vec(),
    }
}

#[test]
fn odd_names_are_indexed_and_come_back_byte_for_byte() {
    let (sandbox, paths) = sandbox_of_odd_names();
    let summary = sandbox.index().exits(0).line();
    assert_eq!((&summary["embedded"], &summary["failed"]), (&16.into(), &0.into()));
    assert_eq!(sandbox.index().exits(0).line()["unchanged"], 16);

    let everything = ["search", "a photo", "--all", "-n", "99"];
    let json = sandbox.run(everything.iter().chain(&["--json"]));
    assert_eq!(json.lines().iter().map(exact).collect::<BTreeSet<_>>(), paths);
    let plain = json.text().replace("👩‍👩‍👧", "");
    assert!(plain.len() < json.text().len(), "a family is one sign");
    assert!(plain.chars().all(|c| c == '\n' || !is_control(c)), "JSON is safe to look at");

    let bare = sandbox.run(everything.iter().chain(&["--paths0"]));
    assert_eq!(bare.stdout.last(), Some(&0));
    let split = bare.stdout.strip_suffix(b"\0").unwrap().split(|byte| *byte == 0).map(<[u8]>::to_vec);
    assert_eq!(split.collect::<BTreeSet<_>>(), paths);

    // In a pipe, the table contains the exact bytes too.
    let table = sandbox.run(everything);
    for path in &paths {
        let cell = [b"\t", path.as_slice(), b"\t"].concat();
        assert!(table.stdout.windows(cell.len()).any(|window| window == cell), "{}", path.escape_ascii());
    }
}

#[test]
fn a_photo_is_found_and_opened_by_its_odd_name() {
    let (sandbox, _) = sandbox_of_odd_names();
    sandbox.index().exits(0);
    for (name, _) in odd_names() {
        let shown = name.escape_ascii();
        let path = sandbox.photo(OsStr::from_bytes(&name));
        // A photo of the library is not similar to itself: the catalogue knew it under this name.
        let similar = sandbox.run([OsStr::new("similar"), path.as_os_str(), OsStr::new("-n99"), OsStr::new("--json")]);
        let hits = similar.exits(0).lines();
        assert_eq!(hits.len(), 15, "{shown}");
        assert!(hits.iter().all(|hit| exact(hit) != path.as_os_str().as_bytes()), "{shown}");
    }
    for (query, photo) in [
        ("path:\"two\nlines\"", "two\nlines.jpg"),
        ("path:🎉👩‍👩‍👧", "party 🎉👩‍👩‍👧 日本.jpg"),
        ("path:日本", "party 🎉👩‍👩‍👧 日本.jpg"),
        ("path:backslash\\", "'quotes\" and \\backslash\\.jpg"),
        ("path:<SCRIPT>", "%s%n%00<script>.jpg"),
        ("path:--library", "--library.jpg"),
    ] {
        assert_eq!(sandbox.run(["search", query, "--json"]).exits(0).names(), [photo], "{query}");
    }
    let cafes = sandbox.run(["search", "path:café -path:latin", "--json"]).exits(0).names();
    assert_eq!(cafes.len(), 2, "an accent may be written in two ways: {cafes:?}");

    let copies = sandbox.path("copies");
    let all = ["search", "a photo", "--all", "-n", "99", "-q", "--copy-to", copies.to_str().unwrap()];
    sandbox.run(all);
    let copied: BTreeSet<Vec<u8>> =
        fs::read_dir(&copies).unwrap().map(|entry| entry.unwrap().file_name().into_vec()).collect();
    assert_eq!(copied, odd_names().into_iter().map(|(name, _)| name).collect());

    for (name, _) in odd_names() {
        let path = sandbox.photo(OsStr::from_bytes(&name));
        sandbox.run([OsStr::new("forget"), path.as_os_str()]).exits(0);
    }
    assert_eq!(sandbox.status()["photos"], 0);
}

#[test]
fn what_may_not_be_read_is_named_and_the_rest_is_indexed() {
    needs!("setpriv");
    let sandbox = Sandbox::with_photos(&["cat", "dog", "panda"]);
    let nobody = Nobody::new(&sandbox);
    let mut refused = BTreeSet::new();
    for (n, photo) in ["owl", "igloo", "bulb"].iter().enumerate() {
        let name = [format!("locked {n} ").as_bytes(), b"\xff.jpg"].concat();
        let path = sandbox.photo(OsString::from_vec(name));
        fs::rename(sandbox.add(photo), &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        refused.insert(path);
    }
    // One folder that cannot be listed, and one whose files cannot be accessed.
    for (folder, mode) in [("secret", 0o000), ("names-only", 0o444)] {
        let path = sandbox.photo(folder);
        fs::create_dir(&path).unwrap();
        fs::rename(sandbox.add("petra"), path.join("petra.jpg")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    refused.insert(sandbox.photo("secret"));
    refused.insert(sandbox.photo("names-only/petra.jpg"));

    let run = |args: &[&str]| finish(nobody.command(nobody.program.to_str().unwrap(), args));
    for unchanged in [false, true] {
        let output = run(&["index", "photos", "--json", "-v"]).exits(if unchanged { 0 } else { 4 });
        let summary = output.line();
        let key = if unchanged { "unchanged" } else { "embedded" };
        assert_eq!((&summary[key], &summary["failed"]), (&3.into(), &5.into()), "{output}");
        assert_eq!(summary["failures"]["unreadable"], 5);
        for name in ["locked 0", "locked 1", "locked 2", "secret", "names-only/petra.jpg"] {
            assert_eq!(output.stderr.matches(name).count(), 1, "{name}: {output}");
        }
        let status = run(&["status", "--json"]).exits(0).line();
        let failures = status["failures"].as_array().unwrap();
        let named: BTreeSet<PathBuf> = failures.iter().map(|f| OsString::from_vec(exact(f)).into()).collect();
        assert_eq!(named, refused);
    }

    // Once they may be read, the next run reads them without a flag.
    for path in refused.iter().map(|path| if path.ends_with("petra.jpg") { path.parent().unwrap() } else { path }) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let summary = run(&["index", "photos", "--json"]).exits(0).line();
    assert_eq!((&summary["unchanged"], &summary["failed"]), (&3.into(), &0.into()));
    assert_eq!(run(&["status", "--json"]).line()["failed"], 0);
}

/// A sandbox in which every file name, camera and failure message contains [`PAYLOAD`].
pub(crate) fn hostile_sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let cat = fs::read(fixture("photos/cat.jpg")).unwrap();
    let dog = fs::read(fixture("photos/dog.jpg")).unwrap();
    let camera = format!("Canon {PAYLOAD}");
    fs::create_dir(sandbox.photo(format!("trip {PAYLOAD}"))).unwrap();
    let put = |name: String, bytes: &[u8]| fs::write(sandbox.photo(name), bytes).unwrap();
    put(format!("cat {PAYLOAD}\n.jpg"), &with_exif(&cat, camera.as_bytes(), b"2019:07:14 12:00:00"));
    put(format!("trip {PAYLOAD}/dog {PAYLOAD}.jpg"), &with_exif(&dog, camera.as_bytes(), PAYLOAD.as_bytes()));
    put(format!("broken {PAYLOAD}.jpg"), PAYLOAD.as_bytes());
    fs::write(sandbox.photo(OsString::from_vec(b"raw \xff\x1b[31m\x9b.jpg".to_vec())), b"broken too").unwrap();
    sandbox
}

#[test]
fn hostile_text_never_drives_the_terminal() {
    needs!("script");
    let sandbox = hostile_sandbox();
    let cat = sandbox.photo(format!("cat {PAYLOAD}\n.jpg"));
    let gone = format!("gone {PAYLOAD}.jpg");
    let photos = sandbox.photos();
    let indexing = [OsStr::new("index"), photos.as_os_str(), OsStr::new("-v")];
    for _ in 0..2 {
        let bytes = on_a_terminal(&sandbox, &indexing, false);
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("broken \\x1b]0;owned\\x07"), "the name is shown, escaped: {}", bytes.escape_ascii());
        assert!(!foreign(&bytes, true).contains(is_control), "{}", bytes.escape_ascii());
    }

    let query = format!("@{PAYLOAD}");
    let filter = format!("cat nofilter:{PAYLOAD}");
    let date = format!("taken:{PAYLOAD}");
    let phrase = format!("\"{PAYLOAD}");
    let model = format!("model {PAYLOAD}");
    let commands: &[(&[&str], bool)] = &[
        (&["search", "a cat", "--all"], true),
        (&["search", "a cat", "--all", "-v"], true),
        (&["search", "a cat", "--all", "--json"], true),
        (&["search", "a cat", "--all", "--paths0"], true),
        (&["search", "camera:canon", "--json"], true),
        (&["similar", cat.to_str().unwrap()], true),
        (&["similar", &gone], true),
        (&["status", "-v"], true),
        (&["status", "--json"], true),
        (&["check"], false),
        (&["search", &query], true),
        (&["search", &filter], false),
        (&["search", &date], false),
        (&["search", &phrase], false),
        (&["index", &gone], true),
        (&["forget", &gone], false),
        (&["demo", &gone], true),
        (&["embed", "--image", &gone, "--text", PAYLOAD], true),
        (&["embed", "--image", cat.to_str().unwrap()], true),
        (&["tokens", PAYLOAD], false),
        (&["status", "--library", &gone], true),
        (&["status", "--model", &model], false),
        (&["search", "cat", "--model", &model], true),
        (&["models", "path", &model], true),
        (&["models", "pull", &model], true),
        (&["completions", &gone], true),
        (&["search", "cat", &format!("--{PAYLOAD}")], true),
        (&["search", "cat", "-n", &gone], true),
        (&[&gone], true),
    ];
    for (args, echoes) in commands {
        for without_color in [false, true] {
            let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
            let bytes = on_a_terminal(&sandbox, &args, without_color);
            let shown = format!("{args:?}: {}", bytes.escape_ascii());
            // On a terminal too, `--paths0` separates paths by NUL, and `embed` its columns by tabs.
            let left = foreign(&bytes, false).replace(['\0', '\t'], "");
            assert!(!left.contains(is_control), "{shown}");
            if without_color {
                assert!(!bytes.contains(&0x1b), "{shown}");
            }
            if *echoes {
                assert!(left.contains("52;c;AAAA"), "it is shown, escaped: {shown}");
            }
        }
    }
}

#[test]
fn hostile_settings_and_model_files_do_not_either() {
    needs!("script");
    let sandbox = Sandbox::with_photos(&["cat"]);
    let folder = sandbox.path(format!("model {PAYLOAD}"));
    fs::create_dir(&folder).unwrap();
    for file in fs::read_dir(random_clip()).unwrap() {
        let path = file.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    fs::write(folder.join("config.json"), format!("{{\"{PAYLOAD}\": ")).unwrap();
    let with_model = ["embed", "--text", "x", "--model", folder.to_str().unwrap()].map(OsStr::new);
    let config = sandbox.path("home/config/snapseek/config.toml");
    for without_color in [false, true] {
        let bytes = on_a_terminal(&sandbox, &with_model, without_color);
        assert!(!foreign(&bytes, false).contains(is_control), "{}", bytes.escape_ascii());
        assert!(String::from_utf8_lossy(&bytes).contains("\\x1b]0;owned"), "{}", bytes.escape_ascii());

        fs::create_dir_all(config.parent().unwrap()).unwrap();
        fs::write(&config, format!("# {PAYLOAD}\nmodle = \"{PAYLOAD}\"\n")).unwrap();
        let bytes = on_a_terminal(&sandbox, &[OsStr::new("status")], without_color);
        assert!(!foreign(&bytes, false).contains(is_control), "{}", bytes.escape_ascii());
        assert!(!bytes.is_empty());
        fs::remove_file(&config).unwrap();
    }
}
