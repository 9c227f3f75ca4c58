//! Damage to any file of a library: no panic, no wrong answer, found by `check`, repaired by the next run.

use crate::support::*;
use snapseek_index::{By, Change, Library, Remedy, SearchRequest};
use std::path::{Path, PathBuf};

const DIM: usize = 16;
/// Enough photos that a search with a small limit uses the graph.
const COUNT: u64 = 1_200;
const GRAPH_FROM: usize = 1_000;

/// Ids and paths in the order of the hits.
type Answer = Vec<(i64, Vec<PathBuf>)>;

/// The answers of a few searches.
fn answers(folder: &Path) -> snapseek_index::Result<Vec<Answer>> {
    let library = Library::open(folder)?;
    let searcher = library.searcher()?;
    let mut requests = Vec::new();
    for n in [3, 500, 1_150, 1_210] {
        let mut request = SearchRequest { vector: Some(vector(n, DIM)), limit: 3, ..request(By::Meaning) };
        requests.push(request.clone());
        (request.by, request.words) = (By::Both, Some(format!("kind{}", n % 7)));
        requests.push(request);
    }
    for words in ["kind3", "fresh", "gone"] {
        requests.push(SearchRequest { words: Some(words.into()), limit: 20, ..request(By::Words) });
    }
    let mut answers = Vec::new();
    for request in requests {
        answers.push(searcher.search(&request)?.hits.into_iter().map(|hit| (hit.id, hit.paths)).collect());
    }
    Ok(answers)
}

fn many(from: u64, to: u64, label: &str) -> Vec<Change> {
    (from..to).map(|n| photo(&format!("{n}.jpg"), n, DIM, &[&format!("kind{}", n % 7), label])).collect()
}

fn refresh_graph(library: &Library) {
    library.lock().unwrap().refresh_with_graph_from(GRAPH_FROM, &mut |_, _, _| true).unwrap();
}

/// A library with caches, and a few changes since they were written.
fn sound(folder: &Path) -> Library {
    let library = Library::create(folder).unwrap();
    let mut writer = library.lock().unwrap();
    writer.set_model(&model("a", DIM)).unwrap();
    writer.apply(&many(1, COUNT, "gone")).unwrap();
    writer.refresh_with_graph_from(GRAPH_FROM, &mut |_, _, _| true).unwrap();
    let changed: Vec<Change> = (1..COUNT).filter(|n| n % 100 == 0).flat_map(|n| many(n, n + 1, "other")).collect();
    writer.apply(&changed).unwrap();
    writer.apply(&many(COUNT, COUNT + 20, "fresh")).unwrap();
    writer.apply(&[Change::Remove { path: "/photos/4.jpg".into() }]).unwrap();
    drop(writer);
    library
}

fn cache_file(folder: &Path) -> PathBuf {
    std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).max().unwrap()
}

#[test]
fn damaged_caches_never_answer_wrongly_and_are_found_and_mended() {
    let folder = tempfile::tempdir().unwrap();
    let library = sound(folder.path());
    let expected = answers(folder.path()).unwrap();
    assert!(library.check(true).unwrap().findings.is_empty());
    let mut random = Random(99);
    let mut cases = 0;
    for cache in ["vectors", "text"] {
        let path = cache_file(&folder.path().join(cache));
        let bytes = std::fs::read(&path).unwrap();
        let length = bytes.len();
        let mut damaged: Vec<Vec<u8>> = Vec::new();
        for at in (0..128).step_by(9).chain((0..60).map(|_| random.below(length))).chain([length - 1]) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            damaged.push(flipped);
        }
        for kept in
            [0, 1, 127, 128, 129, length - 64, length - 1].into_iter().chain((0..20).map(|_| random.below(length)))
        {
            damaged.push(bytes[..kept].to_vec());
        }
        for _ in 0..10 {
            let (from, long) = (random.below(length), 4_096);
            let mut zeroed = bytes.clone();
            zeroed[from..(from + long).min(length)].fill(0);
            if zeroed != bytes {
                damaged.push(zeroed);
            }
        }
        damaged.push([&bytes[..], &[0; 64]].concat());
        for (n, damage) in damaged.iter().enumerate() {
            std::fs::write(&path, damage).unwrap();
            assert_eq!(answers(folder.path()).unwrap(), expected, "{cache} {n}");
            let findings = library.check(n % 2 == 0).unwrap().findings;
            assert!(findings.len() == 1 && findings[0].remedy == Remedy::Rebuild, "{cache} {n}: {findings:?}");
            cases += 1;
        }
        // The next run repairs it.
        refresh_graph(&library);
        assert!(library.check(true).unwrap().findings.is_empty());
        assert_eq!(answers(folder.path()).unwrap(), expected);
    }
    assert!(cases > 200, "{cases}");
}

