//! The library's clusters: found, named, stored, and joined by photos that are indexed later.

pub mod keywords;
mod kmeans;
pub mod linkage;
pub mod map;
mod tsne;

use crate::exit::Failure;
use crate::model::Embed;
use crate::terminal::progress::Progress;
use crate::terminal::text;
use keywords::{Album, Words};
use linkage::{Clustering, LinkageOptions, VectorGroup};
use snapseek_index::{Cluster, ClusterMember, GivenName, Library, NewCluster, Searcher, folded_name};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Minimum size of a cluster, in a library of at least [`MANY`] photos and in a smaller one.
const MIN_SIZE: (usize, usize) = (5, 3);
const MANY: usize = 500;
/// Minimum size of a cluster if so many are asked for that there are not enough larger ones.
const LEAST_SIZE: usize = 2;
/// Minimum number of photos in a cluster that can be split.
const SPLITTABLE: usize = 4;
/// Maximum number of photos of a cluster that are sampled to choose its keywords.
const SAMPLE: usize = 100;
/// Maximum number of the library's own words that are tried as keywords.
const OWN_WORDS: usize = 500;
/// Share of the photos of a cluster and its successor (intersection over union) from which a name is passed on.
const SAME: f64 = 0.25;
/// Words of captions and folder names that say nothing about a photo.
const STOP_WORDS: &str = "the and with for from into that this are was were his her its their has have had who one two \
    there them they some over under near next out off photo photos picture pictures image images img dcim camera \
    pictured holding standing sitting";

/// Shown if another process has replaced the clusters in the meantime.
const GONE: &str = "this cluster no longer exists; `snapseek cluster` lists the current ones";

/// Which clusters are made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remake {
    /// All but those that the user named.
    Unnamed,
    /// All.
    All,
}

/// The result of making clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// How many clusters there were before.
    pub before: usize,
    /// How many there are now.
    pub now: usize,
    /// How many of them the user had named, which stay as they were.
    pub named: usize,
    /// Names given by hand that no new cluster has, because none has enough of the same photos. They are kept for one
    /// that does.
    pub waiting: Vec<String>,
}

/// The default for a library with this many photos: as many clusters as fit it best, none of them tiny.
#[must_use]
pub fn options(photos: usize) -> LinkageOptions {
    let min_size = if photos < MANY { MIN_SIZE.1 } else { MIN_SIZE.0 };
    LinkageOptions { count: None, min_size, least_size: LEAST_SIZE }
}

