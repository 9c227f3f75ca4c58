//! The cost of BLIP-2 at its real size: the shapes of Salesforce/blip2-opt-2.7b with random weights. docs/figures.md
//! quotes the figures.
//!
//! ```text
//! cargo bench --bench blip2 -- write DIR [f16|bf16|f32]     writes a checkpoint in shards (7.5 or 15 GB)
//! cargo bench --bench blip2 -- quantize DIR 4|8 OUT         quantizes it to OUT
//! cargo bench --bench blip2 -- measure DIR                  load, vision tower, prompt, tokens a second, peak memory
//! ```
//! `benches/blip2_reference.py DIR` measures PyTorch on the same files. `benches/blip2_families.py` writes a BLIP-2
//! with T5 and one with heads for retrieval, and measures them too.
#![allow(clippy::unwrap_used)]

use serde_json::json;
use snapseek::model::Bits;
use snapseek::model::Pixels;
use snapseek::model::blip2::{Blip2, Blip2Use, GenerateOptions, GenerateRequest, Matcher, use_of};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

static GO_ON: AtomicBool = AtomicBool::new(false);
const SHARD: u64 = 5_000_000_000;
/// How many tokens an answer has.
const TOKENS: usize = 24;
const PROMPT: &str = "Question: What is in this picture? Answer:";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["write", dir] => write(Path::new(dir), "f16"),
        ["write", dir, dtype] => write(Path::new(dir), dtype),
        ["measure", dir] => measure(Path::new(dir)),
        ["quantize", dir, bits, out] => quantize(Path::new(dir), bits, Path::new(out)),
        _ => eprintln!("usage: write DIR [f16|bf16|f32] | quantize DIR 4|8 OUT | measure DIR"),
    }
}

fn quantize(dir: &Path, bits: &str, out: &Path) {
    let bits = if bits == "4" { Bits::Four } else { Bits::Eight };
    let start = Instant::now();
    snapseek::model::quantize(dir, "random", bits, out, None, &mut |_, _| true).unwrap();
    println!("quantized in {:.0} s", start.elapsed().as_secs_f64());
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn print_memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status.lines().filter(|l| l.starts_with("VmHWM") || l.starts_with("RssAnon")) {
        println!("{line}");
    }
}

/// Any picture.
fn pixels(size: u32) -> Pixels {
    Pixels((0..3 * size * size).map(|i| ((i * 7919) % 1009) as f32 / 504.5 - 1.0).collect())
}

fn measure(dir: &Path) {
    if use_of(dir).unwrap() == Blip2Use::Matches { measure_matcher(dir) } else { measure_writer(dir) }
}

fn measure_matcher(dir: &Path) {
    let start = Instant::now();
    let model = Matcher::open(dir).unwrap();
    let text = model.read(PROMPT).unwrap();
    println!("first text         {:8.2} s, {} tokens", seconds(start), text.tokens().len());
    let pixels = pixels(model.image_size());
    let timed = |work: &dyn Fn()| {
        let once = || {
            let start = Instant::now();
            work();
            seconds(start)
        };
        once();
        median((0..3).map(|_| once()).collect())
    };
    println!("vision tower       {:8.2} s", timed(&|| drop(model.look(&pixels, &GO_ON).unwrap().unwrap())));
    let sight = model.look(&pixels, &GO_ON).unwrap().unwrap();
    println!(
        "ITM                {:8.2} s a photo and a text",
        timed(&|| {
            model.matching(&sight, &text).unwrap();
        })
    );
    println!("ITC                {:8.2} s a photo", timed(&|| drop(model.vectors(&sight).unwrap())));
    println!("ITC                {:8.2} s a text", timed(&|| drop(model.read(PROMPT).unwrap())));
    print_memory();
}

