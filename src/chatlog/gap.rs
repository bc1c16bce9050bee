//! Lines that the log lacks, since its disk takes no more, and that memory need not hold: the history has them.
//!
//! From the first of them on no chat line is written, so that those which are missing get the place that they have in
//! the history. When the log takes something again they are read there ([`PastLog`]), and with the newest of them the
//! log has caught up. What a cut has taken out of the history meanwhile is written when it stands there again.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::net::Command;
use crate::ring::{Entry, Index, LineId, SessionKey};

/// Sessions whose missing lines are known; those of others are found by the next start.
const SESSIONS_MAX: usize = 64 * 1024;

/// What is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogGap {
    /// For each session the number of the first line and of the last: they come in the order of their numbers.
    lines: BTreeMap<SessionKey, (u64, u64)>,
    /// No entry before this one holds any of them.
    from: Option<Index>,
    /// What is written next comes after this entry.
    until: Option<Index>,
    /// More is missing than is known.
    more: bool,
}

impl LogGap {
    /// Whether nothing is missing, and nothing is held back.
    pub fn is_empty(&self) -> bool {
        self.until.is_none() && self.lines.is_empty() && !self.more
    }

    /// Whether lines that come now are to be [added](Self::add), and all of them to be read in the history.
    pub fn holds_back(&self) -> bool {
        self.until.is_some() || !self.lines.is_empty()
    }

    /// From now on lines are held back.
    pub fn hold_back(&mut self) {
        self.until.get_or_insert(Index(0));
    }

    /// This line is missing.
    pub fn add(&mut self, entry: &Entry) {
        if let Some(line) = entry.line() {
            self.add_line(entry.index, line.id);
        }
    }

    /// This line, which stands there, is missing. `false`: there are too many to know it.
    pub fn add_line(&mut self, index: Index, id: LineId) -> bool {
        self.from = Some(self.from.map_or(index, |from| from.min(index)));
        self.until = self.until.max(Some(index));
        let key = id.key();
        if self.lines.len() >= SESSIONS_MAX && !self.lines.contains_key(&key) {
            self.more = true;
            return false;
        }
        let (first, last) = self.lines.entry(key).or_insert((id.n, id.n));
        (*first, *last) = (id.n.min(*first), id.n.max(*last));
        true
    }

    /// How many lines are missing that are known.
    pub fn count(&self) -> u64 {
        self.lines.values().map(|(first, last)| last - first + 1).sum()
    }

    /// The history was cut after this entry: what stood there is ordered again.
    pub fn cut(&mut self, keep: Index) {
        self.from = self.from.map(|from| from.min(keep.next()));
        self.until = self.until.map(|until| until.min(keep));
    }

    /// The entry from which the history is to be read.
    pub fn next(&self) -> Index {
        self.from.unwrap_or(Index(1))
    }

    /// The history was read from `from` on: calls `take` with those that were missing, in the history's order. Whether
    /// there may be more.
    pub fn read(&mut self, from: Index, entries: &[Arc<Entry>], mut take: impl FnMut(&Entry)) -> bool {
        // A cut came in between.
        if from > self.next() {
            return true;
        }
        for entry in entries {
            self.from = Some(entry.index.next());
            let Some(id) = entry.line().map(|line| line.id) else { continue };
            // A later one shows that the history was cut, which is not told yet: then all of them are looked for again.
            if let Some((first, last)) = self.lines.get_mut(&id.key())
                && *first == id.n
            {
                *first += 1;
                if *first > *last {
                    self.lines.remove(&id.key());
                }
                take(entry);
            }
        }
        if self.lines.is_empty() || self.until.is_some_and(|until| until < self.next()) {
            self.until = None;
        }
        if self.lines.is_empty() {
            self.from = None;
        }
        !entries.is_empty()
    }
}

/// A question to the history that has not been answered.
#[derive(Debug)]
struct GapQuery {
    from: Index,
    answer: oneshot::Receiver<Vec<Arc<Entry>>>,
}

/// The history of the running node, to be read without waiting for it: it may be waiting for whoever reads.
#[derive(Debug)]
pub struct PastLog {
    node: mpsc::Sender<Command>,
    asked: Option<GapQuery>,
}

impl PastLog {
    /// Of the node that takes these commands.
    pub fn of(node: mpsc::Sender<Command>) -> Self {
        Self { node, asked: None }
    }

