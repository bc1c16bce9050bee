//! A history on disk: the database file, the journal before it, and the maintenance thread of both.

#[cfg(test)]
mod crashes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::api::{Done, LogMark};
use super::error::Error;
use super::journal::{self, Journal, JournalMark};
use super::lock::Lock;
use super::maintenance::{COMMIT_BYTES, Maintenance};
use super::memory::MemoryStore;
use super::sqlite::Sqlite;
use crate::ring::{Cut, Index, Line, Name, Record};

/// The largest group that goes through the journal, in bytes as [`Entry::weight`](crate::ring::Entry::weight) counts
/// them. A larger group gets a transaction of its own.
const GROUP_BYTES_MAX: usize = 16 * 1024;
/// The most bytes, counted likewise, that only the journal holds. Moving so many into the file delays the node by less
/// than a millisecond.
const HELD_BYTES_MAX: usize = 32 * 1024;
/// The same limit while the maintenance thread works on the file. The node then does not wait for the thread, and the
/// write-ahead log can begin anew.
const HELD_BUSY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long records stay in the journal alone, about.
const HELD_FOR: Duration = Duration::from_millis(250);
/// Length of the journal, in bytes, after which it begins anew.
const JOURNAL_BYTES: u64 = 4 * 1024 * 1024;

/// One node's open file. Each operation succeeds as a whole or changes nothing.
#[derive(Debug)]
pub struct Disk {
    /// Must end before the file is closed.
    maintenance: Maintenance,
    file: Sqlite,
    journal: Journal,
    /// Records that the journal holds and the file does not.
    held: Vec<Record>,
    held_bytes: usize,
    /// When the first of these records came.
    since: Instant,
    turn: Turn,
    /// The medium has failed.
    pub hopeless: bool,
    /// Dropped last: closing this file earlier would release SQLite's own locks too.
    _lock: Lock,
}

/// The steps by which a long journal begins anew without waiting for the medium. First the journal's records go to the
/// file. Once the file is synced, the journal continues at its beginning, but only up to the place at which the file
/// was synced. Once that change is synced too, it may continue beyond that place.
#[derive(Debug)]
enum Turn {
    /// The journal is not long enough.
    None,
    /// The file holds everything before this place. The flag is set once the file is synced.
    Syncing(u64, Arc<AtomicBool>),
    /// The journal has begun anew. The flag is set once that is synced.
    Begun(Arc<AtomicBool>),
}

/// The weight of records, in bytes.
pub fn weight(records: &[Record]) -> usize {
    let one = |record: &Record| match record {
        Record::Append(entries) => entries.iter().map(|entry| entry.weight()).sum(),
        Record::Queue(lines) => lines.iter().map(|line| line.weight()).sum(),
        Record::Room(_) | Record::Promise(_) | Record::LearnPeer(_) | Record::ForgetPeer(_) | Record::Shown(_) => {
            Line::OVERHEAD
        }
    };
    records.iter().map(one).sum()
}

