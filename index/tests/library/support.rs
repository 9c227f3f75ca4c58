//! Helpers that the tests of this crate share.

use snapseek_index::{
    By, Change, Classifier, ClusterMember, ContentHash, FileIdentity, FileStamp, Filters, Hit, LabelSet, Library,
    Metadata, ModelRecord, NewCluster, PhotoFacts, PlacedLine, ScoreStats, SearchRequest, Tag, Writer, query,
};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Whether these tests run on a server: the same files make both test programs.
pub(crate) fn is_on_server() -> bool {
    env!("CARGO_CRATE_NAME") == "postgres"
}

/// Where the library is that a test keeps in this folder: there, or in a schema of the test server that only this
/// folder has.
pub(crate) fn place(folder: &Path) -> PathBuf {
    if !is_on_server() {
        return folder.to_path_buf();
    }
    let Ok(server) = std::env::var("SNAPSEEK_TEST_POSTGRES") else {
        // Past what the test harness keeps for itself.
        let _ = std::io::stderr().write_all(b"skipped: no PostgreSQL server (scripts/postgres.sh starts one)\n");
        std::process::exit(0);
    };
    format!("{server}?library={}", schema(folder)).into()
}

pub(crate) fn schema(folder: &Path) -> String {
    format!("t{}", folder.to_string_lossy().to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_"))
}

/// How many rows a table of the library in this folder has.
pub(crate) fn count(folder: &Path, table: &str) -> i64 {
    if !is_on_server() {
        let db = rusqlite::Connection::open(folder.join("catalogue.sqlite")).unwrap();
        return db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
    }
    let count = format!("SELECT count(*) FROM {}.{table}", schema(folder));
    client().query_one(&count, &[]).unwrap().get(0)
}

pub(crate) fn client() -> postgres::Client {
    postgres::Client::connect(&std::env::var("SNAPSEEK_TEST_POSTGRES").unwrap(), postgres::NoTls).unwrap()
}

/// A random generator that is small, fast and the same every time (xorshift64*).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }

    /// Roughly normal, with mean 0.
    pub(crate) fn normal(&mut self) -> f32 {
        (0..4).map(|_| (self.next() >> 40) as f32 / (1_u64 << 24) as f32 - 0.5).sum()
    }
}

pub(crate) fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|v| *v /= norm);
    vector
}

/// A unit vector that depends only on the seed.
pub(crate) fn vector(seed: u64, dim: usize) -> Vec<f32> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..8 {
        random.next();
    }
    unit((0..dim).map(|_| random.normal()).collect())
}

/// The length of an embedding, where a test does not choose its own.
pub(crate) const DIM: usize = 16;

/// A library with these photos, with its caches if `cached`.
pub(crate) fn library_of(changes: &[Change], cached: bool) -> (tempfile::TempDir, Library) {
    let folder = tempfile::tempdir().unwrap();
    let library = Library::create(&place(folder.path())).unwrap();
    let mut writer = library.lock().unwrap();
    writer.set_model(&model("a", DIM)).unwrap();
    writer.apply(changes).unwrap();
    if cached {
        refresh(&mut writer);
    }
    drop(writer);
    (folder, library)
}

pub(crate) fn hash(content: u64) -> ContentHash {
    let mut hash = [7; 32];
    hash[..8].copy_from_slice(&content.to_le_bytes());
    hash
}

/// A file whose bytes and picture depend only on `content`.
pub(crate) fn identity(content: u64) -> FileIdentity {
    FileIdentity { file: hash(content), picture: hash(content), version: 1 }
}

pub(crate) fn model(name: &str, dim: usize) -> ModelRecord {
    ModelRecord { name: name.into(), fingerprint: format!("fingerprint of {name}"), dim }
}

pub(crate) fn stamp(size: u64) -> FileStamp {
    FileStamp { size, mtime_ns: 1 }
}

/// A photo at `/photos/NAME` whose vector, size and hash depend only on `content`.
pub(crate) fn photo(name: &str, content: u64, dim: usize, labels: &[&str]) -> Change {
    Change::Photo {
        path: PathBuf::from("/photos").join(name),
        root: "/photos".into(),
        stamp: stamp(content),
        identity: identity(content),
        facts: PhotoFacts { width: 640, height: 480, format: "jpeg".into(), ..PhotoFacts::default() },
        embedding: vector(content, dim),
        tags: labels.iter().map(|label| Tag { label: (*label).into(), score: 0.5 }).collect(),
    }
}

/// What another model than the current one makes of a photo.
pub(crate) fn beside(content: u64, model: &ModelRecord, label: &str) -> Change {
    Change::Beside {
        identity: identity(content),
        model: model.clone(),
        embedding: vector(content, model.dim),
        tags: vec![Tag { label: label.into(), score: 0.5 }],
    }
}

/// Whether the current model has embedded this.
pub(crate) fn knows(library: &Library, identity: &FileIdentity) -> bool {
    let current = library.model().unwrap().unwrap();
    library.lacking(identity, &[&current]).unwrap().is_empty()
}

/// Makes this the current model, whatever it has embedded.
pub(crate) fn switch(writer: &mut Writer<'_>, model: &ModelRecord) {
    writer.begin_model(model).unwrap();
    writer.switch_model().unwrap();
}

/// Does what comes at the end of a run.
pub(crate) fn refresh(writer: &mut Writer<'_>) {
    writer.settle(&|_| false).unwrap();
    writer.refresh_caches(&mut |_, _, _| true).unwrap();
}

