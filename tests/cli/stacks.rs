//! Photos that were taken as one are one result.

use crate::exif::with_exif;
use crate::metadata::{list, xmp};
use crate::support::{Sandbox, another, file_name, fixture};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;

/// The file that is shown for each result of a query, and the other files that it stands for.
fn stacks(sandbox: &Sandbox, arguments: &[&str]) -> BTreeSet<(String, Vec<String>)> {
    let arguments: Vec<&str> = ["search", "-n", "all", "--json"].iter().chain(arguments).copied().collect();
    let output = sandbox.run(arguments);
    assert!(matches!(output.code(), 0 | 1), "{output}");
    let also = |hit: &serde_json::Value| hit["also"].as_array().unwrap().iter().map(file_name).collect();
    output.lines().iter().map(|hit| (file_name(&hit["path"]), also(hit))).collect()
}

#[test]
fn what_was_taken_as_one_is_one_result() {
    let sandbox = Sandbox::with_photos(&["cat"]);
    let owl = fs::read(fixture("photos/owl.jpg")).unwrap();
    let dog = fs::read(fixture("photos/dog.jpg")).unwrap();
    let crab = fs::read(fixture("photos/crab.jpg")).unwrap();
    fs::write(sandbox.photo("DSC_1.JPG"), &owl).unwrap();
    fs::copy(fixture("formats/raw/owl.nef"), sandbox.photo("DSC_1.nef")).unwrap();
    fs::write(sandbox.photo("IMG_2.jpg"), another(&dog, 1)).unwrap();
    fs::write(sandbox.photo("IMG_2-edited.jpg"), another(&dog, 2)).unwrap();
    fs::write(
        sandbox.photo("IMG_2.jpg.xmp"),
        xmp(&(list("dc:subject", &["Rex"]) + &list("ext:PersonInImage", &["Anna"]))),
    )
    .unwrap();
    for (n, second) in [(1, "00"), (2, "01"), (3, "03"), (4, "09")] {
        let taken = format!("2020:05:01 10:00:{second}");
        let shot = with_exif(&another(&dog, 10 + n), b"Burst", taken.as_bytes());
        fs::write(sandbox.photo(format!("burst-{n}.jpg")), shot).unwrap();
    }
    // Another camera at the same moment, and another picture by the same one.
    fs::write(sandbox.photo("other.jpg"), with_exif(&another(&dog, 20), b"Other", b"2020:05:01 10:00:00")).unwrap();
    fs::write(sandbox.photo("unlike.jpg"), with_exif(&crab, b"Burst", b"2020:05:01 10:00:04")).unwrap();
    sandbox.index().exits(0);

    let one = |name: &str, also: &[&str]| (name.to_owned(), also.iter().map(|name| (*name).to_owned()).collect());
    let expected = BTreeSet::from([
        one("IMG_2-edited.jpg", &["IMG_2.jpg"]),
        one("burst-1.jpg", &["burst-2.jpg", "burst-3.jpg"]),
        one("burst-4.jpg", &[]),
        one("other.jpg", &[]),
    ]);
    let dogs = stacks(&sandbox, &["a dog"]);
    assert!(expected.is_subset(&dogs), "{dogs:?}");
    assert!(!dogs.iter().any(|(name, _)| name == "IMG_2.jpg" || name == "burst-2.jpg"), "{dogs:?}");
    let owls = stacks(&sandbox, &["path:DSC_1"]);
    assert_eq!(owls.len(), 1, "{owls:?}");
    assert_eq!(stacks(&sandbox, &["--no-stacks", "path:DSC_1"]).len(), 2);
    assert_eq!(stacks(&sandbox, &["ext:nef"]), BTreeSet::from([one("DSC_1.nef", &["DSC_1.JPG"])]));
    assert_eq!(stacks(&sandbox, &["path:IMG_2", "--no-stacks"]).len(), 2);
    assert_eq!(stacks(&sandbox, &["path:IMG_2.jpg"]), BTreeSet::from([one("IMG_2.jpg", &["IMG_2-edited.jpg"])]));

    // A caption of one is shown for all, and one that is gone leaves the others.
    sandbox.run(["caption", "set", "IMG_2.jpg", "our dog Rex"]).exits(0);
    let hit = sandbox.run(["search", "Rex", "--json", "-n", "1"]).exits(0).line();
    assert_eq!((file_name(&hit["path"]).as_str(), &hit["caption"]), ("IMG_2-edited.jpg", &json!("our dog Rex")));
    // So are filters: what one of them has, all have.
    for query in ["caption:rex", "has:caption", "keyword:rex", "has:keyword", "person:anna", "has:person"] {
        assert_eq!(stacks(&sandbox, &[query]), BTreeSet::from([one("IMG_2-edited.jpg", &["IMG_2.jpg"])]), "{query}");
        let others = stacks(&sandbox, &["--no-stacks", "--", &format!("-{query}")]);
        assert!(others.len() == 9 && !others.iter().any(|(name, _)| name.contains("IMG_2")), "{query}: {others:?}");
    }
    fs::remove_file(sandbox.photo("IMG_2-edited.jpg")).unwrap();
    fs::remove_file(sandbox.photo("burst-2.jpg")).unwrap();
    sandbox.index().exits(0);
    let dogs = stacks(&sandbox, &["a dog"]);
    for single in ["IMG_2.jpg", "burst-1.jpg", "burst-3.jpg", "burst-4.jpg"] {
        assert!(dogs.contains(&one(single, &[])), "{single}: {dogs:?}");
    }
    assert_eq!(sandbox.run(["check", "--full", "--json"]).exits(0).line()["findings"], json!([]));
}

#[test]
fn colours_and_shapes_are_found() {
    let sandbox = Sandbox::new();
    for (name, pixel, size) in [("red.png", [200, 20, 30], (90, 30)), ("sky.png", [90, 160, 220], (40, 40))] {
        image::RgbImage::from_pixel(size.0, size.1, image::Rgb(pixel)).save(sandbox.photo(name)).unwrap();
    }
    image::RgbImage::from_pixel(30, 50, image::Rgb([120, 120, 120])).save(sandbox.photo("Screenshot 1.png")).unwrap();
    sandbox.index().exits(0);
    for (query, names) in [
        ("color:red", &["red.png"][..]),
        ("color:blue -color:red", &["sky.png"]),
        ("color:grey", &["Screenshot 1.png"]),
        ("is:panorama", &["red.png"]),
        ("is:square", &["sky.png"]),
        ("is:portrait", &["Screenshot 1.png"]),
        ("is:landscape", &["red.png"]),
        ("is:screenshot", &["Screenshot 1.png"]),
        ("format:png -is:raw -is:video -is:damaged -is:live", &["Screenshot 1.png", "red.png", "sky.png"]),
    ] {
        let found = stacks(&sandbox, &[query]).into_iter().map(|(name, _)| name);
        assert_eq!(found.collect::<Vec<_>>(), names, "{query}");
    }
}
