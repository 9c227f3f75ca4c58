//! A library that grows and changes: its vectors are in several segments, which are merged, damaged and half written.

use crate::support::{Random, model, photo, place, request, vector};
use snapseek_index::{By, Change, Library, SearchRequest, Searcher, query};
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

const WIDE: usize = 48;
/// From so many photos on there are graphs; segments have ten times as many at most.
pub(crate) const GRAPH_FROM: usize = 200;

/// What the library should hold: the content of each photo by the number in its name.
pub(crate) type Truth = BTreeMap<usize, u64>;

fn put(n: usize, content: u64) -> Change {
    photo(&format!("{n}.jpg"), content, WIDE, &[])
}

pub(crate) fn refresh(library: &Library, progress: &mut dyn FnMut(&'static str, u64, u64) -> bool) {
    library.lock().unwrap().refresh_with_graph_from(GRAPH_FROM, progress).unwrap();
}

/// A library to which these numbers of photos came one after the other, each with the next content.
pub(crate) fn grown(folder: &Path, ranges: &[Range<usize>], graph_from: usize) -> (Library, Truth) {
    let library = Library::create(&place(folder)).unwrap();
    library.lock().unwrap().set_model(&model("a", WIDE)).unwrap();
    let mut truth = Truth::new();
    for range in ranges {
        let changes: Vec<Change> = range.clone().map(|n| put(n, n as u64 + 1)).collect();
        library.lock().unwrap().apply(&changes).unwrap();
        truth.extend(range.clone().map(|n| (n, n as u64 + 1)));
        library.lock().unwrap().refresh_with_graph_from(graph_from, &mut |_, _, _| true).unwrap();
    }
    (library, truth)
}

/// More photos come to a library, the tenth of them in the place of older ones, and some of those go.
pub(crate) fn change(library: &Library, truth: &mut Truth, numbers: Range<usize>) {
    let content = |n: usize| n as u64 + 1;
    let mut changes = Vec::new();
    for n in numbers {
        let place = if n % 10 == 0 { n / 2 } else { n };
        truth.insert(place, content(n));
        changes.push(put(place, content(n)));
        if n % 10 == 5 && truth.remove(&(n / 3)).is_some() {
            changes.push(Change::Remove { path: format!("/photos/{}.jpg", n / 3).into() });
        }
    }
    library.lock().unwrap().apply(&changes).unwrap();
}

/// Everything in a folder, in order; nothing if it does not exist.
fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

/// The files of vectors; one model has some.
pub(crate) fn segments(library: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = entries(&library.join("vectors")).iter().flat_map(|folder| entries(folder)).collect();
    files.retain(|file| !file.ends_with("draft"));
    files.sort();
    files
}

/// Compares what is found with what there is: all of it by an exact search, the nearest by graphs.
pub(crate) fn check(folder: &Path, truth: &Truth, random: &mut Random) {
    let library = Library::open(&place(folder)).unwrap();
    let searcher = library.searcher().unwrap();
    let ask = |vector: Vec<f32>, limit| {
        let request = SearchRequest { vector: Some(vector), limit, ..request(By::Meaning) };
        searcher.search(&request).unwrap()
    };
    let all = ask(vector(random.next(), WIDE), 10 * truth.len() + 10);
    let mut found: Vec<u64> = all.hits.iter().map(|hit| hit.size).collect();
    found.sort_unstable();
    let mut there: Vec<u64> = truth.values().copied().collect();
    there.sort_unstable();
    assert!(all.exact && found == there, "{} found, {} there", found.len(), there.len());
    let contents: Vec<u64> = truth.values().copied().collect();
    for _ in 0..30 {
        let content = contents[random.below(contents.len())];
        let nearest = ask(vector(content, WIDE), 1);
        assert_eq!(nearest.hits[0].size, content, "a photo finds itself");
        assert!((nearest.hits[0].cosine.unwrap() - 1.0).abs() < 1e-5);
    }
    let (mut right, mut wanted) = (0, 0);
    for _ in 0..20 {
        let query = vector(random.next(), WIDE);
        // So many are only found by comparing with every photo.
        let exact = ask(query.clone(), truth.len() / 10 + 10);
        assert!(exact.exact);
        let near = ask(query, 10);
        let best: Vec<i64> = exact.hits.iter().take(10).map(|hit| hit.id).collect();
        right += near.hits.iter().filter(|hit| best.contains(&hit.id)).count();
        wanted += best.len();
    }
    assert!(right * 100 >= wanted * 97, "{right} of {wanted}");
    check_filters(&searcher, truth, random);
    check_pairs(&searcher);
}

/// The pairs that are near each other; embeddings of made photos are as random as their numbers.
fn check_pairs(searcher: &Searcher) {
    let embeddings = searcher.embeddings().unwrap();
    if embeddings.is_empty() || embeddings.len() > 2_000 {
        return;
    }
    assert_eq!(searcher.embedded().unwrap(), embeddings.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let some = embeddings.iter().zip(embeddings.iter().rev()).step_by(7);
    let asked: Vec<(i64, i64)> =
        some.clone().map(|((a, _), (b, _))| (*a, *b)).chain([(embeddings[0].0, i64::MAX)]).collect();
    let cosines = searcher.cosines(&asked).unwrap();
    assert_eq!((cosines.len(), cosines.last()), (asked.len(), Some(&None)));
    for (cosine, ((_, a), (_, b))) in cosines.iter().zip(some) {
        assert!((cosine.unwrap() - dot(a, b)).abs() < 1e-5);
    }
    let Some(pairs) = searcher.near_pairs(0.5, &mut |_, _| true).unwrap() else { return };
    let mut near = Vec::new();
    for (n, (a, first)) in embeddings.iter().enumerate() {
        near.extend(embeddings[n + 1..].iter().filter(|(_, second)| dot(first, second) >= 0.5).map(|(b, _)| (*a, *b)));
    }
    let found = near.iter().filter(|pair| pairs.binary_search(pair).is_ok()).count();
    assert!(near.len() > 10 && found * 100 >= near.len() * 97, "{found} of {}", near.len());
    assert!(pairs.len() < 2 * near.len() + 20);
    assert!(searcher.near_pairs(0.5, &mut |done, _| done > 0).unwrap().is_none());
}

/// Filters that many photos pass, few, and none.
fn check_filters(searcher: &Searcher, truth: &Truth, random: &mut Random) {
    let (mut right, mut wanted) = (0, 0);
    for (text, ending) in [("path:7.jpg", "7.jpg"), ("path:33.jpg", "33.jpg"), ("ext:jpg", ".jpg"), ("ext:png", ".png")]
    {
        let ask = |vector: &[f32], words: Option<&str>, limit| {
            let filters = query::parse(text).unwrap().filters;
            let vector = Some(vector.to_vec());
            let words = words.map(str::to_owned);
            let by = if words.is_some() { By::Both } else { By::Meaning };
            let hits = searcher.search(&SearchRequest { vector, filters, words, limit, ..request(by) }).unwrap().hits;
            assert!(hits.iter().all(|hit| hit.paths[0].to_string_lossy().ends_with(ending)), "{text}");
            hits
        };
        let pass = truth.keys().filter(|n| format!("{n}.jpg").ends_with(ending)).count();
        for _ in 0..4 {
            let vector = vector(random.next(), WIDE);
            let near: Vec<i64> = ask(&vector, None, 10).iter().map(|hit| hit.id).collect();
            let exact: Vec<i64> = ask(&vector, None, truth.len() / 10 + 10).iter().map(|hit| hit.id).take(10).collect();
            assert_eq!(near.len(), pass.min(10), "{text}");
            right += near.iter().filter(|id| exact.contains(id)).count();
            wanted += near.len();
            // A name is a word, too.
            let some = truth.keys().nth(random.below(truth.len())).unwrap();
            let named = ask(&vector, Some(&some.to_string()), 10);
            let fits = format!("{some}.jpg").ends_with(ending);
            assert_eq!(named.iter().any(|hit| hit.bm25.is_some()), fits, "{text} {some}");
        }
    }
    assert!(right * 100 >= wanted * 97, "{right} of {wanted}");
}

#[test]
fn segments_that_grow_change_and_merge_find_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&place(folder.path())).unwrap();
    library.lock().unwrap().set_model(&model("a", WIDE)).unwrap();
    let (mut random, mut truth, mut content) = (Random(11), Truth::new(), 0);
    let mut most = 0;
    for round in 0..24 {
        let mut changes = Vec::new();
        // New photos, then other pictures at the paths of some, and others that are gone.
        for _ in 0..[700, 250, 90, 300][round % 4] {
            content += 1;
            let n = truth.len() + content as usize;
            truth.insert(n, content);
            changes.push(put(n, content));
        }
        let known: Vec<usize> = truth.keys().copied().collect();
        for _ in 0..random.below(120) {
            let n = known[random.below(known.len())];
            if random.below(2) == 0 {
                content += 1;
                truth.insert(n, content);
                changes.push(put(n, content));
            } else if truth.remove(&n).is_some() {
                changes.push(Change::Remove { path: format!("/photos/{n}.jpg").into() });
            }
        }
        library.lock().unwrap().apply(&changes).unwrap();
        if round % 3 == 2 {
            // It is stopped at some point.
            let mut left = random.below(6);
            refresh(&library, &mut |_, _, _| {
                left = left.saturating_sub(1);
                left > 0
            });
            check(folder.path(), &truth, &mut random);
        }
        let before = segments(folder.path()).into_iter().map(|file| (file.clone(), fs::read(file).unwrap()));
        let before: Vec<_> = before.collect();
        refresh(&library, &mut |_, _, _| true);
        let after = segments(folder.path());
        most = most.max(after.len());
        check(folder.path(), &truth, &mut random);
        assert!(library.check(false).unwrap().findings.is_empty());
        // As if it had been killed before the older files were removed, with the next one half written.
        for (file, bytes) in before.iter().filter(|(file, _)| !after.contains(file)) {
            fs::write(file, bytes).unwrap();
        }
        fs::write(after[0].with_file_name("draft"), b"half").unwrap();
        check(folder.path(), &truth, &mut random);
        refresh(&library, &mut |_, _, _| true);
    }
    assert!(truth.len() > 5_000 && most > 4, "{} photos in {most} segments at most", truth.len());
    let bytes: u64 = segments(folder.path()).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(bytes < 2 * (truth.len() * WIDE * 4) as u64 + 2_000_000, "{bytes} bytes");
}

