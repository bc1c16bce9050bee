//! The store of a running node: the file, and a fallback while the file takes no more.
//!
//! A full or failed disk must not remove a node from its room. Records that cannot be written stay in memory, up to
//! [`OVERLAY_BYTES_MAX`], on top of the file's content, and the user is told once. The store tries a full disk again;
//! when the disk takes everything, the user is told that too. The store does not try a medium again that has failed to
//! sync, because its content is unknown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::api::{Done, LogMark, Store, StoreHealth};
use super::disk::{Disk, weight};
use super::error::Error;
use super::lock::Lock;
use super::memory::MemoryStore;
use super::sqlite::Sqlite;
use crate::ring::{Cut, Entry, Index, Name, ReadReply, ReadRequest, Record, SavedState};

/// The most bytes, as [`Entry::weight`] counts them, that stay in memory while the file takes no more. Beyond it the
/// node ends.
pub const OVERLAY_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Time between two attempts to write to the file again.
const AGAIN: Duration = Duration::from_secs(1);

/// A node's history: on disk, or in memory alone.
#[derive(Debug)]
pub struct History {
    disk: Option<Disk>,
    /// Without a disk: the whole history. With a disk: the records that the disk has not taken.
    memory: Option<MemoryStore>,
    /// Bytes in memory; an upper bound.
    held: usize,
    /// Records for the next commit.
    group: Vec<Record>,
    news: Vec<StoreHealth>,
    again: Instant,
}

impl History {
    /// A history that ends with the process.
    pub fn ephemeral() -> Self {
        Self {
            disk: None,
            memory: Some(MemoryStore::new()),
            held: 0,
            group: Vec::new(),
            news: Vec::new(),
            again: Instant::now(),
        }
    }

    /// A history in a file that has entered its room.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn kept(file: Sqlite, lock: Lock) -> Result<Self, Error> {
        Ok(Self { disk: Some(Disk::start(file, lock)?), memory: None, ..Self::ephemeral() })
    }

    /// Calls `take` with every entry after an index. Use it before anything is written. A store in memory has no such
    /// entries.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn after(&self, index: Index, take: impl FnMut(Arc<Entry>)) -> Result<(), Error> {
        self.disk.as_ref().map_or(Ok(()), |disk| disk.file().after(index, take))
    }

    /// Commits the group.
    fn write(&mut self) -> Result<(), Error> {
        if self.group.is_empty() {
            return Ok(());
        }
        let group = std::mem::take(&mut self.group);
        if self.memory.is_none()
            && let Some(disk) = &mut self.disk
        {
            match disk.write(&group) {
                Ok(()) => {
                    self.group = group;
                    self.group.clear();
                    return Ok(());
                }
                Err(error) => self.fall_back(error)?,
            }
        }
        for record in &group {
            self.remember(record)?;
        }
        Ok(())
    }

    /// Switches to memory: later records stay there.
    fn fall_back(&mut self, error: Error) -> Result<(), Error> {
        let Some(disk) = &mut self.disk else { return Ok(()) };
        let again = match &error {
            Error::Unwritable(_) => true,
            Error::Unsynced(_) => false,
            Error::Damaged(_) | Error::Newer(_) | Error::Older(_) | Error::Unsigned => return Err(error),
        };
        if !again {
            disk.give_up();
        }
        if self.memory.is_none() {
            let overlay = disk.overlay()?;
            self.held = overlay.weight();
            self.memory = Some(overlay);
            self.again = Instant::now() + AGAIN;
            self.news.push(StoreHealth::Failing { why: error.to_string(), again });
        } else if !again {
            self.news.push(StoreHealth::Failing { why: error.to_string(), again });
        }
        Ok(())
    }

    fn remember(&mut self, record: &Record) -> Result<(), Error> {
        let Some(memory) = &mut self.memory else { return Ok(()) };
        memory.keep(record);
        if self.disk.is_none() {
            return Ok(());
        }
        self.held += weight(std::slice::from_ref(record));
        self.check_held()
    }

    fn check_held(&mut self) -> Result<(), Error> {
        if self.held <= OVERLAY_BYTES_MAX {
            return Ok(());
        }
        self.held = self.memory.as_ref().map_or(0, MemoryStore::weight);
        match self.held > OVERLAY_BYTES_MAX {
            true => {
                let mib = OVERLAY_BYTES_MAX / (1024 * 1024);
                Err(Error::Unwritable(format!("more than {mib} MiB wait in memory for the disk")))
            }
            false => Ok(()),
        }
    }

    /// Writes the records in memory to the file.
    fn recover(&mut self) -> Result<(), Error> {
        let (Some(disk), Some(memory)) = (&mut self.disk, &self.memory) else { return Ok(()) };
        match disk.adopt(memory) {
            Ok(()) => {
                self.memory = None;
                self.held = 0;
                self.news.push(StoreHealth::Well);
                Ok(())
            }
            Err(error) => self.fall_back(error),
        }
    }

    /// An index below the start of the overlay: loads more of the file into memory.
    fn reach_back(&mut self, keep: Index) -> Result<(), Error> {
        let (Some(disk), Some(memory)) = (&mut self.disk, &mut self.memory) else { return Ok(()) };
        if keep < memory.base.tail.index {
            let (base, mut entries) = disk.file().split_at(keep)?;
            let before = usize::try_from(memory.base.tail.index.0 - keep.0).unwrap_or(usize::MAX);
            entries.truncate(before);
            memory.put_before(base, entries);
            self.held = memory.weight();
            return self.check_held();
        }
        Ok(())
    }
}

