//! The paths of a node's two sockets. One is in the user's runtime directory, the other beside the node's files. A
//! socket's path may have at most 107 bytes, a directory's path more.

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Maximum bytes of a socket's path (Linux: 108 with its final zero).
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Maximum bytes of a socket's file name.
const SOCKET_NAME_BYTES_MAX: usize = 65;

/// The directory with the sockets of this user's nodes. Other users cannot look into it.
///
/// # Errors
/// It cannot be created, or it belongs to another user.
pub(super) fn directory() -> io::Result<PathBuf> {
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
    // In /tmp another user may have been first, perhaps with a link to another place.
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
pub(super) fn socket_path(dir: &Path, listens: SocketAddr) -> PathBuf {
    dir.join(format!("{listens}.sock"))
}

/// The addresses of all nodes with a socket in the directory, including dead nodes.
pub(super) fn listed(dir: &Path) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<SocketAddr> = std::fs::read_dir(dir)?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".sock")?.parse().ok())
        .collect();
    addresses.sort_unstable();
    Ok(addresses)
}

/// The path of the socket beside a node's files.
pub(super) fn beside(data_dir: &Path, port: u16) -> PathBuf {
    data_dir.join(format!("chat_{port}.sock"))
}

/// Creates a socket with this path.
///
/// # Errors
/// The file exists, or it cannot be created.
pub(super) fn bind(path: &Path) -> io::Result<UnixListener> {
    by_short_name(path, UnixListener::bind)
}

/// Connects to the socket with this path.
///
/// # Errors
/// There is no such socket, no process listens on it, or it belongs to another user.
pub(super) fn connect(path: &Path) -> io::Result<UnixStream> {
    by_short_name(path, UnixStream::connect)
}

/// Calls `use_it` with the path. Opens the directory of a path that is too long, and reaches the socket through that.
fn by_short_name<T>(path: &Path, use_it: fn(PathBuf) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().as_bytes().len() <= SOCKET_PATH_BYTES_MAX {
        return use_it(path.to_owned());
    }
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let dir = File::open(dir)?;
    use_it(Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    #[test]
    fn a_long_path_is_no_obstacle() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("d".repeat(200)).join("e".repeat(200));
        std::fs::create_dir_all(&deep).unwrap();
        let path = beside(&deep, 2428);
        assert!(connect(&path).is_err());
        let _listener = bind(&path).unwrap();
        assert!(path.exists());
        assert!(connect(&path).is_ok());
        assert_eq!(bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

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
