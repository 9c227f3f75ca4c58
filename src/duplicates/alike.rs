//! Whether two looks show one picture: one is the other or a part of it, perhaps turned, brightened or framed.
//!
//! The measure is the normalised cross-correlation of the fine structure: brightness minus the mean of the
//! neighbourhood. It does not depend on brightness and contrast. Unlike the correlation of the brightness itself, it is
//! near zero for two photos that merely both have the sky at the top. It is computed for the whole and for each region,
//! because two slides of one talk differ only in some regions.

mod grid;

use super::looks::Look;
use grid::{COARSE, Grid, Wanted, Window, norm};

/// Smallest share of its edge that a cropped picture may keep.
const SMALLEST: f32 = 0.7;
/// Share by which the aspect of copies may differ, because their sizes are whole numbers.
const SLACK: f32 = 0.025;
/// Correlation of the brightness on the coarse grid below which alignment gives up.
const HOPELESS: f32 = 0.7;
/// Windows of the coarse grid that are compared by their fine structure.
const STARTS: usize = 6;
/// Correlation of the fine structure, at the best of these windows, from which moving the window is worth it.
const PROMISING: f32 = 0.35;
/// Correlation that is not worth improving.
const PERFECT: f32 = 0.99;
/// Share of the area from which a part counts as the whole.
const WHOLE: f32 = 0.97;
/// Standard deviation of the fine structure of a region, in grey levels (0 to 255), from which it must be alike in
/// both.
const VISIBLE: f32 = 4.0;
/// Moves of a window, in steps: right, down, and in size. Half a step aside keeps a corner in place.
const MOVES: [(f32, f32, f32); 14] = [
    (1.0, 0.0, 0.0),
    (-1.0, 0.0, 0.0),
    (0.0, 1.0, 0.0),
    (0.0, -1.0, 0.0),
    (0.0, 0.0, 1.0),
    (0.0, 0.0, -1.0),
    (0.5, 0.5, 1.0),
    (-0.5, 0.5, 1.0),
    (0.5, -0.5, 1.0),
    (-0.5, -0.5, 1.0),
    (0.5, 0.5, -1.0),
    (-0.5, 0.5, -1.0),
    (0.5, -0.5, -1.0),
    (-0.5, -0.5, -1.0),
];

/// How two looks fit together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likeness {
    /// Correlation of the fine structure, -1 to 1.
    pub score: f32,
    /// The same for the region where it is lowest, among those with visible structure.
    pub weakest: f32,
    /// Quarter turns clockwise that bring the first picture into the position of the second, 0 to 3.
    pub turns: u8,
    /// Which picture is inside which.
    pub fit: Fit,
}

/// Which picture is inside which, and the share of the outer one's area that it covers. `framed`: everything around it
/// has one colour.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Fit {
    /// Both show the same.
    Whole,
    /// The first is inside the second.
    FirstInside { share: f32, framed: bool },
    /// The second is inside the first.
    SecondInside { share: f32, framed: bool },
}

/// A set of quarter turns clockwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns(u8);

impl Turns {
    /// The empty set: not even zero turns.
    pub const NONE: Self = Self(0);
    /// Zero to three turns.
    pub const ALL: Self = Self(0b1111);

    /// Only this number of quarter turns.
    #[must_use]
    pub fn only(quarters: u8) -> Self {
        Self(1 << (quarters % 4))
    }

    /// The union of both sets.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether this number of quarter turns is in the set.
    #[must_use]
    pub fn has(self, quarters: u8) -> bool {
        self.0 & Self::only(quarters).0 != 0
    }

    /// The turns that undo these.
    #[must_use]
    pub fn back(self) -> Self {
        (0..4).filter(|n| self.has(*n)).fold(Self::NONE, |back, n| back.and(Self::only(4 - n)))
    }
}

impl Likeness {
    const UNLIKE: Self = Self { score: 0.0, weakest: 0.0, turns: 0, fit: Fit::Whole };

    /// The same with the two pictures swapped.
    #[must_use]
    pub fn back(self) -> Self {
        let fit = match self.fit {
            Fit::Whole => Fit::Whole,
            Fit::FirstInside { share, framed } => Fit::SecondInside { share, framed },
            Fit::SecondInside { share, framed } => Fit::FirstInside { share, framed },
        };
        Self { turns: (4 - self.turns) % 4, fit, ..self }
    }
}

/// A look prepared for comparison.
struct Ready {
    aspect: f32,
    full: Grid,
    coarse: Grid,
}

impl Ready {
    fn new(aspect: f32, full: Grid) -> Self {
        Self { aspect, coarse: full.shrunk(COARSE), full }
    }
}

/// How two looks fit together best, with these turns of the first; the score is 0 if they do not fit at all.
#[must_use]
pub fn compare(first: &Look, second: &Look, turns: Turns) -> Likeness {
    let second = Ready::new(second.aspect, Grid::of(second));
    let mut best = Likeness::UNLIKE;
    for turns in (0..4).filter(|n| turns.has(*n)) {
        let aspect = if turns % 2 == 0 { first.aspect } else { 1.0 / first.aspect };
        let first = Ready::new(aspect, Grid::of(first).turned(turns));
        for (inner, outer, first_inside) in [(&first, &second, true), (&second, &first, false)] {
            if best.score >= PERFECT {
                return best;
            }
            let Some(aligned) = align(inner, outer).filter(|aligned| aligned.score > best.score) else { continue };
            let share = aligned.window.width * aligned.window.height;
            let framed = outer.full.is_plain_around(aligned.window);
            let fit = match first_inside {
                _ if share > WHOLE => Fit::Whole,
                true => Fit::FirstInside { share, framed },
                false => Fit::SecondInside { share, framed },
            };
            best = Likeness { score: aligned.score, weakest: aligned.weakest, turns, fit };
        }
    }
    best
}

