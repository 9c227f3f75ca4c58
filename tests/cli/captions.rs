//! Captions and single questions: the reference's tokens, what is kept, what is found, and that captions written by
//! hand are never overwritten.

use crate::support::{Output, Sandbox, dot, finish, fixture, random_blip2, start};
use crate::terminal::{PAYLOAD, foreign, is_control, on_a_terminal};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs;

/// Runs the program with the random BLIP-2.
fn run(sandbox: &Sandbox, args: &[&str]) -> Output {
    finish(command(sandbox, args))
}

fn command(sandbox: &Sandbox, args: &[&str]) -> std::process::Command {
    let mut command = sandbox.command(args);
    command.env("SNAPSEEK_BLIP2", random_blip2());
    command
}

/// A lossless picture of the reference, so that its pixels are the reference's.
fn lossless() -> String {
    fixture("reference/pictures/i-one-pixel.png").to_str().unwrap().to_owned()
}

/// The reference's prompts with the tokens that follow, greedily and with five beams, up to the end token.
fn expected() -> Vec<(String, Value, Value)> {
    let json: Value =
        serde_json::from_slice(&fs::read(fixture("reference/blip2-random/expected.json")).unwrap()).unwrap();
    let ended = |tokens: &Value| -> Value {
        let tokens = tokens.as_array().unwrap();
        tokens.iter().take_while(|token| **token != json["eos_token_id"]).cloned().collect()
    };
    let cases = json["cases"].as_array().unwrap().iter();
    cases.map(|c| (c["prompt"].as_str().unwrap().to_owned(), ended(&c["greedy"]), ended(&c["beam5"]))).collect()
}

/// Photos that the starter has indexed.
fn indexed() -> Sandbox {
    Sandbox::indexed(&["cat", "dog", "owl", "panda"])
}

fn caption_of(sandbox: &Sandbox, photo: &str) -> Option<Value> {
    let output = sandbox.run(["caption", "show", photo, "--json"]);
    assert!(matches!(output.code(), 0 | 1), "{output}");
    output.lines().pop()
}

fn captioned(sandbox: &Sandbox) -> u64 {
    sandbox.status()["captioned"].as_u64().unwrap()
}

#[test]
fn the_tokens_are_those_of_the_reference() {
    let (sandbox, picture) = (Sandbox::new(), lossless());
    for (prompt, greedy, beam5) in expected() {
        for (beams, tokens) in [("1", greedy), ("5", beam5)] {
            let how = ["--json", "--max-new-tokens", "24", "--num-beams", beams];
            let mut args = vec!["caption", &picture, "--prompt", &prompt];
            args.extend(how);
            if prompt.is_empty() {
                args.drain(2..4);
            }
            let line = run(&sandbox, &args).exits(0).line();
            assert_eq!(line["tokens"], tokens, "{prompt:?} with {beams} beams");
            assert_eq!((&line["path"], &line["schema"]), (&json!(picture), &json!(1)));
            // If the prompt is a question, `ask` gives the same.
            let question = prompt.strip_prefix("Question: ").and_then(|rest| rest.strip_suffix(" Answer:"));
            if let Some(question) = question.filter(|question| !question.contains("Answer:")) {
                let mut args = vec!["ask", &picture, question];
                args.extend(how);
                let answer = run(&sandbox, &args).exits(0).line();
                assert_eq!((&answer["tokens"], &answer["question"]), (&tokens, &json!(question)));
                assert_eq!((&answer["answer"], &answer["path"]), (&line["caption"], &json!(picture)));
            }
        }
    }
}

#[test]
fn many_photos_get_what_each_gets_alone() {
    let sandbox = Sandbox::with_photos(&["cat", "dog", "owl", "panda", "koala", "lemur", "horse", "sheep", "pig"]);
    let names = ["cat.jpg", "dog.jpg", "owl.jpg", "panda.jpg", "koala.jpg", "lemur.jpg", "horse.jpg", "sheep.jpg"];
    let all = run(&sandbox, &[&["caption", "--json"][..], &names, &["pig.jpg"]].concat()).exits(0).lines();
    assert_eq!(all.len(), 9);
    for line in all {
        let alone = run(&sandbox, &["caption", "--json", line["path"].as_str().unwrap()]).exits(0).line();
        assert_eq!(alone, line);
        assert!(line["tokens"].as_array().unwrap().len() <= 20);
    }
}

