//! Only changed files cost time, and the catalogue follows the folders.

use crate::support::{Output, Sandbox, file_name, finish, fixture, random_clip, start};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Fails unless a summary has exactly these counts; all other counts must be zero.
#[track_caller]
fn assert_counts(summary: &Value, expected: &[(&str, u64)]) {
    for key in ["embedded", "unchanged", "moved", "copied", "removed", "skipped", "failed", "held_back"] {
        let wanted = expected.iter().find(|(name, _)| *name == key).map_or(0, |(_, n)| *n);
        assert_eq!(summary[key], wanted, "{key} in {summary}");
    }
}

/// Every path that the library lists, sorted: those of the hits and those with the same content.
fn listed(sandbox: &Sandbox) -> Vec<String> {
    let hits = sandbox.run(["search", "a photo", "--all", "-n", "1000", "--json"]).lines();
    let mut paths: Vec<String> = hits
        .iter()
        .flat_map(|hit| std::iter::once(&hit["path"]).chain(hit["also"].as_array().unwrap()))
        .map(|path| {
            let path = Path::new(path.as_str().unwrap()).strip_prefix(sandbox.photos()).unwrap();
            path.to_str().unwrap().to_owned()
        })
        .collect();
    paths.sort();
    paths
}

/// Sets a file's modification time to `seconds` ago.
fn age(path: &Path, seconds: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn the_second_run_over_the_sample_photos_embeds_nothing() {
    let sandbox = Sandbox::new();
    let photos = fixture("photos");
    let args = ["index", photos.to_str().unwrap(), "--json"];
    let first = sandbox.run(args).exits(0).line();
    assert_counts(&first, &[("embedded", 99)]);
    assert_eq!(first["schema"], 1);
    assert_eq!(first["failures"], json!({}));
    assert_eq!(first["interrupted"], false);
    let second = sandbox.run(args).exits(0).line();
    assert_counts(&second, &[("unchanged", 99)]);
    // Without arguments, the library's folders are indexed.
    assert_counts(&sandbox.run(["index", "--json"]).exits(0).line(), &[("unchanged", 99)]);
    let status = sandbox.status();
    assert_eq!((&status["photos"], &status["files"], &status["model"]), (&json!(99), &json!(99), &json!("starter")));
    assert_eq!(status["folders"], json!([photos.canonicalize().unwrap()]));
}

#[test]
fn renamed_copied_changed_and_deleted_files_are_followed_and_only_the_changed_one_is_embedded() {
    let sandbox = Sandbox::indexed(&["cat", "dog", "owl", "panda", "windmill-7", "wrench"]);
    let before = sandbox.ranking("a cat");
    fs::create_dir(sandbox.photo("2019")).unwrap();
    fs::rename(sandbox.photo("cat.jpg"), sandbox.photo("2019/tom.jpg")).unwrap();
    fs::copy(sandbox.photo("dog.jpg"), sandbox.photo("hound.jpg")).unwrap();
    fs::copy(fixture("photos/koala.jpg"), sandbox.photo("owl.jpg")).unwrap();
    fs::remove_file(sandbox.photo("wrench.jpg")).unwrap();

    let summary = sandbox.index().exits(0).line();
    assert_counts(&summary, &[("embedded", 1), ("unchanged", 3), ("moved", 1), ("copied", 1), ("removed", 1)]);
    let paths = ["2019/tom.jpg", "dog.jpg", "hound.jpg", "owl.jpg", "panda.jpg", "windmill-7.jpg"];
    assert_eq!(listed(&sandbox), paths);
    let status = sandbox.status();
    assert_eq!((&status["photos"], &status["files"]), (&json!(5), &json!(6)));

    // The moved photo kept its embedding, and its name is the new one.
    let args = ["search", "a cat", "--by", "meaning", "--all", "--json"];
    let cat = sandbox.run(args).exits(0).lines().swap_remove(0);
    assert_eq!((file_name(&cat["path"]), before[0].0.as_str()), ("tom.jpg".into(), "cat.jpg"));
    // The changed photo is found by what it shows now.
    assert_eq!(sandbox.run(["search", "a koala", "--by", "meaning", "--json"]).exits(0).names()[0], "owl.jpg");
    assert_counts(&sandbox.index().exits(0).line(), &[("unchanged", 6)]);
    sandbox.run(["check", "--full"]).exits(0);
}

#[test]
fn the_library_after_many_changes_equals_one_made_afresh() {
    let sandbox = Sandbox::indexed(&["cat", "dog", "owl", "panda", "koala"]);
    fs::rename(sandbox.photo("cat.jpg"), sandbox.photo("x.jpg")).unwrap();
    fs::rename(sandbox.photo("dog.jpg"), sandbox.photo("cat.jpg")).unwrap();
    fs::rename(sandbox.photo("x.jpg"), sandbox.photo("dog.jpg")).unwrap();
    fs::remove_file(sandbox.photo("owl.jpg")).unwrap();
    sandbox.add("lemur");
    let summary = sandbox.index().exits(0).line();
    assert_eq!(summary["embedded"], 1, "only the new photo: {summary}");
    let fresh = Sandbox::indexed(&["panda", "koala", "lemur"]);
    fs::copy(fixture("photos/cat.jpg"), fresh.photo("dog.jpg")).unwrap();
    fs::copy(fixture("photos/dog.jpg"), fresh.photo("cat.jpg")).unwrap();
    fresh.index().exits(0);
    assert_eq!(sandbox.content(), fresh.content());
}

#[test]
fn a_touched_file_is_unchanged_and_one_rewritten_in_its_size_is_not() {
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    age(&sandbox.photo("cat.jpg"), 3600);
    assert_counts(&sandbox.index().exits(0).line(), &[("unchanged", 2)]);
    // The same size, but different content.
    let mut bytes = fs::read(sandbox.photo("dog.jpg")).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(sandbox.photo("dog.jpg"), bytes).unwrap();
    age(&sandbox.photo("dog.jpg"), 60);
    assert_counts(&sandbox.index().exits(0).line(), &[("embedded", 1), ("unchanged", 1)]);
}

#[test]
fn several_folders_and_single_files_belong_to_one_library() {
    let sandbox = Sandbox::new();
    let folders: Vec<PathBuf> = ["one", "two", "one/inner"].iter().map(|name| sandbox.photo(name)).collect();
    for (folder, name) in folders.iter().zip(["cat", "dog", "owl"]) {
        fs::create_dir_all(folder).unwrap();
        fs::copy(fixture(&format!("photos/{name}.jpg")), folder.join(format!("{name}.jpg"))).unwrap();
    }
    fs::copy(fixture("photos/koala.jpg"), sandbox.photo("single.jpg")).unwrap();
    fs::copy(fixture("photos/lemur.jpg"), sandbox.photo("not asked for.jpg")).unwrap();
    // A folder inside another is not walked twice.
    let summary = sandbox.run(["index", "one", "one/inner", "--json"]).exits(0).line();
    assert_counts(&summary, &[("embedded", 2)]);
    let summary = sandbox.run(["index", "two", "single.jpg", "--json"]).exits(0).line();
    assert_counts(&summary, &[("embedded", 2)]);
    assert_eq!(listed(&sandbox), ["one/cat.jpg", "one/inner/owl.jpg", "single.jpg", "two/dog.jpg"]);

    // A run over one folder leaves the records of the others alone; a run without arguments covers all of them.
    fs::remove_file(sandbox.photo("two/dog.jpg")).unwrap();
    fs::copy(fixture("photos/panda.jpg"), sandbox.photo("two/panda.jpg")).unwrap();
    assert_counts(&sandbox.run(["index", "one", "--json"]).exits(0).line(), &[("unchanged", 2)]);
    assert!(listed(&sandbox).contains(&"two/dog.jpg".to_owned()));
    let summary = sandbox.run(["index", "--prune", "--json"]).exits(0).line();
    assert_counts(&summary, &[("embedded", 1), ("unchanged", 3), ("removed", 1)]);
    assert_eq!(listed(&sandbox), ["one/cat.jpg", "one/inner/owl.jpg", "single.jpg", "two/panda.jpg"]);
}

#[test]
fn the_number_of_threads_changes_nothing_but_time() {
    let names = ["cat", "dog", "owl", "panda", "koala", "lemur", "horse", "sheep", "cow", "pig"];
    let one = Sandbox::with_photos(&names);
    one.run(["index", ".", "--threads", "1"]).exits(0);
    let many = Sandbox::with_photos(&names);
    many.run(["index", ".", "--threads", "5"]).exits(0);
    let (one, many) = (one.ranking("an animal"), many.ranking("an animal"));
    assert_eq!(one.len(), names.len());
    for ((name, score), (other_name, other_score)) in one.iter().zip(&many) {
        assert_eq!(name, other_name);
        assert!((score - other_score).abs() < 1e-5, "{name}: {score} and {other_score}");
    }
}

#[test]
fn a_library_refuses_every_model_but_its_own_until_it_is_reindexed() {
    let sandbox = Sandbox::indexed(&["cat", "dog", "owl"]);
    let clip = random_clip();
    for args in [
        vec!["search", "a cat", "--model", &clip],
        vec!["similar", "cat.jpg", "--model", &clip],
        vec!["index", ".", "--model", &clip],
    ] {
        let refused = sandbox.run(&args).exits(2);
        for part in ["starter", &clip, "snapseek reindex --model"] {
            assert!(refused.stderr.contains(part), "{args:?} should name {part}: {refused}");
        }
        assert_eq!(refused.stdout, b"", "{args:?}");
    }

    sandbox.run(["reindex", "--model", &clip]).exits(0);
    assert_eq!(sandbox.status()["model"], Value::from(clip.as_str()));
    // The library now remembers that model by itself.
    let found = sandbox.run(["similar", "cat.jpg", "--json"]).exits(0);
    assert_eq!(found.names().len(), 2);
    assert_eq!(sandbox.ranking("a cat").len(), 3);
    sandbox.run(["check", "--full"]).exits(0);
    // And back again, as if the other model had never been there.
    sandbox.run(["reindex", "--model", "starter"]).exits(0);
    assert_eq!(sandbox.content(), Sandbox::indexed(&["cat", "dog", "owl"]).content());
}

#[test]
fn a_model_of_the_same_size_with_other_weights_is_another_model() {
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    let other = sandbox.path("other-clip");
    fs::create_dir(&other).unwrap();
    for file in ["config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"] {
        fs::copy(fixture("reference/clip-random").join(file), other.join(file)).unwrap();
    }
    let mut weights = fs::read(fixture("reference/clip-random/model.safetensors")).unwrap();
    let middle = weights.len() / 2;
    weights[middle] ^= 1; // one bit
    fs::write(other.join("model.safetensors"), weights).unwrap();
    let other = other.to_str().unwrap();
    sandbox.run(["index", ".", "--model", &random_clip()]).exits(0);
    let refused = sandbox.run(["search", "a cat", "--model", other]).exits(2);
    assert!(refused.stderr.contains(other) && refused.stderr.contains("reindex"), "{refused}");
    sandbox.run(["reindex", "--model", other]).exits(0);
    assert_eq!(sandbox.ranking("a cat").len(), 2);
}

/// With a model whose labels are not known yet, photos come first, and tags after them, also after an interruption.
#[test]
fn tags_follow_the_photos() {
    let names = ["cat", "dog", "owl"];
    let sandbox = Sandbox::with_photos(&names);
    let (clip, catalogue) = (random_clip(), sandbox.library().join("catalogue.sqlite"));
    let tags = |awaited: bool| -> i64 {
        let db = rusqlite::Connection::open(&catalogue).unwrap();
        let waits: bool = db.query_row("SELECT awaits_tags FROM model", [], |row| row.get(0)).unwrap();
        assert_eq!(waits, awaited);
        db.query_row("SELECT count(*) FROM tag", [], |row| row.get(0)).unwrap()
    };
    let mut child = start(&mut sandbox.command(["index", ".", "--model", &clip, "--json"]));
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("preparing the 7000 label prompts")));
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    lines.for_each(drop);
    let output = Output::of(child).exits(130);
    assert_counts(&output.line(), &[("embedded", 3)]);
    assert_eq!((sandbox.ranking("a cat").len(), tags(true)), (3, 0));
    // The next run embeds nothing, and makes up for it.
    let output = sandbox.run(["index", "--model", &clip, "--json"]).exits(0);
    assert_counts(&output.line(), &[("unchanged", 3)]);
    assert!(output.stderr.contains("label prompts"), "{output}");
    let found = tags(false);
    sandbox.run(["check", "--full"]).exits(0);
    // Another library shares the labels, so its photos get the same tags at once.
    let other = sandbox.path("other");
    let other = other.to_str().unwrap();
    let output = sandbox.run(["index", ".", "--model", &clip, "--library", other]).exits(0);
    assert!(!output.stderr.contains("label prompts"), "{output}");
    let shown = |library: &str| {
        names.map(|name| {
            sandbox.run(["show", &format!("{name}.jpg"), "--json", "--library", library]).line()["tags"].clone()
        })
    };
    assert_eq!(shown(sandbox.library().to_str().unwrap()), shown(other));
    println!("{found} tags");
}

#[test]
fn the_default_library_lies_in_the_data_folder_and_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::with_photos(&["cat"]);
    let mut command = sandbox.command(["index", "."]);
    command.env_remove("SNAPSEEK_LIBRARY");
    finish(command).exits(0);
    let library = sandbox.path("home/data/snapseek/library");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&library), 0o700);
    for entry in fs::read_dir(&library).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o077, 0, "{} is open to others", path.display());
    }
}
