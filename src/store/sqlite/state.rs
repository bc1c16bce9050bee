//! A run's knowledge of the file that it writes. It changes with each transaction, or not at all.

use std::collections::VecDeque;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::values::{json, wall_ms};
use super::{facts, log, queue};
use crate::ring::{AuthorId, Index, LogState, Record, RoomId, SessionId, SessionKey};
use crate::store::error::Error;

/// A run's knowledge of the file's content.
#[derive(Debug)]
pub(super) struct RunState {
    pub(super) author: AuthorId,
    pub(super) session: SessionId,
    /// The room that this run is in, and its number in the file.
    pub(super) room: Option<(i64, RoomId)>,
    pub(super) log_state: LogState,
    /// The log's state is written up to here.
    pub(super) folded: Index,
    /// The last numbers of the queued rows of this run.
    pub(super) outbox: VecDeque<u64>,
    /// The first pending line. No other line of the queue can enter the log before it.
    pub(super) front: Option<(SessionKey, u64)>,
    /// The mark of the key, to be stored with a room that is new to the file.
    pub(super) mark_of_key: Option<String>,
}

impl RunState {
    /// For a file that is in no room yet.
    pub(super) fn new() -> Self {
        Self {
            author: AuthorId::of_bits(0),
            session: SessionId(0),
            room: None,
            log_state: LogState::default(),
            folded: Index(0),
            outbox: VecDeque::new(),
            front: None,
            mark_of_key: None,
        }
    }

    pub(super) fn key(&self) -> SessionKey {
        SessionKey { author: self.author, session: self.session }
    }

    pub(super) fn tail(&self) -> Index {
        self.log_state.tail.index
    }

    /// Reads the file's content again.
    pub(super) fn reload(&mut self, db: &Connection) -> Result<(), Error> {
        let Some((no, _)) = self.room else { return Ok(()) };
        let known = db.query_row("SELECT 1 FROM room WHERE no = ?1", [no], |_| Ok(())).optional()?;
        if known.is_none() {
            // The failed transaction would have created the room.
            self.room = None;
            (self.log_state, self.folded, self.front) = Default::default();
            self.outbox.clear();
            return Ok(());
        }
        let end = log::end(db, no)?;
        let (log_state, folded) = log::log_state_at(db, no, end)?;
        let (outbox, front) = (queue::own(db, no, self.key())?, queue::front(db, no)?);
        (self.log_state, self.folded, self.outbox, self.front) = (log_state, folded, outbox, front);
        Ok(())
    }

    pub(super) fn write_one(&mut self, tx: &Connection, record: &Record) -> Result<(), Error> {
        if let Record::Room(id) = record {
            return self.new_room(tx, *id);
        }
        let Some((no, _)) = self.room else { return Ok(()) };
        match record {
            Record::Room(_) | Record::Append(_) => {}
            Record::Queue(lines) => self.queue(tx, no, lines)?,
            Record::Promise(epoch) => {
                let sql = "UPDATE room SET promise = ?2 WHERE no = ?1";
                tx.prepare_cached(sql)?.execute(params![no, json(epoch)?])?;
            }
            Record::LearnPeer(uid) => {
                let sql = "INSERT OR IGNORE INTO book (room, uid) VALUES (?1, ?2)";
                tx.prepare_cached(sql)?.execute(params![no, uid.to_string()])?;
            }
            Record::ForgetPeer(uid) => {
                let sql = "DELETE FROM book WHERE room = ?1 AND uid = ?2";
                tx.prepare_cached(sql)?.execute(params![no, uid.to_string()])?;
            }
            Record::Shown(shown) => queue::set_shown(tx, no, shown)?,
        }
        Ok(())
    }

    pub(super) fn new_room(&mut self, tx: &Connection, id: RoomId) -> Result<(), Error> {
        if self.room.is_some_and(|(_, room)| room == id) {
            return Ok(());
        }
        let sql = "INSERT INTO room (id, entered)
                   VALUES (?1, max(?2, ifnull((SELECT max(entered) + 1 FROM room), 0)))";
        tx.execute(sql, params![id.0.cast_signed(), wall_ms()])?;
        let no = tx.last_insert_rowid();
        self.room = Some((no, id));
        (self.log_state, self.folded, self.front) = Default::default();
        self.outbox.clear();
        if let Some(mark) = &self.mark_of_key {
            facts::write(tx, &facts::key_of(id), mark)?;
        }
        self.insert_session(tx, no)
    }

    pub(super) fn insert_session(&self, db: &Connection, no: i64) -> Result<(), Error> {
        let sql = "INSERT OR IGNORE INTO session (room, author, session, started, n)
                   VALUES (?1, ?2, ?3, max(?4, ifnull((SELECT max(started) + 1 FROM session), 0)), 0)";
        db.execute(sql, params![no, queue::author(self.key()), queue::session(self.key()), wall_ms()])?;
        Ok(())
    }
}
