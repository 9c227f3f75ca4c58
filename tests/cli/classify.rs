//! `classify`, the label sets that it saves, and `label:` in queries.

use crate::crash::{signal, wait_until};
use crate::support::{Output, Sandbox, another, file_name, finish, fixture, random_clip, start};
use crate::terminal::{PAYLOAD, foreign, is_control, on_a_terminal};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::sync::{Arc, Mutex};

const PHOTOS: [&str; 6] = ["cat", "dog", "hammer-5", "hammer-8", "owl", "igloo"];

/// The lines about photos, and the last line, which is the distribution.
fn judged(output: &Output) -> (Vec<Value>, Value) {
    let mut lines = output.lines();
    let shares = lines.pop().unwrap();
    assert_eq!(shares["kind"], "distribution");
    assert!(lines.iter().all(|line| line["kind"] == "photo" && line["schema"] == 1), "{output}");
    (lines, shares)
}

/// File names with their labels.
fn labels(output: &Output) -> BTreeMap<String, Option<String>> {
    let label = |line: &Value| (file_name(&line["path"]), line["label"].as_str().map(str::to_owned));
    judged(output).0.iter().map(label).collect()
}

/// The file names that a search finds.
fn found(sandbox: &Sandbox, query: &str) -> BTreeSet<String> {
    let output = sandbox.run(["search", "-n", "999", "--json", "--", query]);
    assert!(matches!(output.code(), 0 | 1), "{output}");
    output.names().into_iter().collect()
}

#[test]
fn the_starter_tells_the_groups_of_the_fixture_photos_apart() {
    let groups = fs::read_to_string(fixture("photos/groups.json")).unwrap();
    let groups: BTreeMap<String, Vec<String>> = serde_json::from_str(&groups).unwrap();
    let sandbox = Sandbox::new();
    let photos = fixture("photos");
    sandbox.run([OsStr::new("index"), photos.as_os_str()]).exits(0);
    let list = groups.keys().cloned().collect::<Vec<_>>().join(",");
    let output = sandbox.run(["classify", "--labels", &list, "--save-as", "groups", "--json"]).exits(0);
    let (lines, shares) = judged(&output);
    assert_eq!(lines.len(), 99);

    let labels = labels(&output);
    let right = |(group, names): (&String, &Vec<String>)| {
        let wrong = names.iter().filter(|name| labels[*name].as_deref() != Some(group.as_str()));
        let wrong: Vec<_> = wrong.map(|name| format!("{name} ({})", labels[name].as_deref().unwrap())).collect();
        println!("{group}: {} of {}; wrong: {wrong:?}", names.len() - wrong.len(), names.len());
        names.len() - wrong.len()
    };
    let (right, all) = (groups.iter().map(right).sum::<usize>(), groups.values().map(Vec::len).sum::<usize>());
    let accuracy = right as f64 / all as f64;
    println!("accuracy {accuracy:.3} ({right} of {all})");
    assert!(accuracy >= 0.75, "{accuracy}");

    // Sorted in the order of the labels, the most probable first; the numbers are consistent.
    let place = |line: &Value| groups.keys().position(|group| line["label"] == **group).unwrap();
    assert!(lines.is_sorted_by_key(place));
    for pair in lines.windows(2).filter(|pair| pair[0]["label"] == pair[1]["label"]) {
        assert!(pair[0]["probability"].as_f64() >= pair[1]["probability"].as_f64());
    }
    for line in &lines {
        let ranked: Vec<f64> =
            line["ranked"].as_array().unwrap().iter().map(|r| r["probability"].as_f64().unwrap()).collect();
        assert!(ranked.len() == 3 && ranked.is_sorted_by(|a, b| a >= b) && ranked.iter().sum::<f64>() < 1.0 + 1e-5);
        assert_eq!((&line["ranked"][0]["label"], line["probability"].as_f64()), (&line["label"], Some(ranked[0])));
    }
    let counts: Vec<u64> = shares["labels"].as_array().unwrap().iter().map(|l| l["photos"].as_u64().unwrap()).collect();
    assert_eq!((counts.len(), counts.iter().sum(), shares["photos"].as_u64()), (groups.len() + 1, 99, Some(99)));

    // A query by label finds exactly those.
    for group in groups.keys() {
        let expected = labels.iter().filter(|(_, label)| label.as_deref() == Some(group)).map(|(name, _)| name.clone());
        assert_eq!(found(&sandbox, &format!("label:groups=\"{group}\"")), expected.collect(), "{group}");
    }
    // And what a query finds can be classified.
    let fish = sandbox.run(["classify", "--set", "groups", "label:groups=fish", "path:fish-1", "--json"]).exits(0);
    let names: Vec<String> = labels_of(&fish, "fish");
    assert_eq!(names, ["fish-1.jpg", "fish-10.jpg", "fish-11.jpg"]);
    assert_eq!(judged(&fish).0.len(), 3);
    let meant = sandbox.run(["classify", "--set", "groups", "a windmill", "--json"]).exits(0);
    assert_eq!(judged(&meant).0.len(), found(&sandbox, "a windmill").len());
}

