//! Two models in one library: one answers while the other is filled, nothing is embedded twice, and nothing is lost to
//! a kill at any moment.

use crate::support::{Output, PROGRAM, Sandbox, dot, finish, fixture};
use rusqlite::Connection;
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::process::Command;

/// Another one.
fn other() -> String {
    fixture("reference/families/openclip-quickgelu").to_str().unwrap().to_owned()
}

/// A small random OpenCLIP, as `--model` takes it.
fn openclip() -> String {
    fixture("reference/families/openclip").to_str().unwrap().to_owned()
}

/// What each model is to the library, by name: its role, and how many photos it has embedded and not embedded.
fn standing(sandbox: &Sandbox) -> Vec<(String, String, u64, u64)> {
    let status = sandbox.status();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let models = status["models"].as_array().unwrap().iter();
    let mut all: Vec<_> = models
        .map(|model| {
            let (embedded, awaiting) = (model["embedded"].as_u64().unwrap(), model["awaiting"].as_u64().unwrap());
            (text(&model["name"]), text(&model["role"]), embedded, awaiting)
        })
        .collect();
    all.sort();
    all
}

fn is(model: &str, role: &str, embedded: u64, awaiting: u64) -> (String, String, u64, u64) {
    (model.to_owned(), role.to_owned(), embedded, awaiting)
}

/// How many photos a run has embedded by a model.
fn by(summary: &Value, model: &str) -> u64 {
    summary["embedded_by"][model].as_u64().unwrap_or_else(|| panic!("{model}: {summary}"))
}

#[test]
fn a_new_model_is_filled_while_the_old_one_answers_and_then_takes_its_place() {
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    let away = sandbox.path("away");
    fs::create_dir(&away).unwrap();
    fs::rename(sandbox.photo("dog.jpg"), away.join("dog.jpg")).unwrap();
    sandbox.run(["index", ".", away.to_str().unwrap()]).exits(0);
    let scores = || sandbox.ranking("a dog").into_iter().collect::<HashMap<_, _>>();
    let starter = scores();
    let (clip, third) = (openclip(), other());

    // The disk with the dog is not there: it will be again, so the new model waits for it.
    fs::rename(&away, sandbox.path("unmounted")).unwrap();
    let first = sandbox.run(["reindex", "--model", &clip]);
    assert!(first.stderr.contains("1 of 2 photos") && first.stderr.contains("starter answers"), "{first}");
    assert_eq!(standing(&sandbox), [is(&clip, "filling", 1, 1), is("starter", "current", 2, 0)]);
    assert_eq!(scores(), starter);
    for args in [vec!["search", "a dog", "--model", &clip], vec!["similar", "cat.jpg", "--model", &clip]] {
        let refused = sandbox.run(args).exits(2);
        for part in ["1 of 2 photos", "snapseek reindex --model", clip.as_str()] {
            assert!(refused.stderr.contains(part), "{part}: {refused}");
        }
    }
    // One at a time.
    for asked in ["starter", third.as_str()] {
        let refused = sandbox.run(["reindex", "--model", asked]).exits(2);
        assert!(refused.stderr.contains("models drop"), "{refused}");
    }

    // A photo that is new meanwhile gets both, and what is embedded is not embedded again.
    sandbox.add("owl");
    let summary = sandbox.run(["index", "--json"]).line();
    assert_eq!((by(&summary, "starter"), by(&summary, &clip), &summary["embedded"]), (1, 1, &1.into()), "{summary}");
    fs::rename(sandbox.path("unmounted"), &away).unwrap();
    let run = sandbox.run(["reindex", "--json"]).exits(0);
    let summary = run.line();
    assert_eq!((by(&summary, "starter"), by(&summary, &clip), &summary["unchanged"]), (0, 1, &2.into()), "{summary}");
    assert_eq!(summary["model"], clip.as_str());
    assert_eq!(standing(&sandbox), [is(&clip, "current", 3, 0), is("starter", "kept", 3, 0)]);

    // Each answers with its own numbers, as it would alone.
    let alone = Sandbox::with_photos(&["cat", "dog", "owl"]);
    for model in ["starter", &clip] {
        let _ = fs::remove_dir_all(alone.library());
        alone.run(["index", ".", "--model", model]).exits(0);
        let scores = |sandbox: &Sandbox| -> Vec<(String, bool, f64)> {
            let hits = sandbox.run(["search", "a dog", "--by", "meaning", "--all", "--json", "--model", model]).lines();
            let name = |hit: &Value| crate::support::file_name(&hit["path"]);
            hits.iter().map(|hit| (name(hit), hit["match"] == true, hit["cosine"].as_f64().unwrap())).collect()
        };
        let (beside, alone) = (scores(&sandbox), scores(&alone));
        assert_eq!((beside.len(), alone.len()), (3, 3), "{model}");
        for (one, other) in beside.iter().zip(&alone) {
            // A photo is decoded once, as large as the model that needs it largest has it: random weights make more of
            // that than trained ones do.
            assert!((&one.0, one.1) == (&other.0, other.1) && (one.2 - other.2).abs() < 5e-3, "{one:?} {other:?}");
        }
    }
    let similar = sandbox.run(["similar", "cat.jpg", "--json", "--model", "starter"]).exits(0);
    assert_eq!(similar.names().len(), 2);
    let labels = ["classify", "--labels", "dog,cat,owl", "--json", "--model", "starter"];
    let labelled = sandbox.run(labels).exits(0).lines();
    assert!(labelled.iter().any(|line| line["label"] == "dog"), "{labelled:?}");
    sandbox.run(["score", "--text", "a dog", "cat.jpg", "--model", "starter"]).exits(0);
    sandbox.run(["search", "a dog", "--model", &third]).exits(2);

    // Both go on, until one is dropped.
    sandbox.add("panda");
    let both = sandbox.run(["index", "--json"]).exits(0);
    let summary = both.line();
    assert_eq!((by(&summary, "starter"), by(&summary, &clip)), (1, 1), "{summary}");
    assert!(both.stderr.contains("2 models") && both.stderr.contains("models drop starter"), "{both}");
    sandbox.run(["check", "--full"]).exits(0);
    for (args, code) in
        [(vec!["starter"], 2), (vec![&clip, "--yes"], 2), (vec!["nobody", "--yes"], 1), (vec!["starter", "--yes"], 0)]
    {
        sandbox.run(["models", "drop"].iter().chain(&args)).exits(code);
    }
    assert_eq!(standing(&sandbox), [is(&clip, "current", 4, 0)]);
    sandbox.run(["search", "a dog", "--model", "starter"]).exits(2);
    let alone = sandbox.run(["index", "--json"]).exits(0);
    assert_eq!((alone.line()["embedded_by"].clone(), alone.stderr.as_str()), (Value::Null, ""));
    sandbox.run(["library", "compact"]).exits(0);
    sandbox.run(["check", "--full"]).exits(0);
    assert_eq!(sandbox.ranking("a dog").len(), 4);
}

