//! Reads the past: lines by place, by time, by words, from a file that a node may be writing, and from its journal.
//!
//! The full-text index (SQLite's FTS5) lags behind the log. A search asks the index for the entries that it has; an
//! index in memory with the same rules serves the newer ones. So an answer is always complete.
//!
//! The reader takes the file page by page and holds no transaction between two pages: a slow consumer does no harm, and
//! the write-ahead log does not grow meanwhile. Only a cut moves lines that stand in the log; before each page the
//! reader checks that none has happened.

mod counter;
mod query;
mod selection;
mod tally;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::error::Error;
use super::journal;
use super::sqlite::{decode, each, end, index_of, journal_mark, key, open_to_read};
use crate::ring::{Act, Entry, Index, Lamport, Line, LineId, Name, Record, RoomId};
pub use counter::ReactionReader;
use query::Query;
pub use selection::{Moment, Selection};
pub use tally::{REACTIONS_MAX, ReactionCounts, ReactionSnapshot};

/// A page ends after so many bytes of batches.
const PAGE_BYTES: usize = 256 * 1024;
/// A page looks at no more batches than this.
const PAGE_BATCHES: i64 = 4096;
/// Places that the first page asks of the index. Each further page asks for eight times as many, because the index
/// starts again.
const FOUND_MIN: usize = 1024;
/// The most places that a page asks of the index.
const FOUND_MAX: usize = 64 * 1024;

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// The consumer received all selected lines.
    Whole,
    /// The consumer wanted no more lines.
    Enough,
    /// A cut changed the log during the read: the received lines may stand elsewhere now, and the rest was not read.
    Cut,
}

/// A file, open for reading only.
#[derive(Debug)]
pub struct Reader {
    db: Connection,
    journal: PathBuf,
    no: i64,
    room: RoomId,
}

