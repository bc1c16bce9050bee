//! Counts reactions: the file's table has the entries up to the index, the rest is read from the log.

use std::collections::BTreeMap;

use rusqlite::params;

use super::{BatchMark, Reader, indexed};
use crate::ring::{AuthorId, Emoji, Index, LineId, Reactions};
use crate::store::error::Error;
use crate::store::sqlite::each_reacting;

/// The most kinds of reactions that are reported for one line: the most frequent ones.
pub const REACTIONS_MAX: usize = 64;

/// The reactions to each line with the number of authors, the most frequent first. Lines without reactions are absent.
pub type ReactionCounts = BTreeMap<LineId, Vec<(Emoji, u64)>>;

/// The reactions in a log as it was at one moment.
#[derive(Debug)]
pub struct ReactionSnapshot<'a> {
    reader: &'a Reader,
    counted: CountedReactions,
}

/// The reactions up to a mark.
#[derive(Debug)]
pub(super) struct CountedReactions {
    mark: BatchMark,
    /// The file's table counts up to here.
    indexed: Index,
    /// The reactions of later entries.
    pub(super) rest: Reactions,
}

impl Reader {
    /// The current reactions to these lines: for each emoji the number of authors who currently have it set, for at
    /// most [`REACTIONS_MAX`] emoji a line.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn reactions(&self, of: &[LineId]) -> Result<ReactionCounts, Error> {
        loop {
            if let Some(counts) = self.tally()?.of(of)? {
                return Ok(counts);
            }
        }
    }

    /// The same for many queries on one log; entries that are not indexed are read once.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn tally(&self) -> Result<ReactionSnapshot<'_>, Error> {
        loop {
            let (mark, behind) = self.ends()?;
            let _look = self.look()?;
            if !self.has(mark)? {
                continue;
            }
            let mut counted = self.count_to(mark, None)?;
            behind.iter().filter_map(|entry| entry.line()).for_each(|line| counted.rest.apply(line));
            return Ok(ReactionSnapshot { reader: self, counted });
        }
    }

    /// Reads up to a mark of the current log. Continues from `before` unless the log was cut meanwhile.
    pub(super) fn count_to(
        &self,
        mark: BatchMark,
        before: Option<CountedReactions>,
    ) -> Result<CountedReactions, Error> {
        let mut counted = match before {
            Some(before) if self.has(before.mark)? => before,
            Some(_) | None => {
                let indexed = Index(indexed(&self.db, self.no)?.min(mark.end().0));
                CountedReactions { mark: BatchMark::default(), indexed, rest: Reactions::default() }
            }
        };
        let from = counted.mark.end().max(counted.indexed).next();
        each_reacting(&self.db, self.no, from, mark.end(), |line| counted.rest.apply(line))?;
        counted.mark = mark;
        Ok(counted)
    }

    /// The latest reactions of all authors to these lines, as far as they are counted.
    pub(super) fn words_about(&self, lines: &[LineId], counted: &CountedReactions) -> Result<Reactions, Error> {
        // For the columns beside `max(at)`, SQLite returns the values of the row with the maximum: the latest reaction.
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

impl ReactionSnapshot<'_> {
    /// The reactions to these lines. `None`: the log was cut meanwhile.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn of(&self, lines: &[LineId]) -> Result<Option<ReactionCounts>, Error> {
        let reader = self.reader;
        let _look = reader.look()?;
        if !reader.has(self.counted.mark)? {
            return Ok(None);
        }
        Ok(Some(counts(lines, &reader.words_about(lines, &self.counted)?)))
    }
}

fn counts(lines: &[LineId], words: &Reactions) -> ReactionCounts {
    let counted = lines.iter().map(|&line| {
        let mut of = words.of(line);
        of.truncate(REACTIONS_MAX);
        (line, of)
    });
    counted.filter(|(_, of)| !of.is_empty()).collect()
}
