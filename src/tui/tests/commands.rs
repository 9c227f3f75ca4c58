//! Commands with arguments, counts, keys that count together.

use super::*;
use crate::tui::event::{AlbumChange, Export, OwnChange, Way, Work};
use crate::tui::keymap::Keymap;
use crate::tui::overlay::Overlay;
use crate::tui::place::Place;

/// Types a command after `:` and accepts it.
fn command(state: &mut State, text: &str) -> Vec<Effect> {
    press(state, ":");
    types(state, text);
    press(state, "enter")
}

#[test]
fn commands_take_arguments() {
    let mut state = with_photos(120, 40);
    press(&mut state, "esc space space");
    assert_eq!(
        command(&mut state, "album add Our Lisbon"),
        [Effect::Album(AlbumChange::Add("Our Lisbon".into(), vec![0, 1]), Way::Do)]
    );
    assert_eq!(command(&mut state, "rate 4"), [Effect::Own(OwnChange::Rate(vec![0, 1], Some(4)), Way::Do)]);
    let tags = OwnChange::Tags { photos: vec![0, 1], add: vec!["x".into()], remove: vec!["y z".into()] };
    assert_eq!(command(&mut state, "tag x, -y z"), [Effect::Own(tags, Way::Do)]);
    assert_eq!(command(&mut state, "export a.html"), [Effect::Export(Export::Html, vec![0, 1], "a.html".into())]);
    assert_eq!(command(&mut state, "!cp % /tmp"), [Effect::Shell("cp % /tmp".into(), vec![0, 1])]);
    assert_eq!(command(&mut state, "!date"), [Effect::Shell("date".into(), Vec::new())]);
    assert!(command(&mut state, "sort date").iter().any(|effect| matches!(effect, Effect::Search(..))));
    command(&mut state, "search a horse");
    assert_eq!(
        (state.search.input.value(), state.search.history.last().map(String::as_str)),
        ("a horse", Some("a horse"))
    );
    assert_eq!(
        command(&mut state, "save Horses"),
        [Effect::SaveSearch("Horses".into(), Some("a horse".into()), Way::Do)]
    );
    command(&mut state, "3");
    assert_eq!(state.search.gallery.at(), 2);
    // Wrong ones stay, with how they are written.
    command(&mut state, "rate 9");
    assert!(drawn(&state).contains("write rate 0..5|reject|files") && state.overlay.is_some(), "{}", drawn(&state));
    press(&mut state, "esc :");
    types(&mut state, "alb");
    let screen = drawn(&state);
    assert!(screen.contains("album add NAME") && screen.contains("album open NAME"), "{screen}");
    press(&mut state, "ctrl-u");
    types(&mut state, "sort da");
    press(&mut state, "backspace backspace");
    types(&mut state, "size");
    assert!(drawn(&state).contains("run: sort size"), "{}", drawn(&state));
    press(&mut state, "esc");
    // The use of a command is put into the line.
    press(&mut state, ":");
    types(&mut state, "album rem");
    press(&mut state, "down enter");
    let line = state.overlay.as_ref().and_then(Overlay::input).map(|input| input.value().to_owned());
    assert_eq!(line, Some("album remove ".into()));
}

#[test]
fn counts_say_how_often_and_digits_are_places_still() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc");
    types(&mut state, "5l");
    assert_eq!((state.place, state.search.gallery.at(), state.trail.len()), (Place::Search, 5, 0));
    types(&mut state, "3h");
    assert_eq!(state.search.gallery.at(), 2);
    types(&mut state, "12G");
    assert_eq!((state.place, state.search.gallery.at()), (Place::Search, 11), "to the twelfth");
    types(&mut state, "gg");
    assert_eq!(state.search.gallery.at(), 0);
    types(&mut state, "4 ");
    assert_eq!(state.marks.len(), 4, "four are marked");
    types(&mut state, "9999999999999999999999l");
    assert_eq!(state.search.gallery.at(), 13);
    // Whoever looks at the place before moving has gone there.
    press(&mut state, "2 j");
    assert_eq!(state.place, Place::Clusters);
    types(&mut state, "16?");
    assert_eq!(state.place, Place::Index, "the last of two");
    press(&mut state, "esc");
    press(&mut state, "1");
    // What follows belongs to the place, if it is no move; digits that nothing follows go there after a moment.
    let effects = types(&mut state, "2C");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Work(_, Work::Cluster(_)))), "{effects:?}");
    types(&mut state, "4dog, 5 cats");
    assert_eq!((state.place, state.classify.input.value()), (Place::Classify, "dog, 5 cats"));
    press(&mut state, "esc");
    types(&mut state, "1");
    assert_eq!(state.place, Place::Search, "at once, where there is nothing to count");
    let tab = |state: &State| {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| view::draw(frame, state)).unwrap();
        let buffer = terminal.backend().buffer();
        let at = (0..80).find(|x| buffer[(*x, 0)].symbol() == "I").unwrap();
        buffer[(at, 0)].style()
    };
    let before = tab(&state);
    let effects = types(&mut state, "6");
    let Some(Effect::Timer(generation, _)) = effects.first() else { panic!("{effects:?}") };
    assert_eq!(state.place, Place::Search);
    assert_ne!(tab(&state), before, "it is seen at once where it will go");
    tell(&mut state, Message::Timer(*generation));
    assert_eq!(state.place, Place::Index);
}