impl Reader {
    /// Opens a file at its last room. `None`: it holds no room.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        let db = match open_to_read(path) {
            // A node has just created the file and not yet its tables.
            Err(Error::Older(0)) => return Ok(None),
            db => db?,
        };
        let sql = "SELECT no, id FROM room ORDER BY entered DESC, no DESC LIMIT 1";
        let room = db.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).optional()?;
        let journal = journal::file_of(path);
        Ok(room.map(|(no, id)| Self { db, journal, no, room: RoomId(id.cast_unsigned()) }))
    }

    /// The room.
    pub fn room(&self) -> RoomId {
        self.room
    }

    /// The last index in the full-text index, and the last index of the log.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn indexed(&self) -> Result<(Index, Index), Error> {
        Ok((Index(indexed(&self.db, self.no)?), end(&self.db, self.no)?))
    }

    /// Passes the selected lines to `take`, oldest first, until `take` returns `false`.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn select(&self, wanted: &Selection, mut take: impl FnMut(&Arc<Entry>) -> bool) -> Result<ReadOutcome, Error> {
        let mut asked = LogSnapshot::new(self, wanted)?;
        if let Some(most) = wanted.newest {
            // Finds the oldest of the newest lines; from there on they are read like all others.
            let (mut left, mut oldest) = (most, None);
            let counted = match most {
                0 => ReadOutcome::Enough,
                _ => asked.newest_first(|entry| {
                    oldest = Some(entry.index);
                    left -= 1;
                    left > 0
                })?,
            };
            match (counted, oldest) {
                (ReadOutcome::Cut, _) => return Ok(ReadOutcome::Cut),
                (ReadOutcome::Whole | ReadOutcome::Enough, Some(oldest)) => asked.first = oldest,
                (ReadOutcome::Whole | ReadOutcome::Enough, None) => return Ok(ReadOutcome::Whole),
            }
        }
        asked.oldest_first(&mut take)
    }

    fn at(&self, index: Index) -> i64 {
        key(self.no, index)
    }

    /// A read transaction: one consistent state of the file. Keep it short.
    fn look(&self) -> Result<Transaction<'_>, Error> {
        Ok(Transaction::new_unchecked(&self.db, TransactionBehavior::Deferred)?)
    }

    /// The batch that holds this entry, and its length in bytes.
    fn batch_of(&self, index: Index) -> Result<(Vec<Arc<Entry>>, usize), Error> {
        let sql = "SELECT body, crc FROM batch WHERE at BETWEEN ?1 AND ?2 ORDER BY at DESC LIMIT 1";
        let mut statement = self.db.prepare_cached(sql)?;
        let row = statement.query_row(params![self.at(Index(0)), self.at(index)], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, u32>(1)?))
        });
        match row.optional()? {
            Some((body, crc)) => Ok((decode(&body, crc)?, body.len())),
            None => Ok((Vec::new(), 0)),
        }
    }

    /// The first index whose timestamp is not below `stamp`; timestamps rise along the log. Each batch is read once.
    fn first_at(&self, stamp: Lamport, end: Index) -> Result<Index, Error> {
        let (mut low, mut high) = (1, end.0 + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let (entries, _) = self.batch_of(Index(middle))?;
            let below = entries.partition_point(|entry| entry.lamport < stamp);
            match (entries.first(), entries.last()) {
                (Some(first), Some(last)) if (first.index.0..=last.index.0).contains(&middle) => match below {
                    0 => high = first.index.0,
                    all if all == entries.len() => low = last.index.0 + 1,
                    // The entry is in this batch, or after the end if more was written meanwhile.
                    some => return Ok(entries[some].index.min(end.next())),
                },
                _ => return Err(Error::Damaged("it holds a log with a hole".to_owned())),
            }
        }
        Ok(Index(low.min(end.0 + 1)))
    }

    /// The entry with this timestamp.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn stamped(&self, stamp: Lamport) -> Result<Option<Arc<Entry>>, Error> {
        let (_, behind) = self.ends()?;
        let stands = |entries: Vec<Arc<Entry>>| entries.into_iter().find(|entry| entry.lamport == stamp);
        if let Some(found) = stands(behind) {
            return Ok(Some(found));
        }
        let _look = self.look()?;
        let end = self.mark()?.end();
        let at = self.first_at(stamp, end)?;
        if at > end { Ok(None) } else { Ok(stands(self.batch_of(at)?.0)) }
    }

    /// The end of the log.
    fn mark(&self) -> Result<BatchMark, Error> {
        let sql = "SELECT at, last, crc FROM batch WHERE at BETWEEN ?1 AND ?2 ORDER BY at DESC LIMIT 1";
        let mut statement = self.db.prepare_cached(sql)?;
        let keys = params![self.at(Index(0)), self.at(Index(u64::MAX))];
        let row = statement.query_row(keys, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
        Ok(BatchMark(row))
    }

    /// The end of the log in the file, and the entries that only the journal holds.
    fn ends(&self) -> Result<(BatchMark, Vec<Arc<Entry>>), Error> {
        loop {
            let (mark, before) = {
                let _look = self.look()?;
                (self.mark()?, journal_mark(&self.db)?)
            };
            let Some(before) = before else { return Ok((mark, Vec::new())) };
            let (records, _) = journal::after(&self.journal, before)?;
            // If the journal has begun anew meanwhile, its old entries are gone and the file holds them.
            if journal_mark(&self.db)?.is_some_and(|now| now.at > before.at || now == before) {
                let entries = records.into_iter().filter_map(|record| match record {
                    Record::Append(entries) => Some(entries),
                    Record::Queue(_)
                    | Record::Room(_)
                    | Record::Promise(_)
                    | Record::LearnPeer(_)
                    | Record::ForgetPeer(_)
                    | Record::Shown(_) => None,
                });
                return Ok((mark, entries.flatten().collect()));
            }
        }
    }

    /// Whether the log still holds everything that it held when it ended at `mark`. Entries never change in place.
    fn has(&self, mark: BatchMark) -> Result<bool, Error> {
        let Some((at, last, crc)) = mark.0 else { return Ok(true) };
        let mut statement = self.db.prepare_cached("SELECT 1 FROM batch WHERE at = ?1 AND last = ?2 AND crc = ?3")?;
        Ok(statement.exists(params![at, last, crc])?)
    }
}

/// The row of a log's last batch: its key, its last index, its checksum.
#[derive(Clone, Copy, Debug, Default)]
struct BatchMark(Option<(i64, i64, u32)>);

