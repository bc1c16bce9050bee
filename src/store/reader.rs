//! Asking the past: entries by place, by time, by words; from a file that a node may be writing.
//!
//! The full-text index (SQLite's FTS5) follows the log at a distance. A search asks it for what it has, and reads the rest
//! line by line, so an answer is always whole.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::sqlite::{Batches, Error, decode, each, end, index_of, key, open_to_read};
use crate::ring::{Entry, Index, Lamport, Line, Name, RoomId, WallMs};

/// Batches read at once.
const PAGE_BATCHES: i64 = 64;
/// Places in the index read at once.
const PAGE_FOUND: i64 = 1024;

/// Which lines are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Not before this.
    pub since: Option<Moment>,
    /// Not after this.
    pub until: Option<Moment>,
    /// Only what was said under this name, upper and lower case alike.
    pub from: Option<Name>,
    /// Only lines with all of these words; each may go on (`deploy` finds `deployed`).
    pub words: Option<String>,
    /// Only the last so many of them.
    pub newest: Option<usize>,
}

/// A moment in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// By the clock of whoever ordered the line.
    Wall(WallMs),
    /// By the Lamport timestamp.
    Stamp(Lamport),
}

/// A file that is only read.
#[derive(Debug)]
pub struct Reader {
    db: Connection,
    no: i64,
    room: RoomId,
}

