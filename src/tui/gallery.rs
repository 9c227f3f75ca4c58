//! A list of photos, as thumbnails or as lines: which photo is selected, and which are visible.

use super::event::FoundPhoto;
use ratatui::layout::Rect;

/// Columns and rows of a tile (a thumbnail with its frame and name), from small to large.
const TILES: [(u16, u16); 4] = [(14, 7), (20, 9), (27, 12), (40, 17)];

/// A list of photos.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    found: Vec<FoundPhoto>,
    /// How many of them are matches; matches come first.
    matches: usize,
    /// Only matches are shown.
    pub hides_rest: bool,
    at: usize,
    /// The first visible row (of tiles or of lines).
    top: usize,
    /// Shows lines instead of thumbnails.
    pub list: bool,
    /// Where a range of photos begins.
    pub anchor: Option<usize>,
    size: usize,
}

/// How tiles are arranged in a gallery's area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GalleryGrid {
    area: Rect,
    /// Tiles in a row.
    pub columns: usize,
    /// Width of a tile in screen columns.
    pub width: u16,
    /// Height of a tile in screen rows.
    pub height: u16,
}

impl GalleryGrid {
    /// How many rows of tiles fit, at least one.
    #[must_use]
    pub fn rows(&self) -> usize {
        usize::from(self.area.height / self.height.max(1)).max(1)
    }
}

impl Gallery {
    /// An empty gallery with thumbnails of medium size.
    #[must_use]
    pub fn new() -> Self {
        Self { size: 1, ..Self::default() }
    }

    /// Shows these photos; selects `keep` if it is among them, else the first.
    pub fn fill(&mut self, mut found: Vec<FoundPhoto>, keep: Option<i64>) {
        // Matches come first, even if the ranking mixes them with the rest.
        found.sort_by_key(|found| !found.is_match);
        self.matches = found.iter().take_while(|found| found.is_match).count();
        // What it began at is elsewhere now.
        self.anchor =
            self.anchor.filter(|_| found.iter().map(|found| found.id).eq(self.found.iter().map(|found| found.id)));
        self.found = found;
        let kept = keep.and_then(|id| self.shown().iter().position(|found| found.id == id));
        if kept.is_none() {
            self.top = 0;
        }
        self.at = kept.unwrap_or(0);
    }

    /// The photos that can be scrolled through: the matches, and the rest unless it is hidden.
    #[must_use]
    pub fn shown(&self) -> &[FoundPhoto] {
        let hidden = self.hides_rest && self.matches > 0;
        self.found.get(..if hidden { self.matches } else { self.found.len() }).unwrap_or_default()
    }

    /// How many photos are matches.
    #[must_use]
    pub fn matches(&self) -> usize {
        self.matches
    }

    /// The matches.
    #[must_use]
    pub fn matching(&self) -> &[FoundPhoto] {
        self.found.get(..self.matches).unwrap_or_default()
    }

    /// The position of the selected photo.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    /// The selected photo.
    #[must_use]
    pub fn selected(&self) -> Option<i64> {
        self.shown().get(self.at).map(|found| found.id)
    }

    /// The positions from where a range begins to the selected photo, if a range was begun.
    #[must_use]
    pub fn range(&self) -> Option<std::ops::RangeInclusive<usize>> {
        let anchor = self.anchor?.min(self.shown().len().saturating_sub(1));
        Some(anchor.min(self.at)..=anchor.max(self.at))
    }

    /// Removes a photo.
    pub fn remove(&mut self, id: i64) {
        if let Some(at) = self.found.iter().position(|found| found.id == id) {
            self.found.remove(at);
            self.matches -= usize::from(at < self.matches);
            self.at -= usize::from(at < self.at);
        }
        self.clamp();
    }

    /// Selects the photo at a position, or the last one if there are fewer.
    pub fn select(&mut self, at: usize) {
        self.at = at;
        self.clamp();
    }

    /// Shows or hides the photos that are not matches.
    pub fn toggle_rest(&mut self) {
        self.hides_rest = !self.hides_rest;
        self.clamp();
    }

    fn clamp(&mut self) {
        self.at = self.at.min(self.shown().len().saturating_sub(1));
    }

