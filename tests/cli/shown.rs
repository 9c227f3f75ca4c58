//! What people are shown is true: results and their order, missing files, counts, hints, and what is left out.

use crate::support::{Output, Sandbox, file_name, finish, fixture, start};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const PHOTOS: [&str; 6] = ["owl", "cat", "neuschwanstein-castle", "schwerin-palace", "hammer-5", "giraffe"];

/// A command line on a terminal of 80 columns: stdout and stderr together, without colours.
fn on_80_columns(sandbox: &Sandbox, line: &str) -> Output {
    let mut command = sandbox.command_of("bash");
    let program = env!("CARGO_BIN_EXE_snapseek");
    let run = format!("stty cols 80; NO_COLOR=1 '{program}' {line}");
    command.args(["-c", r#"script -qec "$0" /dev/null < /dev/null"#]).arg(run);
    finish(command)
}

fn lines(output: &Output) -> Vec<String> {
    output.text().replace('\r', "").lines().map(|line| line.trim_end().to_owned()).collect()
}

/// The program with this on its stdin.
fn piped(sandbox: &Sandbox, args: &[&str], input: &[u8]) -> Output {
    let mut command = sandbox.command(args);
    let mut child = start(command.stdin(Stdio::piped()));
    child.stdin.take().unwrap().write_all(input).unwrap();
    Output::of(child)
}

fn names(output: &Output) -> Vec<String> {
    output.lines().iter().map(|hit| file_name(&hit["path"])).collect()
}

fn paths0(output: &Output) -> Vec<String> {
    let text = output.text();
    let name = |path: &str| Path::new(path).file_name().unwrap().to_string_lossy().into_owned();
    text.split('\0').filter(|path| !path.is_empty()).map(name).collect()
}

#[test]
fn a_file_that_is_gone_is_marked_last_and_handed_to_nobody() {
    let sandbox = Sandbox::indexed(&PHOTOS);
    let best = names(&sandbox.run(["search", "castle", "--json"]).exits(0))[0].clone();
    fs::remove_file(sandbox.photo(&best)).unwrap();
    let hits = sandbox.run(["search", "castle", "--json"]).exits(0).lines();
    let last = hits.last().unwrap();
    assert_eq!((file_name(&last["path"]), &last["missing"]), (best.clone(), &json!(true)));
    assert!(hits[0]["missing"] == false && hits[0]["rank"] == 1);
    let piped = sandbox.run(["search", "castle"]).exits(0).text();
    assert!(piped.lines().last().unwrap().ends_with("\tgone") && !piped.lines().next().unwrap().contains("gone"));
    let copies = sandbox.path("copies");
    let found = sandbox.run(["search", "castle", "--paths0", "--copy-to", copies.to_str().unwrap()]).exits(0);
    assert!(!paths0(&found).contains(&best) && paths0(&found).len() == hits.len() - 1);
    assert_eq!(fs::read_dir(&copies).unwrap().count(), hits.len() - 1);
    let similar = sandbox.run(["similar", "cat.jpg", "--json"]).exits(0);
    assert_eq!(names(&similar).last(), Some(&best));
    needs!("script");
    let shown = lines(&on_80_columns(&sandbox, "search castle"));
    let at = shown.iter().position(|line| line.contains("gone from the disk")).unwrap();
    assert!(shown[at + 1].contains(&best), "{shown:#?}");
    // Another copy stands for it.
    fs::copy(fixture(&format!("photos/{best}")), sandbox.photo("copy.jpg")).unwrap();
    sandbox.index();
    let hits = sandbox.run(["search", "castle", "--json"]).exits(0).lines();
    assert!(hits.iter().all(|hit| hit["missing"] == false), "{hits:#?}");
}

#[test]
fn where_nothing_matches_the_nearest_are_shown_to_people_only() {
    needs!("script");
    let sandbox = Sandbox::indexed(&PHOTOS);
    let query = "search 'a slice of pizza on a plate'";
    let shown = on_80_columns(&sandbox, query).exits(1);
    let shown = lines(&shown);
    assert_eq!(shown[0], "no photo matches; the nearest are:");
    assert_eq!(shown.iter().filter(|line| line.contains(".jpg")).count(), 3, "{shown:#?}");
    // They are neither copied nor linked to.
    on_80_columns(&sandbox, &format!("{query} --copy-to ../copies --link-to ../links")).exits(1);
    for folder in ["copies", "links"] {
        assert_eq!(fs::read_dir(sandbox.path(folder)).unwrap().count(), 0, "{folder}");
    }
    for more in ["--json", "--paths0", "-n 2 --json"] {
        assert!(!on_80_columns(&sandbox, &format!("{query} {more}")).exits(1).text().contains(".jpg"));
    }
    let piped = sandbox.run(["search", "a slice of pizza on a plate"]).exits(1);
    assert!(piped.stdout.is_empty() && piped.stderr.contains("--all"), "{piped}");
}

#[test]
fn results_are_counted_sorted_and_have_the_columns_that_are_asked_for() {
    needs!("script");
    let sandbox = Sandbox::with_photos(&PHOTOS);
    for name in PHOTOS {
        let folder = sandbox.photo(format!("{name}-folder"));
        fs::create_dir(&folder).unwrap();
        fs::rename(sandbox.photo(format!("{name}.jpg")), folder.join(format!("{name}.jpg"))).unwrap();
    }
    sandbox.index();
    let all = sandbox.run(["search", "ext:jpg", "-n", "all", "--json"]).exits(0).lines().len();
    assert!(all >= PHOTOS.len());
    let shown = lines(&on_80_columns(&sandbox, "search ext:jpg -n 2"));
    assert!(shown.contains(&format!("2 of {all} matches")), "{shown:#?}");
    let words: Vec<&str> = shown[0].split_whitespace().collect();
    assert_eq!(words, ["#", "photo", "tags"], "no numbers where there are none");
    let by = |args: &[&str]| {
        let base = ["search", "ext:jpg", "-n", "all", "--json"];
        sandbox.run(base.iter().chain(args)).exits(0).lines()
    };
    let names = |hits: &[Value]| hits.iter().map(|hit| file_name(&hit["path"])).collect::<Vec<_>>();
    let by_name = names(&by(&["--sort", "name"]));
    assert!(by_name.is_sorted(), "{by_name:?}");
    let reversed = names(&by(&["--sort", "name", "-r"]));
    assert!(reversed.iter().eq(by_name.iter().rev()));
    let sizes: Vec<u64> = by(&["--sort", "size"]).iter().map(|hit| hit["bytes"].as_u64().unwrap()).collect();
    assert!(sizes.iter().rev().is_sorted(), "{sizes:?}");
    let paths: Vec<String> = by(&["--sort", "path"]).iter().map(|hit| hit["path"].to_string()).collect();
    assert!(paths.is_sorted());
    let dates: Vec<String> = by(&[]).iter().map(|hit| hit["taken"].as_str().unwrap_or("").to_owned()).collect();
    assert!(dates.iter().rev().is_sorted(), "the newest first: {dates:?}");
    // The matches of a query by meaning, in another order.
    let ranked = names(&sandbox.run(["search", "castle", "--json"]).exits(0).lines());
    let mut sorted = names(&sandbox.run(["search", "castle", "--json", "--sort", "name"]).exits(0).lines());
    assert!(sorted.is_sorted() && sorted.len() == ranked.len());
    sorted.sort_by_key(|name| ranked.iter().position(|other| other == name));
    assert_eq!(sorted, ranked);
    // Columns.
    let head = |line: &str| lines(&on_80_columns(&sandbox, line))[0].clone();
    assert!(head("search castle wider:1").contains("pixels") && head("search castle --sort date").contains("date"));
    assert!(
        head("search castle --columns camera,size").contains("camera  size")
            || head("search castle --columns camera,size").contains("size")
    );
    let row = sandbox.run(["search", "castle", "--columns", "pixels,size"]).exits(0).text();
    let cells: Vec<&str> = row.lines().next().unwrap().split('\t').collect();
    assert_eq!((cells.len(), cells[4], cells[5]), (7, "match", "512x342"), "{row}");
    // In a pipe, matches are told from the rest where both are listed.
    for args in [vec!["similar", "owl-folder/owl.jpg"], vec!["search", "castle", "--all"]] {
        let rows = sandbox.run(&args).exits(0).text();
        let states: Vec<&str> = rows.lines().map(|row| row.split('\t').nth(4).unwrap()).collect();
        assert!(states.iter().all(|state| ["match", "near"].contains(state)), "{rows}");
        // In a small library, all that a picture finds is a match.
        assert!(states.contains(&"near") || args[0] == "similar", "{rows}");
    }
}

#[test]
fn photos_with_a_label_come_in_the_order_of_its_probability() {
    let sandbox = Sandbox::indexed(&PHOTOS);
    sandbox.run(["classify", "--labels", "castle,hammer", "--background", "animal", "--save-as", "things"]).exits(0);
    let hits = sandbox.run(["search", "label:things=castle", "--json"]).exits(0).lines();
    let sure: Vec<f64> = hits.iter().map(|hit| hit["probability"].as_f64().unwrap()).collect();
    assert!(sure.len() >= 2 && sure.iter().rev().is_sorted(), "{sure:?}");
    let names: Vec<String> = hits.iter().map(|hit| file_name(&hit["path"])).collect();
    let sorted = sandbox.run(["search", "label:things=castle", "--sort", "name", "-r", "--json"]).exits(0);
    assert!(names.len() == sorted.lines().len() && sorted.names().iter().rev().is_sorted());
    // Without a label that is asked for, there is no probability.
    let without = sandbox.run(["search", "--json", "--", "-label:things=hammer"]).exits(0).lines();
    assert!(without.iter().all(|hit| hit["probability"].is_null()), "{without:#?}");
}

#[test]
fn a_path_is_never_cut() {
    needs!("script");
    let sandbox = Sandbox::new();
    let long = format!("{}/{}", "a rather long name of a folder".repeat(2), "and a long name of a photo, too");
    fs::create_dir_all(sandbox.photo(&long)).unwrap();
    let photo = sandbox.photo(format!("{long}/neuschwanstein castle in the evening.jpg"));
    fs::copy(fixture("photos/neuschwanstein-castle.jpg"), &photo).unwrap();
    sandbox.add("schwerin-palace");
    sandbox.index().exits(0);
    let path = photo.strip_prefix(sandbox.photos()).unwrap().to_str().unwrap().to_owned();
    let shown = on_80_columns(&sandbox, "search castle").text();
    assert!(shown.contains(&path), "{shown}");
    let long = lines(&on_80_columns(&sandbox, "search castle --long"));
    assert!(long.contains(&path), "{long:#?}");
}

#[test]
fn only_new_failures_fail_a_run() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    let cat = fs::read(sandbox.photo("cat.jpg")).unwrap();
    for name in ["half.jpg", "copy of half.jpg"] {
        fs::write(sandbox.photo(name), &cat[..700]).unwrap();
    }
    let first = sandbox.index().exits(4).line();
    assert_eq!((&first["failed"], &first["failed_before"]), (&json!(2), &json!(0)));
    assert_eq!(first["failures"], json!({"truncated": 2}), "a copy fails as the first one does");
    let failures = sandbox.status()["failures"].as_array().unwrap().clone();
    assert_eq!(failures[0]["message"], failures[1]["message"]);
    let again = sandbox.index().exits(0).line();
    assert_eq!((&again["failed"], &again["failed_before"]), (&json!(2), &json!(2)));
    let text = sandbox.run(["index"]).exits(0).text();
    assert!(text.contains("2 failed") && text.contains("earlier run"), "{text}");
    let forgotten = sandbox.run(["forget", "half.jpg"]).exits(0);
    assert!(forgotten.stderr.contains("left out from now on") && forgotten.stderr.contains("half.jpg"), "{forgotten}");
    assert_eq!(sandbox.index().exits(0).line()["failed"], 1);
    fs::write(sandbox.photo("another.jpg"), "no picture").unwrap();
    assert_eq!(sandbox.index().exits(4).line()["failed_before"], 1);
}

#[test]
fn names_words_and_dates_are_understood_as_people_write_them() {
    let sandbox = Sandbox::with_photos(&["owl", "giraffe"]);
    fs::copy(fixture("photos/cat.jpg"), sandbox.photo("DSC_0020.JPG")).unwrap();
    fs::create_dir(sandbox.photo("Köln")).unwrap();
    fs::copy(fixture("photos/horse.jpg"), sandbox.photo("Köln/pferd.jpg")).unwrap();
    sandbox.index().exits(0);
    for query in ["DSC_0020.JPG", "\"DSC_0020.JPG\"", "dsc_0020.jpg"] {
        assert_eq!(names(&sandbox.run(["search", query, "--json"]).exits(0))[0], "DSC_0020.JPG", "{query}");
    }
    for query in ["koeln", "köln", "Köln"] {
        assert_eq!(names(&sandbox.run(["search", query, "--json"]).exits(0))[0], "pferd.jpg", "{query}");
    }
    let misspelt = sandbox.run(["search", "girafe"]).exits(1);
    assert!(misspelt.stderr.contains("did you mean \"giraffe\""), "{misspelt}");
    for query in ["taken:>2020", "taken:2015/06", "taken:sep-2019", "has:camera", "has:place"] {
        sandbox.run(["search", query]).exits(1);
    }
    for query in ["wider:>100", "-has:date", "has:tags"] {
        sandbox.run(["search", "--", query]).exits(0);
    }
    let error = sandbox.run(["search", "taken:2019-02-31"]).exits(2);
    assert!(error.stderr.contains("there is no 2019-02-31"), "{error}");
    assert!(sandbox.run(["help", "search"]).exits(0).text().contains("has:place"));
}

#[test]
fn mistakes_are_explained_in_our_own_words() {
    let sandbox = Sandbox::indexed(&["owl", "cat"]);
    let quoted = sandbox.run(["search", "castle", "-night"]).exits(2).stderr;
    assert!(quoted.starts_with("snapseek: ") && quoted.contains("\"castle -night\""), "{quoted}");
    assert!(sandbox.run(["serch"]).exits(2).stderr.starts_with("snapseek: "));
    let late = sandbox.run(["search", "--", "owl", "--json"]);
    assert!(late.stderr.contains("--json is read as a word of the query"), "{late}");
    let page = sandbox.run(["search", "owl", "--html", "/nonexist/x.html"]);
    assert!(page.stderr.contains("/nonexist/x.html") && !page.stderr.contains(".tmp"), "{page}");
    let chat = sandbox.run(["chats", "show", "owl.jpg"]).exits(1);
    assert!(chat.stderr.contains("no chats about owl.jpg"), "{chat}");
    assert!(sandbox.run(["chats", "show", "12x"]).exits(2).stderr.contains("neither the number"));
    // A photo that does not exist is wrong usage, everywhere; among others it is left out.
    for args in [
        &["similar", "nope.jpg"][..],
        &["caption", "nope.jpg"],
        &["caption", "show", "nope.jpg"],
        &["ask", "nope.jpg", "what?"],
        &["score", "nope.jpg", "--text", "a dog"],
        &["embed", "--image", "nope.jpg"],
        &["search", "@nope.jpg"],
    ] {
        let mut command = sandbox.command(args);
        command.env("SNAPSEEK_BLIP2", crate::support::random_blip2());
        let output = finish(command).exits(2);
        assert!(output.stderr.contains("nope.jpg does not exist"), "{args:?}: {output}");
    }
    sandbox.run(["score", "nope.jpg", "owl.jpg", "--text", "a dog"]).exits(4);
}

#[test]
fn a_terminal_that_understands_nothing_gets_the_short_help() {
    needs!("script");
    let sandbox = Sandbox::new();
    let mut command = sandbox.command_of("bash");
    let run = format!("TERM=dumb '{}'", env!("CARGO_BIN_EXE_snapseek"));
    command.args(["-c", r#"script -qec "$0" /dev/null < /dev/null"#]).arg(run);
    let shown = finish(command).exits(0).text();
    assert!(shown.contains("Usage: snapseek") && !shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn queries_and_pictures_come_from_a_pipe() {
    let sandbox = Sandbox::indexed(&PHOTOS);
    assert_eq!(names(&piped(&sandbox, &["search", "-", "--json"], b"owl\n").exits(0))[0], "owl.jpg");
    let both = piped(&sandbox, &["search", "-", "--json", "-n", "1"], b"owl\n\ngiraffe\n").exits(0).lines();
    assert_eq!(both.iter().map(|hit| hit["query"].as_str().unwrap()).collect::<Vec<_>>(), ["owl", "giraffe"]);
    let picture = fs::read(sandbox.photo("cat.jpg")).unwrap();
    for command in ["search", "similar"] {
        assert_eq!(names(&piped(&sandbox, &[command, "-", "--json"], &picture).exits(0))[0], "cat.jpg");
    }
    let paths = piped(&sandbox, &["similar", "-", "--json", "-n", "1"], b"cat.jpg\nowl.jpg\n").exits(0).lines();
    assert_eq!((paths.len(), &paths[1]["query"]), (2, &json!("owl.jpg")));
    for nothing in [&b""[..], b"\n", b"\xff\xfe\x00"] {
        piped(&sandbox, &["similar", "-"], nothing).exits(2);
    }
}

#[test]
fn links_are_numbered_and_csv_describes() {
    let sandbox = Sandbox::with_photos(&["owl"]);
    fs::create_dir(sandbox.photo("more")).unwrap();
    fs::copy(fixture("photos/duck.jpg"), sandbox.photo("more/owl.jpg")).unwrap();
    sandbox.index().exits(0);
    let folder = sandbox.path("links");
    let copies = sandbox.path("copies");
    // The same commands again double nothing.
    for _ in 0..3 {
        sandbox.run(["search", "ext:jpg", "--link-to", folder.to_str().unwrap()]).exits(0);
        sandbox.run(["search", "ext:jpg", "--copy-to", copies.to_str().unwrap()]).exits(0);
    }
    assert_eq!([&folder, &copies].map(|folder| fs::read_dir(folder).unwrap().count()), [2, 2]);
    for name in ["owl.jpg", "owl-2.jpg"] {
        assert!(fs::read_link(folder.join(name)).unwrap().is_absolute(), "{name}");
    }
    let csv = sandbox.run(["describe", "--csv"]).exits(0).text();
    assert!(
        csv.starts_with("kind,name,number\n") && csv.contains("photos,,2") && csv.contains("formats,jpeg,2"),
        "{csv}"
    );
}

#[test]
fn folders_of_programs_are_left_out_unless_asked_for() {
    let sandbox = Sandbox::with_photos(&["owl"]);
    for folder in ["#recycle", "@eaDir/x", "lost+found", "my.lrdata", ".Trash-1000/files", "node_modules", "kept"] {
        fs::create_dir_all(sandbox.photo(folder)).unwrap();
        fs::copy(fixture("photos/cat.jpg"), sandbox.photo(format!("{folder}/cat.jpg"))).unwrap();
    }
    assert_eq!(sandbox.index().exits(0).line()["embedded"], 2);
    assert_eq!(sandbox.status()["files"], 2);
    sandbox.run(["index", ".", "--no-default-excludes"]).exits(0);
    assert_eq!(sandbox.status()["files"], 7, "hidden ones stay hidden");
    // Those that are indexed stay through a reindex, and no new ones come.
    fs::copy(fixture("photos/dog.jpg"), sandbox.photo("node_modules/dog.jpg")).unwrap();
    sandbox.run(["reindex"]).exits(0);
    assert_eq!(sandbox.status()["files"], 7);
    sandbox.index().exits(0);
    assert_eq!(sandbox.status()["files"], 2);
    let config = sandbox.path("home/config/snapseek/config.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(&config, "exclude = [\"kept/\", \"*.tmp.jpg\"]\n").unwrap();
    sandbox.index().exits(0);
    assert_eq!(sandbox.status()["files"], 1);
    fs::write(&config, "exclude = [\"[z-a]\"]\n").unwrap();
    assert!(sandbox.run(["status"]).exits(2).stderr.contains("exclude"));
}

#[test]
fn a_watched_folder_indexes_itself_and_says_so_in_a_line() {
    let sandbox = Sandbox::with_photos(&["owl"]);
    let mut command = sandbox.command(["watch", ".", "--json"]);
    let mut child = start(command.stdout(Stdio::piped()));
    let mut reader = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut next = || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    assert_eq!(next()["embedded"], 1);
    // Others may use the library meanwhile.
    sandbox.run(["caption", "set", "owl.jpg", "Eule", "im", "Garten"]).exits(0);
    fs::copy(fixture("photos/cat.jpg"), sandbox.photo("cat.jpg")).unwrap();
    assert_eq!(next()["embedded"], 1);
    fs::remove_file(sandbox.photo("cat.jpg")).unwrap();
    assert_eq!(next()["removed"], 1);
    terminate(child.id());
    assert!(child.wait().unwrap().success());
    assert_eq!(sandbox.run(["caption", "show", "owl.jpg", "--json"]).exits(0).line()["caption"], "Eule im Garten");
}

/// Ends a process as systemd does.
fn terminate(process: u32) {
    assert!(std::process::Command::new("kill").args(["-TERM", &process.to_string()]).status().unwrap().success());
}

#[test]
fn a_script_moves_copies_to_the_trash_and_nothing_else() {
    let sandbox = Sandbox::with_photos(&["owl", "cat", "dog"]);
    for name in ["owl", "cat"] {
        for n in 1..=4 {
            let copy = sandbox.photo(format!("{name} '{n}'\u{1b}[31m.jpg"));
            fs::copy(sandbox.photo(format!("{name}.jpg")), copy).unwrap();
        }
    }
    sandbox.index().exits(0);
    let script = sandbox.path("tidy.sh");
    let said = sandbox.run(["duplicates", "--script", script.to_str().unwrap()]).exits(0);
    assert!(said.stderr.contains("moves 8 files to the trash"), "{said}");
    let text = fs::read_to_string(&script).unwrap();
    assert!(text.starts_with("#!/bin/sh\n") && text.contains("# 1. keep "), "{text}");
    // Nothing is overwritten.
    sandbox.run(["duplicates", "--script", script.to_str().unwrap()]).exits(2);
    // One has changed since.
    let copies = || fs::read_dir(sandbox.photos()).unwrap().count();
    let changed = fs::read_dir(sandbox.photos()).unwrap().map(|e| e.unwrap().path());
    let changed =
        changed.filter(|path| text.contains(&format!("copy '{}", path.display()).replace("'2'", "'\\''2'\\''")));
    let changed = changed.last().unwrap_or_else(|| sandbox.photo("cat '3'\u{1b}[31m.jpg"));
    let before = fs::read(&changed).unwrap();
    fs::write(&changed, [&before[..], b"more"].concat()).unwrap();
    let mut command = sandbox.command_of("sh");
    command.arg(&script);
    let ran = finish(command).exits(1);
    assert!(ran.text().contains("7 moved to the trash, 1 left"), "{ran}");
    assert!(ran.stderr.contains("has changed or is gone") && !ran.stderr.contains('\u{1b}'), "{ran}");
    assert_eq!(copies(), 4);
    let trash = sandbox.path("home/data/Trash");
    assert_eq!(fs::read_dir(trash.join("files")).unwrap().count(), 7);
    let info = fs::read_dir(trash.join("info")).unwrap().next().unwrap().unwrap().path();
    let info = fs::read_to_string(info).unwrap();
    assert!(
        info.starts_with("[Trash Info]\nPath=/") && info.contains("%27") && info.contains("\nDeletionDate=20"),
        "{info}"
    );
    // The library was told, so that the loss is none.
    let done = sandbox.index().exits(0).line();
    assert_eq!((&done["removed"], &done["held_back"]), (&json!(7), &json!(0)), "{done}");
}

#[test]
fn ratings_of_other_programs_are_read_sorted_and_filtered_without_a_model() {
    needs!("exiftool");
    let sandbox = Sandbox::indexed(&PHOTOS);
    let rate = |what: &str, name: &str| {
        let mut exiftool = Command::new("exiftool");
        exiftool.args(["-q", "-overwrite_original", what]).arg(sandbox.photo(name));
        assert!(exiftool.status().unwrap().success());
    };
    rate("-XMP-xmp:Rating=5", "owl.jpg");
    rate("-IFD0:Rating=3", "cat.jpg");
    rate("-XMP-microsoft:RatingPercent=75", "giraffe.jpg");
    rate("-XMP-xmp:Rating=-1", "hammer-5.jpg");
    let run = sandbox.run(["index", "--json"]).exits(0).lines().remove(0);
    assert_eq!((&run["embedded"], &run["refreshed"]), (&json!(0), &json!(4)));
    let found = |line: &str| {
        let hits = sandbox.run(line.split(' ')).lines();
        hits.iter().map(|hit| (file_name(&hit["path"]), hit["rating"].as_i64().unwrap_or(0))).collect::<Vec<_>>()
    };
    let rated =
        [("owl.jpg", 5), ("giraffe.jpg", 4), ("cat.jpg", 3), ("hammer-5.jpg", -1)].map(|(n, s)| (n.to_owned(), s));
    let sorted = found("search ext:jpg --sort rating --json -n all");
    assert_eq!((&sorted[..3], &sorted[5]), (&rated[..3], &rated[3]));
    assert_eq!(found("search ext:jpg --sort rating -r --json")[0], rated[3]);
    assert_eq!(found("search rating:>=4 --sort rating --json"), rated[..2]);
    for (query, expected) in
        [("rating:3", 1), ("has:rating", 4), ("-has:rating", 2), ("rating:-1", 1), ("rating:1..4", 2)]
    {
        assert_eq!(found(&format!("search --json -- {query}")).len(), expected, "{query}");
    }
    // Filters about ratings show them.
    let text = sandbox.run(["search", "rating:5", "--columns", "rating"]).exits(0).text();
    assert!(text.trim_end().ends_with("\t5"), "{text}");
    for wrong in ["rating:6", "rating:many", "rating:>5", "rating:4..2"] {
        assert!(sandbox.run(["search", wrong]).exits(2).stderr.contains("write stars from 1 to 5"), "{wrong}");
    }
    // Stars that are taken away are gone.
    rate("-XMP-xmp:Rating=0", "owl.jpg");
    sandbox.run(["index"]).exits(0);
    assert_eq!(found("search rating:>=4 --json"), rated[1..2]);
}
