//! Damage to any file of a library: no panic, no wrong answer, found by `check`, repaired by the next run.

use crate::support::*;
use snapseek_index::{By, Change, Finding, Library, Remedy, SearchRequest, query};
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
    let newest = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).max().unwrap();
    // Vectors have a folder for each model.
    if newest.is_dir() { cache_file(&newest) } else { newest }
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
fn a_cache_that_is_missing_or_behind_is_no_damage_and_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let library = sound(folder.path());
    refresh_graph(&library);
    let before = answers(folder.path()).unwrap();
    let late = |library: &Library| {
        let report = library.check(true).unwrap();
        assert_eq!(report.findings, []);
        report.late.into_iter().map(|cache| (cache.name, cache.is_missing, cache.photos)).collect::<Vec<_>>()
    };
    assert_eq!(late(&library), []);
    let photos = usize::try_from(library.status().unwrap().photos).unwrap();
    let missing = |name: &str| (format!("{name} cache"), true, photos);
    for (gone, by_repair) in [(&["vectors"][..], false), (&["text"], false), (&["text", "vectors"], true)] {
        gone.iter().for_each(|name| std::fs::remove_dir_all(folder.path().join(name)).unwrap());
        let names = [("vectors", "vector"), ("text", "full-text")].into_iter().filter(|(dir, _)| gone.contains(dir));
        assert_eq!(late(&library), names.map(|(_, name)| missing(name)).collect::<Vec<_>>());
        assert_eq!(answers(folder.path()).unwrap(), before, "{gone:?}");
        if by_repair {
            library.repair().unwrap();
        } else {
            library.lock().unwrap().refresh_caches(&mut |_, _, _| true).unwrap();
        }
        assert_eq!(late(&library), [], "{gone:?}");
        assert_eq!(answers(folder.path()).unwrap(), before, "{gone:?}");
        gone.iter().for_each(|name| assert!(cache_file(&folder.path().join(name)).exists()));
    }
    // A few changes are read from the catalogue at each search, as they should be; many are not.
    library.lock().unwrap().apply(&many(2_000, 2_100, "new")).unwrap();
    assert_eq!(late(&library), []);
    library.lock().unwrap().apply(&many(2_100, 2_700, "new")).unwrap();
    assert_eq!(late(&library), [("vector cache".into(), false, 700), ("full-text cache".into(), false, 700)]);
    refresh_graph(&library);
    assert_eq!(late(&library), []);
    // An empty library needs none.
    let empty = tempfile::tempdir().unwrap();
    let library = Library::create(empty.path()).unwrap();
    library.lock().unwrap().set_model(&model("a", DIM)).unwrap();
    assert_eq!(late(&library), []);
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
        assert!(!path.ends_with("00000001"), "{path:?}");
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
    let remedies: Vec<Remedy> = library.check(false).unwrap().findings.iter().map(|f| f.remedy).collect();
    assert_eq!(remedies, [Remedy::Accept, Remedy::Rebuild, Remedy::Rebuild]);
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
    assert!(!knows(&library, &identity(7)));
}

