//! Damage to the library's files: never a crash, never a wrong answer, found by `check`, repaired where possible.

use crate::files::Nobody;
use crate::support::{Output, PROGRAM, Sandbox, finish, fixture};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

const PHOTOS: [&str; 12] =
    ["cat", "dog", "owl", "panda", "koala", "lemur", "horse", "sheep", "windmill", "petra", "wrench", "plate"];

/// The answers to several searches, one of them by words alone; they must not depend on the state of the caches.
fn answers(sandbox: &Sandbox) -> Vec<Vec<u8>> {
    let mut answers = Vec::new();
    for args in [["search", "a dog"], ["search", "owl tag:owl"], ["similar", "koala.jpg"]] {
        let flags = ["-n", "100", "--json"];
        answers.push(sandbox.run(args.into_iter().chain(flags)).exits(0).stdout);
    }
    answers.push(sandbox.run(["search", "windmill", "--by", "words", "--json"]).exits(0).stdout);
    answers
}

/// The only file in a cache's folder.
fn cache_file(sandbox: &Sandbox, folder: &str) -> PathBuf {
    let only = |folder: &Path| {
        let mut files = fs::read_dir(folder).unwrap();
        let path = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none(), "{} holds one generation", folder.display());
        path
    };
    let path = only(&sandbox.library().join(folder));
    // Vectors have a folder for each model.
    if path.is_dir() { only(&path) } else { path }
}

/// Ways in which a file's bytes may be damaged.
fn damaged(sound: &[u8]) -> Vec<(String, Vec<u8>)> {
    let length = sound.len();
    let mut cases = Vec::new();
    for at in [0, 9, 30, 70, 100, 120, 128, length / 3, length / 2, length - 1] {
        let mut bytes = sound.to_vec();
        bytes[at] ^= 1 << (at % 8);
        cases.push((format!("a bit flipped at {at}"), bytes));
    }
    for keep in [0, 1, 64, 127, 128, 129, length / 2, length - 1] {
        cases.push((format!("cut to {keep} bytes"), sound[..keep].to_vec()));
    }
    let mut bytes = sound.to_vec();
    bytes[length / 2..].fill(0);
    cases.push(("the second half zeroed".into(), bytes));
    cases.push(("zeroed".into(), vec![0; length]));
    cases.push(("all ones, so every length is enormous".into(), vec![0xff; length]));
    cases.push(("grown".into(), [sound, b"more"].concat()));
    cases
}

#[test]
fn damaged_caches_answer_as_before_and_are_named_and_mended() {
    let sandbox = Sandbox::indexed(&PHOTOS);
    let before = answers(&sandbox);
    for folder in ["vectors", "text"] {
        let path = cache_file(&sandbox, folder);
        let sound = fs::read(&path).unwrap();
        for (what, bytes) in damaged(&sound) {
            fs::write(&path, bytes).unwrap();
            assert_eq!(answers(&sandbox), before, "{folder}: {what}");
            let found = sandbox.run(["check"]).exits(5).text();
            assert!(found.contains(path.to_str().unwrap()), "{folder}: {what}: {found}");
            assert!(found.contains("damaged"), "{folder}: {what}: {found}");
        }
        // One repair rebuilds the cache.
        let repaired = sandbox.run(["check", "--repair"]).exits(0).text();
        assert!(repaired.contains("everything is in order now"), "{repaired}");
        assert_eq!(sandbox.run(["check", "--full"]).exits(0).text(), "everything is in order\n");
        assert_eq!(answers(&sandbox), before);
        assert!(fs::metadata(cache_file(&sandbox, folder)).unwrap().len() > 128);
    }
}

