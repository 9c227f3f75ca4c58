//! The library of snapseek: everything it remembers about photos, and how they are found again.
//!
//! - [`Library`], [`Writer`]: the catalogue in SQLite, the one source of truth
//! - [`query`]: the query language; [`Filters`]: what photos must satisfy
//! - [`Searcher`]: meaning (cosine), words (BM25) and their fusion
//! - [`Caption`], [`Captioner`]: captions by hand and by a model; they go with the photo
//! - [`Conversation`]: what was asked about a picture; kept until it is deleted
//! - [`Cluster`]: groups of photos that look alike, and their names
//! - [`LabelSet`], [`Classifier`]: labels to sort photos by, in the space of a model
//! - [`Library::looks`], [`Library::copies`]: what tells duplicates
//! - `vectors` and `text` hold caches: files that carry the log position they cover, are verified before use, and can
//!   be deleted at any time
//!
//! The crate knows nothing of models, of decoding or of terminals.

mod cache;
mod captioner;
mod captions;
mod check;
mod clusters;
mod conversations;
mod error;
mod filters;
mod label_sets;
mod library;
mod looks;
mod paths;
pub mod query;
mod records;
mod refresh;
mod schema;
mod search;
mod text;
mod vectors;
mod writer;

pub use captioner::Captioner;
pub use check::Report;
pub use clusters::{Cluster, Member, NewCluster, folded_name};
pub use error::{Error, Result};
pub use filters::{Clause, Filter, Filters, Phrase};
pub use label_sets::{Classifier, LabelSet};
pub use library::Library;
pub use records::{
    Caption, CaptionCounts, Captioned, Change, ContentHash, Conversation, Failure, FileStamp, FileState, ModelRecord,
    PendingPhoto, PhotoFacts, PhotoFiles, Status, Tag, Turn,
};
pub use search::{By, Hit, Response, ScoreStats, SearchRequest, Searcher};
pub use writer::Writer;
