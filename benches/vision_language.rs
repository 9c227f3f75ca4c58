//! The cost of vision-language models at their real size: the shapes of SmolVLM-256M, SmolVLM-500M, LLaVA-1.5-7B and
//! Idefics2-8B with random weights. docs/figures.md quotes the figures.
//!
//! ```text
//! cargo bench --bench vision_language -- write DIR 256m|500m|llava|idefics2   writes a checkpoint in bf16 (0.5, 1.0, 14 or 17 GB)
//! cargo bench --bench vision_language -- quantize DIR 4|8 OUT                 quantizes it to OUT
//! cargo bench --bench vision_language -- measure DIR [whole]                  load, a photo, prompt, tokens a second, peak memory
//! ```
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use snapseek::model::Bits;
use snapseek::model::chat_model::{self, CaptionStyle, ChatPrompt, WriteRequest};
use snapseek::model::generation::GenerateOptions;
use snapseek::photo::picture::RgbPicture;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

static GO_ON: AtomicBool = AtomicBool::new(false);
/// How many tokens a caption has.
const TOKENS: usize = 30;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["write", dir, size] => write(Path::new(dir), size),
        ["measure", dir] => measure(Path::new(dir), true),
        ["measure", dir, "whole"] => measure(Path::new(dir), false),
        ["quantize", dir, bits, out] => {
            let bits = if *bits == "4" { Bits::Four } else { Bits::Eight };
            let start = Instant::now();
            let made =
                snapseek::model::quantize(Path::new(dir), "random", bits, Path::new(out), None, &mut |_, _| true);
            made.unwrap();
            println!("quantized in {:.0} s", start.elapsed().as_secs_f64());
        }
        _ => eprintln!("usage: write DIR 256m|500m|llava|idefics2 | quantize DIR 4|8 OUT | measure DIR"),
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn measure(dir: &Path, tiles: bool) {
    let timed = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    let start = Instant::now();
    let model = chat_model::open(dir, Some(&std::env::temp_dir().join("snapseek-bench")), tiles).unwrap();
    println!("open               {:8.2} s", start.elapsed().as_secs_f64());
    // A photo of 12 megapixels.
    let data = (0..4000 * 3000 * 3_u64).map(|i| ((i * 7919) % 251) as u8).collect();
    let photo = RgbPicture::whole(4000, 3000, data);
    let mut prepared = model.prepare(&photo).unwrap();
    println!("resized and cut    {:8.2} s", timed(&mut || prepared = model.prepare(&photo).unwrap()));
    let mut encoding = None;
    let first = timed(&mut || encoding = model.look(&prepared, &GO_ON).unwrap());
    println!("first photo        {first:8.2} s (may read its weights from the disk)");
    println!("photo              {:8.2} s", timed(&mut || drop(model.look(&prepared, &GO_ON).unwrap())));
    let encoding = encoding.unwrap();
    let prompt = ChatPrompt::Caption { style: CaptionStyle::Sentence, prompt: None, facts: "" };
    let request = WriteRequest { encoding: &encoding, prompt };
    println!("prompt             {:8} tokens", model.length(&request).unwrap());
    let write = |count: usize, tokens: usize| {
        // With random weights a text may end at once, so the least number of tokens equals the most.
        let options = GenerateOptions { min_new_tokens: tokens, ..GenerateOptions::greedy(tokens) };
        timed(&mut || drop(model.write(&vec![request; count], &options, &GO_ON, &mut |_, _| {}).unwrap()))
    };
    write(1, 1);
    for count in [1, 4] {
        let begun = median((0..3).map(|_| write(count, 1)).collect());
        let all = median((0..3).map(|_| write(count, TOKENS + 1)).collect());
        let step = (all - begun) / TOKENS as f64;
        println!(
            "{count} texts, first token {begun:6.2} s, then {:7.1} ms a round, {:6.2} tokens a second",
            step * 1e3,
            count as f64 / step
        );
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().filter(|l| l.starts_with("VmHWM") || l.starts_with("RssAnon")).for_each(|line| println!("{line}"));
}

/// A tensor's name and shape.
type Shape = (String, Vec<usize>);

fn linear(shapes: &mut Vec<Shape>, name: &str, out: usize, inputs: usize, bias: bool) {
    shapes.push((format!("{name}.weight"), vec![out, inputs]));
    if bias {
        shapes.push((format!("{name}.bias"), vec![out]));
    }
}

fn norm(shapes: &mut Vec<Shape>, name: &str, size: usize, bias: bool) {
    shapes.push((format!("{name}.weight"), vec![size]));
    if bias {
        shapes.push((format!("{name}.bias"), vec![size]));
    }
}

/// width, MLP, layers, heads of keys and values in numbers, tokens
fn text(shapes: &mut Vec<Shape>, prefix: &str, (w, f, l, kv, vocabulary): (usize, usize, usize, usize, usize)) {
    shapes.push((format!("{prefix}embed_tokens.weight"), vec![vocabulary, w]));
    for n in 0..l {
        let name = |part: &str| format!("{prefix}layers.{n}.{part}");
        norm(shapes, &name("input_layernorm"), w, false);
        norm(shapes, &name("post_attention_layernorm"), w, false);
        for (part, size) in [("q_proj", w), ("k_proj", kv), ("v_proj", kv), ("o_proj", w)] {
            linear(shapes, &name(&format!("self_attn.{part}")), size, w, false);
        }
        linear(shapes, &name("mlp.gate_proj"), f, w, false);
        linear(shapes, &name("mlp.up_proj"), f, w, false);
        linear(shapes, &name("mlp.down_proj"), w, f, false);
    }
    norm(shapes, &format!("{prefix}norm"), w, false);
}

/// width, MLP, layers, patch, positions
fn vision(shapes: &mut Vec<Shape>, prefix: &str, (w, f, l, patch, positions): (usize, usize, usize, usize, usize)) {
    shapes.push((format!("{prefix}embeddings.patch_embedding.weight"), vec![w, 3, patch, patch]));
    shapes.push((format!("{prefix}embeddings.position_embedding.weight"), vec![positions, w]));
    for n in 0..l {
        let name = |part: &str| format!("{prefix}encoder.layers.{n}.{part}");
        norm(shapes, &name("layer_norm1"), w, true);
        norm(shapes, &name("layer_norm2"), w, true);
        for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            linear(shapes, &name(&format!("self_attn.{part}")), w, w, true);
        }
        linear(shapes, &name("mlp.fc1"), f, w, true);
        linear(shapes, &name("mlp.fc2"), w, f, true);
    }
    norm(shapes, &format!("{prefix}post_layernorm"), w, true);
}

