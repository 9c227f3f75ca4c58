//! Chats: from a script and on a terminal, kept and continued.

use crate::support::{Output, Sandbox, finish, fixture, random_blip2, start};
use crate::terminal::{PAYLOAD, Person, foreign, is_control};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::process::Stdio;

const TOKENS: [&str; 2] = ["--max-new-tokens", "12"];

/// `chat` with these arguments and lines from stdin.
fn chat(sandbox: &Sandbox, args: &[&str], lines: &[&str]) -> Output {
    let mut command = sandbox.command(["chat"].iter().chain(args).chain(&TOKENS));
    command.env("SNAPSEEK_BLIP2", random_blip2()).stdin(Stdio::piped());
    let mut child = start(&mut command);
    let mut stdin = child.stdin.take().unwrap();
    // A program that fails at the start does not read stdin.
    let _ = lines.iter().try_for_each(|line| writeln!(stdin, "{line}"));
    drop(stdin);
    Output::of(child)
}

/// The tokens that follow a prompt.
fn tokens_after(sandbox: &Sandbox, photo: &str, prompt: &str) -> Value {
    let mut command = sandbox.command(["caption", photo, "--json", "--prompt", prompt].iter().chain(&TOKENS));
    command.env("SNAPSEEK_BLIP2", random_blip2());
    finish(command).exits(0).line()["tokens"].clone()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn chats(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox.run(["chats"].iter().chain(args))
}

#[test]
fn each_question_is_asked_after_all_that_was_said() {
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    let lines =
        chat(&sandbox, &["cat.jpg", "--json"], &["What is it?", "", "  Where is it? ", "Why?"]).exits(0).lines();
    assert_eq!(lines.len(), 3);
    let mut said = String::new();
    for (line, question) in lines.iter().zip(["What is it?", "Where is it?", "Why?"]) {
        said += &format!("Question: {question} Answer:");
        assert_eq!(line["tokens"], tokens_after(&sandbox, "cat.jpg", &said), "{said:?}");
        assert_eq!((&line["question"], &line["schema"]), (&json!(question), &json!(1)));
        assert!(text(&line["path"]).ends_with("/photos/cat.jpg"));
        said += &format!(" {}. ", text(&line["answer"]));
    }
    // It is kept, turn by turn.
    let kept = chats(&sandbox, &["show", "1", "--json"]).exits(0).line();
    let turns: Vec<Value> =
        lines.iter().map(|line| json!({"question": line["question"], "answer": line["answer"]})).collect();
    assert_eq!((&kept["turns"], &kept["id"], &lines[0]["conversation"]), (&json!(turns), &json!(1), &json!(1)));
    assert_eq!(kept["model"], random_blip2());
    assert_eq!(sandbox.status()["conversations"], 1);
    // Without --json each answer is one line.
    let plain = chat(&sandbox, &["cat.jpg"], &["What is it?", "Why?"]).exits(0).text();
    assert_eq!(plain.lines().count(), 2);
}

#[test]
fn what_is_taken_back_is_not_asked_after() {
    let sandbox = Sandbox::indexed(&["cat"]);
    let lines = ["A?", "B?", "/undo", "C?", "/clear", "D?"];
    let lines = chat(&sandbox, &["cat.jpg", "--json"], &lines).exits(0).lines();
    let after = |prompt: &str| tokens_after(&sandbox, "cat.jpg", prompt);
    let first = text(&lines[0]["answer"]);
    assert_eq!(lines[2]["tokens"], after(&format!("Question: A? Answer: {first}. Question: C? Answer:")));
    assert_eq!(lines[3]["tokens"], after("Question: D? Answer:"));
    let kept = chats(&sandbox, &["show", "1", "--json"]).exits(0).line();
    assert_eq!(kept["turns"], json!([{"question": "D?", "answer": lines[3]["answer"]}]));
    let said = chat(&sandbox, &["cat.jpg"], &["/undo", "/help", "/clear"]).exits(0);
    assert!(said.stderr.contains("nothing to take back") && said.stderr.contains("/image NEXT"), "{said}");
    assert_eq!(chats(&sandbox, &["list", "--json"]).exits(0).lines().len(), 1, "without a question nothing is kept");
}

#[test]
fn a_conversation_goes_on_another_day() {
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    let first = chat(&sandbox, &["cat.jpg", "--json"], &["A?"]).exits(0).line();
    chat(&sandbox, &["dog.jpg"], &["X?"]).exits(0);
    let new = chat(&sandbox, &["cat.jpg", "--json"], &["B?"]).exits(0).line();
    assert_eq!((&first["conversation"], &new["conversation"]), (&json!(1), &json!(3)));
    let on = chat(&sandbox, &["cat.jpg", "--continue", "--json"], &["C?"]).exits(0).line();
    let prompt = |line: &Value, question: &str| {
        format!("Question: {} Answer: {}. Question: {question} Answer:", text(&line["question"]), text(&line["answer"]))
    };
    assert_eq!(on["conversation"], 3, "the last one about this photo");
    assert_eq!(on["tokens"], tokens_after(&sandbox, "cat.jpg", &prompt(&new, "C?")));
    // By number, whatever the photo's name is now.
    fs::rename(sandbox.photo("cat.jpg"), sandbox.photo("tom.jpg")).unwrap();
    chat(&sandbox, &["--conversation", "1"], &["D?"]).exits(2);
    let on = chat(&sandbox, &["tom.jpg", "--conversation", "1", "--json"], &["D?"]).exits(0).line();
    assert_eq!(on["tokens"], tokens_after(&sandbox, "tom.jpg", &prompt(&first, "D?")));
    chat(&sandbox, &["dog.jpg", "--conversation", "1"], &["D?"]).exits(2);
    chat(&sandbox, &["dog.jpg", "--conversation", "9"], &["D?"]).exits(1);
    let new = chat(&sandbox, &["tom.jpg", "--continue"], &[]).exits(0);
    assert!(!new.stderr.contains("a new one begins"));

    // Lists of all chats and of one photo's, the most recently changed first.
    let ids = |args: &[&str]| -> Vec<u64> {
        let lines = chats(&sandbox, args).exits(0).lines();
        lines.iter().map(|line| line["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(ids(&["list", "--json"]).len(), 3);
    let mut cats = ids(&["list", "tom.jpg", "--json"]);
    cats.sort_unstable();
    assert_eq!(cats, [1, 3]);
    let listed = chats(&sandbox, &["list", "dog.jpg"]).exits(0).text();
    let cells: Vec<&str> = listed.trim_end().split('\t').collect();
    assert_eq!((cells[0], cells[2], cells[4]), ("2", "1", "X?"), "{listed}");
    assert!(cells[3].ends_with("dog.jpg"));
    chats(&sandbox, &["delete", "2"]).exits(0);
    for args in [["list", "dog.jpg"], ["show", "2"], ["delete", "2"], ["export", "2"]] {
        chats(&sandbox, &args).exits(1);
    }
}

#[test]
fn conversations_are_written_out() {
    let sandbox = Sandbox::indexed(&["cat"]);
    let file = |name: &str| sandbox.path(name).to_str().unwrap().to_owned();
    let (md, js) = (file("talk it over.md"), file("talk.json"));
    let lines = ["Is it *bold* <b>?", &format!("/save {md}"), &format!("/save {js}")];
    chat(&sandbox, &["cat.jpg"], &lines).exits(0);
    let kept = chats(&sandbox, &["show", "1", "--json"]).exits(0).line();
    let saved: Value = serde_json::from_str(&fs::read_to_string(&js).unwrap()).unwrap();
    assert_eq!(saved["turns"], kept["turns"]);
    let page = fs::read_to_string(&md).unwrap();
    assert!(page.starts_with("# cat.jpg\n") && page.contains("**Is it \\*bold\\* \\<b\\>?**"), "{page}");
    assert_eq!(chats(&sandbox, &["export", "1"]).exits(0).text(), page);
    assert_eq!(chats(&sandbox, &["export", "1", "1", "--format", "json"]).exits(0).lines(), [kept.clone(), kept]);
    // Nothing is overwritten, and the exit code says so.
    fs::write(&md, "precious").unwrap();
    let refused = chat(&sandbox, &["cat.jpg", "--continue", "--json"], &[&format!("/save {md}"), "And?"]).exits(4);
    assert!(refused.stderr.contains("nothing is overwritten"), "{refused}");
    assert_eq!((refused.lines().len(), fs::read_to_string(&md).unwrap()), (1, "precious".into()));
    for wrong in ["/save", "/image", "/nonsense", "/undo now"] {
        chat(&sandbox, &["cat.jpg"], &[wrong]).exits(4);
    }
}

#[test]
fn another_picture_begins_another_conversation() {
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    let lines = ["A?", "/image nowhere.jpg", "B?", "/image dog.jpg", "C?", "D?"];
    let lines = chat(&sandbox, &["cat.jpg", "--json"], &lines).exits(4).lines();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines.iter().map(|l| l["conversation"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 1, 2, 2]);
    assert!(text(&lines[1]["path"]).ends_with("cat.jpg") && text(&lines[2]["path"]).ends_with("dog.jpg"));
    assert_eq!(lines[2]["tokens"], tokens_after(&sandbox, "dog.jpg", "Question: C? Answer:"));
    let prompt = format!("Question: C? Answer: {}. Question: D? Answer:", text(&lines[2]["answer"]));
    assert_eq!(lines[3]["tokens"], tokens_after(&sandbox, "dog.jpg", &prompt));
}

#[test]
fn without_a_library_it_works_and_makes_none() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    let lines = chat(&sandbox, &["cat.jpg", "--json", "--continue"], &["A?", "B?", "/undo", "/clear"]).exits(0).lines();
    assert_eq!((lines.len(), &lines[1]["conversation"]), (2, &Value::Null));
    assert!(!sandbox.library().exists());
    chats(&sandbox, &["list"]).exits(3);
    chat(&sandbox, &["--conversation", "1"], &[]).exits(3);
    chat(&sandbox, &["nowhere.jpg"], &[]).exits(2);
    chat(&sandbox, &[], &[]).exits(2);
    // Chats about a picture outside the library's folders are kept too.
    let sandbox = Sandbox::indexed(&["dog"]);
    let outside = fixture("photos/cat.jpg");
    chat(&sandbox, &[outside.to_str().unwrap()], &["A?"]).exits(0);
    chat(&sandbox, &[outside.to_str().unwrap(), "--continue"], &["B?"]).exits(0);
    assert_eq!(chats(&sandbox, &["show", "1", "--json"]).line()["turns"].as_array().unwrap().len(), 2);
}

#[test]
fn when_the_context_is_full_the_oldest_turns_go_and_the_user_is_told() {
    let sandbox = Sandbox::indexed(&["cat"]);
    // There is room for 248 tokens; each of these turns takes more than 50.
    let long: Vec<String> = (0..6)
        .map(|n| format!("{n} is the number of what I ask about this fine picture of something, is it?"))
        .collect();
    let questions: Vec<&str> = long.iter().map(String::as_str).collect();
    let output = chat(&sandbox, &["cat.jpg", "--json"], &questions).exits(0);
    let lines = output.lines();
    assert_eq!(lines.len(), 6);
    assert!(output.stderr.contains("no longer sees the first 1 question"), "{output}");
    let said = |from: usize| {
        let turns = lines[from..5].iter();
        let turns: String =
            turns.map(|l| format!("Question: {} Answer: {}. ", text(&l["question"]), text(&l["answer"]))).collect();
        format!("{turns}Question: {} Answer:", long[5])
    };
    let from = (1..6).find(|from| {
        let mut command =
            sandbox.command(["caption", "cat.jpg", "--json", "--prompt", &said(*from)].iter().chain(&TOKENS));
        command.env("SNAPSEEK_BLIP2", random_blip2());
        let output = finish(command);
        output.code() == 0 && output.line()["tokens"] == lines[5]["tokens"]
    });
    assert!(from.is_some(), "the last question was asked after the last turns");
    assert_eq!(chats(&sandbox, &["show", "1", "--json"]).line()["turns"].as_array().unwrap().len(), 6, "all are kept");
}

/// `chat` on a terminal.
fn person(sandbox: &Sandbox, args: &[&str]) -> Person {
    let blip2 = random_blip2();
    Person::start(sandbox, &[&["chat", "--blip2", &blip2], args].concat())
}

#[test]
fn on_a_terminal_answers_stream_and_lines_are_edited() {
    needs!("script");
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    let mut person = person(&sandbox, &["cat.jpg", "--max-new-tokens", "12"]);
    person.sees("/help");
    person.sees("> ");
    // A typing error, a backspace, and the previous line.
    person.types("What iss\x7f it?\r").sees("\r\n");
    person.sees("> ");
    person.types("\x1b[A\r").sees("\r\n");
    person.sees("> ");
    // Ctrl-C discards the line and does not end the program.
    person.types("never mind\x03").sees("> ");
    // What is typed ahead is not lost.
    person.types("/undo\r/image dog.jpg\rAnd this?\r/nonsense\r").sees("taken back");
    person.sees("now about");
    person.sees("there is no command");
    person.sees("> ");
    person.types("\x04");
    let bytes = person.leaves(0);
    let shown = String::from_utf8_lossy(&bytes);
    assert!(!shown.contains("Question:"), "the prompt's form is not the user's business: {shown}");
    let turns = |id: &str| chats(&sandbox, &["show", id, "--json"]).exits(0).line()["turns"].clone();
    let answer = text(&turns("1")[0]["answer"]).to_owned();
    assert_eq!(turns("1"), json!([{"question": "What is it?", "answer": answer}]));
    assert_eq!(turns("2")[0]["question"], "And this?");
}

#[test]
fn ctrl_c_stops_an_answer_and_not_the_program() {
    needs!("script");
    let sandbox = Sandbox::indexed(&["cat"]);
    // Many beams take long enough to be stopped.
    let mut person =
        person(&sandbox, &["cat.jpg", "--num-beams", "32", "--min-new-tokens", "200", "--max-new-tokens", "220"]);
    person.sees("> ");
    let mut answered = 0;
    for attempt in 0.. {
        assert!(attempt < 10, "no answer was stopped");
        person.types("What is it?\r").sees("\r\n");
        std::thread::sleep(std::time::Duration::from_millis(100));
        if person.types("\x03").sees("> ").contains("(stopped") {
            break;
        }
        answered += 1;
        person.types("/clear\r").sees("(forgotten)");
        person.sees("> ");
    }
    person.types("/help\r").sees("/undo");
    person.types("/quit\r");
    person.leaves(0);
    // A stopped answer is not kept.
    let kept = chats(&sandbox, &["list", "--json"]).lines();
    assert_eq!(kept.len(), answered.min(1));
    assert!(kept.iter().all(|chat| chat["questions"] == 0), "{kept:?}");
}

#[test]
fn a_signal_at_the_prompt_leaves_the_terminal_as_it_was() {
    needs!("script");
    let sandbox = Sandbox::indexed(&["cat"]);
    let mut command = sandbox.command_of("script");
    let (program, blip2) = (crate::support::PROGRAM, random_blip2());
    let line = format!(
        "stty -a > before; (until test -s pid; do sleep 0.1; done; sleep 1; kill -TERM $(cat pid)) & \
         sh -c 'echo $$ > pid; exec {program} chat cat.jpg --blip2 {blip2}'; echo code $?; stty -a > after"
    );
    command.args(["-qec", &line, "/dev/null"]).env("SHELL", "/bin/sh").env("TERM", "xterm");
    command.stdin(Stdio::piped());
    let mut child = start(&mut command);
    let keys = child.stdin.take();
    let output = Output::of(child);
    drop(keys);
    assert!(output.text().contains("code 130"), "{output}");
    let modes = |name: &str| fs::read_to_string(sandbox.photo(name)).unwrap();
    assert_eq!(modes("before"), modes("after"));
}

#[test]
fn hostile_questions_answers_and_names_drive_no_terminal() {
    needs!("script");
    let sandbox = Sandbox::indexed(&["cat"]);
    let photo = sandbox.photo(format!("cat {PAYLOAD}.jpg"));
    fs::copy(sandbox.photo("cat.jpg"), &photo).unwrap();
    chat(&sandbox, &[photo.to_str().unwrap()], &[&format!("zebra {}?", PAYLOAD.replace('\r', "")), "And?"]).exits(0);
    let kept = chats(&sandbox, &["show", "1", "--json"]).exits(0).line();
    assert!(text(&kept["turns"][0]["question"]).contains('\x1b'), "{kept}");
    for args in [vec!["list"], vec!["show", "1"], vec!["export", "1"], vec!["export", "1", "--format", "json"]] {
        let args: Vec<&std::ffi::OsStr> = ["chats"].iter().chain(&args).map(std::ffi::OsStr::new).collect();
        let bytes = crate::terminal::on_a_terminal(&sandbox, &args, false);
        let left = foreign(&bytes, false).replace('\n', "");
        assert!(left.contains("52;c;AAAA") && !left.contains(is_control), "{args:?}: {}", bytes.escape_ascii());
        // Nor in a pipe, which may lead to a terminal.
        let piped = finish(sandbox.command(&args)).exits(0).text();
        assert!(args[1] == "list" || !piped.replace('\n', "").contains(is_control), "{piped:?}");
    }
    // The random model's answers are full of control characters; none of them reaches the terminal.
    let mut person = person(&sandbox, &["cat.jpg", "--continue", "--max-new-tokens", "60", "--color", "never"]);
    person.sees("zebra \\x1b]0;owned");
    person.sees("> ");
    person.types("What is it?\r").sees("What is it?");
    person.sees("> ");
    person.types("/quit\r");
    let left = without_editor(&person.leaves(0));
    assert!(left.contains("\\x") && !left.contains(is_control), "{left:?}");
}

/// What a terminal received, without the line editor's sequences: cursor moves, deletions, modes.
fn without_editor(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace(['\r', '\n'], "");
    let mut parts = text.split("\x1b[");
    let mut left = parts.next().unwrap().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit() && !matches!(c, ';' | '?')).unwrap_or(part.len());
        if !part[end..].starts_with(['h', 'l', 'K', 'J', 'A', 'B', 'C', 'D']) {
            left.push_str("\x1b[");
            left.push_str(part);
        } else {
            left.push_str(&part[end + 1..]);
        }
    }
    left
}