/// Finds the library's clusters from scratch, names them and stores them in place of the old ones. Clusters that the
/// user named stay as they are, and the others are made of the photos that are not in them (`options.count` counts
/// them too), unless `remake` is [`Remake::All`]: then a name that the user gave passes to the cluster that holds most
/// of the same photos. `None` if `progress` stopped it; then nothing changes.
///
/// # Errors
/// The model's files are damaged, or the catalogue cannot be read or written.
pub fn make(
    library: &Library,
    model: &dyn Embed,
    mut options: LinkageOptions,
    remake: Remake,
    keywords: &[String],
    cache: &Path,
    progress: &mut Progress<'_>,
) -> anyhow::Result<Option<Made>> {
    // New photos join the clusters that stay.
    adopt(library)?;
    let old = library.clusters()?;
    let named: Vec<&Cluster> = old.iter().filter(|cluster| cluster.by_hand && remake == Remake::Unnamed).collect();
    let kept_ids: HashSet<i64> = named.iter().map(|cluster| cluster.id).collect();
    let inside = |member: ClusterMember<i64>| kept_ids.contains(&member.cluster?).then_some(member.photo);
    let inside: HashSet<i64> = library.members()?.into_iter().filter_map(inside).collect();
    options.count = options.count.map(|count| count.saturating_sub(named.len()));
    let searcher = library.searcher()?;
    let mut embeddings = searcher.embeddings()?;
    let step = &mut |done, total| progress.step("comparing photos", done, total);
    if options.count.is_none() && !named.is_empty() {
        // How fine the clusters are is told by the whole library: what is left of it may fall into two or three.
        let all: Vec<&[f32]> = embeddings.iter().map(|(_, vector)| *vector).collect();
        let Some(whole) = linkage::cluster(&all, options, step) else { return Ok(None) };
        let mut outside = vec![0_usize; whole.groups.len()];
        for ((id, _), (group, _)) in embeddings.iter().zip(&whole.places) {
            if let Some(count) = group.filter(|_| !inside.contains(id)).and_then(|group| outside.get_mut(group)) {
                *count += 1;
            }
        }
        let others = outside.iter().zip(&whole.groups).filter(|(outside, group)| 2 * **outside > group.size);
        options.count = Some(others.count()).filter(|others| *others > 0);
    }
    embeddings.retain(|(id, _)| !inside.contains(id));
    let vectors: Vec<&[f32]> = embeddings.iter().map(|(_, vector)| *vector).collect();
    let Some(found) = linkage::cluster(&vectors, options, step) else { return Ok(None) };

    let ids: Vec<i64> = embeddings.iter().map(|(id, _)| *id).collect();
    let vocabulary = Vocabulary { model, keywords, cache };
    let Some(names) = vocabulary.names(&found, &ids, &vectors, &searcher, progress)? else { return Ok(None) };

    let mut heirs = heirs(library, remake, &ids, &found)?;
    let taken = heirs.names.values().chain(&heirs.waiting).chain(named.iter().map(|cluster| &cluster.name));
    let mut taken: HashSet<String> = taken.map(|name| folded_name(name)).collect();
    let clusters: Vec<NewCluster> = found
        .groups
        .iter()
        .zip(names)
        .enumerate()
        .map(|(at, (group, keywords))| {
            let by_hand = heirs.names.remove(&at);
            let is_by_hand = by_hand.is_some();
            let name = by_hand.unwrap_or_else(|| unique(&keywords, &mut taken));
            NewCluster { by_hand: is_by_hand, ..kept(group, name, keywords) }
        })
        .collect();
    library.save_clusters(&clusters, &members(&ids, &found), remake == Remake::Unnamed)?;
    let now = named.len() + clusters.len();
    // A name that waited before is no news.
    let waiting = if remake == Remake::All { heirs.waiting } else { Vec::new() };
    Ok(Some(Made { before: old.len(), now, named: named.len(), waiting }))
}

/// Splits one cluster into the clusters inside it or, if none stand out, in two. Returns how many clusters replace it:
/// 1 if its photos cannot be distinguished, `None` if `progress` stopped it; in both cases nothing changes.
///
/// The parts get new ids and new names, which no cluster has, the old one included; an old name that the user gave
/// waits for a cluster of the same photos. Every photo of the cluster goes to the nearest part. All other clusters keep
/// their ids, names, photos and reach, and photos outside all clusters stay outside.
///
/// # Errors
/// The cluster has fewer than four photos (exit code 2) or no longer exists, the model's files are damaged, or the
/// catalogue cannot be read or written.
pub fn split(
    library: &Library,
    model: &dyn Embed,
    cluster: i64,
    cache: &Path,
    progress: &mut Progress<'_>,
) -> anyhow::Result<Option<usize>> {
    let searcher = library.searcher()?;
    let inside: HashSet<i64> = library.cluster_members(cluster)?.into_iter().collect();
    let (ids, vectors): (Vec<i64>, Vec<&[f32]>) =
        searcher.embeddings()?.into_iter().filter(|(id, _)| inside.contains(id)).unzip();
    let clusters = library.clusters()?;
    anyhow::ensure!(clusters.iter().any(|known| known.id == cluster), GONE);
    if ids.len() < SPLITTABLE {
        return Err(Failure::usage(format!(
            "the cluster has {}; only a cluster of at least {SPLITTABLE} can be split",
            text::count(ids.len(), "photo")
        )));
    }
    let natural = options(ids.len());
    // When splitting in two, a single photo is split off only as a last resort.
    let in_two =
        [natural.min_size, 1].map(|min_size| LinkageOptions { count: Some(2), min_size, least_size: min_size });
    let mut parts = Clustering::default();
    for options in [natural].into_iter().chain(in_two).filter(|options| 2 * options.min_size <= ids.len()) {
        let step = &mut |done, total| progress.step("comparing photos", done, total);
        let Some(found) = linkage::cluster(&vectors, options, step) else { return Ok(None) };
        if found.groups.len() > 1 {
            parts = found;
            break;
        }
    }
    if parts.groups.is_empty() {
        return Ok(Some(1));
    }
    let centroids: Vec<f32> = parts.groups.iter().flat_map(|group| &group.centroid).copied().collect();
    let step = &mut |done, total| progress.step("comparing photos", done, total);
    let Some(nearest) = kmeans::nearest(&vectors, &centroids, step) else { return Ok(None) };
    parts.places = nearest.into_iter().map(|(part, cosine)| (Some(part), cosine)).collect();

    let vocabulary = Vocabulary { model, keywords: &[], cache };
    let Some(names) = vocabulary.names(&parts, &ids, &vectors, &searcher, progress)? else { return Ok(None) };
    let waiting = library.given_names(true)?;
    let taken = clusters.iter().map(|known| &known.name).chain(waiting.iter().map(|given| &given.name));
    let mut taken: HashSet<String> = taken.map(|name| folded_name(name)).collect();
    let named: Vec<NewCluster> = parts
        .groups
        .iter()
        .zip(names)
        .map(|(group, keywords)| kept(group, unique(&keywords, &mut taken), keywords))
        .collect();
    anyhow::ensure!(library.replace_cluster(cluster, &named, &members(&ids, &parts))?, GONE);
    Ok(Some(named.len()))
}

