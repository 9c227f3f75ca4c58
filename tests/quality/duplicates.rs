//! How well copies of one picture are distinguished from different pictures: precision and recall over pairs, measured
//! with the program on generated variants of the 99 fixture photos.
//!
//! `cargo test --release --test quality -- --nocapture duplicates` prints the figures in docs/figures.md.

use image::imageops::{self, FilterType};
use image::{ImageFormat, RgbImage};
use rayon::prelude::*;
use serde_json::Value;
use snapseek::duplicates::alike::Turns;
use snapseek::duplicates::candidates::{self, TakeFn};
use snapseek::duplicates::look_file::LookFile;
use snapseek::duplicates::looks::{self, Look};
use snapseek_index::Library;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

fn jpeg(picture: &RgbImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(picture).unwrap();
    bytes
}

fn lossless(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn scaled(picture: &RgbImage, by: u32) -> RgbImage {
    imageops::resize(picture, picture.width() / by, picture.height() / by, FilterType::Lanczos3)
}

/// Crops the share `before` of the width at the left and of the height at the top, and `after` at the other sides.
fn cropped(picture: &RgbImage, before: f64, after: f64) -> RgbImage {
    let cut = |length: u32, share: f64| (f64::from(length) * share).round() as u32;
    let (width, height) = picture.dimensions();
    let (left, top) = (cut(width, before), cut(height, before));
    let (right, bottom) = (cut(width, after), cut(height, after));
    imageops::crop_imm(picture, left, top, width - left - right, height - top - bottom).to_image()
}

fn brighter(picture: &RgbImage) -> RgbImage {
    let mut picture = picture.clone();
    picture.iter_mut().for_each(|value| *value = (f32::from(*value) * 1.25).min(255.0) as u8);
    picture
}

fn framed(picture: &RgbImage, shade: u8) -> RgbImage {
    let width = picture.width().max(picture.height()) / 20;
    let size = (picture.width() + 2 * width, picture.height() + 2 * width);
    let mut framed = RgbImage::from_pixel(size.0, size.1, image::Rgb([shade; 3]));
    imageops::replace(&mut framed, picture, width.into(), width.into());
    framed
}

/// The name of a copy, and its bytes.
type Variant = (&'static str, Vec<u8>);

fn variants(original: &Path) -> Vec<Variant> {
    let bytes = std::fs::read(original).unwrap();
    let picture = image::load_from_memory(&bytes).unwrap().into_rgb8();
    vec![
        ("original.jpg", bytes),
        ("resized to 50 %.jpg", jpeg(&scaled(&picture, 2), 85)),
        ("resized to 25 %.jpg", jpeg(&scaled(&picture, 4), 85)),
        ("JPEG 30.jpg", jpeg(&picture, 30)),
        ("JPEG 60.jpg", jpeg(&picture, 60)),
        ("JPEG 95.jpg", jpeg(&picture, 95)),
        ("cropped by 10 % around.jpg", jpeg(&cropped(&picture, 0.05, 0.05), 85)),
        ("cropped by 10 % at a corner.jpg", jpeg(&cropped(&picture, 0.1, 0.0), 85)),
        ("turned right.jpg", jpeg(&imageops::rotate90(&picture), 85)),
        ("turned left.jpg", jpeg(&imageops::rotate270(&picture), 85)),
        ("brighter by 25 %.jpg", jpeg(&brighter(&picture), 85)),
        ("white frame.jpg", jpeg(&framed(&picture, 255), 85)),
        ("black frame.jpg", jpeg(&framed(&picture, 0), 85)),
        ("PNG.png", lossless(&picture, ImageFormat::Png)),
        ("WebP.webp", lossless(&picture, ImageFormat::WebP)),
    ]
}

/// The photo and the variant of a file in the test.
fn parts(path: &str) -> (String, String) {
    let mut parts = Path::new(path).iter().rev().map(|part| part.to_string_lossy().into_owned());
    let variant = parts.next().unwrap();
    (parts.next().unwrap(), variant)
}

#[test]
fn copies_are_told_from_different_photos() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/photos");
    let photos: Vec<PathBuf> = std::fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path()).collect();
    let photos: Vec<&PathBuf> = photos.iter().filter(|path| path.extension().is_some_and(|e| e == "jpg")).collect();
    assert_eq!(photos.len(), 99);
    let names: Vec<&str> = photos
        .par_iter()
        .map(|photo| {
            let to = folder.path().join("photos").join(photo.file_stem().unwrap());
            std::fs::create_dir_all(&to).unwrap();
            let variants = variants(photo);
            variants.iter().for_each(|(name, bytes)| std::fs::write(to.join(name), bytes).unwrap());
            variants.into_iter().map(|(name, _)| name).collect()
        })
        .reduce(Vec::new, |some, others| if some.is_empty() { others } else { some });
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snapseek"));
        command.args(args).args(["--quiet", "--library"]).arg(folder.path().join("library"));
        let output = command.env("XDG_CONFIG_HOME", folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["index", "--model", "starter", folder.path().join("photos").to_str().unwrap()]);

    let (mut right, mut wrong, mut good_choices) = (0, 0, 0);
    let mut with_original: BTreeMap<String, usize> = BTreeMap::new();
    for line in run(&["duplicates", "--json"]).lines() {
        let group: Value = serde_json::from_str(line).unwrap();
        let files = group["files"].as_array().unwrap();
        let members: BTreeSet<_> = files.iter().map(|file| parts(file["path"].as_str().unwrap())).collect();
        assert_eq!(members.len(), files.len(), "a file is listed twice: {line}");
        let pairs = members.iter().enumerate().flat_map(|(n, a)| members.iter().skip(n + 1).map(move |b| (a, b)));
        for ((photo, variant), (other_photo, other)) in pairs {
            if photo == other_photo {
                right += 1;
                // Members are sorted by name, so the original can be on either side.
                let copy = if variant == "original.jpg" { other } else { variant };
                if [variant, other].iter().any(|name| *name == "original.jpg") {
                    *with_original.entry(copy.clone()).or_default() += 1;
                }
            } else {
                wrong += 1;
                println!("wrong: {photo} ({variant}) and {other_photo} ({other})");
            }
        }
        // If the group contains the original, the file to keep must be neither smaller nor framed.
        let kept = parts(files[0]["path"].as_str().unwrap()).1;
        if members.iter().any(|(_, variant)| variant == "original.jpg") {
            good_choices += usize::from(!["resized", "cropped", "frame"].iter().any(|bad| kept.contains(bad)));
        }
    }
    let all = photos.len() * names.len() * (names.len() - 1) / 2;
    let (precision, recall) = (f64::from(right) / f64::from(right + wrong), f64::from(right) / all as f64);
    println!("{} variants of 99 photos: precision {precision:.4}, recall {recall:.4} over {all} pairs", names.len());
    for name in names.iter().skip(1) {
        println!("found with their original, {name}: {} of 99", with_original.get(*name).unwrap_or(&0));
    }
    println!("groups with the original that keep neither a smaller nor a framed copy: {good_choices} of 99");
    assert!(precision >= 0.98 && recall >= 0.95, "precision {precision:.4}, recall {recall:.4}");
    assert!(good_choices >= 95, "{good_choices}");
    graphs_find_what_all_pairs_do(&folder.path().join("library"));
}