#[test]
fn a_missing_cache_is_told_as_a_fact_and_made_by_repair() {
    let sandbox = Sandbox::indexed(&PHOTOS);
    let before = answers(&sandbox);
    for (folder, name) in [("vectors", "vector cache"), ("text", "full-text cache")] {
        fs::remove_dir_all(sandbox.library().join(folder)).unwrap();
        let told = sandbox.run(["check"]).exits(0).text();
        let [fact, verdict] = told.lines().collect::<Vec<_>>()[..] else { panic!("{told}") };
        assert!(fact.starts_with(&format!("the {name} is missing")) && fact.contains("check --repair"), "{told}");
        assert_eq!(verdict, "nothing is damaged");
        let told = sandbox.run(["check", "--json"]).exits(0).line();
        assert_eq!((&told["findings"], &told["made"]), (&json!([]), &json!([])), "{told}");
        assert_eq!(told["late"], json!([fact]));
        assert!(!sandbox.library().join(folder).exists());

        let told = sandbox.run(["check", "--repair"]).exits(0).text();
        assert_eq!(told, format!("made: the {name}\neverything is in order\n"));
        assert!(cache_file(&sandbox, folder).exists());
        assert_eq!(sandbox.run(["check", "--full"]).exits(0).text(), "everything is in order\n");
        assert_eq!(answers(&sandbox), before);
    }
    // Beside damage, too.
    let path = cache_file(&sandbox, "text");
    fs::write(&path, b"no cache").unwrap();
    fs::remove_dir_all(sandbox.library().join("vectors")).unwrap();
    let told = sandbox.run(["check", "--repair", "--json"]).exits(0).line();
    assert_eq!((&told["after_repair"], &told["made"]), (&json!([]), &json!(["vector cache"])), "{told}");
    assert_eq!(told["findings"].as_array().unwrap().len(), 1);
    assert_eq!(sandbox.run(["check", "--full"]).exits(0).text(), "everything is in order\n");
    assert_eq!(answers(&sandbox), before);
}

#[test]
fn lost_and_swapped_caches_answer_as_before_and_come_back_with_the_next_run() {
    let sandbox = Sandbox::indexed(&PHOTOS);
    let before = answers(&sandbox);
    let (vectors, text) = (cache_file(&sandbox, "vectors"), cache_file(&sandbox, "text"));
    let sound = [fs::read(&vectors).unwrap(), fs::read(&text).unwrap()];
    let of_another_library = Sandbox::indexed(&PHOTOS[..3]);

    fs::remove_file(&vectors).unwrap();
    fs::remove_file(&text).unwrap();
    assert_eq!(answers(&sandbox), before, "both deleted");
    assert_eq!(sandbox.index().exits(0).line()["embedded"], 0);
    cache_file(&sandbox, "vectors");
    cache_file(&sandbox, "text");
    assert_eq!(answers(&sandbox), before, "made anew");

    fs::write(&vectors, &sound[1]).unwrap();
    fs::write(&text, &sound[0]).unwrap();
    assert_eq!(answers(&sandbox), before, "swapped");
    for (path, folder) in [(&vectors, "vectors"), (&text, "text")] {
        fs::copy(cache_file(&of_another_library, folder), path).unwrap();
    }
    assert_eq!(answers(&sandbox), before, "those of another library");
    sandbox.index().exits(0);
    assert_eq!(answers(&sandbox), before);
    sandbox.run(["check", "--full"]).exits(0);

    // A cache from before the last changes: later changes are looked up in the catalogue.
    let old =
        [fs::read(cache_file(&sandbox, "vectors")), fs::read(cache_file(&sandbox, "text"))].map(|bytes| bytes.unwrap());
    fs::remove_file(sandbox.photo("dog.jpg")).unwrap();
    sandbox.add("hedgehog");
    sandbox.index().exits(0);
    sandbox.run(["check", "--repair"]).exits(0);
    let after = sandbox.ranking("a dog");
    for (folder, bytes) in [("vectors", &old[0]), ("text", &old[1])] {
        fs::write(cache_file(&sandbox, folder), bytes).unwrap();
    }
    assert_eq!(sandbox.ranking("a dog"), after, "older generations");
    assert!(!after.iter().any(|(name, _)| name == "dog.jpg"));
    assert!(after.iter().any(|(name, _)| name == "hedgehog.jpg"));
}

/// Runs several commands on a library whose catalogue is damaged. They may answer or refuse, but not crash.
fn survives(sandbox: &Sandbox, what: &str) -> Vec<Output> {
    let mut outputs = Vec::new();
    for args in [vec!["search", "a dog", "--json"], vec!["status"], vec!["check", "--full"], vec!["index", "."]] {
        let output = sandbox.run(&args);
        assert!(output.code() < 128, "{what}: {args:?}: {output}");
        assert!(!output.stderr.contains("panicked"), "{what}: {args:?}: {output}");
        assert!(output.code() == 0 || !output.stderr.is_empty() || !output.stdout.is_empty(), "{what}: {args:?}");
        outputs.push(output);
    }
    outputs
}

fn catalogue(sandbox: &Sandbox) -> PathBuf {
    sandbox.library().join("catalogue.sqlite")
}