impl Reader {
    /// Opens a file at the room that it was in last. `None`: it holds no room.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        let db = open_to_read(path)?;
        let sql = "SELECT no, id FROM room ORDER BY entered DESC, no DESC LIMIT 1";
        let room = db.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).optional()?;
        Ok(room.map(|(no, id)| Self { db, no, room: RoomId(id.cast_unsigned()) }))
    }

    /// The room.
    pub fn room(&self) -> RoomId {
        self.room
    }

    /// How far the full-text index goes, and where the log ends.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn indexed(&self) -> Result<(Index, Index), Error> {
        Ok((Index(indexed(&self.db, self.no)?), end(&self.db, self.no)?))
    }

    /// Gives the lines that are wanted, oldest first, until `take` says `false`.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn select(&self, wanted: &Selection, mut take: impl FnMut(&Arc<Entry>) -> bool) -> Result<(), Error> {
        let end = end(&self.db, self.no)?;
        let first = match wanted.since {
            Some(Moment::Stamp(stamp)) => self.first_at(stamp, end)?,
            Some(Moment::Wall(_)) | None => Index(1),
        };
        let query = wanted.words.as_deref().map(Query::new);
        let fits = |entry: &Entry| entry.line().is_some_and(|line| wanted.takes(entry, line));
        match wanted.newest {
            None => {
                let indexed = match &query {
                    Some(Query::Words { expression, .. }) => {
                        let indexed = Index(indexed(&self.db, self.no)?);
                        if !self.found(expression, first, indexed, false, |entry| !fits(entry) || take(entry))? {
                            return Ok(());
                        }
                        indexed
                    }
                    Some(Query::Text(_)) | None => Index(0),
                };
                let matches = |entry: &Entry| fits(entry) && query.as_ref().is_none_or(|query| query.matches(entry));
                self.forwards(first.max(indexed.next()), end, wanted, |entry| !matches(entry) || take(entry))?;
            }
            Some(most) => {
                let mut newest = VecDeque::new();
                let indexed = match &query {
                    Some(Query::Words { .. }) => Index(indexed(&self.db, self.no)?),
                    Some(Query::Text(_)) | None => Index(0),
                };
                let matches = |entry: &Entry| fits(entry) && query.as_ref().is_none_or(|query| query.matches(entry));
                let from = first.max(indexed.next());
                self.backwards(from, end, wanted, |entry| {
                    if newest.len() < most && matches(entry) {
                        newest.push_front(Arc::clone(entry));
                    }
                    newest.len() < most
                })?;
                if let (Some(Query::Words { expression, .. }), true) = (&query, newest.len() < most) {
                    self.found(expression, first, indexed, true, |entry| {
                        if fits(entry) {
                            newest.push_front(Arc::clone(entry));
                        }
                        newest.len() < most
                    })?;
                }
                let _ = newest.iter().all(take);
            }
        }
        Ok(())
    }

    /// Entries from an index to another, by batches whose time may fit. `false` from `take` ends it.
    fn forwards(
        &self,
        from: Index,
        end: Index,
        wanted: &Selection,
        mut take: impl FnMut(&Arc<Entry>) -> bool,
    ) -> Result<(), Error> {
        let sql = "SELECT body, crc, at FROM batch
                   WHERE at BETWEEN ifnull((SELECT max(at) FROM batch WHERE at BETWEEN ?1 AND ?2), ?2) AND ?3
                   AND wall_max >= ?4 AND wall_min <= ?5 ORDER BY at LIMIT ?6";
        let (earliest, latest) = wanted.walls();
        let mut next = from;
        loop {
            let ends = params![self.at(Index(0)), self.at(next), self.at(end), earliest, latest, PAGE_BATCHES];
            let entries = self.page(sql, ends)?;
            let Some(last) = entries.last().map(|entry| entry.index) else { return Ok(()) };
            if !entries.iter().filter(|entry| entry.index >= next && entry.index <= end).all(&mut take) || last < next {
                return Ok(());
            }
            next = last.next();
        }
    }

    /// As [`forwards`](Self::forwards), from the end.
    fn backwards(
        &self,
        from: Index,
        end: Index,
        wanted: &Selection,
        mut take: impl FnMut(&Arc<Entry>) -> bool,
    ) -> Result<(), Error> {
        let sql = "SELECT body, crc, at FROM batch
                   WHERE at BETWEEN ?1 AND ?2 AND last >= ?3 AND wall_max >= ?4 AND wall_min <= ?5
                   ORDER BY at DESC LIMIT ?6";
        let (earliest, latest) = wanted.walls();
        let mut end = end;
        loop {
            let ends = params![self.at(Index(0)), self.at(end), from.0.cast_signed(), earliest, latest, PAGE_BATCHES];
            let mut entries = self.page(sql, ends)?;
            entries.sort_by_key(|entry| std::cmp::Reverse(entry.index));
            let Some(first) = entries.last().map(|entry| entry.index) else { return Ok(()) };
            if !entries.iter().filter(|entry| entry.index >= from && entry.index <= end).all(&mut take)
                || first <= Index(1)
            {
                return Ok(());
            }
            end = Index(first.0 - 1);
        }
    }

    fn at(&self, index: Index) -> i64 {
        key(self.no, index)
    }

    /// The entries of some batches. Read at once, so that a reader who takes his time holds nobody up.
    fn page(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Arc<Entry>>, Error> {
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = Batches(statement.query(params)?);
        let mut entries = Vec::new();
        while let Some(batch) = rows.next()? {
            entries.extend(batch);
        }
        Ok(entries)
    }

    /// What the index finds between two indexes. Whether `take` wanted more to the end.
    fn found(
        &self,
        expression: &str,
        first: Index,
        last: Index,
        newest_first: bool,
        mut take: impl FnMut(&Arc<Entry>) -> bool,
    ) -> Result<bool, Error> {
        let order = if newest_first { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT rowid FROM words WHERE words MATCH ?1 AND rowid BETWEEN ?2 AND ?3 ORDER BY rowid {order} LIMIT ?4"
        );
        let (mut first, mut last) = (self.at(first), self.at(last));
        let mut batch: Vec<Arc<Entry>> = Vec::new();
        loop {
            let mut statement = self.db.prepare_cached(&sql)?;
            let rows = statement.query_map(params![expression, first, last, PAGE_FOUND], |row| row.get(0))?;
            let found = rows.collect::<Result<Vec<i64>, _>>()?;
            let Some(&end) = found.last() else { return Ok(true) };
            for at in found {
                let index = index_of(at);
                let here = |batch: &[Arc<Entry>]| batch.iter().find(|entry| entry.index == index).cloned();
                if here(&batch).is_none() {
                    batch = self.batch_of(index)?;
                }
                if let Some(entry) = here(&batch)
                    && !take(&entry)
                {
                    return Ok(false);
                }
            }
            match newest_first {
                true => last = end - 1,
                false => first = end + 1,
            }
        }
    }

    fn batch_of(&self, index: Index) -> Result<Vec<Arc<Entry>>, Error> {
        let sql = "SELECT body, crc FROM batch WHERE at BETWEEN ?1 AND ?2 ORDER BY at DESC LIMIT 1";
        let mut statement = self.db.prepare_cached(sql)?;
        let row = statement.query_row(params![self.at(Index(0)), self.at(index)], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, u32>(1)?))
        });
        row.optional()?.map_or(Ok(Vec::new()), |(body, crc)| decode(&body, crc))
    }

    /// The first index with a timestamp that is not below this one: timestamps rise along the log.
    fn first_at(&self, stamp: Lamport, end: Index) -> Result<Index, Error> {
        let (mut low, mut high) = (1, end.0 + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let entries = self.batch_of(Index(middle))?;
            match entries.iter().find(|entry| entry.index.0 == middle) {
                Some(entry) if entry.lamport < stamp => low = middle + 1,
                Some(_) => high = middle,
                None => return Ok(Index(1)),
            }
        }
        Ok(Index(low))
    }
}