/// A group as a new cluster for the library, with a name that the user did not give.
fn kept(group: &VectorGroup, name: String, keywords: Vec<String>) -> NewCluster {
    let VectorGroup { coherence, reach, .. } = *group;
    NewCluster { name, by_hand: false, keywords, coherence, centroid: group.centroid.clone(), reach }
}

/// The cluster of each photo, and its cosine with the centroid.
fn members(ids: &[i64], found: &Clustering) -> Vec<ClusterMember<usize>> {
    let places = ids.iter().zip(&found.places);
    places
        .map(|(photo, (cluster, cosine))| ClusterMember { photo: *photo, cluster: *cluster, cosine: *cosine })
        .collect()
}

/// What names are made from.
struct Vocabulary<'a> {
    model: &'a dyn Embed,
    /// The user's words.
    keywords: &'a [String],
    /// Folder for the cached embeddings of words.
    cache: &'a Path,
}

impl Vocabulary<'_> {
    /// The keywords that distinguish each group from the others, best first; `None` if `progress` stopped it.
    fn names(
        &self,
        found: &Clustering,
        ids: &[i64],
        vectors: &[&[f32]],
        searcher: &Searcher,
        progress: &mut Progress<'_>,
    ) -> anyhow::Result<Option<Vec<Vec<String>>>> {
        let samples = samples(found);
        let mut shares = Vec::with_capacity(samples.len());
        for (n, sample) in samples.iter().enumerate() {
            if !progress.step("reading tags and captions", n, samples.len()) {
                return Ok(None);
            }
            shares.push(shares_of(searcher, sample.iter().map(|at| ids[*at]).collect())?);
        }
        let own = own_words(&shares, self.keywords);
        let step = &mut |done, total| progress.step("reading the vocabulary (once)", done, total);
        let words = if found.groups.is_empty() {
            Some(Words::default())
        } else {
            Words::load(self.model, &own, self.cache, step)?
        };
        let Some(words) = words else { return Ok(None) };
        let albums: Vec<Album<'_>> = found
            .groups
            .iter()
            .zip(samples)
            .zip(shares)
            .map(|((group, sample), shares)| Album {
                centroid: &group.centroid,
                photos: sample.into_iter().map(|at| vectors[at]).collect(),
                shares,
            })
            .collect();
        let names = words.name(&albums);
        Ok(progress.step("naming", found.groups.len(), found.groups.len()).then_some(names))
    }
}