#[test]
fn two_keys_count_together_and_each_by_itself() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc G");
    let top = state.search.gallery.clone();
    press(&mut state, "z");
    assert!(state.begun.first.is_some());
    press(&mut state, "z");
    assert!(state.begun.first.is_none() && state.search.gallery.at() == top.at());
    // The second belongs to nothing: it is itself.
    press(&mut state, "z h");
    assert_eq!(state.search.gallery.at(), 12);
    press(&mut state, "z esc g");
    assert_eq!(state.search.gallery.at(), 0);
    let keys = [("first", "g g"), ("last", "g e"), ("mark", "ctrl-x m")];
    let keys = keys.map(|(name, key)| (name.to_owned(), vec![key.to_owned()])).into();
    state.options.keymap = Keymap::new(&keys).unwrap();
    assert_eq!(state.options.keymap.keys_of("first"), "gg");
    press(&mut state, "g e");
    assert_eq!(state.search.gallery.at(), 13);
    press(&mut state, "ctrl-x m");
    assert_eq!((state.marks.len(), state.options.keymap.keys_of("mark")), (1, "ctrl-x m".into()));
}

#[test]
fn every_line_can_be_undone_redone_and_yanked() {
    let redo = |state: &mut State| update(state, Event::Key(KeyEvent::new(KeyCode::Char('r'), KeyModifiers::ALT)));
    let mut state = with_photos(80, 24);
    types(&mut state, "a dog");
    press(&mut state, "ctrl-w");
    assert_eq!(state.search.input.value(), "a ");
    let effects = press(&mut state, "ctrl-7");
    assert_eq!(state.search.input.value(), "a dog", "as terminals send Ctrl-_");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Timer(..))), "it is searched for");
    press(&mut state, "ctrl-_");
    assert_eq!(state.search.input.value(), "a ", "word by word");
    redo(&mut state);
    redo(&mut state);
    assert_eq!(state.search.input.value(), "a ");
    press(&mut state, "ctrl-y");
    assert_eq!(state.search.input.value(), "a dog", "what was cut");
    press(&mut state, "ctrl-u ctrl-_ ctrl-_ ctrl-_ ctrl-_ ctrl-_ ctrl-_ ctrl-_");
    assert_eq!(state.search.input.value(), "");
    // In prompts and lists, too; what was typed elsewhere is no step here.
    press(&mut state, "esc B");
    types(&mut state, "Porto");
    press(&mut state, "ctrl-u ctrl-_");
    let line = |state: &State| state.overlay.as_ref().and_then(Overlay::input).map(|input| input.value().to_owned());
    assert_eq!(line(&state), Some("Porto".into()));
    press(&mut state, "esc :");
    press(&mut state, "ctrl-_");
    assert_eq!(line(&state), Some(String::new()));
    update(&mut state, Event::Paste("sort date".into()));
    press(&mut state, "ctrl-_");
    assert_eq!(line(&state), Some(String::new()));
    redo(&mut state);
    assert_eq!(line(&state), Some("sort date".into()));
}

#[test]
fn keys_of_other_programs_lead_on() {
    let mut state = with_photos(110, 30);
    // A key that waits for another one says what for.
    press(&mut state, "esc z");
    assert!(drawn(&state).contains("zz scroll the photo to the middle"), "{}", drawn(&state));
    press(&mut state, "j Z");
    assert!(drawn(&state).contains("Z does nothing here: ? shows the keys, : finds"), "{}", drawn(&state));
    press(&mut state, "v");
    assert!(drawn(&state).contains("V begins a range"), "{}", drawn(&state));
    press(&mut state, "v ? /");
    types(&mut state, "failed");
    assert!(drawn(&state).contains("why this file could not be read"), "{}", drawn(&state));
}
