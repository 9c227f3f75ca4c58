//! Chats about pictures that are in the library, and about others.

use crate::support::*;
use snapseek_index::{Change, Chat, Error, Library, Turn};
use std::path::Path;

const DIM: usize = 16;

fn turn(question: &str, answer: &str) -> Turn {
    Turn { question: question.into(), answer: answer.into() }
}

fn ids(chats: &[Chat]) -> Vec<i64> {
    chats.iter().map(|c| c.id).collect()
}

#[test]
fn chats_are_kept_as_they_were_had() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&place(folder.path())).unwrap();
    let name = Path::new("holiday \u{e9}\n.jpg");
    let id = library.begin_chat(&identity(1), name, "blip2").unwrap();
    let hostile = "a \u{1b}]0;dog\u{7} \u{202e} \0 \u{65e5}\u{672c}";
    library.add_turn(id, "What is it?", hostile).unwrap();
    library.add_turn(id, "What colour is it?", "").unwrap();
    library.add_turn(id, "", "red").unwrap();
    let expected = [turn("What is it?", hostile), turn("What colour is it?", ""), turn("", "red")];
    let read = || library.reopen().unwrap().chat(id).unwrap().unwrap();
    let chat = read();
    assert_eq!((chat.path.as_path(), chat.picture, chat.model.as_str()), (name, hash(1), "blip2"));
    assert!(chat.started > 1_700_000_000 && chat.updated >= chat.started);
    assert_eq!(chat.turns, expected);
    assert!(library.drop_last_turn(id).unwrap());
    assert_eq!(read().turns, expected[..2]);
    library.add_turn(id, "Is there a cat?", "no").unwrap();
    assert_eq!(read().turns[2], turn("Is there a cat?", "no"));
    assert!(library.clear_chat(id).unwrap());
    assert!(read().turns.is_empty());
    assert!(!library.clear_chat(id).unwrap() && !library.drop_last_turn(id).unwrap());
    library.add_turn(id, "again?", "yes").unwrap();
    assert_eq!(read().turns, [turn("again?", "yes")]);
    assert!(library.delete_chat(id).unwrap());
    assert_eq!(library.chat(id).unwrap(), None);
    assert!(!library.delete_chat(id).unwrap() && !library.drop_last_turn(id).unwrap());
    let error = library.add_turn(id, "still there?", "no").unwrap_err();
    assert!(matches!(error, Error::NoChat { .. }), "{error}");
    // Its id is not used again, and its turns are gone.
    let next = library.begin_chat(&identity(1), name, "blip2").unwrap();
    assert!(next > id && library.chat(next).unwrap().unwrap().turns.is_empty());
}

#[test]
fn the_one_that_changed_last_comes_first() {
    if is_on_server() {
        return; // About the files of a folder.
    }
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&place(folder.path())).unwrap();
    let begin = |content| library.begin_chat(&identity(content), Path::new("a.jpg"), "m").unwrap();
    let all = [begin(1), begin(2), begin(1), begin(3)];
    assert_eq!(ids(&library.chats().unwrap()), [all[3], all[2], all[1], all[0]]);
    let db = rusqlite::Connection::open(folder.path().join("catalogue.sqlite")).unwrap();
    db.execute("UPDATE conversation SET started = started - 100, updated = updated - 100 + id", []).unwrap();
    assert_eq!(ids(&library.chats().unwrap()), [all[3], all[2], all[1], all[0]]);
    library.add_turn(all[0], "q", "a").unwrap();
    assert_eq!(ids(&library.chats().unwrap()), [all[0], all[3], all[2], all[1]]);
    let about = library.chats_about(&identity(1)).unwrap();
    assert_eq!(ids(&about), [all[0], all[2]]);
    assert_eq!(about[0].turns, [turn("q", "a")]);
    assert!(library.chats_about(&identity(4)).unwrap().is_empty());
    assert_eq!(library.status().unwrap().chats, 4);
}

#[test]
fn texts_are_bounded_and_never_cut() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&place(folder.path())).unwrap();
    let id = library.begin_chat(&identity(1), Path::new("a.jpg"), "m").unwrap();
    // Characters, not bytes.
    let (question, answer) = ("\u{e9}".repeat(10_000), "\u{e9}".repeat(100_000));
    library.add_turn(id, &question, &answer).unwrap();
    for (what, error) in [
        ("the question", library.add_turn(id, &format!("{question}x"), "a").unwrap_err()),
        ("the answer", library.add_turn(id, "q", &format!("{answer}x")).unwrap_err()),
    ] {
        assert!(matches!(&error, Error::Refused { .. }) && error.to_string().starts_with(what), "{error}");
    }
    assert_eq!(library.chat(id).unwrap().unwrap().turns, [turn(&question, &answer)]);
}

#[test]
fn a_chat_survives_its_photo_and_a_run_of_indexing() {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&place(folder.path())).unwrap();
    let path = Path::new("/photos/a.jpg");
    let mut writer = library.lock().unwrap();
    writer.set_model(&model("a", DIM)).unwrap();
    writer.apply(&[photo("a.jpg", 1, DIM, &[])]).unwrap();
    // From another handle, while the writer exists.
    let other = library.reopen().unwrap();
    let id = other.begin_chat(&identity(1), path, "m").unwrap();
    other.add_turn(id, "q", "a").unwrap();
    writer.apply(&[Change::Remove { path: path.into() }]).unwrap();
    refresh(&mut writer);
    assert_eq!(library.photo_showing(&identity(1)).unwrap(), None);
    assert_eq!(ids(&library.chats_about(&identity(1)).unwrap()), [id]);
    assert_eq!(library.chat(id).unwrap().unwrap().turns, [turn("q", "a")]);
}

#[test]
fn a_damaged_chat_is_reported_and_can_be_read() {
    if is_on_server() {
        return; // About the files of a folder.
    }
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&place(folder.path())).unwrap();
    let id = library.begin_chat(&identity(1), Path::new("a.jpg"), "m").unwrap();
    library.add_turn(id, "what is it?", "a dog").unwrap();
    library.add_turn(id, "what colour?", "red").unwrap();
    assert!(library.check(true).unwrap().findings.is_empty());
    let db = rusqlite::Connection::open(folder.path().join("catalogue.sqlite")).unwrap();
    db.execute("UPDATE turn SET answer = CAST(x'6120ff646f67' AS TEXT)", []).unwrap();
    let findings = library.check(true).unwrap().findings;
    assert!(findings.len() == 1 && findings[0].what.contains(&format!("chat {id} is damaged")), "{findings:?}");
    library.repair().unwrap();
    assert_eq!(library.check(true).unwrap().findings, findings);
    let turns = library.chat(id).unwrap().unwrap().turns;
    assert_eq!(turns[0], turn("what is it?", "a \u{fffd}dog"));
}
