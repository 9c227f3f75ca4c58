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