/// Lets photos that were indexed after the clusters were made join them, and returns how many photos that concerned.
/// Nothing else moves. After a change of model, the centroids are recomputed from the members.
///
/// # Errors
/// The catalogue cannot be read or written.
pub fn adopt(library: &Library) -> anyhow::Result<usize> {
    let mut clusters = library.clusters()?;
    let Some(model) = library.model()?.filter(|_| !clusters.is_empty()) else { return Ok(0) };
    let searcher = library.searcher()?;
    let embeddings = searcher.embeddings()?;
    let members = library.members()?;
    let usable = |cluster: &Cluster| cluster.fingerprint == model.fingerprint && cluster.centroid.is_some();
    if !clusters.iter().all(usable) {
        library.move_centroids(&centroids(&clusters, &members, &embeddings))?;
        clusters = library.clusters()?;
    }
    clusters.retain(usable);
    let known: HashSet<i64> = members.iter().map(|member| member.photo).collect();
    let new: Vec<&(i64, &[f32])> = embeddings.iter().filter(|(id, _)| !known.contains(id)).collect();
    if new.is_empty() || clusters.is_empty() {
        return Ok(0);
    }
    let rows: Vec<f32> = clusters.iter().filter_map(|cluster| cluster.centroid.as_ref()).flatten().copied().collect();
    let vectors: Vec<&[f32]> = new.iter().map(|(_, vector)| *vector).collect();
    let nearest = kmeans::nearest(&vectors, &rows, &mut |_, _| true).unwrap_or_default();
    let joined = new.iter().zip(nearest).map(|((photo, _), (at, cosine))| {
        let cluster = clusters.get(at).filter(|cluster| cosine >= cluster.reach).map(|cluster| cluster.id);
        ClusterMember { photo: *photo, cluster, cosine }
    });
    library.add_members(&joined.collect::<Vec<_>>())?;
    Ok(new.len())
}

/// Centroids and reach of the clusters that have members with embeddings.
fn centroids(
    clusters: &[Cluster],
    members: &[ClusterMember<i64>],
    embeddings: &[(i64, &[f32])],
) -> Vec<(i64, Vec<f32>, f32)> {
    let places: HashMap<i64, Option<i64>> = members.iter().map(|member| (member.photo, member.cluster)).collect();
    let place = |id: &i64| {
        let cluster = places.get(id).copied().flatten()?;
        clusters.iter().position(|known| known.id == cluster)
    };
    let assigned: Vec<Option<usize>> = embeddings.iter().map(|(id, _)| place(id)).collect();
    let vectors: Vec<&[f32]> = embeddings.iter().map(|(_, vector)| *vector).collect();
    let present: HashSet<usize> = assigned.iter().flatten().copied().collect();
    let present = clusters.iter().enumerate().filter(|(at, _)| present.contains(at)).map(|(_, cluster)| cluster.id);
    let groups = linkage::groups_of(&vectors, &assigned);
    present.zip(groups).map(|(id, group)| (id, group.centroid, group.reach)).collect()
}

/// Positions of some members of each group: all of a small one, evenly spaced ones of a large one.
fn samples(found: &Clustering) -> Vec<Vec<usize>> {
    let mut members = vec![Vec::new(); found.groups.len()];
    for (at, (group, _)) in found.places.iter().enumerate() {
        if let Some(members) = group.and_then(|group| members.get_mut(group)) {
            members.push(at);
        }
    }
    let some = |members: Vec<usize>| {
        let step = members.len().div_ceil(SAMPLE).max(1);
        members.into_iter().step_by(step).collect()
    };
    members.into_iter().map(some).collect()
}

/// For each word, the share of these photos that have it as a tag, in the caption or in the folder's name.
fn shares_of(searcher: &Searcher, ids: Vec<i64>) -> anyhow::Result<HashMap<String, f32>> {
    let stop: HashSet<&str> = STOP_WORDS.split_whitespace().collect();
    let mut counts: HashMap<String, f32> = HashMap::new();
    let photos = searcher.photos(&ids)?;
    for photo in &photos {
        let mut words: HashSet<String> = photo.tags.iter().map(|tag| tag.label.to_lowercase()).collect();
        let folder = photo.paths.first().and_then(|path| path.parent()).and_then(Path::file_name);
        let texts = photo.caption.as_deref().into_iter().chain(folder.and_then(|name| name.to_str()));
        for text in texts {
            let parts = text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
            words.extend(parts.filter(|word| word.chars().count() > 2 && !stop.contains(word.as_str())));
        }
        words.into_iter().for_each(|word| *counts.entry(word).or_default() += 1.0);
    }
    let count = photos.len().max(1) as f32;
    Ok(counts.into_iter().map(|(word, n)| (word, n / count)).collect())
}

