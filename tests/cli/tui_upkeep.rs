//! The terminal UI as a person uses it to look after a library: copies, models, text, undoing.

use crate::hub::{Fault, Hub, NAME, files_of};
use crate::support::{Sandbox, fixture, random_clip};
use crate::tmux::Screen;
use crate::vision_language::install;
use std::fs;

const PLAIN: [&str; 3] = ["tui", "--pictures", "none"];

#[test]
fn the_script_for_copies_keeps_what_was_chosen() {
    needs!("tmux");
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    fs::copy(sandbox.photo("cat.jpg"), sandbox.photo("cat copy.jpg")).unwrap();
    let half = image::open(sandbox.photo("dog.jpg")).unwrap();
    half.resize(256, 256, image::imageops::FilterType::Triangle).save(sandbox.photo("small dog.jpg")).unwrap();
    sandbox.index().exits(0);
    let screen = Screen::start(&sandbox, PLAIN, 120, 40);
    screen.sees("dog.jpg").keys(&["Enter"]).sees("enter look").types("7").sees("2 groups; 2 of 4 files go");
    // The other one of the cats; the dogs as they are proposed.
    screen.sees("same content").sees("of the pixels");
    let shown = screen.text();
    let cats_first = shown.find("same content") < shown.find("of the pixels");
    if !cats_first {
        screen.types("j");
    }
    screen.types("lo").sees("keep, by hand");
    let script = sandbox.path("tidy.sh");
    screen.types("w").sees("File for the script").keys(&["C-u"]);
    screen.types(script.to_str().unwrap()).keys(&["Enter"]).sees("moves 2 files to the trash");
    screen.types("q").ends(0);
    let mut run = sandbox.command_of("sh");
    run.arg(&script);
    crate::support::finish(run).exits(0);
    let left = fs::read_dir(sandbox.photos()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = left.collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.contains(&"dog.jpg".to_owned()) && left.iter().any(|name| name.starts_with("cat")), "{left:?}");
}

#[test]
fn a_download_is_cancelled_and_goes_on_later() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&["cat"]);
    let hub = Hub::serving(files_of(random_clip()), Fault::Stall);
    let start = format!("unset SNAPSEEK_OFFLINE; HF_ENDPOINT={} exec \"$@\"", hub.address());
    let screen = Screen::start_by(&start, &sandbox, PLAIN, 120, 40);
    screen.sees("cat.jpg").keys(&["Enter"]).sees("enter look");
    screen.types(":").sees("type to narrow").types(&format!("pull {NAME}")).keys(&["Enter"]);
    screen.sees("Download the model").types("yes").keys(&["Enter"]).types("8").sees("To download");
    screen.sees("model.safetensors").types("x").sees("stopped: what has come").types("q").ends(0);
    hub.pull(&sandbox).exits(0);
    let starts = hub.starts();
    assert!(starts.len() >= 2 && starts.last().is_some_and(|first| *first > 0), "it goes on: {starts:?}");
}

#[test]
fn the_text_in_a_photo_is_read_deleted_and_back() {
    needs!("tmux");
    let sandbox = Sandbox::new();
    let name = "06-sign.jpg".to_owned();
    fs::copy(fixture("text/06-sign.jpg"), sandbox.photo(&name)).unwrap();
    sandbox.index().exits(0);
    let texts = || sandbox.run(["search", "has:text", "--json"]).names();
    let screen = Screen::start(&sandbox, PLAIN, 120, 40);
    screen.sees(&name).keys(&["Enter"]).sees("enter look").types("W").sees("the text in this photo is read");
    assert_eq!(texts(), std::slice::from_ref(&name));
    screen.types(":clear-text").keys(&["Enter"]).sees("the text is deleted");
    assert!(texts().is_empty());
    screen.types("u").sees("the text is as it was");
    assert_eq!(texts(), [name]);
    screen.types("q").ends(0);
}

#[test]
fn the_captioner_is_chosen_among_those_that_are_installed() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&["cat"]);
    for repo in ["HuggingFaceTB/SmolVLM-500M-Instruct", "HuggingFaceTB/SmolVLM-256M-Instruct"] {
        install(&sandbox, repo, &fixture("models/smolvlm-shapes").to_string_lossy());
    }
    let writes_here = |screen: &Screen<'_>, name: &str| {
        screen.sees("writes here");
        let shown = screen.text();
        let writes = |line: &&str| line.split_whitespace().next() == Some(name) && line.contains("writes here");
        assert_eq!(shown.lines().filter(writes).count(), 1, "{name}: {shown}");
    };
    let start = r#"unset SNAPSEEK_BLIP2; exec "$@""#;
    let screen = Screen::start_by(start, &sandbox, PLAIN, 120, 40);
    screen.sees("cat.jpg").keys(&["Enter"]).sees("enter look").types("8");
    writes_here(&screen, "smolvlm");
    screen.types("j").sees("in place of smolvlm").keys(&["Enter"]);
    screen.sees("smolvlm-256m writes captions and answers in this library; u undoes it");
    writes_here(&screen, "smolvlm-256m");
    screen.types("1").sees("enter look").types("c").sees("Ask smolvlm-256m about this photo");
    // That it is undone is said until the chat says who answers now.
    screen.keys(&["Escape"]).types("u").sees("Ask smolvlm about this photo");
    screen.keys(&["C-r"]).sees("Ask smolvlm-256m about this photo").types("q").ends(0);
    let screen = Screen::start_by(start, &sandbox, PLAIN, 120, 40);
    screen.sees("cat.jpg").keys(&["Enter"]).sees("enter look").types("8");
    writes_here(&screen, "smolvlm-256m");
    screen.types("q").ends(0);
    // What is named when it starts counts, until another one is chosen.
    let named = ["tui", "--pictures", "none", "--captioner", "smolvlm"];
    let screen = Screen::start_by(start, &sandbox, named, 120, 40);
    screen.sees("cat.jpg").keys(&["Enter"]).sees("enter look").types("8");
    writes_here(&screen, "smolvlm");
    screen
        .types("jj")
        .sees("as the command line or the config say")
        .types("k")
        .keys(&["Enter"])
        .sees("as long as this runs");
    writes_here(&screen, "smolvlm-256m");
    screen.types("q").ends(0);
}

#[test]
fn filters_are_counted_within_the_query() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&["fish-1", "fish-6", "cat"]);
    let screen = Screen::start(&sandbox, PLAIN, 120, 40);
    screen.sees("cat.jpg").types("path:fish ").sees("2 matches").keys(&["Enter"]).sees("enter look");
    screen.types("Fhh").sees("within the query's filters").sees("jpeg");
    let shown = screen.text();
    let jpegs = |line: &&str| line.contains("jpeg") && line.split_whitespace().any(|word| word == "2");
    assert_eq!(shown.lines().filter(jpegs).count(), 1, "{shown}");
    screen.keys(&["Enter"]).sees("path:fish format:jpeg").sees("2 matches").types("F").sees("in place of format:jpeg");
    screen.keys(&["Escape"]).types("q").ends(0);
}
