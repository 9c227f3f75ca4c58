//! Models: what there is, downloads with progress, checks, smaller forms, which one answers.

use super::*;
use crate::captions::open::ChosenBy;
use crate::model::{Bits, Kind};
use crate::stock::list::{OfferedModel, StockItem, StockKind};
use crate::tui::event::{ChatNews, ChatWork, ModelNews, Task, Way};
use crate::tui::models::{CaptionerRule, ModelStock, ModelWork, UsedCaptioner, UsedModel};
use crate::tui::overlay::{Overlay, Prompt};
use crate::tui::place::Place;
use snapseek_index::ModelRole;

pub(super) fn stock() -> ModelStock {
    let item = |name: &str, kind, bytes, is_quantizable: bool| StockItem {
        name: name.into(),
        kind: StockKind::Model(kind),
        precision: is_quantizable.then_some("full"),
        place: (name != "starter").then(|| format!("/hub/{name}\u{1b}[31m").into()),
        bytes,
        licence: "Apache-2.0".into(),
        revision: None,
        dim: (kind == Kind::Starter).then_some(384),
        is_quantizable,
    };
    let offered = |name, bytes, purpose, about, recall| OfferedModel {
        name,
        from: "openai/clip-vit-base-patch32",
        bytes,
        licence: "MIT",
        purpose,
        about,
        recall,
    };
    let used =
        UsedModel { name: "starter".into(), role: ModelRole::Current, embedded: 99, awaiting: 0, bytes: 152_000 };
    ModelStock {
        installed: vec![
            item("starter", Kind::Starter, 60_000_000, false),
            item("smolvlm", Kind::VisionLanguage, 1_015_000_000, true),
        ],
        offered: vec![
            offered("clip", Some(607_400_000), "search", "", Some(59.4)),
            offered("ocr-greek", None, "text in photos", "Greek", None),
        ],
        used: vec![used],
        captioner: None,
    }
}

fn at_models(width: u16, height: u16) -> State {
    let mut state = with_photos(width, height);
    assert!(press(&mut state, "esc 8").contains(&Effect::Models));
    news(&mut state, ModelNews::Stock(Box::new(stock())));
    state
}

fn news(state: &mut State, news: ModelNews) -> Vec<Effect> {
    tell(state, Message::Models(news))
}

fn work(effects: &[Effect]) -> Option<(u64, &ModelWork)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Model(generation, work) => Some((*generation, work)),
        _ => None,
    })
}

#[test]
fn a_download_is_asked_for_shown_and_cancelled() {
    let mut state = at_models(100, 24);
    assert!(drawn(&state).contains("answers in this library: 99 photos"), "{}", drawn(&state));
    press(&mut state, "j j d");
    assert!(drawn(&state).contains("clip: 607 MB, licence: MIT"), "{}", drawn(&state));
    types(&mut state, "no");
    assert!(work(&press(&mut state, "enter")).is_none());
    press(&mut state, "d");
    types(&mut state, "yes");
    let effects = press(&mut state, "enter");
    let (generation, asked) = work(&effects).unwrap();
    assert_eq!(*asked, ModelWork::Pull("clip".into()));
    news(&mut state, ModelNews::Says(generation, false, "downloading \u{1b}[2Jopenai/clip".into()));
    news(&mut state, ModelNews::At(generation, "model.safetensors".into(), 300_000_000, 600_000_000));
    let screen = drawn(&state);
    assert!(screen.contains("300 MB of 600 MB  model.safetensors") && screen.contains("\\x1b[2J"), "{screen}");
    // Elsewhere the status line tells it, and other work can go on.
    press(&mut state, "2");
    tell(&mut state, Message::Groups(Ok(groups())));
    press(&mut state, "8 k v");
    assert!(drawn(&state).contains("downloading clip is under way"), "{}", drawn(&state));
    assert!(press(&mut state, "x").contains(&Effect::Cancel(Task::Models)));
    assert!(drawn(&state).contains("stopping"));
    let ended = news(&mut state, ModelNews::Ended(generation, Ok("stopped: what has come of clip is kept".into())));
    assert!(ended.contains(&Effect::Models) && state.models.job.is_none());
    assert!(drawn(&state).contains("what has come of clip is kept") && state.note.is_none(), "it stands there");
    news(&mut state, ModelNews::At(generation, "late".into(), 1, 2));
    assert!(!state.is_busy());
}

