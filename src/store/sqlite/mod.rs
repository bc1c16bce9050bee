//! The history on disk: one SQLite file.
//!
//! Entries are stored in batches, in their form on the wire, each with a checksum. One row holds the entries that were
//! appended together. Every [`LOG_STATE_EVERY`] entries the log's state is stored too, so opening or cutting a log
//! reads a bounded part of it. A group of records is one transaction of the write-ahead log. The writing connection
//! waits for the medium only in [`Sqlite::cut`]; the [`Maintenance`](super::maintenance::Maintenance) syncs.

#[cfg(test)]
pub(super) mod crashes;
pub(super) mod facts;
mod log;
mod queue;
mod schema;
mod state;
#[cfg(test)]
pub(super) mod tests;
mod values;

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

pub(super) use log::{decode, each, each_reacting, end, index_of, key};
pub use schema::SCHEMA_VERSION;
pub(super) use schema::{PAGE_BYTES, open_again, open_to_read};
use state::RunState;
use values::{damaged, unsigned, wall_ms};

use super::api::LogMark;
use super::error::Error;
use super::journal::{self, JournalMark};
use super::memory::MemoryStore;
use crate::ring::{
    AuthorId, Cut, Epoch, Index, LogState, ReadReply, ReadRequest, Record, RoomId, SavedState, SessionId, Uid,
};

/// One node's history on disk.
#[derive(Debug)]
pub struct Sqlite {
    db: Connection,
    path: PathBuf,
    state: RunState,
    /// The journal mark that the next transaction stores.
    mark: Option<JournalMark>,
}

