//! The file of the log: opening and locking it, and how far it has taken what was written.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustix::fs::{FlockOperation, flock};

use crate::failure::{Exit, Failure};

/// Bytes of one line of the log; no chat line is longer, with all its control characters made visible.
pub const LINE_BYTES_MAX: u64 = 256 * 1024;

#[derive(Debug)]
pub(super) struct LogShared {
    pub(super) path: PathBuf,
    /// Bytes handed to the writing thread.
    pub(super) handed: AtomicU64,
    pub(super) reopen: AtomicBool,
    pub(super) progress: Mutex<WriteProgress>,
    pub(super) moved: Condvar,
}

#[derive(Debug, Default)]
pub(super) struct WriteProgress {
    /// Bytes that the file has taken.
    pub(super) flushed: u64,
    /// How long the file was then.
    pub(super) length: u64,
    /// Why it takes no more, at the moment.
    pub(super) failed: Option<String>,
}

/// Changes of the log's state, for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogNews {
    /// It takes no more, and why. What would be written is kept in memory, and it is tried again.
    Failing(String),
    /// It was to be opened anew and cannot, and why: the file that was open is written on.
    Kept(String),
    /// It has taken what was kept; so many bytes of it had found no room in memory.
    Well {
        /// Bytes that are missing in the log: no chat lines.
        lost: u64,
    },
}

impl LogShared {
    pub(super) fn progress(&self) -> MutexGuard<'_, WriteProgress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn unusable(path: &Path, why: String) -> Failure {
    let what = format!("cannot write {}", path.display());
    Failure::new(Exit::Files, what, why, "try another directory with --data-dir DIR")
}

pub(super) fn open(path: &Path) -> Result<File, Failure> {
    let unusable = |why: String| unusable(path, why);
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    let mut file = options.open(path).map_err(|error| unusable(error.to_string()))?;
    let meta = file.metadata().map_err(|error| unusable(error.to_string()))?;
    if meta.is_dir() || !meta.is_file() {
        return Ok(file);
    }
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(unusable("another node writes to it".to_owned())),
        // Some network file systems know no locks: better an unlocked log than none.
        Err(_) => {}
    }
    if meta.permissions().mode() & 0o077 != 0 {
        // Somebody else's file, which we may append to, keeps its mode.
        let _ = file.set_permissions(Permissions::from_mode(0o600));
    }
    drop_torn_line(&mut file).map_err(|error| unusable(error.to_string()))?;
    Ok(file)
}

/// A crash or a full disk may have torn the last line. Its beginning would be taken for a line that nobody has said: it
/// goes. What it was the beginning of comes again, from the history or from the others.
pub(super) fn drop_torn_line(file: &mut File) -> io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    let from = file.seek(SeekFrom::Start(length.saturating_sub(LINE_BYTES_MAX)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let whole = match end.iter().rposition(|byte| *byte == b'\n') {
        Some(last) => Some(from + last as u64 + 1),
        None if from == 0 => Some(0),
        // So long a line is none of ours.
        None => None,
    };
    match whole {
        Some(whole) if whole == length || file.set_len(whole).is_ok() => Ok(()),
        // Where nothing may be taken from the file, what follows begins a line of its own.
        Some(_) | None => file.write_all(b"\n"),
    }
}
