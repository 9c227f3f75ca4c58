//! Which disc on the globe has its edge nearest to a point: a tree of boxes around the discs' positions in space, which
//! has neither poles nor an antimeridian.
//!
//! The discs stay in the order in which they come. The nearer neighbours are in it, the fewer boxes a search opens.

use super::RADIUS;

/// How many discs, or boxes, are in a box.
const FEW: usize = 8;

/// A position in km from the middle of the earth. A float is exact to 0.5 m there.
pub(super) type Point = [f32; 3];

/// Where coordinates in degrees are in space.
pub(super) fn position(latitude: f64, longitude: f64) -> Point {
    let (north, around) = latitude.to_radians().sin_cos();
    let (east, front) = longitude.to_radians().sin_cos();
    [around * front, around * east, north].map(|along| (RADIUS * along) as f32)
}

/// A disc around a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disc {
    pub(super) position: Point,
    /// Its radius in km.
    pub(super) reach: f32,
    /// Which place it is.
    pub(super) place: u32,
}

impl Disc {
    /// How far its middle is: the chord, which within 50 km is shorter than the arc by centimetres.
    fn distance(&self, from: &Point) -> f32 {
        length(self.position.iter().zip(from).map(|(here, there)| here - there))
    }

    /// How far its edge is; negative inside.
    #[cfg(test)]
    pub(super) fn edge(&self, from: &Point) -> f32 {
        self.distance(from) - self.reach
    }
}

fn length(sides: impl Iterator<Item = f32>) -> f32 {
    sides.map(|side| side * side).sum::<f32>().sqrt()
}

/// What holds some discs.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    least: Point,
    most: Point,
    /// The greatest reach of any.
    reach: f32,
}

impl Bounds {
    fn around(all: impl Iterator<Item = Self>) -> Self {
        let nothing = Self { least: [f32::INFINITY; 3], most: [f32::NEG_INFINITY; 3], reach: 0.0 };
        all.fold(nothing, |mut bounds, other| {
            bounds.least.iter_mut().zip(other.least).for_each(|(least, other)| *least = least.min(other));
            bounds.most.iter_mut().zip(other.most).for_each(|(most, other)| *most = most.max(other));
            bounds.reach = bounds.reach.max(other.reach);
            bounds
        })
    }

    /// No disc's middle is nearer.
    fn distance(&self, from: &Point) -> f32 {
        let sides = self.least.iter().zip(&self.most).zip(from);
        length(sides.map(|((least, most), from)| (least - from).max(from - most).max(0.0)))
    }
}

impl From<&Disc> for Bounds {
    fn from(disc: &Disc) -> Self {
        Self { least: disc.position, most: disc.position, reach: disc.reach }
    }
}

/// Discs, and boxes around each few of them, boxes around each few of those, and so on while there is more than one.
#[derive(Debug)]
pub(super) struct DiscTree {
    discs: Vec<Disc>,
    /// The innermost boxes first. The one around everything is left out.
    levels: Vec<Vec<Bounds>>,
}

impl DiscTree {
    pub(super) fn new(discs: Vec<Disc>) -> Self {
        let mut level: Vec<Bounds> =
            discs.chunks(FEW).map(|few| Bounds::around(few.iter().map(Bounds::from))).collect();
        let mut levels = Vec::new();
        while level.len() > 1 {
            let above = level.chunks(FEW).map(|few| Bounds::around(few.iter().copied())).collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        Self { discs, levels }
    }

    /// The disc whose edge is nearest, or that the position is deepest in, of those with their middle `within` km.
    pub(super) fn nearest(&self, from: &Point, within: f32) -> Option<&Disc> {
        let mut search = Search { tree: self, from: *from, within, edge: f32::INFINITY, best: None };
        search.look_in(self.levels.len(), 0);
        search.best
    }

    /// How far that edge is, by comparing all discs.
    #[cfg(test)]
    pub(super) fn slowly_nearest(&self, from: &Point, within: f32) -> Option<f32> {
        let near = self.discs.iter().filter(|disc| disc.distance(from) <= within);
        near.map(|disc| disc.edge(from)).min_by(f32::total_cmp)
    }
}

struct Search<'t> {
    tree: &'t DiscTree,
    from: Point,
    within: f32,
    /// How far the edge of the best is; negative inside its disc.
    edge: f32,
    best: Option<&'t Disc>,
}

impl<'t> Search<'t> {
    /// Looks in a box by its level and its number there.
    fn look_in(&mut self, level: usize, number: usize) {
        let tree = self.tree;
        let Some(below) = level.checked_sub(1) else {
            return few(&tree.discs, number).iter().for_each(|disc| self.compare(disc));
        };
        let boxes = tree.levels.get(below).map_or(&[][..], |boxes| few(boxes, number));
        // The nearest first, so that the others need not be opened.
        let mut order = [(f32::INFINITY, 0); FEW];
        for ((bounds, child), place) in boxes.iter().zip(FEW * number..).zip(&mut order) {
            let distance = bounds.distance(&self.from);
            if distance <= self.within {
                *place = (distance - bounds.reach, child);
            }
        }
        order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        for (edge, child) in order {
            if edge >= self.edge {
                return;
            }
            self.look_in(below, child);
        }
    }

    fn compare(&mut self, disc: &'t Disc) {
        let distance = disc.distance(&self.from);
        if distance <= self.within && distance - disc.reach < self.edge {
            self.edge = distance - disc.reach;
            self.best = Some(disc);
        }
    }
}

/// What is in the box with this number.
fn few<T>(all: &[T], number: usize) -> &[T] {
    all.chunks(FEW).nth(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points all over the globe, the same each time.
    fn scattered(count: u32) -> impl Iterator<Item = (f64, f64)> {
        (0..count).map(|n| {
            let (up, around) = (f64::from(n) * 0.618_033_988_75, f64::from(n) * 0.754_877_666_25);
            ((2.0 * up.fract() - 1.0).asin().to_degrees(), 360.0 * around.fract() - 180.0)
        })
    }

    fn disc(latitude: f64, longitude: f64, reach: f32, place: u32) -> Disc {
        Disc { position: position(latitude, longitude), reach, place }
    }

    #[test]
    fn the_nearest_edge_is_that_of_comparing_all() {
        let reach = |place: u32| (place % 97) as f32 * (place % 5) as f32 / 4.0;
        for count in [1, 8, 9, 64, 65, 3000] {
            let discs: Vec<Disc> = scattered(count)
                .zip(0..)
                .map(|((north, east), place)| disc(north, east, reach(place), place))
                .collect();
            let tree = DiscTree::new(discs);
            for (latitude, longitude) in scattered(3000).map(|(a, b)| (a, -b)).chain([(90.0, 0.0), (-90.0, 77.0)]) {
                let from = position(latitude, longitude);
                for within in [150.0, 1000.0] {
                    let fast = tree.nearest(&from, within).map(|disc| disc.edge(&from));
                    assert_eq!(fast, tree.slowly_nearest(&from, within), "{latitude} {longitude}");
                }
            }
        }
    }

    #[test]
    fn no_discs_and_discs_at_one_place_make_a_tree_too() {
        let here = position(10.0, 20.0);
        assert!(DiscTree::new(Vec::new()).nearest(&here, 50.0).is_none());
        let same = DiscTree::new((0..100).map(|place| disc(10.0, 20.0, place as f32 / 10.0, place)).collect());
        assert_eq!(same.nearest(&here, 50.0).map(|disc| disc.place), Some(99));
    }
}
