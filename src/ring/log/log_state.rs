//! The state of a log: everything that a node decides from a log without reading it again.
//!
//! A [`LogState`] is the result of applying a log's entries in order. The core keeps the state of its whole log; a
//! store computes another when it cuts or opens a log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ring::log::entry::{Act, Body, Entry};
use crate::ring::log::rules::{Effect, Rules};
use crate::ring::log::social::Social;
use crate::ring::log::view::View;
use crate::ring::types::id::{Epoch, Index, Lamport, SessionKey, Tail};

/// The end of one epoch in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EpochBound {
    /// The epoch.
    #[serde(rename = "e")]
    pub epoch: Epoch,
    /// The index of its last entry in this log.
    #[serde(rename = "l")]
    pub last: Index,
}

/// The state of a log up to some index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LogState {
    /// The last entry's epoch and index.
    pub tail: Tail,
    /// The last entry's timestamp.
    pub lamport: Lamport,
    /// Each epoch's last index. Epochs rise along a log.
    pub epochs: BTreeMap<Epoch, Index>,
    /// For each session the number of its last line: the lines of a session are in the log without a hole.
    pub watermarks: BTreeMap<SessionKey, u64>,
    /// The members.
    pub view: View,
    /// Moderators, bans and the room's key.
    pub rules: Rules,
    /// Channels, topics, and users that are away.
    pub social: Social,
    /// The number of lines.
    pub lines: u64,
}

impl LogState {
    /// Applies the next entry.
    pub fn apply(&mut self, entry: &Entry) {
        assert_eq!(entry.index, self.tail.index.next(), "an entry follows the tail");
        self.tail = entry.tail();
        self.lamport = entry.lamport;
        match self.epochs.last_entry() {
            Some(mut last) if *last.key() == entry.epoch => *last.get_mut() = entry.index,
            _ => {
                self.epochs.insert(entry.epoch, entry.index);
            }
        }
        match &entry.body {
            Body::Line(line) => {
                if let Effect::Evicted { subject, .. } = self.rules.apply(line, self.lines == 0) {
                    self.view.expel(subject.author);
                    self.social.keep_members(&self.view);
                }
                if let Some(Act::Nick(name)) = &line.act {
                    self.view.rename(line.id.author, line.uid, name);
                }
                self.social.apply(entry.index, line, &self.view);
                self.lines += 1;
                self.watermarks.insert(line.id.key(), line.id.n);
            }
            Body::Note(note) => {
                self.view.apply(note);
                self.social.keep_members(&self.view);
            }
        }
    }

    /// The number of the session's last line in this log; zero if there is none.
    pub fn watermark(&self, key: SessionKey) -> u64 {
        self.watermarks.get(&key).copied().unwrap_or(0)
    }

    /// The log's epochs, newest first, older than `before`.
    pub fn epoch_bounds(&self, before: Option<Epoch>, max: usize) -> Vec<EpochBound> {
        let span = |(&epoch, &last): (&Epoch, &Index)| EpochBound { epoch, last };
        match before {
            Some(before) => self.epochs.range(..before).rev().take(max).map(span).collect(),
            None => self.epochs.iter().rev().take(max).map(span).collect(),
        }
    }

    /// The last index that this log shares with a log that has these epoch bounds. `None`: it has none of these epochs.
    ///
    /// The same epoch and index mean the same prefix, so the newest shared epoch decides.
    pub fn common(&self, epoch_bounds: &[EpochBound]) -> Option<Index> {
        epoch_bounds.iter().find_map(|span| self.epochs.get(&span.epoch).map(|&last| last.min(span.last)))
    }

    /// The tail of the log's prefix up to `index`, as far as epochs tell.
    pub fn tail_at(&self, index: Index) -> Tail {
        if index == Index(0) {
            return Tail::default();
        }
        let epoch = self.epochs.iter().find(|(_, last)| **last >= index).map(|(&epoch, _)| epoch);
        Tail { epoch, index }
    }
}
