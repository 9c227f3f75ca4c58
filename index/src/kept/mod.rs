//! What the catalogue keeps besides photos: captions, clusters, labels, chats, looks.

pub(crate) mod captioner;
pub(crate) mod captions;
pub(crate) mod chats;
pub(crate) mod clusters;
pub(crate) mod labels;
pub(crate) mod looks;