#[test]
fn what_fails_is_told_with_what_to_do() {
    let mut state = at_models(100, 24);
    let effects = press(&mut state, "v");
    let (generation, asked) = work(&effects).unwrap();
    assert_eq!(*asked, ModelWork::Verify("starter".into()));
    let why = "clip is not downloaded (it needs a network; a model that was downloaded elsewhere can be copied)";
    news(&mut state, ModelNews::Ended(generation, Err(why.into())));
    assert!(drawn(&state).contains("it needs a network"), "{}", drawn(&state));
}

#[test]
fn smaller_forms_and_the_model_that_answers() {
    let mut state = at_models(100, 24);
    press(&mut state, "s");
    assert!(state.overlay.is_none(), "the starter writes nothing");
    press(&mut state, "j s");
    assert!(drawn(&state).contains("4 bits a weight"), "{}", drawn(&state));
    let effects = press(&mut state, "8");
    let (generation, asked) = work(&effects).unwrap();
    assert_eq!(*asked, ModelWork::Quantize("smolvlm".into(), Bits::Eight));
    news(&mut state, ModelNews::At(generation, "quantizing".into(), 25, 100));
    assert!(drawn(&state).contains("25 %"), "{}", drawn(&state));
    news(&mut state, ModelNews::Ended(generation, Ok("done".into())));
    press(&mut state, "k enter");
    assert!(
        matches!(&state.overlay, Some(Overlay::Prompt(asked)) if asked.prompt == Prompt::UseModel("starter".into()))
    );
    types(&mut state, "yes");
    assert!(press(&mut state, "enter").contains(&Effect::Reindex("starter".into())));
    assert!(state.index.run.is_some());
    press(&mut state, "D");
    assert!(state.overlay.is_none() && drawn(&state).contains("another one must take its place"), "{}", drawn(&state));
}

