//! What people wrote on their photos is found, shown with its source, and follows its files without a model.

use crate::support::{Sandbox, file_name, fixture};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A sidecar with these properties.
pub(crate) fn xmp(inside: &str) -> String {
    format!(
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
         <rdf:Description xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:xmp='http://ns.adobe.com/xap/1.0/'
         xmlns:exif='http://ns.adobe.com/exif/1.0/' xmlns:photoshop='http://ns.adobe.com/photoshop/1.0/'
         xmlns:lr='http://ns.adobe.com/lightroom/1.0/' xmlns:ext='http://iptc.org/std/Iptc4xmpExt/2008-02-29/'>{inside}
         </rdf:Description></rdf:RDF></x:xmpmeta>"
    )
}

/// A property with a list of values.
pub(crate) fn list(property: &str, items: &[&str]) -> String {
    let items: String = items.iter().map(|item| format!("<rdf:li>{item}</rdf:li>")).collect();
    format!("<{property}><rdf:Bag>{items}</rdf:Bag></{property}>")
}

fn one(property: &str, value: &str) -> String {
    format!("<{property}>{value}</{property}>")
}

/// A library of a family: what they wrote, each photo with a sidecar.
fn family() -> Sandbox {
    let names = [
        "cat",
        "dog",
        "baseball",
        "bison",
        "cow",
        "crab",
        "owl",
        "duck",
        "fish-1",
        "eiffel-tower",
        "colosseum",
        "cup",
        "chair",
        "bulb",
        "bucket",
        "giraffe",
        "hammer-5",
        "moose",
        "jaguar",
        "castle",
        "schwerin-palace",
        "dam-1",
    ];
    let names: Vec<&str> = names.into_iter().filter(|name| fixture(&format!("photos/{name}.jpg")).is_file()).collect();
    let sandbox = Sandbox::with_photos(&names);
    let write = |name: &str, inside: &[String]| fs::write(sandbox.photo(name), xmp(&inside.concat())).unwrap();
    write(
        "cup.jpg.xmp",
        &[
            one("dc:title", "Familie am Strand"),
            list("dc:subject", &["Familie", "Sommer"]),
            list("lr:hierarchicalSubject", &["Orte|Niederlande|Zandvoort"]),
            list("ext:PersonInImage", &["Anna Berg", "Ben Berg"]),
            one("exif:DateTimeOriginal", "2019-07-14T12:00:00+02:00"),
            one("exif:GPSLatitude", "52,22.2N") + &one("exif:GPSLongitude", "4,31.8E"),
            one("xmp:Rating", "5"),
        ],
    );
    write(
        "chair.xmp",
        &[
            one("dc:description", "Oma liest im Strandkorb"),
            list("dc:subject", &["Familie"]),
            one("photoshop:City", "Zandvoort") + &one("photoshop:Country", "Netherlands"),
            list("ext:PersonInImage", &["Oma Gerda"]),
            one("exif:DateTimeOriginal", "2019-07-15T18:30:00+02:00"),
            one("xmp:Rating", "3"),
        ],
    );
    write(
        "bulb.jpg.xmp",
        &[
            one("dc:title", "Lissabon bei Nacht"),
            list("dc:subject", &["Urlaub"]),
            list("ext:PersonInImage", &["Anna Berg"]),
            one("exif:DateTimeOriginal", "2018-05-01T23:10:00+01:00"),
            one("exif:GPSLatitude", "38,43.2N") + &one("exif:GPSLongitude", "9,8.4W"),
        ],
    );
    write("dog.jpg.xmp", &[list("dc:subject", &["Bello", "Familie"]), one("exif:DateTimeOriginal", "2021-01-02")]);
    let takeout = json!({
        "title": "cow.jpg", "description": "Auf dem Deich bei Zandvoort", "photoTakenTime": {"timestamp": "1563100000"},
        "geoData": {"latitude": 52.40, "longitude": 4.55}, "people": [{"name": "Ben Berg"}],
    });
    fs::write(sandbox.photo("cow.jpg.supplemental-metadata.json"), takeout.to_string()).unwrap();
    fs::rename(sandbox.photo("crab.jpg"), sandbox.photo("IMG_20190716_101500.jpg")).unwrap();
    // Its name has the words, but nobody wrote them on it.
    fs::rename(sandbox.photo("duck.jpg"), sandbox.photo("Familie Zandvoort.jpg")).unwrap();
    sandbox.index().exits(0);
    sandbox
}

