//! Reads lines: cuts each out of the picture, tells whether it stands on its head, and reads it.

use super::geometry::{LineBox, PixelPoint};
use super::network::{Network, NetworkOutput};
use crate::photo::picture::RgbPicture;
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

/// The height of a line, as both networks want it.
const HEIGHT: usize = 48;
/// The width of a line for the network that tells its direction.
const DIRECTION_WIDTH: usize = 192;
/// The widths to which lines are filled up, so that few shapes have to be made ready. Longer ones are squeezed.
const WIDTHS: [usize; 9] = [96, 192, 320, 512, 768, 1024, 1344, 1632, 1920];
/// From this probability on, a line's own direction counts; below it, that of most lines does.
const SURE: f32 = 0.9;
/// Below this score, other directions are tried.
const GOOD: f32 = 0.8;
/// The least probability of a space between two characters where the network sees none. Of 301 gaps between the words of
/// drawn lines 3 stay below, and none of 1,416 inside of words reaches it.
const SPACE: f32 = 0.03;

/// Reads lines.
pub(super) struct LineReader {
    direction: Network,
    recognition: Network,
    /// By class: none, the characters of the model, the space.
    characters: Vec<String>,
}

/// What stands in a box, which has the direction in which it was read.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub text: String,
    pub score: f32,
    pub line: LineBox,
}

impl LineReader {
    pub(super) fn new(direction: Cow<'static, [u8]>, recognition: Cow<'static, [u8]>) -> anyhow::Result<Self> {
        let recognition = Network::new(recognition);
        let Some(known) = recognition.metadata("character")? else {
            anyhow::bail!("the model for reading text does not list its characters");
        };
        let mut characters = vec![String::new()];
        characters.extend(known.split('\n').map(str::to_owned));
        characters.push(" ".to_owned());
        Ok(Self { direction: Network::new(direction), recognition, characters })
    }

    /// What stands in these boxes; an empty list, or less, if cancelled.
    pub(super) fn read(
        &self,
        picture: &RgbPicture,
        lines: &[LineBox],
        cancel: &AtomicBool,
    ) -> anyhow::Result<Vec<Read>> {
        let turned = |line: &LineBox| {
            if cancel.load(Ordering::Relaxed) { Ok(0.0) } else { self.turned(picture, line) }
        };
        let turned: Vec<f32> = lines.par_iter().map(turned).collect::<anyhow::Result<_>>()?;
        // What lies and what stands may be turned differently.
        let lies = |line: &LineBox| line.along[0].abs() >= line.along[1].abs();
        let most = |lying: bool| {
            let votes = lines.iter().zip(&turned).filter(|(line, _)| lies(line) == lying);
            votes.map(|(line, turned)| line.length * (turned - 0.5)).sum::<f32>() > 0.0
        };
        let most = [most(false), most(true)];
        let read = |(line, turned): (&LineBox, &f32)| {
            if cancel.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let is_turned = match *turned {
                turned if turned >= SURE => true,
                turned if turned <= 1.0 - SURE => false,
                _ => most[usize::from(lies(line))],
            };
            self.best(picture, line.turned(if is_turned { 2 } else { 0 })).map(Some)
        };
        let read: Vec<Option<Read>> = lines.par_iter().zip(&turned).map(read).collect::<anyhow::Result<_>>()?;
        Ok(read.into_iter().flatten().collect())
    }

    /// How well a box can be read in the direction that it most likely has.
    pub(super) fn score(&self, picture: &RgbPicture, line: LineBox) -> anyhow::Result<f32> {
        let quarters = if self.turned(picture, &line)? > 0.5 { 2 } else { 0 };
        Ok(self.line(picture, line.turned(quarters))?.score)
    }

    /// What stands in a box, in the direction in which it can be read best, if its own is not good.
    fn best(&self, picture: &RgbPicture, line: LineBox) -> anyhow::Result<Read> {
        let mut best = self.line(picture, line)?;
        let is_short = line.length < 2.0 * line.height;
        for quarters in [2, 1, 3] {
            if best.score >= GOOD || quarters != 2 && !is_short {
                break;
            }
            let other = self.line(picture, line.turned(quarters))?;
            if other.score > best.score {
                best = other;
            }
        }
        Ok(best)
    }

    /// The probability that a line stands on its head.
    fn turned(&self, picture: &RgbPicture, line: &LineBox) -> anyhow::Result<f32> {
        let input = cut(picture, line, DIRECTION_WIDTH, DIRECTION_WIDTH);
        let NetworkOutput { numbers, shape } = self.direction.run([3, HEIGHT, DIRECTION_WIDTH], &input)?;
        anyhow::ensure!(shape[..] == [1, 2], "the model that tells directions says {shape:?}");
        Ok(numbers[1])
    }