impl BatchMark {
    fn end(self) -> Index {
        Index(self.0.map_or(0, |(_, last, _)| last.unsigned_abs()))
    }
}

/// A query on the log as it was when the query began.
struct LogSnapshot<'a> {
    reader: &'a Reader,
    wanted: &'a Selection,
    /// The name, case-folded.
    from: Option<String>,
    query: Option<Query>,
    /// Selected lines can stand only between these.
    first: Index,
    last: Index,
    /// The full-text index serves entries up to here.
    indexed: Index,
    mark: BatchMark,
    /// Entries after that which only the journal holds, as far as they are selected.
    rest: Vec<Arc<Entry>>,
}

/// One page of a read.
struct PageOfLines {
    /// The selected lines, in the order of the log.
    lines: Vec<Arc<Entry>>,
    /// Where the page ended.
    edge: Option<Index>,
}

impl<'a> LogSnapshot<'a> {
    fn new(reader: &'a Reader, wanted: &'a Selection) -> Result<Self, Error> {
        let query = wanted.words.as_deref().map_or(Ok(None), Query::new)?;
        let (mark, rest) = reader.ends()?;
        let tx = reader.look()?;
        let first = match wanted.since {
            Some(Moment::Stamp(stamp)) => reader.first_at(stamp, mark.end())?,
            Some(Moment::Wall(_)) | None => Index(1),
        };
        let last = match wanted.until {
            Some(Moment::Stamp(Lamport(u64::MAX)) | Moment::Wall(_)) | None => mark.end(),
            Some(Moment::Stamp(Lamport(stamp))) => Index(reader.first_at(Lamport(stamp + 1), mark.end())?.0 - 1),
        };
        let indexed = match query.as_ref().and_then(Query::expression) {
            Some(_) => Index(indexed(&tx, reader.no)?.min(last.0)),
            None => Index(0),
        };
        let from = wanted.from.as_ref().map(Name::folded);
        let mut asked = Self { reader, wanted, from, query, first, last, indexed, mark, rest };
        let mut rest = std::mem::take(&mut asked.rest);
        rest.retain(|entry| asked.takes(entry));
        if let Some(query) = &asked.query {
            query.keep_found(&mut rest)?;
        }
        Ok(Self { rest, ..asked })
    }

    fn oldest_first(&self, take: &mut dyn FnMut(&Arc<Entry>) -> bool) -> Result<ReadOutcome, Error> {
        for part in [Self::search, Self::scan] {
            match part(self, false, take)? {
                ReadOutcome::Whole => {}
                other => return Ok(other),
            }
        }
        match self.rest.iter().filter(|entry| entry.index >= self.first).all(take) {
            true => Ok(ReadOutcome::Whole),
            false => Ok(ReadOutcome::Enough),
        }
    }

    fn newest_first(&self, mut take: impl FnMut(&Arc<Entry>) -> bool) -> Result<ReadOutcome, Error> {
        if !self.rest.iter().rev().all(&mut take) {
            return Ok(ReadOutcome::Enough);
        }
        match self.scan(true, &mut take)? {
            ReadOutcome::Whole => self.search(true, &mut take),
            other => Ok(other),
        }
    }

    /// Reads entries that are not indexed, or all entries if no index helps.
    fn scan(&self, newest_first: bool, take: &mut dyn FnMut(&Arc<Entry>) -> bool) -> Result<ReadOutcome, Error> {
        let (mut from, mut to) = (self.first.max(self.indexed.next()), self.last);
        while from <= to {
            let Some(page) = self.page(from, to, newest_first)? else { return Ok(ReadOutcome::Cut) };
            let all = match newest_first {
                true => page.lines.iter().rev().all(&mut *take),
                false => page.lines.iter().all(&mut *take),
            };
            match (all, page.edge) {
                (false, _) => return Ok(ReadOutcome::Enough),
                (true, None) => break,
                (true, Some(edge)) if newest_first => to = Index(edge.0.saturating_sub(1)),
                (true, Some(edge)) if edge >= from => from = edge.next(),
                // Otherwise the scan would find the last batch before a hole again and again.
                (true, Some(_)) => return Err(Error::Damaged("it holds a log with a hole".to_owned())),
            }
        }
        Ok(ReadOutcome::Whole)
    }

