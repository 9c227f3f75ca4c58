//! A decoded picture, the one thing that the photo and model layers share.

use std::borrow::Cow;

/// Part of a picture: left, top, width and height in pixels, not necessarily whole numbers.
pub type Region = (f64, f64, f64, f64);

/// Most rows or columns that are resized at once. The resizer needs the new height (or width) for each column, and
/// coefficients for each row: with an edge of a million pixels, 700 MB for a picture of three megabytes.
pub(super) const RESIZED_AT_ONCE: u32 = 1 << 16;

/// An upright, opaque 8-bit sRGB picture, possibly decoded at a reduced size.
#[derive(Clone, Debug, PartialEq)]
pub struct RgbPicture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height * 3` bytes: rows from the top, pixels from the left, red, green, blue.
    pub data: Vec<u8>,
    /// Width and height in pixels at full size.
    pub full: (u32, u32),
    /// The part of these pixels that the full picture covers. A picture 11 pixels wide that was decoded at a quarter of
    /// its size covers 2.75 of 3 pixels.
    pub extent: Region,
}

impl RgbPicture {
    /// A picture at its full size.
    #[must_use]
    pub fn whole(width: u32, height: u32, data: Vec<u8>) -> Self {
        let extent = (0.0, 0.0, width.into(), height.into());
        Self { width, height, data, full: (width, height), extent }
    }

    /// Where a region of the full-size picture is in these pixels.
    #[must_use]
    pub fn locate(&self, (left, top, width, height): Region) -> Region {
        let (x, y) = (self.extent.2 / f64::from(self.full.0), self.extent.3 / f64::from(self.full.1));
        (self.extent.0 + left * x, self.extent.1 + top * y, width * x, height * y)
    }

    /// The picture to resize `region` of (in pixels of the full size) from: this one, unless the region is too long to
    /// be resized at once; then neighbouring rows or columns are replaced by their means.
    #[must_use]
    pub fn resizable(&self, region: Region) -> Cow<'_, Self> {
        let (_, _, width, height) = self.locate(region);
        let [across, down] = [width, height].map(|length| (length.ceil() as u32).div_ceil(RESIZED_AT_ONCE).max(1));
        if across == 1 && down == 1 { Cow::Borrowed(self) } else { Cow::Owned(self.averaged(across, down)) }
    }

    /// The means of rectangles of `across` x `down` pixels, each at least 1 and at most 256.
    #[must_use]
    pub fn averaged(&self, across: u32, down: u32) -> Self {
        const RGB: usize = 3;
        let (width, height) = (self.width.div_ceil(across), self.height.div_ceil(down));
        let row_bytes = self.width as usize * RGB;
        let mut data = Vec::with_capacity(width as usize * height as usize * RGB);
        let mut sums = vec![0_u16; row_bytes];
        for rows in self.data.chunks(row_bytes * down as usize) {
            sums.fill(0);
            for row in rows.chunks_exact(row_bytes) {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += u16::from(*value));
            }
            let (rows, columns) = ((rows.len() / row_bytes) as u32, sums.as_chunks::<RGB>().0);
            // Dividing by what is known here is much faster.
            match (rows, across) {
                (2, 2) => squares::<2>(columns, &mut data),
                (4, 4) => squares::<4>(columns, &mut data),
                (8, 8) => squares::<8>(columns, &mut data),
                _ => columns.chunks(across as usize).for_each(|columns| data.extend(mean(columns, rows))),
            }
        }
        let (across, down) = (f64::from(across), f64::from(down));
        let (left, top, covered_width, covered_height) = self.extent;
        let extent = (left / across, top / down, covered_width / across, covered_height / down);
        Self { width, height, data, full: self.full, extent }
    }
}

/// The mean colours of squares with edges of `EDGE` pixels; the last may lack columns. `columns` are the sums of their
/// columns.
fn squares<const EDGE: usize>(columns: &[[u16; 3]], data: &mut Vec<u8>) {
    let (whole, rest) = columns.as_chunks::<EDGE>();
    data.extend(whole.iter().flat_map(|columns| mean(columns, EDGE as u32)));
    if !rest.is_empty() {
        data.extend(mean(rest, EDGE as u32));
    }
}

/// The mean of pixels, by the sums of columns of so many rows.
#[inline(always)]
fn mean(columns: &[[u16; 3]], rows: u32) -> [u8; 3] {
    let mut sum = [0_u32; 3];
    for column in columns {
        sum.iter_mut().zip(column).for_each(|(sum, value)| *sum += u32::from(*value));
    }
    let count = (rows * columns.len() as u32).max(1);
    sum.map(|sum| ((sum + count / 2) / count) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_the_rounded_means_of_rectangles() {
        let (width, height) = (37_u32, 29_u32);
        let value = |x: u32, y: u32, n: u32| (x * 7 + y * 31 + n * 11 + x * y) as u8;
        let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |n| value(x, y, n))));
        let picture = RgbPicture::whole(width, height, pixels.collect());
        for (across, down) in [(1, 1), (2, 2), (4, 4), (8, 8), (3, 3), (2, 8), (8, 1), (64, 64), (37, 29)] {
            let small = picture.averaged(across, down);
            assert_eq!((small.width, small.height), (width.div_ceil(across), height.div_ceil(down)));
            let expected = (0..small.height).flat_map(|y| (0..small.width).map(move |x| (x, y))).flat_map(|(x, y)| {
                let rows = y * down..(y * down + down).min(height);
                let inside = rows.flat_map(|y| (x * across..(x * across + across).min(width)).map(move |x| (x, y)));
                let inside: Vec<(u32, u32)> = inside.collect();
                let count = inside.len() as u32;
                [0, 1, 2].map(|n| {
                    let sum: u32 = inside.iter().map(|(x, y)| u32::from(value(*x, *y, n))).sum();
                    ((sum + count / 2) / count) as u8
                })
            });
            assert_eq!(small.data, expected.collect::<Vec<u8>>(), "{across} x {down}");
            let covered = (f64::from(width) / f64::from(across), f64::from(height) / f64::from(down));
            assert_eq!((small.full, small.extent), ((width, height), (0.0, 0.0, covered.0, covered.1)));
        }
    }

    #[test]
    fn only_what_is_too_long_is_averaged() {
        let photo = RgbPicture::whole(4000, 3000, vec![7; 36_000_000]);
        assert!(matches!(photo.resizable((0.0, 0.0, 4000.0, 3000.0)), Cow::Borrowed(_)));
        let ramp = |n: u32| (0..n).flat_map(|at| [(u64::from(at) * 255 / u64::from(n)) as u8, 9, 200]).collect();
        for (width, height) in [(1_000_000, 1), (1, 1_000_000), (999_999, 1), (1, 65_537)] {
            let long = width.max(height);
            let line = RgbPicture::whole(width, height, ramp(long));
            let short = line.resizable((0.0, 0.0, width.into(), height.into()));
            assert!(short.width.max(short.height) <= RESIZED_AT_ONCE && short.full == line.full);
            assert_eq!(short.data.len(), (short.width * short.height * 3) as usize);
            let (_, _, across, down) = short.locate((0.0, 0.0, width.into(), height.into()));
            for (at, pixel) in short.data.as_chunks::<3>().0.iter().enumerate() {
                let expected = at as f64 * 255.0 / across.max(down);
                assert!((f64::from(pixel[0]) - expected).abs() <= 1.5 && pixel[1..] == [9, 200], "{at}: {pixel:?}");
            }
            // A part that is short is taken from the pixels themselves.
            assert!(matches!(line.resizable((0.0, 0.0, 1.0, 1.0)), Cow::Borrowed(_)));
        }
    }
}
