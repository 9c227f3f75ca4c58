//! Ten thousand random events: nothing panics, and the invariants hold.

use super::*;
use crate::terminal::listener::Step;
use crate::tui::event::{IndexNews, ModelNews, OwnChange};
use crate::tui::place::Place;
use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use proptest::prelude::*;
use snapseek_index::{Facet, FacetCounts, FacetField};
use std::collections::HashSet;

/// A step: something the user does, or an answer to an earlier request, soon, late, twice or never.
#[derive(Clone, Debug)]
enum Happening {
    Event(Event),
    Answer(prop::sample::Index, bool),
}

fn happening() -> impl Strategy<Value = Happening> {
    let letter = prop_oneof![
        prop::sample::select(
            "hjklgGmMcvpaeyoRfsnNCbSwJKdDxrqtT?:/0123456789z|>@[]'UA+-*uX \u{301}日\u{202e}"
                .chars()
                .collect::<Vec<_>>()
        ),
        any::<char>()
    ];
    let code = prop_oneof![
        8 => letter.prop_map(KeyCode::Char),
        4 => prop::sample::select(vec![KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::BackTab, KeyCode::Backspace, KeyCode::Delete, KeyCode::Up, KeyCode::Down, KeyCode::Left, KeyCode::Right, KeyCode::Home, KeyCode::End, KeyCode::PageUp, KeyCode::PageDown, KeyCode::F(1), KeyCode::Null]),
    ];
    let modifiers =
        prop_oneof![9 => Just(KeyModifiers::NONE), 2 => Just(KeyModifiers::CONTROL), 1 => Just(KeyModifiers::ALT)];
    let key = (code, modifiers).prop_map(|(code, modifiers)| Event::Key(KeyEvent::new(code, modifiers)));
    let kind = prop::sample::select(vec![
        MouseEventKind::Down(MouseButton::Left),
        MouseEventKind::Drag(MouseButton::Left),
        MouseEventKind::Up(MouseButton::Left),
        MouseEventKind::ScrollUp,
        MouseEventKind::ScrollDown,
        MouseEventKind::Moved,
    ]);
    let mouse = (kind, 0..140_u16, 0..50_u16)
        .prop_map(|(kind, column, row)| Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
    let message = prop_oneof![
        (0..40_i64).prop_map(|n| Message::Photos((0..n).map(hit).collect(), (n..n + 3).collect())),
        Just(Message::FilesChanged),
        Just(Message::Note(true, "\u{1b}[31m".into())),
        (any::<u64>(), any::<u64>(), any::<bool>())
            .prop_map(|(found, done, walking)| Message::Index(IndexNews::Photos { found, done, walking })),
        Just(Message::Index(IndexNews::Ended(Err("no".into()), true))),
        (0..9_u64, any::<usize>(), any::<usize>())
            .prop_map(|(n, done, total)| Message::Step(n, Step { what: "x", done, total })),
        Just(Message::Library(Ok(None))),
        Just(Message::Library(Ok(Some(Box::new(standing()))))),
        Just(Message::LabelSets(vec![sorted().set])),
        Just(Message::History(vec!["a dog".into()])),
    ];
    prop_oneof![
        20 => key.prop_map(Happening::Event),
        4 => mouse.prop_map(Happening::Event),
        2 => (1..300_u16, 1..100_u16).prop_map(|(width, height)| Happening::Event(Event::Resize(width, height))),
        1 => ".{0,20}".prop_map(|text| Happening::Event(Event::Paste(text))),
        1 => Just(Happening::Event(Event::Tick)),
        3 => message.prop_map(|message| Happening::Event(Event::Message(message))),
        12 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(which, well)| Happening::Answer(which, well)),
    ]
}

