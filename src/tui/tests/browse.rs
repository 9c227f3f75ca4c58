//! The start page, folders, the timeline, saved searches.

use super::*;
use crate::tui::browse::BrowseKind;
use crate::tui::event::Way;
use crate::tui::overlay::Prompt;
use crate::tui::place::Place;
use crate::tui::source::Source;
use snapseek_index::{PhotoAlbum, SavedSearch};

fn starting() -> State {
    let mut state = with_photos(120, 40);
    press(&mut state, "esc");
    tell(&mut state, Message::Groups(Ok(groups())));
    tell(&mut state, Message::History(vec!["a horse".into(), "red \u{1b}car".into()]));
    tell(&mut state, Message::Albums(vec![PhotoAlbum { name: "Lisbon".into(), photos: 3, pictures: 3, written: 0 }]));
    let search = SavedSearch { name: "Best dogs".into(), query: "dog rating:5".into(), written: 0 };
    tell(&mut state, Message::Searches(vec![search]));
    state
}

#[test]
fn the_start_page_lists_what_can_be_begun_with() {
    let mut state = starting();
    let effects = press(&mut state, "0");
    assert!(effects.contains(&Effect::Browse(BrowseKind::Start)) && effects.contains(&Effect::Groups), "{effects:?}");
    assert!(effects.contains(&Effect::Covers(state.browse.generation, "dog rating:5".into())), "of the first row");
    let generation = state.browse.generation;
    tell(&mut state, Message::Covers(generation, vec![3, 4]));
    paint(&mut state);
    insta::assert_snapshot!("start-120x40", drawn(&state));
    tell(&mut state, Message::Today(vec![5, 6, 7]));
    assert_eq!(state.row().map(|row| row.key), Some("saved Best dogs".into()), "what is selected stays selected");
    press(&mut state, "g");
    assert_eq!(state.browse.covers.1, [5, 6, 7], "headings are no rows");
    press(&mut state, "enter");
    assert!(matches!(state.search.visits.current(), Source::Chosen { title, .. } if title == "on this day"));
    press(&mut state, "backspace");
    assert_eq!(state.place, Place::Browse, "back to where it was chosen");
    press(&mut state, "g j");
    let effects = press(&mut state, "enter");
    assert_eq!((state.place, state.search.input.value()), (Place::Search, "dog rating:5"));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Search(..))));
    // An album, and a cluster, whose covers are known.
    press(&mut state, "0 G");
    assert_eq!(state.row().map(|row| row.name), Some("car".into()));
    assert!(!press(&mut state, "k").iter().any(|effect| matches!(effect, Effect::Covers(..))));
    let fish = state.clusters.groups.as_ref().unwrap().groups[6].covers.clone();
    assert_eq!(state.browse.covers.1, fish);
    // An answer about a row that was left changes nothing.
    tell(&mut state, Message::Covers(generation, vec![9]));
    assert_eq!(state.browse.covers.1, fish);
}

#[test]
fn folders_and_months_are_opened_closed_and_asked_for() {
    let mut state = starting();
    assert!(press(&mut state, "d").contains(&Effect::Browse(BrowseKind::Folders)));
    assert!(drawn(&state).contains("counting"));
    let folders = [("/p/2019/rome", 4), ("/p/2019", 1), ("/p/our \"best\"", 2)];
    tell(&mut state, Message::Folders(folders.map(|(folder, photos)| (folder.to_owned(), photos)).into()));
    let screen = drawn(&state);
    assert!(screen.contains("▾ /p") && screen.contains("7 photos") && screen.contains("▸ 2019"), "{screen}");
    press(&mut state, "j l");
    assert!(drawn(&state).contains("rome"));
    press(&mut state, "j h");
    assert_eq!(state.row().map(|row| row.name), Some("2019".into()), "out of it");
    press(&mut state, "h");
    assert!(!drawn(&state).contains("rome"));
    press(&mut state, "j enter");
    assert_eq!(state.search.input.value(), "path:\"/p/our \"\"best\"\"/\" ");
    assert!(press(&mut state, "D").contains(&Effect::Browse(BrowseKind::Time)));
    let months = [("2021-07", 2), ("2021-06", 8), ("2019-12", 3)];
    tell(&mut state, Message::Months(months.map(|(month, photos)| (month.to_owned(), photos)).into()));
    press(&mut state, "space");
    insta::assert_snapshot!("timeline-120x40", drawn(&state));
    press(&mut state, "j j enter");
    assert_eq!(state.search.input.value(), "taken:2021-06 ");
}

