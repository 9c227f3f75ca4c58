//! Looks are stored with their photos, and dropped where they are damaged.

use crate::support::{hash, identity, is_on_server, model, photo, place, stamp};
use snapseek_index::{Change, Error, Library, PhotoFile, Remedy};
use std::path::PathBuf;

const DIM: usize = 8;
/// The photos of the tests, and one that there is not.
const ALL: [i64; 5] = [1, 2, 3, 4, 99];

fn library() -> (tempfile::TempDir, Library) {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&place(folder.path())).unwrap();
    let mut writer = library.lock().unwrap();
    writer.set_model(&model("m", DIM)).unwrap();
    let copy = |path: &str, of: u64| Change::Known {
        path: PathBuf::from("/photos").join(path),
        root: "/photos".into(),
        stamp: stamp(of),
        identity: identity(of),
        metadata: Default::default(),
    };
    let photos = [photo("a.jpg", 1, DIM, &[]), photo("b.jpg", 2, DIM, &[]), photo("c.jpg", 3, DIM, &[])];
    writer.apply(&photos).unwrap();
    writer.apply(&[copy("z/b.jpg", 2), copy("a copy.jpg", 1), copy("b copy.jpg", 2)]).unwrap();
    drop(writer);
    (folder, library)
}

fn sql(folder: &tempfile::TempDir, statement: &str) {
    rusqlite::Connection::open(folder.path().join("catalogue.sqlite")).unwrap().execute_batch(statement).unwrap();
}

#[test]
fn looks_are_kept_by_version_and_go_with_their_photo() {
    let (_folder, library) = library();
    assert_eq!(library.looks(1, &ALL).unwrap(), []);
    library.save_looks(1, &[(1, vec![7; 9]), (3, vec![0; 65_536]), (99, vec![1])]).unwrap();
    assert_eq!(library.looks(1, &ALL).unwrap(), [(1, vec![7; 9]), (3, vec![0; 65_536])]);
    assert_eq!(library.looks(1, &[3, 2]).unwrap(), [(3, vec![0; 65_536])]);
    library.save_looks(2, &[(1, vec![8])]).unwrap();
    assert_eq!(library.looks(1, &ALL).unwrap(), [(3, vec![0; 65_536])]);
    assert_eq!(library.looks(2, &ALL).unwrap(), [(1, vec![8])]);
    for bad in [vec![], vec![0; 65_537]] {
        assert!(matches!(library.save_looks(2, &[(2, vec![1]), (1, bad)]), Err(Error::Refused { .. })));
    }
    assert_eq!(library.looks(2, &ALL).unwrap(), [(1, vec![8])], "all or none");
    // A photo without a file does not count.
    library.lock().unwrap().apply(&[Change::Remove { path: "/photos/c.jpg".into() }]).unwrap();
    assert_eq!(library.looks(1, &ALL).unwrap(), []);
}

#[test]
fn an_indexing_run_writes_looks_with_its_photos() {
    let (_folder, library) = library();
    let look = |of: u64, version: u32, look: &[u8]| Change::Look { picture: hash(of), version, look: look.to_vec() };
    assert!(!library.has_look(&hash(2), 1).unwrap());
    let mut writer = library.lock().unwrap();
    // In the transaction of its photo; one of a picture that nobody knows is left out.
    writer.apply(&[photo("d.jpg", 4, DIM, &[]), look(4, 1, &[4; 9]), look(2, 1, &[2; 9]), look(77, 1, &[7])]).unwrap();
    assert_eq!(library.looks(1, &ALL).unwrap(), [(2, vec![2; 9]), (4, vec![4; 9])]);
    let has = |of: u64, version: u32| library.has_look(&hash(of), version).unwrap();
    assert_eq!([has(2, 1), has(4, 1), has(1, 1), has(2, 2), has(77, 1)], [true, true, false, false, false]);
    for bad in [vec![], vec![0; 65_537]] {
        let changes = [photo("e.jpg", 5, DIM, &[]), look(2, 3, &[3]), look(5, 3, &bad)];
        assert!(matches!(writer.apply(&changes), Err(Error::Refused { .. })));
    }
    assert_eq!(library.looks(3, &ALL).unwrap(), [], "all or none");
    writer.apply(&[look(2, 2, &[9])]).unwrap();
    assert_eq!((library.looks(1, &ALL).unwrap().len(), library.looks(2, &ALL).unwrap()), (1, vec![(2, vec![9])]));
    assert!(library.check(true).unwrap().findings.is_empty());
}

#[test]
fn a_damaged_look_is_found_left_out_and_dropped() {
    if is_on_server() {
        return; // About the files of a folder.
    }
    let (folder, library) = library();
    library.save_looks(1, &[(1, vec![7; 9]), (2, vec![8; 9])]).unwrap();
    assert!(library.check(true).unwrap().findings.is_empty());
    sql(&folder, "UPDATE look SET data = x'070707070807070707' WHERE photo = 1");
    assert_eq!(library.looks(1, &ALL).unwrap(), [(2, vec![8; 9])]);
    let findings = library.check(true).unwrap().findings;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].what.contains("photo 1") && findings[0].remedy == Remedy::DropUntilNeeded, "{findings:?}");
    library.repair().unwrap();
    assert!(library.check(true).unwrap().findings.is_empty());
    assert_eq!(library.looks(1, &ALL).unwrap(), [(2, vec![8; 9])]);
}

#[test]
fn photos_with_several_files_are_named_with_all_of_them() {
    let (_folder, library) = library();
    let copies = library.copies().unwrap();
    let found: Vec<(i64, Vec<&str>)> = copies
        .iter()
        .map(|photo| (photo.id, photo.files.iter().map(|file| file.path.to_str().unwrap()).collect()))
        .collect();
    let b = vec!["/photos/b copy.jpg", "/photos/b.jpg", "/photos/z/b.jpg"];
    assert_eq!(found, [(1, vec!["/photos/a copy.jpg", "/photos/a.jpg"]), (2, b)]);
    assert_eq!((copies[1].picture, copies[1].files[2].stamp), (hash(2), stamp(2)));
    let file = PhotoFile { path: "/photos/c.jpg".into(), stamp: stamp(3), hash: hash(3), facts: 0 };
    let found = library.files_of(&[99, 3, 1]).unwrap();
    assert_eq!(found.iter().map(|photo| photo.id).collect::<Vec<_>>(), [1, 3]);
    assert_eq!((&found[0], found[1].files.as_slice()), (&copies[0], [file].as_slice()));
}
