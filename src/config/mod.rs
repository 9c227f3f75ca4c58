//! Settings: flags win over environment variables, which win over the config file, which wins over defaults.

mod choices;
mod excludes;
mod global_args;

pub use choices::{ColorChoice, DeviceChoice, Pictures, Precision, ThemeName};
pub use excludes::DEFAULT_EXCLUDES;
pub use global_args::GlobalArgs;

use crate::exit::Failure;
use crate::model::compute::level::Level;
use crate::model::kept;
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
    text_model: Option<String>,
    captioner: Option<String>,
    tiles: Option<bool>,
    blip2: Option<String>,
    ocr: Option<PathBuf>,
    precision: Option<Precision>,
    device: Option<DeviceChoice>,
    threads: Option<u16>,
    offline: Option<bool>,
    color: Option<ColorChoice>,
    limit: Option<usize>,
    exclude: Option<Vec<String>>,
    video: Option<bool>,
    text: Option<bool>,
    theme: Option<ThemeName>,
    pictures: Option<Pictures>,
    watch: Option<bool>,
    keys: Option<BTreeMap<String, Vec<String>>>,
    colors: Option<BTreeMap<String, String>>,
}

/// The settings of the terminal UI in the config file.
#[derive(Debug, Clone, Default)]
pub struct TuiSettings {
    /// The colour theme.
    pub theme: ThemeName,
    /// How pictures are drawn.
    pub pictures: Pictures,
    /// Whether folders are watched for changes.
    pub watch: bool,
    /// Keys for actions, by the name of the action.
    pub keys: BTreeMap<String, Vec<String>>,
    /// Colours of parts of the theme, by the name of the part.
    pub colors: BTreeMap<String, String>,
}

/// Everything a command needs to know about how it was called.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder of the library, or its address on a server.
    pub library: PathBuf,
    /// `auto`, `starter`, `clip`, `org/name` or a folder.
    pub model: String,
    /// The model that reads texts in place of the one that embeds photos: `own`, a short name, `org/name` or a folder.
    pub text_model: Option<String>,
    /// The model for captions and answers, if the user names one: a short name, `org/name` or a folder.
    pub captioner: Option<String>,
    /// Whether that model looks at tiles of a photo too, if it is one that does.
    pub tiles: bool,
    /// The model that reads lines of text, in the place of the one that is built in.
    pub ocr: Option<PathBuf>,
    /// Which form of the models to use.
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
    /// How often `-v` was given.
    pub verbose: u8,
    /// Print only results and errors.
    pub quiet: bool,
    /// Results shown when `-n` is not given.
    pub limit: usize,
    /// Patterns of folders and files that are not indexed, besides those left out by default.
    pub exclude: Vec<String>,
    /// Videos are indexed too.
    pub video: bool,
    /// The text in photos is read; `None`: as was chosen for the library.
    pub text: Option<bool>,
    /// Settings of the terminal UI.
    pub tui: TuiSettings,
}

/// Why an address with a password is no argument.
pub const PASSWORD_IN_SIGHT: &str = "has a password, which every user of this machine can see there: give it in \
    PGPASSWORD, in the file of PGPASSFILE, or in the address in SNAPSEEK_LIBRARY";

impl Settings {
    /// The same, for a command whose result is the numbers themselves: they are exact unless something else is asked
    /// for.
    #[must_use]
    pub fn for_numbers(&self) -> Self {
        let precision = if self.precision == Precision::Auto { Precision::Full } else { self.precision };
        Self { precision, ..self.clone() }
    }

