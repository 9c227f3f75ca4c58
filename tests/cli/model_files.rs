//! Damaged files of models: each refusal names the file, and none is an answer.

use crate::support::{Output, Sandbox, fixture, random_blip2, random_clip};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// A copy of a model's folder, so that it can be damaged.
fn copy(sandbox: &Sandbox, model: &str) -> PathBuf {
    let folder = sandbox.path("a model");
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir(model).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    folder
}

/// How a damaged file must be refused.
#[derive(Clone, Copy, PartialEq)]
enum Refusal {
    /// By every command.
    Always,
    /// By every command, and the message may name another file of the model with which it does not fit.
    OfTheModel,
    /// Perhaps: what was changed may not matter.
    Perhaps,
}

type Case = (String, Vec<u8>, Refusal);

/// Every place in a JSON value but the root, as a JSON pointer, down to a depth of three.
fn places(value: &Value, at: &str, depth: usize, found: &mut Vec<String>) {
    if let Value::Object(map) = value {
        for (key, value) in map {
            let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
            found.push(at.clone());
            if depth > 1 && map.len() < 100 {
                places(value, &at, depth - 1, found);
            }
        }
    }
}

fn damaged_json(sound: &[u8]) -> Vec<Case> {
    let always = |what: &str, bytes: &[u8]| (what.to_owned(), bytes.to_vec(), Refusal::Always);
    let mut cases = vec![
        always("empty", b""),
        always("no JSON", b"\x89PNG\r\n"),
        always("a list", b"[]"),
        always("nothing in it", b"{}"),
        always("a page of a proxy", b"<html>please log in</html>"),
        always("half of it", &sound[..sound.len() / 2]),
        always("zeros", &vec![0; sound.len()]),
    ];
    let value: Value = serde_json::from_slice(sound).unwrap();
    let mut found = Vec::new();
    places(&value, "", 2, &mut found);
    for at in found {
        for new in [json!("x"), json!(-7), json!({"a": 1}), json!(1e300)] {
            let mut changed = value.clone();
            *changed.pointer_mut(&at).unwrap() = new.clone();
            cases.push((format!("{at} is {new}"), changed.to_string().into_bytes(), Refusal::Perhaps));
        }
        let mut less = value.clone();
        let (above, key) = at.rsplit_once('/').unwrap();
        less.pointer_mut(above).unwrap().as_object_mut().unwrap().remove(&key.replace("~1", "/")).unwrap();
        cases.push((format!("no {at}"), less.to_string().into_bytes(), Refusal::Perhaps));
    }
    cases
}

/// The header of a safetensors file changed, and its length corrected.
fn with_header(sound: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let length = u64::from_le_bytes(*sound.first_chunk().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&sound[8..8 + length]).unwrap();
    change(&mut header);
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &sound[8 + length..]].concat()
}

fn damaged_safetensors(sound: &[u8], needed: &[&str]) -> Vec<Case> {
    let length = u64::from_le_bytes(*sound.first_chunk().unwrap()) as usize;
    let data = 8 + length;
    let always = |what: &str, bytes: Vec<u8>| (what.to_owned(), bytes, Refusal::Always);
    let mut cases = vec![
        always("empty", Vec::new()),
        always("a pickle", b"\x80\x02}q\x00.".to_vec()),
        always("a longer header than the file", [&u64::MAX.to_le_bytes()[..], &sound[8..]].concat()),
        always("a header that is no JSON", [&sound[..8], &vec![b'x'; length], &sound[data..]].concat()),
        always("grown", [sound, b"more"].concat()),
        always("all zero", vec![0; sound.len()]),
        always("zero weights", [&sound[..data], &vec![0; sound.len() - data]].concat()),
        always("weights of NaN", [&sound[..data], &vec![0xff; sound.len() - data]].concat()),
        always("without metadata", with_header(sound, |header| *header = json!({}))),
    ];
    for keep in [1, 7, 8, 9, data / 2, data - 1, data, data + 1, (sound.len() + data) / 2, sound.len() - 1] {
        cases.push(always(&format!("cut to {keep} bytes"), sound[..keep].to_vec()));
    }
    for name in needed {
        cases.push(always(
            &format!("{name} has another name"),
            with_header(sound, |header| {
                let tensor = header.as_object_mut().unwrap().remove(*name).unwrap();
                header["renamed"] = tensor;
            }),
        ));
        cases.push(always(
            &format!("{name} has another shape"),
            with_header(sound, |header| {
                let shape = header[name]["shape"].as_array_mut().unwrap();
                shape.push(json!(1));
            }),
        ));
        for dtype in ["I32", "U32", "I8", "F8_E4M3", "nonsense"] {
            let bytes = with_header(sound, |header| header[name]["dtype"] = json!(dtype));
            cases.push(always(&format!("{name} has the type {dtype}"), bytes));
        }
        cases.push(always(
            &format!("{name} is elsewhere"),
            with_header(sound, |header| header[name]["data_offsets"] = json!([0, 4])),
        ));
    }
    cases
}

