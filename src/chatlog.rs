//! The log that people read: `chat_<port>.log`.
//!
//! Written by a thread of its own (`tracing-appender`), through a bounded channel that makes its writers wait and never
//! drops. What the program says of itself through `tracing` goes the same way, in the same form: `TS: message`.

use std::fmt;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

use crate::failure::{Exit, Failure, complain};

/// What each start of the program begins with.
pub const DASHES: &str = "------------------------------------------------------------------------\n";
/// Writes that wait for the file; each is of little more than [`WRITE_BYTES_MAX`].
const QUEUE_WRITES_MAX: usize = 64;
/// Bytes after which a gatherer of lines should hand them over: see [`LogWriter::push`].
pub const WRITE_BYTES_MAX: usize = 64 * 1024;

/// The open log. Dropping it does not wait: see [`ChatLog::finish`].
#[derive(Debug)]
pub struct ChatLog {
    writer: LogWriter,
    _worker: WorkerGuard,
}

/// A handle that writes to the log; cheap to clone. Its writes wait while the file is slow.
#[derive(Clone, Debug)]
pub struct LogWriter {
    queue: NonBlocking,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// Bytes handed to the writing thread.
    handed: AtomicU64,
    reopen: AtomicBool,
    progress: Mutex<Progress>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    /// Bytes that the file has taken.
    flushed: u64,
    /// Why it takes no more.
    failed: Option<String>,
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChatLog {
    /// Opens `chat_<port>.log` in `dir`, locks it, and writes the line of dashes.
    ///
    /// `failed` is called once, from the writing thread, when the file takes no more.
    ///
    /// # Errors
    /// The file cannot be opened for writing, or another node writes to it.
    pub fn open(dir: &Path, port: u16, failed: impl Fn(String) + Send + 'static) -> Result<Self, Failure> {
        let path = dir.join(format!("chat_{port}.log"));
        let file = open(&path)?;
        let shared = Arc::new(Shared {
            path,
            handed: AtomicU64::new(0),
            reopen: AtomicBool::new(false),
            progress: Mutex::default(),
            moved: Condvar::new(),
        });
        let sink = Sink { file: BufWriter::with_capacity(64 * 1024, file), shared: shared.clone(), taken: 0, failed };
        let (queue, worker) = NonBlockingBuilder::default()
            .lossy(false)
            .buffered_lines_limit(QUEUE_WRITES_MAX)
            .thread_name("chat-log")
            .finish(sink);
        let mut writer = LogWriter { queue, shared };
        writer.push(DASHES);
        Ok(Self { writer, _worker: worker })
    }

    /// A handle to write with.
    pub fn writer(&self) -> LogWriter {
        self.writer.clone()
    }

    /// The file's name, for people.
    pub fn name(&self) -> String {
        self.writer.shared.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Waits until the file has taken everything that was written before, at most this long.
    pub fn finish(self, patience: Duration) {
        let shared = &self.writer.shared;
        let handed = shared.handed.load(Ordering::Acquire);
        let waits = |progress: &mut Progress| progress.flushed < handed && progress.failed.is_none();
        let _ = shared.moved.wait_timeout_while(shared.progress(), patience, waits);
    }
}

impl LogWriter {
    /// Writes whole lines, which no other writer's come between; waits while the file is slow.
    pub fn push(&mut self, lines: &str) {
        self.shared.handed.fetch_add(lines.len() as u64, Ordering::AcqRel);
        // The channel closes only with the worker, which the log owns: after that nobody reads the file's end.
        let _ = self.queue.write(lines.as_bytes());
    }

    /// Lets the file be opened anew, by its name: after a rotation.
    pub fn reopen(&mut self) {
        self.shared.reopen.store(true, Ordering::Release);
        // An empty write wakes the thread.
        let _ = self.queue.write(&[]);
    }
}

/// The file as the writing thread sees it. It never reports an error, since that thread would forget it: after the first
/// one it takes nothing more, and says so once.
struct Sink<F> {
    file: BufWriter<File>,
    shared: Arc<Shared>,
    taken: u64,
    failed: F,
}

impl<F: Fn(String)> Sink<F> {
    fn fail(&mut self, error: &io::Error) {
        let mut progress = self.shared.progress();
        if progress.failed.is_none() {
            progress.failed = Some(error.to_string());
            drop(progress);
            (self.failed)(error.to_string());
        }
        self.shared.moved.notify_all();
    }

    fn has_failed(&self) -> bool {
        self.shared.progress().failed.is_some()
    }

    /// Where the name cannot be opened, the old file is kept: better the log in another place than none.
    fn reopen(&mut self) -> io::Result<()> {
        self.file.flush()?;
        // The name may still be this file's: its lock would be in our own way.
        let _ = flock(self.file.get_ref(), FlockOperation::Unlock);
        match open(&self.shared.path) {
            Ok(file) => self.file = BufWriter::with_capacity(64 * 1024, file),
            Err(failure) => {
                complain(failure);
                let _ = flock(self.file.get_ref(), FlockOperation::NonBlockingLockExclusive);
            }
        }
        Ok(())
    }
}

impl<F: Fn(String)> Write for Sink<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.taken += bytes.len() as u64;
        if !self.has_failed()
            && let Err(error) = self.file.write_all(bytes)
        {
            self.fail(&error);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.has_failed() {
            return Ok(());
        }
        let reopens = self.shared.reopen.swap(false, Ordering::AcqRel);
        let done = if reopens { self.reopen() } else { self.file.flush() };
        match done {
            Ok(()) => {
                self.shared.progress().flushed = self.taken;
                self.shared.moved.notify_all();
            }
            Err(error) => self.fail(&error),
        }
        Ok(())
    }
}

impl<F> fmt::Debug for Sink<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("shared", &self.shared).finish_non_exhaustive()
    }
}

