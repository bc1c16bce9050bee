//! The log's entries and states in the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use memchr::memmem::Finder;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::queue;
use super::state::RunState;
use super::values::{damaged, unsigned};
use crate::ring::limits::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX};
use crate::ring::{
    Act, Batch, Entry, EpochBound, Index, Lamport, Line, LogState, Member, Record, Rules, SessionKey, Social, Tail,
    View, WallMs,
};
use crate::store::error::Error;
use crate::store::memory::cut_line;

/// Entries between two stored states of the log.
pub(super) const LOG_STATE_EVERY: u64 = 16 * 1024;

/// Bits of an index in a row's key; the room's number is above them.
const INDEX_BITS: u32 = 40;

/// The key of the row of an entry.
pub fn key(room: i64, index: Index) -> i64 {
    (room << INDEX_BITS) | i64::try_from(index.0.min((1 << INDEX_BITS) - 1)).unwrap_or(0)
}

/// The index in a row's key.
pub fn index_of(at: i64) -> Index {
    Index(at.cast_unsigned() & ((1 << INDEX_BITS) - 1))
}

/// Decodes a row's batch and checks it against its checksum.
pub fn decode(body: &[u8], crc: u32) -> Result<Vec<Arc<Entry>>, Error> {
    if crc32fast::hash(body) != crc {
        return Err(damaged("entries that are not as they were written"));
    }
    let batch: Batch = serde_json::from_slice(body).map_err(|_| damaged("entries that cannot be read"))?;
    Ok(batch.entries)
}

/// Rows of batches, one after the other.
struct Batches<'a>(rusqlite::Rows<'a>);

impl Batches<'_> {
    /// The entries of the next row.
    fn next(&mut self) -> Result<Option<Vec<Arc<Entry>>>, Error> {
        let Some(row) = self.0.next()? else { return Ok(None) };
        let body = row.get_ref(0)?.as_blob().map_err(|_| damaged("entries that cannot be read"))?;
        decode(body, row.get(1)?).map(Some)
    }
}

/// The last index of a room's log.
pub fn end(db: &Connection, no: i64) -> Result<Index, Error> {
    let sql = "SELECT last FROM batch WHERE at BETWEEN ?1 AND ?2 ORDER BY at DESC LIMIT 1";
    let last = db.query_row(sql, params![key(no, Index(0)), key(no, Index(u64::MAX))], |row| row.get::<_, i64>(0));
    Ok(last.optional()?.map_or(Index(0), |last| Index(unsigned(last))))
}

/// Calls `take` with every entry from one index to another.
pub fn each(
    db: &Connection,
    no: i64,
    from: Index,
    to: Index,
    mut take: impl FnMut(Arc<Entry>) -> Result<(), Error>,
) -> Result<(), Error> {
    until(db, no, from, |entry| {
        if entry.index > to {
            return Ok(false);
        }
        take(entry).map(|()| true)
    })
}