fn labels_of(output: &Output, label: &str) -> Vec<String> {
    labels(output).into_iter().filter(|(_, l)| l.as_deref() == Some(label)).map(|(name, _)| name).collect()
}

#[test]
fn none_of_these_is_an_answer_too() {
    let sandbox = Sandbox::indexed(&PHOTOS);
    let classify = |args: &[&str]| sandbox.run(["classify", "--json"].iter().chain(args));
    let all = labels(&classify(&["--labels", "dog,cat"]).exits(0));
    assert!(all.values().all(Option::is_some));
    assert_eq!((all["dog.jpg"].as_deref(), all["cat.jpg"].as_deref()), (Some("dog"), Some("cat")));

    let background = ["--labels", "dog, cat", "--background", "a tool,bird,house"];
    let some = classify(&background).exits(0);
    assert_eq!((labels_of(&some, "dog"), labels_of(&some, "cat")), (vec!["dog.jpg".into()], vec!["cat.jpg".into()]));
    let (lines, shares) = judged(&some);
    let hammer = lines.iter().find(|line| file_name(&line["path"]) == "hammer-5.jpg").unwrap();
    assert_eq!((&hammer["label"], &hammer["probability"]), (&Value::Null, &Value::Null));
    assert_eq!((&hammer["ranked"][0]["label"], &hammer["ranked"][0]["background"]), (&json!("a tool"), &json!(true)));
    assert_eq!(shares["labels"][2], json!({"label": null, "photos": 4, "share": 4.0 / 6.0}));
    assert!(lines[2..].iter().all(|line| line["label"].is_null()), "those without a label come last");

    let sure = labels(&classify(&["--labels", "dog,cat", "--threshold", "0.97"]).exits(0));
    assert!(sure["dog.jpg"].is_some() && sure["igloo.jpg"].is_none(), "{sure:?}");
    // If no photo has a label, the exit code says so.
    classify(&["--labels", "truck,bus", "--background", "animal,tool,house"]).exits(1);
    // A single label makes sense only with a background.
    let one = classify(&["--labels", "dog"]).exits(2);
    assert!(one.stderr.contains("--background"), "{one}");
    let dog = classify(&["--labels", "dog", "--background", "cat,tool,bird,house"]).exits(0);
    assert_eq!(labels_of(&dog, "dog"), ["dog.jpg"]);

    let bare = sandbox.run(["classify", "--paths0"].iter().chain(&background)).exits(0);
    let paths = [sandbox.photo("dog.jpg"), sandbox.photo("cat.jpg")].map(|path| format!("{}\0", path.display()));
    assert_eq!(bare.text(), paths.concat());
}