#[test]
fn killed_at_any_moment_it_goes_on_and_embeds_nothing_twice() {
    needs!("strace");
    /// More than are written at once.
    const PHOTOS: u64 = 150;
    let sandbox = Sandbox::new();
    let (old, new) = (openclip(), other());
    let folder = sandbox.photos();
    (0..PHOTOS).for_each(|n| fs::write(folder.join(format!("{n}.png")), dot(n as u32 * 97_003)).unwrap());
    let mut next = PHOTOS as u32;
    sandbox.run(["index", ".", "--model", &old]).exits(0);
    // Prepares the prompts of the new one.
    sandbox.run(["index", "0.png", "--model", &new, "--library", sandbox.path("other").to_str().unwrap()]).exits(0);
    let answers = |sandbox: &Sandbox| sandbox.run(["similar", "0.png", "-n", "1", "--json"]).exits(0).names();
    let kill = |call: &str, n: u32, args: &[&str]| {
        let mut command: Command = sandbox.command_of("strace");
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=SIGKILL:when={n}"));
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject, PROGRAM]).args(args);
        assert_eq!(finish(command).code(), 137, "{call} {n}");
    };
    let embedded = |name: &str| standing(&sandbox).into_iter().find(|model| model.0 == name).map_or(0, |model| model.2);
    let reindex = ["reindex", "--model", &new, "--threads", "1", "--json"];
    // At one moment after the other, until some photos are embedded, but not all.
    let mut moments = 1..20;
    while embedded(&new) == 0 {
        kill("fsync", moments.next().unwrap(), &reindex);
        sandbox.run(["check", "--full"]).exits(0);
        answers(&sandbox);
    }
    let begun = embedded(&new);
    assert!(begun < PHOTOS, "it should have been killed in the middle");
    assert_eq!(standing(&sandbox), [is(&old, "current", PHOTOS, 0), is(&new, "filling", begun, PHOTOS - begun)]);
    // Photos that are new meanwhile.
    let mut photos = PHOTOS;
    for n in [1, 25] {
        next += 1;
        fs::write(folder.join(format!("{next}.png")), dot(next * 97_003)).unwrap();
        photos += 1;
        kill("pwrite64", n, &reindex);
        sandbox.run(["check", "--full"]).exits(0);
        answers(&sandbox);
    }
    let (before_old, before_new) = (embedded(&old), embedded(&new));
    let summary = sandbox.run(reindex).exits(0).line();
    assert_eq!((by(&summary, &old), by(&summary, &new)), (photos - before_old, photos - before_new), "{summary}");
    assert_eq!(standing(&sandbox), [is(&old, "kept", photos, 0), is(&new, "current", photos, 0)]);
    let db = Connection::open(sandbox.library().join("catalogue.sqlite")).unwrap();
    let rows: u64 = db.query_row("SELECT count(*) FROM embedding", [], |row| row.get::<_, i64>(0)).unwrap() as u64;
    assert_eq!(rows, 2 * photos);
    drop(db);
    // Back, which costs nothing but the switch; killed there, too.
    let back = ["reindex", "--model", &old, "--json"];
    kill("fsync", 2, &back);
    answers(&sandbox);
    let summary = sandbox.run(back).exits(0).line();
    assert_eq!((by(&summary, &old), by(&summary, &new), &summary["embedded"]), (0, 0, &0.into()), "{summary}");
    kill("fsync", 1, &["models", "drop", &new, "--yes"]);
    answers(&sandbox);
    let is_there = standing(&sandbox).len() == 2;
    sandbox.run(["models", "drop", &new, "--yes"]).exits(if is_there { 0 } else { 1 });
    assert_eq!(standing(&sandbox), [is(&old, "current", photos, 0)]);
    let summary = sandbox.run(["index", "--json"]).exits(0).line();
    assert_eq!(summary["embedded"], 0);
    sandbox.run(["check", "--full"]).exits(0);
    answers(&sandbox);
}