/// Passes every entry from an index on to `take`, in order and without a hole, while `take` wants more.
fn until(
    db: &Connection,
    no: i64,
    from: Index,
    mut take: impl FnMut(Arc<Entry>) -> Result<bool, Error>,
) -> Result<(), Error> {
    let sql = "SELECT body, crc FROM batch
               WHERE at >= ifnull((SELECT max(at) FROM batch WHERE at BETWEEN ?1 AND ?2), ?2) AND at <= ?3 ORDER BY at";
    let mut statement = db.prepare_cached(sql)?;
    let keys = params![key(no, Index(0)), key(no, from), key(no, Index(u64::MAX))];
    let mut rows = Batches(statement.query(keys)?);
    let mut next = from;
    while let Some(entries) = rows.next()? {
        for entry in entries {
            if entry.index < next {
                continue;
            }
            if entry.index > next {
                return Err(damaged("a log with a hole"));
            }
            next = next.next();
            if !take(entry)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Calls `take` with every line from one index to another that sets or withdraws a reaction.
pub fn each_reacting(
    db: &Connection,
    no: i64,
    from: Index,
    to: Index,
    mut take: impl FnMut(&Line),
) -> Result<(), Error> {
    // The act's name as it stands in JSON. Inside a text its quotes would be escaped.
    let act = Finder::new(br#""react""#);
    let sql = "SELECT body, crc FROM batch
               WHERE at >= ifnull((SELECT max(at) FROM batch WHERE at BETWEEN ?1 AND ?2), ?2) AND at <= ?3 ORDER BY at";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![key(no, Index(0)), key(no, from), key(no, to)])?;
    while let Some(row) = rows.next()? {
        let body = row.get_ref(0)?.as_blob().map_err(|_| damaged("entries that cannot be read"))?;
        if act.find(body).is_none() {
            continue;
        }
        let entries = decode(body, row.get(1)?)?;
        let within = entries.iter().filter(|entry| (from..=to).contains(&entry.index));
        let lines = within.filter_map(|entry| entry.line());
        lines.filter(|line| matches!(line.act, Some(Act::React { .. }))).for_each(&mut take);
    }
    Ok(())
}

/// Entries from an index on, as many as fit.
pub fn some(db: &Connection, no: i64, from: Index, bytes_max: usize) -> Result<Vec<Arc<Entry>>, Error> {
    let (mut bytes, mut found) = (0, Vec::new());
    until(db, no, from, |entry| {
        bytes += entry.weight();
        if found.len() >= BATCH_ENTRIES_MAX || (bytes > bytes_max && !found.is_empty()) {
            return Ok(false);
        }
        found.push(entry);
        Ok(true)
    })?;
    Ok(found)
}

/// The newest lines up to an index, in order, as many as fit.
pub fn newest(db: &Connection, no: i64, to: Index, lines: usize, bytes_max: usize) -> Result<Vec<Arc<Entry>>, Error> {
    let sql = "SELECT body, crc FROM batch WHERE at BETWEEN ?1 AND ?2 ORDER BY at DESC";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = Batches(statement.query(params![key(no, Index(0)), key(no, to)])?);
    let (mut bytes, mut found): (usize, Vec<Arc<Entry>>) = (0, Vec::new());
    'all: while found.len() < lines
        && let Some(entries) = rows.next()?
    {
        for entry in entries.into_iter().rev().filter(|entry| entry.index <= to && entry.line().is_some()) {
            bytes += entry.weight();
            if found.len() >= lines || (bytes > bytes_max && !found.is_empty()) {
                break 'all;
            }
            found.push(entry);
        }
    }
    found.reverse();
    Ok(found)
}

/// The state of the log up to an index, and the index of the stored state that it was computed from.
pub fn log_state_at(db: &Connection, no: i64, index: Index) -> Result<(LogState, Index), Error> {
    let sql = "SELECT body, crc FROM summary WHERE at BETWEEN ?1 AND ?2 ORDER BY at DESC LIMIT 1";
    let keys = params![key(no, Index(0)), key(no, index)];
    let written = db.query_row(sql, keys, |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, u32>(1)?))).optional()?;
    let mut log_state = match written {
        Some((body, crc)) if crc32fast::hash(&body) == crc => {
            let fold = serde_json::from_slice::<Fold>(&body).ok().filter(Fold::is_valid);
            fold.ok_or_else(|| damaged("a summary that cannot be read"))?.into()
        }
        Some(_) => return Err(damaged("a summary that is not as it was written")),
        None => LogState::default(),
    };
    let folded = log_state.tail.index;
    each(db, no, folded.next(), index, |entry| {
        check(&log_state, &entry)?;
        log_state.apply(&entry);
        Ok(())
    })?;
    match log_state.tail.index == index {
        true => Ok((log_state, folded)),
        false => Err(damaged("a log that ends too early")),
    }
}

/// Checks the preconditions for applying `entry` to this state.
fn check(log_state: &LogState, entry: &Entry) -> Result<(), Error> {
    let follows = entry.index == log_state.tail.index.next() && Some(entry.epoch) >= log_state.tail.epoch;
    let line = entry.line().is_none_or(|line| Some(line.id.n) == log_state.watermark(line.id.key()).checked_add(1));
    match follows && line && entry.lamport > log_state.lamport {
        true => Ok(()),
        false => Err(damaged("entries out of order")),
    }
}

/// Checks that the entries of these records follow a log with this state.
pub fn check_all(mut log_state: LogState, records: &[Record]) -> Result<(), Error> {
    for record in records {
        if let Record::Append(entries) = record {
            for entry in entries {
                check(&log_state, entry)?;
                log_state.apply(entry);
            }
        }
    }
    Ok(())
}

impl RunState {
    /// Appends entries, if there are any, in as few rows as possible; each row has entries of one epoch.
    pub(super) fn append(&mut self, tx: &Connection, entries: &[Arc<Entry>]) -> Result<(), Error> {
        let (Some((no, _)), false) = (self.room, entries.is_empty()) else { return Ok(()) };
        for entry in entries.iter() {
            self.log_state.apply(entry);
        }
        let mut rest = entries;
        while let Some(first) = rest.first() {
            let mut bytes = 0;
            let fits = rest.iter().take(BATCH_ENTRIES_MAX).take_while(|entry| {
                bytes += entry.weight();
                entry.epoch == first.epoch && (bytes <= BATCH_BYTES_MAX || entry.index == first.index)
            });
            let (batch, later) = rest.split_at(fits.count());
            insert(tx, no, batch)?;
            rest = later;
        }
        if self.log_state.tail.index.0 - self.folded.0 >= LOG_STATE_EVERY {
            let body = serde_json::to_vec(&Fold::from(&self.log_state)).map_err(|error| unwritable(&error))?;
            let sql = "REPLACE INTO summary (at, crc, body) VALUES (?1, ?2, ?3)";
            tx.prepare_cached(sql)?.execute(params![key(no, self.tail()), crc32fast::hash(&body), body])?;
            self.folded = self.tail();
        }
        self.release(tx, no)
    }

    /// See [`Sqlite::cut`](super::Sqlite::cut).
    pub(super) fn cut_log(&mut self, tx: &Connection, no: i64, keep: Index) -> Result<(), Error> {
        // Lines in the log leave the queue first, so each cut line waits once.
        queue::drop_that_stand(tx, no, &self.log_state)?;
        // Places before the first one in use, one for each cut entry.
        let cut = self.tail().0.saturating_sub(keep.0);
        let mut place = queue::first_place(tx, no)?.saturating_sub(i64::try_from(cut).unwrap_or(i64::MAX));
        let mut shown: BTreeMap<SessionKey, u64> = BTreeMap::new();
        each(tx, no, keep.next(), self.tail(), |entry| {
            if let Some(line) = cut_line(&entry) {
                queue::insert_pending(tx, no, place, &line)?;
                // The user has seen every line that was in the log.
                shown.insert(line.id.key(), line.id.n);
                place += 1;
            }
            Ok(())
        })?;
        queue::add_shown(tx, no, keep, &shown)?;
        self.truncate(tx, no, keep)?;
        (self.log_state, self.folded) = log_state_at(tx, no, keep)?;
        self.front = queue::front(tx, no)?;
        Ok(())
    }

    /// Removes all entries after `keep`, and everything derived from them.
    pub(super) fn truncate(&mut self, tx: &Connection, no: i64, keep: Index) -> Result<(), Error> {
        let (after, end) = (key(no, keep.next()), key(no, Index(u64::MAX)));
        let sql = "SELECT body, crc, last FROM batch WHERE at BETWEEN ?1 AND ?2 ORDER BY at DESC LIMIT 1";
        let torn = tx.query_row(sql, params![key(no, Index(0)), key(no, keep)], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, u32>(1)?, row.get::<_, i64>(2)?))
        });
        if let Some((body, crc, last)) = torn.optional()?
            && unsigned(last) > keep.0
        {
            let mut kept = decode(&body, crc)?;
            kept.retain(|entry| entry.index <= keep);
            insert(tx, no, &kept)?;
        }
        tx.execute("DELETE FROM batch WHERE at BETWEEN ?1 AND ?2", [after, end])?;
        tx.execute("DELETE FROM summary WHERE at BETWEEN ?1 AND ?2", [after, end])?;
        tx.execute("DELETE FROM words WHERE rowid BETWEEN ?1 AND ?2", [after, end])?;
        tx.execute("DELETE FROM reaction WHERE at BETWEEN ?1 AND ?2", [after, end])?;
        let keep = keep.0.cast_signed();
        tx.execute("UPDATE indexed SET last = min(last, ?2) WHERE room = ?1", [no, keep])?;
        tx.execute("UPDATE room SET log_index = min(log_index, ?2) WHERE no = ?1", [no, keep])?;
        Ok(())
    }
}