impl Store for History {
    type Error = Error;

    fn saved(&self) -> Result<SavedState, Error> {
        match (&self.memory, &self.disk) {
            (Some(memory), _) => {
                let Ok(saved) = memory.saved();
                Ok(saved)
            }
            (None, Some(disk)) => disk.file().saved(),
            (None, None) => Ok(SavedState::default()),
        }
    }

    fn save(&mut self, record: &Record) -> Result<(), Error> {
        match (&mut self.memory, &self.disk) {
            (Some(memory), None) => {
                let Ok(()) = memory.save(record);
            }
            _ => self.group.push(record.clone()),
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.write()
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.write()?;
        if let (Some(disk), None) = (&self.disk, &self.memory)
            && let Err(error) = disk.sync()
        {
            return self.fall_back(error);
        }
        Ok(())
    }

    fn persist(&mut self, done: Done) -> Result<(), Error> {
        self.write()?;
        match (&self.disk, &self.memory) {
            (Some(disk), None) => disk.persist(done),
            // While the disk takes no more, the records are in memory and on no medium.
            (Some(_), Some(_)) => done(false),
            // Without a disk there is no medium to wait for.
            (None, _) => done(true),
        }
        Ok(())
    }

    fn read(&mut self, wanted: &ReadRequest) -> Result<ReadReply, Error> {
        self.write()?;
        if self.memory.is_none()
            && let Some(Err(error)) = self.disk.as_mut().map(Disk::settle)
        {
            self.fall_back(error)?;
        }
        let in_memory = |memory: &mut MemoryStore| {
            let Ok(found) = memory.read(wanted);
            found
        };
        match (&mut self.memory, &self.disk) {
            (Some(memory), None) => Ok(in_memory(memory)),
            (Some(memory), Some(disk)) => match *wanted {
                ReadRequest::Log { from, .. } if from > memory.base.tail.index => Ok(in_memory(memory)),
                ReadRequest::Log { from, bytes_max } => {
                    // The overlay may have cut entries that the file still holds.
                    let found = disk.file().read(&ReadRequest::Log { from, bytes_max })?;
                    let ReadReply::Log(mut entries) = found else { return Ok(found) };
                    entries.retain(|entry| entry.index <= memory.base.tail.index);
                    Ok(ReadReply::Log(entries))
                }
                ReadRequest::Newest { to, lines, bytes_max } => {
                    let ReadReply::Log(newest) = in_memory(memory) else { return Ok(ReadReply::Log(Vec::new())) };
                    if newest.len() >= lines {
                        return Ok(ReadReply::Log(newest));
                    }
                    let to = to.min(memory.base.tail.index);
                    let older =
                        disk.file().read(&ReadRequest::Newest { to, lines: lines - newest.len(), bytes_max })?;
                    let ReadReply::Log(mut all) = older else { return Ok(older) };
                    all.extend(newest);
                    Ok(ReadReply::Log(all))
                }
                ReadRequest::Pending { .. } => Ok(in_memory(memory)),
            },
            (None, Some(disk)) => disk.file().read(wanted),
            (None, None) => Ok(ReadReply::Log(Vec::new())),
        }
    }

    fn cut(&mut self, keep: Index) -> Result<Cut, Error> {
        self.write()?;
        if self.memory.is_none()
            && let Some(disk) = &mut self.disk
        {
            match disk.cut(keep) {
                Ok(cut) => match disk.sync() {
                    Ok(()) => return Ok(cut),
                    Err(error) => {
                        self.fall_back(error)?;
                        return Ok(cut);
                    }
                },
                Err(error) => self.fall_back(error)?,
            }
        }
        self.reach_back(keep)?;
        let Some(memory) = &mut self.memory else { return Err(Error::Damaged("there is no store".to_owned())) };
        let Ok(cut) = memory.cut(keep);
        Ok(cut)
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.write()?;
        if self.memory.is_some() && self.disk.as_ref().is_some_and(|disk| !disk.hopeless) {
            self.recover()?;
        }
        if self.memory.is_none()
            && let Some(disk) = &mut self.disk
        {
            return match disk.finish() {
                // Records that the file does not take stay in the journal.
                Ok(()) | Err(Error::Unwritable(_)) => Ok(()),
                Err(error) => Err(error),
            };
        }
        let (Some(memory), Some(_)) = (&self.memory, &self.disk) else { return Ok(()) };
        match memory.log.iter().filter(|entry| entry.line().is_some()).count() {
            0 => Ok(()),
            lines => Err(Error::Unwritable(format!("{lines} lines of the history could not be written here"))),
        }
    }

    fn logged(&mut self, mark: LogMark) {
        if let (Some(disk), None) = (&mut self.disk, &self.memory) {
            disk.logged(mark);
        }
    }

    fn renamed(&mut self, name: &Name) {
        if let (Some(disk), None) = (&mut self.disk, &self.memory) {
            disk.renamed(name);
        }
    }

    fn tend(&mut self) -> Result<Vec<StoreHealth>, Error> {
        if let Some(error) = self.disk.as_ref().and_then(Disk::failed) {
            self.fall_back(error)?;
        }
        if self.memory.is_none()
            && let Some(Err(error)) = self.disk.as_mut().map(Disk::tend)
        {
            self.fall_back(error)?;
        }
        let hopeful = self.disk.as_ref().is_some_and(|disk| !disk.hopeless);
        if self.memory.is_some() && hopeful && self.again <= Instant::now() {
            self.again = Instant::now() + AGAIN;
            self.recover()?;
        }
        Ok(std::mem::take(&mut self.news))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use crate::identity::Identity;
    use crate::ring::{Epoch, Lamport, Line, Nonce, Note, RoomId, SessionId, WallMs};
    use crate::store::{OpenRequest, open};

    fn opened(dir: &tempfile::TempDir, room: Option<RoomId>, session: u64) -> History {
        let uid = "10.0.0.5:2428".parse().unwrap();
        let ask = OpenRequest {
            room,
            session: SessionId(session),
            identity: Identity::of_seed([1; 32]),
            name: "ann".into(),
            uid,
            key: None,
        };
        open(&dir.path().join("chat_1.db"), &ask).unwrap().history
    }

    fn notes(from: u64, to: u64) -> Record {
        let uid = "10.0.0.6:2428".parse().unwrap();
        let epoch = Epoch { round: 1, leader: uid, nonce: Nonce(1) };
        let note = |n| {
            let body = crate::ring::Body::Note(Note::Left { uid, lost: true });
            Arc::new(Entry { epoch, index: Index(n), lamport: Lamport(n), wall: WallMs(n), body })
        };
        Record::Append((from..=to).map(note).collect())
    }

    fn indexes(history: &mut History) -> Vec<u64> {
        let mut all = Vec::new();
        loop {
            let from = Index(all.len() as u64 + 1);
            let ReadReply::Log(entries) = history.read(&ReadRequest::Log { from, bytes_max: 1000 }).unwrap() else {
                panic!()
            };
            if entries.is_empty() {
                return all;
            }
            all.extend(entries.iter().map(|entry| entry.index.0));
        }
    }

    #[test]
    fn a_full_disk_is_told_once_and_what_it_missed_is_written_later() {
        let dir = tempfile::tempdir().unwrap();
        let mut history = opened(&dir, None, 1);
        history.save(&Record::Room(RoomId(7))).unwrap();
        history.save(&notes(1, 10)).unwrap();
        history.commit().unwrap();
        history.fall_back(Error::Unwritable("no space".into())).unwrap();
        history.fall_back(Error::Unwritable("no space".into())).unwrap();
        assert_eq!(history.tend().unwrap(), [StoreHealth::Failing { why: "no space".into(), again: true }]);
        history.save(&notes(11, 20)).unwrap();
        assert_eq!(indexes(&mut history), (1..=20).collect::<Vec<_>>());
        assert_eq!(history.cut(Index(5)).unwrap().log_state.tail.index, Index(5));
        history.save(&notes(6, 30)).unwrap();
        assert_eq!(indexes(&mut history), (1..=30).collect::<Vec<_>>());
        history.again = Instant::now();
        assert_eq!(history.tend().unwrap(), [StoreHealth::Well]);
        assert!(history.memory.is_none());
        assert_eq!(history.finish(), Ok(()));
        drop(history);
        assert_eq!(indexes(&mut opened(&dir, Some(RoomId(7)), 2)), (1..=30).collect::<Vec<_>>());
    }

    #[test]
    fn a_file_that_takes_no_more_when_it_is_to_be_read_ends_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut history = opened(&dir, None, 1);
        history.save(&Record::Room(RoomId(7))).unwrap();
        history.commit().unwrap();
        // Records that only the journal holds go to the file before a read.
        history.save(&notes(1, 10)).unwrap();
        history.commit().unwrap();
        let refuse = |history: &History, on| history.disk.as_ref().unwrap().file().refuse(on);
        refuse(&history, true);
        assert_eq!(indexes(&mut history), (1..=10).collect::<Vec<_>>());
        assert!(matches!(history.tend().unwrap()[..], [StoreHealth::Failing { again: true, .. }]));
        history.save(&notes(11, 12)).unwrap();
        assert_eq!(history.cut(Index(11)).unwrap().log_state.tail.index, Index(11));
        refuse(&history, false);
        history.again = Instant::now();
        assert_eq!(history.tend().unwrap(), [StoreHealth::Well]);
        assert_eq!(indexes(&mut history), (1..=11).collect::<Vec<_>>());
        drop(history);
        assert_eq!(indexes(&mut opened(&dir, Some(RoomId(7)), 2)), (1..=11).collect::<Vec<_>>());
    }

    #[test]
    fn a_failed_sync_is_told_and_never_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut history = opened(&dir, None, 1);
        history.save(&Record::Room(RoomId(7))).unwrap();
        history.save(&notes(1, 10)).unwrap();
        history.commit().unwrap();
        history.fall_back(Error::Unsynced("input/output error".into())).unwrap();
        assert_eq!(history.tend().unwrap(), [StoreHealth::Failing { why: "input/output error".into(), again: false }]);
        history.save(&notes(11, 20)).unwrap();
        history.sync().unwrap();
        history.again = Instant::now();
        assert_eq!(history.tend().unwrap(), []);
        assert_eq!(indexes(&mut history), (1..=20).collect::<Vec<_>>());
        drop(history);
        assert_eq!(indexes(&mut opened(&dir, Some(RoomId(7)), 2)), (1..=10).collect::<Vec<_>>());
    }

