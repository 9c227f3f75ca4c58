//! The marker segments of a JPEG, and what they say before anything is decoded.

use crate::photo::{ErrorKind, PhotoError};
use jpeg_decoder::ColorTransform;

/// Maximum number of blocks that all scans of a picture together may pass over: a scan of a few bytes can pass over all
/// blocks. A progressive photo has about ten scans, and at 100 megapixels at most 5 million blocks.
const MAX_VISITS: u64 = 80_000_000;
/// What the start of a scan costs, in blocks.
const SCAN_START: u64 = 64;

/// A marker segment.
pub(in crate::photo) struct Segment<'a> {
    pub(in crate::photo) marker: u8,
    pub(in crate::photo) body: &'a [u8],
    /// Entropy-coded data after the segment, stuffing included.
    pub(in crate::photo) data: &'a [u8],
}

impl Segment<'_> {
    pub(in crate::photo) const APP0: u8 = 0xE0;
    pub(in crate::photo) const APP1: u8 = 0xE1;
    pub(in crate::photo) const APP2: u8 = 0xE2;
    pub(in crate::photo) const APP13: u8 = 0xED;
    pub(in crate::photo) const APP14: u8 = 0xEE;
    pub(in crate::photo) const APP15: u8 = 0xEF;
    pub(in crate::photo) const COM: u8 = 0xFE;
    pub(in crate::photo) const SOS: u8 = 0xDA;
    pub(in crate::photo) const EOI: u8 = 0xD9;

    /// Whether it is a frame header: among their markers are those of Huffman tables, extensions and arithmetic coding.
    pub(in crate::photo) fn is_frame(&self) -> bool {
        matches!(self.marker, 0xC0..=0xCF) && !matches!(self.marker, 0xC4 | 0xC8 | 0xCC)
    }
}

/// Walks over marker segments up to and including the end-of-image marker, or to the end of the bytes.
pub(in crate::photo) struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    pub(in crate::photo) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 2 }
    }

    /// Position of the next byte 0xFF that is followed by one that `is_marker`.
    fn next_marker(&self, is_marker: impl Fn(u8) -> bool) -> Option<usize> {
        let mut at = self.at;
        loop {
            at += memchr::memchr(0xFF, self.bytes.get(at..)?)?;
            if is_marker(*self.bytes.get(at + 1)?) {
                return Some(at);
            }
            at += 1;
        }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        // 0xFF00 is a stuffed byte, 0xFFFF fill; SOI, TEM and RST have no length and say nothing here.
        let at = self.next_marker(|byte| !matches!(byte, 0x00 | 0x01 | 0xD0..=0xD8 | 0xFF))?;
        let marker = self.bytes[at + 1];
        if marker == Segment::EOI {
            self.at = self.bytes.len();
            return Some(Segment { marker, body: &[], data: &[] });
        }
        let start = at + 2;
        let length = usize::from(u16::from_be_bytes(*self.bytes.get(start..)?.first_chunk()?));
        let end = start + length.max(2);
        let body = self.bytes.get(start + 2..end)?;
        self.at = end;
        if marker == Segment::SOS {
            self.at = self.next_marker(|byte| !matches!(byte, 0x00 | 0xD0..=0xD7 | 0xFF)).unwrap_or(self.bytes.len());
        }
        Some(Segment { marker, body, data: &self.bytes[end..self.at] })
    }
}

/// The contents of the segments of an application before the picture that begin with this name, without it.
pub(in crate::photo) fn applications<'a>(
    bytes: &'a [u8],
    marker: u8,
    name: &'static [u8],
) -> impl Iterator<Item = &'a [u8]> {
    Segments::new(bytes)
        .take_while(|segment| segment.marker != Segment::SOS)
        .filter(move |segment| segment.marker == marker)
        .filter_map(move |segment| segment.body.strip_prefix(name))
}

/// What can be known about a JPEG before it is decoded.
pub(in crate::photo) struct Header {
    pub(in crate::photo) frame: Frame,
    jfif: bool,
    adobe: Option<u8>,
    pub(in crate::photo) scans: u32,
    data: u64,
    pub(in crate::photo) ended: bool,
}

impl Header {
    pub(in crate::photo) fn parse(bytes: &[u8]) -> Result<Self, PhotoError> {
        Self::parse_with(bytes, |_| {})
    }

