//! A history on disk: the file, the journal before it, and the thread that looks after both.

#[cfg(test)]
mod crashes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::files::Lock;
use super::journal::{self, Journal, Mark};
use super::keeper::{COMMIT_BYTES, Keeper};
use super::sqlite::{Error, Sqlite};
use super::{Done, LogMark, MemoryStore};
use crate::ring::{Cut, Index, Line, Name, Record};

/// Bytes of a group, as [`Entry::weight`](crate::ring::Entry::weight) counts them, that goes through the journal; a longer
/// one is worth a transaction of its own.
const GROUP_BYTES_MAX: usize = 16 * 1024;
/// Bytes, counted likewise, that only the journal holds at most: what goes to the file at once holds the node up for less
/// than a millisecond.
const HELD_BYTES_MAX: usize = 32 * 1024;
/// The same while the keeper is at work on the file: nobody waits for it, and the write-ahead log can begin anew.
const HELD_BUSY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long something may stand in the journal only, about.
const HELD_FOR: Duration = Duration::from_millis(250);
/// Bytes of the journal after which it begins anew.
const JOURNAL_BYTES: u64 = 4 * 1024 * 1024;

/// One node's file in use. What it does is done or not done as a whole.
#[derive(Debug)]
pub struct Disk {
    /// Ends before the file is closed.
    keeper: Keeper,
    file: Sqlite,
    journal: Journal,
    /// What the journal holds and the file does not.
    held: Vec<Record>,
    held_bytes: usize,
    /// When the first of it came.
    since: Instant,
    turn: Turn,
    /// The medium has failed.
    pub hopeless: bool,
    /// Let go last: closing this file in between would take SQLite's own locks along.
    _lock: Lock,
}

/// How a journal that is long enough begins anew, without waiting for the medium: what it holds goes to the file; once that
/// is synced the journal goes on at its beginning, up to where the file was synced; once that change is synced, beyond.
#[derive(Debug)]
enum Turn {
    /// It is not long enough.
    None,
    /// The file holds everything before this place. Set: it is synced.
    Syncing(u64, Arc<AtomicBool>),
    /// It has begun anew. Set: that is synced.
    Begun(Arc<AtomicBool>),
}

/// Bytes that records count for.
pub fn weight(records: &[Record]) -> usize {
    let one = |record: &Record| match record {
        Record::Append(entries) => entries.iter().map(|entry| entry.weight()).sum(),
        Record::Queue(lines) => lines.iter().map(|line| line.weight()).sum(),
        Record::Room(_) | Record::Promise(_) | Record::Met(_) | Record::Forget(_) | Record::Shown(_) => Line::OVERHEAD,
    };
    records.iter().map(one).sum()
}

impl Disk {
    /// A file that has entered its room.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn start(file: Sqlite, lock: Lock) -> Result<Self, Error> {
        let path = journal::file_of(file.path());
        let keeper = Keeper::start(file.path(), &path)?;
        let journal = Journal::at(path, Mark::default());
        let since = Instant::now();
        let mut disk = Self {
            keeper,
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
        // What an earlier run has left there is in the file, and synced there before it is written over.
        disk.sync()?;
        disk.change(Mark::anew(0)?, |file| file.write(&[]))?;
        Ok(disk)
    }

    /// The file. It holds everything after [`settle`](Self::settle), as long as nothing is written.
    pub fn file(&self) -> &Sqlite {
        &self.file
    }

    /// Writes a group, so that the end of the process cannot take it.
    ///
    /// # Errors
    /// See [`Error`]; the group is not written.
    pub fn write(&mut self, group: &[Record]) -> Result<(), Error> {
        let bytes = weight(group);
        let lines = |record: &Record| matches!(record, Record::Append(_) | Record::Queue(_));
        let can = self.file.room_no().is_some() && group.iter().all(lines);
        let held = self.held_bytes + bytes;
        let should = match self.keeper.is_busy() {
            true => held <= HELD_BUSY_BYTES_MAX,
            false => held <= HELD_BYTES_MAX && bytes <= GROUP_BYTES_MAX,
        };
        // Where the journal takes it no more, the file may.
        if can && should && self.journal.append(group).is_ok() {
            if self.held.is_empty() {
                self.since = Instant::now();
            }
            self.held.extend_from_slice(group);
            self.held_bytes += bytes;
            self.keeper.journalled();
            return Ok(());
        }
        self.fold(group)
    }

