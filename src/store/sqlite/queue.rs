//! Records outside the log: pending lines, the outbox, and the lines shown beyond the log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::state::RunState;
use super::values::{damaged, json, unsigned};
use crate::ring::limits::{BATCH_BYTES_MAX, OFFER_LINES_MAX};
use crate::ring::{AuthorId, Index, Line, LogState, PendingPosition, SessionId, SessionKey, Shown};
use crate::store::error::Error;
use crate::store::memory::{MemoryStore, fitting};

fn key_at(row: &Row<'_>, column: usize) -> rusqlite::Result<SessionKey> {
    let session = row.get::<_, i64>(column + 1).map(i64::cast_unsigned)?;
    Ok(SessionKey { author: author_at(row, column)?, session: SessionId(session) })
}

/// The author in a column.
pub fn author_at(row: &Row<'_>, column: usize) -> rusqlite::Result<AuthorId> {
    row.get(column).map(AuthorId)
}

/// An author as a column holds it.
pub fn author(key: SessionKey) -> Value {
    Value::Blob(key.author.0.to_vec())
}

/// A session as a column holds it.
pub fn session(key: SessionKey) -> Value {
    Value::Integer(key.session.0.cast_signed())
}

fn line_of(text: &str) -> Result<Arc<Line>, Error> {
    serde_json::from_str(text).map(Arc::new).map_err(|_| damaged("a line that cannot be read"))
}

/// The last numbers of a run's queued rows.
pub fn own(db: &Connection, no: i64, key: SessionKey) -> Result<VecDeque<u64>, Error> {
    let sql = "SELECT last FROM outbox WHERE room = ?1 AND author = ?2 AND session = ?3 ORDER BY last";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params![no, author(key), session(key)], |row| row.get::<_, i64>(0))?;
    Ok(rows.map(|last| last.map(unsigned)).collect::<Result<_, _>>()?)
}

/// A run's queued lines by number, without those in the log or pending.
pub fn outbox(
    db: &Connection,
    no: i64,
    key: SessionKey,
    log_state: &LogState,
) -> Result<BTreeMap<u64, Arc<Line>>, Error> {
    let last = marks(db, no, log_state)?.get(&key).copied().unwrap_or_else(|| log_state.watermark(key));
    let sql = "SELECT lines FROM outbox WHERE room = ?1 AND author = ?2 AND session = ?3 ORDER BY last";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![no, author(key), session(key)])?;
    let mut lines = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let row = lines_of(row.get_ref(0)?.as_str().unwrap_or_default())?;
        lines.extend(row.into_iter().filter(|line| line.id.n > last).map(|line| (line.id.n, line)));
    }
    Ok(lines)
}

fn lines_of(text: &str) -> Result<Vec<Arc<Line>>, Error> {
    serde_json::from_str(text).map_err(|_| damaged("lines that cannot be read"))
}

/// The first pending line's session and number.
pub fn front(db: &Connection, no: i64) -> Result<Option<(SessionKey, u64)>, Error> {
    let sql = "SELECT author, session, n FROM pending WHERE room = ?1 ORDER BY place LIMIT 1";
    let mut statement = db.prepare_cached(sql)?;
    let front = statement.query_row([no], |row| Ok((key_at(row, 0)?, unsigned(row.get(2)?))));
    Ok(front.optional()?)
}

/// The first place in use, or the place before all others if the queue is empty.
pub fn first_place(db: &Connection, no: i64) -> Result<i64, Error> {
    let first: Option<i64> = db.query_row("SELECT min(place) FROM pending WHERE room = ?1", [no], |row| row.get(0))?;
    Ok(first.unwrap_or(0))
}

