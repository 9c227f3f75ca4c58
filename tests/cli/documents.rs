//! Every command in README and docs/ runs as written and prints what is shown there.
//!
//! The info string of a block says what it is: `sh` for commands; `console` for commands (`$ ...`) with what they print
//! on a terminal; `sh terminal` for commands that a person ends; `sh hub` for commands that download; `toml` for a
//! config file. Other blocks are not for a user's shell.

use crate::hub::{Hub, files_of};
use crate::support::{Output, PROGRAM, Sandbox, finish, fixture, random_blip2, random_clip};
use crate::text_model;
use crate::tmux::Screen;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A fenced block.
struct Block {
    page: String,
    kind: String,
    lines: Vec<String>,
}

/// The blocks of README and then of each page in docs/, in reading order.
fn blocks() -> Vec<Block> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<PathBuf> = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    pages.retain(|page| page.extension().is_some_and(|ext| ext == "md"));
    pages.sort();
    let mut blocks = Vec::new();
    for page in [root.join("README.md")].into_iter().chain(pages) {
        let mut open: Option<Block> = None;
        for line in fs::read_to_string(&page).unwrap().lines() {
            match (line.strip_prefix("```"), &mut open) {
                (Some(kind), None) => {
                    let page = page.file_name().unwrap().to_string_lossy().into_owned();
                    open = Some(Block { page, kind: kind.to_owned(), lines: Vec::new() });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => block.lines.push(line.to_owned()),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block without an end", page.display());
    }
    blocks
}

/// A home as the documents assume it: photos in `~/Pictures`, some files in the working folder, `snapseek` on the PATH.
fn desk() -> Sandbox {
    let sandbox = Sandbox::new().knowing_words();
    let copy_all = |from: PathBuf, to: PathBuf| {
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    };
    for folder in ["photos", "shapes/heldout", "models/blip2-shapes", "metadata/digikam"] {
        copy_all(fixture(folder), sandbox.photo("fixtures").join(folder));
    }
    let pictures = sandbox.path("home/Pictures");
    copy_all(fixture("photos"), pictures.clone());
    fs::create_dir(pictures.join("2019")).unwrap();
    for name in ["castle", "owl", "neuschwanstein-castle", "dog"].map(|name| format!("{name}.jpg")) {
        if pictures.join(&name).exists() {
            fs::rename(pictures.join(&name), pictures.join("2019").join(&name)).unwrap();
        }
    }
    for (name, photo) in [
        ("holiday", "mont-st-michel"),
        ("photo", "cat"),
        ("a", "dog"),
        ("b", "hammer-5"),
        ("dog", "dog"),
        ("hammer-5", "hammer-5"),
        ("beach", "crab"),
    ] {
        fs::copy(fixture(&format!("photos/{photo}.jpg")), sandbox.photo(format!("{name}.jpg"))).unwrap();
    }
    fs::copy(fixture("text/00-receipt.jpg"), sandbox.photo("receipt.jpg")).unwrap();
    fs::create_dir(sandbox.path("bin")).unwrap();
    std::os::unix::fs::symlink(PROGRAM, sandbox.path("bin/snapseek")).unwrap();
    sandbox
}

fn shell(sandbox: &Sandbox, program: &str) -> Command {
    let mut command = sandbox.command_of(program);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", sandbox.path("bin").display())).env("SHELL", "/bin/bash");
    command.env("SNAPSEEK_BLIP2", fixture("models/blip2-shapes")).env("NO_COLOR", "1").env("TERM", "xterm-256color");
    command
}

fn shell_with(sandbox: &Sandbox, program: &str, args: &[&str]) -> Command {
    let mut command = shell(sandbox, program);
    command.args(args);
    command
}

/// Runs a command line with stdout on a terminal of 100 columns; stderr is captured separately.
fn on_a_terminal(sandbox: &Sandbox, line: &str, keys: &str) -> Output {
    let mut command = shell(sandbox, "bash");
    let script = format!("stty cols 100; {{ {line}\n}} 2> \"$HOME/stderr\"");
    let run = r#"printf '%b' "$1" | script -qec "$0" /dev/null"#;
    command.arg("-o").arg("pipefail").arg("-c").arg(run).arg(script).arg(keys);
    let mut output = finish(command);
    output.stderr = fs::read_to_string(sandbox.path("home/stderr")).unwrap();
    output
}

/// A line without what differs between runs: times and rates.
fn timeless(line: &str) -> String {
    let mut words = Vec::new();
    for word in line.split(' ') {
        let bare = word.trim_end_matches(',');
        let number = bare.contains('.') && bare.parse::<f64>().is_ok();
        words.push(word.to_owned());
        if number {
            continue;
        }
        if let [.., value, unit] = words.as_mut_slice()
            && (unit.trim_end_matches(',') == "s" || unit == "photos")
            && value.contains('.')
        {
            *value = "N".into();
        }
    }
    words.join(" ").trim_end().to_owned()
}

/// Runs the commands of a `console` block and compares what they print. Further lines on stderr need not be shown.
fn console(sandbox: &Sandbox, block: &Block, wrong: &mut Vec<String>) {
    let mut exports = String::new();
    let mut shown = block.lines.as_slice();
    while let Some((first, rest)) = shown.split_first() {
        let line = first.strip_prefix("$ ").unwrap_or_else(|| panic!("{}: no command: {first}", block.page));
        let end = rest.iter().position(|line| line.starts_with("$ ")).unwrap_or(rest.len());
        let expected: Vec<String> = rest[..end].iter().map(|line| timeless(line)).collect();
        shown = &rest[end..];
        if line.starts_with("export ") {
            exports = format!("{exports}{line}; ");
            continue;
        }
        let output = on_a_terminal(sandbox, &format!("{exports}{line}"), "");
        let said = output.text().replace('\r', "");
        let found: Vec<String> = said.lines().map(timeless).collect();
        let notes: Vec<String> = output.stderr.lines().map(timeless).collect();
        let is_shown = expected.starts_with(&found) && expected[found.len()..].iter().all(|line| notes.contains(line));
        if !is_shown {
            wrong.push(format!("{}: {line}\nprints:\n{}\n{}", block.page, found.join("\n"), output.stderr));
        }
    }
}

/// Runs a command that a person ends, and ends it.
fn with_a_person(sandbox: &Sandbox, block: &Block, line: &str) {
    let path = format!("export PATH='{}':\"$PATH\"; ", sandbox.path("bin").display());
    let screen = Screen::start_by(&format!("{path}{line}"), sandbox, [""; 0], 100, 30);
    if line.contains(" chat ") {
        screen.sees("\n>").keys(&["C-d"]);
    } else {
        screen.sees("1 Search").sees("photos").keys(&["C-c"]);
    }
    screen.sees_that(&format!("the end of {line:?} ({})", block.page), |text| {
        text.lines().any(|line| ["exit 0", "exit 1", "exit 123"].contains(&line))
    });
}

#[test]
fn every_command_runs_as_written_and_prints_what_is_shown() {
    needs!("script", "tmux");
    let sandbox = desk();
    let hub = Hub::of([
        ("openai/clip-vit-base-patch32", files_of(random_clip())),
        ("Salesforce/blip2-opt-2.7b", files_of(random_blip2())),
        ("HuggingFaceTB/SmolVLM-500M-Instruct", files_of(fixture("reference/vlm/smolvlm"))),
        ("Salesforce/blip2-itm-vit-g", files_of(fixture("reference/blip2-itm"))),
        ("sentence-transformers/clip-ViT-B-32-multilingual-v1", text_model::files()),
    ]);
    let (mut ran, mut wrong) = (0, Vec::new());
    for block in blocks() {
        let commands: Vec<&String> = block.lines.iter().filter(|line| !line.trim().is_empty()).collect();
        let mut expect = |line: &str, holds: bool, output: &Output| {
            if !holds {
                wrong.push(format!("{}: {line}\n{output}", block.page));
            }
        };
        match block.kind.as_str() {
            "sh" => {
                for line in &commands {
                    let output = finish(shell_with(&sandbox, "bash", &["-o", "pipefail", "-c", line]));
                    // 1: a query that nothing matches, or no duplicates.
                    let nothing = output.code() == 1 && output.stderr.contains("no ");
                    expect(line, output.code() == 0 || nothing, &output);
                }
                ran += commands.len();
            }
            "console" => {
                console(&sandbox, &block, &mut wrong);
                ran += commands.iter().filter(|line| line.starts_with("$ ")).count();
            }
            "sh terminal" => {
                commands.iter().for_each(|line| with_a_person(&sandbox, &block, line));
                ran += commands.len();
            }
            "sh hub" => {
                for line in &commands {
                    let online = format!("export HF_ENDPOINT={}; unset SNAPSEEK_OFFLINE; {line}", hub.address());
                    let output = on_a_terminal(&sandbox, &online, "y\\n");
                    expect(line, output.code() == 0, &output);
                }
                ran += commands.len();
                // What was downloaded knows nothing: the pages that follow speak of the starter.
                finish(shell_with(&sandbox, "snapseek", &["reindex", "--model", "starter"])).exits(0);
            }
            "toml" => {
                let config = sandbox.path("home/config/snapseek");
                fs::create_dir_all(&config).unwrap();
                fs::write(config.join("config.toml"), block.lines.join("\n")).unwrap();
                let output = finish(shell_with(&sandbox, "snapseek", &["models", "list"]));
                expect(&block.lines.join("\n"), output.code() == 0, &output);
                fs::remove_file(config.join("config.toml")).unwrap();
            }
            "" | "bash" | "text" | "ini" => {}
            other => panic!("{}: what is a block of {other:?}?", block.page),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(ran > 40, "{ran} commands");
}
