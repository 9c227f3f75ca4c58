//! Towers in 8 bits beside the same in f32: embeddings, and what is found by them.

use crate::reference::{cosine, decode, strings};
use serde_json::Value;
use snapseek::model::dual_encoder::DualEncoder;
use snapseek::model::{Device, Embed, TowerBits};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

fn fixtures(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// A model in f32 and in 8 bits.
fn both(folder: &Path) -> [DualEncoder; 2] {
    [TowerBits::Full, TowerBits::Eight].map(|bits| DualEncoder::open(folder, Device::Cpu, bits, None).unwrap())
}

fn photos() -> Vec<PathBuf> {
    let mut photos = sorted(&fixtures("photos"));
    photos.retain(|path| path.extension().is_some_and(|ending| ending == "jpg"));
    photos
}

fn vectors(model: &DualEncoder, photos: &[PathBuf]) -> Vec<Vec<f32>> {
    let pixels: Vec<_> = photos.iter().map(|path| decode(path, model)).collect();
    model.embed_pixels(&pixels).unwrap().into_iter().map(|embedding| embedding.vector).collect()
}

/// The least cosine of vectors with their counterparts.
fn least(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert!(!a.is_empty() && a.len() == b.len());
    a.iter().zip(b).map(|(a, b)| cosine(a, b)).fold(1.0, f32::min)
}

/// Every reference with all its texts, and all fixture photos.
#[test]
fn embeddings_in_eight_bits_are_nearly_those_in_full() {
    let families = std::env::var_os("SNAPSEEK_FAMILIES").map_or_else(|| fixtures("reference/families"), PathBuf::from);
    let mut folders = sorted(&families);
    folders.push(fixtures("reference/clip-random"));
    let photos = photos();
    let mut seen = 0;
    for folder in folders.iter().filter(|folder| folder.join("expected.json").is_file()) {
        let expected = json(&folder.join("expected.json"));
        if expected.get("image_model").is_some()
            || DualEncoder::open(folder, Device::Cpu, TowerBits::Full, None).is_err()
        {
            continue;
        }
        let [full, eight] = both(folder);
        let of_photos = least(&vectors(&full, &photos), &vectors(&eight, &photos));
        let texts = strings(&expected["texts"]);
        let embed = |model: &DualEncoder| model.embed_texts(&texts, None).unwrap();
        let of_texts = least(&embed(&full), &embed(&eight));
        println!("{}: photos {of_photos:.5}, texts {of_texts:.5}", folder.display());
        assert!(of_photos >= 0.999 && of_texts >= 0.999, "{}: {of_photos} {of_texts}", folder.display());
        seen += 1;
    }
    assert!(seen > 1);
}

/// The first ten photos of each judged query.
#[test]
fn eight_bits_find_what_full_ones_find() {
    let photos = photos();
    let judged = json(&fixtures("photos/queries.json"));
    let queries: Vec<String> =
        judged.as_array().unwrap().iter().map(|query| query["query"].as_str().unwrap().to_owned()).collect();
    let found = both(&fixtures("reference/clip-random")).map(|model| {
        let vectors = vectors(&model, &photos);
        let texts = model.embed_texts(&queries, None).unwrap();
        let first_ten = |text: &Vec<f32>| -> HashSet<usize> {
            let mut order: Vec<usize> = (0..photos.len()).collect();
            order.sort_by(|a, b| cosine(&vectors[*b], text).total_cmp(&cosine(&vectors[*a], text)));
            order.into_iter().take(10).collect()
        };
        texts.iter().map(first_ten).collect::<Vec<_>>()
    });
    let same: usize = found[0].iter().zip(&found[1]).map(|(full, eight)| full.intersection(eight).count()).sum();
    let share = same as f32 / (10 * queries.len()) as f32;
    println!("of the first ten photos of {} queries, {:.1} % are the same", queries.len(), 100.0 * share);
    assert!(share >= 0.95, "{share}");
}

#[test]
fn what_is_kept_is_used_and_made_again_if_it_is_damaged() {
    let cache = tempfile::tempdir().unwrap();
    let folder = fixtures("reference/clip-random");
    let embed = || {
        let model = DualEncoder::open(&folder, Device::Cpu, TowerBits::Eight, Some(cache.path())).unwrap();
        model.embed_texts(&["a dog".to_owned()], None).unwrap().swap_remove(0)
    };
    let first = embed();
    let kept = sorted(&cache.path().join("towers"));
    // A text needs no vision tower.
    assert_eq!(kept.len(), 1, "{kept:?}");
    let bytes = std::fs::read(&kept[0]).unwrap();
    assert_eq!(embed(), first);
    for damage in [bytes.len() / 2, bytes.len() - 1, 9] {
        let mut damaged = bytes.clone();
        damaged[damage] ^= 1;
        std::fs::write(&kept[0], &damaged).unwrap();
        assert_eq!(embed(), first, "{damage}");
        assert_eq!(std::fs::read(&kept[0]).unwrap(), bytes, "{damage}");
    }
    std::fs::write(&kept[0], &bytes[..bytes.len() / 3]).unwrap();
    assert_eq!(embed(), first);
    assert_eq!(std::fs::read(&kept[0]).unwrap(), bytes);
    // What an earlier release has kept of the same tower goes when it is made anew; what is of others stays.
    let name = kept[0].file_name().unwrap().to_str().unwrap();
    let tower = name.rsplit_once('-').unwrap().0;
    let beside = |name: &str| kept[0].with_file_name(name);
    let names = [format!("{tower}-1.gguf"), format!("{tower}-4000000000.gguf"), format!("x{tower}-1.gguf")];
    names.iter().for_each(|name| std::fs::write(beside(name), b"kept").unwrap());
    std::fs::remove_file(&kept[0]).unwrap();
    assert_eq!(embed(), first);
    assert_eq!(names.map(|name| beside(&name).exists()), [false, true, true]);
    // Where nothing can be kept, it works all the same.
    let blocked = tempfile::NamedTempFile::new().unwrap();
    let model = DualEncoder::open(&folder, Device::Cpu, TowerBits::Eight, Some(blocked.path())).unwrap();
    assert_eq!(model.embed_texts(&["a dog".to_owned()], None).unwrap()[0], first);
}

/// What f32 shows of a damaged model, 8 bits do not hide.
#[test]
fn weights_that_are_no_numbers_are_refused_in_both() {
    let (folder, damaged) = (fixtures("reference/clip-random"), tempfile::tempdir().unwrap());
    for file in sorted(&folder).iter().filter(|file| file.is_file()) {
        std::fs::copy(file, damaged.path().join(file.file_name().unwrap())).unwrap();
    }
    let weights = damaged.path().join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let (header, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    for layer in ["text_model.encoder.layers.0.mlp.fc1.weight", "vision_model.encoder.layers.0.mlp.fc1.weight"] {
        let info = metadata.info(layer).unwrap();
        let (start, end) = info.data_offsets;
        let width = (end - start) / info.shape.iter().product::<usize>();
        assert_eq!(width, 4, "f32");
        bytes[header + 8 + start..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    }
    std::fs::write(&weights, bytes).unwrap();
    for model in both(damaged.path()) {
        assert!(model.embed_texts(&["a dog".to_owned()], None).is_err());
        let pixels = decode(&photos()[0], &model);
        assert!(model.embed_pixels(&[pixels]).is_err());
    }
}
