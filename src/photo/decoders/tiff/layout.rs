//! What the directory of a TIFF says of its pixels. Source: TIFF 6.0, and its technical notes 1 and 2.

use super::chunks::Packing;
use super::fax::FaxCoding;
use crate::photo::containers::tiff::{Directory, Tiff};
use crate::photo::{DecodeLimits, ErrorKind, PhotoError};

/// Photometric interpretations that need work of their own.
pub(super) const YCBCR: u16 = 6;
const OLD_JPEG: u64 = 6;
/// Most strips and tiles that are unpacked, one by one.
const MAX_PACKED_CHUNKS: usize = 200_000;
/// How many times over strips and tiles may read the file.
const MAX_SHARING: u64 = 8;

/// What the samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SampleKind {
    Unsigned,
    Signed,
    Float,
}

/// What the samples mean.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Colors {
    Grey {
        inverted: bool,
    },
    Rgb,
    Palette(Vec<[u8; 3]>),
    Cmyk,
    /// Parts of red, green and blue in luma; black and white of each sample.
    YCbCr {
        luma: [f32; 3],
        range: [f32; 6],
    },
    /// With the zero of a and b in the middle of their range, or as signed numbers.
    Lab {
        middle: bool,
    },
}

impl Colors {
    /// Samples a pixel, without alpha.
    pub(super) fn samples(&self) -> usize {
        match self {
            Self::Grey { .. } | Self::Palette(_) => 1,
            Self::Rgb | Self::YCbCr { .. } | Self::Lab { .. } => 3,
            Self::Cmyk => 4,
        }
    }
}

/// How opaque pixels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alpha {
    None,
    /// The colours are multiplied by it already.
    Associated,
    Unassociated,
}

/// How pixels are stored.
#[derive(Debug)]
pub(super) struct TiffLayout<'a> {
    pub(super) size: (u32, u32),
    pub(super) big_endian: bool,
    pub(super) packing: Packing,
    pub(super) bits_reversed: bool,
    pub(super) predictor: u16,
    pub(super) bits: u32,
    pub(super) kind: SampleKind,
    /// All that are stored of a pixel.
    pub(super) samples: usize,
    pub(super) photometric: u16,
    pub(super) colors: Colors,
    pub(super) alpha: Alpha,
    /// Each sample has strips or tiles of its own.
    pub(super) planar: bool,
    /// Pixels of luma for each of chroma, across and down, where these are stored together.
    pub(super) subsampling: (u32, u32),
    /// Columns and rows of a strip or tile.
    pub(super) chunk: (u32, u32),
    pub(super) tiled: bool,
    /// The bytes of each, as far as the file has them; `None` are zeros.
    pub(super) chunks: Vec<Option<&'a [u8]>>,
    /// The file ends before the last of them does.
    cut: bool,
    pub(super) jpeg_tables: Option<&'a [u8]>,
}

fn damaged(message: impl Into<String>) -> PhotoError {
    PhotoError::new(ErrorKind::Damaged, message)
}

fn unsupported(what: impl std::fmt::Display) -> PhotoError {
    PhotoError::new(ErrorKind::Unsupported, format!("TIFFs {what} cannot be decoded"))
}

/// The values of a directory's entries.
struct Values<'a, 'b> {
    file: &'b Tiff<'a>,
    directory: &'b Directory<'a>,
}

impl<'a> Values<'a, '_> {
    fn all(&self, tag: u16) -> Option<Vec<u64>> {
        self.file.numbers(self.directory.entries.iter().find(|entry| entry.tag == tag)?)
    }

    fn first(&self, tag: u16) -> Option<u64> {
        self.all(tag)?.first().copied()
    }

    fn small(&self, tag: u16, default: u16) -> u16 {
        self.first(tag).map_or(default, |value| u16::try_from(value).unwrap_or(u16::MAX))
    }

    fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        self.file.bytes(self.directory.entries.iter().find(|entry| entry.tag == tag)?)
    }

    fn floats<const N: usize>(&self, tag: u16) -> Option<[f32; N]> {
        let entry = self.directory.entries.iter().find(|entry| entry.tag == tag)?;
        let values: Vec<f32> = match self.file.rationals(entry) {
            Some(values) => values.into_iter().map(|value| value as f32).collect(),
            None => self.file.numbers(entry)?.into_iter().map(|value| value as f32).collect(),
        };
        values.first_chunk().copied().filter(|values| values.iter().all(|value| value.is_finite()))
    }
}