    /// What stands in a box, read along its direction.
    fn line(&self, picture: &RgbPicture, line: LineBox) -> anyhow::Result<Read> {
        let most = WIDTHS[WIDTHS.len() - 1];
        let wanted = (HEIGHT as f32 * line.length / line.height).ceil().clamp(1.0, most as f32) as usize;
        let width = WIDTHS.into_iter().find(|width| *width >= wanted).unwrap_or(most);
        let NetworkOutput { numbers, shape } =
            self.recognition.run([3, HEIGHT, width], &cut(picture, &line, wanted, width))?;
        let classes = self.characters.len();
        anyhow::ensure!(
            matches!(shape[..], [1, _, last] if last == classes),
            "the model for reading text says {shape:?}, and lists {classes} characters"
        );
        let (text, score) = self.decode(&numbers);
        Ok(Read { text, score, line })
    }

    /// The text of the likeliest classes, step by step (greedy CTC), and the mean probability of its characters.
    fn decode(&self, numbers: &[f32]) -> (String, f32) {
        let classes = self.characters.len();
        let (mut text, mut scores) = (String::new(), Vec::new());
        let (mut last, mut space) = (0, 0.0_f32);
        for step in numbers.chunks_exact(classes) {
            let best = step.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            let (class, score) = best.map_or((0, 0.0), |(class, score)| (class, *score));
            if class == 0 || class == classes - 1 {
                space = space.max(step[classes - 1]);
            } else if class != last {
                let character = &self.characters[class];
                let is_between = |text: &str| text.chars().last().is_some_and(|before| !is_wide(before));
                let is_narrow = !character.chars().any(is_wide);
                if space >= 0.5 && !text.is_empty() || space >= SPACE && is_narrow && is_between(&text) {
                    text.push(' ');
                }
                text.push_str(character);
                scores.push(score);
                space = 0.0;
            }
            last = class;
        }
        let score = scores.iter().sum::<f32>() / scores.len().max(1) as f32;
        (text, score)
    }
}

/// Whether a script without spaces uses this character.
#[must_use]
pub fn is_wide(character: char) -> bool {
    character >= '\u{2e80}'
}

/// A box cut out of a picture, `width` pixels wide, as the networks want it: blue, green and red, from -1 to 1, filled
/// up with zeros to `filled` columns.
fn cut(picture: &RgbPicture, line: &LineBox, width: usize, filled: usize) -> Vec<f32> {
    let width = width.min((HEIGHT as f32 * line.length / line.height).ceil().max(1.0) as usize);
    let [start, end, _, below] = line.corners();
    let (left, top, covered_width, covered_height) = picture.extent;
    let x = (covered_width / f64::from(picture.full.0)) as f32;
    let y = (covered_height / f64::from(picture.full.1)) as f32;
    let located = |point: PixelPoint| [left as f32 + point[0] * x, top as f32 + point[1] * y];
    let [start, end, below] = [start, end, below].map(located);
    // As many samples to a pixel as it covers in the picture, at most eight in each direction.
    let samples = |length: f32, pixels: usize| (length * x.max(y) / pixels as f32).ceil().clamp(1.0, 8.0) as usize;
    let (across, down) = (samples(line.length, width), samples(line.height, HEIGHT));
    let mut input = vec![0.0; 3 * HEIGHT * filled];
    for row in 0..HEIGHT {
        for column in 0..width {
            let mut sum = [0.0; 3];
            for sample in 0..across * down {
                let part = |at: usize, n: usize, of: usize| at as f32 + (n as f32 + 0.5) / of as f32;
                let u = part(column, sample % across, across) / width as f32;
                let v = part(row, sample / across, down) / HEIGHT as f32;
                let at = |axis: usize| start[axis] + u * (end[axis] - start[axis]) + v * (below[axis] - start[axis]);
                let colours = colour(picture, at(0) - 0.5, at(1) - 0.5);
                sum.iter_mut().zip(colours).for_each(|(sum, colour)| *sum += colour);
            }
            for (channel, sum) in sum.iter().rev().enumerate() {
                let mean = sum / (across * down) as f32;
                input[(channel * HEIGHT + row) * filled + column] = mean / 127.5 - 1.0;
            }
        }
    }
    input
}

/// The colour between the four pixels around a point; at the edges, that of the nearest.
fn colour(picture: &RgbPicture, x: f32, y: f32) -> [f32; 3] {
    let axis = |at: f32, length: u32| {
        let at = at.clamp(0.0, (length - 1) as f32);
        (at as usize, (at as usize + 1).min(length as usize - 1), at.fract())
    };
    let ((left, right, across), (top, bottom, down)) = (axis(x, picture.width), axis(y, picture.height));
    let pixels = picture.data.as_chunks::<3>().0;
    let pixel = |x: usize, y: usize| pixels.get(y * picture.width as usize + x).copied().unwrap_or_default();
    let corners = [pixel(left, top), pixel(right, top), pixel(left, bottom), pixel(right, bottom)];
    std::array::from_fn(|channel| {
        let [a, b, c, d] = corners.map(|corner| f32::from(corner[channel]));
        (a + (b - a) * across) * (1.0 - down) + (c + (d - c) * across) * down
    })
}
