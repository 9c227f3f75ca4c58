//! `--text-model`: another model reads the texts, in other languages, and the photos stay as they are embedded.

use crate::hub::{Fault, Hub, NAME};
use crate::support::{Output, Sandbox, finish, fixture, random_clip};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;

type Files = HashMap<String, Vec<u8>>;

/// A small random OpenCLIP, whose embeddings are as long as those of the text model.
fn openclip() -> String {
    fixture("reference/families/openclip").to_str().unwrap().to_owned()
}

/// A small random multilingual text model.
fn texts() -> String {
    fixture("reference/families/st-multilingual").to_str().unwrap().to_owned()
}

/// The files of that model, by their paths within it.
pub(crate) fn files() -> Files {
    let root = fixture("reference/families/st-multilingual");
    let mut files = HashMap::new();
    for folder in ["", "1_Pooling", "2_Dense"] {
        for entry in fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_file() && !entry.file_name().unwrap().to_str().unwrap().starts_with("expected") {
                let name = entry.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(&entry).unwrap());
            }
        }
    }
    files
}

fn put(folder: &Path, files: &Files) {
    for (name, content) in files {
        fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
        fs::write(folder.join(name), content).unwrap();
    }
}

/// The cosines of the photos with a query.
fn cosines(sandbox: &Sandbox, args: &[&str]) -> Vec<(String, f64)> {
    let all = ["search", "Hund im Schnee", "--by", "meaning", "--all", "--json"];
    // Random models match nothing, and all are listed.
    let lines = sandbox.run(all.iter().chain(args)).lines();
    let mut cosines: Vec<_> = lines
        .iter()
        .map(|line| (line["path"].as_str().unwrap().to_owned(), line["cosine"].as_f64().unwrap()))
        .collect();
    cosines.sort_by(|a, b| a.0.cmp(&b.0));
    cosines
}

