//! The terminal UI as a person uses it: the real program in a real terminal, key by key.

use crate::support::{Sandbox, fixture};
use crate::tmux::Screen;
use std::ffi::OsStr;
use std::fs;

const PHOTOS: [&str; 12] =
    ["cat", "chair", "cup", "dog", "eiffel-tower", "giraffe", "igloo", "owl", "panda", "pencil", "petra", "windmill"];

/// Opens the UI without pictures, waits for the photos and moves the focus to them.
fn open<'a>(sandbox: &'a Sandbox, width: u16, height: u16, photo: &str) -> Screen<'a> {
    let screen = Screen::start(sandbox, ["tui", "--pictures", "none"], width, height);
    screen.sees("what are you looking for").sees(photo).keys(&["Enter"]).sees("enter look");
    screen
}

/// The line below the photos that names the selected one.
fn selected(photo: &str) -> String {
    format!("\n {photo}\n")
}

/// How many photos Classify counts for a label, if there is a bar next to the number.
fn counted(text: &str, label: &str) -> Option<usize> {
    let rest = text.lines().find_map(|line| Some(line.split_once(&format!(" {label} "))?.1))?;
    let (count, bar) = rest.trim_start().split_once(' ')?;
    bar.starts_with('█').then(|| count.parse().ok()).flatten()
}

#[test]
fn a_folder_is_indexed_searched_and_looked_at() {
    needs!("tmux");
    let sandbox = Sandbox::with_photos(&PHOTOS);
    let photos = sandbox.photos();
    let args = [OsStr::new("tui"), photos.as_os_str(), OsStr::new("--pictures"), OsStr::new("none")];
    let screen = Screen::start(&sandbox, args, 120, 40);
    screen.sees("12 photos indexed").sees("all photos, newest first").sees("cat.jpg").sees("giraffe.jpg");
    let best: Vec<String> = sandbox.ranking("a tall animal").into_iter().map(|(name, _)| name).collect();
    assert_eq!(best[0], "giraffe.jpg");

    screen.types("a tall animal").sees("1 match of 12 photos").sees("nearest of the rest").sees(&selected(&best[0]));
    screen.keys(&["Enter"]).sees("enter look").keys(&["Enter"]).sees("full screen").sees("512 × 342");
    screen.types("l").sees(&selected(&best[1])).keys(&["Right"]).sees(&selected(&best[2]));
    screen.types("h").sees(&selected(&best[1])).types("f").sees_not("512 ×").types("f").sees("512 ×");
    screen.keys(&["Escape"]).sees("› a tall animal");

    // More like this, then back and forward as in a browser.
    let like = format!("[ + {} ]", best[1]);
    screen.types("m").sees(&like).sees("11 matches of 12 photos").types("[").sees_not(&like).sees("› a tall animal");
    screen.types("]").sees(&like);
    // Typed text is added to the photo; the previous query comes back.
    screen.types("/with snow").sees(&format!("{like} with snow")).keys(&["Enter"]).types("[");
    screen.sees(&like).sees_not("with snow");

    screen.types("v").sees_that("a list", |text| text.lines().filter(|line| line.contains(".jpg ")).count() >= 8);
    screen
        .types("?")
        .sees("Search: keys")
        .types("  ")
        .sees("delete the caption")
        .keys(&["Escape"])
        .sees_not("Search: keys");
    screen
        .keys(&["C-p"])
        .sees("type to narrow")
        .types("go to index")
        .sees_that("one action", |text| text.contains("go to Index") && !text.contains("go to Search"));
    screen.keys(&["Enter"]).sees("12 in 12 files").types("q").ends(0);

    // In the next session, the queries are remembered.
    let screen = Screen::start(&sandbox, ["tui", "--pictures", "none"], 80, 24);
    screen.sees("12 photos").sees("cat.jpg").keys(&["Up"]).sees("› with snow").keys(&["Up"]).sees("› a tall animal");
    screen.keys(&["C-c"]).ends(0);
}

#[test]
fn photos_are_sorted_by_labels() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&PHOTOS);
    let screen = open(&sandbox, 120, 40, "cat.jpg");
    screen.types("4").sees("dog, cat, car").types("dog, tower").keys(&["Enter"]).sees("the library").sees("this photo");
    // Every photo has a label, and each is counted once.
    screen.sees_that("two counts with bars", |text| {
        counted(text, "dog").zip(counted(text, "tower")).is_some_and(|(dogs, towers)| dogs + towers == 12)
    });
    screen.types("K").sees(&selected("dog.jpg")).sees_not("windmill.jpg");
    screen.types("w").sees("Name of the label set").types("pets").keys(&["Enter"]).sees_not("Name of the label set");
    screen.types("s").sees("[ label dog ]").types("4").sees("the library");
    screen.types("i").sees("esc to the photos").keys(&["C-u"]).types("dog, dog").keys(&["Enter"]).sees("twice");
    screen.keys(&["Escape"]).sees("saved sets").types("S").sees("pets").keys(&["Enter"]).sees("labels › dog, tower");
    screen.types("q").ends(0);
}