impl Selection {
    fn takes(&self, entry: &Entry, line: &Line) -> bool {
        let after = match self.since {
            Some(Moment::Wall(wall)) => entry.wall >= wall,
            Some(Moment::Stamp(stamp)) => entry.lamport >= stamp,
            None => true,
        };
        let before = match self.until {
            Some(Moment::Wall(wall)) => entry.wall <= wall,
            Some(Moment::Stamp(stamp)) => entry.lamport <= stamp,
            None => true,
        };
        let named = |name: &Name| name.as_str().to_lowercase() == line.name.as_str().to_lowercase();
        after && before && self.from.as_ref().is_none_or(named)
    }

    /// Between which walls a batch may hold something.
    fn walls(&self) -> (i64, i64) {
        let wall = |moment: Option<Moment>, or: i64| match moment {
            Some(Moment::Wall(wall)) => i64::try_from(wall.0).unwrap_or(i64::MAX),
            Some(Moment::Stamp(_)) | None => or,
        };
        (wall(self.since, 0), wall(self.until, i64::MAX))
    }
}

/// What is searched for.
enum Query {
    /// Words that the index knows.
    Words { expression: String, words: Vec<String> },
    /// Text in a script that does not part its words, or without a word: as it stands, anywhere in a line.
    Text(String),
}

impl Query {
    fn new(text: &str) -> Self {
        let words: Vec<String> = words_of(text).map(str::to_lowercase).collect();
        if words.is_empty() || text.chars().any(is_unparted) {
            return Self::Text(text.trim().to_lowercase());
        }
        let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"*")).collect();
        Self::Words { expression: quoted.join(" "), words }
    }

    /// Whether a line that is not indexed yet would be found.
    fn matches(&self, entry: &Entry) -> bool {
        let Some(line) = entry.line() else { return false };
        let text = line.text.as_str().to_lowercase();
        match self {
            Self::Text(wanted) => text.contains(wanted.as_str()),
            Self::Words { words, .. } => {
                words.iter().all(|wanted| words_of(&text).any(|word| word.starts_with(wanted.as_str())))
            }
        }
    }
}

/// Words as the index parts them: runs of letters and digits.
fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Letters of scripts that put no space between words: Thai, Lao, Burmese, Khmer, Chinese, Japanese.
fn is_unparted(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{2e80}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn indexed(db: &Connection, no: i64) -> Result<u64, Error> {
    let mut statement = db.prepare_cached("SELECT last FROM indexed WHERE room = ?1")?;
    let last = statement.query_row([no], |row| row.get::<_, i64>(0)).optional()?;
    Ok(last.map_or(0, i64::unsigned_abs))
}

/// Indexes up to `most` of a room's entries that are not indexed, where more than `behind` of them are not, in one
/// transaction. How many it has indexed.
pub(super) fn index_some(db: &mut Connection, no: i64, tail: u64, behind: u64, most: usize) -> Result<usize, Error> {
    if tail.saturating_sub(indexed(db, no)?) <= behind {
        return Ok(0);
    }
    let tx = Transaction::new(db, TransactionBehavior::Immediate)?;
    // The log may have been cut meanwhile.
    let (done, end) = (indexed(&tx, no)?, end(&tx, no)?);
    let last = end.0.min(done + most as u64);
    let sql = "INSERT INTO words (rowid, text) VALUES (?1, ?2)";
    let mut insert = tx.prepare_cached(sql)?;
    each(&tx, no, Index(done + 1), Index(last), |entry| {
        if let Some(line) = entry.line() {
            insert.execute(params![key(no, entry.index), line.text.as_str()])?;
        }
        Ok(())
    })?;
    drop(insert);
    let sql = "REPLACE INTO indexed (room, last) VALUES (?1, ?2)";
    tx.prepare_cached(sql)?.execute(params![no, last.cast_signed()])?;
    tx.commit()?;
    Ok(usize::try_from(last.saturating_sub(done)).unwrap_or(most))
}
