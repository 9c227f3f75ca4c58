//! The catalogue compared with a plain map, and its locks, roots, models and permissions.

use crate::support::*;
use snapseek_index::{By, Change, Error, Finding, Library, Metadata, SearchRequest};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

const DIM: usize = 16;

/// What the library should hold: content per path.
type Model = BTreeMap<PathBuf, u64>;

fn compare(library: &Library, expected: &Model, ids: &mut HashMap<u64, BTreeSet<i64>>) {
    let contents: BTreeSet<u64> = expected.values().copied().collect();
    let status = library.status().unwrap();
    assert_eq!((status.files, status.photos), (expected.len() as u64, contents.len() as u64));
    let searcher = library.searcher().unwrap();
    assert_eq!(searcher.len(), contents.len());
    for by in [By::Meaning, By::Words] {
        let request = SearchRequest {
            vector: (by == By::Meaning).then(|| vector(1, DIM)),
            words: (by == By::Words).then(|| "thing".into()),
            ..request(by)
        };
        let hits = searcher.search(&request).unwrap().hits;
        let found: BTreeMap<PathBuf, u64> =
            hits.iter().flat_map(|hit| hit.paths.iter().map(|path| (path.clone(), hit.size))).collect();
        assert_eq!(&found, expected, "{by:?}");
        assert_eq!(hits.len(), contents.len());
        if by == By::Meaning {
            let mut last = f32::INFINITY;
            for hit in &hits {
                let right: f32 = vector(hit.size, DIM).iter().zip(vector(1, DIM)).map(|(a, b)| a * b).sum();
                assert!((hit.cosine.unwrap() - right).abs() < 1e-5 && hit.cosine.unwrap() <= last);
                last = hit.cosine.unwrap();
                ids.entry(hit.size).or_default().insert(hit.id);
            }
        }
    }
}

#[test]
fn random_operations_leave_what_a_plain_map_would_hold() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&place(folder.path())).unwrap();
    let mut random = Random(42);
    let mut expected = Model::new();
    let mut failed: BTreeSet<PathBuf> = BTreeSet::new();
    let mut ids = HashMap::new();
    let mut writer = library.lock().unwrap();
    writer.set_model(&model("a", DIM)).unwrap();
    writer.add_root(Path::new("/photos")).unwrap();
    for step in 0..700 {
        let name = format!("d{}/f{}.jpg", random.below(4), random.below(25));
        let path = Path::new("/photos").join(&name);
        let content = 100 + random.below(40) as u64;
        match random.below(12) {
            0..5 => {
                writer.apply(&[photo(&name, content, DIM, &["some thing"])]).unwrap();
                failed.remove(&path);
                expected.insert(path, content);
            }
            5..7 => {
                let known = knows(&library, &identity(content));
                assert!(known || !expected.values().any(|c| *c == content));
                let known_change = Change::Known {
                    path: path.clone(),
                    root: "/photos".into(),
                    stamp: stamp(content),
                    identity: identity(content),
                    metadata: Metadata::default(),
                };
                writer.apply(&[known_change]).unwrap();
                failed.remove(&path);
                expected.remove(&path);
                if known {
                    expected.insert(path, content);
                }
            }
            7 => {
                let (kind, message) = ("damaged".into(), "cut short".into());
                let root = "/photos".into();
                writer
                    .apply(&[Change::Failed { path: path.clone(), root, stamp: stamp(3), kind, message, reader: 1 }])
                    .unwrap();
                expected.remove(&path);
                failed.insert(path);
            }
            8 => {
                writer.apply(&[Change::Remove { path: path.clone() }]).unwrap();
                expected.remove(&path);
                failed.remove(&path);
            }
            9 if random.below(4) == 0 => {
                let folder = path.parent().unwrap();
                let count = expected.keys().filter(|p| p.starts_with(folder)).count() as u64;
                assert_eq!(writer.forget(folder).unwrap(), count);
                expected.retain(|p, _| !p.starts_with(folder));
                failed.retain(|p| !p.starts_with(folder));
            }
            10 if random.below(6) == 0 => refresh(&mut writer),
            11 if random.below(6) == 0 => {
                // Two files that swap their contents in two transactions.
                let other = Path::new("/photos/d0/other.jpg").to_path_buf();
                for (path, content) in [(&path, content), (&other, 999)] {
                    let name = path.strip_prefix("/photos").unwrap().to_string_lossy().into_owned();
                    writer.apply(&[photo(&name, content, DIM, &["some thing"])]).unwrap();
                }
                for (path, content) in [(&path, 999), (&other, content)] {
                    let (root, identity) = ("/photos".into(), identity(content));
                    let metadata = Metadata::default();
                    let change = Change::Known { path: path.clone(), root, stamp: stamp(content), identity, metadata };
                    writer.apply(&[change]).unwrap();
                }
                failed.remove(&path);
                expected.insert(path, 999);
                expected.insert(other, content);
            }
            _ => {
                let state = writer.file(&path).unwrap();
                assert_eq!(state.as_ref().map(|s| s.hash), expected.get(&path).map(|c| hash(*c)));
                assert!(state.is_none_or(|s| s.embedded));
                assert_eq!(writer.failure(&path).unwrap().is_some(), failed.contains(&path));
                let id = library.photo_at(&path).unwrap();
                let embedding = id.map(|id| library.embedding(id).unwrap().unwrap());
                assert_eq!(embedding, expected.get(&path).map(|c| vector(*c, DIM)));
            }
        }
        if step % 23 == 0 {
            compare(&library, &expected, &mut ids);
        }
    }
    refresh(&mut writer);
    compare(&library, &expected, &mut ids);
    let listed: BTreeSet<PathBuf> = library.failures().unwrap().into_iter().map(|f| f.path).collect();
    assert_eq!(listed, failed);
    // No id was ever used for two contents.
    let all: Vec<i64> = ids.values().flatten().copied().collect();
    assert_eq!(all.len(), all.iter().collect::<HashSet<_>>().len());
    assert_eq!(library.check(true).unwrap().findings, Vec::<Finding>::new());
}

