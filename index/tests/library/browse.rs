//! What a program that shows a whole library needs: all photos in order, clusters, and notice of changes.

use crate::support::{DIM, find, hash, library_of, model, names, photo, place, request, vector};
use snapseek_index::{By, Change, Cluster, ClusterMember, Error, Library, NewCluster, SearchRequest};
use std::path::{Path, PathBuf};

/// Photos `a.jpg` to `d.jpg`, two of them dated, and a second file of the first.
fn library(folder: &Path) -> Library {
    let library = Library::create(&place(folder)).unwrap();
    let mut writer = library.lock().unwrap();
    writer.set_model(&model("m", 4)).unwrap();
    let dated = |name, content, date: Option<&str>| {
        let mut change = photo(name, content, 4, &[]);
        if let Change::Photo { facts, .. } = &mut change {
            facts.metadata.taken = date.map(Into::into);
        }
        change
    };
    writer
        .apply(&[
            dated("d.jpg", 1, None),
            dated("c.jpg", 2, Some("2019-06-15T12:00:00")),
            dated("b.jpg", 3, Some("2021-01-01T00:00:00")),
            dated("a.jpg", 4, None),
            dated("z.jpg", 3, Some("2021-01-01T00:00:00")),
        ])
        .unwrap();
    drop(writer);
    library
}

fn cluster(name: &str, seed: u64) -> NewCluster {
    NewCluster {
        name: name.into(),
        by_hand: false,
        keywords: vec![name.into()],
        coherence: 0.9,
        centroid: vector(seed, 4),
        reach: 0.5,
    }
}

fn member<C>(photo: i64, cluster: Option<C>, cosine: f32) -> ClusterMember<C> {
    ClusterMember { photo, cluster, cosine }
}

fn id(clusters: &[Cluster], name: &str) -> i64 {
    clusters.iter().find(|cluster| cluster.name == name).unwrap().id
}

#[test]
fn photos_come_newest_first_and_know_their_content() {
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path());
    let searcher = library.searcher().unwrap();
    let hits = searcher.photos(&searcher.newest().unwrap()).unwrap();
    assert_eq!(names(&hits), ["b.jpg", "c.jpg", "a.jpg", "d.jpg"]);
    assert_eq!(hits.iter().map(|hit| hit.picture).collect::<Vec<_>>(), [3, 2, 4, 1].map(hash));

    // The second file still exists.
    let mut writer = library.lock().unwrap();
    writer.apply(&["b.jpg", "d.jpg"].map(|name| Change::Remove { path: PathBuf::from("/photos").join(name) })).unwrap();
    let searcher = library.searcher().unwrap();
    assert_eq!(names(&searcher.photos(&searcher.newest().unwrap()).unwrap()), ["z.jpg", "c.jpg", "a.jpg"]);
}

#[test]
fn snapshots_live_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path());
    let before = library.searcher().unwrap();
    library.lock().unwrap().apply(&[photo("later.jpg", 9, 4, &[])]).unwrap();
    let after = library.searcher().unwrap();
    assert_eq!((before.len(), after.len()), (4, 5));
    let question = || SearchRequest { vector: Some(vector(9, 4)), ..request(By::Meaning) };
    assert_eq!(after.search(&question()).unwrap().hits[0].picture, hash(9));
    assert_eq!(before.search(&question()).unwrap().hits.len(), 4);
    assert_eq!((before.newest().unwrap().len(), after.newest().unwrap().len()), (4, 5));
}

#[test]
fn changes_by_others_show_in_the_data_version() {
    let folder = tempfile::tempdir().unwrap();
    let (mine, other) = (library(folder.path()), Library::open(&place(folder.path())).unwrap());
    let first = mine.data_version().unwrap();
    let _searcher = other.searcher().unwrap();
    mine.set_caption_by_hand(1, "mine").unwrap();
    assert_eq!(mine.data_version().unwrap(), first);
    other.set_caption_by_hand(1, "another").unwrap();
    let second = mine.data_version().unwrap();
    assert_ne!(second, first);
    assert_eq!(mine.data_version().unwrap(), second);
}

