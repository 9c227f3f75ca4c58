//! Makes lines of what was read, in the order in which a person reads them.

use super::TextLine;
use super::geometry::{LineBox, PixelPoint, dot};
use super::reading::Read;
use std::ops::Range;

/// Parts of a line are so far apart at most, in heights.
const GAP: f32 = 1.5;
/// Parts of a word are no further apart than this, in heights; boxes are a little larger than what stands in them.
const TOUCHING: f32 = -0.2;
/// A gap between columns is at least so wide, in heights.
const GUTTER: f32 = 1.0;
/// A column of text has so many lines at least, of which most are so many heights long: others may be rows of a table.
const COLUMN: (usize, f32) = (3, 6.0);

/// The lines that parts make, in reading order.
pub(super) fn lines(read: Vec<Read>) -> Vec<TextLine> {
    let read = join(read);
    let along = direction(&read);
    let mut placed: Vec<Placed> = read.into_iter().map(|read| Placed::new(read, along)).collect();
    order(&mut placed);
    let line = |Placed { read: Read { text, score, line }, .. }| TextLine { text, score, quad: line.corners() };
    placed.into_iter().map(line).collect()
}

/// Joins parts of one line, the nearest first.
fn join(read: Vec<Read>) -> Vec<Read> {
    let mut pairs = Vec::new();
    for (a, before) in read.iter().enumerate() {
        pairs.extend(read.iter().enumerate().filter_map(|(b, after)| Some((gap(&before.line, &after.line)?, a, b))));
    }
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut next = vec![None; read.len()];
    let mut follows = vec![false; read.len()];
    for (_, a, b) in pairs {
        if next[a].is_none() && !follows[b] {
            (next[a], follows[b]) = (Some(b), true);
        }
    }
    let mut parts: Vec<Option<Read>> = read.into_iter().map(Some).collect();
    let mut lines = Vec::new();
    for first in (0..parts.len()).filter(|at| !follows[*at]) {
        let (mut line, mut at) = (parts[first].take(), next[first]);
        while let Some(part) = at {
            line = line.zip(parts[part].take()).map(|(line, part)| joined(&line, &part));
            at = next[part];
        }
        lines.extend(line);
    }
    lines
}

/// How far the second part of a line is behind the first; `None` if they belong to different lines.
fn gap(a: &LineBox, b: &LineBox) -> Option<f32> {
    let (low, high) = (a.height.min(b.height), a.height.max(b.height));
    let [along, across] = a.place(b.centre);
    let gap = along - (a.length + b.length) / 2.0;
    let is_beside = dot(a.along, b.along) > 0.96 && high < 1.6 * low && across.abs() < 0.4 * low && along > 0.0;
    (is_beside && (-0.5 * low..GAP * low).contains(&gap)).then_some(gap)
}

fn joined(before: &Read, after: &Read) -> Read {
    let length = |read: &Read| read.line.length;
    let share = length(before) / (length(before) + length(after));
    let along = if length(before) >= length(after) { before.line.along } else { after.line.along };
    let corners: Vec<PixelPoint> = before.line.corners().into_iter().chain(after.line.corners()).collect();
    // Parts that touch were one word.
    let low = before.line.height.min(after.line.height);
    let space = if gap(&before.line, &after.line).is_some_and(|gap| gap < TOUCHING * low) { "" } else { " " };
    Read {
        text: format!("{}{space}{}", before.text, after.text),
        score: share * before.score + (1.0 - share) * after.score,
        line: LineBox::with_direction(along, &corners),
    }
}

/// The direction of most text, as a unit vector.
fn direction(read: &[Read]) -> PixelPoint {
    let quarter = |line: &LineBox| {
        let [x, y] = line.along;
        if x.abs() >= y.abs() { usize::from(x < 0.0) } else { 2 + usize::from(y < 0.0) }
    };
    let mut sums = [[0.0_f32; 2]; 4];
    for Read { line, .. } in read {
        let sum = &mut sums[quarter(line)];
        (sum[0], sum[1]) = (sum[0] + line.length * line.along[0], sum[1] + line.length * line.along[1]);
    }
    let best = sums.into_iter().max_by(|a, b| dot(*a, *a).total_cmp(&dot(*b, *b))).unwrap_or_default();
    let length = dot(best, best).sqrt();
    if length > 0.0 { [best[0] / length, best[1] / length] } else { [1.0, 0.0] }
}

/// Something that was read, and where it is in the direction of most text.
struct Placed {
    read: Read,
    across: Range<f32>,
    down: Range<f32>,
}

impl Placed {
    fn new(read: Read, along: PixelPoint) -> Self {
        let upright = LineBox::with_direction(along, &read.line.corners());
        let (x, y) = (dot(upright.centre, along), dot(upright.centre, [-along[1], along[0]]));
        let range = |middle: f32, length: f32| middle - length / 2.0..middle + length / 2.0;
        Self { across: range(x, upright.length), down: range(y, upright.height), read }
    }

