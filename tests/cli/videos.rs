//! Videos, read by the program ffmpeg: one entry each, found by any of its frames.

use crate::support::{Sandbox, file_name, finish, fixture};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Makes a video of these fixture photos, of each so many seconds.
fn film(to: &Path, photos: &[&str], seconds: u32, output: &[&str]) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y"]);
    for photo in photos {
        command.args(["-loop", "1", "-t", &seconds.to_string(), "-r", "5", "-i"]);
        command.arg(fixture(&format!("photos/{photo}.jpg")));
    }
    let scaled = |n: usize| {
        format!(
            "[{n}]scale=320:240:force_original_aspect_ratio=decrease,pad=320:240:(ow-iw)/2:(oh-ih)/2,setsar=1[{n}v];"
        )
    };
    let filter: String = (0..photos.len()).map(scaled).collect();
    let joined: String = (0..photos.len()).map(|n| format!("[{n}v]")).collect();
    let filter = format!("{filter}{joined}concat=n={}:v=1,format=yuv420p[out]", photos.len());
    command.args(["-filter_complex", &filter, "-map", "[out]", "-g", "5", "-q:v", "3", "-c:v", "mpeg4"]);
    assert!(command.args(output).arg(to).status().unwrap().success());
}

/// The cosine of each file with a fixture photo.
fn cosines(sandbox: &Sandbox, photo: &str) -> Vec<(String, f64)> {
    let photo = fixture(&format!("photos/{photo}.jpg"));
    let found = sandbox.run(["similar", photo.to_str().unwrap(), "--json", "-n", "all"]).exits(0);
    found.lines().iter().map(|hit| (file_name(&hit["path"]), hit["cosine"].as_f64().unwrap())).collect()
}

#[test]
fn a_video_is_one_entry_that_is_found_by_each_of_its_frames() {
    needs!("ffmpeg");
    let sandbox = Sandbox::with_photos(&["owl", "bison"]);
    let when = "creation_time=2019-06-30T10:00:00Z";
    film(&sandbox.photo("three.mov"), &["cat", "dog", "baseball"], 4, &["-metadata", when]);
    film(&sandbox.photo("one.AVI"), &["bison"], 3, &[]);
    let place = ["-movflags", "use_metadata_tags", "-metadata", "com.apple.quicktime.location.ISO6709=+38.72-009.14/"];
    film(&sandbox.photo("five.mp4"), &["cow", "crab", "cup", "duck", "fish-1"], 15, &place);

    // Without being asked, they are counted.
    assert_eq!(sandbox.index().exits(0).line()["unread"], json!({"avi": 1, "mov": 1, "mp4": 1}));
    let index = |more: &[&str]| {
        let photos = sandbox.photos();
        sandbox.command(["index", photos.to_str().unwrap(), "--json"].iter().chain(more))
    };
    let mut without = index(&["--video"]);
    without.env("PATH", "/nowhere");
    let without = finish(without).exits(0);
    assert!(without.stderr.contains("ffmpeg is not installed"), "{without}");
    assert_eq!(without.line()["unread"], json!({"avi": 1, "mov": 1, "mp4": 1}));

    let summary = finish(index(&["--video"])).exits(0).line();
    assert_eq!((&summary["embedded"], &summary["unread"]), (&json!(3), &json!({})));
    let hits = sandbox.run(["search", "ext:mov,mp4,avi", "--sort", "name", "--json"]).exits(0).lines();
    let told: Vec<_> = hits.iter().map(|hit| [&hit["format"], &hit["width"], &hit["height"]]).collect();
    assert_eq!(told, [[&json!("video"), &json!(320), &json!(240)]; 3]);
    assert_eq!((&hits[0]["latitude"], &hits[0]["longitude"]), (&json!(38.72), &json!(-9.14)));
    assert_eq!(hits[2]["taken"], "2019-06-30T10:00:00");

    for (film, frames) in [
        ("three.mov", &["cat", "dog", "baseball"][..]),
        ("one.AVI", &["bison"]),
        ("five.mp4", &["cow", "crab", "cup", "duck", "fish-1"]),
    ] {
        for frame in frames {
            let found = cosines(&sandbox, frame);
            let of_film: Vec<_> = found.iter().filter(|(name, _)| name == film).collect();
            assert_eq!(of_film.len(), 1, "{film} {frame}: {found:?}");
            assert!(of_film[0].1 > 0.9, "{film} {frame}: {found:?}");
        }
    }
    // A cache of all vectors, a change beside it, and the catalogue alone give the same.
    let before = cosines(&sandbox, "crab");
    fs::remove_dir_all(sandbox.library().join("vectors")).unwrap();
    assert_eq!(cosines(&sandbox, "crab"), before);
    assert_eq!(sandbox.run(["check", "--full", "--json"]).exits(0).line()["findings"], json!([]));

    // A frame is no copy of the photo that it looks like; a copied video is one.
    let groups = sandbox.run(["duplicates", "--json"]);
    assert!(groups.lines().iter().all(|group| !group.to_string().contains("AVI")), "{groups}");
    fs::copy(sandbox.photo("three.mov"), sandbox.photo("copy.mov")).unwrap();
    // What is known stays known, and is looked at again, without being asked.
    let summary = finish(index(&[])).exits(0).line();
    assert_eq!((&summary["unchanged"], &summary["unread"]), (&json!(5), &json!({"mov": 1})));
    let summary = finish(index(&["--video"])).exits(0).line();
    assert_eq!((&summary["embedded"], &summary["copied"]), (&json!(0), &json!(1)));
    assert!(sandbox.run(["duplicates", "--json"]).exits(0).text().contains("copy.mov"));
    film(&sandbox.photo("one.AVI"), &["owl"], 3, &[]);
    let mut blind = index(&[]);
    blind.env("PATH", "/nowhere");
    assert_eq!(finish(blind).exits(0).line()["removed"], 0);
    assert_eq!(finish(index(&[])).exits(0).line()["embedded"], 1);
    assert!(cosines(&sandbox, "owl").iter().any(|(name, cosine)| name == "one.AVI" && *cosine > 0.9));
}

