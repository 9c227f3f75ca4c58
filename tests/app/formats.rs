//! One photo in every format, as other programs write it, means what the photo means.

use snapseek::model::Embed;
use snapseek::model::starter::Starter;
use snapseek::photo::identity::outline;
use snapseek::photo::{DecodeLimits, DecodedPhoto, ErrorKind, FORMATS, FileMetadata, decode};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn photo(path: &Path, target: Option<u32>) -> DecodedPhoto {
    let limits = DecodeLimits::default();
    let read = snapseek::photo::read(path, &limits).and_then(|bytes| decode(&bytes, target, &limits));
    read.unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// The starter's embedding.
fn embedding(starter: &Starter, path: &Path) -> Vec<f32> {
    let photo = photo(path, Some(2 * starter.image_size()));
    let pixels = starter.prepare(&photo.picture).unwrap();
    starter.embed_pixels(&[pixels]).unwrap().remove(0).vector
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn a_photo_means_the_same_in_every_format() {
    let starter = Starter::built_in().unwrap();
    let known = |name: &str| embedding(&starter, &fixture(name));
    let owl = known("photos/owl.jpg");
    let [small, grey, alpha, square] =
        ["", "-grey", "-alpha", "-square"].map(|kind| known(&format!("formats/small{kind}.png")));
    let mut formats = BTreeSet::new();
    for entry in fs::read_dir(fixture("formats")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() || name.ends_with(".py") || (!cfg!(feature = "heic") && name.ends_with(".heic")) {
            continue;
        }
        let (what, least) = match name {
            "orientation-5.avif" | "orientation-6.avif" => (&owl, 0.97),
            _ if name.starts_with("orientation") && name.ends_with(".jxl") => (&small, 0.94),
            _ if name.starts_with("orientation") && name.ends_with(".jp2") => (&owl, 0.965),
            _ if !name.starts_with("small") => (&owl, 0.98),
            // The edges of the alpha are coded with losses, too.
            _ if name.contains("alpha") => (&alpha, 0.96),
            _ if name.contains("grey") => (&grey, 0.97),
            _ if name.contains("square") => (&square, 0.98),
            // 256 colours.
            "small.apng" | "small-palette.tga" => (&small, 0.92),
            _ => (&small, 0.98),
        };
        let cosine = cosine(&embedding(&starter, &path), what);
        assert!(cosine >= least, "{name}: {cosine}");
        formats.insert(photo(&path, None).facts.format);
    }
    // ffmpeg reads videos.
    let pictures = FORMATS.iter().map(|format| format.name).filter(|name| *name != "video");
    let missing: Vec<_> = pictures.filter(|name| !formats.contains(name)).collect();
    // These, and JPEG, have other tests; nothing here writes OpenEXR.
    assert!(
        missing.iter().all(|name| ["webp", "tiff", "gif", "bmp", "raw", "exr", "heic"].contains(name)),
        "{missing:?}"
    );
}

/// A thumbnail stands for the picture where it has the pixels that are needed.
#[cfg(feature = "heic")]
#[test]
fn a_large_thumbnail_is_decoded_instead_of_the_picture() {
    let starter = Starter::built_in().unwrap();
    let path = fixture("formats/owl-thumbnail.heic");
    for (target, size) in [(None, (448, 296)), (Some(149), (448, 296)), (Some(148), (224, 148))] {
        let decoded = photo(&path, target);
        assert_eq!((decoded.picture.width, decoded.picture.height), size, "{target:?}");
        assert_eq!((decoded.facts.width, decoded.facts.height), (448, 296), "{target:?}");
        let pixels = starter.prepare(&decoded.picture).unwrap();
        let vector = starter.embed_pixels(&[pixels]).unwrap().remove(0).vector;
        let cosine = cosine(&vector, &embedding(&starter, &fixture("photos/owl.jpg")));
        assert!(cosine > if size.0 == 448 { 0.98 } else { 0.9 }, "{target:?}: {cosine}");
    }
}

/// What a file says about its picture.
fn said(path: &Path) -> FileMetadata {
    let bytes = snapseek::photo::read(path, &DecodeLimits::default()).unwrap();
    FileMetadata::of(&outline(&bytes).statements)
}

/// Not only alike: the corners of the picture are where they belong.
#[test]
fn every_orientation_is_turned_upright_in_every_container() {
    let (large, small) = ((448, 299), (224, 150));
    for (name, size) in [
        ("heic", large),
        ("avif", large),
        ("jp2", large),
        ("jxl", small),
        ("raw/nef", small),
        ("raw/raf", small),
        ("raw/cr3", small),
    ] {
        let (folder, ending) = name.rsplit_once('/').unwrap_or(("", name));
        if ending == "heic" && !cfg!(feature = "heic") {
            continue;
        }
        let path = |n: u8| fixture("formats").join(folder).join(format!("orientation-{n}.{ending}"));
        let of = |n: u8| photo(&path(n), None);
        let upright = of(1).picture;
        assert_eq!(said(&path(1)).taken.as_deref(), Some("2019-06-30T12:13:14"), "{ending}");
        for n in 2..=8 {
            let DecodedPhoto { picture, facts, .. } = of(n);
            assert_eq!((facts.width, facts.height), size, "{n}.{ending}");
            let differences = picture.data.iter().zip(&upright.data).map(|(a, b)| u64::from(a.abs_diff(*b)));
            let mean = differences.sum::<u64>() as f64 / upright.data.len() as f64;
            assert!(mean < 4.0, "{n}.{ending}: {mean}");
        }
    }
}

/// Stand-ins for what cameras write: the preview is what is seen, and they say when and by what they were taken.
#[test]
fn raw_files_show_their_preview() {
    let starter = Starter::built_in().unwrap();
    let owl = embedding(&starter, &fixture("photos/owl.jpg"));
    let mut tried = 0;
    for entry in fs::read_dir(fixture("formats/raw")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.starts_with("owl") {
            continue;
        }
        let facts = photo(&path, None).facts;
        assert_eq!((facts.format, facts.width, facts.height, facts.remark), ("raw", 448, 299, None), "{name}");
        let cosine = cosine(&embedding(&starter, &path), &owl);
        assert!(cosine >= 0.98, "{name}: {cosine}");
        // What it says of itself is not read of Sigma's.
        if !name.ends_with("x3f") {
            let said = said(&path);
            assert_eq!(said.taken.as_deref(), Some("2019-06-30T12:13:14"), "{name}");
            assert_eq!(said.camera.as_deref(), Some("Maker Model 5"), "{name}");
        }
        tried += 1;
    }
    assert!(tried > 12, "{tried}");
    let nothing = snapseek::photo::read(&fixture("formats/raw/nothing.nef"), &DecodeLimits::default()).unwrap_err();
    assert!(nothing.kind == ErrorKind::Unsupported && nothing.message.contains("without a preview"), "{nothing}");
}

/// Scanners, fax machines and other programs write TIFFs in many ways.
#[test]
fn tiffs_of_every_kind_show_the_same_pixels() {
    let mut tried = 0;
    for entry in fs::read_dir(fixture("formats/tiff")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(name) = name.strip_suffix(".tif") else { continue };
        let (shown, kind) = name.split_once('-').unwrap();
        let most = match kind {
            // With losses.
            _ if kind.contains("jpeg") || kind.starts_with("ycbcr") => 4.0,
            "palette" => 2.0,
            "2" => 20.0,
            "4" => 5.0,
            // Of no certain range: nearly the brightest is white.
            _ if kind.starts_with("int") || kind.starts_with("uint32") => 8.0,
            "float-255" => 8.0,
            _ => 0.6,
        };
        let (tiff, png) = (photo(&path, None), photo(&fixture(&format!("formats/tiff/{shown}.png")), None));
        assert_eq!((tiff.facts.width, tiff.facts.remark), (png.facts.width, None), "{name}");
        let differences = tiff.picture.data.iter().zip(&png.picture.data).map(|(a, b)| u64::from(a.abs_diff(*b)));
        let mean = differences.sum::<u64>() as f64 / png.picture.data.len() as f64;
        println!("{name}: {mean:.2}");
        assert!(mean <= most, "{name}: {mean}");
        tried += 1;
    }
    assert!(tried > 50, "{tried}");
}

/// Damaged or in odd colours, as other programs show them.
#[test]
fn what_is_there_of_a_damaged_file_is_seen() {
    let starter = Starter::built_in().unwrap();
    let owl = embedding(&starter, &fixture("photos/owl.jpg"));
    let expected = fs::read_to_string(fixture("files/expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    let mut remarks = Vec::new();
    for (name, expected) in expected.as_object().unwrap() {
        let Some(least) = expected.get("picture") else { continue };
        let path = fixture("files").join(name);
        let cosine = cosine(&embedding(&starter, &path), &owl);
        println!("{name}: {cosine} of {least}, {:?}", photo(&path, None).facts.remark);
        assert!(f64::from(cosine) >= least.as_f64().unwrap(), "{name}: {cosine} of {least}");
        remarks.extend(photo(&path, None).facts.remark.map(|_| name.clone()));
    }
    let damaged = expected.as_object().unwrap().keys().filter(|name| ["08", "09", "10"].contains(&&name[..2]));
    assert_eq!(remarks, damaged.cloned().collect::<Vec<_>>());
}

#[test]
fn of_a_cut_file_the_beginning_is_seen() {
    let as_gif = {
        let mut out = std::io::Cursor::new(Vec::new());
        let owl = image::open(fixture("formats/small.png")).unwrap();
        owl.write_to(&mut out, image::ImageFormat::Gif).unwrap();
        out.into_inner()
    };
    let read = |name: &str| fs::read(fixture("formats").join(name)).unwrap();
    for (name, bytes) in [("ppm", read("small.ppm")), ("pgm", read("small-grey.pgm")), ("gif", as_gif)] {
        let cut = decode(&bytes[..bytes.len() * 3 / 5], None, &DecodeLimits::default());
        let cut = cut.unwrap_or_else(|error| panic!("{name}: {error}"));
        let remark = cut.facts.remark.unwrap();
        let missing = remark.strip_prefix("the lower ").and_then(|rest| rest.split(' ').next()?.parse::<u32>().ok());
        assert!(missing.is_some_and(|percent| (20..60).contains(&percent)), "{name}: {remark}");
        assert!(decode(&bytes[..bytes.len() / 20], None, &DecodeLimits::default()).is_err(), "{name}");
    }
}

#[test]
fn the_readme_lists_every_format() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let table = readme.lines().skip_while(|line| !line.starts_with("| format |")).skip(2);
    let rows: Vec<Vec<&str>> = table
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').collect())
        .collect();
    let column = |n: usize, apart: &str| -> Vec<String> {
        let words =
            rows.iter().flat_map(|row| row[n].split(apart)).map(|word| word.trim_matches([' ', '`', '.']).to_owned());
        words.filter(|word| !word.is_empty()).collect()
    };
    let sorted = |mut words: Vec<String>| {
        words.sort();
        words
    };
    let titles = FORMATS.iter().map(|format| format.title.to_owned()).collect();
    assert_eq!(sorted(column(0, ",")), sorted(titles));
    let endings = FORMATS.iter().flat_map(|format| format.endings).map(|ending| (*ending).to_owned()).collect();
    assert_eq!(sorted(column(1, " ")), sorted(endings));
}
