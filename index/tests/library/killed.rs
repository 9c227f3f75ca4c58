//! A process that extends and merges segments is killed at each of its changes of the disk.

use crate::segments::{Truth, change, check, grown, segments};
use crate::support::Random;
use snapseek_index::Library;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Names the library of the process that is killed.
const LIBRARY: &str = "SNAPSEEK_KILLED_LIBRARY";
/// The calls by which it changes the disk.
const CALLS: &str = "write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,ftruncate,unlink,unlinkat,openat";

#[test]
#[ignore = "the process that the test below kills"]
fn refreshes_a_library() {
    let folder = std::env::var_os(LIBRARY).expect("the test below names it");
    crate::segments::refresh(&Library::open(Path::new(&folder)).unwrap(), &mut |_, _, _| true);
}

/// Runs the test above under `strace` with these options; its trace goes to the file `log`.
fn refresh(library: &Path, log: &Path, options: &[&str]) -> Output {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-s", "0", "-o"]).arg(log).args(options);
    command.arg(std::env::current_exe().unwrap()).args(["--ignored", "--exact", "killed::refreshes_a_library"]);
    command.env(LIBRARY, library).output().unwrap()
}

/// The calls that change files of the library: the name of each, and its number among those of its thread.
fn points(library: &Path, log: &Path) -> BTreeSet<(String, usize)> {
    let output = refresh(library, log, &["-e", &format!("trace={CALLS}")]);
    assert!(output.status.success(), "strace must be allowed to trace here (ptrace): {output:?}");
    let (mut numbers, mut points) = (BTreeMap::<(String, String), usize>::new(), BTreeSet::new());
    for line in String::from_utf8_lossy(&fs::read(log).unwrap()).lines() {
        // 1234  fsync(5</tmp/x/library/catalogue.sqlite>) = 0
        let Some((head, rest)) = line.split_once('(') else { continue };
        let Some((thread, call)) = head.split_once(' ').filter(|(_, call)| !call.contains('<')) else { continue };
        let call = call.trim();
        let number = numbers.entry((thread.into(), call.into())).or_default();
        *number += 1;
        // A file is written by many calls of one kind.
        let counts = !call.contains("write") || *number % 4 == 1;
        let changes = call != "openat" || rest.contains("O_CREAT");
        if counts && changes && rest.contains(&*library.to_string_lossy()) {
            points.insert((call.to_owned(), *number));
        }
    }
    points
}

/// The names of a library's segments.
fn names(library: &Path) -> Vec<OsString> {
    segments(library).iter().filter_map(|file| Some(file.file_name()?.to_owned())).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Kills the refresh of copies of a library at each point. Whatever is left, nothing is lost or found twice, and the next
/// refresh makes it whole. Returns the names of the segments of a refresh that is not killed.
fn kill_everywhere(library: &Path, truth: &Truth) -> Vec<OsString> {
    let folder = tempfile::tempdir().unwrap();
    let (copied, log) = (folder.path().join("library"), folder.path().join("trace"));
    let reset = || {
        let _ = fs::remove_dir_all(&copied);
        copy(library, &copied);
    };
    reset();
    let points = points(&copied, &log);
    let made = names(&copied);
    let mut died = 0;
    for (call, number) in &points {
        reset();
        let inject = format!("inject={call}:signal=SIGKILL:when={number}");
        let output = refresh(&copied, &log, &["-e", &format!("trace={call}"), "-e", &inject]);
        died += usize::from(output.status.signal() == Some(9));
        check(&copied, truth, &mut Random(7));
        let left = Library::open(&copied).unwrap();
        assert!(left.check(false).unwrap().findings.is_empty(), "killed at {call} {number}");
        crate::segments::refresh(&left, &mut |_, _, _| true);
        check(&copied, truth, &mut Random(7));
    }
    println!("{} photos: killed at {died} of {} points", truth.len(), points.len());
    assert!(died * 10 >= points.len() * 9 && died > 5, "{died} of {}", points.len());
    made
}

#[test]
fn a_refresh_that_is_killed_loses_and_doubles_nothing() {
    if Command::new("strace").arg("--version").stdout(Stdio::null()).status().is_err() {
        assert!(std::env::var_os("SNAPSEEK_TEST_ALL").is_none(), "needs `strace`: scripts/test.sh installs it");
        // Not with `eprintln`, whose output the test runner captures.
        let _ = writeln!(std::io::stderr(), "skipped: a test of segments needs `strace`");
        return;
    }
    // The first graph of a library, and one that is merged with what came later and changed.
    let first = tempfile::tempdir().unwrap();
    let (library, truth) = grown(first.path(), std::slice::from_ref(&(0..700)), usize::MAX);
    drop(library);
    assert_eq!(kill_everywhere(first.path(), &truth).len(), 1);
    let later = tempfile::tempdir().unwrap();
    let (library, mut truth) = grown(later.path(), &[0..1_000, 1_000..1_250], crate::segments::GRAPH_FROM);
    change(&library, &mut truth, 1_250..1_550);
    drop(library);
    let (before, after) = (names(later.path()), kill_everywhere(later.path(), &truth));
    let merged = before.iter().filter(|name| !after.contains(name)).count();
    assert!(merged > 0 && before.len() > 1, "of {before:?} none was merged: {after:?}");
}
