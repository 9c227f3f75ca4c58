//! Text in photos: what is read, what is kept, what is found, and that nothing is read twice.

use crate::hub::{COMMIT, Fault, Hub, NAME};
use crate::support::{Output, PROGRAM, Sandbox, another, file_name, finish, fixture, start};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Photos, and pictures with text.
fn with_text(texts: &[&str]) -> Sandbox {
    let sandbox = Sandbox::with_photos(&["cat", "owl"]);
    for text in texts {
        fs::copy(fixture(&format!("text/{text}.jpg")), sandbox.photo(format!("{text}.jpg"))).unwrap();
    }
    sandbox
}

fn found(sandbox: &Sandbox, query: &str) -> Vec<String> {
    let output = sandbox.run(["search", query, "--json"]);
    assert!(matches!(output.code(), 0 | 1), "{output}");
    output.lines().iter().filter(|hit| hit["match"] == true).map(|hit| file_name(&hit["path"])).collect()
}

#[test]
fn lines_are_printed_with_their_places_and_drawn_into_copies() {
    let sandbox = with_text(&["13-menu", "15-medicine"]);
    let menu = sandbox.run(["text", "13-menu.jpg"]).exits(0).text();
    assert_eq!(menu.lines().take(2).collect::<Vec<_>>(), ["Soup of the day", "6.50"], "row by row: {menu}");
    // It stands on its head.
    let both = sandbox.run(["text", "13-menu.jpg", "15-medicine.jpg"]).exits(0).text();
    assert!(both.contains("15-medicine.jpg: Take with water after meals"), "{both}");
    let line = sandbox.run(["text", "15-medicine.jpg", "--json"]).exits(0).line();
    let (width, height) = (line["width"].as_f64().unwrap(), line["height"].as_f64().unwrap());
    let first = &line["lines"][0];
    assert_eq!(first["text"], "Ibuprofen 400 mg", "{line}");
    assert!(first["score"].as_f64().unwrap() > 0.9);
    let corners: Vec<(f64, f64)> = first["box"]
        .as_array()
        .unwrap()
        .iter()
        .map(|corner| (corner[0].as_f64().unwrap(), corner[1].as_f64().unwrap()))
        .collect();
    assert!(corners.len() == 4 && corners[0].0 > corners[1].0 && corners[0].1 > height / 2.0, "{corners:?}");
    assert!(corners.iter().all(|(x, y)| (0.0..=width).contains(x) && (0.0..=height).contains(y)), "{corners:?}");
    for name in ["13-menu-text.jpg", "13-menu-text-2.jpg"] {
        sandbox.run(["text", "13-menu.jpg", "--boxes", "../marked"]).exits(0);
        let copy = fs::read(sandbox.path("marked").join(name)).unwrap();
        assert_ne!(copy, fs::read(sandbox.photo("13-menu.jpg")).unwrap());
    }
}

#[test]
fn what_cannot_be_read_stops_nothing_and_what_holds_no_text_says_so() {
    let sandbox = with_text(&["04-sign"]);
    fs::write(sandbox.photo("broken.jpg"), "no picture").unwrap();
    let output = sandbox.run(["text", "broken.jpg", "04-sign.jpg"]).exits(4);
    assert!(output.text().contains("Beware of the dog") && output.stderr.contains("broken.jpg"), "{output}");
    let none = sandbox.run(["text", "cat.jpg"]).exits(1);
    assert!(none.stderr.contains("no text"), "{none}");
    assert_eq!(sandbox.run(["text", "cat.jpg", "--json"]).exits(1).line()["lines"], json!([]));
    sandbox.run(["text", "nowhere.jpg"]).exits(2);
    sandbox.run(["text", "--edge", "9", "cat.jpg"]).exits(2);
    let output = sandbox.run(["text", "--ocr", "broken.jpg", "04-sign.jpg"]).exits(3);
    assert!(output.stderr.contains("broken.jpg"), "{output}");
}