#[test]
fn one_writer_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = Library::create(&place(folder.path())).unwrap();
    let second = first.reopen().unwrap();
    let writer = first.lock().unwrap();
    let error = second.lock().unwrap_err();
    assert!(matches!(error, Error::Locked { pid: Some(pid), .. } if pid == std::process::id()));
    let message = error.to_string();
    assert!(
        message.contains(&first.place().display().to_string()) && message.contains(&std::process::id().to_string())
    );
    second.searcher().unwrap();
    drop(writer);
    second.lock().unwrap();
}

#[test]
fn a_killed_process_leaves_no_lock() {
    const HOLDER: &str = "SNAPSEEK_TEST_HOLDER";
    if let Some(dir) = std::env::var_os(HOLDER) {
        // The other process: holds the lock until it is killed.
        let library = Library::open(&place(Path::new(&dir))).unwrap();
        let _writer = library.lock().unwrap();
        std::fs::write(Path::new(&dir).join("held"), "").unwrap();
        std::thread::sleep(std::time::Duration::from_secs(60));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&place(folder.path())).unwrap();
    let mut holder = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "catalogue::a_killed_process_leaves_no_lock"])
        .env(HOLDER, folder.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !folder.path().join("held").exists() {
        assert!(holder.try_wait().unwrap().is_none(), "the holder ended early");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let error = library.lock().unwrap_err();
    assert!(matches!(error, Error::Locked { pid: Some(pid), .. } if pid == holder.id()), "{error}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    // A server that is busy notices a moment later.
    let killed = std::time::Instant::now();
    while is_on_server() && library.lock().is_err() && killed.elapsed().as_secs() < 10 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    library.lock().unwrap();
}

#[test]
fn models_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&place(folder.path())).unwrap();
    let mut writer = library.lock().unwrap();
    assert!(matches!(writer.apply(&[photo("a.jpg", 1, DIM, &[])]), Err(Error::NoModel)));
    writer.set_model(&model("one", DIM)).unwrap();
    writer.set_model(&model("one", DIM)).unwrap();
    let message = writer.set_model(&model("two", 8)).unwrap_err().to_string();
    assert!(message.contains("one") && message.contains("two"), "{message}");
    writer.apply(&[photo("a.jpg", 1, DIM, &["cat"]), photo("b.jpg", 2, DIM, &["dog"])]).unwrap();
    refresh(&mut writer);
    switch(&mut writer, &model("two", 8));
    assert!(!writer.file(Path::new("/photos/a.jpg")).unwrap().unwrap().embedded);
    assert!(!knows(&library, &identity(1)));
    // Meanwhile, words still find all photos, and meaning finds those that are embedded so far.
    assert_eq!(names(&find(&library, "cat")), ["a.jpg"]);
    writer.apply(&[photo("a.jpg", 1, 8, &["cat"])]).unwrap();
    let by_meaning = |dim| {
        let request = SearchRequest { vector: Some(vector(1, dim)), ..request(By::Meaning) };
        library.searcher().unwrap().search(&request)
    };
    assert_eq!(names(&by_meaning(8).unwrap().hits), ["a.jpg"]);
    assert!(matches!(by_meaning(DIM), Err(Error::Vector { .. })));
    // Back to the first model, whose embeddings are all there.
    switch(&mut writer, &model("one", DIM));
    assert!(writer.file(Path::new("/photos/a.jpg")).unwrap().unwrap().embedded);
    assert_eq!(by_meaning(DIM).unwrap().hits.len(), 2);
    assert!(matches!(by_meaning(8), Err(Error::Vector { .. })));
    assert_eq!(library.status().unwrap().files, 2);
}

