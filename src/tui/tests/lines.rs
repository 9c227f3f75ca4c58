//! Lines of text: what is typed, pasted, refused and put aside.

use super::*;
use crate::tui::burst::Bursts;
use crate::tui::event::IndexNews;
use crate::tui::overlay::{Overlay, Prompt};
use crate::tui::place::Place;
use std::time::Instant;

fn keys(text: &str) -> Vec<KeyEvent> {
    let code = |c| match c {
        '\n' => KeyCode::Enter,
        '\t' => KeyCode::Tab,
        c => KeyCode::Char(c),
    };
    text.chars().map(|c| KeyEvent::new(code(c), KeyModifiers::NONE)).collect()
}

/// These keys come together, and then none.
fn together(state: &mut State, text: &str) -> Vec<Effect> {
    let mut bursts = Bursts::default();
    let mut events = bursts.take(keys(text), Instant::now());
    events.extend(bursts.rest());
    events.into_iter().flat_map(|event| update(state, event)).collect()
}

#[test]
fn tab_stays_in_the_line() {
    let mut state = with_photos(80, 24);
    types(&mut state, "nothing completes this");
    press(&mut state, "tab tab");
    types(&mut state, "cluster:");
    assert_eq!((state.search.typing, state.search.input.value()), (true, "nothing completes thiscluster:"));
    assert!(state.overlay.is_none());
    press(&mut state, "esc esc 4");
    types(&mut state, "dog");
    press(&mut state, "tab");
    types(&mut state, ", q");
    assert_eq!((state.classify.typing, state.classify.input.value()), (true, "dog, q"));
    press(&mut state, "esc 1");
    talking(&mut state);
    press(&mut state, "tab");
    types(&mut state, "q");
    assert_eq!((state.chat.typing, state.chat.input.value()), (true, "q"));
}

#[test]
fn escape_neither_changes_the_place_nor_throws_a_text_away() {
    let mut state = with_photos(120, 40);
    types(&mut state, "dog");
    press(&mut state, "esc esc esc");
    assert_eq!((state.place, state.search.input.value()), (Place::Search, "dog"));
    for (key, place) in [("2", Place::Clusters), ("3", Place::Map), ("4", Place::Classify), ("6", Place::Index)] {
        press(&mut state, &format!("{key} esc esc"));
        assert_eq!(state.place, place);
        press(&mut state, "1");
    }
    talking(&mut state);
    press(&mut state, "up");
    types(&mut state, " really");
    press(&mut state, "esc esc");
    assert_eq!((state.place, state.chat.input.value()), (Place::Chat, "what colour is the ball? really"));
    assert!(state.chat.again, "it still replaces the last question");
    press(&mut state, "i ctrl-u esc");
    assert!(!state.chat.again);
    // A prompt that is left keeps what was typed for the next time.
    press(&mut state, "6 a");
    types(&mut state, "/home/me/Pict");
    press(&mut state, "esc");
    assert!(state.overlay.is_none());
    press(&mut state, "a");
    assert_eq!(state.overlay.as_ref().and_then(Overlay::input).map(|input| input.value()), Some("/home/me/Pict"));
    press(&mut state, "ctrl-u esc a");
    assert_eq!(state.overlay.as_ref().and_then(Overlay::input).map(|input| input.value()), Some(""));
}

#[test]
fn keys_that_come_together_are_typed_or_pressed() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc");
    // Typed ahead: a query, Enter, and two steps to the right.
    let effects = together(&mut state, "/a dog\nll");
    assert!(effects.contains(&Effect::Remember("a dog".into())), "{effects:?}");
    assert!(!state.search.typing && together(&mut state, "ll").is_empty());
    // A key that is held is no text.
    let at = state.search.gallery.at();
    together(&mut state, &"l".repeat(60));
    assert!(state.search.gallery.at() > at);
}

#[test]
fn a_text_that_arrives_as_keys_is_a_text() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc");
    let pasted = "a dog\nquit now, and delete\teverything\n";
    // No line is open: it does nothing, although it begins with letters that are commands.
    let effects = together(&mut state, &format!("quit this program at once, {pasted}"));
    assert!(effects.is_empty() && drawn(&state).contains("no line is open"), "{effects:?}");
    // With a line, its line ends are spaces; the last one is Enter.
    let effects = together(&mut state, &format!("/{pasted}"));
    assert!(effects.contains(&Effect::Remember("a dog quit now, and delete everything".into())), "{effects:?}");
    assert!(!state.search.typing);
}