pub fn insert_pending(db: &Connection, no: i64, place: i64, line: &Line) -> Result<(), Error> {
    let sql = "REPLACE INTO pending (room, place, author, session, n, line) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let key = line.id.key();
    let values = params![no, place, author(key), session(key), line.id.n.cast_signed(), json(line)?];
    db.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Removes pending lines that stand in the log.
pub fn drop_that_stand(db: &Connection, no: i64, log_state: &LogState) -> Result<(), Error> {
    let sql = "SELECT place, author, session, n FROM pending WHERE room = ?1";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([no])?;
    let mut gone: Vec<i64> = Vec::new();
    while let Some(row) = rows.next()? {
        if unsigned(row.get(3)?) <= log_state.watermark(key_at(row, 1)?) {
            gone.push(row.get(0)?);
        }
    }
    for place in gone {
        db.prepare_cached("DELETE FROM pending WHERE room = ?1 AND place = ?2")?.execute([no, place])?;
    }
    Ok(())
}

/// For each session the number of its last waiting line.
pub fn marks(db: &Connection, no: i64, log_state: &LogState) -> Result<BTreeMap<SessionKey, u64>, Error> {
    let sql = "SELECT author, session, max(n) FROM pending WHERE room = ?1 GROUP BY author, session";
    let mut statement = db.prepare_cached(sql)?;
    let marks = statement.query_map([no], |row| Ok((key_at(row, 0)?, unsigned(row.get(2)?))))?;
    let mut marks = marks.collect::<Result<BTreeMap<_, _>, _>>()?;
    marks.retain(|&key, n| *n > log_state.watermark(key));
    Ok(marks)
}

/// Pending lines after a place, as many as fit into an offer.
pub fn some(
    db: &Connection,
    no: i64,
    after: Option<PendingPosition>,
    log_state: &LogState,
) -> Result<Vec<(PendingPosition, Arc<Line>)>, Error> {
    let sql = "SELECT place, author, session, n, line FROM pending WHERE room = ?1 AND place > ?2 ORDER BY place";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![no, after.map_or(i64::MIN, |place| place.0)])?;
    let mut found = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        if unsigned(row.get(3)?) <= log_state.watermark(key_at(row, 1)?) {
            continue;
        }
        let line = line_of(row.get_ref(4)?.as_str().unwrap_or_default())?;
        bytes += line.weight();
        if found.len() >= OFFER_LINES_MAX || (bytes > BATCH_BYTES_MAX && !found.is_empty()) {
            break;
        }
        found.push((PendingPosition(row.get(0)?), line));
    }
    Ok(found)
}

/// The whole queue.
pub fn all(db: &Connection, no: i64) -> Result<BTreeMap<PendingPosition, Arc<Line>>, Error> {
    let mut statement = db.prepare_cached("SELECT place, line FROM pending WHERE room = ?1 ORDER BY place")?;
    let mut rows = statement.query([no])?;
    let mut queue = BTreeMap::new();
    while let Some(row) = rows.next()? {
        queue.insert(PendingPosition(row.get(0)?), line_of(row.get_ref(1)?.as_str().unwrap_or_default())?);
    }
    Ok(queue)
}

/// Lines that were shown beyond what the log tells.
pub fn shown(db: &Connection, no: i64) -> Result<Shown, Error> {
    let up_to: i64 = db.query_row("SELECT up_to FROM room WHERE no = ?1", [no], |row| row.get(0))?;
    let mut statement = db.prepare_cached("SELECT author, session, n FROM shown WHERE room = ?1")?;
    let lines = statement.query_map([no], |row| Ok((key_at(row, 0)?, unsigned(row.get(2)?))))?;
    Ok(Shown { up_to: Index(unsigned(up_to)), lines: lines.collect::<Result<_, _>>()? })
}

pub fn set_shown(db: &Connection, no: i64, shown: &Shown) -> Result<(), Error> {
    db.execute("DELETE FROM shown WHERE room = ?1", [no])?;
    db.execute("UPDATE room SET up_to = ?2 WHERE no = ?1", [no, shown.up_to.0.cast_signed()])?;
    shown.lines.iter().try_for_each(|(&key, &n)| insert_shown(db, no, key, n))
}

fn insert_shown(db: &Connection, no: i64, key: SessionKey, n: u64) -> Result<(), Error> {
    let sql = "INSERT INTO shown (room, author, session, n) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT DO UPDATE SET n = max(n, excluded.n)";
    db.prepare_cached(sql)?.execute(params![no, author(key), session(key), n.cast_signed()])?;
    Ok(())
}

/// Stores which lines of a cut were shown.
pub fn add_shown(db: &Connection, no: i64, keep: Index, lines: &BTreeMap<SessionKey, u64>) -> Result<(), Error> {
    db.execute("UPDATE room SET up_to = min(up_to, ?2) WHERE no = ?1", [no, keep.0.cast_signed()])?;
    lines.iter().try_for_each(|(&key, &n)| insert_shown(db, no, key, n))
}

