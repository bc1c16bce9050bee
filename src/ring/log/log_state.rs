//! What a log amounts to: everything that is decided from a log without reading it again.
//!
//! A [`LogState`] is the fold of a log's entries. The core keeps the one of its whole log; a store makes another when
//! it cuts, or opens, a log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ring::log::entry::{Act, Body, Entry};
use crate::ring::log::rules::{Effect, Rules};
use crate::ring::log::social::Social;
use crate::ring::log::view::View;
use crate::ring::types::id::{Epoch, Index, Lamport, SessionKey, Tail};

/// One epoch in a log's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EpochBound {
    /// The epoch.
    #[serde(rename = "e")]
    pub epoch: Epoch,
    /// The index of its last entry in this log.
    #[serde(rename = "l")]
    pub last: Index,
}

/// The fold of a log up to some index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LogState {
    /// The last entry's epoch and index.
    pub tail: Tail,
    /// The last entry's timestamp.
    pub lamport: Lamport,
    /// Each epoch's last index. Epochs rise along a log, so this is the log's shape.
    pub epochs: BTreeMap<Epoch, Index>,
    /// For each session the number of its last line: lines of a session stand in the log without a hole.
    pub watermarks: BTreeMap<SessionKey, u64>,
    /// The members, as the notes and some lines say.
    pub view: View,
    /// What the members have decided.
    pub rules: Rules,
    /// What is said where, and who is away.
    pub social: Social,
    /// How many lines there are.
    pub lines: u64,
}

impl LogState {
    /// Takes the next entry.
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

    /// The last index that this log shares with one of that shape. `None`: none of its epochs is here.
    ///
    /// The same epoch and index mean the same prefix, so the newest shared epoch decides.
    pub fn common(&self, epoch_bounds: &[EpochBound]) -> Option<Index> {
        epoch_bounds.iter().find_map(|span| self.epochs.get(&span.epoch).map(|&last| last.min(span.last)))
    }

    /// The last entry's epoch and index at or before `index`, as far as epochs tell.
    pub fn tail_at(&self, index: Index) -> Tail {
        if index == Index(0) {
            return Tail::default();
        }
        let epoch = self.epochs.iter().find(|(_, last)| **last >= index).map(|(&epoch, _)| epoch);
        Tail { epoch, index }
    }
}
