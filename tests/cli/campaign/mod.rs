//! Under attack: every command is killed and refused the disk at its writes, and every region of a library is damaged.
//! Each test has a short form, and a long one with a seed that scripts/campaign.sh runs.

mod damage;
mod errors;
mod kills;
mod world;

use std::collections::BTreeSet;

/// `SNAPSEEK_SEED`, or 1.
fn seed() -> u64 {
    std::env::var("SNAPSEEK_SEED").map_or(1, |seed| seed.parse().unwrap())
}

/// So many attacks on a command, or `SNAPSEEK_POINTS` for a shorter run.
fn most(points: usize) -> usize {
    std::env::var("SNAPSEEK_POINTS").map_or(points, |points| points.parse().unwrap())
}

/// Random numbers that are the same every time (xorshift64*).
struct Random(u64);

impl Random {
    /// Of this seed and for this purpose.
    fn new(seed: u64, purpose: &str) -> Self {
        // A state of zero would stay zero.
        let hash = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(purpose.bytes().fold(seed ^ 0x9e37_79b9_7f4a_7c15, hash) | 1)
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }

    /// At most `limit` of these, in their order.
    fn some<T: Clone>(&mut self, all: &[T], limit: usize) -> Vec<T> {
        let mut left: Vec<usize> = (0..all.len()).collect();
        let mut chosen = BTreeSet::new();
        while chosen.len() < limit.min(all.len()) {
            chosen.insert(left.swap_remove(self.below(left.len())));
        }
        chosen.into_iter().map(|at| all[at].clone()).collect()
    }
}
