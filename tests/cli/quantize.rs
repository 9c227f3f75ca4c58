//! `models quantize`: a smaller form that is made once, chosen automatically, and never left incomplete.

use crate::support::{Output, Sandbox, finish, fixture, random_blip2};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// A copy of the random BLIP-2, so that it can be changed.
fn copy(sandbox: &Sandbox) -> String {
    let folder = sandbox.path("my blip2");
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir(random_blip2()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    folder.to_str().unwrap().to_owned()
}

fn tokens(sandbox: &Sandbox, blip2: &str, more: &[&str]) -> Value {
    let picture = fixture("reference/pictures/l-portrait.bmp");
    let args = ["caption", picture.to_str().unwrap(), "--json", "--blip2", blip2];
    sandbox.run(args.iter().chain(more)).exits(0).line()["tokens"].clone()
}

/// The folder that a command loads its model from.
fn used(sandbox: &Sandbox, blip2: &str, more: &[&str]) -> String {
    let picture = fixture("reference/pictures/i-one-pixel.png");
    let args = ["caption", picture.to_str().unwrap(), "-v", "--blip2", blip2];
    let said = sandbox.run(args.iter().chain(more)).exits(0).stderr;
    said.lines().next().unwrap().split_once(" in ").unwrap().1.to_owned()
}

fn forms(sandbox: &Sandbox) -> Vec<Value> {
    let models = sandbox.run(["models", "list", "--json"]).exits(0).lines();
    models.into_iter().filter(|model| model["kind"] == "blip2").collect()
}

fn quantized(sandbox: &Sandbox) -> PathBuf {
    sandbox.path("home/cache/snapseek/quantized")
}

fn left_behind(sandbox: &Sandbox) -> Vec<String> {
    let names = fs::read_dir(quantized(sandbox)).into_iter().flatten();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "lock").collect()
}

#[test]
fn forms_are_made_listed_and_chosen() {
    let sandbox = Sandbox::new();
    let blip2 = copy(&sandbox);
    let exact = tokens(&sandbox, &blip2, &[]);
    sandbox.add("cat");
    let missing = sandbox.run(["caption", "cat.jpg", "--blip2", &blip2, "--precision", "q8"]).exits(3);
    assert!(missing.stderr.contains("models quantize") && missing.stderr.contains("--bits 8"), "{missing}");

    let made = sandbox.run(["models", "quantize", &blip2, "--bits", "8", "--json"]).exits(0).line();
    assert_eq!((&made["precision"], &made["name"]), (&json!("q8"), &json!(blip2)));
    let before: u64 = made["bytes_before"].as_u64().unwrap();
    assert!(made["bytes"].as_u64().unwrap() < before * 2 / 3, "{made}");
    assert_eq!(used(&sandbox, &blip2, &[]), made["path"].as_str().unwrap(), "a form is taken where there is one");
    assert_eq!(used(&sandbox, &blip2, &["--precision", "full"]), blip2);
    let text = sandbox.run(["models", "quantize", &blip2]).exits(0).text();
    assert!(text.contains(" MB became ") && text.contains("-q4"), "{text}");
    assert!(used(&sandbox, &blip2, &[]).ends_with("-q4"), "the smaller one is taken first");
    assert!(used(&sandbox, &blip2, &["--precision", "q8"]).ends_with("-q8"));
    assert_eq!(tokens(&sandbox, &blip2, &["--precision", "full"]), exact);
    for precision in ["q4", "q8", "auto"] {
        assert_eq!(tokens(&sandbox, &blip2, &["--precision", precision]).as_array().unwrap().len(), 20);
    }
    let listed: Vec<(Value, Value)> =
        forms(&sandbox).into_iter().map(|form| (form["name"].clone(), form["precision"].clone())).collect();
    assert_eq!(listed, [(json!(blip2), json!("q4")), (json!(blip2), json!("q8"))]);

    // A form is a model folder like any other.
    let folder = made["path"].as_str().unwrap();
    assert_eq!(tokens(&sandbox, folder, &[]), tokens(&sandbox, &blip2, &["--precision", "q8"]));
    sandbox.run(["caption", "x.jpg", "--blip2", folder, "--precision", "full"]).exits(2);
    sandbox.run(["models", "quantize", folder]).exits(2);
    sandbox.run(["models", "quantize", "starter"]).exits(3);
    sandbox.run(["models", "quantize", &crate::support::random_clip()]).exits(2);
    sandbox.run(["models", "quantize", &blip2, "--bits", "5"]).exits(2);

    // If the model changes, the old form is not used; if the model is gone, the form is all that is needed.
    let config = Path::new(&blip2).join("config.json");
    fs::write(&config, fs::read_to_string(&config).unwrap() + "\n").unwrap();
    assert_eq!(used(&sandbox, &blip2, &[]), blip2, "a form of what it was before is not taken");
    sandbox.run(["models", "quantize", &blip2]).exits(0);
    assert!(used(&sandbox, &blip2, &[]).ends_with("-q4"));
    assert_eq!(forms(&sandbox).len(), 2, "the old q4 went");
    fs::remove_dir_all(&blip2).unwrap();
    assert!(used(&sandbox, &blip2, &[]).ends_with("-q4"), "the form is all that is needed");
}

