//! How fast the whole program is. Not a test: it prints figures, which docs/figures.md quotes.
//!
//!     cargo bench --bench speed -- stages          # one thread, milliseconds a photo for each stage
//!     cargo bench --bench speed -- index [COUNT]   # photos a second from 12-megapixel JPEGs, all cores
//!     cargo bench --bench speed -- search [COUNT]  # one cold process on a library of COUNT synthetic photos
//!     cargo bench --bench speed -- family DIR      # one thread, milliseconds for a photo and a text of the model in DIR
//!
//! Two models are measured: the starter, and a CLIP with the sizes of ViT-B/32 and random weights (about 605 MB,
//! written once to target/tmp/speed), which is as fast as the real one.

use candle_transformers::models::fastvit;
use image::imageops::FilterType;
use snapseek::duplicates::looks::Look;
use snapseek::model::dual_encoder::{DualEncoder, TextModel};
use snapseek::model::{Device, Embed, Starter, TowerBits};
use snapseek::photo::{self, DecodeLimits};
use snapseek_index::{Change, FileIdentity, FileStamp, Library, Metadata, ModelRecord, PhotoFacts, Tag};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let count = |default: usize| arguments.get(1).map_or(Ok(default), |n| n.parse());
    match arguments.first().map(String::as_str) {
        Some("stages") => stages(),
        Some("index") => index(count(200)?),
        Some("search") => search(count(100_000)?),
        Some("family") => family(Path::new(arguments.get(1).map_or("", String::as_str))),
        // For `cargo bench` and `cargo test --benches` without arguments, nothing that takes minutes.
        _ => {
            println!("name one of: stages, index, search, family");
            Ok(())
        }
    }
}

