//! Whether a room has a key.

use std::fmt;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use dist_chat::key::generated;

/// Who may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Everybody.
    Open,
    /// Who has the key.
    Keyed,
}

impl Lock {
    /// What the tester wants: with `DIST_CHAT_TEST_KEY=1`, a key for every room that does not choose.
    pub fn usual() -> Self {
        match super::setting("DIST_CHAT_TEST_KEY") {
            Some(1) => Self::Keyed,
            Some(_) | None => Self::Open,
        }
    }

    /// A file of this directory with a fresh key; none for an open room.
    pub fn key_in(self, dir: &Path) -> Option<PathBuf> {
        (self == Self::Keyed).then(|| write_key(dir.join("room.key")))
    }
}

/// What a proof's line says of it.
impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "",
            Self::Keyed => ", keyed",
        })
    }
}

/// Writes a fresh key into this file, for its owner alone.
pub fn write_key(file: PathBuf) -> PathBuf {
    fs::write(&file, generated::fresh().unwrap().as_bytes()).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    file
}