fn insert(tx: &Connection, no: i64, entries: &[Arc<Entry>]) -> Result<(), Error> {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(()) };
    let walls = || entries.iter().map(|entry| wall(entry.wall));
    let (earliest, latest) = (walls().min().unwrap_or(0), walls().max().unwrap_or(0));
    let mut body = Vec::with_capacity(entries.iter().map(|entry| entry.weight()).sum());
    serde_json::to_writer(&mut body, &Batch { entries: entries.to_vec() }).map_err(|error| unwritable(&error))?;
    let sql = "REPLACE INTO batch (at, last, wall_min, wall_max, crc, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let crc = crc32fast::hash(&body);
    let values = params![key(no, first.index), last.index.0.cast_signed(), earliest, latest, crc, body];
    tx.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn wall(ms: WallMs) -> i64 {
    i64::try_from(ms.0).unwrap_or(i64::MAX)
}

fn unwritable(error: &serde_json::Error) -> Error {
    Error::Unwritable(error.to_string())
}

/// A log's state in its stored form.
#[derive(Serialize, Deserialize)]
struct Fold {
    tail: Tail,
    lamport: Lamport,
    lines: u64,
    epochs: Vec<EpochBound>,
    marks: Vec<(crate::ring::AuthorId, crate::ring::SessionId, u64)>,
    members: Vec<Member>,
    lost: Vec<Member>,
    rules: Rules,
    /// Files from before channels existed have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    social: Option<Social>,
}