/// What the model in a folder costs: a photo in a batch of 8 and a text of 8 words, once it is loaded, and the first
/// text of a process, for which the text tower is loaded.
fn family(folder: &Path) -> anyhow::Result<()> {
    const BATCH: usize = 8;
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global()?;
    let texts = ["a dog on the grass in a park".to_owned()];
    let start = Instant::now();
    let timed = |work: &dyn Fn() -> anyhow::Result<()>| -> anyhow::Result<f64> {
        work()?;
        let run = |_| {
            let start = Instant::now();
            work()?;
            Ok(start.elapsed().as_secs_f64() * 1000.0)
        };
        let mut times = (0..5).map(run).collect::<anyhow::Result<Vec<f64>>>()?;
        times.sort_by(f64::total_cmp);
        Ok(times[2])
    };
    let mut line = String::from("snapseek: ");
    if let Ok(model) = TextModel::open(folder, None) {
        model.embed_texts(&texts, None)?;
        let first = start.elapsed().as_secs_f64();
        let text = timed(&|| model.embed_texts(&texts, None).map(drop))?;
        line += &format!("text {text:.1} ms, first text after {first:.2} s");
    } else {
        let edge = DualEncoder::open(folder, Device::Cpu, TowerBits::Full, None)?.image_size();
        let mut noise = Noise(7);
        let pixels = (0..3 * edge * edge).map(|_| (noise.next() * 127.0 + 128.0) as u8).collect();
        let picture = photo::picture::RgbPicture::whole(edge, edge, pixels);
        let mut exact = Vec::new();
        for bits in [TowerBits::Full, TowerBits::Eight] {
            let cache = workplace().join("cache");
            // What is kept from run to run is made first.
            DualEncoder::open(folder, Device::Cpu, bits, Some(&cache))?.embed_texts(&texts, None)?;
            let start = Instant::now();
            let model = DualEncoder::open(folder, Device::Cpu, bits, Some(&cache))?;
            let text_vector = model.embed_texts(&texts, None)?.swap_remove(0);
            let first = start.elapsed().as_secs_f64();
            let text = timed(&|| model.embed_texts(&texts, None).map(drop))?;
            let batch = vec![model.prepare(&picture)?; BATCH];
            let vector = model.embed_pixels(&batch)?.swap_remove(0).vector;
            let photo = timed(&|| model.embed_pixels(&batch).map(drop))? / BATCH as f64;
            line += &format!("{bits:?}: photo {photo:.1} ms, text {text:.1} ms, first text after {first:.2} s; ");
            exact.push((vector, text_vector));
        }
        if let [(photo, text), (photo_small, text_small)] = exact.as_slice() {
            let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            line += &format!("cosines {:.5} and {:.5}", cosine(photo, photo_small), cosine(text, text_small));
        }
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown").trim();
    println!("{line}, peak {peak}");
    let weights = folder.join("open_clip_model.safetensors");
    if folder.ends_with("mobileclip-s2") {
        // The same tower in candle-transformers.
        let tensors = candle_core::safetensors::load(weights, &candle_core::Device::Cpu)?;
        let tensors = candle_nn::VarBuilder::from_tensors(tensors, candle_core::DType::F32, &candle_core::Device::Cpu);
        let tower = fastvit::fastvit(&fastvit::Config::mci2(), 512, tensors.pp("visual.trunk"))?;
        let pixels = candle_core::Tensor::full(0.5_f32, (1, 3, 256, 256), &candle_core::Device::Cpu)?;
        let photo = timed(&|| candle_nn::Module::forward(&tower, &pixels).map(drop).map_err(Into::into))?;
        println!("candle-transformers: photo {photo:.1} ms, alone");
    }
    Ok(())
}

/// The folder where the random CLIP, the photos and the libraries are kept between runs.
fn workplace() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("speed")
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// Reproducible pseudorandom numbers (xorshift) from -1 to 1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// A CLIP with the sizes of openai/clip-vit-base-patch32 and random weights.
fn random_clip() -> anyhow::Result<PathBuf> {
    let folder = workplace().join("clip-vit-b32-random");
    let weights = folder.join("model.safetensors");
    if weights.exists() {
        return Ok(folder);
    }
    fs::create_dir_all(&folder)?;
    let reference = fixtures().join("reference/clip-random");
    for name in ["tokenizer.json", "preprocessor_config.json"] {
        fs::copy(reference.join(name), folder.join(name))?;
    }
    // Every size is the default of its class, so an empty section describes ViT-B/32.
    fs::write(
        folder.join("config.json"),
        r#"{"model_type":"clip","projection_dim":512,"text_config":{},"vision_config":{}}"#,
    )?;
    let mut shapes: Vec<(String, Vec<usize>)> = vec![
        ("logit_scale".into(), vec![]),
        ("text_projection.weight".into(), vec![512, 512]),
        ("visual_projection.weight".into(), vec![512, 768]),
        ("text_model.embeddings.token_embedding.weight".into(), vec![49408, 512]),
        ("text_model.embeddings.position_embedding.weight".into(), vec![77, 512]),
        ("vision_model.embeddings.class_embedding".into(), vec![768]),
        ("vision_model.embeddings.patch_embedding.weight".into(), vec![768, 3, 32, 32]),
        ("vision_model.embeddings.position_embedding.weight".into(), vec![50, 768]),
    ];
    let norms = [
        ("text_model.final_layer_norm", 512),
        ("vision_model.pre_layrnorm", 768),
        ("vision_model.post_layernorm", 768),
    ];
    let mut linear = Vec::new();
    let mut norms: Vec<(String, usize)> = norms.map(|(name, size)| (name.to_owned(), size)).to_vec();
    for (tower, size) in [("text_model", 512), ("vision_model", 768)] {
        for n in 0..12 {
            let layer = format!("{tower}.encoder.layers.{n}");
            linear.extend(
                ["q_proj", "k_proj", "v_proj", "out_proj"].map(|p| (format!("{layer}.self_attn.{p}"), size, size)),
            );
            linear.push((format!("{layer}.mlp.fc1"), 4 * size, size));
            linear.push((format!("{layer}.mlp.fc2"), size, 4 * size));
            norms.extend(["layer_norm1", "layer_norm2"].map(|p| (format!("{layer}.{p}"), size)));
        }
    }
    for (name, outputs, inputs) in linear {
        shapes.push((format!("{name}.weight"), vec![outputs, inputs]));
        shapes.push((format!("{name}.bias"), vec![outputs]));
    }
    for (name, size) in norms {
        shapes.extend(["weight", "bias"].map(|part| (format!("{name}.{part}"), vec![size])));
    }
    let mut noise = Noise(7);
    let tensors: HashMap<String, candle_core::Tensor> = shapes
        .into_iter()
        .map(|(name, shape)| {
            let size = shape.iter().product();
            let is_norm = name.contains("norm") && name.ends_with("weight");
            let values = (0..size).map(|_| if is_norm { 1.0 } else { 0.03 * noise.next() }).collect::<Vec<_>>();
            Ok((name, candle_core::Tensor::from_vec(values, shape, &candle_core::Device::Cpu)?))
        })
        .collect::<anyhow::Result<_>>()?;
    candle_core::safetensors::save(&tensors, &weights)?;
    Ok(folder)
}

/// A model's name in the output, its name for `--model`, and the model.
type Named = (&'static str, String, Box<dyn Embed>);

fn models() -> anyhow::Result<[Named; 2]> {
    let folder = random_clip()?;
    let clip = DualEncoder::open(&folder, Device::Cpu, TowerBits::Full, None)?;
    Ok([
        ("starter", "starter".into(), Box::new(Starter::built_in()?)),
        ("CLIP ViT-B/32 sizes", folder.canonicalize()?.to_string_lossy().into_owned(), Box::new(clip)),
    ])
}

/// A folder with `count` different 12-megapixel JPEGs of about 3 MB: fixture photos, enlarged, with grain.
fn photos(count: usize) -> anyhow::Result<PathBuf> {
    let folder = workplace().join(format!("photos-{count}"));
    if folder.join("done").exists() {
        return Ok(folder);
    }
    fs::create_dir_all(&folder)?;
    let mut small: Vec<PathBuf> =
        fs::read_dir(fixtures().join("photos"))?.filter_map(|e| Some(e.ok()?.path())).collect();
    small.retain(|path| path.extension().is_some_and(|e| e == "jpg"));
    small.sort();
    let mut noise = Noise(11);
    for n in 0..count {
        let photo = image::open(&small[n % small.len()])?.into_rgb8();
        let mut large = image::imageops::resize(&photo, 4000, 3000, FilterType::CatmullRom);
        for v in large.iter_mut() {
            *v = (f32::from(*v) + 4.0 * noise.next()).clamp(0.0, 255.0) as u8;
        }
        let file = fs::File::create(folder.join(format!("{n:05}.jpg")))?;
        image::codecs::jpeg::JpegEncoder::new_with_quality(std::io::BufWriter::new(file), 88).encode_image(&large)?;
    }
    fs::write(folder.join("done"), "")?;
    Ok(folder)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn stages() -> anyhow::Result<()> {
    const PHOTOS: usize = 24;
    let folder = photos(PHOTOS)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let limits = DecodeLimits::default();
    pool.install(|| {
        println!(
            "{:22}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>14}",
            "ms a photo, median", "read", "hash", "identity", "decode", "resize", "look", "embed (of 8)"
        );
        let eight = DualEncoder::open(&random_clip()?, Device::Cpu, TowerBits::Eight, None)?;
        let eight: Named = ("the same in 8 bits", String::new(), Box::new(eight));
        for (name, _, model) in models()?.into_iter().chain([eight]) {
            let mut times: [Vec<Duration>; 7] = Default::default();
            let mut batch = Vec::new();
            for n in 0..PHOTOS {
                let mut clock = Instant::now();
                let mut lap = |stage: usize| {
                    times[stage].push(clock.elapsed());
                    clock = Instant::now();
                };
                let bytes = photo::read(&folder.join(format!("{n:05}.jpg")), &limits)?;
                lap(0);
                std::hint::black_box(blake3::hash(&bytes));
                lap(1);
                std::hint::black_box(photo::identity::outline(&bytes));
                lap(2);
                let picture = photo::decode(&bytes, Some(2 * model.image_size()), &limits)?.picture;
                lap(3);
                batch.push(model.prepare(&picture)?);
                lap(4);
                std::hint::black_box(Look::of(&picture)?);
                lap(5);
                if batch.len() == 8 {
                    let started = Instant::now();
                    model.embed_pixels(&batch)?;
                    times[6].push(started.elapsed() / 8);
                    batch.clear();
                }
            }
            let [read, hash, identity, decode, resize, look, embed] = times.map(median);
            println!("{name:22}{read:9.1}{hash:9.1}{identity:9.2}{decode:9.1}{resize:9.1}{look:9.2}{embed:14.1}");
        }
        let small = photo::decode(&fs::read(fixtures().join("photos/cat.jpg"))?, None, &limits)?.picture;
        let look = |_| {
            let started = Instant::now();
            std::hint::black_box(Look::of(&small)?);
            Ok(started.elapsed())
        };
        let times = (0..99).map(look).collect::<anyhow::Result<Vec<_>>>()?;
        println!("the look of a photo of {}x{}: {:.2} ms", small.width, small.height, median(times));
        Ok(())
    })
}

fn index(count: usize) -> anyhow::Result<()> {
    let folder = photos(count)?;
    for (name, model, _) in models()? {
        for run in 1..=3 {
            let library = tempfile::tempdir()?;
            let mut command = snapseek(library.path(), &model);
            command.args(["index", "--json"]).arg(&folder);
            let (seconds, peak, _) = timed(&mut command)?;
            println!("{name}, run {run}: {:.1} photos a second, peak memory {peak} MB", count as f64 / seconds);
        }
    }
    Ok(())
}

fn search(count: usize) -> anyhow::Result<()> {
    const RUNS: usize = 15;
    for (name, model_name, model) in models()? {
        let identity = model.identity().clone();
        let folder = workplace().join(format!("library-{}-{count}", &identity.fingerprint[..16]));
        if !folder.join("done").exists() {
            fill(
                &folder,
                ModelRecord { name: model_name.clone(), fingerprint: identity.fingerprint, dim: identity.dim },
                count,
            )?;
        }
        let mut times = Vec::new();
        let mut peak = 0;
        for run in 0..RUNS {
            let mut command = snapseek(&folder, &model_name);
            command.args(["search", "--json", "--all", &format!("a red car number {run}")]);
            let (seconds, memory, output) = timed(&mut command)?;
            anyhow::ensure!(output.lines().count() == 10, "the search found {} photos", output.lines().count());
            times.push(Duration::from_secs_f64(seconds));
            peak = peak.max(memory);
        }
        println!(
            "{name}: one search process on {count} photos: median {:.0} ms of {RUNS}, peak memory {peak} MB",
            median(times)
        );
    }
    Ok(())
}

/// Fills a library with synthetic photos: clustered embeddings, a few tags, made-up paths.
fn fill(folder: &Path, model: ModelRecord, count: usize) -> anyhow::Result<()> {
    const CLUSTERS: usize = 1000;
    let _ = fs::remove_dir_all(folder);
    let started = Instant::now();
    let labels: Vec<String> =
        fs::read_to_string(fixtures().join("../models/starter/labels.txt"))?.lines().map(str::to_owned).collect();
    let mut noise = Noise(23);
    let dim = model.dim;
    let centres: Vec<Vec<f32>> = (0..CLUSTERS).map(|_| (0..dim).map(|_| noise.next()).collect()).collect();
    let library = Library::create(folder)?;
    let mut writer = library.lock()?;
    writer.set_model(&model)?;
    let root = PathBuf::from("/photos");
    writer.add_root(&root)?;
    for start in (0..count).step_by(1000) {
        let changes: Vec<Change> = (start..count.min(start + 1000))
            .map(|n| {
                let mut embedding: Vec<f32> = centres[n % CLUSTERS].iter().map(|c| c + 0.7 * noise.next()).collect();
                let norm = embedding.iter().map(|v| v * v).sum::<f32>().sqrt();
                embedding.iter_mut().for_each(|v| *v /= norm);
                let tags = (0..3).map(|t| Tag { label: labels[(n * 7 + t * 331) % labels.len()].clone(), score: 0.3 });
                Change::Photo {
                    path: root.join(format!("{}/{:02}/IMG_{n:06}.jpg", 2000 + n % 25, n % 12 + 1)),
                    root: root.clone(),
                    stamp: FileStamp { size: 3_000_000 + n as u64, mtime_ns: n as i64 },
                    identity: FileIdentity {
                        file: *blake3::hash(&(n as u64 + 1).to_be_bytes()).as_bytes(),
                        picture: *blake3::hash(&n.to_le_bytes()).as_bytes(),
                        version: 1,
                    },
                    facts: PhotoFacts {
                        width: 4000,
                        height: 3000,
                        format: "jpeg".into(),
                        remark: None,
                        colors: None,
                        metadata: Metadata {
                            taken: Some(format!("{}-{:02}-15T12:00:00", 2000 + n % 25, n % 12 + 1)),
                            camera: Some("Canon EOS 80D".into()),
                            ..Metadata::default()
                        },
                    },
                    embedding,
                    tags: tags.collect(),
                }
            })
            .collect();
        writer.apply(&changes)?;
    }
    println!("{count} photos written in {:.0} s", started.elapsed().as_secs_f64());
    writer.refresh_caches(&mut |_, _, _| true)?;
    let scores = snapseek_index::ScoreStats { count: 32 * count, mean: 0.0, std: 0.05 };
    library.set_neutral_scores(&model, &scores)?;
    println!("caches built after {:.0} s", started.elapsed().as_secs_f64());
    fs::write(folder.join("done"), "")?;
    Ok(())
}

fn snapseek(library: &Path, model: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_snapseek"));
    command.args(["--offline", "--quiet", "--library"]).arg(library).args(["--model", model]);
    command.env("XDG_CONFIG_HOME", workplace()).env("XDG_CACHE_HOME", workplace().join("cache"));
    command
}

/// The seconds, peak memory in MB (read from /proc every millisecond) and output of a process.
fn timed(command: &mut Command) -> anyhow::Result<(f64, u64, String)> {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        if let Ok(text) = fs::read_to_string(&status)
            && let Some(line) = text.lines().find(|line| line.starts_with("VmHWM"))
        {
            peak = line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(peak);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let ended = child.wait()?;
    let seconds = started.elapsed().as_secs_f64();
    let mut output = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        std::io::Read::read_to_string(&mut stdout, &mut output)?;
    }
    anyhow::ensure!(matches!(ended.code(), Some(0 | 1)), "{command:?} ended with {ended}");
    Ok((seconds, peak / 1024, output))
}
