//! Decoding a large JPEG at a reduced size must not change what the models see.

use image::imageops::FilterType;
use rayon::prelude::*;
use snapseek::model::dual_encoder::DualEncoder;
use snapseek::model::{Device, Embed, Starter, TowerBits};
use snapseek::photo::{DecodeLimits, decode};
use std::path::Path;

const LEAST: f32 = 0.995;

/// The photo enlarged to 12 megapixels, as a JPEG.
fn enlarge(path: &Path) -> Vec<u8> {
    let photo = image::open(path).unwrap().into_rgb8();
    let scale = (12e6 / f64::from(photo.width() * photo.height())).sqrt();
    let side = |n: u32| (f64::from(n) * scale).round() as u32;
    let large = image::imageops::resize(&photo, side(photo.width()), side(photo.height()), FilterType::CatmullRom);
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 90).encode_image(&large).unwrap();
    jpeg
}

#[test]
fn scaled_decoding_keeps_the_embedding_of_every_fixture_photo() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let clip = DualEncoder::open(&root.join("reference/clip-random"), Device::Cpu, TowerBits::Full, None).unwrap();
    let starter = Starter::built_in().unwrap();
    let models: [(&str, &dyn Embed); 2] = [("clip-random", &clip), ("starter", &starter)];
    let photos: Vec<_> = std::fs::read_dir(root.join("photos")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let photos: Vec<_> = photos.iter().filter(|path| path.extension().is_some_and(|e| e == "jpg")).collect();
    assert_eq!(photos.len(), 99);
    let limits = DecodeLimits::default();
    let cosines: Vec<[f32; 2]> = photos
        .par_iter()
        .map(|path| {
            let jpeg = enlarge(path);
            let full = decode(&jpeg, None, &limits).unwrap().picture;
            models.map(|(_, model)| {
                let target = 2 * model.image_size();
                let small = decode(&jpeg, Some(target), &limits).unwrap().picture;
                assert!(small.width < full.width && small.width.min(small.height) >= target, "{}", path.display());
                let pixels = [model.prepare(&full).unwrap(), model.prepare(&small).unwrap()];
                let embeddings = model.embed_pixels(&pixels).unwrap();
                let cosine: f32 = embeddings[0].vector.iter().zip(&embeddings[1].vector).map(|(a, b)| a * b).sum();
                cosine
            })
        })
        .collect();
    for (n, (model_name, _)) in models.iter().enumerate() {
        let (path, lowest) =
            photos.iter().zip(&cosines).map(|(path, c)| (path, c[n])).min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        println!("{model_name}: lowest cosine of 99 photos at 12 megapixels: {lowest:.5} ({})", path.display());
        assert!(lowest >= LEAST, "{model_name} {}: cosine {lowest}", path.display());
    }
}