/// What makes 64 tokens of a photo in Idefics2-8B.
fn perceiver(shapes: &mut Vec<Shape>, prefix: &str) {
    let (seen, w, f) = (1152, 4096, 14336);
    for (part, out, inputs) in [("gate", f, seen), ("up", f, seen), ("down", w, f)] {
        linear(shapes, &format!("{prefix}modality_projection.{part}_proj"), out, inputs, false);
    }
    let prefix = format!("{prefix}perceiver_resampler.");
    shapes.push((format!("{prefix}latents"), vec![64, w]));
    for n in 0..3 {
        let name = |part: &str| format!("{prefix}layers.{n}.{part}");
        for part in ["input_context_norm", "input_latents_norm", "post_attention_layernorm"] {
            norm(shapes, &name(part), w, false);
        }
        for (part, out, inputs) in [("q", 1536, w), ("k", 384, w), ("v", 384, w), ("o", w, 1536)] {
            linear(shapes, &name(&format!("self_attn.{part}_proj")), out, inputs, false);
        }
        for (part, out, inputs) in [("gate", 4 * w, w), ("up", 4 * w, w), ("down", w, 4 * w)] {
            linear(shapes, &name(&format!("mlp.{part}_proj")), out, inputs, false);
        }
    }
    norm(shapes, &format!("{prefix}norm"), w, false);
}

