//! Every family of dual encoders against its own implementation: small random checkpoints in their published layouts.
//!
//! `fixtures/reference/families` holds some; `SNAPSEEK_FAMILIES` names a folder with more, whose folders are tested in
//! their place.

use crate::reference::{cosine, decode, max_difference, rows, strings, unit};
use candle_core::{DType, Device as CandleDevice, Tensor};
use serde_json::Value;
use snapseek::model::dual_encoder::{DualEncoder, TextModel};
use snapseek::model::published::{self, Expectation};
use snapseek::model::{Device, Embed, TowerBits};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// A folder with a model, and what its family's implementation makes of texts and pictures.
struct Reference {
    folder: PathBuf,
    tensors: HashMap<String, Tensor>,
    json: Value,
}

impl Reference {
    /// The rows of a tensor.
    fn rows(&self, name: &str) -> Vec<Vec<f32>> {
        rows(&self.tensors[name].to_dtype(DType::F32).unwrap())
    }
}

fn fixtures(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reference").join(path)
}

fn all() -> Vec<Reference> {
    let root = std::env::var_os("SNAPSEEK_FAMILIES").map_or_else(|| fixtures("families"), PathBuf::from);
    let folders = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = folders.filter(|folder| folder.join("expected.json").is_file()).collect();
    folders.sort();
    assert!(!folders.is_empty());
    let read = |folder: PathBuf| Reference {
        tensors: candle_core::safetensors::load(folder.join("expected.safetensors"), &CandleDevice::Cpu).unwrap(),
        json: serde_json::from_slice(&std::fs::read(folder.join("expected.json")).unwrap()).unwrap(),
        folder,
    };
    folders.into_iter().map(read).collect()
}

/// Checks what a model reads of each text.
fn check_tokens(reference: &Reference, tokens: impl Fn(&str) -> Vec<u32>) {
    let name = reference.folder.display();
    let (texts, all) = (strings(&reference.json["texts"]), reference.json["input_ids"].as_array().unwrap());
    assert_eq!(texts.len(), all.len());
    for (text, ids) in texts.iter().zip(all) {
        let ids: Vec<u32> = ids.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        assert_eq!(tokens(text), ids, "{name}: {text:?}");
    }
}

/// Checks a text model for another model's pictures.
fn check_text_model(reference: &Reference) {
    let name = reference.folder.display();
    let model = TextModel::open(&reference.folder, None).unwrap();
    check_tokens(reference, |text| model.tokens(text).unwrap().ids);
    let mine = model.embed_texts(&strings(&reference.json["texts"]), None).unwrap();
    let theirs = reference.rows("text_embeds");
    let furthest = mine.iter().zip(&theirs).map(|(mine, theirs)| max_difference(mine, &unit(theirs)));
    let furthest = furthest.fold(0.0, f32::max);
    println!("{name}: texts {furthest:.1e}");
    assert!(!mine.is_empty() && furthest < 1e-5, "{name}: {furthest}");
}

#[test]
fn families_give_the_numbers_of_their_own_implementations() {
    for reference in all() {
        let name = reference.folder.display();
        if reference.json.get("image_model").is_some() {
            check_text_model(&reference);
            continue;
        }
        let model = match DualEncoder::open(&reference.folder, Device::Cpu, TowerBits::Full, None) {
            Ok(model) => model,
            // Not every family of a folder of one's own is read.
            Err(error) if std::env::var_os("SNAPSEEK_FAMILIES").is_some() => {
                println!("{name}: {error:#}");
                continue;
            }
            Err(error) => panic!("{name}: {error:#}"),
        };
        let texts = strings(&reference.json["texts"]);
        check_tokens(&reference, |text| model.tokens(text).unwrap().ids);
        let mut furthest = [0.0_f32; 3];
        let mine = model.embed_texts(&texts, None).unwrap();
        for (mine, theirs) in mine.iter().zip(reference.rows("text_embeds")) {
            furthest[0] = furthest[0].max(max_difference(mine, &unit(&theirs)));
        }
        let pixels: Vec<_> = reference.rows("pixel_values").into_iter().map(DualEncoder::pixels).collect();
        let (pictures, theirs) = (model.embed_pixels(&pixels).unwrap(), reference.rows("image_embeds"));
        assert!(!pixels.is_empty() && pixels.len() <= theirs.len());
        let (scale, bias) = (model.logit_scale().unwrap(), model.logit_bias().unwrap().unwrap_or_default());
        let logits = reference.rows("logits_per_image");
        for ((picture, theirs), logits) in pictures.iter().zip(&theirs).zip(&logits) {
            furthest[1] = furthest[1].max(max_difference(&picture.vector, &unit(theirs)));
            let products = mine.iter().map(|text| text.iter().zip(&picture.vector).map(|(a, b)| a * b).sum::<f32>());
            let products: Vec<f32> = products.map(|cosine| scale * cosine + bias).collect();
            furthest[2] = furthest[2].max(max_difference(&products, logits));
        }
        println!("{name}: texts {:.1e}, pictures {:.1e}, logits {:.1e}", furthest[0], furthest[1], furthest[2]);
        assert!(furthest[0] < 1e-5 && furthest[1] < 1e-5 && furthest[2] < 1e-3, "{name}: {furthest:?}");
        for (photo, theirs) in strings(&reference.json["photos"]).iter().zip(&theirs) {
            let pixels = decode(&fixtures("pictures").join(photo), &model);
            let cosine = cosine(&model.embed_pixels(&[pixels]).unwrap()[0].vector, theirs);
            let least = if photo.ends_with(".jpg") { 0.995 } else { 0.999 };
            assert!(cosine >= least, "{name}: {photo}: {cosine}");
        }
    }
}

/// The machinery of the self-test, with the numbers of a reference in place of published ones.
#[test]
fn numbers_are_compared_with_published_ones() {
    let reference = all().into_iter().find(|reference| reference.folder.ends_with("openclip")).unwrap();
    let model = DualEncoder::open(&reference.folder, Device::Cpu, TowerBits::Full, None).unwrap();
    let texts: Vec<&'static str> =
        strings(&reference.json["texts"]).into_iter().take(3).map(|text| &*Box::leak(text.into_boxed_str())).collect();
    let logits = reference.rows("logits_per_image");
    let pixels = || DualEncoder::pixels(reference.rows("pixel_values").swap_remove(0));
    let published = |change: f32| -> &'static [(&'static str, f32)] {
        texts.iter().zip(&logits[0]).map(|(text, logit)| (*text, logit + change)).collect::<Vec<_>>().leak()
    };
    for (change, is_it) in [(0.0, true), (0.05, true), (0.2, false), (f32::NAN, false)] {
        let outcome = Expectation::Logits(published(change));
        let numbers = published::numbers(&model, pixels(), &outcome).unwrap().unwrap();
        assert_eq!(published::is_as_published(&outcome, &numbers), is_it, "{change}");
    }
}
