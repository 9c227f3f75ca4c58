//! Black and white rows as fax machines send them. Source: ITU-T T.4 and T.6; the tables of runs are `fax`'s.

use super::chunks::Unpacked;
use fax::maps::{Mode, black, mode, white};
use fax::{BitReader, ByteReader};
use std::convert::Infallible;

/// How rows are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaxCoding {
    /// Runs alone; each row begins with a byte (compression 2).
    Runs,
    /// Group 3, with marks between the rows, each by itself or from the one above it.
    Group3 { two_dimensional: bool },
    /// Group 4, each row from the one above it.
    Group4,
}

/// Decodes rows of bits, of which 1 is black, into `out`, which is all white, and counts the bytes that are there.
pub(super) fn decode(coding: FaxCoding, data: &[u8], width: u32, out: &mut [u8]) -> Unpacked {
    // The tables of runs look ahead, also beyond the last code.
    let padded = data.iter().copied().chain([0; 2]).map(Ok::<u8, Infallible>);
    let Ok(mut bits) = ByteReader::new(padded);
    let mut above: Vec<u32> = Vec::new();
    let mut done = Unpacked { bytes: 0, damaged: false };
    // Pages may end before their last rows, which are white then.
    let blank = Unpacked { bytes: out.len(), damaged: false };
    let row_bytes = width.div_ceil(8) as usize;
    for space in out.chunks_exact_mut(row_bytes) {
        let row = match coding {
            FaxCoding::Runs => {
                let row = runs(&mut bits, width);
                let rest = bits.bits_to_byte_boundary();
                bits.consume(rest).ok();
                row
            }
            FaxCoding::Group3 { two_dimensional } => match start_of_row(&mut bits, two_dimensional) {
                Some((1, true)) => changes(&mut bits, &above, width),
                Some((0 | 1, _)) => runs(&mut bits, width),
                Some(_) => Coded::End,
                None => Coded::Damaged,
            },
            FaxCoding::Group4 => changes(&mut bits, &above, width),
        };
        match row {
            Coded::Row(row) => above = row,
            Coded::End => return Unpacked { damaged: done.damaged, ..blank },
            // The next mark tells where the next row begins; this one is as the one above.
            Coded::Damaged if matches!(coding, FaxCoding::Group3 { .. }) && next_mark(&mut bits) => done.damaged = true,
            Coded::Damaged => break,
        }
        for black in above.chunks(2) {
            let (start, end) = (black[0].min(width), black.get(1).map_or(width, |end| (*end).min(width)));
            (start..end).for_each(|x| space[(x / 8) as usize] |= 0x80 >> (x % 8));
        }
        done.bytes += row_bytes;
    }
    done
}

/// What is read of a row: where its colour changes, beginning with white.
enum Coded {
    Row(Vec<u32>),
    End,
    Damaged,
}

/// The length of a run.
fn run(bits: &mut impl BitReader, is_black: bool) -> Option<u32> {
    let mut sum = 0_u32;
    loop {
        let part = if is_black { black::decode(bits) } else { white::decode(bits) }?;
        sum = sum.checked_add(part.into())?;
        // Longer runs are sums.
        if part < 64 {
            return Some(sum);
        }
    }
}

/// A row of runs.
fn runs(bits: &mut impl BitReader, width: u32) -> Coded {
    let (mut row, mut at, mut is_black) = (Vec::new(), 0_u32, false);
    while at < width {
        let Some(end) = run(bits, is_black).and_then(|run| at.checked_add(run)) else { return Coded::Damaged };
        at = end;
        row.push(at);
        is_black = !is_black;
    }
    Coded::Row(row)
}

/// A row of differences from the one above it.
fn changes(bits: &mut impl BitReader, above: &[u32], width: u32) -> Coded {
    let (mut row, mut at, mut is_black) = (Vec::new(), None, false);
    // Where in the row above the next change is looked for.
    let mut near = 0_usize;
    while at.is_none_or(|at| at < width) {
        // The first change to the right of here, and to the other colour.
        near = near.saturating_sub(4) & !1 | usize::from(is_black);
        while above.get(near).is_some_and(|change| at.is_some_and(|at| *change <= at)) {
            near += 2;
        }
        let change = |n: usize| above.get(n).copied().unwrap_or(width).min(width);
        let start = at.unwrap_or(0);
        match mode::decode(bits) {
            Some(Mode::Pass) => at = Some(change(near + 1)),
            Some(Mode::Vertical(by)) => {
                let Some(end) = change(near).checked_add_signed(by.into()).filter(|end| *end >= start) else {
                    return Coded::Damaged;
                };
                row.push(end);
                at = Some(end);
                is_black = !is_black;
            }
            Some(Mode::Horizontal) => {
                let first = run(bits, is_black).and_then(|run| start.checked_add(run));
                let second = run(bits, !is_black).zip(first).and_then(|(run, first)| first.checked_add(run));
                let (Some(first), Some(second)) = (first, second) else { return Coded::Damaged };
                row.extend([first, second]);
                at = Some(second);
            }
            Some(Mode::EOF) => return Coded::End,
            Some(Mode::Extension) | None => return Coded::Damaged,
        }
    }
    Coded::Row(row)
}

/// Passes over the marks before a row of group 3, counts them (more than one of them end the page), and tells whether the
/// row follows from the one above. `None` at the end of the data.
fn start_of_row(bits: &mut impl BitReader, two_dimensional: bool) -> Option<(u32, bool)> {
    let (mut marks, mut from_above) = (0, false);
    // No code begins with so many zeros.
    while bits.peek(9) == Some(0) {
        while bits.peek(1) == Some(0) {
            bits.consume(1).ok();
        }
        bits.peek(1)?;
        bits.consume(1).ok();
        if two_dimensional {
            from_above = bits.peek(1)? == 0;
            bits.consume(1).ok();
        }
        marks += 1;
    }
    Some((marks, from_above))
}

/// Passes over bits until a mark follows.
fn next_mark(bits: &mut impl BitReader) -> bool {
    while let Some(next) = bits.peek(11) {
        if next == 0 {
            return true;
        }
        bits.consume(1).ok();
    }
    false
}