#[test]
fn saved_sets_are_listed_shown_used_replaced_and_deleted() {
    let sandbox = Sandbox::indexed(&PHOTOS);
    let empty = sandbox.run(["labels", "list"]).exits(1);
    assert!(empty.stderr.contains("--save-as"), "{empty}");
    let error = sandbox.run(["search", "label:pets"]).exits(2);
    assert!(error.stderr.contains("there are none yet"), "{error}");
    let file = sandbox.path("pets.txt");
    fs::write(&file, "\u{feff}# my pets\n\n dog \ncat\n").unwrap();
    let save = ["classify", "--labels-file", file.to_str().unwrap(), "--save-as", "My Pets", "--json"];
    let more = ["--background", "tool,bird,house", "--threshold", "0.3", "--template", "a photo of my {}"];
    let saved = sandbox.run(save.iter().chain(&more)).exits(0);
    assert!(saved.stderr.contains("label:\"My Pets\""), "{saved}");
    let set = json!({"schema": 1, "name": "My Pets", "labels": ["dog", "cat"], "background": ["tool", "bird", "house"],
        "templates": ["a photo of my {}"], "threshold": 0.3});
    let mut shown = sandbox.run(["labels", "show", "my pets", "--json"]).exits(0).line();
    shown["threshold"] = json!((shown["threshold"].as_f64().unwrap() * 1e6).round() / 1e6);
    assert_eq!(shown, set);
    assert_eq!(sandbox.run(["labels", "list"]).exits(0).text(), "My Pets\t2\tdog, cat\n");
    // The output of `labels show` can be read as a labels file.
    fs::write(&file, sandbox.run(["labels", "show", "my pets"]).exits(0).stdout).unwrap();
    let again =
        sandbox.run(["classify", "--labels-file", file.to_str().unwrap(), "--json"].iter().chain(&more)).exits(0);
    assert_eq!(labels(&again), labels(&saved));
    assert_eq!(labels(&sandbox.run(["classify", "--set", "MY PETS", "--json"]).exits(0)), labels(&saved));

    // Photos that are added later get labels from the set too.
    assert_eq!(found(&sandbox, "label:\"my pets\"=dog"), ["dog.jpg".to_owned()].into());
    let dog = fs::read(fixture("photos/dog.jpg")).unwrap();
    fs::write(sandbox.photo("another.jpg"), another(&dog, 1)).unwrap();
    sandbox.index().exits(0);
    assert_eq!(found(&sandbox, "label:\"my pets\"=dog"), ["another.jpg".to_owned(), "dog.jpg".into()].into());
    assert_eq!(found(&sandbox, "-label:\"my pets\"").len(), 4);
    assert_eq!(found(&sandbox, "-label:\"my pets\"=cat label:\"my pets\""), found(&sandbox, "label:\"my pets\"=dog"));
    assert_eq!(found(&sandbox, "\"hammer\" label:\"my pets\"").len(), 0);
    let error = sandbox.run(["search", "label:\"my pets\"=dgo"]).exits(2);
    assert!(error.stderr.contains("dgo") && error.stderr.contains("there are: \"dog\", \"cat\""), "{error}");

    let replaced = sandbox.run(["classify", "--labels", "bird,tool", "--save-as", "my pets", "-q"]).exits(0);
    assert_eq!(replaced.stderr, "");
    assert_eq!(found(&sandbox, "label:\"my pets\"=bird owl"), ["owl.jpg".to_owned()].into());
    sandbox.run(["search", "label:\"my pets\"=dog"]).exits(2);
    assert_eq!(sandbox.run(["check", "--full", "--json"]).exits(0).line()["findings"], json!([]));
    sandbox.run(["labels", "delete", "my pets"]).exits(0);
    sandbox.run(["labels", "delete", "my pets"]).exits(2);
    sandbox.run(["classify", "--set", "my pets"]).exits(2);
}