impl Sqlite {
    /// Opens or creates a file, and converts it to today's format. Until [`enter`](Self::enter) it is in no room.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { db: schema::open(path)?, path: path.to_owned(), mark: None, state: RunState::new() })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads one of the node's own facts.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn fact(&self, key: &str) -> Result<Option<String>, Error> {
        facts::read(&self.db, key)
    }

    /// Writes one of the node's own facts.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn set_fact(&self, key: &str, value: &str) -> Result<(), Error> {
        facts::write(&self.db, key, value)
    }

    /// Sets the mark of the key that is stored with a room that is new to the file; `None`: the room has no key.
    pub fn keep_key(&mut self, mark: Option<String>) {
        self.state.mark_of_key = mark;
    }

    /// After the next transaction the file holds everything that the journal holds before `mark`.
    pub fn note(&mut self, mark: JournalMark) {
        self.mark = Some(mark);
    }

    /// Writes the groups that a crash has left in the journal to the file. They belong to the last run and its room.
    ///
    /// # Errors
    /// See [`Error`]; the file is unchanged.
    pub fn replay(&mut self, journal: &Path) -> Result<(), Error> {
        let Some(mark) = journal_mark(&self.db)? else {
            // Both were written before the file itself: the write-ahead log held the journal's mark.
            return match journal.metadata().is_ok_and(|meta| meta.len() > 0) {
                true => Err(damaged("no word of the journal that is there")),
                false => Ok(()),
            };
        };
        let (records, end) = journal::after(journal, mark)?;
        let sql = "SELECT room.no, id, author, session FROM room JOIN session ON room = room.no
                   ORDER BY entered DESC, room.no DESC, started DESC LIMIT 1";
        let last = self.db.query_row(sql, [], |row| {
            let bits = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            Ok(((row.get(0)?, RoomId(bits(1)?)), queue::author_at(row, 2)?, SessionId(bits(3)?)))
        });
        let (false, Some((room, author, session))) = (records.is_empty(), last.optional()?) else { return Ok(()) };
        (self.state.room, self.state.author, self.state.session) = (Some(room), author, session);
        self.state.reload(&self.db)?;
        let taken = log::check_all(self.state.log_state.clone(), &records).and_then(|()| {
            self.note(end);
            self.write(&records)
        });
        // The next run may be in another room.
        self.state = RunState::new();
        taken
    }

    /// Makes the file refuse or accept writes, for tests.
    #[cfg(test)]
    pub(super) fn refuse(&self, on: bool) {
        assert!(self.db.pragma_update(None, "query_only", on).is_ok(), "a connection can be made to read only");
    }

    /// The rooms in this file; the first is the room of the last run.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn rooms(&self) -> Result<Vec<RoomId>, Error> {
        let sql = "SELECT id FROM room ORDER BY entered DESC, no DESC";
        let mut statement = self.db.prepare_cached(sql)?;
        let ids = statement.query_map([], |row| row.get::<_, i64>(0))?;
        Ok(ids.map(|id| id.map(|id| RoomId(id.cast_unsigned()))).collect::<Result<_, _>>()?)
    }

    /// Begins a run in a room of this file, or in no room. The queued lines of earlier runs move behind the pending
    /// lines.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn enter(&mut self, room: Option<RoomId>, author: AuthorId, session: SessionId) -> Result<(), Error> {
        (self.state.author, self.state.session) = (author, session);
        if let Some(id) = room {
            let sql = "SELECT no FROM room WHERE id = ?1";
            let no: i64 = self.db.query_row(sql, [id.0.cast_signed()], |row| row.get(0))?;
            self.state.room = Some((no, id));
            self.state.reload(&self.db)?;
            self.in_transaction(|state, tx| {
                // Later than all other rooms, whatever the clock says.
                let sql = "UPDATE room SET entered = max(?2, (SELECT max(entered) + 1 FROM room)) WHERE no = ?1";
                tx.execute(sql, params![no, wall_ms()])?;
                queue::requeue(tx, no, &state.log_state)?;
                state.insert_session(tx, no)
            })?;
        }
        self.state.reload(&self.db)
    }

    /// The last index of the log.
    pub fn tail(&self) -> Index {
        self.state.log_state.tail.index
    }

    /// The saved state with which a node starts.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn saved(&self) -> Result<SavedState, Error> {
        let Some((no, id)) = self.state.room else { return Ok(SavedState::default()) };
        let mut shown = queue::shown(&self.db, no)?;
        shown.lines.retain(|&key, n| *n > self.state.log_state.watermark(key));
        let mut book = self.db.prepare_cached("SELECT uid FROM book WHERE room = ?1 ORDER BY uid")?;
        let book = book.query_map([no], |row| row.get::<_, String>(0))?;
        let book = book.map(|uid| uid?.parse::<Uid>().map_err(|_| damaged("an address that is none")));
        Ok(SavedState {
            room: Some(id),
            log_state: self.state.log_state.clone(),
            pending: queue::marks(&self.db, no, &self.state.log_state)?,
            promise: self.promise(no)?,
            book: book.collect::<Result<_, Error>>()?,
            shown,
        })
    }

    fn promise(&self, no: i64) -> Result<Option<Epoch>, Error> {
        let sql = "SELECT promise FROM room WHERE no = ?1";
        let promise: Option<String> = self.db.query_row(sql, [no], |row| row.get(0))?;
        promise.map(|text| serde_json::from_str(&text).map_err(|_| damaged("a promise that is none"))).transpose()
    }

    /// Writes a group of records, whole or not at all.
    ///
    /// # Errors
    /// See [`Error`]; the file is unchanged.
    pub fn write(&mut self, group: &[Record]) -> Result<(), Error> {
        self.in_transaction(|state, tx| {
            let mut entries = Vec::new();
            for (i, record) in group.iter().enumerate() {
                match record {
                    // Entries that are appended together are stored together.
                    Record::Append(more) if entries.is_empty() && !group[i + 1..].iter().any(is_append) => {
                        state.append(tx, more)?;
                    }
                    Record::Append(more) => entries.extend_from_slice(more),
                    other => {
                        state.append(tx, &std::mem::take(&mut entries))?;
                        state.write_one(tx, other)?;
                    }
                }
            }
            state.append(tx, &entries)
        })
    }

    /// Runs `work` in a transaction. If it fails, the file and the run's knowledge of it stay as they were.
    fn in_transaction<T>(
        &mut self,
        work: impl FnOnce(&mut RunState, &Connection) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let begun = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate);
        let done = begun.map_err(Error::from).and_then(|tx| {
            let done = work(&mut self.state, &tx)?;
            if let Some(mark) = self.mark {
                let sql = "REPLACE INTO node (key, value) VALUES ('journal', ?1)";
                tx.prepare_cached(sql)?.execute([mark.to_string()])?;
            }
            tx.commit()?;
            Ok(done)
        });
        self.mark = None;
        if done.is_err() {
            // If reading fails too, the old knowledge stays: the caller gets the first error.
            let _ = self.state.reload(&self.db);
        }
        done
    }

    /// Reads entries or pending lines.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read(&self, wanted: &ReadRequest) -> Result<ReadReply, Error> {
        let Some((no, _)) = self.state.room else {
            return Ok(match wanted {
                ReadRequest::Log { .. } | ReadRequest::Newest { .. } => ReadReply::Log(Vec::new()),
                ReadRequest::Pending { .. } => ReadReply::Pending(Vec::new()),
            });
        };
        match *wanted {
            ReadRequest::Log { from, bytes_max } => Ok(ReadReply::Log(log::some(&self.db, no, from, bytes_max)?)),
            ReadRequest::Newest { to, lines, bytes_max } => {
                Ok(ReadReply::Log(log::newest(&self.db, no, to, lines, bytes_max)?))
            }
            ReadRequest::Pending { after } => {
                Ok(ReadReply::Pending(queue::some(&self.db, no, after, &self.state.log_state)?))
            }
        }
    }

    /// Removes all entries after `keep` and moves their lines to the front of the pending queue, in one transaction.
    ///
    /// # Errors
    /// See [`Error`]; the file is unchanged.
    pub fn cut(&mut self, keep: Index) -> Result<Cut, Error> {
        self.in_transaction(|state, tx| {
            if let Some((no, _)) = state.room {
                state.cut_log(tx, no, keep)?;
            }
            Ok(())
        })?;
        let pending = match self.state.room {
            Some((no, _)) => queue::marks(&self.db, no, &self.state.log_state)?,
            None => Default::default(),
        };
        Ok(Cut { log_state: self.state.log_state.clone(), pending })
    }

    /// Makes a store in memory that continues where this one ends.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn overlay(&self) -> Result<MemoryStore, Error> {
        let saved = self.saved()?;
        let Some((no, id)) = self.state.room else { return Ok(MemoryStore::default()) };
        Ok(MemoryStore {
            room: Some(id),
            base: self.state.log_state.clone(),
            log: Vec::new(),
            log_state: self.state.log_state.clone(),
            pending: queue::all(&self.db, no)?,
            outbox: queue::outbox(&self.db, no, self.state.key(), &self.state.log_state)?,
            promise: saved.promise,
            book: saved.book.into_iter().collect(),
            shown: queue::shown(&self.db, no)?,
        })
    }

    /// The entries after `keep`, and the state of the log before them.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn split_at(&self, keep: Index) -> Result<(LogState, Vec<std::sync::Arc<crate::ring::Entry>>), Error> {
        let Some((no, _)) = self.state.room else { return Ok(Default::default()) };
        let mut rest = Vec::new();
        each(&self.db, no, keep.next(), self.tail(), |entry| {
            rest.push(entry);
            Ok(())
        })?;
        Ok((log::log_state_at(&self.db, no, keep)?.0, rest))
    }

    /// Moves the write-ahead log into the file and empties it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn shrink(&self) -> Result<(), Error> {
        match self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))? {
            0 => Ok(()),
            1.. | ..0i64 => Err(Error::Unwritable("somebody else is at work on it".to_owned())),
        }
    }

    /// Marks the medium as failed: nothing more moves into the file, not even when it is closed.
    pub fn give_up(&self) {
        // If SQLite refuses this, it empties the write-ahead log at the end: no worse than before.
        let _ = self.db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    }

    /// Takes over the content of a store in memory that began as this one's [`overlay`](Self::overlay).
    ///
    /// # Errors
    /// See [`Error`]; the file is unchanged.
    pub fn adopt(&mut self, memory: &MemoryStore) -> Result<(), Error> {
        self.in_transaction(|state, tx| {
            let Some(id) = memory.room else { return Ok(()) };
            state.new_room(tx, id)?;
            let Some((no, _)) = state.room else { return Ok(()) };
            state.truncate(tx, no, memory.base.tail.index)?;
            (state.log_state, state.folded) = log::log_state_at(tx, no, memory.base.tail.index)?;
            state.append(tx, &memory.log)?;
            state.replace_queues(tx, no, memory)?;
            tx.execute("DELETE FROM book WHERE room = ?1", [no])?;
            for uid in &memory.book {
                state.write_one(tx, &Record::LearnPeer(*uid))?;
            }
            if let Some(epoch) = memory.promise {
                state.write_one(tx, &Record::Promise(epoch))?;
            }
            queue::set_shown(tx, no, &memory.shown)
        })?;
        self.state.reload(&self.db)
    }

    /// The index of the last entry that is known to be in the chat log, and the length of the chat log there, in bytes.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn log_mark(&self) -> Result<(Index, u64), Error> {
        let Some((no, _)) = self.state.room else { return Ok((Index(0), 0)) };
        let sql = "SELECT log_index, log_bytes FROM room WHERE no = ?1";
        let read = |row: &rusqlite::Row<'_>| Ok((Index(unsigned(row.get(0)?)), unsigned(row.get(1)?)));
        Ok(self.db.query_row(sql, [no], read)?)
    }

    /// Stores how far the chat log is written. `false`: the log does not hold that entry (any more).
    ///
    /// # Errors
    /// See [`Error`].
    pub fn set_log_mark(&self, mark: LogMark) -> Result<bool, Error> {
        let Some((no, _)) = self.state.room else { return Ok(false) };
        let index = mark.tail.index;
        if index > self.tail() || self.state.log_state.tail_at(index) != mark.tail {
            return Ok(false);
        }
        let sql = "UPDATE room SET log_index = ?2, log_bytes = ?3 WHERE no = ?1";
        self.db.prepare_cached(sql)?.execute(params![no, index.0.cast_signed(), mark.bytes.cast_signed()])?;
        Ok(true)
    }

    /// The lines that earlier runs have shown out of the log's order.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn shown(&self) -> Result<crate::ring::Shown, Error> {
        self.state.room.map_or(Ok(Default::default()), |(no, _)| queue::shown(&self.db, no))
    }

    /// Calls `take` with every entry after an index.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn after(&self, index: Index, mut take: impl FnMut(std::sync::Arc<crate::ring::Entry>)) -> Result<(), Error> {
        let Some((no, _)) = self.state.room else { return Ok(()) };
        each(&self.db, no, index.next(), self.tail(), |entry| {
            take(entry);
            Ok(())
        })
    }

    /// The number of this run's room in the file.
    pub fn room_no(&self) -> Option<i64> {
        self.state.room.map(|(no, _)| no)
    }
}

fn is_append(record: &Record) -> bool {
    matches!(record, Record::Append(_))
}

/// The place in the journal up to which the file holds everything. `None`: the file never had a journal.
pub(super) fn journal_mark(db: &Connection) -> Result<Option<JournalMark>, Error> {
    let mut statement = db.prepare_cached("SELECT value FROM node WHERE key = 'journal'")?;
    let mark: Option<String> = statement.query_row([], |row| row.get(0)).optional()?;
    mark.map(|text| text.parse()).transpose()
}