/// A request that asks for nothing yet.
pub(crate) fn request(by: By) -> SearchRequest {
    SearchRequest {
        vector: None,
        words: None,
        phrases: Vec::new(),
        filters: Filters::default(),
        by,
        limit: 1_000,
        min_score: None,
        unique: None,
        exclude: Vec::new(),
        ..SearchRequest::default()
    }
}

/// Hits of a query's words, phrases and filters, without a vector.
pub(crate) fn find(library: &Library, text: &str) -> Vec<Hit> {
    let parsed = query::parse(text).unwrap();
    let words: Vec<String> = parsed
        .parts
        .iter()
        .map(|part| match &part.kind {
            query::PartKind::Text(text) => text.clone(),
            query::PartKind::Image(_) => panic!("no pictures here"),
        })
        .collect();
    let request = SearchRequest {
        words: (!words.is_empty()).then(|| words.join(" ")),
        phrases: parsed.phrases,
        filters: parsed.filters,
        ..request(By::Words)
    };
    library.searcher().unwrap().search(&request).unwrap().hits
}

/// The file names found, in the order of the hits.
pub(crate) fn names(hits: &[Hit]) -> Vec<String> {
    hits.iter().map(|hit| hit.paths[0].file_name().unwrap().to_string_lossy().into_owned()).collect()
}

/// A small library in which every table has rows.
pub(crate) fn everything(place: &Path) -> Library {
    let library = Library::create(place).unwrap();
    let mut writer = library.lock().unwrap();
    writer.add_root(Path::new("/photos")).unwrap();
    writer.set_model(&model("a", DIM)).unwrap();
    let facts = PhotoFacts {
        width: 640,
        height: 480,
        format: "jpeg".into(),
        remark: Some("the lower half is missing".into()),
        colors: Some(vec!["blue".into()]),
        metadata: Metadata {
            taken: Some("2019-06-01T12:00:00".into()),
            camera: Some("Canon".into()),
            latitude: Some(52.5),
            longitude: Some(13.4),
            rating: Some(4),
            keywords: vec!["Places/Berlin".into(), "beach".into()],
            people: vec!["Anna".into()],
            reader: 1,
            ..Metadata::default()
        },
    };
    let mut photos: Vec<Change> =
        (1..6).map(|n| photo(&format!("{n}.jpg"), n, DIM, &[&format!("kind{n}"), "thing"])).collect();
    photos.iter_mut().for_each(|change| {
        let Change::Photo { facts: kept, .. } = change else { panic!() };
        *kept = facts.clone();
    });
    // The raw file of another one.
    if let Some(Change::Photo { path, facts, .. }) = photos.get_mut(3) {
        (*path, facts.format) = ("/photos/1.nef".into(), "raw".into());
    }
    writer.apply(&photos).unwrap();
    writer.refresh_stacks().unwrap();
    writer.begin_model(&model("b", 8)).unwrap();
    writer.apply(&[beside(1, &model("b", 8), "other"), beside(2, &model("b", 8), "other")]).unwrap();
    let (kind, message) = ("damaged".into(), "cut short".into());
    let root = "/photos".into();
    let failed = Change::Failed { path: "/photos/bad.jpg".into(), root, stamp: stamp(3), kind, message, reader: 1 };
    writer.apply(&[failed]).unwrap();
    let line = PlacedLine { text: "Exit".into(), score: 0.9, quad: [[1.0, 2.0]; 4] };
    library.text_keeper("reader", false).unwrap().save(&[(2, vec![line], "Exit".into())]).unwrap();
    library.set_setting("text", "yes").unwrap();
    library.add_to_album("Lisbon", &[2, 1]).unwrap();
    library.change_own_tags(&[1], &["Beach".into()], &[]).unwrap();
    library.rate(&[1], Some(4)).unwrap();
    library.save_search("dogs", Some("a dog")).unwrap();
    let neutral = ScoreStats { count: 5, mean: 0.1, std: 0.2 };
    library.set_neutral_scores(&model("a", DIM), &neutral).unwrap();
    writer.set_unread(Path::new("/photos"), &[("mp4".to_owned(), 3)].into()).unwrap();
    library.set_caption_by_hand(1, "by hand").unwrap();
    library.save_caption(2, "by a model", "print").unwrap();
    library.set_caption_by_hand(5, "waits").unwrap();
    writer.forget(Path::new("/photos/5.jpg")).unwrap();
    library.save_encoding(2, "print", &[1.0, 2.0]).unwrap();
    library.save_looks(1, &[(1, vec![1, 2, 3])]).unwrap();
    let chat = library.begin_chat(&identity(1), Path::new("/photos/1.jpg"), "blip2").unwrap();
    library.add_turn(chat, "What?", "An owl").unwrap();
    let keywords = vec!["thing".into()];
    let centroid = vector(1, DIM);
    let cluster = NewCluster { name: "a".into(), by_hand: false, keywords, coherence: 0.9, centroid, reach: 0.5 };
    let member = ClusterMember { photo: 1, cluster: Some(0), cosine: 0.8 };
    library.save_clusters(std::slice::from_ref(&cluster), &[member], false).unwrap();
    library.save_clusters(&[cluster], &[member], false).unwrap();
    library.rename_cluster("a", "Oma").unwrap();
    library.propose_removal(&[Path::new("/photos/2.jpg")]).unwrap();
    let labels = vec!["cat".into(), "dog".into()];
    let set = LabelSet { name: "pets".into(), labels, ..LabelSet::default() };
    library.save_label_set(&set).unwrap();
    let rows = [vector(1, DIM), vector(2, DIM)].concat();
    library.save_classifier(&set, &model("a", DIM).fingerprint, &Classifier { scale: 10.0, rows }).unwrap();
    drop(writer);
    library
}
