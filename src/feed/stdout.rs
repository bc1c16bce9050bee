//! Standard output as a file, so written that a pipe holds whole lines whenever the program ends.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ioctl_fionread};

/// Bytes that a pipe takes as a whole or not at all. (POSIX wants 512; all systems have this and more.)
const WHOLE_BYTES: usize = 4096;

/// Takes whole lines, and writes some of them at a time.
///
/// A write to a full pipe cannot be taken back, and the reader would find a part of it. So nothing is written before
/// the pipe has room for it: all that it can hold when it is empty, as it is before a reader who keeps up, and
/// otherwise as much as goes in as a whole. A single line that is longer than that may have to wait in its middle.
/// Files are never full in that sense; what other outputs hold back is their own affair.
#[derive(Debug)]
pub struct StdoutWriter {
    file: File,
    /// Bytes that it holds, when it is a pipe.
    pipe: Option<usize>,
}

impl StdoutWriter {
    /// Writes to this.
    pub fn new(file: File) -> Self {
        let pipe = pipe_bytes(&file);
        Self { file, pipe }
    }

    /// Writes to standard output, past the standard library's own buffer.
    ///
    /// # Errors
    /// The system gives no more descriptors.
    pub fn stdout() -> io::Result<Self> {
        io::stdout().as_fd().try_clone_to_owned().map(|out| Self::new(File::from(out)))
    }

    /// Waits until something can be written, or nothing ever again.
    fn wait(&self) -> io::Result<()> {
        loop {
            match poll(&mut [PollFd::new(&self.file, PollFlags::OUT)], None) {
                Err(Errno::INTR) => {}
                waited => return Ok(waited.map(drop)?),
            }
        }
    }

    /// What of these lines can go next.
    fn next<'a>(&self, lines: &'a [u8]) -> io::Result<&'a [u8]> {
        let Some(holds) = self.pipe else { return Ok(lines) };
        self.wait()?;
        let is_empty = ioctl_fionread(&self.file)? == 0;
        Ok(whole_lines(lines, if is_empty { holds } else { WHOLE_BYTES }))
    }
}

#[cfg(target_os = "linux")]
fn pipe_bytes(file: &File) -> Option<usize> {
    rustix::pipe::fcntl_getpipe_size(file).ok()
}

#[cfg(not(target_os = "linux"))]
fn pipe_bytes(file: &File) -> Option<usize> {
    use std::os::unix::fs::FileTypeExt as _;
    file.metadata().is_ok_and(|meta| meta.file_type().is_fifo()).then_some(WHOLE_BYTES)
}

/// As many lines from the beginning as have so many bytes; one at least.
fn whole_lines(lines: &[u8], bytes_max: usize) -> &[u8] {
    let Some((near, far)) = lines.split_at_checked(bytes_max) else { return lines };
    let end = match memchr::memrchr(b'\n', near) {
        Some(last) => last + 1,
        None => memchr::memchr(b'\n', far).map_or(lines.len(), |first| bytes_max + first + 1),
    };
    &lines[..end]
}

impl Write for StdoutWriter {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        loop {
            let next = self.next(lines)?;
            match self.file.write(next) {
                // Whoever shares it has said that it shall not wait.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait()?,
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes all of these lines, and tells after each write what it has taken.
///
/// # Errors
/// The output takes no more.
pub fn write_all<'a>(out: &mut impl Write, mut lines: &'a [u8], mut written: impl FnMut(&'a [u8])) -> io::Result<()> {
    while !lines.is_empty() {
        match out.write(lines) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(bytes) => {
                let (done, rest) = lines.split_at(bytes);
                lines = rest;
                written(done);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    out.flush()
}

/// Whether this means that the reader has gone, and nothing else.
pub fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use std::io::Read as _;
    use std::os::fd::OwnedFd;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn lines_are_taken_whole_and_one_at_least() {
        let taken = |lines: &str, max| String::from_utf8(whole_lines(lines.as_bytes(), max).to_vec()).unwrap();
        assert_eq!(taken("ab\ncd\n", 6), "ab\ncd\n");
        assert_eq!(taken("ab\ncd\n", 5), "ab\n");
        assert_eq!(taken("ab\ncd\n", 2), "ab\n");
        assert_eq!(taken("abcdef", 2), "abcdef");
    }

    #[test]
    fn a_pipe_that_nobody_reads_holds_whole_lines_and_the_rest_is_counted() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut out = StdoutWriter::new(File::from(OwnedFd::from(writer)));
        let lines: String = (0..20_000).map(|n| format!("line {n}\n")).collect();
        let total = lines.len();
        let (done, is_done) = mpsc::channel();
        let writer =
            std::thread::spawn(move || write_all(&mut out, lines.as_bytes(), |part| done.send(part.to_vec()).unwrap()));
        // The first write fills what is empty, but for less than a line; the next one waits for as much as goes in
        // whole.
        let first = is_done.recv().unwrap();
        assert!(first.len() > WHOLE_BYTES && first.ends_with(b"\n"), "{}", first.len());
        let mut read = vec![0; first.len()];
        reader.read_exact(&mut read).unwrap();
        assert!(read == first);
        // A reader who takes it slowly finds whole lines after each write.
        let mut all = first;
        for part in &is_done {
            assert!(part.ends_with(b"\n"));
            let mut read = vec![0; part.len()];
            reader.read_exact(&mut read).unwrap();
            assert!(read == part);
            all.extend(part);
        }
        writer.join().unwrap().unwrap();
        assert_eq!(all.len(), total);
        drop(reader);
    }

    #[test]
    fn a_reader_that_goes_while_it_is_waited_for_is_noticed() {
        let (reader, writer) = io::pipe().unwrap();
        let mut out = StdoutWriter::new(File::from(OwnedFd::from(writer)));
        let lines = "x\n".repeat(100_000);
        let (first, is_full) = mpsc::channel();
        let writer =
            std::thread::spawn(move || write_all(&mut out, lines.as_bytes(), |_| first.send(()).unwrap_or(())));
        is_full.recv().unwrap();
        drop(reader);
        assert!(is_gone(&writer.join().unwrap().unwrap_err()));
    }

    #[test]
    fn a_full_disk_is_no_reader_that_has_gone() {
        let Ok(full) = File::options().write(true).open("/dev/full") else { return };
        let error = write_all(&mut StdoutWriter::new(full), b"a\n", |_| {}).unwrap_err();
        assert!(!is_gone(&error), "{error}");
    }
}
