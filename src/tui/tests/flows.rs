//! What a user does, event by event.

use super::*;
use crate::terminal::listener::Step;
use crate::tui::event::{ChatWork, Ending, Export, IndexNews, Listing, Task, Work};
use crate::tui::place::Place;
use crate::tui::source::Source;
use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use std::path::Path;

fn searches(effects: &[Effect]) -> Vec<(u64, String)> {
    let search = |effect: &Effect| match effect {
        Effect::Search(generation, source, _) => Some((*generation, source.text().to_owned())),
        _ => None,
    };
    effects.iter().filter_map(search).collect()
}

fn mouse(state: &mut State, kind: MouseEventKind, x: u16, y: u16) -> Vec<Effect> {
    update(state, Event::Mouse(MouseEvent { kind, column: x, row: y, modifiers: KeyModifiers::NONE }))
}

const CLICK: MouseEventKind = MouseEventKind::Down(MouseButton::Left);

#[test]
fn typing_is_asked_when_it_rests_and_old_answers_change_nothing() {
    let mut state = with_photos(80, 24);
    let effects = types(&mut state, "dog");
    assert!(searches(&effects).is_empty(), "not at every letter");
    let timers: Vec<u64> =
        effects.iter().filter_map(|effect| if let Effect::Timer(n, _) = effect { Some(*n) } else { None }).collect();
    assert_eq!(timers.len(), 3);
    assert!(searches(&tell(&mut state, Message::Timer(timers[0]))).is_empty());
    let asked = searches(&tell(&mut state, Message::Timer(timers[2])));
    assert_eq!(asked, [(timers[2], "dog".into())]);
    // A slow answer to an older query arrives first, and again after the right one.
    tell(&mut state, Message::Found(timers[1], Ok(answer(9, 0))));
    assert!(state.search.waiting);
    tell(&mut state, Message::Found(timers[2], Ok(answer(2, 1))));
    assert_eq!((state.search.waiting, state.search.gallery.matches()), (false, 2));
    tell(&mut state, Message::Found(timers[1], Ok(answer(9, 0))));
    tell(&mut state, Message::Found(timers[0], Err("old".into())));
    assert_eq!((state.search.gallery.matches(), state.search.error.clone()), (2, None));
}

#[test]
fn no_screen_counts_the_photos_in_two_ways() {
    let mut state = with_photos(100, 24);
    types(&mut state, "dog");
    let generation = state.search.generation;
    // The library has grown since its status was read.
    let effects = tell(&mut state, Message::Found(generation, Ok(Answer { total: 140, ..answer(4, 10) })));
    assert!(effects.contains(&Effect::Standing));
    let screen = drawn(&state);
    assert!(screen.contains("of 140 photos") && !screen.contains("99 photos"), "{screen}");
    press(&mut state, "esc 6");
    let screen = drawn(&state);
    assert!(screen.contains("99 photos") && screen.contains("99 in 101 files") && !screen.contains("140"), "{screen}");
    let mut newer = standing();
    (newer.status.photos, newer.status.files) = (150, 150);
    tell(&mut state, Message::Library(Ok(Some(Box::new(newer)))));
    assert!(drawn(&state).contains("150 photos"));
    press(&mut state, "1");
    assert!(!drawn(&state).contains("150"), "the results shown are of 140");
    let generation = state.search.generation;
    let effects = tell(&mut state, Message::Found(generation, Ok(Answer { total: 150, ..answer(4, 10) })));
    assert!(!effects.contains(&Effect::Standing));
    assert_eq!(drawn(&state).matches("150 photos").count(), 2);
}

#[test]
fn a_query_that_is_wrong_keeps_what_was_found() {
    let mut state = with_photos(80, 24);
    types(&mut state, "@");
    let generation = state.search.generation;
    tell(&mut state, Message::Found(generation, Err("which picture?\u{1b}[2J".into())));
    tell(&mut state, Message::Timer(generation));
    assert_eq!(state.search.gallery.shown().len(), 14);
    assert!(drawn(&state).contains("which picture?\\x1b"));
}

