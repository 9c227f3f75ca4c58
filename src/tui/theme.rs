//! Colour themes.

use crate::config::ThemeName;
use crate::exit::Failure;
use crate::terminal::abilities::{self, ColorDepth};
use ratatui::style::{Color, Modifier, Style};
use std::collections::BTreeMap;

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

/// Colours that the user gives parts of every theme.
#[derive(Clone, Debug, Default)]
pub struct UserColors(Vec<(&'static str, Option<Color>, Option<Color>)>);

/// The parts of a theme that can be given other colours.
const PARTS: [&str; 11] =
    ["text", "dim", "accent", "selected", "tab", "mark", "found", "wrong", "good", "bar", "gauge"];

impl UserColors {
    /// Reads the config's `[colors]`: `#7aa2f7`, `red`, or with a background `white on #2f3b5c`, `on blue`.
    ///
    /// # Errors
    /// A part or a colour does not exist (exit code 2).
    pub fn new(config: &BTreeMap<String, String>) -> anyhow::Result<Self> {
        let mut all = Vec::new();
        for (name, value) in config {
            let shown = |text: &str| crate::terminal::sanitize::text(text);
            let part = PARTS.iter().find(|part| *part == name).ok_or_else(|| {
                Failure::usage(format!(
                    "the config file: `[colors]` has no part {:?}; there are {}",
                    shown(name),
                    PARTS.join(", ")
                ))
            })?;
            let color = |text: &str| match text.trim() {
                "" => Ok(None),
                text => text.parse::<Color>().map(Some).map_err(|_| {
                    Failure::usage(format!(
                        "the config file: {:?} (for {name}) is no colour; write #7aa2f7, red, white on #2f3b5c",
                        shown(text)
                    ))
                }),
            };
            let value = format!(" {value}");
            let (front, back) = value.split_once(" on ").unwrap_or((&value, ""));
            all.push((*part, color(front)?, color(back)?));
        }
        Ok(Self(all))
    }
}

impl Theme {
    /// The same theme with the user's colours, unless it has none at all.
    #[must_use]
    pub fn with(mut self, colors: &UserColors) -> Self {
        for (part, front, back) in colors.0.iter().filter(|_| self.name != ThemeName::None) {
            let style = match *part {
                "text" => &mut self.text,
                "dim" => &mut self.dim,
                "accent" => &mut self.accent,
                "selected" => &mut self.selected,
                "tab" => &mut self.tab,
                "mark" => &mut self.mark,
                "found" => &mut self.found,
                "wrong" => &mut self.wrong,
                "good" => &mut self.good,
                "bar" => &mut self.bar,
                _ => &mut self.gauge,
            };
            (style.fg, style.bg) = (front.or(style.fg), back.or(style.bg));
        }
        self
    }

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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn users_have_colours_of_their_own() {
        let config = |list: &[(&str, &str)]| list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let colors =
            UserColors::new(&config(&[("accent", "#ff0000"), ("bar", "white on blue"), ("selected", "on 17")]))
                .unwrap();
        let plain = Theme::new(ThemeName::Dark, ColorDepth::True, None);
        let theme = plain.clone().with(&colors);
        assert_eq!((theme.accent.fg, theme.accent.add_modifier), (Some(rgb(0xff0000)), plain.accent.add_modifier));
        assert_eq!((theme.bar.fg, theme.bar.bg), (Some(Color::White), Some(Color::Blue)));
        assert_eq!((theme.selected.fg, theme.selected.bg), (plain.selected.fg, Some(Color::Indexed(17))));
        let none = Theme::new(ThemeName::None, ColorDepth::True, None);
        assert_eq!(none.clone().with(&colors).accent, none.accent, "who wants no colours gets none");
        for (part, color) in [("frame", "red"), ("text", "reddish"), ("text", "red on"), ("text", "#12")] {
            assert!(UserColors::new(&config(&[(part, color)])).is_err(), "{part} = {color}");
        }
    }
}
