//! Settings: flags win over environment variables, which win over the config file, which wins over defaults.

mod choices;
mod global_args;

pub use choices::{ColorChoice, DeviceChoice, Pictures, Precision, ThemeName};
pub use global_args::GlobalArgs;

use crate::exit::Failure;
use crate::terminal::console::{Color, Console};
use anyhow::Context;
use etcetera::BaseStrategy;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The config file's keys, all optional.
#[derive(serde::Deserialize, Default, Debug)]
#[serde(deny_unknown_fields)]
struct File {
    library: Option<PathBuf>,
    model: Option<String>,
    blip2: Option<String>,
    precision: Option<Precision>,
    device: Option<DeviceChoice>,
    threads: Option<u16>,
    offline: Option<bool>,
    color: Option<ColorChoice>,
    limit: Option<usize>,
    theme: Option<ThemeName>,
    pictures: Option<Pictures>,
    watch: Option<bool>,
    keys: Option<BTreeMap<String, Vec<String>>>,
}

/// What the config file says of the terminal UI.
#[derive(Debug, Clone, Default)]
pub struct TuiSettings {
    /// Which colours.
    pub theme: ThemeName,
    /// How pictures are drawn.
    pub pictures: Pictures,
    /// Folders are watched.
    pub watch: bool,
    /// Other keys for actions, by name.
    pub keys: BTreeMap<String, Vec<String>>,
}

/// Everything a command needs to know about how it was called.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder of the library.
    pub library: PathBuf,
    /// `auto`, `starter`, `clip`, `org/name` or a folder.
    pub model: String,
    /// `blip2`, `org/name` or a folder.
    pub blip2: String,
    /// Which form of it.
    pub precision: Precision,
    /// Where the model runs.
    pub device: DeviceChoice,
    /// Worker threads.
    pub threads: usize,
    /// Never touch the network.
    pub offline: bool,
    /// JSON lines on stdout.
    pub json: bool,
    /// When to use colours.
    pub color: ColorChoice,
    /// 0, 1 or more.
    pub verbose: u8,
    /// Only results and errors.
    pub quiet: bool,
    /// Results shown when `-n` is not given.
    pub limit: usize,
    /// Of the terminal UI.
    pub tui: TuiSettings,
}

impl Settings {
    /// Reads the config file, if there is one, and lays the flags over it.
    ///
    /// # Errors
    /// A config file that cannot be read, or holds an unknown key (the message names the line and the valid keys).
    pub fn resolve(global: &GlobalArgs) -> anyhow::Result<Self> {
        let dirs =
            etcetera::choose_base_strategy().context("no home directory is known: set HOME, or pass --library")?;
        let path = dirs.config_dir().join("snapseek/config.toml");
        let file = read(&path)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let offline_env =
            std::env::var("HF_HUB_OFFLINE").is_ok_and(|v| !matches!(v.as_str(), "" | "0" | "false" | "no"));
        let no_color = std::env::var_os("NO_COLOR").filter(|v| !v.is_empty()).map(|_| ColorChoice::Never);
        Ok(Self {
            library: global
                .library
                .clone()
                .or(file.library)
                .unwrap_or_else(|| dirs.data_dir().join("snapseek/library")),
            model: global.model.clone().or(file.model).unwrap_or_else(|| "auto".into()),
            blip2: global.blip2.clone().or(file.blip2).unwrap_or_else(|| "blip2".into()),
            precision: global.precision.or(file.precision).unwrap_or(Precision::Auto),
            device: global.device.or(file.device).unwrap_or(DeviceChoice::Cpu),
            threads: global.threads.or(file.threads).map_or(cores, usize::from).clamp(1, 1024),
            offline: offline_env || global.offline.or(file.offline).unwrap_or(false),
            json: global.json,
            color: global.color.or(no_color).or(file.color).unwrap_or(ColorChoice::Auto),
            verbose: global.verbose,
            quiet: global.quiet,
            limit: file.limit.unwrap_or(10),
            tui: TuiSettings {
                theme: file.theme.unwrap_or_default(),
                pictures: file.pictures.unwrap_or_default(),
                watch: file.watch.unwrap_or(false),
                keys: file.keys.unwrap_or_default(),
            },
        })
    }

    /// The program's outputs, as the user wants them.
    #[must_use]
    pub fn console(&self) -> Console {
        let color = match self.color {
            ColorChoice::Always => Color::Always,
            ColorChoice::Never => Color::Never,
            ColorChoice::Auto => Color::OnTerminal,
        };
        Console::new(color, self.verbose, self.quiet)
    }

    /// Where things that can be made again are kept.
    ///
    /// # Errors
    /// No home directory is known.
    pub fn cache_dir() -> anyhow::Result<PathBuf> {
        Ok(etcetera::choose_base_strategy()?.cache_dir().join("snapseek"))
    }
}

fn read(path: &Path) -> anyhow::Result<File> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(File::default()),
        Err(e) => {
            return Err(e)
                .with_context(|| format!("the config file {} cannot be read", crate::terminal::sanitize::path(path)));
        }
    };
    let mut file: File = toml::from_str(&text).map_err(|e| {
        Failure::usage(format!("the config file {} is not right:\n{e}", crate::terminal::sanitize::path(path)))
    })?;
    if file.threads == Some(0) {
        return Err(Failure::usage(format!(
            "the config file {}: threads must be 1 or more",
            crate::terminal::sanitize::path(path)
        )));
    }
    file.library = file.library.as_deref().map(expand).transpose()?;
    Ok(file)
}

/// A path as a shell would read it that did not see it: `~` is the user's home.
///
/// # Errors
/// No home directory is known.
pub fn expand(path: &Path) -> anyhow::Result<PathBuf> {
    match path.strip_prefix("~") {
        Ok(rest) => Ok(etcetera::home_dir()?.join(rest)),
        Err(_) => Ok(path.to_path_buf()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "threads = 2\nmodle = \"clip\"\n").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("modle") && error.contains("`model`"), "{error}");
    }
}
