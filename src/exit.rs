//! How a command ends: exit codes, and errors that carry one.

use snapseek_index::{Error, ServerError, escape};
use std::fmt;

/// The exit code of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Something was found, or the work is done.
    Success = 0,
    /// Nothing was found.
    NothingFound = 1,
    /// Wrong usage.
    Usage = 2,
    /// The library or a model is missing.
    Missing = 3,
    /// Finished, but some files could not be read.
    Partial = 4,
    /// Failed for another reason.
    Failed = 5,
    /// Interrupted by Ctrl-C or another signal.
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

    /// What the library refuses is wrong usage, if it was named on the command line; other errors stay what they are.
    #[must_use]
    pub fn refused(error: Error) -> anyhow::Error {
        match error {
            Error::Refused { .. } => Self::usage(error.to_string()),
            other => other.into(),
        }
    }

    /// The user interrupted the work (exit code 130).
    #[must_use]
    pub fn interrupted() -> anyhow::Error {
        Self { exit: Exit::Interrupted, message: "interrupted".into() }.into()
    }

    /// Nothing was found (exit code 1).
    pub fn nothing(message: impl Into<String>) -> anyhow::Error {
        Self { exit: Exit::NothingFound, message: message.into() }.into()
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

/// The reader of stdout has closed it.
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
            Error::OtherModel { .. }
            | Error::Filling { .. }
            | Error::Incomplete { .. }
            | Error::NoLabelSet { .. }
            | Error::NoLabel { .. }
            | Error::NoCluster { .. }
            | Error::NoAlbum { .. }
            | Error::Elsewhere { .. }
            | Error::AboveMount { .. }
            | Error::SameFolder { .. },
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

/// A message without the numbers of the system's errors: `File exists (os error 17)` says it already.
#[must_use]
pub fn without_error_numbers(message: &str) -> String {
    const BEFORE: &str = " (os error ";
    let mut parts = message.split(BEFORE);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(')') {
            Some(rest) if part.starts_with(|c: char| c.is_ascii_digit()) => out.push_str(rest),
            _ => {
                out.push_str(BEFORE);
                out.push_str(part);
            }
        }
    }
    out
}

/// The error message for the user: what happened and, for an error of the library, what the user can do about it.
#[must_use]
pub fn explain(error: &anyhow::Error) -> String {
    let of_the_library = error.chain().filter_map(|cause| cause.downcast_ref::<Error>()).find_map(advice);
    let files = || error.chain().filter_map(|cause| cause.downcast_ref()).find_map(advice_about_a_file);
    let advice = of_the_library.or_else(files);
    let told = without_error_numbers(&format!("{error:#}"));
    match advice {
        Some(advice) => format!("{told}; {advice}"),
        None => told,
    }
}

/// What the user can do about an error of the library.
fn advice(error: &Error) -> Option<String> {
    Some(match error {
        Error::NoLibrary { .. } => "`snapseek index FOLDER` creates one".into(),
        Error::OtherModel { asked, .. } => format!(
            "drop `--model`, or embed every photo again with `snapseek reindex --model {}`",
            escape::text(&asked.name)
        ),
        Error::Filling { filling, .. } => {
            let name = escape::text(filling);
            format!("`snapseek reindex --model {name}` continues it, and `snapseek models drop {name}` gives it up")
        }
        Error::Incomplete { name, .. } => {
            format!("`snapseek reindex --model {}` continues, and until then drop `--model`", escape::text(name))
        }
        Error::Dropped { .. } => "drop `--model`, or try again".into(),
        Error::Locked { .. } => "wait for it to end, or stop it".into(),
        Error::Reading { .. } => "wait for it to end, or stop it: what it has read is kept".into(),
        Error::Captioning { .. } => "wait for it to end, or stop it: the captions it has written are kept".into(),
        Error::NewerSchema { .. } => "update snapseek".into(),
        Error::OlderSchema { .. } => "make it writable, or copy the library's folder to a writable place".into(),
        Error::NoPhoto { .. } => "`snapseek index` indexes it again if its file exists".into(),
        Error::DamagedPhoto { .. } => "`snapseek check --full --repair` mends what can be mended".into(),
        Error::NoChat { .. } => "`snapseek chats list` lists the chats that exist".into(),
        Error::Elsewhere { here, .. } => {
            format!("index {}, or use `snapseek root unmap` first", escape::path(here))
        }
        Error::AboveMount { .. } => "index folders beside that one".into(),
        Error::SameFolder { path, name, .. } => format!(
            "`snapseek root map {} {}` lets its files be the same ones on both",
            escape::text(name),
            escape::path(path)
        ),
        Error::NoLabelSet { known, .. } if known.is_empty() => "`snapseek classify --save-as` saves one".into(),
        Error::DamagedLabelSet { .. } => "delete it with `snapseek labels delete` and save it again".into(),
        Error::NoCluster { known, .. } if known.is_empty() => "`snapseek cluster` creates them".into(),
        Error::NoClassifier { .. } => "try again".into(),
        Error::NotALibrary { .. } => "nothing was changed: name another folder with --library".into(),
        Error::UnreadWal { .. } => {
            "copy the library's folder to a writable place, or open it once where it can be written".into()
        }
        Error::Full { .. } => "free some space and try again; nothing that was kept is lost".into(),
        // Moved, not deleted: the folder may contain other files.
        Error::Catalogue { path, .. } if error.is_damage() => format!(
            "it is damaged: move the library's folder {} away and index again to create a new one; the photos \
             themselves are never touched",
            escape::path(path.parent().unwrap_or(path))
        ),
        Error::Server(error) => match error.as_ref() {
            ServerError::Unreachable { .. } => "look whether the server runs and the network is there".into(),
            ServerError::Denied { .. } => {
                "the password comes from PGPASSWORD or the file of PGPASSFILE, what a user may do from the server"
                    .into()
            }
            ServerError::Newer { .. } => "install that version".into(),
            _ => return None,
        },
        _ if error.is_busy() => "another program is using it: try again".into(),
        _ if error.is_read_only() => {
            "make it writable or free some space on its disk, or copy the library's folder elsewhere".into()
        }
        _ if error.may_pass() => "try again, and look at the disk, its quota and its permissions if it stays".into(),
        _ => return None,
    })
}

