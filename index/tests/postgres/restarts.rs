//! A server that is killed and started again.

use crate::sharing::{many, process};
use crate::support::*;
use snapseek_index::Library;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A server of its own, which is gone with this.
struct OwnServer {
    script: Child,
    address: String,
    /// The program that starts it again.
    start: PathBuf,
}

impl OwnServer {
    fn new() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/postgres.sh");
        let mut script = Command::new(script)
            .args(["sh", "-c", "echo $SNAPSEEK_TEST_POSTGRES; echo $SNAPSEEK_TEST_POSTGRES_START; cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(script.stdout.take().unwrap()).lines().map(Result::unwrap);
        let (address, start) = (lines.next().unwrap(), lines.next().unwrap().into());
        Self { script, address, start }
    }

    fn kill(&self) {
        let folder = self.start.parent().unwrap();
        let pid = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
        let killed = Command::new("kill").args(["-KILL", pid.lines().next().unwrap()]).status().unwrap();
        assert!(killed.success());
    }

    /// Tries until the children of the killed one are gone.
    fn start(&self) {
        while !Command::new(&self.start).stdout(Stdio::null()).status().unwrap().success() {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}

#[test]
fn a_server_that_is_killed_and_started_again_loses_and_doubles_nothing() {
    const PHOTOS: u64 = 400;
    // Without a server there is none to start either.
    let folder = tempfile::tempdir().unwrap();
    let _ = place(folder.path());
    let server = OwnServer::new();
    let address = format!("{}?library={}", server.address, schema(folder.path()));
    let library = Library::create(Path::new(&address)).unwrap();
    let mut writer = library.lock().unwrap();
    writer.set_model(&model("a", DIM)).unwrap();
    writer.apply(&many(PHOTOS)).unwrap();
    drop(writer);
    let worker = || {
        let mut command = process("sharing::caption_in_another_process", "SNAPSEEK_TEST_SHARED", folder.path());
        command.env("SNAPSEEK_TEST_POSTGRES", &server.address).spawn().unwrap()
    };
    let run_out = || {
        let mut client = postgres::Client::connect(&server.address, postgres::NoTls).unwrap();
        let name = schema(folder.path());
        client.batch_execute(&format!("UPDATE {name}.lease SET until = 0, strikes = 0")).unwrap();
    };
    let mut random = Random(11);
    let mut workers: Vec<Child> = (0..4).map(|_| worker()).collect();
    for round in 0..8 {
        std::thread::sleep(Duration::from_millis(50 + random.next() % 150));
        server.kill();
        if round % 2 == 0 {
            let at = random.below(workers.len());
            workers[at].kill().unwrap();
            workers[at].wait().unwrap();
            workers[at] = worker();
        }
        server.start();
        run_out();
    }
    for worker in &mut workers {
        assert!(worker.wait().unwrap().success(), "a restart of the server ends nobody");
    }
    // What dead ones had goes to others.
    run_out();
    assert!(worker().wait().unwrap().success());
    let captioned = (1..=PHOTOS as i64)
        .filter(|id| library.caption(*id).unwrap().is_some_and(|caption| caption.text == format!("photo {id}")));
    assert_eq!(captioned.count() as u64, PHOTOS);
    assert!(library.check(true).unwrap().findings.is_empty());
}
