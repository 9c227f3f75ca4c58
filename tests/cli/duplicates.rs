//! `duplicates`: groups, which file of each to keep, and that following its advice cannot lose a photo.

use crate::support::{Output, Sandbox, blank, file_name, fixture, random_clip};
use crate::terminal::{PAYLOAD, foreign, is_control, on_a_terminal};
use image::{DynamicImage, RgbImage, imageops};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Sets a file's modification time to this many days after the beginning of 2020.
fn date(path: &Path, days: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800 + days * 86_400);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn picture(name: &str) -> RgbImage {
    image::open(fixture(&format!("photos/{name}.jpg"))).unwrap().into_rgb8()
}

fn save(picture: RgbImage, path: &Path) {
    DynamicImage::ImageRgb8(picture).save(path).unwrap();
}

/// The middle of a picture, with this share of each edge.
fn middle(picture: &RgbImage, share: f64) -> RgbImage {
    let cut = |length: u32| (f64::from(length) * share) as u32;
    let (width, height) = (cut(picture.width()), cut(picture.height()));
    let (left, top) = ((picture.width() - width) / 2, (picture.height() - height) / 2);
    imageops::crop_imm(picture, left, top, width, height).to_image()
}

/// The file names of each group in a JSON answer, with the kept file first.
fn groups(output: &Output) -> Vec<Vec<String>> {
    let files = |group: &Value| group["files"].as_array().unwrap().iter().map(|f| file_name(&f["path"])).collect();
    output.lines().iter().map(files).collect()
}

fn paths0(output: &Output) -> BTreeSet<OsString> {
    let paths = output.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty());
    paths.map(|path| OsString::from_vec(path.to_vec())).collect()
}

#[test]
fn exact_copies_are_grouped_and_the_oldest_is_kept() {
    let sandbox = Sandbox::with_photos(&["cat", "dog", "owl"]);
    fs::create_dir(sandbox.photo("old")).unwrap();
    let odd = sandbox.photo(OsStr::from_bytes(b"caf\xe9 \n.jpg"));
    let copies = [(sandbox.photo("old/cat.jpg"), "cat", 1), (odd, "cat", 3), (sandbox.photo("dog2.jpg"), "dog", 9)];
    for (path, name, day) in &copies {
        fs::copy(sandbox.photo(format!("{name}.jpg")), path).unwrap();
        date(path, *day);
    }
    for (name, day) in [("cat", 2), ("dog", 9), ("owl", 5)] {
        date(&sandbox.photo(format!("{name}.jpg")), day);
    }
    sandbox.index().exits(0);
    let before: Vec<_> = copies.iter().map(|(path, ..)| fs::read(path).unwrap()).collect();

    let found = sandbox.run(["duplicates", "--exact", "--json"]).exits(0);
    let lines = found.lines();
    assert_eq!(lines.len(), 2, "{found}");
    let cat = lines.iter().find(|group| file_name(&group["files"][0]["path"]) == "cat.jpg").unwrap();
    assert_eq!((&cat["schema"], &cat["kind"]), (&json!(1), &json!("exact")));
    let files = cat["files"].as_array().unwrap();
    assert_eq!(files.len(), 3);
    assert!(files[0]["path"].as_str().unwrap().ends_with("/old/cat.jpg"), "the oldest: {found}");
    assert_eq!((&files[0]["keep"], &files[0]["reason"]), (&json!(true), &json!("oldest file")));
    assert!(files[1..].iter().all(|file| file["keep"] == false && file["reason"] == "same content"), "{found}");
    let dog = lines.iter().find(|group| file_name(&group["files"][0]["path"]) == "dog.jpg").unwrap();
    assert_eq!(dog["files"][0]["reason"], "shortest name", "{found}");

    let dropped = paths0(&sandbox.run(["duplicates", "--exact", "--paths0"]).exits(0));
    let expected = [&copies[1].0, &sandbox.photo("cat.jpg"), &copies[2].0].map(|path| path.clone().into_os_string());
    assert_eq!(dropped, BTreeSet::from(expected));
    // Without a flag the result is the same here, and no file was changed.
    assert_eq!(paths0(&sandbox.run(["duplicates", "--paths0"]).exits(0)), dropped);
    assert_eq!(copies.iter().map(|(path, ..)| fs::read(path).unwrap()).collect::<Vec<_>>(), before);
    // None of them is a changed copy.
    let none = sandbox.run(["duplicates", "--near"]).exits(1);
    assert!(none.stdout.is_empty() && none.stderr.contains("no duplicates"), "{none}");
}