#[test]
fn a_set_is_made_ready_again_for_another_model_and_needs_no_model_otherwise() {
    let sandbox = Sandbox::with_photos(&PHOTOS);
    let clip = sandbox.path("clip");
    fs::create_dir(&clip).unwrap();
    for file in fs::read_dir(random_clip()).unwrap().map(|entry| entry.unwrap()) {
        fs::copy(file.path(), clip.join(file.file_name())).unwrap();
    }
    let clip = clip.to_str().unwrap();
    let photos = sandbox.photos();
    sandbox.run(["index", photos.to_str().unwrap(), "--model", clip]).exits(0);
    let save = ["classify", "--labels", "dog,cat,tool", "--background", "bird,house", "--save-as", "things", "--json"];
    let random = labels(&sandbox.run(save));
    let labelled = random.iter().filter(|(_, label)| label.is_some()).map(|(name, _)| name.clone()).collect();
    assert_eq!(found(&sandbox, "label:things"), labelled);
    fs::rename(clip, sandbox.path("elsewhere")).unwrap();
    sandbox.run(["search", "a dog"]).exits(3);
    assert_eq!(found(&sandbox, "label:things"), labelled, "the set is all that is needed");

    sandbox.run(["reindex", "--model", "starter"]).exits(0);
    for (label, names) in
        [("dog", vec!["dog.jpg"]), ("cat", vec!["cat.jpg"]), ("tool", vec!["hammer-5.jpg", "hammer-8.jpg"])]
    {
        assert_eq!(found(&sandbox, &format!("label:things={label}")), names.into_iter().map(Into::into).collect());
    }
}

#[test]
fn files_and_folders_need_no_library_and_a_query_is_told_from_them() {
    let sandbox = Sandbox::with_photos(&PHOTOS);
    fs::create_dir(sandbox.photo("more")).unwrap();
    fs::copy(fixture("photos/koala.jpg"), sandbox.photo("more/koala.jpg")).unwrap();
    fs::write(sandbox.photo("more/notes.txt"), "no picture").unwrap();
    fs::write(sandbox.photo("more/broken.jpg"), "no picture either").unwrap();
    let classify =
        |args: &[&str]| sandbox.run(["classify", "--labels", "mammal,bird,tool", "--json"].iter().chain(args));
    let files = classify(&["owl.jpg", "hammer-5.jpg", "./owl.jpg"]).exits(0);
    assert_eq!(labels(&files)["owl.jpg"].as_deref(), Some("bird"));
    assert_eq!(labels(&files)["hammer-5.jpg"].as_deref(), Some("tool"));
    let folder = classify(&["more", "dog.jpg"]).exits(4);
    assert!(folder.stderr.contains("broken.jpg"), "{folder}");
    let names: Vec<String> = labels(&folder).into_keys().collect();
    assert_eq!(names, ["dog.jpg", "koala.jpg"]);
    assert!(!sandbox.library().exists(), "nothing is made");

    classify(&[]).exits(3);
    classify(&["an owl"]).exits(3);
    sandbox.run(["classify", "--labels", "a,b", "--save-as", "x", "owl.jpg"]).exits(3);
    let mixed = classify(&["owl.jpg", "an owl"]).exits(2);
    assert!(mixed.stderr.contains("owl.jpg is a file") && mixed.stderr.contains("an owl"), "{mixed}");

    // Embeddings come from the library; a photo that changed since is embedded again.
    sandbox.index().exits(4);
    fs::copy(fixture("photos/owl.jpg"), sandbox.photo("hammer-5.jpg")).unwrap();
    assert_eq!(labels(&classify(&["hammer-5.jpg"]).exits(0))["hammer-5.jpg"].as_deref(), Some("bird"));
    let missing = classify(&["gone.jpg"]).exits(1);
    assert!(missing.stderr.contains("no file or folder of that name"), "{missing}");
    // A model other than the library's, chosen by name, embeds the photos itself.
    let other = classify(&["owl.jpg", "--model", &random_clip()]).exits(0);
    let (mine, theirs) = (&judged(&files).0[0]["ranked"], &judged(&other).0[0]["ranked"]);
    assert_ne!(mine, theirs);
    classify(&["--model", &random_clip()]).exits(2);
}