impl Disk {
    /// Takes a file that has entered its room.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn start(file: Sqlite, lock: Lock) -> Result<Self, Error> {
        let path = journal::file_of(file.path());
        let maintenance = Maintenance::start(file.path(), &path)?;
        let journal = Journal::at(path, JournalMark::default());
        let since = Instant::now();
        let mut disk = Self {
            maintenance,
            file,
            journal,
            held: Vec::new(),
            held_bytes: 0,
            since,
            turn: Turn::None,
            hopeless: false,
            _lock: lock,
        };
        disk.told(0);
        // The file holds the records of an earlier run's journal. It is synced here before the journal is overwritten.
        disk.sync()?;
        disk.change(JournalMark::anew(0)?, |file| file.write(&[]))?;
        Ok(disk)
    }

    /// The file. After [`settle`](Self::settle) it holds everything, until the next write.
    pub fn file(&self) -> &Sqlite {
        &self.file
    }

    /// Writes a group. The end of the process cannot lose it afterwards.
    ///
    /// # Errors
    /// See [`Error`]; nothing of the group is written.
    pub fn write(&mut self, group: &[Record]) -> Result<(), Error> {
        let bytes = weight(group);
        let lines = |record: &Record| matches!(record, Record::Append(_) | Record::Queue(_));
        let can = self.file.room_no().is_some() && group.iter().all(lines);
        let held = self.held_bytes + bytes;
        let should = match self.maintenance.is_busy() {
            true => held <= HELD_BUSY_BYTES_MAX,
            false => held <= HELD_BYTES_MAX && bytes <= GROUP_BYTES_MAX,
        };
        // If the journal fails, the file may still take the group.
        if can && should && self.journal.append(group).is_ok() {
            if self.held.is_empty() {
                self.since = Instant::now();
            }
            self.held.extend_from_slice(group);
            self.held_bytes += bytes;
            self.maintenance.journalled();
            return Ok(());
        }
        self.fold(group)
    }

    /// Writes to the file: first the records that only the journal holds, then `group`, which neither holds.
    fn fold(&mut self, group: &[Record]) -> Result<(), Error> {
        if self.held.is_empty() && group.is_empty() {
            return Ok(());
        }
        let _way = self.maintenance.give_way();
        let mark = match group {
            [] => self.journal.end(),
            _ => JournalMark::anew(self.journal.end().at)?,
        };
        let both: Vec<Record>;
        let records = match self.held.is_empty() {
            true => group,
            false => {
                both = merged(&self.held).chain(group.iter().cloned()).collect();
                &both
            }
        };
        self.file.note(mark);
        match self.file.write(records) {
            // The write-ahead log may hold pages twice; shrinking it frees space.
            Err(Error::Unwritable(_)) if self.file.shrink().is_ok() => {
                self.file.note(mark);
                self.file.write(records)?;
            }
            done => done?,
        }
        self.journal.go_on(mark);
        let bytes = self.held_bytes + weight(group);
        self.held.clear();
        self.held_bytes = 0;
        self.told(bytes);
        Ok(())
    }

    /// Reports to the maintenance thread how many bytes went to the file.
    fn told(&self, bytes: usize) {
        self.maintenance.wrote(bytes as u64 + COMMIT_BYTES, self.file.room_no(), self.file.tail().0);
    }

    /// Takes the next step towards a journal that begins anew, if that step is possible now.
    fn turn(&mut self) -> Result<(), Error> {
        match &self.turn {
            Turn::None => {
                self.fold(&[])?;
                self.turn = Turn::Syncing(self.journal.end().at, self.synced());
            }
            Turn::Syncing(at, synced) if synced.load(Ordering::Acquire) => {
                let limit = *at;
                self.fold(&[])?;
                self.change(JournalMark::anew(0)?, |file| file.write(&[]))?;
                self.journal.limit = limit;
                self.turn = Turn::Begun(self.synced());
            }
            Turn::Begun(synced) if synced.load(Ordering::Acquire) => {
                self.journal.limit = u64::MAX;
                self.turn = Turn::None;
            }
            Turn::Syncing(..) | Turn::Begun(_) => {}
        }
        Ok(())
    }

    /// A flag that is set once everything written so far is on the medium.
    fn synced(&self) -> Arc<AtomicBool> {
        let synced = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&synced);
        self.maintenance.persist(Box::new(move |_| done.store(true, Ordering::Release)));
        synced
    }

    /// Changes the file without the journal. Later journal groups count only if this change has reached the medium.
    fn change<T>(&mut self, mark: JournalMark, work: impl FnOnce(&mut Sqlite) -> Result<T, Error>) -> Result<T, Error> {
        debug_assert!(self.held.is_empty(), "what was journalled before is in the file");
        let _way = self.maintenance.give_way();
        self.file.note(mark);
        let done = work(&mut self.file)?;
        self.journal.go_on(mark);
        self.told(0);
        Ok(done)
    }

    /// Syncs everything written so far to the medium.
    ///
    /// # Errors
    /// [`Error::Unsynced`].
    pub fn sync(&self) -> Result<(), Error> {
        self.maintenance.sync_now()
    }

    /// Calls `done` once everything written so far is on the medium, or once that has failed.
    pub fn persist(&self, done: Done) {
        self.maintenance.persist(done);
    }

    /// Moves all records of the journal into the file, so that a reader of the file sees everything.
    ///
    /// # Errors
    /// See [`Error`]; the journal keeps its records.
    pub fn settle(&mut self) -> Result<(), Error> {
        self.fold(&[])
    }

    /// Cuts the log after `keep`. Does not sync.
    ///
    /// # Errors
    /// See [`Error`]; the log is not cut.
    pub fn cut(&mut self, keep: Index) -> Result<Cut, Error> {
        self.fold(&[])?;
        self.change(JournalMark::anew(self.journal.end().at)?, |file| file.cut(keep))
    }

    /// Makes a store in memory that continues where this one ends. Until [`adopt`](Self::adopt) nothing more is written
    /// here.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn overlay(&mut self) -> Result<MemoryStore, Error> {
        let mut overlay = self.file.overlay()?;
        for record in self.held.drain(..) {
            overlay.keep(&record);
        }
        self.held_bytes = 0;
        Ok(overlay)
    }

    /// Takes over the content of a store in memory that began as this one's [`overlay`](Self::overlay).
    ///
    /// # Errors
    /// See [`Error`]; the file is unchanged.
    pub fn adopt(&mut self, memory: &MemoryStore) -> Result<(), Error> {
        let bytes = memory.weight();
        self.change(JournalMark::anew(self.journal.end().at)?, |file| file.adopt(memory))?;
        self.told(bytes);
        Ok(())
    }

    /// Marks the medium as failed: from now on the store trusts nothing that it wrote to the file.
    pub fn give_up(&mut self) {
        self.hopeless = true;
        self.file.give_up();
    }

    /// Stores how far the chat log is written. A crash may lose this.
    pub fn logged(&mut self, mark: LogMark) {
        if self.fold(&[]).is_err() {
            return;
        }
        let _way = self.maintenance.give_way();
        if self.file.set_log_mark(mark) == Ok(true) {
            self.told(0);
        }
    }

    /// Stores the owner's new name. A crash may lose this.
    pub fn renamed(&mut self, name: &Name) {
        if self.fold(&[]).is_err() {
            return;
        }
        let _way = self.maintenance.give_way();
        if self.file.set_fact("name", name.as_str()).is_ok() {
            self.told(0);
        }
    }

    /// An error of the maintenance thread; each is returned once.
    pub fn failed(&self) -> Option<Error> {
        self.maintenance.failed()
    }

    /// Moves records into the file that have been in the journal for [`HELD_FOR`].
    ///
    /// # Errors
    /// See [`Error`].
    pub fn tend(&mut self) -> Result<(), Error> {
        // If the maintenance thread is busy, waiting for it would delay the room; the journal can wait instead.
        if !self.held.is_empty() && self.since.elapsed() >= HELD_FOR && !self.maintenance.is_busy() {
            self.fold(&[])?;
        }
        match self.journal.end().at > JOURNAL_BYTES || !matches!(self.turn, Turn::None) {
            true => self.turn(),
            false => Ok(()),
        }
    }

    /// Ends the run: moves everything into the file and removes the journal.
    ///
    /// # Errors
    /// See [`Error`]. Records that the file does not take stay in the journal.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.fold(&[])?;
        // Also empties the write-ahead log, and syncs both.
        self.file.shrink()?;
        self.journal.remove();
        Ok(())
    }
}

/// The same records merged into as few as possible. Queued lines come before the entries that contain them.
fn merged(held: &[Record]) -> impl Iterator<Item = Record> {
    let (mut lines, mut entries) = (Vec::new(), Vec::new());
    for record in held {
        match record {
            Record::Queue(more) => lines.extend_from_slice(more),
            Record::Append(more) => entries.extend_from_slice(more),
            Record::Room(_) | Record::Promise(_) | Record::LearnPeer(_) | Record::ForgetPeer(_) | Record::Shown(_) => {}
        }
    }
    let queue = (!lines.is_empty()).then_some(Record::Queue(lines));
    let append = (!entries.is_empty()).then_some(Record::Append(entries));
    queue.into_iter().chain(append)
}