#[test]
fn a_damaged_segment_is_noticed_and_made_again_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (library, mut truth) = grown(folder.path(), &[0..2_000, 2_000..4_000, 4_000..4_700], GRAPH_FROM);
    library.lock().unwrap().apply(&[Change::Remove { path: "/photos/5.jpg".into() }]).unwrap();
    truth.remove(&5);
    let mut random = Random(5);
    for round in 0..3 {
        let files = segments(folder.path());
        assert_eq!(files.len(), 3, "{files:?}");
        // The newest is the one that lists the others.
        for at in 0..files.len() {
            let files = segments(folder.path());
            let file = &files[at.min(files.len() - 1)];
            let sound = fs::read(file).unwrap();
            match round {
                0 => fs::remove_file(file).unwrap(),
                1 => fs::write(file, &sound[..sound.len() / 2]).unwrap(),
                _ => {
                    let mut bytes = sound.clone();
                    bytes[random.below(sound.len())] ^= 4;
                    fs::write(file, bytes).unwrap();
                }
            }
            check(folder.path(), &truth, &mut random);
            let is_newest = at + 1 == files.len();
            // Without the newest, one that it lists is what there is, and too old.
            let found = library.check(false).unwrap().findings.len();
            assert!(found == 1, "{found} findings in round {round}, segment {at}");
            let others: Vec<_> =
                files.iter().filter(|other| *other != file).map(|other| fs::read(other).unwrap()).collect();
            refresh(&library, &mut |_, _, _| true);
            assert!(library.check(false).unwrap().findings.is_empty());
            check(folder.path(), &truth, &mut random);
            let now: Vec<_> = segments(folder.path()).iter().map(|file| fs::read(file).unwrap()).collect();
            assert!(is_newest || now.contains(&others[0]), "the first of the others stays");
        }
    }
}

