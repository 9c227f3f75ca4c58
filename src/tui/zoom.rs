//! Looking closer at a photo: how large it is shown, and which part of it.
//!
//! Sizes on the screen are pixels of the terminal's pictures: of half blocks, a cell has one across and two down.

use ratatui::layout::Rect;

/// By how much one step goes closer.
const STEP: f64 = 1.5;
/// Most pixels of the screen, along an edge, for one of the photo; of a small photo, how much closer than whole.
const CLOSEST: (f64, f64) = (8.0, 4.0);

/// A part of a photo, in pixels of its full size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Crop {
    /// Columns left of it.
    pub left: u32,
    /// Rows above it.
    pub top: u32,
    /// Its columns, at least one.
    pub width: u32,
    /// Its rows, at least one.
    pub height: u32,
}

/// How much closer than whole a photo is shown, and around which point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zoom {
    /// How many times as large as whole; more than 1.
    pub factor: f64,
    /// The middle of what is seen: from 0 (left, top) to 1 (right, bottom).
    pub middle: (f64, f64),
}

/// A photo in its area on the screen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ZoomedPhoto {
    /// Width and height of the photo in its pixels.
    photo: (f64, f64),
    /// Width and height of the area in pixels of the screen.
    room: (f64, f64),
    area: Rect,
}

impl ZoomedPhoto {
    /// A photo of this size in this area, of which each cell has this many pixels; `None` if one of them has no size.
    #[must_use]
    pub fn new(photo: (u32, u32), area: Rect, cell: (u16, u16)) -> Option<Self> {
        let room = (f64::from(area.width) * f64::from(cell.0), f64::from(area.height) * f64::from(cell.1));
        let photo = (f64::from(photo.0), f64::from(photo.1));
        (photo.0 >= 1.0 && photo.1 >= 1.0 && room.0 >= 1.0 && room.1 >= 1.0).then_some(Self { photo, room, area })
    }

    /// Pixels of the screen for one of the photo if it is shown whole.
    fn whole(&self) -> f64 {
        (self.room.0 / self.photo.0).min(self.room.1 / self.photo.1)
    }

    /// Pixels of the screen for one of the photo, along an edge.
    #[must_use]
    pub fn scale(&self, zoom: Zoom) -> f64 {
        self.whole() * zoom.factor
    }

    /// The shares of the photo that are seen, across and down.
    fn seen(&self, zoom: Zoom) -> (f64, f64) {
        let scale = self.scale(zoom);
        ((self.room.0 / (self.photo.0 * scale)).min(1.0), (self.room.1 / (self.photo.1 * scale)).min(1.0))
    }

    /// The part of the photo that is seen.
    #[must_use]
    pub fn crop(&self, zoom: Zoom) -> Crop {
        let seen = self.seen(zoom);
        let edge = |photo: f64, seen: f64, middle: f64| {
            let length = (photo * seen).round().clamp(1.0, photo);
            let first = (photo * middle - length / 2.0).round().clamp(0.0, photo - length);
            (first as u32, length as u32)
        };
        let (left, width) = edge(self.photo.0, seen.0, zoom.middle.0);
        let (top, height) = edge(self.photo.1, seen.1, zoom.middle.1);
        Crop { left, top, width, height }
    }

    /// The same with its middle where nothing beyond the photo is seen.
    #[must_use]
    pub fn settled(&self, zoom: Zoom) -> Zoom {
        let seen = self.seen(zoom);
        let within = |middle: f64, seen: f64| middle.clamp(seen / 2.0, 1.0 - seen / 2.0);
        Zoom { middle: (within(zoom.middle.0, seen.0), within(zoom.middle.1, seen.1)), ..zoom }
    }

    /// A step closer, or away; `None`: whole. The point `at` of the photo stays where it is on the screen. Pixel by
    /// pixel is never jumped over.
    #[must_use]
    pub fn step(&self, zoom: Option<Zoom>, closer: bool, at: (f64, f64)) -> Option<Zoom> {
        let before = zoom.unwrap_or(Zoom { factor: 1.0, middle: (0.5, 0.5) });
        let factor = before.factor * if closer { STEP } else { 1.0 / STEP };
        let exact = 1.0 / self.whole();
        let passes = (before.factor - exact) * (factor - exact) < 0.0 && (before.factor / exact - 1.0).abs() > 0.01;
        self.to(before, if passes { exact } else { factor }, at)
    }

    /// One pixel of the screen for each of the photo; `None` if it is shown so as a whole.
    #[must_use]
    pub fn exact(&self, zoom: Option<Zoom>, at: (f64, f64)) -> Option<Zoom> {
        let before = zoom.unwrap_or(Zoom { factor: 1.0, middle: (0.5, 0.5) });
        self.to(before, 1.0 / self.whole(), at)
    }

    fn to(&self, before: Zoom, factor: f64, at: (f64, f64)) -> Option<Zoom> {
        let factor = factor.min((CLOSEST.0 / self.whole()).max(CLOSEST.1));
        let keep = |middle: f64, at: f64| at + (middle - at) * before.factor / factor;
        let middle = (keep(before.middle.0, at.0), keep(before.middle.1, at.1));
        (factor > 1.001).then(|| self.settled(Zoom { factor, middle }))
    }

