//! Why a history cannot be read or written.

use std::fmt;

use rusqlite::ErrorCode;

/// Why a history cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The disk takes no more data now; it may later.
    Unwritable(String),
    /// A sync has failed: the content of the medium is unknown.
    Unsynced(String),
    /// The content differs from what was written.
    Damaged(String),
    /// A newer program wrote the file, with this version of its tables.
    Newer(usize),
    /// The file has tables of an older version, and this connection cannot change them.
    Older(usize),
    /// The file holds rooms of an older program with unsigned lines. No member would take such lines.
    Unsigned,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unwritable(why) | Self::Unsynced(why) | Self::Damaged(why) => f.write_str(why),
            Self::Newer(version) => write!(f, "a newer program wrote it (version {version} of its tables)"),
            Self::Older(version) => write!(f, "an older program wrote it (version {version} of its tables)"),
            Self::Unsigned => {
                f.write_str("an older program wrote it, and its lines are not signed: no member would take them")
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let why = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TypeMismatch) => Self::Damaged(why),
            Some(ErrorCode::DiskFull) => Self::Unwritable("no space left on the disk".to_owned()),
            Some(ErrorCode::ReadOnly) => Self::Unwritable("it cannot be written".to_owned()),
            Some(ErrorCode::SystemIoFailure) if is_sync_failure(&error) => Self::Unsynced(why),
            Some(_) => Self::Unwritable(why),
            // A required row is missing, or a value has another type.
            None => Self::Damaged(why),
        }
    }
}

/// Whether SQLite reports a failed sync (`SQLITE_IOERR_FSYNC`, `SQLITE_IOERR_DIR_FSYNC`).
fn is_sync_failure(error: &rusqlite::Error) -> bool {
    let codes = [rusqlite::ffi::SQLITE_IOERR_FSYNC, rusqlite::ffi::SQLITE_IOERR_DIR_FSYNC];
    error.sqlite_error().is_some_and(|error| codes.contains(&error.extended_code))
}
