//! Files that hold a key or an invite. Only their owner can read them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::TEXT_BYTES_MAX;
use crate::failure::{Exit, Failure};

/// The file in which the node with this port keeps the key of an invite.
pub fn kept_in(dir: &Path, port: u16) -> PathBuf {
    dir.join(format!("chat_{port}.key"))
}

/// Reads the single line of a private file.
///
/// # Errors
/// The file is missing, other users can read it, or it holds something else.
pub fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let refuse = |why: String, hint: String| {
        Failure::new(Exit::Files, format!("cannot take a key or an invite from {}", shown(path)), why, hint)
    };
    if path == Path::new("-") {
        return Err(refuse("a key is read from a file".to_owned(), "try --ask-key to type it".to_owned()));
    }
    // Without this flag, opening a pipe without a writer would block.
    let open = OpenOptions::new().read(true).custom_flags(flag_bits(OFlags::NONBLOCK)).open(path);
    let file = open.map_err(|error| {
        let (why, hint) = match error.kind() {
            io::ErrorKind::NotFound => (
                "there is no such file".to_owned(),
                "`dist-chat key FILE` makes a key, `dist-chat invite` an invite where a member runs",
            ),
            _ => (error.to_string(), "try it as the user who owns the file"),
        };
        refuse(why, hint.to_owned())
    })?;
    let meta = file.metadata().map_err(|error| refuse(error.to_string(), String::new()))?;
    if !meta.is_file() {
        return Err(refuse("it is no regular file".to_owned(), "try a file of yours, mode 0600".to_owned()));
    }
    let user = rustix::process::geteuid().as_raw();
    if meta.uid() != user && meta.uid() != 0 {
        return Err(refuse("it belongs to another user".to_owned(), "try a file of yours, mode 0600".to_owned()));
    }
    if meta.mode() & 0o077 != 0 {
        return Err(refuse(
            format!("others can read or write it (mode {:04o})", meta.mode() & 0o7777),
            format!("try `chmod 600 {}`; if others may have read it, another key", shown(path)),
        ));
    }
    one_line(file).map_err(|why| refuse(why, "a key file has one line, the key".to_owned()))
}

/// A file's name for messages; hidden if the user has typed a secret in its place.
fn shown(path: &Path) -> String {
    let name = path.to_string_lossy();
    match super::is_secret(&name) || super::invite::is_one(&name) {
        true => "what looks like a key itself".to_owned(),
        false => name.into_owned(),
    }
}

fn flag_bits(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

/// Reads exactly one line.
fn one_line(from: impl io::Read) -> Result<Zeroizing<String>, String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(TEXT_BYTES_MAX + 1));
    from.take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > TEXT_BYTES_MAX {
        return Err(format!("it has more than {TEXT_BYTES_MAX} bytes"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is no text".to_owned())?.trim();
    match text.lines().count() {
        0 => Err("it is empty".to_owned()),
        1 => Ok(Zeroizing::new(text.to_owned())),
        _ => Err("it has more than one line".to_owned()),
    }
}

/// Writes a line into a new private file.
///
/// # Errors
/// The file exists already, or it cannot be written.
pub fn create(path: &Path, line: &str) -> Result<(), Failure> {
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    written.and_then(|file| fill(file, line)).map_err(|error| {
        let (why, hint) = match error.kind() {
            io::ErrorKind::AlreadyExists => ("there is such a file already".to_owned(), "try another name"),
            _ => (error.to_string(), "try another directory"),
        };
        Failure::new(Exit::Files, format!("cannot write a key to {}", path.display()), why, hint)
    })
}

/// Writes a line into a private file and replaces an existing one.
///
/// # Errors
/// It cannot be written; an existing file is unchanged.
pub fn replace(path: &Path, line: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    // A temporary file that a crash has left may have another mode.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    fill(OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?, line)?;
    std::fs::rename(new, path)
}

fn fill(mut file: File, line: &str) -> io::Result<()> {
    let mut text = Zeroizing::new(String::with_capacity(line.len() + 1));
    text.push_str(line);
    text.push('\n');
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_new_file_is_its_owners_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("room.key");
        create(&path, "the key").unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        assert_eq!(*read(&path).unwrap(), "the key");
        let failure = create(&path, "another").unwrap_err();
        assert_eq!((failure.exit, *read(&path).unwrap() == "the key"), (Exit::Files, true));
        replace(&path, "another").unwrap();
        assert_eq!(*read(&path).unwrap(), "another");
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("room.key");
        create(&path, "hush hush hush").unwrap();
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let failure = read(&path).unwrap_err();
            assert!(failure.why.contains(&format!("{mode:04o}")) && failure.hint.contains("chmod 600"), "{failure}");
            assert!(!failure.to_string().contains("hush"), "{failure}");
        }
        for mode in [0o600, 0o400] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert!(read(&path).is_ok());
        }
    }

    #[test]
    fn what_is_no_file_with_one_line_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("room.key");
        let why = |path: &Path| read(path).unwrap_err().why;
        assert!(why(&path).contains("no such file"), "{}", why(&path));
        assert!(why(dir.path()).contains("no regular file"));
        assert!(why(Path::new("-")).contains("from a file"));
        for (content, part) in [
            (&b""[..], "empty"),
            (b" \n", "empty"),
            (b"one\ntwo\n", "more than one line"),
            (b"\xff\xfe", "no text"),
            (&[b'x'; TEXT_BYTES_MAX + 1], "more than 4096 bytes"),
        ] {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            assert!(why(&path).contains(part), "{}", why(&path));
        }
        std::fs::write(&path, b"  a key \r\n").unwrap();
        assert_eq!(*read(&path).unwrap(), "a key");
        rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .unwrap();
        assert!(why(&dir.path().join("pipe")).contains("no regular file"));
    }
}
