//! Boxes around lines of any direction.

/// A point: across from the left and down from the top, in pixels.
pub(super) type PixelPoint = [f32; 2];

/// A box of any direction: the top left, top right, bottom right and bottom left corner of what stands in it, each
/// across from the left and down from the top, in pixels.
pub type Quad = [[f32; 2]; 4];

/// A rectangle of any direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LineBox {
    pub centre: PixelPoint,
    /// Unit vector in the direction of reading.
    pub along: PixelPoint,
    pub length: f32,
    pub height: f32,
}

impl LineBox {
    /// The rectangle of least area around points; `None` if they lie on a line.
    pub(super) fn around(points: Vec<PixelPoint>) -> Option<Self> {
        let hull = hull(points);
        let fit = |(a, b): (&PixelPoint, &PixelPoint)| {
            let side = distance(*a, *b);
            Self::with_direction([(b[0] - a[0]) / side, (b[1] - a[1]) / side], &hull)
        };
        let sides = hull.iter().zip(hull.iter().cycle().skip(1)).filter(|(a, b)| a != b);
        let area = |found: &Self| found.length * found.height;
        sides.map(fit).min_by(|a, b| area(a).total_cmp(&area(b))).filter(|found| area(found) > 0.0)
    }

    /// The least rectangle of a direction around points.
    pub(super) fn with_direction(along: PixelPoint, points: &[PixelPoint]) -> Self {
        let across = [-along[1], along[0]];
        let spread = |axis: PixelPoint| {
            let at = points.iter().map(|point| dot(*point, axis));
            at.fold((f32::MAX, f32::MIN), |(low, high), at| (low.min(at), high.max(at)))
        };
        let ((left, right), (top, bottom)) = (spread(along), spread(across));
        let (l, h) = ((left + right) / 2.0, (top + bottom) / 2.0);
        let centre = [l * along[0] + h * across[0], l * along[1] + h * across[1]];
        Self { centre, along, length: right - left, height: bottom - top }
    }

    /// Turned by quarters, clockwise.
    pub(super) fn turned(self, quarters: usize) -> Self {
        (0..quarters % 4).fold(self, |Self { centre, along: [x, y], length, height }, _| Self {
            centre,
            along: [-y, x],
            length: height,
            height: length,
        })
    }

    /// The direction in which its text is most likely read: along the longer side, if that is much longer, to the right
    /// or down; otherwise as far to the right as it goes.
    pub(super) fn lying(self) -> Self {
        let (short, long) = (self.length.min(self.height), self.length.max(self.height));
        let fits = |turned: &Self| long < 1.5 * short || turned.length >= turned.height;
        let right = |turned: &Self| turned.along[0] + 0.01 * turned.along[1];
        // What is turned by just a quarter is read down rather than up.
        (0..4)
            .map(|quarters| self.turned(quarters))
            .filter(fits)
            .max_by(|a, b| right(a).total_cmp(&right(b)))
            .unwrap_or(self)
    }

    pub(super) fn grown(self, margin: f32) -> Self {
        Self { length: self.length + 2.0 * margin, height: self.height + 2.0 * margin, ..self }
    }

    pub(super) fn corners(&self) -> Quad {
        let at = |l: f32, h: f32| self.at(l * self.length / 2.0, h * self.height / 2.0);
        [at(-1.0, -1.0), at(1.0, -1.0), at(1.0, 1.0), at(-1.0, 1.0)]
    }

    /// The point so far along and across from the centre.
    fn at(&self, along: f32, across: f32) -> PixelPoint {
        let [x, y] = self.along;
        [self.centre[0] + along * x - across * y, self.centre[1] + along * y + across * x]
    }

    /// How far along and across a point is from the centre.
    pub(super) fn place(&self, point: PixelPoint) -> PixelPoint {
        let from = [point[0] - self.centre[0], point[1] - self.centre[1]];
        [dot(from, self.along), dot(from, [-self.along[1], self.along[0]])]
    }

    pub(super) fn contains(&self, point: PixelPoint) -> bool {
        let [along, across] = self.place(point);
        // The corners of one pixel's grid may be a rounding away from the edge.
        along.abs() <= self.length / 2.0 + 0.01 && across.abs() <= self.height / 2.0 + 0.01
    }

    /// The same box after pixels became `x` times as wide and `y` times as high, which must be nearly the same.
    pub(super) fn scaled(&self, x: f32, y: f32) -> Self {
        let [x_along, y_along] = [self.along[0] * x, self.along[1] * y];
        let stretch = x_along.hypot(y_along);
        Self {
            centre: [(self.centre[0] + 0.5) * x, (self.centre[1] + 0.5) * y],
            along: [x_along / stretch, y_along / stretch],
            length: self.length * stretch,
            height: self.height * x * y / stretch,
        }
    }
}

