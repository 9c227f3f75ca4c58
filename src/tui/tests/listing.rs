//! Sorting, ranges, captions, failures and facts.

use super::*;
use crate::tui::event::{AlbumChange, ChatWork, IndexNews, Listing, Task, Way};
use crate::tui::overlay::Overlay;
use crate::tui::place::Place;
use snapseek_index::{Facet, FacetCounts, FacetField, Order, PhotoAlbum};

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
    assert_eq!(drawn(&state).matches('○').count(), 3, "what it would mark is shown: {}", drawn(&state));
    assert!(state.marks.is_empty() && drawn(&state).contains("a range of 3 photos: V marks it"));
    assert_eq!(state.chosen(), [1, 2, 3], "it is what is meant");
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
    let wanted = Effect::SetCaption { photo: 0, text: Some(("Rex".into(), None)), way: Way::Do };
    assert_eq!(press(&mut state, "enter"), [wanted]);
    let before = Some(("a dog".to_owned(), Some("blip2".to_owned())));
    let effects = tell(&mut state, Message::Captioned { photo: 0, before: before.clone(), now: true, way: Way::Do });
    assert!(effects.contains(&Effect::Photos(vec![0])), "its details are read again: {effects:?}");
    assert_eq!(press(&mut state, "u")[0], Effect::SetCaption { photo: 0, text: before, way: Way::Undo });
    // What is emptied is deleted; the photos are asked for again.
    press(&mut state, "E ctrl-u");
    assert_eq!(press(&mut state, "enter")[0], Effect::SetCaption { photo: 0, text: None, way: Way::Do });
    let effects = tell(&mut state, Message::Captioned { photo: 0, before: None, now: false, way: Way::Undo });
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Search(..))) && effects.contains(&Effect::Renew));
    press(&mut state, ":");
    types(&mut state, "delete the caption");
    assert_eq!(press(&mut state, "enter")[0], Effect::SetCaption { photo: 0, text: None, way: Way::Do });
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

#[test]
fn an_album_is_made_opened_and_undone() {
    let mut state = with_photos(120, 40);
    press(&mut state, "esc b");
    assert!(drawn(&state).contains("there are no albums yet: B on a photo"), "{}", drawn(&state));
    press(&mut state, "space space B");
    types(&mut state, "Lisbon");
    assert_eq!(press(&mut state, "enter"), [Effect::Album(AlbumChange::Add("Lisbon".into(), vec![0, 1]), Way::Do)]);
    let album = PhotoAlbum { name: "Our \"Lisbon\"".into(), photos: 2, pictures: 2, written: 0 };
    tell(&mut state, Message::Albums(vec![album]));
    tell(&mut state, Message::AlbumChanged("Lisbon".into(), "2 photos added to Lisbon".into(), None, Way::Do));
    assert!(drawn(&state).contains("2 photos added to Lisbon; u undoes it"));
    press(&mut state, "b");
    assert!(drawn(&state).contains("Our \"Lisbon\"") && drawn(&state).contains("2 photos"));
    let effects = press(&mut state, "enter");
    assert_eq!(state.search.input.value(), "album:\"Our \"\"Lisbon\"\"\" ");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Search(..))));
    let undone = press(&mut state, "u");
    assert_eq!(undone[0], Effect::Album(AlbumChange::Set("Lisbon".into(), None), Way::Undo), "there was none");
    press(&mut state, "B");
    assert_eq!(state.overlay.as_ref().and_then(Overlay::input).map(|input| input.value()), Some("Lisbon"));
}