/// The names of the photos that a query finds, without endings, the best first.
fn found(sandbox: &Sandbox, query: &str) -> Vec<String> {
    let output = sandbox.run(["search", "-n", "all", "--json", "--", query]);
    assert!(matches!(output.code(), 0 | 1), "{query}: {output}");
    let matches = output.lines().into_iter().filter(|hit| hit["match"] == true);
    matches.map(|hit| file_name(&hit["path"]).trim_end_matches(".jpg").to_owned()).collect()
}

#[test]
fn a_person_who_remembers_a_summer_finds_it() {
    let sandbox = family();
    let crab = "IMG_20190716_101500";
    // By words: what a person wrote comes before everything that a model guessed.
    for (query, first) in [
        ("Familie", &["chair", "cup", "dog"][..]),
        ("Zandvoort", &["chair", "cow", "cup"]),
        ("Familie Zandvoort", &["chair", "cup"]),
        ("Anna", &["bulb", "cup"]),
        ("Ben Berg", &["cow", "cup"]),
        ("Oma im Strandkorb", &["chair"]),
        ("Strandkorb", &["chair"]),
        ("Bello", &["dog"]),
        ("\"Familie am Strand\"", &["cup"]),
        ("Niederlande", &["cup"]),
        ("lissabon", &["bulb"]),
        ("deich", &["cow"]),
    ] {
        let hits = found(&sandbox, query);
        let best: BTreeSet<&str> = hits.iter().take(first.len()).map(String::as_str).collect();
        assert_eq!(best, first.iter().copied().collect(), "{query}: {hits:?}");
    }
    // By filters: exactly these.
    for (query, all) in [
        ("keyword:familie", &["chair", "cup", "dog"][..]),
        ("keyword:zandvoort", &["cup"]),
        ("keyword:\"orte niederlande\"", &["cup"]),
        ("person:anna", &["bulb", "cup"]),
        ("person:berg -person:anna", &["cow"]),
        ("has:person", &["bulb", "chair", "cow", "cup"]),
        ("has:keyword -keyword:familie", &["bulb"]),
        ("has:description", &["bulb", "chair", "cow", "cup"]),
        ("title:nacht", &["bulb"]),
        ("description:oma", &["chair"]),
        ("place:netherlands", &["chair", "cow", "cup"]),
        ("place:niederlande", &["chair", "cow", "cup"]),
        ("place:lissabon", &["bulb"]),
        ("place:portugal", &["bulb"]),
        ("near:lisbon,20km", &["bulb"]),
        ("near:52.37,4.53,5km", &["cow", "cup"]),
        ("near:52.37,4.53,500m", &["cup"]),
        ("near:@cup.jpg,5km", &["cow", "cup"]),
        ("-near:@cup.jpg,5km has:place", &["bulb", "chair"]),
        ("around:@cup.jpg,31h", &["chair", "cow", "cup"]),
        ("around:@cup.jpg,3h", &["cow", "cup"]),
        ("taken:2019-07", &["chair", "cow", "cup", crab]),
        ("taken:2019-07-16", &[crab]),
        ("keyword:familie taken:2019", &["chair", "cup"]),
        ("rating:>=4 keyword:familie", &["cup"]),
        ("has:date", &["bulb", "chair", "cow", "cup", "dog", crab]),
    ] {
        let hits: BTreeSet<String> = found(&sandbox, query).into_iter().collect();
        assert_eq!(hits, all.iter().map(|name| (*name).to_owned()).collect(), "{query}");
    }
    // The time of a file counts only if it is asked for.
    let this_year = "taken:~2024..";
    assert!(found(&sandbox, this_year).contains(&"owl".to_owned()));
    assert!(!found(&sandbox, "taken:2024..").contains(&"owl".to_owned()));
    let hit = |query: &str| sandbox.run(["search", query, "--json"]).exits(0).line();
    assert_eq!(hit("path:owl")["taken_from"], "modified");
    assert_eq!(hit("taken:2019-07-16")["taken_from"], "file-name");
    let chair = hit("person:oma");
    assert_eq!((&chair["taken_from"], &chair["taken_offset"]), (&json!("xmp"), &json!("+02:00")));
    assert_eq!((&chair["people"], &chair["keywords"]), (&json!(["Oma Gerda"]), &json!(["Familie"])));
    for (query, message) in [
        ("around:@owl.jpg,2h", "does not say when"),
        ("near:@owl.jpg", "does not say where"),
        ("near:@nowhere.jpg", "does not exist"),
        ("around:owl.jpg", "write a photo and how long"),
        ("near:99,0", "between -90 and 90"),
        ("near:lisbon,5", "write a place and how far"),
        ("near:lisbon,5parsecs", "write a place and how far"),
        ("near:portugal", "no town but a whole region"),
        ("near:xyzzyville", "no place of this name"),
        ("is:nice", "is:portrait"),
        ("iso:many", "write a number"),
    ] {
        let output = sandbox.run(["search", query]).exits(2);
        assert!(output.stderr.contains(message), "{query}: {output}");
    }
}

