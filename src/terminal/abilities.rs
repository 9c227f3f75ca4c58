//! What the terminal can do, by what it says of itself and by its environment: pictures, colours, and which background
//! it has. Where it says nothing, it is trusted with nothing.

use ratatui::style::Color;
use ratatui_image::picker::ProtocolType;
use ratatui_image::picker::cap_parser::{Parser, QueryStdioOptions, Response};

/// How many colours the terminal shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorDepth {
    /// The sixteen colours that its user chose.
    #[default]
    Sixteen,
    /// 256, of which the cube and the greys are the same everywhere.
    Indexed,
    /// 24 bits.
    True,
}

impl ColorDepth {
    /// The nearest colour that the terminal shows.
    #[must_use]
    pub fn nearest(self, color: Color) -> Color {
        match (self, color) {
            (Self::Indexed, Color::Rgb(r, g, b)) => Color::Indexed(nearest_of_256([r, g, b])),
            (Self::Sixteen, Color::Rgb(r, g, b)) => Color::Indexed(nearest_of_16([r, g, b])),
            (_, color) => color,
        }
    }
}

/// What the terminal can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// The best way to draw pictures, if there is one beyond half blocks.
    pub pictures: Option<ProtocolType>,
    /// How many colours it shows.
    pub colors: ColorDepth,
    /// The colour of its background, if it says.
    pub background: Option<[u8; 3]>,
    /// Width and height of a cell in pixels, if it says.
    pub cell: Option<(u16, u16)>,
}

/// The environment variables that tell terminals apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    term: String,
    colorterm: String,
    program: String,
    has_tmux: bool,
    has_screen: bool,
}

impl Surroundings {
    pub(super) fn of_this_process() -> Self {
        let read = |name| std::env::var(name).unwrap_or_default();
        Self {
            term: read("TERM"),
            colorterm: read("COLORTERM"),
            program: read("TERM_PROGRAM"),
            has_tmux: !read("TMUX").is_empty(),
            has_screen: !read("STY").is_empty(),
        }
    }

    /// Whether the terminal runs inside of tmux.
    pub(super) fn is_in_tmux(&self) -> bool {
        self.has_tmux || self.term.starts_with("tmux") || self.program == "tmux"
    }

    /// Whether questions are answered in time and with nothing but answers. GNU screen passes some answers on after the
    /// last one, where they would be read as keys; the consoles of kernels print questions that they do not know.
    pub(super) fn may_be_asked(&self) -> bool {
        let is_screen = self.has_screen || self.term.starts_with("screen") && !self.is_in_tmux();
        let is_console = ["", "dumb", "linux", "cons25", "vt52"].contains(&self.term.as_str());
        !is_screen && !is_console
    }
}

/// What the environment alone says: for a program that does not ask.
#[must_use]
pub fn colors_by_environment() -> ColorDepth {
    colors(&Surroundings::of_this_process(), &TerminalKind::Unknown)
}

/// The question to the terminal; every terminal answers its end.
pub(super) fn question(in_tmux: bool) -> String {
    let (start, escape, end) = Parser::tmux_start_escape_end(in_tmux);
    let options = QueryStdioOptions { terminal_background_color_osc: true, ..QueryStdioOptions::default() };
    // Its name first: the other question ends with what tells that all answers have come.
    format!("{start}{escape}[>0q{end}{}", Parser::query(in_tmux, options))
}

/// Collects the bytes of the terminal's answers.
#[derive(Default)]
pub(super) struct Answers {
    bytes: Vec<u8>,
    parser: Parser,
    responses: Vec<Response>,
}

impl Answers {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.responses.extend(self.parser.push(char::from(*byte)));
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the last answer has come.
    pub(super) fn are_complete(&self) -> bool {
        self.responses.contains(&Response::Status)
    }