#[test]
fn values_of_fields_are_counted_completed_and_added_to_the_query() {
    let mut state = with_photos(100, 30);
    press(&mut state, "esc");
    let effects = press(&mut state, "F");
    assert_eq!(effects, [Effect::Filters(state.filters.generation, String::new(), 0)]);
    assert!(drawn(&state).contains("counting") && drawn(&state).contains("counted in the whole library"));
    let facet = |value: &str, photos| Facet { value: value.into(), photos };
    let counted = |state: &mut State, field, values: &[Facet], left_out: &[usize]| {
        let counts = FacetCounts { values: values.to_vec(), left_out: left_out.to_vec() };
        tell(state, Message::Filters(state.filters.generation, field, Ok(counts)))
    };
    counted(&mut state, FacetField::Year, &[facet("2021", 7), facet("2019", 92)], &[]);
    let screen = drawn(&state);
    assert!(screen.contains("2019") && screen.contains("92") && screen.contains("camera"), "{screen}");
    press(&mut state, "j enter");
    assert_eq!(state.search.input.value(), "taken:2019 ");
    // Within the query's filters: an answer to what was counted before changes nothing.
    let before = state.filters.generation;
    let effects = press(&mut state, "F");
    assert_eq!(effects, [Effect::Filters(state.filters.generation, "taken:2019 ".into(), 0)]);
    tell(&mut state, Message::Filters(before, FacetField::Year, Ok(FacetCounts::default())));
    assert!(drawn(&state).contains("counting") && drawn(&state).contains("within the query's filters"));
    // On to another field; one that no photo has a value of changes nothing; what is not wanted is left out.
    counted(&mut state, FacetField::Month, &[], &[]);
    assert!(press(&mut state, "l enter l").is_empty() && state.overlay.is_some(), "counted once");
    counted(&mut state, FacetField::Camera, &[facet("Canon \"Pro\" \u{1b}[31m", 3)], &[]);
    assert!(drawn(&state).contains("Canon \"Pro\" \\x1b[31m"), "{}", drawn(&state));
    press(&mut state, "-");
    assert_eq!(state.search.input.value(), "taken:2019 -camera:\"Canon \"\"Pro\"\" \u{1b}[31m\" ");
    press(&mut state, "F");
    counted(&mut state, FacetField::Camera, &[facet("Canon", 3)], &[]);
    assert!(drawn(&state).contains("Canon"), "the field of the last time");
    // Another year takes the place of the one that was chosen; the same one is there already.
    let years = [facet("2021", 7), facet("2019", 92), facet("2004", 1)];
    counted(&mut state, FacetField::Year, &years, &[0]);
    press(&mut state, "h h");
    assert!(drawn(&state).contains("in place of taken:2019"), "{}", drawn(&state));
    press(&mut state, "j enter");
    assert!(drawn(&state).contains("the query has this filter already"));
    press(&mut state, "F G enter");
    assert_eq!(state.search.input.value(), "-camera:\"Canon \"\"Pro\"\" \u{1b}[31m\" taken:2004 ");
    // What is wrong with the query is told where its photos would be counted.
    press(&mut state, "F");
    let generation = state.filters.generation;
    tell(&mut state, Message::Filters(generation, FacetField::Year, Err("no album \u{1b} x".into())));
    assert!(drawn(&state).contains("no album \\x1b x"), "{}", drawn(&state));
    // The library has changed: what is seen is counted again, and stays until then.
    counted(&mut state, FacetField::Year, &years, &[]);
    press(&mut state, "G");
    let effects = tell(&mut state, Message::Index(IndexNews::Ended(Ok("done".into()), false)));
    let text = state.search.input.value().to_owned();
    assert!(effects.contains(&Effect::Filters(state.filters.generation, text, 0)), "{effects:?}");
    assert!(drawn(&state).contains("2021"));
    counted(&mut state, FacetField::Year, &years[..1], &[]);
    assert!(matches!(state.overlay, Some(Overlay::Filters(0, 0))), "the selection is within");
    press(&mut state, "esc");
    // The first field that has values is shown, until one is chosen.
    press(&mut state, "/ ctrl-u");
    types(&mut state, "castle");
    press(&mut state, "enter F");
    counted(&mut state, FacetField::Year, &[], &[]);
    counted(&mut state, FacetField::Camera, &years, &[]);
    assert!(matches!(state.overlay, Some(Overlay::Filters(0, 0))), "months are not known yet");
    counted(&mut state, FacetField::Month, &[], &[]);
    assert!(matches!(state.overlay, Some(Overlay::Filters(2, 0))));
    press(&mut state, "h");
    counted(&mut state, FacetField::Lens, &years, &[]);
    assert!(matches!(state.overlay, Some(Overlay::Filters(1, 0))));
    press(&mut state, "h esc");
    // Completion asks for the values, and offers them when they come.
    press(&mut state, "r / ctrl-u");
    let effects = types(&mut state, "tag:ca");
    assert!(effects.contains(&Effect::Facets(FacetField::Tag)));
    assert_eq!(effects.iter().filter(|effect| matches!(effect, Effect::Facets(_))).count(), 1, "once");
    tell(
        &mut state,
        Message::Facets(FacetField::Tag, vec![facet("cat", 12), facet("castle wall", 3), facet("dog", 2)]),
    );
    let screen = drawn(&state);
    assert!(screen.contains("tag:cat") && screen.contains("12") && screen.contains("tag:\"castle wall\""), "{screen}");
    press(&mut state, "down tab");
    assert_eq!(state.search.input.value(), "tag:\"castle wall\"");
    // The library has changed: it is counted anew.
    press(&mut state, "esc r");
    assert!(state.facets.is_empty());
}

#[test]
fn captions_are_written_for_what_is_marked_and_can_be_cancelled() {
    let mut state = with_photos(100, 30);
    press(&mut state, "esc space space");
    let effects = press(&mut state, "C");
    let photos = vec![(0, "/photos/2019/dog.jpg".into()), (1, "/photos/2019/polar-bear.jpg".into())];
    assert_eq!(effects, [Effect::Chat(state.chat.generation, ChatWork::Caption(photos))]);
    tell(&mut state, Message::Captioning(Some((1, 2))));
    assert!(drawn(&state).contains("writing captions: 1 of 2") && state.is_busy(), "{}", drawn(&state));
    assert!(press(&mut state, "C").is_empty());
    assert_eq!(press(&mut state, "x"), [Effect::Cancel(Task::Chat)]);
    tell(&mut state, Message::Captioned { photo: 0, before: None, now: true, way: Way::Do });
    tell(&mut state, Message::Captioning(None));
    assert!(!state.is_busy() || state.search.waiting);
    assert_eq!(press(&mut state, "u")[0], Effect::SetCaption { photo: 0, text: None, way: Way::Undo });
}