    /// [`Header::parse`], and calls `look` with every segment.
    pub(in crate::photo) fn parse_with(bytes: &[u8], mut look: impl FnMut(&Segment<'_>)) -> Result<Self, PhotoError> {
        let (mut frame, mut jfif, mut adobe, mut scans, mut data, mut ended) = (None, false, None, 0_u32, 0_u64, false);
        for segment in Segments::new(bytes) {
            look(&segment);
            match (segment.marker, segment.body) {
                (_, body) if segment.is_frame() && frame.is_none() => {
                    frame = Some(Frame::parse(segment.marker, body)?);
                }
                (Segment::APP0, body) => jfif |= body.starts_with(b"JFIF\0"),
                (Segment::APP14, [b'A', b'd', b'o', b'b', b'e', _, _, _, _, _, _, transform, ..]) => {
                    adobe = Some(*transform);
                }
                (Segment::SOS, _) => {
                    scans += 1;
                    data += segment.data.len() as u64;
                }
                (Segment::EOI, _) => ended = true,
                _ => {}
            }
        }
        match frame {
            Some(frame) => Ok(Self { frame, jfif, adobe, scans, data, ended }),
            None if ended => Err(PhotoError::new(ErrorKind::Damaged, "the JPEG has no frame")),
            None => Err(PhotoError::truncated()),
        }
    }

    /// Refuses, before any work, a file without an end, with too little data for its size or with absurdly many scans.
    pub(in crate::photo) fn check_scans(&self) -> Result<(), PhotoError> {
        if !self.ended { Err(PhotoError::truncated()) } else { self.check_part(1) }
    }

    /// As [`Header::check_scans`], for a file of which there is one part in so many at least.
    pub(in crate::photo) fn check_part(&self, parts: u64) -> Result<(), PhotoError> {
        // A block costs at least one bit for its first coefficient; in a sequential scan, one more ends it.
        let bits = if self.frame.progressive { 1 } else { 2 };
        if self.data * 8 * parts < self.frame.least_blocks() * bits {
            return Err(PhotoError::truncated());
        }
        if u64::from(self.scans) * (self.frame.blocks() + SCAN_START) > MAX_VISITS {
            let message = format!("the JPEG has {} scans, too many for its size", self.scans);
            return Err(PhotoError::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }

    /// What the components mean, by the rules of libjpeg.
    pub(in crate::photo) fn color_transform(&self) -> ColorTransform {
        let ids: Vec<u8> = self.frame.components.iter().map(|c| c.id).collect();
        match (ids.as_slice(), self.adobe) {
            ([_], _) => ColorTransform::Grayscale,
            ([_, _, _], _) if self.jfif => ColorTransform::YCbCr,
            ([_, _, _], Some(0)) => ColorTransform::RGB,
            (b"RGB", None) => ColorTransform::RGB,
            ([_, _, _], _) => ColorTransform::YCbCr,
            (_, None | Some(0)) => ColorTransform::CMYK,
            _ => ColorTransform::YCCK,
        }
    }
}

pub(in crate::photo) struct Component {
    id: u8,
    horizontal: u64,
    vertical: u64,
}

/// The frame header.
pub(in crate::photo) struct Frame {
    pub(in crate::photo) width: u16,
    pub(in crate::photo) height: u16,
    progressive: bool,
    pub(in crate::photo) components: Vec<Component>,
}

impl Frame {
    pub(in crate::photo) fn parse(marker: u8, body: &[u8]) -> Result<Self, PhotoError> {
        let damaged = || PhotoError::new(ErrorKind::Damaged, "the frame header of the JPEG is damaged");
        let (&[precision, h1, h0, w1, w0, count], rest) = body.split_first_chunk().ok_or_else(damaged)?;
        let variant = match marker {
            0xC0..=0xC2 if precision != 8 => Some(format!("with {precision} bits a sample")),
            0xC0..=0xC2 if !matches!(count, 1 | 3 | 4) => Some(format!("with {count} components")),
            0xC0..=0xC2 if (h1, h0) == (0, 0) => Some("that give their height only at the end".to_owned()),
            0xC0..=0xC2 => None,
            0xC3 => Some("of the lossless kind".to_owned()),
            0xC9 | 0xCA => Some("with arithmetic coding".to_owned()),
            _ => Some("of the hierarchical or arithmetic lossless kind".to_owned()),
        };
        if let Some(variant) = variant {
            return Err(PhotoError::new(ErrorKind::Unsupported, format!("JPEGs {variant} cannot be decoded")));
        }
        let part = |[id, sampling, _]: &[u8; 3]| {
            let (horizontal, vertical) = (u64::from(sampling >> 4), u64::from(sampling & 15));
            let legal = (1..=4).contains(&horizontal) && (1..=4).contains(&vertical);
            legal.then_some(Component { id: *id, horizontal, vertical })
        };
        let components: Option<Vec<_>> = rest.as_chunks().0.iter().take(count.into()).map(part).collect();
        let components = components.filter(|c| c.len() == usize::from(count)).ok_or_else(damaged)?;
        let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
        Ok(Self { width, height, progressive: marker == 0xC2, components })
    }

    fn most(&self, edge: fn(&Component) -> u64) -> u64 {
        self.components.iter().map(edge).max().unwrap_or(1)
    }

    /// Blocks of 8x8 samples of all components, with the padding to whole units that the decoder allocates.
    fn blocks(&self) -> u64 {
        let across = u64::from(self.width).div_ceil(8 * self.most(|c| c.horizontal));
        let down = u64::from(self.height).div_ceil(8 * self.most(|c| c.vertical));
        self.components.iter().map(|c| across * c.horizontal * down * c.vertical).sum()
    }

    /// Blocks without that padding, which a scan of one component leaves out.
    fn least_blocks(&self) -> u64 {
        let (horizontal, vertical) = (self.most(|c| c.horizontal), self.most(|c| c.vertical));
        let across = |c: &Component| (u64::from(self.width) * c.horizontal).div_ceil(horizontal).div_ceil(8);
        let down = |c: &Component| (u64::from(self.height) * c.vertical).div_ceil(vertical).div_ceil(8);
        self.components.iter().map(|c| across(c) * down(c)).sum()
    }

    /// Bytes that the decoder needs if the edges are divided by `divisor`: coefficients of 16 bits if the picture is
    /// progressive, the planes, and the interleaved pixels.
    pub(in crate::photo) fn memory(&self, divisor: u16) -> u64 {
        let area = u64::from(divisor) * u64::from(divisor);
        let samples = self.blocks() * 64;
        let coefficients = if self.progressive { 2 * samples } else { 0 };
        let edge = |n: u16| u64::from(n.div_ceil(divisor));
        let pixels = edge(self.width) * edge(self.height);
        coefficients + samples / area + pixels * (self.components.len() as u64).max(3)
    }
}
