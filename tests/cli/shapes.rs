//! Captions, questions and chats with meaningful answers: a small model, trained on drawn shapes, is asked about scenes
//! with pairs of colour and shape that it has never seen (`fixtures/shapes`).

use crate::support::{Output, Sandbox, finish, fixture, start};
use crate::terminal::Person;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

fn blip2() -> String {
    fixture("models/blip2-shapes").to_str().unwrap().to_owned()
}

fn command<'a>(sandbox: &Sandbox, args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = sandbox.command(args);
    command.env("SNAPSEEK_BLIP2", blip2());
    command
}

fn cases() -> Vec<Value> {
    serde_json::from_slice(&std::fs::read(fixture("shapes/heldout/cases.json")).unwrap()).unwrap()
}

fn picture(case: &Value) -> String {
    fixture("shapes/heldout").join(text(&case["picture"])).to_str().unwrap().to_owned()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The answers in a chat with these questions.
fn chat(sandbox: &Sandbox, picture: &str, questions: &[&str]) -> Vec<String> {
    let mut command = command(sandbox, ["chat", picture, "--json"]);
    let mut child = start(command.stdin(Stdio::piped()));
    let mut stdin = child.stdin.take().unwrap();
    questions.iter().for_each(|question| writeln!(stdin, "{question}").unwrap());
    drop(stdin);
    Output::of(child).exits(0).lines().iter().map(|line| text(&line["answer"]).to_owned()).collect()
}

fn ask(sandbox: &Sandbox, picture: &str, question: &str) -> String {
    let answer = finish(command(sandbox, ["ask", picture, question, "--json"])).exits(0).line();
    text(&answer["answer"]).to_owned()
}

/// Every chat of the held-out scenes: its picture, questions and right answers.
fn conversations(cases: &[Value]) -> Vec<(String, Vec<&str>, Vec<&str>)> {
    let all =
        cases.iter().flat_map(|case| case["conversations"].as_array().unwrap().iter().map(move |turns| (case, turns)));
    all.map(|(case, turns)| {
        let turns = turns.as_array().unwrap();
        let (questions, answers) = turns.iter().map(|turn| (text(&turn["question"]), text(&turn["answer"]))).unzip();
        (picture(case), questions, answers)
    })
    .collect()
}

#[test]
fn photos_are_found_by_the_words_of_their_captions() {
    let sandbox = Sandbox::new();
    for case in cases() {
        let name = text(&case["picture"]);
        std::fs::copy(picture(&case), sandbox.photo(name)).unwrap();
    }
    let summary = finish(command(&sandbox, ["index", ".", "--captions", "--json"])).exits(0).line();
    assert_eq!(summary["captioned"], cases().len());
    let (mut right, mut total) = (0, 0);
    for word in ["star", "circle", "cross", "red", "yellow", "\"red circle\"", "\"on a yellow ground\""] {
        let args = ["search", &format!("caption:{word}"), "-n", "99", "--json"];
        let found: BTreeSet<String> = sandbox.run(args).names().into_iter().collect();
        // Whole words: "star" is not "stars".
        let says = |caption: &Value| {
            format!(" {} ", text(caption).replace(',', "")).contains(&format!(" {} ", word.trim_matches('"')))
        };
        for case in cases() {
            // The search must find exactly what the captions say, which is mostly what the pictures show.
            let name = text(&case["picture"]);
            let shown = sandbox.run(["caption", "show", name, "--json"]).exits(0).line();
            assert_eq!(found.contains(name), says(&shown["caption"]), "{word}: {shown}");
            right += usize::from(found.contains(name) == says(&case["caption"]));
            total += 1;
        }
    }
    assert!(right * 10 >= total * 9, "{right} of {total} right");
    // Words outside a filter find captions too, ranked by words.
    let case = &cases()[0];
    let caption = sandbox.run(["caption", "show", text(&case["picture"]), "--json"]).exits(0).line();
    let hits = sandbox.run(["search", text(&caption["caption"]), "--by", "words", "--json"]).exits(0).lines();
    assert_eq!(hits[0]["caption"], caption["caption"]);
}

#[test]
fn questions_are_answered_right() {
    let sandbox = Sandbox::new();
    let (mut right, mut total) = (0, 0);
    for case in cases() {
        // Each question by itself: `/clear` removes the earlier turns.
        let questions = case["questions"].as_array().unwrap();
        let lines: Vec<&str> = questions.iter().flat_map(|q| [text(&q["question"]), "/clear"]).collect();
        let answers = chat(&sandbox, &picture(&case), &lines);
        assert_eq!(answers.len(), questions.len());
        right += questions.iter().zip(&answers).filter(|(q, answer)| q["answer"] == answer.as_str()).count();
        total += questions.len();
        let first = text(&questions[0]["question"]);
        assert_eq!(ask(&sandbox, &picture(&case), first), answers[0], "{first}");
    }
    println!("{right} of {total} right");
    assert!(right * 10 >= total * 9, "{right} of {total} right");
}

#[test]
fn what_was_said_before_matters() {
    needs!("script");
    let (sandbox, cases) = (Sandbox::new(), cases());
    let (mut with, mut without, mut total) = (0, 0, 0);
    let mut telling = None;
    for (picture, questions, answers) in conversations(&cases) {
        let given = chat(&sandbox, &picture, &questions);
        let alone = ask(&sandbox, &picture, questions.last().unwrap());
        let expected = answers.last().unwrap();
        total += 1;
        with += usize::from(given.last().unwrap() == expected);
        without += usize::from(alone == *expected);
        if telling.is_none() && questions.len() == 3 && given == answers && alone != *expected {
            telling = Some((picture, questions, answers));
        }
    }
    println!("of {total} follow-ups {with} right, {without} right without what was said before");
    assert!(with * 100 >= total * 85 && with >= without + total / 8, "{with} and {without} of {total}");

    // One chat of three turns, by a person on a terminal.
    let (picture, questions, answers) = telling.unwrap();
    let mut person = Person::start(&sandbox, &["chat", &picture, "--blip2", &blip2(), "--color", "never"]);
    person.sees("/help");
    for (question, answer) in questions.iter().zip(answers) {
        person.sees("> ");
        person.types(&format!("{question}\r")).sees(&format!("{question}\x1b[?2004l\r\n{answer}\r\n"));
    }
    person.types("/quit\r");
    person.leaves(0);
}
