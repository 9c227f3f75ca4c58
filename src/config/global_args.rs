//! The settings as flags.

use super::choices::{ColorChoice, DeviceChoice, Precision};
use clap::Args;
use std::path::PathBuf;

/// Flags that every command accepts.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Folder of the library, or its address on a server: postgres://USER@HOST/DATABASE [default: one library in the
    /// XDG data directory]
    #[arg(long, global = true, value_name = "DIR|ADDRESS", env = "SNAPSEEK_LIBRARY", hide_env_values = true)]
    pub library: Option<PathBuf>,
    /// The embedding model: auto, starter, clip, another name of `models list --available`, a Hugging Face name
    /// (org/name or org/name@revision) or a model folder
    #[arg(long, global = true, value_name = "NAME|DIR", env = "SNAPSEEK_MODEL")]
    pub model: Option<String>,
    /// A model that reads queries and labels in place of the one that embeds photos: clip-multilingual for German,
    /// Chinese and 50 other languages, a Hugging Face name, a folder, or own for none. The library remembers it
    #[arg(long, global = true, value_name = "NAME|DIR|own", env = "SNAPSEEK_TEXT_MODEL")]
    pub text_model: Option<String>,
    /// The model for captions, answers and --verify: smolvlm, smolvlm-256m, llava, idefics2, qwen3-vl-2b, blip2, a
    /// Hugging Face name (org/name) or a model folder. The library remembers it [default: one that is installed]
    #[arg(long, global = true, value_name = "NAME|DIR", env = "SNAPSEEK_CAPTIONER")]
    pub captioner: Option<String>,
    /// The same, for a BLIP-2: blip2, a Hugging Face name (org/name) or a model folder
    #[arg(long, global = true, value_name = "NAME|DIR", env = "SNAPSEEK_BLIP2")]
    pub blip2: Option<String>,
    /// Captioners look at each photo as a whole only, not at tiles of it too: many times faster, without small details
    #[arg(long, global = true, hide_short_help = true)]
    pub no_tiles: bool,
    /// What reads lines of text in photos: ocr-latin (with accents), ocr-cyrillic, ocr-greek, ocr-korean (`models pull`
    /// gets them), or a file with a recognition model of PaddleOCR in ONNX form [default: Chinese and English, built
    /// in]
    #[arg(long, global = true, value_name = "NAME|FILE", hide_short_help = true)]
    pub ocr: Option<PathBuf>,
    /// How exactly models compute: full as published, q8 in 8 bits (of captioners: as made by `models quantize`)
    /// [default: auto]
    #[arg(long, global = true, value_enum, value_name = "FORM", env = "SNAPSEEK_PRECISION")]
    pub precision: Option<Precision>,
    /// Where the model runs
    #[arg(long, global = true, value_enum, env = "SNAPSEEK_DEVICE")]
    pub device: Option<DeviceChoice>,
    /// Worker threads [default: one per core]
    #[arg(long, global = true, value_name = "N", env = "SNAPSEEK_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Never use the network
    #[arg(long, global = true, env = "SNAPSEEK_OFFLINE", value_parser = clap::builder::FalseyValueParser::new(), num_args = 0, default_missing_value = "true")]
    pub offline: Option<bool>,
    /// Write JSON, one object per line (schema 1)
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colours (NO_COLOR is honoured)
    #[arg(long, global = true, value_enum, value_name = "WHEN")]
    pub color: Option<ColorChoice>,
    /// Print more on stderr
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print only results and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}
