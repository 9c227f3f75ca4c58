//! One photo in every format, as other programs write it, means what the photo means.

use snapseek::model::Embed;
use snapseek::model::starter::Starter;
use snapseek::photo::{DecodeLimits, DecodedPhoto, FORMATS, decode};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn photo(path: &Path, target: Option<u32>) -> DecodedPhoto {
    decode(&fs::read(path).unwrap(), target, &DecodeLimits::default()).unwrap_or_else(|e| panic!("{path:?}: {e}"))
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
        if name.ends_with(".py") || (!cfg!(feature = "heic") && name.ends_with(".heic")) {
            continue;
        }
        let (what, least) = match name {
            "orientation-5.avif" | "orientation-6.avif" => (&owl, 0.97),
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
    let missing: Vec<_> = FORMATS.iter().map(|format| format.name).filter(|name| !formats.contains(name)).collect();
    // These, and JPEG, have other tests; nothing here writes OpenEXR.
    assert!(missing.iter().all(|name| ["webp", "tiff", "gif", "bmp", "exr", "heic"].contains(name)), "{missing:?}");
}

/// Not only alike: the corners of the picture are where they belong.
#[test]
fn every_orientation_is_turned_upright_in_every_container() {
    for ending in ["heic", "avif", "jp2"] {
        if ending == "heic" && !cfg!(feature = "heic") {
            continue;
        }
        let of = |n: u8| photo(&fixture(&format!("formats/orientation-{n}.{ending}")), None);
        let upright = of(1).picture;
        for n in 2..=8 {
            let DecodedPhoto { picture, facts, .. } = of(n);
            assert_eq!((facts.width, facts.height), (448, 299), "{n}.{ending}");
            let differences = picture.data.iter().zip(&upright.data).map(|(a, b)| u64::from(a.abs_diff(*b)));
            let mean = differences.sum::<u64>() as f64 / upright.data.len() as f64;
            assert!(mean < 4.0, "{n}.{ending}: {mean}");
        }
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