    /// Makes thumbnails larger or smaller.
    pub fn resize(&mut self, larger: bool) {
        self.size = if larger { (self.size + 1).min(TILES.len() - 1) } else { self.size.saturating_sub(1) };
    }

    /// The arrangement of tiles in an area; lines are tiles of one row.
    #[must_use]
    pub fn grid(&self, area: Rect) -> GalleryGrid {
        let (width, height) = TILES.get(self.size).copied().unwrap_or((20, 9));
        if self.list {
            return GalleryGrid { area, columns: 1, width: area.width, height: 1 };
        }
        let columns = (area.width / width).max(1);
        // Rows fill the height: a little higher or lower, rather than a part of the screen with nothing.
        let rows = ((area.height + height / 2) / height).max(1);
        GalleryGrid { area, columns: columns.into(), width: area.width / columns, height: (area.height / rows).max(1) }
    }

    /// The row of tiles that a photo is in. Photos that are not matches begin a new row (in a list, below a heading).
    fn row(&self, at: usize, grid: &GalleryGrid) -> usize {
        match at.checked_sub(self.matches) {
            Some(rest) if self.matches > 0 => {
                self.matches.div_ceil(grid.columns) + rest / grid.columns + usize::from(self.list)
            }
            _ => at / grid.columns,
        }
    }

    fn column(&self, at: usize, grid: &GalleryGrid) -> usize {
        at.checked_sub(self.matches).unwrap_or(at) % grid.columns
    }

    /// Moves the selection by this many tiles across and rows down.
    pub fn step(&mut self, across: isize, down: isize, area: Rect) {
        let shown = self.shown().len();
        if shown == 0 {
            return;
        }
        let grid = self.grid(area);
        if across != 0 {
            self.at = self.at.saturating_add_signed(across).min(shown - 1);
        }
        for _ in 0..down.unsigned_abs().min(shown) {
            let (row, column) = (self.row(self.at, &grid), self.column(self.at, &grid));
            let next = if down > 0 {
                // To the next row, and to its last tile if the row is too short.
                (self.at + 1..shown)
                    .take(2 * grid.columns)
                    .filter(|at| {
                        let below = self.row(*at, &grid);
                        below > row && self.column(*at, &grid) <= column
                    })
                    .take_while(|at| self.row(*at, &grid) <= row + 1 + usize::from(self.list))
                    .last()
            } else {
                (self.at.saturating_sub(2 * grid.columns)..self.at)
                    .rev()
                    .find(|at| self.row(*at, &grid) < row && self.column(*at, &grid) <= column)
            };
            let Some(next) = next else {
                // Nothing below in this column: to the last tile, if that is in a later row.
                if down > 0 && row < self.row(shown - 1, &grid) {
                    self.at = shown - 1;
                }
                break;
            };
            self.at = next;
        }
        self.reveal(area);
    }

    /// Scrolls the selection into the middle, as far as there are photos.
    pub fn center(&mut self, area: Rect) {
        let grid = self.grid(area);
        self.top = self.row(self.at, &grid).saturating_sub(grid.rows() / 2);
        self.reveal(area);
    }

    /// Scrolls as far as needed to make the selection visible.
    pub fn reveal(&mut self, area: Rect) {
        self.clamp();
        let grid = self.grid(area);
        let row = self.row(self.at, &grid);
        let last = self.row(self.shown().len().saturating_sub(1), &grid);
        let rows = grid.rows();
        self.top = self.top.clamp((row + 1).saturating_sub(rows), row).min((last + 1).saturating_sub(rows));
    }

    /// Scrolls by rows and moves the selection with them.
    pub fn scroll(&mut self, down: isize, area: Rect) {
        let rows = if self.list { down * 3 } else { down };
        self.step(0, rows, area);
    }

