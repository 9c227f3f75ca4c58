//! What people made is not lost by one key.

use super::*;
use crate::tui::event::{ChatWork, Way, Work};

#[test]
fn marks_come_back_step_by_step_and_are_kept() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc");
    let effects = press(&mut state, "space space");
    let kept: Vec<&Vec<i64>> = effects
        .iter()
        .filter_map(|effect| if let Effect::KeepMarks(ids) = effect { Some(ids) } else { None })
        .collect();
    assert_eq!(kept, [&vec![0], &vec![0, 1]]);
    press(&mut state, "A U");
    assert!(state.marks.is_empty() && drawn(&state).contains("4 unmarked; u undoes it"), "{}", drawn(&state));
    let effects = press(&mut state, "u");
    assert_eq!((state.marks.len(), effects), (4, vec![Effect::KeepMarks(vec![0, 1, 2, 3])]));
    press(&mut state, "u");
    assert_eq!(state.marks[..], [0, 1]);
    press(&mut state, "u u");
    assert!(state.marks.is_empty());
    press(&mut state, "u");
    assert!(drawn(&state).contains("nothing to undo"));
    // Those of the last time are marked again, unless the user has begun anew.
    assert!(tell(&mut state, Message::Marks(vec![2, 5])).is_empty());
    assert_eq!(state.marks[..], [2, 5]);
    press(&mut state, "space");
    tell(&mut state, Message::Marks(vec![9]));
    assert!(!state.marks.has(9));
}

#[test]
fn clusters_of_before_come_back() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc 2");
    tell(&mut state, Message::Groups(Ok(groups())));
    let effects = press(&mut state, "C");
    let Some(Effect::Work(generation, Work::Cluster(None))) = effects.first() else { panic!("{effects:?}") };
    tell(&mut state, Message::Grouped(*generation, Ok(("8 clusters found".into(), Some(41)))));
    assert!(drawn(&state).contains("8 clusters found; u undoes it"), "{}", drawn(&state));
    tell(&mut state, Message::Renamed { old: "dog, wolf".into(), new: "Rex".into(), way: Way::Do });
    assert_eq!(press(&mut state, "u"), [Effect::Rename { old: "Rex".into(), new: "dog, wolf".into(), way: Way::Undo }]);
    tell(&mut state, Message::Renamed { old: "Rex".into(), new: "dog, wolf".into(), way: Way::Undo });
    assert_eq!(press(&mut state, "u"), [Effect::RestoreClusters(41, Way::Undo)]);
    assert!(press(&mut state, "u").is_empty());
    // Nothing was there before: there is nothing to go back to.
    let effects = press(&mut state, "C");
    let Some(Effect::Work(generation, _)) = effects.first() else { panic!("{effects:?}") };
    tell(&mut state, Message::Grouped(*generation, Ok(("1 cluster found".into(), None))));
    assert!(state.undo.is_empty());
}

#[test]
fn a_deleted_chat_comes_back() {
    let mut state = with_photos(80, 24);
    talking(&mut state);
    let (generation, turns) = (state.chat.generation, state.chat.turns.clone());
    press(&mut state, "esc");
    assert_eq!(press(&mut state, "D"), [Effect::Chat(generation, ChatWork::Clear)]);
    tell(&mut state, Message::Chat(generation, ChatNews::Answered(Vec::new())));
    assert!(drawn(&state).contains("the chat is deleted; u brings it back"), "{}", drawn(&state));
    assert_eq!(press(&mut state, "u"), [Effect::Chat(generation, ChatWork::Restore(turns))]);
}

#[test]
fn a_label_set_of_the_same_name_comes_back() {
    let mut state = with_photos(120, 40);
    let before = LabelSet { name: "pets".into(), labels: vec!["hamster".into()], ..LabelSet::default() };
    tell(&mut state, Message::LabelSets(vec![before.clone()]));
    press(&mut state, "esc 4");
    types(&mut state, "dog, cat, car");
    press(&mut state, "enter");
    let generation = state.work.unwrap().0;
    tell(&mut state, Message::Sorted(generation, Ok(sorted())));
    press(&mut state, "w");
    types(&mut state, "pets");
    press(&mut state, "enter");
    assert_eq!(press(&mut state, "u")[0], Effect::SaveSet(before));
}

#[test]
fn a_step_that_was_refused_can_be_undone_later() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc");
    let before = crate::tui::event::OwnChange::SetRatings(vec![([7; 32], None)]);
    tell(&mut state, Message::OwnChanged("1 photo: 3 stars".into(), before.clone(), Way::Do));
    let undo = Effect::Own(before.clone(), Way::Undo);
    assert!(press(&mut state, "u").contains(&undo));
    tell(&mut state, Message::NotTaken(Way::Undo, "another snapseek is writing to this library".into()));
    assert!(drawn(&state).contains("another snapseek is writing"));
    assert!(press(&mut state, "u").contains(&undo), "the step is still there");
    tell(&mut state, Message::OwnChanged("1 photo: 3 stars".into(), before.clone(), Way::Undo));
    assert!(state.taking.is_empty());
    press(&mut state, "u");
    assert!(drawn(&state).contains("there is nothing to undo"));
    let redo = Effect::Own(before.clone(), Way::Redo);
    assert!(press(&mut state, "ctrl-r").contains(&redo));
    tell(&mut state, Message::NotTaken(Way::Redo, "no".into()));
    assert!(press(&mut state, "ctrl-r").contains(&redo));
}

#[test]
fn text_that_was_read_can_be_deleted_and_is_back() {
    use snapseek_index::PhotoText;
    let mut state = with_photos(80, 24);
    press(&mut state, "esc :");
    types(&mut state, "clear-text");
    let photo = state.photo().unwrap();
    assert!(press(&mut state, "enter").contains(&Effect::SetText(photo, None, Way::Do)));
    let text = PhotoText { reader: "r".into(), lines: Vec::new(), text: "Gate B22".into(), read: 7 };
    tell(&mut state, Message::TextSet { photo, before: Some(text.clone()), now: false, way: Way::Do });
    assert!(drawn(&state).contains("the text is deleted"));
    assert!(press(&mut state, "u").contains(&Effect::SetText(photo, Some(text), Way::Undo)));
    tell(&mut state, Message::TextSet { photo, before: None, now: true, way: Way::Undo });
    assert!(press(&mut state, "ctrl-r").contains(&Effect::SetText(photo, None, Way::Redo)));
    press(&mut state, ":");
    types(&mut state, "ocr");
    let effects = press(&mut state, "enter");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Work(_, crate::tui::event::Work::ReadTexts(_)))));
    press(&mut state, ":");
    types(&mut state, "export --xmp /tmp/x");
    assert!(press(&mut state, "enter").contains(&Effect::Sidecars("/tmp/x".into())));
}
