//! Models in every layout that their files are met in give the same embeddings; what cannot be used is said by name,
//! and before anything large is downloaded.

use crate::hub::{Fault, Hub, NAME, files_of};
use crate::support::{Sandbox, finish, fixture, random_blip2, random_clip};
use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

const WEIGHTS: &str = "model.safetensors";

type Files = HashMap<String, Vec<u8>>;

/// The files of the random CLIP.
fn clip() -> Files {
    let mut files = files_of(random_clip());
    files.retain(|name, _| !name.starts_with("expected"));
    files
}

fn put(folder: &Path, files: &Files) {
    for (name, content) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// Changes a JSON file.
fn edit(files: &mut Files, name: &str, change: impl FnOnce(&mut Value)) {
    let mut json: Value = serde_json::from_slice(&files[name]).unwrap();
    change(&mut json);
    files.insert(name.into(), json.to_string().into_bytes());
}

/// The embeddings of a text and a picture.
fn embed(sandbox: &Sandbox, model: &str) -> Vec<Vec<f64>> {
    let picture = fixture("reference/pictures/l-portrait.bmp");
    let picture = picture.to_str().unwrap();
    let output =
        sandbox.run(["embed", "--text", "A puppy, it's 3 years!", "--image", picture, "--model", model, "--json"]);
    let of = |line: &Value| line["embedding"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    output.exits(0).lines().iter().map(of).collect()
}

/// The weights with every tensor in another type.
fn weights_as(dtype: Dtype, convert: impl Fn(f32) -> Vec<u8>) -> Vec<u8> {
    let file = fs::read(Path::new(&random_clip()).join(WEIGHTS)).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let all: BTreeMap<String, (Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let numbers = tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
            (name.to_owned(), (tensor.shape().to_vec(), numbers.flat_map(&convert).collect()))
        })
        .collect();
    let views = all.iter().map(|(name, (shape, data))| (name, TensorView::new(dtype, shape.clone(), data).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

/// The weights in shards, and their index.
fn sharded() -> Files {
    let file = fs::read(Path::new(&random_clip()).join(WEIGHTS)).unwrap();
    let tensors = SafeTensors::deserialize(&file).unwrap();
    let shard = |n: usize| format!("model-0000{}-of-00003.safetensors", n % 3 + 1);
    let mut map = serde_json::Map::new();
    let mut files = Files::new();
    for n in 0..3 {
        let of_shard = tensors.iter().enumerate().filter(|(at, _)| at % 3 == n).map(|(_, tensor)| tensor);
        let of_shard: Vec<_> = of_shard.collect();
        map.extend(of_shard.iter().map(|(name, _)| ((*name).to_owned(), shard(n).into())));
        files.insert(shard(n), safetensors::serialize(of_shard, None).unwrap());
    }
    let index = json!({"metadata": {"total_size": file.len()}, "weight_map": map});
    files.insert(format!("{WEIGHTS}.index.json"), index.to_string().into_bytes());
    files
}

/// The files as sentence-transformers writes them, with the vocabulary and the merges instead of tokenizer.json.
fn of_sentence_transformers() -> Files {
    let mut files = clip();
    let tokenizer: Value = serde_json::from_slice(&files.remove("tokenizer.json").unwrap()).unwrap();
    let merges = tokenizer["model"]["merges"].as_array().unwrap().iter();
    let merges: Vec<String> = merges
        .map(|merge| match merge {
            Value::String(merge) => merge.clone(),
            pair => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
        })
        .collect();
    files.insert("vocab.json".into(), tokenizer["model"]["vocab"].to_string().into_bytes());
    files.insert("merges.txt".into(), format!("#version: 0.2\n{}\n", merges.join("\n")).into_bytes());
    let mut all: Files = files.into_iter().map(|(name, content)| (format!("0_CLIPModel/{name}"), content)).collect();
    let modules =
        json!([{"idx": 0, "name": "0", "path": "0_CLIPModel", "type": "sentence_transformers.models.CLIPModel"}]);
    all.insert("modules.json".into(), modules.to_string().into_bytes());
    all
}

/// A model's files as `transformers` 5 saves its processor.
fn of_transformers_5(mut files: Files) -> Files {
    let inner: Value = serde_json::from_slice(&files.remove("preprocessor_config.json").unwrap()).unwrap();
    let outer = json!({"image_processor": inner, "processor_class": "CLIPProcessor"});
    files.insert("processor_config.json".into(), outer.to_string().into_bytes());
    files
}

#[test]
fn every_layout_of_the_same_model_gives_the_same_embeddings() {
    let sandbox = Sandbox::new();
    let expected = embed(&sandbox, &random_clip());
    let edited = |change: &dyn Fn(&mut Value)| {
        let mut files = clip();
        edit(&mut files, "config.json", change);
        files
    };
    let mut in_shards = clip();
    in_shards.remove(WEIGHTS);
    in_shards.extend(sharded());
    let with_weights = |weights: Vec<u8>| {
        Files::from([(WEIGHTS.to_owned(), weights)])
            .into_iter()
            .chain(clip().into_iter().filter(|(name, _)| name != WEIGHTS))
            .collect::<Files>()
    };
    let end = serde_json::from_slice::<Value>(&clip()["config.json"]).unwrap()["text_config"]["eos_token_id"].clone();
    for (name, files, near) in [
        ("shards", in_shards, 0.0),
        ("st", of_sentence_transformers(), 0.0),
        ("v5", of_transformers_5(clip()), 0.0),
        ("no-end", edited(&|config| config["text_config"]["eos_token_id"] = Value::Null), 0.0),
        ("ends", edited(&|config| config["text_config"]["eos_token_id"] = json!([end])), 0.0),
        ("f64", with_weights(weights_as(Dtype::F64, |v| f64::from(v).to_le_bytes().to_vec())), 0.0),
        ("f16", with_weights(weights_as(Dtype::F16, |v| f16::from_f32(v).to_le_bytes().to_vec())), 2e-2),
        ("bf16", with_weights(weights_as(Dtype::BF16, |v| bf16::from_f32(v).to_le_bytes().to_vec())), 1e-1),
    ] {
        let folder = sandbox.path(name);
        put(&folder, &files);
        let found = embed(&sandbox, folder.to_str().unwrap());
        let furthest = found.iter().flatten().zip(expected.iter().flatten()).map(|(a, b)| (a - b).abs());
        let furthest = furthest.fold(0.0, f64::max);
        assert!(furthest <= near, "{name}: {furthest}");
    }
}

#[test]
fn what_orders_or_files_cannot_be_obeyed_is_said_by_name() {
    let sandbox = Sandbox::new();
    let refused = |name: &str, files: &Files, words: &[&str]| {
        let folder = sandbox.path(name);
        put(&folder, files);
        let output = sandbox.run(["embed", "--text", "x", "--model", folder.to_str().unwrap()]);
        assert!(output.code() > 1, "{name}: {output}");
        for word in words {
            assert!(output.stderr.contains(word), "{name}: {word:?} is not in {output}");
        }
    };
    for (n, (order, word)) in [
        (json!({"do_resize": false}), "do_resize"),
        (json!({"do_pad": true}), "do_pad"),
        (json!({"size": {"longest_edge": 224}}), "longest_edge"),
        (json!({"do_center_crop": false}), "shortest_edge"),
        (json!({"resample": 0}), "filter 0"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut files = clip();
        edit(&mut files, "preprocessor_config.json", |file| {
            file.as_object_mut().unwrap().extend(order.as_object().unwrap().clone());
        });
        refused(&format!("order-{n}"), &files, &[word, "preprocessor_config.json"]);
    }
    for (n, (file, order, word)) in [
        ("config.json", json!({"vision_config": {"image_size": 8192, "patch_size": 1}}), "patches"),
        ("config.json", json!({"text_config": {"max_position_embeddings": 60000}}), "60000 tokens"),
        ("preprocessor_config.json", json!({"image_processor_type": "ViTImageProcessor"}), "ViTImageProcessor"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut files = clip();
        edit(&mut files, file, |json| json.as_object_mut().unwrap().extend(order.as_object().unwrap().clone()));
        refused(&format!("large-{n}"), &files, &[word, file]);
    }
    for (kind, words) in [
        ("jina_clip", &["jina_clip", "supported are"][..]),
        ("t5", &["\"t5\"", "supported are"]),
        ("siglip2", &["NaFlex"]),
        ("", &["supported are"]),
    ] {
        let mut files = clip();
        edit(&mut files, "config.json", |file| file["model_type"] = kind.into());
        refused(&format!("kind-{kind}"), &files, words);
    }
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:99d2\nsize 605157884\n".to_vec();
    refused(
        "pointer",
        &clip().into_iter().chain([(WEIGHTS.to_owned(), pointer)]).collect(),
        &["git lfs pull", WEIGHTS],
    );
    let mut pickle = clip();
    let weights = pickle.remove(WEIGHTS).unwrap();
    pickle.insert("pytorch_model.bin".into(), weights);
    refused("pickle", &pickle, &["pytorch_model.bin", "pickle", "@REVISION"]);
    for missing in ["config.json", "tokenizer.json", "preprocessor_config.json", WEIGHTS] {
        let mut files = clip();
        files.remove(missing);
        refused(&format!("no-{missing}"), &files, &[missing, "holds no"]);
    }
    let text_only = json!([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]);
    refused("text-only", &Files::from([("modules.json".into(), text_only.to_string().into_bytes())]), &["texts alone"]);
    let timm =
        json!({"model_cfg": {"embed_dim": 8, "vision_cfg": {"timm_model_name": "vit_base_mci_224"}, "text_cfg": {}}});
    refused(
        "timm",
        &Files::from([("open_clip_config.json".into(), timm.to_string().into_bytes())]),
        &["vit_base_mci_224", "supported are"],
    );
}

/// As today's `transformers` leaves a cache: the weights are those of another revision than all else.
#[test]
fn files_are_taken_from_the_snapshot_that_has_them() {
    let sandbox = Sandbox::new();
    let hub = sandbox.path("home/huggingface/hub");
    let model = hub.join("models--acme--tiny");
    let (mut small, main, converted) =
        (clip(), "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268", "c237dc49a33fc61debc9276459120b7eac67e7ef");
    let weights = small.remove(WEIGHTS).unwrap();
    put(&model.join("snapshots").join(main), &small);
    put(&model.join("snapshots").join(converted), &Files::from([(WEIGHTS.to_owned(), weights)]));
    put(&model.join("refs"), &Files::from([("main".into(), main.into()), ("pr/66".into(), converted.into())]));
    let expected = embed(&sandbox, &random_clip());
    assert_eq!(embed(&sandbox, NAME), expected);
    assert_eq!(embed(&sandbox, &format!("{NAME}@{converted}")), expected);
    assert_eq!(embed(&sandbox, &format!("{NAME}@pr/66")), expected);
    let listed = sandbox.run(["models", "list", "--json"]).exits(0).lines();
    assert!(listed.iter().any(|model| model["name"] == NAME && model["kind"] == "clip"), "{listed:?}");
    // A revision that is not there.
    sandbox.run(["embed", "--text", "x", "--model", &format!("{NAME}@v2")]).exits(3);
    // In each place that the Python library knows.
    let other = sandbox.path("home/elsewhere");
    fs::rename(&hub, &other).unwrap();
    for (variable, value) in [("HUGGINGFACE_HUB_CACHE", other.to_str().unwrap()), ("HF_HUB_CACHE", "~/elsewhere")] {
        let mut command = sandbox.command(["embed", "--text", "x", "--model", NAME]);
        command.env_remove("HF_HOME").env(variable, value);
        finish(command).exits(0);
    }
    let mut command = sandbox.command(["embed", "--text", "x", "--model", NAME]);
    fs::create_dir(sandbox.path("home/models")).unwrap();
    fs::rename(&other, sandbox.path("home/models/hub")).unwrap();
    command.env("HF_HOME", "~/models");
    finish(command).exits(0);
    // A repository whose main branch has pickles alone, and a revision that is known to have safetensors.
    let pickled = sandbox.path("home/models/hub/models--openai--clip-vit-base-patch16/snapshots/abc");
    put(
        &pickled,
        &Files::from([("config.json".into(), small["config.json"].clone()), ("pytorch_model.bin".into(), vec![0])]),
    );
    let mut command = sandbox.command(["embed", "--text", "x", "--model", "openai/clip-vit-base-patch16"]);
    command.env("HF_HOME", "~/models");
    let output = finish(command).exits(3);
    assert!(
        output.stderr.contains("pickle") && output.stderr.contains("models pull openai/clip-vit-base-patch16"),
        "{output}"
    );
    // What is missing is named.
    fs::remove_dir_all(sandbox.path("home/models/hub/models--acme--tiny/snapshots").join(converted)).unwrap();
    fs::create_dir_all(sandbox.path("home/models/hub/models--acme--tiny/blobs")).unwrap();
    fs::write(sandbox.path("home/models/hub/models--acme--tiny/blobs/99.incomplete"), "half").unwrap();
    let mut command = sandbox.command(["embed", "--text", "x", "--model", NAME]);
    command.env("HF_HOME", "~/models");
    let output = finish(command).exits(3);
    for word in [WEIGHTS, "not complete", "interrupted", "models pull acme/tiny"] {
        assert!(output.stderr.contains(word), "{word}: {output}");
    }
}

#[test]
fn every_layout_can_be_pulled() {
    let sandbox = Sandbox::new();
    let expected = embed(&sandbox, &random_clip());
    let mut in_shards = clip();
    in_shards.remove(WEIGHTS);
    in_shards.extend(sharded());
    for files in [in_shards, of_sentence_transformers(), of_transformers_5(clip())] {
        let hub = Hub::serving(files, Fault::Nothing);
        let sandbox = Sandbox::new();
        hub.pull(&sandbox).exits(0);
        assert_eq!(embed(&sandbox, NAME), expected);
        let again = hub.pull(&sandbox).exits(0);
        assert!(again.stderr.contains("undamaged"), "{again}");
    }
    let families = fixture("reference/families");
    let kinds = [
        ("siglip", "siglip"),
        ("siglip2", "siglip"),
        ("openclip", "openclip"),
        ("mobileclip", "mobileclip"),
        ("chinese-clip", "chineseclip"),
    ];
    for (family, kind) in kinds {
        let sandbox = Sandbox::new();
        let mut files = files_of(families.join(family));
        files.retain(|name, _| !name.starts_with("expected"));
        Hub::serving(files, Fault::Nothing).pull(&sandbox).exits(0);
        assert_eq!(embed(&sandbox, NAME), embed(&sandbox, families.join(family).to_str().unwrap()), "{family}");
        let listed = sandbox.run(["models", "list", "--json"]).exits(0).lines();
        assert!(listed.iter().any(|model| model["name"] == NAME && model["kind"] == kind), "{listed:?}");
    }
}

/// A branch is found again by its name.
#[test]
fn a_revision_that_was_pulled_is_used() {
    let (sandbox, hub) = (Sandbox::new(), Hub::serving(clip(), Fault::Nothing));
    for revision in ["v2", "refs/pr/17", "main"] {
        let name = format!("{NAME}@{revision}");
        finish(hub.command(&sandbox, &["models", "pull", &name, "--yes"])).exits(0);
        assert_eq!(embed(&sandbox, &name), embed(&sandbox, &random_clip()), "{revision}");
    }
}

/// Some repositories describe their picture tower for another library beside the whole model for OpenCLIP, and settings
/// that say the default change nothing.
#[test]
fn a_model_that_is_described_twice_is_read_as_the_one_that_is_supported() {
    let sandbox = Sandbox::new();
    let openclip = fixture("reference/families/openclip");
    let mut files = files_of(&openclip);
    files.insert("config.json".into(), json!({"architecture": "vit_base_patch32_clip_224"}).to_string().into_bytes());
    files.insert(WEIGHTS.into(), vec![0; 64]);
    edit(&mut files, "open_clip_config.json", |file| {
        file["model_cfg"]["text_cfg"]["pool_type"] = "argmax".into();
        file["model_cfg"]["text_cfg"]["pad_id"] = 0.into();
        file["model_cfg"]["vision_cfg"]["act_kwargs"] = json!({});
        file["preprocess_cfg"]["mode"] = "RGB".into();
        file["preprocess_cfg"]["fill_color"] = 0.into();
    });
    let folder = sandbox.path("twice");
    put(&folder, &files);
    assert_eq!(embed(&sandbox, folder.to_str().unwrap()), embed(&sandbox, openclip.to_str().unwrap()));
    let hub = Hub::serving(files, Fault::Nothing);
    hub.pull(&sandbox).exits(0);
    assert_eq!(embed(&sandbox, NAME), embed(&sandbox, openclip.to_str().unwrap()));
}

#[test]
fn nothing_large_is_fetched_of_a_model_that_is_not_supported() {
    let of_kind = |kind: &str| {
        let mut files = clip();
        edit(&mut files, "config.json", |file| file["model_type"] = kind.into());
        files
    };
    let mut llama = files_of(random_blip2());
    edit(&mut llama, "config.json", |file| file["text_config"]["model_type"] = "llama".into());
    let mut ungated = files_of(fixture("reference/blip2-t5"));
    edit(&mut ungated, "config.json", |file| file["text_config"]["is_gated_act"] = false.into());
    let mut pickle = clip();
    let weights = pickle.remove(WEIGHTS).unwrap();
    pickle.insert("pytorch_model.bin".into(), weights);
    for (files, word) in [
        (of_kind("jina_clip"), "jina_clip"),
        (of_kind("siglip2"), "NaFlex"),
        (llama, "\"llama\""),
        (ungated, "without a gate"),
        (pickle, "pickle"),
        (Files::from([("README.md".into(), b"nothing".to_vec())]), "config.json"),
    ] {
        let (sandbox, hub) = (Sandbox::new(), Hub::serving(files, Fault::Nothing));
        let output = hub.pull(&sandbox);
        assert!(output.code() > 1 && output.stderr.contains(word), "{word}: {output}");
        assert!(hub.starts().is_empty(), "{word}");
    }
}

#[test]
fn models_that_can_be_downloaded_are_listed_with_what_they_need() {
    let sandbox = Sandbox::new();
    let listed = sandbox.run(["models", "list", "--available", "--json"]).exits(0).lines();
    let names: Vec<&str> = listed.iter().map(|model| model["name"].as_str().unwrap()).collect();
    assert_eq!(names[..4], ["clip", "openclip-b32", "siglip2-b32-256", "siglip2-b16"]);
    for model in listed.iter().filter(|model| model["for"] == "search") {
        assert!(model["seconds_per_photo"].as_f64().unwrap() > 0.0 && model["installed"] == false, "{model}");
        // Of one, no revision is known that others use.
        let revision = model["revision"].as_str().unwrap();
        assert!(revision.len() == 40 || (revision, &model["name"]) == ("main", &"mobileclip2-s2".into()), "{model}");
        let missing = sandbox.run(["embed", "--text", "x", "--model", model["name"].as_str().unwrap()]).exits(3);
        assert!(missing.stderr.contains("models pull"), "{missing}");
    }
    let table = sandbox.run(["models", "list", "--available"]).exits(0).text();
    assert!(table.contains("siglip2-so400m") && table.contains("73.2 %") && table.contains("Apache-2.0"), "{table}");
}

#[test]
fn files_are_compared_with_what_is_known_of_them() {
    let sandbox = Sandbox::new();
    let hub = Hub::serving(clip(), Fault::Nothing);
    hub.pull(&sandbox).exits(0);
    let verdicts = |name: &str, code: i32| -> BTreeMap<String, String> {
        let lines = sandbox.run(["models", "verify", name, "--files-only", "--json"]).exits(code).lines();
        lines
            .iter()
            .map(|line| (line["file"].as_str().unwrap().into(), line["verdict"].as_str().unwrap().into()))
            .collect()
    };
    let sound = verdicts(NAME, 0);
    assert!(sound.len() == 4 && sound.values().all(|verdict| verdict == "downloaded"), "{sound:?}");
    assert!(sandbox.run(["models", "verify"]).exits(0).text().contains("as it was downloaded"));
    let folder = sandbox.run(["models", "path", NAME]).exits(0).text();
    let weights = fs::canonicalize(Path::new(folder.trim_end()).join(WEIGHTS)).unwrap();
    let mut bytes = fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&weights, bytes).unwrap();
    assert_eq!(verdicts(NAME, 4)[WEIGHTS], "differs");
    sandbox.run(["models", "verify", "no/such"]).exits(3);
    // Files whose checksums are published must be those; others of which nothing is known are said to be unknown.
    let published = sandbox.path(
        "home/huggingface/hub/models--openai--clip-vit-base-patch32/snapshots/c237dc49a33fc61debc9276459120b7eac67e7ef",
    );
    put(&published, &clip());
    let found = verdicts("clip", 4);
    assert_eq!((found[WEIGHTS].as_str(), found["config.json"].as_str()), ("differs", "unknown"));
}

#[test]
fn a_blip2_of_transformers_5_captions_as_an_older_one() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    let mut files = files_of(random_blip2());
    files.retain(|name, _| !name.starts_with("expected"));
    let folder = sandbox.path("blip2");
    put(&folder, &of_transformers_5(files));
    let caption = |model: &str, precision: &str| {
        let args =
            ["caption", "cat.jpg", "--blip2", model, "--precision", precision, "--max-new-tokens", "5", "--json"];
        sandbox.run(args).exits(0).line()["caption"].clone()
    };
    let folder = folder.to_str().unwrap();
    assert_eq!(caption(folder, "full"), caption(&random_blip2(), "full"));
    for model in [folder, &random_blip2()] {
        sandbox.run(["models", "quantize", model, "--bits", "8"]).exits(0);
    }
    assert_eq!(caption(folder, "q8"), caption(&random_blip2(), "q8"));
}

/// Of those that are installed, `auto` takes the one that finds most.
#[test]
fn the_best_installed_model_is_taken() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    let siglip = sandbox.path("home/huggingface/hub/models--google--siglip2-base-patch32-256/snapshots/abc");
    put(&sandbox.path("home/huggingface/hub/models--openai--clip-vit-base-patch32/snapshots/abc"), &clip());
    sandbox.index().exits(0);
    assert_eq!(sandbox.status()["model"], "clip");
    put(&siglip, &files_of(fixture("reference/families/siglip2")));
    // A library keeps its own.
    sandbox.index().exits(0);
    assert_eq!(sandbox.status()["model"], "clip");
    fs::remove_dir_all(sandbox.library()).unwrap();
    sandbox.index().exits(0);
    assert_eq!(sandbox.status()["model"], "google/siglip2-base-patch32-256");
    let scores = sandbox.run(["score", "cat.jpg", "--text", "a cat", "--text", "a dog", "--json"]).exits(0).line();
    let probabilities: Vec<f64> =
        scores["scores"].as_array().unwrap().iter().map(|score| score["probability"].as_f64().unwrap()).collect();
    for (score, probability) in scores["scores"].as_array().unwrap().iter().zip(&probabilities) {
        let sigmoid = 1.0 / (1.0 + (-score["logit"].as_f64().unwrap()).exp());
        assert!((probability - sigmoid).abs() < 1e-5, "{scores}");
    }
}