#[test]
fn wishes_are_heard_or_refused() {
    let (sandbox, picture) = (Sandbox::new(), lossless());
    let caption = |args: &[&str]| {
        run(&sandbox, &[&["caption", "--json", &picture][..], args].concat()).exits(0).line()["tokens"].clone()
    };
    let length = |args: &[&str]| caption(args).as_array().unwrap().len();
    assert_eq!(length(&["--max-new-tokens", "3"]), 3);
    assert_eq!(length(&["--max-new-tokens", "9", "--min-new-tokens", "9", "--num-beams", "3"]), 9);
    let chance = ["--temperature", "1.5", "--top-p", "0.9", "--seed"];
    let drawn = |seed: &str| caption(&[&chance[..], &[seed]].concat());
    assert_eq!(drawn("1"), drawn("1"));
    assert_ne!(drawn("1"), drawn("2"));
    for wrong in [
        vec!["--num-beams", "0"],
        vec!["--num-beams", "5", "--temperature", "1"],
        vec!["--max-new-tokens", "0"],
        vec!["--max-new-tokens", "3", "--min-new-tokens", "4"],
        vec!["--top-p", "0"],
        vec!["--top-p", "NaN"],
        vec!["--temperature", "-1"],
        vec!["--blip2", "starter"],
        vec!["--blip2", "clip"],
        vec!["--precision", "q2"],
    ] {
        run(&sandbox, &[&["caption", &picture][..], &wrong].concat()).exits(2);
    }
    let clip = crate::support::random_clip();
    let refused = run(&sandbox, &["caption", &picture, "--blip2", &clip]).exits(2);
    assert!(refused.stderr.contains("no model that writes captions"), "{refused}");
    let far_too_long = "word ".repeat(400);
    let refused = run(&sandbox, &["ask", &picture, &far_too_long]).exits(5);
    assert!(refused.stderr.contains("shorten"), "{refused}");
}

#[test]
fn without_a_model_it_says_what_to_do_and_nothing_else_changes() {
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    let says = |output: &Output| {
        for part in ["snapseek models pull smolvlm", "15.0 GB", "snapseek models quantize", "--captioner"] {
            assert!(output.stderr.contains(part), "{part}: {output}");
        }
        assert_eq!(output.stderr.lines().filter(|line| line.starts_with("snapseek: ")).count(), 1, "{output}");
    };
    for args in [&["caption", "cat.jpg"][..], &["ask", "cat.jpg", "What is it?"], &["chat", "cat.jpg"]] {
        let output = sandbox.run(args).exits(3);
        says(&output);
        assert!(output.stdout.is_empty());
    }
    assert!(!sandbox.library().exists(), "no library is made");

    // The photos are indexed before the message.
    let output = sandbox.run(["index", ".", "--captions", "--json"]).exits(3);
    says(&output);
    assert_eq!(output.line()["embedded"], 2);
    assert_eq!(output.lines().len(), 1);
    assert_eq!(captioned(&sandbox), 0);
    assert!(!sandbox.run(["search", "a cat", "--json"]).exits(0).lines().is_empty());
    // Captions by hand need no model.
    sandbox.run(["caption", "set", "cat.jpg", "Tom at home"]).exits(0);
    assert_eq!(sandbox.run(["search", "caption:tom", "--json"]).exits(0).names(), ["cat.jpg"]);
    let refused = sandbox.run(["models", "quantize", "blip2"]).exits(3);
    assert!(refused.stderr.contains("models pull blip2"), "{refused}");
}

#[test]
fn what_cannot_be_read_costs_one_line() {
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    fs::write(sandbox.photo("bad.jpg"), "no picture").unwrap();
    fs::create_dir_all(sandbox.photo("folder/inside")).unwrap();
    let args = ["caption", "cat.jpg", "bad.jpg", "gone.jpg", "folder", "dog.jpg", "./cat.jpg", "--json"];
    let output = run(&sandbox, &args).exits(4);
    let paths: Vec<_> = output.lines().iter().map(|line| line["path"].clone()).collect();
    assert_eq!(paths, ["cat.jpg", "dog.jpg"]);
    for name in ["bad.jpg", "gone.jpg", "folder"] {
        assert_eq!(output.stderr.lines().filter(|line| line.contains(name)).count(), 1, "{output}");
    }
    assert_eq!(output.stderr.lines().count(), 3, "{output}");
    run(&sandbox, &["ask", "gone.jpg", "What?"]).exits(2);
    run(&sandbox, &["ask", "bad.jpg", "What?"]).exits(5);
    assert!(!sandbox.library().exists());
}