fn measure_writer(dir: &Path) {
    let start = Instant::now();
    let model = Blip2::open(dir, Some(&std::env::temp_dir().join("snapseek-bench"))).unwrap();
    println!("open               {:8.2} s", seconds(start));
    let pixels = pixels(model.image_size());
    let start = Instant::now();
    let encoding = model.encode(&pixels, &GO_ON).unwrap().unwrap();
    println!("first picture      {:8.2} s (may read its weights from the disk)", seconds(start));
    let runs = || {
        let start = Instant::now();
        model.encode(&pixels, &GO_ON).unwrap();
        seconds(start)
    };
    println!("picture            {:8.2} s, median of 3", median((0..3).map(|_| runs()).collect()));
    // With random weights an answer may end at once, so the least number of tokens equals the most.
    let options =
        |beams: usize, n: usize| GenerateOptions { num_beams: beams, min_new_tokens: n, ..GenerateOptions::greedy(n) };
    let run = |requests: &[GenerateRequest], options: GenerateOptions| {
        let start = Instant::now();
        let made = model.generate(requests, &options, &GO_ON, &mut |_, _| {}).unwrap();
        assert!(made.iter().all(|made| made.tokens.len() == options.max_new_tokens), "ended early");
        seconds(start)
    };
    let request = GenerateRequest { encoding: &encoding, prompt: PROMPT };
    println!("first token        {:8.2} s (may read its weights from the disk)", run(&[request], options(1, 1)));
    let with_t5 = use_of(dir).unwrap() == Blip2Use::WritesWithT5;
    // (answers at once, beams); T5 writes one answer after the other.
    for (count, beams) in if with_t5 { &[(1, 1), (1, 5)][..] } else { &[(1, 1), (8, 1), (1, 5)] } {
        let (count, beams) = (*count, *beams);
        let requests = vec![request; count];
        let prompt = median((0..3).map(|_| run(&requests, options(beams, 1))).collect());
        let all = median((0..3).map(|_| run(&requests, options(beams, TOKENS + 1))).collect());
        let step = (all - prompt) / TOKENS as f64;
        let rate = requests.len() as f64 / step;
        println!(
            "{count} answers, {beams} beams prompt {prompt:6.2} s, then {:7.1} ms a round, {rate:6.2} tokens a second",
            step * 1e3
        );
    }
    print_memory();
}

/// Pseudorandom numbers, fast and reproducible.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let [a, b, c, d] = [self.0 & 0xffff, (self.0 >> 16) & 0xffff, (self.0 >> 32) & 0xffff, self.0 >> 48];
        // The sum of four is close to a normal distribution, with standard deviation 1 after scaling.
        ((a + b + c + d) as f32 / 65_536.0 - 2.0) * 1.732
    }
}

