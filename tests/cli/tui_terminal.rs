//! The terminal UI and the terminal: the terminal is always restored, and receives nothing that it should not.

use crate::hostile_names::hostile_sandbox;
use crate::support::{Sandbox, fixture};
use crate::terminal::{PAYLOAD, is_control};
use crate::tmux::Screen;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;

const PLAIN: [&str; 3] = ["tui", "--pictures", "none"];

/// Every place: the keys that open it from the photos, and what it shows.
const PLACES: [(&[&str], &str); 9] = [
    (&[], "enter look"),
    (&["Enter"], "full screen"),
    (&["2"], "Looking for groups"),
    (&["3"], "The map is being laid out"),
    (&["4"], "dog, cat, car"),
    (&["c"], "kept"),
    (&["6"], "10 in 10 files"),
    (&["?"], "Search: keys"),
    (&["C-p"], "type to narrow"),
];

fn ends_by(signal: &str) {
    // Enough photos for clusters: finding names for them the first time takes longer than this test.
    let photos = ["cat", "chair", "cup", "dog", "giraffe", "igloo", "owl", "panda", "petra", "windmill"];
    let sandbox = Sandbox::indexed(&photos);
    for (keys, shows) in PLACES {
        let screen = Screen::start(&sandbox, PLAIN, 100, 30);
        screen.sees("cat.jpg").keys(&["Enter"]).sees("enter look");
        if !keys.is_empty() {
            screen.keys(keys);
        }
        screen.sees(shows).signal(signal).ends(130);
    }
    // Also while a query is typed.
    let screen = Screen::start(&sandbox, PLAIN, 80, 24);
    screen.sees("cat.jpg").types("half a quer").sees("› half a quer").signal(signal).ends(130);
}

#[test]
fn a_terminate_signal_gives_the_terminal_back_everywhere() {
    needs!("tmux");
    ends_by("TERM");
}

#[test]
fn a_hangup_gives_the_terminal_back_everywhere() {
    needs!("tmux");
    ends_by("HUP");
}

#[test]
fn a_signal_while_indexing_keeps_what_is_done() {
    needs!("tmux");
    let sandbox = Sandbox::new();
    for file in fs::read_dir(fixture("photos")).unwrap() {
        let file = file.unwrap().path();
        if file.extension() == Some(OsStr::new("jpg")) {
            fs::copy(&file, sandbox.photo(file.file_name().unwrap())).unwrap();
        }
    }
    let total = fs::read_dir(sandbox.photos()).unwrap().count() as u64;
    let photos = sandbox.photos();
    let args = [OsStr::new("tui"), photos.as_os_str(), OsStr::new("--pictures"), OsStr::new("none")];
    let screen = Screen::start(&sandbox, args, 100, 24);
    screen.sees(" a second").signal("TERM").ends(130);
    sandbox.run(["check", "--full"]).exits(0);
    let summary = sandbox.index().exits(0).line();
    let (unchanged, embedded) = (summary["unchanged"].as_u64().unwrap(), summary["embedded"].as_u64().unwrap());
    assert!(embedded > 0 && unchanged + embedded == total, "{summary}");
}

#[test]
fn the_shell_gets_the_terminal_and_gives_it_back() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&["cat"]);
    let screen = Screen::start(&sandbox, PLAIN, 100, 30);
    screen.sees("cat.jpg").types("a whisk").sees("› a whisk").keys(&["C-z"]).stops();
    // In another size.
    screen.resize(72, 20).keys(&["Enter"]).sees("› a whisk").types("ered animal").sees("› a whiskered animal");
    screen.keys(&["Enter"]).sees("enter look").types("6").sees("1 in 1 files").keys(&["C-z"]).stops();
    screen.keys(&["Enter"]).sees("1 in 1 files").types("q").ends(0);
}

#[test]
fn no_key_is_lost_at_the_beginning() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&["cat"]);
    // The program asks the terminal which pictures it can show; this one does not answer.
    let screen = Screen::start(&sandbox, ["tui"], 80, 24);
    screen.sees("cat.jpg").types("a whiskered animal").sees("› a whiskered animal").keys(&["C-c"]).ends(0);
}