    /// The terminal's name and version (XTVERSION), if it says.
    fn name(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.bytes);
        let (_, after) = text.split_once("\x1bP>|")?;
        let (name, _) = after.split_once('\x1b')?;
        Some(name.to_owned())
    }

    /// The colour of the background (OSC 11): three numbers of one to four hexadecimal digits.
    fn background(&self) -> Option<[u8; 3]> {
        let text = String::from_utf8_lossy(&self.bytes);
        let (_, after) = text.split_once("\x1b]11;rgb")?;
        let (value, _) = after.split_once(['\x1b', '\x07'])?;
        let mut parts = value.trim_start_matches('a').strip_prefix(':')?.split('/').map(|part| {
            let most = 16_u32.checked_pow(u32::try_from(part.len()).ok()?)?.checked_sub(1).filter(|most| *most > 0)?;
            u8::try_from(u32::from_str_radix(part, 16).ok()? * 255 / most).ok()
        });
        Some([parts.next()??, parts.next()??, parts.next()??])
    }

    pub(super) fn abilities(&self, around: &Surroundings) -> Abilities {
        let kind = self.name().map_or(TerminalKind::Unknown, |name| TerminalKind::of(&name));
        let says = |response| self.responses.contains(&response);
        let is_sixel = says(Response::Sixel);
        let colors = colors(around, &kind);
        // It hides the ids of pictures in colours of 24 bits.
        let kitty = (says(Response::Kitty) && colors == ColorDepth::True).then_some(ProtocolType::Kitty);
        let pictures = match kind {
            // Only placeholders in cells can be scrolled, covered and cut off: kitty has them since 0.28.
            TerminalKind::Kitty(version) => kitty.filter(|_| version >= (0, 28)),
            TerminalKind::Ghostty => kitty,
            // What tmux passes on is drawn over the screen, wherever tmux puts the program.
            _ if around.is_in_tmux() => None,
            TerminalKind::WezTerm | TerminalKind::Iterm2 => Some(ProtocolType::Iterm2),
            // Konsole draws kitty's placeholders as characters, and its sixels leave traces.
            TerminalKind::Konsole | TerminalKind::Multiplexer => None,
            TerminalKind::Foot | TerminalKind::Xterm | TerminalKind::XtermJs | TerminalKind::Unknown => {
                is_sixel.then_some(ProtocolType::Sixel)
            }
        };
        let cell = self.responses.iter().find_map(|response| match response {
            Response::CellSize(Some((width, height))) if *width > 0 && *height > 0 => Some((*width, *height)),
            _ => None,
        });
        Abilities { pictures, colors, background: self.background(), cell }
    }
}

/// Terminals that differ in what they can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TerminalKind {
    /// With the first two numbers of its version.
    Kitty((u32, u32)),
    Ghostty,
    WezTerm,
    Konsole,
    Foot,
    Iterm2,
    Xterm,
    /// VS Code and other programs that embed xterm.js.
    XtermJs,
    /// tmux or screen.
    Multiplexer,
    Unknown,
}

impl TerminalKind {
    /// The terminal of this name, as XTVERSION gives it.
    fn of(name: &str) -> Self {
        let lower = name.to_ascii_lowercase();
        let version = |name: &str| {
            let numbers = lower[name.len()..].trim_start_matches(['(', ' ']).split(|c: char| !c.is_ascii_digit());
            let mut numbers = numbers.map_while(|number| number.parse().ok());
            (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
        };
        match lower.as_str() {
            name if name.starts_with("kitty") => Self::Kitty(version("kitty")),
            name if name.starts_with("ghostty") => Self::Ghostty,
            name if name.starts_with("wezterm") => Self::WezTerm,
            name if name.starts_with("konsole") => Self::Konsole,
            name if name.starts_with("foot") => Self::Foot,
            name if name.starts_with("iterm2") => Self::Iterm2,
            name if name.starts_with("xterm.js") => Self::XtermJs,
            name if name.starts_with("xterm") => Self::Xterm,
            name if name.starts_with("tmux") || name.starts_with("screen") => Self::Multiplexer,
            _ => Self::Unknown,
        }
    }
}

fn colors(around: &Surroundings, kind: &TerminalKind) -> ColorDepth {
    let Surroundings { term, colorterm, .. } = around;
    let says_so = colorterm.contains("truecolor") || colorterm.contains("24bit") || term.ends_with("-direct");
    let is_known = !around.is_in_tmux()
        && !matches!(kind, TerminalKind::Xterm | TerminalKind::Multiplexer | TerminalKind::Unknown);
    let is_named = ["xterm-kitty", "xterm-ghostty", "alacritty", "foot", "wezterm"];
    if says_so || is_known || is_named.iter().any(|name| term.starts_with(name)) {
        ColorDepth::True
    } else if term.contains("256color") || *kind == TerminalKind::Xterm {
        ColorDepth::Indexed
    } else {
        ColorDepth::Sixteen
    }
}

/// The nearest colour of the 6 x 6 x 6 cube or of the greys of a terminal with 256 colours.
fn nearest_of_256(rgb: [u8; 3]) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let distance = |other| squares(rgb, other);
    let level = |value: u8| (0..6_u8).min_by_key(|n| LEVELS[usize::from(*n)].abs_diff(value)).unwrap_or(0);
    let [r, g, b] = rgb.map(level);
    let cube = [r, g, b].map(|n| LEVELS[usize::from(n)]);
    let mean = (rgb.iter().map(|v| u32::from(*v)).sum::<u32>() / 3) as u8;
    let grey = (mean.saturating_sub(3) / 10).min(23);
    if distance([8 + 10 * grey; 3]) < distance(cube) { 232 + grey } else { 16 + 36 * r + 6 * g + b }
}

