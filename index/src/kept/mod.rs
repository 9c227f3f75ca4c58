//! What the catalogue keeps besides photos: captions, chats, albums, own tags and ratings, clusters and the names given to
//! them, labels, looks.

pub(crate) mod albums;
pub(crate) mod captioner;
pub(crate) mod captions;
pub(crate) mod chats;
pub(crate) mod cluster_history;
pub(crate) mod cluster_rows;
pub(crate) mod clusters;
pub(crate) mod copy;
pub(crate) mod given_names;
pub(crate) mod labels;
pub(crate) mod looks;
pub(crate) mod offers;
pub(crate) mod own;
pub(crate) mod pending;
pub(crate) mod readings;
pub(crate) mod searches;
pub(crate) mod stacks;
pub(crate) mod transfer;
