//! The mouse.

use crate::tui::event::Effect;
use crate::tui::place::Place;
use crate::tui::state::State;
use crate::tui::{layout, view};
use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

pub(super) fn on_mouse(state: &mut State, mouse: MouseEvent, effects: &mut Vec<Effect>) {
    if layout::is_too_small(state) {
        return;
    }
    if state.overlay.is_some() {
        if matches!(mouse.kind, MouseEventKind::Down(_)) {
            state.overlay = None;
        }
        return;
    }
    let areas = layout::areas(state);
    let at = (mouse.column, mouse.row).into();
    match mouse.kind {
        MouseEventKind::Down(MouseButton::Left) if areas.tabs.contains(at) => {
            if let Some(place) = view::tab_at(state, mouse.column) {
                state.visit(place, effects);
            }
        }
        MouseEventKind::Down(MouseButton::Left) if areas.input.contains(at) => match state.place {
            Place::Browse => {
                if let Some(kind) = view::browse_kind_at(mouse.column) {
                    state.browse(kind, effects);
                }
            }
            Place::Search => state.search.typing = true,
            Place::Classify => state.classify.typing = true,
            _ => {}
        },
        MouseEventKind::Down(MouseButton::Left) => {
            if state.place == Place::Search && state.search.typing {
                state.settle();
            }
            state.classify.typing = false;
            match state.place {
                Place::Search | Place::Classify => {
                    let place = state.place;
                    if let Some(label) = view::label_at(state, mouse.column, mouse.row) {
                        return state.choose_label(label);
                    }
                    let hit =
                        state.gallery_of(place).and_then(|gallery| gallery.hit(areas.body, mouse.column, mouse.row));
                    let Some(hit) = hit else { return };
                    let again = state.gallery_of(place).is_some_and(|gallery| gallery.at() == hit);
                    if let Some(gallery) = state.gallery_mut(place) {
                        gallery.select(hit);
                    }
                    // A click on the photo that is already selected shows it large.
                    if again {
                        state.look();
                    }
                }
                Place::Clusters => {
                    let hit = layout::clusters(state).into_iter().find(|(_, area)| area.contains(at));
                    let Some((hit, _)) = hit else { return };
                    if hit == state.clusters.at {
                        state.open_cluster(effects);
                    } else {
                        state.clusters.at = hit;
                    }
                }
                Place::Duplicates => {
                    for (set, area) in layout::copy_sets(state) {
                        let tiles = layout::copy_tiles(state, set, area);
                        let Some((file, _)) = tiles.into_iter().find(|(_, tile)| tile.contains(at)) else { continue };
                        if (set, file) == (state.copies.at, state.copies.file) {
                            return state.look();
                        }
                        (state.copies.at, state.copies.file) = (set, file);
                    }
                }
                Place::Models => {
                    let hit = layout::model_rows(state).into_iter().find(|(_, area)| area.contains(at));
                    if let Some((hit, _)) = hit {
                        state.models.at = state.models.settled(hit, true);
                    }
                }
                Place::Map => {
                    if let Some(spot) = layout::spot_below(state, mouse.column, mouse.row) {
                        state.set_cursor(spot);
                        state.map.corner = None;
                    }
                }
                Place::Chat => state.chat.typing = state.chat.photo.is_some() && state.chat.missing.is_none(),
                Place::Browse => {
                    let hit = layout::browse_rows(state).into_iter().find(|(_, area)| area.contains(at));
                    let Some((hit, _)) = hit else { return };
                    if hit == state.browse.at {
                        state.open_row(effects);
                    } else {
                        state.browse.at = hit;
                        state.settle_row(true);
                    }
                }
                Place::Look => state.look.held = state.look.zoom.map(|_| (mouse.column, mouse.row)),
                Place::Index => {}
            }
        }
        MouseEventKind::Drag(MouseButton::Left) if state.place == Place::Map => {
            if let Some(spot) = layout::spot_below(state, mouse.column, mouse.row) {
                state.map.corner = state.map.corner.or(Some(state.map.cursor));
                state.set_cursor(spot);
            }
        }
        MouseEventKind::Drag(MouseButton::Left) if state.place == Place::Look && state.look.held.is_some() => {
            state.drag((mouse.column, mouse.row));
        }
        MouseEventKind::Up(_) => state.look.held = None,
        // Over the photo, closer to what is below the mouse; beside it, to the next one.
        MouseEventKind::ScrollDown | MouseEventKind::ScrollUp
            if state.place == Place::Look && areas.body.contains(at) =>
        {
            state.look_closer(mouse.kind == MouseEventKind::ScrollUp, Some((mouse.column, mouse.row)));
        }
        MouseEventKind::ScrollDown => wheel(state, 1),
        MouseEventKind::ScrollUp => wheel(state, -1),
        _ => {}
    }
}

fn wheel(state: &mut State, down: isize) {
    let area = layout::areas(state).body;
    match state.place {
        Place::Search | Place::Classify => {
            let place = state.place;
            if let Some(gallery) = state.gallery_mut(place) {
                gallery.scroll(down, area);
            }
        }
        Place::Look => state.turn_page(down),
        Place::Browse => state.step_row(3 * down),
        Place::Clusters => state.step_cluster(down),
        Place::Models => state.models.step(3 * down),
        Place::Duplicates => state.step_copy_set(down),
        Place::Map => state.zoom(down < 0),
        Place::Chat => state.chat.back = state.chat.back.saturating_add_signed(-3 * down),
        Place::Index => {
            let most = state.index.failures.len().saturating_sub(1);
            state.index.at = state.index.at.saturating_add_signed(3 * down).min(most);
        }
    }
}