#[test]
fn pictures_are_drawn_where_they_are_wanted() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&["cat"]);
    let cells = |text: &str| text.matches(['▀', '▄']).count();
    let screen = Screen::start(&sandbox, ["tui", "--pictures", "halfblocks"], 80, 24);
    // A tile has 18 x 6 cells for its picture, which is 4:3.
    screen.sees("cat.jpg").sees_that("a picture", |text| (70..=108).contains(&cells(text)));
    let styled = screen.styled();
    let colours: BTreeSet<&str> =
        styled.split("\x1b[").filter_map(|part| part.split_once('m')).map(|(c, _)| c).collect();
    assert!(styled.contains("38;2;") && styled.contains("48;2;") && colours.len() > 40, "{styled}");
    screen.keys(&["Enter", "Enter"]).sees_that("a large picture", |text| cells(text) > 400);
    screen.types("f").sees_that("a larger picture", |text| cells(text) > 800).types("q").ends(0);

    // Without pictures, the first tag takes their place.
    let screen = Screen::start(&sandbox, PLAIN, 80, 24);
    screen.sees("cat.jpg").sees("Egyptian cat");
    assert_eq!(cells(&screen.text()), 0, "{}", screen.text());
    screen.keys(&["Enter"]).sees("enter look").types("q").ends(0);
}

#[test]
fn without_colour_there_is_none() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    let screen = Screen::start_by(r#"NO_COLOR=1 exec "$@""#, &sandbox, ["tui"], 100, 30);
    let plain = || {
        let styled = screen.styled();
        for part in styled.split("\x1b[").skip(1) {
            let (numbers, _) = part.split_once('m').unwrap();
            let mut numbers = numbers.split(';').map(|number| number.parse::<u8>().unwrap_or(0));
            assert!(numbers.all(|n| n < 30 || n == 39 || n == 49), "a colour: {part:?} in {styled}");
        }
        assert!(!styled.contains(['▀', '▄']), "a picture: {styled}");
    };
    screen.sees("cat.jpg").sees("Egyptian cat");
    plain();
    screen.types("a dog").sees("1 match of 2").keys(&["Enter"]).sees("enter look");
    plain();
    screen.types("4").sees("dog, cat, car").types("dog, cat").keys(&["Enter"]).sees("this photo").sees("█");
    plain();
    screen.types("6").sees("2 in 2 files");
    plain();
    screen.types("q").ends(0);
}

#[test]
fn picked_paths_are_printed_and_nothing_else() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&["cat", "dog", "owl", "panda"]);
    let best: Vec<String> = sandbox.ranking("a bird").into_iter().map(|(name, _)| name).collect();
    let file = sandbox.path("picked");
    let into = format!("exec \"$@\" > {}", file.display());
    let pick = |more: &[&str]| {
        let args = [&["tui", "--pick", "--pictures", "none", "--query", "a bird"], more].concat();
        let screen = Screen::start_by(&into, &sandbox, args, 80, 24);
        screen.sees("› a bird").sees("1 match of 4").sees("owl.jpg").keys(&["Enter"]).sees("enter pick");
        screen
    };
    let path = |n: usize| sandbox.photo(&best[n]).to_str().unwrap().to_owned();

    pick(&[]).types("  ").sees(&format!("● {}", best[0])).sees(&format!("● {}", best[1])).keys(&["Enter"]).ends(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{}\n{}\n", path(0), path(1)));
    // Without marks, the selected photo is picked.
    pick(&["--paths0"]).types("l").sees(&format!("\n {}\n", best[1])).keys(&["C-o"]).ends(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{}\0", path(1)));
    pick(&[]).types(" ").sees(&format!("● {}", best[0])).types("q").ends(1);
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
    pick(&[]).signal("TERM").ends(130);
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
}

/// The bytes that a terminal received, without snapseek's own colours, moves and modes.
fn foreign(bytes: &[u8]) -> String {
    let mut text = String::from_utf8(bytes.to_vec()).unwrap();
    // What the terminal is asked, passed through tmux.
    if let (Some(from), Some(to)) = (text.find("\x1bPtmux;\x1b\x1b[>0q"), text.rfind("\x1b\x1b[5n\x1b\\")) {
        text.replace_range(from..to + "\x1b\x1b[5n\x1b\\".len(), "");
    }
    let mut parts = text.split("\x1b[");
    let mut left = parts.next().unwrap().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit() && !";?".contains(c)).unwrap_or(part.len());
        assert!(part[end..].starts_with(|c: char| "mHJKhlABCDGd".contains(c)), "no sequence of ours: {part:?}");
        left.push_str(&part[end + 1..]);
    }
    left
}

