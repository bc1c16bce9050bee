//! The maintenance thread of the file: syncs, checkpoints, the full-text index and the table of reactions.
//!
//! The thread has a connection of its own. The node writes into the journal and into SQLite's write-ahead log. There
//! the end of the process cannot lose the data; a loss of power cannot lose it either once it is synced: within
//! [`SYNC_EVERY`], or when the node asks. A sync flushes these files themselves and takes no lock, so the node goes on
//! writing meanwhile.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rustix::fs::statvfs;

use super::api::Done;
use super::error::Error;
use super::reader::index_some;
use super::sqlite::{PAGE_BYTES, open_again};

/// Written data is on the medium after this time, at the latest.
pub const SYNC_EVERY: Duration = Duration::from_millis(500);
/// Time between two syncs: a caller that asks more often waits so long. The first request waits for none.
const SYNC_GAP: Duration = Duration::from_millis(50);
/// The most requests that wait for the thread.
const REQUESTS_MAX: usize = 64;
/// Bytes that go to the write-ahead log between two checkpoints, about.
const CHECKPOINT_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes that a transaction adds to the write-ahead log beside its data, about: two changed pages.
pub const COMMIT_BYTES: u64 = 2 * PAGE_BYTES as u64;
/// Length of the write-ahead log, in bytes, from which writers wait until it begins anew.
const WAL_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// After so long without a new entry the room is quiet enough for indexing.
const QUIET: Duration = Duration::from_millis(300);
/// The most entries that wait for the index while the room is busy. A search reads such entries line by line.
const UNINDEXED_MAX: u64 = 250_000;
/// Entries indexed in one transaction. The node may have to wait for it.
const INDEX_ENTRIES: usize = 256;
/// Pause between two such transactions in a busy room.
const INDEX_PAUSE: Duration = Duration::from_millis(20);

/// State that the node and the thread share.
#[derive(Debug, Default)]
struct MaintenanceShared {
    /// Bytes written to the file since the start.
    written: AtomicU64,
    /// Groups written to the journal since the start.
    journalled: AtomicU64,
    /// The room's number in the file, plus one; zero: no room.
    room: AtomicU64,
    /// The index of the last entry.
    tail: AtomicU64,
    /// The thread works on the file itself.
    busy: AtomicBool,
    /// The node wants to write to the file and may be waiting.
    wanted: AtomicBool,
    stop: AtomicBool,
    failed: Mutex<Option<Error>>,
}

impl MaintenanceShared {
    fn fail(&self, error: Error) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// The node's handle to the thread. Dropping it syncs all written data and ends the thread.
#[derive(Debug)]
pub struct Maintenance {
    requests: Option<SyncSender<Done>>,
    shared: Arc<MaintenanceShared>,
    thread: Option<JoinHandle<()>>,
    wal: PathBuf,
    journal: PathBuf,
}

impl Maintenance {
    /// Starts the thread for an open file and its journal.
    ///
    /// # Errors
    /// The file cannot be opened a second time, or the system starts no more threads.
    pub fn start(path: &Path, journal: &Path) -> Result<Self, Error> {
        let wal = path.with_extension("db-wal");
        let db = open_again(path)?;
        let (requests, asked) = sync_channel(REQUESTS_MAX);
        let shared = Arc::new(MaintenanceShared::default());
        let work = Work {
            db,
            log: Synced::new(&wal),
            journal: Synced::new(journal),
            shared: shared.clone(),
            checkpointed: 0,
            dead: false,
        };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || work.run(&asked));
        let thread = thread.map_err(|error| Error::Unwritable(error.to_string()))?;
        Ok(Self { requests: Some(requests), shared, thread: Some(thread), wal, journal: journal.to_owned() })
    }

    /// Reports that the node wrote so many bytes to the file, and where the log of this room ends now.
    pub fn wrote(&self, bytes: u64, room: Option<i64>, tail: u64) {
        self.shared.tail.store(tail, Ordering::Relaxed);
        self.shared.room.store(room.map_or(0, |no| no.unsigned_abs() + 1), Ordering::Relaxed);
        self.shared.written.fetch_add(bytes, Ordering::Release);
    }

    /// Whether a write to the file would disturb the thread now, or would have to wait.
    pub fn is_busy(&self) -> bool {
        self.shared.busy.load(Ordering::Acquire)
    }

    /// Asks the thread to yield while the node writes to the file, until the returned guard is dropped.
    pub fn give_way(&self) -> GiveWay {
        self.shared.wanted.store(true, Ordering::Release);
        GiveWay(Arc::clone(&self.shared))
    }

    /// Reports that a group went to the journal.
    pub fn journalled(&self) {
        self.shared.journalled.fetch_add(1, Ordering::Release);
    }

    /// Calls `done` once everything written so far is on the medium, or once that has failed.
    pub fn persist(&self, done: Done) {
        match self.requests.as_ref().map(|requests| requests.try_send(done)) {
            Some(Ok(())) | None => {}
            // The thread has ended or does not respond: the content of the medium is unknown.
            Some(Err(TrySendError::Full(done) | TrySendError::Disconnected(done))) => {
                self.shared.fail(Error::Unsynced("nobody syncs it".to_owned()));
                done(false);
            }
        }
    }

    /// Syncs everything written so far, now.
    ///
    /// # Errors
    /// [`Error::Unsynced`].
    pub fn sync_now(&self) -> Result<(), Error> {
        // A journal group may count only after the file's data, so the file is synced first.
        sync(&mut None, &self.wal)?;
        sync(&mut None, &self.journal)
    }