/// Of a large library, not all pairs are compared.
fn graphs_find_what_all_pairs_do(library: &Path) {
    let library = Library::open(library).unwrap();
    let photos = library.searcher().unwrap().embedded().unwrap();
    let looks: Vec<Look> = library
        .looks(looks::VERSION, &photos)
        .unwrap()
        .iter()
        .map(|(_, bytes)| Look::from_bytes(bytes).unwrap())
        .collect();
    let mut file = LookFile::new(&std::env::temp_dir()).unwrap();
    file.add(&looks).unwrap();
    // As if no two were near by their embeddings: prints alone must find them.
    let vectors: Vec<&[f32]> = vec![&[0.0]; looks.len()];
    let gather = |each: &dyn Fn(&mut TakeFn<'_>) -> bool| {
        let mut pairs = BTreeMap::new();
        let done = each(&mut |candidates| {
            for candidate in candidates {
                let is_ordered = candidate.first < candidate.second;
                let turns = if is_ordered { candidate.turns } else { candidate.turns.back() };
                let pair = (candidate.first.min(candidate.second), candidate.first.max(candidate.second));
                let known = pairs.entry(pair).or_insert(Turns::NONE);
                *known = known.and(turns);
            }
            Ok(())
        });
        assert!(done);
        pairs
    };
    let all = gather(&|take| candidates::each(&vectors, &file, 0.9, &mut |_, _| true, take).unwrap());
    let found = gather(&|take| candidates::each_by_graph(&file, &[], &mut |_, _| true, take).unwrap());
    // Across tiles, a pair is turned only one way round.
    let has = |pair, turns: &Turns| found.get(pair).is_some_and(|found| found.and(*turns) == *found);
    let kept = all.iter().filter(|(pair, turns)| has(pair, turns)).count();
    println!("candidates by graphs of prints: {kept} of {}", all.len());
    assert!(all.len() > 5_000 && kept * 1_000 >= all.len() * 995, "{kept} of {}", all.len());
    // So graphs find a few that are just about alike.
    let others = found.keys().filter(|pair| !all.contains_key(pair)).count();
    assert!(others * 50 <= all.len(), "{others} other pairs");
}
