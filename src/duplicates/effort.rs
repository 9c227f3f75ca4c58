//! How much comparing a photo is worth. Thousands of frames of one scene, as of a time lapse, would take days if each were
//! compared with each other, and most of the comparisons would tell nothing new.

use super::candidates::Candidate;

/// Comparisons of a photo.
const MOST_TRIED: u32 = 96;
/// The same of pairs that nothing but their embeddings speaks for.
const MOST_NEAR: u32 = 32;
/// Copies of a photo that are enough to place it in a group.
const ENOUGH: u32 = 32;

/// What was spent on each photo, by position, and which ones are connected by likenesses.
pub(super) struct Effort {
    tried: Vec<u32>,
    near: Vec<u32>,
    alike: Vec<u32>,
    parents: Vec<usize>,
}

impl Effort {
    pub(super) fn new(photos: usize) -> Self {
        let none = vec![0; photos];
        Self { tried: none.clone(), near: none.clone(), alike: none, parents: (0..photos).collect() }
    }

    /// Whether two photos should be compared, which counts if so. Not if both were compared with enough others, or are
    /// connected already, with enough copies each.
    pub(super) fn is_worth(&mut self, pair: &Candidate) -> bool {
        let Candidate { first, second, by_meaning, .. } = *pair;
        let both = |counts: &[u32], enough: u32| {
            [first, second].iter().all(|at| counts.get(*at).is_none_or(|count| *count >= enough))
        };
        if both(&self.tried, MOST_TRIED)
            || by_meaning && both(&self.near, MOST_NEAR)
            || both(&self.alike, ENOUGH) && self.root(first) == self.root(second)
        {
            return false;
        }
        for at in [first, second] {
            self.tried.get_mut(at).into_iter().for_each(|count| *count += 1);
            self.near.get_mut(at).into_iter().for_each(|count| *count += u32::from(by_meaning));
        }
        true
    }

    /// Connects two photos that show one picture.
    pub(super) fn connect(&mut self, first: usize, second: usize) {
        for at in [first, second] {
            self.alike.get_mut(at).into_iter().for_each(|count| *count += 1);
        }
        let (a, b) = (self.root(first), self.root(second));
        if let Some(parent) = self.parents.get_mut(a.max(b)) {
            *parent = a.min(b);
        }
    }

    /// The photo that stands for all that are connected with this one.
    fn root(&mut self, of: usize) -> usize {
        let mut at = of;
        while let Some(parent) = self.parents.get(at).copied().filter(|parent| *parent != at) {
            // Halves the path, so that long chains stay cheap.
            let above = self.parents.get(parent).copied().unwrap_or(parent);
            if let Some(parent) = self.parents.get_mut(at) {
                *parent = above;
            }
            at = above;
        }
        at
    }

    /// The sets of connected photos of more than one, each ascending.
    pub(super) fn sets(mut self) -> Vec<Vec<usize>> {
        let mut sets = std::collections::BTreeMap::<usize, Vec<usize>>::new();
        for at in 0..self.parents.len() {
            if self.alike.get(at).is_some_and(|count| *count > 0) {
                sets.entry(self.root(at)).or_default().push(at);
            }
        }
        sets.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::alike::Turns;
    use super::*;

    fn pair(first: usize, second: usize, by_meaning: bool) -> Candidate {
        Candidate { first, second, turns: Turns::ALL, by_meaning }
    }

    #[test]
    fn chains_are_one_set_and_others_are_none() {
        let mut effort = Effort::new(10);
        [(7, 3), (3, 9), (1, 2), (9, 8)].iter().for_each(|(a, b)| effort.connect(*a, *b));
        assert_eq!(effort.sets(), [vec![1, 2], vec![3, 7, 8, 9]]);
    }

    #[test]
    fn of_a_scene_with_thousands_of_frames_few_pairs_are_compared() {
        let frames = 2_000;
        let all = || (0..frames).flat_map(|a| (a + 1..frames).map(move |b| (a, b)));
        for (by_meaning, alike, most) in [(true, false, 33), (false, false, 97), (false, true, 40)] {
            let mut effort = Effort::new(frames + 2);
            let mut compared = 0;
            for (a, b) in all() {
                if effort.is_worth(&pair(a, b, by_meaning)) {
                    compared += 1;
                    if alike {
                        effort.connect(a, b);
                    }
                }
            }
            assert!(compared < most * frames && compared > frames, "{compared}");
            // What was not seen yet is compared with whatever there is.
            assert!(effort.is_worth(&pair(3, frames, true)) && effort.is_worth(&pair(frames, frames + 1, true)));
            assert!(!alike || effort.sets().len() == 1);
        }
    }
}