#[test]
fn the_text_of_a_library_is_read_once_and_found() {
    let sandbox = with_text(&["03-boarding", "12-cup"]);
    sandbox.index().exits(0);
    assert!(found(&sandbox, "text:\"boarding pass\"").is_empty());
    let first = sandbox.run(["index", "--text", "--json"]).exits(0).line();
    assert_eq!((&first["read"], &first["with_text"]), (&json!(4), &json!(2)), "{first}");
    // Later runs go on with it, and read nothing twice.
    fs::copy(fixture("text/06-sign.jpg"), sandbox.photo("06-sign.jpg")).unwrap();
    let second = sandbox.run(["index", "--json"]).exits(0).line();
    assert_eq!((&second["read"], &second["with_text"]), (&json!(1), &json!(1)), "{second}");
    assert_eq!(sandbox.run(["index", "--text", "--reread", "--json"]).exits(0).line()["read"], 0);
    for (query, name) in [
        ("text:\"boarding pass\"", "03-boarding.jpg"),
        ("flight Lisbon", "03-boarding.jpg"),
        ("\"best grandpa\"", "12-cup.jpg"),
        ("TEXT:prohibited", "06-sign.jpg"),
    ] {
        assert_eq!(found(&sandbox, query).first().map(String::as_str), Some(name), "{query}");
    }
    assert_eq!(found(&sandbox, "has:text").len(), 3);
    assert_eq!(found(&sandbox, "has:text -text:lisbon").len(), 2);
    let status = sandbox.status();
    assert_eq!((&status["read"], &status["with_text"]), (&json!(5), &json!(3)));
    let shown = sandbox.run(["show", "03-boarding.jpg"]).exits(0).text();
    assert!(shown.contains("text") && shown.contains("BOARDING PASS"), "{shown}");
    let end = sandbox.run(["index", "--no-text", "--json"]).exits(0).line();
    assert_eq!(end["read"], Value::Null);
    sandbox.add("panda");
    assert_eq!(sandbox.run(["index", "--json"]).exits(0).line()["read"], Value::Null);
    assert_eq!(found(&sandbox, "has:text").len(), 3, "what was read stays");
    assert_eq!(sandbox.run(["check", "--full", "--json"]).exits(0).line()["findings"], json!([]));
}

/// `index .` on a terminal, at which a person types.
fn index_on_a_terminal(sandbox: &Sandbox, typed: &str) -> String {
    let mut command = sandbox.command_of("script");
    command.args(["-qec", &format!("exec {PROGRAM} index ."), "/dev/null"]);
    command.env("SHELL", "/bin/sh").env("TERM", "xterm-256color");
    let mut child = start(command.stdin(Stdio::piped()));
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    Output::of(child).exits(0).text()
}

#[test]
fn a_setting_reads_text_and_a_person_is_asked_once() {
    let sandbox = with_text(&["12-cup"]);
    let config = sandbox.path("home/config/snapseek");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("config.toml"), "text = true\n").unwrap();
    assert_eq!(sandbox.index().exits(0).line()["with_text"], 1);
    fs::remove_file(config.join("config.toml")).unwrap();
    needs!("script");
    let sandbox = with_text(&["12-cup"]);
    for (answer, asks, with_text) in [("n\n", true, 0), ("y\n", false, 0)] {
        let output = index_on_a_terminal(&sandbox, answer);
        assert_eq!(output.contains("Read the text in the photos too"), asks, "{output}");
        assert_eq!(sandbox.status()["with_text"], with_text);
    }
    let sandbox = with_text(&["12-cup"]);
    let output = index_on_a_terminal(&sandbox, "y\n");
    assert!(output.contains("read for text"), "{output}");
    assert_eq!(sandbox.status()["with_text"], 1);
}

#[test]
fn texts_are_exported_merged_and_forgotten() {
    let sandbox = with_text(&["03-boarding", "18-business"]);
    sandbox.run(["index", ".", "--text"]).exits(0);
    sandbox.run(["export", "../out.jsonl"]).exits(0);
    let exported = fs::read_to_string(sandbox.path("out.jsonl")).unwrap();
    let texts = exported.lines().filter(|line| line.contains("\"kind\":\"text\""));
    assert_eq!(texts.clone().count(), 4, "{exported}");
    assert!(texts.clone().any(|line| line.contains("Marine biologist") && line.contains("\"box\":[[")), "{exported}");
    // Into a library that does not have the photos yet: they need not be read again.
    let other = with_text(&["03-boarding", "18-business"]);
    fs::create_dir_all(other.library()).unwrap();
    fs::copy(sandbox.path("out.jsonl"), other.path("out.jsonl")).unwrap();
    let imported = other.run(["import", "../out.jsonl", "--json"]).exits(0).line();
    assert_eq!(imported["texts"]["added"], 4, "{imported}");
    assert_eq!(other.run(["import", "../out.jsonl", "--json"]).exits(0).line()["texts"]["unchanged"], 4);
    assert_eq!(other.run(["index", ".", "--text", "--json"]).exits(0).line()["read"], 0);
    assert_eq!(found(&other, "text:biologist"), ["18-business.jpg"]);
    other.run(["export", "../again.jsonl"]).exits(0);
    assert_eq!(fs::read_to_string(other.path("again.jsonl")).unwrap(), exported);
    // What is forgotten is gone from the file, too.
    other.run(["forget", "18-business.jpg"]).exits(0);
    other.run(["library", "compact"]).exits(0);
    let catalogue = fs::read(other.library().join("catalogue.sqlite")).unwrap();
    assert!(!catalogue.windows(9).any(|part| part == b"biologist"));
    assert!(found(&other, "text:biologist").is_empty());
}