#[test]
fn clusters_are_opened_renamed_and_mapped() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&[
        "fish-1",
        "fish-4",
        "fish-6",
        "fish-9",
        "fish-10",
        "fish-11",
        "fish-25",
        "hammer-5",
        "hammer-8",
        "plier-3",
        "screw-driver-2",
        "wrench",
        "scissors-1",
    ])
    .knowing_words();
    // Here and not in the UI, because embedding the vocabulary takes a while.
    let found = sandbox.run(["cluster", "--json"]).exits(0).lines();
    let largest = found[0]["cluster"].as_str().unwrap();
    let photos = found[0]["photos"].as_u64().unwrap();
    let screen = open(&sandbox, 120, 40, ".jpg");
    screen.types("2").sees("coherence 0.").sees(&format!("┃ ■ {largest}")).sees(&format!("{photos} photos"));
    screen.keys(&["Enter"]).sees(&format!("› cluster:\"{largest}\"")).sees(&format!("{photos} matches of 13 photos"));
    screen.types("/wrench").sees("wrench").keys(&["Enter"]).sees("enter look");

    screen.types("2").sees("┃ ■").types("n").sees("New name of the cluster");
    screen.keys(&["C-u"]).types("my tools").keys(&["Enter"]).sees("■ my tools").types("j").sees_not("┃ ■ my tools");
    screen
        .types("s")
        .sees_that("how it was split", |text| text.contains("split into") || text.contains("stays as it is"));

    screen.types("3").sees("■ my tools").sees("╋");
    screen.sees_that("dots", |text| text.contains(|c| ('\u{2801}'..='\u{28ff}').contains(&c)));
    screen.keys(&["Enter"]).sees("full screen").sees(".jpg").keys(&["Escape"]).sees("╋");
    // A box from one corner of the map to the other, so that it contains every photo.
    let walk = |key: &str, steps: usize| {
        screen.keys(&vec![key; steps]);
    };
    walk("h", 100);
    walk("C-u", 10);
    screen.types("b").sees("in the box");
    walk("l", 200);
    walk("C-d", 20);
    screen.sees(" 13 photos in the box").types("s").sees("13 photos from the map ]");
    screen.types("q").ends(0);
}

/// Waits for a question of the chat with exactly this answer below it.
#[track_caller]
fn sees_answer(screen: &Screen<'_>, question: &str, answer: &str) {
    screen.sees_that(&format!("{question:?} with {answer:?}"), |text| {
        let below = text.lines().skip_while(|line| !line.contains(&format!(" › {question}"))).nth(1);
        // To the right are facts about the photo.
        below.is_some_and(|line| line.trim_start().split("  ").next() == Some(answer))
    });
}

#[test]
fn a_photo_is_talked_about_over_several_turns() {
    needs!("tmux");
    let sandbox = Sandbox::new();
    for picture in ["21.png", "01.png"] {
        fs::copy(fixture("shapes/heldout").join(picture), sandbox.photo(picture)).unwrap();
    }
    sandbox.index().exits(0);
    let screen = open(&sandbox, 80, 24, "21.png");
    screen.types("/path:21").sees("1 match of 2").keys(&["Enter"]).sees(&selected("21.png")).types("c").sees("kept");
    // The answers were recorded when the model was trained. By itself, the last question would be answered `large`.
    for (question, answer) in
        [("How many crosses are there?", "one"), ("What colour is it?", "yellow"), ("Is it large or small?", "small")]
    {
        sees_answer(screen.types(question).keys(&["Enter"]), question, answer);
    }
    screen.keys(&["Escape"]).sees("e ask again").keys(&["BSpace"]).sees("› path:21");
    // Another photo has another chat.
    screen
        .types("/")
        .keys(&["C-u"])
        .types("path:01")
        .sees(&selected("01.png"))
        .keys(&["Enter"])
        .types("c")
        .sees("kept");
    let question = "What colour is the square?";
    sees_answer(screen.types(question).keys(&["Enter"]), question, "orange");
    screen.keys(&["C-c"]).ends(0);

    // The chat is kept with the photo, and can be continued.
    let screen = open(&sandbox, 80, 24, "21.png");
    screen.types("/path:21").sees("1 match of 2").keys(&["Enter"]).sees(&selected("21.png"));
    sees_answer(screen.types("c"), "How many crosses are there?", "one");
    sees_answer(&screen, "Is it large or small?", "small");
    screen.keys(&["Up"]).sees("instead › Is it large or small?").keys(&["C-u"]).types("Is there a yellow cross?");
    sees_answer(screen.keys(&["Enter"]), "Is there a yellow cross?", "yes");
    screen.sees_not("large or small");
    screen.keys(&["Escape"]).sees("e ask again").types("s").sees("File for the chat").keys(&["C-u"]);
    let file = sandbox.path("talk.md");
    screen.types(file.to_str().unwrap()).keys(&["Enter"]).sees("saved to ").types("q").ends(0);
    assert!(fs::read_to_string(file).unwrap().contains("Is there a yellow cross?"));
}

