//! Where things are on the screen. Views draw there, and mouse positions are looked up there.

use super::event::PictureKey;
use super::place::Place;
use super::state::State;
use super::zoom::ZoomedPhoto;
use ratatui::layout::{Constraint, Layout, Margin, Rect};
use unicode_width::UnicodeWidthStr;

/// The smallest screen on which the program is drawn.
pub const SMALLEST: (u16, u16) = (40, 10);
/// From this width in columns there is room for the photo at the side.
const WIDE: u16 = 100;

/// The parts of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Areas {
    /// The names of the places.
    pub tabs: Rect,
    /// The line to type in; no rows if the place has none.
    pub input: Rect,
    /// The place itself.
    pub body: Rect,
    /// The photo and its facts, at the side; no columns if there is no room.
    pub side: Rect,
    /// The line for messages.
    pub status: Rect,
    /// The line for the most important keys.
    pub hints: Rect,
}

/// Whether the screen is too small for anything but a message.
#[must_use]
pub fn is_too_small(state: &State) -> bool {
    state.screen.width < SMALLEST.0 || state.screen.height < SMALLEST.1
}

/// The parts of the screen.
#[must_use]
pub fn areas(state: &State) -> Areas {
    if state.place == Place::Look && state.look.full {
        let [body, status] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(state.screen);
        return Areas { body, status, ..Areas::default() };
    }
    let lines = match state.place {
        // What is wrong with a query may need a second line.
        Place::Search
            if state.search.error.as_ref().is_some_and(|why| why.width() + 3 > usize::from(state.screen.width)) =>
        {
            3
        }
        Place::Search | Place::Classify | Place::Browse => 2,
        Place::Duplicates => 1,
        _ => 0,
    };
    let [tabs, input, middle, status, hints] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(lines),
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ])
    .areas(state.screen);
    let wide = middle.width >= WIDE;
    let side = match state.place {
        Place::Search if wide && state.search.preview => middle.width * 2 / 5,
        // Two photos need the room.
        Place::Look if state.photo_beside().is_some() => 0,
        Place::Look if middle.width >= 70 => (middle.width / 3).clamp(26, 50),
        Place::Map => (middle.width / 3).min(46),
        Place::Browse if middle.width >= 70 => middle.width / 2,
        Place::Classify if wide => middle.width / 3,
        Place::Classify => (middle.width * 2 / 5).min(34),
        Place::Chat if middle.width >= 60 => middle.width * 2 / 5,
        _ => 0,
    };
    let [body, side] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(side)]).areas(middle);
    Areas { tabs, input, body, side, status, hints }
}

/// The picture's area in a tile: inside the frame, above the name.
#[must_use]
pub fn in_tile(tile: Rect) -> Rect {
    let inner = tile.inner(Margin::new(1, 1));
    Rect { height: inner.height.saturating_sub(1), ..inner }
}

/// The areas of the picture and of its facts in the side area.
#[must_use]
pub fn in_side(side: Rect) -> (Rect, Rect) {
    let inner = Rect { x: side.x + side.width.min(2), width: side.width.saturating_sub(3), ..side };
    let rows = (inner.height / 2).min(inner.width / 2);
    let [picture, facts] = Layout::vertical([Constraint::Length(rows), Constraint::Fill(1)]).areas(inner);
    (picture, Rect { y: facts.y + u16::from(facts.height > 1), height: facts.height.saturating_sub(1), ..facts })
}

/// How many rows a cluster takes.
pub const CLUSTER_ROWS: u16 = 5;
/// How many columns a cover takes, with the gap after it.
const COVER: u16 = 12;

/// The area of the completions below the query line, if there are any. The line between says what was found.
#[must_use]
pub fn completions(state: &State) -> Option<Rect> {
    let search = &state.search;
    let completion = search.completion.as_ref().filter(|_| search.typing && state.overlay.is_none())?;
    let line = areas(state).input;
    let width = |(item, count): (&String, &Option<u64>)| item.width() + count.map_or(0, |n| n.to_string().len() + 2);
    let widest = completion.items.iter().zip(&completion.counts).map(width).max().unwrap_or(0).clamp(8, 60);
    let x = line.x + 2 + u16::try_from(completion.start).unwrap_or(0).min(line.width / 2);
    let height = u16::try_from(completion.items.len()).unwrap_or(8);
    Some(Rect::new(x, line.bottom(), u16::try_from(widest + 2).unwrap_or(62), height).intersection(state.screen))
}

