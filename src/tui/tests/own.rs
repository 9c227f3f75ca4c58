//! Tags and stars of one's own; doing again what was undone.

use super::*;
use crate::tui::event::{OwnChange, Way};
use crate::tui::overlay::{Overlay, Prompt};
use snapseek_index::{Facet, FacetField};

fn own(effects: &[Effect]) -> Option<(&OwnChange, Way)> {
    effects.iter().find_map(|effect| if let Effect::Own(change, way) = effect { Some((change, *way)) } else { None })
}

#[test]
fn in_look_digits_rate_the_photo_that_is_seen() {
    let mut state = with_photos(120, 40);
    press(&mut state, "esc space space enter");
    let effects = press(&mut state, "4");
    assert_eq!(own(&effects), Some((&OwnChange::Rate(vec![2], Some(4)), Way::Do)), "not what is marked");
    let before = OwnChange::SetRatings(vec![([7; 32], None)]);
    let effects = tell(&mut state, Message::OwnChanged("1 photo: 4 stars".into(), before.clone(), Way::Do));
    assert!(drawn(&state).contains("1 photo: 4 stars; u undoes it"), "{}", drawn(&state));
    assert!(effects.contains(&Effect::Renew) && effects.iter().any(|effect| matches!(effect, Effect::Photos(_))));
    tell(&mut state, Message::Photos(vec![Hit { own_rating: Some(4), ..hit(2) }], Vec::new()));
    assert!(drawn(&state).contains("★★★★  yours"), "{}", drawn(&state));
    assert!(!drawn(&state).contains("1 Search"), "digits are no places here");
    assert_eq!(own(&press(&mut state, "u")), Some((&before, Way::Undo)));
    let after = OwnChange::SetRatings(vec![([7; 32], Some(4))]);
    tell(&mut state, Message::OwnChanged("the rating is changed".into(), after.clone(), Way::Undo));
    assert!(drawn(&state).contains("undone: the rating is as it was; ctrl-r does it again"), "{}", drawn(&state));
    assert_eq!(own(&press(&mut state, "ctrl-r")), Some((&after, Way::Redo)));
    tell(&mut state, Message::OwnChanged("the rating is changed".into(), before.clone(), Way::Redo));
    assert_eq!(own(&press(&mut state, "u")), Some((&before, Way::Undo)), "and undone again");
    press(&mut state, "ctrl-r");
    assert!(drawn(&state).contains("nothing was undone"), "the answer has not come");
    // Nothing has changed: nothing is to be undone.
    let steps = state.undo.len();
    tell(&mut state, Message::OwnChanged("0 photos: 4 stars".into(), OwnChange::SetRatings(Vec::new()), Way::Do));
    assert!(state.undo.len() == steps && drawn(&state).contains("it is so already"));
    assert_eq!(own(&press(&mut state, "X")).unwrap().0, &OwnChange::Rate(vec![2], Some(-1)));
}

#[test]
fn in_look_a_prompt_is_answered_by_enter() {
    let mut state = with_photos(120, 40);
    press(&mut state, "esc enter t");
    types(&mut state, "sea");
    let change = OwnChange::Tags { photos: vec![0], add: vec!["sea".into()], remove: Vec::new() };
    assert_eq!(press(&mut state, "enter"), [Effect::Own(change, Way::Do)]);
    press(&mut state, "E ctrl-u");
    types(&mut state, "Rex");
    assert!(
        matches!(&press(&mut state, "enter")[..], [Effect::SetCaption { photo: 0, .. }]) && state.overlay.is_none()
    );
}

#[test]
fn elsewhere_a_menu_rates_what_is_marked() {
    let mut state = with_photos(120, 40);
    press(&mut state, "esc space space *");
    let screen = drawn(&state);
    assert!(screen.contains("Rate") && screen.contains("5 stars") && screen.contains("rejected"), "{screen}");
    assert_eq!(own(&press(&mut state, "5")).unwrap().0, &OwnChange::Rate(vec![0, 1], Some(5)));
    press(&mut state, "* f");
    press(&mut state, "*");
    assert_eq!(own(&press(&mut state, "j enter")).unwrap().0, &OwnChange::Rate(vec![0, 1], Some(2)));
    assert_eq!(state.place, crate::tui::place::Place::Search);
}

#[test]
fn tags_are_given_taken_and_completed() {
    let mut state = with_photos(120, 40);
    let photo = Hit { own_tags: vec!["Lisbon".into(), "sea".into()], ..hit(0) };
    tell(&mut state, Message::Photos(vec![photo], Vec::new()));
    press(&mut state, "esc");
    let effects = press(&mut state, "t");
    assert!(effects.contains(&Effect::Facets(FacetField::Keyword)) && drawn(&state).contains("it has: Lisbon, sea"));
    let facet = |value: &str, photos| Facet { value: value.into(), photos };
    let known = vec![facet("beach", 9), facet("Berlin", 3), facet("b\u{1b}", 2), facet("b, c", 1)];
    tell(&mut state, Message::Facets(FacetField::Keyword, known));
    types(&mut state, "night, b");
    assert!(drawn(&state).contains("beach · Berlin"), "{}", drawn(&state));
    types(&mut state, "er");
    press(&mut state, "tab");
    types(&mut state, ", -l");
    press(&mut state, "tab");
    let line = |state: &State| state.overlay.as_ref().and_then(Overlay::input).map(|input| input.value().to_owned());
    assert_eq!(line(&state), Some("night, Berlin, -Lisbon".into()));
    let effects = press(&mut state, "enter");
    let change =
        OwnChange::Tags { photos: vec![0], add: vec!["night".into(), "Berlin".into()], remove: vec!["Lisbon".into()] };
    assert_eq!(own(&effects), Some((&change, Way::Do)));
    // What is refused can be corrected.
    tell(&mut state, Message::Refused(Prompt::Tags(vec![0]), "★".into(), "it has neither a letter nor a digit".into()));
    assert!(drawn(&state).contains("neither a letter") && line(&state) == Some("★".into()));
    press(&mut state, "esc");
    // What is looked at has changed: values are counted anew.
    let before = OwnChange::SetTags(vec![([7; 32], vec!["Lisbon".into()])]);
    tell(&mut state, Message::OwnChanged("night given to 1 photo".into(), before, Way::Do));
    assert!(!state.facets.contains_key(&FacetField::Keyword));
}

#[test]
fn marks_are_undone_and_marked_again_until_something_else_is_done() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc space space u u ctrl-r");
    assert_eq!(state.marks[..], [0]);
    press(&mut state, "ctrl-r ctrl-r");
    assert_eq!(state.marks[..], [0, 1]);
    press(&mut state, "u A ctrl-r");
    assert!(state.redo.is_empty() && state.marks.len() == 4);
}