    fn height(&self) -> f32 {
        self.down.end - self.down.start
    }
}

/// Puts into reading order: columns from left to right, otherwise rows from the top, each from left to right.
fn order(lines: &mut [Placed]) {
    if lines.len() < 2 {
        return;
    }
    let height = median(lines.iter().map(Placed::height));
    lines.sort_by(|a, b| a.across.start.total_cmp(&b.across.start));
    let is_column = |side: &[Placed]| {
        side.len() >= COLUMN.0 && median(side.iter().map(|line| line.read.line.length)) >= COLUMN.1 * height
    };
    let gutters = cuts(lines, |line| &line.across, GUTTER * height);
    if let Some(at) = gutters.into_iter().find(|at| is_column(&lines[..*at]) && is_column(&lines[*at..])) {
        let (left, right) = lines.split_at_mut(at);
        order(left);
        return order(right);
    }
    // Lines that are a little tilted overlap the rows above and below them.
    lines.sort_by(|a, b| middle(&a.down).total_cmp(&middle(&b.down)));
    if let Some(at) = cuts(lines, |line| &line.down, 0.0).first().copied() {
        let (top, bottom) = lines.split_at_mut(at);
        order(top);
        return order(bottom);
    }
    let mut start = 0;
    while start < lines.len() {
        let row = middle(&lines[start].down) + 0.5 * lines[start].height();
        let end = start + lines[start..].iter().take_while(|line| middle(&line.down) < row).count().max(1);
        lines[start..end].sort_by(|a, b| a.across.start.total_cmp(&b.across.start));
        start = end;
    }
}

/// The positions at which sorted lines can be parted, so that nothing is on both sides.
fn cuts(lines: &[Placed], range: fn(&Placed) -> &Range<f32>, gap: f32) -> Vec<usize> {
    let mut starts: Vec<f32> = lines.iter().map(|line| range(line).start).collect();
    for at in (0..starts.len().saturating_sub(1)).rev() {
        starts[at] = starts[at].min(starts[at + 1]);
    }
    let (mut end, mut cuts) = (f32::MIN, Vec::new());
    for (at, (line, start)) in lines.iter().zip(starts).enumerate() {
        if at > 0 && start - end >= gap {
            cuts.push(at);
        }
        end = end.max(range(line).end);
    }
    cuts
}

fn middle(range: &Range<f32>) -> f32 {
    (range.start + range.end) / 2.0
}

fn median(numbers: impl Iterator<Item = f32>) -> f32 {
    let mut numbers: Vec<f32> = numbers.collect();
    numbers.sort_by(f32::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as (text, left, top, length), ten high, turned by quarters around the origin.
    fn read(lines: &[(&str, f32, f32, f32)], quarters: usize) -> Vec<String> {
        let turn = |[x, y]: PixelPoint| (0..quarters).fold([x, y], |[x, y], _| [-y, x]);
        let one = |(text, left, top, length): &(&str, f32, f32, f32)| Read {
            text: (*text).to_owned(),
            score: 0.9,
            line: LineBox {
                centre: turn([left + length / 2.0, top + 5.0]),
                along: turn([1.0, 0.0]),
                length: *length,
                height: 10.0,
            },
        };
        super::lines(lines.iter().map(one).collect()).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn parts_of_a_line_are_joined_and_rows_of_a_receipt_stay_rows() {
        for quarters in 0..4 {
            let receipt = [
                ("1.09", 200.0, 21.0, 30.0),
                ("Milk", 0.0, 0.0, 40.0),
                ("Bread", 0.0, 20.0, 30.0),
                ("rye", 38.0, 20.5, 20.0),
                ("0.89", 200.0, 1.0, 30.0),
                ("Sum", 0.0, 40.0, 30.0),
                ("1.98", 200.0, 41.0, 30.0),
            ];
            assert_eq!(read(&receipt, quarters), ["Milk", "0.89", "Bread rye", "1.09", "Sum", "1.98"], "{quarters}");
        }
    }

    #[test]
    fn columns_are_read_one_after_the_other() {
        let mut page = vec![("title", 60.0, 0.0, 100.0)];
        for (n, text) in ["a", "b", "c"].iter().enumerate() {
            page.push((text, 0.0, 30.0 + 15.0 * n as f32, 90.0));
        }
        for (n, text) in ["d", "e", "f"].iter().enumerate() {
            page.push((text, 120.0, 30.0 + 15.0 * n as f32, 90.0));
        }
        page.reverse();
        assert_eq!(read(&page, 0), ["title", "a", "b", "c", "d", "e", "f"]);
        assert!(read(&[], 0).is_empty());
    }
}