#[test]
fn hostile_names_and_texts_do_not_drive_the_terminal() {
    needs!("tmux");
    let sandbox = hostile_sandbox();
    sandbox.index().exits(4);
    sandbox.run(["caption", "set", sandbox.photo(format!("cat {PAYLOAD}\n.jpg")).to_str().unwrap(), PAYLOAD]).exits(0);
    let screen = Screen::start(&sandbox, PLAIN, 160, 30);
    let title = || screen.tmux(&["display-message", "-p", "#{pane_title}"]);
    let (before, file) = (title(), sandbox.path("bytes"));
    screen.tmux(&["pipe-pane", &format!("cat > {}", file.display())]);
    // A resize redraws everything.
    screen.sees("2 photos").resize(150, 34).sees("\\x1b]0;ow").types("path:cat").sees("1 match of 2");
    // Pasted, with everything in it.
    screen.keys(&["C-u"]).tmux(&["set-buffer", PAYLOAD, ";", "paste-buffer", "-p"]);
    screen.sees("52;c;AAAA").keys(&["C-u"]).types("path:cat").sees("1 match of 2").keys(&["Enter"]).sees("enter look");
    screen.types("v").sees("52;c;AAAA").keys(&["Enter"]).sees("full screen").sees("Canon \\x1b").keys(&["Escape"]);
    screen.sees("› path:cat").types("m").sees("[ + cat \\x1b").types("c").sees("kept").sees("Canon \\x1b");
    screen.keys(&["Escape"]).sees("e ask again").types("6").sees("2 files could not be read").sees("…n \\x1b");
    let labels = format!("{PAYLOAD}, cat");
    screen.types("4").sees("dog, cat, car").tmux(&["set-buffer", &labels, ";", "paste-buffer", "-p"]);
    screen.sees("52;c;AAAA").keys(&["Enter"]).sees("the library");
    assert_eq!(title(), before);
    screen.keys(&["C-c"]).ends(0);
    let bytes = fs::read(file).unwrap();
    let left = foreign(&bytes).replace(['\r', '\n'], "");
    assert!(left.len() > 5_000 && !left.contains(is_control), "{}", left.escape_debug());
    // snapseek's own colours are true colours.
    assert!(!bytes.windows(5).any(|window| window == b"\x1b[31m" || window == b"\x1b[32m"));
}

#[test]
fn a_small_terminal_gets_a_message_and_a_large_one_the_ui() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&["cat"]);
    let screen = Screen::start(&sandbox, PLAIN, 20, 5);
    screen.sees("snapseek needs 40x10").resize(80, 24).sees("1 Search").sees("cat.jpg").keys(&["Enter"]);
    screen
        .sees("enter look")
        .types("?")
        .sees("Search: keys")
        .resize(20, 5)
        .sees("snapseek needs")
        .sees_not("Search: keys");
    // Many sizes in quick succession.
    for (width, height) in (1..40).map(|n| (3 + n * 7 % 190, 1 + n * 5 % 50)) {
        screen.resize(width, height);
    }
    screen.resize(40, 10).sees("Search: keys").resize(200, 60).sees("Search: keys").keys(&["Escape"]);
    screen
        .sees_not("Search: keys")
        .sees("cat.jpg")
        .sees("all photos, newest first")
        .resize(9, 2)
        .sees("snapseek")
        .types("q");
    screen.ends(0);
}

#[test]
fn the_mouse_opens_places_and_photos() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    let screen = Screen::start(&sandbox, PLAIN, 80, 24);
    let click = |x: u16, y: u16| {
        screen.types(&format!("\x1b[<0;{x};{y}M\x1b[<0;{x};{y}m"));
    };
    screen.sees("cat.jpg").sees("dog.jpg").sees("\n cat.jpg\n");
    click(30, 8);
    screen.sees("\n dog.jpg\n");
    click(30, 8);
    screen.sees("full screen");
    let column = |name: &str| {
        let text = screen.text();
        let bar = text.lines().next().unwrap();
        u16::try_from(bar[..bar.find(name).unwrap()].chars().count() + 1).unwrap()
    };
    // While a photo is looked at, digits are stars, and tabs have none.
    click(column("Index"), 1);
    screen.sees("2 in 2 files");
    click(column("1 Search"), 1);
    screen.sees("newest first").types("q").ends(0);
}

#[test]
fn a_path_is_copied_to_the_clipboard() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&["cat"]);
    let screen = Screen::start(&sandbox, PLAIN, 80, 24);
    screen.tmux(&["set", "-g", "set-clipboard", "on"]);
    screen.sees("cat.jpg").keys(&["Enter"]).sees("enter look").types("y").sees("copied ");
    // tmux is the terminal here, so it has the text now.
    screen.sees_that("that it is kept", |_| screen.tmux(&["list-buffers"]).contains("cat.jpg")).types("q").ends(0);
    assert_eq!(screen.tmux(&["show-buffer"]), sandbox.photo("cat.jpg").to_str().unwrap());
}

