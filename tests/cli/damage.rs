//! Damage to the library's files: never a crash, never a wrong answer, found by `check`, repaired where possible.

use crate::support::{Output, Sandbox};
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
    let mut files = fs::read_dir(sandbox.library().join(folder)).unwrap();
    let path = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none(), "{folder} holds one generation");
    path
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
