//! Behaviour in a shell: exit codes, what goes to stdout and what does not, pipes, colours, settings.

use crate::support::{Output, Sandbox, finish, fixture, start};
use std::fs;
use std::io::Read;

/// Some animals, and nothing that a query for cakes should find.
const ANIMALS: [&str; 4] = ["cat", "dog", "owl", "panda"];

#[test]
fn exit_code_0_is_found_or_done() {
    let sandbox = Sandbox::indexed(&ANIMALS);
    for args in [
        vec!["search", "an owl"],
        vec!["similar", "owl.jpg"],
        vec!["status"],
        vec!["check"],
        vec!["models", "list"],
        vec!["tokens", "an owl"],
        vec!["--help"],
        vec!["search", "--help"],
        vec!["--version"],
    ] {
        let output = sandbox.run(&args).exits(0);
        assert!(!output.stdout.is_empty(), "{args:?} says nothing");
    }
}

#[test]
fn exit_code_1_is_nothing_found() {
    let sandbox = Sandbox::indexed(&ANIMALS);
    for query in ["a birthday cake with candles", "owl path:nowhere", "\"no such phrase\"", "owl wider:90000"] {
        let output = sandbox.run(["search", query]).exits(1);
        assert_eq!(output.stdout, b"", "{query}");
        assert!(output.stderr.contains("no photo matches"), "{query}: {output}");
    }
    // --all lists the nearest photos, and still says that none of them matches.
    let output = sandbox.run(["search", "a birthday cake with candles", "--all", "--json"]).exits(1);
    assert_eq!(output.lines().len(), 4);
    assert!(output.lines().iter().all(|hit| hit["match"] == false));
    sandbox.run(["similar", "owl.jpg", "--min-score", "0.99"]).exits(1);
}

#[test]
fn exit_code_2_is_wrong_usage() {
    let sandbox = Sandbox::indexed(&ANIMALS);
    for args in [
        vec![],
        vec!["no-such-command"],
        vec!["search"],
        vec!["search", "owl", "--by", "luck"],
        vec!["search", "owl", "--json", "--paths0"],
        vec!["embed"],
        vec!["--threads", "0", "status"],
        vec!["-q", "-v", "status"],
        vec!["index", "no such folder"],
        vec!["similar", "no such picture.jpg"],
        vec!["search", "@no-such-picture.jpg"],
    ] {
        let output = sandbox.run(&args).exits(2);
        assert_eq!(output.stdout, b"", "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn exit_code_3_is_a_missing_library_or_model() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    for args in [vec!["search", "cat"], vec!["status"], vec!["check"], vec!["similar", "cat.jpg"], vec!["index"]] {
        let output = sandbox.run(&args).exits(3);
        assert!(output.stderr.contains("snapseek index"), "the way out is named: {output}");
    }
    assert!(!sandbox.library().exists(), "looking for a library makes none");
    for (model, named) in [
        ("clip", "clip"),
        ("openai/clip-vit-large-patch14", "clip-l14"),
        ("someone/else", "someone/else"),
        ("no such model", "no such model"),
    ] {
        let args = ["index", ".", "--offline", "--model", model];
        let output = sandbox.run(args).exits(3);
        assert!(output.stderr.contains(named), "{output}");
    }
    sandbox.run(["models", "path", "clip"]).exits(3);
    sandbox.run(["models", "pull", "clip", "--yes"]).exits(3);
}

#[test]
fn exit_code_4_is_done_but_for_files_that_could_not_be_read() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    fs::write(sandbox.photo("broken.jpg"), "no picture at all").unwrap();
    let summary = sandbox.index().exits(4).line();
    assert_eq!((summary["embedded"].as_u64(), summary["failed"].as_u64()), (Some(1), Some(1)));
}

#[test]
fn a_query_that_cannot_be_read_is_shown_with_a_caret_under_the_place() {
    let sandbox = Sandbox::indexed(&["cat"]);
    for (query, place) in [("cat \"dog", "\"dog"), ("cat wider:abc", "abc"), ("owl taken:20x9", "20x9")] {
        let output = sandbox.run(["search", query]).exits(2);
        let lines: Vec<&str> = output.stderr.lines().collect();
        let shown = lines.iter().position(|line| line.contains(query)).unwrap_or_else(|| panic!("{output}"));
        let column = query.find(place).unwrap();
        assert!(lines[shown - 1].contains(&format!("column {}", column + 1)), "{output}");
        let caret = lines[shown + 1].find('^').unwrap();
        assert_eq!(caret, lines[shown].find(query).unwrap() + column, "{output}");
    }
}