/// The user's words, and the library's most frequent ones that contain letters.
fn own_words(shares: &[HashMap<String, f32>], keywords: &[String]) -> Vec<String> {
    let mut sums: HashMap<&str, f32> = HashMap::new();
    for (word, share) in shares.iter().flatten() {
        *sums.entry(word).or_default() += share;
    }
    let mut words: Vec<(&str, f32)> =
        sums.into_iter().filter(|(word, _)| word.chars().any(char::is_alphabetic)).collect();
    words.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    let own = words.into_iter().take(OWN_WORDS).map(|(word, _)| word.to_owned());
    keywords.iter().map(|word| word.trim().to_lowercase()).chain(own).collect()
}

/// A name that no other cluster has: the first two keywords, or more of them, or the first one and a number.
fn unique(keywords: &[String], taken: &mut HashSet<String>) -> String {
    let lengths = (keywords.len().min(2)..=keywords.len()).filter(|length| *length > 0);
    let names = lengths.map(|length| keywords[..length].join(", "));
    let stem = keywords.first().map_or("group", String::as_str);
    let numbered = (2..).map(|n| format!("{stem} {n}"));
    let free = names.chain(numbered).find(|name| taken.insert(folded_name(name)));
    free.unwrap_or_default()
}

/// Gives names that wait, because no cluster has them, to clusters that have enough of the same photos and no name by
/// hand, and returns how many.
///
/// # Errors
/// The catalogue cannot be read or written.
pub fn restore_names(library: &Library) -> anyhow::Result<usize> {
    let names = library.given_names(true)?;
    let clusters = library.clusters()?;
    if names.is_empty() || clusters.is_empty() {
        return Ok(0);
    }
    let free: Vec<&Cluster> = clusters.iter().filter(|cluster| !cluster.by_hand).collect();
    let at: HashMap<i64, usize> = free.iter().enumerate().map(|(at, cluster)| (cluster.id, at)).collect();
    let places: HashMap<i64, usize> =
        library.members()?.iter().filter_map(|member| Some((member.photo, *at.get(&member.cluster?)?))).collect();
    let sizes: Vec<u64> = free.iter().map(|cluster| cluster.photos).collect();
    let found = pass_on(&names, &places, &sizes);
    let mut restored = 0;
    for (at, name) in &found {
        // Another cluster may have the name by chance: then it waits on.
        restored += usize::from(library.restore_name(free[*at].id, name)?);
    }
    Ok(restored)
}

/// Which new group each name given by hand passes to.
struct Heirs {
    names: HashMap<usize, String>,
    waiting: Vec<String>,
}

fn heirs(library: &Library, remake: Remake, ids: &[i64], found: &Clustering) -> anyhow::Result<Heirs> {
    // A cluster that stays keeps its name.
    let given = library.given_names(remake == Remake::Unnamed)?;
    let places = ids.iter().zip(&found.places).filter_map(|(id, (group, _))| Some((*id, (*group)?)));
    let sizes: Vec<u64> = found.groups.iter().map(|group| group.size as u64).collect();
    let names = pass_on(&given, &places.collect(), &sizes);
    let placed: HashSet<&String> = names.values().collect();
    let waiting = given.iter().map(|given| &given.name).filter(|name| !placed.contains(name)).cloned().collect();
    Ok(Heirs { names, waiting })
}

/// Passes each name to the group that has most of the same photos: at least the share [`SAME`]. `places` says in which
/// group each photo is, `sizes` how many photos each group has.
fn pass_on(names: &[GivenName], places: &HashMap<i64, usize>, sizes: &[u64]) -> HashMap<usize, String> {
    let mut pairs = Vec::new();
    for (rank, name) in names.iter().enumerate() {
        let mut shared: HashMap<usize, u64> = HashMap::new();
        name.photos.iter().filter_map(|photo| places.get(photo)).for_each(|at| *shared.entry(*at).or_default() += 1);
        for (at, same) in shared {
            let either = (name.photos.len() as u64 + sizes.get(at).copied().unwrap_or(0)).saturating_sub(same).max(1);
            pairs.push((same as f64 / either as f64, rank, at));
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let (mut passed, mut placed) = (HashMap::new(), HashSet::new());
    for (same, rank, at) in pairs {
        if same >= SAME && !passed.contains_key(&at) && placed.insert(rank) {
            passed.insert(at, names[rank].name.clone());
        }
    }
    passed
}

#[cfg(test)]
mod tests;
