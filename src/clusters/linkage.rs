//! Groups of vectors that are close together; their number need not be given.
//!
//! Average linkage (UPGMA) over cosine distances, cut where the silhouette (Rousseeuw 1987) is best. It was chosen by
//! measuring on `fixtures/photos`: its adjusted Rand index is 0.55 against the groups that a person made
//! (`tests/quality/clusters.rs`). HDBSCAN reached 0.52 and left a fifth of the photos out, or made five groups; k-means
//! reached 0.45 to 0.61, but it needs the number of groups and leaves nothing out. The cost grows with the square of
//! the number of points, so large libraries are first summarised by 2,000 spherical k-means centroids.

use super::kmeans;
use crate::model::products;
use crate::terminal::progress::StepFn;
use std::cmp::Ordering;

/// The most points that are linked; if there are more vectors, this many centroids summarise them.
const SUMMARY: usize = 2_000;
/// Up to this number of clusters each number is tried; beyond it, in steps of a twentieth.
const EACH: usize = 60;
/// The least mean silhouette of a cluster: below it, its photos are hardly nearer to each other than to the next
/// cluster.
const DISTINCT: f64 = 0.05;
/// The share of the best silhouette from which a cut is nearly as good.
const NEARLY: f64 = 0.8;
/// The share of the best silhouette of several clusters from which a cut is about as good: a few photos more or less
/// decide which of them is the best.
const ABOUT: f64 = 0.90;
/// The distance up to which two clusters are the same, but for rounding.
const SAME: f32 = 1e-5;
/// How many standard deviations below the mean cosine of a cluster's members a photo may be and still belong to it.
const REACH: f32 = 2.5;
/// The least standard deviation of a cluster: with less, a cluster of twins would admit nothing else.
const LEAST_DEVIATION: f32 = 0.02;

/// How clusters are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkageOptions {
    /// The number of clusters, if that many can be found; `None` for the number that fits the photos best.
    pub count: Option<usize>,
    /// The least number of members in a cluster.
    pub min_size: usize,
    /// The same where otherwise there are fewer clusters than `count`.
    pub least_size: usize,
}

/// A cluster of vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorGroup {
    /// The unit vector in the direction of the members' mean.
    pub centroid: Vec<f32>,
    /// The mean cosine of the members with the centroid.
    pub coherence: f32,
    /// The least cosine with the centroid that a member may have.
    pub reach: f32,
    /// The number of members.
    pub size: usize,
}

/// Groups, largest first, and the group of each vector.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clustering {
    /// The groups.
    pub groups: Vec<VectorGroup>,
    /// For each vector, in the order given, its group (`None`: an outlier) and its cosine with the nearest centroid.
    pub places: Vec<(Option<usize>, f32)>,
}

/// Finds groups of unit vectors of the same length; `None` if `report` cancelled it. The result does not depend on the
/// order of the vectors.
#[must_use]
pub fn cluster(vectors: &[&[f32]], options: LinkageOptions, report: &mut StepFn<'_>) -> Option<Clustering> {
    let fewest = if options.count.is_some() { options.least_size } else { options.min_size };
    if vectors.len() < fewest.max(2) || options.count == Some(0) {
        return Some(Clustering { groups: Vec::new(), places: vec![(None, 0.0); vectors.len()] });
    }
    // Sorted by content: the order of ids depends on which photo was indexed first.
    let mut order: Vec<usize> = (0..vectors.len()).collect();
    order.sort_by(|a, b| by_content(vectors[*a], vectors[*b]));
    let sorted: Vec<&[f32]> = order.iter().map(|n| vectors[*n]).collect();
    let (points, places) = summarize(&sorted, SUMMARY, report)?;
    let tree = Tree::new(&points, &places);
    let labels = match options.count {
        Some(count) => {
            let found = |labels: &Vec<Option<usize>>| labels.iter().flatten().max().map_or(0, |most| most + 1);
            let mut sizes = (options.least_size.clamp(1, options.min_size)..=options.min_size).rev();
            let mut labels = Vec::new();
            while found(&labels) < count
                && let Some(size) = sizes.next()
            {
                labels = tree.with_count(count, size);
            }
            labels
        }
        None => tree.best(options.min_size, report)?,
    };
    let assigned: Vec<Option<usize>> = places.iter().map(|(point, _)| labels[*point]).collect();
    let found = match options.count {
        Some(_) => keep(&sorted, &assigned, report)?,
        None => settle(&sorted, assigned, options.min_size, report)?,
    };
    let mut in_order = vec![(None, 0.0); vectors.len()];
    for (place, at) in found.places.into_iter().zip(order) {
        in_order[at] = place;
    }
    Some(Clustering { places: in_order, ..found })
}