#[test]
fn caches_of_another_time_or_place_are_not_believed() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let library = sound(folder.path());
    let expected = answers(folder.path()).unwrap();
    let foreign = Library::create(other.path()).unwrap();
    let mut writer = foreign.lock().unwrap();
    writer.set_model(&model("a", DIM)).unwrap();
    writer.apply(&many(5_000, 5_000 + COUNT + 40, "gone")).unwrap();
    writer.refresh_with_graph_from(GRAPH_FROM, &mut |_, _, _| true).unwrap();
    for cache in ["vectors", "text"] {
        let path = cache_file(&folder.path().join(cache));
        let sound = std::fs::read(&path).unwrap();
        std::fs::copy(cache_file(&other.path().join(cache)), &path).unwrap();
        assert_eq!(answers(folder.path()).unwrap(), expected, "foreign {cache}");
        assert_eq!(library.check(false).unwrap().findings.len(), 1);
        let twin = if cache == "text" { "vectors" } else { "text" };
        std::fs::copy(cache_file(&folder.path().join(twin)), &path).unwrap();
        assert_eq!(answers(folder.path()).unwrap(), expected, "{twin} for {cache}");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(answers(folder.path()).unwrap(), expected, "no {cache}");
        std::fs::write(&path, &sound).unwrap();
    }
    // An older generation comes back after much has changed and the log has been pruned.
    let old: Vec<_> = ["vectors", "text"].map(|c| std::fs::read(cache_file(&folder.path().join(c))).unwrap()).into();
    library.lock().unwrap().apply(&many(1, 500, "gone")).unwrap();
    library.lock().unwrap().apply(&[Change::Remove { path: "/photos/3.jpg".into() }]).unwrap();
    refresh_graph(&library);
    let expected = answers(folder.path()).unwrap();
    for (cache, old) in ["vectors", "text"].iter().zip(old) {
        let path = cache_file(&folder.path().join(cache));
        assert!(path.ends_with("00000002"), "{path:?}");
        std::fs::write(path, old).unwrap();
        assert_eq!(answers(folder.path()).unwrap(), expected, "old {cache}");
    }
}

#[test]
fn a_catalogue_that_was_set_back_disowns_its_caches() {
    let (folder, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(sound(folder.path()));
    let before = answers(folder.path()).unwrap();
    let file = |dir: &Path| dir.join("catalogue.sqlite");
    std::fs::copy(file(folder.path()), file(backup.path())).unwrap();
    let library = Library::open(folder.path()).unwrap();
    library.lock().unwrap().apply(&many(1, 600, "fresh")).unwrap();
    refresh_graph(&library);
    drop(library);
    std::fs::copy(file(backup.path()), file(folder.path())).unwrap();
    assert_eq!(answers(folder.path()).unwrap(), before);
    // Even once the log has grown past the position of the caches.
    let library = Library::open(folder.path()).unwrap();
    assert_eq!(library.check(false).unwrap().findings.len(), 2);
    for _ in 0..2 {
        library.lock().unwrap().apply(&many(1, 600, "gone")).unwrap();
    }
    let with_caches = answers(folder.path()).unwrap();
    for cache in ["vectors", "text"] {
        std::fs::remove_dir_all(folder.path().join(cache)).unwrap();
    }
    assert_eq!(answers(folder.path()).unwrap(), with_caches);
}

#[test]
fn a_damaged_catalogue_is_an_error_or_right_but_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let library = sound(folder.path());
    // As a killed process leaves it: with a WAL that has not been written back yet.
    let files = ["catalogue.sqlite", "catalogue.sqlite-wal", "catalogue.sqlite-shm", "lock"];
    let copies: Vec<Vec<u8>> = files.iter().map(|name| std::fs::read(folder.path().join(name)).unwrap()).collect();
    assert!(copies[1].len() > 4_096);
    let mut random = Random(5);
    let (mut errors, mut right) = (0, 0);
    for n in 0..160 {
        let hurt = tempfile::tempdir().unwrap();
        for cache in ["vectors", "text"] {
            let from = cache_file(&folder.path().join(cache));
            std::fs::create_dir(hurt.path().join(cache)).unwrap();
            std::fs::copy(&from, hurt.path().join(cache).join("00000001")).unwrap();
        }
        for (i, (name, bytes)) in files.iter().zip(&copies).enumerate() {
            let mut bytes = bytes.clone();
            if i == n % files.len() && !bytes.is_empty() {
                let at = random.below(bytes.len());
                match random.below(3) {
                    0 => bytes[at] ^= 1 << random.below(8),
                    1 => bytes.truncate(at),
                    _ => {
                        let end = (at + 4_096).min(bytes.len());
                        bytes[at..end].fill(0);
                    }
                }
            }
            std::fs::write(hurt.path().join(name), bytes).unwrap();
        }
        let full = Library::open(hurt.path()).and_then(|library| library.check(true));
        let Ok(found) = answers(hurt.path()) else {
            errors += 1;
            continue;
        };
        // With the caches, the answers are the same as from the catalogue and its WAL alone.
        if n % files.len() != 0 {
            for cache in ["vectors", "text"] {
                std::fs::remove_dir_all(hurt.path().join(cache)).unwrap();
            }
            assert_eq!(found, answers(hurt.path()).unwrap(), "case {n}");
            assert!(full.is_ok());
            right += 1;
        }
    }
    assert!(right >= 80, "{right} right, {errors} errors");
    drop(library);
}