/// A whole JPEG in a TIFF, as it was written before JPEG had tags of its own.
pub(super) fn old_jpeg<'a>(file: &Tiff<'a>, directory: &Directory<'a>) -> Option<&'a [u8]> {
    let values = Values { file, directory };
    values.first(259).filter(|packing| *packing == OLD_JPEG)?;
    let at = values.first(513)?;
    let stream = values.first(514).and_then(|length| file.slice(at, length)).or_else(|| file.rest(at))?;
    stream.starts_with(&[0xFF, 0xD8]).then_some(stream)
}

impl<'a> TiffLayout<'a> {
    pub(super) fn read(file: &Tiff<'a>, directory: &Directory<'a>, limits: &DecodeLimits) -> Result<Self, PhotoError> {
        let values = Values { file, directory };
        let edge = |tag| values.first(tag).map(|edge| u32::try_from(edge).unwrap_or(u32::MAX));
        let size = edge(256).zip(edge(257)).ok_or_else(|| damaged("the TIFF does not say how large it is"))?;
        limits.check_size(size.0, size.1)?;

        let mut samples = usize::from(values.small(277, 1));
        let packing = packing(&values)?;
        let photometric = match values.first(262) {
            Some(value) => u16::try_from(value).unwrap_or(u16::MAX),
            None if packing == Packing::Jpeg && samples == 3 => YCBCR,
            None if samples >= 3 => 2,
            None => 1,
        };
        let bits = values.all(258).unwrap_or_else(|| vec![1]);
        let &bits_first = bits.first().ok_or_else(|| damaged("the TIFF does not say how many bits a sample has"))?;
        if bits.iter().any(|bits| *bits != bits_first) {
            return Err(unsupported("with samples of different lengths"));
        }
        let bits = u32::try_from(bits_first).unwrap_or(u32::MAX);
        let kind = match values.small(339, 1) {
            2 => SampleKind::Signed,
            3 => SampleKind::Float,
            5 | 6 => return Err(unsupported("with complex numbers")),
            _ => SampleKind::Unsigned,
        };
        let possible = match (kind, packing) {
            (_, Packing::Fax(_)) => bits == 1,
            (_, Packing::Jpeg) => bits == 8,
            (SampleKind::Float, _) => matches!(bits, 16 | 32 | 64),
            _ => matches!(bits, 1..=16 | 32),
        };
        if !possible {
            let kind = if kind == SampleKind::Float { "floats" } else { "samples" };
            return Err(unsupported(format!("with {kind} of {bits} bits")));
        }

        let colors = colors(&values, photometric, bits)?;
        let wide = kind == SampleKind::Float || bits > 16;
        if wide && !matches!(colors, Colors::Grey { .. } | Colors::Rgb | Colors::Cmyk) {
            return Err(unsupported(format!("with photometric interpretation {photometric} in {bits} bits")));
        }
        let planar = values.small(284, 1) == 2 && samples > 1;
        let extra = values.all(338).unwrap_or_default();
        // Some writers leave out what further samples are.
        let alpha = match (samples.saturating_sub(colors.samples()), extra.first()) {
            (0, _) | (_, Some(0)) => Alpha::None,
            (_, Some(1)) => Alpha::Associated,
            (_, Some(_)) | (1, None) => Alpha::Unassociated,
            _ => Alpha::None,
        };
        let alpha = match colors {
            Colors::Grey { .. } | Colors::Rgb => alpha,
            Colors::Palette(_) if !planar => alpha,
            _ => Alpha::None,
        };
        if samples < colors.samples() {
            // The default of one is wrong for colours, and left out all the same.
            if values.first(277).is_some() {
                return Err(damaged(format!("the TIFF has {samples} samples a pixel, too few for its colours")));
            }
            samples = colors.samples();
        }

        let subsampling = match (&colors, packing) {
            (Colors::YCbCr { .. }, Packing::Jpeg) => (1, 1),
            (Colors::YCbCr { .. }, _) => {
                let values = values.all(530).unwrap_or_else(|| vec![2, 2]);
                match *values.as_slice() {
                    [across @ (1 | 2 | 4), down @ (1 | 2 | 4), ..] => (across as u32, down as u32),
                    _ => return Err(damaged("the TIFF's subsampling of colours is impossible")),
                }
            }
            _ => (1, 1),
        };
        if subsampling != (1, 1) && (planar || bits != 8) {
            return Err(unsupported("with planes of subsampled colours"));
        }

        let tiled = values.first(322).is_some();
        let chunk = if tiled {
            edge(322).zip(edge(323)).ok_or_else(|| damaged("the TIFF does not say how large its tiles are"))?
        } else {
            (size.0, edge(278).unwrap_or(size.1).min(size.1))
        };
        limits
            .check_size(chunk.0, chunk.1)
            .map_err(|error| PhotoError { message: format!("its tiles: {}", error.message), ..error })?;
        let (places, lengths) = if tiled { (324, 325) } else { (273, 279) };
        let places = values.all(places).unwrap_or_default();
        let lengths = values.all(lengths).unwrap_or_default();
        let predictor = values.small(317, 1);
        // Nothing else is predicted, whatever the file says.
        let predictor = if matches!(packing, Packing::Lzw | Packing::Deflate) { predictor } else { 1 };
        let predicted = match (predictor, kind) {
            (1, _) | (3, SampleKind::Float) => true,
            (2, _) => matches!(bits, 8 | 16 | 32 | 64),
            _ => false,
        };
        if !predicted {
            return Err(unsupported(format!("with predictor {predictor} and samples of {bits} bits")));
        }
        let mut layout = Self {
            size,
            big_endian: file.big_endian,
            packing,
            bits_reversed: values.small(266, 1) == 2,
            predictor,
            bits,
            kind,
            samples,
            photometric,
            colors,
            alpha,
            planar,
            subsampling,
            chunk,
            tiled,
            chunks: Vec::new(),
            cut: false,
            jpeg_tables: values.bytes(347).filter(|_| packing == Packing::Jpeg),
        };
        let wanted = layout.grid().0 as usize * layout.grid().1 as usize * layout.planes();
        if packing != Packing::Plain && wanted > MAX_PACKED_CHUNKS {
            let message = format!("the TIFF is cut into {wanted} pieces, more than the limit of {MAX_PACKED_CHUNKS}");
            return Err(PhotoError::new(ErrorKind::TooLarge, message));
        }
        let plain = (layout.row_bytes() * layout.coded_rows(chunk.1)) as u64;
        let mut left = MAX_SHARING * file.len();
        for (n, place) in places.iter().take(wanted).enumerate() {
            // At offset 0 is the header: some writers mean a strip of zeros.
            let rest = if *place == 0 { &[] } else { file.rest(*place).unwrap_or_default() };
            // Without its length, a strip ends where the next one begins.
            let next = places.get(n + 1).and_then(|next| next.checked_sub(*place)).unwrap_or(u64::MAX);
            let guess = if packing == Packing::Plain { plain } else { next };
            let length = lengths.get(n).copied().filter(|length| *length > 0).unwrap_or(guess);
            layout.cut |= length > rest.len() as u64 && length < u64::MAX;
            let length = length.min(rest.len() as u64);
            left =
                left.checked_sub(length).ok_or_else(|| damaged("the strips of the TIFF lie on top of each other"))?;
            layout.chunks.push((*place > 0).then(|| &rest[..length as usize]));
        }
        Ok(layout)
    }