#[test]
fn a_search_is_saved_deleted_and_brought_back() {
    let mut state = with_photos(100, 30);
    press(&mut state, "esc S");
    assert!(drawn(&state).contains("there is no search to save"), "{}", drawn(&state));
    press(&mut state, "/");
    types(&mut state, "a dog");
    press(&mut state, "enter M S");
    types(&mut state, "No dog");
    let query = "a dog - @/photos/2019/dog.jpg".to_owned();
    assert_eq!(press(&mut state, "enter"), [Effect::SaveSearch("No dog".into(), Some(query.clone()), Way::Do)]);
    let search = SavedSearch { name: "No dog".into(), query: query.clone(), written: 0 };
    tell(&mut state, Message::Searches(vec![search]));
    tell(&mut state, Message::SearchSaved("No dog".into(), None, true, Way::Do));
    assert!(drawn(&state).contains("the start page lists No dog; u undoes it"), "{}", drawn(&state));
    press(&mut state, "0 j D");
    tell(&mut state, Message::Refused(Prompt::SearchName(query.clone()), " ".into(), "it is empty".into()));
    press(&mut state, "esc");
    let deleted = Effect::SaveSearch("No dog".into(), None, Way::Do);
    assert_eq!(press(&mut state, "g D").last(), Some(&deleted));
    tell(&mut state, Message::Searches(Vec::new()));
    tell(&mut state, Message::SearchSaved("No dog".into(), Some(query.clone()), false, Way::Do));
    assert_eq!(press(&mut state, "u")[0], Effect::SaveSearch("No dog".into(), Some(query), Way::Undo));
}

#[test]
fn a_first_run_says_what_this_is_in_five_lines() {
    let mut state = begin(110, 24);
    state.place = Place::Index;
    state.options.models = ["Model: the starter.".into(), "Better: clip (607 MB).".into()];
    tell(&mut state, Message::Library(Ok(None)));
    let screen = drawn(&state);
    let begins = [
        "Finds your own photos",
        "a  adds a folder",
        "Model: the starter",
        "Better: clip (607 MB)",
        "?  shows the keys",
    ];
    let lines: Vec<&str> = screen.lines().skip(2).take(5).map(str::trim).collect();
    assert!(lines.iter().zip(begins).all(|(line, begin)| line.starts_with(begin)), "{screen}");
    state.screen = Rect::new(0, 0, 40, 24);
    assert!(drawn(&state).contains("Better: clip"), "{}", drawn(&state));
    press(&mut state, "a");
    assert!(matches!(&state.overlay, Some(crate::tui::overlay::Overlay::Prompt(_))), "one key");
}

#[test]
fn photos_and_folders_are_left_out_of_the_library_and_brought_back() {
    use crate::tui::event::Forgotten;
    let mut state = starting();
    press(&mut state, "space space :");
    types(&mut state, "forget");
    assert_eq!(press(&mut state, "enter"), [Effect::Forget(Forgotten::Photos(vec![0, 1]))]);
    let paths = vec!["/photos/2019/dog.jpg".into()];
    let effects = tell(&mut state, Message::Forgotten("1 file left out of the library".into(), paths.clone()));
    assert!(effects.contains(&Effect::Standing) && drawn(&state).contains("u undoes it"), "{}", drawn(&state));
    assert!(press(&mut state, "u").contains(&Effect::BringBack(paths)), "what is named is read again");
    press(&mut state, "d");
    tell(&mut state, Message::Folders(vec![("/p/a".into(), 4), ("/p/b".into(), 1)]));
    press(&mut state, "j X");
    types(&mut state, "no");
    assert!(press(&mut state, "enter").is_empty() && drawn(&state).contains("the folder stays"));
    press(&mut state, "X");
    types(&mut state, "yes");
    assert_eq!(press(&mut state, "enter"), [Effect::Forget(Forgotten::Folder("/p/a".into()))]);
    press(&mut state, "s X");
    assert!(state.overlay.is_none());
}

