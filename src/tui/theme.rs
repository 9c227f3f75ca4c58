//! Colour themes.

use crate::config::ThemeName;
use crate::terminal::abilities::{self, ColorDepth};
use ratatui::style::{Color, Modifier, Style};

/// Styles by purpose.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    /// Its name.
    pub name: ThemeName,
    /// The background of everything; the terminal's own if it has no colour.
    pub ground: Style,
    /// The place in the bar at the top where the user is.
    pub tab: Style,
    /// Plain text.
    pub text: Style,
    /// Less important text.
    pub dim: Style,
    /// Selected or focused elements, and names.
    pub accent: Style,
    /// The selected line of a list.
    pub selected: Style,
    /// Marks.
    pub mark: Style,
    /// Words of the query in a caption.
    pub found: Style,
    /// Errors.
    pub wrong: Style,
    /// Messages of success.
    pub good: Style,
    /// The bar at the top.
    pub bar: Style,
    /// Bars that show numbers.
    pub gauge: Style,
    /// Colours of clusters, used in rotation; if empty, all clusters look alike.
    pub groups: &'static [Color],
}

const fn rgb(hex: u32) -> Color {
    Color::Rgb((hex >> 16) as u8, (hex >> 8) as u8, hex as u8)
}

const DARK_GROUPS: [Color; 12] = [
    rgb(0x7aa2f7),
    rgb(0x9ece6a),
    rgb(0xe0af68),
    rgb(0xf7768e),
    rgb(0xbb9af7),
    rgb(0x7dcfff),
    rgb(0xff9e64),
    rgb(0x73daca),
    rgb(0xd4a5d9),
    rgb(0xc3e88d),
    rgb(0xffc777),
    rgb(0x86e1fc),
];
const LIGHT_GROUPS: [Color; 12] = [
    rgb(0x1f4fb8),
    rgb(0x3a7d1b),
    rgb(0x9a6200),
    rgb(0xb81f44),
    rgb(0x6b3fb8),
    rgb(0x006f8f),
    rgb(0xb34a00),
    rgb(0x00796b),
    rgb(0x8a3f8f),
    rgb(0x557000),
    rgb(0x7a4f20),
    rgb(0x005fb0),
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
    /// The theme with this name for a terminal that shows so many colours on this background; `auto` is the one that
    /// fits it. Where the background is not what the theme was made for, it has its own.
    #[must_use]
    pub fn new(name: ThemeName, colors: ColorDepth, background: Option<[u8; 3]>) -> Self {
        let is_light = background.map(abilities::is_light);
        let name = match name {
            ThemeName::Auto if colors == ColorDepth::Sixteen => ThemeName::Ansi,
            ThemeName::Auto if is_light == Some(true) => ThemeName::Light,
            ThemeName::Auto => ThemeName::Dark,
            name => name,
        };
        let ground = match name {
            ThemeName::Dark if is_light != Some(false) => Style::new().bg(rgb(0x16_18_22)),
            ThemeName::Light if is_light != Some(true) => Style::new().bg(rgb(0xfa_fa_f7)),
            _ => Style::new(),
        };
        Self { ground, ..Self::named(name) }
    }

    fn named(name: ThemeName) -> Self {
        let ground = Style::new();
        let plain = Style::new();
        let fg = |color| Style::new().fg(color);
        match name {
            ThemeName::Auto | ThemeName::Dark => Self {
                name: ThemeName::Dark,
                ground,
                tab: Style::new().fg(rgb(0xffffff)).bg(rgb(0x2f3b5c)),
                text: fg(rgb(0xc8ccd8)),
                dim: fg(rgb(0x80889c)),
                accent: fg(rgb(0x7aa2f7)).add_modifier(Modifier::BOLD),
                selected: Style::new().fg(rgb(0xffffff)).bg(rgb(0x2f3b5c)),
                mark: fg(rgb(0xff9e64)).add_modifier(Modifier::BOLD),
                found: fg(rgb(0xe0af68)).add_modifier(Modifier::BOLD),
                wrong: fg(rgb(0xf7768e)),
                good: fg(rgb(0x9ece6a)),
                bar: Style::new().fg(rgb(0xa9b1c6)).bg(rgb(0x1f2333)),
                gauge: fg(rgb(0x5a86d8)),
                groups: &DARK_GROUPS,
            },
            ThemeName::Light => Self {
                name,
                ground,
                tab: Style::new().fg(rgb(0x101420)).bg(rgb(0xcfddf7)),
                text: fg(rgb(0x242933)),
                dim: fg(rgb(0x6b7280)),
                accent: fg(rgb(0x1f4fb8)).add_modifier(Modifier::BOLD),
                selected: Style::new().fg(rgb(0x101420)).bg(rgb(0xcfddf7)),
                mark: fg(rgb(0xb34a00)).add_modifier(Modifier::BOLD),
                found: fg(rgb(0x9a6200)).add_modifier(Modifier::BOLD),
                wrong: fg(rgb(0xb81f44)),
                good: fg(rgb(0x3a7d1b)),
                bar: Style::new().fg(rgb(0x3a4150)).bg(rgb(0xe6e9f0)),
                gauge: fg(rgb(0x3f6fd0)),
                groups: &LIGHT_GROUPS,
            },
            ThemeName::Ansi => Self {
                name,
                ground,
                // In a bar that is reversed, what is not stands out.
                tab: plain.remove_modifier(Modifier::REVERSED).add_modifier(Modifier::BOLD),
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
                ground,
                // In a bar that is reversed, what is not stands out.
                tab: plain.remove_modifier(Modifier::REVERSED).add_modifier(Modifier::BOLD),
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

    /// The style of the cluster at this position; `None`: of photos in no cluster.
    #[must_use]
    pub fn group(&self, at: Option<usize>) -> Style {
        let color = at.and_then(|at| self.groups.get(at % self.groups.len().max(1)));
        color.map_or(self.dim, |color| Style::new().fg(*color))
    }
}
