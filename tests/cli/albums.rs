//! Albums from the command line: made, listed in their order, asked for, exported, carried into another library.

use crate::support::{Sandbox, another, file_name, finish, fixture};
use std::fs;
use std::path::PathBuf;

fn listed(sandbox: &Sandbox, album: &str) -> Vec<String> {
    let lines = sandbox.run(["album", "list", album, "--json"]).exits(0).lines();
    lines.iter().map(|line| file_name(&line["path"])).collect()
}

#[test]
fn an_album_is_made_extended_asked_for_and_exported_in_its_order() {
    let sandbox = Sandbox::indexed(&["cat", "dog", "owl", "giraffe"]);
    let none = sandbox.run(["album", "list"]).exits(1);
    assert!(none.stderr.contains("album add"), "{none}");
    let made = sandbox.run(["album", "add", "Our \"zoo\"", "owl.jpg", "cat.jpg"]).exits(0);
    assert!(made.text().contains("2 photos added") && made.stderr.contains("album:\"Our \"\"zoo\"\"\""), "{made}");
    let more = sandbox.run(["album", "add", "our \"ZOO\"", "cat.jpg", "giraffe.jpg", "--json"]).exits(0).line();
    assert_eq!((&more["added"], &more["unchanged"]), (&1.into(), &1.into()));
    assert_eq!(listed(&sandbox, "our \"zoo\""), ["owl.jpg", "cat.jpg", "giraffe.jpg"]);
    let found = sandbox.run(["search", "album:\"our \"\"zoo\"\"\" -path:cat", "--json"]).exits(0);
    let mut names: Vec<String> = found.lines().iter().map(|hit| file_name(&hit["path"])).collect();
    names.sort();
    assert_eq!(names, ["giraffe.jpg", "owl.jpg"]);
    let unknown = sandbox.run(["search", "album:sea"]).exits(2);
    assert!(unknown.stderr.contains("there is no album \"sea\"") && unknown.stderr.contains("zoo"), "{unknown}");
    sandbox.run(["album", "add", "x", "nothing is called so.jpg"]).exits(1);

    for _ in 0..2 {
        sandbox.run(["album", "export", "our \"zoo\"", "--copy-to", "../copies", "--html", "../zoo.html"]).exits(0);
    }
    let mut copies: Vec<PathBuf> =
        fs::read_dir(sandbox.path("copies")).unwrap().map(|entry| entry.unwrap().path()).collect();
    copies.sort();
    let copies: Vec<&str> = copies.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(copies, ["0001-owl.jpg", "0002-cat.jpg", "0003-giraffe.jpg"], "once, in the album's order");
    assert!(fs::read_to_string(sandbox.path("zoo.html")).unwrap().contains("data:image/jpeg"));

    sandbox.run(["album", "remove", "our \"zoo\"", "cat.jpg"]).exits(0);
    sandbox.run(["album", "remove", "our \"zoo\"", "cat.jpg"]).exits(1);
    sandbox.run(["album", "rename", "our \"zoo\"", "Zoo"]).exits(0);
    assert_eq!(listed(&sandbox, "zoo"), ["owl.jpg", "giraffe.jpg"]);
    sandbox.run(["album", "delete", "zoo"]).exits(0);
    sandbox.run(["album", "delete", "zoo"]).exits(2);
    sandbox.run(["check", "--full"]).exits(0);
}

#[test]
fn an_album_outlives_moves_edits_and_its_library() {
    let sandbox = Sandbox::indexed(&["cat", "dog", "owl"]);
    sandbox.run(["album", "add", "pets", "dog.jpg", "cat.jpg"]).exits(0);
    fs::create_dir(sandbox.photo("elsewhere")).unwrap();
    fs::rename(sandbox.photo("dog.jpg"), sandbox.photo("elsewhere/rex.jpg")).unwrap();
    // The same file, edited: another picture.
    fs::write(sandbox.photo("cat.jpg"), another(&fs::read(fixture("photos/cup.jpg")).unwrap(), 1)).unwrap();
    sandbox.index().exits(0);
    assert_eq!(listed(&sandbox, "pets"), ["rex.jpg", "cat.jpg"]);
    sandbox.run(["export", "../backup.jsonl"]).exits(0);
    fs::remove_dir_all(sandbox.library()).unwrap();
    sandbox.index().exits(0);
    let imported = finish(sandbox.command(["import", "../backup.jsonl"])).exits(0);
    assert!(imported.text().contains("album") || imported.stderr.contains("album"), "{imported}");
    assert_eq!(listed(&sandbox, "pets"), ["rex.jpg", "cat.jpg"]);
}