    /// Moves what is seen by these shares of its width and height.
    #[must_use]
    pub fn pan(&self, zoom: Zoom, across: f64, down: f64) -> Zoom {
        let seen = self.seen(zoom);
        let (x, y) = zoom.middle;
        self.settled(Zoom { middle: (x + across * seen.0, y + down * seen.1), ..zoom })
    }

    /// The point of the photo at a cell of the screen, within the photo.
    #[must_use]
    pub fn point(&self, zoom: Option<Zoom>, column: u16, row: u16) -> (f64, f64) {
        let zoom = zoom.unwrap_or(Zoom { factor: 1.0, middle: (0.5, 0.5) });
        let scale = self.scale(zoom);
        let along = |at: u16, first: u16, cells: u16, room: f64, photo: f64, middle: f64| {
            let away = (f64::from(at) + 0.5 - f64::from(first)) / f64::from(cells.max(1)) - 0.5;
            (middle + away * room / (photo * scale)).clamp(0.0, 1.0)
        };
        (
            along(column, self.area.x, self.area.width, self.room.0, self.photo.0, zoom.middle.0),
            along(row, self.area.y, self.area.height, self.room.1, self.photo.1, zoom.middle.1),
        )
    }

    /// How large the photo is shown, in words: 100 % is one pixel of the screen for each of the photo.
    #[must_use]
    pub fn says(&self, zoom: Zoom) -> String {
        let percent = self.scale(zoom) * 100.0;
        if percent < 9.95 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MIDDLE: (f64, f64) = (0.5, 0.5);

    /// 4000 x 3000 pixels on 80 x 30 cells of 10 x 20 pixels: whole, one of the screen is five of the photo.
    fn photo() -> ZoomedPhoto {
        ZoomedPhoto::new((4000, 3000), Rect::new(0, 1, 80, 30), (10, 20)).unwrap()
    }

    #[test]
    fn steps_go_closer_up_to_a_bound_meet_every_pixel_and_come_back() {
        let photo = photo();
        let mut zoom = None;
        let mut scales = Vec::new();
        for _ in 0..20 {
            zoom = photo.step(zoom, true, MIDDLE);
            let scale = photo.scale(zoom.unwrap());
            scales.push((scale * 1000.0).round() as u32);
        }
        assert!(scales.is_sorted() && scales.contains(&1000) && scales.last() == Some(&8000), "{scales:?}");
        for _ in 0..30 {
            zoom = photo.step(zoom, false, MIDDLE);
        }
        assert_eq!(zoom, None, "whole again");
        let exact = photo.exact(None, MIDDLE).unwrap();
        assert_eq!(photo.crop(exact), Crop { left: 1600, top: 1200, width: 800, height: 600 });
        assert_eq!((photo.says(exact), photo.exact(Some(exact), MIDDLE)), ("100 %".into(), Some(exact)));
    }

    #[test]
    fn what_is_seen_stays_within_the_photo() {
        let photo = photo();
        let zoom = photo.exact(None, MIDDLE).unwrap();
        let far = photo.pan(photo.pan(zoom, -100.0, 0.0), 0.0, 100.0);
        assert_eq!(photo.crop(far), Crop { left: 0, top: 2400, width: 800, height: 600 });
        let back = photo.pan(far, 1.0, -0.5);
        assert_eq!(photo.crop(back), Crop { left: 800, top: 2100, width: 800, height: 600 });
        // A panorama is seen in its whole height for a while.
        let wide = ZoomedPhoto::new((40_000, 1_000), Rect::new(0, 0, 80, 30), (10, 20)).unwrap();
        let zoom = wide.step(None, true, MIDDLE).unwrap();
        let Crop { top, width, height, .. } = wide.crop(zoom);
        assert_eq!((top, height), (0, 1_000));
        assert!(width < 30_000, "{width}");
        assert_eq!(wide.pan(zoom, 0.0, 1.0).middle.1, 0.5);
    }

    #[test]
    fn the_point_below_the_mouse_stays_there() {
        let photo = photo();
        let (column, row) = (60, 8);
        let mut zoom = None;
        let at = photo.point(zoom, column, row);
        for _ in 0..6 {
            zoom = photo.step(zoom, true, photo.point(zoom, column, row));
            let now = photo.point(zoom, column, row);
            assert!((now.0 - at.0).abs() < 1e-9 && (now.1 - at.1).abs() < 1e-9, "{now:?} {at:?}");
        }
    }

    #[test]
    fn odd_sizes_have_a_part_to_show() {
        for (photo, area) in
            [((1, 1), (1, 1)), ((1, 1_000_000), (40, 3)), ((1_000_000, 1), (1, 90)), ((7, 5), (300, 90))]
        {
            let shown = ZoomedPhoto::new(photo, Rect::new(0, 0, area.0, area.1), (1, 2)).unwrap();
            let mut zoom = None;
            for n in 0..40 {
                zoom = shown.step(zoom, n < 30, (0.9, 0.1));
                let Some(zoom) = zoom else { continue };
                let crop = shown.crop(shown.pan(zoom, 0.7, -3.0));
                assert!(crop.width >= 1 && crop.height >= 1, "{crop:?}");
                assert!(
                    crop.left + crop.width <= photo.0 && crop.top + crop.height <= photo.1,
                    "{crop:?} of {photo:?}"
                );
            }
        }
        assert_eq!(ZoomedPhoto::new((0, 5), Rect::new(0, 0, 9, 9), (1, 2)), None);
    }
}
