//! Whether a room has a key.

use std::fmt;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use dist_chat::key::generated;

/// Which nodes a test room lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Every node may join.
    Open,
    /// Only a node with the room key may join.
    Keyed,
}

impl Lock {
    /// The lock of a room for which a test chooses none: a key if `DIST_CHAT_TEST_KEY=1` is set, otherwise no key.
    pub fn usual() -> Self {
        match super::setting("DIST_CHAT_TEST_KEY") {
            Some(1) => Self::Keyed,
            Some(_) | None => Self::Open,
        }
    }

    /// Writes a fresh key into a file in `dir` and returns its path; `None` for an open room.
    pub fn key_in(self, dir: &Path) -> Option<PathBuf> {
        (self == Self::Keyed).then(|| write_key(dir.join("room.key")))
    }
}

/// The words for the lock in the line that a proof prints.
impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "",
            Self::Keyed => ", keyed",
        })
    }
}

/// Writes a fresh key into this file; only the file's owner may read it.
pub fn write_key(file: PathBuf) -> PathBuf {
    fs::write(&file, generated::fresh().unwrap().as_bytes()).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    file
}
