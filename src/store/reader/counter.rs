//! Counts reactions repeatedly while the log grows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::Reader;
use super::tally::CountedReactions;
use crate::ring::{Entry, Lamport, LineId, Reactions};
use crate::store::error::Error;

/// The most reactions after the index that are kept in memory before the reader asks how far the index goes now.
const WORDS_MAX: usize = 64 * 1024;

/// A reader for frequent queries: it reads the entries that are not indexed once, and later only the new ones.
#[derive(Debug)]
pub struct ReactionReader {
    reader: Reader,
    counted: Option<CountedReactions>,
}

impl ReactionReader {
    /// Opens the room of the file's node. `None`: the node is in no room.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        Ok(Reader::open(path)?.map(|reader| Self { reader, counted: None }))
    }

    /// Returns those of these lines whose timestamp matches, and the latest reactions of all authors to them.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn look_up(&mut self, wanted: &BTreeMap<LineId, Lamport>) -> Result<(Vec<Arc<Entry>>, Reactions), Error> {
        let Self { reader, counted } = self;
        loop {
            let (mark, behind) = reader.ends()?;
            let _look = reader.look()?;
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
            let before = counted.take().filter(|before| before.rest.len() <= WORDS_MAX);
            let now = reader.count_to(mark, before)?;
            let lines: Vec<LineId> = found.iter().filter_map(|entry| entry.line()).map(|line| line.id).collect();
            let mut words = reader.words_about(&lines, &now)?;
            let mut last = Reactions::default();
            behind.iter().filter_map(|entry| entry.line()).for_each(|line| last.apply(line));
            lines.iter().for_each(|&line| words.put_all(line, &last));
            *counted = Some(now);
            return Ok((found, words));
        }
    }
}
