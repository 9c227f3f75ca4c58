//! The terminal UI as a person uses it to look after a library: copies, models, text, undoing.

use crate::hub::{Fault, Hub, NAME, files_of};
use crate::support::{Sandbox, fixture, random_clip};
use crate::tmux::Screen;
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