    #[test]
    fn memory_that_waits_for_the_disk_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let mut history = opened(&dir, None, 1);
        history.save(&Record::Room(RoomId(7))).unwrap();
        history.commit().unwrap();
        history.fall_back(Error::Unwritable("no space".into())).unwrap();
        history.held = OVERLAY_BYTES_MAX;
        // The store counts again before it trusts the number.
        history.save(&notes(1, 1)).unwrap();
        history.commit().unwrap();
        assert!(history.held < OVERLAY_BYTES_MAX);
        let each = Line::OVERHEAD as u64;
        let count = OVERLAY_BYTES_MAX as u64 / each + 1;
        history.save(&notes(2, count + 1)).unwrap();
        assert!(matches!(history.commit(), Err(Error::Unwritable(_))));
    }

    #[test]
    fn a_file_has_one_owner() {
        let dir = tempfile::tempdir().unwrap();
        let history = opened(&dir, None, 1);
        let uid = "10.0.0.5:2429".parse().unwrap();
        let ask = OpenRequest {
            room: None,
            session: SessionId(2),
            identity: Identity::of_seed([1; 32]),
            name: "bob".into(),
            uid,
            key: None,
        };
        let path = dir.path().join("chat_1.db");
        let held = open(&path, &ask).unwrap_err();
        let who = format!("ann(10.0.0.5:2428), process {}", std::process::id());
        assert_eq!(held, crate::store::OpenError::Held(who));
        drop(history);
        open(&path, &ask).unwrap();
    }
}
