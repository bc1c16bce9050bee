//! How a node is doing, and what its room's key is: asked over a Unix socket that only the same user can open.
//!
//! The asker writes one word on a line, the node answers with one line: to `status` with a [`Report`](report::Report) in
//! JSON, to `key` with the key as it is kept in files, or `open`. Frontends come the same way: see
//! [`attach`](crate::attach).

pub mod client;
pub mod server;

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Bytes of a socket's path (Linux: 108 with its end).
pub(crate) const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Bytes of the longest file name of a socket.
const SOCKET_NAME_BYTES_MAX: usize = 65;

/// What a node is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// How it is doing.
    Status,
    /// What the key of its room is.
    Key,
}

impl Question {
    const ALL: [Self; 2] = [Self::Status, Self::Key];

    fn line(self) -> &'static str {
        match self {
            Self::Status => "status\n",
            Self::Key => "key\n",
        }
    }
}

/// What is answered where the room has no key.
const OPEN: &str = "open";

/// The directory in which this user's nodes can be found. Nobody else can look into it.
///
/// # Errors
/// It is not there and cannot be made, or it belongs to somebody else.
pub fn directory() -> io::Result<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| {
        let fits = dir.as_os_str().len() + "/dist-chat/".len() + SOCKET_NAME_BYTES_MAX <= SOCKET_PATH_BYTES_MAX;
        dir.is_absolute() && fits && dir.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == user)
    });
    let dir = match runtime {
        Some(runtime) => runtime.join("dist-chat"),
        None => PathBuf::from(format!("/tmp/dist-chat-{user}")),
    };
    match DirBuilder::new().mode(0o700).create(&dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // In /tmp somebody else may have been first, with a link to elsewhere perhaps.
    let meta = dir.symlink_metadata()?;
    if !meta.is_dir() || meta.uid() != user {
        return Err(io::Error::other(format!("{} belongs to somebody else", dir.display())));
    }
    if meta.mode() & 0o077 != 0 {
        std::fs::set_permissions(&dir, Permissions::from_mode(0o700))?;
    }
    Ok(dir)
}

/// The socket of the node that listens there.
fn socket_path(dir: &Path, listens: SocketAddr) -> PathBuf {
    dir.join(format!("{listens}.sock"))
}

/// The addresses of all nodes whose sockets are in the directory, dead ones included.
fn listed(dir: &Path) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<SocketAddr> = std::fs::read_dir(dir)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".sock")?.parse().ok())
        .collect();
    addresses.sort_unstable();
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    #[test]
    fn nobody_else_can_look_into_the_directory() {
        let dir = directory().unwrap();
        assert_eq!(dir.metadata().unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn every_address_has_a_name_that_fits_and_can_be_read_back() {
        let longest: SocketAddr = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535".parse().unwrap();
        let path = socket_path(Path::new(""), longest);
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.len() <= SOCKET_NAME_BYTES_MAX, "{}", name.len());
        assert_eq!(name.strip_suffix(".sock").unwrap().parse(), Ok(longest));
    }
}
