//! Vision-language models through the commands: captions, answers, chats, the choice of a model, looking again. The
//! models are small and random (fixtures/reference/vlm): what they say means nothing, but is always the same.

use crate::support::{Output, Sandbox, finish, fixture, measured, random_blip2, start};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

fn model(name: &str) -> String {
    fixture(&format!("reference/vlm/{name}")).to_string_lossy().into_owned()
}

/// A copy of a model in the sandbox, to change.
fn copied(sandbox: &Sandbox, name: &str) -> PathBuf {
    let folder = sandbox.path("model");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir(model(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    folder
}

/// Changes the language model's configuration of a copied model.
fn configure(folder: &Path, key: &str, value: usize) {
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["text_config"][key] = value.into();
    fs::write(path, config.to_string()).unwrap();
}

/// Installs a model in the hub cache of the sandbox.
pub(crate) fn install(sandbox: &Sandbox, repo: &str, from: &str) -> PathBuf {
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

/// The file in which the answers of `search --verify` are kept.
fn kept_answers(sandbox: &Sandbox) -> Option<PathBuf> {
    let mut files = fs::read_dir(sandbox.path("home/cache/snapseek/verified")).ok()?;
    Some(files.next()?.ok()?.path())
}

#[test]
fn what_a_killed_run_asked_is_kept_and_not_asked_again() {
    let names = ["cat", "dog", "owl", "horse", "bison", "bulb", "bucket", "cow", "crab", "cup"];
    let sandbox = Sandbox::with_photos(&names);
    sandbox.index().exits(0);
    let smolvlm = model("smolvlm");
    let args = ["search", "an animal", "--all", "--json", "--captioner", &smolvlm];
    let paths = |hits: &[Value]| {
        let mut paths: Vec<String> = hits.iter().map(|hit| hit["path"].as_str().unwrap().to_owned()).collect();
        paths.sort();
        paths
    };
    let plain = paths(&sandbox.run(args).exits(0).lines());
    let verified = [&args[..], &["--verify", "10"]].concat();
    let mut child = start(&mut sandbox.command(verified.clone()));
    let answered = || {
        let file = kept_answers(&sandbox)?;
        Some(fs::read_to_string(file).unwrap()).filter(|text| text.lines().count() >= 2)
    };
    while answered().is_none() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = kept_answers(&sandbox).unwrap();
    let answers = fs::read_to_string(&kept).unwrap();
    let whole: Vec<&str> = answers.lines().filter(|line| line.ends_with(" .")).collect();
    assert!((2..names.len()).contains(&whole.len()), "killed too late: {answers}");
    // Answers that no model gives: whatever shows them was not asked again.
    let marked: String = whole.iter().map(|line| format!("{} 0.125 .\n", line.split(' ').next().unwrap())).collect();
    fs::write(&kept, marked).unwrap();
    let hits = sandbox.run(verified).exits(0).lines();
    assert_eq!(hits.iter().filter(|hit| hit["yes"] == 0.125).count(), whole.len());
    assert_eq!(hits.iter().filter(|hit| hit["yes"].is_number()).count(), names.len());
    assert_eq!(paths(&hits), plain, "a photo is hidden, or shown twice");
    assert_eq!(fs::read_to_string(&kept).unwrap().lines().count(), names.len());
}

#[test]
fn however_many_are_asked_about_every_photo_is_shown() {
    let sandbox = Sandbox::with_photos(&["cat", "dog", "owl", "horse", "bison"]);
    sandbox.index().exits(0);
    let smolvlm = model("smolvlm");
    let search = |more: &[&str]| -> Vec<String> {
        let args = [&["search", "an animal", "--all", "--json", "--captioner", &smolvlm][..], more].concat();
        let lines = sandbox.run(args).exits(0).lines();
        lines.iter().map(|hit| hit["path"].as_str().unwrap().to_owned()).collect()
    };
    let plain = search(&[]);
    assert_eq!(plain.len(), 5);
    for (limit, count) in [("5", "1"), ("5", "3"), ("5", "5"), ("5", "50"), ("3", "1"), ("2", "4"), ("1", "5")] {
        let mut shown = search(&["-n", limit, "--verify", count]);
        // As many as without, or as were asked about; those behind them keep their places.
        let asked: usize = count.parse::<usize>().unwrap().min(5);
        let many = asked.max(limit.parse().unwrap());
        assert_eq!(shown.len(), many, "{limit} {count}");
        assert_eq!(shown[asked..], plain[asked..many], "{limit} {count}");
        shown[..asked].sort();
        let mut expected = plain[..asked].to_vec();
        expected.sort();
        assert_eq!(shown[..asked], expected, "{limit} {count}");
    }
}

#[test]
fn a_context_that_is_too_small_is_said_in_every_command() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    sandbox.index().exits(0);
    for context in [1, 7, 16, 63] {
        let folder = copied(&sandbox, "smolvlm");
        configure(&folder, "max_position_embeddings", context);
        let with = ["--captioner", folder.to_str().unwrap()];
        for args in [
            &["ask", "cat.jpg", "What is it?"][..],
            &["caption", "cat.jpg"],
            &["search", "a cat", "--all", "--verify", "1"],
        ] {
            let output = sandbox.run([args, &with].concat());
            assert!(output.code() > 1 && !output.stderr.contains("panicked"), "{context} {args:?}: {output}");
            assert!(output.stderr.contains(&format!("only {context}")), "{context} {args:?}: {output}");
        }
        let mut chat = sandbox.command([&["chat", "cat.jpg", "--json"][..], &with].concat());
        let mut child = start(chat.stdin(Stdio::piped()));
        child.stdin.take().unwrap().write_all(b"What is it?\nAnd why?\n").unwrap();
        let output = Output::of(child);
        assert!(output.stderr.contains("shorten it") && !output.stderr.contains("panicked"), "{context}: {output}");
    }
}

#[test]
fn a_hostile_template_ends_with_its_file_named() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    let folder = copied(&sandbox, "smolvlm");
    let set = "{% set s = namespace(t='ab', l=['ab']) %}";
    for template in [
        format!("{set}{{% for i in range(60) %}}{{% set s.t = s.t ~ s.t %}}{{% endfor %}}{{{{ s.t }}}}"),
        "{% for a in range(100000) %}{% for b in range(100000) %}<image>{% endfor %}{% endfor %}".to_owned(),
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}".to_owned(),
        "{{ '<image>' * 99999999999 }}".to_owned(),
        format!("{{{{ {}1 }}}}", "not ".repeat(8000)),
        "<image>".repeat(4000),
    ] {
        let json = serde_json::json!({ "chat_template": template });
        fs::write(folder.join("chat_template.json"), json.to_string()).unwrap();
        let args = ["ask", "cat.jpg", "What is it?", "--captioner", folder.to_str().unwrap()];
        let (output, peak) = measured(sandbox.command(args));
        let start: String = template.chars().take(60).collect();
        assert!([2, 3, 5].contains(&output.code()) && !output.stderr.contains("panicked"), "{start}: {output}");
        assert!(output.stderr.contains("template") || output.stderr.contains("picture"), "{start}: {output}");
        assert!(peak < 400_000_000, "{start}: {peak} bytes");
    }
}