pub(super) fn dot(a: PixelPoint, b: PixelPoint) -> f32 {
    a[0] * b[0] + a[1] * b[1]
}

fn distance(a: PixelPoint, b: PixelPoint) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// The corners of the convex hull in order (Andrew's monotone chain).
fn hull(mut points: Vec<PixelPoint>) -> Vec<PixelPoint> {
    points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    points.dedup();
    if points.len() < 3 {
        return points;
    }
    let turn =
        |o: PixelPoint, a: PixelPoint, b: PixelPoint| (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]);
    let chain = |points: &mut dyn Iterator<Item = PixelPoint>| {
        let mut chain: Vec<PixelPoint> = Vec::new();
        for point in points {
            while let [.., a, b] = chain[..]
                && turn(a, b, point) <= 0.0
            {
                chain.pop();
            }
            chain.push(point);
        }
        chain.pop();
        chain
    };
    let mut hull = chain(&mut points.iter().copied());
    hull.extend(chain(&mut points.iter().rev().copied()));
    hull
}

/// The connected parts (by eight neighbours) of what is set on a grid of `width` columns: the positions of each.
pub(super) fn parts(is_set: &[bool], width: usize) -> Vec<Vec<usize>> {
    let height = is_set.len() / width.max(1);
    let mut left = is_set.to_vec();
    let mut found = Vec::new();
    for start in 0..is_set.len() {
        if !std::mem::take(&mut left[start]) {
            continue;
        }
        let (mut part, mut next) = (vec![start], 0);
        while let Some(at) = part.get(next).copied() {
            next += 1;
            let (x, y) = (at % width, at / width);
            for row in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for column in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    if std::mem::take(&mut left[row * width + column]) {
                        part.push(row * width + column);
                    }
                }
            }
        }
        found.push(part);
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn near(a: PixelPoint, b: PixelPoint) -> bool {
        distance(a, b) < 0.01
    }

    #[test]
    fn the_least_rectangle_has_the_direction_of_what_is_in_it() {
        for degrees in [0.0_f32, 12.0, 45.0, 80.0, -30.0, 90.0] {
            let (sin, cos) = degrees.to_radians().sin_cos();
            let truth = LineBox { centre: [50.0, 40.0], along: [cos, sin], length: 60.0, height: 9.0 };
            let inside = |n: i32| truth.at((n % 7 - 3) as f32 * 10.0, (n / 7 - 2) as f32 * 2.25);
            let found = LineBox::around((0..35).map(inside).collect()).unwrap().lying();
            assert!(near(found.centre, truth.centre) && near(found.along, truth.along), "{degrees}: {found:?}");
            assert!((found.length - 60.0).abs() < 0.01 && (found.height - 9.0).abs() < 0.01, "{degrees}: {found:?}");
            let corners = found.corners();
            assert!(corners.iter().all(|corner| found.contains(*corner)) && !found.contains(found.at(31.0, 0.0)));
            assert!(near(found.turned(4).along, found.along) && near(found.turned(2).corners()[0], corners[2]));
        }
        assert!(LineBox::around(vec![[1.0, 1.0], [3.0, 3.0], [2.0, 2.0]]).is_none());
        assert!(LineBox::around(Vec::new()).is_none());
    }

    #[test]
    fn short_boxes_are_read_to_the_right_and_tall_ones_down() {
        let upright = |length, height| LineBox { centre: [0.0; 2], along: [1.0, 0.0], length, height };
        assert_eq!(upright(10.0, 12.0).lying().along, [1.0, 0.0]);
        assert_eq!(upright(10.0, 40.0).lying().along, [0.0, 1.0]);
        assert_eq!(upright(40.0, 10.0).turned(2).lying().along, [1.0, 0.0]);
        let scaled = upright(40.0, 10.0).scaled(2.0, 2.0);
        assert_eq!((scaled.centre, scaled.length, scaled.height), ([1.0, 1.0], 80.0, 20.0));
    }

    #[test]
    fn parts_touch_at_corners_and_end_at_the_edge() {
        let grid: Vec<bool> = "#..##\n.#...\n....#".lines().flat_map(|row| row.chars().map(|c| c == '#')).collect();
        assert_eq!(parts(&grid, 5), [vec![0, 6], vec![3, 4], vec![14]]);
        assert!(parts(&[], 0).is_empty());
    }
}
