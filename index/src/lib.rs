//! The library of snapseek: everything it remembers about photos, and how they are found again.
//!
//! - [`Library`], [`Writer`]: the catalogue in SQLite, the one source of truth
//! - [`query`]: the query language; [`Filters`]: what photos must satisfy
//! - [`Searcher`]: meaning (cosine), words (BM25) and their fusion
//! - [`Caption`], [`Captioner`]: captions by hand and by a model; they go with the photo
//! - [`Chat`]: what was asked about a picture; kept until it is deleted
//! - [`Cluster`]: groups of photos that look alike, and their names
//! - [`LabelSet`], [`Classifier`]: labels to sort photos by, in the space of a model
//! - [`Library::looks`], [`Library::copies`]: what tells duplicates
//! - `vectors` and `text` hold caches: files that carry the log position they cover, are verified before use, and can
//!   be deleted at any time
//!
//! The crate knows nothing of models, of decoding or of terminals.

mod catalogue;
mod error;
pub mod escape;
mod kept;
mod search;
mod upkeep;

pub use catalogue::library::Library;
pub use catalogue::rows::{
    Caption, CaptionCounts, Captioned, Change, Chat, ContentHash, FailedFile, FileStamp, FileState, ModelRecord,
    PendingPhoto, PhotoFacts, PhotoFiles, ScoreStats, Status, Tag, Turn,
};
pub use catalogue::writer::Writer;
pub use error::{Error, Result};
pub use kept::captioner::Captioner;
pub use kept::clusters::{Cluster, ClusterMember, NewCluster, folded_name};
pub use kept::labels::{Classifier, LabelSet};
pub use search::filters::{Clause, Filter, Filters, Phrase};
pub use search::query;
pub use search::searcher::{By, Hit, Response, SearchRequest, Searcher};
pub use upkeep::check::{CheckReport, Finding, Remedy};