#[test]
fn links_are_no_copies() {
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    std::os::unix::fs::symlink(sandbox.photo("cat.jpg"), sandbox.photo("a link.jpg")).unwrap();
    fs::hard_link(sandbox.photo("dog.jpg"), sandbox.photo("same file.jpg")).unwrap();
    sandbox.index().exits(0);
    assert_eq!(sandbox.status()["files"], 4);
    sandbox.run(["duplicates"]).exits(1);
    // With a copy, the link's target is in the group, but the link is not.
    fs::copy(sandbox.photo("cat.jpg"), sandbox.photo("copy.jpg")).unwrap();
    date(&sandbox.photo("copy.jpg"), 1);
    sandbox.index().exits(0);
    assert_eq!(groups(&sandbox.run(["duplicates", "--json"]).exits(0)), [["copy.jpg", "cat.jpg"]]);
}

/// Photos, two of which have changed copies.
fn with_changed_copies() -> Sandbox {
    let sandbox = Sandbox::with_photos(&["cat", "giraffe", "giraffe-b", "hammer-5", "hammer-8"]);
    let cat = picture("cat");
    let small = imageops::resize(&cat, cat.width() / 2, cat.height() / 2, imageops::FilterType::Triangle);
    save(small, &sandbox.photo("small.jpg"));
    save(imageops::rotate90(&cat), &sandbox.photo("turned.jpg"));
    save(middle(&cat, 0.9), &sandbox.photo("cropped.jpg"));
    let hammer = picture("hammer-5");
    let mut framed = RgbImage::from_pixel(hammer.width() + 60, hammer.height() + 60, image::Rgb([20, 20, 20]));
    imageops::replace(&mut framed, &hammer, 30, 30);
    save(framed, &sandbox.photo("framed.png"));
    for (name, day) in [("cat", 1), ("hammer-5", 1), ("turned", 2)] {
        date(&sandbox.photo(format!("{name}.jpg")), day);
    }
    sandbox.index().exits(0);
    sandbox
}

