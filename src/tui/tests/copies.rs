//! Copies side by side: what is kept, and the script.

use super::*;
use crate::tui::event::{IndexNews, Task, Work};
use crate::tui::overlay::{Overlay, Prompt};
use crate::tui::place::Place;
use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use std::path::Path;

/// In Duplicates, with two groups.
fn comparing(width: u16, height: u16) -> State {
    let mut state = with_photos(width, height);
    let effects = press(&mut state, "esc 7");
    let generation = state.work.unwrap().0;
    assert!(effects.contains(&Effect::Work(generation, Work::Copies)), "it begins by itself");
    tell(&mut state, Message::Copies(generation, Ok(found_copies())));
    tell(&mut state, Message::Photos((0..4).map(hit).collect(), Vec::new()));
    state
}

fn dropped(state: &State) -> Vec<&str> {
    let sets = state.copies.sets().iter();
    let going =
        sets.flat_map(|set| (0..set.files.len()).filter(|at| !state.copies.keeps(set, *at)).map(|at| &set.files[at]));
    going.map(|file| file.path.file_name().unwrap().to_str().unwrap()).collect()
}

fn script(effects: &[Effect]) -> Option<&Work> {
    effects.iter().find_map(|effect| match effect {
        Effect::Work(_, work @ Work::TrashScript(..)) => Some(work),
        _ => None,
    })
}

#[test]
fn what_is_proposed_can_be_changed_and_that_undone() {
    let mut state = comparing(120, 40);
    assert_eq!(dropped(&state), ["dog small.jpg", "\u{1b}[31mIMG-1.jpg", "cat (1).jpg"]);
    let screen = drawn(&state);
    assert!(screen.contains("2 groups; 3 of 5 files go, 590 KB"), "{screen}");
    assert!(screen.contains("proposed: most pixels") && screen.contains("25 % of the pixels (looks 97 % alike)"));
    press(&mut state, "space");
    assert_eq!(dropped(&state).len(), 3);
    assert!(drawn(&state).contains("one of them stays"), "{}", drawn(&state));
    press(&mut state, "l space");
    assert_eq!(dropped(&state), ["\u{1b}[31mIMG-1.jpg", "cat (1).jpg"]);
    press(&mut state, "o");
    assert_eq!(dropped(&state), ["dog.jpg", "\u{1b}[31mIMG-1.jpg", "cat (1).jpg"]);
    assert!(drawn(&state).contains("keep, by hand") && drawn(&state).contains("to the trash, by hand"));
    press(&mut state, "u");
    assert_eq!(dropped(&state), ["\u{1b}[31mIMG-1.jpg", "cat (1).jpg"]);
    press(&mut state, "ctrl-r");
    assert_eq!(dropped(&state), ["dog.jpg", "\u{1b}[31mIMG-1.jpg", "cat (1).jpg"]);
    press(&mut state, "j a");
    assert_eq!(dropped(&state), ["dog.jpg", "\u{1b}[31mIMG-1.jpg"]);
    press(&mut state, "P");
    assert_eq!(dropped(&state), ["dog small.jpg", "\u{1b}[31mIMG-1.jpg", "cat (1).jpg"]);
    press(&mut state, "u");
    assert_eq!(dropped(&state), ["dog.jpg", "\u{1b}[31mIMG-1.jpg"]);
}

#[test]
fn the_script_is_asked_for_and_a_refused_name_stays_typed() {
    let mut state = comparing(120, 40);
    press(&mut state, "l o w");
    let effects = press(&mut state, "enter");
    let Some(Work::TrashScript(removals, file)) = script(&effects) else { panic!("{effects:?}") };
    assert_eq!((removals.len(), file.as_path()), (2, Path::new("duplicates.sh")));
    assert_eq!(removals[0].kept.path, Path::new("/photos/old/dog small.jpg"));
    assert!(!removals[0].is_proposed && removals[1].is_proposed && removals[0].dropped.len() == 2);
    let generation = state.work.unwrap().0;
    tell(&mut state, Message::Scripted(generation, "duplicates.sh".into(), Err("duplicates.sh already exists".into())));
    assert!(matches!(&state.overlay, Some(Overlay::Prompt(asked)) if asked.prompt == Prompt::TrashScript));
    assert!(drawn(&state).contains("already exists"));
    types(&mut state, "2");
    press(&mut state, "enter");
    let generation = state.work.unwrap().0;
    tell(
        &mut state,
        Message::Scripted(generation, "duplicates.sh2".into(), Ok("it moves 3 files to the trash".into())),
    );
    assert!(drawn(&state).contains("it moves 3 files"));
    press(&mut state, "a j a w");
    assert!(state.overlay.is_none() && drawn(&state).contains("no file is to be moved"));
}

