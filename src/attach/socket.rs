//! A node's socket beside its files, wherever these are: a socket's own path may have 107 bytes at most, a directory's
//! more.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::status::SOCKET_PATH_BYTES_MAX;

/// The socket of the node whose files these are.
pub fn beside(data_dir: &Path, port: u16) -> PathBuf {
    data_dir.join(format!("chat_{port}.sock"))
}

/// Makes a socket of that name.
///
/// # Errors
/// There is such a file, or it cannot be made.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    by_short_name(path, UnixListener::bind)
}

/// Connects to the socket of that name.
///
/// # Errors
/// There is none, nobody listens there, or it is another user's.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    by_short_name(path, UnixStream::connect)
}

/// A name that is too long is looked up from its directory, which this process has opened.
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
}