#[test]
fn a_line_is_bounded_however_much_is_pasted() {
    let mut state = with_photos(80, 24);
    let million = "a dog in the snow \n".repeat(52_632);
    let begun = Instant::now();
    for piece in million.as_bytes().chunks(1 << 14) {
        let piece = std::str::from_utf8(piece).unwrap();
        update(&mut state, Event::Keys { keys: keys(piece), is_pasted: true });
    }
    update(&mut state, Event::Paste(million));
    types(&mut state, "more");
    assert_eq!(state.search.input.value().chars().count(), 4_000);
    assert!(begun.elapsed().as_secs() < 30, "not every character by itself");
    assert!(drawn(&state).lines().count() == 24);
}

#[test]
fn what_is_refused_can_be_corrected() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc 6 a");
    types(&mut state, "/nowhere");
    press(&mut state, "enter");
    let why = "/nowhere: No such file or directory";
    tell(&mut state, Message::Refused(Prompt::Folder, "/nowhere".into(), why.into()));
    assert!(state.index.run.is_none(), "nothing is indexed");
    let screen = drawn(&state);
    assert!(screen.contains(why) && screen.contains("Folder with photos"), "{screen}");
    types(&mut state, "2");
    assert!(!drawn(&state).contains(why), "until it is changed");
    assert_eq!(press(&mut state, "enter")[0], Effect::Index(vec!["/nowhere2".into()]));
    // Meanwhile the user went on to something else: nothing is lost.
    press(&mut state, "?");
    tell(&mut state, Message::Refused(Prompt::Export, "x.html".into(), "File exists".into()));
    assert!(matches!(state.overlay, Some(Overlay::Help(_))) && state.note.is_some());
    press(&mut state, "esc 1 e");
    assert_eq!(state.overlay.as_ref().and_then(Overlay::input).map(|input| input.value()), Some("x.html"));
}

#[test]
fn half_of_a_filter_is_no_mistake_yet() {
    let mut state = with_photos(80, 24);
    types(&mut state, "taken:20");
    let generation = state.search.generation;
    let effects = tell(&mut state, Message::Found(generation, Err("taken: is no time".into())));
    assert!(!drawn(&state).contains("is no time") && matches!(effects[..], [Effect::Timer(n, _)] if n == generation));
    types(&mut state, "1");
    tell(&mut state, Message::Timer(generation));
    assert!(!drawn(&state).contains("is no time"), "it is another query now");
    let generation = state.search.generation;
    tell(&mut state, Message::Found(generation, Err("taken: is no time".into())));
    tell(&mut state, Message::Timer(generation));
    assert!(drawn(&state).contains("taken: is no time"), "it rests");
    types(&mut state, "9");
    let generation = state.search.generation;
    tell(&mut state, Message::Found(generation, Err("taken: is no time".into())));
    press(&mut state, "esc");
    assert!(drawn(&state).contains("taken: is no time"), "it is final");
}

#[test]
fn only_queries_that_were_meant_are_remembered() {
    let mut state = with_photos(80, 24);
    types(&mut state, "tag:cas");
    assert!(!press(&mut state, "esc").iter().any(|effect| matches!(effect, Effect::Remember(_))));
    press(&mut state, "/");
    types(&mut state, "tle");
    assert!(press(&mut state, "enter").contains(&Effect::Remember("tag:castle".into())));
    press(&mut state, "/ ctrl-u");
    types(&mut state, "owl");
    // Whoever looks at what a query found has meant it.
    let effects = press(&mut state, "esc enter");
    assert!(effects.contains(&Effect::Remember("owl".into())), "{effects:?}");
    assert_eq!(state.search.history, ["tag:castle", "owl"]);
}