#[test]
fn whatever_byte_of_a_segment_is_damaged_is_noticed_and_costs_no_photo() {
    let folder = tempfile::tempdir().unwrap();
    let (library, _) = grown(folder.path(), &[0..600, 600..900], 50);
    let words = entries(&folder.path().join("text")).into_iter().filter(|file| !file.ends_with("draft"));
    let files: Vec<PathBuf> = segments(folder.path()).into_iter().chain(words).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in &files {
        let sound = fs::read(file).unwrap();
        // All of the header and of the end, where the older segments are listed, and the rest in steps.
        let ends = (0..128).chain(sound.len().saturating_sub(64)..sound.len());
        for at in ends.chain((128..sound.len()).step_by(sound.len() / 50)) {
            let mut damaged = sound.clone();
            damaged[at] ^= 1 << (at % 8);
            fs::write(file, damaged).unwrap();
            let findings = library.check(false).unwrap().findings;
            assert!(findings.len() == 1, "byte {at} of {}: {findings:?}", file.display());
            if at % 7 == 0 {
                let searcher = Library::open(&place(folder.path())).unwrap().searcher().unwrap();
                let content = 1 + at as u64 % 900;
                let request = SearchRequest {
                    vector: Some(vector(content, WIDE)),
                    words: Some((content - 1).to_string()),
                    limit: 1,
                    ..request(By::Both)
                };
                let hits = searcher.search(&request).unwrap().hits;
                assert!(hits[0].size == content && hits[0].bm25.is_some(), "byte {at} of {}", file.display());
            }
        }
        fs::write(file, sound).unwrap();
    }
    assert!(library.check(true).unwrap().findings.is_empty());
}
