//! `score`: the similarity matrix.

use crate::support::{Output, Sandbox, file_name, fixture, random_clip};
use serde_json::{Value, json};

fn numbers(line: &Value, key: &str) -> Vec<f64> {
    line["scores"].as_array().unwrap().iter().map(|score| score[key].as_f64().unwrap()).collect()
}

/// One row of numbers for each photo.
fn matrix(output: &Output, key: &str) -> Vec<Vec<f64>> {
    output.lines().iter().map(|line| numbers(line, key)).collect()
}

#[test]
fn every_photo_is_scored_with_every_text() {
    let sandbox = Sandbox::with_photos(&["dog", "cat", "hammer-5"]);
    let texts = ["a dog", "a cat", "a hammer"];
    let args =
        ["score", "--text", texts[0], "--text", texts[1], "--text", texts[2], "dog.jpg", "cat.jpg", "hammer-5.jpg"];
    let output = sandbox.run(args.iter().chain(&["--json"])).exits(0);
    let lines = output.lines();
    assert_eq!(lines.iter().map(|l| file_name(&l["path"])).collect::<Vec<_>>(), ["dog.jpg", "cat.jpg", "hammer-5.jpg"]);
    let (cosines, probabilities) = (matrix(&output, "cosine"), matrix(&output, "probability"));
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(line["scores"].as_array().unwrap().iter().map(|s| &s["text"]).collect::<Vec<_>>(), texts);
        // The starter's scale is 16.
        let powers: Vec<f64> = cosines[n].iter().map(|cosine| (16.0 * cosine).exp()).collect();
        for (text, probability) in probabilities[n].iter().enumerate() {
            assert!((probability - powers[text] / powers.iter().sum::<f64>()).abs() < 1e-5);
            assert!((numbers(line, "logit")[text] - 16.0 * cosines[n][text]).abs() < 1e-5);
        }
        assert!(probabilities[n][n] > 0.9, "{output}");
    }
    // The cosines are those of the vectors that `embed` prints, whether the library has the photos or not.
    let embed = ["embed", "--json", "--text", "a cat", "--image", "dog.jpg"];
    let vectors: Vec<Vec<f64>> = sandbox
        .run(embed)
        .exits(0)
        .lines()
        .iter()
        .map(|l| l["embedding"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect())
        .collect();
    let cosine: f64 = vectors[0].iter().zip(&vectors[1]).map(|(a, b)| a * b).sum();
    assert!((cosine - cosines[0][1]).abs() < 1e-5);
    sandbox.index().exits(0);
    for (inside, outside) in
        matrix(&sandbox.run(args.iter().chain(&["--json"])).exits(0), "cosine").iter().zip(&cosines)
    {
        assert!(inside.iter().zip(outside).all(|(a, b)| (a - b).abs() < 1e-3));
    }

    let plain = sandbox.run(args).exits(0).text();
    let first: Vec<&str> = plain.lines().next().unwrap().split('\t').collect();
    assert_eq!((first[0], first.len(), first[3], plain.lines().count()), ("dog.jpg", 4, "a dog", 9));
    let csv = sandbox.run(args.iter().chain(&["--csv"])).exits(0);
    let mut reader = csv::Reader::from_reader(csv.stdout.as_slice());
    assert_eq!(reader.headers().unwrap(), ["path", "text", "cosine", "logit", "probability"].as_slice());
    let records: Vec<csv::StringRecord> = reader.records().map(|record| record.unwrap()).collect();
    assert_eq!((records.len(), &records[4][0], &records[4][1]), (9, "cat.jpg", "a cat"));
    assert!((records[4][2].parse::<f64>().unwrap() - cosines[1][1]).abs() < 1e-3);
}

#[test]
fn texts_go_in_as_they_are_unless_templates_say_otherwise() {
    let sandbox = Sandbox::with_photos(&["dog"]);
    let model = random_clip();
    let cosine = |args: &[&str]| {
        let output = sandbox.run(["score", "dog.jpg", "--json", "--model", &model].iter().chain(args)).exits(0);
        matrix(&output, "cosine")[0][0]
    };
    let near = |a: f64, b: f64| (a - b).abs() < 1e-5;
    let (bare, photo, sketch) =
        (cosine(&["--text", "dog"]), cosine(&["--text", "a photo of a dog"]), cosine(&["--text", "a sketch of a dog"]));
    assert!(!near(bare, photo) && !near(photo, sketch));
    assert!(near(cosine(&["--text", "dog", "--template", "{}"]), bare));
    assert!(near(cosine(&["--text", "dog", "--template", "a photo of a {}"]), photo));
    let both = cosine(&["--text", "dog", "--template", "a photo of a {}", "--template", "a sketch of a {}"]);
    // The mean of two unit vectors is shorter than they are, and scaled to unit length again.
    assert!(both.abs() >= ((photo + sketch) / 2.0).abs() - 1e-6 && !near(both, photo), "{both} {photo} {sketch}");
}

#[test]
fn the_command_line_gives_the_reference_logits() {
    let sandbox = Sandbox::new();
    let folder = fixture("reference/clip-random");
    let json: Value = serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let strings = |key: &str| -> Vec<String> { serde_json::from_value(json[key].clone()).unwrap() };
    let bytes = std::fs::read(folder.join("expected.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let logits = file.tensor("logits_per_image").unwrap();
    let logits: Vec<f64> = logits.data().as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect();
    let (texts, photos) = (strings("texts"), strings("photos"));
    let mut args = vec!["score".to_owned(), "--json".into(), "--model".into(), random_clip()];
    args.extend(texts.iter().map(|text| format!("--text={text}")));
    args.extend(photos.iter().map(|name| fixture("reference/pictures").join(name).display().to_string()));
    let output = sandbox.run(args).exits(0);
    for ((mine, theirs), name) in matrix(&output, "logit").iter().zip(logits.chunks(texts.len())).zip(&photos) {
        let furthest = mine.iter().zip(theirs).map(|(m, t)| (m - t).abs()).fold(0.0, f64::max);
        println!("{name}: off by {furthest:.4}");
        // The reference decodes and resizes with other code; `tests/quality/reference.rs` compares without that.
        assert!(furthest < 0.5, "{name} is off by {furthest}");
    }
}

#[test]
fn what_cannot_be_read_is_told_and_left_out() {
    let sandbox = Sandbox::with_photos(&["dog"]);
    std::fs::write(sandbox.photo("broken.jpg"), "no picture").unwrap();
    let output = sandbox.run(["score", "--text", "a dog", "dog.jpg", "broken.jpg", "gone.jpg", "--json"]).exits(4);
    assert_eq!((output.lines().len(), &output.line()["scores"][0]["probability"]), (1, &json!(1.0)));
    assert!(
        output.stderr.contains("broken.jpg cannot be used") && output.stderr.contains("gone.jpg does not exist"),
        "{output}"
    );
    sandbox.run(["score", "dog.jpg"]).exits(2);
    sandbox.run(["score", "--text", "a dog"]).exits(2);
}