/// What the user can do about a file that is not of the library and cannot be written.
fn advice_about_a_file(error: &std::io::Error) -> Option<String> {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded).then(|| "free some space, or write to another disk".into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use snapseek_index::{Library, ModelRecord};

    #[test]
    fn errors_of_the_library_say_what_helps_once() {
        let record = |name: &str| ModelRecord { name: name.into(), fingerprint: String::new(), dim: 8 };
        let path = || std::path::PathBuf::from("/a\nb");
        for (error, help) in [
            (Error::NoLibrary { path: path() }, "`snapseek index FOLDER`"),
            (Error::OtherModel { library: record("one"), asked: record("two") }, "reindex --model two"),
            (Error::Filling { filling: "two".into(), asked: "three".into() }, "models drop two"),
            (Error::Incomplete { name: "two".into(), embedded: 1, photos: 2 }, "reindex --model two"),
            (Error::Locked { path: path(), pid: None }, "wait for it"),
            (Error::Captioning { path: path(), pid: Some(1) }, "wait for it"),
            (Error::Reading { path: path(), pid: Some(1) }, "what it has read"),
            (Error::OlderSchema { path: path(), found: 1, wanted: 2 }, "copy"),
            (Error::NoChat { id: 1 }, "chats list"),
            (Error::NoLabelSet { name: "a".into(), known: Vec::new() }, "classify --save-as"),
            (Error::DamagedLabelSet { name: "a".into() }, "save it again"),
        ] {
            let text = explain(&anyhow::Error::from(error).context("while testing"));
            assert!(text.starts_with("while testing") && text.matches(help).count() == 1, "{text}");
            assert!(!text.contains('\n'), "{text}");
        }
        assert_eq!(explain(&Failure::usage("no such thing")), "no such thing");
    }

    #[test]
    fn a_ruined_catalogue_is_called_so_with_one_remedy() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("catalogue.sqlite"), [b'x'; 8_192]).unwrap();
        let error = Library::open(folder.path()).and_then(|library| library.status()).unwrap_err();
        let text = explain(&error.into());
        assert!(text.contains("damaged") && text.matches("index again").count() == 1, "{text}");
        assert_eq!(text.matches("not a database").count(), 1, "{text}");
        assert!(!text.contains("snapseek check"), "{text}");
    }

    #[test]
    fn the_numbers_of_errors_are_left_out_and_nothing_else_is() {
        let told = "a.md: File exists (os error 17); b: No such file or directory (os error 2)";
        assert_eq!(without_error_numbers(told), "a.md: File exists; b: No such file or directory");
        for kept in ["", "photo (os error x).jpg", "x (os error )", "(os error 17)"] {
            assert_eq!(without_error_numbers(kept), kept);
        }
    }
}
