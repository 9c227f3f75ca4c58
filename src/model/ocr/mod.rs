//! Text in pictures: lines are found (DBNet: Liao et al. 2020, arXiv 1911.08947), their direction is told, and each is
//! read (SVTR with CTC: Du et al. 2022, arXiv 2205.00159), by the PP-OCRv4 mobile models that are built into the program
//! (`models/ocr` says where they come from). Chinese and English; accents of other languages come out plain.
//!
//! Pictures are prepared and results read as PaddleOCR does it, except where a comment says otherwise.

mod finding;
mod geometry;
mod joining;
mod network;
mod reading;
pub mod scripts;

pub use geometry::Quad;
pub use reading::is_wide;

use crate::photo::picture::RgbPicture;
use finding::LineFinder;
use reading::{LineReader, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// The longest edge at which lines are looked for by default, in pixels.
pub const EDGE: u32 = 960;
/// The longest edge at which a picture is looked at first. At 448 pixels, lines are found whose height is a 70th of it.
const GLANCE: u32 = 448;

/// The score of a line, read at a first look, from which on a picture is worth reading.
const GLIMPSED: f32 = 0.5;

/// The models that are built in, of which a reader may replace the last.
static FIND: &[u8] = include_bytes!("../../../models/ocr/ch_PP-OCRv4_det_infer.onnx");
static DIRECTION: &[u8] = include_bytes!("../../../models/ocr/ch_ppocr_mobile_v2.0_cls_infer.onnx");
static READ: &[u8] = include_bytes!("../../../models/ocr/ch_PP-OCRv4_rec_infer.onnx");
/// Part of the fingerprint: must change whenever the same models read otherwise.
const VERSION: &str = "ocr 1";

/// A line of text in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct TextLine {
    /// What stands there; foreign text.
    pub text: String,
    /// Mean probability of its characters, from 0 to 1.
    pub score: f32,
    /// Where it stands, in upright pixels of the picture at its full size.
    pub quad: Quad,
}

/// Finds and reads text. Each network is loaded when it is first used.
pub struct TextReader {
    fingerprint: String,
    finder: LineFinder,
    reader: LineReader,
}

impl TextReader {
    /// The reader that is built into the program.
    ///
    /// # Errors
    /// The program file is damaged.
    pub fn built_in() -> anyhow::Result<Self> {
        Self::with(READ.into())
    }

    /// A reader of other scripts: a recognition model of PaddleOCR in ONNX form, with its characters in the metadata.
    ///
    /// # Errors
    /// The file cannot be read, or is no such model.
    pub fn open(recognition: &Path) -> anyhow::Result<Self> {
        let length = recognition.metadata()?.len();
        anyhow::ensure!(length <= network::LARGEST, "it is larger than any model for reading text");
        Self::with(std::fs::read(recognition)?.into())
    }

    fn with(recognition: std::borrow::Cow<'static, [u8]>) -> anyhow::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(VERSION.as_bytes()).update(&recognition);
        let fingerprint = hasher.finalize().to_hex().to_string();
        Ok(Self {
            fingerprint,
            finder: LineFinder::new(FIND.into()),
            reader: LineReader::new(DIRECTION.into(), recognition)?,
        })
    }

    /// Identifies what reads: two readers with equal fingerprints read the same.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The length in pixels of the shortest edge that [`TextReader::may_hold_text`] needs.
    #[must_use]
    pub fn glance_edge() -> u32 {
        GLANCE * 3 / 4
    }

    /// Whether a first look at a picture, which may be small, finds anything like text: a tenth of the work of reading.
    /// What is large enough is read, because much that looks like a line is none.
    ///
    /// # Errors
    /// A model is damaged.
    pub fn may_hold_text(&self, picture: &RgbPicture) -> anyhow::Result<bool> {
        let (found, is_small) = self.finder.glance(picture, GLANCE)?;
        if is_small || found.is_empty() {
            return Ok(is_small);
        }
        for line in found {
            if self.reader.score(picture, line)? >= GLIMPSED {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The lines of a picture in reading order; lines are looked for at a longest edge of `edge` pixels (32 to 4096),
    /// where it pays, at twice that. `None` if cancelled.
    ///
    /// # Errors
    /// A model is damaged.
    pub fn read(&self, picture: &RgbPicture, edge: u32, cancel: &AtomicBool) -> anyhow::Result<Option<Vec<TextLine>>> {
        let Some(found) = self.finder.find(picture, edge.clamp(32, 4096), cancel)? else { return Ok(None) };
        let read = self.reader.read(picture, &found, cancel)?;
        if cancel.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let sure = |read: &Read| read.score >= least_score(&read.text);
        Ok(Some(joining::lines(read.into_iter().filter(sure).collect())))
    }
}

/// The score from which on something is taken for text: the shorter it is, the more it takes.
fn least_score(text: &str) -> f32 {
    match text.chars().filter(|c| c.is_alphanumeric()).count() {
        0 => 2.0,
        1 => 0.97,
        2 => 0.9,
        3..=5 => 0.75,
        _ => 0.5,
    }
}

impl std::fmt::Debug for TextReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextReader").field("fingerprint", &self.fingerprint).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use network::Network;
    use safetensors::SafeTensors;

    #[test]
    fn the_models_say_what_onnx_runtime_says() {
        let recorded =
            std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/text/outputs.safetensors")).unwrap();
        let recorded = SafeTensors::deserialize(&recorded).unwrap();
        for (name, model, shape) in
            [("find", FIND, [3, 64, 96]), ("direction", DIRECTION, [3, 48, 192]), ("read", READ, [3, 48, 48])]
        {
            let number = |at: usize| ((7919 * at + 13) % 256) as f32 / 127.5 - 1.0;
            let input: Vec<f32> = (0..shape.iter().product()).map(number).collect();
            let output = Network::new(model.into()).run(shape, &input).unwrap();
            let expected = recorded.tensor(name).unwrap();
            assert_eq!(output.shape, expected.shape(), "{name}");
            let expected = expected.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            let far =
                output.numbers.iter().zip(expected).map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f32::max);
            assert!(far < 1e-4, "{name}: {far}");
        }
    }

    #[test]
    fn what_is_no_model_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rec.onnx");
        for bytes in [&b""[..], b"no model", DIRECTION] {
            std::fs::write(&file, bytes).unwrap();
            let error = TextReader::open(&file).unwrap_err();
            assert!(!format!("{error:#}").is_empty());
        }
    }

    #[test]
    fn pictures_of_any_size_can_be_read() {
        let reader = TextReader::built_in().unwrap();
        for (width, height) in [(1, 1), (1, 3000), (3000, 2), (31, 33)] {
            let picture = RgbPicture::whole(width, height, vec![200; width as usize * height as usize * 3]);
            assert!(!reader.may_hold_text(&picture).unwrap());
            assert_eq!(reader.read(&picture, 320, &AtomicBool::new(false)).unwrap(), Some(Vec::new()));
            assert_eq!(reader.read(&picture, 320, &AtomicBool::new(true)).unwrap(), None);
        }
    }
}