/// Replaces the catalogue, and removes the side files of the old one.
fn put(path: &Path, bytes: &[u8]) {
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", path.display()));
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_catalogue_is_an_error_and_no_crash() {
    let sandbox = Sandbox::indexed(&PHOTOS);
    let path = catalogue(&sandbox);
    let sound = fs::read(&path).unwrap();
    let length = sound.len();
    let refused = |what: &str, bytes: &[u8]| {
        put(&path, bytes);
        let [search, status, check, _] = &survives(&sandbox, what)[..] else { unreachable!() };
        for output in [search, status] {
            assert_ne!(output.code(), 0, "{what}: {output}");
            assert_eq!(output.stdout, b"", "{what}: a refusal gives no results");
        }
        assert_ne!(check.code(), 0, "{what}: {check}");
        let said = format!("{}{}", check.text(), check.stderr);
        assert!(said.contains("library"), "{what}: {said}");
    };
    refused("no database at all", "this is a text file, not a catalogue\n".repeat(200).as_bytes());
    refused("the first page zeroed", &[&[0; 4096], &sound[4096..]].concat());
    refused("half of it", &sound[..length / 2]);
    refused("cut within the first page", &sound[..1000]);
    for n in 0..12 {
        let mut bytes = sound.clone();
        let start = 4096 + n * (length - 8192) / 12;
        bytes[start..start + 512].fill(0xa5);
        put(&path, &bytes);
        survives(&sandbox, &format!("512 bytes overwritten at {start}"));
    }
    put(&path, &sound);
    sandbox.run(["check", "--full"]).exits(0);
}

#[test]
fn a_damaged_embedding_is_left_out_named_and_computed_again() {
    let sandbox = Sandbox::indexed(&PHOTOS);
    let before = sandbox.content();
    let line = sandbox.run(["embed", "--json", "--image", "koala.jpg"]).exits(0).line();
    let vector: Vec<u8> =
        line["embedding"].as_array().unwrap().iter().flat_map(|v| (v.as_f64().unwrap() as f32).to_le_bytes()).collect();
    let path = catalogue(&sandbox);
    let mut bytes = fs::read(&path).unwrap();
    // The bytes as the catalogue stores them: even if a row spills into another page, its beginning is in one piece. A
    // page that was split keeps a stale copy in its free space, so damage every copy.
    let copies: Vec<usize> =
        bytes.windows(64).enumerate().filter(|(_, w)| *w == &vector[64..128]).map(|(at, _)| at).collect();
    assert!(!copies.is_empty(), "the embedding stands in the catalogue");
    copies.iter().for_each(|at| bytes[at + 2] ^= 0x40);
    put(&path, &bytes);
    for folder in ["vectors", "text"] {
        fs::remove_file(cache_file(&sandbox, folder)).unwrap();
    }
    let found = sandbox.run(["check", "--full"]).exits(5).text();
    assert!(found.contains("embedding") && found.contains("damaged"), "{found}");
    let names = sandbox.run(["search", "a koala", "--all", "--by", "meaning", "--json"]).names();
    assert!(!names.contains(&"koala.jpg".to_owned()), "a damaged embedding must not be ranked: {names:?}");
    sandbox.run(["check", "--repair", "--full"]).exits(0);
    assert_eq!(sandbox.index().exits(0).line()["embedded"], 1);
    assert_eq!(sandbox.content(), before);
}

#[test]
fn a_catalogue_of_a_newer_version_is_refused_and_left_as_it_is() {
    let sandbox = Sandbox::indexed(&PHOTOS[..2]);
    let path = catalogue(&sandbox);
    let mut bytes = fs::read(&path).unwrap();
    // SQLite's user_version, big-endian at byte 60 of the file.
    bytes[60..64].copy_from_slice(&4_000_u32.to_be_bytes());
    put(&path, &bytes);
    for output in survives(&sandbox, "newer") {
        assert_ne!(output.code(), 0, "{output}");
        let said = format!("{}{}", output.text(), output.stderr);
        assert!(said.contains("4000") && said.contains("newer"), "{said}");
    }
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn no_command_that_reads_makes_a_library() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    let reading: [&[&str]; 21] = [
        &["status"],
        &["check", "--full", "--repair"],
        &["search", "a cat"],
        &["similar", "cat.jpg"],
        &["cluster"],
        &["cluster", "--csv"],
        &["map", "--svg", "map.svg"],
        &["describe"],
        &["duplicates"],
        &["caption", "show", "cat.jpg"],
        &["caption", "set", "cat.jpg", "a cat"],
        &["caption", "clear", "cat.jpg"],
        &["chats", "list"],
        &["chats", "show", "1"],
        &["classify", "--labels", "cat,dog", "--save-as", "pets"],
        &["labels", "list"],
        &["labels", "delete", "pets"],
        &["forget", "cat.jpg"],
        &["reindex"],
        &["index"],
        &["tui", "--pictures", "none"],
    ];
    let library = sandbox.library();
    for args in reading {
        let refused = sandbox.run(args);
        assert!(refused.code() != 0 && !library.exists(), "{args:?}: {refused}");
    }
    fs::create_dir(&library).unwrap();
    for bytes in [&b""[..], b"x", b"SQLite format 3\0", &[b'y'; 5_000]] {
        let file = catalogue(&sandbox);
        fs::write(&file, bytes).unwrap();
        for args in reading {
            let refused = sandbox.run(args);
            assert!(refused.code() != 0 && !refused.stderr.contains("panicked"), "{args:?}: {refused}");
            assert_eq!(fs::read(&file).unwrap(), bytes, "{args:?}: {refused}");
            assert_eq!(fs::read_dir(&library).unwrap().count(), 1, "{args:?}: {refused}");
        }
        let status = sandbox.run(["status"]);
        let (code, says) = if bytes.is_empty() { (3, "there is no library") } else { (5, "is damaged") };
        assert!(status.code() == code && status.stderr.contains(says), "{status}");
        assert!(status.stderr.contains(library.to_str().unwrap()), "{status}");
    }
    // Nor does `index` replace what is there.
    assert!(sandbox.index().exits(5).stderr.contains("is damaged"));
    fs::write(catalogue(&sandbox), "").unwrap();
    sandbox.index().exits(0);
    assert_eq!(sandbox.status()["photos"], 1);
}

#[test]
fn a_read_error_is_not_called_damage() {
    needs!("strace");
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    let file = catalogue(&sandbox);
    let aside = sandbox.path("aside.sqlite");
    fs::copy(&file, &aside).unwrap();
    let run = |inject: &str, path: &Path, args: &[&str]| {
        let call = inject.split(':').next().unwrap();
        let mut command = sandbox.command_of("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-P"]).arg(path);
        command.args(["-e", &format!("trace={call}"), "-e", &format!("inject={inject}"), PROGRAM]).args(args);
        finish(command)
    };
    let caches = ["vectors", "text"].map(|folder| cache_file(&sandbox, folder));
    for args in [&["status"][..], &["search", "a cat"], &["check", "--full"], &["index", "."]] {
        let many = [1, 2, 3, 4, 6, 9, 14, 20, 30].map(|n| format!("pread64:error=EIO:when={n}+"));
        let once = [2, 4, 7, 12].map(|n| format!("pread64:error=EIO:when={n}"));
        let others = ["openat:error=EMFILE", "openat:error=EACCES"].map(String::from);
        for inject in many.iter().chain(&once).chain(&others) {
            let output = run(inject, &file, args);
            let said = format!("{}{}", output.text(), output.stderr);
            for wrong in ["is damaged", "malformed", "not a database", "there is no library", "panicked"] {
                assert!(!said.contains(wrong), "{args:?}, {inject}: {output}");
            }
            assert!(!said.contains("disk I/O error: disk I/O error"), "{output}");
            assert!(output.code() == 0 || said.contains(file.to_str().unwrap()), "{args:?}, {inject}: {output}");
        }
    }
    // A cache that cannot be opened is slower, but not damaged.
    for cache in &caches {
        for error in ["EMFILE", "EACCES", "EIO"] {
            let inject = format!("openat:error={error}");
            let found = run(&inject, cache, &["check", "--full"]).exits(5).text();
            assert!(found.contains("cannot be read") && found.contains("try again"), "{error}: {found}");
            assert!(!found.contains("damaged") && found.contains(cache.to_str().unwrap()), "{error}: {found}");
            run(&inject, cache, &["search", "a cat"]).exits(0);
        }
    }
    put(&file, &fs::read(&aside).unwrap());
    sandbox.run(["check", "--full"]).exits(0);
}

