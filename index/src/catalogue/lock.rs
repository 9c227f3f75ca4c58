//! Locks of a library: of a file in its folder, or of its server.

use super::library::Library;
use super::private_file::{LockFile, take_lock};
use crate::engine::postgres::server::Server;
use crate::error::{Error, Result};

/// A lock, which is released when it is dropped, and by the system or the server when the process ends.
#[derive(Debug)]
pub(crate) enum Lock<'l> {
    File { _file: LockFile },
    Server { server: &'l Server, key: i64 },
}

impl Library {
    /// As [`Library::take_lock`], but nothing of a library on a server, where machines share the work.
    pub(crate) fn take_unless_shared(
        &self,
        name: &str,
        held: impl FnOnce(Option<u32>) -> Error,
    ) -> Result<Option<Lock<'_>>> {
        if self.server().is_some() { Ok(None) } else { self.take_lock(name, held).map(Some) }
    }

    /// Takes the lock of this name. If another process or handle has it, `held` makes the error from the id of that
    /// process, as far as it is known.
    pub(crate) fn take_lock(&self, name: &str, held: impl FnOnce(Option<u32>) -> Error) -> Result<Lock<'_>> {
        let Some(server) = self.server() else {
            return Ok(Lock::File { _file: take_lock(&self.dir().join(name), held)? });
        };
        match self.sql(|_| server.try_lock(name))? {
            Ok(key) => Ok(Lock::Server { server, key }),
            Err(pid) => Err(held(pid)),
        }
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        if let Self::Server { server, key } = self {
            server.unlock(*key);
        }
    }
}
