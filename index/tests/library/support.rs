//! Helpers that the tests of this crate share.

use snapseek_index::{
    By, Change, ContentHash, FileIdentity, FileStamp, Filters, Hit, Library, ModelRecord, PhotoFacts, SearchRequest,
    Tag, Writer, query,
};
use std::path::PathBuf;

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
    let library = Library::create(folder.path()).unwrap();
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