#[test]
fn completion_history_and_the_keys_of_the_line() {
    let mut state = with_photos(80, 24);
    types(&mut state, "ta");
    assert!(drawn(&state).contains("taken:"));
    press(&mut state, "down tab");
    assert_eq!(state.search.input.value(), "taller:");
    types(&mut state, "9");
    let effects = press(&mut state, "enter");
    assert!(effects.contains(&Effect::Remember("taller:9".into())));
    assert!(!state.search.typing);
    press(&mut state, "/ ctrl-u");
    types(&mut state, "cat");
    press(&mut state, "up");
    assert_eq!(state.search.input.value(), "taller:9");
    press(&mut state, "down");
    assert_eq!(state.search.input.value(), "cat", "what was typed comes back");
    tell(&mut state, Message::History(vec!["owl".into(), "taller:9".into()]));
    assert_eq!(state.search.history, ["owl", "taller:9"]);
    press(&mut state, "ctrl-r");
    types(&mut state, "ow");
    press(&mut state, "enter");
    assert_eq!(state.search.input.value(), "owl");
}

#[test]
fn pasted_line_ends_are_no_enter() {
    let mut state = with_photos(80, 24);
    update(&mut state, Event::Paste("a dog\nq\u{1b}".into()));
    assert_eq!(state.search.input.value(), "a dog q ");
    assert!(state.search.typing);
}

#[test]
fn more_and_less_like_a_photo_and_the_way_back() {
    let mut state = with_photos(80, 24);
    types(&mut state, "dog");
    press(&mut state, "enter l");
    let effects = press(&mut state, "m");
    let Source::Query(seek) = state.search.visits.current().clone() else { panic!() };
    assert_eq!((seek.text.as_str(), seek.likes.len(), seek.likes[0].id), ("", 1, 1));
    assert_eq!(seek.likes[0].path, Path::new("/photos/2019/polar-bear.jpg"));
    assert_eq!(searches(&effects).len(), 1, "asked at once");
    let generation = state.search.generation;
    tell(&mut state, Message::Found(generation, Ok(answer(5, 0))));
    press(&mut state, "G M");
    let seek = state.search.visits.current().seek();
    assert_eq!(seek.likes.iter().map(|like| like.weight).collect::<Vec<_>>(), [1.0, -1.0]);
    assert!(drawn(&state).contains("[ + polar-bear.jpg ] [ − "));
    press(&mut state, "[ [");
    assert_eq!((state.search.visits.current().text(), state.search.input.value()), ("dog", "dog"));
    let generation = state.search.generation;
    tell(&mut state, Message::Found(generation, Ok(answer(4, 10))));
    assert_eq!(state.search.gallery.selected(), Some(1), "where the user was");
    press(&mut state, "]");
    assert_eq!(state.search.visits.current().seek().likes.len(), 1);
    // Backspace removes a photo from the query line.
    press(&mut state, "/ backspace");
    assert!(state.search.visits.current().seek().likes.is_empty() && state.search.typing);
}

#[test]
fn looking_turning_pages_and_going_back() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc enter");
    assert_eq!((state.place, state.photo()), (Place::Look, Some(0)));
    press(&mut state, "l j");
    assert_eq!(state.photo(), Some(2));
    press(&mut state, "f");
    assert!(drawn(&state).lines().count() == 24 && !drawn(&state).contains("Search"));
    press(&mut state, "esc");
    assert_eq!((state.place, state.look.full), (Place::Look, false));
    press(&mut state, "esc");
    assert_eq!((state.place, state.search.gallery.selected()), (Place::Search, Some(2)));
}

#[test]
fn a_photo_that_vanishes_while_it_is_shown() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc l enter");
    let (key, _) = layout::pictures(&state)[0];
    tell(&mut state, Message::Picture(key, Err("/photos/2019/polar-bear.jpg is not there any more".into())));
    assert!(drawn(&state).contains("is not there any more"));
    // The library has noticed, too: the next photo is shown instead.
    tell(&mut state, Message::Photos(Vec::new(), vec![1]));
    assert_eq!((state.place, state.photo()), (Place::Look, Some(2)));
    let all: Vec<i64> = (0..14).collect();
    tell(&mut state, Message::Photos(Vec::new(), all));
    assert_eq!((state.place, state.photo()), (Place::Search, None));
    assert!(drawn(&state).contains("not in the library any more"));
}