#[test]
fn a_full_disk_is_named_with_what_is_free_and_the_library_stays() {
    needs!("unshare");
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    let disk = sandbox.path("disk");
    fs::create_dir(&disk).unwrap();
    fs::create_dir(sandbox.path("more")).unwrap();
    fs::copy(fixture("photos/owl.jpg"), sandbox.path("more/owl.jpg")).unwrap();
    // Each command with what it says, between two marks.
    let script = r#"
        mount -t tmpfs -o size=3m none "$1" || exit 77
        export SNAPSEEK_LIBRARY="$1/library"
        "$0" index -q . || exit 1
        head -c 9000000 /dev/zero > "$1/fill" 2> /dev/null
        run() { echo "== $*"; "$0" "$@" 2>&1; echo "-- $?"; }
        run search "a cat" --by words
        run check --full
        run index ../more
        run caption set cat.jpg "a cat"
        run forget cat.jpg
        run cluster -k 2
        run search "a cat" --all --html "$1/page.html"
        run search "a cat" --all --copy-to "$1/copies"
        echo "== stdout"; "$0" search "a cat" --json 2>&1 > "$1/out"; echo "-- $?"
        ls "$1" "$1/copies" > ../left
        rm "$1/fill"
        run index ../more
        run check --full
        mkdir ../small; mount -t tmpfs -o size=64k none ../small
        SNAPSEEK_LIBRARY="$1/../small/library"
        run index .
    "#;
    let mut command = sandbox.command_of("unshare");
    command.args(["-m", "sh", "-c", script, PROGRAM]).arg(&disk);
    let output = finish(command);
    if output.code() == 77 || output.stderr.contains("unshare failed") {
        // Only root may mount.
        return;
    }
    let said = output.exits(0).text();
    let parts: Vec<(&str, &str)> = said.split("== ").skip(1).map(|part| part.split_once('\n').unwrap()).collect();
    let [words, check, index, set, forget, cluster, html, copy, stdout, later, sound, small] = parts[..] else {
        panic!("{said}")
    };
    for (what, text) in [words, check, later, sound] {
        assert!(text.ends_with("-- 0\n"), "{what}: {text}");
    }
    assert!(words.1.contains("cat.jpg"), "{}", words.1);
    for (what, text) in [index, set, forget, cluster, html, copy, small] {
        assert!(
            text.contains("no space is left (0 bytes are free") && text.contains("free some space"),
            "{what}: {text}"
        );
        assert!(text.contains(disk.to_str().unwrap()) || text.contains("small/library"), "{what}: {text}");
        assert!(text.ends_with("-- 5\n") && !text.contains("damaged"), "{what}: {text}");
    }
    assert!(stdout.1.contains("stdout") && stdout.1.contains("no space"), "{}", stdout.1);
    // No half files.
    let left = fs::read_to_string(sandbox.path("left")).unwrap();
    assert!(!left.contains("page.html") && !left.contains(".jpg"), "{left}");
}