fn embedding(output: &Output) -> Vec<f64> {
    output.line()["embedding"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn another_model_reads_texts_and_the_library_remembers_it() {
    let sandbox = Sandbox::with_photos(&["cat", "dog", "owl"]);
    sandbox.run(["index", ".", "--model", &openclip()]).exits(0);
    let own = cosines(&sandbox, &[]);
    let by_texts = cosines(&sandbox, &["--text-model", &texts()]);
    assert_ne!(own, by_texts);

    // Its cosines are those of its embeddings with the pictures' own.
    let text = embedding(
        &sandbox
            .run(["embed", "--text", "Hund im Schnee", "--model", &openclip(), "--text-model", &texts(), "--json"])
            .exits(0),
    );
    let photo = sandbox.photo("dog.jpg");
    let picture =
        embedding(&sandbox.run(["embed", "--image", photo.to_str().unwrap(), "--model", &openclip(), "--json"]));
    let cosine: f64 = text.iter().zip(&picture).map(|(a, b)| a * b).sum();
    let found = by_texts.iter().find(|(path, _)| path.ends_with("dog.jpg")).unwrap().1;
    assert!((found - cosine).abs() < 1e-5, "{found} {cosine}");

    // From then on it does so unasked, also after new photos, which cost the pictures' model only.
    assert_eq!(cosines(&sandbox, &[]), by_texts);
    let status = sandbox.status();
    assert_eq!(status["text_model"], texts().as_str(), "{status}");
    sandbox.add("giraffe");
    let summary = sandbox.run(["index", "--json"]).exits(0).line();
    assert_eq!((&summary["embedded"], &summary["unchanged"]), (&1.into(), &3.into()), "{summary}");
    assert_eq!(cosines(&sandbox, &[]).len(), 4);

    // Labels are read by it too: each text model has a classifier of its own.
    let classify = |args: &[&str]| {
        let all = ["classify", "Hund,Katze,Eule", "--json"];
        sandbox.run(all.iter().chain(args)).lines()
    };
    let labels = classify(&["--save-as", "tiere"]);
    let label = |args: &[&str]| {
        let all = ["search", "label:tiere=Hund", "--json"];
        sandbox.run(all.iter().chain(args)).lines().len()
    };
    let found = label(&[]);
    assert_eq!(found, labels.iter().filter(|line| line["label"] == "Hund").count());

    // `own` ends it.
    let again = cosines(&sandbox, &["--text-model", "own"]);
    assert!(own.iter().all(|hit| again.contains(hit)));
    assert_eq!(cosines(&sandbox, &[]), again);
    assert_eq!(sandbox.status()["text_model"], Value::Null);
    label(&[]);
}

#[test]
fn what_cannot_read_texts_for_a_model_is_said() {
    let sandbox = Sandbox::indexed(&["cat"]);
    let (of_texts, clip) = (texts(), random_clip());
    for (args, code, words) in [
        (vec!["search", "Katze", "--text-model", &of_texts], 2, &["starter", "lengths"][..]),
        (vec!["search", "Katze", "--text-model", "starter"], 2, &["no texts for the pictures"]),
        (vec!["search", "Katze", "--text-model", &clip], 2, &["no texts for the pictures"]),
        (
            vec!["search", "Katze", "--text-model", "clip-multilingual"],
            3,
            &["not installed", "models pull clip-multilingual"],
        ),
        (vec!["embed", "--text", "Katze", "--model", &of_texts], 2, &["texts alone", "--text-model"]),
    ] {
        let output = sandbox.run(&args).exits(code);
        for word in words {
            assert!(output.stderr.contains(word), "{word}: {output}");
        }
    }
    // Nothing of that is remembered.
    sandbox.run(["search", "a cat"]).exits(0);

    let refused = |name: &str, change: &dyn Fn(&mut Files), words: &[&str]| {
        let mut files = files();
        change(&mut files);
        let folder = sandbox.path(name);
        put(&folder, &files);
        let args = ["embed", "--text", "x", "--model", &openclip(), "--text-model", folder.to_str().unwrap()];
        let output = sandbox.run(args);
        assert!(output.code() > 1, "{name}: {output}");
        for word in words {
            assert!(output.stderr.contains(word), "{name}: {word:?} is not in {output}");
        }
    };
    let set = |file: &'static str, key: &'static str, value: Value| {
        move |files: &mut Files| {
            let mut json: Value = serde_json::from_slice(&files[file]).unwrap();
            json[key] = value.clone();
            files.insert(file.into(), json.to_string().into_bytes());
        }
    };
    refused(
        "pooling",
        &set("1_Pooling/config.json", "pooling_mode_max_tokens", true.into()),
        &["1_Pooling", "pooling"],
    );
    let tanh = "torch.nn.modules.activation.Tanh";
    refused("tanh", &set("2_Dense/config.json", "activation_function", tanh.into()), &["2_Dense", "Tanh"]);
    refused("bias", &set("2_Dense/config.json", "bias", true.into()), &["2_Dense", "bias"]);
    refused("kind", &set("config.json", "model_type", "xlm-roberta".into()), &["xlm-roberta", "DistilBERT"]);
    refused("heads", &set("config.json", "n_heads", 5.into()), &["config.json", "heads"]);
    refused("size", &set("config.json", "dim", 40.into()), &["config.json", "36 numbers go in"]);
    refused("more", &set("config.json", "n_layers", 4.into()), &["transformer.layer.3"]);
    refused("weights", &|files| drop(files.remove("2_Dense/model.safetensors")), &["2_Dense", "holds no"]);
    refused(
        "pickle",
        &|files| {
            files.remove("2_Dense/model.safetensors");
            files.insert("2_Dense/pytorch_model.bin".into(), b"\x80\x02}q\x00.".to_vec());
        },
        &["2_Dense", "archive of PyTorch"],
    );
}

/// Some repositories have the projection only in an archive of PyTorch: its numbers are read, not its pickle.
#[test]
fn a_text_model_can_be_pulled_and_its_projection_may_be_an_archive() {
    let sandbox = Sandbox::new();
    let embed = |sandbox: &Sandbox, texts: &str| {
        let args = ["embed", "--text", "ein Hund", "--model", &openclip(), "--text-model", texts, "--json"];
        embedding(&sandbox.run(args).exits(0))
    };
    let expected = embed(&sandbox, &texts());
    let mut archived = files();
    let dense = archived.remove("2_Dense/model.safetensors").unwrap();
    let dense = safetensors::SafeTensors::deserialize(&dense).unwrap();
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in [
        ("archive/data.pkl", &b"\x80\x02cos\nsystem\nq\x00."[..]),
        ("archive/data/0", dense.tensor("linear.weight").unwrap().data()),
        ("archive/version", b"3\n"),
    ] {
        archive.start_file(name, options).unwrap();
        archive.write_all(content).unwrap();
    }
    archived.insert("2_Dense/pytorch_model.bin".into(), archive.finish().unwrap().into_inner());
    for files in [files(), archived] {
        let (sandbox, hub) = (Sandbox::new(), Hub::serving(files, Fault::Nothing));
        hub.pull(&sandbox).exits(0);
        assert_eq!(embed(&sandbox, NAME), expected);
        let again = hub.pull(&sandbox).exits(0);
        assert!(again.stderr.contains("undamaged"), "{again}");
        let listed = sandbox.run(["models", "list", "--json"]).exits(0).lines();
        assert!(listed.iter().any(|model| model["name"] == NAME && model["kind"] == "texts"), "{listed:?}");
        finish(sandbox.command(["models", "verify", NAME])).exits(0);
    }
}
