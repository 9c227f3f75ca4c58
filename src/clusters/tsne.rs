//! Exact t-SNE (van der Maaten and Hinton 2008) in two dimensions, with the same bits on every processor and any number
//! of threads: each point's sums are added in a fixed order, and functions that are rounded differently on different
//! processors come from `libm`.

use crate::terminal::progress::StepFn;
use rayon::prelude::*;

/// Steps of gradient descent, and how many of the first exaggerate attraction, which separates the groups.
const EPOCHS: (usize, usize) = (750, 250);
/// The factor of that exaggeration.
const EXAGGERATION: f32 = 12.0;
/// The share of the previous step that is repeated, while attraction is exaggerated and afterwards.
const MOMENTUM: (f32, f32) = (0.5, 0.8);
/// The least gain, by which a coordinate becomes faster or slower than the others (Jacobs 1988).
const LEAST_GAIN: f32 = 0.01;
/// Epochs between two reports.
const REPORT_EVERY: usize = 25;
/// Halvings of the interval in which a point's precision is searched.
const SEARCHES: usize = 60;
/// Sums kept side by side, so that the compiler can use whole registers.
const LANES: usize = 8;

/// Moves `plane`, a first guess of each point's place, until near points are together. `distances` are squared, (n, n),
/// row by row; `perplexity`, less than n, is how many neighbours attract a point. `None` if `report` cancelled it.
pub(super) fn embed(
    distances: &[f32],
    perplexity: f32,
    plane: &[(f32, f32)],
    report: &mut StepFn<'_>,
) -> Option<Vec<(f32, f32)>> {
    let n = plane.len();
    let near = Neighbours::new(distances, n, perplexity);
    // As in scikit-learn ("auto"), after Belkina et al. 2019.
    let rate = (n as f32 / EXAGGERATION / 4.0).max(50.0);
    let (mut x, mut y): (Vec<f32>, Vec<f32>) = plane.iter().copied().unzip();
    // Padded with points that are infinitely far away, so that rows fill whole lanes.
    x.resize(near.width, f32::INFINITY);
    y.resize(near.width, f32::INFINITY);
    let mut moves = vec![Motion::default(); n];
    for epoch in 0..EPOCHS.0 {
        if epoch % REPORT_EVERY == 0 {
            report(epoch, EPOCHS.0).then_some(())?;
        }
        let (exaggeration, momentum) = if epoch < EPOCHS.1 { (EXAGGERATION, MOMENTUM.0) } else { (1.0, MOMENTUM.1) };
        let forces: Vec<Force> = (0..n).into_par_iter().map(|at| near.force(at, &x, &y)).collect();
        // Each point's closeness to itself is 1.
        let closeness: f64 = forces.iter().map(|force| f64::from(force.closeness) - 1.0).sum();
        let scale = (1.0 / closeness.max(f64::MIN_POSITIVE)) as f32;
        for (at, (force, motion)) in forces.iter().zip(&mut moves).enumerate() {
            let slope = |pull: f32, push: f32| 4.0 * (exaggeration * pull - push * scale);
            x[at] += motion.x.next(slope(force.pull.0, force.push.0), rate, momentum);
            y[at] += motion.y.next(slope(force.pull.1, force.push.1), rate, momentum);
        }
        for axis in [&mut x[..n], &mut y[..n]] {
            let mean = (axis.iter().map(|v| f64::from(*v)).sum::<f64>() / n as f64) as f32;
            axis.iter_mut().for_each(|v| *v -= mean);
        }
    }
    Some(x.into_iter().zip(y).take(n).collect())
}

/// How a point moves.
#[derive(Clone, Default)]
struct Motion {
    x: Axis,
    y: Axis,
}

#[derive(Clone)]
struct Axis {
    step: f32,
    gain: f32,
}

impl Default for Axis {
    fn default() -> Self {
        Self { step: 0.0, gain: 1.0 }
    }
}

impl Axis {
    /// The next step down a slope.
    fn next(&mut self, slope: f32, rate: f32, momentum: f32) -> f32 {
        let turned = (slope > 0.0) == (self.step > 0.0);
        self.gain = if turned { self.gain * 0.8 } else { self.gain + 0.2 }.max(LEAST_GAIN);
        self.step = momentum * self.step - rate * self.gain * slope;
        self.step
    }
}

/// The forces that move a point.
struct Force {
    /// Towards its neighbours.
    pull: (f32, f32),
    /// Away from all points, still to be divided by the sum of all closeness.
    push: (f32, f32),
    /// To all points, itself included.
    closeness: f32,
}

/// How strongly points attract each other.
struct Neighbours {
    /// Symmetric joint probabilities, (n, width): rows padded with zeros.
    shares: Vec<f32>,
    width: usize,
}

