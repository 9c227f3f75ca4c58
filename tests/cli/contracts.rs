//! The JSON that scripts rely on: one object on each line, with these fields and these numbers.

use crate::support::{Sandbox, file_name, fixture, random_clip};
use serde_json::{Value, json};

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect()
}

fn length(vector: &[f64]) -> f64 {
    vector.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / length(a) / length(b)
}

/// Reads a matrix of f32 from the reference's `expected.safetensors`.
fn expected(tensor: &str) -> Vec<Vec<f64>> {
    let bytes = std::fs::read(fixture("reference/clip-random/expected.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor(tensor).unwrap();
    let row = view.shape()[1];
    let values: Vec<f64> =
        view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect();
    values.chunks_exact(row).map(<[f64]>::to_vec).collect()
}

fn expected_json() -> Value {
    serde_json::from_slice(&std::fs::read(fixture("reference/clip-random/expected.json")).unwrap()).unwrap()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect()
}

#[test]
fn embed_answers_in_the_order_of_the_arguments_with_unit_vectors() {
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    let args = ["embed", "--json", "--text", "a cat", "--image", "dog.jpg", "--text", "a dog", "--image=./cat.jpg"];
    let lines = sandbox.run(args).exits(0).lines();
    let heads: Vec<_> = lines.iter().map(|l| (l["kind"].as_str().unwrap(), l["input"].as_str().unwrap())).collect();
    assert_eq!(heads, [("text", "a cat"), ("image", "dog.jpg"), ("text", "a dog"), ("image", "./cat.jpg")]);
    let vectors: Vec<Vec<f64>> = lines.iter().map(|line| numbers(&line["embedding"])).collect();
    for (line, vector) in lines.iter().zip(&vectors) {
        assert_eq!((&line["model"], &line["schema"]), (&json!("starter"), &json!(1)));
        assert_eq!(vector.len(), 384);
        assert!((length(vector) - 1.0).abs() < 1e-4, "{}", length(vector));
    }
    let [cat, dog_photo, dog, cat_photo] = vectors.try_into().unwrap();
    assert!(cosine(&cat, &cat_photo) > cosine(&cat, &dog_photo) + 0.1);
    assert!(cosine(&dog, &dog_photo) > cosine(&dog, &cat_photo) + 0.1);
}

#[test]
fn embed_goes_on_after_a_picture_that_cannot_be_read() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    std::fs::write(sandbox.photo("bad.jpg"), "no picture").unwrap();
    let output = sandbox.run(["embed", "--json", "--image", "bad.jpg", "--image", "cat.jpg"]).exits(4);
    assert_eq!(output.lines().len(), 1);
    assert_eq!(output.line()["input"], "cat.jpg");
    assert!(output.stderr.contains("bad.jpg"), "{output}");
}

#[test]
fn embed_with_a_clip_gives_the_reference_numbers_from_the_command_line() {
    let sandbox = Sandbox::new();
    let (json, model) = (expected_json(), random_clip());
    let (texts, photos) = (strings(&json["texts"]), strings(&json["photos"]));
    let mut args = vec!["embed".to_owned(), "--json".into(), "--model".into(), model.clone()];
    args.extend(texts.iter().map(|text| format!("--text={text}")));
    args.extend(photos.iter().map(|name| format!("--image={}", fixture("reference/pictures").join(name).display())));
    let lines = sandbox.run(args).exits(0).lines();
    assert_eq!(lines.len(), texts.len() + photos.len());
    let (text_lines, photo_lines) = lines.split_at(texts.len());

    for ((line, text), theirs) in text_lines.iter().zip(&texts).zip(expected("text_embeds")) {
        assert_eq!((&line["input"], &line["model"]), (&json!(text), &json!(model)));
        let mine = numbers(&line["embedding"]);
        assert!((length(&mine) - 1.0).abs() < 1e-4);
        let scale = length(&theirs);
        let furthest = mine.iter().zip(&theirs).map(|(m, t)| (m - t / scale).abs()).fold(0.0, f64::max);
        assert!(furthest < 1e-4, "{text:?} is off by {furthest}");
    }
    for ((line, name), theirs) in photo_lines.iter().zip(&photos).zip(expected("image_embeds")) {
        assert_eq!(file_name(&line["input"]), *name);
        let least = if name.ends_with(".jpg") { 0.995 } else { 0.999 };
        let cosine = cosine(&numbers(&line["embedding"]), &theirs);
        assert!(cosine >= least, "{name}: cosine {cosine}");
    }
}

#[test]
fn tokens_are_what_the_reference_tokenizer_reads() {
    let sandbox = Sandbox::new();
    let (json, model) = (expected_json(), random_clip());
    for (text, ids) in strings(&json["texts"]).iter().zip(json["input_ids"].as_array().unwrap()) {
        let line = sandbox.run(["tokens", "--json", "--model", &model, "--", text]).exits(0).line();
        assert_eq!(&line["ids"], ids, "{text:?}");
        let tokens = strings(&line["tokens"]);
        assert_eq!(tokens.len(), ids.as_array().unwrap().len());
        assert_eq!((tokens[0], tokens[tokens.len() - 1]), ("<|startoftext|>", "<|endoftext|>"));
    }
    let line = sandbox.run(["tokens", "--json", "--model", &model, "a puppy playing in the snow"]).exits(0).line();
    let expected =
        ["<|startoftext|>", "a</w>", "puppy</w>", "playing</w>", "in</w>", "the</w>", "snow</w>", "<|endoftext|>"];
    assert_eq!(line["tokens"], json!(expected));
    // The starter has its own tokenizer. Without --json the output is a table for people.
    let starter = sandbox.run(["tokens", "--json", "a puppy"]).exits(0).line();
    assert_eq!(starter["tokens"], json!(["[CLS]", "a", "puppy", "[SEP]"]));
    let table = sandbox.run(["tokens", "a puppy", "--model", &model]).exits(0).text();
    assert!(table.lines().nth(2).is_some_and(|line| line.ends_with("6829 puppy</w>")), "{table}");
}

#[test]
fn search_and_similar_give_rank_score_path_and_tags() {
    let sandbox = Sandbox::indexed(&["cat", "dog", "owl", "panda", "koala", "lemur"]);
    let hits = sandbox.run(["search", "a koala bear", "--all", "--json"]).exits(0).lines();
    assert_eq!(hits.len(), 6, "--all lists every photo");
    let of = |hit: &Value, key: &str| hit[key].as_f64().unwrap();
    for (n, hit) in hits.iter().enumerate() {
        assert_eq!((hit["rank"].as_u64(), &hit["schema"]), (Some(n as u64 + 1), &json!(1)));
        let path = std::path::Path::new(hit["path"].as_str().unwrap());
        assert!(path.is_absolute() && path.is_file(), "{hit}");
        let tags = strings(&hit["tags"]);
        assert!(!tags.is_empty() && tags.iter().all(|tag| !tag.is_empty()), "{hit}");
    }
    assert!(hits.windows(2).all(|pair| of(&pair[0], "score") >= of(&pair[1], "score")), "{hits:?}");
    assert_eq!(file_name(&hits[0]["path"]), "koala.jpg");
    assert!(strings(&hits[0]["tags"]).contains(&"koala"), "{}", hits[0]);
    assert_eq!((&hits[0]["width"], &hits[0]["height"]), (&json!(384), &json!(512)));

    // A photo in the library is not listed as similar to itself; for a copy outside the library, it comes first.
    let similar = sandbox.run(["similar", "koala.jpg", "--json"]).exits(0).lines();
    assert_eq!(similar.len(), 5);
    assert!(similar.iter().all(|hit| file_name(&hit["path"]) != "koala.jpg"));
    let outside = sandbox.path("elsewhere.jpg");
    std::fs::copy(sandbox.photo("koala.jpg"), &outside).unwrap();
    let similar = sandbox.run(["similar", outside.to_str().unwrap(), "--json", "-n", "2"]).exits(0).lines();
    assert_eq!((similar.len(), file_name(&similar[0]["path"])), (2, "koala.jpg".into()));
    assert_eq!(similar[0]["score_kind"], "cosine");
    assert!(of(&similar[0], "score") > 0.999);
}

#[test]
fn every_ranking_says_what_its_score_is() {
    let sandbox = Sandbox::indexed(&["cat", "dog", "owl"]);
    for (by, kind) in [("meaning", "cosine"), ("words", "bm25"), ("both", "reciprocal-rank")] {
        let hit = sandbox.run(["search", "owl", "--by", by, "--json"]).exits(0).lines().swap_remove(0);
        assert_eq!((file_name(&hit["path"]).as_str(), &hit["score_kind"]), ("owl.jpg", &json!(kind)));
    }
}

#[test]
fn status_check_and_forget_speak_json_too() {
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    std::fs::write(sandbox.photo("bad.jpg"), "no picture").unwrap();
    sandbox.index().exits(4);
    let status = sandbox.status();
    assert_eq!(status["library"], json!(sandbox.library()));
    assert_eq!((&status["photos"], &status["failed"]), (&json!(2), &json!(1)));
    assert_eq!(status["failures"][0]["path"], json!(sandbox.photo("bad.jpg")));
    assert_eq!(status["failures"][0]["kind"], "not-a-picture");
    assert!(status["bytes"].as_u64().unwrap() > 1000);
    assert_eq!(sandbox.run(["check", "--json"]).exits(0).line()["findings"], json!([]));
    assert_eq!(sandbox.run(["forget", "cat.jpg", "--json"]).exits(0).line()["forgotten"], 1);
    assert_eq!(sandbox.run(["forget", "cat.jpg", "--json"]).exits(1).line()["forgotten"], 0);
    let models = sandbox.run(["models", "list", "--json"]).exits(0).lines();
    assert_eq!((&models[0]["name"], &models[0]["dim"]), (&json!("starter"), &json!(384)));
    assert!(!models[0]["licence"].as_str().unwrap().is_empty());
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_happens() {
    let sandbox = Sandbox::indexed(&["cat"]);
    for args in [
        &["search", "a cat", "--min-score", "nan"][..],
        &["similar", "cat.jpg", "--min-score", "inf"],
        &["search", "a cat", "--unique=nan"],
        &["ask", "cat.jpg", ""],
        &["ask", "cat.jpg", " \t"],
    ] {
        let refused = sandbox.run(args).exits(2);
        assert!(refused.stderr.contains("must"), "{refused}");
    }
    sandbox.run(["search", "a cat", "--min-score", "-0.5"]).exits(0);
    let config = sandbox.path("home/config/snapseek");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.toml"), "[keys]\nquit = []\n").unwrap();
    let refused = sandbox.run(["tui"]).exits(2);
    assert!(refused.stderr.contains("quit") && refused.stderr.contains("without a key"), "{refused}");
}

#[test]
fn caption_show_tells_a_missing_file_from_one_without_a_caption() {
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    sandbox.run(["caption", "set", "cat.jpg", "a cat"]).exits(0);
    assert!(sandbox.run(["caption", "show", "dog.jpg"]).exits(1).stderr.contains("has no caption"));
    let missing = sandbox.run(["caption", "show", "nothing.jpg"]).exits(2);
    assert!(missing.stderr.contains("nothing.jpg does not exist"), "{missing}");
    let both = sandbox.run(["caption", "show", "nothing.jpg", "cat.jpg"]).exits(4);
    assert!(both.text().contains("a cat") && both.stderr.contains("does not exist"), "{both}");
    std::fs::copy(crate::support::fixture("photos/owl.jpg"), sandbox.photo("owl.jpg")).unwrap();
    assert!(sandbox.run(["caption", "show", "owl.jpg"]).exits(2).stderr.contains("is not in the library"));
    // What the library knows is shown, even if the file is gone.
    std::fs::remove_file(sandbox.photo("cat.jpg")).unwrap();
    assert!(sandbox.run(["caption", "show", "cat.jpg"]).exits(0).text().contains("a cat"));
}

#[test]
fn csv_has_no_formulas() {
    let sandbox = Sandbox::new();
    for name in ["=1+1", "+a", "-b", "@c", "plain"] {
        std::fs::copy(crate::support::fixture("photos/cat.jpg"), sandbox.photo(format!("{name}.jpg"))).unwrap();
    }
    let files = ["=1+1.jpg", "+a.jpg", "./-b.jpg", "@c.jpg", "plain.jpg"];
    let texts = ["--text", "=HYPERLINK(0)", "--text", "a cat"];
    let csv = sandbox.run(["score", "--csv"].iter().chain(&texts).chain(&["--"]).chain(&files)).exits(0);
    let mut reader = csv::Reader::from_reader(csv.stdout.as_slice());
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), 10);
    for (n, record) in records.iter().enumerate() {
        let cell = |text: &str| if text.starts_with(['=', '+', '@']) { format!("'{text}") } else { text.to_owned() };
        assert_eq!((&record[0], &record[1]), (cell(files[n / 2]).as_str(), cell(texts[1 + n % 2 * 2]).as_str()));
        assert!(record.iter().skip(2).all(|number| number.parse::<f64>().is_ok()), "{record:?}");
    }
}