#[cfg(unix)]
#[test]
fn a_link_to_nowhere_in_the_place_of_a_cache_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let library = sound(dir.path());
    let before = answers(dir.path()).unwrap();
    for folder in ["vectors", "text"] {
        let newest = cache_file(&dir.path().join(folder));
        std::os::unix::fs::symlink("/nowhere/at/all", newest.with_file_name("99999999")).unwrap();
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

/// Every column of every table that holds anything: what it holds is changed, as a flipped bit would.
#[test]
fn no_value_of_the_catalogue_changes_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    drop(everything(folder.path()));
    let file = folder.path().join("catalogue.sqlite");
    let list = |db: &rusqlite::Connection, sql: &str| -> Vec<String> {
        let mut statement = db.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let db = rusqlite::Connection::open(&file).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let tables = list(&db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
    drop(db);
    let sound = std::fs::read(&file).unwrap();
    let mut cases = 0;
    for table in &tables {
        let db = rusqlite::Connection::open(&file).unwrap();
        let columns = list(&db, &format!("SELECT name FROM pragma_table_info('{table}')"));
        drop(db);
        for column in columns {
            let changed = format!(
                "CASE typeof({column}) WHEN 'integer' THEN {column} + 1 WHEN 'real' THEN {column} + 0.25
                 WHEN 'text' THEN 'x' || {column} WHEN 'blob' THEN CAST('x' || {column} AS BLOB) ELSE 7 END"
            );
            let db = rusqlite::Connection::open(&file).unwrap();
            db.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON").unwrap();
            let which = format!("rowid = (SELECT max(rowid) FROM {table})");
            let sql = format!("UPDATE {table} SET {column} = {changed} WHERE {which}");
            let all = format!("UPDATE OR REPLACE {table} SET {column} = {changed}");
            // Tables without rowids, and unique columns, are changed in any way that works.
            let done = db.execute(&sql, []).or_else(|_| db.execute(&all, []));
            assert!(done.unwrap() > 0, "{table}.{column}: no row");
            drop(db);
            let library = Library::open(folder.path()).unwrap();
            let findings = library.check(true).unwrap().findings;
            assert!(!findings.is_empty(), "{table}.{column} went unnoticed");
            // Whatever can be mended is mended, and nothing that was written by hand goes.
            library.repair().unwrap();
            assert_eq!(library.chats().unwrap().len(), 1, "{table}.{column}");
            drop(library);
            for side in ["-wal", "-shm"] {
                let _ = std::fs::remove_file(folder.path().join(format!("catalogue.sqlite{side}")));
            }
            std::fs::write(&file, &sound).unwrap();
            let _ = std::fs::remove_file(folder.path().join("position"));
            cases += 1;
        }
    }
    assert!(cases > 120, "{cases}");
}

#[test]
fn what_can_be_computed_again_is() {
    let folder = tempfile::tempdir().unwrap();
    let library = everything(folder.path());
    let db = rusqlite::Connection::open(folder.path().join("catalogue.sqlite")).unwrap();
    for damage in [
        "UPDATE tag SET score = 9 WHERE photo = 1",
        "UPDATE photo SET width = -5 WHERE id = 2",
        "UPDATE file SET size = 77 WHERE photo = 3",
        "UPDATE member SET cosine = 4",
        "UPDATE caption SET text = 'by nobody' WHERE photo = 2",
        "UPDATE root SET path = CAST('/elsewhere' AS BLOB)",
    ] {
        assert!(db.execute(damage, []).unwrap() > 0, "{damage}");
    }
    // A value out of range is an error that names its photo.
    let request = SearchRequest { filters: query::parse("wider:1").unwrap().filters, ..request(By::Meaning) };
    db.execute("UPDATE photo SET height = -1 WHERE id = 1", []).unwrap();
    let error = library.searcher().unwrap().search(&request).unwrap_err().to_string();
    assert!(error.contains("photo 1 (/photos/1.jpg)"), "{error}");
    let named = |findings: &[Finding], what: &str| findings.iter().any(|finding| finding.what.contains(what));
    let findings = library.check(true).unwrap().findings;
    for what in
        ["the tags of photo 1 (/photos/1.jpg) are damaged", "photo 2 (/photos/2.jpg) is damaged", "/photos/3.jpg"]
    {
        assert!(named(&findings, what), "{what}: {findings:?}");
    }
    library.repair().unwrap();
    assert!(library.check(true).unwrap().findings.is_empty(), "{:?}", library.check(true));
    assert_eq!(library.roots().unwrap(), [Path::new("/photos")]);
    let writer = library.lock().unwrap();
    assert!(writer.file(Path::new("/photos/3.jpg")).unwrap().is_none(), "it is read again");
    for name in ["/photos/1.jpg", "/photos/2.jpg"] {
        assert!(!writer.file(Path::new(name)).unwrap().unwrap().embedded, "{name}");
    }
    drop(writer);
    library.lock().unwrap().apply(&many(1, 4, "thing")).unwrap();
    assert_eq!(library.caption(1).unwrap().unwrap().text, "by hand");
    assert_eq!(library.searcher().unwrap().search(&request).unwrap().hits.len(), 4);
}

/// What one model made is mended without what another one made.
#[test]
fn damage_of_one_model_costs_the_other_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let library = everything(folder.path());
    let (a, b) = (model("a", DIM), model("b", 8));
    let db = rusqlite::Connection::open(folder.path().join("catalogue.sqlite")).unwrap();
    let lacking = |n: u64| library.lacking(&identity(n), &[&a, &b]).unwrap();
    for damage in [
        "UPDATE embedding SET vector = zeroblob(length(vector)) WHERE photo = 1 AND model = 2",
        "UPDATE embedding SET checksum = 7 WHERE photo = 1 AND model = 2",
        "UPDATE embedding SET seal = 7 WHERE photo = 1 AND model = 2",
        "UPDATE other_tag SET label = 'x' WHERE photo = 1",
    ] {
        assert_eq!((lacking(1), lacking(2)), (vec![], vec![]), "{damage}");
        assert!(db.execute(damage, []).unwrap() > 0, "{damage}");
        assert!(!library.check(true).unwrap().findings.is_empty(), "{damage}");
        library.repair().unwrap();
        assert!(library.check(true).unwrap().findings.is_empty(), "{damage}");
        assert_eq!((lacking(1), lacking(2)), (vec![1], vec![]), "{damage}");
        library.lock().unwrap().apply(&[beside(1, &b, "other")]).unwrap();
    }
    db.execute("UPDATE tag SET score = 9 WHERE photo = 1", []).unwrap();
    library.repair().unwrap();
    assert_eq!(lacking(1), [0]);
}

#[test]
fn what_is_damaged_stops_no_export() {
    let folder = tempfile::tempdir().unwrap();
    let library = everything(folder.path());
    library.lock().unwrap().compact().unwrap();
    let export = |library: &Library| {
        let mut records = 0;
        let damaged = library.written(|record| {
            records += 1;
            record.check()
        });
        (records, damaged.unwrap())
    };
    assert_eq!(export(&library), (12, 0));
    let mut cases = 0;
    for table in [
        "caption",
        "reading",
        "conversation",
        "turn",
        "given_name",
        "named_picture",
        "album",
        "album_picture",
        "own_tag",
        "own_rating",
        "saved_search",
        "label_set",
        "forgotten",
    ] {
        let columns: Vec<String> = {
            let db = rusqlite::Connection::open(folder.path().join("catalogue.sqlite")).unwrap();
            let mut statement = db.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
            statement.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        for column in columns {
            for value in ["x'00ff'", "'?'", "7"] {
                let copy = tempfile::tempdir().unwrap();
                let file = copy.path().join("catalogue.sqlite");
                std::fs::copy(folder.path().join("catalogue.sqlite"), &file).unwrap();
                let db = rusqlite::Connection::open(&file).unwrap();
                db.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
                let which = format!("rowid = (SELECT min(rowid) FROM {table})");
                let which =
                    if matches!(table, "named_picture" | "forgotten" | "own_tag" | "own_rating" | "saved_search") {
                        "true"
                    } else {
                        &which
                    };
                // Some columns can hold no such value.
                if db.execute(&format!("UPDATE {table} SET {column} = {value} WHERE {which}"), []).is_ok() {
                    cases += 1;
                    let (records, damaged) = export(&Library::open(copy.path()).unwrap());
                    assert!(damaged > 0 && records >= 6, "{table}.{column} = {value}: {records}, {damaged}");
                }
            }
        }
    }
    assert!(cases > 80, "{cases}");
}

#[test]
fn a_wal_that_lost_its_end_is_noticed_until_it_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let library = everything(folder.path());
    let wal = folder.path().join("catalogue.sqlite-wal");
    let before = std::fs::read(&wal).unwrap();
    library.set_caption_by_hand(1, "written last").unwrap();
    let (main, after) = (std::fs::read(folder.path().join("catalogue.sqlite")).unwrap(), std::fs::read(&wal).unwrap());
    assert!(after.len() > before.len());
    let position = std::fs::read(folder.path().join("position")).unwrap();
    let mut noticed = 0;
    for flip in (before.len()..after.len()).step_by(511) {
        let hurt = tempfile::tempdir().unwrap();
        let mut wal = after.clone();
        wal[flip] ^= 16;
        std::fs::write(hurt.path().join("catalogue.sqlite"), &main).unwrap();
        std::fs::write(hurt.path().join("catalogue.sqlite-wal"), wal).unwrap();
        std::fs::write(hurt.path().join("position"), &position).unwrap();
        let library = Library::open(hurt.path()).unwrap();
        if library.caption(1).unwrap().unwrap().text == "written last" {
            continue;
        }
        let findings = library.check(false).unwrap().findings;
        assert!(findings.iter().any(|finding| finding.remedy == Remedy::Accept), "byte {flip}: {findings:?}");
        assert_eq!(library.status().unwrap().lost_commits, 1);
        // Going on does not hide it.
        library.set_caption_by_hand(1, "written anew").unwrap();
        library.set_caption_by_hand(2, "and more").unwrap();
        assert!(library.lost_commits().unwrap() > 0);
        library.repair().unwrap();
        assert_eq!(library.lost_commits().unwrap(), 0);
        noticed += 1;
    }
    assert!(noticed > 3, "{noticed}");
}