/// The kept looks by photo.
fn looks(sandbox: &Sandbox) -> Vec<(i64, Vec<u8>)> {
    let db = rusqlite::Connection::open(sandbox.library().join("catalogue.sqlite")).unwrap();
    let mut statement = db.prepare("SELECT photo, data FROM look ORDER BY photo").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn looks_are_taken_while_indexing_and_the_first_search_decodes_nothing() {
    let sandbox = with_changed_copies();
    let files: Vec<_> = fs::read_dir(sandbox.photos()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let sound: Vec<_> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    let taken = looks(&sandbox);
    assert_eq!(taken.len(), files.len());
    blank(&files);
    let found = sandbox.run(["duplicates", "--json"]).exits(0);
    // Of each file that cannot be read there would be a line.
    assert_eq!((found.lines().len(), found.stderr.lines().count()), (2, 1), "{found}");

    // Those of a library of an older release are taken from the files, and are the same.
    let forget = || {
        let db = rusqlite::Connection::open(sandbox.library().join("catalogue.sqlite")).unwrap();
        db.execute("DELETE FROM look", []).unwrap();
    };
    forget();
    sandbox.run(["duplicates", "--near", "--json"]).exits(4);
    for (path, bytes) in files.iter().zip(sound) {
        let modified = fs::metadata(path).unwrap().modified().unwrap();
        fs::write(path, bytes).unwrap();
        File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
    }
    assert_eq!(looks(&sandbox), []);
    assert_eq!(sandbox.run(["duplicates", "--json"]).exits(0).stdout, found.stdout);
    assert_eq!(looks(&sandbox), taken);
    // So are those that a run for another model takes; it takes none that are there.
    forget();
    sandbox.run(["reindex", "--model", &random_clip()]).exits(0);
    assert_eq!(looks(&sandbox), taken);
}

#[test]
fn changed_copies_are_grouped_and_different_photos_of_one_thing_are_not() {
    let sandbox = with_changed_copies();
    let found = sandbox.run(["duplicates", "--json"]).exits(0);
    let mut lines = found.lines();
    lines.sort_by_key(|group| group["files"].as_array().unwrap().len());
    let [hammers, cats] = lines.try_into().unwrap_or_else(|_| panic!("{found}"));
    assert_eq!((&cats["kind"], &hammers["kind"]), (&json!("near"), &json!("near")));
    let reason = |group: &Value, name: &str| {
        let files = group["files"].as_array().unwrap();
        files.iter().find(|f| file_name(&f["path"]) == name).unwrap()["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(cats["files"].as_array().unwrap().len(), 4, "{found}");
    let kept = &cats["files"][0];
    assert_eq!(
        (file_name(&kept["path"]), &kept["keep"], &kept["cosine"]),
        ("cat.jpg".into(), &json!(true), &Value::Null)
    );
    assert!(kept["reason"].as_str().unwrap().starts_with("most pixels"), "{kept}");
    assert_eq!(reason(&cats, "small.jpg"), "25 % of the pixels");
    assert!(reason(&cats, "turned.jpg").starts_with("turned right"), "{found}");
    assert!(reason(&cats, "cropped.jpg").starts_with("cropped to 8"), "81 % are left: {found}");
    for copy in &cats["files"].as_array().unwrap()[1..] {
        assert!(copy["likeness"].as_f64().unwrap() > 0.9 && copy["sharpness"].as_f64().unwrap() > 0.0, "{copy}");
    }
    // The framed copy has more pixels, but not more of the picture.
    assert_eq!(file_name(&hammers["files"][0]["path"]), "hammer-5.jpg", "{found}");
    assert_eq!(reason(&hammers, "framed.png"), "with a frame, png instead of jpeg");

    // Among exact copies there is nothing.
    sandbox.run(["duplicates", "--exact"]).exits(1);
    sandbox.run(["duplicates", "--exact", "--near"]).exits(2);
    sandbox.run(["duplicates", "--near", "1.5"]).exits(2);
    sandbox.run(["duplicates", "--csv", "--json"]).exits(2);
}

#[test]
fn a_photo_is_decoded_for_it_once() {
    let sandbox = with_changed_copies();
    let first = sandbox.run(["duplicates", "--json"]).exits(0);
    // Files whose size and time are unchanged, but whose bytes are not: decoding them again would fail.
    for name in ["cat.jpg", "small.jpg", "framed.png"] {
        let path = sandbox.photo(name);
        let meta = fs::metadata(&path).unwrap();
        fs::write(&path, vec![0; meta.len() as usize]).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(meta.modified().unwrap()).unwrap();
    }
    let second = sandbox.run(["duplicates", "--json"]).exits(0);
    assert_eq!(second.text(), first.text());
    assert_eq!(second.stderr, first.stderr);
}

#[test]
fn a_chain_of_crops_does_not_join_what_is_not_alike() {
    let sandbox = Sandbox::new();
    let owl = picture("owl");
    for (name, share) in [("all", 1.0), ("most", 0.8), ("half", 0.62)] {
        save(middle(&owl, share), &sandbox.photo(format!("{name}.png")));
    }
    sandbox.index().exits(0);
    let found = sandbox.run(["duplicates", "--json"]).exits(0);
    assert_eq!(groups(&found), [["all.png", "most.png"]], "{found}");
    // Without the largest, the other two form a group: neighbours in the chain are alike.
    fs::remove_file(sandbox.photo("all.png")).unwrap();
    sandbox.run(["index", "--json", "--prune"]).exits(0);
    assert_eq!(groups(&sandbox.run(["duplicates", "--json"]).exits(0)), [["most.png", "half.png"]]);
}

#[test]
fn what_is_gone_or_changed_is_told_and_never_counted_on() {
    let sandbox = with_changed_copies();
    for (name, of) in [("copy 1.jpg", "dog"), ("copy 2.jpg", "dog"), ("copy 3.jpg", "owl"), ("copy 4.jpg", "owl")] {
        fs::copy(fixture(&format!("photos/{of}.jpg")), sandbox.photo(name)).unwrap();
    }
    sandbox.index().exits(0);
    // The best copies are gone: the remaining ones must not be called superfluous because of them.
    fs::remove_file(sandbox.photo("copy 1.jpg")).unwrap();
    fs::write(sandbox.photo("copy 3.jpg"), "something else").unwrap();
    fs::remove_file(sandbox.photo("cat.jpg")).unwrap();
    let found = sandbox.run(["duplicates", "--json"]).exits(4);
    let mut names = groups(&found);
    names.iter_mut().for_each(|group| group.sort());
    names.sort();
    let cats = ["cropped.jpg", "small.jpg", "turned.jpg"].map(String::from).to_vec();
    assert_eq!(names, [cats, ["framed.png", "hammer-5.jpg"].map(String::from).to_vec()], "{found}");
    for name in ["copy 1.jpg", "copy 3.jpg", "cat.jpg"] {
        assert!(found.stderr.contains(name), "{found}");
    }
    assert!(!paths0(&sandbox.run(["duplicates", "--paths0"]).exits(4)).contains(OsStr::new("copy 2.jpg")));
    // The next run indexes the files as they are now.
    sandbox.run(["index", "--prune", "--json"]).exits(4);
    sandbox.run(["duplicates", "--json"]).exits(0);
}

#[test]
fn pages_and_tables_hold_every_file_and_hostile_names_do_no_harm() {
    needs!("script");
    let sandbox = Sandbox::with_photos(&["cat"]);
    let hostile = format!("<img src=x onerror=alert(1)> \"quoted\", {PAYLOAD}.jpg");
    fs::copy(sandbox.photo("cat.jpg"), sandbox.photo(&hostile)).unwrap();
    let cat = picture("cat");
    save(imageops::rotate270(&cat), &sandbox.photo("turned.jpg"));
    sandbox.index().exits(0);

    let page = sandbox.path("page.html");
    sandbox.run([OsStr::new("duplicates"), OsStr::new("--html"), page.as_os_str()]).exits(0);
    let html = fs::read_to_string(&page).unwrap();
    assert_eq!(html.matches("<img ").count(), 3, "a thumbnail a file");
    assert_eq!(html.matches("src='data:image/jpeg;base64,").count(), 3);
    assert!(html.contains("&lt;img src=x onerror=alert(1)&gt;") && !html.contains("http://"), "{hostile}");
    assert!(html.contains("class=keep") && html.contains("keep: ") && html.contains("turned left"));
    assert!(html.chars().all(|c| c == '\n' || !is_control(c)));
    // A page written by snapseek may be overwritten, a file of the user may not.
    sandbox.run([OsStr::new("duplicates"), OsStr::new("--html"), page.as_os_str()]).exits(0);
    fs::write(&page, "mine").unwrap();
    sandbox.run([OsStr::new("duplicates"), OsStr::new("--html"), page.as_os_str()]).exits(2);
    assert_eq!(fs::read_to_string(&page).unwrap(), "mine");

    let csv = sandbox.run(["duplicates", "--csv"]).exits(0);
    let mut reader = csv::Reader::from_reader(csv.stdout.as_slice());
    let head = reader.headers().unwrap().clone();
    assert_eq!(head.iter().take(4).collect::<Vec<_>>(), ["group", "kind", "keep", "path"]);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let paths: BTreeSet<&str> = rows.iter().map(|row| &row[3]).collect();
    let expected = ["cat.jpg", hostile.as_str(), "turned.jpg"].map(|name| sandbox.photo(name));
    assert_eq!(paths, expected.iter().map(|path| path.to_str().unwrap()).collect());
    assert_eq!(rows.iter().filter(|row| &row[2] == "true").count(), 1);

    let shown = foreign(&on_a_terminal(&sandbox, &[OsStr::new("duplicates")], false), true);
    assert!(shown.contains("keep") && shown.contains("onerror"), "{shown}");
    assert!(!shown.chars().any(is_control), "{shown:?}");
    let piped = sandbox.run(["duplicates"]).exits(0);
    assert!(piped.text().lines().next().unwrap().starts_with("1\tkeep\t/"), "{piped}");
}

#[test]
fn an_empty_or_missing_library_says_so() {
    let sandbox = Sandbox::new();
    sandbox.run(["duplicates"]).exits(3);
    sandbox.index().exits(0);
    sandbox.run(["duplicates", "--json"]).exits(1);
}

#[test]
fn a_copy_that_lost_its_colour_or_its_tones_is_not_the_one_to_keep() {
    let sandbox = Sandbox::with_photos(&["fish-1", "lemur"]);
    for (name, changed) in [("fish-1", "fish-grey"), ("lemur", "lemur-dark")] {
        let mut picture = picture(name);
        for pixel in picture.pixels_mut() {
            let [red, green, blue] = pixel.0;
            let grey = ((u32::from(red) + u32::from(green) + u32::from(blue)) / 3) as u8;
            pixel.0 = if name == "fish-1" { [grey; 3] } else { pixel.0.map(|value| value / 4) };
        }
        let path = sandbox.photo(format!("{changed}.jpg"));
        save(picture, &path);
        // All else would speak for the copy.
        date(&path, 1);
        date(&sandbox.photo(format!("{name}.jpg")), 100);
    }
    sandbox.index().exits(0);
    let found = sandbox.run(["duplicates", "--json"]).exits(0);
    let mut kept: Vec<String> = groups(&found).into_iter().map(|group| group[0].clone()).collect();
    kept.sort();
    assert_eq!(kept, ["fish-1.jpg", "lemur.jpg"]);
    let said = sandbox.run(["duplicates"]).exits(0).text();
    assert!(said.contains("less colour") && said.contains("fewer tones") && said.contains("in colour"), "{said}");
}

#[test]
fn a_raw_file_is_kept_and_what_the_camera_wrote_beside_it_is_no_copy() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    let raw = fs::read(fixture("formats/raw/owl.nef")).unwrap();
    fs::write(sandbox.photo("DSC_1.NEF"), &raw).unwrap();
    fs::copy(fixture("photos/owl.jpg"), sandbox.photo("DSC_1.JPG")).unwrap();
    sandbox.index().exits(0);
    assert_eq!(groups(&sandbox.run(["duplicates", "--json"])), Vec::<Vec<String>>::new());
    // The same elsewhere is one.
    fs::create_dir(sandbox.photo("sent")).unwrap();
    fs::copy(fixture("photos/owl.jpg"), sandbox.photo("sent/owl.jpg")).unwrap();
    let other = image::open(fixture("photos/owl.jpg")).unwrap().thumbnail(400, 400);
    other.save(sandbox.photo("small.png")).unwrap();
    // Equal previews and sizes, but other values of the sensor: only all bytes tell.
    let mut damaged = raw.clone();
    let sensor = raw.windows(256).position(|bytes| bytes.iter().enumerate().all(|(n, byte)| n == usize::from(*byte)));
    damaged[sensor.unwrap()] ^= 1;
    fs::write(sandbox.photo("damaged.nef"), &damaged).unwrap();
    fs::write(sandbox.photo("second.nef"), &raw).unwrap();
    sandbox.index().exits(0);
    let mut exact = groups(&sandbox.run(["duplicates", "--exact", "--json"]));
    exact.iter_mut().for_each(|group| group.sort());
    exact.sort();
    assert_eq!(exact, [["DSC_1.JPG", "owl.jpg"], ["DSC_1.NEF", "second.nef"]]);
    let near = groups(&sandbox.run(["duplicates", "--json"]));
    let owl = near.iter().find(|group| group.contains(&"small.png".to_owned())).unwrap();
    assert!(owl[0].to_lowercase().ends_with(".nef") && !owl.contains(&"DSC_1.JPG".to_owned()), "{owl:?}");
}
