//! Vision-language models give the same numbers and tokens as PyTorch's `transformers`: the ids of prompts, pixels,
//! features, scores and texts (fixtures/reference/vlm holds two such models, made by make_vlm.py there).
//!
//! `SNAPSEEK_VLM` names a folder with others like them, whose folders are tested in their place.

use crate::expected::Expected;
use serde_json::Value;
use snapseek::model::generation::{Finish, GenerateOptions, Generated};
use snapseek::model::vision_language::{
    ChatMessage, PictureFeatures, PreparedPicture, Speaker, VisionLanguage, VisionLanguageSession,
};
use snapseek::model::{Bits, quantize};
use snapseek::photo::picture::RgbPicture;
use snapseek::photo::{self, DecodeLimits};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

static GO_ON: AtomicBool = AtomicBool::new(false);

fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reference").join(name)
}

fn folders() -> Vec<PathBuf> {
    let root = std::env::var_os("SNAPSEEK_VLM").map_or_else(|| fixtures("vlm"), PathBuf::from);
    let all = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path());
    let mut models: Vec<PathBuf> = all.filter(|path| path.join("expected.json").is_file()).collect();
    models.sort();
    assert!(!models.is_empty(), "{} holds no models", root.display());
    models
}

impl Expected {
    fn ends(&self) -> Vec<u32> {
        let ends = &self.json["eos_token_id"];
        if ends.is_array() { list(ends) } else { vec![ends.as_u64().unwrap() as u32] }
    }
}

fn list(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
}