/// The nearest of sixteen colours, as xterm has them; those of the user may differ.
fn nearest_of_16(rgb: [u8; 3]) -> u8 {
    const COLORS: [[u8; 3]; 16] = [
        [0, 0, 0],
        [205, 0, 0],
        [0, 205, 0],
        [205, 205, 0],
        [0, 0, 238],
        [205, 0, 205],
        [0, 205, 205],
        [229, 229, 229],
        [127, 127, 127],
        [255, 0, 0],
        [0, 255, 0],
        [255, 255, 0],
        [92, 92, 255],
        [255, 0, 255],
        [0, 255, 255],
        [255, 255, 255],
    ];
    let distance = |n: &u8| squares(rgb, COLORS[usize::from(*n)]);
    (0..16).min_by_key(distance).unwrap_or(0)
}

fn squares(a: [u8; 3], b: [u8; 3]) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
}

/// Whether a colour is light rather than dark, by its luma (Rec. 601).
#[must_use]
pub fn is_light([r, g, b]: [u8; 3]) -> bool {
    299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b) > 127_500
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abilities(answers: &str, around: &[(&str, &str)]) -> Abilities {
        let mut surroundings = Surroundings::default();
        for (name, value) in around {
            match *name {
                "TERM" => surroundings.term = (*value).to_owned(),
                "COLORTERM" => surroundings.colorterm = (*value).to_owned(),
                "TERM_PROGRAM" => surroundings.program = (*value).to_owned(),
                "TMUX" => surroundings.has_tmux = true,
                "STY" => surroundings.has_screen = true,
                _ => panic!("{name}"),
            }
        }
        assert_eq!(surroundings.may_be_asked(), !answers.is_empty(), "{around:?}");
        let mut read = Answers::default();
        // As it may arrive: in pieces.
        answers.as_bytes().chunks(3).for_each(|piece| read.push(piece));
        assert_eq!(read.are_complete(), !answers.is_empty(), "{answers:?}");
        read.abilities(&surroundings)
    }

    #[test]
    fn colours_are_the_nearest_that_there_are() {
        assert_eq!([[255, 0, 0], [0; 3], [128; 3], [255; 3]].map(nearest_of_256), [196, 16, 244, 231]);
        assert_eq!([[255, 0, 0], [0; 3], [128; 3], [250; 3], [0, 0, 200]].map(nearest_of_16), [9, 0, 8, 15, 4]);
        assert_eq!(ColorDepth::True.nearest(Color::Rgb(1, 2, 3)), Color::Rgb(1, 2, 3));
        assert_eq!(ColorDepth::Sixteen.nearest(Color::Cyan), Color::Cyan);
    }

    const DARK: Option<[u8; 3]> = Some([0, 0, 0]);

    /// Recorded: what these terminals answered to the question, on Debian 12 under Xvfb.
    #[test]
    fn recorded_terminals_are_known_by_what_they_can_do() {
        let kitty = "\x1bP>|kitty(0.26.5)\x1b\\\x1b]11;rgb:0000/0000/0000\x1b\\\x1b_Gi=31;OK\x1b\\\x1b[?62;c\x1b[6;18;9t\x1b[0n";
        let old = abilities(kitty, &[("TERM", "xterm-kitty"), ("COLORTERM", "truecolor")]);
        let known = Abilities { pictures: None, colors: ColorDepth::True, background: DARK, cell: Some((9, 18)) };
        assert_eq!(old, known, "its placeholders would be drawn as characters");
        let xterm =
            "\x1bP>|XTerm(379)\x1b\\\x1b]11;rgb:ffff/ffff/ffff\x1b\\\x1b[?64;1;2;6;9;15;16;17;18;21;22;28c\x1b[0n";
        let white = Some([255; 3]);
        let plain = Abilities { pictures: None, colors: ColorDepth::Indexed, background: white, cell: None };
        assert_eq!(abilities(xterm, &[("TERM", "xterm")]), plain);
        let vt340 = "\x1bP>|XTerm(379)\x1b\\\x1b]11;rgb:fdfd/f6f6/e3e3\x1b\\\x1b[?63;1;2;4;6;9;15;16;22;28c\x1b[0n";
        let sixel = abilities(vt340, &[("TERM", "xterm")]);
        assert_eq!((sixel.pictures, sixel.background), (Some(ProtocolType::Sixel), Some([0xfd, 0xf6, 0xe3])));
        assert!(sixel.background.is_some_and(is_light) && !is_light([0x1f, 0x23, 0x33]));
        let tmux = "\x1bP>|tmux 3.3a\x1b\\\x1b[?1;2c\x1b[0n";
        let inside = [("TERM", "tmux-256color"), ("TERM_PROGRAM", "tmux"), ("TMUX", "1")];
        let own = Abilities { colors: ColorDepth::Indexed, ..Abilities::default() };
        assert_eq!(abilities(tmux, &inside), own);
        // With `allow-passthrough`, the terminal around it answers.
        let through = abilities(vt340, &inside);
        assert_eq!((through.pictures, through.colors), (None, ColorDepth::Indexed));
        let konsole = "\x1bP>|Konsole 22.12.3\x1b\\\x1b]11;rgb:2323/2626/2727\x1b\\\x1b_Gi=31;OK\x1b\\\x1b[?62;1;4c\x1b[6;17;8t\x1b[0n";
        let konsole = abilities(konsole, &[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]);
        assert_eq!((konsole.pictures, konsole.background), (None, Some([0x23, 0x26, 0x27])));
        let alacritty = "\x1b]11;rgb:1d1d/1f1f/2121\x1b\\\x1b[?6c\x1b[0n";
        let alacritty = abilities(alacritty, &[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]);
        assert_eq!((alacritty.pictures, alacritty.colors), (None, ColorDepth::True));
        // GNU screen is not asked: it answered "\x1b[?1;2c\x1b[0n\x1b]11;rgb:ffff/ffff/ffff\x1b\\", in this order.
        assert_eq!(abilities("", &[("TERM", "screen"), ("STY", "1")]), Abilities::default());
        assert_eq!(abilities("", &[("TERM", "linux")]), Abilities::default());
    }

    #[test]
    fn a_background_has_one_to_four_digits_for_each_colour() {
        let background = |says: &str| {
            let mut answers = Answers::default();
            answers.push(format!("\x1b]11;{says}\x07\x1b[0n").as_bytes());
            answers.background()
        };
        for says in ["rgb:f/8/0", "rgb:ff/88/00", "rgb:fff/888/000", "rgb:ffff/8888/0000", "rgba:ffff/8888/0000/ffff"] {
            assert_eq!(background(says), Some([255, 136, 0]), "{says}");
        }
        for says in ["rgb:", "rgb:ff/ff", "rgb://", "rgb:zz/00/00", "rgb:fffffffff/0/0", "?", "rgb:+1/0/0000000000"] {
            assert_eq!(background(says), None, "{says}");
        }
    }

    /// As their documents and sources say that they answer.
    #[test]
    fn other_terminals_are_known_by_their_names() {
        let answers = |name: &str, graphics: &str, attributes: &str| {
            format!("\x1bP>|{name}\x1b\\{graphics}\x1b[?{attributes}c\x1b[6;20;10t\x1b[0n")
        };
        let graphics = "\x1b_Gi=31;OK\x1b\\";
        let term = [("TERM", "xterm-256color")];
        for (name, graphics, attributes, pictures) in [
            ("kitty(0.28.0)", graphics, "62;", Some(ProtocolType::Kitty)),
            ("kitty(0.41.1)", graphics, "62;", Some(ProtocolType::Kitty)),
            ("kitty(1.2)", graphics, "62;", Some(ProtocolType::Kitty)),
            ("kitty", graphics, "62;", None),
            ("ghostty 1.1.3", graphics, "62;22", Some(ProtocolType::Kitty)),
            ("WezTerm 20240203-110809-5046fc22", graphics, "65;4;6;18;22", Some(ProtocolType::Iterm2)),
            ("Konsole 22.12.3", graphics, "62;1;4", None),
            ("foot(1.16.2)", "", "62;4;22", Some(ProtocolType::Sixel)),
            ("iTerm2 3.5.0", "", "62;4", Some(ProtocolType::Iterm2)),
            ("xterm.js(5.5.0)", "", "1;2", None),
            ("xterm.js(5.5.0)", "", "62;4;9;22", Some(ProtocolType::Sixel)),
            ("Shiny 3000", graphics, "62", None),
        ] {
            let found = abilities(&answers(name, graphics, attributes), &term);
            assert_eq!((found.pictures, found.cell), (pictures, Some((10, 20))), "{name}");
            let colors = if name == "Shiny 3000" { ColorDepth::Indexed } else { ColorDepth::True };
            assert_eq!(found.colors, colors, "{name}");
        }
        let inside = [("TERM", "tmux-256color"), ("TMUX", "1"), ("COLORTERM", "truecolor")];
        let kitty = answers("kitty(0.40.0)", graphics, "62;");
        assert_eq!(abilities(&kitty, &inside).pictures, Some(ProtocolType::Kitty), "placeholders are cells");
        assert_eq!(abilities(&answers("WezTerm 2024", graphics, "4"), &inside).pictures, None);
        // It says nothing of itself.
        assert_eq!(abilities("\x1b[0n", &[("TERM", "xterm")]).colors, ColorDepth::Sixteen);
        assert_eq!(abilities("\x1b[0n", &[("TERM", "xterm-direct")]).colors, ColorDepth::True);
        assert_eq!(abilities("\x1b[0n", &[("TERM", "vt220"), ("COLORTERM", "24bit")]).colors, ColorDepth::True);
    }
}
