//! BLIP-2 with T5: the reference's tokens in captions, answers and chats, and what cannot be done with it.

use crate::hub::{Hub, NAME, files_of};
use crate::support::{Output, Sandbox, finish, fixture};
use serde_json::{Value, json};
use std::fs;

/// The small random BLIP-2 with T5 of the reference.
fn model() -> String {
    fixture("reference/blip2-t5").to_str().unwrap().to_owned()
}

fn run(sandbox: &Sandbox, args: &[&str]) -> Output {
    let mut command = sandbox.command(args);
    command.env("SNAPSEEK_BLIP2", model());
    finish(command)
}

/// A lossless picture of the reference, so that its pixels are the reference's.
fn lossless() -> String {
    fixture("reference/pictures/i-one-pixel.png").to_str().unwrap().to_owned()
}

#[test]
fn the_tokens_are_those_of_the_reference() {
    let (sandbox, picture) = (Sandbox::new(), lossless());
    let json: Value = serde_json::from_slice(&fs::read(fixture("reference/blip2-t5/expected.json")).unwrap()).unwrap();
    for case in json["cases"].as_array().unwrap() {
        let prompt = case["prompt"].as_str().unwrap();
        for (beams, key) in [("1", "greedy"), ("5", "beam5")] {
            // After the token that every text begins with, up to the end token.
            let tokens = case[key].as_array().unwrap().iter().skip(1).take_while(|token| **token != 1);
            let tokens: Vec<Value> = tokens.cloned().collect();
            let how = ["--json", "--max-new-tokens", "24", "--num-beams", beams];
            let mut args = vec!["caption", &picture];
            args.extend(if prompt.is_empty() { vec![] } else { vec!["--prompt", prompt] });
            args.extend(how);
            let line = run(&sandbox, &args).exits(0).line();
            assert_eq!(line["tokens"], json!(tokens), "{prompt:?} with {beams} beams");
            assert_eq!(line["caption"].as_str().unwrap(), case[format!("{key}_text")].as_str().unwrap().trim());
            let question = prompt.strip_prefix("Question: ").and_then(|rest| rest.strip_suffix(" Answer:"));
            if let Some(question) = question.filter(|question| !question.contains("Answer:")) {
                let mut args = vec!["ask", &picture, question];
                args.extend(how);
                assert_eq!(run(&sandbox, &args).exits(0).line()["tokens"], json!(tokens));
            }
        }
    }
}

#[test]
fn a_library_is_captioned_and_a_chat_goes_on() {
    let sandbox = Sandbox::indexed(&["cat", "dog", "owl"]);
    let done = run(&sandbox, &["index", "--captions", "--json"]).exits(0).line();
    assert_eq!((&done["captioned"], &done["caption_failed"]), (&json!(3), &json!(0)));
    let kept = sandbox.run(["caption", "show", "cat.jpg", "--json"]).exits(0).line();
    let alone = run(&sandbox, &["caption", "cat.jpg", "--json"]).exits(0).line();
    assert_eq!(kept["caption"], alone["caption"]);
    let tokens = |prompt: &str| {
        let args = ["caption", "cat.jpg", "--prompt", prompt, "--max-new-tokens", "9", "--json"];
        run(&sandbox, &args).exits(0).line()["tokens"].clone()
    };
    let mut chat = sandbox.command(["chat", "cat.jpg", "--json", "--max-new-tokens", "9"]);
    let questions = sandbox.path("questions");
    fs::write(&questions, "What is it?\nWhere?\n").unwrap();
    chat.env("SNAPSEEK_BLIP2", model()).stdin(fs::File::open(questions).unwrap());
    let turns = finish(chat).exits(0).lines();
    assert_eq!(turns[0]["tokens"], tokens("Question: What is it? Answer:"));
    let answer = turns[0]["answer"].as_str().unwrap();
    let second = format!("Question: What is it? Answer: {answer}. Question: Where? Answer:");
    assert_eq!(turns[1]["tokens"], tokens(&second));
}

#[test]
fn wishes_are_heard_or_refused() {
    let (sandbox, picture) = (Sandbox::new(), lossless());
    let caption = |args: &[&str]| {
        run(&sandbox, &[&["caption", "--json", &picture][..], args].concat()).exits(0).line()["tokens"].clone()
    };
    assert_eq!(caption(&["--max-new-tokens", "3"]).as_array().unwrap().len(), 3);
    let drawn = |seed: &str| caption(&["--temperature", "1.5", "--top-p", "0.9", "--seed", seed]);
    assert_eq!(drawn("1"), drawn("1"));
    assert_ne!(drawn("1"), drawn("2"));
    let long = "word ".repeat(2000);
    let refused = run(&sandbox, &["ask", &picture, &long]).exits(5);
    assert!(refused.stderr.contains("shorten it"), "{refused}");
    for args in [&["models", "quantize", &model()][..], &["caption", &picture, "--precision", "q4"]] {
        let refused = run(&sandbox, args).exits(2);
        assert!(refused.stderr.contains("T5"), "{refused}");
    }
    run(&sandbox, &["caption", &picture, "--precision", "full"]).exits(0);
    let mut files = files_of(model());
    files.retain(|name, _| !name.starts_with("expected"));
    let hub = Hub::serving(files, crate::hub::Fault::Nothing);
    let pulled = hub.pull(&sandbox).exits(0);
    assert!(!pulled.stderr.contains("quantize"), "{pulled}");
    let listed = sandbox.run(["models", "list", "--json"]).exits(0).lines();
    assert!(listed.iter().any(|model| model["name"] == NAME && model["kind"] == "blip2"), "{listed:?}");
    let pulled = sandbox.run(["caption", &picture, "--json", "--blip2", NAME]).exits(0).line();
    assert_eq!(pulled["tokens"], caption(&[]));
}