/// What a worker would answer.
fn reply(effect: &Effect, well: bool) -> Option<Message> {
    fn outcome<T>(well: bool, value: T) -> Result<T, String> {
        if well { Ok(value) } else { Err("a fault\u{7}".into()) }
    }
    Some(match effect {
        Effect::Search(generation, ..) => {
            let found = answer((*generation % 7) as i64, (*generation % 11) as i64);
            Message::Found(*generation, outcome(well, Answer { more: generation % 3 == 0, ..found }))
        }
        Effect::Photos(ids) => Message::Photos(
            ids.iter().filter(|id| well || **id % 2 == 0).map(|id| hit(*id)).collect(),
            ids.iter().copied().filter(|id| !well && id % 2 == 1).collect(),
        ),
        Effect::Timer(generation, _) => Message::Timer(*generation),
        Effect::Groups => Message::Groups(outcome(well, groups())),
        Effect::Work(generation, crate::tui::event::Work::Chart) => {
            Message::Charted(*generation, outcome(well, chart()))
        }
        Effect::Work(generation, crate::tui::event::Work::Sort(_)) => {
            Message::Sorted(*generation, outcome(well, sorted()))
        }
        Effect::Work(generation, crate::tui::event::Work::Copies) => {
            Message::Copies(*generation, outcome(well, found_copies()))
        }
        Effect::Work(generation, crate::tui::event::Work::TrashScript(_, file)) => {
            Message::Scripted(*generation, file.to_string_lossy().into(), outcome(well, "done\u{7}".into()))
        }
        Effect::Work(generation, _) => Message::Grouped(*generation, outcome(well, ("done".into(), Some(3)))),
        Effect::Chat(generation, crate::tui::event::ChatWork::Open(_)) if well => {
            Message::Chat(*generation, ChatNews::Opened { turns: vec![turn("a", "b")], model: "m".into() })
        }
        Effect::Chat(generation, _) if well => {
            Message::Chat(*generation, ChatNews::Answered(vec![turn("c\u{1b}", "d")]))
        }
        Effect::Chat(generation, _) => Message::Chat(*generation, ChatNews::Missing("no model".into())),
        Effect::Own(OwnChange::Rate(..) | OwnChange::SetRatings(_), way) => {
            let before = if well { vec![([7; 32], Some(3))] } else { Vec::new() };
            Message::OwnChanged("done".into(), OwnChange::SetRatings(before), *way)
        }
        Effect::Own(_, way) => {
            let before = if well { vec![([7; 32], vec!["a\u{1b}".into()])] } else { Vec::new() };
            Message::OwnChanged("done".into(), OwnChange::SetTags(before), *way)
        }
        Effect::Models => Message::Models(ModelNews::Stock(Box::new(super::models::stock()))),
        Effect::Model(generation, _) if *generation % 2 == 0 => {
            Message::Models(ModelNews::At(*generation, "a\u{1b}".into(), 3, 0))
        }
        Effect::Model(generation, _) => Message::Models(ModelNews::Ended(*generation, outcome(well, "done".into()))),
        Effect::SetText(photo, _, way) if well => {
            Message::TextSet { photo: *photo, before: None, now: true, way: *way }
        }
        Effect::SetText(_, _, way) => Message::NotTaken(*way, "a fault".into()),
        Effect::StackPhoto(_) => Message::StackPhoto(77),
        Effect::Files(begun) => Message::Files(begun.clone(), vec!["a b/".into(), "\u{1b}.jpg".into()]),
        Effect::Forget(_) => Message::Forgotten("done".into(), vec!["/p".into()]),
        Effect::Covers(generation, _) => Message::Covers(*generation, (0..9).collect()),
        Effect::Browse(_) if well => Message::Folders(vec![("/a/b\u{1b}".into(), 3), ("/a".into(), 2), ("".into(), 1)]),
        Effect::Browse(_) => Message::Months(vec![("2021-07".into(), 2), ("x".into(), 1)]),
        Effect::SaveSearch(name, query, way) => {
            Message::SearchSaved(name.clone(), well.then(|| "a".into()), query.is_some(), *way)
        }
        Effect::Facets(field) => Message::Facets(
            *field,
            vec![Facet { value: "a\u{7}".into(), photos: 3 }, Facet { value: "b".into(), photos: 1 }],
        ),
        Effect::Filters(generation, _, field) => {
            let values = vec![Facet { value: "a\u{7}".into(), photos: 3 }, Facet { value: "b".into(), photos: 1 }];
            let counts = FacetCounts { values, left_out: vec![0, 7] };
            Message::Filters(*generation, FacetField::ALL[*field].0, outcome(well, counts))
        }
        Effect::UseCaptioner(rule, way) if well => Message::CaptionerSet("done".into(), rule.clone(), *way),
        Effect::UseCaptioner(_, way) => Message::NotTaken(*way, "a fault".into()),
        Effect::Standing => Message::Library(outcome(well, Some(Box::new(standing())))),
        Effect::Index(_) => Message::Index(IndexNews::Ended(outcome(well, "1 photo indexed".into()), false)),
        _ => return None,
    })
}

fn holds(state: &State) {
    for gallery in [&state.search.gallery, &state.classify.gallery] {
        assert!(gallery.shown().is_empty() || gallery.at() < gallery.shown().len());
        assert!(gallery.matches() <= gallery.matching().len().max(gallery.shown().len()));
    }
    assert!(state.search.generation <= state.generation && state.chat.generation <= state.generation);
    assert!(state.work.is_none_or(|(generation, _)| generation <= state.generation));
    assert_eq!(state.marks.iter().collect::<HashSet<_>>().len(), state.marks.len(), "marked twice");
    assert!(state.place != Place::Look || state.photo().is_some() || state.look.of != state.place);
    assert!(state.chat.missing.is_none() || state.chat.answering.is_none());
    let (x, y) = state.map.cursor;
    assert!((0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y) && state.map.span > 0.0 && state.map.span <= 1.0);
    let sets = state.copies.sets();
    assert!(sets.is_empty() || state.copies.selected().is_some());
    assert!(sets.iter().all(|set| state.copies.kept(set) > 0), "every file of a group would go");
    assert!(state.models.stock.is_none() || state.models.row().is_some_and(|row| row.name().is_some()));
    assert!(state.trail.len() <= 40);
    for (_, area) in layout::pictures(state) {
        assert_eq!(area, area.intersection(state.screen), "a picture sticks out of the screen");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn ten_thousand_random_events(happenings in prop::collection::vec(happening(), 180)) {
        let mut state = with_photos(120, 40);
        let mut asked: Vec<Effect> = Vec::new();
        for (n, happening) in happenings.into_iter().enumerate() {
            let event = match happening {
                Happening::Event(event) => event,
                Happening::Answer(_, _) if asked.is_empty() => continue,
                Happening::Answer(which, well) => {
                    let effect = &asked[which.index(asked.len())];
                    match reply(effect, well) {
                        Some(message) => Event::Message(message),
                        None => continue,
                    }
                }
            };
            asked.extend(update(&mut state, event));
            holds(&state);
            if n % 9 == 0 {
                paint(&mut state);
            }
            if n % 3 == 0 {
                drawn(&state);
            }
        }
    }
}
