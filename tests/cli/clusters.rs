//! Clusters, their names, the map and the description of a folder. One library serves many checks, because each home
//! embeds the vocabulary once.

use crate::support::{Output, Sandbox, file_name, finish, fixture, start};
use serde_json::Value;
use std::fs;
use std::time::Duration;

const FISH: [&str; 7] = ["fish-1", "fish-4", "fish-6", "fish-9", "fish-10", "fish-11", "fish-25"];
const TOOLS: [&str; 6] = ["hammer-5", "hammer-8", "plier-3", "screw-driver-2", "wrench", "scissors-1"];
const PALACES: [&str; 6] = ["taj-mahal", "us-capitol", "schwerin-palace", "hawa-mahal", "golden-temple", "parthenon"];

/// The clusters, and the number of photos in none.
fn clusters(sandbox: &Sandbox, args: &[&str]) -> (Vec<Value>, u64) {
    let mut lines = sandbox.run([&["cluster", "--json"], args].concat()).exits(0).lines();
    let outside = lines.pop().unwrap();
    assert!(outside["cluster"].is_null());
    (lines, outside["photos"].as_u64().unwrap())
}

fn inside(sandbox: &Sandbox, cluster: &str) -> Vec<String> {
    let mut names = sandbox.run(["search", "-n", "99", "--json", &format!("cluster:\"{cluster}\"")]).names();
    names.sort();
    names
}

/// The name of the cluster that contains this photo.
fn cluster_of(sandbox: &Sandbox, clusters: &[Value], photo: &str) -> String {
    let names = clusters.iter().map(|cluster| cluster["cluster"].as_str().unwrap());
    names.into_iter().find(|name| inside(sandbox, name).contains(&format!("{photo}.jpg"))).unwrap().to_owned()
}

