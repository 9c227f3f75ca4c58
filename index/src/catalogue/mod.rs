//! The catalogue, the one source of truth.

pub(crate) mod change_log;
pub(crate) mod identity;
pub(crate) mod library;
pub(crate) mod lock;
pub(crate) mod mounts;
pub(crate) mod paths;
pub(crate) mod private_file;
pub(crate) mod roots;
pub(crate) mod rows;
pub(crate) mod seal;
pub(crate) mod stored;
pub(crate) mod told;
pub(crate) mod writer;