    /// The thread's error; returned once.
    pub fn failed(&self) -> Option<Error> {
        self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// See [`Maintenance::give_way`].
#[derive(Debug)]
pub struct GiveWay(Arc<MaintenanceShared>);

impl Drop for GiveWay {
    fn drop(&mut self) {
        self.0.wanted.store(false, Ordering::Release);
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            // The thread has panicked; there is nothing left to report.
            let _ = thread.join();
        }
    }
}

/// Flushes a file. A missing write-ahead log was removed by a checkpoint, which has synced everything. A missing
/// journal holds nothing.
fn sync(file: &mut Option<File>, path: &Path) -> Result<(), Error> {
    let unsynced = |error: io::Error| Error::Unsynced(error.to_string());
    if file.is_none() {
        match File::open(path) {
            Ok(open) => *file = Some(open),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unsynced(error)),
        }
    }
    file.as_ref().map_or(Ok(()), File::sync_data).map_err(unsynced)
}

/// A file that the node writes and this thread syncs.
struct Synced {
    path: PathBuf,
    file: Option<File>,
    /// The count of written bytes at the last sync.
    up_to: u64,
}

impl Synced {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None, up_to: 0 }
    }

    fn sync(&mut self, written: u64) -> Result<(), Error> {
        if written == self.up_to {
            return Ok(());
        }
        self.up_to = written;
        sync(&mut self.file, &self.path)
    }
}

struct Work {
    db: Connection,
    log: Synced,
    journal: Synced,
    shared: Arc<MaintenanceShared>,
    /// The count of written bytes at the last checkpoint.
    checkpointed: u64,
    /// A sync has failed.
    dead: bool,
}

impl Work {
    fn run(mut self, asked: &Receiver<Done>) {
        let mut next = Instant::now() + SYNC_EVERY;
        let mut moved = (0, Instant::now());
        let mut waiting: Vec<Done> = Vec::new();
        let mut synced: Option<Instant> = None;
        loop {
            let gap = synced.map_or_else(Instant::now, |synced| synced + SYNC_GAP);
            let due = if waiting.is_empty() { next } else { next.min(gap) };
            let ends = match asked.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(first) => {
                    // One sync serves all requests that have arrived.
                    waiting.extend(std::iter::once(first).chain(asked.try_iter()));
                    if Instant::now() < gap && waiting.len() < REQUESTS_MAX {
                        continue;
                    }
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            self.sync();
            synced = Some(Instant::now());
            waiting.drain(..).for_each(|done| done(!self.dead));
            if ends {
                return;
            }
            if Instant::now() < next {
                continue;
            }
            let written = self.shared.written.load(Ordering::Acquire);
            let said = written + self.shared.journalled.load(Ordering::Acquire);
            if said != moved.0 {
                moved = (said, Instant::now());
            }
            let more = !self.dead && {
                self.shared.busy.store(true, Ordering::Release);
                self.checkpoint(written);
                let more = self.index(moved.1.elapsed() >= QUIET);
                self.shared.busy.store(false, Ordering::Release);
                more
            };
            next = Instant::now() + if more { INDEX_PAUSE } else { SYNC_EVERY };
        }
    }

    fn sync(&mut self) {
        if self.dead {
            return;
        }
        // A journal group may count only after the file's data.
        let journalled = self.shared.journalled.load(Ordering::Acquire);
        let synced = self.log.sync(self.shared.written.load(Ordering::Acquire));
        if let Err(error) = synced.and_then(|()| self.journal.sync(journalled)) {
            // The content of the medium is unknown: the thread does nothing more to it.
            self.dead = true;
            let _ = self.db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            self.shared.fail(error);
        }
    }

    /// Moves the write-ahead log into the file. Writers wait only if the log has grown too long.
    fn checkpoint(&mut self, written: u64) {
        // On a small disk the write-ahead log must leave space for the history.
        let room = statvfs(&self.log.path).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        if written - self.checkpointed < CHECKPOINT_BYTES.min(room / 8) {
            return;
        }
        self.checkpointed = written;
        let bytes_max = WAL_BYTES_MAX.min(room / 4);
        let checkpoint = |mode: &str| {
            let sql = format!("PRAGMA wal_checkpoint({mode})");
            self.db.query_row(&sql, [], |row| row.get::<_, i64>(1))
        };
        let page: u64 = self.db.pragma_query_value(None, "page_size", |row| row.get(0)).map_or(0, i64::unsigned_abs);
        let done = checkpoint("PASSIVE").and_then(|pages| match pages.unsigned_abs() * page > bytes_max {
            true => checkpoint("RESTART"),
            false => Ok(pages),
        });
        match done.map_err(Error::from) {
            Ok(_) => {}
            // The disk is full, or a reader is in the way: the data is safe in the log.
            Err(Error::Unwritable(_)) => {}
            Err(error) => self.shared.fail(error),
        }
    }

    /// Indexes some entries if it is time. Returns whether there are more.
    fn index(&mut self, quiet: bool) -> bool {
        let Some(no) = self.shared.room.load(Ordering::Relaxed).checked_sub(1) else { return false };
        let tail = self.shared.tail.load(Ordering::Relaxed);
        let behind = if quiet { 0 } else { UNINDEXED_MAX };
        loop {
            match index_some(&mut self.db, no.cast_signed(), tail, behind, INDEX_ENTRIES) {
                Ok(0) => return false,
                Ok(_) if !quiet => return true,
                Ok(_) => {}
                // The log is written all the same, and a search reads entries without the index.
                Err(Error::Unwritable(_)) => return false,
                Err(error) => {
                    self.shared.fail(error);
                    return false;
                }
            }
            let spoken = self.shared.written.load(Ordering::Acquire) != self.log.up_to
                || self.shared.journalled.load(Ordering::Acquire) != self.journal.up_to;
            let wanted = self.shared.wanted.load(Ordering::Acquire);
            if spoken || wanted || self.shared.stop.load(Ordering::Acquire) {
                return true;
            }
        }
    }
}
