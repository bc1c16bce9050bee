//! What was put to lines, counted: the file's table has what stands as far as the index goes, and the rest is read.

use std::collections::BTreeMap;

use rusqlite::params;

use super::{Mark, Reader, indexed};
use crate::ring::{AuthorId, Emoji, Index, LineId, Reactions};
use crate::store::sqlite::{Error, each_reacting};

/// Kinds of reactions that are told of one line at most: the most frequent.
pub const REACTIONS_MAX: usize = 64;

/// What is put to each line, and by how many authors, the most frequent first. Lines to which nothing is put are not there.
pub type Counts = BTreeMap<LineId, Vec<(Emoji, u64)>>;

/// What was put to lines, in a log as it was when this was asked for.
#[derive(Debug)]
pub struct Tally<'a> {
    reader: &'a Reader,
    counted: Counted,
}

/// What was read to count up to a mark.
#[derive(Debug)]
pub(super) struct Counted {
    mark: Mark,
    /// Up to here the table tells.
    indexed: Index,
    /// What comes after.
    pub(super) rest: Reactions,
}

impl Reader {
    /// What is put to these lines now: of each emoji the number of authors whose last word about it is that it is there;
    /// of at most [`REACTIONS_MAX`] emoji a line.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn reactions(&self, of: &[LineId]) -> Result<Counts, Error> {
        loop {
            if let Some(counts) = self.tally()?.of(of)? {
                return Ok(counts);
            }
        }
    }

    /// The same for many questions about one log: what is not indexed is read once.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn tally(&self) -> Result<Tally<'_>, Error> {
        loop {
            let (mark, behind) = self.ends()?;
            let _look = self.look()?;
            if !self.has(mark)? {
                continue;
            }
            let mut counted = self.count_to(mark, None)?;
            behind.iter().filter_map(|entry| entry.line()).for_each(|line| counted.rest.apply(line));
            return Ok(Tally { reader: self, counted });
        }
    }

    /// Reads up to a mark that stands: on from what was read before, unless the log was cut meanwhile.
    pub(super) fn count_to(&self, mark: Mark, before: Option<Counted>) -> Result<Counted, Error> {
        let mut counted = match before {
            Some(before) if self.has(before.mark)? => before,
            Some(_) | None => {
                let indexed = Index(indexed(&self.db, self.no)?.min(mark.end().0));
                Counted { mark: Mark::default(), indexed, rest: Reactions::default() }
            }
        };
        let from = counted.mark.end().max(counted.indexed).next();
        each_reacting(&self.db, self.no, from, mark.end(), |line| counted.rest.apply(line))?;
        counted.mark = mark;
        Ok(counted)
    }

    /// The last words about these lines, as far as was counted.
    pub(super) fn words_about(&self, lines: &[LineId], counted: &Counted) -> Result<Reactions, Error> {
        // Of the values beside the highest place, SQLite gives those of the row that has it: the last word.
        let sql = "SELECT emoji, who, put, max(at) FROM reaction
                   WHERE author = ?1 AND session = ?2 AND n = ?3 AND at BETWEEN ?4 AND ?5 GROUP BY emoji, who";
        let mut statement = self.db.prepare_cached(sql)?;
        let (first, last) = (self.at(Index(0)), self.at(counted.indexed));
        let mut all = Reactions::default();
        for &line in lines {
            let LineId { author, session, n } = line;
            let mut rows = statement.query(params![author.0, session.0.cast_signed(), n.cast_signed(), first, last])?;
            while let Some(row) = rows.next()? {
                let emoji: String = row.get(0)?;
                let emoji = Emoji::parse(&emoji).map_err(|_| Error::Damaged("it holds no emoji".to_owned()))?;
                all.put(line, emoji, AuthorId(row.get(1)?), row.get(2)?);
            }
            all.put_all(line, &counted.rest);
        }
        Ok(all)
    }
}

impl Tally<'_> {
    /// What is put to these lines. `None`: the log was cut meanwhile.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn of(&self, lines: &[LineId]) -> Result<Option<Counts>, Error> {
        let reader = self.reader;
        let _look = reader.look()?;
        if !reader.has(self.counted.mark)? {
            return Ok(None);
        }
        Ok(Some(counts(lines, &reader.words_about(lines, &self.counted)?)))
    }
}

fn counts(lines: &[LineId], words: &Reactions) -> Counts {
    let counted = lines.iter().map(|&line| {
        let mut of = words.of(line);
        of.truncate(REACTIONS_MAX);
        (line, of)
    });
    counted.filter(|(_, of)| !of.is_empty()).collect()
}
