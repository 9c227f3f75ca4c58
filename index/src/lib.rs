//! The library of snapseek: everything it remembers about photos, and how they are found again.
//!
//! - [`Library`], [`Writer`]: the catalogue in SQLite, the one source of truth
//! - [`query`]: the query language; [`Filters`]: the conditions that photos must satisfy
//! - [`LibraryModel`]: the models by which photos are embedded, and [`Library::answer_with`], which of them answers
//! - [`Searcher`]: search by meaning (cosine), by words (BM25), and by both, fused
//! - [`Caption`], [`Captioner`]: captions written by hand or by a model; they belong to a photo
//! - [`Chat`]: a conversation about a picture, kept until it is deleted
//! - [`Cluster`]: groups of photos that look alike, and their names
//! - [`LabelSet`], [`Classifier`]: labels to classify photos by, and their vectors in the space of a model
//! - [`Library::looks`], [`Library::copies`]: what duplicates are recognised by
//!
//! The folders `vectors` and `text` of a library hold caches: each file records the position in the change log that it
//! covers, is verified before use, and can be deleted at any time.
//!
//! The crate runs no models, decodes no pictures and controls no terminal: the caller brings the embeddings.
//! For example, with two photos in a space of 4 dimensions:
//!
//! ```rust
//! use snapseek_index::{Change, FileStamp, FileIdentity, Library, ModelRecord, PhotoFacts, SearchRequest};
//! use std::path::Path;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let library = Library::create(folder.path())?;
//! let mut writer = library.lock()?;
//! writer.set_model(&ModelRecord { name: "example".into(), fingerprint: "example 1".into(), dim: 4 })?;
//! let photo = |path: &str, content: u8, embedding: [f32; 4]| Change::Photo {
//!     path: path.into(),
//!     root: "/photos".into(),
//!     stamp: FileStamp { size: 1_000, mtime_ns: 0 },
//!     // In practice, BLAKE3 hashes of the file's bytes and of what it shows.
//!     identity: FileIdentity { file: [content; 32], picture: [content; 32], version: 1 },
//!     facts: PhotoFacts::default(),
//!     embedding: embedding.to_vec(),
//!     tags: Vec::new(),
//! };
//! writer.apply(&[
//!     photo("/photos/dog.jpg", 1, [1.0, 0.0, 0.0, 0.0]),
//!     photo("/photos/sea.jpg", 2, [0.0, 0.6, 0.8, 0.0]),
//! ])?;
//!
//! let request = SearchRequest { vector: Some(vec![0.8, 0.6, 0.0, 0.0]), limit: 10, ..Default::default() };
//! let hits = library.searcher()?.search(&request)?.hits;
//! assert_eq!(hits.len(), 2);
//! assert_eq!(hits[0].paths, [Path::new("/photos/dog.jpg")]);
//! assert!(hits[0].cosine.is_some_and(|cosine| (cosine - 0.8).abs() < 1e-6));
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

mod catalogue;
mod engine;
mod error;
pub mod escape;
mod kept;
mod search;
mod upkeep;

pub use catalogue::library::Library;
pub use catalogue::roots::Root;
pub use catalogue::rows::{
    Caption, CaptionCounts, Captioned, CarriedCaption, Change, Chat, ContentHash, DamagedFile, EncodingCounts,
    FailedFile, FileIdentity, FileStamp, FileState, LibraryModel, Metadata, ModelRecord, ModelRole, PendingPhoto,
    PhotoFacts, PhotoFile, PhotoFiles, PhotoText, PlacedLine, ScoreStats, Status, Tag, TextCounts, TextModelRecord,
    Turn, WaitingCounts,
};
pub use catalogue::told::kilometres;
pub use catalogue::writer::Writer;
pub use engine::postgres::address::shown;
pub use engine::postgres::server_error::ServerError;
pub use error::{Error, Result};
pub use kept::albums::PhotoAlbum;
pub use kept::captioner::Captioner;
pub use kept::captions::ENCODINGS_AT_MOST;
pub use kept::cluster_history::PastClusters;
pub use kept::cluster_rows::{ClusterMember, NewCluster};
pub use kept::clusters::{Cluster, folded_name};
pub use kept::copy::Copied;
pub use kept::given_names::GivenName;
pub use kept::labels::{Classifier, LabelSet};
pub use kept::offers::{OfferOutcome, OfferedFile, Offers};
pub use kept::own::{OwnRatings, OwnTag, OwnTags, TagChange};
pub use kept::readings::TextKeeper;
pub use kept::searches::SavedSearch;
pub use kept::transfer::{Imported, Merged, Written};
pub use search::details::{Hit, RankedPhoto};
pub use search::facets::{Facet, FacetCounter, FacetCounts, FacetField};
pub use search::filters::{Center, Clause, Fact, Filter, Filters, Moment, NO_CLOCK_NS, OwnerText, Phrase, Shape};
pub use search::map_cache::KeptMap;
pub use search::order::Order;
pub use search::query;
pub use search::searcher::{By, RankedPhotos, Response, SearchRequest, Searcher};
pub use search::vectors::NearVectors;
pub use upkeep::check::{CheckReport, Finding, LateCache, Remedy};