/// Whether something is shown over this area.
#[must_use]
pub fn is_covered(state: &State, area: Rect) -> bool {
    state.overlay.is_some()
        || state.place == Place::Search && completions(state).is_some_and(|over| over.intersects(area))
}

/// The visible clusters: position and area of each.
#[must_use]
pub fn clusters(state: &State) -> Vec<(usize, Rect)> {
    let body = areas(state).body;
    let Some(groups) = &state.clusters.groups else { return Vec::new() };
    let fit = usize::from(body.height / CLUSTER_ROWS).max(1);
    let first =
        state.clusters.at.saturating_sub(fit.saturating_sub(1) / 2).min(groups.groups.len().saturating_sub(fit));
    (first..groups.groups.len().min(first + fit))
        .zip(0_u16..)
        .map(|(at, n)| {
            let area = Rect::new(body.x, body.y + n * CLUSTER_ROWS, body.width, CLUSTER_ROWS);
            (at, area.intersection(body))
        })
        .collect()
}

/// The areas of a cluster's covers.
#[must_use]
pub fn covers(area: Rect, count: usize) -> Vec<Rect> {
    let text = (area.width / 2).min(44);
    let room = area.width.saturating_sub(text);
    let fit = usize::from(room / COVER).min(count);
    (0_u16..)
        .take(fit)
        .map(|n| Rect::new(area.x + text + n * COVER, area.y, COVER - 1, area.height.saturating_sub(1)))
        .collect()
}

/// The visible rows of a list to browse: position and area of each.
#[must_use]
pub fn browse_rows(state: &State) -> Vec<(usize, Rect)> {
    let body = areas(state).body;
    let (count, fit) = (state.browse_rows().len(), usize::from(body.height).max(1));
    let first = state.browse.at.saturating_sub(fit / 2).min(count.saturating_sub(fit));
    (first..count.min(first + fit)).zip(body.rows()).collect()
}

/// The covers of the selected row with their areas: as many as have room.
#[must_use]
pub fn browse_covers(state: &State) -> Vec<(i64, Rect)> {
    let side = areas(state).side;
    let inner = Rect { x: side.x + side.width.min(2), width: side.width.saturating_sub(3), ..side };
    // A cell is twice as high as it is wide.
    let (width, height) = (18_u16, 8_u16);
    let (columns, rows) = ((inner.width / width).max(1), (inner.height / height).max(1));
    let (width, height) = (inner.width / columns, inner.height / rows);
    let area = |n: u16| Rect {
        x: inner.x + n % columns * width,
        y: inner.y + n / columns * height,
        width: width.saturating_sub(2),
        height: height.saturating_sub(1),
    };
    let ids = state.browse.covers.1.iter().copied();
    ids.zip((0..columns * rows).map(area)).map(|(id, area)| (id, area.intersection(inner))).collect()
}

/// The areas of the list of models and of what is known about the selected one.
#[must_use]
pub fn models(state: &State) -> (Rect, Rect) {
    let body = areas(state).body;
    let [list, below] =
        Layout::vertical([Constraint::Fill(1), Constraint::Length((body.height / 2).min(9))]).areas(body);
    (list, below)
}

/// The visible rows of the list of models, with their positions.
#[must_use]
pub fn model_rows(state: &State) -> Vec<(usize, Rect)> {
    let (list, _) = models(state);
    let (count, fit) = (state.models.rows().len(), usize::from(list.height).max(1));
    let first = state.models.at.saturating_sub(fit / 2).min(count.saturating_sub(fit));
    (first..count.min(first + fit)).zip(list.rows()).collect()
}

/// Rows of a group of copies; more if there is room.
const COPY_ROWS: u16 = 14;
/// Columns of a copy, at least.
const COPY_COLUMNS: u16 = 20;
/// Columns of a copy, at most.
const WIDEST_COPY: u16 = 44;

/// The visible groups of copies: position and area of each.
#[must_use]
pub fn copy_sets(state: &State) -> Vec<(usize, Rect)> {
    let body = areas(state).body;
    let sets = state.copies.sets().len();
    let fit = usize::from((body.height / COPY_ROWS).max(1));
    let height = body.height / (body.height / COPY_ROWS).max(1);
    let first = state.copies.at.saturating_sub(fit.saturating_sub(1) / 2).min(sets.saturating_sub(fit));
    (first..sets.min(first + fit))
        .zip(0_u16..)
        .map(|(at, n)| (at, Rect::new(body.x, body.y + n * height, body.width, height).intersection(body)))
        .collect()
}