/// The fine structure of a picture or of a part of it, as unit vectors; zeros if it is too faint to compare.
#[derive(Clone, Debug)]
pub struct Print {
    /// On a grid of 8x8: 64 numbers, which are cheap to compare.
    pub rough: Vec<f32>,
    /// On a grid of 16x16: 256 numbers, which are more precise.
    pub exact: Vec<f32>,
}

impl Print {
    /// Numbers of a rough print.
    pub const ROUGH: usize = (COARSE / 2) * (COARSE / 2);

    /// The print of a part of a look: left, top, width and height in fractions of its edges.
    #[must_use]
    pub fn of(look: &Look, [left, top, width, height]: [f32; 4]) -> Self {
        Self::of_grid(&Grid::of(look).sample(Window { left, top, width, height }))
    }

    /// The print of a look without its frame of one colour; of the whole look if it has no frame.
    #[must_use]
    pub fn unframed(look: &Look) -> Self {
        let grid = Grid::of(look);
        Self::of_grid(&grid.sample(grid.without_frame()))
    }

    /// The print of a whole look, turned clockwise by this number of quarter turns.
    #[must_use]
    pub fn turned(look: &Look, quarters: u8) -> Self {
        Self::of_grid(&Grid::of(look).turned(quarters))
    }

    fn of_grid(grid: &Grid) -> Self {
        let unit = |edge: usize| {
            let fine = grid.shrunk(edge).fine(0);
            let norm = norm(&fine);
            // The print of mere noise would always be different.
            let visible = norm >= grid::FAINT * edge as f32;
            fine.into_iter().map(|v| if visible { v / norm } else { 0.0 }).collect()
        };
        Self { rough: unit(COARSE / 2), exact: unit(COARSE) }
    }
}

/// Where one picture is inside another, and how well it fits there.
struct Alignment {
    score: f32,
    weakest: f32,
    window: Window,
}

/// Where `inner` is inside `outer`; `None` if it cannot be.
fn align(inner: &Ready, outer: &Ready) -> Option<Alignment> {
    // Cropping does not distort what is left, so one scale determines both edges of the window.
    let mut shape = inner.aspect / outer.aspect;
    if (shape - 1.0).abs() < SLACK {
        shape = 1.0;
    }
    if !(SMALLEST..=1.0 / SMALLEST).contains(&shape) {
        return None;
    }
    let size = |scale: f32| (scale * shape.min(1.0), scale * (1.0 / shape).min(1.0));
    let wanted = inner.full.structure(Window::WHOLE)?;
    let judge = |window: Window| outer.full.structure(window).map_or(0.0, |found| wanted.likeness(&found));
    let judged = starts(inner, outer, size).into_iter().map(|window| (judge(window), window));
    let best = judged.max_by(|a, b| a.0.total_cmp(&b.0));
    let (mut score, mut window) = best.filter(|(score, _)| *score >= PROMISING)?;
    let mut step = 1.0 / 32.0;
    while step > 1.0 / 600.0 && score < PERFECT {
        let mut moved = false;
        for (right, down, larger) in MOVES {
            let scale = window.width.max(window.height) + step * larger;
            let (width, height) = size(scale.clamp(SMALLEST, 1.0));
            let left = window.left + (window.width - width) / 2.0 + step * right;
            let top = window.top + (window.height - height) / 2.0 + step * down;
            let next = Window { left: left.clamp(0.0, 1.0 - width), top: top.clamp(0.0, 1.0 - height), width, height };
            if next == window {
                continue;
            }
            let found = judge(next);
            if found > score {
                (score, window, moved) = (found, next, true);
            }
        }
        if !moved {
            step /= 2.0;
        }
    }
    let weakest = outer.full.structure(window).map_or(0.0, |found| wanted.weakest(&found, VISIBLE));
    Some(Alignment { score, weakest, window })
}

/// The windows of `outer` that fit best on the coarse grid, best first. `size` computes the edges of a window from a
/// scale.
fn starts(inner: &Ready, outer: &Ready, size: impl Fn(f32) -> (f32, f32)) -> Vec<Window> {
    let step = 0.5 / COARSE as f32;
    let places = |room: f32| {
        let count = (room / step).ceil();
        (0..=count as usize).map(move |n| if count > 0.0 { room * n as f32 / count } else { 0.0 })
    };
    let (wanted, mut found) = (Wanted::new(&inner.coarse), Vec::new());
    for scale in (0..).map(|n| 1.0 - n as f32 / 24.0).take_while(|scale| *scale >= SMALLEST) {
        let (width, height) = size(scale);
        let of_left: Vec<_> = places(1.0 - width).map(|left| (left, outer.coarse.columns(left, width))).collect();
        for top in places(1.0 - height) {
            let rows = outer.coarse.along(top, height);
            for (left, columns) in &of_left {
                let score = wanted.correlation(columns, &rows);
                if score > HOPELESS {
                    found.push((score, Window { left: *left, top, width, height }));
                }
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().take(STARTS).map(|(_, window)| window).collect()
}

#[cfg(test)]
mod tests;