#[test]
fn lists_that_cannot_be_used_are_refused() {
    let sandbox = Sandbox::indexed(&["cat"]);
    let many = (0..1_001).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    for (args, reason) in [
        (vec!["--labels", ""], "number 1 of its labels is empty"),
        (vec!["--labels", "dog,,cat"], "number 2"),
        (vec!["--labels", "dog,cat,Dog"], "\"Dog\" is in it twice"),
        (vec!["--labels", "dog,cat", "--background", "cat"], "twice"),
        (vec!["--labels", &many], "1000 are allowed"),
        (vec!["--labels", "a,b", "--template", "a photo"], "must contain {}"),
        (vec!["--labels", "a,b", "--threshold", "1.5"], "from 0 to 1"),
        (vec!["--labels", "a,b", "--save-as", "a=b"], "holds ="),
        (vec!["--labels", "a,b", "--set", "c"], "cannot be used with"),
        (vec!["--set", "c", "--background", "d"], "cannot be used with"),
        (vec![], "required"),
    ] {
        let output = sandbox.run(["classify"].iter().chain(&args)).exits(2);
        assert!(output.stderr.contains(reason) && output.stdout.is_empty(), "{args:?}: {output}");
    }
    for (bytes, code, reason) in
        [(b"\xff\xfe".as_slice(), 2, "UTF-8"), (b"# nothing\n", 2, "empty"), (&[b'a'; (1 << 20) + 1], 2, "larger than")]
    {
        fs::write(sandbox.path("list"), bytes).unwrap();
        let output = sandbox.run(["classify", "--labels-file", "../list"]).exits(code);
        assert!(output.stderr.contains(reason), "{output}");
    }
    let gone = sandbox.run(["classify", "--labels-file", "../gone"]).exits(2);
    assert!(gone.stderr.contains("gone does not exist"), "{gone}");
}

#[test]
fn tables_for_programs_and_for_people() {
    needs!("script");
    let sandbox = Sandbox::with_photos(&["dog", "hammer-5"]);
    let odd = sandbox.photo("a \"cat\",\nor two.jpg");
    fs::rename(sandbox.add("cat"), &odd).unwrap();
    sandbox.index().exits(0);
    let args = ["classify", "--labels", "dog,cat", "--background", "tool,house", "--top", "2"];
    let csv = sandbox.run(args.iter().chain(&["--csv"])).exits(0);
    let mut reader = csv::Reader::from_reader(csv.stdout.as_slice());
    assert_eq!(
        reader.headers().unwrap(),
        ["path", "label", "label_1", "probability_1", "label_2", "probability_2"].as_slice()
    );
    let records: Vec<csv::StringRecord> = reader.records().map(|record| record.unwrap()).collect();
    let heads: Vec<[&str; 3]> = records.iter().map(|r| [&r[0], &r[1], &r[2]]).collect();
    let path = |name: &str| sandbox.photo(name).to_str().unwrap().to_owned();
    let (dog, hammer) = (path("dog.jpg"), path("hammer-5.jpg"));
    assert_eq!(heads, [[dog.as_str(), "dog", "dog"], [odd.to_str().unwrap(), "cat", "cat"], [&hammer, "", "tool"]]);
    assert!(records.iter().all(|r| (0.25..=1.0).contains(&r[3].parse::<f64>().unwrap())));
    assert!(csv.stderr.contains("3 photos: dog 1, cat 1, (none) 1"), "{csv}");

    let plain = sandbox.run(args).exits(0).text();
    let first: Vec<&str> = plain.lines().next().unwrap().split('\t').collect();
    assert_eq!((&first[..3], first.len()), ([dog.as_str(), "dog", "dog"].as_slice(), 6));
    let shown = on_a_terminal(&sandbox, &args.map(OsStr::new), true);
    let shown = String::from_utf8(shown).unwrap();
    let line = |name: &str| shown.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{shown}"));
    assert!(line("dog.jpg").contains(" dog ") && line("hammer-5.jpg").contains("(none)"), "{shown}");
    assert!(line("33 %").contains("dog") && line("33 %").contains('█'), "{shown}");
}