    /// What is wrong if not all can be read.
    pub(super) fn flaw(&self) -> PhotoError {
        if self.cut { PhotoError::truncated() } else { damaged("strips or tiles of the TIFF are damaged") }
    }

    /// Samples that are stored together.
    pub(super) fn stored(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Planes that are decoded, of those that are stored.
    pub(super) fn planes(&self) -> usize {
        if self.planar { self.colors.samples() + usize::from(self.alpha != Alpha::None) } else { 1 }
    }

    /// Strips or tiles of a plane, across and down.
    pub(super) fn grid(&self) -> (u32, u32) {
        (self.size.0.div_ceil(self.chunk.0), self.size.1.div_ceil(self.chunk.1))
    }

    /// Bytes of a row of a strip or tile; of subsampled colours, of a row of groups of pixels.
    pub(super) fn row_bytes(&self) -> usize {
        let (across, down) = self.subsampling;
        if (across, down) == (1, 1) {
            (self.chunk.0 as usize).saturating_mul(self.stored()).saturating_mul(self.bits as usize).div_ceil(8)
        } else {
            self.chunk.0.div_ceil(across) as usize * (across * down + 2) as usize
        }
    }

    /// How many of these rows so many rows of pixels are.
    pub(super) fn coded_rows(&self, rows: u32) -> usize {
        rows.div_ceil(self.subsampling.1) as usize
    }
}

fn packing(values: &Values<'_, '_>) -> Result<Packing, PhotoError> {
    let options = values.first(292).unwrap_or(0);
    Ok(match values.first(259).unwrap_or(1) {
        1 => Packing::Plain,
        2 => Packing::Fax(FaxCoding::Runs),
        3 => Packing::Fax(FaxCoding::Group3 { two_dimensional: options & 1 == 1 }),
        4 => Packing::Fax(FaxCoding::Group4),
        5 => Packing::Lzw,
        7 => Packing::Jpeg,
        8 | 32_946 => Packing::Deflate,
        32_773 => Packing::PackBits,
        OLD_JPEG => return Err(unsupported("with JPEGs in pieces, of before 1995,")),
        34_712 => return Err(unsupported("with JPEG 2000 inside")),
        34_925 => return Err(unsupported("compressed by LZMA")),
        50_000 => return Err(unsupported("compressed by Zstandard")),
        50_001 => return Err(unsupported("with WebP inside")),
        50_002 | 52_546 => return Err(unsupported("with JPEG XL inside")),
        other => return Err(unsupported(format!("with compression {other}"))),
    })
}

fn colors(values: &Values<'_, '_>, photometric: u16, bits: u32) -> Result<Colors, PhotoError> {
    Ok(match photometric {
        0 => Colors::Grey { inverted: true },
        // A mask of what is opaque.
        1 | 4 => Colors::Grey { inverted: false },
        2 => Colors::Rgb,
        3 => {
            let map = values.all(320).ok_or_else(|| damaged("the TIFF has no palette"))?;
            if bits > 16 || map.len() < 3 << bits {
                return Err(damaged("the palette of the TIFF is too small"));
            }
            // Values are of 16 bits, but some writers give them 8.
            let shift = if map.iter().all(|value| *value < 256) { 0 } else { 8 };
            let count = 1 << bits;
            let byte = |n: usize| (map[n] >> shift).min(255) as u8;
            Colors::Palette((0..count).map(|n| [n, count + n, 2 * count + n].map(byte)).collect())
        }
        5 if values.small(332, 1) != 1 => return Err(unsupported("with other inks than four")),
        5 => Colors::Cmyk,
        YCBCR => {
            let luma = values.floats(529).filter(|luma: &[f32; 3]| luma[1] > 0.0);
            let range = values.floats(532).filter(|range: &[f32; 6]| (0..3).all(|n| range[2 * n] != range[2 * n + 1]));
            Colors::YCbCr {
                luma: luma.unwrap_or([0.299, 0.587, 0.114]),
                range: range.unwrap_or([0.0, 255.0, 128.0, 255.0, 128.0, 255.0]),
            }
        }
        8 => Colors::Lab { middle: false },
        9 => Colors::Lab { middle: true },
        32_803 | 34_892 => return Err(unsupported("with the raw values of a camera's sensor")),
        32_844 | 32_845 => return Err(unsupported("with logarithmic light")),
        other => return Err(unsupported(format!("with photometric interpretation {other}"))),
    })
}
