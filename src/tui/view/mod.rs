//! Views draw the state into the cells of the screen. They change nothing and wait for nothing.

mod browse;
mod chat;
mod classify;
mod clusters;
mod duplicates;
mod gallery;
mod index;
mod look;
mod map;
mod models;
mod overlay;
mod search;
mod text;

use super::action::Action;
use super::browse::BrowseKind;
use super::event::PictureKey;
use super::keymap::Keymap;
use super::layout;
use super::overlay::{Asked, Overlay};
use super::place::Place;
use super::state::State;
use crate::terminal::abilities::ColorDepth;
use crate::terminal::text::{count, display_path, shorten};
use ratatui::Frame;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph};
use text::{clean, fit};
use unicode_width::UnicodeWidthStr;

/// From this width in columns, the bar at the top has room for the program's name and for the numbers of the places.
const ROOMY: u16 = 70;
/// From this width in columns, it has room for a space on both sides of each name.
const AIRY: u16 = 46;
/// Where there is nothing to show yet.
const NO_PHOTOS: &str = "There are no photos yet: 6, then a, adds a folder.";
/// The spinner that is shown while something is running.
const TURNING: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// Draws the whole screen.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    // The terminal was resized, and the state will learn the new size with the next event.
    if frame.area() != state.screen {
        return;
    }
    frame.buffer_mut().set_style(state.screen, state.theme.ground);
    if layout::is_too_small(state) {
        let (width, height) = layout::SMALLEST;
        let says = format!("snapseek needs {width}x{height}");
        let lines = vec![
            Line::from(fit(&says, state.screen.width.into())),
            Line::from(fit("q quits", state.screen.width.into())),
        ];
        frame.render_widget(Paragraph::new(lines).style(state.theme.text), frame.area());
        return;
    }
    let areas = layout::areas(state);
    tabs(frame, state, areas.tabs);
    match state.place {
        Place::Search => search::draw(frame, state),
        Place::Look => look::draw(frame, state),
        Place::Clusters => clusters::draw(frame, state),
        Place::Map => map::draw(frame, state),
        Place::Classify => classify::draw(frame, state),
        Place::Chat => chat::draw(frame, state),
        Place::Index => index::draw(frame, state),
        Place::Browse => browse::draw(frame, state),
        Place::Duplicates => duplicates::draw(frame, state),
        Place::Models => models::draw(frame, state),
    }
    status(frame, state, areas.status);
    hints(frame, state, areas.hints);
    overlay::draw(frame, state);
    if state.options.colors != ColorDepth::True {
        for cell in &mut frame.buffer_mut().content {
            (cell.fg, cell.bg) = (state.options.colors.nearest(cell.fg), state.options.colors.nearest(cell.bg));
        }
    }
}

/// The position of the label at a cell of the screen, in Classify.
#[must_use]
pub fn label_at(state: &State, x: u16, y: u16) -> Option<usize> {
    if state.place == Place::Classify { classify::label_at(state, x, y) } else { None }
}

/// The list to browse whose name is at a column of the line above the list.
#[must_use]
pub fn browse_kind_at(column: u16) -> Option<BrowseKind> {
    browse::names().find(|(_, _, x, width)| (*x..x + width).contains(&column)).map(|(kind, ..)| kind)
}

/// How many lines of the chat are above the screen when it is scrolled to its end.
#[must_use]
pub fn chat_overhang(state: &State) -> usize {
    chat::overhang(state)
}

/// How many lines of the help are below the screen when it is scrolled to its beginning.
#[must_use]
pub fn help_overhang(state: &State) -> usize {
    overlay::help_lines(state).len().saturating_sub(usize::from(state.screen.height.saturating_sub(4)))
}

/// The places in the bar at the top, with first column and width of each.
fn tab_columns(width: u16) -> impl Iterator<Item = (Place, u16, u16)> {
    let (mut x, around) = match width {
        ROOMY.. => (10, 4),
        AIRY.. => (0, 2),
        _ => (0, 1),
    };
    Place::TABS.iter().map(move |place| {
        let width = u16::try_from(place.name().len()).unwrap_or(0) + around;
        x += width;
        (*place, x - width, width)
    })
}

