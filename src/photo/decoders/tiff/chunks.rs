//! The strips and tiles of a TIFF: their bytes unpacked, and their prediction undone.

use super::fax::{self, FaxCoding};
use super::layout::{SampleKind, TiffLayout, YCBCR};
use crate::photo::containers::jpeg::{Header, Segment};
use crate::photo::containers::tiff;
use crate::photo::{ErrorKind, PhotoError};
use flate2::{Decompress, FlushDecompress};
use jpeg_decoder::{ColorTransform, Decoder};
use weezl::{BitOrder, LzwStatus, decode::Decoder as LzwDecoder};

/// Most scans of a JPEG in a strip or tile; writers use one, or ten if progressive.
const MAX_SCANS: u32 = 64;

/// How the bytes of strips and tiles are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Fax(FaxCoding),
    Lzw,
    Jpeg,
    Deflate,
    PackBits,
}

/// How much of a strip or tile could be unpacked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unpacked {
    /// Bytes from the first on.
    pub(super) bytes: usize,
    /// Some of them are guesses.
    pub(super) damaged: bool,
}

impl From<usize> for Unpacked {
    fn from(bytes: usize) -> Self {
        Self { bytes, damaged: false }
    }
}

/// Unpacks strips and tiles, one after another.
pub(super) struct Unpacker<'a> {
    layout: &'a TiffLayout<'a>,
    deflate: Decompress,
    /// The bytes of the last one.
    pub(super) rows: Vec<u8>,
}

impl<'a> Unpacker<'a> {
    pub(super) fn new(layout: &'a TiffLayout<'a>) -> Self {
        Self { layout, deflate: Decompress::new(true), rows: Vec::new() }
    }

    /// Unpacks so many rows into `self.rows`.
    pub(super) fn unpack(&mut self, packed: &[u8], rows: u32) -> Result<Unpacked, PhotoError> {
        let layout = self.layout;
        let row_bytes = layout.row_bytes();
        self.rows.clear();
        self.rows.resize(row_bytes * layout.coded_rows(rows), 0);
        let turned: Vec<u8>;
        let packed = if layout.bits_reversed && layout.packing != Packing::Jpeg {
            turned = packed.iter().map(|byte| byte.reverse_bits()).collect();
            &turned
        } else {
            packed
        };
        let out = &mut self.rows;
        let done = match layout.packing {
            Packing::Plain => {
                let length = packed.len().min(out.len());
                out[..length].copy_from_slice(&packed[..length]);
                length.into()
            }
            Packing::Fax(coding) => fax::decode(coding, packed, layout.chunk.0, out),
            Packing::Lzw => lzw(packed, out).into(),
            Packing::Deflate => inflate(&mut self.deflate, packed, out).into(),
            Packing::PackBits => pack_bits(packed, out).into(),
            Packing::Jpeg => jpeg(layout, packed, out)?.into(),
        };
        if layout.packing != Packing::Jpeg {
            for row in out[..done.bytes].chunks_mut(row_bytes) {
                match (layout.predictor, layout.kind) {
                    (2, _) => add_up(layout, row),
                    (3, SampleKind::Float) => join_bytes(layout, row),
                    _ => {}
                }
            }
        }
        Ok(done)
    }
}

fn lzw(packed: &[u8], out: &mut [u8]) -> usize {
    // Before the TIFF 6.0 specification, some wrote the codes the other way round.
    let mut decoder = match packed {
        [0, second, ..] if second & 1 == 1 => LzwDecoder::new(BitOrder::Lsb, 8),
        _ => LzwDecoder::with_tiff_size_switch(BitOrder::Msb, 8),
    };
    let (mut from, mut bytes) = (0, 0);
    while bytes < out.len() {
        let step = decoder.decode_bytes(&packed[from..], &mut out[bytes..]);
        from += step.consumed_in;
        bytes += step.consumed_out;
        if !matches!(step.status, Ok(LzwStatus::Ok)) {
            break;
        }
    }
    bytes
}

fn inflate(decoder: &mut Decompress, packed: &[u8], out: &mut [u8]) -> usize {
    decoder.reset(true);
    loop {
        let before = (decoder.total_in(), decoder.total_out());
        let (from, to) = (before.0 as usize, before.1 as usize);
        let status = decoder.decompress(&packed[from..], &mut out[to..], FlushDecompress::None);
        let after = (decoder.total_in(), decoder.total_out());
        let going = matches!(status, Ok(flate2::Status::Ok)) && after != before;
        if !going || after.1 as usize == out.len() {
            return after.1 as usize;
        }
    }
}