#[test]
fn a_wal_that_cannot_be_read_is_explained_and_never_left_out() {
    needs!("setpriv", "strace");
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    // A run that is killed leaves its last changes in the WAL.
    sandbox.add("owl");
    let mut command = sandbox.command_of("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=unlink,unlinkat", "-P"]);
    let wal = sandbox.library().join("catalogue.sqlite-wal");
    command.arg(&wal).args(["-e", "inject=unlink,unlinkat:signal=SIGKILL", PROGRAM, "index", "."]);
    assert_eq!(finish(command).code(), 137);
    assert!(fs::metadata(&wal).is_ok());
    let nobody = Nobody::new(&sandbox);
    let program = nobody.program.to_str().unwrap();
    for part in fs::read_dir(sandbox.library()).unwrap().map(|entry| entry.unwrap().path()) {
        open_to_all(&part);
    }
    let _ = fs::remove_file(sandbox.library().join("catalogue.sqlite-shm"));
    open_to_all(&sandbox.library());
    let bytes = fs::read(&wal).unwrap();
    for (what, bytes, readable) in
        [("with changes", &bytes[..], false), ("without a whole frame", &bytes[..200.min(bytes.len())], true)]
    {
        if what == "with changes" && bytes.is_empty() {
            continue;
        }
        fs::write(&wal, bytes).unwrap();
        let output = finish(nobody.command(program, &["status"]));
        if readable {
            assert_eq!(output.code(), 0, "{what}: {output}");
        } else {
            assert!(output.code() == 5 && output.stderr.contains("WAL"), "{what}: {output}");
            assert!(output.stderr.contains("copy the library's folder"), "{what}: {output}");
        }
    }
    fs::write(&wal, &bytes).unwrap();
    assert_eq!(sandbox.status()["photos"], 3);
}

/// Lets everybody read a file or folder, and nobody but root write it.
fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = if path.is_dir() { 0o555 } else { 0o444 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