#[test]
fn in_a_pipe_it_is_a_line_each_with_a_tab() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    let json = run(&sandbox, &["caption", "./cat.jpg", "--json"]).exits(0).line();
    let text = run(&sandbox, &["caption", "./cat.jpg"]).exits(0).text();
    let (path, caption) = text.trim_end_matches('\n').split_once('\t').unwrap();
    assert_eq!(path, "./cat.jpg");
    let raw = json["caption"].as_str().unwrap();
    assert!(!caption.is_empty() && !caption.contains(char::is_control));
    assert_eq!(caption.is_empty(), raw.is_empty());
    let answer = run(&sandbox, &["ask", "cat.jpg", "What is it?"]).exits(0).text();
    assert_eq!(answer.matches('\n').count(), 1);
}

#[test]
fn captions_are_kept_found_at_once_and_cleared() {
    let sandbox = indexed();
    assert_eq!(caption_of(&sandbox, "cat.jpg"), None);
    let made = run(&sandbox, &["caption", "cat.jpg", "--json"]).exits(0).line();
    let kept = caption_of(&sandbox, "cat.jpg").unwrap();
    assert_eq!((&kept["caption"], &kept["by_hand"]), (&made["caption"], &json!(false)));
    assert!(kept["captioner"].is_string() && kept["written"].as_i64().unwrap() > 1_700_000_000);
    // With the user's words in front it is not a caption of the photo: it is shown and not kept.
    run(&sandbox, &["caption", "dog.jpg", "--prompt", "a photo of"]).exits(0);
    assert_eq!(caption_of(&sandbox, "dog.jpg"), None);

    sandbox.run(["caption", "set", "dog.jpg", "Rex under the blue Café table"]).exits(0);
    for query in ["Rex", "caption:rex", "caption:cafe", "\"blue café table\"", "caption:\"blue cafe\""] {
        let hits = sandbox.run(["search", query, "--json"]).exits(0).lines();
        let dog = hits.iter().find(|hit| hit["path"].as_str().unwrap().ends_with("dog.jpg"));
        assert_eq!(dog.unwrap()["caption"], "Rex under the blue Café table", "{query}");
    }
    assert_eq!(sandbox.run(["search", "caption:table", "--json"]).exits(0).names(), ["dog.jpg"]);
    assert!(!sandbox.run(["search", "--all", "--json", "--", "-caption:table"]).names().contains(&"dog.jpg".into()));
    let line = sandbox.run(["search", "caption:table"]).exits(0).text();
    assert!(line.ends_with("\tRex under the blue Café table\n"), "{line}");
    let sheet = sandbox.path("sheet.html");
    sandbox.run(["search", "caption:table", "--html", sheet.to_str().unwrap()]).exits(0);
    assert!(fs::read_to_string(sheet).unwrap().contains("Rex under the blue Café table"));
    let status = sandbox.status();
    assert_eq!((&status["captioned"], &status["captioned_by_hand"]), (&json!(2), &json!(1)));

    // A copy outside the library is the same photo.
    let copy = sandbox.path("copy.jpg");
    fs::copy(sandbox.photo("dog.jpg"), &copy).unwrap();
    let shown = sandbox.run(["caption", "show", copy.to_str().unwrap(), "cat.jpg"]).exits(0).text();
    assert!(shown.contains("Rex") && shown.lines().count() == 2, "{shown}");

    sandbox.run(["caption", "clear", "dog.jpg"]).exits(0);
    sandbox.run(["caption", "clear", "dog.jpg"]).exits(1);
    sandbox.run(["caption", "show", "dog.jpg"]).exits(1);
    sandbox.run(["search", "caption:table"]).exits(1);
    for args in [["caption", "set", "dog.jpg", " "], ["caption", "set", "nowhere.jpg", "x"]] {
        assert_ne!(sandbox.run(args).code(), 0);
    }
    sandbox.run(["check", "--full"]).exits(0);
}