#[test]
fn models_to_download_are_listed_with_what_they_are_for() {
    let sandbox = Sandbox::new();
    install(&sandbox, "HuggingFaceTB/SmolVLM-500M-Instruct", &model("smolvlm"));
    let listed = sandbox.run(["models", "list", "--available", "--json"]).exits(0).lines();
    let find = |name: &str| listed.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name}"));
    for (name, purpose) in [
        ("clip", "search"),
        ("smolvlm-256m", "captions, answers, chat"),
        ("blip2", "short captions, answers"),
        ("blip2-itm", "search --rerank"),
        ("clip-multilingual", "queries in other languages"),
        ("ocr-greek", "text in photos"),
    ] {
        assert_eq!(find(name)["for"], purpose);
        assert_eq!(find(name)["installed"], false);
        assert!(find(name)["licence"].is_string());
    }
    let smolvlm = find("smolvlm");
    assert_eq!(
        (&smolvlm["installed"], &smolvlm["repository"]),
        (&true.into(), &"HuggingFaceTB/SmolVLM-500M-Instruct".into())
    );
    assert!(smolvlm["bytes"].as_u64().unwrap() > 1_000_000_000 && smolvlm["about"].is_string());
    // As many as the table and what stands below it name.
    let table = sandbox.run(["models", "list", "--available"]).exits(0);
    let text = table.text() + &table.stderr;
    for one in &listed {
        assert!(text.contains(one["name"].as_str().unwrap()), "{one}");
    }
}

#[test]
fn what_a_model_sees_in_a_known_picture_is_judged() {
    let sandbox = Sandbox::new();
    install(&sandbox, "HuggingFaceTB/SmolVLM-500M-Instruct", &model("smolvlm"));
    let output = sandbox.run(["models", "verify", "smolvlm", "--json"]);
    let lines = output.lines();
    let judged = lines.iter().find(|line| line["picture"] == "astronaut.png").unwrap();
    let texts = judged["texts"].as_array().unwrap();
    let yes: Vec<f64> = texts.iter().map(|text| text["got"].as_f64().unwrap()).collect();
    assert!(texts.len() == 5 && yes.iter().all(|yes| (0.0..=1.0).contains(yes)), "{judged}");
    // These weights are random: whether they prefer the astronaut is chance, but the verdict must say it.
    let prefers = yes[1..].iter().all(|other| yes[0] > *other);
    assert_eq!(judged["verdict"], if prefers { "plausible" } else { "not plausible" });
    assert_eq!(output.code(), if prefers { 0 } else { 4 }, "{output}");
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
        copied(&sandbox, "smolvlm");
        fs::write(folder.join(file), content).unwrap();
        let output = ask();
        assert!([2, 3, 5].contains(&output.code()), "{file}: {output}");
        assert!(output.stderr.contains(words) && !output.stderr.contains("panicked"), "{file}: {output}");
    }
}

#[test]
fn of_a_long_chat_the_oldest_questions_go_first() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    let folder = copied(&sandbox, "llava");
    configure(&folder, "max_position_embeddings", 100);
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
