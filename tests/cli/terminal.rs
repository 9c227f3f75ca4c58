//! The program on a terminal that `script` provides: what the terminal receives, and what a person types.

use crate::support::{Output, PROGRAM, Sandbox, finish, start};
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Text that would do harm on a terminal.
pub(crate) const PAYLOAD: &str = "\x1b]0;owned\x07\x1b[31m\u{9b}32m\u{9d}52;c;AAAA\u{9c}\r\u{202e}\u{200b}";

/// Whether a character can control a terminal or reorder text on it.
pub(crate) fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

/// Runs the program on a terminal (provided by `script`) and returns every byte that the terminal received.
pub(crate) fn on_a_terminal(sandbox: &Sandbox, args: &[&OsStr], without_color: bool) -> Vec<u8> {
    let mut line = OsString::from(format!("stty cols 400; exec {PROGRAM}"));
    for arg in args {
        line.push(" '");
        line.push(OsString::from_vec(arg.as_bytes().split(|b| *b == b'\'').collect::<Vec<_>>().join(&b"'\\''"[..])));
        line.push("'");
    }
    if without_color {
        line.push(" --color never");
    }
    let mut command = sandbox.command_of("script");
    command.arg("-qec").arg(line).arg("/dev/null").env("SHELL", "/bin/sh").env("TERM", "xterm-256color");
    let Output { stdout, stderr, .. } = finish(command);
    assert_eq!(stderr, "");
    assert!(!String::from_utf8_lossy(&stdout).contains("panicked"), "{}", stdout.escape_ascii());
    stdout
}

/// What a terminal received, without snapseek's own colours and line ends (and without the moves of a progress bar).
pub(crate) fn foreign(bytes: &[u8], with_bar: bool) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| panic!("not UTF-8: {}", bytes.escape_ascii()));
    let mut parts = text.split("\x1b[");
    let mut left = parts.next().unwrap().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(part.len());
        let ours = part[end..].starts_with('m') || with_bar && part[end..].starts_with(['A', 'B', 'K']);
        left.push_str(if ours { &part[end + 1..] } else { "\x1b[" });
        if !ours {
            left.push_str(part);
        }
    }
    let left = left.replace("\r\n", "");
    if with_bar { left.replace('\r', "") } else { left }
}

/// A person who types at a terminal on which the program runs.
pub(crate) struct Person {
    child: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
    /// How many bytes of `shown` earlier waits have consumed.
    read: usize,
}

impl Person {
    /// Starts the program with these arguments, which must not contain quotes.
    pub(crate) fn start(sandbox: &Sandbox, args: &[&str]) -> Self {
        let quoted: String = args.iter().map(|arg| format!(" '{arg}'")).collect();
        Self::at(sandbox, &format!("stty cols 200; exec {PROGRAM}{quoted}"))
    }

    /// Starts these commands of the shell.
    fn at(sandbox: &Sandbox, line: &str) -> Self {
        let mut command: Command = sandbox.command_of("script");
        command.arg("-qec").arg(line).arg("/dev/null");
        command.env("SHELL", "/bin/sh").env("TERM", "xterm-256color").stdin(Stdio::piped());
        let mut child = start(&mut command);
        let (keys, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (screen, mut block) = (shown.clone(), [0; 4096]);
        std::thread::spawn(move || {
            while let Ok(read) = stdout.read(&mut block) {
                if read == 0 {
                    break;
                }
                screen.lock().unwrap().extend_from_slice(&block[..read]);
            }
        });
        Self { child, keys, shown, read: 0 }
    }

    /// Types keys.
    pub(crate) fn types(&mut self, keys: &str) -> &mut Self {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
        self
    }

    /// Waits until the terminal shows `text` after what was waited for before, and returns what it received in between.
    #[track_caller]
    pub(crate) fn sees(&mut self, text: &str) -> String {
        let started = Instant::now();
        loop {
            let shown = self.shown.lock().unwrap()[self.read..].to_vec();
            if let Some(at) = shown.windows(text.len()).position(|window| window == text.as_bytes()) {
                self.read += at + text.len();
                return String::from_utf8_lossy(&shown[..at]).into_owned();
            }
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "no {text:?} on the terminal: {}",
                shown.escape_ascii()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the program to end with this exit code, and returns everything that the terminal received.
    #[track_caller]
    pub(crate) fn leaves(mut self, code: i32) -> Vec<u8> {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            let shown = self.shown.lock().unwrap().clone();
            if started.elapsed() > Duration::from_secs(60) {
                self.child.kill().unwrap();
                panic!("hangs: {}", shown.escape_ascii());
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        // The last bytes may still be on their way.
        std::thread::sleep(Duration::from_millis(50));
        let shown = self.shown.lock().unwrap().clone();
        assert_eq!(status.code(), Some(code), "{}", shown.escape_ascii());
        assert!(!String::from_utf8_lossy(&shown).contains("panicked"), "{}", shown.escape_ascii());
        shown
    }
}

#[test]
fn a_terminal_that_does_not_answer_is_not_waited_for_and_is_left_as_it_was() {
    needs!("script");
    let sandbox = Sandbox::indexed(&["cat"]);
    // The terminal of `script` answers nothing; the person types, but keys are no answer either.
    for (signal, code) in [(None, 0), (Some("INT"), 130), (Some("TERM"), 130), (Some("HUP"), 130), (Some("QUIT"), 131)]
    {
        let line = format!(
            "ulimit -c 0; stty -a > before; sh -c 'echo $$ > pid; exec {PROGRAM} search cat --preview'; code=$?; \
             stty -a > after; exit $code"
        );
        let mut person = Person::at(&sandbox, &line);
        person.sees("\x1b[c");
        let asked = Instant::now();
        if let Some(name) = signal {
            let pid = std::fs::read_to_string(sandbox.photo("pid")).unwrap();
            crate::crash::signal(pid.trim().parse().unwrap(), name);
        } else {
            for _ in 0..20 {
                person.types("a");
                std::thread::sleep(Duration::from_millis(20));
            }
            person.sees("cat.jpg");
        }
        person.leaves(code);
        assert!(asked.elapsed() < Duration::from_secs(10), "{signal:?}: {:?}", asked.elapsed());
        let modes = |name: &str| std::fs::read_to_string(sandbox.photo(name)).unwrap();
        assert_eq!(modes("before"), modes("after"), "{signal:?}");
    }
}
