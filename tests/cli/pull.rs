//! `models pull` from a hub that can be slow, broken or wrong: in the end the model is installed completely or not at
//! all.

use crate::hub::{COMMIT, Fault, Hub, NAME, files_of, hex};
use crate::support::{Output, Sandbox, finish, random_blip2, random_clip, start};
use serde_json::{Value, json};
use sha2::Digest;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const WEIGHTS: &str = "model.safetensors";

fn hub_of_clip(fault: Fault) -> Hub {
    Hub::serving(files_of(random_clip()), fault)
}

/// Every file below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn cache(sandbox: &Sandbox) -> PathBuf {
    sandbox.path("home/huggingface")
}

fn installed(sandbox: &Sandbox) -> Vec<Value> {
    sandbox.run(["models", "list", "--json"]).exits(0).lines()
}

/// Checks that the pulled model equals the served folder, byte for byte and for every command.
#[track_caller]
fn works_offline(sandbox: &Sandbox) {
    let path = sandbox.run(["models", "path", NAME]).exits(0);
    let folder = PathBuf::from(path.text().trim_end());
    for file in ["config.json", "preprocessor_config.json", "tokenizer.json", WEIGHTS] {
        assert!(
            std::fs::read(folder.join(file)).unwrap() == std::fs::read(Path::new(&random_clip()).join(file)).unwrap()
        );
    }
    let embed = |model: &str| {
        sandbox
            .run(["embed", "--text", "a puppy", "--model", model, "--offline", "--json"])
            .exits(0)
            .line()["embedding"]
            .clone()
    };
    assert_eq!(embed(NAME), embed(&random_clip()));
}

#[test]
fn a_pulled_model_is_installed_and_works_offline() {
    let (sandbox, hub) = (Sandbox::with_photos(&["cat", "dog"]), hub_of_clip(Fault::Nothing));
    let missing = sandbox.run(["embed", "--text", "x", "--model", NAME]).exits(3);
    assert!(missing.stderr.contains(&format!("snapseek models pull {NAME}")), "{missing}");
    sandbox.run(["models", "path", NAME]).exits(3);
    sandbox.run(["models", "pull", NAME, "--yes"]).exits(3);
    assert!(hub.starts().is_empty() && files_below(&cache(&sandbox)).is_empty(), "offline is offline");

    let pulled = hub.pull(&sandbox).exits(0);
    assert!(pulled.stderr.contains("is installed in"), "{pulled}");
    assert_eq!(hub.starts(), [0]);
    works_offline(&sandbox);

    let models = installed(&sandbox);
    assert_eq!((models.len(), &models[0]["name"]), (2, &"starter".into()));
    let model = &models[1];
    assert_eq!((&model["name"], &model["revision"]), (&NAME.into(), &COMMIT.into()));
    let sizes = ["config.json", "preprocessor_config.json", "tokenizer.json", WEIGHTS];
    let sizes = sizes.map(|file| std::fs::metadata(Path::new(&random_clip()).join(file)).unwrap().len());
    assert_eq!(model["bytes"], sizes.iter().sum::<u64>());
    assert!(model["dim"].as_u64().unwrap() > 0 && model["licence"].is_string(), "{model}");

    // A second pull has nothing to download, and a library remembers the model by its name.
    hub.pull(&sandbox).exits(0);
    assert_eq!(hub.starts(), [0]);
    sandbox.run(["index", ".", "--model", NAME]).exits(0);
    assert_eq!(sandbox.status()["model"], NAME);
    assert_eq!(sandbox.run(["search", "a dog", "--all", "--json"]).lines().len(), 2);
}

#[test]
fn a_transfer_that_breaks_off_is_continued() {
    let (sandbox, hub) = (Sandbox::new(), hub_of_clip(Fault::Cut));
    hub.pull(&sandbox).exits(0);
    let starts = hub.starts();
    let half = hub.files()[WEIGHTS].len() / 2;
    assert!(
        starts.len() == 2 && starts[0] == 0 && (half / 2..=half).contains(&starts[1]),
        "{starts:?}, half is {half}"
    );
    works_offline(&sandbox);
}

