//! Choices that the command line, the config file and the terminal UI share.

use clap::ValueEnum;

/// Where the model runs.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// The processor
    Cpu,
    /// An NVIDIA GPU (needs a build with --features cuda)
    Cuda,
    /// An Apple GPU (needs a build with --features metal)
    Metal,
}

/// How exactly models compute: which form of BLIP-2 is used, and with how many bits the towers of models that embed.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// What is fastest: of BLIP-2 q4 if there is one, else q8; q8 for photos where the processor has AVX2 or VNNI; else full
    Auto,
    /// As published
    Full,
    /// 8.5 bits per weight
    Q8,
    /// 4.5 bits per weight (BLIP-2; others: as q8)
    Q4,
}

/// When to use colours.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// How pictures are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pictures {
    /// The best protocol that the terminal supports
    #[default]
    Auto,
    /// The kitty protocol
    Kitty,
    /// The iTerm2 protocol
    Iterm2,
    /// Sixel
    Sixel,
    /// Two pixels per cell, on any terminal with colours
    Halfblocks,
    /// No pictures
    None,
}

/// The colour theme.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThemeName {
    /// dark where the terminal has true colours, else ansi
    #[default]
    Auto,
    /// For dark terminals with true colours
    Dark,
    /// For light terminals with true colours
    Light,
    /// The sixteen colours of the terminal
    Ansi,
    /// No colours
    None,
}

impl ThemeName {
    /// The next theme in the order in which the UI cycles through them.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Auto | Self::Dark => Self::Light,
            Self::Light => Self::Ansi,
            Self::Ansi => Self::None,
            Self::None => Self::Dark,
        }
    }
}