#[test]
fn the_first_run_says_what_it_does() {
    let mut state = begin(100, 30);
    tell(&mut state, Message::Library(Ok(None)));
    press(&mut state, "esc 2");
    assert!(drawn(&state).contains("There are no photos yet"), "{}", drawn(&state));
    press(&mut state, "3");
    assert!(drawn(&state).contains("There are no photos yet") && state.work.is_none());
    press(&mut state, "6 a");
    types(&mut state, "/photos");
    press(&mut state, "enter");
    assert!(!drawn(&state).contains("adds a folder of photos"), "{}", drawn(&state));
    tell(&mut state, Message::Index(IndexNews::Photos { found: 99, done: 64, walking: false }));
    press(&mut state, "x");
    tell(&mut state, Message::Index(IndexNews::Ended(Ok("64 photos indexed in 3.0 s".into()), true)));
    let screen = drawn(&state);
    assert_eq!(screen.matches("stopped: 64 photos indexed").count(), 2, "{screen}");
}

#[test]
fn whoever_has_not_moved_stays_at_the_first_photo() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc");
    state.seek_again(&mut Vec::new());
    let generation = state.search.generation;
    let mut newer = answer(4, 10);
    newer.found.insert(0, FoundPhoto { id: 77, score: None, is_match: true });
    tell(&mut state, Message::Found(generation, Ok(newer.clone())));
    assert_eq!(state.photo(), Some(77));
    press(&mut state, "l");
    state.seek_again(&mut Vec::new());
    newer.found.insert(0, FoundPhoto { id: 78, score: None, is_match: true });
    let generation = state.search.generation;
    tell(&mut state, Message::Found(generation, Ok(newer)));
    assert_eq!(state.photo(), Some(0));
}

#[test]
fn paths_in_prompts_are_completed() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc 6 a");
    types(&mut state, "/home/me/P");
    assert_eq!(press(&mut state, "tab"), [Effect::CompletePath("/home/me/P".into(), true)]);
    let choices = vec!["Pictures old\u{1b}/".into(), "Pictures/".into()];
    tell(&mut state, Message::PathCompleted("/home/me/P".into(), "/home/me/Pictures".into(), choices.clone()));
    let screen = drawn(&state);
    assert!(screen.contains("/home/me/Pictures") && screen.contains("Pictures old\\x1b/ · Pictures/"), "{screen}");
    types(&mut state, "/");
    assert!(!drawn(&state).contains("Pictures old"), "what is typed on decides");
    // The answer to what was typed before changes nothing.
    tell(&mut state, Message::PathCompleted("/home/me/P".into(), "/other".into(), choices));
    assert_eq!(state.overlay.as_ref().and_then(Overlay::input).map(|input| input.value()), Some("/home/me/Pictures/"));
}

#[test]
fn what_is_not_found_by_its_date_may_have_that_of_its_file() {
    let mut state = with_photos(80, 24);
    for (query, hints) in [("taken:2026", true), ("taken:~2026", false), ("no such thing", false)] {
        press(&mut state, "ctrl-u");
        types(&mut state, query);
        let generation = state.search.generation;
        tell(&mut state, Message::Found(generation, Ok(Answer { total: 99, ..Answer::default() })));
        let screen = drawn(&state);
        assert!(screen.contains("No photos found.") && screen.contains("tilde") == hints, "{screen}");
    }
}

#[test]
fn names_of_files_are_completed_in_a_query() {
    let mut state = with_photos(80, 24);
    let effects = types(&mut state, "a dog - @ho");
    assert_eq!(effects.iter().rfind(|effect| matches!(effect, Effect::Files(_))), Some(&Effect::Files("ho".into())));
    tell(&mut state, Message::Files("h".into(), vec!["old answer.jpg".into()]));
    assert!(state.search.completion.is_none(), "of what was typed before");
    tell(&mut state, Message::Files("ho".into(), vec!["holi day/".into(), "horse.jpg".into()]));
    assert!(drawn(&state).contains("@horse.jpg"), "{}", drawn(&state));
    let effects = press(&mut state, "tab");
    assert_eq!(state.search.input.value(), "a dog - @\"holi day/");
    assert!(effects.contains(&Effect::Files("holi day/".into())), "on into the folder");
    tell(&mut state, Message::Files("holi day/".into(), vec!["holi day/x.jpg".into()]));
    press(&mut state, "tab");
    assert_eq!(state.search.input.value(), "a dog - @\"holi day/x.jpg\"");
    assert!(state.search.completion.is_none());
}