#[test]
fn clusters_are_found_named_kept_and_joined() {
    let sandbox = Sandbox::indexed(&[&FISH[..], &TOOLS, &PALACES].concat()).knowing_words();
    sandbox.run(["search", "cluster:fish"]).exits(2);
    let (first, outside) = clusters(&sandbox, &[]);
    assert_eq!(first.len(), 3, "{first:?}");
    let total: u64 = first.iter().map(|cluster| cluster["photos"].as_u64().unwrap()).sum();
    assert_eq!(total + outside, 19);
    for cluster in &first {
        assert!(cluster["coherence"].as_f64().unwrap() > 0.5 && cluster["keywords"].as_array().unwrap().len() > 2);
        assert!(!cluster["by_hand"].as_bool().unwrap());
        let name = cluster["cluster"].as_str().unwrap();
        assert!(inside(&sandbox, name).contains(&file_name(&cluster["examples"][0])), "{cluster}");
    }
    let (fish, tools) = (cluster_of(&sandbox, &first, "fish-1"), cluster_of(&sandbox, &first, "wrench"));
    assert!(fish.contains("fish"), "{fish}");
    assert!(["tool", "hammer", "wrench", "screwdriver"].iter().any(|word| tools.contains(word)), "{tools}");
    // Computed again or shown again, they are the same.
    assert_eq!(clusters(&sandbox, &["--auto"]).0, first);
    assert_eq!(clusters(&sandbox, &[]).0, first);

    // If it is interrupted (embedding the vocabulary takes seconds), the existing clusters stay.
    fs::remove_dir_all(sandbox.path("home/cache/snapseek/keywords")).unwrap();
    let child = start(&mut sandbox.command(["cluster", "-k", "2"]));
    std::thread::sleep(Duration::from_millis(800));
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    Output::of(child).exits(130);
    assert_eq!(clusters(&sandbox, &[]).0, first);

    // A name given by hand survives, and may be any text.
    sandbox.run(["cluster", "rename", &fish, "Aquarium \u{1b}[31m"]).exits(0);
    sandbox.run(["cluster", "rename", &fish, "x"]).exits(2);
    sandbox.run(["cluster", "rename", &tools, "aquarium \u{1b}[31M"]).exits(2);
    let again = clusters(&sandbox, &["--auto"]).0;
    assert!(again.iter().any(|cluster| cluster["cluster"] == "Aquarium \u{1b}[31m" && cluster["by_hand"] == true));
    for args in [&["cluster"][..], &["cluster", "--csv"], &["describe"]] {
        let output = sandbox.run(args).exits(0);
        assert!(args.contains(&"--csv") || !output.text().contains('\u{1b}'), "{output}");
    }
    sandbox.run(["cluster", "rename", "aquarium \u{1b}[31m", "Aquarium"]).exits(0);

    // New photos join clusters, and no other photo moves.
    let before = inside(&sandbox, "Aquarium");
    sandbox.add("fish-28");
    sandbox.add("hammer-5");
    sandbox.add("scissors-2");
    sandbox.add("orchestra");
    sandbox.index().exits(0);
    assert!(inside(&sandbox, &tools).contains(&"scissors-2.jpg".to_owned()));
    assert!(before.iter().all(|name| inside(&sandbox, "Aquarium").contains(name)));
    let none = inside(&sandbox, "none");
    assert!(none.contains(&"orchestra.jpg".to_owned()), "{none:?}");

    // As many clusters as requested; further below, the user's own words.
    let two = clusters(&sandbox, &["-k", "2"]).0;
    assert_eq!(two.len(), 2);

    // One of them is split; the other does not change.
    let [whole, other] = [0, 1].map(|at| two[at]["cluster"].as_str().unwrap());
    let photos = [whole, other].map(|name| inside(&sandbox, name));
    let mut lines = sandbox.run(["cluster", "split", &whole.to_uppercase(), "--json"]).exits(0).lines();
    assert!(lines.pop().unwrap()["cluster"].is_null());
    assert!(lines.len() > 2 && lines.contains(&two[1]), "{lines:?}");
    let parts = lines.iter().filter(|cluster| **cluster != two[1]).map(|cluster| cluster["cluster"].as_str().unwrap());
    let mut split: Vec<String> = parts.flat_map(|part| inside(&sandbox, part)).collect();
    split.sort();
    assert_eq!([split, inside(&sandbox, other)], photos);
    sandbox.run(["cluster", "split", whole]).exits(2);

    let words = sandbox.path("words.txt");
    fs::write(&words, "# mine\n\nfinned swimmers in an aquarium\ncarpenter's toolbox\n").unwrap();
    clusters(&sandbox, &["--keywords", words.to_str().unwrap()]);
    sandbox.run(["cluster", "--keywords", "nowhere.txt"]).exits(2);
    sandbox.run(["cluster", "-k", "0"]).exits(2);
    let csv = sandbox.run(["cluster", "--csv"]).exits(0).text();
    assert!(csv.starts_with("cluster,photos,coherence,keywords\n") && csv.lines().count() == 4, "{csv}");

    // Pages are self-contained, hostile names stay text, and files of the user are not overwritten.
    let hostile = "a'><script>alert(1)<.jpg";
    fs::copy(sandbox.photo("fish-1.jpg"), sandbox.photo(hostile)).unwrap();
    fs::remove_file(sandbox.photo("fish-1.jpg")).unwrap();
    sandbox.index().exits(0);
    let (page, map, svg) = (sandbox.path("clusters.html"), sandbox.path("map.html"), sandbox.path("map.svg"));
    sandbox.run(["cluster", "--html", page.to_str().unwrap()]).exits(0);
    sandbox.run(["map", "--html", map.to_str().unwrap(), "--svg", svg.to_str().unwrap()]).exits(0);
    for file in [&page, &map, &svg] {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.contains("&lt;script&gt;") && !text.contains("<script"), "{}", file.display());
        assert!(text.contains("data:image/jpeg;base64,"));
        let outside = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!outside.contains("http:") && !outside.contains("https:"));
    }
    sandbox.run(["cluster", "--html", page.to_str().unwrap()]).exits(0);
    fs::write(&page, "my diary").unwrap();
    sandbox.run(["cluster", "--html", page.to_str().unwrap()]).exits(2);
    sandbox.run(["map", "--svg", page.to_str().unwrap()]).exits(2);
    assert_eq!(fs::read_to_string(&page).unwrap(), "my diary");
    sandbox.run(["map"]).exits(2);

    // With another model, the clusters stay, and their centroids are recomputed.
    let before = clusters(&sandbox, &[]).0;
    sandbox.run(["reindex", "--model", &crate::support::random_clip()]).exits(0);
    let names = |clusters: &[Value]| -> Vec<(Value, Value)> {
        clusters.iter().map(|cluster| (cluster["cluster"].clone(), cluster["photos"].clone())).collect()
    };
    assert_eq!(names(&clusters(&sandbox, &[]).0), names(&before));
    assert_eq!(sandbox.run(["check", "--full", "--json"]).exits(0).line()["findings"], serde_json::json!([]));
}

