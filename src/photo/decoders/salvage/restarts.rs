//! A JPEG with restart markers, of which each interval is decoded by itself: what is damaged in one does not reach the
//! next.
//!
//! An interval becomes a JPEG of one row of blocks, with the tables of the whole. A marker tells the number of its
//! interval modulo eight, so that lost ones are noticed; what they began stays grey, as libjpeg leaves it.
//! Source: ITU-T T.81, E.2.4.

use super::decode_loosely;
use crate::photo::containers::jpeg::{Segment, Segments};
use crate::photo::picture::RgbPicture;

/// Most intervals that are decoded one by one.
const MAX_INTERVALS: usize = 100_000;
/// The colour of what is not there.
const GREY: u8 = 128;

/// How the picture is cut into intervals.
struct Cut {
    /// Frame, tables, and what begins the scan: all segments before the data.
    head: Vec<u8>,
    /// Where in `head` the height and width are.
    size_at: usize,
    size: (usize, usize),
    /// Columns and rows of a unit of blocks.
    unit: (usize, usize),
    /// Units in an interval.
    interval: usize,
}

/// The picture, if it is a sequential JPEG of one scan with restart markers.
pub(super) fn decode(bytes: &[u8]) -> Option<RgbPicture> {
    let mut cut = Cut { head: vec![0xFF, 0xD8], size_at: 0, size: (0, 0), unit: (0, 0), interval: 0 };
    let mut components = 0;
    let mut data = None;
    for segment in Segments::new(bytes) {
        let body_at = cut.head.len() + 4;
        match (segment.marker, segment.body) {
            (0xC0 | 0xC1, [_, h1, h0, w1, w0, count, parts @ ..]) if cut.size_at == 0 => {
                let joined = |high: &u8, low: &u8| usize::from(u16::from_be_bytes([*high, *low]));
                cut.size = (joined(w1, w0), joined(h1, h0));
                cut.size_at = body_at + 1;
                components = usize::from(*count);
                let most = |shift: u32| parts.chunks(3).filter_map(|part| Some(part.get(1)? >> shift & 15)).max();
                cut.unit = (8 * usize::from(most(4)?), 8 * usize::from(most(0)?));
            }
            // Progressive and lossless ones, a second frame.
            _ if segment.is_frame() => return None,
            (0xDD, [high, low, ..]) => {
                cut.interval = usize::from(u16::from_be_bytes([*high, *low]));
                continue;
            }
            (Segment::SOS, [count, ..]) if usize::from(*count) == components && data.is_none() => {
                data = Some(segment.data);
            }
            (Segment::SOS, _) => return None,
            (Segment::EOI, _) => break,
            // What they mean is needed, but not a photo in the metadata.
            (Segment::APP0 | Segment::APP14 | 0xC4 | 0xDB, _) => {}
            _ => continue,
        }
        let length = u16::try_from(segment.body.len() + 2).ok()?;
        if data.is_none() || segment.marker == Segment::SOS {
            cut.head.extend([0xFF, segment.marker]);
            cut.head.extend(length.to_be_bytes());
            cut.head.extend(segment.body);
        }
    }
    let grey = components == 1;
    if grey {
        // Its blocks follow each other, whatever the frame says of their sampling.
        *cut.head.get_mut(cut.size_at + 6)? = 0x11;
        cut.unit = (8, 8);
    }
    cut.read(data?, grey)
}

impl Cut {
    fn read(&self, data: &[u8], grey: bool) -> Option<RgbPicture> {
        let (width, height) = self.size;
        let (across, down) = (width.div_ceil(self.unit.0), height.div_ceil(self.unit.1));
        let count = (across * down).checked_div(self.interval)? + 1;
        let strip = self.interval.min(across * down) * self.unit.0;
        if count > MAX_INTERVALS || strip > usize::from(u16::MAX) {
            return None;
        }
        let mut file = self.head.clone();
        file[self.size_at..self.size_at + 4]
            .copy_from_slice(&[(self.unit.1 as u16).to_be_bytes(), (strip as u16).to_be_bytes()].concat());
        let mut out = vec![GREY; 3 * width * height];
        let mut index = 0;
        for (marker, piece) in intervals(data) {
            // Numbers of markers go round. A few too many: some were lost; a few too few: this one is noise, as libjpeg
            // has it; others are the one that is due, but damaged.
            match marker.map(|marker| marker.wrapping_sub(index as u8) & 7) {
                None => {}
                Some(lost @ (1 | 2)) => index += 1 + usize::from(lost),
                Some(6 | 7) => continue,
                Some(_) => index += 1,
            }
            let start = index * self.interval;
            if start >= across * down {
                break;
            }
            let units = self.interval.min(across * down - start);
            file.truncate(self.head.len());
            file.extend(piece);
            file.extend([0xFF, Segment::EOI]);
            let Some(pixels) = decode_loosely(&file, grey, (strip, self.unit.1)) else { continue };
            for n in 0..units {
                let (left, top) = ((start + n) % across * self.unit.0, (start + n) / across * self.unit.1);
                let columns = self.unit.0.min(width - left);
                for line in 0..self.unit.1.min(height - top) {
                    let (from, to) = (3 * (line * strip + n * self.unit.0), 3 * ((top + line) * width + left));
                    out[to..to + 3 * columns].copy_from_slice(&pixels[from..from + 3 * columns]);
                }
            }
        }
        Some(RgbPicture::whole(width as u32, height as u32, out))
    }
}

/// The entropy-coded data between restart markers, each with the number of the marker before it.
fn intervals(data: &[u8]) -> impl Iterator<Item = (Option<u8>, &[u8])> {
    let (mut start, mut marker) = (Some(0), None);
    std::iter::from_fn(move || {
        let from = start?;
        let next = data[from..].windows(2).position(|pair| pair[0] == 0xFF && (0xD0..=0xD7).contains(&pair[1]));
        let piece = (marker, &data[from..next.map_or(data.len(), |next| from + next)]);
        start = next.map(|next| from + next + 2);
        marker = next.map(|next| data[from + next + 1] & 7);
        Some(piece)
    })
}
