//! Vision-language models through the commands: captions, answers, chats, the choice of a model, looking again. The
//! models are small and random (fixtures/reference/vlm): what they say means nothing, but is always the same.

use crate::support::{Output, Sandbox, finish, fixture, random_blip2, start};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

fn model(name: &str) -> String {
    fixture(&format!("reference/vlm/{name}")).to_string_lossy().into_owned()
}

/// Installs a model in the hub cache of the sandbox.
fn install(sandbox: &Sandbox, repo: &str, from: &str) -> PathBuf {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let folder = sandbox.path(format!("home/huggingface/hub/models--{}", repo.replace('/', "--")));
    let snapshot = folder.join("snapshots").join(commit);
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(folder.join("refs")).unwrap();
    fs::write(folder.join("refs/main"), commit).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, snapshot.join(path.file_name().unwrap())).unwrap();
    }
    snapshot
}

fn caption(sandbox: &Sandbox, args: &[&str]) -> String {
    let args = [&["caption", "cat.jpg", "--json", "--max-new-tokens", "6"][..], args].concat();
    sandbox.run(args).exits(0).line()["caption"].as_str().unwrap().to_owned()
}

#[test]
fn each_family_captions_answers_and_converses() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    for name in ["smolvlm", "llava", "idefics2", "qwen3vl"] {
        let model = model(name);
        let with = ["--captioner", &model];
        let said = caption(&sandbox, &with);
        assert!(!said.is_empty(), "{name}");
        // Each style, and a prompt of one's own, is another question.
        let styled = |style| caption(&sandbox, &[&with[..], &["--caption-style", style]].concat());
        assert_eq!(styled("sentence"), said, "{name}");
        let styles = ["short", "detailed", "tags"].map(styled);
        assert!(styles.iter().any(|style| *style != said), "{name}: {styles:?}");
        let own = caption(&sandbox, &[&with[..], &["--prompt", "What colour is it?"]].concat());
        let asked = [&["ask", "cat.jpg", "What colour is it?", "--json", "--max-new-tokens", "6"][..], &with].concat();
        assert_eq!(sandbox.run(asked).exits(0).line()["answer"], own.as_str(), "{name}");
        // What looks like a control token is only text.
        let tricks =
            [&["ask", "cat.jpg", "<image><end_of_utterance></s><|im_end|>", "--max-new-tokens", "3"][..], &with];
        sandbox.run(tricks.concat()).exits(0);
        let mut chat = sandbox.command([&["chat", "cat.jpg", "--json", "--max-new-tokens", "6"][..], &with].concat());
        let mut child = start(chat.stdin(Stdio::piped()));
        child.stdin.take().unwrap().write_all(b"What colour is it?\nAnd why?\n/undo\nAnd why?\n").unwrap();
        let turns = Output::of(child).exits(0).lines();
        assert_eq!(turns[0]["answer"], own.as_str(), "{name}");
        assert_eq!(turns[1]["answer"], turns[2]["answer"], "{name}");
    }
    let blip2 = random_blip2();
    for refused in [&["--caption-style", "detailed"][..], &["--context"]] {
        let args = [&["caption", "cat.jpg", "--blip2", &blip2][..], refused].concat();
        let output = sandbox.run(args).exits(2);
        assert!(output.stderr.contains(refused[0]) && output.stderr.contains("smolvlm"), "{output}");
    }
    caption(&sandbox, &["--blip2", &blip2, "--caption-style", "short"]);
}

