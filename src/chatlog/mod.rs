//! The log that people read: `chat_<port>.log`.
//!
//! Written by a thread of its own (`tracing-appender`), through a bounded channel that makes its writers wait and never
//! drops. What the program says of itself through `tracing` goes the same way, in the same form: `TS: message`.

pub mod checkpoints;
mod file;
pub mod gap;
pub mod log_orphans;
pub mod reconcile;
mod sink;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

use crate::failure::Failure;
pub use file::{LINE_BYTES_MAX, LogNews};
use file::{LogShared, WriteProgress, drop_torn_line, open, unusable};
use sink::Sink;

/// What each start of the program begins with.
pub const DASHES: &str = "------------------------------------------------------------------------\n";
/// Writes that wait for the file; each is of little more than [`WRITE_BYTES_MAX`].
const QUEUE_WRITES_MAX: usize = 64;
/// Bytes after which a gatherer of lines should hand them over: see [`LogWriter::push`].
pub const WRITE_BYTES_MAX: usize = 64 * 1024;
/// Bytes that the file has not taken, after which it is given no chat lines while it takes no more: see
/// [`LogWriter::is_full`].
const LINES_BYTES_MAX: u64 = 16 * 1024 * 1024;

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
    shared: Arc<LogShared>,
}

impl ChatLog {
    /// Opens `chat_<port>.log` in `dir`, locks it, lets it be mended, and writes the line of dashes.
    ///
    /// `mend` is given the file, and appends what is missing at its end. `told` is called from the writing thread, when
    /// the file takes no more, and when it does again.
    ///
    /// # Errors
    /// The file cannot be opened for writing, or another node writes to it.
    pub fn open(
        dir: &Path,
        port: u16,
        mend: impl FnOnce(&mut File) -> io::Result<()>,
        told: impl Fn(LogNews) + Send + 'static,
    ) -> Result<Self, Failure> {
        let path = dir.join(format!("chat_{port}.log"));
        let mut file = open(&path)?;
        if file.metadata().is_ok_and(|meta| meta.is_file()) {
            // What was added may have found no room for its end.
            let mended = mend(&mut file).and_then(|()| drop_torn_line(&mut file));
            mended.map_err(|error| unusable(&path, error.to_string()))?;
        }
        Ok(Self::start(path, Some(file), told))
    }

    /// A log that keeps nothing.
    pub fn none() -> Self {
        Self::start(PathBuf::new(), None, |_| {})
    }

    fn start(path: PathBuf, file: Option<File>, told: impl Fn(LogNews) + Send + 'static) -> Self {
        let shared = Arc::new(LogShared {
            path,
            handed: AtomicU64::new(0),
            reopen: AtomicBool::new(false),
            progress: Mutex::default(),
            moved: Condvar::new(),
        });
        let sink = Sink::new(file, shared.clone(), told);
        let (queue, worker) = NonBlockingBuilder::default()
            .lossy(false)
            .buffered_lines_limit(QUEUE_WRITES_MAX)
            .thread_name("chat-log")
            .finish(sink);
        let mut writer = LogWriter { queue, shared };
        writer.push(DASHES);
        Self { writer, _worker: worker }
    }

    /// A handle to write with.
    pub fn writer(&self) -> LogWriter {
        self.writer.clone()
    }

    /// The file's name, for people.
    pub fn name(&self) -> String {
        let name = self.writer.shared.path.file_name();
        name.map_or_else(|| "no file".to_owned(), |name| name.to_string_lossy().into_owned())
    }

    /// The file as it is named from where the program was started, for people.
    pub fn place(&self) -> String {
        let path = &self.writer.shared.path;
        match path.file_name() {
            Some(_) => path.strip_prefix(".").unwrap_or(path).to_string_lossy().into_owned(),
            None => self.name(),
        }
    }

    /// Waits until the file has taken everything that was written before, at most this long.
    pub fn finish(self, patience: Duration) {
        let shared = &self.writer.shared;
        let handed = shared.handed.load(Ordering::Acquire);
        let waits = |progress: &mut WriteProgress| progress.flushed < handed && progress.failed.is_none();
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

    /// Bytes handed to the writing thread so far.
    pub fn handed(&self) -> u64 {
        self.shared.handed.load(Ordering::Acquire)
    }

    /// Bytes that the file has taken of those that were handed over, and how long it was then.
    pub fn flushed(&self) -> (u64, u64) {
        let progress = self.shared.progress();
        (progress.flushed, progress.length)
    }

    /// Whether the file takes no more, and so much waits for it that no more lines should.
    pub fn is_full(&self) -> bool {
        self.waits() > LINES_BYTES_MAX && self.is_failing()
    }

    /// Whether the file takes no more.
    pub fn is_failing(&self) -> bool {
        self.shared.progress().failed.is_some()
    }

    /// Bytes that were handed over, and that the file has not taken.
    pub fn waits(&self) -> u64 {
        self.handed().saturating_sub(self.flushed().0)
    }

    /// Puts what the file has taken on the medium; blocks for as long as that takes.
    ///
    /// # Errors
    /// It is not known to be there.
    pub fn sync(&self) -> io::Result<()> {
        File::open(&self.shared.path)?.sync_data()
    }

    /// Wakes the writing thread, if it has something to try again.
    pub fn poke(&mut self) {
        if self.is_failing() {
            let _ = self.queue.write(&[]);
        }
    }

    /// Lets the file be opened anew, by its name: after a rotation.
    pub fn reopen(&mut self) {
        self.shared.reopen.store(true, Ordering::Release);
        // An empty write wakes the thread.
        let _ = self.queue.write(&[]);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::failure::Exit;

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
        ChatLog::open(&dir.0, 1, |_| Ok(()), |news| unreachable!("{news:?}")).unwrap()
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
        let second = ChatLog::open(&dir.0, 1, |_| Ok(()), |_| {}).unwrap_err();
        assert_eq!(second.exit, Exit::Files);
        log.finish(PATIENCE);
    }

    #[test]
    fn a_directory_that_is_not_there_is_said() {
        let failure = ChatLog::open(Path::new("/nonexistent"), 1, |_| Ok(()), |_| {}).unwrap_err();
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
    fn a_torn_line_goes() {
        let dir = Dir::new("torn");
        let path = dir.0.join("chat_1.log");
        let long = "x".repeat(1 + LINE_BYTES_MAX as usize);
        for (found, kept) in [
            ("5: ann(127.0.0.1:1): hello\n6: ann(127.0.0.1:1): he", "5: ann(127.0.0.1:1): hello\n"),
            ("5: ann(127.0.0.1:1): he", ""),
            ("5: ann(127.0.0.1:1): hello\n", "5: ann(127.0.0.1:1): hello\n"),
            // Nobody's line.
            (&long, &format!("{long}\n")),
        ] {
            std::fs::write(&path, found).unwrap();
            open(&dir).finish(PATIENCE);
            assert!(std::fs::read_to_string(&path).unwrap() == format!("{kept}{DASHES}"), "{found:.80}");
        }
    }

    #[test]
    fn what_is_mended_by_half_goes_too() {
        let dir = Dir::new("half");
        let mend = |file: &mut File| file.write_all(b"5: ann(127.0.0.1:1): hello\n6: ann(127.0.0.1:1): he");
        ChatLog::open(&dir.0, 1, mend, |_| {}).unwrap().finish(PATIENCE);
        let logged = std::fs::read_to_string(dir.0.join("chat_1.log")).unwrap();
        assert_eq!(logged, format!("5: ann(127.0.0.1:1): hello\n{DASHES}"));
    }
}
