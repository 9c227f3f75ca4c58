//! Snapshots of every place, at 80x24 and at 120x40. `INSTA_UPDATE=always cargo test` updates them: look at them.

use super::*;
use crate::terminal::listener::Step;
use crate::tui::event::IndexNews;

fn snapshot(name: &str, make: impl Fn(u16, u16) -> State) {
    for (width, height) in [(80, 24), (120, 40)] {
        let mut state = make(width, height);
        paint(&mut state);
        insta::assert_snapshot!(format!("{name}-{width}x{height}"), drawn(&state));
    }
}

#[test]
fn empty_library() {
    snapshot("empty", |width, height| {
        let mut state = begin(width, height);
        tell(&mut state, Message::Library(Ok(None)));
        let generation = state.search.generation;
        tell(&mut state, Message::Found(generation, Ok(Answer::default())));
        state
    });
}

#[test]
fn results_as_thumbnails_and_as_lines() {
    let found = |width, height| {
        let mut state = with_photos(width, height);
        types(&mut state, "dog in snow");
        let generation = state.search.generation;
        tell(&mut state, Message::Found(generation, Ok(answer(4, 10))));
        press(&mut state, "enter l space");
        state
    };
    snapshot("results", found);
    snapshot("results-list", |width, height| {
        let mut state = found(width, height);
        press(&mut state, "v");
        state
    });
}

#[test]
fn completion() {
    snapshot("completion", |width, height| {
        let mut state = with_photos(width, height);
        types(&mut state, "dog ta");
        state
    });
}

#[test]
fn look() {
    snapshot("look", |width, height| {
        let mut state = with_photos(width, height);
        types(&mut state, "dog");
        press(&mut state, "enter enter");
        state
    });
    snapshot("look-closely", |width, height| {
        let mut state = with_photos(width, height);
        press(&mut state, "esc enter + + l");
        state
    });
    snapshot("look-full", |width, height| {
        let mut state = with_photos(width, height);
        press(&mut state, "esc enter f");
        state
    });
}

#[test]
fn classify() {
    snapshot("classify", |width, height| {
        let mut state = with_photos(width, height);
        press(&mut state, "esc 4");
        types(&mut state, "dog, cat, car");
        press(&mut state, "enter");
        let generation = state.work.unwrap().0;
        tell(&mut state, Message::Sorted(generation, Ok(sorted())));
        state
    });
}

#[test]
fn clusters() {
    snapshot("clusters", |width, height| {
        let mut state = with_photos(width, height);
        press(&mut state, "esc 2");
        tell(&mut state, Message::Groups(Ok(groups())));
        press(&mut state, "j");
        state
    });
}

#[test]
fn map() {
    snapshot("map", |width, height| {
        let mut state = with_photos(width, height);
        press(&mut state, "esc 3");
        let generation = state.work.unwrap().0;
        tell(&mut state, Message::Charted(generation, Ok(chart())));
        press(&mut state, "b l l j j");
        state
    });
}

#[test]
fn chat() {
    snapshot("chat", |width, height| {
        let mut state = with_photos(width, height);
        talking(&mut state);
        types(&mut state, "is it cold?");
        press(&mut state, "enter");
        let generation = state.chat.generation;
        tell(&mut state, Message::Chat(generation, ChatNews::Piece("yes, the ground is covered".into())));
        state
    });
    snapshot("chat-missing", |width, height| {
        let mut state = with_photos(width, height);
        press(&mut state, "esc c");
        let generation = state.chat.generation;
        let takes = "captions and questions need the model blip2, which is not installed: `snapseek models pull blip2` downloads it once (15.0 GB)";
        tell(&mut state, Message::Chat(generation, ChatNews::Missing(takes.into())));
        state
    });
}

#[test]
fn indexing() {
    snapshot("indexing", |width, height| {
        let mut state = with_photos(width, height);
        press(&mut state, "esc 6 enter");
        tell(&mut state, Message::Index(IndexNews::Photos { found: 1200, done: 300, walking: false }));
        (0..100).for_each(|_| drop(update(&mut state, Event::Tick)));
        let failure = IndexNews::Failure {
            path: "/photos/broken.jpg".into(),
            kind: "damaged".into(),
            message: "the picture ends too early".into(),
        };
        tell(&mut state, Message::Index(failure));
        state
    });
}

#[test]
fn errors() {
    snapshot("errors", |width, height| {
        let mut state = with_photos(width, height);
        types(&mut state, "label:nobody");
        let generation = state.search.generation;
        tell(&mut state, Message::Found(generation, Err("there is no label set \"nobody\"".into())));
        press(&mut state, "esc");
        tell(&mut state, Message::Note(true, "another snapseek is writing to this library: try again later".into()));
        for (key, _) in layout::pictures(&state) {
            tell(&mut state, Message::Picture(key, Err("/photos/2019/dog.jpg is not there any more".into())));
        }
        state
    });
}

#[test]
fn heavy_work_shows_how_far_it_is() {
    snapshot("work", |width, height| {
        let mut state = with_photos(width, height);
        press(&mut state, "esc 3");
        let generation = state.work.unwrap().0;
        tell(&mut state, Message::Step(generation, Step { what: "laying the map out", done: 3, total: 10 }));
        state
    });
}

#[test]
fn help_and_palette() {
    snapshot("help", |width, height| {
        let mut state = with_photos(width, height);
        press(&mut state, "esc ?");
        state
    });
    snapshot("palette", |width, height| {
        let mut state = with_photos(width, height);
        press(&mut state, "esc :");
        types(&mut state, "photo");
        state
    });
}

