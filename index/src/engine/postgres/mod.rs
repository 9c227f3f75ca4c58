//! Libraries in PostgreSQL.

pub(crate) mod address;
mod dialect;
pub(crate) mod leases;
mod schema;
pub(crate) mod server;
mod wire;
