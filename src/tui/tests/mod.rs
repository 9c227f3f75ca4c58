//! Tests of the terminal UI without a terminal: they send events to the update function and draw views into a buffer.

mod browse;
mod commands;
mod copies;
mod flows;
mod lines;
mod listing;
mod look;
mod models;
mod own;
mod random;
mod undo;
mod views;

use super::copies::{CopyFile, CopySet, FoundCopies};
use super::event::{
    Answer, Beginning, ChatNews, Classified, ClusterItem, Effect, EncodedPicture, Event, FoundPhoto, Groups, Judged,
    MapChart, Message, Spot, Standing,
};
use super::keymap::Key;
use super::state::{State, TuiOptions};
use super::update::update;
use super::{layout, view};
use crate::config::ThemeName;
use crate::labels::classify::Verdict;
use crate::terminal::abilities::ColorDepth;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::{Rect, Size};
use ratatui_image::Resize;
use ratatui_image::picker::Picker;
use snapseek_index::{CaptionCounts, FileStamp, Hit, LabelSet, Metadata, ModelRecord, PhotoFacts, Status, Tag, Turn};
use std::path::PathBuf;
use std::sync::Arc;

const NAMES: [&str; 14] = [
    "dog",
    "polar-bear",
    "horse",
    "brandenburg-gate",
    "日本の写真",
    "sunflower",
    "a-very-long-name-of-a-photo-of-a-ship",
    "cat",
    "owl",
    "tiger",
    "teapot",
    "castle",
    "صورة",
    "e\u{301}te\u{301}",
];

/// Photo number `id`.
fn hit(id: i64) -> Hit {
    let name = NAMES[usize::try_from(id).unwrap() % NAMES.len()];
    Hit {
        id,
        cosine: Some(0.5 - id as f32 / 100.0),
        bm25: None,
        fused: 0.0,
        probability: None,
        all_words: false,
        paths: vec![PathBuf::from(format!("/photos/2019/{name}.jpg"))],
        tags: vec![
            Tag { label: "golden retriever".into(), score: 0.71 },
            Tag { label: "tennis ball".into(), score: 0.12 },
        ],
        caption: (id % 2 == 0).then(|| "a dog runs through the snow with a red ball".into()),
        text: None,
        facts: PhotoFacts {
            width: 4000,
            height: 3000,
            format: "jpeg".into(),
            remark: None,
            colors: None,
            metadata: Metadata {
                taken: Some("2019-06-01T12:30:00".into()),
                camera: Some("Canon EOS 80D".into()),
                latitude: Some(52.5163),
                longitude: Some(-13.3777),
                ..Metadata::default()
            },
        },
        size: 2_400_000,
        changed_ns: 0,
        folded: 0,
        stack: Vec::new(),
        own_tags: Vec::new(),
        own_rating: None,
        picture: [7; 32],
    }
}

fn answer(matches: i64, rest: i64) -> Answer {
    let found = (0..matches + rest).map(|id| FoundPhoto { id, score: hit(id).cosine, is_match: id < matches });
    let photos = (0..matches + rest).map(hit).collect();
    Answer { found: found.collect(), photos, total: 99, took: std::time::Duration::from_millis(15), more: false }
}

fn standing() -> Standing {
    let status = Status {
        photos: 99,
        files: 101,
        model: Some(ModelRecord { name: "starter".into(), fingerprint: "x".into(), dim: 384 }),
        bytes: 1_000_000,
        roots: vec!["/photos".into()],
        captions: CaptionCounts { photos: 99, captioned: 12, by_hand: 1 },
        chats: 2,
        encodings: Default::default(),
        texts: snapseek_index::TextCounts::default(),
        awaiting: 0,
        forgotten: Vec::new(),
        waiting: snapseek_index::WaitingCounts::default(),
        lost_commits: 0,
    };
    let failures = vec![
        ("/photos/broken.jpg".into(), "damaged".into(), "the picture ends too early".into()),
        ("/photos/\u{1b}[31mevil\u{202e}.jpg".into(), "unreadable".into(), "Permission denied".into()),
    ];
    Standing { status, failures }
}

fn groups() -> Groups {
    let group = |id: i64, name: &str, photos| ClusterItem {
        id,
        name: name.into(),
        keywords: vec![name.into(), "animal".into(), "outdoors".into()],
        photos,
        coherence: 0.61,
        covers: (0..photos as i64).collect(),
    };
    let groups = ["dog, wolf", "tower, castle", "flower", "ship, sea", "bird, hen", "cup", "fish", "car"];
    let groups = groups.iter().zip(1..).map(|(name, id)| group(id, name, 10 - id as u64)).collect();
    Groups { groups, outside: 5 }
}

fn chart() -> MapChart {
    let spot = |n: i64| {
        let (turn, away) = (n as f32 * 2.4, (n as f32 / 300.0).sqrt() / 2.2);
        Spot { id: n % 14, x: 0.5 + away * turn.cos(), y: 0.5 + away * turn.sin(), cluster: Some((n / 60) as u16) }
    };
    MapChart {
        spots: (0..300).map(spot).collect(),
        names: groups().groups.into_iter().map(|group| group.name).collect(),
    }
}

fn sorted() -> Classified {
    let set = LabelSet { labels: vec!["dog".into(), "cat".into(), "car".into()], ..LabelSet::default() };
    let judged = |id: i64| {
        let label = if id % 4 == 3 { None } else { Some((id % 3) as usize) };
        let ranked = vec![((id % 3) as usize, 0.72), (((id + 1) % 3) as usize, 0.2), (((id + 2) % 3) as usize, 0.08)];
        Judged { id, verdict: Verdict { label, ranked } }
    };
    Classified { set, photos: (0..14).map(judged).collect() }
}