/// The visible files of a group of copies, side by side in its area below a heading: position and area of each.
#[must_use]
pub fn copy_tiles(state: &State, set: usize, area: Rect) -> Vec<(usize, Rect)> {
    let files = state.copies.sets().get(set).map_or(0, |set| set.files.len());
    let columns = usize::from((area.width / COPY_COLUMNS).max(1)).min(files.max(1));
    let width = (area.width / u16::try_from(columns).unwrap_or(1).max(1)).min(WIDEST_COPY);
    let selected = if set == state.copies.at { state.copies.file } else { 0 };
    let first = selected.saturating_sub(columns / 2).min(files.saturating_sub(columns));
    // The last row is left free between two groups.
    let height = area.height.saturating_sub(if area.height >= COPY_ROWS { 2 } else { 1 });
    (first..files.min(first + columns))
        .zip(0_u16..)
        .map(|(at, n)| (at, Rect::new(area.x + n * width, area.y + 1, width, height).intersection(area)))
        .collect()
}

/// The areas of the picture and of the words in the area of a copy.
#[must_use]
pub fn in_copy(tile: Rect) -> (Rect, Rect) {
    // What a picture does not need of the height, the reasons have.
    let words = match tile.height {
        ..7 => 3.min(tile.height),
        height => height.saturating_sub(tile.width * 2 / 5).clamp(4, 7),
    };
    let inner = Rect { x: tile.x + 1, width: tile.width.saturating_sub(2), ..tile };
    let picture = Rect { height: inner.height - words, ..inner };
    (picture, Rect { y: inner.y + picture.height, height: words, ..inner })
}

/// The photos in Look with their areas: one, or two side by side.
#[must_use]
pub fn look(state: &State) -> Vec<(i64, Rect)> {
    let body = areas(state).body;
    let Some(photo) = state.photo() else { return Vec::new() };
    let Some(beside) = state.photo_beside() else { return vec![(photo, body)] };
    // Below each stands its name.
    let body = Rect { height: body.height.saturating_sub(1), ..body };
    // Of the same size, so that of both the same part is seen.
    let width = body.width.saturating_sub(1) / 2;
    let left = Rect { width, ..body };
    vec![(photo, left), (beside, Rect { x: body.right() - width, ..left })]
}

/// Every picture on the screen with its area: the selected one first, then the others by their distance from it.
#[must_use]
pub fn pictures(state: &State) -> Vec<(PictureKey, Rect)> {
    if !state.options.pictures || is_too_small(state) {
        return Vec::new();
    }
    let areas = areas(state);
    let mut places: Vec<(i64, Rect)> = Vec::new();
    match state.place {
        Place::Search | Place::Classify => {
            if let Some(photo) = state.photo() {
                places.push((photo, in_side(areas.side).0));
            }
            if let Some(gallery) = state.gallery_of(state.place).filter(|gallery| !gallery.list) {
                let mut tiles: Vec<_> = gallery.tiles(areas.body).collect();
                tiles.sort_by_key(|(at, _, _)| at.abs_diff(gallery.at()));
                places.extend(tiles.into_iter().map(|(_, found, tile)| (found.id, in_tile(tile))));
            }
        }
        Place::Look => places.extend(look(state)),
        Place::Map => places.extend(state.photo().map(|photo| (photo, in_side(areas.side).0))),
        Place::Chat => places.extend(state.photo().map(|photo| (photo, in_side(areas.side).0))),
        Place::Clusters => {
            let mut shown = clusters(state);
            shown.sort_by_key(|(at, _)| at.abs_diff(state.clusters.at));
            for (at, area) in shown {
                let group = state.clusters.groups.as_ref().and_then(|groups| groups.groups.get(at));
                let ids = group.map(|group| group.covers.as_slice()).unwrap_or_default();
                places.extend(ids.iter().copied().zip(covers(area, ids.len())));
            }
        }
        Place::Browse => places.extend(browse_covers(state)),
        Place::Duplicates => {
            let mut shown = copy_sets(state);
            shown.sort_by_key(|(at, _)| at.abs_diff(state.copies.at));
            for (set, area) in shown {
                let files = state.copies.sets().get(set).map(|set| set.files.as_slice()).unwrap_or_default();
                let tiles = copy_tiles(state, set, area).into_iter();
                places.extend(tiles.filter_map(|(at, tile)| Some((files.get(at)?.photo, in_copy(tile).0))));
            }
        }
        Place::Index | Place::Models => {}
    }
    places.retain(|(_, area)| area.width > 0 && area.height > 0);
    places.into_iter().map(|(id, area)| (picture_key(state, id, area), area)).collect()
}