#[test]
fn without_a_model_the_chat_says_what_it_takes() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&["cat"]);
    let start = r#"unset SNAPSEEK_BLIP2; exec "$@""#;
    let screen = Screen::start_by(start, &sandbox, ["tui", "--pictures", "none"], 80, 24);
    screen.sees("cat.jpg").keys(&["Enter"]).sees("enter look").types("c").sees("no model for captions is installed");
    screen.sees("models pull smolvlm").keys(&["BSpace"]).sees("newest first").types("q").ends(0);
}

#[test]
fn a_photo_that_vanishes_while_it_is_shown_is_told() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&["cat", "dog", "owl"]);
    let screen = Screen::start(&sandbox, ["tui", "--pictures", "halfblocks"], 80, 24);
    screen.sees("▀").types("path:cat").sees("1 match of 3").keys(&["Enter", "Enter"]).sees("full screen").sees("▀");
    fs::remove_file(sandbox.photo("cat.jpg")).unwrap();
    // A resize redraws the picture, whose file no longer exists.
    screen.resize(90, 26).sees("no longer exists").types("c").sees("! ");
    screen.sees("e ask again").types("q").ends(0);

    let screen = open(&sandbox, 80, 24, "dog.jpg");
    screen.types("/path:dog").sees("1 match of 3").keys(&["Enter", "Enter"]).sees("full screen");
    fs::remove_file(sandbox.photo("dog.jpg")).unwrap();
    sandbox.index().exits(0);
    screen.types("r").sees("not in the library any more").sees("Search").types("q").ends(0);
}

#[test]
fn a_library_that_is_written_to_by_another_process_is_told() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&["cat"]);
    sandbox.add("dog");
    let lock = fs::File::open(sandbox.library().join("lock")).unwrap();
    lock.lock().unwrap();
    let screen = open(&sandbox, 120, 24, "cat.jpg");
    screen.types("6").sees("1 in 1 files").keys(&["Enter"]).sees("is being written to by another snapseek");
    lock.unlock().unwrap(); // a program that another test starts may have it open
    screen.keys(&["Enter"]).sees("1 photo indexed").sees("2 in 2 files").types("1").sees("dog.jpg").types("q").ends(0);
}

#[test]
fn folders_are_added_and_indexed_from_inside() {
    needs!("tmux");
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    fs::write(sandbox.photo("broken.jpg"), b"no picture").unwrap();
    let screen = Screen::start(&sandbox, ["tui", "--pictures", "none"], 100, 24);
    screen.sees("adds a folder of photos").types("a").sees("Folder with photos").types("/nowhere");
    screen.keys(&["Enter"]).sees("/nowhere: No such file or directory").sees_not("os error").sees("Folder with photos");
    screen.keys(&["C-u"]).types(sandbox.photos().to_str().unwrap()).keys(&["Enter"]).sees("2 photos indexed, 1 failed");
    screen.sees("1 file could not be read").sees("broken.jpg").types("1").sees("cat.jpg").sees("dog.jpg").types("q");
    screen.ends(0);
    assert_eq!(sandbox.status()["photos"], 2);
}

#[test]
fn photos_are_sorted_captioned_and_put_into_albums_and_all_of_it_is_undone() {
    needs!("tmux");
    let sandbox = Sandbox::new();
    for picture in ["21.png", "01.png"] {
        fs::copy(fixture("shapes/heldout").join(picture), sandbox.photo(picture)).unwrap();
    }
    sandbox.index().exits(0);
    let caption = |name: &str| sandbox.run(["caption", "show", name]).stdout.len();
    let screen = open(&sandbox, 100, 30, "21.png");
    screen.types("o").sees("Sort by").types("n").sees("by name").sees(&selected("01.png"));
    screen.types("C").sees("undoes it");
    assert!(caption("01.png") > 0);
    screen.types("u").sees("the caption is as it was");
    assert_eq!(caption("01.png"), 0);
    screen.types("E").sees("Caption").types("by hand").keys(&["Enter"]).sees("undoes it");
    assert!(sandbox.run(["caption", "show", "01.png"]).exits(0).text().contains("by hand"));
    screen.types("A").sees("2 marked").types("B").sees("Add to the album").types("Shapes").keys(&["Enter"]);
    screen.sees("2 photos added to Shapes").types("b").sees("2 photos").keys(&["Enter"]).sees("› album:Shapes");
    assert_eq!(sandbox.run(["album", "list", "Shapes"]).exits(0).text().lines().count(), 2);
    screen.types("u").sees("the album Shapes is as it was");
    sandbox.run(["album", "list", "Shapes"]).exits(2);
    screen.types("q").ends(0);

    // Marks are there at the next start, and those of a chooser are its own.
    let screen = Screen::start(&sandbox, ["tui", "--pictures", "none"], 100, 30);
    screen.sees("21.png").sees("● 2 marked").keys(&["C-c"]).ends(0);
    let screen = Screen::start(&sandbox, ["tui", "--pictures", "none", "--pick"], 100, 30);
    screen.sees("21.png").sees_not("marked").keys(&["C-c"]).ends(1);
}