impl Neighbours {
    fn new(distances: &[f32], n: usize, perplexity: f32) -> Self {
        let conditional: Vec<Vec<f64>> =
            (0..n).into_par_iter().map(|at| conditional(&distances[at * n..(at + 1) * n], at, perplexity)).collect();
        let width = n.next_multiple_of(LANES);
        let mut shares = vec![0.0; n * width];
        shares.par_chunks_exact_mut(width).enumerate().for_each(|(at, row)| {
            for (other, share) in row.iter_mut().take(n).enumerate() {
                *share = ((conditional[at][other] + conditional[other][at]) / (2.0 * n as f64)) as f32;
            }
        });
        Self { shares, width }
    }

    fn force(&self, at: usize, x: &[f32], y: &[f32]) -> Force {
        let row = self.shares[at * self.width..(at + 1) * self.width].as_chunks::<LANES>().0;
        let (own_x, own_y) = (x[at], y[at]);
        let mut sums = [[0.0_f32; LANES]; 5];
        for ((shares, xs), ys) in row.iter().zip(x.as_chunks::<LANES>().0).zip(y.as_chunks::<LANES>().0) {
            for lane in 0..LANES {
                let (dx, dy) = (own_x - xs[lane], own_y - ys[lane]);
                let close = 1.0 / (1.0 + dx * dx + dy * dy);
                // A point that only pads the row: its distance is infinite, and its closeness is 0.
                let (dx, dy) = if close > 0.0 { (dx, dy) } else { (0.0, 0.0) };
                let (pull, push) = (shares[lane] * close, close * close);
                sums[0][lane] += pull * dx;
                sums[1][lane] += pull * dy;
                sums[2][lane] += push * dx;
                sums[3][lane] += push * dy;
                sums[4][lane] += close;
            }
        }
        let [pull_x, pull_y, push_x, push_y, closeness] = sums.map(|lanes| lanes.iter().sum::<f32>());
        Force { pull: (pull_x, pull_y), push: (push_x, push_y), closeness }
    }
}

/// How strongly each other point attracts this one (0 for itself). The shares sum to 1, and their entropy is that of
/// `perplexity` equal neighbours.
fn conditional(distances: &[f32], at: usize, perplexity: f32) -> Vec<f64> {
    let target = libm::log(f64::from(perplexity));
    let nearest = distances.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, d)| *d);
    let nearest = f64::from(nearest.fold(f32::INFINITY, f32::min));
    let (mut low, mut high, mut precision) = (0.0_f64, f64::INFINITY, 1.0_f64);
    let mut shares = vec![0.0_f64; distances.len()];
    for _ in 0..SEARCHES {
        let (mut sum, mut weighted) = (0.0, 0.0);
        for (other, (share, distance)) in shares.iter_mut().zip(distances).enumerate() {
            // Measured from the nearest point, so that the sum never vanishes.
            let beyond = f64::from(*distance) - nearest;
            *share = if other == at { 0.0 } else { libm::exp(-precision * beyond) };
            sum += *share;
            weighted += beyond * *share;
        }
        let entropy = libm::log(sum) + precision * weighted / sum;
        shares.iter_mut().for_each(|share| *share /= sum);
        if (entropy - target).abs() < 1e-5 {
            break;
        }
        if entropy > target {
            low = precision;
            precision = if high.is_finite() { f64::midpoint(low, high) } else { 2.0 * precision };
        } else {
            high = precision;
            precision = f64::midpoint(low, high);
        }
    }
    shares
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_point_minds_as_many_others_as_it_should() {
        let distances: Vec<f32> = (0..40).map(|n| n as f32 * 0.1).collect();
        for perplexity in [2.0, 5.0, 20.0] {
            let shares = conditional(&distances, 3, perplexity);
            let entropy: f64 = shares.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
            assert!((entropy.exp() - f64::from(perplexity)).abs() < 1e-2, "{}", entropy.exp());
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12 && shares[3] == 0.0);
        }
        let equal = conditional(&[0.0; 9], 0, 3.0);
        assert!(equal.iter().all(|p| p.is_finite()));
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let n = 45;
        let place = |at: usize| ((at * 37 % 101) as f32 / 101.0, (at % 3) as f32 * 4.0);
        let distance = |a: usize, b: usize| {
            let ((x, y), (v, w)) = (place(a), place(b));
            (x - v) * (x - v) + (y - w) * (y - w)
        };
        let distances: Vec<f32> = (0..n * n).map(|at| distance(at / n, at % n)).collect();
        let guess: Vec<(f32, f32)> = (0..n).map(|at| (place(at).1 * 1e-3, place(at).0 * 1e-3)).collect();
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| embed(&distances, 10.0, &guess, &mut |_, _| true)).unwrap()
        };
        let spots = with(1);
        assert_eq!(spots, with(3));
        assert!(spots.iter().all(|(x, y)| x.is_finite() && y.is_finite()));
        assert_eq!(embed(&distances, 10.0, &guess, &mut |_, _| false), None);
    }
}