    /// Reads some batches at one end of a part of the log. `None`: the log was cut.
    fn page(&self, from: Index, to: Index, newest_first: bool) -> Result<Option<PageOfLines>, Error> {
        let order = if newest_first { "DESC" } else { "ASC" };
        // The batch that holds `from` may begin before it.
        let sql = format!(
            "SELECT at, last, crc, body FROM batch
             WHERE at BETWEEN ifnull((SELECT max(at) FROM batch WHERE at BETWEEN ?1 AND ?2), ?2) AND ?3
             AND wall_max >= ?4 AND wall_min <= ?5 ORDER BY at {order} LIMIT ?6"
        );
        let reader = self.reader;
        let (earliest, latest) = self.wanted.walls();
        let _look = reader.look()?;
        if !reader.has(self.mark)? {
            return Ok(None);
        }
        let mut statement = reader.db.prepare_cached(&sql)?;
        let keys = (reader.at(Index(0)), reader.at(from), reader.at(to));
        let mut rows = statement.query(params![keys.0, keys.1, keys.2, earliest, latest, PAGE_BATCHES])?;
        let mut page = PageOfLines { lines: Vec::new(), edge: None };
        let mut bytes = 0;
        while bytes < PAGE_BYTES
            && let Some(row) = rows.next()?
        {
            let (at, last): (i64, i64) = (row.get(0)?, row.get(1)?);
            page.edge = Some(if newest_first { index_of(at) } else { Index(last.unsigned_abs()) });
            let body = row.get_ref(3)?.as_blob().map_err(|_| Error::Damaged("it holds no entries".to_owned()))?;
            if self.query.as_ref().is_some_and(|query| !query.may_be_in(body)) {
                continue;
            }
            bytes += body.len();
            let mut entries = decode(body, row.get(2)?)?;
            entries.retain(|entry| (from..=to).contains(&entry.index) && self.takes(entry));
            if newest_first {
                entries.reverse();
            }
            page.lines.append(&mut entries);
        }
        if newest_first {
            page.lines.reverse();
        }
        if let Some(query) = &self.query {
            query.keep_found(&mut page.lines)?;
        }
        Ok(Some(page))
    }

    /// Searches with the index, if the index can help.
    fn search(&self, newest_first: bool, take: &mut dyn FnMut(&Arc<Entry>) -> bool) -> Result<ReadOutcome, Error> {
        let Some(expression) = self.query.as_ref().and_then(Query::expression) else { return Ok(ReadOutcome::Whole) };
        let (mut from, mut to, mut most) = (self.first, self.indexed, FOUND_MIN);
        while from <= to {
            let Some(found) = self.found(expression, from, to, newest_first, most)? else {
                return Ok(ReadOutcome::Cut);
            };
            match found.last() {
                Some(edge) if newest_first => to = Index(edge.0.saturating_sub(1)),
                Some(edge) => from = edge.next(),
                None => break,
            }
            let last = found.len() < most;
            let mut places = found.into_iter().peekable();
            while places.peek().is_some() {
                let Some(lines) = self.fetch(&mut places)? else { return Ok(ReadOutcome::Cut) };
                if !lines.iter().all(&mut *take) {
                    return Ok(ReadOutcome::Enough);
                }
            }
            if last {
                break;
            }
            most = FOUND_MAX.min(8 * most);
        }
        Ok(ReadOutcome::Whole)
    }

    /// The places that the index finds, at one end of a part of the log. `None`: the log was cut.
    fn found(
        &self,
        expression: &str,
        from: Index,
        to: Index,
        newest_first: bool,
        most: usize,
    ) -> Result<Option<Vec<Index>>, Error> {
        let order = if newest_first { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT rowid FROM words WHERE words MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid {order} LIMIT ?4"
        );
        let reader = self.reader;
        let _look = reader.look()?;
        if !reader.has(self.mark)? {
            return Ok(None);
        }
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut statement = reader.db.prepare_cached(&sql)?;
        let rows = statement
            .query_map(params![expression, reader.at(from), reader.at(to), most], |row| row.get(0).map(index_of))?;
        Ok(Some(rows.collect::<Result<_, _>>()?))
    }

