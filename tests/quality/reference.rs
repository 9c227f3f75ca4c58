//! snapseek's numbers against those of the reference implementations (fixtures/reference).

use candle_core::{Device as CandleDevice, Tensor};
use serde_json::Value;
use snapseek::model::dual_encoder::DualEncoder;
use snapseek::model::{Device, Embed, Pixels, Starter, TowerBits};
use snapseek::photo::{self, DecodeLimits};
use snapseek_index::Classifier;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

fn fixtures(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path)
}

fn expected(folder: &str) -> (HashMap<String, Tensor>, Value) {
    let tensors =
        candle_core::safetensors::load(fixtures(folder).join("expected.safetensors"), &CandleDevice::Cpu).unwrap();
    let json = std::fs::read(fixtures(folder).join("expected.json")).unwrap();
    (tensors, serde_json::from_slice(&json).unwrap())
}

pub(crate) fn rows(tensor: &Tensor) -> Vec<Vec<f32>> {
    tensor.flatten_from(1).unwrap().to_vec2().unwrap()
}

pub(crate) fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
}

pub(crate) fn unit(vector: &[f32]) -> Vec<f32> {
    let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    vector.iter().map(|v| v / norm).collect()
}

pub(crate) fn max_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    unit(a).iter().zip(unit(b)).map(|(a, b)| a * b).sum()
}

fn clip() -> DualEncoder {
    DualEncoder::open(&fixtures("reference/clip-random"), Device::Cpu, TowerBits::Full, None).unwrap()
}

pub(crate) fn decode(path: &Path, model: &dyn Embed) -> Pixels {
    let limits = DecodeLimits::default();
    let photo = photo::decode(&photo::read(path, &limits).unwrap(), Some(2 * model.image_size()), &limits).unwrap();
    model.prepare(&photo.picture).unwrap()
}

/// The file's header says (13, 3, 224, 224), but numpy wrote the bytes as they were in memory: channels last.
fn reference_pixels(tensors: &HashMap<String, Tensor>) -> Vec<Pixels> {
    let values = &tensors["pixel_values"];
    let (count, channels, height, width) = values.dims4().unwrap();
    let values = values.reshape((count, height, width, channels)).unwrap().permute((0, 3, 1, 2)).unwrap();
    rows(&values.contiguous().unwrap()).into_iter().map(Pixels).collect()
}

#[test]
fn clip_reads_the_reference_tokens() {
    let (_, json) = expected("reference/clip-random");
    let clip = clip();
    for (text, ids) in strings(&json["texts"]).iter().zip(json["input_ids"].as_array().unwrap()) {
        let ids: Vec<u32> = ids.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        assert_eq!(clip.tokens(text).unwrap().ids, ids, "{text:?}");
    }
    let tokens = clip.tokens("a puppy playing in the snow").unwrap().tokens;
    assert_eq!(tokens[..3], ["<|startoftext|>", "a</w>", "puppy</w>"]);
}

#[test]
fn clip_embeds_the_reference_texts_and_pixels() {
    let (tensors, json) = expected("reference/clip-random");
    let clip = clip();
    // All at once, so that batches of texts of the same length are tested too.
    let texts = clip.embed_texts(&strings(&json["texts"]), None).unwrap();
    for (mine, theirs) in texts.iter().zip(rows(&tensors["text_embeds"])) {
        let difference = max_difference(mine, &unit(&theirs));
        assert!(difference < 1e-4, "{difference}");
    }
    let pixels = reference_pixels(&tensors);
    let theirs = rows(&tensors["image_embeds"]);
    let together = clip.embed_pixels(&pixels).unwrap();
    for ((mine, theirs), pixels) in together.iter().zip(&theirs).zip(&pixels) {
        let difference = max_difference(&mine.vector, &unit(theirs));
        assert!(difference < 1e-4, "{difference}");
        let alone = clip.embed_pixels(std::slice::from_ref(pixels)).unwrap();
        assert!(max_difference(&mine.vector, &alone[0].vector) < 1e-5, "a batch must not change a picture");
    }
}

/// What `score` prints as logits and probabilities.
#[test]
fn clip_scores_are_the_reference_logits() {
    let (tensors, json) = expected("reference/clip-random");
    let clip = clip();
    let texts = clip.embed_texts(&strings(&json["texts"]), None).unwrap();
    let texts = Classifier { scale: clip.logit_scale().unwrap(), rows: texts.concat() };
    let pictures = clip.embed_pixels(&reference_pixels(&tensors)).unwrap();
    let mut furthest = 0.0_f32;
    for (picture, theirs) in
        pictures.iter().zip(rows(&tensors["logits_per_image"].to_dtype(candle_core::DType::F32).unwrap()))
    {
        furthest = furthest.max(max_difference(&texts.logits(&picture.vector), &theirs));
        let powers: Vec<f32> = theirs.iter().map(|logit| logit.exp()).collect();
        let softmax: Vec<f32> = powers.iter().map(|power| power / powers.iter().sum::<f32>()).collect();
        assert!(max_difference(&texts.probabilities(&picture.vector), &softmax) < 1e-3);
    }
    println!("logits: max difference {furthest:.6}");
    assert!(furthest < 1e-3, "{furthest}");
}

