//! What a query can express, and what it finds.

use crate::exif::with_exif;
use crate::support::{Sandbox, file_name, finish, fixture};
use serde_json::Value;
use std::fs;

const PHOTOS: [&str; 10] =
    ["cat", "dog", "panda", "giraffe", "giraffe-b", "hammer-5", "hammer-8", "windmill", "igloo", "owl"];

/// The names of the photos that match a query, best first.
fn found(sandbox: &Sandbox, query: &str) -> Vec<String> {
    let output = sandbox.run(["search", "-n", "99", "--json", "--", query]);
    assert!(matches!(output.code(), 0 | 1), "{output}");
    assert_eq!(output.code() == 0, !output.stdout.is_empty(), "1 means nothing found: {output}");
    output.names()
}

/// The same names in alphabetical order.
fn set(sandbox: &Sandbox, query: &str) -> Vec<String> {
    let mut names = found(sandbox, query);
    names.sort();
    names
}

/// The place of a photo in the ranking of a query, from zero.
fn place(sandbox: &Sandbox, query: &str, name: &str) -> usize {
    sandbox.ranking(query).iter().position(|(found, _)| found == name).unwrap()
}

#[test]
fn a_query_that_begins_with_a_filter_is_told_apart_from_options() {
    let sandbox = Sandbox::indexed(&["cat", "dog"]);
    for query in ["-tag:cat", "-has:caption", "-night castle"] {
        let refused = sandbox.run(["search", query]).exits(2);
        assert!(refused.stderr.contains(&format!("write -- before it: snapseek search -- {query:?}")), "{refused}");
        assert!(!refused.stderr.contains("tip:"), "{refused}");
        assert!([0, 1].contains(&sandbox.run(["search", "--", query]).code()), "{query}");
    }
    assert!(sandbox.run(["search", "-h"]).exits(0).text().contains("Usage"));
}

#[test]
fn a_photo_finds_its_like_whether_it_is_in_the_library_or_not() {
    let sandbox = Sandbox::indexed(&PHOTOS);
    let inside = sandbox.run(["similar", "hammer-5.jpg", "--json"]).exits(0).lines();
    assert_eq!(inside.len(), 9, "all but itself: {inside:?}");
    assert!(inside[0]["path"].as_str().unwrap().ends_with("/hammer-8.jpg"));
    let scores: Vec<f64> = inside.iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b) && scores[0] <= 1.0, "{scores:?}");

    let stranger = sandbox.path("stranger.png");
    image::open(fixture("photos/hammer-5.jpg"))
        .unwrap()
        .resize(300, 300, image::imageops::FilterType::Triangle)
        .save(&stranger)
        .unwrap();
    let outside = sandbox.run(["similar", stranger.to_str().unwrap(), "--json", "-n", "2"]).exits(0);
    assert_eq!(outside.names(), ["hammer-5.jpg", "hammer-8.jpg"]);
    assert_eq!(sandbox.status()["photos"], 10, "asking about a photo does not add it");

    sandbox.run(["similar", "gone.jpg"]).exits(2);
}

#[test]
fn pictures_and_words_are_added_and_subtracted() {
    let sandbox = Sandbox::indexed(&PHOTOS);
    assert_eq!(found(&sandbox, "@dog.jpg")[0], "dog.jpg");
    assert_eq!(place(&sandbox, "@hammer-5.jpg", "hammer-8.jpg"), 1);
    assert!(place(&sandbox, "@hammer-5.jpg + 4*owl", "owl.jpg") < place(&sandbox, "@hammer-5.jpg", "owl.jpg"));
    assert_eq!(place(&sandbox, "@dog.jpg - cat", "cat.jpg"), 9, "what is subtracted goes to the end");
    assert_eq!(place(&sandbox, "an animal - @cat.jpg", "cat.jpg"), 9);
    let animals = "a tame animal at home";
    assert!(place(&sandbox, &format!("{animals} -5*cat"), "cat.jpg") > place(&sandbox, animals, "cat.jpg"));

    let stranger = sandbox.path("a stranger.jpg");
    fs::copy(fixture("photos/chair.jpg"), &stranger).unwrap();
    let query = format!("@\"{}\" + 3*giraffe", stranger.display());
    assert!(
        found(&sandbox, &query)[0].starts_with("giraffe"),
        "a picture outside the library, with a blank in its name"
    );
    sandbox.run(["search", "@gone.jpg"]).exits(2);
    let nothing = sandbox.run(["search", "@dog.jpg -@dog.jpg"]).exits(5);
    assert!(nothing.stderr.contains("cancel"), "{nothing}");
}

