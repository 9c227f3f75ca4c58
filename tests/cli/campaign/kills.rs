//! Every command is killed at its changes of the disk.

use super::world::{Attack, TASKS, Task, World};
use super::{Random, most, seed};
use std::time::Instant;

/// Kills a command at most at so many points; returns how many it had, and at how many it died.
fn kill(world: &World, task: Task, limit: usize) -> (usize, usize) {
    let attack = Attack::new(world, task);
    let points = attack.points();
    assert!(!points.is_empty(), "{}", task.name);
    let mut died = 0;
    for point in Random::new(seed(), task.name).some(&points, limit) {
        let moment = format!("{} killed at {} {}, seed {}", task.name, point.call, point.number, seed());
        attack.reset();
        let (trace, inject) =
            (format!("trace={}", point.call), format!("inject={}:signal=SIGKILL:when={}", point.call, point.number));
        let (killed, _) = attack.traced(&["-e", &trace, "-e", &inject]);
        assert!(!killed.stderr.contains("panicked"), "{moment}: {killed}");
        // Threads do not always share the work in the same way.
        let dead = killed.code() == 137;
        died += usize::from(dead);
        let state = attack.is_legal(&moment, !dead);
        attack.goes_on(&moment, &state);
    }
    (points.len(), died)
}

#[test]
fn commands_that_are_killed_lose_and_double_nothing() {
    needs!("strace");
    let world = World::new();
    for task in TASKS {
        let (_, died) = kill(&world, task, 3);
        assert!(died > 0, "{}", task.name);
    }
}

/// The long form of the test above: at 200 points of each command, or at all if there are fewer.
#[test]
#[ignore = "takes minutes: scripts/campaign.sh"]
fn campaign_kills() {
    let (started, mut all, mut longest) = (Instant::now(), 0, (0.0_f64, ""));
    let world = World::new();
    for task in TASKS {
        let one = Instant::now();
        let (points, died) = kill(&world, task, most(200));
        println!("  {:18} killed at {died} of {points} points, {:.0} s", task.name, one.elapsed().as_secs_f64());
        longest =
            if one.elapsed().as_secs_f64() > longest.0 { (one.elapsed().as_secs_f64(), task.name) } else { longest };
        all += died;
    }
    println!(
        "kills, seed {}: {all} of {} commands: 0 lost, 0 doubled, 0 panics; {:.0} s, the slowest {} {:.0} s",
        seed(),
        TASKS.len(),
        started.elapsed().as_secs_f64(),
        longest.1,
        longest.0
    );
}
