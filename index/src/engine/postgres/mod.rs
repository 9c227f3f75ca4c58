//! Libraries in PostgreSQL.

pub(crate) mod address;
mod dialect;
pub(crate) mod leases;
pub(crate) mod roles;
mod schema;
pub(crate) mod server;
pub(crate) mod server_error;
mod wire;