#[test]
fn paths0_prints_paths_for_xargs_and_nothing_else() {
    let sandbox = Sandbox::indexed(&ANIMALS);
    let args = ["search", "an animal", "--all", "-n", "3", "--paths0"];
    let paths = sandbox.run(args).stdout;
    assert_eq!(paths.last(), Some(&0));
    let paths: Vec<_> = paths[..paths.len() - 1].split(|b| *b == 0).collect();
    assert_eq!(paths.len(), 3);
    for path in paths {
        assert!(std::path::Path::new(std::str::from_utf8(path).unwrap()).is_file());
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let sandbox = Sandbox::indexed(&ANIMALS);
    // Far more than fits into a pipe, so that the program must notice that nobody reads.
    let mut args = vec!["embed".to_owned(), "--json".into()];
    args.extend((0..60).map(|n| format!("--text=photo number {n}")));
    for args in [args, ["search", "an animal", "--all", "--json"].map(String::from).to_vec(), vec!["man".into()]] {
        let mut child = start(&mut sandbox.command(&args));
        // Like `head -c 1`.
        let mut stdout = child.stdout.take().unwrap();
        if args[0] == "embed" {
            stdout.read_exact(&mut [0]).unwrap();
        }
        drop(stdout);
        let output = Output::of(child);
        assert_eq!((output.code(), output.stderr.contains("pipe")), (0, false), "{args:?}: {output}");
        assert!(!output.stderr.contains("panicked"), "{output}");
    }
}

#[test]
fn colours_only_where_they_are_wanted() {
    let sandbox = Sandbox::indexed(&["cat"]);
    let status = |args: &[&str], no_color: bool| {
        let mut command = sandbox.command(args);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        finish(command).exits(0).stdout.contains(&0x1b)
    };
    assert!(!status(&["status"], false), "a pipe gets no colours");
    assert!(status(&["status", "--color", "always"], false));
    assert!(status(&["status", "--color", "always"], true), "a flag wins over the environment");
    assert!(!status(&["status", "--color", "never"], false));
}

#[test]
fn a_terminal_gets_colours_unless_told_otherwise() {
    needs!("script");
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    for (prefix, flags, colours) in
        [("", "", true), ("NO_COLOR=1 ", "", false), ("TERM=dumb ", "", false), ("", " --color never", false)]
    {
        let mut command = sandbox.command_of("script");
        let line = format!("env TERM=xterm {prefix}{} search 'a cat'{flags}", crate::support::PROGRAM);
        command.args(["-qec", &line, "/dev/null"]);
        let output = finish(command).exits(0);
        assert!(output.text().contains("cat.jpg"), "{output}");
        assert_eq!(output.stdout.contains(&0x1b), colours, "{line}: {output}");
    }
}

#[test]
fn quiet_says_nothing_but_results_and_errors_and_verbose_says_more() {
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    let stderr = |args: &[&str], code| sandbox.run(args).exits(code).stderr;
    assert_eq!(stderr(&["index", ".", "-q"], 0), "");
    assert_eq!(stderr(&["search", "a birthday cake", "-q"], 1), "");
    assert_eq!(stderr(&["search", "a cat"], 0), "");
    assert!(stderr(&["search", "a cat", "-v"], 0).contains("2 photos"));
    assert!(stderr(&["search", "\"", "-q"], 2).contains("quote"), "errors are told even so");
    fs::write(sandbox.photo("bad.jpg"), "no picture").unwrap();
    assert!(stderr(&["index", ".", "-v"], 4).contains("bad.jpg"));
}

#[test]
fn a_flag_wins_over_the_environment_which_wins_over_the_file() {
    let sandbox = Sandbox::with_photos(&["cat", "dog", "owl"]);
    let config = sandbox.path("home/config/snapseek/config.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    let (of_file, of_env, of_flag) = (sandbox.path("file"), sandbox.path("env"), sandbox.path("flag"));
    fs::write(&config, format!("library = {of_file:?}\nlimit = 1\nmodel = \"starter\"\nthreads = 1\n")).unwrap();
    let run = |args: &[&str], env: bool| {
        let mut command = sandbox.command(args);
        command.env_remove("SNAPSEEK_LIBRARY");
        if env {
            command.env("SNAPSEEK_LIBRARY", &of_env);
        }
        finish(command)
    };
    let made = || [&of_file, &of_env, &of_flag].map(|folder| folder.exists());
    run(&["index", "."], false).exits(0);
    assert_eq!(made(), [true, false, false]);
    run(&["index", "."], true).exits(0);
    assert_eq!(made(), [true, true, false]);
    run(&["index", ".", "--library", of_flag.to_str().unwrap()], true).exits(0);
    assert_eq!(made(), [true, true, true]);
    // The limit in the config file applies unless a flag overrides it.
    assert_eq!(run(&["search", "an animal", "--all", "--json"], false).lines().len(), 1);
    assert_eq!(run(&["search", "an animal", "--all", "--json", "-n", "2"], false).lines().len(), 2);

    fs::write(&config, "threads = 1\nlibary = \"x\"\n").unwrap();
    let refused = run(&["status"], true).exits(2);
    for part in ["config.toml", "line 2", "libary", "library"] {
        assert!(refused.stderr.contains(part), "{part}: {refused}");
    }
}

#[test]
fn completions_and_the_manual_are_there() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox.run(["completions", shell]).exits(0).text();
        assert!(script.contains("snapseek") && script.contains("similar"), "{shell}");
    }
    let page = sandbox.run(["man"]).exits(0).text();
    assert!(page.contains(".TH snapseek") && page.contains("EXIT CODES"), "{page}");
}

