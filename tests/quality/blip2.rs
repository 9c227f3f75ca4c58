//! BLIP-2 gives the same numbers and tokens as PyTorch's `transformers` (fixtures/reference/blip2-random, made by
//! fixtures/reference/make_reference.py; blip2-t5 and blip2-itm are copies of others, see copy_families.py).
//!
//! `SNAPSEEK_FAMILIES` names a folder with other models like the last two, which are tested in their place.

use crate::expected::Expected;
use serde_json::Value;
use snapseek::model::Pixels;
use snapseek::model::blip2::{Blip2, Encoding, GenerateOptions, GenerateRequest, Matcher, ReadText};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

static GO_ON: AtomicBool = AtomicBool::new(false);

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reference").join(name)
}

/// A prompt about the first picture, its tokens, and the tokens that follow.
struct Case {
    prompt: String,
    /// Those of the picture first.
    ids: Vec<u32>,
    greedy: Vec<u32>,
    beam5: Vec<u32>,
}

impl Expected {
    /// The pictures' pixels, (3, size, size) each. In blip2-random, the first that was made, the channels are last,
    /// although the header says otherwise.
    fn pixels(&self) -> Vec<Vec<f32>> {
        let shape = self.shape("pixel_values");
        let plane = shape[2] * shape[3];
        if self.json["photos"].is_null() || !self.json["notes"].is_null() {
            return self.tensor("pixel_values").chunks_exact(3 * plane).map(<[f32]>::to_vec).collect();
        }
        let turn = |picture: &[f32]| {
            (0..3).flat_map(|c| (0..plane).map(move |i| (c, i))).map(|(c, i)| picture[i * 3 + c]).collect()
        };
        self.tensor("pixel_values").chunks_exact(3 * plane).map(turn).collect()
    }

    fn cases(&self) -> Vec<Case> {
        let ends = [&self.json["eos_token_ids"], &Value::Array(vec![self.json["eos_token_id"].clone()])];
        let mut ends: Vec<u64> = ends.iter().filter_map(|v| v.as_array()).flatten().filter_map(Value::as_u64).collect();
        // T5's lists begin with the token that every text begins with, and it ends texts with 1.
        let is_t5 = ends.is_empty();
        ends.extend(is_t5.then_some(1));
        let list = |value: &Value| -> Vec<u32> {
            value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as u32).collect()
        };
        let ended = |value: &Value| {
            let mut tokens = list(value).split_off(usize::from(is_t5));
            tokens.truncate(tokens.iter().position(|t| ends.contains(&u64::from(*t))).unwrap_or(tokens.len()));
            tokens
        };
        let case = |case: &Value| {
            let prompt = case["prompt"].as_str().unwrap().to_owned();
            Case { prompt, ids: list(&case["input_ids"]), greedy: ended(&case["greedy"]), beam5: ended(&case["beam5"]) }
        };
        self.json["cases"].as_array().unwrap().iter().map(case).collect()
    }
}

#[track_caller]
fn assert_near(name: &str, got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len(), "{name}");
    let off = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("{name}: off by {off:e}");
    assert!(off <= tolerance, "{name}: off by {off:e}");
}

fn options(num_beams: usize) -> GenerateOptions {
    GenerateOptions { num_beams, ..GenerateOptions::greedy(24) }
}

/// Checks a model against the expectations in its folder: every stage within 1e-4, scores within 1e-3, the same tokens.
fn equals_the_reference(folder: &Path) {
    let expected = Expected::read(folder);
    let model = Blip2::open(folder, None).unwrap();
    let (mut vision, mut encodings, mut projected) = (Vec::new(), Vec::new(), Vec::new());
    for pixels in expected.pixels() {
        let states = model.vision_states(&snapseek::model::Pixels(pixels), &GO_ON).unwrap().unwrap();
        let encoding = model.query(&states).unwrap();
        projected.extend(model.project(&encoding).unwrap());
        vision.extend(states);
        encodings.push(encoding);
    }
    assert_near("vision", &vision, &expected.tensor("vision"), 1e-4);
    let qformer: Vec<f32> = encodings.iter().flat_map(|e| e.0.clone()).collect();
    assert_near("Q-Former", &qformer, &expected.tensor("qformer"), 1e-4);
    assert_near("projected", &projected, &expected.tensor("projected"), 1e-4);
    let encoding = &encodings[0];
    let cases = expected.cases();
    for (n, Case { prompt, ids, greedy, beam5 }) in cases.iter().enumerate() {
        let picture = expected.json["num_query_tokens"].as_u64().unwrap() as usize;
        assert_eq!(model.tokens(prompt).unwrap(), ids[picture..], "{prompt}");
        let request = GenerateRequest { encoding, prompt };
        assert_near("logits", &model.next_scores(request).unwrap(), &expected.tensor(&format!("logits_{n}")), 1e-3);
        for (beams, tokens) in [(1, greedy), (5, beam5)] {
            let made = model.generate(&[request], &options(beams), &GO_ON, &mut |_, _| {}).unwrap();
            assert_eq!(&made[0].tokens, tokens, "{beams} beams, {prompt:?}");
        }
    }
    // candle's T5 takes a while, and knows nothing of the other texts of a batch.
    let prompts = if folder.ends_with("blip2-t5") { &cases[..2] } else { &cases };
    batches_equal_single_texts(
        &model,
        &encodings,
        &prompts.iter().map(|case| case.prompt.as_str()).collect::<Vec<_>>(),
    );
}

