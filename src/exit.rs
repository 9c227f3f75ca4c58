//! How a command ends: exit codes, and errors that carry one.

use snapseek_index::Error;
use std::fmt;

/// What the process tells its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Found, or done.
    Success = 0,
    /// Nothing found.
    NothingFound = 1,
    /// Wrong usage.
    Usage = 2,
    /// The library or a model is missing.
    Missing = 3,
    /// Finished, but some files could not be read.
    Partial = 4,
    /// Anything else.
    Failed = 5,
    /// Ctrl-C.
    Interrupted = 130,
}

/// An error that decides the exit code.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    message: String,
}

impl Failure {
    /// Wrong usage (exit code 2).
    pub fn usage(message: impl Into<String>) -> anyhow::Error {
        Self { exit: Exit::Usage, message: message.into() }.into()
    }

    /// The user ended it (exit code 130).
    #[must_use]
    pub fn interrupted() -> anyhow::Error {
        Self { exit: Exit::Interrupted, message: "interrupted".into() }.into()
    }

    /// The library or a model is missing (exit code 3).
    pub fn missing(message: impl Into<String>) -> anyhow::Error {
        Self { exit: Exit::Missing, message: message.into() }.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Nobody reads our stdout any more.
#[derive(Debug)]
pub struct ClosedPipe;

impl fmt::Display for ClosedPipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stdout is closed")
    }
}

impl std::error::Error for ClosedPipe {}

/// The exit code of an error.
#[must_use]
pub fn exit_of(error: &anyhow::Error) -> Exit {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return failure.exit;
        }
        if let Some(Error::NoLibrary { .. }) = cause.downcast_ref() {
            return Exit::Missing;
        }
        if let Some(Error::NoChat { .. }) = cause.downcast_ref() {
            return Exit::NothingFound;
        }
        if let Some(
            Error::OtherModel { .. } | Error::NoLabelSet { .. } | Error::NoLabel { .. } | Error::NoCluster { .. },
        ) = cause.downcast_ref()
        {
            return Exit::Usage;
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && io.get_ref().is_some_and(|inner| inner.is::<ClosedPipe>())
        {
            return Exit::Success;
        }
    }
    Exit::Failed
}