/// Moves the queued lines of earlier runs to the end of the pending queue. A row may hold lines that stand in the log
/// by now, or that a cut removed from it.
pub fn requeue(tx: &Connection, no: i64, log_state: &LogState) -> Result<(), Error> {
    let mut waiting = marks(tx, no, log_state)?;
    let mut statement = tx.prepare_cached(
        "SELECT lines FROM outbox JOIN session USING (room, author, session)
         WHERE room = ?1 ORDER BY started, author, session, last",
    )?;
    let mut rows = statement.query([no])?;
    let sql = "SELECT ifnull(max(place), -1) + 1 FROM pending WHERE room = ?1";
    let mut place: i64 = tx.query_row(sql, [no], |row| row.get(0))?;
    while let Some(row) = rows.next()? {
        for line in lines_of(row.get_ref(0)?.as_str().unwrap_or_default())? {
            let key = line.id.key();
            let last = waiting.entry(key).or_insert_with(|| log_state.watermark(key));
            if line.id.n > *last {
                *last = line.id.n;
                insert_pending(tx, no, place, &line)?;
                place += 1;
            }
        }
    }
    drop(rows);
    tx.execute("DELETE FROM outbox WHERE room = ?1", [no])?;
    Ok(())
}

impl RunState {
    /// Queues lines of this run.
    pub(super) fn queue(&mut self, tx: &Connection, no: i64, lines: &[Arc<Line>]) -> Result<(), Error> {
        let Some(last) = lines.last().map(|line| line.id.n) else { return Ok(()) };
        let key = self.key();
        let sql = "REPLACE INTO outbox (room, author, session, last, lines) VALUES (?1, ?2, ?3, ?4, ?5)";
        let values = params![no, author(key), session(key), last.cast_signed(), json(&lines)?];
        tx.prepare_cached(sql)?.execute(values)?;
        let sql = "UPDATE session SET n = ?4 WHERE room = ?1 AND author = ?2 AND session = ?3";
        tx.prepare_cached(sql)?.execute(params![no, author(key), session(key), last.cast_signed()])?;
        self.outbox.push_back(last);
        Ok(())
    }

    /// Removes lines that stand in the log from the outbox and from the front of the pending queue.
    pub(super) fn release(&mut self, tx: &Connection, no: i64) -> Result<(), Error> {
        let key = self.key();
        let mark = self.log_state.watermark(key);
        if self.outbox.front().is_some_and(|&last| last <= mark) {
            let sql = "DELETE FROM outbox WHERE room = ?1 AND author = ?2 AND session = ?3 AND last <= ?4";
            tx.prepare_cached(sql)?.execute(params![no, author(key), session(key), mark.cast_signed()])?;
            self.outbox.retain(|&last| last > mark);
        }
        let stands = |(key, n): (SessionKey, u64)| n <= self.log_state.watermark(key);
        if !self.front.is_some_and(stands) {
            return Ok(());
        }
        let sql = "SELECT place, author, session, n FROM pending WHERE room = ?1 ORDER BY place";
        let mut statement = tx.prepare_cached(sql)?;
        let mut rows = statement.query([no])?;
        let (mut last, mut front) = (None, None);
        while let Some(row) = rows.next()? {
            let line = (key_at(row, 1)?, unsigned(row.get(3)?));
            if !stands(line) {
                front = Some(line);
                break;
            }
            last = Some(row.get::<_, i64>(0)?);
        }
        drop(rows);
        if let Some(last) = last {
            let sql = "DELETE FROM pending WHERE room = ?1 AND place <= ?2";
            tx.prepare_cached(sql)?.execute([no, last])?;
        }
        self.front = front;
        Ok(())
    }

    /// Replaces all waiting lines by those in memory.
    pub(super) fn replace_queues(&mut self, tx: &Connection, no: i64, memory: &MemoryStore) -> Result<(), Error> {
        tx.execute("DELETE FROM pending WHERE room = ?1", [no])?;
        tx.execute("DELETE FROM outbox WHERE room = ?1", [no])?;
        self.outbox.clear();
        for (place, line) in &memory.pending {
            insert_pending(tx, no, place.0, line)?;
        }
        let mut rest: &[Arc<Line>] = &memory.outbox.values().cloned().collect::<Vec<_>>();
        while !rest.is_empty() {
            let fits = fitting(rest.iter(), OFFER_LINES_MAX, BATCH_BYTES_MAX, |line| line.weight()).len();
            let (row, later) = rest.split_at(fits);
            self.queue(tx, no, row)?;
            rest = later;
        }
        self.front = front(tx, no)?;
        Ok(())
    }
}