#[test]
fn clip_sees_the_reference_pictures_end_to_end() {
    let (tensors, json) = expected("reference/clip-random");
    let clip = clip();
    for (name, theirs) in strings(&json["photos"]).iter().zip(rows(&tensors["image_embeds"])) {
        let pixels = decode(&fixtures("reference/pictures").join(name), &clip);
        let mine = &clip.embed_pixels(&[pixels]).unwrap()[0].vector;
        let least = if name.ends_with(".jpg") { 0.995 } else { 0.999 };
        let cosine = cosine(mine, &theirs);
        println!("{name}: cosine {cosine:.6}");
        assert!(cosine >= least, "{name}: cosine {cosine}");
    }
}

#[test]
fn starter_gives_the_reference_numbers_from_the_same_pixels() {
    let (tensors, json) = expected("reference/starter");
    let starter = Starter::built_in().unwrap();
    let photos = strings(&json["photos"]);
    let embeddings = rows(&tensors["image_embeds"]);
    for name in ["cat", "giraffe", "hammer-5", "eiffel-tower", "fish-1", "windmill"] {
        let view = |view: &str| {
            image::open(fixtures(&format!("reference/starter/{name}-{view}.png"))).unwrap().into_rgb8().into_raw()
        };
        let pixels = Starter::pixels_of_views(&view("squashed"), &view("central"));
        let mine = &starter.embed_pixels(&[pixels]).unwrap()[0].vector;
        let theirs = &embeddings[photos.iter().position(|p| *p == format!("{name}.jpg")).unwrap()];
        let difference = max_difference(mine, theirs);
        println!("{name}: max difference {difference:.6}");
        assert!(difference < 2e-3, "{name}: {difference}");
    }
    let texts = starter.embed_texts(&strings(&json["texts"]), None).unwrap();
    for (mine, theirs) in texts.iter().zip(rows(&tensors["text_embeds"])) {
        assert!(max_difference(mine, &theirs) < 2e-3);
    }
}

/// Recall by meaning alone: for how many judged queries a relevant photo is among the first.
#[test]
fn starter_finds_the_judged_photos() {
    #[derive(serde::Deserialize)]
    struct Judged {
        query: String,
        relevant: Vec<String>,
    }
    let starter = Starter::built_in().unwrap();
    let (tensors, json) = expected("reference/starter");
    let names = strings(&json["photos"]);
    let photos: Vec<Vec<f32>> = names
        .iter()
        .map(|name| {
            let pixels = decode(&fixtures("photos").join(name), &starter);
            starter.embed_pixels(&[pixels]).unwrap().remove(0).vector
        })
        .collect();
    for ((mine, theirs), name) in photos.iter().zip(rows(&tensors["image_embeds"])).zip(&names) {
        assert!(cosine(mine, &theirs) > 0.99, "{name}: {}", cosine(mine, &theirs));
    }
    let ranked = |vector: &[f32]| {
        let mut order: Vec<usize> = (0..photos.len()).collect();
        order.sort_by(|a, b| cosine(vector, &photos[*b]).total_cmp(&cosine(vector, &photos[*a])));
        order.into_iter().map(|n| names[n].as_str()).collect::<Vec<_>>()
    };
    let queries: Vec<Judged> =
        serde_json::from_slice(&std::fs::read(fixtures("photos/queries.json")).unwrap()).unwrap();
    let recall = |k: usize| {
        let hit = |q: &&Judged| {
            let vector = starter.embed_texts(std::slice::from_ref(&q.query), None).unwrap().remove(0);
            ranked(&vector)[..k].iter().any(|name| q.relevant.iter().any(|r| r == name))
        };
        queries.iter().filter(hit).count() as f64 / queries.len() as f64
    };
    println!("recall@5 {:.3}, recall@10 {:.3} of {} queries", recall(5), recall(10), queries.len());
    assert!(recall(5) >= 0.90 && recall(10) >= 0.95);
    let twins = [
        ("giraffe", "giraffe-b"),
        ("giraffe-b", "giraffe"),
        ("hammer-5", "hammer-8"),
        ("hammer-8", "hammer-5"),
        ("scissors-1", "scissors-2"),
        ("scissors-2", "scissors-1"),
        ("solar-4", "solar-7"),
        ("solar-7", "solar-4"),
        ("windmill-7", "windmill-13"),
        ("windmill-13", "windmill-7"),
        ("great-pyramid", "red-pyramid"),
    ];
    for (photo, twin) in twins {
        let at = names.iter().position(|n| *n == format!("{photo}.jpg")).unwrap();
        let near = &ranked(&photos[at])[1..6];
        assert!(near.contains(&format!("{twin}.jpg").as_str()), "{photo}: {near:?}");
    }
}