#[test]
fn the_captioner_is_chosen_shown_and_undone() {
    let mut state = at_models(100, 24);
    let with = |captioner: Option<(&str, ChosenBy)>| {
        let mut stock = stock();
        let smaller = StockItem { precision: Some("q8"), place: Some("/q8".into()), ..stock.installed[1].clone() };
        let other = StockItem { name: "llava\u{7}".into(), place: Some("/llava".into()), ..stock.installed[1].clone() };
        stock.installed.extend([smaller, other]);
        let folder = |name: &str| stock.installed.iter().rfind(|item| item.name == name)?.place.clone();
        stock.captioner = captioner.map(|(name, by)| UsedCaptioner { name: name.into(), folder: folder(name), by });
        ModelNews::Stock(Box::new(stock))
    };
    let rule = |name: Option<&str>| CaptionerRule { remembered: name.map(str::to_owned), is_newer: name.is_some() };
    // Two are installed, and nobody has chosen.
    news(&mut state, with(Some(("smolvlm", ChosenBy::Nobody))));
    press(&mut state, "j");
    assert!(drawn(&state).contains("its q8 form writes captions"), "{}", drawn(&state));
    press(&mut state, "j");
    news(&mut state, with(Some(("smolvlm", ChosenBy::Nobody))));
    assert_eq!(drawn(&state).matches("writes here").count(), 1, "{}", drawn(&state));
    assert!(drawn(&state).contains("as no other was chosen; enter makes"), "the same form stays selected");
    press(&mut state, "j");
    assert!(drawn(&state).contains("in place of smolvlm"), "{}", drawn(&state));
    let chosen = Effect::UseCaptioner(rule(Some("llava\u{7}")), Way::Do);
    assert_eq!(press(&mut state, "enter"), [chosen]);
    let done = "llava\\x07 writes captions and answers in this library";
    tell(&mut state, Message::CaptionerSet(done.into(), rule(None), Way::Do));
    news(&mut state, with(Some(("llava\u{7}", ChosenBy::Library))));
    assert!(drawn(&state).contains(&format!("{done}; u undoes it")), "{}", drawn(&state));
    assert!(press(&mut state, "enter").is_empty() && drawn(&state).contains("already"));
    assert_eq!(press(&mut state, "u"), [Effect::UseCaptioner(rule(None), Way::Undo)]);
    tell(&mut state, Message::NotTaken(Way::Undo, "the library is read-only".into()));
    assert_eq!(press(&mut state, "u"), [Effect::UseCaptioner(rule(None), Way::Undo)], "it can be tried again");
    let as_it_was = "the captioner is as it was".to_owned();
    tell(&mut state, Message::CaptionerSet(as_it_was, rule(Some("llava\u{7}")), Way::Undo));
    assert!(drawn(&state).contains("undone: the captioner is as it was"), "{}", drawn(&state));
    // One that is gone is named.
    news(&mut state, with(Some(("blip2", ChosenBy::Library))));
    assert!(drawn(&state).contains("in place of blip2, which is not installed"), "{}", drawn(&state));
    news(&mut state, with(None));
    assert!(drawn(&state).contains("enter lets it write captions and answers in this library"));
}

#[test]
fn an_open_chat_goes_on_with_the_captioner_that_was_chosen() {
    let mut state = with_photos(100, 24);
    press(&mut state, "esc c");
    let opened = ChatNews::Opened { turns: Vec::new(), model: "smolvlm".into() };
    let generation = state.chat.generation;
    tell(&mut state, Message::Chat(generation, opened));
    types(&mut state, "half a question");
    let (before, photo) = (state.chat.generation, state.chat.photo);
    let rule = CaptionerRule { remembered: None, is_newer: false };
    let effects = tell(&mut state, Message::CaptionerSet("llava writes".into(), rule, Way::Do));
    let path = state.path_of(photo.unwrap()).unwrap();
    assert_eq!(effects, [Effect::Chat(state.chat.generation, ChatWork::Open(path))]);
    assert!(state.chat.generation > before && state.chat.opening && state.chat.photo == photo);
    assert_eq!(state.chat.input.value(), "half a question");
}

#[test]
fn models_are_found_by_name_and_by_command() {
    for words in ["models", "smolvlm", "install", "ocr", "reindex", "quantize-8"] {
        assert!(!crate::tui::overlay::palette(Place::Search, words).is_empty(), "{words}");
    }
    let mut state = with_photos(100, 24);
    press(&mut state, "esc :");
    types(&mut state, "pull smolvlm");
    press(&mut state, "enter");
    assert!(drawn(&state).contains("smolvlm: 1.0 GB, licence: Apache-2.0"), "{}", drawn(&state));
    press(&mut state, "esc :");
    types(&mut state, "reindex clip");
    press(&mut state, "enter");
    types(&mut state, "yes");
    assert!(press(&mut state, "enter").contains(&Effect::Reindex("clip".into())));
}

#[test]
fn models() {
    for (width, height) in [(80, 24), (120, 40)] {
        let mut state = at_models(width, height);
        let mut stock = stock();
        let folder = stock.installed[1].place.clone();
        stock.captioner = Some(UsedCaptioner { name: "smolvlm".into(), folder, by: ChosenBy::Library });
        news(&mut state, ModelNews::Stock(Box::new(stock)));
        press(&mut state, "j");
        insta::assert_snapshot!(format!("models-{width}x{height}"), drawn(&state));
    }
}