    /// The visible photos: position, photo and area. Tiles of a row that does not fit at the bottom are left out.
    pub fn tiles(&self, area: Rect) -> impl Iterator<Item = (usize, FoundPhoto, Rect)> + '_ {
        let grid = self.grid(area);
        let rows = grid.rows();
        // Rows increase with positions, so a binary search finds the first visible position.
        let positions = 0..self.shown().len();
        let first = partition(positions.end, |at| self.row(at, &grid) < self.top);
        self.shown().iter().copied().enumerate().skip(first).map_while(move |(at, found)| {
            let row = self.row(at, &grid).checked_sub(self.top)?;
            if row >= rows {
                return None;
            }
            let (row, column) = (u16::try_from(row).ok()?, u16::try_from(self.column(at, &grid)).ok()?);
            let (x, y) = (area.x + column * grid.width, area.y + row * grid.height);
            Some((at, found, Rect::new(x, y, grid.width, grid.height).intersection(area)))
        })
    }

    /// The screen row where the photos that are not matches begin, if it is visible.
    #[must_use]
    pub fn divider(&self, area: Rect) -> Option<u16> {
        if self.matches == 0 || self.shown().len() <= self.matches {
            return None;
        }
        let grid = self.grid(area);
        let row = (self.row(self.matches, &grid) - usize::from(self.list)).checked_sub(self.top)?;
        (row < grid.rows()).then_some(area.y + u16::try_from(row).ok()? * grid.height)
    }

    /// The position of the photo at a cell of the screen.
    #[must_use]
    pub fn hit(&self, area: Rect, x: u16, y: u16) -> Option<usize> {
        self.tiles(area).find(|(_, _, tile)| tile.contains((x, y).into())).map(|(at, _, _)| at)
    }

    /// Whether the selection is so near the end that more photos should be requested.
    #[must_use]
    pub fn nears_end(&self) -> bool {
        self.at + 60 >= self.found.len()
    }
}

/// The first position for which `before` does not hold; it must hold for all positions before that.
fn partition(len: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn gallery(matches: usize, rest: usize) -> Gallery {
        let mut gallery = Gallery::new();
        let found = (0..matches + rest).map(|n| FoundPhoto { id: n as i64, score: None, is_match: n < matches });
        gallery.fill(found.collect(), None);
        gallery
    }

    const AREA: Rect = Rect::new(0, 0, 80, 20);

    #[test]
    fn the_rest_begins_a_row_of_its_own() {
        let gallery = gallery(5, 4); // four in a row
        let tiles: Vec<(u16, u16)> = gallery.tiles(AREA).map(|(_, _, tile)| (tile.x, tile.y)).collect();
        assert_eq!(tiles, [(0, 0), (20, 0), (40, 0), (60, 0), (0, 10)], "two rows fit");
        assert_eq!(gallery.divider(AREA), None);
    }

    #[test]
    fn every_photo_can_be_reached_and_is_seen_when_selected() {
        for (matches, rest, list) in [(5, 6, false), (0, 11, false), (4, 4, false), (11, 0, false), (7, 7, true)] {
            let mut gallery = gallery(matches, rest);
            gallery.list = list;
            let all = matches + rest;
            for n in 0..all {
                assert_eq!(gallery.at(), n);
                assert!(gallery.tiles(AREA).any(|(at, _, _)| at == n), "{n} of {matches}+{rest}");
                gallery.step(1, 0, AREA);
            }
            for _ in 0..all {
                gallery.step(0, -1, AREA);
            }
            assert!(gallery.at() < 4, "{matches}+{rest}: {}", gallery.at());
            let mut rows = vec![gallery.at()];
            for _ in 0..all {
                gallery.step(0, 1, AREA);
                rows.push(gallery.at());
            }
            assert!(
                rows.is_sorted()
                    && gallery.row(gallery.at(), &gallery.grid(AREA)) == gallery.row(all - 1, &gallery.grid(AREA)),
                "{rows:?}"
            );
        }
    }

    #[test]
    fn down_into_a_short_row_goes_to_its_last() {
        let mut gallery = gallery(6, 0);
        gallery.select(3);
        gallery.step(0, 1, AREA);
        assert_eq!(gallery.at(), 5);
        gallery.step(0, -1, AREA);
        assert_eq!(gallery.at(), 1);
    }

    #[test]
    fn what_vanishes_takes_the_selection_along() {
        let mut gallery = gallery(2, 2);
        gallery.select(3);
        gallery.remove(0);
        assert_eq!((gallery.selected(), gallery.matches(), gallery.shown().len()), (Some(3), 1, 3));
        [1, 2, 3, 99].into_iter().for_each(|id| gallery.remove(id));
        assert_eq!(gallery.selected(), None);
        gallery.step(1, 1, AREA);
        assert_eq!(gallery.tiles(AREA).count(), 0);
    }
}
