//! Sorting, ranges, captions, failures and facts.

use super::*;
use crate::tui::event::Listing;
use crate::tui::overlay::Overlay;
use crate::tui::place::Place;
use snapseek_index::Order;

fn listing(effects: &[Effect]) -> Option<Listing> {
    effects.iter().find_map(|effect| if let Effect::Search(_, _, listing) = effect { Some(*listing) } else { None })
}

#[test]
fn photos_are_sorted_by_a_menu_or_by_name() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc o");
    let screen = drawn(&state);
    assert!(screen.contains("Sort by") && screen.contains("date, newest first"), "{screen}");
    let sorted = listing(&press(&mut state, "d")).unwrap();
    assert_eq!((sorted.order, sorted.reverse, sorted.is_as_ranked()), (Order::Date, false, false));
    let generation = state.search.generation;
    tell(&mut state, Message::Found(generation, Ok(answer(4, 0))));
    assert!(drawn(&state).contains("by date"), "{}", drawn(&state));
    let reversed = listing(&press(&mut state, "o R")).unwrap();
    assert_eq!((reversed.order, reversed.reverse), (Order::Date, true));
    press(&mut state, ":");
    types(&mut state, "sort by name");
    assert_eq!(listing(&press(&mut state, "enter")).unwrap().order, Order::Name);
    // It stays so for the next query, until it is changed; from other places, too.
    press(&mut state, "2 :");
    types(&mut state, "how well photos match");
    assert!(listing(&press(&mut state, "enter")).unwrap().is_as_ranked() && state.place == Place::Search);
    assert!(press(&mut state, "o esc").is_empty() && state.overlay.is_none());
}

#[test]
fn a_range_is_marked_from_its_beginning_to_its_end() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc l V l l");
    assert_eq!(drawn(&state).matches('●').count(), 3, "what it would mark is shown: {}", drawn(&state));
    assert!(state.marks.is_empty());
    press(&mut state, "V");
    assert_eq!(state.marks[..], [1, 2, 3]);
    press(&mut state, "I");
    assert_eq!(state.marks[..], [0], "of the four matches");
    press(&mut state, "u");
    assert_eq!(state.marks[..], [1, 2, 3]);
    // Backwards; and dropped.
    press(&mut state, "u V h h V");
    assert_eq!(state.marks.iter().copied().collect::<std::collections::BTreeSet<_>>(), (1..=3).collect());
    press(&mut state, "V l esc V");
    assert_eq!(state.marks.len(), 3);
}

#[test]
fn a_caption_is_written_changed_deleted_and_brought_back() {
    let mut state = with_photos(120, 40);
    press(&mut state, "esc E");
    assert_eq!(
        state.overlay.as_ref().and_then(Overlay::input).map(|input| input.value().to_owned()),
        Some("a dog runs through the snow with a red ball".into()),
        "what is there can be changed"
    );
    press(&mut state, "ctrl-u");
    types(&mut state, "Rex");
    let wanted = Effect::SetCaption { photo: 0, text: Some(("Rex".into(), None)), is_undo: false };
    assert_eq!(press(&mut state, "enter"), [wanted]);
    let before = Some(("a dog".to_owned(), Some("blip2".to_owned())));
    let effects = tell(&mut state, Message::Captioned { photo: 0, before: before.clone(), is_undo: false });
    assert!(effects.contains(&Effect::Photos(vec![0])), "its details are read again: {effects:?}");
    assert_eq!(press(&mut state, "u")[0], Effect::SetCaption { photo: 0, text: before, is_undo: true });
    press(&mut state, ":");
    types(&mut state, "delete the caption");
    assert_eq!(press(&mut state, "enter")[0], Effect::SetCaption { photo: 0, text: None, is_undo: false });
}

#[test]
fn failures_are_selected_explained_opened_and_tried_again() {
    let mut state = with_photos(100, 30);
    press(&mut state, "esc 6");
    tell(&mut state, Message::Library(Ok(Some(Box::new(standing())))));
    press(&mut state, "j enter");
    let screen = drawn(&state);
    assert!(screen.contains("Could not be read") && screen.contains("\\x1b[31mevil"), "{screen}");
    assert!(screen.contains("unreadable: Permission denied") && screen.contains("t tries all such files again"));
    press(&mut state, "esc");
    assert!(matches!(&press(&mut state, "O")[..], [Effect::View(path)] if path.to_string_lossy().contains("evil")));
    press(&mut state, "k");
    assert!(matches!(&press(&mut state, "R")[..], [Effect::Reveal(path)] if path.ends_with("broken.jpg")));
    assert_eq!(press(&mut state, "t"), [Effect::Retry]);
}

#[test]
fn everything_known_about_a_photo_can_be_read() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc enter");
    assert_eq!(press(&mut state, "i"), [Effect::Facts("/photos/2019/dog.jpg".into())]);
    let lines = (0..60).map(|n| format!("  fact {n:<10} {}", "word ".repeat(30))).collect();
    tell(&mut state, Message::Text("What is known about the photo".into(), lines));
    assert!(drawn(&state).contains("fact 0") && drawn(&state).contains("j k scroll"), "{}", drawn(&state));
    press(&mut state, "j j j");
    assert!(!drawn(&state).contains("fact 0 "));
    press(&mut state, "esc");
    assert!(state.overlay.is_none() && state.place == Place::Look);
}