    /// Writes what is only in the journal to the file, and a group that is in neither.
    fn fold(&mut self, group: &[Record]) -> Result<(), Error> {
        if self.held.is_empty() && group.is_empty() {
            return Ok(());
        }
        let _way = self.keeper.give_way();
        let mark = match group {
            [] => self.journal.end(),
            _ => Mark::anew(self.journal.end().at)?,
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
            // What is in the write-ahead log twice takes room that it need not.
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

    /// The keeper hears what was written to the file.
    fn told(&self, bytes: usize) {
        self.keeper.wrote(bytes as u64 + COMMIT_BYTES, self.file.room_no(), self.file.tail().0);
    }

    /// Takes the next step of letting the journal begin anew, if it can be taken.
    fn turn(&mut self) -> Result<(), Error> {
        match &self.turn {
            Turn::None => {
                self.fold(&[])?;
                self.turn = Turn::Syncing(self.journal.end().at, self.synced());
            }
            Turn::Syncing(at, synced) if synced.load(Ordering::Acquire) => {
                let limit = *at;
                self.fold(&[])?;
                self.change(Mark::anew(0)?, |file| file.write(&[]))?;
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

    /// Set once everything written so far is on the medium.
    fn synced(&self) -> Arc<AtomicBool> {
        let synced = Arc::new(AtomicBool::new(false));
        let done = Arc::clone(&synced);
        self.keeper.persist(Box::new(move |_| done.store(true, Ordering::Release)));
        synced
    }

    /// Changes the file past the journal: what is journalled from now on counts only where that is done.
    fn change<T>(&mut self, mark: Mark, work: impl FnOnce(&mut Sqlite) -> Result<T, Error>) -> Result<T, Error> {
        debug_assert!(self.held.is_empty(), "what was journalled before is in the file");
        let _way = self.keeper.give_way();
        self.file.note(mark);
        let done = work(&mut self.file)?;
        self.journal.go_on(mark);
        self.told(0);
        Ok(done)
    }

    /// Puts everything written so far on the medium.
    ///
    /// # Errors
    /// [`Error::Unsynced`].
    pub fn sync(&self) -> Result<(), Error> {
        self.keeper.sync_now()
    }

    /// Calls `done` when everything written so far is on the medium, or when that has failed.
    pub fn persist(&self, done: Done) {
        self.keeper.persist(done);
    }

    /// Takes everything to the file: what is read there then is all there is.
    ///
    /// # Errors
    /// See [`Error`]; the journal holds what it held.
    pub fn settle(&mut self) -> Result<(), Error> {
        self.fold(&[])
    }

    /// Cuts the log. It is not synced.
    ///
    /// # Errors
    /// See [`Error`]; nothing was cut.
    pub fn cut(&mut self, keep: Index) -> Result<Cut, Error> {
        self.fold(&[])?;
        self.change(Mark::anew(self.journal.end().at)?, |file| file.cut(keep))
    }

    /// Makes a store in memory that goes on where this one ends; from then on nothing is written here until
    /// [`adopt`](Self::adopt).
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

    /// Becomes what a store in memory holds that began as this one's [`overlay`](Self::overlay).
    ///
    /// # Errors
    /// See [`Error`]; nothing has changed.
    pub fn adopt(&mut self, memory: &MemoryStore) -> Result<(), Error> {
        let bytes = memory.weight();
        self.change(Mark::anew(self.journal.end().at)?, |file| file.adopt(memory))?;
        self.told(bytes);
        Ok(())
    }

    /// From now on nothing that was written is trusted to the file.
    pub fn give_up(&mut self) {
        self.hopeless = true;
        self.file.give_up();
    }

    /// Notes how far the log that people read is written. May be forgotten.
    pub fn logged(&mut self, mark: LogMark) {
        if self.fold(&[]).is_err() {
            return;
        }
        let _way = self.keeper.give_way();
        if self.file.set_log_mark(mark) == Ok(true) {
            self.told(0);
        }
    }

    /// Notes the name that the owner has taken. May be forgotten.
    pub fn renamed(&mut self, name: &Name) {
        if self.fold(&[]).is_err() {
            return;
        }
        let _way = self.keeper.give_way();
        if self.file.set_fact("name", name.as_str()).is_ok() {
            self.told(0);
        }
    }

    /// What has gone wrong behind the node's back, once.
    pub fn failed(&self) -> Option<Error> {
        self.keeper.failed()
    }

    /// Takes to the file what has been in the journal for long enough.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn tend(&mut self) -> Result<(), Error> {
        // Who waits for the keeper holds the room up; the journal waits as well.
        if !self.held.is_empty() && self.since.elapsed() >= HELD_FOR && !self.keeper.is_busy() {
            self.fold(&[])?;
        }
        match self.journal.end().at > JOURNAL_BYTES || !matches!(self.turn, Turn::None) {
            true => self.turn(),
            false => Ok(()),
        }
    }

    /// The run ends: the file holds everything, and there is no journal any more.
    ///
    /// # Errors
    /// See [`Error`]. What the file does not take stays in the journal.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.fold(&[])?;
        // Empties the write-ahead log too, and syncs both.
        self.file.shrink()?;
        self.journal.remove();
        Ok(())
    }
}

/// The same in as few records as it takes: lines wait before they stand.
fn merged(held: &[Record]) -> impl Iterator<Item = Record> {
    let (mut lines, mut entries) = (Vec::new(), Vec::new());
    for record in held {
        match record {
            Record::Queue(more) => lines.extend_from_slice(more),
            Record::Append(more) => entries.extend_from_slice(more),
            Record::Room(_) | Record::Promise(_) | Record::Met(_) | Record::Forget(_) | Record::Shown(_) => {}
        }
    }
    let queue = (!lines.is_empty()).then_some(Record::Queue(lines));
    let append = (!entries.is_empty()).then_some(Record::Append(entries));
    queue.into_iter().chain(append)
}
