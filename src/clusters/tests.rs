#![allow(clippy::unwrap_used)]

use super::*;
use crate::cli::Cli;
use crate::config::Settings;
use crate::exit::{Exit, exit_of};
use crate::model::{Embedding, Identity, Pixels, Tokens, normalize};
use crate::photo::picture::RgbPicture;
use clap::Parser;
use snapseek_index::{Change, FileStamp, ModelRecord, PhotoFacts};
use std::sync::atomic::AtomicBool;

/// Numbers in an embedding.
const DIM: usize = 6;

/// A model that gives each text a direction of its own, and cannot embed pictures.
struct FakeModel(Identity);

impl Embed for FakeModel {
    fn identity(&self) -> &Identity {
        &self.0
    }
    fn logit_scale(&self) -> anyhow::Result<f32> {
        Ok(100.0)
    }
    fn templates(&self) -> &'static [&'static str] {
        &["{}"]
    }
    fn image_size(&self) -> u32 {
        1
    }
    fn prepare(&self, _: &RgbPicture) -> anyhow::Result<Pixels> {
        anyhow::bail!("it sees nothing")
    }
    fn embed_pixels(&self, _: &[Pixels]) -> anyhow::Result<Vec<Embedding>> {
        anyhow::bail!("it sees nothing")
    }
    fn embed_texts(&self, texts: &[String], _: Option<&str>) -> anyhow::Result<Vec<Vec<f32>>> {
        let direction = |text: &String| {
            let hash = blake3::hash(text.as_bytes());
            unit(hash.as_bytes().iter().take(DIM).map(|byte| f32::from(*byte) - 127.5).collect())
        };
        Ok(texts.iter().map(direction).collect())
    }
    fn tokens(&self, _: &str) -> anyhow::Result<Tokens> {
        anyhow::bail!("it has no tokens")
    }
    fn load_labels(&self, _: &Path, _: &mut dyn FnMut(usize, usize) -> bool) -> anyhow::Result<()> {
        Ok(())
    }
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    normalize(&mut vector);
    vector
}

/// A library, its model, and a folder for the cached words.
struct World {
    folder: tempfile::TempDir,
    library: Library,
    model: FakeModel,
}

impl World {
    /// A library of photos with these vectors, all in one cluster called Mine (ids from 1), and one photo in another.
    fn new(vectors: Vec<Vec<f32>>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::create(&folder.path().join("library")).unwrap();
        let mut writer = library.lock().unwrap();
        writer.set_model(&ModelRecord { name: "m".into(), fingerprint: "print".into(), dim: DIM }).unwrap();
        let count = vectors.len();
        let photos = vectors.into_iter().chain([unit(vec![0.0, 0.0, 0.0, 0.0, 0.0, 1.0])]).zip(1_u8..);
        let photos: Vec<Change> = photos
            .map(|(embedding, n)| Change::Photo {
                path: format!("/p/{n}.jpg").into(),
                root: "/p".into(),
                stamp: FileStamp { size: 1, mtime_ns: 1 },
                identity: snapseek_index::FileIdentity { file: [n; 32], picture: [n; 32], version: 1 },
                facts: PhotoFacts::default(),
                embedding,
                tags: Vec::new(),
            })
            .collect();
        writer.apply(&photos).unwrap();
        drop(writer);
        let group = VectorGroup { centroid: unit(vec![1.0; DIM]), coherence: 0.8, reach: 0.7, size: count };
        let mine = NewCluster { by_hand: true, ..kept(&group, "Mine".into(), Vec::new()) };
        let member = |photo: usize, cluster| ClusterMember {
            photo: photo.try_into().unwrap(),
            cluster: Some(cluster),
            cosine: 0.8,
        };
        let members: Vec<_> = (1..=count).map(|n| member(n, 0)).chain([member(count + 1, 1)]).collect();
        library.save_clusters(&[mine, kept(&group, "other".into(), Vec::new())], &members, false).unwrap();
        Self { folder, library, model: FakeModel(Identity { fingerprint: "print".into(), dim: DIM }) }
    }