#[test]
fn the_config_sets_keys_and_colours() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    let config = sandbox.path("home/config/snapseek/config.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(
        &config,
        "theme = \"ansi\"\npictures = \"none\"\n[keys]\nmore-like-this = [\"ctrl-s\"]\nquit = [\"Q\"]\n",
    )
    .unwrap();
    // Without a command a terminal gets the UI.
    let none: [&str; 0] = [];
    let screen = Screen::start(&sandbox, none, 160, 24);
    screen.sees("cat.jpg").keys(&["Enter"]).sees("ctrl-s more like this").sees("Q quit");
    let styled = screen.styled();
    assert!(styled.contains("\x1b[3") && !styled.contains("38;2;") && !styled.contains("48;2;"), "{styled}");
    screen.keys(&["C-s"]).sees("[ + cat.jpg ]").types("T").sees("colours: ").types("q").sees_not("colours: ");
    screen.types("Q").ends(0);

    fs::write(&config, "[keys]\nmore-like = [\"x\"]\n").unwrap();
    let refused = sandbox.run(["tui"]).exits(2);
    assert!(refused.stderr.contains("\"more-like\"") && refused.stderr.contains("\"more-like-this\""), "{refused}");
    fs::write(&config, "[keys]\nquit = [\"ctrl-nothing\"]\n").unwrap();
    let refused = sandbox.run(["tui"]).exits(2);
    assert!(refused.stderr.contains("ctrl-nothing") && refused.stderr.contains("is not a key"), "{refused}");
    fs::write(&config, "theme = \"pink\"\n").unwrap();
    sandbox.run(["tui"]).exits(2);
    fs::remove_file(&config).unwrap();
    // In a pipe, no UI is opened.
    let alone = sandbox.run(none).exits(2);
    assert!(alone.stdout.is_empty() && alone.stderr.contains("Usage: snapseek"), "{alone}");
    let nowhere = sandbox.run(["tui", "/nowhere"]).exits(2);
    assert!(nowhere.stderr.contains("neither a folder nor a library"), "{nowhere}");
}

#[test]
fn a_megabyte_that_is_pasted_as_keys_is_a_text() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&["cat"]);
    let pasted = sandbox.path("pasted");
    fs::write(&pasted, "quit, delete and export everything\n".repeat(30_000)).unwrap();
    let pasted = pasted.to_str().unwrap();
    let screen = Screen::start(&sandbox, PLAIN, 100, 24);
    screen.sees("cat.jpg");
    let paste = || {
        screen.tmux(&["load-buffer", pasted]);
        // Without brackets, as terminals paste that do not know them.
        screen.tmux(&["paste-buffer"]);
    };
    paste();
    screen.sees("export everything").keys(&["C-u"]).types("a cat").sees("› a cat");
    // Where no line is open, it is no command.
    screen.keys(&["Enter"]).sees("enter look");
    paste();
    screen.sees("no line is open");
    // What comes before the text has ended and rested belongs to it.
    let opens = |_: &u32| {
        std::thread::sleep(std::time::Duration::from_millis(500));
        screen.types("/").text().contains("to the photos")
    };
    (0..60).find(opens).expect("a line opens");
    screen.keys(&["C-u"]).sees("what are you looking for").signal("TERM").ends(130);
}

#[test]
fn a_viewer_that_fails_is_told() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&["cat"]);
    let tools = sandbox.path("tools");
    fs::create_dir(&tools).unwrap();
    let opener = tools.join("xdg-open");
    let start = format!(r#"PATH={}:$PATH exec "$@""#, tools.display());
    for (script, told) in [
        ("#!/bin/sh\nexit 3\n", "no program for it is installed"),
        ("#!/bin/sh\nexit 0\n", "opened cat.jpg"),
        // One that stays is there.
        ("#!/bin/sh\nexec sleep 30\n", "opened cat.jpg"),
    ] {
        fs::write(&opener, script).unwrap();
        fs::set_permissions(&opener, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let screen = Screen::start_by(&start, &sandbox, PLAIN, 100, 24);
        screen.sees("cat.jpg").keys(&["Enter"]).sees("enter look").types("O").sees(told).types("q").ends(0);
    }
}