#[test]
fn damaged_embeddings_are_found_dropped_and_wanted_again() {
    let folder = tempfile::tempdir().unwrap();
    let library = sound(folder.path());
    let db = rusqlite::Connection::open(folder.path().join("catalogue.sqlite")).unwrap();
    let id = library.photo_at(Path::new("/photos/7.jpg")).unwrap().unwrap();
    db.execute("UPDATE embedding SET vector = zeroblob(64) WHERE photo = ?1", [id]).unwrap();
    assert_eq!(library.embedding(id).unwrap(), None);
    assert!(library.check(false).unwrap().findings.is_empty());
    let findings = library.check(true).unwrap().findings;
    assert!(findings.len() == 1 && findings[0].what.contains(&format!("photo {id}")), "{findings:?}");
    library.repair().unwrap();
    assert!(library.check(true).unwrap().findings.is_empty());
    let writer = library.lock().unwrap();
    assert!(!writer.file(Path::new("/photos/7.jpg")).unwrap().unwrap().embedded);
    assert!(!writer.knows(&hash(7)).unwrap());
}

#[cfg(unix)]
#[test]
fn a_link_to_nowhere_in_the_place_of_a_cache_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let library = sound(dir.path());
    let before = answers(dir.path()).unwrap();
    for folder in ["vectors", "text"] {
        std::os::unix::fs::symlink("/nowhere/at/all", dir.path().join(folder).join("99999999")).unwrap();
    }
    assert_eq!(answers(dir.path()).unwrap(), before);
    let findings = library.check(false).unwrap().findings;
    assert!(findings.len() == 2 && findings.iter().all(|f| f.what.contains("99999999")), "{findings:?}");
    refresh_graph(&library);
    assert!(library.check(true).unwrap().findings.is_empty());
    assert_eq!(answers(dir.path()).unwrap(), before);
}

#[test]
fn a_ruined_catalogue_is_called_so_with_one_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a\nb");
    let library = Library::create(&folder).unwrap();
    let file = folder.join("catalogue.sqlite");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[100..].fill(0xff);
    drop(library);
    for bytes in [bytes, vec![b'x'; 8_192]] {
        for side in ["catalogue.sqlite-wal", "catalogue.sqlite-shm"] {
            let _ = std::fs::remove_file(folder.join(side));
        }
        std::fs::write(&file, bytes).unwrap();
        let error = Library::open(&folder).and_then(|library| library.status()).unwrap_err();
        assert!(error.is_damage(), "{error}");
        let error = error.to_string();
        assert!(error.contains("a\\nb") && !error.contains('\n') && !error.contains("snapseek check"), "{error}");
    }
}

#[test]
fn what_check_says_of_a_catalogue_it_cannot_read_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let library = sound(folder.path());
    let db = rusqlite::Connection::open(folder.path().join("catalogue.sqlite")).unwrap();
    db.pragma_update(None, "writable_schema", true).unwrap();
    db.execute("UPDATE sqlite_schema SET sql = 'nonsense' WHERE name = 'tag'", []).unwrap();
    db.pragma_update(None, "schema_version", 4_711).unwrap();
    drop(db);
    let findings = library.check(false).unwrap().findings;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].remedy, Remedy::NewLibrary, "{findings:?}");
    assert_eq!(findings[0].what.matches("catalogue.sqlite").count(), 1, "{findings:?}");
}