fn distance(got: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(got.len(), expected.len());
    got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn picture(name: &str) -> RgbPicture {
    let bytes = std::fs::read(fixtures("pictures").join(name)).unwrap();
    photo::decode(&bytes, None, &DecodeLimits::default()).unwrap().picture
}

fn messages(value: &Value) -> Vec<ChatMessage> {
    let message = |value: &Value| {
        let content = value["content"].as_array().unwrap();
        let texts = content.iter().filter_map(|part| part["text"].as_str());
        ChatMessage {
            speaker: if value["role"] == "user" { Speaker::User } else { Speaker::Assistant },
            pictures: content.iter().filter(|part| part["type"] == "image").count(),
            text: texts.collect(),
        }
    };
    value.as_array().unwrap().iter().map(message).collect()
}

fn options(num_beams: usize) -> GenerateOptions {
    GenerateOptions { num_beams, ..GenerateOptions::greedy(24) }
}

/// The pictures that a case is about: how they are cut, and their names.
fn pictures_of(case: &Value) -> (bool, Vec<String>) {
    let splits = case["do_image_splitting"].as_bool().unwrap_or(true);
    let one = case["photo"].as_str().map(|name| vec![name.to_owned()]);
    let several = || case["photos"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    (splits, one.unwrap_or_else(several))
}

/// Pixels against the reference's, where these are whole pictures: tensors differ from family to family.
fn compare_pixels(expected: &Expected, place: usize, key: &str, prepared: &PreparedPicture) -> f32 {
    let parts: Vec<&[f32]> = prepared.parts.iter().map(|part| part.pixels.as_slice()).collect();
    if let Some(all) = expected.find("pixel_values") {
        let one = all.len() / expected.shape("pixel_values")[0];
        return distance(parts[0], &all[place * one..][..one]);
    }
    if let Some(all) = expected.find(&format!("pixel_values_{key}")) {
        let shape = expected.shape(&format!("pixel_values_{key}"));
        if shape.len() == 2 {
            // Qwen's rows are patches; their features are compared.
            return 0.0;
        }
        let (height, width) = (shape[2], shape[3]);
        let mut worst = 0.0_f32;
        for (part, padded) in prepared.parts.iter().zip(all.chunks_exact(3 * height * width)) {
            for (plane, padded) in
                part.pixels.chunks_exact(part.width * part.height).zip(padded.chunks_exact(height * width))
            {
                for (row, padded) in plane.chunks_exact(part.width).zip(padded.chunks_exact(width)) {
                    worst = worst.max(distance(row, &padded[..part.width]));
                }
            }
        }
        return worst;
    }
    let first = expected.tensor(&format!("pixel_values_{key}_first"));
    let last = expected.tensor(&format!("pixel_values_{key}_last"));
    distance(parts[0], &first).max(distance(parts[parts.len() - 1], &last))
}

fn expected_features(expected: &Expected, place: usize, key: &str) -> Vec<f32> {
    if let Some(all) = expected.find("features") {
        let one = all.len() / expected.shape("features")[0];
        return all[place * one..][..one].to_vec();
    }
    let mut all = expected.tensor(&format!("features_{key}"));
    for n in 0.. {
        let Some(deep) = expected.find(&format!("deepstack_{key}_{n}")) else { break };
        all.extend(deep);
    }
    all
}

/// Checks a model against the expectations in its folder: prompts and their ids equal, features within 1e-4, scores
/// within 1e-3, the same tokens.
fn equals_the_reference(folder: &Path) {
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    let expected = Expected::read(folder);
    let model = VisionLanguage::open(folder, None).unwrap();
    let ends = expected.ends();
    let ended = |value: &Value| {
        let mut tokens = list(value);
        tokens.truncate(tokens.iter().position(|token| ends.contains(token)).unwrap_or(tokens.len()));
        tokens
    };
    let photos: Vec<&str> = expected.json["photos"].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect();
    let mut seen: BTreeMap<(String, bool), PictureFeatures> = BTreeMap::new();
    let (mut worst_pixels, mut worst_features, mut worst_logits) = (0.0_f32, 0.0_f32, 0.0_f32);
    let mut prompts = Vec::new();
    let cases = expected.json["cases"].as_array().unwrap();
    for (n, case) in cases.iter().enumerate() {
        let (splits, names) = pictures_of(case);
        for name in &names {
            let place = photos.iter().position(|photo| photo == name).unwrap();
            if seen.contains_key(&(name.clone(), splits)) {
                continue;
            }
            let prepared = model.prepare_as(&picture(name), splits).unwrap();
            let features = model.encode(&prepared, &GO_ON).unwrap().unwrap();
            let of_idefics = if case["key"].is_null() || !splits { "" } else { "s" };
            let key = format!("{place}{of_idefics}");
            worst_pixels = worst_pixels.max(compare_pixels(&expected, place, &key, &prepared));
            worst_features = worst_features.max(distance(&features.rows, &expected_features(&expected, place, &key)));
            assert!(worst_pixels <= 1e-5, "{name}: {worst_pixels:e}");
            assert!(worst_features <= 1e-4, "{name}: {worst_features:e}");
            seen.insert((name.clone(), splits), features);
        }
        let features: Vec<PictureFeatures> = names.iter().map(|name| seen[&(name.clone(), splits)].clone()).collect();
        let label = format!("{name}, {}, {names:?}", case["name"]);
        let said = messages(&case["messages"]);
        let wanted = case["prompt"].as_str().unwrap();
        // One case has another form of prompt than the template's.
        if !case["name"].as_str().unwrap().contains("</s>") {
            assert_eq!(model.prompt(&said).unwrap(), wanted, "{label}");
        }
        let layouts: Vec<_> = features.iter().map(|one| one.layout).collect();
        let tokens = model.tokens(wanted, &layouts).unwrap();
        assert_eq!(tokens, list(&case["input_ids"]), "{label}");
        prompts.push((tokens, features, ended(&case["greedy"]), case.get("beam5").map(ended)));
        let (tokens, features, greedy, beams) = prompts.last().unwrap();
        let features: Vec<&PictureFeatures> = features.iter().collect();
        let scores = model.next_scores(&[(tokens.clone(), &features)], &GO_ON).unwrap().unwrap();
        worst_logits = worst_logits.max(distance(&scores, &expected.tensor(&format!("logits_{n}"))));
        assert!(worst_logits <= 1e-3, "{label}: {worst_logits:e}");
        let made = model.generate(&[(tokens.clone(), &features)], &options(1), &GO_ON, &mut |_, _| {}).unwrap();
        assert_eq!(&made[0].tokens, greedy, "{label}");
        if let Some(beams) = beams {
            let made = model.generate(&[(tokens.clone(), &features)], &options(5), &GO_ON, &mut |_, _| {}).unwrap();
            assert_eq!(&made[0].tokens, beams, "{label}, beams");
        }
    }
    println!(
        "{name}: {} cases; pixels off by {worst_pixels:e}, features {worst_features:e}, logits {worst_logits:e}",
        cases.len()
    );
    batches_equal_single_texts(&model, &prompts);
    sessions_equal_single_texts(&model, &prompts);
}

type Prompt = (Vec<u32>, Vec<PictureFeatures>, Vec<u32>, Option<Vec<u32>>);

/// Checks prompts of several lengths, about several pictures, that end at different times.
fn batches_equal_single_texts(model: &VisionLanguage, prompts: &[Prompt]) {
    let features: Vec<Vec<&PictureFeatures>> = prompts.iter().map(|prompt| prompt.1.iter().collect()).collect();
    let requests: Vec<(Vec<u32>, &[&PictureFeatures])> =
        prompts.iter().zip(&features).map(|(prompt, features)| (prompt.0.clone(), features.as_slice())).collect();
    for options in [options(1), options(5), GenerateOptions { temperature: 1.5, top_p: 0.9, seed: 7, ..options(1) }] {
        let together = model.generate(&requests, &options, &GO_ON, &mut |_, _| {}).unwrap();
        for (request, made) in requests.iter().zip(together) {
            let mut streamed = String::new();
            let single = model
                .generate(std::slice::from_ref(request), &options, &GO_ON, &mut |_, text| streamed += text)
                .unwrap();
            assert_eq!(single[0], made, "{options:?}");
            // What bytes that are no characters look like depends on what comes after them.
            assert!(made.text.contains('\u{fffd}') || streamed.trim() == made.text, "{streamed:?} {made:?}");
        }
    }
}

/// What a session remembers changes no answer, whatever it was asked before; and a cancelled answer leaves it sound.
fn sessions_equal_single_texts(model: &VisionLanguage, prompts: &[Prompt]) {
    for (_, features, ..) in prompts {
        let mut session = VisionLanguageSession::new(model, features.clone()).unwrap();
        for (tokens, _, greedy, beams) in prompts.iter().filter(|prompt| prompt.1 == *features) {
            let stopped = AtomicBool::new(false);
            let answer: Generated = session
                .answer(tokens, &options(1), &stopped, &mut |_| {
                    stopped.store(true, std::sync::atomic::Ordering::Relaxed)
                })
                .unwrap();
            assert!(answer.finish == Finish::Cancelled || answer.tokens.len() <= 1);
            let answer = session.answer(tokens, &options(1), &GO_ON, &mut |_| {}).unwrap();
            assert_eq!(&answer.tokens, greedy);
            // One that has no room, or whose picture is missing, is refused, and changes nothing either.
            assert!(session.answer(&tokens.repeat(2), &options(1), &GO_ON, &mut |_| {}).is_err());
            if let Some(beams) = beams {
                assert_eq!(&session.answer(tokens, &options(5), &GO_ON, &mut |_| {}).unwrap().tokens, beams);
            }
            assert_eq!(&session.answer(tokens, &options(1), &GO_ON, &mut |_| {}).unwrap().tokens, greedy);
        }
    }
}

#[test]
fn every_stage_equals_the_reference() {
    for folder in folders() {
        equals_the_reference(&folder);
    }
}

/// The towers of these models have an inner width that is no multiple of a block of weights.
#[test]
fn in_eight_bits_a_picture_is_seen_almost_as_it_is() {
    for folder in folders() {
        let made = tempfile::tempdir().unwrap();
        let small = made.path().join("q8");
        quantize(&folder, "random", Bits::Eight, &small, None, &mut |_, _| true).unwrap();
        let expected = Expected::read(&folder);
        let (splits, names) = pictures_of(&expected.json["cases"][0]);
        let seen = [&folder, &small].map(|folder| {
            let model = VisionLanguage::open(folder, None).unwrap();
            model.encode(&model.prepare_as(&picture(&names[0]), splits).unwrap(), &GO_ON).unwrap().unwrap()
        });
        let [full, small] = seen.each_ref().map(|features| features.rows.as_slice());
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        let cosine = product(full, small) / (product(full, full) * product(small, small)).sqrt();
        println!("{}: cosine {cosine:.6} in 8 bits", folder.display());
        assert!(full != small && full.len() == small.len() && cosine > 0.999, "{}: {cosine}", folder.display());
    }
}

/// Nothing that a person writes becomes a control token or a picture.
#[test]
fn texts_of_a_person_are_only_texts() {
    for folder in folders() {
        let (expected, model) = (Expected::read(&folder), VisionLanguage::open(&folder, None).unwrap());
        let case = &expected.json["cases"][0];
        let (splits, names) = pictures_of(case);
        let features = model.encode(&model.prepare_as(&picture(&names[0]), splits).unwrap(), &GO_ON).unwrap().unwrap();
        let plain = model.tokens(&model.prompt(&messages(&case["messages"])).unwrap(), &[features.layout]).unwrap();
        let control: Vec<u32> = expected.ends();
        for text in
            ["<image>", "<|image_pad|>", "</s>", "<end_of_utterance>", "<|im_end|>", "<|im_start|>", "<s><image>"]
        {
            let message = ChatMessage { speaker: Speaker::User, pictures: 1, text: text.into() };
            let tokens = model.tokens(&model.prompt(&[message]).unwrap(), &[features.layout]).unwrap();
            let count = |tokens: &[u32]| tokens.iter().filter(|token| control.contains(token)).count();
            assert_eq!(count(&tokens), count(&plain), "{text}");
        }
    }
}