#[test]
fn sidecars_are_followed_without_a_model() {
    let sandbox = family();
    let unchanged = |summary: &Value| (summary["embedded"].clone(), summary["refreshed"].clone());
    assert_eq!(unchanged(&sandbox.index().exits(0).line()), (json!(0), json!(0)));
    // One that changes, one that comes, one that goes.
    fs::write(sandbox.photo("dog.jpg.xmp"), xmp(&list("dc:subject", &["Rex"]))).unwrap();
    fs::write(sandbox.photo("owl.xmp"), xmp(&(list("dc:subject", &["Uhu"]) + &one("xmp:Rating", "4")))).unwrap();
    fs::remove_file(sandbox.photo("chair.xmp")).unwrap();
    assert_eq!(unchanged(&sandbox.index().exits(0).line()), (json!(0), json!(3)));
    assert_eq!(found(&sandbox, "keyword:rex"), ["dog"]);
    assert_eq!(found(&sandbox, "keyword:uhu rating:4"), ["owl"]);
    assert_eq!(found(&sandbox, "Uhu").first().map(String::as_str), Some("owl"));
    assert!(found(&sandbox, "keyword:bello").is_empty() && found(&sandbox, "person:oma").is_empty());
    // A damaged one says nothing, and stops nothing.
    fs::write(sandbox.photo("owl.xmp"), "<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>").unwrap();
    assert_eq!(unchanged(&sandbox.index().exits(0).line()), (json!(0), json!(1)));
    assert!(found(&sandbox, "keyword:uhu").is_empty());
    assert_eq!(sandbox.run(["check", "--full", "--json"]).exits(0).line()["findings"], json!([]));
    // Photos and what lies beside them are never written to.
    let text = fs::read_to_string(sandbox.photo("owl.xmp")).unwrap();
    assert!(text.starts_with("<!DOCTYPE"));
}

#[test]
fn show_prints_everything_with_its_sources() {
    let sandbox = Sandbox::new();
    for name in ["conflict.jpg", "conflict.xmp"] {
        fs::copy(fixture("metadata/lightroom").join(name), sandbox.photo(name)).unwrap();
    }
    for name in ["control.jpg", "control-json.jpg", "control-json.jpg.json"] {
        fs::copy(fixture("metadata/hostile").join(name), sandbox.photo(name)).unwrap();
    }
    let outside = sandbox.run(["show", "conflict.jpg"]).exits(0).text();
    assert!(outside.contains("not in the library") && outside.contains("(not used: iptc)"), "{outside}");
    sandbox.index().exits(0);
    let shown = sandbox.run(["show", "conflict.jpg"]).exits(0).text();
    assert!(shown.contains("(conflict.xmp") && shown.contains("picture"), "{shown}");
    let record = sandbox.run(["show", "conflict.jpg", "--json"]).exits(0).line();
    assert_eq!(record["indexed"], true);
    assert!(record["statements"].as_array().unwrap().len() >= 4, "{record}");
    // Signs that drive a terminal are shown, not obeyed.
    for photo in ["control.jpg", "control-json.jpg"] {
        let output = sandbox.run(["show", photo]).exits(0);
        let unsafe_sign = |c: char| c.is_control() && c != '\n' || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!output.text().chars().any(unsafe_sign), "{output}");
    }
    sandbox.run(["show", "gone.jpg"]).exits(2);
    // A photo that is gone is still known.
    fs::remove_file(sandbox.photo("conflict.jpg")).unwrap();
    assert!(sandbox.run([Path::new("show"), &sandbox.photo("conflict.jpg")]).exits(0).text().contains("picture"));
}
