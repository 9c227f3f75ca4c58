//! Every command is refused the disk at its writes: it is full (and stays so), or fails once.

use super::world::{Attack, TASKS, Task, World};
use super::{Random, most, seed};
use std::time::{Duration, Instant};

/// What came of the errors.
#[derive(Default)]
struct Outcome {
    reported: usize,
    coped: usize,
    slowest: Duration,
}

fn refuse(world: &World, task: Task, limit: usize) -> Outcome {
    let attack = Attack::new(world, task);
    let mut cases = Vec::new();
    for point in attack.points() {
        if !point.call.starts_with("unlink") {
            cases.extend([(point.clone(), "ENOSPC"), (point, "EIO")]);
        }
    }
    let mut outcome = Outcome::default();
    for (point, error) in Random::new(seed(), task.name).some(&cases, limit) {
        let moment = format!("{}: {error} at {} {}, seed {}", task.name, point.call, point.number, seed());
        attack.reset();
        // Only what nothing but SQLite uses can fail for good: what else writes, tells the user.
        let stays = if error == "ENOSPC" && point.call == "pwrite64" { "+" } else { "" };
        let inject = format!("inject={}:error={error}:when={}{stays}", point.call, point.number);
        let started = Instant::now();
        let (output, trace) = attack.traced(&["-e", &format!("trace={}", point.call), "-e", &inject]);
        if !attack.hit(&trace) {
            continue;
        }
        outcome.slowest = outcome.slowest.max(started.elapsed());
        assert!(!output.stderr.contains("panicked"), "{moment}: {output}");
        let done = attack.says_done(&output);
        if done {
            outcome.coped += 1;
        } else {
            outcome.reported += 1;
            assert!((1..=5).contains(&output.code()), "{moment}: {output}");
            let home = world.sandbox.path("").display().to_string();
            // strace counts by thread: a write to stdout may have failed too, for which there is no path.
            let elsewhere = trace.iter().any(|line| line.contains("(INJECTED)") && !line.contains(&home));
            assert!(
                elsewhere || output.stderr.contains(&home) || output.stderr.contains("export.jsonl"),
                "{moment} names no path: {output}"
            );
        }
        let state = attack.is_legal(&moment, done);
        if !done {
            attack.goes_on(&moment, &state);
        }
    }
    outcome
}

#[test]
fn commands_on_a_full_or_failing_disk_say_so_and_lose_nothing() {
    needs!("strace");
    let world = World::new();
    for task in TASKS {
        let outcome = refuse(&world, task, 4);
        assert!(outcome.reported + outcome.coped > 0, "{}", task.name);
    }
}

/// The long form of the test above: at every write, at most 500 of a command.
#[test]
#[ignore = "takes minutes: scripts/campaign.sh"]
fn campaign_errors() {
    let (started, mut all) = (Instant::now(), Outcome::default());
    let world = World::new();
    for task in TASKS {
        let Outcome { reported, coped, slowest } = refuse(&world, task, most(500));
        println!(
            "  {:18} {reported} reported, {coped} without effect, slowest {:.1} s",
            task.name,
            slowest.as_secs_f64()
        );
        all.reported += reported;
        all.coped += coped;
        all.slowest = all.slowest.max(slowest);
    }
    println!(
        "ENOSPC and EIO, seed {}: {} errors of {} commands: {} reported, {} without effect, 0 lost, 0 panics; {:.0} s, \
         the slowest run {:.1} s",
        seed(),
        all.reported + all.coped,
        TASKS.len(),
        all.reported,
        all.coped,
        started.elapsed().as_secs_f64(),
        all.slowest.as_secs_f64()
    );
}