impl Fold {
    /// Checks that there are no more lines than entries, and that no session has more lines than the log.
    fn is_valid(&self) -> bool {
        self.lines <= self.tail.index.0
            && self.marks.iter().all(|(_, _, n)| *n <= self.lines)
            && self.social.as_ref().is_none_or(|social| social.is_valid(self.lines, self.members.len()))
    }
}

impl From<&LogState> for Fold {
    fn from(log_state: &LogState) -> Self {
        Self {
            tail: log_state.tail,
            lamport: log_state.lamport,
            lines: log_state.lines,
            epochs: log_state.epochs.iter().map(|(&epoch, &last)| EpochBound { epoch, last }).collect(),
            marks: log_state.watermarks.iter().map(|(key, &n)| (key.author, key.session, n)).collect(),
            members: log_state.view.members().cloned().collect(),
            lost: log_state.view.all_lost().to_vec(),
            rules: log_state.rules.clone(),
            social: Some(log_state.social.clone()),
        }
    }
}

impl From<Fold> for LogState {
    fn from(fold: Fold) -> Self {
        let marks = fold.marks.into_iter().map(|(author, session, n)| (SessionKey { author, session }, n));
        Self {
            tail: fold.tail,
            lamport: fold.lamport,
            epochs: fold.epochs.into_iter().map(|span| (span.epoch, span.last)).collect(),
            watermarks: marks.collect(),
            view: View::restored(fold.members, fold.lost),
            rules: fold.rules,
            social: fold.social.unwrap_or_else(|| Social::of_old(fold.lines, fold.tail.index)),
            lines: fold.lines,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;

    #[test]
    fn a_fold_of_before_there_were_channels_has_all_lines_in_the_lobby() {
        let tail = Tail { epoch: None, index: Index(9) };
        let log_state = LogState { tail, lines: 7, social: Social::of_old(7, Index(9)), ..LogState::default() };
        let mut fold = serde_json::to_value(Fold::from(&log_state)).unwrap();
        let back = |fold: &serde_json::Value| LogState::from(serde_json::from_value::<Fold>(fold.clone()).unwrap());
        assert_eq!(back(&fold), log_state);
        assert!(fold.as_object_mut().unwrap().remove("social").is_some());
        assert_eq!(back(&fold), log_state);
    }
}