#[test]
fn vectors_that_are_no_embeddings_are_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&place(folder.path())).unwrap();
    let mut writer = library.lock().unwrap();
    writer.set_model(&model("a", 4)).unwrap();
    for bad in [vec![0.0; 4], vec![f32::NAN; 4], vec![f32::INFINITY, 0.0, 0.0, 0.0], vec![1.0; 4], vec![1.0, 0.0, 0.0]]
    {
        let Change::Photo { path, root, stamp, identity, facts, tags, .. } = photo("bad.jpg", 5, 4, &[]) else {
            panic!()
        };
        let change = Change::Photo { path, root, stamp, identity, facts, tags, embedding: bad };
        let error = writer.apply(&[photo("good.jpg", 1, 4, &[]), change]).unwrap_err();
        assert!(error.to_string().contains("bad.jpg"), "{error}");
        assert_eq!(library.status().unwrap().files, 0);
    }
}

#[test]
fn forgotten_files_stay_forgotten_until_named() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&place(folder.path())).unwrap();
    let mut writer = library.lock().unwrap();
    writer.set_model(&model("a", DIM)).unwrap();
    for root in ["/photos/sub", "/photos", "/photos/sub/sub", "/other"] {
        writer.add_root(Path::new(root)).unwrap();
    }
    assert_eq!(library.roots().unwrap(), [Path::new("/other"), Path::new("/photos")]);
    writer
        .apply(&[photo("a.jpg", 1, DIM, &[]), photo("sub/b.jpg", 2, DIM, &[]), photo("sub/c.jpg", 3, DIM, &[])])
        .unwrap();
    let forgotten = |writer: &snapseek_index::Writer<'_>, path: &str| writer.is_forgotten(Path::new(path)).unwrap();
    assert_eq!(writer.forget(Path::new("/photos/nothing.jpg")).unwrap(), 0);
    assert!(!forgotten(&writer, "/photos/nothing.jpg"));
    assert_eq!(writer.forget(Path::new("/photos/sub")).unwrap(), 2);
    assert!(forgotten(&writer, "/photos/sub/b.jpg") && !forgotten(&writer, "/photos/a.jpg"));
    assert_eq!(writer.forget(Path::new("/photos/sub")).unwrap(), 0);
    assert!(forgotten(&writer, "/photos/sub/b.jpg"), "forgetting twice is forgetting");
    writer.remember(Path::new("/photos/sub/b.jpg")).unwrap();
    assert!(!forgotten(&writer, "/photos/sub/b.jpg") && forgotten(&writer, "/photos/sub/c.jpg"));
    // What is said of a folder changes nothing that was said of a path inside it.
    writer.remember(Path::new("/photos")).unwrap();
    assert!(forgotten(&writer, "/photos/sub/c.jpg") && !forgotten(&writer, "/photos/sub/b.jpg"));
    assert_eq!(writer.forget(Path::new("/photos")).unwrap(), 1);
    assert!(!forgotten(&writer, "/photos/a.jpg") && forgotten(&writer, "/photos/sub/c.jpg"));
    assert!(forgotten(&writer, "/photos/sub/b.jpg"), "an exception goes with what it was one of");
    assert_eq!(library.forgotten().unwrap(), [Path::new("/photos/sub")]);
    writer.remember(Path::new("/photos/sub")).unwrap();
    assert!(!forgotten(&writer, "/photos/sub/c.jpg"));
    assert_eq!(library.roots().unwrap(), [Path::new("/other")]);
    assert_eq!(library.status().unwrap().files, 0);
}

