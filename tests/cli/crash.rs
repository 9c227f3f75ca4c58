//! However the program ends, nothing committed is lost, nothing is stored twice, and the next run continues.
//!
//! `strace` kills the program at its n-th write, so that every moment can be tried and not only random ones. By
//! default, a few evenly spread ones are tried; `SNAPSEEK_CRASH_POINTS=1000 cargo test --release --test cli crash`
//! tries all.

use crate::support::{Output, Sandbox, another, finish, fixture, start};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The system calls by which a run changes the disk, and at how many calls of each kind it is killed.
const CALLS: [(&str, usize); 6] =
    [("pwrite64", 7), ("fsync", 3), ("write", 4), ("ftruncate", 1), ("rename", 2), ("unlink", 1)];
const INDEX: [&str; 5] = ["index", ".", "--threads", "1", "--json"];

/// `strace` with these options around an indexing run.
fn traced(sandbox: &Sandbox, options: &[&str]) -> Command {
    let mut command = sandbox.command_of("strace");
    command.args(["-f", "-qq"]).args(options).arg(crate::support::PROGRAM).args(INDEX);
    command
}

/// How often a run makes each call, in the thread that makes it most: `strace` counts for each thread separately.
fn count_calls(sandbox: &Sandbox) -> HashMap<String, usize> {
    let log = sandbox.path("trace");
    let trace = format!("trace={}", CALLS.map(|(call, _)| call).join(","));
    let output = finish(traced(sandbox, &["-o", log.to_str().unwrap(), "-e", &trace, "-e", "signal=none"]));
    assert_eq!(output.code(), 0, "strace must be allowed to trace here (ptrace): {output}");
    let mut counts = HashMap::<(String, String), usize>::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        // 1234  fsync(5) = 0
        let Some((head, _)) = line.split_once('(') else { continue };
        let (thread, call) = head.split_once(' ').unwrap();
        *counts.entry((call.trim().into(), thread.into())).or_default() += 1;
    }
    let mut most = HashMap::new();
    for ((call, _), count) in counts {
        let entry = most.entry(call).or_default();
        *entry = count.max(*entry);
    }
    most
}