#[test]
fn a_cluster_is_replaced_by_its_parts_and_all_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path());
    let members = [member(1, Some(0), 0.5), member(2, Some(0), 0.9), member(3, Some(1), 0.7), member(4, None, 0.1)];
    library.save_clusters(&[cluster("both", 1), cluster("sea", 2)], &members, false).unwrap();
    let before = library.clusters().unwrap();
    let (both, sea) = (id(&before, "both"), id(&before, "sea"));
    assert_eq!(library.cluster_members(both).unwrap(), [2, 1]);
    assert_eq!(library.cluster_members(99).unwrap(), [0; 0]);

    // What is refused changes nothing.
    let parts = [member(1, Some(0), 0.8), member(2, Some(1), 0.8)];
    for names in [["one", "SEA"], ["one", "ONE"], ["one", " "]] {
        let refused = library.replace_cluster(both, &names.map(|name| cluster(name, 3)), &parts);
        assert!(matches!(refused, Err(Error::Refused { .. })), "{names:?}");
    }
    assert!(!library.replace_cluster(99, &[cluster("one", 3)], &[]).unwrap());
    assert_eq!(library.clusters().unwrap(), before);
    assert_eq!(library.cluster_members(both).unwrap(), [2, 1]);

    // A part may have the name of the whole.
    assert!(library.replace_cluster(both, &[cluster("both", 3), cluster("two", 4)], &parts).unwrap());
    let after = library.clusters().unwrap();
    assert_eq!(after.iter().find(|cluster| cluster.id == sea), before.iter().find(|cluster| cluster.id == sea));
    assert!(after.len() == 3 && id(&after, "both") != both);
    assert_eq!(library.cluster_members(id(&after, "both")).unwrap(), [1]);
    assert_eq!(library.cluster_members(id(&after, "two")).unwrap(), [2]);
    assert_eq!(library.cluster_members(sea).unwrap(), [3]);
    assert_eq!(names(&find(&library, "cluster:two")), ["c.jpg"]);
    assert_eq!(names(&find(&library, "cluster:none")), ["a.jpg"]);
}

#[test]
fn searches_are_saved_replaced_carried_over_and_deleted() {
    let (_folder, library) = library_of(&[], true);
    assert_eq!(library.save_search("Dogs", Some("a dog")).unwrap(), None);
    assert_eq!(library.save_search("dogs", Some("a dog -night")).unwrap().as_deref(), Some("a dog"));
    assert_eq!(library.saved_search("D\u{d6}GS").unwrap().as_deref(), Some("a dog -night"));
    for (name, query) in [("", "x"), (" ", "x"), ("x", " "), (&*"x".repeat(201), "x")] {
        assert!(matches!(library.save_search(name, Some(query)), Err(Error::Refused { .. })), "{name:?} {query:?}");
    }
    let mut records = Vec::new();
    let take = |record| {
        records.push(record);
        Ok::<(), Error>(())
    };
    library.written(take).unwrap();
    let (_other_folder, other) = library_of(&[], true);
    assert_eq!(other.lock().unwrap().import(&records).unwrap().searches.added, 1);
    assert_eq!(other.lock().unwrap().import(&records).unwrap().searches.unchanged, 1);
    assert_eq!(other.saved_searches().unwrap(), library.saved_searches().unwrap());
    assert_eq!(library.save_search("DOGS", None).unwrap().as_deref(), Some("a dog -night"));
    assert!(library.saved_searches().unwrap().is_empty() && library.check(true).unwrap().findings.is_empty());
}

#[test]
fn photos_of_a_day_of_any_year_are_found_the_newest_first() {
    let mut changes: Vec<_> = (1..=4).map(|n| photo(&format!("{n}.jpg"), n, DIM, &[])).collect();
    for (change, taken) in changes.iter_mut().zip(["2019-06-15T10:00:00", "2021-06-15", "2021-06", "2019-07-15"]) {
        let Change::Photo { facts, .. } = change else { panic!() };
        facts.metadata.taken = Some(taken.into());
    }
    let (_folder, library) = library_of(&changes, true);
    let searcher = library.searcher().unwrap();
    let names = searcher.paths(&searcher.on_day("06-15", "2022-06-15").unwrap()).unwrap();
    assert_eq!(
        names.into_iter().flatten().collect::<Vec<_>>(),
        ["/photos/2.jpg", "/photos/1.jpg"].map(std::path::PathBuf::from)
    );
    assert_eq!(searcher.on_day("06-15", "2021-06-15").unwrap().len(), 1);
}