/// Checks prompts of several lengths, about several pictures, that end at different times.
fn batches_equal_single_texts(model: &Blip2, encodings: &[Encoding], prompts: &[&str]) {
    let requests: Vec<GenerateRequest> = encodings
        .iter()
        .flat_map(|encoding| prompts.iter().map(move |prompt| GenerateRequest { encoding, prompt }))
        .collect();
    for options in [options(1), options(5), GenerateOptions { temperature: 1.5, top_p: 0.9, seed: 7, ..options(1) }] {
        let together = model.generate(&requests, &options, &GO_ON, &mut |_, _| {}).unwrap();
        for (request, made) in requests.iter().zip(together) {
            let mut streamed = String::new();
            let single = model.generate(&[*request], &options, &GO_ON, &mut |_, text| streamed += text).unwrap();
            assert_eq!(single[0], made, "{options:?}");
            assert_eq!(streamed.trim(), made.text);
        }
    }
}

/// A model of `SNAPSEEK_FAMILIES`, or else of the fixtures.
fn family(name: &str) -> PathBuf {
    std::env::var_os("SNAPSEEK_FAMILIES").map_or_else(|| fixture(name), |folder| PathBuf::from(folder).join(name))
}

#[test]
fn with_t5_as_its_language_model() {
    equals_the_reference(&family("blip2-t5"));
}

#[test]
fn texts_match_pictures_as_much_as_in_the_reference() {
    let folder = family("blip2-itm");
    let (expected, model) = (Expected::read(&folder), Matcher::open(&folder).unwrap());
    let strings = |key: &str| -> Vec<String> {
        expected.json[key].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let texts: Vec<ReadText> = strings("texts").iter().map(|text| model.read(text).unwrap()).collect();
    let positions = 512;
    let mut vectors = Vec::new();
    for ((read, text), ids) in texts.iter().zip(strings("texts")).zip(expected.json["input_ids"].as_array().unwrap()) {
        let mut ids: Vec<u32> = ids.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        // The reference cannot read what is longer; its end token would be lost.
        assert!(ids.len() <= positions, "{text}");
        ids.truncate(positions);
        assert_eq!(read.tokens(), ids, "{text}");
        vectors.extend_from_slice(read.vector());
    }
    assert_near("texts", &vectors, &expected.tensor("text_embeds"), 1e-4);
    let (photos, compared) = (strings("photos"), strings("itm_photos"));
    let places: Vec<usize> =
        compared.iter().map(|photo| photos.iter().position(|known| known == photo).unwrap()).collect();
    let mut pixels = expected.pixels();
    if pixels.len() == photos.len() {
        pixels = places.iter().map(|place| pixels[*place].clone()).collect();
    }
    assert_eq!(pixels.len(), compared.len());
    let asked: Vec<ReadText> = strings("itm_texts").iter().map(|text| model.read(text).unwrap()).collect();
    let (mut itc, mut logits, mut probabilities) = (Vec::new(), Vec::new(), Vec::new());
    for (pixels, place) in pixels.into_iter().zip(places) {
        let sight = model.look(&Pixels(pixels), &GO_ON).unwrap().unwrap();
        let vectors = model.vectors(&sight).unwrap();
        let of_photo = |name: &str| {
            let all = expected.tensor(name);
            all.chunks_exact(all.len() / photos.len()).nth(place).unwrap().to_vec()
        };
        assert_near("picture", &vectors.concat(), &of_photo("image_embeds"), 1e-4);
        let scores: Vec<f32> = texts.iter().map(|text| Matcher::contrast(&vectors, text)).collect();
        assert_near("ITC of all texts", &scores, &of_photo("logits_per_image"), 1e-3);
        itc.extend(asked.iter().map(|text| Matcher::contrast(&vectors, text)));
        for text in &asked {
            let score = model.matching(&sight, text).unwrap();
            logits.extend(score.logits);
            probabilities.push(score.probability);
        }
    }
    assert_near("ITC", &itc, &expected.tensor("itc"), 1e-3);
    assert_near("ITM logits", &logits, &expected.tensor("itm_logits"), 1e-3);
    assert_near("ITM", &probabilities, &expected.tensor("itm_probability"), 1e-3);
}

#[test]
fn the_recorded_model() {
    equals_the_reference(&fixture("blip2-random"));
}

/// Another seed, other sizes, and the variations of older or rarer checkpoints; see make_blip2_other.py.
#[test]
fn another_model_in_shards_and_bf16() {
    equals_the_reference(&fixture("blip2-other"));
}