#[test]
fn a_model_that_is_gone_stops_nothing() {
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    let clip = sandbox.path("model");
    let copy = || {
        fs::create_dir(&clip).unwrap();
        for entry in fs::read_dir(openclip()).unwrap() {
            let file = entry.unwrap().path();
            fs::copy(&file, clip.join(file.file_name().unwrap())).unwrap();
        }
    };
    copy();
    let name = clip.to_str().unwrap();
    sandbox.run(["index", ".", "--model", name]).exits(0);
    sandbox.run(["reindex", "--model", "starter"]).exits(0);
    // A kept one: a warning, and the others go on.
    fs::remove_dir_all(&clip).unwrap();
    sandbox.add("owl");
    let run = sandbox.run(["index", "--json"]).exits(0);
    assert_eq!((run.stderr.matches("warning: ").count(), &run.line()["embedded"]), (1, &1.into()), "{run}");
    assert!(run.stderr.contains(name) && run.stderr.contains("models drop"), "{run}");
    assert_eq!(standing(&sandbox)[0], is(name, "kept", 2, 1));
    // Once it is back it embeds what it lacks, and until then it says what it cannot find.
    copy();
    let found = sandbox.run(["similar", "cat.jpg", "--model", name]).exits(0);
    assert!(found.stderr.contains("1 photo awaits embedding"), "{found}");
    let summary = sandbox.run(["index", "--json"]).exits(0).line();
    assert_eq!((by(&summary, "starter"), by(&summary, name)), (0, 1), "{summary}");
    // The current one: a new one can still take its place, and new photos get that.
    sandbox.run(["reindex", "--model", name]).exits(0);
    sandbox.run(["models", "drop", "starter", "--yes"]).exits(0);
    fs::remove_dir_all(&clip).unwrap();
    sandbox.add("panda");
    sandbox.run(["index"]).exits(3);
    let run = sandbox.run(["reindex", "--model", "starter", "--json"]).exits(0);
    assert_eq!((&run.line()["embedded"], &run.line()["model"]), (&4.into(), &"starter".into()), "{run}");
    assert_eq!(standing(&sandbox), [is(name, "kept", 3, 1), is("starter", "current", 4, 0)]);
    sandbox.run(["check", "--full"]).exits(0);
    sandbox.run(["models", "drop", name, "--yes"]).exits(0);
    assert_eq!(sandbox.run(["index"]).exits(0).stderr, "");
}

/// What one model lacks is no reason to drop a photo that another one has embedded, whatever limits a run has.
#[test]
fn what_cannot_be_read_now_stays_as_the_other_model_knows_it() {
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    let clip = openclip();
    sandbox.run(["reindex", "--model", &clip]).exits(0);
    let db = Connection::open(sandbox.library().join("catalogue.sqlite")).unwrap();
    let hurt = "UPDATE embedding SET checksum = 1 WHERE model = (SELECT id FROM model WHERE beside = 1)
        AND photo = (SELECT photo FROM file WHERE CAST(path AS TEXT) LIKE '%cat.jpg')";
    assert_eq!(db.execute(hurt, []).unwrap(), 1);
    drop(db);
    sandbox.run(["check", "--full", "--repair"]).exits(0);
    assert_eq!(standing(&sandbox), [is(&clip, "current", 2, 0), is("starter", "kept", 1, 1)]);
    let counts = |run: &Output| ["embedded", "unchanged", "incomplete", "failed"].map(|what| run.line()[what].clone());
    let run = sandbox.run(["index", "-v", "--max-megapixels", "0", "--json"]).exits(0);
    assert!(run.stderr.contains("max-megapixels"), "{run}");
    assert_eq!(counts(&run), [0, 2, 1, 0], "{run}");
    // Nor if what is read is no picture any more, although the file looks unchanged.
    let path = sandbox.photo("cat.jpg");
    let (sound, time) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
    let put = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    };
    put(&vec![0; sound.len()]);
    let run = sandbox.run(["index", "-v", "--json"]).exits(0);
    assert!(run.stderr.contains("cat.jpg"), "{run}");
    assert_eq!(counts(&run), [0, 2, 1, 0], "{run}");
    put(&sound);
    assert_eq!(standing(&sandbox), [is(&clip, "current", 2, 0), is("starter", "kept", 1, 1)]);
    let summary = sandbox.run(["index", "--json"]).exits(0).line();
    assert_eq!((by(&summary, "starter"), by(&summary, &clip)), (1, 0), "{summary}");
}