#[test]
fn filters_leave_only_what_they_allow() {
    let sandbox = Sandbox::with_photos(&["cat", "dog"]);
    let put = |name: &str, bytes: &[u8]| {
        let path = sandbox.photo(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let photo = |name: &str| fs::read(fixture(&format!("photos/{name}.jpg"))).unwrap();
    put("2019/trip/owl.jpg", &with_exif(&photo("owl"), b"Canon EOS 80D", b"2019:07:14 12:00:00"));
    put("2019/igloo.JPG", &with_exif(&photo("igloo"), b"NIKON D70", b"2019:12:31 23:59:59"));
    put("2020/panda.jpeg", &with_exif(&photo("panda"), b"Canon PowerShot", b"2020:01:01 00:00:00"));
    image::RgbImage::from_pixel(2000, 50, [200, 30, 30].into()).save(sandbox.photo("banner.png")).unwrap();
    image::RgbImage::from_pixel(40, 900, [30, 30, 200].into()).save(sandbox.photo("2020/ribbon.bmp")).unwrap();
    sandbox.index().exits(0);
    let hits = sandbox.run(["search", "path:owl", "--json"]).exits(0).line();
    assert_eq!((&hits["camera"], &hits["taken"]), (&"Canon EOS 80D".into(), &"2019-07-14T12:00:00".into()));
    let size = fs::metadata(sandbox.photo("2020/ribbon.bmp")).unwrap().len();

    let (cat, dog, owl, igloo, panda) = ("cat.jpg", "dog.jpg", "owl.jpg", "igloo.JPG", "panda.jpeg");
    let (banner, ribbon) = ("banner.png", "ribbon.bmp");
    let checks: &[(&str, &[&str])] = &[
        ("path:2019", &[igloo, owl]),
        ("path:TRIP", &[owl]),
        ("path:20 -path:2019", &[panda, ribbon]),
        ("ext:jpg", &[cat, dog, igloo, owl]),
        ("ext:png,.BMP", &[banner, ribbon]),
        ("-ext:jpg,jpeg", &[banner, ribbon]),
        ("wider:2000", &[banner]),
        ("wider:2001", &[]),
        ("taller:900 ext:bmp", &[ribbon]),
        ("-wider:41", &[ribbon]),
        (&format!("size:{size}..{size}"), &[ribbon]),
        (&format!("size:>{} ext:bmp", size - 1), &[ribbon]),
        (&format!("size:>{size} ext:bmp"), &[]),
        (&format!("size:<{size} ext:bmp"), &[]),
        ("camera:canon", &[owl, panda]),
        ("camera:\"eos 80d\"", &[owl]),
        ("-camera:canon", &[banner, cat, dog, igloo, ribbon]),
        ("taken:2019", &[igloo, owl]),
        ("taken:2019-07", &[owl]),
        ("taken:2019-07-14", &[owl]),
        ("taken:2019-08..2020-01", &[igloo, panda]),
        ("taken:2020..", &[panda, ribbon]),
        ("taken:..2019-12-31", &[igloo, owl]),
        ("taken:2019-07-15..2019-11", &[]),
        ("path:2019 camera:canon taken:2019", &[owl]),
        ("tag:owl", &[owl]),
        ("tag:\"giant panda\"", &[panda]),
        ("tag:pand", &[]),
    ];
    for (query, expected) in checks {
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(set(&sandbox, query), expected, "{query}");
    }
    // Next to words, a filter only removes photos.
    let ranking = sandbox.ranking("an owl path:2019");
    assert_eq!(ranking.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), [owl, igloo]);
}

#[test]
fn words_meaning_and_phrases() {
    let sandbox = Sandbox::with_photos(&["panda", "dog", "owl"]);
    fs::copy(fixture("photos/red-panda.jpg"), sandbox.photo("at the zoo.jpg")).unwrap();
    fs::copy(fixture("photos/igloo.jpg"), sandbox.photo("Giraffes of Malmö.jpg")).unwrap();
    sandbox.index().exits(0);
    let by = |by: &str, query: &str| sandbox.run(["search", query, "--by", by, "-n", "99", "--all", "--json"]).lines();
    let names = |hits: &[Value]| hits.iter().map(|hit| crate::support::file_name(&hit["path"])).collect::<Vec<_>>();
    let all_are = |hits: &[Value], kind: &str| hits.iter().all(|hit| hit["score_kind"] == kind);

    // Search by words covers names and tags, stemmed and without accents, and nothing else.
    let words = by("words", "giraffe malmo");
    assert_eq!(names(&words), ["Giraffes of Malmö.jpg"]);
    assert!(all_are(&words, "bm25") && words[0]["cosine"].is_null(), "{words:?}");
    assert!(by("words", "hound").is_empty());
    // Search by meaning covers the pictures and nothing else.
    let meaning = by("meaning", "a giraffe");
    assert_eq!(meaning.len(), 5);
    assert!(all_are(&meaning, "cosine") && meaning.iter().all(|hit| hit["bm25"].is_null()), "{meaning:?}");
    assert_ne!(names(&meaning)[0], "Giraffes of Malmö.jpg");
    assert_eq!(names(&by("meaning", "a snow hut"))[0], "Giraffes of Malmö.jpg");
    // Search by both lists what either finds.
    let both = by("both", "giraffes");
    assert_eq!((both.len(), names(&both)[0].as_str()), (5, "Giraffes of Malmö.jpg"));
    assert!(all_are(&both, "reciprocal-rank"));

    assert_eq!(found(&sandbox, "\"giant panda\""), ["panda.jpg"]);
    assert!(found(&sandbox, "\"panda giant\"").is_empty(), "in this order");
    assert_eq!(found(&sandbox, "\"the zoo\""), ["at the zoo.jpg"]);
    assert_eq!(set(&sandbox, "tag:panda -\"giant panda\""), ["at the zoo.jpg"]);
}

#[test]
fn near_identical_shots_fold_into_the_best_of_them() {
    let sandbox = Sandbox::with_photos(&["dog", "owl", "giraffe", "giraffe-b"]);
    let dog = image::open(fixture("photos/dog.jpg")).unwrap();
    dog.resize(400, 400, image::imageops::FilterType::CatmullRom).save(sandbox.photo("dog-small.png")).unwrap();
    dog.resize(320, 320, image::imageops::FilterType::CatmullRom).save(sandbox.photo("dog-smaller.jpg")).unwrap();
    sandbox.index().exits(0);
    let search = |unique: &[&str]| sandbox.run(["search", "a dog", "--all", "--json"].iter().chain(unique)).lines();
    let dogs = |hits: &[Value]| hits.iter().filter(|hit| hit["path"].as_str().unwrap().contains("/dog")).count();
    let plain = search(&[]);
    assert_eq!((plain.len(), dogs(&plain)), (6, 3));
    assert!(plain.iter().all(|hit| hit["folded"] == 0));
    let folded = search(&["--unique"]);
    assert_eq!((folded.len(), dogs(&folded)), (4, 1), "two giraffes are two photos: {folded:?}");
    assert_eq!((&folded[0]["path"], &folded[0]["folded"]), (&plain[0]["path"], &2.into()));
    let ranks: Vec<_> = folded.iter().map(|hit| hit["rank"].as_u64().unwrap()).collect();
    assert_eq!(ranks, [1, 2, 3, 4]);
    assert_eq!(search(&["--unique=-1"]).len(), 1, "everything is near enough");
}

#[test]
fn results_can_be_cut_by_score_and_number() {
    let sandbox = Sandbox::indexed(&PHOTOS);
    let hits = |args: &[&str]| {
        let output = sandbox.run(["search", "a hammer", "--by", "meaning", "--all", "--json"].iter().chain(args));
        output.lines().iter().map(|hit| hit["score"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    let all = hits(&[]);
    assert_eq!(all.len(), 10);
    let bar = (all[3] + all[4]) / 2.0;
    assert_eq!(hits(&["--min-score", &bar.to_string()]), all[..4]);
    assert_eq!(hits(&["-n", "3"]), all[..3]);
    assert!(hits(&["--min-score", "1.01"]).is_empty());
    assert_eq!(hits(&["--min-score", "-1"]), all);
    let similar = sandbox.run(["similar", "hammer-5.jpg", "--min-score", "1.01", "--json"]).exits(1);
    assert!(similar.stdout.is_empty());
}

#[test]
fn what_no_photo_shows_is_not_found() {
    let sandbox = Sandbox::indexed(&PHOTOS);
    assert_eq!(found(&sandbox, "a windmill")[0], "windmill.jpg");
    let none = sandbox.run(["search", "a slice of pizza on a plate", "--json"]).exits(1);
    assert!(none.stdout.is_empty() && none.stderr.contains("--all"), "{none}");
    let rest = sandbox.run(["search", "a slice of pizza on a plate", "--all", "--json"]).exits(1);
    assert_eq!(rest.lines().len(), 10);
    assert!(rest.lines().iter().all(|hit| hit["match"] == false));
}

#[test]
fn the_demo_shows_real_results() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(["demo"]);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = finish(command).exits(0);
    let text = output.text();
    assert!(text.contains("99 embedded"), "{output}");
    for (query, photo) in
        [("a bird with a long beak", "owl.jpg"), ("hand tools", "screw-driver-2.jpg"), ("castle -night", "castle.jpg")]
    {
        let answer = text.split(&format!("$ snapseek search \"{query}\"")).nth(1).unwrap();
        let answer = answer.split("\n$ ").next().unwrap();
        assert!(answer.contains(photo), "{query}: {answer}");
    }
    let giraffe = text.split("giraffe.jpg -n 3").nth(1).unwrap();
    assert!(giraffe.contains("giraffe-b.jpg"), "{giraffe}");
    assert!(!sandbox.library().exists(), "the user's own library is left alone");
    // Outside the project's folder it says what to do.
    sandbox.run(["demo"]).exits(2);
}

#[test]
fn the_name_of_a_file_finds_that_file_first() {
    let sandbox = Sandbox::indexed(&["fish-1", "fish-10", "fish-11", "fish-25", "owl"]);
    for (query, first) in [("fish-10.jpg", "fish-10.jpg"), ("FISH-1.JPG", "fish-1.jpg"), ("fish-25.jpg", "fish-25.jpg")]
    {
        let hits = sandbox.run(["search", query, "--json"]).exits(0).lines();
        assert_eq!((file_name(&hits[0]["path"]).as_str(), &hits[0]["match"]), (first, &true.into()), "{query}");
        assert!(hits.len() > 1, "the others follow");
    }
    // What looks like a name and is none is a query like any other.
    sandbox.run(["search", "no such fish.jpg", "--json"]).exits(0);
}
