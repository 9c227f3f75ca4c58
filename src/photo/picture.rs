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

    /// The means of rectangles of `across` x `down` pixels.
    fn averaged(&self, across: u32, down: u32) -> Self {
        const RGB: usize = 3;
        let (width, height) = (self.width.div_ceil(across), self.height.div_ceil(down));
        let row_bytes = self.width as usize * RGB;
        let mut data = Vec::with_capacity(width as usize * height as usize * RGB);
        for rows in self.data.chunks(row_bytes * down as usize) {
            let mut sums = vec![[0_u64; RGB]; width as usize];
            for row in rows.chunks_exact(row_bytes) {
                for (sum, pixels) in sums.iter_mut().zip(row.chunks(across as usize * RGB)) {
                    for pixel in pixels.as_chunks::<RGB>().0 {
                        sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u64::from(*value));
                    }
                }
            }
            let (rows, mut columns_left) = ((rows.len() / row_bytes) as u64, self.width);
            for sum in sums {
                let columns = across.min(columns_left);
                columns_left -= columns;
                let count = rows * u64::from(columns);
                data.extend(sum.map(|sum| ((sum + count / 2) / count.max(1)) as u8));
            }
        }
        let (across, down) = (f64::from(across), f64::from(down));
        let (left, top, covered_width, covered_height) = self.extent;
        let extent = (left / across, top / down, covered_width / across, covered_height / down);
        Self { width, height, data, full: self.full, extent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
