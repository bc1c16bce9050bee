//! The lock on a node's file: one process at a time has it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rusqlite::Connection;
use rustix::fs::{FlockOperation, flock};

use super::error::Error;
use super::sqlite::{facts, open_to_read};

/// Why a file cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// Another process uses it; a text says which, as far as the file says.
    Held(String),
    /// See [`Error`].
    Unusable(Error),
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        Self::Unusable(error)
    }
}

/// The lock on the file: one process uses it. Released when it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock.
    ///
    /// # Errors
    /// Another process has it, or the file cannot be opened.
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        let unwritable = |error: io::Error| OpenError::Unusable(Error::Unwritable(error.to_string()));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = file.map_err(unwritable)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Held(holder(path))),
            // Some network file systems have no locks. The program then works without one.
            Ok(()) | Err(_) => Ok(Self { _file: file }),
        }
    }
}

/// The process that uses the file, as the file says.
fn holder(path: &Path) -> String {
    let fact = |db: &Connection, key: &str| facts::read(db, key).ok().flatten();
    let said = open_to_read(path).ok().map(|db| (fact(&db, "name"), fact(&db, "uid"), fact(&db, "pid")));
    match said {
        Some((Some(name), Some(uid), Some(pid))) => format!("{name}({uid}), process {pid}"),
        Some(_) | None => "another process".to_owned(),
    }
}