#[test]
fn hostile_names_and_labels_drive_neither_the_terminal_nor_the_contact_sheet() {
    needs!("script");
    let sandbox = Sandbox::with_photos(&["dog"]);
    fs::rename(sandbox.add("cat"), sandbox.photo(format!("<script>alert(1)<!-- {PAYLOAD}.jpg").replace('/', "")))
        .unwrap();
    sandbox.index().exits(0);
    let label = format!("cat<script>{PAYLOAD}").replace(',', "");
    let list = format!("dog,{label}");
    let (sheet, name) = (sandbox.path("sheet.html"), format!("pets <b>{}", PAYLOAD.replace(char::is_control, "")));
    let args = ["classify", "--labels", &list, "--save-as", &name, "--html", sheet.to_str().unwrap()];
    let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
    for args in [args.as_slice(), &["labels", "list"].map(OsStr::new), &["labels", "show", &name].map(OsStr::new)] {
        let bytes = on_a_terminal(&sandbox, args, false);
        assert!(!foreign(&bytes, true).contains(is_control), "{}", bytes.escape_ascii());
    }
    let json = sandbox.run(["classify", "--labels", &list, "--json"]).exits(0);
    assert!(json.text().chars().all(|c| c == '\n' || !is_control(c)));
    assert_eq!(judged(&json).1["labels"][1]["label"], label);

    let html = fs::read_to_string(&sheet).unwrap();
    assert!(!html.chars().any(|c| c != '\n' && is_control(c)));
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;") && html.contains("default-src 'none'"));
    assert_eq!((html.matches("<h2>").count(), html.matches("<figure>").count()), (2, 2));
    let sources: Vec<&str> = html.split(" src='").skip(1).map(|rest| &rest[..22]).collect();
    assert_eq!(sources, ["data:image/jpeg;base64"; 2], "nothing is loaded from anywhere");
    // A sheet may be overwritten, another file may not.
    sandbox.run(["classify", "--labels", "a,b", "--html", sheet.to_str().unwrap()]).exits(0);
    fs::write(&sheet, "mine").unwrap();
    sandbox.run(["classify", "--labels", "a,b", "--html", sheet.to_str().unwrap()]).exits(2);
    assert_eq!(fs::read(&sheet).unwrap(), b"mine");
}

#[test]
fn ctrl_c_ends_it_with_130() {
    let sandbox = Sandbox::indexed(&["cat"]);
    let labels = (0..1_000).map(|n| format!("thing {n}")).collect::<Vec<_>>().join(",");
    let mut args = vec!["classify".to_owned(), "--labels".into(), labels];
    // Far more prompts than can be embedded before the signal comes.
    args.extend((0..100).map(|n| format!("--template=photo {n} of {{}}")));
    let mut child = start(&mut sandbox.command(args));
    let mut stderr = child.stderr.take().unwrap();
    let said = Arc::new(Mutex::new(String::new()));
    let heard = said.clone();
    std::thread::spawn(move || {
        let mut block = [0; 256];
        while let Ok(read @ 1..) = stderr.read(&mut block) {
            heard.lock().unwrap().push_str(&String::from_utf8_lossy(&block[..read]));
        }
    });
    wait_until("progress", || said.lock().unwrap().contains("prompts: "));
    signal(child.id(), "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130), "{}", said.lock().unwrap());
}

#[test]
fn help_says_what_a_path_is() {
    let help = finish(Sandbox::new().command(["classify", "--help"])).exits(0).text();
    assert!(help.contains("An argument that is the name of a file or folder is a path"), "{help}");
}