#[test]
fn the_contact_sheet_is_one_file_that_loads_nothing() {
    let sandbox = Sandbox::indexed(&ANIMALS);
    let sheet = sandbox.path("sheet.html");
    sandbox.run(["search", "an animal", "--all", "-n", "3", "--html", sheet.to_str().unwrap()]);
    let page = fs::read_to_string(sheet).unwrap();
    assert_eq!(page.matches("src='data:image/jpeg;base64,").count(), 3);
    assert_eq!(page.matches("<figure>").count(), 3);
    assert!(page.contains("<h1>an animal</h1>"));
    // A sheet may overwrite another sheet, but never any other file.
    let write =
        |file: &std::path::Path| sandbox.run(["search", "an animal", "--all", "--html", file.to_str().unwrap()]);
    assert_ne!(write(&sandbox.path("sheet.html")).code(), 2);
    let photo = sandbox.path("photos/cat.jpg");
    let before = fs::read(&photo).unwrap();
    write(&photo).exits(2);
    assert_eq!(fs::read(&photo).unwrap(), before);
    for outside in ["http:", "https:", "//", "<script", "<link", "@import", "url("] {
        // Thumbnails are base64, which may contain two slashes in a row; each is a link to the photo on this disk.
        let inside = |part: &&str| part.starts_with("data:") || part.starts_with("file:///");
        let text: String = page.split('\'').filter(|part| !inside(part)).collect();
        assert!(!text.contains(outside), "{outside}");
    }
}

#[test]
fn copies_go_where_they_are_wanted_and_overwrite_nothing() {
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    let folder = sandbox.path("found");
    let args = ["search", "a cat", "--all", "-n", "1", "--copy-to", folder.to_str().unwrap()];
    sandbox.run(args).exits(0);
    // The same again doubles nothing.
    sandbox.run(args).exits(0);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    let original = fs::read(fixture("photos/cat.jpg")).unwrap();
    assert_eq!(fs::read(folder.join("cat.jpg")).unwrap(), original);
    fs::write(folder.join("cat.jpg"), "precious").unwrap();
    sandbox.run(args).exits(0);
    assert_eq!(fs::read(folder.join("cat.jpg")).unwrap(), b"precious");
    assert_eq!(fs::read(folder.join("cat-2.jpg")).unwrap(), original);
}

#[test]
fn bash_completes_the_names_of_clusters_and_labels() {
    let sandbox = Sandbox::indexed(&ANIMALS).knowing_words();
    sandbox.run(["cluster", "-k", "1", "--min-size", "2"]).exits(0);
    let name = sandbox.run(["cluster", "--json"]).exits(0).lines()[0]["cluster"].as_str().unwrap().to_owned();
    sandbox.run(["cluster", "rename", &name, "Oma's friends"]).exits(0);
    sandbox.run(["classify", "--labels", "cat,dog", "--save-as", "my pets"]).exits(0);
    for (shell, word) in [("bash", "_snapseek_with_names"), ("zsh", "compdef"), ("fish", "complete -c")] {
        assert!(sandbox.run(["completions", shell]).exits(0).text().contains(word), "{shell}");
    }
    fs::write(sandbox.path("snapseek.bash"), sandbox.run(["completions", "bash"]).exits(0).stdout).unwrap();
    let completed = |line: &str, word: &str, before: &str| {
        let script = r#"PATH="$(dirname "$0"):$PATH"; . ../snapseek.bash
            COMP_LINE=$1; COMP_POINT=${#1}; COMP_WORDS=(snapseek "$4" "$3" "$2"); COMP_CWORD=3
            _snapseek_with_names snapseek "$2" "$3"; printf '%s\n' "${COMPREPLY[@]}""#;
        let command = line.split(' ').nth(1).unwrap();
        let mut bash = sandbox.command_of("bash");
        bash.args(["-c", script, env!("CARGO_BIN_EXE_snapseek"), line, word, before, command]);
        finish(bash).exits(0).text().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(completed("snapseek search cluster:o", "o", ":"), [r#"\"Oma\'s\ friends\""#]);
    assert_eq!(completed("snapseek search label:", "", ":"), [r#"\"my\ pets\""#]);
    assert_eq!(completed("snapseek search has:pl", "pl", ":"), ["place"]);
    assert_eq!(completed("snapseek classify --set m", "m", "--set"), ["my pets"]);
    assert_eq!(completed("snapseek search --model st", "st", "--model"), ["starter"]);
    let zsh = sandbox.run(["completions", "zsh"]).exits(0).text();
    for option in ["--set", "--model", "--blip2"] {
        assert!(zsh.contains(&format!(":_snapseek_names {option}'")), "{option}");
    }
    // Commands come before options.
    let mut bash = sandbox.command_of("bash");
    let script = r#". ../snapseek.bash; COMP_WORDS=(snapseek ""); COMP_CWORD=1; _snapseek snapseek "" snapseek; echo "${COMPREPLY[0]}""#;
    bash.args(["-c", script]);
    assert_eq!(finish(bash).exits(0).text(), "tui\n");
}