#[test]
fn marks_are_copied_exported_shown_and_picked() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc space l space");
    assert_eq!(state.marks[..], [0, 2]);
    let effects = press(&mut state, "y");
    assert_eq!(effects, [Effect::Copy("/photos/2019/dog.jpg\n/photos/2019/horse.jpg".into())]);
    press(&mut state, "e ctrl-u");
    types(&mut state, "x.json");
    assert_eq!(press(&mut state, "enter"), [Effect::Export(Export::Json, vec![0, 2], "x.json".into())]);
    assert!(state.overlay.is_none());
    press(&mut state, "'");
    assert_eq!(state.search.gallery.shown().len(), 2);
    press(&mut state, "U");
    assert!(state.marks.is_empty());
    assert!(press(&mut state, "ctrl-o").is_empty(), "only with --pick");
    state.options.pick = true;
    let picked = press(&mut state, "enter");
    assert_eq!(picked, [Effect::Quit(Ending::Picked(vec!["/photos/2019/dog.jpg".into()]))]);
}

#[test]
fn view_and_reveal_speak_of_the_selected_photo() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc");
    assert_eq!(press(&mut state, "O"), [Effect::View("/photos/2019/dog.jpg".into())]);
    assert_eq!(press(&mut state, "R"), [Effect::Reveal("/photos/2019/dog.jpg".into())]);
}

#[test]
fn classify_narrows_saves_and_goes_to_search() {
    let mut state = with_photos(120, 40);
    press(&mut state, "esc 4");
    types(&mut state, "dog, cat ,, car");
    let effects = press(&mut state, "enter");
    let Some(Effect::Work(generation, Work::Sort(set))) = effects.first() else { panic!("{effects:?}") };
    assert_eq!(set.labels, ["dog", "cat", "car"]);
    tell(&mut state, Message::Sorted(generation - 1, Ok(Classified::default())));
    assert!(state.classify.sorted.is_none(), "of an older request");
    tell(&mut state, Message::Sorted(*generation, Ok(sorted())));
    assert_eq!(state.classify.counts, [4, 4, 3, 3]);
    assert_eq!(state.classify.gallery.shown().len(), 4);
    press(&mut state, "J");
    assert_eq!((state.classify.label, state.classify.gallery.shown().len()), (1, 4));
    press(&mut state, "w");
    types(&mut state, "pets");
    let effects = press(&mut state, "enter");
    assert!(matches!(&effects[0], Effect::SaveSet(set) if set.name == "pets"), "{effects:?}");
    press(&mut state, "s");
    assert_eq!((state.place, state.search.gallery.shown().len()), (Place::Search, 4));
    assert!(drawn(&state).contains("label cat"));
}

#[test]
fn labels_that_cannot_be_are_told_and_nothing_is_begun() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc 4");
    assert!(press(&mut state, "enter").is_empty());
    assert!(state.classify.error.is_some() && state.work.is_none());
}

#[test]
fn clusters_are_opened_renamed_split_and_searched_inside() {
    let mut state = with_photos(80, 24);
    assert!(press(&mut state, "esc 2").contains(&Effect::Groups));
    tell(&mut state, Message::Groups(Ok(groups())));
    press(&mut state, "j n ctrl-u");
    types(&mut state, "castles");
    assert_eq!(
        press(&mut state, "enter")[..1],
        [Effect::Rename { old: "tower, castle".into(), new: "castles".into(), way: crate::tui::event::Way::Do }]
    );
    let effects = press(&mut state, "s");
    let Some(Effect::Work(generation, Work::Split(2))) = effects.first() else { panic!("{effects:?}") };
    tell(&mut state, Message::Step(*generation, Step { what: "naming", done: 1, total: 3 }));
    assert!(drawn(&state).contains("naming: 1 of 3"));
    assert_eq!(press(&mut state, "x"), [Effect::Cancel(Task::Library)]);
    let effects = tell(&mut state, Message::Grouped(*generation, Ok(("split into 2 clusters".into(), Some(7)))));
    assert_eq!(effects[0], Effect::Groups);
    press(&mut state, "enter");
    assert_eq!((state.place, state.search.input.value()), (Place::Search, "cluster:\"tower, castle\" "));
    press(&mut state, "/");
    types(&mut state, "night");
    assert_eq!(state.search.visits.current().text(), "cluster:\"tower, castle\" night");
}