/// Runs commands on a model with each of these damages to a file. What is refused must name it.
fn refused(folder: &Path, name: &str, cases: Vec<Case>, commands: &dyn Fn() -> Vec<Output>) {
    let file = folder.join(name);
    let sound = fs::read(&file).unwrap();
    let count = cases.len();
    let mut refusals = 0;
    for (what, bytes, refusal) in cases {
        fs::write(&file, bytes).unwrap();
        for output in commands() {
            assert!(!output.stderr.contains("panicked") && output.code() < 128, "{name}: {what}: {output}");
            assert!(refusal == Refusal::Perhaps || output.code() > 1, "{name}: {what} is not refused: {output}");
            if output.code() > 1 {
                refusals += 1;
                let named = if refusal == Refusal::Always { &file } else { folder };
                assert!(output.stderr.contains(named.to_str().unwrap()), "{name}: {what} is not named: {output}");
            }
        }
    }
    fs::remove_file(&file).unwrap();
    for output in commands() {
        assert!(output.code() > 1 && output.stderr.contains(name), "no {name}: {output}");
    }
    fs::write(&file, sound).unwrap();
    commands().into_iter().for_each(|output| drop(output.exits(0)));
    assert!(refusals >= count / 4, "{name}: {refusals} refusals of {count} damages");
}

#[test]
fn a_damaged_file_of_clip_is_named() {
    let sandbox = Sandbox::new();
    let folder = copy(&sandbox, &random_clip());
    let model = folder.to_str().unwrap().to_owned();
    let picture = fixture("reference/pictures/l-portrait.bmp");
    let text = || sandbox.run(["embed", "--model", &model, "--text", "a dog"]);
    let image = || sandbox.run(["embed", "--model", &model, "--image", picture.to_str().unwrap()]);
    let sound = |name: &str| fs::read(folder.join(name)).unwrap();
    for name in ["config.json", "preprocessor_config.json"] {
        // What does not fit is found by the weights.
        let mut cases = damaged_json(&sound(name));
        cases.iter_mut().filter(|case| case.0 == "nothing in it").for_each(|case| case.2 = Refusal::OfTheModel);
        refused(&folder, name, cases, &|| vec![image()]);
    }
    refused(&folder, "tokenizer.json", damaged_json(&sound("tokenizer.json")), &|| vec![text()]);
    let vision = ["visual_projection.weight", "vision_model.embeddings.class_embedding"];
    refused(&folder, "model.safetensors", damaged_safetensors(&sound("model.safetensors"), &vision), &|| vec![image()]);
    let words = ["text_projection.weight", "text_model.embeddings.token_embedding.weight"];
    refused(&folder, "model.safetensors", damaged_safetensors(&sound("model.safetensors"), &words), &|| vec![text()]);
    // No command takes such a vector for an answer.
    let weights = sound("model.safetensors");
    let data = 8 + u64::from_le_bytes(*weights.first_chunk().unwrap()) as usize;
    fs::copy(&picture, sandbox.photo("portrait.bmp")).unwrap();
    sandbox.run(["index", ".", "--model", &model]).exits(0);
    for byte in [0, 0xff] {
        let file = folder.join("model.safetensors");
        fs::write(&file, [&weights[..data], &vec![byte; weights.len() - data]].concat()).unwrap();
        let other = sandbox.path(format!("another-{byte}"));
        let commands: [&[&str]; 5] = [
            &["--library", other.to_str().unwrap(), "index", "."],
            &["score", "portrait.bmp", "--text", "a dog"],
            &["classify", "portrait.bmp", "--labels", "dog,cat"],
            &["embed", "--text", "a dog"],
            &["embed", "--image", "portrait.bmp"],
        ];
        for args in commands {
            let output = sandbox.run(args.iter().copied().chain(["--model", &model]));
            assert!(output.code() > 1, "{args:?} with {byte}: {output}");
            assert!(output.stderr.contains(file.to_str().unwrap()), "{args:?} with {byte}: {output}");
        }
    }
}