#[test]
fn help_fits_on_every_screen_and_no_tab_is_cut() {
    for width in [40, 45, 46, 60, 69, 70, 80, 100] {
        let mut state = with_photos(width, 24);
        for keys in ["esc", "enter", "2", "3", "4 esc", "6"] {
            press(&mut state, keys);
            let screen = drawn(&state);
            let (first, last) = (screen.lines().next().unwrap(), screen.lines().last().unwrap());
            assert!(last.contains("? help"), "{width}: {last:?}");
            assert!(first.contains("Index"), "{width}: {first:?}");
            let column = first.find("Index").unwrap() as u16 + 2;
            assert_eq!(crate::tui::view::tab_at(&state, column), Some(crate::tui::place::Place::Index), "{width}");
        }
    }
}

/// Foreground, background and modifiers of the cells of a row.
fn styles(state: &State, row: u16) -> Vec<ratatui::style::Style> {
    let mut terminal = Terminal::new(TestBackend::new(state.screen.width, state.screen.height)).unwrap();
    terminal.draw(|frame| view::draw(frame, state)).unwrap();
    let buffer = terminal.backend().buffer();
    (0..state.screen.width).map(|x| buffer[(x, row)].style()).collect()
}

#[test]
fn in_every_theme_the_active_place_differs_from_the_others() {
    for theme in [ThemeName::Dark, ThemeName::Light, ThemeName::Ansi, ThemeName::None] {
        let mut state = with_photos(80, 24);
        state.theme = crate::tui::theme::Theme::new(theme, ColorDepth::True, None);
        press(&mut state, "esc 2");
        let at = |place| usize::from((0..80).find(|x| view::tab_at(&state, *x) == Some(place)).unwrap()) + 2;
        let row = styles(&state, 0);
        use crate::tui::place::Place;
        assert_ne!(row[at(Place::Clusters)], row[at(Place::Map)], "{theme:?}");
        assert_eq!(row[at(Place::Search)], row[at(Place::Map)], "{theme:?}");
    }
}

#[test]
fn colours_are_those_that_the_terminal_has() {
    use ratatui::style::Color;
    let colors = |depth, background| {
        let mut state = with_photos(80, 24);
        state.options.colors = depth;
        state.theme = crate::tui::theme::Theme::new(ThemeName::Auto, depth, background);
        paint(&mut state);
        let all = (0..24).flat_map(|row| styles(&state, row)).flat_map(|style| [style.fg, style.bg]);
        (state.theme.name, all.flatten().collect::<Vec<Color>>())
    };
    let (light, dark) = (Some([0xfd, 0xf6, 0xe3]), Some([0x20, 0x20, 0x20]));
    let is_rgb = |color: &Color| matches!(color, Color::Rgb(..));
    for background in [light, dark, None] {
        let (theme, colors) = colors(ColorDepth::Indexed, background);
        assert_eq!(theme, if background == light { ThemeName::Light } else { ThemeName::Dark });
        assert!(!colors.iter().any(is_rgb) && colors.iter().any(|color| matches!(color, Color::Indexed(_))));
    }
    let (theme, sixteen) = colors(ColorDepth::Sixteen, light);
    assert_eq!(theme, ThemeName::Ansi);
    assert!(sixteen.iter().all(|color| !is_rgb(color) && !matches!(color, Color::Indexed(16..))), "the user's own");
    // Where the background is known, it stays; where it is not, or is the other one, the theme has its own.
    let own = |name, background| crate::tui::theme::Theme::new(name, ColorDepth::True, background).ground.bg;
    assert_eq!((own(ThemeName::Dark, dark), own(ThemeName::Light, light)), (None, None));
    for (name, background) in
        [(ThemeName::Auto, None), (ThemeName::Dark, light), (ThemeName::Light, dark), (ThemeName::Light, None)]
    {
        assert!(own(name, background).is_some(), "{name:?} on {background:?}");
    }
    assert_eq!(own(ThemeName::Ansi, None), None);
}

#[test]
fn completions_cover_no_result_and_no_picture_covers_them() {
    let mut state = with_photos(120, 40);
    state.options.pictures_float = true;
    paint(&mut state);
    types(&mut state, "ta");
    let area = layout::completions(&state).unwrap();
    assert!(area.y >= layout::areas(&state).input.bottom(), "the line below the query says what was found");
    assert!(layout::pictures(&state).iter().any(|(_, picture)| layout::is_covered(&state, *picture)));
    let screen = drawn(&state);
    assert!(screen.contains("taken:") && screen.contains("4 matches"), "{screen}");
    press(&mut state, "esc");
    assert!(!layout::pictures(&state).iter().any(|(_, picture)| layout::is_covered(&state, *picture)));
}

#[test]
fn a_list_gives_names_the_room_that_they_need() {
    let mut state = with_photos(160, 40);
    press(&mut state, "esc v");
    let screen = drawn(&state);
    assert!(screen.contains("a-very-long-name-of-a-photo-of-a-ship.jpg"), "{screen}");
    let generation = state.search.generation;
    let unscored = (0..14).map(|id| FoundPhoto { id, score: None, is_match: true }).collect();
    state.seek_again(&mut Vec::new());
    assert_ne!(generation, state.search.generation);
    let generation = state.search.generation;
    tell(&mut state, Message::Found(generation, Ok(Answer { found: unscored, ..answer(0, 0) })));
    assert!(drawn(&state).lines().any(|line| line.starts_with("  dog.jpg")), "{}", drawn(&state));
}

#[test]
fn rows_of_thumbnails_fill_the_height() {
    for height in 10..60 {
        let state = with_photos(100, height);
        let body = layout::areas(&state).body;
        let grid = state.search.gallery.grid(body);
        let used = grid.rows() as u16 * grid.height;
        assert!(body.height - used < grid.rows() as u16, "{height}: {used} of {}", body.height);
    }
}