/// The place at a column of the bar at the top.
#[must_use]
pub fn tab_at(state: &State, column: u16) -> Option<Place> {
    tab_columns(state.screen.width).find(|(_, x, width)| (*x..x + width).contains(&column)).map(|(place, _, _)| place)
}

fn tabs(frame: &mut Frame<'_>, state: &State, area: Rect) {
    if area.height == 0 {
        return;
    }
    let theme = &state.theme;
    let buffer = frame.buffer_mut();
    buffer.set_style(area, theme.bar);
    if area.width >= ROOMY {
        put(buffer, area, 1, "snapseek", theme.bar.patch(theme.accent));
    }
    let place = if state.place == Place::Look { state.look.of } else { state.place };
    let mut end = 0;
    for (n, (tab, x, width)) in tab_columns(area.width).enumerate() {
        // A digit that may be a count is answered at once, too.
        let is_next = state.begun.place() == Some(Action::Go(tab));
        let style = match tab == place {
            true => theme.bar.patch(theme.tab),
            false if is_next => theme.bar.patch(theme.accent).add_modifier(Modifier::UNDERLINED),
            false => theme.bar,
        };
        let name = match area.width {
            // In Look, digits are ratings.
            ROOMY.. if state.place == Place::Look => format!("   {} ", tab.name()),
            ROOMY.. => format!(" {} {} ", n + 1, tab.name()),
            AIRY.. => format!(" {} ", tab.name()),
            _ => format!("{} ", tab.name()),
        };
        put(buffer, area, x, &name, style);
        end = x + width;
    }
    let marked = if state.marks.is_empty() { String::new() } else { format!("● {} marked ", state.marks.len()) };
    let photos = state.photo_count().map_or(String::new(), |photos| format!("{} ", count(photos, "photo")));
    let marks = format!("●{} ", state.marks.len());
    let short = if state.marks.is_empty() { photos.clone() } else { marks };
    for right in [format!("{marked} {photos}"), marked, short] {
        let width = u16::try_from(right.width()).unwrap_or(u16::MAX);
        if area.width > end.saturating_add(width) && !right.trim().is_empty() {
            put(buffer, area, area.width - width, &right, theme.bar);
            return;
        }
    }
}

/// Empties an area that something else was drawn into.
fn clear(frame: &mut Frame<'_>, state: &State, area: Rect) {
    frame.render_widget(Clear, area);
    frame.buffer_mut().set_style(area.intersection(state.screen), state.theme.ground);
}

/// Writes text into a row, `x` columns from its beginning; foreign text must be cleaned before.
fn put(buffer: &mut ratatui::buffer::Buffer, area: Rect, x: u16, text: &str, style: Style) {
    if x < area.width && area.height > 0 {
        buffer.set_stringn(area.x + x, area.y, text, usize::from(area.width - x), style);
    }
}

