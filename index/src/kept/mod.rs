//! What the catalogue keeps beside photos: captions, clusters, labels, conversations, looks.

pub(crate) mod captioner;
pub(crate) mod captions;
pub(crate) mod clusters;
pub(crate) mod conversations;
pub(crate) mod labels;
pub(crate) mod looks;