fn pack_bits(mut packed: &[u8], out: &mut [u8]) -> usize {
    let mut bytes = 0;
    while let Some((head, rest)) = packed.split_first()
        && bytes < out.len()
    {
        let (head, space) = (head.cast_signed(), &mut out[bytes..]);
        let count = usize::from(head.unsigned_abs()) + 1;
        packed = match (head, rest.split_first()) {
            (-128, _) => rest,
            (0.., _) => {
                let (copied, rest) = rest.split_at(count.min(rest.len()));
                let length = copied.len().min(space.len());
                space[..length].copy_from_slice(&copied[..length]);
                bytes += length;
                rest
            }
            (_, Some((byte, rest))) => {
                let length = count.min(space.len());
                space[..length].fill(*byte);
                bytes += length;
                rest
            }
            (_, None) => rest,
        };
    }
    bytes
}

/// A JPEG of the size of the strip or tile, of which the tables may stand elsewhere.
fn jpeg(layout: &TiffLayout<'_>, packed: &[u8], out: &mut [u8]) -> Result<usize, PhotoError> {
    let damaged = |message: &str| PhotoError::new(ErrorKind::Damaged, message);
    let joined: Vec<u8>;
    let stream = match layout.jpeg_tables {
        Some(tables) => {
            let tables = tables.strip_suffix(&[0xFF, Segment::EOI]).unwrap_or(tables);
            joined = [tables, packed.get(2..).unwrap_or_default()].concat();
            &joined
        }
        None => packed,
    };
    let header = Header::parse(stream)?;
    header.check_part(1)?;
    let size = (u32::from(header.frame.width), u32::from(header.frame.height));
    let samples = header.frame.components.len();
    if header.scans > MAX_SCANS || size.0 > layout.chunk.0 || size.1 > layout.chunk.1 || samples != layout.stored() {
        return Err(damaged("a JPEG in the TIFF does not fit it"));
    }
    let mut decoder = Decoder::new(stream);
    decoder.set_color_transform(match samples {
        1 => ColorTransform::Grayscale,
        3 if layout.photometric == YCBCR => ColorTransform::YCbCr,
        3 => ColorTransform::RGB,
        // Adobe's inks, which are inverted.
        _ => ColorTransform::CMYK,
    });
    let mut pixels = decoder.decode()?;
    if samples == 4 {
        pixels.iter_mut().for_each(|ink| *ink = 255 - *ink);
    }
    let (from, to) = (size.0 as usize * samples, layout.row_bytes());
    let mut bytes = 0;
    for (row, space) in pixels.chunks_exact(from).zip(out.chunks_exact_mut(to)) {
        space[..from].copy_from_slice(row);
        bytes += to;
    }
    Ok(bytes)
}

/// Undoes horizontal differencing (predictor 2).
fn add_up(layout: &TiffLayout<'_>, row: &mut [u8]) {
    let stride = layout.stored();
    match layout.bits {
        8 => (stride..row.len()).for_each(|n| row[n] = row[n].wrapping_add(row[n - stride])),
        16 => add_values::<2>(row, stride, layout.big_endian),
        32 => add_values::<4>(row, stride, layout.big_endian),
        64 => add_values::<8>(row, stride, layout.big_endian),
        _ => {}
    }
}

fn add_values<const N: usize>(row: &mut [u8], stride: usize, big_endian: bool) {
    let values = row.as_chunks_mut::<N>().0;
    for n in stride..values.len() {
        // What does not fit is lost, as in numbers of this length.
        let sum = tiff::number(&values[n], big_endian).wrapping_add(tiff::number(&values[n - stride], big_endian));
        let (low, high) = (sum.to_le_bytes(), sum.to_be_bytes());
        values[n].copy_from_slice(if big_endian { &high[8 - N..] } else { &low[..N] });
    }
}

/// Undoes the differencing of floats (predictor 3): the first bytes of all of them come first, and so on, differenced
/// as bytes; afterwards they are in the file's order.
fn join_bytes(layout: &TiffLayout<'_>, row: &mut [u8]) {
    let (stride, width) = (layout.stored(), layout.bits as usize / 8);
    (stride..row.len()).for_each(|n| row[n] = row[n].wrapping_add(row[n - stride]));
    let apart = row.to_vec();
    let count = row.len() / width;
    for (n, value) in row.chunks_exact_mut(width).enumerate() {
        for (k, byte) in value.iter_mut().enumerate() {
            let k = if layout.big_endian { k } else { width - 1 - k };
            *byte = apart[k * count + n];
        }
    }
}