#[test]
fn a_library_without_clusters_gets_them_when_somebody_looks() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc 2");
    let effects = tell(&mut state, Message::Groups(Ok(Groups::default())));
    assert!(matches!(effects[..], [Effect::Work(_, Work::Cluster(None))]), "{effects:?}");
    let generation = state.work.unwrap().0;
    tell(&mut state, Message::Grouped(generation, Ok(("0 clusters found".into(), None))));
    assert!(tell(&mut state, Message::Groups(Ok(Groups::default()))).is_empty(), "once");
}

#[test]
fn the_map_has_a_cursor_a_box_and_a_mouse() {
    let mut state = with_photos(120, 40);
    let effects = press(&mut state, "esc 3");
    let Some(Effect::Work(generation, Work::Chart)) = effects.first() else { panic!("{effects:?}") };
    tell(&mut state, Message::Charted(*generation, Ok(chart())));
    assert_eq!(state.photo(), Some(0), "the photo in the middle");
    press(&mut state, "h h k");
    let before = state.photo();
    press(&mut state, "+ +");
    assert_eq!(state.photo(), before, "the cursor stays on its photo");
    let (left, top, width, height) = layout::window(&state);
    let (x, y) = state.map.cursor;
    assert!((left..left + width).contains(&x) && (top..top + height).contains(&y));
    press(&mut state, "g");
    let area = layout::map(&state);
    mouse(&mut state, CLICK, area.x + 2, area.y + 2);
    mouse(&mut state, MouseEventKind::Drag(MouseButton::Left), area.right() - 3, area.bottom() - 3);
    let inside = state.boxed().len();
    assert!(inside > 200, "{inside}");
    press(&mut state, "s");
    assert_eq!((state.place, state.search.gallery.shown().len()), (Place::Search, inside));
    press(&mut state, "3 enter");
    assert_eq!(state.place, Place::Look);
    press(&mut state, "esc");
    assert_eq!(state.place, Place::Map);
}

#[test]
fn a_chat_is_streamed_stopped_and_asked_again() {
    let mut state = with_photos(120, 40);
    press(&mut state, "esc");
    let effects = press(&mut state, "c");
    assert_eq!(effects, [Effect::Chat(state.chat.generation, ChatWork::Open("/photos/2019/dog.jpg".into()))]);
    let generation = state.chat.generation;
    types(&mut state, "what is it?");
    assert!(press(&mut state, "enter").is_empty(), "the picture is not looked at yet");
    tell(&mut state, Message::Chat(generation, ChatNews::Opened { turns: vec![], model: "blip2".into() }));
    assert_eq!(press(&mut state, "enter"), [Effect::Chat(generation, ChatWork::Ask("what is it?".into()))]);
    for piece in ["a ", "dog\u{1b}]0;x\u{7}"] {
        tell(&mut state, Message::Chat(generation, ChatNews::Piece(piece.into())));
    }
    tell(&mut state, Message::Chat(generation + 1, ChatNews::Piece("of another photo".into())));
    assert!(drawn(&state).contains("a dog\\x1b]0;x\\x07"));
    assert_eq!(press(&mut state, "esc"), [Effect::Cancel(Task::Chat)]);
    tell(&mut state, Message::Chat(generation, ChatNews::Stopped));
    assert_eq!(state.chat.input.value(), "what is it?", "the question comes back");
    press(&mut state, "enter");
    tell(&mut state, Message::Chat(generation, ChatNews::Answered(vec![turn("what is it?", "a dog")])));
    press(&mut state, "up");
    assert!(state.chat.again);
    types(&mut state, " really");
    assert_eq!(press(&mut state, "enter"), [Effect::Chat(generation, ChatWork::AskAgain("what is it? really".into()))]);
    tell(&mut state, Message::Chat(generation, ChatNews::Failed("the question is too long".into())));
    assert!(drawn(&state).contains("the question is too long") && state.chat.answering.is_none());
    // The same photo again continues its chat; another photo starts a new one.
    press(&mut state, "esc backspace");
    assert!(press(&mut state, "c").is_empty());
    press(&mut state, "esc backspace l");
    assert_eq!(press(&mut state, "c").len(), 1);
    assert!(state.chat.turns.is_empty());
}

