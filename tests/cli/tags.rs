//! Tags and stars of one's own from the command line: found, exported for other programs, carried into another library.

use crate::support::{Sandbox, another, file_name, finish, fixture};
use std::fs;
use std::process::Command;

fn found(sandbox: &Sandbox, query: &str) -> Vec<String> {
    let found = sandbox.run(["search", "--json", "-n", "all", "--", query]);
    let mut names: Vec<String> = found.lines().iter().map(|hit| file_name(&hit["path"])).collect();
    names.sort();
    names
}

#[test]
fn photos_are_tagged_and_rated_and_found_by_it() {
    let sandbox = Sandbox::indexed(&["cat", "dog", "owl"]);
    sandbox.run(["tag", "list"]).exits(1);
    let done = sandbox.run(["tag", "add", "Our zoo, night", "owl.jpg", "cat.jpg"]).exits(0);
    assert!(done.text().contains("added, 2 photos") && done.stderr.contains("keyword:\"Our zoo\""), "{done}");
    let more = sandbox.run(["tag", "add", "OUR ZOO", "cat.jpg", "dog.jpg", "--json"]).exits(0).line();
    assert_eq!((&more["added"], &more["unchanged"]), (&1.into(), &1.into()));
    assert_eq!(found(&sandbox, "keyword:\"our zoo\" -keyword:night"), ["dog.jpg"]);
    sandbox.run(["tag", "remove", "night", "owl.jpg"]).exits(0);
    sandbox.run(["tag", "remove", "night", "owl.jpg"]).exits(1);
    sandbox.run(["tag", "rename", "our zoo", "Zoo"]).exits(0);
    sandbox.run(["tag", "rename", "our zoo", "Zoo"]).exits(1);
    assert_eq!(sandbox.run(["tag", "list"]).exits(0).text().lines().count(), 2);
    assert!(sandbox.run(["tag", "list", "cat.jpg"]).exits(0).text().contains("night, Zoo"));
    let wrong = sandbox.run(["tag", "add", "★", "cat.jpg"]).exits(2);
    assert!(wrong.stderr.contains("neither a letter nor a digit"), "{wrong}");
    sandbox.run(["tag", "add", " , ", "cat.jpg"]).exits(2);

    assert!(sandbox.run(["rate", "4", "cat.jpg", "owl.jpg"]).exits(0).text().contains("2 photos: 4 stars"));
    assert!(sandbox.run(["rate", "-1", "dog.jpg"]).exits(0).text().contains("rejected"));
    sandbox.run(["rate", "5", "owl.jpg"]).exits(0);
    assert_eq!((found(&sandbox, "rating:>=4").len(), found(&sandbox, "rating:-1")), (2, vec!["dog.jpg".into()]));
    let sorted = sandbox.run(["search", "has:rating", "--sort", "rating", "--json"]).exits(0);
    assert_eq!(file_name(&sorted.lines()[0]["path"]), "owl.jpg");
    sandbox.run(["rate", "files", "owl.jpg"]).exits(0);
    assert_eq!(found(&sandbox, "-has:rating"), ["owl.jpg"]);
    sandbox.run(["rate", "6", "owl.jpg"]).exits(2);
    let shown = sandbox.run(["show", "cat.jpg"]).exits(0);
    assert!(shown.text().contains("night, Zoo") && shown.text().contains("own rating     4 stars"), "{shown}");
    let hint = sandbox.run(["tag", "add", "Anna's", "cat.jpg"]).exits(0);
    assert!(hint.stderr.contains(r"Anna'\''s"), "a shell must take it: {hint}");
    sandbox.run(["check", "--full"]).exits(0);
}