/// The picture of a photo in an area: in Look, the part of it that is seen.
#[must_use]
pub fn picture_key(state: &State, id: i64, area: Rect) -> PictureKey {
    let zoom = state.look.zoom.filter(|_| state.place == Place::Look);
    let crop = zoom.and_then(|zoom| {
        let shown = zoomed(state, id, area)?;
        Some(shown.crop(shown.settled(zoom)))
    });
    PictureKey { id, width: area.width, height: area.height, crop }
}

/// A photo in its area, to look closer at it; `None` before its size is known.
#[must_use]
pub fn zoomed(state: &State, id: i64, area: Rect) -> Option<ZoomedPhoto> {
    let facts = &state.photos.get(&id)?.facts;
    ZoomedPhoto::new((facts.width, facts.height), area, state.options.cell)
}

/// The photos on the screen and their neighbours; may contain duplicates.
#[must_use]
pub fn photos(state: &State) -> Vec<i64> {
    let mut ids: Vec<i64> = state.photo().into_iter().collect();
    if let Some(gallery) = state.gallery_of(state.place) {
        ids.extend(gallery.tiles(areas(state).body).map(|(_, found, _)| found.id));
        // Their neighbours, so that their details are loaded before the user scrolls to them.
        let at = gallery.at();
        ids.extend(gallery.shown().iter().skip(at.saturating_sub(60)).take(120).map(|found| found.id));
    }
    if state.place == Place::Look
        && let Some(gallery) = state.gallery_of(state.look.of)
    {
        ids.extend(gallery.shown().iter().skip(gallery.at().saturating_sub(2)).take(5).map(|found| found.id));
        ids.extend(state.photo_beside());
    }
    if state.place == Place::Duplicates {
        let shown = copy_sets(state).into_iter().filter_map(|(at, _)| state.copies.sets().get(at));
        ids.extend(shown.flat_map(|set| &set.files).map(|file| file.photo));
    }
    if state.place == Place::Browse {
        ids.extend(browse_covers(state).into_iter().map(|(id, _)| id));
    }
    if state.place == Place::Clusters
        && let Some(groups) = &state.clusters.groups
    {
        let shown = clusters(state).into_iter().filter_map(|(at, _)| groups.groups.get(at));
        ids.extend(shown.flat_map(|group| group.covers.iter().copied()));
    }
    ids
}

/// The area of the map's dots.
#[must_use]
pub fn map(state: &State) -> Rect {
    areas(state).body.inner(Margin::new(1, 1))
}

/// The visible part of the map in its coordinates: left, top, width, height.
#[must_use]
pub fn window(state: &State) -> (f32, f32, f32, f32) {
    let area = map(state);
    let map = &state.map;
    // A cell is twice as high as it is wide; the map is square.
    let (across, down) = (f32::from(area.width.max(1)), 2.0 * f32::from(area.height.max(1)));
    let (width, height) =
        if across > down { (map.span * across / down, map.span) } else { (map.span, map.span * down / across) };
    (map.middle.0 - width / 2.0, map.middle.1 - height / 2.0, width, height)
}

/// The point of the map at the centre of a cell; `None` outside the map.
#[must_use]
pub fn spot_below(state: &State, x: u16, y: u16) -> Option<(f32, f32)> {
    let area = map(state);
    if !area.contains((x, y).into()) {
        return None;
    }
    let (left, top, width, height) = window(state);
    let across = (f32::from(x - area.x) + 0.5) / f32::from(area.width);
    let down = (f32::from(y - area.y) + 0.5) / f32::from(area.height);
    Some((left + across * width, top + down * height))
}

/// The area of an overlay: centred, this many columns and rows at most.
#[must_use]
pub fn middle(state: &State, width: u16, height: u16) -> Rect {
    let screen = state.screen;
    let (width, height) = (width.min(screen.width), height.min(screen.height));
    Rect::new(screen.x + (screen.width - width) / 2, screen.y + (screen.height - height) / 2, width, height)
}
