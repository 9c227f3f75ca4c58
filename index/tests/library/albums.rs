//! Albums: their order, what follows into them, and what is lost of them (nothing).

use crate::support::*;
use snapseek_index::{Error, Library, Written};
use std::path::Path;

fn id(library: &Library, name: &str) -> i64 {
    library.photo_at(&Path::new("/photos").join(name)).unwrap().unwrap()
}

fn paths(library: &Library, album: &str) -> Vec<String> {
    let searcher = library.searcher().unwrap();
    let paths = searcher.paths(&library.album_photos(album).unwrap()).unwrap();
    paths.into_iter().map(|path| path.unwrap().file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

fn three() -> (tempfile::TempDir, Library) {
    let changes = [photo("a.jpg", 1, DIM, &["cat"]), photo("b.jpg", 2, DIM, &["gate"]), photo("c.jpg", 3, DIM, &[])];
    library_of(&changes, true)
}

#[test]
fn an_album_keeps_its_order_and_each_photo_once() {
    let (_folder, library) = three();
    let [a, b, c] = ["a.jpg", "b.jpg", "c.jpg"].map(|name| id(&library, name));
    assert_eq!(library.add_to_album("Our \"Lisboa\"", &[c, a, c]).unwrap(), 2);
    assert_eq!(library.add_to_album("our \"LISBOA\"", &[a, b]).unwrap(), 1, "case is ignored");
    assert_eq!(paths(&library, "our \"lisb\u{f3}a\""), ["c.jpg", "a.jpg", "b.jpg"], "and accents");
    let found = |query: &str| {
        let mut found = names(&find(&library, query));
        found.sort();
        found
    };
    assert_eq!(found("album:\"our \"\"lisboa\"\"\" -tag:cat"), ["b.jpg", "c.jpg"]);
    assert_eq!(library.remove_from_album("Our \"Lisboa\"", &[a, a]).unwrap(), 1);
    assert_eq!(paths(&library, "Our \"Lisboa\""), ["c.jpg", "b.jpg"]);
    assert_eq!((found("has:album"), found("-has:album")), (vec!["b.jpg".into(), "c.jpg".into()], vec!["a.jpg".into()]));
    // What was there can be put back exactly.
    let before = library.album_pictures("Our \"Lisboa\"").unwrap().unwrap();
    library.add_to_album("Our \"Lisboa\"", &[a]).unwrap();
    library.set_album("Our \"Lisboa\"", Some(&before)).unwrap();
    assert_eq!(paths(&library, "Our \"Lisboa\""), ["c.jpg", "b.jpg"]);
    assert_eq!((library.albums_of(b).unwrap(), library.albums_of(a).unwrap()), (vec!["Our \"Lisboa\"".into()], vec![]));
    library.rename_album("our \"lisboa\"", "Porto").unwrap();
    library.add_to_album("Other", &[a]).unwrap();
    assert!(matches!(library.rename_album("Other", "PORTO"), Err(Error::Refused { .. })));
    assert!(matches!(library.add_to_album(" ", &[a]), Err(Error::Refused { .. })));
    assert!(matches!(library.delete_album("Lisboa"), Err(Error::NoAlbum { known, .. }) if known == ["Other", "Porto"]));
    library.delete_album("porto").unwrap();
    let albums = library.albums().unwrap();
    assert_eq!((albums.len(), albums[0].name.as_str(), albums[0].photos), (1, "Other", 1));
    assert!(library.check(true).unwrap().findings.is_empty());
}

#[test]
fn what_is_missing_comes_back_and_what_is_edited_stays_in_its_place() {
    let (_folder, library) = three();
    let ids = ["b.jpg", "a.jpg", "c.jpg"].map(|name| id(&library, name));
    library.add_to_album("Lisbon", &ids).unwrap();
    let mut writer = library.lock().unwrap();
    // Gone, and compacted; then it is back, elsewhere.
    writer.forget(Path::new("/photos/a.jpg")).unwrap();
    refresh(&mut writer);
    writer.compact().unwrap();
    let album = library.albums().unwrap().remove(0);
    assert_eq!((album.photos, album.pictures), (2, 3));
    assert_eq!(paths(&library, "lisbon"), ["b.jpg", "c.jpg"]);
    writer.apply(&[photo("elsewhere.jpg", 1, DIM, &[])]).unwrap();
    refresh(&mut writer);
    assert_eq!(paths(&library, "lisbon"), ["b.jpg", "elsewhere.jpg", "c.jpg"]);
    // Another picture in the place of one: it was edited.
    writer.apply(&[photo("b.jpg", 9, DIM, &[])]).unwrap();
    refresh(&mut writer);
    assert_eq!(paths(&library, "lisbon"), ["b.jpg", "elsewhere.jpg", "c.jpg"]);
    drop(writer);
    assert!(library.check(true).unwrap().findings.is_empty());
}

#[test]
fn an_album_goes_into_another_library_and_no_photo_of_either_is_lost() {
    let (_folder, library) = three();
    let [a, b, c] = ["a.jpg", "b.jpg", "c.jpg"].map(|name| id(&library, name));
    library.add_to_album("Lisbon", &[c, b]).unwrap();
    let mut records = Vec::new();
    let take = |record| {
        records.push(record);
        Ok::<(), Error>(())
    };
    library.written(take).unwrap();
    records.retain(|record| matches!(record, Written::Album { .. }));
    assert_eq!(records.len(), 1);
    let (_empty_folder, empty) = library_of(&[], true);
    let done = empty.lock().unwrap().import(&records).unwrap();
    assert_eq!((done.albums.added, empty.albums().unwrap()[0].pictures, empty.albums().unwrap()[0].photos), (1, 2, 0));
    let mut writer = empty.lock().unwrap();
    writer.apply(&[photo("b.jpg", 2, DIM, &[]), photo("c.jpg", 3, DIM, &[])]).unwrap();
    refresh(&mut writer);
    drop(writer);
    assert_eq!(paths(&empty, "Lisbon"), ["c.jpg", "b.jpg"], "they were waited for");
    // Both were changed since: the newer order first, and what the other has behind it.
    library.remove_from_album("Lisbon", &[b]).unwrap();
    library.add_to_album("Lisbon", &[a]).unwrap();
    let done = library.lock().unwrap().import(&records).unwrap();
    assert_eq!(done.albums.updated, 1);
    assert_eq!(paths(&library, "Lisbon"), ["c.jpg", "a.jpg", "b.jpg"]);
    assert_eq!(library.lock().unwrap().import(&records).unwrap().albums.unchanged, 1);
}