fn status(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let theme = &state.theme;
    let turn = TURNING[state.turn % TURNING.len()];
    let mut spans: Vec<Span<'_>> = Vec::new();
    if let Some((wrong, note)) = &state.note {
        spans.push(Span::styled(clean(note), if *wrong { theme.wrong } else { theme.good }));
    } else if let Some((_, step)) = &state.work {
        let text = match step {
            Some(step) if step.total > 0 => {
                format!("{turn} {}: {} of {}   x cancels", step.what, step.done, step.total)
            }
            _ => format!("{turn} working   x cancels"),
        };
        spans.push(Span::styled(text, theme.accent));
    } else if let Some((done, all)) = state.captioning {
        let text = format!("{turn} writing captions: {done} of {all}   x cancels");
        spans.push(Span::styled(text, theme.accent));
    } else if let Some(job) = state.models.job.as_ref().filter(|_| state.place != Place::Models) {
        spans.push(Span::styled(format!("{turn} {}", clean(&job.work.says())), theme.accent));
    } else if let Some(run) = &state.index.run {
        spans.push(Span::styled(format!("{turn} {}", index::progress(run)), theme.accent));
    } else if let Some(range) = state.gallery_of(state.place).and_then(|gallery| gallery.range()) {
        let (photos, key) = (range.count(), state.options.keymap.keys_of("mark-range"));
        let text = format!("a range of {}: {key} marks it, esc drops it", count(photos, "photo"));
        spans.push(Span::styled(text, theme.accent));
    } else if state.search.waiting && state.place == Place::Search {
        spans.push(Span::styled(format!("{turn} searching"), theme.dim));
    } else if let (Place::Duplicates, Some(file)) = (state.place, state.copies.selected()) {
        let room = usize::from(area.width.saturating_sub(2));
        spans.push(Span::styled(shorten(&display_path(&file.path), room), theme.dim));
    } else if state.place != Place::Clusters
        && let Some(path) = state.photo().and_then(|id| state.path_of(id))
    {
        let room = usize::from(area.width.saturating_sub(2));
        let zoom = state.zoom_says().filter(|_| state.place == Place::Look).map(|says| format!("{says}  "));
        let room = room.saturating_sub(zoom.as_ref().map_or(0, |zoom| zoom.width()));
        spans.extend(zoom.map(|zoom| Span::styled(zoom, theme.accent)));
        spans.push(Span::styled(shorten(&display_path(&path), room), theme.dim));
    }
    let line = Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area };
    frame.render_widget(Paragraph::new(Line::from(spans)), line);
}