fn open(path: &Path) -> Result<File, Failure> {
    let unusable = |why: String| {
        Failure::new(
            Exit::Files,
            format!("cannot write {}", path.display()),
            why,
            "try another directory with --data-dir DIR",
        )
    };
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
    end_torn_line(&mut file).map_err(|error| unusable(error.to_string()))?;
    Ok(file)
}

/// A crash may have torn the last line: what follows begins a line of its own.
fn end_torn_line(file: &mut File) -> io::Result<()> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last != *b"\n" { file.write_all(b"\n") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("dist-chat-log-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn open(dir: &Dir) -> ChatLog {
        ChatLog::open(&dir.0, 1, |why| unreachable!("{why}")).unwrap()
    }

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn nothing_is_dropped_and_each_start_begins_with_dashes() {
        let dir = Dir::new("all");
        let mut expected = String::new();
        for start in 0..2 {
            let log = open(&dir);
            let mut writer = log.writer();
            expected.push_str(DASHES);
            for n in 0..20_000 {
                let line = format!("{n}: start {start}\n");
                writer.push(&line);
                expected.push_str(&line);
            }
            log.finish(PATIENCE);
        }
        let path = dir.0.join("chat_1.log");
        assert!(std::fs::read_to_string(&path).unwrap() == expected);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_second_writer_is_refused() {
        let dir = Dir::new("lock");
        let log = open(&dir);
        let second = ChatLog::open(&dir.0, 1, |_| {}).unwrap_err();
        assert_eq!(second.exit, Exit::Files);
        log.finish(PATIENCE);
    }

    #[test]
    fn a_directory_that_is_not_there_is_said() {
        let failure = ChatLog::open(Path::new("/nonexistent"), 1, |_| {}).unwrap_err();
        assert_eq!(failure.exit, Exit::Files);
    }

    #[test]
    fn the_file_is_opened_anew_after_a_rotation() {
        let dir = Dir::new("rotate");
        let log = open(&dir);
        let mut writer = log.writer();
        writer.push("1: before\n");
        let path = dir.0.join("chat_1.log");
        let rotated = dir.0.join("rotated");
        std::fs::rename(&path, &rotated).unwrap();
        writer.reopen();
        // The old file takes what was written before it was let go; the name appears with the new one.
        while !path.exists() {
            std::thread::yield_now();
        }
        writer.push("2: after\n");
        // Without a rotation nothing changes.
        writer.reopen();
        log.finish(PATIENCE);
        assert_eq!(std::fs::read_to_string(rotated).unwrap(), format!("{DASHES}1: before\n"));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "2: after\n");
    }

    #[test]
    fn a_torn_line_is_ended() {
        let dir = Dir::new("torn");
        let path = dir.0.join("chat_1.log");
        std::fs::write(&path, "5: ann(127.0.0.1:1): he").unwrap();
        open(&dir).finish(PATIENCE);
        assert_eq!(std::fs::read_to_string(path).unwrap(), format!("5: ann(127.0.0.1:1): he\n{DASHES}"));
    }
}
