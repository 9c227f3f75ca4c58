//! Copies of whole libraries between a folder and a server.

use crate::support::*;
use snapseek_index::{Error, Library, Written};
use std::path::Path;

fn written(library: &Library) -> Vec<Written> {
    let mut all = Vec::new();
    let left_out = library
        .written(|written| {
            all.push(written);
            Ok::<(), Error>(())
        })
        .unwrap();
    assert_eq!(left_out, 0);
    all
}

#[test]
fn everything_goes_to_the_server_and_back() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [first, server, back] = [folders[0].path().into(), place(folders[1].path()), folders[2].path().into()];
    let original = everything(&first);
    let (on_server, returned) = (Library::create(&server).unwrap(), Library::create(&back).unwrap());

    // Stopped in the middle, and begun again.
    let mut steps = 0;
    let stopped = original.copy_to(&on_server, &mut |_, _| {
        steps += 1;
        steps < 6
    });
    assert_eq!(stopped.unwrap(), None);
    let copied = original.copy_to(&on_server, &mut |_, _| true).unwrap().unwrap();
    assert!(copied.rows > 0 && copied.there > 0, "{copied:?}");
    let again = original.copy_to(&on_server, &mut |_, _| true).unwrap().unwrap();
    assert_eq!((again.rows, again.there), (0, copied.rows + copied.there));
    on_server.copy_to(&returned, &mut |_, _| true).unwrap().unwrap();

    let wanted = written(&original);
    assert!(wanted.len() > 8);
    for library in [&on_server, &returned] {
        assert_eq!(written(library), wanted);
        assert!(library.check(true).unwrap().findings.is_empty());
        assert_eq!(names(&find(library, "Exit")), names(&find(&original, "Exit")));
        let (mut status, mut of_original) = (library.status().unwrap(), original.status().unwrap());
        (status.bytes, of_original.bytes) = (0, 0);
        assert_eq!(status, of_original);
    }
    // What comes next gets new ids.
    let mut writer = on_server.lock().unwrap();
    writer.apply(&[photo("new.jpg", 99, DIM, &["thing"])]).unwrap();
    drop(writer);
    assert!(on_server.photo_at(Path::new("/photos/new.jpg")).unwrap() == Some(6));
    let error = original.copy_to(&on_server, &mut |_, _| true).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }) && error.to_string().contains("holds something else"), "{error}");
}