fn write(dir: &Path, dtype: &str) {
    std::fs::create_dir_all(dir).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reference/blip2-random");
    for name in ["tokenizer.json", "preprocessor_config.json"] {
        std::fs::copy(fixture.join(name), dir.join(name)).unwrap();
    }
    let config = json!({"architectures": ["Blip2ForConditionalGeneration"], "model_type": "blip-2",
        "num_query_tokens": 32, "image_token_index": 50265, "use_decoder_only_language_model": true,
        "vision_config": {"model_type": "blip_2_vision_model", "hidden_size": 1408, "intermediate_size": 6144,
            "num_hidden_layers": 39, "num_attention_heads": 16, "image_size": 224, "patch_size": 14,
            "hidden_act": "gelu", "layer_norm_eps": 1e-6, "qkv_bias": true},
        "qformer_config": {"model_type": "blip_2_qformer", "hidden_size": 768, "num_hidden_layers": 12,
            "num_attention_heads": 12, "intermediate_size": 3072, "vocab_size": 30522, "cross_attention_frequency": 2,
            "encoder_hidden_size": 1408},
        "text_config": {"model_type": "opt", "hidden_size": 2560, "num_hidden_layers": 32, "ffn_dim": 10240,
            "num_attention_heads": 32, "vocab_size": 50304, "word_embed_proj_dim": 2560,
            "max_position_embeddings": 2048, "do_layer_norm_before": true, "activation_function": "relu",
            "bos_token_id": 2, "pad_token_id": 1, "eos_token_id": 50118, "tie_word_embeddings": true}});
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let generation = json!({"bos_token_id": 2, "pad_token_id": 1, "eos_token_id": 50118});
    std::fs::write(dir.join("generation_config.json"), generation.to_string()).unwrap();
    let (name, width): (&str, u64) = match dtype {
        "f16" => ("F16", 2),
        "bf16" => ("BF16", 2),
        _ => ("F32", 4),
    };
    let (mut shards, mut size) = (vec![Vec::new()], 0);
    for (tensor, shape) in tensors() {
        let bytes = shape.iter().product::<usize>() as u64 * width;
        if size + bytes > SHARD {
            shards.push(Vec::new());
            size = 0;
        }
        size += bytes;
        shards.last_mut().unwrap().push((tensor, shape));
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut map = BTreeMap::new();
    for (n, shard) in shards.iter().enumerate() {
        let file = format!("model-{:05}-of-{:05}.safetensors", n + 1, shards.len());
        let (mut header, mut offset) = (serde_json::Map::new(), 0);
        for (tensor, shape) in shard {
            let end = offset + shape.iter().product::<usize>() as u64 * width;
            header.insert(tensor.clone(), json!({"dtype": name, "shape": shape, "data_offsets": [offset, end]}));
            offset = end;
            map.insert(tensor.clone(), file.clone());
        }
        let mut header = serde_json::Value::Object(header).to_string();
        header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
        let mut out = BufWriter::with_capacity(1 << 20, File::create(dir.join(&file)).unwrap());
        out.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
        out.write_all(header.as_bytes()).unwrap();
        for (tensor, shape) in shard {
            let is_norm = shape.len() == 1 && tensor.ends_with("weight");
            for _ in 0..shape.iter().product() {
                let value = if is_norm { 1.0 + 0.02 * random.next() } else { 0.02 * random.next() };
                match name {
                    "F16" => out.write_all(&half::f16::from_f32(value).to_le_bytes()),
                    "BF16" => out.write_all(&half::bf16::from_f32(value).to_le_bytes()),
                    _ => out.write_all(&value.to_le_bytes()),
                }
                .unwrap();
            }
        }
        out.flush().unwrap();
        println!("{file} {:.1} GB", offset as f64 / 1e9);
    }
    let index = json!({"metadata": {}, "weight_map": map});
    std::fs::write(dir.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

/// Every tensor of blip2-opt-2.7b.
fn tensors() -> Vec<(String, Vec<usize>)> {
    let mut all: Vec<(String, Vec<usize>)> = Vec::new();
    let mut add = |name: String, shape: &[usize]| all.push((name, shape.to_vec()));
    let pair = |add: &mut dyn FnMut(String, &[usize]), name: String, outputs: usize, inputs: usize| {
        add(format!("{name}.weight"), &[outputs, inputs]);
        add(format!("{name}.bias"), &[outputs]);
    };
    let norm = |add: &mut dyn FnMut(String, &[usize]), name: String, size: usize| {
        add(format!("{name}.weight"), &[size]);
        add(format!("{name}.bias"), &[size]);
    };
    let (vision, queries, hidden) = (1408, 768, 2560);
    add("vision_model.embeddings.class_embedding".into(), &[1, 1, vision]);
    add("vision_model.embeddings.position_embedding".into(), &[1, 257, vision]);
    add("vision_model.embeddings.patch_embedding.weight".into(), &[vision, 3, 14, 14]);
    add("vision_model.embeddings.patch_embedding.bias".into(), &[vision]);
    for n in 0..39 {
        let name = |part: &str| format!("vision_model.encoder.layers.{n}.{part}");
        norm(&mut add, name("layer_norm1"), vision);
        pair(&mut add, name("self_attn.qkv"), 3 * vision, vision);
        pair(&mut add, name("self_attn.projection"), vision, vision);
        norm(&mut add, name("layer_norm2"), vision);
        pair(&mut add, name("mlp.fc1"), 6144, vision);
        pair(&mut add, name("mlp.fc2"), vision, 6144);
    }
    norm(&mut add, "vision_model.post_layernorm".into(), vision);
    add("query_tokens".into(), &[1, 32, queries]);
    norm(&mut add, "qformer.layernorm".into(), queries);
    for n in 0..12 {
        let name = |part: &str| format!("qformer.encoder.layer.{n}.{part}");
        for attention in if n % 2 == 0 { &["attention", "crossattention"][..] } else { &["attention"] } {
            let source = if *attention == "attention" { queries } else { vision };
            pair(&mut add, name(&format!("{attention}.attention.query")), queries, queries);
            pair(&mut add, name(&format!("{attention}.attention.key")), queries, source);
            pair(&mut add, name(&format!("{attention}.attention.value")), queries, source);
            pair(&mut add, name(&format!("{attention}.output.dense")), queries, queries);
            norm(&mut add, name(&format!("{attention}.output.LayerNorm")), queries);
        }
        pair(&mut add, name("intermediate_query.dense"), 3072, queries);
        pair(&mut add, name("output_query.dense"), queries, 3072);
        norm(&mut add, name("output_query.LayerNorm"), queries);
    }
    pair(&mut add, "language_projection".into(), hidden, queries);
    let name = |part: &str| format!("language_model.model.decoder.{part}");
    add(name("embed_tokens.weight"), &[50304, hidden]);
    add(name("embed_positions.weight"), &[2050, hidden]);
    norm(&mut add, name("final_layer_norm"), hidden);
    for n in 0..32 {
        let name = |part: &str| name(&format!("layers.{n}.{part}"));
        for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            pair(&mut add, name(&format!("self_attn.{part}")), hidden, hidden);
        }
        norm(&mut add, name("self_attn_layer_norm"), hidden);
        norm(&mut add, name("final_layer_norm"), hidden);
        pair(&mut add, name("fc1"), 10240, hidden);
        pair(&mut add, name("fc2"), hidden, 10240);
    }
    all
}