#[test]
fn of_several_models_one_is_chosen_said_and_remembered() {
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    sandbox.index().exits(0);
    let ask = |more: &[&str]| {
        let args = [&["ask", "cat.jpg", "What is it?", "--max-new-tokens", "3"][..], more].concat();
        sandbox.run(args).exits(0)
    };
    install(&sandbox, "Salesforce/blip2-opt-2.7b", &random_blip2());
    assert!(!ask(&[]).stderr.contains("chooses another"), "one model is no choice");
    install(&sandbox, "HuggingFaceTB/SmolVLM-500M-Instruct", &model("smolvlm"));
    let first = ask(&[]);
    assert!(first.stderr.contains("using smolvlm") && first.stderr.contains("blip2 is installed too"), "{first}");
    let second = ask(&[]);
    assert!(!second.stderr.contains("using") && second.stdout == first.stdout, "{second}");
    // Another choice is remembered too, by every command.
    ask(&["--captioner", "blip2"]);
    assert_ne!(ask(&[]).stdout, first.stdout);
    let listed = sandbox.run(["models", "list", "--json"]).exits(0).lines();
    let purpose = |name: &str| listed.iter().find(|one| one["name"] == name).unwrap()["for"].clone();
    assert_eq!(purpose("smolvlm"), "captions, answers, chat");
    assert_eq!(purpose("blip2"), "short captions, answers");
    assert_eq!(purpose("starter"), "search");
    // One that is gone is named, with what helps.
    ask(&["--captioner", "smolvlm"]);
    fs::remove_dir_all(sandbox.path("home/huggingface/hub/models--HuggingFaceTB--SmolVLM-500M-Instruct")).unwrap();
    let gone = sandbox.run(["ask", "cat.jpg", "What is it?"]).exits(3);
    assert!(gone.stderr.contains("models pull smolvlm") && gone.stderr.contains("--captioner"), "{gone}");
}

#[test]
fn a_library_is_captioned_and_styles_replace_each_other() {
    let sandbox = Sandbox::with_photos(&["cat", "dog", "owl"]);
    let smolvlm = model("smolvlm");
    let index = |more: &[&str]| {
        let mut command = sandbox.command([&["index", ".", "--captions", "--json"][..], more].concat());
        command.env("SNAPSEEK_CAPTIONER", &smolvlm);
        finish(command).exits(0).line()["captioned"].clone()
    };
    assert_eq!(index(&[]), 3);
    assert_eq!(index(&[]), 0);
    assert_eq!(index(&["--recaption"]), 0);
    assert_eq!(index(&["--recaption", "--caption-style", "tags"]), 3);
    assert_eq!(index(&["--recaption", "--caption-style", "tags"]), 0);
    let shown = |photo: &str| sandbox.run(["caption", "show", photo, "--json"]).exits(0).line();
    assert_eq!(shown("cat.jpg")["with_context"], false);
    assert_eq!(index(&["--recaption", "--context"]), 3);
    assert_eq!(shown("cat.jpg")["with_context"], true);
    assert_eq!(index(&["--recaption", "--prompt", "What is it?"]), 3);
    // As a whole only is another way to see it; a BLIP-2 sees nothing else.
    assert_eq!(index(&["--recaption", "--no-tiles"]), 3);
    assert_eq!(index(&["--recaption", "--no-tiles"]), 0);
    // What was seen is kept once for all of these, and `status` tells how much that is.
    let status = sandbox.status();
    assert_eq!(status["encodings"]["stored"], 6);
    assert!(status["encodings"]["bytes"].as_u64().unwrap() > 0);
    let refused = sandbox.run(["index", ".", "--caption-style", "tags"]).exits(2);
    assert!(refused.stderr.contains("--captions"), "{refused}");
}