#[test]
fn a_damaged_file_of_blip2_is_named() {
    let sandbox = Sandbox::new();
    let folder = copy(&sandbox, &random_blip2());
    let model = folder.to_str().unwrap().to_owned();
    let picture = fixture("reference/pictures/i-one-pixel.png");
    let picture = picture.to_str().unwrap();
    let caption = || vec![sandbox.run(["caption", "--blip2", &model, picture])];
    let ask = || vec![sandbox.run(["ask", "--blip2", &model, picture, "what is it?"])];
    let sound = |name: &str| fs::read(folder.join(name)).unwrap();
    for name in ["config.json", "preprocessor_config.json", "tokenizer.json"] {
        let mut cases = damaged_json(&sound(name));
        cases.iter_mut().filter(|case| name == "config.json" && case.2 == Refusal::Always).for_each(|case| {
            // The command says that this is no BLIP-2, and names the folder.
            case.2 = Refusal::OfTheModel;
        });
        cases.iter_mut().filter(|case| case.0 == "nothing in it").for_each(|case| case.2 = Refusal::OfTheModel);
        refused(&folder, name, cases, &caption);
    }
    let needed = ["query_tokens", "language_model.model.decoder.embed_tokens.weight", "language_projection.weight"];
    refused(&folder, "model.safetensors", damaged_safetensors(&sound("model.safetensors"), &needed), &ask);
    // Only the language model is zero.
    let weights = sound("model.safetensors");
    let data = 8 + u64::from_le_bytes(*weights.first_chunk().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&weights[8..data]).unwrap();
    for byte in [0, 0xff] {
        let mut changed = weights.clone();
        for (name, tensor) in header.as_object().unwrap().iter().filter(|(name, _)| name.starts_with("language_model"))
        {
            let [start, end] = [0, 1].map(|n| tensor["data_offsets"][n].as_u64().unwrap() as usize + data);
            assert!(!name.is_empty() && end <= changed.len());
            changed[start..end].fill(byte);
        }
        let file = folder.join("model.safetensors");
        fs::write(&file, changed).unwrap();
        for output in caption().into_iter().chain(ask()) {
            assert!(output.code() > 1 && output.stderr.contains(file.to_str().unwrap()), "{byte}: {output}");
        }
    }
}

#[test]
fn a_damaged_file_of_blip2_with_t5_or_for_retrieval_is_named() {
    let picture = fixture("reference/pictures/i-one-pixel.png");
    let picture = picture.to_str().unwrap();
    for (model, needed) in [
        ("reference/blip2-t5", "language_model.decoder.block.1.layer.1.EncDecAttention.k.weight"),
        ("reference/blip2-itm", "embeddings.word_embeddings.weight"),
    ] {
        let sandbox = Sandbox::new();
        let folder = copy(&sandbox, fixture(model).to_str().unwrap());
        let name = folder.to_str().unwrap().to_owned();
        let commands = || {
            vec![match model {
                "reference/blip2-t5" => sandbox.run(["ask", "--blip2", &name, picture, "what is it?"]),
                _ => sandbox.run(["score", "--by", "itm", "--matcher", &name, "--text", "a cat", picture]),
            }]
        };
        let sound = |name: &str| fs::read(folder.join(name)).unwrap();
        let mut cases = damaged_json(&sound("config.json"));
        // The file of the model with OPT is damaged in every place above.
        let mut nth = 0;
        cases.retain(|case| {
            nth += 1;
            case.2 != Refusal::Perhaps || case.0.contains("text_config") && nth % 3 == 0
        });
        cases.iter_mut().filter(|case| case.2 == Refusal::Always).for_each(|case| case.2 = Refusal::OfTheModel);
        refused(&folder, "config.json", cases, &commands);
        refused(&folder, "model.safetensors", damaged_safetensors(&sound("model.safetensors"), &[needed]), &commands);
    }
}