fn write(dir: &Path, size: &str) {
    let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reference/vlm");
    let small = small.join(if ["llava", "idefics2"].contains(&size) { size } else { "smolvlm" });
    std::fs::create_dir_all(dir).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json", "chat_template.json", "generation_config.json"] {
        std::fs::copy(small.join(name), dir.join(name)).unwrap();
    }
    let read = |name: &str| -> Value { serde_json::from_slice(&std::fs::read(small.join(name)).unwrap()).unwrap() };
    let (mut config, mut pictures) = (read("config.json"), read("preprocessor_config.json"));
    let mut shapes = Vec::new();
    if size == "llava" {
        config["text_config"] = json!({"model_type": "llama", "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
            "vocab_size": 32064});
        config["vision_config"] = json!({"model_type": "clip_vision_model", "hidden_size": 1024, "image_size": 336,
            "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14});
        pictures["size"] = json!({"shortest_edge": 336});
        pictures["crop_size"] = json!({"height": 336, "width": 336});
        text(&mut shapes, "language_model.model.", (4096, 11008, 32, 4096, 32064));
        shapes.push(("language_model.lm_head.weight".into(), vec![32064, 4096]));
        let tower = "vision_tower.vision_model.";
        vision(&mut shapes, tower, (1024, 4096, 24, 14, 577));
        shapes.push((format!("{tower}embeddings.class_embedding"), vec![1024]));
        norm(&mut shapes, &format!("{tower}pre_layrnorm"), 1024, true);
        linear(&mut shapes, "multi_modal_projector.linear_1", 4096, 1024, true);
        linear(&mut shapes, "multi_modal_projector.linear_2", 4096, 4096, true);
    } else if size == "idefics2" {
        for (key, value) in [
            ("hidden_size", 4096),
            ("intermediate_size", 14336),
            ("num_hidden_layers", 32),
            ("num_attention_heads", 32),
            ("num_key_value_heads", 8),
            ("vocab_size", 32003),
        ] {
            config["text_config"][key] = json!(value);
        }
        config["vision_config"] = json!({"model_type": "idefics2", "hidden_size": 1152, "image_size": 980,
            "intermediate_size": 4304, "num_attention_heads": 16, "num_hidden_layers": 27, "patch_size": 14});
        config["perceiver_config"] = json!({"model_type": "idefics2", "hidden_act": "silu", "num_key_value_heads": 4,
            "resampler_depth": 3, "resampler_head_dim": 96, "resampler_n_heads": 16, "resampler_n_latents": 64});
        pictures["size"] = json!({"longest_edge": 980, "shortest_edge": 378});
        text(&mut shapes, "model.text_model.", (4096, 14336, 32, 1024, 32003));
        shapes.push(("lm_head.weight".into(), vec![32003, 4096]));
        vision(&mut shapes, "model.vision_model.", (1152, 4304, 27, 14, 4900));
        shapes.push(("model.vision_model.embeddings.patch_embedding.bias".into(), vec![1152]));
        perceiver(&mut shapes, "model.connector.");
    } else {
        let (w, f, l, heads, kv) = if size == "256m" { (576, 1536, 30, 9, 3) } else { (960, 2560, 32, 15, 5) };
        for (key, value) in [
            ("hidden_size", w),
            ("intermediate_size", f),
            ("num_hidden_layers", l),
            ("head_dim", 64),
            ("num_attention_heads", heads),
            ("num_key_value_heads", kv),
            ("vocab_size", 49280),
        ] {
            config["text_config"][key] = json!(value);
        }
        config["vocab_size"] = json!(49280);
        config["vision_config"] = json!({"hidden_size": 768, "image_size": 512, "intermediate_size": 3072,
            "num_attention_heads": 12, "num_hidden_layers": 12, "patch_size": 16, "model_type": "idefics3"});
        pictures["size"] = json!({"longest_edge": 2048});
        pictures["max_image_size"] = json!({"longest_edge": 512});
        text(&mut shapes, "model.text_model.", (w, f, l, kv * 64, 49280));
        shapes.push(("lm_head.weight".into(), vec![49280, w]));
        vision(&mut shapes, "model.vision_model.", (768, 3072, 12, 16, 1024));
        shapes.push(("model.vision_model.embeddings.patch_embedding.bias".into(), vec![768]));
        linear(&mut shapes, "model.connector.modality_projection.proj", w, 768 * 16, false);
    }
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    std::fs::write(dir.join("preprocessor_config.json"), pictures.to_string()).unwrap();
    write_weights(&dir.join("model.safetensors"), &shapes);
    let count: usize = shapes.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    println!("{count} weights in {} tensors", shapes.len());
}

fn write_weights(path: &Path, shapes: &[Shape]) {
    let mut header = serde_json::Map::new();
    let mut end = 0;
    for (name, shape) in shapes {
        let start = end;
        end += 2 * shape.iter().product::<usize>();
        header.insert(name.clone(), json!({"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}));
    }
    let mut header = serde_json::to_vec(&header).unwrap();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(&header).unwrap();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for (name, shape) in shapes {
        let is_norm = shape.len() == 1 && name.ends_with("weight");
        let mut bytes = Vec::with_capacity(2 * shape.iter().product::<usize>());
        for _ in 0..shape.iter().product::<usize>() {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let value = if is_norm { 1.0 } else { (random >> 40) as f32 / (1 << 24) as f32 * 0.1 - 0.05 };
            bytes.extend_from_slice(&half::bf16::from_f32(value).to_le_bytes());
        }
        file.write_all(&bytes).unwrap();
    }
    file.flush().unwrap();
}
