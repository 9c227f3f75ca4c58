//! Looking closer at a photo.

use super::*;
use crate::tui::event::WantedPicture;
use crate::tui::place::Place;
use crate::tui::wanted as run_wanted;
use crate::tui::zoom::Crop;
use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

/// A photo of 4000 x 3000 pixels, large, where a cell has 10 x 20.
fn looking() -> State {
    let mut state = with_photos(100, 24);
    state.options.cell = (10, 20);
    press(&mut state, "esc enter");
    state
}

/// The pictures that are missing, after all that are seen have been painted.
fn wanted(state: &mut State) -> Vec<WantedPicture> {
    let wanted = run_wanted(state);
    paint(state);
    wanted
}

fn crop(state: &State) -> Option<Crop> {
    layout::pictures(state)[0].0.crop
}

fn mouse(state: &mut State, kind: MouseEventKind, x: u16, y: u16) {
    update(state, Event::Mouse(MouseEvent { kind, column: x, row: y, modifiers: KeyModifiers::NONE }));
}

#[test]
fn keys_go_closer_and_about_in_the_photo_and_it_is_whole_again() {
    let mut state = looking();
    assert_eq!(wanted(&mut state)[0].key.crop, None);
    press(&mut state, "+ =");
    let first = crop(&state).unwrap();
    let asked = wanted(&mut state);
    assert_eq!((asked.len(), asked[0].key.crop, asked[0].size), (1, Some(first), (4000, 3000)));
    assert!(drawn(&state).contains("%  "), "{}", drawn(&state));
    let before = state.photo();
    press(&mut state, "l j");
    let moved = crop(&state).unwrap();
    assert!(moved.left > first.left && moved.top > first.top && moved.width == first.width);
    assert_eq!(state.photo(), before, "no other photo");
    press(&mut state, "z");
    assert_eq!(state.zoom_says().as_deref(), Some("100 %"));
    assert_eq!(crop(&state).unwrap().width, u32::from(layout::areas(&state).body.width) * 10);
    press(&mut state, "- +");
    assert_eq!(state.zoom_says().as_deref(), Some("100 %"));
    press(&mut state, "w l");
    assert_eq!((crop(&state), state.place), (None, Place::Look));
    assert_ne!(state.photo(), before, "the arrow keys turn to the next photo again");
    press(&mut state, "+ esc");
    assert_eq!((crop(&state), state.place), (None, Place::Look), "esc closes one thing after the other");
    press(&mut state, "esc");
    assert_eq!(state.place, Place::Search);
    press(&mut state, "enter + esc enter");
    assert_eq!(crop(&state), None);
}

#[test]
fn the_next_photo_is_looked_at_as_closely_and_two_in_step() {
    let mut state = looking();
    press(&mut state, "+ + l l");
    let before = (state.photo(), crop(&state));
    press(&mut state, "n");
    assert_ne!(state.photo(), before.0);
    assert_eq!(crop(&state), before.1);
    press(&mut state, "p |");
    assert_eq!(state.photo(), before.0);
    let crops: Vec<Option<Crop>> = layout::pictures(&state).iter().map(|(key, _)| key.crop).collect();
    assert!(crops.len() == 2 && crops[0].is_some() && crops[0] == crops[1], "{crops:?}");
}

#[test]
fn the_wheel_goes_closer_and_dragging_moves_the_photo() {
    let mut state = looking();
    let area = layout::areas(&state).body;
    let (x, y) = (area.x + area.width - 8, area.y + 3);
    for _ in 0..4 {
        mouse(&mut state, MouseEventKind::ScrollUp, x, y);
    }
    let closer = crop(&state).unwrap();
    assert!(closer.left > 1000 && closer.top < 800, "around what is below the mouse: {closer:?}");
    mouse(&mut state, MouseEventKind::Down(MouseButton::Left), x, y);
    mouse(&mut state, MouseEventKind::Drag(MouseButton::Left), x + 4, y);
    let dragged = crop(&state).unwrap();
    assert!(dragged.left < closer.left && dragged.top == closer.top, "{dragged:?}");
    mouse(&mut state, MouseEventKind::Up(MouseButton::Left), x, y);
    mouse(&mut state, MouseEventKind::Drag(MouseButton::Left), x - 20, y);
    assert_eq!(crop(&state), Some(dragged), "it was let go");
    (0..8).for_each(|_| mouse(&mut state, MouseEventKind::ScrollDown, x, y));
    assert_eq!(crop(&state), None);
    let before = state.photo();
    let side = layout::areas(&state).side;
    mouse(&mut state, MouseEventKind::ScrollDown, side.x + 2, y);
    assert_ne!(state.photo(), before, "beside the photo, the wheel turns to the next one");
}

#[test]
fn what_was_seen_stays_until_the_next_part_is_painted() {
    let mut state = looking();
    paint(&mut state);
    let blank = |state: &State| drawn(state).lines().nth(12).unwrap().chars().take(40).any(|c| c == '\u{b7}');
    press(&mut state, "+");
    assert!(!blank(&state), "the whole photo");
    paint(&mut state);
    press(&mut state, "l");
    assert!(!blank(&state) && run_wanted(&state).len() == 1);
    let (key, _) = layout::pictures(&state)[0];
    tell(&mut state, Message::Picture(key, Err("it is gone".into())));
    assert!(drawn(&state).contains("it is gone"));
}

#[test]
fn one_looks_closer_by_name_too() {
    let mut state = with_photos(100, 24);
    press(&mut state, "esc :");
    types(&mut state, "magnify");
    press(&mut state, "enter");
    assert_eq!(state.place, Place::Look);
    assert!(crop(&state).is_some());
    state.options.pictures = false;
    press(&mut state, "w +");
    assert!(drawn(&state).contains("no pictures are drawn here"));
}