    /// Reads the lines at some of these places, in this order, and keeps the selected ones. `None`: the log was cut.
    fn fetch(
        &self,
        places: &mut std::iter::Peekable<std::vec::IntoIter<Index>>,
    ) -> Result<Option<Vec<Arc<Entry>>>, Error> {
        let _look = self.reader.look()?;
        if !self.reader.has(self.mark)? {
            return Ok(None);
        }
        let (mut batch, mut lines, mut bytes) = (Vec::<Arc<Entry>>::new(), Vec::new(), 0);
        while let Some(index) = places.next_if(|_| bytes < PAGE_BYTES) {
            let place = |batch: &[Arc<Entry>]| {
                let first = batch.first()?.index;
                usize::try_from(index.0.checked_sub(first.0)?).ok().filter(|place| *place < batch.len())
            };
            if place(&batch).is_none() {
                let read;
                (batch, read) = self.reader.batch_of(index)?;
                bytes += read;
            }
            if let Some(entry) = place(&batch).and_then(|place| batch.get(place))
                && self.takes(entry)
                && self.query.as_ref().is_none_or(|query| query.has_texts(entry))
            {
                lines.push(Arc::clone(entry));
            }
        }
        Ok(Some(lines))
    }

    /// Whether an entry is selected, apart from its words.
    fn takes(&self, entry: &Entry) -> bool {
        let named = |line: &Line| self.from.as_ref().is_none_or(|from| *from == line.name.folded());
        let after = match self.wanted.since {
            Some(Moment::Wall(wall)) => entry.wall >= wall,
            Some(Moment::Stamp(stamp)) => entry.lamport >= stamp,
            None => true,
        };
        let before = match self.wanted.until {
            Some(Moment::Wall(wall)) => entry.wall <= wall,
            Some(Moment::Stamp(stamp)) => entry.lamport <= stamp,
            None => true,
        };
        let placed = |line: &Line| self.wanted.channel.as_ref().is_none_or(|channel| *channel == line.channel);
        after && before && entry.line().is_some_and(|line| named(line) && placed(line))
    }
}

fn indexed(db: &Connection, no: i64) -> Result<u64, Error> {
    let mut statement = db.prepare_cached("SELECT last FROM indexed WHERE room = ?1")?;
    let last = statement.query_row([no], |row| row.get::<_, i64>(0)).optional()?;
    Ok(last.map_or(0, i64::unsigned_abs))
}

/// Indexes up to `most` entries of a room in one transaction, if more than `behind` entries are not indexed. Returns
/// how many.
pub(super) fn index_some(db: &mut Connection, no: i64, tail: u64, behind: u64, most: usize) -> Result<usize, Error> {
    if tail.saturating_sub(indexed(db, no)?) <= behind {
        return Ok(0);
    }
    let tx = Transaction::new(db, TransactionBehavior::Immediate)?;
    // A cut may have shortened the log meanwhile.
    let (done, end) = (indexed(&tx, no)?, end(&tx, no)?);
    let last = end.0.min(done + most as u64);
    let sql = "INSERT INTO words (rowid, text) VALUES (?1, ?2)";
    let mut insert = tx.prepare_cached(sql)?;
    let sql = "INSERT INTO reaction (at, author, session, n, emoji, who, put) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let mut react = tx.prepare_cached(sql)?;
    each(&tx, no, Index(done + 1), Index(last), |entry| {
        if let Some(line) = entry.line() {
            insert.execute(params![key(no, entry.index), line.text.as_str()])?;
            if let Some(Act::React { to: LineId { author, session, n }, with, on }) = &line.act {
                let (session, n) = (session.0.cast_signed(), n.cast_signed());
                let at = key(no, entry.index);
                react.execute(params![at, author.0, session, n, with.as_str(), line.id.author.0, on])?;
            }
        }
        Ok(())
    })?;
    drop((insert, react));
    let sql = "REPLACE INTO indexed (room, last) VALUES (?1, ?2)";
    tx.prepare_cached(sql)?.execute(params![no, last.cast_signed()])?;
    tx.commit()?;
    Ok(usize::try_from(last.saturating_sub(done)).unwrap_or(most))
}
