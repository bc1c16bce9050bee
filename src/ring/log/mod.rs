//! The replicated log as the core holds it: its state and its newest entries.

pub mod address_book;
pub mod channel;
pub mod emoji;
pub mod entry;
pub mod log_state;
pub mod reactions;
pub mod rules;
pub mod run_signature;
pub mod social;
pub mod view;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::ring::log::entry::Batch;
use crate::ring::log::entry::Entry;
use crate::ring::log::log_state::LogState;
use crate::ring::types::id::{Index, Tail};
use crate::ring::types::limits::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, RECENT_BYTES_MAX, RECENT_ENTRIES_MAX};

/// A log: the state after its last entry, and a window of its end.
#[derive(Clone, Debug, Default, Hash)]
pub struct Log {
    log_state: LogState,
    recent: VecDeque<Arc<Entry>>,
    recent_bytes: usize,
}

impl Log {
    /// A log with no entries in memory yet.
    pub fn new(log_state: LogState) -> Self {
        Self { log_state, recent: VecDeque::new(), recent_bytes: 0 }
    }

    /// The state after the last entry.
    pub fn state(&self) -> &LogState {
        &self.log_state
    }

    /// The end of the log.
    pub fn tail(&self) -> Tail {
        self.log_state.tail
    }

    /// Appends the next entry.
    pub fn push(&mut self, entry: Arc<Entry>) {
        self.log_state.apply(&entry);
        self.recent_bytes += entry.weight();
        self.recent.push_back(entry);
        while self.recent_bytes > RECENT_BYTES_MAX || self.recent.len() > RECENT_ENTRIES_MAX {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.recent_bytes -= oldest.weight();
        }
    }

    /// The store has cut the log to this state.
    pub fn cut(&mut self, log_state: LogState) {
        while self.recent.back().is_some_and(|entry| entry.index > log_state.tail.index) {
            if let Some(entry) = self.recent.pop_back() {
                self.recent_bytes -= entry.weight();
            }
        }
        self.log_state = log_state;
    }

    /// How many entries are in memory.
    pub fn recent_len(&self) -> usize {
        self.recent.len()
    }

    /// The weight of the entries in memory, in bytes.
    pub fn recent_bytes(&self) -> usize {
        self.recent_bytes
    }

    /// A batch that starts at `from`, if that entry is in memory. Past the end the batch is empty.
    pub fn batch(&self, from: Index) -> Option<Batch> {
        if from > self.log_state.tail.index {
            return Some(Batch { entries: Vec::new() });
        }
        let first = self.recent.front()?.index;
        let skip = usize::try_from(from.0.checked_sub(first.0)?).ok()?;
        Some(one_batch(self.recent.range(skip..)))
    }
}

/// The longest batch at the start of `entries`: of one epoch and of whole runs, within the limits.
pub fn one_batch<'a>(entries: impl Iterator<Item = &'a Arc<Entry>>) -> Batch {
    let mut bytes = 0;
    let mut batch: Vec<Arc<Entry>> = Vec::new();
    for entry in entries.take(BATCH_ENTRIES_MAX) {
        bytes += entry.weight();
        if batch.first().is_some_and(|first| bytes > BATCH_BYTES_MAX || first.epoch != entry.epoch) {
            break;
        }
        batch.push(Arc::clone(entry));
    }
    while batch.last().is_some_and(|entry| entry.line().is_some_and(|line| line.signature.is_none())) {
        batch.pop();
    }
    Batch { entries: batch }
}