#[test]
fn a_folder_is_described() {
    let sandbox = Sandbox::indexed(&["cat", "dog", "taj-mahal"]);
    fs::create_dir(sandbox.photo("trip")).unwrap();
    fs::copy(sandbox.photo("cat.jpg"), sandbox.photo("trip/copy.jpg")).unwrap();
    let dated = crate::exif::with_exif(&fs::read(sandbox.photo("dog.jpg")).unwrap(), b"Canon", b"2019:06:01 12:00:00");
    fs::write(sandbox.photo("trip/dated.jpg"), dated).unwrap();
    sandbox.index().exits(0);
    let all = sandbox.run(["describe", "--json"]).exits(0).line();
    // Another date makes no other photo.
    assert_eq!((&all["photos"], &all["files"], &all["copies"]), (&3.into(), &5.into(), &2.into()));
    let trip = sandbox.run(["describe", "trip", "--json"]).exits(0).line();
    assert_eq!((&trip["photos"], &trip["first"], &trip["copies"]), (&2.into(), &"2019-06-01".into(), &0.into()));
    assert_eq!(trip["years"], serde_json::json!([{"name": "2019", "photos": 1}]));
    let text = sandbox.run(["describe", "trip"]).exits(0).text();
    assert!(text.contains("2 in 2 files") && text.contains("jpeg 2"), "{text}");
    // Not a folder whose name merely begins the same, nor one that the library does not cover.
    sandbox.run(["describe", "tri"]).exits(3);
    let mut command = sandbox.command(["describe"]);
    command.env("SNAPSEEK_LIBRARY", sandbox.path("none"));
    finish(command).exits(3);
}

#[test]
fn clusters_that_were_named_keep_their_photos_and_earlier_ones_come_back() {
    let sandbox = Sandbox::indexed(&[&FISH[..], &TOOLS, &PALACES].concat()).knowing_words();
    let (first, _) = clusters(&sandbox, &[]);
    let tools = cluster_of(&sandbox, &first, "wrench");
    sandbox.run(["cluster", "rename", &tools, "Werkzeug"]).exits(0);
    let named = inside(&sandbox, "Werkzeug");
    let mut before = 0;
    for k in 1..=19 {
        let count = k.to_string();
        let output = sandbox.run(["cluster", "--json", "-k", &count]);
        let found = output.lines().len() - 1;
        assert!(found >= before && found <= k.max(1), "{k}: {found} after {before}");
        assert!(found == k || output.stderr.contains(&format!("only {found} can be told apart")), "{k}: {output}");
        assert_eq!(inside(&sandbox, "Werkzeug"), named, "{k}");
        before = found;
    }
    assert!(before >= 5, "{before}");
    // Fewer than before is said.
    let fewer = sandbox.run(["cluster", "-k", "2"]).exits(0);
    assert!(fewer.stderr.contains("fewer than before") && fewer.stderr.contains("cluster history"), "{fewer}");
    // New photos join it.
    sandbox.add("scissors-2");
    sandbox.index().exits(0);
    let more = inside(&sandbox, "Werkzeug");
    assert!(named.iter().all(|name| more.contains(name)) && more.contains(&"scissors-2.jpg".to_owned()), "{more:?}");
    // Only if it is asked for, it is made anew.
    sandbox.run(["cluster", "--auto", "--rebuild-named"]).exits(0);
    let history = sandbox.run(["cluster", "history", "--json"]).exits(0).lines();
    assert_eq!(history.len(), 5);
    assert_eq!(history[0]["clusters"].as_array().unwrap().len(), 2);
    let number = history[0]["number"].to_string();
    sandbox.run(["cluster", "restore", &number]).exits(0);
    assert_eq!(inside(&sandbox, "Werkzeug"), more);
    sandbox.run(["cluster", "restore", "1"]).exits(2);
    sandbox.run(["check", "--full"]).exits(0);
}

#[test]
fn the_others_stay_as_fine_when_one_is_named() {
    let sandbox = Sandbox::new().knowing_words();
    sandbox.run(["index".into(), fixture("photos")]).exits(0);
    let (before, _) = clusters(&sandbox, &[]);
    let largest = before[0]["cluster"].as_str().unwrap();
    sandbox.run(["cluster", "rename", largest, "Buildings of ours"]).exits(0);
    let (after, _) = clusters(&sandbox, &["--auto"]);
    assert!(after.iter().any(|cluster| cluster["cluster"] == "Buildings of ours"));
    assert!(after.len() + 2 >= before.len(), "{} were {}: {after:?}", after.len(), before.len());
}