#[test]
fn a_damaged_quantized_form_is_named_and_one_without_its_checksum_is_refused() {
    let sandbox = Sandbox::new();
    let source = copy(&sandbox, &random_blip2());
    let made = sandbox.run(["models", "quantize", source.to_str().unwrap(), "--json"]).exits(0).line();
    let folder = Path::new(made["path"].as_str().unwrap());
    let picture = fixture("reference/pictures/i-one-pixel.png");
    let picture = picture.to_str().unwrap();
    let ask = || vec![sandbox.run(["ask", "--blip2", folder.to_str().unwrap(), picture, "what is it?"])];
    let (gguf, manifest) = (folder.join("model.gguf"), folder.join("manifest.json"));
    let sound = fs::read(&gguf).unwrap();
    let always = |what: String, bytes: Vec<u8>| (what, bytes, Refusal::Always);
    let mut cases =
        vec![always("zeros".into(), vec![0; sound.len()]), always("grown".into(), [&sound[..], b"x"].concat())];
    cases.extend(
        [0, 3, 4, 40, 1000, sound.len() / 2, sound.len() - 1]
            .map(|keep| always(format!("cut to {keep}"), sound[..keep].to_vec())),
    );
    for at in [0, 5, 9, 30, 500, sound.len() / 3, sound.len() - 40] {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x24;
        cases.push(always(format!("changed at {at}"), bytes));
    }
    refused(folder, "model.gguf", cases.clone(), &ask);
    // The same with a checksum that fits: the reader and the model have to notice.
    let listed: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    for (what, bytes, _) in cases.into_iter().filter(|case| !case.0.starts_with("changed") && case.0 != "grown") {
        let mut listed = listed.clone();
        listed["blake3"] = json!(blake3::hash(&bytes).to_hex().as_str());
        fs::write(&manifest, listed.to_string()).unwrap();
        fs::write(&gguf, bytes).unwrap();
        for output in ask() {
            assert!(output.code() > 1 && output.stderr.contains(gguf.to_str().unwrap()), "{what}: {output}");
        }
    }
    fs::write(&gguf, &sound).unwrap();
    let as_made = listed.to_string().into_bytes();
    for (what, bytes) in [
        ("empty", &b""[..]),
        ("no JSON", b"x"),
        ("another version", br#"{"version":99}"#),
        ("half", &as_made[..as_made.len() / 2]),
    ] {
        fs::write(&manifest, bytes).unwrap();
        for output in ask() {
            assert!(output.code() > 1 && output.stderr.contains(manifest.to_str().unwrap()), "{what}: {output}");
        }
    }
    fs::remove_file(&manifest).unwrap();
    for output in ask().into_iter().chain([sandbox.run(["models", "quantize", folder.to_str().unwrap()])]) {
        assert!(output.code() > 1, "{output}");
        for part in [gguf.to_str().unwrap(), "manifest.json", "models quantize"] {
            assert!(output.stderr.contains(part), "{part}: {output}");
        }
    }
    // The model that it was made from is used instead.
    sandbox.run(["ask", "--blip2", source.to_str().unwrap(), picture, "what is it?"]).exits(0);
    fs::write(&manifest, as_made).unwrap();
    ask().into_iter().for_each(|output| drop(output.exits(0)));
}