    fn split(&self, name: &str, go_on: bool) -> anyhow::Result<Option<usize>> {
        let console = Settings::resolve(&Cli::parse_from(["snapseek", "-q", "cluster"]).global).unwrap().console();
        let cancel = AtomicBool::new(!go_on);
        let id = self.library.clusters().unwrap().into_iter().find(|cluster| cluster.name == name).map_or(99, |c| c.id);
        split(&self.library, &self.model, id, self.folder.path(), &mut Progress::new(&console, &cancel))
    }

    /// The photos of each cluster except `other`, in the order of their first photos.
    fn parts(&self) -> Vec<Vec<i64>> {
        let clusters = self.library.clusters().unwrap();
        let parts = clusters.iter().filter(|cluster| cluster.name != "other");
        let mut parts: Vec<Vec<i64>> = parts.map(|part| self.library.cluster_members(part.id).unwrap()).collect();
        parts.iter_mut().for_each(|part| part.sort_unstable());
        parts.sort_unstable();
        parts
    }
}

/// A vector a little off an axis, in a different way for each `n`.
fn near(axis: usize, n: usize) -> Vec<f32> {
    let mut vector = vec![0.0; DIM];
    vector[axis] = 1.0;
    vector[(axis + n % 3 + 1) % DIM] += 0.1 * (1 + n % 4) as f32;
    unit(vector)
}

#[test]
fn names_are_unique_whatever_the_keywords() {
    let mut taken = HashSet::from(["fish, sea".to_owned()]);
    let keywords = ["fish", "sea", "boat"].map(str::to_owned);
    assert_eq!(unique(&keywords, &mut taken), "fish, sea, boat");
    assert_eq!(unique(&keywords, &mut taken), "fish 2");
    assert_eq!(unique(&keywords[..1], &mut taken), "fish");
    assert_eq!(unique(&[], &mut taken), "group 2");
}

#[test]
fn a_cluster_is_split_into_those_in_it_and_no_photo_is_lost() {
    let mut vectors: Vec<Vec<f32>> = (0..18).map(|n| near(n / 6, n)).collect();
    // Between the first two, and nearer to the second.
    vectors.push(unit(vec![1.0, 1.1, 0.0, 0.0, 0.9, 0.0]));
    let world = World::new(vectors);
    let before = world.library.clusters().unwrap();
    assert_eq!(world.split("Mine", false).unwrap(), None);
    assert_eq!(world.library.clusters().unwrap(), before);

    assert_eq!(world.split("Mine", true).unwrap(), Some(3));
    let (first, third) = ((1..=6).collect(), (13..=18).collect());
    assert_eq!(world.parts(), [first, (7..=12).chain([19]).collect::<Vec<i64>>(), third]);
    let after = world.library.clusters().unwrap();
    let other = |clusters: &[Cluster]| clusters.iter().find(|cluster| cluster.name == "other").cloned();
    assert_eq!(other(&after), other(&before));
    let names: HashSet<String> = after.iter().map(|cluster| folded_name(&cluster.name)).collect();
    assert!(names.len() == 4 && !names.contains("mine"), "{names:?}");
    assert!(after.iter().all(|cluster| !cluster.by_hand && cluster.centroid.is_some()));
    assert_eq!(exit_of(&world.split("other", true).unwrap_err()), Exit::Usage);
    assert!(world.split("Mine", true).unwrap_err().to_string().contains("no longer exists"));
}

#[test]
fn what_does_not_fall_apart_by_itself_is_cut_in_two_if_it_can_be() {
    let fan = |n: usize| unit(vec![1.0, 0.1 * n as f32, 0.0, 0.0, 0.0, 0.0]);
    for count in [4, 5, 9] {
        let world = World::new((0..count).map(fan).collect());
        assert_eq!(world.split("Mine", true).unwrap(), Some(2), "{count}");
        let parts = world.parts();
        assert_eq!(parts.concat(), (1..=i64::try_from(count).unwrap()).collect::<Vec<_>>(), "halves lie side by side");
    }
    for vectors in [vec![fan(0); 3], vec![fan(0); 9]] {
        let (count, world) = (vectors.len(), World::new(vectors));
        let before = world.library.clusters().unwrap();
        match world.split("Mine", true) {
            Ok(parts) => assert_eq!((parts, count), (Some(1), 9)),
            Err(error) => assert!(count == 3 && error.to_string().contains("3 photos"), "{error}"),
        }
        assert_eq!(world.library.clusters().unwrap(), before);
    }
}