#[test]
fn without_a_model_the_panel_says_what_it_takes() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc c");
    let generation = state.chat.generation;
    let takes = "captions and questions need the model blip2: `snapseek models pull blip2` downloads it once (15.0 GB)";
    tell(&mut state, Message::Chat(generation, ChatNews::Missing(takes.into())));
    let screen = drawn(&state);
    assert!(screen.contains("no model for captions") && screen.contains("15.0 GB"), "{screen}");
    press(&mut state, "backspace");
    assert_eq!(state.place, Place::Search);
}

#[test]
fn photos_appear_while_they_are_indexed_and_a_locked_library_is_told() {
    let mut state = begin(80, 24);
    tell(&mut state, Message::Library(Ok(None)));
    press(&mut state, "esc 6 a");
    types(&mut state, "~/Pictures");
    assert_eq!(press(&mut state, "enter")[0], Effect::Index(vec!["~/Pictures".into()]));
    let generation = state.search.generation;
    tell(&mut state, Message::Found(generation, Ok(Answer::default())));
    let effects = tell(&mut state, Message::Index(IndexNews::Photos { found: 200, done: 60, walking: false }));
    assert_eq!(searches(&effects).len(), 1, "the list is asked for again");
    for _ in 0..20 {
        update(&mut state, Event::Tick);
    }
    assert!(drawn(&state).contains("60 of 200 photos, 30.0 a second, 4 s left"), "{}", drawn(&state));
    let failure = IndexNews::Failure { path: "/p/x.jpg".into(), kind: "damaged".into(), message: "cut off".into() };
    tell(&mut state, Message::Index(failure));
    assert!(drawn(&state).contains("damaged: cut off"));
    assert_eq!(press(&mut state, "x"), [Effect::Cancel(Task::Index)]);
    assert!(drawn(&state).contains("stopping"));
    let locked = "another snapseek is writing to this library";
    tell(&mut state, Message::Index(IndexNews::Ended(Err(locked.into()), false)));
    assert!(state.index.run.is_none() && drawn(&state).contains(locked));
    // The earlier results can still be searched.
    assert!(press(&mut state, "1 /").is_empty());
}

#[test]
fn changed_files_begin_a_run_but_never_two() {
    let mut state = with_photos(80, 24);
    assert_eq!(tell(&mut state, Message::FilesChanged), [Effect::Index(vec![])]);
    assert!(tell(&mut state, Message::FilesChanged).is_empty());
}

#[test]
fn the_palette_does_what_it_names_and_help_knows_its_place() {
    let mut state = with_photos(80, 24);
    press(&mut state, "ctrl-p");
    types(&mut state, "thumbnails or a list");
    press(&mut state, "enter");
    assert!(state.overlay.is_none() && state.search.gallery.list);
    press(&mut state, "esc 2 ?");
    assert!(drawn(&state).contains("split the cluster"));
    press(&mut state, "q");
    assert!(state.overlay.is_none(), "any other key closes it");
    assert_eq!(press(&mut state, "q"), [Effect::Quit(Ending::Left)]);
}

#[test]
fn the_mouse_selects_looks_scrolls_and_changes_places() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc");
    let area = layout::areas(&state).body;
    let second = state.search.gallery.tiles(area).nth(1).unwrap().2;
    mouse(&mut state, CLICK, second.x + 2, second.y + 2);
    assert_eq!(state.photo(), Some(1));
    mouse(&mut state, CLICK, second.x + 2, second.y + 2);
    assert_eq!(state.place, Place::Look);
    press(&mut state, "esc");
    mouse(&mut state, MouseEventKind::ScrollDown, 5, 10);
    assert!(state.search.gallery.at() > 1);
    let column = (0..80).find(|x| crate::tui::view::tab_at(&state, *x) == Some(Place::Map)).unwrap();
    mouse(&mut state, CLICK, column, 0);
    assert_eq!(state.place, Place::Map);
    press(&mut state, "1");
    let input = layout::areas(&state).input;
    mouse(&mut state, CLICK, input.x + 3, input.y);
    assert!(state.search.typing);
}