#[test]
fn a_search_for_copies_can_be_cancelled_and_goes_on() {
    let mut state = with_photos(100, 24);
    press(&mut state, "esc :");
    types(&mut state, "dedupe");
    press(&mut state, "enter");
    assert_eq!(state.place, Place::Duplicates);
    assert!(drawn(&state).contains("Looking for copies"), "{}", drawn(&state));
    let generation = state.work.unwrap().0;
    assert!(press(&mut state, "x").contains(&Effect::Cancel(Task::Library)));
    tell(&mut state, Message::Copies(generation, Err("stopped".into())));
    assert!(drawn(&state).contains("stopped; r looks again"), "{}", drawn(&state));
    press(&mut state, "1 7");
    assert!(state.work.is_none(), "not again by itself");
    press(&mut state, "r");
    let generation = state.work.unwrap().0;
    tell(&mut state, Message::Copies(generation, Ok(FoundCopies::default())));
    assert!(drawn(&state).contains("No two files show the same picture"));
    // The library changes: what is known is out of date.
    tell(&mut state, Message::Index(IndexNews::Ended(Ok("1 photo indexed".into()), false)));
    press(&mut state, "1 7");
    assert!(state.work.is_some());
}

#[test]
fn decisions_outlive_another_search_and_the_selection_stays() {
    let mut state = comparing(120, 40);
    press(&mut state, "l l space h j a r");
    let generation = state.work.unwrap().0;
    let mut again = found_copies();
    again.sets.rotate_left(1);
    tell(&mut state, Message::Copies(generation, Ok(again)));
    assert_eq!(dropped(&state), ["dog small.jpg"]);
    assert_eq!(state.copies.at, 0, "the cat");
}

#[test]
fn a_copy_is_looked_at_beside_the_one_that_is_kept() {
    let mut state = comparing(120, 40);
    press(&mut state, "l enter");
    assert_eq!((state.place, state.photo(), state.photo_beside()), (Place::Look, Some(1), Some(0)));
    press(&mut state, "+ l w l");
    assert_eq!((state.photo(), state.photo_beside()), (Some(2), Some(0)), "on to the next copy");
    press(&mut state, "h h");
    assert_eq!((state.photo(), state.photo_beside()), (Some(0), Some(1)));
    press(&mut state, "| esc");
    assert_eq!((state.place, state.copies.file), (Place::Duplicates, 0));
    // Files of one content have nothing to compare.
    press(&mut state, "j enter");
    assert_eq!((state.photo(), state.photo_beside()), (Some(3), None));
    press(&mut state, "esc 1 enter");
    assert_eq!(state.photo_beside().is_some(), state.look.beside > 0, "the list has its own photo beside");
}

#[test]
fn the_mouse_selects_a_copy_and_shows_it() {
    let mut state = comparing(100, 40);
    let (_, area) = layout::copy_sets(&state)[1];
    let (_, tile) = layout::copy_tiles(&state, 1, area)[1];
    let click = |state: &mut State| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        update(
            state,
            Event::Mouse(MouseEvent { kind, column: tile.x + 2, row: tile.y + 1, modifiers: KeyModifiers::NONE }),
        );
    };
    click(&mut state);
    assert_eq!((state.copies.at, state.copies.file, state.place), (1, 1, Place::Duplicates));
    click(&mut state);
    assert_eq!(state.place, Place::Look);
}

#[test]
fn every_copy_is_seen_when_selected_on_every_screen() {
    for (width, height) in [(40, 10), (40, 12), (80, 24), (100, 24), (200, 60)] {
        let mut state = comparing(width, height);
        for set in 0..2 {
            for file in 0..state.copies.sets()[set].files.len() {
                (state.copies.at, state.copies.file) = (set, file);
                let (_, area) = *layout::copy_sets(&state).iter().find(|(at, _)| *at == set).unwrap();
                let tiles = layout::copy_tiles(&state, set, area);
                let (_, tile) = tiles.iter().find(|(at, _)| *at == file).unwrap();
                let (picture, words) = layout::in_copy(*tile);
                assert!(words.height >= 3 && picture.height >= 2, "{width}x{height}: {tile:?}");
                drawn(&state);
            }
        }
    }
}

#[test]
fn copies() {
    for (width, height) in [(80, 24), (120, 40)] {
        let mut state = comparing(width, height);
        press(&mut state, "l");
        paint(&mut state);
        insta::assert_snapshot!(format!("copies-{width}x{height}"), drawn(&state));
    }
}