#[test]
fn what_is_no_video_is_a_failure_and_is_not_followed() {
    needs!("ffmpeg");
    let sandbox = Sandbox::with_photos(&["owl"]);
    let secret = sandbox.path("secret.mp4");
    film(&secret, &["cat"], 3, &[]);
    let list = format!("#EXTM3U\n#EXTINF:3,\nfile://{}\n", secret.display());
    fs::write(sandbox.photo("list.mp4"), list).unwrap();
    fs::write(sandbox.photo("concat.mkv"), format!("ffconcat version 1.0\nfile '{}'\n", secret.display())).unwrap();
    fs::write(sandbox.photo("empty.mov"), "").unwrap();
    fs::write(sandbox.photo("cut.mp4"), &fs::read(&secret).unwrap()[..500]).unwrap();
    fs::write(sandbox.photo("-v.avi"), b"RIFF\0\0\0\0AVI nothing").unwrap();
    // Nothing but the program itself may say which video something is.
    fs::write(sandbox.photo("extract.jpg"), [&b"snapseek video extract 1\0"[..], &[0; 64]].concat()).unwrap();
    fs::copy(fixture("photos/cat.jpg"), sandbox.photo("photo.mp4")).unwrap();
    let photos = sandbox.photos();
    let summary = sandbox.run([Path::new("index"), &photos, Path::new("--video"), Path::new("--json")]).exits(4).line();
    assert_eq!((&summary["embedded"], &summary["failed"]), (&json!(2), &json!(6)), "{summary}");
    let failures = sandbox.status()["failures"].as_array().unwrap().clone();
    let kind =
        |name: &str| failures.iter().find(|f| file_name(&f["path"]) == name).map_or(&Value::Null, |f| &f["kind"]);
    for (name, expected) in [
        ("list.mp4", "not-a-picture"),
        ("concat.mkv", "not-a-picture"),
        ("empty.mov", "empty"),
        ("cut.mp4", "damaged"),
        ("-v.avi", "damaged"),
        ("extract.jpg", "not-a-picture"),
    ] {
        assert_eq!(kind(name), expected, "{name}: {failures:?}");
    }
}
