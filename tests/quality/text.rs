//! How well text in pictures is read and found: the lines of fixtures/text, what is really written on the photos of
//! fixtures/photos, and searches for words that stand only in pictures.
//!
//! `cargo test --release --test quality -- --nocapture text` prints the figures in docs/figures.md. `SNAPSEEK_OCR` names
//! a folder with more pictures and an `expected.json` (as `texts.json` here); then every photo is read in full.

use serde_json::Value;
use snapseek::model::ocr::{EDGE, TextReader};
use snapseek::photo::{self, DecodeLimits};
use snapseek::reading::picture;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

fn fixtures(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path)
}

fn json(path: &Path) -> Vec<Value> {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn read(reader: &TextReader, path: &Path) -> Vec<String> {
    let bytes = photo::read(path, &DecodeLimits::default()).unwrap();
    let read = picture::read(reader, &bytes, EDGE, false, &AtomicBool::new(false)).unwrap().unwrap();
    read.lines.into_iter().map(|line| line.text).collect()
}

/// Case, spaces and punctuation aside.
fn plain(text: &str) -> Vec<char> {
    text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Twice the length of the longest common subsequence, by the sum of the lengths.
fn similarity(a: &[char], b: &[char]) -> f64 {
    let mut best = vec![0; b.len() + 1];
    for x in a {
        let mut corner = 0;
        for (at, y) in b.iter().enumerate() {
            let here = if x == y { corner + 1 } else { best[at + 1].max(best[at]) };
            corner = std::mem::replace(&mut best[at + 1], here);
        }
    }
    2.0 * f64::from(best[b.len()]) / (a.len() + b.len()).max(1) as f64
}

/// Of the lines that stand in the pictures of a folder: how many there are, are found, and are read to the letter.
fn lines_read(reader: &TextReader, folder: &Path, truth: &str) -> (usize, usize, usize) {
    let (mut all, mut found, mut exact) = (0, 0, 0);
    for picture in json(&folder.join(truth)) {
        let name = picture["picture"].as_str().unwrap();
        let read = read(reader, &folder.join(name));
        let plainly: Vec<Vec<char>> = read.iter().map(|line| plain(line)).collect();
        for line in picture["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()) {
            let wanted = plain(line);
            let is_in = |read: &Vec<char>| read.windows(wanted.len()).any(|part| part == wanted);
            let is_found = plainly.iter().any(|read| is_in(read) || similarity(&wanted, read) > 0.9);
            if !is_found {
                println!("{name}: {line:?} is not in {read:?}");
            }
            (all, found) = (all + 1, found + usize::from(is_found));
            exact += usize::from(read.iter().any(|read| read.to_lowercase() == line.to_lowercase()));
        }
    }
    (all, found, exact)
}

#[test]
fn lines_of_text_are_read() {
    let reader = TextReader::built_in().unwrap();
    let (all, found, exact) = lines_read(&reader, &fixtures("text"), "texts.json");
    println!("fixtures/text: {found} of {all} lines found, {exact} read to the letter");
    assert!(all == 77 && found >= 76 && exact >= 73, "{found} and {exact} of {all}");
    if let Some(folder) = std::env::var_os("SNAPSEEK_OCR").map(PathBuf::from) {
        let (all, found, exact) = lines_read(&reader, &folder, "expected.json");
        println!("{}: {found} of {all} lines found, {exact} read to the letter", folder.display());
    }
}

#[test]
fn nothing_is_read_that_is_not_there() {
    // What a person sees on them: the scales of a multimeter, a brand on a ball.
    let written = ["multimeter-1.jpg", "volleyball.jpg"];
    let reader = TextReader::built_in().unwrap();
    let mut glimpsed = 0;
    let mut photos: Vec<PathBuf> =
        std::fs::read_dir(fixtures("photos")).unwrap().map(|entry| entry.unwrap().path()).collect();
    photos.retain(|path| path.extension().is_some_and(|ending| ending == "jpg"));
    photos.sort();
    let all = std::env::var_os("SNAPSEEK_OCR").is_some();
    for (at, path) in photos.into_iter().enumerate() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let bytes = photo::read(&path, &DecodeLimits::default()).unwrap();
        let small = photo::decode(&bytes, Some(TextReader::glance_edge()), &DecodeLimits::default()).unwrap();
        glimpsed += usize::from(reader.may_hold_text(&small.picture).unwrap());
        // Reading all of them in full takes a minute: a third, and what looks most like text, unless all are asked for.
        let looks_like_text = ["baseball.jpg", "crab.jpg", "pontdu-gard.jpg", "scissors-2.jpg"].contains(&name);
        if !all && at % 3 > 0 && !looks_like_text && !written.contains(&name) {
            continue;
        }
        let full = read(&reader, &path);
        assert!(full.is_empty() || written.contains(&name), "{name}: {full:?}");
        if name == "volleyball.jpg" {
            assert!(full.iter().any(|line| line == "WORLD"), "{full:?}");
        }
        if name == "multimeter-1.jpg" {
            assert!(["UNI-T", "10A", "2000"].iter().all(|mark| full.iter().any(|line| line == mark)), "{full:?}");
        }
    }
    println!("a glance takes {glimpsed} of 99 photos for worth reading");
    assert!(glimpsed <= 10, "{glimpsed}");
}

/// Runs the program on a library of the photos and the pictures with text.
fn run(home: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_snapseek"))
        .args(args)
        .args(["--model", "starter", "--library"])
        .arg(home.join("library"))
        .env("XDG_CONFIG_HOME", home)
        .output()
        .unwrap();
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn search(home: &Path, query: &str, limit: &str) -> Vec<String> {
    let found = run(home, &["search", query, "--all", "--json", "-n", limit]);
    let name = |line: &str| {
        let hit: Value = serde_json::from_str(line).unwrap();
        Path::new(hit["path"].as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned()
    };
    found.lines().map(name).collect()
}

/// Of the relevant photos of the judged queries, how many are among the first ten, photos of text aside.
fn recall_of_photos(home: &Path) -> usize {
    let judged = json(&fixtures("photos/queries.json"));
    let texts: Vec<String> =
        json(&fixtures("text/texts.json")).iter().map(|text| text["picture"].to_string()).collect();
    let one = |query: &Value| {
        let first = search(home, query["query"].as_str().unwrap(), "30");
        let first: Vec<String> =
            first.into_iter().filter(|name| !texts.contains(&format!("{name:?}"))).take(10).collect();
        let relevant = query["relevant"].as_array().unwrap().iter();
        relevant.filter(|name| first.iter().any(|found| Some(found.as_str()) == name.as_str())).count()
    };
    judged.iter().map(one).sum()
}

#[test]
fn words_that_stand_only_in_pictures_are_found_and_no_photo_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let (photos, texts) = (fixtures("photos"), fixtures("text"));
    let folders = [photos.to_str().unwrap(), texts.to_str().unwrap()];
    run(home.path(), &["index", "--quiet", folders[0], folders[1]]);
    let before = recall_of_photos(home.path());
    let queries = json(&texts.join("queries.json"));
    let found = |limit: &str| {
        let hit = |query: &&Value| {
            let found = search(home.path(), query["query"].as_str().unwrap(), limit);
            let is_found = found.iter().any(|name| Some(name.as_str()) == query["picture"].as_str());
            if !is_found {
                println!("{query}: {found:?}");
            }
            is_found
        };
        queries.iter().filter(hit).count()
    };
    let by_looks = found("3");
    run(home.path(), &["index", "--quiet", "--text"]);
    let (by_text, after) = (found("3"), recall_of_photos(home.path()));
    println!("recall@3 of {} queries for text: {by_text}, and {by_looks} before it was read", queries.len());
    println!("relevant photos among the first ten: {after}, and {before} before");
    assert!(queries.len() == 30 && by_text >= 27, "{by_text}");
    assert!(after >= before, "{after} after {before}");
}
