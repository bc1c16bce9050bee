//! What was put to lines, counted again and again while the log grows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{Mark, Reader, indexed};
use crate::ring::{Entry, Index, Lamport, LineId, Reactions};
use crate::store::sqlite::{Error, each_reacting};

/// Words behind the index that are remembered, before it is looked how far the index goes now.
const WORDS_MAX: usize = 64 * 1024;

/// A reader for who asks often: what the index did not have is read once, and then what has been written since.
#[derive(Debug)]
pub struct Counter {
    reader: Reader,
    seen: Option<Seen>,
}

/// What was read behind the index.
#[derive(Debug)]
struct Seen {
    /// So far it was read.
    mark: Mark,
    /// The table tells up to here.
    indexed: Index,
    /// What comes after, up to the mark.
    rest: Reactions,
}

impl Counter {
    /// Of the room that the file's node is in. `None`: it is in none.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        Ok(Reader::open(path)?.map(|reader| Self { reader, seen: None }))
    }

    /// Those of these lines that have the timestamp beside them, and what all authors said last about them.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn look_up(&mut self, wanted: &BTreeMap<LineId, Lamport>) -> Result<(Vec<Arc<Entry>>, Reactions), Error> {
        let Self { reader, seen } = self;
        loop {
            let (mark, behind) = reader.ends()?;
            let tx = reader.look()?;
            if !reader.has(mark)? {
                continue;
            }
            let mut found = Vec::new();
            for (&id, &stamp) in wanted {
                let is_it =
                    |entry: &&Arc<Entry>| entry.lamport == stamp && entry.line().is_some_and(|line| line.id == id);
                let at = reader.first_at(stamp, mark.end())?;
                let (batch, _) = if at > mark.end() { (Vec::new(), 0) } else { reader.batch_of(at)? };
                found.extend(batch.iter().chain(&behind).find(is_it).cloned());
            }
            if found.is_empty() {
                return Ok((found, Reactions::default()));
            }
            // Where the log was cut meanwhile, nothing that was read holds.
            let mut now = match seen.take() {
                Some(seen) if reader.has(seen.mark)? && seen.rest.len() <= WORDS_MAX => seen,
                Some(_) | None => {
                    let indexed = Index(indexed(&tx, reader.no)?.min(mark.end().0));
                    Seen { mark: Mark::default(), indexed, rest: Reactions::default() }
                }
            };
            let from = now.mark.end().max(now.indexed).next();
            each_reacting(&tx, reader.no, from, mark.end(), |line| now.rest.apply(line))?;
            now.mark = mark;
            let lines: Vec<LineId> = found.iter().filter_map(|entry| entry.line()).map(|line| line.id).collect();
            let mut words = reader.words_in_table(&lines, now.indexed)?;
            let mut last = Reactions::default();
            behind.iter().filter_map(|entry| entry.line()).for_each(|line| last.apply(line));
            for &line in &lines {
                words.put_all(line, &now.rest);
                words.put_all(line, &last);
            }
            *seen = Some(now);
            return Ok((found, words));
        }
    }
}