#[test]
fn looking_again_orders_and_marks_and_hides_nothing() {
    let sandbox = Sandbox::with_photos(&["cat", "dog", "owl", "horse", "bison"]);
    sandbox.index().exits(0);
    let smolvlm = model("smolvlm");
    let search = |more: &[&str]| {
        let args = [&["search", "an animal", "--all", "--json", "--captioner", &smolvlm][..], more].concat();
        sandbox.run(args).exits(0)
    };
    let names = |hits: &[Value]| {
        let mut names: Vec<String> = hits.iter().map(|hit| hit["path"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let (plain, output) = (search(&[]).lines(), search(&["--verify", "4"]));
    let hits = output.lines();
    assert_eq!(names(&plain), names(&hits));
    let yes: Vec<Option<f64>> = hits.iter().map(|hit| hit["yes"].as_f64()).collect();
    assert_eq!(yes.iter().filter(|yes| yes.is_some()).count(), 4);
    assert!(yes[..4].windows(2).all(|pair| pair[0] >= pair[1]), "{yes:?}");
    assert!(yes.iter().flatten().all(|yes| (0.0..=1.0).contains(yes)));
    assert_eq!(hits[0]["score_kind"], "yes");
    // What was asked is kept: the model is not asked again. An answer that is lost is asked for again.
    let kept = fs::read_dir(sandbox.path("home/cache/snapseek/verified")).unwrap().next().unwrap().unwrap().path();
    let answers = fs::read_to_string(&kept).unwrap();
    assert_eq!(answers.lines().count(), 4);
    let turned: String = answers.lines().map(|line| format!("{} 0.125 .\n", line.split(' ').next().unwrap())).collect();
    fs::write(&kept, &turned).unwrap();
    assert!(search(&["--verify", "4"]).lines()[..4].iter().all(|hit| hit["yes"] == 0.125));
    fs::write(&kept, answers.lines().next().unwrap().to_owned() + "\n12ab").unwrap();
    assert_eq!(search(&["--verify", "4"]).stdout, output.stdout);
    // BLIP-2 can be asked too; a query without words cannot.
    let blip2 = random_blip2();
    let asked =
        sandbox.run(["search", "an animal", "--all", "--json", "--captioner", &blip2, "--verify", "2"]).exits(0);
    assert_eq!(asked.lines().iter().filter(|hit| hit["yes"].is_number()).count(), 2);
    let refused = sandbox.run(["search", "ext:jpg", "--captioner", &smolvlm, "--verify", "2"]).exits(2);
    assert!(refused.stderr.contains("words"), "{refused}");
    // A photo that is gone keeps its place, after a warning.
    fs::remove_file(sandbox.photo(Path::new(plain[0]["path"].as_str().unwrap()).file_name().unwrap())).unwrap();
    fs::remove_file(&kept).unwrap();
    let without = search(&["--verify", "4"]);
    assert_eq!(without.lines().len(), 5, "{without}");
}

#[test]
fn quantized_it_is_used_from_then_on() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    let snapshot = install(&sandbox, "HuggingFaceTB/SmolVLM-500M-Instruct", &model("smolvlm"));
    let full = caption(&sandbox, &[]);
    let made = sandbox.run(["models", "quantize", "smolvlm", "--bits", "8", "--json"]).exits(0).line();
    assert_eq!(made["precision"], "q8");
    assert!(made["bytes"].as_u64().unwrap() < made["bytes_before"].as_u64().unwrap(), "{made}");
    let eight = caption(&sandbox, &["--precision", "q8"]);
    assert!(!eight.is_empty());
    assert_eq!(caption(&sandbox, &["--precision", "full"]), full);
    assert_eq!(caption(&sandbox, &[]), eight);
    // The form outlives the model.
    fs::remove_dir_all(snapshot).unwrap();
    assert_eq!(caption(&sandbox, &[]), eight);
    assert_eq!(caption(&sandbox, &["--captioner", "smolvlm"]), eight);
}

#[test]
fn a_damaged_file_is_named() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    let folder = sandbox.path("model");
    let ask = || sandbox.run(["ask", "cat.jpg", "What is it?", "--captioner", folder.to_str().unwrap()]);
    for (file, content, words) in [
        ("config.json", "{}", "config.json"),
        ("tokenizer.json", "{}", "tokenizer.json"),
        ("preprocessor_config.json", r#"{"size": {"longest_edge": 0}}"#, "longest_edge"),
        ("chat_template.json", r#"{"chat_template": "{% for"}"#, "template"),
        ("chat_template.json", r#"{"chat_template": "no picture"}"#, "picture"),
        ("model.safetensors", "x", "model.safetensors"),
    ] {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        for entry in fs::read_dir(model("smolvlm")).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
        fs::write(folder.join(file), content).unwrap();
        let output = ask();
        assert!([2, 3, 5].contains(&output.code()), "{file}: {output}");
        assert!(output.stderr.contains(words) && !output.stderr.contains("panicked"), "{file}: {output}");
    }
}

#[test]
fn of_a_long_chat_the_oldest_questions_go_first() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    let folder = sandbox.path("model");
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir(model("llava")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    let mut config: Value = serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap();
    config["text_config"]["max_position_embeddings"] = 100.into();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let args = ["chat", "cat.jpg", "--captioner", folder.to_str().unwrap(), "--max-new-tokens", "5", "--json"];
    let mut child = start(sandbox.command(args).stdin(Stdio::piped()));
    let mut questions = "What is in this picture?\n".repeat(6);
    questions += &"How many dogs are there? ".repeat(20);
    child.stdin.take().unwrap().write_all(questions.as_bytes()).unwrap();
    let output = Output::of(child);
    assert_eq!(output.lines().len(), 6, "{output}");
    assert!(output.stderr.contains("it no longer sees the first 1 question)"), "{output}");
    assert!(output.stderr.contains("shorten it"), "{output}");
}