#[test]
fn a_killed_pull_is_continued_by_the_next() {
    let (sandbox, hub) = (Sandbox::new(), hub_of_clip(Fault::Stall));
    let mut child = start(&mut hub.command(&sandbox, &["models", "pull", NAME, "--yes"]));
    let weights = &hub.files()[WEIGHTS];
    let half = weights.len() as u64 / 2;
    let part = format!("{}.part", hex(&sha2::Sha256::digest(weights)));
    let arrived = || {
        let part = files_below(&cache(&sandbox)).into_iter().find(|path| path.ends_with(&part));
        part.map_or(0, |path| path.metadata().unwrap().len())
    };
    let started = Instant::now();
    while arrived() < half {
        assert!(started.elapsed() < Duration::from_secs(60), "{} of {half} bytes arrived", arrived());
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    sandbox.run(["models", "path", NAME]).exits(3);
    assert_eq!(installed(&sandbox).len(), 1, "half a model is none");

    hub.pull(&sandbox).exits(0);
    let starts = hub.starts();
    assert!(starts.len() == 2 && starts[1] as u64 == half, "{starts:?}");
    works_offline(&sandbox);
}

#[test]
fn two_pulls_at_once_do_no_harm() {
    let (sandbox, hub) = (Sandbox::new(), hub_of_clip(Fault::Nothing));
    let pulls = [(); 2].map(|()| start(&mut hub.command(&sandbox, &["models", "pull", NAME, "--yes"])));
    for pull in pulls {
        Output::of(pull).exits(0);
    }
    works_offline(&sandbox);
    let leftovers =
        files_below(&cache(&sandbox)).into_iter().filter(|path| path.extension().is_some_and(|e| e == "part"));
    assert_eq!(leftovers.count(), 0);
}

#[test]
fn wrong_bytes_are_refused_and_not_kept() {
    for (fault, code) in [(Fault::WrongByte, 5), (Fault::Short, 5), (Fault::NotFound, 5)] {
        let (sandbox, hub) = (Sandbox::new(), hub_of_clip(fault));
        let refused = hub.pull(&sandbox).exits(code);
        assert!(refused.stderr.contains(NAME), "{refused}");
        if fault != Fault::NotFound {
            assert!(refused.stderr.contains(WEIGHTS) && refused.stderr.contains("checksum"), "{refused}");
        }
        let large = |path: &PathBuf| path.metadata().is_ok_and(|meta| meta.len() > 3_700_000);
        let kept: Vec<PathBuf> = files_below(&cache(&sandbox)).into_iter().filter(large).collect();
        assert!(kept.is_empty(), "{kept:?}");
        assert_eq!(installed(&sandbox).len(), 1);
        sandbox.run(["models", "path", NAME]).exits(3);
        sandbox.run(["embed", "--text", "x", "--model", NAME]).exits(3);
        // Once the hub works again, so does the pull.
        hub_of_clip(Fault::Nothing).pull(&sandbox).exits(0);
        works_offline(&sandbox);
    }
}

#[test]
fn only_names_that_can_be_models_reach_the_network() {
    let sandbox = Sandbox::new();
    let hub = hub_of_clip(Fault::Nothing);
    for name in ["../../etc", "acme/..", "acme/x/y", "no-such-name", "acme/a b"] {
        let output = finish(hub.command(&sandbox, &["models", "pull", name, "--yes"])).exits(3);
        assert!(output.stderr.contains("org/name"), "{output}");
    }
    assert!(files_below(&cache(&sandbox)).is_empty());
    assert!(sandbox.run(["models", "path", "starter"]).exits(3).stdout.is_empty());
}

/// The random BLIP-2 in two shards.
fn sharded_blip2() -> HashMap<String, Vec<u8>> {
    let mut files = files_of(random_blip2());
    let whole = files.remove(WEIGHTS).unwrap();
    let whole = safetensors::SafeTensors::deserialize(&whole).unwrap();
    let (mut shards, mut places) = ([Vec::new(), Vec::new()], serde_json::Map::new());
    for (n, (name, tensor)) in whole.tensors().into_iter().enumerate() {
        places.insert(name.clone(), format!("model-0000{}-of-00002.safetensors", n % 2 + 1).into());
        shards[n % 2].push((name, tensor));
    }
    for (n, tensors) in shards.into_iter().enumerate() {
        let bytes = safetensors::serialize(tensors, None).unwrap();
        files.insert(format!("model-0000{}-of-00002.safetensors", n + 1), bytes);
    }
    files.insert("model.safetensors.index.json".into(), json!({"weight_map": places}).to_string().into_bytes());
    files
}

#[test]
fn a_blip2_in_shards_is_pulled_and_captions_as_the_whole_one() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    let caption = |blip2: &str| {
        let args = ["caption", "cat.jpg", "--blip2", blip2, "--json"];
        sandbox.run(args).exits(0).line()["tokens"].clone()
    };
    sandbox.run(["caption", "cat.jpg", "--blip2", NAME]).exits(3);
    let hub = Hub::serving(sharded_blip2(), Fault::Cut);
    let pulled = hub.pull(&sandbox).exits(0);
    assert!(pulled.stderr.contains("1 MB") || pulled.stderr.contains("2 MB"), "the size is told first: {pulled}");
    assert_eq!(hub.starts().len(), 3, "the first shard went on where it broke off");
    assert_eq!(caption(NAME), caption(&random_blip2()));

    let models = installed(&sandbox);
    assert_eq!(
        (&models[1]["name"], &models[1]["kind"], &models[1]["dim"]),
        (&json!(NAME), &json!("blip2"), &json!(null))
    );
    let needed = |name: &String| {
        let small = ["config.json", "preprocessor_config.json", "tokenizer.json", "generation_config.json"];
        name.starts_with("model") || small.contains(&name.as_str())
    };
    let sizes = hub.files().iter().filter(|(name, _)| needed(name));
    assert_eq!(models[1]["bytes"], sizes.map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
    // It cannot embed, and the message says so.
    let refused = sandbox.run(["embed", "--text", "x", "--model", NAME]).exits(2);
    assert!(refused.stderr.contains("--captioner"), "{refused}");

    // A second pull verifies the checksums; damaged files are downloaded again.
    hub.pull(&sandbox).exits(0);
    assert_eq!(hub.starts().len(), 3);
    let shard = PathBuf::from(models[1]["path"].as_str().unwrap()).join("model-00002-of-00002.safetensors");
    let mut bytes = std::fs::read(&shard).unwrap();
    bytes[9_000] ^= 1;
    std::fs::write(shard.canonicalize().unwrap(), bytes).unwrap();
    assert!(hub.pull(&sandbox).exits(0).stderr.contains("model-00002-of-00002.safetensors"));
    assert_eq!(hub.starts().len(), 4);
    assert_eq!(caption(NAME), caption(&random_blip2()));
}

#[test]
fn shards_with_hostile_names_are_not_fetched() {
    for name in ["../../../../../evil.safetensors", "/evil.safetensors", "a/evil.safetensors", "evil.bin"] {
        let sandbox = Sandbox::new();
        let mut files = sharded_blip2();
        let index = json!({"weight_map": {"a": name}}).to_string();
        files.insert("model.safetensors.index.json".into(), index.into_bytes());
        files.insert("evil.safetensors".into(), vec![0; 1000]);
        files.insert("evil.bin".into(), vec![0; 1000]);
        let hub = Hub::serving(files, Fault::Nothing);
        let refused = hub.pull(&sandbox).exits(5);
        assert!(refused.stderr.contains("model.safetensors.index.json"), "{refused}");
        assert!(hub.starts().is_empty(), "{name}");
        assert!(files_below(&sandbox.path("")).iter().all(|path| !path.to_string_lossy().contains("evil")));
        assert_eq!(installed(&sandbox).len(), 1);
    }
}

#[test]
fn a_blip2_in_one_piece_without_its_optional_file_is_pulled() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    let mut files = files_of(random_blip2());
    files.remove("generation_config.json");
    let hub = Hub::serving(files, Fault::Nothing);
    hub.pull(&sandbox).exits(0);
    assert_eq!(hub.starts(), [0]);
    sandbox.run(["caption", "cat.jpg", "--blip2", NAME]).exits(0);
    // The quantized form keeps the model's name, and works even when the model itself is gone.
    sandbox.run(["models", "quantize", NAME]).exits(0);
    let listed = installed(&sandbox);
    let forms: Vec<_> = listed.iter().map(|model| (&model["name"], &model["precision"], &model["revision"])).collect();
    assert_eq!(
        forms[1..],
        [(&json!(NAME), &json!("full"), &json!(COMMIT)), (&json!(NAME), &json!("q4"), &json!(COMMIT))]
    );
    std::fs::remove_dir_all(cache(&sandbox)).unwrap();
    sandbox.run(["caption", "cat.jpg", "--blip2", NAME]).exits(0);
    sandbox.run(["caption", "cat.jpg", "--blip2", NAME, "--precision", "full"]).exits(3);
}
