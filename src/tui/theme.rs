//! Colours.

use ratatui::style::{Color, Modifier, Style};

/// Which colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
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
    /// The one after it.
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

/// Colours by what they are for.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    /// Which they are.
    pub name: ThemeName,
    /// Plain text.
    pub text: Style,
    /// What is less important.
    pub dim: Style,
    /// What is selected, has the focus, or is a name.
    pub accent: Style,
    /// The selected line of a list.
    pub selected: Style,
    /// Marks.
    pub mark: Style,
    /// Words that were found.
    pub found: Style,
    /// What went wrong.
    pub wrong: Style,
    /// What went well.
    pub good: Style,
    /// The bar at the top.
    pub bar: Style,
    /// Bars of numbers.
    pub gauge: Style,
    /// Colours of clusters, taken in turn; none: all alike.
    pub groups: &'static [Color],
}

const fn rgb(hex: u32) -> Color {
    Color::Rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

const DARK_GROUPS: [Color; 12] = [
    rgb(0x7a_a2_f7),
    rgb(0x9e_ce_6a),
    rgb(0xe0_af_68),
    rgb(0xf7_76_8e),
    rgb(0xbb_9a_f7),
    rgb(0x7d_cf_ff),
    rgb(0xff_9e_64),
    rgb(0x73_da_ca),
    rgb(0xd4_a5_d9),
    rgb(0xc3_e8_8d),
    rgb(0xff_c7_77),
    rgb(0x86_e1_fc),
];
const LIGHT_GROUPS: [Color; 12] = [
    rgb(0x1f_4f_b8),
    rgb(0x3a_7d_1b),
    rgb(0x9a_62_00),
    rgb(0xb8_1f_44),
    rgb(0x6b_3f_b8),
    rgb(0x00_6f_8f),
    rgb(0xb3_4a_00),
    rgb(0x00_79_6b),
    rgb(0x8a_3f_8f),
    rgb(0x55_70_00),
    rgb(0x7a_4f_20),
    rgb(0x00_5f_b0),
];
const ANSI_GROUPS: [Color; 10] = [
    Color::Blue,
    Color::Green,
    Color::Yellow,
    Color::Red,
    Color::Magenta,
    Color::Cyan,
    Color::LightBlue,
    Color::LightGreen,
    Color::LightRed,
    Color::LightMagenta,
];

impl Theme {
    /// The theme of a name; `auto` is resolved by what the terminal says of its colours.
    #[must_use]
    pub fn new(name: ThemeName, true_colors: bool) -> Self {
        let plain = Style::new();
        let fg = |color| Style::new().fg(color);
        match name {
            ThemeName::Auto if true_colors => Self::new(ThemeName::Dark, true),
            ThemeName::Auto => Self::new(ThemeName::Ansi, false),
            ThemeName::Dark => Self {
                name,
                text: fg(rgb(0xc8_cc_d8)),
                dim: fg(rgb(0x80_88_9c)),
                accent: fg(rgb(0x7a_a2_f7)).add_modifier(Modifier::BOLD),
                selected: Style::new().fg(rgb(0xff_ff_ff)).bg(rgb(0x2f_3b_5c)),
                mark: fg(rgb(0xff_9e_64)).add_modifier(Modifier::BOLD),
                found: fg(rgb(0xe0_af_68)).add_modifier(Modifier::BOLD),
                wrong: fg(rgb(0xf7_76_8e)),
                good: fg(rgb(0x9e_ce_6a)),
                bar: Style::new().fg(rgb(0xa9_b1_c6)).bg(rgb(0x1f_23_33)),
                gauge: fg(rgb(0x5a_86_d8)),
                groups: &DARK_GROUPS,
            },
            ThemeName::Light => Self {
                name,
                text: fg(rgb(0x24_29_33)),
                dim: fg(rgb(0x6b_72_80)),
                accent: fg(rgb(0x1f_4f_b8)).add_modifier(Modifier::BOLD),
                selected: Style::new().fg(rgb(0x10_14_20)).bg(rgb(0xcf_dd_f7)),
                mark: fg(rgb(0xb3_4a_00)).add_modifier(Modifier::BOLD),
                found: fg(rgb(0x9a_62_00)).add_modifier(Modifier::BOLD),
                wrong: fg(rgb(0xb8_1f_44)),
                good: fg(rgb(0x3a_7d_1b)),
                bar: Style::new().fg(rgb(0x3a_41_50)).bg(rgb(0xe6_e9_f0)),
                gauge: fg(rgb(0x3f_6f_d0)),
                groups: &LIGHT_GROUPS,
            },
            ThemeName::Ansi => Self {
                name,
                text: plain,
                dim: plain.add_modifier(Modifier::DIM),
                accent: fg(Color::Cyan).add_modifier(Modifier::BOLD),
                selected: plain.add_modifier(Modifier::REVERSED),
                mark: fg(Color::Yellow).add_modifier(Modifier::BOLD),
                found: fg(Color::Yellow).add_modifier(Modifier::BOLD),
                wrong: fg(Color::Red),
                good: fg(Color::Green),
                bar: plain.add_modifier(Modifier::REVERSED),
                gauge: fg(Color::Cyan),
                groups: &ANSI_GROUPS,
            },
            ThemeName::None => Self {
                name,
                text: plain,
                dim: plain.add_modifier(Modifier::DIM),
                accent: plain.add_modifier(Modifier::BOLD),
                selected: plain.add_modifier(Modifier::REVERSED),
                mark: plain.add_modifier(Modifier::BOLD),
                found: plain.add_modifier(Modifier::BOLD.union(Modifier::UNDERLINED)),
                wrong: plain.add_modifier(Modifier::BOLD),
                good: plain,
                bar: plain.add_modifier(Modifier::REVERSED),
                gauge: plain,
                groups: &[],
            },
        }
    }

    /// The style of a cluster.
    #[must_use]
    pub fn group(&self, at: Option<usize>) -> Style {
        let color = at.and_then(|at| self.groups.get(at % self.groups.len().max(1)));
        color.map_or(self.dim, |color| Style::new().fg(*color))
    }
}