    /// Reads the config file, if there is one, and applies environment variables and flags on top of it.
    ///
    /// # Errors
    /// The config file cannot be read or contains an unknown key (the message names the line and the valid keys), or no
    /// home directory is known.
    pub fn resolve(global: &GlobalArgs) -> anyhow::Result<Self> {
        Level::wanted().map_err(Failure::usage)?;
        let dirs = etcetera::choose_base_strategy().context("the home directory is unknown: set HOME")?;
        let path = dirs.config_dir().join("snapseek/config.toml");
        let file = read(&path)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let offline_env =
            std::env::var("HF_HUB_OFFLINE").is_ok_and(|v| !matches!(v.as_str(), "" | "0" | "false" | "no"));
        let no_color = std::env::var_os("NO_COLOR").filter(|v| !v.is_empty()).map(|_| ColorChoice::Never);
        if let Some(place) = &global.library
            && snapseek_index::shown(place) != *place
            && std::env::var_os("SNAPSEEK_LIBRARY").is_none_or(|named| Path::new(&named) != place)
        {
            return Err(Failure::usage(format!("--library {PASSWORD_IN_SIGHT}")));
        }
        Ok(Self {
            library: global
                .library
                .clone()
                .or(file.library)
                .unwrap_or_else(|| dirs.data_dir().join("snapseek/library")),
            model: global.model.clone().or(file.model).unwrap_or_else(|| "auto".into()),
            text_model: global.text_model.clone().or(file.text_model),
            captioner: (global.captioner.clone()).or_else(|| global.blip2.clone()).or(file.captioner).or(file.blip2),
            tiles: !global.no_tiles && file.tiles.unwrap_or(true),
            ocr: global.ocr.clone().or(file.ocr),
            precision: global.precision.or(file.precision).unwrap_or(Precision::Auto),
            device: global.device.or(file.device).unwrap_or(DeviceChoice::Cpu),
            threads: global.threads.or(file.threads).map_or(cores, usize::from).clamp(1, 1024),
            offline: offline_env || global.offline.or(file.offline).unwrap_or(false),
            json: global.json,
            color: global.color.or(no_color).or(file.color).unwrap_or(ColorChoice::Auto),
            verbose: global.verbose,
            quiet: global.quiet,
            limit: file.limit.unwrap_or(10),
            exclude: file.exclude.unwrap_or_default(),
            video: file.video.unwrap_or(false),
            text: file.text,
            tui: TuiSettings {
                theme: file.theme.unwrap_or_default(),
                pictures: file.pictures.unwrap_or_default(),
                watch: file.watch.unwrap_or(false),
                keys: file.keys.unwrap_or_default(),
                colors: file.colors.unwrap_or_default(),
            },
        })
    }

    /// All patterns of folders and files that are not indexed.
    #[must_use]
    pub fn excludes(&self) -> Vec<String> {
        DEFAULT_EXCLUDES.map(str::to_owned).into_iter().chain(self.exclude.iter().cloned()).collect()
    }

    /// The console, with the user's choice of colours and verbosity.
    #[must_use]
    pub fn console(&self) -> Console {
        let color = match self.color {
            ColorChoice::Always => Color::Always,
            ColorChoice::Never => Color::Never,
            ColorChoice::Auto => Color::OnTerminal,
        };
        Console::new(color, self.verbose, self.quiet)
    }

    /// The folder for caches, whose contents can be rebuilt at any time. If it exists, nobody else may look into it.
    ///
    /// # Errors
    /// No home directory is known.
    pub fn cache_dir() -> anyhow::Result<PathBuf> {
        let folder = etcetera::choose_base_strategy()?.cache_dir().join("snapseek");
        kept::make_private(&folder);
        Ok(folder)
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
        Failure::usage(format!("the config file {} is invalid:\n{e}", crate::terminal::sanitize::path(path)))
    })?;
    for (key, is_zero) in [("threads", file.threads == Some(0)), ("limit", file.limit == Some(0))] {
        if is_zero {
            let path = crate::terminal::sanitize::path(path);
            return Err(Failure::usage(format!("the config file {path}: {key} must be 1 or more")));
        }
    }
    for pattern in file.exclude.iter().flatten() {
        excludes::check(pattern).map_err(|error| {
            let path = crate::terminal::sanitize::path(path);
            Failure::usage(format!("the config file {path}: exclude: {error}"))
        })?;
    }
    file.library = file.library.as_deref().map(expand).transpose()?;
    file.ocr = file.ocr.as_deref().map(expand).transpose()?;
    Ok(file)
}

/// Replaces a leading `~` by the user's home directory, for paths that no shell has expanded.
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
    fn nothing_is_no_number_of_threads_or_results() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        for key in ["threads", "limit"] {
            std::fs::write(&path, format!("{key} = 0\n")).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(key) && error.contains("1 or more"), "{error}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "threads = 2\nmodle = \"clip\"\n").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("modle") && error.contains("`model`"), "{error}");
    }
}