#[test]
fn unseen_files_are_those_below_the_root_that_were_not_met() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&place(folder.path())).unwrap();
    let mut writer = library.lock().unwrap();
    writer.set_model(&model("a", DIM)).unwrap();
    writer
        .apply(&[photo("a/1.jpg", 1, DIM, &[]), photo("a/2.jpg", 2, DIM, &[]), photo("ab/3.jpg", 3, DIM, &[])])
        .unwrap();
    let root = Path::new("/photos/a");
    let met = writer.file(Path::new("/photos/a/1.jpg")).unwrap().unwrap().id;
    let unseen = writer.unseen(root, &HashSet::from([met])).unwrap();
    assert_eq!(unseen.len(), 1);
    assert_eq!((unseen[0].1.as_path(), unseen[0].2), (Path::new("/photos/a/2.jpg"), hash(2)));
    assert_eq!((writer.file_count(root).unwrap(), writer.file_count(Path::new("/photos")).unwrap()), (2, 3));
}

#[test]
fn a_missing_library_is_named_and_a_new_one_is_private() {
    if is_on_server() {
        return; // About the files of a folder.
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("a/b");
    let error = Library::open(&place(&dir)).unwrap_err();
    assert!(matches!(error, Error::NoLibrary { .. }) && error.to_string().contains(&dir.display().to_string()));
    assert!(!dir.exists());
    let library = Library::create(&place(&dir)).unwrap();
    let mut writer = library.lock().unwrap();
    writer.set_model(&model("a", DIM)).unwrap();
    writer.apply(&[photo("a.jpg", 1, DIM, &["cat"])]).unwrap();
    refresh(&mut writer);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mut waiting = vec![dir.clone()];
        let mut files = 0;
        while let Some(path) = waiting.pop() {
            let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            if path.is_dir() {
                assert_eq!(mode, 0o700, "{}", path.display());
                waiting.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            } else {
                files += 1;
                assert_eq!(mode, 0o600, "{}", path.display());
            }
        }
        assert!(files >= 4);
    }
}

#[test]
fn a_run_that_changes_nothing_writes_nothing() {
    if is_on_server() {
        return; // About the files of a folder.
    }
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&place(folder.path())).unwrap();
    let mut writer = library.lock().unwrap();
    writer.set_model(&model("a", DIM)).unwrap();
    writer.apply(&(0..50).map(|n| photo(&format!("{n}.jpg"), n + 1, DIM, &["cat"])).collect::<Vec<_>>()).unwrap();
    refresh(&mut writer);
    let listing = || {
        let vectors = std::fs::read_dir(folder.path().join("vectors")).unwrap().map(|e| e.unwrap().path());
        let mut files: Vec<_> = ["", "text"]
            .iter()
            .map(|sub| folder.path().join(sub))
            .chain(vectors)
            .flat_map(|sub| std::fs::read_dir(sub).unwrap())
            .map(|e| e.unwrap())
            .filter(|e| e.metadata().unwrap().is_file() && !e.path().to_string_lossy().ends_with("-shm"))
            .map(|e| (e.path(), std::fs::read(e.path()).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = listing();
    writer.set_model(&model("a", DIM)).unwrap();
    refresh(&mut writer);
    assert!(before == listing());
    // A few more photos do not cause the caches to be rebuilt either, and are found all the same.
    writer.apply(&[photo("more.jpg", 77, DIM, &["walrus"])]).unwrap();
    refresh(&mut writer);
    assert_eq!(names(&find(&library, "walrus")), ["more.jpg"]);
    let caches = |files: Vec<(PathBuf, Vec<u8>)>| files.into_iter().filter(|(p, _)| p.ends_with("00000001")).count();
    assert_eq!(caches(listing()), 2);
}

/// Meaningful only if the tests do not run as root, which permissions do not restrict.
#[cfg(unix)]
#[test]
fn a_library_on_a_read_only_disk_can_be_searched() {
    if is_on_server() {
        return; // About the files of a folder.
    }
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("a b%?#");
    let library = Library::create(&place(&dir)).unwrap();
    let mut writer = library.lock().unwrap();
    writer.set_model(&model("a", DIM)).unwrap();
    writer.apply(&[photo("a.jpg", 1, DIM, &["cat"]), photo("b.jpg", 2, DIM, &["dog"])]).unwrap();
    refresh(&mut writer);
    drop(writer);
    drop(library);
    let allow = |dir_mode, file_mode| {
        let set = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        set(&dir, 0o700);
        for entry in std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()) {
            set(&entry, file_mode);
        }
        set(&dir, dir_mode);
    };
    allow(0o500, 0o400);
    let found = Library::open(&place(&dir)).map(|library| (names(&find(&library, "cat")), library.check(true)));
    allow(0o700, 0o600);
    let (found, report) = found.unwrap();
    assert_eq!(found, ["a.jpg"]);
    assert!(report.unwrap().findings.is_empty());
}