#[test]
fn a_photo_of_the_library_is_looked_at_once() {
    let sandbox = indexed();
    let looks = |args: &[&str]| {
        let output = run(&sandbox, &[args, &["-v"]].concat()).exits(0);
        (output.stderr.matches("looked at").count(), output.text())
    };
    let (first, second) = (looks(&["ask", "cat.jpg", "What?"]), looks(&["ask", "cat.jpg", "What?"]));
    assert_eq!((first.0, second.0), (1, 0));
    assert_eq!(first.1, second.1);
    assert_eq!(looks(&["caption", "cat.jpg", "dog.jpg"]).0, 1);
    // After captioning, no photo needs to be encoded again, except for another model.
    run(&sandbox, &["index", "--captions"]).exits(0);
    assert_eq!(looks(&["caption", "cat.jpg", "dog.jpg", "owl.jpg", "panda.jpg"]).0, 0);
    assert_eq!(looks(&["ask", "owl.jpg", "What?", "--blip2", &other_blip2(&sandbox)]).0, 1);
    // Encodings of pictures outside the library are not kept.
    let outside = lossless();
    assert_eq!((looks(&["ask", &outside, "What?"]).0, looks(&["ask", &outside, "What?"]).0), (1, 1));
}

#[test]
fn what_was_written_by_hand_is_never_overwritten() {
    let sandbox = indexed();
    sandbox.run(["caption", "set", "owl.jpg", "Hedwig"]).exits(0);
    let by_hand = caption_of(&sandbox, "owl.jpg").unwrap();
    let output = run(&sandbox, &["caption", "owl.jpg"]).exits(0);
    assert!(output.stderr.contains("by hand: Hedwig"), "{output}");
    let summary = run(&sandbox, &["index", "--captions", "--json"]).exits(0).line();
    assert_eq!(
        (&summary["captioned"], &summary["caption_failed"], &summary["embedded"]),
        (&json!(3), &json!(0), &json!(0))
    );
    // Another model captions again only what the first has captioned.
    let other = other_blip2(&sandbox);
    let again = ["index", "--captions", "--recaption", "--json", "--blip2", &other];
    assert_eq!(sandbox.run(["index", "--captions", "--json", "--blip2", &other]).exits(0).line()["captioned"], 0);
    assert_eq!(sandbox.run(again).exits(0).line()["captioned"], 3);
    assert_eq!(sandbox.run(again).exits(0).line()["captioned"], 0);
    assert_eq!(caption_of(&sandbox, "owl.jpg").unwrap(), by_hand);
    // Once its caption is cleared, the photo is captioned again.
    sandbox.run(["caption", "clear", "owl.jpg"]).exits(0);
    assert_eq!(run(&sandbox, &["index", "--captions", "--json"]).exits(0).line()["captioned"], 1);
    assert_eq!(caption_of(&sandbox, "owl.jpg").unwrap()["by_hand"], false);
}

/// The random model with a changed config.json, so that it counts as another model.
fn other_blip2(sandbox: &Sandbox) -> String {
    let folder = sandbox.path("other-blip2");
    fs::create_dir_all(&folder).unwrap();
    for entry in fs::read_dir(random_blip2()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    let config = fs::read_to_string(folder.join("config.json")).unwrap();
    fs::write(folder.join("config.json"), config + "\n").unwrap();
    folder.to_str().unwrap().to_owned()
}

#[test]
fn captions_follow_indexing_newest_first_and_failures_are_told_once() {
    let sandbox = Sandbox::with_photos(&["cat", "dog", "owl", "panda", "koala"]);
    for (n, name) in ["owl", "cat", "koala", "dog", "panda"].iter().enumerate() {
        let time =
            std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000 - n as u64 * 86_400);
        fs::File::options().write(true).open(sandbox.photo(format!("{name}.jpg"))).unwrap().set_modified(time).unwrap();
    }
    sandbox.index().exits(0);
    // What is named is captioned, and nothing else.
    let other = fixture("reference/pictures");
    let index = ["index", other.to_str().unwrap(), "--captions", "--json"];
    let named = run(&sandbox, &index).exits(0).line();
    assert_eq!((&named["captioned"], &named["caption_failed"]), (&named["embedded"], &json!(0)));
    // A photo that has changed without a sign of it.
    let cat = sandbox.photo("cat.jpg");
    let (length, time) = (fs::metadata(&cat).unwrap().len(), fs::metadata(&cat).unwrap().modified().unwrap());
    fs::write(&cat, vec![0; length as usize]).unwrap();
    fs::File::options().write(true).open(&cat).unwrap().set_modified(time).unwrap();
    let index = ["index", "--captions", "--json"];
    let summary = run(&sandbox, &[&index[..], &["-v"]].concat()).exits(4);
    let line = summary.line();
    assert_eq!((&line["captioned"], &line["caption_failed"]), (&json!(4), &json!(1)), "{summary}");
    let told = summary.stderr.lines().filter(|line| line.contains("cat.jpg")).count();
    assert_eq!(told, 1, "{summary}");
    let order: Vec<usize> =
        ["owl.jpg", "koala.jpg", "dog.jpg", "panda.jpg"].map(|name| summary.stderr.find(name).unwrap()).to_vec();
    assert!(order.is_sorted(), "{summary}");
    // Everything is captioned, so there is nothing to do; the missing photo is tried again.
    let again = run(&sandbox, &index).exits(4).line();
    assert_eq!((&again["captioned"], &again["caption_failed"]), (&json!(0), &json!(1)));
}