#[test]
fn they_outlive_moves_edits_and_their_library() {
    let sandbox = Sandbox::indexed(&["cat", "dog", "owl"]);
    sandbox.run(["tag", "add", "pets", "dog.jpg", "cat.jpg"]).exits(0);
    sandbox.run(["rate", "3", "cat.jpg"]).exits(0);
    fs::rename(sandbox.photo("dog.jpg"), sandbox.photo("rex.jpg")).unwrap();
    // The same file, edited: another picture.
    fs::write(sandbox.photo("cat.jpg"), another(&fs::read(fixture("photos/cup.jpg")).unwrap(), 1)).unwrap();
    sandbox.index().exits(0);
    assert_eq!(found(&sandbox, "keyword:pets"), ["cat.jpg", "rex.jpg"]);
    sandbox.run(["export", "../backup.jsonl"]).exits(0);
    fs::remove_dir_all(sandbox.library()).unwrap();
    sandbox.index().exits(0);
    assert!(found(&sandbox, "keyword:pets").is_empty());
    let imported = finish(sandbox.command(["import", "../backup.jsonl"])).exits(0);
    assert!(imported.text().contains("tagged photo") && imported.text().contains("rating"), "{imported}");
    assert_eq!((found(&sandbox, "keyword:pets").len(), found(&sandbox, "rating:3")), (2, vec!["cat.jpg".to_owned()]));
}

/// What other programs get is valid XMP, lies elsewhere, and is understood by our own reader.
#[test]
fn other_programs_get_files_of_their_own() {
    let sandbox = Sandbox::indexed(&["cat", "dog", "owl"]);
    for folder in ["a", "b"] {
        fs::create_dir(sandbox.photo(folder)).unwrap();
        let picture = another(&fs::read(fixture("photos/cup.jpg")).unwrap(), folder.as_bytes()[0].into());
        fs::write(sandbox.photo(format!("{folder}/cup.jpg")), picture).unwrap();
    }
    sandbox.index().exits(0);
    sandbox.run(["tag", "add", "<Places>/\"Lisbon\" & 'sea', flat", "a/cup.jpg"]).exits(0);
    sandbox.run(["rate", "4", "a/cup.jpg", "b/cup.jpg"]).exits(0);
    sandbox.run(["caption", "set", "cat.jpg", "a <cat> ]]> & \u{1}"]).exits(0);
    let done = sandbox.run(["export", "--xmp", "../sidecars"]).exits(0);
    assert!(done.text().contains("wrote 3 files"), "{done}");
    assert!(!sandbox.photo("a/cup.jpg.xmp").exists(), "nothing lies beside photos");
    let again = sandbox.run(["export", "--xmp", "../sidecars", "--json"]).exits(0).line();
    assert_eq!((&again["sidecars"], &again["unchanged"]), (&0.into(), &3.into()));
    sandbox.run(["rate", "5", "b/cup.jpg"]).exits(0);
    let kept = sandbox.run(["export", "--xmp", "../sidecars"]).exits(4);
    assert!(kept.stderr.contains("--force replaces it"), "{kept}");
    sandbox.run(["export", "--xmp", "../sidecars", "--force"]).exits(0);
    // The folder mirrors the places of the photos: laid over them, each is beside its photo.
    let root = sandbox.photo("").canonicalize().unwrap();
    let mirror = sandbox.path("sidecars").join(root.strip_prefix("/").unwrap());
    assert!(mirror.join("a/cup.jpg.xmp").is_file() && mirror.join("b/cup.jpg.xmp").is_file());
    let copied = Command::new("cp").arg("-r").arg(mirror.join(".")).arg(&root).status().unwrap();
    assert!(copied.success());
    fs::remove_dir_all(sandbox.library()).unwrap();
    sandbox.index().exits(0);
    let said = |name: &str| {
        let shown = sandbox.run(["show", name, "--json"]).exits(0).line();
        shown["facts"].clone()
    };
    let first = said("a/cup.jpg");
    assert_eq!(first["keywords"], serde_json::json!(["<Places>/\"Lisbon\" & 'sea'", "flat"]), "{first}");
    assert_eq!((&first["rating"], &said("b/cup.jpg")["rating"]), (&4.into(), &5.into()));
    assert_eq!(said("cat.jpg")["description"], "a <cat> ]]> & \u{fffd}");
}
