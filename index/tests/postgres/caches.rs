//! Caches that machines take from the server instead of making them.

use crate::sharing::{many, sql};
use crate::support::*;
use snapseek_index::{Library, Writer};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The files below a folder, with what they hold.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if !path.ends_with("lock") && !path.ends_with("caches.lock") {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(path, target).unwrap();
        }
    }
}

#[test]
fn a_machine_takes_the_caches_that_another_one_has_made() {
    let (folder, library) = library_of(&many(1_100), true);
    let mut writer = library.lock().unwrap();
    writer.apply(&[photo("more.jpg", 5_000, DIM, &["other"])]).unwrap();
    // Enough changes for another generation, which tells it from one that this machine makes.
    writer.apply(&many(1_100)).unwrap();
    refresh(&mut writer);
    drop(writer);
    let caches = library.dir().to_path_buf();
    let made = files(&caches);
    assert!(made.len() == 2 && made.keys().all(|path| path.ends_with("00000002")), "{:?}", made.keys());

    let as_another_machine = || {
        std::fs::remove_dir_all(&caches).unwrap();
        let library = Library::open(&place(folder.path())).unwrap();
        assert_eq!(
            (find(&library, "tag:other").len(), find(&library, "thing").len()),
            (1, 1_000),
            "as many as are asked for"
        );
        files(&caches)
    };
    assert!(as_another_machine() == made);
    // What is damaged, incomplete or gone there is made here.
    for damage in [
        "UPDATE shared_file SET bytes = set_byte(bytes, length(bytes) / 2, get_byte(bytes, length(bytes) / 2) # 1)",
        "UPDATE shared_file SET bytes = substr(bytes, 1, length(bytes) - 64)",
        "DELETE FROM shared_file",
        "UPDATE shared_cache SET files = 'nonsense'",
        "UPDATE shared_cache SET files = ''",
        "DELETE FROM shared_cache",
    ] {
        sql(folder.path(), damage);
        let own = as_another_machine();
        assert!(own.len() == 2 && own.keys().all(|path| path.ends_with("00000001")), "{damage}: {:?}", own.keys());
    }
    // Who indexes next puts its own there.
    library.lock().unwrap().apply(&[photo("last.jpg", 5_001, DIM, &["last"])]).unwrap();
    refresh(&mut library.lock().unwrap());
    let made = files(&caches);
    assert!(as_another_machine() == made);
    assert_eq!(count(folder.path(), "shared_cache"), 2);
}

#[test]
fn what_a_machine_has_already_is_not_taken_again() {
    const LARGE: usize = 200;
    let refresh = |writer: &mut Writer<'_>| writer.refresh_with_graph_from(LARGE, &mut |_, _, _| true).unwrap();
    let (folder, library) = library_of(&many(1_900), false);
    refresh(&mut library.lock().unwrap());
    let caches = library.dir().to_path_buf();
    let saved = folder.path().join("saved");
    copy(&caches, &saved);
    let more: Vec<_> = (2_001..=3_200).map(|n| photo(&format!("{n}.jpg"), n, DIM, &["more"])).collect();
    library.lock().unwrap().apply(&more).unwrap();
    refresh(&mut library.lock().unwrap());
    let made = files(&caches);
    let older = made.keys().filter(|path| path.ends_with("00000001")).count();
    assert!(older > 0 && made.len() > older, "{:?}", made.keys());

    // Another machine was last here when there were fewer.
    std::fs::remove_dir_all(&caches).unwrap();
    copy(&saved, &caches);
    let inodes = || -> BTreeMap<PathBuf, u64> {
        let files = files(&caches).into_keys().filter(|path| path.ends_with("00000001"));
        files.map(|path| (path.clone(), std::fs::metadata(path).unwrap().ino())).collect()
    };
    let before = inodes();
    let other = Library::open(&place(folder.path())).unwrap();
    refresh(&mut other.lock().unwrap());
    assert!(files(&caches) == made);
    let linked = inodes().into_iter().filter(|(path, inode)| before.get(path) == Some(inode)).count();
    assert_eq!(linked, older);
    assert_eq!(find(&other, "tag:more").len(), 1_000, "as many as are asked for");
    assert!(other.check(true).unwrap().findings.is_empty());
}
