//! BLIP-2's own heads: `search --rerank`, and `score --by itm` and `--by itc`.

use crate::hub::{Hub, files_of};
use crate::support::{Output, Sandbox, dot, file_name, finish, fixture, random_blip2, random_clip};
use crate::terminal::on_a_terminal;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;

/// The small random BLIP-2 for retrieval of the reference.
fn matcher() -> String {
    fixture("reference/blip2-itm").to_str().unwrap().to_owned()
}

fn search(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox.run([&["search", "--rerank", &matcher()][..], args].concat())
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

/// What a command shows on a terminal.
fn shown<'a>(sandbox: &Sandbox, args: impl IntoIterator<Item = &'a str>) -> String {
    let args: Vec<&OsStr> = args.into_iter().map(OsStr::new).collect();
    String::from_utf8(on_a_terminal(sandbox, &args, true)).unwrap()
}

#[test]
fn scores_are_those_of_the_reference() {
    needs!("script");
    let sandbox = Sandbox::new();
    let json: Value = serde_json::from_slice(&fs::read(fixture("reference/blip2-itm/expected.json")).unwrap()).unwrap();
    let bytes = fs::read(fixture("reference/blip2-itm/expected.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |name: &str| -> Vec<f64> {
        let data = file.tensor(name).unwrap().data().to_vec();
        data.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect()
    };
    let strings = |key: &str| -> Vec<String> { serde_json::from_value(json[key].clone()).unwrap() };
    let (texts, photos) = (strings("itm_texts"), strings("itm_photos"));
    let mut args = vec!["score".to_owned(), "--matcher".into(), matcher()];
    args.extend(texts.iter().map(|text| format!("--text={text}")));
    args.extend(photos.iter().map(|name| fixture("reference/pictures").join(name).display().to_string()));
    let run = |more: &[&str]| {
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        sandbox.run(args).exits(0)
    };
    for (by, key, expected) in [("itm", "probability", "itm_probability"), ("itc", "cosine", "itc")] {
        let lines = run(&["--by", by, "--json"]).lines();
        assert_eq!(lines.len(), photos.len());
        for ((line, theirs), photo) in lines.iter().zip(numbers(expected).chunks(texts.len())).zip(&photos) {
            assert_eq!(&file_name(&line["path"]), photo);
            for ((score, theirs), text) in line["scores"].as_array().unwrap().iter().zip(theirs).zip(&texts) {
                assert_eq!(&score["text"], text);
                // A picture of one pixel has the reference's pixels; of others, the resizing differs a little.
                let near = if photo.starts_with("i-one-pixel") { 1e-3 } else { 0.03 };
                assert!((number(&score[key]) - theirs).abs() < near, "{photo}: {text}: {score}, not {theirs}");
                if by == "itm" {
                    let probability = 1.0 / (1.0 + (-number(&score["logit"])).exp());
                    assert!((probability - number(&score[key])).abs() < 1e-5, "{score}");
                }
            }
        }
        let csv = run(&["--by", by, "--csv"]).text();
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let head: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        let columns: &[&str] = if by == "itm" { &["logit", "probability"] } else { &["cosine"] };
        assert_eq!(head, [&["path", "text"], columns].concat());
        let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!((records.len(), &records[1][1]), (6, texts[1].as_str()));
        let last: f64 = records[1][head.len() - 1].parse().unwrap();
        assert!((last - number(&lines[0]["scores"][1][key])).abs() < 1e-5);
        let plain = run(&["--by", by]).text();
        let first: Vec<&str> = plain.lines().next().unwrap().split('\t').collect();
        assert_eq!((first.len(), first[2]), (3, texts[0].as_str()));
        let screen = shown(&sandbox, args.iter().map(String::as_str).chain(["--by", by]));
        assert!(screen.contains(key) && screen.contains("i-one-pixel.png") && screen.contains(&texts[2]), "{screen}");
        assert_eq!(screen.contains(" %"), by == "itm", "{screen}");
    }
}

#[test]
fn the_first_fifty_are_ranked_again_and_what_cannot_be_read_keeps_its_place() {
    needs!("script", "strace");
    // A library with more photos than are ranked again.
    let sandbox = Sandbox::new();
    for n in 0..53 {
        fs::write(sandbox.photo(format!("dot-{n}.png")), dot(n * 40_503)).unwrap();
    }
    sandbox.index().exits(0);
    let query = ["a green thing", "--all", "-n", "all", "--json"];
    let before = sandbox.run([&["search"][..], &query].concat()).names();
    assert_eq!(before.len(), 53);
    // An interrupt ends it, without results.
    let path = sandbox.photo("dot-3.png");
    let mut traced = sandbox.command_of("strace");
    traced.args(["-f", "-qq", "-o", "/dev/null", "-P", path.to_str().unwrap()]);
    traced.args(["-e", "trace=openat", "-e", "inject=openat:signal=SIGINT:when=1", crate::support::PROGRAM]);
    traced.args(["search", "--rerank", &matcher()]).args(query);
    assert!(finish(traced).exits(130).stdout.is_empty());
    let spoilt = &before[9];
    fs::write(sandbox.photo(spoilt), "no picture any more").unwrap();
    let output = search(&sandbox, &query);
    let (after, lines) = (output.names(), output.lines());
    assert!(output.stderr.contains(spoilt) && output.code() < 2, "{output}");
    assert_eq!((&after[9], &lines[9]["itm"]), (spoilt, &Value::Null));
    let mut ranked: Vec<&Value> = lines[..50].iter().collect();
    ranked.remove(9);
    let likely: Vec<f64> = ranked.iter().map(|line| number(&line["itm"])).collect();
    assert!(likely.is_sorted_by(|a, b| a >= b), "{likely:?}");
    assert!(ranked.iter().all(|line| line["score"] == line["itm"] && line["score_kind"] == "itm"));
    assert!(lines[50..].iter().all(|line| line["itm"].is_null() && line["score_kind"] != "itm"));
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    assert_eq!(sorted(&after[..50]), sorted(&before[..50]));
    assert_eq!(after[50..], before[50..]);
    assert_ne!(after, before);
    // `score` says the same.
    let best = sandbox.photo(&after[0]);
    let score = ["score", "--by", "itm", "--matcher", &matcher(), "--text", query[0], best.to_str().unwrap(), "--json"];
    let score = sandbox.run(score).exits(0).line();
    assert_eq!(score["scores"][0]["probability"], lines[0]["itm"]);
    // Fewer are shown than are ranked.
    let few = search(&sandbox, &[query[0], "--all", "-n", "3", "--json"]);
    assert_eq!(few.names(), after[..3]);
    let screen = shown(&sandbox, ["search", "--rerank", &matcher(), query[0], "--all", "-n", "3"]);
    assert!(screen.contains("itm") && screen.contains(" %"), "{screen}");
    assert!(search(&sandbox, &[query[0], "--all", "-n", "3"]).text().contains(&format!("\t{}", best.display())));
}

#[test]
fn a_query_without_words_is_wrong_usage_and_so_is_another_model() {
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    let refused = search(&sandbox, &["path:photos"]).exits(2);
    assert!(refused.stderr.contains("words"), "{refused}");
    search(&sandbox, &["@cat.jpg"]).exits(2);
    search(&sandbox, &["--", "-night"]).exits(2);
    search(&sandbox, &["a dog", "--sort", "date"]).exits(2);
    search(&sandbox, &["a dog", "--reverse"]).exits(2);
    assert!(search(&sandbox, &["\"a dog\"", "--all"]).code() < 2);
    let mut piped = sandbox.command(["search", "-", "--rerank", &matcher()]);
    piped.stdin(fs::File::open(sandbox.photo("cat.jpg")).unwrap());
    finish(piped).exits(2);
    for (model, code) in [("starter", 2), ("auto", 2), (&*random_clip(), 2), (&*random_blip2(), 2), ("blip2", 3)] {
        let refused = sandbox.run(["search", "a dog", "--rerank", model]).exits(code);
        assert!(refused.stderr.contains(if code == 3 { "models pull blip2-itm" } else { "compare" }), "{refused}");
    }
    for args in [
        &["score", "--text", "a", "cat.jpg", "--by", "itm", "--matcher", &matcher(), "--template", "a {}"][..],
        &["score", "--text", "a", "cat.jpg", "--matcher", &matcher()],
        &["caption", "cat.jpg", "--blip2", &matcher()],
        &["embed", "--text", "a", "--model", &matcher()],
        &["models", "quantize", &matcher()],
    ] {
        let refused = sandbox.run(args).exits(2);
        assert!(!refused.stderr.contains("damaged"), "{refused}");
    }
    fs::write(sandbox.photo("broken.jpg"), "no picture").unwrap();
    let score = ["score", "--text", "a", "cat.jpg", "broken.jpg", "--by", "itm", "--json", "--matcher"];
    let partial = sandbox.run(score.into_iter().chain([&*matcher()])).exits(4);
    assert!(partial.lines().len() == 1 && partial.stderr.contains("broken.jpg cannot be used"), "{partial}");
}

#[test]
fn it_is_pulled_by_its_short_name() {
    let (sandbox, name) = (Sandbox::indexed(&["cat", "dog"]), "Salesforce/blip2-itm-vit-g");
    let mut files = files_of(matcher());
    files.retain(|name, _| !name.starts_with("expected"));
    // As the real one.
    files.remove("processor_config.json").unwrap();
    let hub = Hub::of([(name, files)]);
    let pulled = finish(hub.command(&sandbox, &["models", "pull", "blip2-itm", "--yes"])).exits(0);
    assert!(pulled.stderr.contains("MIT") && !pulled.stderr.contains("quantize"), "{pulled}");
    let listed = sandbox.run(["models", "list", "--json"]).exits(0).lines();
    let model = listed.iter().find(|model| model["name"] == "blip2-itm").unwrap();
    assert_eq!((&model["kind"], &model["precision"]), (&json!("matcher"), &Value::Null));
    for model in ["blip2", "blip2-itm", name] {
        let lines = sandbox.run(["search", "a dog", "--all", "--json", "--rerank", model]).lines();
        assert!(lines.len() == 2 && lines.iter().all(|line| line["itm"].is_f64()), "{lines:?}");
    }
    sandbox.run(["score", "--text", "a dog", "cat.jpg", "--by", "itc"]).exits(0);
    let completed = sandbox.run(["complete", "--", "--rerank"]).exits(0).text();
    assert_eq!(completed, "blip2-itm\n");
}