#[test]
fn a_damaged_form_is_not_used() {
    let sandbox = Sandbox::new();
    let blip2 = copy(&sandbox);
    let made = sandbox.run(["models", "quantize", &blip2, "--json"]).exits(0).line();
    let gguf = Path::new(made["path"].as_str().unwrap()).join("model.gguf");
    let mut bytes = fs::read(&gguf).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&gguf, bytes).unwrap();
    let picture = fixture("reference/pictures/i-one-pixel.png");
    let refused = sandbox.run(["caption", picture.to_str().unwrap(), "--blip2", &blip2]).exits(5);
    assert!(refused.stderr.contains("damaged") && refused.stderr.contains("models quantize"), "{refused}");
    sandbox.run(["models", "quantize", &blip2]).exits(0);
    tokens(&sandbox, &blip2, &[]);
}

#[test]
fn interrupted_or_killed_nothing_half_is_left() {
    needs!("strace");
    let sandbox = Sandbox::new();
    let blip2 = copy(&sandbox);
    let traced = |inject: &str| -> Output {
        let mut command = sandbox.command_of("strace");
        let call = inject.split(':').next().unwrap();
        command.args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={call}"),
            "-e",
            &format!("inject={inject}"),
        ]);
        command.args([crate::support::PROGRAM, "models", "quantize", &blip2, "--bits", "8"]);
        finish(command)
    };
    // Ctrl-C while the first file is copied, before the weights: a delay gives the program time to notice.
    let stopped = traced("copy_file_range:signal=SIGINT:delay_exit=300000:when=1").exits(130);
    assert!(stopped.stderr.contains("the partial result was removed"), "{stopped}");
    assert_eq!(left_behind(&sandbox), Vec::<String>::new());
    assert!(forms(&sandbox).is_empty());
    assert_eq!(traced("fsync:signal=SIGKILL:when=1").code(), 137);
    assert!(forms(&sandbox).is_empty(), "what was not finished is no form");
    assert_eq!(left_behind(&sandbox).len(), 1);
    sandbox.run(["models", "quantize", &blip2, "--bits", "8"]).exits(0);
    assert_eq!(left_behind(&sandbox).len(), 1, "the next run clears up");
    assert_eq!(forms(&sandbox).len(), 1);
}

#[test]
fn two_at_once_do_no_harm() {
    let sandbox = Sandbox::new();
    let blip2 = copy(&sandbox);
    fs::create_dir_all(quantized(&sandbox)).unwrap();
    let lock = fs::File::create(quantized(&sandbox).join("lock")).unwrap();
    lock.lock().unwrap();
    let refused = sandbox.run(["models", "quantize", &blip2]).exits(5);
    assert!(refused.stderr.contains("another snapseek"), "{refused}");
    lock.unlock().unwrap(); // a program that another test starts may have it open
    sandbox.run(["models", "quantize", &blip2]).exits(0);
}
