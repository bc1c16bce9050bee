//! What the writing thread does with the log: it keeps what the file will not take, and tries again.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use super::file::{LogNews, LogShared, open};

/// Bytes kept in memory while the file takes no more. Only events find no room there: see
/// [`LINES_BYTES_MAX`](super::LINES_BYTES_MAX).
const HELD_BYTES_MAX: usize = 20 * 1024 * 1024;
/// Bytes after which the file is to take what it was given, however much is waiting.
const FLUSH_BYTES: usize = 1024 * 1024;
/// How long what comes gathers after a write: a thread that is woken for each line costs the room more than the line.
const GATHER: Duration = Duration::from_millis(5);
/// Between two tries to write to a file that took no more.
const AGAIN: Duration = Duration::from_millis(500);

/// The file as the writing thread sees it. It never reports an error, since that thread would forget it.
pub(super) struct Sink<F> {
    /// None: nothing is kept.
    file: Option<BufWriter<File>>,
    /// How long the file was when it last took everything: what stands behind is torn.
    length: u64,
    shared: Arc<LogShared>,
    /// Bytes that came, ever.
    taken: u64,
    /// What came since the file last took everything, while it fails.
    held: Vec<u8>,
    /// Bytes that found no room there.
    lost: u64,
    again: Instant,
    told: F,
}

impl<F: Fn(LogNews)> Sink<F> {
    /// Writes behind what the file holds; `told` is called when it takes no more, and when it does again.
    pub(super) fn new(file: Option<File>, shared: Arc<LogShared>, told: F) -> Self {
        let length = file.as_ref().map_or(0, length);
        let file = file.map(|file| BufWriter::with_capacity(64 * 1024, file));
        Self { file, length, shared, taken: 0, held: Vec::new(), lost: 0, again: Instant::now(), told }
    }

    fn fail(&mut self, error: &io::Error) {
        self.again = Instant::now() + AGAIN;
        let mut progress = self.shared.progress();
        let first = progress.failed.replace(error.to_string()).is_none();
        drop(progress);
        if first {
            (self.told)(LogNews::Failing(error.to_string()));
        }
        self.shared.moved.notify_all();
    }

    fn has_failed(&self) -> bool {
        self.shared.progress().failed.is_some()
    }

    fn hold(&mut self, bytes: &[u8]) {
        let fits = self.held.len() + bytes.len() <= HELD_BYTES_MAX;
        // Whole writes, which are whole lines.
        if fits && self.lost == 0 { self.held.extend_from_slice(bytes) } else { self.lost += bytes.len() as u64 }
    }

    /// Writes what was kept, behind what the file had taken whole.
    fn write_held(&mut self) -> io::Result<()> {
        let Some(old) = self.file.take() else { return Ok(()) };
        // Its buffer holds what was not taken: that is kept here too.
        let (file, _) = old.into_parts();
        let old = self.file.insert(BufWriter::with_capacity(64 * 1024, file));
        if old.get_ref().metadata()?.is_file() {
            old.get_ref().set_len(self.length)?;
        }
        old.write_all(&self.held)?;
        old.flush()?;
        self.length = length(old.get_ref());
        Ok(())
    }

    fn try_again(&mut self) {
        match self.write_held() {
            Ok(()) => {
                self.held = Vec::new();
                let lost = std::mem::take(&mut self.lost);
                let mut progress = self.shared.progress();
                (progress.flushed, progress.length, progress.failed) = (self.taken, self.length, None);
                drop(progress);
                self.shared.moved.notify_all();
                (self.told)(LogNews::Well { lost });
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Where the name cannot be opened, the old file is kept: better the log in another place than none.
    fn reopen(&mut self) -> io::Result<()> {
        let Some(old) = &mut self.file else { return Ok(()) };
        old.flush()?;
        // The name may still be this file's: its lock would be in our own way.
        let _ = flock(old.get_ref(), FlockOperation::Unlock);
        match open(&self.shared.path) {
            Ok(file) => *old = BufWriter::with_capacity(64 * 1024, file),
            Err(failure) => {
                (self.told)(LogNews::Kept(failure.why));
                let _ = flock(old.get_ref(), FlockOperation::NonBlockingLockExclusive);
            }
        }
        Ok(())
    }
}

impl<F: Fn(LogNews)> Write for Sink<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.taken += bytes.len() as u64;
        if self.file.is_some() {
            // What is not flushed yet may have to be written again.
            self.hold(bytes);
        }
        if !self.has_failed()
            && let Some(file) = &mut self.file
            && let Err(error) = file.write_all(bytes)
        {
            self.fail(&error);
        }
        if self.held.len() >= FLUSH_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.has_failed() {
            if self.again <= Instant::now() {
                self.try_again();
            }
            return Ok(());
        }
        let reopens = self.shared.reopen.swap(false, Ordering::AcqRel);
        let done = match &mut self.file {
            _ if reopens => self.reopen(),
            Some(file) => file.flush(),
            None => Ok(()),
        };
        match done {
            Ok(()) => {
                let wrote = self.file.is_some() && !self.held.is_empty();
                self.held.clear();
                self.lost = 0;
                self.length = self.file.as_ref().map_or(0, |file| length(file.get_ref()));
                let mut progress = self.shared.progress();
                (progress.flushed, progress.length) = (self.taken, self.length);
                drop(progress);
                self.shared.moved.notify_all();
                if wrote {
                    std::thread::sleep(GATHER);
                }
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

fn length(file: &File) -> u64 {
    file.metadata().map_or(0, |meta| meta.len())
}