#[test]
fn a_slideshow_goes_on_until_it_is_ended() {
    let mut state = with_photos(80, 24);
    press(&mut state, "esc G enter");
    let timer = |effects: &[Effect]| {
        effects
            .iter()
            .find_map(|effect| if let Effect::Timer(generation, _) = effect { Some(*generation) } else { None })
    };
    let first = timer(&press(&mut state, "S")).unwrap();
    assert!(state.look.full && state.photo() == Some(13));
    let second = timer(&tell(&mut state, Message::Timer(first))).unwrap();
    assert_eq!(state.photo(), Some(0), "after the last one the first");
    assert!(tell(&mut state, Message::Timer(first)).is_empty(), "an old timer changes nothing");
    press(&mut state, "i");
    tell(&mut state, Message::Text("x".into(), vec!["x".into()]));
    let third = timer(&tell(&mut state, Message::Timer(second))).unwrap();
    assert_eq!(state.photo(), Some(0), "what is read over it keeps it");
    press(&mut state, "esc l");
    let fourth = timer(&tell(&mut state, Message::Timer(third))).unwrap();
    assert_eq!(state.photo(), Some(2));
    press(&mut state, "esc");
    assert!(!state.look.full && timer(&tell(&mut state, Message::Timer(fourth))).is_none());
    assert_eq!((state.place, state.photo()), (Place::Look, Some(2)));
}

#[test]
fn what_is_wrong_with_a_query_is_wrapped() {
    let mut state = with_photos(60, 24);
    press(&mut state, "esc");
    let generation = state.search.generation;
    let why = "there is no filter colour: (there are path: taken: keyword: person: place: near:)";
    tell(&mut state, Message::Found(generation, Err(why.into())));
    let screen = drawn(&state);
    assert!(screen.contains("there is no filter colour:") && screen.contains("near:)"), "{screen}");
}

#[test]
fn two_photos_are_seen_side_by_side_in_step() {
    let mut state = with_photos(100, 30);
    press(&mut state, "esc enter |");
    assert_eq!((state.photo(), state.photo_beside()), (Some(0), Some(1)));
    let pictures = layout::pictures(&state);
    assert_eq!(pictures.iter().map(|(key, _)| key.id).collect::<Vec<_>>(), [0, 1]);
    assert!(!pictures[0].1.intersects(pictures[1].1) && pictures[0].1.width > 45);
    paint(&mut state);
    let screen = drawn(&state);
    assert!(screen.contains("dog.jpg  4000 × 3000") && screen.contains("polar-bear.jpg"), "{screen}");
    press(&mut state, "l");
    assert_eq!((state.photo(), state.photo_beside()), (Some(1), Some(2)), "in step");
    press(&mut state, "> >");
    assert_eq!(state.photo_beside(), Some(4));
    press(&mut state, "G");
    assert_eq!(state.photo_beside(), None, "there is none behind the last");
    drawn(&state);
    press(&mut state, "g | l");
    assert!(state.photo_beside().is_none() && layout::pictures(&state).len() == 1);
}

#[test]
fn the_photos_of_a_stack_are_seen_one_after_the_other() {
    let mut state = with_photos(100, 30);
    press(&mut state, "esc enter J");
    assert!(drawn(&state).contains("in no stack"));
    let with = |id: i64, own: &str, others: &[&str]| Hit {
        paths: vec![own.into()],
        stack: others.iter().map(|path| (*path).into()).collect(),
        ..hit(id)
    };
    tell(&mut state, Message::Photos(vec![with(0, "/p/b.jpg", &["/p/a.nef", "/p/c.mov"])], Vec::new()));
    assert_eq!(press(&mut state, "J"), [Effect::StackPhoto("/p/c.mov".into())]);
    assert_eq!(press(&mut state, "K"), [Effect::StackPhoto("/p/a.nef".into())]);
    assert_eq!(tell(&mut state, Message::StackPhoto(77)), [Effect::Photos(vec![77])]);
    tell(&mut state, Message::Photos(vec![with(77, "/p/a.nef", &["/p/b.jpg", "/p/c.mov"])], Vec::new()));
    assert_eq!((state.photo(), press(&mut state, "K")), (Some(77), vec![Effect::StackPhoto("/p/c.mov".into())]));
    press(&mut state, "l");
    assert_eq!(state.photo(), Some(1), "on in the list");
    press(&mut state, "esc");
    tell(&mut state, Message::StackPhoto(77));
    assert_eq!(state.photo(), Some(1), "too late");
}