#[test]
fn killed_while_captioning_nothing_is_lost_or_done_twice() {
    needs!("strace");
    let names = ["cat", "dog", "owl", "panda", "koala", "lemur", "horse", "sheep", "pig", "duck", "goose", "chicken"];
    let names: Vec<&str> = names.into_iter().filter(|name| fixture(&format!("photos/{name}.jpg")).is_file()).collect();
    let sandbox = Sandbox::with_photos(&names);
    for n in 0..40 {
        fs::write(sandbox.photo(format!("dot-{n}.png")), dot(n)).unwrap();
    }
    sandbox.index().exits(0);
    let total = sandbox.status()["photos"].as_u64().unwrap();
    assert!(total > 45);
    let all = || -> Vec<Value> {
        let mut photos: Vec<String> = fs::read_dir(sandbox.photos())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        photos.sort();
        let mut args = vec!["caption".to_owned(), "show".into(), "--json".into()];
        args.extend(photos);
        sandbox.run(args).lines()
    };
    let mut before: Vec<Value> = Vec::new();
    for (call, n) in [("pwrite64", 1), ("pwrite64", 20), ("fsync", 2), ("pwrite64", 40), ("fsync", 3)] {
        let mut traced = sandbox.command_of("strace");
        traced.env("SNAPSEEK_BLIP2", random_blip2());
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=SIGKILL:when={n}"));
        traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject, crate::support::PROGRAM]);
        traced.args(["index", "--captions", "--json"]);
        assert_eq!(finish(traced).code(), 137, "killed at {call} {n}");
        sandbox.run(["check", "--full"]).exits(0);
        let now = all();
        assert_eq!(now.len() as u64, captioned(&sandbox));
        assert!(before.iter().all(|caption| now.contains(caption)), "a caption was lost, or written again");
        before = now;
    }
    assert!(!before.is_empty() && (before.len() as u64) < total, "{} of {total} captioned", before.len());
    let rest = run(&sandbox, &["index", "--captions", "--json"]).exits(0).line();
    assert_eq!(rest["captioned"].as_u64().unwrap(), total - before.len() as u64);
    let now = all();
    assert!(now.len() as u64 == total && before.iter().all(|caption| now.contains(caption)));
}

#[test]
fn ctrl_c_keeps_the_captions_that_are_done() {
    let sandbox = Sandbox::new();
    let total = 400_u64;
    for n in 0..400 {
        fs::write(sandbox.photo(format!("dot-{n}.png")), dot(n)).unwrap();
    }
    sandbox.index().exits(0);
    let child = start(&mut command(&sandbox, &["index", "--captions", "--json"]));
    crate::crash::wait_until("the first captions are written", || captioned(&sandbox) > 0);
    crate::crash::signal(child.id(), "INT");
    let summary = Output::of(child).exits(130).line();
    let kept = captioned(&sandbox);
    assert_eq!((&summary["interrupted"], &summary["captioned"]), (&json!(true), &json!(kept)));
    assert!(kept < total, "{summary}");
    let rest = run(&sandbox, &["index", "--captions", "--json"]).exits(0).line();
    assert_eq!((&rest["captioned"], captioned(&sandbox)), (&json!(total - kept), total));
}

#[test]
fn two_captioners_at_once_are_refused_and_by_hand_works_meanwhile() {
    let sandbox = indexed();
    let lock = fs::File::create(sandbox.library().join("captions.lock")).unwrap();
    lock.lock().unwrap();
    let refused = run(&sandbox, &["index", "--captions"]).exits(5);
    assert!(refused.stderr.contains("captioned by another snapseek"), "{refused}");
    sandbox.run(["caption", "set", "cat.jpg", "Tom"]).exits(0);
    run(&sandbox, &["caption", "dog.jpg"]).exits(0);
    assert_eq!(captioned(&sandbox), 2);
    lock.unlock().unwrap(); // a program that another test starts may have it open
    assert_eq!(run(&sandbox, &["index", "--captions", "--json"]).exits(0).line()["captioned"], 2);
}

