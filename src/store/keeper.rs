//! What is done for the file behind the node's back: syncs, checkpoints, the full-text index and the table of reactions.
//!
//! A thread of its own with a connection of its own. What the node writes goes into the journal and into SQLite's
//! write-ahead log, where it is safe from the end of the process at once, and from the loss of power once it is synced:
//! within [`SYNC_EVERY`], or when the node asks. A sync flushes these files themselves, which takes no lock, so the node
//! writes on meanwhile.

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

use super::Done;
use super::reader::index_some;
use super::sqlite::{Error, PAGE_BYTES, open_again};

/// What is written is on the medium after this, at the latest.
pub const SYNC_EVERY: Duration = Duration::from_millis(500);
/// Between two syncs: who asks more often waits so long. The first who asks waits for none.
const SYNC_GAP: Duration = Duration::from_millis(50);
/// Requests that wait for the thread.
const REQUESTS_MAX: usize = 64;
/// Bytes of the write-ahead log between two checkpoints, about.
const CHECKPOINT_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes that a transaction adds to the write-ahead log beside what it holds, about: two pages that it has touched.
pub const COMMIT_BYTES: u64 = 2 * PAGE_BYTES as u64;
/// Bytes of the write-ahead log after which writers wait until it begins anew.
const WAL_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Without a new entry for so long, the room is quiet enough to index.
const QUIET: Duration = Duration::from_millis(300);
/// Entries that may wait for the index while the room is busy; a search reads those line by line.
const UNINDEXED_MAX: u64 = 250_000;
/// Entries indexed in one transaction, for which the node may have to wait.
const INDEX_ENTRIES: usize = 256;
/// Between two such transactions in a busy room.
const INDEX_PAUSE: Duration = Duration::from_millis(20);

/// What the node and the thread share.
#[derive(Debug, Default)]
struct Shared {
    /// Bytes written to the file, ever.
    written: AtomicU64,
    /// Groups journalled, ever.
    journalled: AtomicU64,
    /// The number of the room in the file, plus one; zero: none.
    room: AtomicU64,
    /// The end of the log.
    tail: AtomicU64,
    /// The thread is at work on the file itself.
    busy: AtomicBool,
    /// The node wants to write to the file, and may be waiting for it.
    wanted: AtomicBool,
    stop: AtomicBool,
    failed: Mutex<Option<Error>>,
}

impl Shared {
    fn fail(&self, error: Error) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// The thread, seen from the node. Dropping it syncs what was written, and ends it.
#[derive(Debug)]
pub struct Keeper {
    requests: Option<SyncSender<Done>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    wal: PathBuf,
    journal: PathBuf,
}

impl Keeper {
    /// Starts the thread for a file that is open already, and its journal.
    ///
    /// # Errors
    /// The file cannot be opened once more, or the system starts no more threads.
    pub fn start(path: &Path, journal: &Path) -> Result<Self, Error> {
        let wal = path.with_extension("db-wal");
        let db = open_again(path)?;
        let (requests, asked) = sync_channel(REQUESTS_MAX);
        let shared = Arc::new(Shared::default());
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

    /// So many bytes more were written to the file, and the log of this room ends there.
    pub fn wrote(&self, bytes: u64, room: Option<i64>, tail: u64) {
        self.shared.tail.store(tail, Ordering::Relaxed);
        self.shared.room.store(room.map_or(0, |no| no.unsigned_abs() + 1), Ordering::Relaxed);
        self.shared.written.fetch_add(bytes, Ordering::Release);
    }

    /// Whether who writes to the file now is in the way, or has to wait.
    pub fn is_busy(&self) -> bool {
        self.shared.busy.load(Ordering::Acquire)
    }

    /// The node wants to write to the file, until what is returned is dropped: the thread gives way.
    pub fn give_way(&self) -> GiveWay {
        self.shared.wanted.store(true, Ordering::Release);
        GiveWay(Arc::clone(&self.shared))
    }

    /// A group was written to the journal.
    pub fn journalled(&self) {
        self.shared.journalled.fetch_add(1, Ordering::Release);
    }

    /// Calls `done` when everything written so far is on the medium, or when that has failed.
    pub fn persist(&self, done: Done) {
        match self.requests.as_ref().map(|requests| requests.try_send(done)) {
            Some(Ok(())) | None => {}
            // The thread has ended, or does not come round: what is on the medium is not known.
            Some(Err(TrySendError::Full(done) | TrySendError::Disconnected(done))) => {
                self.shared.fail(Error::Unsynced("nobody syncs it".to_owned()));
                done(false);
            }
        }
    }

    /// Puts everything written so far on the medium, now.
    ///
    /// # Errors
    /// [`Error::Unsynced`].
    pub fn sync_now(&self) -> Result<(), Error> {
        // What is in the journal may count only after what is in the file.
        sync(&mut None, &self.wal)?;
        sync(&mut None, &self.journal)
    }

    /// What has gone wrong, once.
    pub fn failed(&self) -> Option<Error> {
        self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// See [`Keeper::give_way`].
#[derive(Debug)]
pub struct GiveWay(Arc<Shared>);

impl Drop for GiveWay {
    fn drop(&mut self) {
        self.0.wanted.store(false, Ordering::Release);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            // It has panicked: there is nobody to tell.
            let _ = thread.join();
        }
    }
}

/// Flushes a file. A write-ahead log that has gone went with a checkpoint, which has synced everything; a journal that is
/// not there holds nothing.
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

/// A file that is written to by somebody else.
struct Synced {
    path: PathBuf,
    file: Option<File>,
    /// How much was written, ever, when it was last synced.
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
    shared: Arc<Shared>,
    /// Bytes written to the file, ever, when it was last checkpointed.
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
                    // One sync serves all who have asked by now.
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
        // What is in the journal may count only after what is in the file.
        let journalled = self.shared.journalled.load(Ordering::Acquire);
        let synced = self.log.sync(self.shared.written.load(Ordering::Acquire));
        if let Err(error) = synced.and_then(|()| self.journal.sync(journalled)) {
            // What is on the medium is not known: nothing more is done to it.
            self.dead = true;
            let _ = self.db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            self.shared.fail(error);
        }
    }

    /// Moves what is in the write-ahead log into the file, without holding anybody up unless it has grown too long.
    fn checkpoint(&mut self, written: u64) {
        // On a small disk the write-ahead log must not take what the history needs.
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
            // A full disk, or a reader in the way: what is in the log is safe there.
            Err(Error::Unwritable(_)) => {}
            Err(error) => self.shared.fail(error),
        }
    }

    /// Indexes some entries, if it is time. Whether there are more.
    fn index(&mut self, quiet: bool) -> bool {
        let Some(no) = self.shared.room.load(Ordering::Relaxed).checked_sub(1) else { return false };
        let tail = self.shared.tail.load(Ordering::Relaxed);
        let behind = if quiet { 0 } else { UNINDEXED_MAX };
        loop {
            match index_some(&mut self.db, no.cast_signed(), tail, behind, INDEX_ENTRIES) {
                Ok(0) => return false,
                Ok(_) if !quiet => return true,
                Ok(_) => {}
                // The log is written all the same, and a search reads what is not indexed.
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
