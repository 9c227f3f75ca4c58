//! A trained BLIP-2 (fixtures/models/blip2-shapes) on scenes that it has never seen: its output equals PyTorch's, and
//! quantized it answers nearly as well. tests/cli/shapes.rs tests that its answers are right.

use serde_json::Value;
use snapseek::model::blip2::{Blip2, Encoding, GenerateOptions, GenerateRequest, PromptTurn, question_prompt};
use snapseek::model::{Bits, quantize};
use snapseek::photo::{self, DecodeLimits};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

static GO_ON: AtomicBool = AtomicBool::new(false);
/// If two tokens are nearly equally likely, f32 sums in another order may choose the other one.
const CLEAR: f64 = 0.01;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn json(name: &str) -> Vec<Value> {
    serde_json::from_slice(&std::fs::read(fixture("shapes/heldout").join(name)).unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn encode(model: &Blip2, picture: &Value) -> Encoding {
    let limits = DecodeLimits::default();
    let bytes = photo::read(&fixture("shapes/heldout").join(text(picture)), &limits).unwrap();
    let photo = photo::decode(&bytes, Some(2 * model.image_size()), &limits).unwrap();
    model.encode(&model.prepare(&photo.picture).unwrap(), &GO_ON).unwrap().unwrap()
}

fn say(model: &Blip2, encoding: &Encoding, prompt: &str, num_beams: usize) -> (Vec<u32>, String) {
    let options = GenerateOptions { num_beams, ..GenerateOptions::greedy(40) };
    let made =
        model.generate(&[GenerateRequest { encoding, prompt }], &options, &GO_ON, &mut |_, _| {}).unwrap().remove(0);
    (made.tokens, made.text)
}

#[test]
fn it_says_what_pytorch_says() {
    let model = Blip2::open(&fixture("models/blip2-shapes"), None).unwrap();
    let tokens = |value: &Value| -> Vec<u32> { serde_json::from_value(value["tokens"].clone()).unwrap() };
    let mut compared = 0;
    for case in json("expected.json") {
        let encoding = encode(&model, &case["picture"]);
        for one in std::iter::once(&case["caption"]).chain(case["questions"].as_array().unwrap()) {
            let prompt = text(&one["prompt"]);
            if one["margin"].as_f64().unwrap() >= CLEAR {
                assert_eq!(say(&model, &encoding, prompt, 1).0, tokens(one), "{} {prompt}", case["picture"]);
                compared += 1;
            }
        }
        assert_eq!(say(&model, &encoding, "", 5).0, tokens(&case["caption_beam5"]), "{}", case["picture"]);
    }
    assert!(compared > 200, "only {compared} compared");
}

/// How many questions are answered right, and how many there are. In a chat, each question follows the model's own
/// earlier answers.
fn right_answers(model: &Blip2) -> (usize, usize) {
    let (mut right, mut total) = (0, 0);
    for case in json("cases.json") {
        let encoding = encode(model, &case["picture"]);
        let singles = case["questions"].as_array().unwrap().iter().map(std::slice::from_ref);
        let conversations = case["conversations"].as_array().unwrap().iter().map(|c| c.as_array().unwrap().as_slice());
        for conversation in singles.chain(conversations) {
            let mut turns: Vec<PromptTurn> = Vec::new();
            for turn in conversation {
                let question = text(&turn["question"]);
                let (_, answer) = say(model, &encoding, &question_prompt(&turns, question), 1);
                right += usize::from(answer == text(&turn["answer"]));
                total += 1;
                turns.push(PromptTurn { question: question.into(), answer });
            }
        }
    }
    (right, total)
}

#[test]
fn quantized_it_knows_nearly_as_much() {
    let source = fixture("models/blip2-shapes");
    let dir = tempfile::tempdir().unwrap();
    let share = |folder: &Path| {
        let (right, total) = right_answers(&Blip2::open(folder, None).unwrap());
        println!("{}: {right} of {total}", folder.display());
        100.0 * right as f64 / total as f64
    };
    let whole = share(&source);
    for (bits, points) in [(Bits::Eight, 1.0), (Bits::Four, 3.0)] {
        let folder = dir.path().join(format!("{bits:?}"));
        quantize(&source, "shapes", bits, &folder, None, &mut |_, _| true).unwrap();
        let quantized = share(&folder);
        assert!(quantized >= whole - points, "{bits:?}: {quantized:.1} % instead of {whole:.1} %");
    }
}
