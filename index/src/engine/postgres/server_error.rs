//! What goes wrong with a server.

use super::schema::VERSION;
use postgres::error::SqlState;
use std::fmt::Display;

/// What goes wrong with a server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is none.
    #[error("{address} is not the address of a library: {reason}")]
    Address {
        /// The address, without its password.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server cannot be reached, or the connection to it was lost.
    #[error("the library {address} cannot be reached: {reason}")]
    Unreachable {
        /// The address, without its password.
        address: String,
        /// What the system or the server says.
        reason: String,
    },
    /// There is no library at this address.
    #[error("there is no library at {address}")]
    NoLibrary {
        /// The address, without its password.
        address: String,
    },
    /// A newer version made the tables.
    #[error("{address} has format {found}, made by a newer version; this one knows formats up to {VERSION}")]
    Newer {
        /// The address, without its password.
        address: String,
        /// Its format.
        found: u32,
    },
    /// The user may not do this.
    #[error("the server of {address} does not allow it: {reason}")]
    Denied {
        /// The address, without its password.
        address: String,
        /// What the server says.
        reason: String,
    },
    /// The server refuses a statement.
    #[error("the server of {address} refuses: {reason}")]
    Refused {
        /// The address, without its password.
        address: String,
        /// What the server says.
        reason: String,
    },
}

impl ServerError {
    pub(super) fn address(address: &str, reason: String) -> Self {
        Self::Address { address: address.to_owned(), reason }
    }

    pub(super) fn of(address: &dyn Display, error: &postgres::Error) -> Self {
        let address = address.to_string();
        let Some(said) = error.as_db_error() else {
            let reason = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source())
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(": ");
            return Self::Unreachable { address, reason };
        };
        let detail = said.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
        let reason = format!("{}{detail}", said.message());
        match *said.code() {
            _ if is_lost(error) => Self::Unreachable { address, reason },
            SqlState::INVALID_PASSWORD
            | SqlState::INVALID_AUTHORIZATION_SPECIFICATION
            | SqlState::INSUFFICIENT_PRIVILEGE
            | SqlState::READ_ONLY_SQL_TRANSACTION => Self::Denied { address, reason },
            _ => Self::Refused { address, reason },
        }
    }
}

/// Whether the connection is gone, rather than a statement wrong.
pub(super) fn is_lost(error: &postgres::Error) -> bool {
    error.is_closed()
        || match error.code() {
            None => std::error::Error::source(error).is_some_and(|cause| cause.is::<std::io::Error>()),
            Some(code) => matches!(
                *code,
                SqlState::ADMIN_SHUTDOWN
                    | SqlState::CRASH_SHUTDOWN
                    | SqlState::CANNOT_CONNECT_NOW
                    | SqlState::CONNECTION_FAILURE
                    | SqlState::CONNECTION_EXCEPTION
                    | SqlState::CONNECTION_DOES_NOT_EXIST
            ),
        }
}