/// Draws the most important keys of the current place.
fn hints(frame: &mut Frame<'_>, state: &State, area: Rect) {
    let theme = &state.theme;
    // A key that does not fit is left out, not cut off; the one for help, by which all others are found, always fits.
    let spans = |pairs: &[(String, &str)]| {
        let width = |(key, says): &(String, &str)| key.width() + says.width() + 3;
        let mut room = usize::from(area.width.saturating_sub(1)) + 2;
        let mut spans = Vec::new();
        let mut help = pairs.iter().find(|(_, says)| *says == "help");
        let mut kept = help.map_or(0, width);
        for pair in pairs {
            let is_help = help.is_some_and(|help| help.1 == pair.1);
            if is_help {
                (help, kept) = (None, 0);
            }
            if room < width(pair) + kept {
                continue;
            }
            room -= width(pair);
            spans.push(Span::styled(pair.0.clone(), theme.accent));
            spans.push(Span::styled(format!(" {}  ", pair.1), theme.dim));
        }
        Line::from(spans)
    };
    let own = |pairs: &[(&str, &'static str)]| -> Vec<(String, &'static str)> {
        pairs.iter().map(|(key, says)| ((*key).to_owned(), *says)).collect()
    };
    let keys = |actions: &[(Action, &'static str)]| -> Vec<(String, &'static str)> {
        let map: &Keymap = &state.options.keymap;
        let known =
            |(action, says): &(Action, &'static str)| Some((map.key_of(state.place, *action)?.to_string(), *says));
        actions.iter().filter_map(known).collect()
    };
    let completes = |asked: &Asked| asked.prompt.asks_for_a_path().is_some() || !asked.choices.is_empty();
    let pairs = if let (Some(first), None) = (state.begun.first, &state.overlay) {
        let following = state.options.keymap.following(state.place, first);
        following.map(|(keys, says)| (keys.to_string(), says)).collect()
    } else if matches!(state.overlay, Some(Overlay::Help(_))) {
        own(&[("j k", "scroll"), ("/", "find by name"), ("esc", "close")])
    } else if matches!(state.overlay, Some(Overlay::Text(..))) {
        own(&[("j k", "scroll"), ("esc", "close")])
    } else if matches!(state.overlay, Some(Overlay::Filters(..))) {
        own(&[("enter", "only these"), ("-", "all but these"), ("h l", "another field"), ("esc", "close")])
    } else if let Some(Overlay::Prompt(asked)) = &state.overlay {
        let path = completes(asked).then_some(("tab", "complete"));
        own(&[&[("enter", "accept")], path.as_slice(), &[("esc", "close, keeping what is typed")]].concat())
    } else if state.overlay.is_some() {
        own(&[("enter", "accept"), ("esc", "close")])
    } else if state.is_typing() {
        match state.place {
            Place::Search => own(&[
                ("enter", "to the photos"),
                ("tab", "complete"),
                ("up", "earlier"),
                ("ctrl-r", "history"),
                ("ctrl-p", "all actions"),
                ("f1", "help"),
            ]),
            Place::Classify => {
                own(&[("enter", "sort by these labels"), ("esc", "to the photos"), ("ctrl-p", "all actions")])
            }
            _ => own(&[
                ("enter", "ask"),
                ("up", "change the last question"),
                ("esc", "stop, or leave the line"),
                ("ctrl-p", "all actions"),
            ]),
        }
    } else {
        match state.place {
            Place::Search => {
                let mut pairs =
                    if state.options.pick { keys(&[(Action::Look, "pick")]) } else { keys(&[(Action::Look, "look")]) };
                pairs.extend(keys(&[
                    (Action::EditQuery, "query"),
                    (Action::MoreLikeThis, "more like this"),
                    (Action::LessLikeThis, "less"),
                    (Action::Earlier, "back"),
                    (Action::Mark, "mark"),
                    (Action::Sort, "sort"),
                    (Action::Filters, "filter"),
                    (Action::Browse(BrowseKind::Start), "start page"),
                    (Action::AskAboutPhoto, "chat"),
                    (Action::Help, "help"),
                    (Action::Palette, "all actions"),
                    (Action::Quit, "quit"),
                ]));
                pairs
            }
            Place::Look if state.look.zoom.is_some() => keys(&[
                (Action::ZoomIn, "in"),
                (Action::ZoomOut, "out"),
                (Action::ExactSize, "pixel by pixel"),
                (Action::WholePhoto, "whole"),
                (Action::NextPhoto, "next photo"),
                (Action::PreviousPhoto, "previous"),
                (Action::Beside, "compare"),
                (Action::FullScreen, "full screen"),
                (Action::Help, "help"),
            ]),
            Place::Look => keys(&[
                (Action::Left, "previous"),
                (Action::Right, "next"),
                (Action::Leave, "back"),
                (Action::FullScreen, "full screen"),
                (Action::ZoomIn, "zoom"),
                (Action::MoreLikeThis, "more like this"),
                (Action::Mark, "mark"),
                (Action::AskAboutPhoto, "chat"),
                (Action::Facts, "facts"),
                (Action::EditTags, "tag"),
                (Action::RateMenu, "rate"),
                (Action::EditCaption, "caption"),
                (Action::Help, "help"),
            ]),
            Place::Clusters => keys(&[
                (Action::OpenCluster, "open"),
                (Action::SplitCluster, "split"),
                (Action::RenameCluster, "rename"),
                (Action::MakeClusters, "recluster"),
                (Action::Help, "help"),
                (Action::Quit, "quit"),
            ]),
            Place::Map => keys(&[
                (Action::Look, "look"),
                (Action::Box, "box"),
                (Action::OpenBox, "show the box"),
                (Action::ZoomIn, "in"),
                (Action::ZoomOut, "out"),
                (Action::MoreLikeThis, "more like this"),
                (Action::Help, "help"),
                (Action::Quit, "quit"),
            ]),
            Place::Classify => keys(&[
                (Action::EditLabels, "labels"),
                (Action::NextLabel, "next"),
                (Action::PreviousLabel, "previous"),
                (Action::SaveSet, "save set"),
                (Action::ChooseSet, "saved sets"),
                (Action::ShowLabel, "to Search"),
                (Action::Help, "help"),
                (Action::Quit, "quit"),
            ]),
            Place::Chat if state.chat.missing.is_some() || state.chat.photo.is_none() => keys(&[
                (Action::Back, "back"),
                (Action::Help, "help"),
                (Action::Palette, "all actions"),
                (Action::Quit, "quit"),
            ]),
            Place::Chat => keys(&[
                (Action::Ask, "ask"),
                (Action::AskAgain, "ask again"),
                (Action::SaveChat, "save"),
                (Action::ClearChat, "forget"),
                (Action::Back, "back"),
                (Action::Help, "help"),
                (Action::Quit, "quit"),
            ]),
            Place::Duplicates => keys(&[
                (Action::KeepOrDrop, "keep or drop"),
                (Action::KeepOnly, "keep only this"),
                (Action::Look, "compare"),
                (Action::WriteScript, "write the script"),
                (Action::Undo, "undo"),
                (Action::KeepAll, "keep all"),
                (Action::FindDuplicates, "look again"),
                (Action::Help, "help"),
                (Action::Quit, "quit"),
            ]),
            Place::Models => keys(&[
                (Action::PullModel, "download"),
                (Action::UseModel, "use in this library"),
                (Action::VerifyModel, "verify"),
                (Action::QuantizeModel, "smaller form"),
                (Action::CancelWork, "cancel"),
                (Action::Help, "help"),
                (Action::Quit, "quit"),
            ]),
            Place::Browse => keys(&[
                (Action::OpenRow, "open"),
                (Action::Browse(BrowseKind::Start), "start"),
                (Action::Browse(BrowseKind::Folders), "folders"),
                (Action::Browse(BrowseKind::Time), "timeline"),
                (Action::Unfold, "unfold"),
                (Action::Go(Place::Search), "search"),
                (Action::Help, "help"),
                (Action::Quit, "quit"),
            ]),
            Place::Index => keys(&[
                (Action::FailureDetails, if state.index.failures.is_empty() { "index now" } else { "why" }),
                (Action::AddFolder, "add a folder"),
                (Action::IndexNow, "index now"),
                (Action::ToggleWatch, "watch"),
                (Action::CancelWork, "cancel"),
                (Action::Help, "help"),
                (Action::Quit, "quit"),
            ]),
        }
    };
    let line = Rect { x: area.x + 1, width: area.width.saturating_sub(1), ..area };
    frame.render_widget(Paragraph::new(spans(&pairs)), line);
}

/// Draws a photo into an area, or the reason why it cannot be shown.
fn picture(frame: &mut Frame<'_>, state: &State, id: i64, area: Rect) {
    if area.width == 0 || area.height == 0 {
        return;
    }
    let theme = &state.theme;
    let key = layout::picture_key(state, id, area);
    // Until a part of a photo is painted, what was seen of it before stays.
    let before = || {
        let same = |other: &&PictureKey| (other.id, other.width, other.height) == (id, key.width, key.height);
        let part = state.look.painted.iter().find(same).and_then(|part| state.pictures.get(part));
        part.or_else(|| state.pictures.get(&PictureKey { crop: None, ..key })).filter(|picture| picture.is_ok())
    };
    match state.pictures.get(&key).or_else(|| key.crop.and_then(|_| before())) {
        // A picture that does not consist of cells would cover what is shown over it.
        Some(Ok(_)) if state.options.pictures_float && layout::is_covered(state, area) => {}
        Some(Ok(picture)) => {
            let size = picture.0.size();
            let (width, height) = (size.width.min(area.width), size.height.min(area.height));
            let inside =
                Rect::new(area.x + (area.width - width) / 2, area.y + (area.height - height) / 2, width, height);
            frame.render_widget(ratatui_image::Image::new(&picture.0).allow_clipping(true), inside);
        }
        Some(Err(why)) => message(frame, area, why, theme.wrong),
        None if !state.options.pictures => {
            let name =
                state.photos.get(&id).and_then(|hit| hit.tags.first()).map(|tag| clean(&tag.label)).unwrap_or_default();
            message(frame, area, &name, theme.dim);
        }
        None => message(frame, area, "·", theme.dim),
    }
}

/// Draws a short text in the middle of an area.
fn message(frame: &mut Frame<'_>, area: Rect, says: &str, style: Style) {
    let lines = text::wrap(&clean(says), area.width.into(), area.height.into());
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(area.height);
    let inside = Rect { y: area.y + (area.height - height) / 2, height, ..area };
    let lines: Vec<Line<'_>> = lines.into_iter().map(Line::from).collect();
    frame.render_widget(Paragraph::new(lines).style(style).alignment(Alignment::Center), inside);
}