    /// Whether an answer is on its way.
    pub fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// Reads on, one step: asks, or takes what has come. Whether it is of use to go on at once.
    pub fn read(&mut self, missing: &mut LogGap, take: impl FnMut(&Entry)) -> bool {
        let Some(asked) = &mut self.asked else {
            let (sender, answer) = oneshot::channel();
            let from = missing.next();
            // Where its queue is full there is a next time.
            if self.node.try_send(Command::Past { from, answer: sender }).is_ok() {
                self.asked = Some(GapQuery { from, answer });
            }
            return false;
        };
        let from = asked.from;
        match asked.answer.try_recv() {
            Ok(entries) => {
                self.asked = None;
                missing.read(from, &entries, take)
            }
            Err(oneshot::error::TryRecvError::Empty) => false,
            Err(oneshot::error::TryRecvError::Closed) => {
                self.asked = None;
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

    use super::*;
    use crate::ring::{AuthorId, Body, Epoch, Lamport, Line, LineId, Name, Nonce, SessionId, Text, Uid, WallMs};

    /// The line `n` of a session at an index.
    fn entry(index: u64, session: u64, n: u64) -> Arc<Entry> {
        let uid: Uid = "10.0.0.5:2428".parse().unwrap();
        let id = LineId { author: AuthorId::of_bits(1), session: SessionId(session), n };
        let (name, text) = (Name::parse("ann").unwrap(), Text::parse("hello").unwrap());
        let body = Body::Line(Arc::new(Line {
            id,
            lamport: Lamport(index),
            name,
            uid,
            text,
            channel: None,
            act: None,
            signature: None,
        }));
        let epoch = Epoch { round: 1, leader: uid, nonce: Nonce(1) };
        Arc::new(Entry { epoch, index: Index(index), lamport: Lamport(index), wall: WallMs(0), body })
    }

    /// Where the lines stand that are taken of what is read from an index on.
    fn read(missing: &mut LogGap, from: u64, entries: &[Arc<Entry>]) -> Vec<u64> {
        let mut taken = Vec::new();
        missing.read(Index(from), entries, |entry| taken.push(entry.index.0));
        taken
    }

    #[test]
    fn what_is_missing_is_taken_and_nothing_else() {
        let mut missing = LogGap::default();
        missing.hold_back();
        let all = [entry(4, 1, 1), entry(5, 2, 1), entry(6, 1, 2), entry(7, 1, 3), entry(8, 1, 4)];
        for entry in &all[1..4] {
            missing.add(entry);
        }
        assert_eq!(missing.next(), Index(5));
        assert_eq!(read(&mut missing, 5, &all[1..2]), [5]);
        assert!(missing.holds_back());
        // The last has been appended, and is told later.
        assert_eq!(read(&mut missing, 6, &all[2..]), [6, 7]);
        assert!(missing.is_empty());
    }

    #[test]
    fn what_was_cut_is_taken_where_it_stands_then() {
        let mut missing = LogGap::default();
        missing.hold_back();
        let (first, second) = (entry(5, 1, 1), entry(6, 1, 2));
        missing.add(&first);
        missing.add(&second);
        // Read after the cut, before it is told.
        assert_eq!(read(&mut missing, 5, &[entry(5, 1, 2)]), [0; 0]);
        missing.cut(Index(2));
        assert_eq!(read(&mut missing, 6, &[]), [0; 0], "an answer of before");
        assert_eq!(read(&mut missing, 3, &[entry(3, 2, 1)]), [0; 0]);
        assert!(missing.holds_back(), "they have not come");
        assert_eq!(read(&mut missing, 4, &[entry(4, 1, 1), entry(5, 1, 2)]), [4, 5]);
        assert!(missing.is_empty());
    }

    #[test]
    fn sessions_beyond_the_limit_are_left_to_the_next_start() {
        let mut missing = LogGap::default();
        (0..=SESSIONS_MAX as u64).for_each(|n| missing.add(&entry(n + 1, n, 1)));
        let all: Vec<_> = (0..=SESSIONS_MAX as u64).map(|n| entry(n + 1, n, 1)).collect();
        assert_eq!(read(&mut missing, 1, &all).len(), SESSIONS_MAX);
        assert!(!missing.holds_back() && !missing.is_empty());
    }
}