#[test]
fn the_text_in_a_photo_is_shown_highlighted_and_copied() {
    let mut state = with_photos(120, 40);
    press(&mut state, "esc enter");
    let effects = press(&mut state, "Y");
    assert!(effects.is_empty() && drawn(&state).contains("index --text"), "{}", drawn(&state));
    let id = state.photo().unwrap();
    let text = (1..12).map(|n| format!("BOARDING PASS {n}\u{1b}[31m")).collect::<Vec<_>>().join("\n");
    tell(&mut state, Message::Photos(vec![Hit { text: Some(text.clone()), ..hit(id) }], Vec::new()));
    let screen = drawn(&state);
    assert!(screen.contains("BOARDING PASS 8") && !screen.contains("BOARDING PASS 9"), "{screen}");
    assert!(screen.contains("and 3 more") && !screen.contains('\u{1b}'), "{screen}");
    assert_eq!(press(&mut state, "Y"), [Effect::Copy(text)]);
    assert!(drawn(&state).contains("copied 11 lines"));
}

#[test]
fn near_the_end_more_is_asked_for() {
    let mut state = begin(80, 24);
    let generation = state.search.generation;
    let effects = tell(&mut state, Message::Found(generation, Ok(Answer { more: true, ..answer(40, 0) })));
    let Some(Effect::Search(_, _, Listing { limit, .. })) =
        effects.iter().find(|effect| matches!(effect, Effect::Search(..)))
    else {
        panic!("{effects:?}")
    };
    assert_eq!(*limit, 1_600);
    press(&mut state, "esc l l");
    let generation = state.search.generation;
    tell(&mut state, Message::Found(generation, Ok(answer(45, 0))));
    assert_eq!(state.photo(), Some(2), "what is selected stays so");

    // However many there are.
    state.search.listing.limit = 800_000;
    state.seek_again(&mut Vec::new());
    let generation = state.search.generation;
    let effects = tell(&mut state, Message::Found(generation, Ok(Answer { more: true, ..answer(40, 0) })));
    assert!(matches!(effects[..], [Effect::Search(_, _, Listing { limit: 6_400_000, .. }), ..]), "{effects:?}");
}

#[test]
fn a_tiny_screen_says_so_and_takes_no_keys_but_quit() {
    let mut state = with_photos(20, 5);
    assert!(drawn(&state).starts_with("snapseek needs 40x1"));
    press(&mut state, "esc");
    types(&mut state, "x");
    assert_eq!(state.search.input.value(), "");
    assert_eq!(press(&mut state, "ctrl-c"), [Effect::Quit(Ending::Left)]);
    update(&mut state, Event::Resize(80, 24));
    assert!(drawn(&state).contains("dog.jpg"));
}

#[test]
fn hostile_names_and_captions_are_drawn_escaped() {
    let mut state = with_photos(120, 40);
    let hostile = "\u{1b}]52;c;AAAA\u{7}\u{202e}gpj\u{200b}\r\n\u{9b}31m";
    let mut photo = hit(0);
    photo.paths = vec![PathBuf::from(format!("/photos/{hostile}.jpg"))];
    photo.caption = Some(hostile.into());
    photo.tags = vec![Tag { label: hostile.into(), score: f32::NAN }];
    photo.facts.metadata.camera = Some(hostile.into());
    tell(&mut state, Message::Photos(vec![photo], vec![]));
    tell(&mut state, Message::Note(true, hostile.into()));
    for keys in ["esc", "v", "enter", "esc"] {
        press(&mut state, keys);
        let screen = drawn(&state);
        assert!(screen.contains("\\x1b]52;c;"), "{screen}");
    }
}