#[test]
fn hostile_captions_and_answers_drive_no_terminal() {
    needs!("script");
    let sandbox = indexed();
    sandbox.run(["caption", "set", "cat.jpg", &format!("zebra {PAYLOAD} <script>")]).exits(0);
    // The random model's answers contain control characters.
    let answer = run(&sandbox, &["caption", &lossless(), "--json"]).exits(0).line();
    assert!(answer["caption"].as_str().unwrap().contains(char::is_control), "{answer}");
    let (blip2, picture, sheet) = (random_blip2(), lossless(), sandbox.path("sheet.html"));
    let b = ["--blip2", &blip2];
    for args in [
        vec!["caption", "show", "cat.jpg"],
        vec!["caption", "show", "cat.jpg", "--json"],
        vec!["search", "caption:zebra"],
        vec!["search", "caption:zebra", "--json"],
        vec!["search", "caption:zebra", "--html", sheet.to_str().unwrap()],
        vec!["similar", "dog.jpg"],
        vec!["caption", "cat.jpg", b[0], b[1]],
        vec!["caption", &picture, b[0], b[1]],
        vec!["caption", &picture, b[0], b[1], "--json"],
        vec!["ask", &picture, "What is it?", b[0], b[1]],
        vec!["ask", &picture, PAYLOAD, b[0], b[1], "--json"],
        vec!["ask", &picture, PAYLOAD, b[0], b[1], "--temperature", "2"],
        vec!["index", "--captions", "-v", b[0], b[1]],
    ] {
        let args: Vec<&OsStr> = args.into_iter().map(OsStr::new).collect();
        let bytes = on_a_terminal(&sandbox, &args, false);
        assert!(!bytes.is_empty());
        assert!(!foreign(&bytes, true).contains(is_control), "{args:?}: {}", bytes.escape_ascii());
    }
    let page = fs::read_to_string(sheet).unwrap();
    assert!(page.contains("\\x1b]0;owned") && page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
    // In a pipe a caption is one line, without other control characters.
    let piped = run(&sandbox, &["caption", "show", "cat.jpg"]).exits(0).text();
    assert_eq!(piped.matches(is_control).count(), 2, "a tab and a line end: {piped:?}");
}

#[test]
fn captions_of_folders_and_queries_are_written_and_cleared() {
    let sandbox = Sandbox::with_photos(&["cat", "dog", "owl"]);
    fs::create_dir(sandbox.photo("trip")).unwrap();
    fs::rename(sandbox.photo("dog.jpg"), sandbox.photo("trip/dog.jpg")).unwrap();
    sandbox.index().exits(0);
    let lines = run(&sandbox, &["caption", "trip", "owl.jpg", "--json"]).exits(0).lines();
    assert_eq!(lines.len(), 2);
    sandbox.run(["caption", "set", "owl.jpg", "an", "owl", "in", "the", "garden"]).exits(0);
    sandbox.run(["caption", "set", "cat.jpg", "a cat"]).exits(0);
    assert_eq!(sandbox.run(["caption", "clear", "trip", "--yes", "--json"]).exits(0).line()["cleared"], 1);
    // A query may match more than was meant: nothing is removed unasked.
    let refused = sandbox.run(["caption", "clear", "has:caption"]).exits(2);
    assert!(refused.stderr.contains("2 captions (2 by hand)") && refused.stderr.contains("owl.jpg"), "{refused}");
    let replaced = sandbox.run(["caption", "set", "owl.jpg", "another"]).exits(0);
    assert!(replaced.stderr.contains("it replaces: an owl in the garden"), "{replaced}");
    let same = fixture("photos/cat.jpg");
    let other = sandbox.run(["caption", "set", same.to_str().unwrap(), "Tom"]).exits(0);
    assert!(other.stderr.contains("cat.jpg too, which shows the same picture"), "{other}");
    assert_eq!(sandbox.run(["caption", "clear", "has:caption", "--yes", "--json"]).exits(0).line()["cleared"], 2);
    sandbox.run(["caption", "clear", "has:caption"]).exits(1);
}
