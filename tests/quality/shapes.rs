//! Models that were trained on drawn shapes (fixtures/models/blip2-shapes and smolvlm-shapes), on scenes that they have
//! never seen: their output equals PyTorch's, they answer right, and quantized nearly as well. tests/cli/shapes.rs tests
//! the same through the commands.

use serde_json::Value;
use snapseek::model::chat_model::{self, CaptionStyle, ChatModel, ChatPrompt, Encoding, PromptTurn, WriteRequest};
use snapseek::model::generation::{GenerateOptions, Generated};
use snapseek::model::{Bits, quantize};
use snapseek::photo::{self, DecodeLimits};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

static GO_ON: AtomicBool = AtomicBool::new(false);
/// If two tokens are nearly equally likely, f32 sums in another order may choose the other one.
const CLEAR: f64 = 0.01;
/// The models, what PyTorch makes them say, and the least share of answers that are right, in percent.
const MODELS: [(&str, &str, f64); 2] =
    [("blip2-shapes", "expected.json", 95.0), ("smolvlm-shapes", "expected-smolvlm.json", 92.0)];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn json(name: &str) -> Vec<Value> {
    serde_json::from_slice(&std::fs::read(fixture("shapes/heldout").join(name)).unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn open(folder: &Path) -> Box<dyn ChatModel> {
    chat_model::open(folder, None, true).unwrap()
}

fn encode(model: &dyn ChatModel, picture: &Value) -> Encoding {
    let limits = DecodeLimits::default();
    let bytes = photo::read(&fixture("shapes/heldout").join(text(picture)), &limits).unwrap();
    let photo = photo::decode(&bytes, Some(2 * model.shortest_edge()), &limits).unwrap();
    model.look(&model.prepare(&photo.picture).unwrap(), &GO_ON).unwrap().unwrap()
}

const CAPTION: ChatPrompt = ChatPrompt::Caption { style: CaptionStyle::Sentence, prompt: None, facts: "" };

fn say(model: &dyn ChatModel, encoding: &Encoding, prompt: ChatPrompt, num_beams: usize) -> Generated {
    let options = GenerateOptions { num_beams, ..GenerateOptions::greedy(40) };
    model.write(&[WriteRequest { encoding, prompt }], &options, &GO_ON, &mut |_, _| {}).unwrap().remove(0)
}

#[test]
fn they_say_what_pytorch_says() {
    for (name, expected, _) in MODELS {
        let model = open(&fixture("models").join(name));
        let tokens = |value: &Value| -> Vec<u32> { serde_json::from_value(value["tokens"].clone()).unwrap() };
        let is_clear = |one: &Value| one["margin"].as_f64().unwrap() >= CLEAR;
        let mut compared = 0;
        for (case, said) in json("cases.json").iter().zip(json(expected)) {
            assert_eq!(case["picture"], said["picture"]);
            let encoding = encode(&*model, &case["picture"]);
            if is_clear(&said["caption"]) {
                assert_eq!(say(&*model, &encoding, CAPTION, 1).tokens, tokens(&said["caption"]), "{name} {said}");
                compared += 1;
            }
            let questions = case["questions"].as_array().unwrap().iter().zip(said["questions"].as_array().unwrap());
            for (question, answer) in questions.filter(|(_, answer)| is_clear(answer)) {
                let prompt = ChatPrompt::Question { turns: &[], question: text(&question["question"]) };
                assert_eq!(say(&*model, &encoding, prompt, 1).tokens, tokens(answer), "{name} {question} {answer}");
                compared += 1;
            }
            let beams = say(&*model, &encoding, CAPTION, 5).tokens;
            assert_eq!(beams, tokens(&said["caption_beam5"]), "{name} {}", case["picture"]);
        }
        assert!(compared > 200, "{name}: only {compared} compared");
    }
}

/// How many questions are answered right, and how many there are. In a chat, each question follows the model's own
/// earlier answers.
fn right_answers(model: &dyn ChatModel) -> (usize, usize) {
    let (mut right, mut total) = (0, 0);
    for case in json("cases.json") {
        let encoding = encode(model, &case["picture"]);
        let singles = case["questions"].as_array().unwrap().iter().map(std::slice::from_ref);
        let conversations = case["conversations"].as_array().unwrap().iter().map(|c| c.as_array().unwrap().as_slice());
        for conversation in singles.chain(conversations) {
            let mut turns: Vec<PromptTurn> = Vec::new();
            for turn in conversation {
                let question = text(&turn["question"]);
                let answer = say(model, &encoding, ChatPrompt::Question { turns: &turns, question }, 1).text;
                right += usize::from(answer == text(&turn["answer"]));
                total += 1;
                turns.push(PromptTurn { question: question.into(), answer });
            }
        }
    }
    (right, total)
}

#[test]
fn they_answer_right_and_quantized_nearly_as_well() {
    for (name, _, least) in MODELS {
        let source = fixture("models").join(name);
        let dir = tempfile::tempdir().unwrap();
        let share = |folder: &Path| {
            let (right, total) = right_answers(&*open(folder));
            println!("{name} {}: {right} of {total}", folder.display());
            100.0 * right as f64 / total as f64
        };
        let whole = share(&source);
        assert!(whole >= least, "{name}: {whole:.1} %");
        for (bits, points) in [(Bits::Eight, 1.0), (Bits::Four, 3.0)] {
            let folder = dir.path().join(format!("{bits:?}"));
            quantize(&source, "shapes", bits, &folder, None, &mut |_, _| true).unwrap();
            let quantized = share(&folder);
            assert!(quantized >= whole - points, "{name} {bits:?}: {quantized:.1} % instead of {whole:.1} %");
        }
    }
}