/// At most `limit` moments from 1 to `count`, evenly spread, with both ends where there are two.
fn spread(count: usize, limit: usize) -> Vec<usize> {
    let points = count.min(std::env::var("SNAPSEEK_CRASH_POINTS").map_or(limit, |n| n.parse().unwrap()));
    (0..points).map(|n| 1 + n * (count - 1) / (points - 1).max(1)).collect()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

/// Kills the indexing of `sandbox`'s photos, whose library is `before` (or none), at spread moments; compares the
/// library after one more run with that of an undisturbed run.
fn kill_everywhere(sandbox: &Sandbox, before: Option<&Path>) {
    let reset = || {
        let _ = fs::remove_dir_all(sandbox.library());
        if let Some(before) = before {
            copy_folder(before, &sandbox.library());
        }
    };
    reset();
    sandbox.run(INDEX).exits(0);
    let undisturbed = sandbox.content();
    reset();
    let counts = count_calls(sandbox);
    assert!(counts["pwrite64"] > 20 && counts["fsync"] > 3 && counts["write"] > 2, "{counts:?}");
    for (call, limit) in CALLS {
        let count = counts.get(call).copied().unwrap_or(0);
        for n in spread(count, limit) {
            let moment = format!("killed at {call} {n} of {count}");
            reset();
            let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=SIGKILL:when={n}"));
            let killed = finish(traced(sandbox, &["-o", "/dev/null", "-e", &trace, "-e", &inject]));
            assert_eq!(killed.code(), 137, "{moment}, it should have died: {killed}");

            // What was committed is complete, and the next run does not repeat it.
            let committed = committed(sandbox, &moment);
            let summary = sandbox.run(INDEX).exits(0).line();
            if before.is_none() {
                assert_eq!(summary["unchanged"], committed, "{moment}: committed photos were embedded again");
            }
            assert_eq!(sandbox.content(), undisturbed, "{moment}");
            assert_eq!(sandbox.run(INDEX).exits(0).line()["embedded"], 0, "{moment}");
        }
    }
}

/// The number of files in the library that a killed run left behind; fails if the library is damaged.
fn committed(sandbox: &Sandbox, moment: &str) -> Value {
    let check = sandbox.run(["check", "--full"]);
    // Killed before the catalogue existed.
    if check.code() == 3 {
        return 0.into();
    }
    assert_eq!(check.code(), 0, "{moment}: {check}");
    sandbox.status()["files"].clone()
}

#[test]
fn killed_at_any_write_of_a_first_run() {
    needs!("strace");
    let sandbox = Sandbox::with_photos(&["cat", "dog", "owl"]);
    kill_everywhere(&sandbox, None);
}

#[test]
fn killed_at_any_write_of_a_run_that_adds_changes_moves_and_drops() {
    needs!("strace");
    let sandbox = Sandbox::indexed(&["cat", "dog", "owl", "panda", "koala"]);
    let before = sandbox.path("before");
    copy_folder(&sandbox.library(), &before);
    sandbox.add("lemur");
    fs::rename(sandbox.photo("cat.jpg"), sandbox.photo("tom.jpg")).unwrap();
    fs::copy(sandbox.photo("dog.jpg"), sandbox.photo("hound.jpg")).unwrap();
    fs::copy(fixture("photos/horse.jpg"), sandbox.photo("owl.jpg")).unwrap();
    fs::remove_file(sandbox.photo("panda.jpg")).unwrap();
    kill_everywhere(&sandbox, Some(&before));
}

/// Enough different photos for a run of a few seconds.
fn many(count: usize) -> Sandbox {
    let sandbox = Sandbox::new();
    let mut photos: Vec<_> = fs::read_dir(fixture("photos")).unwrap().map(|e| e.unwrap().path()).collect();
    photos.retain(|path| path.extension().is_some_and(|e| e == "jpg"));
    for n in 0..count {
        let bytes = fs::read(&photos[n % photos.len()]).unwrap();
        fs::write(sandbox.photo(format!("{n}.jpg")), another(&bytes, n as u64)).unwrap();
    }
    sandbox
}

pub(crate) fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Waits until `ready`, or fails.
pub(crate) fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let started = Instant::now();
    while !ready() {
        assert!(started.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ctrl_c_keeps_what_is_done_and_the_next_run_embeds_only_the_rest() {
    let total = 150;
    let sandbox = many(total);
    let run = start(&mut sandbox.command(INDEX));
    wait_until("the first photos are written", || {
        let status = sandbox.run(["status", "--json"]);
        status.code() == 0 && status.line()["files"].as_u64().unwrap() > 0
    });
    let sent = Instant::now();
    signal(run.id(), "INT");
    let output = Output::of(run).exits(130);
    assert!(sent.elapsed() < Duration::from_secs(5), "took {:?} to stop", sent.elapsed());
    let summary = output.line();
    let kept = summary["embedded"].as_u64().unwrap();
    assert_eq!(summary["interrupted"], true);
    assert!(kept > 0 && kept < total as u64, "{summary}");
    assert_eq!(sandbox.status()["files"], kept);
    sandbox.run(["check", "--full"]).exits(0);

    let summary = sandbox.index().exits(0).line();
    assert_eq!((&summary["embedded"], &summary["unchanged"]), (&(total as u64 - kept).into(), &kept.into()));
    assert_eq!(sandbox.status()["files"], total);
}

#[test]
fn a_second_writer_is_told_who_holds_the_library_and_a_killed_holder_holds_nothing() {
    let sandbox = many(60);
    let mut holder = start(&mut sandbox.command(INDEX));
    let lock = sandbox.library().join("lock");
    wait_until("the lock is taken", || fs::read(&lock).is_ok_and(|pid| pid.ends_with(b"\n")));
    // Stopped, so that it cannot end before the others have tried.
    signal(holder.id(), "STOP");
    for args in [vec!["index", "."], vec!["forget", "0.jpg"], vec!["reindex"], vec!["check", "--repair"]] {
        // A repair without findings has nothing to write.
        let code = if args[0] == "check" { 0 } else { 5 };
        let started = Instant::now();
        let refused = sandbox.run(&args).exits(code);
        assert!(started.elapsed() < Duration::from_secs(10), "{args:?} took {:?}", started.elapsed());
        if code == 5 {
            let (library, pid) = (sandbox.library().display().to_string(), holder.id().to_string());
            assert!(refused.stderr.contains(&library) && refused.stderr.contains(&pid), "{args:?}: {refused}");
        }
    }
    // Reading works all the time.
    sandbox.run(["status"]).exits(0);
    holder.kill().unwrap();
    holder.wait().unwrap();
    sandbox.index().exits(0);
    assert_eq!(sandbox.status()["files"], 60);
    sandbox.run(["check", "--full"]).exits(0);
}

#[test]
fn of_many_indexers_started_at_once_one_works() {
    let sandbox = Sandbox::with_photos(&["cat", "dog", "owl", "panda"]);
    let runs: Vec<_> = (0..6).map(|_| start(&mut sandbox.command(INDEX))).collect();
    let outputs: Vec<Output> = runs.into_iter().map(Output::of).collect();
    let mut done = 0;
    for output in outputs {
        match output.code() {
            0 => done += 1,
            _ => {
                let refused = output.exits(5);
                assert!(refused.stderr.contains("being written to by another snapseek"), "{refused}");
            }
        }
    }
    assert!(done >= 1, "somebody has to get the lock");
    let summary = sandbox.index().exits(0).line();
    assert_eq!((&summary["embedded"], &summary["unchanged"]), (&0.into(), &4.into()));
}

#[test]
fn a_file_that_kills_the_program_is_left_out_after_two_deaths_until_it_changes() {
    needs!("strace");
    let sandbox = Sandbox::with_photos(&["cat", "dog", "owl", "panda", "koala", "lemur"]);
    let killer = sandbox.photo("owl.jpg");
    let run = || {
        let path = killer.to_str().unwrap();
        let inject = "inject=read,pread64:signal=SIGKILL";
        finish(traced(&sandbox, &["-o", "/dev/null", "-P", path, "-e", "trace=read,pread64", "-e", inject]))
    };
    assert_eq!(run().code(), 137, "strace must kill the program when it reads the file");
    assert_eq!(run().code(), 137, "one death may have had another cause");
    let third = run().exits(4).line();
    assert_eq!((&third["failed"], &third["failures"]["quarantined"]), (&1.into(), &1.into()));
    let status = sandbox.status();
    assert_eq!((&status["files"], &status["failed"]), (&5.into(), &1.into()));
    assert_eq!(status["failures"][0]["kind"], "quarantined");
    assert_eq!(status["failures"][0]["path"], killer.to_str().unwrap());
    // It stays out, and the run says so; no other photo is embedded again.
    let fourth = run().exits(0).line();
    assert_eq!((&fourth["unchanged"], &fourth["embedded"], &fourth["failed"]), (&5.into(), &0.into(), &1.into()));

    fs::copy(fixture("photos/horse.jpg"), &killer).unwrap();
    let summary = sandbox.index().exits(0).line();
    assert_eq!((&summary["embedded"], &summary["unchanged"], &summary["failed"]), (&1.into(), &5.into(), &0.into()));
    assert_eq!(sandbox.status()["failed"], 0);
}

#[test]
fn a_neighbour_of_the_killer_is_acquitted() {
    needs!("strace");
    let names = ["cat", "dog", "owl", "panda", "koala", "lemur", "horse", "sheep"];
    let sandbox = Sandbox::with_photos(&names);
    // With several threads, other files are in work when the process dies; they must not be quarantined for it.
    let path = sandbox.photo("owl.jpg");
    for death in 0..3 {
        let inject = "inject=read,pread64:signal=SIGKILL";
        let mut command = sandbox.command_of("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-P"]).arg(&path).args([
            "-e",
            "trace=read,pread64",
            "-e",
            inject,
        ]);
        command.args([crate::support::PROGRAM, "index", ".", "--threads", "4", "--json"]);
        let output = finish(command);
        if death == 2 {
            let summary = output.exits(4).line();
            assert_eq!(summary["failures"], serde_json::json!({"quarantined": 1}));
        } else {
            assert_eq!(output.code(), 137);
        }
    }
    assert_eq!(sandbox.status()["files"], names.len() as u64 - 1);
}
