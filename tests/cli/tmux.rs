//! The program in a real terminal, `tmux`: what a person sees on the screen, and in which state the program leaves it.

use crate::support::{PROGRAM, Sandbox, fixture};
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What has not appeared by then will not appear.
const PATIENCE: Duration = Duration::from_secs(30);

/// The script that runs in the terminal. `$0` is a folder for its notes, `$1` the shell command that starts the
/// program, and the rest is the program with its arguments. Job control separates the program from this shell: if it is
/// stopped (SIGSTOP, SIGTSTP on Linux), Enter continues it.
const SCRIPT: &str = r#"
note() { stty -g > "$0/draft"; mv "$0/draft" "$0/$1"; }
start=$1
shift
set -m
note before
sh -c "echo \$\$ > \"\$0/pid\"; $start" "$0" "$@"
code=$?
while [ $code -eq 147 ] || [ $code -eq 148 ]; do
    echo stopped
    note stopped
    read -r _
    rm "$0/stopped"
    fg > "$0/job"
    code=$?
done
echo "exit $code"
note after
exec cat
"#;

/// A terminal with the program in it. Dropping it ends both.
pub(crate) struct Screen<'a> {
    sandbox: &'a Sandbox,
    folder: PathBuf,
}

impl<'a> Screen<'a> {
    /// Starts the program with these arguments in a terminal of `width` x `height` cells and true colours.
    pub(crate) fn start<A: AsRef<OsStr>>(
        sandbox: &'a Sandbox,
        args: impl IntoIterator<Item = A>,
        width: u16,
        height: u16,
    ) -> Self {
        Self::start_by(r#"exec "$@""#, sandbox, args, width, height)
    }

    /// The same, started by a shell command in which the program and its arguments are `"$@"`.
    pub(crate) fn start_by<A: AsRef<OsStr>>(
        start: &str,
        sandbox: &'a Sandbox,
        args: impl IntoIterator<Item = A>,
        width: u16,
        height: u16,
    ) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let folder = sandbox.path(format!("terminal-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&folder).unwrap();
        let screen = Self { sandbox, folder };
        let (width, height) = (width.to_string(), height.to_string());
        let mut words: Vec<&OsStr> =
            ["start-server", ";", "set", "-g", "status", "off", ";", "set", "-g", "escape-time"]
                .into_iter()
                .chain([
                    "0",
                    ";",
                    "set",
                    "-g",
                    "default-terminal",
                    "tmux-256color",
                    ";",
                    "set",
                    "-as",
                    "terminal-features",
                ])
                .chain([",*:RGB", ";", "new-session", "-d", "-x", &width, "-y", &height, "--", "sh", "-c", SCRIPT])
                .map(OsStr::new)
                .collect();
        let args: Vec<A> = args.into_iter().collect();
        words.extend([screen.folder.as_os_str(), OsStr::new(start), OsStr::new(PROGRAM)]);
        words.extend(args.iter().map(AsRef::as_ref));
        screen.tmux(&words);
        screen
    }

    /// Presses keys, given by tmux's names: `Enter`, `C-c`, `Escape`, `a`.
    pub(crate) fn keys(&self, keys: &[&str]) -> &Self {
        self.tmux(&[&["send-keys"], keys].concat());
        self
    }

    /// Types a text literally; mouse events are text too (`\x1b[<0;10;5M`).
    pub(crate) fn types(&self, text: &str) -> &Self {
        // tmux takes a semicolon at the end of a word for its own.
        let text = text.strip_suffix(';').map_or(text.to_owned(), |text| format!("{text}\\;"));
        self.tmux(&["send-keys", "-l", "--", &text]);
        self
    }

    /// Waits until the screen contains this text.
    #[track_caller]
    pub(crate) fn sees(&self, text: &str) -> &Self {
        self.wait(&format!("the screen does not show {text:?}"), || self.text().contains(text))
    }

    /// Waits until the screen no longer contains this text.
    #[track_caller]
    pub(crate) fn sees_not(&self, text: &str) -> &Self {
        self.wait(&format!("the screen still shows {text:?}"), || !self.text().contains(text))
    }

    /// The screen as text, one line for each row, without trailing spaces.
    pub(crate) fn text(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The screen with its colours, as escape sequences.
    pub(crate) fn styled(&self) -> String {
        self.tmux(&["capture-pane", "-e", "-p"])
    }

    /// Resizes the terminal.
    pub(crate) fn resize(&self, width: u16, height: u16) -> &Self {
        self.tmux(&["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]);
        self
    }

    /// Waits until `holds` is true for the text on the screen.
    #[track_caller]
    pub(crate) fn sees_that(&self, what: &str, holds: impl Fn(&str) -> bool) -> &Self {
        self.wait(&format!("the screen does not show {what}"), || holds(&self.text()))
    }

    /// Sends the program a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) -> &Self {
        let pid = fs::read_to_string(self.folder.join("pid")).unwrap();
        let status = self.sandbox.command_of("kill").args(["-s", name, pid.trim()]).status().unwrap();
        assert!(status.success(), "no SIG{name} for {pid}");
        self
    }

    /// Waits until the program is stopped (Ctrl-Z), and checks that it restored the terminal for the shell; Enter
    /// continues it.
    #[track_caller]
    pub(crate) fn stops(&self) -> &Self {
        self.wait("the program does not stop", || self.folder.join("stopped").exists());
        self.is_as_before("stopped");
        self
    }

    /// Waits until the program ends with this exit code, and checks that it left the terminal as it found it.
    #[track_caller]
    pub(crate) fn ends(&self, code: i32) {
        self.wait("the program does not end", || self.folder.join("after").exists());
        self.is_as_before("after");
        let whole = self.tmux(&["capture-pane", "-p", "-S", "-"]);
        assert!(whole.lines().any(|line| line == format!("exit {code}")), "no exit code of {code}:\n{whole}");
        assert!(!whole.contains("panicked"), "{whole}");
    }

    #[track_caller]
    fn is_as_before(&self, now: &str) {
        let modes = |name: &str| fs::read_to_string(self.folder.join(name)).unwrap();
        assert_eq!(modes("before"), modes(now), "the modes of the terminal (stty -g)");
        for (flag, expected) in [("cursor", "1"), ("alternate", "0"), ("mouse_any", "0"), ("keypad_cursor", "0")] {
            let format = if flag == "alternate" { "#{alternate_on}".into() } else { format!("#{{{flag}_flag}}") };
            assert_eq!(self.tmux(&["display-message", "-p", &format]).trim(), expected, "{format}\n{}", self.text());
        }
    }

    #[track_caller]
    fn wait(&self, what: &str, reached: impl Fn() -> bool) -> &Self {
        let started = Instant::now();
        while !reached() {
            assert!(started.elapsed() < PATIENCE, "{what}, but:\n{}", self.text().trim_end());
            std::thread::sleep(Duration::from_millis(20));
        }
        self
    }

    /// Runs a command in this screen's own tmux, and returns its output.
    #[track_caller]
    pub(crate) fn tmux<A: AsRef<OsStr>>(&self, args: &[A]) -> String {
        let mut command = self.sandbox.command_of("tmux");
        command.arg("-u").arg("-S").arg(self.folder.join("tmux")).args(["-f", "/dev/null"]).args(args);
        command.env("COLORTERM", "truecolor").env("SHELL", "/bin/sh");
        command.env("SNAPSEEK_BLIP2", fixture("models/blip2-shapes"));
        let output = command.output().expect("these tests need the program `tmux`: install it (apt-get install tmux)");
        assert!(output.status.success(), "tmux: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        let mut command = self.sandbox.command_of("tmux");
        // The program in it gets a SIGHUP.
        let _ = command.arg("-S").arg(self.folder.join("tmux")).arg("kill-server").output();
    }
}

#[test]
fn a_conversation_leaves_the_terminal_as_it_was() {
    needs!("tmux");
    let sandbox = Sandbox::new();
    let photo = sandbox.photo("shapes.png");
    fs::copy(fixture("shapes/heldout/01.png"), &photo).unwrap();
    let screen = Screen::start(&sandbox, [OsStr::new("chat"), photo.as_os_str()], 100, 30);
    screen.sees("\n>").types("What colour is the triangle?").keys(&["Enter"]).sees("yellow");
    // Stopped, and continued in another size.
    screen.keys(&["C-z"]).stops().resize(60, 12).keys(&["Enter"]);
    screen.types("Is it red?").sees("red?").keys(&["C-u"]).sees_not("red?").keys(&["C-d"]).ends(0);
}

#[test]
fn a_signal_while_a_person_is_asked_leaves_the_terminal_as_it_was() {
    needs!("tmux");
    let sandbox = Sandbox::with_photos(&["cat"]);
    for signal in ["TERM", "HUP"] {
        let screen = Screen::start(&sandbox, ["chat", "cat.jpg"], 80, 24);
        screen.sees("\n>").types("half a question;").sees("half a question;").signal(signal).ends(130);
    }
}

#[test]
fn pictures_are_drawn_in_true_colours() {
    needs!("tmux");
    let sandbox = Sandbox::indexed(&["cat"]);
    let screen = Screen::start(&sandbox, ["search", "a cat", "--preview"], 80, 30);
    screen.sees("cat.jpg").sees("exit 0");
    let cells = screen.styled().matches("▄").count();
    assert!(cells > 12 * 8 && screen.styled().contains("38;2;"), "{cells} cells of a picture:\n{}", screen.text());
    screen.ends(0);
}
