//! `models try` and the self-test of `models verify`.

use crate::support::{Sandbox, fixture};
use serde_json::Value;
use std::fs;

fn openclip() -> String {
    fixture("reference/families/openclip").to_str().unwrap().to_owned()
}

/// The lines about one thing.
fn of<'a>(lines: &'a [Value], kind: &str, model: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["kind"] == kind && line["model"] == model).collect()
}

#[test]
fn models_are_tried_side_by_side_on_the_same_photos() {
    let sandbox = Sandbox::indexed(&["cat", "dog", "owl", "giraffe"]);
    let queries = sandbox.path("queries.txt");
    fs::write(
        &queries,
        format!("# mine\na dog\t{}\nan owl\tphotos/owl.jpg\nnothing judged\n", sandbox.photo("dog.jpg").display()),
    )
    .unwrap();
    let (random, page) = (openclip(), sandbox.path("tried.html"));
    let args = [
        "models",
        "try",
        "starter",
        &random,
        "starter",
        "--queries",
        queries.to_str().unwrap(),
        "--json",
        "--html",
        page.to_str().unwrap(),
    ];
    let lines = sandbox.run(args).exits(0).lines();
    // A model that is named twice is tried once.
    assert_eq!(lines.len(), 2 * 3 + 2, "{lines:?}");
    let asked = of(&lines, "query", "starter");
    assert_eq!(asked.len(), 3);
    for (query, file) in [(0, "dog.jpg"), (1, "owl.jpg")] {
        let first = &asked[query]["results"][0];
        assert!(first["path"].as_str().unwrap().ends_with(file) && first["fits"] == true, "{first}");
        assert_eq!(asked[query]["recall"]["1"], 1.0);
    }
    assert_eq!(asked[2]["recall"]["1"], Value::Null);
    assert_eq!(asked[0]["results"].as_array().unwrap().len(), 4);
    let starter = of(&lines, "model", "starter")[0];
    assert_eq!((&starter["recall"]["5"], &starter["sample"], &starter["photos"]), (&1.0.into(), &4.into(), &4.into()));
    assert_eq!(of(&lines, "model", &random).len(), 1);
    let html = fs::read_to_string(&page).unwrap();
    assert_eq!(html.matches("<img").count(), 2 * 3 * 4);
    assert!(html.contains("a dog") && html.contains("finds@1"));

    // What a person reads, with a smaller sample: photos that fit are in it anyway.
    let output =
        sandbox.run(["models", "try", "starter", "--sample", "1", "--queries", queries.to_str().unwrap()]).exits(0);
    assert!(output.text().contains("finds@10") && output.stderr.contains("photos of 4"), "{output}");
    let general = sandbox.run(["models", "try", "starter"]).exits(0);
    assert!(general.text().contains("children playing") && general.stderr.contains("--mark"), "{general}");
}

#[test]
fn a_trial_that_cannot_be_made_says_why() {
    let sandbox = Sandbox::indexed(&["cat"]);
    let (stranger, empty) = (sandbox.path("stranger.txt"), sandbox.path("empty.txt"));
    fs::write(&stranger, "a dog\tno-such.jpg\n").unwrap();
    fs::write(&empty, "# nothing\n").unwrap();
    for (args, code, word) in [
        (vec!["models", "try"], 2, "required"),
        (vec!["models", "try", "clip"], 3, "models pull clip"),
        (vec!["models", "try", "starter", "--mark"], 2, "--queries"),
        (vec!["models", "try", "starter", "--mark", "--queries", "new.txt"], 2, "terminal"),
        (vec!["models", "try", "starter", "--queries", stranger.to_str().unwrap()], 2, "no-such.jpg"),
        (vec!["models", "try", "starter", "--queries", empty.to_str().unwrap()], 2, "holds no query"),
        (vec!["models", "try", "starter", "--sample", "0"], 1, "no photos"),
    ] {
        let output = sandbox.run(&args).exits(code);
        assert!(output.stderr.contains(word), "{word}: {output}");
    }
    fs::write(sandbox.photo("cat.jpg"), "no picture").unwrap();
    let output = sandbox.run(["models", "try", "starter"]).exits(4);
    assert!(output.stderr.contains("cat.jpg"), "{output}");
}

#[test]
fn the_self_test_tells_whether_a_model_sees() {
    let sandbox = Sandbox::new();
    let line = sandbox.run(["models", "verify", "starter", "--json"]).exits(0).line();
    assert_eq!((&line["verdict"], &line["picture"]), (&"plausible".into(), &"astronaut.png".into()), "{line}");
    assert_eq!(line["texts"].as_array().unwrap().len(), 5);
    let output = sandbox.run(["models", "verify", "starter", "--picture", "cat.jpg"]).exits(2);
    assert!(output.stderr.contains("CLIP.png"), "{output}");
    sandbox.run(["models", "verify", "clip"]).exits(3);
}