/// A group of three copies, and one of two.
fn found_copies() -> FoundCopies {
    let file = |photo: i64, name: &str, bytes: u64, says: &str, likeness| CopyFile {
        photo,
        path: format!("/photos/{name}").into(),
        stamp: FileStamp { size: bytes, mtime_ns: 0 },
        size: (4000, 3000),
        says: says.into(),
        likeness,
    };
    let first = vec![
        file(0, "2019/dog.jpg", 2_400_000, "most pixels, has date or camera", None),
        file(1, "old/dog small.jpg", 300_000, "25 % of the pixels", Some(0.97)),
        file(2, "whatsapp/\u{1b}[31mIMG-1.jpg", 200_000, "cropped to 92 %, 25 % of the pixels", Some(0.93)),
    ];
    let second =
        vec![file(3, "cat.jpg", 90_000, "shortest name", None), file(3, "cat (1).jpg", 90_000, "same content", None)];
    FoundCopies { sets: vec![CopySet { files: first }, CopySet { files: second }], problems: Vec::new() }
}

fn turn(question: &str, answer: &str) -> Turn {
    Turn { question: question.into(), answer: answer.into() }
}

/// A picture of half blocks.
fn picture(width: u16, height: u16) -> Arc<EncodedPicture> {
    let image = image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([x as u8 * 4, y as u8 * 5, 128]));
    let picker = Picker::halfblocks();
    let protocol = picker.new_protocol(image.into(), Size::new(width, height), Resize::Scale(None)).unwrap();
    Arc::new(EncodedPicture(protocol))
}

/// The UI on a screen of this size, before any answer has arrived.
fn begin(width: u16, height: u16) -> State {
    let options =
        TuiOptions { pictures: true, colors: ColorDepth::True, theme: ThemeName::Dark, ..TuiOptions::default() };
    State::new(options, Beginning::default(), Rect::new(0, 0, width, height)).0
}

/// The UI with a library and fourteen photos, four of which match.
fn with_photos(width: u16, height: u16) -> State {
    let mut state = begin(width, height);
    tell(&mut state, Message::Library(Ok(Some(Box::new(standing())))));
    let generation = state.search.generation;
    tell(&mut state, Message::Found(generation, Ok(answer(4, 10))));
    state
}

fn tell(state: &mut State, message: Message) -> Vec<Effect> {
    update(state, Event::Message(message))
}

/// Presses keys, named as in the config and separated by spaces, with a pause after each: no digit is a count.
fn press(state: &mut State, keys: &str) -> Vec<Effect> {
    let mut all = Vec::new();
    for key in keys.split(' ') {
        let mut effects = update(state, Event::Key(event(key)));
        if let Some(begun) = state.begun.count {
            effects.retain(|effect| !matches!(effect, Effect::Timer(generation, _) if *generation == begun.generation));
            effects.extend(update(state, Event::Message(Message::Timer(begun.generation))));
        }
        all.extend(effects);
    }
    all
}

fn event(key: &str) -> KeyEvent {
    let named = [
        ("enter", KeyCode::Enter),
        ("esc", KeyCode::Esc),
        ("tab", KeyCode::Tab),
        ("up", KeyCode::Up),
        ("down", KeyCode::Down),
        ("left", KeyCode::Left),
        ("right", KeyCode::Right),
        ("backspace", KeyCode::Backspace),
        ("space", KeyCode::Char(' ')),
    ];
    let (name, modifiers) = match key.strip_prefix("ctrl-") {
        Some(rest) => (rest, KeyModifiers::CONTROL),
        None => (key, KeyModifiers::NONE),
    };
    let code = named.iter().find(|(other, _)| *other == name).map(|(_, code)| *code);
    let event = KeyEvent::new(code.unwrap_or_else(|| KeyCode::Char(name.chars().next().unwrap())), modifiers);
    assert!(Key::read(key).is_some(), "{key}");
    event
}

fn types(state: &mut State, text: &str) -> Vec<Effect> {
    text.chars().flat_map(|c| update(state, Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)))).collect()
}

/// Delivers the pictures that are needed.
fn paint(state: &mut State) {
    for (key, _) in layout::pictures(state) {
        tell(state, Message::Picture(key, Ok(picture(key.width, key.height))));
    }
}

/// The screen as text. Fails if a cell contains a character that could drive a terminal.
fn drawn(state: &State) -> String {
    let mut terminal = Terminal::new(TestBackend::new(state.screen.width, state.screen.height)).unwrap();
    terminal.draw(|frame| view::draw(frame, state)).unwrap();
    let buffer = terminal.backend().buffer();
    let mut lines = Vec::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            assert!(!crate::terminal::sanitize::judged(symbol).any(|(_, is_unsafe)| is_unsafe), "{symbol:?}");
            if skip == 0 {
                line.push_str(symbol);
            }
            skip = unicode_width::UnicodeWidthStr::width(symbol).max(skip).saturating_sub(1);
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n")
}

/// Opens a chat with two turns.
fn talking(state: &mut State) {
    press(state, "esc c");
    let generation = state.chat.generation;
    let turns = vec![turn("what is this?", "a dog in the snow"), turn("what colour is the ball?", "it is red")];
    tell(state, Message::Chat(generation, ChatNews::Opened { turns, model: "blip2".into() }));
}