/// Points that represent vectors, and for each vector its point and the cosine with it.
pub(super) type PointSummary = (Vec<Vec<f32>>, Vec<(usize, f32)>);

/// At most `most` points (unit vectors) that represent the vectors, and for each vector its point and the cosine with
/// it; `None` if cancelled.
pub(super) fn summarize(vectors: &[&[f32]], most: usize, report: &mut StepFn<'_>) -> Option<PointSummary> {
    if vectors.len() <= most {
        return Some((
            vectors.iter().map(|vector| vector.to_vec()).collect(),
            (0..vectors.len()).map(|n| (n, 1.0)).collect(),
        ));
    }
    let dim = vectors.first()?.len();
    let centroids = kmeans::fit(vectors, most, report)?;
    let places = kmeans::nearest(vectors, &centroids, report)?;
    Some((centroids.chunks_exact(dim).map(<[f32]>::to_vec).collect(), places))
}

pub(super) fn by_content(a: &[f32], b: &[f32]) -> Ordering {
    a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Points, and the order in which they are joined.
struct Tree {
    /// The mean of 1 - cosine between the vectors of two points, row by row; on the diagonal, between different vectors
    /// of the same point.
    distances: Vec<f32>,
    /// How many vectors each point represents.
    weights: Vec<usize>,
    /// The pairs of clusters that are joined: a number below the number of points is a point, a larger one the result
    /// of an earlier step.
    joins: Vec<(usize, usize)>,
    /// The mean distance between the two of each pair.
    heights: Vec<f32>,
}

impl Tree {
    fn new(points: &[Vec<f32>], places: &[(usize, f32)]) -> Self {
        let n = points.len();
        let (mut weights, mut lengths) = (vec![0_usize; n], vec![0.0_f32; n]);
        for (point, cosine) in places {
            weights[*point] += 1;
            lengths[*point] += cosine;
        }
        // The mean of a point's vectors is as long as their mean cosine with it, and the product of two means is the
        // mean of the products.
        lengths.iter_mut().zip(&weights).for_each(|(length, weight)| *length /= (*weight).max(1) as f32);
        let means: Vec<f32> =
            points.iter().zip(&lengths).flat_map(|(point, length)| point.iter().map(move |v| v * length)).collect();
        let mut distances = products(&means, &means, means.len() / n);
        distances.iter_mut().for_each(|cosine| *cosine = 1.0 - *cosine);
        for (at, weight) in weights.iter().enumerate() {
            // Remove the products of vectors with themselves.
            let own = &mut distances[at * n + at];
            *own *= *weight as f32 / weight.saturating_sub(1).max(1) as f32;
        }
        let mut condensed: Vec<f32> =
            (0..n).flat_map(|row| distances[row * n + row + 1..(row + 1) * n].iter().copied()).collect();
        let dendrogram = kodama::linkage(&mut condensed, n, kodama::Method::Average);
        let joins = dendrogram.steps().iter().map(|step| (step.cluster1, step.cluster2)).collect();
        let heights = dendrogram.steps().iter().map(|step| step.dissimilarity).collect();
        Self { distances, weights, joins, heights }
    }

    /// The cluster of each point when there are `count` clusters, small ones included.
    fn cut(&self, count: usize) -> Vec<usize> {
        let n = self.weights.len();
        let mut parents: Vec<usize> = (0..n + self.joins.len()).collect();
        for (step, (a, b)) in self.joins.iter().take(n.saturating_sub(count)).enumerate() {
            (parents[*a], parents[*b]) = (n + step, n + step);
        }
        // A parent always comes after its children.
        for at in (0..parents.len()).rev() {
            parents[at] = parents[parents[at]];
        }
        let mut names = std::collections::HashMap::new();
        parents[..n]
            .iter()
            .map(|root| {
                let next = names.len();
                *names.entry(*root).or_insert(next)
            })
            .collect()
    }

    /// The number of vectors in each cluster.
    fn sizes(&self, labels: &[usize]) -> Vec<usize> {
        let mut sizes = vec![0; labels.iter().max().map_or(0, |most| most + 1)];
        labels.iter().zip(&self.weights).for_each(|(label, weight)| sizes[*label] += weight);
        sizes
    }

    /// Labels without those of clusters that do not count.
    fn only(labels: Vec<usize>, counts: impl Fn(usize) -> bool) -> Vec<Option<usize>> {
        labels.into_iter().map(|label| counts(label).then_some(label)).collect()
    }

    /// `count` clusters of at least `min_size` vectors, or as many as there are: from all photos on, the cluster is
    /// divided whose parts are furthest apart, until there are enough. What is split off on the way and is smaller
    /// belongs to none. More clusters are asked for, more are found, one by one.
    fn with_count(&self, count: usize, min_size: usize) -> Vec<Option<usize>> {
        let n = self.weights.len();
        let mut sizes = self.weights.clone();
        for (a, b) in &self.joins {
            sizes.push(sizes[*a] + sizes[*b]);
        }
        // For each node, the first node below it, or itself, that divides into two large ones.
        let mut divides: Vec<Option<usize>> = vec![None; n];
        for (node, ((a, b), height)) in (n..).zip(self.joins.iter().zip(&self.heights)) {
            let large = |node: &&usize| sizes[**node] >= min_size;
            divides.push(match [a, b].into_iter().filter(large).collect::<Vec<_>>()[..] {
                // Photos that are the same cannot be told apart.
                [_, _] => (*height > SAME).then_some(node),
                [one] => divides[*one],
                _ => None,
            });
        }
        let root = sizes.len() - 1;
        let mut clusters: Vec<usize> = Vec::from_iter((sizes[root] >= min_size).then_some(root));
        while clusters.len() < count {
            // Later joins are of clusters that are further apart.
            let furthest = (0..clusters.len()).max_by_key(|at| divides[clusters[*at]]);
            let Some((at, node)) = furthest.and_then(|at| Some((at, divides[clusters[at]]?))) else { break };
            let (a, b) = self.joins[node - n];
            clusters[at] = a;
            clusters.push(b);
        }
        let mut labels = vec![None; sizes.len()];
        clusters.iter().enumerate().for_each(|(label, node)| labels[*node] = Some(label));
        for (node, (a, b)) in (n..sizes.len()).zip(&self.joins).rev() {
            if let Some(label) = labels[node] {
                (labels[*a], labels[*b]) = (Some(label), Some(label));
            }
        }
        labels.truncate(n);
        labels
    }

    /// The cut with the best mean silhouette, to which photos in clusters that are too small or not distinct add
    /// nothing. A cut into several clusters wins if it is nearly as good, because the best is often a mere split in two;
    /// of all that are about as good, the one with most clusters.
    fn best(&self, min_size: usize, report: &mut StepFn<'_>) -> Option<Vec<Option<usize>>> {
        // Up to the end: strays are joined last, and until then each is a cluster by itself.
        let most = self.weights.len() - 1;
        let total = self.weights.iter().sum::<usize>();
        let several = (total as f64).ln().ceil() as usize;
        // Of each cut: the number of clusters, that of the distinct ones, and the silhouette.
        let mut cuts: Vec<(usize, usize, f64)> = Vec::new();
        let mut k = 2;
        while k <= most {
            report(k, most).then_some(())?;
            let labels = self.cut(k);
            let distinct: Vec<f64> = self.distinct(&labels, min_size).into_iter().flatten().collect();
            cuts.push((k, distinct.len(), distinct.iter().sum::<f64>() / total as f64));
            k += if k < EACH { 1 } else { k / 20 };
        }
        let best = |least: usize| {
            let cuts = cuts.iter().filter(|(_, distinct, silhouette)| *distinct >= least && *silhouette > 0.0);
            cuts.max_by(|a, b| a.2.total_cmp(&b.2).then(b.0.cmp(&a.0)))
        };
        let chosen = match (best(1), best(several)) {
            (Some(best), Some(of_several)) if of_several.2 >= NEARLY * best.2 => {
                let about = cuts.iter().filter(|cut| cut.2 >= ABOUT * of_several.2);
                about.max_by(|a, b| a.1.cmp(&b.1).then(a.2.total_cmp(&b.2)).then(b.0.cmp(&a.0))).unwrap_or(of_several)
            }
            (Some(best), _) => best,
            (None, _) => return Some(vec![None; self.weights.len()]),
        };
        let labels = self.cut(chosen.0);
        let distinct = self.distinct(&labels, min_size);
        Some(Self::only(labels, |label| distinct[label].is_some()))
    }

    /// For each cluster, the sum of its vectors' silhouettes; `None` if it is too small or not distinct.
    fn distinct(&self, labels: &[usize], min_size: usize) -> Vec<Option<f64>> {
        let (n, sizes) = (labels.len(), self.sizes(labels));
        let mut sums = vec![0.0; sizes.len()];
        let mut apart = vec![0.0_f64; sizes.len()];
        for (at, own) in labels.iter().enumerate().filter(|(_, own)| sizes[**own] >= min_size.max(2)) {
            apart.fill(0.0);
            let row = &self.distances[at * n..(at + 1) * n];
            for (other, ((distance, label), weight)) in row.iter().zip(labels).zip(&self.weights).enumerate() {
                let weight = weight.saturating_sub(usize::from(other == at));
                apart[*label] += f64::from(*distance) * weight as f64;
            }
            let inside = apart[*own] / (sizes[*own] - 1) as f64;
            let others = apart.iter().zip(&sizes).enumerate().filter(|(label, _)| label != own);
            let outside = others.map(|(_, (sum, size))| sum / *size as f64).fold(f64::INFINITY, f64::min);
            if outside.is_finite() {
                sums[*own] += self.weights[at] as f64 * (outside - inside) / inside.max(outside).max(1e-9);
            }
        }
        let enough = |(sum, size): (f64, usize)| (size >= min_size && sum >= DISTINCT * size as f64).then_some(sum);
        sums.into_iter().zip(sizes).map(enough).collect()
    }
}

/// Turns an assignment into groups with a reach, and lets vectors without a group join the nearest that reaches them.
fn keep(vectors: &[&[f32]], assigned: &[Option<usize>], report: &mut StepFn<'_>) -> Option<Clustering> {
    let mut groups = groups_of(vectors, assigned);
    if groups.is_empty() {
        return Some(Clustering { groups, places: vec![(None, 0.0); vectors.len()] });
    }
    let centroids: Vec<f32> = groups.iter().flat_map(|group| &group.centroid).copied().collect();
    let nearest = kmeans::nearest(vectors, &centroids, report)?;
    let dim = vectors.first().map_or(1, |vector| vector.len());
    let mut places: Vec<(Option<usize>, f32)> = Vec::with_capacity(vectors.len());
    for ((own, vector), (nearest, cosine)) in assigned.iter().zip(vectors).zip(nearest) {
        places.push(match own {
            Some(own) => {
                let centroid = &centroids[own * dim..(own + 1) * dim];
                (Some(*own), vector.iter().zip(centroid).map(|(a, b)| a * b).sum())
            }
            None => ((cosine >= groups[nearest].reach).then_some(nearest), cosine),
        });
    }
    groups.iter_mut().for_each(|group| group.size = 0);
    places.iter().filter_map(|place| place.0).for_each(|group| groups[group].size += 1);
    Some(ordered(Clustering { groups, places }))
}

/// Turns a first assignment into groups with a reach; each vector belongs to the nearest group, if that reaches it.
fn settle(
    vectors: &[&[f32]],
    mut assigned: Vec<Option<usize>>,
    min_size: usize,
    report: &mut StepFn<'_>,
) -> Option<Clustering> {
    loop {
        let groups = groups_of(vectors, &assigned);
        if groups.is_empty() {
            return Some(Clustering { groups, places: vec![(None, 0.0); vectors.len()] });
        }
        let centroids: Vec<f32> = groups.iter().flat_map(|group| &group.centroid).copied().collect();
        let nearest = kmeans::nearest(vectors, &centroids, report)?;
        let mut sizes = vec![0; groups.len()];
        let places: Vec<(Option<usize>, f32)> = nearest
            .into_iter()
            .map(|(group, cosine)| {
                let inside = cosine >= groups[group].reach;
                sizes[group] += usize::from(inside);
                (inside.then_some(group), cosine)
            })
            .collect();
        if sizes.iter().all(|size| *size >= min_size) {
            let mut groups = groups;
            groups.iter_mut().zip(&sizes).for_each(|(group, size)| group.size = *size);
            return Some(ordered(Clustering { groups, places }));
        }
        // A group that lost too many members to its neighbours is dropped, and the remaining groups are settled again.
        assigned = places.iter().map(|(group, _)| group.filter(|group| sizes[*group] >= min_size)).collect();
    }
}

/// The groups that have members, in the order of their numbers.
pub(super) fn groups_of(vectors: &[&[f32]], assigned: &[Option<usize>]) -> Vec<VectorGroup> {
    let count = assigned.iter().flatten().max().map_or(0, |most| most + 1);
    let mut sizes = vec![0_usize; count];
    assigned.iter().flatten().for_each(|group| sizes[*group] += 1);
    // Renumbered without gaps, so that each centroid has its group.
    let mut numbers = vec![None; count];
    let mut next = 0;
    for (number, _) in numbers.iter_mut().zip(&sizes).filter(|(_, size)| **size > 0) {
        *number = Some(next);
        next += 1;
    }
    let number = |group: &Option<usize>| group.and_then(|group| numbers[group]);
    let dim = vectors.first().map_or(1, |vector| vector.len());
    let centroids = kmeans::means(vectors, assigned.iter().map(number), next);
    let mut moments = vec![(0.0_f64, 0.0_f64); next];
    for (vector, group) in vectors.iter().zip(assigned) {
        if let Some(group) = number(group) {
            let cosine: f32 = vector.iter().zip(&centroids[group * dim..]).map(|(a, b)| a * b).sum();
            moments[group].0 += f64::from(cosine);
            moments[group].1 += f64::from(cosine).powi(2);
        }
    }
    let sizes = sizes.into_iter().filter(|size| *size > 0);
    let groups = centroids.chunks_exact(dim).zip(moments).zip(sizes).map(|((centroid, (sum, squares)), size)| {
        let mean = sum / size as f64;
        let deviation = (squares / size as f64 - mean * mean).max(0.0).sqrt() as f32;
        let coherence = mean as f32;
        VectorGroup {
            centroid: centroid.to_vec(),
            coherence,
            reach: coherence - REACH * deviation.max(LEAST_DEVIATION),
            size,
        }
    });
    groups.collect()
}

/// Sorts the groups, largest first.
fn ordered(found: Clustering) -> Clustering {
    let mut order: Vec<usize> = (0..found.groups.len()).collect();
    order.sort_by_key(|group| std::cmp::Reverse(found.groups[*group].size));
    let mut numbers = vec![0; order.len()];
    order.iter().enumerate().for_each(|(new, old)| numbers[*old] = new);
    let places = found.places.into_iter().map(|(group, cosine)| (group.map(|group| numbers[group]), cosine)).collect();
    Clustering { groups: order.into_iter().map(|group| found.groups[group].clone()).collect(), places }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::normalize;

    /// Unit vectors around `groups` directions, a third as far from them as the directions are from each other, and
    /// `strays` more anywhere.
    fn blobs(groups: usize, each: usize, strays: usize) -> Vec<Vec<f32>> {
        let mut state = 7_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let mut make = |center: Option<&[f32]>| {
            let mut v: Vec<f32> = (0..32).map(|_| random()).collect();
            normalize(&mut v);
            if let Some(center) = center {
                v.iter_mut().zip(center).for_each(|(v, c)| *v = *v / 2.0 + c);
                normalize(&mut v);
            }
            v
        };
        let centers: Vec<Vec<f32>> = (0..groups).map(|_| make(None)).collect();
        let mut all: Vec<Vec<f32>> = Vec::new();
        for center in &centers {
            all.extend((0..each).map(|_| make(Some(center))));
        }
        all.extend((0..strays).map(|_| make(None)));
        all
    }

    fn find(vectors: &[Vec<f32>], count: Option<usize>) -> Clustering {
        let vectors: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
        cluster(&vectors, LinkageOptions { count, min_size: 5, least_size: 5 }, &mut |_, _| true).unwrap()
    }

    #[test]
    fn groups_are_found_and_strays_are_left_out() {
        let found = find(&blobs(7, 30, 12), None);
        assert_eq!(found.groups.len(), 7);
        for group in found.places[..210].chunks(30) {
            let most = group.iter().filter(|place| place.0.is_some() && place.0 == group[0].0).count();
            assert!(most >= 28, "{most} of 30 together");
        }
        let strays = found.places[210..].iter().filter(|place| place.0.is_none()).count();
        assert!(strays >= 10, "{strays} of 12 strays are outliers");
    }

    #[test]
    fn more_points_than_are_linked_are_summarised() {
        let found = find(&blobs(9, 400, 0), None);
        assert_eq!(found.groups.len(), 9);
        assert!(found.groups.iter().all(|group| group.size > 390 && group.coherence > 0.8));
    }

    #[test]
    fn a_number_of_clusters_is_kept_and_the_order_of_the_photos_does_not_count() {
        let mut vectors = blobs(6, 20, 5);
        let first = find(&vectors, Some(4));
        assert_eq!(first.groups.len(), 4);
        vectors.reverse();
        let mut second = find(&vectors, Some(4));
        second.places.reverse();
        assert_eq!(first, second);
    }

    #[test]
    fn more_clusters_are_asked_for_more_are_found() {
        let vectors = blobs(6, 20, 5);
        let mut before = 0;
        for count in 1..=125 {
            let found = find(&vectors, Some(count)).groups.len();
            assert!(found == count || found == before && found >= 6, "{count}: {found} clusters");
            before = found;
        }
        let rows: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
        let small = LinkageOptions { count: Some(50), min_size: 5, least_size: 1 };
        assert_eq!(cluster(&rows, small, &mut |_, _| true).unwrap().groups.len(), 50);
        for count in [30, 124, 125, 126, 2_000] {
            let found = find(&vectors, Some(count));
            assert!((6..=25).contains(&found.groups.len()), "{count}: {} clusters", found.groups.len());
            assert_eq!(found.groups.len(), find(&vectors, Some(1_000_000)).groups.len());
        }
    }

    #[test]
    fn few_or_equal_photos_are_no_trouble_and_work_can_be_stopped() {
        for vectors in [vec![], blobs(1, 3, 0), vec![vec![1.0, 0.0]; 40]] {
            let found = find(&vectors, None);
            assert_eq!(found.places.len(), vectors.len());
        }
        let vectors = blobs(2, 20, 0);
        let vectors: Vec<&[f32]> = vectors.iter().map(Vec::as_slice).collect();
        assert!(
            cluster(&vectors, LinkageOptions { count: None, min_size: 5, least_size: 5 }, &mut |_, _| false).is_none()
        );
    }
}