#[test]
fn a_run_that_is_killed_goes_on_where_it_was() {
    let sandbox = Sandbox::new();
    let page = fs::read(fixture("text/18-business.jpg")).unwrap();
    for n in 0..4 {
        fs::write(sandbox.photo(format!("{n}.jpg")), another(&page, n)).unwrap();
    }
    // Not copies of one picture.
    for (n, name) in ["00-receipt", "03-boarding", "10-page", "14-ticket", "17-letter"].iter().enumerate() {
        fs::copy(fixture(&format!("text/{name}.jpg")), sandbox.photo(format!("{}.jpg", 20 + n))).unwrap();
    }
    sandbox.index().exits(0);
    let photos = sandbox.status()["photos"].as_u64().unwrap();
    let mut read = 0;
    // With ever more time, because processors differ.
    for round in 1..40 {
        let mut child = start(&mut sandbox.command(["index", "--text", "--quiet"]));
        let started = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status.success();
            }
            if started.elapsed() > Duration::from_millis(700 * round) {
                child.kill().unwrap();
                child.wait().unwrap();
                break false;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let now = sandbox.status()["read"].as_u64().unwrap();
        assert!(now >= read && now <= photos, "{now} of {photos} after {read}");
        read = now;
        if ended {
            break;
        }
    }
    assert_eq!(read, photos);
    assert_eq!(sandbox.run(["index", "--text", "--json"]).exits(0).line()["read"], 0);
    assert_eq!(found(&sandbox, "text:lighthouse"), ["22.jpg"]);
    assert_eq!(sandbox.run(["check", "--full", "--json"]).exits(0).line()["findings"], json!([]));
}

#[test]
fn hostile_text_is_escaped_wherever_it_is_shown() {
    let sandbox = with_text(&["12-cup"]);
    sandbox.run(["index", ".", "--text"]).exits(0);
    sandbox.run(["export", "../out.jsonl"]).exits(0);
    // As another model could read it.
    let hostile = "=HYPERLINK(1) <script>x</script> \\u001b[31mred\\u202e";
    let text = fs::read_to_string(sandbox.path("out.jsonl")).unwrap();
    let text = text.replace("World's best grandpa", hostile).replace("\"read\":\"20", "\"read\":\"21");
    fs::write(sandbox.path("out.jsonl"), text).unwrap();
    sandbox.run(["import", "../out.jsonl"]).exits(0);
    for args in [vec!["show", "12-cup.jpg"], vec!["search", "text:script", "--json"], vec!["export", "../x.jsonl"]] {
        let output = finish(sandbox.command(args.clone()));
        assert_eq!(output.code(), 0, "{output}");
        let bytes = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!bytes.contains('\u{1b}') && !bytes.contains('\u{202e}'), "{args:?}: {bytes:?}");
    }
}

#[test]
fn models_for_other_scripts_are_downloaded_only_as_they_were_published() {
    let sandbox = with_text(&["04-sign"]);
    let absent = sandbox.run(["text", "04-sign.jpg", "--ocr", "ocr-latin"]).exits(3);
    assert!(absent.stderr.contains("`snapseek models pull ocr-latin` downloads it"), "{absent}");
    let offline = sandbox.run(["models", "pull", "ocr-latin", "--yes"]).exits(3);
    assert!(offline.stderr.contains("--offline"), "{offline}");
    let ours = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/models/ocr/ch_PP-OCRv4_rec_infer.onnx")).unwrap();
    let files = [("onnx/PP-OCRv5/rec/latin_PP-OCRv5_rec_mobile.onnx".to_owned(), ours.clone())];
    let hub = Hub::serving(HashMap::from(files), Fault::Nothing);
    let mut pull = hub.command(&sandbox, &["models", "pull", "ocr-latin", "--yes"]);
    pull.env("SNAPSEEK_OCR_URL", format!("{}/{NAME}/resolve/{COMMIT}/onnx", hub.address()));
    let other = finish(pull).exits(5);
    assert!(other.stderr.contains("does not have the checksum b20bd37c"), "{other}");
    let kept = sandbox.path("home/cache/snapseek/ocr");
    assert_eq!(fs::read_dir(&kept).unwrap().count(), 0, "what is not what was published is not kept");
    // Put there by hand, it is used, and told from the published one.
    fs::write(kept.join("latin_PP-OCRv5_rec_mobile.onnx"), ours).unwrap();
    let read = sandbox.run(["text", "04-sign.jpg", "--ocr", "ocr-latin"]).exits(0);
    assert!(read.text().contains("Beware of the dog"), "{read}");
    assert!(sandbox.run(["models", "path", "ocr-latin"]).exits(0).text().contains("latin_PP-OCRv5"));
    assert!(sandbox.run(["models", "list"]).exits(0).text().contains("ocr-latin"));
    let verdict = sandbox.run(["models", "verify", "ocr-latin", "--json"]).exits(4).line();
    assert_eq!(verdict["verdict"], "differs");
}
